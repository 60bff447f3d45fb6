/* Scores of columns by filters, and what is kept; see select.h. */
#include "pipeline/select.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "feature/column_score.h"
#include "feature/stats.h"
#include "pipeline/prepare.h"

#define ROWS_MAX 100000     /* looked at, evenly spread over the training rows */
#define NEAR_ROWS_MAX 20000 /* by nearest neighbours and in pairs */
#define CODES_MAX 1000      /* of a category; the rarer ones are one */

static const char *const methods[] = {[AM_SCORE_VARIANCE] = "variance",
                                      [AM_SCORE_CORRELATION] = "correlation",
                                      [AM_SCORE_ANOVA] = "anova",
                                      [AM_SCORE_CHI2] = "chi2",
                                      [AM_SCORE_INFORMATION_GAIN] = "information_gain",
                                      [AM_SCORE_MUTUAL_INFORMATION] = "mutual_information",
                                      [AM_N_COLUMN_SCORES + AM_SELECT_L1] = "l1",
                                      [AM_N_COLUMN_SCORES + AM_SELECT_RECURSIVE] = "recursive",
                                      [AM_N_COLUMN_SCORES + AM_SELECT_PERMUTATION] = "permutation"};
#define N_METHODS (sizeof methods / sizeof methods[0])

struct column {     /* of the rows looked at */
    double *number; /* owned; NULL = codes */
    uint32_t *code; /* owned */
    struct am_counts counts;
    bool is_code;
};

struct work {
    const struct am_prepared *p;
    const struct am_node *spec;
    unsigned by;
    size_t *scored, n_scored; /* columns of the schema that have a score */
    struct column *columns;   /* owned [n_scored] */
    double *y, *score;        /* owned [rows], [n_scored] */
    size_t n, cap;            /* rows */
    uint64_t stride;
};

static bool can_score(enum am_col_type t)
{
    return t == AM_COL_NUMBER || t == AM_COL_BOOLEAN || t == AM_COL_CATEGORY || t == AM_COL_DATE;
}

static void work_clear(struct work *w)
{
    for (size_t i = 0; w->columns && i < w->n_scored; i++) {
        am_free(w->columns[i].number);
        am_free(w->columns[i].code);
        if (w->columns[i].is_code)
            am_counts_clear(&w->columns[i].counts);
    }
    am_free(w->columns);
    am_free(w->y);
    am_free(w->score);
    am_free(w->scored);
}

/* ---- the rows ---- */

static enum am_rc columns_new(struct work *w, uint64_t n_rows, struct am_err *err)
{
    const uint64_t most = w->by == AM_SCORE_MUTUAL_INFORMATION ? NEAR_ROWS_MAX : ROWS_MAX;
    w->stride = n_rows == UINT64_MAX || n_rows <= most ? 1 : (n_rows + most - 1) / most;
    w->cap = (size_t)(n_rows < most ? n_rows : most) + 1;
    w->columns = am_calloc(w->n_scored + 1, sizeof *w->columns);
    w->y = am_alloc_array(w->cap, sizeof *w->y);
    if (!w->columns || !w->y)
        return am_fail_nomem(err, w->n_scored * sizeof *w->columns);
    for (size_t i = 0; i < w->n_scored; i++) {
        struct column *c = &w->columns[i];
        if (w->p->schema->columns[w->scored[i]].type == AM_COL_CATEGORY) {
            AM_TRY(am_counts_init(&c->counts, err));
            c->is_code = true;
            c->code = am_alloc_array(w->cap, sizeof *c->code);
        } else {
            c->number = am_alloc_array(w->cap, sizeof *c->number);
        }
        if (!c->number && !c->code)
            return am_fail_nomem(err, w->cap * sizeof *c->number);
    }
    return AM_OK;
}

static enum am_rc take_row(struct work *w, const struct am_batch *b, size_t i, double y,
                           struct am_err *err)
{
    for (size_t k = 0; k < w->n_scored; k++) {
        struct column *c = &w->columns[k];
        const struct am_column *from = &b->columns[k];
        if (c->is_code) {
            const struct am_str missing = AM_STR("\xff missing");
            size_t index;
            AM_TRY(am_counts_add(&c->counts, from->text[i].ptr ? from->text[i] : missing, 1, &index,
                                 err));
            c->code[w->n] = (uint32_t)index;
        } else if (from->type == AM_COL_DATE) {
            c->number[w->n] =
                from->date[i] == AM_DATE_MISSING ? (double)NAN : (double)from->date[i] / 86400e6;
        } else {
            c->number[w->n] = isfinite(from->number[i]) ? from->number[i] : (double)NAN;
        }
    }
    w->y[w->n++] = y;
    return AM_OK;
}

