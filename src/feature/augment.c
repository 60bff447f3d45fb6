/* Augmentation of pictures and videos: the recipe's settings, the draws of a row, and the changes
 * in order.
 *
 * All draws of a row come first and in one order, whatever is switched on, so that switching on one
 * change leaves the others as they were. Coordinates in double, pixels in float. */
#include "feature/augment.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "feature/augment_keys.h"
#include "feature/features_int.h"

/* ---- settings ---- */

static const struct am_feature_key keys[] = {
    {"flip", AM_FEATURE_KEY_ENUM, "none|horizontal|vertical|both", 0, 0, "none",
     "Pictures mirrored, each way with chance 1/2."},
    {"rotate", AM_FEATURE_KEY_NUMBER, NULL, 0, 180, "0", "Turned by up to so many degrees."},
    {"crop", AM_FEATURE_KEY_INT, NULL, 0, 1024, "0",
     "Moved by up to so many whole pixels down and across; what comes in is black."},
    {"resized_crop", AM_FEATURE_KEY_NUMBER, NULL, 0, 1, "0",
     "The least share of the area that is cut out and enlarged; 0 and 1: off."},
    {"shift", AM_FEATURE_KEY_NUMBER, NULL, 0, 1, "0",
     "Moved by up to this share of the side down and across."},
    {"shear", AM_FEATURE_KEY_NUMBER, NULL, 0, 60, "0", "Sheared by up to so many degrees."},
    {"zoom", AM_FEATURE_KEY_NUMBER, NULL, 0, 0.9, "0", "Scaled by 1 - zoom to 1 + zoom."},
    {"brightness", AM_FEATURE_KEY_NUMBER, NULL, 0, 1, "0",
     "Pixels times 1 - brightness to 1 + brightness."},
    {"contrast", AM_FEATURE_KEY_NUMBER, NULL, 0, 1, "0",
     "Distance from the picture's mean light times 1 - contrast to 1 + contrast."},
    {"saturation", AM_FEATURE_KEY_NUMBER, NULL, 0, 1, "0",
     "Distance from grey times 1 - saturation to 1 + saturation (colour pictures)."},
    {"noise", AM_FEATURE_KEY_NUMBER, NULL, 0, 1, "0",
     "Deviation of normal noise on every pixel; 1 is from black to white."},
    {"cutout", AM_FEATURE_KEY_NUMBER, NULL, 0, 1, "0",
     "Side of a black square somewhere, as a share of the shorter side."},
    {"mixup", AM_FEATURE_KEY_NUMBER, NULL, 0, 4, "0",
     "Rows blended with others by Beta(mixup, mixup), their targets by the same shares."},
};
#define N_KEYS (sizeof keys / sizeof keys[0])

const struct am_feature_key *am_augment_keys(size_t *n)
{
    *n = N_KEYS;
    return keys;
}

enum am_rc am_augment_read(const struct am_node *spec, struct am_augment *out, bool *any,
                           struct am_err *err)
{
    static const struct am_augment_table table = {keys, N_KEYS, AM_N("pictures")};
    double v[N_KEYS];
    *out = (struct am_augment){0};
    *any = false;
    AM_TRY(am_augment_keys_read(spec, &table, v, err));
    double *const places[N_KEYS] = {
        NULL,        &out->rotate, &out->crop,       &out->resized_crop, &out->shift,
        &out->shear, &out->zoom,   &out->brightness, &out->contrast,     &out->saturation,
        &out->noise, &out->cutout, &out->mixup};
    out->flip = (enum am_augment_flip)v[0];
    for (size_t k = 0; k < N_KEYS; k++) {
        if (places[k])
            *places[k] = v[k];
        *any = *any || v[k] > 0;
    }
    return AM_OK;
}

bool am_augment_shape_of(const struct am_features *f, struct am_augment_shape *out)
{
    if (f->n != 1 || (f->cols[0].kind != AM_F_IMAGE && f->cols[0].kind != AM_F_VIDEO))
        return false;
    const struct am_fimage *i = &f->cols[0].image;
    *out = (struct am_augment_shape){i->height, i->width, i->channels, i->frames ? i->frames : 1,
                                     {0},       {0}};
    for (uint32_t c = 0; c < i->channels; c++) {
        out->low[c] = (float)((0 - i->shift[c]) * i->mul[c]);
        out->high[c] = (float)((255 - i->shift[c]) * i->mul[c]);
    }
    return true;
}

/* ---- draws ---- */

static void draws_of(struct am_rng *r, uint64_t seed, uint64_t epoch, uint64_t row, bool mix)
{
    am_augment_rng(r, seed, epoch, row);
    r->counter |= (uint64_t)mix << 23;
}

static double spread(struct am_rng *r, double v) /* in [-v, v) */
{
    return (2 * am_rng_unit(r) - 1) * v;
}

