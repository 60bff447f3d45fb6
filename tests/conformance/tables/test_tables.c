/* The conformance suite of the table port (data/tables.h): every driver must pass it. Run with the
 * module's name as argument; today there is one, tables-duckdb. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../support/faults.h"
#include "data/parquet.h"
#include "platform/modules.h"
#include "tensor/ports_abi.h"
#include "tests/conformance/driver.h"

static const char *driver;
static const struct am_tables_ops *ops;
static void *handle;
static char scratch[64];
static struct am_err err;
static const struct am_str no_text = {"", 0};

static int setup(void **state)
{
    (void)state;
    snprintf(scratch, sizeof scratch, "/tmp/am-tables-test.XXXXXX");
    ops = open_driver(driver, sizeof *ops);
    if (!mkdtemp(scratch) || !ops)
        return -1;
    struct am_tables_config config = {.n_threads = 2, .temp_dir = scratch};
    return ops->open(am_host_table(), &config, &handle, &err) == AM_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    ops->close(handle);
    ops->close(NULL);
    return am_fs_remove_tree(scratch, NULL) == AM_OK ? 0 : -1;
}

static char paths[8][128];
static struct am_str path_texts[8];
static unsigned n_paths;

static struct am_tables_source source_of(enum am_tables_format format, const char *name,
                                         const char *text)
{
    unsigned i = n_paths++ % 8;
    snprintf(paths[i], sizeof paths[i], "%s/%u-%s", scratch, n_paths, name);
    if (text) {
        FILE *f = fopen(paths[i], "wb");
        assert_non_null(f);
        fputs(text, f);
        fclose(f);
    }
    path_texts[i] = am_str(paths[i]);
    return (struct am_tables_source){.format = format,
                                     .paths = &path_texts[i],
                                     .n_paths = 1,
                                     .csv = {.nulls = &no_text, .n_nulls = 1}};
}

struct am_table_view { /* what a read gave, first batch */
    struct am_table t;
    struct am_table_iter *it;
    const struct am_batch *b;
};

static enum am_rc read_first(const struct am_tables_source *s, const struct am_tables_info *info,
                             const struct am_tables_column *columns, size_t n,
                             struct am_table_view *v)
{
    struct am_tables_read read = {
        .source = s, .info = info, .columns = columns, .n_columns = n, .n_rows = UINT64_MAX};
    enum am_rc rc = ops->read(handle, &read, &v->t, &err);
    v->it = NULL;
    v->b = NULL;
    if (rc != AM_OK)
        return rc;
    rc = v->t.ops->open(v->t.impl, NULL, 0, &v->it, &err);
    return rc == AM_OK ? v->t.ops->next(v->it, &v->b, &err) : rc;
}

static void done(struct am_table_view *v)
{
    if (v->t.ops) {
        v->t.ops->close(v->it);
        v->t.ops->free(v->t.impl);
    }
}

static void test_describe(void **state)
{
    (void)state;
    struct am_tables_source s = source_of(
        AM_TABLES_CSV, "d.csv", "a;b;c;d;e\n1;1.5;x y;2024-02-01;true\n2;;z;2024-02-02;false\n");
    struct am_tables_info *info;
    assert_int_equal(ops->describe(handle, &s, &info, &err), AM_OK);
    assert_int_equal(info->n_columns, 5);
    assert_int_equal(info->delimiter, ';');
    assert_true(info->has_header);
    static const enum am_stored_type want[] = {AM_STORED_INT, AM_STORED_DOUBLE, AM_STORED_TEXT,
                                               AM_STORED_DATE, AM_STORED_BOOL};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(info->columns[i].stored, want[i]);
    assert_true(am_str_is(info->columns[2].name, "c"));
    ops->forget(handle, info);
    ops->forget(handle, NULL);
    s = source_of(AM_TABLES_CSV, "absent.csv", NULL);
    assert_int_equal(ops->describe(handle, &s, &info, &err), AM_ENOTFOUND);
    assert_null(info);
}

