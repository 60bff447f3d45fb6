/* Pictures and frames of videos to floats: channels, linear resizing with antialiasing,
 * normalisation, histograms.
 *
 * Source rows are read once, in order: each is resampled across, then added with its weight to the
 * output rows that it touches, so the work memory is a row and the weights, whatever the picture.
 * All sums are in a fixed order. Nothing is kept between calls; any thread. */
#include "feature/image.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"

static const char *const resize_names[AM_FR_N] = {"stretch", "crop", "pad"};
static const char *const normal_names[AM_FN_N] = {"unit", "standard", "imagenet", "none"};

const char *am_fresize_name(enum am_fresize r)
{
    return resize_names[r];
}

const char *am_fnormal_name(enum am_fnormal n)
{
    return normal_names[n];
}

bool am_fresize_parse(struct am_str s, enum am_fresize *out)
{
    for (unsigned i = 0; i < AM_FR_N; i++) {
        if (am_str_is(s, resize_names[i])) {
            *out = (enum am_fresize)i;
            return true;
        }
    }
    return false;
}

bool am_fnormal_parse(struct am_str s, enum am_fnormal *out)
{
    for (unsigned i = 0; i < AM_FN_N; i++) {
        if (am_str_is(s, normal_names[i])) {
            *out = (enum am_fnormal)i;
            return true;
        }
    }
    return false;
}

void am_fimage_constants(struct am_fimage *f)
{
    static const double mean[3] = {0.485, 0.456, 0.406}, deviation[3] = {0.229, 0.224, 0.225};
    for (uint32_t c = 0; c < 3; c++) {
        f->shift[c] = f->normal == AM_FN_IMAGENET ? 255 * mean[c] : 0;
        f->mul[c] = f->normal == AM_FN_IMAGENET ? 1 / (255 * deviation[c])
                    : f->normal == AM_FN_NONE   ? 1
                                                : 1.0 / 255;
    }
    if (f->channels == 1 && f->normal == AM_FN_IMAGENET) { /* of grey: the mean of the three */
        f->shift[0] = 255 * (mean[0] + mean[1] + mean[2]) / 3;
        f->mul[0] = 3 / (255 * (deviation[0] + deviation[1] + deviation[2]));
    }
}

enum am_rc am_fimage_check(const struct am_fimage *f, struct am_str name, bool histogram,
                           struct am_err *err)
{
    bool ok = f->channels == 1 || f->channels == 3;
    if (histogram) {
        ok = ok && f->bins >= 2 && f->bins <= AM_F_MAX_BINS;
    } else {
        uint64_t pixels = (uint64_t)f->height * f->width;
        ok = ok && f->height >= 1 && f->width >= 1 && f->height <= AM_LIMIT_IMAGE_SIDE &&
             f->width <= AM_LIMIT_IMAGE_SIDE && pixels <= AM_LIMIT_TENSOR_BYTES &&
             f->frames <= AM_F_MAX_FRAMES && f->fps >= 0 && f->fps <= AM_F_MAX_FPS;
        for (uint32_t c = 0; ok && c < f->channels; c++)
            ok = isfinite(f->shift[c]) && isfinite(f->mul[c]) &&
                 fabs((0 - f->shift[c]) * f->mul[c]) <= (double)FLT_MAX &&
                 fabs((255 - f->shift[c]) * f->mul[c]) <= (double)FLT_MAX;
    }
    return ok ? AM_OK
              : am_fail(err, AM_ECORRUPT,
                        "features: column \"%.*s\" has settings of pictures out of their range",
                        AM_FMT(name));
}

/* ---- channels ---- */

static uint8_t grey_of(const uint8_t *p)
{
    return (uint8_t)((19595u * p[0] + 38470u * p[1] + 7471u * p[2] + 32768u) >> 16);
}

