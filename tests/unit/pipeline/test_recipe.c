/* The recipe: unknown keys with line, column and nearest name; types; ranges; contradictions;
 * --set; defaults; names against the data; conditions on metrics. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "pipeline/condition.h"
#include "pipeline/recipe.h"
#include "support/faults.h"

#define GOOD                                                                                       \
    "version: 1\nname: breast-cancer\n"                                                            \
    "data: {source: a.csv, target: t, split: {test: 0.2, validation: 0.2, by: stratified}}\n"      \
    "model: {type: mlp, layers: [16, 8], activation: relu, dropout: 0.1}\n"                        \
    "train: {optimizer: adam, learning_rate: 1e-3, epochs: 50, batch_size: 32}\n"                  \
    "evaluate: {metrics: [accuracy, roc_auc]}\nregister: {alias: champion}\n"

static struct am_arena *arena;
static struct am_err err;

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

static enum am_rc load(const char *text, struct am_recipe *r)
{
    memset(&err, 0, sizeof err);
    return am_recipe_load(arena, am_str(text), "r.yaml", NULL, 0, r, &err);
}

static void refused(const char *text, const char *message, const char *hint)
{
    struct am_recipe r;
    assert_int_equal(load(text, &r), AM_EUSAGE);
    if (!strstr(err.message, message) || (hint && !strstr(err.hint, hint)))
        fail_msg("message \"%s\", hint \"%s\"", err.message, err.hint);
}

static void resolves_defaults(void **state)
{
    struct am_recipe r;
    double v;
    (void)state;
    assert_int_equal(load(GOOD, &r), AM_OK);
    assert_true(am_node_as_f64(am_node_path(r.resolved, "train.learning_rate"), &v) && v == 1e-3);
    assert_true(am_node_as_f64(am_node_path(r.resolved, "train.beta1"), &v) && v == 0.9);
    assert_true(
        am_str_is(am_node_str(am_node_path(r.resolved, "train.schedule"), "type", ""), "") ||
        am_node_path(r.resolved, "train.schedule") != NULL);
    assert_int_equal(am_node_i64(am_node_path(r.resolved, "data.split"), "seed", 0), 42);
    assert_null(am_node_path(r.resolved, "data.sample"));
}

static void resolved_reads_back(void **state)
{
    struct am_recipe r, again;
    struct am_buf a, b;
    (void)state;
    am_buf_init(&a, 1 << 20);
    am_buf_init(&b, 1 << 20);
    assert_int_equal(load(GOOD, &r), AM_OK);
    am_node_to_yaml(r.resolved, &a);
    am_buf_char(&a, 0);
    if (load(a.ptr, &again) != AM_OK)
        fail_msg("%s in\n%s", err.message, a.ptr);
    am_node_to_yaml(again.resolved, &b);
    assert_string_equal(a.ptr, b.ptr);
    am_buf_clear(&a);
    am_buf_clear(&b);
}

static void unknown_keys(void **state)
{
    (void)state;
    refused("data: {source: a}\ntrain:\n  learing_rate: 0.1\n", "line 3, column 3",
            "learning_rate");
    refused("data: {source: a}\nmodle: {type: mlp}\n", "unknown key \"modle\"", "model");
    refused("data: {source: a, split: {tset: 0.2}}\n", "\"tset\"", "test");
    refused("data: {source: a}\nfeatures: {x: {skale: standard}}\n", "\"skale\"", "scale");
    refused("data: {source: a}\nmodel: {type: mlp, layer: [3]}\n", "\"layer\"", "layers");
}

static void wrong_types(void **state)
{
    (void)state;
    refused("data: {source: a}\ntrain: {epochs: many}\n", "\"train.epochs\" must be a whole number",
            NULL);
    refused("data: {source: a}\ntrain: {epochs: 0}\n", "must lie between 1 and", NULL);
    refused("data: {source: a, split: {by: luck}}\n", "one of auto|random", NULL);
    refused("data: [1]\n", "must be a map", NULL);
    refused("data: {source: a}\ntrain: {shuffle: yes}\n", "true or false", NULL);
    refused("data: {source: a}\nversion: 2\n", "\"version\"", NULL);
}

static void contradictions(void **state)
{
    (void)state;
    refused("name: a\n", "names no data", "source");
    refused("data: {source: a, split: {test: 0.6, validation: 0.5}}\n",
            "leave no rows for training", NULL);
    refused("data: {source: a, split: {by: group}}\n", "need each other", NULL);
    refused("data: {source: a, split: {time: t}}\n", "need each other", NULL);
    refused("data: {source: a, target: t, id: [t]}\n", "also an id", NULL);
    refused("data: {source: a}\nfeatures: {only: [x], drop: [x]}\n",
            "features.only and in features.drop", NULL);
    refused("data: {source: a, split: {validation: 0}}\ntrain: {early_stopping: true}\n",
            "needs validation rows", NULL);
    refused("data: {source: a}\nname: ../x\n", "not a name", NULL);
    refused("data: {source: a}\nevaluate: {retry: {train.epochs: [5]}}\n",
            "without evaluate.accept", NULL);
}

static void yaml_is_strict(void **state)
{
    (void)state;
    refused("data: {source: a}\ndata: {source: b}\n", "stands twice", NULL);
    refused("data: &x {source: a}\n", "anchors", NULL);
    refused("data: {source: !!str a}\n", "tags", NULL);
    refused("data: [", "not valid yaml", NULL);
    refused("just text", "must be a map", "init");
}

static void sets_win(void **state)
{
    struct am_recipe r;
    struct am_recipe_set s[] = {{AM_STR("train.epochs"), AM_STR("7")},
                                {AM_STR("data.split.validation.of"), AM_STR("train")},
                                {AM_STR("model.layers"), AM_STR("[4]")}};
    (void)state;
    assert_int_equal(am_recipe_load(arena, am_str(GOOD), "r.yaml", s, 3, &r, &err), AM_OK);
    assert_int_equal(am_node_i64(am_node_get(r.resolved, "train"), "epochs", 0), 7);
    assert_true(am_str_is(am_node_str(am_node_path(r.resolved, "data.split.validation"), "of", ""),
                          "train"));
    assert_int_equal(am_node_path(r.resolved, "model.layers")->list.n, 1);
    s[0].path = AM_STR("train.epoch");
    assert_int_equal(am_recipe_load(arena, am_str(GOOD), "r.yaml", s, 3, &r, &err), AM_EUSAGE);
    assert_non_null(strstr(err.hint, "epochs"));
}

/* A value from a flag is named by the flag, never by a line of the file. */
static void errors_name_the_flag(void **state)
{
    static const struct {
        const char *path, *value, *message;
    } bad[] = {
        {"model", "{type: mlp, layers: x}", "--set model: \"model.layers\" must be a list"},
        {"model", "{tipe: mlp}", "--set model: unknown key \"tipe\" in \"model\""},
        {"model.layers", "x", "--set model.layers: \"model.layers\" must be"},
        {"train.epoks", "3", "--set train.epoks: unknown key \"epoks\""},
        {"trian.epochs", "3", "--set trian.epochs: unknown key \"trian\""},
        {"data.split", "{test: 2}", "--set data.split: \"data.split.test\" is 2"},
        {"name", "..", "--set name: \"name\" is \"..\""},
        {"data.split", "{by: group}", "--set data.split: "},
    };
    struct am_recipe r;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct am_recipe_set s[] = {{AM_STR("train.epochs"), AM_STR("7")},
                                    {am_str(bad[i].path), am_str(bad[i].value)}};
        assert_int_equal(am_recipe_load(arena, am_str(GOOD), "r.yaml", s, 2, &r, &err), AM_EUSAGE);
        if (strncmp(err.message, bad[i].message, strlen(bad[i].message)) != 0)
            fail_msg("%s=%s: %s", bad[i].path, bad[i].value, err.message);
    }
    struct am_column_desc c[] = {{AM_STR("a"), AM_COL_NUMBER}};
    struct am_schema schema = {c, 1};
    struct am_recipe_set s[] = {{AM_STR("data.target"), AM_STR("nope")}};
    assert_int_equal(
        am_recipe_load(arena, am_str("data: {source: a, target: a}"), "r.yaml", s, 1, &r, &err),
        AM_OK);
    assert_int_equal(am_recipe_check_columns(&r, &schema, &err), AM_EUSAGE);
    assert_non_null(strstr(err.message, "--set data.target: \"data.target\" names column"));
}

