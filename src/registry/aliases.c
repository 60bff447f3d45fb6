/* Aliases with their history, and tags of any noun.
 *
 * Every move of an alias is one transaction that also writes an event; undo marks the event it
 * takes back, so that a second undo goes one step further. `publish` tells servers that something
 * changed. */
#include "registry/registry_int.h"

struct move {
    const char *model, *alias, *alias_id, *action;
    struct am_value from, to; /* versions or NULL */
    const char *undoes;       /* event id or NULL */
};

static enum am_rc check_alias(const char *model, const char *alias, struct am_err *err)
{
    if (!am_name_valid(am_str(model)))
        return am_fail(err, AM_EINVAL, "\"%.160s\" is not a model name", model);
    if (!am_name_valid(am_str(alias)) || strspn(alias, "0123456789") == strlen(alias)) {
        am_fail(err, AM_EINVAL, "\"%.160s\" is not an alias", alias);
        am_hint(err, "Use letters, digits, '.', '_' and '-', not digits alone.");
        return AM_EINVAL;
    }
    return AM_OK;
}

/* Where the alias points (NULL value: nowhere). */
static enum am_rc current(const struct am_snapshot *s, struct am_arena *a, const char *alias_id,
                          struct am_value *out, struct am_err *err)
{
    struct am_query q = {
        .table = "alias", REG_COLUMNS("version"), .where = REG_EQ("id", am_v_text(alias_id))};
    *out = am_v_null();
    enum am_rc rc = am_snapshot_first(s, a, &q, out, err);
    return rc == AM_ENOTFOUND ? AM_OK : rc;
}

/* One transaction: the alias still points to m->from, the version m->to exists, it moves, the
 * event. */
static enum am_rc commit_move(struct am_registry *r, const struct move *m, struct am_err *err)
{
    enum { STILL, EXISTS };
    char event[AM_REGISTRY_ID];
    struct am_txn_result result = {0};
    bool was = m->from.kind == AM_VALUE_INT, will = m->to.kind == AM_VALUE_INT;
    reg_new_id(event);
    const struct am_cond *this_alias = REG_EQ("id", am_v_text(m->alias_id));
    const struct am_op ops[] = {
        [STILL] = {.kind = AM_OP_REQUIRE,
                   .table = "alias",
                   .where = was ? REG_AND(this_alias, REG_EQ("version", m->from)) : this_alias,
                   .expect = was ? 1 : 0},
        [EXISTS] = {.kind = AM_OP_REQUIRE,
                    .table = "version",
                    .where = REG_AND(REG_EQ("model", am_v_text(m->model)), REG_EQ("number", m->to)),
                    .expect = will ? 1 : 0},
        {.kind = AM_OP_UPSERT,
         .table = "alias",
         REG_COLUMNS("id", "model", "name", "version"),
         .values = (const struct am_value[]){am_v_text(m->alias_id), am_v_text(m->model),
                                             am_v_text(m->alias), m->to},
         .n_rows = will ? 1 : 0},
        {.kind = AM_OP_DELETE,
         .table = "alias",
         .where = will ? REG_EQ("id", am_v_null()) : this_alias,
         .expect = AM_EXPECT_ANY},
        {.kind = AM_OP_UPDATE,
         .table = "alias_event",
         REG_COLUMNS("undone"),
         REG_VALUES(am_v_int(1)),
         .where = REG_AND(REG_EQ("id", am_v_text(m->undoes)), REG_EQ("undone", am_v_int(0))),
         .expect = m->undoes ? 1 : 0},
        {.kind = AM_OP_INSERT,
         .table = "alias_event",
         REG_COLUMNS("id", "alias", "model", "name", "action", "before", "after", "undone"),
         REG_VALUES(am_v_text(event), am_v_text(m->alias_id), am_v_text(m->model),
                    am_v_text(m->alias), am_v_text(m->action), m->from, m->to,
                    am_v_int(m->undoes ? 1 : 0))},
    };
    const struct am_txn txn = {.ops = ops, .n_ops = sizeof ops / sizeof *ops, .publish = true};
    enum am_rc rc = am_records_commit(&r->records, &txn, &result, err);
    if (rc == AM_ECONFLICT && result.failed_op == EXISTS)
        return am_fail(err, AM_ECONFLICT, "version %lld of model \"%s\" is gone",
                       (long long)m->to.i, m->model);
    if (rc == AM_ECONFLICT)
        return am_fail(err, AM_ECONFLICT, "alias %s was moved by somebody else just now",
                       m->alias_id);
    return rc;
}

