/* Sparse training rows: blocks of CSR in RAM; or, beyond the memory given, one file of whole rows
 * [y, w, columns, values] with the place of each kept in RAM (8 bytes a row), so that a row at
 * random is one read and a run of rows is one, too.
 *
 * Owns blocks, file, places and its write buffer. One thread appends; any number reads after
 * am_sparse_rows_finish. */
#include "nn/matrix_int.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"

#include "base/fs.h"
#include "base/limits.h"
#include "base/str.h"
#include "base/vec.h"

#define BLOCK_ROWS ((size_t)4096)
#define BLOCK_SHIFT 12
#define WRITE_BYTES ((size_t)1 << 20)
#define READ_BYTES ((size_t)256 << 10)

struct block {
    struct am_csr_buf x;
    float *y, *w; /* owned, [BLOCK_ROWS * n_targets], [BLOCK_ROWS] or NULL */
};

struct am_sparse_rows {
    size_t n_features, n_targets, n_weights;
    uint64_t n_rows;
    size_t memory_bytes, used_bytes;
    const char *temp_dir; /* borrowed */
    AM_VEC(struct block *) blocks;
    int fd;                  /* -1 = in RAM */
    AM_VEC(uint64_t) places; /* [n_rows + 1] of 4-byte words in the file */
    struct am_buf out;       /* on its way to the file */
};

enum am_rc am_sparse_rows_new(size_t n_features, size_t n_targets, size_t n_weights,
                              size_t memory_bytes, const char *temp_dir,
                              struct am_sparse_rows **out, struct am_err *err)
{
    struct am_sparse_rows *s;
    if (n_features > UINT32_MAX)
        return am_fail(err, AM_ELIMIT, "sparse rows of %zu features are too wide", n_features);
    s = am_calloc(1, sizeof *s);
    if (!s)
        return am_fail_nomem(err, sizeof *s);
    s->n_features = n_features;
    s->n_targets = n_targets;
    s->n_weights = n_weights;
    s->memory_bytes = memory_bytes;
    s->temp_dir = temp_dir;
    s->fd = -1;
    am_buf_init(&s->out, (size_t)1 << 32);
    *out = s;
    return AM_OK;
}

static void block_free(struct block *b)
{
    if (!b)
        return;
    am_csr_clear(&b->x);
    am_free(b->y);
    am_free(b->w);
    am_free(b);
}

static void free_blocks(struct am_sparse_rows *s)
{
    for (size_t i = 0; i < s->blocks.len; i++)
        block_free(s->blocks.ptr[i]);
    am_vec_clear(&s->blocks);
}

void am_sparse_rows_free(struct am_sparse_rows *s)
{
    if (!s)
        return;
    free_blocks(s);
    am_vec_clear(&s->places);
    am_buf_clear(&s->out);
    if (s->fd >= 0)
        (void)am_fs()->close(s->fd);
    am_free(s);
}

static enum am_rc new_block(struct am_sparse_rows *s, struct am_err *err)
{
    struct block *b = am_calloc(1, sizeof *b);
    if (b) {
        b->x.n_cols = s->n_features;
        b->y = am_alloc_array(BLOCK_ROWS, (s->n_targets ? s->n_targets : 1) * sizeof *b->y);
        b->w = s->n_weights ? am_alloc_array(BLOCK_ROWS, sizeof *b->w) : NULL;
    }
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers */
    if (!b || !b->y || (s->n_weights && !b->w) || !am_vec_push(&s->blocks, b)) {
        block_free(b);
        return am_fail_nomem(err, BLOCK_ROWS * sizeof *b->y);
    }
    s->used_bytes += BLOCK_ROWS * (s->n_targets + s->n_weights + 2) * sizeof(float);
    return AM_OK;
}

static enum am_rc flush(struct am_sparse_rows *s, struct am_err *err)
{
    enum am_rc rc = am_fs_write_all(s->fd, s->out.ptr, s->out.len, err);
    if (rc == AM_ENOSPC)
        am_hint(err,
                "Training rows that exceed the memory are kept in %s: free some space there, "
                "or allow more memory.",
                s->temp_dir);
    am_buf_reset(&s->out);
    return rc;
}

static enum am_rc put(struct am_sparse_rows *s, const void *p, size_t n, struct am_err *err)
{
    am_buf_add(&s->out, p, n);
    return am_buf_check(&s->out, err);
}

