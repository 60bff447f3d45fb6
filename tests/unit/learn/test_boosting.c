/* Gradient boosting against XGBoost's own answers (goldens made by
 * tests/golden/boosting_goldens.py) and scikit-learn's histogram boosting on the same folds; the
 * same bits for any number of threads, rows in memory or in a file; pages on disk; early stopping;
 * sparse rows; weights of classes; what is refused; a library that misbehaves; memory running out.
 */
#include "learn_test.h"

#include "base/progress.h"
#include "base/rng.h"
#include "learn/trees.h"
#include "platform/modules.h"
#include "tensor/ports_abi.h"

static struct am_node *goldens;
static struct table table;
static struct am_err err;

static const char *text_of(struct am_str s, char out[64])
{
    (void)snprintf(out, 64, "%.*s", AM_FMT(s));
    return out;
}

/* As tests/golden/boosting_goldens.py does it. */
static void prepare(const struct am_node *c)
{
    char name[64];
    load_table(text_of(am_node_str(c, "data", ""), name), &table);
    for (size_t i = 0; am_node_bool(c, "gaps", false) && i < table.n; i++)
        for (size_t j = 0; j < table.f; j++)
            if ((i * table.f + j) % 7 == 0)
                table.x[i][j] = (double)NAN;
}

static const char *const models[] = {
    "depth: 4, early_stopping: 0",
    "depth: 4, early_stopping: 0",
    "depth: 3, learning_rate: 0.2, lambda: 2.5, gamma: 0.5",
    "depth: 3, learning_rate: 0.15, alpha: 0.1",
    "depth: 3, min_child_weight: 5",
    "depth: 5, bins: 32, min_child_weight: 4",
    "depth: 6, leaves: 7",
    "depth: 4, monotone: [0, 0, 1, 1, 0, 0, -1, 0, 1, 0]",
};

static void spec_of(char out[256], const char *rest, int64_t rounds)
{
    (void)snprintf(out, 256, "{type: gradient_boosting, trees: %lld%s%s}", (long long)rounds,
                   rest[0] ? ", " : "", rest);
}

static void test_goldens(void **state)
{
    (void)state;
    const struct am_node *cases = am_node_get(goldens, "cases");
    assert_int_equal(cases->list.n, sizeof models / sizeof *models);
    for (size_t c = 0; c < cases->list.n; c++) {
        const struct am_node *g = cases->list.items[c], *want = am_node_get(g, "y");
        struct am_arena *a = am_arena_new(0);
        struct am_learned l;
        char spec[256];
        static float y[MAX_ROWS * 3];
        prepare(g);
        struct am_matrix *m =
            matrix_of(&table, NULL, 0, false, am_node_bool(g, "weights", false), 0);
        spec_of(spec, models[c], am_node_i64(g, "rounds", 0));
        struct am_learn_task t = task_of(a, &table, m, spec, "");
        if (am_learner_fit(&t, &l, a, &err) != AM_OK)
            fail_msg("case %zu: %s", c, err.message);
        const size_t k = predict(&l, m, y), every = (size_t)am_node_i64(g, "every", 1);
        assert_int_equal(want->list.n, (table.n + every - 1) / every * k);
        for (size_t i = 0; i < want->list.n; i++) {
            double w = 0;
            assert_true(am_node_as_f64(want->list.items[i], &w));
            const double got = (double)y[i / k * every * k + i % k];
            if (!(fabs(got - w) <= 1e-5 * (1 + fabs(w))))
                fail_msg("case %zu, number %zu: %.8g, XGBoost says %.8g", c, i, got, w);
        }
        am_learned_clear(&l);
        am_matrix_free(m);
        am_arena_free(a);
    }
}

