/* The executor: one memory map per session, then a loop over ready steps. Allocates only when made.
 */
#include "nn/session.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "nn/plan_port.h"

struct am_session {
    struct am_plan *plan; /* one reference */
    float *arena;         /* owned, 64-byte aligned */
    struct am_run run;
    struct am_port_context **port; /* owned; NULL = no step needs one */
    uint64_t *profile;             /* borrowed; NULL = off */
};

enum am_rc am_session_new(struct am_plan *plan, struct am_pool *pool, struct am_session **out,
                          struct am_err *err)
{
    *out = NULL;
    struct am_session *s = am_calloc(1, sizeof *s);
    const size_t n_bytes = (plan->arena_floats ? plan->arena_floats : 16) * sizeof(float);
    if (!s)
        return am_fail_nomem(err, sizeof *s);
    s->arena = am_alloc_tensor(n_bytes);
    if (!s->arena) {
        am_free(s);
        return am_fail_nomem(err, n_bytes);
    }
    memset(s->arena, 0, n_bytes);
    s->plan = am_plan_get(plan);
    const enum am_rc rc = am_ports_contexts_new(plan, &s->port, err);
    if (rc != AM_OK) {
        am_session_free(s);
        return rc;
    }
    s->run.port = s->port;
    s->run.pool = pool;
    s->run.kern = plan->kern;
    s->run.tkern = plan->tkern;
    s->run.base[AM_IN_ARENA] = s->arena;
    s->run.base[AM_IN_CONST] = plan->consts;
    *out = s;
    return AM_OK;
}

void am_session_free(struct am_session *s)
{
    if (!s)
        return;
    am_ports_contexts_free(s->plan, s->port);
    am_plan_put(s->plan);
    am_free(s->arena);
    am_free(s);
}

void am_session_profile(struct am_session *s, uint64_t *ns)
{
    s->profile = ns;
}

static void run_steps(struct am_session *s)
{
    const struct am_plan *p = s->plan;
    const size_t n_rows = s->run.n_rows;
    for (size_t i = 0; i < p->n_steps; i++) {
        const struct am_step *step = &p->steps[i];
        uint64_t t = s->profile ? am_mono_ns() : 0;
        s->run.n_rows = n_rows * step->fold;
        step->run(&s->run, step);
        if (s->profile)
            s->profile[i] += am_mono_ns() - t;
    }
}

/* Read-only inputs share the array of bases with outputs: no step writes where it only reads. */
static float *readable(const float *p)
{
    union {
        const float *in;
        float *out;
    } u = {.in = p};
    return u.out;
}

static enum am_rc check_rows(const struct am_session *s, size_t n_rows, struct am_err *err)
{
    if (n_rows > s->plan->bucket_rows)
        return am_fail(err, AM_EINVAL, "%zu rows given to a plan for at most %zu", n_rows,
                       s->plan->bucket_rows);
    return AM_OK;
}

enum am_rc am_session_run(struct am_session *s, size_t n_rows, const float *x, float *y,
                          struct am_err *err)
{
    if (s->plan->mode != AM_PLAN_INFER)
        return am_fail(err, AM_EINVAL, "am_session_run needs a plan for inference");
    AM_TRY(check_rows(s, n_rows, err));
    if (n_rows == 0)
        return AM_OK;
    s->run.n_rows = n_rows;
    s->run.sparse = NULL;
    s->run.base[AM_IN_X] = readable(x);
    s->run.base[AM_IN_Y] = y;
    s->run.base[AM_IN_PARAMS] = s->plan->shared->data;
    run_steps(s);
    return AM_OK;
}

static enum am_rc check_sparse(const struct am_session *s, const struct am_csr *x, size_t n_rows,
                               struct am_err *err)
{
    if (!s->plan->sparse_x)
        return am_fail(err, AM_EINVAL, "sparse rows given to a plan for dense ones");
    if (x->n_cols != s->plan->n_inputs || x->n_rows < n_rows)
        return am_fail(err, AM_EINVAL, "%zu sparse rows of %zu columns given, %zu of %zu needed",
                       x->n_rows, x->n_cols, n_rows, s->plan->n_inputs);
    return AM_OK;
}

enum am_rc am_session_run_sparse(struct am_session *s, const struct am_csr *x, float *y,
                                 struct am_err *err)
{
    if (s->plan->mode != AM_PLAN_INFER)
        return am_fail(err, AM_EINVAL, "am_session_run_sparse needs a plan for inference");
    AM_TRY(check_rows(s, x->n_rows, err));
    AM_TRY(check_sparse(s, x, x->n_rows, err));
    if (x->n_rows == 0)
        return AM_OK;
    s->run.n_rows = x->n_rows;
    s->run.sparse = x;
    s->run.base[AM_IN_X] = NULL;
    s->run.base[AM_IN_Y] = y;
    s->run.base[AM_IN_PARAMS] = s->plan->shared->data;
    run_steps(s);
    return AM_OK;
}

static enum am_rc check_classes(const struct am_plan *p, const struct am_session_io *io,
                                struct am_err *err)
{
    const size_t cols = p->mixed ? 3 : 1; /* a class; or two of them and a share */
    for (size_t i = 0; p->n_classes && i < io->n_rows * cols; i++) {
        const float t = io->target[i];
        if (i % cols == 2 && !(t >= 0.0f && t <= 1.0f))
            return am_fail(err, AM_EINVAL, "the share %g of row %zu is not in 0..1", (double)t,
                           i / cols);
        if (i % cols < 2 && (!(t >= 0.0f && t < (float)p->n_classes) || t != floorf(t)))
            return am_fail(err, AM_EINVAL, "target %g of row %zu is not a class in 0..%zu",
                           (double)t, i / cols, p->n_classes - 1);
    }
    return AM_OK;
}

enum am_rc am_session_run_io(struct am_session *s, struct am_session_io *io, struct am_err *err)
{
    const struct am_plan *p = s->plan;
    if (p->mode == AM_PLAN_INFER)
        return am_fail(err, AM_EINVAL, "am_session_run_io needs a plan for training or evaluation");
    AM_TRY(check_rows(s, io->n_rows, err));
    if (io->sparse)
        AM_TRY(check_sparse(s, io->sparse, io->n_rows, err));
    if (!io->params || (io->n_rows && ((!io->x && !io->sparse) || !io->target)) ||
        (p->mode == AM_PLAN_TRAIN && !io->grads))
        return am_fail(err, AM_EINVAL, "a run needs x, target, params, and grads when it trains");
    AM_TRY(check_classes(p, io, err));
    io->loss = io->weight_sum = 0;
    s->run.n_rows = io->n_rows;
    s->run.seed = io->seed;
    s->run.step = io->step;
    s->run.mass = io->mass;
    s->run.loss = &io->loss;
    s->run.weight_sum = &io->weight_sum;
    s->run.sparse = io->sparse;
    s->run.base[AM_IN_X] = io->sparse ? NULL : readable(io->x);
    s->run.base[AM_IN_TARGET] = readable(io->target);
    s->run.base[AM_IN_WEIGHT] = readable(io->weight);
    s->run.base[AM_IN_PARAMS] = io->params;
    s->run.base[AM_IN_GRADS] = io->grads;
    s->run.base[AM_IN_Y] = io->y ? io->y : s->arena + p->y_offset;
    run_steps(s);
    return AM_OK;
}
