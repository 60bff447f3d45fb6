/* Fitting of category columns: counts, kept categories, codes, target means in and out of fold.
 *
 * Part of fitting only (fit.h). The counts are exact and their order is that of first appearance,
 * so nothing depends on batches or threads. */
#include "feature/fit_int.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/rng.h"

#define TARGET_BYTES ((size_t)1 << 30) /* of one column's sums */

unsigned am_ffit_fold(uint64_t seed, uint64_t row, size_t folds)
{
    uint32_t r[4];
    am_rng_block(seed, AM_RNG_FOLD, row, r);
    return (unsigned)((uint64_t)r[0] * folds >> 32);
}

/* ---- update ---- */

static enum am_rc too_many(const struct am_ffit_col *col, enum am_rc rc, struct am_err *err)
{
    if (rc == AM_ELIMIT) {
        am_context(err, "column \"%.*s\"", AM_FMT(col->name));
        am_hint(err, "Use `encode: hash`, or drop the column.");
    }
    return rc;
}

static enum am_rc target_row(struct am_ffit_col *col, size_t row, size_t n_values,
                             struct am_err *err)
{
    size_t n = (row + 1) * col->spec.folds, sums = n * n_values;
    if (sums * sizeof(double) > TARGET_BYTES)
        return too_many(
            col, am_fail(err, AM_ELIMIT, "%zu categories are too many for target encoding", row),
            err);
    if (!am_vec_reserve(&col->target_n, n) || !am_vec_reserve(&col->target_sum, sums))
        return am_fail_nomem(err, sums * sizeof(double));
    while (col->target_n.len < n)
        col->target_n.ptr[col->target_n.len++] = 0;
    while (col->target_sum.len < sums)
        col->target_sum.ptr[col->target_sum.len++] = 0;
    return AM_OK;
}

static enum am_rc target_add(const struct am_features_fit *fit, struct am_ffit_col *col, size_t row,
                             double y, uint64_t id, struct am_err *err)
{
    size_t k = fit->n_values;
    AM_TRY(target_row(col, row, k, err));
    size_t at = row * col->spec.folds + am_ffit_fold(fit->seed, id, col->spec.folds);
    col->target_n.ptr[at]++;
    if (fit->task == AM_TASK_MULTICLASS) {
        if (!(y >= 0 && y < (double)k))
            return am_fail(err, AM_EINVAL, "class index %g is not from 0 to %zu", y, k - 1);
        col->target_sum.ptr[at * k + (size_t)y] += 1;
    } else {
        col->target_sum.ptr[at] += y;
    }
    return AM_OK;
}

enum am_rc am_ffit_category_update(const struct am_features_fit *fit, struct am_ffit_col *col,
                                   const struct am_str *cells, size_t n_rows, const double *y,
                                   const uint64_t *rows, uint64_t first_row, struct am_err *err)
{
    bool target = col->spec.kind == AM_F_TARGET;
    if (col->counts == NULL) {
        for (size_t i = 0; i < n_rows; i++)
            col->n_missing += cells[i].ptr == NULL;
        return AM_OK;
    }
    for (size_t i = 0; i < n_rows; i++) {
        size_t index = SIZE_MAX; /* + 1 = row 0: missing */
        if (cells[i].ptr == NULL) {
            col->n_missing++;
        } else {
            enum am_rc rc = am_counts_add(col->counts, cells[i], 1, &index, err);
            if (rc != AM_OK)
                return too_many(col, rc, err);
        }
        if (target)
            AM_TRY(target_add(fit, col, index + 1, y[i], rows ? rows[i] : first_row + i, err));
    }
    return AM_OK;
}

/* ---- finish ---- */

static int by_count(const void *a, const void *b)
{
    const struct am_label *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return am_str_cmp(x->text, y->text);
}

/* Distinct values in class order; the filled missing ones counted in. labels: room for one more. */
static void list_labels(const struct am_ffit_col *col, struct am_label *labels, size_t *n_out,
                        struct am_str *fill)
{
    const struct am_counts *c = col->counts;
    size_t n = 0;
    for (; n < c->map.n; n++)
        labels[n] =
            (struct am_label){.text = c->map.entries[n].key, .count = c->n.ptr[n], .index = n};
    *fill = (struct am_str){NULL, 0};
    if (col->spec.impute == AM_FI_MODE && n > 0) {
        am_labels_sort(labels, n);
        size_t best = 0;
        for (size_t i = 1; i < n; i++)
            best = labels[i].count > labels[best].count ? i : best;
        labels[best].count += col->n_missing;
        *fill = labels[best].text;
    } else if (col->spec.impute == AM_FI_CONSTANT) {
        *fill = col->spec.constant_text;
        const uint64_t *at = am_map_get(&c->map, *fill);
        if (at != NULL)
            labels[*at].count += col->n_missing;
        else if (col->n_missing > 0)
            labels[n++] =
                (struct am_label){.text = *fill, .count = col->n_missing, .index = SIZE_MAX};
    }
    am_labels_sort(labels, n);
    *n_out = n;
}

