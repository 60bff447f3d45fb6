/* Profiles, the second half: association of each column with the target over the row sample,
 * warnings, and the tree for printing. */
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/date.h"
#include "base/num.h"
#include "data/profile_int.h"

#define CLASSES_MAX 1000

/* A sampled column as class numbers 0..n-1, -1 = missing; 0 when it has too many values. */
static size_t as_classes(const struct am_profile *p, const struct profile_state *c, int *out,
                         double *scratch)
{
    bool text = c->pub.type == AM_COL_TEXT || c->pub.type == AM_COL_CATEGORY;
    if (!c->pub.distinct_exact || c->pub.n_distinct > CLASSES_MAX)
        return 0;
    if (text) {
        for (size_t i = 0; i < p->n_sample; i++)
            out[i] = isnan(c->sample[i]) ? -1 : (int)c->sample[i];
        return c->distinct.texts.n;
    }
    size_t n = 0, k = 0;
    for (size_t i = 0; i < p->n_sample; i++)
        if (!isnan(c->sample[i]))
            scratch[n++] = c->sample[i];
    qsort(scratch, n, sizeof *scratch, profile_compare_doubles);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || scratch[i] != scratch[k - 1])
            scratch[k++] = scratch[i];
    for (size_t i = 0; i < p->n_sample; i++) {
        out[i] = -1;
        const double *found =
            isnan(c->sample[i])
                ? NULL
                : bsearch(&c->sample[i], scratch, k, sizeof *scratch, profile_compare_doubles);
        if (found)
            out[i] = (int)(found - scratch);
    }
    return k;
}

static double pearson(const double *x, const double *y, size_t n)
{
    double mx = 0, my = 0, sxx = 0, syy = 0, sxy = 0, k = 0;
    for (size_t i = 0; i < n; i++) {
        if (isnan(x[i]) || isnan(y[i]))
            continue;
        k++;
        double dx = x[i] - mx, dy = y[i] - my;
        mx += dx / k;
        my += dy / k;
        sxx += dx * (x[i] - mx);
        syy += dy * (y[i] - my);
        sxy += dx * (y[i] - my);
    }
    return sxx > 0 && syy > 0 ? sxy / sqrt(sxx) / sqrt(syy) : NAN;
}

/* Correlation ratio: share of the deviation of x that the classes explain, as a root. */
static double correlation_ratio(const double *x, const int *k, size_t n, size_t n_classes,
                                double *sums, double *counts)
{
    double total = 0, count = 0, between = 0, within = 0;
    for (size_t j = 0; j < n_classes; j++)
        sums[j] = counts[j] = 0;
    for (size_t i = 0; i < n; i++) {
        if (isnan(x[i]) || k[i] < 0)
            continue;
        sums[k[i]] += x[i];
        counts[k[i]]++;
        total += x[i];
        count++;
    }
    for (size_t i = 0; i < n; i++)
        if (!isnan(x[i]) && k[i] >= 0) {
            double d = x[i] - total / count;
            within += d * d;
        }
    for (size_t j = 0; j < n_classes; j++)
        if (counts[j] > 0) {
            double d = sums[j] / counts[j] - total / count;
            between += counts[j] * d * d;
        }
    return within > 0 ? sqrt(between / within) : NAN;
}

static double cramers_v(const int *a, const int *b, size_t n, size_t na, size_t nb, double *table)
{
    double count = 0, chi2 = 0;
    memset(table, 0, na * nb * sizeof *table);
    for (size_t i = 0; i < n; i++)
        if (a[i] >= 0 && b[i] >= 0) {
            table[(size_t)a[i] * nb + (size_t)b[i]]++;
            count++;
        }
    size_t rows = 0, columns = 0;
    for (size_t j = 0; j < nb; j++) {
        double sum = 0;
        for (size_t i = 0; i < na; i++)
            sum += table[i * nb + j];
        columns += sum > 0;
    }
    for (size_t i = 0; i < na; i++) {
        double row = 0;
        for (size_t j = 0; j < nb; j++)
            row += table[i * nb + j];
        rows += row > 0;
        for (size_t j = 0; j < nb && row > 0; j++) {
            double column = 0;
            for (size_t r = 0; r < na; r++)
                column += table[r * nb + j];
            double expected = row * column / count;
            if (expected > 0)
                chi2 += (table[i * nb + j] - expected) * (table[i * nb + j] - expected) / expected;
        }
    }
    size_t least = rows < columns ? rows : columns;
    return least > 1 && count > 0 ? sqrt(chi2 / count / (double)(least - 1)) : NAN;
}

