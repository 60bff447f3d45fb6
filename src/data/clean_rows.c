/* Cleaning at work: which rows go (before and after the split), what is learned from the training
 * rows, and the table with repaired values. Statistics run in row order over the training rows;
 * batch cuts change nothing. */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/vec.h"
#include "data/clean_int.h"
#include "data/split_int.h"

static uint64_t count_kept(const uint8_t *parts, uint64_t n_rows)
{
    uint64_t n = 0;
    for (uint64_t i = 0; i < n_rows; i++)
        n += parts[i] != AM_ROW_DROPPED;
    return n;
}

/* Calls each(ctx, batch, row of its first row) over the whole table. */
static enum am_rc each_batch(const struct am_table *t, uint64_t n_rows,
                             enum am_rc (*each)(void *ctx, const struct am_batch *b, uint64_t row,
                                                struct am_err *err),
                             void *ctx, struct am_err *err)
{
    struct am_table_iter *it = NULL;
    enum am_rc rc = AM_OK;
    uint64_t row = 0;
    AM_TRY(t->ops->open(t->impl, NULL, 0, &it, err));
    for (const struct am_batch *b;;) {
        AM_GO(rc, t->ops->next(it, &b, err));
        if (!b)
            break;
        if (b->n_rows > n_rows - row) {
            rc = am_fail(err, AM_EINTERNAL, "the table has more than its %llu rows",
                         (unsigned long long)n_rows);
            goto out;
        }
        AM_GO(rc, each(ctx, b, row, err));
        row += b->n_rows;
    }
out:
    t->ops->close(it);
    return rc;
}

struct work {
    struct am_clean *c;
    uint8_t *parts;
    size_t *watched, n_watched; /* columns of a batch that can cost a row its place */
};

static enum am_rc apply_where(void *ctx, const struct am_batch *b, uint64_t row, struct am_err *err)
{
    struct work *w = ctx;
    (void)err;
    for (size_t i = 0; i < b->n_rows; i++) {
        bool keep = true;
        for (size_t p = 0; p < b->n_columns; p++)
            keep &= b->columns[p].number[i] == 1; /* unknown drops, as in SQL's WHERE */
        if (!keep && w->parts[row + i] != AM_ROW_DROPPED) {
            w->parts[row + i] = AM_ROW_DROPPED;
            w->c->dropped.where++;
        }
    }
    return AM_OK;
}

static enum am_rc run_where(struct work *w, const struct am_tables *tables,
                            const struct am_dataset_files *files, uint64_t n_rows,
                            struct am_err *err)
{
    struct am_clean *c = w->c;
    struct am_tables_source source = {
        .format = AM_TABLES_PARQUET, .paths = files->parts, .n_paths = files->n_parts};
    struct am_tables_column *columns = am_calloc(c->n_where, sizeof *columns);
    struct am_table t = {0};
    if (!columns)
        return am_fail_nomem(err, c->n_where * sizeof *columns);
    for (size_t i = 0; i < c->n_where; i++)
        columns[i] = (struct am_tables_column){.name = c->where[i],
                                               .expr = c->where[i],
                                               .stored = AM_STORED_BOOL,
                                               .type = AM_COL_BOOLEAN};
    struct am_str *numbers = am_arena_array(c->arena, files->schema->n + 1, sizeof *numbers);
    if (!numbers) {
        am_free(columns);
        return am_fail_nomem(err, files->schema->n * sizeof *numbers);
    }
    size_t n_numbers = 0;
    for (size_t i = 0; i < files->schema->n; i++)
        if (files->schema->columns[i].stored == AM_STORED_TEXT &&
            files->schema->columns[i].type == AM_COL_NUMBER)
            numbers[n_numbers++] = files->schema->columns[i].name;
    struct am_tables_read read = {.source = &source,
                                  .columns = columns,
                                  .n_columns = c->n_where,
                                  .n_rows = n_rows,
                                  .numbers = numbers,
                                  .n_numbers = n_numbers};
    enum am_rc rc = tables->ops->read(tables->impl, &read, &t, err);
    if (rc == AM_OK) {
        rc = each_batch(&t, n_rows, apply_where, w, err);
        t.ops->free(t.impl);
    }
    if (rc == AM_EUSAGE)
        am_context(err, "data.clean.where");
    am_free(columns);
    return rc;
}

static bool is_invalid(const struct clean_rule *r, double v)
{
    return isinf(v) || v < r->min || v > r->max; /* false for NaN */
}

