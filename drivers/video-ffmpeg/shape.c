/* What a video file is by its first bytes, and whether it is as long as it says: the library reads
 * a file that ends early, often without a word. Only whole structures are walked; every size is
 * compared with the bytes that remain. */
#include <string.h>

#include "driver_int.h"

static bool has(struct am_str b, size_t at, const char *magic, size_t n)
{
    return b.len >= at + n && memcmp(b.ptr + at, magic, n) == 0;
}

static uint64_t big(const char *p, unsigned n)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < n; i++)
        v = v << 8 | (unsigned char)p[i];
    return v;
}

static uint32_t little(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;
    return (uint32_t)u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 | (uint32_t)u[3] << 24;
}

/* ---- MP4, MOV: boxes of a size and a name ---- */

static bool is_mp4(struct am_str b)
{
    return has(b, 4, "ftyp", 4) || has(b, 4, "moov", 4) || has(b, 4, "mdat", 4) ||
           has(b, 4, "wide", 4) || has(b, 4, "free", 4) || has(b, 4, "skip", 4);
}

static bool mp4_whole(struct am_str b)
{
    bool index = false;
    for (size_t at = 0; b.len - at >= 8;) {
        uint64_t n = big(b.ptr + at, 4), left = b.len - at;
        index = index || has(b, at + 4, "moov", 4);
        if (n == 0)
            break; /* to the end */
        if (n == 1)
            n = left >= 16 ? big(b.ptr + at + 8, 8) : 0;
        if (n < 8 || n > left)
            return false;
        at += (size_t)n;
    }
    return index;
}

/* ---- AVI: one chunk of a size that streaming writers leave at 0 ---- */

static bool is_avi(struct am_str b)
{
    return has(b, 0, "RIFF", 4) && has(b, 8, "AVI ", 4);
}

static bool avi_whole(struct am_str b)
{
    uint32_t n = little(b.ptr + 4);
    return n == 0 || (uint64_t)n + 8 <= (uint64_t)b.len + 1;
}

/* ---- Matroska, WebM: EBML elements ---- */

static bool is_matroska(struct am_str b)
{
    return has(b, 0, "\x1A\x45\xDF\xA3", 4);
}

/* The number at b[at]; *at moves on. false: beyond the end. All ones, "not known", is 0. */
static bool ebml_size(struct am_str b, size_t *at, uint64_t *out)
{
    unsigned n = 1;
    if (*at >= b.len)
        return false;
    unsigned char first = (unsigned char)b.ptr[*at];
    while (n <= 8 && !(first & (0x80u >> (n - 1))))
        n++;
    if (n > 8 || b.len - *at < n)
        return false;
    uint64_t v = big(b.ptr + *at, n) & ((UINT64_C(1) << (7 * n)) - 1);
    *out = v == (UINT64_C(1) << (7 * n)) - 1 ? 0 : v;
    *at += n;
    return true;
}

static bool matroska_whole(struct am_str b)
{
    size_t at = 4;
    uint64_t n;
    if (!ebml_size(b, &at, &n) || n > b.len - at)
        return false;
    at += (size_t)n;
    if (!has(b, at, "\x18\x53\x80\x67", 4))
        return true; /* something before the segment */
    at += 4;
    return ebml_size(b, &at, &n) && n <= b.len - at;
}

/* ---- Ogg: the last page says so, and is whole ---- */

static bool is_ogg(struct am_str b)
{
    return has(b, 0, "OggS", 4);
}

static bool ogg_whole(struct am_str b)
{
    size_t at = b.len < 27 ? 0 : b.len - 27;
    while (at > 0 && !has(b, at, "OggS", 4))
        at--;
    if (b.len < at + 27 || !(b.ptr[at + 5] & 4))
        return false;
    size_t n = (unsigned char)b.ptr[at + 26], body = 0;
    if (b.len < at + 27 + n)
        return false;
    for (size_t i = 0; i < n; i++)
        body += (unsigned char)b.ptr[at + 27 + i];
    return b.len >= at + 27 + n + body;
}

/* ---- kinds whose length nobody tells ---- */

static bool is_mpeg(struct am_str b)
{
    return has(b, 0, "\0\0\x01\xBA", 4);
}

static bool is_mpeg_video(struct am_str b)
{
    return has(b, 0, "\0\0\x01\xB3", 4);
}

/* Packets of 188 bytes, or of 192 with a time before each (M2TS). */
static bool is_mpegts(struct am_str b)
{
    return (has(b, 0, "G", 1) && has(b, 188, "G", 1) && has(b, 376, "G", 1)) ||
           (has(b, 4, "G", 1) && has(b, 196, "G", 1) && has(b, 388, "G", 1));
}

static bool is_flv(struct am_str b)
{
    return has(b, 0, "FLV\x01", 4);
}

static bool is_asf(struct am_str b)
{
    return has(b, 0, "\x30\x26\xB2\x75\x8E\x66\xCF\x11", 8);
}

static const struct video_kind kinds[] = {
    {"mp4", "mov", true, is_mp4, mp4_whole},
    {"avi", "avi", false, is_avi, avi_whole},
    {"matroska", "matroska", true, is_matroska, matroska_whole},
    {"ogg", "ogg", false, is_ogg, ogg_whole},
    {"mpeg", "mpeg", false, is_mpeg, NULL},
    {"mpeg-video", "mpegvideo", false, is_mpeg_video, NULL},
    {"mpeg-ts", "mpegts", false, is_mpegts, NULL},
    {"flv", "flv", false, is_flv, NULL},
    {"wmv", "asf", false, is_asf, NULL},
};

/* Other kinds by name, for the message. */
static const char *other_kind(struct am_str b)
{
    if (has(b, 4, "ftypheic", 8) || has(b, 4, "ftypavif", 8) || has(b, 4, "ftypmif1", 8))
        return "HEIF";
    if (has(b, 0, "#EXTM3U", 7) || has(b, 0, "ffconcat", 8))
        return "playlist";
    if (has(b, 0, "<?xml", 5) || has(b, 0, "<MPD", 4))
        return "XML";
    if (has(b, 0, "GIF8", 4))
        return "GIF";
    if (has(b, 0, "RIFF", 4) && has(b, 8, "WAVE", 4))
        return "WAV";
    return NULL;
}

enum am_rc video_kind_of(struct am_str b, const struct video_kind **out, struct am_err *err)
{
    if (b.len == 0)
        return FAIL(err, AM_EINVAL, "the file is empty");
    const char *other = other_kind(b);
    const struct video_kind *k = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && !k && !other; i++)
        k = kinds[i].is(b) ? &kinds[i] : NULL;
    if (!k) {
        enum am_rc rc =
            other ? FAIL(err, AM_EINVAL, "a file of the kind %s is not read as a video", other)
                  : FAIL(err, AM_EINVAL, "this is not a video of a kind that is read");
        video_host->hint(err, "Send MP4, MOV, AVI, MKV, WebM, OGV, MPEG, TS, FLV or WMV.");
        return rc;
    }
    if (k->whole && !k->whole(b)) {
        enum am_rc rc = FAIL(err, AM_EINVAL, "the %s video is truncated", k->name);
        video_host->hint(err, "Take the file again from where it came.");
        return rc;
    }
    *out = k;
    return AM_OK;
}