static bool is_class(const struct am_column_profile *c)
{
    return c->type == AM_COL_TEXT || c->type == AM_COL_CATEGORY || c->type == AM_COL_BOOLEAN ||
           (c->all_integers && c->distinct_exact && c->n_distinct <= 20);
}

enum am_rc profile_correlate(struct am_profile *p, struct am_err *err)
{
    size_t n = p->n_sample;
    if (p->target == SIZE_MAX || n == 0)
        return AM_OK;
    const struct profile_state *t = &p->columns[p->target];
    enum am_rc rc = AM_OK;
    int *y = am_alloc_array(n, sizeof *y), *x = am_alloc_array(n, sizeof *x);
    double *sums = am_alloc_array((size_t)2 * CLASSES_MAX, sizeof *sums), *table = NULL;
    if (!y || !x || !sums) {
        rc = am_fail_nomem(err, n * sizeof *y);
        goto out;
    }
    bool target_text = t->pub.type == AM_COL_TEXT || t->pub.type == AM_COL_CATEGORY;
    size_t n_classes = is_class(&t->pub) ? as_classes(p, t, y, p->scratch) : 0;
    for (size_t c = 0; c < p->schema->n; c++) {
        struct profile_state *s = &p->columns[c];
        bool text = s->pub.type == AM_COL_TEXT || s->pub.type == AM_COL_CATEGORY;
        if (c == p->target)
            continue;
        if (!text && !target_text && n_classes <= 2) {
            s->pub.target_correlation = pearson(s->sample, t->sample, n);
        } else if (!text && n_classes) {
            s->pub.target_correlation =
                correlation_ratio(s->sample, y, n, n_classes, sums, sums + CLASSES_MAX);
        } else if (text) {
            size_t k = as_classes(p, s, x, p->scratch);
            if (k == 0 || (target_text && n_classes == 0))
                continue;
            if (n_classes == 0) {
                s->pub.target_correlation =
                    correlation_ratio(t->sample, x, n, k, sums, sums + CLASSES_MAX);
                continue;
            }
            am_free(table);
            table = am_alloc_array(k * n_classes, sizeof *table);
            if (!table) {
                rc = am_fail_nomem(err, k * n_classes * sizeof *table);
                goto out;
            }
            s->pub.target_correlation = cramers_v(x, y, n, k, n_classes, table);
        }
    }
out:
    am_free(y);
    am_free(x);
    am_free(sums);
    am_free(table);
    return rc;
}

static void warn(struct am_arena *a, struct am_node *list, struct am_str column, const char *kind,
                 struct am_str text)
{
    struct am_node *w = am_new_map(a);
    am_node_set(a, w, "column", column.ptr ? am_new_str(a, column) : am_new_null(a));
    am_node_set(a, w, "kind", am_new_cstr(a, kind));
    am_node_set(a, w, "text", am_new_str(a, text));
    am_node_push(a, list, w);
}

#define ID_BYTES 64 /* longer ones are texts, also without spaces (Chinese) */

/* Texts that hardly ever come twice tell any target. */
static bool tells_by_itself(const struct am_column_profile *c)
{
    const bool text = c->type == AM_COL_TEXT || c->type == AM_COL_CATEGORY;
    return text && c->n_distinct * 2 > c->n_rows - c->n_missing;
}

