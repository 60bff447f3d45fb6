/* The file of kernel choices: the first line of a shape counts, lines of others and damage do not
 * matter, and what cannot be written is not kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "nn/plan.h"
#include "platform/platform_int.h"

static char dir[] = "/tmp/aimass-choices-XXXXXX";
static char file[64];

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    (void)snprintf(file, sizeof file, "%s/kernel-choices", dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return am_fs_remove_tree(dir, NULL) == AM_OK ? 0 : -1;
}

static void add(const char *text)
{
    FILE *f = fopen(file, "a");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static size_t read_all(char *out, size_t cap)
{
    FILE *f = fopen(file, "r");
    assert_non_null(f);
    const size_t n = fread(out, 1, cap - 1, f);
    out[n] = '\0';
    fclose(f);
    return n;
}

static void kept_and_recalled(void **state)
{
    const struct am_plan_choices *c = am_platform_keep_choices(dir);
    bool library = true;
    (void)state;
    assert_false(c->recall("conv a", &library));
    assert_true(c->keep("conv a", &library));
    assert_true(library);
    library = false;
    assert_true(c->keep("conv b", &library));
    assert_true(c->recall("conv a", &library) && library);
    assert_true(c->recall("conv b", &library) && !library);
    assert_false(c->recall("conv", &library));
    assert_false(c->recall("conv a2", &library));
}

/* Another process appended first: its choice stands. */
static void the_first_counts(void **state)
{
    const struct am_plan_choices *c = am_platform_keep_choices(dir);
    bool library = true;
    (void)state;
    assert_true(c->keep("conv a", &library)); /* said "library" before */
    library = false;
    assert_true(c->keep("conv a", &library));
    assert_true(library);
}

static void damage_and_other_machines(void **state)
{
    const struct am_plan_choices *c = am_platform_keep_choices(dir);
    bool library = true;
    (void)state;
    add("another cpu\tconv c\tlibrary\n\t\t\n\n");
    assert_false(c->recall("conv c", &library));
    add("half a li"); /* a crash */
    library = false;
    assert_true(c->keep("conv c", &library));
    library = true;
    assert_true(c->recall("conv c", &library) && !library);
    assert_true(c->recall("conv b", &library) && !library);
}

static void a_word_that_is_none(void **state)
{
    const struct am_plan_choices *c = am_platform_keep_choices(dir);
    char text[4096], line[256];
    bool library = false;
    (void)state;
    (void)read_all(text, sizeof text);
    const char *tab = strchr(text, '\t'), *from = tab;
    assert_non_null(tab);
    while (from > text && from[-1] != '\n')
        from--;
    (void)snprintf(line, sizeof line, "%.*s\tconv d\tmaybe\n", (int)(tab - from), from);
    add(line);
    assert_false(c->recall("conv d", &library));
    assert_true(c->keep("conv d", &library));
    assert_true(c->recall("conv d", &library) && !library);
}

/* The file was opened before: it can be gone, or no longer be opened, and serves. */
static void held_open(void **state)
{
    const struct am_plan_choices *c = am_platform_keep_choices(dir);
    bool library = true;
    (void)state;
    am_platform_hold(NULL);
    am_platform_hold(NULL);
    assert_int_equal(unlink(file), 0);
    assert_true(c->recall("conv b", &library) && !library);
    library = true;
    assert_true(c->keep("conv f", &library));
    assert_true(c->recall("conv f", &library) && library);
    c = am_platform_keep_choices(dir); /* another workspace: closed */
    assert_false(c->recall("conv f", &library));
}

static void cannot_be_kept(void **state)
{
    const struct am_plan_choices *c = am_platform_keep_choices(dir);
    char key[1024];
    bool library = true;
    (void)state;
    am_fs_fail_nth(1, 28, true); /* no space */
    assert_false(c->keep("conv e", &library));
    am_fs_fail_nth(0, 0, false);
    assert_false(c->recall("conv e", &library));
    memset(key, 'k', sizeof key);
    key[sizeof key - 1] = '\0';
    assert_false(c->keep(key, &library));
    assert_false(c->recall(key, &library));
    c = am_platform_keep_choices("/nonexistent/folder");
    assert_false(c->keep("conv a", &library));
    assert_false(c->recall("conv a", &library));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept_and_recalled),
        cmocka_unit_test(the_first_counts),
        cmocka_unit_test(damage_and_other_machines),
        cmocka_unit_test(a_word_that_is_none),
        cmocka_unit_test(held_open),
        cmocka_unit_test(cannot_be_kept),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
