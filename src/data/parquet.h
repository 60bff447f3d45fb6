/* Writing Parquet: what a dataset stores, from batches, in one pass, with bounded memory.
 *
 * Not a general writer and no reader (the table engine reads): flat columns, all optional,
 * uncompressed, data page v1. Numbers are DOUBLE, booleans BOOLEAN, dates INT64 TIMESTAMP(MICROS,
 * local), texts BYTE_ARRAY(STRING), PLAIN or, where few texts repeat, RLE_DICTIONARY. Missing =
 * null. Format:
 *
 *   "PAR1"  row group*  footer (FileMetaData, Thrift compact)  u32 length of the footer  "PAR1"
 *   row group = for each column: [dictionary page] data page
 *   page = PageHeader (Thrift compact), then for data: u32 n, n bytes of definition levels, values
 *
 * One writer belongs to one thread. The file is complete only after am_parquet_finish. */
#ifndef AM_DATA_PARQUET_H
#define AM_DATA_PARQUET_H

#include "base/sha256.h"
#include "tensor/frame.h"

struct am_parquet;

/* Creates the file (it must not exist). The schema must outlive the writer. */
enum am_rc am_parquet_new(const char *path, const struct am_schema *schema, struct am_parquet **out,
                          struct am_err *err) AM_MUST_CHECK;
/* Columns in schema order with the schema's types. */
enum am_rc am_parquet_write(struct am_parquet *w, const struct am_column *columns, size_t n_rows,
                            struct am_err *err) AM_MUST_CHECK;
/* The rest and the footer; the sync goes on behind the caller. */
enum am_rc am_parquet_end(struct am_parquet *w, struct am_err *err) AM_MUST_CHECK;
/* After am_parquet_end: waits until the file is synced; its size and the SHA-256 of its bytes. */
enum am_rc am_parquet_finish(struct am_parquet *w, uint64_t *n_bytes, char hex[AM_SHA256_HEX],
                             struct am_err *err) AM_MUST_CHECK;
/* Closes; the file stays (the caller removes an unfinished one). NULL is fine. */
void am_parquet_free(struct am_parquet *w);

#endif