static enum am_rc move_node(struct am_arena *a, const struct move *m, struct am_node **out,
                            struct am_err *err)
{
    *out = am_new_map(a);
    am_node_set(a, *out, "model", am_new_cstr(a, m->model));
    am_node_set(a, *out, "alias", am_new_cstr(a, m->alias));
    am_node_set(a, *out, "from", reg_node(a, &m->from));
    am_node_set(a, *out, "to", reg_node(a, &m->to));
    return am_arena_check(a, err);
}

static enum am_rc start(struct am_arena *a, const char *model, const char *alias,
                        const char *action, struct move *m, struct am_err *err)
{
    AM_TRY(check_alias(model, alias, err));
    *m = (struct move){.model = model,
                       .alias = alias,
                       .action = action,
                       .alias_id = am_arena_printf(a, "%s@%s", model, alias).ptr};
    return am_arena_check(a, err);
}

enum am_rc am_registry_alias_set(struct am_registry *r, struct am_arena *a, const char *ref,
                                 const char *alias, struct am_node **out, struct am_err *err)
{
    struct am_snapshot s;
    struct reg_version v;
    struct move m;
    AM_TRY(am_records_snapshot(&r->records, &s, err));
    enum am_rc rc = reg_find_version(&s, a, ref, &v, err);
    if (rc == AM_OK)
        rc = start(a, v.model, alias, "set", &m, err);
    if (rc == AM_OK)
        rc = current(&s, a, m.alias_id, &m.from, err);
    am_snapshot_release(&s);
    AM_TRY(rc);
    m.to = am_v_int(v.number);
    AM_TRY(commit_move(r, &m, err));
    return move_node(a, &m, out, err);
}

enum am_rc am_registry_alias_remove(struct am_registry *r, struct am_arena *a, const char *model,
                                    const char *alias, struct am_node **out, struct am_err *err)
{
    struct am_snapshot s;
    struct move m;
    AM_TRY(start(a, model, alias, "remove", &m, err));
    AM_TRY(am_records_snapshot(&r->records, &s, err));
    enum am_rc rc = current(&s, a, m.alias_id, &m.from, err);
    am_snapshot_release(&s);
    AM_TRY(rc);
    if (m.from.kind == AM_VALUE_NULL)
        return am_fail(err, AM_ENOTFOUND, "model \"%s\" has no alias \"%s\"", model, alias);
    AM_TRY(commit_move(r, &m, err));
    return move_node(a, &m, out, err);
}

/* The newest move that was not undone: its id, and where the alias pointed before. */
static enum am_rc last_move(const struct am_snapshot *s, struct am_arena *a, struct move *m,
                            struct am_err *err)
{
    struct am_value v[2];
    struct am_order newest = {.column = "seq", .descending = true};
    struct am_query q = {
        .table = "alias_event",
        REG_COLUMNS("id", "before"),
        .where = REG_AND(REG_EQ("alias", am_v_text(m->alias_id)), REG_EQ("undone", am_v_int(0))),
        .order = &newest,
        .n_order = 1};
    enum am_rc rc = am_snapshot_first(s, a, &q, v, err);
    if (rc == AM_ENOTFOUND)
        return am_fail(err, AM_ENOTFOUND, "alias %s has no move to undo", m->alias_id);
    AM_TRY(rc);
    m->undoes = v[0].text.ptr;
    m->to = v[1];
    return AM_OK;
}

