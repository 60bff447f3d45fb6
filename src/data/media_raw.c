/* Pictures without a file format of their own: IDX pairs (MNIST and its kin, gzip too) and the
 * binary batches of CIFAR-10 and CIFAR-100. Cells come out in the raw form of tensor/media.h.
 *
 * Files named for training and for testing in one folder become the column `split`. A file that is
 * shorter or longer than it says is an error: a row would be lost unseen. */
#include "data/media_rows.h"

#include <stdio.h>
#include <sys/stat.h>
#include <zlib.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "tensor/media.h"

#define CIFAR_SIDE 32
#define CIFAR_PIXELS ((size_t)3 * CIFAR_SIDE * CIFAR_SIDE)

struct raw_file {
    struct am_str path, base, labels; /* labels: path of an IDX label file, NULL ptr = none */
    uint8_t split;
    uint32_t n, height, width, channels; /* IDX */
};
struct raw_impl {
    struct raw_file *files; /* in the arena */
    size_t n;
    struct am_str *names, *coarse;      /* of classes, NULL = their numbers */
    size_t n_names, n_coarse, n_labels; /* n_labels: label bytes of a CIFAR record */
};

static struct am_str base_of(struct am_str path)
{
    for (size_t i = path.len; i > 0; i--)
        if (path.ptr[i - 1] == '/')
            return (struct am_str){path.ptr + i, path.len - i};
    return path;
}

static bool contains(struct am_str s, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= s.len; i++)
        if (memcmp(s.ptr + i, word, n) == 0)
            return true;
    return false;
}

static uint8_t split_of(struct am_str base)
{
    if (am_str_starts(base, AM_STR("train")) || am_str_starts(base, AM_STR("data_batch")))
        return 1;
    if (am_str_starts(base, AM_STR("valid")))
        return 2;
    return am_str_starts(base, AM_STR("t10k")) || am_str_starts(base, AM_STR("test")) ? 3 : 0;
}

/* Both training and test files, and nothing else. */
static bool has_parts(const struct raw_impl *r)
{
    bool train = false, other = false;
    for (size_t i = 0; i < r->n; i++) {
        if (r->files[i].split == 0)
            return false;
        train |= r->files[i].split == 1;
        other |= r->files[i].split != 1;
    }
    return train && other;
}

static enum am_rc fail_length(struct am_str path, const char *what, struct am_err *err)
{
    enum am_rc rc = am_fail(err, AM_EINVAL, "\"%.*s\" %s", AM_FMT(path), am_tr(what));
    am_hint(err, "Get the file again: it is not whole.");
    return rc;
}

static enum am_rc read_all(gzFile f, struct am_str path, void *to, size_t n, struct am_err *err)
{
    int got = gzread(f, to, (unsigned)n);
    return got == (int)n ? AM_OK : fail_length(path, AM_N("ends too early"), err);
}

static enum am_rc open_gz(struct am_str path, gzFile *f, struct am_err *err)
{
    *f = gzopen(path.ptr, "rb");
    if (!*f) {
        enum am_rc rc = am_fail(err, AM_ENOTFOUND, "cannot open \"%.*s\"", AM_FMT(path));
        am_hint(err, "Check that the file is there and may be read.");
        return rc;
    }
    (void)gzbuffer(*f, (unsigned)256 << 10);
    return AM_OK;
}

static bool at_end(gzFile f)
{
    char more;
    return gzread(f, &more, 1) == 0;
}

/* ---- IDX ---- */

bool media_is_idx(struct am_str name)
{
    struct am_str base = base_of(name);
    return contains(base, "ubyte") &&
           (contains(base, "idx1") || contains(base, "idx3") || contains(base, "idx4"));
}