static enum am_rc read_rows(struct work *w, const struct am_table *t, struct am_err *err)
{
    const struct am_prepared *p = w->p;
    const bool target = p->target_column != SIZE_MAX;
    size_t *columns = am_arena_array(p->arena, w->n_scored + 1, sizeof *columns), cap = 0;
    struct am_table_iter *it = NULL;
    const struct am_batch *b;
    double *y = NULL;
    uint64_t row = 0;
    enum am_rc rc;
    AM_TRY(am_arena_check(p->arena, err));
    for (size_t i = 0; i < w->n_scored; i++)
        columns[i] = w->scored[i];
    columns[w->n_scored] = p->target_column;
    AM_GO(rc, t->ops->open(t->impl, columns, w->n_scored + target, &it, err));
    for (;;) {
        AM_GO(rc, t->ops->next(it, &b, err));
        if (!b)
            break;
        if (b->n_rows > cap) {
            am_free(y);
            cap = b->n_rows;
            y = am_alloc_array(cap, sizeof *y);
            if (!y)
                AM_GO(rc, am_fail_nomem(err, cap * sizeof *y));
        }
        AM_GO(rc, am_prepared_targets(p, b, y, err));
        for (size_t i = 0; i < b->n_rows; i++, row++)
            if (row % w->stride == 0 && w->n < w->cap)
                AM_GO(rc, take_row(w, b, i, y[i], err));
    }
out:
    t->ops->close(it);
    am_free(y);
    return rc;
}

/* Missing numbers become the mean, as imputing does without a word from the recipe. */
static void fill(double *v, size_t n)
{
    double sum = 0, have = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(v[i])) {
            sum += v[i];
            have++;
        }
    for (size_t i = 0; i < n; i++)
        if (isnan(v[i]))
            v[i] = have > 0 ? sum / have : 0;
}

static int by_count(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return x[0] != y[0] ? (x[0] < y[0]) - (x[0] > y[0]) : (x[1] > y[1]) - (x[1] < y[1]);
}

/* The most frequent codes stay, the others are one. */
static enum am_rc fold_codes(struct column *c, size_t n, size_t *n_codes, struct am_err *err)
{
    const size_t k = c->counts.map.n;
    *n_codes = k;
    if (k <= CODES_MAX)
        return AM_OK;
    uint64_t(*order)[2] = am_alloc_array(k, sizeof *order);
    uint32_t *now = am_alloc_array(k, sizeof *now);
    if (order && now) {
        for (size_t i = 0; i < k; i++) {
            order[i][0] = c->counts.n.ptr[i];
            order[i][1] = i;
        }
        qsort(order, k, sizeof *order, by_count);
        for (size_t i = 0; i < k; i++)
            now[order[i][1]] = (uint32_t)(i < CODES_MAX - 1 ? i : CODES_MAX - 1);
        for (size_t i = 0; i < n; i++)
            c->code[i] = now[c->code[i]];
        *n_codes = CODES_MAX;
    }
    const bool ok = order && now;
    am_free(order);
    am_free(now);
    return ok ? AM_OK : am_fail_nomem(err, k * sizeof *order);
}

/* ---- scores ---- */

static enum am_rc filter(struct work *w, struct am_err *err)
{
    const struct am_prepared *p = w->p;
    const struct am_score_target target = {am_target_n_classes(p->target), w->y};
    const struct am_score_options o = {
        .n_neighbors = (unsigned)am_node_i64(w->spec, "neighbors", 3),
        .seed = (uint64_t)am_node_i64(am_node_get(p->recipe.resolved, "train"), "seed", 42)};
    for (size_t i = 0; i < w->n_scored; i++) {
        struct column *c = &w->columns[i];
        struct am_score_column x = {.n = w->n, .number = c->number, .code = c->code};
        if (c->number)
            fill(c->number, w->n);
        else
            AM_TRY(fold_codes(c, w->n, &x.n_codes, err));
        AM_TRY(am_column_score((enum am_column_score)w->by, &x, &target, &o, &w->score[i], err));
        if (am_progress_canceled(p->pl->progress))
            return am_fail(err, AM_ECANCELED, "canceled while columns were scored");
    }
    return AM_OK;
}

/* ---- what is kept ---- */

