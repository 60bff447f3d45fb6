/* The reader of stored datasets with media, held against the table engine's reading of the same
 * file (an implementation that is not ours): nulls, dictionaries, several row groups, any columns;
 * damaged bytes; memory and disk that fail. */
#include "support.h"

#include <errno.h>

#include "../../support/faults.h"
#include "base/fs.h"
#include "data/parquet.h"
#include "data/stored.h"

#define ROWS 3000
#define N 6
static struct am_err err;
static char image_bytes[8192];

static const struct am_column_desc desc[N] = {
    {AM_STR_INIT("image"), AM_COL_IMAGE}, {AM_STR_INIT("label"), AM_COL_CATEGORY},
    {AM_STR_INIT("file"), AM_COL_TEXT},   {AM_STR_INIT("price"), AM_COL_NUMBER},
    {AM_STR_INIT("yes"), AM_COL_BOOLEAN}, {AM_STR_INIT("when"), AM_COL_DATE}};
static const struct am_tables_column columns[N] = {
    {AM_STR_INIT("image"), {NULL, 0}, AM_STORED_BLOB, AM_COL_IMAGE},
    {AM_STR_INIT("label"), {NULL, 0}, AM_STORED_TEXT, AM_COL_CATEGORY},
    {AM_STR_INIT("file"), {NULL, 0}, AM_STORED_TEXT, AM_COL_TEXT},
    {AM_STR_INIT("price"), {NULL, 0}, AM_STORED_DOUBLE, AM_COL_NUMBER},
    {AM_STR_INIT("yes"), {NULL, 0}, AM_STORED_BOOL, AM_COL_BOOLEAN},
    {AM_STR_INIT("when"), {NULL, 0}, AM_STORED_DATE, AM_COL_DATE}};
static const struct am_schema schema = {desc, N};

static const char *write_file(size_t n_rows, size_t max_image)
{
    static struct am_str image[ROWS], label[ROWS], file[ROWS];
    static char names[ROWS][16];
    static double price[ROWS], yes[ROWS];
    static int64_t when[ROWS];
    const struct am_column c[N] = {
        {.type = AM_COL_IMAGE, .text = image},   {.type = AM_COL_CATEGORY, .text = label},
        {.type = AM_COL_TEXT, .text = file},     {.type = AM_COL_NUMBER, .number = price},
        {.type = AM_COL_BOOLEAN, .number = yes}, {.type = AM_COL_DATE, .date = when}};
    for (size_t i = 0; i < sizeof image_bytes; i++)
        image_bytes[i] = (char)(i * 31 + i / 256);
    for (size_t i = 0; i < n_rows; i++) {
        snprintf(names[i], sizeof names[i], "%zu.png", i);
        image[i] = i % 19 == 4 ? (struct am_str){NULL, 0}
                               : (struct am_str){image_bytes + i % 97, i * 7919 % max_image};
        label[i] = i % 23 == 1 ? (struct am_str){NULL, 0} : i % 3 ? AM_STR("cat") : AM_STR("");
        file[i] = am_str(names[i]);
        price[i] = i % 7 == 3 ? NAN : (double)i / 4;
        yes[i] = i % 11 == 0 ? NAN : (double)(i / 3 % 2);
        when[i] = i % 13 == 5 ? AM_DATE_MISSING : (int64_t)i * 86400000000 - 7;
    }
    static char path[256];
    char hex[AM_SHA256_HEX];
    uint64_t bytes;
    struct am_parquet *w;
    snprintf(path, sizeof path, "%s/stored-%u.parquet", scratch, n_made++);
    assert_int_equal(am_parquet_new(path, &schema, &w, &err), AM_OK);
    assert_int_equal(am_parquet_write(w, c, n_rows, &err), AM_OK);
    assert_int_equal(am_parquet_end(w, &err), AM_OK);
    assert_int_equal(am_parquet_finish(w, &bytes, hex, &err), AM_OK);
    am_parquet_free(w);
    return path;
}

static bool same_cell(const struct am_column *a, size_t i, const struct am_column *b, size_t k)
{
    if (am_cell_missing(a, i) || am_cell_missing(b, k))
        return am_cell_missing(a, i) && am_cell_missing(b, k);
    if (am_col_is_string(a->type))
        return am_str_eq(a->text[i], b->text[k]);
    return a->type == AM_COL_DATE ? a->date[i] == b->date[k] : a->number[i] == b->number[k];
}

static enum am_rc read_all(const char *path, uint64_t n_rows, uint64_t *n)
{
    struct am_str part = am_str(path);
    struct am_table t;
    struct am_table_iter *it = NULL;
    const struct am_batch *b;
    uint64_t sum = 0;
    *n = 0;
    AM_TRY(stored_table(&part, 1, columns, N, n_rows, &t, &err));
    enum am_rc rc = t.ops->open(t.impl, NULL, 0, &it, &err);
    while (rc == AM_OK) {
        rc = t.ops->next(it, &b, &err);
        if (rc != AM_OK || !b)
            break;
        for (size_t c = 0; c < 3; c++) /* every byte is touched */
            for (size_t i = 0; i < b->n_rows; i++)
                for (size_t k = 0; b->columns[c].text[i].ptr && k < b->columns[c].text[i].len; k++)
                    sum += (unsigned char)b->columns[c].text[i].ptr[k];
        *n += b->n_rows;
    }
    t.ops->close(it);
    t.ops->free(t.impl);
    assert_true(sum < UINT64_MAX);
    return rc;
}

