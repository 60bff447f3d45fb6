/* Every cell of the matrix learner x task, of whatever am_learners() lists: it trains on a small
 * set and the model, written to its stored form and read again, answers; or it is refused in words.
 * Beside it missing values, row weights and sparse rows. docs/LEARNERS.md is made of the same flags
 * (matrix_doc.c); tests/e2e/learners.sh goes the way of packages and HTTP. */
#include "learn_test.h"

#include "base/alloc.h"
#include "platform/modules.h"

#define ROWS 96
#define WIDTH 4
#define LABELS 3

/* Keys without which a learner has nothing to train. */
static const struct {
    const char *name, *spec, *train;
} needs[] = {
    {"graph", "{type: graph, layers: [{name: a, type: dense, units: 8, activation: relu}]}", ""},
    {"bagging", "{type: bagging, of: {type: decision_tree}, n: 3}", ""},
    {"ensemble", "{type: ensemble, members: [{type: decision_tree}, {type: knn}], combine: mean}",
     ""},
    {"kmeans", "{type: kmeans, clusters: 3}", ""},
    {"gaussian_mixture", "{type: gaussian_mixture, clusters: 3}", ""},
    {"dbscan", "{type: dbscan, eps: 2}", ""},
    {"pca", "{type: pca, components: 2}", ""},
    {"svd", "{type: svd, components: 2}", ""},
    {"autoencoder", "{type: autoencoder}", "{epochs: 20, learning_rate: 0.01, batch_size: 16}"},
    {"gradient_boosting", "{type: gradient_boosting, trees: 30}", ""},
    {"random_forest", "{type: random_forest, trees: 20}", ""},
    {"extra_trees", "{type: extra_trees, trees: 20}", ""},
    {"resnet18", NULL, NULL}, /* pictures only, and slow: test_networks.c */
    {"resnet50", NULL, NULL},
    {"mobilenet_v2", NULL, NULL},
};

static const char *spec_of(const char *name, char out[64], const char **train)
{
    *train = "{epochs: 60, learning_rate: 0.02, batch_size: 16}";
    for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++)
        if (strcmp(needs[i].name, name) == 0) {
            if (needs[i].train && needs[i].train[0])
                *train = needs[i].train;
            return needs[i].spec;
        }
    (void)snprintf(out, 64, "{type: %s}", name);
    return out;
}

static int n_wrong; /* cells; all are told before the test fails */
#define wrong(...)                                                                                 \
    do {                                                                                           \
        print_message(__VA_ARGS__);                                                                \
        print_message("\n");                                                                       \
        n_wrong++;                                                                                 \
    } while (0)

struct set {
    float x[ROWS * WIDTH], y[ROWS], w[ROWS];
};

enum variant { PLAIN, TWINS, TWINS_TURNED, MISSING };

/* Classes and numbers that the first columns tell. TWINS: every second row is the one before with
 * another target and no weight; turned round, that one counts. */
static void make(enum am_task task, enum variant v, struct set *s)
{
    for (size_t i = 0; i < ROWS; i++) {
        const size_t k = v == TWINS || v == TWINS_TURNED ? i / 2 : i;
        const bool twin = (v == TWINS || v == TWINS_TURNED) && i % 2;
        float *x = s->x + i * WIDTH;
        for (size_t j = 0; j < WIDTH; j++)
            x[j] = (float)sin((double)(k * WIDTH + j) * 1.3 + (double)(k * k));
        const size_t class = k % 3;
        x[0] += 3 * (float)(class == 0);
        x[1] += 3 * (float)(class == 1);
        x[2] += 3 * (float)(class == 2);
        size_t y = class;
        if (task == AM_TASK_BINARY)
            y = class == 0;
        if (task == AM_TASK_MULTILABEL)
            y = (size_t)(class == 0) | (size_t)(class != 1) << 1 | (size_t)(class == 2) << 2;
        if (twin) /* another answer */
            y = task == AM_TASK_BINARY ? 1 - y : task == AM_TASK_MULTICLASS ? (y + 1) % 3 : 7 - y;
        s->y[i] = (float)y;
        if (task == AM_TASK_REGRESSION)
            s->y[i] = (twin ? -1.0f : 1.0f) * (x[0] - x[1] + 5);
        if (am_task_is_own(task))
            s->y[i] = NAN;
        s->w[i] = v == TWINS ? (float)!twin : v == TWINS_TURNED ? (float)twin : 1.0f;
        if (v == MISSING && k % 5 == 0)
            x[3] = NAN;
    }
}

