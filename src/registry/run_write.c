/* A run while it is executed: parameters, metrics, log, artefacts, checkpoints, its end.
 *
 * The handle holds a flock named after the run; when the process dies, the kernel frees it and the
 * run is seen as interrupted. Metrics and log lines are buffered (one second or 1024 points) and
 * written in one transaction. `lock` guards the buffers, so log lines may come from any thread;
 * everything else is for the thread that executes the run. */
#include <math.h>
#include <pthread.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/vec.h"
#include "registry/registry_int.h"

#define BUFFER_POINTS 1024
#define BUFFER_NS UINT64_C(1000000000)
#define LOG_PIECE ((size_t)64 << 10)

struct point {
    char *key; /* owned */
    int64_t step, at_us;
    double value;
};

struct am_run {
    struct am_registry *r; /* borrowed */
    struct am_registry_lock *alive;
    char id[AM_REGISTRY_ID];
    uint64_t started_ns;
    double seconds_before; /* of earlier attempts */
    bool ended;

    pthread_mutex_t lock;
    AM_VEC(struct point) points;
    struct am_buf log;
    uint64_t log_bytes, log_dropped; /* ever */
    uint64_t first_ns;               /* of the oldest buffered thing; 0 = nothing */
};

static void free_points(struct point *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        am_free(p[i].key);
    am_free(p);
}

static enum am_rc new_run(struct am_registry *r, struct am_run **out, struct am_err *err)
{
    struct am_run *run = am_calloc(1, sizeof *run);
    if (!run)
        return am_fail_nomem(err, sizeof *run);
    run->r = r;
    run->started_ns = am_mono_ns();
    pthread_mutex_init(&run->lock, NULL);
    am_buf_init(&run->log, AM_LIMIT_RUN_LOG_BYTES);
    *out = run;
    return AM_OK;
}

void am_run_close(struct am_run *run)
{
    if (!run)
        return;
    if (run->alive && run->ended) {
        char name[48];
        reg_run_lock_name(run->id, name);
        reg_lock_remove(run->r, name);
    }
    reg_unlock(run->alive);
    free_points(run->points.ptr, run->points.len);
    am_buf_clear(&run->log);
    pthread_mutex_destroy(&run->lock);
    am_free(run);
}

const char *am_run_id(const struct am_run *run)
{
    return run->id;
}

struct am_registry *reg_run_registry(const struct am_run *run)
{
    return run->r;
}

/* ---- fields ---- */

#define FIELDS 9
struct fields {
    const char *columns[FIELDS];
    struct am_value values[FIELDS];
    size_t n;
};

static void add_field(struct fields *f, const char *column, struct am_value v)
{
    if (v.kind == AM_VALUE_NULL)
        return;
    f->columns[f->n] = column;
    f->values[f->n++] = v;
}

static enum am_rc take_fields(struct am_arena *a, const struct am_run_spec *s, struct fields *f,
                              struct am_err *err)
{
    struct am_value environment;
    struct am_blob_id hash;
    *f = (struct fields){.n = 0};
    if (s->dataset)
        AM_TRY(am_blob_id_parse(am_str(s->dataset), &hash, err));
    if (s->seed && *s->seed > INT64_MAX)
        return am_fail(err, AM_EINVAL, "seed %llu, at most %lld allowed",
                       (unsigned long long)*s->seed, (long long)INT64_MAX);
    AM_TRY(reg_json_text(a, s->environment, &environment, err));
    add_field(f, "recipe", am_v_text(s->recipe));
    add_field(f, "recipe_given", am_v_text(s->recipe_given));
    add_field(f, "dataset", am_v_text(s->dataset));
    add_field(f, "commit_id", am_v_text(s->git_commit));
    add_field(f, "profile", am_v_text(s->profile));
    add_field(f, "parent", am_v_text(s->parent));
    add_field(f, "seed", s->seed ? am_v_int((int64_t)*s->seed) : am_v_null());
    add_field(f, "environment", environment);
    add_field(f, "name", am_v_text(s->name));
    return AM_OK;
}

