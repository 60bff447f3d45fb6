/* Models: written, read back, predicted with; what must be refused; memory and files that fail. */
#include "fixture.h"

#include <math.h>

#include "tensor/kernels.h"

/* The reference: y computed by plain loops over the parameters in double. */
static double by_hand(const struct fixture *f, const float *x, size_t n_x, size_t out)
{
    static double a[1 << 20], b[1 << 20];
    size_t n = n_x;
    for (size_t i = 0; i < n; i++)
        a[i] = x[i];
    for (size_t k = 0; k < f->params->n_params; k += 2) {
        const float *w = am_param_data(f->params, k), *bias = am_param_data(f->params, k + 1);
        size_t m = (size_t)f->params->table[k].dims.d[1];
        bool last = k + 2 == f->params->n_params;
        for (size_t j = 0; j < m; j++) {
            b[j] = bias[j];
            for (size_t i = 0; i < n; i++)
                b[j] += a[i] * w[i * m + j];
            if (!last && b[j] < 0)
                b[j] = 0;
        }
        memcpy(a, b, m * sizeof *a);
        n = m;
    }
    if (f->spec.output == AM_MODEL_VALUE)
        return a[0];
    if (n == 1)
        return out == 1 ? 1 / (1 + exp(-a[0])) : 1 - 1 / (1 + exp(-a[0]));
    double sum = 0;
    for (size_t j = 0; j < n; j++)
        sum += exp(a[j]);
    return exp(a[out]) / sum;
}

static void check_predictions(const struct fixture *f, struct am_model *m)
{
    struct am_predictor *p;
    struct am_prediction out = {0};
    struct am_err err;
    size_t width = am_features_width(f->features), n_classes = am_model_info(m)->n_classes;
    float *x = test_malloc(FIXTURE_ROWS * width * sizeof *x);
    must(am_features_apply(f->features, &f->batch, x, &err));
    must(am_predictor_new(m, NULL, &p, &err));
    must(am_model_predict(p, &f->batch, &out, &err));
    assert_int_equal(out.n_rows, FIXTURE_ROWS);
    assert_int_equal(out.n_classes, n_classes);
    for (size_t i = 0; i < FIXTURE_ROWS; i++) {
        size_t best = 0;
        for (size_t c = 0; c < n_classes; c++) {
            double want = by_hand(f, x + i * width, width, c);
            assert_near(out.probability[i * n_classes + c], want, 1e-5);
            if (out.probability[i * n_classes + c] > out.probability[i * n_classes + best])
                best = c;
        }
        if (n_classes == 0) {
            assert_near(out.value[i], by_hand(f, x + i * width, width, 0), 1e-3);
        } else {
            assert_int_equal(out.label[i], best);
            assert_near(out.value[i], out.probability[i * n_classes + best], 0);
        }
    }
    am_prediction_clear(&out);
    am_predictor_free(p);
    test_free(x);
}

static void round_trip(enum fixture_kind kind)
{
    struct fixture f;
    struct am_model *m;
    struct am_buf bytes;
    struct am_err err;
    struct am_model_options keep = {.flags = AM_MODEL_KEEP_WEIGHTS};
    fixture_init(&f, kind, 5);
    am_buf_init(&bytes, SIZE_MAX);
    must(am_model_to_bytes(&f.spec, &bytes, &err));
    must(am_model_open_bytes(am_buf_view(&bytes), &keep, &m, &err));
    const struct am_model_info *i = am_model_info(m);
    assert_true(am_str_is(i->name, "small"));
    assert_int_equal(i->version, 3);
    assert_int_equal(i->inputs->n, 5);
    assert_int_equal(i->n_ids, 1);
    assert_true(am_str_is(i->ids[0], "patient"));
    assert_true(am_str_is(i->target, "answer"));
    assert_int_equal(i->n_parameters, f.params->n_values);
    assert_int_equal(strlen(i->hash), 64);
    assert_true(i->same_profile);
    assert_int_equal(i->all_numbers, kind != FIXTURE_MIXED);
    assert_memory_equal(am_model_params(m)->data, f.params->data, am_params_bytes(f.params));
    assert_true(am_str_eq(am_model_recipe(m), f.spec.recipe));
    check_predictions(&f, m);
    am_model_put(m);
    am_buf_clear(&bytes);
    fixture_clear(&f);
}

