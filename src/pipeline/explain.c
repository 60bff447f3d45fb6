/* Explains one prediction by leaving parts of its row out, and by looking into the network; see
 * explain.h. An effect is the probability of the explained class (a regression: the value) of the
 * row as it is, less that of the row without the part. */
#include "pipeline/explain.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/num.h"
#include "eval/report.h"
#include "feature/features.h"
#include "feature/target.h"
#include "feature/tokens.h"
#include "pipeline/inputs.h"
#include "pipeline/look.h"
#include "pipeline/open_model.h"

#define CLASSES 10   /* that are told */
#define COLUMNS 1000 /* that are left out, one after the other */
#define WORDS 400    /* parts of a text; longer ones are taken in groups of words */
#define VALUE_BYTES 80
#define PICTURE_SIDE 448

struct explaining {
    const struct am_explain_options *o;
    struct am_model *m;
    const struct am_model_info *info;
    struct am_arena *a;
    struct am_predictor *p;      /* owned */
    struct am_prediction answer; /* owned; of the row as it is */
    struct am_prediction other;  /* owned; of a row without a part */
    struct am_column *columns;   /* owned, [inputs]: the row with one cell exchanged */
    const struct am_batch *row;
    size_t cls;
    double whole;
};

static bool has_classes(const struct explaining *e)
{
    return e->info->n_classes > 0;
}

static double watched(const struct explaining *e, const struct am_prediction *p)
{
    return has_classes(e) ? (double)p->probability[e->cls] : p->value[0];
}

/* ---- the answer ---- */

static enum am_rc choose_class(struct explaining *e, struct am_err *err)
{
    const char *name = e->o->class_name, *near, *names[64];
    size_t n = e->info->n_classes;
    for (size_t k = 1, best = 0; e->info->task == AM_TASK_MULTILABEL && k <= n; k++) {
        e->answer.label[0] = (int32_t)best; /* of several labels the most probable */
        best = k < n && e->answer.probability[k] > e->answer.probability[best] ? k : best;
    }
    if (!name || !has_classes(e)) {
        e->cls = has_classes(e) ? (size_t)e->answer.label[0] : 0;
        if (!name)
            return AM_OK;
        am_fail(err, AM_EUSAGE, "model \"%.*s\" has no classes", AM_FMT(e->info->name));
        am_hint(err, "Leave the class out.");
        return AM_EUSAGE;
    }
    for (e->cls = 0; e->cls < n; e->cls++)
        if (am_str_is(e->info->classes[e->cls], name))
            return AM_OK;
    for (size_t i = 0; i < n && i < 64; i++)
        names[i] = am_arena_str(e->a, e->info->classes[i]).ptr;
    near = am_str_nearest(am_str(name), names, n < 64 ? n : 64);
    am_fail(err, AM_EUSAGE, "model \"%.*s\" has no class \"%s\"", AM_FMT(e->info->name), name);
    if (near)
        am_hint(err, "Did you mean \"%s\"?", near);
    else
        am_hint(err, "`aimass model show %.*s` lists the classes.", AM_FMT(e->info->name));
    return AM_EUSAGE;
}

static struct am_node *label(const struct explaining *e, size_t i)
{
    return am_target_label_node(am_model_target(e->m), i, e->a);
}

static void tell_answer(struct explaining *e, struct am_node *out)
{
    struct am_node *p = am_new_map(e->a), *list = am_new_list(e->a);
    const float *prob = e->answer.probability;
    if (!has_classes(e)) {
        am_node_set(e->a, p, "value", am_new_f64(e->a, e->answer.value[0]));
        am_node_set(e->a, out, "prediction", p);
        return;
    }
    size_t first = (size_t)e->answer.label[0];
    am_node_set(e->a, p, "label", label(e, first));
    am_node_set(e->a, p, "probability", am_new_f64(e->a, (double)prob[first]));
    am_node_set(e->a, out, "prediction", p);
    am_node_set(e->a, out, "explained", label(e, e->cls));
    for (size_t k = 0; k < CLASSES && k < e->info->n_classes; k++) {
        size_t best = SIZE_MAX; /* the k-th of the most probable; ties: the first */
        for (size_t i = 0; i < e->info->n_classes; i++) {
            size_t before = 0;
            for (size_t j = 0; j < e->info->n_classes; j++)
                before += prob[j] > prob[i] || (j < i && !(prob[j] < prob[i]));
            if (before == k)
                best = i;
        }
        if (best == SIZE_MAX)
            break;
        struct am_node *m = am_new_map(e->a);
        am_node_set(e->a, m, "label", label(e, best));
        am_node_set(e->a, m, "probability", am_new_f64(e->a, (double)prob[best]));
        am_node_push(e->a, list, m);
    }
    am_node_set(e->a, out, "classes", list);
}

