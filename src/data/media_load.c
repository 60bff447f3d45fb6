/* The loading of files in steps: as many rows as fit into a budget of bytes, worked on the pool,
 * then told about in row order. A step's cells live until the next one. */
#include "data/media_load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/limits.h"
#include "tensor/media.h"

#define STEP_ROWS ((size_t)1024)
#define STEP_BYTES ((uint64_t)24 << 20)
#define GRAIN 8

struct load_table {
    struct media_load l;         /* its columns and root are owned */
    struct am_column_desc *desc; /* owned [n] */
    struct am_schema schema;
    char *root; /* owned */
};

struct loaded { /* one file */
    struct am_str bytes;
    char *owned; /* NULL = bytes are the inner table's */
    enum am_rc rc;
    uint32_t a, b; /* width and height, or sample rate and 0 */
    bool animated;
    char reason[240];
};

struct am_table_iter {
    const struct load_table *t;
    struct am_table_iter *inner;
    const struct am_batch *from; /* the inner table's, NULL = take the next */
    size_t at;                   /* rows of it done */
    size_t n, n_media;
    size_t *which, *media;     /* owned [n] columns of l; [n_media] positions in which */
    struct loaded *loaded;     /* owned [n_media * STEP_ROWS] */
    struct am_column *columns; /* owned [n] */
    void **buffers;            /* owned [n] of [STEP_ROWS] */
    struct am_batch batch;
    uint64_t row;
    bool ended;
};

/* ---- one file ---- */

static enum am_rc full_path(const struct load_table *t, struct am_str name, char *out, size_t cap,
                            struct am_err *err)
{
    bool relative = name.len == 0 || name.ptr[0] != '/';
    int n = relative && t->root[0] ? snprintf(out, cap, "%s/%.*s", t->root, AM_FMT(name))
                                   : snprintf(out, cap, "%.*s", AM_FMT(name));
    if (n < 0 || (size_t)n >= cap)
        return am_fail(err, AM_EINVAL, "its name is too long");
    if (memchr(name.ptr, 0, name.len))
        return am_fail(err, AM_EINVAL, "its name is not valid");
    return AM_OK;
}

/* Its size, 0 when that will be an error anyway. */
static uint64_t size_of(const struct load_table *t, struct am_str name)
{
    char path[4096];
    struct stat st;
    if (full_path(t, name, path, sizeof path, NULL) != AM_OK || stat(path, &st) != 0 ||
        st.st_size < 0)
        return 0;
    return (uint64_t)st.st_size;
}

static enum am_rc read_open(int fd, struct loaded *f, struct am_err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return am_fail_errno(err, errno, "it cannot be read");
    if (!S_ISREG(st.st_mode))
        return am_fail(err, AM_EINVAL, "it is not a file");
    if (st.st_size == 0)
        return am_fail(err, AM_EINVAL, "the file is empty");
    if ((uint64_t)st.st_size > AM_LIMIT_MEDIA_FILE_BYTES)
        return am_fail(err, AM_ELIMIT, "the file has %llu bytes, at most %zu are allowed",
                       (unsigned long long)st.st_size, AM_LIMIT_MEDIA_FILE_BYTES);
    f->owned = am_alloc((size_t)st.st_size);
    if (!f->owned)
        return am_fail_nomem(err, (uint64_t)st.st_size);
    AM_TRY(am_fs_pread_all(fd, f->owned, (size_t)st.st_size, 0, err));
    f->bytes = (struct am_str){f->owned, (size_t)st.st_size};
    return AM_OK;
}

static enum am_rc read_path(const struct load_table *t, struct am_str name, struct loaded *f,
                            struct am_err *err)
{
    char path[4096];
    AM_TRY(full_path(t, name, path, sizeof path, err));
    int fd = am_fs()->open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR
                   ? am_fail(err, AM_ENOTFOUND, "the file does not exist")
                   : am_fail_errno(err, errno, "it cannot be opened");
    enum am_rc rc = read_open(fd, f, err);
    (void)am_fs()->close(fd);
    return rc;
}

