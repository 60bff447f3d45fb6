/* What the forms of media sources share: kinds of files, the report, the table over a form's rows.
 */
#include "data/media_rows.h"

#include <sys/stat.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/tree.h"

/* ---- kinds ---- */

static bool ends_with(struct am_str name, const char *ending)
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

enum media_kind media_kind_of_name(struct am_str name)
{
    static const char *const images[] = {".png",  ".jpg",  ".jpeg", ".gif", ".webp", ".bmp",
                                         ".tif",  ".tiff", ".ppm",  ".pgm", ".pnm",  ".jfif",
                                         ".avif", ".heic", ".heif", ".jxl"};
    static const char *const sounds[] = {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3",
                                         ".aif", ".aiff", ".au",  ".snd", ".caf",  ".w64"};
    static const char *const videos[] = {".mp4", ".m4v", ".mov",  ".avi", ".mkv",  ".webm",
                                         ".ogv", ".mpg", ".mpeg", ".mts", ".m2ts", ".ts",
                                         ".flv", ".wmv", ".asf",  ".3gp"};
    for (size_t i = 0; i < sizeof videos / sizeof videos[0]; i++)
        if (ends_with(name, videos[i]))
            return MEDIA_VIDEO;
    for (size_t i = 0; i < sizeof images / sizeof images[0]; i++)
        if (ends_with(name, images[i]))
            return MEDIA_IMAGE;
    for (size_t i = 0; i < sizeof sounds / sizeof sounds[0]; i++)
        if (ends_with(name, sounds[i]))
            return MEDIA_AUDIO;
    return MEDIA_NONE;
}

static bool at(struct am_str head, size_t where, const char *magic, size_t n)
{
    return head.len >= where + n && memcmp(head.ptr + where, magic, n) == 0;
}

/* MP4 and its kin, but for HEIF pictures and plain sounds; AVI, Matroska, MPEG, FLV, ASF. */
static bool is_video_head(struct am_str h)
{
    if (at(h, 4, "ftyp", 4))
        return !at(h, 8, "heic", 4) && !at(h, 8, "mif1", 4) && !at(h, 8, "avif", 4) &&
               !at(h, 8, "M4A ", 4);
    return (at(h, 0, "RIFF", 4) && at(h, 8, "AVI ", 4)) || at(h, 0, "\x1A\x45\xDF\xA3", 4) ||
           at(h, 0, "\0\0\x01\xBA", 4) || at(h, 0, "\0\0\x01\xB3", 4) || at(h, 0, "FLV\x01", 4) ||
           at(h, 0, "\x30\x26\xB2\x75\x8E\x66\xCF\x11", 8) || at(h, 0, "AMVI", 4);
}

enum media_kind media_kind_of_head(struct am_str h)
{
    bool riff = at(h, 0, "RIFF", 4), form = at(h, 0, "FORM", 4);
    if (at(h, 0, "\x89PNG", 4) || at(h, 0, "\xff\xd8\xff", 3) || at(h, 0, "GIF8", 4) ||
        at(h, 0, "BM", 2) || at(h, 0, "II*\0", 4) || at(h, 0, "MM\0*", 4) || at(h, 0, "AMIM", 4) ||
        (riff && at(h, 8, "WEBP", 4)))
        return MEDIA_IMAGE;
    if ((riff && at(h, 8, "WAVE", 4)) || at(h, 0, "fLaC", 4) || at(h, 0, "OggS", 4) ||
        (form && at(h, 8, "AIF", 3)) || at(h, 0, ".snd", 4) || at(h, 0, "ID3", 3) ||
        at(h, 0, "AMAU", 4))
        return MEDIA_AUDIO;
    return is_video_head(h) ? MEDIA_VIDEO : MEDIA_NONE;
}

bool media_name_ignored(struct am_str base)
{
    return base.len == 0 || base.ptr[0] == '.' || am_str_is(base, "Thumbs.db") ||
           am_str_is(base, "desktop.ini") || am_str_is(base, "__MACOSX");
}

