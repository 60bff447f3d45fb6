/* Applying fitted transforms: column loops over tiles of rows, and one loop over columns for a
 * single row.
 *
 * Both ways compute the same expressions in the same order, so the same bits. No allocation, no
 * state; any thread. Not here: fitting, files, names. */
#include <float.h>
#include <math.h>

#include "feature/features_int.h"
#include "feature/text_int.h"

#define TILE 64 /* rows of a tile: its outputs stay in the first cache level for usual widths */

static inline double finite_or(double v, double fill)
{
    return fabs(v) <= DBL_MAX ? v : fill;
}

static inline float clip(double y)
{
    y = y > (double)FLT_MAX ? (double)FLT_MAX : y;
    return (float)(y < -(double)FLT_MAX ? -(double)FLT_MAX : y);
}

static inline float affine_cell(const struct am_faffine *a, double x)
{
    double v = finite_or(x * a->factor + a->offset, a->fill);
    return clip((v - a->shift) * a->mul);
}

double am_flog(double v)
{
    return copysign(log1p(fabs(v)), v);
}

/* Position of v among the reference quantiles, in [0, 1]; the middle of the run where several are
 * equal; the lowest is 0, the highest 1 (scikit-learn's QuantileTransformer, uniform output). */
static double quantile_rank(const double *q, size_t n, double v)
{
    if (v <= q[0])
        return 0;
    if (v >= q[n - 1])
        return 1;
    size_t lo = 0, hi = n; /* first index with q >= v */
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (q[mid] < v)
            lo = mid + 1;
        else
            hi = mid;
    }
    double last = (double)(n - 1);
    if (q[lo] > v) {
        double t = (v - q[lo - 1]) / (q[lo] - q[lo - 1]);
        return ((double)(lo - 1) + finite_or(t, 0.5)) / last;
    }
    size_t end = n; /* last index with q == v */
    size_t begin = lo;
    while (begin + 1 < end) {
        size_t mid = begin + (end - begin) / 2;
        if (q[mid] > v)
            end = mid;
        else
            begin = mid;
    }
    return ((double)lo + (double)begin) / 2 / last;
}

static void apply_number(const struct am_fcol *c, const double *x, size_t n, float *out,
                         size_t width)
{
    const double fill = c->keep_missing ? (double)NAN : c->fill;
    for (size_t i = 0; i < n; i++) {
        double v = finite_or(x[i] * c->factor + c->offset, fill);
        if (isnan(v)) {
            out[i * width] = NAN;
        } else if (c->scale == AM_FS_QUANTILE) {
            out[i * width] = (float)quantile_rank(c->quantiles, c->n_quantiles, v);
        } else {
            double g = c->scale == AM_FS_LOG ? am_flog(v) : v;
            out[i * width] = clip((g - c->shift) * c->mul);
        }
    }
}

size_t am_fcol_code(const struct am_fcol *c, struct am_str cell)
{
    if (cell.ptr == NULL)
        return c->fill_text.ptr ? c->fill_code : c->n_categories;
    const uint64_t *at = am_map_get(&c->map, cell);
    return at ? (size_t)*at : c->n_categories + 1;
}

static enum am_rc unseen(const struct am_fcol *c, struct am_str cell, struct am_err *err)
{
    enum am_rc rc =
        am_fail(err, AM_EINVAL, "column \"%.*s\": category \"%.*s\" was not seen in training",
                AM_FMT(c->in.name), AM_FMT(cell));
    am_hint(err, "Send a known category or none; or train with `unseen: other`.");
    return rc;
}

static enum am_rc apply_onehot(const struct am_fcol *c, const struct am_str *x, size_t n,
                               float *out, size_t width, struct am_err *err)
{
    size_t own = c->n_categories + c->has_other + c->has_missing;
    for (size_t i = 0; i < n; i++) {
        float *o = out + i * width;
        memset(o, 0, own * sizeof *o);
        size_t code = am_fcol_code(c, x[i]);
        if (code < c->n_categories) {
            o[code] = 1;
        } else if (code == c->n_categories && c->has_missing) {
            o[own - 1] = 1;
        } else if (x[i].ptr != NULL && c->refuse_unseen) {
            return unseen(c, x[i], err);
        } else if (c->has_other) {
            o[c->n_categories] = 1;
        }
    }
    return AM_OK;
}

