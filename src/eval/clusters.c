/* Silhouette (Rousseeuw 1987), Davies-Bouldin (1979), Calinski-Harabasz (1974), adjusted Rand
 * (Hubert and Arabie 1985), normalised mutual information; see clusters.h. */
#include "eval/clusters.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

/* Rows in clusters, with clusters numbered 0..k-1 without gaps in order of their numbers. */
struct grouped {
    size_t n, k, width;
    size_t *row;    /* [n] */
    size_t *group;  /* [n] */
    size_t *counts; /* [k] */
    double *means;  /* [k, width] */
    const float *x;
};

static void grouped_clear(struct grouped *g)
{
    am_free(g->row);
    am_free(g->group);
    am_free(g->counts);
    am_free(g->means);
}

static int by_size(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static size_t place_of(const int32_t *sorted, size_t n, int32_t v)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (sorted[mid] < v)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* Numbers v [n] to places among the distinct ones; *k of them. */
static enum am_rc number(const int32_t *v, size_t n, size_t *out, size_t *k, struct am_err *err)
{
    int32_t *sorted = am_alloc_array(n + 1, sizeof *sorted);
    size_t m = 0;
    if (!sorted)
        return am_fail_nomem(err, n * sizeof *sorted);
    if (n)
        memcpy(sorted, v, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_size);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || sorted[i] != sorted[m - 1])
            sorted[m++] = sorted[i];
    for (size_t i = 0; i < n; i++)
        out[i] = place_of(sorted, m, v[i]);
    *k = m;
    am_free(sorted);
    return AM_OK;
}

static int32_t cluster_at(const struct am_eval_input *in, size_t i)
{
    const float c = in->pred[i];
    return c >= 0 && c < 16777216.0f ? (int32_t)c : -1;
}

/* At most `most` rows, taken evenly of those in clusters; 0 = all. */
static enum am_rc group_rows(const struct am_eval_input *in, size_t most, struct grouped *g,
                             struct am_err *err)
{
    int32_t *c = am_alloc_array(in->n_rows + 1, sizeof *c);
    size_t n = 0;
    enum am_rc rc;
    *g = (struct grouped){.width = in->width, .x = in->x};
    g->row = am_alloc_array(in->n_rows + 1, sizeof *g->row);
    g->group = am_alloc_array(in->n_rows + 1, sizeof *g->group);
    if (!c || !g->row || !g->group)
        AM_GO(rc, am_fail_nomem(err, in->n_rows * sizeof *g->row));
    for (size_t i = 0; i < in->n_rows; i++)
        if (cluster_at(in, i) >= 0)
            g->row[n++] = i;
    g->n = most && n > most ? most : n;
    for (size_t i = 0; i < g->n; i++) {
        g->row[i] = g->row[(size_t)((double)i * (double)n / (double)g->n)];
        c[i] = cluster_at(in, g->row[i]);
    }
    AM_GO(rc, number(c, g->n, g->group, &g->k, err));
    g->counts = am_calloc(g->k + 1, sizeof *g->counts);
    g->means = am_calloc(g->k + 1, (g->width + 1) * sizeof *g->means);
    if (!g->counts || !g->means)
        AM_GO(rc, am_fail_nomem(err, g->k * g->width * sizeof *g->means));
    for (size_t i = 0; i < g->n; i++)
        g->counts[g->group[i]]++;
out:
    am_free(c);
    if (rc != AM_OK)
        grouped_clear(g);
    return rc;
}

static void add_means(struct grouped *g)
{
    for (size_t i = 0; i < g->n; i++)
        for (size_t j = 0; j < g->width; j++)
            g->means[g->group[i] * g->width + j] += (double)g->x[g->row[i] * g->width + j];
    for (size_t c = 0; c < g->k; c++)
        for (size_t j = 0; j < g->width; j++)
            g->means[c * g->width + j] /= (double)g->counts[c];
}

static bool measurable(const struct am_eval_input *in, const struct grouped *g)
{
    return in->x && g->k >= 2 && g->k < g->n;
}

/* Four sums side by side: a fixed order that a compiler can keep in one register. */
static double distance(const float *a, const float *b, size_t n)
{
    double s[4] = {0, 0, 0, 0};
    size_t j = 0;
    for (; j + 4 <= n; j += 4)
        for (size_t k = 0; k < 4; k++) {
            double d = (double)a[j + k] - (double)b[j + k];
            s[k] += d * d;
        }
    for (; j < n; j++) {
        double d = (double)a[j] - (double)b[j];
        s[0] += d * d;
    }
    return sqrt((s[0] + s[1]) + (s[2] + s[3]));
}

