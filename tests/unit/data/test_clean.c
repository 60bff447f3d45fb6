/* Cleaning: which rows go and why, statistics from training rows only, repaired values, the report.
 */
#include "support.h"

#include "../../support/faults.h"

static struct am_arena *arena;
static struct am_dataset_info info;
static struct am_dataset_schema schema;
static struct am_table table;
static struct am_dataset_files files;
static struct am_str part;
static char dir[128], part_path[200];
static struct am_err err;

static int setup(void **state)
{
    (void)state;
    arena = am_arena_new(0);
    table = (struct am_table){0};
    am_err_clear(&err);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    if (table.ops)
        table.ops->free(table.impl);
    am_arena_free(arena);
    return 0;
}

static struct am_node *yaml(const char *text)
{
    struct am_node *n = NULL;
    assert_int_equal(am_yaml_parse(arena, am_str(text), "clean", &n, &err), AM_OK);
    return n;
}

static void load(const char *csv, const struct am_node *spec)
{
    struct am_import_options o = {0};
    assert_int_equal(am_clean_lenient(spec, arena, &o.lenient, &o.n_lenient, &err), AM_OK);
    enum am_rc rc = import_spec(make_text("c.csv", csv), &o, arena, &info, dir, &err);
    if (rc != AM_OK)
        print_message("%s\n", err.message);
    assert_int_equal(rc, AM_OK);
    assert_int_equal(am_dataset_open_dir(&tables, arena, dir, &schema, &table, &err), AM_OK);
    snprintf(part_path, sizeof part_path, "%s/part-0000.parquet", dir);
    part = am_str(part_path);
    files = (struct am_dataset_files){&part, 1, &schema};
}

static struct am_clean *clean_rows(const struct am_node *spec, uint8_t *parts, enum am_rc want)
{
    struct am_clean *c = NULL;
    assert_int_equal(
        am_clean_new(spec, table.ops->schema(table.impl), AM_STR("y"), NULL, 0, &c, &err), AM_OK);
    enum am_rc rc = am_clean_rows(c, &tables, &files, &table, parts, schema.n_rows, &err);
    if (rc != want)
        print_message("%s\n", err.message);
    assert_int_equal(rc, want);
    return c;
}

static void test_rows(void **state)
{
    (void)state;
    struct am_node *spec = yaml(
        "{where: [\"a < 100\", \"b <> 'bad'\"], duplicates: drop, columns: {a: {invalid: drop, "
        "min: 0}, b: {missing: drop}}}");
    load("a,b,y\n1,x,1\n200,x,1\n3,bad,0\n-4,x,1\n5,,1\n6,x,\n1,x,1\n7,y,0\n8,y,1\nabc,x,1\n",
         spec);
    uint8_t parts[10] = {0};
    struct am_clean *c = clean_rows(spec, parts, AM_OK);
    static const uint8_t want[10] = {0, 3, 3, 3, 3, 3, 3, 0, 0, 3};
    assert_memory_equal(parts, want, 10);
    struct am_node *r = am_clean_report(c, arena);
    assert_int_equal(am_node_i64(r, "where", 0),
                     4); /* 200, bad, the missing b, and abc, which is no number */
    assert_int_equal(am_node_i64(r, "target_missing", 0), 1);
    assert_int_equal(am_node_i64(r, "invalid", 0), 1);
    assert_int_equal(am_node_i64(r, "duplicates", 0), 1);
    assert_int_equal(am_node_i64(r, "rows_before", 0), 10);
    assert_int_equal(am_node_i64(r, "rows_after", 0), 3);
    am_clean_free(c);
}