/* Source = m (place - centre) + centre + move */
struct turn {
    double m[4], move[2];
};

static void draw_turn(const struct am_augment *a, const struct am_augment_shape *s,
                      struct am_rng *r, struct turn *t)
{
    double w = (double)s->width, h = (double)s->height;
    double flip_x = am_rng_unit(r) < 0.5 ? -1 : 1, flip_y = am_rng_unit(r) < 0.5 ? -1 : 1;
    double angle = spread(r, a->rotate) * M_PI / 180, shear = tan(spread(r, a->shear) * M_PI / 180);
    double scale = 1 / (1 + spread(r, a->zoom));
    double side = 2 * a->crop + 1;
    t->move[0] = floor(am_rng_unit(r) * side) - a->crop + spread(r, a->shift) * w;
    t->move[1] = floor(am_rng_unit(r) * side) - a->crop + spread(r, a->shift) * h;
    bool cut = a->resized_crop > 0 && a->resized_crop < 1;
    double area = 1 - am_rng_unit(r) * (cut ? 1 - a->resized_crop : 0);
    double ratio = exp(spread(r, cut ? log(4.0 / 3) : 0));
    double part_x = fmin(1, sqrt(area * ratio)), part_y = fmin(1, sqrt(area / ratio));
    t->move[0] += spread(r, (1 - part_x) / 2) * w;
    t->move[1] += spread(r, (1 - part_y) / 2) * h;
    double c = cos(angle) * scale, n = sin(angle) * scale;
    double sx = (a->flip & AM_AUGMENT_FLIP_HORIZONTAL ? flip_x : 1) * part_x;
    double sy = (a->flip & AM_AUGMENT_FLIP_VERTICAL ? flip_y : 1) * part_y;
    t->m[0] = c * sx;
    t->m[1] = (c * shear - n) * sy;
    t->m[2] = n * sx;
    t->m[3] = (n * shear + c) * sy;
}

struct look { /* of colours */
    double brightness, contrast, saturation;
};

static void draw_look(const struct am_augment *a, struct am_rng *r, struct look *l)
{
    l->brightness = 1 + spread(r, a->brightness);
    l->contrast = 1 + spread(r, a->contrast);
    l->saturation = 1 + spread(r, a->saturation);
}

/* ---- geometry ---- */

static const float *pixel(const struct am_augment_shape *s, const float *x, int64_t row,
                          int64_t column)
{
    if (row < 0 || column < 0 || row >= (int64_t)s->height || column >= (int64_t)s->width)
        return s->low;
    return x + ((size_t)row * s->width + (size_t)column) * s->channels;
}

/* The four pixels around (u, v), in the order that makes whole places exact. */
static void sample(const struct am_augment_shape *s, const float *x, double u, double v, float *out)
{
    double column = floor(u), row = floor(v);
    if (!(column >= -1 && row >= -1 && column < (double)s->width && row < (double)s->height)) {
        memcpy(out, s->low, s->channels * sizeof *out);
        return;
    }
    float fx = (float)(u - column), fy = (float)(v - row);
    int64_t i = (int64_t)row, k = (int64_t)column;
    const float *a = pixel(s, x, i, k), *b = pixel(s, x, i, k + 1);
    const float *c = pixel(s, x, i + 1, k), *d = pixel(s, x, i + 1, k + 1);
    for (size_t ch = 0; ch < s->channels; ch++) {
        float top = a[ch] * (1 - fx) + b[ch] * fx, bottom = c[ch] * (1 - fx) + d[ch] * fx;
        out[ch] = top * (1 - fy) + bottom * fy;
    }
}

static void move_pixels(const struct am_augment_shape *s, const struct turn *t, float *x,
                        float *scratch)
{
    double cx = ((double)s->width - 1) / 2, cy = ((double)s->height - 1) / 2;
    if (t->m[0] == 1 && t->m[1] == 0 && t->m[2] == 0 && t->m[3] == 1 && t->move[0] == 0 &&
        t->move[1] == 0)
        return;
    memcpy(scratch, x, s->height * s->width * s->channels * sizeof *x);
    for (size_t i = 0; i < s->height; i++) {
        double dy = (double)i - cy;
        for (size_t k = 0; k < s->width; k++) {
            double dx = (double)k - cx;
            sample(s, scratch, t->m[0] * dx + t->m[1] * dy + cx + t->move[0],
                   t->m[2] * dx + t->m[3] * dy + cy + t->move[1], x);
            x += s->channels;
        }
    }
}

/* ---- colours, in the space where black is 0 and white 1 ---- */

static double light(const double *v, size_t channels)
{
    return channels < 3 ? v[0] : 0.299 * v[0] + 0.587 * v[1] + 0.114 * v[2];
}

static inline double clip(double v)
{
    return v < 0 ? 0 : v > 1 ? 1 : v;
}

