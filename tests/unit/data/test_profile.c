/* Profiles against numpy, warnings with one table where each fires and one where it must not,
 * estimates. */
#include "support.h"

#include "../../golden/data_profile.h"
#include "../../support/faults.h"

static struct am_err err;

static bool close_to(double a, double b)
{
    return fabs(a - b) <= 1e-12 * fmax(fabs(a), fabs(b));
}

static void test_numpy(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    struct am_dataset_info info;
    struct am_dataset_schema schema;
    struct am_table t;
    struct am_profile *p;
    struct am_import_options o = {0};
    char dir[128], path[512];
    snprintf(path, sizeof path, "%s/breast_cancer.csv",
             getenv("AM_EXAMPLES") ? getenv("AM_EXAMPLES") : "examples");
    assert_int_equal(import_spec(path, &o, a, &info, dir, &err), AM_OK);
    assert_int_equal(am_dataset_open_dir(&tables, a, dir, &schema, &t, &err), AM_OK);
    struct am_profile_options po = {.target = AM_STR("diagnosis")};
    assert_int_equal(am_profile_table(&t, &po, &p, &err), AM_OK);
    assert_int_equal(am_profile_n_rows(p), 569);
    for (size_t c = 0; c < 5; c++) {
        const struct am_column_profile *f = am_profile_column(p, c);
        assert_true(f->min == golden[c].min && f->max == golden[c].max);
        assert_true(close_to(f->mean, golden[c].mean) && close_to(f->std, golden[c].std));
        for (int q = 0; q < AM_PROFILE_QUANTILES; q++)
            assert_true(close_to(f->quantiles[q], golden[c].quantiles[q]));
        assert_true(fabs(f->target_correlation - fabs(golden[c].correlation)) < 1e-12);
        uint64_t n = 0;
        for (int b = 0; b < AM_PROFILE_BINS; b++)
            n += f->bins[b];
        assert_int_equal(n, 569);
    }
    const struct am_column_profile *target = am_profile_column(p, schema.n - 1);
    assert_true(target->n_distinct == 2 && target->top[0].count == 357 &&
                target->top[1].count == 212);
    am_profile_free(p);
    t.ops->free(t.impl);
    am_arena_free(a);
}

#define N 2000
static double values[6][N];
static struct am_str texts[2][N];
static char words[2][N][96];
#define CHINESE                                                                                    \
    "\xe6\x88\xbf\xe9\x97\xb4\xe5\xbe\x88\xe5\xa4\xa7\xe6\x88\xbf\xe9\x97\xb4\xe5\xbe\x88\xe5\xa4" \
    "\xa7"                                                                                         \
    "\xe6\x88\xbf\xe9\x97\xb4\xe5\xbe\x88\xe5\xa4\xa7\xe6\x88\xbf\xe9\x97\xb4\xe5\xbe\x88\xe5\xa4" \
    "\xa7"
static const struct am_column columns[] = {
    {.type = AM_COL_NUMBER, .number = values[0]}, {.type = AM_COL_NUMBER, .number = values[1]},
    {.type = AM_COL_NUMBER, .number = values[2]}, {.type = AM_COL_NUMBER, .number = values[3]},
    {.type = AM_COL_TEXT, .text = texts[0]},      {.type = AM_COL_TEXT, .text = texts[1]},
};
static const struct am_column_desc desc[] = {
    {AM_STR_INIT("n"), AM_COL_NUMBER},    {AM_STR_INIT("row"), AM_COL_NUMBER},
    {AM_STR_INIT("leak"), AM_COL_NUMBER}, {AM_STR_INIT("k"), AM_COL_NUMBER},
    {AM_STR_INIT("name"), AM_COL_TEXT},   {AM_STR_INIT("y"), AM_COL_TEXT}};
static struct memory_table memory = {
    .schema = {desc, 6}, .columns = columns, .n_rows = N, .cut = 100};
static const struct am_table table = {&memory_ops, &memory};

static int fill(void **state) /* nothing to warn of */
{
    (void)state;
    memory.n_rows = N;
    memory.cut = 100;
    for (int i = 0; i < N; i++) {
        values[0][i] = (i * 7919 % N) / 7.0;
        values[1][i] = (i * 104729 % 1500) * 3;
        values[2][i] = i % 2 + (i * 7919 % 11) * 0.3;
        values[3][i] = i % 5;
        snprintf(words[0][i], sizeof words[0][i], "city%d", i / 2 * 31 % 300);
        snprintf(words[1][i], sizeof words[1][i], "%s", i % 2 ? "yes" : "no");
        texts[0][i] = am_str(words[0][i]);
        texts[1][i] = am_str(words[1][i]);
    }
    return 0;
}