static void test_binary(void **state)
{
    (void)state;
    round_trip(FIXTURE_BINARY);
}
static void test_mixed(void **state)
{
    (void)state;
    round_trip(FIXTURE_MIXED);
}
static void test_regression(void **state)
{
    (void)state;
    round_trip(FIXTURE_REGRESSION);
}

/* Cells are bytes: they come back as they were, whatever stands in them, and no decoder is asked.
 */
static void same_sample(const struct fixture *f, const struct am_model *m)
{
    struct am_batch want;
    struct am_err err;
    const struct am_batch *got = am_model_sample(m);
    bool seen = false;
    must(am_features_sample(f->features, UINT64_C(0x61696d617373), 4, f->arena, &want, &err));
    assert_int_equal(got->n_rows, 4);
    for (size_t c = 0; c < got->n_columns; c++)
        for (size_t i = 0; i < got->n_rows && am_col_is_media(got->columns[c].type); i++) {
            struct am_str g = got->columns[c].text[i], w = want.columns[c].text[i];
            assert_int_equal(g.len, w.len);
            assert_int_equal(g.ptr == NULL, w.ptr == NULL);
            assert_true(am_str_eq(g, w));
            seen |= memchr(g.ptr ? g.ptr : "", 0, g.len) != NULL;
        }
    assert_true(seen);
}

static void media_round_trip(enum fixture_kind kind, const char *types)
{
    struct fixture f;
    struct am_model *m;
    struct am_buf bytes, json;
    struct am_err err;
    struct am_arena *a = am_arena_new(0);
    fixture_init(&f, kind, 0);
    am_buf_init(&bytes, SIZE_MAX);
    am_buf_init(&json, SIZE_MAX);
    must(am_model_to_bytes(&f.spec, &bytes, &err));
    must(am_model_open_bytes(am_buf_view(&bytes), NULL, &m, &err));
    assert_false(am_model_info(m)->all_numbers);
    assert_true(am_model_info(m)->same_profile);
    same_sample(&f, m);
    check_predictions(&f, m);
    am_node_to_json(am_node_get(am_model_describe(m, a), "inputs"), AM_JSON_COMPACT, &json);
    assert_string_equal(json.ptr, types);
    am_model_put(m);
    am_buf_clear(&json);
    am_buf_clear(&bytes);
    am_arena_free(a);
    fixture_clear(&f);
}

static void test_media(void **state)
{
    (void)state;
    media_round_trip(FIXTURE_PICTURE, "[{\"name\":\"col0\",\"type\":\"image\"}]");
    media_round_trip(FIXTURE_MEDIA,
                     "[{\"name\":\"col0\",\"type\":\"number\"},{\"name\":\"col1\",\"type\":"
                     "\"image\"},{\"name\":\"col2\",\"type\":\"audio\"},"
                     "{\"name\":\"col3\",\"type\":\"video\"}]");
}

/* A package whose sample.json is this text. */
static enum am_rc open_with_sample(const struct am_package *p, struct am_str sample,
                                   struct am_err *err)
{
    struct am_package_content c = {.manifest = am_package_manifest(p)};
    struct am_buf b;
    struct am_model *m = NULL;
    for (int i = 1; i < AM_PART_SIGNATURE; i++)
        c.parts[i] = am_package_part(p, (enum am_package_part)i);
    c.parts[AM_PART_SAMPLE] = sample;
    am_buf_init(&b, SIZE_MAX);
    assert_int_equal(am_package_build(&c, &b, err), AM_OK);
    enum am_rc rc = am_model_open_bytes(am_buf_view(&b), NULL, &m, err);
    am_model_put(m);
    am_buf_clear(&b);
    return rc;
}

