/* The fitted transforms as an object: layout of the outputs, their names, and what applying needs
 * (lookup maps, float tables, constants in rows). Built once by fitting or by loading, then
 * immutable.
 *
 * am_features_build() is where every bound that applying relies on is checked, whoever filled the
 * columns. */
#include "feature/features_int.h"

#include <float.h>
#include <math.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "feature/text_int.h"

static const char *const kind_names[AM_F_N_KINDS] = {
    [AM_F_NUMBER] = "number", [AM_F_ONEHOT] = "onehot",     [AM_F_ORDINAL] = "ordinal",
    [AM_F_TARGET] = "target", [AM_F_HASH] = "hash",         [AM_F_WORDS] = "words",
    [AM_F_DATE] = "date",     [AM_F_IMAGE] = "image",       [AM_F_HISTOGRAM] = "histogram",
    [AM_F_SOUND] = "sound",   [AM_F_CHARS] = "chars",       [AM_F_TOKENS] = "tokens",
    [AM_F_VIDEO] = "video",   [AM_F_SEGMENTS] = "segments", [AM_F_COUNT] = "count",
    [AM_F_TFIDF] = "tfidf",   [AM_F_HASHING] = "hashing",   [AM_F_VECTORS] = "vectors",
};
static const char *const scale_names[AM_FS_N_SCALES] = {
    [AM_FS_NONE] = "none",     [AM_FS_STANDARD] = "standard", [AM_FS_MINMAX] = "min-max",
    [AM_FS_ROBUST] = "robust", [AM_FS_LOG] = "log",           [AM_FS_QUANTILE] = "quantile",
};
static const char *const part_names[AM_FP_N_PARTS] = {
    [AM_FP_DAYS] = "days", [AM_FP_YEAR] = "year",       [AM_FP_MONTH] = "month",
    [AM_FP_DAY] = "day",   [AM_FP_WEEKDAY] = "weekday", [AM_FP_HOUR] = "hour",
};

const char *am_fkind_name(enum am_fkind k)
{
    return kind_names[k];
}
const char *am_fscale_name(enum am_fscale s)
{
    return scale_names[s];
}
const char *am_fpart_name(enum am_fpart p)
{
    return part_names[p];
}

static bool find_name(struct am_str s, const char *const *names, unsigned n, unsigned *out)
{
    for (unsigned i = 0; i < n; i++) {
        if (am_str_is(s, names[i])) {
            *out = i;
            return true;
        }
    }
    return false;
}

bool am_fkind_parse(struct am_str s, enum am_fkind *out)
{
    unsigned i;
    bool found = find_name(s, kind_names, AM_F_N_KINDS, &i);
    if (found)
        *out = (enum am_fkind)i;
    return found;
}

bool am_fscale_parse(struct am_str s, enum am_fscale *out)
{
    unsigned i;
    bool found = find_name(s, scale_names, AM_FS_N_SCALES, &i);
    if (found)
        *out = (enum am_fscale)i;
    return found;
}

bool am_fpart_parse(struct am_str s, enum am_fpart *out)
{
    unsigned i;
    bool found = find_name(s, part_names, AM_FP_N_PARTS, &i);
    if (found)
        *out = (enum am_fpart)i;
    return found;
}

enum am_rc am_features_new(size_t n, struct am_features **out, struct am_err *err)
{
    if (n == 0)
        return am_fail(err, AM_EINVAL, "no feature column");
    if (n > AM_LIMIT_CSV_COLUMNS)
        return am_fail(err, AM_ELIMIT, "%zu feature columns, at most %d allowed", n,
                       AM_LIMIT_CSV_COLUMNS);
    struct am_arena *a = am_arena_new(AM_F_ARENA_BYTES);
    if (a == NULL)
        return am_fail_nomem(err, sizeof(struct am_features));
    struct am_features *f = am_arena_zalloc(a, sizeof *f);
    struct am_fcol *cols = am_arena_array(a, n, sizeof *cols);
    if (f == NULL || cols == NULL) {
        am_arena_free(a);
        return am_fail_nomem(err, n * sizeof *cols);
    }
    f->arena = a;
    f->cols = cols;
    f->n = n;
    for (size_t i = 0; i < n; i++)
        am_map_init(&cols[i].map);
    am_map_init(&f->by_name);
    *out = f;
    return AM_OK;
}