static uint32_t big_endian(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The sizes that an IDX file of bytes begins with. */
static enum am_rc read_sizes(gzFile f, struct am_str path, uint32_t sizes[4], unsigned *n,
                             struct am_err *err)
{
    unsigned char head[4], word[4];
    AM_TRY(read_all(f, path, head, sizeof head, err));
    *n = head[3];
    if (head[0] || head[1] || head[2] != 8 || (*n != 1 && *n != 3 && *n != 4)) {
        enum am_rc rc =
            am_fail(err, AM_EINVAL, "\"%.*s\" is not an IDX file of bytes", AM_FMT(path));
        am_hint(err, "Pictures are idx3-ubyte or idx4-ubyte, labels idx1-ubyte.");
        return rc;
    }
    for (unsigned i = 0; i < *n; i++) {
        AM_TRY(read_all(f, path, word, sizeof word, err));
        sizes[i] = big_endian(word);
    }
    return AM_OK;
}

/* Where the labels of a file of pictures should be; NULL ptr = its name says nothing. */
static struct am_str labels_name(struct am_str images, struct am_arena *a)
{
    struct am_buf b;
    size_t folder = images.len - base_of(images).len;
    bool images_word = false;
    am_buf_init(&b, 8192);
    am_buf_str(&b, (struct am_str){images.ptr, folder});
    for (size_t i = folder; i < images.len;) {
        struct am_str rest = {images.ptr + i, images.len - i};
        if (am_str_starts(rest, AM_STR("images"))) {
            am_buf_cstr(&b, "labels");
            images_word = true;
            i += 6;
        } else if (am_str_starts(rest, AM_STR("idx3")) || am_str_starts(rest, AM_STR("idx4"))) {
            am_buf_cstr(&b, "idx1");
            i += 4;
        } else {
            am_buf_char(&b, images.ptr[i++]);
        }
    }
    struct am_str out =
        images_word && !b.failed ? am_arena_str(a, am_buf_view(&b)) : (struct am_str){NULL, 0};
    am_buf_clear(&b);
    return out;
}

static bool is_there(struct am_str path)
{
    struct stat st;
    return path.ptr && stat(path.ptr, &st) == 0 && S_ISREG(st.st_mode);
}

static struct am_str find_labels(struct am_str images, struct am_arena *a)
{
    struct am_str name = labels_name(images, a);
    if (is_there(name) || !name.ptr)
        return name;
    struct am_str other = am_str_ends(name, AM_STR(".gz"))
                              ? am_arena_str(a, (struct am_str){name.ptr, name.len - 3})
                              : am_arena_printf(a, "%.*s.gz", AM_FMT(name));
    return is_there(other) ? other : (struct am_str){NULL, 0};
}

static enum am_rc check_labels(const struct raw_file *r, struct am_err *err)
{
    gzFile f;
    uint32_t sizes[4] = {0};
    unsigned n;
    AM_TRY(open_gz(r->labels, &f, err));
    enum am_rc rc = read_sizes(f, r->labels, sizes, &n, err);
    gzclose(f);
    AM_TRY(rc);
    if (n == 1 && sizes[0] == r->n)
        return AM_OK;
    rc = am_fail(err, AM_EINVAL, "\"%.*s\" has %u labels, \"%.*s\" %u pictures",
                 AM_FMT(base_of(r->labels)), n == 1 ? sizes[0] : 0, AM_FMT(r->base), r->n);
    am_hint(err, "Give the label file that belongs to the pictures.");
    return rc;
}

/* n_dims 1: labels, not pictures. */
static enum am_rc examine(struct raw_file *r, unsigned *n_dims, struct am_err *err)
{
    gzFile f;
    uint32_t sizes[4] = {0, 0, 0, 1};
    AM_TRY(open_gz(r->path, &f, err));
    enum am_rc rc = read_sizes(f, r->path, sizes, n_dims, err);
    gzclose(f);
    if (rc != AM_OK || *n_dims == 1)
        return rc;
    r->n = sizes[0];
    r->height = sizes[1];
    r->width = sizes[2];
    r->channels = sizes[3];
    bool channels = r->channels == 1 || r->channels == 3 || r->channels == 4;
    uint64_t pixels = (uint64_t)r->width * r->height;
    if (r->n > 0 && r->n <= AM_LIMIT_MEDIA_FILES && channels && pixels > 0 &&
        r->width <= AM_LIMIT_IMAGE_SIDE && r->height <= AM_LIMIT_IMAGE_SIDE &&
        pixels * r->channels + AM_MEDIA_RAW_BYTES <= AM_LIMIT_MEDIA_FILE_BYTES)
        return AM_OK;
    rc = am_fail(err, AM_ELIMIT, "\"%.*s\" says %u pictures of %u x %u x %u", AM_FMT(r->base), r->n,
                 r->width, r->height, r->channels);
    am_hint(err, "Give 1 to %d pictures of 1, 3 or 4 channels and at most %zu bytes each.",
            AM_LIMIT_MEDIA_FILES, AM_LIMIT_MEDIA_FILE_BYTES);
    return rc;
}

struct raw_state {
    const struct raw_impl *r;
    size_t file;
    uint32_t row;
    gzFile images, labels;
    unsigned char *record; /* owned: one of CIFAR */
};

static void raw_stop(void *state)
{
    struct raw_state *st = state;
    if (!st)
        return;
    if (st->images)
        gzclose(st->images);
    if (st->labels)
        gzclose(st->labels);
    am_free(st->record);
    am_free(st);
}

static enum am_rc raw_start(const struct media_source *s, void **state, struct am_err *err)
{
    struct raw_state *st = am_calloc(1, sizeof *st);
    if (!st)
        return am_fail_nomem(err, sizeof *st);
    st->r = s->impl;
    st->record = am_alloc(CIFAR_PIXELS + 8);
    if (!st->record) {
        am_free(st);
        return am_fail_nomem(err, CIFAR_PIXELS);
    }
    *state = st;
    return AM_OK;
}

static void close_file(struct raw_state *st)
{
    if (st->images)
        gzclose(st->images);
    if (st->labels)
        gzclose(st->labels);
    st->images = st->labels = NULL;
    st->row = 0;
    st->file++;
}

static struct am_str label_text(const struct am_str *names, size_t n_names, unsigned label,
                                struct am_arena *a)
{
    return names && label < n_names ? names[label] : am_arena_printf(a, "%u", label);
}

static enum am_rc idx_open_next(struct raw_state *st, struct am_err *err)
{
    const struct raw_file *f = &st->r->files[st->file];
    uint32_t sizes[4];
    unsigned n;
    AM_TRY(open_gz(f->path, &st->images, err));
    AM_TRY(read_sizes(st->images, f->path, sizes, &n, err));
    if (n < 3 || sizes[0] != f->n || sizes[1] != f->height || sizes[2] != f->width)
        return fail_length(f->path, AM_N("changed while it was read"), err);
    if (!f->labels.ptr)
        return AM_OK;
    AM_TRY(open_gz(f->labels, &st->labels, err));
    return read_sizes(st->labels, f->labels, sizes, &n, err);
}

static enum am_rc idx_row(struct raw_state *st, struct media_rows *rows, struct am_err *err)
{
    const struct raw_file *f = &st->r->files[st->file];
    size_t n = (size_t)f->width * f->height * f->channels, at = rows->n;
    unsigned char *cell = am_arena_alloc(rows->arena, AM_MEDIA_RAW_BYTES + n), label;
    if (!cell)
        return am_fail_nomem(err, n);
    am_image_raw_header(f->width, f->height, f->channels, cell);
    AM_TRY(read_all(st->images, f->path, cell + AM_MEDIA_RAW_BYTES, n, err));
    rows->cells[CELL_MEDIA][at] = (struct am_str){(const char *)cell, AM_MEDIA_RAW_BYTES + n};
    rows->cells[CELL_FILE][at] =
        am_arena_printf(rows->arena, "%.*s#%u", AM_FMT(f->base), st->row + 1);
    rows->cells[CELL_SPLIT][at] = am_str(media_split_name(f->split));
    rows->cells[CELL_LABEL][at] = (struct am_str){NULL, 0};
    if (st->labels) {
        AM_TRY(read_all(st->labels, f->labels, &label, 1, err));
        rows->cells[CELL_LABEL][at] = label_text(NULL, 0, label, rows->arena);
    }
    rows->n++;
    st->row++;
    return AM_OK;
}

static enum am_rc idx_fill(void *state, struct media_rows *rows, struct media_report *report,
                           struct am_err *err)
{
    struct raw_state *st = state;
    (void)report;
    while (st->file < st->r->n && rows->n < rows->cap &&
           am_arena_used(rows->arena) < MEDIA_BATCH_BYTES) {
        const struct raw_file *f = &st->r->files[st->file];
        if (!st->images)
            AM_TRY(idx_open_next(st, err));
        if (st->row < f->n) {
            AM_TRY(idx_row(st, rows, err));
            continue;
        }
        if (!at_end(st->images) || (st->labels && !at_end(st->labels)))
            return fail_length(f->path, AM_N("goes on behind its last picture"), err);
        close_file(st);
    }
    return AM_OK;
}

static const struct media_form idx_form = {"idx", false, raw_start, idx_fill, raw_stop};

static int by_part(const struct raw_file *a, const struct raw_file *b)
{
    return a->split != b->split ? (a->split < b->split ? -1 : 1) : am_str_cmp(a->base, b->base);
}

/* Few files: training first, then by name. */
static void sort_files(struct raw_file *f, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t k = i; k > 0 && by_part(&f[k - 1], &f[k]) > 0; k--) {
            struct raw_file t = f[k];
            f[k] = f[k - 1];
            f[k - 1] = t;
        }
}