static struct am_matrix *matrix(const struct set *s, bool sparse, bool weights)
{
    struct am_matrix_options o = {.weights = weights ? AM_MATRIX_WEIGHTS : AM_MATRIX_NO_WEIGHTS,
                                  .form = sparse ? AM_MATRIX_SPARSE : AM_MATRIX_DENSE};
    struct am_matrix *m;
    assert_int_equal(am_matrix_new(WIDTH, 1, &o, &m, NULL), AM_OK);
    for (size_t i = 0; i < ROWS; i++) {
        struct am_csr_buf b = {.n_cols = WIDTH};
        if (!sparse) {
            assert_int_equal(am_matrix_append(m, 1, s->x + i * WIDTH, s->y + i, s->w + i, NULL),
                             AM_OK);
            continue;
        }
        am_csr_reset(&b, WIDTH);
        assert_int_equal(am_csr_push_dense(&b, s->x + i * WIDTH, NULL), AM_OK);
        const struct am_csr row = am_csr_of(&b);
        assert_int_equal(am_matrix_append_sparse(m, &row, s->y + i, s->w + i, NULL), AM_OK);
        am_csr_clear(&b);
    }
    assert_int_equal(am_matrix_finish(m, NULL), AM_OK);
    return m;
}

static struct am_learn_task task_for(struct am_arena *a, const char *name, enum am_task task,
                                     const struct am_matrix *m)
{
    char text[64];
    const char *train, *spec = spec_of(name, text, &train);
    struct am_learn_task k = {.task = task,
                              .n_classes = task == AM_TASK_BINARY       ? 2
                                           : task == AM_TASK_MULTICLASS ? 3
                                           : task == AM_TASK_MULTILABEL ? LABELS
                                                                        : 0,
                              .n_features = WIDTH,
                              .train = m ? am_matrix_data(m) : NULL,
                              .seed = 42};
    k.model = parse_yaml(a, spec ? spec : "{}");
    k.train_spec = parse_yaml(a, train);
    return k;
}

/* The model as a package stores it: the graph as JSON and back. y [ROWS, *n_out]. */
static void answer(const struct am_learned *l, const struct set *s, float *y, size_t *n_out)
{
    struct am_arena *a = am_arena_new(0);
    struct am_node *stored;
    struct am_graph *g = NULL;
    struct am_plan *p = NULL;
    struct am_session *session = NULL;
    struct am_err err;
    const struct am_plan_options o = {.mode = AM_PLAN_INFER, .bucket_rows = ROWS};
    if (am_graph_to_node(l->graph, a, &stored, &err) != AM_OK ||
        am_graph_from_node(stored, &g, &err) != AM_OK ||
        am_plan_build(g, l->params, &o, &p, &err) != AM_OK ||
        am_session_new(p, NULL, &session, &err) != AM_OK)
        fail_msg("%s", err.message);
    *n_out = am_plan_n_outputs(p);
    assert_true(*n_out <= 8);
    assert_int_equal(am_session_run(session, ROWS, s->x, y, NULL), AM_OK);
    am_session_free(session);
    am_plan_put(p);
    am_graph_free(g);
    am_arena_free(a);
}

static float answers[ROWS * 8];

static void check_answers(const char *name, enum am_task task, const struct am_learned *l,
                          const struct set *s)
{
    size_t n;
    answer(l, s, answers, &n);
    for (size_t i = 0; i < ROWS * n; i++)
        if (!isfinite(answers[i]))
            wrong("%s, %s: an answer is no number", name, am_task_name(task));
    if (!am_task_has_classes(task) && task != AM_TASK_MULTILABEL)
        return;
    assert_int_equal(n, task == AM_TASK_BINARY ? 1 : 3);
    for (size_t i = 0; i < ROWS; i++) {
        double sum = 0;
        for (size_t c = 0; c < n; c++) {
            assert_true(answers[i * n + c] >= -1e-6f && answers[i * n + c] <= 1.00001f);
            sum += (double)answers[i * n + c];
        }
        if (task == AM_TASK_MULTICLASS && fabs(sum - 1) > 1e-4)
            wrong("%s: probabilities sum to %g", name, sum);
    }
}