void am_features_free(struct am_features *f)
{
    if (f == NULL)
        return;
    for (size_t i = 0; i < f->n; i++) {
        am_map_clear(&f->cols[i].map);
        am_ftext_clear(f->cols[i].text);
    }
    am_map_clear(&f->by_name);
    am_arena_free(f->arena);
}

/* ---- checks ---- */

static bool kind_fits(enum am_fkind k, enum am_col_type t)
{
    switch (k) {
    case AM_F_NUMBER:
        return t == AM_COL_NUMBER || t == AM_COL_BOOLEAN;
    case AM_F_WORDS:
        return t == AM_COL_TEXT || t == AM_COL_CATEGORY;
    case AM_F_DATE:
        return t == AM_COL_DATE;
    case AM_F_IMAGE:
    case AM_F_HISTOGRAM:
        return t == AM_COL_IMAGE;
    case AM_F_VIDEO:
        return t == AM_COL_VIDEO;
    case AM_F_SOUND:
        return t == AM_COL_AUDIO;
    default:
        return t == AM_COL_CATEGORY || t == AM_COL_TEXT;
    }
}

static enum am_rc check_number(const struct am_fcol *c, struct am_err *err)
{
    if (!isfinite(c->factor) || !isfinite(c->offset) || !isfinite(c->fill) || !isfinite(c->shift) ||
        !isfinite(c->mul))
        return am_fail(err, AM_ECORRUPT,
                       "features: column \"%.*s\" has a constant that is not finite",
                       AM_FMT(c->in.name));
    if (c->scale != AM_FS_QUANTILE)
        return AM_OK;
    if (c->n_quantiles < 2 || c->n_quantiles > AM_F_MAX_QUANTILES)
        return am_fail(err, AM_ECORRUPT,
                       "features: column \"%.*s\" has %zu quantiles, 2 to %d allowed",
                       AM_FMT(c->in.name), c->n_quantiles, AM_F_MAX_QUANTILES);
    for (size_t i = 0; i < c->n_quantiles; i++) {
        if (!isfinite(c->quantiles[i]) || (i > 0 && c->quantiles[i] < c->quantiles[i - 1]))
            return am_fail(err, AM_ECORRUPT, "features: column \"%.*s\": quantiles do not ascend",
                           AM_FMT(c->in.name));
    }
    return AM_OK;
}

static enum am_rc check_categories(const struct am_fcol *c, struct am_err *err)
{
    if (c->n_categories > AM_LIMIT_CATEGORIES)
        return am_fail(err, AM_ELIMIT,
                       "features: column \"%.*s\" has %zu categories, at most %d allowed",
                       AM_FMT(c->in.name), c->n_categories, AM_LIMIT_CATEGORIES);
    if (!isfinite(c->shift) || !isfinite(c->mul))
        return am_fail(err, AM_ECORRUPT,
                       "features: column \"%.*s\" has a constant that is not finite",
                       AM_FMT(c->in.name));
    if (c->kind != AM_F_TARGET)
        return AM_OK;
    if (c->n_values < 1 || c->n_values > AM_F_MAX_VALUES)
        return am_fail(err, AM_ECORRUPT, "features: column \"%.*s\": %zu values a category",
                       AM_FMT(c->in.name), c->n_values);
    for (size_t i = 0; i < (c->n_categories + 2) * c->n_values; i++) {
        if (!isfinite(c->values[i]))
            return am_fail(err, AM_ECORRUPT,
                           "features: column \"%.*s\" has a value that is not finite",
                           AM_FMT(c->in.name));
    }
    return AM_OK;
}

static enum am_rc check_date(const struct am_fcol *c, struct am_err *err)
{
    if (c->n_parts < 1 || c->n_parts > AM_FP_N_PARTS || c->fill_date == AM_DATE_MISSING)
        return am_fail(err, AM_ECORRUPT, "features: column \"%.*s\" has no date parts",
                       AM_FMT(c->in.name));
    for (size_t i = 0; i < c->n_parts; i++) {
        const struct am_fpart_def *p = &c->parts[i];
        if (!isfinite(p->shift) || !isfinite(p->mul) ||
            (p->cyclic && am_fpart_period(p->part) == 0))
            return am_fail(err, AM_ECORRUPT, "features: column \"%.*s\": bad date part %s",
                           AM_FMT(c->in.name), am_fpart_name(p->part));
    }
    return AM_OK;
}

