/* From a graph to a plan, in phases: what is alive, what fuses, where values lie, the steps, what
 * is prepared.
 *
 * Builds only; session.c runs. The builder's tables are freed before am_plan_build returns. */
#include "nn/plan.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "nn/graph_int.h"
#include "nn/layers.h"
#include "nn/plan_port.h"

struct block { /* of the memory map; sorted by offset, neighbours differ in `used` */
    size_t offset, n;
    bool used;
};

struct value {       /* the planner's view of a node */
    am_value is;     /* itself, or what an identity passes through */
    am_value linear; /* the product that this activation or norm swallowed, or AM_VALUE_NONE */
    am_value norm;   /* and the batch norm between, or AM_VALUE_NONE */
    bool live, swallowed, bound;
    uint32_t uses; /* by live nodes */
    am_value last; /* the last node that reads it */
    struct am_arg arg;
    size_t arena_n; /* floats in the arena; 0 = elsewhere */
};

struct build {
    const struct am_graph *g;
    const struct am_params *params;
    struct am_plan *plan;
    struct value *v; /* owned, [n] */
    size_t n;
    AM_VEC(struct block) map;
    size_t scratch;
    const char *output; /* that is y */
    am_value y;
};

static const struct am_gnode *node_of(const struct build *b, am_value v)
{
    return &b->g->nodes.ptr[v];
}

/* The value that input i of n really is. */
static am_value input_of(const struct build *b, const struct am_gnode *n, unsigned i)
{
    return am_in_given(n, i) ? b->v[n->in[i]].is : AM_VALUE_NONE;
}

static void mark(struct build *b, am_value v)
{
    if (v != AM_VALUE_NONE)
        b->v[b->v[v].is].live = true;
}

static enum am_rc find_live(struct build *b, struct am_err *err)
{
    const struct am_graph *g = b->g;
    for (size_t i = 0; i < b->n; i++) {
        const struct am_gnode *n = node_of(b, (am_value)i);
        b->v[i].is = n->op->flags & AM_OP_IDENTITY ? b->v[n->in[0]].is : (am_value)i;
        b->v[i].linear = b->v[i].norm = AM_VALUE_NONE;
    }
    bool any = false;
    if (b->plan->mode == AM_PLAN_TRAIN) {
        for (size_t k = 0; k < g->params.len; k++) {
            any |= g->params.ptr[k].grad != AM_VALUE_NONE;
            mark(b, g->params.ptr[k].grad);
        }
        for (size_t i = 0; i < b->n; i++)
            b->v[i].live |= (node_of(b, (am_value)i)->op->flags & AM_OP_EFFECT) != 0;
    } else {
        b->y = am_graph_find_output(g, b->output);
        if (b->y == AM_VALUE_NONE)
            return am_fail(err, AM_EINVAL, "the graph has no output \"%s\"", b->output);
        b->y = b->v[b->y].is;
        mark(b, b->y);
    }
    if (b->plan->mode != AM_PLAN_INFER && !any) {
        am_value loss = am_graph_find_output(g, "loss");
        if (loss == AM_VALUE_NONE)
            return am_fail(err, AM_EINVAL, "the graph has no output \"loss\"");
        mark(b, loss);
    }
    for (size_t i = b->n; i-- > 0;) {
        const struct am_gnode *n = node_of(b, (am_value)i);
        for (unsigned k = 0; b->v[i].live && k < n->n_in; k++)
            mark(b, input_of(b, n, k));
    }
    return AM_OK;
}

static void count_uses(struct build *b)
{
    for (size_t i = 0; i < b->n; i++) {
        const struct am_gnode *n = node_of(b, (am_value)i);
        for (unsigned k = 0; b->v[i].live && k < n->n_in; k++) {
            am_value in = input_of(b, n, k);
            if (in == AM_VALUE_NONE)
                continue;
            b->v[in].uses++;
            b->v[in].last = (am_value)i;
        }
    }
}