static void columns_exist(void **state)
{
    struct am_column_desc c[] = {{AM_STR("age"), AM_COL_NUMBER}, {AM_STR("t"), AM_COL_CATEGORY}};
    struct am_schema schema = {c, 2};
    struct am_recipe r;
    (void)state;
    assert_int_equal(load("data: {source: a, target: t}\nfeatures: {age: {scale: none}}\n", &r),
                     AM_OK);
    assert_int_equal(am_recipe_check_columns(&r, &schema, &err), AM_OK);
    assert_int_equal(load("data: {source: a, target: tt}\n", &r), AM_OK);
    assert_int_equal(am_recipe_check_columns(&r, &schema, &err), AM_EUSAGE);
    assert_non_null(strstr(err.hint, "\"t\""));
    assert_int_equal(load("data: {source: a, target: t}\nfeatures: {agee: {scale: none}}\n", &r),
                     AM_OK);
    assert_int_equal(am_recipe_check_columns(&r, &schema, &err), AM_EUSAGE);
    assert_non_null(strstr(err.message, "line 2, column 12"));
}

static void schema_covers_every_key(void **state)
{
    const struct am_recipe_key *rows;
    size_t n = am_recipe_table(&rows);
    struct am_node *s = am_recipe_schema(arena);
    (void)state;
    assert_true(n > 100);
    assert_non_null(am_node_path(s, "properties.train.properties.learning_rate.anyOf"));
    assert_non_null(am_node_path(s, "properties.model.properties.layers"));
    for (size_t i = 0; i < n; i++) {
        assert_non_null(rows[i].doc);
        assert_true(strlen(rows[i].doc) > 5);
    }
}

