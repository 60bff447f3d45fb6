/* Texts as terms: counts, TF-IDF and hashing against scikit-learn, cleaning, regular expressions
 * and their bound, stems, word vectors (trained and read), the tagger, files that lie, faults. */
#include "cells.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/pool.h"
#include "feature/clean.h"
#include "feature/features_int.h"
#include "feature/regex.h"
#include "feature/tagger_fit.h"
#include "feature/terms.h"
#include "feature/vectors.h"
#include "tests/support/faults.h"

static const struct am_column_desc column = {AM_STR_INIT("t"), AM_COL_TEXT};

/* "features: {t: spec}" */
static const char *with_spec(struct am_str spec)
{
    static char text[4096];
    (void)snprintf(text, sizeof text, "{t: %.*s}", AM_FMT(spec));
    return text;
}

static struct am_features *fit_texts(const char *spec, const struct am_str *cells, size_t n,
                                     struct am_arena *a)
{
    struct am_features *f;
    OK(fit_cells(&column, with_spec(am_str(spec)), cells, n, 3, NULL, a, &f, NULL));
    return f;
}

static void apply_all(const struct am_features *f, const struct am_str *cells, size_t n,
                      struct am_csr_buf *out)
{
    struct am_column c;
    const struct am_batch b = batch_of(AM_COL_TEXT, &c, cells, n, 0);
    am_csr_reset(out, am_features_width(f));
    OK(am_features_apply_sparse(f, &b, out, &err));
    const struct am_csr x = am_csr_of(out);
    OK(am_csr_check(&x, out->n, &err));
}

/* ---- goldens ---- */

static void check_row(const struct am_node *want, const struct am_csr *x, size_t i)
{
    const struct am_node *cols = want->list.items[0], *vals = want->list.items[1];
    assert_int_equal(x->start[i + 1] - x->start[i], cols->list.n);
    for (size_t e = 0; e < cols->list.n; e++) {
        int64_t col;
        double val;
        assert_true(am_node_as_i64(cols->list.items[e], &col));
        assert_true(am_node_as_f64(vals->list.items[e], &val));
        assert_int_equal(x->cols[x->start[i] + e], col);
        assert_true(fabs((double)x->vals[x->start[i] + e] - val) <= 2e-7 * (1 + fabs(val)));
    }
}

static void check_case(const struct am_node *k, const struct am_str *texts, size_t n,
                       struct am_arena *a)
{
    const struct am_node *terms = am_node_get(k, "terms"), *rows = am_node_get(k, "rows");
    struct am_features *f, *again;
    struct am_csr_buf x = {0}, y = {0};
    struct am_str spec = am_node_str(k, "spec", "");
    char one[64];
    (void)snprintf(one, sizeof one, "case %.*s", AM_FMT(am_node_str(k, "name", "")));
    OK(fit_cells(&column, with_spec(spec), texts, n, 3, NULL, a, &f, NULL));
    if ((int64_t)am_features_width(f) != am_node_i64(k, "width", 0))
        fail_msg("%s: %zu terms", one, am_features_width(f));
    for (size_t j = 0; terms && j < terms->list.n; j++) {
        struct am_str want, got = am_features_output_name(f, j);
        assert_true(am_node_as_str(terms->list.items[j], &want));
        if (got.len != want.len + 2 || memcmp(got.ptr + 2, want.ptr, want.len) != 0)
            fail_msg("%s: term %zu is \"%.*s\", not \"%.*s\"", one, j, AM_FMT(got), AM_FMT(want));
    }
    apply_all(f, texts, n, &x);
    const struct am_csr view = am_csr_of(&x);
    for (size_t i = 0; i < n; i++)
        check_row(rows->list.items[i], &view, i);
    /* the file form gives the same bits */
    OK(am_features_from_node(am_features_to_node(f, a), &again, &err));
    apply_all(again, texts, n, &y);
    assert_int_equal(x.n, y.n);
    assert_memory_equal(x.cols, y.cols, x.n * sizeof *x.cols);
    assert_memory_equal(x.vals, y.vals, x.n * sizeof *x.vals);
    am_csr_clear(&x);
    am_csr_clear(&y);
    am_features_free(f);
    am_features_free(again);
}

