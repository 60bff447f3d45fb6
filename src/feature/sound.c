/* From the bytes of one sound to its features: the plan (tables made once), the way through it, and
 * the encodings.
 *
 * Work memory comes from am_alloc per sound and is freed before returning; the plan's tables belong
 * to its arena. Sums run in one fixed order. Filters and resampling: sound_wave.c. Any thread. */
#include "feature/sound.h"

#include <float.h>
#include <math.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "feature/fft.h"
#include "tensor/media.h"

#define POWER_FLOOR 1e-10
#define TOP_DB 80

struct band { /* one mel band: weights of the bins [first, first + n) */
    uint32_t first, n;
    const double *weights;
};

struct am_sound_plan {
    struct am_sound_config config;
    const struct am_fft *fft;
    const double *window;     /* [n_fft] */
    const struct band *bands; /* [n_mels] */
    const double *cosines;    /* [n_mfcc, n_mels] */
};

static const char *const encode_names[AM_SOUND_N_ENCODES] = {
    [AM_SOUND_LOGMEL] = "logmel", [AM_SOUND_MFCC] = "mfcc", [AM_SOUND_WAVEFORM] = "waveform"};

const char *am_sound_encode_name(enum am_sound_encode e)
{
    return encode_names[e];
}

bool am_sound_encode_parse(struct am_str s, enum am_sound_encode *out)
{
    for (unsigned i = 0; i < AM_SOUND_N_ENCODES; i++) {
        if (am_str_is(s, encode_names[i])) {
            *out = (enum am_sound_encode)i;
            return true;
        }
    }
    return false;
}

/* ---- the plan ---- */

static enum am_rc check_range(const char *name, double v, double min, double max,
                              struct am_err *err)
{
    if (v >= min && v <= max) /* false for NaN */
        return AM_OK;
    return am_fail(err, AM_EINVAL, "%s is %g, from %g to %g is allowed", name, v, min, max);
}

enum am_rc am_sound_config_check(const struct am_sound_config *c, struct am_err *err)
{
    if ((unsigned)c->encode >= AM_SOUND_N_ENCODES)
        return am_fail(err, AM_EINVAL, "encode: not one of logmel, mfcc, waveform");
    double half = c->sample_rate / 2.0;
    AM_TRY(check_range("sample_rate", c->sample_rate, 1000, 192000, err));
    AM_TRY(check_range("n_samples", (double)c->n_samples, 0, (double)AM_LIMIT_SOUND_SAMPLES, err));
    AM_TRY(check_range("low_hz", c->low_hz, 0, half * 0.99, err));
    AM_TRY(check_range("high_hz", c->high_hz, 0, half, err));
    AM_TRY(check_range("gate_db", c->gate_db, 0, 200, err));
    AM_TRY(check_range("trim_db", c->trim_db, 0, 200, err));
    AM_TRY(check_range("range_db", c->range_db, 0, 200, err));
    if (c->high_hz > 0 && c->high_hz <= c->low_hz)
        return am_fail(err, AM_EINVAL, "high_hz is %g, not above low_hz, %g", c->high_hz,
                       c->low_hz);
    if (c->encode == AM_SOUND_WAVEFORM)
        return AM_OK;
    AM_TRY(check_range("n_mels", c->n_mels, 1, 512, err));
    AM_TRY(check_range("n_fft", c->n_fft, 16, 16384, err));
    AM_TRY(check_range("hop", c->hop, 1, c->n_fft, err));
    if (c->encode == AM_SOUND_MFCC)
        AM_TRY(check_range("n_mfcc", c->n_mfcc, 1, c->n_mels, err));
    return AM_OK;
}

/* Slaney's scale (Auditory Toolbox, 1998): linear to 1000 Hz, then logarithmic. */
#define MEL_STEP_HZ (200.0 / 3)
#define MEL_BREAK_HZ 1000.0
static double mel_log_step(void)
{
    return log(6.4) / 27;
}

static double hz_to_mel(double hz)
{
    if (hz < MEL_BREAK_HZ)
        return hz / MEL_STEP_HZ;
    return MEL_BREAK_HZ / MEL_STEP_HZ + log(hz / MEL_BREAK_HZ) / mel_log_step();
}

static double mel_to_hz(double mel)
{
    double at = MEL_BREAK_HZ / MEL_STEP_HZ;
    return mel < at ? mel * MEL_STEP_HZ : MEL_BREAK_HZ * exp(mel_log_step() * (mel - at));
}

