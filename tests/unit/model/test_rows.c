/* Packages of models that learn rows: what they answer, the row in its own units, what is refused.
 */
#include "fixture.h"

#include <math.h>

#define WIDTH 4096 /* at most, of a row */

struct opened {
    struct fixture f;
    struct am_model *m;
    struct am_predictor *p;
};

static void open_own(struct opened *o, enum fixture_kind kind, enum am_task task, bool labels)
{
    struct am_buf bytes;
    struct am_err err;
    fixture_init(&o->f, kind, 5);
    fixture_own(&o->f, task, labels);
    am_buf_init(&bytes, SIZE_MAX);
    must(am_model_to_bytes(&o->f.spec, &bytes, &err));
    must(am_model_open_bytes(am_buf_view(&bytes), NULL, &o->m, &err));
    must(am_predictor_new(o->m, NULL, &o->p, &err));
    am_buf_clear(&bytes);
}

static void close_own(struct opened *o)
{
    am_predictor_free(o->p);
    am_model_put(o->m);
    fixture_clear(&o->f);
}

/* y = x W + b in double */
static void dense(const struct fixture *f, size_t k, const double *x, size_t n_in, double *y,
                  size_t n_out)
{
    const float *w = am_param_data(f->params, 2 * k), *b = am_param_data(f->params, 2 * k + 1);
    for (size_t j = 0; j < n_out; j++) {
        y[j] = (double)b[j];
        for (size_t i = 0; i < n_in; i++)
            y[j] += x[i] * (double)w[i * n_out + j];
    }
}

static void check_answers(struct opened *o, enum am_task task)
{
    struct am_prediction out = {.wanted = AM_WANT_EMBEDDING | AM_WANT_RESTORED};
    const struct am_model_info *info = am_model_info(o->m);
    size_t width = am_features_width(o->f.features);
    float *x = test_malloc(FIXTURE_ROWS * width * sizeof *x);
    struct am_err err;
    assert_true(width <= WIDTH);
    must(am_features_apply(o->f.features, &o->f.batch, x, &err));
    must(am_model_predict(o->p, &o->f.batch, &out, &err));
    assert_int_equal(info->n_embedding, 3);
    assert_int_equal(out.wanted, AM_WANT_EMBEDDING | (info->n_restored ? AM_WANT_RESTORED : 0));
    for (size_t row = 0; row < FIXTURE_ROWS; row++) {
        double in[WIDTH], code[3], back[WIDTH], score = 0, want[WIDTH];
        float given_back[WIDTH];
        for (size_t i = 0; i < width; i++)
            in[i] = (double)x[row * width + i];
        dense(&o->f, 0, in, width, code, 3);
        dense(&o->f, 1, code, 3, back, width);
        for (size_t i = 0; i < width; i++) {
            score += (in[i] - back[i]) * (in[i] - back[i]) / (double)width;
            given_back[i] = (float)back[i];
        }
        assert_near(out.value[row], score, 1e-4 * fmax(1, score));
        if (task == AM_TASK_ANOMALY)
            assert_int_equal(out.label[row], out.value[row] >= 0.75);
        for (size_t k = 0; k < 3; k++)
            assert_near((double)out.embedding[row * 3 + k], code[k], 1e-4);
        am_features_restore(o->f.features, given_back, want);
        for (size_t k = 0; k < info->n_restored; k++)
            assert_near(out.restored[row * info->n_restored + k], want[k],
                        1e-3 * fmax(1, fabs(want[k])));
    }
    am_prediction_clear(&out);
    test_free(x);
}

static void answers(void **state)
{
    (void)state;
    static const enum fixture_kind kinds[] = {FIXTURE_BINARY, FIXTURE_MIXED, FIXTURE_PICTURE};
    for (size_t i = 0; i < 3; i++) {
        struct opened o;
        open_own(&o, kinds[i], AM_TASK_ANOMALY, i != 1);
        const struct am_model_info *info = am_model_info(o.m);
        assert_int_equal(info->task, AM_TASK_ANOMALY);
        assert_int_equal(info->n_classes, 0);
        assert_int_equal(info->target.len == 0, i == 1);
        assert_near(info->threshold, 0.75, 0);
        assert_int_equal(info->restored == NULL, kinds[i] == FIXTURE_PICTURE);
        if (kinds[i] == FIXTURE_MIXED) { /* a number and a boolean of five columns */
            assert_int_equal(info->n_restored, 2);
            assert_true(am_str_is(info->restored[1], "col1"));
        }
        check_answers(&o, AM_TASK_ANOMALY);
        close_own(&o);
        open_own(&o, kinds[i], AM_TASK_EMBEDDING, false);
        check_answers(&o, AM_TASK_EMBEDDING);
        close_own(&o);
    }
}

