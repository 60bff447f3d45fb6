/* The Parquet writer, read back by the table engine (an implementation that is not ours): nulls
 * anywhere, all types, several row groups, dictionaries and their limit; disk faults. */
#include "support.h"

#include <errno.h>

#include "../../support/faults.h"
#include "data/parquet.h"

static struct am_err err;

/* Row i of the test table; step makes patterns differ per column. */
static double number_at(uint64_t i)
{
    return i % 7 == 3 ? NAN : (double)i * 0.5 - 100;
}
static double boolean_at(uint64_t i)
{
    return i % 11 == 0 ? NAN : (double)(i / 3 % 2);
}
static int64_t date_at(uint64_t i)
{
    return i % 13 == 5 ? AM_DATE_MISSING : (int64_t)i * 86400000000 - 7;
}
static struct am_str text_at(uint64_t i, uint64_t n_values, char buf[32])
{
    if (i % 17 == 2)
        return (struct am_str){NULL, 0};
    buf[0] = '\0';
    int n = i % 5 ? snprintf(buf, 32, "value %llu", (unsigned long long)(i % n_values)) : 0;
    return (struct am_str){buf, (size_t)n};
}

static const struct am_column_desc desc[] = {
    {AM_STR_INIT("n"), AM_COL_NUMBER},   {AM_STR_INIT("full"), AM_COL_NUMBER},
    {AM_STR_INIT("b"), AM_COL_BOOLEAN},  {AM_STR_INIT("d"), AM_COL_DATE},
    {AM_STR_INIT("few"), AM_COL_TEXT},   {AM_STR_INIT("many"), AM_COL_TEXT},
    {AM_STR_INIT("none"), AM_COL_NUMBER}};
static const struct am_schema schema = {desc, 7};

static enum am_rc write_all(const char *path, uint64_t n_rows, size_t cut)
{
    static double n[3000], full[3000], b[3000], none[3000];
    static int64_t d[3000];
    static struct am_str few[3000], many[3000];
    static char few_text[3000][32], many_text[3000][32];
    struct am_parquet *w = NULL;
    uint64_t bytes = 0;
    enum am_rc rc = AM_OK;
    const struct am_column columns[] = {
        {.type = AM_COL_NUMBER, .number = n},   {.type = AM_COL_NUMBER, .number = full},
        {.type = AM_COL_BOOLEAN, .number = b},  {.type = AM_COL_DATE, .date = d},
        {.type = AM_COL_TEXT, .text = few},     {.type = AM_COL_TEXT, .text = many},
        {.type = AM_COL_NUMBER, .number = none}};
    AM_GO(rc, am_parquet_new(path, &schema, &w, &err));
    for (uint64_t row = 0; row < n_rows; row += cut) {
        size_t m = n_rows - row < cut ? (size_t)(n_rows - row) : cut;
        for (size_t i = 0; i < m; i++) {
            n[i] = number_at(row + i);
            full[i] = (double)(row + i);
            b[i] = boolean_at(row + i);
            d[i] = date_at(row + i);
            none[i] = NAN;
            few[i] = text_at(row + i, 3, few_text[i]);
            many[i] = text_at(row + i, UINT64_MAX, many_text[i]);
        }
        AM_GO(rc, am_parquet_write(w, columns, m, &err));
    }
    char hex[AM_SHA256_HEX];
    AM_GO(rc, am_parquet_end(w, &err));
    AM_GO(rc, am_parquet_finish(w, &bytes, hex, &err));
out:
    am_parquet_free(w);
    return rc;
}

static bool same_number(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}
static bool same_text(struct am_str a, struct am_str b)
{
    return (a.ptr == NULL) == (b.ptr == NULL) && am_str_eq(a, b);
}

static void check(const char *path, uint64_t n_rows)
{
    struct am_str p = am_str(path);
    struct am_tables_source source = {.format = AM_TABLES_PARQUET, .paths = &p, .n_paths = 1};
    struct am_tables_info *info;
    static const enum am_stored_type stored[] = {AM_STORED_DOUBLE, AM_STORED_DOUBLE, AM_STORED_BOOL,
                                                 AM_STORED_DATE,   AM_STORED_TEXT,   AM_STORED_TEXT,
                                                 AM_STORED_DOUBLE};
    struct am_tables_column columns[7];
    assert_int_equal(tables.ops->describe(tables.impl, &source, &info, &err), AM_OK);
    assert_int_equal(info->n_columns, 7);
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(info->columns[i].stored, stored[i]);
        columns[i] = (struct am_tables_column){
            .name = desc[i].name, .stored = stored[i], .type = desc[i].type};
    }
    struct am_tables_read read = {
        .source = &source, .info = info, .columns = columns, .n_columns = 7, .n_rows = n_rows};
    struct am_table t;
    struct am_table_iter *it;
    const struct am_batch *b;
    uint64_t row = 0;
    char buf[32];
    assert_int_equal(tables.ops->read(tables.impl, &read, &t, &err), AM_OK);
    assert_int_equal(t.ops->open(t.impl, NULL, 0, &it, &err), AM_OK);
    for (;;) {
        assert_int_equal(t.ops->next(it, &b, &err), AM_OK);
        if (!b)
            break;
        for (size_t i = 0; i < b->n_rows; i++, row++) {
            bool ok = same_number(b->columns[0].number[i], number_at(row)) &&
                      b->columns[1].number[i] == (double)row &&
                      same_number(b->columns[2].number[i], boolean_at(row)) &&
                      b->columns[3].date[i] == date_at(row) &&
                      same_text(b->columns[4].text[i], text_at(row, 3, buf)) &&
                      isnan(b->columns[6].number[i]);
            ok = ok && same_text(b->columns[5].text[i], text_at(row, UINT64_MAX, buf));
            if (!ok)
                fail_msg("row %llu differs", (unsigned long long)row);
        }
    }
    assert_int_equal(row, n_rows);
    t.ops->close(it);
    t.ops->free(t.impl);
    tables.ops->forget(tables.impl, info);
}

