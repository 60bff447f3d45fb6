/* Predicting: a batch of columns through features and session into probabilities, labels or values.
 *
 * A predictor holds the sessions and buffers of one thread. The session for many rows is made at
 * its first use; after that nothing is allocated. Batches are cut into runs of the model's bucket;
 * a row's bits depend on the row only. One thread at a time a predictor. */
#include <math.h>

#include "base/alloc.h"
#include "model/model_int.h"

struct am_predictor {
    const struct am_model *model;
    struct am_model *held; /* our reference; NULL while the model is loaded */
    struct am_pool *pool;  /* borrowed */
    struct am_session *one, *many;
    float *x;                  /* owned, [rows, width]; NULL when rows are sparse: */
    struct am_csr_buf sparse;  /* owned */
    float *y;                  /* owned, [rows, n_outputs] */
    size_t rows;               /* that x and y hold: 1 or bucket_rows */
    struct am_column *columns; /* owned, [n_inputs]: a window into the caller's batch */
};

/* ---- life ---- */

static enum am_rc buffers(struct am_predictor *p, size_t rows, struct am_err *err)
{
    size_t n_x, n_y;
    float *x, *y;
    if (rows <= p->rows)
        return AM_OK;
    if (!am_mul_size(&n_x, rows * sizeof(float), p->model->sparse ? 1 : p->model->width) ||
        !am_mul_size(&n_y, rows * sizeof(float), p->model->n_outputs))
        return am_fail(err, AM_ELIMIT, "a run of %zu rows does not fit the address space", rows);
    x = am_alloc_aligned(64, n_x ? n_x : 1);
    y = am_alloc_aligned(64, n_y ? n_y : 1);
    if (!x || !y) {
        am_free(x);
        am_free(y);
        return am_fail_nomem(err, n_x + n_y);
    }
    am_free(p->x);
    am_free(p->y);
    p->x = x;
    p->y = y;
    p->rows = rows;
    return AM_OK;
}

enum am_rc am_predictor_make(const struct am_model *m, struct am_pool *pool,
                             struct am_predictor **out, struct am_err *err)
{
    struct am_predictor *p = am_calloc(1, sizeof *p);
    size_t n = m->info.inputs->n;
    enum am_rc rc;
    if (!p)
        return am_fail_nomem(err, sizeof *p);
    p->model = m;
    p->pool = pool;
    p->columns = am_calloc(n ? n : 1, sizeof *p->columns);
    if (!p->columns) {
        rc = am_fail_nomem(err, n * sizeof *p->columns);
        goto out;
    }
    AM_GO(rc, am_session_new(m->one, pool, &p->one, err));
    rc = buffers(p, 1, err);
out:
    if (rc != AM_OK) {
        am_predictor_free(p);
        return rc;
    }
    *out = p;
    return AM_OK;
}

enum am_rc am_predictor_new(struct am_model *m, struct am_pool *pool, struct am_predictor **out,
                            struct am_err *err)
{
    AM_TRY(am_predictor_make(m, pool, out, err));
    (*out)->held = am_model_get(m);
    return AM_OK;
}

void am_predictor_free(struct am_predictor *p)
{
    if (!p)
        return;
    am_session_free(p->one);
    am_session_free(p->many);
    am_free(p->x);
    am_csr_clear(&p->sparse);
    am_free(p->y);
    am_free(p->columns);
    am_model_put(p->held);
    am_free(p);
}

/* ---- one run: p->x is filled, n rows ---- */

static enum am_rc run(struct am_predictor *p, size_t n, float *y, struct am_err *err)
{
    if (p->model->sparse) {
        const struct am_csr x = am_csr_of(&p->sparse);
        return am_session_run_sparse(n == 1 ? p->one : p->many, &x, y, err);
    }
    return am_session_run(n == 1 ? p->one : p->many, n, p->x, y, err);
}

static enum am_rc prepare(struct am_predictor *p, size_t n_rows, struct am_err *err)
{
    if (n_rows <= 1)
        return AM_OK;
    if (!p->many && p->model->bucket_rows > 1)
        AM_TRY(am_session_new(p->model->many, p->pool, &p->many, err));
    return buffers(p, p->model->bucket_rows, err);
}