static enum am_rc check_pictures(const struct am_fcol *c, struct am_err *err)
{
    if ((c->kind == AM_F_VIDEO) != (c->image.frames > 0))
        return am_fail(err, AM_ECORRUPT, "features: column \"%.*s\" has %u frames",
                       AM_FMT(c->in.name), c->image.frames);
    return am_fimage_check(&c->image, c->in.name, c->kind == AM_F_HISTOGRAM, err);
}

static enum am_rc check_sound(const struct am_fcol *c, struct am_err *err)
{
    struct am_err why = {0};
    if (am_sound_config_check(&c->sound, &why) != AM_OK || c->sound.n_samples == 0)
        return am_fail(err, AM_ECORRUPT, "features: column \"%.*s\": %s", AM_FMT(c->in.name),
                       why.message[0] ? why.message : "n_samples");
    return AM_OK;
}

static enum am_rc check_tokens(const struct am_fcol *c, struct am_err *err)
{
    if (c->length < 1 || c->length > AM_TOKENS_MAX_LENGTH)
        return am_fail(err, AM_ECORRUPT,
                       "features: column \"%.*s\" has %zu tokens, 1 to %d allowed",
                       AM_FMT(c->in.name), c->length, AM_TOKENS_MAX_LENGTH);
    return check_categories(c, err);
}

static enum am_rc check_column(const struct am_fcol *c, struct am_err *err)
{
    if (!kind_fits(c->kind, c->in.type))
        return am_fail(err, AM_ECORRUPT,
                       "features: column \"%.*s\" of type %s cannot be encoded as %s",
                       AM_FMT(c->in.name), am_col_type_name(c->in.type), am_fkind_name(c->kind));
    switch (c->kind) {
    case AM_F_NUMBER:
        return check_number(c, err);
    case AM_F_ONEHOT:
    case AM_F_ORDINAL:
    case AM_F_TARGET:
        return check_categories(c, err);
    case AM_F_DATE:
        return check_date(c, err);
    case AM_F_IMAGE:
    case AM_F_HISTOGRAM:
    case AM_F_VIDEO:
        return check_pictures(c, err);
    case AM_F_SOUND:
        return check_sound(c, err);
    case AM_F_CHARS:
    case AM_F_TOKENS:
    case AM_F_SEGMENTS:
        return check_tokens(c, err);
    case AM_F_COUNT:
    case AM_F_TFIDF:
    case AM_F_HASHING:
    case AM_F_VECTORS:
        return check_categories(c, err); /* the rest: am_ftext_build */
    default:
        if (c->buckets < 2 || c->buckets > AM_F_MAX_BUCKETS)
            return am_fail(err, AM_ECORRUPT,
                           "features: column \"%.*s\" has %zu buckets, 2 to %d allowed",
                           AM_FMT(c->in.name), c->buckets, AM_F_MAX_BUCKETS);
        return AM_OK;
    }
}

/* ---- layout ---- */

static size_t own_outputs(const struct am_fcol *c)
{
    size_t n = 0;
    switch (c->kind) {
    case AM_F_NUMBER:
    case AM_F_ORDINAL:
        return 1;
    case AM_F_ONEHOT:
        return c->n_categories + c->has_other + c->has_missing;
    case AM_F_TARGET:
        return c->n_values;
    case AM_F_DATE:
        for (size_t i = 0; i < c->n_parts; i++)
            n += c->parts[i].cyclic ? 2 : 1;
        return n;
    case AM_F_IMAGE:
        return (size_t)c->image.height * c->image.width * c->image.channels;
    case AM_F_VIDEO:
        return (size_t)c->image.frames * c->image.height * c->image.width * c->image.channels;
    case AM_F_HISTOGRAM:
        return am_fimage_histogram_width(&c->image);
    case AM_F_SOUND:
        return am_sound_width(&c->sound);
    case AM_F_CHARS:
    case AM_F_TOKENS:
    case AM_F_SEGMENTS:
        return c->length;
    case AM_F_COUNT:
    case AM_F_TFIDF:
    case AM_F_HASHING:
    case AM_F_VECTORS:
        return am_ftext_outputs(c);
    default:
        return c->buckets;
    }
}

