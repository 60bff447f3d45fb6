/* Removal: rm of what nothing refers to, garbage collection of bytes, scrub.
 *
 * rm takes rows only; the condition "nothing refers to it" is checked again inside the transaction.
 * Bytes go in two phases: gc notes blobs without a row, and removes those that were noted a grace
 * period ago and still have none. Publishers hold the shared "publish" lock from the put to the
 * row; gc takes it exclusively around each removal and looks at the rows again there, so a blob
 * that is being published is never removed. */
#include "base/clock.h"
#include "base/map.h"
#include "registry/registry_int.h"

/* ---- rm ---- */

static enum am_rc removed(struct am_arena *a, const char *what, const char *kind, int64_t rows,
                          struct am_node **out, struct am_err *err)
{
    *out = am_new_map(a);
    am_node_set(a, *out, "removed", am_new_cstr(a, what));
    am_node_set(a, *out, "kind", am_new_cstr(a, kind));
    am_node_set(a, *out, "rows", am_new_i64(a, rows));
    return am_arena_check(a, err);
}

static enum am_rc in_use(struct am_err *err, const char *what, const char *by, const char *remedy)
{
    am_fail(err, AM_ECONFLICT, "%s is used by %s", what, by);
    am_hint(err, "Remove that first: %s", remedy);
    return AM_ECONFLICT;
}

#define DELETE_ALL(tab, cond)                                                                      \
    {                                                                                              \
        .kind = AM_OP_DELETE, .table = (tab), .where = (cond), .expect = AM_EXPECT_ANY             \
    }
#define REQUIRE_NONE(tab, cond)                                                                    \
    {                                                                                              \
        .kind = AM_OP_REQUIRE, .table = (tab), .where = (cond), .expect = 0                        \
    }

static enum am_rc commit_removal(struct am_registry *r, const struct am_op *ops, size_t n,
                                 const char *what, struct am_err *err)
{
    const struct am_txn txn = {.ops = ops, .n_ops = n, .publish = true};
    enum am_rc rc = am_records_commit(&r->records, &txn, NULL, err);
    if (rc == AM_ECONFLICT)
        return am_fail(err, AM_ECONFLICT, "%s came into use or was removed just now", am_tr(what));
    return rc;
}

/* One row of `table` that meets `where`: its column as text, or AM_ENOTFOUND. */
static enum am_rc one_user(const struct am_snapshot *s, struct am_arena *a, const char *table,
                           const char *column, const struct am_cond *where, struct am_value *out,
                           struct am_err *err)
{
    struct am_query q = {
        .table = table, .columns = (const char *const[]){column}, .n_columns = 1, .where = where};
    return am_snapshot_first(s, a, &q, out, err);
}

static enum am_rc run_is_free(struct am_registry *r, const struct am_snapshot *s,
                              struct am_arena *a, const char *id, struct am_err *err)
{
    struct am_value v[2];
    char what[48], by[256], lock_name[48];
    struct am_registry_lock *alive = NULL;
    (void)snprintf(what, sizeof what, am_tr("run %.8s"), id);
    struct am_query q = {
        .table = "version", REG_COLUMNS("model", "number"), .where = REG_EQ("run", am_v_text(id))};
    enum am_rc rc = am_snapshot_first(s, a, &q, v, err);
    if (rc == AM_OK) {
        (void)snprintf(by, sizeof by, "%s@%lld", v[0].text.ptr, (long long)v[1].i);
        return in_use(err, what, by, by);
    }
    if (rc != AM_ENOTFOUND)
        return rc;
    reg_run_lock_name(id, lock_name);
    rc = reg_lock(r, lock_name, REG_LOCK_TRY, &alive, NULL);
    if (rc == AM_EBUSY) {
        am_fail(err, AM_ECONFLICT, "%s is running", what);
        am_hint(err, "Stop it first.");
        return AM_ECONFLICT;
    }
    if (rc != AM_OK)
        return am_fail(err, rc, "cannot see whether %s is alive", what);
    reg_lock_remove(r, lock_name);
    reg_unlock(alive);
    return AM_OK;
}