static enum am_rc apply_table(const struct am_fcol *c, const struct am_str *x, size_t n, float *out,
                              size_t width, struct am_err *err)
{
    for (size_t i = 0; i < n; i++) {
        size_t code = am_fcol_code(c, x[i]);
        if (code == c->n_categories + 1 && c->refuse_unseen && x[i].ptr != NULL)
            return unseen(c, x[i], err);
        const float *row = c->table + code * c->n_table;
        for (size_t k = 0; k < c->n_table; k++)
            out[i * width + k] = row[k];
    }
    return AM_OK;
}

static void apply_hash(const struct am_fcol *c, const struct am_str *x, size_t n, float *out,
                       size_t width)
{
    for (size_t i = 0; i < n; i++) {
        float *o = out + i * width;
        memset(o, 0, c->buckets * sizeof *o);
        struct am_str cell = x[i].ptr ? x[i] : c->fill_text;
        if (cell.ptr != NULL)
            o[am_str_hash(cell) % c->buckets] = 1;
    }
}

static void apply_date(const struct am_fcol *c, const int64_t *x, size_t n, float *out,
                       size_t width)
{
    for (size_t i = 0; i < n; i++) {
        int64_t us = x[i] == AM_DATE_MISSING ? c->fill_date : x[i];
        float *o = out + i * width;
        for (size_t k = 0; k < c->n_parts; k++) {
            const struct am_fpart_def *p = &c->parts[k];
            double v = am_fpart_value(p->part, us);
            if (p->cyclic) {
                double angle = 2 * M_PI * v / am_fpart_period(p->part);
                *o++ = (float)sin(angle);
                *o++ = (float)cos(angle);
            } else {
                *o++ = clip((v - p->shift) * p->mul);
            }
        }
    }
}

static enum am_rc apply_pictures(const struct am_fcol *c, const struct am_str *x, size_t first,
                                 size_t n, float *out, size_t width, struct am_err *err)
{
    for (size_t i = 0; i < n; i++) {
        enum am_rc rc =
            c->kind == AM_F_IMAGE   ? am_fimage_apply(&c->image, x[i], out + i * width, err)
            : c->kind == AM_F_VIDEO ? am_fimage_apply_video(&c->image, x[i], out + i * width, err)
                                    : am_fimage_histogram(&c->image, x[i], out + i * width, err);
        if (rc != AM_OK) {
            am_context(err, "column \"%.*s\", row %zu", AM_FMT(c->in.name), first + i + 1);
            return rc;
        }
    }
    return AM_OK;
}

static enum am_rc apply_sounds(const struct am_fcol *c, const struct am_str *x, size_t first,
                               size_t n, float *out, size_t width, struct am_err *err)
{
    size_t own = am_sound_width(&c->sound), channels = am_sound_channels(c->plan);
    for (size_t i = 0; i < n; i++) {
        float *o = out + i * width;
        if (x[i].ptr == NULL) {
            memset(o, 0, own * sizeof *o);
            continue;
        }
        enum am_rc rc = am_sound_encode(c->plan, x[i], o, err);
        if (rc != AM_OK) {
            am_context(err, "column \"%.*s\", row %zu", AM_FMT(c->in.name), first + i + 1);
            return rc;
        }
        for (size_t k = 0; c->channel_shift != NULL && k < own; k++)
            o[k] = clip(((double)o[k] - c->channel_shift[k % channels]) *
                        c->channel_mul[k % channels]);
    }
    return AM_OK;
}

static enum am_rc apply_text(const struct am_fcol *c, const struct am_str *x, size_t n, float *out,
                             size_t width, struct am_err *err)
{
    struct am_ftext_scratch *s = NULL;
    AM_TRY(am_ftext_scratch_new(&s, err));
    enum am_rc rc = AM_OK;
    for (size_t i = 0; i < n && rc == AM_OK; i++)
        rc = am_ftext_row_dense(c, s, x[i], out + i * width, err);
    am_ftext_scratch_free(s);
    return rc;
}