/* Mean of ten folds beside HistGradientBoosting's, which has 100 rounds of 31 leaves. */
static void test_folds(void **state)
{
    (void)state;
    const struct am_node *all = am_node_get(goldens, "folds");
    for (size_t c = 0; c < all->list.n; c++) {
        const struct am_node *g = all->list.items[c], *want = am_node_get(g, "scores");
        const char *part = am_node_str(g, "part", "").ptr;
        double mean = 0, theirs = 0, var = 0;
        prepare(g);
        for (char k = '0'; k <= '9'; k++) {
            struct am_arena *a = am_arena_new(0);
            struct am_learned l;
            struct am_matrix *train = matrix_of(&table, part, k, false, false, 0),
                             *test = matrix_of(&table, part, k, true, false, 0);
            struct am_learn_task t =
                task_of(a, &table, train,
                        "{type: gradient_boosting, trees: 100, leaves: 31, bins: 64, "
                        "min_child_weight: 2}",
                        "");
            assert_int_equal(am_learner_fit(&t, &l, a, NULL), AM_OK);
            mean += score(&l, test, table.n_classes) / 10;
            am_learned_clear(&l);
            am_matrix_free(train);
            am_matrix_free(test);
            am_arena_free(a);
        }
        for (size_t k = 0; k < 10; k++) {
            double v = 0;
            assert_true(am_node_as_f64(want->list.items[k], &v));
            theirs += v / 10;
            var += v * v / 10;
        }
        const double noise = sqrt((var - theirs * theirs) / 9);
        if (!(mean > theirs - 2 * noise))
            fail_msg("folds %zu: %g, scikit-learn has %g +- %g", c, mean, theirs, noise);
    }
}

/* ---- bits ---- */

#define N 6000
#define F 8
static float rows_x[N * F], rows_y[N];

/* y is a class of 0..n-1 or, for n = 0, a number. */
static void make_rows(size_t n_classes)
{
    struct am_rng r;
    am_rng_init(&r, 5, AM_RNG_USER);
    for (size_t i = 0; i < N; i++) {
        double z = 0;
        for (size_t j = 0; j < F; j++) {
            const float v = (float)am_rng_normal(&r);
            rows_x[i * F + j] = am_rng_below(&r, 20) == 0 ? NAN : v;
            z += (double)v * sin((double)j + 1);
        }
        z += am_rng_normal(&r);
        rows_y[i] = n_classes == 0 ? (float)z : (float)((uint64_t)fabs(z * 2) % n_classes);
    }
}

static struct am_matrix *matrix_rows(size_t first, size_t n, size_t memory)
{
    struct am_matrix *m;
    const struct am_matrix_options o = {.memory_bytes = memory};
    assert_int_equal(am_matrix_new(F, 1, &o, &m, NULL), AM_OK);
    for (size_t i = first; i < first + n; i += 500)
        assert_int_equal(am_matrix_append(m, 500, rows_x + i * F, rows_y + i, NULL, NULL), AM_OK);
    assert_int_equal(am_matrix_finish(m, NULL), AM_OK);
    return m;
}

struct seen {
    size_t epochs;
    double train, validation;
};

static enum am_rc on_epoch(void *ctx, const struct am_train_epoch *e, struct am_err *unused)
{
    struct seen *s = ctx;
    (void)unused;
    assert_int_equal(e->epoch, ++s->epochs);
    s->train = e->train_loss;
    s->validation = e->validation_loss;
    return AM_OK;
}

static struct am_learned fit_rows(size_t n_classes, const char *model, const char *train_spec,
                                  size_t memory, unsigned threads, bool validation,
                                  struct seen *seen)
{
    struct am_arena *a = am_arena_new(0);
    struct am_learned l;
    struct am_pool *pool;
    struct am_matrix *m = matrix_rows(0, 5000, memory), *v = matrix_rows(5000, 1000, 0);
    assert_int_equal(am_pool_new(threads, &pool, NULL), AM_OK);
    assert_int_equal(am_matrix_spilled(m), memory > 0);
    struct am_learn_task t = {.task = n_classes == 0   ? AM_TASK_REGRESSION
                                      : n_classes == 2 ? AM_TASK_BINARY
                                                       : AM_TASK_MULTICLASS,
                              .n_classes = n_classes,
                              .n_features = F,
                              .train = am_matrix_data(m),
                              .validation = validation ? am_matrix_data(v) : NULL,
                              .model = parse_yaml(a, model),
                              .train_spec = parse_yaml(a, train_spec),
                              .seed = 7,
                              .pool = pool,
                              .hooks = {.ctx = seen, .on_epoch = seen ? on_epoch : NULL}};
    if (am_learner_fit(&t, &l, a, &err) != AM_OK)
        fail_msg("%s: %s", model, err.message);
    am_matrix_free(m);
    am_matrix_free(v);
    am_pool_free(pool);
    am_arena_free(a);
    l.info = NULL;
    return l;
}