static enum am_rc write_row(struct am_sparse_rows *s, const struct am_csr *x, size_t i,
                            const float *y, const float *w, struct am_err *err)
{
    const float one = 1;
    const uint64_t from = x->start[i];
    const size_t n = (size_t)(x->start[i + 1] - from);
    const uint64_t words = s->n_targets + s->n_weights + 2 * (uint64_t)n;
    const uint64_t next = s->places.ptr[s->places.len - 1] + words;
    if (!am_vec_push(&s->places, next))
        return am_fail_nomem(err, sizeof next);
    AM_TRY(put(s, y, s->n_targets * sizeof *y, err));
    if (s->n_weights)
        AM_TRY(put(s, w ? w : &one, sizeof *w, err));
    AM_TRY(put(s, x->cols + from, n * sizeof *x->cols, err));
    AM_TRY(put(s, x->vals + from, n * sizeof *x->vals, err));
    return s->out.len >= WRITE_BYTES ? flush(s, err) : AM_OK;
}

/* All rows so far from RAM to the file. */
static enum am_rc spill(struct am_sparse_rows *s, struct am_err *err)
{
    char path[4096];
    AM_TRY(am_fs_temp(s->temp_dir, "aimass-rows", path, sizeof path, &s->fd, err));
    if (am_fs()->unlink(path) != 0)
        return am_fail_errno(err, errno, "cannot unlink temporary file \"%s\"", path);
    if (!am_vec_push(&s->places, 0))
        return am_fail_nomem(err, sizeof(uint64_t));
    for (size_t k = 0; k < s->blocks.len; k++) {
        const struct block *b = s->blocks.ptr[k];
        const struct am_csr x = am_csr_of(&b->x);
        for (size_t i = 0; i < x.n_rows; i++)
            AM_TRY(write_row(s, &x, i, b->y + i * s->n_targets, b->w ? b->w + i : NULL, err));
    }
    free_blocks(s);
    return AM_OK;
}

static enum am_rc keep_row(struct am_sparse_rows *s, const struct am_csr *x, size_t i,
                           const float *y, const float *w, struct am_err *err)
{
    const size_t at = (size_t)s->n_rows & (BLOCK_ROWS - 1);
    const size_t n = (size_t)(x->start[i + 1] - x->start[i]);
    struct block *b;
    if (at == 0)
        AM_TRY(new_block(s, err));
    b = s->blocks.ptr[s->blocks.len - 1];
    AM_TRY(am_csr_push(&b->x, x->cols + x->start[i], x->vals + x->start[i], n, err));
    memcpy(b->y + at * s->n_targets, y, s->n_targets * sizeof *y);
    if (b->w)
        b->w[at] = w ? *w : 1;
    s->used_bytes += n * (sizeof *x->cols + sizeof *x->vals);
    return AM_OK;
}

enum am_rc am_sparse_rows_append(struct am_sparse_rows *s, const struct am_csr *x, const float *y,
                                 const float *w, struct am_err *err)
{
    for (size_t i = 0; i < x->n_rows; i++) {
        if (s->fd < 0 && s->memory_bytes && s->used_bytes > s->memory_bytes)
            AM_TRY(spill(s, err));
        AM_TRY((s->fd < 0 ? keep_row : write_row)(s, x, i, y + i * s->n_targets, w ? w + i : NULL,
                                                  err));
        s->n_rows++;
    }
    return AM_OK;
}

/* ---- reading ---- */

static enum am_rc gather_ram(void *self, const uint64_t *rows, size_t n, struct am_csr_buf *out,
                             float *y, float *w, struct am_err *err)
{
    const struct am_sparse_rows *s = self;
    for (size_t i = 0; i < n; i++) {
        const struct block *b = s->blocks.ptr[rows[i] >> BLOCK_SHIFT];
        const size_t at = (size_t)rows[i] & (BLOCK_ROWS - 1);
        const uint64_t from = b->x.start[at];
        if (out)
            AM_TRY(am_csr_push(out, b->x.cols + from, b->x.vals + from,
                               (size_t)(b->x.start[at + 1] - from), err));
        if (y)
            memcpy(y + i * s->n_targets, b->y + at * s->n_targets, s->n_targets * sizeof *y);
        if (w)
            w[i] = b->w ? b->w[at] : 1;
    }
    return AM_OK;
}

