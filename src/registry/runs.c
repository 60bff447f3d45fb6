/* Runs, the reading side: finding, listing, showing; runs whose process died become `interrupted`.
 *
 * What writes a run while it is executed is run_write.c. */
#include "registry/registry_int.h"

static const char *const columns[] = {
    "id",      "name",    "experiment", "state",        "started_us",  "ended_us",
    "seconds", "dataset", "seed",       "commit_id",    "profile",     "parent",
    "owner",   "error",   "recipe",     "recipe_given", "environment",
};
enum {
    C_ID,
    C_NAME,
    C_EXPERIMENT,
    C_STATE,
    C_STARTED,
    C_ENDED,
    C_SECONDS,
    C_DATASET,
    C_SEED,
    C_COMMIT,
    C_PROFILE,
    C_PARENT,
    C_OWNER,
    C_ERROR,
    C_RECIPE,
    C_GIVEN,
    C_ENVIRONMENT
};
#define N_LISTED 14
#define N_ALL 17

void reg_run_lock_name(const char *id, char out[48])
{
    (void)snprintf(out, 48, "run-%.32s", id);
}

/* ---- finding ---- */

enum am_rc reg_find_run(const struct am_snapshot *s, struct am_arena *a, const char *id,
                        const char **out, struct am_err *err)
{
    struct reg_row *rows;
    struct am_str given = am_str(id);
    bool good = given.len >= 6 && given.len <= 32;
    for (size_t i = 0; good && i < given.len; i++)
        good = (id[i] >= '0' && id[i] <= '9') || (id[i] >= 'a' && id[i] <= 'f');
    if (!good) {
        am_fail(err, AM_EUSAGE, "\"%.80s\" is not a run id (6 to 32 hex digits)", id);
        am_hint(err, "`aimass runs` lists the runs.");
        return AM_EUSAGE;
    }
    struct am_str pattern = am_arena_printf(a, "%s%%", id);
    AM_TRY(am_arena_check(a, err));
    struct am_query q = {.table = "run",
                         REG_COLUMNS("id"),
                         .where = REG_CMP("id", AM_CMP_LIKE, am_v_str(pattern)),
                         .limit = 2};
    AM_TRY(reg_select(s, a, &q, &rows, err));
    if (!rows) {
        am_fail(err, AM_ENOTFOUND, "there is no run \"%s\"", id);
        am_hint(err, "`aimass runs` lists the runs.");
        return AM_ENOTFOUND;
    }
    if (rows->next)
        return am_fail(err, AM_EUSAGE, "several runs begin with \"%s\": write more digits", id);
    *out = rows->v[0].text.ptr;
    return AM_OK;
}

/* ---- runs whose process is gone ---- */

static enum am_rc interrupt(struct am_registry *r, const char *id, struct am_err *err)
{
    const struct am_op op = {
        .kind = AM_OP_UPDATE,
        .table = "run",
        REG_COLUMNS("state"),
        REG_VALUES(am_v_text("interrupted")),
        .where = REG_AND(REG_EQ("id", am_v_text(id)), REG_EQ("state", am_v_text("running"))),
        .expect = AM_EXPECT_ANY};
    const struct am_txn txn = {.ops = &op, .n_ops = 1};
    return am_records_commit(&r->records, &txn, NULL, err);
}

enum am_rc reg_reconcile(struct am_registry *r, struct am_err *err)
{
    struct am_snapshot s = {0};
    struct reg_row *rows;
    enum am_rc rc = AM_OK;
    struct am_arena *a = am_arena_new(0);
    if (!a)
        return am_fail_nomem(err, 1);
    AM_GO(rc, am_records_snapshot(&r->records, &s, err));
    struct am_query q = {.table = "run",
                         REG_COLUMNS("id"),
                         .where = REG_EQ("state", am_v_text("running")),
                         .limit = -1};
    AM_GO(rc, reg_select(&s, a, &q, &rows, err));
    am_snapshot_release(&s);
    for (; rows; rows = rows->next) {
        struct am_registry_lock *l = NULL;
        char name[48];
        reg_run_lock_name(rows->v[0].text.ptr, name);
        rc = reg_lock(r, name, REG_LOCK_TRY, &l, NULL);
        if (rc == AM_EBUSY) { /* alive */
            rc = AM_OK;
            continue;
        }
        if (rc != AM_OK)
            AM_GO(rc,
                  am_fail(err, rc, "cannot see whether run %.8s is alive", rows->v[0].text.ptr));
        rc = interrupt(r, rows->v[0].text.ptr, err);
        reg_lock_remove(r, name);
        reg_unlock(l);
        if (rc != AM_OK)
            goto out;
    }
out:
    am_snapshot_release(&s);
    am_arena_free(a);
    return rc;
}

