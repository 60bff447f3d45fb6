/* Clusters, densities and components against scikit-learn's (cluster_goldens.json), on plain rows:
 * results, answers of the learned graphs, bits for any pool, what is refused, hostile parameters.
 */
#include "tests/unit/learn/learn_test.h"

#include "base/rng.h"
#include "eval/clusters.h"
#include "learn/kmeans.h"
#include "nn/plan.h"

struct fixture {
    struct am_arena *a;
    struct am_node *g;
};
static struct fixture f;

static size_t rows_in(const struct am_node *list)
{
    return list->list.n;
}

static double at(const struct am_node *list, size_t i)
{
    double v = NAN;
    assert_true(list && list->kind == AM_NODE_LIST && i < list->list.n);
    assert_true(am_node_as_f64(list->list.items[i], &v));
    return v;
}

static double at2(const struct am_node *list, size_t i, size_t j)
{
    return at(list->list.items[i], j);
}

/* [[..], ..] as rows; the arena owns them */
static float *floats(const struct am_node *list, size_t *n, size_t *width)
{
    *n = rows_in(list);
    *width = rows_in(list->list.items[0]);
    float *x = am_arena_array(f.a, *n * *width, sizeof *x);
    for (size_t i = 0; i < *n; i++)
        for (size_t j = 0; j < *width; j++)
            x[i * *width + j] = (float)at2(list, i, j);
    return x;
}

static struct am_matrix *matrix(const float *x, size_t n, size_t width)
{
    struct am_matrix *m;
    float *y = am_calloc(n, sizeof *y);
    assert_int_equal(am_matrix_new(width, 1, NULL, &m, NULL), AM_OK);
    assert_int_equal(am_matrix_append(m, n, x, y, NULL, NULL), AM_OK);
    assert_int_equal(am_matrix_finish(m, NULL), AM_OK);
    am_free(y);
    return m;
}

static struct am_learn_task task(const struct am_matrix *m, enum am_task kind, const char *model)
{
    return (struct am_learn_task){.task = kind,
                                  .n_features = am_matrix_data(m)->n_features,
                                  .train = am_matrix_data(m),
                                  .model = parse_yaml(f.a, model),
                                  .seed = 42};
}

/* [n, cols] of an output; the arena owns it */
static float *answers(const struct am_learned *l, const char *output, const float *x, size_t n,
                      size_t *cols)
{
    struct am_plan_options o = {.mode = AM_PLAN_INFER, .bucket_rows = n, .output = output};
    struct am_plan *plan;
    struct am_session *s;
    assert_int_equal(am_plan_build(l->graph, l->params, &o, &plan, NULL), AM_OK);
    assert_int_equal(am_session_new(plan, NULL, &s, NULL), AM_OK);
    *cols = am_plan_n_outputs(plan);
    float *y = am_arena_array(f.a, n * *cols, sizeof *y);
    assert_int_equal(am_session_run(s, n, x, y, NULL), AM_OK);
    am_session_free(s);
    am_plan_put(plan);
    return y;
}

static void near(const char *what, size_t i, double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance * fmax(1, fabs(want))))
        fail_msg("%s %zu: %.9g, scikit-learn has %.9g", what, i, got, want);
}

/* The place of the row whose first number is nearest; goldens are sorted by it. */
static size_t match(const float *x, size_t k, size_t n, double first)
{
    size_t best = 0;
    for (size_t i = 1; i < k; i++)
        if (fabs((double)x[i * n] - first) < fabs((double)x[best * n] - first))
            best = i;
    return best;
}

/* ---- kmeans ---- */