static enum am_rc check_batch(const struct am_model *m, const struct am_batch *b,
                              struct am_err *err)
{
    const struct am_schema *s = m->info.inputs;
    if (b->n_columns != s->n)
        return am_fail(err, AM_EINVAL, "%zu columns given, model \"%.*s\" needs %zu", b->n_columns,
                       AM_FMT(m->info.name), s->n);
    for (size_t i = 0; i < s->n; i++)
        if (b->columns[i].type != s->columns[i].type)
            return am_fail(err, AM_EINVAL,
                           "column \"%.*s\" is given as %s, model \"%.*s\" needs %s",
                           AM_FMT(s->columns[i].name), am_col_type_name(b->columns[i].type),
                           AM_FMT(m->info.name), am_col_type_name(s->columns[i].type));
    return AM_OK;
}

static enum am_rc make_features(struct am_predictor *p, const struct am_batch *b,
                                struct am_err *err)
{
    if (!p->model->sparse)
        return am_features_apply(p->model->features, b, p->x, err);
    am_csr_reset(&p->sparse, p->model->width);
    return am_features_apply_sparse(p->model->features, b, &p->sparse, err);
}

/* The features of rows [at, at + n) into p->x, or p->sparse. */
static enum am_rc fill_window(struct am_predictor *p, const struct am_batch *b, size_t at, size_t n,
                              struct am_err *err)
{
    struct am_batch w = {.n_rows = n, .n_columns = b->n_columns, .columns = p->columns};
    if (at == 0 && n == b->n_rows)
        return make_features(p, b, err);
    w.first_row = b->first_row + at;
    for (size_t i = 0; i < b->n_columns; i++) {
        p->columns[i].type = b->columns[i].type;
        switch (b->columns[i].type) {
        case AM_COL_CATEGORY:
        case AM_COL_TEXT:
        case AM_COL_IMAGE:
        case AM_COL_AUDIO:
        case AM_COL_VIDEO:
            p->columns[i].text = b->columns[i].text + at;
            break;
        case AM_COL_DATE:
            p->columns[i].date = b->columns[i].date + at;
            break;
        default:
            p->columns[i].number = b->columns[i].number + at;
        }
    }
    return make_features(p, &w, err);
}

/* ---- from y to answers ---- */

static enum am_rc not_finite(const struct am_model *m, uint64_t row, struct am_err *err)
{
    am_fail(err, AM_EINVAL, "row %llu: the output of model \"%.*s\" is no %s",
            (unsigned long long)row, AM_FMT(m->info.name),
            m->info.output == AM_MODEL_VALUE ? "finite number" : "probability");
    am_hint(err, "Look for values far outside of what the model was trained on.");
    return AM_EINVAL;
}

static float clamp01(float p)
{
    return p < 0 ? 0 : p > 1 ? 1 : p;
}

static enum am_rc answer_values(const struct am_model *m, const float *y, size_t n, uint64_t first,
                                const struct am_answer *out, size_t at, struct am_err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(y[i]))
            return not_finite(m, first + i, err);
        if (out->value)
            out->value[at + i] = y[i];
    }
    return AM_OK;
}

/* p of the second class in y [n, 1], or of both in [n, 2] */
static enum am_rc answer_binary(const struct am_model *m, const float *y, size_t n, uint64_t first,
                                const struct am_answer *out, size_t at, struct am_err *err)
{
    size_t stride = m->n_outputs, last = stride - 1;
    for (size_t i = 0; i < n; i++) {
        float p = y[i * stride + last];
        int32_t label;
        if (!(p >= -1e-3f && p <= 1.001f)) /* NaN, too */
            return not_finite(m, first + i, err);
        p = clamp01(p);
        label = (double)p >= m->info.threshold;
        if (out->probability) {
            out->probability[(at + i) * 2] = 1 - p;
            out->probability[(at + i) * 2 + 1] = p;
        }
        if (out->label)
            out->label[at + i] = label;
        if (out->value)
            out->value[at + i] = label ? p : 1 - p;
    }
    return AM_OK;
}

static enum am_rc answer_classes(const struct am_model *m, const float *y, size_t n, uint64_t first,
                                 const struct am_answer *out, size_t at, struct am_err *err)
{
    size_t c = m->n_outputs;
    for (size_t i = 0; i < n; i++) {
        const float *row = y + i * c;
        size_t best = 0;
        for (size_t j = 0; j < c; j++) {
            if (!(row[j] >= -1e-3f && row[j] <= 1.001f))
                return not_finite(m, first + i, err);
            if (row[j] > row[best])
                best = j;
            if (out->probability)
                out->probability[(at + i) * c + j] = clamp01(row[j]);
        }
        if (out->label)
            out->label[at + i] = (int32_t)best;
        if (out->value)
            out->value[at + i] = clamp01(row[best]);
    }
    return AM_OK;
}

