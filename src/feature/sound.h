/* Sounds as features: one sound file to [T, C] floats, in training and at prediction alike.
 *
 *   decode -> mean of channels -> resample (windowed sinc) -> band filter (Butterworth, order 4)
 *   -> noise gate -> trim of silence at both ends -> crop or pad to n_samples -> encode
 *
 * Encodings follow librosa 0.10's defaults, so that known settings carry over:
 *   waveform  [n_samples, 1]
 *   logmel    [1 + n_samples / hop, n_mels]: periodic Hann window, frames centred with zeros beyond
 *             the ends, power spectrum, Slaney mel bands of unit area, 10 log10(max(1e-10, p)), not
 *             below the sound's own maximum less 80
 *   mfcc      the first n_mfcc of the orthonormal DCT-II of the logmel rows
 * Then y = (x - shift[c]) * mul[c] by channel, fitted on the training rows or on the sound itself.
 *
 * A plan is immutable, any thread; encoding allocates its work memory (a decoded file has no bound
 * that could be reserved). A row's bits depend on nothing but its bytes. */
#ifndef AM_FEATURE_SOUND_H
#define AM_FEATURE_SOUND_H

#include "base/arena.h"
#include "base/tree.h"

enum am_sound_encode { AM_SOUND_LOGMEL, AM_SOUND_MFCC, AM_SOUND_WAVEFORM, AM_SOUND_N_ENCODES };
/* "logmel" "mfcc" "waveform" */
const char *am_sound_encode_name(enum am_sound_encode e);
bool am_sound_encode_parse(struct am_str s, enum am_sound_encode *out);

struct am_sound_config {
    enum am_sound_encode encode;
    uint32_t sample_rate; /* 1000..192000 */
    uint64_t n_samples;   /* of the fixed length, at sample_rate; 0 = only am_sound_load is used */
    uint32_t n_mels;      /* 1..512 */
    uint32_t n_fft;       /* 16..16384 */
    uint32_t hop;         /* 1..n_fft */
    uint32_t n_mfcc;      /* 1..n_mels */
    double low_hz;        /* 0 = no lower edge; also the lowest mel edge */
    double high_hz;       /* 0 = half the rate */
    double gate_db;       /* 0 = off; else 10 ms pieces this far below the loudest become silence */
    bool own;        /* am_sound_encode: each channel to mean 0 and deviation 1 over the sound's
                        own frames, padding to 0: free of level and microphone */
    double range_db; /* of logmel and mfcc below the loudest; 0 = 80, as librosa has it */
    double trim_db;  /* 0 = off; else quieter ends are cut (25 ms frames every 10 ms) */
};
/* AM_EINVAL naming the setting. */
enum am_rc am_sound_config_check(const struct am_sound_config *c, struct am_err *err) AM_MUST_CHECK;

/* T * C of a checked one. */
size_t am_sound_width(const struct am_sound_config *c);

struct am_sound_plan; /* immutable, in its arena */
enum am_rc am_sound_plan_new(const struct am_sound_config *c, struct am_arena *a,
                             const struct am_sound_plan **out, struct am_err *err) AM_MUST_CHECK;
size_t am_sound_channels(const struct am_sound_plan *p);
size_t am_sound_frames(const struct am_sound_plan *p, uint64_t n_samples); /* T of that many */

/* A sound at the plan's rate, one channel. */
struct am_wave {
    double *samples; /* owned (am_alloc), [n] */
    uint64_t n;
};
void am_wave_clear(struct am_wave *w);
/* Bytes of a cell (tensor/media.h) decoded and brought to the plan's rate, filtered, gated,
 * trimmed; whole, but for what lies beyond max_samples (0 = all; applied to the input before
 * resampling, rounded up). On failure empty. */
enum am_rc am_sound_load(const struct am_sound_plan *p, struct am_str bytes, uint64_t max_samples,
                         struct am_wave *out, struct am_err *err) AM_MUST_CHECK;
/* out: [am_sound_frames(p, n), channels], not normalised; samples: [n]. */
enum am_rc am_sound_features(const struct am_sound_plan *p, const double *samples, uint64_t n,
                             float *out, struct am_err *err) AM_MUST_CHECK;
/* The whole way to the fixed length: out: [am_sound_frames(p, n_samples), channels]. */
enum am_rc am_sound_encode(const struct am_sound_plan *p, struct am_str bytes, float *out,
                           struct am_err *err) AM_MUST_CHECK;

/* ---- the parts, for tests and tools ---- */

/* Windowed sinc (Kaiser, beta 12, 32 zero crossings, pass band 0.945 of the lower half rate; Smith
 * 2002). Samples of the output: ceil(n * to / from). */
uint64_t am_resample_length(uint64_t n, uint32_t from, uint32_t to);
enum am_rc am_resample(const double *x, uint64_t n, uint32_t from, uint32_t to, double *out,
                       struct am_err *err) AM_MUST_CHECK;
/* In place; Butterworth of order 4 each side, 0 = none. */
void am_band_filter(double *x, uint64_t n, double rate, double low_hz, double high_hz);
void am_noise_gate(double *x, uint64_t n, uint32_t rate, double gate_db);
/* Where the sound begins and ends; all of it when it is silent throughout. */
void am_voice_bounds(const double *x, uint64_t n, uint32_t rate, double trim_db, uint64_t *begin,
                     uint64_t *end);

#endif