/* ---- trees ---- */

static enum am_rc to_nodes(const struct am_snapshot *s, struct am_arena *a,
                           const struct reg_row *rows, struct reg_many *out, struct am_err *err)
{
    static const struct {
        const char *key;
        int column;
    } plain[] = {
        {"run", C_ID},        {"name", C_NAME},         {"experiment", C_EXPERIMENT},
        {"state", C_STATE},   {"seconds", C_SECONDS},   {"dataset", C_DATASET},
        {"seed", C_SEED},     {"git_commit", C_COMMIT}, {"profile", C_PROFILE},
        {"parent", C_PARENT}, {"owner", C_OWNER},       {"error", C_ERROR},
    };
    AM_TRY(reg_many_new(a, rows, out, err));
    for (; rows; rows = rows->next) {
        struct am_node *n = am_new_map(a);
        for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
            am_node_set(a, n, plain[i].key, reg_node(a, &rows->v[plain[i].column]));
            if (plain[i].column == C_STATE) {
                am_node_set(a, n, "started", reg_time(a, &rows->v[C_STARTED]));
                am_node_set(a, n, "ended", reg_time(a, &rows->v[C_ENDED]));
            }
        }
        reg_many_add(out, rows->v[C_ID].text, n);
    }
    AM_TRY(reg_hang_pairs(s, a, out, "param", NULL, "params", err));
    AM_TRY(reg_hang_pairs(s, a, out, "metric_last", "run", "metrics", err));
    return reg_hang_pairs(s, a, out, "tag", "run", "tags", err);
}

static enum am_rc history_of(const struct am_snapshot *s, struct am_arena *a, const char *id,
                             struct am_node **out, struct am_err *err)
{
    struct reg_row *rows;
    struct am_node *list = NULL;
    struct am_str key = {NULL, 0};
    struct am_order order[] = {{.column = "key"}, {.column = "step"}, {.column = "at_us"}};
    struct am_query q = {.table = "metric",
                         REG_COLUMNS("key", "step", "value", "at_us"),
                         .where = REG_EQ("run", am_v_text(id)),
                         .order = order,
                         .n_order = 3,
                         .limit = -1};
    AM_TRY(reg_select(s, a, &q, &rows, err));
    *out = am_new_map(a);
    for (; rows; rows = rows->next) {
        if (!list || !am_str_eq(key, rows->v[0].text)) {
            key = rows->v[0].text;
            list = am_new_list(a);
            am_node_set_str(a, *out, key, list);
        }
        struct am_node *p = am_new_map(a);
        am_node_set(a, p, "step", reg_node(a, &rows->v[1]));
        am_node_set(a, p, "value", reg_node(a, &rows->v[2]));
        am_node_set(a, p, "time", reg_time(a, &rows->v[3]));
        am_node_push(a, list, p);
    }
    return am_arena_check(a, err);
}

static enum am_rc checkpoints_of(const struct am_snapshot *s, struct am_arena *a, const char *id,
                                 struct am_node **out, struct am_err *err)
{
    struct reg_row *rows;
    struct am_order by_step = {.column = "step"};
    struct am_query q = {.table = "file",
                         REG_COLUMNS("step", "bytes", "created_us"),
                         .where = REG_KIND_REF("checkpoint", id),
                         .order = &by_step,
                         .n_order = 1,
                         .limit = -1};
    AM_TRY(reg_select(s, a, &q, &rows, err));
    *out = am_new_list(a);
    for (; rows; rows = rows->next) {
        struct am_node *c = am_new_map(a);
        am_node_set(a, c, "step", reg_node(a, &rows->v[0]));
        am_node_set(a, c, "bytes", reg_node(a, &rows->v[1]));
        am_node_set(a, c, "created", reg_time(a, &rows->v[2]));
        am_node_push(a, *out, c);
    }
    return am_arena_check(a, err);
}