/* The share of rows answered as the target says (numbers: the sign of 1 or -1). */
static double right(enum am_task task, const struct set *s, bool twins)
{
    const size_t n = task == AM_TASK_MULTICLASS || task == AM_TASK_MULTILABEL ? 3 : 1;
    double sum = 0, all = 0;
    for (size_t i = 0; i < ROWS; i++) {
        const float *y = answers + i * n;
        if ((i % 2 == 1) != twins)
            continue;
        all++;
        if (task == AM_TASK_REGRESSION) {
            sum += (y[0] > 0) == (s->y[i] > 0);
        } else if (task == AM_TASK_BINARY) {
            sum += (y[0] > 0.5f) == (s->y[i] > 0);
        } else if (task == AM_TASK_MULTICLASS) {
            const size_t best = y[1] > y[0] ? (y[2] > y[1] ? 2 : 1) : (y[2] > y[0] ? 2 : 0);
            sum += best == (size_t)s->y[i];
        } else {
            for (size_t c = 0; c < 3; c++)
                sum += ((y[c] > 0.5f) == (((unsigned)s->y[i] >> c & 1) == 1)) / 3.0;
        }
    }
    return sum / all;
}

static void refused(const char *what, const char *name, enum am_rc rc, const struct am_err *err)
{
    if (rc != AM_EUSAGE && rc != AM_EUNSUPPORTED && rc != AM_EINVAL)
        wrong("%s of %s: refused with %d \"%s\"", what, name, (int)rc, err->message);
    if (strlen(err->message) < 20 || !err->hint[0])
        wrong("%s of %s: \"%s\" without a remedy", what, name, err->message);
}

/* ---- the cells ---- */

static void weights_cell(const struct am_learner_ops *o, enum am_task task)
{
    static struct set s;
    double share[2];
    for (int turned = 0; turned < 2; turned++) {
        struct am_arena *a = am_arena_new(0);
        struct am_learned l;
        struct am_err err = {0};
        size_t n;
        make(task, turned ? TWINS_TURNED : TWINS, &s);
        struct am_matrix *m = matrix(&s, false, true);
        struct am_learn_task k = task_for(a, o->name, task, m);
        const enum am_rc rc = am_learner_fit(&k, &l, a, &err);
        if (o->flags & AM_LEARNER_NO_WEIGHTS) {
            refused("row weights", o->name, rc, &err);
        } else if (rc != AM_OK) {
            wrong("%s with row weights: %s", o->name, err.message);
        } else {
            answer(&l, &s, answers, &n);
            share[turned] = right(task, &s, turned == 1);
            am_learned_clear(&l);
        }
        am_matrix_free(m);
        am_arena_free(a);
    }
    if (o->flags & AM_LEARNER_NO_WEIGHTS || strcmp(o->name, "baseline") == 0)
        return;
    /* rows that count decide: without weights both would be a coin's toss */
    if (share[0] < 0.8 || share[1] < 0.8)
        wrong("%s, %s: rows that count nothing change the model (%.2f and %.2f right)", o->name,
              am_task_name(task), share[0], share[1]);
}

static void missing_cell(const struct am_learner_ops *o, enum am_task task)
{
    static struct set s;
    struct am_arena *a = am_arena_new(0);
    struct am_learned l;
    struct am_err err = {0};
    make(task, MISSING, &s);
    struct am_matrix *m = matrix(&s, false, false);
    struct am_learn_task k = task_for(a, o->name, task, m);
    k.missing = AM_STR("x3");
    const enum am_rc rc = am_learner_fit(&k, &l, a, &err);
    if (o->flags & AM_LEARNER_MISSING) {
        /* an ensemble takes what its members take */
        if (rc != AM_OK && !(o->flags & AM_LEARNER_AS_IS))
            wrong("%s with missing values: %s", o->name, err.message);
    } else {
        refused("missing values", o->name, rc, &err);
    }
    if (rc == AM_OK) {
        /* the mean row is compared with what is missing: no number */
        if (strcmp(o->name, "baseline") != 0 || !am_task_is_own(task))
            check_answers(o->name, task, &l, &s);
        am_learned_clear(&l);
    }
    am_matrix_free(m);
    am_arena_free(a);
}

