/* The variables of Keras layers for the parameters of ours.
 *
 * What a path says: Keras 2 and whole .h5 models write
 *   [model_weights/]LAYER/SCOPE../[forward_.. | backward_..]/[cell]/VARIABLE[:0],
 * Keras 3 writes
 *   [layers/]LAYER/[forward_layer | backward_layer]/[cell/]vars/NUMBER,
 * where LAYER is made from the class; the layer's own name stands beside it (`named`). Layouts of
 * kernels are ours already. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "nn/graph_int.h"
#include "nn/train_weights_int.h"

enum role { KERNEL, RECURRENT, BIAS, TABLE, GAMMA, BETA, MEAN, VARIANCE, N_ROLES };
enum side { ONE_WAY, FORWARD, BACKWARD };

static const char *const role_names[N_ROLES][3] = {[KERNEL] = {"kernel", "depthwise_kernel"},
                                                   [RECURRENT] = {"recurrent_kernel"},
                                                   [BIAS] = {"bias"},
                                                   [TABLE] = {"embeddings"},
                                                   [GAMMA] = {"gamma"},
                                                   [BETA] = {"beta"},
                                                   [MEAN] = {"moving_mean"},
                                                   [VARIANCE] = {"moving_variance"}};

struct variable {
    struct am_weights_tensor *t;
    struct am_str layer, named; /* the layer's path, as it is and under its own names */
    struct am_str inner;        /* Keras 2: what stands between layer and variable */
    struct am_str name;         /* Keras 2: "kernel" */
    int number;                 /* Keras 3: from 0; else -1 */
    enum side side;
};

struct am_keras {
    const struct am_graph *g;
    const struct am_params *p;
    const struct am_weights_options *options;
    const struct am_node *config;
    struct am_arena *arena;
    struct variable *vars; /* [n] */
    size_t n;
};

/* ---- paths ---- */

#define PARTS_MAX 40
struct parts {
    struct am_str s[PARTS_MAX];
    size_t n;
};

static void split(struct am_str path, struct parts *out)
{
    out->n = 0;
    for (size_t from = 0; from <= path.len && out->n < PARTS_MAX;) {
        const char *slash = memchr(path.ptr + from, '/', path.len - from);
        size_t end = slash ? (size_t)(slash - path.ptr) : path.len;
        out->s[out->n++] = (struct am_str){path.ptr + from, end - from};
        from = end + 1;
    }
}

static struct am_str join(struct am_arena *a, const struct parts *p, size_t from, size_t to)
{
    struct am_buf b;
    am_buf_init(&b, 8192);
    for (size_t i = from; i < to && i < p->n; i++)
        if (p->s[i].len)
            am_buf_printf(&b, "%s%.*s", b.len ? "/" : "", AM_FMT(p->s[i]));
    if (b.failed)
        am_arena_fail_nomem(a, b.max);
    struct am_str out = am_arena_str(a, am_buf_view(&b));
    am_buf_clear(&b);
    return out;
}

static enum side side_of(struct am_str part)
{
    return am_str_starts(part, AM_STR("forward_"))    ? FORWARD
           : am_str_starts(part, AM_STR("backward_")) ? BACKWARD
                                                      : ONE_WAY;
}

static bool is_number(struct am_str s, int *out)
{
    *out = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9' || i > 5)
            return false;
        *out = *out * 10 + (s.ptr[i] - '0');
    }
    return s.len > 0;
}

/* Groups that only hold layers leave the path, in both of its forms. */
static void drop_containers(struct parts *path, struct parts *named)
{
    size_t n = 0;
    for (size_t i = 0; i < path->n; i++) {
        if (am_str_is(path->s[i], "layers") ||
            am_str_is(path->s[i], "_layer_checkpoint_dependencies"))
            continue;
        path->s[n] = path->s[i];
        named->s[n++] = named->s[i < named->n ? i : named->n - 1];
    }
    path->n = named->n = n;
}

static void parse_keras3(struct am_keras *q, struct parts *path, struct parts *named,
                         struct variable *v)
{
    size_t n;
    path->n -= 2; /* vars/NUMBER */
    named->n = path->n;
    drop_containers(path, named);
    n = path->n;
    if (n > 1 && am_str_is(path->s[n - 1], "cell"))
        n--;
    if (n > 1 && (v->side = side_of(path->s[n - 1])) != ONE_WAY)
        n--;
    v->layer = join(q->arena, path, 0, n);
    v->named = join(q->arena, named, 0, n);
}