static enum am_rc fail_invalid(const struct clean_rule *r, double v, uint64_t row,
                               struct am_err *err)
{
    enum am_rc rc;
    if (isinf(v))
        rc = am_fail(err, AM_EINVAL, "row %llu: column \"%.*s\" is infinite or not of its type",
                     (unsigned long long)row + 1, AM_FMT(r->name));
    else
        rc = am_fail(err, AM_EINVAL, "row %llu: column \"%.*s\" is %g, outside %g to %g",
                     (unsigned long long)row + 1, AM_FMT(r->name), v,
                     isnan(r->min) ? -INFINITY : r->min, isnan(r->max) ? INFINITY : r->max);
    am_hint(err,
            "Correct the value, or say data.clean.columns: {%.*s: {invalid: missing}} or drop.",
            AM_FMT(r->name));
    return rc;
}

/* What becomes of a row by the rules for values; NULL counter = kept. */
static enum am_rc judge_row(const struct work *w, const struct am_batch *b, size_t i, uint64_t row,
                            uint64_t **counter, struct am_err *err)
{
    struct am_clean *c = w->c;
    *counter = NULL;
    for (size_t at = 0; at < w->n_watched; at++) {
        size_t k = w->watched[at];
        struct clean_rule *r = &c->rules[k];
        const struct am_column *col = &b->columns[k];
        bool missing = am_cell_missing(col, i);
        if (!missing && clean_is_number(col->type) && is_invalid(r, col->number[i])) {
            if (r->invalid == INVALID_ERROR)
                return fail_invalid(r, col->number[i], row, err);
            r->n_invalid++;
            missing = true;
            if (r->invalid == INVALID_DROP) {
                *counter = &c->dropped.invalid;
                return AM_OK;
            }
        }
        if (!missing)
            continue;
        if (r->is_target)
            *counter = &c->dropped.target_missing;
        else if (r->missing == MISSING_DROP || (c->drop_missing && r->missing == MISSING_KEEP))
            *counter = &c->dropped.missing;
        if (*counter)
            return AM_OK;
    }
    return AM_OK;
}

/* The columns with a rule, and those that hold an infinite number; the others need no look cell by
 * cell. */
static void watch(struct work *w, const struct am_batch *b)
{
    w->n_watched = 0;
    for (size_t k = 0; k < b->n_columns; k++) {
        const struct clean_rule *r = &w->c->rules[k];
        const struct am_column *col = &b->columns[k];
        bool needed = r->is_target || r->missing == MISSING_DROP || r->invalid != INVALID_ERROR ||
                      !isnan(r->min) || !isnan(r->max) ||
                      (w->c->drop_missing && r->missing == MISSING_KEEP);
        if (!needed && clean_is_number(col->type)) {
            size_t n = 0;
            for (size_t i = 0; i < b->n_rows; i++)
                n += fabs(col->number[i]) > DBL_MAX;
            needed = n > 0;
        }
        if (needed && !r->is_ignored)
            w->watched[w->n_watched++] = k;
    }
}

static enum am_rc apply_values(void *ctx, const struct am_batch *b, uint64_t row,
                               struct am_err *err)
{
    struct work *w = ctx;
    watch(w, b);
    for (size_t i = 0; i < b->n_rows && w->n_watched; i++) {
        uint64_t *counter;
        if (w->parts[row + i] == AM_ROW_DROPPED)
            continue;
        AM_TRY(judge_row(w, b, i, row + i, &counter, err));
        if (counter) {
            (*counter)++;
            w->parts[row + i] = AM_ROW_DROPPED;
        }
    }
    return AM_OK;
}

static void drop_duplicate(void *ctx, uint64_t row, uint64_t first)
{
    struct work *w = ctx;
    (void)first;
    w->parts[row] = AM_ROW_DROPPED;
    w->c->dropped.duplicates++;
}

