/* What the fault tests share: a folder of their own, forty rows, a recipe of one second's work, and
 * the state of a workspace as three texts that can be compared.
 *
 * Header-only; the folder is removed by fixture_drop. Texts hold what the registry answers (names,
 * versions, hashes, aliases, tags, states), so equal texts are equal contents. One thread. */
#ifndef AM_TESTS_FAULT_FIXTURE_H
#define AM_TESTS_FAULT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/fs.h"
#include "conformance/stores.h"
#include "registry/registry.h"

#define OK(call)                                                                                   \
    do {                                                                                           \
        enum am_rc ok_rc_ = (call);                                                                \
        if (ok_rc_ != AM_OK)                                                                       \
            fail_msg("%s: %s: %s", #call, am_rc_name(ok_rc_), err.message);                        \
    } while (0)

static struct am_err err;
static char base[256], csv[300], pkg[300];

#define FIXTURE_ROWS 40

/* The folder with rows.csv and a file that stands for a package. */
static inline void fixture_make(const char *name)
{
    char text[4096];
    size_t n = (size_t)snprintf(text, sizeof text, "id,a,b,y\n");
    (void)snprintf(base, sizeof base, "%s/am-%s-XXXXXX", am_test_dir(), name);
    assert_non_null(mkdtemp(base));
    (void)snprintf(csv, sizeof csv, "%s/rows.csv", base);
    (void)snprintf(pkg, sizeof pkg, "%s/some.aim", base);
    for (int i = 0; i < FIXTURE_ROWS; i++) {
        int a = i * 37 % 100, b = i * 53 % 97;
        n += (size_t)snprintf(text + n, sizeof text - n, "%d,%d.5,%d.25,%s\n", i, a, b,
                              a + b > 98 ? "p" : "q");
    }
    OK(am_fs_write_file(csv, text, n, &err));
    OK(am_fs_write_file(pkg, "package one", 11, &err));
}

static inline void fixture_drop(void)
{
    OK(am_fs_remove_tree(base, &err));
}

/* Small and deterministic; logistic has an exact solver, so no epochs. */
static inline void fixture_recipe(char *out, size_t cap)
{
    (void)snprintf(out, cap,
                   "version: 1\nname: tiny\n"
                   "data: {source: %s, target: y, id: [id], split: {test: 0.2, validation: 0}}\n"
                   "model: {type: logistic}\n"
                   "evaluate: {metrics: [accuracy], bootstrap: 0, importance: false}\n"
                   "register: {alias: champion}\n",
                   csv);
}

/* ---- the state of a workspace ---- */

enum { STATE_DATASETS, STATE_MODELS, STATE_RUNS, STATE_N };
struct state {
    char *text[STATE_N]; /* owned; NULL = none yet */
};

static inline void state_clear(struct state *s)
{
    for (int i = 0; i < STATE_N; i++) {
        am_free(s->text[i]);
        s->text[i] = NULL;
    }
}

static inline void state_add(struct am_buf *b, const struct am_node *n)
{
    am_node_to_json(n, AM_JSON_COMPACT, b);
    am_buf_cstr(b, "\n");
}

/* A run of a process that is gone shows as interrupted: so does a living one here. */
static inline void state_still(char *text)
{
    static const char *const words[] = {"\"running\"", "\"interrupted\""};
    static const char word[] = "\"stopped\"";
    size_t n = sizeof word - 1;
    for (int i = 0; i < 2; i++)
        for (char *p = text; (p = strstr(p, words[i])); p += n) {
            memcpy(p, word, n);
            memmove(p + n, p + strlen(words[i]), strlen(p + strlen(words[i])) + 1);
        }
}

static inline enum am_rc state_read(struct am_registry *r, struct state *s, struct am_err *e)
{
    struct am_buf b[STATE_N];
    struct am_node *out = NULL;
    enum am_rc rc;
    struct am_arena *a = am_arena_new(0);
    assert_non_null(a);
    for (int i = 0; i < STATE_N; i++)
        am_buf_init(&b[i], (size_t)1 << 22);
    AM_GO(rc, am_registry_datasets(r, a, NULL, &out, e));
    state_add(&b[STATE_DATASETS], out);
    AM_GO(rc, am_registry_models(r, a, NULL, &out, e));
    state_add(&b[STATE_MODELS], out);
    AM_GO(rc, am_registry_versions(r, a, NULL, &out, e));
    state_add(&b[STATE_MODELS], out);
    AM_GO(rc, am_registry_runs(r, a, NULL, &out, e));
    state_add(&b[STATE_RUNS], out);
    for (int i = 0; i < STATE_N; i++) {
        s->text[i] = am_strndup(b[i].ptr, b[i].len);
        assert_non_null(s->text[i]);
        state_still(s->text[i]);
    }
out:
    for (int i = 0; i < STATE_N; i++)
        am_buf_clear(&b[i]);
    am_arena_free(a);
    return rc;
}

/* Reads every blob that a row names; *n_bad of them are missing or changed. */
static inline enum am_rc state_scrub(struct am_registry *r, size_t *n_bad, struct am_err *e)
{
    struct am_node *out = NULL;
    struct am_arena *a = am_arena_new(0);
    assert_non_null(a);
    enum am_rc rc = am_registry_scrub(r, a, &out, e);
    if (rc == AM_OK)
        *n_bad = am_node_get(out, "bad")->list.n;
    am_arena_free(a);
    return rc;
}

#endif