static void sparse_cell(const struct am_learner_ops *o, enum am_task task)
{
    static struct set s;
    static float dense[ROWS * 8];
    size_t n = 0;
    make(task, PLAIN, &s);
    for (size_t i = 0; i < ROWS; i++)
        s.x[i * WIDTH + i % WIDTH] = 0;
    for (int sparse = 0; sparse < 2; sparse++) {
        struct am_arena *a = am_arena_new(0);
        struct am_learned l;
        struct am_err err = {0};
        struct am_matrix *m = matrix(&s, sparse, false);
        struct am_learn_task k = task_for(a, o->name, task, m);
        if (am_learner_fit(&k, &l, a, &err) != AM_OK) {
            wrong("%s, %s, %s: %s", o->name, am_task_name(task), sparse ? "sparse" : "dense",
                  err.message);
            am_matrix_free(m);
            am_arena_free(a);
            return;
        }
        answer(&l, &s, sparse ? answers : dense, &n);
        am_learned_clear(&l);
        am_matrix_free(m);
        am_arena_free(a);
    }
    /* trees cut sparse columns at other places: as good, not the same */
    const bool alike = !(o->flags & AM_LEARNER_FROM_ROWS) || am_task_is_own(task);
    const double share = (right(task, &s, false) + right(task, &s, true)) / 2;
    if (!alike && share < 0.9)
        wrong("%s, %s: %.2f right with sparse rows", o->name, am_task_name(task), share);
    for (size_t i = 0; alike && i < ROWS * n; i++)
        if (fabs((double)answers[i] - (double)dense[i]) > 0.02 * (1 + fabs((double)dense[i])))
            wrong("%s, %s: sparse rows give %g, dense ones %g", o->name, am_task_name(task),
                  (double)answers[i], (double)dense[i]);
}

static bool shaped(const char *name) /* needs other rows than plain ones, or a user and an item */
{
    return strcmp(name, "matrix_factorization") == 0;
}

static void one_cell(const struct am_learner_ops *o, enum am_task task)
{
    static struct set s;
    struct am_arena *a = am_arena_new(0);
    struct am_learned l;
    struct am_err err = {0};
    make(task, PLAIN, &s);
    struct am_matrix *m = matrix(&s, false, false);
    struct am_learn_task k = task_for(a, o->name, task, m);
    const enum am_rc rc = am_learner_fit(&k, &l, a, &err);
    if (!am_learner_takes(o, task)) {
        refused(am_task_name(task), o->name, rc, &err);
    } else if (rc != AM_OK) {
        wrong("%s, %s: %s", o->name, am_task_name(task), err.message);
    } else {
        check_answers(o->name, task, &l, &s);
        am_learned_clear(&l);
    }
    am_matrix_free(m);
    am_arena_free(a);
}

static void test_cells(void **state)
{
    size_t n;
    const struct am_learner_ops *const *all = am_learners(&n);
    (void)state;
    for (size_t i = 0; i < n; i++) {
        char text[64];
        const char *train;
        if (!spec_of(all[i]->name, text, &train) || shaped(all[i]->name))
            continue;
        for (unsigned task = 0; task < AM_N_TASKS; task++) {
            one_cell(all[i], (enum am_task)task);
            if (!am_learner_takes(all[i], (enum am_task)task))
                continue;
            missing_cell(all[i], (enum am_task)task);
            if (!am_task_target_optional((enum am_task)task))
                weights_cell(all[i], (enum am_task)task);
            if (all[i]->sparse)
                sparse_cell(all[i], (enum am_task)task);
        }
    }
    assert_int_equal(n_wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cells)};
    am_modules_set_svm(NULL);
    am_modules_set_trees(NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
