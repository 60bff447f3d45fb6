/* Augmentation of sequences: the recipe's settings, the draws of a row, and the changes in order.
 *
 * The few draws of a row come first and in one order, whatever is switched on; noise and the draws
 * of single tokens have places of their own behind them. */
#include "feature/augment_seq.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "feature/augment_keys.h"
#include "feature/features_int.h"

/* ---- settings ---- */

#define NUMBER AM_FEATURE_KEY_NUMBER
static const struct am_feature_key keys[] = {
    {"speed", NUMBER, NULL, 0, 0.5, "0", "Sounds: 1 - speed to 1 + speed times as fast."},
    {"shift", NUMBER, NULL, 0, 1, "0", "Sounds: moved by up to this share of their length."},
    {"noise", NUMBER, NULL, 0, 10, "0",
     "Sounds: deviation of normal noise, in the units of the features."},
    {"time_mask", NUMBER, NULL, 0, 1, "0",
     "Sounds: greatest share of the time that a mask covers."},
    {"channel_mask", NUMBER, NULL, 0, 1, "0",
     "Sounds: greatest share of the bands that a mask covers."},
    {"masks", AM_FEATURE_KEY_INT, NULL, 1, 10, "1", "Sounds: masks of each kind."},
    {"drop", NUMBER, NULL, 0, 0.9, "0", "Tokens: chance of each to be left out."},
    {"unknown", NUMBER, NULL, 0, 0.9, "0", "Tokens: chance of each to become the unknown one."},
    {"swap", NUMBER, NULL, 0, 1, "0",
     "Tokens: chance of each to change places with its neighbour."},
};
#undef NUMBER
#define N_KEYS (sizeof keys / sizeof keys[0])
#define MASKS 5
#define FIRST_OF_TOKENS 6

const struct am_feature_key *am_augment_seq_keys(size_t *n)
{
    *n = N_KEYS;
    return keys;
}

enum am_rc am_augment_seq_read(const struct am_node *spec, enum am_augment_seq_kind kind,
                               struct am_augment_seq *out, bool *any, struct am_err *err)
{
    static const struct am_augment_table sounds = {keys, FIRST_OF_TOKENS, AM_N("sounds")},
                                         texts = {keys + FIRST_OF_TOKENS, N_KEYS - FIRST_OF_TOKENS,
                                                  AM_N("texts")};
    const struct am_augment_table *t = kind == AM_AUGMENT_TOKENS ? &texts : &sounds;
    const size_t first = (size_t)(t->keys - keys);
    double v[N_KEYS];
    *out = (struct am_augment_seq){.masks = 1};
    *any = false;
    AM_TRY(am_augment_keys_read(spec, t, v, err));
    double *const places[N_KEYS] = {&out->speed,     &out->shift,        &out->noise,
                                    &out->time_mask, &out->channel_mask, NULL,
                                    &out->drop,      &out->unknown,      &out->swap};
    for (size_t k = 0; k < t->n; k++) {
        if (first + k == MASKS) {
            out->masks = (unsigned)v[k];
            continue;
        }
        *places[first + k] = v[k];
        *any = *any || v[k] > 0;
    }
    return AM_OK;
}

bool am_augment_seq_shape_of(const struct am_features *f, struct am_augment_seq_shape *out)
{
    if (f->n != 1 || f->cols[0].indicator)
        return false;
    const struct am_fcol *c = &f->cols[0];
    if (am_fkind_is_ids(c->kind)) {
        *out = (struct am_augment_seq_shape){AM_AUGMENT_TOKENS, c->length, 1};
        return true;
    }
    if (c->kind != AM_F_SOUND)
        return false;
    size_t channels = am_sound_channels(c->plan);
    *out = (struct am_augment_seq_shape){AM_AUGMENT_SOUND, f->width / channels, channels};
    return true;
}

/* ---- draws ---- */

static double even(struct am_rng *r, double most) /* [-most, most) */
{
    return (2 * am_rng_unit(r) - 1) * most;
}

/* ---- sounds ---- */