static bool same(const struct am_learned *a, const struct am_learned *b)
{
    return a->params->n_floats == b->params->n_floats &&
           memcmp(a->params->data, b->params->data, a->params->n_floats * sizeof(float)) == 0;
}

static void test_bits(void **state)
{
    (void)state;
    static const struct {
        size_t classes;
        const char *model;
    } kinds[] = {{2, "{type: gradient_boosting, trees: 12, subsample: 0.7, column_sample: 0.6}"},
                 {3, "{type: gradient_boosting, trees: 6, subsample: 0.5}"},
                 {0, "{type: gradient_boosting, trees: 12, leaves: 20}"}};
    for (size_t c = 0; c < 3; c++) {
        make_rows(kinds[c].classes);
        struct am_learned one = fit_rows(kinds[c].classes, kinds[c].model, "", 0, 1, false, NULL);
        for (unsigned k = 2; k < 4; k++) { /* the last from a file */
            struct am_learned other =
                fit_rows(kinds[c].classes, kinds[c].model, "", k == 3 ? 20000 : 0, k, false, NULL);
            assert_true(same(&one, &other));
            am_learned_clear(&other);
        }
        am_learned_clear(&one);
    }
}

static double loss_of(size_t classes, const char *model, size_t memory, bool *stopped)
{
    struct seen s = {0};
    struct am_learned l = fit_rows(classes, model, "", memory, 2, true, &s);
    assert_int_equal(s.epochs, l.training.epochs);
    assert_true(s.train < s.validation); /* they are fitted */
    if (stopped)
        *stopped = l.training.stopped_early;
    const double best = l.training.best_loss;
    assert_true(best <= s.validation);
    am_learned_clear(&l);
    return best;
}

/* Pages on disk: other bins (from a sketch of pages), the same quality. */
static void test_pages(void **state)
{
    (void)state;
    make_rows(2);
    const double core = loss_of(2, "{type: gradient_boosting, trees: 40}", 0, NULL);
    const double pages =
        loss_of(2, "{type: gradient_boosting, trees: 40, memory: pages}", 20000, NULL);
    if (!(fabs(core - pages) < 0.02 * core))
        fail_msg("loss %g in memory, %g from pages", core, pages);
}

static void test_early(void **state)
{
    (void)state;
    bool stopped = false;
    make_rows(2);
    (void)loss_of(2, "{type: gradient_boosting, trees: 500, learning_rate: 0.5}", 0, &stopped);
    assert_true(stopped);
    struct am_learned l =
        fit_rows(2, "{type: gradient_boosting, trees: 500, learning_rate: 0.5, early_stopping: 5}",
                 "", 0, 1, true, NULL);
    assert_true(l.training.stopped_early && l.training.restored_best);
    assert_int_equal(l.training.epochs, l.training.best_epoch + 5);
    /* what is kept is the best round */
    char model[160];
    (void)snprintf(model, sizeof model,
                   "{type: gradient_boosting, trees: %llu, learning_rate: 0.5}",
                   (unsigned long long)l.training.best_epoch);
    struct am_learned best = fit_rows(2, model, "", 0, 1, false, NULL);
    assert_true(same(&l, &best));
    am_learned_clear(&l);
    am_learned_clear(&best);
}