/* A batch norm of parameters, whose factor and shift can go into a product before it. */
static bool folds(const struct build *b, const struct am_gnode *n)
{
    if (b->plan->mode != AM_PLAN_INFER || n->op != &am_op_batch_norm)
        return false;
    for (unsigned k = 1; k < 5; k++)
        if (node_of(b, n->in[k])->op != &am_op_param)
            return false;
    return true;
}

/* act(product), at inference also norm(product) and act(norm(product)), become one step where
 * nobody else reads what is between. */
static void fuse(struct build *b)
{
    for (size_t i = 0; i < b->n; i++) {
        const struct am_gnode *n = node_of(b, (am_value)i);
        const bool norm = folds(b, n);
        if (!b->v[i].live || (n->op != &am_op_act && !norm))
            continue;
        const am_value in = input_of(b, n, 0);
        const am_value base = b->v[in].linear != AM_VALUE_NONE ? b->v[in].linear : in;
        const struct am_gnode *l = node_of(b, base);
        const unsigned wants = norm ? AM_OP_FOLDS_NORM : AM_OP_FUSES_ACT;
        if (!(l->op->flags & wants) || b->v[in].uses != 1 || in == b->y || b->v[in].bound ||
            !am_dims_eq(&node_of(b, in)->dims, &n->dims))
            continue;
        if (norm ? base != in || node_of(b, l->in[1])->op != &am_op_param
                 : node_of(b, in)->op == &am_op_act)
            continue;
        b->v[in].swallowed = true;
        b->v[i].linear = base;
        b->v[i].norm = norm ? (am_value)i : b->v[in].norm;
        for (unsigned k = 0; k < l->n_in; k++) {
            am_value x = input_of(b, l, k);
            if (x != AM_VALUE_NONE && (b->v[x].last == in || b->v[x].last == base))
                b->v[x].last = (am_value)i;
        }
    }
}

static struct am_arg arg_of(const struct am_gnode *n, enum am_space space, size_t offset)
{
    return (struct am_arg){.space = (uint8_t)space,
                           .batched = am_dims_batched(&n->dims),
                           .offset = offset,
                           .rows = am_dims_rows(&n->dims),
                           .cols = am_dims_cols(&n->dims),
                           .dims = n->dims};
}

/* Where a value lies, with the dimensions that node v gives it (v may be a view of it). */
static struct am_arg arg_seen_as(const struct build *b, am_value v)
{
    const struct am_arg *a = &b->v[b->v[v].is].arg;
    return arg_of(node_of(b, v), (enum am_space)a->space, a->offset);
}

static enum am_rc place_input(struct build *b, am_value v, struct am_err *err)
{
    static const struct {
        const char *name;
        enum am_space space;
    } known[] = {{"x", AM_IN_X}, {"target", AM_IN_TARGET}, {"weight", AM_IN_WEIGHT}};
    const struct am_gnode *n = node_of(b, v);
    const bool fits = n->dims.rank == 2 && am_dims_batched(&n->dims);
    for (unsigned i = 0; i < (b->plan->mode == AM_PLAN_INFER ? 1u : 3u); i++)
        if (am_str_is(n->name, known[i].name) && fits) {
            b->v[v].arg = arg_of(n, known[i].space, 0);
            return AM_OK;
        }
    char dims[AM_DIMS_CHARS];
    return am_fail(err, AM_EINVAL, "input \"%.*s\" %s is none that this plan can be given",
                   AM_FMT(n->name), am_dims_print(&n->dims, dims));
}

