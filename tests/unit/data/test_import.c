/* Import: what bad input gets (one error, file and line, a remedy, nothing left), encodings,
 * inference, hash. */
#include "support.h"

#include <errno.h>
#include <zlib.h>

#include "../../support/faults.h"

static struct am_arena *arena;
static struct am_dataset_info info;
static struct am_err err;
static char dir[128];

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

static enum am_rc import_text(const char *name, const char *text)
{
    struct am_import_options o = {0};
    return import_spec(make_text(name, text), &o, arena, &info, dir, &err);
}

/* The rows of an import are those of the dataset that it wrote: columns, order, values. */
static void expect_same_rows(struct am_table *kept, const char *from)
{
    struct am_dataset_schema schema;
    struct am_table stored;
    struct am_table_iter *x, *y;
    const struct am_batch *p, *q;
    uint64_t rows = 0;
    assert_int_equal(am_dataset_open_dir(&tables, arena, from, &schema, &stored, &err), AM_OK);
    assert_int_equal(kept->ops->n_rows(kept->impl), schema.n_rows);
    assert_int_equal(kept->ops->open(kept->impl, NULL, 0, &x, &err), AM_OK);
    assert_int_equal(stored.ops->open(stored.impl, NULL, 0, &y, &err), AM_OK);
    size_t i = 0, j = 0;
    p = q = NULL;
    for (;; i++, j++, rows++) {
        if (!p || i == p->n_rows) {
            assert_int_equal(kept->ops->next(x, &p, &err), AM_OK);
            i = 0;
        }
        if (!q || j == q->n_rows) {
            assert_int_equal(stored.ops->next(y, &q, &err), AM_OK);
            j = 0;
        }
        if (!p || !q)
            break;
        assert_int_equal(p->n_columns, q->n_columns);
        for (size_t c = 0; c < p->n_columns; c++) {
            const struct am_column *a = &p->columns[c], *b = &q->columns[c];
            assert_int_equal(a->type, b->type);
            if (a->type == AM_COL_CATEGORY || a->type == AM_COL_TEXT) {
                assert_int_equal(a->text[i].ptr == NULL, b->text[j].ptr == NULL);
                assert_true(!a->text[i].ptr || am_str_eq(a->text[i], b->text[j]));
            } else {
                const void *v = a->type == AM_COL_DATE ? (const void *)&a->date[i] : &a->number[i];
                const void *w = b->type == AM_COL_DATE ? (const void *)&b->date[j] : &b->number[j];
                assert_true(memcmp(v, w, 8) == 0 || (isnan(a->number[i]) && isnan(b->number[j])));
            }
        }
    }
    assert_true(!p && !q && rows == schema.n_rows);
    kept->ops->close(x);
    stored.ops->close(y);
    kept->ops->free(kept->impl);
    stored.ops->free(stored.impl);
}

/* 100,000 rows: several slabs of the cache; every type, with missing cells. */
static void test_kept_rows(void **state)
{
    (void)state;
    struct am_buf text;
    am_buf_init(&text, (size_t)1 << 26);
    am_buf_cstr(&text, "n,b,d,t,k\n");
    for (int i = 0; i < 100000; i++) {
        if (i % 7)
            am_buf_printf(&text, "%d.25", i);
        am_buf_char(&text, ',');
        am_buf_cstr(&text, i % 11 ? (i % 2 ? "true," : "false,") : ",");
        if (i % 13)
            am_buf_printf(&text, "2024-01-%02d", i % 28 + 1);
        am_buf_char(&text, ',');
        if (i % 5)
            am_buf_printf(&text, "a text of row %d", i);
        am_buf_printf(&text, ",k%d\n", i % 3);
    }
    struct am_import_options o = {.cache_bytes = (uint64_t)1 << 30};
    const char *file = make_file("kept.csv", text.ptr, text.len);
    assert_int_equal(import_spec(file, &o, arena, &info, dir, &err), AM_OK);
    assert_non_null(info.rows.ops);
    expect_same_rows(&info.rows, dir);
    o.cache_bytes = 1 << 20; /* too little: the rows stay where they are */
    assert_int_equal(import_spec(file, &o, arena, &info, dir, &err), AM_OK);
    assert_null(info.rows.ops);
    am_buf_clear(&text);
}

