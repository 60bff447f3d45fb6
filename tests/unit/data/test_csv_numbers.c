/* CSV files of numbers that we read ourselves: the same bits as the table engine, and at the first
 * odd line the engine's own rows and errors. */
#include "support.h"

#include "base/rng.h"
#include "data/csv_numbers.h"
#include "data/source.h"

static struct am_arena *arena;
static struct am_err err;

static int setup(void **state)
{
    (void)state;
    arena = am_arena_new(0);
    am_err_clear(&err);
    return arena ? 0 : -1;
}
static int teardown(void **state)
{
    (void)state;
    am_arena_free(arena);
    return 0;
}

/* The buffer's bytes with a 0 behind them; they live until it changes. */
static const char *text_of(struct am_buf *b)
{
    am_buf_char(b, 0);
    assert_int_equal(am_buf_check(b, &err), AM_OK);
    return am_buf_view(b).ptr;
}

struct pair { /* one read, twice */
    struct am_source *source;
    struct am_tables_column columns[8];
    struct am_tables_read read;
    struct am_table engine, ours;
};

/* All columns but the first `skip` as numbers. false: the source is refused before it is read. */
static bool open_pair(struct pair *p, const char *path, size_t skip)
{
    const struct am_str spec = am_str(path);
    const struct am_source_options o = {.specs = &spec, .n_specs = 1, .temp_dir = scratch};
    memset(p, 0, sizeof *p);
    if (am_source_open(&tables, &o, &p->source, &err) != AM_OK)
        return false;
    const struct am_tables_info *info = am_source_info(p->source);
    assert_in_range(info->n_columns, skip + 1, 8);
    for (size_t i = skip; i < info->n_columns; i++)
        p->columns[i - skip] = (struct am_tables_column){
            .name = info->columns[i].name, .stored = AM_STORED_DOUBLE, .type = AM_COL_NUMBER};
    p->read = (struct am_tables_read){.source = am_source_tables(p->source),
                                      .info = info,
                                      .columns = p->columns,
                                      .n_columns = info->n_columns - skip,
                                      .n_rows = UINT64_MAX};
    assert_true(csv_numbers_fit(&p->read));
    struct am_table inner;
    assert_int_equal(tables.ops->read(tables.impl, &p->read, &inner, &err), AM_OK);
    assert_int_equal(csv_numbers_table(&p->read, &inner, &p->ours, &err), AM_OK);
    assert_int_equal(tables.ops->read(tables.impl, &p->read, &p->engine, &err), AM_OK);
    return true;
}

static void close_pair(struct pair *p)
{
    p->ours.ops->free(p->ours.impl);
    p->engine.ops->free(p->engine.impl);
    am_source_close(p->source);
}

/* All cells of a table row by row, and how it ended. */
struct cells {
    double *v; /* owned */
    size_t n;
    enum am_rc rc;
    char message[1024];
};

static struct cells cells_of(const struct am_table *t)
{
    struct cells c = {.v = am_alloc((size_t)1 << 22)};
    struct am_table_iter *it;
    const struct am_batch *b;
    struct am_err why = {0};
    assert_non_null(c.v);
    c.rc = t->ops->open(t->impl, NULL, 0, &it, &why);
    const bool opened = c.rc == AM_OK;
    while (opened && (c.rc = t->ops->next(it, &b, &why)) == AM_OK && b) {
        assert_true((c.n + b->n_rows * b->n_columns) * sizeof *c.v <= (size_t)1 << 22);
        for (size_t i = 0; i < b->n_rows; i++)
            for (size_t k = 0; k < b->n_columns; k++)
                c.v[c.n++] = b->columns[k].number[i];
    }
    snprintf(c.message, sizeof c.message, "%s", why.message);
    if (opened)
        t->ops->close(it);
    return c;
}

/* The same rows, bits and end; how many cells, SIZE_MAX when the source is refused. */
static size_t expect_equal(const char *name, const char *text, size_t skip)
{
    struct pair p;
    if (!open_pair(&p, make_text(name, text), skip))
        return SIZE_MAX;
    struct cells a = cells_of(&p.engine), b = cells_of(&p.ours);
    const size_t n = a.n;
    assert_int_equal(a.rc, b.rc);
    assert_string_equal(a.message, b.message);
    if (a.rc == AM_OK) /* before an error the engine may have handed out fewer rows */
        assert_int_equal(a.n, b.n);
    for (size_t i = 0; i < a.n && i < b.n; i++)
        if (memcmp(&a.v[i], &b.v[i], 8) != 0 && !(isnan(a.v[i]) && isnan(b.v[i])))
            fail_msg("%s: cell %zu is %.17g, the engine says %.17g", name, i, b.v[i], a.v[i]);
    am_free(a.v);
    am_free(b.v);
    close_pair(&p);
    return n;
}

