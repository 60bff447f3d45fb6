/* Neighbours, naive Bayes, discriminants and support vector machines beside scikit-learn
 * (svm_goldens.py): answers on rows that were not trained on, cross-validated scores, repeatable
 * bits, bad input, memory that runs out. */
#include "learn_test.h"

#include "base/alloc.h"
#include "platform/modules.h"

static const char *folds_path;
static char part[MAX_ROWS + 1];

static struct am_node *load_json(struct am_arena *a, const char *path)
{
    const char *kept = golden_path;
    golden_path = path;
    struct am_node *n = load_goldens(a);
    golden_path = kept;
    return n;
}

/* Rows whose number is a multiple of 4 are asked about. */
static void quarter(const struct table *t)
{
    for (size_t i = 0; i < t->n; i++)
        part[i] = i % 4 ? '1' : '0';
    part[t->n] = 0;
}

/* Counts: thrice the distance from the smallest, rounded. */
static void counts(struct table *t)
{
    for (size_t j = 0; j < t->f; j++) {
        double least = t->x[0][j];
        for (size_t i = 1; i < t->n; i++)
            least = fmin(least, t->x[i][j]);
        for (size_t i = 0; i < t->n; i++)
            t->x[i][j] = (double)(float)nearbyint(3 * (t->x[i][j] - least));
    }
}

static void one_golden(const struct am_node *c)
{
    static struct table raw, t;
    static float y[MAX_ROWS * 16];
    struct am_arena *a = am_arena_new(0);
    struct am_str data = am_node_str(c, "data", ""), spec = am_node_str(c, "model", "");
    const struct am_node *want = am_node_get(c, "y");
    char name[64], model[256];
    struct am_learned l;
    struct am_err err;
    double worst = 0;
    (void)snprintf(name, sizeof name, "%.*s", AM_FMT(data));
    (void)snprintf(model, sizeof model, "%.*s", AM_FMT(spec));
    load_table(name, &raw);
    quarter(&raw);
    scale_table(&raw, NULL, 0, &t);
    if (am_node_bool(c, "shift", false))
        counts(&t);
    const bool weights = am_node_bool(c, "weights", false);
    struct am_matrix *train = matrix_of(&t, part, '0', false, weights, 0),
                     *test = matrix_of(&t, part, '0', true, false, 0);
    struct am_learn_task k = task_of(a, &t, train, model, "");
    if (am_learner_fit(&k, &l, a, &err) != AM_OK)
        fail_msg("%s: %s", model, err.message);
    const size_t n = predict(&l, test, y) * (size_t)am_matrix_n_rows(test);
    assert_int_equal(n, want->list.n);
    for (size_t i = 0; i < n; i++) {
        double w;
        assert_true(am_node_as_f64(want->list.items[i], &w));
        worst = fmax(worst, fabs(w - (double)y[i]) / fmax(1, fabs(w)));
    }
    print_message("%-20.*s %.1e\n", AM_FMT(am_node_str(c, "name", "")), worst);
    if (!(worst < 1e-5))
        fail_msg("%s differs by %g", model, worst);
    am_learned_clear(&l);
    am_matrix_free(train);
    am_matrix_free(test);
    am_arena_free(a);
}

static void test_goldens(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    const struct am_node *cases = am_node_get(load_goldens(a), "cases");
    assert_true(cases->list.n >= 35);
    for (size_t i = 0; i < cases->list.n; i++)
        one_golden(cases->list.items[i]);
    am_arena_free(a);
}

/* ---- cross-validation ---- */

static double fold_score(const struct table *t, const char *spec, const char *folds, char fold,
                         double *log_loss)
{
    static struct table scaled;
    static float y[MAX_ROWS * 16];
    struct am_arena *a = am_arena_new(0);
    struct am_learned l;
    struct am_err err;
    scale_table(t, folds, fold, &scaled);
    struct am_matrix *train = matrix_of(&scaled, folds, fold, false, false, 0),
                     *test = matrix_of(&scaled, folds, fold, true, false, 0);
    struct am_learn_task k = task_of(a, t, train, spec, "");
    if (am_learner_fit(&k, &l, a, &err) != AM_OK)
        fail_msg("%s", err.message);
    const double s = score(&l, test, t->n_classes);
    const size_t c = predict(&l, test, y);
    for (size_t i = 0, row = 0; t->n_classes && i < t->n; i++)
        if (folds[i] == fold) {
            const size_t class = (size_t)t->y[i];
            const double p = c > 1   ? (double)y[row * c + class]
                             : class ? (double)y[row]
                                     : 1 - (double)y[row];
            *log_loss -= log(fmax(p, 1e-15)) / ((double)t->n * 3);
            row++;
        }
    am_learned_clear(&l);
    am_matrix_free(train);
    am_matrix_free(test);
    am_arena_free(a);
    return s;
}

