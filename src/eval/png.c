/* Pixels and floats as PNG files in text form; see pictures.h. No filters and no palette: the
 * pictures are small, and zlib does the rest. Memory that is out is AM_ENOMEM. */
#include <math.h>
#include <zlib.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "eval/pictures.h"

#define SIDE_MAX 65535u

static void put_be32(unsigned char out[4], uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        out[i] = (unsigned char)(v >> (24 - 8 * i));
}

static void chunk(struct am_buf *o, const char *type, const unsigned char *data, uint32_t n)
{
    unsigned char word[4];
    uLong crc = crc32(crc32(0, NULL, 0), (const Bytef *)type, 4);
    if (n) /* crc32 of no bytes at NULL would start anew */
        crc = crc32(crc, data, n);
    put_be32(word, n);
    am_buf_add(o, word, 4);
    am_buf_add(o, type, 4);
    if (n)
        am_buf_add(o, data, n);
    put_be32(word, (uint32_t)crc);
    am_buf_add(o, word, 4);
}

/* Each row behind a byte 0: no filter. */
static unsigned char *filtered(const struct am_pixels *p, size_t stride)
{
    unsigned char *rows = am_alloc_array(p->height, stride + 1);
    for (size_t y = 0; rows && y < p->height; y++) {
        rows[y * (stride + 1)] = 0;
        memcpy(rows + y * (stride + 1) + 1, p->data + y * stride, stride);
    }
    return rows;
}

enum am_rc am_png_write(const struct am_pixels *p, struct am_buf *out, struct am_err *err)
{
    static const unsigned char colour[] = {0, 0, 0, 2, 6};
    size_t stride = (size_t)p->width * p->channels;
    unsigned char head[13] = {0};
    if (p->width < 1 || p->height < 1 || p->width > SIDE_MAX || p->height > SIDE_MAX ||
        (p->channels != 1 && p->channels != 3 && p->channels != 4) ||
        (stride + 1) * p->height > UINT32_MAX / 2)
        return am_fail(err, AM_EINVAL, "a picture of %u x %u pixels of %u channels is not written",
                       p->width, p->height, p->channels);
    uLongf n = compressBound((uLong)((stride + 1) * p->height));
    unsigned char *rows = filtered(p, stride), *packed = am_alloc(n);
    enum am_rc rc = AM_OK;
    if (!rows || !packed ||
        compress2(packed, &n, rows, (uLong)((stride + 1) * p->height), 9) != Z_OK) {
        rc = am_fail_nomem(err, n);
    } else {
        am_buf_add(out, "\x89PNG\r\n\x1a\n", 8);
        put_be32(head, p->width);
        put_be32(head + 4, p->height);
        head[8] = 8;
        head[9] = colour[p->channels];
        chunk(out, "IHDR", head, sizeof head);
        chunk(out, "IDAT", packed, (uint32_t)n);
        chunk(out, "IEND", NULL, 0);
        rc = am_buf_check(out, err);
    }
    am_free(rows);
    am_free(packed);
    return rc;
}

/* The mean of the pixels under each new one; the last ones of a row may cover fewer. */
static void shrink(const struct am_pixels *p, uint32_t factor, uint8_t *to)
{
    for (uint32_t y = 0; y < p->height; y += factor)
        for (uint32_t x = 0; x < p->width; x += factor)
            for (uint32_t c = 0; c < p->channels; c++) {
                uint64_t sum = 0, n = 0;
                for (uint32_t v = y; v < p->height && v < y + factor; v++)
                    for (uint32_t u = x; u < p->width && u < x + factor; u++, n++)
                        sum += p->data[((size_t)v * p->width + u) * p->channels + c];
                *to++ = (uint8_t)((sum + n / 2) / n);
            }
}

static enum am_rc to_text(const struct am_pixels *p, struct am_arena *a, struct am_str *out,
                          struct am_err *err)
{
    static const char prefix[] = "data:image/png;base64,";
    struct am_buf png, text;
    enum am_rc rc;
    am_buf_init(&png, UINT32_MAX);
    am_buf_init(&text, UINT32_MAX);
    AM_GO(rc, am_png_write(p, &png, err));
    am_buf_add(&text, prefix, sizeof prefix - 1);
    am_base64_encode(&text, png.ptr, png.len);
    AM_GO(rc, am_buf_check(&text, err));
    *out = am_arena_str(a, am_buf_view(&text));
    rc = am_arena_check(a, err);
out:
    am_buf_clear(&png);
    am_buf_clear(&text);
    return rc;
}

enum am_rc am_picture_uri(const struct am_pixels *p, uint32_t max_side, struct am_arena *a,
                          struct am_str *out, struct am_err *err)
{
    uint32_t side = p->width > p->height ? p->width : p->height;
    uint32_t factor = max_side ? (side + max_side - 1) / max_side : 1;
    *out = (struct am_str){"", 0};
    if (factor <= 1 || side > SIDE_MAX)
        return to_text(p, a, out, err);
    struct am_pixels small = *p;
    small.width = (p->width + factor - 1) / factor;
    small.height = (p->height + factor - 1) / factor;
    size_t n = (size_t)small.width * small.height * p->channels;
    uint8_t *pixels = am_alloc(n ? n : 1);
    if (!pixels)
        return am_fail_nomem(err, n);
    shrink(p, factor, pixels);
    small.data = pixels;
    enum am_rc rc = to_text(&small, a, out, err);
    am_free(pixels);
    return rc;
}

/* ---- floats ---- */

static uint8_t level(float v, float low, float high)
{
    float s = high > low ? (v - low) / (high - low) : 0.0f;
    return s >= 1 ? 255 : s > 0 ? (uint8_t)(s * 255 + 0.5f) : 0; /* not a number is black */
}

enum am_rc am_picture_of_floats(const struct am_floats *f, uint32_t max_side, struct am_arena *a,
                                struct am_str *out, struct am_err *err)
{
    size_t n = f->height * f->width, c = f->channels, keep = c == 3 ? 3 : 1;
    float low = INFINITY, high = -INFINITY;
    *out = (struct am_str){"", 0};
    if (f->height > SIDE_MAX || f->width > SIDE_MAX || c == 0)
        return am_fail(err, AM_EINVAL, "%zu x %zu x %zu values are no picture", f->height, f->width,
                       c);
    float *mean = am_alloc_array(n * keep + 1, sizeof *mean);
    uint8_t *pixels = am_alloc_array(n * keep + 1, 1);
    enum am_rc rc = mean && pixels ? AM_OK : am_fail_nomem(err, n * keep * sizeof *mean);
    for (size_t i = 0; rc == AM_OK && i < n * keep; i++) {
        float v = 0;
        if (keep == 3)
            v = f->data[i];
        for (size_t k = 0; keep == 1 && k < c; k++)
            v += f->data[i * c + k] / (float)c;
        mean[i] = v;
        low = isfinite(v) && v < low ? v : low;
        high = isfinite(v) && v > high ? v : high;
    }
    for (size_t i = 0; rc == AM_OK && i < n * keep; i++)
        pixels[i] = level(mean[i], low, high);
    if (rc == AM_OK)
        rc = am_picture_uri(
            &(struct am_pixels){(uint32_t)f->width, (uint32_t)f->height, (uint32_t)keep, pixels},
            max_side, a, out, err);
    am_free(mean);
    am_free(pixels);
    return rc;
}
