/* The driver images-vips: the picture port of tensor/media.h over libvips, from memory.
 *
 * Bytes come from anybody: the first bytes choose one loader out of a short list (all others are
 * blocked in the library too), the header's size is checked before a pixel is decoded, and a file
 * that is damaged or ends early is refused. BMP is read here (bmp.h). libvips only decodes; depth,
 * CMYK, alpha and orientation are done by our own loops (pixels.h), so they do not change with its
 * version. Colour profiles are not applied, as in the usual training tools. One thread of the
 * library a call, no cache. Thread-safe. */
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <vips/vips.h>

#include "base/limits.h"
#include "bmp.h"
#include "pixels.h"
#include "tensor/media.h"
#include "tensor/ports_abi.h"

static const struct am_host *host;

#define FAIL(err, rc, ...) host->fail((err), (rc), __FILE__, __LINE__, __VA_ARGS__)

typedef int (*loader)(void *bytes, size_t n, VipsImage **out, ...);
struct kind {
    const char *name;
    loader load;
    const char *magic;
    size_t n_magic, at; /* at: where the second magic stands; 0 = none */
    const char *second;
};
static const struct kind kinds[] = {
    {"png", vips_pngload_buffer, "\x89PNG\r\n\x1A\n", 8, 0, NULL},
    {"jpeg", vips_jpegload_buffer, "\xFF\xD8\xFF", 3, 0, NULL},
    {"webp", vips_webpload_buffer, "RIFF", 4, 8, "WEBP"},
    {"gif", vips_gifload_buffer, "GIF87a", 6, 0, NULL},
    {"gif", vips_gifload_buffer, "GIF89a", 6, 0, NULL},
    {"tiff", vips_tiffload_buffer, "II*\0", 4, 0, NULL},
    {"tiff", vips_tiffload_buffer, "MM\0*", 4, 0, NULL},
};

static bool has(struct am_str b, size_t at, const char *magic, size_t n)
{
    return b.len >= at + n && memcmp(b.ptr + at, magic, n) == 0;
}

static const struct kind *kind_of(struct am_str b)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const struct kind *k = &kinds[i];
        if (has(b, 0, k->magic, k->n_magic) && (k->at == 0 || has(b, k->at, k->second, 4)))
            return k;
    }
    return NULL;
}

/* Other kinds by name, for the message. */
static const char *other_kind(struct am_str b)
{
    if (has(b, 0, "%PDF", 4))
        return "PDF";
    if (has(b, 0, "<svg", 4) || has(b, 0, "<?xml", 5))
        return "SVG";
    if (has(b, 4, "ftyp", 4))
        return "HEIF";
    if (has(b, 0, "PK", 2))
        return "ZIP";
    return NULL;
}

/* ---- start ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool started;

static void drop_log(const char *domain, GLogLevelFlags level, const char *message, void *ctx)
{
    (void)domain;
    (void)level;
    (void)message;
    (void)ctx;
}

static enum am_rc start(const struct am_host *h, struct am_err *err)
{
    enum am_rc rc = AM_OK;
    if (h->size != sizeof *h)
        return AM_ECONFLICT;
    pthread_mutex_lock(&lock);
    host = h;
    if (!started) {
        g_log_set_handler("VIPS", G_LOG_LEVEL_WARNING | G_LOG_LEVEL_INFO | G_LOG_LEVEL_DEBUG,
                          drop_log, NULL);
        if (VIPS_INIT("aimass") == 0) {
            vips_block_untrusted_set(TRUE);
            vips_cache_set_max(0);
            vips_concurrency_set(1);
            started = true;
        } else {
            rc = FAIL(err, AM_EMISSING, "libvips does not start: %.200s", vips_error_buffer());
            host->hint(err, "Install libvips again (Debian: libvips42).");
        }
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

/* ---- reading ---- */

struct picture {
    VipsImage *image;
    const struct kind *kind;
    uint32_t width, height, bands; /* as stored */
    int orientation;
    bool wide, cmyk; /* 16 bits */
};

/* The first line of what the library says, which all threads share: good for a message only. */
static enum am_rc damaged(const struct kind *k, struct am_err *err)
{
    char *said = vips_error_buffer_copy();
    said[strcspn(said, "\r\n")] = '\0';
    enum am_rc rc = FAIL(err, AM_EINVAL, "the %s picture is damaged or incomplete: %.200s", k->name,
                         said[0] ? said : "no pixels");
    g_free(said);
    return rc;
}

