/* Pictures of a network at work; see look.h. */
#include "pipeline/look.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "eval/pictures.h"
#include "nn/layers_conv.h"
#include "nn/probe.h"
#include "nn/session.h"

#define ROWS 32                       /* of one run; occlusion gives no more */
#define RUN_BYTES ((size_t)256 << 20) /* of a session; above it fewer rows run at once */
#define COPIES 32                     /* noisy ones of SmoothGrad (Smilkov et al. 2017) */
#define NOISE 0.15f                   /* their deviation, of the range of the input's values */
#define LAYERS 12
#define TILE_DOTS 40   /* small maps are enlarged to about this */
#define BRIGHTEST 0.99 /* gradients above this quantile look alike */

bool am_look_drawable(const struct am_dims *shape, size_t n_tokens)
{
    return n_tokens == 0 && (shape->rank == 3 || (shape->rank == 2 && shape->d[1] >= 4));
}

static struct am_floats floats_of(const struct am_look *l)
{
    const struct am_dims *d = &l->shape;
    return (struct am_floats){.height = (size_t)d->d[0],
                              .width = (size_t)d->d[1],
                              .channels = d->rank == 3 ? (size_t)d->d[2] : 1,
                              .data = l->x};
}

/* A sound's [T,C] as a picture: time to the right, low frequencies at the bottom. Pictures stay. */
static struct am_floats drawn(const struct am_look *l, const float *x, float *room)
{
    struct am_floats f = floats_of(l);
    f.data = x;
    if (l->shape.rank == 3)
        return f;
    const size_t t = f.height, c = f.width;
    for (size_t y = 0; y < c; y++)
        for (size_t i = 0; i < t; i++)
            room[y * t + i] = x[i * c + (c - 1 - y)];
    return (struct am_floats){.height = c, .width = t, .channels = 1, .data = room};
}

static void add_picture(const struct am_look *l, struct am_node *list, const char *key,
                        struct am_str text, struct am_str uri)
{
    struct am_node *m = am_new_map(l->arena);
    if (key)
        am_node_set(l->arena, m, key, am_new_str(l->arena, text));
    am_node_set(l->arena, m, "picture", am_new_str(l->arena, uri));
    am_node_push(l->arena, list, m);
}

enum am_rc am_look_input(const struct am_look *l, struct am_node **out, struct am_err *err)
{
    float *room = am_alloc_array(am_dims_count(&l->shape), sizeof *room);
    struct am_str uri;
    if (!room)
        return am_fail_nomem(err, am_dims_count(&l->shape) * sizeof *room);
    struct am_floats f = drawn(l, l->x, room);
    enum am_rc rc = am_picture_of_floats(&f, l->max_side, l->arena, &uri, err);
    am_free(room);
    AM_TRY(rc);
    *out = am_new_list(l->arena);
    add_picture(l, *out, NULL, uri, uri);
    return am_arena_check(l->arena, err);
}

/* ---- running ---- */

struct runner {
    struct am_plan *plan;
    struct am_session *session;
    size_t rows, width, n_out;
};

static void runner_clear(struct runner *r)
{
    am_session_free(r->session);
    am_plan_put(r->plan);
    *r = (struct runner){.plan = NULL};
}

enum what { OUTPUT, GRADIENT };

/* As many rows at once, up to ROWS, as memory allows. */
static enum am_rc runner_new(const struct am_look *l, enum what what, struct runner *r,
                             struct am_err *err)
{
    struct am_plan_options o = {.mode = AM_PLAN_INFER};
    *r = (struct runner){.rows = what == OUTPUT ? ROWS : 1};
    const struct am_gnode *y = am_graph_node(l->graph, am_graph_find_output(l->graph, "y"));
    const size_t column = y && am_dims_cols(&y->dims) > 1 ? l->cls : 0;
    for (;; r->rows /= 2) {
        o.bucket_rows = r->rows;
        AM_TRY(what == OUTPUT
                   ? am_plan_build(l->graph, l->params, &o, &r->plan, err)
                   : am_probe_gradient_plan(l->graph, l->params, column, 1, &r->plan, err));
        if (r->rows == 1 || am_plan_session_bytes(r->plan) <= RUN_BYTES)
            break;
        am_plan_put(r->plan);
        r->plan = NULL;
    }
    r->width = am_plan_n_inputs(r->plan);
    r->n_out = am_plan_n_outputs(r->plan);
    enum am_rc rc = am_session_new(r->plan, l->pool, &r->session, err);
    if (rc != AM_OK)
        runner_clear(r);
    return rc;
}