/* Of row i: sums [k] of its distances to the rows of each cluster. */
static double silhouette_of(const struct grouped *g, size_t i, const double *sums)
{
    size_t own = g->group[i];
    double a, b = INFINITY;
    if (g->counts[own] < 2)
        return 0;
    a = sums[own] / (double)(g->counts[own] - 1);
    for (size_t c = 0; c < g->k; c++)
        if (c != own && sums[c] / (double)g->counts[c] < b)
            b = sums[c] / (double)g->counts[c];
    double most = a > b ? a : b;
    return most > 0 ? (b - a) / most : 0;
}

enum am_rc am_silhouette(const struct am_eval_input *in, struct am_silhouettes *each, double *out,
                         struct am_err *err)
{
    struct grouped g;
    double *sums = NULL, total = 0;
    enum am_rc rc = AM_OK;
    *out = NAN;
    if (each)
        each->n = 0;
    if (!in->x)
        return AM_OK;
    AM_TRY(group_rows(in, AM_SILHOUETTE_ROWS, &g, err));
    if (!measurable(in, &g))
        goto out;
    sums = am_alloc_array(g.k, sizeof *sums);
    if (!sums)
        AM_GO(rc, am_fail_nomem(err, g.k * sizeof *sums));
    for (size_t i = 0; i < g.n; i++) {
        const float *x = g.x + g.row[i] * g.width;
        memset(sums, 0, g.k * sizeof *sums);
        for (size_t j = 0; j < g.n; j++)
            sums[g.group[j]] += distance(x, g.x + g.row[j] * g.width, g.width);
        double s = silhouette_of(&g, i, sums);
        total += s;
        if (each) {
            each->each[i] = s;
            each->cluster[i] = cluster_at(in, g.row[i]);
            each->n = i + 1;
        }
    }
    *out = total / (double)g.n;
out:
    am_free(sums);
    grouped_clear(&g);
    return rc;
}

static double mean_distance(const double *a, const double *b, size_t n)
{
    double s = 0;
    for (size_t j = 0; j < n; j++)
        s += (a[j] - b[j]) * (a[j] - b[j]);
    return sqrt(s);
}

static double to_mean(const struct grouped *g, size_t i)
{
    const float *x = g->x + g->row[i] * g->width;
    const double *m = g->means + g->group[i] * g->width;
    double s = 0;
    for (size_t j = 0; j < g->width; j++)
        s += ((double)x[j] - m[j]) * ((double)x[j] - m[j]);
    return s;
}

static double bouldin(const struct grouped *g, const double *widths)
{
    double sum = 0;
    for (size_t c = 0; c < g->k; c++) {
        double worst = 0;
        for (size_t o = 0; o < g->k; o++) {
            double apart =
                mean_distance(g->means + c * g->width, g->means + o * g->width, g->width);
            double ratio = o == c || apart <= 0 ? 0 : (widths[c] + widths[o]) / apart;
            worst = ratio > worst ? ratio : worst;
        }
        sum += worst;
    }
    return sum / (double)g->k;
}

enum am_rc am_davies_bouldin(const struct am_eval_input *in, double *out, struct am_err *err)
{
    struct grouped g;
    double *widths;
    *out = NAN;
    AM_TRY(group_rows(in, 0, &g, err));
    widths = am_calloc(g.k + 1, sizeof *widths);
    if (widths && measurable(in, &g)) {
        add_means(&g);
        for (size_t i = 0; i < g.n; i++)
            widths[g.group[i]] += sqrt(to_mean(&g, i));
        for (size_t c = 0; c < g.k; c++)
            widths[c] /= (double)g.counts[c];
        *out = bouldin(&g, widths);
    }
    enum am_rc rc = widths ? AM_OK : am_fail_nomem(err, g.k * sizeof *widths);
    am_free(widths);
    grouped_clear(&g);
    return rc;
}

enum am_rc am_calinski_harabasz(const struct am_eval_input *in, double *out, struct am_err *err)
{
    struct grouped g;
    *out = NAN;
    AM_TRY(group_rows(in, 0, &g, err));
    if (measurable(in, &g)) {
        double inside = 0, between = 0;
        add_means(&g);
        for (size_t i = 0; i < g.n; i++)
            inside += to_mean(&g, i);
        for (size_t j = 0; j < g.width; j++) {
            double mean = 0;
            for (size_t c = 0; c < g.k; c++)
                mean += (double)g.counts[c] * g.means[c * g.width + j];
            mean /= (double)g.n;
            for (size_t c = 0; c < g.k; c++) {
                double d = g.means[c * g.width + j] - mean;
                between += (double)g.counts[c] * d * d;
            }
        }
        *out = inside > 0 ? between * (double)(g.n - g.k) / (inside * (double)(g.k - 1)) : 1;
    }
    grouped_clear(&g);
    return AM_OK;
}