/* ---- the report ---- */

enum am_rc media_report_init(struct media_report *r, struct am_err *err)
{
    *r = (struct media_report){.arena = am_arena_new(0)};
    am_map_init(&r->labels);
    return r->arena ? AM_OK : am_fail_nomem(err, sizeof *r);
}

void media_report_reset(struct media_report *r)
{
    struct am_arena *arena = r->arena;
    am_arena_reset(arena);
    am_map_clear(&r->labels);
    am_vec_clear(&r->bad);
    *r = (struct media_report){.arena = arena};
    am_map_init(&r->labels);
}

void media_report_clear(struct media_report *r)
{
    am_map_clear(&r->labels);
    am_vec_clear(&r->bad);
    am_arena_free(r->arena);
    *r = (struct media_report){0};
}

enum am_rc media_report_bad(struct media_report *r, struct am_str file, struct am_str reason,
                            struct am_err *err)
{
    r->n_bad++;
    if (r->bad.len >= MEDIA_LISTED)
        return AM_OK;
    char *name = am_arena_alloc(r->arena, file.len + 1);
    struct media_bad b = {{name, file.len}, am_arena_str(r->arena, reason)};
    if (!name || !b.reason.ptr)
        return am_fail_nomem(err, file.len);
    if (file.len)
        memcpy(name, file.ptr, file.len);
    name[file.len] = '\0';
    bool text = am_utf8_valid(b.file);
    for (size_t i = 0; i < file.len && !text; i++)
        if ((unsigned char)name[i] >= 128)
            name[i] = '?';
    return am_vec_push(&r->bad, b) ? AM_OK : am_fail_nomem(err, sizeof b);
}

enum am_rc media_report_unfit(struct media_report *r, struct am_str file, struct am_err *err)
{
    if (r->n_unfit++ > 0)
        return AM_OK;
    bool text = am_utf8_valid(file);
    r->unfit = am_arena_str(r->arena, text ? file : AM_STR("?"));
    return r->unfit.ptr ? AM_OK : am_fail_nomem(err, file.len);
}

static void add_note(struct am_node *notes, const char *kind, struct am_str text,
                     struct am_arena *a)
{
    struct am_node *m = am_new_map(a);
    am_node_set(a, m, "kind", am_new_cstr(a, kind));
    am_node_set(a, m, "text", am_new_str(a, text));
    am_node_push(a, notes, m);
}

static void add_notes(const struct media_report *r, struct am_node *notes, struct am_arena *a)
{
    if (r->n_animated)
        add_note(notes, "animated",
                 am_arena_printf(a,
                                 am_tr("%llu files are animated, their first picture is used; the "
                                       "first one is \"%.*s\""),
                                 (unsigned long long)r->n_animated, AM_FMT(r->animated)),
                 a);
    if (r->n_unfit)
        add_note(notes, "pattern",
                 am_arena_printf(a,
                                 am_tr("%llu files do not fit data.pattern and are left out; the "
                                       "first one is \"%.*s\""),
                                 (unsigned long long)r->n_unfit, AM_FMT(r->unfit)),
                 a);
    if (r->low[0] != r->high[0] || r->low[1] != r->high[1])
        add_note(notes, "sizes",
                 am_arena_printf(a,
                                 am_tr("pictures have %u to %u pixels in width and %u to %u in "
                                       "height: they are brought to one size"),
                                 r->low[0], r->high[0], r->low[1], r->high[1]),
                 a);
    if (r->low_rate != r->high_rate)
        add_note(notes, "rates",
                 am_arena_printf(a,
                                 am_tr("sounds have %u to %u samples a second: they are brought "
                                       "to one rate"),
                                 r->low_rate, r->high_rate),
                 a);
    for (size_t i = 0, told = 0; i < r->labels.n && told < 20; i++) {
        if (r->labels.entries[i].value != 1)
            continue;
        told++;
        add_note(notes, "one_file",
                 am_arena_printf(a,
                                 am_tr("class \"%.*s\" has one file: it cannot be in training and "
                                       "test"),
                                 AM_FMT(r->labels.entries[i].key)),
                 a);
    }
}

