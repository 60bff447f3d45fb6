/* A decoded frame as upright 8-bit RGB: the library changes colours (its exact, slower way, so that
 * bits do not depend on the CPU), we turn. Unspecified colours are BT.601 in the narrow range, as
 * everywhere. */
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

#include "driver_int.h"

#define SLACK 64 /* the library may write a little beyond a line */

static int matrix_of(const AVFrame *f)
{
    switch (f->colorspace) {
    case AVCOL_SPC_BT709:
        return SWS_CS_ITU709;
    case AVCOL_SPC_FCC:
        return SWS_CS_FCC;
    case AVCOL_SPC_SMPTE240M:
        return SWS_CS_SMPTE240M;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL:
        return SWS_CS_BT2020;
    default:
        return SWS_CS_ITU601;
    }
}

static bool is_wide(const AVFrame *f)
{
    return f->color_range == AVCOL_RANGE_JPEG || f->format == AV_PIX_FMT_YUVJ420P ||
           f->format == AV_PIX_FMT_YUVJ422P || f->format == AV_PIX_FMT_YUVJ444P ||
           f->format == AV_PIX_FMT_YUVJ440P || f->format == AV_PIX_FMT_YUVJ411P;
}

static enum am_rc prepare(struct video_picture *p, const AVFrame *f, int turns, struct am_err *err)
{
    enum AVPixelFormat format = (enum AVPixelFormat)f->format;
    size_t n = (size_t)f->width * (size_t)f->height * 3;
    if (!sws_isSupportedInput(format)) {
        const char *name = av_get_pix_fmt_name(format);
        return FAIL(err, AM_EINVAL, "frames of the form %s are not read", name ? name : "unknown");
    }
    if (p->n != n) {
        video_host->free(p->rgb);
        video_host->free(p->turned);
        p->turned = NULL;
        p->n = 0;
        p->rgb = video_host->alloc(n + SLACK);
        if (!p->rgb)
            return video_host->fail_nomem(err, n, __FILE__, __LINE__);
        p->n = n;
    }
    if (turns && !p->turned && !(p->turned = video_host->alloc(n)))
        return video_host->fail_nomem(err, n, __FILE__, __LINE__);
    p->scale = sws_getCachedContext(
        p->scale, f->width, f->height, format, f->width, f->height, AV_PIX_FMT_RGB24,
        SWS_BILINEAR | SWS_ACCURATE_RND | SWS_BITEXACT | SWS_FULL_CHR_H_INT, NULL, NULL, NULL);
    if (!p->scale)
        return video_host->fail_nomem(err, n, __FILE__, __LINE__);
    int *table, *inverse, from, to, brightness, contrast, saturation;
    if (sws_getColorspaceDetails(p->scale, &inverse, &from, &table, &to, &brightness, &contrast,
                                 &saturation) >= 0)
        (void)sws_setColorspaceDetails(p->scale, sws_getCoefficients(matrix_of(f)), is_wide(f),
                                       table, to, brightness, contrast, saturation);
    return AM_OK;
}

/* Quarter turns clockwise of [h, w, 3]. */
static void turn(const uint8_t *p, size_t w, size_t h, int turns, uint8_t *to)
{
    size_t rows = turns == 2 ? h : w, columns = turns == 2 ? w : h;
    for (size_t y = 0; y < rows; y++)
        for (size_t x = 0; x < columns; x++, to += 3) {
            size_t sy = turns == 2 ? h - 1 - y : turns == 1 ? h - 1 - x : x;
            size_t sx = turns == 2 ? w - 1 - x : turns == 1 ? y : w - 1 - y;
            const uint8_t *from = p + (sy * w + sx) * 3;
            to[0] = from[0];
            to[1] = from[1];
            to[2] = from[2];
        }
}

enum am_rc video_picture(struct video_picture *p, const AVFrame *f, int turns, struct am_image *out,
                         struct am_err *err)
{
    enum am_rc rc = video_check_size(f->width, f->height, err);
    if (rc == AM_OK && (f->width < 1 || f->height < 1))
        rc = FAIL(err, AM_EINVAL, "the video has frames without pixels");
    if (rc == AM_OK)
        rc = prepare(p, f, turns, err);
    if (rc != AM_OK)
        return rc;
    uint8_t *const lines[4] = {p->rgb, NULL, NULL, NULL};
    const int steps[4] = {f->width * 3, 0, 0, 0};
    if (sws_scale(p->scale, (const uint8_t *const *)f->data, f->linesize, 0, f->height, lines,
                  steps) != f->height)
        return FAIL(err, AM_EINVAL, "a frame of the video cannot be converted");
    if (turns)
        turn(p->rgb, (size_t)f->width, (size_t)f->height, turns, p->turned);
    *out = (struct am_image){.width = (uint32_t)(turns & 1 ? f->height : f->width),
                             .height = (uint32_t)(turns & 1 ? f->width : f->height),
                             .channels = 3,
                             .pixels = turns ? p->turned : p->rgb};
    return AM_OK;
}

void video_picture_clear(struct video_picture *p)
{
    sws_freeContext(p->scale);
    video_host->free(p->rgb);
    video_host->free(p->turned);
    *p = (struct video_picture){0};
}
