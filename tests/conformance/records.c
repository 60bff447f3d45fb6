/* Conformance suite of store/records.h (see stores.h). */
#include <math.h>
#include <pthread.h>
#include <stdio.h>

#include "conformance/stores.h"

#define STR_(x) #x
#define STR(x) STR_(x)
#define CHECK(c)                                                                                   \
    do {                                                                                           \
        if (!(c))                                                                                  \
            return __FILE__ ":" STR(__LINE__) ": " #c;                                             \
    } while (0)

static const struct am_records_column item_columns[] = {
    {"id", AM_COL_TEXT, true, 0}, {"grp", AM_COL_TEXT, false, 0}, {"n", AM_COL_INT, false, 0},
    {"x", AM_COL_REAL, false, 0}, {"raw", AM_COL_BLOB, false, 0},
};
static const struct am_records_column mark_columns[] = {{"item", AM_COL_TEXT, true, 0},
                                                        {"key", AM_COL_TEXT, true, 0},
                                                        {"value", AM_COL_REAL, false, 0}};
static const char *const by_id[] = {"id"};
static const char *const by_item_key[] = {"item,key"};
static const char *const by_grp[] = {"grp"};
static const struct am_records_table tables[] = {
    {"item", item_columns, 5, by_id, 1, by_grp, 1, 0},
    {"mark", mark_columns, 3, by_item_key, 1, NULL, 0, 0},
};
static const struct am_records_schema schema = {tables, 2, 1};
static struct am_err err;

#define EQ(col, val) CMP(col, AM_CMP_EQ, val)
#define CMP(col, o, val)                                                                           \
    (&(const struct am_cond){.kind = AM_COND_CMP,                                                  \
                             .column = (col),                                                      \
                             .op = (o),                                                            \
                             .values = (const struct am_value[]){val},                             \
                             .n_values = 1})
#define COLUMNS(...)                                                                               \
    .columns = (const char *const[]){__VA_ARGS__},                                                 \
    .n_columns = sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)
#define VALUES(...)                                                                                \
    .values = (const struct am_value[])                                                            \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

static enum am_rc commit(const struct am_records *r, const struct am_op *ops, size_t n,
                         size_t *failed)
{
    struct am_txn_result result = {0};
    const struct am_txn txn = {.ops = ops, .n_ops = n};
    enum am_rc rc = am_records_commit(r, &txn, &result, &err);
    if (failed)
        *failed = result.failed_op;
    return rc;
}

static enum am_rc add(const struct am_records *r, const char *id, const char *grp, int64_t n,
                      double x)
{
    const struct am_op op = {.kind = AM_OP_INSERT,
                             .table = "item",
                             COLUMNS("id", "grp", "n", "x"),
                             VALUES(am_v_text(id), am_v_text(grp), am_v_int(n), am_v_real(x)),
                             .n_rows = 1};
    return commit(r, &op, 1, NULL);
}

/* ids of a query joined by spaces */
static enum am_rc join_id(void *ctx, const struct am_value *v, struct am_err *e)
{
    struct am_buf *b = ctx;
    (void)e;
    if (b->len)
        am_buf_char(b, ' ');
    am_buf_str(b, v[0].text);
    return AM_OK;
}

static bool ids_are(const struct am_records *r, const struct am_cond *where,
                    const struct am_order *order, size_t n_order, int64_t limit, int64_t offset,
                    const char *want)
{
    struct am_snapshot s;
    struct am_buf b;
    if (am_records_snapshot(r, &s, &err) != AM_OK)
        return false;
    am_buf_init(&b, 10000);
    struct am_query q = {.table = "item",
                         COLUMNS("id"),
                         .where = where,
                         .order = order,
                         .n_order = n_order,
                         .limit = limit,
                         .offset = offset};
    bool good =
        am_snapshot_select(&s, &q, join_id, &b, &err) == AM_OK && am_str_is(am_buf_view(&b), want);
    if (!good)
        fprintf(stderr, "found \"%s\", wanted \"%s\"\n", b.ptr ? b.ptr : "", want);
    am_snapshot_release(&s);
    am_buf_clear(&b);
    return good;
}

static bool where_is(const struct am_records *r, const struct am_cond *where, const char *want)
{
    return ids_are(r, where, NULL, 0, -1, 0, want);
}

static bool first(const struct am_records *r, struct am_arena *a, const struct am_query *q,
                  struct am_value *v)
{
    struct am_snapshot s;
    if (am_records_snapshot(r, &s, &err) != AM_OK)
        return false;
    bool good = am_snapshot_first(&s, a, q, v, &err) == AM_OK;
    am_snapshot_release(&s);
    return good;
}