static int best_first(const void *a, const void *b)
{
    const struct am_selected *x = a, *y = b;
    if (isnan(x->score) || isnan(y->score))
        return isnan(x->score) != isnan(y->score)
                   ? (isnan(x->score) ? 1 : -1)
                   : (x->column > y->column) - (x->column < y->column);
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return (x->column > y->column) - (x->column < y->column);
}

static const struct column *column_of(const struct work *w, size_t column)
{
    for (size_t i = 0; i < w->n_scored; i++)
        if (w->scored[i] == column)
            return &w->columns[i];
    return NULL;
}

/* By correlation: of two columns that say the same the one that says less of the target goes. */
static void prune_pairs(const struct work *w, struct am_selected *each, size_t n, double limit)
{
    const size_t rows = w->n < NEAR_ROWS_MAX ? w->n : NEAR_ROWS_MAX;
    for (size_t i = 0; i < n; i++) {
        const struct column *a = column_of(w, each[i].column);
        for (size_t k = 0; each[i].kept && a && a->number && k < i; k++) {
            const struct column *b = column_of(w, each[k].column);
            if (each[k].kept && b && b->number &&
                am_column_correlation(a->number, b->number, rows) > limit)
                each[i].kept = false;
        }
    }
}

/* Marks each[] (best first) by keep, share or threshold. */
static void choose(const struct work *w, struct am_selected *each, size_t n)
{
    const struct am_node *spec = w->spec;
    const int64_t keep = am_node_i64(spec, "keep", 0);
    double share = 0, threshold = 0;
    const bool by_share = am_node_as_f64(am_node_get(spec, "share"), &share);
    const bool by_threshold = am_node_as_f64(am_node_get(spec, "threshold"), &threshold);
    size_t n_scored = 0, most;
    while (n_scored < n && !isnan(each[n_scored].score))
        n_scored++;
    most = keep > 0 ? (size_t)keep : by_share ? (size_t)ceil(share * (double)n_scored) : n_scored;
    if (keep <= 0 && !by_share && !by_threshold && w->by != AM_SCORE_VARIANCE &&
        w->by != AM_SCORE_CORRELATION)
        most = (n_scored + 1) / 2;
    for (size_t i = 0; i < n; i++)
        each[i].kept = true;
    if (w->by == AM_SCORE_CORRELATION)
        prune_pairs(w, each, n_scored, by_threshold ? threshold : 0.95);
    else if (by_threshold || w->by == AM_SCORE_VARIANCE)
        for (size_t i = 0; i < n_scored; i++)
            each[i].kept =
                w->by == AM_SCORE_VARIANCE ? each[i].score > threshold : each[i].score >= threshold;
    for (size_t i = 0, have = 0; i < n_scored; i++) {
        each[i].kept = each[i].kept && have < most;
        have += each[i].kept;
    }
}

static enum am_rc finish(const struct work *w, struct am_selection *out, struct am_err *err)
{
    const struct am_prepared *p = w->p;
    out->each = am_arena_array(p->arena, p->n_columns + 1, sizeof *out->each);
    out->kept = am_arena_array(p->arena, p->n_columns + 1, sizeof *out->kept);
    AM_TRY(am_arena_check(p->arena, err));
    out->n = p->n_columns;
    for (size_t i = 0, k = 0; i < p->n_columns; i++) {
        const bool scored = k < w->n_scored && w->scored[k] == p->columns[i];
        out->each[i] =
            (struct am_selected){p->columns[i], scored ? w->score[k] : (double)NAN, true};
        k += scored;
    }
    qsort(out->each, out->n, sizeof *out->each, best_first);
    choose(w, out->each, out->n);
    for (size_t i = 0; i < p->n_columns; i++)
        for (size_t k = 0; k < out->n; k++)
            if (out->each[k].column == p->columns[i] && out->each[k].kept)
                out->kept[out->n_kept++] = p->columns[i];
    if (out->n_kept > 0)
        return AM_OK;
    am_fail(err, AM_EINVAL, "features.select by %s keeps none of %zu columns", methods[w->by],
            p->n_columns);
    am_hint(err, "Lower features.select.threshold, or say keep or share.");
    return AM_EINVAL;
}

static bool asked(const struct am_prepared *p, struct work *w)
{
    *w = (struct work){.p = p, .spec = am_node_path(p->recipe.resolved, "features.select")};
    struct am_str by = am_node_str(w->spec, "by", "");
    if (!w->spec || w->spec->kind != AM_NODE_MAP || by.len == 0)
        return false;
    while (w->by + 1 < N_METHODS && !am_str_is(by, methods[w->by]))
        w->by++;
    return true;
}