/* Leaves, gradients and y get their fixed places. */
static enum am_rc place_fixed(struct build *b, struct am_err *err)
{
    for (size_t i = 0; i < b->n; i++) {
        const struct am_gnode *n = node_of(b, (am_value)i);
        if (n->op == &am_op_param) {
            b->v[i].arg = arg_of(n, AM_IN_PARAMS, b->params->table[n->attr.i[0]].offset);
        } else if (n->op == &am_op_input && b->v[i].live) {
            AM_TRY(place_input(b, (am_value)i, err));
        } else if (n->data && b->v[i].live) {
            b->v[i].arg = arg_of(n, AM_IN_CONST, b->plan->n_const_floats);
            b->plan->n_const_floats += (am_dims_count(&n->dims) + 15) / 16 * 16;
        }
        if ((n->op->flags & AM_OP_LEAF) && (am_value)i == b->y)
            return am_fail(err, AM_EINVAL, "output \"y\" is the %s \"%.*s\" itself", n->op->name,
                           AM_FMT(n->name));
        b->v[i].bound = (n->op->flags & AM_OP_LEAF) != 0;
    }
    for (size_t k = 0; b->plan->mode == AM_PLAN_TRAIN && k < b->g->params.len; k++) {
        am_value grad = b->g->params.ptr[k].grad;
        if (grad == AM_VALUE_NONE)
            continue;
        b->v[grad].arg = arg_of(node_of(b, grad), AM_IN_GRADS, b->params->table[k].offset);
        b->v[grad].bound = true;
    }
    if (b->y != AM_VALUE_NONE) {
        b->v[b->y].arg = arg_of(node_of(b, b->y), AM_IN_Y, 0);
        b->v[b->y].bound = true;
        const struct am_dims *y = &node_of(b, am_graph_find_output(b->g, b->output))->dims;
        if (!am_dims_batched(y) || am_dims_fold(y) != 1 || y->rank != 2)
            return am_fail(err, AM_EINVAL, "output \"%s\" must have the shape [B,n]", b->output);
        b->plan->n_outputs = am_dims_cols(y);
    }
    return AM_OK;
}

static enum am_rc insert_block(struct build *b, size_t at, struct block new, struct am_err *err)
{
    if (!am_vec_reserve(&b->map, b->map.len + 1))
        return am_fail_nomem(err, sizeof new);
    memmove(b->map.ptr + at + 1, b->map.ptr + at, (b->map.len - at) * sizeof new);
    b->map.ptr[at] = new;
    b->map.len++;
    return AM_OK;
}

/* Best fit; the map grows at its end when nothing fits. */
static enum am_rc map_take(struct build *b, size_t n, size_t *offset, struct am_err *err)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < b->map.len; i++) {
        const struct block *k = &b->map.ptr[i];
        if (!k->used && k->n >= n && (best == SIZE_MAX || k->n < b->map.ptr[best].n))
            best = i;
    }
    if (best == SIZE_MAX) {
        struct block *end = b->map.len ? &b->map.ptr[b->map.len - 1] : NULL;
        if (end && !end->used) { /* lengthen the free end */
            b->plan->arena_floats += n - end->n;
            end->n = n;
            best = b->map.len - 1;
        } else {
            best = b->map.len;
            AM_TRY(insert_block(b, best, (struct block){b->plan->arena_floats, n, false}, err));
            b->plan->arena_floats += n;
        }
    }
    struct block *k = &b->map.ptr[best];
    *offset = k->offset;
    k->used = true;
    if (k->n > n) {
        const struct block rest = {k->offset + n, k->n - n, false};
        k->n = n;
        return insert_block(b, best + 1, rest, err);
    }
    return AM_OK;
}

static void map_give(struct build *b, size_t offset)
{
    size_t i = 0;
    while (b->map.ptr[i].offset != offset || !b->map.ptr[i].used)
        i++;
    b->map.ptr[i].used = false;
    if (i + 1 < b->map.len && !b->map.ptr[i + 1].used) {
        b->map.ptr[i].n += b->map.ptr[i + 1].n;
        memmove(b->map.ptr + i + 1, b->map.ptr + i + 2, (b->map.len - i - 2) * sizeof *b->map.ptr);
        b->map.len--;
    }
    if (i > 0 && !b->map.ptr[i - 1].used) {
        b->map.ptr[i - 1].n += b->map.ptr[i].n;
        memmove(b->map.ptr + i, b->map.ptr + i + 1, (b->map.len - i - 1) * sizeof *b->map.ptr);
        b->map.len--;
    }
}