static void test_media_sample_refused(void **state)
{
    struct fixture f;
    struct am_package *p;
    struct am_buf bytes;
    struct am_err err;
    (void)state;
    fixture_init(&f, FIXTURE_PICTURE, 0);
    am_buf_init(&bytes, SIZE_MAX);
    must(am_model_to_bytes(&f.spec, &bytes, &err));
    must(am_package_open_bytes(am_buf_view(&bytes), NULL, &p, &err));
    struct am_str s = am_package_part(p, AM_PART_SAMPLE);
    char *text = test_malloc(s.len + 1);
    static const char broken[] = {'*', '-', '=', ' '};
    assert_int_equal(open_with_sample(p, s, &err), AM_OK);
    for (size_t i = 0; i < sizeof broken; i++) { /* in the first cell's base64 */
        memcpy(text, s.ptr, s.len);
        text[s.len] = 0;
        char *cell = strstr(text, "QU1JT"); /* "AMI" */
        assert_non_null(cell);
        cell[40] = broken[i];
        assert_int_equal(open_with_sample(p, (struct am_str){text, s.len}, &err), AM_ECORRUPT);
        assert_non_null(strstr(err.message, "column \"col0\" is no image"));
    }
    memcpy(text, s.ptr, s.len); /* another picture: the answers do not come out */
    char *cell = strstr(text, "QU1JT");
    memset(cell + 40, 'A', 40);
    assert_int_equal(open_with_sample(p, (struct am_str){text, s.len}, &err), AM_ECORRUPT);
    memcpy(text, s.ptr, s.len); /* a picture that is none */
    strstr(text, "QU1JT")[4] = 'A';
    assert_int_not_equal(open_with_sample(p, (struct am_str){text, s.len}, &err), AM_OK);
    test_free(text);
    am_package_close(p);
    am_buf_clear(&bytes);
    fixture_clear(&f);
}

static void open_fixture(struct fixture *f, enum fixture_kind kind, struct am_model **m)
{
    struct am_buf bytes;
    struct am_err err;
    fixture_init(f, kind, 5);
    am_buf_init(&bytes, SIZE_MAX);
    must(am_model_to_bytes(&f->spec, &bytes, &err));
    must(am_model_open_bytes(am_buf_view(&bytes), NULL, m, &err));
    am_buf_clear(&bytes);
}

/* Batches are cut into runs; the cut must not show, nor which of the two ways rows come in. */
static void test_rows_and_cuts(void **state)
{
    struct fixture f;
    struct am_model *m;
    struct am_predictor *p;
    struct am_err err;
    enum { ROWS = 300 };
    double x[ROWS * 5];
    float one[2], *all = test_malloc(ROWS * 2 * sizeof *all),
                  *cols = test_malloc(ROWS * 2 * sizeof *all);
    double *columns = test_malloc(ROWS * 5 * sizeof *columns);
    struct am_column c[5];
    struct am_rng r;
    (void)state;
    open_fixture(&f, FIXTURE_BINARY, &m);
    am_rng_init(&r, 1, AM_RNG_USER);
    for (size_t i = 0; i < ROWS; i++)
        for (size_t j = 0; j < 5; j++) {
            x[i * 5 + j] = i % 17 == j ? (double)NAN : 20 * am_rng_unit(&r);
            columns[j * ROWS + i] = x[i * 5 + j];
        }
    for (size_t j = 0; j < 5; j++)
        c[j] = (struct am_column){.type = AM_COL_NUMBER, .number = columns + j * ROWS};
    struct am_batch b = {.n_rows = ROWS, .n_columns = 5, .columns = c};
    must(am_predictor_new(m, NULL, &p, &err));
    must(am_predict_rows(p, x, ROWS, &(struct am_answer){.probability = all}, &err));
    must(am_predict(p, &b, &(struct am_answer){.probability = cols}, &err));
    assert_memory_equal(all, cols, ROWS * 2 * sizeof *all);
    for (size_t i = 0; i < ROWS; i++) {
        must(am_predict_rows(p, x + i * 5, 1, &(struct am_answer){.probability = one}, &err));
        assert_memory_equal(one, all + 2 * i, sizeof one);
    }
    must(am_predict_rows(p, x, 0, &(struct am_answer){.probability = NULL}, &err));
    am_predictor_free(p);
    am_model_put(m);
    test_free(columns);
    test_free(cols);
    test_free(all);
    fixture_clear(&f);
}

