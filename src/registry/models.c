/* Models and their versions: publishing a package, finding it again, showing, exporting.
 *
 * Order of publishing: the package's blob is durable first, then one transaction makes the model,
 * the version with the next number, its metrics, tags, alias and idempotency key. Numbers are never
 * given twice, also after a version was removed. */
#include "base/clock.h"
#include "base/num.h"
#include "registry/registry_int.h"

static const char *const version_columns[] = {
    "id",    "model", "number",  "package", "bytes",   "created_us",
    "owner", "run",   "dataset", "task",    "lineage", "manifest",
};
enum {
    V_ID,
    V_MODEL,
    V_NUMBER,
    V_PACKAGE,
    V_BYTES,
    V_CREATED,
    V_OWNER,
    V_RUN,
    V_DATASET,
    V_TASK,
    V_LINEAGE,
    V_MANIFEST
};
#define V_LISTED 10
#define V_ALL 12

static const char *const model_columns[] = {"name", "created_us", "updated_us", "owner"};
enum { M_NAME, M_CREATED, M_UPDATED, M_OWNER, M_VERSIONS, M_LATEST };

/* ---- refs ---- */

static enum am_rc no_model(const char *model, struct am_err *err)
{
    am_fail(err, AM_ENOTFOUND, "there is no model \"%.128s\"", model);
    am_hint(err, "`aimass models` lists what there is.");
    return AM_ENOTFOUND;
}

static enum am_rc no_such_version(const struct am_snapshot *s, struct am_arena *a,
                                  const char *model, const char *what, struct am_err *err)
{
    int64_t n = 0;
    struct am_value newest;
    AM_TRY(am_snapshot_count(s, "model", REG_EQ("name", am_v_text(model)), &n, err));
    if (n == 0)
        return no_model(model, err);
    struct am_order by_number = {.column = "number", .descending = true};
    struct am_query q = {.table = "version",
                         REG_COLUMNS("number"),
                         .where = REG_EQ("model", am_v_text(model)),
                         .order = &by_number,
                         .n_order = 1};
    enum am_rc rc = am_snapshot_first(s, a, &q, &newest, err);
    if (rc == AM_ENOTFOUND)
        return am_fail(err, AM_ENOTFOUND, "model \"%.128s\" has no versions", model);
    AM_TRY(rc);
    am_fail(err, AM_ENOTFOUND, "model \"%.128s\" has no %s", model, what);
    am_hint(err, "Its newest version is %lld; `aimass model show %.128s` lists the rest.",
            (long long)newest.i, model);
    return AM_ENOTFOUND;
}

static enum am_rc bad_ref(const char *ref, struct am_err *err)
{
    return am_fail(err, AM_EUSAGE,
                   "\"%.280s\" does not name a model: MODEL, MODEL@3 or MODEL@alias", ref);
}

/* "m@champion" -> model "m", rest "champion" (NULL when there is no sign), number 3 for "3" */
static enum am_rc split_ref(struct am_arena *a, const char *ref, const char **model,
                            const char **rest, uint64_t *number, struct am_err *err)
{
    const char *sign = strchr(ref, '@');
    struct am_str name = {ref, sign ? (size_t)(sign - ref) : strlen(ref)};
    *number = 0;
    *rest = sign ? sign + 1 : NULL;
    if (!am_name_valid(name) || (sign && !am_name_valid(am_str(sign + 1))))
        return bad_ref(ref, err);
    if (sign && strspn(sign + 1, "0123456789") == strlen(sign + 1) &&
        (!am_parse_u64(am_str(sign + 1), INT64_MAX, number) || *number == 0))
        return bad_ref(ref, err);
    *model = am_arena_str(a, name).ptr;
    return am_arena_check(a, err);
}

