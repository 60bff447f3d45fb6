/* Windows bitmaps, read by ourselves: libvips knows them through ImageMagick only, which is too
 * large a surface for bytes from anybody.
 *
 * Headers of 40 to 124 bytes; 1, 4 and 8 bits with a palette, 16, 24 and 32 bits, with masks too;
 * no run lengths, no JPEG or PNG inside. Every size is checked against the file before it is used.
 * Nothing is allocated, nothing kept; views into the file. Any thread. */
#ifndef AM_IMAGES_VIPS_BMP_H
#define AM_IMAGES_VIPS_BMP_H

#include <stdbool.h>

#include "tensor/media.h"

struct bmp {
    uint32_t width, height, channels;
    bool top_down;
    unsigned bits;          /* of a pixel */
    const uint8_t *rows;    /* [height, stride] */
    size_t stride, n_bytes; /* of a row, a multiple of 4; of rows that are there */
    const uint8_t *palette; /* [n_colours, 4]: blue, green, red, 0 */
    uint32_t n_colours;
    uint32_t masks[4]; /* red, green, blue, alpha of 16 and 32 bits */
};

/* NULL, or why this bitmap cannot be read. Sizes are told but not limited: look at them first, then
 * whether all rows are there. */
const char *bmp_open(struct am_str bytes, struct bmp *b);
bool bmp_is_whole(const struct bmp *b);
/* Of a whole one. To [height, width, channels]. false: a pixel is outside of the palette. */
bool bmp_read(const struct bmp *b, uint8_t *out);

#endif
