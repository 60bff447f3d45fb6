/* schema.json: {"format": "aimass-dataset-1", "rows", "hash", "columns": [{name, type, stored,
 * why}]}. */
#include "data/schema.h"

#include "base/limits.h"

#define FORMAT "aimass-dataset-1"

struct am_node *am_dataset_schema_to_node(const struct am_dataset_schema *s, struct am_arena *a)
{
    struct am_node *m = am_new_map(a), *columns = am_new_list(a);
    am_node_set(a, m, "format", am_new_cstr(a, FORMAT));
    am_node_set(a, m, "rows", am_new_i64(a, (int64_t)s->n_rows));
    am_node_set(a, m, "hash", am_new_str(a, s->hash));
    for (size_t i = 0; i < s->n; i++) {
        struct am_node *c = am_new_map(a);
        am_node_set(a, c, "name", am_new_str(a, s->columns[i].name));
        am_node_set(a, c, "type", am_new_cstr(a, am_col_type_name(s->columns[i].type)));
        am_node_set(a, c, "stored", am_new_cstr(a, am_stored_type_name(s->columns[i].stored)));
        am_node_set(a, c, "why", am_new_str(a, s->columns[i].why));
        if (s->columns[i].aside)
            am_node_set(a, c, "aside", am_new_bool(a, true));
        am_node_push(a, columns, c);
    }
    am_node_set(a, m, "columns", columns);
    return m;
}

enum am_rc am_dataset_schema_from_node(const struct am_node *n, struct am_arena *a,
                                       struct am_dataset_schema *out, struct am_err *err)
{
    *out = (struct am_dataset_schema){0};
    const struct am_node *columns = am_node_get(n, "columns");
    int64_t rows = am_node_i64(n, "rows", -1);
    if (!am_str_is(am_node_str(n, "format", ""), FORMAT) || !columns ||
        columns->kind != AM_NODE_LIST || rows < 0 || columns->list.n > AM_LIMIT_CSV_COLUMNS)
        return am_fail(err, AM_ECORRUPT,
                       "the dataset's schema is not one of format \"" FORMAT "\"");
    out->n = columns->list.n;
    out->n_rows = (uint64_t)rows;
    out->hash = am_arena_str(a, am_node_str(n, "hash", ""));
    out->columns = am_arena_array(a, out->n + 1, sizeof *out->columns);
    for (size_t i = 0; out->columns && i < out->n; i++) {
        const struct am_node *c = columns->list.items[i];
        struct am_schema_column *to = &out->columns[i];
        struct am_str name = am_node_str(c, "name", "");
        if (name.len == 0 || !am_col_type_parse(am_node_str(c, "type", ""), &to->type) ||
            !am_stored_type_parse(am_node_str(c, "stored", ""), &to->stored))
            return am_fail(err, AM_ECORRUPT, "column %zu of the dataset's schema is not valid",
                           i + 1);
        to->name = am_arena_str(a, name);
        to->why = am_arena_str(a, am_node_str(c, "why", ""));
        (void)am_node_as_bool(am_node_get(c, "aside"), &to->aside);
    }
    return am_arena_check(a, err);
}

const struct am_schema *am_schema_of(const struct am_dataset_schema *s, struct am_arena *a)
{
    struct am_schema *schema = am_arena_array(a, 1, sizeof *schema);
    struct am_column_desc *desc = am_arena_array(a, s->n + 1, sizeof *desc);
    if (!schema || !desc)
        return NULL;
    for (size_t i = 0; i < s->n; i++)
        desc[i] = (struct am_column_desc){s->columns[i].name, s->columns[i].type};
    *schema = (struct am_schema){desc, s->n};
    return schema;
}