/* Triangles between neighbouring edges, of unit area in Hz. */
static enum am_rc bands_new(struct am_sound_plan *p, struct am_arena *a, struct am_err *err)
{
    const struct am_sound_config *c = &p->config;
    size_t n_bins = c->n_fft / 2 + 1;
    struct band *bands = am_arena_array(a, c->n_mels, sizeof *bands);
    double *weights = am_arena_array(a, (size_t)c->n_mels * n_bins, sizeof *weights);
    AM_TRY(am_arena_check(a, err));
    double low = hz_to_mel(c->low_hz), high = hz_to_mel(c->high_hz);
    for (size_t m = 0; m < c->n_mels; m++) {
        double hz[3], *w = weights + m * n_bins;
        for (size_t i = 0; i < 3; i++)
            hz[i] = mel_to_hz(low + (high - low) * (double)(m + i) / (double)(c->n_mels + 1));
        struct band *b = &bands[m];
        for (size_t k = 0; k < n_bins; k++) {
            double f = (double)k * c->sample_rate / c->n_fft;
            double rise = (f - hz[0]) / (hz[1] - hz[0]), fall = (hz[2] - f) / (hz[2] - hz[1]);
            double v = fmin(rise, fall);
            if (!(v > 0))
                continue;
            if (b->n == 0)
                b->first = (uint32_t)k;
            b->n = (uint32_t)k + 1 - b->first;
            w[k] = v * 2 / (hz[2] - hz[0]);
        }
        b->weights = w + b->first;
    }
    p->bands = bands;
    return AM_OK;
}

static enum am_rc spectrum_new(struct am_sound_plan *p, struct am_arena *a, struct am_err *err)
{
    const struct am_sound_config *c = &p->config;
    double *window = am_arena_array(a, c->n_fft, sizeof *window);
    AM_TRY(am_arena_check(a, err));
    for (size_t i = 0; i < c->n_fft; i++)
        window[i] = 0.5 - 0.5 * cos(2 * M_PI * (double)i / c->n_fft);
    p->window = window;
    AM_TRY(am_fft_new(c->n_fft, a, &p->fft, err));
    return bands_new(p, a, err);
}

static enum am_rc cosines_new(struct am_sound_plan *p, struct am_arena *a, struct am_err *err)
{
    size_t n = p->config.n_mels;
    double *t = am_arena_array(a, p->config.n_mfcc * n, sizeof *t);
    AM_TRY(am_arena_check(a, err));
    for (size_t k = 0; k < p->config.n_mfcc; k++) {
        for (size_t m = 0; m < n; m++)
            t[k * n + m] = cos(M_PI * (double)k * (2 * (double)m + 1) / (2 * (double)n)) *
                           sqrt((k == 0 ? 1.0 : 2.0) / (double)n);
    }
    p->cosines = t;
    return AM_OK;
}

enum am_rc am_sound_plan_new(const struct am_sound_config *c, struct am_arena *a,
                             const struct am_sound_plan **out, struct am_err *err)
{
    AM_TRY(am_sound_config_check(c, err));
    struct am_sound_plan *p = am_arena_zalloc(a, sizeof *p);
    if (p == NULL)
        return am_arena_check(a, err);
    p->config = *c;
    if (c->encode != AM_SOUND_WAVEFORM) {
        if (p->config.high_hz == 0)
            p->config.high_hz = c->sample_rate / 2.0;
        AM_TRY(spectrum_new(p, a, err));
        p->config.high_hz = c->high_hz;
    }
    if (c->encode == AM_SOUND_MFCC)
        AM_TRY(cosines_new(p, a, err));
    *out = p;
    return AM_OK;
}

static size_t channels_of(const struct am_sound_config *c)
{
    return c->encode == AM_SOUND_WAVEFORM ? 1 : c->encode == AM_SOUND_MFCC ? c->n_mfcc : c->n_mels;
}

static size_t frames_of(const struct am_sound_config *c, uint64_t n)
{
    return c->encode == AM_SOUND_WAVEFORM ? (size_t)n : 1 + (size_t)(n / c->hop);
}

size_t am_sound_width(const struct am_sound_config *c)
{
    return frames_of(c, c->n_samples) * channels_of(c);
}

size_t am_sound_channels(const struct am_sound_plan *p)
{
    return channels_of(&p->config);
}

size_t am_sound_frames(const struct am_sound_plan *p, uint64_t n_samples)
{
    return frames_of(&p->config, n_samples);
}

/* ---- the way ---- */

void am_wave_clear(struct am_wave *w)
{
    am_free(w->samples);
    *w = (struct am_wave){NULL, 0};
}

