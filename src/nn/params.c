/* The parameter block and its table. Layout only; how values are drawn is params_init.c (fitting).
 */
#include "nn/params.h"

#include <string.h>

#include "base/alloc.h"

void am_params_free(struct am_params *p)
{
    if (!p)
        return;
    am_free(p->table);
    am_free(p->data);
    am_map_clear(&p->names);
    am_arena_free(p->arena);
    am_free(p);
}

static enum am_rc zero_block(size_t n_floats, float **out, struct am_err *err)
{
    size_t n_bytes;
    *out = NULL;
    if (!am_mul_size(&n_bytes, n_floats ? n_floats : 16, sizeof(float)) ||
        n_bytes > AM_LIMIT_TENSOR_BYTES)
        return am_fail(err, AM_ELIMIT, "%zu parameter floats need more than %zu bytes", n_floats,
                       AM_LIMIT_TENSOR_BYTES);
    float *data = am_alloc_tensor(n_bytes);
    if (!data)
        return am_fail_nomem(err, n_bytes);
    memset(data, 0, n_bytes);
    *out = data;
    return AM_OK;
}

static enum am_rc lay_out(struct am_params *p, const struct am_graph *g, struct am_err *err)
{
    for (size_t k = 0; k < p->n_params; k++) {
        const struct am_gnode *n = am_graph_node(g, am_graph_param_value(g, k));
        const struct am_param_spec *spec = am_graph_param_spec(g, k);
        struct am_param *e = &p->table[k];
        e->name = am_arena_str(p->arena, n->name);
        if (!e->name.ptr)
            return am_fail_nomem(err, n->name.len);
        AM_TRY(am_map_put(&p->names, e->name, k, err));
        e->offset = p->n_floats;
        e->n = am_dims_count(&n->dims);
        e->dims = n->dims;
        e->flags = spec->flags;
        e->init = spec->init;
        e->scale = spec->scale;
        e->rate = 1;
        p->n_values += e->n;
        p->n_floats += (e->n + 15) / 16 * 16;
        if (p->n_floats > AM_LIMIT_TENSOR_BYTES / sizeof(float))
            return am_fail(err, AM_ELIMIT, "the parameters need more than %zu bytes",
                           AM_LIMIT_TENSOR_BYTES);
    }
    return zero_block(p->n_floats, &p->data, err);
}

enum am_rc am_params_new(const struct am_graph *g, struct am_params **out, struct am_err *err)
{
    enum am_rc rc;
    *out = NULL;
    AM_TRY(am_graph_check(g, err));
    struct am_params *p = am_calloc(1, sizeof *p);
    if (!p)
        return am_fail_nomem(err, sizeof *p);
    am_map_init(&p->names);
    p->n_params = am_graph_n_params(g);
    p->table = am_calloc(p->n_params ? p->n_params : 1, sizeof *p->table);
    p->arena = am_arena_new(0);
    rc = p->table && p->arena ? lay_out(p, g, err)
                              : am_fail_nomem(err, p->n_params * sizeof *p->table);
    if (rc != AM_OK) {
        am_params_free(p);
        return rc;
    }
    *out = p;
    return AM_OK;
}

enum am_rc am_params_twin(const struct am_params *p, float **out, struct am_err *err)
{
    return zero_block(p->n_floats, out, err);
}

const struct am_param *am_params_find(const struct am_params *p, struct am_str name)
{
    const uint64_t *k = am_map_get(&p->names, name);
    return k ? &p->table[*k] : NULL;
}
