/* sample.json: a few synthetic rows and what the model answered when it was packaged.
 *
 *   {"profile": "...", "rows": [[cell, ..], ..], "expected": [[y, ..], ..]}
 *
 * Cells in order of the inputs: number, boolean as 0 or 1, text, date as microseconds since 1970,
 * a picture, sound or video as base64 of its raw form (tensor/media.h; no decoder is needed to
 * load), null = missing. y is the graph's raw output. Rows come from fitted statistics, never from
 * a person. Any thread. */
#include <math.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "model/model_int.h"
#include "tensor/kernels.h"

#define SAMPLE_ROWS_MAX 64

static struct am_node *bytes_node(struct am_str bytes, struct am_arena *a)
{
    size_t n = am_base64_chars(bytes.len);
    char *text = am_arena_array(a, n ? n : 1, 1);
    if (!text) /* the arena remembers */
        return NULL;
    am_base64_write(bytes.ptr, bytes.len, text);
    return am_new_str(a, (struct am_str){text, n});
}

static struct am_node *cell_node(const struct am_column *c, size_t row, struct am_arena *a)
{
    if (am_cell_missing(c, row))
        return am_new_null(a);
    switch (c->type) {
    case AM_COL_CATEGORY:
    case AM_COL_TEXT:
        return am_new_str(a, c->text[row]);
    case AM_COL_IMAGE:
    case AM_COL_AUDIO:
    case AM_COL_VIDEO:
        return bytes_node(c->text[row], a);
    case AM_COL_DATE:
        return am_new_i64(a, c->date[row]);
    default:
        return am_new_f64(a, c->number[row]);
    }
}

struct am_node *am_model_sample_to_node(const struct am_batch *batch, const float *expected,
                                        size_t n_outputs, const char *profile, struct am_arena *a)
{
    struct am_node *root = am_new_map(a), *rows = am_new_list(a), *ys = am_new_list(a);
    for (size_t i = 0; i < batch->n_rows; i++) {
        struct am_node *row = am_new_list(a), *y = am_new_list(a);
        for (size_t j = 0; j < batch->n_columns; j++)
            am_node_push(a, row, cell_node(&batch->columns[j], i, a));
        for (size_t j = 0; j < n_outputs; j++)
            am_node_push(a, y, am_new_f64(a, expected[i * n_outputs + j]));
        am_node_push(a, rows, row);
        am_node_push(a, ys, y);
    }
    am_node_set(a, root, "profile", am_new_cstr(a, profile));
    am_node_set(a, root, "rows", rows);
    am_node_set(a, root, "expected", ys);
    return root;
}

/* Room for n rows of one column; the union's pointers are const, so cells are written through it
 * here. */
struct cells {
    double *number;
    struct am_str *text;
    int64_t *date;
};

static struct cells cells_new(enum am_col_type type, size_t n, struct am_arena *a,
                              struct am_column *out)
{
    struct cells c = {NULL, NULL, NULL};
    out->type = type;
    if (am_col_is_string(type))
        out->text = c.text = am_arena_array(a, n, sizeof *c.text);
    else if (type == AM_COL_DATE)
        out->date = c.date = am_arena_array(a, n, sizeof *c.date);
    else
        out->number = c.number = am_arena_array(a, n, sizeof *c.number);
    return c;
}

static bool bytes_read(const struct am_node *v, struct am_arena *a, struct am_str *out)
{
    struct am_str text;
    if (v->kind == AM_NODE_NULL)
        return true;
    if (!am_node_as_str(v, &text))
        return false;
    char *to = am_arena_array(a, am_base64_bytes(text.len) + 1, 1);
    if (!to) /* the arena remembers */
        return true;
    out->ptr = to;
    return am_base64_decode(text, AM_BASE64_STANDARD, to, &out->len);
}

static bool cell_read(const struct am_node *v, struct cells *c, size_t row, enum am_col_type type,
                      struct am_arena *a)
{
    bool missing = v->kind == AM_NODE_NULL;
    if (c->text) {
        c->text[row] = (struct am_str){NULL, 0};
        if (am_col_is_media(type))
            return bytes_read(v, a, &c->text[row]);
        return missing || am_node_as_str(v, &c->text[row]);
    }
    if (c->date) {
        c->date[row] = AM_DATE_MISSING;
        return missing || am_node_as_i64(v, &c->date[row]);
    }
    c->number[row] = (double)NAN;
    return missing || am_node_as_f64(v, &c->number[row]);
}

static bool is_list_of(const struct am_node *n, size_t len)
{
    return n && n->kind == AM_NODE_LIST && n->list.n == len;
}

