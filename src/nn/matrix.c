/* Training rows in blocks: [x | y | w] parts apart in RAM, whole rows one after the other in the
 * file (so that a row at random is one read).
 *
 * The matrix owns its blocks, its write buffer and the file. Appending moves everything to the file
 * once, when memory is used up. */
#include "nn/matrix.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/vec.h"
#include "nn/matrix_int.h"

#define BLOCK_BYTES ((size_t)4 << 20)
#define READ_BYTES ((size_t)256 << 10)

struct am_matrix {
    struct am_train_data data;
    size_t n_weights;       /* per row: 0 or 1 */
    size_t row_floats;      /* n_features + n_targets + n_weights */
    size_t block_rows;      /* rows of a block, a power of two */
    unsigned block_shift;   /* its logarithm */
    size_t memory_bytes;    /* 0 = no limit */
    AM_VEC(float *) blocks; /* owned; empty when spilled */
    float *buffer;          /* owned: rows on their way to the file, [block_rows * row_floats] */
    size_t n_buffered;      /* rows in it */
    int fd;                 /* -1 = in RAM */
    char *temp_dir;         /* owned */
    struct am_sparse_rows *sparse; /* owned; NULL = dense rows, which are the above */
};

static enum am_rc gather_ram(void *self, const uint64_t *rows, size_t n, float *x, float *y,
                             float *w, struct am_err *err)
{
    const struct am_matrix *m = self;
    size_t f = m->data.n_features, t = m->data.n_targets, b = m->block_rows;
    (void)err;
    for (size_t i = 0; i < n; i++) {
        const float *block = m->blocks.ptr[rows[i] >> m->block_shift];
        size_t at = (size_t)rows[i] & (b - 1);
        if (x)
            memcpy(x + i * f, block + at * f, f * sizeof *x);
        if (y)
            memcpy(y + i * t, block + b * f + at * t, t * sizeof *y);
        if (w)
            w[i] = m->n_weights ? block[b * (f + t) + at] : 1;
    }
    return AM_OK;
}

static bool view_ram(void *self, uint64_t first, const float **x, const float **y, const float **w,
                     uint64_t *n)
{
    const struct am_matrix *m = self;
    size_t f = m->data.n_features, t = m->data.n_targets, b = m->block_rows;
    const float *block;
    size_t at = (size_t)first & (b - 1);
    if (first >= m->data.n_rows)
        return false;
    block = m->blocks.ptr[first >> m->block_shift];
    *x = block + at * f;
    *y = block + b * f + at * t;
    *w = m->n_weights ? block + b * (f + t) + at : NULL;
    *n = m->data.n_rows - first < b - at ? m->data.n_rows - first : b - at;
    return true;
}

/* n rows in file order into the parts asked for */
static void part_rows(const struct am_matrix *m, const float *rows, size_t n, float *x, float *y,
                      float *w)
{
    size_t f = m->data.n_features, t = m->data.n_targets;
    for (size_t i = 0; i < n; i++) {
        const float *r = rows + i * m->row_floats;
        if (x)
            memcpy(x + i * f, r, f * sizeof *x);
        if (y)
            memcpy(y + i * t, r + f, t * sizeof *y);
        if (w)
            w[i] = m->n_weights ? r[f + t] : 1;
    }
}

static enum am_rc gather_file(void *self, const uint64_t *rows, size_t n, float *x, float *y,
                              float *w, struct am_err *err)
{
    const struct am_matrix *m = self;
    size_t f = m->data.n_features, t = m->data.n_targets, bytes = m->row_floats * sizeof(float);
    size_t room = READ_BYTES / bytes ? READ_BYTES / bytes : 1;
    enum am_rc rc = AM_OK;
    float *part;
    if (n == 0)
        return AM_OK;
    if (room > n)
        room = n;
    part = am_alloc(room * bytes);
    if (!part)
        return am_fail_nomem(err, room * bytes);
    for (size_t i = 0; i < n;) {
        size_t run = 1;
        while (run < room && i + run < n && rows[i + run] == rows[i] + run)
            run++;
        AM_GO(rc, am_fs_pread_all(m->fd, part, run * bytes, (off_t)(rows[i] * bytes), err));
        part_rows(m, part, run, x ? x + i * f : NULL, y ? y + i * t : NULL, w ? w + i : NULL);
        i += run;
    }
out:
    am_free(part);
    return rc;
}