static void to_unit(const struct am_augment_shape *s, const float *x, double *v)
{
    for (size_t c = 0; c < s->channels; c++) {
        double span = (double)s->high[c] - (double)s->low[c];
        v[c] = span != 0 ? ((double)x[c] - (double)s->low[c]) / span : 0;
    }
}

static void from_unit(const struct am_augment_shape *s, const double *v, float *x)
{
    for (size_t c = 0; c < s->channels; c++)
        x[c] = (float)((double)s->low[c] + clip(v[c]) * ((double)s->high[c] - (double)s->low[c]));
}

static void change_look(const struct am_augment_shape *s, const struct look *l, float *x)
{
    size_t n = s->height * s->width;
    double v[4], mean = 0;
    if (l->brightness == 1 && l->contrast == 1 && l->saturation == 1)
        return;
    for (size_t i = 0; i < n && l->contrast != 1; i++) {
        to_unit(s, x + i * s->channels, v);
        mean += light(v, s->channels);
    }
    mean = mean * l->brightness / (double)n;
    for (size_t i = 0; i < n; i++, x += s->channels) {
        to_unit(s, x, v);
        for (size_t c = 0; c < s->channels; c++)
            v[c] = mean + (v[c] * l->brightness - mean) * l->contrast;
        if (s->channels >= 3) {
            double grey = light(v, s->channels);
            for (size_t c = 0; c < 3; c++)
                v[c] = grey + (v[c] - grey) * l->saturation;
        }
        from_unit(s, v, x);
    }
}

static void add_noise(const struct am_augment_shape *s, double deviation, struct am_rng *r,
                      float *x)
{
    size_t n = s->height * s->width;
    double v[4];
    for (size_t i = 0; i < n; i++, x += s->channels) {
        to_unit(s, x, v);
        for (size_t c = 0; c < s->channels; c++)
            v[c] += deviation * am_rng_normal(r);
        from_unit(s, v, x);
    }
}

static void cut_out(const struct am_augment_shape *s, double share, double at_x, double at_y,
                    float *x)
{
    double shorter = (double)(s->height < s->width ? s->height : s->width);
    int64_t side = (int64_t)fmax(1, nearbyint(share * shorter));
    int64_t left = (int64_t)(at_x * (double)s->width) - side / 2;
    int64_t top = (int64_t)(at_y * (double)s->height) - side / 2;
    for (int64_t i = top < 0 ? 0 : top; i < top + side && i < (int64_t)s->height; i++)
        for (int64_t k = left < 0 ? 0 : left; k < left + side && k < (int64_t)s->width; k++)
            memcpy(x + ((size_t)i * s->width + (size_t)k) * s->channels, s->low,
                   s->channels * sizeof *x);
}

void am_augment_picture(const struct am_augment *a, const struct am_augment_shape *shape,
                        uint64_t seed, uint64_t epoch, uint64_t row, float *x, float *scratch)
{
    struct am_rng r;
    struct turn turn;
    struct look look;
    draws_of(&r, seed, epoch, row, false);
    draw_turn(a, shape, &r, &turn);
    draw_look(a, &r, &look);
    double at_x = am_rng_unit(&r), at_y = am_rng_unit(&r);
    for (size_t i = 0; i < shape->frames; i++) {
        move_pixels(shape, &turn, x, scratch);
        change_look(shape, &look, x);
        if (a->noise > 0)
            add_noise(shape, a->noise, &r, x);
        if (a->cutout > 0)
            cut_out(shape, a->cutout, at_x, at_y, x);
        x += shape->height * shape->width * shape->channels;
    }
}

/* ---- mixup ---- */

/* Beta(alpha, alpha) by Joehnk's method (1964): for alpha up to 4 at most some hundred draws. */
static double beta(struct am_rng *r, double alpha)
{
    for (;;) {
        double u = pow(am_rng_unit(r), 1 / alpha), v = pow(am_rng_unit(r), 1 / alpha);
        if (u + v > 1)
            continue;
        return u + v > 0 ? u / (u + v) : am_rng_unit(r) < 0.5; /* tiny alpha: one of the ends */
    }
}

void am_augment_mix_of(const struct am_augment *a, uint64_t seed, uint64_t epoch, uint64_t row,
                       uint64_t n_rows, struct am_augment_mix *out)
{
    struct am_rng r;
    *out = (struct am_augment_mix){.partner = row};
    if (!(a->mixup > 0))
        return;
    draws_of(&r, seed, epoch, row, true);
    out->partner = am_rng_below(&r, n_rows);
    double share = beta(&r, a->mixup);
    out->share = share > 0.5 ? 1 - share : share; /* the partner does the same with its own */
}

void am_augment_mix(const struct am_augment_mix *m, size_t n, float *x, const float *other)
{
    float b = (float)m->share, a = 1 - b;
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] * a + other[i] * b;
}