/* ---- leaving out ---- */

/* What is lost when input k has that cell. */
static enum am_rc effect_of(struct explaining *e, size_t k, const struct am_column *cell,
                            double *out, struct am_err *err)
{
    const struct am_batch b = {.n_rows = 1, .n_columns = e->row->n_columns, .columns = e->columns};
    memcpy(e->columns, e->row->columns, e->row->n_columns * sizeof *e->columns);
    e->columns[k] = *cell;
    AM_TRY(am_model_predict(e->p, &b, &e->other, err));
    *out = e->whole - watched(e, &e->other);
    return AM_OK;
}

static struct am_str shown_value(const struct explaining *e, const struct am_column *c)
{
    char text[AM_DOUBLE_CHARS + 24];
    if (am_cell_missing(c, 0))
        return am_arena_str(e->a, am_str(am_tr("(missing)")));
    switch (c->type) {
    case AM_COL_NUMBER:
    case AM_COL_BOOLEAN:
        return am_arena_str(e->a, (struct am_str){text, am_print_double(c->number[0], text)});
    case AM_COL_DATE:
        am_time_iso(c->date[0], text);
        return am_arena_str(e->a, am_str(text));
    case AM_COL_CATEGORY:
    case AM_COL_TEXT: {
        size_t n = 0;
        while (n < c->text[0].len && n < VALUE_BYTES) {
            size_t step = am_utf8_char(c->text[0].ptr + n, c->text[0].len - n);
            n += step ? step : 1;
        }
        return am_arena_str(e->a, (struct am_str){c->text[0].ptr, n});
    }
    default:
        return am_arena_str(e->a, am_str(am_tr(am_col_type_name(c->type))));
    }
}

static int by_effect(const void *a, const void *b)
{
    const struct am_node *const *x = a, *const *y = b;
    double p = fabs(am_node_f64(*x, "effect", 0)), q = fabs(am_node_f64(*y, "effect", 0));
    int64_t i = am_node_i64(*x, "input", 0), j = am_node_i64(*y, "input", 0);
    return p > q ? -1 : p < q ? 1 : (i > j) - (i < j);
}

/* Each column as if it were missing; the strongest first. */
static enum am_rc tell_columns(struct explaining *e, struct am_node *out, struct am_err *err)
{
    static const struct am_str no_text = {NULL, 0};
    static const double no_number = NAN;
    static const int64_t no_date = AM_DATE_MISSING;
    struct am_node *list = am_new_list(e->a);
    for (size_t k = 0; k < e->row->n_columns && k < COLUMNS; k++) {
        struct am_column none = {.type = e->row->columns[k].type};
        double effect;
        if (none.type == AM_COL_NUMBER || none.type == AM_COL_BOOLEAN)
            none.number = &no_number;
        else if (none.type == AM_COL_DATE)
            none.date = &no_date;
        else
            none.text = &no_text;
        AM_TRY(effect_of(e, k, &none, &effect, err));
        struct am_node *m = am_new_map(e->a);
        am_node_set(e->a, m, "column", am_new_str(e->a, e->info->inputs->columns[k].name));
        am_node_set(e->a, m, "input", am_new_i64(e->a, (int64_t)k));
        am_node_set(e->a, m, "value", am_new_str(e->a, shown_value(e, &e->row->columns[k])));
        am_node_set(e->a, m, "effect", am_new_f64(e->a, effect));
        am_node_push(e->a, list, m);
    }
    AM_TRY(am_arena_check(e->a, err));
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers */
    qsort(list->list.items, list->list.n, sizeof *list->list.items, by_effect);
    am_node_set(e->a, out, "columns", list);
    return am_arena_check(e->a, err);
}