/* Labels follow the threshold, which is part of the package. */
static void test_threshold(void **state)
{
    struct fixture f;
    struct am_buf bytes;
    struct am_err err;
    (void)state;
    fixture_init(&f, FIXTURE_BINARY, 5);
    am_buf_init(&bytes, SIZE_MAX);
    for (int k = 0; k <= 2; k++) {
        struct am_model *m;
        struct am_predictor *p;
        struct am_prediction out = {0};
        f.spec.threshold = k / 2.0;
        must(am_model_to_bytes(&f.spec, &bytes, &err));
        must(am_model_open_bytes(am_buf_view(&bytes), NULL, &m, &err));
        assert_near(am_model_info(m)->threshold, k / 2.0, 0);
        must(am_predictor_new(m, NULL, &p, &err));
        must(am_model_predict(p, &f.batch, &out, &err));
        for (size_t i = 0; i < FIXTURE_ROWS; i++)
            assert_int_equal(out.label[i], out.probability[2 * i + 1] >= (float)f.spec.threshold);
        am_prediction_clear(&out);
        am_predictor_free(p);
        am_model_put(m);
        am_buf_clear(&bytes);
    }
    f.spec.threshold = 1.5;
    assert_int_equal(am_model_to_bytes(&f.spec, &bytes, &err), AM_EINVAL);
    am_buf_clear(&bytes);
    fixture_clear(&f);
}

/* A warm predictor allocates nothing: every allocation is made to fail. */
static void test_no_allocation(void **state)
{
    struct fixture f;
    struct am_model *m;
    struct am_predictor *p;
    struct am_err err;
    double x[5] = {1, 2, 3, 4, 5};
    float prob[FIXTURE_ROWS * 2];
    (void)state;
    open_fixture(&f, FIXTURE_BINARY, &m);
    must(am_predictor_new(m, NULL, &p, &err));
    must(am_predict(p, &f.batch, &(struct am_answer){.probability = prob}, &err));
    am_alloc_fail_nth(1, true);
    enum am_rc one = am_predict_rows(p, x, 1, &(struct am_answer){.probability = prob}, &err);
    enum am_rc many = am_predict(p, &f.batch, &(struct am_answer){.probability = prob}, &err);
    long hits = am_alloc_hook_hits();
    am_alloc_fail_nth(0, false);
    assert_int_equal(one, AM_OK);
    assert_int_equal(many, AM_OK);
    assert_int_equal(hits, 0);
    am_predictor_free(p);
    am_model_put(m);
    fixture_clear(&f);
}

