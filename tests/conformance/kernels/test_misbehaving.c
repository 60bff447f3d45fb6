/* Plans over a driver of the kernel port that refuses, fails, runs out of memory or is not there:
 * our own kernels serve what it does not, a demanded library that is missing is one clear error,
 * and what fails inside a step is seen in the answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "platform/modules.h"
#include "rig.h"
#include "tensor/ports_abi.h"

static const struct shape shape = {
    "3x3", 8, 8, 16, 32, {.kernel = {3, 3}, .same = true, .act = AM_ACT_RELU}, .served = 2};

/* ---- the driver ---- */

enum mode { REFUSES, NO_MEMORY, SECOND_FAILS, NO_CONTEXT, FAILS_IN_A_STEP, CANNOT_PACK, SLOW };
static enum mode mode;
static long n_made, n_contexts, n_live;

struct am_port_primitive {
    struct am_port_info info;
    struct am_port_task task;
};
struct am_port_context {
    const struct am_port_primitive *p;
};

static enum am_rc start(const struct am_host *host, struct am_err *e)
{
    (void)host;
    (void)e;
    return AM_OK;
}

static const char *version(void)
{
    return "misbehaving 1";
}

static size_t no_block(void)
{
    return 0;
}

static enum am_rc make(const struct am_port_task *t, const struct am_port_primitive *like,
                       struct am_port_primitive **out, struct am_err *e)
{
    (void)like;
    *out = NULL;
    n_made++;
    if (mode == REFUSES)
        return am_fail(e, AM_EINVAL, "only a reference implementation");
    if (mode == NO_MEMORY || (mode == SECOND_FAILS && n_made == 2))
        return am_fail_nomem(e, 1);
    struct am_port_primitive *p = am_calloc(1, sizeof *p);
    assert_non_null(p);
    p->task = *t;
    p->info = (struct am_port_info){"misbehaving", t->kernel[0] * t->kernel[1] * t->c * t->n, 16};
    n_live++;
    *out = p;
    return AM_OK;
}

static const struct am_port_info *info(const struct am_port_primitive *p)
{
    return &p->info;
}

static void drop(struct am_port_primitive *p)
{
    n_live -= p != NULL;
    am_free(p);
}

static enum am_rc context_new(const struct am_port_primitive *p, struct am_port_context **out,
                              struct am_err *e)
{
    *out = NULL;
    if (mode == NO_CONTEXT && ++n_contexts > 5)
        return am_fail_nomem(e, 1);
    struct am_port_context *c = am_calloc(1, sizeof *c);
    assert_non_null(c);
    c->p = p;
    n_live++;
    *out = c;
    return AM_OK;
}

static void context_free(struct am_port_context *c)
{
    n_live -= c != NULL;
    am_free(c);
}

static bool copy(struct am_port_context *c, const float *from, float *to)
{
    memcpy(to, from, c->p->info.weight_floats * sizeof *to);
    return mode != CANNOT_PACK;
}

static bool run(struct am_port_context *c, const struct am_port_args *a)
{
    const struct am_port_task *t = &c->p->task;
    const size_t n = t->kind == AM_PORT_CONV_DW   ? c->p->info.weight_floats
                     : t->kind == AM_PORT_CONV_DX ? t->h * t->w * t->c
                                                  : t->out_h * t->out_w * t->n;
    /* so slow that no timing, however loaded the machine, prefers it */
    for (const uint64_t began = am_mono_ns(); mode == SLOW && am_mono_ns() - began < 2000000;)
        ;
    memset(a->out, 0, n * sizeof(float));
    return mode != FAILS_IN_A_STEP;
}

static const struct am_kernel_port_ops ops = {.abi = AM_PORTS_ABI,
                                              .size = sizeof ops,
                                              .name = "kernels-misbehaving",
                                              .start = start,
                                              .version = version,
                                              .block = no_block,
                                              .make = make,
                                              .info = info,
                                              .drop = drop,
                                              .context_new = context_new,
                                              .context_free = context_free,
                                              .pack = copy,
                                              .unpack = copy,
                                              .run = run};

static enum am_rc open_it(void *ctx, const struct am_kernel_port_ops **out, struct am_err *e)
{
    (void)ctx;
    (void)e;
    *out = &ops;
    return AM_OK;
}