enum am_rc am_registry_alias_undo(struct am_registry *r, struct am_arena *a, const char *model,
                                  const char *alias, struct am_node **out, struct am_err *err)
{
    struct am_snapshot s;
    struct move m;
    AM_TRY(start(a, model, alias, "undo", &m, err));
    AM_TRY(am_records_snapshot(&r->records, &s, err));
    enum am_rc rc = current(&s, a, m.alias_id, &m.from, err);
    if (rc == AM_OK)
        rc = last_move(&s, a, &m, err);
    am_snapshot_release(&s);
    AM_TRY(rc);
    AM_TRY(commit_move(r, &m, err));
    return move_node(a, &m, out, err);
}

/* ---- tags ---- */

static enum am_rc commit_tag(struct am_registry *r, enum am_registry_kind kind, const char *id,
                             const char *key, const char *value, struct am_err *err)
{
    const struct am_entity *e = &am_registry_entities[kind];
    const struct am_op ops[] = {
        {.kind = AM_OP_REQUIRE,
         .table = e->table,
         .where = REG_EQ(e->id_column, am_v_text(id)),
         .expect = 1},
        {.kind = AM_OP_UPSERT,
         .table = "tag",
         REG_COLUMNS("kind", "ref", "key", "value"),
         .values = (const struct am_value[]){am_v_text(e->kind), am_v_text(id), am_v_text(key),
                                             am_v_text(value)},
         .n_rows = value ? 1 : 0},
        {.kind = AM_OP_DELETE,
         .table = "tag",
         .where = REG_AND(REG_KIND_REF(e->kind, id),
                          REG_EQ("key", value ? am_v_null() : am_v_text(key))),
         .expect = AM_EXPECT_ANY},
    };
    const struct am_txn txn = {
        .ops = ops, .n_ops = 3, .publish = kind == AM_KIND_MODEL || kind == AM_KIND_VERSION};
    enum am_rc rc = am_records_commit(&r->records, &txn, NULL, err);
    if (rc == AM_ECONFLICT)
        return am_fail(err, AM_ECONFLICT, "the %s was removed just now", e->kind);
    return rc;
}

enum am_rc am_registry_tag(struct am_registry *r, struct am_arena *a, enum am_registry_kind kind,
                           const char *ref, const char *key, const char *value,
                           struct am_node **out, struct am_err *err)
{
    struct am_snapshot s;
    struct am_node *tags;
    const char *id = NULL;
    const struct am_entity *e = &am_registry_entities[kind];
    AM_TRY(reg_check_key(am_str(key), "tags", err));
    if (value && (strlen(value) > AM_LIMIT_TAG_VALUE_BYTES || !am_utf8_valid(am_str(value))))
        return am_fail(err, AM_EINVAL,
                       "value of tag \"%s\" has %zu bytes, at most %d of UTF-8 allowed", key,
                       strlen(value), AM_LIMIT_TAG_VALUE_BYTES);
    AM_TRY(am_records_snapshot(&r->records, &s, err));
    enum am_rc rc = reg_find(r, a, &s, kind, ref, &id, err);
    am_snapshot_release(&s);
    AM_TRY(rc);
    AM_TRY(commit_tag(r, kind, id, key, value, err));
    AM_TRY(am_records_snapshot(&r->records, &s, err));
    rc = reg_pairs(&s, a, "tag", e->kind, id, &tags, err);
    am_snapshot_release(&s);
    AM_TRY(rc);
    *out = am_new_map(a);
    am_node_set(a, *out, "kind", am_new_cstr(a, e->kind));
    am_node_set(a, *out, "ref", am_new_cstr(a, ref));
    am_node_set(a, *out, "tags", tags);
    return am_arena_check(a, err);
}