static enum am_rc run(const struct runner *r, const float *x, size_t n, float *y,
                      struct am_err *err)
{
    for (size_t at = 0, k; at < n; at += k) {
        k = n - at < r->rows ? n - at : r->rows;
        AM_TRY(am_session_run(r->session, k, x + at * r->width, y + at * r->n_out, err));
    }
    return AM_OK;
}

/* ---- what the answer hangs on ---- */

struct covered {
    const struct am_look *l;
    struct runner run;
    float *y; /* owned, [ROWS, n_out] */
};

static enum am_rc predict_covered(void *ctx, const float *x, size_t n, float *p, struct am_err *err)
{
    const struct covered *c = ctx;
    const size_t w = c->run.n_out;
    AM_TRY(run(&c->run, x, n, c->y, err));
    for (size_t i = 0; i < n; i++)
        p[i] = w > 1 ? c->y[i * w + c->l->cls] : c->y[i];
    for (size_t i = 0; w == 1 && c->l->classes && c->l->cls == 0 && i < n; i++)
        p[i] = 1 - p[i];
    return AM_OK;
}

static enum am_rc occlusion(const struct am_look *l, float *heat, struct am_err *err)
{
    struct covered c = {.l = l};
    const struct am_occlusion o = {.x = floats_of(l), .predict = predict_covered, .ctx = &c};
    AM_TRY(runner_new(l, OUTPUT, &c.run, err));
    c.y = am_alloc_array(ROWS, c.run.n_out * sizeof *c.y);
    enum am_rc rc = c.y ? am_saliency_occlusion(&o, heat, err)
                        : am_fail_nomem(err, ROWS * c.run.n_out * sizeof *c.y);
    am_free(c.y);
    runner_clear(&c.run);
    return rc;
}

/* Copy k of x: itself, then noise whose draws depend on k and the place only. */
static void noisy(const struct am_look *l, size_t k, size_t n, float deviation, float *out)
{
    struct am_rng r;
    am_rng_init(&r, k, AM_RNG_EXPLAIN);
    for (size_t i = 0; i < n; i++)
        out[i] = l->x[i] + (k ? deviation * (float)am_rng_normal(&r) : 0);
}

