/* Sounds as features: every part against numpy (tests/golden/sound_goldens.json), then the column:
 * lengths from the data, normalisation, threads and cuts, missing and bad sounds, the file form. */
#include "table.h"

#include "base/alloc.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/pool.h"
#include "feature/fft.h"
#include "feature/sound.h"
#include "tensor/media.h"

static struct am_arena *arena;
static struct am_node *golden;

static int setup(void **state)
{
    (void)state;
    struct am_buf b;
    arena = am_arena_new(0);
    am_buf_init(&b, AM_LIMIT_JSON_BYTES);
    if (!arena || am_fs_read_file(GOLDEN_DIR "/sound_goldens.json", &b, &err) != AM_OK ||
        am_json_parse(arena, am_buf_view(&b), "goldens", &golden, &err) != AM_OK)
        return -1;
    am_buf_clear(&b);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    am_arena_free(arena);
    return 0;
}

static double *numbers(const struct am_node *list, size_t *n)
{
    assert_non_null(list);
    *n = list->list.n;
    double *v = am_arena_array(arena, *n + 1, sizeof *v);
    for (size_t i = 0; i < *n; i++)
        assert_true(am_node_as_f64(list->list.items[i], &v[i]));
    return v;
}

static double *scaled_samples(const char *key, size_t *n)
{
    double *x = numbers(am_node_get(golden, key), n);
    for (size_t i = 0; i < *n; i++)
        x[i] /= 32768;
    return x;
}

static void near(const char *what, size_t i, double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance))
        fail_msg("%s, %zu: %.10g, golden %.10g", what, i, got, want);
}

static void test_fft(void **state)
{
    (void)state;
    const struct am_node *list = am_node_get(golden, "ffts");
    for (size_t i = 0; i < list->list.n; i++) {
        size_t n, bins;
        const struct am_fft *f;
        double *x = numbers(am_node_get(list->list.items[i], "x"), &n);
        double *re = numbers(am_node_get(list->list.items[i], "re"), &bins);
        double *im = numbers(am_node_get(list->list.items[i], "im"), &bins);
        assert_int_equal(bins, n / 2 + 1);
        OK(am_fft_new(n, arena, &f, &err));
        double *r = am_arena_array(arena, bins, sizeof *r), *m = am_arena_array(arena, bins, 8);
        am_fft_real(f, x, r, m, am_arena_array(arena, am_fft_scratch(f), sizeof *x));
        for (size_t k = 0; k < bins; k++) {
            near("real", n * 1000 + k, r[k], re[k], 1e-7);
            near("imaginary", n * 1000 + k, m[k], im[k], 1e-7);
        }
    }
    const struct am_fft *f;
    assert_int_equal(am_fft_new(0, arena, &f, &err), AM_EINVAL);
    assert_int_equal(am_fft_new(AM_FFT_MAX + 1, arena, &f, &err), AM_EINVAL);
}