static enum am_rc open_nothing(void *ctx, const struct am_kernel_port_ops **out, struct am_err *e)
{
    const struct am_module_spec spec = {"kernels-nobody", AM_PORTS_ABI, sizeof ops,
                                        "Install the Debian package nobody."};
    const void *found;
    (void)ctx;
    *out = NULL;
    return am_module_open(NULL, &spec, &found, e);
}

static void behave(enum mode how)
{
    const struct am_kernel_port_loader l = {.open = open_it};
    mode = how;
    n_made = n_contexts = 0;
    am_kernel_port_set_loader(&l);
}

/* ---- the tests ---- */

static enum am_rc build(const struct rig *r, enum am_plan_library library, struct am_plan **plan)
{
    const struct am_plan_options o = {.mode = AM_PLAN_INFER, .bucket_rows = 3, .library = library};
    return am_plan_build(r->g, r->p, &o, plan, &err);
}

static void refused_everything(void **state)
{
    struct rig r;
    size_t served;
    (void)state;
    set_up(&r, &shape, 3);
    float *y = am_alloc_array(r.rows * r.out, sizeof *y);
    am_kernel_port_set_loader(NULL);
    assert_int_equal(infer(&r, AM_PLAN_LIBRARY_TIMED, NULL, 3, r.y), 0);
    behave(REFUSES);
    assert_int_equal(infer(&r, AM_PLAN_LIBRARY_ALL, NULL, 3, y), 0);
    assert_memory_equal(r.y, y, r.rows * r.out * sizeof *y);
    assert_true(n_made >= 2);
    (void)train(&r, AM_PLAN_LIBRARY_ALL, NULL, 3, &served);
    assert_int_equal(served, 0);
    assert_int_equal(n_live, 0);
    am_free(y);
    tear_down(&r);
}

static void out_of_memory(void **state)
{
    static const enum mode modes[] = {NO_MEMORY, SECOND_FAILS, NO_CONTEXT};
    struct am_session *s = NULL;
    struct am_plan *plan;
    struct rig r;
    (void)state;
    set_up(&r, &shape, 3);
    for (size_t i = 0; i < 3; i++) {
        behave(modes[i]);
        enum am_rc rc = build(&r, AM_PLAN_LIBRARY_ALL, &plan);
        if (rc == AM_OK) { /* contexts come with the session */
            assert_int_equal(modes[i], NO_CONTEXT);
            rc = am_session_new(plan, NULL, &s, &err);
            am_plan_put(plan);
        }
        assert_int_equal(rc, AM_ENOMEM);
        assert_int_equal(n_live, 0);
    }
    tear_down(&r);
}

/* What could not be computed is no number. */
static void fails_in_a_step(void **state)
{
    struct rig r;
    size_t served;
    (void)state;
    set_up(&r, &shape, 3);
    behave(FAILS_IN_A_STEP);
    assert_int_equal(infer(&r, AM_PLAN_LIBRARY_ALL, NULL, 3, r.y), 2);
    for (size_t i = 0; i < r.rows * r.out; i++)
        assert_true(isnan(r.y[i]));
    assert_true(isnan(train(&r, AM_PLAN_LIBRARY_ALL, NULL, 3, &served)));
    assert_int_equal(n_live, 0);
    tear_down(&r);
}

static void cannot_pack(void **state)
{
    struct am_plan *plan;
    struct rig r;
    size_t served;
    (void)state;
    set_up(&r, &shape, 3);
    behave(CANNOT_PACK);
    assert_int_equal(build(&r, AM_PLAN_LIBRARY_ALL, &plan), AM_EINTERNAL);
    assert_true(isnan(train(&r, AM_PLAN_LIBRARY_ALL, NULL, 3, &served)));
    assert_int_equal(n_live, 0);
    tear_down(&r);
}

/* Timed: what is slower is not taken, and the shape is not asked again. */
static void slower_is_not_taken(void **state)
{
    struct rig r;
    (void)state;
    set_up(&r, &shape, 3);
    behave(SLOW);
    assert_int_equal(infer(&r, AM_PLAN_LIBRARY_TIMED, NULL, 3, r.y), 0);
    const long asked = n_made;
    assert_true(asked > 0);
    assert_int_equal(infer(&r, AM_PLAN_LIBRARY_TIMED, NULL, 2, r.y), 0);
    assert_int_equal(n_made, asked);
    assert_int_equal(n_live, 0);
    tear_down(&r);
}