/* onehot: the most frequent ones stay, in class order. */
static enum am_rc keep_frequent(const struct am_ffit_col *col, struct am_label *labels, size_t *n,
                                bool *has_other, struct am_err *err)
{
    size_t all = *n, kept = 0;
    qsort(labels, all, sizeof *labels, by_count);
    while (kept < all && kept < col->spec.max_categories &&
           labels[kept].count >= col->spec.min_count)
        kept++;
    am_labels_sort(labels, kept);
    *n = kept;
    *has_other = kept < all;
    if (*has_other && col->spec.refuse_unseen) {
        enum am_rc rc = am_fail(err, AM_EUSAGE,
                                "features.%.*s: %zu of %zu categories would go to (other), which "
                                "`unseen: error` forbids",
                                AM_FMT(col->name), all - kept, all);
        am_hint(err, "Raise max_categories and lower min_count, or say `unseen: other`.");
        return rc;
    }
    return AM_OK;
}

/* ordinal with a declared order: every category of the data must stand in it. */
static enum am_rc declared_order(const struct am_ffit_col *col, struct am_label *labels, size_t n,
                                 struct am_label *ordered, struct am_err *err)
{
    for (size_t k = 0; k < col->spec.n_order; k++)
        ordered[k] = (struct am_label){.text = col->spec.order[k], .index = SIZE_MAX};
    struct am_map map;
    am_map_init(&map);
    enum am_rc rc = AM_OK;
    for (size_t k = 0; k < col->spec.n_order && rc == AM_OK; k++)
        rc = am_map_put(&map, col->spec.order[k], k, err);
    for (size_t i = 0; i < n && rc == AM_OK; i++) {
        const uint64_t *at = am_map_get(&map, labels[i].text);
        if (at != NULL) {
            ordered[*at].count = labels[i].count;
            continue;
        }
        rc = am_fail(err, AM_EUSAGE, "features.%.*s.order lacks the category \"%.*s\" of the data",
                     AM_FMT(col->name), AM_FMT(labels[i].text));
        am_hint(err, "Name every category from low to high.");
    }
    am_map_clear(&map);
    return rc;
}

static void scale_codes(const struct am_ffit_col *col, const struct am_label *labels,
                        struct am_fcol *out)
{
    struct am_moments m;
    am_moments_init(&m);
    if (out->fill_text.ptr == NULL)
        am_moments_repeat(&m, -1, col->n_missing);
    for (size_t i = 0; i < out->n_categories; i++)
        am_moments_repeat(&m, (double)i, labels[i].count);
    am_ffit_affine(col->spec.scale, &m, &out->shift, &out->mul);
}

/* Sums of one category over all folds but `without` (SIZE_MAX = none). */
static void sum_folds(const struct am_ffit_col *col, size_t row, size_t k, size_t without,
                      double *n, double *sum)
{
    if ((row + 1) * col->spec.folds > col->target_n.len)
        return;
    for (size_t f = 0; f < col->spec.folds; f++) {
        size_t at = row * col->spec.folds + f;
        if (f == without)
            continue;
        *n += (double)col->target_n.ptr[at];
        for (size_t j = 0; j < k; j++)
            sum[j] += col->target_sum.ptr[at * k + j];
    }
}

/* values: [n_categories + 2, k] smoothed means; sum: [k] scratch, prior: [k] scratch */
static void encode_values(const struct am_features_fit *fit, const struct am_ffit_col *col,
                          const struct am_label *labels, const struct am_fcol *out, size_t without,
                          const double *overall, double *values, double *sum, double *prior)
{
    size_t k = fit->n_values, rows = col->counts->map.n + 1;
    double n = 0, m = col->spec.smoothing;
    memset(prior, 0, k * sizeof *prior);
    for (size_t r = 0; r < rows; r++)
        sum_folds(col, r, k, without, &n, prior);
    for (size_t j = 0; j < k; j++)
        prior[j] = n > 0 ? prior[j] / n : overall ? overall[j] : 0;
    for (size_t r = 0; r < out->n_categories + 2; r++) {
        bool category = r < out->n_categories;
        n = 0;
        memset(sum, 0, k * sizeof *sum);
        if (category && labels[r].index != SIZE_MAX)
            sum_folds(col, labels[r].index + 1, k, without, &n, sum);
        if (r == out->n_categories ||
            (category && am_str_eq(labels[r].text, out->fill_text) && out->fill_text.ptr))
            sum_folds(col, 0, k, without, &n, sum); /* the missing rows */
        for (size_t j = 0; j < k; j++)
            values[r * k + j] = n + m > 0 ? (sum[j] + m * prior[j]) / (n + m) : prior[j];
    }
}

static void scale_values(const struct am_ffit_col *col, const struct am_label *labels, size_t k,
                         const double *values, struct am_fcol *out)
{
    struct am_moments m;
    am_moments_init(&m);
    for (size_t r = 0; r <= out->n_categories; r++) {
        uint64_t n = r < out->n_categories ? labels[r].count
                     : out->fill_text.ptr  ? 0
                                           : col->n_missing;
        for (size_t j = 0; j < k; j++)
            am_moments_repeat(&m, values[r * k + j], n);
    }
    am_ffit_affine(col->spec.scale, &m, &out->shift, &out->mul);
}

