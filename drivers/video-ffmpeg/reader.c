/* The library's demultiplexer over memory: no protocol, no second file, the demuxer chosen by us,
 * streams counted, one of them read. Every packet asks for the deadline. */
#include <stdio.h>
#include <string.h>

#include "driver_int.h"

#define IO_BYTES 32768

static int memory_read(void *opaque, uint8_t *out, int n)
{
    struct video_memory *m = opaque;
    int64_t left = m->len - m->at;
    if (left <= 0)
        return AVERROR_EOF;
    if (n > left)
        n = (int)left;
    memcpy(out, m->ptr + m->at, (size_t)n);
    m->at += n;
    return n;
}

static int64_t memory_seek(void *opaque, int64_t offset, int whence)
{
    struct video_memory *m = opaque;
    int64_t base = 0, to;
    whence &= ~AVSEEK_FORCE;
    if (whence == AVSEEK_SIZE)
        return m->len;
    if (whence == SEEK_CUR)
        base = m->at;
    else if (whence == SEEK_END)
        base = m->len;
    else if (whence != SEEK_SET)
        return AVERROR(EINVAL);
    if (__builtin_add_overflow(base, offset, &to) || to < 0)
        return AVERROR(EINVAL);
    m->at = to > m->len ? m->len : to;
    return to > m->len ? AVERROR(EINVAL) : to;
}

/* Playlists and references to other files end here. */
static int refuse_file(struct AVFormatContext *s, AVIOContext **pb, const char *url, int flags,
                       AVDictionary **options)
{
    (void)s;
    (void)url;
    (void)flags;
    (void)options;
    *pb = NULL;
    return AVERROR(EPERM);
}

static bool is_over(struct video_reader *r)
{
    const struct am_video_take *t = r->take;
    if (r->stopped == AM_OK && t->stop && t->stop(t->stop_ctx))
        r->stopped = AM_ECANCELED;
    if (r->stopped == AM_OK && t->deadline_ns && video_host->mono_ns() > t->deadline_ns)
        r->stopped = AM_ETIMEDOUT;
    return r->stopped != AM_OK;
}

static int interrupted(void *opaque)
{
    return is_over(opaque);
}

enum am_rc video_stopped(struct video_reader *r, struct am_err *err)
{
    if (!is_over(r))
        return AM_OK;
    return r->stopped == AM_ECANCELED ? FAIL(err, AM_ECANCELED, "the decoding was stopped")
                                      : FAIL(err, AM_ETIMEDOUT, "decoding the video took too long");
}

enum am_rc video_damaged(struct video_reader *r, int code, struct am_err *err)
{
    char text[AV_ERROR_MAX_STRING_SIZE] = "";
    if (code == AVERROR(ENOMEM)) /* av_max_alloc and max_streams end so, too */
        return FAIL(err, AM_ELIMIT, "the %s video needs more memory or streams than are allowed",
                    r->kind->name);
    enum am_rc rc = video_stopped(r, err);
    if (rc != AM_OK)
        return rc;
    (void)av_strerror(code, text, sizeof text);
    return FAIL(err, AM_EINVAL, "the %s video is damaged or incomplete: %s", r->kind->name,
                code ? text : "no frame");
}

enum am_rc video_no_stream(const struct video_reader *r, struct am_err *err)
{
    for (unsigned i = 0; i < r->format->nb_streams; i++)
        if (r->format->streams[i]->codecpar->codec_type == AVMEDIA_TYPE_AUDIO)
            return FAIL(err, AM_EINVAL, "the file holds sound and no video");
    return FAIL(err, AM_EINVAL, "the file holds no video");
}

enum am_rc video_check_size(int64_t width, int64_t height, struct am_err *err)
{
    if (width >= 0 && height >= 0 && width <= AM_LIMIT_IMAGE_SIDE &&
        height <= AM_LIMIT_IMAGE_SIDE && (uint64_t)(width * height) <= AM_LIMIT_VIDEO_PIXELS)
        return AM_OK;
    return FAIL(err, AM_ELIMIT,
                "the video has frames of %lld x %lld pixels, at most %zu (%u on a side) are "
                "allowed",
                (long long)width, (long long)height, AM_LIMIT_VIDEO_PIXELS, AM_LIMIT_IMAGE_SIDE);
}

static bool is_video(const AVStream *s)
{
    return s->codecpar->codec_type == AVMEDIA_TYPE_VIDEO &&
           !(s->disposition & AV_DISPOSITION_ATTACHED_PIC);
}

