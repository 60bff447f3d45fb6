/* Fitting: one streaming pass over the training rows, columns spread over the pool, then the
 * constants.
 *
 * A column's state sees its cells in dataset order by one thread at a time, so neither threads nor
 * the cut of batches can change a bit. Category columns are in fit_category.c, statistics in
 * stats.c. */
#include "feature/fit_int.h"
#include "feature/text_spec.h"

#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/pool.h"

#define KEPT_MAX 65536
#define KEPT_MIN 1024
#define KEPT_ALL ((size_t)1 << 24) /* values of all quantile columns together */

enum am_rc am_ffit_note(struct am_features_fit *fit, struct am_err *err, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, am_tr(fmt), ap);
    va_end(ap);
    struct am_str own = am_arena_str(fit->arena, am_str(text));
    return own.ptr && am_vec_push(&fit->notes, own) ? AM_OK : am_fail_nomem(err, sizeof text);
}

/* ---- new, free ---- */

static bool needs_quantile(const struct am_ffit_col *c)
{
    bool numeric = c->spec.kind == AM_F_NUMBER || c->spec.kind == AM_F_DATE;
    return numeric && (c->spec.impute == AM_FI_MEDIAN || c->spec.scale == AM_FS_ROBUST ||
                       c->spec.scale == AM_FS_QUANTILE);
}

/* Lengths that the recipe does not say come from the rows. */
static bool needs_lengths(const struct am_ffit_col *c)
{
    if (c->spec.kind == AM_F_SOUND)
        return c->spec.seconds == 0;
    return am_fkind_is_ids(c->spec.kind) && c->spec.length == 0;
}

static bool needs_counts(const struct am_ffit_col *c)
{
    switch (c->spec.kind) {
    case AM_F_NUMBER:
        return c->spec.impute == AM_FI_MODE && c->type != AM_COL_BOOLEAN;
    case AM_F_DATE:
    case AM_F_HASH:
        return c->spec.impute == AM_FI_MODE;
    case AM_F_WORDS:
    case AM_F_COUNT:
    case AM_F_TFIDF:
    case AM_F_HASHING:
    case AM_F_VECTORS:
    case AM_F_IMAGE:
    case AM_F_HISTOGRAM:
    case AM_F_VIDEO:
    case AM_F_SOUND:
        return false;
    default:
        return true;
    }
}

static size_t moments_needed(const struct am_ffit_col *c)
{
    if (c->spec.kind == AM_F_DATE)
        return 1 + c->spec.n_parts;
    if (c->spec.kind == AM_F_SOUND)
        return c->spec.normalize ? am_sound_channels(c->plan) : 0;
    return c->spec.kind == AM_F_NUMBER ? (c->spec.scale == AM_FS_LOG ? 2 : 1) : 0;
}

static enum am_rc column_init(struct am_ffit_col *c, size_t kept, struct am_err *err)
{
    c->n_moments = moments_needed(c);
    if (c->n_moments > 0) {
        c->moments = am_alloc_array(c->n_moments, sizeof *c->moments);
        if (c->moments == NULL)
            return am_fail_nomem(err, c->n_moments * sizeof *c->moments);
        for (size_t i = 0; i < c->n_moments; i++)
            am_moments_init(&c->moments[i]);
    }
    if (needs_quantile(c) || needs_lengths(c)) {
        c->quantile = am_alloc(sizeof *c->quantile);
        if (c->quantile == NULL)
            return am_fail_nomem(err, sizeof *c->quantile);
        am_quantile_init(c->quantile, kept);
    }
    if (needs_counts(c)) {
        c->counts = am_calloc(1, sizeof *c->counts);
        if (c->counts == NULL)
            return am_fail_nomem(err, sizeof *c->counts);
        AM_TRY(am_counts_init(c->counts, err));
    }
    return AM_OK;
}

static size_t kept_values(const struct am_features_fit *fit)
{
    size_t n = 0;
    for (size_t i = 0; i < fit->n; i++)
        n += needs_quantile(&fit->cols[i]) || needs_lengths(&fit->cols[i]);
    size_t kept = KEPT_MAX;
    while (n > 0 && kept > KEPT_MIN && kept * n > KEPT_ALL)
        kept /= 2;
    return kept;
}

