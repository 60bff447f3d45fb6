/* Times a training step of a two-layer LSTM (128 units, 128 inputs, 32 steps; dense 10 on the last
 * state, softmax cross-entropy, Adam) on our engine.
 *
 * Driven by bench/lstm_peers.py over a line protocol, so that its rounds alternate with the peers':
 * in "step BATCH STEPS", out the seconds of one step; "peak BATCH 0" gives the bytes of a training
 * session. Argument: threads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/pool.h"
#include "base/rng.h"
#include "nn/layers_seq.h"
#include "nn/layers_shape.h"
#include "nn/optim.h"
#include "nn/session.h"
#include "nn/train_plan.h"

enum { STEPS = 32, WIDTH = 128, UNITS = 128, OUT = 10, ROWS = 256 };

static struct am_pool *pool;
static struct am_graph *graph;
static struct am_params *params;
static float *x, *target;

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
    am_rng_init(&r, 1, AM_RNG_USER);
    x = am_alloc_aligned(64, sizeof *x * ROWS * STEPS * WIDTH);
    target = am_alloc_aligned(64, sizeof *target * ROWS);
    if (!x || !target)
        exit(1);
    for (int i = 0; i < ROWS * STEPS * WIDTH; i++)
        x[i] = (float)am_rng_normal(&r);
    for (int i = 0; i < ROWS; i++)
        target[i] = (float)am_rng_below(&r, OUT);
}

static void make_model(void)
{
    struct am_err err;
    const int64_t dims[2] = {STEPS, WIDTH};
    const struct am_seq_options o = {
        .returns = AM_SEQ_LAST, .n_layers = 2, .lengths = AM_VALUE_NONE};
    const struct am_dense_options last = {.act = AM_ACT_SOFTMAX, .init = AM_INIT_GLOROT_UNIFORM};
    must(am_graph_new(&graph, &err), &err);
    am_value v = am_graph_input(graph, "x", am_dims2(AM_DIM_BATCH, STEPS * WIDTH));
    v = am_layer_reshape(graph, v, dims, 2, "steps");
    v = am_layer_lstm(graph, v, UNITS, &o, "lstm");
    am_graph_output(graph, "y", am_layer_dense(graph, v, OUT, &last, "out"));
    must(am_graph_check(graph, &err), &err);
    must(am_params_new(graph, &params, &err), &err);
}

static void print_profile(struct am_session *session, const struct am_plan *plan,
                          struct am_session_io *io)
{
    struct am_err err;
    const size_t n = am_plan_n_steps(plan);
    uint64_t *ns = am_calloc(n, sizeof *ns);
    if (!ns)
        exit(1);
    am_session_profile(session, ns);
    for (int i = 0; i < 100; i++)
        must(am_session_run_io(session, io, &err), &err);
    for (size_t i = 0; i < n; i++)
        fprintf(stderr, "%9.1f us %s\n", (double)ns[i] * 1e-5, am_plan_step_name(plan, i));
    am_free(ns);
}

static double run(size_t batch, uint64_t steps)
{
    struct am_err err;
    const struct am_loss_spec loss = {.kind = AM_LOSS_CATEGORICAL};
    struct am_optim_config oc;
    struct am_plan *plan;
    struct am_session *session;
    struct am_optim *optim;
    float *grads;
    am_optim_config_init(&oc);
    must(am_train_plan_build(graph, params, &loss, batch, &plan, &err), &err);
    must(am_session_new(plan, pool, &session, &err), &err);
    must(am_optim_new(&oc, params, &optim, &err), &err);
    must(am_params_twin(params, &grads, &err), &err);
    struct am_session_io io = {
        .n_rows = batch, .x = x, .target = target, .params = params->data, .grads = grads};
    const size_t session_bytes = am_plan_session_bytes(plan);
    uint64_t began = 0;
    for (uint64_t i = 0; i < steps + 5; i++) {
        if (i == 5)
            began = am_mono_ns();
        io.step = i;
        must(am_session_run_io(session, &io, &err), &err);
        (void)am_optim_step(optim, params->data, grads, 0.001, pool);
    }
    const uint64_t took = am_mono_ns() - began;
    if (getenv("BENCH_PROFILE"))
        print_profile(session, plan, &io);
    am_session_free(session);
    am_plan_put(plan);
    am_optim_free(optim);
    am_free(grads);
    return steps ? (double)took * 1e-9 / (double)steps : (double)session_bytes;
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
        size_t batch = strtoul(line + 4, &end, 10);
        const uint64_t steps = strtoul(end, NULL, 10);
        batch = batch < 1 ? 1 : batch > ROWS ? ROWS : batch;
        am_params_init(params, 1);
        printf("%.9g\n", run(batch, steps));
        (void)fflush(stdout);
    }
    am_params_free(params);
    am_graph_free(graph);
    am_free(x);
    am_free(target);
    am_pool_free(pool);
    return 0;
}