/* The mean of the channels of at most n frames, at the file's rate. */
static enum am_rc mix(const struct am_sound *s, uint64_t n, double **out, struct am_err *err)
{
    double *x = am_alloc_array((size_t)n, sizeof *x);
    if (x == NULL)
        return am_fail_nomem(err, n * sizeof *x);
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (size_t k = 0; k < s->channels; k++)
            sum += (double)s->samples[i * s->channels + k];
        x[i] = sum / s->channels;
    }
    *out = x;
    return AM_OK;
}

/* x (owned by the caller's *x, which it replaces) to the plan's rate. */
static enum am_rc to_rate(const struct am_sound_plan *p, uint32_t rate, double **x, uint64_t *n,
                          struct am_err *err)
{
    if (rate == p->config.sample_rate)
        return AM_OK;
    uint64_t m = am_resample_length(*n, rate, p->config.sample_rate);
    if (m > AM_LIMIT_SOUND_SAMPLES)
        return am_fail(err, AM_ELIMIT, "the sound has %llu samples at %u a second, at most %zu",
                       (unsigned long long)m, p->config.sample_rate, AM_LIMIT_SOUND_SAMPLES);
    double *y = am_alloc_array((size_t)m, sizeof *y);
    if (y == NULL)
        return am_fail_nomem(err, m * sizeof *y);
    enum am_rc rc = am_resample(*x, *n, rate, p->config.sample_rate, y, err);
    if (rc != AM_OK) {
        am_free(y);
        return rc;
    }
    am_free(*x);
    *x = y;
    *n = m;
    return AM_OK;
}

static void clean(const struct am_sound_config *c, double *x, uint64_t *n)
{
    am_band_filter(x, *n, c->sample_rate, c->low_hz, c->high_hz);
    if (c->gate_db > 0)
        am_noise_gate(x, *n, c->sample_rate, c->gate_db);
    if (c->trim_db > 0) {
        uint64_t begin, end;
        am_voice_bounds(x, *n, c->sample_rate, c->trim_db, &begin, &end);
        memmove(x, x + begin, (size_t)(end - begin) * sizeof *x);
        *n = end - begin;
    }
}

enum am_rc am_sound_load(const struct am_sound_plan *p, struct am_str bytes, uint64_t max_samples,
                         struct am_wave *out, struct am_err *err)
{
    struct am_sound s;
    double *x = NULL;
    *out = (struct am_wave){NULL, 0};
    AM_TRY(am_sound_decode(bytes, &s, err));
    uint64_t n = s.n_frames, rate = s.sample_rate;
    if (max_samples > 0 && max_samples < AM_LIMIT_SOUND_SAMPLES) {
        uint64_t most = max_samples * rate / p->config.sample_rate + 1;
        n = n < most ? n : most;
    }
    enum am_rc rc = mix(&s, n, &x, err);
    am_sound_clear(&s);
    if (rc == AM_OK)
        rc = to_rate(p, (uint32_t)rate, &x, &n, err);
    if (rc != AM_OK) {
        am_free(x);
        return rc;
    }
    clean(&p->config, x, &n);
    *out = (struct am_wave){x, n};
    return AM_OK;
}

/* ---- encodings ---- */

static float to_float(double v)
{
    return (float)fmin(fmax(v, -(double)FLT_MAX), (double)FLT_MAX);
}

struct work { /* of one sound; parts of one allocation */
    double *frame, *re, *im, *scratch, *mel;
};

/* One frame's mel powers in dB: mel [n_mels]; the centre of the frame is at sample `centre`. */
static void frame_db(const struct am_sound_plan *p, const double *x, uint64_t n, uint64_t centre,
                     const struct work *w, double *mel)
{
    const struct am_sound_config *c = &p->config;
    size_t half = c->n_fft / 2, n_bins = half + 1;
    for (size_t i = 0; i < c->n_fft; i++) {
        uint64_t at = centre + i; /* less half */
        w->frame[i] = at >= half && at - half < n ? x[at - half] * p->window[i] : 0;
    }
    am_fft_real(p->fft, w->frame, w->re, w->im, w->scratch);
    for (size_t k = 0; k < n_bins; k++)
        w->re[k] = w->re[k] * w->re[k] + w->im[k] * w->im[k];
    for (size_t m = 0; m < c->n_mels; m++) {
        const struct band *b = &p->bands[m];
        double sum = 0;
        for (size_t k = 0; k < b->n; k++)
            sum += b->weights[k] * w->re[b->first + k];
        mel[m] = 10 * log10(fmax(sum, POWER_FLOOR));
    }
}