static void kmeans_goldens(void **state)
{
    (void)state;
    size_t n, width, cols;
    const struct am_node *want = am_node_get(f.g, "kmeans"),
                         *centers = am_node_get(want, "centers");
    float *x = floats(am_node_get(f.g, "x"), &n, &width);
    struct am_matrix *m = matrix(x, n, width);
    const char *const models[] = {
        "{type: kmeans, clusters: 3, n_init: 5, tolerance: 0}",
        "{type: kmeans, clusters: 3, n_init: 10, tolerance: 0, init: random}",
    };
    for (size_t k = 0; k < 2; k++) {
        struct am_learn_task t = task(m, AM_TASK_CLUSTERING, models[k]);
        struct am_learned l = fit_task(f.a, &t);
        const float *c = am_param_data(l.params, 0);
        size_t order[3];
        near("inertia", 0, am_node_f64(l.info, "inertia", 0), am_node_f64(want, "inertia", 0),
             1e-5);
        for (size_t i = 0; i < 3; i++) {
            order[i] = match(c, 3, width, at2(centers, i, 0));
            for (size_t j = 0; j < width; j++)
                near("center", i, (double)c[order[i] * width + j], at2(centers, i, j), 1e-4);
        }
        const float *cluster = answers(&l, "cluster", x, n, &cols);
        const float *d = answers(&l, "code", x, n, &cols), *score = answers(&l, "y", x, n, &cols);
        const struct am_node *labels = am_node_get(want, "clusters");
        for (size_t i = 0; i < n; i++) {
            const size_t own = (size_t)cluster[i];
            for (size_t j = 0; j < n; j++) /* the same groups, whatever their numbers */
                if ((at(labels, i) == at(labels, j)) != (cluster[i] == cluster[j]))
                    fail_msg("rows %zu and %zu", i, j);
            assert_true(d[i * 3 + own] <= d[i * 3] && d[i * 3 + own] <= d[i * 3 + 2]);
            near("distance", i, (double)score[i], (double)d[i * 3 + own], 1e-5);
        }
        am_learned_clear(&l);
    }
    am_matrix_free(m);
}

/* Bounds leave rows out, never a better cluster: the result is that of plain Lloyd in double. */
static void kmeans_is_lloyd(void **state)
{
    (void)state;
    enum { N = 1500, W = 20, K = 12 };
    float *x = am_alloc_array((size_t)N * W, sizeof *x);
    struct am_rng rng;
    struct am_kmeans m;
    const struct am_kmeans_options o = {
        .k = K, .n_init = 1, .max_iterations = 200, .tolerance = 0, .seed = 3};
    am_rng_init(&rng, 8, AM_RNG_USER);
    for (size_t i = 0; i < (size_t)N * W; i++)
        x[i] = (float)(am_rng_normal(&rng) + (i / W % 5 == i % W ? 3 : 0));
    struct am_matrix *mat = matrix(x, N, W);
    assert_int_equal(am_kmeans_fit(am_matrix_data(mat), &o, NULL, NULL, &m, NULL), AM_OK);
    assert_true(m.converged && m.iterations > 5);
    double sums[K][W] = {{0}}, counts[K] = {0}, inertia = 0;
    for (size_t i = 0; i < N; i++) { /* one more step of the definition moves nothing */
        double least = INFINITY;
        size_t best = 0;
        for (size_t c = 0; c < K; c++) {
            double d = 0;
            for (size_t j = 0; j < W; j++)
                d += pow((double)x[i * W + j] - (double)m.centers[c * W + j], 2);
            if (d < least) {
                least = d;
                best = c;
            }
        }
        inertia += least;
        counts[best]++;
        for (size_t j = 0; j < W; j++)
            sums[best][j] += (double)x[i * W + j];
    }
    near("inertia", 0, m.inertia, inertia, 1e-6);
    for (size_t c = 0; c < K; c++)
        for (size_t j = 0; j < W; j++)
            near("center", c, (double)m.centers[c * W + j], sums[c][j] / counts[c], 1e-5);
    am_kmeans_clear(&m);
    am_matrix_free(mat);
    am_free(x);
}

static void kmeans_batches(void **state)
{
    (void)state;
    size_t n, width;
    float *x = floats(am_node_get(f.g, "x"), &n, &width);
    struct am_matrix *m = matrix(x, n, width);
    struct am_learn_task t = task(m, AM_TASK_CLUSTERING, "{type: kmeans, clusters: 3, batch: 40}");
    struct am_learned l = fit_task(f.a, &t);
    const double best = am_node_f64(am_node_get(f.g, "kmeans"), "inertia", 0);
    assert_true(am_node_f64(l.info, "inertia", INFINITY) < 1.1 * best);
    am_learned_clear(&l);
    am_matrix_free(m);
}

