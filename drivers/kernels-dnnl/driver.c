/* The driver kernels-dnnl: the port of tensor/kernel_port.h over oneDNN's C API (2.x).
 *
 * Primitives are made when plans are built; run only sets pointers and executes. Scratchpads are
 * the caller's. What the library would do with its reference code is refused. OpenMP is held at one
 * thread, so that no team is ever started. oneDNN takes a few small blocks from malloc inside each
 * execution (its argument map); nothing is taken through the host there. Any thread. */
#include <dlfcn.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <string.h>

#include "tensor/kernel_port.h"
#include "tensor/ports_abi.h"

#define FAIL(err, rc, ...) host->fail((err), (rc), __FILE__, __LINE__, __VA_ARGS__)

static const struct am_host *host;
static dnnl_engine_t engine; /* made once, lives with the process */
static char library[64];     /* what version() says */
/* Of the OpenMP runtime that oneDNN brought; NULL when it was built without. */
static int (*omp_get_max_threads)(void);
static void (*omp_set_num_threads)(int n);

enum { N_ARGS = 6 };

/* A oneDNN primitive with what it takes. The memory of `fixed` arguments is in the scratch. */
struct part {
    dnnl_primitive_desc_t desc; /* owned */
    dnnl_primitive_t primitive; /* owned */
    unsigned n;
    struct {
        int id;
        const dnnl_memory_desc_t *md; /* lives with desc, or with the primitive below */
        size_t place;                 /* which pointer: enum place */
    } arg[N_ARGS];
};

enum place {
    AT_X,
    AT_DY,
    AT_WEIGHT, /* packed */
    AT_BIAS,
    AT_OUT,
    AT_SCRATCH,
    AT_SPACE,  /* pool gradient: the workspace */
    AT_THROWN, /* pool gradient: y, which nobody reads */
    AT_PLAIN,  /* weights as the caller has them */
    N_PLACES
};

enum { RUN, BEFORE, PACK, N_PARTS }; /* BEFORE: the forward pass of a pool gradient */

struct am_port_primitive {
    struct am_port_task task;
    struct am_port_info info;
    struct part part[N_PARTS]; /* desc NULL = it has none */
    dnnl_memory_desc_t x, y, plain, bias;
    size_t space_at, thrown_at; /* floats into the scratch, behind the scratchpad */
};

struct am_port_context {
    const struct am_port_primitive *primitive; /* borrowed */
    dnnl_stream_t stream;
    dnnl_memory_t memory[N_PARTS][N_ARGS];
};

/* ---- descriptions ---- */

static dnnl_format_tag_t layout(bool blocked, size_t block)
{
    return !blocked ? dnnl_nhwc : block == 16 ? dnnl_nChw16c : dnnl_nChw8c;
}

