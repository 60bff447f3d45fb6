/* Files of datasets, runs and versions: names on blobs. Also the one place where a ref of any kind
 * is turned into the id that its rows hang on. */

#include "registry/registry_int.h"

const char *const reg_file_columns[6] = {"kind", "ref", "name", "blob", "bytes", "media"};

/* Relative, no empty, "." or ".." parts, no control characters. */
static enum am_rc check_name(const char *name, struct am_err *err)
{
    struct am_str s = am_str(name);
    bool good = s.len > 0 && s.len <= 255 && am_utf8_valid(s);
    size_t part = 0;
    for (size_t i = 0; good && i <= s.len; i++) {
        char c = s.ptr[i]; /* the NUL ends the last part */
        if (c != '/' && c != '\0') {
            good = (unsigned char)c >= 0x20 && c != 0x7f && c != '\\';
            continue;
        }
        struct am_str p = {s.ptr + part, i - part};
        good = p.len > 0 && !am_str_is(p, ".") && !am_str_is(p, "..");
        part = i + 1;
    }
    if (!good)
        return am_fail(err, AM_EINVAL, "\"%.80s\" is not a file name: relative, without \"..\"",
                       name ? name : "");
    return AM_OK;
}

enum am_rc reg_store_files(struct am_registry *r, struct am_arena *a, const char *kind,
                           const char *ref, const struct am_registry_file *files, size_t n,
                           struct reg_stored *out, struct am_err *err)
{
    *out = (struct reg_stored){.n = n};
    out->infos = am_arena_array(a, n ? n : 1, sizeof *out->infos);
    out->rows = am_arena_array(a, n ? n : 1, 6 * sizeof *out->rows);
    AM_TRY(am_arena_check(a, err));
    for (size_t i = 0; i < n; i++) {
        const struct am_registry_file *f = &files[i];
        struct am_blob_info *info = &out->infos[i];
        AM_TRY(check_name(f->name, err));
        struct am_blob_id known;
        if (f->sha256)
            AM_TRY(am_blob_id_parse(am_str(f->sha256), &known, err));
        if (f->path && f->take)
            AM_TRY(am_blob_take_file(&r->blobs, f->path, f->sha256 ? &known : NULL, info, err));
        else if (f->path)
            AM_TRY(am_blob_put_file(&r->blobs, f->path, info, err));
        else
            AM_TRY(am_blob_put(&r->blobs, f->bytes, info, err));
        struct am_value *v = &out->rows[6 * i];
        v[0] = am_v_text(kind);
        v[1] = am_v_text(ref);
        v[2] = am_v_text(f->name);
        v[3] = am_v_text(info->id.hex);
        v[4] = am_v_int((int64_t)info->n_bytes);
        v[5] = am_v_text(f->media);
        out->n_bytes += info->n_bytes;
    }
    return AM_OK;
}

enum am_rc reg_files(struct am_registry *r, const struct am_snapshot *s, struct am_arena *a,
                     const char *kind, const char *ref, struct am_node **out, struct am_err *err)
{
    struct reg_row *rows;
    struct am_order by_name = {.column = "name"};
    struct am_query q = {.table = "file",
                         REG_COLUMNS("name", "blob", "bytes", "media"),
                         .where = REG_KIND_REF(kind, ref),
                         .order = &by_name,
                         .n_order = 1,
                         .limit = -1};
    AM_TRY(reg_select(s, a, &q, &rows, err));
    *out = am_new_list(a);
    for (; rows; rows = rows->next) {
        struct am_node *f = am_new_map(a);
        struct am_blob_id id;
        char path[AM_REGISTRY_PATH];
        AM_TRY(am_blob_id_parse(rows->v[1].text, &id, err));
        bool there = r->blobs.ops->path &&
                     r->blobs.ops->path(r->blobs.impl, &id, path, sizeof path, NULL) == AM_OK;
        am_node_set(a, f, "name", reg_node(a, &rows->v[0]));
        am_node_set(a, f, "blob", reg_node(a, &rows->v[1]));
        am_node_set(a, f, "bytes", reg_node(a, &rows->v[2]));
        am_node_set(a, f, "media", reg_node(a, &rows->v[3]));
        am_node_set(a, f, "path", am_new_cstr(a, there ? path : NULL));
        am_node_push(a, *out, f);
    }
    return am_arena_check(a, err);
}

