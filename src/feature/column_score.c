/* The filters of column_score.h. Sums run in row order in double. */
#include "feature/column_score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"

#define BINS 10

struct work {
    const struct am_score_column *x;
    const struct am_score_target *t;
    const struct am_score_options *o;
};

static double mean_of(const double *v, size_t n)
{
    double s = 0;
    for (size_t i = 0; i < n; i++)
        s += v[i];
    return s / (double)n;
}

static double squares_of(const double *v, size_t n, double mean)
{
    double s = 0;
    for (size_t i = 0; i < n; i++)
        s += (v[i] - mean) * (v[i] - mean);
    return s;
}

double am_column_correlation(const double *a, const double *b, size_t n)
{
    const double ma = mean_of(a, n), mb = mean_of(b, n);
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++) {
        ab += (a[i] - ma) * (b[i] - mb);
        aa += (a[i] - ma) * (a[i] - ma);
        bb += (b[i] - mb) * (b[i] - mb);
    }
    return aa > 0 && bb > 0 ? fabs(ab) / sqrt(aa * bb) : 0;
}

/* Sums of v by group: how much of its spread lies between the groups. */
struct spread {
    double between, within;
    size_t groups; /* that have rows */
};

static uint32_t group_code(const uint32_t *code, const double *y, size_t i)
{
    return code ? code[i] : (uint32_t)y[i];
}

static enum am_rc spread_of(const double *v, const uint32_t *code, const double *y, size_t n,
                            size_t n_groups, struct spread *out, struct am_err *err)
{
    double *sum = am_calloc(2 * n_groups + 1, sizeof *sum);
    if (!sum)
        return am_fail_nomem(err, 2 * n_groups * sizeof *sum);
    double *count = sum + n_groups;
    const double mean = mean_of(v, n);
    *out = (struct spread){0};
    for (size_t i = 0; i < n; i++) {
        sum[group_code(code, y, i)] += v[i] - mean;
        count[group_code(code, y, i)]++;
    }
    for (size_t g = 0; g < n_groups; g++)
        if (count[g] > 0) {
            out->between += sum[g] * sum[g] / count[g];
            out->groups++;
        }
    out->within = squares_of(v, n, mean) - out->between;
    out->within = out->within > 0 ? out->within : 0;
    am_free(sum);
    return AM_OK;
}

/* One-way F; scikit-learn's is infinite where the groups have no spread of their own. */
static double one_way(const struct spread *s, size_t n)
{
    const double df = (double)n - (double)s->groups;
    if (s->groups < 2 || df <= 0 || s->between <= 0)
        return 0;
    return s->between / (double)(s->groups - 1) / (s->within / df);
}

/* ---- indicators of categories ---- */

/* Calls each(ctx, indicator [n]) for every category that has rows. */
static enum am_rc each_indicator(const struct am_score_column *x,
                                 enum am_rc (*each)(void *ctx, const double *v, struct am_err *err),
                                 void *ctx, struct am_err *err)
{
    double *v = am_alloc_array(x->n + 1, sizeof *v);
    enum am_rc rc = v ? AM_OK : am_fail_nomem(err, x->n * sizeof *v);
    for (uint32_t k = 0; k < x->n_codes && rc == AM_OK; k++) {
        size_t rows = 0;
        for (size_t i = 0; i < x->n; i++)
            rows += (size_t)(v[i] = x->code[i] == k);
        if (rows > 0)
            rc = each(ctx, v, err);
    }
    am_free(v);
    return rc;
}

struct best {
    const struct work *w;
    double value;
};

static enum am_rc best_f(void *ctx, const double *v, struct am_err *err)
{
    struct best *b = ctx;
    struct spread s;
    AM_TRY(spread_of(v, NULL, b->w->t->y, b->w->x->n, b->w->t->n_classes, &s, err));
    const double f = one_way(&s, b->w->x->n);
    b->value = f > b->value ? f : b->value;
    return AM_OK;
}

static enum am_rc anova(const struct work *w, double *out, struct am_err *err)
{
    const struct am_score_column *x = w->x;
    struct spread s;
    if (x->number && w->t->n_classes == 0) {
        const double r = am_column_correlation(x->number, w->t->y, x->n);
        *out = r * r / (1 - r * r) * (double)(x->n - 2);
        return AM_OK;
    }
    if (!x->number && w->t->n_classes > 0) {
        struct best b = {w, 0};
        AM_TRY(each_indicator(x, best_f, &b, err));
        *out = b.value;
        return AM_OK;
    }
    AM_TRY(x->number ? spread_of(x->number, NULL, w->t->y, x->n, w->t->n_classes, &s, err)
                     : spread_of(w->t->y, x->code, NULL, x->n, x->n_codes, &s, err));
    *out = one_way(&s, x->n);
    return AM_OK;
}