static void test_parts(void **state)
{
    (void)state;
    size_t n, m;
    double *x = scaled_samples("samples", &n);
    const struct am_node *list = am_node_get(golden, "filters");
    for (size_t i = 0; i < list->list.n; i++) {
        double low = 0, high = 0, y[300];
        double *want = numbers(am_node_get(list->list.items[i], "out"), &m);
        assert_true(am_node_as_f64(am_node_get(list->list.items[i], "low_hz"), &low));
        assert_true(am_node_as_f64(am_node_get(list->list.items[i], "high_hz"), &high));
        memcpy(y, x, sizeof y);
        am_band_filter(y, 300, 8000, low, high);
        for (size_t k = 0; k < 300; k++)
            near("filter", i * 1000 + k, y[k], want[k], 1e-8);
    }
    list = am_node_get(golden, "resampled");
    for (size_t i = 0; i < list->list.n; i++) {
        static const size_t lengths[] = {150, 300, 400, 260, 40};
        uint32_t from = (uint32_t)am_node_i64(list->list.items[i], "from", 0);
        uint32_t to = (uint32_t)am_node_i64(list->list.items[i], "to", 0);
        double y[1000], *want = numbers(am_node_get(list->list.items[i], "out"), &m);
        assert_int_equal(am_resample_length(lengths[i], from, to), m);
        OK(am_resample(x, lengths[i], from, to, y, &err));
        for (size_t k = 0; k < m; k++)
            near("resampled", i * 1000 + k, y[k], want[k], 3e-6);
    }
    double *quiet = scaled_samples("quiet", &n), *want = numbers(am_node_get(golden, "gated"), &m);
    double *voice = numbers(am_node_get(golden, "voice"), &m);
    uint64_t begin, end;
    am_voice_bounds(quiet, n, 8000, 30, &begin, &end);
    assert_int_equal(begin, (uint64_t)voice[0]);
    assert_int_equal(end, (uint64_t)voice[1]);
    am_noise_gate(quiet, n, 8000, 30);
    for (size_t k = 0; k < n; k++)
        near("gate", k, quiet[k], want[k], 1e-9);
}

static struct am_sound_config config_of(const struct am_node *m)
{
    struct am_sound_config c = {.sample_rate = 8000};
    c.n_mfcc = (uint32_t)am_node_i64(m, "n_mfcc", 0);
    c.encode = c.n_mfcc > 0 ? AM_SOUND_MFCC : AM_SOUND_LOGMEL;
    c.n_fft = (uint32_t)am_node_i64(m, "n_fft", 0);
    c.hop = (uint32_t)am_node_i64(m, "hop", 0);
    c.n_mels = (uint32_t)am_node_i64(m, "n_mels", 0);
    (void)am_node_as_f64(am_node_get(m, "low_hz"), &c.low_hz);
    (void)am_node_as_f64(am_node_get(m, "high_hz"), &c.high_hz);
    return c;
}

static void test_mels(void **state)
{
    (void)state;
    size_t n, m;
    double *x = scaled_samples("samples", &n);
    const struct am_node *list = am_node_get(golden, "mels");
    for (size_t i = 0; i < list->list.n; i++) {
        struct am_sound_config c = config_of(list->list.items[i]);
        const struct am_sound_plan *p;
        const struct am_node *rows = am_node_get(list->list.items[i], "out");
        OK(am_sound_plan_new(&c, arena, &p, &err));
        size_t frames = am_sound_frames(p, n), channels = am_sound_channels(p);
        assert_int_equal(frames, rows->list.n);
        float *out = am_arena_array(arena, frames * channels, sizeof *out);
        OK(am_sound_features(p, x, n, out, &err));
        for (size_t t = 0; t < frames; t++) {
            double *want = numbers(rows->list.items[t], &m);
            assert_int_equal(m, channels);
            for (size_t k = 0; k < m; k++)
                near(am_node_str(list->list.items[i], "name", "").ptr, t * 1000 + k,
                     (double)out[t * m + k], want[k], 2e-4);
        }
    }
}

/* ---- columns ---- */

#define SOUNDS 40
static char *raw[SOUNDS];
static struct am_str cells[SOUNDS];

/* Sound i: i x 100 + 400 frames at 8 kHz, two channels; cell 7 is missing. */
static void make_sounds(void)
{
    for (size_t i = 0; i < SOUNDS; i++) {
        uint32_t n = (uint32_t)(i * 100 + 400);
        unsigned char *p = am_arena_array(arena, AM_MEDIA_RAW_BYTES + 4 * (size_t)n, 1);
        am_sound_raw_header(8000, 2, n, p);
        for (size_t k = 0; k < 2 * (size_t)n; k++) {
            int v = (int)(8000 * sin((double)(k / 2) * (0.1 + 0.01 * (double)i))) +
                    (int)(draw(k, i) % 500);
            p[AM_MEDIA_RAW_BYTES + 2 * k] = (unsigned char)(v & 0xFF);
            p[AM_MEDIA_RAW_BYTES + 2 * k + 1] = (unsigned char)((v >> 8) & 0xFF);
        }
        raw[i] = (char *)p;
        cells[i] = (struct am_str){raw[i], AM_MEDIA_RAW_BYTES + 4 * (size_t)n};
    }
    cells[7] = (struct am_str){NULL, 0};
}

