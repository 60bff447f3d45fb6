/* A batch of rows as sparse rows: text columns give their entries, of other columns what is not 0
 * is taken. A row's bits depend on the row only. Any thread with a buffer of its own. */
#include "feature/text_int.h"

#include <string.h>

#include "base/alloc.h"

bool am_features_sparse(const struct am_features *f)
{
    for (size_t i = 0; i < f->n; i++)
        if (am_fkind_is_sparse(f->cols[i].kind))
            return true;
    return false;
}

/* Room for the values of one dense column, made once a buffer. */
struct room {
    struct am_ftext_scratch *text;
    float *values; /* owned, [n] */
    size_t n;
};

static void room_free(void *p)
{
    struct room *r = p;
    if (!r)
        return;
    am_ftext_scratch_free(r->text);
    am_free(r->values);
    am_free(r);
}

static enum am_rc room_of(const struct am_features *f, struct am_csr_buf *out, struct room **r,
                          struct am_err *err)
{
    size_t most = 1;
    for (size_t i = 0; i < f->n; i++)
        if (!am_fkind_is_sparse(f->cols[i].kind) && f->cols[i].in.n_outputs > most)
            most = f->cols[i].in.n_outputs;
    if (!out->scratch) {
        *r = am_calloc(1, sizeof **r);
        if (!*r)
            return am_fail_nomem(err, sizeof **r);
        out->scratch = *r;
        out->scratch_free = room_free;
        AM_TRY(am_ftext_scratch_new(&(*r)->text, err));
    }
    *r = out->scratch;
    if ((*r)->n >= most)
        return AM_OK;
    am_free((*r)->values);
    (*r)->n = 0;
    (*r)->values = am_alloc_array(most, sizeof *(*r)->values);
    if (!(*r)->values)
        return am_fail_nomem(err, most * sizeof *(*r)->values);
    (*r)->n = most;
    return AM_OK;
}

static enum am_rc put_dense(const float *values, size_t n, size_t base, struct am_csr_buf *out,
                            struct am_err *err)
{
    AM_TRY(am_csr_reserve(out, 1, n, err));
    for (size_t j = 0; j < n; j++)
        if (values[j] != 0) {
            out->cols[out->n] = (uint32_t)(base + j);
            out->vals[out->n++] = values[j];
        }
    return AM_OK;
}

static enum am_rc put_column(const struct am_features *f, const struct am_batch *in, size_t i,
                             size_t row, am_fsparse_hook *hook, void *ctx, struct room *r,
                             struct am_csr_buf *out, struct am_err *err)
{
    const struct am_fcol *c = &f->cols[i];
    const struct am_column *cells = &in->columns[i];
    if (!am_fkind_is_sparse(c->kind)) {
        AM_TRY(am_fcol_apply(c, cells, row, 1, r->values, c->in.n_outputs, err));
        if (hook)
            hook(ctx, i, row, r->values);
        return put_dense(r->values, c->in.n_outputs, c->in.first_output, out, err);
    }
    AM_TRY(am_ftext_row(c, r->text, cells->text[row], c->in.first_output, out, err));
    const float missing = cells->text[row].ptr ? 0 : 1;
    return c->indicator ? put_dense(&missing, 1, c->indicator_at, out, err) : AM_OK;
}

enum am_rc am_features_apply_sparse_with(const struct am_features *f, const struct am_batch *in,
                                         am_fsparse_hook *hook, void *ctx, struct am_csr_buf *out,
                                         struct am_err *err)
{
    struct room *r;
    AM_TRY(am_features_check_batch(f, in, err));
    if (out->n_cols != f->width)
        return am_fail(err, AM_EINVAL, "sparse rows of %zu columns, the features have %zu",
                       out->n_cols, f->width);
    AM_TRY(room_of(f, out, &r, err));
    for (size_t row = 0; row < in->n_rows; row++) {
        AM_TRY(am_csr_reserve(out, 1, 0, err));
        for (size_t i = 0; i < f->n; i++) {
            const enum am_rc rc = put_column(f, in, i, row, hook, ctx, r, out, err);
            if (rc != AM_OK) {
                out->n = (size_t)out->start[out->n_rows]; /* whole rows only */
                return rc;
            }
        }
        out->start[++out->n_rows] = out->n;
    }
    return AM_OK;
}

enum am_rc am_features_apply_sparse(const struct am_features *f, const struct am_batch *in,
                                    struct am_csr_buf *out, struct am_err *err)
{
    return am_features_apply_sparse_with(f, in, NULL, NULL, out, err);
}