static enum am_rc rm_run(struct am_registry *r, const struct am_snapshot *s, struct am_arena *a,
                         const char *id, struct am_node **out, struct am_err *err)
{
    AM_TRY(run_is_free(r, s, a, id, err));
    const struct am_cond *of_run = REG_EQ("run", am_v_text(id));
    const struct am_cond *ref = REG_KIND_REF("run", id);
    const struct am_op ops[] = {
        REQUIRE_NONE("version", of_run),
        {.kind = AM_OP_DELETE, .table = "run", .where = REG_EQ("id", am_v_text(id)), .expect = 1},
        DELETE_ALL("param", of_run),
        DELETE_ALL("metric", of_run),
        DELETE_ALL("run_log", of_run),
        DELETE_ALL("trial", of_run),
        DELETE_ALL("metric_last", ref),
        DELETE_ALL("tag", ref),
        DELETE_ALL("file", ref),
        DELETE_ALL("file", REG_KIND_REF("checkpoint", id)),
    };
    AM_TRY(commit_removal(r, ops, sizeof ops / sizeof *ops, AM_N("the run"), err));
    return removed(a, id, "run", 1, out, err);
}

/* Whether the number of the dataset's version may be given again. */
enum number_use { NUMBER_SPENT, NUMBER_BACK };

static enum am_rc rm_dataset(struct am_registry *r, const struct am_snapshot *s, struct am_arena *a,
                             const char *id, const char *what, enum number_use number,
                             struct am_node **out, struct am_err *err)
{
    struct am_value hash, user, named[2];
    int64_t n_same = 0;
    char name[64], by[64];
    const struct am_cond *this_row = REG_EQ("id", am_v_text(id));
    struct am_query numbered = {
        .table = "dataset", REG_COLUMNS("name", "number"), .where = this_row};
    AM_TRY(one_user(s, a, "dataset", "hash", this_row, &hash, err));
    AM_TRY(am_snapshot_first(s, a, &numbered, named, err));
    const struct am_cond *newest =
        REG_AND(REG_EQ("name", number == NUMBER_BACK ? named[0] : am_v_null()),
                REG_EQ("last_version", named[1]));
    (void)snprintf(name, sizeof name, am_tr("dataset %.12s…"), hash.text.ptr);
    AM_TRY(am_snapshot_count(s, "dataset", REG_EQ("hash", hash), &n_same, err));
    const struct am_cond *uses = REG_EQ("dataset", hash);
    if (n_same == 1) { /* else the content stays under its other name */
        enum am_rc rc = one_user(s, a, "run", "id", uses, &user, err);
        if (rc == AM_OK) {
            (void)snprintf(by, sizeof by, am_tr("run %.8s"), user.text.ptr);
            return in_use(err, name, by, by);
        }
        if (rc != AM_ENOTFOUND)
            return rc;
        rc = one_user(s, a, "version", "model", uses, &user, err);
        if (rc == AM_OK)
            return in_use(err, name, user.text.ptr, user.text.ptr);
        if (rc != AM_ENOTFOUND)
            return rc;
    }
    int64_t none = n_same == 1 ? 0 : AM_EXPECT_ANY;
    const struct am_op ops[] = {
        {.kind = AM_OP_REQUIRE, .table = "run", .where = uses, .expect = none},
        {.kind = AM_OP_REQUIRE, .table = "version", .where = uses, .expect = none},
        {.kind = AM_OP_REQUIRE,
         .table = "dataset",
         .where = REG_EQ("hash", hash),
         .expect = n_same},
        {.kind = AM_OP_DELETE, .table = "dataset", .where = this_row, .expect = 1},
        DELETE_ALL("file", REG_KIND_REF("dataset", id)),
        DELETE_ALL("tag", REG_KIND_REF("dataset", id)),
        {.kind = AM_OP_UPDATE,
         .table = "dataset_name",
         REG_COLUMNS("last_version"),
         REG_VALUES(REG_ADD(-1)),
         .where = newest,
         .expect = AM_EXPECT_ANY},
    };
    AM_TRY(commit_removal(r, ops, sizeof ops / sizeof *ops, name, err));
    return removed(a, what, "dataset", 1, out, err);
}