static const struct am_value *param_rows(struct am_arena *a, const char *id,
                                         const struct reg_flat *f)
{
    struct am_value *v = am_arena_array(a, f->n ? f->n : 1, 4 * sizeof *v);
    for (size_t i = 0; v && i < f->n; i++) {
        v[4 * i] = am_v_text(id);
        v[4 * i + 1] = am_v_text(f->pairs[i].key);
        v[4 * i + 2] = am_v_str(f->pairs[i].text);
        v[4 * i + 3] = am_v_real(f->pairs[i].number);
    }
    return v;
}

static const char *const param_columns[] = {"run", "key", "value", "number"};
static const char *const tag_columns[] = {"kind", "ref", "key", "value"};

static enum am_rc no_dataset(const char *hash, struct am_err *err)
{
    return am_fail(err, AM_ENOTFOUND, "there is no dataset %.12s…", hash);
}

/* ---- start ---- */

static enum am_rc insert_run(struct am_run *run, struct am_arena *a, const struct am_run_spec *s,
                             struct am_err *err)
{
    struct fields f;
    struct reg_flat params, tags;
    struct am_txn_result result = {0};
    AM_TRY(take_fields(a, s, &f, err));
    AM_TRY(reg_flatten(a, s->params, "params", &params, err));
    AM_TRY(reg_flatten(a, s->tags, "tags", &tags, err));
    const char *experiment = s->experiment ? s->experiment : s->name;
    const struct am_value *param_values = param_rows(a, run->id, &params);
    const struct am_value *tag_values = reg_tag_rows(a, "run", run->id, &tags);
    AM_TRY(am_arena_check(a, err));
    const struct am_op ops[] = {
        {.kind = AM_OP_REQUIRE,
         .table = "dataset",
         .where = REG_EQ("hash", am_v_text(s->dataset)),
         .expect = s->dataset ? AM_EXPECT_SOME : AM_EXPECT_ANY},
        {.kind = AM_OP_INSERT_NEW,
         .table = "experiment",
         REG_COLUMNS("name"),
         REG_VALUES(am_v_text(experiment))},
        {.kind = AM_OP_INSERT,
         .table = "run",
         REG_COLUMNS("id", "name", "experiment", "state", "started_us"),
         REG_VALUES(am_v_text(run->id), am_v_text(s->name), am_v_text(experiment),
                    am_v_text("running"), am_v_int(am_wall_us()))},
        {.kind = AM_OP_UPDATE,
         .table = "run",
         .columns = f.columns,
         .n_columns = f.n,
         .values = f.values,
         .n_rows = 1,
         .where = REG_EQ("id", am_v_text(run->id)),
         .expect = 1},
        {.kind = AM_OP_INSERT,
         .table = "param",
         .columns = param_columns,
         .n_columns = 4,
         .values = param_values,
         .n_rows = params.n},
        {.kind = AM_OP_INSERT,
         .table = "tag",
         .columns = tag_columns,
         .n_columns = 4,
         .values = tag_values,
         .n_rows = tags.n},
    };
    const struct am_txn txn = {.ops = ops, .n_ops = sizeof ops / sizeof *ops};
    enum am_rc rc = am_records_commit(&run->r->records, &txn, &result, err);
    if (rc == AM_ECONFLICT && result.failed_op == 0)
        return no_dataset(s->dataset, err);
    return rc;
}

enum am_rc am_run_start(struct am_registry *r, const struct am_run_spec *spec, struct am_run **out,
                        struct am_err *err)
{
    struct am_run *run = NULL;
    struct am_arena *a = NULL;
    char name[48];
    enum am_rc rc = AM_OK;
    if (!am_name_valid(am_str(spec->name)) ||
        (spec->experiment && !am_name_valid(am_str(spec->experiment))))
        return am_fail(err, AM_EINVAL, "\"%.160s\" is not a name of a run or experiment",
                       spec->experiment ? spec->experiment
                       : spec->name     ? spec->name
                                        : "");
    AM_TRY(new_run(r, &run, err));
    reg_new_id(run->id);
    reg_run_lock_name(run->id, name);
    a = am_arena_new(0);
    if (!a)
        AM_GO(rc, am_fail_nomem(err, 1));
    AM_GO(rc, reg_lock(r, name, REG_LOCK_TRY, &run->alive, err));
    rc = insert_run(run, a, spec, err);
    if (rc != AM_OK) {
        run->ended = true; /* there is no such run: its lock goes, too */
        goto out;
    }
    *out = run;
    run = NULL;
out:
    am_arena_free(a);
    am_run_close(run);
    return rc;
}

