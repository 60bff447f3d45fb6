/* Fitting of picture and video columns: sizes, channels, and the mean and deviation of the pixels.
 *
 * Statistics are taken of the pictures as they came (before resizing), each picture with the same
 * weight, of a video those of its frames that are taken: sums within a picture are whole numbers,
 * sums over pictures are in dataset order, so neither threads nor batches change a bit. Only
 * headers are read unless the deviation is needed. One update at a time; rows are decoded on the
 * pool. */
#include <math.h>
#include <pthread.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "feature/fit_int.h"

#define SIDE_KEPT 512 /* pictures of one size keep it up to here */
#define SIDE_MEAN 224 /* else the mean side, at most this */
#define SIDE_NONE 32  /* no picture at all */
#define SIDE_VIDEO 64 /* both of the first two, of videos */

struct measured {
    uint32_t width, height, channels; /* width 0: missing */
    double mean[4], square[4];
};

struct measure {
    const struct am_str *cells;
    struct measured *out;
    const struct am_fimage *video; /* which frames; NULL = pictures */
    bool pixels;
    pthread_mutex_t lock; /* of the fields below: the error of the first row */
    size_t failed;
    enum am_rc rc;
    struct am_err err;
};

static void sums_of(struct am_image *i, struct measured *m)
{
    uint64_t sum[4] = {0}, square[4] = {0};
    am_fimage_convert(i, 3);
    size_t n = (size_t)i->width * i->height, step = i->channels == 3;
    const uint8_t *p = i->pixels;
    for (size_t k = 0; k < n; k++, p += i->channels) {
        for (size_t c = 0; c < 3; c++) {
            sum[c] += p[c * step];
            square[c] += (uint64_t)p[c * step] * p[c * step];
        }
    }
    am_fimage_convert(i, 1);
    for (size_t k = 0; k < n; k++) {
        sum[3] += i->pixels[k];
        square[3] += (uint64_t)i->pixels[k] * i->pixels[k];
    }
    for (size_t c = 0; c < 4; c++) {
        m->mean[c] += (double)sum[c] / (double)n;
        m->square[c] += (double)square[c] / (double)n;
    }
}

static enum am_rc sum_frame(void *ctx, uint32_t i, struct am_image *frame, struct am_err *err)
{
    (void)i;
    (void)err;
    sums_of(frame, ctx);
    return AM_OK;
}

static enum am_rc measure_video(const struct measure *m, struct am_str cell, struct measured *out,
                                struct am_err *err)
{
    const struct am_video_take take = {.n_frames = m->video->frames, .fps = m->video->fps};
    struct am_video_info info;
    AM_TRY(am_video_probe(cell, &info, err));
    *out = (struct measured){.width = info.width, .height = info.height, .channels = 3};
    if (!m->pixels)
        return AM_OK;
    AM_TRY(am_video_frames(cell, &take, sum_frame, out, err));
    for (size_t c = 0; c < 4; c++) {
        out->mean[c] /= take.n_frames;
        out->square[c] /= take.n_frames;
    }
    return AM_OK;
}

static enum am_rc measure_one(const struct measure *m, size_t row, struct am_err *err)
{
    struct am_str cell = m->cells[row];
    struct measured *out = &m->out[row];
    struct am_image_info info;
    struct am_image image;
    if (cell.ptr == NULL)
        return AM_OK;
    if (m->video)
        return measure_video(m, cell, out, err);
    if (m->pixels) {
        AM_TRY(am_image_decode(cell, &image, err));
        *out = (struct measured){
            .width = image.width, .height = image.height, .channels = image.channels};
        sums_of(&image, out);
        am_image_clear(&image);
        return AM_OK;
    }
    AM_TRY(am_image_probe(cell, &info, err));
    *out = (struct measured){.width = info.width, .height = info.height, .channels = info.channels};
    return AM_OK;
}

static void measure_rows(void *ctx, size_t begin, size_t end)
{
    struct measure *m = ctx;
    for (size_t i = begin; i < end; i++) {
        struct am_err err;
        am_err_clear(&err);
        enum am_rc rc = measure_one(m, i, &err);
        if (rc == AM_OK)
            continue;
        pthread_mutex_lock(&m->lock);
        if (i < m->failed) {
            m->failed = i;
            m->rc = rc;
            m->err = err;
        }
        pthread_mutex_unlock(&m->lock);
    }
}

static void merge(struct am_fimage_fit *s, const struct measured *m)
{
    if (s->n == 0 || m->height < s->min_h)
        s->min_h = m->height;
    if (s->n == 0 || m->width < s->min_w)
        s->min_w = m->width;
    s->max_h = m->height > s->max_h ? m->height : s->max_h;
    s->max_w = m->width > s->max_w ? m->width : s->max_w;
    s->sum_h += m->height;
    s->sum_w += m->width;
    s->n_colour += m->channels > 1;
    s->n++;
    for (size_t c = 0; c < 4; c++) {
        s->mean[c] += m->mean[c];
        s->square[c] += m->square[c];
    }
}