static enum am_rc check_image(struct loaded *f, struct am_err *err)
{
    struct am_image_info i;
    struct am_image image;
    AM_TRY(am_image_probe(f->bytes, &i, err));
    f->a = i.width;
    f->b = i.height;
    f->animated = i.n_frames > 1;
    if (strcmp(i.format, "raw") == 0)
        return AM_OK; /* sizes are all there is to check */
    AM_TRY(am_image_decode(f->bytes, &image, err));
    am_image_clear(&image);
    return AM_OK;
}

static enum am_rc check_sound(struct loaded *f, struct am_err *err)
{
    struct am_sound_info i;
    struct am_sound sound;
    AM_TRY(am_sound_probe(f->bytes, &i, err));
    f->a = i.sample_rate;
    if (strcmp(i.format, "raw") == 0)
        return AM_OK;
    AM_TRY(am_sound_decode(f->bytes, &sound, err));
    am_sound_clear(&sound);
    return AM_OK;
}

static enum am_rc check_video(struct loaded *f, struct am_err *err)
{
    const struct am_video_take whole = {0};
    struct am_video_info i;
    AM_TRY(am_video_probe(f->bytes, &i, err));
    f->a = i.width;
    f->b = i.height;
    return am_video_frames(f->bytes, &whole, NULL, NULL, err);
}

static enum am_rc load_one(const struct am_table_iter *it, size_t media, size_t row,
                           struct loaded *f, struct am_err *err)
{
    const struct media_load_column *c = &it->t->l.columns[it->which[it->media[media]]];
    size_t inner = it->t->l.inner_whole ? c->inner : it->media[media];
    struct am_str cell = it->from->columns[inner].text[it->at + row];
    f->bytes = cell;
    if (!cell.ptr)
        return AM_OK; /* missing */
    if (c->from == MEDIA_FROM_PATH)
        AM_TRY(read_path(it->t, cell, f, err));
    return c->type == AM_COL_IMAGE   ? check_image(f, err)
           : c->type == AM_COL_VIDEO ? check_video(f, err)
                                     : check_sound(f, err);
}

struct step {
    const struct am_table_iter *it;
    size_t n;
};

static void load_some(void *ctx, size_t begin, size_t end)
{
    const struct step *s = ctx;
    struct am_err err;
    for (size_t i = begin; i < end; i++) {
        struct loaded *f = &s->it->loaded[i];
        *f = (struct loaded){.rc = AM_OK};
        am_err_clear(&err);
        f->rc = load_one(s->it, i / s->n, i % s->n, f, &err);
        if (f->rc == AM_OK)
            continue;
        am_free(f->owned);
        f->owned = NULL;
        snprintf(f->reason, sizeof f->reason, "%.*s", (int)sizeof f->reason - 1, err.message);
    }
}

/* ---- a step ---- */

/* Rows from it->at on whose files are at most the budget together, at least one. */
static size_t rows_of_step(const struct am_table_iter *it)
{
    size_t left = it->from->n_rows - it->at, n = 0;
    uint64_t bytes = 0;
    for (; n < left && n < STEP_ROWS; n++) {
        for (size_t m = 0; m < it->n_media; m++) {
            const struct media_load_column *c = &it->t->l.columns[it->which[it->media[m]]];
            size_t inner = it->t->l.inner_whole ? c->inner : it->media[m];
            struct am_str cell = it->from->columns[inner].text[it->at + n];
            if (cell.ptr && c->from == MEDIA_FROM_PATH)
                bytes += size_of(it->t, cell);
        }
        if (n && bytes > STEP_BYTES)
            break;
    }
    return n;
}

/* The machine failed, not the file. */
static bool is_fatal(enum am_rc rc)
{
    return rc == AM_EMISSING || rc == AM_ENOMEM || rc == AM_EINTERNAL || rc == AM_ECONFLICT ||
           rc == AM_ECANCELED || rc == AM_EBUSY;
}

