/* A synthetic batch from the fitted statistics: numbers around the centre, known categories, dates
 * after the fill.
 *
 * It is what a package stores as its sample input, so it never holds a person's row: every cell is
 * drawn on its own from constants of the transforms. Row 1 is missing throughout, to prove that
 * path too. */
#include <math.h>

#include "base/rng.h"
#include "feature/features_int.h"
#include "feature/text_int.h"

/* In the units of the request: the unit conversion is undone. */
static double number_cell(const struct am_fcol *c, struct am_rng *r)
{
    double u = 2 * am_rng_unit(r) - 1, v;
    if (c->in.type == AM_COL_BOOLEAN)
        return u < 0 ? 0 : 1;
    if (c->scale == AM_FS_QUANTILE)
        v = c->quantiles[am_rng_below(r, c->n_quantiles)];
    else if (c->scale == AM_FS_LOG)
        v = copysign(expm1(fmin(fabs(c->shift), 30)), c->shift) * (1 + u / 2);
    else
        v = c->mul == 0 ? c->fill : c->shift + u / c->mul;
    v = c->factor == 0 ? v : (v - c->offset) / c->factor;
    return isfinite(v) ? (double)(float)v : 0; /* short in JSON */
}

static struct am_str text_cell(const struct am_fcol *c, struct am_rng *r)
{
    static const struct am_str words[] = {AM_STR_INIT("alpha"), AM_STR_INIT("beta gamma"),
                                          AM_STR_INIT("delta")};
    if (c->n_categories > 0)
        return c->categories[am_rng_below(r, c->n_categories)];
    return words[am_rng_below(r, 3)];
}

#define SAMPLE_FRAMES 4 /* of a synthetic video */

/* Our raw form: soft noise over a slope of light; a few frames of it. */
static enum am_rc picture_cell(const struct am_fcol *c, struct am_rng *r, struct am_arena *a,
                               struct am_str *out, struct am_err *err)
{
    const struct am_fimage *f = &c->image;
    bool video = c->kind == AM_F_VIDEO, sized = video || c->kind == AM_F_IMAGE;
    uint32_t h = video ? AM_F_SAMPLE_SIDE / 2 : AM_F_SAMPLE_SIDE, w = h;
    uint32_t frames = f->frames < SAMPLE_FRAMES ? f->frames : SAMPLE_FRAMES;
    if (sized && f->height < h)
        h = f->height;
    if (sized && f->width < w)
        w = f->width;
    size_t n = (size_t)h * w * f->channels * (video ? frames : 1);
    unsigned char *p = am_arena_array(a, AM_MEDIA_RAW_BYTES + n, 1);
    if (p == NULL)
        return am_arena_check(a, err);
    if (video)
        am_video_raw_header(frames, w, h, f->channels, p);
    else
        am_image_raw_header(w, h, f->channels, p);
    for (size_t i = 0; i < n; i++)
        p[AM_MEDIA_RAW_BYTES + i] = (unsigned char)(i * 128 / n + (size_t)am_rng_below(r, 128));
    *out = (struct am_str){(const char *)p, AM_MEDIA_RAW_BYTES + n};
    return AM_OK;
}

/* Our raw form, a tenth of a second at most: soft noise. */
static enum am_rc sound_cell(const struct am_fcol *c, struct am_rng *r, struct am_arena *a,
                             struct am_str *out, struct am_err *err)
{
    uint32_t n = c->sound.sample_rate / 10;
    if (c->sound.n_samples < n)
        n = (uint32_t)c->sound.n_samples;
    unsigned char *p = am_arena_array(a, AM_MEDIA_RAW_BYTES + 2 * (size_t)n, 1);
    if (p == NULL)
        return am_arena_check(a, err);
    am_sound_raw_header(c->sound.sample_rate, 1, n, p);
    for (size_t i = 0; i < n; i++) {
        unsigned v = (unsigned)(am_rng_below(r, 8192) + 61440); /* -4096.. as 16 bits */
        p[AM_MEDIA_RAW_BYTES + 2 * i] = (unsigned char)(v & 0xFF);
        p[AM_MEDIA_RAW_BYTES + 2 * i + 1] = (unsigned char)(v >> 8 & 0xFF);
    }
    *out = (struct am_str){(const char *)p, AM_MEDIA_RAW_BYTES + 2 * (size_t)n};
    return AM_OK;
}

/* Eight tokens of the vocabulary. */
static struct am_str tokens_cell(const struct am_fcol *c, struct am_rng *r, struct am_arena *a)
{
    struct am_str text = {"", 0};
    for (size_t i = 0; i < 8 && c->n_categories > 0; i++) {
        struct am_str t = c->categories[am_rng_below(r, c->n_categories)];
        text = am_arena_printf(a, "%.*s%s%.*s", AM_FMT(text),
                               i > 0 && c->kind != AM_F_CHARS ? " " : "", AM_FMT(t));
    }
    return text;
}

static enum am_rc sample_column(const struct am_fcol *c, struct am_rng *r, size_t n,
                                struct am_arena *a, struct am_column *out, struct am_err *err)
{
    double *numbers = NULL;
    struct am_str *texts = NULL;
    int64_t *dates = NULL;
    out->type = c->in.type;
    if (c->kind == AM_F_NUMBER)
        out->number = numbers = am_arena_array(a, n + 1, sizeof *numbers);
    else if (c->kind == AM_F_DATE)
        out->date = dates = am_arena_array(a, n + 1, sizeof *dates);
    else
        out->text = texts = am_arena_array(a, n + 1, sizeof *texts);
    if (numbers == NULL && dates == NULL && texts == NULL)
        return am_arena_check(a, err);
    for (size_t i = 0; i < n; i++) {
        bool missing = i == 1;
        if (numbers)
            numbers[i] = missing ? (double)NAN : number_cell(c, r);
        else if (dates)
            dates[i] = missing ? AM_DATE_MISSING
                               : (int64_t)((uint64_t)c->fill_date +
                                           am_rng_below(r, 365) * UINT64_C(90000000000));
        else if (!missing && (c->in.type == AM_COL_IMAGE || c->in.type == AM_COL_VIDEO))
            AM_TRY(picture_cell(c, r, a, &texts[i], err));
        else if (!missing && c->in.type == AM_COL_AUDIO)
            AM_TRY(sound_cell(c, r, a, &texts[i], err));
        else if (!missing && (am_fkind_is_ids(c->kind) || am_fkind_is_terms(c->kind)))
            texts[i] = tokens_cell(c, r, a);
        else
            texts[i] = missing ? (struct am_str){NULL, 0} : text_cell(c, r);
    }
    return am_arena_check(a, err);
}

enum am_rc am_features_sample(const struct am_features *f, uint64_t seed, size_t n_rows,
                              struct am_arena *a, struct am_batch *out, struct am_err *err)
{
    struct am_rng r;
    am_rng_init(&r, seed, AM_RNG_SAMPLE_INPUT);
    struct am_column *columns = am_arena_array(a, f->n, sizeof *columns);
    if (columns == NULL)
        return am_arena_check(a, err);
    for (size_t i = 0; i < f->n; i++)
        AM_TRY(sample_column(&f->cols[i], &r, n_rows, a, &columns[i], err));
    *out = (struct am_batch){.n_rows = n_rows, .n_columns = f->n, .columns = columns};
    return AM_OK;
}