enum am_rc reg_find_version(const struct am_snapshot *s, struct am_arena *a, const char *ref,
                            struct reg_version *out, struct am_err *err)
{
    const char *model = NULL, *rest = NULL;
    uint64_t number = 0;
    struct am_value v[3];
    AM_TRY(split_ref(a, ref, &model, &rest, &number, err));
    if (rest && number == 0) {
        struct am_value to;
        struct am_query alias = {
            .table = "alias", REG_COLUMNS("version"), .where = REG_EQ("id", am_v_text(ref))};
        enum am_rc rc = am_snapshot_first(s, a, &alias, &to, err);
        if (rc == AM_ENOTFOUND) {
            struct am_str what = am_arena_printf(a, am_tr("alias \"%s\""), rest);
            AM_TRY(am_arena_check(a, err));
            return no_such_version(s, a, model, what.ptr, err);
        }
        AM_TRY(rc);
        number = (uint64_t)to.i;
    }
    const struct am_cond *of_model = REG_EQ("model", am_v_text(model));
    const struct am_cond *numbered = REG_AND(of_model, REG_EQ("number", am_v_int((int64_t)number)));
    struct am_order newest = {.column = "number", .descending = true};
    struct am_query q = {.table = "version",
                         REG_COLUMNS("id", "number", "package"),
                         .where = number ? numbered : of_model,
                         .order = &newest,
                         .n_order = 1};
    enum am_rc rc = am_snapshot_first(s, a, &q, v, err);
    if (rc == AM_ENOTFOUND) {
        struct am_str what = am_arena_printf(a, am_tr("version %llu"), (unsigned long long)number);
        AM_TRY(am_arena_check(a, err));
        return no_such_version(s, a, model, what.ptr, err);
    }
    AM_TRY(rc);
    *out = (struct reg_version){v[0].text.ptr, model, v[2].text.ptr, v[1].i};
    return AM_OK;
}

static enum am_rc resolve(struct am_registry *r, struct am_arena *a, const char *ref,
                          struct am_version_ref *out, struct am_err *err)
{
    struct am_snapshot s;
    struct reg_version v;
    struct am_blob_id blob;
    AM_TRY(am_records_snapshot(&r->records, &s, err));
    enum am_rc rc = reg_find_version(&s, a, ref, &v, err);
    am_snapshot_release(&s);
    AM_TRY(rc);
    AM_TRY(am_blob_id_parse(am_str(v.package), &blob, err));
    (void)snprintf(out->model, sizeof out->model, "%s", v.model);
    out->version = v.number;
    memcpy(out->package, blob.hex, sizeof blob.hex);
    if (!r->blobs.ops->path)
        return am_fail(err, AM_EUNSUPPORTED, "the blobs of this workspace are not local");
    rc = r->blobs.ops->path(r->blobs.impl, &blob, out->path, sizeof out->path, err);
    if (rc == AM_ENOTFOUND) {
        rc = am_fail(err, AM_ECORRUPT, "the package of %s@%lld is missing (blob %.12s…)", v.model,
                     (long long)v.number, blob.hex);
        am_hint(err, "Restore the workspace from a backup, or train the model again.");
    }
    return rc;
}

enum am_rc am_registry_resolve(struct am_registry *r, const char *ref, struct am_version_ref *out,
                               struct am_err *err)
{
    struct am_arena *a = am_arena_new(0);
    if (!a)
        return am_fail_nomem(err, 1);
    enum am_rc rc = resolve(r, a, ref, out, err);
    am_arena_free(a);
    return rc;
}

/* ---- trees ---- */

static struct am_str version_key(struct am_arena *a, const struct am_value *model, int64_t number)
{
    return am_arena_printf(a, "%.*s@%lld", AM_FMT(model->text), (long long)number);
}

static struct am_str alias_key(struct am_arena *a, const struct am_value *v)
{
    return version_key(a, &v[0], v[2].i);
}

static void take_alias_name(struct am_arena *a, struct am_node *field, const struct am_value *v)
{
    am_node_push(a, field, reg_node(a, &v[1]));
}

static void take_alias(struct am_arena *a, struct am_node *field, const struct am_value *v)
{
    am_node_set_str(a, field, v[1].text, reg_node(a, &v[2]));
}

