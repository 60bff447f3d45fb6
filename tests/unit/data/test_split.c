/* Splits, folds, samples, leaks, shards: exact counts, determinism, what keeps together, what is
 * refused. */
#include "support.h"

#include "../../support/faults.h"

#define N 1000
static double x[N], when[N], key[N];
static struct am_str label[N], group[N];
static char group_names[N][8];
static const struct am_column columns[] = {{.type = AM_COL_NUMBER, .number = x},
                                           {.type = AM_COL_CATEGORY, .text = label},
                                           {.type = AM_COL_CATEGORY, .text = group},
                                           {.type = AM_COL_NUMBER, .number = when},
                                           {.type = AM_COL_NUMBER, .number = key}};
static const struct am_column_desc desc[] = {{AM_STR_INIT("x"), AM_COL_NUMBER},
                                             {AM_STR_INIT("label"), AM_COL_CATEGORY},
                                             {AM_STR_INIT("group"), AM_COL_CATEGORY},
                                             {AM_STR_INIT("when"), AM_COL_NUMBER},
                                             {AM_STR_INIT("key"), AM_COL_NUMBER}};
static struct memory_table memory = {
    .schema = {desc, 5}, .columns = columns, .n_rows = N, .cut = 97};
static const struct am_table table = {&memory_ops, &memory};
static struct am_err err;
static struct am_split_counts counts;

static int setup(void **state)
{
    (void)state;
    memory.n_rows = N;
    memory.cut = 97;
    for (int i = 0; i < N; i++) {
        x[i] = i;
        label[i] = i % 10 < 7 ? AM_STR("a") : i % 10 < 9 ? AM_STR("b") : AM_STR("c");
        snprintf(group_names[i], sizeof group_names[i], "g%d", i % 50);
        group[i] = am_str(group_names[i]);
        when[i] = (i * 7919) % N; /* a permutation: rows are not in the order of time */
        key[i] = i / 2;
    }
    return 0;
}

static enum am_rc split(struct am_split_spec s, uint8_t *parts)
{
    return am_split_make(&table, &s, parts, memory.n_rows, &counts, &err);
}

static void test_random_counts(void **state)
{
    (void)state;
    uint8_t a[N] = {0}, b[N] = {0}, c[N] = {0};
    struct am_split_spec s = {.by = AM_SPLIT_RANDOM, .test = .2, .validation = .1, .seed = 42};
    assert_int_equal(split(s, a), AM_OK);
    assert_int_equal(counts.n[AM_ROW_TEST], 200);
    assert_int_equal(counts.n[AM_ROW_VALIDATION], 100);
    assert_int_equal(counts.n[AM_ROW_TRAIN], 700);
    memory.cut = 13;
    assert_int_equal(split(s, b), AM_OK);
    assert_memory_equal(a, b, N); /* however the rows come */
    s.seed = 43;
    assert_int_equal(split(s, c), AM_OK);
    assert_memory_not_equal(a, c, N);
    int early = 0;
    for (int i = 0; i < N / 2; i++)
        early += a[i] == AM_ROW_TEST;
    assert_in_range(early, 70, 130); /* spread over the rows */
}

static void test_validation_meanings(void **state)
{
    (void)state;
    uint8_t p[N] = {0};
    struct am_split_spec s = {.by = AM_SPLIT_RANDOM, .test = .2, .validation = .2, .seed = 1};
    s.validation_of = AM_SPLIT_OF_TRAIN;
    assert_int_equal(split(s, p), AM_OK);
    assert_int_equal(counts.n[AM_ROW_VALIDATION], 160);
    s.validation_take = AM_SPLIT_TAKE_LAST;
    memset(p, 0, N);
    assert_int_equal(split(s, p), AM_OK);
    assert_int_equal(counts.n[AM_ROW_VALIDATION], 160);
    bool seen = false;
    for (int i = 0; i < N; i++) { /* after the first validation row no training row comes */
        seen |= p[i] == AM_ROW_VALIDATION;
        assert_false(seen && p[i] == AM_ROW_TRAIN);
    }
}

static void count_classes(const uint8_t *p, int part, int out[3])
{
    out[0] = out[1] = out[2] = 0;
    for (int i = 0; i < N; i++)
        if (p[i] == part)
            out[label[i].ptr[0] - 'a']++;
}

