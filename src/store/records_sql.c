/* Operations and queries to SQL text with bound values. Pure functions: no database, no clock.
 *
 * Identifiers are looked up in the declared schema and quoted, so nothing that a person wrote gets
 * into the text. Row aliases are t0, t1, … by depth. Not thread-bound: each call works on its own
 * am_sql. */
#include "store/records_int.h"

#define SQL_MAX ((size_t)1 << 20)

struct build {
    struct am_sql *s;
    const struct am_sql_scope *scope;
    struct am_err *err;
    unsigned n_aliases;
    unsigned n_nodes;
};

void am_sql_init(struct am_sql *s)
{
    *s = (struct am_sql){.expect = AM_EXPECT_ANY};
    am_buf_init(&s->text, SQL_MAX);
}

void am_sql_clear(struct am_sql *s)
{
    am_buf_clear(&s->text);
    am_vec_clear(&s->binds);
}

static enum am_rc bind(struct build *b, struct am_value v)
{
    if (!am_vec_push(&b->s->binds, v))
        return am_fail_nomem(b->err, (b->s->binds.len + 1) * sizeof v);
    return AM_OK;
}

static enum am_rc bind_param(struct build *b, struct am_value v)
{
    am_buf_char(&b->s->text, '?');
    return bind(b, v);
}

static enum am_rc find_table(struct build *b, const char *name, const struct am_records_table **out)
{
    *out = name ? am_records_find_table(b->scope->schema, name) : NULL;
    if (!*out)
        return am_fail(b->err, AM_EINTERNAL, "no table \"%s\"", name ? name : "");
    return AM_OK;
}

static enum am_rc check_column(struct build *b, const struct am_records_table *t, const char *name)
{
    if (!name || (!am_records_find_column(t, name) && !am_records_is_implicit(name)))
        return am_fail(b->err, AM_EINTERNAL, "table \"%s\" has no column \"%s\"", t->name,
                       name ? name : "");
    return AM_OK;
}

static enum am_rc put_column(struct build *b, const struct am_records_table *t, unsigned alias,
                             const char *name)
{
    AM_TRY(check_column(b, t, name));
    am_buf_printf(&b->s->text, "t%u.\"%s\"", alias, name);
    return AM_OK;
}

static enum am_rc put_project(struct build *b, unsigned alias)
{
    am_buf_printf(&b->s->text, "t%u.project = ", alias);
    return bind_param(b, am_v_str(b->scope->project));
}

/* (SELECT count(*) | max(column) FROM table WHERE project = ? AND inner = outer) */
static enum am_rc put_computed(struct build *b, const struct am_records_table *t, unsigned alias,
                               const struct am_computed *c)
{
    const struct am_records_table *in = NULL;
    AM_TRY(find_table(b, c->table, &in));
    unsigned mine = ++b->n_aliases;
    if (c->what == AM_AGGREGATE_COUNT) {
        am_buf_cstr(&b->s->text, "(SELECT count(*)");
    } else {
        am_buf_cstr(&b->s->text, "(SELECT max(");
        AM_TRY(put_column(b, in, mine, c->column));
        am_buf_char(&b->s->text, ')');
    }
    am_buf_printf(&b->s->text, " FROM \"%s\" AS t%u WHERE ", in->name, mine);
    AM_TRY(put_project(b, mine));
    am_buf_cstr(&b->s->text, " AND ");
    AM_TRY(put_column(b, in, mine, c->inner));
    am_buf_cstr(&b->s->text, " = ");
    AM_TRY(put_column(b, t, alias, c->outer));
    am_buf_char(&b->s->text, ')');
    return AM_OK;
}

static enum am_rc put_operand(struct build *b, const struct am_records_table *t, unsigned alias,
                              const struct am_cond *c)
{
    return c->computed ? put_computed(b, t, alias, c->computed)
                       : put_column(b, t, alias, c->column);
}

static enum am_rc put_cond(struct build *b, const struct am_records_table *t, unsigned alias,
                           const struct am_cond *c, unsigned depth);