/* Aliases hang on the model's name, also those of one version. */
static enum am_rc hang_aliases(const struct am_snapshot *s, struct am_arena *a, struct reg_many *m,
                               const struct reg_row *versions, struct am_err *err)
{
    static const char *const columns[] = {"model", "name", "version"};
    struct reg_hanging h = {.table = "alias",
                            .ref = "model",
                            .columns = columns,
                            .n_columns = 3,
                            .order = "name",
                            .take = take_alias};
    if (!versions)
        return reg_hang(s, a, m, &h, "aliases", AM_NODE_MAP, err);
    struct reg_many by_model = *m;
    h.key = alias_key;
    h.take = take_alias_name;
    by_model.ids = am_arena_array(a, m->n + 1, sizeof *by_model.ids);
    by_model.keys = am_arena_array(a, m->n + 1, sizeof *by_model.keys);
    AM_TRY(am_arena_check(a, err));
    for (size_t i = 0; i < m->n; i++, versions = versions->next) {
        by_model.ids[i] = versions->v[V_MODEL].text;
        by_model.keys[i] = version_key(a, &versions->v[V_MODEL], versions->v[V_NUMBER].i);
    }
    AM_TRY(am_arena_check(a, err));
    return reg_hang(s, a, &by_model, &h, "aliases", AM_NODE_LIST, err);
}

static enum am_rc version_nodes(const struct am_snapshot *s, struct am_arena *a,
                                const struct reg_row *rows, struct reg_many *out,
                                struct am_err *err)
{
    static const struct {
        const char *key;
        int column;
    } plain[] = {
        {"model", V_MODEL}, {"version", V_NUMBER}, {"package", V_PACKAGE}, {"bytes", V_BYTES},
        {"owner", V_OWNER}, {"run", V_RUN},        {"dataset", V_DATASET}, {"task", V_TASK},
    };
    AM_TRY(reg_many_new(a, rows, out, err));
    for (const struct reg_row *row = rows; row; row = row->next) {
        struct am_node *n = am_new_map(a);
        for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
            am_node_set(a, n, plain[i].key, reg_node(a, &row->v[plain[i].column]));
            if (plain[i].column == V_BYTES)
                am_node_set(a, n, "created", reg_time(a, &row->v[V_CREATED]));
        }
        reg_many_add(out, row->v[V_ID].text, n);
    }
    AM_TRY(reg_hang_pairs(s, a, out, "metric_last", "version", "metrics", err));
    if (rows)
        AM_TRY(hang_aliases(s, a, out, rows, err));
    return reg_hang_pairs(s, a, out, "tag", "version", "tags", err);
}

static enum am_rc version_full(struct am_registry *r, const struct am_snapshot *s,
                               struct am_arena *a, const char *id, struct am_node **out,
                               struct am_err *err)
{
    struct reg_row *row = NULL;
    struct reg_many one;
    struct am_node *lineage, *manifest;
    struct am_blob_id blob;
    char path[AM_REGISTRY_PATH];
    struct am_query q = {.table = "version",
                         .columns = version_columns,
                         .n_columns = V_ALL,
                         .where = REG_EQ("id", am_v_text(id)),
                         .limit = 1};
    AM_TRY(reg_select(s, a, &q, &row, err));
    if (!row)
        return AM_ENOTFOUND;
    const struct am_value *v = row->v;
    AM_TRY(version_nodes(s, a, row, &one, err));
    *out = one.nodes[0];
    AM_TRY(am_blob_id_parse(v[V_PACKAGE].text, &blob, err));
    AM_TRY(reg_json(a, &v[V_LINEAGE], "lineage of the version", &lineage, err));
    AM_TRY(reg_json(a, &v[V_MANIFEST], "manifest of the version", &manifest, err));
    bool there = r->blobs.ops->path &&
                 r->blobs.ops->path(r->blobs.impl, &blob, path, sizeof path, NULL) == AM_OK;
    am_node_set(a, *out, "path", am_new_cstr(a, there ? path : NULL));
    am_node_set(a, *out, "lineage", lineage);
    am_node_set(a, *out, "manifest", manifest);
    return am_arena_check(a, err);
}

