/* Tiles of filters and activations, the worst mistakes, occlusion; see pictures.h.
 *
 * Sums run in a fixed order: the same arrays give the same picture. */
#include "eval/pictures.h"

#include <math.h>

#include "base/alloc.h"

#define TILES_MAX 64
#define SIDE_MAX 4096u
#define ROWS_MAX 32
#define FLOATS_MAX ((size_t)1 << 24) /* of one run of covered pictures */

/* ---- tiles ---- */

struct tiles {
    size_t n, height, width; /* of one tile, in values */
    size_t channels;         /* 1 or 3 */
    uint32_t zoom;
    float (*value)(const struct tiles *t, size_t tile, size_t y, size_t x, size_t c);
    const float *data;
    size_t a, b; /* what `value` needs */
};

/* Each tile is scaled by itself, from its least to its largest finite value. */
static void draw_tile(const struct tiles *t, size_t tile, uint8_t *at, size_t stride)
{
    float low = INFINITY, high = -INFINITY;
    for (size_t y = 0; y < t->height; y++)
        for (size_t x = 0; x < t->width; x++)
            for (size_t c = 0; c < t->channels; c++) {
                float v = t->value(t, tile, y, x, c);
                low = isfinite(v) && v < low ? v : low;
                high = isfinite(v) && v > high ? v : high;
            }
    for (size_t y = 0; y < t->height * t->zoom; y++)
        for (size_t x = 0; x < t->width * t->zoom; x++)
            for (size_t c = 0; c < t->channels; c++) {
                float v = t->value(t, tile, y / t->zoom, x / t->zoom, c);
                float s = high > low ? (v - low) / (high - low) : 0;
                at[y * stride + x * t->channels + c] = s >= 1  ? 255
                                                       : s > 0 ? (uint8_t)(s * 255 + 0.5f)
                                                               : 0;
            }
}

/* As near to a square as whole tiles allow, one dot of grey between them. */
static enum am_rc draw_tiles(struct tiles *t, struct am_arena *a, struct am_str *out,
                             struct am_err *err)
{
    size_t columns = 1;
    *out = (struct am_str){"", 0};
    t->n = t->n < TILES_MAX ? t->n : TILES_MAX;
    t->zoom = t->zoom ? t->zoom : 1;
    while (columns * columns < t->n)
        columns++;
    size_t rows = t->n ? (t->n + columns - 1) / columns : 0;
    if (t->n == 0 || t->height == 0 || t->width == 0 || t->height > SIDE_MAX / t->zoom / columns ||
        t->width > SIDE_MAX / t->zoom / columns)
        return am_fail(err, AM_EINVAL, "%zu tiles of %zu x %zu values are no picture", t->n,
                       t->height, t->width);
    size_t w = columns * (t->width * t->zoom + 1) + 1, h = rows * (t->height * t->zoom + 1) + 1;
    size_t stride = w * t->channels;
    uint8_t *pixels = am_alloc_array(h, stride);
    if (!pixels)
        return am_fail_nomem(err, h * stride);
    memset(pixels, 0x80, h * stride);
    for (size_t i = 0; i < t->n; i++) {
        size_t x = i % columns * (t->width * t->zoom + 1) + 1;
        size_t y = i / columns * (t->height * t->zoom + 1) + 1;
        draw_tile(t, i, pixels + y * stride + x * t->channels, stride);
    }
    enum am_rc rc =
        am_picture_uri(&(struct am_pixels){(uint32_t)w, (uint32_t)h, (uint32_t)t->channels, pixels},
                       0, a, out, err);
    am_free(pixels);
    return rc;
}

/* a: channels */
static float map_value(const struct tiles *t, size_t tile, size_t y, size_t x, size_t c)
{
    (void)c;
    return t->data[(y * t->width + x) * t->a + tile];
}

enum am_rc am_picture_maps(const struct am_floats *f, uint32_t zoom, struct am_arena *a,
                           struct am_str *out, struct am_err *err)
{
    struct tiles t = {.n = f->channels,
                      .height = f->height,
                      .width = f->width,
                      .channels = 1,
                      .zoom = zoom,
                      .value = map_value,
                      .data = f->data,
                      .a = f->channels};
    return draw_tiles(&t, a, out, err);
}

/* a: c_in, b: c_out */
static float filter_value(const struct tiles *t, size_t tile, size_t y, size_t x, size_t c)
{
    const float *w = t->data + (y * t->width + x) * t->a * t->b + tile;
    float sum = 0;
    if (t->channels == 3)
        return w[c * t->b];
    for (size_t k = 0; k < t->a; k++)
        sum += w[k * t->b];
    return sum;
}

