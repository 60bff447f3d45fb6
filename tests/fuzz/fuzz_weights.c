/* Any bytes as a file of weights: safetensors, .npz and .keras (stored and deflated members), in
 * every layout, for a small network; and any bytes as the list of paths that an HDF5 file would
 * have, through the port, so that what Keras's names mean is read without the library. Never a
 * crash. */
#include "base/alloc.h"
#include "nn/layers_conv.h"
#include "nn/layers_seq.h"
#include "nn/layers_shape.h"
#include "nn/train_weights.h"
#include "tensor/ports_abi.h"
#include "tensor/weights.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* A line is an array: a byte of shape, a path, "=", the path under other names. */
static enum am_rc read_lines(struct am_str file, const struct am_weights_sink *sink,
                             struct am_err *err)
{
    size_t at = 8;
    while (at < file.len) {
        static const uint64_t shapes[8][4] = {{3, 3, 2, 4}, {4},     {4, 12}, {4, 16},
                                              {2, 12},      {64, 5}, {5},     {9, 4}};
        static const unsigned ranks[8] = {4, 1, 2, 2, 2, 2, 1, 2};
        const char *line = file.ptr + at, *end = memchr(line, '\n', file.len - at);
        const size_t n = end ? (size_t)(end - line) : file.len - at,
                     shape = (unsigned char)*line % 8;
        const char *named = n ? memchr(line, '=', n) : NULL;
        struct am_weights_array a = {.rank = ranks[shape], .n = 1};
        float *values = NULL;
        at += n + 1;
        if (n == 0)
            continue;
        a.path = (struct am_str){line + 1, (named ? (size_t)(named - line) : n) - 1};
        a.named = named ? (struct am_str){named + 1, n - (size_t)(named - line) - 1} : a.path;
        if (named == line)
            continue;
        for (unsigned i = 0; i < a.rank; i++) {
            a.dims[i] = shapes[shape][i];
            a.n *= (size_t)a.dims[i];
        }
        AM_TRY(sink->array(sink->ctx, &a, &values, err));
        for (size_t i = 0; values && i < a.n; i++)
            values[i] = (float)i;
    }
    return AM_OK;
}

static const struct am_weights_ops fake = {
    .abi = AM_PORTS_ABI, .size = sizeof fake, .name = "lines", .read = read_lines};

static enum am_rc open_fake(void *ctx, const struct am_weights_ops **out, struct am_err *err)
{
    (void)ctx;
    (void)err;
    *out = &fake;
    return AM_OK;
}

static struct am_graph *network(void)
{
    const struct am_conv_options conv = {.kernel = {3, 3}, .same = true, .bias = AM_BIAS_YES};
    const struct am_dense_options dense = {.init = AM_INIT_GLOROT_UNIFORM};
    const struct am_seq_options seq = {.direction = AM_SEQ_BIDIRECTIONAL, .lengths = AM_VALUE_NONE};
    const int64_t picture[3] = {4, 4, 2}, steps[2] = {16, 4};
    struct am_graph *g;
    struct am_err err;
    if (am_graph_new(&g, &err) != AM_OK)
        return NULL;
    am_value x = am_graph_input(g, "x", am_dims2(AM_DIM_BATCH, 32));
    x = am_layer_conv2d(g, am_layer_reshape(g, x, picture, 3, "x"), 4, &conv, "conv2d");
    x = am_layer_batch_norm(g, x, 1e-3f, 0.1f, "bn");
    am_value flat = am_layer_dense(g, am_layer_flatten(g, x, "f"), 5, &dense, "dense");
    am_value s = am_layer_gru(g, am_layer_reshape(g, x, steps, 2, "s"), 4, &seq, "gru");
    const am_value both[2] = {flat, s};
    am_graph_output(g, "y", am_layer_dense(g, am_layer_concat(g, both, 2), 3, &dense, "out"));
    return g;
}

static void load(const struct am_graph *g, struct am_params *p, struct am_str bytes,
                 enum am_weights_layout layout)
{
    static const struct am_weights_name map[2] = {{AM_STR_INIT("dense"), AM_STR_INIT("d")},
                                                  {AM_STR_INIT("gru_l0"), AM_STR_INIT("r")}};
    struct am_arena *a = am_arena_new((size_t)16 << 20);
    for (size_t n_map = 0; a && n_map <= 2; n_map += 2) {
        const struct am_weights_options o = {.layout = layout, .map = map, .n_map = n_map};
        struct am_weights_report r;
        struct am_err err;
        if (am_weights_load(g, p, bytes, &o, a, &r, &err) != AM_OK)
            am_err_clear(&err);
    }
    am_arena_free(a);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static struct am_graph *g;
    static struct am_params *p;
    const struct am_weights_loader loader = {.open = open_fake};
    struct am_str bytes = {(const char *)data, size};
    struct am_err err;
    if (!g) {
        am_weights_set_loader(&loader);
        g = network();
        if (!g || am_params_new(g, &p, &err) != AM_OK)
            return 1;
    }
    for (int layout = AM_WEIGHTS_AUTO; layout <= AM_WEIGHTS_KERAS; layout++)
        load(g, p, bytes, (enum am_weights_layout)layout);
    char *lines = am_alloc(size + 8);
    if (lines) {
        memcpy(lines, "\x89HDF\r\n\x1a\n", 8);
        memcpy(lines + 8, data, size);
        load(g, p, (struct am_str){lines, size + 8}, AM_WEIGHTS_AUTO);
    }
    am_free(lines);
    return 0;
}