enum am_rc am_registry_version_get(struct am_registry *r, struct am_arena *a, const char *ref,
                                   struct am_node **out, struct am_err *err)
{
    struct am_snapshot s;
    struct reg_version v;
    AM_TRY(am_records_snapshot(&r->records, &s, err));
    enum am_rc rc = reg_find_version(&s, a, ref, &v, err);
    if (rc == AM_OK)
        rc = version_full(r, &s, a, v.id, out, err);
    am_snapshot_release(&s);
    return rc;
}

enum am_rc am_registry_versions(struct am_registry *r, struct am_arena *a,
                                const struct am_registry_list *l, struct am_node **out,
                                struct am_err *err)
{
    struct am_snapshot s;
    struct reg_row *rows;
    int64_t total = 0;
    enum am_rc rc = AM_OK;
    struct reg_many many;
    AM_TRY(am_records_snapshot(&r->records, &s, err));
    AM_GO(rc, reg_select_list(&s, a, AM_KIND_VERSION, l, version_columns, V_LISTED, &rows, &total,
                              err));
    AM_GO(rc, version_nodes(&s, a, rows, &many, err));
    rc = reg_many_answer(a, &many, "versions", total, out, err);
out:
    am_snapshot_release(&s);
    return rc;
}

/* Behind the columns come the computed ones of the listed kind: how many versions, the newest. */
static enum am_rc model_nodes(const struct am_snapshot *s, struct am_arena *a,
                              const struct reg_row *rows, struct reg_many *out, struct am_err *err)
{
    AM_TRY(reg_many_new(a, rows, out, err));
    for (; rows; rows = rows->next) {
        struct am_node *n = am_new_map(a);
        am_node_set(a, n, "model", reg_node(a, &rows->v[M_NAME]));
        am_node_set(a, n, "versions", reg_node(a, &rows->v[M_VERSIONS]));
        am_node_set(a, n, "latest", reg_node(a, &rows->v[M_LATEST]));
        am_node_set(a, n, "created", reg_time(a, &rows->v[M_CREATED]));
        am_node_set(a, n, "updated", reg_time(a, &rows->v[M_UPDATED]));
        am_node_set(a, n, "owner", reg_node(a, &rows->v[M_OWNER]));
        reg_many_add(out, rows->v[M_NAME].text, n);
    }
    AM_TRY(hang_aliases(s, a, out, NULL, err));
    return reg_hang_pairs(s, a, out, "tag", "model", "tags", err);
}

enum am_rc am_registry_models(struct am_registry *r, struct am_arena *a,
                              const struct am_registry_list *l, struct am_node **out,
                              struct am_err *err)
{
    struct am_snapshot s;
    struct reg_row *rows;
    struct reg_many many;
    int64_t total = 0;
    enum am_rc rc = AM_OK;
    AM_TRY(am_records_snapshot(&r->records, &s, err));
    AM_GO(rc,
          reg_select_list(&s, a, AM_KIND_MODEL, l, model_columns, M_VERSIONS, &rows, &total, err));
    AM_GO(rc, model_nodes(&s, a, rows, &many, err));
    rc = reg_many_answer(a, &many, "models", total, out, err);
out:
    am_snapshot_release(&s);
    return rc;
}

static enum am_rc version_list(const struct am_snapshot *s, struct am_arena *a, const char *model,
                               struct am_node **out, struct am_err *err)
{
    struct reg_row *rows;
    struct reg_many many;
    struct am_order newest = {.column = "number", .descending = true};
    struct am_query q = {.table = "version",
                         .columns = version_columns,
                         .n_columns = V_LISTED,
                         .where = REG_EQ("model", am_v_text(model)),
                         .order = &newest,
                         .n_order = 1,
                         .limit = 1000};
    AM_TRY(reg_select(s, a, &q, &rows, err));
    AM_TRY(version_nodes(s, a, rows, &many, err));
    *out = am_new_list(a);
    for (size_t i = 0; i < many.n; i++)
        am_node_push(a, *out, many.nodes[i]);
    return am_arena_check(a, err);
}