enum am_rc am_clusters_used(const struct am_eval_input *in, double *out, struct am_err *err)
{
    struct grouped g;
    *out = NAN;
    AM_TRY(group_rows(in, 0, &g, err));
    *out = (double)g.k;
    grouped_clear(&g);
    return AM_OK;
}

/* ---- against labels ---- */

struct pairs {      /* rows with a label, by (label, cluster) */
    size_t n, r, c; /* rows, labels, clusters */
    size_t *label, *cluster;
    double *rows, *columns; /* [r], [c] counts */
    uint64_t *cells;        /* [n] label * c + cluster, sorted */
};

static int by_cell(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void agreement(const struct pairs *p, double *rand, double *nmi)
{
    double n = (double)p->n, both = 0, in_rows = 0, in_columns = 0, mi = 0, hr = 0, hc = 0;
    for (size_t i = 0, j; i < p->n; i = j) {
        for (j = i; j < p->n && p->cells[j] == p->cells[i]; j++)
            continue;
        double m = (double)(j - i), r = p->rows[p->cells[i] / p->c],
               c = p->columns[p->cells[i] % p->c];
        both += m * (m - 1) / 2;
        mi += m / n * (log(m / n) - log(r / n) - log(c / n));
    }
    for (size_t i = 0; i < p->r; i++) {
        in_rows += p->rows[i] * (p->rows[i] - 1) / 2;
        hr -= p->rows[i] / n * log(p->rows[i] / n);
    }
    for (size_t i = 0; i < p->c; i++) {
        in_columns += p->columns[i] * (p->columns[i] - 1) / 2;
        hc -= p->columns[i] / n * log(p->columns[i] / n);
    }
    double all = n * (n - 1) / 2, expected = all > 0 ? in_rows * in_columns / all : 0,
           most = (in_rows + in_columns) / 2;
    *rand = most - expected > 0 || most - expected < 0 ? (both - expected) / (most - expected) : 1;
    mi = mi > 0 ? mi : 0;
    *nmi = p->r == 1 && p->c == 1 ? 1 : hr + hc > 0 ? mi / ((hr + hc) / 2) : 0;
}

enum am_rc am_label_agreement(const struct am_eval_input *in, double *adjusted_rand, double *nmi,
                              struct am_err *err)
{
    struct pairs p = {0};
    int32_t *v = am_alloc_array(in->n_rows + 1, 2 * sizeof *v);
    size_t n = 0;
    enum am_rc rc = AM_OK;
    *adjusted_rand = *nmi = NAN;
    p.label = am_alloc_array(in->n_rows + 1, sizeof *p.label);
    p.cluster = am_alloc_array(in->n_rows + 1, sizeof *p.cluster);
    p.cells = am_alloc_array(in->n_rows + 1, sizeof *p.cells);
    if (!v || !p.label || !p.cluster || !p.cells)
        AM_GO(rc, am_fail_nomem(err, in->n_rows * sizeof *p.cells));
    for (size_t i = 0; in->truth && i < in->n_rows; i++)
        if (in->truth[i] >= 0 && in->truth[i] < 2147483647.0) {
            v[n] = (int32_t)in->truth[i];
            v[in->n_rows + 1 + n++] = cluster_at(in, i);
        }
    p.n = n;
    if (n == 0)
        goto out;
    AM_GO(rc, number(v, n, p.label, &p.r, err));
    AM_GO(rc, number(v + in->n_rows + 1, n, p.cluster, &p.c, err));
    p.rows = am_calloc(p.r, sizeof *p.rows);
    p.columns = am_calloc(p.c, sizeof *p.columns);
    if (!p.rows || !p.columns)
        AM_GO(rc, am_fail_nomem(err, (p.r + p.c) * sizeof *p.rows));
    for (size_t i = 0; i < n; i++) {
        p.rows[p.label[i]]++;
        p.columns[p.cluster[i]]++;
        p.cells[i] = (uint64_t)p.label[i] * p.c + p.cluster[i];
    }
    qsort(p.cells, n, sizeof *p.cells, by_cell);
    agreement(&p, adjusted_rand, nmi);
out:
    am_free(v);
    am_free(p.label);
    am_free(p.cluster);
    am_free(p.cells);
    am_free(p.rows);
    am_free(p.columns);
    return rc;
}