/* Weights of classes are weights of their rows. */
static void test_class_weights(void **state)
{
    (void)state;
    static const double weights[2] = {1, 4};
    struct am_arena *a = am_arena_new(0);
    struct am_learned l[2];
    const struct am_matrix_options o = {.weights = AM_MATRIX_WEIGHTS};
    make_rows(2);
    for (size_t k = 0; k < 2; k++) {
        struct am_matrix *m;
        assert_int_equal(am_matrix_new(F, 1, &o, &m, NULL), AM_OK);
        for (size_t i = 0; i < 3000; i++) {
            const float w = k && rows_y[i] > 0 ? 4 : 1;
            assert_int_equal(am_matrix_append(m, 1, rows_x + i * F, rows_y + i, &w, NULL), AM_OK);
        }
        assert_int_equal(am_matrix_finish(m, NULL), AM_OK);
        struct am_learn_task t = {.task = AM_TASK_BINARY,
                                  .n_classes = 2,
                                  .n_features = F,
                                  .train = am_matrix_data(m),
                                  .model = parse_yaml(a, "{type: gradient_boosting, trees: 5}"),
                                  .class_weights = k ? NULL : weights};
        assert_int_equal(am_learner_fit(&t, &l[k], a, &err), AM_OK);
        am_matrix_free(m);
    }
    assert_true(same(&l[0], &l[1]));
    am_learned_clear(&l[0]);
    am_learned_clear(&l[1]);
    am_arena_free(a);
}

/* Sparse rows train without being made dense, and 0 is missing in their trees: the model is that of
 * dense rows whose zeros are gaps. */
static void test_sparse(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    struct am_learned l[2];
    static float y[2][1000];
    struct am_matrix *dense, *gaps, *sparse;
    const struct am_matrix_options o = {.form = AM_MATRIX_SPARSE};
    make_rows(2);
    for (size_t i = 0; i < N * F; i++)
        rows_x[i] = isnan(rows_x[i]) || fabsf(rows_x[i]) < 0.7f ? 0 : rows_x[i];
    struct am_csr_buf b = {0};
    am_csr_reset(&b, F);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(am_csr_push_dense(&b, rows_x + i * F, NULL), AM_OK);
    const struct am_csr view = am_csr_of(&b);
    assert_int_equal(am_matrix_new(F, 1, &o, &sparse, NULL), AM_OK);
    assert_int_equal(am_matrix_append_sparse(sparse, &view, rows_y, NULL, NULL), AM_OK);
    assert_int_equal(am_matrix_finish(sparse, NULL), AM_OK);
    dense = matrix_rows(0, 1000, 0);
    for (size_t i = 0; i < N * F; i++)
        rows_x[i] = rows_x[i] == 0 ? NAN : rows_x[i];
    gaps = matrix_rows(0, 1000, 0);
    for (size_t k = 0; k < 2; k++) {
        struct am_learn_task t = {.task = AM_TASK_BINARY,
                                  .n_classes = 2,
                                  .n_features = F,
                                  .train = am_matrix_data(k ? sparse : gaps),
                                  .model = parse_yaml(a, "{type: gradient_boosting, trees: 20}")};
        if (am_learner_fit(&t, &l[k], a, &err) != AM_OK)
            fail_msg("%s", err.message);
        (void)predict(&l[k], k ? dense : gaps, y[k]);
    }
    assert_true(same(&l[0], &l[1]));
    assert_memory_equal(y[0], y[1], sizeof y[0]);
    am_learned_clear(&l[0]);
    am_learned_clear(&l[1]);
    am_matrix_free(dense);
    am_matrix_free(gaps);
    am_matrix_free(sparse);
    am_csr_clear(&b);
    am_arena_free(a);
}

/* ---- what is refused ---- */

static enum am_rc fit_code(struct am_learn_task *t, struct am_arena *a)
{
    struct am_learned l;
    enum am_rc rc = am_learner_fit(t, &l, a, &err);
    if (rc == AM_OK)
        am_learned_clear(&l);
    return rc;
}

