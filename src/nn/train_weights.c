/* Loads weights by name: each parameter of the graph gets a tensor of the file and a way to read
 * it. All checks come before the first copy. */
#include "nn/train_weights.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "nn/graph_int.h"
#include "nn/train.h"
#include "nn/train_weights_int.h"

/* ---- what the others ask ---- */

const struct am_gnode *am_weights_reader(const struct am_graph *g, size_t k, unsigned *input)
{
    const am_value v = am_graph_param_value(g, k);
    for (size_t i = v; i < g->nodes.len; i++) {
        const struct am_gnode *n = &g->nodes.ptr[i];
        for (*input = 0; *input < n->n_in; ++*input)
            if (n->in[*input] == v)
                return n;
    }
    return NULL;
}

bool am_weights_same_shape(const struct am_st_tensor *t, const struct am_param *p)
{
    if (t->rank != p->dims.rank)
        return false;
    for (unsigned i = 0; i < t->rank; i++)
        if (t->dims[i] != (uint64_t)p->dims.d[i])
            return false;
    return true;
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

enum am_rc am_weights_bad_shape(const struct am_st_tensor *t, const struct am_param *p,
                                struct am_err *err)
{
    char ours[AM_DIMS_CHARS], theirs[AM_DIMS_CHARS];
    am_fail(err, AM_EUSAGE,
            "tensor \"%.*s\" has the shape %s, which does not fit \"%.*s\" of the model, %s",
            AM_FMT(t->name), print_shape(t, theirs), AM_FMT(p->name),
            am_dims_print(&p->dims, ours));
    am_hint(err, "Name it under train.weights.skip, or give the layer the size of the weights.");
    return AM_EUSAGE;
}

const struct am_weights_name *am_weights_mapped(const struct am_weights_options *o,
                                                struct am_str name, struct am_str *rest)
{
    const struct am_weights_name *best = NULL;
    for (size_t i = 0; i < o->n_map; i++) {
        const struct am_str s = o->map[i].ours;
        if (am_str_starts(name, s) && (s.len == name.len || name.ptr[s.len] == '.') &&
            (!best || s.len > best->ours.len))
            best = &o->map[i];
    }
    if (best)
        *rest = (struct am_str){name.ptr + best->ours.len, name.len - best->ours.len};
    return best;
}

/* ---- our layout, and PyTorch's ---- */

struct loading {
    const struct am_graph *g;
    const struct am_params *p;
    const struct am_weights_options *options;
    enum am_weights_layout layout;
    struct am_arena *arena; /* of the reading */
    struct am_weights_file file;
    struct am_map names;         /* of tensors -> place */
    struct am_keras *keras;      /* layout KERAS */
    size_t *places;              /* layout PYTORCH: [nodes] */
    struct am_weights_fit *fits; /* [n_fits] */
    size_t n_fits;
};

static bool reads_table(const struct am_gnode *n)
{
    return n && (n->op == &am_op_embedding || n->op == &am_op_tokens);
}

static enum am_rc unknown_order(const struct am_param *p, struct am_err *err)
{
    am_fail(err, AM_EUNSUPPORTED,
            "\"%.*s\" reads a flattened picture beside something else: its order in PyTorch is not "
            "known",
            AM_FMT(p->name));
    am_hint(err, "Name it under train.weights.skip, or put its weights in our order (channels "
                 "last) and load them with layout: own.");
    return AM_EUNSUPPORTED;
}

/* [out, channels, (height,) width] for a window of these places */
static bool window_fits(const struct am_gnode *reader, const struct am_st_tensor *t,
                        const struct am_weights_fit *f)
{
    const bool conv = reader && (reader->op == &am_op_conv || reader->op == &am_op_conv_transposed);
    const uint64_t high = t->rank == 4 ? t->dims[2] : 1,
                   wide = t->rank > 2 ? t->dims[t->rank - 1] : 1;
    if (!conv)
        return t->rank == 2 && t->dims[1] == f->rows;
    return high == (uint64_t)reader->attr.i[0] && wide == (uint64_t)reader->attr.i[1] &&
           t->dims[1] * high * wide == f->rows;
}

static enum am_rc fit_turned(const struct loading *l, const struct am_gnode *reader,
                             struct am_weights_fit *f, struct am_err *err)
{
    const struct am_st_tensor *t = &f->from->t;
    const bool linear = reader && reader->op == &am_op_linear;
    f->how = AM_FIT_TURNED;
    if (t->rank < 2 || t->rank > 4 || t->dims[0] != f->cols || t->dims[1] > f->rows ||
        !window_fits(reader, t, f))
        return am_weights_bad_shape(t, f->p, err);
    if (reader && !linear && t->rank > 2)
        f->places_in = (size_t)(reader->attr.i[0] * reader->attr.i[1]);
    if (linear) {
        f->places_in = l->places[reader->in[0]];
        f->places_out = l->places[(size_t)(reader - l->g->nodes.ptr)];
    }
    return f->places_in && f->places_out ? AM_OK : unknown_order(f->p, err);
}

static enum am_rc fit_pytorch(const struct loading *l, size_t k, struct am_weights_fit *f,
                              struct am_err *err)
{
    unsigned input;
    const struct am_gnode *reader = am_weights_reader(l->g, k, &input);
    if (f->p->dims.rank == 2 && !reads_table(reader))
        return fit_turned(l, reader, f, err);
    if (!am_weights_same_shape(&f->from->t, f->p))
        return am_weights_bad_shape(&f->from->t, f->p, err);
    if (!reader || f->p->dims.rank != 1 || reader->dims.rank != 2)
        return AM_OK;
    f->how = AM_FIT_VECTOR; /* a bias, or a norm's */
    f->places_in = l->places[(size_t)(reader - l->g->nodes.ptr)];
    return f->places_in ? AM_OK : unknown_order(f->p, err);
}

static enum am_rc find_tensor(const struct loading *l, struct am_str name,
                              struct am_weights_tensor **out, struct am_err *err)
{
    struct am_str rest;
    const struct am_weights_name *m = am_weights_mapped(l->options, name, &rest);
    const uint64_t *i;
    if (m) {
        name = am_arena_printf(l->arena, "%.*s%.*s", AM_FMT(m->theirs), AM_FMT(rest));
        AM_TRY(am_arena_check(l->arena, err));
    }
    i = am_map_get(&l->names, name);
    *out = i ? &l->file.tensors[*i] : NULL;
    if (*out || !m)
        return AM_OK;
    am_fail(err, AM_EUSAGE, "train.weights.map: the file has no tensor \"%.*s\"", AM_FMT(name));
    if (l->file.n)
        am_hint(err, "Its first one is \"%.*s\".", AM_FMT(l->file.tensors[0].t.name));
    return AM_EUSAGE;
}

static enum am_rc fit_one(struct loading *l, size_t k, struct am_weights_fit *f, bool *found,
                          struct am_err *err)
{
    const struct am_param *p = &l->p->table[k];
    *f = (struct am_weights_fit){.p = p,
                                 .rows = am_dims_rows(&p->dims),
                                 .cols = am_dims_cols(&p->dims),
                                 .places_in = 1,
                                 .places_out = 1};
    if (l->layout == AM_WEIGHTS_KERAS)
        return am_keras_fit(l->keras, k, f, found, err);
    AM_TRY(find_tensor(l, p->name, &f->from, err));
    *found = f->from != NULL;
    if (!*found)
        return AM_OK;
    if (l->layout == AM_WEIGHTS_PYTORCH)
        return fit_pytorch(l, k, f, err);
    return am_weights_same_shape(&f->from->t, p) ? AM_OK
                                                 : am_weights_bad_shape(&f->from->t, p, err);
}

/* ---- reading elements ---- */

static double half(uint16_t h)
{
    const int exponent = h >> 10 & 31, fraction = h & 1023;
    const double sign = h & 0x8000 ? -1 : 1;
    if (exponent == 31)
        return fraction ? (double)NAN : sign * (double)INFINITY;
    return sign * (exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24));
}