static enum am_rc too_many_streams(struct am_err *err)
{
    return FAIL(err, AM_ELIMIT, "the video has more than %u streams", AM_LIMIT_VIDEO_STREAMS);
}

/* The first video stream, if there is one yet; all others are left out. */
static enum am_rc choose_stream(struct video_reader *r, struct am_err *err)
{
    const AVFormatContext *f = r->format;
    if (f->nb_streams > AM_LIMIT_VIDEO_STREAMS)
        return too_many_streams(err);
    for (unsigned i = 0; i < f->nb_streams; i++) {
        if (r->stream < 0 && is_video(f->streams[i]))
            r->stream = (int)i;
        f->streams[i]->discard =
            r->stream < 0 || r->stream == (int)i ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
    }
    if (r->stream < 0)
        return AM_OK;
    const AVCodecParameters *p = f->streams[r->stream]->codecpar;
    if (p->codec_id != AV_CODEC_ID_NONE && !video_decoder_name(p->codec_id))
        return FAIL(err, AM_EINVAL, "videos of the codec %s are not read",
                    avcodec_get_name(p->codec_id));
    return video_check_size(p->width, p->height, err);
}

static int open_format(struct video_reader *r)
{
    AVDictionary *options = NULL;
    int code = av_dict_set(&options, "format_whitelist", r->kind->demuxer, 0);
    if (code >= 0)
        code = av_dict_set(&options, "protocol_whitelist", "none", 0);
    if (code >= 0)
        code =
            avformat_open_input(&r->format, "", av_find_input_format(r->kind->demuxer), &options);
    av_dict_free(&options);
    return code;
}

static enum am_rc start_reader(struct video_reader *r, struct am_err *err)
{
    uint8_t *buffer = av_malloc(IO_BYTES);
    r->packet = av_packet_alloc();
    r->format = avformat_alloc_context();
    r->io =
        buffer ? avio_alloc_context(buffer, IO_BYTES, 0, &r->memory, memory_read, NULL, memory_seek)
               : NULL;
    if (!r->io)
        av_free(buffer);
    if (!r->packet || !r->format || !r->io)
        return video_host->fail_nomem(err, IO_BYTES, __FILE__, __LINE__);
    r->format->pb = r->io;
    r->format->flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_BITEXACT;
    r->format->io_open = refuse_file;
    r->format->interrupt_callback = (AVIOInterruptCB){interrupted, r};
    int code = open_format(r);
    if (code < 0) {
        r->format = NULL; /* freed by the library */
        return video_damaged(r, code, err);
    }
    return choose_stream(r, err);
}

enum am_rc video_open(struct am_str bytes, const struct am_video_take *take, struct video_reader *r,
                      struct am_err *err)
{
    *r = (struct video_reader){
        .memory = {(const uint8_t *)bytes.ptr, (int64_t)bytes.len, 0}, .take = take, .stream = -1};
    enum am_rc rc = video_kind_of(bytes, &r->kind, err);
    if (rc == AM_OK)
        rc = start_reader(r, err);
    if (rc != AM_OK)
        video_close(r);
    return rc;
}

void video_close(struct video_reader *r)
{
    av_packet_free(&r->packet);
    avformat_close_input(&r->format);
    if (r->io)
        av_freep(&r->io->buffer);
    avio_context_free(&r->io);
}

enum am_rc video_next(struct video_reader *r, bool *end, struct am_err *err)
{
    for (;;) {
        *end = false;
        enum am_rc rc = video_stopped(r, err);
        if (rc != AM_OK)
            return rc;
        av_packet_unref(r->packet);
        int code = av_read_frame(r->format, r->packet);
        if (code == AVERROR_EOF) {
            *end = true;
            return AM_OK;
        }
        if (code < 0)
            return video_damaged(r, code, err);
        if (r->stream < 0 && (rc = choose_stream(r, err)) != AM_OK)
            return rc;
        if (r->format->nb_streams > AM_LIMIT_VIDEO_STREAMS)
            return too_many_streams(err);
        if (r->packet->stream_index != r->stream)
            continue;
        if (r->packet->flags & AV_PKT_FLAG_CORRUPT)
            return FAIL(err, AM_EINVAL,
                        "the %s video is damaged or incomplete: a part of it is "
                        "missing",
                        r->kind->name);
        return AM_OK;
    }
}

const AVCodecParameters *video_parameters(const struct video_reader *r)
{
    return r->stream < 0 ? NULL : r->format->streams[r->stream]->codecpar;
}