struct am_node *media_report_to_node(const struct media_report *r, struct am_arena *a)
{
    struct am_node *m = am_new_map(a), *list = am_new_list(a), *notes = am_new_list(a);
    am_node_set(a, m, "files", am_new_i64(a, (int64_t)(r->n_good + r->n_bad)));
    am_node_set(a, m, "n_bad", am_new_i64(a, (int64_t)r->n_bad));
    for (size_t i = 0; i < r->bad.len; i++) {
        struct am_node *one = am_new_map(a);
        am_node_set(a, one, "file", am_new_str(a, r->bad.ptr[i].file));
        am_node_set(a, one, "reason", am_new_str(a, r->bad.ptr[i].reason));
        am_node_push(a, list, one);
    }
    add_notes(r, notes, a);
    if (r->n_bad)
        am_node_set(a, m, "bad", list);
    am_node_set(a, m, "notes", notes);
    return m;
}

/* ---- the table of a form's rows ---- */

const char *media_column_name(const struct media_source *s, enum media_cell c)
{
    static const char *const names[CELL_FIELD] = {"", "label", "file", "split", "coarse"};
    if (c >= CELL_FIELD)
        return media_pattern_name(s->pattern, (size_t)(c - CELL_FIELD)).ptr;
    return c != CELL_MEDIA          ? names[c]
           : s->kind == MEDIA_AUDIO ? "audio"
           : s->kind == MEDIA_VIDEO ? "video"
                                    : "image";
}

struct rows_table {
    const struct media_source *s;
    struct media_report *report;
    struct am_column_desc desc[MEDIA_CELLS];
    enum media_cell cells[MEDIA_CELLS]; /* [schema.n] */
    struct am_schema schema;
};

struct am_table_iter {
    const struct rows_table *t;
    void *state; /* the form's */
    struct media_rows rows;
    struct am_column columns[MEDIA_CELLS];
    struct am_batch batch;
    uint64_t row;
    bool ended;
};

static void rows_close(struct am_table_iter *it)
{
    if (!it)
        return;
    it->t->s->form->stop(it->state);
    am_arena_free(it->rows.arena);
    for (size_t i = 0; i < MEDIA_CELLS; i++)
        am_free(it->rows.cells[i]);
    am_free(it);
}

/* All columns, whatever is asked for. */
static enum am_rc rows_open(void *impl, const size_t *columns, size_t n_columns,
                            struct am_table_iter **out, struct am_err *err)
{
    const struct rows_table *t = impl;
    enum am_rc rc = AM_OK;
    (void)columns;
    (void)n_columns;
    *out = NULL;
    struct am_table_iter *it = am_calloc(1, sizeof *it);
    if (!it)
        return am_fail_nomem(err, sizeof *it);
    it->t = t;
    it->rows.cap = MEDIA_BATCH_ROWS;
    it->rows.arena = am_arena_new(MEDIA_BATCH_BYTES * 4 + AM_LIMIT_MEDIA_FILE_BYTES * 2);
    bool ok = it->rows.arena != NULL;
    for (size_t i = 0; i < MEDIA_CELLS; i++) {
        it->rows.cells[i] = am_calloc(it->rows.cap, sizeof(struct am_str));
        ok &= it->rows.cells[i] != NULL;
    }
    if (!ok) {
        rc = am_fail_nomem(err, it->rows.cap * sizeof(struct am_str));
        goto out;
    }
    AM_GO(rc, t->s->form->start(t->s, &it->state, err));
    *out = it;
    it = NULL;
out:
    rows_close(it);
    return rc;
}