static void test_round_trip(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {1, 2, 7, 8, 9, 63, 64, 1000, 65536, 65537, 150001};
    char path[200];
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        snprintf(path, sizeof path, "%s/%zu.parquet", scratch, i);
        assert_int_equal(write_all(path, sizes[i], 2999), AM_OK);
        check(path, sizes[i]);
        assert_int_not_equal(write_all(path, 1, 1), AM_OK); /* never over another file */
    }
}

/* The bytes depend on the values only, not on how the batches came. */
static void test_cut_changes_nothing(void **state)
{
    (void)state;
    char a[200], b[200];
    struct am_buf x, y;
    am_buf_init(&x, 1 << 24);
    am_buf_init(&y, 1 << 24);
    snprintf(a, sizeof a, "%s/cut-a.parquet", scratch);
    snprintf(b, sizeof b, "%s/cut-b.parquet", scratch);
    assert_int_equal(write_all(a, 70000, 2048), AM_OK);
    assert_int_equal(write_all(b, 70000, 100), AM_OK);
    assert_int_equal(am_fs_read_file(a, &x, &err), AM_OK);
    assert_int_equal(am_fs_read_file(b, &y, &err), AM_OK);
    assert_true(am_str_eq(am_buf_view(&x), am_buf_view(&y)));
    am_buf_clear(&x);
    am_buf_clear(&y);
}

static void test_wide(void **state)
{
    (void)state;
    enum { WIDE = 20000 };
    struct am_column_desc *d = calloc(WIDE, sizeof *d);
    struct am_column *columns = calloc(WIDE, sizeof *columns);
    char(*names)[8] = calloc(WIDE, sizeof *names);
    double v[300];
    char path[200];
    for (int i = 0; i < 300; i++)
        v[i] = i;
    for (int i = 0; i < WIDE; i++) {
        snprintf(names[i], sizeof names[i], "c%d", i);
        d[i] = (struct am_column_desc){am_str(names[i]), AM_COL_NUMBER};
        columns[i] = (struct am_column){.type = AM_COL_NUMBER, .number = v};
    }
    struct am_schema s = {d, WIDE};
    struct am_parquet *w;
    uint64_t n;
    char hex[AM_SHA256_HEX], own[AM_SHA256_HEX];
    unsigned char digest[AM_SHA256_BYTES];
    struct am_buf bytes;
    snprintf(path, sizeof path, "%s/wide.parquet", scratch);
    assert_int_equal(am_parquet_new(path, &s, &w, &err), AM_OK);
    assert_int_equal(am_parquet_write(w, columns, 300, &err), AM_OK);
    assert_int_equal(am_parquet_end(w, &err), AM_OK);
    assert_int_equal(am_parquet_finish(w, &n, hex, &err), AM_OK);
    am_parquet_free(w);
    am_buf_init(&bytes, (size_t)1 << 30);
    assert_int_equal(am_fs_read_file(path, &bytes, &err), AM_OK);
    assert_int_equal(n, bytes.len);
    assert_int_equal(am_sha256(bytes.ptr, bytes.len, digest, &err), AM_OK);
    am_sha256_hex(digest, own);
    assert_string_equal(hex, own);
    am_buf_clear(&bytes);
    struct am_str p = am_str(path);
    struct am_tables_source source = {.format = AM_TABLES_PARQUET, .paths = &p, .n_paths = 1};
    struct am_tables_column last = {
        .name = am_str(names[WIDE - 1]), .stored = AM_STORED_DOUBLE, .type = AM_COL_NUMBER};
    struct am_tables_read read = {
        .source = &source, .columns = &last, .n_columns = 1, .n_rows = 300};
    struct am_table t;
    struct am_table_iter *it;
    const struct am_batch *b;
    assert_int_equal(tables.ops->read(tables.impl, &read, &t, &err), AM_OK);
    assert_int_equal(t.ops->open(t.impl, NULL, 0, &it, &err), AM_OK);
    assert_int_equal(t.ops->next(it, &b, &err), AM_OK);
    assert_true(b->columns[0].number[b->n_rows - 1] == (double)(b->n_rows - 1));
    t.ops->close(it);
    t.ops->free(t.impl);
    free(d);
    free(columns);
    free(names);
}

static enum am_rc write_once(const char *path)
{
    unlink(path);
    return write_all(path, 100, 50);
}

static void test_faults(void **state)
{
    (void)state;
    char path[200];
    snprintf(path, sizeof path, "%s/faults.parquet", scratch);
    AM_OOM_LOOP(write_once(path), check(path, 100));
    AM_IO_LOOP(write_once(path), check(path, 100), (void)0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip),
                                       cmocka_unit_test(test_cut_changes_nothing),
                                       cmocka_unit_test(test_wide), cmocka_unit_test(test_faults)};
    return cmocka_run_group_tests(tests, support_setup, support_teardown);
}