/* Floats of a value at the full bucket, in whole cache lines. */
static enum am_rc value_floats(const struct build *b, const struct am_gnode *n, size_t *out,
                               struct am_err *err)
{
    size_t count = am_dims_count(&n->dims);
    if (am_dims_batched(&n->dims) && (!am_mul_size(&count, count, b->plan->bucket_rows) ||
                                      !am_mul_size(&count, count, am_dims_fold(&n->dims))))
        count = SIZE_MAX;
    if (count > AM_LIMIT_TENSOR_BYTES / sizeof(float))
        return am_fail(err, AM_ELIMIT, "a %s of %zu rows needs more than %zu bytes", n->op->name,
                       b->plan->bucket_rows, AM_LIMIT_TENSOR_BYTES);
    *out = (count + 15) / 16 * 16;
    return AM_OK;
}

/* The node whose inputs the step of v reads. */
static const struct am_gnode *step_node(const struct build *b, am_value v)
{
    return node_of(b, b->v[v].linear != AM_VALUE_NONE ? b->v[v].linear : v);
}

static bool takes_place(const struct build *b, am_value v, const struct am_gnode *n)
{
    if (!(n->op->flags & AM_OP_IN_PLACE))
        return false;
    const struct value *in = &b->v[input_of(b, n, 0)];
    return in->arena_n > 0 && in->last == v && in->arena_n == b->v[v].arena_n;
}

/* One pass in execution order: room for the output, then dead inputs' room is free again. */
static enum am_rc place_values(struct build *b, struct am_err *err)
{
    for (size_t i = 0; i < b->n; i++) {
        struct value *v = &b->v[i];
        if (!v->live || v->swallowed || (node_of(b, (am_value)i)->op->flags & AM_OP_LEAF))
            continue;
        const struct am_gnode *n = step_node(b, (am_value)i);
        bool moved = false;
        if (!v->bound) {
            size_t offset;
            AM_TRY(value_floats(b, node_of(b, (am_value)i), &v->arena_n, err));
            b->plan->unshared_floats += v->arena_n;
            moved = takes_place(b, (am_value)i, n);
            if (moved)
                offset = b->v[input_of(b, n, 0)].arg.offset;
            else
                AM_TRY(map_take(b, v->arena_n, &offset, err));
            v->arg = arg_of(node_of(b, (am_value)i), AM_IN_ARENA, offset);
        }
        for (unsigned k = 0; k < n->n_in; k++) {
            am_value in = input_of(b, n, k);
            if (in == AM_VALUE_NONE || b->v[in].arena_n == 0 || b->v[in].last != i)
                continue;
            if (!(moved && k == 0))
                map_give(b, b->v[in].arg.offset);
            b->v[in].arena_n = 0; /* given back once, though read twice */
        }
        if (!v->bound && v->uses == 0) { /* an effect's result */
            map_give(b, v->arg.offset);
            v->arena_n = 0;
        }
    }
    return AM_OK;
}

static enum am_rc step_name(struct build *b, struct am_step *s, const struct am_gnode *n,
                            bool fused, struct am_err *err)
{
    const bool acts = n->op == &am_op_act || (fused && s->attr.act != AM_ACT_NONE);
    const char *act = acts ? am_act_name(s->attr.act) : NULL;
    struct am_str name =
        fused ? am_arena_printf(b->plan->arena, "%s%s%s%s%s", n->op->name,
                                n->n_in < 3 || s->in[2].space == AM_IN_NOTHING ? "" : "+bias",
                                b->v[s->node].norm != AM_VALUE_NONE ? "+norm" : "", act ? "+" : "",
                                act ? act : "")
              : am_arena_printf(b->plan->arena, "%s", act ? act : n->op->name);
    s->name = name.ptr;
    return name.ptr ? AM_OK : am_fail_nomem(err, 32);
}

