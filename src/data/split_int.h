/* Inside of splits: keys of a column, orders in time, the leak check. */
#ifndef AM_DATA_SPLIT_INT_H
#define AM_DATA_SPLIT_INT_H

#include "base/arena.h"
#include "base/map.h"
#include "data/split.h"

struct split_keys {         /* the distinct values of a column, numbered in order of appearance */
    struct am_arena *arena; /* owned: the keys */
    struct am_map map;
    size_t n;
    uint32_t *of;    /* owned [n_rows]; UINT32_MAX = dropped row */
    uint64_t *sizes; /* owned [n] */
};
enum split_missing { SPLIT_MISSING_REFUSED, SPLIT_MISSING_IS_A_KEY };
enum am_rc split_keys_read(const struct am_table *t, struct am_str column, const uint8_t *parts,
                           uint64_t n_rows, enum split_missing missing, struct split_keys *out,
                           struct am_err *err) AM_MUST_CHECK;
void split_keys_clear(struct split_keys *k);
/* A cell as bytes to compare; points into the cell or into `number`. */
struct am_str split_cell_key(const struct am_column *c, size_t i, char number[32]);

/* Rows that are not dropped, by the column's value, then by number. *rows is owned by the caller.
 */
enum am_rc split_time_order(const struct am_table *t, struct am_str column, const uint8_t *parts,
                            uint64_t n_rows, uint64_t **rows, uint64_t *n,
                            struct am_err *err) AM_MUST_CHECK;
/* *columns is owned by the caller. */
enum am_rc split_identity(const struct am_schema *schema, const struct am_str *names,
                          size_t n_names, const struct am_str *ignore, size_t n_ignore,
                          size_t **columns, size_t *n, struct am_err *err) AM_MUST_CHECK;
/* Fills n_leaks, n_moved, first_leak. */
enum am_rc split_leaks(const struct am_table *t, const struct am_split_spec *s, uint8_t *parts,
                       uint64_t n_rows, struct am_split_counts *counts,
                       struct am_err *err) AM_MUST_CHECK;

/* Calls each(ctx, row, first) for every kept row that equals an earlier kept row; `first` is the
 * first such row. Equal rows come in row order. Equality is that of a 128-bit hash of the canonical
 * values. Memory: 48 bytes a row up to a bound, above it the rows are worked in several passes over
 * the table. */
enum am_rc duplicates_each(const struct am_table *t, const struct am_str *ignore, size_t n_ignore,
                           const uint8_t *parts, uint64_t n_rows, struct am_pool *pool,
                           void (*each)(void *ctx, uint64_t row, uint64_t first), void *ctx,
                           struct am_err *err) AM_MUST_CHECK;

#endif