enum am_rc am_clean_rows(struct am_clean *c, const struct am_tables *tables,
                         const struct am_dataset_files *files, const struct am_table *t,
                         uint8_t *parts, uint64_t n_rows, struct am_err *err)
{
    struct work w = {.c = c, .parts = parts};
    c->rows_before = count_kept(parts, n_rows);
    if (c->n_where)
        AM_TRY(run_where(&w, tables, files, n_rows, err));
    w.watched = am_alloc_array(c->schema->n + 1, sizeof *w.watched);
    if (!w.watched)
        return am_fail_nomem(err, c->schema->n * sizeof *w.watched);
    enum am_rc rc = each_batch(t, n_rows, apply_values, &w, err);
    am_free(w.watched);
    AM_TRY(rc);
    if (c->drop_duplicates)
        AM_TRY(duplicates_each(t, c->ignore, c->n_ignore, parts, n_rows, NULL, drop_duplicate, &w,
                               err));
    c->rows_after = count_kept(parts, n_rows);
    if (c->rows_after > 0)
        return AM_OK;
    rc = am_fail(err, AM_EINVAL, "cleaning leaves none of %llu rows",
                 (unsigned long long)c->rows_before);
    am_hint(err,
            "Loosen data.clean: %llu rows went by where, %llu by a missing target, %llu by invalid "
            "and %llu by missing values.",
            (unsigned long long)c->dropped.where, (unsigned long long)c->dropped.target_missing,
            (unsigned long long)c->dropped.invalid, (unsigned long long)c->dropped.missing);
    return rc;
}

/* What is learned of one column. */
struct learned {
    AM_VEC(double) values; /* where order statistics are asked for */
    struct am_map counts;  /* where the mode is asked for */
    double n, mean, m2;    /* Welford, in row order */
};

struct fit {
    struct work w;
    struct learned *columns; /* owned [n] */
    bool bounds;             /* first pass: bounds of outliers; second: fills */
};

static double repaired(const struct clean_rule *r, double v, bool *outlier)
{
    *outlier = false;
    if (is_invalid(r, v))
        return NAN;
    if (!(v < r->low) && !(v > r->high))
        return v;
    *outlier = true;
    if (r->action == OUTLIER_CLIP)
        return v < r->low ? r->low : r->high;
    return r->action == OUTLIER_MISSING ? NAN : v;
}

static enum am_rc learn_number(struct learned *l, double v, bool keep, struct am_err *err)
{
    l->n++;
    double d = v - l->mean;
    l->mean += d / l->n;
    l->m2 += d * (v - l->mean);
    if (keep && !am_vec_push(&l->values, v))
        return am_fail_nomem(err, (l->values.len + 1) * sizeof v);
    return AM_OK;
}

static enum am_rc learn_mode(struct am_clean *c, struct learned *l, const struct am_column *col,
                             size_t i, double v, struct am_err *err)
{
    struct am_str key = {(const char *)&v, sizeof v};
    if (clean_is_text(col->type))
        key = col->text[i];
    uint64_t *known = am_map_get(&l->counts, key);
    if (known) {
        (*known)++;
        return AM_OK;
    }
    struct am_str kept = am_arena_str(c->arena, key);
    return kept.ptr ? am_map_put(&l->counts, kept, 1, err) : am_fail_nomem(err, key.len);
}

static enum am_rc learn_cell(struct fit *f, size_t k, const struct am_column *col, size_t i,
                             struct am_err *err)
{
    struct clean_rule *r = &f->w.c->rules[k];
    bool outlier, number = clean_is_number(col->type);
    double v = NAN;
    if (f->bounds) {
        if (r->outliers == OUTLIERS_NONE || isnan(v = repaired(r, col->number[i], &outlier)))
            return AM_OK;
        return learn_number(&f->columns[k], v, r->outliers == OUTLIERS_IQR, err);
    }
    if (r->missing != MISSING_MEAN && r->missing != MISSING_MEDIAN && r->missing != MISSING_MODE)
        return AM_OK;
    if (number ? isnan(v = repaired(r, col->number[i], &outlier)) : am_cell_missing(col, i))
        return AM_OK;
    if (r->missing == MISSING_MODE)
        return learn_mode(f->w.c, &f->columns[k], col, i, number && v == 0 ? 0 : v, err);
    return learn_number(&f->columns[k], v, r->missing == MISSING_MEDIAN, err);
}

/* Second pass only: whether a training row goes for an outlier; counts for the report. */
static bool drops_row(struct fit *f, const struct am_batch *b, size_t i, uint8_t part)
{
    bool drop = false;
    for (size_t k = 0; k < b->n_columns; k++) {
        struct clean_rule *r = &f->w.c->rules[k];
        const struct am_column *col = &b->columns[k];
        bool outlier = false, missing = am_cell_missing(col, i);
        if (!missing && clean_is_number(col->type)) {
            double v = repaired(r, col->number[i], &outlier);
            missing = isnan(v);
        }
        if (outlier) {
            r->n_outliers++;
            r->n_clipped += r->action == OUTLIER_CLIP;
            drop |= r->action == OUTLIER_DROP && part == AM_ROW_TRAIN;
        }
        r->n_filled += missing && r->missing > MISSING_DROP;
    }
    return drop;
}