static enum am_rc raw_new(size_t n, const struct media_form *form, struct am_arena *a,
                          struct media_source **s, struct raw_impl **r, struct am_err *err)
{
    *s = am_arena_zalloc(a, sizeof **s);
    *r = am_arena_zalloc(a, sizeof **r);
    struct raw_file *files = am_arena_array(a, n + 1, sizeof *files);
    if (!*s || !*r || !files)
        return am_fail_nomem(err, n * sizeof *files);
    (*r)->files = files;
    **s = (struct media_source){.form = form, .impl = *r, .kind = MEDIA_IMAGE};
    (*s)->has[CELL_MEDIA] = (*s)->has[CELL_FILE] = true;
    return AM_OK;
}

enum am_rc media_idx_open(const struct am_str *paths, size_t n, struct am_arena *a,
                          struct media_source **out, struct am_err *err)
{
    struct media_source *s;
    struct raw_impl *r;
    struct am_str lone_labels = {NULL, 0};
    size_t n_labels = 0;
    *out = NULL;
    AM_TRY(raw_new(n, &idx_form, a, &s, &r, err));
    for (size_t i = 0; i < n; i++) {
        struct raw_file *f = &r->files[r->n];
        unsigned dims;
        *f = (struct raw_file){.path = am_arena_str(a, paths[i])};
        AM_TRY(am_arena_check(a, err));
        f->base = base_of(f->path);
        f->split = split_of(f->base);
        AM_TRY(examine(f, &dims, err));
        if (dims == 1) {
            lone_labels = f->path;
            n_labels++;
            continue;
        }
        f->labels = find_labels(f->path, a);
        r->n++;
    }
    if (r->n == 0) {
        enum am_rc rc =
            am_fail(err, AM_EINVAL, "\"%.*s\" has labels, no pictures", AM_FMT(paths[0]));
        am_hint(err, "Name the file of pictures, too (images-idx3-ubyte).");
        return rc;
    }
    if (r->n == 1 && n_labels == 1 && !r->files[0].labels.ptr)
        r->files[0].labels = lone_labels;
    s->has[CELL_LABEL] = true;
    for (size_t i = 0; i < r->n; i++) {
        if (r->files[i].labels.ptr)
            AM_TRY(check_labels(&r->files[i], err));
        else
            s->has[CELL_LABEL] = false;
    }
    sort_files(r->files, r->n);
    s->has[CELL_SPLIT] = has_parts(r);
    *out = s;
    return am_arena_check(a, err);
}