/* Fill values and bounds come from training rows; the last row's 1000 must not show. */
static void test_fills(void **state)
{
    (void)state;
    struct am_node *spec = yaml(
        "{columns: {m: {missing: mean}, d: {missing: median}, o: {missing: mode}, f: {missing: "
        "forward}, k: {missing: {constant: 9}}, t: {missing: {constant: none}}}}");
    load(
        "m,d,o,f,k,t,y\n1,1,p,5,1,u,1\n2,2,q,,,,0\n6,9,q,7,2,v,1\n,,,,3,w,0\n1000,1000,p,8,4,u,1\n",
        spec);
    uint8_t parts[5] = {0, 0, 0, 0, AM_ROW_TEST};
    struct am_clean *c = clean_rows(spec, parts, AM_OK);
    assert_int_equal(am_clean_fit(c, &table, parts, 5, &err), AM_OK);
    struct am_table view;
    struct am_table_iter *it;
    const struct am_batch *b;
    assert_int_equal(am_clean_view(c, &table, &view, &err), AM_OK);
    assert_int_equal(view.ops->open(view.impl, NULL, 0, &it, &err), AM_OK);
    assert_int_equal(view.ops->next(it, &b, &err), AM_OK);
    assert_true(b->columns[0].number[3] == 3 && b->columns[0].number[4] == 1000);
    assert_true(b->columns[1].number[3] == 2);
    assert_true(am_str_is(b->columns[2].text[3], "q"));
    assert_true(b->columns[3].number[1] == 5 && b->columns[3].number[3] == 7);
    assert_true(b->columns[4].number[1] == 9);
    assert_true(am_str_is(b->columns[5].text[1], "none"));
    view.ops->close(it);
    size_t pick[] = {2, 1};
    assert_int_equal(view.ops->open(view.impl, pick, 2, &it, &err), AM_OK);
    assert_int_equal(view.ops->next(it, &b, &err), AM_OK);
    assert_true(am_str_is(b->columns[0].text[3], "q") && b->columns[1].number[3] == 2);
    view.ops->close(it);
    view.ops->free(view.impl);
    struct am_node *fills = am_clean_fills(c, arena);
    assert_true(am_node_f64(fills, "m", 0) == 3 && am_node_f64(fills, "d", 0) == 2 &&
                am_node_f64(fills, "k", 0) == 9);
    assert_true(am_str_is(am_node_str(fills, "o", ""), "q"));
    struct am_node *m = am_node_path(am_clean_report(c, arena), "columns.m");
    assert_int_equal(am_node_i64(m, "filled", 0), 1);
    am_clean_free(c);
}

static void test_outliers(void **state)
{
    (void)state;
    struct am_node *spec = yaml("{columns: {a: {outliers: {by: iqr, action: drop}}, b: {outliers: "
                                "{by: iqr, action: clip}}, "
                                "s: {outliers: {by: sigma, limit: 1.5, action: missing}}}}");
    load("a,b,s,y\n1,1,0.5,1\n2,2,0.25,0\n3,3,0.75,1\n4,4,0.5,0\n5,5,0.25,1\n100,3,0.5,1\n3,100,0."
         "75,0\n3,3,50,1\n100,2,0.5,0\n",
         spec);
    uint8_t parts[9] = {0};
    parts[8] = AM_ROW_TEST; /* an outlier that stays: only training rows are dropped */
    struct am_clean *c = clean_rows(spec, parts, AM_OK);
    assert_int_equal(am_clean_fit(c, &table, parts, 9, &err), AM_OK);
    static const uint8_t want[9] = {0, 0, 0, 0, 0, 3, 0, 0, AM_ROW_TEST};
    assert_memory_equal(parts, want, 9);
    struct am_table view;
    struct am_table_iter *it;
    const struct am_batch *b;
    assert_int_equal(am_clean_view(c, &table, &view, &err), AM_OK);
    assert_int_equal(view.ops->open(view.impl, NULL, 0, &it, &err), AM_OK);
    assert_int_equal(view.ops->next(it, &b, &err), AM_OK);
    /* of 1 2 3 4 5 3 100 3 (training): quartiles 2.75 and 4.25 by numpy's default, so 0.5 to 6.5 */
    assert_true(b->columns[1].number[6] == 6.5 && b->columns[1].number[0] == 1);
    assert_true(isnan(b->columns[2].number[7]));
    view.ops->close(it);
    view.ops->free(view.impl);
    struct am_node *a = am_node_path(am_clean_report(c, arena), "columns.b");
    assert_true(am_node_f64(a, "low", 0) == 0.5 && am_node_f64(a, "high", 0) == 6.5);
    assert_int_equal(am_node_i64(a, "clipped", 0), 1);
    am_clean_free(c);
}