/* ---- resume ---- */

static enum am_rc take_up(struct am_run *run, int64_t after_step, struct am_err *err)
{
    const struct am_value states[] = {am_v_text("running"), am_v_text("interrupted"),
                                      am_v_text("failed"), am_v_text("canceled")};
    const struct am_cond state = {
        .kind = AM_COND_CMP, .column = "state", .op = AM_CMP_IN, .values = states, .n_values = 4};
    const struct am_cond *this_run = REG_EQ("run", am_v_text(run->id));
    struct am_txn_result result = {0};
    const struct am_op ops[] = {
        {.kind = AM_OP_UPDATE,
         .table = "run",
         REG_COLUMNS("state", "ended_us", "error"),
         REG_VALUES(am_v_text("running"), am_v_null(), am_v_null()),
         .where = REG_AND(REG_EQ("id", am_v_text(run->id)), &state),
         .expect = 1},
        {.kind = AM_OP_DELETE,
         .table = "metric",
         .where = REG_AND(this_run, REG_CMP("step", AM_CMP_GT, am_v_int(after_step))),
         .expect = AM_EXPECT_ANY},
        {.kind = AM_OP_DELETE,
         .table = "metric_last",
         .where = REG_AND(REG_KIND_REF("run", run->id),
                          REG_CMP("step", AM_CMP_GT, am_v_int(after_step))),
         .expect = AM_EXPECT_ANY},
    };
    const struct am_txn txn = {.ops = ops, .n_ops = 3};
    enum am_rc rc = am_records_commit(&run->r->records, &txn, &result, err);
    if (rc == AM_ECONFLICT)
        rc = am_fail(err, AM_ECONFLICT, "run %.8s has finished", run->id);
    return rc;
}

static enum am_rc open_again(struct am_run *run, struct am_arena *a, const char *id,
                             int64_t after_step, struct am_err *err)
{
    struct am_snapshot s;
    const char *full = NULL;
    struct am_value seconds = am_v_null();
    char name[48];
    AM_TRY(am_records_snapshot(&run->r->records, &s, err));
    enum am_rc rc = reg_find_run(&s, a, id, &full, err);
    if (rc == AM_OK) {
        struct am_query q = {
            .table = "run", REG_COLUMNS("seconds"), .where = REG_EQ("id", am_v_text(full))};
        rc = am_snapshot_first(&s, a, &q, &seconds, err);
    }
    am_snapshot_release(&s);
    AM_TRY(rc);
    memcpy(run->id, full, AM_REGISTRY_ID);
    run->seconds_before = seconds.kind == AM_VALUE_REAL ? seconds.r : 0;
    reg_run_lock_name(run->id, name);
    rc = reg_lock(run->r, name, REG_LOCK_TRY, &run->alive, err);
    if (rc == AM_EBUSY)
        return am_fail(err, AM_ECONFLICT, "run %.8s is still running", run->id);
    AM_TRY(rc);
    return take_up(run, after_step, err);
}

enum am_rc am_run_resume(struct am_registry *r, const char *id, int64_t after_step,
                         struct am_run **out, struct am_err *err)
{
    struct am_run *run = NULL;
    AM_TRY(new_run(r, &run, err));
    struct am_arena *a = am_arena_new(0);
    enum am_rc rc = a ? open_again(run, a, id, after_step, err) : am_fail_nomem(err, 1);
    am_arena_free(a);
    if (rc != AM_OK) {
        am_run_close(run);
        return rc;
    }
    *out = run;
    return AM_OK;
}

