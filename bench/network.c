/* Times networks on our engine: a training step (forward, loss, gradients, Adam) or a prediction,
 * of the model that a recipe's `model:` line names.
 *
 * Driven by bench/network_peers.py over a line protocol, so that its rounds alternate with the
 * peers': in "step|loop|infer BATCH RUNS", out the seconds of one run. "step" works on a batch in
 * memory, as the peers do; "loop" is am_train_run with its shuffle, gather and bookkeeping; "memory
 * BATCH 0" gives the bytes by which the process's peak grew over its first training steps, or, when
 * it predicts only, its first runs. Arguments: threads, model (YAML), shape ("28,28,1"), classes,
 * rows. BENCH_PROFILE=1 prints the time of each step of the plan. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/pool.h"
#include "base/rng.h"
#include "learn/learn.h"
#include "nn/plan.h"
#include "nn/session.h"
#include "nn/train.h"
#include "nn/train_plan.h"

static struct am_pool *pool;
static struct am_matrix *matrix;
static float *rows, *classes; /* the same rows, one behind another */
static size_t n_rows;
static struct am_graph *graph;
static struct am_params *params;
static struct am_learn_task task = {.task = AM_TASK_MULTICLASS, .seed = 1};
static const struct am_loss_spec loss = {.kind = AM_LOSS_CATEGORICAL};
static struct am_err err;

static void must(enum am_rc rc)
{
    if (rc == AM_OK)
        return;
    fprintf(stderr, "%s\n", err.message);
    exit(1);
}

static void make_rows(void)
{
    struct am_rng r;
    const size_t n = task.n_features;
    am_rng_init(&r, 1, AM_RNG_USER);
    rows = am_alloc_tensor(n_rows * n * sizeof *rows);
    classes = am_alloc_array(n_rows, sizeof *classes);
    must(rows && classes ? am_matrix_new(n, 1, NULL, &matrix, &err) : AM_ENOMEM);
    for (size_t i = 0; i < n_rows * n; i++)
        rows[i] = (float)am_rng_normal(&r);
    for (size_t i = 0; i < n_rows; i++)
        classes[i] = (float)am_rng_below(&r, (uint32_t)task.n_classes);
    must(am_matrix_append(matrix, n_rows, rows, classes, NULL, &err));
    must(am_matrix_finish(matrix, &err));
}

static void run_once(struct am_session *session, struct am_session_io *io)
{
    must(io->grads ? am_session_run_io(session, io, &err)
                   : am_session_run(session, io->n_rows, io->x, io->y, &err));
}

static void print_profile(struct am_session *session, const struct am_plan *plan,
                          struct am_session_io *io)
{
    const size_t n = am_plan_n_steps(plan);
    uint64_t *ns = am_calloc(n, sizeof *ns);
    must(ns ? AM_OK : AM_ENOMEM);
    am_session_profile(session, ns);
    for (int i = 0; i < 20; i++)
        run_once(session, io);
    for (size_t i = 0; i < n; i++)
        fprintf(stderr, "%10.2f us %s\n", (double)ns[i] / 20e3, am_plan_step_name(plan, i));
    am_free(ns);
}

static struct am_session_io first_rows(size_t batch)
{
    if (batch > n_rows)
        must(am_fail(&err, AM_EINVAL, "there are %zu rows only", n_rows));
    return (struct am_session_io){
        .n_rows = batch, .params = params->data, .x = rows, .target = classes};
}

static double train_steps(size_t batch, uint64_t runs)
{
    struct am_optim_config oc;
    struct am_plan *plan;
    struct am_session *session;
    struct am_optim *optim;
    float *grads;
    uint64_t began = 0;
    struct am_session_io io = first_rows(batch);
    am_optim_config_init(&oc);
    must(am_train_plan_build(graph, params, &loss, batch, &plan, &err));
    must(am_session_new(plan, pool, &session, &err));
    must(am_optim_new(&oc, params, &optim, &err));
    must(am_params_twin(params, &grads, &err));
    io.grads = grads;
    for (uint64_t i = 0; i < runs + 5; i++) {
        if (i == 5)
            began = am_mono_ns();
        io.step = i;
        run_once(session, &io);
        (void)am_optim_step(optim, params->data, grads, 0.001, pool);
    }
    const uint64_t took = am_mono_ns() - began;
    if (getenv("BENCH_PROFILE"))
        print_profile(session, plan, &io);
    am_session_free(session);
    am_plan_put(plan);
    am_optim_free(optim);
    am_free(grads);
    return runs ? (double)took * 1e-9 / (double)runs : 0;
}

