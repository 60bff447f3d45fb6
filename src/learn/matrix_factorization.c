/* `matrix_factorization`: users and items as short vectors whose product says how much a user wants
 * an item; from ratings, or from choices alone.
 *
 * Rows are pairs of numbers (which of both is the user says the task); the target is the rating,
 * where there is one. The numeric core is factorize.c; the graph is the op `factors`, whose
 * parameters hold what each user has chosen, too, so that lists can leave it out. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/progress.h"
#include "learn/factorize.h"
#include "learn/learn_int.h"
#include "nn/layers_cluster.h"

static const struct am_learner_key keys[] = {
    AM_KEY("method", AM_LEARNER_KEY_ENUM, "als|bpr", 0, 0, "als",
           "Alternating least squares, or pairwise ranking (choices only)."),
    AM_KEY(
        "implicit", AM_LEARNER_KEY_BOOL, NULL, 0, 0, NULL,
        "Rows say that an item was chosen, the target how often or how much; false: the target is "
        "a rating to predict. Left out: false with a target and als, else true."),
    AM_KEY("factors", AM_LEARNER_KEY_INT, NULL, 1, 1024, "16", "Numbers of a user and of an item."),
    AM_KEY("regularization", AM_LEARNER_KEY_NUMBER | AM_LEARNER_KEY_ENUM, "auto", 0, 1e6, "auto",
           "Ridge; of ratings times their number. auto is 0.1, of bpr 0.01."),
    AM_KEY("alpha", AM_LEARNER_KEY_NUMBER, NULL, 0, 1e6, "10",
           "Choices, als: confidence of a choice is 1 + alpha times its value."),
    AM_KEY("iterations", AM_LEARNER_KEY_INT | AM_LEARNER_KEY_ENUM, "auto", 1, 10000, "auto",
           "Sweeps over both sides (als, 15), epochs (bpr, 50)."),
    AM_KEY("learning_rate", AM_LEARNER_KEY_NUMBER, NULL, 0, 10, "0.05", "Of bpr."),
    AM_KEY("top", AM_LEARNER_KEY_INT, NULL, 1, 1000, "10",
           "Length of the lists that hit_rate, precision_at_k and the like measure."),
};
#define OPS (&am_learner_matrix_factorization)
#define NUMBER_MAX (1u << 24)

struct table {
    size_t n;
    uint32_t *user, *item;
    float *value;
    size_t n_users, n_items;
    bool rated;
    double mean;
};

static void table_clear(struct table *t)
{
    am_free(t->user);
    am_free(t->item);
    am_free(t->value);
}

static bool is_bpr(const struct am_learn_task *t)
{
    return am_str_is(am_key_text(t, OPS, "method"), "bpr");
}

static enum am_rc check_factors(const struct am_learn_task *t, struct am_err *err)
{
    char where[AM_WHERE_CHARS];
    bool implicit;
    const struct am_node *v = am_node_get(t->model, "implicit");
    if (is_bpr(t) && am_node_as_bool(v, &implicit) && !implicit) {
        am_fail(err, AM_EUSAGE, "%smodel.implicit is false, but bpr knows choices only",
                am_key_where(v, where));
        am_hint(err, "Use method: als for ratings.");
        return AM_EUSAGE;
    }
    if (t->n_features == 2 || !t->train)
        return AM_OK;
    am_fail(err, AM_EINVAL, "a recommender needs a user and an item, not %zu features",
            t->n_features);
    am_hint(err, "Name the columns in data.user and data.item.");
    return AM_EINVAL;
}

static enum am_rc bad_number(float v, struct am_err *err)
{
    return am_fail(err, AM_EINVAL, "%g is no number of a user or an item", (double)v);
}

/* Rows of users and items that were known when features were fitted. */
static enum am_rc read_rows(const struct am_learn_task *t, struct table *out, struct am_err *err)
{
    uint64_t rows[256];
    float x[512], y[256];
    double sum = 0;
    const size_t all = (size_t)t->train->n_rows;
    out->user = am_alloc_array(all, sizeof *out->user);
    out->item = am_alloc_array(all, sizeof *out->item);
    out->value = am_alloc_array(all, sizeof *out->value);
    if (!out->user || !out->item || !out->value)
        return am_fail_nomem(err, all * sizeof *out->user);
    for (size_t at = 0; at < all; at += 256) {
        const size_t k = all - at < 256 ? all - at : 256;
        for (size_t i = 0; i < k; i++)
            rows[i] = at + i;
        AM_TRY(t->train->gather(t->train->self, rows, k, x, y, NULL, err));
        for (size_t i = 0; i < k; i++) {
            const float u = x[2 * i + t->user_feature], v = x[2 * i + 1 - t->user_feature];
            if (u < 0 || v < 0) /* missing */
                continue;
            if (!(u < NUMBER_MAX) || !(v < NUMBER_MAX))
                return bad_number(u < NUMBER_MAX ? v : u, err);
            out->user[out->n] = (uint32_t)u;
            out->item[out->n] = (uint32_t)v;
            out->value[out->n++] = isnan(y[i]) ? 1 : y[i];
            out->rated = out->rated || !isnan(y[i]);
            sum += isnan(y[i]) ? 1 : (double)y[i];
            out->n_users = (size_t)u >= out->n_users ? (size_t)u + 1 : out->n_users;
            out->n_items = (size_t)v >= out->n_items ? (size_t)v + 1 : out->n_items;
        }
    }
    if (out->n == 0)
        return am_fail(err, AM_EINVAL, "no training row has a user and an item");
    out->mean = sum / (double)out->n;
    return AM_OK;
}

