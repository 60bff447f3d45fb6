/* Fitting of sounds (length, mean and deviation of each channel) and of token columns (vocabulary,
 * length).
 *
 * Sounds are decoded on the pool, a block of rows at a time; statistics take their frames in
 * dataset order, whole frames of whole sounds and never padding, so neither threads nor batches
 * change a bit. Tokens are counted by the column's one thread. */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/pool.h"
#include "feature/fit_int.h"
#include "feature/segment.h"

#define SECONDS_MOST 30.0 /* of sounds whose length the recipe does not say */
#define SECONDS_NONE 1.0  /* no sound at all */
#define LENGTH_MOST 512   /* tokens, likewise */
#define LENGTH_NONE 16
#define SHARE 0.95 /* of the rows that must fit whole */
#define BLOCK 64   /* sounds decoded at a time */

/* ---- sounds ---- */

enum am_rc am_ffit_sound_init(struct am_features_fit *fit, struct am_ffit_col *c,
                              struct am_err *err)
{
    enum am_rc rc = am_sound_plan_new(&c->spec.sound, fit->arena, &c->plan, err);
    if (rc != AM_EINVAL)
        return rc;
    am_context(err, "features.%.*s", AM_FMT(c->name)); /* a setting out of its range */
    return AM_EUSAGE;
}

/* The longest sound that is looked at, in samples. */
static uint64_t most_samples(const struct am_ffit_col *c)
{
    const struct am_sound_config *s = &c->spec.sound;
    if (c->spec.seconds > 0)
        return (uint64_t)llround(c->spec.seconds * s->sample_rate);
    uint64_t frames = AM_LIMIT_FEATURES / am_sound_channels(c->plan) - 1;
    uint64_t fit = s->encode == AM_SOUND_WAVEFORM ? frames : frames * s->hop;
    uint64_t most = (uint64_t)(SECONDS_MOST * s->sample_rate);
    return fit < most ? fit : most;
}

struct heard { /* one row; n_samples 0 = missing */
    uint64_t n_samples;
    size_t n_frames;
    float *features; /* owned, [n_frames, channels]; NULL when not asked for */
};

struct hearing {
    const struct am_ffit_col *c;
    const struct am_str *cells;
    struct heard *out;
    pthread_mutex_t lock; /* of the fields below: the error of the first row */
    size_t failed;
    enum am_rc rc;
    struct am_err err;
};

static enum am_rc hear_one(const struct hearing *h, size_t row, struct am_err *err)
{
    const struct am_ffit_col *c = h->c;
    struct heard *out = &h->out[row];
    struct am_wave w;
    uint64_t most = most_samples(c);
    if (h->cells[row].ptr == NULL)
        return AM_OK;
    AM_TRY(am_sound_load(c->plan, h->cells[row], c->spec.sound.trim_db > 0 ? 0 : most, &w, err));
    out->n_samples = w.n < most ? w.n : most;
    out->n_frames = am_sound_frames(c->plan, out->n_samples);
    enum am_rc rc = AM_OK;
    if (c->n_moments > 0) {
        size_t channels = am_sound_channels(c->plan);
        out->features = am_alloc_array(out->n_frames * channels, sizeof *out->features);
        rc = out->features
                 ? am_sound_features(c->plan, w.samples, out->n_samples, out->features, err)
                 : am_fail_nomem(err, out->n_frames * channels * sizeof *out->features);
    }
    am_wave_clear(&w);
    return rc;
}

static void hear_rows(void *ctx, size_t begin, size_t end)
{
    struct hearing *h = ctx;
    for (size_t i = begin; i < end; i++) {
        struct am_err err;
        am_err_clear(&err);
        enum am_rc rc = hear_one(h, i, &err);
        if (rc == AM_OK)
            continue;
        pthread_mutex_lock(&h->lock);
        if (i < h->failed) {
            h->failed = i;
            h->rc = rc;
            h->err = err;
        }
        pthread_mutex_unlock(&h->lock);
    }
}

