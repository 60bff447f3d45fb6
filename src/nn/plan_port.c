/* Convolutions and pools by a library: which steps, their primitives, and how a step runs them.
 *
 * A primitive works on one picture, or on one band of its rows, so a row's bits depend on the row
 * alone; bands depend on shapes only. The gradient by the weight takes a fixed number of pictures
 * at once; its partial sums are added in order. Choices of a process are remembered by shape, so
 * two plans of one model never differ. Any thread. */
#include "nn/plan_port.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/pool.h"
#include "nn/graph_int.h"
#include "nn/ops/conv_int.h"
#include "nn/ops/pool.h"

#define SLOTS 8              /* jobs of a step, each with its context and scratch */
#define BANDS_MAX 4          /* of a picture */
#define PARTS 8              /* partial sums of a gradient by the weight, at most */
#define PARTS_FLOATS 4194304 /* of all of them: 16 MiB */
#define PARALLEL_FLOPS 1.2e7 /* as in ops/linear.c */
#define WORTH_FLOPS 2e5      /* of one picture: below, own kernels without asking */
#define WORTH_RATIO 0.95     /* the library must be this much faster than our kernels, */
#define TRIAL_ROWS 8         /* for one picture and for a batch of so many */
#define CHOICES 512          /* shapes remembered in a process; own kernels for the rest */

struct am_port_step {
    const struct am_kernel_port_ops *ops;
    struct am_port_task task; /* of one picture */
    double flops;             /* of one picture */
    size_t n_primitives; /* bands; a gradient by the weight: parts of `part` pictures, then of 1 */
    struct am_port_primitive *primitive[BANDS_MAX]; /* owned */
    size_t x_at[BANDS_MAX], y_at[BANDS_MAX];        /* floats into a picture */
    size_t part, n_parts;                           /* CONV_DW */
    size_t weight_floats;                           /* packed, in whole cache lines */
    size_t slot_floats;                             /* scratch of a job */
    size_t first_context;
};

struct am_ports {
    atomic_size_t refs;
    const struct am_kernel_port_ops *ops;
    struct am_port_step *steps; /* owned, [n_steps]; task.kind NONE = the op's own run */
    size_t n_steps, n_served, n_contexts;
};

/* ---- what a step is to the library ---- */

static enum am_port_kind kind_of(const struct am_op *op)
{
    static const struct {
        const char *name;
        enum am_port_kind kind;
    } known[] = {{"conv", AM_PORT_CONV},
                 {"conv_dx", AM_PORT_CONV_DX},
                 {"conv_dw", AM_PORT_CONV_DW},
                 {"max_pool", AM_PORT_POOL},
                 {"average_pool", AM_PORT_POOL},
                 {"global_max_pool", AM_PORT_POOL},
                 {"global_average_pool", AM_PORT_POOL},
                 {"pool_grad", AM_PORT_POOL_GRAD}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(op->name, known[i].name) == 0)
            return known[i].kind;
    return AM_PORT_NONE;
}

static void conv_task(const struct am_step *s, struct am_port_task *t)
{
    const size_t c = t->kind == AM_PORT_CONV_DX ? s->out.cols : s->in[0].cols;
    const size_t n = t->kind == AM_PORT_CONV      ? s->out.cols
                     : t->kind == AM_PORT_CONV_DX ? s->in[0].cols
                                                  : s->in[1].cols;
    const struct am_conv_geo q = am_conv_geo(&s->attr, c, n);
    t->h = q.h;
    t->w = q.w;
    t->c = c;
    t->out_h = q.oh;
    t->out_w = q.ow;
    t->n = n;
    for (unsigned k = 0; k < 2; k++) {
        t->kernel[k] = (size_t)s->attr.i[k];
        t->stride[k] = (size_t)s->attr.i[2 + k];
        t->before[k] = (size_t)s->attr.i[4 + k];
        t->after[k] = (size_t)s->attr.i[6 + k];
        t->dilation[k] = (size_t)s->attr.i[8 + k];
    }
    t->groups = q.groups;
    if (t->kind != AM_PORT_CONV)
        return;
    t->act = s->attr.act;
    t->alpha = s->attr.act == AM_ACT_LEAKY_RELU ? s->attr.f[0] : 0.0f;
    t->bias = s->n_in > 3 || (s->n_in > 2 && s->in[2].space != AM_IN_NOTHING);
}

