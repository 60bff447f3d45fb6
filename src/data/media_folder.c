/* Folders of pictures, sounds or videos, and lists of such files: which class and part a file
 * belongs to by the folders it lies in. Links to folders are not followed. */
#include "data/media_rows.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/limits.h"

#define DEPTH_MAX 16

/* ---- names to classes ---- */

static const struct {
    const char *word;
    uint8_t split;
} split_words[] = {{"train", 1}, {"training", 1}, {"validation", 2}, {"valid", 2},
                   {"val", 2},   {"dev", 2},      {"test", 3},       {"testing", 3}};

const char *media_split_name(unsigned split)
{
    static const char *const names[] = {"", "train", "validation", "test"};
    return names[split < 4 ? split : 0];
}

static uint8_t split_of(struct am_str folder)
{
    for (size_t i = 0; i < sizeof split_words / sizeof split_words[0]; i++)
        if (am_str_is(folder, split_words[i].word))
            return split_words[i].split;
    return 0;
}

/* The component that begins at `from`; *next = where the following one begins, 0 = it is the file.
 */
static struct am_str component(struct am_str name, size_t from, size_t *next)
{
    size_t end = from;
    while (end < name.len && name.ptr[end] != '/')
        end++;
    *next = end < name.len ? end + 1 : 0;
    return (struct am_str){name.ptr + from, end - from};
}

static bool usable(const struct media_entry *e)
{
    return !e->reason && e->kind != MEDIA_NONE;
}

/* Length of the folders that hold every file. */
static size_t common_folders(const struct media_entries *e)
{
    size_t from = 0;
    for (;;) {
        struct am_str shared = {NULL, 0};
        for (size_t i = 0; i < e->n; i++) {
            size_t next;
            if (!usable(&e->items[i]))
                continue;
            struct am_str c = component(e->items[i].name, from, &next);
            if (next == 0 || (shared.ptr && !am_str_eq(shared, c)))
                return from;
            shared = c;
        }
        if (!shared.ptr)
            return from;
        from += shared.len + 1;
    }
}

void media_layout(struct media_entries *e, enum media_strip strip)
{
    uint64_t count[MEDIA_KINDS] = {0};
    size_t from = strip == MEDIA_STRIP_COMMON ? common_folders(e) : 0;
    bool any_folder = false, all_parts = true, train = false, deep = false;
    for (size_t i = 0; i < e->n; i++) {
        size_t next, after = 0;
        if (!usable(&e->items[i]))
            continue;
        count[e->items[i].kind]++;
        struct am_str first = component(e->items[i].name, from, &next);
        uint8_t split = next ? split_of(first) : 0;
        any_folder |= next != 0;
        all_parts &= split != 0;
        train |= split == 1;
        if (next)
            (void)component(e->items[i].name, next, &after);
        deep |= after != 0;
    }
    e->kind = MEDIA_NONE;
    for (unsigned k = MEDIA_IMAGE; k < MEDIA_KINDS; k++)
        if (count[k] > count[e->kind])
            e->kind = (enum media_kind)k;
    e->has_split = any_folder && all_parts && train;
    e->has_label = any_folder && (!e->has_split || deep);
    for (size_t i = 0; i < e->n; i++) {
        struct media_entry *m = &e->items[i];
        size_t next;
        if (m->reason || m->name.len <= from)
            continue;
        size_t label_at = from;
        struct am_str c = component(m->name, from, &next);
        if (e->has_split && next) {
            m->split = split_of(c);
            label_at = next;
            c = component(m->name, next, &next);
        }
        if (e->has_label && next) {
            m->label_at = (uint32_t)label_at;
            m->label_len = (uint32_t)c.len;
        }
    }
}

static const char *verdict(const struct media_source *s, const struct media_entries *e,
                           const struct media_entry *m)
{
    static const char *const others[MEDIA_KINDS][MEDIA_KINDS] = {
        [MEDIA_IMAGE] = {[MEDIA_AUDIO] = AM_N("it is a picture among sounds"),
                         [MEDIA_VIDEO] = AM_N("it is a picture among videos")},
        [MEDIA_AUDIO] = {[MEDIA_IMAGE] = AM_N("it is a sound among pictures"),
                         [MEDIA_VIDEO] = AM_N("it is a sound among videos")},
        [MEDIA_VIDEO] = {[MEDIA_IMAGE] = AM_N("it is a video among pictures"),
                         [MEDIA_AUDIO] = AM_N("it is a video among sounds")}};
    if (m->reason)
        return m->reason;
    if (m->kind == MEDIA_NONE)
        return AM_N("it is neither a picture nor a sound nor a video");
    if (m->kind != (uint8_t)s->kind)
        return others[m->kind][s->kind];
    if (e->has_label && m->label_len == 0)
        return AM_N("it lies in no class folder");
    return NULL;
}