static void test_stratified(void **state)
{
    (void)state;
    uint8_t p[N] = {0};
    int n[3];
    struct am_split_spec s = {.by = AM_SPLIT_STRATIFIED,
                              .test = .2,
                              .validation = .1,
                              .seed = 42,
                              .column = AM_STR("label")};
    assert_int_equal(split(s, p), AM_OK);
    count_classes(p, AM_ROW_TEST, n);
    assert_true(n[0] == 140 && n[1] == 40 && n[2] == 20);
    count_classes(p, AM_ROW_VALIDATION, n);
    assert_true(n[0] == 70 && n[1] == 20 && n[2] == 10);
    p[0] = AM_ROW_DROPPED; /* dropped rows count for nothing */
    for (int i = 1; i < N; i++)
        p[i] = AM_ROW_TRAIN;
    assert_int_equal(split(s, p), AM_OK);
    assert_int_equal(p[0], AM_ROW_DROPPED);
    assert_int_equal(counts.n[AM_ROW_TEST], 200);
    label[5] = label[6] =
        AM_STR("c"); /* a class of two rows keeps one for training, whatever the shares */
    memory.n_rows = 9;
    memset(p, 0, 9);
    s.test = s.validation = .45;
    assert_int_equal(split(s, p), AM_OK);
    int trained = 0;
    for (int i = 0; i < 9; i++)
        trained += p[i] == AM_ROW_TRAIN && am_str_is(label[i], "c");
    assert_int_equal(trained, 1);
    setup(NULL);
    s.test = .2;
    s.validation = .1;
    label[5] = AM_STR("alone");
    memset(p, 0, N);
    assert_int_equal(split(s, p), AM_EINVAL);
    assert_non_null(strstr(err.message, "has one row"));
    label[5] = (struct am_str){NULL, 0};
    assert_int_equal(split(s, p), AM_EINVAL);
    assert_non_null(strstr(err.message, "row 6 has no value"));
}

static void test_group(void **state)
{
    (void)state;
    uint8_t p[N] = {0}, of[50];
    struct am_split_spec s = {
        .by = AM_SPLIT_GROUP, .test = .2, .validation = .2, .seed = 7, .column = AM_STR("group")};
    assert_int_equal(split(s, p), AM_OK);
    memset(of, 9, sizeof of);
    for (int i = 0; i < N; i++) {
        assert_true(of[i % 50] == 9 || of[i % 50] == p[i]);
        of[i % 50] = p[i];
    }
    assert_int_equal(counts.n[AM_ROW_TEST], 200);
    assert_int_equal(counts.n[AM_ROW_VALIDATION], 200);
}

/* Groups named by the recipe are tested, others are drawn for validation only. */
static void test_group_named(void **state)
{
    (void)state;
    uint8_t p[N] = {0};
    struct am_split_spec s;
    struct am_node *n;
    struct am_arena *a = am_arena_new(0);
    assert_int_equal(
        am_yaml_parse(a, AM_STR("{by: group, group: group, test: [g3, g17], validation: 0.2}"), "t",
                      &n, &err),
        AM_OK);
    assert_int_equal(am_split_spec_from_node(n, AM_STR("label"), true, a, &s, &err), AM_OK);
    assert_int_equal(split(s, p), AM_OK);
    for (int i = 0; i < N; i++)
        assert_int_equal(p[i] == AM_ROW_TEST, i % 50 == 3 || i % 50 == 17);
    assert_int_equal(counts.n[AM_ROW_TEST], 40);
    assert_int_equal(counts.n[AM_ROW_VALIDATION], 200);
    s.test_groups = (const struct am_str[]){AM_STR("g3"), AM_STR("g117")};
    memset(p, 0, N);
    assert_int_equal(split(s, p), AM_EUSAGE);
    assert_non_null(strstr(err.message, "names \"g117\""));
    assert_non_null(strstr(err.hint, "g1"));
    assert_int_equal(am_yaml_parse(a, AM_STR("{by: random, test: [g3]}"), "t", &n, &err), AM_OK);
    assert_int_equal(am_split_spec_from_node(n, AM_STR("label"), true, a, &s, &err), AM_EUSAGE);
    assert_non_null(strstr(err.message, "not by group"));
    am_arena_free(a);
}

