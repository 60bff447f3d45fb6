/* The way back: what a model gives for the float row into the units of the columns.
 *
 * For the rows that an autoencoder gives back. Numbers and booleans come back through the inverse
 * of their scaling and of their unit; a single picture as pixels, a single sound as its channels
 * before they were normalised. Categories, texts and dates do not come back. No state, no
 * allocation; any thread. */
#include <float.h>
#include <math.h>

#include "feature/features_int.h"

static bool whole_row(const struct am_features *f)
{
    return f->n == 1 && (f->cols[0].kind == AM_F_IMAGE || f->cols[0].kind == AM_F_SOUND);
}

size_t am_features_n_restored(const struct am_features *f, struct am_dims *shape)
{
    size_t n = 0, n_tokens;
    if (whole_row(f)) {
        *shape = am_features_shape(f, &n_tokens);
        return am_dims_count(shape);
    }
    for (size_t i = 0; i < f->n; i++)
        n += f->cols[i].kind == AM_F_NUMBER;
    *shape = am_dims1((int64_t)n);
    return n;
}

bool am_features_restored_columns(const struct am_features *f)
{
    return !whole_row(f);
}

size_t am_features_restored_input(const struct am_features *f, size_t i)
{
    if (whole_row(f))
        return 0;
    for (size_t k = 0; k < f->n; k++)
        if (f->cols[k].kind == AM_F_NUMBER && i-- == 0)
            return k;
    return SIZE_MAX;
}

static double bounded(double v)
{
    return v > DBL_MAX ? DBL_MAX : v < -DBL_MAX ? -DBL_MAX : v;
}

/* Between the reference quantiles that enclose rank y. */
static double quantile_at(const double *q, size_t n, double y)
{
    double at = (y > 0 ? y < 1 ? y : 1 : 0) * (double)(n - 1);
    size_t k = (size_t)at;
    return k + 1 < n ? q[k] + (at - (double)k) * (q[k + 1] - q[k]) : q[n - 1];
}

static double unscaled(double y, double shift, double mul)
{
    return mul != 0 ? y / mul + shift : shift;
}

static double number(const struct am_fcol *c, float y)
{
    double v;
    if (c->mul == 0) /* a constant column: what stands for a missing value is that constant */
        return bounded(c->factor != 0 ? (c->fill - c->offset) / c->factor : c->fill);
    if (c->scale == AM_FS_QUANTILE)
        v = quantile_at(c->quantiles, c->n_quantiles, (double)y);
    else
        v = unscaled((double)y, c->shift, c->mul);
    if (c->scale == AM_FS_LOG)
        v = copysign(expm1(fabs(v)), v);
    return bounded(c->factor != 0 ? (v - c->offset) / c->factor : v);
}

static void pixels(const struct am_fimage *i, const float *x, double *out)
{
    size_t n = (size_t)i->height * i->width * i->channels;
    for (size_t k = 0; k < n; k++) {
        size_t c = k % i->channels;
        out[k] = fmin(fmax(unscaled((double)x[k], i->shift[c], i->mul[c]), 0), 255);
    }
}

static void sound(const struct am_fcol *c, const float *x, double *out)
{
    size_t n = am_sound_width(&c->sound), channels = am_sound_channels(c->plan);
    for (size_t k = 0; k < n; k++)
        out[k] = c->channel_shift ? bounded(unscaled((double)x[k], c->channel_shift[k % channels],
                                                     c->channel_mul[k % channels]))
                                  : (double)x[k];
}

void am_features_restore(const struct am_features *f, const float *x, double *out)
{
    if (whole_row(f)) {
        if (f->cols[0].kind == AM_F_IMAGE)
            pixels(&f->cols[0].image, x, out);
        else
            sound(&f->cols[0], x, out);
        return;
    }
    for (size_t i = 0; i < f->n; i++)
        if (f->cols[i].kind == AM_F_NUMBER)
            *out++ = number(&f->cols[i], x[f->cols[i].in.first_output]);
}
