/* Token ids: words against ICU's word iterator (UAX 29), lower case against ICU's tables, then the
 * column: vocabulary and its order, length, cuts and threads, the file form, bad settings. */
#include "table.h"

#include <pthread.h>
#include <stdlib.h>
#include <unicode/ubrk.h>
#include <unicode/uchar.h>
#include <unicode/ustring.h>

#include "base/alloc.h"
#include "feature/segment.h"
#include "feature/tokens.h"

static struct am_arena *arena;

static int setup(void **state)
{
    (void)state;
    arena = am_arena_new(0);
    return arena ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    am_arena_free(arena);
    return 0;
}

/* Tokens with '|' between. */
static const char *cut(struct am_str text, enum am_token_unit unit, bool lower)
{
    static char out[4096];
    struct am_token_scan s;
    size_t n = 0;
    assert_true(am_token_scan_init(&s, text, unit, lower));
    while (am_token_next(&s)) {
        assert_true(s.n > 0 && n + s.n + 2 < sizeof out);
        memcpy(out + n, s.token, s.n);
        n += s.n;
        out[n++] = '|';
    }
    out[n] = '\0';
    return out;
}

static void test_cut(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words, *chars;
    } cases[] = {
        {"", "", ""},
        {" \t\n ", "", ""},
        {"Hello,  World!", "hello|,|world|!|", "H|e|l|l|o|,| |W|o|r|l|d|!|"},
        {" a b ", "a|b|", "a| |b|"},
        {"don\xE2\x80\x99t 3.14 1,000 e.g. x_1", "don\xE2\x80\x99t|3.14|1,000|e.g|.|x_1|", NULL},
        {"\xE5\xBA\x8A\xE5\x89\x8D\xE6\x98\x8E\xE6\x9C\x88\xE5\x85\x89\xEF\xBC\x8C",
         "\xE5\xBA\x8A|\xE5\x89\x8D|\xE6\x98\x8E|\xE6\x9C\x88|\xE5\x85\x89|\xEF\xBC\x8C|", NULL},
        {"GPU\xE8\xAE\xAD\xE7\xBB\x83 2x", "gpu|\xE8\xAE\xAD|\xE7\xBB\x83|2x|", NULL},
        {"\xC3\x89t\xC3\xA9 \xD0\x9C\xD0\xB8\xD1\x80",
         "\xC3\xA9t\xC3\xA9|\xD0\xBC\xD0\xB8\xD1\x80|", NULL},
        {"a\xFF\xC3", "a|\xEF\xBF\xBD|\xEF\xBF\xBD|", "a|\xEF\xBF\xBD|\xEF\xBF\xBD|"},
        {"\xF0\x9F\x98\x80ok", "\xF0\x9F\x98\x80|ok|", NULL},
        {"co\xC2\xADop", "coop|", "c|o|o|p|"}, /* soft hyphen */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_string_equal(cut(am_str(cases[i].text), AM_TOKEN_WORDS, true), cases[i].words);
        if (cases[i].chars)
            assert_string_equal(cut(am_str(cases[i].text), AM_TOKEN_CHARS, false), cases[i].chars);
    }
    char longest[400];
    memset(longest, 'x', sizeof longest);
    struct am_token_scan s;
    assert_true(
        am_token_scan_init(&s, (struct am_str){longest, sizeof longest}, AM_TOKEN_WORDS, true));
    assert_true(am_token_next(&s));
    assert_int_equal(s.n, AM_TOKEN_BYTES);
    assert_false(am_token_next(&s));
    assert_string_equal(cut((struct am_str){NULL, 0}, AM_TOKEN_CHARS, true), "");
}

/* What ICU cuts, less white space; scripts that need no dictionary (and no '@', which its locales
 * join to what follows, against UAX 29). */
static const char *icu_cut(const char *text)
{
    static char out[4096];
    UChar u[2048];
    UErrorCode code = U_ZERO_ERROR;
    int32_t n, from = 0, bytes;
    size_t len = 0;
    u_strFromUTF8(u, 2048, &n, text, -1, &code);
    UBreakIterator *it = ubrk_open(UBRK_WORD, "en", u, n, &code);
    assert_true(U_SUCCESS(code));
    for (int32_t to = ubrk_next(it); to != UBRK_DONE; from = to, to = ubrk_next(it)) {
        if (u_isUWhiteSpace(u[from]))
            continue;
        u_strToUTF8(out + len, (int32_t)(sizeof out - len - 1), &bytes, u + from, to - from, &code);
        len += (size_t)bytes;
        out[len++] = '|';
    }
    out[len] = '\0';
    ubrk_close(it);
    return out;
}