static const struct am_node *champion(void *ctx, struct am_str alias)
{
    return am_str_is(alias, "champion") ? ctx : NULL;
}

static bool holds(const char *text, struct am_node *own, struct am_node *other)
{
    struct am_condition c;
    bool yes;
    char why[200];
    assert_int_equal(am_condition_parse(am_str(text), &c, &err), AM_OK);
    assert_int_equal(am_condition_holds(&c, own, champion, other, &yes, why, sizeof why, &err),
                     AM_OK);
    return yes;
}

static void conditions(void **state)
{
    struct am_node *own = am_new_map(arena), *other = am_new_map(arena);
    struct am_condition c;
    (void)state;
    am_node_set(arena, own, "f1", am_new_f64(arena, 0.8));
    am_node_set(arena, own, "log_loss", am_new_f64(arena, 0.3));
    am_node_set(arena, other, "f1", am_new_f64(arena, 0.79));
    assert_true(holds("f1 >= 0.8", own, other));
    assert_false(holds("f1 > 0.8", own, other));
    assert_true(holds("f1 >= champion.f1", own, other));
    assert_false(holds("f1 >= champion.f1 + 0.02", own, other));
    assert_true(holds("f1 > 0.5 and log_loss < 0.4", own, other));
    assert_false(holds("f1 > 0.5 and log_loss < 0.1", own, other));
    assert_true(holds("f1 > nobody.f1", own, other));
    assert_int_equal(am_condition_parse(AM_STR("f1 >="), &c, &err), AM_EUSAGE);
    assert_int_equal(am_condition_parse(AM_STR("f1 0.3"), &c, &err), AM_EUSAGE);
    assert_int_equal(am_condition_parse(AM_STR("f1 > 0.3 or f1 < 1"), &c, &err), AM_EUSAGE);
}

static enum am_rc load_in_own_arena(void)
{
    struct am_arena *a = am_arena_new(0);
    struct am_recipe r;
    struct am_err e;
    enum am_rc rc = a ? am_recipe_load(a, am_str(GOOD), "r.yaml", NULL, 0, &r, &e) : AM_ENOMEM;
    am_arena_free(a);
    return rc;
}

static void survives_failing_memory(void **state)
{
    const struct am_recipe_key *rows;
    (void)state;
    (void)am_recipe_table(&rows); /* made once, before */
    AM_OOM_LOOP(load_in_own_arena(), (void)0);
}

/* ---- models that learn rows ---- */

static const char *text_at(const struct am_recipe *r, const char *path)
{
    struct am_str s = {"", 0};
    const struct am_node *n = am_node_path(r->resolved, path);
    return n && am_node_as_str(n, &s) ? s.ptr : "";
}

