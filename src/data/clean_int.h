/* Inside of cleaning: the rules read from the recipe (clean.c) and worked on rows (clean_rows.c).
 */
#ifndef AM_DATA_CLEAN_INT_H
#define AM_DATA_CLEAN_INT_H

#include "base/arena.h"
#include "data/clean.h"

enum clean_missing {
    MISSING_KEEP,
    MISSING_DROP,
    MISSING_MEAN,
    MISSING_MEDIAN,
    MISSING_MODE,
    MISSING_FORWARD,
    MISSING_CONSTANT
};
enum clean_invalid { INVALID_ERROR, INVALID_MISSING, INVALID_DROP };
enum clean_outliers { OUTLIERS_NONE, OUTLIERS_SIGMA, OUTLIERS_IQR };
enum clean_action { OUTLIER_DROP, OUTLIER_CLIP, OUTLIER_MISSING };

struct clean_rule { /* one a column, in schema order */
    struct am_str name;
    enum am_col_type type;
    bool is_target, is_ignored;
    enum clean_missing missing;
    enum clean_invalid invalid;
    double min, max; /* NaN = none */
    enum clean_outliers outliers;
    double limit;
    enum clean_action action;
    /* fitted */
    double low, high; /* of outliers; NaN = none */
    double fill;
    struct am_str fill_text; /* in the arena */
    bool has_fill;
    /* counted over rows kept */
    uint64_t n_invalid, n_filled, n_outliers, n_clipped;
};

struct am_clean {
    struct am_arena *arena; /* owned */
    const struct am_schema *schema;
    struct clean_rule *rules; /* [schema->n] in the arena */
    struct am_str *where;     /* [n_where] in the arena */
    size_t n_where;
    const struct am_str *ignore; /* [n_ignore] in the arena */
    size_t n_ignore;
    bool drop_missing, drop_duplicates, fitted;
    struct { /* rows dropped */
        uint64_t where, target_missing, invalid, missing, duplicates, outliers;
    } dropped;
    uint64_t rows_before, rows_after;
};

static inline bool clean_is_text(enum am_col_type t)
{
    return t == AM_COL_CATEGORY || t == AM_COL_TEXT;
}
static inline bool clean_is_number(enum am_col_type t)
{
    return t == AM_COL_NUMBER || t == AM_COL_BOOLEAN;
}

#endif
