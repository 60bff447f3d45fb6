/* Archives of pictures, sounds or videos: zip and tar (gzip, bzip2, xz, zstd), read in memory.
 *
 * Two passes in the archive's order: the first knows every name, so that classes are known before
 * the first row; the second hands out bytes. Every byte that comes out of the unpacker is counted
 * against base/limits.h, also of entries that are skipped. */
#include "data/media_rows.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "data/unpack.h"

struct archive_impl {
    struct media_entries e; /* first: what media_entry_row reads */
    struct am_str path, label;
    uint64_t n_bytes; /* of the file */
};

struct reader {
    const struct archive_api *api;
    struct archive *archive; /* owned */
    struct am_str label;
    uint64_t packed, unpacked;
};

static bool ends(struct am_str name, const char *ending)
{
    size_t n = strlen(ending);
    if (name.len <= n)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = name.ptr[name.len - n + i];
        if ((c >= 'A' && c <= 'Z' ? c | 32 : c) != ending[i])
            return false;
    }
    return true;
}

bool media_is_archive(struct am_str name)
{
    static const char *const endings[] = {".zip",    ".tar", ".tar.gz",  ".tgz", ".tar.bz2",
                                          ".tar.xz", ".txz", ".tar.zst", ".tbz2"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (ends(name, endings[i]))
            return true;
    return false;
}

static enum am_rc fail_archive(const struct reader *r, struct am_err *err)
{
    const char *why = r->api->archive_error_string(r->archive);
    if (r->api->archive_errno(r->archive) == ENOMEM)
        return am_fail_nomem(err, 0);
    enum am_rc rc = am_fail(err, AM_EINVAL, "archive \"%.*s\" is damaged: %.200s", AM_FMT(r->label),
                            why ? why : am_tr("it cannot be read"));
    am_hint(err, "Make it again, or unpack it into a folder and give the folder.");
    return rc;
}

static void reader_close(struct reader *r)
{
    if (r->archive)
        (void)r->api->archive_read_free(r->archive);
    r->archive = NULL;
}

static enum am_rc reader_open(struct reader *r, const struct archive_impl *i, struct am_err *err)
{
    *r = (struct reader){.label = i->label, .packed = i->n_bytes};
    AM_TRY(archive_api_open(&r->api, err));
    r->archive = r->api->archive_read_new();
    if (!r->archive)
        return am_fail_nomem(err, sizeof *r);
    const struct archive_api *api = r->api;
    (void)api->archive_read_support_format_zip(r->archive);
    (void)api->archive_read_support_format_tar(r->archive);
    (void)api->archive_read_support_filter_gzip(r->archive);
    (void)api->archive_read_support_filter_bzip2(r->archive);
    (void)api->archive_read_support_filter_xz(r->archive);
    (void)api->archive_read_support_filter_zstd(r->archive);
    if (api->archive_read_open_filename(r->archive, i->path.ptr, (size_t)256 << 10) == ARCHIVE_OK)
        return AM_OK;
    enum am_rc rc = fail_archive(r, err);
    reader_close(r);
    return rc;
}

/* *entry = NULL at the end */
static enum am_rc next_entry(struct reader *r, struct archive_entry **entry, struct am_err *err)
{
    int got = r->api->archive_read_next_header(r->archive, entry);
    if (got == ARCHIVE_EOF) {
        *entry = NULL;
        return AM_OK;
    }
    return got == ARCHIVE_OK || got == ARCHIVE_WARN ? AM_OK : fail_archive(r, err);
}

static enum am_rc count_bytes(struct reader *r, size_t n, struct am_err *err)
{
    r->unpacked += n;
    bool ratio = r->unpacked > AM_LIMIT_ARCHIVE_RATIO_FREE &&
                 r->unpacked / AM_LIMIT_ARCHIVE_RATIO > r->packed;
    if (r->unpacked <= AM_LIMIT_ARCHIVE_BYTES && !ratio)
        return AM_OK;
    enum am_rc rc =
        am_fail(err, AM_ELIMIT, "archive \"%.*s\" unpacks to more than %llu bytes out of %llu",
                AM_FMT(r->label), (unsigned long long)r->unpacked, (unsigned long long)r->packed);
    am_hint(err, "At most %d times its size is unpacked; give trusted files as a folder.",
            AM_LIMIT_ARCHIVE_RATIO);
    return rc;
}

enum read_end { READ_WHOLE, READ_TOO_LARGE, READ_DAMAGED };
/* The entry's bytes: up to cap of them into out, all of them counted. A damaged entry of a zip does
 * not end the archive. */
static enum am_rc read_entry(struct reader *r, struct am_buf *out, size_t cap, enum read_end *end,
                             struct am_err *err)
{
    const void *block;
    size_t n;
    la_int64_t offset, at = 0;
    *end = READ_WHOLE;
    for (;;) {
        int got = r->api->archive_read_data_block(r->archive, &block, &n, &offset);
        if (got == ARCHIVE_EOF)
            return AM_OK;
        if (got == ARCHIVE_FATAL)
            return fail_archive(r, err);
        if (got != ARCHIVE_OK && got != ARCHIVE_WARN) {
            *end = READ_DAMAGED;
            return AM_OK;
        }
        AM_TRY(count_bytes(r, n, err));
        if (offset != at || n > cap - out->len) { /* sparse files are no pictures */
            *end = READ_TOO_LARGE;
            n = cap - out->len;
            if (offset != at)
                continue;
        }
        at += (la_int64_t)n;
        am_buf_add(out, block, n);
        AM_TRY(am_buf_check(out, err));
    }
}

/* Why a name is not taken; nothing is written anywhere, but such a name means harm. */
static const char *check_name(struct am_str name)
{
    if (name.len == 0 || !am_utf8_valid(name) || memchr(name.ptr, 0, name.len))
        return AM_N("its name is not UTF-8");
    if (name.ptr[0] == '/' || name.ptr[0] == '\\' || (name.len > 1 && name.ptr[1] == ':'))
        return AM_N("its name is absolute");
    for (size_t from = 0; from <= name.len;) {
        size_t end = from;
        while (end < name.len && name.ptr[end] != '/' && name.ptr[end] != '\\')
            end++;
        if (end - from == 2 && memcmp(name.ptr + from, "..", 2) == 0)
            return AM_N("its name leads out of the archive");
        from = end + 1;
    }
    return NULL;
}

static bool any_ignored(struct am_str name)
{
    for (size_t from = 0; from <= name.len;) {
        size_t end = from;
        while (end < name.len && name.ptr[end] != '/')
            end++;
        struct am_str part = {name.ptr + from, end - from};
        if (!am_str_is(part, ".") && !am_str_is(part, "..") && part.len && media_name_ignored(part))
            return true;
        from = end + 1;
    }
    return false;
}

/* false: a folder, or a file that nobody means */
static bool entry_of(const struct reader *r, struct archive_entry *entry, struct am_str *name,
                     const char **reason)
{
    const char *text = r->api->archive_entry_pathname_utf8(entry);
    if (!text)
        text = r->api->archive_entry_pathname(entry);
    *name = am_str(text ? text : "");
    while (name->len > 2 && name->ptr[0] == '.' && name->ptr[1] == '/')
        *name = (struct am_str){name->ptr + 2, name->len - 2};
    unsigned type = r->api->archive_entry_filetype(entry);
    *reason = check_name(*name);
    if (type == AE_IFDIR || any_ignored(*name))
        return *reason != NULL && type != AE_IFDIR;
    if (!*reason && (type == AE_IFLNK || r->api->archive_entry_hardlink(entry)))
        *reason = AM_N("it is a link");
    if (!*reason && type != AE_IFREG)
        *reason = AM_N("it is not a file");
    if (!*reason && r->api->archive_entry_is_encrypted(entry))
        *reason = AM_N("it is encrypted");
    return true;
}

static enum am_rc list_entries(struct reader *r, struct archive_impl *impl, struct am_arena *a,
                               struct am_err *err)
{
    AM_VEC(struct media_entry) found = {0};
    struct am_buf head;
    enum am_rc rc = AM_OK;
    am_buf_init(&head, 64);
    for (;;) {
        struct archive_entry *entry;
        struct am_str name;
        enum read_end end;
        AM_GO(rc, next_entry(r, &entry, err));
        if (!entry)
            break;
        struct media_entry m = {0};
        bool kept = entry_of(r, entry, &name, &m.reason);
        if (kept && found.len >= AM_LIMIT_ARCHIVE_FILES) {
            rc = am_fail(err, AM_ELIMIT, "archive \"%.*s\" has more than %d files",
                         AM_FMT(impl->label), AM_LIMIT_ARCHIVE_FILES);
            goto out;
        }
        m.name = kept ? am_arena_str(a, name) : (struct am_str){0};
        am_buf_reset(&head);
        AM_GO(rc, read_entry(r, &head, 16, &end, err));
        if (!kept)
            continue;
        enum media_kind kind = media_kind_of_name(m.name);
        if (kind == MEDIA_NONE)
            kind = media_kind_of_head(am_buf_view(&head));
        m.kind = (uint8_t)kind;
        if (!m.name.ptr || !am_vec_push(&found, m)) {
            rc = am_fail_nomem(err, sizeof m);
            goto out;
        }
    }
    impl->e.items = am_arena_array(a, found.len + 1, sizeof *impl->e.items);
    if (!impl->e.items) {
        rc = am_fail_nomem(err, found.len * sizeof *impl->e.items);
        goto out;
    }
    if (found.len)
        memcpy(impl->e.items, found.ptr, found.len * sizeof *found.ptr);
    impl->e.n = found.len;
out:
    am_buf_clear(&head);
    am_vec_clear(&found);
    return rc;
}

/* ---- the form ---- */

struct state {
    const struct media_source *s;
    const struct archive_impl *impl;
    struct reader r;
    struct am_buf bytes;
    size_t at;
    bool ended;
};

static void archive_stop(void *state)
{
    struct state *st = state;
    if (!st)
        return;
    reader_close(&st->r);
    am_buf_clear(&st->bytes);
    am_free(st);
}

static enum am_rc archive_start(const struct media_source *s, void **state, struct am_err *err)
{
    struct state *st = am_calloc(1, sizeof *st);
    if (!st)
        return am_fail_nomem(err, sizeof *st);
    st->s = s;
    st->impl = s->impl;
    am_buf_init(&st->bytes, AM_LIMIT_MEDIA_FILE_BYTES + 1);
    enum am_rc rc = reader_open(&st->r, st->impl, err);
    if (rc != AM_OK)
        archive_stop(st);
    else
        *state = st;
    return rc;
}

/* The bytes of the row just added; the row goes again when they are not all there. */
static enum am_rc take_bytes(struct state *st, struct media_rows *rows, struct media_report *report,
                             struct am_err *err)
{
    enum read_end end;
    struct am_str name = rows->cells[CELL_FILE][rows->n - 1];
    am_buf_reset(&st->bytes);
    AM_TRY(read_entry(&st->r, &st->bytes, AM_LIMIT_MEDIA_FILE_BYTES, &end, err));
    if (end == READ_WHOLE) {
        struct am_str copy = am_arena_str(rows->arena, am_buf_view(&st->bytes));
        rows->cells[CELL_MEDIA][rows->n - 1] = copy;
        return copy.ptr ? AM_OK : am_fail_nomem(err, st->bytes.len);
    }
    rows->n--;
    return media_report_bad(report, name,
                            am_str(end == READ_TOO_LARGE
                                       ? am_tr("it is larger than a picture or sound may be")
                                       : am_tr("it is damaged in the archive")),
                            err);
}

static enum am_rc fail_changed(const struct state *st, struct am_err *err)
{
    enum am_rc rc = am_fail(err, AM_EINVAL, "archive \"%.*s\" changed while it was read",
                            AM_FMT(st->impl->label));
    am_hint(err, "Import it again when nobody writes to it.");
    return rc;
}

static enum am_rc archive_fill(void *state, struct media_rows *rows, struct media_report *report,
                               struct am_err *err)
{
    struct state *st = state;
    while (!st->ended && rows->n < rows->cap && am_arena_used(rows->arena) < MEDIA_BATCH_BYTES) {
        struct archive_entry *entry;
        struct am_str name;
        const char *reason;
        bool added;
        AM_TRY(next_entry(&st->r, &entry, err));
        st->ended = !entry;
        if (!entry)
            return st->at == st->impl->e.n ? AM_OK : fail_changed(st, err);
        if (!entry_of(&st->r, entry, &name, &reason)) {
            enum read_end end;
            am_buf_reset(&st->bytes);
            AM_TRY(read_entry(&st->r, &st->bytes, 0, &end, err));
            continue;
        }
        if (st->at >= st->impl->e.n || !am_str_eq(name, st->impl->e.items[st->at].name))
            return fail_changed(st, err);
        AM_TRY(media_entry_row(st->s, &st->impl->e, st->at++, rows, report, &added, err));
        if (added) {
            AM_TRY(take_bytes(st, rows, report, err));
        } else {
            enum read_end end;
            am_buf_reset(&st->bytes);
            AM_TRY(read_entry(&st->r, &st->bytes, 0, &end, err));
        }
    }
    return AM_OK;
}

static const struct media_form form = {"archive", true, archive_start, archive_fill, archive_stop};

enum am_rc media_archive_open(struct am_str path, struct am_str label, struct am_arena *a,
                              struct media_source **out, struct am_err *err)
{
    struct reader r = {0};
    struct stat st;
    *out = NULL;
    struct media_source *s = am_arena_zalloc(a, sizeof *s);
    struct archive_impl *impl = am_arena_zalloc(a, sizeof *impl);
    if (!s || !impl)
        return am_fail_nomem(err, sizeof *impl);
    *impl = (struct archive_impl){.path = am_arena_str(a, path), .label = am_arena_str(a, label)};
    AM_TRY(am_arena_check(a, err));
    if (stat(impl->path.ptr, &st) == 0)
        impl->n_bytes = (uint64_t)st.st_size;
    AM_TRY(reader_open(&r, impl, err));
    enum am_rc rc = list_entries(&r, impl, a, err);
    reader_close(&r);
    AM_TRY(rc);
    media_layout(&impl->e, MEDIA_STRIP_COMMON);
    if (impl->e.kind == MEDIA_NONE) {
        rc = am_fail(err, AM_EINVAL, "archive \"%.*s\" has no pictures, sounds or videos",
                     AM_FMT(label));
        am_hint(
            err,
            "Pack class folders with pictures, sounds or videos; unpack other archives and name "
            "the files in them.");
        return rc;
    }
    *s = (struct media_source){.form = &form, .impl = impl, .kind = impl->e.kind};
    s->has[CELL_MEDIA] = s->has[CELL_FILE] = true;
    s->has[CELL_LABEL] = impl->e.has_label;
    s->has[CELL_SPLIT] = impl->e.has_split;
    *out = s;
    return AM_OK;
}