/* ---- update ---- */

static enum am_rc check_params(struct am_run *run, struct am_arena *a,
                               const struct reg_flat *params, struct am_err *err)
{
    struct am_snapshot s;
    enum am_rc rc = AM_OK;
    AM_TRY(am_records_snapshot(&run->r->records, &s, err));
    for (size_t i = 0; i < params->n && rc == AM_OK; i++) {
        struct am_value old;
        struct am_query q = {.table = "param",
                             REG_COLUMNS("value"),
                             .where = REG_AND(REG_EQ("run", am_v_text(run->id)),
                                              REG_EQ("key", am_v_text(params->pairs[i].key)))};
        rc = am_snapshot_first(&s, a, &q, &old, err);
        if (rc == AM_OK && !am_str_eq(old.text, params->pairs[i].text))
            rc = am_fail(err, AM_ECONFLICT, "param \"%s\" is \"%.*s\" already, not \"%.*s\"",
                         params->pairs[i].key, AM_FMT(old.text), AM_FMT(params->pairs[i].text));
        if (rc == AM_ENOTFOUND)
            rc = AM_OK;
    }
    am_snapshot_release(&s);
    return rc;
}

static enum am_rc update_run(struct am_run *run, struct am_arena *a, const struct am_run_spec *s,
                             struct am_err *err)
{
    struct fields f;
    struct reg_flat params, tags;
    struct am_txn_result result = {0};
    AM_TRY(take_fields(a, s, &f, err));
    AM_TRY(reg_flatten(a, s->params, "params", &params, err));
    AM_TRY(reg_flatten(a, s->tags, "tags", &tags, err));
    AM_TRY(check_params(run, a, &params, err));
    const struct am_value *param_values = param_rows(a, run->id, &params);
    const struct am_value *tag_values = reg_tag_rows(a, "run", run->id, &tags);
    AM_TRY(am_arena_check(a, err));
    const struct am_op ops[] = {
        {.kind = AM_OP_REQUIRE,
         .table = "dataset",
         .where = REG_EQ("hash", am_v_text(s->dataset)),
         .expect = s->dataset ? AM_EXPECT_SOME : AM_EXPECT_ANY},
        {.kind = AM_OP_UPDATE,
         .table = "run",
         .columns = f.columns,
         .n_columns = f.n,
         .values = f.values,
         .n_rows = 1,
         .where = REG_EQ("id", am_v_text(run->id)),
         .expect = 1},
        {.kind = AM_OP_INSERT_NEW,
         .table = "param",
         .columns = param_columns,
         .n_columns = 4,
         .values = param_values,
         .n_rows = params.n},
        {.kind = AM_OP_UPSERT,
         .table = "tag",
         .columns = tag_columns,
         .n_columns = 4,
         .values = tag_values,
         .n_rows = tags.n},
    };
    const struct am_txn txn = {.ops = ops, .n_ops = 4};
    enum am_rc rc = am_records_commit(&run->r->records, &txn, &result, err);
    if (rc == AM_ECONFLICT && result.failed_op == 0)
        return no_dataset(s->dataset, err);
    return rc;
}

enum am_rc am_run_update(struct am_run *run, const struct am_run_spec *spec, struct am_err *err)
{
    if (spec->name && !am_name_valid(am_str(spec->name)))
        return am_fail(err, AM_EINVAL, "\"%.160s\" is not a name of a run", spec->name);
    struct am_arena *a = am_arena_new(0);
    if (!a)
        return am_fail_nomem(err, 1);
    enum am_rc rc = update_run(run, a, spec, err);
    am_arena_free(a);
    return rc;
}

/* ---- metrics and log ---- */

/* with the lock held */
static bool is_due(const struct am_run *run)
{
    return run->points.len >= BUFFER_POINTS || run->log.len >= LOG_PIECE ||
           (run->first_ns && am_mono_ns() - run->first_ns >= BUFFER_NS);
}