static void apply_indicator(const struct am_fcol *c, const struct am_column *in, size_t row,
                            size_t n, float *out, size_t width)
{
    for (size_t i = 0; i < n; i++) {
        bool missing = am_cell_missing(in, row + i);
        if (c->kind == AM_F_NUMBER) /* infinities and what the unit makes of them */
            missing = !(fabs(in->number[row + i] * c->factor + c->offset) <= DBL_MAX);
        out[i * width] = missing ? 1.0f : 0.0f;
    }
}

enum am_rc am_fcol_apply(const struct am_fcol *c, const struct am_column *in, size_t row, size_t n,
                         float *out, size_t width, struct am_err *err)
{
    enum am_rc rc = AM_OK;
    switch (c->kind) {
    case AM_F_NUMBER:
        apply_number(c, in->number + row, n, out, width);
        break;
    case AM_F_ONEHOT:
        rc = apply_onehot(c, in->text + row, n, out, width, err);
        break;
    case AM_F_ORDINAL:
    case AM_F_TARGET:
        rc = apply_table(c, in->text + row, n, out, width, err);
        break;
    case AM_F_HASH:
        apply_hash(c, in->text + row, n, out, width);
        break;
    case AM_F_WORDS:
        for (size_t i = 0; i < n; i++)
            am_fwords(in->text[row + i], c->buckets, out + i * width);
        break;
    case AM_F_IMAGE:
    case AM_F_HISTOGRAM:
    case AM_F_VIDEO:
        rc = apply_pictures(c, in->text + row, row, n, out, width, err);
        break;
    case AM_F_SOUND:
        rc = apply_sounds(c, in->text + row, row, n, out, width, err);
        break;
    case AM_F_CHARS:
    case AM_F_TOKENS:
    case AM_F_SEGMENTS:
        for (size_t i = 0; i < n && rc == AM_OK; i++)
            if (!am_tokens_apply(&c->map, in->text[row + i], am_fkind_unit(c->kind), c->lower,
                                 c->length, out + i * width))
                rc = am_fail_nomem(err, 1);
        break;
    case AM_F_COUNT:
    case AM_F_TFIDF:
    case AM_F_HASHING:
    case AM_F_VECTORS:
        rc = apply_text(c, in->text + row, n, out, width, err);
        break;
    default:
        apply_date(c, in->date + row, n, out, width);
        break;
    }
    if (c->indicator)
        apply_indicator(c, in, row, n, out + (c->indicator_at - c->in.first_output), width);
    return rc;
}

/* ---- columns without log, quantiles and indicator: compiled for AVX2 and for any CPU ----
 *
 * No fused multiply-add in either, so the bits are the same. */

static inline __attribute__((always_inline)) void
affine_column(const struct am_faffine *a, const double *restrict x, size_t n, float *restrict y)
{
    const struct am_faffine k = *a;
    for (size_t i = 0; i < n; i++)
        y[i] = affine_cell(&k, x[i]);
}

/* columns [begin, end) of one row; x and out begin at column `begin` */
static inline __attribute__((always_inline)) void affine_row(const struct am_features *f,
                                                             size_t begin, size_t end,
                                                             const double *restrict x,
                                                             float *restrict out)
{
    const double *restrict factor = f->factor + begin, *restrict offset = f->offset + begin;
    const double *restrict fill = f->fill + begin, *restrict shift = f->shift + begin;
    const double *restrict mul = f->mul + begin;
    size_t n = end - begin;
    for (size_t i = 0; i < n; i++) {
        double other = fill[i], v = x[i] * factor[i] + offset[i];
        out[i] = clip((finite_or(v, other) - shift[i]) * mul[i]);
    }
}

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2")))
AVX2 static void affine_column_avx2(const struct am_faffine *a, const double *x, size_t n, float *y)
{
    affine_column(a, x, n, y);
}
AVX2 static void affine_row_avx2(const struct am_features *f, size_t begin, size_t end,
                                 const double *x, float *out)
{
    affine_row(f, begin, end, x, out);
}
static inline bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") != 0;
}
#else
#define affine_column_avx2 affine_column
#define affine_row_avx2 affine_row
static inline bool has_avx2(void)
{
    return false;
}
#endif

