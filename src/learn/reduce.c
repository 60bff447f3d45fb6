/* `pca` and `svd`: rows reduced to a few numbers by a linear map, and the way back. The numeric
 * core is components.c; the graph is two dense layers, "y" the mean squared distance of a row to
 * what comes back, as an autoencoder has it. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/progress.h"
#include "learn/components.h"
#include "learn/learn_int.h"
#include "learn/reduce.h"

#define KEYS_BOTH                                                                                  \
    AM_KEY("components", AM_LEARNER_KEY_NUMBER, NULL, 0, 65536, "8",                               \
           "Numbers that a row is reduced to; below 1 as many as explain that share of the "       \
           "variance."),                                                                           \
        AM_KEY("whiten", AM_LEARNER_KEY_BOOL, NULL, 0, 0, "false",                                 \
               "Divide each by its deviation."),                                                   \
        AM_KEY("solver", AM_LEARNER_KEY_ENUM, "auto|exact|randomized", 0, 0, "auto",               \
               "auto is exact up to 512 features; sparse rows are always randomized."),            \
        AM_KEY("max_passes", AM_LEARNER_KEY_INT, NULL, 1, 1000, "30",                              \
               "Passes over the rows of the randomized solver at most."),                          \
        AM_KEY("contamination", AM_LEARNER_KEY_NUMBER, NULL, 0, 0.5, "0.01",                       \
               "Expected share of anomalies (task anomaly), as of autoencoder.")
static const struct am_learner_key pca_keys[] = {KEYS_BOTH};
static const struct am_learner_key svd_keys[] = {KEYS_BOTH};

static enum am_rc check_reduce(const struct am_learn_task *t, struct am_err *err)
{
    char where[AM_WHERE_CHARS];
    double k;
    const struct am_node *v = am_node_get(t->model, "components"),
                         *solver = am_node_get(t->model, "solver");
    if (t->n_tokens) {
        am_fail(err, AM_EUSAGE, "%smodel.type %.*s cannot reduce token ids",
                am_key_where(am_node_get(t->model, "type"), where),
                AM_FMT(am_node_str(t->model, "type", "")));
        am_hint(err, "Use text features that are numbers (encode: words or tfidf).");
        return AM_EUSAGE;
    }
    if (am_node_as_f64(v, &k) && (!(k > 0) || (k > 1 && k != floor(k)))) {
        am_fail(err, AM_EUSAGE, "%smodel.components cannot be %g", am_key_where(v, where), k);
        am_hint(err, "It is a whole number of at least 1, or a share of the variance below 1.");
        return AM_EUSAGE;
    }
    if (am_str_is(am_node_str(t->model, "solver", ""), "exact") &&
        t->n_features > AM_COMPONENTS_EXACT) {
        am_fail(err, AM_EUSAGE, "%smodel.solver exact is for at most %d features, there are %zu",
                am_key_where(solver, where), AM_COMPONENTS_EXACT, t->n_features);
        am_hint(err, "Leave it out.");
        return AM_EUSAGE;
    }
    return AM_OK;
}

static void fill_layer(struct am_params *p, size_t first, const struct am_components *c,
                       const double *scale, bool back)
{
    float *w = am_param_data(p, first), *b = am_param_data(p, first + 1);
    for (size_t k = 0; k < c->k; k++)
        for (size_t j = 0; j < c->n; j++) {
            const double v = c->vectors[k * c->n + j];
            if (back)
                w[k * c->n + j] = (float)(v * scale[k]);
            else
                w[j * c->k + k] = (float)(v / scale[k]);
        }
    for (size_t j = 0; back && j < c->n; j++)
        b[j] = (float)c->mean[j];
    for (size_t k = 0; !back && k < c->k; k++) {
        double s = 0;
        for (size_t j = 0; j < c->n; j++)
            s -= c->mean[j] * c->vectors[k * c->n + j];
        b[k] = (float)(s / scale[k]);
    }
}

static enum am_rc build(const struct am_learn_task *t, const struct am_components *c, bool whiten,
                        struct am_learned *out, struct am_err *err)
{
    const struct am_dense_options o = {.init = AM_INIT_ZEROS};
    double *scale = am_alloc_array(c->k, sizeof *scale);
    enum am_rc rc;
    if (!scale)
        return am_fail_nomem(err, c->k * sizeof *scale);
    for (size_t k = 0; k < c->k; k++)
        scale[k] = whiten && c->variance[k] > 0 ? sqrt(c->variance[k]) : 1;
    AM_GO(rc, am_graph_new(&out->graph, err));
    am_value x = am_graph_input(out->graph, "x", am_dims2(AM_DIM_BATCH, (int64_t)t->n_features)),
             code = am_layer_dense(out->graph, x, (int64_t)c->k, &o, "components"),
             back = am_layer_dense(out->graph, code, (int64_t)t->n_features, &o, "back");
    AM_GO(rc, am_graph_check(out->graph, err));
    am_learn_give_back(out->graph, x, back, code);
    AM_GO(rc, am_graph_check(out->graph, err));
    AM_GO(rc, am_params_new(out->graph, &out->params, err));
    fill_layer(out->params, 0, c, scale, false);
    fill_layer(out->params, 2, c, scale, true);
    out->kind = AM_LEARNED_VALUE;
out:
    am_free(scale);
    return rc;
}

static void explain(const struct am_components *c, struct am_learned *out, struct am_arena *a)
{
    struct am_node *variance = am_new_list(a), *ratio = am_new_list(a), *singular = am_new_list(a);
    double sum = 0;
    for (size_t k = 0; k < c->k; k++) {
        const double share = c->total > 0 ? c->variance[k] / c->total : 0;
        sum += share;
        am_node_push(a, variance, am_new_f64(a, c->variance[k]));
        am_node_push(a, ratio, am_new_f64(a, share));
        am_node_push(a, singular, am_new_f64(a, c->singular[k]));
    }
    am_node_set(a, out->info, "components", am_new_i64(a, (int64_t)c->k));
    am_node_set(a, out->info, "explained_variance", variance);
    am_node_set(a, out->info, "explained_variance_ratio", ratio);
    am_node_set(a, out->info, "explained", am_new_f64(a, sum));
    am_node_set(a, out->info, "singular_values", singular);
    am_node_set(a, out->info, "iterations", am_new_i64(a, (int64_t)c->passes));
    am_node_set(a, out->info, "converged", am_new_bool(a, c->converged));
}

static enum am_rc fit(const struct am_learn_task *t, const struct am_learner_ops *ops, bool center,
                      struct am_learned *out, struct am_arena *a, struct am_err *err)
{
    const double asked = am_key_number(t, ops, "components");
    size_t most = t->n_features;
    struct am_components c = {0};
    if (t->train->n_rows < most)
        most = (size_t)t->train->n_rows;
    struct am_components_options o = {.k = asked < 1 ? (most < 1024 ? most : 1024) : (size_t)asked,
                                      .share = asked < 1 ? asked : 0,
                                      .center = center,
                                      .randomized =
                                          am_str_is(am_key_text(t, ops, "solver"), "randomized"),
                                      .passes = (size_t)am_key_number(t, ops, "max_passes"),
                                      .seed = t->seed};
    if (o.k > most) {
        if (am_key_given(t, "components")) {
            am_fail(err, AM_EINVAL,
                    "model.components is %zu, but there are %llu rows of %zu features", o.k,
                    (unsigned long long)t->train->n_rows, t->n_features);
            am_hint(err, "Ask for at most as many components as there are rows and features.");
            return AM_EINVAL;
        }
        o.k = most;
    }
    am_progress_begin(t->hooks.progress, "train", o.passes);
    enum am_rc rc = am_components_fit(t->train, &o, t->pool, t->hooks.progress, &c, err);
    if (rc == AM_OK)
        rc = build(t, &c, am_key_bool(t, ops, "whiten"), out, err);
    if (rc == AM_OK) {
        am_learn_info(t, out, a, ops->name,
                      o.randomized || t->n_features > AM_COMPONENTS_EXACT || t->train->gather_sparse
                          ? "randomized"
                          : "exact");
        explain(&c, out, a);
    }
    am_progress_end(t->hooks.progress);
    am_components_clear(&c);
    return rc;
}

static enum am_rc fit_pca(const struct am_learn_task *t, struct am_learned *out, struct am_arena *a,
                          struct am_err *err)
{
    return fit(t, &am_learner_pca, true, out, a, err);
}

static enum am_rc fit_svd(const struct am_learn_task *t, struct am_learned *out, struct am_arena *a,
                          struct am_err *err)
{
    return fit(t, &am_learner_svd, false, out, a, err);
}

const struct am_learner_ops am_learner_pca = {
    .name = "pca",
    .doc = "Principal components: the few directions in which rows differ most; anomaly scores by "
           "what they leave out.",
    .tasks = 1u << AM_TASK_EMBEDDING | 1u << AM_TASK_ANOMALY,
    .keys = pca_keys,
    .n_keys = sizeof pca_keys / sizeof pca_keys[0],
    .flags = AM_LEARNER_FROM_ROWS | AM_LEARNER_NO_WEIGHTS,
    .check = check_reduce,
    .fit = fit_pca,
};
const struct am_learner_ops am_learner_svd = {
    .name = "svd",
    .doc = "Truncated singular vectors: as pca, but rows are not centered, so sparse ones stay "
           "sparse.",
    .tasks = 1u << AM_TASK_EMBEDDING | 1u << AM_TASK_ANOMALY,
    .keys = svd_keys,
    .n_keys = sizeof svd_keys / sizeof svd_keys[0],
    .flags = AM_LEARNER_FROM_ROWS | AM_LEARNER_NO_WEIGHTS,
    .sparse = true,
    .check = check_reduce,
    .fit = fit_svd,
};

/* ---- for pictures ---- */

