/* The driver sounds-sndfile: the sound port of tensor/media.h over libsndfile, from memory.
 *
 * Bytes come from anybody: only formats of a short list reach the library (by their first bytes),
 * sizes are checked before a sample is decoded, memory grows with what really comes out, and a file
 * that ends early is refused. Loops, text chunks and instruments are not read. Thread-safe: each
 * call opens its own handle. */
#include <math.h>
#include <sndfile.h>
#include <stdbool.h>
#include <string.h>

#include "base/limits.h"
#include "ogg.h"
#include "tensor/media.h"
#include "tensor/ports_abi.h"

static const struct am_host *host;

#define FAIL(err, rc, ...) host->fail((err), (rc), __FILE__, __LINE__, __VA_ARGS__)

/* ---- what the bytes are ---- */

struct kind {
    const char *name;
    int format; /* SF_FORMAT_TYPEMASK bits that the library may find */
    const char *magic;
    size_t offset; /* of the second magic; 0 = none */
    const char *second;
};
static const struct kind kinds[] = {
    {"wav", SF_FORMAT_WAV, "RIFF", 8, "WAVE"},    {"rf64", SF_FORMAT_RF64, "RF64", 8, "WAVE"},
    {"aiff", SF_FORMAT_AIFF, "FORM", 8, "AIF"},   {"au", SF_FORMAT_AU, ".snd", 0, NULL},
    {"caf", SF_FORMAT_CAF, "caff", 0, NULL},      {"flac", SF_FORMAT_FLAC, "fLaC", 0, NULL},
    {"ogg", SF_FORMAT_OGG, "OggS", 0, NULL},      {"w64", SF_FORMAT_W64, "riff", 0, NULL},
#ifdef SF_FORMAT_MPEG_LAYER_III
    {"mp3", SF_FORMAT_MPEG, "ID3", 0, NULL},      {"mp3", SF_FORMAT_MPEG, "\xFF\xFB", 0, NULL},
    {"mp3", SF_FORMAT_MPEG, "\xFF\xF3", 0, NULL}, {"mp3", SF_FORMAT_MPEG, "\xFF\xF2", 0, NULL},
    {"mp3", SF_FORMAT_MPEG, "\xFF\xFA", 0, NULL},
#endif
};

static bool has(struct am_str b, size_t at, const char *magic)
{
    size_t n = strlen(magic);
    return b.len >= at + n && memcmp(b.ptr + at, magic, n) == 0;
}

static const struct kind *kind_of(struct am_str b)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const struct kind *k = &kinds[i];
        if (has(b, 0, k->magic) && (k->offset == 0 || has(b, k->offset, k->second)))
            return k;
    }
    return NULL;
}

static uint32_t u32(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;
    return (uint32_t)u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 | (uint32_t)u[3] << 24;
}

/* The library reads what is there of a WAV file and says nothing; the data chunk says how much
 * there should be. Sizes of 0 and near 2^32 are what streaming writers leave. */
static bool wav_truncated(struct am_str b)
{
    for (size_t at = 12; at + 8 <= b.len;) {
        uint32_t n = u32(b.ptr + at + 4);
        size_t left = b.len - at - 8;
        if (has(b, at, "data"))
            return n != 0 && n < UINT32_C(0x7FFFFF00) && n > left;
        if (n > left)
            return true;
        at += 8 + (size_t)n + (n & 1);
    }
    return true; /* no data chunk */
}

static uint64_t big_u32(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;
    return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | (uint32_t)u[3];
}

/* The whole form's size stands behind its name. */
static bool aiff_truncated(struct am_str b)
{
    return b.len < 12 || big_u32(b.ptr + 4) + 8 > b.len;
}

/* Where the samples begin and how many bytes they take; all ones is what streaming writers leave.
 */
static bool au_truncated(struct am_str b)
{
    if (b.len < 24)
        return true;
    uint64_t size = big_u32(b.ptr + 8);
    return size != UINT32_MAX && big_u32(b.ptr + 4) + size > b.len;
}