/* ---- words ---- */

static size_t count_words(struct am_str text)
{
    struct am_token_scan s;
    size_t n = 0;
    am_token_scan_init(&s, text, AM_TOKEN_WORDS, false);
    while (am_token_next(&s))
        n++;
    return n;
}

/* Where each word ends; what stands before it belongs to it. */
static void word_ends(struct am_str text, size_t *ends, size_t n)
{
    struct am_token_scan s;
    am_token_scan_init(&s, text, AM_TOKEN_WORDS, false);
    for (size_t i = 0; i < n && am_token_next(&s); i++)
        ends[i] = (size_t)(s.p - text.ptr);
}

static enum am_rc words_of(struct explaining *e, size_t k, struct am_node *list, struct am_err *err)
{
    const struct am_str text = e->row->columns[k].text[0];
    size_t n = count_words(text), *ends = am_alloc_array(n + 1, sizeof *ends);
    char *without = am_alloc_array(text.len + 1, 1);
    size_t group = n / WORDS + 1;
    enum am_rc rc = ends && without ? AM_OK : am_fail_nomem(err, text.len + n * sizeof *ends);
    if (rc == AM_OK)
        word_ends(text, ends, n);
    for (size_t i = 0, from = 0; rc == AM_OK && i < n; i += group) {
        const size_t last = i + group < n ? i + group : n;
        const size_t to = last == n ? text.len : ends[last - 1];
        const struct am_str cell = {without, text.len - (to - from)};
        const struct am_column c = {.type = AM_COL_TEXT, .text = &cell};
        double effect;
        memcpy(without, text.ptr, from);
        memcpy(without + from, text.ptr + to, text.len - to);
        rc = effect_of(e, k, &c, &effect, err);
        if (rc != AM_OK)
            break;
        struct am_node *m = am_new_map(e->a);
        am_node_set(e->a, m, "text", am_new_str(e->a, (struct am_str){text.ptr + from, to - from}));
        am_node_set(e->a, m, "effect", am_new_f64(e->a, effect));
        am_node_push(e->a, list, m);
        from = to;
    }
    am_free(ends);
    am_free(without);
    return rc;
}

static enum am_rc tell_words(struct explaining *e, struct am_node *out, struct am_err *err)
{
    struct am_node *all = am_new_list(e->a);
    for (size_t k = 0; k < e->row->n_columns; k++) {
        const struct am_column *c = &e->row->columns[k];
        if (c->type != AM_COL_TEXT || am_cell_missing(c, 0) || c->text[0].len == 0)
            continue;
        struct am_node *m = am_new_map(e->a), *list = am_new_list(e->a);
        am_node_set(e->a, m, "column", am_new_str(e->a, e->info->inputs->columns[k].name));
        AM_TRY(words_of(e, k, list, err));
        am_node_set(e->a, m, "words", list);
        am_node_push(e->a, all, m);
    }
    if (all && all->list.n)
        am_node_set(e->a, out, "words", all);
    return am_arena_check(e->a, err);
}

/* ---- pictures and sounds ---- */

static enum am_rc look(struct explaining *e, const struct am_dims *shape, struct am_node *out,
                       struct am_err *err)
{
    const struct am_features *f = am_model_features(e->m);
    float *x = am_alloc_array(am_features_width(f) + 1, sizeof *x);
    struct am_look l = {.graph = am_model_graph(e->m),
                        .params = am_model_params(e->m),
                        .pool = e->o->pool,
                        .arena = e->a,
                        .shape = *shape,
                        .x = x,
                        .cls = e->cls,
                        .classes = has_classes(e),
                        .max_side = PICTURE_SIDE};
    struct am_node *n;
    enum am_rc rc;
    if (!x)
        return am_fail_nomem(err, am_features_width(f) * sizeof *x);
    AM_GO(rc, am_features_apply(f, e->row, x, err));
    if (shape->rank == 4) {
        AM_GO(rc, am_look_frames(&l, &n, err));
        am_node_set(e->a, out, "frames", n);
        goto out;
    }
    AM_GO(rc, am_look_input(&l, &n, err));
    am_node_set(e->a, out, "input", n);
    AM_GO(rc, am_look_saliency(&l, &n, err));
    am_node_set(e->a, out, "saliency", n);
    AM_GO(rc, am_look_filters(&l, &n, err));
    if (n->list.n)
        am_node_set(e->a, out, "filters", n);
    AM_GO(rc, am_look_activations(&l, &n, err));
    if (n->list.n)
        am_node_set(e->a, out, "activations", n);
out:
    am_free(x);
    return rc;
}