static void test_icu(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "The quick (\"brown\") fox can't jump 32.3 feet, right?",
        "Free!!! Win $1,000,000.50 now; call 0800-123-456 or visit www.example.com/a_b?c=d",
        "a.b.c  U.S.A. 12.30 3,4,5 x1y2 A4 v2.0 1st 2nd",
        "L'\xC3\xA9t\xC3\xA9 d'Andr\xC3\xA9: na\xC3\xAFve, fa\xC3\xA7"
        "ade; \xC2\xAB ol\xC3\xA9 \xC2\xBB",
        "\xD0\x9F\xD1\x80\xD0\xB8\xD0\xB2\xD0\xB5\xD1\x82, \xD0\xBC\xD0\xB8\xD1\x80! "
        "\xCE\x95\xCE\xBB\xCE\xBB\xCE\xAC\xCE\xB4\xCE\xB1.",
        "cafe\xCC\x81 re\xCC\x81sume\xCC\x81 100% #tag e-mail",
        "\xED\x95\x9C\xEA\xB5\xAD\xEC\x96\xB4 \xEB\xAC\xB8\xEC\x9E\xA5 tabs\tand\nlines",
        "\xE2\x82\xAC"
        "5 \xC2\xA3"
        "6 \xE2\x80\x9Cquoted\xE2\x80\x9D \xE2\x80\x94 dash "
        "\xE2\x80\xA6 rock\xE2\x80\x99n\xE2\x80\x99roll",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (strcmp(cut(am_str(texts[i]), AM_TOKEN_WORDS, false), icu_cut(texts[i])) != 0)
            fail_msg("ours: %s\nICU:  %s", cut(am_str(texts[i]), AM_TOKEN_WORDS, false),
                     icu_cut(texts[i]));
    }
}

/* Segments against ICU by way of UTF-16, dictionaries too; in several threads at once. */
static const char *const segmented[] = {
    "The quick (\"brown\") fox can't jump 32.3 feet, right?",
    "\xE6\x88\x91\xE4\xBB\xAC\xE5\x9C\xA8\xE5\x8C\x97\xE4\xBA\xAC\xE5\xA4\xA7\xE5\xAD\xA6\xE5\xAD"
    "\xA6\xE4\xB9\xA0\xE6\x9C\xBA\xE5\x99\xA8\xE5\xAD\xA6\xE4\xB9\xA0\xEF\xBC\x8C\xE5\xA4\xA9\xE6"
    "\xB0\x94\xE5\xBE\x88\xE5\xA5\xBD\xE3\x80\x82",
    "\xE6\x9D\xB1\xE4\xBA\xAC\xE9\x83\xBD\xE3\x81\xAB\xE4\xBD\x8F\xE3\x82\x93\xE3\x81\xA7\xE3\x81"
    "\x84\xE3\x81\xBE\xE3\x81\x99\xE3\x80\x82",
    "\xE0\xB8\xAA\xE0\xB8\xA7\xE0\xB8\xB1\xE0\xB8\xAA\xE0\xB8\x94\xE0\xB8\xB5\xE0\xB8\x8A\xE0\xB8"
    "\xB2\xE0\xB8\xA7\xE0\xB9\x82\xE0\xB8\xA5\xE0\xB8\x81",
    "GPU\xE8\xAE\xAD\xE7\xBB\x83\xE7\xA5\x9E\xE7\xBB\x8F\xE7\xBD\x91\xE7\xBB\x9C 2x",
};

static void *cut_often(void *arg)
{
    const char *text = arg;
    size_t *sum = malloc(sizeof *sum);
    assert_non_null(sum);
    *sum = 0;
    for (int i = 0; i < 200; i++) {
        struct am_token_scan s;
        if (!am_token_scan_init(&s, am_str(text), AM_TOKEN_SEGMENTS, false))
            return sum;
        while (am_token_next(&s))
            *sum = *sum * 31 + s.n;
    }
    return sum;
}

