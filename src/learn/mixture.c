/* `gaussian_mixture`: a weighted sum of normal densities, by expectation maximisation.
 *
 * Starts from k-means; the density of a row is summed in its logarithm; covariances are gathered in
 * one pass about the old means and shifted, with `regularization` on their diagonals. Definitions
 * follow scikit-learn's GaussianMixture. Everything in double; sums in fixed parts, so nothing
 * depends on threads. Rows must fit the memory. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "base/progress.h"
#include "learn/clusters.h"
#include "learn/kmeans.h"
#include "nn/layers_cluster.h"

static const struct am_learner_key keys[] = {
    AM_KEY("clusters", AM_LEARNER_KEY_INT | AM_LEARNER_KEY_INTS | AM_LEARNER_KEY_ENUM, "auto", 1,
           10000, "auto",
           "How many normal densities; or a list to choose from, by the Bayesian information "
           "criterion; auto tries 2 to 10."),
    AM_KEY("covariance", AM_LEARNER_KEY_ENUM, "full|tied|diag|spherical", 0, 0, "full",
           "Shape of the densities: each its own ellipsoid, one for all, along the axes, or "
           "spheres."),
    AM_KEY("regularization", AM_LEARNER_KEY_NUMBER, NULL, 0, 1e6, "1e-6",
           "Added to the variances, so that no density shrinks to a point."),
    AM_KEY("tolerance", AM_LEARNER_KEY_NUMBER, NULL, 0, 1, "1e-3",
           "Ends when the mean log density of a row rises by less."),
    AM_KEY("max_iterations", AM_LEARNER_KEY_INT, NULL, 1, 100000, "100", "Iterations at most."),
    AM_KEY("n_init", AM_LEARNER_KEY_INT, NULL, 1, 1000, "1",
           "Starts from other clusters; the likeliest stays."),
};
#define OPS (&am_learner_gaussian_mixture)
#define PARTS_MAX 16
#define PART_ROWS 256
#define SUM_BYTES ((size_t)256 << 20)

struct part {
    size_t begin, end;
    double *mass;  /* [k] */
    double *first; /* [k, n] sums of p (x - mean) */
    double *next;  /* [k, s] sums of p (x - mean)^2: n * n, n */
    double *p;     /* [k] of a row */
    double *d;     /* [n] of a row */
    double log;    /* sum of log densities */
};

struct mixture {
    const float *x;
    size_t rows, n, k, second; /* second: numbers of a second moment */
    enum am_covariance kind;
    double regularization;
    double *weights, *means, *cov; /* [k], [k, n], [k, second] */
    double *factors, *constants;   /* [k, second] or one; [k] */
    const float *centers; /* of the start: each row is its nearest's; NULL = by densities */
    struct part parts[PARTS_MAX];
    size_t n_parts;
    struct am_pool *pool;
    void *block;
};

static bool is_wide(enum am_covariance kind)
{
    return kind == AM_COVARIANCE_FULL || kind == AM_COVARIANCE_TIED;
}

static enum am_rc mixture_init(struct mixture *m, struct am_err *err)
{
    size_t n = m->n, k = m->k, each, all, bytes, parts = (m->rows + PART_ROWS - 1) / PART_ROWS;
    m->second = is_wide(m->kind) ? n * n : n;
    each = k + k * n + k * m->second + k + n;
    if (each > SUM_BYTES / sizeof(double)) {
        am_fail(err, AM_ELIMIT, "%zu densities of %zu features need %zu numbers of covariances", k,
                n, k * m->second);
        am_hint(err, "Use covariance: diag, fewer clusters, or a pca before (features.derived).");
        return AM_ELIMIT;
    }
    size_t most = SUM_BYTES / sizeof(double) / each;
    most = most > PARTS_MAX ? PARTS_MAX : most;
    m->n_parts = parts > most ? most : parts < 1 ? 1 : parts;
    all = each * m->n_parts + 2 * k + k * n + 2 * k * m->second;
    if (!am_mul_size(&bytes, all, sizeof(double)))
        return am_fail_nomem(err, all);
    double *d = m->block = am_calloc(all, sizeof *d);
    if (!d)
        return am_fail_nomem(err, bytes);
#define TAKE(field, count)                                                                         \
    (field) = d;                                                                                   \
    d += (count)
    TAKE(m->weights, k);
    TAKE(m->constants, k);
    TAKE(m->means, k * n);
    TAKE(m->cov, k * m->second);
    TAKE(m->factors, k * m->second);
    for (size_t i = 0; i < m->n_parts; i++) {
        struct part *p = &m->parts[i];
        p->begin = m->rows * i / m->n_parts;
        p->end = m->rows * (i + 1) / m->n_parts;
        TAKE(p->mass, k);
        TAKE(p->first, k * n);
        TAKE(p->next, k * m->second);
        TAKE(p->p, k);
        TAKE(p->d, n);
    }
#undef TAKE
    return AM_OK;
}