enum am_rc media_entry_row(const struct media_source *s, const struct media_entries *e, size_t i,
                           struct media_rows *rows, struct media_report *report, bool *added,
                           struct am_err *err)
{
    const struct media_entry *m = &e->items[i];
    struct am_str fields[MEDIA_FIELDS] = {{NULL, 0}};
    *added = false;
    if (s->pattern && !media_pattern_fits(s->pattern, m->name, fields))
        return media_report_unfit(report, m->name, err);
    const char *reason = verdict(s, e, m);
    if (reason)
        return media_report_bad(report, m->name, am_str(am_tr(reason)), err);
    for (size_t k = 0; k < MEDIA_FIELDS; k++)
        rows->cells[CELL_FIELD + k][rows->n] = fields[k];
    rows->cells[CELL_MEDIA][rows->n] = m->name;
    rows->cells[CELL_FILE][rows->n] = m->name;
    rows->cells[CELL_LABEL][rows->n] = (struct am_str){m->name.ptr + m->label_at, m->label_len};
    rows->cells[CELL_SPLIT][rows->n] =
        m->split ? am_str(media_split_name(m->split)) : (struct am_str){NULL, 0};
    rows->n++;
    *added = true;
    return AM_OK;
}

/* ---- listing ---- */

struct listing {
    struct am_arena *a;
    AM_VEC(struct media_entry) found;
    char path[4096]; /* of the folder being listed */
    size_t root_len, len;
    unsigned depth;
};

static enum am_rc read_head(const char *path, enum media_kind *kind, struct am_err *err)
{
    char head[16];
    *kind = MEDIA_NONE;
    int fd = am_fs()->open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
    if (fd < 0)
        return errno == ENOMEM ? am_fail_nomem(err, sizeof head) : AM_OK;
    ssize_t n = am_fs()->pread(fd, head, sizeof head, 0);
    (void)am_fs()->close(fd);
    if (n > 0)
        *kind = media_kind_of_head((struct am_str){head, (size_t)n});
    return AM_OK;
}

static enum am_rc list_folder(struct listing *l, struct am_err *err);

static enum am_rc add_entry(struct listing *l, const char *reason, bool regular, struct am_err *err)
{
    struct media_entry e = {.reason = reason};
    e.name = am_arena_str(l->a, am_str(l->path + l->root_len + 1));
    if (l->found.len >= AM_LIMIT_MEDIA_FILES) {
        enum am_rc rc =
            am_fail(err, AM_ELIMIT, "the folder has more than %d files", AM_LIMIT_MEDIA_FILES);
        am_hint(err, "Import it in parts.");
        return rc;
    }
    if (!e.name.ptr)
        return am_fail_nomem(err, 64);
    enum media_kind kind = media_kind_of_name(e.name);
    if (regular && kind == MEDIA_NONE)
        AM_TRY(read_head(l->path, &kind, err));
    e.kind = (uint8_t)kind;
    return am_vec_push(&l->found, e) ? AM_OK : am_fail_nomem(err, sizeof e);
}

static enum am_rc list_one(void *ctx, const char *name, struct am_err *err)
{
    struct listing *l = ctx;
    struct stat st, target;
    size_t len = l->len, n = strlen(name);
    enum am_rc rc = AM_OK;
    if (media_name_ignored(am_str(name)))
        return AM_OK;
    if (len + n + 2 > sizeof l->path)
        return am_fail(err, AM_ELIMIT, "a name below the folder is longer than %zu bytes",
                       sizeof l->path);
    l->path[len] = '/';
    memcpy(l->path + len + 1, name, n + 1);
    l->len = len + n + 1;
    bool there = lstat(l->path, &st) == 0;
    bool link = there && S_ISLNK(st.st_mode);
    if (link)
        there = stat(l->path, &target) == 0;
    mode_t mode = !there ? 0 : link ? target.st_mode : st.st_mode;
    if (S_ISDIR(mode) && !link && l->depth < DEPTH_MAX)
        rc = list_folder(l, err);
    else if (S_ISDIR(mode))
        rc = add_entry(l, link ? AM_N("it is a link to a folder") : AM_N("it lies too deep"), false,
                       err);
    else if (S_ISREG(mode))
        rc = add_entry(
            l, am_utf8_valid(am_str(l->path + l->root_len)) ? NULL : AM_N("its name is not UTF-8"),
            true, err);
    else
        rc = add_entry(l, there ? AM_N("it is not a file") : AM_N("it leads nowhere"), false, err);
    l->len = len;
    l->path[len] = '\0';
    return rc;
}

static enum am_rc list_folder(struct listing *l, struct am_err *err)
{
    l->depth++;
    enum am_rc rc = am_fs_list(l->path, list_one, l, err);
    l->depth--;
    return rc;
}

/* ---- the form ---- */

struct list_state {
    const struct media_source *s;
    const struct media_entries *e;
    size_t at;
};

static enum am_rc list_start(const struct media_source *s, void **state, struct am_err *err)
{
    struct list_state *l = am_calloc(1, sizeof *l);
    if (!l)
        return am_fail_nomem(err, sizeof *l);
    l->s = s;
    l->e = s->impl;
    *state = l;
    return AM_OK;
}

static enum am_rc list_fill(void *state, struct media_rows *rows, struct media_report *report,
                            struct am_err *err)
{
    struct list_state *l = state;
    for (; l->at < l->e->n && rows->n < rows->cap; l->at++) {
        bool added;
        AM_TRY(media_entry_row(l->s, l->e, l->at, rows, report, &added, err));
    }
    return AM_OK;
}