static bool looks_like_id(const struct am_column_profile *c, enum am_col_type type)
{
    uint64_t n = c->n_rows - c->n_missing;
    if (n < 20 || type == AM_COL_DATE || am_col_is_media(c->type))
        return false;
    bool unique = (double)c->n_distinct >= (c->distinct_exact ? 1.0 : 0.95) * (double)n;
    if (c->type == AM_COL_TEXT || c->type == AM_COL_CATEGORY)
        return unique && c->mean_words < 3 && c->max_bytes <= ID_BYTES;
    return unique && c->all_integers && c->max - c->min + 1 <= 1.1 * (double)n;
}

static void warn_column(const struct am_profile *p, size_t i, enum am_col_type type,
                        struct am_arena *a, struct am_node *list)
{
    const struct am_column_profile *c = &p->columns[i].pub;
    uint64_t n = c->n_rows - c->n_missing;
    if (c->n_rows == 0)
        return;
    if (n == 0)
        warn(a, list, c->name, "missing", am_arena_printf(a, am_tr("every value is missing")));
    else if (c->n_missing * 2 > c->n_rows)
        warn(a, list, c->name, "missing",
             am_arena_printf(a, am_tr("%.0f %% of the values are missing"),
                             100.0 * (double)c->n_missing / (double)c->n_rows));
    if (n > 0 && c->n_distinct <= 1)
        warn(a, list, c->name, "constant", am_arena_printf(a, am_tr("every value is the same")));
    if (c->n_infinite)
        warn(a, list, c->name, "infinite",
             am_arena_printf(a, am_tr("%llu values are infinite or not of the column's type"),
                             (unsigned long long)c->n_infinite));
    if (am_col_is_media(c->type) && c->distinct_exact && c->n_distinct > 1 && c->n_distinct < n)
        warn(a, list, c->name, "duplicates",
             am_arena_printf(a, am_tr("%llu files are equal to an earlier one"),
                             (unsigned long long)(n - c->n_distinct)));
    if (i == p->target)
        return;
    if (looks_like_id(c, type))
        warn(a, list, c->name, "id",
             am_arena_printf(a, am_tr("every row has another value: an identifier teaches nothing, "
                                      "name it in data.id")));
    else if (fabs(c->target_correlation) >= 0.999 && !tells_by_itself(c))
        warn(a, list, c->name, "leak",
             am_arena_printf(
                 a,
                 am_tr("tells the target almost exactly (%.4f): it may be known only afterwards"),
                 c->target_correlation));
}

static void warn_target(const struct am_profile *p, struct am_arena *a, struct am_node *list)
{
    const struct am_column_profile *t = &p->columns[p->target].pub;
    uint64_t n = t->n_rows - t->n_missing;
    if (t->n_missing)
        warn(a, list, t->name, "missing",
             am_arena_printf(a, am_tr("%llu rows have no target and are left out"),
                             (unsigned long long)t->n_missing));
    if (!is_class(t) || t->n_distinct < 2 || t->n_distinct > 20 || t->n_top < t->n_distinct ||
        n == 0) {
        if (!is_class(t) || t->n_top < 2 || n == 0 || t->n_distinct > AM_PROFILE_TOP)
            return;
    }
    uint64_t most = t->top[0].count, least = t->top[t->n_top - 1].count;
    if (most * 10 >= n * 9)
        warn(a, list, t->name, "imbalance",
             am_arena_printf(a,
                             am_tr("%.1f %% of the rows are of class \"%.*s\": judge by recall, "
                                   "precision or roc_auc, not accuracy"),
                             100.0 * (double)most / (double)n, AM_FMT(t->top[0].text)));
    else if (least * 20 * t->n_distinct < n)
        warn(a, list, t->name, "imbalance",
             am_arena_printf(a, am_tr("class \"%.*s\" has only %llu rows"),
                             AM_FMT(t->top[t->n_top - 1].text), (unsigned long long)least));
}

static struct am_node *number_or_null(struct am_arena *a, double v)
{
    return isfinite(v) ? am_new_f64(a, v) : am_new_null(a);
}

static const char *const quantile_names[AM_PROFILE_QUANTILES] = {"p1",  "p5",  "p25", "p50",
                                                                 "p75", "p95", "p99"};