static enum am_rc best_ratio(void *ctx, const double *v, struct am_err *err)
{
    struct best *b = ctx;
    struct spread s;
    AM_TRY(spread_of(v, NULL, b->w->t->y, b->w->x->n, b->w->t->n_classes, &s, err));
    const double all = s.between + s.within, r = all > 0 ? sqrt(s.between / all) : 0;
    b->value = r > b->value ? r : b->value;
    return AM_OK;
}

static enum am_rc correlation(const struct work *w, double *out, struct am_err *err)
{
    const struct am_score_column *x = w->x;
    struct spread s;
    if (x->number && w->t->n_classes == 0) {
        *out = am_column_correlation(x->number, w->t->y, x->n);
        return AM_OK;
    }
    if (!x->number && w->t->n_classes > 0) {
        struct best b = {w, 0};
        AM_TRY(each_indicator(x, best_ratio, &b, err));
        *out = b.value;
        return AM_OK;
    }
    AM_TRY(x->number ? spread_of(x->number, NULL, w->t->y, x->n, w->t->n_classes, &s, err)
                     : spread_of(w->t->y, x->code, NULL, x->n, x->n_codes, &s, err));
    const double all = s.between + s.within;
    *out = all > 0 ? sqrt(s.between / all) : 0;
    return AM_OK;
}

static double variance(const struct am_score_column *x)
{
    double s = 0;
    if (x->number)
        return squares_of(x->number, x->n, mean_of(x->number, x->n)) / (double)x->n;
    for (uint32_t k = 0; k < x->n_codes; k++) {
        double rows = 0;
        for (size_t i = 0; i < x->n; i++)
            rows += x->code[i] == k;
        const double p = rows / (double)x->n;
        s += p * (1 - p);
    }
    return s;
}

/* ---- chi2 ---- */

struct chi2 {
    const struct work *w;
    double *observed, *share; /* [n_classes] */
    double sum;
};

static enum am_rc chi2_add(void *ctx, const double *v, struct am_err *err)
{
    struct chi2 *c = ctx;
    const size_t k = c->w->t->n_classes;
    double all = 0;
    (void)err;
    memset(c->observed, 0, k * sizeof *c->observed);
    for (size_t i = 0; i < c->w->x->n; i++) {
        c->observed[(size_t)c->w->t->y[i]] += v[i];
        all += v[i];
    }
    for (size_t j = 0; j < k; j++) {
        const double expected = c->share[j] * all, d = c->observed[j] - expected;
        if (expected > 0)
            c->sum += d * d / expected;
    }
    return AM_OK;
}

static enum am_rc chi2(const struct work *w, double *out, struct am_err *err)
{
    const struct am_score_column *x = w->x;
    const size_t k = w->t->n_classes;
    if (k == 0) {
        am_fail(err, AM_EUSAGE, "chi2 compares with classes, but the target is a number");
        am_hint(err, "Use anova, correlation or mutual_information.");
        return AM_EUSAGE;
    }
    double *memory = am_calloc(2 * k + (x->number ? x->n : 0), sizeof *memory);
    if (!memory)
        return am_fail_nomem(err, (2 * k + x->n) * sizeof *memory);
    struct chi2 c = {w, memory, memory + k, 0};
    enum am_rc rc;
    for (size_t i = 0; i < x->n; i++)
        c.share[(size_t)w->t->y[i]] += 1.0 / (double)x->n;
    if (x->number) {
        double *v = memory + 2 * k, low = 0;
        for (size_t i = 0; i < x->n; i++)
            low = x->number[i] < low ? x->number[i] : low;
        for (size_t i = 0; i < x->n; i++)
            v[i] = x->number[i] - low;
        rc = chi2_add(&c, v, err);
    } else {
        rc = each_indicator(x, chi2_add, &c, err);
    }
    am_free(memory);
    *out = c.sum;
    return rc;
}