static void test_goldens(void **state)
{
    struct am_arena *a = am_arena_new(0);
    struct am_buf b;
    struct am_node *g;
    struct am_str texts[32];
    (void)state;
    am_buf_init(&b, 1 << 22);
    OK(am_fs_read_file(TEXT_GOLDENS, &b, &err));
    OK(am_json_parse(a, am_buf_view(&b), "goldens", &g, &err));
    const struct am_node *list = am_node_get(g, "texts"), *cases = am_node_get(g, "cases");
    for (size_t i = 0; i < list->list.n; i++)
        assert_true(am_node_as_str(list->list.items[i], &texts[i]));
    assert_int_equal(cases->list.n, 13);
    for (size_t i = 0; i < cases->list.n; i++)
        check_case(cases->list.items[i], texts, list->list.n, a);
    am_buf_clear(&b);
    am_arena_free(a);
}

/* ---- rows ---- */

static void test_dense_and_sparse(void **state)
{
    static const struct am_str cells[] = {AM_STR_INIT("a cat sat"),
                                          AM_STR_INIT("the dog ran"),
                                          {NULL, 0},
                                          AM_STR_INIT("cat and dog and cat")};
    struct am_arena *a = am_arena_new(0);
    struct am_features *f = fit_texts("{encode: tfidf, indicator: true}", cells, 4, a);
    const size_t width = am_features_width(f);
    struct am_csr_buf x = {0}, one = {0};
    struct am_column c;
    float dense[4 * 16], back[4 * 16];
    (void)state;
    assert_true(am_features_sparse(f));
    assert_int_equal(width, 6 + 1); /* and cat dog ran sat the + missing */
    apply_all(f, cells, 4, &x);
    const struct am_csr view = am_csr_of(&x);
    am_csr_to_dense(&view, back);
    const struct am_batch b = batch_of(AM_COL_TEXT, &c, cells, 4, 0);
    OK(am_features_apply(f, &b, dense, &err));
    assert_memory_equal(dense, back, 4 * width * sizeof *dense);
    assert_float_equal(dense[2 * width + width - 1], 1, 0); /* the missing one */
    for (size_t i = 0; i < 4; i++) {                        /* a row alone has the same bits */
        apply_all(f, cells + i, 1, &one);
        assert_int_equal(one.n, view.start[i + 1] - view.start[i]);
        assert_memory_equal(one.vals, x.vals + view.start[i], one.n * sizeof *one.vals);
    }
    am_csr_clear(&x);
    am_csr_clear(&one);
    am_features_free(f);
    am_arena_free(a);
}

/* ---- cleaning ---- */

static void expect_clean(const char *spec, const char *text, const char *want)
{
    struct am_arena *a = am_arena_new(0);
    const struct am_str cells[] = {am_str(text), am_str("zz")};
    struct am_features *f = fit_texts(spec, cells, 2, a);
    char got[512] = "";
    for (size_t j = 0; j < am_features_width(f); j++) {
        const struct am_str name = am_features_output_name(f, j);
        if (name.len == 4 && memcmp(name.ptr + 2, "zz", 2) == 0)
            continue;
        (void)snprintf(got + strlen(got), sizeof got - strlen(got), "%.*s|", (int)name.len - 2,
                       name.ptr + 2);
    }
    assert_string_equal(got, want);
    am_features_free(f);
    am_arena_free(a);
}