/* ---- CIFAR ---- */

bool media_is_cifar(struct am_str name)
{
    struct am_str base = base_of(name);
    return am_str_ends(base, AM_STR(".bin")) &&
           (am_str_starts(base, AM_STR("data_batch")) || am_str_is(base, "test_batch.bin") ||
            am_str_is(base, "train.bin") || am_str_is(base, "test.bin"));
}

/* One name a line; absent files are fine. */
static enum am_rc read_names(struct am_str folder, const char *file, struct am_arena *a,
                             struct am_str **names, size_t *n, struct am_err *err)
{
    char text[8192];
    *names = am_arena_array(a, 256, sizeof **names);
    *n = 0;
    struct am_str path = am_arena_printf(a, "%.*s%s", AM_FMT(folder), file);
    if (!*names || !path.ptr)
        return am_fail_nomem(err, 256 * sizeof **names);
    gzFile f = is_there(path) ? gzopen(path.ptr, "rb") : NULL;
    int got = f ? gzread(f, text, sizeof text) : 0;
    if (f)
        gzclose(f);
    for (size_t from = 0, end; got > 0 && from < (size_t)got && *n < 256; from = end + 1) {
        for (end = from; end < (size_t)got && text[end] != '\n'; end++)
            ;
        struct am_str line = am_str_trim((struct am_str){text + from, end - from});
        if (line.len && am_utf8_valid(line))
            (*names)[(*n)++] = am_arena_str(a, line);
    }
    return am_arena_check(a, err);
}

