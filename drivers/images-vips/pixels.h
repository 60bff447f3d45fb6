/* From what libvips decodes to what struct am_image holds: 8 bits, grey, RGB or RGBA, upright.
 *
 * Plain loops over memory; nothing is allocated, nothing kept. Any thread. */
#ifndef AM_IMAGES_VIPS_PIXELS_H
#define AM_IMAGES_VIPS_PIXELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* v * 255 / 65535, rounded. In place: the bytes lie in the first half after it. */
void pixels_from_16_bits(uint8_t *p, size_t n);
/* In place: [n, bands] with bands > 3 to [n, 3]; 255 is full ink. */
void pixels_from_cmyk(uint8_t *p, size_t n, size_t bands);
/* From [n, 2] to [n, 4] at `to`. */
void pixels_from_grey_alpha(const uint8_t *p, size_t n, uint8_t *to);
/* EXIF orientation 1 to 8: from [h, w, c] to [h, w, c], or [w, h, c] from 5 on. */
void pixels_turn(const uint8_t *p, uint32_t w, uint32_t h, uint32_t c, int orientation,
                 uint8_t *to);

#endif
