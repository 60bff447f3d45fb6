/* Lists out of factors; see recommend.h. Parameters may come from a package: every number of an
 * item or place is checked against what there is. */
#include "nn/recommend.h"

#include <math.h>

#include "nn/ops/cluster.h"

static bool matrix(const struct am_params *p, const char *name, const float **out, size_t *rows,
                   size_t *cols)
{
    const struct am_param *e = am_params_find(p, am_str(name));
    if (!e || e->dims.rank < 1 || e->dims.rank > 2)
        return false;
    *out = p->data + e->offset;
    *rows = (size_t)e->dims.d[0];
    *cols = e->dims.rank == 2 ? (size_t)e->dims.d[1] : 1;
    return true;
}

bool am_recommender_of(const struct am_params *p, struct am_recommender *out)
{
    const float *mean;
    size_t u, i, n, one, two, cols;
    *out = (struct am_recommender){0};
    if (!matrix(p, "factors.users", &out->users, &out->n_users, &u) ||
        !matrix(p, "factors.items", &out->items, &out->n_items, &i) ||
        !matrix(p, "factors.mean", &mean, &one, &cols) ||
        !matrix(p, "factors.seen_start", &out->start, &n, &two) ||
        !matrix(p, "factors.seen_items", &out->seen, &out->n_seen, &cols))
        return false;
    if (u < 2 || i != u + 1 || n != out->n_users + 1 || two != 2)
        return false;
    out->factors = u - 1;
    out->mean = mean[0];
    return true;
}

size_t am_recommender_user_feature(const struct am_graph *g)
{
    for (size_t i = 0; i < am_graph_n_nodes(g); i++) {
        const struct am_gnode *n = am_graph_node(g, (am_value)i);
        if (n->op == &am_op_factors)
            return am_graph_node(g, n->in[0])->op == &am_op_concat;
    }
    return 0;
}

void am_recommender_scores(const struct am_recommender *r, size_t user, float *out)
{
    const size_t f = r->factors;
    const float *u = user < r->n_users ? r->users + user * (f + 1) : NULL;
    for (size_t k = 0; k < r->n_items; k++) {
        const float *v = r->items + k * (f + 2);
        double s = u ? (double)r->mean + (double)u[f] + (double)v[f] : (double)v[f + 1];
        for (size_t j = 0; u && j < f; j++)
            s += (double)u[j] * (double)v[j];
        out[k] = (float)s;
    }
}

static size_t place(const struct am_recommender *r, size_t user)
{
    const float *s = r->start + 2 * user;
    const double at = (double)s[0] * 4096 + (double)s[1];
    return at >= 0 && at <= (double)r->n_seen ? (size_t)at : 0;
}

void am_recommender_seen(const struct am_recommender *r, size_t user, uint8_t *marks)
{
    if (user >= r->n_users)
        return;
    for (size_t k = place(r, user); k < place(r, user + 1); k++) {
        const float item = r->seen[k];
        if (item >= 0 && item < (float)r->n_items)
            marks[(size_t)item] = 1;
    }
}

static void cosines(const float *rows, size_t n, size_t width, size_t f, size_t of, float *out)
{
    const float *a = rows + of * width;
    double aa = 0;
    for (size_t j = 0; j < f; j++)
        aa += (double)a[j] * (double)a[j];
    for (size_t k = 0; k < n; k++) {
        const float *b = rows + k * width;
        double ab = 0, bb = 0;
        for (size_t j = 0; j < f; j++) {
            ab += (double)a[j] * (double)b[j];
            bb += (double)b[j] * (double)b[j];
        }
        out[k] = aa > 0 && bb > 0 ? (float)(ab / (sqrt(aa) * sqrt(bb))) : 0.0f;
    }
}

void am_recommender_like_item(const struct am_recommender *r, size_t item, float *out)
{
    cosines(r->items, r->n_items, r->factors + 2, r->factors, item < r->n_items ? item : 0, out);
}

void am_recommender_like_user(const struct am_recommender *r, size_t user, float *out)
{
    cosines(r->users, r->n_users, r->factors + 1, r->factors, user < r->n_users ? user : 0, out);
}

size_t am_recommender_top(const float *v, size_t m, const uint8_t *marks, size_t n, size_t *out)
{
    size_t have = 0;
    for (size_t i = 0; i < m; i++) {
        if ((marks && marks[i]) || isnan(v[i]) || (have == n && !(n && v[i] > v[out[n - 1]])))
            continue;
        size_t at = have < n ? have++ : n - 1;
        for (; at > 0 && v[out[at - 1]] < v[i]; at--)
            out[at] = out[at - 1];
        out[at] = i;
    }
    return have;
}
