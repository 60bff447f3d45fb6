/* Times a training step of a CNN on our engine: conv 3x3 32 - max pool - conv 3x3 64 - max pool -
 * 128
 * - 10 on 28x28x1 pictures (relu, softmax cross-entropy, Adam).
 *
 * Driven by bench/cnn_peers.py over a line protocol, so that its rounds alternate with the peers':
 * in "step BATCH STEPS" or "loop BATCH STEPS", out the seconds of one step. "step" is forward,
 * loss, gradients and update on a batch in memory, as the peers do it; "loop" is am_train_run with
 * its shuffle, gather and bookkeeping. "memory BATCH 1" gives the bytes of a training step: values,
 * scratch, parameters, gradients and moments. Argument: threads. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/pool.h"
#include "base/rng.h"
#include "nn/layers_conv.h"
#include "nn/layers_shape.h"
#include "nn/plan.h"
#include "nn/session.h"
#include "nn/train.h"
#include "nn/train_plan.h"

enum { SIDE = 28, IN = SIDE * SIDE, HIDDEN = 128, OUT = 10, ROWS = 1024 };

static struct am_pool *pool;
static struct am_matrix *matrix;
static struct am_graph *graph;
static struct am_params *params;

static void must(enum am_rc rc, const struct am_err *err)
{
    if (rc == AM_OK)
        return;
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

static void make_rows(void)
{
    struct am_rng r;
    struct am_err err;
    float x[IN];
    am_rng_init(&r, 1, AM_RNG_USER);
    must(am_matrix_new(IN, 1, NULL, &matrix, &err), &err);
    for (int i = 0; i < ROWS; i++) {
        float y = (float)am_rng_below(&r, OUT);
        for (int j = 0; j < IN; j++)
            x[j] = (float)am_rng_normal(&r);
        must(am_matrix_append(matrix, 1, x, &y, NULL, &err), &err);
    }
    must(am_matrix_finish(matrix, &err), &err);
}

static am_value conv_and_pool(am_value x, int64_t n_filters, const char *name)
{
    const struct am_conv_options conv = {
        .kernel = {3, 3}, .same = true, .act = AM_ACT_RELU, .init = AM_INIT_HE_UNIFORM};
    const struct am_pool_options pool2 = {.how = AM_POOLING_MAX, .kernel = {2, 2}};
    return am_layer_pool2d(graph, am_layer_conv2d(graph, x, n_filters, &conv, name), &pool2, NULL);
}

static void make_model(void)
{
    struct am_err err;
    struct am_dense_options hidden = {.act = AM_ACT_RELU, .init = AM_INIT_HE_UNIFORM};
    struct am_dense_options last = {.act = AM_ACT_SOFTMAX, .init = AM_INIT_GLOROT_UNIFORM};
    const int64_t picture[3] = {SIDE, SIDE, 1};
    am_value x;
    must(am_graph_new(&graph, &err), &err);
    x = am_graph_input(graph, "x", am_dims2(AM_DIM_BATCH, IN));
    x = am_layer_reshape(graph, x, picture, 3, NULL);
    x = conv_and_pool(x, 32, "a");
    x = conv_and_pool(x, 64, "b");
    x = am_layer_flatten(graph, x, NULL);
    x = am_layer_dense(graph, x, HIDDEN, &hidden, "c");
    x = am_layer_dense(graph, x, OUT, &last, "d");
    am_graph_output(graph, "y", x);
    must(am_graph_check(graph, &err), &err);
    must(am_params_new(graph, &params, &err), &err);
    am_params_init(params, 1);
}

static double memory_of_a_step(size_t batch)
{
    struct am_err err;
    struct am_loss_spec loss = {.kind = AM_LOSS_CATEGORICAL};
    struct am_plan *plan;
    must(am_train_plan_build(graph, params, &loss, batch, &plan, &err), &err);
    const double n = (double)am_plan_peak_bytes(plan) + 4.0 * (double)am_params_bytes(params);
    am_plan_put(plan);
    return n;
}

static double steps_on_a_batch(size_t batch, uint64_t steps)
{
    struct am_err err;
    struct am_loss_spec loss = {.kind = AM_LOSS_CATEGORICAL};
    struct am_optim_config oc;
    struct am_plan *plan;
    struct am_session *session;
    struct am_optim *optim;
    float *grads;
    uint64_t began, took;
    struct am_session_io io = {.n_rows = batch, .params = params->data};
    const float *w;
    uint64_t n;
    am_optim_config_init(&oc);
    must(am_train_plan_build(graph, params, &loss, batch, &plan, &err), &err);
    must(am_session_new(plan, pool, &session, &err), &err);
    must(am_optim_new(&oc, params, &optim, &err), &err);
    must(am_params_twin(params, &grads, &err), &err);
    io.grads = grads;
    if (!am_matrix_data(matrix)->view(am_matrix_data(matrix)->self, 0, &io.x, &io.target, &w, &n))
        exit(1);
    for (int i = 0; i < 5; i++) {
        must(am_session_run_io(session, &io, &err), &err);
        (void)am_optim_step(optim, params->data, grads, 0.001, pool);
    }
    began = am_mono_ns();
    for (uint64_t i = 0; i < steps; i++) {
        io.step = i;
        must(am_session_run_io(session, &io, &err), &err);
        (void)am_optim_step(optim, params->data, grads, 0.001, pool);
    }
    took = am_mono_ns() - began;
    if (getenv("BENCH_PROFILE")) {
        uint64_t *ns = am_calloc(am_plan_n_steps(plan), sizeof *ns);
        am_session_profile(session, ns);
        for (int i = 0; i < 100; i++)
            must(am_session_run_io(session, &io, &err), &err);
        for (size_t i = 0; i < am_plan_n_steps(plan); i++)
            fprintf(stderr, "%8.2f us %s\n", (double)ns[i] * 1e-5, am_plan_step_name(plan, i));
        am_free(ns);
    }
    am_session_free(session);
    am_plan_put(plan);
    am_optim_free(optim);
    am_free(grads);
    return (double)took * 1e-9 / (double)steps;
}

static double steps_of_the_loop(size_t batch, uint64_t steps)
{
    struct am_err err;
    struct am_train_config c;
    struct am_train_result r;
    uint64_t began, took;
    am_train_config_init(&c);
    c.loss.kind = AM_LOSS_CATEGORICAL;
    c.batch_size = batch;
    c.epochs = (steps * batch + ROWS - 1) / ROWS;
    began = am_mono_ns();
    must(am_train_run(graph, params, am_matrix_data(matrix), NULL, &c, NULL, pool, &r, &err), &err);
    took = am_mono_ns() - began;
    return (double)took * 1e-9 / (double)r.steps;
}

int main(int argc, char **argv)
{
    struct am_err err;
    char line[64];
    must(am_pool_new((unsigned)strtoul(argc > 1 ? argv[1] : "1", NULL, 10), &pool, &err), &err);
    make_rows();
    make_model();
    printf("ready\n");
    (void)fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        char *end;
        size_t batch = strtoul(strchr(line, ' ') ? strchr(line, ' ') : "1", &end, 10);
        uint64_t steps = strtoul(end, NULL, 10);
        am_params_init(params, 1);
        printf("%.9g\n", line[0] == 's'   ? steps_on_a_batch(batch, steps)
                         : line[0] == 'l' ? steps_of_the_loop(batch, steps)
                                          : memory_of_a_step(batch));
        (void)fflush(stdout);
    }
    am_params_free(params);
    am_graph_free(graph);
    am_matrix_free(matrix);
    am_pool_free(pool);
    return 0;
}