static enum am_rc add_sound(struct am_ffit_col *c, const struct heard *h, struct am_err *err)
{
    if (h->n_samples == 0) {
        c->n_missing++;
        return AM_OK;
    }
    if (c->quantile)
        AM_TRY(am_quantile_add(c->quantile, (double)h->n_samples, err));
    for (size_t t = 0; h->features && t < h->n_frames; t++) {
        for (size_t k = 0; k < c->n_moments; k++)
            am_moments_add(&c->moments[k], (double)h->features[t * c->n_moments + k]);
    }
    return AM_OK;
}

enum am_rc am_ffit_sound_update(struct am_features_fit *fit, struct am_ffit_col *c,
                                const struct am_str *cells, size_t n_rows, uint64_t first_row,
                                struct am_err *err)
{
    struct heard rows[BLOCK];
    for (size_t row = 0; row < n_rows; row += BLOCK) {
        size_t n = n_rows - row < BLOCK ? n_rows - row : BLOCK;
        struct hearing h = {.c = c, .cells = cells + row, .out = rows, .failed = SIZE_MAX};
        memset(rows, 0, sizeof rows);
        pthread_mutex_init(&h.lock, NULL);
        am_pool_for(fit->pool, n, 1, hear_rows, &h);
        pthread_mutex_destroy(&h.lock);
        for (size_t i = 0; i < n; i++) {
            if (h.rc == AM_OK)
                h.rc = add_sound(c, &rows[i], &h.err);
            am_free(rows[i].features);
        }
        if (h.rc == AM_OK)
            continue;
        if (err != NULL)
            *err = h.err;
        am_context(err, "column \"%.*s\", row %llu", AM_FMT(c->name),
                   (unsigned long long)first_row + row + (h.failed == SIZE_MAX ? 0 : h.failed) + 1);
        return h.rc;
    }
    return AM_OK;
}

static enum am_rc sound_length(struct am_ffit_col *c, struct am_sound_config *s, struct am_err *err)
{
    uint64_t most = most_samples(c);
    s->n_samples = most;
    if (!c->quantile)
        return AM_OK;
    s->n_samples = (uint64_t)(SECONDS_NONE * s->sample_rate);
    if (c->quantile->n > 0) {
        AM_TRY(am_quantile_end(c->quantile, 0, 0, err));
        s->n_samples = (uint64_t)ceil(am_quantile_at(c->quantile, SHARE));
    }
    if (s->encode != AM_SOUND_WAVEFORM) /* whole steps */
        s->n_samples = (s->n_samples + s->hop - 1) / s->hop * s->hop;
    if (s->n_samples > most)
        s->n_samples = most;
    return AM_OK;
}

enum am_rc am_ffit_sound_finish(struct am_features_fit *fit, struct am_ffit_col *c,
                                struct am_arena *a, struct am_fcol *out, struct am_err *err)
{
    out->sound = c->spec.sound;
    AM_TRY(sound_length(c, &out->sound, err));
    if (c->n_moments > 0) {
        double *shift = am_arena_array(a, c->n_moments, sizeof *shift);
        double *mul = am_arena_array(a, c->n_moments, sizeof *mul);
        AM_TRY(am_arena_check(a, err));
        for (size_t k = 0; k < c->n_moments; k++) {
            mul[k] = 1;
            am_moments_flush(&c->moments[k]);
            if (c->moments[k].n > 0)
                am_ffit_affine(AM_FS_STANDARD, &c->moments[k], &shift[k], &mul[k]);
        }
        out->channel_shift = shift;
        out->channel_mul = mul;
    }
    if (c->n_missing == fit->n_rows)
        return am_ffit_note(fit, err, "column \"%.*s\" has no sound in the training rows",
                            AM_FMT(c->name));
    return am_ffit_note(fit, err,
                        "column \"%.*s\": sounds are cut or filled to %.3g seconds, %zu x %zu "
                        "numbers",
                        AM_FMT(c->name), (double)out->sound.n_samples / out->sound.sample_rate,
                        am_sound_frames(c->plan, out->sound.n_samples), am_sound_channels(c->plan));
}