static const double *factor_of(const struct mixture *m, size_t c)
{
    return m->factors + (m->kind == AM_COVARIANCE_TIED ? 0 : c * m->second);
}

/* |d P|^2 */
static double square(const struct mixture *m, const double *d, const double *f)
{
    double total = 0;
    for (size_t j = 0; j < m->n; j++) {
        double s = 0;
        if (is_wide(m->kind))
            for (size_t i = 0; i <= j; i++)
                s += d[i] * f[i * m->n + j];
        else
            s = d[j] * f[j];
        total += s * s;
    }
    return total;
}

/* p of each density for a row into p->p; its log density. */
static double expect(const struct mixture *m, struct part *p, const float *x)
{
    double most = -INFINITY, sum = 0;
    size_t nearest = 0;
    for (size_t c = 0; c < m->k; c++) {
        const double *mean = m->means + c * m->n;
        for (size_t j = 0; j < m->n; j++)
            p->d[j] = (double)x[j] - mean[j];
        p->p[c] = 0;
        if (m->centers)
            for (size_t j = 0; j < m->n; j++)
                p->p[c] -= p->d[j] * p->d[j];
        else
            p->p[c] = m->constants[c] - square(m, p->d, factor_of(m, c)) / 2;
        if (p->p[c] > most) {
            most = p->p[c];
            nearest = c;
        }
    }
    for (size_t c = 0; c < m->k; c++) {
        p->p[c] = m->centers ? (double)(c == nearest) : exp(p->p[c] - most);
        sum += p->p[c];
    }
    for (size_t c = 0; c < m->k; c++)
        p->p[c] /= sum;
    return m->centers ? 0 : most + log(sum);
}

static void gather(const struct mixture *m, struct part *p, const float *x)
{
    const size_t n = m->n;
    for (size_t c = 0; c < m->k; c++) {
        const double w = p->p[c], *mean = m->means + c * n;
        double *first = p->first + c * n, *next = p->next + c * m->second;
        if (w < 1e-30)
            continue;
        p->mass[c] += w;
        for (size_t j = 0; j < n; j++) {
            p->d[j] = (double)x[j] - mean[j];
            first[j] += w * p->d[j];
        }
        for (size_t i = 0; i < n; i++) {
            const double v = w * p->d[i];
            if (!is_wide(m->kind))
                next[i] += v * p->d[i];
            else
                for (size_t j = 0; j <= i; j++)
                    next[i * n + j] += v * p->d[j];
        }
    }
}

static void run_part(void *ctx, size_t begin, size_t end)
{
    struct mixture *m = ctx;
    for (size_t k = begin; k < end; k++) {
        struct part *p = &m->parts[k];
        memset(p->mass, 0, m->k * (1 + m->n + m->second) * sizeof *p->mass); /* they lie in a row */
        p->log = 0;
        for (size_t i = p->begin; i < p->end; i++) {
            p->log += expect(m, p, m->x + i * m->n);
            gather(m, p, m->x + i * m->n);
        }
    }
}

/* Sums of all parts into those of the first; means, weights and covariances from them. */
static void maximise(struct mixture *m)
{
    const size_t n = m->n, k = m->k, wide = m->second;
    struct part *all = &m->parts[0];
    for (size_t i = 1; i < m->n_parts; i++)
        for (size_t j = 0; j < k * (1 + n + wide); j++)
            all->mass[j] += m->parts[i].mass[j];
    for (size_t c = 0; c < k; c++) {
        const double mass = all->mass[c] + 10 * DBL_EPSILON;
        double *step = all->first + c * n, *cov = m->cov + c * wide, *next = all->next + c * wide;
        for (size_t j = 0; j < n; j++) {
            step[j] /= mass;
            m->means[c * n + j] += step[j];
        }
        for (size_t i = 0; i < n; i++) {
            if (!is_wide(m->kind))
                cov[i] = next[i] / mass - step[i] * step[i];
            else
                for (size_t j = 0; j <= i; j++)
                    cov[i * n + j] = next[i * n + j] / mass - step[i] * step[j];
        }
        m->weights[c] = mass / ((double)m->rows + (double)k * 10 * DBL_EPSILON);
    }
}