static const char *values(const struct am_records *r, struct am_arena *a)
{
    static const char odd[] = "q'\"`; -- \xe4\xb8\xad\xe6\x96\x87 % _ \\";
    struct am_value v[10];
    const struct am_value raw = {.kind = AM_VALUE_BLOB, .text = {"\0\1\2", 3}};
    const struct am_op op = {.kind = AM_OP_INSERT,
                             .table = "item",
                             COLUMNS("id", "grp", "n", "x", "raw"),
                             VALUES(am_v_text("odd"), am_v_text(odd), am_v_int(INT64_MIN),
                                    am_v_real(0.1), raw, am_v_text("nan"), am_v_null(), am_v_null(),
                                    am_v_real(NAN), am_v_null()),
                             .n_rows = 2};
    CHECK(commit(r, &op, 1, NULL) == AM_OK);
    struct am_query q = {.table = "item",
                         COLUMNS("grp", "n", "x", "raw", "seq", "project", "owner", "etag",
                                 "created_us", "updated_us"),
                         .where = EQ("grp", am_v_text(odd))};
    CHECK(first(r, a, &q, v));
    CHECK(am_str_is(v[0].text, odd) && v[1].i == INT64_MIN && v[2].r == 0.1);
    CHECK(v[3].kind == AM_VALUE_BLOB && v[3].text.len == 3 &&
          memcmp(v[3].text.ptr, "\0\1\2", 3) == 0);
    CHECK(v[4].i > 0 && am_str_is(v[5].text, "p1") && am_str_is(v[6].text, "ann") && v[7].i == 1);
    CHECK(v[8].i > 0 && v[9].i == v[8].i);
    q.where = EQ("id", am_v_text("nan"));
    CHECK(first(r, a, &q, v));
    CHECK(v[0].kind == AM_VALUE_NULL && v[1].kind == AM_VALUE_NULL && v[2].kind == AM_VALUE_NULL);
    const struct am_op all = {.kind = AM_OP_DELETE, .table = "item", .expect = 2};
    CHECK(commit(r, &all, 1, NULL) == AM_OK);
    return NULL;
}

static const char *conditions(const struct am_records *r)
{
    const struct am_op marks = {.kind = AM_OP_INSERT,
                                .table = "mark",
                                COLUMNS("item", "key", "value"),
                                VALUES(am_v_text("a"), am_v_text("auc"), am_v_real(0.9),
                                       am_v_text("b"), am_v_text("auc"), am_v_real(0.8),
                                       am_v_text("c"), am_v_text("f1"), am_v_real(0.99)),
                                .n_rows = 3};
    CHECK(add(r, "a", "Red", 1, 1.5) == AM_OK && add(r, "b", "red", 2, -1) == AM_OK);
    CHECK(add(r, "c", NULL, 3, NAN) == AM_OK && add(r, "d", "bl_e%", 4, 100) == AM_OK);
    CHECK(commit(r, &marks, 1, NULL) == AM_OK);
    CHECK(where_is(r, NULL, "a b c d"));
    CHECK(where_is(r, CMP("n", AM_CMP_GE, am_v_int(2)), "b c d"));
    CHECK(where_is(r, CMP("n", AM_CMP_LT, am_v_real(2.5)), "a b"));
    CHECK(where_is(r, CMP("x", AM_CMP_NE, am_v_int(100)), "a b"));
    CHECK(where_is(r, CMP("grp", AM_CMP_LIKE, am_v_text("r%")), "b"));
    CHECK(where_is(r, CMP("grp", AM_CMP_ILIKE, am_v_text("R_D")), "a b"));
    CHECK(where_is(r, CMP("grp", AM_CMP_IS_NULL, am_v_null()), "c"));
    const struct am_value two[] = {am_v_text("a"), am_v_text("d")};
    const struct am_cond in = {
        .kind = AM_COND_CMP, .column = "id", .op = AM_CMP_IN, .values = two, .n_values = 2};
    CHECK(where_is(r, &in, "a d"));
    const struct am_cond *kids[] = {&in, CMP("n", AM_CMP_GT, am_v_int(2))};
    struct am_cond and = {.kind = AM_COND_AND, .kids = kids, .n_kids = 2};
    struct am_cond or = {.kind = AM_COND_OR, .kids = kids, .n_kids = 2};
    CHECK(where_is(r, &and, "d") && where_is(r, & or, "a c d"));
    and.n_kids = or.n_kids = 0;
    CHECK(where_is(r, &and, "a b c d") && where_is(r, & or, ""));
    const struct am_cond *of_in = &in;
    struct am_cond not_in = {.kind = AM_COND_NOT, .kids = &of_in, .n_kids = 1};
    CHECK(where_is(r, &not_in, "b c"));
    const struct am_cond *auc = EQ("key", am_v_text("auc"));
    struct am_cond has = {.kind = AM_COND_EXISTS,
                          .table = "mark",
                          .inner = "item",
                          .outer = "id",
                          .kids = &auc,
                          .n_kids = 1};
    CHECK(where_is(r, &has, "a b"));
    const struct am_cond *of_has = &has;
    struct am_cond has_not = {.kind = AM_COND_NOT, .kids = &of_has, .n_kids = 1};
    CHECK(where_is(r, &has_not, "c d"));
    return NULL;
}