static bool is_implicit(const struct am_learn_task *t, const struct table *table)
{
    bool v;
    if (is_bpr(t) || !table->rated)
        return true;
    return am_node_as_bool(am_node_get(t->model, "implicit"), &v) && v;
}

/* Of a key that may say auto. */
static double number_or(const struct am_learn_task *t, const char *name, double otherwise)
{
    double v;
    return am_node_as_f64(am_node_get(t->model, name), &v) ? v : otherwise;
}

static struct am_factor_options options_of(const struct am_learn_task *t, bool implicit)
{
    const bool bpr = is_bpr(t);
    return (struct am_factor_options){
        .method = bpr        ? AM_FACTORS_BPR
                  : implicit ? AM_FACTORS_IMPLICIT
                             : AM_FACTORS_EXPLICIT,
        .factors = (size_t)am_key_number(t, OPS, "factors"),
        .iterations = (size_t)number_or(t, "iterations", bpr ? 50 : 15),
        .regularization = number_or(t, "regularization", bpr ? 0.01 : 0.1),
        .alpha = am_key_number(t, OPS, "alpha"),
        .learning_rate = am_key_number(t, OPS, "learning_rate"),
        .seed = t->seed};
}

/* What an unknown user gets: the mean rating drawn to that of all by five ratings, or the share of
 * the users who chose it. */
static double popularity(const struct am_choices *by_item, size_t item, double mean, bool implicit)
{
    double sum = 0;
    const size_t begin = by_item->start[item], end = by_item->start[item + 1];
    if (implicit)
        return (double)(end - begin) / (double)by_item->n_cols;
    for (size_t k = begin; k < end; k++)
        sum += (double)by_item->value[k];
    return (sum + 5 * mean) / ((double)(end - begin) + 5);
}

struct result {
    struct am_choices by_user, by_item;
    double *users, *items;
    bool implicit;
};

static enum am_rc build(const struct am_learn_task *t, const struct table *table,
                        const struct result *r, size_t f, struct am_learned *out,
                        struct am_err *err)
{
    const struct am_choices *c = &r->by_user;
    const struct am_factors_options o = {(int64_t)table->n_users, (int64_t)table->n_items,
                                         (int64_t)f, (int64_t)c->start[c->n_rows]};
    AM_TRY(am_graph_new(&out->graph, err));
    am_value x = am_graph_input(out->graph, "x", am_dims2(AM_DIM_BATCH, 2));
    if (t->user_feature) {
        const am_value parts[2] = {am_layer_columns(out->graph, x, 1, 1),
                                   am_layer_columns(out->graph, x, 0, 1)};
        x = am_layer_concat(out->graph, parts, 2);
    }
    am_graph_output(out->graph, "y", am_layer_factors(out->graph, x, &o, "factors"));
    AM_TRY(am_graph_check(out->graph, err));
    AM_TRY(am_params_new(out->graph, &out->params, err));
    float *users = am_param_data(out->params, 0), *items = am_param_data(out->params, 1),
          *start = am_param_data(out->params, 3), *seen = am_param_data(out->params, 4);
    for (size_t i = 0; i < table->n_users * (f + 1); i++)
        users[i] = (float)r->users[i];
    for (size_t i = 0; i < table->n_items; i++) {
        for (size_t j = 0; j <= f; j++)
            items[i * (f + 2) + j] = (float)r->items[i * (f + 1) + j];
        items[i * (f + 2) + f + 1] = (float)popularity(&r->by_item, i, table->mean, r->implicit);
    }
    am_param_data(out->params, 2)[0] = r->implicit ? 0.0f : (float)table->mean;
    for (size_t i = 0; i <= table->n_users; i++) {
        start[2 * i] = (float)(c->start[i] / 4096);
        start[2 * i + 1] = (float)(c->start[i] % 4096);
    }
    for (size_t i = 0; i < c->start[c->n_rows]; i++)
        seen[i] = (float)c->col[i];
    for (size_t i = 0; i < out->params->n_floats; i++)
        if (!isfinite(out->params->data[i])) {
            am_fail(err, AM_EINVAL, "the factors are not finite numbers");
            am_hint(err, "Try a smaller model.learning_rate or a larger model.regularization.");
            return AM_EINVAL;
        }
    out->kind = AM_LEARNED_VALUE;
    return AM_OK;
}