static int by_size(const void *a, const void *b)
{
    const float *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* The size of the mean gradient at each pixel, the largest over its channels; a few of the largest
 * are cut so that they do not hide the rest. */
static void sizes(const double *sum, size_t pixels, size_t channels, float *heat, float *sorted)
{
    for (size_t i = 0; i < pixels; i++) {
        heat[i] = 0;
        for (size_t c = 0; c < channels; c++)
            heat[i] = fmaxf(heat[i], (float)fabs(sum[i * channels + c]));
        sorted[i] = heat[i];
    }
    qsort(sorted, pixels, sizeof *sorted, by_size);
    const float top = sorted[(size_t)((double)(pixels - 1) * BRIGHTEST)];
    for (size_t i = 0; top > 0 && i < pixels; i++) { /* squared: what is weak stays grey */
        const float share = fminf(heat[i] / top, 1);
        heat[i] = share * share;
    }
}

static enum am_rc smooth_gradient(const struct am_look *l, float *heat, struct am_err *err)
{
    const struct am_floats f = floats_of(l);
    const size_t pixels = f.height * f.width, n = pixels * f.channels;
    float low = INFINITY, high = -INFINITY;
    struct runner r = {.plan = NULL};
    double *sum = am_calloc(n, sizeof *sum);
    float *x = am_alloc_array(n, sizeof *x), *g = am_alloc_array(n, sizeof *g);
    enum am_rc rc = sum && x && g ? AM_OK : am_fail_nomem(err, n * sizeof *sum);
    for (size_t i = 0; i < n; i++) {
        low = fminf(low, l->x[i]);
        high = fmaxf(high, l->x[i]);
    }
    if (rc == AM_OK)
        rc = runner_new(l, GRADIENT, &r, err);
    for (size_t k = 0; rc == AM_OK && k < COPIES; k++) {
        noisy(l, k, n, NOISE * (high - low), x);
        rc = run(&r, x, 1, g, err);
        for (size_t i = 0; i < n; i++)
            sum[i] += (double)g[i];
    }
    if (rc == AM_OK)
        sizes(sum, pixels, f.channels, heat, x);
    runner_clear(&r);
    am_free(sum);
    am_free(x);
    am_free(g);
    return rc;
}

static enum am_rc add_heat(const struct am_look *l, const char *method, const float *heat,
                           struct am_node *list, struct am_err *err)
{
    const size_t n = am_dims_count(&l->shape);
    float *x = am_alloc_array(n, sizeof *x), *h = am_alloc_array(n, sizeof *h);
    struct am_str uri;
    enum am_rc rc = x && h ? AM_OK : am_fail_nomem(err, n * sizeof *x);
    if (rc == AM_OK) {
        const struct am_floats f = drawn(l, l->x, x);
        const float *hot = l->shape.rank == 3 ? heat : drawn(l, heat, h).data;
        rc = am_picture_heat(&f, hot, l->max_side, l->arena, &uri, err);
    }
    am_free(x);
    am_free(h);
    if (rc == AM_OK)
        add_picture(l, list, "method", am_str(method), uri);
    return rc;
}

enum am_rc am_look_saliency(const struct am_look *l, struct am_node **out, struct am_err *err)
{
    const size_t pixels = (size_t)l->shape.d[0] * (size_t)l->shape.d[1];
    float *heat = am_alloc_array(pixels, sizeof *heat);
    struct am_err no_gradient;
    enum am_rc rc;
    *out = am_new_list(l->arena);
    if (!heat)
        return am_fail_nomem(err, pixels * sizeof *heat);
    AM_GO(rc, occlusion(l, heat, err));
    AM_GO(rc, add_heat(l, "occlusion", heat, *out, err));
    am_err_clear(&no_gradient);
    rc = smooth_gradient(l, heat, &no_gradient);
    if (rc == AM_OK)
        rc = add_heat(l, "gradient", heat, *out, err);
    else if (rc == AM_EUNSUPPORTED)
        rc = AM_OK;
    else if (err)
        *err = no_gradient;
out:
    am_free(heat);
    return rc == AM_OK ? am_arena_check(l->arena, err) : rc;
}

/* ---- frames of a video ---- */

#define FRAMES 16

static void cover_frame(const struct am_look *l, size_t frame, size_t n_frames, size_t pixels,
                        float *x)
{
    const size_t channels = (size_t)l->shape.d[3], each = pixels * channels;
    memcpy(x, l->x, n_frames * each * sizeof *x);
    for (size_t c = 0; c < channels; c++) {
        double sum = 0;
        for (size_t i = c; i < n_frames * each; i += channels)
            sum += (double)l->x[i];
        for (size_t i = 0; i < pixels; i++)
            x[frame * each + i * channels + c] = (float)(sum / (double)(n_frames * pixels));
    }
}

static enum am_rc add_frame(const struct am_look *l, size_t frame, double effect,
                            struct am_node *list, struct am_err *err)
{
    struct am_floats f = {.height = (size_t)l->shape.d[1],
                          .width = (size_t)l->shape.d[2],
                          .channels = (size_t)l->shape.d[3]};
    struct am_str uri;
    f.data = l->x + frame * f.height * f.width * f.channels;
    AM_TRY(am_picture_of_floats(&f, l->max_side, l->arena, &uri, err));
    struct am_node *m = am_new_map(l->arena);
    am_node_set(l->arena, m, "frame", am_new_i64(l->arena, (int64_t)frame + 1));
    am_node_set(l->arena, m, "picture", am_new_str(l->arena, uri));
    am_node_set(l->arena, m, "effect", am_new_f64(l->arena, effect));
    am_node_push(l->arena, list, m);
    return am_arena_check(l->arena, err);
}

enum am_rc am_look_frames(const struct am_look *l, struct am_node **out, struct am_err *err)
{
    const size_t t = (size_t)l->shape.d[0], pixels = (size_t)(l->shape.d[1] * l->shape.d[2]),
                 n = am_dims_count(&l->shape), shown = t < FRAMES ? t : FRAMES;
    struct covered c = {.l = l};
    float *x = am_alloc_array(n, sizeof *x), whole, p;
    enum am_rc rc = x ? AM_OK : am_fail_nomem(err, n * sizeof *x);
    *out = am_new_list(l->arena);
    if (rc == AM_OK)
        rc = runner_new(l, OUTPUT, &c.run, err);
    if (rc == AM_OK) {
        c.y = am_alloc_array(c.run.n_out, sizeof *c.y);
        rc = c.y ? predict_covered(&c, l->x, 1, &whole, err)
                 : am_fail_nomem(err, c.run.n_out * sizeof *c.y);
    }
    for (size_t i = 0; rc == AM_OK && i < shown; i++) { /* the first and the last are among them */
        const size_t frame = shown < 2 ? 0 : i * (t - 1) / (shown - 1);
        cover_frame(l, frame, t, pixels, x);
        rc = predict_covered(&c, x, 1, &p, err);
        if (rc == AM_OK)
            rc = add_frame(l, frame, (double)whole - (double)p, *out, err);
    }
    am_free(c.y);
    am_free(x);
    runner_clear(&c.run);
    return rc;
}

/* ---- layers ---- */

static enum am_rc layer_picture(const struct am_look *l, const struct am_dims *d, const float *y,
                                struct am_str *uri, struct am_err *err)
{
    if (d->rank == 4) {
        const struct am_floats f = {.height = (size_t)d->d[1],
                                    .width = (size_t)d->d[2],
                                    .channels = (size_t)d->d[3],
                                    .data = y};
        const size_t side = f.height > f.width ? f.height : f.width;
        const size_t zoom = side ? TILE_DOTS / side : 1;
        return am_picture_maps(&f, zoom > 8 ? 8 : zoom ? (uint32_t)zoom : 1, l->arena, uri, err);
    }
    struct am_look turned = *l; /* [T,C]: channels below one another */
    turned.shape = am_dims2(d->d[1], d->d[2]);
    float *room = am_alloc_array(am_dims_count(&turned.shape), sizeof *room);
    if (!room)
        return am_fail_nomem(err, am_dims_count(&turned.shape) * sizeof *room);
    const struct am_floats f = drawn(&turned, y, room);
    enum am_rc rc = am_picture_of_floats(&f, 1024, l->arena, uri, err);
    am_free(room);
    return rc;
}

static enum am_rc add_layer(const struct am_look *l, const struct am_probe_layer *layer,
                            struct am_node *list, struct am_err *err)
{
    struct runner r = {.rows = 1};
    struct am_str uri, shape;
    char dims[AM_DIMS_CHARS];
    float *y = NULL;
    enum am_rc rc;
    AM_GO(rc, am_probe_value_plan(l->graph, l->params, layer->value, 1, &r.plan, err));
    AM_GO(rc, am_session_new(r.plan, l->pool, &r.session, err));
    r.n_out = am_plan_n_outputs(r.plan);
    y = am_alloc_array(r.n_out, sizeof *y);
    if (!y)
        AM_GO(rc, am_fail_nomem(err, r.n_out * sizeof *y));
    AM_GO(rc, run(&r, l->x, 1, y, err));
    AM_GO(rc, layer_picture(l, &layer->dims, y, &uri, err));
    shape = am_str(am_dims_print(&layer->dims, dims));
    add_picture(l, list, "layer", layer->name, uri);
    if (list->list.n)
        am_node_set(l->arena, list->list.items[list->list.n - 1], "shape",
                    am_new_str(l->arena, shape));
out:
    runner_clear(&r);
    am_free(y);
    return rc;
}

enum am_rc am_look_activations(const struct am_look *l, struct am_node **out, struct am_err *err)
{
    const struct am_probe_layer *layers;
    size_t n;
    *out = am_new_list(l->arena);
    AM_TRY(am_probe_convolutions(l->graph, l->arena, &layers, &n, err));
    const size_t shown = n < LAYERS ? n : LAYERS;
    for (size_t i = 0; i < shown; i++) { /* the first and the last are among them */
        const size_t k = shown < 2 ? 0 : i * (n - 1) / (shown - 1);
        AM_TRY(add_layer(l, &layers[k], *out, err));
    }
    return am_arena_check(l->arena, err);
}

enum am_rc am_look_filters(const struct am_look *l, struct am_node **out, struct am_err *err)
{
    struct am_conv_filters f;
    struct am_str uri;
    *out = am_new_list(l->arena);
    if (l->shape.rank != 3 || !am_layer_first_conv(l->graph, &f))
        return am_arena_check(l->arena, err);
    const struct am_param *w = am_params_find(l->params, f.name);
    if (!w)
        return am_arena_check(l->arena, err);
    AM_TRY(am_picture_filters(l->params->data + w->offset, f.kernel_h, f.kernel_w, f.c_in, f.c_out,
                              8, l->arena, &uri, err));
    add_picture(l, *out, "layer", f.name, uri);
    return am_arena_check(l->arena, err);
}
