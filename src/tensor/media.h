/* Pictures, sounds and videos: the bytes of a cell, what they decode to, and the ports to the
 * libraries that decode files (drivers/images-*, drivers/sounds-*, drivers/video-*).
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
 *   video
 *   0   "AMVI"
 *   4   u8  version = 1
 *   5   u8  channels: 1 or 3
 *   6   u16 frames, shown 25 a second
 *   8   u32 width
 *   12  u32 height
 *   16  u8  [frames, height, width, channels]
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

struct am_video_info {
    uint32_t width, height; /* of the frames, upright */
    uint32_t n_frames;      /* pictures in the file, as it tells without decoding */
    char format[16];        /* "mp4" "avi" ... "raw" */
    char codec[16];         /* "h264" ... "raw" */
};
/* Which pictures of a video are wanted. */
struct am_video_take {
    uint32_t n_frames;       /* 0: all are decoded to see that the file is whole, none is given */
    double fps;              /* 0: picture i is the one shown at (i + 1/2) / n_frames of the length;
                                above 0: at i / fps seconds, the last one again where it is over */
    uint64_t deadline_ns;    /* of am_mono_ns; 0 = AM_LIMIT_VIDEO_MS from now */
    bool (*stop)(void *ctx); /* asked now and then: true = AM_ECANCELED; may be NULL */
    void *stop_ctx;
};
/* Picture i of the wanted ones, in order: 1 or 3 channels. It is lent for the call, its pixels may
 * be changed. A failure ends the decoding. */
typedef enum am_rc am_video_frame(void *ctx, uint32_t i, struct am_image *frame,
                                  struct am_err *err);

/* Memory of decoded objects comes from the host. CMYK, palettes, 16 bits and grey with alpha are
 * converted to what struct am_image holds. AM_EINVAL: not a picture of a kind that is read,
 * truncated, damaged; AM_ELIMIT: too many pixels. Thread-safe. */
struct am_images_ops {
    uint64_t abi;  /* AM_PORTS_ABI */
    uint32_t size; /* of this struct */
    uint32_t reserved;
    const char *name;
    enum am_rc (*start)(const struct am_host *host, struct am_err *err); /* once, before all else */
    enum am_rc (*probe)(struct am_str bytes, struct am_image_info *out, struct am_err *err);
    enum am_rc (*decode)(struct am_str bytes, struct am_image *out, struct am_err *err);
    const char *(*version)(void);
};
struct am_sounds_ops {
    uint64_t abi; /* AM_PORTS_ABI */
    uint32_t size;
    uint32_t reserved;
    const char *name;
    enum am_rc (*start)(const struct am_host *host, struct am_err *err);
    enum am_rc (*probe)(struct am_str bytes, struct am_sound_info *out, struct am_err *err);
    enum am_rc (*decode)(struct am_str bytes, struct am_sound *out, struct am_err *err);
    const char *(*version)(void);
};

/* As above. probe decodes nothing; frames gives each wanted picture to `frame` as RGB, one thread,
 * memory for a few pictures only. AM_EINVAL: no video stream, not of a kind that is read,
 * truncated, damaged; AM_ELIMIT: too many pixels, frames or streams; AM_ETIMEDOUT, AM_ECANCELED. */
struct am_videos_ops {
    uint64_t abi; /* AM_PORTS_ABI */
    uint32_t size;
    uint32_t reserved;
    const char *name;
    enum am_rc (*start)(const struct am_host *host, struct am_err *err);
    enum am_rc (*probe)(struct am_str bytes, struct am_video_info *out, struct am_err *err);
    enum am_rc (*frames)(struct am_str bytes, const struct am_video_take *take,
                         am_video_frame *frame, void *ctx, struct am_err *err);
    const char *(*version)(void);
};

/* Where drivers come from: set once by the platform before threads start; called at the first file
 * that is not raw. NULL = none: such files are AM_EMISSING with the package's name as the remedy.
 */
struct am_media_loader {
    void *ctx;
    enum am_rc (*images)(void *ctx, const struct am_images_ops **out, struct am_err *err);
    enum am_rc (*sounds)(void *ctx, const struct am_sounds_ops **out, struct am_err *err);
    enum am_rc (*videos)(void *ctx, const struct am_videos_ops **out, struct am_err *err);
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
enum am_rc am_video_probe(struct am_str bytes, struct am_video_info *out,
                          struct am_err *err) AM_MUST_CHECK;
/* frame NULL: only with n_frames 0. */
enum am_rc am_video_frames(struct am_str bytes, const struct am_video_take *take,
                           am_video_frame *frame, void *ctx, struct am_err *err) AM_MUST_CHECK;
/* The 16 bytes before the pixels or samples of the raw form. */
#define AM_MEDIA_RAW_BYTES 16
void am_image_raw_header(uint32_t width, uint32_t height, uint32_t channels,
                         unsigned char out[AM_MEDIA_RAW_BYTES]);
void am_sound_raw_header(uint32_t sample_rate, uint32_t channels, uint32_t n_frames,
                         unsigned char out[AM_MEDIA_RAW_BYTES]);
void am_video_raw_header(uint32_t n_frames, uint32_t width, uint32_t height, uint32_t channels,
                         unsigned char out[AM_MEDIA_RAW_BYTES]);

#endif