static const struct am_node *entry_of(const struct am_node *list, const char *data)
{
    for (size_t i = 0; i < list->list.n; i++)
        if (am_str_is(am_node_str(list->list.items[i], "data", ""), data))
            return list->list.items[i];
    fail_msg("no goldens of %s", data);
    return NULL;
}

static void against(struct am_arena *a, const char *data, const char *name)
{
    static struct table t;
    char path[64], spec[64];
    double ours = 0, theirs = 0, square = 0, log_loss = 0;
    const struct am_node *folds = am_node_get(
        entry_of(am_node_get(load_json(a, folds_path), "cross_validation"), data), "folds");
    (void)snprintf(path, sizeof path, "scores.%s", name);
    (void)snprintf(spec, sizeof spec, "{type: %s}", name);
    const struct am_node *scores = am_node_path(
        entry_of(am_node_get(load_json(a, golden_path), "cross_validation"), data), path);
    load_table(data, &t);
    for (size_t i = 0; i < scores->list.n; i++) {
        double s;
        assert_true(am_node_as_f64(scores->list.items[i], &s));
        theirs += s / (double)scores->list.n;
        square += s * s / (double)scores->list.n;
    }
    for (size_t r = 0; r < 3; r++) {
        struct am_str folded;
        assert_true(am_node_as_str(folds->list.items[r], &folded));
        for (char fold = '0'; fold <= '9'; fold++)
            ours += fold_score(&t, spec, folded.ptr, fold, &log_loss) / 30;
    }
    const double needed = theirs - sqrt(fmax(0, square - theirs * theirs)) / 2;
    print_message("%-14s %-12s ours %.4f, scikit-learn %.4f, needed %.4f, log loss %.3f\n", data,
                  name, ours, theirs, needed, log_loss);
    assert_true(ours >= needed);
    /* calibrated, where it claims to be a probability of Platt's */
    if (t.n_classes && (strcmp(name, "svm") == 0 || strcmp(name, "linear_svm") == 0))
        assert_true(log_loss < 0.3);
}

static void test_folds(void **state)
{
    static const char *const data[] = {"breast_cancer", "iris", "wine", "diabetes"};
    static const char *const names[] = {"knn", "naive_bayes", "lda", "linear_svm", "svm"};
    (void)state;
    struct am_arena *a = am_arena_new(0);
    for (size_t d = 0; d < 4; d++)
        for (size_t m = 0; m < 5; m++)
            if (d < 3 || (m != 1 && m != 2))
                against(a, data[d], names[m]);
    am_arena_free(a);
}

/* ---- bits, errors, memory ---- */

static const char *const specs[] = {
    "{type: knn}",
    "{type: naive_bayes}",
    "{type: naive_bayes, kind: bernoulli}",
    "{type: lda}",
    "{type: lda, solver: lsqr, shrinkage: auto}",
    "{type: linear_svm, loss: hinge}",
    "{type: svm}",
};
#define N_SPECS (sizeof specs / sizeof specs[0])

static void test_same_bits(void **state)
{
    static struct table raw, t;
    (void)state;
    load_table("wine", &raw);
    scale_table(&raw, NULL, 0, &t);
    for (size_t s = 0; s < N_SPECS; s++) {
        struct am_arena *a = am_arena_new(0);
        struct am_learned first = {0};
        for (unsigned threads = 1; threads <= 3; threads++) {
            struct am_pool *pool;
            struct am_learned l;
            assert_int_equal(am_pool_new(threads, &pool, NULL), AM_OK);
            /* in memory, and in a file */
            struct am_matrix *m = matrix_of(&t, NULL, 0, false, true, threads == 2 ? 1000 : 0);
            struct am_learn_task k = task_of(a, &t, m, specs[s], "");
            k.pool = pool;
            assert_int_equal(am_learner_fit(&k, &l, a, NULL), AM_OK);
            if (threads == 1) {
                first = l;
            } else {
                assert_int_equal(l.params->n_floats, first.params->n_floats);
                assert_memory_equal(l.params->data, first.params->data, am_params_bytes(l.params));
                am_learned_clear(&l);
            }
            am_matrix_free(m);
            am_pool_free(pool);
        }
        am_learned_clear(&first);
        am_arena_free(a);
    }
}