/* The last page of an Ogg stream says so, and is whole. */
static bool ogg_truncated(struct am_str b)
{
    size_t at = b.len < 27 ? 0 : b.len - 27;
    while (at > 0 && !has(b, at, "OggS"))
        at--;
    if (b.len < at + 27 || !(b.ptr[at + 5] & 4))
        return true;
    size_t n_segments = (unsigned char)b.ptr[at + 26], body = 0;
    if (b.len < at + 27 + n_segments)
        return true;
    for (size_t i = 0; i < n_segments; i++)
        body += (unsigned char)b.ptr[at + 27 + i];
    return b.len < at + 27 + n_segments + body;
}

static enum am_rc fail_truncated(struct am_err *err)
{
    enum am_rc rc = FAIL(err, AM_EINVAL, "the sound is truncated");
    host->hint(err, "Take the file again from where it came.");
    return rc;
}

/* ---- the library, over memory ---- */

struct memory {
    const char *ptr;
    sf_count_t len, at;
};

static sf_count_t memory_length(void *user)
{
    return ((struct memory *)user)->len;
}

static sf_count_t memory_seek(sf_count_t offset, int whence, void *user)
{
    struct memory *m = user;
    sf_count_t base = whence == SEEK_CUR ? m->at : whence == SEEK_END ? m->len : 0, to;
    if (__builtin_add_overflow(base, offset, &to) || to < 0 || to > m->len)
        return -1;
    m->at = to;
    return to;
}

static sf_count_t memory_read(void *out, sf_count_t n, void *user)
{
    struct memory *m = user;
    if (n > m->len - m->at)
        n = m->len - m->at;
    if (n <= 0)
        return 0;
    memcpy(out, m->ptr + m->at, (size_t)n);
    m->at += n;
    return n;
}

static sf_count_t memory_write(const void *p, sf_count_t n, void *user)
{
    (void)p;
    (void)n;
    (void)user;
    return 0;
}

static sf_count_t memory_tell(void *user)
{
    return ((struct memory *)user)->at;
}

static enum am_rc check_info(const SF_INFO *f, const struct kind *k, struct am_err *err)
{
    int type = f->format & SF_FORMAT_TYPEMASK;
    if (type != k->format && !(k->format == SF_FORMAT_WAV && type == SF_FORMAT_WAVEX))
        return FAIL(err, AM_EINVAL, "the file begins as %s, but is of another kind", k->name);
    if (f->frames <= 0)
        return FAIL(err, AM_EINVAL, "the sound is empty");
    if (f->channels < 1 || (unsigned)f->channels > AM_LIMIT_SOUND_CHANNELS)
        return FAIL(err, AM_ELIMIT, "the sound has %d channels, 1 to %u are read", f->channels,
                    AM_LIMIT_SOUND_CHANNELS);
    if (f->samplerate < 1 || (unsigned)f->samplerate > AM_LIMIT_SOUND_RATE)
        return FAIL(err, AM_ELIMIT, "the sound has %d samples a second, at most %u are read",
                    f->samplerate, AM_LIMIT_SOUND_RATE);
    if ((uint64_t)f->frames > AM_LIMIT_SOUND_SAMPLES / (unsigned)f->channels)
        return FAIL(err, AM_ELIMIT, "the sound has %lld samples, at most %zu are allowed",
                    (long long)f->frames, AM_LIMIT_SOUND_SAMPLES / (unsigned)f->channels);
    return AM_OK;
}

static enum am_rc check_bytes(struct am_str bytes, const struct kind **out, struct am_err *err)
{
    if (bytes.len == 0)
        return FAIL(err, AM_EINVAL, "the file is empty");
    const struct kind *k = kind_of(bytes);
    if (k == NULL) {
        enum am_rc rc = FAIL(err, AM_EINVAL, "not a sound of a kind that is read");
        host->hint(err, "Give WAV, FLAC, OGG, MP3, AIFF, AU, CAF, W64 or RF64.");
        return rc;
    }
    if ((k->format == SF_FORMAT_WAV && wav_truncated(bytes)) ||
        (k->format == SF_FORMAT_AIFF && aiff_truncated(bytes)) ||
        (k->format == SF_FORMAT_AU && au_truncated(bytes)) ||
        (k->format == SF_FORMAT_OGG && ogg_truncated(bytes)))
        return fail_truncated(err);
    if (k->format == SF_FORMAT_OGG && !ogg_headers_good(bytes))
        return FAIL(err, AM_EINVAL, "the sound is damaged: its headers are not valid");
    *out = k;
    return AM_OK;
}