static void test_forward_over_batches(void **state)
{
    (void)state;
    static struct am_str text[50];
    static double y[50];
    static char names[50][8];
    struct am_column columns[] = {{.type = AM_COL_TEXT, .text = text},
                                  {.type = AM_COL_NUMBER, .number = y}};
    struct am_column_desc desc[] = {{AM_STR("t"), AM_COL_TEXT}, {AM_STR("y"), AM_COL_NUMBER}};
    struct memory_table m = {.schema = {desc, 2}, .columns = columns, .n_rows = 50, .cut = 7};
    struct am_table t = {&memory_ops, &m}, view;
    struct am_clean *c;
    struct am_table_iter *it;
    const struct am_batch *b;
    uint8_t parts[50] = {0};
    for (int i = 0; i < 50; i++) {
        snprintf(names[i], sizeof names[i], "v%d", i);
        text[i] = i % 5 ? (struct am_str){NULL, 0} : am_str(names[i]);
        y[i] = i;
    }
    assert_int_equal(am_clean_new(yaml("{columns: {t: {missing: forward}}}"), &m.schema,
                                  AM_STR("y"), NULL, 0, &c, &err),
                     AM_OK);
    assert_int_equal(am_clean_fit(c, &t, parts, 50, &err), AM_OK);
    assert_int_equal(am_clean_view(c, &t, &view, &err), AM_OK);
    assert_int_equal(view.ops->open(view.impl, NULL, 0, &it, &err), AM_OK);
    for (size_t row = 0;;) {
        assert_int_equal(view.ops->next(it, &b, &err), AM_OK);
        if (!b)
            break;
        for (size_t i = 0; i < b->n_rows; i++, row++)
            assert_true(am_str_is(b->columns[0].text[i], names[row / 5 * 5]));
    }
    view.ops->close(it);
    view.ops->free(view.impl);
    am_clean_free(c);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *message;
    } cases[] = {
        {"{columns: {aa: {missing: mean}}}", "names \"aa\""},
        {"{columns: {b: {missing: mean}}}", "only numbers"},
        {"{columns: {b: {min: 3}}}", "are for numbers"},
        {"{columns: {y: {missing: mean}}}", "never filled"},
        {"{columns: {a: {missing: {constant: red}}}}", "not of the column's type"},
        {"{columns: {a: {min: 3, max: 2}}}", "larger than max"},
    };
    load("a,b,y\n1,x,1\n2,z,0\n", NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct am_clean *c = NULL;
        assert_int_equal(am_clean_new(yaml(cases[i].spec), table.ops->schema(table.impl),
                                      AM_STR("y"), NULL, 0, &c, &err),
                         AM_EUSAGE);
        assert_non_null(strstr(err.message, cases[i].message));
        assert_non_null(strstr(err.message, "line 1 column"));
        assert_true(err.hint[0] != '\0');
    }
    uint8_t parts[2] = {0};
    am_clean_free(clean_rows(yaml("{where: \"nosuch > 1\"}"), parts, AM_EUSAGE));
    assert_non_null(strstr(err.message, "data.clean.where"));
    am_clean_free(clean_rows(yaml("{where: \"a > 100\"}"), parts, AM_EINVAL));
    assert_non_null(strstr(err.message, "leaves none of 2 rows"));
}

static enum am_rc clean_once(const struct am_node *spec)
{
    uint8_t parts[3] = {0};
    struct am_clean *c = NULL;
    struct am_table view = {0};
    struct am_table_iter *it = NULL;
    const struct am_batch *b;
    enum am_rc rc = AM_OK;
    AM_GO(rc, am_clean_new(spec, table.ops->schema(table.impl), AM_STR("y"), NULL, 0, &c, &err));
    AM_GO(rc, am_clean_rows(c, &tables, &files, &table, parts, 3, &err));
    AM_GO(rc, am_clean_fit(c, &table, parts, 3, &err));
    AM_GO(rc, am_clean_view(c, &table, &view, &err));
    AM_GO(rc, view.ops->open(view.impl, NULL, 0, &it, &err));
    AM_GO(rc, view.ops->next(it, &b, &err));
out:
    if (view.ops) {
        view.ops->close(it);
        view.ops->free(view.impl);
    }
    am_clean_free(c);
    return rc;
}

static void test_faults(void **state)
{
    (void)state;
    struct am_node *spec = yaml("{where: \"a > 0\", duplicates: drop, columns: {a: {missing: "
                                "median, outliers: {by: iqr}}, b: "
                                "{missing: mode}}}");
    load("a,b,y\n1,x,1\n2,z,0\n3,x,1\n", spec);
    AM_OOM_LOOP(clean_once(spec), (void)0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {T(test_rows),     T(test_fills),
                                       T(test_outliers), T(test_forward_over_batches),
                                       T(test_refused),  T(test_faults)};
    return cmocka_run_group_tests(tests, support_setup, support_teardown);
}