static double train_loop(size_t batch, uint64_t runs)
{
    struct am_train_config c;
    struct am_train_result r;
    const uint64_t began = am_mono_ns();
    am_train_config_init(&c);
    c.loss = loss;
    c.batch_size = batch;
    c.epochs = (runs * batch + n_rows - 1) / n_rows;
    must(am_train_run(graph, params, am_matrix_data(matrix), NULL, &c, NULL, pool, &r, &err));
    return (double)(am_mono_ns() - began) * 1e-9 / (double)r.steps;
}

static double predictions(size_t batch, uint64_t runs)
{
    const struct am_plan_options o = {.mode = AM_PLAN_INFER, .bucket_rows = batch};
    struct am_session_io io = first_rows(batch);
    struct am_plan *plan;
    struct am_session *session;
    uint64_t began = 0;
    must(am_plan_build(graph, params, &o, &plan, &err));
    must(am_session_new(plan, pool, &session, &err));
    float *y = am_alloc_array(batch * am_plan_n_outputs(plan), sizeof *y);
    must(y ? AM_OK : AM_ENOMEM);
    io.y = y;
    for (uint64_t i = 0; i < runs + 3; i++) {
        if (i == 3)
            began = am_mono_ns();
        run_once(session, &io);
    }
    const uint64_t took = am_mono_ns() - began;
    if (getenv("BENCH_PROFILE"))
        print_profile(session, plan, &io);
    am_session_free(session);
    am_plan_put(plan);
    am_free(y);
    return runs ? (double)took * 1e-9 / (double)runs : 0;
}

static double peak_bytes(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_maxrss * 1024;
}

static double grown(double (*run)(size_t, uint64_t), size_t batch)
{
    const double before = peak_bytes();
    (void)run(batch, 0);
    return peak_bytes() - before;
}

static double answer(const char *line)
{
    char *end;
    const char *numbers = strchr(line, ' ');
    const size_t batch = strtoul(numbers ? numbers : " 1", &end, 10);
    const uint64_t runs = strtoul(end, NULL, 10);
    am_params_init(params, 1);
    if (strncmp(line, "memory_infer", 12) == 0)
        return grown(predictions, batch);
    if (strncmp(line, "memory", 6) == 0)
        return grown(train_steps, batch);
    return line[0] == 's'   ? train_steps(batch, runs)
           : line[0] == 'l' ? train_loop(batch, runs)
                            : predictions(batch, runs);
}

int main(int argc, char **argv)
{
    char line[64];
    struct am_node *model;
    struct am_arena *arena = am_arena_new(0);
    if (argc != 6 || !arena) {
        fprintf(stderr, "usage: network THREADS MODEL SHAPE CLASSES ROWS\n");
        return 2;
    }
    must(am_pool_new((unsigned)strtoul(argv[1], NULL, 10), &pool, &err));
    must(am_yaml_parse(arena, am_str(argv[2]), "model", &model, &err));
    task.model = model;
    task.n_features = 1;
    for (char *s = argv[3]; *s; s += *s == ',') {
        const int64_t d = strtol(s, &s, 10);
        task.shape.d[task.shape.rank++] = d;
        task.n_features *= (size_t)d;
    }
    task.n_classes = strtoul(argv[4], NULL, 10);
    n_rows = strtoul(argv[5], NULL, 10);
    make_rows();
    must(am_learner_graph(&task, &graph, &err));
    must(am_params_new(graph, &params, &err));
    printf("ready\n");
    (void)fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        printf("%.9g\n", answer(line));
        (void)fflush(stdout);
    }
    am_params_free(params);
    am_graph_free(graph);
    am_matrix_free(matrix);
    am_free(rows);
    am_free(classes);
    am_pool_free(pool);
    am_arena_free(arena);
    return 0;
}