enum am_rc am_matrix_new(size_t n_features, size_t n_targets,
                         const struct am_matrix_options *options, struct am_matrix **out,
                         struct am_err *err)
{
    static const struct am_matrix_options none = {0};
    const struct am_matrix_options *o = options ? options : &none;
    struct am_matrix *m;
    size_t floats, limit = BLOCK_BYTES / sizeof(float);
    if (!am_add_size(&floats, n_features, n_targets) || floats > ((size_t)1 << 32))
        return am_fail(err, AM_ELIMIT, "a row of %zu features and %zu targets is too wide",
                       n_features, n_targets);
    m = am_calloc(1, sizeof *m);
    if (!m)
        return am_fail_nomem(err, sizeof *m);
    m->fd = -1;
    m->n_weights = o->weights == AM_MATRIX_WEIGHTS;
    m->row_floats = floats + m->n_weights;
    m->data = (struct am_train_data){.n_features = n_features, .n_targets = n_targets, .self = m};
    m->memory_bytes = o->memory_bytes;
    if (m->memory_bytes && limit > m->memory_bytes / 4 / sizeof(float))
        limit = m->memory_bytes / 4 / sizeof(float);
    m->block_rows = 1;
    while (m->block_rows * 2 * (m->row_floats ? m->row_floats : 1) <= limit) {
        m->block_rows *= 2;
        m->block_shift++;
    }
    m->temp_dir =
        am_strndup(o->temp_dir ? o->temp_dir : "/tmp", strlen(o->temp_dir ? o->temp_dir : "/tmp"));
    if (!m->temp_dir) {
        am_free(m);
        return am_fail_nomem(err, 16);
    }
    if (o->form == AM_MATRIX_SPARSE) {
        const enum am_rc rc = am_sparse_rows_new(n_features, n_targets, m->n_weights,
                                                 m->memory_bytes, m->temp_dir, &m->sparse, err);
        if (rc != AM_OK) {
            am_matrix_free(m);
            return rc;
        }
    }
    *out = m;
    return AM_OK;
}

static void free_blocks(struct am_matrix *m)
{
    for (size_t i = 0; i < m->blocks.len; i++)
        am_free(m->blocks.ptr[i]);
    am_vec_clear(&m->blocks);
}

void am_matrix_free(struct am_matrix *m)
{
    if (!m)
        return;
    am_sparse_rows_free(m->sparse);
    free_blocks(m);
    if (m->fd >= 0)
        (void)am_fs()->close(m->fd);
    am_free(m->buffer);
    am_free(m->temp_dir);
    am_free(m);
}

static enum am_rc open_file(struct am_matrix *m, struct am_err *err)
{
    char path[4096];
    AM_TRY(am_fs_temp(m->temp_dir, "aimass-rows", path, sizeof path, &m->fd, err));
    if (am_fs()->unlink(path) != 0)
        return am_fail_errno(err, errno, "cannot unlink temporary file \"%s\"", path);
    return AM_OK;
}

static enum am_rc flush(struct am_matrix *m, struct am_err *err)
{
    enum am_rc rc =
        am_fs_write_all(m->fd, m->buffer, m->n_buffered * m->row_floats * sizeof(float), err);
    if (rc == AM_ENOSPC)
        am_hint(err,
                "Training rows that exceed the memory are kept in %s: free some space there, "
                "or allow more memory.",
                m->temp_dir);
    m->n_buffered = 0;
    return rc;
}

static void buffer_row(struct am_matrix *m, const float *x, const float *y, const float *w)
{
    size_t f = m->data.n_features, t = m->data.n_targets;
    float *r = m->buffer + m->n_buffered++ * m->row_floats;
    memcpy(r, x, f * sizeof *r);
    memcpy(r + f, y, t * sizeof *r);
    if (m->n_weights)
        r[f + t] = w ? *w : 1;
}