static bool warned(const char *column, const char *kind, size_t *n)
{
    struct am_arena *a = am_arena_new(0);
    struct am_profile *p;
    struct am_profile_options o = {.target = AM_STR("y")};
    assert_int_equal(am_profile_table(&table, &o, &p, &err), AM_OK);
    struct am_node *list = am_node_get(am_profile_to_node(p, NULL, a), "warnings");
    bool found = false;
    *n = list->list.n;
    for (size_t i = 0; i < list->list.n; i++) {
        found |= am_str_is(am_node_str(list->list.items[i], "kind", ""), kind) &&
                 am_str_is(am_node_str(list->list.items[i], "column", ""), column);
        if (!kind[0])
            print_message("%.*s\n", AM_FMT(am_node_str(list->list.items[i], "text", "")));
    }
    am_profile_free(p);
    am_arena_free(a);
    return found;
}

static void test_warnings(void **state)
{
    (void)state;
    size_t n;
    assert_false(warned("", "", &n));
    assert_int_equal(n, 0);
    for (int i = 0; i < N; i++)
        values[0][i] = 3;
    assert_true(warned("n", "constant", &n));
    fill(NULL);
    for (int i = 0; i < N; i++)
        values[1][i] = i + 1000;
    assert_true(warned("row", "id", &n));
    for (int i = 0; i < N; i++)
        values[1][i] = i / 2;
    assert_false(warned("row", "id", &n));
    fill(NULL);
    for (int i = 0; i < N; i++)
        snprintf(words[0][i], sizeof words[0][i], "u%d", i), texts[0][i] = am_str(words[0][i]);
    assert_true(warned("name", "id", &n));
    for (int i = 0; i < N; i++) /* Chinese has no spaces: a text, and no leak though all differ */
        snprintf(words[0][i], sizeof words[0][i], "%020d%s", i, CHINESE),
            texts[0][i] = am_str(words[0][i]);
    assert_false(warned("name", "id", &n));
    assert_false(warned("name", "leak", &n));
    fill(NULL);
    for (int i = 0; i < N; i++)
        values[2][i] = i % 2 ? 10 : -3;
    assert_true(warned("leak", "leak", &n));
    fill(NULL);
    for (int i = 0; i < N; i++)
        texts[1][i] = i % 50 ? AM_STR("no") : AM_STR("yes");
    assert_true(warned("y", "imbalance", &n));
    fill(NULL);
    for (int i = 0; i < 1100; i++)
        values[3][i] = NAN;
    assert_true(warned("k", "missing", &n));
    fill(NULL);
    values[3][7] = INFINITY;
    assert_true(warned("k", "infinite", &n));
}

static void test_cut_changes_nothing(void **state)
{
    (void)state;
    struct am_profile *p[2];
    struct am_profile_options o = {.target = AM_STR("y"), .n_sample_rows = 300, .seed = 4};
    for (int k = 0; k < 2; k++) {
        memory.cut = k ? 1999 : 7;
        assert_int_equal(am_profile_table(&table, &o, &p[k], &err), AM_OK);
    }
    for (size_t c = 0; c < 4; c++) {
        const struct am_column_profile *x = am_profile_column(p[0], c),
                                       *y = am_profile_column(p[1], c);
        assert_true(x->mean == y->mean && x->std == y->std &&
                    x->target_correlation == y->target_correlation);
        assert_memory_equal(x->quantiles, y->quantiles, sizeof x->quantiles);
    }
    am_profile_free(p[0]);
    am_profile_free(p[1]);
}

/* 100,000 rows: the sample and the estimate of distinct values stay near the truth. */
static void test_large(void **state)
{
    (void)state;
    enum { M = 100000 };
    double *v = malloc(M * sizeof *v);
    for (int i = 0; i < M; i++)
        v[i] = (double)((long long)i * 7919 % M);
    struct am_column column = {.type = AM_COL_NUMBER, .number = v};
    struct am_column_desc d = {AM_STR("v"), AM_COL_NUMBER};
    struct memory_table m = {.schema = {&d, 1}, .columns = &column, .n_rows = M, .cut = 2048};
    struct am_table t = {&memory_ops, &m};
    struct am_profile *p;
    struct am_profile_options o = {0};
    assert_int_equal(am_profile_table(&t, &o, &p, &err), AM_OK);
    const struct am_column_profile *c = am_profile_column(p, 0);
    assert_true(c->mean == (M - 1) / 2.0 && c->min == 0 && c->max == M - 1 && c->all_integers);
    assert_in_range(c->n_distinct, 95000, 105000);
    assert_true(fabs(c->quantiles[3] - M / 2.0) < 0.015 * M);
    assert_true(fabs(c->quantiles[0] - M / 100.0) < 0.005 * M);
    am_profile_free(p);
    free(v);
}

static enum am_rc profile_once(void)
{
    struct am_profile *p = NULL;
    struct am_profile_options o = {.target = AM_STR("y"), .n_sample_rows = 50};
    enum am_rc rc = am_profile_table(&table, &o, &p, &err);
    am_profile_free(p);
    return rc;
}

static void test_faults(void **state)
{
    (void)state;
    memory.n_rows = 200;
    AM_OOM_LOOP(profile_once(), (void)0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, fill)
    const struct CMUnitTest tests[] = {T(test_numpy), T(test_warnings), T(test_cut_changes_nothing),
                                       T(test_large), T(test_faults)};
    return cmocka_run_group_tests(tests, support_setup, support_teardown);
}
