/* What an operation is: a const table of functions, and what a ready step hands them at run time.
 *
 * For nn/ itself. A new op is one table in the file of its family, one line in a list (ops.c to be
 * storable) and, when it is differentiable, one line in the fitting library's grad.c. run() must
 * not fail, allocate or keep anything; several sessions run one step at once, so a step is
 * read-only. */
#ifndef AM_NN_OP_H
#define AM_NN_OP_H

#include "nn/graph.h"
#include "tensor/sparse.h"
#include "tensor/train_kernels.h"

struct am_pool;
struct am_port_step;    /* nn/plan_port.h */
struct am_port_context; /* tensor/kernel_port.h */

enum am_op_flag {
    AM_OP_LEAF = 1,          /* no step: input, parameter, constant */
    AM_OP_IDENTITY = 2,      /* passes input 0's floats through; dims may differ */
    AM_OP_IN_PLACE = 4,      /* the output may take input 0's memory */
    AM_OP_EFFECT = 8,        /* kept though nobody reads it */
    AM_OP_CLASS_TARGET = 16, /* "target" must hold whole numbers in 0..attr.i[2]-1 */
    AM_OP_FUSES_ACT = 32,    /* run() applies attr.act with alpha attr.f[0] */
    AM_OP_FOLDS_NORM = 64,   /* prepare() takes a batch norm's parameters as inputs 3..6, eps in
                                attr.f[1] */
    AM_OP_SPARSE_X = 128,    /* run() takes r->sparse for input 0 where am_arg_sparse() gives it */
};

enum am_attr_kind { AM_ATTR_F, AM_ATTR_I, AM_ATTR_ACT };
struct am_attr_desc { /* how an attribute is stored; a list ends with name NULL */
    const char *name;
    enum am_attr_kind kind;
    unsigned index; /* into attr.f or attr.i */
    double min, max;
};

struct am_run;
struct am_step;

struct am_op {
    const char *name;
    unsigned min_in, max_in;
    unsigned flags;
    const struct am_attr_desc *attrs; /* NULL = none */
    /* Check inputs and attributes, set n->dims. */
    enum am_rc (*infer)(const struct am_graph *g, struct am_gnode *n, struct am_err *err);
    void (*run)(const struct am_run *r, const struct am_step *s);
    double (*flops)(const struct am_graph *g,
                    const struct am_gnode *n); /* a batch row; NULL = 1 an element */
    /* floats of scratch for one run of `rows` rows; NULL = none */
    size_t (*scratch)(const struct am_graph *g, const struct am_gnode *n, size_t rows);
    /* the same where the weight is prepared; NULL = as above */
    size_t (*prepared_scratch)(const struct am_graph *g, const struct am_gnode *n, size_t rows,
                               const struct am_kernels *k);
    /* INFER: what is computed once from the parameters; NULL = nothing */
    size_t (*prepared)(const struct am_graph *g, const struct am_gnode *n,
                       const struct am_kernels *k);
    void (*prepare)(const struct am_kernels *k, const struct am_step *s, const float *params,
                    float *out);
    unsigned prepared_inputs; /* bit i: input i is not read by run() once prepared */
};

enum am_space { /* where a value lies; the base pointers are set at each run */
                AM_IN_ARENA,
                AM_IN_X,
                AM_IN_TARGET,
                AM_IN_WEIGHT,
                AM_IN_Y,
                AM_IN_PARAMS,
                AM_IN_GRADS,
                AM_IN_CONST,
                AM_IN_NOTHING, /* an optional input left out */
                AM_N_SPACES
};

struct am_arg {
    uint8_t space;       /* enum am_space */
    bool batched;        /* rows counts one batch row */
    size_t offset;       /* floats from the base */
    size_t rows, cols;   /* cols = the last dimension */
    struct am_dims dims; /* as the reading (writing) node sees the value: a reshape changes them */
};

struct am_step {
    void (*run)(const struct am_run *r, const struct am_step *s);
    const struct am_op *op;
    struct am_arg in[AM_GRAPH_INPUTS_MAX];
    struct am_arg out;
    unsigned n_in;
    struct am_attr attr;   /* after fusion: attr.act and attr.f[0] of the fused activation */
    size_t scratch;        /* float offset into the arena */
    const float *prepared; /* lives with the plan's packed block, or NULL */
    const struct am_port_step *port; /* a library runs this step; NULL = the op itself */
    size_t fold;   /* rows for each row of the batch: run() sees n_rows times this */
    uint64_t node; /* id in the graph: names the dropout stream */
    const char *name;
};

