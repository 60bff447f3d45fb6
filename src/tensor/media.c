/* Pictures, sounds and videos: our raw form, and the dispatch of everything else to the decoders.
 *
 * Decoders are asked for at the first file that is not raw and kept for ever; what they return is
 * checked against base/limits.h before anybody uses it. Decoded memory is the caller's. Any thread
 * after am_media_set_loader. */
#include "tensor/media.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/limits.h"
#include "tensor/ports_abi.h"

static struct am_media_loader loader;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* one thread asks the loader */
static _Atomic(const struct am_images_ops *) images_ops;
static _Atomic(const struct am_sounds_ops *) sounds_ops;
static _Atomic(const struct am_videos_ops *) videos_ops;

void am_media_set_loader(const struct am_media_loader *l)
{
    pthread_mutex_lock(&lock);
    loader = l ? *l : (struct am_media_loader){0};
    atomic_store(&images_ops, NULL);
    atomic_store(&sounds_ops, NULL);
    atomic_store(&videos_ops, NULL);
    pthread_mutex_unlock(&lock);
}

static enum am_rc fail_other_build(const char *name, struct am_err *err)
{
    enum am_rc rc = am_fail(
        err, AM_ECONFLICT, "decoder \"%.60s\" was built for another version of this program", name);
    am_hint(err, "Build and install the program and its modules together.");
    return rc;
}

static enum am_rc images(const struct am_images_ops **out, struct am_err *err)
{
    *out = atomic_load(&images_ops);
    if (*out)
        return AM_OK;
    enum am_rc rc;
    pthread_mutex_lock(&lock);
    if (loader.images) {
        rc = loader.images(loader.ctx, out, err);
    } else {
        rc = am_fail(err, AM_EMISSING, "there is no decoder of pictures");
        am_hint(err,
                "Run scripts/setup and build again: it installs libvips, which reads pictures.");
    }
    if (rc == AM_OK && ((*out)->abi != AM_PORTS_ABI || (*out)->size != sizeof **out))
        rc = fail_other_build("images", err);
    if (rc == AM_OK)
        atomic_store(&images_ops, *out);
    pthread_mutex_unlock(&lock);
    return rc;
}

static enum am_rc sounds(const struct am_sounds_ops **out, struct am_err *err)
{
    *out = atomic_load(&sounds_ops);
    if (*out)
        return AM_OK;
    enum am_rc rc;
    pthread_mutex_lock(&lock);
    if (loader.sounds) {
        rc = loader.sounds(loader.ctx, out, err);
    } else {
        rc = am_fail(err, AM_EMISSING, "there is no decoder of sounds");
        am_hint(err,
                "Run scripts/setup and build again: it installs libsndfile, which reads sounds.");
    }
    if (rc == AM_OK && ((*out)->abi != AM_PORTS_ABI || (*out)->size != sizeof **out))
        rc = fail_other_build("sounds", err);
    if (rc == AM_OK)
        atomic_store(&sounds_ops, *out);
    pthread_mutex_unlock(&lock);
    return rc;
}

static enum am_rc videos(const struct am_videos_ops **out, struct am_err *err)
{
    *out = atomic_load(&videos_ops);
    if (*out)
        return AM_OK;
    enum am_rc rc;
    pthread_mutex_lock(&lock);
    if (loader.videos) {
        rc = loader.videos(loader.ctx, out, err);
    } else {
        rc = am_fail(err, AM_EMISSING, "there is no decoder of videos");
        am_hint(err, "Run scripts/setup and build again: it installs FFmpeg's libraries, which "
                     "read videos.");
    }
    if (rc == AM_OK && ((*out)->abi != AM_PORTS_ABI || (*out)->size != sizeof **out))
        rc = fail_other_build("videos", err);
    if (rc == AM_OK)
        atomic_store(&videos_ops, *out);
    pthread_mutex_unlock(&lock);
    return rc;
}

/* ---- the raw form ---- */

static uint32_t get_u32(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;
    return (uint32_t)u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 | (uint32_t)u[3] << 24;
}