static struct am_str file_of(const struct am_table_iter *it, size_t media, size_t row, char *number,
                             size_t cap)
{
    const struct media_load *l = &it->t->l;
    const struct media_load_column *c = &l->columns[it->which[it->media[media]]];
    if (l->file != SIZE_MAX)
        return it->from->columns[l->file].text[it->at + row];
    if (c->from == MEDIA_FROM_PATH)
        return it->from->columns[l->inner_whole ? c->inner : it->media[media]].text[it->at + row];
    snprintf(number, cap, am_tr("row %llu"),
             (unsigned long long)(it->from->first_row + it->at + row + 1));
    return am_str(number);
}

static enum am_rc tell_bad(struct am_table_iter *it, size_t media, size_t row, struct loaded *f,
                           struct am_err *err)
{
    char number[64];
    struct am_str file = file_of(it, media, row, number, sizeof number);
    if (is_fatal(f->rc)) { /* once more, for the whole message */
        struct loaded again = {.rc = AM_OK};
        enum am_rc rc = load_one(it, media, row, &again, err);
        am_free(again.owned);
        if (!is_fatal(rc))
            rc = am_fail(err, f->rc, "\"%.*s\": %s", AM_FMT(file), f->reason);
        else if (rc != AM_EMISSING)
            am_context(err, "\"%.*s\"", AM_FMT(file));
        return rc;
    }
    if (it->t->l.strict)
        return am_fail(err, f->rc, "\"%.*s\": %s", AM_FMT(file), f->reason);
    return media_report_bad(it->t->l.report, file, am_str(f->reason), err);
}

static void widen(uint32_t *low, uint32_t *high, uint32_t v)
{
    if (*high == 0 || v < *low)
        *low = v;
    if (v > *high)
        *high = v;
}

static enum am_rc tell_good(struct am_table_iter *it, size_t media, size_t row,
                            const struct loaded *f, struct am_err *err)
{
    struct media_report *r = it->t->l.report;
    if (it->t->l.columns[it->which[it->media[media]]].type == AM_COL_AUDIO) {
        widen(&r->low_rate, &r->high_rate, f->a);
        return AM_OK;
    }
    widen(&r->low[0], &r->high[0], f->a);
    widen(&r->low[1], &r->high[1], f->b);
    if (f->animated && r->n_animated++ == 0) {
        char number[64];
        r->animated = am_arena_str(r->arena, file_of(it, media, row, number, sizeof number));
        if (!r->animated.ptr)
            return am_fail_nomem(err, 64);
    }
    return AM_OK;
}

static enum am_rc count_label(struct am_table_iter *it, size_t row, struct am_err *err)
{
    const struct media_load *l = &it->t->l;
    if (l->label == SIZE_MAX)
        return AM_OK;
    struct am_str label = it->from->columns[l->label].text[it->at + row];
    if (!label.ptr)
        return AM_OK;
    uint64_t *n = am_map_get(&l->report->labels, label);
    if (n) {
        ++*n;
        return AM_OK;
    }
    if (l->report->labels.n >= AM_LIMIT_CLASSES)
        return AM_OK;
    struct am_str key = am_arena_str(l->report->arena, label);
    if (!key.ptr)
        return am_fail_nomem(err, label.len);
    return am_map_put(&l->report->labels, key, 1, err);
}

/* Rows of the step whose files are all good go to picked. */
static enum am_rc judge(struct am_table_iter *it, size_t n, size_t *picked, size_t *n_picked,
                        struct am_err *err)
{
    *n_picked = 0;
    for (size_t i = 0; i < n; i++) {
        bool good = true;
        for (size_t m = 0; m < it->n_media && good; m++) {
            struct loaded *f = &it->loaded[m * n + i];
            good = f->rc == AM_OK;
            if (!good)
                AM_TRY(tell_bad(it, m, i, f, err));
            else if (f->bytes.ptr)
                AM_TRY(tell_good(it, m, i, f, err));
        }
        if (!good)
            continue;
        it->t->l.report->n_good++;
        AM_TRY(count_label(it, i, err));
        picked[(*n_picked)++] = i;
    }
    return AM_OK;
}