static void learns_rows(void **state)
{
    (void)state;
    static const char *const good[][3] = {
        {"data: {source: a}\nmodel: {type: autoencoder}\n", "anomaly", "autoencoder"},
        {"data: {source: a, task: anomaly}\n", "anomaly", "autoencoder"},
        {"data: {source: a, task: embedding}\nmodel: {code: 3}\n", "embedding", "autoencoder"},
        {"data: {source: a, task: anomaly, target: t, normal: 0, train_on: normal}\n", "anomaly",
         "autoencoder"},
        {"data: {source: a, task: anomaly, target: t, normal: [ok, idle], split: {by: "
         "stratified}}\n",
         "anomaly", "autoencoder"}};
    struct am_recipe r;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        if (load(good[i][0], &r) != AM_OK)
            fail_msg("%s: %s", good[i][0], err.message);
        assert_string_equal(text_at(&r, "data.task"), good[i][1]);
        assert_string_equal(text_at(&r, "model.type"), good[i][2]);
        assert_null(am_node_path(r.resolved, "evaluate.threshold"));
        assert_true(am_recipe_learns_rows(r.resolved));
        /* what it resolves to is a recipe again, with the same meaning: verify and resume need it
         */
        struct am_buf yaml;
        am_buf_init(&yaml, 1 << 20);
        am_node_to_yaml(r.resolved, &yaml);
        am_buf_char(&yaml, 0);
        if (load(yaml.ptr, &r) != AM_OK)
            fail_msg("resolved again: %s", err.message);
        am_buf_clear(&yaml);
    }
    assert_int_equal(load("data: {source: a, target: t}\n", &r), AM_OK);
    assert_false(am_recipe_learns_rows(r.resolved));
    assert_non_null(am_node_path(r.resolved, "evaluate.threshold"));
}

static void learns_rows_refused(void **state)
{
    (void)state;
#define ANOMALY "data: {source: a, task: anomaly}\n"
#define LABELS "data: {source: a, task: anomaly, target: t}\n"
    refused(ANOMALY "model: {type: logistic}\n", "data.task is anomaly, but model.type is logistic",
            "autoencoder");
    refused("data: {source: a, task: embedding}\nmodel: {type: baseline}\n", "baseline",
            "autoencoder");
    refused("data: {source: a, target: t, task: regression}\nmodel: {type: autoencoder}\n",
            "data.task is regression, but model.type is autoencoder", "anomaly");
    refused("data: {source: a, task: anomaly, positive: 1}\n", "data.positive", "data.normal");
    refused(LABELS "evaluate: {threshold: 0.4}\n", "evaluate.threshold", "contamination");
    refused(LABELS "evaluate: {threshold: {maximize: f1}}\n", "evaluate.threshold",
            "contamination");
    refused(LABELS "train: {class_weights: balanced}\n", "class_weights", NULL);
    refused(LABELS "features: {c: {encode: target}}\n", "encode: target", "onehot");
    refused(ANOMALY "features: {c: {encode: tokens}}\n", "cannot give", "words");
    refused("data: {source: a, task: anomaly, normal: 0}\n", "data.normal needs labels",
            "data.target");
    refused("data: {source: a, task: anomaly, train_on: normal}\n", "data.train_on needs labels",
            "data.target");
    refused("data: {source: a, target: t, normal: 0}\n", "not anomaly", "data.task");
    refused("data: {source: a, target: t, train_on: normal}\n", "not anomaly", "data.task");
    refused("data: {source: a, task: anomaly, split: {by: stratified}}\n", "needs labels",
            "by: random");
    refused("data: {source: a, task: anomaly, target: t, train_on: normal}\n"
            "evaluate: {folds: 3}\n",
            "folds", "train on all");
    refused("data: {source: a, task: anomaly, train_on: some}\n", "one of all|normal", NULL);
    refused("data: {source: a, task: anomalies}\n", "one of auto|", NULL);
    refused(ANOMALY "model: {contamination: 0.7}\n", "contamination", NULL);
#undef ANOMALY
#undef LABELS
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(learns_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(learns_rows_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(resolves_defaults, setup, teardown),
        cmocka_unit_test_setup_teardown(resolved_reads_back, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_types, setup, teardown),
        cmocka_unit_test_setup_teardown(contradictions, setup, teardown),
        cmocka_unit_test_setup_teardown(yaml_is_strict, setup, teardown),
        cmocka_unit_test_setup_teardown(sets_win, setup, teardown),
        cmocka_unit_test_setup_teardown(errors_name_the_flag, setup, teardown),
        cmocka_unit_test_setup_teardown(columns_exist, setup, teardown),
        cmocka_unit_test_setup_teardown(schema_covers_every_key, setup, teardown),
        cmocka_unit_test_setup_teardown(conditions, setup, teardown),
        cmocka_unit_test_setup_teardown(survives_failing_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