static void describe(const struct am_learn_task *t, const struct table *table,
                     const struct result *r, const struct am_factor_options *o,
                     struct am_learned *out, struct am_arena *a)
{
    static const char *const solvers[] = {"als", "implicit als", "bpr"};
    const size_t n = r->by_user.start[r->by_user.n_rows];
    am_learn_info(t, out, a, "matrix_factorization", solvers[o->method]);
    am_node_set(a, out->info, "users", am_new_i64(a, (int64_t)table->n_users));
    am_node_set(a, out->info, "items", am_new_i64(a, (int64_t)table->n_items));
    am_node_set(a, out->info, "interactions", am_new_i64(a, (int64_t)n));
    am_node_set(a, out->info, "density",
                am_new_f64(a, (double)n / ((double)table->n_users * (double)table->n_items)));
    am_node_set(a, out->info, "implicit", am_new_bool(a, r->implicit));
    am_node_set(a, out->info, "factors", am_new_i64(a, (int64_t)o->factors));
    am_node_set(a, out->info, "iterations", am_new_i64(a, (int64_t)o->iterations));
}

static enum am_rc fit_factors(const struct am_learn_task *t, struct am_learned *out,
                              struct am_arena *a, struct am_err *err)
{
    struct table table = {0};
    struct result r = {0};
    enum am_rc rc;
    AM_GO(rc, read_rows(t, &table, err));
    r.implicit = is_implicit(t, &table);
    const struct am_factor_options o = options_of(t, r.implicit);
    if (r.implicit && !is_bpr(t))
        for (size_t i = 0; i < table.n; i++)
            if (table.value[i] < 0) {
                rc = am_fail(err, AM_EINVAL, "a choice has the value %g", (double)table.value[i]);
                am_hint(err, "Choices need values of at least 0; for ratings set implicit: false.");
                goto out;
            }
    AM_GO(rc, am_choices_make(table.user, table.item, table.value, table.n, table.n_users,
                              table.n_items, true, &r.by_user, err));
    AM_GO(rc, am_choices_make(table.item, table.user, table.value, table.n, table.n_items,
                              table.n_users, r.implicit, &r.by_item, err));
    if (!r.implicit) { /* each rating counts, also a second one of the same item */
        am_choices_clear(&r.by_user);
        AM_GO(rc, am_choices_make(table.user, table.item, table.value, table.n, table.n_users,
                                  table.n_items, false, &r.by_user, err));
    }
    r.users = am_alloc_array(table.n_users, (o.factors + 1) * sizeof *r.users);
    r.items = am_alloc_array(table.n_items, (o.factors + 1) * sizeof *r.items);
    if (!r.users || !r.items)
        AM_GO(rc, am_fail_nomem(err, table.n_users * o.factors * sizeof *r.users));
    am_factors_start(r.users, table.n_users, r.items, table.n_items, o.factors, o.seed);
    am_progress_begin(t->hooks.progress, "train", o.iterations);
    rc = am_factors_fit(&r.by_user, &r.by_item, &o, table.mean, r.users, r.items, t->pool,
                        t->hooks.progress, err);
    am_progress_end(t->hooks.progress);
    if (rc == AM_OK)
        rc = build(t, &table, &r, o.factors, out, err);
    if (rc == AM_OK)
        describe(t, &table, &r, &o, out, a);
out:
    table_clear(&table);
    am_choices_clear(&r.by_user);
    am_choices_clear(&r.by_item);
    am_free(r.users);
    am_free(r.items);
    return rc;
}

const struct am_learner_ops am_learner_matrix_factorization = {
    .name = "matrix_factorization",
    .doc = "A recommender: users and items as vectors, from ratings or from choices (ALS, BPR).",
    .tasks = 1u << AM_TASK_RECOMMENDATION,
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .flags = AM_LEARNER_FROM_ROWS | AM_LEARNER_NO_WEIGHTS,
    .check = check_factors,
    .fit = fit_factors,
};