static void test_refused(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    make_rows(2);
    struct am_learn_task t = {.task = AM_TASK_BINARY, .n_classes = 2, .n_features = F};
    static const char *const bad[] = {
        "{type: gradient_boosting, trees: 0}",         "{type: gradient_boosting, depth: 25}",
        "{type: gradient_boosting, learning_rate: 0}", "{type: gradient_boosting, bins: 257}",
        "{type: gradient_boosting, monotone: [1]}",    "{type: gradient_boosting, tree: 5}",
        "{type: gradient_boosting, subsample: 1.5}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        t.model = parse_yaml(a, bad[i]);
        assert_int_equal(am_learner_check(&t, &err), AM_EUSAGE);
        assert_true(err.hint[0] != 0);
    }
    t.model = parse_yaml(a, "{type: gradient_boosting, trees: 3}");
    rows_x[4321] = INFINITY;
    struct am_matrix *m = matrix_rows(0, 1000, 0);
    t.train = am_matrix_data(m);
    assert_int_equal(fit_code(&t, a), AM_EINVAL);
    assert_non_null(strstr(err.message, "infinite"));
    am_matrix_free(m);
    rows_x[4321] = 0;
    rows_y[77] = 2;
    m = matrix_rows(0, 1000, 0);
    t.train = am_matrix_data(m);
    assert_int_equal(fit_code(&t, a), AM_EINVAL);
    assert_non_null(strstr(err.message, "class index"));
    am_matrix_free(m);
    for (size_t i = 0; i < N; i++)
        rows_y[i] = 1;
    m = matrix_rows(0, 1000, 0);
    t.train = am_matrix_data(m);
    assert_int_equal(fit_code(&t, a), AM_EINVAL);
    assert_non_null(strstr(err.message, "class 0"));
    am_matrix_free(m);
    am_arena_free(a);
}

static void test_cancel(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    atomic_bool cancel = true;
    struct am_progress p = {.cancel = &cancel};
    make_rows(2);
    struct am_matrix *m = matrix_rows(0, 1000, 0);
    struct am_learn_task t = {.task = AM_TASK_BINARY,
                              .n_classes = 2,
                              .n_features = F,
                              .train = am_matrix_data(m),
                              .model = parse_yaml(a, "{type: gradient_boosting, trees: 3}"),
                              .hooks = {.progress = &p}};
    assert_int_equal(fit_code(&t, a), AM_ECANCELED);
    am_matrix_free(m);
    am_arena_free(a);
}

/* ---- a library that misbehaves ---- */

enum fault { MAKE_FAILS, READS_HALF, GROW_FAILS, NO_TREES, WRONG_ORDER, WILD_NODE, N_FAULTS };
static enum fault fault;
struct am_booster {
    uint64_t n_rows;
};
static float zeros[2000];
static int dropped;

static enum am_rc odd_start(const struct am_host *host, struct am_err *e)
{
    (void)host;
    (void)e;
    return AM_OK;
}

static const char *odd_version(void)
{
    return "odd 1";
}

static enum am_rc odd_make(const struct am_boost_config *config, const struct am_boost_rows *train,
                           const struct am_boost_rows *validation, struct am_booster **out,
                           struct am_err *e)
{
    static struct am_booster b;
    (void)config;
    (void)validation;
    *out = NULL;
    if (fault == MAKE_FAILS)
        return am_fail(e, AM_EIO, "no bins today");
    b.n_rows = train->n_rows;
    for (uint64_t at = 0; at < train->n_rows / (fault == READS_HALF ? 2 : 1);) {
        const float *x;
        struct am_csr s;
        size_t n;
        AM_TRY(train->batch(train->ctx, at, &x, &s, &n, e));
        at += n;
    }
    *out = &b;
    return AM_OK;
}

static void odd_drop(struct am_booster *b)
{
    (void)b;
    dropped++;
}

static enum am_rc odd_margins(struct am_booster *b, bool validation, const float **out,
                              struct am_err *e)
{
    (void)b;
    (void)validation;
    (void)e;
    *out = zeros;
    return AM_OK;
}

static enum am_rc odd_grow(struct am_booster *b, float *gradient, float *hessian, struct am_err *e)
{
    (void)b;
    (void)gradient;
    (void)hessian;
    return fault == GROW_FAILS ? am_fail(e, AM_EIO, "no tree today") : AM_OK;
}

static enum am_rc odd_trees(struct am_booster *b,
                            enum am_rc (*sink)(void *ctx, size_t round, size_t output,
                                               const struct am_boost_tree *tree, struct am_err *e),
                            void *ctx, struct am_err *e)
{
    static const int32_t feature[] = {0, -1, -1};
    static const float number[] = {1, 2, 3};
    static const uint32_t child[] = {1, 0, 0}, wild[] = {7, 0, 0};
    static const uint8_t left[3];
    const struct am_boost_tree t = {
        3, feature, number, fault == WILD_NODE ? wild : child, wild, left, number, number, number};
    (void)b;
    for (size_t round = 0; round < (fault == NO_TREES ? 1 : 2); round++)
        AM_TRY(sink(ctx, fault == WRONG_ORDER ? 1 - round : round, 0, &t, e));
    return AM_OK;
}

