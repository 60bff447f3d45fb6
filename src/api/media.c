/* Pictures, sounds and videos in requests: base64 in JSON, a body that is the file itself, and the
 * look at every cell's header before anything is decoded.
 *
 * Cells point into the request's body; base64 is undone in place. Parsing touches no decoder and
 * may run anywhere; am_media_check asks the decoders for sizes and runs on workers only. */
#include "api/api_int.h"

#include "base/limits.h"
#include "tensor/media.h"

bool am_media_only(const struct am_serve_info *info)
{
    return info->inputs.n == 1 && am_col_is_media(info->inputs.columns[0].type);
}

bool am_media_cell(struct am_js *js, struct am_columns *c, size_t column, size_t row)
{
    struct am_str *out = am_columns_texts(c, column) + row;
    enum am_js_kind k = am_js_peek(js);
    if (k == AM_JS_OBJECT)
        return am_js_bytes(js, AM_BASE64_STANDARD, out);
    if (am_pixel_lists_next(js, c->columns[column].type))
        return am_pixel_lists(js, c, column, row, out);
    if (k != AM_JS_STRING)
        return am_js_wrong_kind(js, c, column, row, k);
    if (!am_js_file(js, out))
        return false;
    if (am_base64_decode(*out, AM_BASE64_STANDARD, (char *)(uintptr_t)out->ptr, &out->len))
        return true;
    (void)am_js_fail(js, AM_EINVAL, "row %zu: column \"%.*s\" is no base64 text", row,
                     AM_FMT(c->schema->columns[column].name));
    am_hint(js->err, "Use the standard alphabet with padding and no line breaks.");
    return false;
}

bool am_media_bare(struct am_js *js, const struct am_serve_info *info)
{
    struct am_js at = *js;
    bool first = true, bare = false;
    if (am_media_only(info) && !am_str_is(info->inputs.columns[0].name, "b64") &&
        am_js_peek(js) == AM_JS_OBJECT && am_js_enter(js, '{'))
        bare = am_js_member_is(js, &first, AM_STR("b64"));
    *js = at;
    return bare;
}

/* ---- the body is the file ---- */

/* "image" of "Image/PNG; charset=x"; lower case letters only */
static bool type_is(struct am_str s, const char *prefix)
{
    size_t n = strlen(prefix);
    if (s.len < n)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = s.ptr[i];
        if ((char)(c >= 'A' && c <= 'Z' ? c + 32 : c) != prefix[i])
            return false;
    }
    return true;
}

/* What a body of this type is; false: no file. */
static bool file_type(struct am_str type, enum am_col_type *out)
{
    *out = type_is(type, "image/")   ? AM_COL_IMAGE
           : type_is(type, "audio/") ? AM_COL_AUDIO
           : type_is(type, "video/") ? AM_COL_VIDEO
                                     : AM_COL_TEXT;
    return *out != AM_COL_TEXT;
}

bool am_media_is_body(const struct am_request *rq, const struct am_serve_info *info)
{
    struct am_str type = rq->content_type;
    enum am_col_type holds;
    return type.ptr && (file_type(type, &holds) ||
                        (type_is(type, "application/octet-stream") && am_media_only(info)));
}

enum am_rc am_media_body(struct am_call *call, struct am_err *err)
{
    const struct am_serve_info *info = am_served_info(call->served);
    struct am_columns *c = &call->columns;
    struct am_str type = call->rq->content_type;
    if (!am_media_only(info)) {
        am_fail(
            err, AM_EINVAL,
            "a body of type %.*s needs a model whose only input is a picture, a sound or a video",
            (int)(type.len > 60 ? 60 : type.len), type.ptr);
        am_hint(err,
                "Send {\"rows\": [{column: value, ...}, ...]}; pictures, sounds and videos are "
                "base64 text.");
        return AM_EINVAL;
    }
    enum am_col_type want = info->inputs.columns[0].type, holds;
    if (file_type(type, &holds) && holds != want)
        return am_fail(err, AM_EINVAL, "column \"%.*s\" wants %s, the body is of type %.*s",
                       AM_FMT(info->inputs.columns[0].name), am_col_type_name(want),
                       (int)(type.len > 60 ? 60 : type.len), type.ptr);
    AM_TRY(am_columns_reserve(c, 1, err));
    am_columns_texts(c, 0)[0] =
        (struct am_str){call->rq->body_len ? call->rq->body : "", call->rq->body_len};
    c->n_rows = 1;
    return AM_OK;
}

/* ---- before decoding ---- */

struct budget { /* of one request */
    uint64_t pixels, video;
};

static enum am_rc check_video(struct am_str cell, struct budget *left, struct am_err *err)
{
    struct am_video_info v;
    AM_TRY(am_video_probe(cell, &v, err));
    uint64_t n = (uint64_t)v.width * v.height * v.n_frames;
    if (n > left->video)
        return am_fail(err, AM_ELIMIT,
                       "one request may decode %zu pixels of videos, all frames counted; this is "
                       "more",
                       AM_LIMIT_PREDICT_VIDEO);
    left->video -= n;
    return AM_OK;
}

static enum am_rc check_cell(enum am_col_type type, struct am_str cell, struct budget *left,
                             struct am_err *err)
{
    struct am_image_info i;
    struct am_sound_info s;
    uint64_t n;
    if (type == AM_COL_VIDEO)
        return check_video(cell, left, err);
    if (type == AM_COL_IMAGE) {
        AM_TRY(am_image_probe(cell, &i, err));
        n = (uint64_t)i.width * i.height;
    } else {
        AM_TRY(am_sound_probe(cell, &s, err));
        n = s.n_frames * s.channels;
    }
    if (n > left->pixels)
        return am_fail(err, AM_ELIMIT,
                       "one request may decode %zu pixels and sound samples, this is more",
                       AM_LIMIT_PREDICT_PIXELS);
    left->pixels -= n;
    return AM_OK;
}

enum am_rc am_media_check(const struct am_columns *c, struct am_err *err)
{
    struct budget left = {AM_LIMIT_PREDICT_PIXELS, AM_LIMIT_PREDICT_VIDEO};
    size_t n_cells = 0;
    for (size_t i = 0; i < c->schema->n; i++) {
        enum am_col_type type = c->columns[i].type;
        if (!am_col_is_media(type))
            continue;
        for (size_t row = 0; row < c->n_rows; row++) {
            struct am_str cell = c->columns[i].text[row];
            if (!cell.ptr)
                continue;
            if (++n_cells > AM_LIMIT_PREDICT_MEDIA)
                return am_fail(err, AM_ELIMIT,
                               "more than %d pictures, sounds and videos in one request",
                               AM_LIMIT_PREDICT_MEDIA);
            enum am_rc rc = check_cell(type, cell, &left, err);
            if (rc == AM_OK)
                continue;
            am_context(err, am_tr("row %zu: column \"%.*s\""), row,
                       AM_FMT(c->schema->columns[i].name));
            return rc;
        }
    }
    return AM_OK;
}