static void test_segments(void **state)
{
    (void)state;
    OK(am_segments_open(&err));
    assert_true(am_segments_version() >= 60);
    for (size_t i = 0; i < sizeof segmented / sizeof segmented[0]; i++) {
        const char *ours = cut(am_str(segmented[i]), AM_TOKEN_SEGMENTS, false);
        if (strcmp(ours, icu_cut(segmented[i])) != 0)
            fail_msg("ours: %s\nICU:  %s", ours, icu_cut(segmented[i]));
    }
    /* two characters, one word */
    assert_non_null(
        strstr(cut(am_str(segmented[1]), AM_TOKEN_SEGMENTS, true), "\xE5\x8C\x97\xE4\xBA\xAC|"));
    assert_string_equal(cut(AM_STR(" \n A  b\xFF"), AM_TOKEN_SEGMENTS, true), "a|b|\xEF\xBF\xBD|");
    assert_string_equal(cut((struct am_str){NULL, 0}, AM_TOKEN_SEGMENTS, true), "");
    pthread_t threads[4];
    size_t *sums[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, cut_often, (void *)(uintptr_t)segmented[1 + i % 2]),
            0);
    for (int i = 0; i < 4; i++)
        (void)pthread_join(threads[i], (void **)&sums[i]);
    assert_int_equal(*sums[0], *sums[2]);
    assert_int_equal(*sums[1], *sums[3]);
    assert_true(*sums[0] != *sums[1] && *sums[0] != 0);
    for (int i = 0; i < 4; i++)
        free(sums[i]);
}

static void test_lower(void **state)
{
    (void)state;
    static const uint32_t covered[][2] = {{0x21, 0x7E},     {0xA1, 0xAC},     {0xAE, 0x17F},
                                          {0x386, 0x3CE},   {0x400, 0x52F},   {0x1E00, 0x1E95},
                                          {0x1EA0, 0x1EFF}, {0xFF21, 0xFF5A}, {0x4E00, 0x4E20}};
    for (size_t i = 0; i < sizeof covered / sizeof covered[0]; i++) {
        for (uint32_t c = covered[i][0]; c <= covered[i][1]; c++) {
            uint8_t in[5] = {0}, want[5] = {0};
            int32_t n = 0, m = 0;
            U8_APPEND_UNSAFE(in, n, c);
            U8_APPEND_UNSAFE(want, m, (uint32_t)u_tolower((UChar32)c));
            struct am_token_scan s;
            am_token_scan_init(&s, (struct am_str){(const char *)in, (size_t)n}, AM_TOKEN_CHARS,
                               true);
            assert_true(am_token_next(&s));
            if (s.n != (size_t)m || memcmp(s.token, want, s.n) != 0)
                fail_msg("U+%04X: %.*s, not %s", (unsigned)c, (int)s.n, s.token,
                         (const char *)want);
        }
    }
}

/* ---- columns ---- */

#define TEXTS 60
static struct am_str cells[TEXTS];
static const struct am_column_desc text_columns[1] = {{AM_STR_INIT("note"), AM_COL_TEXT}};
static const struct am_schema text_schema = {text_columns, 1};

/* Text i has i + 1 words: word k is "wK" with K = k mod (1 + row's draw); cell 5 is missing. */
static void make_texts(void)
{
    for (size_t i = 0; i < TEXTS; i++) {
        char text[1024];
        size_t n = 0;
        for (size_t k = 0; k <= i; k++)
            n += (size_t)snprintf(text + n, sizeof text - n, "W%u ",
                                  (unsigned)(k % (1 + draw(i, 40) % 9)));
        cells[i] = am_arena_str(arena, (struct am_str){text, n});
    }
    cells[5] = (struct am_str){NULL, 0};
}

static struct am_node *ready; /* the spec when yaml is NULL */