static const struct am_column_desc sound_columns[1] = {{AM_STR_INIT("sound"), AM_COL_AUDIO}};
static const struct am_schema sound_schema = {sound_columns, 1};

static struct am_features *fit(const char *yaml, size_t cut, unsigned n_threads)
{
    struct am_pool *pool = NULL;
    if (n_threads > 1)
        OK(am_pool_new(n_threads, &pool, &err));
    struct am_features_config config = {.spec = spec_of(arena, yaml),
                                        .schema = &sound_schema,
                                        .task = AM_TASK_REGRESSION,
                                        .pool = pool};
    struct am_features_fit *ft;
    struct am_features *f;
    OK(am_features_fit_new(&config, &ft, &err));
    for (size_t row = 0; row < SOUNDS; row += cut) {
        struct am_column col = {.type = AM_COL_AUDIO, .text = cells + row};
        struct am_batch b = {.n_rows = SOUNDS - row < cut ? SOUNDS - row : cut,
                             .n_columns = 1,
                             .columns = &col,
                             .first_row = row};
        OK(am_features_fit_update(ft, &b, NULL, NULL, &err));
    }
    OK(am_features_fit_finish(ft, &f, &err));
    am_features_fit_free(ft);
    am_pool_free(pool);
    return f;
}

static float *apply(const struct am_features *f, const struct am_str *x, size_t n)
{
    struct am_column col = {.type = AM_COL_AUDIO, .text = x};
    struct am_batch b = {.n_rows = n, .n_columns = 1, .columns = &col};
    float *out = am_arena_array(arena, n * am_features_width(f) + 1, sizeof *out);
    OK(am_features_apply(f, &b, out, &err));
    return out;
}

static void test_column(void **state)
{
    (void)state;
    size_t n_tokens;
    struct am_features *f =
        fit("sound: {sample_rate: 8000, n_mels: 16, n_fft: 256, hop: 80}\n", SOUNDS, 1);
    struct am_dims d = am_features_shape(f, &n_tokens);
    /* 95 % of 39 lengths (1100 is missing): between the two next to the longest, in whole steps */
    assert_int_equal(d.rank, 2);
    assert_int_equal(d.d[0], 1 + 4160 / 80);
    assert_int_equal(d.d[1], 16);
    assert_int_equal(n_tokens, 0);
    size_t width = am_features_width(f);
    assert_int_equal(width, 53 * 16);
    float *out = apply(f, cells, SOUNDS);
    for (size_t k = 0; k < width; k++)
        assert_true(out[7 * width + k] == 0);
    double sum = 0, square = 0, n = 0; /* of whole frames of the longest sounds: about standard */
    for (size_t i = 0; i < SOUNDS; i++) {
        size_t frames = i == 7 ? 0 : 1 + (i * 100 + 400) / 80;
        for (size_t k = 0; k < 16 * (frames < 53 ? frames : 53); k++, n++) {
            sum += (double)out[i * width + k];
            square += (double)out[i * width + k] * (double)out[i * width + k];
        }
    }
    assert_true(fabs(sum / n) < 0.05 && fabs(square / n - 1) < 0.05);

    /* other cuts, other threads: the same features.json, so the same bits */
    struct am_node *node = am_features_to_node(f, arena);
    struct am_buf a, b;
    am_buf_init(&a, 1 << 20);
    am_node_to_json(node, AM_JSON_COMPACT, &a);
    for (unsigned threads = 1; threads <= 3; threads++) {
        struct am_features *g = fit("sound: {sample_rate: 8000, n_mels: 16, n_fft: 256, hop: 80}\n",
                                    threads == 3 ? 1 : 7 * threads, threads);
        am_buf_init(&b, 1 << 20);
        am_node_to_json(am_features_to_node(g, arena), AM_JSON_COMPACT, &b);
        assert_true(am_str_eq(am_buf_view(&a), am_buf_view(&b)));
        am_buf_clear(&b);
        am_features_free(g);
    }
    am_buf_clear(&a);

    struct am_features *loaded;
    OK(am_features_from_node(node, &loaded, &err));
    float *again = apply(loaded, cells, SOUNDS), *one = apply(loaded, cells + 20, 1);
    assert_memory_equal(again, out, SOUNDS * width * sizeof *out);
    assert_memory_equal(one, out + 20 * width, width * sizeof *out);
    struct am_batch sample;
    OK(am_features_sample(loaded, 3, 4, arena, &sample, &err));
    (void)apply(loaded, sample.columns[0].text, 4);
    am_features_free(loaded);
    am_features_free(f);
}