static void count_chosen(void **state)
{
    (void)state;
    size_t n, width;
    float *x = floats(am_node_get(f.g, "x"), &n, &width);
    struct am_matrix *m = matrix(x, n, width);
    const char *const models[] = {"{type: kmeans}", "{type: kmeans, clusters: [7, 3, 2, 3]}",
                                  "{type: gaussian_mixture, clusters: [2, 3, 4, 5]}"};
    const size_t tried[] = {9, 3, 4};
    for (size_t i = 0; i < 3; i++) {
        struct am_learn_task t = task(m, AM_TASK_CLUSTERING, models[i]);
        struct am_learned l = fit_task(f.a, &t);
        assert_int_equal(am_node_i64(l.info, "clusters", 0), 3);
        assert_int_equal(am_node_get(l.info, "search")->list.n, tried[i]);
        if (i < 2)
            assert_int_equal(am_node_i64(l.info, "elbow", 0), 3);
        am_learned_clear(&l);
    }
    am_matrix_free(m);
}

/* ---- measures ---- */

static void measures(void **state)
{
    (void)state;
    size_t n, width;
    const struct am_node *want = am_node_get(f.g, "kmeans"), *c = am_node_get(want, "clusters"),
                         *labels = am_node_get(f.g, "labels");
    float *x = floats(am_node_get(f.g, "x"), &n, &width);
    float *pred = am_arena_array(f.a, n + 20, sizeof *pred);
    double *truth = am_arena_array(f.a, n + 20, sizeof *truth), v;
    float *noisy = am_arena_array(f.a, (n + 20) * width, sizeof *noisy);
    for (size_t i = 0; i < n; i++) {
        pred[i] = (float)(at(c, i) * 5 + 1); /* numbers may have gaps */
        truth[i] = at(labels, i);
    }
    memcpy(noisy, x, n * width * sizeof *x);
    for (size_t i = n; i < n + 20; i++) { /* noise and rows without a label change nothing */
        pred[i] = -1;
        truth[i] = NAN;
        for (size_t j = 0; j < width; j++)
            noisy[i * width + j] = 50;
    }
    struct am_eval_input in = {.task = AM_TASK_CLUSTERING,
                               .n_rows = n + 20,
                               .truth = truth,
                               .pred = pred,
                               .x = noisy,
                               .width = width};
    static const char *const names[] = {"silhouette", "davies_bouldin", "calinski_harabasz",
                                        "adjusted_rand", "nmi"};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(am_metric(&in, am_str(names[i]), &v, NULL), AM_OK);
        near(names[i], 0, v, am_node_f64(want, names[i], 0), 1e-7);
    }
    assert_int_equal(am_metric(&in, AM_STR("clusters"), &v, NULL), AM_OK);
    assert_true(v == 3);
    assert_int_equal(am_metric(&in, AM_STR("noise_share"), &v, NULL), AM_OK);
    near("noise", 0, v, 20.0 / 170, 1e-12);
    in.n_rows = 1;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(am_metric(&in, am_str(names[i]), &v, NULL), AM_OK);
        assert_true(isnan(v));
    }
    assert_int_equal(am_metric(&in, AM_STR("roc_auc"), &v, NULL), AM_EUSAGE);
}

/* ---- gaussian_mixture ---- */