#define LOG_SHOWN ((size_t)256 << 10)

static enum am_rc add_log(void *ctx, const struct am_value *v, struct am_err *err)
{
    am_buf_str(ctx, v[0].text);
    return am_buf_check(ctx, err);
}

static enum am_rc log_of(const struct am_snapshot *s, struct am_arena *a, const char *id,
                         struct am_node **out, struct am_err *err)
{
    struct am_buf log;
    am_buf_init(&log, 2 * AM_LIMIT_RUN_LOG_BYTES);
    struct am_query q = {.table = "run_log",
                         REG_COLUMNS("text"),
                         .where = REG_EQ("run", am_v_text(id)),
                         .limit = -1};
    enum am_rc rc = am_snapshot_select(s, &q, add_log, &log, err);
    if (rc == AM_OK) {
        struct am_str text = am_buf_view(&log);
        if (text.len > LOG_SHOWN) {
            const char *end = text.ptr + text.len, *from = end - LOG_SHOWN;
            const char *line = memchr(from, '\n', LOG_SHOWN);
            from = line ? line + 1 : from;
            text = (struct am_str){from, (size_t)(end - from)};
        }
        *out = am_new_str(a, text);
        rc = am_arena_check(a, err);
    }
    am_buf_clear(&log);
    return rc;
}

static enum am_rc versions_of(const struct am_snapshot *s, struct am_arena *a, const char *id,
                              struct am_node **out, struct am_err *err)
{
    struct reg_row *rows;
    struct am_query q = {.table = "version",
                         REG_COLUMNS("model", "number"),
                         .where = REG_EQ("run", am_v_text(id)),
                         .limit = -1};
    AM_TRY(reg_select(s, a, &q, &rows, err));
    *out = am_new_list(a);
    for (; rows; rows = rows->next) {
        struct am_node *v = am_new_map(a);
        am_node_set(a, v, "model", reg_node(a, &rows->v[0]));
        am_node_set(a, v, "version", reg_node(a, &rows->v[1]));
        am_node_push(a, *out, v);
    }
    return am_arena_check(a, err);
}

static enum am_rc read_all(struct am_registry *r, const struct am_snapshot *s, struct am_arena *a,
                           const char *given, struct am_node **out, struct am_err *err)
{
    const char *id = NULL;
    struct reg_row *row = NULL;
    struct reg_many one;
    struct am_node *n = NULL;
    AM_TRY(reg_find_run(s, a, given, &id, err));
    struct am_query q = {.table = "run",
                         .columns = columns,
                         .n_columns = N_ALL,
                         .where = REG_EQ("id", am_v_text(id)),
                         .limit = 1};
    AM_TRY(reg_select(s, a, &q, &row, err));
    if (!row)
        return AM_ENOTFOUND;
    const struct am_value *v = row->v;
    AM_TRY(to_nodes(s, a, row, &one, err));
    *out = one.nodes[0];
    am_node_set(a, *out, "recipe", reg_node(a, &v[C_RECIPE]));
    am_node_set(a, *out, "recipe_given", reg_node(a, &v[C_GIVEN]));
    AM_TRY(reg_json(a, &v[C_ENVIRONMENT], "environment of the run", &n, err));
    am_node_set(a, *out, "environment", n);
    AM_TRY(history_of(s, a, id, &n, err));
    am_node_set(a, *out, "history", n);
    AM_TRY(reg_files(r, s, a, "run", id, &n, err));
    am_node_set(a, *out, "artefacts", n);
    AM_TRY(checkpoints_of(s, a, id, &n, err));
    am_node_set(a, *out, "checkpoints", n);
    AM_TRY(log_of(s, a, id, &n, err));
    am_node_set(a, *out, "log", n);
    AM_TRY(versions_of(s, a, id, &n, err));
    am_node_set(a, *out, "versions", n);
    return am_arena_check(a, err);
}

