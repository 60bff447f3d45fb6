/* Rows with files to rows with checked pictures, sounds and videos: reads files, decodes each once
 * to see that it is whole, leaves bad ones out and tells the report. Inside of data/.
 *
 * Work runs on the pool; order and verdicts do not depend on it. Memory is bounded by bytes, not
 * rows. */
#ifndef AM_DATA_MEDIA_LOAD_H
#define AM_DATA_MEDIA_LOAD_H

#include "base/pool.h"
#include "data/media_rows.h"

enum media_from { MEDIA_AS_IS, MEDIA_FROM_PATH, MEDIA_FROM_BYTES };
struct media_load_column {
    struct am_str name; /* borrowed for the table's life */
    enum am_col_type type;
    enum media_from from;
    size_t inner; /* of the inner table */
};
struct media_load {
    struct am_table inner; /* taken over, also on failure */
    bool inner_whole;      /* it hands out all its columns, whatever is asked for */
    const struct media_load_column *columns; /* [n] */
    size_t n;
    size_t file, label; /* columns of the inner table; SIZE_MAX = none */
    struct am_str root; /* relative names start here; copied */
    struct am_pool *pool;
    struct media_report *report; /* borrowed; reset when the table is opened */
    bool strict;                 /* a bad file is an error: prediction loses no row */
};
enum am_rc media_load_table(const struct media_load *l, struct am_table *out,
                            struct am_err *err) AM_MUST_CHECK;

#endif