static enum am_rc explain(struct explaining *e, struct am_node *out, struct am_err *err)
{
    size_t n_tokens;
    const struct am_dims shape = am_features_shape(am_model_features(e->m), &n_tokens);
    const enum am_col_type first = e->row->columns[0].type;
    const bool media = e->row->n_columns == 1 && am_col_is_media(first);
    AM_TRY(am_predictor_new(e->m, e->o->pool, &e->p, err));
    AM_TRY(am_model_predict(e->p, e->row, &e->answer, err));
    AM_TRY(choose_class(e, err));
    e->whole = watched(e, &e->answer);
    const char *kind = media                                            ? am_col_type_name(first)
                       : e->row->n_columns == 1 && first == AM_COL_TEXT ? "text"
                                                                        : "table";
    am_node_set(e->a, out, "kind", am_new_cstr(e->a, kind));
    tell_answer(e, out);
    const struct am_graph *g = am_model_graph(e->m);
    const size_t n_out = am_dims_cols(&am_graph_node(g, am_graph_find_output(g, "y"))->dims);
    if (media && am_model_params(e->m) && (has_classes(e) || n_out == 1) &&
        (shape.rank == 4 || am_look_drawable(&shape, n_tokens)))
        AM_TRY(look(e, &shape, out, err));
    AM_TRY(tell_words(e, out, err));
    if (e->row->n_columns > 1)
        AM_TRY(tell_columns(e, out, err));
    return am_arena_check(e->a, err);
}

enum am_rc am_explain_row(struct am_model *m, const struct am_batch *row,
                          const struct am_explain_options *o, struct am_arena *a,
                          struct am_node **out, struct am_err *err)
{
    struct explaining e = {.o = o, .m = m, .info = am_model_info(m), .a = a, .row = row};
    enum am_rc rc;
    *out = am_new_map(a);
    if (row->n_rows != 1)
        return am_fail(err, AM_EINVAL, "%zu rows given, one is explained at a time", row->n_rows);
    e.columns = am_alloc_array(row->n_columns + 1, sizeof *e.columns);
    rc =
        e.columns ? explain(&e, *out, err) : am_fail_nomem(err, row->n_columns * sizeof *e.columns);
    am_predictor_free(e.p);
    am_prediction_clear(&e.answer);
    am_prediction_clear(&e.other);
    am_free(e.columns);
    return rc;
}

/* ---- from a file ---- */

/* Row `want` (from 0) as a batch of one; *n gets how many rows there were when it is beyond. */
static enum am_rc find_row(struct am_table_iter *it, const struct am_table *t, uint64_t want,
                           const struct am_batch **out, uint64_t *n, struct am_err *err)
{
    *n = 0;
    for (;;) {
        AM_TRY(t->ops->next(it, out, err));
        if (!*out || want - *n < (*out)->n_rows)
            return AM_OK;
        *n += (*out)->n_rows;
    }
}

/* One row of a batch; columns [n] in the arena, cells borrowed from the batch. */
static struct am_batch one_row(const struct am_batch *b, size_t at, size_t n,
                               struct am_column *columns)
{
    for (size_t k = 0; k < n; k++) {
        columns[k].type = b->columns[k].type;
        if (columns[k].type == AM_COL_NUMBER || columns[k].type == AM_COL_BOOLEAN)
            columns[k].number = b->columns[k].number + at;
        else if (columns[k].type == AM_COL_DATE)
            columns[k].date = b->columns[k].date + at;
        else
            columns[k].text = b->columns[k].text + at;
    }
    return (struct am_batch){
        .n_rows = 1, .n_columns = n, .columns = columns, .first_row = b->first_row + at};
}