static enum am_rc read_columns(struct am_features_fit *fit, const struct am_features_config *config,
                               struct am_err *err)
{
    for (size_t i = 0; i < fit->n; i++) {
        size_t at = config->columns ? config->columns[i] : i;
        if (at >= config->schema->n)
            return am_fail(err, AM_EINVAL, "column index %zu, the table has %zu columns", at,
                           config->schema->n);
        struct am_ffit_col *c = &fit->cols[i];
        const struct am_column_desc *d = &config->schema->columns[at];
        c->type = d->type;
        c->name = am_arena_str(fit->arena, d->name);
        if (c->name.ptr == NULL)
            return am_arena_check(fit->arena, err);
        AM_TRY(am_fspec_read(config->spec, d, fit->arena, &c->spec, err));
        fit->needs_target |= c->spec.kind == AM_F_TARGET;
        if (c->spec.kind == AM_F_SOUND)
            AM_TRY(am_ffit_sound_init(fit, c, err));
        if (am_fkind_is_terms(c->spec.kind))
            AM_TRY(am_ffit_text_init(fit, c, err));
    }
    size_t kept = kept_values(fit);
    for (size_t i = 0; i < fit->n; i++)
        AM_TRY(column_init(&fit->cols[i], kept, err));
    return AM_OK;
}

enum am_rc am_features_fit_new(const struct am_features_config *config,
                               struct am_features_fit **out, struct am_err *err)
{
    size_t n = config->columns ? config->n_columns : config->schema->n;
    if (n == 0 || n > AM_LIMIT_CSV_COLUMNS)
        return am_fail(err, AM_ELIMIT, "%zu feature columns, 1 to %d allowed", n,
                       AM_LIMIT_CSV_COLUMNS);
    struct am_features_fit *fit = am_calloc(1, sizeof *fit);
    if (fit == NULL)
        return am_fail_nomem(err, sizeof *fit);
    fit->arena = am_arena_new(0);
    fit->cols = am_calloc(n, sizeof *fit->cols);
    fit->n = n;
    fit->seed = config->seed;
    fit->task = config->task;
    fit->n_values = config->task == AM_TASK_MULTICLASS ? config->n_classes : 1;
    fit->pool = config->pool;
    fit->read_file = config->read_file;
    fit->read_ctx = config->read_ctx;
    enum am_rc rc = AM_OK;
    if (fit->arena == NULL || fit->cols == NULL)
        rc = am_fail_nomem(err, n * sizeof *fit->cols);
    else if (fit->n_values == 0 || fit->n_values > AM_F_MAX_VALUES)
        rc = am_fail(err, AM_EINVAL, "%zu classes", fit->n_values);
    else
        rc = read_columns(fit, config, err);
    if (rc != AM_OK) {
        am_features_fit_free(fit);
        return rc;
    }
    *out = fit;
    return AM_OK;
}

void am_features_fit_free(struct am_features_fit *fit)
{
    if (fit == NULL)
        return;
    for (size_t i = 0; fit->cols != NULL && i < fit->n; i++) {
        struct am_ffit_col *c = &fit->cols[i];
        am_free(c->moments);
        if (c->quantile)
            am_quantile_clear(c->quantile);
        am_free(c->quantile);
        if (c->counts)
            am_counts_clear(c->counts);
        am_free(c->counts);
        am_ffit_text_free(c->text);
        if (c->spec.text)
            am_ftext_clear(&c->spec.text->text);
        am_vec_clear(&c->target_n);
        am_vec_clear(&c->target_sum);
    }
    am_free(fit->cols);
    am_vec_clear(&fit->notes);
    am_arena_free(fit->arena);
    am_free(fit);
}

bool am_features_fit_needs_target(const struct am_features_fit *fit)
{
    return fit->needs_target;
}

struct am_node *am_features_fit_notes(const struct am_features_fit *fit, struct am_arena *a)
{
    struct am_node *list = am_new_list(a);
    for (size_t i = 0; i < fit->notes.len; i++)
        am_node_push(a, list, am_new_str(a, fit->notes.ptr[i]));
    return list;
}

