/* What training says of clusters: how many rows each has, in which columns they differ from the
 * whole, the silhouette of every row looked at, how their number was chosen, and a picture in two
 * dimensions. One thread.
 *
 * "clusters" of the report: {sizes: [{cluster, rows, share, silhouette}], noise, search:
 * [{clusters, inertia, silhouette, bic}], chosen, chosen_by, elbow, profile: {columns: [{column,
 * type, all: VALUE, clusters: [VALUE]}]}, silhouettes: [{cluster, values: [..]}], scatter:
 * {x_share, y_share, points: [{cluster, x: [..], y: [..]}]}}; a VALUE is {mean, deviation} or {top,
 * share}. */
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/vec.h"
#include "eval/clusters.h"
#include "learn/reduce.h"
#include "pipeline/train_int.h"

#define CLUSTERS_SHOWN 30
#define COLUMNS_SHOWN 60
#define POINTS 1000
#define VALUES 200       /* of a cluster's silhouette curve */
#define LABELS_MAX 10000 /* different values of a category that are counted */

static size_t cluster_of(float c, size_t k)
{
    return c >= 0 && c < (float)k ? (size_t)c : k;
}

/* Clusters that the model knows. */
static size_t n_clusters(const struct am_training *t)
{
    const int64_t k = am_node_i64(t->learned.info, "clusters", 0);
    return k > 0 ? (size_t)k : 0;
}

/* ---- sizes and silhouettes ---- */

struct lines {
    struct am_silhouettes s;
    double *sum; /* [k + 1] of the silhouettes */
    uint64_t *n, *rows;
};

static void lines_clear(struct lines *l)
{
    am_free(l->s.each);
    am_free(l->s.cluster);
    am_free(l->sum);
    am_free(l->n);
    am_free(l->rows);
}

