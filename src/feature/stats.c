/* Streaming statistics; see stats.h for what is promised. */
#include "feature/stats.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/num.h"

/* ---- moments ---- */

void am_moments_init(struct am_moments *m)
{
    *m = (struct am_moments){.min = INFINITY, .max = -INFINITY};
}

static void merge(struct am_moments *m, uint64_t n, double mean, double m2)
{
    double na = (double)m->n, nb = (double)n, total = na + nb;
    double delta = mean - m->mean;
    m->m2 += m2 + delta * delta * (na * nb / total);
    m->mean += delta * (nb / total);
    m->n += n;
}

/* Sum, least and greatest; four lanes in a fixed order, so that compilers may vectorise and the
 * bits stay. */
static double scan(const double *v, size_t n, double *min, double *max)
{
    double s[4] = {0, 0, 0, 0}, lo[4] = {*min, *min, *min, *min}, hi[4] = {*max, *max, *max, *max};
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        for (size_t k = 0; k < 4; k++) {
            double x = v[i + k];
            s[k] += x;
            lo[k] = x < lo[k] ? x : lo[k];
            hi[k] = x > hi[k] ? x : hi[k];
        }
    }
    for (; i < n; i++) {
        s[0] += v[i];
        lo[0] = v[i] < lo[0] ? v[i] : lo[0];
        hi[0] = v[i] > hi[0] ? v[i] : hi[0];
    }
    for (size_t k = 0; k < 4; k++) {
        *min = lo[k] < *min ? lo[k] : *min;
        *max = hi[k] > *max ? hi[k] : *max;
    }
    return (s[0] + s[1]) + (s[2] + s[3]);
}

/* Sums of the differences from the mean and of their squares. */
static void spread(const double *v, size_t n, double mean, double *rest, double *m2)
{
    double r[4] = {0, 0, 0, 0}, q[4] = {0, 0, 0, 0};
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        for (size_t k = 0; k < 4; k++) {
            double d = v[i + k] - mean;
            r[k] += d;
            q[k] += d * d;
        }
    }
    for (; i < n; i++) {
        double d = v[i] - mean;
        r[0] += d;
        q[0] += d * d;
    }
    *rest = (r[0] + r[1]) + (r[2] + r[3]);
    *m2 = (q[0] + q[1]) + (q[2] + q[3]);
}

void am_moments_flush(struct am_moments *m)
{
    size_t n = m->n_held;
    if (n == 0)
        return;
    const double *v = m->held;
    double rest, m2, mean = scan(v, n, &m->min, &m->max) / (double)n;
    if (!isfinite(mean)) { /* sums of huge values overflow: divide first */
        mean = 0;
        for (size_t i = 0; i < n; i++)
            mean += v[i] / (double)n;
    }
    spread(v, n, mean, &rest, &m2);
    m2 -= rest * rest / (double)n;
    m->n_held = 0;
    merge(m, n, mean + rest / (double)n, m2 > 0 ? m2 : 0);
}

void am_moments_repeat(struct am_moments *m, double v, uint64_t count)
{
    am_moments_flush(m);
    if (count == 0)
        return;
    m->min = v < m->min ? v : m->min;
    m->max = v > m->max ? v : m->max;
    merge(m, count, v, 0);
}

double am_moments_variance(const struct am_moments *m)
{
    return m->n ? m->m2 / (double)m->n : 0;
}

bool am_moments_constant(const struct am_moments *m)
{
    if (m->n == 0 || !(m->max > m->min))
        return true;
    double n = (double)m->n, var = am_moments_variance(m), noise = n * m->mean * DBL_EPSILON;
    return var <= n * DBL_EPSILON * var + noise * noise;
}

/* ---- quantiles ---- */

void am_quantile_init(struct am_quantile *q, size_t kept)
{
    *q = (struct am_quantile){
        .kept = kept < 2 ? 2 : kept & ~(size_t)1, .min = INFINITY, .max = -INFINITY};
}