static void test_as_the_engine_reads_it(void **state)
{
    (void)state;
    static const size_t some[] = {5, 0, 3};
    const char *path = write_file(ROWS, 7000); /* 10 MB: two row groups */
    struct am_str part = am_str(path);
    struct am_tables_source source = {.format = AM_TABLES_PARQUET, .paths = &part, .n_paths = 1};
    struct am_tables_read read = {
        .source = &source, .columns = columns, .n_columns = N, .n_rows = ROWS};
    assert_true(stored_suits(columns, N));
    assert_false(stored_suits(columns + 1, N - 1)); /* no media: the engine's */
    for (int round = 0; round < 2; round++) {
        struct am_table ours, theirs;
        struct am_table_iter *a, *b;
        const struct am_batch *x = NULL, *y = NULL;
        size_t i = 0, k = 0, n = round ? 3 : N;
        uint64_t rows = 0;
        assert_int_equal(stored_table(&part, 1, columns, N, ROWS, &ours, &err), AM_OK);
        assert_int_equal(tables.ops->read(tables.impl, &read, &theirs, &err), AM_OK);
        assert_int_equal(ours.ops->n_rows(ours.impl), ROWS);
        assert_int_equal(ours.ops->open(ours.impl, round ? some : NULL, 3, &a, &err), AM_OK);
        assert_int_equal(theirs.ops->open(theirs.impl, round ? some : NULL, 3, &b, &err), AM_OK);
        for (;; i++, k++, rows++) {
            if (!x || i == x->n_rows) {
                assert_int_equal(ours.ops->next(a, &x, &err), AM_OK);
                i = 0;
                assert_true(!x || x->first_row == rows);
            }
            if (!y || k == y->n_rows) {
                assert_int_equal(theirs.ops->next(b, &y, &err), AM_OK);
                k = 0;
            }
            if (!x || !y)
                break;
            for (size_t c = 0; c < n; c++)
                if (!same_cell(&x->columns[c], i, &y->columns[c], k))
                    fail_msg("row %llu, column %zu", (unsigned long long)rows, c);
        }
        assert_true(!x && !y);
        assert_int_equal(rows, ROWS);
        ours.ops->close(a);
        ours.ops->free(ours.impl);
        theirs.ops->close(b);
        theirs.ops->free(theirs.impl);
    }
}

static void test_refused(void **state)
{
    (void)state;
    uint64_t n;
    const char *path = write_file(40, 300);
    assert_int_equal(read_all(path, 40, &n), AM_OK);
    assert_int_equal(n, 40);
    assert_int_equal(read_all(path, 41, &n), AM_ECORRUPT);
    assert_non_null(strstr(err.message, "number of rows"));
    assert_non_null(strstr(err.hint, "backup"));
    struct am_tables_column other[N];
    struct am_table t;
    struct am_str part = am_str(path);
    memcpy(other, columns, sizeof other);
    other[3].name = AM_STR("cost");
    assert_int_equal(stored_table(&part, 1, other, N, 40, &t, &err), AM_ECORRUPT);
    other[3] = columns[4];
    assert_int_equal(stored_table(&part, 1, other, N, 40, &t, &err), AM_ECORRUPT);
    assert_int_equal(truncate(path, 100), 0);
    assert_int_equal(read_all(path, 40, &n), AM_ECORRUPT);
    assert_int_equal(truncate(path, 5), 0);
    assert_int_equal(read_all(path, 40, &n), AM_ECORRUPT);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(read_all(path, 40, &n), AM_ENOTFOUND);
}

/* Bytes changed anywhere: the rows, or one error; under ASan nothing else. */
static void test_damaged(void **state)
{
    (void)state;
    static char good[1 << 16], bad[1 << 16];
    const char *path = write_file(60, 200);
    uint32_t random = 4711;
    uint64_t n;
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t size = fread(good, 1, sizeof good, f), refused = 0;
    fclose(f);
    assert_true(size < sizeof good);
    for (int round = 0; round < 3000; round++) {
        memcpy(bad, good, size);
        for (int change = 0; change <= round % 3; change++) {
            random = random * 1664525u + 1013904223u;
            size_t footer = size / 4, from = round % 2 ? size - footer : 0;
            bad[from + (random >> 8) % (size - from)] = (char)(random >> 3);
        }
        const char *damaged = make_file("damaged.parquet", bad, size);
        enum am_rc rc = read_all(damaged, 60, &n);
        if (rc != AM_OK && rc != AM_ECORRUPT)
            fail_msg("round %d: %s: %s", round, am_rc_name(rc), err.message);
        refused += rc != AM_OK;
        assert_int_equal(unlink(damaged), 0);
    }
    assert_true(refused > 500);
}

static enum am_rc whole(const char *path)
{
    uint64_t n;
    AM_TRY(read_all(path, 60, &n));
    return n == 60 ? AM_OK : AM_EINTERNAL;
}

static void test_faults(void **state)
{
    (void)state;
    const char *path = write_file(60, 200);
    bool done = false;
    for (long n = 1; n < 400 && !done; n++) {
        am_alloc_fail_nth(n, false);
        enum am_rc rc = whole(path);
        done = am_alloc_hook_hits() == 0;
        am_alloc_fail_nth(0, false);
        assert_true(done ? rc == AM_OK : rc == AM_ENOMEM);
    }
    assert_true(done);
    done = false;
    for (long n = 1; n < 400 && !done; n++) {
        am_fs_fail_nth(n, EIO, false);
        enum am_rc rc = whole(path);
        done = am_fs_hook_hits() == 0;
        am_fs_fail_nth(0, 0, false);
        assert_true(rc == AM_OK || rc == AM_EIO); /* closing may fail unseen */
    }
    assert_true(done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_the_engine_reads_it), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_damaged), cmocka_unit_test(test_faults)};
    return cmocka_run_group_tests_name("stored", tests, support_setup, support_teardown);
}