static void affine_tile(const struct am_faffine *a, const double *x, size_t n, float *out,
                        size_t width)
{
    float y[TILE];
    if (has_avx2())
        affine_column_avx2(a, x, n, y);
    else
        affine_column(a, x, n, y);
    for (size_t i = 0; i < n; i++)
        out[i * width] = y[i];
}

static void row_of_affines(const struct am_features *f, size_t begin, size_t end, const double *x,
                           float *out)
{
    if (has_avx2())
        affine_row_avx2(f, begin, end, x, out);
    else
        affine_row(f, begin, end, x, out);
}

/* One row of a batch. */
static void affines_of_row(const struct am_features *f, const struct am_batch *in, size_t row,
                           float *out)
{
    double x[TILE];
    if (f->factor == NULL) {
        for (size_t k = 0; k < f->n_affine; k++) {
            const struct am_faffine *a = &f->affine[k];
            out[a->output] = affine_cell(a, in->columns[a->input].number[row]);
        }
        return;
    }
    for (size_t begin = 0; begin < f->n; begin += TILE) {
        size_t end = f->n - begin < TILE ? f->n : begin + TILE;
        for (size_t i = begin; i < end; i++)
            x[i - begin] = in->columns[i].number[row];
        row_of_affines(f, begin, end, x, out + begin);
    }
}

enum am_rc am_features_check_batch(const struct am_features *f, const struct am_batch *in,
                                   struct am_err *err)
{
    if (in->n_columns != f->n)
        return am_fail(err, AM_EINVAL, "%zu columns given, the model takes %zu", in->n_columns,
                       f->n);
    for (size_t i = 0; i < f->n; i++) {
        if (in->columns[i].type != f->types[i])
            return am_fail(err, AM_EINVAL, "column \"%.*s\" is of type %s, the model takes %s",
                           AM_FMT(f->cols[i].in.name), am_col_type_name(in->columns[i].type),
                           am_col_type_name(f->cols[i].in.type));
    }
    return AM_OK;
}

enum am_rc am_features_apply(const struct am_features *f, const struct am_batch *in, float *out,
                             struct am_err *err)
{
    AM_TRY(am_features_check_batch(f, in, err));
    size_t width = f->width;
    for (size_t row = 0; row < in->n_rows; row += TILE) {
        size_t n = in->n_rows - row < TILE ? in->n_rows - row : TILE;
        float *o = out + row * width;
        if (n == 1) {
            affines_of_row(f, in, row, o);
        } else {
            for (size_t k = 0; k < f->n_affine; k++) {
                const struct am_faffine *a = &f->affine[k];
                affine_tile(a, in->columns[a->input].number + row, n, o + a->output, width);
            }
        }
        for (size_t k = 0; k < f->n_others; k++) {
            const struct am_fcol *c = &f->cols[f->others[k]];
            AM_TRY(am_fcol_apply(c, &in->columns[f->others[k]], row, n, o + c->in.first_output,
                                 width, err));
        }
    }
    return AM_OK;
}

static void row_of_numbers(const struct am_features *f, const double *x, float *out)
{
    for (size_t k = 0; k < f->n_affine; k++) {
        const struct am_faffine *a = &f->affine[k];
        out[a->output] = affine_cell(a, x[a->input]);
    }
    for (size_t k = 0; k < f->n_others; k++) {
        const struct am_fcol *c = &f->cols[f->others[k]];
        struct am_column cell = {.type = c->in.type, .number = x + f->others[k]};
        apply_number(c, cell.number, 1, out + c->in.first_output, f->width);
        if (c->indicator)
            apply_indicator(c, &cell, 0, 1, out + c->indicator_at, f->width);
    }
}

void am_features_apply_rows(const struct am_features *f, const double *x, size_t n_rows, float *out)
{
    if (!f->all_numbers)
        return;
    for (size_t i = 0; i < n_rows; i++, x += f->n, out += f->width) {
        if (f->factor)
            row_of_affines(f, 0, f->n, x, out);
        else
            row_of_numbers(f, x, out);
    }
}