static enum am_rc layout(struct am_features *f, struct am_err *err)
{
    size_t width = 0;
    for (size_t i = 0; i < f->n; i++) {
        struct am_fcol *c = &f->cols[i];
        AM_TRY(check_column(c, err));
        if (am_fkind_is_terms(c->kind))
            AM_TRY(am_ftext_build(c, f->arena, err));
        if (am_map_get(&f->by_name, c->in.name))
            return am_fail(err, AM_ECORRUPT, "features: column \"%.*s\" stands twice",
                           AM_FMT(c->in.name));
        AM_TRY(am_map_put(&f->by_name, c->in.name, i, err));
        size_t own = own_outputs(c);
        c->in.first_output = width;
        c->indicator_at = width + own;
        c->in.n_outputs = own + c->indicator;
        width += c->in.n_outputs;
        if (width > AM_LIMIT_FEATURES) {
            enum am_rc rc = am_fail(err, AM_ELIMIT, "over %d feature outputs at column \"%.*s\"",
                                    AM_LIMIT_FEATURES, AM_FMT(c->in.name));
            am_hint(err,
                    "Drop columns, lower max_categories, the `size` of pictures or the `frames` of "
                    "videos, or use `encode: hash` or `encode: target`; of texts lower "
                    "max_features or raise min_df.");
            return rc;
        }
    }
    if (width == 0)
        return am_fail(err, AM_ECORRUPT, "features: no output");
    f->width = width;
    return AM_OK;
}

/* ---- what applying needs ---- */

static double ordinal_value(const struct am_fcol *c, size_t code)
{
    return code < c->n_categories ? (double)code : -1;
}

static float scaled(const struct am_fcol *c, double v)
{
    double y = (v - c->shift) * c->mul;
    if (c->mul == 0)
        y = 0;
    return (float)fmin(fmax(y, -(double)FLT_MAX), (double)FLT_MAX);
}

static enum am_rc make_table(struct am_features *f, struct am_fcol *c, struct am_err *err)
{
    c->n_table = c->kind == AM_F_ORDINAL ? 1 : c->n_values;
    size_t rows = c->n_categories + 2;
    float *t = am_arena_array(f->arena, rows * c->n_table, sizeof *t);
    if (t == NULL)
        return am_arena_check(f->arena, err);
    for (size_t r = 0; r < rows; r++) {
        for (size_t k = 0; k < c->n_table; k++)
            t[r * c->n_table + k] = scaled(
                c, c->kind == AM_F_ORDINAL ? ordinal_value(c, r) : c->values[r * c->n_table + k]);
    }
    c->table = t;
    return AM_OK;
}

static bool has_categories(enum am_fkind k)
{
    return k == AM_F_ONEHOT || k == AM_F_ORDINAL || k == AM_F_TARGET || am_fkind_is_ids(k);
}

static enum am_rc make_lookup(struct am_features *f, struct am_fcol *c, struct am_err *err)
{
    for (size_t i = 0; i < c->n_categories; i++) {
        if (am_map_get(&c->map, c->categories[i]))
            return am_fail(err, AM_ECORRUPT,
                           "features: column \"%.*s\": category \"%.*s\" stands twice",
                           AM_FMT(c->in.name), AM_FMT(c->categories[i]));
        AM_TRY(am_map_put(&c->map, c->categories[i], i, err));
    }
    if (c->fill_text.ptr)
        c->fill_code = am_fcol_code(c, c->fill_text);
    bool table = c->kind == AM_F_ORDINAL || c->kind == AM_F_TARGET;
    return table ? make_table(f, c, err) : AM_OK;
}

static bool is_affine(const struct am_fcol *c)
{
    return c->kind == AM_F_NUMBER && c->scale != AM_FS_LOG && c->scale != AM_FS_QUANTILE &&
           !c->indicator;
}

const struct am_feature_input *am_features_keep_missing(const struct am_features *f)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->cols[i].kind == AM_F_NUMBER && f->cols[i].keep_missing)
            return &f->cols[i].in;
    return NULL;
}

/* A constant gives 0 for every input, infinite differences included. */
static struct am_faffine affine_of(const struct am_fcol *c, size_t i)
{
    struct am_faffine a = {.input = (uint32_t)i, .output = (uint32_t)c->in.first_output};
    if (c->mul == 0 && !c->keep_missing)
        return a;
    a.factor = c->factor;
    a.offset = c->offset;
    a.fill = c->keep_missing ? (double)NAN : c->fill;
    a.shift = c->shift;
    a.mul = c->mul;
    return a;
}