static void pool_task(const struct am_step *s, struct am_port_task *t)
{
    const bool grad = t->kind == AM_PORT_POOL_GRAD;
    const struct am_op *op = s->op;
    struct am_pooling_shape p;
    if (grad)
        op = s->attr.i[12] ? (s->attr.i[11] ? &am_op_global_average_pool : &am_op_global_max_pool)
                           : (s->attr.i[11] ? &am_op_average_pool : &am_op_max_pool);
    am_pool_shape(op, &s->attr, grad ? &s->out.dims : &s->in[0].dims, &p);
    t->h = p.h;
    t->w = p.w;
    t->c = t->n = p.c;
    t->out_h = p.out_h;
    t->out_w = p.out_w;
    for (unsigned k = 0; k < 2; k++) {
        t->kernel[k] = p.kernel[k];
        t->stride[k] = p.stride[k];
        t->before[k] = t->after[k] = p.pad[k];
        t->dilation[k] = 1;
    }
    t->average = p.average != 0;
    t->skip_pad = p.average && p.skip_pad;
}

/* false: no step for a library. */
static bool task_of(const struct am_step *s, struct am_port_task *t, double *flops)
{
    memset(t, 0, sizeof *t);
    t->kind = kind_of(s->op);
    t->n_images = 1;
    t->groups = 1;
    if (t->kind == AM_PORT_NONE)
        return false;
    if (t->kind == AM_PORT_POOL || t->kind == AM_PORT_POOL_GRAD) {
        pool_task(s, t);
        *flops = (double)(t->out_h * t->out_w * t->c) * (double)(t->kernel[0] * t->kernel[1]);
        return true;
    }
    if (t->kind == AM_PORT_CONV && s->n_in > 3 && s->n_in != 7)
        return false;
    conv_task(s, t);
    *flops = 2.0 * (double)(t->out_h * t->out_w * t->n) *
             (double)(t->kernel[0] * t->kernel[1] * (t->c / t->groups));
    return t->act == AM_ACT_NONE || t->act == AM_ACT_RELU || t->act == AM_ACT_LEAKY_RELU;
}

/* ---- the table of training ---- */

/* Which steps of a training plan the library computes when a recipe says so. The first line that
 * fits decides; none: our own kernels. A line may change only together with the library's version
 * in the numerics profile or ours. */
enum shape { ANY, DENSE, GROUPED, DEPTHWISE };
static const struct {
    const char *table; /* our kernels' name; NULL = any */
    enum am_port_kind kind;
    enum shape shape;
    size_t min_c, min_n;
    bool library;
} training[] = {
    {NULL, AM_PORT_CONV, ANY, 8, 8, true},
    {NULL, AM_PORT_CONV_DX, ANY, 8, 8, true},
    {NULL, AM_PORT_CONV_DW, ANY, 1, 8, true},
};

static bool table_says(const char *kernels, const struct am_port_task *t)
{
    const enum shape shape = t->groups == 1                           ? DENSE
                             : t->groups == t->c && t->groups == t->n ? DEPTHWISE
                                                                      : GROUPED;
    for (size_t i = 0; i < sizeof training / sizeof training[0]; i++)
        if (training[i].kind == t->kind && t->c >= training[i].min_c && t->n >= training[i].min_n &&
            (training[i].shape == ANY || training[i].shape == shape) &&
            (!training[i].table || strcmp(training[i].table, kernels) == 0))
            return training[i].library;
    return false;
}

/* ---- primitives of a step ---- */

static size_t lines(size_t floats)
{
    return (floats + 15) / 16 * 16;
}

static void step_clear(struct am_port_step *s)
{
    for (size_t i = 0; i < BANDS_MAX; i++)
        if (s->primitive[i])
            s->ops->drop(s->primitive[i]);
    memset(s, 0, sizeof *s);
}

static size_t bands_of(const struct am_port_task *t, double flops)
{
    if (t->kind != AM_PORT_CONV || t->blocked_x || t->blocked_y)
        return 1;
    return flops >= 1e8 && t->out_h >= 28 ? 4 : flops >= 2e7 && t->out_h >= 6 ? 2 : 1;
}

/* Output rows r0..r1 of t: the input rows that they read, and the zeros left around. false: none.
 */
static bool band_task(const struct am_port_task *t, size_t r0, size_t r1, struct am_port_task *out,
                      size_t *first)
{
    const size_t reach = t->dilation[0] * (t->kernel[0] - 1) + 1, begin = r0 * t->stride[0];
    const size_t end = (r1 - 1) * t->stride[0] + reach; /* of rows with the zeros before */
    *out = *t;
    *first = begin > t->before[0] ? begin - t->before[0] : 0;
    const size_t last = end > t->before[0] ? end - t->before[0] : 0;
    if (*first >= t->h || last <= *first)
        return false;
    out->before[0] = t->before[0] > begin ? t->before[0] - begin : 0;
    out->h = (last < t->h ? last : t->h) - *first;
    out->after[0] = last > t->h ? last - t->h : 0;
    out->out_h = r1 - r0;
    return true;
}