/* What was swallowed becomes part of the step. */
static void take_in(struct build *b, am_value v, struct am_step *s)
{
    const struct am_gnode *outer = node_of(b, v);
    if (outer->op == &am_op_act) {
        s->attr.act = outer->attr.act;
        s->attr.f[0] = outer->attr.f[0];
    }
    if (b->v[v].norm == AM_VALUE_NONE)
        return;
    const struct am_gnode *norm = node_of(b, b->v[v].norm);
    s->attr.f[1] = norm->attr.f[0];
    if (s->n_in < 3)
        s->in[2] = (struct am_arg){.space = AM_IN_NOTHING};
    for (unsigned k = 1; k < 5; k++)
        s->in[2 + k] = b->v[norm->in[k]].arg;
    s->n_in = 7;
}

/* Rows of a step for each row of the batch. */
static size_t fold_of(const struct build *b, const struct am_gnode *n)
{
    for (unsigned k = 0; k < n->n_in; k++)
        if (am_in_given(n, k) && am_dims_batched(&node_of(b, n->in[k])->dims))
            return am_dims_fold(&node_of(b, n->in[k])->dims);
    return am_dims_fold(&n->dims);
}

static enum am_rc make_step(struct build *b, am_value v, struct am_err *err)
{
    struct am_plan *p = b->plan;
    const struct am_gnode *n = step_node(b, v), *outer = node_of(b, v);
    struct am_step *s = &p->steps[p->n_steps++];
    s->op = n->op;
    s->run = n->op->run;
    s->attr = n->attr;
    s->node = v;
    s->fold = fold_of(b, n);
    s->n_in = n->n_in;
    s->out = b->v[v].arg;
    for (unsigned k = 0; k < n->n_in; k++) {
        am_value in = input_of(b, n, k);
        if (in == AM_VALUE_NONE)
            s->in[k] = (struct am_arg){.space = AM_IN_NOTHING};
        else
            s->in[k] = arg_seen_as(b, n->in[k]);
    }
    if (n != outer)
        take_in(b, v, s);
    if (n->op->flags & AM_OP_CLASS_TARGET)
        p->n_classes = (size_t)n->attr.i[2], p->mixed = n->attr.i[3] != 0;
    if (n->op->scratch) {
        const size_t rows = p->bucket_rows * s->fold;
        const bool prepared = p->mode == AM_PLAN_INFER && n->op->prepared_scratch &&
                              n->op->prepared(b->g, n, p->kern) > 0;
        const size_t floats = prepared ? n->op->prepared_scratch(b->g, n, rows, p->kern)
                                       : n->op->scratch(b->g, n, rows);
        b->scratch = floats > b->scratch ? floats : b->scratch;
    }
    double flops = n->op->flops ? n->op->flops(b->g, n) : (double)am_dims_count(&n->dims);
    if (n != outer)
        flops += (double)am_dims_count(&outer->dims);
    if (am_dims_batched(&n->dims) || (n->n_in > 0 && s->in[0].batched))
        p->flops_row += flops * (double)s->fold;
    else
        p->flops_fixed += flops;
    return step_name(b, s, n, n != outer, err);
}

/* The graph node behind a step: steps remember the outer one. */
static const struct am_gnode *node_of_step(const struct build *b, const struct am_step *s)
{
    return step_node(b, (am_value)s->node);
}

static const struct am_gnode *port_node(const void *build, size_t step)
{
    const struct build *b = build;
    return node_of_step(b, &b->plan->steps[step]);
}

static enum am_rc choose_ports(struct build *b, const struct am_plan_options *o, struct am_err *err)
{
    const struct am_port_build ports = {.plan = b->plan,
                                        .graph = b->g,
                                        .params = b->params,
                                        .options = o,
                                        .node = port_node,
                                        .ctx = b,
                                        .scratch = &b->scratch};
    return am_ports_choose(&ports, err);
}