static enum am_rc put_cmp(struct build *b, const struct am_records_table *t, unsigned alias,
                          const struct am_cond *c)
{
    static const char *const ops[] = {
        [AM_CMP_EQ] = " = ", [AM_CMP_NE] = " <> ", [AM_CMP_LT] = " < ",  [AM_CMP_LE] = " <= ",
        [AM_CMP_GT] = " > ", [AM_CMP_GE] = " >= ", [AM_CMP_IN] = " IN ", [AM_CMP_LIKE] = " LIKE ",
    };
    struct am_buf *text = &b->s->text;
    if (c->op == AM_CMP_IS_NULL) {
        AM_TRY(put_operand(b, t, alias, c));
        am_buf_cstr(text, " IS NULL");
        return AM_OK;
    }
    size_t n = c->op == AM_CMP_IN ? c->n_values : 1;
    if (n == 0 || n > AM_RECORDS_IN_VALUES || !c->values)
        return am_fail(b->err, AM_EINVAL, "a list of %zu values, 1 to %d allowed", n,
                       AM_RECORDS_IN_VALUES);
    if (c->op == AM_CMP_ILIKE) {
        am_buf_cstr(text, "lower(");
        AM_TRY(put_operand(b, t, alias, c));
        am_buf_cstr(text, ") LIKE lower(");
        AM_TRY(bind_param(b, c->values[0]));
        am_buf_char(text, ')');
        return AM_OK;
    }
    AM_TRY(put_operand(b, t, alias, c));
    am_buf_cstr(text, ops[c->op]);
    if (c->op == AM_CMP_IN)
        am_buf_char(text, '(');
    for (size_t i = 0; i < n; i++) {
        if (i)
            am_buf_char(text, ',');
        AM_TRY(bind_param(b, c->values[i]));
    }
    if (c->op == AM_CMP_IN)
        am_buf_char(text, ')');
    return AM_OK;
}

static enum am_rc put_exists(struct build *b, const struct am_records_table *t, unsigned alias,
                             const struct am_cond *c, unsigned depth)
{
    const struct am_records_table *in = NULL;
    AM_TRY(find_table(b, c->table, &in));
    unsigned mine = ++b->n_aliases;
    am_buf_printf(&b->s->text, "EXISTS (SELECT 1 FROM \"%s\" AS t%u WHERE ", in->name, mine);
    AM_TRY(put_project(b, mine));
    am_buf_cstr(&b->s->text, " AND ");
    AM_TRY(put_column(b, in, mine, c->inner));
    am_buf_cstr(&b->s->text, " = ");
    AM_TRY(put_column(b, t, alias, c->outer));
    if (c->n_kids) {
        am_buf_cstr(&b->s->text, " AND ");
        AM_TRY(put_cond(b, in, mine, c->kids[0], depth + 1));
    }
    am_buf_char(&b->s->text, ')');
    return AM_OK;
}

static enum am_rc put_list(struct build *b, const struct am_records_table *t, unsigned alias,
                           const struct am_cond *c, unsigned depth)
{
    struct am_buf *text = &b->s->text;
    if (c->n_kids == 0) {
        am_buf_cstr(text, c->kind == AM_COND_AND ? "1" : "0");
        return AM_OK;
    }
    for (size_t i = 0; i < c->n_kids; i++) {
        if (i)
            am_buf_cstr(text, c->kind == AM_COND_AND ? " AND " : " OR ");
        AM_TRY(put_cond(b, t, alias, c->kids[i], depth + 1));
    }
    return AM_OK;
}

static enum am_rc put_cond(struct build *b, const struct am_records_table *t, unsigned alias,
                           const struct am_cond *c, unsigned depth)
{
    if (depth > AM_RECORDS_COND_DEPTH || ++b->n_nodes > AM_RECORDS_COND_NODES)
        return am_fail(b->err, AM_ELIMIT, "a condition of more than %d parts or %d levels",
                       AM_RECORDS_COND_NODES, AM_RECORDS_COND_DEPTH);
    am_buf_char(&b->s->text, '(');
    switch (c->kind) {
    case AM_COND_CMP:
        AM_TRY(put_cmp(b, t, alias, c));
        break;
    case AM_COND_AND:
    case AM_COND_OR:
        AM_TRY(put_list(b, t, alias, c, depth));
        break;
    case AM_COND_NOT:
        am_buf_cstr(&b->s->text, "NOT ");
        AM_TRY(put_cond(b, t, alias, c->kids[0], depth + 1));
        break;
    case AM_COND_EXISTS:
        AM_TRY(put_exists(b, t, alias, c, depth));
        break;
    }
    am_buf_char(&b->s->text, ')');
    return AM_OK;
}

