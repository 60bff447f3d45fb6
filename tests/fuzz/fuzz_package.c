/* Any bytes as an .aim file; and any bytes as each part of one whose checksums are right, since
 * whoever makes a file can make its checksums. Also as safetensors and .npy. Never a crash. */
#include "model/model.h"
#include "tensor/npy.h"
#include "tensor/safetensors.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void open_bytes(struct am_str bytes)
{
    struct am_model *m = NULL;
    struct am_err err;
    if (am_model_open_bytes(bytes, NULL, &m, &err) == AM_OK) {
        struct am_predictor *p = NULL;
        struct am_prediction out = {0};
        if (am_predictor_new(m, NULL, &p, &err) == AM_OK &&
            am_model_predict(p, am_model_sample(m), &out, &err) != AM_OK)
            am_err_clear(&err);
        am_prediction_clear(&out);
        am_predictor_free(p);
    }
    am_model_put(m);
}

/* The input as a list of parts, each [part number, 3-byte length, bytes]; a part that is left out
 * is "{}". */
static void open_parts(const unsigned char *data, size_t size)
{
    struct am_package_content c = {0};
    struct am_arena *a = am_arena_new((size_t)64 << 20);
    struct am_node *manifest = NULL;
    struct am_buf out;
    struct am_err err;
    am_buf_init(&out, (size_t)16 << 20);
    for (int i = 1; i < AM_PART_SIGNATURE; i++)
        c.parts[i] = AM_STR("{}");
    while (a && size >= 4) {
        size_t n = (size_t)data[1] | (size_t)data[2] << 8 | (size_t)data[3] << 16;
        struct am_str part = {(const char *)data + 4, n < size - 4 ? n : size - 4};
        unsigned which = data[0] % AM_PART_SIGNATURE;
        if (which)
            c.parts[which] = part;
        else if (am_json_parse(a, part, "fuzz", &manifest, &err) != AM_OK)
            manifest = NULL;
        data += 4 + part.len;
        size -= 4 + part.len;
    }
    c.manifest = manifest;
    if (manifest && am_package_build(&c, &out, &err) == AM_OK)
        open_bytes(am_buf_view(&out));
    am_buf_clear(&out);
    am_arena_free(a);
}

static void open_tensors(struct am_str bytes)
{
    struct am_arena *a = am_arena_new((size_t)64 << 20);
    struct am_safetensors s;
    struct am_npy npy;
    struct am_err err;
    if (a && am_safetensors_parse(a, bytes, AM_ST_FINITE, &s, &err) != AM_OK)
        am_err_clear(&err);
    if (am_npy_parse(bytes, &npy, &err) != AM_OK)
        am_err_clear(&err);
    am_arena_free(a);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct am_str bytes = {(const char *)data, size};
    open_bytes(bytes);
    open_tensors(bytes);
    open_parts(data, size);
    return 0;
}