static void mixtures(void **state)
{
    (void)state;
    static const char *const kinds[] = {"full", "tied", "diag", "spherical"};
    size_t n, width, n_probes, cols;
    float *x = floats(am_node_get(f.g, "x"), &n, &width),
          *probes = floats(am_node_get(f.g, "probes"), &n_probes, &width);
    struct am_matrix *m = matrix(x, n, width);
    for (size_t k = 0; k < 4; k++) {
        char model[200];
        const struct am_node *want = am_node_get(am_node_get(f.g, "mixtures"), kinds[k]);
        (void)snprintf(model, sizeof model,
                       "{type: gaussian_mixture, clusters: 3, covariance: %s, tolerance: 1e-9, "
                       "max_iterations: 5000, n_init: 5}",
                       kinds[k]);
        struct am_learn_task t = task(m, AM_TASK_CLUSTERING, model);
        struct am_learned l = fit_task(f.a, &t);
        const float *means = am_param_data(l.params, 0);
        near(kinds[k], 0, am_node_f64(l.info, "log_likelihood", 0), am_node_f64(want, "log", 0),
             1e-5);
        near(kinds[k], 1, am_node_f64(l.info, "bic", 0), am_node_f64(want, "bic", 0), 1e-5);
        size_t order[3];
        for (size_t c = 0; c < 3; c++) {
            order[c] = match(means, 3, width, at2(am_node_get(want, "means"), c, 0));
            for (size_t j = 0; j < width; j++)
                near("mean", c, (double)means[order[c] * width + j],
                     at2(am_node_get(want, "means"), c, j), 1e-3);
        }
        const float *log = answers(&l, "y", probes, n_probes, &cols),
                    *p = answers(&l, "code", probes, n_probes, &cols),
                    *c = answers(&l, "cluster", probes, n_probes, &cols);
        for (size_t i = 0; i < n_probes; i++) {
            near("log density", i, (double)log[i], at(am_node_get(want, "log_density"), i), 2e-3);
            for (size_t j = 0; j < 3; j++) {
                near("probability", i, (double)p[i * 3 + order[j]],
                     at2(am_node_get(want, "probes"), i, j), 2e-3);
                assert_true(p[i * 3 + (size_t)c[i]] >= p[i * 3 + j]);
            }
        }
        am_learned_clear(&l);
    }
    am_matrix_free(m);
}

/* ---- dbscan ---- */

static void dbscan(void **state)
{
    (void)state;
    size_t n, width, cols;
    const struct am_node *want = am_node_get(f.g, "dbscan"), *core = am_node_get(want, "core"),
                         *labels = am_node_get(want, "labels");
    float *x = floats(am_node_get(f.g, "moons"), &n, &width);
    struct am_matrix *m = matrix(x, n, width);
    struct am_learn_task t = task(m, AM_TASK_CLUSTERING, "{type: dbscan, eps: 0.25}");
    struct am_learned l = fit_task(f.a, &t);
    const float *points = am_param_data(l.params, 0), *groups = am_param_data(l.params, 1);
    assert_int_equal(am_node_i64(l.info, "core_samples", 0), rows_in(core));
    for (size_t i = 0; i < rows_in(core); i++) {
        const size_t row = (size_t)at(core, i);
        assert_memory_equal(points + i * width, x + row * width, width * sizeof *x);
        assert_true((double)groups[i] == at(labels, row));
    }
    const float *cluster = answers(&l, "cluster", x, n, &cols);
    for (size_t i = 0; i < n; i++) {
        /* noise and core samples as there; a row at the border belongs to its nearest core sample
         */
        double least = INFINITY, of = -1;
        for (size_t k = 0; k < rows_in(core); k++) {
            const double d = hypot((double)x[i * 2] - (double)points[k * 2],
                                   (double)x[i * 2 + 1] - (double)points[k * 2 + 1]);
            if (d < least) {
                least = d;
                of = (double)groups[k];
            }
        }
        assert_true((double)cluster[i] == (least <= 0.25 ? of : -1));
        if ((cluster[i] < 0) != (at(labels, i) < 0))
            fail_msg("row %zu: %g, scikit-learn has %g", i, (double)cluster[i], at(labels, i));
    }
    am_learned_clear(&l);
    t.model = parse_yaml(f.a, "{type: dbscan}"); /* eps by itself: both moons, and noise */
    l = fit_task(f.a, &t);
    const double eps = am_node_f64(l.info, "eps", 0);
    assert_true(eps > 0.1 && eps < 1.5);
    am_learned_clear(&l);
    am_matrix_free(m);
}