static enum am_rc add_points(struct am_run *run, const struct am_metric_point *points, size_t n,
                             struct am_err *err)
{
    int64_t now = am_wall_us();
    for (size_t i = 0; i < n; i++) {
        struct am_str key = am_str(points[i].key);
        AM_TRY(reg_check_key(key, "metrics", err));
        struct point p = {am_strndup(key.ptr, key.len), points[i].step, now, points[i].value};
        if (!p.key || !am_vec_push(&run->points, p)) {
            am_free(p.key);
            return am_fail_nomem(err, key.len + sizeof p);
        }
    }
    if (n > 0 && !run->first_ns)
        run->first_ns = am_mono_ns();
    return AM_OK;
}

enum am_rc am_run_metrics(struct am_run *run, const struct am_metric_point *points, size_t n,
                          struct am_err *err)
{
    pthread_mutex_lock(&run->lock);
    enum am_rc rc = add_points(run, points, n, err);
    bool due = is_due(run);
    pthread_mutex_unlock(&run->lock);
    AM_TRY(rc);
    return due ? am_run_flush(run, err) : AM_OK;
}

void am_run_log(void *ctx, const char *line, size_t n)
{
    struct am_run *run = ctx;
    struct am_str text = {line, n};
    bool newline = n > 0 && line[n - 1] == '\n';
    pthread_mutex_lock(&run->lock);
    if (run->log_bytes + n + 1 > AM_LIMIT_RUN_LOG_BYTES || !am_utf8_valid(text)) {
        run->log_dropped++;
    } else {
        am_buf_str(&run->log, text);
        if (!newline)
            am_buf_char(&run->log, '\n');
        run->log_bytes += n + 1;
        if (!run->first_ns)
            run->first_ns = am_mono_ns();
    }
    pthread_mutex_unlock(&run->lock);
}

static void fill_metric_rows(const char *id, const struct point *p, size_t n,
                             struct am_value *points, struct am_value *last)
{
    for (size_t i = 0; i < n; i++) {
        struct am_value *v = points + 5 * i, *l = last + 6 * i;
        v[0] = am_v_text(id);
        v[1] = am_v_text(p[i].key);
        v[2] = am_v_int(p[i].step);
        v[3] = am_v_int(p[i].at_us);
        v[4] = am_v_real(p[i].value);
        l[0] = am_v_text("run");
        l[1] = v[0];
        l[2] = v[1];
        l[3] = v[4];
        l[4] = v[2];
        l[5] = v[3];
    }
}

/* Later points of a key overwrite earlier ones in metric_last, row by row, when they are not older.
 */
static enum am_rc write_points(struct am_run *run, struct am_arena *a, const struct point *p,
                               size_t n, struct am_str log, struct am_err *err)
{
    struct am_value *points = am_arena_array(a, n ? n : 1, 5 * sizeof *points);
    struct am_value *last = am_arena_array(a, n ? n : 1, 6 * sizeof *last);
    if (!points || !last)
        return am_fail_nomem(err, n * 11 * sizeof *points);
    fill_metric_rows(run->id, p, n, points, last);
    const struct am_op ops[] = {
        {.kind = AM_OP_INSERT_NEW,
         .table = "metric",
         REG_COLUMNS("run", "key", "step", "at_us", "value"),
         .values = points,
         .n_rows = n},
        {.kind = AM_OP_UPSERT,
         .table = "metric_last",
         REG_COLUMNS("kind", "ref", "key", "value", "step", "at_us"),
         .values = last,
         .n_rows = n,
         .newer = "at_us"},
        {.kind = AM_OP_INSERT,
         .table = "run_log",
         REG_COLUMNS("run", "text"),
         .values = (const struct am_value[]){am_v_text(run->id), am_v_str(log)},
         .n_rows = log.len ? 1 : 0},
    };
    const struct am_txn txn = {.ops = ops, .n_ops = 3};
    return am_records_commit(&run->r->records, &txn, NULL, err);
}

/* Puts what could not be written back in front, so that nothing buffered is lost by a busy moment.
 */
