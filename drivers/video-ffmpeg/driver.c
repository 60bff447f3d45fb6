/* The driver video-ffmpeg: the video port of tensor/media.h over FFmpeg's libraries, from memory.
 *
 * Bytes come from anybody: the first bytes choose one demuxer out of a short list (shape.c), it
 * reaches no protocol and no second file (reader.c), decoders are of a short list (frames.c), sizes
 * are checked before a frame is decoded, one thread, a deadline at every packet. Thread-safe: each
 * call opens its own. */
#include <libavutil/log.h>
#include <libavutil/mem.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "driver_int.h"
#include "tensor/ports_abi.h"

#define LARGEST ((size_t)1 << 29) /* one allocation of the library */

const struct am_host *video_host;

static void no_log(void *ctx, int level, const char *format, va_list args)
{
    (void)ctx;
    (void)level;
    (void)format;
    (void)args;
}

static enum am_rc start(const struct am_host *h, struct am_err *err)
{
    (void)err;
    if (h->size != sizeof *h)
        return AM_ECONFLICT;
    video_host = h;
    av_log_set_callback(no_log);
    av_max_alloc(LARGEST);
    return AM_OK;
}

static void put_name(char out[16], const char *name)
{
    (void)snprintf(out, 16, "%s", name);
}

/* Kinds whose header tells no size: of the first frame. */
static enum am_rc first_frame(void *ctx, uint32_t i, struct am_image *frame, struct am_err *err)
{
    struct am_video_info *out = ctx;
    (void)i;
    (void)err;
    out->width = frame->width;
    out->height = frame->height;
    return AM_ECANCELED;
}

static enum am_rc size_by_decoding(struct am_str bytes, struct am_video_info *out,
                                   struct am_err *err)
{
    const struct am_video_take take = {.n_frames = 1, .fps = 1};
    struct am_err own = {0};
    enum am_rc rc = video_frames(bytes, &take, first_frame, out, &own);
    if (rc == AM_ECANCELED && out->width)
        return AM_OK;
    if (err)
        *err = own;
    return rc;
}

static enum am_rc probe(struct am_str bytes, struct am_video_info *out, struct am_err *err)
{
    const struct am_video_take take = {0};
    struct video_reader r;
    bool end = false;
    uint64_t n = 0;
    *out = (struct am_video_info){0};
    enum am_rc rc = video_open(bytes, &take, &r, err);
    if (rc != AM_OK)
        return rc;
    while ((rc = video_next(&r, &end, err)) == AM_OK && !end && n <= AM_LIMIT_VIDEO_FRAMES)
        n += !(r.packet->flags & AV_PKT_FLAG_DISCARD);
    if (rc == AM_OK && r.stream < 0)
        rc = video_no_stream(&r, err);
    if (rc == AM_OK && n == 0)
        rc = FAIL(err, AM_EINVAL, "the video has no frames");
    if (rc == AM_OK) {
        const AVCodecParameters *p = video_parameters(&r);
        int turns = video_turn(r.format->streams[r.stream]);
        out->n_frames = (uint32_t)n;
        out->width = (uint32_t)(turns & 1 ? p->height : p->width);
        out->height = (uint32_t)(turns & 1 ? p->width : p->height);
        put_name(out->format, r.kind->name);
        put_name(out->codec, avcodec_get_name(p->codec_id));
    }
    video_close(&r);
    if (rc == AM_OK && (out->width == 0 || out->height == 0))
        rc = size_by_decoding(bytes, out, err);
    return rc;
}

static enum am_rc frames(struct am_str bytes, const struct am_video_take *take,
                         am_video_frame *frame, void *ctx, struct am_err *err)
{
    return video_frames(bytes, take, frame, ctx, err);
}

static const char *version(void)
{
    static char text[64];
    static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&once);
    if (!text[0]) {
        unsigned f = avformat_version(), c = avcodec_version();
        (void)snprintf(text, sizeof text, "libavformat %u.%u.%u, libavcodec %u.%u.%u", f >> 16,
                       f >> 8 & 255, f & 255, c >> 16, c >> 8 & 255, c & 255);
    }
    pthread_mutex_unlock(&once);
    return text;
}

static const struct am_videos_ops ops = {.abi = AM_PORTS_ABI,
                                         .size = sizeof ops,
                                         .name = "video-ffmpeg",
                                         .start = start,
                                         .probe = probe,
                                         .frames = frames,
                                         .version = version};

extern const struct am_videos_ops *const am_module;
__attribute__((visibility("default"))) const struct am_videos_ops *const am_module = &ops;
