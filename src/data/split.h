/* Splits: which row is for training, validation or test; folds; samples; the leak check; views of
 * parts.
 *
 * A split is one byte a row, made by pure functions of (spec, seed, values): no thread, batch size
 * or file cut changes it. Rows already marked AM_ROW_DROPPED stay so and count for nothing. Random
 * draws are sequential (exact counts, no list of rows in memory). The caller owns the arrays. */
#ifndef AM_DATA_SPLIT_H
#define AM_DATA_SPLIT_H

#include "base/pool.h"
#include "base/tree.h"
#include "tensor/frame.h"

enum am_row_part { AM_ROW_TRAIN = 0, AM_ROW_VALIDATION = 1, AM_ROW_TEST = 2, AM_ROW_DROPPED = 3 };
#define AM_PART_BIT(part) (1u << (part))

enum am_split_by {
    AM_SPLIT_RANDOM,
    AM_SPLIT_STRATIFIED,
    AM_SPLIT_GROUP,
    AM_SPLIT_TIME,
    AM_SPLIT_HASH,
    AM_SPLIT_GIVEN
};
enum am_split_of { AM_SPLIT_OF_ALL, AM_SPLIT_OF_TRAIN };
enum am_split_take { AM_SPLIT_TAKE_RANDOM, AM_SPLIT_TAKE_LAST };
enum am_split_leaks { AM_LEAKS_IGNORE, AM_LEAKS_WARN, AM_LEAKS_ERROR, AM_LEAKS_GROUP };

struct am_split_spec {
    enum am_split_by by;
    double test;       /* share of all kept rows, 0 = none */
    double validation; /* share, 0 = none */
    enum am_split_of validation_of;
    enum am_split_take validation_take;
    enum am_split_leaks
        leaks; /* AM_LEAKS_GROUP: rows equal to an earlier one go where that one went */
    uint64_t seed;
    struct am_str column;  /* stratified: the target; group, time, given: their column.
                              given: train, validation or test in each row */
    struct am_str classes; /* given: the column by whose classes validation is drawn from the
                              training rows when no row is given for it; NULL ptr = at random */
    const struct am_str *test_groups; /* [n_test_groups] group: these are tested, in place of a
                                         share; NULL = by share */
    size_t n_test_groups;
    const struct am_str *hash_columns; /* [n_hash_columns]; none = all columns */
    size_t n_hash_columns;
    const struct am_str *ignore; /* [n_ignore] id columns: not compared in the leak check */
    size_t n_ignore;
    struct am_pool *pool; /* NULL = one thread; makes no difference to the result */
};
/* From the resolved recipe's data.split; `by: auto` needs whether the target is a class. Ids as
 * `ignore`. */
enum am_rc am_split_spec_from_node(const struct am_node *split, struct am_str target,
                                   bool target_is_class, struct am_arena *a,
                                   struct am_split_spec *out, struct am_err *err) AM_MUST_CHECK;

struct am_split_counts {
    uint64_t n[4];    /* by enum am_row_part */
    uint64_t n_leaks; /* rows of one part equal to a row of another, before leaks were treated */
    uint64_t n_moved; /* by AM_LEAKS_GROUP */
    uint64_t first_leak[2]; /* the two row numbers of the first one */
};

/* parts: [n_rows], every entry AM_ROW_TRAIN or AM_ROW_DROPPED on entry. AM_EINVAL when a part would
 * be empty, a class has one row, a group or time value is missing. */
enum am_rc am_split_make(const struct am_table *t, const struct am_split_spec *s, uint8_t *parts,
                         uint64_t n_rows, struct am_split_counts *counts,
                         struct am_err *err) AM_MUST_CHECK;
void am_split_count(const uint8_t *parts, uint64_t n_rows, struct am_split_counts *counts);

/* Folds over the rows whose part bit is in `parts_mask`: fold[row] = 0..k-1, or UINT16_MAX
 * elsewhere. by random, stratified, group, or time (fold i holds the i-th stretch of time; train on
 * earlier ones). */
enum am_rc am_split_folds(const struct am_table *t, const struct am_split_spec *s, unsigned k,
                          const uint8_t *parts, unsigned parts_mask, uint16_t *fold,
                          uint64_t n_rows, struct am_err *err) AM_MUST_CHECK;

/* Keep n_keep random rows of those not dropped, mark the others AM_ROW_DROPPED. */
enum am_rc am_sample_rows(uint64_t n_keep, uint64_t seed, uint8_t *parts, uint64_t n_rows,
                          struct am_err *err) AM_MUST_CHECK;
/* The recipe's data.sample {rows | share, seed}; NULL node = all rows. */
enum am_rc am_sample_from_node(const struct am_node *sample, uint8_t *parts, uint64_t n_rows,
                               struct am_err *err) AM_MUST_CHECK;

/* The rows of t whose part bit is in mask, in order; first_row counts within the view. `t` is
 * borrowed (its owner frees it after the view), `parts` too. */
enum am_rc am_rows_view(const struct am_table *t, const uint8_t *parts, uint64_t n_rows,
                        unsigned mask, struct am_pool *pool /* NULL = one thread */,
                        struct am_table *out, struct am_err *err) AM_MUST_CHECK;
/* The same by fold: rows in fold `k` (in_fold) or in every other fold. */
enum am_fold_side { AM_FOLD_IN, AM_FOLD_OUT };
enum am_rc am_fold_view(const struct am_table *t, const uint16_t *fold, uint64_t n_rows, unsigned k,
                        enum am_fold_side side, struct am_table *out,
                        struct am_err *err) AM_MUST_CHECK;

#endif