static double element(const struct am_st_tensor *t, size_t i)
{
    const char *at = (const char *)t->data + i * am_dtype_bytes(t->dtype);
    float f;
    double d;
    uint16_t h;
    if (t->dtype == AM_F64) {
        memcpy(&d, at, sizeof d);
        return d;
    }
    if (t->dtype == AM_F32) {
        memcpy(&f, at, sizeof f);
        return (double)f;
    }
    memcpy(&h, at, sizeof h);
    if (t->dtype == AM_F16)
        return half(h);
    const uint32_t wide = (uint32_t)h << 16;
    memcpy(&f, &wide, sizeof f);
    return (double)f;
}

/* Place k of ours as PyTorch counts it: ours is [places, channels], its [channels, places]. */
static size_t turned(size_t k, size_t n, size_t places)
{
    const size_t channels = n / places;
    return k % channels * places + k / channels;
}

static size_t source(const struct am_weights_fit *f, size_t i)
{
    const size_t r = i / f->cols, c = i % f->cols, gate = f->cols / 3;
    switch (f->how) {
    case AM_FIT_TURNED:
        return turned(c, f->cols, f->places_out) * f->rows + turned(r, f->rows, f->places_in);
    case AM_FIT_VECTOR:
        return turned(i, f->cols, f->places_in);
    case AM_FIT_GATES: /* our reset is its second, our update its first */
        return f->offset + r * f->cols + (c < gate ? c + gate : c < 2 * gate ? c - gate : c);
    default:
        return f->offset + i;
    }
}