static void test_cleaning(void **state)
{
    (void)state;
    expect_clean("{encode: count, html: true}",
                 "<p class=\"a>b\">fish &amp; chips</p><script>var x = '<b>';</script>"
                 "<!-- no -->caf&eacute; 3 < 4 &#8364;uro&#x21;",
                 "caf\xC3\xA9|chips|fish|uro|");
    expect_clean("{encode: count, fold: width}",
                 "\xEF\xBC\xA1\xEF\xBC\xA2\xEF\xBC\x91 \xE3\x80\x80x1", "ab1|x1|");
    expect_clean("{encode: count, fold: nfkc}",
                 "\xEF\xBC\xA1\xEF\xBC\xA2 \xEF\xAC\x81sh \xE2\x91\xA0\xE2\x91\xA1", "12|ab|fish|");
    expect_clean("{encode: count, rules: [\"[0-9]+ => NUM\", \"https?://\\\\S+ => URL\"]}",
                 "see http://a.b/c?d=1 and 25 of 1999", "and|num|of|see|url|");
    expect_clean("{encode: count, stem: english}", "running runs dogs happiness", "dog|happi|run|");
    expect_clean("{encode: count, stop_words: [see, of], lower: false}", "See see of Of dogs",
                 "Of|See|dogs|");
    expect_clean("{encode: count, split: tokens}", "don't, 3.5 well-known x",
                 "3.5|don't|known|well|x|");
    /* poems cut into words by dictionary; single marks are no terms */
    expect_clean("{encode: count, split: segments, min_length: 2}",
                 "\xE5\xBA\x8A\xE5\x89\x8D\xE6\x98\x8E\xE6\x9C\x88\xE5\x85\x89\xEF\xBC\x8C"
                 "\xE4\xBD\xA0\xE5\xA5\xBD",
                 "\xE4\xBD\xA0\xE5\xA5\xBD|\xE6\x9C\x88\xE5\x85\x89|");
}

/* ---- regular expressions ---- */

static void expect_match(const char *pattern, const char *text, int begin, int end)
{
    struct am_arena *a = am_arena_new(0);
    const struct am_regex *re;
    struct am_regex_scratch s = {0};
    size_t from = 0, to = 0;
    uint64_t budget = 1000000;
    enum am_rc rc = AM_OK;
    OK(am_regex_new(am_str(pattern), a, &re, &err));
    const bool found = am_regex_find(re, &s, am_str(text), 0, &budget, &from, &to, &rc);
    if (found != (begin >= 0) || (found && (from != (size_t)begin || to != (size_t)end)))
        fail_msg("/%s/ in \"%s\": %d %zu..%zu", pattern, text, found, from, to);
    am_regex_scratch_clear(&s);
    am_arena_free(a);
}