static void test_time(void **state)
{
    (void)state;
    uint8_t p[N] = {0};
    struct am_split_spec s = {
        .by = AM_SPLIT_TIME, .test = .2, .validation = .1, .column = AM_STR("when")};
    assert_int_equal(split(s, p), AM_OK);
    for (int i = 0; i < N; i++)
        assert_int_equal(p[i], when[i] >= 800   ? AM_ROW_TEST
                               : when[i] >= 700 ? AM_ROW_VALIDATION
                                                : AM_ROW_TRAIN);
    s.column = AM_STR("label");
    assert_int_equal(split(s, p), AM_EUSAGE);
}

/* Rows that were there before keep their part when the table grows. */
static void test_hash_is_stable(void **state)
{
    (void)state;
    uint8_t some[N] = {0}, all[N] = {0};
    struct am_str names[] = {AM_STR("x")};
    struct am_split_spec s = {.by = AM_SPLIT_HASH,
                              .test = .2,
                              .validation = .2,
                              .seed = 3,
                              .hash_columns = names,
                              .n_hash_columns = 1};
    memory.n_rows = 600;
    assert_int_equal(split(s, some), AM_OK);
    memory.n_rows = N;
    assert_int_equal(split(s, all), AM_OK);
    assert_memory_equal(some, all, 600);
    assert_in_range(counts.n[AM_ROW_TEST], 150, 250);
}

static void test_refused(void **state)
{
    (void)state;
    uint8_t p[N] = {0};
    assert_int_equal(split((struct am_split_spec){.test = .6, .validation = .5}, p), AM_EUSAGE);
    memory.n_rows = 3;
    assert_int_equal(split((struct am_split_spec){.test = .1, .validation = .1}, p), AM_EINVAL);
    assert_non_null(strstr(err.message, "leaves no row for validation"));
    assert_true(err.hint[0] != '\0');
}

static void test_leaks(void **state)
{
    (void)state;
    uint8_t p[N] = {0};
    for (int i = 0; i < N; i += 2) { /* rows 2k and 2k+1 are equal but for the id */
        x[i] = x[i + 1] = i / 2;
        label[i] = label[i + 1] = AM_STR("same");
        group[i + 1] = group[i];
        when[i + 1] = when[i];
    }
    key[0] = 123;
    struct am_str id[] = {AM_STR("key")};
    struct am_split_spec s = {
        .test = .3, .seed = 5, .leaks = AM_LEAKS_ERROR, .ignore = id, .n_ignore = 1};
    assert_int_equal(split(s, p), AM_EINVAL);
    assert_non_null(strstr(err.message, "equal to rows of another"));
    memset(p, 0, N);
    s.leaks = AM_LEAKS_WARN;
    assert_int_equal(split(s, p), AM_OK);
    uint64_t found = counts.n_leaks, expected = 0;
    for (int i = 0; i < N; i += 2)
        expected += p[i] != p[i + 1];
    assert_int_equal(found, expected);
    assert_int_equal(counts.first_leak[1], counts.first_leak[0] + 1);
    memset(p, 0, N);
    s.leaks = AM_LEAKS_GROUP;
    assert_int_equal(split(s, p), AM_OK);
    assert_int_equal(counts.n_moved, expected);
    for (int i = 0; i < N; i += 2)
        assert_int_equal(p[i], p[i + 1]);
}