void am_fimage_convert(struct am_image *i, uint32_t channels)
{
    size_t n = (size_t)i->width * i->height;
    uint8_t *p = i->pixels;
    if (i->channels == 4) { /* over white */
        for (size_t k = 0; k < n; k++) {
            uint32_t alpha = p[4 * k + 3];
            for (size_t c = 0; c < 3; c++)
                p[3 * k + c] =
                    (uint8_t)((p[4 * k + c] * alpha + 255u * (255u - alpha) + 127) / 255);
        }
        i->channels = 3;
    }
    if (i->channels == 3 && channels == 1) {
        for (size_t k = 0; k < n; k++)
            p[k] = grey_of(p + 3 * k);
        i->channels = 1;
    }
}

/* ---- resizing ---- */

/* Source pixels first[i] .. first[i] + count[i] - 1 with weights that sum to 1. */
struct axis {
    uint32_t n, taps;
    uint32_t *first, *count; /* [n] */
    float *weight;           /* [n, taps] */
};

/* The triangle of Pillow's BILINEAR: its half width is the scale when shrinking, else 1. */
static uint32_t axis_taps(double begin, double end, uint32_t n)
{
    double scale = (end - begin) / n;
    return (uint32_t)ceil(scale < 1 ? 1 : scale) * 2 + 1;
}

static void axis_fill(struct axis *a, uint32_t size, double begin, double end)
{
    double scale = (end - begin) / a->n, support = scale < 1 ? 1 : scale;
    for (uint32_t i = 0; i < a->n; i++) {
        double centre = begin + (i + 0.5) * scale, sum = 0;
        int64_t lo = (int64_t)(centre - support + 0.5), hi = (int64_t)(centre + support + 0.5);
        lo = lo < 0 ? 0 : lo;
        hi = hi > (int64_t)size ? (int64_t)size : hi;
        if (hi - lo > (int64_t)a->taps)
            hi = lo + (int64_t)a->taps;
        float *w = a->weight + (size_t)i * a->taps;
        a->first[i] = (uint32_t)lo;
        a->count[i] = (uint32_t)(hi - lo);
        for (uint32_t k = 0; k < a->count[i]; k++)
            sum += fmax(0, 1 - fabs(((double)lo + k - centre + 0.5) / support));
        for (uint32_t k = 0; k < a->count[i]; k++)
            w[k] = (float)(fmax(0, 1 - fabs(((double)lo + k - centre + 0.5) / support)) /
                           (sum > 0 ? sum : 1));
    }
}

static inline __attribute__((always_inline)) void
across(const struct axis *a, const uint8_t *restrict row, uint32_t c, float *restrict out)
{
    for (uint32_t i = 0; i < a->n; i++) {
        const uint8_t *p = row + (size_t)a->first[i] * c;
        const float *w = a->weight + (size_t)i * a->taps;
        float sum[4] = {0, 0, 0, 0};
        for (uint32_t k = 0; k < a->count[i]; k++)
            for (uint32_t ch = 0; ch < c; ch++)
                sum[ch] += w[k] * (float)p[(size_t)k * c + ch];
        for (uint32_t ch = 0; ch < c; ch++)
            out[(size_t)i * c + ch] = sum[ch];
    }
}

static void row_across(const struct axis *a, const uint8_t *row, uint32_t c, float *out)
{
    if (c == 1)
        across(a, row, 1, out);
    else if (c == 3)
        across(a, row, 3, out);
    else
        across(a, row, c, out);
}

static void resample(const struct axis *ax, const struct axis *ay, const uint8_t *pixels,
                     uint32_t w, uint32_t c, size_t stride, float *line, float *out)
{
    size_t m = (size_t)ax->n * c;
    uint32_t last = ay->first[ay->n - 1] + ay->count[ay->n - 1], low = 0;
    for (uint32_t i = 0; i < ay->n; i++)
        memset(out + i * stride, 0, m * sizeof *out);
    for (uint32_t y = ay->first[0]; y < last; y++) {
        while (low < ay->n && ay->first[low] + ay->count[low] <= y)
            low++;
        if (low == ay->n)
            break;
        if (ay->first[low] > y)
            continue;
        row_across(ax, pixels + (size_t)y * w * c, c, line);
        for (uint32_t i = low; i < ay->n && ay->first[i] <= y; i++) {
            if (y - ay->first[i] >= ay->count[i])
                continue;
            float weight = ay->weight[(size_t)i * ay->taps + (y - ay->first[i])];
            float *o = out + i * stride;
            for (size_t k = 0; k < m; k++)
                o[k] += weight * line[k];
        }
    }
}