/* *out is open on AM_OK only; m must outlive it. */
static enum am_rc open_sound(struct am_str bytes, struct memory *m, SNDFILE **out, SF_INFO *info,
                             const struct kind **k, struct am_err *err)
{
    static SF_VIRTUAL_IO io = {memory_length, memory_seek, memory_read, memory_write, memory_tell};
    AM_TRY(check_bytes(bytes, k, err));
    *m = (struct memory){bytes.ptr, (sf_count_t)bytes.len, 0};
    *info = (SF_INFO){0};
    SNDFILE *file = sf_open_virtual(&io, SFM_READ, info, m);
    if (file == NULL)
        return FAIL(err, AM_EINVAL, "not a readable %s file: %s", (*k)->name, sf_strerror(NULL));
    enum am_rc rc = check_info(info, *k, err);
    if (rc != AM_OK) {
        sf_close(file);
        return rc;
    }
    *out = file;
    return AM_OK;
}

/* ---- the port ---- */

static enum am_rc start(const struct am_host *h, struct am_err *err)
{
    (void)err;
    host = h;
    return AM_OK;
}

static enum am_rc probe(struct am_str bytes, struct am_sound_info *out, struct am_err *err)
{
    struct memory m;
    SNDFILE *file;
    SF_INFO info;
    const struct kind *k;
    *out = (struct am_sound_info){0};
    AM_TRY(open_sound(bytes, &m, &file, &info, &k, err));
    sf_close(file);
    out->sample_rate = (uint32_t)info.samplerate;
    out->channels = (uint32_t)info.channels;
    out->n_frames = (uint64_t)info.frames;
    memcpy(out->format, k->name, strlen(k->name) + 1);
    return AM_OK;
}

/* Room for twice the frames, at most `most`. */
static enum am_rc grow(float **samples, size_t *room, size_t most, size_t channels,
                       struct am_err *err)
{
    size_t next = *room == 0 ? 1 << 16 : *room * 2;
    if (next > most)
        next = most;
    float *p = host->realloc_array(*samples, next * channels, sizeof *p);
    if (p == NULL)
        return host->fail_nomem(err, next * channels * sizeof *p, __FILE__, __LINE__);
    *samples = p;
    *room = next;
    return AM_OK;
}

static enum am_rc read_all(SNDFILE *file, const SF_INFO *info, struct am_sound *out,
                           struct am_err *err)
{
    size_t most = (size_t)info->frames, channels = (size_t)info->channels, room = 0, n = 0;
    while (n < most) {
        if (n == room)
            AM_TRY(grow(&out->samples, &room, most, channels, err));
        sf_count_t got = sf_readf_float(file, out->samples + n * channels, (sf_count_t)(room - n));
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    if (sf_error(file) != SF_ERR_NO_ERROR)
        return FAIL(err, AM_EINVAL, "the sound is damaged: %s", sf_strerror(file));
    if (n < most)
        return fail_truncated(err);
    for (size_t i = 0; i < n * channels; i++) {
        if (!isfinite(out->samples[i]))
            return FAIL(err, AM_EINVAL, "sample %zu of the sound is not a finite number", i);
    }
    out->n_frames = n;
    return AM_OK;
}

static enum am_rc decode(struct am_str bytes, struct am_sound *out, struct am_err *err)
{
    struct memory m;
    SNDFILE *file;
    SF_INFO info;
    const struct kind *k;
    *out = (struct am_sound){0};
    AM_TRY(open_sound(bytes, &m, &file, &info, &k, err));
    out->sample_rate = (uint32_t)info.samplerate;
    out->channels = (uint32_t)info.channels;
    enum am_rc rc = read_all(file, &info, out, err);
    sf_close(file);
    if (rc != AM_OK) {
        host->free(out->samples);
        *out = (struct am_sound){0};
    }
    return rc;
}

static const char *version(void)
{
    return sf_version_string();
}

static const struct am_sounds_ops ops = {.abi = AM_PORTS_ABI,
                                         .size = sizeof ops,
                                         .name = "sounds-sndfile",
                                         .start = start,
                                         .probe = probe,
                                         .decode = decode,
                                         .version = version};

extern const struct am_sounds_ops *const am_module;
__attribute__((visibility("default"))) const struct am_sounds_ops *const am_module = &ops;