static enum am_rc history_list(const struct am_snapshot *s, struct am_arena *a, const char *model,
                               struct am_node **out, struct am_err *err)
{
    static const char *const keys[] = {"alias", "action", "from", "to", "who"};
    struct reg_row *rows;
    struct am_order newest = {.column = "seq", .descending = true};
    struct am_query q = {.table = "alias_event",
                         REG_COLUMNS("name", "action", "before", "after", "owner", "created_us"),
                         .where = REG_EQ("model", am_v_text(model)),
                         .order = &newest,
                         .n_order = 1,
                         .limit = 1000};
    AM_TRY(reg_select(s, a, &q, &rows, err));
    *out = am_new_list(a);
    for (; rows; rows = rows->next) {
        struct am_node *e = am_new_map(a);
        for (size_t i = 0; i < 5; i++)
            am_node_set(a, e, keys[i], reg_node(a, &rows->v[i]));
        am_node_set(a, e, "time", reg_time(a, &rows->v[5]));
        am_node_push(a, *out, e);
    }
    return am_arena_check(a, err);
}

static enum am_rc model_full(const struct am_snapshot *s, struct am_arena *a, const char *model,
                             struct am_node **out, struct am_err *err)
{
    struct reg_row *row = NULL;
    struct reg_many one;
    struct am_node *list, *history;
    const struct am_entity *e = &am_registry_entities[AM_KIND_MODEL];
    struct am_query q = {.table = "model",
                         .columns = model_columns,
                         .n_columns = M_VERSIONS,
                         .computed = e->computed,
                         .n_computed = e->n_computed,
                         .where = REG_EQ("name", am_v_text(model)),
                         .limit = 1};
    AM_TRY(reg_select(s, a, &q, &row, err));
    if (!row)
        return no_model(model, err);
    AM_TRY(model_nodes(s, a, row, &one, err));
    *out = one.nodes[0];
    AM_TRY(version_list(s, a, model, &list, err));
    AM_TRY(history_list(s, a, model, &history, err));
    am_node_set(a, *out, "list", list);
    am_node_set(a, *out, "history", history);
    return am_arena_check(a, err);
}

enum am_rc am_registry_model_get(struct am_registry *r, struct am_arena *a, const char *model,
                                 struct am_node **out, struct am_err *err)
{
    struct am_snapshot s;
    AM_TRY(am_records_snapshot(&r->records, &s, err));
    enum am_rc rc = model_full(&s, a, model, out, err);
    am_snapshot_release(&s);
    return rc;
}

enum am_rc am_registry_version_export(struct am_registry *r, struct am_arena *a, const char *ref,
                                      const char *path, struct am_node **out, struct am_err *err)
{
    struct am_version_ref v;
    struct am_blob_id blob;
    struct am_blob_info info;
    AM_TRY(am_registry_resolve(r, ref, &v, err));
    AM_TRY(am_blob_id_parse(am_str(v.package), &blob, err));
    AM_TRY(am_blob_get_file(&r->blobs, &blob, path, err));
    AM_TRY(r->blobs.ops->stat(r->blobs.impl, &blob, &info, err));
    *out = am_new_map(a);
    am_node_set(a, *out, "model", am_new_cstr(a, v.model));
    am_node_set(a, *out, "version", am_new_i64(a, v.version));
    am_node_set(a, *out, "path", am_new_cstr(a, path));
    am_node_set(a, *out, "bytes", am_new_i64(a, (int64_t)info.n_bytes));
    am_node_set(a, *out, "package", am_new_cstr(a, v.package));
    return am_arena_check(a, err);
}

/* ---- adding ---- */

struct adding {
    const struct am_version_spec *spec;
    char id[AM_REGISTRY_ID], event[AM_REGISTRY_ID];
    const char *alias_id;
    struct reg_flat metrics, tags;
    struct am_value lineage, manifest;
    const struct am_value *metric_values, *tag_values;
    struct reg_stored files;
    struct am_str request; /* what an idempotency key is bound to: model and package */
};

