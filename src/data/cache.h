/* A table kept in memory, column by column, so that many passes cost one read.
 *
 * The cached table has the same schema, rows and order, and hands out slices of its columns. It
 * owns its memory until freed. Any number of iterators may read it, one thread each. */
#ifndef AM_DATA_CACHE_H
#define AM_DATA_CACHE_H

#include "tensor/frame.h"

/* Reads t once. When all of it fits into max_bytes, t is freed and replaced by the copy (*cached =
 * true); else t stays as it was. */
enum am_rc am_table_cache(struct am_table *t, uint64_t max_bytes, bool *cached,
                          struct am_err *err) AM_MUST_CHECK;

#endif