static void put_u32(unsigned char *p, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (unsigned char)(v >> 8 * i);
}

static void raw_header(const char *magic, uint32_t channels, uint32_t a, uint32_t b,
                       unsigned char out[AM_MEDIA_RAW_BYTES])
{
    memcpy(out, magic, 4);
    out[4] = 1;
    out[5] = (unsigned char)channels;
    out[6] = out[7] = 0;
    put_u32(out + 8, a);
    put_u32(out + 12, b);
}

void am_image_raw_header(uint32_t width, uint32_t height, uint32_t channels,
                         unsigned char out[AM_MEDIA_RAW_BYTES])
{
    raw_header("AMIM", channels, width, height, out);
}

void am_sound_raw_header(uint32_t sample_rate, uint32_t channels, uint32_t n_frames,
                         unsigned char out[AM_MEDIA_RAW_BYTES])
{
    raw_header("AMAU", channels, sample_rate, n_frames, out);
}

void am_video_raw_header(uint32_t n_frames, uint32_t width, uint32_t height, uint32_t channels,
                         unsigned char out[AM_MEDIA_RAW_BYTES])
{
    raw_header("AMVI", channels, width, height, out);
    out[6] = (unsigned char)n_frames;
    out[7] = (unsigned char)(n_frames >> 8);
}

static bool is_raw(struct am_str bytes, const char *magic)
{
    return bytes.len >= 4 && memcmp(bytes.ptr, magic, 4) == 0;
}

static enum am_rc fail_raw(struct am_err *err)
{
    return am_fail(err, AM_EINVAL, "the header of the raw form is not valid");
}

static enum am_rc check_size(struct am_str bytes, struct am_err *err)
{
    if (bytes.len == 0)
        return am_fail(err, AM_EINVAL, "the file is empty");
    if (bytes.len > AM_LIMIT_MEDIA_FILE_BYTES)
        return am_fail(err, AM_ELIMIT, "the file has %zu bytes, at most %zu are allowed", bytes.len,
                       AM_LIMIT_MEDIA_FILE_BYTES);
    return AM_OK;
}

static enum am_rc check_image(const struct am_image_info *i, struct am_err *err)
{
    if (i->width == 0 || i->height == 0)
        return am_fail(err, AM_EINVAL, "the picture has %u x %u pixels", i->width, i->height);
    if (i->width > AM_LIMIT_IMAGE_SIDE || i->height > AM_LIMIT_IMAGE_SIDE ||
        (uint64_t)i->width * i->height > AM_LIMIT_IMAGE_PIXELS)
        return am_fail(err, AM_ELIMIT,
                       "the picture has %u x %u pixels, at most %zu (%u on a side) are allowed",
                       i->width, i->height, AM_LIMIT_IMAGE_PIXELS, AM_LIMIT_IMAGE_SIDE);
    if (i->channels != 1 && i->channels != 3 && i->channels != 4)
        return am_fail(err, AM_EINVAL, "the picture has %u channels, 1, 3 or 4 are read",
                       i->channels);
    return AM_OK;
}

static enum am_rc check_sound(const struct am_sound_info *s, struct am_err *err)
{
    if (s->n_frames == 0)
        return am_fail(err, AM_EINVAL, "the sound is empty");
    if (s->channels < 1 || s->channels > AM_LIMIT_SOUND_CHANNELS)
        return am_fail(err, AM_ELIMIT, "the sound has %u channels, 1 to %u are read", s->channels,
                       AM_LIMIT_SOUND_CHANNELS);
    if (s->sample_rate < 1 || s->sample_rate > AM_LIMIT_SOUND_RATE)
        return am_fail(err, AM_ELIMIT, "the sound has %u samples a second, at most %u are read",
                       s->sample_rate, AM_LIMIT_SOUND_RATE);
    if (s->n_frames > AM_LIMIT_SOUND_SAMPLES / s->channels)
        return am_fail(err, AM_ELIMIT, "the sound has %llu samples, at most %zu are allowed",
                       (unsigned long long)s->n_frames, AM_LIMIT_SOUND_SAMPLES / s->channels);
    return AM_OK;
}