struct faulty {
    struct am_matrix *m;
    struct table *t;
    const char *spec;
};

static enum am_rc fit_once(void *ctx, struct am_err *err)
{
    struct faulty *f = ctx;
    struct am_learned l;
    struct am_arena *a = am_arena_new(0);
    if (!a)
        return am_fail_nomem(err, 1);
    struct am_learn_task k = {.task = AM_TASK_BINARY,
                              .n_classes = f->t->n_classes,
                              .n_features = f->t->f,
                              .train = am_matrix_data(f->m),
                              .seed = 42};
    struct am_node *model;
    enum am_rc rc = am_yaml_parse(a, am_str(f->spec), "test", &model, err);
    k.model = model;
    if (rc == AM_OK)
        rc = am_learner_fit(&k, &l, a, err);
    if (rc == AM_OK)
        am_learned_clear(&l);
    am_arena_free(a);
    return rc;
}

static void test_memory_runs_out(void **state)
{
    static struct table raw, t;
    (void)state;
    load_table("iris", &raw);
    scale_table(&raw, NULL, 0, &t);
    struct am_err err;
    t.n = 60; /* of two classes */
    t.n_classes = 2;
    struct am_matrix *m = matrix_of(&t, NULL, 0, false, true, 0);
    for (size_t s = 0; s < N_SPECS; s++) {
        struct faulty f = {m, &t, specs[s]};
        /* the modules are open already: a failing dlopen is no matter of ours */
        assert_int_equal(fit_once(&f, NULL), AM_OK);
        AM_OOM_LOOP(fit_once(&f, &err), (void)0);
    }
    am_matrix_free(m);
}

struct refusal {
    const char *data, *spec;
    enum am_rc rc;
    const char *why;
};
static const struct refusal refusals[] = {
    {"iris", "{type: svm, c: 1, nu: 0.5}", AM_EUSAGE, "nu"},
    {"iris", "{type: svm, nu: 0.99, probability: false}", AM_OK, ""},
    {"breast_cancer", "{type: svm, nu: 0.99}", AM_EINVAL, "infeasible"},
    {"diabetes", "{type: svm, probability: true}", AM_EUSAGE, "probability"},
    {"iris", "{type: svm, epsilon: 0.1}", AM_EUSAGE, "epsilon"},
    {"iris", "{type: linear_svm, penalty: l1, loss: hinge}", AM_EUSAGE, "penalty"},
    {"iris", "{type: linear_svm, multi_class: crammer_singer, loss: hinge}", AM_EUSAGE,
     "multi_class"},
    {"iris", "{type: svm, kernel: circle}", AM_EUSAGE, "kernel"},
    {"iris", "{type: svm, c: 0}", AM_EUSAGE, "model.c"},
    {"iris", "{type: knn, neighbors: 151}", AM_EINVAL, "only 150"},
    {"iris", "{type: knn, neighbors: 0}", AM_EUSAGE, "neighbors"},
    {"iris", "{type: lda, shrinkage: 0.5}", AM_EUSAGE, "shrinkage"},
    {"diabetes", "{type: lda}", AM_EUSAGE, "cannot do regression"},
    {"iris", "{type: naive_bayes, kind: multinomial}", AM_EINVAL, "negative"},
    {"iris", "{type: naive_bayes, alpha: 1}", AM_EUSAGE, "alpha"},
    {"iris", "{type: naive_bayes, kind: bernoulli, var_smoothing: 1}", AM_EUSAGE, "var_smoothing"},
};

static void test_refusals(void **state)
{
    static struct table raw, t;
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        struct am_arena *a = am_arena_new(0);
        struct am_learned l;
        struct am_err err = {0};
        load_table(refusals[i].data, &raw);
        scale_table(&raw, NULL, 0, &t);
        struct am_matrix *m = matrix_of(&t, NULL, 0, false, false, 0);
        struct am_learn_task k = task_of(a, &t, m, refusals[i].spec, "");
        enum am_rc rc = am_learner_fit(&k, &l, a, &err);
        if (rc != refusals[i].rc || !strstr(err.message, refusals[i].why))
            fail_msg("%s: got %d, \"%s\"", refusals[i].spec, (int)rc, err.message);
        if (rc == AM_OK)
            am_learned_clear(&l);
        else
            assert_true(err.hint[0] || rc == AM_EINVAL);
        am_matrix_free(m);
        am_arena_free(a);
    }
}