static void test_folds(void **state)
{
    (void)state;
    uint8_t p[N] = {0};
    uint16_t f[N];
    int n[5][3] = {{0}};
    for (int i = 0; i < N; i += 4)
        p[i] = AM_ROW_TEST;
    struct am_split_spec s = {.by = AM_SPLIT_STRATIFIED, .seed = 1, .column = AM_STR("label")};
    assert_int_equal(am_split_folds(&table, &s, 5, p, AM_PART_BIT(AM_ROW_TRAIN), f, N, &err),
                     AM_OK);
    for (int i = 0; i < N; i++) {
        assert_int_equal(f[i] == UINT16_MAX, p[i] == AM_ROW_TEST);
        if (f[i] != UINT16_MAX)
            n[f[i]][label[i].ptr[0] - 'a']++;
    }
    for (int k = 0; k < 5; k++)
        for (int c = 0; c < 3; c++)
            assert_in_range(n[k][c], n[0][c] - 1, n[0][c] + 1);
    s = (struct am_split_spec){.by = AM_SPLIT_TIME, .column = AM_STR("when")};
    assert_int_equal(am_split_folds(&table, &s, 4, p, AM_PART_BIT(AM_ROW_TRAIN), f, N, &err),
                     AM_OK);
    double latest = -1;
    for (int k = 0; k < 4; k++) {
        double low = 1e9, high = -1;
        for (int i = 0; i < N; i++)
            if (f[i] == k) {
                low = when[i] < low ? when[i] : low;
                high = when[i] > high ? when[i] : high;
            }
        assert_true(low > latest);
        latest = high;
    }
    s = (struct am_split_spec){.by = AM_SPLIT_GROUP, .column = AM_STR("group")};
    assert_int_equal(am_split_folds(&table, &s, 5, p, 7, f, N, &err), AM_OK);
    for (int i = 50; i < N; i++)
        assert_int_equal(f[i], f[i - 50]);
    assert_int_equal(am_split_folds(&table, &s, 51, p, 7, f, N, &err), AM_EINVAL);
    assert_int_equal(am_split_folds(&table, &s, 1, p, 7, f, N, &err), AM_EINVAL);
}

static void test_sample(void **state)
{
    (void)state;
    uint8_t p[N] = {0}, q[N] = {0};
    p[3] = q[3] = AM_ROW_DROPPED;
    assert_int_equal(am_sample_rows(100, 9, p, N, &err), AM_OK);
    am_split_count(p, N, &counts);
    assert_int_equal(counts.n[AM_ROW_TRAIN], 100);
    assert_int_equal(p[3], AM_ROW_DROPPED);
    assert_int_equal(am_sample_rows(100, 10, q, N, &err), AM_OK);
    assert_memory_not_equal(p, q, N);
    assert_int_equal(am_sample_rows(0, 9, p, N, &err), AM_EINVAL);
}

static void test_views(void **state)
{
    (void)state;
    uint8_t p[N] = {0};
    struct am_table view;
    struct am_table_iter *it;
    const struct am_batch *b;
    for (int i = 0; i < N; i++)
        p[i] = i % 3 ? AM_ROW_TRAIN : AM_ROW_TEST;
    for (int i = 194; i < 291; i++)
        p[i] = AM_ROW_TEST; /* a whole batch */
    for (int i = 291; i < 388; i++)
        p[i] = AM_ROW_TRAIN;
    assert_int_equal(am_rows_view(&table, p, N, AM_PART_BIT(AM_ROW_TRAIN), NULL, &view, &err),
                     AM_OK);
    size_t pick[] = {1, 0};
    int row = 0;
    uint64_t n = 0;
    assert_int_equal(view.ops->open(view.impl, pick, 2, &it, &err), AM_OK);
    for (;;) {
        assert_int_equal(view.ops->next(it, &b, &err), AM_OK);
        if (!b)
            break;
        assert_int_equal(b->first_row, n);
        for (size_t i = 0; i < b->n_rows; i++, row++) {
            while (p[row] != AM_ROW_TRAIN)
                row++;
            assert_true(b->columns[1].number[i] == row);
            assert_true(am_str_eq(b->columns[0].text[i], label[row]));
        }
        n += b->n_rows;
    }
    assert_int_equal(n, view.ops->n_rows(view.impl));
    view.ops->close(it);
    view.ops->free(view.impl);
}