static void mfcc_row(const struct am_sound_plan *p, const double *mel, float *out)
{
    size_t n = p->config.n_mels;
    for (size_t k = 0; k < p->config.n_mfcc; k++) {
        double sum = 0;
        for (size_t m = 0; m < n; m++)
            sum += p->cosines[k * n + m] * mel[m];
        out[k] = to_float(sum);
    }
}

static void encode_frames(const struct am_sound_plan *p, const double *x, uint64_t n,
                          const struct work *w, float *out)
{
    const struct am_sound_config *c = &p->config;
    size_t n_frames = am_sound_frames(p, n), n_mels = c->n_mels, width = am_sound_channels(p);
    double most = -DBL_MAX, range = c->range_db > 0 ? c->range_db : TOP_DB;
    for (size_t t = 0; t < n_frames; t++) {
        double *mel = w->mel + t * n_mels;
        frame_db(p, x, n, (uint64_t)t * c->hop, w, mel);
        for (size_t m = 0; m < n_mels; m++)
            most = fmax(most, mel[m]);
    }
    for (size_t t = 0; t < n_frames; t++) {
        double *mel = w->mel + t * n_mels;
        for (size_t m = 0; m < n_mels; m++)
            mel[m] = fmax(mel[m], most - range);
        if (c->encode == AM_SOUND_MFCC) {
            mfcc_row(p, mel, out + t * width);
        } else {
            for (size_t m = 0; m < n_mels; m++)
                out[t * width + m] = to_float(mel[m]);
        }
    }
}

enum am_rc am_sound_features(const struct am_sound_plan *p, const double *samples, uint64_t n,
                             float *out, struct am_err *err)
{
    const struct am_sound_config *c = &p->config;
    if (c->encode == AM_SOUND_WAVEFORM) {
        for (size_t i = 0; i < n; i++)
            out[i] = to_float(samples[i]);
        return AM_OK;
    }
    size_t n_bins = c->n_fft / 2 + 1, scratch = am_fft_scratch(p->fft);
    size_t fixed = c->n_fft + 2 * n_bins + scratch, mels;
    if (!am_mul_size(&mels, am_sound_frames(p, n), c->n_mels))
        return am_fail_nomem(err, SIZE_MAX);
    double *memory = am_alloc_array(fixed + mels, sizeof *memory);
    if (memory == NULL)
        return am_fail_nomem(err, (fixed + mels) * sizeof *memory);
    struct work w = {.frame = memory};
    w.re = w.frame + c->n_fft;
    w.im = w.re + n_bins;
    w.scratch = w.im + n_bins;
    w.mel = w.scratch + scratch;
    encode_frames(p, samples, n, &w, out);
    am_free(memory);
    return AM_OK;
}

/* x: [n_frames, channels], the first n_own from the sound itself. */
static void normalise_own(float *x, size_t n_frames, size_t n_own, size_t channels)
{
    for (size_t c = 0; c < channels; c++) {
        double sum = 0, square = 0;
        for (size_t t = 0; t < n_own; t++)
            sum += (double)x[t * channels + c];
        double mean = sum / (double)n_own;
        for (size_t t = 0; t < n_own; t++) {
            double d = (double)x[t * channels + c] - mean;
            square += d * d;
        }
        double mul = 1 / sqrt(square / (double)n_own + 1e-10);
        for (size_t t = 0; t < n_frames; t++) {
            double d = (double)x[t * channels + c] - mean;
            x[t * channels + c] = t < n_own ? to_float(d * mul) : 0;
        }
    }
}

enum am_rc am_sound_encode(const struct am_sound_plan *p, struct am_str bytes, float *out,
                           struct am_err *err)
{
    uint64_t n = p->config.n_samples;
    struct am_wave w;
    /* silence before the sound may be cut off: then more than n samples are looked at */
    AM_TRY(am_sound_load(p, bytes, p->config.trim_db > 0 ? 0 : n, &w, err));
    enum am_rc rc = AM_OK;
    size_t n_own = am_sound_frames(p, w.n < n ? w.n : n);
    if (w.n < n) {
        double *longer = am_realloc_array(w.samples, (size_t)n, sizeof *longer);
        if (longer == NULL) {
            rc = am_fail_nomem(err, n * sizeof *longer);
        } else {
            memset(longer + w.n, 0, (size_t)(n - w.n) * sizeof *longer);
            w.samples = longer;
        }
    }
    if (rc == AM_OK)
        rc = am_sound_features(p, w.samples, n, out, err);
    if (rc == AM_OK && p->config.own)
        normalise_own(out, am_sound_frames(p, n), n_own, am_sound_channels(p));
    am_wave_clear(&w);
    return rc;
}