static enum am_rc no_rows(void *self, const uint64_t *rows, size_t n, float *x, float *y, float *w,
                          struct am_err *err)
{
    (void)self;
    (void)rows;
    (void)n;
    (void)x;
    (void)y;
    (void)w;
    return am_fail(err, AM_EIO, "rows were read, though the cost was known before");
}

static void test_cost(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    struct am_train_data d = {
        .n_rows = 1000000, .n_features = 30, .n_targets = 1, .gather = no_rows};
    struct am_learn_task k = {.task = AM_TASK_REGRESSION,
                              .n_features = 30,
                              .train = &d,
                              .model = parse_yaml(a, "{type: svm}")};
    struct am_learned l;
    struct am_err err;
    assert_int_equal(am_learner_fit(&k, &l, a, &err), AM_ELIMIT);
    assert_non_null(strstr(err.message, "hours"));
    assert_non_null(strstr(err.hint, "linear_svm"));
    am_arena_free(a);
}

/* Weights that no repetition can show; values that are no numbers. */
static void test_bad_rows(void **state)
{
    (void)state;
    struct am_matrix_options o = {.weights = AM_MATRIX_WEIGHTS};
    const char *const bad[] = {"{type: svm}", "{type: linear_svm}"};
    for (size_t s = 0; s < N_SPECS; s++) {
        struct am_arena *a = am_arena_new(0);
        struct am_matrix *m;
        struct am_learned l;
        struct am_err err;
        assert_int_equal(am_matrix_new(2, 1, &o, &m, NULL), AM_OK);
        for (size_t i = 0; i < 12; i++) {
            const float x[2] = {(float)i, i == 7 ? (float)NAN : 1}, y = (float)(i % 3), w = 1;
            assert_int_equal(am_matrix_append(m, 1, x, &y, &w, NULL), AM_OK);
        }
        assert_int_equal(am_matrix_finish(m, NULL), AM_OK);
        struct am_learn_task k = {.task = AM_TASK_MULTICLASS,
                                  .n_classes = 3,
                                  .n_features = 2,
                                  .train = am_matrix_data(m),
                                  .model = parse_yaml(a, specs[s])};
        if (am_learner_fit(&k, &l, a, &err) != AM_EINVAL || !strstr(err.message, "finite"))
            fail_msg("%s takes what is no number: %s", specs[s], err.message);
        am_matrix_free(m);
        am_arena_free(a);
    }
    for (size_t s = 0; s < 2; s++) {
        struct am_arena *a = am_arena_new(0);
        struct am_matrix *m;
        struct am_learned l;
        struct am_err err;
        assert_int_equal(am_matrix_new(2, 1, &o, &m, NULL), AM_OK);
        for (size_t i = 0; i < 12; i++) {
            const float x[2] = {(float)i, 1}, y = (float)(i % 2), w = 1 + 0.1234f * (float)i;
            assert_int_equal(am_matrix_append(m, 1, x, &y, &w, NULL), AM_OK);
        }
        assert_int_equal(am_matrix_finish(m, NULL), AM_OK);
        struct am_learn_task k = {.task = AM_TASK_BINARY,
                                  .n_classes = 2,
                                  .n_features = 2,
                                  .train = am_matrix_data(m),
                                  .model = parse_yaml(a, bad[s])};
        assert_int_equal(am_learner_fit(&k, &l, a, &err), AM_EUNSUPPORTED);
        assert_non_null(strstr(err.message, "repeated rows"));
        am_matrix_free(m);
        am_arena_free(a);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goldens),         cmocka_unit_test(test_folds),
        cmocka_unit_test(test_same_bits),       cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_memory_runs_out), cmocka_unit_test(test_cost),
        cmocka_unit_test(test_bad_rows),
    };
    golden_path = argc > 1 ? argv[1] : "svm_goldens.json";
    folds_path = argc > 2 ? argv[2] : "learn_goldens.json";
    examples_path = argc > 3 ? argv[3] : "examples";
    am_modules_set_svm(NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