enum am_rc am_fimage_resize(const uint8_t *pixels, uint32_t w, uint32_t h, uint32_t c,
                            const double box[4], uint32_t width, uint32_t height, size_t out_stride,
                            float *out, struct am_err *err)
{
    struct axis ax = {.n = width, .taps = axis_taps(box[0], box[2], width)};
    struct axis ay = {.n = height, .taps = axis_taps(box[1], box[3], height)};
    size_t wx = (size_t)width * ax.taps, wy = (size_t)height * ay.taps;
    size_t n = wx + wy + 2 * ((size_t)width + height) + (size_t)width * c;
    float *memory = am_alloc_array(n, sizeof *memory);
    if (memory == NULL)
        return am_fail_nomem(err, n * sizeof *memory);
    ax.weight = memory;
    ay.weight = ax.weight + wx;
    float *line = ay.weight + wy;
    void *counts = line + (size_t)width * c;
    ax.first = counts;
    ax.count = ax.first + width;
    ay.first = ax.count + width;
    ay.count = ay.first + height;
    axis_fill(&ax, w, box[0], box[2]);
    axis_fill(&ay, h, box[1], box[3]);
    resample(&ax, &ay, pixels, w, c, out_stride, line, out);
    am_free(memory);
    return AM_OK;
}

/* ---- the whole way ---- */

static float normal(const struct am_fimage *f, uint32_t c, double v)
{
    return (float)((v - f->shift[c]) * f->mul[c]);
}

/* Pictures of the very size: a table of 256 values a channel. */
static void copy_pixels(const struct am_fimage *f, const struct am_image *i, float *out)
{
    float table[3][256];
    uint32_t c = f->channels;
    for (uint32_t k = 0; k < c; k++)
        for (unsigned v = 0; v < 256; v++)
            table[k][v] = normal(f, k, v);
    size_t n = (size_t)f->width * f->height;
    const uint8_t *p = i->pixels;
    if (c == 1) {
        for (size_t k = 0; k < n; k++)
            out[k] = table[0][p[k]];
        return;
    }
    size_t step = i->channels == 3;
    for (size_t k = 0; k < n; k++, p += i->channels)
        for (size_t ch = 0; ch < 3; ch++)
            out[3 * k + ch] = table[ch][p[ch * step]];
}

/* In place: [n] of one channel to three equal ones, backwards. */
static void spread(float *x, size_t n)
{
    for (size_t k = n; k-- > 0;)
        x[3 * k] = x[3 * k + 1] = x[3 * k + 2] = x[k];
}

/* The size of the whole picture inside [width, height], ratio kept; rounded, at least 1. */
static void fit_inside(const struct am_image *i, uint32_t *width, uint32_t *height)
{
    double by_width = (double)*width / i->width, by_height = (double)*height / i->height;
    if (by_width > by_height) {
        double w = nearbyint(i->width * by_height);
        *width = w < 1 ? 1 : w < *width ? (uint32_t)w : *width;
    } else {
        double h = nearbyint(i->height * by_width);
        *height = h < 1 ? 1 : h < *height ? (uint32_t)h : *height;
    }
}

static void crop_box(const struct am_image *i, uint32_t width, uint32_t height, double box[4])
{
    double w = i->width, h = i->height, want = (double)width / height;
    if (w / h > want) {
        double cut = w - h * want;
        box[0] = cut / 2;
        box[2] = w - cut / 2;
    } else {
        double cut = h - w / want;
        box[1] = cut / 2;
        box[3] = h - cut / 2;
    }
}