static enum am_rc check_pixels(struct picture *p, struct am_err *err)
{
    VipsBandFormat format = vips_image_get_format(p->image);
    VipsInterpretation meaning = vips_image_guess_interpretation(p->image);
    p->wide = format == VIPS_FORMAT_USHORT;
    p->cmyk = meaning == VIPS_INTERPRETATION_CMYK;
    bool known = p->cmyk || meaning == VIPS_INTERPRETATION_B_W ||
                 meaning == VIPS_INTERPRETATION_GREY16 || meaning == VIPS_INTERPRETATION_sRGB ||
                 meaning == VIPS_INTERPRETATION_RGB16 || meaning == VIPS_INTERPRETATION_RGB ||
                 meaning == VIPS_INTERPRETATION_MULTIBAND;
    if (!known || (format != VIPS_FORMAT_UCHAR && !p->wide) ||
        vips_image_get_coding(p->image) != VIPS_CODING_NONE || p->bands < (p->cmyk ? 4 : 1) ||
        p->bands > (p->cmyk ? 5 : 4))
        return FAIL(err, AM_EINVAL,
                    "the %s picture has %u bands of %s pixels in the colours %s; grey, RGB and "
                    "CMYK of 8 and 16 bits are read",
                    p->kind->name, p->bands, vips_enum_nick(VIPS_TYPE_BAND_FORMAT, (int)format),
                    vips_enum_nick(VIPS_TYPE_INTERPRETATION, (int)meaning));
    return AM_OK;
}

static enum am_rc check_size(uint32_t width, uint32_t height, struct am_err *err)
{
    if (width == 0 || height == 0)
        return FAIL(err, AM_EINVAL, "the picture has %u x %u pixels", width, height);
    if (width > AM_LIMIT_IMAGE_SIDE || height > AM_LIMIT_IMAGE_SIDE ||
        (uint64_t)width * height > AM_LIMIT_IMAGE_PIXELS)
        return FAIL(err, AM_ELIMIT,
                    "the picture has %u x %u pixels, at most %zu (%u on a side) are allowed", width,
                    height, AM_LIMIT_IMAGE_PIXELS, AM_LIMIT_IMAGE_SIDE);
    return AM_OK;
}

static enum am_rc open_picture(struct am_str bytes, struct picture *p, struct am_err *err)
{
    void *data;
    *p = (struct picture){.kind = bytes.len ? kind_of(bytes) : NULL};
    if (!p->kind) {
        const char *other = bytes.len ? other_kind(bytes) : NULL;
        enum am_rc rc = other
                            ? FAIL(err, AM_EINVAL, "pictures of the kind %s are not read", other)
                            : FAIL(err, AM_EINVAL, "this is not a picture of a kind that is read");
        host->hint(err, "Send PNG, JPEG, WebP, GIF, TIFF or BMP.");
        return rc;
    }
    memcpy(&data, &bytes.ptr, sizeof data); /* the library does not write there */
    if (p->kind->load(data, bytes.len, &p->image, "access", VIPS_ACCESS_SEQUENTIAL, "fail_on",
                      VIPS_FAIL_ON_ERROR, NULL) != 0) {
        p->image = NULL;
        return damaged(p->kind, err);
    }
    p->width = (uint32_t)vips_image_get_width(p->image);
    p->height = (uint32_t)vips_image_get_height(p->image);
    p->bands = (uint32_t)vips_image_get_bands(p->image);
    p->orientation = vips_image_get_orientation(p->image);
    enum am_rc rc = check_size(p->width, p->height, err);
    return rc == AM_OK ? check_pixels(p, err) : rc;
}

static void close_picture(struct picture *p)
{
    if (p->image)
        g_object_unref(p->image);
    vips_thread_shutdown();
}

static uint32_t channels_of(const struct picture *p)
{
    return p->cmyk ? 3 : p->bands == 2 ? 4 : p->bands;
}

static bool is_turned(const struct picture *p)
{
    return p->orientation >= 5 && p->orientation <= 8;
}

/* ---- bitmaps ---- */

static enum am_rc open_bmp(struct am_str bytes, struct bmp *b, struct am_err *err)
{
    const char *why = bmp_open(bytes, b);
    if (!why)
        AM_TRY(check_size(b->width, b->height, err));
    if (!why && !bmp_is_whole(b))
        why = "it is truncated";
    if (!why)
        return AM_OK;
    enum am_rc rc = FAIL(err, AM_EINVAL, "the bitmap cannot be read: %s", why);
    host->hint(err, "Save it as PNG, or as BMP without compression.");
    return rc;
}

static enum am_rc decode_bmp(struct am_str bytes, struct am_image *out, struct am_err *err)
{
    struct bmp b;
    AM_TRY(open_bmp(bytes, &b, err));
    size_t n = (size_t)b.width * b.height * b.channels;
    uint8_t *pixels = host->alloc(n);
    if (!pixels)
        return host->fail_nomem(err, n, __FILE__, __LINE__);
    if (!bmp_read(&b, pixels)) {
        host->free(pixels);
        return FAIL(err, AM_EINVAL, "the bitmap is damaged: a pixel is outside of its palette");
    }
    *out = (struct am_image){b.width, b.height, b.channels, pixels};
    return AM_OK;
}