static enum am_rc image_raw_info(struct am_str b, struct am_image_info *out, struct am_err *err)
{
    *out = (struct am_image_info){0};
    if (b.len < AM_MEDIA_RAW_BYTES || b.ptr[4] != 1 || b.ptr[6] || b.ptr[7])
        return fail_raw(err);
    struct am_image_info i = {.width = get_u32(b.ptr + 8),
                              .height = get_u32(b.ptr + 12),
                              .channels = (unsigned char)b.ptr[5],
                              .format = "raw",
                              .n_frames = 1};
    AM_TRY(check_image(&i, err));
    uint64_t n = (uint64_t)i.width * i.height * i.channels;
    if (b.len - AM_MEDIA_RAW_BYTES != n)
        return am_fail(err, AM_EINVAL, "%zu bytes of pixels, %llu were expected",
                       b.len - AM_MEDIA_RAW_BYTES, (unsigned long long)n);
    *out = i;
    return AM_OK;
}

static enum am_rc sound_raw_info(struct am_str b, struct am_sound_info *out, struct am_err *err)
{
    *out = (struct am_sound_info){0};
    if (b.len < AM_MEDIA_RAW_BYTES || b.ptr[4] != 1 || b.ptr[6] || b.ptr[7])
        return fail_raw(err);
    struct am_sound_info s = {.sample_rate = get_u32(b.ptr + 8),
                              .channels = (unsigned char)b.ptr[5],
                              .n_frames = get_u32(b.ptr + 12),
                              .format = "raw"};
    AM_TRY(check_sound(&s, err));
    uint64_t n = s.n_frames * s.channels * 2;
    if (b.len - AM_MEDIA_RAW_BYTES != n)
        return am_fail(err, AM_EINVAL, "%zu bytes of samples, %llu were expected",
                       b.len - AM_MEDIA_RAW_BYTES, (unsigned long long)n);
    *out = s;
    return AM_OK;
}

static enum am_rc check_video(const struct am_video_info *v, struct am_err *err)
{
    if (v->width == 0 || v->height == 0 || v->n_frames == 0)
        return am_fail(err, AM_EINVAL, "the video has %u frames of %u x %u pixels", v->n_frames,
                       v->width, v->height);
    if (v->width > AM_LIMIT_IMAGE_SIDE || v->height > AM_LIMIT_IMAGE_SIDE ||
        (uint64_t)v->width * v->height > AM_LIMIT_VIDEO_PIXELS)
        return am_fail(err, AM_ELIMIT,
                       "the video has frames of %u x %u pixels, at most %zu (%u on a side) are "
                       "allowed",
                       v->width, v->height, AM_LIMIT_VIDEO_PIXELS, AM_LIMIT_IMAGE_SIDE);
    if (v->n_frames > AM_LIMIT_VIDEO_FRAMES ||
        (uint64_t)v->width * v->height > AM_LIMIT_VIDEO_DECODED / v->n_frames)
        return am_fail(err, AM_ELIMIT,
                       "the video has %u frames of %u x %u pixels, at most %u of together %zu "
                       "pixels are allowed",
                       v->n_frames, v->width, v->height, AM_LIMIT_VIDEO_FRAMES,
                       AM_LIMIT_VIDEO_DECODED);
    return AM_OK;
}

static enum am_rc video_raw_info(struct am_str b, struct am_video_info *out, uint32_t *channels,
                                 struct am_err *err)
{
    *out = (struct am_video_info){0};
    if (b.len < AM_MEDIA_RAW_BYTES || b.ptr[4] != 1 || (b.ptr[5] != 1 && b.ptr[5] != 3))
        return fail_raw(err);
    struct am_video_info v = {.width = get_u32(b.ptr + 8),
                              .height = get_u32(b.ptr + 12),
                              .n_frames = get_u32(b.ptr + 4) >> 16,
                              .format = "raw",
                              .codec = "raw"};
    AM_TRY(check_video(&v, err));
    *channels = (unsigned char)b.ptr[5];
    uint64_t n = (uint64_t)v.width * v.height * *channels * v.n_frames;
    if (b.len - AM_MEDIA_RAW_BYTES != n)
        return am_fail(err, AM_EINVAL, "%zu bytes of pixels, %llu were expected",
                       b.len - AM_MEDIA_RAW_BYTES, (unsigned long long)n);
    *out = v;
    return AM_OK;
}