static void expect_refused(enum am_rc rc, enum am_rc want, const char *message)
{
    if (rc != want || !strstr(err.message, message))
        print_message("got %s: %s\n", am_rc_name(rc), rc == AM_OK ? "" : err.message);
    assert_int_equal(rc, want);
    assert_non_null(strstr(err.message, message));
    assert_true(err.hint[0] != '\0');
    assert_false(am_fs_exists(dir)); /* nothing half-written */
}

static void test_bad_text(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum am_rc rc;
        const char *message;
    } cases[] = {
        {"", AM_EINVAL, "is empty"},
        {"\xef\xbb\xbf", AM_EINVAL, "is empty"},
        {"\n\n", AM_EINVAL, "is empty"},
        {"a,b\n", AM_EINVAL, "has a line of names and no rows"},
        {"a,b,c\n1,2,3\n4,5\n6,7,8\n", AM_EINVAL, "line 3 has 2 cells where the header has 3"},
        {"a,b,c\n1,2,3\n4,5,6,7\n6,7,8\n", AM_EINVAL, "line 3 has 4 cells where the header has 3"},
        {"a,b,a\n1,2,3\n", AM_EINVAL, "columns 1 and 3 have the same name \"a\""},
        {"Ab,aB\n1,2\n", AM_EINVAL, "columns 1 and 2 have the same name \"aB\""},
        {"a,b\n1,\"x\n2,y\n", AM_EINVAL, "line 2: a quote is opened"},
        {"a\n1\n2\n3\n4\n5\n6\n7\n8\nabc\n9\n10\n", AM_EINVAL,
         "line 10: \"abc\" in column \"a\" is not a number"},
        {"a,b\n1,x\n2,y\n3,z\n-,w\n5,v\n", AM_EINVAL,
         "line 5: \"-\" in column \"a\" is not a number"},
        {"a,b\n1,2\n2,3\n1e999,4\n", AM_EINVAL, "line 4: column \"a\" is infinite"},
        {"a,b\n1,2\ninf,3\n", AM_EINVAL, "line 3: column \"a\" is infinite"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_refused(import_text("bad.csv", cases[i].text), cases[i].rc, cases[i].message);
}

static void test_bad_bytes(void **state)
{
    (void)state;
    struct am_import_options o = {0};
    expect_refused(
        import_spec(make_file("zero.csv", "a,b\n1,\0\n", 8), &o, arena, &info, dir, &err),
        AM_EINVAL, "byte 7 is 0");
    o.source.encoding = AM_ENC_UTF8;
    expect_refused(
        import_spec(make_text("latin.csv", "a,b\n1,x\n2,caf\xe9\n"), &o, arena, &info, dir, &err),
        AM_EINVAL, "line 3 is not valid UTF-8");
    o.source.encoding = AM_ENC_GB18030;
    expect_refused(
        import_spec(make_text("gb.csv", "a,b\n1,x\n2,\xff\xff\xff\n"), &o, arena, &info, dir, &err),
        AM_EINVAL, "is not valid gb18030");
}

static void test_absent(void **state)
{
    (void)state;
    struct am_import_options o = {0};
    expect_refused(import_spec("/nowhere/x.csv", &o, arena, &info, dir, &err), AM_ENOTFOUND,
                   "does not exist");
    expect_refused(import_spec("/nowhere/*.csv", &o, arena, &info, dir, &err), AM_ENOTFOUND,
                   "no file matches");
    expect_refused(import_spec(scratch, &o, arena, &info, dir, &err), AM_EINVAL, "is a folder");
    o.source.base_dir = scratch;
    expect_refused(import_spec("x.csv", &o, arena, &info, dir, &err), AM_ENOTFOUND,
                   "\"x.csv\" does not exist");
}

static void test_too_wide(void **state)
{
    (void)state;
    struct am_buf b;
    am_buf_init(&b, 1 << 22);
    for (int i = 0; i < 65537; i++)
        am_buf_printf(&b, "%sc%d", i ? "," : "", i);
    am_buf_cstr(&b, "\n");
    for (int i = 0; i < 65537; i++)
        am_buf_cstr(&b, i ? ",1" : "1");
    am_buf_cstr(&b, "\n");
    struct am_import_options o = {0};
    const char *path = make_file("wide.csv", b.ptr, b.len);
    expect_refused(import_spec(path, &o, arena, &info, dir, &err), AM_ELIMIT,
                   "has 65537 columns, at most 65536");
    am_buf_clear(&b);
}

static void test_long_cell(void **state)
{
    (void)state;
    struct am_buf b;
    am_buf_init(&b, 1 << 22);
    am_buf_cstr(&b, "a,b\n1,x\n2,");
    for (int i = 0; i < (1 << 20) + 1; i++)
        am_buf_char(&b, 'x');
    am_buf_cstr(&b, "\n3,y\n");
    struct am_import_options o = {0};
    const char *path = make_file("long.csv", b.ptr, b.len);
    expect_refused(import_spec(path, &o, arena, &info, dir, &err), AM_ELIMIT,
                   "line 3: a cell of column \"b\" has 1048577 bytes");
    am_buf_clear(&b);
}

/* A type sniffed from the first rows that a row far behind does not keep. */
static void test_late_rows(void **state)
{
    (void)state;
    struct am_buf b;
    struct am_import_options o = {0};
    am_buf_init(&b, 1 << 24);
    am_buf_cstr(&b, "a,b\n");
    for (int i = 0; i < 60000; i++)
        am_buf_cstr(&b, "7,true\n");
    size_t good = b.len;
    am_buf_cstr(&b, "2.5,maybe\n");
    assert_int_equal(import_spec(make_file("late.csv", b.ptr, b.len), &o, arena, &info, dir, &err),
                     AM_OK);
    assert_int_equal(info.schema.columns[0].type, AM_COL_NUMBER);
    struct am_node *column = am_node_get(info.profile, "columns")->list.items[0];
    assert_true(am_node_f64(column, "min", 0) == 2.5); /* not rounded */
    assert_int_equal(info.schema.columns[1].type, AM_COL_CATEGORY);
    b.len = good;
    am_buf_cstr(&b, "abc,true\n");
    expect_refused(import_spec(make_file("late.csv", b.ptr, b.len), &o, arena, &info, dir, &err),
                   AM_EINVAL, "line 60002: \"abc\" in column \"a\" is not a number");
    b.len = good;
    am_buf_cstr(&b, "1,\xff\xfe\n");
    expect_refused(import_spec(make_file("late.csv", b.ptr, b.len), &o, arena, &info, dir, &err),
                   AM_EINVAL, "line 60002 is not valid UTF-8");
    am_buf_clear(&b);
}

static void test_names_in_the_recipe(void **state)
{
    (void)state;
    struct am_declared_type type = {AM_STR("colour"), AM_COL_CATEGORY};
    struct am_import_options o = {.types = &type, .n_types = 1};
    const char *path = make_text("names.csv", "color,y\nred,1\nblue,2\n");
    expect_refused(import_spec(path, &o, arena, &info, dir, &err), AM_EUSAGE,
                   "data.types names \"colour\"");
    assert_non_null(strstr(err.hint, "\"color\""));
    o = (struct am_import_options){.target = AM_STR("Y")};
    expect_refused(import_spec(path, &o, arena, &info, dir, &err), AM_EUSAGE,
                   "data.target names \"Y\"");
}

static void test_other_formats_refused(void **state)
{
    (void)state;
    expect_refused(import_text("x.jsonl", "{\"a\":1}\n{\"a\":nul\n"), AM_EINVAL,
                   "is not valid JSON");
    expect_refused(import_text("x.jsonl", "{\"a\":{\"b\":1}}\n{\"a\":{\"b\":2}}\n"),
                   AM_EUNSUPPORTED, "column \"a\" holds");
    expect_refused(import_text("x.parquet", "PAR1 not really"), AM_EINVAL, "");
    struct am_import_options o = {0};
    expect_refused(import_spec("SELECT 1; SELECT 2", &o, arena, &info, dir, &err), AM_EUSAGE,
                   "not one SELECT");
    expect_refused(import_spec("select nothing from 'x'", &o, arena, &info, dir, &err), AM_EUSAGE,
                   "");
    expect_refused(import_spec("WITH x AS (SELECT 1) DELETE FROM x", &o, arena, &info, dir, &err),
                   AM_EUSAGE, "");
}

static const char plain[] = "name,x\n\xe5\x8c\x97\xe4\xba\xac,1.5\n\xe4\xb8\x8a\xe6\xb5\xb7,-2\n"
                            "\xe5\x8c\x97\xe4\xba\xac,\n\xe5\xb9\xbf\xe5\xb7\x9e,4\n";

static const char *hash_of(const char *path, enum am_encoding e)
{
    struct am_import_options o = {.source = {.encoding = e}};
    enum am_rc rc = import_spec(path, &o, arena, &info, dir, &err);
    if (rc != AM_OK)
        print_message("%s (%s)\n", err.message, err.hint);
    assert_int_equal(rc, AM_OK);
    return info.hash.ptr;
}

/* The same rows in every encoding give the same dataset. */
static void test_encodings(void **state)
{
    (void)state;
    static const unsigned char gb18030[] = {
        'n',  'a',  'm',  'e',  ',',  'x',  '\n', 0xb1, 0xb1, 0xbe, 0xa9, ',',  '1',
        '.',  '5',  '\n', 0xc9, 0xcf, 0xba, 0xa3, ',',  '-',  '2',  '\n', 0xb1, 0xb1,
        0xbe, 0xa9, ',',  '\n', 0xb9, 0xe3, 0xd6, 0xdd, ',',  '4',  '\n'};
    const char *hash = hash_of(make_text("u8.csv", plain), AM_ENC_AUTO);
    unsigned short wide[64];
    unsigned char le[128], be[128];
    size_t n = 0;
    wide[n++] = 0xfeff;
    for (const unsigned char *p = (const unsigned char *)plain; *p; n++) {
        unsigned c = *p++;
        if (c >= 0xe0) {
            c = (c & 15) << 12 | (p[0] & 63u) << 6 | (p[1] & 63u);
            p += 2;
        }
        wide[n] = (unsigned short)c;
    }
    for (size_t i = 0; i < n; i++) {
        le[2 * i] = be[2 * i + 1] = (unsigned char)(wide[i] & 255);
        le[2 * i + 1] = be[2 * i] = (unsigned char)(wide[i] >> 8);
    }
    assert_string_equal(hash_of(make_file("le.csv", le, 2 * n), AM_ENC_AUTO), hash);
    assert_string_equal(hash_of(make_file("be.csv", be, 2 * n), AM_ENC_AUTO), hash);
    assert_string_equal(hash_of(make_file("nomark.csv", le + 2, 2 * n - 2), AM_ENC_UTF16), hash);
    assert_string_equal(hash_of(make_file("gb.csv", gb18030, sizeof gb18030), AM_ENC_GB18030),
                        hash);
    char marked[sizeof plain + 3];
    memcpy(marked, "\xef\xbb\xbf", 3);
    memcpy(marked + 3, plain, sizeof plain);
    assert_string_equal(hash_of(make_text("mark.csv", marked), AM_ENC_AUTO), hash);
    assert_string_equal(
        hash_of(make_text("quoted.csv",
                          "\"name\";\"x\"\r\n\"\xe5\x8c\x97\xe4\xba\xac\";1.50\r\n"
                          "\xe4\xb8\x8a\xe6\xb5\xb7;-2e0\r\n\xe5\x8c\x97\xe4\xba\xac;NA\r\n"
                          "\xe5\xb9\xbf\xe5\xb7\x9e;4.0\r\n"),
                AM_ENC_AUTO),
        hash);
}

static void test_encoding_detected(void **state)
{
    (void)state;
    struct am_buf b;
    am_buf_init(&b, 1 << 20);
    am_buf_cstr(&b, "city,x\n");
    for (int i = 0; i < 40; i++)
        am_buf_cstr(&b, "\xb1\xb1\xbe\xa9\xca\xd0\xb3\xaf\xd1\xf4\xc7\xf8,1\n");
    hash_of(make_file("gb.csv", b.ptr, b.len), AM_ENC_AUTO);
    assert_true(
        am_str_is(am_node_str(am_node_get(info.report, "source"), "encoding", ""), "gb18030"));
    am_buf_reset(&b);
    am_buf_cstr(&b, "city,x\n");
    for (int i = 0; i < 40; i++)
        am_buf_cstr(&b, "Orl\xe9"
                        "ans pr\xe8s de Paris, d\xe9j\xe0 vu\n");
    hash_of(make_file("latin.csv", b.ptr, b.len), AM_ENC_AUTO);
    assert_true(
        am_str_is(am_node_str(am_node_get(info.report, "source"), "encoding", ""), "latin-1"));
    for (int shift = 0; shift < 3; shift++) { /* what is read first ends inside a character */
        am_buf_reset(&b);
        am_buf_printf(&b, "%.*s,x\n", shift + 1, "aaa");
        while (b.len < (size_t)300 << 10)
            am_buf_cstr(&b, "\xe5\x8c\x97\xe4\xba\xac\xe5\x8c\x97\xe4\xba\xac\xe4\xba\xac,1\n");
        hash_of(make_file("long.csv", b.ptr, b.len), AM_ENC_AUTO);
        assert_true(
            am_str_is(am_node_str(am_node_get(info.report, "source"), "encoding", ""), "utf-8"));
    }
    am_buf_clear(&b);
}

static void test_gzip_glob_and_sql(void **state)
{
    (void)state;
    const char *hash = hash_of(make_text("plain.csv", plain), AM_ENC_AUTO);
    char path[256], half[300], select[600];
    snprintf(path, sizeof path, "%s/packed.csv.gz", scratch);
    gzFile f = gzopen(path, "wb");
    assert_int_equal(gzwrite(f, plain, sizeof plain - 1), sizeof plain - 1);
    gzclose(f);
    assert_string_equal(hash_of(path, AM_ENC_AUTO), hash);
    char folder[128];
    snprintf(folder, sizeof folder, "%s/parts", scratch);
    assert_int_equal(am_fs_mkdirs(folder, NULL), AM_OK);
    snprintf(half, sizeof half, "%s/b.csv", folder);
    FILE *o = fopen(half, "wb");
    fputs("name,x\n\xe5\x8c\x97\xe4\xba\xac,\n\xe5\xb9\xbf\xe5\xb7\x9e,4\n", o);
    fclose(o);
    snprintf(half, sizeof half, "%s/a.csv", folder);
    o = fopen(half, "wb");
    fputs("name,x\n\xe5\x8c\x97\xe4\xba\xac,1.5\n\xe4\xb8\x8a\xe6\xb5\xb7,-2\n", o);
    fclose(o);
    snprintf(half, sizeof half, "%s/*.csv", folder);
    assert_string_equal(hash_of(half, AM_ENC_AUTO), hash);
    snprintf(half, sizeof half, "%s/b.csv", folder);
    o = fopen(half, "wb");
    fputs("name,z\nq,1\n", o);
    fclose(o);
    snprintf(half, sizeof half, "%s/*.csv", folder);
    struct am_import_options opt = {0};
    expect_refused(import_spec(half, &opt, arena, &info, dir, &err), AM_EINVAL,
                   "differ in column 2: \"x\" and \"z\"");
    snprintf(select, sizeof select, "SELECT name, x FROM '%s' ;", path);
    assert_string_equal(hash_of(select, AM_ENC_AUTO), hash);
    opt.source.base_dir = scratch;
    assert_int_equal(import_spec("SELECT * FROM 'packed.csv.gz'", &opt, arena, &info, dir, &err),
                     AM_OK);
    assert_string_equal(info.hash.ptr, hash);
}

static void test_hash_tells_values(void **state)
{
    (void)state;
    char first[65];
    snprintf(first, sizeof first, "%s",
             hash_of(make_text("h.csv", "a,b\n1,x\n2,y\n0,z\n"), AM_ENC_AUTO));
    assert_string_equal(hash_of(make_text("h.csv", "a,b\n1.0,x\n2,y\n-0,z\n"), AM_ENC_AUTO), first);
    static const char *const others[] = {"a,b\n1,x\n2,y\n3,z\n", "a,b\n2,y\n1,x\n0,z\n",
                                         "a,c\n1,x\n2,y\n0,z\n", "a,b\n1,x\n2,\n0,z\n",
                                         "a,b\n1,x\n2,y\n"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_string_not_equal(hash_of(make_text("h.csv", others[i]), AM_ENC_AUTO), first);
}

static void test_inference(void **state)
{
    (void)state;
    struct am_buf b;
    am_buf_init(&b, 1 << 16);
    am_buf_cstr(&b, "number,ints,grade,bool01,yesno,cat,text,date,const,id,zip\n");
    for (int i = 0; i < 40; i++)
        am_buf_printf(&b,
                      "%d.5,%d,%d,%d,%s,%s,the %d quick brown fox jumps,2024-01-%02d,k,u%d,%05d\n",
                      i, i * 3, i % 3, i % 2, i % 2 ? "yes" : "No", i % 4 ? "red" : "blue", i,
                      i % 28 + 1, i, i % 3);
    struct am_declared_type zip = {AM_STR("zip"), AM_COL_CATEGORY};
    struct am_import_options o = {.types = &zip, .n_types = 1};
    assert_int_equal(import_spec(make_file("t.csv", b.ptr, b.len), &o, arena, &info, dir, &err),
                     AM_OK);
    static const enum am_col_type want[] = {AM_COL_NUMBER,   AM_COL_NUMBER,  AM_COL_CATEGORY,
                                            AM_COL_BOOLEAN,  AM_COL_BOOLEAN, AM_COL_CATEGORY,
                                            AM_COL_TEXT,     AM_COL_DATE,    AM_COL_CATEGORY,
                                            AM_COL_CATEGORY, AM_COL_CATEGORY};
    for (size_t i = 0; i < info.schema.n; i++) {
        if (info.schema.columns[i].type != want[i])
            print_message("%s: %s\n", info.schema.columns[i].name.ptr,
                          info.schema.columns[i].why.ptr);
        assert_int_equal(info.schema.columns[i].type, want[i]);
        assert_true(info.schema.columns[i].why.len > 0);
    }
    struct am_dataset_schema schema;
    struct am_table t;
    struct am_table_iter *it;
    const struct am_batch *batch;
    assert_int_equal(am_dataset_open_dir(&tables, arena, dir, &schema, &t, &err), AM_OK);
    assert_int_equal(t.ops->open(t.impl, NULL, 0, &it, &err), AM_OK);
    assert_int_equal(t.ops->next(it, &batch, &err), AM_OK);
    assert_int_equal(batch->n_rows, 40);
    assert_true(batch->columns[0].number[7] == 7.5);
    assert_true(
        am_str_is(batch->columns[2].text[5], "2")); /* a number as category: canonical text */
    assert_true(batch->columns[4].number[0] == 0 && batch->columns[4].number[1] == 1);
    assert_true(batch->columns[7].date[1] == 1704153600000000);  /* 2024-01-02 */
    assert_true(am_str_is(batch->columns[10].text[1], "00001")); /* declared: nothing is lost */
    t.ops->close(it);
    t.ops->free(t.impl);
    am_buf_clear(&b);
}

static void test_big_integers_keep_their_digits(void **state)
{
    (void)state;
    assert_int_equal(import_text("ids.csv", "id,x\n9007199254740993,1\n9007199254740995,2\n12,3\n"),
                     AM_OK);
    assert_int_equal(info.schema.columns[0].stored, AM_STORED_TEXT);
}

/* NA and the like are missing, early or late, in a file of numbers alone too; the hash is the empty
 * cell's. */
static void test_texts_for_missing(void **state)
{
    (void)state;
    struct am_import_options o = {0};
    struct am_buf b;
    am_buf_init(&b, 1 << 22);
    am_buf_cstr(&b, "a,b\n");
    for (int i = 0; i < 40000; i++)
        am_buf_printf(&b, "%d,1\n", i);
    size_t same = b.len;
    am_buf_cstr(&b, ",2\nnan,3\n");
    char hash[65];
    snprintf(hash, sizeof hash, "%s", hash_of(make_file("na.csv", b.ptr, b.len), AM_ENC_AUTO));
    struct am_node *a = am_node_get(info.profile, "columns")->list.items[0];
    assert_int_equal(am_node_i64(a, "missing", 0), 2);
    b.len = same;
    am_buf_cstr(&b, "NA,2\n?,3\n");
    assert_string_equal(hash_of(make_file("na.csv", b.ptr, b.len), AM_ENC_AUTO), hash);
    b.len = same;
    am_buf_cstr(&b, "NA,2\nunknown,3\n");
    expect_refused(import_spec(make_file("na.csv", b.ptr, b.len), &o, arena, &info, dir, &err),
                   AM_EINVAL, "line 40003: \"unknown\"");
    struct am_str nulls[] = {AM_STR("unknown")};
    o.source.csv.nulls = nulls;
    o.source.csv.n_nulls = 1;
    expect_refused(import_spec(make_file("na.csv", b.ptr, b.len), &o, arena, &info, dir, &err),
                   AM_EINVAL, "line 40002: \"NA\"");
    am_buf_clear(&b);
}

static void test_lenient(void **state)
{
    (void)state;
    struct am_str lenient = AM_STR("a");
    struct am_import_options o = {.lenient = &lenient, .n_lenient = 1};
    struct am_dataset_schema schema;
    struct am_table t;
    struct am_table_iter *it;
    const struct am_batch *b;
    const char *path = make_text("l.csv", "a,b\n1,2\nabc,3\n,4\ninf,5\n7,6\n8,7\n9,8\n");
    assert_int_equal(import_spec(path, &o, arena, &info, dir, &err), AM_OK);
    assert_int_equal(am_dataset_open_dir(&tables, arena, dir, &schema, &t, &err), AM_OK);
    assert_int_equal(schema.columns[0].type, AM_COL_NUMBER);
    assert_int_equal(t.ops->open(t.impl, NULL, 0, &it, &err), AM_OK);
    assert_int_equal(t.ops->next(it, &b, &err), AM_OK);
    const double *a = b->columns[0].number;
    assert_true(a[0] == 1 && isinf(a[1]) && isnan(a[2]) && isinf(a[3]) && a[6] == 9);
    t.ops->close(it);
    t.ops->free(t.impl);
}

static void test_check_finds_changes(void **state)
{
    (void)state;
    struct am_dataset_schema schema;
    struct am_table t;
    char part[200];
    assert_int_equal(import_text("c.csv", "a,b,c\n1,x,true\n2,y,false\n3,,true\n"), AM_OK);
    assert_int_equal(am_dataset_open_dir(&tables, arena, dir, &schema, &t, &err), AM_OK);
    t.ops->free(t.impl);
    snprintf(part, sizeof part, "%s/part-0000.parquet", dir);
    struct am_str path = am_str(part);
    struct am_dataset_files files = {&path, 1, &schema};
    assert_int_equal(am_dataset_check(&tables, &files, &err), AM_OK);
    char first[128];
    snprintf(first, sizeof first, "%s", dir);
    assert_int_equal(import_text("c.csv", "a,b,c\n1,x,true\n2,y,false\n4,,true\n"), AM_OK);
    snprintf(part, sizeof part, "%s/part-0000.parquet", dir);
    path = am_str(part);
    assert_int_equal(am_dataset_check(&tables, &files, &err), AM_ECORRUPT);
    assert_string_not_equal(first, dir);
}

static void test_source_read(void **state)
{
    (void)state;
    struct am_str spec =
        am_str(make_text("p.csv", "id,x,junk,c\n07,1.5,q,red\n08,,q,\n09,3,q,blue\n"));
    struct am_str pass[] = {AM_STR("id"), AM_STR("absent")};
    struct am_source_options o = {.specs = &spec, .n_specs = 1, .temp_dir = scratch};
    struct am_column_desc desc[] = {{AM_STR("c"), AM_COL_CATEGORY}, {AM_STR("x"), AM_COL_NUMBER}};
    struct am_schema want = {desc, 2};
    struct am_source *s;
    struct am_table t;
    struct am_table_iter *it;
    const struct am_batch *b;
    assert_int_equal(am_source_open(&tables, &o, &s, &err), AM_OK);
    assert_int_equal(am_source_read(&tables, s, &want, pass, 2, &t, &err), AM_OK);
    assert_int_equal(t.ops->schema(t.impl)->n, 3);
    assert_int_equal(t.ops->open(t.impl, NULL, 0, &it, &err), AM_OK);
    assert_int_equal(t.ops->next(it, &b, &err), AM_OK);
    assert_true(am_str_is(b->columns[0].text[2], "blue") && !b->columns[0].text[1].ptr);
    assert_true(b->columns[1].number[0] == 1.5 && isnan(b->columns[1].number[1]));
    assert_true(am_str_is(b->columns[2].text[0], "07"));
    t.ops->close(it);
    t.ops->free(t.impl);
    desc[1].name = AM_STR("xx");
    assert_int_equal(am_source_read(&tables, s, &want, NULL, 0, &t, &err), AM_EINVAL);
    assert_non_null(strstr(err.message, "no column \"xx\""));
    assert_non_null(strstr(err.hint, "\"x\""));
    am_source_close(s);
}

static enum am_rc import_once(const char *path)
{
    struct am_import_options o = {0};
    struct am_dataset_info i;
    am_arena_reset(arena);
    return import_spec(path, &o, arena, &i, dir, &err);
}

static void test_faults(void **state)
{
    (void)state;
    char path[256];
    snprintf(path, sizeof path, "%s", make_text("f.csv", "a,b\n1,caf\xe9\n2,y\n"));
    AM_OOM_LOOP(import_once(path), (void)0);
    AM_IO_LOOP(import_once(path), (void)0, assert_false(am_fs_exists(dir)));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_kept_rows),
        T(test_bad_text),
        T(test_bad_bytes),
        T(test_absent),
        T(test_too_wide),
        T(test_long_cell),
        T(test_late_rows),
        T(test_names_in_the_recipe),
        T(test_other_formats_refused),
        T(test_encodings),
        T(test_encoding_detected),
        T(test_gzip_glob_and_sql),
        T(test_hash_tells_values),
        T(test_inference),
        T(test_big_integers_keep_their_digits),
        T(test_texts_for_missing),
        T(test_lenient),
        T(test_check_finds_changes),
        T(test_source_read),
        T(test_faults),
    };
    return cmocka_run_group_tests(tests, support_setup, support_teardown);
}