static enum am_rc make_bands(struct am_port_step *s, size_t n, struct am_err *err)
{
    const struct am_port_task *t = &s->task;
    for (size_t i = 0; i < n; i++) {
        struct am_port_task band = *t;
        size_t first = 0;
        const size_t r0 = i * t->out_h / n, r1 = (i + 1) * t->out_h / n;
        if (n > 1 && !band_task(t, r0, r1, &band, &first))
            return am_fail(err, AM_EINVAL, "a band of rows lies in the zeros around a picture");
        AM_TRY(s->ops->make(&band, s->primitive[0], &s->primitive[i], err));
        s->x_at[i] = first * t->w * t->c;
        s->y_at[i] = n > 1 ? r0 * t->out_w * t->n : 0;
    }
    s->n_primitives = n;
    return AM_OK;
}

static enum am_rc make_parts(struct am_port_step *s, size_t bucket, struct am_err *err)
{
    struct am_port_task t = s->task;
    const size_t weight = t.kernel[0] * t.kernel[1] * (t.c / t.groups) * t.n;
    const size_t most = PARTS_FLOATS / weight;
    const size_t n = most < 1 ? 1 : most > PARTS ? PARTS : most;
    s->part = (bucket + n - 1) / n;
    s->n_parts = (bucket + s->part - 1) / s->part;
    t.n_images = s->part;
    AM_TRY(s->ops->make(&t, NULL, &s->primitive[0], err));
    t.n_images = 1;
    s->n_primitives = 2;
    return s->ops->make(&t, s->primitive[0], &s->primitive[1], err);
}

/* AM_EINVAL: the library has no good kernel. s is empty then. */
static enum am_rc make_step(struct am_port_step *s, const struct am_kernel_port_ops *ops,
                            const struct am_port_task *t, double flops, size_t bucket,
                            struct am_err *err)
{
    const size_t bands = bands_of(t, flops);
    enum am_rc rc;
    *s = (struct am_port_step){.ops = ops, .task = *t, .flops = flops};
    rc = t->kind == AM_PORT_CONV_DW ? make_parts(s, bucket, err) : make_bands(s, bands, err);
    if (rc == AM_EINVAL && bands > 1) {
        step_clear(s);
        *s = (struct am_port_step){.ops = ops, .task = *t, .flops = flops};
        rc = make_bands(s, 1, err);
    }
    if (rc != AM_OK) {
        step_clear(s);
        return rc;
    }
    for (size_t i = 0; i < s->n_primitives; i++) {
        const struct am_port_info *info = ops->info(s->primitive[i]);
        const size_t slot = lines(info->scratch_floats);
        s->slot_floats = slot > s->slot_floats ? slot : s->slot_floats;
        s->weight_floats = lines(info->weight_floats);
    }
    return AM_OK;
}

/* Jobs that may run at once, each with a context for each primitive. */
static size_t n_jobs(const struct am_port_step *s)
{
    return s->task.kind == AM_PORT_CONV_DW ? s->n_parts + 1 : SLOTS;
}

/* Packed weights (training) or partial sums, then each job's scratch. */
static size_t step_scratch(const struct am_port_step *s)
{
    const size_t sums = s->task.kind == AM_PORT_CONV_DW ? s->n_parts + 2 : 1;
    return sums * s->weight_floats + n_jobs(s) * s->slot_floats;
}

/* ---- running ---- */

struct job {
    const struct am_port_step *s;
    struct am_port_context *const *contexts; /* of the step: [n_jobs, n_primitives] */
    const float *x, *dy, *weight, *bias;
    float *out, *slots, *sums;
    size_t n_rows, n_slots;
    size_t x_image, y_image, out_image;
};

static void fill_nan(float *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = NAN;
}

