/* Windows bitmaps. See bmp.h; offsets as in [MS-WMF] 2.2.2. */
#include "bmp.h"

#include <string.h>

#define FILE_HEADER 14

enum { RGB = 0, BIT_FIELDS = 3, ALPHA_BIT_FIELDS = 6 };

static uint32_t u16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t u32(const uint8_t *p)
{
    return u16(p) | u16(p + 2) << 16;
}

static bool is_grey(const struct bmp *b)
{
    for (uint32_t i = 0; i < b->n_colours; i++) {
        const uint8_t *c = b->palette + 4 * (size_t)i;
        if (c[0] != c[1] || c[1] != c[2])
            return false;
    }
    return true;
}

/* One run of bits, none of them another colour's. */
static bool masks_good(const struct bmp *b)
{
    uint32_t all = 0;
    for (size_t i = 0; i < 4; i++) {
        uint32_t m = b->masks[i], low = m & (~m + 1);
        if ((m == 0 && i < 3) || (m / (low ? low : 1) & (m / (low ? low : 1) + 1)) || (all & m) ||
            (b->bits == 16 && m > 0xffff))
            return false;
        all |= m;
    }
    return true;
}

/* Where the pixels' colours come from. `at`: behind the header. */
static const char *colours(struct bmp *b, const uint8_t *p, size_t len, uint32_t header,
                           uint32_t compression, uint32_t n_used)
{
    size_t at = FILE_HEADER + (size_t)header;
    b->channels = 3;
    if (b->bits <= 8) {
        b->n_colours = n_used ? n_used : 1u << b->bits;
        if (b->n_colours > 256 || len - at < 4 * (size_t)b->n_colours)
            return "its palette is not whole";
        b->palette = p + at;
        b->channels = is_grey(b) ? 1 : 3;
        return NULL;
    }
    if (compression == RGB) {
        static const uint32_t thin[3] = {0x7c00, 0x3e0, 0x1f}, wide[3] = {0xff0000, 0xff00, 0xff};
        memcpy(b->masks, b->bits == 16 ? thin : wide, sizeof thin);
        return NULL;
    }
    /* the masks are a part of longer headers, and stand in the same place behind the short one */
    size_t n_masks = header >= 56 || compression == ALPHA_BIT_FIELDS ? 4 : 3;
    if (len < FILE_HEADER + 40 + 4 * n_masks)
        return "it is truncated";
    for (size_t i = 0; i < n_masks; i++)
        b->masks[i] = u32(p + FILE_HEADER + 40 + 4 * i);
    b->channels = b->masks[3] ? 4 : 3;
    return masks_good(b) ? NULL : "its colour masks are not valid";
}

const char *bmp_open(struct am_str bytes, struct bmp *b)
{
    const uint8_t *p = (const uint8_t *)bytes.ptr;
    *b = (struct bmp){0};
    if (bytes.len < FILE_HEADER + 40)
        return "it is truncated";
    uint32_t header = u32(p + 14), pixels_at = u32(p + 10), compression = u32(p + 30);
    uint32_t height = u32(p + 22);
    if (header < 40 || header > 124 || header > bytes.len - FILE_HEADER)
        return "its header is of a kind that is not read";
    b->width = u32(p + 18);
    b->top_down = height >> 31;
    b->height = b->top_down ? ~height + 1 : height;
    b->bits = u16(p + 28);
    if (compression != RGB && compression != BIT_FIELDS && compression != ALPHA_BIT_FIELDS)
        return "it is compressed";
    bool masked = b->bits == 16 || b->bits == 32;
    if ((b->bits != 1 && b->bits != 4 && b->bits != 8 && b->bits != 24 && !masked) ||
        (compression != RGB && !masked))
        return "its pixels are of a kind that is not read";
    if (b->width == 0 || b->width > INT32_MAX || b->height == 0)
        return "it has no pixels";
    const char *why = colours(b, p, bytes.len, header, compression, u32(p + 46));
    b->stride = ((size_t)b->width * b->bits + 31) / 32 * 4;
    b->rows = p + (pixels_at > bytes.len ? 0 : pixels_at);
    b->n_bytes = pixels_at > bytes.len ? 0 : bytes.len - pixels_at;
    return why;
}

bool bmp_is_whole(const struct bmp *b)
{
    return b->n_bytes / b->stride >= b->height;
}

static bool read_indices(const struct bmp *b, const uint8_t *row, uint8_t *out)
{
    for (uint32_t x = 0; x < b->width; x++) {
        size_t bit = (size_t)x * b->bits;
        uint32_t i = (uint32_t)row[bit / 8] >> (8 - b->bits - bit % 8) & ((1u << b->bits) - 1);
        if (i >= b->n_colours)
            return false;
        const uint8_t *c = b->palette + 4 * (size_t)i;
        for (uint32_t k = 0; k < b->channels; k++)
            *out++ = c[2 - k];
    }
    return true;
}

static void read_masked(const struct bmp *b, const uint8_t *row, uint8_t *out)
{
    for (uint32_t x = 0; x < b->width; x++) {
        uint32_t v = b->bits == 16 ? u16(row + 2 * (size_t)x) : u32(row + 4 * (size_t)x);
        for (uint32_t k = 0; k < b->channels; k++) {
            uint32_t m = b->masks[k], low = m & (~m + 1), most = m / low;
            *out++ = (uint8_t)(((uint64_t)((v & m) / low) * 255 + most / 2) / most);
        }
    }
}

bool bmp_read(const struct bmp *b, uint8_t *out)
{
    size_t n = (size_t)b->width * b->channels;
    for (uint32_t y = 0; y < b->height; y++, out += n) {
        const uint8_t *row = b->rows + b->stride * (b->top_down ? y : b->height - 1 - y);
        if (b->bits <= 8 && !read_indices(b, row, out))
            return false;
        if (b->bits == 16 || b->bits == 32)
            read_masked(b, row, out);
        for (size_t i = 0; b->bits == 24 && i < n; i++)
            out[i] = row[i / 3 * 3 + 2 - i % 3];
    }
    return true;
}
