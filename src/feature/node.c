/* features.json: the fitted transforms as a tree, and back from a tree that nobody trusts.
 *
 *   {"format": 1, "columns": [
 *     {"name", "type", "kind": "number", "scale", "factor", "offset", "unit_from", "unit_to",
 * "fill", "shift", "mul", "quantiles": [..], "indicator", "keep_missing"},
 *     {"name", "type", "kind": "onehot" | "ordinal" | "target", "categories": [..], "other",
 * "missing", "unseen": "error", "fill": text, "shift", "mul", "n_values", "values": [..]},
 *     {"name", "type", "kind": "hash" | "words", "buckets", "fill": text},
 *     {"name", "type", "kind": "date", "fill": microseconds,
 *      "parts": [{"part", "cyclic", "shift", "mul"}, ..]},
 *     {"name", "type", "kind": "image", "height", "width", "channels", "resize", "normalize",
 *      "shift": [..], "mul": [..]},
 *     {"name", "type", "kind": "video", "frames", "fps", and as image},
 *     {"name", "type", "kind": "histogram", "channels", "bins"},
 *     {"name", "type", "kind": "sound", "encode", "sample_rate", "n_samples", "n_mels", "n_fft",
 *      "hop", "n_mfcc", "low_hz", "high_hz", "gate_db", "trim_db", "range_db", "own", "shift":
 * [..], "mul":
 * [..]},
 *     {"name", "type", "kind": "chars" | "tokens" | "segments", "icu" (segments: its major
 *     version), "length", "lower", "vocabulary": [..]},
 *     {"name", "type", "kind": "count" | "tfidf" | "hashing" | "vectors", and as text_node.c}]}
 *
 * Keys with their usual value (factor 1, offset 0, false) are left out. Loading copies everything;
 * what applying relies on is checked by am_features_build(). */
#include <math.h>

#include "base/limits.h"
#include "feature/features_int.h"
#include "feature/segment.h"
#include "feature/text_int.h"

#define FORMAT 1

/* ---- writing ---- */

static void put_f64(struct am_arena *a, struct am_node *m, const char *key, double v, double usual)
{
    if (v != usual)
        am_node_set(a, m, key, am_new_f64(a, v));
}

static void put_str(struct am_arena *a, struct am_node *m, const char *key, struct am_str v)
{
    if (v.ptr)
        am_node_set(a, m, key, am_new_str(a, v));
}

static void put_flag(struct am_arena *a, struct am_node *m, const char *key, bool v)
{
    if (v)
        am_node_set(a, m, key, am_new_bool(a, true));
}

static void put_f64s(struct am_arena *a, struct am_node *m, const char *key, const double *v,
                     size_t n)
{
    struct am_node *list = am_new_list(a);
    for (size_t i = 0; i < n; i++)
        am_node_push(a, list, am_new_f64(a, v[i]));
    am_node_set(a, m, key, list);
}

static void put_number(struct am_arena *a, struct am_node *m, const struct am_fcol *c)
{
    am_node_set(a, m, "scale", am_new_cstr(a, am_fscale_name(c->scale)));
    put_f64(a, m, "factor", c->factor, 1);
    put_f64(a, m, "offset", c->offset, 0);
    put_str(a, m, "unit_from", c->unit_from);
    put_str(a, m, "unit_to", c->unit_to);
    am_node_set(a, m, "fill", am_new_f64(a, c->fill));
    put_f64(a, m, "shift", c->shift, 0);
    put_f64(a, m, "mul", c->mul, 1);
    if (c->scale == AM_FS_QUANTILE)
        put_f64s(a, m, "quantiles", c->quantiles, c->n_quantiles);
}

static void put_list(struct am_arena *a, struct am_node *m, const char *key,
                     const struct am_fcol *c)
{
    struct am_node *list = am_new_list(a);
    for (size_t i = 0; i < c->n_categories; i++)
        am_node_push(a, list, am_new_str(a, c->categories[i]));
    am_node_set(a, m, key, list);
}

static void put_categories(struct am_arena *a, struct am_node *m, const struct am_fcol *c)
{
    put_list(a, m, "categories", c);
    put_flag(a, m, "other", c->has_other);
    put_flag(a, m, "missing", c->has_missing);
    if (c->refuse_unseen)
        am_node_set(a, m, "unseen", am_new_cstr(a, "error"));
    put_str(a, m, "fill", c->fill_text);
    put_f64(a, m, "shift", c->shift, 0);
    put_f64(a, m, "mul", c->mul, 1);
    if (c->kind == AM_F_TARGET) {
        am_node_set(a, m, "n_values", am_new_i64(a, (int64_t)c->n_values));
        put_f64s(a, m, "values", c->values, (c->n_categories + 2) * c->n_values);
    }
}