static enum am_rc cifar_row(struct raw_state *st, struct media_rows *rows,
                            struct media_report *report, struct am_err *err)
{
    const struct raw_impl *r = st->r;
    const struct raw_file *f = &r->files[st->file];
    size_t at = rows->n;
    const unsigned char *pixels = st->record + r->n_labels;
    unsigned label = st->record[r->n_labels - 1];
    struct am_str name = am_arena_printf(rows->arena, "%.*s#%u", AM_FMT(f->base), ++st->row);
    if (label >= (r->n_labels == 1 ? 10u : 100u) || (r->n_labels == 2 && st->record[0] >= 20))
        return media_report_bad(report, name, am_str(am_tr("its label is out of range")), err);
    unsigned char *cell = am_arena_alloc(rows->arena, AM_MEDIA_RAW_BYTES + CIFAR_PIXELS);
    if (!cell)
        return am_fail_nomem(err, CIFAR_PIXELS);
    am_image_raw_header(CIFAR_SIDE, CIFAR_SIDE, 3, cell);
    unsigned char *to = cell + AM_MEDIA_RAW_BYTES;
    for (size_t i = 0; i < CIFAR_PIXELS / 3; i++)
        for (size_t c = 0; c < 3; c++)
            *to++ = pixels[c * (CIFAR_PIXELS / 3) + i];
    rows->cells[CELL_MEDIA][at] =
        (struct am_str){(const char *)cell, AM_MEDIA_RAW_BYTES + CIFAR_PIXELS};
    rows->cells[CELL_FILE][at] = name;
    rows->cells[CELL_SPLIT][at] = am_str(media_split_name(f->split));
    rows->cells[CELL_LABEL][at] = label_text(r->names, r->n_names, label, rows->arena);
    rows->cells[CELL_COARSE][at] =
        label_text(r->coarse, r->n_coarse, r->n_labels == 2 ? st->record[0] : 0, rows->arena);
    rows->n++;
    return AM_OK;
}

static enum am_rc cifar_fill(void *state, struct media_rows *rows, struct media_report *report,
                             struct am_err *err)
{
    struct raw_state *st = state;
    size_t size = CIFAR_PIXELS + st->r->n_labels;
    while (st->file < st->r->n && rows->n < rows->cap) {
        const struct raw_file *f = &st->r->files[st->file];
        if (!st->images)
            AM_TRY(open_gz(f->path, &st->images, err));
        int got = gzread(st->images, st->record, (unsigned)size);
        if (got == 0) {
            close_file(st);
            continue;
        }
        if (got != (int)size)
            return fail_length(f->path, AM_N("ends too early"), err);
        if (st->row >= AM_LIMIT_MEDIA_FILES)
            return am_fail(err, AM_ELIMIT, "\"%.*s\" has more than %d pictures", AM_FMT(f->base),
                           AM_LIMIT_MEDIA_FILES);
        AM_TRY(cifar_row(st, rows, report, err));
    }
    return AM_OK;
}

static const struct media_form cifar_form = {"cifar", false, raw_start, cifar_fill, raw_stop};

enum am_rc media_cifar_open(const struct am_str *paths, size_t n, struct am_arena *a,
                            struct media_source **out, struct am_err *err)
{
    struct media_source *s;
    struct raw_impl *r;
    *out = NULL;
    AM_TRY(raw_new(n, &cifar_form, a, &s, &r, err));
    r->n_labels = 1;
    for (size_t i = 0; i < n; i++) {
        struct raw_file *f = &r->files[r->n++];
        *f = (struct raw_file){.path = am_arena_str(a, paths[i])};
        AM_TRY(am_arena_check(a, err));
        f->base = base_of(f->path);
        f->split = split_of(f->base);
        if (am_str_is(f->base, "train.bin") || am_str_is(f->base, "test.bin"))
            r->n_labels = 2;
    }
    struct am_str folder = {r->files[0].path.ptr, r->files[0].path.len - r->files[0].base.len};
    AM_TRY(read_names(folder, r->n_labels == 2 ? "fine_label_names.txt" : "batches.meta.txt", a,
                      &r->names, &r->n_names, err));
    AM_TRY(read_names(folder, "coarse_label_names.txt", a, &r->coarse, &r->n_coarse, err));
    sort_files(r->files, r->n);
    s->has[CELL_LABEL] = true;
    s->has[CELL_COARSE] = r->n_labels == 2;
    s->has[CELL_SPLIT] = has_parts(r);
    *out = s;
    return AM_OK;
}