static enum am_rc no_such_row(const struct am_inputs *in, uint64_t row, uint64_t n,
                              struct am_arena *a, struct am_err *err)
{
    struct am_node *files = in->media ? am_source_media_to_node(in->src, a) : NULL;
    if (n == 0 && am_node_i64(files, "n_bad", 0) > 0)
        return am_inputs_first_bad(files, err);
    am_fail(err, AM_EUSAGE, "row %llu was asked for, there are %llu rows",
            (unsigned long long)row + 1, (unsigned long long)n);
    am_hint(err, "Rows are counted from 1.");
    return AM_EUSAGE;
}

static enum am_rc explain_inputs(struct am_pipeline *pl, struct am_arena *a,
                                 const struct am_pipeline_explain_job *job, struct am_model *m,
                                 struct am_inputs *in, struct am_node **out, struct am_err *err)
{
    const struct am_explain_options o = {.class_name = job->class_name, .pool = pl->pool};
    const size_t n_in = am_model_info(m)->inputs->n;
    const struct am_schema *s = in->table.ops->schema(in->table.impl);
    struct am_column *columns = am_arena_array(a, n_in + 1, sizeof *columns);
    struct am_table_iter *it = NULL;
    const struct am_batch *b;
    const uint64_t want = job->row ? job->row - 1 : 0;
    uint64_t before;
    enum am_rc rc;
    AM_TRY(am_arena_check(a, err));
    AM_GO(rc, in->table.ops->open(in->table.impl, NULL, 0, &it, err));
    AM_GO(rc, find_row(it, &in->table, want, &b, &before, err));
    if (!b)
        AM_GO(rc, no_such_row(in, want, before, a, err));
    const size_t at = (size_t)(want - before);
    const struct am_batch row = one_row(b, at, n_in, columns);
    AM_GO(rc, am_check_inputs(m, &row, err));
    AM_GO(rc, am_explain_row(m, &row, &o, a, out, err));
    am_node_set(a, *out, "row", am_new_i64(a, (int64_t)want + 1));
    for (size_t k = n_in; in->media && k < s->n; k++)
        if (am_str_is(s->columns[k].name, "file") && b->columns[k].text[at].ptr)
            am_node_set(a, *out, "file", am_new_str(a, b->columns[k].text[at]));
out:
    in->table.ops->close(it);
    return rc;
}

static enum am_rc write_page(const char *path, struct am_node *e, struct am_arena *a,
                             struct am_err *err)
{
    struct am_buf page;
    am_buf_init(&page, (size_t)1 << 28);
    am_explanation_html(e, &page);
    enum am_rc rc = am_buf_check(&page, err);
    if (rc == AM_OK)
        rc = am_fs_write_file(path, page.ptr, page.len, err);
    am_buf_clear(&page);
    am_node_set(a, e, "page", am_new_cstr(a, path));
    return rc;
}

enum am_rc am_pipeline_explain(struct am_pipeline *pl, struct am_arena *a,
                               const struct am_pipeline_explain_job *job, struct am_node **out,
                               struct am_err *err)
{
    struct am_opened m = {0};
    struct am_inputs in = {.src = NULL};
    enum am_rc rc;
    AM_TRY(am_open_model(pl, a, job->model, AM_MODEL_KEEP_WEIGHTS, &m, err));
    const struct am_str bytes = am_str_trim(job->bytes);
    const struct am_inputs_wanted wanted = {.info = am_model_info(m.model),
                                            .sources = &job->source,
                                            .n_sources = job->source ? 1 : 0,
                                            .bytes = job->bytes,
                                            .json = bytes.len &&
                                                    (bytes.ptr[0] == '[' || bytes.ptr[0] == '{')};
    AM_GO(rc, am_inputs_open(pl, a, &wanted, &in, err));
    AM_GO(rc, explain_inputs(pl, a, job, m.model, &in, out, err));
    am_node_set(a, *out, "model", am_new_str(a, m.name));
    am_node_set(a, *out, "version", m.version ? am_new_i64(a, m.version) : am_new_null(a));
    am_node_set(a, *out, "title", am_new_str(a, m.name));
    if (job->page)
        AM_GO(rc, write_page(job->page, *out, a, err));
    rc = am_arena_check(a, err);
out:
    if (rc != AM_OK)
        am_inputs_name(&in, err);
    am_inputs_close(&in);
    am_model_put(m.model);
    return rc;
}
