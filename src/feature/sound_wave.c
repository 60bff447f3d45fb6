/* Work on samples: resampling, band filter, noise gate, voice bounds. Plain loops in one order, no
 * state beyond the call; any thread. What they mean: sound.h. */
#include <float.h>
#include <math.h>
#include <pthread.h>

#include "feature/sound.h"

/* ---- resampling ---- */

#define ZEROS 32  /* zero crossings of the sinc on each side */
#define STEPS 512 /* table entries between two crossings; linear between: error below 2e-6 */
#define ENTRIES ((size_t)ZEROS * STEPS)
#define BETA 12.0 /* of the Kaiser window */
#define ROLLOFF 0.945

static pthread_once_t table_once = PTHREAD_ONCE_INIT;
static double table[ENTRIES + 1]; /* written once, then only read */

static double bessel_i0(double x)
{
    double sum = 1, term = 1;
    for (unsigned k = 1; k < 200 && term > 1e-18 * sum; k++) {
        term *= (x / (2 * k)) * (x / (2 * k));
        sum += term;
    }
    return sum;
}

static void make_table(void)
{
    for (size_t i = 0; i < ENTRIES; i++) {
        double t = (double)i / STEPS, u = t / ZEROS;
        double sinc = t == 0 ? 1 : sin(M_PI * t * ROLLOFF) / (M_PI * t * ROLLOFF);
        table[i] = ROLLOFF * sinc * bessel_i0(BETA * sqrt(1 - u * u)) / bessel_i0(BETA);
    }
}

uint64_t am_resample_length(uint64_t n, uint32_t from, uint32_t to)
{
    return (n * to + from - 1) / from;
}

enum am_rc am_resample(const double *x, uint64_t n, uint32_t from, uint32_t to, double *out,
                       struct am_err *err)
{
    if (from == 0 || to == 0)
        return am_fail(err, AM_EINVAL, "cannot resample from %u to %u samples a second", from, to);
    pthread_once(&table_once, make_table);
    uint64_t m = am_resample_length(n, from, to);
    /* going down, the sinc is stretched to the new half rate */
    double scale = to < from ? (double)to / from : 1, step = scale * STEPS;
    double reach = ZEROS / scale;
    for (uint64_t j = 0; j < m; j++) {
        uint64_t whole = j * from / to;
        double rest =
            (double)(j * from % to) / to; /* output time = whole + rest, in input samples */
        uint64_t back = (uint64_t)(reach - rest), ahead = (uint64_t)(reach + rest);
        uint64_t first = whole > back ? whole - back : 0;
        uint64_t last = whole + ahead < n - 1 ? whole + ahead : n - 1;
        double sum = 0;
        for (uint64_t i = first; i <= last; i++) {
            double d = i > whole ? (double)(i - whole) - rest : (double)(whole - i) + rest;
            double at = fabs(d) * step;
            size_t k = (size_t)at;
            if (k >= ENTRIES)
                continue;
            double f = at - (double)k;
            sum += x[i] * (table[k] + f * (table[k + 1] - table[k]));
        }
        out[j] = sum * scale;
    }
    return AM_OK;
}

/* ---- band filter ---- */

/* Butterworth of order 4 as two second-order sections by the bilinear transform, direct form II
 * transposed. */
static void section(double *x, uint64_t n, double k, double q, bool high)
{
    double norm = 1 / (1 + k / q + k * k);
    double b0 = high ? norm : k * k * norm, b1 = high ? -2 * b0 : 2 * b0;
    double a1 = 2 * (k * k - 1) * norm, a2 = (1 - k / q + k * k) * norm;
    double z1 = 0, z2 = 0;
    for (uint64_t i = 0; i < n; i++) {
        double in = x[i], y = b0 * in + z1;
        z1 = b1 * in - a1 * y + z2;
        z2 = b0 * in - a2 * y;
        if (fabs(z1) < 1e-200 && fabs(z2) < 1e-200)
            z1 = z2 = 0; /* no denormal tails */
        x[i] = y;
    }
}

void am_band_filter(double *x, uint64_t n, double rate, double low_hz, double high_hz)
{
    for (unsigned i = 0; i < 2; i++) {
        double q = 1 / (2 * cos(M_PI * (2 * i + 1) / 8));
        if (low_hz > 0)
            section(x, n, tan(M_PI * low_hz / rate), q, true);
        if (high_hz > 0 && high_hz < rate / 2)
            section(x, n, tan(M_PI * high_hz / rate), q, false);
    }
}

/* ---- energy ---- */

static double energy(const double *x, uint64_t n, uint64_t begin, uint64_t length)
{
    double sum = 0;
    uint64_t end = begin + length < n ? begin + length : n;
    for (uint64_t i = begin; i < end; i++)
        sum += x[i] * x[i];
    return end > begin ? sum / (double)(end - begin) : 0;
}

/* Gain of piece i: 1 where it is loud enough, else 0. */
static double gain(const double *x, uint64_t n, uint64_t piece, uint64_t i, double threshold)
{
    return energy(x, n, i * piece, piece) >= threshold ? 1 : 0;
}

void am_noise_gate(double *x, uint64_t n, uint32_t rate, double gate_db)
{
    uint64_t piece = rate / 100;
    uint64_t n_pieces = (n + piece - 1) / piece;
    double most = 0;
    for (uint64_t i = 0; i < n_pieces; i++)
        most = fmax(most, energy(x, n, i * piece, piece));
    double threshold = most * pow(10, -gate_db / 10);
    double here = n_pieces ? gain(x, n, piece, 0, threshold) : 0, before = here;
    for (uint64_t i = 0; i < n_pieces; i++) { /* gains run straight from centre to centre */
        double next = i + 1 < n_pieces ? gain(x, n, piece, i + 1, threshold) : here;
        for (uint64_t k = 0; k < piece && i * piece + k < n; k++) {
            double t = ((double)k + 0.5) / (double)piece - 0.5;
            double g = t < 0 ? here + t * (here - before) : here + t * (next - here);
            x[i * piece + k] *= g;
        }
        before = here;
        here = next;
    }
}

void am_voice_bounds(const double *x, uint64_t n, uint32_t rate, double trim_db, uint64_t *begin,
                     uint64_t *end)
{
    uint64_t frame = rate / 40, hop = rate / 100, first = UINT64_MAX, last = 0;
    double most = 0;
    for (uint64_t at = 0; at < n; at += hop)
        most = fmax(most, energy(x, n, at, frame));
    *begin = 0;
    *end = n;
    if (most == 0)
        return;
    double threshold = most * pow(10, -trim_db / 10);
    for (uint64_t at = 0; at < n; at += hop) {
        if (energy(x, n, at, frame) < threshold)
            continue;
        first = first == UINT64_MAX ? at : first;
        last = at + frame;
    }
    *begin = first;
    *end = last < n ? last : n;
}