/* WHERE project = ? [AND cond] of the row t0 */
static enum am_rc put_where(struct build *b, const struct am_records_table *t,
                            const struct am_cond *where)
{
    am_buf_cstr(&b->s->text, " WHERE ");
    AM_TRY(put_project(b, 0));
    if (where) {
        am_buf_cstr(&b->s->text, " AND ");
        AM_TRY(put_cond(b, t, 0, where, 0));
    }
    return AM_OK;
}

/* ---- writes ---- */

/* The place of one new value in the text; what it binds comes with the row. */
static enum am_rc put_value_slot(struct build *b, const struct am_value *v, const char *column)
{
    const struct am_records_table *t = NULL;
    switch (v->kind) {
    case AM_VALUE_LOOKUP:
        AM_TRY(find_table(b, v->lookup->table, &t));
        AM_TRY(check_column(b, t, v->lookup->column));
        AM_TRY(check_column(b, t, v->lookup->key));
        am_buf_printf(&b->s->text, "(SELECT \"%s\" FROM \"%s\" WHERE project = ? AND \"%s\" = ?)",
                      v->lookup->column, v->lookup->table, v->lookup->key);
        return AM_OK;
    case AM_VALUE_ADD:
        am_buf_printf(&b->s->text, "\"%s\" + ?", column);
        return AM_OK;
    default:
        am_buf_char(&b->s->text, '?');
        return AM_OK;
    }
}

static enum am_rc bind_value(struct build *b, const struct am_value *v)
{
    struct am_value plain = *v;
    if (v->kind == AM_VALUE_LOOKUP) {
        AM_TRY(bind(b, am_v_str(b->scope->project)));
        plain.kind = AM_VALUE_TEXT;
    }
    if (v->kind == AM_VALUE_ADD)
        plain.kind = AM_VALUE_INT;
    return bind(b, plain);
}

static enum am_rc bind_rows(struct build *b, const struct am_op *op)
{
    for (size_t r = 0; r < op->n_rows; r++) {
        AM_TRY(bind(b, am_v_str(b->scope->project)));
        AM_TRY(bind(b, am_v_str(b->scope->owner)));
        AM_TRY(bind(b, am_v_int(b->scope->now_us)));
        AM_TRY(bind(b, am_v_int(b->scope->now_us)));
        for (size_t i = 0; i < op->n_columns; i++) {
            const struct am_value *v = &op->values[r * op->n_columns + i];
            if (v->kind == AM_VALUE_ADD ||
                (v->kind == AM_VALUE_LOOKUP) != (op->values[i].kind == AM_VALUE_LOOKUP))
                return am_fail(b->err, AM_EINTERNAL, "column \"%s\" mixes kinds of values",
                               op->columns[i]);
            AM_TRY(bind_value(b, v));
        }
    }
    b->s->n_params = b->s->binds.len / op->n_rows;
    return AM_OK;
}

static enum am_rc put_conflict(struct build *b, const struct am_records_table *t,
                               const struct am_op *op)
{
    struct am_buf *text = &b->s->text;
    if (op->kind == AM_OP_INSERT_NEW)
        am_buf_cstr(text, " ON CONFLICT DO NOTHING");
    if (op->kind != AM_OP_UPSERT)
        return AM_OK;
    if (t->n_unique == 0)
        return am_fail(b->err, AM_EINTERNAL, "table \"%s\" has no key to upsert by", t->name);
    char part[AM_RECORDS_NAME_CAP];
    const char *cursor = t->unique[0];
    am_buf_cstr(text, " ON CONFLICT (project");
    while (am_records_key_part(&cursor, part))
        am_buf_printf(text, ",\"%s\"", part);
    am_buf_cstr(text, ") DO UPDATE SET etag = etag + 1, updated_us = excluded.updated_us");
    for (size_t i = 0; i < op->n_columns; i++)
        am_buf_printf(text, ",\"%s\" = excluded.\"%s\"", op->columns[i], op->columns[i]);
    if (op->newer) {
        AM_TRY(check_column(b, t, op->newer));
        am_buf_printf(text, " WHERE excluded.\"%s\" >= \"%s\".\"%s\"", op->newer, t->name,
                      op->newer);
    }
    return AM_OK;
}

