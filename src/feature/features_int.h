/* What a fitted column is, shared by the files of feature/ only.
 *
 * A struct am_fcol is filled by fitting (fit.c) or by loading (node.c), then am_features_build()
 * checks it, lays out the outputs and makes what applying needs (lookup maps, float tables, names).
 * All memory belongs to the features' arena, but for the maps. */
#ifndef AM_FEATURE_FEATURES_INT_H
#define AM_FEATURE_FEATURES_INT_H

#include "base/arena.h"
#include "base/map.h"
#include "feature/features.h"
#include "feature/image.h"
#include "feature/sound.h"
#include "feature/tokens.h"

enum am_fkind {
    AM_F_NUMBER,
    AM_F_ONEHOT,
    AM_F_ORDINAL,
    AM_F_TARGET,
    AM_F_HASH,
    AM_F_WORDS,
    AM_F_DATE,
    AM_F_IMAGE,
    AM_F_HISTOGRAM,
    AM_F_VIDEO,
    AM_F_SOUND,
    AM_F_CHARS,
    AM_F_TOKENS,
    AM_F_SEGMENTS,
    AM_F_COUNT,
    AM_F_TFIDF,
    AM_F_HASHING,
    AM_F_VECTORS,
    AM_F_N_KINDS
};
/* Ids of tokens in order. */
static inline bool am_fkind_is_ids(enum am_fkind k)
{
    return k == AM_F_CHARS || k == AM_F_TOKENS || k == AM_F_SEGMENTS;
}
static inline enum am_token_unit am_fkind_unit(enum am_fkind k)
{
    return k == AM_F_CHARS ? AM_TOKEN_CHARS : k == AM_F_TOKENS ? AM_TOKEN_WORDS : AM_TOKEN_SEGMENTS;
}
enum am_fscale {
    AM_FS_NONE,
    AM_FS_STANDARD,
    AM_FS_MINMAX,
    AM_FS_ROBUST,
    AM_FS_LOG,
    AM_FS_QUANTILE,
    AM_FS_N_SCALES
};
enum am_fpart {
    AM_FP_DAYS,
    AM_FP_YEAR,
    AM_FP_MONTH,
    AM_FP_DAY,
    AM_FP_WEEKDAY,
    AM_FP_HOUR,
    AM_FP_N_PARTS
};

#define AM_F_MAX_BUCKETS 65536
#define AM_F_MAX_QUANTILES 10000
#define AM_F_MAX_VALUES 65536 /* table values a category (classes of the target) */
#define AM_F_ARENA_BYTES ((size_t)512 << 20)

/* y = (x - shift) * mul; a constant column has mul 0 and gives 0 */
struct am_fpart_def {
    enum am_fpart part;
    bool cyclic; /* sin and cos: two outputs */
    double shift, mul;
};

struct am_ftext; /* text_int.h */

struct am_fcol {
    struct am_feature_input in;
    enum am_fkind kind;
    enum am_fscale scale;
    bool indicator;
    bool keep_missing; /* number: missing stays NaN for the learner; fill is of statistics alone */
    bool refuse_unseen;
    bool has_other, has_missing;
    /* number: v = x * factor + offset; missing -> fill; y = (g(v) - shift) * mul with g = signed
     * log1p for AM_FS_LOG; AM_FS_QUANTILE interpolates in quantiles instead. ordinal, target:
     * shift, mul of the codes. */
    double factor, offset, fill, shift, mul;
    struct am_str unit_from, unit_to; /* NULL ptr = no unit */
    const double *quantiles;          /* [n_quantiles] ascending */
    size_t n_quantiles;
    /* category */
    const struct am_str *categories; /* [n_categories], class order, distinct */
    size_t n_categories;
    struct am_str fill_text; /* stands for a missing category; NULL ptr = none */
    const double *values;    /* target: [n_categories + 2, n_values]: categories, missing, unseen */
    size_t n_values;
    size_t buckets; /* hash, words */
    /* date */
    int64_t fill_date;
    struct am_fpart_def parts[AM_FP_N_PARTS];
    size_t n_parts;
    struct am_fimage image; /* image, histogram, video */
    struct am_sound_config sound;
    const double *channel_shift, *channel_mul; /* sound: [channels]; NULL = not normalised */
    size_t length; /* chars, tokens, segments (their vocabulary: categories) */
    bool lower;
    unsigned icu;          /* segments: ICU's major version */
    struct am_ftext *text; /* count, tfidf, hashing, vectors (their terms: categories) */
    /* made by am_features_build */
    struct am_map map;  /* category -> index */
    size_t fill_code;   /* of fill_text */
    const float *table; /* ordinal, target: [n_categories + 2, n_table] scaled */
    size_t n_table;     /* outputs a row of table */
    const struct am_sound_plan *plan;
    size_t indicator_at; /* absolute output index */
};

/* A number column without log, quantiles and indicator: what nearly all columns are. */
struct am_faffine {
    uint32_t input, output;
    double factor, offset, fill, shift, mul;
};

struct am_features {
    struct am_arena *arena; /* owned */
    struct am_fcol *cols;   /* [n] */
    size_t n;
    size_t width;
    struct am_schema schema;
    struct am_str *output_names;     /* [width] */
    uint32_t *output_inputs;         /* [width] */
    const struct am_faffine *affine; /* [n_affine] */
    size_t n_affine;
    const uint32_t *others; /* [n_others] columns that are not affine */
    size_t n_others;
    /* all columns affine: the same constants as arrays over columns, so that a row is one loop;
     * else NULL */
    const double *factor, *offset, *fill, *shift, *mul; /* [n] */
    const enum am_col_type *types;                      /* [n] of the inputs, close together */
    bool all_numbers;
    struct am_map by_name;
};

/* Empty features of n columns with their own arena. */
enum am_rc am_features_new(size_t n, struct am_features **out, struct am_err *err) AM_MUST_CHECK;
/* Checks every column, lays out and compiles. AM_ECORRUPT, AM_ELIMIT, AM_ENOMEM. */
enum am_rc am_features_build(struct am_features *f, struct am_err *err) AM_MUST_CHECK;

const char *am_fkind_name(enum am_fkind k);
const char *am_fscale_name(enum am_fscale s);
const char *am_fpart_name(enum am_fpart p);
bool am_fkind_parse(struct am_str s, enum am_fkind *out);
bool am_fscale_parse(struct am_str s, enum am_fscale *out);
bool am_fpart_parse(struct am_str s, enum am_fpart *out);

/* ---- apply.c, text.c, date.c ---- */

/* Index into the tables: category, n_categories = missing, n_categories + 1 = unseen. */
size_t am_fcol_code(const struct am_fcol *c, struct am_str cell);
enum am_rc am_features_check_batch(const struct am_features *f, const struct am_batch *in,
                                   struct am_err *err) AM_MUST_CHECK;
/* Rows [row, row + n) of one column to out (at the column's first output, rows `width` apart). */
enum am_rc am_fcol_apply(const struct am_fcol *c, const struct am_column *in, size_t row, size_t n,
                         float *out, size_t width, struct am_err *err) AM_MUST_CHECK;
/* Signed log1p. */
double am_flog(double v);
void am_fwords(struct am_str text, size_t buckets, float *out);

/* Any int64 microseconds are valid. */
double am_fpart_value(enum am_fpart part, int64_t us);
double am_fpart_period(enum am_fpart part); /* 12, 31, 7, 24; 0 = not cyclic */

#endif