/* ---- update ---- */

static enum am_rc count_bytes(struct am_ffit_col *c, const void *p, size_t n, struct am_err *err)
{
    size_t index;
    enum am_rc rc = am_counts_add(c->counts, (struct am_str){p, n}, 1, &index, err);
    if (rc == AM_ELIMIT) {
        am_context(err, "column \"%.*s\"", AM_FMT(c->name));
        am_hint(err, "Impute by the median or the mean instead of the mode.");
    }
    return rc;
}

static enum am_rc number_more(struct am_ffit_col *c, double v, struct am_err *err)
{
    if (c->spec.scale == AM_FS_LOG)
        am_moments_add(&c->moments[1], am_flog(v));
    if (c->quantile)
        AM_TRY(am_quantile_add(c->quantile, v, err));
    if (c->counts) {
        v += 0.0; /* one zero */
        return count_bytes(c, &v, sizeof v, err);
    }
    return AM_OK;
}

/* The usual column needs moments only: cells go into the block without a branch on missing. */
static void moments_update(struct am_ffit_col *c, const double *x, size_t n)
{
    struct am_moments *m = c->moments;
    const double factor = c->spec.factor, offset = c->spec.offset;
    uint64_t found = 0, infinite = 0, ones = 0;
    for (size_t i = 0; i < n;) {
        size_t held = m->n_held, room = AM_MOMENTS_BLOCK - held, end = n - i < room ? n : i + room;
        for (; i < end; i++) {
            double v = x[i] * factor + offset;
            bool ok = fabs(v) <= DBL_MAX;
            m->held[held] = v;
            held += ok;
            ones += v > 0.5 && ok;
            infinite += !ok && !isnan(x[i]);
        }
        found += held - m->n_held;
        m->n_held = (uint32_t)held;
        if (held == AM_MOMENTS_BLOCK)
            am_moments_flush(m);
    }
    c->n_missing += n - found;
    c->n_infinite += infinite;
    c->n_ones += ones;
}

static enum am_rc number_update(struct am_ffit_col *c, const double *x, size_t n,
                                struct am_err *err)
{
    if (c->n_moments == 1 && c->quantile == NULL && c->counts == NULL) {
        moments_update(c, x, n);
        return AM_OK;
    }
    for (size_t i = 0; i < n; i++) {
        double v = x[i] * c->spec.factor + c->spec.offset;
        if (!(fabs(v) <= DBL_MAX)) {
            c->n_missing++;
            c->n_infinite += isnan(x[i]) ? 0 : 1;
            continue;
        }
        c->n_ones += v > 0.5;
        am_moments_add(&c->moments[0], v);
        AM_TRY(number_more(c, v, err));
    }
    return AM_OK;
}

static enum am_rc date_update(struct am_ffit_col *c, const int64_t *x, size_t n, struct am_err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (x[i] == AM_DATE_MISSING) {
            c->n_missing++;
            continue;
        }
        c->has_time = c->has_time || x[i] % INT64_C(86400000000) != 0;
        am_moments_add(&c->moments[0], (double)x[i]);
        for (size_t k = 0; k < c->spec.n_parts; k++)
            am_moments_add(&c->moments[1 + k], am_fpart_value(c->spec.parts[k], x[i]));
        if (c->quantile)
            AM_TRY(am_quantile_add(c->quantile, (double)x[i], err));
        if (c->counts)
            AM_TRY(count_bytes(c, &x[i], sizeof x[i], err));
    }
    return AM_OK;
}

struct update {
    struct am_features_fit *fit;
    const struct am_batch *batch;
    const double *y;
    const uint64_t *rows;
    pthread_mutex_t lock; /* of the fields below: the error of the lowest column */
    size_t failed;
    enum am_rc rc;
    struct am_err err;
};