static const char *orders(const struct am_records *r)
{
    struct am_order by_n = {.column = "n", .descending = true};
    struct am_order by_x[] = {{.column = "x"}, {.column = "id"}};
    struct am_order by_auc = {.column = "value",
                              .descending = true,
                              .table = "mark",
                              .inner = "item",
                              .outer = "id",
                              .where = EQ("key", am_v_text("auc"))};
    CHECK(ids_are(r, NULL, &by_n, 1, -1, 0, "d c b a"));
    CHECK(ids_are(r, NULL, by_x, 2, -1, 0, "b a d c")); /* NULL last */
    CHECK(ids_are(r, NULL, &by_auc, 1, -1, 0, "a b c d"));
    by_auc.descending = false;
    CHECK(ids_are(r, NULL, &by_auc, 1, -1, 0, "b a c d"));
    CHECK(ids_are(r, NULL, NULL, 0, 2, 1, "b c"));
    CHECK(ids_are(r, NULL, NULL, 0, 0, 0, ""));
    CHECK(ids_are(r, NULL, NULL, 0, 10, 9, ""));
    struct am_snapshot s;
    int64_t n = 0;
    CHECK(am_records_snapshot(r, &s, &err) == AM_OK);
    CHECK(am_snapshot_count(&s, "item", CMP("n", AM_CMP_GT, am_v_int(1)), &n, &err) == AM_OK &&
          n == 3);
    am_snapshot_release(&s);
    return NULL;
}

static const char *refusals(const struct am_records *r, struct am_arena *a)
{
    size_t failed = 99;
    const struct am_op new_e = {
        .kind = AM_OP_INSERT, .table = "item", COLUMNS("id"), VALUES(am_v_text("e")), .n_rows = 1};
    const struct am_op again = {
        .kind = AM_OP_INSERT, .table = "item", COLUMNS("id"), VALUES(am_v_text("a")), .n_rows = 1};
    const struct am_op gone = {
        .kind = AM_OP_DELETE, .table = "item", .where = EQ("id", am_v_text("z")), .expect = 1};
    const struct am_op none = {.kind = AM_OP_REQUIRE,
                               .table = "item",
                               .where = EQ("id", am_v_text("z")),
                               .expect = AM_EXPECT_SOME};
    const struct am_op two[] = {new_e, again}, three[] = {new_e, new_e, gone},
                       four[] = {new_e, none};
    CHECK(commit(r, two, 2, &failed) == AM_EEXIST && failed == 1);
    CHECK(commit(r, three, 3, &failed) == AM_EEXIST && failed == 1);
    CHECK(commit(r, four, 2, &failed) == AM_ECONFLICT && failed == 1);
    const struct am_op five[] = {new_e, gone};
    CHECK(commit(r, five, 2, &failed) == AM_ECONFLICT && failed == 1);
    const struct am_op unknown = {
        .kind = AM_OP_DELETE, .table = "nothing", .expect = AM_EXPECT_ANY};
    CHECK(commit(r, &unknown, 1, NULL) == AM_EINTERNAL);
    const struct am_op no_key = {
        .kind = AM_OP_INSERT, .table = "item", COLUMNS("n"), VALUES(am_v_int(1)), .n_rows = 1};
    CHECK(commit(r, &no_key, 1, NULL) == AM_ECONFLICT);
    CHECK(where_is(r, NULL, "a b c d")); /* nothing of all that */
    struct am_value v[1];
    struct am_query q = {.table = "item", COLUMNS("id"), .where = EQ("id", am_v_text("z"))};
    struct am_snapshot s;
    CHECK(am_records_snapshot(r, &s, &err) == AM_OK);
    CHECK(am_snapshot_first(&s, a, &q, v, &err) == AM_ENOTFOUND);
    q.columns = (const char *const[]){"no\"col"};
    CHECK(am_snapshot_first(&s, a, &q, v, &err) == AM_EINTERNAL);
    am_snapshot_release(&s);
    return NULL;
}

