/* Names of files to columns: `data.pattern`, as "{digit}_{speaker}_*.wav".
 *
 * A pattern is compared with the end of a file's name: as many folders of it as the pattern names.
 * `*` and `{column}` stand for characters without a slash, as few as will fit (a column for at
 * least one); no two of them touch, so the leftmost fit is the only one that need be tried, in one
 * pass. */
#include "data/media_rows.h"

#define WILDS_MAX 16
#define NAME_MAX_BYTES 64

struct media_pattern { /* head wild after wild after ... */
    struct am_str text, head;
    struct {
        size_t field; /* SIZE_MAX = a star */
        struct am_str after;
    } wilds[WILDS_MAX];
    size_t n_wilds;
    struct am_str names[MEDIA_FIELDS];
    size_t n_names;
    size_t n_folders;
};

static enum am_rc fail_pattern(struct am_str text, const char *why, struct am_err *err)
{
    enum am_rc rc = am_fail(err, AM_EUSAGE, "data.pattern \"%.*s\": %s", AM_FMT(text), am_tr(why));
    am_hint(err, "Write what the files' names are made of, as \"{digit}_{speaker}_*.wav\" or "
                 "\"{label}/*.png\".");
    return rc;
}

static bool reserved(struct am_str name)
{
    static const char *const names[] = {"image", "audio", "video", "file"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (am_str_is(name, names[i]))
            return true;
    return false;
}

/* Why this cannot be the next column's name; NULL = it can. */
static const char *bad_name(const struct media_pattern *p, struct am_str name)
{
    if (name.len == 0 || name.len > NAME_MAX_BYTES)
        return AM_N("a column's name has 1 to 64 bytes");
    if (!am_utf8_valid(name) || memchr(name.ptr, '/', name.len) ||
        memchr(name.ptr, '*', name.len) || memchr(name.ptr, '{', name.len))
        return AM_N("a brace is not closed");
    if (reserved(name))
        return AM_N("image, audio, video and file are columns already");
    for (size_t i = 0; i < p->n_names; i++)
        if (am_str_eq(p->names[i], name))
            return AM_N("a column is named twice");
    return p->n_names == MEDIA_FIELDS ? AM_N("it names more than 8 columns") : NULL;
}

/* The wildcard at text[at]; *next = behind it. */
static const char *add_wild(struct media_pattern *p, size_t at, size_t *next)
{
    if (p->n_wilds == WILDS_MAX)
        return AM_N("it has more than 16 stars and columns");
    p->wilds[p->n_wilds].field = SIZE_MAX;
    p->wilds[p->n_wilds].after = (struct am_str){p->text.ptr + at + 1, 0};
    *next = at + 1;
    if (p->text.ptr[at] == '{') {
        const char *end = memchr(p->text.ptr + at, '}', p->text.len - at);
        if (!end)
            return AM_N("a brace is not closed");
        struct am_str name = {p->text.ptr + at + 1, (size_t)(end - p->text.ptr) - at - 1};
        const char *why = bad_name(p, name);
        if (why)
            return why;
        p->wilds[p->n_wilds].field = p->n_names;
        p->names[p->n_names++] = name;
        *next = (size_t)(end - p->text.ptr) + 1;
    }
    p->wilds[p->n_wilds++].after = (struct am_str){p->text.ptr + *next, 0};
    return NULL;
}

static const char *parse(struct media_pattern *p)
{
    p->head = (struct am_str){p->text.ptr, 0};
    for (size_t i = 0; i < p->text.len;) {
        char c = p->text.ptr[i];
        struct am_str *literal = p->n_wilds ? &p->wilds[p->n_wilds - 1].after : &p->head;
        if (c == '}')
            return AM_N("a brace is not opened");
        if (c != '{' && c != '*') {
            p->n_folders += c == '/';
            literal->len++;
            i++;
            continue;
        }
        if (p->n_wilds && literal->len == 0)
            return AM_N("nothing stands between two columns or stars");
        const char *why = add_wild(p, i, &i);
        if (why)
            return why;
    }
    return p->n_names == 0 ? AM_N("it names no column") : NULL;
}

static bool is_at(struct am_str s, size_t at, struct am_str what)
{
    return s.len - at >= what.len && memcmp(s.ptr + at, what.ptr, what.len) == 0;
}

/* The last folders and the name, as many as the pattern has; NULL ptr = it has fewer. */
static struct am_str tail_of(struct am_str name, size_t n_folders)
{
    size_t from = name.len;
    for (;; from--) {
        if (from > 0 && name.ptr[from - 1] != '/')
            continue;
        if (n_folders-- == 0)
            return (struct am_str){name.ptr + from, name.len - from};
        if (from == 0)
            return (struct am_str){NULL, 0};
    }
}

bool media_pattern_fits(const struct media_pattern *p, struct am_str name,
                        struct am_str fields[MEDIA_FIELDS])
{
    struct am_str s = tail_of(name, p->n_folders);
    if (!s.ptr || !is_at(s, 0, p->head))
        return false;
    size_t at = p->head.len;
    for (size_t i = 0; i < p->n_wilds; i++) {
        struct am_str after = p->wilds[i].after;
        size_t from = at, least = p->wilds[i].field != SIZE_MAX;
        bool last = i + 1 == p->n_wilds;
        while (at - from < least || !is_at(s, at, after) || (last && at + after.len != s.len)) {
            if (at == s.len || s.ptr[at] == '/')
                return false;
            at++;
        }
        if (least)
            fields[p->wilds[i].field] = (struct am_str){s.ptr + from, at - from};
        at += after.len;
    }
    return true;
}

struct am_str media_pattern_name(const struct media_pattern *p, size_t field)
{
    return p->names[field];
}

/* What most of the files that fit are. */
static enum media_kind kind_of(const struct media_pattern *p, const struct media_entries *e)
{
    struct am_str fields[MEDIA_FIELDS];
    uint64_t count[MEDIA_KINDS] = {0};
    unsigned most = MEDIA_NONE;
    for (size_t i = 0; i < e->n; i++)
        if (!e->items[i].reason && e->items[i].kind != MEDIA_NONE)
            count[e->items[i].kind] += media_pattern_fits(p, e->items[i].name, fields);
    for (unsigned k = MEDIA_IMAGE; k < MEDIA_KINDS; k++)
        if (count[k] > count[most])
            most = k;
    return (enum media_kind)most;
}

enum am_rc media_pattern_apply(struct media_source *s, struct am_str text, struct am_arena *a,
                               struct am_err *err)
{
    enum am_rc rc;
    if (!s || !s->form->entries) {
        rc = am_fail(err, AM_EUSAGE, "data.pattern is for files of pictures, sounds or videos");
        am_hint(err, "Leave it out, or give a folder, an archive or a glob of such files.");
        return rc;
    }
    struct media_pattern *p = am_arena_zalloc(a, sizeof *p);
    if (!p)
        return am_fail_nomem(err, sizeof *p);
    p->text = am_arena_str(a, text);
    AM_TRY(am_arena_check(a, err));
    const char *why = parse(p);
    if (why)
        return fail_pattern(text, why, err);
    for (size_t i = 0; i < p->n_names; i++) /* with a NUL behind each */
        p->names[i] = am_arena_str(a, p->names[i]);
    AM_TRY(am_arena_check(a, err));
    struct media_entries *e = (void *)(uintptr_t)s->impl;
    enum media_kind kind = kind_of(p, e);
    if (kind == MEDIA_NONE) {
        rc = am_fail(err, AM_EINVAL, "no picture, sound or video fits data.pattern \"%.*s\"",
                     AM_FMT(text));
        if (e->n)
            am_hint(err, "The first file is \"%.*s\".", AM_FMT(e->items[0].name));
        return rc;
    }
    s->pattern = p;
    s->kind = e->kind = kind;
    e->has_label = e->has_split = false; /* the pattern says what the folders mean */
    s->has[CELL_LABEL] = s->has[CELL_SPLIT] = false;
    for (size_t i = 0; i < p->n_names; i++)
        s->has[CELL_FIELD + i] = true;
    return AM_OK;
}