static void list_stop(void *state)
{
    am_free(state);
}

static const struct media_form folder_form = {"folder", true, list_start, list_fill, list_stop};
static const struct media_form files_form = {"files", true, list_start, list_fill, list_stop};

static enum am_rc fail_no_media(struct am_str label, struct am_err *err)
{
    enum am_rc rc = am_fail(
        err, AM_EINVAL, "\"%.*s\" is a folder without pictures, sounds or videos", AM_FMT(label));
    am_hint(err,
            "Put the files of each class into a folder of its own below it, or name the files "
            "of a table with a glob, as \"%.*s/*.csv\".",
            AM_FMT(label));
    return rc;
}

/* Files of this kind directly in the folder. */
static enum am_rc files_of(const struct listing *l, bool (*is)(struct am_str), struct am_str **out,
                           size_t *n, struct am_err *err)
{
    *n = 0;
    *out = am_arena_array(l->a, l->found.len + 1, sizeof **out);
    for (size_t i = 0; *out && i < l->found.len; i++) {
        struct am_str name = l->found.ptr[i].name;
        if (memchr(name.ptr, '/', name.len) || !is(name))
            continue;
        struct am_str full = am_arena_printf(l->a, "%s/%.*s", l->path, AM_FMT(name));
        if (full.ptr)
            (*out)[(*n)++] = full;
    }
    return am_arena_check(l->a, err);
}

static enum am_rc source_of_entries(const struct media_form *form, const struct media_entry *items,
                                    size_t n, enum media_strip strip, struct am_str root,
                                    struct am_arena *a, struct media_source **out,
                                    struct am_err *err)
{
    struct media_source *s = am_arena_zalloc(a, sizeof *s);
    struct media_entries *e = am_arena_zalloc(a, sizeof *e);
    struct media_entry *kept = am_arena_array(a, n + 1, sizeof *kept);
    if (!s || !e || !kept)
        return am_fail_nomem(err, n * sizeof *kept);
    if (n)
        memcpy(kept, items, n * sizeof *kept);
    e->items = kept;
    e->n = n;
    media_layout(e, strip);
    *s = (struct media_source){
        .form = form, .impl = e, .kind = e->kind, .paths = true, .root = am_arena_str(a, root)};
    s->has[CELL_MEDIA] = s->has[CELL_FILE] = true;
    s->has[CELL_LABEL] = e->has_label;
    s->has[CELL_SPLIT] = e->has_split;
    *out = s;
    return am_arena_check(a, err);
}

enum am_rc media_folder_open(struct am_str path, struct am_str label, struct am_arena *a,
                             struct media_source **out, struct am_err *err)
{
    struct listing l = {.a = a};
    struct am_str *files;
    size_t n, len = path.len;
    enum am_rc rc = AM_OK;
    *out = NULL;
    while (len > 1 && path.ptr[len - 1] == '/')
        len--;
    if (len + 2 > sizeof l.path)
        return am_fail(err, AM_ELIMIT, "the folder's name is longer than %zu bytes", sizeof l.path);
    memcpy(l.path, path.ptr, len);
    l.path[len] = '\0';
    l.root_len = l.len = len;
    AM_GO(rc, list_folder(&l, err));
    AM_GO(rc, files_of(&l, media_is_idx, &files, &n, err));
    if (n) {
        rc = media_idx_open(files, n, a, out, err);
        goto out;
    }
    AM_GO(rc, files_of(&l, media_is_cifar, &files, &n, err));
    if (n) {
        rc = media_cifar_open(files, n, a, out, err);
        goto out;
    }
    AM_GO(rc, source_of_entries(&folder_form, l.found.ptr, l.found.len, MEDIA_STRIP_NOT,
                                am_str(l.path), a, out, err));
    if ((*out)->kind == MEDIA_NONE)
        rc = fail_no_media(label, err);
out:
    am_vec_clear(&l.found);
    return rc;
}

enum am_rc media_list_open(const struct am_str *paths, const struct am_str *labels, size_t n,
                           struct am_arena *a, struct media_source **out, struct am_err *err)
{
    struct media_entry *items = am_arena_array(a, n + 1, sizeof *items);
    struct am_str root = AM_STR("");
    if (!items)
        return am_fail_nomem(err, n * sizeof *items);
    for (size_t i = 0; i < n; i++) {
        items[i] =
            (struct media_entry){.name = labels[i], .kind = (uint8_t)media_kind_of_name(paths[i])};
        if (root.len == 0 && paths[i].len > labels[i].len + 1)
            root = (struct am_str){paths[i].ptr, paths[i].len - labels[i].len - 1};
    }
    AM_TRY(source_of_entries(&files_form, items, n, MEDIA_STRIP_NOT, root, a, out, err));
    /* named one by one: their folders mean nothing */
    struct media_entries *e = (void *)(uintptr_t)(*out)->impl;
    e->has_label = e->has_split = false;
    (*out)->has[CELL_LABEL] = (*out)->has[CELL_SPLIT] = false;
    return AM_OK;
}