static void put_date(struct am_arena *a, struct am_node *m, const struct am_fcol *c)
{
    am_node_set(a, m, "fill", am_new_i64(a, c->fill_date));
    struct am_node *list = am_new_list(a);
    for (size_t i = 0; i < c->n_parts; i++) {
        const struct am_fpart_def *p = &c->parts[i];
        struct am_node *part = am_new_map(a);
        am_node_set(a, part, "part", am_new_cstr(a, am_fpart_name(p->part)));
        put_flag(a, part, "cyclic", p->cyclic);
        put_f64(a, part, "shift", p->shift, 0);
        put_f64(a, part, "mul", p->mul, 1);
        am_node_push(a, list, part);
    }
    am_node_set(a, m, "parts", list);
}

static void put_image(struct am_arena *a, struct am_node *m, const struct am_fcol *c)
{
    const struct am_fimage *i = &c->image;
    am_node_set(a, m, "channels", am_new_i64(a, i->channels));
    if (c->kind == AM_F_HISTOGRAM) {
        am_node_set(a, m, "bins", am_new_i64(a, i->bins));
        return;
    }
    if (c->kind == AM_F_VIDEO) {
        am_node_set(a, m, "frames", am_new_i64(a, i->frames));
        put_f64(a, m, "fps", i->fps, 0);
    }
    am_node_set(a, m, "height", am_new_i64(a, i->height));
    am_node_set(a, m, "width", am_new_i64(a, i->width));
    am_node_set(a, m, "resize", am_new_cstr(a, am_fresize_name(i->resize)));
    am_node_set(a, m, "normalize", am_new_cstr(a, am_fnormal_name(i->normal)));
    put_f64s(a, m, "shift", i->shift, i->channels);
    put_f64s(a, m, "mul", i->mul, i->channels);
}

static void put_sound(struct am_arena *a, struct am_node *m, const struct am_fcol *c)
{
    const struct am_sound_config *s = &c->sound;
    am_node_set(a, m, "encode", am_new_cstr(a, am_sound_encode_name(s->encode)));
    am_node_set(a, m, "sample_rate", am_new_i64(a, s->sample_rate));
    am_node_set(a, m, "n_samples", am_new_i64(a, (int64_t)s->n_samples));
    am_node_set(a, m, "n_mels", am_new_i64(a, s->n_mels));
    am_node_set(a, m, "n_fft", am_new_i64(a, s->n_fft));
    am_node_set(a, m, "hop", am_new_i64(a, s->hop));
    am_node_set(a, m, "n_mfcc", am_new_i64(a, s->n_mfcc));
    put_f64(a, m, "low_hz", s->low_hz, 0);
    put_f64(a, m, "high_hz", s->high_hz, 0);
    put_f64(a, m, "gate_db", s->gate_db, 0);
    put_f64(a, m, "trim_db", s->trim_db, 0);
    put_f64(a, m, "range_db", s->range_db, 0);
    put_flag(a, m, "own", s->own);
    if (c->channel_shift) {
        put_f64s(a, m, "shift", c->channel_shift, am_sound_channels(c->plan));
        put_f64s(a, m, "mul", c->channel_mul, am_sound_channels(c->plan));
    }
}