static enum am_rc rm_version(struct am_registry *r, const struct am_snapshot *s, struct am_arena *a,
                             const struct reg_version *v, struct am_node **out, struct am_err *err)
{
    struct am_value alias;
    char what[192], by[160];
    (void)snprintf(what, sizeof what, "%s@%lld", v->model, (long long)v->number);
    const struct am_cond *pointing =
        REG_AND(REG_EQ("model", am_v_text(v->model)), REG_EQ("version", am_v_int(v->number)));
    enum am_rc rc = one_user(s, a, "alias", "name", pointing, &alias, err);
    if (rc == AM_OK) {
        (void)snprintf(by, sizeof by, am_tr("alias \"%.128s\""), alias.text.ptr);
        return in_use(err, what, by, by);
    }
    if (rc != AM_ENOTFOUND)
        return rc;
    const struct am_cond *ref = REG_KIND_REF("version", v->id);
    const struct am_op ops[] = {
        REQUIRE_NONE("alias", pointing),
        {.kind = AM_OP_DELETE,
         .table = "version",
         .where = REG_EQ("id", am_v_text(v->id)),
         .expect = 1},
        DELETE_ALL("file", ref),
        DELETE_ALL("metric_last", ref),
        DELETE_ALL("tag", ref),
    };
    AM_TRY(commit_removal(r, ops, sizeof ops / sizeof *ops, what, err));
    return removed(a, what, "version", 1, out, err);
}

/* A model without aliases goes with all its versions, in one transaction. Its row stays, unlisted,
 * so that a number is never given twice, and so do the moves of its aliases: who did what. */
static enum am_rc rm_model(struct am_registry *r, const struct am_snapshot *s, struct am_arena *a,
                           const char *model, struct am_node **out, struct am_err *err)
{
    struct am_value alias;
    char what[160], by[160];
    int64_t n = 0;
    (void)snprintf(what, sizeof what, am_tr("model \"%.128s\""), model);
    const struct am_cond *of_model = REG_EQ("model", am_v_text(model));
    enum am_rc rc = one_user(s, a, "alias", "name", of_model, &alias, err);
    if (rc == AM_OK) {
        (void)snprintf(by, sizeof by, am_tr("its alias \"%.128s\""), alias.text.ptr);
        return in_use(err, what, by, by);
    }
    if (rc != AM_ENOTFOUND)
        return rc;
    AM_TRY(am_snapshot_count(s, "version", of_model, &n, err));
    const struct am_cond of_versions = {.kind = AM_COND_EXISTS,
                                        .table = "version",
                                        .inner = "id",
                                        .outer = "ref",
                                        .kids = &of_model,
                                        .n_kids = 1};
    const struct am_cond *refs = REG_AND(REG_EQ("kind", am_v_text("version")), &of_versions);
    const struct am_op ops[] = {
        REQUIRE_NONE("alias", of_model),
        DELETE_ALL("file", refs),
        DELETE_ALL("metric_last", refs),
        DELETE_ALL("tag", refs),
        DELETE_ALL("version", of_model),
        {.kind = AM_OP_REQUIRE,
         .table = "model",
         .where = REG_EQ("name", am_v_text(model)),
         .expect = 1},
        DELETE_ALL("tag", REG_KIND_REF("model", model)),
    };
    AM_TRY(commit_removal(r, ops, sizeof ops / sizeof *ops, what, err));
    return removed(a, model, "model", n, out, err);
}

/* The name does not fit this noun: try the next one. Other errors count. */
static bool is_absent(enum am_rc rc)
{
    return rc == AM_ENOTFOUND || rc == AM_EUSAGE;
}