enum am_rc am_ffit_image_update(struct am_features_fit *fit, struct am_ffit_col *c,
                                const struct am_str *cells, size_t n_rows, uint64_t first_row,
                                struct am_err *err)
{
    struct measured *rows = am_calloc(n_rows + 1, sizeof *rows);
    if (rows == NULL)
        return am_fail_nomem(err, n_rows * sizeof *rows);
    struct measure m = {.cells = cells,
                        .out = rows,
                        .video = c->spec.kind == AM_F_VIDEO ? &c->spec.image : NULL,
                        .pixels = c->spec.kind != AM_F_HISTOGRAM &&
                                  c->spec.image.normal == AM_FN_STANDARD,
                        .failed = SIZE_MAX};
    pthread_mutex_init(&m.lock, NULL);
    am_pool_for(fit->pool, n_rows, 1, measure_rows, &m);
    pthread_mutex_destroy(&m.lock);
    for (size_t i = 0; i < n_rows && m.rc == AM_OK; i++) {
        if (rows[i].width > 0)
            merge(&c->image, &rows[i]);
        else
            c->n_missing++;
    }
    am_free(rows);
    if (m.rc == AM_OK)
        return AM_OK;
    if (err != NULL)
        *err = m.err;
    am_context(err, "column \"%.*s\", row %llu", AM_FMT(c->name),
               (unsigned long long)first_row + m.failed + 1);
    return m.rc;
}

static uint32_t mean_side(uint64_t sum, uint64_t n, uint32_t most)
{
    uint64_t mean = n == 0 ? SIDE_NONE : (sum + n / 2) / n;
    return mean > most ? most : (uint32_t)mean;
}

static enum am_rc choose_size(struct am_features_fit *fit, const struct am_ffit_col *c,
                              struct am_fimage *f, struct am_err *err)
{
    const struct am_fimage_fit *s = &c->image;
    bool one = s->n > 0 && s->min_h == s->max_h && s->min_w == s->max_w;
    bool video = c->spec.kind == AM_F_VIDEO;
    uint32_t kept = video ? SIDE_VIDEO : SIDE_KEPT, most = video ? SIDE_VIDEO : SIDE_MEAN;
    bool keep = one && s->max_h <= kept && s->max_w <= kept;
    if (f->height > 0)
        return AM_OK;
    f->height = keep ? s->max_h : mean_side(s->sum_h, s->n, most);
    f->width = keep ? s->max_w : mean_side(s->sum_w, s->n, most);
    if (keep || s->n == 0)
        return AM_OK;
    return am_ffit_note(fit, err,
                        "column \"%.*s\": pictures of %u x %u to %u x %u pixels are brought to "
                        "%u x %u (width x height); `size` says another",
                        AM_FMT(c->name), s->min_w, s->min_h, s->max_w, s->max_h, f->width,
                        f->height);
}

static enum am_rc standard(struct am_features_fit *fit, const struct am_ffit_col *c,
                           struct am_fimage *f, struct am_err *err)
{
    const struct am_fimage_fit *s = &c->image;
    bool constant = true;
    for (uint32_t k = 0; k < f->channels; k++) {
        uint32_t from = f->channels == 1 ? 3 : k;
        double n = s->n ? (double)s->n : 1, mean = s->mean[from] / n;
        double variance = s->square[from] / n - mean * mean;
        bool flat = !(variance > 1e-9 * s->square[from] / n);
        f->shift[k] = flat ? 0 : mean;
        f->mul[k] = flat ? 0 : 1 / sqrt(variance);
        constant = constant && flat;
    }
    if (!constant || s->n == 0)
        return AM_OK;
    return am_ffit_note(fit, err,
                        "column \"%.*s\" is constant in the training rows: its output is always 0",
                        AM_FMT(c->name));
}

enum am_rc am_ffit_image_finish(struct am_features_fit *fit, struct am_ffit_col *c,
                                struct am_fcol *out, struct am_err *err)
{
    struct am_fimage *f = &out->image;
    *f = c->spec.image;
    if (f->channels == 0)
        f->channels = c->image.n_colour > 0 ? 3 : 1;
    if (c->image.n == 0)
        AM_TRY(am_ffit_note(fit, err,
                            out->kind == AM_F_VIDEO
                                ? "column \"%.*s\" has no video in the training rows"
                                : "column \"%.*s\" has no picture in the training rows",
                            AM_FMT(c->name)));
    if (out->kind == AM_F_HISTOGRAM)
        return AM_OK;
    AM_TRY(choose_size(fit, c, f, err));
    am_fimage_constants(f);
    return f->normal == AM_FN_STANDARD ? standard(fit, c, f, err) : AM_OK;
}