static void parse_keras2(struct am_keras *q, const struct parts *path, struct variable *v)
{
    const size_t first = am_str_is(path->s[0], "model_weights") && path->n > 2;
    struct am_str name = path->s[path->n - 1];
    if (am_str_ends(name, AM_STR(":0")))
        name.len -= 2;
    v->number = -1;
    v->name = name;
    v->layer = v->named = path->s[first];
    for (size_t i = first + 1; i + 1 < path->n && v->side == ONE_WAY; i++)
        v->side = side_of(path->s[i]);
    v->inner = join(q->arena, path, first + 1, path->n - 1);
}

static void parse(struct am_keras *q, struct am_weights_tensor *t, struct variable *v)
{
    struct parts path, named;
    split(t->t.name, &path);
    split(t->named, &named);
    *v = (struct variable){.t = t, .inner = AM_STR("")};
    t->ignored = am_str_starts(path.s[0], AM_STR("optimizer"));
    for (size_t i = 0; i < path.n; i++)
        t->ignored = t->ignored || am_str_is(path.s[i], "seed_generator");
    if (path.n >= 2 && am_str_is(path.s[path.n - 2], "vars") && named.n == path.n &&
        is_number(path.s[path.n - 1], &v->number))
        parse_keras3(q, &path, &named, v);
    else
        parse_keras2(q, &path, v);
}

enum am_rc am_keras_new(const struct am_graph *g, const struct am_params *p,
                        const struct am_weights_options *o, struct am_weights_file *f,
                        struct am_arena *a, struct am_keras **out, struct am_err *err)
{
    struct am_keras *q = am_arena_array(a, 1, sizeof *q);
    *out = q;
    AM_TRY(am_arena_check(a, err));
    *q = (struct am_keras){.g = g, .p = p, .options = o, .config = f->config, .arena = a};
    q->vars = am_arena_array(a, f->n + 1, sizeof *q->vars);
    AM_TRY(am_arena_check(a, err));
    for (size_t i = 0; i < f->n; i++) {
        parse(q, &f->tensors[i], &q->vars[q->n]);
        q->n += !f->tensors[i].ignored;
    }
    return am_arena_check(a, err);
}

void am_keras_layers(const struct am_keras *q, struct am_buf *out)
{
    struct am_str last = {NULL, 0};
    size_t n = 0;
    for (size_t i = 0; i < q->n; i++) {
        if (last.ptr && am_str_eq(q->vars[i].named, last))
            continue;
        last = q->vars[i].named;
        if (++n > 6)
            break;
        am_buf_printf(out, "%s\"%.*s\"", n > 1 ? ", " : "", AM_FMT(last));
    }
    if (n > 6)
        am_buf_cstr(out, ", ...");
}

/* ---- the variables of one layer ---- */

#define VARS_MAX 8
struct layer {
    struct am_str wanted; /* its name in the file */
    const struct variable *vars[VARS_MAX];
    size_t n;
};

static bool is_last_part(struct am_str path, struct am_str name)
{
    return path.len > name.len && path.ptr[path.len - name.len - 1] == '/' &&
           am_str_ends(path, name);
}

static bool has_part(struct am_str path, struct am_str name)
{
    struct parts p;
    split(path, &p);
    for (size_t i = 0; i < p.n; i++)
        if (am_str_eq(p.s[i], name))
            return true;
    return false;
}

/* "model/dense" */
static bool is_path(const struct variable *v, struct am_str name)
{
    const size_t n = v->layer.len;
    return name.len > n && am_str_starts(name, v->layer) && name.ptr[n] == '/' &&
           am_str_eq((struct am_str){name.ptr + n + 1, name.len - n - 1}, v->inner);
}

/* How a variable's layer may be called, the surest first. */
static bool is_called(const struct variable *v, struct am_str name, unsigned way)
{
    switch (way) {
    case 0:
        return am_str_eq(v->named, name);
    case 1:
        return am_str_eq(v->layer, name);
    case 2:
        return is_last_part(v->named, name) || is_last_part(v->layer, name);
    default: /* a layer of a model inside the model */
        return v->number < 0 && (has_part(v->inner, name) || is_path(v, name));
    }
}