/* What the kind of covariance says, in place; then the diagonal. */
static void shape(struct mixture *m)
{
    const size_t n = m->n, k = m->k, wide = m->second;
    for (size_t j = 0; m->kind == AM_COVARIANCE_TIED && j < wide; j++) {
        double s = 0;
        for (size_t c = 0; c < k; c++)
            s += m->weights[c] * m->cov[c * wide + j];
        m->cov[j] = s;
    }
    for (size_t c = 0; c < (m->kind == AM_COVARIANCE_TIED ? 1 : k); c++) {
        double *v = m->cov + c * wide, mean = 0;
        for (size_t i = 0; i < n; i++)
            v[is_wide(m->kind) ? i * n + i : i] += m->regularization;
        for (size_t i = 0; m->kind == AM_COVARIANCE_SPHERICAL && i < n; i++)
            mean += v[i] / (double)n;
        for (size_t i = 0; m->kind == AM_COVARIANCE_SPHERICAL && i < n; i++)
            v[i] = mean;
    }
}

/* P of one covariance (lower triangle): L L^T = cov, P = L^-T, upper triangular. false = it is not
 * positive definite. log |P| into *log_det. */
static bool factor(const double *cov, size_t n, double *l, double *p, double *log_det)
{
    *log_det = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++) {
            double s = cov[i * n + j];
            for (size_t q = 0; q < j; q++)
                s -= l[i * n + q] * l[j * n + q];
            if (i == j && !(s > 0))
                return false;
            l[i * n + j] = i == j ? sqrt(s) : s / l[j * n + j];
        }
    memset(p, 0, n * n * sizeof *p);
    for (size_t c = 0; c < n; c++) /* column c of L^-1 is row c of P */
        for (size_t i = c; i < n; i++) {
            double s = i == c ? 1 : 0;
            for (size_t q = c; q < i; q++)
                s -= l[i * n + q] * p[c * n + q];
            p[c * n + i] = s / l[i * n + i];
        }
    for (size_t i = 0; i < n; i++)
        *log_det += log(p[i * n + i]);
    return true;
}

static enum am_rc collapsed(size_t c, struct am_err *err)
{
    am_fail(err, AM_EINVAL, "density %zu has shrunk to less than its dimensions", c);
    am_hint(err, "Ask for fewer clusters, a larger model.regularization, or covariance: diag.");
    return AM_EINVAL;
}

static enum am_rc densities(struct mixture *m, struct am_err *err)
{
    const size_t n = m->n;
    double *l = is_wide(m->kind) ? am_alloc_array(n, n * sizeof *l) : NULL, log_det = 0;
    enum am_rc rc = AM_OK;
    if (is_wide(m->kind) && !l)
        return am_fail_nomem(err, n * n * sizeof *l);
    for (size_t c = 0; c < m->k; c++) {
        const double *v = m->cov + c * m->second;
        double *f = m->factors + c * m->second;
        if (c == 0 || m->kind != AM_COVARIANCE_TIED) {
            if (is_wide(m->kind) && !factor(v, n, l, f, &log_det))
                AM_GO(rc, collapsed(c, err));
            for (size_t j = 0; !is_wide(m->kind) && j < n; j++) {
                if (!(v[j] > 0))
                    AM_GO(rc, collapsed(c, err));
                f[j] = 1 / sqrt(v[j]);
                log_det = (j ? log_det : 0) + log(f[j]);
            }
        }
        m->constants[c] =
            log(m->weights[c]) - (double)n / 2 * log(2 * 3.14159265358979323846) + log_det;
    }
out:
    am_free(l);
    return rc;
}

struct found {
    size_t iterations, start;
    bool converged;
    double log; /* mean log density of a row */
};

static enum am_rc step(struct mixture *m, struct am_err *err)
{
    maximise(m);
    shape(m);
    return densities(m, err);
}