static const char *changes(const struct am_records *r, struct am_arena *a)
{
    static const struct am_lookup grp_of = {"item", "grp", "id"};
    struct am_value v[4];
    const struct am_value lookup = {
        .kind = AM_VALUE_LOOKUP, .text = AM_STR_INIT("b"), .lookup = &grp_of};
    const struct am_op ops[] = {
        {.kind = AM_OP_UPDATE,
         .table = "item",
         COLUMNS("n"),
         VALUES({.kind = AM_VALUE_ADD, .i = 10}),
         .n_rows = 1,
         .where = EQ("id", am_v_text("a")),
         .expect = 1},
        {.kind = AM_OP_INSERT,
         .table = "item",
         COLUMNS("id", "grp"),
         VALUES(am_v_text("e"), lookup),
         .n_rows = 1},
        {.kind = AM_OP_INSERT_NEW,
         .table = "item",
         COLUMNS("id", "n"),
         VALUES(am_v_text("b"), am_v_int(77), am_v_text("f"), am_v_int(6)),
         .n_rows = 2},
        {.kind = AM_OP_UPSERT,
         .table = "item",
         COLUMNS("id", "n"),
         VALUES(am_v_text("c"), am_v_int(33), am_v_text("g"), am_v_int(7)),
         .n_rows = 2},
        {.kind = AM_OP_UPSERT,
         .table = "item",
         COLUMNS("id", "n", "grp"),
         VALUES(am_v_text("d"), am_v_int(3), am_v_text("old")),
         .n_rows = 1,
         .newer = "n"},
    };
    CHECK(commit(r, ops, 5, NULL) == AM_OK);
    CHECK(where_is(r, NULL, "a b c d e f g"));
    struct am_query q = {.table = "item",
                         COLUMNS("n", "grp", "etag", "created_us"),
                         .where = EQ("id", am_v_text("a"))};
    CHECK(first(r, a, &q, v) && v[0].i == 11 && am_str_is(v[1].text, "Red") && v[2].i == 2);
    q.where = EQ("id", am_v_text("b"));
    CHECK(first(r, a, &q, v) && v[0].i == 2 && v[2].i == 1);
    q.where = EQ("id", am_v_text("c"));
    CHECK(first(r, a, &q, v) && v[0].i == 33 && v[2].i == 2);
    q.where = EQ("id", am_v_text("d"));
    CHECK(first(r, a, &q, v) && v[0].i == 4 &&
          am_str_is(v[1].text, "bl_e%")); /* 3 is older than 4 */
    q.where = EQ("id", am_v_text("e"));
    CHECK(first(r, a, &q, v) && am_str_is(v[1].text, "red"));
    /* optimistic locking: the etag in the condition */
    const struct am_cond *kids[] = {EQ("id", am_v_text("a")), EQ("etag", am_v_int(1))};
    const struct am_cond stale = {.kind = AM_COND_AND, .kids = kids, .n_kids = 2};
    const struct am_op late = {.kind = AM_OP_UPDATE,
                               .table = "item",
                               COLUMNS("n"),
                               VALUES(am_v_int(0)),
                               .n_rows = 1,
                               .where = &stale,
                               .expect = 1};
    CHECK(commit(r, &late, 1, NULL) == AM_ECONFLICT);
    return NULL;
}

static const char *snapshots(const struct am_records *r)
{
    struct am_snapshot old, young;
    int64_t n = 0;
    uint64_t g0 = 0, g1 = 0, g2 = 0;
    CHECK(am_records_generation(r, &g0, &err) == AM_OK && g0 > 0);
    CHECK(am_records_snapshot(r, &old, &err) == AM_OK);
    CHECK(am_snapshot_count(&old, "item", NULL, &n, &err) == AM_OK && n == 7);
    CHECK(add(r, "h", NULL, 1, 1) == AM_OK);
    CHECK(am_snapshot_count(&old, "item", NULL, &n, &err) == AM_OK && n == 7); /* still */
    CHECK(am_records_snapshot(r, &young, &err) == AM_OK);
    CHECK(am_snapshot_count(&young, "item", NULL, &n, &err) == AM_OK && n == 8);
    am_snapshot_release(&young);
    am_snapshot_release(&old);
    am_snapshot_release(&old);
    CHECK(am_records_generation(r, &g1, &err) == AM_OK && g1 == g0); /* was not published */
    const struct am_op op = {
        .kind = AM_OP_DELETE, .table = "item", .where = EQ("id", am_v_text("h")), .expect = 1};
    const struct am_txn txn = {.ops = &op, .n_ops = 1, .publish = true};
    CHECK(am_records_commit(r, &txn, NULL, &err) == AM_OK);
    CHECK(am_records_generation(r, &g2, &err) == AM_OK && g2 > g1);
    return NULL;
}

