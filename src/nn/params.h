/* Parameters: one 64-byte aligned block of float32 and a table of what lies where.
 *
 * Gradients and optimiser moments are twins: blocks of the same n_floats in the same layout, made
 * with am_params_twin, so a checkpoint is one write, clipping one norm, an optimiser one loop.
 * Every tensor starts at a multiple of 16 floats and the gaps are and stay zero in block and twins.
 * The struct owns its block; whoever makes a twin owns that. One writer at a time. */
#ifndef AM_NN_PARAMS_H
#define AM_NN_PARAMS_H

#include "base/map.h"
#include "nn/graph.h"

struct am_param {
    struct am_str name; /* lives as long as the am_params */
    size_t offset;      /* floats from the start of the block; a multiple of 16 */
    size_t n;           /* elements */
    struct am_dims dims;
    unsigned flags; /* enum am_param_flag */
    enum am_init init;
    float scale; /* of init */
    float rate;  /* the learning rate is multiplied by this; 1 */
};

struct am_params {
    struct am_param *table; /* owned, [n_params], in the order of the graph's parameters */
    size_t n_params;
    size_t n_floats;        /* of the block, gaps included; a multiple of 16 */
    size_t n_values;        /* without gaps: the model's parameter count */
    float *data;            /* owned, [n_floats], 64-byte aligned */
    struct am_map names;    /* name -> index into table */
    struct am_arena *arena; /* owned: names */
};

/* Layout from the graph, all zero. */
enum am_rc am_params_new(const struct am_graph *g, struct am_params **out,
                         struct am_err *err) AM_MUST_CHECK;
void am_params_free(struct am_params *p); /* NULL is fine */
/* A zeroed block of n_floats, 64-byte aligned; free with am_free. */
enum am_rc am_params_twin(const struct am_params *p, float **out, struct am_err *err) AM_MUST_CHECK;
/* The entry of that name, or NULL. */
const struct am_param *am_params_find(const struct am_params *p, struct am_str name);
static inline float *am_param_data(const struct am_params *p, size_t k)
{
    return p->data + p->table[k].offset;
}
/* Bytes of one block. */
static inline size_t am_params_bytes(const struct am_params *p)
{
    return p->n_floats * sizeof(float);
}

/* Fill every parameter by its init rule. Tensor k draws from stream AM_RNG_INIT with a counter
 * range of its own, so the values depend on seed, k and dims only. (Fitting library.) */
void am_params_init(struct am_params *p, uint64_t seed);

#endif