/* ---- information of two codes ---- */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Parts of equal count; equal numbers stay in one part. */
static enum am_rc cut(const double *v, size_t n, uint32_t *code, struct am_err *err)
{
    double *sorted = am_alloc_array(n, sizeof *sorted), edge[BINS];
    size_t n_edges = 0;
    if (!sorted)
        return am_fail_nomem(err, n * sizeof *sorted);
    memcpy(sorted, v, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_value);
    for (size_t b = 1; b < BINS; b++) {
        const double e = sorted[b * n / BINS];
        if (e > sorted[0] && (n_edges == 0 || e > edge[n_edges - 1]))
            edge[n_edges++] = e;
    }
    for (size_t i = 0; i < n; i++) {
        code[i] = 0;
        while (code[i] < n_edges && v[i] >= edge[code[i]])
            code[i]++;
    }
    am_free(sorted);
    return AM_OK;
}

/* Mutual information in nats of two lists of codes. */
static enum am_rc of_codes(const uint32_t *a, size_t n_a, const uint32_t *b, size_t n_b, size_t n,
                           double *out, struct am_err *err)
{
    size_t cells;
    if (!am_mul_size(&cells, n_a, n_b) || cells > SIZE_MAX / 16)
        return am_fail_nomem(err, n_a * sizeof(double));
    double *joint = am_calloc(cells + n_a + n_b, sizeof *joint);
    if (!joint)
        return am_fail_nomem(err, cells * sizeof *joint);
    double *pa = joint + cells, *pb = pa + n_a, sum = 0;
    for (size_t i = 0; i < n; i++) {
        joint[a[i] * n_b + b[i]]++;
        pa[a[i]]++;
        pb[b[i]]++;
    }
    for (size_t i = 0; i < n_a; i++)
        for (size_t k = 0; k < n_b; k++) {
            const double c = joint[i * n_b + k];
            if (c > 0)
                sum += c / (double)n * log(c * (double)n / (pa[i] * pb[k]));
        }
    am_free(joint);
    *out = sum > 0 ? sum : 0;
    return AM_OK;
}

/* The column and the target as codes, numbers cut into parts; memory [2 n]. */
struct coded {
    uint32_t *memory;
    const uint32_t *a, *b;
    size_t n_a, n_b;
};

static enum am_rc code_both(const struct work *w, struct coded *c, struct am_err *err)
{
    const size_t n = w->x->n;
    c->memory = am_alloc_array(2 * n, sizeof *c->memory);
    if (!c->memory)
        return am_fail_nomem(err, 2 * n * sizeof *c->memory);
    c->a = w->x->code;
    c->n_a = w->x->n_codes;
    if (w->x->number) {
        AM_TRY(cut(w->x->number, n, c->memory, err));
        c->a = c->memory;
        c->n_a = BINS;
    }
    c->b = c->memory + n;
    c->n_b = w->t->n_classes ? w->t->n_classes : BINS;
    if (w->t->n_classes == 0)
        return cut(w->t->y, n, c->memory + n, err);
    for (size_t i = 0; i < n; i++)
        c->memory[n + i] = (uint32_t)w->t->y[i];
    return AM_OK;
}

static enum am_rc information(const struct work *w, double *out, struct am_err *err)
{
    struct coded c = {0};
    enum am_rc rc = code_both(w, &c, err);
    if (rc == AM_OK)
        rc = of_codes(c.a, c.n_a, c.b, c.n_b, w->x->n, out, err);
    am_free(c.memory);
    return rc;
}

/* ---- mutual information by nearest neighbours ---- */

static double digamma(double x)
{
    double s = 0;
    /* NOLINTNEXTLINE(cert-flp30-c): whole numbers */
    for (; x < 10; x += 1)
        s -= 1 / x;
    const double f = 1 / (x * x);
    return s + log(x) - 0.5 / x -
           f * (1.0 / 12 - f * (1.0 / 120 - f * (1.0 / 252 - f * (1.0 / 240 - f / 132))));
}

/* In units of the deviation, equal values parted by a noise far below the data's own. */
static enum am_rc scaled(const double *v, size_t n, const struct am_score_options *o,
                         uint64_t stream, double **out, struct am_err *err)
{
    double *s = am_alloc_array(n, sizeof *s);
    if (!s)
        return am_fail_nomem(err, n * sizeof *s);
    const double deviation = sqrt(squares_of(v, n, mean_of(v, n)) / (double)n);
    struct am_rng r;
    double size = 0;
    am_rng_init(&r, o->seed, stream);
    for (size_t i = 0; i < n; i++) {
        s[i] = deviation > 0 ? v[i] / deviation : v[i];
        size += fabs(s[i]);
    }
    size = size / (double)n > 1 ? size / (double)n : 1;
    for (size_t i = 0; i < n; i++)
        s[i] += 1e-10 * size * am_rng_normal(&r);
    *out = s;
    return AM_OK;
}