static enum am_rc rm_any(struct am_registry *r, const struct am_snapshot *s, struct am_arena *a,
                         const char *what, struct am_node **out, struct am_err *err)
{
    struct reg_version v;
    const char *id = NULL;
    enum am_rc rc = AM_ENOTFOUND;
    if (strchr(what, '@'))
        rc = reg_find_version(s, a, what, &v, err);
    if (rc == AM_OK)
        return rm_version(r, s, a, &v, out, err);
    if (is_absent(rc) && am_name_valid(am_str(what)))
        rc = reg_find(r, a, s, AM_KIND_MODEL, what, &id, err);
    if (rc == AM_OK)
        return rm_model(r, s, a, id, out, err);
    if (is_absent(rc))
        rc = reg_find_run(s, a, what, &id, err);
    if (rc == AM_OK)
        return rm_run(r, s, a, id, out, err);
    if (is_absent(rc))
        rc = reg_find_dataset(s, a, what, &id, err);
    if (rc == AM_OK)
        return rm_dataset(r, s, a, id, what, NUMBER_SPENT, out, err);
    if (!is_absent(rc))
        return rc;
    am_fail(err, AM_ENOTFOUND, "there is no model, version, run or dataset \"%.160s\"", what);
    am_hint(err, "`aimass models`, `aimass runs` and `aimass datasets` list what there is.");
    return AM_ENOTFOUND;
}

enum am_rc am_registry_rm(struct am_registry *r, struct am_arena *a, const char *what,
                          struct am_node **out, struct am_err *err)
{
    struct am_snapshot s;
    AM_TRY(reg_reconcile(r, err));
    AM_TRY(am_records_snapshot(&r->records, &s, err));
    enum am_rc rc = rm_any(r, &s, a, what, out, err);
    am_snapshot_release(&s);
    return rc;
}

enum am_rc am_registry_dataset_withdraw(struct am_registry *r, struct am_arena *a, const char *ref,
                                        struct am_err *err)
{
    struct am_snapshot s;
    struct am_node *out;
    const char *id = NULL;
    AM_TRY(am_records_snapshot(&r->records, &s, err));
    enum am_rc rc = reg_find_dataset(&s, a, ref, &id, err);
    if (rc == AM_OK)
        rc = rm_dataset(r, &s, a, id, ref, NUMBER_BACK, &out, err);
    am_snapshot_release(&s);
    return rc;
}

/* ---- gc ---- */

struct gc {
    struct am_registry *r;
    struct am_arena *a;
    enum am_registry_gc mode;
    int64_t now_us, grace_us;
    struct am_map used;        /* blobs with a row */
    struct am_map noted;       /* blob -> when it was noted first */
    struct am_blob_info *dead; /* in the arena: to remove */
    size_t n_dead, cap_dead;
    struct am_value *fresh; /* rows for garbage: blob, since */
    size_t n_fresh, cap_fresh;
    int64_t marked, marked_bytes, kept, kept_bytes, gone, gone_bytes;
};

/* Room for one more element of an arena array. */
static void *grow(struct am_arena *a, void *old, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return old;
    size_t more = *cap ? 2 * *cap : 64;
    void *p = am_arena_array(a, more, size);
    if (!p)
        return NULL;
    if (n)
        memcpy(p, old, n * size);
    *cap = more;
    return p;
}

static enum am_rc load_used(void *ctx, const struct am_value *v, struct am_err *err)
{
    struct gc *g = ctx;
    struct am_str blob = am_arena_str(g->a, v[0].text);
    AM_TRY(am_arena_check(g->a, err));
    return am_map_put(&g->used, blob, 1, err);
}

static enum am_rc load_noted(void *ctx, const struct am_value *v, struct am_err *err)
{
    struct gc *g = ctx;
    struct am_str blob = am_arena_str(g->a, v[0].text);
    AM_TRY(am_arena_check(g->a, err));
    return am_map_put(&g->noted, blob, (uint64_t)v[1].i, err);
}

static enum am_rc sort_blob(void *ctx, const struct am_blob_info *info, struct am_err *err)
{
    struct gc *g = ctx;
    struct am_str hex = am_str(info->id.hex);
    int64_t bytes = (int64_t)info->n_bytes;
    if (am_map_get(&g->used, hex)) {
        g->kept++;
        g->kept_bytes += bytes;
        return AM_OK;
    }
    const uint64_t *noted = am_map_get(&g->noted, hex);
    int64_t since = noted ? (int64_t)*noted : g->now_us;
    if (info->put_us > since)
        since = info->put_us; /* put again after it was noted */
    if (g->grace_us == 0 || (since <= g->now_us && g->now_us - since >= g->grace_us && noted)) {
        g->dead = grow(g->a, g->dead, g->n_dead, &g->cap_dead, sizeof *g->dead);
        if (!g->dead)
            return am_fail_nomem(err, sizeof *g->dead);
        g->dead[g->n_dead++] = *info;
        return AM_OK;
    }
    g->marked++;
    g->marked_bytes += bytes;
    if (noted)
        return AM_OK;
    g->fresh = grow(g->a, g->fresh, g->n_fresh, &g->cap_fresh, 2 * sizeof *g->fresh);
    if (!g->fresh)
        return am_fail_nomem(err, sizeof *g->fresh);
    g->fresh[2 * g->n_fresh] = am_v_str(am_arena_str(g->a, hex));
    g->fresh[2 * g->n_fresh++ + 1] = am_v_int(g->now_us);
    return am_arena_check(g->a, err);
}

