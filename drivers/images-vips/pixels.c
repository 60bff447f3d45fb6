/* Depth, CMYK, grey with alpha, orientation. See pixels.h. */
#include "pixels.h"

#include <string.h>

void pixels_from_16_bits(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t v;
        memcpy(&v, p + 2 * i, sizeof v);
        p[i] = (uint8_t)((v * 255u + 32895u) >> 16);
    }
}

void pixels_from_cmyk(uint8_t *p, size_t n, size_t bands)
{
    for (size_t i = 0; i < n; i++) {
        const uint8_t *in = p + i * bands;
        uint32_t light = 255u - in[3];
        uint8_t rgb[3];
        for (size_t c = 0; c < 3; c++)
            rgb[c] = (uint8_t)(((255u - in[c]) * light + 127) / 255);
        memcpy(p + 3 * i, rgb, 3);
    }
}

void pixels_from_grey_alpha(const uint8_t *p, size_t n, uint8_t *to)
{
    for (size_t i = 0; i < n; i++) {
        to[4 * i] = to[4 * i + 1] = to[4 * i + 2] = p[2 * i];
        to[4 * i + 3] = p[2 * i + 1];
    }
}

void pixels_turn(const uint8_t *p, uint32_t w, uint32_t h, uint32_t c, int orientation, uint8_t *to)
{
    bool swap = orientation >= 5;
    /* of the result's rows and columns: is the source read from its end? */
    bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    bool from_bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    uint32_t rows = swap ? w : h, columns = swap ? h : w;
    for (uint32_t y = 0; y < rows; y++) {
        for (uint32_t x = 0; x < columns; x++) {
            uint32_t sx = swap ? y : x, sy = swap ? x : y;
            sx = from_right ? w - 1 - sx : sx;
            sy = from_bottom ? h - 1 - sy : sy;
            memcpy(to, p + ((size_t)sy * w + sx) * c, c);
            to += c;
        }
    }
}
