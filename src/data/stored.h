/* Reading back what parquet.h wrote, one row group at a time: memory is one row group's bytes,
 * whatever the cells hold. Inside of data/.
 *
 * For datasets with pictures, sounds or videos: the table engine runs ahead by rows, not by bytes.
 * Not a general reader of Parquet: flat optional columns, uncompressed, one data page a chunk;
 * anything else is AM_ECORRUPT. Every size is checked against the file before it is used. A table
 * can be read by any number of iterators, one thread each. */
#ifndef AM_DATA_STORED_H
#define AM_DATA_STORED_H

#include "data/tables.h"

/* Can these columns be handed out as they lie in the file, and is one of them media? */
bool stored_suits(const struct am_tables_column *columns, size_t n);
/* columns: all of the files' in their order. n_rows: of all files together. Names are copied. */
enum am_rc stored_table(const struct am_str *paths, size_t n_paths,
                        const struct am_tables_column *columns, size_t n, uint64_t n_rows,
                        struct am_table *out, struct am_err *err) AM_MUST_CHECK;

#endif
