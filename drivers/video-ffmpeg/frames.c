/* Decoding, and which frames are given.
 *
 * A frame's time is its presentation time where the file tells one (MP4, Matroska), else its
 * number. Frame i wanted is the last one whose time is not after the wanted time, the first one
 * before all. The wanted times need the length: it comes from the packets, without decoding, or,
 * where packets are no frames (AVI with B-frames, MPEG), from decoding the file once more.
 * Where packets have times, what lies between the key frame before a wanted time and the one before
 * the next is not decoded. One thread of the library, errors of the stream are errors. */
#include <libavutil/display.h>
#include <math.h>

#include "driver_int.h"

static const struct {
    enum AVCodecID id;
    const char *decoder;
} decoders[] = {
    {AV_CODEC_ID_H264, "h264"},
    {AV_CODEC_ID_HEVC, "hevc"},
    {AV_CODEC_ID_AV1, "libdav1d"},
    {AV_CODEC_ID_VP8, "vp8"},
    {AV_CODEC_ID_VP9, "vp9"},
    {AV_CODEC_ID_MPEG4, "mpeg4"},
    {AV_CODEC_ID_MPEG1VIDEO, "mpeg1video"},
    {AV_CODEC_ID_MPEG2VIDEO, "mpeg2video"},
    {AV_CODEC_ID_H263, "h263"},
    {AV_CODEC_ID_MSMPEG4V2, "msmpeg4v2"},
    {AV_CODEC_ID_MSMPEG4V3, "msmpeg4"},
    {AV_CODEC_ID_WMV1, "wmv1"},
    {AV_CODEC_ID_WMV2, "wmv2"},
    {AV_CODEC_ID_FLV1, "flv"},
    {AV_CODEC_ID_THEORA, "theora"},
    {AV_CODEC_ID_MJPEG, "mjpeg"},
    {AV_CODEC_ID_CINEPAK, "cinepak"},
    {AV_CODEC_ID_FFV1, "ffv1"},
    {AV_CODEC_ID_RAWVIDEO, "rawvideo"},
};

const char *video_decoder_name(enum AVCodecID id)
{
    for (size_t i = 0; i < sizeof decoders / sizeof decoders[0]; i++)
        if (decoders[i].id == id)
            return decoders[i].decoder;
    return NULL;
}

int video_turn(const AVStream *s)
{
    size_t n = 0;
    const uint8_t *m = av_stream_get_side_data(s, AV_PKT_DATA_DISPLAYMATRIX, &n);
    if (!m || n < 9 * sizeof(int32_t))
        return 0;
    double degrees = -av_display_rotation_get((const int32_t *)(const void *)m);
    if (!isfinite(degrees))
        return 0;
    return (int)lrint(degrees / 90) & 3;
}

/* ---- decoding frame by frame ---- */

struct decoding {
    struct video_reader reader;
    AVCodecContext *codec;
    AVFrame *frame;
    uint64_t n_frames, n_pixels; /* so far */
    bool drained;
    int64_t start; /* the key frame to go on from; INT64_MIN = all are decoded */
    int64_t key;   /* the last key frame that was decoded; INT64_MIN = none */
    int64_t floor; /* what is shown before it belongs to frames that were left out */
};

static enum am_rc open_decoder(struct decoding *d, struct am_err *err)
{
    const AVCodecParameters *p = video_parameters(&d->reader);
    const char *name = p ? video_decoder_name(p->codec_id) : NULL;
    const AVCodec *codec = name ? avcodec_find_decoder_by_name(name) : NULL;
    if (!codec)
        return FAIL(err, AM_EINVAL, "videos of the codec %s are not read",
                    avcodec_get_name(p ? p->codec_id : AV_CODEC_ID_NONE));
    d->codec = avcodec_alloc_context3(codec);
    if (!d->codec)
        return video_host->fail_nomem(err, sizeof *d->codec, __FILE__, __LINE__);
    int code = avcodec_parameters_to_context(d->codec, p);
    d->codec->thread_count = 1;
    d->codec->max_pixels = AM_LIMIT_VIDEO_PIXELS;
    d->codec->flags |= AV_CODEC_FLAG_BITEXACT;
    d->codec->err_recognition = AV_EF_CRCCHECK | AV_EF_BITSTREAM | AV_EF_BUFFER | AV_EF_EXPLODE;
    d->codec->pkt_timebase = d->reader.format->streams[d->reader.stream]->time_base;
    if (code >= 0)
        code = avcodec_open2(d->codec, codec, NULL);
    return code < 0 ? video_damaged(&d->reader, code, err) : AM_OK;
}