/* How many of the sorted values lie within radius of v, ends included. */
static size_t within(const double *sorted, size_t n, double v, double radius)
{
    size_t edge[2];
    for (unsigned side = 0; side < 2; side++) {
        size_t lo = 0, hi = n; /* first that is >= v - radius; first that is > v + radius */
        while (lo < hi) {
            const size_t mid = lo + (hi - lo) / 2;
            if (side == 0 ? v - sorted[mid] > radius : !(sorted[mid] - v > radius))
                lo = mid + 1;
            else
                hi = mid;
        }
        edge[side] = lo;
    }
    return edge[1] - edge[0];
}

/* Distance to the k-th nearest of the others in a sorted list. */
static double neighbour(const double *sorted, size_t n, size_t at, size_t k)
{
    size_t lo = at, hi = at;
    double d = 0;
    for (size_t i = 0; i < k; i++) {
        const double left = lo > 0 ? sorted[at] - sorted[lo - 1] : INFINITY;
        const double right = hi + 1 < n ? sorted[hi + 1] - sorted[at] : INFINITY;
        if (left <= right)
            lo--;
        else
            hi++;
        d = left <= right ? left : right;
    }
    return d;
}

struct group { /* numbers of one class, sorted */
    double *v;
    size_t n;
};

/* Ross 2014: a number and a class. */
static enum am_rc number_and_class(const double *v, const uint32_t *code, size_t n_codes, size_t n,
                                   unsigned k, double *out, struct am_err *err)
{
    double *all = am_alloc_array(2 * n + 1, sizeof *all), *parts = all ? all + n : NULL;
    size_t *begin = am_calloc(n_codes + 2, sizeof *begin), used = 0;
    double sum_k = 0, sum_label = 0, sum_all = 0;
    enum am_rc rc = all && begin ? AM_OK : am_fail_nomem(err, n * sizeof *all);
    if (rc != AM_OK)
        goto out;
    for (size_t i = 0; i < n; i++)
        begin[code[i] + 1]++;
    for (size_t c = 0; c < n_codes; c++)
        begin[c + 1] += begin[c];
    for (size_t c = 0; c < n_codes; c++) { /* classes of one row say nothing */
        struct group g = {parts + begin[c], 0};
        for (size_t i = 0; i < n; i++)
            if (code[i] == c)
                g.v[g.n++] = v[i];
        if (g.n < 2)
            continue;
        qsort(g.v, g.n, sizeof *g.v, by_value);
        memcpy(all + used, g.v, g.n * sizeof *all);
        used += g.n;
    }
    qsort(all, used, sizeof *all, by_value);
    for (size_t c = 0; c < n_codes; c++) {
        const struct group g = {parts + begin[c], begin[c + 1] - begin[c]};
        const size_t near = k < g.n - 1 ? k : g.n - 1;
        for (size_t i = 0; g.n > 1 && i < g.n; i++) {
            const double radius = nextafter(neighbour(g.v, g.n, i, near), 0);
            sum_all += digamma((double)within(all, used, g.v[i], radius));
            sum_k += digamma((double)near);
            sum_label += digamma((double)g.n);
        }
    }
    *out = 0;
    if (used > 0)
        *out = digamma((double)used) + (sum_k - sum_label - sum_all) / (double)used;
    *out = *out > 0 ? *out : 0;
out:
    am_free(all);
    am_free(begin);
    return rc;
}

struct point {
    double x, y;
};
static int by_x(const void *a, const void *b)
{
    const struct point *p = a, *q = b;
    return (p->x > q->x) - (p->x < q->x);
}

/* The k-th smallest of the distances (larger of |dx|, |dy|) to the other points, sorted by x. */
static double near_point(const struct point *p, size_t n, size_t at, unsigned k, double *best)
{
    size_t lo = at, hi = at;
    for (unsigned i = 0; i < k; i++)
        best[i] = INFINITY;
    for (;;) {
        const double left = lo > 0 ? p[at].x - p[lo - 1].x : INFINITY;
        const double right = hi + 1 < n ? p[hi + 1].x - p[at].x : INFINITY;
        double dx = left <= right ? left : right;
        if (!(dx < best[k - 1]))
            return best[k - 1];
        const size_t other = left <= right ? --lo : ++hi;
        const double dy = fabs(p[other].y - p[at].y), d = dx > dy ? dx : dy;
        if (d < best[k - 1]) {
            unsigned place = k - 1;
            for (; place > 0 && best[place - 1] > d; place--)
                best[place] = best[place - 1];
            best[place] = d;
        }
    }
}