static enum am_rc pack(struct am_table_iter *it, const size_t *picked, size_t n, size_t step,
                       struct am_err *err)
{
    size_t media = 0;
    for (size_t k = 0; k < it->n; k++) {
        const struct media_load_column *c = &it->t->l.columns[it->which[k]];
        const struct am_column *from = &it->from->columns[it->t->l.inner_whole ? c->inner : k];
        if (!it->buffers[k])
            it->buffers[k] = am_alloc_array(STEP_ROWS, sizeof(struct am_str));
        if (!it->buffers[k])
            return am_fail_nomem(err, STEP_ROWS * sizeof(struct am_str));
        it->columns[k] = (struct am_column){.type = c->type};
        if (am_col_is_string(c->type)) {
            struct am_str *to = it->buffers[k];
            bool is_media = c->from != MEDIA_AS_IS;
            for (size_t i = 0; i < n; i++)
                to[i] = is_media ? it->loaded[media * step + picked[i]].bytes
                                 : from->text[it->at + picked[i]];
            media += is_media;
            it->columns[k].text = to;
        } else if (c->type == AM_COL_DATE) {
            int64_t *to = it->buffers[k];
            for (size_t i = 0; i < n; i++)
                to[i] = from->date[it->at + picked[i]];
            it->columns[k].date = to;
        } else {
            double *to = it->buffers[k];
            for (size_t i = 0; i < n; i++)
                to[i] = from->number[it->at + picked[i]];
            it->columns[k].number = to;
        }
    }
    return AM_OK;
}

static void forget_step(struct am_table_iter *it)
{
    for (size_t i = 0; it->loaded && i < it->n_media * STEP_ROWS; i++) {
        am_free(it->loaded[i].owned);
        it->loaded[i].owned = NULL;
    }
}

/* At the end: whether what is left is worth a dataset. */
static enum am_rc check_enough(const struct media_report *r, struct am_err *err)
{
    if (r->n_bad == 0 || (r->n_good > 0 && r->n_bad <= r->n_good))
        return AM_OK;
    const struct media_bad *first = &r->bad.ptr[0];
    enum am_rc rc =
        am_fail(err, AM_EINVAL, "%llu of %llu files cannot be used; the first is \"%.200s\": %.*s",
                (unsigned long long)r->n_bad, (unsigned long long)(r->n_bad + r->n_good),
                first->file.ptr, AM_FMT(first->reason));
    am_hint(err, "Repair or remove such files; up to half of the files may be bad, and are left "
                 "out.");
    return rc;
}

static enum am_rc load_next(struct am_table_iter *it, const struct am_batch **out,
                            struct am_err *err)
{
    size_t picked[STEP_ROWS], n_picked = 0;
    *out = NULL;
    it->row += it->batch.n_rows;
    it->batch.n_rows = 0;
    forget_step(it);
    while (n_picked == 0 && !it->ended) {
        if (!it->from || it->at == it->from->n_rows) {
            it->at = 0;
            AM_TRY(it->t->l.inner.ops->next(it->inner, &it->from, err));
            it->ended = it->from == NULL;
            continue;
        }
        struct step s = {it, rows_of_step(it)};
        am_pool_for(it->t->l.pool, s.n * it->n_media, GRAIN, load_some, &s);
        AM_TRY(judge(it, s.n, picked, &n_picked, err));
        if (n_picked)
            AM_TRY(pack(it, picked, n_picked, s.n, err));
        else
            forget_step(it);
        it->at += s.n;
    }
    if (n_picked == 0)
        return check_enough(it->t->l.report, err);
    it->batch = (struct am_batch){
        .n_rows = n_picked, .n_columns = it->n, .columns = it->columns, .first_row = it->row};
    *out = &it->batch;
    return AM_OK;
}

/* ---- the table ---- */