static enum am_rc check_spec(const struct am_version_spec *spec, struct am_err *err)
{
    struct am_blob_id hash;
    if (!am_name_valid(am_str(spec->model)))
        return am_fail(err, AM_EINVAL, "\"%.160s\" is not a model name",
                       spec->model ? spec->model : "");
    if (spec->alias && (!am_name_valid(am_str(spec->alias)) ||
                        strspn(spec->alias, "0123456789") == strlen(spec->alias)))
        return am_fail(err, AM_EINVAL, "\"%.160s\" is not an alias", spec->alias);
    if (spec->dataset)
        AM_TRY(am_blob_id_parse(am_str(spec->dataset), &hash, err));
    if (spec->idempotency_key) {
        size_t n = strlen(spec->idempotency_key);
        if (n == 0 || n > 255)
            return am_fail(err, AM_EINVAL, "an idempotency key of %zu bytes, 1 to 255 allowed", n);
    }
    return AM_OK;
}

static enum am_rc prepare(struct am_registry *r, struct am_arena *a, struct adding *n,
                          struct am_err *err)
{
    const struct am_version_spec *spec = n->spec;
    const struct am_registry_file file = {
        .name = "package.aim", .path = spec->package, .media = "application/vnd.aimass.model"};
    reg_new_id(n->id);
    reg_new_id(n->event);
    AM_TRY(reg_flatten(a, spec->metrics, "metrics", &n->metrics, err));
    AM_TRY(reg_flatten(a, spec->tags, "tags", &n->tags, err));
    AM_TRY(reg_json_text(a, spec->lineage, &n->lineage, err));
    AM_TRY(reg_json_text(a, spec->manifest, &n->manifest, err));
    n->metric_values = reg_metric_rows(a, "version", n->id, &n->metrics, am_wall_us());
    n->tag_values = reg_tag_rows(a, "version", n->id, &n->tags);
    n->alias_id = am_arena_printf(a, "%s@%s", spec->model, spec->alias ? spec->alias : "").ptr;
    AM_TRY(reg_store_files(r, a, "version", n->id, &file, 1, &n->files, err));
    n->request = am_arena_printf(a, "%s %s", n->files.infos[0].id.hex, spec->model);
    return am_arena_check(a, err);
}

enum { OP_IDEMPOTENCY, OP_DATASET, OP_RUN, OP_MODEL_NEW, OP_MODEL_NEXT, OP_VERSION };