static enum am_rc count_frame(struct decoding *d, struct am_err *err)
{
    const AVFrame *f = d->frame;
    enum am_rc rc = video_check_size(f->width, f->height, err);
    if (rc != AM_OK)
        return rc;
    if ((f->flags & AV_FRAME_FLAG_CORRUPT) || f->decode_error_flags)
        return video_damaged(&d->reader, AVERROR_INVALIDDATA, err);
    d->n_frames++;
    d->n_pixels += (uint64_t)f->width * (uint64_t)f->height;
    if (d->n_frames > AM_LIMIT_VIDEO_FRAMES)
        return FAIL(err, AM_ELIMIT, "the video has more than %u frames", AM_LIMIT_VIDEO_FRAMES);
    if (d->n_pixels > AM_LIMIT_VIDEO_DECODED)
        return FAIL(err, AM_ELIMIT, "the frames of the video have more than %zu pixels together",
                    AM_LIMIT_VIDEO_DECODED);
    return AM_OK;
}

/* H.264 in MP4 and Matroska: a key frame may need what is before it, unless it is an IDR picture
 * (ITU-T H.264, 7.4.1.2.4; units of a length and a header byte, ISO/IEC 14496-15). */
static bool is_idr(const AVPacket *p, const AVCodecParameters *c)
{
    if (c->extradata_size < 7 || c->extradata[0] != 1)
        return false;
    size_t n_length = (size_t)(c->extradata[4] & 3) + 1, size = (size_t)p->size;
    for (size_t at = 0; size - at > n_length;) {
        size_t n = 0;
        for (size_t i = 0; i < n_length; i++)
            n = n << 8 | p->data[at + i];
        at += n_length;
        if (n == 0 || n > size - at)
            return false;
        unsigned type = p->data[at] & 31;
        if (type == 1 || type == 5)
            return type == 5;
        at += n;
    }
    return false;
}

/* May decoding begin here? */
static bool starts(const AVPacket *p, const AVCodecParameters *c)
{
    return (p->flags & AV_PKT_FLAG_KEY) && p->pts != AV_NOPTS_VALUE &&
           (c->codec_id != AV_CODEC_ID_H264 || is_idr(p, c));
}

/* Is this packet to be decoded? Jumps to the key frame where nothing before it is wanted any more.
 */
static bool takes(struct decoding *d)
{
    const AVPacket *p = d->reader.packet;
    bool is_key = starts(p, video_parameters(&d->reader));
    if (d->start > d->key) {
        if (!is_key || p->pts != d->start)
            return false;
        if (d->codec)
            avcodec_flush_buffers(d->codec);
        d->floor = p->pts;
    }
    if (is_key && p->pts > d->key)
        d->key = p->pts;
    return p->pts == AV_NOPTS_VALUE || p->pts >= d->floor;
}

static enum am_rc feed(struct decoding *d, struct am_err *err)
{
    bool end;
    enum am_rc rc;
    do
        rc = video_next(&d->reader, &end, err);
    while (rc == AM_OK && !end && !takes(d));
    if (rc != AM_OK)
        return rc;
    if (end && d->reader.stream < 0)
        return video_no_stream(&d->reader, err);
    if (!d->codec && (rc = open_decoder(d, err)) != AM_OK)
        return rc;
    d->drained = end;
    int code = avcodec_send_packet(d->codec, end ? NULL : d->reader.packet);
    if (code == AVERROR_EOF)
        return AM_OK;
    return code < 0 ? video_damaged(&d->reader, code, err) : AM_OK;
}

/* The next frame in d->frame, in order of presentation. */
static enum am_rc next_frame(struct decoding *d, bool *end, struct am_err *err)
{
    *end = false;
    for (;;) {
        int code = d->codec ? avcodec_receive_frame(d->codec, d->frame) : AVERROR(EAGAIN);
        if (code >= 0)
            return count_frame(d, err);
        if (code == AVERROR_EOF) {
            *end = true;
            return AM_OK;
        }
        if (code != AVERROR(EAGAIN))
            return video_damaged(&d->reader, code, err);
        if (d->drained)
            return video_damaged(&d->reader, AVERROR_INVALIDDATA, err);
        enum am_rc rc = feed(d, err);
        if (rc != AM_OK)
            return rc;
    }
}