static void test_values(void **state)
{
    (void)state;
    struct am_tables_source s = source_of(AM_TABLES_CSV, "v.csv",
                                          "a,b,c,d,e\n1,1.5,x,2024-02-01,true\n,,,,\n-3,2e3,\"q "
                                          "\"\"r\"\"\",1969-12-31 23:59:59,false\n");
    struct am_tables_info *info;
    struct am_table_view v;
    assert_int_equal(ops->describe(handle, &s, &info, &err), AM_OK);
    const struct am_tables_column columns[] = {
        {.name = AM_STR("c"), .stored = AM_STORED_TEXT, .type = AM_COL_CATEGORY},
        {.name = AM_STR("a"), .stored = AM_STORED_DOUBLE, .type = AM_COL_NUMBER},
        {.name = AM_STR("e"), .stored = AM_STORED_BOOL, .type = AM_COL_BOOLEAN},
        {.name = AM_STR("d"), .stored = AM_STORED_DATE, .type = AM_COL_DATE},
        {.name = AM_STR("b"), .stored = AM_STORED_DOUBLE, .type = AM_COL_TEXT},
    };
    assert_int_equal(read_first(&s, info, columns, 5, &v), AM_OK);
    assert_int_equal(v.b->n_rows, 3);
    assert_true(am_str_is(v.b->columns[0].text[0], "x") &&
                am_str_is(v.b->columns[0].text[2], "q \"r\""));
    assert_true(v.b->columns[1].number[0] == 1 && v.b->columns[1].number[2] == -3);
    assert_true(v.b->columns[2].number[0] == 1 && v.b->columns[2].number[2] == 0);
    assert_true(v.b->columns[3].date[0] == 1706745600000000 && v.b->columns[3].date[2] == -1000000);
    assert_true(am_str_is(v.b->columns[4].text[0], "1.5") &&
                am_str_is(v.b->columns[4].text[2], "2000"));
    for (size_t c = 0; c < 5; c++)
        assert_true(am_cell_missing(&v.b->columns[c], 1));
    done(&v);
    ops->forget(handle, info);
}

static void test_other_formats(void **state)
{
    (void)state;
    struct am_tables_source s = source_of(AM_TABLES_JSON_LINES, "j.jsonl",
                                          "{\"a\":1,\"b\":\"x\"}\n{\"a\":null,\"b\":\"y\"}\n");
    struct am_tables_info *info;
    struct am_table_view v;
    const struct am_tables_column columns[] = {
        {.name = AM_STR("a"), .stored = AM_STORED_INT, .type = AM_COL_NUMBER},
        {.name = AM_STR("b"), .stored = AM_STORED_TEXT, .type = AM_COL_TEXT}};
    assert_int_equal(ops->describe(handle, &s, &info, &err), AM_OK);
    assert_int_equal(info->columns[0].stored, AM_STORED_INT);
    assert_int_equal(read_first(&s, info, columns, 2, &v), AM_OK);
    assert_true(v.b->columns[0].number[0] == 1 && isnan(v.b->columns[0].number[1]));
    done(&v);
    ops->forget(handle, info);
    struct am_tables_source sql = {
        .format = AM_TABLES_SQL,
        .sql =
            AM_STR("SELECT a + 1 AS a, upper(b) AS b FROM read_json('j.jsonl') ORDER BY b DESC")};
    char text[256];
    snprintf(text, sizeof text, "SELECT a + 1 AS a, upper(b) AS b FROM '%s' ORDER BY b DESC",
             paths[(n_paths - 1) % 8]);
    sql.sql = am_str(text);
    assert_int_equal(ops->describe(handle, &sql, &info, &err), AM_OK);
    assert_int_equal(read_first(&sql, info, columns, 2, &v), AM_OK);
    assert_true(am_str_is(v.b->columns[1].text[0], "Y") && v.b->columns[0].number[1] == 2);
    done(&v);
    ops->forget(handle, info);
    static const char *const refused[] = {"SELECT 1; SELECT 2",    "DROP TABLE x",
                                          "CREATE TABLE t(a INT)", "SELEC 1",
                                          "SET threads=1",         "SELECT * FROM 'absent.csv'"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        sql.sql = am_str(refused[i]);
        assert_int_not_equal(ops->describe(handle, &sql, &info, &err), AM_OK);
        assert_null(info);
    }
}