static enum am_rc split_columns(struct am_features *f, struct am_err *err)
{
    struct am_faffine *affine = am_arena_array(f->arena, f->n, sizeof *affine);
    uint32_t *others = am_arena_array(f->arena, f->n, sizeof *others);
    if (affine == NULL || others == NULL)
        return am_arena_check(f->arena, err);
    f->all_numbers = true;
    for (size_t i = 0; i < f->n; i++) {
        if (f->cols[i].kind != AM_F_NUMBER)
            f->all_numbers = false;
        else if (f->cols[i].mul == 0 && f->cols[i].scale != AM_FS_QUANTILE)
            f->cols[i].shift = 0; /* log and indicator columns: (g - 0) * 0 is never NaN */
        if (is_affine(&f->cols[i]))
            affine[f->n_affine++] = affine_of(&f->cols[i], i);
        else
            others[f->n_others++] = (uint32_t)i;
    }
    f->affine = affine;
    f->others = others;
    if (f->n_others > 0)
        return AM_OK;
    double *k = am_arena_array(f->arena, 5 * f->n, sizeof *k);
    if (k == NULL)
        return am_arena_check(f->arena, err);
    for (size_t i = 0; i < f->n; i++) {
        k[i] = affine[i].factor;
        k[f->n + i] = affine[i].offset;
        k[2 * f->n + i] = affine[i].fill;
        k[3 * f->n + i] = affine[i].shift;
        k[4 * f->n + i] = affine[i].mul;
    }
    f->factor = k;
    f->offset = k + f->n;
    f->fill = k + 2 * f->n;
    f->shift = k + 3 * f->n;
    f->mul = k + 4 * f->n;
    return AM_OK;
}

/* ---- names ---- */

static struct am_str date_output_name(struct am_arena *a, const struct am_fcol *c, size_t j)
{
    for (size_t k = 0; k < c->n_parts; k++) {
        const struct am_fpart_def *p = &c->parts[k];
        const char *name = am_fpart_name(p->part);
        if (!p->cyclic && j-- == 0)
            return am_arena_printf(a, "%.*s.%s", AM_FMT(c->in.name), name);
        if (p->cyclic && j < 2)
            return am_arena_printf(a, "%.*s.%s_%s", AM_FMT(c->in.name), name,
                                   j == 0 ? "sin" : "cos");
        if (p->cyclic)
            j -= 2;
    }
    return c->in.name;
}

static struct am_str bin_name(struct am_arena *a, const struct am_fcol *c, size_t j)
{
    static const char *const parts[] = {"red", "green", "blue", "light"};
    size_t part = j / c->image.bins + (c->image.channels == 1 ? 3 : 0);
    return am_arena_printf(a, "%.*s.%s%zu", AM_FMT(c->in.name), parts[part], j % c->image.bins);
}

/* Name of the column's own output j (not the indicator). */
static struct am_str own_output_name(struct am_arena *a, const struct am_fcol *c, size_t j)
{
    switch (c->kind) {
    case AM_F_NUMBER:
    case AM_F_ORDINAL:
        return c->in.name;
    case AM_F_ONEHOT:
        if (j < c->n_categories)
            return am_arena_printf(a, "%.*s=%.*s", AM_FMT(c->in.name), AM_FMT(c->categories[j]));
        return am_arena_printf(a, "%.*s=%s", AM_FMT(c->in.name),
                               j == c->n_categories && c->has_other ? "(other)" : "(missing)");
    case AM_F_TARGET:
        if (c->n_values == 1)
            return am_arena_printf(a, "%.*s.target", AM_FMT(c->in.name));
        return am_arena_printf(a, "%.*s.target_%zu", AM_FMT(c->in.name), j);
    case AM_F_DATE:
        return date_output_name(a, c, j);
    case AM_F_IMAGE: /* a hundred thousand alike: one name for all */
    case AM_F_VIDEO:
    case AM_F_SOUND:
    case AM_F_CHARS:
    case AM_F_TOKENS:
    case AM_F_SEGMENTS:
        return c->in.name;
    case AM_F_HISTOGRAM:
        return bin_name(a, c, j);
    case AM_F_COUNT:
    case AM_F_TFIDF:
    case AM_F_HASHING:
    case AM_F_VECTORS:
        return am_ftext_output_name(a, c, j);
    default:
        return am_arena_printf(a, "%.*s#%zu", AM_FMT(c->in.name), j);
    }
}

