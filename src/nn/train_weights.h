/* Weights of another training by name: safetensors files and .npz archives (stored, not deflated)
 * into the parameters of a graph. Fitting library; nothing is kept. One thread.
 *
 * Shapes must fit. With the layout of PyTorch matrices are turned: linear and recurrent weights
 * [out, in], convolutions [out, in, (height,) width], transposed ones [in, out, ..]; embeddings
 * stay. A flatten between convolutions and a dense layer orders its inputs channels first in
 * PyTorch: such a dense layer's weights are not put in our order. */
#ifndef AM_NN_TRAIN_WEIGHTS_H
#define AM_NN_TRAIN_WEIGHTS_H

#include "nn/graph.h"
#include "nn/params.h"

enum am_weights_layout { AM_WEIGHTS_OURS, AM_WEIGHTS_PYTORCH };

struct am_weights_options {
    enum am_weights_layout layout;
    const struct am_str *skip; /* patterns of names that stay as they are (train.h), [n_skip] */
    size_t n_skip;
};

struct am_weights_report {
    size_t n_matched, n_skipped;
    const struct am_str *missing; /* parameters without a tensor, [n_missing]; in the arena */
    size_t n_missing;
    const struct am_str *unused; /* tensors without a parameter, [n_unused] */
    size_t n_unused;
};

/* file: the bytes, format by their first ones. AM_EUSAGE: a shape that does not fit (both are
 * named), or no name in common; AM_ECORRUPT and AM_EUNSUPPORTED: the file. params are untouched on
 * failure. */
enum am_rc am_weights_load(const struct am_graph *g, struct am_params *params, struct am_str file,
                           const struct am_weights_options *options, struct am_arena *a,
                           struct am_weights_report *out, struct am_err *err) AM_MUST_CHECK;

#endif