static void test_wrong_batches(void **state)
{
    struct fixture f;
    struct am_model *m;
    struct am_predictor *p;
    struct am_prediction out = {0};
    struct am_err err;
    double x[5] = {0};
    (void)state;
    open_fixture(&f, FIXTURE_MIXED, &m);
    must(am_predictor_new(m, NULL, &p, &err));
    struct am_batch b = f.batch;
    b.n_columns--;
    assert_int_equal(am_model_predict(p, &b, &out, &err), AM_EINVAL);
    assert_non_null(strstr(err.message, "needs 5"));
    struct am_column c[5];
    memcpy(c, f.batch.columns, sizeof c);
    c[2] = c[0];
    b = f.batch;
    b.columns = c;
    assert_int_equal(am_model_predict(p, &b, &out, &err), AM_EINVAL);
    assert_non_null(strstr(err.message, "\"col2\" is given as number"));
    assert_int_equal(am_predict_rows(p, x, 1, &(struct am_answer){.value = NULL}, &err), AM_EINVAL);
    am_prediction_clear(&out);
    am_predictor_free(p);
    am_model_put(m);
    fixture_clear(&f);
}

/* Weights whose sums overflow: training never makes them, a file might. */
static void test_output_not_finite(void **state)
{
    struct fixture f;
    struct am_model *m;
    struct am_predictor *p;
    struct am_prediction out = {0};
    struct am_buf bytes;
    struct am_err err;
    double far[5] = {3e38, 3e38, 3e38, 3e38, 3e38};
    (void)state;
    fixture_init(&f, FIXTURE_REGRESSION, 5);
    for (size_t i = 0; i < f.params->table[0].n; i++)
        f.params->data[i] = 1e3f;
    am_buf_init(&bytes, SIZE_MAX);
    must(am_model_to_bytes(&f.spec, &bytes, &err));
    must(am_model_open_bytes(am_buf_view(&bytes), NULL, &m, &err));
    must(am_predictor_new(m, NULL, &p, &err));
    double value;
    assert_int_equal(am_predict_rows(p, far, 1, &(struct am_answer){.value = &value}, &err),
                     AM_EINVAL);
    assert_non_null(strstr(err.message, "row 0"));
    assert_true(err.hint[0]);
    am_predictor_free(p);
    am_model_put(m);
    am_buf_clear(&bytes);
    f.params->data[3] = NAN; /* and a NaN in the weights is not even written */
    assert_int_equal(am_model_to_bytes(&f.spec, &bytes, &err), AM_EINVAL);
    am_buf_clear(&bytes);
    am_prediction_clear(&out);
    fixture_clear(&f);
}

/* Equal specs, equal bytes; and a person's row is nowhere in them. */
static void test_bytes_repeat(void **state)
{
    struct fixture f;
    struct am_buf a, b;
    struct am_err err;
    (void)state;
    fixture_init(&f, FIXTURE_MIXED, 0);
    am_buf_init(&a, SIZE_MAX);
    am_buf_init(&b, SIZE_MAX);
    must(am_model_to_bytes(&f.spec, &a, &err));
    must(am_model_to_bytes(&f.spec, &b, &err));
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.ptr, b.ptr, a.len);
    for (size_t i = 0; i < FIXTURE_ROWS; i++) {
        char number[AM_DOUBLE_CHARS];
        size_t n = am_print_double(f.batch.columns[0].number[i], number);
        assert_null(memmem(a.ptr, a.len, number, n));
    }
    am_buf_clear(&a);
    am_buf_clear(&b);
    fixture_clear(&f);
}