static struct am_node *column_to_node(struct am_arena *a, const struct am_fcol *c)
{
    struct am_node *m = am_new_map(a);
    am_node_set(a, m, "name", am_new_str(a, c->in.name));
    am_node_set(a, m, "type", am_new_cstr(a, am_col_type_name(c->in.type)));
    am_node_set(a, m, "kind", am_new_cstr(a, am_fkind_name(c->kind)));
    switch (c->kind) {
    case AM_F_NUMBER:
        put_number(a, m, c);
        break;
    case AM_F_ONEHOT:
    case AM_F_ORDINAL:
    case AM_F_TARGET:
        put_categories(a, m, c);
        break;
    case AM_F_DATE:
        put_date(a, m, c);
        break;
    case AM_F_IMAGE:
    case AM_F_HISTOGRAM:
    case AM_F_VIDEO:
        put_image(a, m, c);
        break;
    case AM_F_SOUND:
        put_sound(a, m, c);
        break;
    case AM_F_CHARS:
    case AM_F_TOKENS:
    case AM_F_SEGMENTS:
        am_node_set(a, m, "length", am_new_i64(a, (int64_t)c->length));
        put_flag(a, m, "lower", c->lower);
        if (c->kind == AM_F_SEGMENTS)
            am_node_set(a, m, "icu", am_new_i64(a, (int64_t)c->icu));
        put_list(a, m, "vocabulary", c);
        break;
    case AM_F_COUNT:
    case AM_F_TFIDF:
    case AM_F_HASHING:
    case AM_F_VECTORS:
        am_ftext_to_node(c, a, m);
        break;
    default:
        am_node_set(a, m, "buckets", am_new_i64(a, (int64_t)c->buckets));
        put_str(a, m, "fill", c->fill_text);
        break;
    }
    put_flag(a, m, "indicator", c->indicator);
    put_flag(a, m, "keep_missing", c->keep_missing);
    return m;
}

struct am_node *am_features_to_node(const struct am_features *f, struct am_arena *a)
{
    struct am_node *m = am_new_map(a);
    am_node_set(a, m, "format", am_new_i64(a, FORMAT));
    struct am_node *list = am_new_list(a);
    for (size_t i = 0; i < f->n; i++)
        am_node_push(a, list, column_to_node(a, &f->cols[i]));
    am_node_set(a, m, "columns", list);
    return m;
}

/* ---- reading ---- */

static enum am_rc wrong(const struct am_fcol *c, const char *key, const char *want,
                        struct am_err *err)
{
    return am_fail(err, AM_ECORRUPT, "features: column \"%.*s\": \"%s\" is not %s",
                   AM_FMT(c->in.name), key, am_tr(want));
}

static enum am_rc get_f64(const struct am_fcol *c, const struct am_node *m, const char *key,
                          double usual, double *out, struct am_err *err)
{
    const struct am_node *v = am_node_get(m, key);
    *out = usual;
    if (v != NULL && (!am_node_as_f64(v, out) || !isfinite(*out)))
        return wrong(c, key, "a finite number", err);
    return AM_OK;
}

static enum am_rc get_flag(const struct am_fcol *c, const struct am_node *m, const char *key,
                           bool *out, struct am_err *err)
{
    const struct am_node *v = am_node_get(m, key);
    *out = false;
    if (v != NULL && !am_node_as_bool(v, out))
        return wrong(c, key, "true or false", err);
    return AM_OK;
}

/* {NULL, 0} when absent */
static enum am_rc get_str(struct am_arena *a, const struct am_fcol *c, const struct am_node *m,
                          const char *key, struct am_str *out, struct am_err *err)
{
    const struct am_node *v = am_node_get(m, key);
    struct am_str s;
    *out = (struct am_str){NULL, 0};
    if (v == NULL)
        return AM_OK;
    if (!am_node_as_str(v, &s))
        return wrong(c, key, "a text", err);
    *out = am_arena_str(a, s);
    return out->ptr ? AM_OK : am_arena_check(a, err);
}

/* A list of exactly n numbers, or of any number up to max when n is SIZE_MAX. */
static enum am_rc get_f64s(struct am_arena *a, const struct am_fcol *c, const struct am_node *m,
                           const char *key, size_t n, size_t max, const double **out, size_t *n_out,
                           struct am_err *err)
{
    const struct am_node *list = am_node_get(m, key);
    if (list == NULL || list->kind != AM_NODE_LIST || list->list.n > max ||
        (n != SIZE_MAX && list->list.n != n))
        return wrong(c, key, "a list of the right length", err);
    double *v = am_arena_array(a, list->list.n ? list->list.n : 1, sizeof *v);
    if (v == NULL)
        return am_arena_check(a, err);
    for (size_t i = 0; i < list->list.n; i++) {
        if (!am_node_as_f64(list->list.items[i], &v[i]))
            return wrong(c, key, "a list of numbers", err);
    }
    *out = v;
    *n_out = list->list.n;
    return AM_OK;
}

