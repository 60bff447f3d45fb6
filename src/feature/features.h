/* Fitted transforms, applied: one implementation turns training batches and prediction requests
 * into the float matrix that a model reads. Fitting lives in fit.h; libaimass links only this side.
 *
 * struct am_features is immutable and may be shared by any number of threads; apply keeps no state
 * and allocates nothing but to decode pictures and sounds. Every output is finite whatever the
 * input: infinities count as missing, results beyond the range of float are clipped.
 *
 * What a column becomes (outputs of one input are contiguous):
 *
 *   number, boolean   1 output: unit conversion, fill of missing, scaling
 *   category onehot   one output a kept category, then NAME=(other) when rare ones were folded,
 * then NAME=(missing) when missing is its own category and was seen in training category ordinal  1
 * output: 0..k-1 in class order, scaled; missing and unseen are -1 (then scaled) category hash
 * `buckets` outputs, a single 1 category target   1 output (regression, binary: mean of the target,
 * of the positive class), or one a class text words        `buckets` outputs: signed hashed word
 * counts, then unit length (missing: zeros) date              its parts; month, day, weekday and
 * hour as sin and cos unless `cyclic: false` any, `indicator`  one more output, NAME=(missing): 1
 * where the value is missing, else 0
 *
 *   image             height x width x channels pixels, or a histogram of the colours and the
 * light; video: frames x as much; decoding allocates
 *
 * Unseen category at prediction: NAME=(other) when it exists, else zeros (onehot); -1 (ordinal);
 * the mean of all training rows (target); its bucket (hash); or AM_EINVAL when the recipe says
 * `unseen: error`. Missing at prediction: filled as in training; as its own category where that was
 * seen, else as unseen. */
#ifndef AM_FEATURE_FEATURES_H
#define AM_FEATURE_FEATURES_H

#include "base/tree.h"
#include "tensor/frame.h"
#include "tensor/sparse.h"
#include "tensor/tensor.h"

struct am_features; /* immutable */

struct am_feature_input {
    struct am_str name; /* borrowed from the features */
    enum am_col_type type;
    size_t
        first_output; /* outputs [first_output, first_output + n_outputs) come from this column: */
    size_t n_outputs; /* the grouping for permutation importance */
};

void am_features_free(struct am_features *f); /* NULL is fine */

size_t am_features_n_inputs(const struct am_features *f);
/* i < n_inputs; lives as long as f. */
const struct am_feature_input *am_features_input(const struct am_features *f, size_t i);
/* SIZE_MAX when absent. */
size_t am_features_find_input(const struct am_features *f, struct am_str name);
size_t am_features_width(const struct am_features *f); /* floats a row */
/* What the floats of a row are, without the batch: [H,W,C] of the only input when it is a picture,
 * [T,H,W,C] of a video, [T,C] or [T] of a sequence (T tokens, 0 = padding; *n_tokens = ids, else
 * 0), [width] otherwise.
 */
struct am_dims am_features_shape(const struct am_features *f, size_t *n_tokens);
/* The first input whose missing values stay NaN (`impute: none`); NULL = none does. */
const struct am_feature_input *am_features_keep_missing(const struct am_features *f);
/* "area_mean", "color=red", "joined.month_sin"; j < width; lives as long as f. */
struct am_str am_features_output_name(const struct am_features *f, size_t j);
/* The input that output j comes from. */
size_t am_features_output_input(const struct am_features *f, size_t j);
/* The columns that a request must bring, as a schema; lives as long as f. */
const struct am_schema *am_features_schema(const struct am_features *f);

/* in: n_inputs columns in input order and of the inputs' types; out: [n_rows, width], row-major.
 * No allocation, thread-safe; a row's bits depend on nothing but the row. AM_EINVAL: wrong column
 * count or type; unseen category where the recipe refuses it (out is then undefined). */
enum am_rc am_features_apply(const struct am_features *f, const struct am_batch *in, float *out,
                             struct am_err *err) AM_MUST_CHECK;

/* Does some text column give sparse outputs (encode: count, tfidf)? Then rows are best made sparse:
 */
bool am_features_sparse(const struct am_features *f);
/* Appends n_rows rows to out, whose n_cols is width: what am_features_apply gives, without the
 * zeros. Allocates only where out must grow, and to clean texts. */
enum am_rc am_features_apply_sparse(const struct am_features *f, const struct am_batch *in,
                                    struct am_csr_buf *out, struct am_err *err) AM_MUST_CHECK;

/* Are all inputs numbers and booleans? Then rows may come as one matrix: */
bool am_features_all_numbers(const struct am_features *f);
/* x: [n_rows, n_inputs], NaN = missing; out: [n_rows, width]. The same bits as am_features_apply;
 * the fastest way for one request. Only when am_features_all_numbers(). */
void am_features_apply_rows(const struct am_features *f, const double *x, size_t n_rows,
                            float *out);

/* The way back, for models that give rows back: every number and boolean column in its own units;
 * of a model with one picture or sound its pixels (0..255) or its channels before normalisation. */
/* How many numbers a row; 0 = nothing comes back. shape: [n], [H,W,C] or [T,C]. */
size_t am_features_n_restored(const struct am_features *f, struct am_dims *shape);
/* Does each restored number belong to a column of its own? Else they are one picture or sound. */
bool am_features_restored_columns(const struct am_features *f);
/* The input that restored number i belongs to; SIZE_MAX past the end. */
size_t am_features_restored_input(const struct am_features *f, size_t i);
/* x: [width] in the model's scale; out: [n_restored]. Finite for finite x. */
void am_features_restore(const struct am_features *f, const float *x, double *out);

/* features.json. The doubles read back to the same bits. NULL nodes stick in the arena: check it
 * once. */
/* The categories of input i in the order of their ordinal numbers, *n of them; NULL for inputs that
 * are no categories. Lives as long as f. */
const struct am_str *am_features_categories(const struct am_features *f, size_t i, size_t *n);
/* The number of one of them, SIZE_MAX = unknown. */
size_t am_features_category(const struct am_features *f, size_t i, struct am_str name);
struct am_node *am_features_to_node(const struct am_features *f, struct am_arena *a);
/* Safe on hostile trees: every count, length, index and number is checked (AM_ECORRUPT, AM_ELIMIT).
 * Nothing is borrowed from the tree. */
enum am_rc am_features_from_node(const struct am_node *n, struct am_features **out,
                                 struct am_err *err) AM_MUST_CHECK;

/* A synthetic batch of n_rows (never a person's row) made of the fitted statistics, in the arena:
 * what a package stores as its sample input. The same seed gives the same batch. Row 1 is all
 * missing. */
enum am_rc am_features_sample(const struct am_features *f, uint64_t seed, size_t n_rows,
                              struct am_arena *a, struct am_batch *out,
                              struct am_err *err) AM_MUST_CHECK;

#endif