/* ---- pca, svd ---- */

static void components(void **state)
{
    (void)state;
    static const char *const types[] = {"pca", "svd"}, *const solvers[] = {"exact", "randomized"};
    size_t n, width, cols;
    float *x = floats(am_node_get(f.g, "wide"), &n, &width);
    struct am_matrix *m = matrix(x, n, width);
    for (size_t k = 0; k < 4; k++) {
        char model[100];
        const struct am_node *want = am_node_get(am_node_get(f.g, "components"), types[k / 2]);
        (void)snprintf(model, sizeof model, "{type: %s, components: 3, solver: %s}", types[k / 2],
                       solvers[k % 2]);
        struct am_learn_task t = task(m, AM_TASK_EMBEDDING, model);
        struct am_learned l = fit_task(f.a, &t);
        const float *w = am_param_data(l.params, 0), *code = answers(&l, "code", x, 4, &cols);
        for (size_t c = 0; c < 3; c++) {
            for (size_t j = 0; j < width; j++)
                near("vector", c, (double)w[j * 3 + c], at2(am_node_get(want, "vectors"), c, j),
                     1e-5);
            for (size_t i = 0; i < 4; i++)
                near("code", i, (double)code[i * 3 + c], at2(am_node_get(want, "codes"), i, c),
                     1e-4);
            near("variance", c, at(am_node_get(l.info, "explained_variance"), c),
                 at(am_node_get(want, "variance"), c), 1e-6);
            near("ratio", c, at(am_node_get(l.info, "explained_variance_ratio"), c),
                 at(am_node_get(want, "ratio"), c), 1e-6);
            near("singular", c, at(am_node_get(l.info, "singular_values"), c),
                 at(am_node_get(want, "singular"), c), 1e-6);
        }
        /* what comes back is the row's projection; y its mean squared distance */
        const float *back = answers(&l, "reconstruction", x, 4, &cols),
                    *y = answers(&l, "y", x, 4, &cols);
        for (size_t i = 0; i < 4; i++) {
            double s = 0;
            for (size_t j = 0; j < width; j++)
                s += pow((double)back[i * width + j] - (double)x[i * width + j], 2);
            near("score", i, (double)y[i], s / (double)width, 1e-4);
        }
        am_learned_clear(&l);
    }
    struct am_learn_task t = task(m, AM_TASK_EMBEDDING, "{type: pca, components: 3, whiten: true}");
    struct am_learned l = fit_task(f.a, &t);
    const struct am_node *want = am_node_get(am_node_get(f.g, "components"), "pca");
    const float *code = answers(&l, "code", x, 4, &cols);
    for (size_t i = 0; i < 12; i++)
        near("white", i, (double)code[i], at2(am_node_get(want, "white"), i / 3, i % 3), 1e-4);
    am_learned_clear(&l);
    t.model = parse_yaml(f.a, "{type: pca, components: 0.5}"); /* as many as explain half */
    l = fit_task(f.a, &t);
    double share = 0;
    const size_t k = (size_t)am_node_i64(l.info, "components", 0);
    for (size_t c = 0; c < k; c++)
        share += at(am_node_get(l.info, "explained_variance_ratio"), c);
    assert_true(share >= 0.5 &&
                share - at(am_node_get(l.info, "explained_variance_ratio"), k - 1) < 0.5);
    am_learned_clear(&l);
    am_matrix_free(m);
}

/* ---- bits, refusals, memory, hostile parameters ---- */

static const char *const models[] = {
    "{type: kmeans, clusters: 4}", "{type: kmeans, clusters: 3, batch: 200}",
    "{type: gaussian_mixture, clusters: 3}", "{type: dbscan, eps: 1.5}"};