/* One row at a time gives the bits of all rows together, by columns and as a matrix. */
static void same_bits(void **state)
{
    (void)state;
    struct opened o;
    struct am_prediction all = {.wanted = 3}, one = {.wanted = 3};
    struct am_err err;
    open_own(&o, FIXTURE_BINARY, AM_TASK_ANOMALY, true);
    size_t n = am_model_info(o.m)->inputs->n;
    must(am_model_predict(o.p, &o.f.batch, &all, &err));
    for (size_t row = 0; row < FIXTURE_ROWS; row++) {
        struct am_column columns[8];
        double x[8], score;
        int32_t label;
        for (size_t k = 0; k < n; k++) {
            columns[k] = o.f.batch.columns[k];
            columns[k].number += row;
            x[k] = columns[k].number[0];
        }
        struct am_batch b = {.n_rows = 1, .n_columns = n, .columns = columns};
        must(am_model_predict(o.p, &b, &one, &err));
        assert_memory_equal(&one.value[0], &all.value[row], sizeof *one.value);
        assert_memory_equal(one.embedding, all.embedding + row * 3, 3 * sizeof(float));
        assert_memory_equal(one.restored, all.restored + row * n, n * sizeof(double));
        must(am_predict_rows(o.p, x, 1, &(struct am_answer){.value = &score, .label = &label},
                             &err));
        assert_memory_equal(&score, &all.value[row], sizeof score);
        assert_int_equal(label, all.label[row]);
    }
    am_prediction_clear(&all);
    am_prediction_clear(&one);
    close_own(&o);
}

static void describes(void **state)
{
    (void)state;
    static const char want[] = "[{\"name\":\"anomaly_score\",\"type\":\"number\",\"shape\":[]},"
                               "{\"name\":\"is_anomaly\",\"type\":\"boolean\",\"shape\":[]},"
                               "{\"name\":\"embedding\",\"type\":\"vector\",\"shape\":[3]},"
                               "{\"name\":\"reconstruction\",\"type\":\"vector\",\"shape\":[2],"
                               "\"columns\":[\"col0\",\"col1\"]}]";
    struct am_arena *a = am_arena_new(0);
    struct opened o;
    struct am_buf b;
    open_own(&o, FIXTURE_MIXED, AM_TASK_ANOMALY, true);
    am_buf_init(&b, 1 << 20);
    am_node_to_json(am_node_get(am_model_describe(o.m, a), "outputs"), AM_JSON_COMPACT, &b);
    am_buf_char(&b, 0);
    assert_string_equal(b.ptr, want);
    struct am_str card = am_model_card(o.m);
    assert_non_null(strstr(card.ptr, "anomaly score"));
    assert_non_null(strstr(card.ptr, "0.75"));
    assert_non_null(strstr(card.ptr, "is no input"));
    am_buf_clear(&b);
    close_own(&o);
    am_arena_free(a);
}

static void refuse(struct fixture *f, const char *message)
{
    struct am_buf bytes;
    struct am_err err;
    am_buf_init(&bytes, SIZE_MAX);
    if (am_model_to_bytes(&f->spec, &bytes, &err) != AM_EINVAL || !strstr(err.message, message))
        fail_msg("wanted \"%s\": %s", message, err.message);
    am_buf_clear(&bytes);
}

static void refused(void **state)
{
    (void)state;
    struct fixture f, plain;
    fixture_init(&f, FIXTURE_BINARY, 5);
    fixture_init(&plain, FIXTURE_REGRESSION, 5);
    fixture_own(&f, AM_TASK_ANOMALY, true);
    f.spec.threshold = INFINITY;
    refuse(&f, "threshold");
    f.spec.threshold = -1;
    refuse(&f, "threshold");
    f.spec.threshold = 12; /* scores have no upper end */
    f.spec.output = AM_MODEL_PROBABILITY;
    refuse(&f, "cannot answer");
    f.spec.output = AM_MODEL_VALUE;
    f.spec.graph = plain.graph;
    f.spec.params = plain.params;
    refuse(&f, "no output \"code\"");
    fixture_clear(&f);
    fixture_clear(&plain);
}