static enum am_rc fit_target(struct am_features_fit *fit, struct am_ffit_col *col,
                             const struct am_label *labels, struct am_arena *a, struct am_fcol *out,
                             struct am_err *err)
{
    size_t k = fit->n_values, rows = out->n_categories + 2, per_fold = rows * k;
    double *values = am_arena_array(a, per_fold, sizeof *values);
    double *overall = am_arena_array(fit->arena, 3 * k + per_fold, sizeof *overall);
    float *oof = am_arena_array(fit->arena, per_fold * col->spec.folds, sizeof *oof);
    if (values == NULL)
        return am_arena_check(a, err);
    if (overall == NULL || oof == NULL)
        return am_arena_check(fit->arena, err);
    double *sum = overall + k, *prior = sum + k, *fold_values = prior + k;
    encode_values(fit, col, labels, out, SIZE_MAX, NULL, values, sum, overall);
    scale_values(col, labels, k, values, out);
    for (size_t f = 0; f < col->spec.folds; f++) {
        encode_values(fit, col, labels, out, f, overall, fold_values, sum, prior);
        for (size_t i = 0; i < per_fold; i++) {
            double y = out->mul == 0 ? 0 : (fold_values[i] - out->shift) * out->mul;
            oof[f * per_fold + i] = (float)fmin(fmax(y, -(double)FLT_MAX), (double)FLT_MAX);
        }
    }
    out->values = values;
    out->n_values = k;
    col->oof = oof;
    return AM_OK;
}

static enum am_rc copy_categories(const struct am_label *labels, size_t n, struct am_arena *a,
                                  struct am_fcol *out, struct am_err *err)
{
    struct am_str *own = am_arena_array(a, n + 1, sizeof *own);
    for (size_t i = 0; own != NULL && i < n; i++)
        own[i] = am_arena_str(a, labels[i].text);
    out->categories = own;
    out->n_categories = n;
    if (out->fill_text.ptr)
        out->fill_text = am_arena_str(a, out->fill_text);
    return am_arena_check(a, err);
}

static enum am_rc finish_labels(struct am_features_fit *fit, struct am_ffit_col *col,
                                struct am_label *labels, struct am_label *ordered,
                                struct am_arena *a, struct am_fcol *out, struct am_err *err)
{
    size_t n;
    list_labels(col, labels, &n, &out->fill_text);
    if (n == 0)
        AM_TRY(am_ffit_note(fit, err, "column \"%.*s\" has no value in the training rows",
                            AM_FMT(col->name)));
    if (col->spec.kind == AM_F_HASH) {
        out->buckets = col->spec.buckets;
        if (out->fill_text.ptr)
            out->fill_text = am_arena_str(a, out->fill_text);
        return am_arena_check(a, err);
    }
    bool own_missing = out->fill_text.ptr == NULL;
    if (col->spec.kind == AM_F_ONEHOT) {
        size_t all = n;
        AM_TRY(keep_frequent(col, labels, &n, &out->has_other, err));
        out->has_missing = own_missing && col->n_missing > 0;
        out->indicator = col->spec.indicator && !out->has_missing;
        if (out->has_other)
            AM_TRY(am_ffit_note(fit, err,
                                "column \"%.*s\": %zu rare categories of %zu go to (other)",
                                AM_FMT(col->name), all - n, all));
    } else if (col->spec.n_order > 0) {
        AM_TRY(declared_order(col, labels, n, ordered, err));
        labels = ordered;
        n = col->spec.n_order;
    }
    AM_TRY(copy_categories(labels, n, a, out, err));
    if (col->spec.kind == AM_F_ORDINAL)
        scale_codes(col, labels, out);
    if (col->spec.kind == AM_F_TARGET)
        return fit_target(fit, col, labels, a, out, err);
    return AM_OK;
}

enum am_rc am_ffit_category_finish(struct am_features_fit *fit, struct am_ffit_col *col,
                                   struct am_arena *a, struct am_fcol *out, struct am_err *err)
{
    out->refuse_unseen = col->spec.refuse_unseen;
    out->buckets = col->spec.buckets;
    out->mul = 1;
    if (col->counts == NULL) { /* words, or hash without a mode */
        if (col->spec.impute == AM_FI_CONSTANT)
            out->fill_text = am_arena_str(a, col->spec.constant_text);
        return am_arena_check(a, err);
    }
    size_t n = col->counts->map.n + 1;
    struct am_label *labels = am_alloc_array(n, sizeof *labels);
    struct am_label *ordered = am_alloc_array(col->spec.n_order + 1, sizeof *ordered);
    enum am_rc rc = labels && ordered ? finish_labels(fit, col, labels, ordered, a, out, err)
                                      : am_fail_nomem(err, n * sizeof *labels);
    am_free(ordered);
    am_free(labels);
    return rc;
}