static void run_units(void *ctx, size_t begin, size_t end)
{
    const struct job *j = ctx;
    const struct am_port_step *s = j->s;
    const size_t units = j->n_rows * s->n_primitives;
    for (size_t slot = begin; slot < end; slot++)
        for (size_t u = slot * units / j->n_slots; u < (slot + 1) * units / j->n_slots; u++) {
            const size_t i = u / s->n_primitives, band = u % s->n_primitives;
            const struct am_port_args a = {.x = j->x ? j->x + i * j->x_image + s->x_at[band] : NULL,
                                           .dy = j->dy ? j->dy + i * j->y_image : NULL,
                                           .weight = j->weight,
                                           .bias = j->bias,
                                           .out = j->out + i * j->out_image + s->y_at[band],
                                           .scratch = j->slots + slot * s->slot_floats};
            if (!s->ops->run(j->contexts[slot * s->n_primitives + band], &a))
                fill_nan(j->out + i * j->out_image, j->out_image);
        }
}

static struct job job_of(const struct am_run *r, const struct am_step *s)
{
    const struct am_port_step *p = s->port;
    const struct am_port_task *t = &p->task;
    struct job j = {.s = p,
                    .contexts = r->port + p->first_context,
                    .out = am_arg_ptr(r, &s->out),
                    .sums = am_scratch(r, s),
                    .n_rows = r->n_rows,
                    .x_image = t->h * t->w * t->c,
                    .y_image = t->out_h * t->out_w * t->n};
    const size_t n_sums = t->kind == AM_PORT_CONV_DW ? p->n_parts + 2 : 1;
    j.slots = j.sums + n_sums * p->weight_floats;
    switch (t->kind) {
    case AM_PORT_CONV:
    case AM_PORT_POOL:
        j.x = am_arg_ptr(r, &s->in[0]);
        j.out_image = j.y_image;
        break;
    case AM_PORT_CONV_DW:
        j.x = am_arg_ptr(r, &s->in[0]);
        j.dy = am_arg_ptr(r, &s->in[1]);
        break;
    default:
        j.dy = am_arg_ptr(r, &s->in[0]);
        j.x = t->kind == AM_PORT_POOL_GRAD && s->n_in > 1 ? am_arg_ptr(r, &s->in[1]) : NULL;
        j.out_image = j.x_image;
        break;
    }
    return j;
}

static void run_rows(const struct am_run *r, const struct am_step *s)
{
    const struct am_port_step *p = s->port;
    struct job j = job_of(r, s);
    const size_t units = j.n_rows * p->n_primitives;
    bool packed = true;
    if (j.n_rows == 0)
        return;
    if (s->prepared) {
        j.weight = s->prepared;
    } else if (p->weight_floats > 0) {
        packed = p->ops->pack(j.contexts[0], am_arg_ptr(r, &s->in[1]), j.sums);
        j.weight = j.sums;
    }
    if (p->task.bias)
        j.bias = s->n_in > 3 ? s->prepared + p->weight_floats : am_arg_ptr(r, &s->in[2]);
    j.n_slots = units < SLOTS ? units : SLOTS;
    if (packed)
        am_pool_for((double)j.n_rows * p->flops < PARALLEL_FLOPS ? NULL : r->pool, j.n_slots, 1,
                    run_units, &j);
    else
        fill_nan(j.out, j.n_rows * j.out_image);
}

/* Job k < full: `part` pictures at once; the last: what is left, one by one. */
static void run_parts(void *ctx, size_t begin, size_t end)
{
    const struct job *j = ctx;
    const struct am_port_step *s = j->s;
    const size_t full = j->n_rows / s->part;
    for (size_t k = begin; k < end; k++) {
        const size_t first = k * s->part, n = k < full ? 1 : j->n_rows - first;
        float *sum = j->sums + k * s->weight_floats,
              *one = j->sums + (s->n_parts + 1) * s->weight_floats;
        struct am_port_context *c = j->contexts[k * 2 + (k < full ? 0 : 1)];
        for (size_t i = first; i < first + n; i++) {
            const struct am_port_args a = {.x = j->x + i * j->x_image,
                                           .dy = j->dy + i * j->y_image,
                                           .out = i == first ? sum : one,
                                           .scratch = j->slots + k * s->slot_floats};
            if (!s->ops->run(c, &a))
                fill_nan(a.out, s->weight_floats);
            if (i > first)
                for (size_t f = 0; f < s->weight_floats; f++)
                    sum[f] += one[f];
        }
    }
}

static void run_dw(const struct am_run *r, const struct am_step *s)
{
    const struct am_port_step *p = s->port;
    struct job j = job_of(r, s);
    const size_t jobs = (j.n_rows + p->part - 1) / p->part;
    if (jobs == 0) {
        memset(j.out, 0, am_arg_count(r, &s->out) * sizeof(float));
        return;
    }
    am_pool_for((double)j.n_rows * p->flops < PARALLEL_FLOPS ? NULL : r->pool, jobs, 1, run_parts,
                &j);
    for (size_t k = 1; k < jobs; k++)
        r->kern->add(j.sums, j.sums + k * p->weight_floats, j.sums, p->weight_floats);
    if (!p->ops->unpack(j.contexts[0], j.sums, j.out))
        fill_nan(j.out, am_arg_count(r, &s->out));
}