/* Choices kept elsewhere: known ones are not measured, another process may be first, and what
 * cannot be kept is ours. */
static bool known, keeps, others;
static long n_recalled, n_kept;

static bool recall_choice(const char *key, bool *library)
{
    assert_non_null(strstr(key, "misbehaving 1"));
    n_recalled++;
    *library = true;
    return known;
}

static bool keep_choice(const char *key, bool *library)
{
    assert_null(strchr(key, '\t'));
    n_kept++;
    *library = others;
    return keeps;
}

static void choices_are_kept(void **state)
{
    static const struct am_plan_choices choices = {recall_choice, keep_choice};
    static const struct {
        bool known, keeps, others;
        size_t served;
        long kept;
    } cases[] = {{true, false, false, 2, 0},
                 {false, true, true, 2, 2},
                 {false, true, false, 0, 2},
                 {false, false, true, 0, 2}};
    struct rig r;
    (void)state;
    behave(SLOW);
    am_plan_set_choices(&choices);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct shape s = shape;
        s.h = 20 + (int64_t)i; /* shapes that this process does not know yet */
        s.w = 20;
        known = cases[i].known;
        keeps = cases[i].keeps;
        others = cases[i].others;
        n_recalled = n_kept = 0;
        set_up(&r, &s, 1);
        assert_int_equal(infer(&r, AM_PLAN_LIBRARY_TIMED, NULL, 1, r.y), cases[i].served);
        assert_int_equal(n_recalled, 2);
        assert_int_equal(n_kept, cases[i].kept);
        assert_int_equal(infer(&r, AM_PLAN_LIBRARY_TIMED, NULL, 1, r.y), cases[i].served);
        assert_int_equal(n_recalled, 2); /* the process remembers */
        tear_down(&r);
    }
    am_plan_set_choices(NULL);
    assert_int_equal(n_live, 0);
}

static void missing(void **state)
{
    const struct am_kernel_port_loader l = {.open = open_nothing};
    const struct am_loss_spec spec = {.kind = AM_LOSS_MSE};
    const char *profile;
    struct am_plan *plan;
    struct rig r;
    (void)state;
    set_up(&r, &shape, 3);
    for (int none = 0; none < 2; none++) {
        am_kernel_port_set_loader(none ? NULL : &l);
        assert_int_equal(infer(&r, AM_PLAN_LIBRARY_TIMED, NULL, 3, r.y), 0);
        assert_int_equal(build(&r, AM_PLAN_LIBRARY_ALL, &plan), AM_EMISSING);
        assert_int_equal(
            am_train_plan_build_library(r.g, r.p, &spec, 3, AM_PLAN_LIBRARY_TABLE, &plan, &err),
            AM_EMISSING);
        assert_int_equal(am_kernel_port_profile(&profile, &err), AM_EMISSING);
        assert_true(none || strstr(err.hint, "Install the Debian package nobody."));
    }
    tear_down(&r);
}

static void wishes(void **state)
{
    (void)state;
    unsetenv("AIMASS_DNNL");
    assert_int_equal(am_plan_library_wish(), AM_PLAN_LIBRARY_TIMED);
    setenv("AIMASS_DNNL", "on", 1);
    assert_int_equal(am_plan_library_wish(), AM_PLAN_LIBRARY_ALL);
    setenv("AIMASS_DNNL", "off", 1);
    assert_int_equal(am_plan_library_wish(), AM_PLAN_LIBRARY_NONE);
    setenv("AIMASS_DNNL", "auto", 1);
    assert_int_equal(am_plan_library_wish(), AM_PLAN_LIBRARY_TIMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_everything),  cmocka_unit_test(out_of_memory),
        cmocka_unit_test(fails_in_a_step),     cmocka_unit_test(cannot_pack),
        cmocka_unit_test(slower_is_not_taken), cmocka_unit_test(missing),
        cmocka_unit_test(choices_are_kept),    cmocka_unit_test(wishes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