#define NEIGHBORS_MAX 64

/* Kraskov, Stoegbauer and Grassberger 2004, first estimator: two numbers. */
static enum am_rc two_numbers(const double *x, const double *y, size_t n, unsigned k, double *out,
                              struct am_err *err)
{
    struct point *p = am_alloc_array(n, sizeof *p);
    double *sorted = am_alloc_array(2 * n, sizeof *sorted), best[NEIGHBORS_MAX], sum = 0;
    enum am_rc rc = p && sorted ? AM_OK : am_fail_nomem(err, 2 * n * sizeof *p);
    for (size_t i = 0; i < n && rc == AM_OK; i++) {
        p[i] = (struct point){x[i], y[i]};
        sorted[i] = x[i];
        sorted[n + i] = y[i];
    }
    if (rc == AM_OK) {
        qsort(p, n, sizeof *p, by_x);
        qsort(sorted, n, sizeof *sorted, by_value);
        qsort(sorted + n, n, sizeof *sorted, by_value);
        k = k < n - 1 ? k : (unsigned)(n - 1);
        for (size_t i = 0; i < n; i++) {
            const double radius = nextafter(near_point(p, n, i, k, best), 0);
            sum += digamma((double)within(sorted, n, p[i].x, radius)) +
                   digamma((double)within(sorted + n, n, p[i].y, radius));
        }
        const double v = digamma((double)n) + digamma(k) - sum / (double)n;
        *out = v > 0 ? v : 0;
    }
    am_free(p);
    am_free(sorted);
    return rc;
}

static enum am_rc mutual(const struct work *w, double *out, struct am_err *err)
{
    const size_t n = w->x->n;
    unsigned k = w->o && w->o->n_neighbors ? w->o->n_neighbors : 3;
    const struct am_score_options none = {0}, *o = w->o ? w->o : &none;
    double *x = NULL, *y = NULL;
    enum am_rc rc = AM_OK;
    k = k < NEIGHBORS_MAX ? k : NEIGHBORS_MAX;
    if (!w->x->number && w->t->n_classes > 0)
        return information(w, out, err);
    if (w->x->number)
        rc = scaled(w->x->number, n, o, 0, &x, err);
    if (rc == AM_OK && w->t->n_classes == 0)
        rc = scaled(w->t->y, n, o, 1, &y, err);
    if (rc == AM_OK && x && y) {
        rc = two_numbers(x, y, n, k, out, err);
    } else if (rc == AM_OK && y) {
        rc = number_and_class(y, w->x->code, w->x->n_codes, n, k, out, err);
    } else if (rc == AM_OK) {
        uint32_t *code = am_alloc_array(n, sizeof *code);
        for (size_t i = 0; code && i < n; i++)
            code[i] = (uint32_t)w->t->y[i];
        rc = code ? number_and_class(x, code, w->t->n_classes, n, k, out, err)
                  : am_fail_nomem(err, n * sizeof *code);
        am_free(code);
    }
    am_free(x);
    am_free(y);
    return rc;
}

enum am_rc am_column_score(enum am_column_score by, const struct am_score_column *x,
                           const struct am_score_target *t, const struct am_score_options *o,
                           double *out, struct am_err *err)
{
    const struct work w = {x, t, o};
    enum am_rc rc = AM_OK;
    *out = 0;
    switch (by) {
    case AM_SCORE_VARIANCE:
        *out = variance(x);
        break;
    case AM_SCORE_CORRELATION:
        rc = correlation(&w, out, err);
        break;
    case AM_SCORE_ANOVA:
        rc = anova(&w, out, err);
        break;
    case AM_SCORE_CHI2:
        rc = chi2(&w, out, err);
        break;
    case AM_SCORE_INFORMATION_GAIN:
        rc = information(&w, out, err);
        *out /= log(2);
        break;
    case AM_SCORE_MUTUAL_INFORMATION:
    case AM_N_COLUMN_SCORES:
        rc = mutual(&w, out, err);
        break;
    }
    return rc;
}