static enum am_rc update_column(const struct update *u, size_t i, struct am_err *err)
{
    struct am_ffit_col *c = &u->fit->cols[i];
    const struct am_column *in = &u->batch->columns[i];
    size_t n = u->batch->n_rows;
    if (am_fkind_is_ids(c->spec.kind))
        return am_ffit_tokens_update(c, in->text, n, err);
    if (am_fkind_is_terms(c->spec.kind))
        return am_ffit_text_update(u->fit, c, in->text, n, err);
    switch (c->type) {
    case AM_COL_NUMBER:
    case AM_COL_BOOLEAN:
        return number_update(c, in->number, n, err);
    case AM_COL_DATE:
        return date_update(c, in->date, n, err);
    case AM_COL_IMAGE: /* update_media */
    case AM_COL_AUDIO:
    case AM_COL_VIDEO:
        return AM_OK;
    default:
        return am_ffit_category_update(u->fit, c, in->text, n, u->y, u->rows, u->batch->first_row,
                                       err);
    }
}

static void update_columns(void *ctx, size_t begin, size_t end)
{
    struct update *u = ctx;
    for (size_t i = begin; i < end; i++) {
        struct am_err err;
        am_err_clear(&err);
        enum am_rc rc = update_column(u, i, &err);
        if (rc == AM_OK)
            continue;
        pthread_mutex_lock(&u->lock);
        if (i < u->failed) {
            u->failed = i;
            u->rc = rc;
            u->err = err;
        }
        pthread_mutex_unlock(&u->lock);
    }
}

/* Files to decode: column after column, each with all threads on its rows. */
static enum am_rc update_media(const struct update *u, struct am_err *err)
{
    for (size_t i = 0; i < u->fit->n; i++) {
        struct am_ffit_col *c = &u->fit->cols[i];
        if (c->type == AM_COL_IMAGE || c->type == AM_COL_VIDEO)
            AM_TRY(am_ffit_image_update(u->fit, c, u->batch->columns[i].text, u->batch->n_rows,
                                        u->batch->first_row, err));
        else if (c->type == AM_COL_AUDIO)
            AM_TRY(am_ffit_sound_update(u->fit, c, u->batch->columns[i].text, u->batch->n_rows,
                                        u->batch->first_row, err));
    }
    return AM_OK;
}

enum am_rc am_features_fit_update(struct am_features_fit *fit, const struct am_batch *batch,
                                  const double *y, const uint64_t *rows, struct am_err *err)
{
    if (fit->finished)
        return am_fail(err, AM_EINVAL, "the fit is finished");
    if (batch->n_columns != fit->n)
        return am_fail(err, AM_EINVAL, "%zu columns given, %zu expected", batch->n_columns, fit->n);
    if (fit->needs_target && y == NULL)
        return am_fail(err, AM_EINVAL, "target encoding needs the target");
    for (size_t i = 0; i < fit->n; i++) {
        if (batch->columns[i].type != fit->cols[i].type)
            return am_fail(err, AM_EINVAL, "column \"%.*s\" is of type %s, %s expected",
                           AM_FMT(fit->cols[i].name), am_col_type_name(batch->columns[i].type),
                           am_col_type_name(fit->cols[i].type));
    }
    struct update u = {.fit = fit, .batch = batch, .y = y, .rows = rows, .failed = SIZE_MAX};
    pthread_mutex_init(&u.lock, NULL);
    am_pool_for(fit->pool, fit->n, 1, update_columns, &u);
    pthread_mutex_destroy(&u.lock);
    if (u.rc == AM_OK)
        u.rc = update_media(&u, &u.err);
    fit->n_rows += batch->n_rows;
    if (u.rc != AM_OK && err != NULL)
        *err = u.err;
    return u.rc;
}

/* ---- finish ---- */

void am_ffit_affine(enum am_fscale scale, const struct am_moments *m, double *shift, double *mul)
{
    *shift = 0;
    *mul = 1;
    if (scale == AM_FS_NONE)
        return;
    double width = scale == AM_FS_MINMAX ? m->max - m->min : sqrt(am_moments_variance(m));
    *shift = scale == AM_FS_MINMAX ? m->min : m->mean;
    *mul = 1 / width;
    if (am_moments_constant(m) || !isfinite(*mul) || !isfinite(*shift)) {
        *shift = 0;
        *mul = 0;
    }
}