static enum am_rc place(const struct am_fimage *f, const struct am_image *i, float *out,
                        struct am_err *err)
{
    uint32_t width = f->width, height = f->height, c = i->channels;
    double box[4] = {0, 0, i->width, i->height};
    size_t stride = (size_t)f->width * c, at = 0;
    if (f->resize == AM_FR_CROP)
        crop_box(i, width, height, box);
    if (f->resize == AM_FR_PAD) {
        fit_inside(i, &width, &height);
        at = (size_t)((f->height - height) / 2) * stride + (size_t)((f->width - width) / 2) * c;
        memset(out, 0, stride * f->height * sizeof *out);
    }
    AM_TRY(am_fimage_resize(i->pixels, i->width, i->height, c, box, width, height, stride, out + at,
                            err));
    size_t n = (size_t)f->width * f->height;
    if (c < f->channels)
        spread(out, n);
    for (size_t k = 0; k < n; k++)
        for (uint32_t ch = 0; ch < f->channels; ch++)
            out[k * f->channels + ch] = normal(f, ch, (double)out[k * f->channels + ch]);
    return AM_OK;
}

/* Changes the picture. */
static enum am_rc apply_decoded(const struct am_fimage *f, struct am_image *i, float *out,
                                struct am_err *err)
{
    am_fimage_convert(i, f->channels);
    if (i->width != f->width || i->height != f->height)
        return place(f, i, out, err);
    copy_pixels(f, i, out);
    return AM_OK;
}

enum am_rc am_fimage_apply(const struct am_fimage *f, struct am_str bytes, float *out,
                           struct am_err *err)
{
    struct am_image i;
    if (bytes.ptr == NULL) {
        memset(out, 0, (size_t)f->height * f->width * f->channels * sizeof *out);
        return AM_OK;
    }
    AM_TRY(am_image_decode(bytes, &i, err));
    enum am_rc rc = apply_decoded(f, &i, out, err);
    am_image_clear(&i);
    return rc;
}

struct frames {
    const struct am_fimage *f;
    float *out;
};

static enum am_rc apply_frame(void *ctx, uint32_t i, struct am_image *frame, struct am_err *err)
{
    const struct frames *s = ctx;
    size_t n = (size_t)s->f->height * s->f->width * s->f->channels;
    return apply_decoded(s->f, frame, s->out + i * n, err);
}

enum am_rc am_fimage_apply_video(const struct am_fimage *f, struct am_str bytes, float *out,
                                 struct am_err *err)
{
    const struct am_video_take take = {.n_frames = f->frames, .fps = f->fps};
    struct frames s = {f, out};
    if (bytes.ptr == NULL) {
        memset(out, 0, (size_t)f->frames * f->height * f->width * f->channels * sizeof *out);
        return AM_OK;
    }
    return am_video_frames(bytes, &take, apply_frame, &s, err);
}

size_t am_fimage_histogram_width(const struct am_fimage *f)
{
    return (size_t)f->bins * (f->channels == 3 ? 4 : 1);
}

enum am_rc am_fimage_histogram(const struct am_fimage *f, struct am_str bytes, float *out,
                               struct am_err *err)
{
    uint32_t counts[4][256] = {{0}};
    struct am_image i;
    size_t n_out = am_fimage_histogram_width(f), bins = f->bins;
    memset(out, 0, n_out * sizeof *out);
    if (bytes.ptr == NULL)
        return AM_OK;
    AM_TRY(am_image_decode(bytes, &i, err));
    am_fimage_convert(&i, f->channels);
    size_t n = (size_t)i.width * i.height, colours = f->channels == 3 ? 3 : 0;
    size_t step = i.channels == 3;
    const uint8_t *p = i.pixels;
    for (size_t k = 0; k < n; k++, p += i.channels) {
        for (size_t c = 0; c < colours; c++)
            counts[c][p[c * step]]++;
        counts[colours][step ? grey_of(p) : p[0]]++;
    }
    for (size_t c = 0; c <= colours; c++) {
        uint64_t of_bin[AM_F_MAX_BINS] = {0};
        for (size_t v = 0; v < 256; v++)
            of_bin[v * bins / 256] += counts[c][v];
        for (size_t b = 0; b < bins; b++)
            out[c * bins + b] = (float)((double)(of_bin[b] * bins) / (double)n);
    }
    am_image_clear(&i);
    return AM_OK;
}
