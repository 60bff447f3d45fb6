/* Profiles: what is in a table, column by column, in one pass; mergeable, so shards can be worked
 * apart.
 *
 * Counts, missing, minimum, maximum, mean and deviation are exact. Quantiles, histogram,
 * correlation and warnings that need pairs of values come from a row sample (drawn by row number
 * and seed): all rows up to its size, so exact there. Distinct values are exact up to
 * AM_PROFILE_DISTINCT texts (8192 numbers), estimated above (HyperLogLog). Sums run in row order,
 * whatever the batch cuts. It does not enter a model. One thread per profile. */
#ifndef AM_DATA_PROFILE_H
#define AM_DATA_PROFILE_H

#include "base/tree.h"
#include "tensor/frame.h"

#define AM_PROFILE_DISTINCT 65536
#define AM_PROFILE_SAMPLE 32768
#define AM_PROFILE_TOP 10
#define AM_PROFILE_BINS 20
#define AM_PROFILE_QUANTILES 7 /* .01 .05 .25 .5 .75 .95 .99 */

struct am_profile_options {
    struct am_str target;   /* NULL ptr = none */
    uint64_t n_sample_rows; /* 0 = AM_PROFILE_SAMPLE, less for very many columns */
    uint64_t seed;
};

struct am_top_value {
    struct am_str text;
    uint64_t count;
};

#define AM_PROFILE_FORMATS 12
struct am_media_profile { /* of pictures, sounds, videos; their headers are read */
    struct {
        char name[16];
        uint64_t count;
    } formats[AM_PROFILE_FORMATS]; /* [n_formats], in order of appearance */
    size_t n_formats;
    uint64_t n_read, n_unread, n_animated; /* headers read, not understood */
    /* pictures: width, height, channels; sounds: samples a second, 0, channels; videos: width,
     * height, frames */
    uint32_t low[3], high[3];
    double min_seconds, max_seconds, seconds; /* sounds; seconds: the sum */
    uint64_t n_bytes;
};

struct am_column_profile { /* filled by am_profile_finish */
    struct am_str name;
    enum am_col_type type; /* as read: number, boolean, text, date, image, audio or video */
    uint64_t n_rows, n_missing, n_infinite, n_negative, n_zero;
    uint64_t first_infinite_row; /* UINT64_MAX = none */
    double min, max, mean,
        std;           /* numbers, booleans, dates (microseconds); NaN when no value; std n-1 */
    bool all_integers; /* numbers only */
    bool consecutive_integers; /* known only while distinct values are exact */
    uint64_t n_distinct;
    bool distinct_exact;
    double quantiles[AM_PROFILE_QUANTILES];
    double bin_low, bin_width;
    uint64_t bins[AM_PROFILE_BINS]; /* of the sample */
    struct am_top_value top[AM_PROFILE_TOP];
    size_t n_top;
    /* text */
    uint64_t n_numeric;         /* values that read as numbers */
    uint64_t first_not_numeric; /* row; UINT64_MAX = none */
    uint64_t n_distinct_not_numeric;
    uint64_t max_bytes, max_bytes_row;
    double mean_words;
    struct am_media_profile media; /* pictures and sounds */
    bool two_booleans;             /* two distinct values that conventionally mean false and true */
    double target_correlation; /* Pearson, or correlation ratio / Cramer's V for categories; NaN =
                                  none */
};

struct am_profile;
/* The schema must outlive the profile. */
enum am_rc am_profile_new(const struct am_schema *schema, const struct am_profile_options *o,
                          struct am_profile **out, struct am_err *err) AM_MUST_CHECK;
void am_profile_free(struct am_profile *p);
enum am_rc am_profile_update(struct am_profile *p, const struct am_batch *b,
                             struct am_err *err) AM_MUST_CHECK;
/* Adds another profile of the same schema, options and table (other rows of it); both unfinished.
 * Merge in a fixed order for equal bits. */
enum am_rc am_profile_merge(struct am_profile *into, const struct am_profile *from,
                            struct am_err *err) AM_MUST_CHECK;
enum am_rc am_profile_finish(struct am_profile *p, struct am_err *err) AM_MUST_CHECK;
uint64_t am_profile_n_rows(const struct am_profile *p);
/* Lives as long as the profile; only after finish. */
const struct am_column_profile *am_profile_column(const struct am_profile *p, size_t i);
/* {rows, sampled, columns: [{name, type, count, missing, distinct, …}], warnings: [{column, kind,
 * text}]}; types: the inferred ones, [n columns], or NULL = as read. kinds: constant, missing, id,
 * leak, imbalance, infinite, few_rows. */
struct am_node *am_profile_to_node(const struct am_profile *p, const enum am_col_type *types,
                                   struct am_arena *a);
/* One pass over a table. */
enum am_rc am_profile_table(const struct am_table *t, const struct am_profile_options *o,
                            struct am_profile **out, struct am_err *err) AM_MUST_CHECK;

#endif