/* ---- both forms ---- */

enum am_rc am_image_probe(struct am_str bytes, struct am_image_info *out, struct am_err *err)
{
    const struct am_images_ops *ops;
    *out = (struct am_image_info){0};
    AM_TRY(check_size(bytes, err));
    if (is_raw(bytes, "AMIM"))
        return image_raw_info(bytes, out, err);
    AM_TRY(images(&ops, err));
    enum am_rc rc = ops->probe(bytes, out, err);
    if (rc == AM_OK)
        rc = check_image(out, err);
    if (rc != AM_OK)
        *out = (struct am_image_info){0};
    return rc;
}

enum am_rc am_image_decode(struct am_str bytes, struct am_image *out, struct am_err *err)
{
    const struct am_images_ops *ops;
    struct am_image_info i;
    *out = (struct am_image){0};
    AM_TRY(am_image_probe(bytes, &i, err)); /* nothing large is decoded */
    if (is_raw(bytes, "AMIM")) {
        size_t n = bytes.len - AM_MEDIA_RAW_BYTES;
        uint8_t *pixels = am_alloc(n);
        if (!pixels)
            return am_fail_nomem(err, n);
        memcpy(pixels, bytes.ptr + AM_MEDIA_RAW_BYTES, n);
        *out = (struct am_image){i.width, i.height, i.channels, pixels};
        return AM_OK;
    }
    AM_TRY(images(&ops, err));
    enum am_rc rc = ops->decode(bytes, out, err);
    if (rc == AM_OK && (!out->pixels || out->width != i.width || out->height != i.height ||
                        out->channels != i.channels))
        rc = am_fail(err, AM_EINTERNAL, "decoder \"%s\" gave another size than it told", ops->name);
    if (rc != AM_OK)
        am_image_clear(out);
    return rc;
}

void am_image_clear(struct am_image *i)
{
    am_free(i->pixels);
    *i = (struct am_image){0};
}

enum am_rc am_sound_probe(struct am_str bytes, struct am_sound_info *out, struct am_err *err)
{
    const struct am_sounds_ops *ops;
    *out = (struct am_sound_info){0};
    AM_TRY(check_size(bytes, err));
    if (is_raw(bytes, "AMAU"))
        return sound_raw_info(bytes, out, err);
    AM_TRY(sounds(&ops, err));
    enum am_rc rc = ops->probe(bytes, out, err);
    if (rc == AM_OK)
        rc = check_sound(out, err);
    if (rc != AM_OK)
        *out = (struct am_sound_info){0};
    return rc;
}

static enum am_rc decode_raw_sound(struct am_str bytes, const struct am_sound_info *s,
                                   struct am_sound *out, struct am_err *err)
{
    size_t n = (size_t)s->n_frames * s->channels;
    float *samples = am_alloc_array(n, sizeof *samples);
    if (!samples)
        return am_fail_nomem(err, n * sizeof *samples);
    const unsigned char *p = (const unsigned char *)bytes.ptr + AM_MEDIA_RAW_BYTES;
    for (size_t i = 0; i < n; i++)
        samples[i] = (float)(int16_t)(uint16_t)(p[2 * i] | p[2 * i + 1] << 8) / 32768.0f;
    *out = (struct am_sound){s->sample_rate, s->channels, s->n_frames, samples};
    return AM_OK;
}

enum am_rc am_sound_decode(struct am_str bytes, struct am_sound *out, struct am_err *err)
{
    const struct am_sounds_ops *ops;
    struct am_sound_info s;
    *out = (struct am_sound){0};
    AM_TRY(am_sound_probe(bytes, &s, err));
    if (is_raw(bytes, "AMAU"))
        return decode_raw_sound(bytes, &s, out, err);
    AM_TRY(sounds(&ops, err));
    enum am_rc rc = ops->decode(bytes, out, err);
    if (rc == AM_OK && (!out->samples || out->n_frames == 0 || out->channels != s.channels ||
                        out->n_frames > s.n_frames))
        rc = am_fail(err, AM_EINTERNAL, "decoder \"%s\" gave another size than it told", ops->name);
    if (rc != AM_OK)
        am_sound_clear(out);
    return rc;
}