/* out[t] = x at time t * speed, 0 beyond the end. */
static void change_speed(const float *x, size_t n_frames, size_t n_channels, double speed,
                         float *out)
{
    for (size_t t = 0; t < n_frames; t++) {
        double at = (double)t * speed;
        size_t i = (size_t)at;
        float f = (float)(at - (double)i);
        for (size_t c = 0; c < n_channels; c++) {
            float a = i < n_frames ? x[i * n_channels + c] : 0;
            float b = i + 1 < n_frames ? x[(i + 1) * n_channels + c] : 0;
            out[t * n_channels + c] = a + f * (b - a);
        }
    }
}

static void move(float *x, size_t n_frames, size_t n_channels, long by)
{
    size_t n = (size_t)labs(by), kept = n_frames - n;
    if (by > 0) {
        memmove(x + n * n_channels, x, kept * n_channels * sizeof *x);
        memset(x, 0, n * n_channels * sizeof *x);
    } else if (by < 0) {
        memmove(x, x + n * n_channels, kept * n_channels * sizeof *x);
        memset(x + kept * n_channels, 0, n * n_channels * sizeof *x);
    }
}

/* A stretch of up to `share` of n: [*begin, *begin + *count). */
static void stretch(struct am_rng *r, size_t n, double share, size_t *begin, size_t *count)
{
    double u = am_rng_unit(r), v = am_rng_unit(r);
    *count = (size_t)(u * (floor(share * (double)n) + 1));
    *begin = (size_t)(v * (double)(n - *count + 1));
}

static void mask(const struct am_augment_seq *a, struct am_rng *r, size_t n_frames,
                 size_t n_channels, float *x)
{
    size_t begin, count;
    stretch(r, n_frames, a->time_mask, &begin, &count);
    memset(x + begin * n_channels, 0, count * n_channels * sizeof *x);
    stretch(r, n_channels, a->channel_mask, &begin, &count);
    for (size_t t = 0; t < n_frames; t++)
        memset(x + t * n_channels + begin, 0, count * sizeof *x);
}

void am_augment_sound(const struct am_augment_seq *a, uint64_t seed, uint64_t epoch, uint64_t row,
                      size_t n_frames, size_t n_channels, float *x, float *scratch)
{
    struct am_rng few, many;
    am_augment_rng(&few, seed, epoch, row);
    am_augment_rng(&many, seed, epoch, row);
    many.counter += 64; /* behind the few */
    double speed = 1 + even(&few, a->speed), shift = even(&few, a->shift);
    if (a->speed > 0) {
        change_speed(x, n_frames, n_channels, speed, scratch);
        memcpy(x, scratch, n_frames * n_channels * sizeof *x);
    }
    move(x, n_frames, n_channels, lround(shift * (double)n_frames));
    for (size_t i = 0; a->noise > 0 && i < n_frames * n_channels; i++)
        x[i] += (float)(a->noise * am_rng_normal(&many));
    for (unsigned i = 0; i < a->masks; i++)
        mask(a, &few, n_frames, n_channels, x);
}

/* ---- tokens ---- */

void am_augment_tokens(const struct am_augment_seq *a, uint64_t seed, uint64_t epoch, uint64_t row,
                       size_t length, float *ids)
{
    struct am_rng r;
    size_t n = 0, kept = 0;
    am_augment_rng(&r, seed, epoch, row);
    while (n < length && ids[n] != 0)
        n++;
    for (size_t i = 0; i < n; i++) {
        double drop = am_rng_unit(&r), unknown = am_rng_unit(&r);
        bool last_chance = i + 1 == n && kept == 0;
        if (drop < a->drop && !last_chance)
            continue;
        ids[kept++] = unknown < a->unknown ? (float)AM_TOKEN_UNKNOWN : ids[i];
    }
    for (size_t i = kept; i < n; i++)
        ids[i] = 0;
    for (size_t i = 0; i + 1 < kept; i++) {
        if (am_rng_unit(&r) >= a->swap)
            continue;
        float t = ids[i];
        ids[i] = ids[i + 1];
        ids[i + 1] = t;
        i++; /* it has moved already */
    }
}