static void test_describe_and_card(void **state)
{
    struct fixture f;
    struct am_model *m;
    struct am_arena *a = am_arena_new(0);
    struct am_node *metrics = am_new_map(a), *test = am_new_map(a), *d;
    struct am_buf bytes;
    struct am_err err;
    (void)state;
    fixture_init(&f, FIXTURE_BINARY, 5);
    am_node_set(a, test, "roc_auc", am_new_f64(a, 0.98765));
    am_node_set(a, metrics, "test", test);
    f.spec.metrics = metrics;
    f.spec.description = AM_STR("For <b>doctors</b> | only");
    f.spec.seed = UINT64_MAX;
    f.spec.created_us = 1;
    am_buf_init(&bytes, SIZE_MAX);
    must(am_model_to_bytes(&f.spec, &bytes, &err));
    must(am_model_open_bytes(am_buf_view(&bytes), NULL, &m, &err));
    d = am_model_describe(m, a);
    assert_near(am_node_f64(am_node_path(d, "metrics.test"), "roc_auc", 0), 0.98765, 0);
    assert_true(
        am_str_is(am_node_str(am_node_get(d, "lineage"), "seed", ""), "18446744073709551615"));
    assert_true(am_str_is(am_node_str(d, "task", ""), "binary"));
    assert_null(am_node_get(d, "entries"));
    struct am_str card = am_model_card(m);
    assert_non_null(memmem(card.ptr, card.len, "0.9877", 6));
    assert_non_null(memmem(card.ptr, card.len, "&lt;b\\>doctors", 14));
    assert_non_null(memmem(card.ptr, card.len, "| class1 | 30 |", 15));
    am_model_put(m);
    am_buf_clear(&bytes);
    am_arena_free(a);
    fixture_clear(&f);
}

/* Parts that do not fit each other are not written. */
static void test_spec_refused(void **state)
{
    struct fixture f, g;
    struct am_buf bytes;
    struct am_err err;
    (void)state;
    fixture_init(&f, FIXTURE_BINARY, 5);
    fixture_init(&g, FIXTURE_REGRESSION, 4);
    am_buf_init(&bytes, SIZE_MAX);
    struct am_model_spec s = f.spec;
    s.features = g.features;
    assert_int_equal(am_model_to_bytes(&s, &bytes, &err), AM_EINVAL);
    s = f.spec;
    s.params = g.params;
    assert_int_equal(am_model_to_bytes(&s, &bytes, &err), AM_EINVAL);
    s = f.spec;
    s.output = AM_MODEL_VALUE;
    assert_int_equal(am_model_to_bytes(&s, &bytes, &err), AM_EINVAL);
    s = f.spec;
    s.name = AM_STR("../up");
    assert_int_equal(am_model_to_bytes(&s, &bytes, &err), AM_EINVAL);
    s = f.spec;
    s.target = g.target;
    assert_int_equal(am_model_to_bytes(&s, &bytes, &err), AM_EINVAL);
    assert_int_equal(bytes.len, 0);
    am_buf_clear(&bytes);
    fixture_clear(&g);
    fixture_clear(&f);
}

/* The stored sample is run at every load: other weights under right checksums are refused. */
static void test_sample_refuses(void **state)
{
    struct fixture f;
    struct am_model *m;
    struct am_package *p;
    struct am_buf a, b;
    struct am_err err;
    struct am_package_content c = {0};
    (void)state;
    fixture_init(&f, FIXTURE_BINARY, 5);
    am_buf_init(&a, SIZE_MAX);
    am_buf_init(&b, SIZE_MAX);
    must(am_model_to_bytes(&f.spec, &a, &err));
    must(am_package_open_bytes(am_buf_view(&a), NULL, &p, &err));
    c.manifest = am_package_manifest(p);
    for (int i = 1; i < AM_PART_SIGNATURE; i++)
        c.parts[i] = am_package_part(p, (enum am_package_part)i);
    must(am_package_build(&c, &b, &err));
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.ptr, b.ptr, a.len); /* a package rebuilt from its parts is the same */
    char *weights = test_malloc(c.parts[AM_PART_WEIGHTS].len);
    memcpy(weights, c.parts[AM_PART_WEIGHTS].ptr, c.parts[AM_PART_WEIGHTS].len);
    float *last = (float *)(void *)(weights + c.parts[AM_PART_WEIGHTS].len - sizeof(float));
    *last += 0.25f; /* the output's bias */
    c.parts[AM_PART_WEIGHTS].ptr = weights;
    am_buf_reset(&b);
    must(am_package_build(&c, &b, &err));
    assert_int_equal(am_model_open_bytes(am_buf_view(&b), NULL, &m, &err), AM_ECORRUPT);
    assert_non_null(strstr(err.message, "sample"));
    test_free(weights);
    am_package_close(p);
    am_buf_clear(&a);
    am_buf_clear(&b);
    fixture_clear(&f);
}