/* The file that the program itself writes from this read. */
static void write_parquet(const struct am_tables_read *read, const char *path)
{
    struct am_table t;
    struct am_table_iter *it;
    const struct am_batch *b;
    struct am_parquet *w;
    uint64_t n_bytes;
    char hex[AM_SHA256_HEX];
    assert_int_equal(ops->read(handle, read, &t, &err), AM_OK);
    assert_int_equal(am_parquet_new(path, t.ops->schema(t.impl), &w, &err), AM_OK);
    assert_int_equal(t.ops->open(t.impl, NULL, 0, &it, &err), AM_OK);
    for (;;) {
        assert_int_equal(t.ops->next(it, &b, &err), AM_OK);
        if (!b)
            break;
        assert_int_equal(am_parquet_write(w, b->columns, b->n_rows, &err), AM_OK);
    }
    assert_int_equal(am_parquet_end(w, &err), AM_OK);
    assert_int_equal(am_parquet_finish(w, &n_bytes, hex, &err), AM_OK);
    am_parquet_free(w);
    t.ops->close(it);
    t.ops->free(t.impl);
}

/* 200,000 rows come in file order, again and again, whatever the threads; a part of the columns
 * too. */
/* Bytes of any kind and length come back as they were written, and so does their order. */
static void test_bytes(void **state)
{
    (void)state;
    enum { ROWS = 3000, LONG = 9000 };
    static char bytes[LONG + ROWS];
    static struct am_str cells[ROWS];
    static double numbers[ROWS];
    const struct am_column_desc desc[] = {{AM_STR("picture"), AM_COL_IMAGE},
                                          {AM_STR("n"), AM_COL_NUMBER}};
    const struct am_schema schema = {desc, 2};
    const struct am_column columns[] = {{.type = AM_COL_IMAGE, .text = cells},
                                        {.type = AM_COL_NUMBER, .number = numbers}};
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 7 + i / 251); /* zeros, quotes, no UTF-8 */
    for (size_t i = 0; i < ROWS; i++) {
        cells[i] = (struct am_str){i % 97 == 5 ? NULL : bytes + i, i % 3 ? i % 40 : LONG};
        numbers[i] = (double)i;
    }
    struct am_tables_source s = source_of(AM_TABLES_PARQUET, "bytes.parquet", NULL);
    struct am_parquet *w;
    uint64_t n_bytes, row = 0;
    char hex[AM_SHA256_HEX];
    assert_int_equal(am_parquet_new(s.paths[0].ptr, &schema, &w, &err), AM_OK);
    assert_int_equal(am_parquet_write(w, columns, ROWS, &err), AM_OK);
    assert_int_equal(am_parquet_end(w, &err), AM_OK);
    assert_int_equal(am_parquet_finish(w, &n_bytes, hex, &err), AM_OK);
    am_parquet_free(w);
    struct am_tables_info *info;
    assert_int_equal(ops->describe(handle, &s, &info, &err), AM_OK);
    assert_int_equal(info->columns[0].stored, AM_STORED_BLOB);
    ops->forget(handle, info);
    const struct am_tables_column wanted[] = {
        {.name = AM_STR("n"), .stored = AM_STORED_DOUBLE, .type = AM_COL_NUMBER},
        {.name = AM_STR("picture"), .stored = AM_STORED_BLOB, .type = AM_COL_IMAGE}};
    struct am_table_view v;
    assert_int_equal(read_first(&s, NULL, wanted, 2, &v), AM_OK);
    while (v.b) {
        for (size_t i = 0; i < v.b->n_rows; i++, row++) {
            struct am_str got = v.b->columns[1].text[i];
            assert_true(v.b->columns[0].number[i] == (double)row);
            assert_int_equal(got.ptr == NULL, cells[row].ptr == NULL);
            assert_true(!got.ptr || am_str_eq(got, cells[row]));
        }
        assert_int_equal(v.t.ops->next(v.it, &v.b, &err), AM_OK);
    }
    assert_int_equal(row, ROWS);
    done(&v);
}