/* The package with one text of its graph and one key of its manifest changed; NULL = as it is. */
static void hostile(const struct am_package *p, const char *from, const char *to, const char *key,
                    const char *value, const char *message)
{
    struct am_arena *a = am_arena_new(0);
    struct am_node *manifest = am_node_copy(a, am_package_manifest(p)), *v;
    struct am_package_content c = {.manifest = manifest};
    struct am_model *m = NULL;
    struct am_buf graph, bytes;
    struct am_err err;
    am_buf_init(&graph, 1 << 20);
    am_buf_init(&bytes, SIZE_MAX);
    for (int i = 1; i < AM_PART_SIGNATURE; i++)
        c.parts[i] = am_package_part(p, (enum am_package_part)i);
    am_buf_str(&graph, c.parts[AM_PART_GRAPH]);
    am_buf_char(&graph, 0);
    if (from) {
        char *at = strstr(graph.ptr, from);
        assert_non_null(at);
        assert_int_equal(strlen(from), strlen(to));
        memcpy(at, to, strlen(to));
    }
    c.parts[AM_PART_GRAPH] = (struct am_str){graph.ptr, graph.len - 1};
    if (key) {
        must(am_json_parse(a, am_str(value), "value", &v, &err));
        am_node_set(a, manifest, key, v);
    }
    must(am_package_build(&c, &bytes, &err));
    enum am_rc rc = am_model_open_bytes(am_buf_view(&bytes), NULL, &m, &err);
    if (!message) {
        assert_int_equal(rc, AM_OK);
        am_model_put(m);
    } else if (rc != AM_ECORRUPT || !strstr(err.message, message)) {
        fail_msg("%s %s: %d %s", from ? from : key, to ? to : value, (int)rc, err.message);
    }
    am_buf_clear(&graph);
    am_buf_clear(&bytes);
    am_arena_free(a);
}

static void contradictions_in_files(void **state)
{
    (void)state;
    struct fixture f;
    struct am_package *p;
    struct am_buf bytes;
    struct am_err err;
    fixture_init(&f, FIXTURE_BINARY, 5);
    fixture_own(&f, AM_TASK_ANOMALY, true);
    am_buf_init(&bytes, SIZE_MAX);
    must(am_model_to_bytes(&f.spec, &bytes, &err));
    must(am_package_open_bytes(am_buf_view(&bytes), NULL, &p, &err));
    hostile(p, NULL, NULL, NULL, NULL, NULL);
    hostile(p, "\"code\":", "\"cade\":", NULL, NULL, "no output \"code\"");
    /* rows of anomalies need not come back */
    hostile(p, "\"reconstruction\"", "\"RECONSTRUCTION\"", NULL, NULL, NULL);
    hostile(p, "\"reconstruction\": ", "\"all\":            ", NULL, NULL, "not for files");
    hostile(p, NULL, NULL, "threshold", "-1", "threshold");
    hostile(p, NULL, NULL, "threshold", "7", NULL);
    hostile(p, NULL, NULL, "task", "\"embedding\"", "task");
    hostile(p, NULL, NULL, "task", "\"regression\"", "task");
    hostile(p, NULL, NULL, "output", "\"probability\"", "cannot answer");
    hostile(p, NULL, NULL, "target", "{\"name\":\"a\",\"type\":\"text\",\"task\":\"anomaly\"}",
            "normal labels");
    hostile(p, NULL, NULL, "outputs", "[]", NULL); /* for readers only */
    am_package_close(p);
    am_buf_clear(&bytes);
    fixture_clear(&f);
}

static enum am_rc live(const struct am_buf *bytes, const struct am_batch *batch)
{
    struct am_model *m = NULL;
    struct am_predictor *p = NULL;
    struct am_prediction out = {.wanted = 3};
    struct am_err err;
    enum am_rc rc = am_model_open_bytes(am_buf_view(bytes), NULL, &m, &err);
    if (rc == AM_OK)
        rc = am_predictor_new(m, NULL, &p, &err);
    if (rc == AM_OK)
        rc = am_model_predict(p, batch, &out, &err);
    am_prediction_clear(&out);
    am_predictor_free(p);
    am_model_put(m);
    return rc;
}

static void memory(void **state)
{
    (void)state;
    struct fixture f;
    struct am_buf bytes;
    struct am_err err;
    fixture_init(&f, FIXTURE_BINARY, 3);
    fixture_own(&f, AM_TASK_ANOMALY, true);
    am_buf_init(&bytes, SIZE_MAX);
    must(am_model_to_bytes(&f.spec, &bytes, &err));
    AM_OOM_LOOP(live(&bytes, &f.batch), (void)0);
    am_buf_clear(&bytes);
    fixture_clear(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(answers),
                                       cmocka_unit_test(same_bits),
                                       cmocka_unit_test(describes),
                                       cmocka_unit_test(refused),
                                       cmocka_unit_test(contradictions_in_files),
                                       cmocka_unit_test(memory)};
    (void)fixture_dir, (void)fixture_dir_free, (void)fixture_shrink;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