static enum am_rc fit_batch(void *ctx, const struct am_batch *b, uint64_t row, struct am_err *err)
{
    struct fit *f = ctx;
    for (size_t i = 0; i < b->n_rows; i++) {
        uint8_t *part = &f->w.parts[row + i];
        if (*part == AM_ROW_DROPPED)
            continue;
        if (!f->bounds && drops_row(f, b, i, *part)) {
            *part = AM_ROW_DROPPED;
            f->w.c->dropped.outliers++;
            continue;
        }
        if (*part != AM_ROW_TRAIN)
            continue;
        for (size_t k = 0; k < b->n_columns; k++)
            AM_TRY(learn_cell(f, k, &b->columns[k], i, err));
    }
    return AM_OK;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double quantile(const struct learned *l, double q) /* values are sorted; type 7 */
{
    double at = q * (double)(l->values.len - 1);
    size_t low = (size_t)at;
    double next = low + 1 < l->values.len ? l->values.ptr[low + 1] : l->values.ptr[low];
    return l->values.ptr[low] + (at - (double)low) * (next - l->values.ptr[low]);
}

static void set_bounds(struct clean_rule *r, struct learned *l)
{
    if (r->outliers == OUTLIERS_NONE || l->n < 2)
        return;
    if (r->outliers == OUTLIERS_SIGMA) {
        double sd = sqrt(l->m2 / (l->n - 1));
        r->low = l->mean - r->limit * sd;
        r->high = l->mean + r->limit * sd;
        return;
    }
    qsort(l->values.ptr, l->values.len, sizeof *l->values.ptr, compare_doubles);
    double q1 = quantile(l, .25), q3 = quantile(l, .75);
    r->low = q1 - r->limit * (q3 - q1);
    r->high = q3 + r->limit * (q3 - q1);
}

/* The most frequent value; among equals the smallest (texts by bytes). */
static void set_mode(struct clean_rule *r, const struct learned *l)
{
    const struct am_map_entry *best = NULL;
    double best_value = 0;
    for (size_t i = 0; i < l->counts.n; i++) {
        const struct am_map_entry *e = &l->counts.entries[i];
        double v = 0;
        if (!clean_is_text(r->type))
            memcpy(&v, e->key.ptr, sizeof v);
        bool smaller =
            best && (clean_is_text(r->type) ? am_str_cmp(e->key, best->key) < 0 : v < best_value);
        if (!best || e->value > best->value || (e->value == best->value && smaller)) {
            best = e;
            best_value = v;
        }
    }
    r->has_fill = best != NULL;
    r->fill = best_value;
    r->fill_text = best ? best->key : (struct am_str){NULL, 0};
}

static enum am_rc set_fill(struct clean_rule *r, struct learned *l, struct am_err *err)
{
    if (r->missing == MISSING_MODE) {
        set_mode(r, l);
    } else if (r->missing == MISSING_MEAN) {
        r->has_fill = l->n > 0;
        r->fill = l->mean;
    } else if (r->missing == MISSING_MEDIAN) {
        r->has_fill = l->values.len > 0;
        if (r->has_fill) {
            qsort(l->values.ptr, l->values.len, sizeof *l->values.ptr, compare_doubles);
            r->fill = quantile(l, .5);
        }
    } else {
        return AM_OK;
    }
    if (r->has_fill)
        return AM_OK;
    enum am_rc rc =
        am_fail(err, AM_EINVAL, "column \"%.*s\" has no value in the training rows to fill from",
                AM_FMT(r->name));
    am_hint(err, "Fill it with a constant, or leave the column out with features.drop.");
    return rc;
}

static void learned_clear(struct learned *columns, size_t n)
{
    for (size_t i = 0; columns && i < n; i++) {
        am_vec_clear(&columns[i].values);
        am_map_clear(&columns[i].counts);
        columns[i] = (struct learned){0};
    }
}

enum am_rc am_clean_fit(struct am_clean *c, const struct am_table *t, uint8_t *parts,
                        uint64_t n_rows, struct am_err *err)
{
    size_t n = c->schema->n;
    bool any = false, outliers = false;
    c->fitted = true;
    for (size_t i = 0; i < n; i++) {
        outliers |= c->rules[i].outliers != OUTLIERS_NONE;
        any |= outliers || c->rules[i].missing > MISSING_DROP;
    }
    if (!any)
        return AM_OK;
    enum am_rc rc = AM_OK;
    struct fit f = {.w = {.c = c, .parts = parts},
                    .columns = am_calloc(n + 1, sizeof *f.columns),
                    .bounds = true};
    if (!f.columns)
        return am_fail_nomem(err, n * sizeof *f.columns);
    if (outliers) {
        AM_GO(rc, each_batch(t, n_rows, fit_batch, &f, err));
        for (size_t i = 0; i < n; i++)
            set_bounds(&c->rules[i], &f.columns[i]);
        learned_clear(f.columns, n);
    }
    f.bounds = false;
    AM_GO(rc, each_batch(t, n_rows, fit_batch, &f, err));
    for (size_t i = 0; i < n; i++)
        AM_GO(rc, set_fill(&c->rules[i], &f.columns[i], err));
    c->rows_after = count_kept(parts, n_rows);
out:
    learned_clear(f.columns, n);
    am_free(f.columns);
    return rc;
}

/* The view. */
struct clean_table {
    const struct am_clean *c;
    const struct am_table *t;
};

struct last_value { /* for forward filling */
    double number;
    int64_t date;
    char *text, *older; /* owned copies; the older one may stand in the batch handed out */
    size_t len;
    bool known;
};

struct am_table_iter {
    const struct clean_table *v;
    struct am_table_iter *inner;
    const struct clean_rule **rules; /* owned [n], one a column handed out */
    struct am_column *columns;       /* owned [n] */
    void **buffers;                  /* owned [n] of [cap] */
    struct last_value *last;         /* owned [n] */
    size_t n, cap;
    struct am_batch batch;
};

static bool changes(const struct clean_rule *r)
{
    if (r->is_target || r->is_ignored)
        return false;
    return r->missing > MISSING_DROP || r->invalid != INVALID_ERROR || r->outliers != OUTLIERS_NONE;
}

static const struct am_schema *clean_schema(void *impl)
{
    return ((struct clean_table *)impl)->c->schema;
}
static uint64_t clean_n_rows(void *impl)
{
    const struct am_table *t = ((struct clean_table *)impl)->t;
    return t->ops->n_rows(t->impl);
}
static void clean_free(void *impl)
{
    am_free(impl);
}

static void clean_close(struct am_table_iter *it)
{
    if (!it)
        return;
    it->v->t->ops->close(it->inner);
    for (size_t i = 0; it->buffers && i < it->n; i++)
        am_free(it->buffers[i]);
    for (size_t i = 0; it->last && i < it->n; i++) {
        am_free(it->last[i].text);
        am_free(it->last[i].older);
    }
    am_free(it->buffers);
    am_free(it->last);
    am_free(it->rules);
    am_free(it->columns);
    am_free(it);
}

static enum am_rc clean_open(void *impl, const size_t *columns, size_t n_columns,
                             struct am_table_iter **out, struct am_err *err)
{
    struct clean_table *v = impl;
    enum am_rc rc = AM_OK;
    *out = NULL;
    struct am_table_iter *it = am_calloc(1, sizeof *it);
    if (!it)
        return am_fail_nomem(err, sizeof *it);
    it->v = v;
    it->n = columns ? n_columns : v->c->schema->n;
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers */
    it->rules = am_calloc(it->n + 1, sizeof *it->rules);
    it->columns = am_calloc(it->n + 1, sizeof *it->columns);
    it->buffers = am_calloc(it->n + 1, sizeof *it->buffers);
    it->last = am_calloc(it->n + 1, sizeof *it->last);
    if (!it->rules || !it->columns || !it->buffers || !it->last) {
        rc = am_fail_nomem(err, (it->n + 1) * sizeof *it->last);
        goto out;
    }
    for (size_t i = 0; i < it->n; i++)
        it->rules[i] = &v->c->rules[columns ? columns[i] : i];
    AM_GO(rc, v->t->ops->open(v->t->impl, columns, n_columns, &it->inner, err));
    *out = it;
    it = NULL;
out:
    clean_close(it);
    return rc;
}

static void fill_numbers(const struct clean_rule *r, struct last_value *last, const double *from,
                         double *to, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool outlier;
        to[i] = repaired(r, from[i], &outlier);
        if (isnan(to[i]) && r->has_fill)
            to[i] = r->fill;
        if (r->missing != MISSING_FORWARD)
            continue;
        if (isnan(to[i]) && last->known) {
            to[i] = last->number;
        } else if (!isnan(to[i])) {
            last->number = to[i];
            last->known = true;
        }
    }
}

