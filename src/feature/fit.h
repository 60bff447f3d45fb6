/* Fitting transforms: statistics of the training rows in ONE streaming pass in dataset order, by
 * our own code. The result depends on the rows and their order only: not on threads, not on how
 * batches are cut. Not linked by libaimass.
 *
 *   am_features_select  -> which columns are used, in which order
 *   am_features_fit_new -> am_features_fit_update (every batch of training rows) ->
 * am_features_fit_finish am_features_apply_train for the training rows (out-of-fold target
 * encoding), am_features_apply for all others
 *
 * Statistics are those of the filled column, as a scikit-learn pipeline of imputer and scaler
 * gives: mean, deviation   blocks of 128 values, each in two passes, merged in order (Chan et al.
 * 1979) quantiles         exact while a column has at most `kept` = 65536 values (2^24 shared by
 * all columns that need quantiles, at least 1024 each); beyond it the sketch of quantile.h, whose
 * rank error is at most log2(n / kept) / kept of the rows (0.03 % for 1e9 rows) counts exact, at
 * most AM_LIMIT_CATEGORIES distinct values a column One thread at a time; with a pool the columns
 * are spread over its threads. */
#ifndef AM_FEATURE_FIT_H
#define AM_FEATURE_FIT_H

#include "base/tree.h"
#include "feature/features.h"
#include "tensor/frame.h"
#include "tensor/task.h"

struct am_pool;
struct am_features_fit;

/* Bits equal those of the recipe table's key types. */
enum am_feature_key_type {
    AM_FEATURE_KEY_BOOL = 1,
    AM_FEATURE_KEY_INT = 2,
    AM_FEATURE_KEY_NUMBER = 4,
    AM_FEATURE_KEY_TEXT = 8,
    AM_FEATURE_KEY_ENUM = 16,
    AM_FEATURE_KEY_TEXTS = 32,
    AM_FEATURE_KEY_INTS = 64,
    AM_FEATURE_KEY_MAP = 128,
};
/* Not to be filled into the recipe's columns: a column's own key beats `features.default`.
 * A key of `features.COLUMN` (and of `features.default`, whose keys count for every column that
 * they suit). */
struct am_feature_key {
    const char *name;    /* "scale", "impute.constant" */
    unsigned types;      /* enum am_feature_key_type bits */
    const char *choices; /* "a|b" for ENUM, else NULL */
    double min, max;     /* of numbers; equal = no bound */
    const char *
        otherwise; /* default as YAML text; NULL = depends on the column's type (see doc) or none */
    const char *doc; /* one sentence */
};
/* Static table of n rows. */
const struct am_feature_key *am_feature_keys(size_t *n);

/* Columns used, as indices into the schema (memory of the arena): `only` in its order, else all but
 * `drop`; never the target nor the ids. AM_EUSAGE: an unknown name (nearest suggested), target or
 * id in `only`, nothing left. */
enum am_rc am_features_select(const struct am_node *features, const struct am_schema *schema,
                              struct am_str target, const struct am_str *ids, size_t n_ids,
                              struct am_arena *a, size_t **columns, size_t *n_columns,
                              struct am_err *err) AM_MUST_CHECK;

struct am_features_config {
    const struct am_node
        *spec; /* the recipe's `features:`; NULL = all defaults; needed during _new only */
    const struct am_schema *schema; /* of the table; needed during _new only */
    const size_t
        *columns; /* [n_columns] inputs in order (am_features_select); NULL = all of the schema */
    size_t n_columns;
    enum am_task task;
    size_t n_classes;     /* of the target, 0 for regression */
    uint64_t seed;        /* of the folds of target encoding */
    struct am_pool *pool; /* borrowed; NULL = one thread */
    /* Reads a file that a column's `vectors` or `tagger` names, during _new only; NULL = the recipe
     * may name none. */
    enum am_rc (*read_file)(void *ctx, struct am_str path, struct am_buf *out, struct am_err *err);
    void *read_ctx;
};

/* AM_EUSAGE with line and column for settings that do not suit their column. */
enum am_rc am_features_fit_new(const struct am_features_config *config,
                               struct am_features_fit **out, struct am_err *err) AM_MUST_CHECK;
void am_features_fit_free(struct am_features_fit *fit);
/* Does a column use target encoding? Then y is needed, and training rows go through
 * am_features_apply_train. */
bool am_features_fit_needs_target(const struct am_features_fit *fit);
/* batch: the inputs' columns in order (not the whole schema). y: [n_rows] class index or value,
 * from am_target_encode, NaN never; NULL when no target is needed. rows: [n_rows] id of each row in
 * the dataset (folds are drawn from it), NULL = batch->first_row + i. After an error the fit can
 * only be freed. */
enum am_rc am_features_fit_update(struct am_features_fit *fit, const struct am_batch *batch,
                                  const double *y, const uint64_t *rows,
                                  struct am_err *err) AM_MUST_CHECK;
/* AM_EINVAL when no row was seen. The fit lives on for am_features_apply_train. */
enum am_rc am_features_fit_finish(struct am_features_fit *fit, struct am_features **out,
                                  struct am_err *err) AM_MUST_CHECK;
/* Facts that a person should know, one sentence each ("column \"x\" has no value: ..."): list of
 * text. */
struct am_node *am_features_fit_notes(const struct am_features_fit *fit, struct am_arena *a);

/* As am_features_apply, but target encoding gives each training row the value fitted without its
 * own fold. The rows must be those of _update, with the same ids, in any order and cut. Thread-safe
 * after finish, no allocation. */
enum am_rc am_features_apply_train(const struct am_features_fit *fit, const struct am_features *f,
                                   const struct am_batch *batch, const uint64_t *rows, float *out,
                                   struct am_err *err) AM_MUST_CHECK;

/* The same, as sparse rows appended to out (am_features_apply_sparse). */
enum am_rc am_features_apply_train_sparse(const struct am_features_fit *fit,
                                          const struct am_features *f, const struct am_batch *batch,
                                          const uint64_t *rows, struct am_csr_buf *out,
                                          struct am_err *err) AM_MUST_CHECK;

#endif