/* ---- contexts ---- */

static void contexts_clear(const struct am_port_step *s, struct am_port_context **c)
{
    for (size_t i = 0; i < n_jobs(s) * s->n_primitives; i++) {
        s->ops->context_free(c[i]);
        c[i] = NULL;
    }
}

static enum am_rc contexts_fill(const struct am_port_step *s, struct am_port_context **c,
                                struct am_err *err)
{
    for (size_t i = 0; i < n_jobs(s) * s->n_primitives; i++)
        AM_TRY(s->ops->context_new(s->primitive[i % s->n_primitives], &c[i], err));
    return AM_OK;
}

void am_ports_contexts_free(const struct am_plan *p, struct am_port_context **contexts)
{
    for (size_t i = 0; contexts && i < p->ports->n_steps; i++)
        if (p->ports->steps[i].n_primitives > 0)
            contexts_clear(&p->ports->steps[i], contexts + p->ports->steps[i].first_context);
    am_free(contexts);
}

enum am_rc am_ports_contexts_new(const struct am_plan *p, struct am_port_context ***out,
                                 struct am_err *err)
{
    enum am_rc rc = AM_OK;
    *out = NULL;
    if (!p->ports || p->ports->n_served == 0)
        return AM_OK;
    struct am_port_context **c = am_calloc(p->ports->n_contexts, sizeof(struct am_port_context *));
    if (!c)
        return am_fail_nomem(err, p->ports->n_contexts * sizeof(struct am_port_context *));
    for (size_t i = 0; i < p->ports->n_steps && rc == AM_OK; i++)
        if (p->ports->steps[i].n_primitives > 0)
            rc = contexts_fill(&p->ports->steps[i], c + p->ports->steps[i].first_context, err);
    if (rc != AM_OK) {
        am_ports_contexts_free(p, c);
        return rc;
    }
    *out = c;
    return AM_OK;
}

/* ---- packed weights ---- */

size_t am_port_prepared(const struct am_step *s)
{
    return s->port->weight_floats > 0 ? s->port->weight_floats + lines(s->port->task.n) : 0;
}

/* Batch norm after the convolution, as conv_prepare in ops/conv.c does it: its factor into the
 * weight, its shift into the bias. weight: a copy of ours, [rows, n]. */
static void fold_norm(const struct am_step *s, const float *params, const float *shared,
                      size_t rows, size_t n, float *weight, float *bias)
{
    for (size_t k = 0; k < n; k++) {
        const double var = (double)params[s->in[6].offset + k];
        const double f = (double)params[s->in[3].offset + k] / sqrt(var + (double)s->attr.f[1]);
        const double b =
            s->in[2].space == AM_IN_NOTHING ? 0.0 : (double)shared[s->in[2].offset + k];
        const double mean = (double)params[s->in[5].offset + k];
        bias[k] = (float)((double)params[s->in[4].offset + k] + (b - mean) * f);
        for (size_t i = 0; i < rows; i++)
            weight[i * n + k] = (float)((double)weight[i * n + k] * f);
    }
}

/* params and shared: what the offsets of the step's prepared inputs, and of the others, count in.
 */
static enum am_rc fill_prepared(const struct am_port_step *p, const struct am_step *s,
                                const float *params, const float *shared, float *out,
                                struct am_err *err)
{
    const struct am_port_task *t = &p->task;
    const size_t rows = t->kernel[0] * t->kernel[1] * (t->c / t->groups);
    struct am_port_context *c = NULL;
    float *copy = am_alloc_array(rows, t->n * sizeof(float));
    enum am_rc rc = copy ? p->ops->context_new(p->primitive[0], &c, err)
                         : am_fail_nomem(err, rows * t->n * sizeof(float));
    if (rc == AM_OK) {
        memcpy(copy, params + s->in[1].offset, rows * t->n * sizeof(float));
        if (s->n_in > 3)
            fold_norm(s, params, shared, rows, t->n, copy, out + p->weight_floats);
        if (!p->ops->pack(c, copy, out))
            rc = am_fail(err, AM_EINTERNAL, "%s cannot pack the weights of a convolution",
                         p->ops->name);
    }
    p->ops->context_free(c);
    am_free(copy);
    return rc;
}