/* What the profile counts in microseconds, for people: a day or a moment, to the second where it is
 * a mean or a quantile. */
static struct am_node *date_or_null(struct am_arena *a, double us, double unit)
{
    char text[AM_DATE_CHARS];
    if (!(fabs(us) < 9.2e18))
        return am_new_null(a);
    am_date_print((int64_t)(round(us / unit) * unit), text);
    return am_new_cstr(a, text);
}

static void add_dates(const struct am_column_profile *c, struct am_arena *a, struct am_node *m)
{
    const double second = 1e6, day = (double)AM_US_PER_DAY;
    struct am_node *q = am_new_map(a), *h = am_new_map(a), *bins = am_new_list(a);
    am_node_set(a, m, "min", date_or_null(a, c->min, 1));
    am_node_set(a, m, "max", date_or_null(a, c->max, 1));
    am_node_set(a, m, "mean", date_or_null(a, c->mean, second));
    am_node_set(a, m, "std_days", number_or_null(a, c->std / day));
    for (size_t i = 0; i < AM_PROFILE_QUANTILES; i++)
        am_node_set(a, q, quantile_names[i], date_or_null(a, c->quantiles[i], second));
    am_node_set(a, m, "quantiles", q);
    for (size_t i = 0; i < AM_PROFILE_BINS; i++)
        am_node_push(a, bins, am_new_i64(a, (int64_t)c->bins[i]));
    am_node_set(a, h, "low", date_or_null(a, c->bin_low, 1));
    am_node_set(a, h, "width_days", number_or_null(a, c->bin_width / day));
    am_node_set(a, h, "counts", bins);
    am_node_set(a, m, "histogram", h);
}

static void add_numbers(const struct am_column_profile *c, struct am_arena *a, struct am_node *m)
{
    am_node_set(a, m, "min", number_or_null(a, c->min));
    am_node_set(a, m, "max", number_or_null(a, c->max));
    am_node_set(a, m, "mean", number_or_null(a, c->mean));
    am_node_set(a, m, "std", number_or_null(a, c->std));
    am_node_set(a, m, "zeros", am_new_i64(a, (int64_t)c->n_zero));
    am_node_set(a, m, "negatives", am_new_i64(a, (int64_t)c->n_negative));
    struct am_node *q = am_new_map(a), *h = am_new_map(a), *bins = am_new_list(a);
    for (size_t i = 0; i < AM_PROFILE_QUANTILES; i++)
        am_node_set(a, q, quantile_names[i], number_or_null(a, c->quantiles[i]));
    am_node_set(a, m, "quantiles", q);
    for (size_t i = 0; i < AM_PROFILE_BINS; i++)
        am_node_push(a, bins, am_new_i64(a, (int64_t)c->bins[i]));
    am_node_set(a, h, "low", number_or_null(a, c->bin_low));
    am_node_set(a, h, "width", number_or_null(a, c->bin_width));
    am_node_set(a, h, "counts", bins);
    am_node_set(a, m, "histogram", h);
}

static struct am_node *range_node(struct am_arena *a, double low, double high)
{
    struct am_node *m = am_new_map(a);
    am_node_set(a, m, "min", am_new_f64(a, low));
    am_node_set(a, m, "max", am_new_f64(a, high));
    return m;
}