void am_quantile_clear(struct am_quantile *q)
{
    for (size_t h = 0; h < q->n_levels; h++)
        am_free(q->levels[h].values);
    am_free(q->sorted);
    am_free(q->rank_ends);
    am_quantile_init(q, q->kept);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static enum am_rc level_push(struct am_quantile *q, size_t h, double v, struct am_err *err);

static enum am_rc compact(struct am_quantile *q, size_t h, struct am_err *err)
{
    struct am_quantile_level *l = &q->levels[h];
    qsort(l->values, l->n, sizeof *l->values, by_value);
    for (size_t i = l->second; i < l->n; i += 2)
        AM_TRY(level_push(q, h + 1, l->values[i], err));
    l->second = !l->second;
    l->n = 0;
    return AM_OK;
}

static enum am_rc level_push(struct am_quantile *q, size_t h, double v, struct am_err *err)
{
    if (h >= AM_QUANTILE_LEVELS)
        return am_fail(err, AM_ELIMIT, "too many values for quantiles");
    struct am_quantile_level *l = &q->levels[h];
    if (h >= q->n_levels)
        q->n_levels = h + 1;
    if (l->n == q->kept)
        AM_TRY(compact(q, h, err));
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 64;
        cap = cap > q->kept ? q->kept : cap;
        double *grown = am_realloc_array(l->values, cap, sizeof *grown);
        if (grown == NULL)
            return am_fail_nomem(err, cap * sizeof *grown);
        l->values = grown;
        l->cap = cap;
    }
    l->values[l->n++] = v;
    return AM_OK;
}

enum am_rc am_quantile_add(struct am_quantile *q, double v, struct am_err *err)
{
    q->n++;
    q->min = v < q->min ? v : q->min;
    q->max = v > q->max ? v : q->max;
    return level_push(q, 0, v, err);
}

enum am_rc am_quantile_merge(struct am_quantile *q, const struct am_quantile *b, struct am_err *err)
{
    if (q->kept != b->kept)
        return am_fail(err, AM_EINVAL, "sketches keep %zu and %zu values", q->kept, b->kept);
    for (size_t h = b->n_levels; h-- > 0;) {
        for (size_t i = 0; i < b->levels[h].n; i++)
            AM_TRY(level_push(q, h, b->levels[h].values[i], err));
    }
    q->n += b->n;
    q->min = b->min < q->min ? b->min : q->min;
    q->max = b->max > q->max ? b->max : q->max;
    return AM_OK;
}

struct weighted {
    double value;
    uint64_t weight;
};

static int by_weighted_value(const void *a, const void *b)
{
    const struct weighted *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return (x->weight > y->weight) - (x->weight < y->weight);
}

enum am_rc am_quantile_end(struct am_quantile *q, double extra, uint64_t extra_count,
                           struct am_err *err)
{
    size_t n = extra_count > 0;
    for (size_t h = 0; h < q->n_levels; h++)
        n += q->levels[h].n;
    struct weighted *w = am_alloc_array(n + 1, sizeof *w);
    am_free(q->sorted);
    am_free(q->rank_ends);
    q->sorted = am_alloc_array(n + 1, sizeof *q->sorted);
    q->rank_ends = am_alloc_array(n + 1, sizeof *q->rank_ends);
    q->n_sorted = 0;
    if (w == NULL || q->sorted == NULL || q->rank_ends == NULL) {
        am_free(w);
        return am_fail_nomem(err, n * sizeof *w);
    }
    size_t k = 0;
    for (size_t h = 0; h < q->n_levels; h++) {
        for (size_t i = 0; i < q->levels[h].n; i++)
            w[k++] = (struct weighted){q->levels[h].values[i], UINT64_C(1) << h};
    }
    if (extra_count > 0)
        w[k++] = (struct weighted){extra, extra_count};
    qsort(w, n, sizeof *w, by_weighted_value);
    uint64_t end = 0;
    for (size_t i = 0; i < n; i++) {
        end += w[i].weight;
        q->sorted[i] = w[i].value;
        q->rank_ends[i] = end;
    }
    q->n_sorted = n;
    q->lowest = extra_count > 0 && extra < q->min ? extra : q->min;
    q->highest = extra_count > 0 && extra > q->max ? extra : q->max;
    am_free(w);
    return AM_OK;
}

