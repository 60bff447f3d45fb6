/* Files of weights as a list of tensors: safetensors, .npz, HDF5, and .keras archives with an HDF5
 * file inside. What the tensors are called for is not known here. */
#include <string.h>

#include "nn/train_archive.h"
#include "nn/train_weights_int.h"
#include "tensor/npy.h"
#include "tensor/weights.h"

static enum am_rc room(struct am_weights_file *f, size_t n, struct am_arena *a, struct am_err *err)
{
    f->tensors = am_arena_array(a, n + 1, sizeof *f->tensors);
    return am_arena_check(a, err);
}

/* ---- .npz ---- */

static enum am_rc read_npy(struct am_archive *z, const struct am_member *m, struct am_arena *a,
                           struct am_weights_tensor *out, struct am_err *err)
{
    struct am_str bytes, name = m->name;
    struct am_npy array;
    AM_TRY(am_archive_read(z, m, a, &bytes, err));
    AM_TRY(am_npy_parse(bytes, &array, err));
    if (am_str_ends(name, AM_STR(".npy")))
        name.len -= 4;
    *out = (struct am_weights_tensor){.t = {.name = am_arena_str(a, name),
                                            .dtype = array.dtype,
                                            .rank = array.rank,
                                            .data = array.data,
                                            .n_bytes = array.n_bytes}};
    out->named = out->t.name;
    memcpy(out->t.dims, array.dims, sizeof out->t.dims);
    return am_arena_check(a, err);
}

static bool holds(const struct am_archive *z, const char *ending)
{
    for (size_t i = 0; i < z->n; i++)
        if (am_str_ends(z->members[i].name, am_str(ending)))
            return true;
    return false;
}

static enum am_rc read_npz(struct am_archive *z, struct am_arena *a, struct am_weights_file *out,
                           struct am_err *err)
{
    if (holds(z, "data.pkl")) {
        am_fail(err, AM_EUNSUPPORTED, "this file of PyTorch is a pickle, which is a program");
        am_hint(err, "Write the weights alone: "
                     "safetensors.torch.save_file(model.state_dict(), FILE).");
        return AM_EUNSUPPORTED;
    }
    AM_TRY(room(out, z->n, a, err));
    for (out->n = 0; out->n < z->n; out->n++) {
        enum am_rc rc = read_npy(z, &z->members[out->n], a, &out->tensors[out->n], err);
        if (rc != AM_OK) {
            am_context(err, "array \"%.*s\"", AM_FMT(z->members[out->n].name));
            return rc;
        }
    }
    return AM_OK;
}

/* ---- HDF5 ---- */

struct gather {
    struct am_arena *arena;
    struct am_weights_file *file;
    size_t cap;
};

static enum am_rc more_room(struct gather *g, struct am_err *err)
{
    struct am_weights_tensor *old = g->file->tensors;
    size_t n = g->file->n, cap = g->cap ? 2 * g->cap : 256;
    AM_TRY(room(g->file, cap, g->arena, err));
    if (n)
        memcpy(g->file->tensors, old, n * sizeof *old);
    g->cap = cap;
    return AM_OK;
}

static enum am_rc take(void *ctx, const struct am_weights_array *array, float **values,
                       struct am_err *err)
{
    struct gather *g = ctx;
    float *v = am_arena_array(g->arena, array->n + 1, sizeof *v);
    if (g->file->n == g->cap)
        AM_TRY(more_room(g, err));
    struct am_weights_tensor *t = &g->file->tensors[g->file->n++];
    *t = (struct am_weights_tensor){.t = {.name = am_arena_str(g->arena, array->path),
                                          .dtype = AM_F32,
                                          .rank = array->rank,
                                          .data = v,
                                          .n_bytes = array->n * sizeof *v},
                                    .named = am_arena_str(g->arena, array->named)};
    memcpy(t->t.dims, array->dims, sizeof t->t.dims);
    *values = v;
    return am_arena_check(g->arena, err);
}

static enum am_rc read_hdf5(struct am_str bytes, struct am_arena *a, struct am_weights_file *out,
                            struct am_err *err)
{
    struct gather g = {.arena = a, .file = out};
    const struct am_weights_sink sink = {&g, take};
    out->keras = true;
    return am_weights_walk(bytes, &sink, err);
}

/* ---- .keras: a zip of config.json, metadata.json and model.weights.h5 ---- */

static enum am_rc read_keras(struct am_archive *z, const struct am_member *weights,
                             struct am_arena *a, struct am_weights_file *out, struct am_err *err)
{
    const struct am_member *config = am_archive_find(z, AM_STR("config.json"));
    struct am_node *root = NULL;
    struct am_str bytes;
    if (config) {
        AM_TRY(am_archive_read(z, config, a, &bytes, err));
        AM_TRY(am_json_parse(a, bytes, "config.json", &root, err));
        out->config = root;
    }
    AM_TRY(am_archive_read(z, weights, a, &bytes, err));
    if (!am_weights_is_hdf5(bytes))
        return am_fail(err, AM_ECORRUPT, "model.weights.h5 of the .keras file is no HDF5 file");
    return read_hdf5(bytes, a, out, err);
}

/* ---- all ---- */

static enum am_rc read_archive(struct am_str bytes, struct am_arena *a, struct am_weights_file *out,
                               struct am_err *err)
{
    struct am_archive z;
    const struct am_member *weights;
    AM_TRY(am_archive_open(bytes, a, &z, err));
    weights = am_archive_find(&z, AM_STR("model.weights.h5"));
    return weights ? read_keras(&z, weights, a, out, err) : read_npz(&z, a, out, err);
}

static enum am_rc read_safetensors(struct am_str bytes, struct am_arena *a,
                                   struct am_weights_file *out, struct am_err *err)
{
    struct am_safetensors s;
    AM_TRY(am_safetensors_parse(a, bytes, AM_ST_ANY_FLOAT, &s, err));
    AM_TRY(room(out, s.n, a, err));
    for (; out->n < s.n; out->n++) {
        out->tensors[out->n].t = s.tensors[out->n];
        out->tensors[out->n].named = s.tensors[out->n].name;
    }
    return AM_OK;
}

enum am_rc am_weights_read(struct am_str bytes, struct am_arena *a, struct am_weights_file *out,
                           struct am_err *err)
{
    *out = (struct am_weights_file){0};
    if (am_archive_is(bytes))
        return read_archive(bytes, a, out, err);
    if (am_weights_is_hdf5(bytes))
        return read_hdf5(bytes, a, out, err);
    return read_safetensors(bytes, a, out, err);
}