static enum am_rc put_insert(struct build *b, const struct am_records_table *t,
                             const struct am_op *op)
{
    struct am_buf *text = &b->s->text;
    am_buf_printf(text, "INSERT INTO \"%s\" (project, owner, etag, created_us, updated_us",
                  t->name);
    for (size_t i = 0; i < op->n_columns; i++) {
        AM_TRY(check_column(b, t, op->columns[i]));
        am_buf_printf(text, ",\"%s\"", op->columns[i]);
    }
    am_buf_cstr(text, ") VALUES (?,?,1,?,?");
    for (size_t i = 0; i < op->n_columns; i++) {
        am_buf_char(text, ',');
        AM_TRY(put_value_slot(b, &op->values[i], op->columns[i]));
    }
    am_buf_char(text, ')');
    AM_TRY(put_conflict(b, t, op));
    b->s->n_rows = op->n_rows;
    return bind_rows(b, op);
}

static enum am_rc put_update(struct build *b, const struct am_records_table *t,
                             const struct am_op *op)
{
    struct am_buf *text = &b->s->text;
    am_buf_printf(text, "UPDATE \"%s\" AS t0 SET etag = etag + 1, updated_us = ", t->name);
    AM_TRY(bind_param(b, am_v_int(b->scope->now_us)));
    for (size_t i = 0; i < op->n_columns; i++) {
        AM_TRY(check_column(b, t, op->columns[i]));
        am_buf_printf(text, ",\"%s\" = ", op->columns[i]);
        AM_TRY(put_value_slot(b, &op->values[i], op->columns[i]));
        AM_TRY(bind_value(b, &op->values[i]));
    }
    return put_where(b, t, op->where);
}

enum am_rc am_sql_op(struct am_sql *s, const struct am_sql_scope *scope, const struct am_op *op,
                     struct am_err *err)
{
    struct build b = {.s = s, .scope = scope, .err = err};
    const struct am_records_table *t = NULL;
    AM_TRY(find_table(&b, op->table, &t));
    s->expect = op->expect;
    s->n_rows = 1;
    switch (op->kind) {
    case AM_OP_INSERT:
    case AM_OP_INSERT_NEW:
    case AM_OP_UPSERT:
        if (op->n_rows == 0) {
            s->n_rows = 0;
            return AM_OK;
        }
        s->expect = AM_EXPECT_ANY;
        AM_TRY(put_insert(&b, t, op));
        return am_buf_check(&s->text, err);
    case AM_OP_UPDATE:
        AM_TRY(put_update(&b, t, op));
        break;
    case AM_OP_DELETE:
        am_buf_printf(&s->text, "DELETE FROM \"%s\" AS t0", t->name);
        AM_TRY(put_where(&b, t, op->where));
        break;
    case AM_OP_REQUIRE:
        s->reads = true;
        am_buf_printf(&s->text, "SELECT count(*) FROM \"%s\" AS t0", t->name);
        AM_TRY(put_where(&b, t, op->where));
        break;
    }
    s->n_params = s->binds.len;
    return am_buf_check(&s->text, err);
}

/* ---- reads ---- */

static enum am_rc put_order(struct build *b, const struct am_records_table *t,
                            const struct am_order *o)
{
    const struct am_records_table *in = NULL;
    struct am_buf *text = &b->s->text;
    if (o->computed) {
        AM_TRY(put_computed(b, t, 0, o->computed));
    } else if (!o->table) {
        AM_TRY(put_column(b, t, 0, o->column));
    } else {
        AM_TRY(find_table(b, o->table, &in));
        unsigned mine = ++b->n_aliases;
        am_buf_cstr(text, "(SELECT ");
        AM_TRY(put_column(b, in, mine, o->column));
        am_buf_printf(text, " FROM \"%s\" AS t%u WHERE ", in->name, mine);
        AM_TRY(put_project(b, mine));
        am_buf_cstr(text, " AND ");
        AM_TRY(put_column(b, in, mine, o->inner));
        am_buf_cstr(text, " = ");
        AM_TRY(put_column(b, t, 0, o->outer));
        if (o->where) {
            am_buf_cstr(text, " AND ");
            AM_TRY(put_cond(b, in, mine, o->where, 0));
        }
        am_buf_cstr(text, " LIMIT 1)");
    }
    am_buf_cstr(text, o->descending ? " DESC NULLS LAST, " : " ASC NULLS LAST, ");
    return AM_OK;
}