static int falling(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* At most VALUES of a cluster's silhouettes, falling. v [n] is sorted. */
static struct am_node *curve(double *v, size_t n, struct am_arena *a)
{
    struct am_node *list = am_new_list(a);
    const size_t m = n < VALUES ? n : VALUES;
    qsort(v, n, sizeof *v, falling);
    for (size_t i = 0; i < m; i++)
        am_node_push(a, list, am_new_f64(a, v[i * n / m]));
    return list;
}

static enum am_rc add_sizes(const struct am_scored *s, size_t k, struct lines *l,
                            struct am_node *out, struct am_arena *a, struct am_err *err)
{
    struct am_node *sizes = am_new_list(a), *curves = am_new_list(a);
    double mean, *v = am_alloc_array(AM_SILHOUETTE_ROWS, sizeof *v);
    enum am_rc rc;
    if (!v)
        return am_fail_nomem(err, AM_SILHOUETTE_ROWS * sizeof *v);
    AM_GO(rc, am_silhouette(&s->in, &l->s, &mean, err));
    for (size_t i = 0; i < s->n_all; i++)
        l->rows[cluster_of(s->clusters[i], k)]++;
    for (size_t i = 0; i < l->s.n; i++) {
        const size_t c = cluster_of((float)l->s.cluster[i], k);
        l->sum[c] += l->s.each[i];
        l->n[c]++;
    }
    for (size_t c = 0; c < k && c < CLUSTERS_SHOWN; c++) {
        struct am_node *m = am_new_map(a), *q = am_new_map(a);
        size_t n = 0;
        for (size_t i = 0; i < l->s.n; i++)
            if ((size_t)l->s.cluster[i] == c)
                v[n++] = l->s.each[i];
        am_node_set(a, m, "cluster", am_new_i64(a, (int64_t)c));
        am_node_set(a, m, "rows", am_new_i64(a, (int64_t)l->rows[c]));
        am_node_set(a, m, "share",
                    am_new_f64(a, s->n_all ? (double)l->rows[c] / (double)s->n_all : 0));
        am_node_set(a, m, "silhouette",
                    l->n[c] ? am_new_f64(a, l->sum[c] / (double)l->n[c]) : am_new_null(a));
        am_node_push(a, sizes, m);
        am_node_set(a, q, "cluster", am_new_i64(a, (int64_t)c));
        am_node_set(a, q, "values", curve(v, n, a));
        am_node_push(a, curves, q);
    }
    am_node_set(a, out, "count", am_new_i64(a, (int64_t)k));
    am_node_set(a, out, "sizes", sizes);
    am_node_set(a, out, "noise", am_new_i64(a, (int64_t)l->rows[k]));
    am_node_set(a, out, "silhouettes", curves);
    rc = am_arena_check(a, err);
out:
    am_free(v);
    return rc;
}

static enum am_rc sizes(const struct am_scored *s, size_t k, struct am_node *out,
                        struct am_arena *a, struct am_err *err)
{
    struct lines l = {0};
    l.s.each = am_alloc_array(AM_SILHOUETTE_ROWS, sizeof *l.s.each);
    l.s.cluster = am_alloc_array(AM_SILHOUETTE_ROWS, sizeof *l.s.cluster);
    l.sum = am_calloc(k + 1, sizeof *l.sum);
    l.n = am_calloc(k + 1, sizeof *l.n);
    l.rows = am_calloc(k + 1, sizeof *l.rows);
    enum am_rc rc = l.s.each && l.s.cluster && l.sum && l.n && l.rows
                        ? add_sizes(s, k, &l, out, a, err)
                        : am_fail_nomem(err, AM_SILHOUETTE_ROWS * sizeof *l.s.each);
    lines_clear(&l);
    return rc;
}

/* ---- profile ---- */

struct profile { /* of one column */
    enum am_col_type type;
    double *n, *sum, *squares; /* [k + 1], the last one of all rows; numbers less the first */
    double shift;
    bool shifted, full;
    struct am_map labels; /* label -> index */
    struct am_arena *names;
    struct am_str *label; /* [LABELS_MAX] */
    size_t n_labels;
    AM_VEC(uint32_t) counts; /* [n_labels, k + 1] */
};

static void profile_clear(struct profile *p)
{
    am_free(p->n);
    am_map_clear(&p->labels);
    am_arena_free(p->names);
    am_vec_clear(&p->counts);
}

static bool is_category(enum am_col_type t)
{
    return t == AM_COL_CATEGORY;
}

static enum am_rc profile_init(struct profile *p, enum am_col_type type, size_t k,
                               struct am_err *err)
{
    p->type = type;
    p->n = am_calloc(3 * (k + 1), sizeof *p->n);
    if (!p->n)
        return am_fail_nomem(err, 3 * k * sizeof *p->n);
    p->sum = p->n + k + 1;
    p->squares = p->sum + k + 1;
    if (!is_category(type))
        return AM_OK;
    p->names = am_arena_new(0);
    if (!p->names)
        return am_fail_nomem(err, sizeof(void *));
    p->label = am_arena_array(p->names, LABELS_MAX, sizeof *p->label);
    return am_arena_check(p->names, err);
}

static enum am_rc count_label(struct profile *p, struct am_str v, size_t c, size_t k,
                              struct am_err *err)
{
    const uint64_t *known = am_map_get(&p->labels, v);
    uint64_t at = known ? *known : p->n_labels;
    if (!known) {
        if (p->n_labels == LABELS_MAX) {
            p->full = true;
            return AM_OK;
        }
        const struct am_str name = am_arena_str(p->names, v);
        AM_TRY(am_arena_check(p->names, err));
        AM_TRY(am_map_put(&p->labels, name, at, err));
        if (!am_vec_reserve(&p->counts, (at + 1) * (k + 1)))
            return am_fail_nomem(err, (at + 1) * (k + 1) * sizeof(uint32_t));
        memset(p->counts.ptr + at * (k + 1), 0, (k + 1) * sizeof(uint32_t));
        p->counts.len = (at + 1) * (k + 1);
        p->label[p->n_labels++] = name;
    }
    if (c < k)
        p->counts.ptr[at * (k + 1) + c]++;
    p->counts.ptr[at * (k + 1) + k]++;
    return AM_OK;
}

static void add_number(struct profile *p, double v, size_t c)
{
    p->n[c]++;
    p->sum[c] += v;
    p->squares[c] += v * v;
}

static enum am_rc add_cell(struct profile *p, const struct am_column *col, size_t row, size_t c,
                           size_t k, struct am_err *err)
{
    if (is_category(p->type)) {
        if (!col->text[row].ptr)
            return AM_OK;
        p->n[k]++;
        if (c < k)
            p->n[c]++;
        return count_label(p, col->text[row], c, k, err);
    }
    if (!isfinite(col->number[row]))
        return AM_OK;
    if (!p->shifted) {
        p->shift = col->number[row];
        p->shifted = true;
    }
    add_number(p, col->number[row] - p->shift, k);
    if (c < k)
        add_number(p, col->number[row] - p->shift, c);
    return AM_OK;
}

static struct am_node *value_of(const struct profile *p, size_t c, size_t k, struct am_arena *a)
{
    struct am_node *m = am_new_map(a);
    if (!is_category(p->type)) {
        const double n = p->n[c], mean = n > 0 ? p->sum[c] / n : (double)NAN,
                     v = n > 0 ? p->squares[c] / n - mean * mean : (double)NAN;
        am_node_set(a, m, "mean", am_new_f64(a, mean + p->shift));
        am_node_set(a, m, "deviation", am_new_f64(a, sqrt(v > 0 ? v : 0)));
        return m;
    }
    size_t best = 0;
    for (size_t i = 1; i < p->n_labels; i++)
        if (p->counts.ptr[i * (k + 1) + c] > p->counts.ptr[best * (k + 1) + c])
            best = i;
    am_node_set(a, m, "top", p->n_labels ? am_new_str(a, p->label[best]) : am_new_null(a));
    am_node_set(
        a, m, "share",
        am_new_f64(a, p->n[c] > 0 ? (double)p->counts.ptr[best * (k + 1) + c] / p->n[c] : 0));
    return m;
}

struct profiling {
    struct profile *columns;
    size_t n, k;
};

static enum am_rc read_rows(struct am_training *t, unsigned part, const struct am_scored *s,
                            const size_t *columns, struct profiling *p, struct am_err *err)
{
    struct am_table view = {NULL, NULL};
    struct am_table_iter *it = NULL;
    const struct am_batch *b;
    uint64_t at = 0;
    enum am_rc rc;
    AM_TRY(am_rows_view(&t->p.table, t->p.parts, t->p.n_rows, AM_PART_BIT(part), t->p.pl->pool,
                        &view, err));
    AM_GO(rc, view.ops->open(view.impl, columns, p->n, &it, err));
    for (;;) {
        AM_GO(rc, view.ops->next(it, &b, err));
        if (!b)
            break;
        for (size_t i = 0; i < b->n_rows && at < s->n_all; i++, at++)
            for (size_t j = 0; j < p->n; j++)
                AM_GO(rc, add_cell(&p->columns[j], &b->columns[j], i,
                                   cluster_of(s->clusters[at], p->k), p->k, err));
    }
out:
    view.ops->close(it);
    view.ops->free(view.impl);
    return rc;
}

static enum am_rc profile(struct am_training *t, unsigned part, const struct am_scored *s, size_t k,
                          struct am_node *out, struct am_err *err)
{
    struct am_arena *a = t->p.arena;
    struct profiling p = {.k = k};
    struct am_node *list = am_new_list(a);
    size_t columns[COLUMNS_SHOWN];
    enum am_rc rc = AM_OK;
    for (size_t i = 0; i < t->p.n_columns && p.n < COLUMNS_SHOWN; i++) {
        const enum am_col_type type = t->p.schema->columns[t->p.columns[i]].type;
        if (type == AM_COL_NUMBER || type == AM_COL_BOOLEAN || is_category(type))
            columns[p.n++] = t->p.columns[i];
    }
    if (p.n == 0)
        return AM_OK;
    p.columns = am_calloc(p.n, sizeof *p.columns);
    if (!p.columns)
        return am_fail_nomem(err, p.n * sizeof *p.columns);
    for (size_t i = 0; i < p.n; i++)
        AM_GO(rc, profile_init(&p.columns[i], t->p.schema->columns[columns[i]].type, k, err));
    AM_GO(rc, read_rows(t, part, s, columns, &p, err));
    for (size_t i = 0; i < p.n; i++) {
        struct am_node *m = am_new_map(a), *values = am_new_list(a);
        const struct am_column_desc *c = &t->p.schema->columns[columns[i]];
        if (p.columns[i].full)
            continue;
        for (size_t j = 0; j < k && j < CLUSTERS_SHOWN; j++)
            am_node_push(a, values, value_of(&p.columns[i], j, k, a));
        am_node_set(a, m, "column", am_new_str(a, c->name));
        am_node_set(a, m, "type", am_new_cstr(a, am_col_type_name(c->type)));
        am_node_set(a, m, "all", value_of(&p.columns[i], k, k, a));
        am_node_set(a, m, "clusters", values);
        am_node_push(a, list, m);
    }
    am_node_set(a, out, "profile", list);
    rc = am_arena_check(a, err);
out:
    for (size_t i = 0; i < p.n; i++)
        profile_clear(&p.columns[i]);
    am_free(p.columns);
    return rc;
}

/* ---- the picture ---- */

static enum am_rc scatter(struct am_training *t, const struct am_scored *s, size_t k,
                          struct am_node *out, struct am_err *err)
{
    struct am_arena *a = t->p.arena;
    const size_t n = s->in.n_rows < POINTS ? s->in.n_rows : POINTS;
    struct am_node *all = am_new_map(a), *groups = am_new_list(a);
    double shares[2], *at = am_alloc_array(n + 1, 2 * sizeof *at);
    size_t *row = am_alloc_array(n + 1, sizeof *row);
    enum am_rc rc = AM_OK;
    if (!at || !row)
        AM_GO(rc, am_fail_nomem(err, n * 2 * sizeof *at));
    if (s->in.width < 2 || n < 3)
        goto out;
    for (size_t i = 0; i < n; i++)
        row[i] = (size_t)((double)i * (double)s->in.n_rows / (double)n);
    AM_GO(rc,
          am_reduce_to_two(s->in.x, s->in.n_rows, s->in.width, row, n, t->seed, at, shares, err));
    for (size_t c = 0; c <= k && c <= CLUSTERS_SHOWN; c++) { /* k: noise */
        struct am_node *m = am_new_map(a), *x = am_new_list(a), *y = am_new_list(a);
        for (size_t i = 0; i < n; i++) {
            if (cluster_of(s->in.pred[row[i]], k) != (c == CLUSTERS_SHOWN ? k : c))
                continue;
            am_node_push(a, x, am_new_f64(a, at[2 * i]));
            am_node_push(a, y, am_new_f64(a, at[2 * i + 1]));
        }
        if (x->list.n == 0)
            continue;
        am_node_set(a, m, "cluster", am_new_i64(a, c < k ? (int64_t)c : -1));
        am_node_set(a, m, "x", x);
        am_node_set(a, m, "y", y);
        am_node_push(a, groups, m);
    }
    am_node_set(a, all, "x_share", am_new_f64(a, shares[0]));
    am_node_set(a, all, "y_share", am_new_f64(a, shares[1]));
    am_node_set(a, all, "points", groups);
    am_node_set(a, out, "scatter", all);
    rc = am_arena_check(a, err);
out:
    am_free(at);
    am_free(row);
    return rc;
}

enum am_rc am_training_clusters_report(struct am_training *t, const struct am_scored *s,
                                       struct am_node *r, struct am_err *err)
{
    static const char *const keys[] = {"search",       "chosen_by", "elbow",         "eps",
                                       "core_samples", "inertia",   "log_likelihood"};
    struct am_arena *a = t->p.arena;
    struct am_node *out = am_new_map(a);
    const size_t k = n_clusters(t);
    unsigned part = AM_ROW_TRAIN;
    for (unsigned i = AM_ROW_TRAIN; i <= AM_ROW_TEST; i++) /* as am_training_measure chooses */
        if (t->p.counts.n[i])
            part = i;
    if (t->p.counts.n[AM_ROW_TEST] == 0 && t->p.counts.n[AM_ROW_VALIDATION])
        part = AM_ROW_VALIDATION;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (am_node_get(t->learned.info, keys[i]))
            am_node_set(a, out, keys[i], am_node_get(t->learned.info, keys[i]));
    AM_TRY(sizes(s, k, out, a, err));
    AM_TRY(profile(t, part, s, k, out, err));
    AM_TRY(scatter(t, s, k, out, err));
    am_node_set(a, r, "clusters", out);
    return am_arena_check(a, err);
}