/* Several labels: y [n, labels]; label is the set of those that reach the threshold. */
static enum am_rc answer_labels(const struct am_model *m, const float *y, size_t n, uint64_t first,
                                const struct am_answer *out, size_t at, struct am_err *err)
{
    const size_t c = m->n_outputs;
    for (size_t i = 0; i < n; i++) {
        const float *row = y + i * c;
        uint32_t set = 0, count = 0;
        for (size_t j = 0; j < c; j++) {
            if (!(row[j] >= -1e-3f && row[j] <= 1.001f))
                return not_finite(m, first + i, err);
            if ((double)row[j] >= m->info.threshold) {
                set |= (uint32_t)1 << j;
                count++;
            }
            if (out->probability)
                out->probability[(at + i) * c + j] = clamp01(row[j]);
        }
        if (out->label)
            out->label[at + i] = (int32_t)set;
        if (out->value)
            out->value[at + i] = (double)count;
    }
    return AM_OK;
}

/* A number that no op of ours makes is noise. */
static int32_t cluster_of(float y)
{
    return y >= 0 && y < 16777216.0f ? (int32_t)y : -1;
}

/* y is [n, 1 + n_embedding + width]: score, code, reconstruction; of clusters [n, 1 + n_embedding +
 * 1]: distance or log density, code, cluster */
static enum am_rc answer_own(const struct am_model *m, const float *y, size_t n, uint64_t first,
                             const struct am_answer *out, size_t at, struct am_err *err)
{
    size_t k = m->info.n_embedding, r = m->info.n_restored;
    for (size_t i = 0; i < n; i++) {
        const float *row = y + i * m->n_outputs;
        bool finite = true;
        for (size_t j = 0; j <= k; j++)
            finite = finite && isfinite(row[j]);
        if (!finite)
            return not_finite(m, first + i, err);
        if (out->value)
            out->value[at + i] = row[0];
        if (out->label)
            out->label[at + i] = m->info.task == AM_TASK_CLUSTERING
                                     ? cluster_of(row[1 + k])
                                     : (int32_t)((double)row[0] >= m->info.threshold);
        if (out->embedding)
            memcpy(out->embedding + (at + i) * k, row + 1, k * sizeof *row);
        if (out->restored)
            am_features_restore(m->features, row + 1 + k, out->restored + (at + i) * r);
    }
    return AM_OK;
}

static enum am_rc answer(const struct am_model *m, const float *y, size_t n, uint64_t first,
                         const struct am_answer *out, size_t at, struct am_err *err)
{
    if (am_task_is_own(m->info.task))
        return answer_own(m, y, n, first, out, at, err);
    if (m->info.task == AM_TASK_REGRESSION || m->info.task == AM_TASK_RECOMMENDATION)
        return answer_values(m, y, n, first, out, at, err);
    if (m->info.task == AM_TASK_MULTILABEL)
        return answer_labels(m, y, n, first, out, at, err);
    if (m->info.task == AM_TASK_BINARY)
        return answer_binary(m, y, n, first, out, at, err);
    return answer_classes(m, y, n, first, out, at, err);
}

/* ---- public ---- */

static size_t window(const struct am_model *m, size_t left)
{
    return left < m->bucket_rows ? left : m->bucket_rows;
}

enum am_rc am_predict_raw(struct am_predictor *p, const struct am_batch *batch, float *y,
                          struct am_err *err)
{
    AM_TRY(check_batch(p->model, batch, err));
    AM_TRY(prepare(p, batch->n_rows, err));
    for (size_t at = 0, n; at < batch->n_rows; at += n) {
        n = window(p->model, batch->n_rows - at);
        AM_TRY(fill_window(p, batch, at, n, err));
        AM_TRY(run(p, n, y + at * p->model->n_outputs, err));
    }
    return AM_OK;
}

enum am_rc am_predict(struct am_predictor *p, const struct am_batch *batch,
                      const struct am_answer *out, struct am_err *err)
{
    AM_TRY(check_batch(p->model, batch, err));
    AM_TRY(prepare(p, batch->n_rows, err));
    for (size_t at = 0, n; at < batch->n_rows; at += n) {
        n = window(p->model, batch->n_rows - at);
        AM_TRY(fill_window(p, batch, at, n, err));
        AM_TRY(run(p, n, p->y, err));
        AM_TRY(answer(p->model, p->y, n, batch->first_row + at, out, at, err));
    }
    return AM_OK;
}