static enum am_rc make_steps(struct build *b, const struct am_plan_options *o, struct am_err *err)
{
    struct am_plan *p = b->plan;
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++)
        n += b->v[i].live && !b->v[i].swallowed &&
             !(node_of(b, (am_value)i)->op->flags & AM_OP_LEAF);
    p->steps = am_calloc(n ? n : 1, sizeof *p->steps);
    if (!p->steps)
        return am_fail_nomem(err, n * sizeof *p->steps);
    for (size_t i = 0; i < b->n; i++)
        if (b->v[i].live && !b->v[i].swallowed &&
            !(node_of(b, (am_value)i)->op->flags & AM_OP_LEAF))
            AM_TRY(make_step(b, (am_value)i, err));
    AM_TRY(choose_ports(b, o, err));
    if (p->mode == AM_PLAN_EVAL) { /* y has a place even when the caller gives none */
        p->y_offset = p->arena_floats;
        p->arena_floats += (p->n_outputs * p->bucket_rows + 15) / 16 * 16;
    }
    for (size_t i = 0; i < p->n_steps; i++)
        p->steps[i].scratch = p->arena_floats;
    p->arena_floats += (b->scratch + 15) / 16 * 16;
    if (p->arena_floats > AM_LIMIT_TENSOR_BYTES / sizeof(float))
        return am_fail(err, AM_ELIMIT, "a plan for %zu rows needs more than %zu bytes",
                       p->bucket_rows, AM_LIMIT_TENSOR_BYTES);
    return AM_OK;
}

static enum am_rc copy_consts(struct build *b, struct am_err *err)
{
    struct am_plan *p = b->plan;
    if (p->n_const_floats == 0)
        return AM_OK;
    p->consts = am_alloc_aligned(64, p->n_const_floats * sizeof(float));
    if (!p->consts)
        return am_fail_nomem(err, p->n_const_floats * sizeof(float));
    memset(p->consts, 0, p->n_const_floats * sizeof(float));
    for (size_t i = 0; i < b->n; i++) {
        const struct am_gnode *n = node_of(b, (am_value)i);
        if (n->data && b->v[i].live)
            memcpy(p->consts + b->v[i].arg.offset, n->data,
                   am_dims_count(&n->dims) * sizeof(float));
    }
    return AM_OK;
}

/* Floats that the op of a step packs; none where it reads sparse rows. */
static size_t prepared_floats(const struct build *b, const struct am_step *s)
{
    const struct am_gnode *n = node_of_step(b, s);
    if (s->port)
        return am_port_prepared(s);
    if (!n->op->prepared || (b->plan->sparse_x && s->in[0].space == AM_IN_X))
        return 0;
    return n->op->prepared(b->g, n, b->plan->kern);
}

/* Gives every prepared result and every parameter read as it is a place in the shared block.
 * `floats` counts them; with data the block is filled too. Step arguments are moved to the block in
 * the second pass. */
static size_t prepare(struct build *b, float *data, bool fill)
{
    size_t at = 0;
    const float *params = b->params->data;
    for (size_t i = 0; i < b->plan->n_steps; i++) {
        struct am_step *s = &b->plan->steps[i];
        const struct am_gnode *n = node_of_step(b, s);
        const size_t own = prepared_floats(b, s);
        if (own > 0 && data) {
            if (fill && !s->port)
                n->op->prepare(b->plan->kern, s, params, data + at);
            s->prepared = data + at;
        }
        at += (own + 15) / 16 * 16;
        for (unsigned k = 0; k < s->n_in; k++) {
            if (s->in[k].space != AM_IN_PARAMS || (own > 0 && (n->op->prepared_inputs >> k & 1)))
                continue;
            const size_t count = s->in[k].rows * s->in[k].cols;
            if (data) {
                if (fill)
                    memcpy(data + at, params + s->in[k].offset, count * sizeof(float));
                s->in[k].offset = at;
            }
            at += (count + 15) / 16 * 16;
        }
    }
    return at;
}