/* ---- tokens ---- */

enum am_rc am_ffit_tokens_update(struct am_ffit_col *c, const struct am_str *cells, size_t n_rows,
                                 struct am_err *err)
{
    struct am_token_scan s;
    if (c->spec.kind == AM_F_SEGMENTS)
        AM_TRY(am_segments_open(err));
    for (size_t i = 0; i < n_rows; i++) {
        if (cells[i].ptr == NULL) {
            c->n_missing++;
            continue;
        }
        uint64_t n = 0;
        size_t index;
        if (!am_token_scan_init(&s, cells[i], am_fkind_unit(c->spec.kind), c->spec.lower))
            return am_fail_nomem(err, 1);
        for (; am_token_next(&s); n++) {
            enum am_rc rc = am_counts_add(c->counts, (struct am_str){s.token, s.n}, 1, &index, err);
            if (rc == AM_ELIMIT) {
                am_context(err, "column \"%.*s\"", AM_FMT(c->name));
                am_hint(err, "Use `encode: chars`, or `encode: words`, which keeps no list.");
            }
            if (rc != AM_OK)
                return rc;
        }
        if (c->quantile)
            AM_TRY(am_quantile_add(c->quantile, (double)n, err));
    }
    return AM_OK;
}

static int more_frequent(const void *pa, const void *pb)
{
    const struct am_label *a = pa, *b = pb;
    if (a->count != b->count)
        return a->count > b->count ? -1 : 1;
    return am_str_cmp(a->text, b->text);
}

/* The most frequent tokens, ties by bytes. */
static enum am_rc make_vocabulary(const struct am_ffit_col *c, struct am_arena *a,
                                  struct am_fcol *out, struct am_err *err)
{
    size_t n = 0;
    struct am_label *all = am_alloc_array(c->counts->map.n + 1, sizeof *all);
    if (all == NULL)
        return am_fail_nomem(err, c->counts->map.n * sizeof *all);
    for (size_t i = 0; i < c->counts->map.n; i++) {
        if (c->counts->n.ptr[i] >= c->spec.min_count)
            all[n++] = (struct am_label){.text = c->counts->map.entries[i].key,
                                         .count = c->counts->n.ptr[i]};
    }
    qsort(all, n, sizeof *all, more_frequent);
    if (n > c->spec.vocabulary)
        n = c->spec.vocabulary;
    struct am_str *list = am_arena_array(a, n + 1, sizeof *list);
    for (size_t i = 0; list != NULL && i < n; i++)
        list[i] = am_arena_str(a, all[i].text);
    am_free(all);
    out->categories = list;
    out->n_categories = n;
    return am_arena_check(a, err);
}

enum am_rc am_ffit_tokens_finish(struct am_features_fit *fit, struct am_ffit_col *c,
                                 struct am_arena *a, struct am_fcol *out, struct am_err *err)
{
    out->lower = c->spec.lower;
    out->length = c->spec.length;
    if (out->kind == AM_F_SEGMENTS)
        out->icu = am_segments_version();
    if (c->quantile) {
        out->length = LENGTH_NONE;
        if (c->quantile->n > 0) {
            AM_TRY(am_quantile_end(c->quantile, 0, 0, err));
            double n = ceil(am_quantile_at(c->quantile, SHARE));
            out->length = (size_t)fmin(fmax(n, 1), LENGTH_MOST);
        }
    }
    AM_TRY(make_vocabulary(c, a, out, err));
    if (c->n_missing == fit->n_rows)
        return am_ffit_note(fit, err, "column \"%.*s\" has no value in the training rows",
                            AM_FMT(c->name));
    return am_ffit_note(fit, err,
                        "column \"%.*s\": %zu of %zu different tokens are kept, texts are cut or "
                        "filled to %zu",
                        AM_FMT(c->name), out->n_categories, c->counts->map.n, out->length);
}