void am_sound_clear(struct am_sound *s)
{
    am_free(s->samples);
    *s = (struct am_sound){0};
}

enum am_rc am_video_probe(struct am_str bytes, struct am_video_info *out, struct am_err *err)
{
    const struct am_videos_ops *ops;
    uint32_t channels;
    *out = (struct am_video_info){0};
    AM_TRY(check_size(bytes, err));
    if (is_raw(bytes, "AMVI"))
        return video_raw_info(bytes, out, &channels, err);
    AM_TRY(videos(&ops, err));
    enum am_rc rc = ops->probe(bytes, out, err);
    if (rc == AM_OK)
        rc = check_video(out, err);
    if (rc != AM_OK)
        *out = (struct am_video_info){0};
    return rc;
}

#define RAW_FPS 25

static enum am_rc raw_frames(struct am_str bytes, const struct am_video_take *take,
                             am_video_frame *frame, void *ctx, struct am_err *err)
{
    struct am_video_info v;
    uint32_t channels = 0;
    AM_TRY(video_raw_info(bytes, &v, &channels, err));
    size_t n = (size_t)v.width * v.height * channels;
    struct am_image i = {v.width, v.height, channels, NULL};
    uint8_t *pixels = am_alloc(n);
    enum am_rc rc = pixels ? AM_OK : am_fail_nomem(err, n);
    for (uint32_t k = 0; k < take->n_frames && rc == AM_OK; k++) {
        double at = take->fps > 0 ? (double)k / take->fps * RAW_FPS
                                  : ((double)k + 0.5) * v.n_frames / take->n_frames;
        size_t which = at < v.n_frames ? (size_t)at : v.n_frames - 1;
        memcpy(pixels, bytes.ptr + AM_MEDIA_RAW_BYTES + which * n, n);
        i.pixels = pixels;
        struct am_image lent = i;
        rc = frame(ctx, k, &lent, err);
    }
    am_free(pixels);
    return rc;
}

/* What a driver gives is checked before anybody uses it. */
struct checked {
    am_video_frame *frame;
    void *ctx;
    const char *name; /* of the driver */
    uint32_t next;
};

static enum am_rc checked_frame(void *ctx, uint32_t i, struct am_image *frame, struct am_err *err)
{
    struct checked *c = ctx;
    if (i != c->next || !c->frame || !frame->pixels || frame->channels != 3 || frame->width == 0 ||
        frame->height == 0)
        return am_fail(err, AM_EINTERNAL, "decoder \"%s\" gave a frame that was not asked for",
                       c->name);
    c->next++;
    return c->frame(c->ctx, i, frame, err);
}

enum am_rc am_video_frames(struct am_str bytes, const struct am_video_take *take,
                           am_video_frame *frame, void *ctx, struct am_err *err)
{
    const struct am_videos_ops *ops;
    struct am_video_info v;
    AM_TRY(am_video_probe(bytes, &v, err)); /* nothing large is decoded */
    if (is_raw(bytes, "AMVI"))
        return raw_frames(bytes, take, frame, ctx, err);
    AM_TRY(videos(&ops, err));
    struct am_video_take t = *take;
    struct checked c = {.frame = frame, .ctx = ctx, .name = ops->name};
    if (t.deadline_ns == 0)
        t.deadline_ns = am_mono_ns() + (uint64_t)AM_LIMIT_VIDEO_MS * 1000000;
    AM_TRY(ops->frames(bytes, &t, checked_frame, &c, err));
    if (c.next != t.n_frames)
        return am_fail(err, AM_EINTERNAL, "decoder \"%s\" gave %u of %u frames", ops->name, c.next,
                       t.n_frames);
    return AM_OK;
}
