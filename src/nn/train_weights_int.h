/* Between reading a file of weights, finding the tensor of a parameter, and copying. For
 * train_weights*.c only. */
#ifndef AM_NN_TRAIN_WEIGHTS_INT_H
#define AM_NN_TRAIN_WEIGHTS_INT_H

#include "nn/train_weights.h"
#include "tensor/safetensors.h"

struct am_weights_tensor {
    struct am_st_tensor t;
    struct am_str named; /* of HDF5: the path under the layers' own names; else the tensor's name */
    bool used, ignored;  /* ignored: state of an optimiser, of random numbers */
};

struct am_weights_file {
    struct am_weights_tensor *tensors; /* in the arena of the reading, [n] */
    size_t n;
    bool keras;                   /* HDF5, or .keras */
    const struct am_node *config; /* of a .keras file: the model; else NULL */
};

/* Any format; what it needs to keep lies in a. */
enum am_rc am_weights_read(struct am_str bytes, struct am_arena *a, struct am_weights_file *out,
                           struct am_err *err) AM_MUST_CHECK;

enum am_weights_how {
    AM_FIT_SAME,   /* element by element */
    AM_FIT_TURNED, /* PyTorch's [out, in] */
    AM_FIT_VECTOR, /* PyTorch's one number a feature of flattened pictures */
    AM_FIT_GATES,  /* Keras's z r h for our r z n */
    AM_FIT_FILL,   /* a constant */
};

/* How one parameter is filled. Its element (r, c) of [rows, cols] comes from the tensor's .. */
struct am_weights_fit {
    const struct am_param *p;
    struct am_weights_tensor *from; /* NULL: FILL */
    enum am_weights_how how;
    size_t rows, cols;
    size_t places_in, places_out; /* TURNED, VECTOR (in): places that channels lie before; 1 = none
                                   */
    size_t offset;                /* SAME, GATES: of the first element in the tensor */
    float fill;
};

/* The node that reads parameter k, and as which input. */
const struct am_gnode *am_weights_reader(const struct am_graph *g, size_t k, unsigned *input);
bool am_weights_same_shape(const struct am_st_tensor *t, const struct am_param *p);
enum am_rc am_weights_bad_shape(const struct am_st_tensor *t, const struct am_param *p,
                                struct am_err *err);
/* The longest name of the map that stands for the parameter or its layer; rest gets what follows it
 * (".weight"). */
const struct am_weights_name *am_weights_mapped(const struct am_weights_options *o,
                                                struct am_str name, struct am_str *rest);

/* PyTorch: in and out [nodes]: how many places lie inside of each channel of a value's last
 * dimension, in PyTorch's order of it; 1 = as ours, 0 = nobody knows. */
void am_weights_places(const struct am_graph *g, size_t input_places, size_t *places);

struct am_keras;
enum am_rc am_keras_new(const struct am_graph *g, const struct am_params *p,
                        const struct am_weights_options *o, struct am_weights_file *f,
                        struct am_arena *a, struct am_keras **out,
                        struct am_err *err) AM_MUST_CHECK;
/* The fit of parameter k; *found = false when the file has no layer of that name. */
enum am_rc am_keras_fit(struct am_keras *q, size_t k, struct am_weights_fit *out, bool *found,
                        struct am_err *err) AM_MUST_CHECK;
/* "conv2d, dense, dense_1": the first layers of the file, for hints. */
void am_keras_layers(const struct am_keras *q, struct am_buf *out);

#endif