static enum am_rc fit(const char *yaml, size_t cut_rows, struct am_features **f)
{
    struct am_features_config config = {.spec = yaml ? spec_of(arena, yaml) : ready,
                                        .schema = &text_schema,
                                        .task = AM_TASK_REGRESSION};
    struct am_features_fit *ft = NULL;
    enum am_rc rc = am_features_fit_new(&config, &ft, &err);
    for (size_t row = 0; rc == AM_OK && row < TEXTS; row += cut_rows) {
        struct am_column col = {.type = AM_COL_TEXT, .text = cells + row};
        struct am_batch b = {.n_rows = TEXTS - row < cut_rows ? TEXTS - row : cut_rows,
                             .n_columns = 1,
                             .columns = &col,
                             .first_row = row};
        rc = am_features_fit_update(ft, &b, NULL, NULL, &err);
    }
    if (rc == AM_OK)
        rc = am_features_fit_finish(ft, f, &err);
    am_features_fit_free(ft);
    return rc;
}

static const char *json_of(const struct am_features *f)
{
    struct am_buf b;
    am_buf_init(&b, 1 << 20);
    am_node_to_json(am_features_to_node(f, arena), AM_JSON_COMPACT, &b);
    const char *s = am_arena_str(arena, am_buf_view(&b)).ptr;
    am_buf_clear(&b);
    return s;
}

static void apply(const struct am_features *f, struct am_str text, float *out)
{
    struct am_column col = {.type = AM_COL_TEXT, .text = &text};
    struct am_batch b = {.n_rows = 1, .n_columns = 1, .columns = &col};
    OK(am_features_apply(f, &b, out, &err));
}

static void test_column(void **state)
{
    (void)state;
    struct am_features *f, *g;
    size_t n_tokens;
    float out[512];
    OK(fit("note: {encode: tokens}\n", TEXTS, &f));
    struct am_dims d = am_features_shape(f, &n_tokens);
    assert_int_equal(d.rank, 1);
    assert_int_equal(d.d[0], 58); /* 95 % of 1..60 without 6: 57.1, upwards */
    assert_int_equal(n_tokens, 11);
    apply(f, AM_STR("w0 W1 never w0"), out);
    const float want[5] = {2, 3, 1, 2, 0};
    assert_memory_equal(out, want, sizeof want);
    for (size_t k = 4; k < 58; k++)
        assert_true(out[k] == 0);
    apply(f, cells[TEXTS - 1], out);
    assert_true(out[57] != 0); /* cut */
    apply(f, (struct am_str){NULL, 0}, out);
    for (size_t k = 0; k < 58; k++)
        assert_true(out[k] == 0);
    for (size_t rows = 1; rows < TEXTS; rows += 6) {
        OK(fit("note: {encode: tokens}\n", rows, &g));
        assert_string_equal(json_of(f), json_of(g));
        am_features_free(g);
    }
    OK(am_features_from_node(am_features_to_node(f, arena), &g, &err));
    assert_string_equal(json_of(f), json_of(g));
    struct am_batch sample;
    OK(am_features_sample(g, 3, 4, arena, &sample, &err));
    apply(g, sample.columns[0].text[0], out);
    assert_true(out[0] >= 2 && out[7] >= 2 && out[8] == 0);
    am_features_free(g);
    am_features_free(f);

    OK(fit("note: {encode: tokens, length: 4, vocabulary: 2, lower: false}\n", 9, &f));
    assert_int_equal(am_features_width(f), 4);
    (void)am_features_shape(f, &n_tokens);
    assert_int_equal(n_tokens, 4);
    apply(f, AM_STR("W1 w0 W0 W8 W0"), out);
    const float kept[4] = {3, 1, 2, 1};
    assert_memory_equal(out, kept, sizeof kept);
    am_features_free(f);

    OK(fit("note: {encode: chars, length: 5, min_count: 1}\n", 9, &f));
    apply(f, AM_STR("W?"), out);
    assert_true(out[0] >= 2 && out[1] == 1 && out[2] == 0);
    am_features_free(f);
}