static enum am_rc read_rows(const struct am_node *rows, const struct am_schema *s,
                            struct am_arena *a, struct am_batch *batch, struct am_err *err)
{
    size_t n = rows->list.n;
    struct am_column *columns = am_arena_array(a, s->n ? s->n : 1, sizeof *columns);
    AM_TRY(am_arena_check(a, err));
    for (size_t i = 0; i < n; i++)
        if (!is_list_of(rows->list.items[i], s->n))
            return am_fail(err, AM_ECORRUPT, "sample.json: row %zu has not %zu cells", i, s->n);
    for (size_t j = 0; j < s->n; j++) {
        struct cells c = cells_new(s->columns[j].type, n, a, &columns[j]);
        AM_TRY(am_arena_check(a, err));
        for (size_t i = 0; i < n; i++)
            if (!cell_read(rows->list.items[i]->list.items[j], &c, i, s->columns[j].type, a))
                return am_fail(err, AM_ECORRUPT, "sample.json: row %zu, column \"%.*s\" is no %s",
                               i, AM_FMT(s->columns[j].name), am_col_type_name(s->columns[j].type));
    }
    AM_TRY(am_arena_check(a, err));
    *batch = (struct am_batch){.n_rows = n, .n_columns = s->n, .columns = columns};
    return AM_OK;
}

enum am_rc am_model_sample_from_node(const struct am_node *n, const struct am_features *f,
                                     size_t n_outputs, struct am_arena *a, struct am_batch *batch,
                                     const float **expected, struct am_err *err)
{
    const struct am_node *rows = am_node_get(n, "rows"), *ys = am_node_get(n, "expected");
    float *y;
    if (!rows || rows->kind != AM_NODE_LIST || rows->list.n == 0 || rows->list.n > SAMPLE_ROWS_MAX)
        return am_fail(err, AM_ECORRUPT, "sample.json: not 1 to %d rows", SAMPLE_ROWS_MAX);
    if (!is_list_of(ys, rows->list.n))
        return am_fail(err, AM_ECORRUPT, "sample.json: not as many answers as rows");
    AM_TRY(read_rows(rows, am_features_schema(f), a, batch, err));
    y = am_arena_array(a, rows->list.n, n_outputs * sizeof *y);
    AM_TRY(am_arena_check(a, err));
    for (size_t i = 0; i < rows->list.n; i++) {
        const struct am_node *row = ys->list.items[i];
        for (size_t j = 0; j < n_outputs; j++) {
            double v;
            if (!is_list_of(row, n_outputs) || !am_node_as_f64(row->list.items[j], &v))
                return am_fail(err, AM_ECORRUPT, "sample.json: answer %zu is not %zu numbers", i,
                               n_outputs);
            y[i * n_outputs + j] = (float)v;
        }
    }
    *expected = y;
    return AM_OK;
}

enum am_rc am_sample_check(struct am_model *m, const char *profile, struct am_err *err)
{
    struct am_predictor *p = NULL;
    size_t n = m->sample.n_rows * m->n_y;
    float *y = am_alloc_array(m->sample.n_rows + 1, m->n_outputs * sizeof *y);
    double unit = m->info.task == AM_TASK_REGRESSION ? am_target_deviation(m->target) : 1,
           tolerance;
    enum am_rc rc;
    if (!y)
        return am_fail_nomem(err, n * sizeof *y);
    m->info.same_profile = strcmp(profile, am_numerics_profile()) == 0 && !am_plan_library(m->one);
    tolerance = m->info.same_profile ? AM_MODEL_TOLERANCE_SAME : AM_MODEL_TOLERANCE_OTHER;
    AM_GO(rc, am_predictor_make(m, NULL, &p, err));
    AM_GO(rc, am_predict_raw(p, &m->sample, y, err));
    for (size_t i = 0; i < n; i++) {
        double want = m->expected[i], bound = tolerance * fmax(fabs(want), unit);
        double got = (double)y[i / m->n_y * m->n_outputs + i % m->n_y];
        if (!(fabs(got - want) <= bound)) {
            rc = am_fail(err, AM_ECORRUPT,
                         "the stored sample does not come out: row %zu gives %.9g, %.9g was stored",
                         i / m->n_y, got, want);
            am_hint(err,
                    "The package or this program's kernels are faulty (profile then: %s, now: %s).",
                    profile, am_numerics_profile());
            goto out;
        }
    }
out:
    am_predictor_free(p);
    am_free(y);
    return rc;
}