static enum am_rc survey(struct gc *g, struct am_err *err)
{
    struct am_snapshot s = {0};
    enum am_rc rc = AM_OK;
    struct am_query used = {.table = "file", REG_COLUMNS("blob"), .limit = -1};
    struct am_query noted = {.table = "garbage", REG_COLUMNS("blob", "since_us"), .limit = -1};
    AM_TRY(am_records_snapshot(&g->r->records, &s, err));
    AM_GO(rc, am_snapshot_select(&s, &used, load_used, g, err));
    AM_GO(rc, am_snapshot_select(&s, &noted, load_noted, g, err));
    am_snapshot_release(&s);
    rc = g->r->blobs.ops->list(g->r->blobs.impl, sort_blob, g, err);
out:
    am_snapshot_release(&s);
    return rc;
}

#define GONE INT64_MIN /* put_us of a blob that was removed: its note goes, too */

/* Removes one blob unless it is used again or being published. */
static enum am_rc sweep(struct gc *g, struct am_blob_info *info, struct am_err *err)
{
    struct am_registry_lock *alone = NULL;
    struct am_snapshot s = {0};
    int64_t n = 0;
    enum am_rc rc = reg_lock(g->r, "publish", REG_LOCK_TRY, &alone, err);
    bool removed_it = false;
    if (rc == AM_EBUSY)
        rc = AM_OK; /* the next gc gets it */
    if (!alone)
        goto out;
    AM_GO(rc, am_records_snapshot(&g->r->records, &s, err));
    AM_GO(rc, am_snapshot_count(&s, "file", REG_EQ("blob", am_v_text(info->id.hex)), &n, err));
    if (n > 0)
        goto out;
    rc = g->r->blobs.ops->remove(g->r->blobs.impl, &info->id, err);
    removed_it = rc == AM_OK;
    if (rc == AM_ENOTFOUND)
        rc = AM_OK;
    if (rc == AM_OK)
        info->put_us = GONE;
out:
    am_snapshot_release(&s);
    reg_unlock(alone);
    int64_t bytes = (int64_t)info->n_bytes;
    *(removed_it ? &g->gone : &g->kept) += 1;
    *(removed_it ? &g->gone_bytes : &g->kept_bytes) += bytes;
    return rc;
}

/* New notes, and the end of notes whose blob is used again or gone. */
static enum am_rc write_notes(struct gc *g, struct am_err *err)
{
    const struct am_cond used = {
        .kind = AM_COND_EXISTS, .table = "file", .inner = "blob", .outer = "blob"};
    AM_TRY(am_arena_check(g->a, err));
    const struct am_op ops[] = {
        {.kind = AM_OP_INSERT_NEW,
         .table = "garbage",
         REG_COLUMNS("blob", "since_us"),
         .values = g->fresh,
         .n_rows = g->n_fresh},
        DELETE_ALL("garbage", &used),
    };
    const struct am_txn txn = {.ops = ops, .n_ops = 2};
    AM_TRY(am_records_commit(&g->r->records, &txn, NULL, err));
    for (size_t i = 0; i < g->n_dead; i++) {
        const struct am_op op = DELETE_ALL("garbage", REG_EQ("blob", am_v_text(g->dead[i].id.hex)));
        const struct am_txn one = {.ops = &op, .n_ops = 1};
        if (g->dead[i].put_us == GONE && am_map_get(&g->noted, am_str(g->dead[i].id.hex)))
            AM_TRY(am_records_commit(&g->r->records, &one, NULL, err));
    }
    return AM_OK;
}