static void same_bits(void **state)
{
    (void)state;
    enum { N = 1300, W = 5 };
    float *x = am_alloc_array((size_t)N * W, sizeof *x);
    struct am_rng rng;
    struct am_pool *pool;
    am_rng_init(&rng, 4, AM_RNG_USER);
    for (size_t i = 0; i < (size_t)N * W; i++)
        x[i] = (float)(am_rng_normal(&rng) + (double)(i / W % 3 * 4));
    struct am_matrix *m = matrix(x, N, W);
    assert_int_equal(am_pool_new(3, &pool, NULL), AM_OK);
    for (size_t k = 0; k < 6; k++) {
        struct am_learn_task t =
            k < 4 ? task(m, AM_TASK_CLUSTERING, models[k])
                  : task(m, AM_TASK_EMBEDDING,
                         k == 4 ? "{type: pca, components: 2}"
                                : "{type: svd, components: 2, solver: randomized}");
        struct am_learned one = fit_task(f.a, &t), more;
        t.pool = pool;
        more = fit_task(f.a, &t);
        assert_int_equal(one.params->n_floats, more.params->n_floats);
        assert_memory_equal(one.params->data, more.params->data, am_params_bytes(one.params));
        am_learned_clear(&one);
        am_learned_clear(&more);
    }
    am_pool_free(pool);
    am_matrix_free(m);
    am_free(x);
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        enum am_task task;
        enum am_rc rc;
        const char *says;
    } bad[] = {
        {"{type: kmeans, clusters: 200}", AM_TASK_CLUSTERING, AM_EINVAL, "200"},
        {"{type: kmeans, clusters: [2, 900]}", AM_TASK_CLUSTERING, AM_EINVAL, "900"},
        {"{type: kmeans, clusters: 0}", AM_TASK_CLUSTERING, AM_EUSAGE, "clusters"},
        {"{type: kmeans, clusters: []}", AM_TASK_CLUSTERING, AM_EUSAGE, "clusters"},
        {"{type: kmeans, cluster: 3}", AM_TASK_CLUSTERING, AM_EUSAGE, "cluster"},
        {"{type: dbscan, eps: 0}", AM_TASK_CLUSTERING, AM_EUSAGE, "eps"},
        {"{type: dbscan, eps: -1}", AM_TASK_CLUSTERING, AM_EUSAGE, "eps"},
        {"{type: dbscan, eps: 1e-6}", AM_TASK_CLUSTERING, AM_EINVAL, "noise"},
        {"{type: gaussian_mixture, covariance: round}", AM_TASK_CLUSTERING, AM_EUSAGE, "round"},
        {"{type: kmeans}", AM_TASK_REGRESSION, AM_EUSAGE, "kmeans"},
        {"{type: logistic}", AM_TASK_CLUSTERING, AM_EUSAGE, "clustering"},
        {"{type: pca, components: 2.5}", AM_TASK_EMBEDDING, AM_EUSAGE, "2.5"},
        {"{type: pca, components: 0}", AM_TASK_EMBEDDING, AM_EUSAGE, "components"},
        {"{type: svd, components: 4}", AM_TASK_EMBEDDING, AM_EINVAL, "4"},
    };
    size_t n, width;
    float *x = floats(am_node_get(f.g, "x"), &n, &width);
    struct am_matrix *m = matrix(x, n, width);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct am_learn_task t = task(m, bad[i].task, bad[i].model);
        struct am_learned l;
        struct am_err err = {0};
        const enum am_rc rc = am_learner_fit(&t, &l, f.a, &err);
        if (rc != bad[i].rc || !strstr(err.message, bad[i].says) || !err.hint[0])
            fail_msg("%s: %d, %s (%s)", bad[i].model, (int)rc, err.message, err.hint);
    }
    am_matrix_free(m);
}

