/* The request's rows as columns: growing buffers that the scanner fills and a prediction reads as a
 * batch.
 *
 * Kept between requests (no allocation after warm-up). Text cells borrow the request's body.
 * Belongs to one call at a time. */
#ifndef AM_API_COLUMNS_H
#define AM_API_COLUMNS_H

#include "tensor/frame.h"

struct am_columns {
    const struct am_schema *schema; /* borrowed */
    uint64_t schema_id;             /* of the layout in place; 0 = none */
    size_t n_rows;
    size_t cap_rows; /* of every column of this schema */
    char *block;     /* owned: the cells */
    size_t block_bytes;
    struct am_column *columns; /* owned: [cap_columns], into block */
    uint32_t *seen;            /* owned: [cap_columns], row + 1 in which a key was last seen */
    size_t cap_columns;
    struct am_batch batch; /* what a prediction reads */
};

/* Start a request: no rows yet. id: tells schemas apart over time (an address may come again); the
 * same as last time keeps the layout. 0 = lay out anew. */
enum am_rc am_columns_begin(struct am_columns *c, const struct am_schema *schema, uint64_t id,
                            struct am_err *err) AM_MUST_CHECK;
/* Room for at least n_rows; cells already set stay. AM_ELIMIT over AM_LIMIT_PREDICT_CELLS. */
enum am_rc am_columns_reserve(struct am_columns *c, size_t n_rows,
                              struct am_err *err) AM_MUST_CHECK;
void am_columns_clear(struct am_columns *c);
/* Set the batch over what is there. */
const struct am_batch *am_columns_batch(struct am_columns *c);
/* The body moved: text cells that pointed into [from, from + n) point to `to` now. */
void am_columns_relocate(struct am_columns *c, const char *from, size_t n, const char *to);

static inline double *am_columns_numbers(const struct am_columns *c, size_t column)
{
    return (double *)(uintptr_t)c->columns[column].number;
}
static inline struct am_str *am_columns_texts(const struct am_columns *c, size_t column)
{
    return (struct am_str *)(uintptr_t)c->columns[column].text;
}
static inline int64_t *am_columns_dates(const struct am_columns *c, size_t column)
{
    return (int64_t *)(uintptr_t)c->columns[column].date;
}
void am_columns_set_missing(struct am_columns *c, size_t column, size_t row);

#endif