static enum am_rc run_gc(struct gc *g, struct am_err *err)
{
    AM_TRY(survey(g, err));
    if (g->mode == AM_REGISTRY_GC_DRY_RUN) {
        for (size_t i = 0; i < g->n_dead; i++) {
            g->gone++;
            g->gone_bytes += (int64_t)g->dead[i].n_bytes;
        }
        return AM_OK;
    }
    for (size_t i = 0; i < g->n_dead; i++)
        AM_TRY(sweep(g, &g->dead[i], err));
    return write_notes(g, err);
}

static enum am_rc gc_node(const struct gc *g, struct am_node **out, struct am_err *err)
{
    *out = am_new_map(g->a);
    am_node_set(g->a, *out, "mode",
                am_new_cstr(g->a, g->mode == AM_REGISTRY_GC_DRY_RUN ? "dry run" : "real"));
    am_node_set(g->a, *out, "blobs", am_new_i64(g->a, g->gone));
    am_node_set(g->a, *out, "bytes", am_new_i64(g->a, g->gone_bytes));
    am_node_set(g->a, *out, "marked", am_new_i64(g->a, g->marked));
    am_node_set(g->a, *out, "marked_bytes", am_new_i64(g->a, g->marked_bytes));
    am_node_set(g->a, *out, "kept", am_new_i64(g->a, g->kept));
    am_node_set(g->a, *out, "kept_bytes", am_new_i64(g->a, g->kept_bytes));
    return am_arena_check(g->a, err);
}

enum am_rc am_registry_gc(struct am_registry *r, struct am_arena *a, int64_t grace_s,
                          enum am_registry_gc mode, struct am_node **out, struct am_err *err)
{
    struct am_registry_lock *role = NULL;
    if (grace_s < 0 || grace_s > INT64_C(3153600000))
        return am_fail(err, AM_EINVAL, "a grace period of %lld seconds", (long long)grace_s);
    struct gc g = {
        .r = r, .a = a, .mode = mode, .now_us = am_wall_us(), .grace_us = grace_s * 1000000};
    AM_TRY(am_registry_role_take(r, AM_ROLE_GC, &role, err));
    am_map_init(&g.used);
    am_map_init(&g.noted);
    enum am_rc rc = run_gc(&g, err);
    if (rc == AM_OK)
        rc = gc_node(&g, out, err);
    am_map_clear(&g.used);
    am_map_clear(&g.noted);
    am_registry_role_drop(role);
    return rc;
}

/* ---- scrub ---- */

enum am_rc am_registry_scrub(struct am_registry *r, struct am_arena *a, struct am_node **out,
                             struct am_err *err)
{
    static const char *const keys[] = {"blob", "kind", "ref", "name"};
    struct am_snapshot s;
    struct reg_row *rows;
    int64_t n = 0, bytes = 0;
    struct am_node *bad = am_new_list(a);
    AM_TRY(am_records_snapshot(&r->records, &s, err));
    struct am_query q = {
        .table = "file", REG_COLUMNS("blob", "kind", "ref", "name", "bytes"), .limit = -1};
    enum am_rc rc = reg_select(&s, a, &q, &rows, err);
    am_snapshot_release(&s);
    AM_TRY(rc);
    for (; rows; rows = rows->next) {
        struct am_blob_id id;
        struct am_err why;
        AM_TRY(am_blob_id_parse(rows->v[0].text, &id, err));
        n++;
        bytes += rows->v[4].i;
        rc = am_blob_check(&r->blobs, &id, &why);
        if (rc == AM_ENOMEM)
            return am_fail_nomem(err, 1);
        if (rc == AM_OK)
            continue;
        struct am_node *b = am_new_map(a);
        for (size_t i = 0; i < 4; i++)
            am_node_set(a, b, keys[i], reg_node(a, &rows->v[i]));
        am_node_set(a, b, "problem", am_new_cstr(a, why.message));
        am_node_push(a, bad, b);
    }
    *out = am_new_map(a);
    am_node_set(a, *out, "checked", am_new_i64(a, n));
    am_node_set(a, *out, "bytes", am_new_i64(a, bytes));
    am_node_set(a, *out, "bad", bad);
    return am_arena_check(a, err);
}
