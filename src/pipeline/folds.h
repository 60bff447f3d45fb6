/* Folds of prepared rows: the one assignment that every candidate of a comparison is measured on.
 *
 * Made from `evaluate.folds` or `tune.folds` (a number or a map) by data/split.h; a function of the
 * specification, the seed and the rows, of nothing else. Without folds (n < 2) the validation part
 * is the one fold: train on the training part, measure on it. Time folds chain forward: fold k is
 * predicted from the folds before it, and the first is predicted by none. A struct am_folds owns
 * its arrays; after am_folds_make any thread may read. */
#ifndef AM_PIPELINE_FOLDS_H
#define AM_PIPELINE_FOLDS_H

#include "pipeline/prepare.h"

#define AM_FOLDS_MAX 100
#define AM_FOLD_NONE UINT16_MAX

struct am_folds_spec {
    unsigned n;                 /* folds; 0 or 1 = none: the validation part is held out */
    unsigned n_repeats;         /* >= 1: other drawings of the same folds, one after the other */
    struct am_split_spec split; /* by, column, seed */
    unsigned parts;             /* rows that take part: bits AM_PART_BIT(enum am_row_part) */
};

struct am_folds {
    struct am_folds_spec spec;
    uint64_t n_rows; /* of the table */
    uint16_t *of;    /* owned [n_repeats, n_rows]: 0..n-1, or AM_FOLD_NONE; without folds
                          0 = held out, 1 = training */
};

/* The recipe's `folds`: NULL = none, a number, or {n, by: auto|random|stratified|group|time,
 * repeats, seed, group, time}; auto is what data.split draws by (stratified for classes). parts:
 * which rows take part. key ("evaluate.folds") stands in messages. AM_EUSAGE. */
enum am_rc am_folds_spec_from_node(const struct am_prepared *p, const struct am_node *node,
                                   const char *key, unsigned parts, struct am_folds_spec *out,
                                   struct am_err *err) AM_MUST_CHECK;
/* within NULL = all rows of the parts; else only rows whose byte in within [n_rows] is not 0 (the
 * training side of an outer fold). AM_EINVAL: fewer rows, groups or rows of a class than folds. */
enum am_rc am_folds_make(const struct am_prepared *p, const struct am_folds_spec *spec,
                         const uint8_t *within, struct am_folds *out,
                         struct am_err *err) AM_MUST_CHECK;
void am_folds_clear(struct am_folds *f);

/* How many (training rows, measured rows) pairs there are: folds times repeats, less the first fold
 * of each repeat by time; 1 without folds. */
size_t am_folds_count(const struct am_folds *f);
/* Pair i: side[row] = AM_ROW_TRAIN, AM_ROW_TEST, or AM_ROW_DROPPED, ready for am_rows_view. */
void am_folds_side(const struct am_folds *f, size_t i, uint8_t *side);
const char *am_folds_by_name(const struct am_folds *f); /* "stratified"; static */

#endif