static enum am_rc start_decoding(struct am_str bytes, const struct am_video_take *take,
                                 struct decoding *d, struct am_err *err)
{
    *d = (struct decoding){
        .frame = av_frame_alloc(), .start = INT64_MIN, .key = INT64_MIN, .floor = INT64_MIN};
    if (!d->frame)
        return video_host->fail_nomem(err, sizeof *d->frame, __FILE__, __LINE__);
    return video_open(bytes, take, &d->reader, err);
}

static void end_decoding(struct decoding *d)
{
    av_frame_free(&d->frame);
    avcodec_free_context(&d->codec);
    video_close(&d->reader);
}

/* ---- the length ---- */

struct length {
    bool by_time;
    double first, span; /* in seconds of the stream, or in frames */
    double per_second;  /* what a second is in these */
    int64_t *keys;      /* owned; times of the key frames, ascending; none = all is decoded */
    size_t n_keys, cap;
};

#define TIME_MAX (INT64_C(1) << 60) /* times of hostile files */

/* Key frames whose times do not ascend are of no use: none is kept. */
static enum am_rc keep_key(struct length *l, int64_t time, struct am_err *err)
{
    if (l->cap == SIZE_MAX || (l->n_keys > 0 && time <= l->keys[l->n_keys - 1])) {
        l->n_keys = 0;
        l->cap = SIZE_MAX;
        return AM_OK;
    }
    if (l->n_keys == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 64;
        int64_t *keys = video_host->realloc_array(l->keys, cap, sizeof *keys);
        if (!keys)
            return video_host->fail_nomem(err, cap * sizeof *keys, __FILE__, __LINE__);
        l->keys = keys;
        l->cap = cap;
    }
    l->keys[l->n_keys++] = time;
    return AM_OK;
}

struct times { /* of the packets of shown frames */
    int64_t low, high, n;
    bool known; /* all of them */
};

static void see_time(struct times *t, int64_t time)
{
    t->known = t->known && time != AV_NOPTS_VALUE && time < TIME_MAX && time > -TIME_MAX;
    t->low = time < t->low ? time : t->low;
    t->high = time > t->high ? time : t->high;
    t->n++;
}

/* The span is 0 where the times tell nothing. */
static void settle_length(const struct times *t, AVRational base, struct length *out)
{
    double unit = av_q2d(base);
    if (!t->known || t->n == 0 || !(unit > 0) || !isfinite(unit) || (t->n > 1 && t->high <= t->low))
        return;
    double shown = t->n > 1 ? (double)(t->high - t->low) : 0;
    out->by_time = true;
    out->first = (double)t->low;
    out->span = shown + (t->n > 1 ? shown / (double)(t->n - 1) : 1);
    out->per_second = 1 / unit;
}

/* From the packets. */
static enum am_rc length_by_times(struct am_str bytes, const struct am_video_take *take,
                                  struct length *out, struct am_err *err)
{
    struct video_reader r;
    struct times t = {.low = INT64_MAX, .high = INT64_MIN, .known = true};
    bool end = false;
    enum am_rc rc = video_open(bytes, take, &r, err);
    if (rc != AM_OK)
        return rc;
    while (t.n <= AM_LIMIT_VIDEO_FRAMES && (rc = video_next(&r, &end, err)) == AM_OK && !end) {
        const AVPacket *p = r.packet;
        if (starts(p, video_parameters(&r)) && (rc = keep_key(out, p->pts, err)) != AM_OK)
            break;
        if (!(p->flags & AV_PKT_FLAG_DISCARD))
            see_time(&t, p->pts);
    }
    if (rc == AM_OK && r.stream < 0)
        rc = video_no_stream(&r, err);
    if (rc == AM_OK && r.stream >= 0)
        settle_length(&t, r.format->streams[r.stream]->time_base, out);
    video_close(&r);
    return rc;
}

static double frames_a_second(const struct decoding *d)
{
    const AVStream *s = d->reader.format->streams[d->reader.stream];
    double rate = av_q2d(s->avg_frame_rate.num > 0 ? s->avg_frame_rate : s->r_frame_rate);
    if (!(rate > 0) || !isfinite(rate))
        rate = av_q2d(d->codec->framerate);
    return rate > 0 && isfinite(rate) ? rate : 25;
}

