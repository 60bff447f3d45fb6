/* Weights of another training by name, into the parameters of a graph: safetensors, .npz (stored or
 * compressed), and HDF5 files of Keras (.h5, .weights.h5, .keras; tensor/weights.h). Fitting
 * library; nothing is kept. One thread.
 *
 * PYTORCH: matrices are turned: linear and recurrent weights [out, in], convolutions [out, in,
 * (height,) width], transposed ones [in, out, ..]; embeddings stay. PyTorch counts channels before
 * places, so what follows a flatten of pictures or of a convolution's sequences, or goes before a
 * reshape into pictures, is put in our order: linear weights and biases, norms between.
 *
 * KERAS: variables of a layer by their names (kernel, gamma, ..), or by their numbers in files of
 * Keras 3. Its LSTM has our gates in our order, its GRU gets them exchanged; its one bias is our
 * first, the second is 0 (GRU with reset_after has both). A layer without bias or gamma is one of
 * zeros or ones. */
#ifndef AM_NN_TRAIN_WEIGHTS_H
#define AM_NN_TRAIN_WEIGHTS_H

#include "nn/graph.h"
#include "nn/params.h"

enum am_weights_layout {
    AM_WEIGHTS_AUTO, /* KERAS for HDF5 and .keras files, else OURS */
    AM_WEIGHTS_OURS,
    AM_WEIGHTS_PYTORCH,
    AM_WEIGHTS_KERAS,
};

/* What we call `ours` the file calls `theirs`: a layer ("conv1" for "conv1.weight" and
 * "conv1.bias"; "lstm_l1" for layer 1 of a recurrent stack) or one parameter. */
struct am_weights_name {
    struct am_str ours, theirs;
};

struct am_weights_options {
    enum am_weights_layout layout;
    const struct am_str *skip; /* patterns of names that stay as they are (train.h), [n_skip] */
    size_t n_skip;
    const struct am_weights_name *map; /* [n_map] */
    size_t n_map;
    size_t input_places; /* PYTORCH: pixels of "x" when it is a picture [H,W,C]; 0 = it is none */
};

struct am_weights_report {
    enum am_weights_layout layout; /* AUTO resolved */
    size_t n_matched, n_skipped;
    const struct am_str *missing; /* parameters without a tensor, [n_missing]; in the arena */
    size_t n_missing;
    const struct am_str *unused; /* tensors without a parameter, [n_unused] */
    size_t n_unused;
};

/* file: the bytes, format by their first ones. AM_EUSAGE: a shape that does not fit (both are
 * named), no name in common, a name of the map that is nowhere; AM_ECORRUPT, AM_EUNSUPPORTED,
 * AM_ELIMIT: the file; AM_EMISSING: no reader of HDF5. params are untouched on failure. */
enum am_rc am_weights_load(const struct am_graph *g, struct am_params *params, struct am_str file,
                           const struct am_weights_options *options, struct am_arena *a,
                           struct am_weights_report *out, struct am_err *err) AM_MUST_CHECK;

#endif