struct am_run {
    float *base[AM_N_SPACES]; /* read-only ones too; NULL = not given */
    size_t n_rows;            /* of this step */
    struct am_pool *pool;
    const struct am_kernels *kern;
    const struct am_train_kernels *tkern;
    struct am_port_context *const *port; /* of the session; NULL = no step needs one */
    uint64_t seed, step;
    double mass;                 /* what gradients are divided by; 0 = the run's weight sum */
    double *loss, *weight_sum;   /* out */
    const struct am_csr *sparse; /* the model's input as sparse rows; NULL = base[AM_IN_X] */
};

static inline float *am_arg_ptr(const struct am_run *r, const struct am_arg *a)
{
    return r->base[a->space] ? r->base[a->space] + a->offset : NULL;
}
static inline size_t am_arg_rows(const struct am_run *r, const struct am_arg *a)
{
    return a->batched ? r->n_rows * a->rows : a->rows;
}
static inline size_t am_arg_count(const struct am_run *r, const struct am_arg *a)
{
    return am_arg_rows(r, a) * a->cols;
}
/* The sparse rows of an input that is the model's x, or NULL. */
static inline const struct am_csr *am_arg_sparse(const struct am_run *r, const struct am_arg *a)
{
    return a->space == AM_IN_X ? r->sparse : NULL;
}
static inline float *am_scratch(const struct am_run *r, const struct am_step *s)
{
    return r->base[AM_IN_ARENA] + s->scratch;
}

/* C = act(A B + bias) over the pool where that pays; chunks depend on the shape only. */
void am_run_gemm(const struct am_run *r, const struct am_gemm *g);

/* part(r, s, begin, end) for chunks of [0, n), over the pool where n * floats_each is long enough;
 * chunks depend on n and floats_each only and must write disjoint outputs. */
typedef void am_run_part(const struct am_run *r, const struct am_step *s, size_t begin, size_t end);
void am_run_split(const struct am_run *r, const struct am_step *s, size_t n, size_t floats_each,
                  am_run_part *part);

/* The same over the elements of the step's output, or over its rows, or over columns of x in groups
 * of 16: part gets element, row or column numbers. */
void am_run_elements(const struct am_run *r, const struct am_step *s, am_run_part *part);
void am_run_rows(const struct am_run *r, const struct am_step *s, am_run_part *part);
void am_run_columns(const struct am_run *r, const struct am_step *s, const struct am_arg *x,
                    am_run_part *part);

/* The applying library's ops. */
extern const struct am_op am_op_input, am_op_param, am_op_linear, am_op_act, am_op_softmax,
    am_op_dropout, am_op_batch_norm, am_op_layer_norm, am_op_embedding, am_op_add, am_op_mul,
    am_op_scale, am_op_concat, am_op_columns;
extern const struct am_op am_op_tokens, am_op_reshape, am_op_permute, am_op_slice, am_op_pad,
    am_op_max_pool, am_op_average_pool, am_op_global_max_pool, am_op_global_average_pool,
    am_op_upsample_nearest, am_op_upsample_bilinear, am_op_group_norm, am_op_dropout2d;
extern const struct am_op am_op_split_frames, am_op_join_frames;
extern const struct am_op am_op_rnn, am_op_lstm, am_op_gru, am_op_seq_lengths, am_op_seq_pool,
    am_op_seq_attend, am_op_seq_reverse;
extern const struct am_op am_op_conv, am_op_conv_transposed, am_op_trees;
extern const struct am_op am_op_distance, am_op_similarity, am_op_neighbours, am_op_gauss;
extern const struct am_op am_op_couple;
extern const struct am_op am_op_log_odds, am_op_vote;
extern const struct am_op am_op_weighted_median, am_op_exp;
const struct am_op *am_op_find(struct am_str name); /* among these; NULL when unknown */

/* "node 7 (linear), inputs [B,30] [31,16]: why"; why is a plain English literal. */
enum am_rc am_op_fail(const struct am_graph *g, const struct am_gnode *n, struct am_err *err,
                      const char *why);
/* Dimensions of input i; only for inputs that are there. */
static inline const struct am_dims *am_in_dims(const struct am_graph *g, const struct am_gnode *n,
                                               unsigned i)
{
    return &am_graph_node(g, n->in[i])->dims;
}
static inline bool am_in_given(const struct am_gnode *n, unsigned i)
{
    return i < n->n_in && n->in[i] != AM_VALUE_NONE;
}

#endif
