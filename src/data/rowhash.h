/* Hashes of values: of whole columns (the dataset's address) and of rows (duplicates, leaks, hash
 * splits).
 *
 * Canonical: one NaN, one zero, texts by length and bytes, missing apart from empty. Inside of
 * data/. */
#ifndef AM_DATA_ROWHASH_H
#define AM_DATA_ROWHASH_H

#include "base/arena.h"
#include "tensor/frame.h"

struct value_hash; /* one SHA-256 a column */
enum am_rc value_hash_new(size_t n_columns, struct value_hash **out,
                          struct am_err *err) AM_MUST_CHECK;
void value_hash_free(struct value_hash *h);
enum am_rc value_hash_update(struct value_hash *h, const struct am_batch *b,
                             struct am_err *err) AM_MUST_CHECK;
/* SHA-256 over "aimass-dataset-1", the row count, and name, type and hash of each column; as hex.
 */
enum am_rc value_hash_finish(struct value_hash *h, const struct am_schema *schema,
                             struct am_arena *a, struct am_str *hex,
                             struct am_err *err) AM_MUST_CHECK;

struct row_hash {
    uint64_t a, b;
};
struct row_hash row_hash_text(struct am_str s); /* of one value */
/* out: [b->n_rows]; columns: those of the batch to take, in this order; depends on values only. */
void row_hash_batch(const struct am_batch *b, size_t begin, size_t end, uint64_t seed,
                    struct row_hash *out);

#endif