static size_t block(void)
{
    const dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
    if ((isa & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core)
        return 16;
    return (isa & dnnl_cpu_isa_avx2) == dnnl_cpu_isa_avx2 ? 8 : 0;
}

static dnnl_status_t describe_pictures(struct am_port_primitive *p)
{
    const struct am_port_task *t = &p->task;
    const dnnl_dim_t n = (dnnl_dim_t)t->n_images;
    const dnnl_dims_t x = {n, (dnnl_dim_t)t->c, (dnnl_dim_t)t->h, (dnnl_dim_t)t->w};
    const dnnl_dims_t y = {n, (dnnl_dim_t)t->n, (dnnl_dim_t)t->out_h, (dnnl_dim_t)t->out_w};
    const dnnl_dims_t b = {(dnnl_dim_t)t->n};
    dnnl_status_t s =
        dnnl_memory_desc_init_by_tag(&p->x, 4, x, dnnl_f32, layout(t->blocked_x, block()));
    if (s == dnnl_success)
        s = dnnl_memory_desc_init_by_tag(&p->y, 4, y, dnnl_f32, layout(t->blocked_y, block()));
    return s == dnnl_success ? dnnl_memory_desc_init_by_tag(&p->bias, 1, b, dnnl_f32, dnnl_a) : s;
}

/* Our [kh * kw * c / groups, n] as the library counts, and the same sizes in a layout of its
 * choice. */
static dnnl_status_t describe_weight(struct am_port_primitive *p, dnnl_memory_desc_t *any)
{
    const struct am_port_task *t = &p->task;
    const dnnl_dim_t g = (dnnl_dim_t)t->groups, n = (dnnl_dim_t)t->n,
                     cg = (dnnl_dim_t)(t->c / t->groups), ng = n / g;
    const dnnl_dim_t kh = (dnnl_dim_t)t->kernel[0], kw = (dnnl_dim_t)t->kernel[1];
    const dnnl_dims_t dims = {g, ng, cg, kh, kw}, strides = {ng, 1, n, kw * cg * n, cg * n};
    const int skip = g == 1;
    const dnnl_status_t s = dnnl_memory_desc_init_by_strides(&p->plain, 5 - skip, dims + skip,
                                                             dnnl_f32, strides + skip);
    return s == dnnl_success ? dnnl_memory_desc_init_by_tag(any, 5 - skip, dims + skip, dnnl_f32,
                                                            dnnl_format_tag_any)
                             : s;
}

struct sizes {
    dnnl_dims_t stride, dilation, before, after, kernel;
};

static struct sizes sizes_of(const struct am_port_task *t)
{
    struct sizes z;
    for (unsigned k = 0; k < 2; k++) {
        z.stride[k] = (dnnl_dim_t)t->stride[k];
        z.dilation[k] = (dnnl_dim_t)t->dilation[k] - 1;
        z.before[k] = (dnnl_dim_t)t->before[k];
        z.after[k] = (dnnl_dim_t)t->after[k];
        z.kernel[k] = (dnnl_dim_t)t->kernel[k];
    }
    return z;
}

static dnnl_status_t attributes(const struct am_port_task *t, dnnl_primitive_attr_t *out)
{
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t s = dnnl_primitive_attr_create(out);
    if (s == dnnl_success)
        s = dnnl_primitive_attr_set_scratchpad_mode(*out, dnnl_scratchpad_mode_user);
    if (s == dnnl_success)
        s = dnnl_primitive_attr_set_fpmath_mode(*out, dnnl_fpmath_mode_strict);
    if (s != dnnl_success || t->kind != AM_PORT_CONV || t->act == AM_ACT_NONE)
        return s;
    s = dnnl_post_ops_create(&ops);
    if (s == dnnl_success)
        s = dnnl_post_ops_append_eltwise(ops, 1.0f, dnnl_eltwise_relu,
                                         t->act == AM_ACT_RELU ? 0.0f : t->alpha, 0.0f);
    if (s == dnnl_success)
        s = dnnl_primitive_attr_set_post_ops(*out, ops);
    if (ops)
        (void)dnnl_post_ops_destroy(ops);
    return s;
}

static dnnl_status_t conv_desc(struct am_port_primitive *p, const dnnl_memory_desc_t *weight,
                               dnnl_convolution_desc_t *out)
{
    const struct am_port_task *t = &p->task;
    const struct sizes z = sizes_of(t);
    switch (t->kind) {
    case AM_PORT_CONV:
        return dnnl_dilated_convolution_forward_desc_init(
            out, dnnl_forward_inference, dnnl_convolution_direct, &p->x, weight,
            t->bias ? &p->bias : NULL, &p->y, z.stride, z.dilation, z.before, z.after);
    case AM_PORT_CONV_DX:
        return dnnl_dilated_convolution_backward_data_desc_init(out, dnnl_convolution_direct, &p->x,
                                                                weight, &p->y, z.stride, z.dilation,
                                                                z.before, z.after);
    default:
        return dnnl_dilated_convolution_backward_weights_desc_init(
            out, dnnl_convolution_direct, &p->x, weight, NULL, &p->y, z.stride, z.dilation,
            z.before, z.after);
    }
}

static dnnl_alg_kind_t pooling(const struct am_port_task *t)
{
    return !t->average   ? dnnl_pooling_max
           : t->skip_pad ? dnnl_pooling_avg_exclude_padding
                         : dnnl_pooling_avg_include_padding;
}

/* ---- making ---- */

static enum am_rc failed(dnnl_status_t s, const char *what, struct am_err *err)
{
    if (s == dnnl_out_of_memory)
        return host->fail_nomem(err, 0, __FILE__, __LINE__);
    return FAIL(err, AM_EINVAL, "oneDNN has no %s of this kind (status %d)", what, (int)s);
}

static const char *implementation(dnnl_primitive_desc_t d)
{
    const char *name = NULL;
    (void)dnnl_primitive_desc_query(d, dnnl_query_impl_info_str, 0, (void *)&name);
    return name ? name : "ref";
}

/* Takes desc over, also on failure. */
static enum am_rc finish_part(struct part *part, bool fast, struct am_err *err)
{
    const char *name = implementation(part->desc);
    if (fast && (strstr(name, "ref") || strstr(name, "simple")))
        return FAIL(err, AM_EINVAL, "oneDNN would use its slow reference code (%s)", name);
    const dnnl_status_t s = dnnl_primitive_create(&part->primitive, part->desc);
    return s == dnnl_success ? AM_OK : failed(s, "primitive", err);
}

static void add_arg(struct part *part, int id, dnnl_query_t what, enum place place)
{
    const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(part->desc, what, 0);
    if (!md || dnnl_memory_desc_get_size(md) == 0)
        return;
    part->arg[part->n].id = id;
    part->arg[part->n].md = md;
    part->arg[part->n++].place = place;
}

static size_t floats_of(const struct part *part, enum place place)
{
    for (unsigned k = 0; k < part->n; k++)
        if (part->arg[k].place == place)
            return (dnnl_memory_desc_get_size(part->arg[k].md) / sizeof(float) + 31) / 16 * 16;
    return 0;
}

static const dnnl_memory_desc_t *packed_of(const struct am_port_primitive *p)
{
    for (unsigned k = 0; k < p->part[RUN].n; k++)
        if (p->part[RUN].arg[k].place == (p->task.kind == AM_PORT_CONV_DW ? AT_OUT : AT_WEIGHT))
            return p->part[RUN].arg[k].md;
    return NULL;
}

/* Between the caller's weights and the packed ones. */
static enum am_rc make_reorder(struct am_port_primitive *p, struct am_err *err)
{
    struct part *part = &p->part[PACK];
    const bool out = p->task.kind == AM_PORT_CONV_DW;
    const dnnl_memory_desc_t *packed = packed_of(p);
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t s = dnnl_primitive_attr_create(&attr);
    if (s == dnnl_success)
        s = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if (s == dnnl_success)
        s = dnnl_reorder_primitive_desc_create(&part->desc, out ? packed : &p->plain, engine,
                                               out ? &p->plain : packed, engine, attr);
    if (attr)
        (void)dnnl_primitive_attr_destroy(attr);
    if (s != dnnl_success)
        return failed(s, "reorder", err);
    AM_TRY(finish_part(part, false, err));
    if (dnnl_memory_desc_get_size(
            dnnl_primitive_desc_query_md(part->desc, dnnl_query_scratchpad_md, 0)) > 0)
        return FAIL(err, AM_EINVAL, "oneDNN packs these weights with a scratchpad");
    add_arg(part, DNNL_ARG_FROM, dnnl_query_src_md, out ? AT_WEIGHT : AT_PLAIN);
    add_arg(part, DNNL_ARG_TO, dnnl_query_dst_md, out ? AT_PLAIN : AT_WEIGHT);
    return AM_OK;
}

static enum am_rc make_conv(struct am_port_primitive *p, const struct am_port_primitive *like,
                            struct am_err *err)
{
    struct part *part = &p->part[RUN];
    dnnl_memory_desc_t any;
    dnnl_convolution_desc_t desc;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t s = describe_weight(p, &any);
    if (s == dnnl_success)
        s = conv_desc(p, like ? packed_of(like) : &any, &desc);
    if (s == dnnl_success)
        s = attributes(&p->task, &attr);
    if (s == dnnl_success)
        s = dnnl_primitive_desc_create(&part->desc, &desc, attr, engine, NULL);
    if (attr)
        (void)dnnl_primitive_attr_destroy(attr);
    if (s != dnnl_success)
        return failed(s, "convolution", err);
    AM_TRY(finish_part(part, true, err));
    switch (p->task.kind) {
    case AM_PORT_CONV:
        add_arg(part, DNNL_ARG_SRC, dnnl_query_src_md, AT_X);
        add_arg(part, DNNL_ARG_WEIGHTS, dnnl_query_weights_md, AT_WEIGHT);
        add_arg(part, DNNL_ARG_DST, dnnl_query_dst_md, AT_OUT);
        break;
    case AM_PORT_CONV_DX:
        add_arg(part, DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md, AT_DY);
        add_arg(part, DNNL_ARG_WEIGHTS, dnnl_query_weights_md, AT_WEIGHT);
        add_arg(part, DNNL_ARG_DIFF_SRC, dnnl_query_diff_src_md, AT_OUT);
        break;
    default:
        add_arg(part, DNNL_ARG_SRC, dnnl_query_src_md, AT_X);
        add_arg(part, DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md, AT_DY);
        add_arg(part, DNNL_ARG_DIFF_WEIGHTS, dnnl_query_diff_weights_md, AT_OUT);
        break;
    }
    add_arg(part, DNNL_ARG_SCRATCHPAD, dnnl_query_scratchpad_md, AT_SCRATCH);
    if (p->task.bias && p->task.kind == AM_PORT_CONV) {
        part->arg[part->n].id = DNNL_ARG_BIAS;
        part->arg[part->n].md = &p->bias;
        part->arg[part->n++].place = AT_BIAS;
    }
    p->info.weight_floats = floats_of(part, p->task.kind == AM_PORT_CONV_DW ? AT_OUT : AT_WEIGHT);
    p->info.scratch_floats = floats_of(part, AT_SCRATCH);
    return make_reorder(p, err);
}

static enum am_rc make_pool_forward(struct am_port_primitive *p, struct part *part, bool training,
                                    dnnl_primitive_attr_t attr, struct am_err *err)
{
    const struct sizes z = sizes_of(&p->task);
    dnnl_pooling_desc_t desc;
    dnnl_status_t s = dnnl_pooling_forward_desc_init(
        &desc, training ? dnnl_forward_training : dnnl_forward_inference, pooling(&p->task), &p->x,
        &p->y, z.stride, z.kernel, z.before, z.after);
    if (s == dnnl_success)
        s = dnnl_primitive_desc_create(&part->desc, &desc, attr, engine, NULL);
    if (s != dnnl_success)
        return failed(s, "pooling", err);
    AM_TRY(finish_part(part, true, err));
    add_arg(part, DNNL_ARG_SRC, dnnl_query_src_md, AT_X);
    add_arg(part, DNNL_ARG_DST, dnnl_query_dst_md, training ? AT_THROWN : AT_OUT);
    if (training)
        add_arg(part, DNNL_ARG_WORKSPACE, dnnl_query_workspace_md, AT_SPACE);
    add_arg(part, DNNL_ARG_SCRATCHPAD, dnnl_query_scratchpad_md, AT_SCRATCH);
    return AM_OK;
}

static enum am_rc make_pool_grad(struct am_port_primitive *p, dnnl_primitive_attr_t attr,
                                 struct am_err *err)
{
    struct part *part = &p->part[RUN], *before = &p->part[BEFORE];
    const struct sizes z = sizes_of(&p->task);
    dnnl_pooling_desc_t desc;
    AM_TRY(make_pool_forward(p, before, true, attr, err));
    dnnl_status_t s = dnnl_pooling_backward_desc_init(&desc, pooling(&p->task), &p->x, &p->y,
                                                      z.stride, z.kernel, z.before, z.after);
    if (s == dnnl_success)
        s = dnnl_primitive_desc_create(&part->desc, &desc, attr, engine, before->desc);
    if (s != dnnl_success)
        return failed(s, "gradient of pooling", err);
    AM_TRY(finish_part(part, true, err));
    add_arg(part, DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md, AT_DY);
    add_arg(part, DNNL_ARG_WORKSPACE, dnnl_query_workspace_md, AT_SPACE);
    add_arg(part, DNNL_ARG_DIFF_SRC, dnnl_query_diff_src_md, AT_OUT);
    add_arg(part, DNNL_ARG_SCRATCHPAD, dnnl_query_scratchpad_md, AT_SCRATCH);
    const size_t a = floats_of(part, AT_SCRATCH), b = floats_of(before, AT_SCRATCH);
    p->space_at = a > b ? a : b;
    p->thrown_at = p->space_at + floats_of(before, AT_SPACE);
    p->info.scratch_floats = p->thrown_at + floats_of(before, AT_THROWN);
    if (p->task.average) /* needs no forward pass, only its description */
        before->n = 0;
    return AM_OK;
}

static enum am_rc make_pool(struct am_port_primitive *p, struct am_err *err)
{
    dnnl_primitive_attr_t attr = NULL;
    enum am_rc rc;
    const dnnl_status_t s = attributes(&p->task, &attr);
    if (s != dnnl_success)
        rc = failed(s, "pooling", err);
    else if (p->task.kind == AM_PORT_POOL_GRAD)
        rc = make_pool_grad(p, attr, err);
    else
        rc = make_pool_forward(p, &p->part[RUN], false, attr, err);
    if (attr)
        (void)dnnl_primitive_attr_destroy(attr);
    if (rc == AM_OK && p->task.kind == AM_PORT_POOL)
        p->info.scratch_floats = floats_of(&p->part[RUN], AT_SCRATCH);
    return rc;
}

static void drop(struct am_port_primitive *p)
{
    if (!p)
        return;
    for (unsigned i = 0; i < N_PARTS; i++) {
        if (p->part[i].primitive)
            (void)dnnl_primitive_destroy(p->part[i].primitive);
        if (p->part[i].desc)
            (void)dnnl_primitive_desc_destroy(p->part[i].desc);
    }
    host->free(p);
}

/* Of the calling thread; set once in each. */
static void one_thread(void)
{
    if (omp_set_num_threads && omp_get_max_threads() != 1)
        omp_set_num_threads(1);
}

static enum am_rc make(const struct am_port_task *t, const struct am_port_primitive *like,
                       struct am_port_primitive **out, struct am_err *err)
{
    const bool pools = t->kind == AM_PORT_POOL || t->kind == AM_PORT_POOL_GRAD;
    *out = NULL;
    if (t->act != AM_ACT_NONE && t->act != AM_ACT_RELU && t->act != AM_ACT_LEAKY_RELU)
        return FAIL(err, AM_EINVAL, "this activation is not part of a convolution in oneDNN");
    if ((t->blocked_x || t->blocked_y) && block() == 0)
        return FAIL(err, AM_EINVAL, "oneDNN has no blocked layout on this CPU");
    struct am_port_primitive *p = host->alloc(sizeof *p);
    if (!p)
        return host->fail_nomem(err, sizeof *p, __FILE__, __LINE__);
    memset(p, 0, sizeof *p);
    p->task = *t;
    one_thread();
    const dnnl_status_t s = describe_pictures(p);
    enum am_rc rc = s != dnnl_success ? failed(s, "layout", err)
                    : pools           ? make_pool(p, err)
                                      : make_conv(p, like, err);
    if (rc != AM_OK) {
        drop(p);
        return rc;
    }
    p->info.implementation = implementation(p->part[RUN].desc);
    *out = p;
    return AM_OK;
}

static const struct am_port_info *info(const struct am_port_primitive *p)
{
    return &p->info;
}

/* ---- running ---- */

static void context_free(struct am_port_context *c)
{
    if (!c)
        return;
    for (unsigned i = 0; i < N_PARTS; i++)
        for (unsigned k = 0; k < N_ARGS; k++)
            if (c->memory[i][k])
                (void)dnnl_memory_destroy(c->memory[i][k]);
    if (c->stream)
        (void)dnnl_stream_destroy(c->stream);
    host->free(c);
}

static enum am_rc context_new(const struct am_port_primitive *p, struct am_port_context **out,
                              struct am_err *err)
{
    *out = NULL;
    struct am_port_context *c = host->alloc(sizeof *c);
    if (!c)
        return host->fail_nomem(err, sizeof *c, __FILE__, __LINE__);
    memset(c, 0, sizeof *c);
    c->primitive = p;
    one_thread();
    dnnl_status_t s = dnnl_stream_create(&c->stream, engine, dnnl_stream_default_flags);
    for (unsigned i = 0; i < N_PARTS && s == dnnl_success; i++)
        for (unsigned k = 0; k < p->part[i].n && s == dnnl_success; k++)
            s = dnnl_memory_create(&c->memory[i][k], p->part[i].arg[k].md, engine,
                                   DNNL_MEMORY_NONE);
    if (s != dnnl_success) {
        context_free(c);
        return failed(s, "memory", err);
    }
    *out = c;
    return AM_OK;
}

static void *writable(const void *p)
{
    union {
        const void *in;
        void *out;
    } u = {.in = p};
    return u.out;
}

static bool run_part(struct am_port_context *c, unsigned which, void *const place[N_PLACES])
{
    const struct part *part = &c->primitive->part[which];
    dnnl_exec_arg_t args[N_ARGS];
    for (unsigned k = 0; k < part->n; k++) {
        args[k] = (dnnl_exec_arg_t){part->arg[k].id, c->memory[which][k]};
        if (dnnl_memory_set_data_handle(args[k].memory, place[part->arg[k].place]) != dnnl_success)
            return false;
    }
    one_thread();
    return dnnl_primitive_execute(part->primitive, c->stream, (int)part->n, args) == dnnl_success;
}

static bool run(struct am_port_context *c, const struct am_port_args *a)
{
    const struct am_port_primitive *p = c->primitive;
    void *const place[N_PLACES] = {[AT_X] = writable(a->x),
                                   [AT_DY] = writable(a->dy),
                                   [AT_WEIGHT] = writable(a->weight),
                                   [AT_BIAS] = writable(a->bias),
                                   [AT_OUT] = a->out,
                                   [AT_SCRATCH] = a->scratch,
                                   [AT_SPACE] = a->scratch + p->space_at,
                                   [AT_THROWN] = a->scratch + p->thrown_at};
    return (p->part[BEFORE].n == 0 || run_part(c, BEFORE, place)) && run_part(c, RUN, place);
}

static bool pack(struct am_port_context *c, const float *weight, float *packed)
{
    void *const place[N_PLACES] = {[AT_PLAIN] = writable(weight), [AT_WEIGHT] = packed};
    return run_part(c, PACK, place);
}

static bool unpack(struct am_port_context *c, const float *packed, float *weight)
{
    void *const place[N_PLACES] = {[AT_PLAIN] = weight, [AT_WEIGHT] = writable(packed)};
    return run_part(c, PACK, place);
}

/* ---- the port ---- */

static void find_openmp(void)
{
    void *lib = dlopen("libgomp.so.1", RTLD_NOW | RTLD_NOLOAD);
    void *get = lib ? dlsym(lib, "omp_get_max_threads") : NULL;
    void *set = lib ? dlsym(lib, "omp_set_num_threads") : NULL;
    if (!get || !set)
        return;
    memcpy(&omp_get_max_threads, &get, sizeof get); /* POSIX: object pointers out of dlsym */
    memcpy(&omp_set_num_threads, &set, sizeof set);
}

static enum am_rc start(const struct am_host *h, struct am_err *err)
{
    const dnnl_version_t *v = dnnl_version();
    host = h;
    if (engine)
        return AM_OK;
    find_openmp();
    one_thread();
    const dnnl_status_t s = dnnl_engine_create(&engine, dnnl_cpu, 0);
    if (s != dnnl_success)
        return FAIL(err, AM_EMISSING, "oneDNN has no engine for this CPU (status %d)", (int)s);
    (void)snprintf(library, sizeof library, "oneDNN %d.%d.%d isa-%x", v->major, v->minor, v->patch,
                   (unsigned)dnnl_get_effective_cpu_isa());
    return AM_OK;
}

static const char *version(void)
{
    return library;
}

static const struct am_kernel_port_ops ops = {.abi = AM_PORTS_ABI,
                                              .size = sizeof ops,
                                              .name = "kernels-dnnl",
                                              .start = start,
                                              .version = version,
                                              .block = block,
                                              .make = make,
                                              .info = info,
                                              .drop = drop,
                                              .context_new = context_new,
                                              .context_free = context_free,
                                              .pack = pack,
                                              .unpack = unpack,
                                              .run = run};

extern const struct am_kernel_port_ops *const am_module;
__attribute__((visibility("default"))) const struct am_kernel_port_ops *const am_module = &ops;