static bool view_ram(void *self, uint64_t first, struct am_csr *x, const float **y, const float **w)
{
    const struct am_sparse_rows *s = self;
    const size_t at = (size_t)first & (BLOCK_ROWS - 1);
    if (first >= s->n_rows)
        return false;
    const struct block *b = s->blocks.ptr[first >> BLOCK_SHIFT];
    const struct am_csr all = am_csr_of(&b->x);
    *x = am_csr_rows(&all, at, all.n_rows - at);
    *y = b->y + at * s->n_targets;
    *w = b->w ? b->w + at : NULL;
    return true;
}

/* One row in the file's order */
static enum am_rc part_row(const struct am_sparse_rows *s, const uint32_t *words, size_t n_words,
                           struct am_csr_buf *out, float *y, float *w, struct am_err *err)
{
    const size_t head = s->n_targets + s->n_weights, n = (n_words - head) / 2;
    if (y)
        memcpy(y, words, s->n_targets * sizeof *y);
    if (w && s->n_weights)
        memcpy(w, words + s->n_targets, sizeof *w);
    else if (w)
        *w = 1;
    if (!out)
        return AM_OK;
    AM_TRY(am_csr_reserve(out, 1, n, err));
    memcpy(out->cols + out->n, words + head, n * sizeof *words);
    memcpy(out->vals + out->n, words + head + n, n * sizeof *words);
    out->n += n;
    out->start[++out->n_rows] = out->n;
    return AM_OK;
}

static enum am_rc gather_file(void *self, const uint64_t *rows, size_t n, struct am_csr_buf *out,
                              float *y, float *w, struct am_err *err)
{
    const struct am_sparse_rows *s = self;
    const uint64_t *places = s->places.ptr;
    uint32_t *words = NULL;
    size_t cap = 0;
    enum am_rc rc = AM_OK;
    for (size_t i = 0; i < n;) {
        const uint64_t from = places[rows[i]];
        size_t run = 1;
        while (i + run < n && rows[i + run] == rows[i] + run &&
               places[rows[i] + run + 1] - from <= READ_BYTES / sizeof *words)
            run++;
        const size_t need = (size_t)(places[rows[i] + run] - from);
        if (need > cap || !words) {
            am_free(words);
            cap = need > READ_BYTES / sizeof *words ? need : READ_BYTES / sizeof *words;
            words = am_alloc_array(cap, sizeof *words);
            if (!words)
                AM_GO(rc, am_fail_nomem(err, cap * sizeof *words));
        }
        AM_GO(rc, am_fs_pread_all(s->fd, words, need * sizeof *words, (off_t)(from * sizeof *words),
                                  err));
        for (size_t k = 0; k < run; k++) {
            const uint64_t at = places[rows[i + k]];
            AM_GO(rc, part_row(s, words + (at - from), (size_t)(places[rows[i + k] + 1] - at), out,
                               y ? y + (i + k) * s->n_targets : NULL, w ? w + i + k : NULL, err));
        }
        i += run;
    }
out:
    am_free(words);
    return rc;
}

/* For learners that know dense rows only. */
static enum am_rc gather_dense(void *self, const uint64_t *rows, size_t n, float *x, float *y,
                               float *w, struct am_err *err)
{
    const struct am_sparse_rows *s = self;
    struct am_csr_buf buf = {.n_cols = s->n_features};
    enum am_rc rc = AM_OK;
    for (size_t i = 0; i < n; i += 256) {
        const size_t k = n - i < 256 ? n - i : 256;
        am_csr_reset(&buf, s->n_features);
        AM_GO(rc, (s->fd < 0 ? gather_ram : gather_file)(self, rows + i, k, x ? &buf : NULL,
                                                         y ? y + i * s->n_targets : NULL,
                                                         w ? w + i : NULL, err));
        if (x) {
            const struct am_csr part = am_csr_of(&buf);
            am_csr_to_dense(&part, x + i * s->n_features);
        }
    }
out:
    am_csr_clear(&buf);
    return rc;
}

enum am_rc am_sparse_rows_finish(struct am_sparse_rows *s, struct am_train_data *data,
                                 struct am_err *err)
{
    data->self = s;
    data->gather = gather_dense;
    if (s->fd >= 0) {
        AM_TRY(flush(s, err));
        am_buf_clear(&s->out);
        data->gather_sparse = gather_file;
        return AM_OK;
    }
    data->gather_sparse = gather_ram;
    data->view_sparse = view_ram;
    data->in_ram = true;
    return AM_OK;
}

bool am_sparse_rows_spilled(const struct am_sparse_rows *s)
{
    return s->fd >= 0;
}