struct adder {
    const struct am_records *r;
    unsigned n_failed;
};
static void *add_many(void *arg)
{
    struct adder *a = arg;
    struct am_err e;
    for (unsigned i = 0; i < 50; i++) {
        const struct am_op op = {.kind = AM_OP_UPDATE,
                                 .table = "item",
                                 COLUMNS("n"),
                                 VALUES({.kind = AM_VALUE_ADD, .i = 1}),
                                 .n_rows = 1,
                                 .where = EQ("id", am_v_text("f")),
                                 .expect = 1};
        /* every third transaction is refused and must leave the others alone */
        const struct am_op bad = {.kind = AM_OP_REQUIRE, .table = "item", .expect = 0};
        const struct am_op both[] = {op, bad};
        const struct am_txn txn = {.ops = both, .n_ops = i % 3 ? 1 : 2};
        enum am_rc rc = am_records_commit(a->r, &txn, NULL, &e);
        a->n_failed += rc != (i % 3 ? AM_OK : AM_ECONFLICT);
    }
    return NULL;
}

static const char *threads(const struct am_records *r, struct am_arena *a)
{
    struct adder adders[4];
    pthread_t ids[4];
    struct am_value v[1];
    for (int i = 0; i < 4; i++) {
        adders[i] = (struct adder){r, 0};
        CHECK(pthread_create(&ids[i], NULL, add_many, &adders[i]) == 0);
    }
    for (int i = 0; i < 4; i++) {
        CHECK(pthread_join(ids[i], NULL) == 0);
        CHECK(adders[i].n_failed == 0);
    }
    struct am_query q = {.table = "item", COLUMNS("n"), .where = EQ("id", am_v_text("f"))};
    CHECK(first(r, a, &q, v) && v[0].i == 6 + 4 * 33);
    return NULL;
}

static const char *projects(const struct am_records *r, const struct am_records *other)
{
    int64_t n = 99;
    struct am_snapshot s;
    CHECK(am_records_snapshot(other, &s, &err) == AM_OK);
    CHECK(am_snapshot_count(&s, "item", NULL, &n, &err) == AM_OK && n == 0);
    am_snapshot_release(&s);
    CHECK(add(other, "a", "theirs", 1, 1) == AM_OK); /* the same key, another project */
    const struct am_op all = {.kind = AM_OP_DELETE, .table = "item", .expect = 1};
    CHECK(commit(other, &all, 1, NULL) == AM_OK);
    CHECK(where_is(r, NULL, "a b c d e f g"));
    return NULL;
}

static const char *run_all(const struct am_records *r, const struct am_records *other,
                           struct am_arena *a)
{
    const char *why = values(r, a);
    if (!why)
        why = conditions(r);
    if (!why)
        why = orders(r);
    if (!why)
        why = refusals(r, a);
    if (!why)
        why = changes(r, a);
    if (!why)
        why = snapshots(r);
    if (!why)
        why = threads(r, a);
    if (!why)
        why = projects(r, other);
    return why;
}

const char *am_conformance_records(const struct am_records_ops *ops, const char *dir)
{
    char path[4096], copy[4096];
    struct am_records r, other;
    CHECK(snprintf(path, sizeof path, "%s/records.db", dir) > 0);
    CHECK(snprintf(copy, sizeof copy, "%s/copy.db", dir) > 0);
    struct am_records_config c = {.url = path, .owner = "ann", .project = "p1", .schema = &schema};
    struct am_records_config d = c;
    d.project = "p2";
    struct am_arena *a = am_arena_new(0);
    CHECK(a != NULL);
    CHECK(am_records_open(ops, &c, &r, &err) == AM_OK);
    CHECK(am_records_open(ops, &d, &other, &err) == AM_OK);
    const char *why = run_all(&r, &other, a);
    if (!why && am_records_backup(&r, copy, &err) != AM_OK)
        why = "backup failed";
    am_records_close(&other);
    am_records_close(&r);
    am_arena_free(a);
    if (why)
        return why;
    /* durable across handles; the copy is a whole store */
    CHECK(am_records_open(ops, &c, &r, &err) == AM_OK);
    CHECK(where_is(&r, NULL, "a b c d e f g"));
    am_records_close(&r);
    c.url = copy;
    CHECK(am_records_open(ops, &c, &r, &err) == AM_OK);
    CHECK(where_is(&r, NULL, "a b c d e f g"));
    am_records_close(&r);
    return NULL;
}