/* The value of rank r (0-based) */
static double at_rank(const struct am_quantile *q, uint64_t r)
{
    size_t lo = 0, hi = q->n_sorted - 1;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (q->rank_ends[mid] > r)
            hi = mid;
        else
            lo = mid + 1;
    }
    return q->sorted[lo];
}

double am_quantile_at(const struct am_quantile *q, double p)
{
    if (p <= 0 || p >= 1) /* the sketch may have dropped them */
        return p <= 0 ? q->lowest : q->highest;
    uint64_t n = q->rank_ends[q->n_sorted - 1];
    double at = p * (double)(n - 1), whole = floor(at);
    uint64_t r = (uint64_t)whole;
    double a = at_rank(q, r);
    if (r + 1 >= n || at == whole)
        return a;
    double b = at_rank(q, r + 1), t = at - whole;
    double v = t < 0.5 ? a + (b - a) * t : b - (b - a) * (1 - t);
    return isfinite(v) ? v : a / 2 + b / 2; /* b - a overflows for huge values */
}

/* ---- counts ---- */

enum am_rc am_counts_init(struct am_counts *c, struct am_err *err)
{
    memset(c, 0, sizeof *c);
    am_map_init(&c->map);
    c->arena = am_arena_new(0);
    return c->arena ? AM_OK : am_fail_nomem(err, 0);
}

void am_counts_clear(struct am_counts *c)
{
    am_map_clear(&c->map);
    am_vec_clear(&c->n);
    am_arena_free(c->arena);
    c->arena = NULL;
}

enum am_rc am_counts_add(struct am_counts *c, struct am_str key, uint64_t times, size_t *index,
                         struct am_err *err)
{
    for (size_t i = 0; i < AM_COUNTS_FIRST && i < c->map.n; i++)
        if (am_str_eq(c->first[i], key)) {
            *index = i;
            c->n.ptr[i] += times;
            return AM_OK;
        }
    const uint64_t *at = am_map_get(&c->map, key);
    if (at != NULL) {
        *index = (size_t)*at;
        c->n.ptr[*index] += times;
        return AM_OK;
    }
    if (c->map.n >= AM_LIMIT_CATEGORIES)
        return am_fail(err, AM_ELIMIT, "over %d distinct values", AM_LIMIT_CATEGORIES);
    struct am_str own = am_arena_str(c->arena, key);
    if (own.ptr == NULL)
        return am_arena_check(c->arena, err);
    size_t i = c->map.n;
    if (!am_vec_push(&c->n, times))
        return am_fail_nomem(err, c->n.len * sizeof times);
    AM_TRY(am_map_put(&c->map, own, i, err));
    if (i < AM_COUNTS_FIRST)
        c->first[i] = own;
    *index = i;
    return AM_OK;
}

/* ---- labels ---- */

static int by_bytes(const void *a, const void *b)
{
    return am_str_cmp(((const struct am_label *)a)->text, ((const struct am_label *)b)->text);
}

static int by_number(const void *a, const void *b)
{
    const struct am_label *x = a, *y = b;
    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    return by_bytes(a, b);
}

void am_labels_sort(struct am_label *labels, size_t n)
{
    bool numbers = true;
    for (size_t i = 0; i < n && numbers; i++)
        numbers = am_parse_double(labels[i].text, AM_NUM_FINITE, &labels[i].number);
    qsort(labels, n, sizeof *labels, numbers ? by_number : by_bytes);
}