enum am_rc am_picture_filters(const float *w, size_t kernel_h, size_t kernel_w, size_t c_in,
                              size_t c_out, uint32_t zoom, struct am_arena *a, struct am_str *out,
                              struct am_err *err)
{
    struct tiles t = {.n = c_out,
                      .height = kernel_h,
                      .width = kernel_w,
                      .channels = c_in == 3 ? 3 : 1,
                      .zoom = zoom,
                      .value = filter_value,
                      .data = w,
                      .a = c_in,
                      .b = c_out};
    return draw_tiles(&t, a, out, err);
}

/* ---- mistakes ---- */

static double probability(const struct am_eval_input *in, size_t row, size_t cls)
{
    double p;
    if (in->task == AM_TASK_MULTICLASS)
        return (double)in->pred[row * in->n_classes + cls];
    p = (double)in->pred[row];
    return cls == 1 ? p : 1 - p;
}

static bool has_truth(const struct am_eval_input *in, size_t row)
{
    return in->truth[row] >= 0 && in->truth[row] < (double)in->n_classes;
}

size_t am_worst_mistakes(const struct am_eval_input *in, size_t n, size_t *rows)
{
    size_t found = 0;
    if (!am_task_has_classes(in->task))
        return 0;
    for (size_t i = 0; i < in->n_rows; i++) {
        if (!has_truth(in, i) || am_eval_label(in, i) == (size_t)in->truth[i])
            continue;
        double gap =
            probability(in, i, am_eval_label(in, i)) - probability(in, i, (size_t)in->truth[i]);
        size_t at = found;
        while (at > 0) {
            size_t r = rows[at - 1];
            double other =
                probability(in, r, am_eval_label(in, r)) - probability(in, r, (size_t)in->truth[r]);
            if (!(gap > other))
                break;
            if (at < n)
                rows[at] = r;
            at--;
        }
        if (at < n)
            rows[at] = i;
        found += found < n;
    }
    return found;
}

static void set_class(struct am_arena *a, struct am_node *m, const char *key,
                      const struct am_node *classes, size_t k)
{
    struct am_node *n = classes && classes->kind == AM_NODE_LIST && k < classes->list.n
                            ? am_node_copy(a, classes->list.items[k])
                            : am_new_i64(a, (int64_t)k);
    am_node_set(a, m, key, n);
}

struct am_node *am_mistake_node(const struct am_eval_input *in, size_t row,
                                const struct am_node *classes, struct am_str picture,
                                struct am_arena *a)
{
    struct am_node *m = am_new_map(a);
    size_t label = am_eval_label(in, row);
    am_node_set(a, m, "row", am_new_i64(a, (int64_t)row));
    set_class(a, m, "truth", classes, has_truth(in, row) ? (size_t)in->truth[row] : SIZE_MAX);
    set_class(a, m, "predicted", classes, label);
    am_node_set(a, m, "probability", am_new_f64(a, probability(in, row, label)));
    if (picture.len)
        am_node_set(a, m, "picture", am_new_str(a, picture));
    return m;
}

/* ---- occlusion ---- */

struct covering {
    const struct am_occlusion *o;
    size_t patch, stride, n_rows; /* rows of one run */
    size_t across, down, cells;   /* squares, floats of a row */
    float *x;                     /* [n_rows, cells] */
    float *count;                 /* [height, width] */
    float *mean;                  /* [channels] */
    float p[ROWS_MAX];
};

/* The corner of square k along a side; the last one ends at the border. */
static size_t corner(const struct covering *c, size_t k, size_t side)
{
    size_t at = k * c->stride;
    return at + c->patch > side ? side - c->patch : at;
}

static void cover(const struct covering *c, size_t square, float *x)
{
    const struct am_floats *f = &c->o->x;
    size_t y0 = corner(c, square / c->across, f->height);
    size_t x0 = corner(c, square % c->across, f->width);
    memcpy(x, f->data, c->cells * sizeof *x);
    for (size_t y = y0; y < y0 + c->patch; y++)
        for (size_t u = x0; u < x0 + c->patch; u++)
            memcpy(x + (y * f->width + u) * f->channels, c->mean, f->channels * sizeof *x);
}

static void add_fall(const struct covering *c, size_t square, float fall, float *heat)
{
    const struct am_floats *f = &c->o->x;
    size_t y0 = corner(c, square / c->across, f->height);
    size_t x0 = corner(c, square % c->across, f->width);
    for (size_t y = y0; y < y0 + c->patch; y++)
        for (size_t u = x0; u < x0 + c->patch; u++) {
            heat[y * f->width + u] += fall;
            c->count[y * f->width + u] += 1;
        }
}

static void channel_means(const struct am_floats *f, float *mean)
{
    size_t n = f->height * f->width;
    for (size_t k = 0; k < f->channels; k++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += (double)f->data[i * f->channels + k];
        mean[k] = (float)(sum / (double)n);
    }
}