static void spellings(void **state)
{
    (void)state;
    static const char text[] =
        "a,b,c\n1,2.5,-3\n-0,0.0,-0.0\n007,1e5,1E-7\n,,\n9007199254740993,0.1,123456789012345678\n"
        "0.30000000000000004,1e22,1e23\n2.2250738585072014e-308,4.35,0.000001\n"
        "179769313486231570000000000000000000000,1e-22,5e-5\n1.7976931348623157e308,33,1e+3\n";
    assert_int_equal(expect_equal("spellings.csv", text, 0), 27);
    assert_int_equal(expect_equal("unread.csv", text, 1), 18);
    assert_int_equal(expect_equal("windows.csv", "a,b\r\n1,2\r\n3,4", 0), 4);
    assert_int_equal(expect_equal("semicolon.csv", "a;b\n1;2\n3;4\n", 0), 4);
    assert_int_equal(expect_equal("bare.csv", "1,2\n3,4\n5,6\n", 0), 6);
}

/* Random numbers in many forms, over several blocks. */
static void random_numbers(void **state)
{
    (void)state;
    struct am_buf b;
    struct am_rng r;
    static const char *const forms[] = {"%.0f", "%.3f", "%.6f", "%.17g", "%.9e", "%.2e"};
    am_buf_init(&b, (size_t)1 << 24);
    am_rng_init(&r, 7, 0);
    am_buf_cstr(&b, "a,b,c,d\n");
    for (unsigned i = 0; i < 20000; i++)
        for (unsigned k = 0; k < 4; k++) {
            double v = (am_rng_unit(&r) - 0.5) * pow(10, am_rng_unit(&r) * 40 - 20);
            if (am_rng_unit(&r) > 0.02)
                am_buf_printf(&b, forms[(unsigned)(am_rng_unit(&r) * 6)], v);
            am_buf_printf(&b, k < 3 ? "," : "\n");
        }
    assert_int_equal(expect_equal("random.csv", text_of(&b), 0), 80000);
    am_buf_clear(&b);
}

/* From the odd line on the rows and errors are the engine's. */
static void odd_lines(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "\"1\",2", " 1,2",     "1 ,2",  "+1,2",  "1.,2", ".5,2",   "inf,2", "nan,2",
        "1e400,2", "x,2",      "1",     "1,2,3", "",     "0x10,2", "1_0,2", "1e,2",
        "--1,2",   "1e-400,2", "1,\"2", "NA,2",  "1;2",  "1,2\r",  "TRUE,1"};
    size_t read = 0;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        for (unsigned last = 0; last < 2; last++) {
            struct am_buf b;
            am_buf_init(&b, (size_t)1 << 22);
            am_buf_cstr(&b, "a,b\n");
            for (unsigned k = 0; k < 9000; k++)
                am_buf_printf(&b, "%u,%u.5\n", k, k);
            am_buf_printf(&b, "%s\n", lines[i]);
            if (!last)
                am_buf_printf(&b, "3,4\n5,6\n");
            read += expect_equal("odd.csv", text_of(&b), 0) != SIZE_MAX;
            am_buf_clear(&b);
        }
    print_message("%zu files\n", read);
    assert_true(read > 30);
}

static void closed_early(void **state)
{
    (void)state;
    struct pair p;
    struct am_buf b;
    am_buf_init(&b, (size_t)1 << 22);
    am_buf_cstr(&b, "a,b\n");
    for (unsigned k = 0; k < 60000; k++)
        am_buf_printf(&b, "%u,%u\n", k, k + 1);
    assert_true(open_pair(&p, make_text("early.csv", text_of(&b)), 0));
    for (unsigned take = 0; take < 3; take++) {
        struct am_table_iter *it;
        const struct am_batch *got;
        const size_t second = 1;
        assert_int_equal(p.ours.ops->open(p.ours.impl, &second, 1, &it, &err), AM_OK);
        for (unsigned i = 0; i < take; i++) {
            assert_int_equal(p.ours.ops->next(it, &got, &err), AM_OK);
            assert_true(got->columns[0].number[0] == (double)(got->first_row + 1));
        }
        p.ours.ops->close(it);
    }
    close_pair(&p);
    am_buf_clear(&b);
}

/* What is not plain numbers in one file is the engine's from the start. */
static void not_taken(void **state)
{
    (void)state;
    struct pair p;
    const struct am_str null = AM_STR("NA");
    assert_true(open_pair(&p, make_text("plain.csv", "a,b\n1,2\n"), 0));
    struct am_tables_source source = *p.read.source;
    struct am_tables_read r = p.read;
    r.source = &source;
    assert_true(csv_numbers_fit(&r));
    p.columns[1].stored = AM_STORED_TEXT;
    assert_false(csv_numbers_fit(&r));
    p.columns[1].stored = AM_STORED_DOUBLE;
    p.columns[1].expr = AM_STR("a + b");
    assert_false(csv_numbers_fit(&r));
    p.columns[1].expr = (struct am_str){NULL, 0};
    source.csv.nulls = &null;
    source.csv.n_nulls = 1;
    assert_false(csv_numbers_fit(&r));
    source.csv.nulls = NULL;
    source.format = AM_TABLES_PARQUET;
    assert_false(csv_numbers_fit(&r));
    close_pair(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(spellings, setup, teardown),
        cmocka_unit_test_setup_teardown(random_numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(odd_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(closed_early, setup, teardown),
        cmocka_unit_test_setup_teardown(not_taken, setup, teardown),
    };
    return cmocka_run_group_tests(tests, support_setup, support_teardown);
}