static void test_order(void **state)
{
    (void)state;
    struct am_tables_source s = source_of(AM_TABLES_CSV, "big.csv", NULL);
    FILE *f = fopen(paths[(n_paths - 1) % 8], "wb");
    fputs("a,b,c\n", f);
    for (int i = 0; i < 200000; i++)
        fprintf(f, "%d,%d.25,t%d\n", i, i, i % 7);
    fclose(f);
    struct am_tables_info *info;
    assert_int_equal(ops->describe(handle, &s, &info, &err), AM_OK);
    const struct am_tables_column columns[] = {
        {.name = AM_STR("a"), .stored = AM_STORED_DOUBLE, .type = AM_COL_NUMBER},
        {.name = AM_STR("b"), .stored = AM_STORED_DOUBLE, .type = AM_COL_NUMBER},
        {.name = AM_STR("c"), .stored = AM_STORED_TEXT, .type = AM_COL_CATEGORY}};
    struct am_tables_read read = {
        .source = &s, .info = info, .columns = columns, .n_columns = 3, .n_rows = 200000};
    char parquet[200];
    snprintf(parquet, sizeof parquet, "%s/big.parquet", scratch);
    write_parquet(&read, parquet);
    struct am_str parquet_path = am_str(parquet);
    struct am_tables_source p = {.format = AM_TABLES_PARQUET, .paths = &parquet_path, .n_paths = 1};
    for (int round = 0; round < 4; round++) {
        struct am_table t;
        struct am_table_iter *it;
        const struct am_batch *b;
        read.source = round % 2 ? &p : &s;
        read.info = round % 2 ? NULL : info;
        assert_int_equal(ops->read(handle, &read, &t, &err), AM_OK);
        assert_int_equal(t.ops->n_rows(t.impl), 200000);
        const size_t pick[] = {2, 0};
        assert_int_equal(t.ops->open(t.impl, round < 2 ? NULL : pick, 2, &it, &err), AM_OK);
        uint64_t row = 0;
        for (;;) {
            assert_int_equal(t.ops->next(it, &b, &err), AM_OK);
            if (!b)
                break;
            assert_int_equal(b->first_row, row);
            const double *a = b->columns[round < 2 ? 0 : 1].number;
            for (size_t i = 0; i < b->n_rows; i++, row++)
                if (a[i] != (double)row)
                    fail_msg("row %llu is %g", (unsigned long long)row, a[i]);
        }
        assert_int_equal(row, 200000);
        t.ops->close(it);
        t.ops->free(t.impl);
    }
    ops->forget(handle, info);
}

static void test_two_iterators(void **state)
{
    (void)state;
    struct am_tables_source s = source_of(AM_TABLES_CSV, "two.csv", "a\n1\n2\n");
    const struct am_tables_column column = {
        .name = AM_STR("a"), .stored = AM_STORED_DOUBLE, .type = AM_COL_NUMBER};
    struct am_tables_info *info;
    struct am_table_view v, w;
    assert_int_equal(ops->describe(handle, &s, &info, &err), AM_OK);
    assert_int_equal(read_first(&s, info, &column, 1, &v), AM_OK);
    assert_int_equal(read_first(&s, info, &column, 1, &w), AM_OK);
    ops->forget(handle, info); /* a read keeps what it needs */
    assert_true(v.b->columns[0].number[1] == 2 && w.b->columns[0].number[0] == 1);
    assert_int_equal(v.t.ops->next(v.it, &v.b, &err), AM_OK);
    assert_null(v.b);
    done(&v);
    done(&w);
}