/* From the clusters of a k-means on. */
static enum am_rc search(struct mixture *m, const struct am_kmeans *from,
                         const struct am_learn_task *t, struct found *out, struct am_err *err)
{
    const double tolerance = am_key_number(t, OPS, "tolerance");
    const size_t most = (size_t)am_key_number(t, OPS, "max_iterations");
    double last = -INFINITY;
    for (size_t i = 0; i < m->k * m->n; i++)
        m->means[i] = (double)from->centers[i];
    m->centers = from->centers;
    am_pool_for(m->pool, m->n_parts, 1, run_part, m);
    m->centers = NULL;
    AM_TRY(step(m, err));
    out->converged = false;
    for (out->iterations = 0; out->iterations < most && !out->converged;) {
        am_pool_for(m->pool, m->n_parts, 1, run_part, m);
        out->log = 0;
        for (size_t i = 0; i < m->n_parts; i++)
            out->log += m->parts[i].log / (double)m->rows;
        if (!isfinite(out->log))
            return am_fail(err, AM_EINVAL, "the densities are not finite");
        AM_TRY(step(m, err));
        out->iterations++;
        out->converged = fabs(out->log - last) < tolerance;
        last = out->log;
        am_progress_step(t->hooks.progress, out->iterations, most, out->iterations * m->rows,
                         -out->log);
        if (am_progress_canceled(t->hooks.progress))
            return am_fail(err, AM_ECANCELED, "canceled while densities were fitted");
    }
    return AM_OK;
}

struct kept { /* the likeliest so far; owned */
    struct mixture m;
    struct found f;
    double bic;
};

static void kept_clear(struct kept *k)
{
    am_free(k->m.block);
    *k = (struct kept){0};
}

static double count_parameters(const struct mixture *m)
{
    const double n = (double)m->n, k = (double)m->k, full = n * (n + 1) / 2;
    const double cov = m->kind == AM_COVARIANCE_FULL   ? k * full
                       : m->kind == AM_COVARIANCE_TIED ? full
                       : m->kind == AM_COVARIANCE_DIAG ? k * n
                                                       : k;
    return cov + k * n + k - 1;
}

/* The likeliest of n_init starts of k densities. */
static enum am_rc fit_count(const struct am_learn_task *t, const float *x, size_t k,
                            struct kept *best, struct am_err *err)
{
    static const char *const kinds[] = {"full", "tied", "diag", "spherical"};
    const struct am_str kind = am_key_text(t, OPS, "covariance");
    const size_t n_init = (size_t)am_key_number(t, OPS, "n_init");
    enum am_rc rc = AM_OK;
    for (size_t start = 0; start < n_init && rc == AM_OK; start++) {
        struct am_kmeans_options o = {
            .k = k, .n_init = 1, .max_iterations = 300, .tolerance = 1e-4, .seed = t->seed + start};
        struct am_kmeans from = {0};
        struct kept now = {.f.start = start};
        AM_GO(rc, am_kmeans_fit(t->train, &o, t->pool, NULL, &from, err));
        now.m = (struct mixture){.x = x,
                                 .rows = (size_t)t->train->n_rows,
                                 .n = t->n_features,
                                 .k = from.k,
                                 .regularization = am_key_number(t, OPS, "regularization"),
                                 .pool = t->pool};
        while (now.m.kind < AM_COVARIANCE_SPHERICAL && !am_str_is(kind, kinds[now.m.kind]))
            now.m.kind++;
        rc = mixture_init(&now.m, err);
        if (rc == AM_OK)
            rc = search(&now.m, &from, t, &now.f, err);
        am_kmeans_clear(&from);
        now.bic =
            count_parameters(&now.m) * log((double)now.m.rows) - 2 * now.f.log * (double)now.m.rows;
        if (rc == AM_OK && (!best->m.block || now.f.log > best->f.log)) {
            kept_clear(best);
            *best = now;
            continue;
        }
        kept_clear(&now);
    }
out:
    return rc;
}