/* All rows so far from RAM to the file. */
static enum am_rc spill(struct am_matrix *m, struct am_err *err)
{
    size_t f = m->data.n_features, t = m->data.n_targets, b = m->block_rows;
    m->buffer = am_alloc_array(b * m->row_floats, sizeof *m->buffer);
    if (!m->buffer)
        return am_fail_nomem(err, b * m->row_floats * sizeof *m->buffer);
    AM_TRY(open_file(m, err));
    for (uint64_t r = 0; r < m->data.n_rows; r++) {
        const float *block = m->blocks.ptr[r >> m->block_shift];
        size_t at = (size_t)r & (b - 1);
        buffer_row(m, block + at * f, block + b * f + at * t, block + b * (f + t) + at);
        if (m->n_buffered == b)
            AM_TRY(flush(m, err));
    }
    free_blocks(m);
    return AM_OK;
}

static enum am_rc append_file(struct am_matrix *m, size_t n, const float *x, const float *y,
                              const float *w, struct am_err *err)
{
    for (size_t i = 0; i < n; i++) {
        buffer_row(m, x + i * m->data.n_features, y + i * m->data.n_targets, w ? w + i : NULL);
        m->data.n_rows++;
        if (m->n_buffered == m->block_rows)
            AM_TRY(flush(m, err));
    }
    return AM_OK;
}

/* Room for one more block, or the file when memory is used up. */
static enum am_rc grow(struct am_matrix *m, struct am_err *err)
{
    size_t bytes = m->block_rows * m->row_floats * sizeof(float);
    float *block;
    if (m->memory_bytes && (m->blocks.len + 1) * bytes > m->memory_bytes)
        return spill(m, err);
    block = am_alloc(bytes);
    if (!block || !am_vec_push(&m->blocks, block)) {
        am_free(block);
        return am_fail_nomem(err, bytes);
    }
    return AM_OK;
}

enum am_rc am_matrix_append(struct am_matrix *m, size_t n, const float *x, const float *y,
                            const float *w, struct am_err *err)
{
    size_t f = m->data.n_features, t = m->data.n_targets, b = m->block_rows;
    if (m->sparse)
        return am_fail(err, AM_EINVAL, "dense rows given to a matrix of sparse ones");
    while (n > 0 && m->fd < 0) {
        size_t at = (size_t)m->data.n_rows & (b - 1), part = n < b - at ? n : b - at;
        float *block;
        if (at == 0) {
            AM_TRY(grow(m, err));
            if (m->fd >= 0)
                break;
        }
        block = m->blocks.ptr[m->blocks.len - 1];
        memcpy(block + at * f, x, part * f * sizeof *x);
        memcpy(block + b * f + at * t, y, part * t * sizeof *y);
        for (size_t i = 0; m->n_weights && i < part; i++)
            block[b * (f + t) + at + i] = w ? w[i] : 1;
        m->data.n_rows += part;
        n -= part, x += part * f, y += part * t, w = w ? w + part : NULL;
    }
    return n > 0 ? append_file(m, n, x, y, w, err) : AM_OK;
}

enum am_rc am_matrix_append_sparse(struct am_matrix *m, const struct am_csr *x, const float *y,
                                   const float *w, struct am_err *err)
{
    if (!m->sparse || x->n_cols != m->data.n_features)
        return am_fail(err, AM_EINVAL, "sparse rows of %zu columns given to a matrix of %zu",
                       x->n_cols, m->sparse ? m->data.n_features : 0);
    AM_TRY(am_sparse_rows_append(m->sparse, x, y, w, err));
    m->data.n_rows += x->n_rows;
    return AM_OK;
}

enum am_rc am_matrix_finish(struct am_matrix *m, struct am_err *err)
{
    if (m->sparse)
        return am_sparse_rows_finish(m->sparse, &m->data, err);
    if (m->fd >= 0) {
        AM_TRY(flush(m, err));
        am_free(m->buffer);
        m->buffer = NULL;
        m->data.gather = gather_file;
    } else {
        m->data.gather = gather_ram;
        m->data.view = view_ram;
        m->data.in_ram = true;
    }
    return AM_OK;
}