static enum am_rc name_outputs(struct am_features *f, struct am_err *err)
{
    struct am_str *names = am_arena_array(f->arena, f->width, sizeof *names);
    uint32_t *inputs = am_arena_array(f->arena, f->width, sizeof *inputs);
    struct am_column_desc *columns = am_arena_array(f->arena, f->n, sizeof *columns);
    enum am_col_type *types = am_arena_array(f->arena, f->n, sizeof *types);
    if (names == NULL || inputs == NULL || columns == NULL || types == NULL)
        return am_arena_check(f->arena, err);
    for (size_t i = 0; i < f->n; i++) {
        const struct am_fcol *c = &f->cols[i];
        columns[i] = (struct am_column_desc){c->in.name, c->in.type};
        types[i] = c->in.type;
        for (size_t j = 0; j < c->in.n_outputs; j++) {
            size_t at = c->in.first_output + j;
            inputs[at] = (uint32_t)i;
            names[at] = at == c->indicator_at
                            ? am_arena_printf(f->arena, "%.*s=(missing)", AM_FMT(c->in.name))
                            : own_output_name(f->arena, c, j);
        }
    }
    f->output_names = names;
    f->output_inputs = inputs;
    f->types = types;
    f->schema = (struct am_schema){columns, f->n};
    return am_arena_check(f->arena, err);
}

enum am_rc am_features_build(struct am_features *f, struct am_err *err)
{
    AM_TRY(am_arena_check(f->arena, err));
    AM_TRY(layout(f, err));
    for (size_t i = 0; i < f->n; i++) {
        struct am_fcol *c = &f->cols[i];
        if (has_categories(c->kind))
            AM_TRY(make_lookup(f, c, err));
        if (c->kind == AM_F_SOUND)
            AM_TRY(am_sound_plan_new(&c->sound, f->arena, &c->plan, err));
    }
    AM_TRY(split_columns(f, err));
    return name_outputs(f, err);
}

/* ---- accessors ---- */

size_t am_features_n_inputs(const struct am_features *f)
{
    return f->n;
}

const struct am_feature_input *am_features_input(const struct am_features *f, size_t i)
{
    return &f->cols[i].in;
}

size_t am_features_find_input(const struct am_features *f, struct am_str name)
{
    const uint64_t *at = am_map_get(&f->by_name, name);
    return at ? (size_t)*at : SIZE_MAX;
}

size_t am_features_width(const struct am_features *f)
{
    return f->width;
}

struct am_dims am_features_shape(const struct am_features *f, size_t *n_tokens)
{
    *n_tokens = 0;
    if (f->n == 1 && f->cols[0].kind == AM_F_IMAGE) {
        const struct am_fimage *i = &f->cols[0].image;
        return (struct am_dims){3, {i->height, i->width, i->channels}};
    }
    if (f->n == 1 && f->cols[0].kind == AM_F_VIDEO) {
        const struct am_fimage *i = &f->cols[0].image;
        return (struct am_dims){4, {i->frames, i->height, i->width, i->channels}};
    }
    if (f->n == 1 && f->cols[0].kind == AM_F_SOUND) {
        size_t channels = am_sound_channels(f->cols[0].plan);
        return am_dims2((int64_t)(f->width / channels), (int64_t)channels);
    }
    if (f->n == 1 && !f->cols[0].indicator && am_fkind_is_ids(f->cols[0].kind))
        *n_tokens = f->cols[0].n_categories + AM_TOKEN_FIRST;
    return am_dims1((int64_t)f->width);
}

struct am_str am_features_output_name(const struct am_features *f, size_t j)
{
    return f->output_names[j];
}

size_t am_features_output_input(const struct am_features *f, size_t j)
{
    return f->output_inputs[j];
}

const struct am_schema *am_features_schema(const struct am_features *f)
{
    return &f->schema;
}

bool am_features_all_numbers(const struct am_features *f)
{
    return f->all_numbers;
}