static void load_close(struct am_table_iter *it)
{
    if (!it)
        return;
    forget_step(it);
    it->t->l.inner.ops->close(it->inner);
    for (size_t i = 0; it->buffers && i < it->n; i++)
        am_free(it->buffers[i]);
    am_free(it->buffers);
    am_free(it->columns);
    am_free(it->loaded);
    am_free(it->which);
    am_free(it->media);
    am_free(it);
}

static enum am_rc load_open(void *impl, const size_t *columns, size_t n_columns,
                            struct am_table_iter **out, struct am_err *err)
{
    struct load_table *t = impl;
    enum am_rc rc = AM_OK;
    *out = NULL;
    struct am_table_iter *it = am_calloc(1, sizeof *it);
    if (!it)
        return am_fail_nomem(err, sizeof *it);
    it->t = t;
    it->n = columns ? n_columns : t->l.n;
    it->which = am_calloc(it->n + 1, sizeof *it->which);
    it->media = am_calloc(it->n + 1, sizeof *it->media);
    it->columns = am_calloc(it->n + 1, sizeof *it->columns);
    it->buffers = am_calloc(it->n + 1, sizeof *it->buffers);
    if (!it->which || !it->media || !it->columns || !it->buffers) {
        rc = am_fail_nomem(err, (it->n + 1) * sizeof *it->columns);
        goto out;
    }
    for (size_t i = 0; i < it->n; i++) {
        it->which[i] = columns ? columns[i] : i;
        if (t->l.columns[it->which[i]].from != MEDIA_AS_IS)
            it->media[it->n_media++] = i;
    }
    it->loaded = am_calloc(it->n_media * STEP_ROWS + 1, sizeof *it->loaded);
    if (!it->loaded) {
        rc = am_fail_nomem(err, it->n_media * STEP_ROWS * sizeof *it->loaded);
        goto out;
    }
    media_report_reset(t->l.report);
    bool whole = t->l.inner_whole || !columns;
    AM_GO(rc, t->l.inner.ops->open(t->l.inner.impl, whole ? NULL : columns, whole ? 0 : n_columns,
                                   &it->inner, err));
    *out = it;
    it = NULL;
out:
    load_close(it);
    return rc;
}

static const struct am_schema *load_schema(void *impl)
{
    return &((struct load_table *)impl)->schema;
}
static uint64_t load_n_rows(void *impl)
{
    (void)impl;
    return UINT64_MAX;
}
static void load_free(void *impl)
{
    struct load_table *t = impl;
    if (!t)
        return;
    if (t->l.inner.ops)
        t->l.inner.ops->free(t->l.inner.impl);
    am_free((void *)(uintptr_t)t->l.columns);
    am_free(t->desc);
    am_free(t->root);
    am_free(t);
}

static const struct am_table_ops load_ops = {.schema = load_schema,
                                             .n_rows = load_n_rows,
                                             .open = load_open,
                                             .next = load_next,
                                             .close = load_close,
                                             .free = load_free};

enum am_rc media_load_table(const struct media_load *l, struct am_table *out, struct am_err *err)
{
    struct media_load_column *columns = am_calloc(l->n + 1, sizeof *columns);
    struct load_table *t = am_calloc(1, sizeof *t);
    *out = (struct am_table){0};
    if (t) {
        t->l = *l;
        t->l.columns = columns;
        t->desc = am_calloc(l->n + 1, sizeof *t->desc);
        t->root = am_strndup(l->root.ptr ? l->root.ptr : "", l->root.len);
    }
    if (!columns || !t || !t->desc || !t->root) {
        if (t)
            load_free(t);
        else {
            l->inner.ops->free(l->inner.impl);
            am_free(columns);
        }
        return am_fail_nomem(err, (l->n + 1) * sizeof *columns);
    }
    for (size_t i = 0; i < l->n; i++) {
        columns[i] = l->columns[i];
        t->desc[i] = (struct am_column_desc){columns[i].name, columns[i].type};
    }
    t->schema = (struct am_schema){t->desc, l->n};
    *out = (struct am_table){&load_ops, t};
    return AM_OK;
}
