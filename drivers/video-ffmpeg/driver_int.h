/* Between the files of the driver video-ffmpeg. */
#ifndef AM_VIDEO_FFMPEG_INT_H
#define AM_VIDEO_FFMPEG_INT_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

#include "base/limits.h"
#include "tensor/media.h"

extern const struct am_host *video_host;
#define FAIL(err, rc, ...) video_host->fail((err), (rc), __FILE__, __LINE__, __VA_ARGS__)

/* ---- shape.c: what the bytes are, before the library sees them ---- */

struct video_kind {
    const char *name;    /* "mp4" */
    const char *demuxer; /* of the library */
    bool has_times;      /* its packets tell when they are shown */
    bool (*is)(struct am_str b);
    bool (*whole)(struct am_str b); /* false: it ends early; NULL = cannot be told */
};
/* AM_EINVAL: empty, not of a kind that is read, ends early. */
enum am_rc video_kind_of(struct am_str bytes, const struct video_kind **out, struct am_err *err);

/* ---- reader.c: packets of the one video stream, from memory ---- */

struct video_memory {
    const uint8_t *ptr;
    int64_t len, at;
};
struct video_reader {
    struct video_memory memory;
    const struct video_kind *kind;
    const struct am_video_take *take; /* of the deadline and the stop */
    AVIOContext *io;
    AVFormatContext *format;
    int stream;         /* -1 = not seen yet */
    enum am_rc stopped; /* what ended it, once it is over */
    AVPacket *packet;
};
/* Not AM_OK: closed already. take must outlive it, and r keep its place. */
enum am_rc video_open(struct am_str bytes, const struct am_video_take *take, struct video_reader *r,
                      struct am_err *err);
void video_close(struct video_reader *r);
/* *end = no more. The packet is the reader's, until the next call. */
enum am_rc video_next(struct video_reader *r, bool *end, struct am_err *err);
/* The stream's parameters; only once a packet of it came, or it was told by the header. */
const AVCodecParameters *video_parameters(const struct video_reader *r);
enum am_rc video_check_size(int64_t width, int64_t height, struct am_err *err);
enum am_rc video_no_stream(const struct video_reader *r, struct am_err *err);
/* The time or the caller's patience is over. */
enum am_rc video_stopped(struct video_reader *r, struct am_err *err);
enum am_rc video_damaged(struct video_reader *r, int code, struct am_err *err);

/* ---- frames.c ---- */

const char *video_decoder_name(enum AVCodecID id); /* NULL = none that is used */
enum am_rc video_frames(struct am_str bytes, const struct am_video_take *take,
                        am_video_frame *frame, void *ctx, struct am_err *err);
int video_turn(const AVStream *s); /* quarter turns clockwise, 0 to 3 */

/* ---- picture.c: a decoded frame as upright RGB ---- */

struct SwsContext;
struct video_picture {
    struct SwsContext *scale;
    uint8_t *rgb, *turned; /* owned; turned NULL unless there are turns */
    size_t n;              /* bytes of each */
};
enum am_rc video_picture(struct video_picture *p, const AVFrame *f, int turns, struct am_image *out,
                         struct am_err *err);
void video_picture_clear(struct video_picture *p);

#endif