/* Same layer: path, and in Keras 2 the scope, too, unless the group is the layer itself. */
static bool same_layer(const struct variable *a, const struct variable *b, unsigned way)
{
    return am_str_eq(a->layer, b->layer) && (way < 3 || am_str_eq(a->inner, b->inner));
}

static enum am_rc ambiguous(const struct layer *l, struct am_err *err)
{
    am_fail(err, AM_EUSAGE, "the file has more than one layer \"%.*s\"", AM_FMT(l->wanted));
    am_hint(err, "Say which by its path: train.weights.map: {LAYER: MODEL/LAYER}.");
    return AM_EUSAGE;
}

static enum am_rc find_layer(const struct am_keras *q, struct am_str name, enum side side,
                             struct layer *out, struct am_err *err)
{
    *out = (struct layer){.wanted = name};
    for (unsigned way = 0; way < 4 && out->n == 0; way++)
        for (size_t i = 0; i < q->n; i++) {
            const struct variable *v = &q->vars[i];
            if (!is_called(v, name, way) || v->side != side)
                continue;
            if (out->n == VARS_MAX || (out->n && !same_layer(out->vars[0], v, way)))
                return ambiguous(out, err);
            out->vars[out->n++] = v;
        }
    return AM_OK;
}

/* Keras 2: by name. */
static const struct variable *by_name(const struct layer *l, enum role role)
{
    for (size_t i = 0; i < l->n; i++)
        for (size_t k = 0; k < 3 && role_names[role][k]; k++)
            if (l->vars[i]->number < 0 && am_str_is(l->vars[i]->name, role_names[role][k]))
                return l->vars[i];
    return NULL;
}

static struct am_str last_part(struct am_str path)
{
    size_t from = path.len;
    while (from > 0 && path.ptr[from - 1] != '/')
        from--;
    return (struct am_str){path.ptr + from, path.len - from};
}

/* "scale" of the layer's settings: -1 when the file does not hold them. */
static int setting(const struct am_node *n, struct am_str layer, const char *key, unsigned depth)
{
    int found = -1;
    if (!n || depth > 40)
        return -1;
    if (n->kind == AM_NODE_MAP) {
        const struct am_node *config = am_node_get(n, "config");
        bool on;
        if (am_str_eq(am_node_str(config, "name", ""), layer) &&
            am_node_as_bool(am_node_get(config, key), &on))
            return on;
        for (size_t i = 0; i < n->map.n && found < 0; i++)
            found = setting(n->map.pairs[i].value, layer, key, depth + 1);
    }
    for (size_t i = 0; n->kind == AM_NODE_LIST && i < n->list.n && found < 0; i++)
        found = setting(n->list.items[i], layer, key, depth + 1);
    return found;
}

static enum am_rc cannot_tell(const struct layer *l, struct am_err *err)
{
    am_fail(err, AM_EUNSUPPORTED,
            "layer \"%.*s\" of the file has %zu variables, and nothing says which they are",
            AM_FMT(l->wanted), l->n);
    am_hint(err, "Save the whole model: model.save(FILE.keras) or model.save(FILE.h5).");
    return AM_EUNSUPPORTED;
}

/* Keras 3: the variables stand in the order in which the layer makes them; those that its settings
 * switch off are left out. */
static enum am_rc by_number(const struct am_keras *q, const struct layer *l, const enum role *roles,
                            size_t n, enum role want, const struct variable **out,
                            struct am_err *err)
{
    bool has[N_ROLES] = {false};
    int at = 0;
    *out = NULL;
    for (size_t i = 0; i < n; i++)
        has[roles[i]] = true;
    if (l->n < n && has[GAMMA]) {
        const struct am_str name = last_part(l->vars[0]->named);
        int scale = setting(q->config, name, "scale", 0);
        int center = setting(q->config, name, "center", 0);
        if (l->n + 2 == n) /* both */
            scale = center = 0;
        if (scale < 0 || center < 0)
            return cannot_tell(l, err);
        has[GAMMA] = scale;
        has[BETA] = center;
    } else if (l->n + 1 == n && has[BIAS]) {
        has[BIAS] = false;
    }
    for (size_t i = 0; i < n; i++)
        at += has[roles[i]];
    if ((size_t)at != l->n)
        return cannot_tell(l, err);
    at = 0;
    for (size_t i = 0; i < n && roles[i] != want; i++)
        at += has[roles[i]];
    for (size_t i = 0; i < l->n && has[want]; i++)
        if (l->vars[i]->number == at)
            *out = l->vars[i];
    return has[want] && !*out ? cannot_tell(l, err) : AM_OK;
}