enum am_rc am_predict_rows(struct am_predictor *p, const double *x, size_t n_rows,
                           const struct am_answer *out, struct am_err *err)
{
    const struct am_model *m = p->model;
    if (!m->info.all_numbers)
        return am_fail(err, AM_EINVAL,
                       "model \"%.*s\" has inputs that are no numbers: rows need named columns",
                       AM_FMT(m->info.name));
    AM_TRY(prepare(p, n_rows, err));
    for (size_t at = 0, n; at < n_rows; at += n) {
        n = window(m, n_rows - at);
        am_features_apply_rows(m->features, x + at * m->info.inputs->n, n, p->x);
        AM_TRY(run(p, n, p->y, err));
        AM_TRY(answer(m, p->y, n, at, out, at, err));
    }
    return AM_OK;
}

/* ---- answers that grow ---- */

void am_prediction_clear(struct am_prediction *p)
{
    am_free(p->probability);
    am_free(p->label);
    am_free(p->value);
    am_free(p->embedding);
    am_free(p->restored);
    *p = (struct am_prediction){0};
}

enum am_rc am_prediction_reserve(struct am_prediction *p, size_t n_rows, size_t n_classes,
                                 struct am_err *err)
{
    size_t cells;
    if (!am_mul_size(&cells, n_rows, n_classes))
        return am_fail(err, AM_ELIMIT, "%zu rows of %zu classes do not fit the address space",
                       n_rows, n_classes);
    if (n_rows > p->cap_rows) {
        int32_t *label = am_realloc_array(p->label, n_rows, sizeof *label);
        double *value;
        if (label)
            p->label = label;
        value = am_realloc_array(p->value, n_rows, sizeof *value);
        if (value)
            p->value = value;
        if (!label || !value)
            return am_fail_nomem(err, n_rows * (sizeof *label + sizeof *value));
        p->cap_rows = n_rows;
    }
    if (cells > p->cap_cells) {
        float *probability = am_realloc_array(p->probability, cells, sizeof *probability);
        if (!probability)
            return am_fail_nomem(err, cells * sizeof *probability);
        p->probability = probability;
        p->cap_cells = cells;
    }
    p->n_rows = n_rows;
    p->n_classes = n_classes;
    return AM_OK;
}

/* Room for n more numbers a row than there is, in *cells of *cap elements. */
static enum am_rc reserve_wide(void **cells, size_t *cap, size_t n_rows, size_t n, size_t size,
                               struct am_err *err)
{
    size_t count;
    if (!am_mul_size(&count, n_rows, n))
        return am_fail(err, AM_ELIMIT, "%zu rows of %zu numbers do not fit the address space",
                       n_rows, n);
    if (count <= *cap)
        return AM_OK;
    void *p = am_alloc_array(count, size);
    if (!p)
        return am_fail_nomem(err, count * size);
    am_free(*cells);
    *cells = p;
    *cap = count;
    return AM_OK;
}

enum am_rc am_prediction_wanted(struct am_prediction *p, const struct am_model_info *i,
                                size_t n_rows, struct am_err *err)
{
    void *cells = p->embedding;
    enum am_rc rc = AM_OK;
    p->wanted &=
        (i->n_embedding ? AM_WANT_EMBEDDING : 0u) | (i->n_restored ? AM_WANT_RESTORED : 0u);
    if (p->wanted & AM_WANT_EMBEDDING)
        rc = reserve_wide(&cells, &p->cap_embedding, n_rows, i->n_embedding, sizeof(float), err);
    p->embedding = cells;
    cells = p->restored;
    if (rc == AM_OK && (p->wanted & AM_WANT_RESTORED))
        rc = reserve_wide(&cells, &p->cap_restored, n_rows, i->n_restored, sizeof(double), err);
    p->restored = cells;
    return rc;
}

enum am_rc am_model_predict(struct am_predictor *p, const struct am_batch *batch,
                            struct am_prediction *out, struct am_err *err)
{
    const struct am_model_info *info = &p->model->info;
    bool labels = info->n_classes || am_task_own_labels(info->task);
    AM_TRY(am_prediction_reserve(out, batch->n_rows, info->n_classes, err));
    AM_TRY(am_prediction_wanted(out, info, batch->n_rows, err));
    return am_predict(
        p, batch,
        &(struct am_answer){.probability = out->n_classes ? out->probability : NULL,
                            .label = labels ? out->label : NULL,
                            .value = out->value,
                            .embedding = out->wanted & AM_WANT_EMBEDDING ? out->embedding : NULL,
                            .restored = out->wanted & AM_WANT_RESTORED ? out->restored : NULL},
        err);
}
