/* A small network around one convolution or pool, for the suites of the kernel port.
 *
 * conv 1x1 "first" (so that the op in the middle gets a gradient by its input) - the op under test
 * - flatten. The including test defines MUST. */
#ifndef AM_TESTS_KERNELS_RIG_H
#define AM_TESTS_KERNELS_RIG_H

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "base/rng.h"
#include "nn/layers.h"
#include "nn/layers_conv.h"
#include "nn/layers_shape.h"
#include "nn/session.h"
#include "nn/train_plan.h"
#include "tensor/kernel_port.h"

struct shape {
    const char *name;
    int64_t h, w, c, n; /* n = 0: a pool */
    struct am_conv_options o;
    struct am_pool_options p;
    bool norm;
    unsigned served; /* steps that the library must serve at inference; 1 of them is "first" */
};

struct rig {
    struct am_graph *g;
    struct am_params *p;
    size_t rows, cols, out;
    float *x, *target, *y, *grads;
};

static struct am_err err;
#define MUST(call)                                                                                 \
    do {                                                                                           \
        am_err_clear(&err);                                                                        \
        if ((call) != AM_OK)                                                                       \
            fail_msg("%s: %s", #call, err.message);                                                \
    } while (0)

static float *normals(size_t n, uint64_t seed)
{
    struct am_rng r;
    float *p = am_alloc_array(n, sizeof *p);
    am_rng_init(&r, seed, AM_RNG_USER);
    for (size_t i = 0; i < n; i++)
        p[i] = (float)am_rng_normal(&r);
    return p;
}

static void set_up(struct rig *r, const struct shape *s, size_t rows)
{
    const int64_t picture[3] = {s->h, s->w, s->c};
    const struct am_conv_options one = {
        .kernel = {1, 1}, .init = AM_INIT_NORMAL, .init_scale = 0.4f};
    struct am_conv_options o = s->o;
    memset(r, 0, sizeof *r);
    r->rows = rows;
    r->cols = (size_t)(s->h * s->w * s->c);
    o.init = AM_INIT_NORMAL;
    o.init_scale = 0.2f;
    MUST(am_graph_new(&r->g, &err));
    am_value x = am_graph_input(r->g, "x", am_dims2(AM_DIM_BATCH, (int64_t)r->cols));
    x = am_layer_reshape(r->g, x, picture, 3, NULL);
    x = am_layer_conv2d(r->g, x, s->c, &one, "first");
    x = s->n > 0 ? am_layer_conv2d(r->g, x, s->n, &o, "second")
                 : am_layer_pool2d(r->g, x, &s->p, NULL);
    if (s->norm)
        x = am_layer_activation(r->g, am_layer_batch_norm(r->g, x, 1e-3f, 0.1f, "norm"),
                                AM_ACT_RELU, 0);
    x = am_layer_flatten(r->g, x, NULL);
    am_graph_output(r->g, "y", x);
    MUST(am_graph_check(r->g, &err));
    r->out = am_dims_cols(&am_graph_node(r->g, x)->dims);
    MUST(am_params_new(r->g, &r->p, &err));
    am_params_init(r->p, 3);
    for (size_t i = 0; i < r->p->n_floats; i++)
        r->p->data[i] += 0.01f * (float)(i % 11) + (s->norm ? 0.05f : 0.0f);
    MUST(am_params_twin(r->p, &r->grads, &err));
    r->x = normals(rows * r->cols, 5);
    r->target = normals(rows * r->out, 6);
    r->y = am_alloc_array(rows * r->out, sizeof(float));
}

static void tear_down(struct rig *r)
{
    am_free(r->x);
    am_free(r->target);
    am_free(r->y);
    am_free(r->grads);
    am_params_free(r->p);
    am_graph_free(r->g);
}

/* Answers of all rows, `bucket` at a time, without the library by the plain kernels; returns the
 * steps that the library served. */
static size_t infer(struct rig *r, enum am_plan_library library, struct am_pool *pool,
                    size_t bucket, float *y)
{
    const struct am_plan_options o = {.mode = AM_PLAN_INFER,
                                      .bucket_rows = bucket,
                                      .kernels =
                                          library == AM_PLAN_LIBRARY_NONE ? &am_kernels_ref : NULL,
                                      .library = library};
    struct am_plan *plan;
    struct am_session *s;
    MUST(am_plan_build(r->g, r->p, &o, &plan, &err));
    MUST(am_session_new(plan, pool, &s, &err));
    for (size_t at = 0; at < r->rows; at += bucket) {
        const size_t n = r->rows - at < bucket ? r->rows - at : bucket;
        MUST(am_session_run(s, n, r->x + at * r->cols, y + at * r->out, &err));
    }
    const size_t n = am_plan_n_library_steps(plan);
    am_session_free(s);
    am_plan_put(plan);
    return n;
}

/* Loss and, in r->grads, gradients of one step; bucket >= rows. */
static double train(struct rig *r, enum am_plan_library library, struct am_pool *pool,
                    size_t bucket, size_t *served)
{
    const struct am_loss_spec spec = {.kind = AM_LOSS_MSE};
    struct am_plan *plan;
    struct am_session *s;
    if (library == AM_PLAN_LIBRARY_NONE)
        MUST(am_train_plan_build_with(r->g, r->p, &spec, bucket, &am_kernels_ref, &plan, &err));
    else
        MUST(am_train_plan_build_library(r->g, r->p, &spec, bucket, library, &plan, &err));
    MUST(am_session_new(plan, pool, &s, &err));
    struct am_session_io io = {
        .n_rows = r->rows, .x = r->x, .target = r->target, .params = r->p->data, .grads = r->grads};
    MUST(am_session_run_io(s, &io, &err));
    *served = am_plan_n_library_steps(plan);
    am_session_free(s);
    am_plan_put(plan);
    return io.loss;
}

#endif