static enum am_rc get_number(struct am_arena *a, struct am_fcol *c, const struct am_node *m,
                             struct am_err *err)
{
    if (!am_fscale_parse(am_node_str(m, "scale", ""), &c->scale))
        return wrong(c, "scale", "a known scaling", err);
    AM_TRY(get_f64(c, m, "factor", 1, &c->factor, err));
    AM_TRY(get_f64(c, m, "offset", 0, &c->offset, err));
    AM_TRY(get_str(a, c, m, "unit_from", &c->unit_from, err));
    AM_TRY(get_str(a, c, m, "unit_to", &c->unit_to, err));
    AM_TRY(get_f64(c, m, "fill", 0, &c->fill, err));
    AM_TRY(get_f64(c, m, "shift", 0, &c->shift, err));
    AM_TRY(get_f64(c, m, "mul", 1, &c->mul, err));
    if (c->scale != AM_FS_QUANTILE)
        return AM_OK;
    return get_f64s(a, c, m, "quantiles", SIZE_MAX, AM_F_MAX_QUANTILES, &c->quantiles,
                    &c->n_quantiles, err);
}

static enum am_rc get_category_list(struct am_arena *a, struct am_fcol *c, const struct am_node *m,
                                    const char *key, struct am_err *err)
{
    const struct am_node *list = am_node_get(m, key);
    if (list == NULL || list->kind != AM_NODE_LIST || list->list.n > AM_LIMIT_CATEGORIES)
        return wrong(c, key, "a list of at most 1000000 texts", err);
    struct am_str *v = am_arena_array(a, list->list.n ? list->list.n : 1, sizeof *v);
    if (v == NULL)
        return am_arena_check(a, err);
    for (size_t i = 0; i < list->list.n; i++) {
        struct am_str s;
        if (!am_node_as_str(list->list.items[i], &s))
            return wrong(c, key, "a list of texts", err);
        v[i] = am_arena_str(a, s);
        if (v[i].ptr == NULL)
            return am_arena_check(a, err);
    }
    c->categories = v;
    c->n_categories = list->list.n;
    return AM_OK;
}

static enum am_rc get_categories(struct am_arena *a, struct am_fcol *c, const struct am_node *m,
                                 struct am_err *err)
{
    AM_TRY(get_category_list(a, c, m, "categories", err));
    AM_TRY(get_flag(c, m, "other", &c->has_other, err));
    AM_TRY(get_flag(c, m, "missing", &c->has_missing, err));
    c->refuse_unseen = am_str_is(am_node_str(m, "unseen", ""), "error");
    AM_TRY(get_str(a, c, m, "fill", &c->fill_text, err));
    AM_TRY(get_f64(c, m, "shift", 0, &c->shift, err));
    AM_TRY(get_f64(c, m, "mul", 1, &c->mul, err));
    if (c->kind != AM_F_TARGET)
        return AM_OK;
    int64_t n_values = am_node_i64(m, "n_values", 0);
    if (n_values < 1 || n_values > AM_F_MAX_VALUES)
        return wrong(c, "n_values", "from 1 to 65536", err);
    c->n_values = (size_t)n_values;
    size_t n = (c->n_categories + 2) * c->n_values, got;
    return get_f64s(a, c, m, "values", n, n, &c->values, &got, err);
}

static enum am_rc get_buckets(struct am_arena *a, struct am_fcol *c, const struct am_node *m,
                              struct am_err *err)
{
    int64_t buckets = am_node_i64(m, "buckets", 0);
    if (buckets < 2 || buckets > AM_F_MAX_BUCKETS)
        return wrong(c, "buckets", "from 2 to 65536", err);
    c->buckets = (size_t)buckets;
    return get_str(a, c, m, "fill", &c->fill_text, err);
}

static enum am_rc get_date(struct am_fcol *c, const struct am_node *m, struct am_err *err)
{
    const struct am_node *list = am_node_get(m, "parts");
    if (list == NULL || list->kind != AM_NODE_LIST || list->list.n < 1 ||
        list->list.n > AM_FP_N_PARTS)
        return wrong(c, "parts", "a list of date parts", err);
    const struct am_node *fill = am_node_get(m, "fill");
    if (!am_node_as_i64(fill, &c->fill_date))
        return wrong(c, "fill", "a whole number of microseconds", err);
    c->n_parts = list->list.n;
    for (size_t i = 0; i < c->n_parts; i++) {
        const struct am_node *p = list->list.items[i];
        if (!am_fpart_parse(am_node_str(p, "part", ""), &c->parts[i].part))
            return wrong(c, "part", "a known date part", err);
        AM_TRY(get_flag(c, p, "cyclic", &c->parts[i].cyclic, err));
        AM_TRY(get_f64(c, p, "shift", 0, &c->parts[i].shift, err));
        AM_TRY(get_f64(c, p, "mul", 1, &c->parts[i].mul, err));
    }
    return AM_OK;
}

