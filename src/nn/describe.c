/* Walks a graph for the table of `plan`. Nothing is executed. */
#include "nn/describe.h"

#include <string.h>

#include "base/alloc.h"
#include "nn/graph_int.h"
#include "nn/layers.h"

/* "hidden1" of parameter "hidden1.weight" */
static struct am_str layer_of(struct am_str parameter)
{
    for (size_t i = parameter.len; i-- > 0;)
        if (parameter.ptr[i] == '.')
            return (struct am_str){parameter.ptr, i};
    return parameter;
}

static void count_params(const struct am_graph *g, const struct am_gnode *n, bool *seen,
                         struct am_graph_row *row)
{
    for (unsigned k = 0; k < n->n_in; k++) {
        const struct am_gnode *p = am_in_given(n, k) ? &g->nodes.ptr[n->in[k]] : NULL;
        size_t which;
        if (!p || p->op != &am_op_param)
            continue;
        which = (size_t)p->attr.i[0];
        if (row->name.len == 0)
            row->name = layer_of(p->name);
        if (seen[which])
            continue;
        seen[which] = true;
        row->n_params += am_dims_count(&p->dims);
        if (!(g->params.ptr[which].spec.flags & (AM_PARAM_FROZEN | AM_PARAM_STATE)))
            row->n_trained += am_dims_count(&p->dims);
    }
}

enum am_rc am_graph_describe(const struct am_graph *g, struct am_arena *a,
                             const struct am_graph_row **rows, size_t *n, struct am_err *err)
{
    struct am_graph_row *out = am_arena_array(a, g->nodes.len + 1, sizeof *out);
    bool *seen = am_arena_array(a, g->params.len + 1, sizeof *seen);
    *n = 0;
    AM_TRY(am_graph_check(g, err));
    AM_TRY(am_arena_check(a, err));
    memset(seen, 0, g->params.len + 1);
    for (size_t i = 0; i < g->nodes.len; i++) {
        const struct am_gnode *v = &g->nodes.ptr[i];
        const char *type = v->op == &am_op_act ? am_act_name(v->attr.act) : v->op->name;
        if (v->op->flags & (AM_OP_LEAF | AM_OP_IDENTITY))
            continue;
        out[*n] = (struct am_graph_row){.type = am_str(type), .dims = v->dims};
        count_params(g, v, seen, &out[*n]);
        if (out[*n].name.len == 0)
            out[*n].name = v->name;
        out[*n].flops = v->op->flops ? v->op->flops(g, v) : (double)am_dims_count(&v->dims);
        out[*n].flops *= (double)am_dims_fold(&v->dims);
        if (out[*n].name.len)
            out[*n].name = am_arena_str(a, out[*n].name);
        (*n)++;
    }
    *rows = out;
    return am_arena_check(a, err);
}

enum am_rc am_graph_select_output(const struct am_graph *g, const char *name, struct am_graph **out,
                                  struct am_err *err)
{
    am_value v = am_graph_find_output(g, name);
    if (v == AM_VALUE_NONE)
        return am_fail(err, AM_ENOTFOUND, "the model has no output \"%s\"", name);
    AM_TRY(am_graph_copy(g, out, err));
    for (size_t i = 0; i < (*out)->n_outputs; i++)
        if (am_str_is((*out)->outputs[i].name, "y"))
            (*out)->outputs[i].value = v;
    return AM_OK;
}