/* ---- parameters ---- */

struct wanted {
    struct am_str layer, rest; /* "conv1", ".weight" */
    const struct am_gnode *reader;
    const struct am_gnode *cell; /* of a recurrent layer: the op that keeps its state */
    enum role role;
    bool second_bias; /* Keras has one bias (GRU: two rows), ours is the second */
    unsigned stack;   /* layer of a recurrent stack */
    enum side side;
    const enum role *roles; /* in Keras 3's order */
    size_t n_roles;
};

static bool is_recurrent(const struct am_gnode *n)
{
    return n && (n->op == &am_op_rnn || n->op == &am_op_lstm || n->op == &am_op_gru);
}

/* ".weight_ih_l2_reverse" */
static bool parse_recurrent(struct am_str what, struct wanted *w)
{
    static const struct {
        const char *name;
        enum role role;
        bool second;
    } kinds[] = {{".weight_ih_l", KERNEL, false},
                 {".weight_hh_l", RECURRENT, false},
                 {".bias_ih_l", BIAS, false},
                 {".bias_hh_l", BIAS, true}};
    int stack;
    w->side = ONE_WAY;
    if (am_str_ends(what, AM_STR("_reverse"))) {
        what.len -= 8;
        w->side = BACKWARD;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const size_t n = strlen(kinds[i].name);
        if (!am_str_starts(what, am_str(kinds[i].name)) ||
            !is_number((struct am_str){what.ptr + n, what.len - n}, &stack))
            continue;
        w->role = kinds[i].role;
        w->second_bias = kinds[i].second;
        w->stack = (unsigned)stack;
        return true;
    }
    return false;
}

/* The recurrent op of the same layer, direction and place in the stack: it reads weight_hh. */
static const struct am_gnode *cell_of(const struct am_keras *q, const struct wanted *w)
{
    unsigned input;
    const struct am_str name = am_arena_printf(q->arena, "%.*s.weight_hh_l%u%s", AM_FMT(w->layer),
                                               w->stack, w->side == BACKWARD ? "_reverse" : "");
    const struct am_param *p = name.ptr ? am_params_find(q->p, name) : NULL;
    const struct am_gnode *n =
        p ? am_weights_reader(q->g, (size_t)(p - q->p->table), &input) : NULL;
    return is_recurrent(n) ? n : NULL;
}

/* Are there parameters of this layer that end in _reverse? */
static bool goes_both_ways(const struct am_keras *q, struct am_str layer)
{
    for (size_t k = 0; k < q->p->n_params; k++) {
        const struct am_str s = q->p->table[k].name;
        if (am_str_starts(s, layer) && s.len > layer.len && s.ptr[layer.len] == '.' &&
            am_str_ends(s, AM_STR("_reverse")))
            return true;
    }
    return false;
}

static bool plain_role(const struct am_gnode *n, struct am_str what, struct wanted *w)
{
    static const enum role linear[] = {KERNEL, BIAS}, table[] = {TABLE},
                           norm[] = {GAMMA, BETA, MEAN, VARIANCE};
    const bool is_norm =
        n->op == &am_op_batch_norm || n->op == &am_op_layer_norm || n->op == &am_op_group_norm;
    w->roles = linear;
    w->n_roles = 2;
    if (n->op == &am_op_embedding || n->op == &am_op_tokens) {
        w->roles = table;
        w->n_roles = 1;
        w->role = TABLE;
        return am_str_is(what, ".weight");
    }
    if (is_norm) {
        w->roles = norm;
        w->n_roles = n->op == &am_op_batch_norm ? 4 : 2;
    }
    w->role = am_str_is(what, ".weight")         ? is_norm ? GAMMA : KERNEL
              : am_str_is(what, ".bias")         ? is_norm ? BETA : BIAS
              : am_str_is(what, ".running_mean") ? MEAN
                                                 : VARIANCE;
    return am_str_is(what, ".weight") || am_str_is(what, ".bias") ||
           am_str_is(what, ".running_mean") || am_str_is(what, ".running_var");
}