/* The most frequent 8-byte key: the smallest of those, by its value. */
static void mode_of(const struct am_counts *c, enum am_col_type type, double *number, int64_t *date)
{
    uint64_t most = 0;
    for (size_t i = 0; i < c->map.n; i++) {
        double d = 0;
        int64_t t = 0;
        bool less;
        if (type == AM_COL_DATE) {
            memcpy(&t, c->map.entries[i].key.ptr, sizeof t);
            less = t < *date;
        } else {
            memcpy(&d, c->map.entries[i].key.ptr, sizeof d);
            less = d < *number;
        }
        if (c->n.ptr[i] > most || (c->n.ptr[i] == most && less)) {
            most = c->n.ptr[i];
            *number = d;
            *date = t;
        }
    }
}

static double rounded_to_date(double us)
{
    return us > -9e18 && us < 9e18 ? nearbyint(us) : 0;
}

static enum am_rc find_fill(struct am_ffit_col *c, double *fill, struct am_err *err)
{
    int64_t date = 0;
    *fill = c->spec.constant;
    if (c->quantile)
        AM_TRY(am_quantile_end(c->quantile, 0, 0, err));
    if (c->spec.impute == AM_FI_CONSTANT || c->moments[0].n == 0)
        return AM_OK;
    if (c->spec.impute == AM_FI_MEAN || c->spec.impute == AM_FI_NONE)
        *fill = c->moments[0].mean;
    else if (c->spec.impute == AM_FI_MEDIAN)
        *fill = am_quantile_at(c->quantile, 0.5);
    else if (c->type == AM_COL_BOOLEAN)
        *fill = c->n_ones * 2 > c->moments[0].n ? 1 : 0;
    else
        mode_of(c->counts, AM_COL_NUMBER, fill, &date);
    *fill = isfinite(*fill) ? *fill + 0.0 : 0;
    return AM_OK;
}

static enum am_rc scale_quantiles(const struct am_ffit_col *c, uint64_t n_rows, struct am_arena *a,
                                  struct am_fcol *out, struct am_err *err)
{
    size_t n = c->spec.n_quantiles;
    if (n > n_rows)
        n = n_rows < 2 ? 2 : (size_t)n_rows;
    double *q = am_arena_array(a, n, sizeof *q);
    if (q == NULL)
        return am_arena_check(a, err);
    for (size_t i = 0; i < n; i++) {
        q[i] = am_quantile_at(c->quantile, (double)i / (double)(n - 1));
        if (i > 0 && q[i] < q[i - 1])
            q[i] = q[i - 1]; /* rounding of the interpolation */
    }
    out->quantiles = q;
    out->n_quantiles = n;
    return AM_OK;
}

static void scale_robust(const struct am_ffit_col *c, struct am_fcol *out)
{
    double width = am_quantile_at(c->quantile, 0.75) - am_quantile_at(c->quantile, 0.25);
    out->shift = am_quantile_at(c->quantile, 0.5);
    out->mul = 1 / width;
    if (!(width > 0) ||
        !isfinite(out->mul)) { /* more than half are equal: the deviation tells more */
        double median = out->shift;
        am_ffit_affine(AM_FS_STANDARD, &c->moments[0], &out->shift, &out->mul);
        out->shift = out->mul == 0 ? 0 : median;
    }
}

static enum am_rc note_number(struct am_features_fit *fit, const struct am_ffit_col *c,
                              bool constant, struct am_err *err)
{
    if (c->n_infinite > 0)
        AM_TRY(am_ffit_note(fit, err, "column \"%.*s\": %llu infinite values count as missing",
                            AM_FMT(c->name), (unsigned long long)c->n_infinite));
    if (c->n_missing == fit->n_rows)
        return am_ffit_note(
            fit, err, "column \"%.*s\" has no value in the training rows: its output is always 0",
            AM_FMT(c->name));
    if (constant)
        return am_ffit_note(
            fit, err, "column \"%.*s\" is constant in the training rows: its output is always 0",
            AM_FMT(c->name));
    return AM_OK;
}