static enum am_rc check(const struct work *w, struct am_err *err)
{
    const enum am_task task = am_target_task(w->p->target);
    const bool own = am_task_is_own(task);
    size_t said = 0;
    static const char *const ways[] = {"keep", "share", "threshold"};
    for (size_t i = 0; i < 3; i++) {
        const struct am_node *n = am_node_get(w->spec, ways[i]);
        said += n && !am_node_is_null(n) && !(i == 2 && w->by == AM_SCORE_CORRELATION);
    }
    if (said > 1) {
        am_fail(err, AM_EUSAGE, "features.select says more than one of keep, share and threshold");
        am_hint(err, "Leave one of them.");
        return AM_EUSAGE;
    }
    if (w->by == AM_SCORE_CHI2 && !am_task_has_classes(task)) {
        am_fail(err, AM_EUSAGE, "features.select by chi2 compares with classes, but the task is %s",
                am_task_name(task));
        am_hint(err, "Use anova, correlation or mutual_information.");
        return AM_EUSAGE;
    }
    if (own && w->by != AM_SCORE_VARIANCE) {
        am_fail(err, AM_EUSAGE, "features.select by %s compares with a target, but the task is %s",
                methods[w->by], am_task_name(task));
        am_hint(err, "Use variance.");
        return AM_EUSAGE;
    }
    return AM_OK;
}

static enum am_rc score_all(struct work *w, const struct am_table *t, struct am_err *err)
{
    w->score = am_calloc(w->n_scored + 1, sizeof *w->score);
    if (!w->score)
        return am_fail_nomem(err, w->n_scored * sizeof *w->score);
    if (w->by >= AM_N_COLUMN_SCORES)
        return am_select_by_model(w->p, t, (enum am_select_model)(w->by - AM_N_COLUMN_SCORES),
                                  w->scored, w->n_scored, w->score, err);
    AM_TRY(columns_new(w, t->ops->n_rows(t->impl), err));
    AM_TRY(read_rows(w, t, err));
    if (w->n >= 2)
        return filter(w, err);
    am_fail(err, AM_EINVAL, "features.select needs two training rows, there are %zu", w->n);
    am_hint(err, "Give more rows, or leave features.select out.");
    return AM_EINVAL;
}

enum am_rc am_select_check(const struct am_prepared *p, struct am_err *err)
{
    struct work w;
    return asked(p, &w) ? check(&w, err) : AM_OK;
}

enum am_rc am_select_columns(const struct am_prepared *p, const struct am_table *t,
                             struct am_selection *out, struct am_err *err)
{
    struct work w;
    enum am_rc rc;
    *out = (struct am_selection){0};
    if (!asked(p, &w))
        return AM_OK;
    AM_TRY(check(&w, err));
    w.scored = am_alloc_array(p->n_columns + 1, sizeof *w.scored);
    if (!w.scored)
        return am_fail_nomem(err, p->n_columns * sizeof *w.scored);
    for (size_t i = 0; i < p->n_columns; i++)
        if (can_score(p->schema->columns[p->columns[i]].type))
            w.scored[w.n_scored++] = p->columns[i];
    rc = score_all(&w, t, err);
    if (rc == AM_OK)
        rc = finish(&w, out, err);
    out->by = rc == AM_OK ? methods[w.by] : NULL;
    work_clear(&w);
    return rc;
}

struct am_node *am_selection_to_node(const struct am_prepared *p, const struct am_selection *s,
                                     struct am_arena *a)
{
    if (!s->by)
        return NULL;
    struct am_node *m = am_new_map(a), *list = am_new_list(a);
    for (size_t i = 0; i < s->n; i++) {
        struct am_node *c = am_new_map(a);
        am_node_set(a, c, "column", am_new_str(a, p->schema->columns[s->each[i].column].name));
        am_node_set(a, c, "score",
                    isnan(s->each[i].score) ? am_new_null(a) : am_new_f64(a, s->each[i].score));
        am_node_set(a, c, "kept", am_new_bool(a, s->each[i].kept));
        am_node_push(a, list, c);
    }
    am_node_set(a, m, "by", am_new_cstr(a, s->by));
    am_node_set(a, m, "n_kept", am_new_i64(a, (int64_t)s->n_kept));
    am_node_set(a, m, "columns", list);
    return m;
}