/* The block belongs to the plan being built, which alone sees it. */
static float *writable(const float *p)
{
    union {
        const float *in;
        float *out;
    } u = {.in = p};
    return u.out;
}

enum am_rc am_ports_prepare(struct am_plan *p, const struct am_params *params, struct am_err *err)
{
    for (size_t i = 0; i < p->n_steps; i++) {
        const struct am_step *s = &p->steps[i];
        if (s->port && s->port->weight_floats > 0)
            AM_TRY(fill_prepared(s->port, s, params->data, p->shared->data, writable(s->prepared),
                                 err));
    }
    return AM_OK;
}

/* ---- choosing by timing ---- */

#define KEY 512
struct choice {
    char key[KEY];
    bool library;
};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the two below */
static struct choice choices[CHOICES];
static size_t n_choices;
static _Atomic(const struct am_plan_choices *) kept; /* between processes; NULL = not */

void am_plan_set_choices(const struct am_plan_choices *c)
{
    atomic_store(&kept, c);
}

static void key_of(const struct am_port_task *t, const struct am_kernels *kern,
                   const struct am_kernel_port_ops *ops, char out[KEY])
{
    (void)snprintf(out, KEY,
                   "kind %d x %zux%zux%zu y %zux%zux%zu kernel %zux%zu stride %zux%zu "
                   "zeros %zu,%zu,%zu,%zu dilation %zux%zu groups %zu act %d %.9g bias %d "
                   "average %d %d, %s, %s",
                   (int)t->kind, t->h, t->w, t->c, t->out_h, t->out_w, t->n, t->kernel[0],
                   t->kernel[1], t->stride[0], t->stride[1], t->before[0], t->before[1],
                   t->after[0], t->after[1], t->dilation[0], t->dilation[1], t->groups, (int)t->act,
                   (double)t->alpha, (int)t->bias, (int)t->average, (int)t->skip_pad, kern->name,
                   ops->version());
}

/* The remembered choice into *library; true when there is one. Full: own kernels. */
static bool find_choice(const char *key, bool *library)
{
    bool found = false;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < n_choices && !found; i++)
        if (strcmp(choices[i].key, key) == 0) {
            *library = choices[i].library;
            found = true;
        }
    if (!found && n_choices == CHOICES) {
        *library = false;
        found = true;
    }
    pthread_mutex_unlock(&lock);
    return found;
}

/* The first choice of two threads stands. */
static bool remember(const char *key, bool library)
{
    bool known = library;
    if (find_choice(key, &known))
        return known;
    pthread_mutex_lock(&lock);
    if (n_choices < CHOICES) {
        memcpy(choices[n_choices].key, key, strlen(key) + 1);
        choices[n_choices++].library = library;
    }
    pthread_mutex_unlock(&lock);
    return library;
}

/* Known in this process, or from an earlier one. */
static bool recall(const char *key, bool *library)
{
    const struct am_plan_choices *c = atomic_load(&kept);
    if (find_choice(key, library))
        return true;
    if (!c || !c->recall(key, library))
        return false;
    *library = remember(key, *library);
    return true;
}

static bool keep(const char *key, bool library)
{
    const struct am_plan_choices *c = atomic_load(&kept);
    if (c && !c->keep(key, &library))
        library = false;
    return remember(key, library);
}

/* A step moved to memory of its own, for up to TRIAL_ROWS pictures. */
struct trial {
    struct am_step step;
    struct am_run run;
    float *memory; /* owned: x, y, scratch, prepared */
};

static enum am_rc trial_new(struct trial *t, const struct am_port_build *b, size_t i,
                            const struct am_port_step *port, struct am_err *err)
{
    const struct am_step *s = &b->plan->steps[i];
    const struct am_gnode *node = b->node(b->ctx, i);
    const size_t x = lines(TRIAL_ROWS * s->in[0].rows * s->in[0].cols);
    const size_t y = lines(TRIAL_ROWS * s->out.rows * s->out.cols);
    const size_t prepared = port              ? port->weight_floats + lines(port->task.n)
                            : s->op->prepared ? s->op->prepared(b->graph, node, b->plan->kern)
                                              : 0;
    const size_t scratch = port ? step_scratch(port)
                           : prepared > 0 && s->op->prepared_scratch
                               ? s->op->prepared_scratch(b->graph, node, TRIAL_ROWS, b->plan->kern)
                           : s->op->scratch ? s->op->scratch(b->graph, node, TRIAL_ROWS)
                                            : 0;
    const size_t n = x + y + lines(scratch) + lines(prepared) + 16;
    t->step = *s;
    t->run = (struct am_run){.n_rows = 1, .kern = b->plan->kern, .tkern = b->plan->tkern};
    t->memory = am_alloc_aligned(64, n * sizeof(float));
    if (!t->memory)
        return am_fail_nomem(err, n * sizeof(float));
    for (size_t k = 0; k < n; k++)
        t->memory[k] = (float)(k % 17) * 0.0625f;
    float *at = t->memory + x + y + lines(scratch);
    t->run.base[AM_IN_ARENA] = t->memory;
    t->run.base[AM_IN_PARAMS] = b->params->data;
    t->step.in[0].space = t->step.out.space = AM_IN_ARENA;
    t->step.in[0].offset = 0;
    t->step.out.offset = x;
    t->step.scratch = x + y;
    if (prepared > 0)
        t->step.prepared = at;
    if (!port && prepared > 0)
        s->op->prepare(b->plan->kern, s, b->params->data, at);
    else if (port && port->weight_floats > 0)
        return fill_prepared(port, s, b->params->data, b->params->data, at, err);
    return AM_OK;
}