static enum am_rc number_finish(struct am_features_fit *fit, struct am_ffit_col *c,
                                struct am_arena *a, struct am_fcol *out, struct am_err *err)
{
    out->scale = c->spec.scale;
    out->keep_missing = c->spec.impute == AM_FI_NONE;
    out->factor = c->spec.factor;
    out->offset = c->spec.offset;
    if (c->spec.unit_from.ptr)
        out->unit_from = am_arena_str(a, c->spec.unit_from);
    if (c->spec.unit_to.ptr)
        out->unit_to = am_arena_str(a, c->spec.unit_to);
    for (size_t i = 0; i < c->n_moments; i++)
        am_moments_flush(&c->moments[i]);
    AM_TRY(find_fill(c, &out->fill, err));
    if (c->moments[0].n == 0) { /* never a value: never an output */
        out->scale = AM_FS_NONE;
        return note_number(fit, c, true, err);
    }
    am_moments_repeat(&c->moments[0], out->fill, c->n_missing);
    if (c->spec.scale == AM_FS_LOG)
        am_moments_repeat(&c->moments[1], am_flog(out->fill), c->n_missing);
    if (c->quantile)
        AM_TRY(am_quantile_end(c->quantile, out->fill, c->n_missing, err));
    out->mul = 1;
    if (c->spec.scale == AM_FS_QUANTILE && am_moments_constant(&c->moments[0])) {
        out->scale = AM_FS_NONE;
        out->mul = 0;
    } else if (c->spec.scale == AM_FS_QUANTILE)
        AM_TRY(scale_quantiles(c, fit->n_rows, a, out, err));
    else if (c->spec.scale == AM_FS_ROBUST)
        scale_robust(c, out);
    else
        am_ffit_affine(c->spec.scale == AM_FS_LOG ? AM_FS_STANDARD : c->spec.scale,
                       &c->moments[c->spec.scale == AM_FS_LOG], &out->shift, &out->mul);
    return note_number(fit, c, out->mul == 0, err);
}

static enum am_rc date_fill(struct am_ffit_col *c, int64_t *fill, struct am_err *err)
{
    double number = 0;
    if (c->spec.impute == AM_FI_MODE && c->moments[0].n > 0) {
        mode_of(c->counts, AM_COL_DATE, &number, fill);
        return AM_OK;
    }
    AM_TRY(find_fill(c, &number, err));
    *fill =
        c->spec.impute == AM_FI_CONSTANT ? c->spec.constant_date : (int64_t)rounded_to_date(number);
    return AM_OK;
}

static enum am_rc date_finish(struct am_features_fit *fit, struct am_ffit_col *c,
                              struct am_fcol *out, struct am_err *err)
{
    for (size_t i = 0; i < c->n_moments; i++)
        am_moments_flush(&c->moments[i]);
    AM_TRY(date_fill(c, &out->fill_date, err));
    for (size_t i = 0; i < c->spec.n_parts; i++) {
        enum am_fpart part = c->spec.parts[i];
        if (part == AM_FP_HOUR && c->spec.auto_parts && !c->has_time)
            continue;
        struct am_fpart_def *p = &out->parts[out->n_parts++];
        struct am_moments *m = &c->moments[1 + i];
        *p = (struct am_fpart_def){part, c->spec.cyclic && am_fpart_period(part) > 0, 0, 1};
        if (c->moments[0].n > 0)
            am_moments_repeat(m, am_fpart_value(part, out->fill_date), c->n_missing);
        if (!p->cyclic)
            am_ffit_affine(c->spec.scale, m, &p->shift, &p->mul);
    }
    if (c->n_missing == fit->n_rows)
        return am_ffit_note(fit, err, "column \"%.*s\" has no value in the training rows",
                            AM_FMT(c->name));
    return AM_OK;
}