/* false: nothing of Keras fits such a parameter. */
static bool what_is_wanted(const struct am_keras *q, size_t k, struct wanted *w)
{
    static const enum role recurrent[] = {KERNEL, RECURRENT, BIAS};
    const struct am_str name = q->p->table[k].name;
    size_t dot = name.len;
    unsigned input;
    while (dot > 0 && name.ptr[dot] != '.')
        dot--;
    *w = (struct wanted){.layer = {name.ptr, dot}, .rest = {name.ptr + dot, name.len - dot}};
    w->reader = am_weights_reader(q->g, k, &input);
    if (dot == 0 || !w->reader)
        return false;
    if (!parse_recurrent(w->rest, w))
        return plain_role(w->reader, w->rest, w);
    w->cell = cell_of(q, w);
    w->roles = recurrent;
    w->n_roles = 3;
    if (w->side == ONE_WAY && goes_both_ways(q, w->layer))
        w->side = FORWARD;
    return w->cell != NULL;
}

/* The parameter's own line of the map; or "lstm_l1" of it, else "lstm"; without a map layer 1 of
 * "lstm" is "lstm_1". */
static struct am_str name_in_file(const struct am_keras *q, const struct wanted *w,
                                  struct am_str param)
{
    struct am_str rest, stacked;
    for (size_t i = 0; i < q->options->n_map; i++)
        if (am_str_eq(q->options->map[i].ours, param))
            return q->options->map[i].theirs;
    if (!w->cell) {
        const struct am_weights_name *m = am_weights_mapped(q->options, w->layer, &rest);
        return !m         ? w->layer
               : rest.len ? am_arena_printf(q->arena, "%.*s/%.*s", AM_FMT(m->theirs),
                                            (int)rest.len - 1, rest.ptr + 1)
                          : m->theirs;
    }
    stacked = am_arena_printf(q->arena, "%.*s_l%u", AM_FMT(w->layer), w->stack);
    for (size_t i = 0; i < q->options->n_map; i++)
        if (am_str_eq(q->options->map[i].ours, stacked))
            return q->options->map[i].theirs;
    for (size_t i = 0; i < q->options->n_map && w->stack == 0; i++)
        if (am_str_eq(q->options->map[i].ours, w->layer))
            return q->options->map[i].theirs;
    return w->stack == 0 ? w->layer
                         : am_arena_printf(q->arena, "%.*s_%u", AM_FMT(w->layer), w->stack);
}

/* A name of the map may be a variable's path. */
static const struct variable *by_path(const struct am_keras *q, struct am_str path)
{
    for (size_t i = 0; i < q->n; i++)
        if (am_str_eq(q->vars[i].t->t.name, path) || am_str_eq(q->vars[i].t->named, path))
            return &q->vars[i];
    return NULL;
}

static bool is_mapped(const struct am_keras *q, struct am_str theirs)
{
    for (size_t i = 0; i < q->options->n_map; i++)
        if (am_str_eq(q->options->map[i].theirs, theirs))
            return true;
    return false;
}

static enum am_rc no_such_layer(const struct am_keras *q, struct am_str name, struct am_err *err)
{
    struct am_buf list;
    am_fail(err, AM_EUSAGE, "train.weights.map: the file has no layer \"%.*s\"", AM_FMT(name));
    am_buf_init(&list, AM_ERR_HINT_BYTES / 2);
    am_keras_layers(q, &list);
    am_hint(err, "Its layers are %.*s.", AM_FMT(am_buf_view(&list)));
    am_buf_clear(&list);
    return AM_EUSAGE;
}

/* ---- shapes ---- */

static bool is_window(const struct am_gnode *n)
{
    return n->op == &am_op_conv || n->op == &am_op_conv_transposed;
}

/* [height, width, in, out], [width, in, out]; of each channel alone [height, width, channels,
 * multiplier], which is our [height * width, channels * multiplier]. */
static bool kernel_fits(const struct wanted *w, const struct am_st_tensor *t,
                        const struct am_weights_fit *f)
{
    const uint64_t high = t->rank == 4 ? t->dims[0] : 1,
                   wide = t->rank == 4 ? t->dims[1] : t->dims[0];
    if (t->rank == 2)
        return !is_window(w->reader) && t->dims[0] == f->rows && t->dims[1] == f->cols;
    if (t->rank < 3 || t->rank > 4 || !is_window(w->reader) ||
        high != (uint64_t)w->reader->attr.i[0] || wide != (uint64_t)w->reader->attr.i[1])
        return false;
    const uint64_t in = t->dims[t->rank - 2], out = t->dims[t->rank - 1], window = high * wide;
    return (window * in == f->rows && out == f->cols) ||
           (window == f->rows && in <= f->cols && in * out == f->cols);
}

