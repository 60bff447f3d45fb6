/* A CSV file of plain numbers, read by ourselves: several times as fast as a general reader.
 *
 * Gives the same rows and bits as the table engine's own table, or leaves the work to it: at the
 * first line that is not plain (a quote, a text, a space, a missing cell too many, a number of
 * unusual spelling or beyond double) the engine's table goes on from that row, so every error and
 * every odd file stays the engine's. Inside of data/. */
#ifndef AM_DATA_CSV_NUMBERS_H
#define AM_DATA_CSV_NUMBERS_H

#include "data/tables.h"

/* Is the read one of numbers alone, of one described CSV file? */
bool csv_numbers_fit(const struct am_tables_read *read);
/* The engine's table of the same read is taken over; on failure it stays the caller's. read's
 * columns and source are copied. */
enum am_rc csv_numbers_table(const struct am_tables_read *read, const struct am_table *engine,
                             struct am_table *out, struct am_err *err) AM_MUST_CHECK;

#endif