static enum am_rc finish_column(struct am_features_fit *fit, size_t i, struct am_features *f,
                                struct am_err *err)
{
    struct am_ffit_col *c = &fit->cols[i];
    struct am_fcol *out = &f->cols[i];
    out->in.name = am_arena_str(f->arena, c->name);
    out->in.type = c->type;
    out->kind = c->spec.kind;
    out->indicator = c->spec.indicator;
    out->factor = 1;
    AM_TRY(am_arena_check(f->arena, err));
    if (out->kind == AM_F_NUMBER)
        return number_finish(fit, c, f->arena, out, err);
    if (out->kind == AM_F_DATE)
        return date_finish(fit, c, out, err);
    if (c->type == AM_COL_IMAGE || c->type == AM_COL_VIDEO)
        return am_ffit_image_finish(fit, c, out, err);
    if (out->kind == AM_F_SOUND)
        return am_ffit_sound_finish(fit, c, f->arena, out, err);
    if (am_fkind_is_ids(out->kind))
        return am_ffit_tokens_finish(fit, c, f->arena, out, err);
    if (am_fkind_is_terms(out->kind))
        return am_ffit_text_finish(fit, c, f->arena, out, err);
    return am_ffit_category_finish(fit, c, f->arena, out, err);
}

enum am_rc am_features_fit_finish(struct am_features_fit *fit, struct am_features **out,
                                  struct am_err *err)
{
    if (fit->finished)
        return am_fail(err, AM_EINVAL, "the fit is finished");
    if (fit->n_rows == 0) {
        enum am_rc rc = am_fail(err, AM_EINVAL, "no training row");
        am_hint(err, "Give more rows, or smaller test and validation shares.");
        return rc;
    }
    fit->finished = true;
    struct am_features *f = NULL;
    AM_TRY(am_features_new(fit->n, &f, err));
    enum am_rc rc = AM_OK;
    for (size_t i = 0; i < fit->n && rc == AM_OK; i++)
        rc = finish_column(fit, i, f, err);
    if (rc == AM_OK)
        rc = am_features_build(f, err);
    if (rc != AM_OK) {
        am_features_free(f);
        return rc;
    }
    *out = f;
    return AM_OK;
}

/* ---- training rows ---- */

/* What target encoding gives a training row without its own fold. */
static void put_out_of_fold(const struct am_features_fit *fit, const struct am_features *f,
                            const struct am_batch *batch, const uint64_t *rows, size_t column,
                            size_t r, float *out)
{
    const struct am_ffit_col *col = &fit->cols[column];
    const struct am_fcol *c = &f->cols[column];
    const uint64_t id = rows ? rows[r] : batch->first_row + r;
    const float *table = col->oof + am_ffit_fold(fit->seed, id, col->spec.folds) *
                                        ((c->n_categories + 2) * c->n_values);
    const float *value = table + am_fcol_code(c, batch->columns[column].text[r]) * c->n_values;
    memcpy(out, value, c->n_values * sizeof *out);
}

enum am_rc am_features_apply_train(const struct am_features_fit *fit, const struct am_features *f,
                                   const struct am_batch *batch, const uint64_t *rows, float *out,
                                   struct am_err *err)
{
    AM_TRY(am_features_apply(f, batch, out, err));
    for (size_t i = 0; i < fit->n && fit->needs_target; i++) {
        const struct am_fcol *c = &f->cols[i];
        if (c->kind != AM_F_TARGET)
            continue;
        for (size_t r = 0; r < batch->n_rows; r++)
            put_out_of_fold(fit, f, batch, rows, i, r, out + r * f->width + c->in.first_output);
    }
    return AM_OK;
}

struct folded {
    const struct am_features_fit *fit;
    const struct am_features *f;
    const struct am_batch *batch;
    const uint64_t *rows;
};

static void fold_hook(void *ctx, size_t column, size_t row, float *values)
{
    const struct folded *k = ctx;
    if (k->f->cols[column].kind == AM_F_TARGET)
        put_out_of_fold(k->fit, k->f, k->batch, k->rows, column, row, values);
}

enum am_rc am_features_apply_train_sparse(const struct am_features_fit *fit,
                                          const struct am_features *f, const struct am_batch *batch,
                                          const uint64_t *rows, struct am_csr_buf *out,
                                          struct am_err *err)
{
    struct folded k = {fit, f, batch, rows};
    return am_features_apply_sparse_with(f, batch, fit->needs_target ? fold_hook : NULL, &k, out,
                                         err);
}