static enum am_rc run_squares(struct covering *c, float *heat, struct am_err *err)
{
    const struct am_occlusion *o = c->o;
    size_t pixels = o->x.height * o->x.width, squares = c->across * c->down;
    float whole;
    AM_TRY(o->predict(o->ctx, o->x.data, 1, &whole, err));
    channel_means(&o->x, c->mean);
    memset(heat, 0, pixels * sizeof *heat);
    memset(c->count, 0, pixels * sizeof *c->count);
    for (size_t at = 0; at < squares; at += c->n_rows) {
        size_t n = squares - at < c->n_rows ? squares - at : c->n_rows;
        for (size_t i = 0; i < n; i++)
            cover(c, at + i, c->x + i * c->cells);
        AM_TRY(o->predict(o->ctx, c->x, n, c->p, err));
        for (size_t i = 0; i < n; i++)
            add_fall(c, at + i, whole - c->p[i], heat);
    }
    for (size_t i = 0; i < pixels; i++)
        heat[i] /= c->count[i] > 0 ? c->count[i] : 1;
    return AM_OK;
}

enum am_rc am_saliency_occlusion(const struct am_occlusion *o, float *heat, struct am_err *err)
{
    const struct am_floats *f = &o->x;
    size_t side = f->height < f->width ? f->height : f->width;
    struct covering c = {.o = o};
    if (side == 0 || f->channels == 0 || f->channels > FLOATS_MAX / f->height / f->width)
        return am_fail(err, AM_EINVAL, "%zu x %zu x %zu values are no picture", f->height, f->width,
                       f->channels);
    c.patch = o->patch ? o->patch : side / 6;
    c.patch = c.patch < 1 ? 1 : c.patch > side ? side : c.patch;
    c.stride = o->stride ? o->stride : (c.patch + 1) / 2;
    c.stride = c.stride > c.patch ? c.patch : c.stride; /* every pixel is covered at least once */
    c.across = (f->width - c.patch + c.stride - 1) / c.stride + 1;
    c.down = (f->height - c.patch + c.stride - 1) / c.stride + 1;
    c.cells = f->height * f->width * f->channels;
    c.n_rows = FLOATS_MAX / c.cells < ROWS_MAX ? FLOATS_MAX / c.cells : ROWS_MAX;
    c.x = am_alloc_array(c.n_rows * c.cells, sizeof *c.x);
    c.count = am_alloc_array(f->height * f->width, sizeof *c.count);
    c.mean = am_alloc_array(f->channels, sizeof *c.mean);
    enum am_rc rc = c.x && c.count && c.mean ? run_squares(&c, heat, err)
                                             : am_fail_nomem(err, c.n_rows * c.cells * sizeof *c.x);
    am_free(c.x);
    am_free(c.count);
    am_free(c.mean);
    return rc;
}

/* ---- heat over grey ---- */

static void colour(float grey, float heat, uint8_t out[3])
{
    float strength = heat < 0 ? -heat : heat, rest = (1 - strength) * grey;
    float red = heat > 0 ? strength : 0, blue = heat < 0 ? strength : 0;
    out[0] = (uint8_t)((rest + red) * 255 + 0.5f);
    out[1] = (uint8_t)(rest * 255 + 0.5f);
    out[2] = (uint8_t)((rest + blue) * 255 + 0.5f);
}

enum am_rc am_picture_heat(const struct am_floats *x, const float *heat, uint32_t max_side,
                           struct am_arena *a, struct am_str *out, struct am_err *err)
{
    size_t n = x->height * x->width;
    float low = INFINITY, high = -INFINITY, top = 0;
    *out = (struct am_str){"", 0};
    float *grey = am_alloc_array(n + 1, sizeof *grey);
    uint8_t *pixels = am_alloc_array(n + 1, 3);
    enum am_rc rc = grey && pixels ? AM_OK : am_fail_nomem(err, n * sizeof *grey);
    for (size_t i = 0; rc == AM_OK && i < n; i++) {
        grey[i] = 0;
        for (size_t k = 0; k < x->channels; k++)
            grey[i] += x->data[i * x->channels + k];
        low = grey[i] < low ? grey[i] : low;
        high = grey[i] > high ? grey[i] : high;
        top = fabsf(heat[i]) > top ? fabsf(heat[i]) : top;
    }
    for (size_t i = 0; rc == AM_OK && i < n; i++) {
        float g = high > low ? (grey[i] - low) / (high - low) : 0;
        float h = top > 0 ? heat[i] / top : 0;
        colour(g >= 0 && g <= 1 ? g : 0, h >= -1 && h <= 1 ? h : 0, pixels + 3 * i);
    }
    if (rc == AM_OK)
        rc = am_picture_uri(&(struct am_pixels){(uint32_t)x->width, (uint32_t)x->height, 3, pixels},
                            max_side, a, out, err);
    am_free(grey);
    am_free(pixels);
    return rc;
}
