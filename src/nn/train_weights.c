/* Loads weights by name: a list of tensors from either format, matched, checked, then copied. All
 * checks come before the first copy. */
#include "nn/train_weights.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "nn/graph_int.h"
#include "nn/train.h"
#include "tensor/npy.h"
#include "tensor/safetensors.h"

struct tensors {
    struct am_st_tensor *t; /* in the arena */
    size_t n;
};

/* ---- .npz: a zip of stored .npy files ---- */

static uint32_t u16(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t u32(const unsigned char *p)
{
    return u16(p) | u16(p + 2) << 16;
}

static enum am_rc bad_zip(const char *why, struct am_err *err)
{
    return am_fail(err, AM_ECORRUPT, "the .npz file is damaged: %s", am_tr(why));
}

#define END_BYTES 22   /* end of the central directory, without its comment */
#define ENTRY_BYTES 46 /* of the central directory, without name, extra, comment */
#define LOCAL_BYTES 30 /* the header before a member's bytes */
#define MEMBERS_MAX 65534

static const unsigned char *find_end(const unsigned char *b, size_t n)
{
    size_t from = n > END_BYTES + 65535 ? n - END_BYTES - 65535 : 0;
    for (size_t at = n < END_BYTES ? 0 : n - END_BYTES + 1; at-- > from;)
        if (memcmp(b + at, "PK\5\6", 4) == 0)
            return b + at;
    return NULL;
}

static enum am_rc read_member(struct am_str file, const unsigned char *entry, struct am_str name,
                              struct am_arena *a, struct am_st_tensor *out, struct am_err *err)
{
    const unsigned char *b = (const unsigned char *)file.ptr;
    const uint64_t local = u32(entry + 42), bytes = u32(entry + 20);
    struct am_npy array;
    uint64_t data;
    if (u16(entry + 10) != 0 || u32(entry + 20) != u32(entry + 24)) {
        am_fail(err, AM_EUNSUPPORTED, "array \"%.*s\" of the .npz file is compressed",
                AM_FMT(name));
        am_hint(err, "Write it with numpy.savez, not numpy.savez_compressed.");
        return AM_EUNSUPPORTED;
    }
    if (local + LOCAL_BYTES > file.len || memcmp(b + local, "PK\3\4", 4) != 0)
        return bad_zip(AM_N("a member lies outside of it"), err);
    data = local + LOCAL_BYTES + u16(b + local + 26) + u16(b + local + 28);
    if (data > file.len || bytes > file.len - data)
        return bad_zip(AM_N("a member lies outside of it"), err);
    AM_TRY(am_npy_parse((struct am_str){file.ptr + data, (size_t)bytes}, &array, err));
    if (name.len > 4 && memcmp(name.ptr + name.len - 4, ".npy", 4) == 0)
        name.len -= 4;
    *out = (struct am_st_tensor){.name = am_arena_str(a, name),
                                 .dtype = array.dtype,
                                 .rank = array.rank,
                                 .data = array.data,
                                 .n_bytes = array.n_bytes};
    memcpy(out->dims, array.dims, sizeof out->dims);
    return AM_OK;
}

static enum am_rc read_npz(struct am_str file, struct am_arena *a, struct tensors *out,
                           struct am_err *err)
{
    const unsigned char *b = (const unsigned char *)file.ptr, *end = find_end(b, file.len);
    uint64_t at;
    size_t n;
    if (!end)
        return bad_zip(AM_N("it has no directory"), err);
    n = u16(end + 10);
    at = u32(end + 16);
    if (n > MEMBERS_MAX)
        return am_fail(err, AM_EUNSUPPORTED, "the .npz file has too many members");
    out->t = am_arena_array(a, n + 1, sizeof *out->t);
    AM_TRY(am_arena_check(a, err));
    for (out->n = 0; out->n < n; out->n++) {
        struct am_str name;
        if (at + ENTRY_BYTES > file.len || memcmp(b + at, "PK\1\2", 4) != 0)
            return bad_zip(AM_N("its directory is cut off"), err);
        name = (struct am_str){file.ptr + at + ENTRY_BYTES, u16(b + at + 28)};
        if (name.len > file.len - at - ENTRY_BYTES)
            return bad_zip(AM_N("its directory is cut off"), err);
        AM_TRY(read_member(file, b + at, name, a, &out->t[out->n], err));
        at += ENTRY_BYTES + name.len + u16(b + at + 30) + u16(b + at + 32);
    }
    return am_arena_check(a, err);
}

static enum am_rc read_tensors(struct am_str file, struct am_arena *a, struct tensors *out,
                               struct am_err *err)
{
    struct am_safetensors s;
    if (file.len >= 4 && memcmp(file.ptr, "PK\3\4", 4) == 0)
        return read_npz(file, a, out, err);
    AM_TRY(am_safetensors_parse(a, file, AM_ST_ANY_FLOAT, &s, err));
    out->t = am_arena_array(a, s.n + 1, sizeof *out->t);
    AM_TRY(am_arena_check(a, err));
    if (s.n)
        memcpy(out->t, s.tensors, s.n * sizeof *out->t);
    out->n = s.n;
    return AM_OK;
}

/* ---- shapes ---- */

/* How a tensor's elements lie to a parameter's: element (r, c) of the parameter [rows, cols] is
 * element `inner * r_step + ..` of the tensor. */
struct fit {
    const struct am_st_tensor *t;
    const struct am_param *p;
    size_t rows, cols;
    size_t places; /* window places of a convolution; else 1 */
    bool turned;   /* PyTorch's [cols, channels, places] */
};

static bool reads_as_table(const struct am_graph *g, am_value param)
{
    static const char *const tables[] = {"embedding", "tokens"};
    for (size_t i = 0; i < g->nodes.len; i++) {
        const struct am_gnode *n = &g->nodes.ptr[i];
        for (size_t k = 0; n->n_in == 2 && n->in[1] == param && k < 2; k++)
            if (strcmp(n->op->name, tables[k]) == 0)
                return true;
    }
    return false;
}

static bool same_shape(const struct am_st_tensor *t, const struct am_param *p)
{
    if (t->rank != p->dims.rank)
        return false;
    for (unsigned i = 0; i < t->rank; i++)
        if (t->dims[i] != (uint64_t)p->dims.d[i])
            return false;
    return true;
}

static bool turned_shape(const struct am_st_tensor *t, const struct am_param *p, struct fit *f)
{
    if (t->rank < 2 || t->rank > 4 || p->dims.rank != 2)
        return false;
    for (unsigned i = 2; i < t->rank; i++)
        if (t->dims[i] > 65536)
            return false;
        else
            f->places *= (size_t)t->dims[i];
    f->turned = true;
    return t->dims[0] == (uint64_t)p->dims.d[1] && t->dims[1] <= f->rows &&
           (uint64_t)p->dims.d[0] == t->dims[1] * f->places;
}

static const char *print_shape(const struct am_st_tensor *t, char out[AM_DIMS_CHARS])
{
    struct am_dims d = {.rank = t->rank};
    if (t->rank == 0)
        return "[]";
    for (unsigned i = 0; i < t->rank; i++)
        d.d[i] = (int64_t)t->dims[i];
    return am_dims_print(&d, out);
}

static enum am_rc fit_shape(const struct am_graph *g, const struct am_st_tensor *t, size_t k,
                            const struct am_param *p, enum am_weights_layout layout, struct fit *f,
                            struct am_err *err)
{
    char ours[AM_DIMS_CHARS], theirs[AM_DIMS_CHARS];
    *f = (struct fit){.t = t,
                      .p = p,
                      .rows = am_dims_rows(&p->dims),
                      .cols = am_dims_cols(&p->dims),
                      .places = 1};
    if (t->dtype != AM_F32 && t->dtype != AM_F64)
        return am_fail(err, AM_EUNSUPPORTED, "tensor \"%.*s\" is of type %s, not f32 or f64",
                       AM_FMT(t->name), am_dtype_name(t->dtype));
    if (layout == AM_WEIGHTS_PYTORCH && p->dims.rank == 2 &&
        !reads_as_table(g, am_graph_param_value(g, k))) {
        if (turned_shape(t, p, f))
            return AM_OK;
    } else if (same_shape(t, p)) {
        return AM_OK;
    }
    am_fail(err, AM_EUSAGE, "tensor \"%.*s\" has the shape %s, but the model's is %s",
            AM_FMT(t->name), print_shape(t, theirs), am_dims_print(&p->dims, ours));
    am_hint(err, "Name it under train.weights.skip, or give the layer the size of the weights.");
    return AM_EUSAGE;
}

static double element(const struct am_st_tensor *t, size_t i)
{
    float f;
    double d;
    if (t->dtype == AM_F32) {
        memcpy(&f, (const char *)t->data + i * sizeof f, sizeof f);
        return (double)f;
    }
    memcpy(&d, (const char *)t->data + i * sizeof d, sizeof d);
    return d;
}

/* Row r of ours is place r / channels, channel r % channels. */
static size_t source(const struct fit *f, size_t i)
{
    size_t r = i / f->cols, c = i % f->cols, channels = f->rows / f->places;
    return f->turned ? (c * channels + r % channels) * f->places + r / channels : i;
}

static enum am_rc check_finite(const struct fit *f, struct am_err *err)
{
    for (size_t i = 0; i < f->p->n; i++) {
        float v = (float)element(f->t, i);
        if (!isfinite(v))
            return am_fail(err, AM_ECORRUPT, "element %zu of tensor \"%.*s\" is %g", i,
                           AM_FMT(f->t->name), (double)v);
    }
    return AM_OK;
}

/* ---- matching ---- */

static bool skipped(const struct am_weights_options *o, struct am_str name)
{
    for (size_t i = 0; i < o->n_skip; i++)
        if (am_train_names(o->skip[i], name))
            return true;
    return false;
}

static const struct am_st_tensor *find(const struct am_map *names, const struct tensors *t,
                                       struct am_str name)
{
    const uint64_t *i = am_map_get(names, name);
    return i ? &t->t[*i] : NULL;
}

struct loading {
    const struct am_graph *g;
    const struct am_weights_options *options;
    struct tensors tensors;
    struct am_map names; /* of tensors -> place */
    struct fit *fits;    /* in the arena, [n_fits] */
    size_t n_fits;
};

static enum am_rc match(struct loading *l, const struct am_params *p, struct am_str *missing,
                        struct am_weights_report *out, struct am_err *err)
{
    for (size_t k = 0; k < p->n_params; k++) {
        const struct am_param *e = &p->table[k];
        const struct am_st_tensor *t = find(&l->names, &l->tensors, e->name);
        if (skipped(l->options, e->name)) {
            out->n_skipped++;
            continue;
        }
        if (!t) {
            missing[out->n_missing++] = e->name;
            continue;
        }
        AM_TRY(fit_shape(l->g, t, k, e, l->options->layout, &l->fits[l->n_fits], err));
        AM_TRY(check_finite(&l->fits[l->n_fits], err));
        l->n_fits++;
    }
    out->missing = missing;
    out->n_matched = l->n_fits;
    return AM_OK;
}

static enum am_rc load(struct loading *l, struct am_params *p, struct am_arena *a,
                       struct am_weights_report *out, struct am_err *err)
{
    struct am_str *missing = am_arena_array(a, p->n_params + 1, sizeof *missing);
    struct am_str *unused = am_arena_array(a, l->tensors.n + 1, sizeof *unused);
    l->fits = am_arena_array(a, p->n_params + 1, sizeof *l->fits);
    AM_TRY(am_arena_check(a, err));
    for (size_t i = 0; i < l->tensors.n; i++)
        AM_TRY(am_map_put(&l->names, l->tensors.t[i].name, i, err));
    AM_TRY(match(l, p, missing, out, err));
    for (size_t i = 0; i < l->tensors.n; i++)
        if (!am_params_find(p, l->tensors.t[i].name))
            unused[out->n_unused++] = l->tensors.t[i].name;
    out->unused = unused;
    if (l->n_fits == 0) {
        am_fail(err, AM_EUSAGE, "none of the %zu tensors has the name of a parameter",
                l->tensors.n);
        if (l->tensors.n && p->n_params)
            am_hint(err, "The file has \"%.*s\", the model \"%.*s\": give the layers equal names.",
                    AM_FMT(l->tensors.t[0].name), AM_FMT(p->table[0].name));
        return AM_EUSAGE;
    }
    for (size_t k = 0; k < l->n_fits; k++) {
        const struct fit *f = &l->fits[k];
        for (size_t i = 0; i < f->p->n; i++)
            p->data[f->p->offset + i] = (float)element(f->t, source(f, i));
    }
    return AM_OK;
}

enum am_rc am_weights_load(const struct am_graph *g, struct am_params *params, struct am_str file,
                           const struct am_weights_options *options, struct am_arena *a,
                           struct am_weights_report *out, struct am_err *err)
{
    struct loading l = {.g = g, .options = options};
    enum am_rc rc;
    memset(out, 0, sizeof *out);
    AM_TRY(read_tensors(file, a, &l.tensors, err));
    am_map_init(&l.names);
    rc = load(&l, params, a, out, err);
    am_map_clear(&l.names);
    return rc;
}
