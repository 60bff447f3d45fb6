/* Where train.weights is read from: beside the recipe, from the run's own artefact, never for a
 * recipe that somebody else sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "pipeline/train_int.h"

static struct am_err err;
static char dir[200], file[300];

static int setup(void **state)
{
    const char *tmp = getenv("TMPDIR");
    int fd;
    (void)state;
    snprintf(dir, sizeof dir, "%s", tmp ? tmp : "/tmp");
    if (am_fs_temp(dir, "aimass-weights", file, sizeof file, &fd, &err) != AM_OK)
        return -1;
    return am_fs()->close(fd);
}

static int teardown(void **state)
{
    (void)state;
    return am_fs()->unlink(file);
}

static void load(struct am_training *t, const char *weights)
{
    char text[900];
    snprintf(text, sizeof text, "data: {source: a.csv, target: y}\ntrain: {epochs: 2%s%s}\n",
             weights[0] ? ", " : "", weights);
    memset(t, 0, sizeof *t);
    t->p.arena = am_arena_new(0);
    if (am_recipe_load(t->p.arena, am_str(text), "r.yaml", NULL, 0, &t->p.recipe, &err) != AM_OK)
        fail_msg("%s", err.message);
}

static void test_beside(void **state)
{
    struct am_training t;
    struct am_recipe_source src = {.base_dir = dir};
    struct am_buf b;
    char text[400];
    (void)state;
    load(&t, "");
    assert_int_equal(am_training_weights_find(&t, &src, NULL, &err), AM_OK);
    assert_null(t.weights_path);
    am_arena_free(t.p.arena);
    /* relative to the recipe's folder; the short form and the map are one */
    for (int map = 0; map < 2; map++) {
        const char *name = strrchr(file, '/') + 1;
        snprintf(text, sizeof text, map ? "weights: {file: %s}" : "weights: %s", name);
        load(&t, text);
        assert_int_equal(am_training_weights_find(&t, &src, NULL, &err), AM_OK);
        assert_string_equal(t.weights_path, file);
        am_buf_init(&b, 100);
        assert_int_equal(am_training_weights_read(t.weights_path, AM_STR("x"), &b, &err), AM_OK);
        am_buf_clear(&b);
        am_arena_free(t.p.arena);
    }
    /* absolute paths stay */
    snprintf(text, sizeof text, "weights: {file: %s}", file);
    load(&t, text);
    src.base_dir = "/nowhere";
    assert_int_equal(am_training_weights_find(&t, &src, NULL, &err), AM_OK);
    assert_string_equal(t.weights_path, file);
    am_arena_free(t.p.arena);
    load(&t, "weights: {file: w.npz}");
    assert_int_equal(am_training_weights_find(&t, &src, NULL, &err), AM_ENOTFOUND);
    assert_non_null(strstr(err.message, "line 2"));
    assert_non_null(strstr(err.message, "/nowhere/w.npz"));
    am_arena_free(t.p.arena);
}

static void test_foreign(void **state)
{
    struct am_training t;
    const struct am_recipe_source src = {.base_dir = dir, .foreign = true};
    char text[400];
    (void)state;
    snprintf(text, sizeof text, "weights: {file: %s}", file);
    load(&t, text);
    assert_int_equal(am_training_weights_find(&t, &src, NULL, &err), AM_EPERM);
    assert_null(t.weights_path);
    am_arena_free(t.p.arena);
    load(&t, "weights: {file: w.npz}"); /* whether it is there or not: the answer is the same */
    assert_int_equal(am_training_weights_find(&t, &src, NULL, &err), AM_EPERM);
    am_arena_free(t.p.arena);
    load(&t, "");
    assert_int_equal(am_training_weights_find(&t, &src, NULL, &err), AM_OK);
    am_arena_free(t.p.arena);
}

/* A run that is resumed or verified reads what it kept. */
static void test_artefact(void **state)
{
    struct am_training t;
    const struct am_recipe_source src = {.base_dir = NULL};
    struct am_node *run;
    char text[900];
    (void)state;
    load(&t, "weights: {file: gone.npz}");
    snprintf(
        text, sizeof text,
        "{\"artefacts\": [{\"name\": \"report.json\", \"path\": \"/r\"}, {\"name\": \"weights\", "
        "\"path\": \"%s\"}]}",
        file);
    assert_int_equal(am_json_parse(t.p.arena, am_str(text), "run", &run, &err), AM_OK);
    assert_int_equal(am_training_weights_find(&t, &src, run, &err), AM_OK);
    assert_string_equal(t.weights_path, file);
    assert_int_equal(am_json_parse(t.p.arena, AM_STR("{\"artefacts\": []}"), "run", &run, &err),
                     AM_OK);
    assert_int_equal(am_training_weights_find(&t, &src, run, &err), AM_ENOTFOUND);
    am_arena_free(t.p.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_beside),
        cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_artefact),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