static void test_expressions(void **state)
{
    (void)state;
    struct am_tables_source s = source_of(AM_TABLES_CSV, "e.csv", "a,b\n1,7\n5,x\n,9\n");
    struct am_tables_info *info;
    struct am_table_view v;
    struct am_str numbers[] = {AM_STR("b")};
    const struct am_tables_column columns[] = {{.name = AM_STR("p"),
                                                .expr = AM_STR("a > 2 -- a comment"),
                                                .stored = AM_STORED_BOOL,
                                                .type = AM_COL_BOOLEAN},
                                               {.name = AM_STR("q"),
                                                .expr = AM_STR("b > 8"),
                                                .stored = AM_STORED_BOOL,
                                                .type = AM_COL_BOOLEAN}};
    struct am_tables_read read = {.source = &s,
                                  .columns = columns,
                                  .n_columns = 2,
                                  .n_rows = 3,
                                  .numbers = numbers,
                                  .n_numbers = 1};
    assert_int_equal(ops->describe(handle, &s, &info, &err), AM_OK);
    read.info = info;
    assert_int_equal(ops->read(handle, &read, &v.t, &err), AM_OK);
    assert_int_equal(v.t.ops->open(v.t.impl, NULL, 0, &v.it, &err), AM_OK);
    assert_int_equal(v.t.ops->next(v.it, &v.b, &err), AM_OK);
    assert_true(v.b->columns[0].number[0] == 0 && v.b->columns[0].number[1] == 1 &&
                isnan(v.b->columns[0].number[2]));
    assert_true(v.b->columns[1].number[0] == 0 && isnan(v.b->columns[1].number[1]) &&
                v.b->columns[1].number[2] == 1);
    done(&v);
    const struct am_tables_column bad = {.name = AM_STR("p"),
                                         .expr = AM_STR("nosuch > 2"),
                                         .stored = AM_STORED_BOOL,
                                         .type = AM_COL_BOOLEAN};
    assert_int_equal(read_first(&s, info, &bad, 1, &v), AM_EUSAGE);
    done(&v);
    ops->forget(handle, info);
}

static void test_bad_cell(void **state)
{
    (void)state;
    struct am_tables_source s = source_of(AM_TABLES_CSV, "bad.csv", "a,b\n1,2\nred,3\n");
    const struct am_str label = AM_STR("what the user wrote.csv");
    s.labels = &label;
    struct am_tables_info *info;
    const struct am_tables_column column = {
        .name = AM_STR("a"), .stored = AM_STORED_DOUBLE, .type = AM_COL_NUMBER};
    assert_int_equal(ops->describe(handle, &s, &info, &err), AM_OK);
    struct am_bad_cell bad = {{0}, {0}};
    struct am_tables_read read = {.source = &s,
                                  .info = info,
                                  .columns = &column,
                                  .n_columns = 1,
                                  .n_rows = UINT64_MAX,
                                  .bad = &bad};
    struct am_table_view v = {0};
    assert_int_equal(ops->read(handle, &read, &v.t, &err), AM_OK);
    enum am_rc rc = v.t.ops->open(v.t.impl, NULL, 0, &v.it, &err);
    if (rc == AM_OK)
        rc = v.t.ops->next(v.it, &v.b, &err);
    assert_int_equal(rc, AM_EINVAL);
    done(&v);
    assert_string_equal(bad.column, "a");
    assert_string_equal(bad.cell, "red");
    assert_non_null(strstr(err.message, "what the user wrote.csv line 3"));
    assert_true(err.hint[0] != '\0');
    ops->forget(handle, info);
}