static void prepared_put(struct am_prepared *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    am_free(s->data);
    am_free(s);
}

static enum am_rc prepare_all(struct build *b, const struct am_plan *share, struct am_err *err)
{
    struct am_plan *p = b->plan;
    const size_t n_floats = prepare(b, NULL, false);
    if (n_floats > AM_LIMIT_TENSOR_BYTES / sizeof(float))
        return am_fail(err, AM_ELIMIT, "packed weights need more than %zu bytes",
                       AM_LIMIT_TENSOR_BYTES);
    if (share) {
        if (!share->shared || share->kern != p->kern || share->shared->n_floats != n_floats)
            return am_fail(err, AM_EINVAL, "the plan to share weights with is of another model");
        p->shared = share->shared;
        atomic_fetch_add(&p->shared->refs, 1);
        (void)prepare(b, p->shared->data, false);
        return AM_OK;
    }
    p->shared = am_calloc(1, sizeof *p->shared);
    if (!p->shared)
        return am_fail_nomem(err, sizeof *p->shared);
    atomic_init(&p->shared->refs, 1);
    p->shared->n_floats = n_floats;
    p->shared->data = am_alloc_tensor((n_floats ? n_floats : 16) * sizeof(float));
    if (!p->shared->data)
        return am_fail_nomem(err, n_floats * sizeof(float));
    memset(p->shared->data, 0, (n_floats ? n_floats : 16) * sizeof(float));
    (void)prepare(b, p->shared->data, true);
    return am_ports_prepare(p, b->params, err);
}

/* Every step that reads x must know sparse rows. */
static enum am_rc check_sparse(const struct build *b, struct am_err *err)
{
    for (size_t i = 0; b->plan->sparse_x && i < b->plan->n_steps; i++) {
        const struct am_step *s = &b->plan->steps[i];
        for (unsigned k = 0; k < s->n_in; k++)
            if (s->in[k].space == AM_IN_X && (k > 0 || !(s->op->flags & AM_OP_SPARSE_X) ||
                                              s->in[k].dims.rank != 2 || s->fold != 1))
                return am_fail(err, AM_EUNSUPPORTED, "%s cannot read sparse rows", s->op->name);
    }
    return AM_OK;
}

/* What a value is behind the identities before it. */
static am_value behind(const struct am_graph *g, am_value v)
{
    while (v != AM_VALUE_NONE && (g->nodes.ptr[v].op->flags & AM_OP_IDENTITY))
        v = g->nodes.ptr[v].in[0];
    return v;
}

bool am_plan_takes_sparse(const struct am_graph *g)
{
    const am_value x = am_graph_find_input(g, "x");
    if (x == AM_VALUE_NONE)
        return false;
    for (size_t i = 0; i < am_graph_n_nodes(g); i++) {
        const struct am_gnode *n = &g->nodes.ptr[i];
        for (unsigned k = 0; k < n->n_in && !(n->op->flags & AM_OP_IDENTITY); k++)
            if (behind(g, n->in[k]) == x &&
                (k > 0 || !(n->op->flags & AM_OP_SPARSE_X) || am_in_dims(g, n, k)->rank != 2))
                return false;
    }
    return true;
}

static enum am_rc check_params(const struct build *b, struct am_err *err)
{
    const struct am_graph *g = b->g;
    if (g->params.len != b->params->n_params)
        return am_fail(err, AM_EINVAL, "the graph has %zu parameters, the block %zu", g->params.len,
                       b->params->n_params);
    for (size_t k = 0; k < g->params.len; k++)
        if (!am_dims_eq(&node_of(b, g->params.ptr[k].value)->dims, &b->params->table[k].dims))
            return am_fail(err, AM_EINVAL, "parameter \"%.*s\" has other dimensions in the graph",
                           AM_FMT(b->params->table[k].name));
    return AM_OK;
}