/* Words of a language without spaces; the version of ICU is kept and asked for. */
static void test_segments_column(void **state)
{
    (void)state;
    struct am_features *f, *g;
    struct am_str was[TEXTS];
    float out[8];
    memcpy(was, cells, sizeof was);
    for (size_t i = 0; i < TEXTS; i++)
        cells[i] = am_str(segmented[1]);
    OK(fit("note: {encode: segments, length: 8}\n", 7, &f));
    const char *json = json_of(f);
    assert_non_null(strstr(json, "\"kind\":\"segments\""));
    assert_non_null(strstr(json, "\xE5\x8C\x97\xE4\xBA\xAC\""));
    apply(f, am_str("\xE5\x8C\x97\xE4\xBA\xAC"), out);
    assert_true(out[0] >= 2 && out[1] == 0); /* one word, known */
    OK(am_features_from_node(am_features_to_node(f, arena), &g, &err));
    assert_string_equal(json_of(g), json);
    am_features_free(g);
    struct am_node *n = am_features_to_node(f, arena);
    struct am_node *c = am_node_get(n, "columns")->list.items[0];
    am_node_set(arena, c, "icu", am_new_i64(arena, (int64_t)am_segments_version() + 1));
    assert_int_equal(am_features_from_node(n, &g, &err), AM_EUNSUPPORTED);
    assert_non_null(strstr(err.message, "ICU"));
    am_node_set(arena, c, "icu", am_new_i64(arena, 0));
    assert_int_equal(am_features_from_node(n, &g, &err), AM_ECORRUPT);
    am_features_free(f);
    memcpy(cells, was, sizeof was);
}

static void test_settings(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "note: {encode: tokens, length: 0}\n",       "note: {encode: tokens, length: 70000}\n",
        "note: {encode: tokens, vocabulary: 0}\n",   "note: {encode: logmel}\n",
        "note: {encode: tokens, unseen: error}\n",   "note: {encode: chars, impute: mode}\n",
        "note: {encode: tokens, lower: sometimes}\n"};
    struct am_features *f;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(fit(bad[i], TEXTS, &f), AM_EUSAGE);
    OK(fit("default: {encode: logmel}\n", TEXTS, &f)); /* does not suit: passed over */
    am_features_free(f);
    static const char *const hostile[] = {
        "{\"format\":1,\"columns\":[{\"name\":\"a\",\"type\":\"text\",\"kind\":\"tokens\","
        "\"length\":99999999,\"vocabulary\":[]}]}",
        "{\"format\":1,\"columns\":[{\"name\":\"a\",\"type\":\"text\",\"kind\":\"tokens\","
        "\"length\":9,\"vocabulary\":[\"a\",\"a\"]}]}",
        "{\"format\":1,\"columns\":[{\"name\":\"a\",\"type\":\"number\",\"kind\":\"chars\","
        "\"length\":9,\"vocabulary\":[]}]}",
        "{\"format\":1,\"columns\":[{\"name\":\"a\",\"type\":\"audio\",\"kind\":\"sound\","
        "\"encode\":\"logmel\",\"sample_rate\":16000,\"n_samples\":4294967295,\"n_mels\":40,"
        "\"n_fft\":512,\"hop\":160,\"n_mfcc\":13}]}",
        "{\"format\":1,\"columns\":[{\"name\":\"a\",\"type\":\"audio\",\"kind\":\"sound\","
        "\"encode\":\"logmel\",\"sample_rate\":16000,\"n_samples\":0,\"n_mels\":40,"
        "\"n_fft\":512,\"hop\":0,\"n_mfcc\":13}]}"};
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        struct am_node *n;
        OK(am_json_parse(arena, am_str(hostile[i]), "hostile", &n, &err));
        enum am_rc rc = am_features_from_node(n, &f, &err);
        assert_true(rc == AM_ECORRUPT || rc == AM_ELIMIT);
    }
}

static void test_memory(void **state)
{
    (void)state;
    ready = spec_of(arena, "note: {encode: tokens}\n");
    for (long n = 1;; n++) {
        struct am_features *f = NULL;
        am_alloc_fail_nth(n, false);
        enum am_rc rc = fit(NULL, 20, &f);
        long hits = am_alloc_hook_hits();
        am_alloc_fail_nth(0, false);
        am_features_free(f);
        if (hits == 0) {
            OK(rc);
            break;
        }
        assert_int_equal(rc, AM_ENOMEM);
    }
}

static int setup_all(void **state)
{
    if (setup(state) != 0)
        return -1;
    make_texts();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut),      cmocka_unit_test(test_icu),
        cmocka_unit_test(test_segments), cmocka_unit_test(test_segments_column),
        cmocka_unit_test(test_lower),    cmocka_unit_test(test_column),
        cmocka_unit_test(test_settings), cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown);
}