static void test_settings(void **state)
{
    (void)state;
    size_t n_tokens;
    static const struct {
        const char *yaml;
        int64_t frames, channels;
    } good[] = {
        {"sound: {seconds: 0.2, encode: waveform}\n", 3200, 1},
        {"sound: {seconds: 0.2, encode: mfcc}\n", 21, 13},
        {"sound: {seconds: 0.2, encode: mfcc, n_mfcc: 5, trim_db: 30, gate_db: 50, low_hz: 80, "
         "high_hz: 4000, normalize: none}\n",
         21, 5},
        {"sound: {seconds: 0.5, sample_rate: 44100}\n", 51, 40},
        {"default: {encode: mfcc, seconds: 0.1}\n", 11, 13},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct am_features *f = fit(good[i].yaml, SOUNDS, 1);
        struct am_dims d = am_features_shape(f, &n_tokens);
        assert_int_equal(d.d[0], good[i].frames);
        assert_int_equal(d.d[1], good[i].channels);
        float *out = apply(f, cells, SOUNDS);
        for (size_t k = 0; k < SOUNDS * am_features_width(f); k++)
            assert_true(isfinite(out[k]));
        am_features_free(f);
    }
    struct am_features *own =
        fit("sound: {sample_rate: 8000, normalize: own, seconds: 0.4}\n", 9, 1);
    float *y = apply(own, cells, SOUNDS);
    size_t width = am_features_width(own);
    assert_int_equal(width, 41 * 40);
    for (size_t i = 0; i < SOUNDS; i++) { /* of its own frames: mean 0, deviation 1 or none */
        size_t frames = i == 7 ? 0 : 1 + (i * 100 + 400) / 80;
        frames = frames < 41 ? frames : 41;
        for (size_t c = 0; c < 40; c++) {
            double sum = 0, square = 0;
            for (size_t t = 0; t < 41; t++) {
                double v = (double)y[i * width + t * 40 + c];
                sum += v;
                square += v * v;
                assert_true(t < frames || v == 0);
            }
            assert_true(fabs(sum) < 1e-3);
            assert_true(frames == 0 || fabs(square / (double)frames - 1) < 1e-3 || square < 1e-3);
        }
    }
    am_features_free(own);
    /* nothing lies further below the loudest than the range, which goes into the file form */
    struct am_features *near =
        fit("sound: {sample_rate: 8000, normalize: none, seconds: 0.4, range_db: 20}\n", 9, 1);
    struct am_features *again;
    OK(am_features_from_node(am_features_to_node(near, arena), &again, &err));
    y = apply(again, cells, SOUNDS);
    for (size_t i = 0; i < SOUNDS; i++) {
        float low = INFINITY, high = -INFINITY;
        for (size_t k = 0; k < width; k++) {
            low = fminf(low, y[i * width + k]);
            high = fmaxf(high, y[i * width + k]);
        }
        assert_true((double)(high - low) < 20.001 && (i == 7 || (double)(high - low) > 19.9));
    }
    am_features_free(near);
    am_features_free(again);
    static const char *const bad[] = {"sound: {encode: onehot}\n",
                                      "sound: {seconds: 0}\n",
                                      "sound: {n_mfcc: 50}\n",
                                      "sound: {hop: 1000}\n",
                                      "sound: {high_hz: 9000}\n",
                                      "sound: {buckets: 8}\n",
                                      "sound: {range_db: 0.5}\n",
                                      "sound: {normalize: unit}\n",
                                      "sound: {low_hz: 500, high_hz: 400}\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct am_features_config config = {
            .spec = spec_of(arena, bad[i]), .schema = &sound_schema, .task = AM_TASK_REGRESSION};
        struct am_features_fit *ft;
        enum am_rc rc = am_features_fit_new(&config, &ft, &err);
        if (i == 2) /* says nothing of logmel */
            am_features_fit_free(rc == AM_OK ? ft : NULL);
        else
            assert_int_equal(rc, AM_EUSAGE);
    }
}

