/* features.json that nobody made: refused with a code, never a crash; what is accepted can be
 * applied. */
#include "table.h"

#include "base/alloc.h"

static struct table table;

static void try_text(struct am_str text, size_t *accepted)
{
    struct am_arena *a = am_arena_new(0);
    struct am_node *n = NULL;
    struct am_features *f = NULL;
    if (am_json_parse(a, text, "features.json", &n, &err) == AM_OK &&
        am_features_from_node(n, &f, &err) == AM_OK) {
        struct am_batch b;
        OK(am_features_sample(f, 1, 3, a, &b, &err));
        float *out = am_alloc_array(3 * am_features_width(f), sizeof *out);
        if (am_features_apply(f, &b, out, &err) == AM_OK) {
            for (size_t i = 0; i < 3 * am_features_width(f); i++)
                assert_true(isfinite(out[i]));
        }
        am_free(out);
        (*accepted)++;
    }
    am_features_free(f);
    am_arena_free(a);
}

static void refused_by_hand(void **state)
{
    (void)state;
#define COL(rest) "{\"format\":1,\"columns\":[{\"name\":\"x\"," rest "}]}"
#define NUMBER "\"type\":\"number\",\"kind\":\"number\",\"scale\":"
    static const char *const bad[] = {
        "{}",
        "[]",
        "null",
        "{\"format\":2,\"columns\":[]}",
        "{\"format\":1,\"columns\":[]}",
        "{\"format\":1,\"columns\":7}",
        "{\"format\":1,\"columns\":[7]}",
        COL("\"type\":\"number\""),
        COL("\"type\":\"numbr\",\"kind\":\"number\",\"scale\":\"none\""),
        COL("\"type\":\"category\",\"kind\":\"number\",\"scale\":\"none\""),
        COL("\"type\":\"number\",\"kind\":\"onehot\",\"categories\":[]"),
        COL(NUMBER "\"huge\""),
        COL(NUMBER "\"none\",\"mul\":\"1\""),
        COL(NUMBER "\"quantile\""),
        COL(NUMBER "\"quantile\",\"quantiles\":[1]"),
        COL(NUMBER "\"quantile\",\"quantiles\":[2,1]"),
        COL(NUMBER "\"quantile\",\"quantiles\":[1,null]"),
        COL(NUMBER "\"none\",\"indicator\":3"),
        COL("\"type\":\"category\",\"kind\":\"onehot\""),
        COL("\"type\":\"category\",\"kind\":\"onehot\",\"categories\":[]"),
        COL("\"type\":\"category\",\"kind\":\"onehot\",\"categories\":[\"a\",\"a\"]"),
        COL("\"type\":\"category\",\"kind\":\"onehot\",\"categories\":[1]"),
        COL("\"type\":\"category\",\"kind\":\"onehot\",\"categories\":[\"a\"],\"fill\":1"),
        COL("\"type\":\"category\",\"kind\":\"target\",\"categories\":[\"a\"]"),
        COL("\"type\":\"category\",\"kind\":\"target\",\"categories\":[\"a\"],\"n_values\":1,"
            "\"values\":[1,2]"),
        COL("\"type\":\"category\",\"kind\":\"target\",\"categories\":[\"a\"],\"n_values\":"
            "999999999,\"values\":[1,2,3]"),
        COL("\"type\":\"category\",\"kind\":\"target\",\"categories\":[\"a\"],\"n_values\":-1,"
            "\"values\":[1,2,3]"),
        COL("\"type\":\"category\",\"kind\":\"hash\",\"buckets\":0"),
        COL("\"type\":\"category\",\"kind\":\"hash\",\"buckets\":1e9"),
        COL("\"type\":\"text\",\"kind\":\"words\",\"buckets\":65537"),
        COL("\"type\":\"date\",\"kind\":\"date\""),
        COL("\"type\":\"date\",\"kind\":\"date\",\"fill\":0,\"parts\":[]"),
        COL("\"type\":\"date\",\"kind\":\"date\",\"fill\":0,\"parts\":[{\"part\":\"year\","
            "\"cyclic\":true}]"),
        COL("\"type\":\"date\",\"kind\":\"date\",\"fill\":0,\"parts\":[5]"),
        COL("\"type\":\"date\",\"kind\":\"date\",\"fill\":-9223372036854775808,\"parts\":[{"
            "\"part\":\"year\"}]"),
        COL("\"type\":\"date\",\"kind\":\"date\",\"fill\":0.5,\"parts\":[{\"part\":\"year\"}]"),
        "{\"format\":1,\"columns\":[{\"name\":\"x\"," NUMBER "\"none\"},{\"name\":\"x\"," NUMBER
        "\"none\"}]}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        size_t accepted = 0;
        try_text(am_str(bad[i]), &accepted);
        if (accepted)
            fail_msg("accepted: %s", bad[i]);
    }
    size_t accepted = 0;
    try_text(am_str(COL(NUMBER "\"none\"")), &accepted);
    assert_int_equal(accepted, 1);
}