static void test_spec_from_recipe(void **state)
{
    (void)state;
    struct am_arena *a = am_arena_new(0);
    struct am_node *n;
    struct am_split_spec s;
    assert_int_equal(am_yaml_parse(a,
                                   AM_STR("{test: 0.2, validation: {share: 0.3, of: train, take: "
                                          "last}, by: auto, seed: 7, leaks: warn}"),
                                   "t", &n, &err),
                     AM_OK);
    assert_int_equal(am_split_spec_from_node(n, AM_STR("y"), true, a, &s, &err), AM_OK);
    assert_true(s.by == AM_SPLIT_STRATIFIED && s.validation == .3 &&
                s.validation_of == AM_SPLIT_OF_TRAIN && s.validation_take == AM_SPLIT_TAKE_LAST &&
                s.seed == 7 && s.leaks == AM_LEAKS_WARN);
    assert_int_equal(am_split_spec_from_node(n, AM_STR("y"), false, a, &s, &err), AM_OK);
    assert_int_equal(s.by, AM_SPLIT_RANDOM);
    assert_int_equal(am_yaml_parse(a, AM_STR("{by: group}"), "t", &n, &err), AM_OK);
    assert_int_equal(am_split_spec_from_node(n, AM_STR("y"), true, a, &s, &err), AM_EUSAGE);
    am_arena_free(a);
}

static void test_shards(void **state)
{
    (void)state;
    uint16_t a[N], b[N];
    struct am_shard_spec s = {.n = 4, .seed = 1};
    assert_int_equal(am_shard_make(&table, &s, a, N, &err), AM_OK);
    int n[4] = {0};
    for (int i = 0; i < N; i++)
        n[a[i]]++;
    for (int k = 0; k < 4; k++)
        assert_in_range(n[k], 200, 300);
    s.key = AM_STR("group");
    assert_int_equal(am_shard_make(&table, &s, b, N, &err), AM_OK);
    for (int i = 50; i < N; i++)
        assert_int_equal(b[i], b[i - 50]);
    struct am_profile *whole, *merged;
    struct am_profile_options o = {.target = AM_STR("label"), .n_sample_rows = 300};
    assert_int_equal(am_profile_table(&table, &o, &whole, &err), AM_OK);
    assert_int_equal(am_shard_profile(&table, a, N, 4, &o, &merged, &err), AM_OK);
    for (size_t c = 0; c < 5; c++) {
        const struct am_column_profile *w = am_profile_column(whole, c),
                                       *m = am_profile_column(merged, c);
        assert_true(w->n_rows == m->n_rows && w->n_missing == m->n_missing &&
                    w->n_distinct == m->n_distinct);
        assert_true(w->n_top == m->n_top && am_str_eq(w->top[0].text, m->top[0].text));
        if (desc[c].type == AM_COL_CATEGORY)
            continue;
        assert_true(w->min == m->min && w->max == m->max);
        assert_true(fabs(w->mean - m->mean) <= 1e-12 * fabs(w->mean) &&
                    fabs(w->std - m->std) <= 1e-12 * w->std);
        for (int q = 0; q < AM_PROFILE_QUANTILES; q++)
            assert_true(w->quantiles[q] == m->quantiles[q]); /* the same sample */
        assert_true(fabs(w->target_correlation - m->target_correlation) < 1e-12);
    }
    am_profile_free(whole);
    am_profile_free(merged);
}

static enum am_rc split_once(enum am_split_by by)
{
    static uint8_t p[N];
    memset(p, 0, N);
    struct am_split_spec s = {.by = by,
                              .test = .2,
                              .validation = .2,
                              .leaks = AM_LEAKS_GROUP,
                              .column = by == AM_SPLIT_TIME    ? AM_STR("when")
                                        : by == AM_SPLIT_GROUP ? AM_STR("group")
                                                               : AM_STR("label")};
    return split(s, p);
}

static void test_faults(void **state)
{
    (void)state;
    for (int by = AM_SPLIT_RANDOM; by <= AM_SPLIT_HASH; by++)
        AM_OOM_LOOP(split_once((enum am_split_by)by), (void)0);
    static uint16_t f[N];
    static uint8_t p[N];
    struct am_split_spec s = {.by = AM_SPLIT_STRATIFIED, .column = AM_STR("label")};
    AM_OOM_LOOP(am_split_folds(&table, &s, 5, p, 7, f, N, &err), (void)0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        T(test_random_counts),
        T(test_validation_meanings),
        T(test_stratified),
        T(test_group),
        T(test_group_named),
        T(test_time),
        T(test_hash_is_stable),
        T(test_refused),
        T(test_leaks),
        T(test_folds),
        T(test_sample),
        T(test_views),
        T(test_spec_from_recipe),
        T(test_shards),
        T(test_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