static enum am_rc get_small(const struct am_fcol *c, const struct am_node *m, const char *key,
                            uint32_t *out, struct am_err *err)
{
    int64_t v = am_node_i64(m, key, 0);
    if (v < 1 || v > UINT16_MAX)
        return wrong(c, key, "a number from 1 to 65535", err);
    *out = (uint32_t)v;
    return AM_OK;
}

static enum am_rc get_image(struct am_arena *a, struct am_fcol *c, const struct am_node *m,
                            struct am_err *err)
{
    struct am_fimage *i = &c->image;
    const double *shift, *mul;
    size_t n;
    AM_TRY(get_small(c, m, "channels", &i->channels, err));
    if (i->channels != 1 && i->channels != 3)
        return wrong(c, "channels", "1 or 3", err);
    if (c->kind == AM_F_HISTOGRAM)
        return get_small(c, m, "bins", &i->bins, err);
    if (c->kind == AM_F_VIDEO) {
        AM_TRY(get_small(c, m, "frames", &i->frames, err));
        AM_TRY(get_f64(c, m, "fps", 0, &i->fps, err));
    }
    AM_TRY(get_small(c, m, "height", &i->height, err));
    AM_TRY(get_small(c, m, "width", &i->width, err));
    if (!am_fresize_parse(am_node_str(m, "resize", ""), &i->resize))
        return wrong(c, "resize", "a known way to resize", err);
    if (!am_fnormal_parse(am_node_str(m, "normalize", ""), &i->normal))
        return wrong(c, "normalize", "a known normalisation", err);
    AM_TRY(get_f64s(a, c, m, "shift", i->channels, 3, &shift, &n, err));
    AM_TRY(get_f64s(a, c, m, "mul", i->channels, 3, &mul, &n, err));
    memcpy(i->shift, shift, n * sizeof *shift);
    memcpy(i->mul, mul, n * sizeof *mul);
    return AM_OK;
}

/* A whole number of 32 bits; ranges are checked by am_features_build. */
static enum am_rc get_u32(const struct am_fcol *c, const struct am_node *m, const char *key,
                          uint32_t *out, struct am_err *err)
{
    int64_t v = am_node_i64(m, key, -1);
    if (v < 0 || v > UINT32_MAX)
        return wrong(c, key, "a whole number", err);
    *out = (uint32_t)v;
    return AM_OK;
}

static enum am_rc get_sound(struct am_arena *a, struct am_fcol *c, const struct am_node *m,
                            struct am_err *err)
{
    struct am_sound_config *s = &c->sound;
    uint32_t n_samples = 0;
    size_t n, channels;
    if (!am_sound_encode_parse(am_node_str(m, "encode", ""), &s->encode))
        return wrong(c, "encode", "a known encoding of sounds", err);
    AM_TRY(get_u32(c, m, "sample_rate", &s->sample_rate, err));
    AM_TRY(get_u32(c, m, "n_samples", &n_samples, err));
    AM_TRY(get_u32(c, m, "n_mels", &s->n_mels, err));
    AM_TRY(get_u32(c, m, "n_fft", &s->n_fft, err));
    AM_TRY(get_u32(c, m, "hop", &s->hop, err));
    AM_TRY(get_u32(c, m, "n_mfcc", &s->n_mfcc, err));
    AM_TRY(get_f64(c, m, "low_hz", 0, &s->low_hz, err));
    AM_TRY(get_f64(c, m, "high_hz", 0, &s->high_hz, err));
    AM_TRY(get_f64(c, m, "gate_db", 0, &s->gate_db, err));
    AM_TRY(get_f64(c, m, "trim_db", 0, &s->trim_db, err));
    AM_TRY(get_f64(c, m, "range_db", 0, &s->range_db, err));
    s->n_samples = n_samples;
    AM_TRY(get_flag(c, m, "own", &s->own, err));
    if (am_node_get(m, "shift") == NULL)
        return AM_OK;
    channels = s->encode == AM_SOUND_WAVEFORM ? 1
               : s->encode == AM_SOUND_MFCC   ? s->n_mfcc
                                              : s->n_mels;
    AM_TRY(get_f64s(a, c, m, "shift", channels, channels, &c->channel_shift, &n, err));
    return get_f64s(a, c, m, "mul", channels, channels, &c->channel_mul, &n, err);
}

