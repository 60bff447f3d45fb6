/* Any bytes as filter and order expressions of every kind: a tree or an error, never a crash; what
 * parses must also become a statement whose text holds none of the given bytes (values are bound).
 */
#include "registry/registry_int.h"
#include "store/records_int.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void one(struct am_arena *a, struct am_str text, enum am_registry_kind kind)
{
    struct am_err err;
    struct am_order order[AM_FILTER_ORDERS];
    struct am_query q = {.table = am_registry_entities[kind].table,
                         .columns = &am_registry_entities[kind].id_column,
                         .n_columns = 1,
                         .limit = 1};
    struct am_sql_scope scope = {&am_registry_schema, AM_STR("p"), AM_STR("o"), 1};
    struct am_sql sql;
    am_sql_init(&sql);
    if (am_filter_parse(a, text, kind, &q.where, &err) != AM_OK)
        q.where = NULL;
    if (am_order_parse(a, text, kind, order, &q.n_order, &err) == AM_OK)
        q.order = order;
    else
        q.n_order = 0;
    if (am_sql_query(&sql, &scope, &q, &err) != AM_OK && am_arena_check(a, NULL) == AM_OK)
        __builtin_trap();
    if (sql.text.ptr &&
        (memchr(sql.text.ptr, '\'', sql.text.len) || memchr(sql.text.ptr, ';', sql.text.len)))
        __builtin_trap();
    am_sql_clear(&sql);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct am_arena *a = am_arena_new((size_t)64 << 20);
    if (!a || size == 0)
        goto out;
    one(a, (struct am_str){(const char *)data, size}, (enum am_registry_kind)(data[0] % 5));
    one(a, (struct am_str){(const char *)data, size}, AM_KIND_RUN);
out:
    am_arena_free(a);
    return 0;
}
