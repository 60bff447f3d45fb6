/* Pictures as nested lists of numbers, [height][width] or [height][width][1, 3 or 4], as TF
 * Serving's clients send them.
 *
 * The raw form of tensor/media.h is made in place: a number takes two characters of text at least
 * and one byte of picture. Its 16 bytes of header stand where the text begins, so the first pixels
 * wait aside until they were read. Nothing is allocated. */
#include <math.h>

#include "api/api_int.h"

#include "base/limits.h"
#include "tensor/media.h"

struct pixels {
    struct am_js *js;
    char *to; /* where the text begins */
    unsigned char first[AM_MEDIA_RAW_BYTES];
    size_t n;
    uint32_t height, width, channels; /* width and channels 0: not known yet */
};

static bool fail(const struct pixels *p, const struct am_columns *c, size_t column, size_t row)
{
    if (p->js->failed != AM_OK)
        return false;
    (void)am_js_fail(p->js, AM_EINVAL,
                     "row %zu: column \"%.*s\": lists of pixels must be [height][width] or "
                     "[height][width][1, 3 or 4] with numbers from 0 to 255",
                     row, AM_FMT(c->schema->columns[column].name));
    am_hint(p->js->err,
            "Send lists of equal lengths, at least 16 numbers, or the picture's file as "
            "base64.");
    return false;
}

static bool put(struct pixels *p)
{
    double v;
    if (!am_js_number(p->js, &v))
        return false;
    v = floor(v + 0.5);
    if (!(v >= 0 && v <= 255) || p->n == AM_LIMIT_IMAGE_PIXELS * 4)
        return false;
    if (p->n < sizeof p->first) {
        p->first[p->n++] = (unsigned char)v;
        return true;
    }
    if ((size_t)(p->js->p - p->to) < AM_MEDIA_RAW_BYTES + p->n + 1)
        return false; /* cannot be: see above */
    if (p->n == sizeof p->first)
        memcpy(p->to + AM_MEDIA_RAW_BYTES, p->first, sizeof p->first);
    p->to[AM_MEDIA_RAW_BYTES + p->n++] = (char)(unsigned char)v;
    return true;
}

/* One pixel: a number, or a list of them. */
static bool read_pixel(struct pixels *p)
{
    uint32_t n = 0;
    bool first = true;
    if (am_js_peek(p->js) != AM_JS_ARRAY) {
        n = 1;
        if (!put(p))
            return false;
    } else {
        if (!am_js_enter(p->js, '['))
            return false;
        for (; am_js_element(p->js, &first); n++)
            if (n == 4 || !put(p))
                return false;
    }
    if (p->channels == 0)
        p->channels = n;
    return p->js->failed == AM_OK && n == p->channels && (n == 1 || n == 3 || n == 4);
}

static bool read_row(struct pixels *p)
{
    uint32_t n = 0;
    bool first = true;
    if (!am_js_enter(p->js, '['))
        return false;
    for (; am_js_element(p->js, &first); n++)
        if (n == AM_LIMIT_IMAGE_SIDE || !read_pixel(p))
            return false;
    if (p->width == 0)
        p->width = n;
    return p->js->failed == AM_OK && n > 0 && n == p->width;
}

bool am_pixel_lists_next(const struct am_js *js, enum am_col_type type)
{
    struct am_js at = *js;
    bool first = true;
    return type == AM_COL_IMAGE && am_js_peek(&at) == AM_JS_ARRAY && am_js_enter(&at, '[') &&
           am_js_element(&at, &first) && am_js_peek(&at) == AM_JS_ARRAY;
}

bool am_pixel_lists(struct am_js *js, const struct am_columns *c, size_t column, size_t row,
                    struct am_str *out)
{
    bool first = true;
    struct pixels p = {.js = js};
    (void)am_js_peek(js); /* over white space */
    p.to = js->p;
    if (!am_js_enter(js, '['))
        return false;
    for (; am_js_element(js, &first); p.height++)
        if (p.height == AM_LIMIT_IMAGE_SIDE || !read_row(&p))
            return fail(&p, c, column, row);
    if (js->failed != AM_OK || p.n < sizeof p.first)
        return fail(&p, c, column, row);
    if (p.n == sizeof p.first)
        memcpy(p.to + AM_MEDIA_RAW_BYTES, p.first, sizeof p.first);
    am_image_raw_header(p.width, p.height, p.channels, (unsigned char *)p.to);
    *out = (struct am_str){p.to, AM_MEDIA_RAW_BYTES + p.n};
    return true;
}