static enum am_rc build_all(struct build *b, const struct am_plan_options *o, struct am_err *err)
{
    am_value x = am_graph_find_input(b->g, "x");
    if (x == AM_VALUE_NONE)
        return am_fail(err, AM_EINVAL, "the graph has no input \"x\"");
    b->plan->n_inputs = am_dims_cols(&node_of(b, x)->dims);
    AM_TRY(check_params(b, err));
    AM_TRY(find_live(b, err));
    AM_TRY(place_fixed(b, err));
    count_uses(b);
    fuse(b);
    AM_TRY(place_values(b, err));
    AM_TRY(make_steps(b, o, err));
    AM_TRY(check_sparse(b, err));
    AM_TRY(copy_consts(b, err));
    return b->plan->mode == AM_PLAN_INFER ? prepare_all(b, o->share, err) : AM_OK;
}

enum am_rc am_plan_build(const struct am_graph *g, const struct am_params *params,
                         const struct am_plan_options *o, struct am_plan **out, struct am_err *err)
{
    struct build b = {.g = g,
                      .params = params,
                      .n = am_graph_n_nodes(g),
                      .output = o->output ? o->output : "y",
                      .y = AM_VALUE_NONE};
    enum am_rc rc;
    *out = NULL;
    AM_TRY(am_graph_check(g, err));
    if (o->bucket_rows < 1)
        return am_fail(err, AM_EINVAL, "a plan needs room for at least one row");
    b.plan = am_calloc(1, sizeof *b.plan);
    if (!b.plan)
        return am_fail_nomem(err, sizeof *b.plan);
    atomic_init(&b.plan->refs, 1);
    b.plan->mode = o->mode;
    b.plan->bucket_rows = o->bucket_rows;
    b.plan->sparse_x = o->sparse_x || (o->mode != AM_PLAN_INFER && am_plan_takes_sparse(g));
    b.plan->kern = o->kernels ? o->kernels : am_kernels_best();
    b.plan->tkern = o->train_kernels;
    b.plan->arena = am_arena_new(0);
    b.v = am_calloc(b.n ? b.n : 1, sizeof *b.v);
    rc = b.plan->arena && b.v ? build_all(&b, o, err) : am_fail_nomem(err, b.n * sizeof *b.v);
    am_free(b.v);
    am_vec_clear(&b.map);
    if (rc != AM_OK) {
        am_plan_put(b.plan);
        return rc;
    }
    *out = b.plan;
    return AM_OK;
}

struct am_plan *am_plan_get(struct am_plan *p)
{
    atomic_fetch_add(&p->refs, 1);
    return p;
}

void am_plan_put(struct am_plan *p)
{
    if (!p || atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    prepared_put(p->shared);
    am_ports_put(p->ports);
    am_free(p->steps);
    am_free(p->consts);
    am_arena_free(p->arena);
    am_free(p);
}

size_t am_plan_bucket_rows(const struct am_plan *p)
{
    return p->bucket_rows;
}
size_t am_plan_n_inputs(const struct am_plan *p)
{
    return p->n_inputs;
}
size_t am_plan_n_outputs(const struct am_plan *p)
{
    return p->n_outputs;
}
size_t am_plan_n_steps(const struct am_plan *p)
{
    return p->n_steps;
}

const char *am_plan_step_name(const struct am_plan *p, size_t i)
{
    return i < p->n_steps ? p->steps[i].name : "";
}

size_t am_plan_session_bytes(const struct am_plan *p)
{
    return (p->arena_floats ? p->arena_floats : 16) * sizeof(float);
}

size_t am_plan_peak_bytes(const struct am_plan *p)
{
    size_t held = p->n_const_floats + (p->shared ? p->shared->n_floats : 0);
    return am_plan_session_bytes(p) + held * sizeof(float) + p->n_steps * sizeof *p->steps;
}

size_t am_plan_unshared_bytes(const struct am_plan *p)
{
    return p->unshared_floats * sizeof(float);
}

double am_plan_flops(const struct am_plan *p, size_t n_rows)
{
    return p->flops_fixed + p->flops_row * (double)n_rows;
}