enum am_rc am_sql_query(struct am_sql *s, const struct am_sql_scope *scope,
                        const struct am_query *q, struct am_err *err)
{
    struct build b = {.s = s, .scope = scope, .err = err};
    const struct am_records_table *t = NULL;
    AM_TRY(find_table(&b, q->table, &t));
    am_buf_cstr(&s->text, "SELECT ");
    for (size_t i = 0; i < q->n_columns; i++) {
        if (i)
            am_buf_char(&s->text, ',');
        AM_TRY(put_column(&b, t, 0, q->columns[i]));
    }
    for (size_t i = 0; i < q->n_computed; i++) {
        if (i || q->n_columns)
            am_buf_char(&s->text, ',');
        AM_TRY(put_computed(&b, t, 0, &q->computed[i]));
    }
    am_buf_printf(&s->text, " FROM \"%s\" AS t0", t->name);
    AM_TRY(put_where(&b, t, q->where));
    am_buf_cstr(&s->text, " ORDER BY ");
    for (size_t i = 0; i < q->n_order; i++)
        AM_TRY(put_order(&b, t, &q->order[i]));
    am_buf_cstr(&s->text, "t0.seq LIMIT ");
    AM_TRY(bind_param(&b, am_v_int(q->limit)));
    am_buf_cstr(&s->text, " OFFSET ");
    AM_TRY(bind_param(&b, am_v_int(q->offset)));
    s->n_params = s->binds.len;
    s->n_rows = 1;
    return am_buf_check(&s->text, err);
}

enum am_rc am_sql_count(struct am_sql *s, const struct am_sql_scope *scope, const char *table,
                        const struct am_cond *where, struct am_err *err)
{
    struct am_op op = {
        .kind = AM_OP_REQUIRE, .table = table, .where = where, .expect = AM_EXPECT_ANY};
    return am_sql_op(s, scope, &op, err);
}

/* ---- schema ---- */

static const char *col_type(enum am_col_kind k)
{
    static const char *const names[] = {"INTEGER", "REAL", "TEXT", "BLOB"};
    return names[k];
}

static void put_keys(struct am_buf *out, const struct am_records_table *t, const char *const *keys,
                     size_t n, const char *create, char mark)
{
    for (size_t i = 0; i < n; i++) {
        char part[AM_RECORDS_NAME_CAP];
        const char *cursor = keys[i];
        am_buf_printf(out, "%s IF NOT EXISTS \"%s__%c", create, t->name, mark);
        while (am_records_key_part(&cursor, part))
            am_buf_printf(out, "_%s", part);
        am_buf_printf(out, "\" ON \"%s\" (project", t->name);
        cursor = keys[i];
        while (am_records_key_part(&cursor, part))
            am_buf_printf(out, ",\"%s\"", part);
        am_buf_cstr(out, ");\n");
    }
}

static void put_create(struct am_buf *out, const struct am_records_table *t)
{
    am_buf_printf(
        out,
        "CREATE TABLE \"%s\" (seq INTEGER PRIMARY KEY AUTOINCREMENT, project TEXT NOT NULL, "
        "owner TEXT NOT NULL, etag INTEGER NOT NULL, created_us INTEGER NOT NULL, "
        "updated_us INTEGER NOT NULL",
        t->name);
    for (size_t i = 0; i < t->n_columns; i++)
        am_buf_printf(out, ", \"%s\" %s%s", t->columns[i].name, col_type(t->columns[i].kind),
                      t->columns[i].required ? " NOT NULL" : "");
    am_buf_cstr(out, ") STRICT;\n");
}

void am_sql_schema(struct am_buf *out, const struct am_records_schema *schema, unsigned from)
{
    for (size_t k = 0; k < schema->n_tables; k++) {
        const struct am_records_table *t = &schema->tables[k];
        if (from == 0 || t->since > from) {
            put_create(out, t);
        } else {
            for (size_t i = 0; i < t->n_columns; i++)
                if (t->columns[i].since > from)
                    am_buf_printf(out, "ALTER TABLE \"%s\" ADD COLUMN \"%s\" %s;\n", t->name,
                                  t->columns[i].name, col_type(t->columns[i].kind));
        }
        put_keys(out, t, t->unique, t->n_unique, "CREATE UNIQUE INDEX", 'u');
        put_keys(out, t, t->indexes, t->n_indexes, "CREATE INDEX", 'i');
    }
}