static enum am_rc write_and_open(const struct am_model_spec *s, struct am_model **m,
                                 struct am_err *err)
{
    struct am_buf bytes;
    enum am_rc rc;
    am_buf_init(&bytes, SIZE_MAX);
    AM_GO(rc, am_model_to_bytes(s, &bytes, err));
    rc = am_model_open_bytes(am_buf_view(&bytes), NULL, m, err);
out:
    am_buf_clear(&bytes);
    return rc;
}

static enum am_rc predict_once(struct am_model *m, const struct am_batch *b, struct am_err *err)
{
    struct am_predictor *p = NULL;
    struct am_prediction out = {0};
    enum am_rc rc;
    AM_GO(rc, am_predictor_new(m, NULL, &p, err));
    rc = am_model_predict(p, b, &out, err);
out:
    am_prediction_clear(&out);
    am_predictor_free(p);
    return rc;
}

static void test_out_of_memory(void **state)
{
    struct fixture f;
    struct am_model *m = NULL;
    struct am_err err;
    (void)state;
    fixture_init(&f, FIXTURE_PICTURE, 0);
    AM_OOM_LOOP(write_and_open(&f.spec, &m, &err), am_model_put(m));
    fixture_clear(&f);
    fixture_init(&f, FIXTURE_MIXED, 0);
    AM_OOM_LOOP(write_and_open(&f.spec, &m, &err), am_model_put(m));
    must(write_and_open(&f.spec, &m, &err));
    AM_OOM_LOOP(predict_once(m, &f.batch, &err), (void)0);
    am_model_put(m);
    fixture_clear(&f);
}

static void test_failing_files(void **state)
{
    struct fixture f;
    struct am_model *m = NULL;
    struct am_err err;
    char *dir = fixture_dir(), path[4200];
    (void)state;
    snprintf(path, sizeof path, "%s/m.aim", dir);
    fixture_init(&f, FIXTURE_BINARY, 5);
    AM_IO_LOOP(am_model_write(&f.spec, path, &err), must(am_fs_remove_tree(path, &err)),
               if (am_fs_exists(path)) must(am_fs_remove_tree(path, &err)));
    must(am_model_write(&f.spec, path, &err));
    AM_IO_LOOP(am_model_open(path, NULL, &m, &err), am_model_put(m), (void)0);
    struct am_model_options map = {.package = {.flags = AM_PACKAGE_MAP | AM_PACKAGE_TRUSTED}};
    must(am_model_open(path, &map, &m, &err));
    assert_int_equal(am_model_info(m)->hash[0], 0);
    check_predictions(&f, m);
    am_model_put(m);
    assert_int_equal(am_model_open(dir, NULL, &m, &err), AM_EINVAL);
    snprintf(path, sizeof path, "%s/none.aim", dir);
    assert_int_equal(am_model_open(path, NULL, &m, &err), AM_ENOTFOUND);
    fixture_clear(&f);
    fixture_dir_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_binary),        cmocka_unit_test(test_mixed),
        cmocka_unit_test(test_regression),    cmocka_unit_test(test_rows_and_cuts),
        cmocka_unit_test(test_threshold),     cmocka_unit_test(test_no_allocation),
        cmocka_unit_test(test_wrong_batches), cmocka_unit_test(test_output_not_finite),
        cmocka_unit_test(test_bytes_repeat),  cmocka_unit_test(test_describe_and_card),
        cmocka_unit_test(test_spec_refused),  cmocka_unit_test(test_sample_refuses),
        cmocka_unit_test(test_media),         cmocka_unit_test(test_media_sample_refused),
        cmocka_unit_test(test_out_of_memory), cmocka_unit_test(test_failing_files),
    };
    return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
