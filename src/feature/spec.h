/* What the recipe says of one column, read and checked: the input of fitting. Not public. */
#ifndef AM_FEATURE_SPEC_H
#define AM_FEATURE_SPEC_H

#include "base/tree.h"
#include "feature/features_int.h"

enum am_fimpute {
    AM_FI_MEAN,
    AM_FI_MEDIAN,
    AM_FI_MODE,
    AM_FI_CATEGORY,
    AM_FI_CONSTANT,
    AM_FI_NONE
};

struct am_ftext_spec; /* text_spec.h */

struct am_fspec {
    enum am_fkind kind;
    enum am_fscale scale;
    enum am_fimpute impute;
    double constant; /* number, boolean */
    struct am_str constant_text;
    int64_t constant_date;
    bool indicator, refuse_unseen;
    double factor, offset;
    struct am_str unit_from, unit_to;
    size_t n_quantiles;
    size_t max_categories;
    uint64_t min_count;
    const struct am_str *order; /* [n_order] or NULL */
    size_t n_order;
    size_t buckets;
    double smoothing;
    size_t folds;
    enum am_fpart parts[AM_FP_N_PARTS];
    size_t n_parts;
    bool auto_parts; /* drop the hour when no date has one */
    bool cyclic;
    struct am_sound_config sound; /* n_samples 0 */
    double seconds;               /* 0 = from the data */
    bool normalize;
    size_t length; /* tokens; 0 = from the data */
    size_t vocabulary;
    bool lower;
    struct am_ftext_spec *text; /* of terms; in the arena given */
    struct am_fimage image;     /* height, width and channels 0 = from the data */
};

/* features: the recipe's map or NULL. Texts go to the arena. AM_EUSAGE with line and column. */
enum am_rc am_fspec_read(const struct am_node *features, const struct am_column_desc *column,
                         struct am_arena *a, struct am_fspec *out,
                         struct am_err *err) AM_MUST_CHECK;

/* units.c: to = from * factor + offset. AM_EUSAGE: an unknown name (nearest suggested) or different
 * quantities. */
enum am_rc am_funit_find(struct am_str from, struct am_str to, double *factor, double *offset,
                         struct am_err *err) AM_MUST_CHECK;

#endif