static const struct am_trees_ops odd = {.abi = AM_PORTS_ABI,
                                        .size = sizeof odd,
                                        .name = "odd",
                                        .start = odd_start,
                                        .version = odd_version,
                                        .make = odd_make,
                                        .drop = odd_drop,
                                        .margins = odd_margins,
                                        .grow = odd_grow,
                                        .trees = odd_trees};
static struct am_trees_ops other_abi;

static enum am_rc open_odd(void *ctx, const struct am_trees_ops **out, struct am_err *e)
{
    (void)e;
    *out = ctx ? &other_abi : &odd;
    return AM_OK;
}

static void test_misbehaving(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    struct am_trees_loader loader = {.open = open_odd};
    const struct am_trees_ops *ops;
    make_rows(2);
    struct am_matrix *m = matrix_rows(0, 1000, 0);
    struct am_learn_task t = {.task = AM_TASK_BINARY,
                              .n_classes = 2,
                              .n_features = F,
                              .train = am_matrix_data(m),
                              .model = parse_yaml(a, "{type: gradient_boosting, trees: 2}")};
    am_trees_set_loader(&loader);
    for (unsigned k = 0; k < N_FAULTS; k++) {
        fault = (enum fault)k;
        dropped = 0;
        if (fit_code(&t, a) == AM_OK)
            fail_msg("fault %u is not seen", k);
        assert_int_equal(dropped, k != MAKE_FAILS);
    }
    other_abi = odd;
    other_abi.abi++;
    loader.ctx = &other_abi;
    am_trees_set_loader(&loader);
    assert_int_equal(fit_code(&t, a), AM_ECONFLICT);
    am_trees_set_loader(NULL);
    assert_int_equal(fit_code(&t, a), AM_EMISSING);
    assert_non_null(strstr(err.hint, "scripts/setup"));
    assert_int_equal(am_trees_port(&ops, &err), AM_EMISSING);
    am_matrix_free(m);
    am_arena_free(a);
    am_modules_set_trees(NULL);
}

static enum am_rc fit_small(const struct am_matrix *m, const struct am_node *model,
                            struct am_learned *l, struct am_arena **a)
{
    *a = am_arena_new(0);
    if (!*a)
        return AM_ENOMEM;
    struct am_learn_task t = {.task = AM_TASK_BINARY,
                              .n_classes = 2,
                              .n_features = F,
                              .train = am_matrix_data(m),
                              .model = model};
    enum am_rc rc = am_learner_fit(&t, l, *a, &err);
    if (rc != AM_OK)
        am_arena_free(*a);
    return rc;
}

static void test_memory(void **state)
{
    (void)state;
    struct am_arena *keep = am_arena_new(0), *a;
    struct am_learned l;
    make_rows(2);
    struct am_matrix *m = matrix_rows(0, 500, 0);
    const struct am_node *model = parse_yaml(keep, "{type: gradient_boosting, trees: 2, depth: 2}");
    AM_OOM_LOOP(fit_small(m, model, &l, &a), {
        am_learned_clear(&l);
        am_arena_free(a);
    });
    am_matrix_free(m);
    am_arena_free(keep);
}

int main(int argc, char **argv)
{
    assert_true(argc > 2);
    golden_path = argv[1];
    examples_path = argv[2];
    struct am_arena *a = am_arena_new(0);
    goldens = load_goldens(a);
    am_modules_set_trees(NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goldens), cmocka_unit_test(test_folds),
        cmocka_unit_test(test_bits),    cmocka_unit_test(test_pages),
        cmocka_unit_test(test_early),   cmocka_unit_test(test_class_weights),
        cmocka_unit_test(test_sparse),  cmocka_unit_test(test_refused),
        cmocka_unit_test(test_cancel),  cmocka_unit_test(test_misbehaving),
        cmocka_unit_test(test_memory),
    };
    const int rc = cmocka_run_group_tests(tests, NULL, NULL);
    am_arena_free(a);
    return rc;
}
