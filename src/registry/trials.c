/* Trials of a run's search: one row for each, written as it ends, read again by a resume. The body
 * is the pipeline's; the registry knows run, study and number only. */
#include "base/alloc.h"
#include "registry/registry_int.h"

enum am_rc am_run_trial(struct am_run *run, int64_t study, int64_t number,
                        const struct am_node *body, struct am_err *err)
{
    struct am_registry *r = reg_run_registry(run);
    struct am_arena *a = am_arena_new(0);
    struct am_txn_result result = {0};
    struct am_value text;
    enum am_rc rc;
    if (!a)
        return am_fail_nomem(err, 1);
    AM_GO(rc, reg_json_text(a, body, &text, err));
    const struct am_op ops[] = {
        {.kind = AM_OP_REQUIRE,
         .table = "run",
         .where = REG_AND(REG_EQ("id", am_v_text(am_run_id(run))),
                          REG_EQ("state", am_v_text("running"))),
         .expect = 1},
        {.kind = AM_OP_UPSERT,
         .table = "trial",
         REG_COLUMNS("run", "study", "number", "body"),
         REG_VALUES(am_v_text(am_run_id(run)), am_v_int(study), am_v_int(number), text)}};
    const struct am_txn txn = {.ops = ops, .n_ops = 2};
    rc = am_records_commit(&r->records, &txn, &result, err);
    if (rc != AM_OK)
        am_context(err, "cannot store trial %lld", (long long)number);
out:
    am_arena_free(a);
    return rc;
}

static enum am_rc read_trials(const struct am_snapshot *s, struct am_arena *a, const char *given,
                              struct am_node **out, struct am_err *err)
{
    const char *id = NULL;
    struct reg_row *rows;
    static const struct am_order order[] = {{.column = "study"}, {.column = "number"}};
    AM_TRY(reg_find_run(s, a, given, &id, err));
    struct am_query q = {.table = "trial",
                         REG_COLUMNS("study", "number", "body"),
                         .where = REG_EQ("run", am_v_text(id)),
                         .order = order,
                         .n_order = 2,
                         .limit = -1};
    AM_TRY(reg_select(s, a, &q, &rows, err));
    *out = am_new_list(a);
    for (; rows; rows = rows->next) {
        struct am_node *t = am_new_map(a), *body = NULL;
        am_node_set(a, t, "study", reg_node(a, &rows->v[0]));
        am_node_set(a, t, "number", reg_node(a, &rows->v[1]));
        AM_TRY(reg_json(a, &rows->v[2], "trial of the run", &body, err));
        am_node_set(a, t, "body", body);
        am_node_push(a, *out, t);
    }
    return am_arena_check(a, err);
}

enum am_rc am_registry_trials(struct am_registry *r, struct am_arena *a, const char *run,
                              struct am_node **out, struct am_err *err)
{
    struct am_snapshot s;
    AM_TRY(am_records_snapshot(&r->records, &s, err));
    enum am_rc rc = read_trials(&s, a, run, out, err);
    am_snapshot_release(&s);
    return rc;
}