static void test_bad_sounds(void **state)
{
    (void)state;
    struct am_features *f = fit("sound: {seconds: 0.1}\n", SOUNDS, 1);
    float *out = am_arena_array(arena, 3 * am_features_width(f), sizeof *out);
    const struct am_str bad[] = {
        {"", 0},                    /* zero bytes */
        {cells[0].ptr, 100},        /* truncated */
        {"AMAUxxxxxxxxxxxxxxx", 19} /* no header */
    };
    for (size_t i = 0; i < 3; i++) {
        struct am_str x[3] = {cells[1], cells[2], bad[i]};
        struct am_column col = {.type = AM_COL_AUDIO, .text = x};
        struct am_batch b = {.n_rows = 3, .n_columns = 1, .columns = &col};
        assert_int_equal(am_features_apply(f, &b, out, &err), AM_EINVAL);
        assert_non_null(strstr(err.message, "row 3"));
        assert_non_null(strstr(err.message, "\"sound\""));
    }
    am_features_free(f);
}

/* Every allocation of fitting and applying fails once. */
static void test_memory(void **state)
{
    (void)state;
    struct am_features_config config = {.spec = spec_of(arena, "sound: {encode: mfcc}\n"),
                                        .schema = &sound_schema,
                                        .task = AM_TASK_REGRESSION};
    struct am_column col = {.type = AM_COL_AUDIO, .text = cells};
    struct am_batch b = {.n_rows = 3, .n_columns = 1, .columns = &col};
    for (long n = 1;; n++) {
        struct am_features_fit *ft = NULL;
        struct am_features *f = NULL;
        am_alloc_fail_nth(n, false);
        enum am_rc rc = am_features_fit_new(&config, &ft, &err);
        if (rc == AM_OK)
            rc = am_features_fit_update(ft, &b, NULL, NULL, &err);
        if (rc == AM_OK)
            rc = am_features_fit_finish(ft, &f, &err);
        if (rc == AM_OK) {
            float *out = am_alloc_array(3 * am_features_width(f), sizeof *out);
            rc = out ? am_features_apply(f, &b, out, &err) : AM_ENOMEM;
            am_free(out);
        }
        long hits = am_alloc_hook_hits();
        am_alloc_fail_nth(0, false);
        am_features_free(f);
        am_features_fit_free(ft);
        if (hits == 0) {
            OK(rc);
            break;
        }
        assert_int_equal(rc, AM_ENOMEM);
    }
}

static int setup_all(void **state)
{
    if (setup(state) != 0)
        return -1;
    make_sounds();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fft),      cmocka_unit_test(test_parts),
        cmocka_unit_test(test_mels),     cmocka_unit_test(test_column),
        cmocka_unit_test(test_settings), cmocka_unit_test(test_bad_sounds),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown);
}