static enum am_rc probe_bmp(struct am_str bytes, struct am_image_info *out, struct am_err *err)
{
    struct bmp b;
    AM_TRY(open_bmp(bytes, &b, err));
    *out = (struct am_image_info){.width = b.width,
                                  .height = b.height,
                                  .channels = b.channels,
                                  .format = "bmp",
                                  .n_frames = 1};
    return AM_OK;
}

/* ---- the port ---- */

static enum am_rc probe(struct am_str bytes, struct am_image_info *out, struct am_err *err)
{
    struct picture p;
    if (has(bytes, 0, "BM", 2)) {
        *out = (struct am_image_info){0};
        return probe_bmp(bytes, out, err);
    }
    enum am_rc rc = open_picture(bytes, &p, err);
    *out = (struct am_image_info){0};
    if (rc == AM_OK) {
        int pages = vips_image_get_n_pages(p.image);
        *out = (struct am_image_info){.width = is_turned(&p) ? p.height : p.width,
                                      .height = is_turned(&p) ? p.width : p.height,
                                      .channels = channels_of(&p),
                                      .n_frames = pages > 1 ? (uint32_t)pages : 1};
        memcpy(out->format, p.kind->name, strlen(p.kind->name) + 1);
    }
    close_picture(&p);
    return rc;
}

/* Decoded into memory of the host. */
static enum am_rc read_pixels(const struct picture *p, uint8_t **out, struct am_err *err)
{
    size_t n = (size_t)p->width * p->height * p->bands * (p->wide ? 2 : 1);
    size_t room = (size_t)p->width * p->height * 4; /* what follows may need more than it read */
    uint8_t *pixels = host->alloc(n > room ? n : room);
    if (!pixels)
        return host->fail_nomem(err, n, __FILE__, __LINE__);
    VipsImage *to =
        vips_image_new_from_memory(pixels, n, (int)p->width, (int)p->height, (int)p->bands,
                                   p->wide ? VIPS_FORMAT_USHORT : VIPS_FORMAT_UCHAR);
    enum am_rc rc = AM_OK;
    if (!to || vips_image_write(p->image, to) != 0)
        rc = damaged(p->kind, err);
    if (to)
        g_object_unref(to);
    if (rc != AM_OK) {
        host->free(pixels);
        return rc;
    }
    *out = pixels;
    return AM_OK;
}

/* The last step may need a second block: grey with alpha, and turning. */
static enum am_rc finish(const struct picture *p, uint8_t *pixels, struct am_image *out,
                         struct am_err *err)
{
    size_t n = (size_t)p->width * p->height;
    uint32_t c = channels_of(p);
    if (p->wide)
        pixels_from_16_bits(pixels, n * p->bands);
    if (p->cmyk)
        pixels_from_cmyk(pixels, n, p->bands);
    if (p->bands == 2 || (p->orientation > 1 && p->orientation <= 8)) {
        uint8_t *second = host->alloc(n * 4);
        if (!second) {
            host->free(pixels);
            return host->fail_nomem(err, n * 4, __FILE__, __LINE__);
        }
        uint8_t *from = pixels, *to = second;
        if (p->bands == 2) {
            pixels_from_grey_alpha(from, n, to);
            from = second;
            to = pixels;
        }
        if (p->orientation > 1 && p->orientation <= 8) {
            pixels_turn(from, p->width, p->height, c, p->orientation, to);
            from = to;
        }
        host->free(from == pixels ? second : pixels);
        pixels = from;
    }
    *out = (struct am_image){.width = is_turned(p) ? p->height : p->width,
                             .height = is_turned(p) ? p->width : p->height,
                             .channels = c,
                             .pixels = pixels};
    return AM_OK;
}

static enum am_rc decode(struct am_str bytes, struct am_image *out, struct am_err *err)
{
    struct picture p;
    uint8_t *pixels = NULL;
    *out = (struct am_image){0};
    if (has(bytes, 0, "BM", 2))
        return decode_bmp(bytes, out, err);
    enum am_rc rc = open_picture(bytes, &p, err);
    if (rc == AM_OK)
        rc = read_pixels(&p, &pixels, err);
    if (rc == AM_OK)
        rc = finish(&p, pixels, out, err);
    close_picture(&p);
    return rc;
}

static const char *version(void)
{
    static char text[64];
    static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&once);
    if (!text[0])
        g_snprintf(text, sizeof text, "libvips %s", vips_version_string());
    pthread_mutex_unlock(&once);
    return text;
}

static const struct am_images_ops ops = {.abi = AM_PORTS_ABI,
                                         .size = sizeof ops,
                                         .name = "images-vips",
                                         .start = start,
                                         .probe = probe,
                                         .decode = decode,
                                         .version = version};

extern const struct am_images_ops *const am_module;
__attribute__((visibility("default"))) const struct am_images_ops *const am_module = &ops;