/* By decoding all. */
static enum am_rc length_by_number(struct am_str bytes, const struct am_video_take *take,
                                   struct length *out, struct am_err *err)
{
    struct decoding d;
    bool end = false;
    enum am_rc rc = start_decoding(bytes, take, &d, err);
    while (rc == AM_OK && !end)
        rc = next_frame(&d, &end, err);
    if (rc == AM_OK && d.n_frames == 0)
        rc = video_damaged(&d.reader, 0, err);
    if (rc == AM_OK) {
        out->n_keys = 0;
        out->span = (double)d.n_frames;
        out->per_second = frames_a_second(&d);
    }
    end_decoding(&d);
    return rc;
}

/* ---- choosing ---- */

struct giving {
    const struct am_video_take *take;
    struct length length;
    am_video_frame *frame;
    void *ctx;
    uint32_t next; /* of the wanted ones */
    int turns;
    struct video_picture picture;
};

static double wanted_time(const struct giving *g)
{
    const struct length *l = &g->length;
    double i = (double)g->next;
    return g->take->fps > 0 ? l->first + i / g->take->fps * l->per_second
                            : l->first + (i + 0.5) * l->span / (double)g->take->n_frames;
}

/* The last key frame that is not after the next wanted time. */
static int64_t key_before(const struct giving *g)
{
    const struct length *l = &g->length;
    double time = wanted_time(g);
    size_t low = 0, high = l->n_keys; /* keys below low are not after it, those from high on are */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((double)l->keys[middle] <= time)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 ? l->keys[low - 1] : INT64_MIN;
}

static enum am_rc give(struct giving *g, const AVFrame *f, struct am_err *err)
{
    struct am_image i;
    enum am_rc rc = video_picture(&g->picture, f, g->turns, &i, err);
    if (rc == AM_OK)
        rc = g->frame(g->ctx, g->next, &i, err);
    g->next++;
    return rc;
}

/* All wanted before `time` are `held`, or the first frame where nothing was held. */
static enum am_rc give_until(struct giving *g, double time, const AVFrame *held, const AVFrame *now,
                             struct am_err *err)
{
    enum am_rc rc = AM_OK;
    while (rc == AM_OK && g->next < g->take->n_frames && wanted_time(g) < time)
        rc = give(g, held->buf[0] ? held : now, err);
    return rc;
}

static enum am_rc give_all(struct decoding *d, struct giving *g, AVFrame *held, struct am_err *err)
{
    enum am_rc rc = AM_OK;
    double time = -INFINITY;
    bool end = false;
    while (rc == AM_OK && g->next < g->take->n_frames) {
        d->start = key_before(g);
        rc = next_frame(d, &end, err);
        if (rc != AM_OK || end)
            break;
        double t = g->length.by_time
                       ? d->frame->pts != AV_NOPTS_VALUE ? (double)d->frame->pts : time
                       : (double)(d->n_frames - 1);
        time = t > time ? t : time;
        if (d->n_frames == 1)
            g->turns = video_turn(d->reader.format->streams[d->reader.stream]);
        rc = give_until(g, time, held, d->frame, err);
        av_frame_unref(held);
        av_frame_move_ref(held, d->frame);
    }
    if (rc == AM_OK && end && !held->buf[0])
        return video_damaged(&d->reader, 0, err);
    return rc == AM_OK && end ? give_until(g, INFINITY, held, held, err) : rc;
}

enum am_rc video_frames(struct am_str bytes, const struct am_video_take *take,
                        am_video_frame *frame, void *ctx, struct am_err *err)
{
    struct giving g = {.take = take, .frame = frame, .ctx = ctx};
    const struct video_kind *kind = NULL;
    struct decoding d = {0};
    AVFrame *held = NULL;
    enum am_rc rc = video_kind_of(bytes, &kind, err);
    if (rc == AM_OK && kind->has_times && take->n_frames > 0)
        rc = length_by_times(bytes, take, &g.length, err);
    if (rc == AM_OK && !(g.length.span > 0))
        rc = length_by_number(bytes, take, &g.length, err);
    if (rc != AM_OK || take->n_frames == 0) {
        video_host->free(g.length.keys);
        return rc;
    }
    held = av_frame_alloc();
    rc = held ? start_decoding(bytes, take, &d, err)
              : video_host->fail_nomem(err, sizeof *held, __FILE__, __LINE__);
    if (rc == AM_OK)
        rc = give_all(&d, &g, held, err);
    end_decoding(&d);
    av_frame_free(&held);
    video_picture_clear(&g.picture);
    video_host->free(g.length.keys);
    return rc;
}