static enum am_rc rows_next(struct am_table_iter *it, const struct am_batch **out,
                            struct am_err *err)
{
    *out = NULL;
    it->row += it->batch.n_rows;
    it->batch.n_rows = 0;
    if (it->ended)
        return AM_OK;
    it->rows.n = 0;
    am_arena_reset(it->rows.arena);
    AM_TRY(it->t->s->form->fill(it->state, &it->rows, it->t->report, err));
    AM_TRY(am_arena_check(it->rows.arena, err));
    if (it->rows.n == 0) {
        it->ended = true;
        return AM_OK;
    }
    for (size_t i = 0; i < it->t->schema.n; i++)
        it->columns[i] = (struct am_column){.type = it->t->desc[i].type,
                                            .text = it->rows.cells[it->t->cells[i]]};
    it->batch = (struct am_batch){.n_rows = it->rows.n,
                                  .n_columns = it->t->schema.n,
                                  .columns = it->columns,
                                  .first_row = it->row};
    *out = &it->batch;
    return AM_OK;
}

static const struct am_schema *rows_schema(void *impl)
{
    return &((struct rows_table *)impl)->schema;
}
static uint64_t rows_n(void *impl)
{
    (void)impl;
    return UINT64_MAX;
}
static void rows_free(void *impl)
{
    am_free(impl);
}

static const struct am_table_ops rows_ops = {.schema = rows_schema,
                                             .n_rows = rows_n,
                                             .open = rows_open,
                                             .next = rows_next,
                                             .close = rows_close,
                                             .free = rows_free};

enum am_rc media_rows_table(const struct media_source *s, struct media_report *report,
                            struct am_table *out, struct am_err *err)
{
    *out = (struct am_table){0};
    struct rows_table *t = am_calloc(1, sizeof *t);
    if (!t)
        return am_fail_nomem(err, sizeof *t);
    t->s = s;
    t->report = report;
    size_t n = 0;
    for (enum media_cell c = CELL_MEDIA; c < MEDIA_CELLS; c++) {
        if (!s->has[c])
            continue;
        enum am_col_type type = c != CELL_MEDIA          ? AM_COL_TEXT
                                : s->kind == MEDIA_AUDIO ? AM_COL_AUDIO
                                : s->kind == MEDIA_VIDEO ? AM_COL_VIDEO
                                                         : AM_COL_IMAGE;
        t->cells[n] = c;
        t->desc[n++] = (struct am_column_desc){am_str(media_column_name(s, c)), type};
    }
    t->schema = (struct am_schema){t->desc, n};
    *out = (struct am_table){&rows_ops, t};
    return AM_OK;
}

/* ---- which form ---- */

static bool is_folder(struct am_str path)
{
    struct stat st;
    return stat(path.ptr, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool all_are(const struct am_str *paths, size_t n, bool (*is)(struct am_str name))
{
    for (size_t i = 0; i < n; i++)
        if (!is(paths[i]))
            return false;
    return n > 0;
}

static bool is_media(struct am_str name)
{
    return media_kind_of_name(name) != MEDIA_NONE;
}

static enum am_rc fail_more_than_one(struct am_str label, struct am_err *err)
{
    enum am_rc rc = am_fail(err, AM_EINVAL, "\"%.*s\" stands among other sources", AM_FMT(label));
    am_hint(err, "Give one folder or one archive of class folders as data.source.");
    return rc;
}

enum am_rc media_source_open(const struct am_str *paths, const struct am_str *labels, size_t n,
                             struct am_arena *a, struct media_source **out, struct am_err *err)
{
    *out = NULL;
    for (size_t i = 0; i < n; i++) {
        bool folder = is_folder(paths[i]);
        if (!folder && !media_is_archive(paths[i]))
            continue;
        if (n > 1)
            return fail_more_than_one(labels[i], err);
        return folder ? media_folder_open(paths[i], labels[i], a, out, err)
                      : media_archive_open(paths[i], labels[i], a, out, err);
    }
    if (all_are(paths, n, media_is_idx))
        return media_idx_open(paths, n, a, out, err);
    if (all_are(paths, n, media_is_cifar))
        return media_cifar_open(paths, n, a, out, err);
    if (all_are(paths, n, is_media))
        return media_list_open(paths, labels, n, a, out, err);
    return AM_OK;
}