enum am_rc reg_find(struct am_registry *r, struct am_arena *a, const struct am_snapshot *s,
                    enum am_registry_kind kind, const char *ref, const char **out,
                    struct am_err *err)
{
    struct reg_version v;
    (void)r;
    switch (kind) {
    case AM_KIND_DATASET:
        return reg_find_dataset(s, a, ref, out, err);
    case AM_KIND_RUN:
        return reg_find_run(s, a, ref, out, err);
    case AM_KIND_VERSION:
        AM_TRY(reg_find_version(s, a, ref, &v, err));
        *out = v.id;
        return AM_OK;
    default:
        break;
    }
    const struct am_entity *e = &am_registry_entities[kind];
    int64_t n = 0;
    const struct am_cond *named = REG_EQ("name", am_v_text(ref));
    AM_TRY(am_snapshot_count(s, e->table, e->listed ? REG_AND(named, e->listed) : named, &n, err));
    if (n == 0)
        return am_fail(err, AM_ENOTFOUND, "there is no %s \"%.128s\"", e->kind, ref);
    *out = ref;
    return AM_OK;
}

/* The blob behind (kind, ref, name). */
static enum am_rc find_blob(struct am_registry *r, struct am_arena *a, enum am_registry_kind kind,
                            const char *ref, const char *name, struct am_blob_id *out,
                            struct am_err *err)
{
    struct am_snapshot s = {0};
    const char *id = NULL;
    struct am_value blob;
    enum am_rc rc = AM_OK;
    if (kind == AM_KIND_VERSION && !name)
        name = "package.aim";
    if (!name || kind == AM_KIND_MODEL || kind == AM_KIND_EXPERIMENT)
        return am_fail(err, AM_EINVAL, "no file named");
    AM_TRY(am_records_snapshot(&r->records, &s, err));
    AM_GO(rc, reg_find(r, a, &s, kind, ref, &id, err));
    struct am_query q = {.table = "file",
                         REG_COLUMNS("blob"),
                         .where = REG_AND(REG_KIND_REF(am_registry_entities[kind].kind, id),
                                          REG_EQ("name", am_v_text(name))),
                         .limit = 1};
    rc = am_snapshot_first(&s, a, &q, &blob, err);
    if (rc == AM_ENOTFOUND)
        rc = am_fail(err, AM_ENOTFOUND, "%s \"%.128s\" has no file \"%.128s\"",
                     am_registry_entities[kind].kind, ref, name);
    if (rc == AM_OK)
        rc = am_blob_id_parse(blob.text, out, err);
out:
    am_snapshot_release(&s);
    return rc;
}

enum am_rc am_registry_file_path(struct am_registry *r, struct am_arena *a,
                                 enum am_registry_kind kind, const char *ref, const char *name,
                                 const char **out, struct am_err *err)
{
    struct am_blob_id id;
    char path[AM_REGISTRY_PATH];
    AM_TRY(find_blob(r, a, kind, ref, name, &id, err));
    if (!r->blobs.ops->path)
        return am_fail(err, AM_EUNSUPPORTED, "the blobs of this workspace are not local");
    AM_TRY(r->blobs.ops->path(r->blobs.impl, &id, path, sizeof path, err));
    *out = am_arena_str(a, am_str(path)).ptr;
    return am_arena_check(a, err);
}

enum am_rc am_registry_file_read(struct am_registry *r, enum am_registry_kind kind, const char *ref,
                                 const char *name, struct am_buf *out, struct am_err *err)
{
    struct am_blob_id id;
    struct am_arena *a = am_arena_new(0);
    if (!a)
        return am_fail_nomem(err, 1);
    enum am_rc rc = find_blob(r, a, kind, ref, name, &id, err);
    am_arena_free(a);
    AM_TRY(rc);
    return am_blob_get(&r->blobs, &id, out, err);
}