static enum am_rc choose(const struct am_learn_task *t, const float *x, const int64_t *k, size_t n,
                         struct kept *best, struct am_learned *out, struct am_arena *a,
                         struct am_err *err)
{
    struct am_node *list = am_new_list(a);
    for (size_t i = 0; i < n; i++) {
        struct kept now = {0};
        struct am_node *m = am_new_map(a);
        enum am_rc rc = fit_count(t, x, (size_t)k[i], &now, err);
        if (rc != AM_OK) {
            kept_clear(&now);
            return rc;
        }
        am_node_set(a, m, "clusters", am_new_i64(a, k[i]));
        am_node_set(a, m, "bic", am_new_f64(a, now.bic));
        am_node_push(a, list, m);
        if (!best->m.block || now.bic < best->bic) {
            kept_clear(best);
            *best = now;
        } else {
            kept_clear(&now);
        }
    }
    if (n > 1) {
        am_node_set(a, out->info, "search", list);
        am_node_set(a, out->info, "chosen_by", am_new_cstr(a, "bic"));
    }
    return AM_OK;
}

static void put_floats(struct am_params *p, size_t param, const double *v, size_t n)
{
    float *to = am_param_data(p, param);
    for (size_t i = 0; i < n; i++)
        to[i] = (float)(v[i] > (double)FLT_MAX    ? (double)FLT_MAX
                        : v[i] < (double)-FLT_MAX ? (double)-FLT_MAX
                                                  : v[i]);
}

static enum am_rc finish(const struct am_learn_task *t, const struct kept *k,
                         struct am_learned *out, struct am_arena *a, struct am_err *err)
{
    const struct mixture *m = &k->m;
    const size_t n_factors = m->kind == AM_COVARIANCE_TIED ? 1 : m->k;
    uint64_t *sizes = am_arena_zalloc(a, m->k * sizeof *sizes);
    AM_TRY(am_arena_check(a, err));
    AM_TRY(am_graph_new(&out->graph, err));
    am_value x = am_graph_input(out->graph, "x", am_dims2(AM_DIM_BATCH, (int64_t)m->n));
    am_clusters_outputs(out->graph,
                        am_layer_mixture(out->graph, x, (int64_t)m->k, m->kind, "mixture"), m->k);
    AM_TRY(am_graph_check(out->graph, err));
    AM_TRY(am_params_new(out->graph, &out->params, err));
    put_floats(out->params, 0, m->means, m->k * m->n);
    if (m->kind == AM_COVARIANCE_SPHERICAL)
        for (size_t c = 0; c < m->k; c++)
            am_param_data(out->params, 1)[c] = (float)m->factors[c * m->second];
    else
        put_floats(out->params, 1, m->factors, n_factors * m->second);
    put_floats(out->params, 2, m->constants, m->k);
    out->kind = AM_LEARNED_PROBABILITY;
    for (size_t c = 0; c < m->k; c++)
        sizes[c] = (uint64_t)(m->weights[c] * (double)m->rows + 0.5);
    am_learn_info(t, out, a, "gaussian_mixture", "em");
    am_clusters_info(out, sizes, m->k, a);
    am_node_set(a, out->info, "log_likelihood", am_new_f64(a, k->f.log));
    am_node_set(a, out->info, "objective", am_new_f64(a, -k->f.log));
    am_node_set(a, out->info, "bic", am_new_f64(a, k->bic));
    am_node_set(a, out->info, "iterations", am_new_i64(a, (int64_t)k->f.iterations));
    am_node_set(a, out->info, "converged", am_new_bool(a, k->f.converged));
    return am_arena_check(a, err);
}

static enum am_rc fit_mixture(const struct am_learn_task *t, struct am_learned *out,
                              struct am_arena *a, struct am_err *err)
{
    struct kept best = {0};
    const float *x;
    float *owned = NULL;
    int64_t k[AM_CLUSTERS_TRIED];
    size_t n;
    enum am_rc rc;
    AM_TRY(am_clusters_asked(t, k, &n, err));
    AM_TRY(am_rows_in_ram(t->train, t->memory_bytes, &x, &owned, err));
    am_progress_begin(t->hooks.progress, "train", 100);
    rc = choose(t, x, k, n, &best, out, a, err);
    if (rc == AM_OK)
        rc = finish(t, &best, out, a, err);
    am_progress_end(t->hooks.progress);
    kept_clear(&best);
    am_free(owned);
    return rc;
}

const struct am_learner_ops am_learner_gaussian_mixture = {
    .name = "gaussian_mixture",
    .doc = "Clusters as normal densities: probabilities of each, and how likely a row is at all.",
    .tasks = 1u << AM_TASK_CLUSTERING,
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .flags = AM_LEARNER_FROM_ROWS | AM_LEARNER_NO_WEIGHTS,
    .check = am_clusters_check,
    .fit = fit_mixture,
};