/* A server's handle sees its own folders only, and its configuration cannot be changed. */
static void test_listed_access(void **state)
{
    (void)state;
    char inside[128], file[200], sql[300];
    snprintf(inside, sizeof inside, "%s/inside", scratch);
    assert_int_equal(am_fs_mkdirs(inside, &err), AM_OK);
    struct am_tables_source out = source_of(AM_TABLES_CSV, "outside.csv", "a\n1\n");
    snprintf(file, sizeof file, "%s/in.csv", inside);
    FILE *f = fopen(file, "wb");
    fputs("a\n1\n", f);
    fclose(f);
    const char *dirs[] = {inside};
    struct am_tables_config config = {
        .access = AM_TABLES_LISTED, .allowed_dirs = dirs, .n_allowed_dirs = 1, .n_threads = 1};
    void *closed;
    struct am_tables_info *info;
    assert_int_equal(ops->open(am_host_table(), &config, &closed, &err), AM_OK);
    struct am_str in_path = am_str(file);
    struct am_tables_source in = out;
    in.paths = &in_path;
    assert_int_equal(ops->describe(closed, &in, &info, &err), AM_OK);
    ops->forget(closed, info);
    assert_int_equal(ops->describe(closed, &out, &info, &err), AM_EPERM);
    snprintf(sql, sizeof sql, "SELECT * FROM read_csv('%s/../%u-outside.csv')", inside, n_paths);
    struct am_tables_source select = {.format = AM_TABLES_SQL, .sql = am_str(sql)};
    assert_int_equal(ops->describe(closed, &select, &info, &err), AM_EPERM);
    select.sql = AM_STR("SELECT * FROM read_text('/etc/passwd')");
    assert_int_equal(ops->describe(closed, &select, &info, &err), AM_EPERM);
    ops->close(closed);
}

static enum am_rc whole_way(const struct am_tables_source *s)
{
    struct am_tables_info *info = NULL;
    struct am_table_view v = {0};
    const struct am_tables_column columns[] = {
        {.name = AM_STR("a"), .stored = AM_STORED_DOUBLE, .type = AM_COL_NUMBER},
        {.name = AM_STR("b"), .stored = AM_STORED_TEXT, .type = AM_COL_TEXT}};
    enum am_rc rc = ops->describe(handle, s, &info, &err);
    if (rc == AM_OK)
        rc = read_first(s, info, columns, 2, &v);
    done(&v);
    ops->forget(handle, info);
    return rc;
}

static void test_faults(void **state)
{
    (void)state;
    struct am_tables_source s = source_of(AM_TABLES_CSV, "f.csv", "a,b\n1,x\n2,y\n");
    AM_OOM_LOOP(whole_way(&s), (void)0);
}

static void test_loader(void **state)
{
    (void)state;
    const void *found;
    struct am_module_spec spec = {"tables-nowhere", 1, 8, "Install the package aimass-nowhere."};
    assert_int_equal(am_module_open(NULL, &spec, &found, &err), AM_EMISSING);
    assert_non_null(strstr(err.hint, "aimass-nowhere"));
    spec = (struct am_module_spec){driver, AM_PORTS_ABI + 1, sizeof *ops, ""};
    assert_int_equal(am_module_open(NULL, &spec, &found, &err), AM_ECONFLICT);
    assert_null(found);
    assert_int_equal(ops->abi, AM_PORTS_ABI);
    assert_true(strlen(ops->version(handle)) > 0);
}

int main(int argc, char **argv)
{
    driver = argc > 1 ? argv[1] : "tables-duckdb";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loader),        cmocka_unit_test(test_describe),
        cmocka_unit_test(test_values),        cmocka_unit_test(test_other_formats),
        cmocka_unit_test(test_order),         cmocka_unit_test(test_two_iterators),
        cmocka_unit_test(test_expressions),   cmocka_unit_test(test_bad_cell),
        cmocka_unit_test(test_listed_access), cmocka_unit_test(test_faults),
        cmocka_unit_test(test_bytes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