/* Nanoseconds of the fastest of a few runs of each, in turn. */
static void trial_times(struct trial *t[2], size_t rows, uint64_t best[2])
{
    uint64_t all = 0;
    best[0] = best[1] = UINT64_MAX;
    for (int i = 0; i < 24 && (i < 6 || all < 8000000); i++) {
        t[i % 2]->run.n_rows = rows;
        const uint64_t began = am_mono_ns();
        t[i % 2]->step.run(&t[i % 2]->run, &t[i % 2]->step);
        const uint64_t took = am_mono_ns() - began;
        best[i % 2] = took < best[i % 2] ? took : best[i % 2];
        all += took;
    }
}

static void set_run(struct am_step *s, const struct am_port_step *port)
{
    s->port = port;
    s->run = port->task.kind == AM_PORT_CONV_DW ? run_dw : run_rows;
}

static enum am_rc time_both(const struct am_port_build *b, size_t i, struct am_port_step *port,
                            bool *library, struct am_err *err)
{
    struct trial own = {0}, other = {0};
    const size_t n = n_jobs(port) * port->n_primitives;
    struct am_port_context **contexts = am_calloc(n, sizeof(struct am_port_context *));
    enum am_rc rc;
    if (!contexts)
        return am_fail_nomem(err, n * sizeof(struct am_port_context *));
    port->first_context = 0;
    AM_GO(rc, contexts_fill(port, contexts, err));
    AM_GO(rc, trial_new(&own, b, i, NULL, err));
    AM_GO(rc, trial_new(&other, b, i, port, err));
    other.run.port = contexts;
    set_run(&other.step, port);
    struct trial *both[2] = {&own, &other};
    uint64_t ns[2];
    *library = true;
    for (size_t rows = 1; rows <= TRIAL_ROWS && *library; rows += TRIAL_ROWS - 1) {
        trial_times(both, rows, ns);
        *library = (double)ns[1] < WORTH_RATIO * (double)ns[0];
    }
out:
    contexts_clear(port, contexts);
    am_free(contexts);
    am_free(own.memory);
    am_free(other.memory);
    return rc;
}

/* ---- choosing ---- */

/* Makes *port when the library shall serve step i, else leaves it empty. */
static enum am_rc choose_step(const struct am_port_build *b, const struct am_kernel_port_ops *ops,
                              size_t i, struct am_port_step *port, struct am_err *err)
{
    const enum am_plan_library how = b->options->library;
    const struct am_kernels *kern = b->plan->kern;
    struct am_port_task t;
    double flops;
    char key[KEY];
    bool library = true, known = false;
    if (!task_of(&b->plan->steps[i], &t, &flops))
        return AM_OK;
    if (how == AM_PLAN_LIBRARY_TABLE && !table_says(kern->name, &t))
        return AM_OK;
    key_of(&t, kern, ops, key);
    if (how == AM_PLAN_LIBRARY_TIMED) {
        known = flops < WORTH_FLOPS ? (library = false, true) : recall(key, &library);
        if (known && !library)
            return AM_OK;
    }
    enum am_rc rc =
        make_step(port, ops, &t, flops, b->plan->bucket_rows * b->plan->steps[i].fold, err);
    if (rc == AM_EINVAL) { /* refused: our own kernel serves */
        am_err_clear(err);
        if (how == AM_PLAN_LIBRARY_TIMED)
            (void)keep(key, false);
        return AM_OK;
    }
    if (rc == AM_OK && how == AM_PLAN_LIBRARY_TIMED && !known) {
        rc = time_both(b, i, port, &library, err);
        if (rc == AM_OK)
            library = keep(key, library);
    }
    if (rc != AM_OK || !library)
        step_clear(port);
    return rc;
}