/* Rows that are all alike: fewer clusters than asked, no figure that is no number. */
static void equal_rows(void **state)
{
    (void)state;
    float x[60];
    for (size_t i = 0; i < 60; i++)
        x[i] = i / 3 % 2 ? 1.0f : 2.0f;
    struct am_matrix *m = matrix(x, 20, 3);
    struct am_learn_task t = task(m, AM_TASK_CLUSTERING, "{type: kmeans, clusters: 5}");
    struct am_learned l = fit_task(f.a, &t);
    assert_int_equal(am_node_i64(l.info, "clusters", 0), 2);
    assert_true(am_node_f64(l.info, "inertia", 1) == 0);
    am_learned_clear(&l);
    t = task(m, AM_TASK_CLUSTERING, "{type: gaussian_mixture, clusters: 2}");
    l = fit_task(f.a, &t);
    assert_true(isfinite(am_node_f64(l.info, "log_likelihood", (double)NAN)));
    am_learned_clear(&l);
    t = task(m, AM_TASK_EMBEDDING, "{type: pca, components: 2, whiten: true}");
    l = fit_task(f.a, &t);
    for (size_t i = 0; i < l.params->n_floats; i++)
        assert_true(isfinite(l.params->data[i]));
    am_learned_clear(&l);
    am_matrix_free(m);
}

/* A package may hold any finite number: answers stay finite, and in range. */
static void hostile(void **state)
{
    (void)state;
    static const float poison[] = {-1, 3.4e38f, -3.4e38f, 1e-40f, 0, 16777217.0f, 1e20f};
    size_t n, width, cols;
    float *x = floats(am_node_get(f.g, "x"), &n, &width);
    struct am_matrix *m = matrix(x, n, width);
    for (size_t k = 0; k < 4; k++) {
        struct am_learn_task t = task(m, AM_TASK_CLUSTERING, models[k]);
        struct am_learned l = fit_task(f.a, &t);
        for (size_t round = 0; round < 7; round++) {
            for (size_t i = 0; i < l.params->n_params; i++)
                for (size_t j = 0; j < l.params->table[i].n; j++)
                    am_param_data(l.params, i)[j] = poison[(j + i + round) % 7];
            const float *c = answers(&l, "cluster", x, n, &cols);
            const float *y = answers(&l, "y", x, n, &cols);
            for (size_t i = 0; i < n; i++)
                assert_true(c[i] >= -1 && c[i] < 100 && isfinite(y[i]));
            const float *code = answers(&l, "code", x, n, &cols);
            for (size_t i = 0; i < n * cols; i++)
                assert_true(isfinite(code[i]));
        }
        am_learned_clear(&l);
    }
    am_matrix_free(m);
}

static void memory(void **state)
{
    (void)state;
    static const char *const some[] = {
        "{type: kmeans, clusters: [2, 3]}", "{type: kmeans, clusters: 2, batch: 8}",
        "{type: gaussian_mixture, clusters: 2}", "{type: dbscan, min_points: 2}"};
    float x[40];
    for (size_t i = 0; i < 40; i++)
        x[i] = (float)(i % 4 / 2) * 5 + (float)(i * 7 % 11) * 0.1f;
    struct am_matrix *m = matrix(x, 20, 2);
    for (size_t k = 0; k < 6; k++) {
        struct am_learn_task t = k < 4 ? task(m, AM_TASK_CLUSTERING, some[k])
                                       : task(m, AM_TASK_EMBEDDING,
                                              k == 4 ? "{type: pca, components: 1}"
                                                     : "{type: svd, components: 1, solver: "
                                                       "randomized}");
        AM_OOM_LOOP(fit_and_forget(&t), (void)0);
    }
    am_matrix_free(m);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kmeans_goldens), cmocka_unit_test(kmeans_is_lloyd),
        cmocka_unit_test(kmeans_batches), cmocka_unit_test(count_chosen),
        cmocka_unit_test(measures),       cmocka_unit_test(mixtures),
        cmocka_unit_test(dbscan),         cmocka_unit_test(components),
        cmocka_unit_test(same_bits),      cmocka_unit_test(refused),
        cmocka_unit_test(equal_rows),     cmocka_unit_test(hostile),
        cmocka_unit_test(memory)};
    golden_path = argc > 1 ? argv[1] : "cluster_goldens.json";
    (void)examples_path, (void)load_table, (void)scale_table, (void)matrix_of, (void)task_of;
    (void)score;
    f.a = am_arena_new(0);
    f.g = load_goldens(f.a);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    am_arena_free(f.a);
    return failed;
}