static void fill_dates(const struct clean_rule *r, struct last_value *last, const int64_t *from,
                       int64_t *to, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[i] = from[i];
        if (r->missing != MISSING_FORWARD)
            continue;
        if (to[i] == AM_DATE_MISSING && last->known) {
            to[i] = last->date;
        } else if (to[i] != AM_DATE_MISSING) {
            last->date = to[i];
            last->known = true;
        }
    }
}

static enum am_rc fill_texts(const struct clean_rule *r, struct last_value *last,
                             const struct am_str *from, struct am_str *to, size_t n,
                             struct am_err *err)
{
    struct am_str previous = {last->text, last->len};
    for (size_t i = 0; i < n; i++) {
        to[i] = from[i];
        if (!to[i].ptr && r->has_fill)
            to[i] = r->fill_text;
        if (r->missing != MISSING_FORWARD)
            continue;
        if (!to[i].ptr)
            to[i] = previous;
        else
            previous = to[i];
    }
    if (r->missing != MISSING_FORWARD || previous.ptr == last->text)
        return AM_OK;
    char *copy = am_strndup(previous.ptr, previous.len);
    if (!copy)
        return am_fail_nomem(err, previous.len);
    am_free(last->older); /* of the batch before, which is over */
    last->older = last->text;
    last->text = copy;
    last->len = previous.len;
    return AM_OK;
}