static enum am_rc insert(struct am_registry *r, const struct adding *n,
                         struct am_txn_result *result, struct am_err *err)
{
    const struct am_version_spec *spec = n->spec;
    const struct am_blob_info *blob = &n->files.infos[0];
    const struct am_value number = REG_LOOKUP("version", "number", "id", n->id);
    size_t one_alias = spec->alias ? 1 : 0;
    const struct am_op ops[] = {
        [OP_IDEMPOTENCY] = {.kind = AM_OP_INSERT,
                            .table = "idempotency",
                            REG_COLUMNS("key", "request", "kind", "ref"),
                            .values =
                                (const struct am_value[]){am_v_text(spec->idempotency_key),
                                                          am_v_str(n->request),
                                                          am_v_text("version"), am_v_text(n->id)},
                            .n_rows = spec->idempotency_key ? 1 : 0},
        [OP_DATASET] = {.kind = AM_OP_REQUIRE,
                        .table = "dataset",
                        .where = REG_EQ("hash", am_v_text(spec->dataset)),
                        .expect = spec->dataset ? AM_EXPECT_SOME : AM_EXPECT_ANY},
        [OP_RUN] = {.kind = AM_OP_REQUIRE,
                    .table = "run",
                    .where = REG_EQ("id", am_v_text(spec->run)),
                    .expect = spec->run ? 1 : AM_EXPECT_ANY},
        [OP_MODEL_NEW] = {.kind = AM_OP_INSERT_NEW,
                          .table = "model",
                          REG_COLUMNS("name", "last_version"),
                          REG_VALUES(am_v_text(spec->model), am_v_int(0))},
        [OP_MODEL_NEXT] = {.kind = AM_OP_UPDATE,
                           .table = "model",
                           REG_COLUMNS("last_version"),
                           REG_VALUES(REG_ADD(1)),
                           .where = REG_EQ("name", am_v_text(spec->model)),
                           .expect = 1},
        [OP_VERSION] = {.kind = AM_OP_INSERT,
                        .table = "version",
                        REG_COLUMNS("id", "model", "number", "package", "bytes", "run", "dataset",
                                    "task", "lineage", "manifest"),
                        REG_VALUES(am_v_text(n->id), am_v_text(spec->model),
                                   REG_LOOKUP("model", "last_version", "name", spec->model),
                                   am_v_text(blob->id.hex), am_v_int((int64_t)blob->n_bytes),
                                   am_v_text(spec->run), am_v_text(spec->dataset),
                                   am_v_text(spec->task), n->lineage, n->manifest)},
        {.kind = AM_OP_INSERT,
         .table = "file",
         .columns = reg_file_columns,
         .n_columns = 6,
         .values = n->files.rows,
         .n_rows = 1},
        {.kind = AM_OP_INSERT,
         .table = "metric_last",
         REG_COLUMNS("kind", "ref", "key", "value", "at_us"),
         .values = n->metric_values,
         .n_rows = n->metrics.n},
        {.kind = AM_OP_INSERT,
         .table = "tag",
         REG_COLUMNS("kind", "ref", "key", "value"),
         .values = n->tag_values,
         .n_rows = n->tags.n},
        {.kind = AM_OP_INSERT,
         .table = "alias_event",
         REG_COLUMNS("id", "alias", "model", "name", "action", "before", "after", "undone"),
         .values = (const struct am_value[]){am_v_text(n->event), am_v_text(n->alias_id),
                                             am_v_text(spec->model), am_v_text(spec->alias),
                                             am_v_text("set"),
                                             REG_LOOKUP("alias", "version", "id", n->alias_id),
                                             number, am_v_int(0)},
         .n_rows = one_alias},
        {.kind = AM_OP_UPSERT,
         .table = "alias",
         REG_COLUMNS("id", "model", "name", "version"),
         .values = (const struct am_value[]){am_v_text(n->alias_id), am_v_text(spec->model),
                                             am_v_text(spec->alias), number},
         .n_rows = one_alias},
    };
    const struct am_txn txn = {.ops = ops, .n_ops = sizeof ops / sizeof *ops, .publish = true};
    return am_records_commit(&r->records, &txn, result, err);
}

static enum am_rc show(struct am_registry *r, struct am_arena *a, const char *id, bool fresh,
                       struct am_node **out, struct am_err *err)
{
    struct am_snapshot s;
    AM_TRY(am_records_snapshot(&r->records, &s, err));
    enum am_rc rc = version_full(r, &s, a, id, out, err);
    am_snapshot_release(&s);
    if (rc == AM_ENOTFOUND)
        return am_fail(err, AM_ENOTFOUND,
                       "the version made under this idempotency key was removed");
    AM_TRY(rc);
    am_node_set(a, *out, "new", am_new_bool(a, fresh));
    return am_arena_check(a, err);
}

/* The key was used before: the same request gets the same version. */
static enum am_rc answer_again(struct am_registry *r, struct am_arena *a, const struct adding *n,
                               struct am_node **out, struct am_err *err)
{
    struct am_snapshot s;
    struct am_value v[2];
    AM_TRY(am_records_snapshot(&r->records, &s, err));
    struct am_query q = {.table = "idempotency",
                         REG_COLUMNS("request", "ref"),
                         .where = REG_EQ("key", am_v_text(n->spec->idempotency_key))};
    enum am_rc rc = am_snapshot_first(&s, a, &q, v, err);
    am_snapshot_release(&s);
    AM_TRY(rc);
    if (!am_str_eq(v[0].text, n->request))
        return am_fail(err, AM_ECONFLICT,
                       "idempotency key \"%.64s\" was used for another package or model",
                       n->spec->idempotency_key);
    return show(r, a, v[1].text.ptr, false, out, err);
}