const struct am_train_data *am_matrix_data(const struct am_matrix *m)
{
    return &m->data;
}

uint64_t am_matrix_n_rows(const struct am_matrix *m)
{
    return m->data.n_rows;
}

bool am_matrix_spilled(const struct am_matrix *m)
{
    return m->sparse ? am_sparse_rows_spilled(m->sparse) : m->fd >= 0;
}

struct subset {
    struct am_train_data data; /* first: what the caller holds */
    const struct am_train_data *base;
    uint64_t rows[];
};

static enum am_rc gather_subset(void *self, const uint64_t *rows, size_t n, float *x, float *y,
                                float *w, struct am_err *err)
{
    const struct subset *s = self;
    const struct am_train_data *b = s->base;
    uint64_t part[256];
    for (size_t i = 0; i < n; i += 256) {
        size_t k = n - i < 256 ? n - i : 256;
        for (size_t j = 0; j < k; j++)
            part[j] = s->rows[rows[i + j]];
        AM_TRY(b->gather(b->self, part, k, x ? x + i * b->n_features : NULL,
                         y ? y + i * b->n_targets : NULL, w ? w + i : NULL, err));
    }
    return AM_OK;
}

static enum am_rc gather_subset_sparse(void *self, const uint64_t *rows, size_t n,
                                       struct am_csr_buf *x, float *y, float *w, struct am_err *err)
{
    const struct subset *s = self;
    const struct am_train_data *b = s->base;
    uint64_t part[256];
    for (size_t i = 0; i < n; i += 256) {
        size_t k = n - i < 256 ? n - i : 256;
        for (size_t j = 0; j < k; j++)
            part[j] = s->rows[rows[i + j]];
        AM_TRY(b->gather_sparse(b->self, part, k, x, y ? y + i * b->n_targets : NULL,
                                w ? w + i : NULL, err));
    }
    return AM_OK;
}

static enum am_rc gather_subset_at(void *self, uint64_t epoch, const uint64_t *rows, size_t n,
                                   float *x, float *y, float *w, struct am_err *err)
{
    const struct subset *s = self;
    const struct am_train_data *b = s->base;
    const size_t n_targets = b->mixes ? 3 : b->n_targets;
    uint64_t part[256];
    for (size_t i = 0; i < n; i += 256) {
        size_t k = n - i < 256 ? n - i : 256;
        for (size_t j = 0; j < k; j++)
            part[j] = s->rows[rows[i + j]];
        AM_TRY(b->gather_at(b->self, epoch, part, k, x ? x + i * b->n_features : NULL,
                            y ? y + i * n_targets : NULL, w ? w + i : NULL, err));
    }
    return AM_OK;
}

enum am_rc am_train_subset_new(const struct am_train_data *base, const uint64_t *rows, size_t n,
                               const struct am_train_data **out, struct am_err *err)
{
    struct subset *s;
    size_t bytes;
    if (!am_mul_size(&bytes, n, sizeof *rows) || !am_add_size(&bytes, bytes, sizeof *s))
        return am_fail(err, AM_ELIMIT, "a subset of %zu rows is too large", n);
    s = am_alloc(bytes);
    if (!s)
        return am_fail_nomem(err, bytes);
    s->data =
        (struct am_train_data){.n_rows = n,
                               .n_features = base->n_features,
                               .n_targets = base->n_targets,
                               .self = s,
                               .gather = gather_subset,
                               .gather_at = base->gather_at ? gather_subset_at : NULL,
                               .mixes = base->mixes,
                               .gather_sparse = base->gather_sparse ? gather_subset_sparse : NULL,
                               .in_ram = base->in_ram};
    s->base = base;
    for (size_t i = 0; i < n; i++) {
        if (rows[i] >= base->n_rows) {
            am_free(s);
            return am_fail(err, AM_EINVAL, "row %llu of a subset is outside of the %llu rows",
                           (unsigned long long)rows[i], (unsigned long long)base->n_rows);
        }
        s->rows[i] = rows[i];
    }
    *out = &s->data;
    return AM_OK;
}

void am_train_subset_free(const struct am_train_data *d)
{
    if (d)
        am_free(d->self);
}