static enum am_rc repair_column(struct am_table_iter *it, size_t k, const struct am_batch *b,
                                struct am_err *err)
{
    const struct clean_rule *r = it->rules[k];
    const struct am_column *from = &b->columns[k];
    it->columns[k] = *from;
    if (!changes(r))
        return AM_OK;
    if (!it->buffers[k])
        it->buffers[k] = am_alloc_array(it->cap, clean_is_text(from->type) ? sizeof(struct am_str)
                                                                           : sizeof(double));
    if (!it->buffers[k])
        return am_fail_nomem(err, it->cap * sizeof(struct am_str));
    if (clean_is_text(from->type)) {
        it->columns[k].text = it->buffers[k];
        return fill_texts(r, &it->last[k], from->text, it->buffers[k], b->n_rows, err);
    }
    if (from->type == AM_COL_DATE) {
        fill_dates(r, &it->last[k], from->date, it->buffers[k], b->n_rows);
        it->columns[k].date = it->buffers[k];
    } else {
        fill_numbers(r, &it->last[k], from->number, it->buffers[k], b->n_rows);
        it->columns[k].number = it->buffers[k];
    }
    return AM_OK;
}

static enum am_rc clean_next(struct am_table_iter *it, const struct am_batch **out,
                             struct am_err *err)
{
    const struct am_batch *b;
    *out = NULL;
    AM_TRY(it->v->t->ops->next(it->inner, &b, err));
    if (!b)
        return AM_OK;
    if (b->n_rows > it->cap) {
        for (size_t i = 0; i < it->n; i++) {
            am_free(it->buffers[i]);
            it->buffers[i] = NULL;
        }
        it->cap = b->n_rows;
    }
    for (size_t k = 0; k < it->n; k++)
        AM_TRY(repair_column(it, k, b, err));
    it->batch = *b;
    it->batch.columns = it->columns;
    *out = &it->batch;
    return AM_OK;
}

static const struct am_table_ops clean_ops = {.schema = clean_schema,
                                              .n_rows = clean_n_rows,
                                              .open = clean_open,
                                              .next = clean_next,
                                              .close = clean_close,
                                              .free = clean_free};

enum am_rc am_clean_view(const struct am_clean *c, const struct am_table *t, struct am_table *out,
                         struct am_err *err)
{
    *out = (struct am_table){0};
    if (!c->fitted)
        return am_fail(err, AM_EINTERNAL, "a cleaned view before its fill values are known");
    struct clean_table *v = am_alloc(sizeof *v);
    if (!v)
        return am_fail_nomem(err, sizeof *v);
    *v = (struct clean_table){c, t};
    *out = (struct am_table){&clean_ops, v};
    return AM_OK;
}