/* With other dictionaries the same text would give other ids. */
static enum am_rc get_icu(struct am_fcol *c, const struct am_node *m, struct am_err *err)
{
    const int64_t icu = am_node_i64(m, "icu", 0);
    if (icu < 1 || icu > 1000)
        return wrong(c, "icu", "a version of ICU", err);
    AM_TRY(am_segments_open(err));
    c->icu = (unsigned)icu;
    if (c->icu == am_segments_version())
        return AM_OK;
    (void)am_fail(err, AM_EUNSUPPORTED,
                  "column \"%.*s\" was cut into words by ICU %u; here is ICU %u, which may cut "
                  "otherwise",
                  AM_FMT(c->in.name), c->icu, am_segments_version());
    am_hint(err, "Train the model again on this machine, or use `encode: tokens`.");
    return AM_EUNSUPPORTED;
}

static enum am_rc get_tokens(struct am_arena *a, struct am_fcol *c, const struct am_node *m,
                             struct am_err *err)
{
    int64_t length = am_node_i64(m, "length", 0);
    if (length < 1 || length > AM_TOKENS_MAX_LENGTH)
        return wrong(c, "length", "from 1 to 65536", err);
    c->length = (size_t)length;
    AM_TRY(get_flag(c, m, "lower", &c->lower, err));
    if (c->kind == AM_F_SEGMENTS)
        AM_TRY(get_icu(c, m, err));
    return get_category_list(a, c, m, "vocabulary", err);
}

static enum am_rc column_from_node(struct am_arena *a, struct am_fcol *c, const struct am_node *m,
                                   struct am_err *err)
{
    struct am_str name;
    if (!am_node_as_str(am_node_get(m, "name"), &name) || name.len == 0)
        return am_fail(err, AM_ECORRUPT, "features: a column without a name");
    c->in.name = am_arena_str(a, name);
    if (c->in.name.ptr == NULL)
        return am_arena_check(a, err);
    if (!am_col_type_parse(am_node_str(m, "type", ""), &c->in.type))
        return wrong(c, "type", "a known column type", err);
    if (!am_fkind_parse(am_node_str(m, "kind", ""), &c->kind))
        return wrong(c, "kind", "a known transform", err);
    AM_TRY(get_flag(c, m, "indicator", &c->indicator, err));
    AM_TRY(get_flag(c, m, "keep_missing", &c->keep_missing, err));
    switch (c->kind) {
    case AM_F_NUMBER:
        return get_number(a, c, m, err);
    case AM_F_ONEHOT:
    case AM_F_ORDINAL:
    case AM_F_TARGET:
        return get_categories(a, c, m, err);
    case AM_F_DATE:
        return get_date(c, m, err);
    case AM_F_IMAGE:
    case AM_F_HISTOGRAM:
    case AM_F_VIDEO:
        return get_image(a, c, m, err);
    case AM_F_SOUND:
        return get_sound(a, c, m, err);
    case AM_F_CHARS:
    case AM_F_TOKENS:
    case AM_F_SEGMENTS:
        return get_tokens(a, c, m, err);
    case AM_F_COUNT:
    case AM_F_TFIDF:
    case AM_F_HASHING:
    case AM_F_VECTORS:
        return am_ftext_from_node(c, m, a, err);
    default:
        return get_buckets(a, c, m, err);
    }
}

enum am_rc am_features_from_node(const struct am_node *n, struct am_features **out,
                                 struct am_err *err)
{
    const struct am_node *list = am_node_get(n, "columns");
    if (am_node_i64(n, "format", 0) != FORMAT)
        return am_fail(err, AM_ECORRUPT, "features: format %lld is not known",
                       (long long)am_node_i64(n, "format", 0));
    if (list == NULL || list->kind != AM_NODE_LIST || list->list.n == 0)
        return am_fail(err, AM_ECORRUPT, "features: no columns");
    struct am_features *f = NULL;
    AM_TRY(am_features_new(list->list.n, &f, err));
    enum am_rc rc = AM_OK;
    for (size_t i = 0; i < f->n && rc == AM_OK; i++)
        rc = column_from_node(f->arena, &f->cols[i], list->list.items[i], err);
    if (rc == AM_OK)
        rc = am_features_build(f, err);
    if (rc != AM_OK) {
        am_features_free(f);
        return rc;
    }
    *out = f;
    return AM_OK;
}
