/* A table kept in memory, column by column, so that many passes cost one read.
 *
 * The cached table has the same schema, rows and order, and hands out slices of its columns. It
 * owns its memory until freed. Any number of iterators may read it, one thread each. */
#ifndef AM_DATA_CACHE_H
#define AM_DATA_CACHE_H

#include "tensor/frame.h"

/* A cache in the making: batches of one schema are added in order. */
struct am_cache;
enum am_rc am_cache_new(const struct am_schema *s, uint64_t max_bytes, struct am_cache **out,
                        struct am_err *err) AM_MUST_CHECK;
/* Copies the batch. AM_ELIMIT (more than max_bytes) or AM_ENOMEM: the cache can only be freed, the
 * caller goes on without it. Sets no error text. */
enum am_rc am_cache_add(struct am_cache *c, const struct am_batch *b) AM_MUST_CHECK;
/* The finished table takes c over. */
void am_cache_finish(struct am_cache *c, struct am_table *out);
void am_cache_free(struct am_cache *c); /* NULL is fine */
/* Calls the column by another type of the same values (text or category, number or boolean). false:
 * the values are kept otherwise. */
bool am_cache_retype(struct am_cache *c, size_t column, enum am_col_type type);

/* Reads t once. When all of it fits into max_bytes, t is freed and replaced by the copy (*cached =
 * true); else t stays as it was. */
enum am_rc am_table_cache(struct am_table *t, uint64_t max_bytes, bool *cached,
                          struct am_err *err) AM_MUST_CHECK;

#endif