struct plain { /* rows in RAM as training data */
    const float *x;
    size_t width;
};

static enum am_rc gather_plain(void *self, const uint64_t *rows, size_t n, float *x, float *y,
                               float *w, struct am_err *err)
{
    const struct plain *p = self;
    (void)y;
    (void)w;
    (void)err;
    for (size_t i = 0; x && i < n; i++)
        memcpy(x + i * p->width, p->x + rows[i] * p->width, p->width * sizeof *x);
    return AM_OK;
}

enum am_rc am_reduce_to_two(const float *x, size_t n_rows, size_t width, const size_t *which,
                            size_t n, uint64_t seed, double *out, double shares[2],
                            struct am_err *err)
{
    struct plain p = {x, width};
    const struct am_train_data data = {.n_rows = n_rows,
                                       .n_features = width,
                                       .n_targets = 1,
                                       .self = &p,
                                       .gather = gather_plain,
                                       .in_ram = true};
    const struct am_components_options o = {
        .k = 2, .center = true, .randomized = width > 64, .passes = 10, .seed = seed};
    struct am_components c;
    AM_TRY(am_components_fit(&data, &o, NULL, NULL, &c, err));
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < 2; k++) {
            double v = 0;
            for (size_t j = 0; j < width; j++)
                v += ((double)x[which[i] * width + j] - c.mean[j]) * c.vectors[k * width + j];
            out[2 * i + k] = v;
        }
    for (size_t k = 0; k < 2; k++)
        shares[k] = c.total > 0 ? c.variance[k] / c.total : 0;
    am_components_clear(&c);
    return AM_OK;
}