static double value(const struct am_weights_fit *f, size_t i)
{
    return f->how == AM_FIT_FILL ? (double)f->fill : element(&f->from->t, source(f, i));
}

static enum am_rc check_values(const struct am_weights_fit *f, struct am_err *err)
{
    const struct am_st_tensor *t = f->from ? &f->from->t : NULL;
    if (!t)
        return AM_OK;
    if (t->dtype != AM_F32 && t->dtype != AM_F64 && t->dtype != AM_F16 && t->dtype != AM_BF16)
        return am_fail(err, AM_EUNSUPPORTED,
                       "tensor \"%.*s\" is of type %s, not f16, bf16, f32 or f64", AM_FMT(t->name),
                       am_dtype_name(t->dtype));
    for (size_t i = 0; i < f->p->n; i++) {
        float v = (float)value(f, i);
        if (!isfinite(v))
            return am_fail(err, AM_ECORRUPT, "element %zu of tensor \"%.*s\" is %g", source(f, i),
                           AM_FMT(t->name), (double)v);
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

/* "lstm_l1" of the map stands for the parameters "lstm.weight_ih_l1" and so on, too. */
static bool names_stack(struct am_str key, struct am_str param)
{
    size_t dot = param.len, at = key.len;
    while (dot > 0 && param.ptr[dot - 1] != '.')
        dot--;
    while (at > 0 && key.ptr[at - 1] >= '0' && key.ptr[at - 1] <= '9')
        at--;
    if (at < 2 || at == key.len || key.ptr[at - 1] != 'l' || key.ptr[at - 2] != '_' || dot == 0)
        return false;
    const struct am_str layer = {key.ptr, at - 2}, ending = {key.ptr + at - 2, key.len - at + 2};
    struct am_str what = {param.ptr + dot, param.len - dot};
    if (am_str_ends(what, AM_STR("_reverse")))
        what.len -= 8;
    return am_str_eq(layer, (struct am_str){param.ptr, dot - 1}) && am_str_ends(what, ending);
}

static enum am_rc check_map(const struct loading *l, struct am_err *err)
{
    const struct am_weights_options *o = l->options;
    for (size_t i = 0; i < o->n_map; i++) {
        const struct am_weights_options one = {.map = &o->map[i], .n_map = 1};
        bool found = false;
        struct am_str rest;
        for (size_t k = 0; k < l->p->n_params && !found; k++)
            found = am_weights_mapped(&one, l->p->table[k].name, &rest) != NULL ||
                    names_stack(o->map[i].ours, l->p->table[k].name);
        if (found)
            continue;
        am_fail(err, AM_EUSAGE, "train.weights.map: the model has no layer \"%.*s\"",
                AM_FMT(o->map[i].ours));
        am_hint(err, "Write MODEL'S LAYER: FILE'S LAYER; `aimass plan` lists the model's.");
        return AM_EUSAGE;
    }
    return AM_OK;
}

static enum am_rc match(struct loading *l, struct am_str *missing, struct am_weights_report *out,
                        struct am_err *err)
{
    for (size_t k = 0; k < l->p->n_params; k++) {
        struct am_weights_fit *f = &l->fits[l->n_fits];
        const struct am_str name = l->p->table[k].name;
        bool found = false;
        if (skipped(l->options, name)) {
            out->n_skipped++;
            continue;
        }
        AM_TRY(fit_one(l, k, f, &found, err));
        if (!found) {
            missing[out->n_missing++] = name;
            continue;
        }
        AM_TRY(check_values(f, err));
        if (f->from)
            f->from->used = true;
        l->n_fits++;
    }
    out->missing = missing;
    out->n_matched = l->n_fits;
    return AM_OK;
}

static enum am_rc nothing_matched(const struct loading *l, struct am_err *err)
{
    am_fail(err, AM_EUSAGE, "none of the %zu tensors has the name of a parameter", l->file.n);
    if (l->keras && l->p->n_params) {
        struct am_buf list;
        am_buf_init(&list, AM_ERR_HINT_BYTES / 2);
        am_keras_layers(l->keras, &list);
        am_hint(err,
                "The file has the layers %.*s, the model \"%.*s\": give the layers equal names, or "
                "name them in train.weights.map.",
                AM_FMT(am_buf_view(&list)), AM_FMT(l->p->table[0].name));
        am_buf_clear(&list);
    } else if (l->file.n && l->p->n_params) {
        am_hint(err,
                "The file has \"%.*s\", the model \"%.*s\": give the layers equal names, or name "
                "them in train.weights.map.",
                AM_FMT(l->file.tensors[0].t.name), AM_FMT(l->p->table[0].name));
    }
    return AM_EUSAGE;
}

static enum am_rc prepare(struct loading *l, struct am_err *err)
{
    l->fits = am_arena_array(l->arena, l->p->n_params + 1, sizeof *l->fits);
    l->places = am_arena_array(l->arena, l->g->nodes.len + 1, sizeof *l->places);
    AM_TRY(am_arena_check(l->arena, err));
    l->layout = l->options->layout != AM_WEIGHTS_AUTO ? l->options->layout
                : l->file.keras                       ? AM_WEIGHTS_KERAS
                                                      : AM_WEIGHTS_OURS;
    AM_TRY(check_map(l, err));
    if (l->layout == AM_WEIGHTS_KERAS)
        return am_keras_new(l->g, l->p, l->options, &l->file, l->arena, &l->keras, err);
    am_weights_places(l->g, l->options->input_places, l->places);
    for (size_t i = 0; i < l->file.n; i++)
        AM_TRY(am_map_put(&l->names, l->file.tensors[i].t.name, i, err));
    return AM_OK;
}

static void report_unused(const struct loading *l, struct am_str *unused, struct am_arena *a,
                          struct am_weights_report *out)
{
    for (size_t i = 0; i < l->file.n; i++)
        if (!l->file.tensors[i].used && !l->file.tensors[i].ignored)
            unused[out->n_unused++] = am_arena_str(a, l->file.tensors[i].named);
    out->unused = unused;
}

static enum am_rc load(struct loading *l, struct am_params *p, struct am_str bytes,
                       struct am_arena *a, struct am_weights_report *out, struct am_err *err)
{
    struct am_str *missing, *unused;
    AM_TRY(am_weights_read(bytes, l->arena, &l->file, err));
    missing = am_arena_array(a, p->n_params + 1, sizeof *missing);
    unused = am_arena_array(a, l->file.n + 1, sizeof *unused);
    AM_TRY(am_arena_check(a, err));
    AM_TRY(prepare(l, err));
    AM_TRY(match(l, missing, out, err));
    if (l->n_fits == 0)
        return nothing_matched(l, err);
    report_unused(l, unused, a, out);
    AM_TRY(am_arena_check(a, err));
    for (size_t k = 0; k < l->n_fits; k++) {
        const struct am_weights_fit *f = &l->fits[k];
        for (size_t i = 0; i < f->p->n; i++)
            p->data[f->p->offset + i] = (float)value(f, i);
    }
    out->layout = l->layout;
    return AM_OK;
}

enum am_rc am_weights_load(const struct am_graph *g, struct am_params *params, struct am_str file,
                           const struct am_weights_options *options, struct am_arena *a,
                           struct am_weights_report *out, struct am_err *err)
{
    struct loading l = {.g = g, .p = params, .options = options};
    enum am_rc rc;
    memset(out, 0, sizeof *out);
    l.arena = am_arena_new(AM_LIMIT_TENSOR_BYTES);
    if (!l.arena)
        return am_fail_nomem(err, 0);
    am_map_init(&l.names);
    rc = load(&l, params, file, a, out, err);
    am_map_clear(&l.names);
    am_arena_free(l.arena);
    return rc;
}
