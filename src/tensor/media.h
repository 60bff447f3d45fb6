/* Pictures and sounds: the bytes of a cell, what they decode to, and the ports to the libraries
 * that decode files (drivers/images-*, drivers/sounds-*).
 *
 * A cell of a media column holds one whole file as it came (PNG, JPEG, WAV, ...) or our raw form,
 * which needs no driver:
 *
 *   picture                              sound
 *   0   "AMIM"                           0   "AMAU"
 *   4   u8  version = 1                  4   u8  version = 1
 *   5   u8  channels: 1, 3 or 4          5   u8  channels: 1 to 8
 *   6   u16 0                            6   u16 0
 *   8   u32 width                        8   u32 sample rate
 *   12  u32 height                       12  u32 frames
 *   16  u8  [height, width, channels]    16  s16 [frames, channels], little-endian
 *
 * Bytes come from anybody: sizes are checked against base/limits.h before a pixel is decoded, and
 * every failure is one clear verdict about the file. Any thread; a decoded object belongs to its
 * caller. */
#ifndef AM_TENSOR_MEDIA_H
#define AM_TENSOR_MEDIA_H

#include "base/host.h"
#include "base/str.h"

struct am_image {
    uint32_t width, height, channels; /* 1 grey, 3 RGB, 4 RGB and alpha; sRGB, 8 bits */
    uint8_t *pixels;                  /* owned, [height, width, channels] */
};
struct am_sound {
    uint32_t sample_rate, channels;
    uint64_t n_frames;
    float *samples; /* owned, [n_frames, channels], full scale is 1 */
};

struct am_image_info {
    uint32_t width, height, channels; /* as am_image would have them */
    char format[16];                  /* "png" "jpeg" ... "raw" */
    uint32_t n_frames;                /* > 1: animated; the first is decoded */
};
struct am_sound_info {
    uint32_t sample_rate, channels;
    uint64_t n_frames;
    char format[16];
};

#define AM_IMAGES_ABI UINT64_C(0x616d696d67730001) /* changes with every change of this header */
#define AM_SOUNDS_ABI UINT64_C(0x616d736e64730001)

/* Memory of decoded objects comes from the host. CMYK, palettes, 16 bits and grey with alpha are
 * converted to what struct am_image holds. AM_EINVAL: not a picture of a kind that is read,
 * truncated, damaged; AM_ELIMIT: too many pixels. Thread-safe. */
struct am_images_ops {
    uint64_t abi;
    uint32_t size; /* of this struct */
    uint32_t reserved;
    const char *name;
    enum am_rc (*start)(const struct am_host *host, struct am_err *err); /* once, before all else */
    enum am_rc (*probe)(struct am_str bytes, struct am_image_info *out, struct am_err *err);
    enum am_rc (*decode)(struct am_str bytes, struct am_image *out, struct am_err *err);
    const char *(*version)(void);
};
struct am_sounds_ops {
    uint64_t abi;
    uint32_t size;
    uint32_t reserved;
    const char *name;
    enum am_rc (*start)(const struct am_host *host, struct am_err *err);
    enum am_rc (*probe)(struct am_str bytes, struct am_sound_info *out, struct am_err *err);
    enum am_rc (*decode)(struct am_str bytes, struct am_sound *out, struct am_err *err);
    const char *(*version)(void);
};

/* Where drivers come from: set once by the platform before threads start; called at the first file
 * that is not raw. NULL = none: such files are AM_EMISSING with the package's name as the remedy.
 */
struct am_media_loader {
    void *ctx;
    enum am_rc (*images)(void *ctx, const struct am_images_ops **out, struct am_err *err);
    enum am_rc (*sounds)(void *ctx, const struct am_sounds_ops **out, struct am_err *err);
};
void am_media_set_loader(const struct am_media_loader *l); /* copied */

/* Raw form or file. On failure out is empty. */
enum am_rc am_image_probe(struct am_str bytes, struct am_image_info *out,
                          struct am_err *err) AM_MUST_CHECK;
enum am_rc am_image_decode(struct am_str bytes, struct am_image *out,
                           struct am_err *err) AM_MUST_CHECK;
void am_image_clear(struct am_image *i);
enum am_rc am_sound_probe(struct am_str bytes, struct am_sound_info *out,
                          struct am_err *err) AM_MUST_CHECK;
enum am_rc am_sound_decode(struct am_str bytes, struct am_sound *out,
                           struct am_err *err) AM_MUST_CHECK;
void am_sound_clear(struct am_sound *s);
/* The 16 bytes before the pixels or samples of the raw form. */
#define AM_MEDIA_RAW_BYTES 16
void am_image_raw_header(uint32_t width, uint32_t height, uint32_t channels,
                         unsigned char out[AM_MEDIA_RAW_BYTES]);
void am_sound_raw_header(uint32_t sample_rate, uint32_t channels, uint32_t n_frames,
                         unsigned char out[AM_MEDIA_RAW_BYTES]);

#endif