static void test_regex(void **state)
{
    static const char *const bad[] = {"",
                                      "(",
                                      ")",
                                      "a)",
                                      "[a",
                                      "*a",
                                      "a**",
                                      "a{",
                                      "a{x}",
                                      "a{2,1}",
                                      "\\",
                                      "(?=a)",
                                      "\\1",
                                      "[b-a]",
                                      "(?P<n>a)",
                                      "a{0}",
                                      "((((((((((((((((((((((((((((((((((a"};
    struct am_arena *a = am_arena_new(0);
    const struct am_regex *re;
    (void)state;
    expect_match("abc", "xxabcx", 2, 5);
    expect_match("a+b", "caaab", 1, 5);
    expect_match("a+?", "caaab", 1, 2);
    expect_match("a|ab", "ab", 0, 1); /* what stands first */
    expect_match("ab|a", "ab", 0, 2);
    expect_match("^a", "ba", -1, 0);
    expect_match("a$", "aba", 2, 3);
    expect_match("\\bcat\\b", "concat cat", 7, 10);
    expect_match("\\Bcat", "concat cat", 3, 6);
    expect_match("[^a-c]+", "abcxyz", 3, 6);
    expect_match("x{2,3}", "axxxx", 1, 4);
    expect_match("x{2}", "axxxx", 1, 3);
    expect_match("(?:ab){2,}c", "ababababc", 0, 9);
    expect_match("(?i)HeLLo", "say hEllO", 4, 9);
    expect_match(".", "\xE6\x9C\x88", 0, 3); /* a code point */
    expect_match("\\d+(\\.\\d+)?", "v 3.14", 2, 6);
    expect_match("(a*)*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", -1, 0);
    expect_match("\\w+@\\w+\\.com", "to me@x.com", 3, 11);
    expect_match("(x*)*", "b", 0, 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (am_regex_new(am_str(bad[i]), a, &re, &err) == AM_OK)
            fail_msg("/%s/ is accepted", bad[i]);
    assert_int_equal(am_regex_new(am_str("(((a{200}){200}){200})"), a, &re, &err), AM_ELIMIT);
    am_arena_free(a);
}

/* What takes a backtracking engine years takes this one its budget at most. */
static void test_regex_bound(void **state)
{
    enum { N = 20000 };
    static char text[N + 1];
    struct am_arena *a = am_arena_new(0);
    const struct am_regex *re;
    struct am_regex_scratch s = {0};
    struct am_buf out;
    uint64_t budget = 2000000;
    (void)state;
    memset(text, 'a', N);
    am_buf_init(&out, 1 << 20);
    OK(am_regex_new(am_str("(a|aa)+$|(a*a*a*)*b|a"), a, &re, &err));
    OK(am_clean_rule(re, am_str("-"), &s, (struct am_str){text, N}, &budget, &out, &err));
    assert_true(out.len > 0 && out.len <= N);
    /* every search would go to the end: the budget ends it, and the rest stays */
    am_buf_reset(&out);
    text[N - 1] = 'c';
    budget = 2000000;
    OK(am_regex_new(am_str("a.*b|a"), a, &re, &err));
    OK(am_clean_rule(re, am_str("-"), &s, (struct am_str){text, N}, &budget, &out, &err));
    assert_int_equal(budget, 0);
    assert_int_equal(out.len, N);
    am_buf_clear(&out);
    am_regex_scratch_clear(&s);
    am_arena_free(a);
}

/* ---- vectors ---- */

/* Words of two topics that never meet in a text. */
static size_t topic_texts(struct am_str *cells, char (*room)[128], size_t n)
{
    static const char *const words[2][6] = {
        {"apple", "banana", "cherry", "grape", "melon", "plum"},
        {"piston", "engine", "wheel", "brake", "clutch", "axle"}};
    uint32_t r = 1;
    for (size_t i = 0; i < n; i++) {
        room[i][0] = 0;
        for (size_t k = 0; k < 8; k++) {
            r = r * 1664525u + 1013904223u;
            (void)snprintf(room[i] + strlen(room[i]), 128 - strlen(room[i]), "%s ",
                           words[i % 2][(r >> 16) % 6]);
        }
        cells[i] = am_str(room[i]);
    }
    return n;
}

static double cosine(const float *a, const float *b, size_t n)
{
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return ab / sqrt(aa * bb + 1e-30);
}

static void test_vectors(void **state)
{
    enum { N = 400, D = 16 };
    static char room[N][128];
    static struct am_str cells[N];
    static const struct am_str probes[] = {AM_STR_INIT("apple"),  AM_STR_INIT("melon"),
                                           AM_STR_INIT("engine"), AM_STR_INIT("apples"),
                                           AM_STR_INIT("qqqq"),   {NULL, 0}};
    static const char spec[] =
        "{encode: vectors, dimensions: 16, epochs: 10, min_count: 2, sample: "
        "0, ngram_buckets: 500}";
    struct am_arena *a = am_arena_new(0);
    struct am_features *f, *again, *pooled;
    struct am_pool *pool;
    struct am_column c;
    float x[6 * D], y[6 * D];
    (void)state;
    topic_texts(cells, room, N);
    f = fit_texts(spec, cells, N, a);
    assert_false(am_features_sparse(f));
    assert_int_equal(am_features_width(f), D);
    const struct am_batch b = batch_of(AM_COL_TEXT, &c, probes, 6, 0);
    OK(am_features_apply(f, &b, x, &err));
    assert_true(cosine(x, x + D, D) > 0.8);     /* apple, melon */
    assert_true(cosine(x, x + 2 * D, D) < 0.5); /* apple, engine */
    assert_true(cosine(x, x + 3 * D, D) > 0.5); /* an unseen word, by its parts */
    for (size_t i = 0; i < D; i++)
        assert_true(x[5 * D + i] == 0); /* missing */
    OK(am_features_from_node(am_features_to_node(f, a), &again, &err));
    OK(am_features_apply(again, &b, y, &err));
    assert_memory_equal(x, y, sizeof x);
    OK(am_pool_new(3, &pool, &err));
    OK(fit_cells(&column, with_spec(am_str(spec)), cells, N, 7, pool, a, &pooled, NULL));
    OK(am_features_apply(pooled, &b, y, &err));
    assert_memory_equal(x, y, sizeof x); /* whatever the threads and the cut */
    am_pool_free(pool);
    am_features_free(pooled);
    am_features_free(again);
    am_features_free(f);
    am_arena_free(a);
}

static enum am_rc read_all(struct am_str bytes, size_t *n, float *last)
{
    struct am_vector_file f;
    bool more = true;
    float v[8];
    enum am_rc rc = am_vector_file_open(&f, bytes, &err);
    *n = 0;
    while (rc == AM_OK && more) {
        struct am_str word;
        assert_true(f.dimensions <= 8);
        rc = am_vector_file_next(&f, &word, v, &more, &err);
        if (rc == AM_OK && more) {
            *n += 1;
            *last = v[f.dimensions - 1];
        }
    }
    am_vector_file_close(&f);
    return rc;
}

static void put_i32(char *p, uint32_t v)
{
    for (size_t i = 0; i < 4; i++)
        p[i] = (char)(v >> 8 * i & 0xFF);
}

/* Two words of three numbers and four n-gram rows as fastText stores them; returns the length. */
static size_t fasttext_file(char *p)
{
    static const float rows[6][3] = {{1, 2, 3},    {4, 5, 6},    {0.5f, 0.5f, 0.5f},
                                     {1.5f, 0, 0}, {0, 1.5f, 0}, {0, 0, 1.5f}};
    size_t at = 64 + 28;
    memset(p, 0, 64 + 28);
    put_i32(p, 793712314);
    put_i32(p + 4, 12);
    put_i32(p + 8, 3);                 /* dim */
    put_i32(p + 8 + 32, 4);            /* bucket */
    put_i32(p + 8 + 36, 3);            /* minn */
    put_i32(p + 8 + 40, 3);            /* maxn */
    put_i32(p + 64, 2);                /* size */
    put_i32(p + 64 + 4, 2);            /* words */
    put_i32(p + 64 + 20, 0xFFFFFFFFu); /* not pruned: -1 */
    put_i32(p + 64 + 24, 0xFFFFFFFFu);
    for (size_t i = 0; i < 2; i++) {
        memcpy(p + at, i ? "ab" : "cat", i ? 3 : 4);
        at += i ? 3 : 4;
        memset(p + at, 0, 9);
        at += 9;
    }
    p[at++] = 0; /* not quantised */
    memset(p + at, 0, 16);
    p[at] = 6, p[at + 8] = 3;
    at += 16;
    memcpy(p + at, rows, sizeof rows);
    return at + sizeof rows;
}

static void test_vector_files(void **state)
{
    static const char text[] = "2 3\ncat 1 2 3\ndog 4 5 6.5\n";
    static const char *const bad[] = {"",
                                      "2",
                                      "2 3",
                                      "x y\n",
                                      "2 0\n",
                                      "0 3\n",
                                      "2 3\ncat 1 2\n",
                                      "1 3\ncat 1 2 3 4\n",
                                      "1 3\ncat 1 2 nan\n",
                                      "99999999999 3\ncat 1 2 3\n",
                                      "2 3\ncat 1 2 3\n",
                                      "1 3\n 1 2 3\n",
                                      "1 2001\na 1\n"};
    char bytes[512];
    float last = 0;
    size_t n;
    (void)state;
    OK(read_all(am_str(text), &n, &last));
    assert_int_equal(n, 2);
    assert_float_equal(last, 6.5, 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (read_all(am_str(bad[i]), &n, &last) == AM_OK)
            fail_msg("\"%s\" is accepted", bad[i]);
    /* word2vec's binary form */
    const float v[2][3] = {{1, 2, 3}, {4, 5, 7}};
    size_t at = (size_t)snprintf(bytes, sizeof bytes, "2 3\ncat ");
    memcpy(bytes + at, v[0], 12);
    memcpy(bytes + at + 12, "\ndog ", 5);
    memcpy(bytes + at + 17, v[1], 12);
    OK(read_all((struct am_str){bytes, at + 29}, &n, &last));
    assert_int_equal(n, 2);
    assert_float_equal(last, 7, 0);
    for (size_t cut = 0; cut < at + 29; cut++)
        if (read_all((struct am_str){bytes, cut}, &n, &last) == AM_OK)
            fail_msg("a file cut at %zu is accepted", cut);
    /* fastText: "ab" has the n-grams <ab, ab> of three characters */
    const size_t len = fasttext_file(bytes);
    uint32_t grams[AM_VECTORS_MAX_NGRAMS];
    OK(read_all((struct am_str){bytes, len}, &n, &last));
    assert_int_equal(n, 2);
    assert_int_equal(am_vectors_ngrams(am_str("ab"), 3, 3, 4, grams), 2);
    double want = 6;
    for (size_t i = 0; i < 2; i++)
        want += (double[]){0.5, 0, 0, 1.5}[grams[i]];
    assert_float_equal(last, want / 3, 1e-6);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_not_equal(read_all((struct am_str){bytes, cut}, &n, &last), AM_OK);
    for (size_t i = 0; i < len; i++) { /* any byte may be anything: an error or numbers, no crash */
        char other[512];
        memcpy(other, bytes, len);
        other[i] = (char)(other[i] ^ 0x80);
        char *exact = am_alloc(len); /* so that ASan sees one byte too many */
        memcpy(exact, other, len);
        struct am_vector_file f;
        if (am_vector_file_open(&f, (struct am_str){exact, len}, &err) == AM_OK) {
            float *row = am_alloc(f.dimensions * sizeof *row);
            struct am_str word;
            bool more = true;
            while (more && am_vector_file_next(&f, &word, row, &more, &err) == AM_OK)
                continue;
            am_free(row);
        }
        am_vector_file_close(&f);
        am_free(exact);
    }
}

/* ---- parts of speech ---- */

static void add_sentence(struct am_tagger_fit *f, const char *const *pairs, size_t n)
{
    struct am_str tokens[16], tags[16];
    for (size_t i = 0; i < n; i++) {
        tokens[i] = am_str(pairs[2 * i]);
        tags[i] = am_str(pairs[2 * i + 1]);
    }
    OK(am_tagger_fit_add(f, tokens, tags, n, &err));
}

static void make_tagger(struct am_buf *out)
{
    static const char *const s[][10] = {
        {"the", "at", "dog", "nn", "barks", "vbz", "loudly", "rb", ".", "."},
        {"a", "at", "cat", "nn", "sleeps", "vbz", "quietly", "rb", ".", "."},
        {"the", "at", "bird", "nn", "sings", "vbz", "sweetly", "rb", ".", "."},
        {"dogs", "nns", "bark", "vb", "at", "in", "cats", "nns", ".", "."}};
    struct am_tagger_fit *f;
    OK(am_tagger_fit_new(&f, &err));
    for (size_t k = 0; k < 16; k++)
        add_sentence(f, s[k % 4], 5);
    OK(am_tagger_fit_finish(f, 5, 1, out, &err));
    am_tagger_fit_free(f);
}

static enum am_rc give_tagger(void *ctx, struct am_str path, struct am_buf *out, struct am_err *e)
{
    am_buf_str(out, am_buf_view(ctx));
    return am_str_is(path, "x.tagger") ? am_buf_check(out, e) : am_fail(e, AM_ENOTFOUND, "none");
}

static void test_tagger(void **state)
{
    struct am_arena *a = am_arena_new(0);
    const struct am_tagger *t;
    struct am_tagger_scratch *s;
    struct am_str tokens[16], rest = AM_STR("The horse jumps slowly. Birds bark!");
    const char *tags[16];
    struct am_buf b, again;
    size_t n = 0;
    (void)state;
    am_buf_init(&b, AM_TAGGER_MAX_BYTES);
    am_buf_init(&again, AM_TAGGER_MAX_BYTES);
    make_tagger(&b);
    make_tagger(&again); /* the same bytes */
    assert_int_equal(b.len, again.len);
    assert_memory_equal(b.ptr, again.ptr, b.len);
    OK(am_tagger_load(am_buf_view(&b), a, &t, &err));
    while (am_tagger_token(&rest, &tokens[n]))
        n++;
    assert_int_equal(n, 8);
    OK(am_tagger_scratch_new(&s, &err));
    OK(am_tagger_tag(t, s, tokens, n, tags, &err));
    assert_string_equal(tags[0], "at");
    assert_string_equal(tags[1], "nn"); /* words that it never saw */
    assert_string_equal(tags[2], "vbz");
    assert_string_equal(tags[3], "rb");
    assert_string_equal(tags[6], "vb");
    am_tagger_scratch_free(s);
    for (size_t cut = 0; cut < b.len; cut += 7) { /* a file that lies */
        assert_int_not_equal(am_tagger_load((struct am_str){b.ptr, cut}, a, &t, &err), AM_OK);
        char *other = am_alloc(b.len);
        memcpy(other, b.ptr, b.len);
        other[cut] = (char)(other[cut] ^ 0xFF);
        if (am_tagger_load((struct am_str){other, b.len}, a, &t, &err) == AM_OK)
            assert_true(am_tagger_n_tags(t) > 0);
        am_free(other);
    }
    /* as features: words of the tag nn only */
    static const struct am_str cells[] = {AM_STR_INIT("The dog barks."),
                                          AM_STR_INIT("A cat sleeps.")};
    struct am_node *spec;
    OK(am_yaml_parse(
        a, am_str("{t: {encode: count, tags: append, keep_tags: [nn], tagger: x.tagger}}"), "spec",
        &spec, &err));
    const struct am_schema schema = {&column, 1};
    struct am_features_config config = {
        .spec = spec, .schema = &schema, .read_file = give_tagger, .read_ctx = &b};
    struct am_features_fit *fit;
    struct am_features *f, *loaded;
    struct am_column c;
    OK(am_features_fit_new(&config, &fit, &err));
    const struct am_batch batch = batch_of(AM_COL_TEXT, &c, cells, 2, 0);
    OK(am_features_fit_update(fit, &batch, NULL, NULL, &err));
    OK(am_features_fit_finish(fit, &f, &err));
    assert_int_equal(am_features_width(f), 2);
    assert_true(am_str_is(am_features_output_name(f, 0), "t=cat_nn"));
    assert_true(am_str_is(am_features_output_name(f, 1), "t=dog_nn"));
    OK(am_features_from_node(am_features_to_node(f, a), &loaded, &err)); /* the tagger goes along */
    assert_true(am_str_is(am_features_output_name(loaded, 1), "t=dog_nn"));
    am_features_fit_free(fit);
    config.read_file = NULL; /* somebody else's recipe */
    assert_int_equal(am_features_fit_new(&config, &fit, &err), AM_EPERM);
    am_features_free(f);
    am_features_free(loaded);
    am_buf_clear(&b);
    am_buf_clear(&again);
    am_arena_free(a);
}

/* ---- what is refused; faults ---- */

static void test_refused(void **state)
{
    static const char *const bad[] = {
        "{encode: tfidf, ngrams: [0, 1]}",
        "{encode: tfidf, ngrams: [2, 1]}",
        "{encode: tfidf, split: sentences}",
        "{encode: tfidf, norm: l3}",
        "{encode: tfidf, rules: [\"( => x\"]}",
        "{encode: tfidf, stop_words: xx}",
        "{encode: tfidf, min_df: 1.5}",
        "{encode: tfidf, max_df: -1}",
        "{encode: tfidf, stem: klingon}",
        "{encode: tfidf, tags: keep}",
        "{encode: vectors, split: chars}",
        "{encode: vectors, dimensions: 0}",
        "{encode: vectors, ngrams: [1, 2]}",
        "{encode: vectors, vectors: x.vec}",
        "{encode: count, split: chars, stem: english}",
        "{encode: hashing, buckets: 1}",
        "{encode: vectors, min_count: 1000}",
    };
    static const struct am_str cells[] = {AM_STR_INIT("some words"), AM_STR_INIT("more words")};
    struct am_arena *a = am_arena_new(0);
    struct am_features *f;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (fit_cells(&column, with_spec(am_str(bad[i])), cells, 2, 2, NULL, a, &f, NULL) == AM_OK)
            fail_msg("%s is accepted", bad[i]);
    am_arena_free(a);
}

static enum am_rc fit_and_apply(const char *spec)
{
    static const struct am_str cells[] = {AM_STR_INIT("some <b>words</b> and 12 more"),
                                          AM_STR_INIT("more words of many a kind")};
    struct am_arena *a = am_arena_new(0);
    struct am_features *f = NULL, *again = NULL;
    struct am_csr_buf x = {0};
    struct am_column c;
    enum am_rc rc = a ? AM_OK : AM_ENOMEM;
    if (rc == AM_OK)
        rc = fit_cells(&column, with_spec(am_str(spec)), cells, 2, 2, NULL, a, &f, NULL);
    if (rc == AM_OK) {
        struct am_node *n = am_features_to_node(f, a);
        rc = am_arena_check(a, &err);
        if (rc == AM_OK)
            rc = am_features_from_node(n, &again, &err);
    }
    const struct am_batch b = batch_of(AM_COL_TEXT, &c, cells, 2, 0);
    if (rc == AM_OK) {
        am_csr_reset(&x, am_features_width(again));
        rc = am_features_apply_sparse(again, &b, &x, &err);
    }
    am_csr_clear(&x);
    am_features_free(f);
    am_features_free(again);
    am_arena_free(a);
    return rc;
}

static void test_faults(void **state)
{
    (void)state;
    AM_OOM_LOOP(fit_and_apply("{encode: tfidf, html: true, rules: [\"[0-9]+ => n\"], stop_words: "
                              "[of], ngrams: [1, 2]}"),
                (void)0);
    AM_OOM_LOOP(fit_and_apply("{encode: vectors, dimensions: 8, min_count: 1, ngram_buckets: 10}"),
                (void)0);
}

/* More different terms than the table of limits allows: an error with a remedy, not a machine
 * without memory. */
static void test_explosion(void **state)
{
    enum { N = 1 << 17 };
    static char text[N * 5 + 16];
    struct am_arena *a = am_arena_new(0);
    struct am_features *f = NULL;
    size_t at = 0;
    uint32_t r = 1;
    (void)state;
    for (size_t i = 0; i < sizeof text - 16; i++) {
        r = r * 1664525u + 1013904223u;
        text[at++] = (char)('a' + (r >> 16) % 26);
    }
    const struct am_str cells[] = {{text, at}};
    assert_int_equal(fit_cells(&column, "{t: {encode: count, split: chars, ngrams: [8, 16]}}",
                               cells, 1, 1, NULL, a, &f, NULL),
                     AM_ELIMIT);
    assert_non_null(strstr(err.hint, "hashing"));
    am_arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goldens),      cmocka_unit_test(test_dense_and_sparse),
        cmocka_unit_test(test_cleaning),     cmocka_unit_test(test_regex),
        cmocka_unit_test(test_regex_bound),  cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_vector_files), cmocka_unit_test(test_tagger),
        cmocka_unit_test(test_refused),      cmocka_unit_test(test_faults),
        cmocka_unit_test(test_explosion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
