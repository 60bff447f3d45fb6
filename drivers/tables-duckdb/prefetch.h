/* Chunks of a streaming result, fetched ahead by a thread of its own: the engine works on the
 * caller's thread while it is asked, so without this nothing would overlap. One consumer. */
#ifndef AM_DRIVERS_DUCKDB_PREFETCH_H
#define AM_DRIVERS_DUCKDB_PREFETCH_H

#include "driver_int.h"

struct prefetch;

/* Takes *result over; n_ahead chunks at most are held. */
enum am_rc prefetch_new(const struct duck *d, duckdb_connection c, duckdb_result *result,
                        unsigned n_ahead, struct prefetch **out, struct am_err *err);
/* The next chunk, owned by the caller; NULL at the end, and then *error is the engine's message or
 * NULL. */
duckdb_data_chunk prefetch_next(struct prefetch *p, const char **error);
/* Stops the engine and the thread; frees what was fetched. NULL is fine. */
void prefetch_free(struct prefetch *p);

#endif