static enum am_rc name_step(struct am_plan *p, struct am_step *s, struct am_err *err)
{
    const struct am_port_step *port = s->port;
    const struct am_str name = am_arena_printf(p->arena, "%s %s", s->name,
                                               port->ops->info(port->primitive[0])->implementation);
    s->name = name.ptr;
    return name.ptr ? AM_OK : am_fail_nomem(err, 64);
}

static enum am_rc bind(const struct am_port_build *b, struct am_ports *ports, struct am_err *err)
{
    struct am_plan *p = b->plan;
    for (size_t i = 0; i < p->n_steps; i++) {
        const struct am_port_step *port = &ports->steps[i];
        if (port->n_primitives == 0)
            continue;
        const size_t scratch = step_scratch(port);
        *b->scratch = scratch > *b->scratch ? scratch : *b->scratch;
        set_run(&p->steps[i], port);
        AM_TRY(name_step(p, &p->steps[i], err));
    }
    return AM_OK;
}

static enum am_rc choose_all(const struct am_port_build *b, struct am_ports *ports,
                             struct am_err *err)
{
    for (size_t i = 0; i < ports->n_steps; i++) {
        struct am_port_step *port = &ports->steps[i];
        AM_TRY(choose_step(b, ports->ops, i, port, err));
        if (port->n_primitives == 0)
            continue;
        ports->n_served++;
        port->first_context = ports->n_contexts;
        ports->n_contexts += n_jobs(port) * port->n_primitives;
    }
    return bind(b, ports, err);
}

static enum am_rc share_ports(const struct am_port_build *b, struct am_ports *ports,
                              struct am_err *err)
{
    if (!ports)
        return AM_OK;
    if (ports->n_steps != b->plan->n_steps)
        return am_fail(err, AM_EINVAL, "the plan to share weights with is of another model");
    atomic_fetch_add(&ports->refs, 1);
    b->plan->ports = ports;
    return bind(b, ports, err);
}

enum am_rc am_ports_choose(const struct am_port_build *b, struct am_err *err)
{
    const struct am_plan_options *o = b->options;
    const struct am_kernel_port_ops *ops;
    struct am_err why = {0};
    bool any = false;
    if (o->share)
        return share_ports(b, o->share->ports, err);
    for (size_t i = 0; i < b->plan->n_steps; i++)
        any = any || kind_of(b->plan->steps[i].op) != AM_PORT_NONE;
    if (!any || o->library == AM_PLAN_LIBRARY_NONE || o->mode == AM_PLAN_EVAL)
        return AM_OK;
    const enum am_rc rc = am_kernel_port(&ops, &why);
    if (rc != AM_OK && o->library == AM_PLAN_LIBRARY_TIMED)
        return AM_OK;
    if (rc != AM_OK) {
        if (err)
            *err = why;
        return rc;
    }
    struct am_ports *ports = am_calloc(1, sizeof *ports);
    if (!ports)
        return am_fail_nomem(err, sizeof *ports);
    atomic_init(&ports->refs, 1);
    b->plan->ports = ports;
    ports->ops = ops;
    ports->steps = am_calloc(b->plan->n_steps, sizeof *ports->steps);
    if (!ports->steps)
        return am_fail_nomem(err, b->plan->n_steps * sizeof *ports->steps);
    ports->n_steps = b->plan->n_steps;
    return choose_all(b, ports, err);
}

void am_ports_put(struct am_ports *p)
{
    if (!p || atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    for (size_t i = 0; i < p->n_steps; i++)
        if (p->steps[i].ops)
            step_clear(&p->steps[i]);
    am_free(p->steps);
    am_free(p);
}

size_t am_plan_n_library_steps(const struct am_plan *p)
{
    return p->ports ? p->ports->n_served : 0;
}

const char *am_plan_library(const struct am_plan *p)
{
    return am_plan_n_library_steps(p) > 0 ? p->ports->ops->version() : NULL;
}

enum am_plan_library am_plan_library_wish(void)
{
    switch (am_kernel_port_wish()) {
    case AM_PORT_WISH_ON:
        return AM_PLAN_LIBRARY_ALL;
    case AM_PORT_WISH_AUTO:
        return AM_PLAN_LIBRARY_TIMED;
    default:
        return AM_PLAN_LIBRARY_NONE;
    }
}