static void add_media(const struct am_column_profile *c, struct am_arena *a, struct am_node *m)
{
    const struct am_media_profile *p = &c->media;
    struct am_node *formats = am_new_map(a);
    for (size_t i = 0; i < p->n_formats; i++)
        am_node_set_str(a, formats, am_arena_str(a, am_str(p->formats[i].name)),
                        am_new_i64(a, (int64_t)p->formats[i].count));
    am_node_set(a, m, "formats", formats);
    am_node_set(a, m, "bytes", am_new_i64(a, (int64_t)p->n_bytes));
    am_node_set(a, m, "longest_bytes", am_new_i64(a, (int64_t)c->max_bytes));
    am_node_set(a, m, "unread", am_new_i64(a, (int64_t)p->n_unread));
    if (p->n_read == 0)
        return;
    am_node_set(a, m, c->type == AM_COL_VIDEO ? "frames" : "channels",
                range_node(a, p->low[2], p->high[2]));
    if (c->type == AM_COL_IMAGE || c->type == AM_COL_VIDEO) {
        am_node_set(a, m, "width", range_node(a, p->low[0], p->high[0]));
        am_node_set(a, m, "height", range_node(a, p->low[1], p->high[1]));
        if (c->type == AM_COL_IMAGE)
            am_node_set(a, m, "animated", am_new_i64(a, (int64_t)p->n_animated));
        return;
    }
    am_node_set(a, m, "sample_rate", range_node(a, p->low[0], p->high[0]));
    am_node_set(a, m, "seconds", range_node(a, p->min_seconds, p->max_seconds));
    am_node_set(a, m, "total_seconds", am_new_f64(a, p->seconds));
}

static struct am_node *column_node(const struct am_profile *p, size_t i, enum am_col_type type,
                                   struct am_arena *a)
{
    const struct am_column_profile *c = &p->columns[i].pub;
    struct am_node *m = am_new_map(a);
    am_node_set(a, m, "name", am_new_str(a, c->name));
    am_node_set(a, m, "type", am_new_cstr(a, am_col_type_name(type)));
    am_node_set(a, m, "count", am_new_i64(a, (int64_t)(c->n_rows - c->n_missing)));
    am_node_set(a, m, "missing", am_new_i64(a, (int64_t)c->n_missing));
    am_node_set(a, m, "distinct", am_new_i64(a, (int64_t)c->n_distinct));
    am_node_set(a, m, "distinct_exact", am_new_bool(a, c->distinct_exact));
    if (c->type == AM_COL_DATE)
        add_dates(c, a, m);
    else if (am_col_is_media(c->type))
        add_media(c, a, m);
    else if (c->type == AM_COL_NUMBER || c->type == AM_COL_BOOLEAN)
        add_numbers(c, a, m);
    else
        am_node_set(a, m, "longest_bytes", am_new_i64(a, (int64_t)c->max_bytes));
    struct am_node *top = am_new_list(a);
    for (size_t k = 0; k < c->n_top; k++) {
        struct am_node *v = am_new_map(a);
        double us;
        bool date = c->type == AM_COL_DATE && am_parse_double(c->top[k].text, AM_NUM_FINITE, &us);
        am_node_set(a, v, "value", date ? date_or_null(a, us, 1) : am_new_str(a, c->top[k].text));
        am_node_set(a, v, "count", am_new_i64(a, (int64_t)c->top[k].count));
        am_node_push(a, top, v);
    }
    am_node_set(a, m, "top", top);
    if (!isnan(c->target_correlation))
        am_node_set(a, m, "target_correlation", am_new_f64(a, c->target_correlation));
    return m;
}

struct am_node *am_profile_to_node(const struct am_profile *p, const enum am_col_type *types,
                                   struct am_arena *a)
{
    struct am_node *m = am_new_map(a), *columns = am_new_list(a), *warnings = am_new_list(a);
    am_node_set(a, m, "rows", am_new_i64(a, (int64_t)p->n_rows));
    am_node_set(a, m, "sampled", am_new_i64(a, (int64_t)p->n_sample));
    if (p->n_rows < 50)
        warn(a, warnings, (struct am_str){NULL, 0}, "few_rows",
             am_arena_printf(a, am_tr("only %llu rows: every figure is uncertain"),
                             (unsigned long long)p->n_rows));
    for (size_t i = 0; i < p->schema->n; i++) {
        enum am_col_type type = types ? types[i] : p->schema->columns[i].type;
        am_node_push(a, columns, column_node(p, i, type, a));
        warn_column(p, i, type, a, warnings);
    }
    if (p->target != SIZE_MAX)
        warn_target(p, a, warnings);
    am_node_set(a, m, "columns", columns);
    am_node_set(a, m, "warnings", warnings);
    return m;
}