/* 17 columns of 65536 buckets: over the limit of outputs, refused before they are laid out */
static void too_wide(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    struct am_node *n = am_new_map(a), *list = am_new_list(a);
    for (int i = 0; i < 17; i++) {
        struct am_node *c = am_new_map(a);
        am_node_set(a, c, "name", am_new_str(a, am_arena_printf(a, "x%d", i)));
        am_node_set(a, c, "type", am_new_cstr(a, "text"));
        am_node_set(a, c, "kind", am_new_cstr(a, "words"));
        am_node_set(a, c, "buckets", am_new_i64(a, 65536));
        am_node_push(a, list, c);
    }
    am_node_set(a, n, "format", am_new_i64(a, 1));
    am_node_set(a, n, "columns", list);
    struct am_features *f = NULL;
    assert_int_equal(am_features_from_node(n, &f, &err), AM_ELIMIT);
    am_arena_free(a);
}

/* A real file with bytes changed, cut and doubled by a counter generator. */
static void mutations(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    struct am_features_config config = {
        .spec = spec_of(a, table_spec), .schema = &table_schema, .task = AM_TASK_REGRESSION};
    struct am_features_fit *fit = NULL;
    struct am_features *f = NULL;
    struct am_column columns[COLUMNS];
    struct am_batch b = table_slice(&table, 0, 200, columns);
    OK(am_features_fit_new(&config, &fit, &err));
    OK(am_features_fit_update(fit, &b, table.y, NULL, &err));
    OK(am_features_fit_finish(fit, &f, &err));
    struct am_buf json, m;
    am_buf_init(&json, 1 << 24);
    am_buf_init(&m, 1 << 24);
    am_node_to_json(am_features_to_node(f, a), AM_JSON_COMPACT, &json);
    size_t accepted = 0;
    struct am_rng r;
    am_rng_init(&r, 1, AM_RNG_USER);
    static const char swap[] = "0123456789-.eE\"[]{},:xn ";
    for (int k = 0; k < 3000; k++) {
        am_buf_reset(&m);
        am_buf_add(&m, json.ptr, json.len);
        for (uint64_t e = am_rng_below(&r, 3) + 1; e > 0; e--)
            m.ptr[am_rng_below(&r, m.len)] = swap[am_rng_below(&r, sizeof swap - 1)];
        if (k % 10 == 0)
            m.len = (size_t)am_rng_below(&r, m.len);
        try_text(am_buf_view(&m), &accepted);
    }
    assert_true(accepted > 10 && accepted < 3000);
    am_buf_clear(&json);
    am_buf_clear(&m);
    am_features_free(f);
    am_features_fit_free(fit);
    am_arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_by_hand),
        cmocka_unit_test(too_wide),
        cmocka_unit_test(mutations),
    };
    table_init(&table);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