enum am_rc am_registry_run_get(struct am_registry *r, struct am_arena *a, const char *id,
                               struct am_node **out, struct am_err *err)
{
    struct am_snapshot s;
    AM_TRY(reg_reconcile(r, err));
    AM_TRY(am_records_snapshot(&r->records, &s, err));
    enum am_rc rc = read_all(r, &s, a, id, out, err);
    am_snapshot_release(&s);
    return rc;
}

enum am_rc am_registry_runs(struct am_registry *r, struct am_arena *a,
                            const struct am_registry_list *l, struct am_node **out,
                            struct am_err *err)
{
    struct am_snapshot s;
    struct reg_row *rows;
    int64_t total = 0;
    enum am_rc rc = AM_OK;
    struct reg_many many;
    AM_TRY(reg_reconcile(r, err));
    AM_TRY(am_records_snapshot(&r->records, &s, err));
    AM_GO(rc, reg_select_list(&s, a, AM_KIND_RUN, l, columns, N_LISTED, &rows, &total, err));
    AM_GO(rc, to_nodes(&s, a, rows, &many, err));
    rc = reg_many_answer(a, &many, "runs", total, out, err);
out:
    am_snapshot_release(&s);
    return rc;
}

enum am_rc am_registry_experiments(struct am_registry *r, struct am_arena *a,
                                   const struct am_registry_list *l, struct am_node **out,
                                   struct am_err *err)
{
    static const char *const listed[] = {"name", "created_us", "owner"};
    struct am_snapshot s;
    struct reg_row *rows;
    struct reg_many many;
    int64_t total = 0;
    enum am_rc rc = AM_OK;
    AM_TRY(am_records_snapshot(&r->records, &s, err));
    AM_GO(rc, reg_select_list(&s, a, AM_KIND_EXPERIMENT, l, listed, 3, &rows, &total, err));
    AM_GO(rc, reg_many_new(a, rows, &many, err));
    for (; rows; rows = rows->next) {
        struct am_node *n = am_new_map(a);
        am_node_set(a, n, "experiment", reg_node(a, &rows->v[0]));
        am_node_set(a, n, "runs", reg_node(a, &rows->v[3])); /* the computed one */
        am_node_set(a, n, "created", reg_time(a, &rows->v[1]));
        am_node_set(a, n, "owner", reg_node(a, &rows->v[2]));
        reg_many_add(&many, rows->v[0].text, n);
    }
    AM_GO(rc, reg_hang_pairs(&s, a, &many, "tag", "experiment", "tags", err));
    rc = reg_many_answer(a, &many, "experiments", total, out, err);
out:
    am_snapshot_release(&s);
    return rc;
}

/* ---- checkpoints ---- */

enum am_rc am_registry_checkpoint_read(struct am_registry *r, const char *run, int64_t *step,
                                       struct am_buf *out, struct am_err *err)
{
    struct am_snapshot s = {0};
    struct reg_row *rows = NULL;
    const char *id = NULL;
    enum am_rc rc = AM_OK;
    struct am_arena *a = am_arena_new(0);
    if (!a)
        return am_fail_nomem(err, 1);
    AM_GO(rc, am_records_snapshot(&r->records, &s, err));
    AM_GO(rc, reg_find_run(&s, a, run, &id, err));
    struct am_order newest = {.column = "step", .descending = true};
    struct am_query q = {.table = "file",
                         REG_COLUMNS("step", "blob"),
                         .where = REG_KIND_REF("checkpoint", id),
                         .order = &newest,
                         .n_order = 1,
                         .limit = -1};
    AM_GO(rc, reg_select(&s, a, &q, &rows, err));
    rc = am_fail(err, AM_ENOTFOUND, "run %.8s has no checkpoint", id);
    size_t before = out->len;
    for (; rows; rows = rows->next) {
        struct am_blob_id blob;
        AM_GO(rc, am_blob_id_parse(rows->v[1].text, &blob, err));
        rc = am_blob_get(&r->blobs, &blob, out, err);
        if (rc != AM_ECORRUPT && rc != AM_ENOTFOUND) {
            *step = rows->v[0].i;
            break;
        }
        out->len = before; /* damaged: the one before it */
    }
out:
    am_snapshot_release(&s);
    am_arena_free(a);
    return rc;
}