static void put_back(struct am_run *run, struct point *p, size_t n, struct am_str log)
{
    struct am_buf joined;
    am_buf_init(&joined, run->log.max);
    am_buf_str(&joined, log);
    pthread_mutex_lock(&run->lock);
    am_buf_str(&joined, am_buf_view(&run->log));
    am_buf_clear(&run->log);
    run->log = joined;
    if (n > 0 && am_vec_reserve(&run->points, run->points.len + n)) {
        memmove(run->points.ptr + n, run->points.ptr, run->points.len * sizeof *p);
        memcpy(run->points.ptr, p, n * sizeof *p);
        run->points.len += n;
        run->first_ns = am_mono_ns();
        n = 0;
    }
    pthread_mutex_unlock(&run->lock);
    free_points(n ? p : NULL, n);
    if (n == 0)
        am_free(p);
}

enum am_rc am_run_flush(struct am_run *run, struct am_err *err)
{
    struct am_arena *a = am_arena_new(0);
    if (!a)
        return am_fail_nomem(err, 1);
    pthread_mutex_lock(&run->lock);
    struct point *p = run->points.ptr;
    size_t n = run->points.len;
    struct am_str log = am_arena_str(a, am_buf_view(&run->log));
    bool kept = log.ptr != NULL;
    if (kept) {
        run->points.ptr = NULL;
        run->points.len = run->points.cap = 0;
        am_buf_reset(&run->log);
        run->first_ns = 0;
    }
    pthread_mutex_unlock(&run->lock);
    enum am_rc rc = AM_OK;
    if (!kept)
        rc = am_fail_nomem(err, 1);
    else if (n > 0 || log.len > 0)
        rc = write_points(run, a, p, n, log, err);
    if (kept && rc != AM_OK)
        put_back(run, p, n, log);
    else if (kept)
        free_points(p, n);
    am_arena_free(a);
    return rc;
}

/* ---- artefacts and checkpoints ---- */

static enum am_rc upsert_file(struct am_run *run, const struct reg_stored *files,
                              struct am_err *err)
{
    const struct am_op op = {.kind = AM_OP_UPSERT,
                             .table = "file",
                             .columns = reg_file_columns,
                             .n_columns = 6,
                             .values = files->rows,
                             .n_rows = files->n};
    const struct am_txn txn = {.ops = &op, .n_ops = 1};
    return am_records_commit(&run->r->records, &txn, NULL, err);
}

enum am_rc am_run_artefact(struct am_run *run, const struct am_registry_file *file,
                           struct am_err *err)
{
    struct am_registry_lock *publishing = NULL;
    struct reg_stored files;
    enum am_rc rc = AM_OK;
    struct am_arena *a = am_arena_new(0);
    if (!a)
        return am_fail_nomem(err, 1);
    AM_GO(rc, reg_lock(run->r, "publish", REG_LOCK_SHARED, &publishing, err));
    AM_GO(rc, reg_store_files(run->r, a, "run", run->id, file, 1, &files, err));
    rc = upsert_file(run, &files, err);
out:
    reg_unlock(publishing);
    am_arena_free(a);
    return rc;
}

/* The step below which checkpoints go: the n_keep-th newest, this one included; INT64_MIN = none
 * go. */
static enum am_rc oldest_kept(struct am_run *run, struct am_arena *a, int64_t step, unsigned n_keep,
                              int64_t *out, struct am_err *err)
{
    struct am_snapshot s;
    struct reg_row *rows = NULL;
    unsigned n = 1;
    *out = n_keep == 1 ? step : INT64_MIN;
    AM_TRY(am_records_snapshot(&run->r->records, &s, err));
    struct am_order newest = {.column = "step", .descending = true};
    struct am_query q = {.table = "file",
                         REG_COLUMNS("step"),
                         .where = REG_AND(REG_KIND_REF("checkpoint", run->id),
                                          REG_CMP("step", AM_CMP_LT, am_v_int(step))),
                         .order = &newest,
                         .n_order = 1,
                         .limit = -1};
    enum am_rc rc = reg_select(&s, a, &q, &rows, err);
    for (; rc == AM_OK && rows; rows = rows->next)
        if (++n == n_keep)
            *out = rows->v[0].i;
    am_snapshot_release(&s);
    return rc;
}