static bool vector_fits(const struct am_st_tensor *t, const struct am_weights_fit *f)
{
    return t->rank == 1 && t->dims[0] == f->p->n;
}

static enum am_rc old_gru(const struct am_st_tensor *t, struct am_err *err)
{
    am_fail(err, AM_EUNSUPPORTED,
            "tensor \"%.*s\" is of a GRU with reset_after=False, which computes something else",
            AM_FMT(t->name));
    am_hint(err, "Train it in Keras with reset_after=True (the default), or here.");
    return AM_EUNSUPPORTED;
}

/* GRU: [2, 3 units], our two biases. Others: [gates], our first. */
static enum am_rc fit_recurrent_bias(const struct wanted *w, struct am_weights_fit *f,
                                     struct am_err *err)
{
    struct am_weights_tensor *from = f->from;
    const struct am_st_tensor *t = &from->t;
    if (w->cell->op == &am_op_gru) {
        if (vector_fits(t, f))
            return old_gru(t, err);
        if (t->rank != 2 || t->dims[0] != 2 || t->dims[1] != f->p->n)
            return am_weights_bad_shape(t, f->p, err);
        f->how = AM_FIT_GATES;
        f->offset = w->second_bias ? f->p->n : 0;
        return AM_OK;
    }
    if (!vector_fits(t, f))
        return am_weights_bad_shape(t, f->p, err);
    if (w->second_bias) {
        f->how = AM_FIT_FILL;
        f->fill = 0;
        f->from = NULL;
    }
    return AM_OK;
}

static enum am_rc fit_shape(const struct wanted *w, struct am_weights_fit *f, struct am_err *err)
{
    const struct am_st_tensor *t = &f->from->t;
    bool fits = false;
    if (w->cell && w->role == BIAS)
        return fit_recurrent_bias(w, f, err);
    switch (w->role) {
    case KERNEL:
        fits = kernel_fits(w, t, f);
        break;
    case RECURRENT:
    case TABLE:
        fits = am_weights_same_shape(t, f->p);
        break;
    default:
        fits = vector_fits(t, f);
    }
    if (!fits)
        return am_weights_bad_shape(t, f->p, err);
    if (w->cell && w->cell->op == &am_op_gru)
        f->how = AM_FIT_GATES;
    return AM_OK;
}

static enum am_rc lacks(const struct layer *l, const struct am_weights_fit *f, enum role role,
                        struct am_err *err)
{
    am_fail(err, AM_EUSAGE,
            "layer \"%.*s\" of the file has no %s, which \"%.*s\" of the model needs",
            AM_FMT(l->wanted), role_names[role][0], AM_FMT(f->p->name));
    am_hint(err, "Is it a layer of another type? Map the layer, or name it under "
                 "train.weights.skip.");
    return AM_EUSAGE;
}

enum am_rc am_keras_fit(struct am_keras *q, size_t k, struct am_weights_fit *f, bool *found,
                        struct am_err *err)
{
    struct wanted w;
    struct layer l;
    const struct variable *v;
    *found = false;
    if (!what_is_wanted(q, k, &w))
        return am_arena_check(q->arena, err);
    struct am_str name = name_in_file(q, &w, q->p->table[k].name);
    AM_TRY(am_arena_check(q->arena, err));
    v = by_path(q, name);
    if (v) {
        *found = true;
        f->from = v->t;
        return fit_shape(&w, f, err);
    }
    AM_TRY(find_layer(q, name, w.side, &l, err));
    if (l.n == 0)
        return is_mapped(q, name) ? no_such_layer(q, name, err) : AM_OK;
    *found = true;
    if (l.vars[0]->number < 0)
        v = by_name(&l, w.role);
    else
        AM_TRY(by_number(q, &l, w.roles, w.n_roles, w.role, &v, err));
    if (v) {
        f->from = v->t;
        return fit_shape(&w, f, err);
    }
    if (w.role != BIAS && w.role != BETA && w.role != GAMMA)
        return lacks(&l, f, w.role, err);
    f->how = AM_FIT_FILL;
    f->fill = w.role == GAMMA ? 1 : 0;
    return AM_OK;
}