static enum am_rc explain(const struct am_version_spec *spec, size_t failed_op, enum am_rc rc,
                          struct am_err *err)
{
    if (rc == AM_ECONFLICT && failed_op == OP_DATASET)
        return am_fail(err, AM_ENOTFOUND, "there is no dataset %.12s…", spec->dataset);
    if (rc == AM_ECONFLICT && failed_op == OP_RUN)
        return am_fail(err, AM_ENOTFOUND, "there is no run \"%.64s\"", spec->run);
    return rc;
}

enum am_rc am_registry_version_add(struct am_registry *r, struct am_arena *a,
                                   const struct am_version_spec *spec, struct am_node **out,
                                   struct am_err *err)
{
    struct am_registry_lock *publishing = NULL;
    struct am_txn_result result = {0};
    struct adding n = {.spec = spec};
    enum am_rc rc = AM_OK;
    AM_TRY(check_spec(spec, err));
    AM_TRY(reg_lock(r, "publish", REG_LOCK_SHARED, &publishing, err));
    AM_GO(rc, prepare(r, a, &n, err));
    rc = insert(r, &n, &result, err);
    if (rc == AM_OK)
        rc = show(r, a, n.id, true, out, err);
    else if (rc == AM_EEXIST && result.failed_op == OP_IDEMPOTENCY)
        rc = answer_again(r, a, &n, out, err);
    else
        rc = explain(spec, result.failed_op, rc, err);
out:
    reg_unlock(publishing);
    return rc;
}

/* ---- another package of the same version ---- */

static enum am_rc repack(struct am_registry *r, struct am_arena *a, const struct reg_version *v,
                         const char *old, const char *path, struct am_err *err)
{
    const struct am_registry_file file = {
        .name = "package.aim", .path = path, .media = "application/vnd.aimass.model"};
    struct reg_stored files;
    AM_TRY(reg_store_files(r, a, "version", v->id, &file, 1, &files, err));
    const struct am_blob_info *blob = &files.infos[0];
    const struct am_op ops[] = {
        {.kind = AM_OP_UPDATE,
         .table = "version",
         REG_COLUMNS("package", "bytes"),
         REG_VALUES(am_v_text(blob->id.hex), am_v_int((int64_t)blob->n_bytes)),
         .where = REG_AND(REG_EQ("id", am_v_text(v->id)), REG_EQ("package", am_v_text(old))),
         .expect = 1},
        {.kind = AM_OP_DELETE,
         .table = "file",
         .where = REG_AND(REG_KIND_REF("version", v->id), REG_EQ("name", am_v_text(file.name))),
         .expect = 1},
        {.kind = AM_OP_INSERT,
         .table = "file",
         .columns = reg_file_columns,
         .n_columns = 6,
         .values = files.rows,
         .n_rows = 1},
    };
    const struct am_txn txn = {.ops = ops, .n_ops = sizeof ops / sizeof *ops, .publish = true};
    enum am_rc rc = am_records_commit(&r->records, &txn, NULL, err);
    if (rc == AM_ECONFLICT)
        return am_fail(err, AM_ECONFLICT, "%s@%lld was changed by somebody else just now", v->model,
                       (long long)v->number);
    return rc;
}

enum am_rc am_registry_version_repack(struct am_registry *r, struct am_arena *a, const char *ref,
                                      const char *old, const char *path, struct am_node **out,
                                      struct am_err *err)
{
    struct am_registry_lock *publishing = NULL;
    struct am_snapshot s;
    struct reg_version v;
    AM_TRY(am_records_snapshot(&r->records, &s, err));
    enum am_rc rc = reg_find_version(&s, a, ref, &v, err);
    am_snapshot_release(&s);
    AM_TRY(rc);
    AM_TRY(reg_lock(r, "publish", REG_LOCK_SHARED, &publishing, err));
    rc = repack(r, a, &v, old, path, err);
    reg_unlock(publishing);
    AM_TRY(rc);
    return am_registry_version_get(r, a, ref, out, err);
}