static enum am_rc write_checkpoint(struct am_run *run, int64_t step, int64_t oldest,
                                   const struct am_blob_info *info, struct am_err *err)
{
    char name[32];
    (void)snprintf(name, sizeof name, "step-%lld", (long long)step);
    const struct am_op ops[] = {
        {.kind = AM_OP_UPSERT,
         .table = "file",
         REG_COLUMNS("kind", "ref", "name", "blob", "bytes", "step"),
         REG_VALUES(am_v_text("checkpoint"), am_v_text(run->id), am_v_text(name),
                    am_v_text(info->id.hex), am_v_int((int64_t)info->n_bytes), am_v_int(step))},
        {.kind = AM_OP_DELETE,
         .table = "file",
         .where = REG_AND(REG_KIND_REF("checkpoint", run->id),
                          REG_CMP("step", AM_CMP_LT, am_v_int(oldest))),
         .expect = AM_EXPECT_ANY},
    };
    const struct am_txn txn = {.ops = ops, .n_ops = 2};
    return am_records_commit(&run->r->records, &txn, NULL, err);
}

enum am_rc am_run_checkpoint(struct am_run *run, int64_t step, const void *bytes, size_t n,
                             unsigned n_keep, struct am_err *err)
{
    struct am_registry_lock *publishing = NULL;
    struct am_blob_info info;
    int64_t oldest = 0;
    enum am_rc rc = AM_OK;
    if (step < 0 || n_keep == 0)
        return am_fail(err, AM_EINVAL, "a checkpoint at step %lld, %u kept", (long long)step,
                       n_keep);
    AM_TRY(am_run_flush(run, err));
    struct am_arena *a = am_arena_new(0);
    if (!a)
        return am_fail_nomem(err, 1);
    AM_GO(rc, reg_lock(run->r, "publish", REG_LOCK_SHARED, &publishing, err));
    AM_GO(rc, am_blob_put(&run->r->blobs, (struct am_str){bytes, n}, &info, err));
    AM_GO(rc, oldest_kept(run, a, step, n_keep, &oldest, err));
    rc = write_checkpoint(run, step, oldest, &info, err);
out:
    reg_unlock(publishing);
    am_arena_free(a);
    return rc;
}

/* ---- end ---- */

enum am_rc am_run_finish(struct am_run *run, enum am_run_state state, const char *why,
                         struct am_err *err)
{
    static const char *const names[] = {"finished", "failed", "canceled"};
    double seconds = run->seconds_before + (double)(am_mono_ns() - run->started_ns) / 1e9;
    pthread_mutex_lock(&run->lock);
    if (run->log_dropped)
        am_buf_printf(&run->log, "(%llu lines were dropped: the log is full)\n",
                      (unsigned long long)run->log_dropped);
    run->log_dropped = 0;
    pthread_mutex_unlock(&run->lock);
    AM_TRY(am_run_flush(run, err));
    const struct am_op ops[] = {
        {.kind = AM_OP_UPDATE,
         .table = "run",
         REG_COLUMNS("state", "ended_us", "seconds", "error"),
         REG_VALUES(am_v_text(names[state]), am_v_int(am_wall_us()), am_v_real(seconds),
                    am_v_text(why)),
         .where = REG_AND(REG_EQ("id", am_v_text(run->id)), REG_EQ("state", am_v_text("running"))),
         .expect = 1},
    };
    const struct am_txn txn = {.ops = ops, .n_ops = 1};
    enum am_rc rc = am_records_commit(&run->r->records, &txn, NULL, err);
    if (rc == AM_ECONFLICT)
        return am_fail(err, AM_ECONFLICT, "run %.8s was removed or ended meanwhile", run->id);
    run->ended = rc == AM_OK;
    return rc;
}
