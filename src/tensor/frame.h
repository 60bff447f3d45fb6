/* Tables in memory: a schema and column batches, the currency between data/, feature/ and
 * prediction.
 *
 * Not a data base: no types beyond what features need. A batch borrows its columns from whoever
 * made it and is valid until that iterator's next call (or for the request). Missing is in band:
 * NaN for numbers and booleans, INT64_MIN for dates, a NULL pointer for strings. Immutable once
 * handed out. */
#ifndef AM_TENSOR_FRAME_H
#define AM_TENSOR_FRAME_H

#include <math.h>
#include <stdint.h>

#include "base/str.h"

enum am_col_type {
    AM_COL_NUMBER,   /* double; NaN = missing */
    AM_COL_BOOLEAN,  /* double 0 or 1; NaN = missing */
    AM_COL_CATEGORY, /* am_str; NULL = missing */
    AM_COL_TEXT,     /* am_str; NULL = missing */
    AM_COL_DATE,     /* int64 microseconds since 1970-01-01 UTC; INT64_MIN = missing */
    AM_COL_IMAGE,    /* am_str: the bytes of one picture as tensor/media.h says; NULL = missing */
    AM_COL_AUDIO,    /* am_str: the bytes of one sound; NULL = missing */
    AM_COL_VIDEO,    /* am_str: the bytes of one video; NULL = missing */
};
#define AM_DATE_MISSING INT64_MIN

/* "number" "boolean" "category" "text" "date" "image" "audio" "video" */
const char *am_col_type_name(enum am_col_type t);
bool am_col_type_parse(struct am_str s, enum am_col_type *out);

/* Cells are am_str. */
static inline bool am_col_is_string(enum am_col_type t)
{
    return t == AM_COL_CATEGORY || t == AM_COL_TEXT || t == AM_COL_IMAGE || t == AM_COL_AUDIO ||
           t == AM_COL_VIDEO;
}
/* Cells are bytes that only the media drivers understand. */
static inline bool am_col_is_media(enum am_col_type t)
{
    return t == AM_COL_IMAGE || t == AM_COL_AUDIO || t == AM_COL_VIDEO;
}

struct am_column_desc {
    struct am_str name; /* borrowed from the schema's owner */
    enum am_col_type type;
};

struct am_schema {
    const struct am_column_desc *columns; /* [n] */
    size_t n;
};
/* Index of the column, or SIZE_MAX. */
size_t am_schema_find(const struct am_schema *s, struct am_str name);

struct am_column {
    enum am_col_type type;
    union {
        const double *number;      /* NUMBER, BOOLEAN: [n_rows] */
        const struct am_str *text; /* CATEGORY, TEXT, IMAGE, AUDIO, VIDEO: [n_rows] */
        const int64_t *date;       /* DATE: [n_rows] */
    };
};

struct am_batch {
    size_t n_rows;
    size_t n_columns;
    const struct am_column *columns; /* [n_columns], in schema order */
    uint64_t first_row;              /* position of row 0 in the whole table */
};

static inline bool am_cell_missing(const struct am_column *c, size_t row)
{
    switch (c->type) {
    case AM_COL_CATEGORY:
    case AM_COL_TEXT:
    case AM_COL_IMAGE:
    case AM_COL_AUDIO:
    case AM_COL_VIDEO:
        return c->text[row].ptr == NULL;
    case AM_COL_DATE:
        return c->date[row] == AM_DATE_MISSING;
    default:
        return isnan(c->number[row]);
    }
}

/* A table that can be read again and again, always in the same order. */
struct am_table {
    const struct am_table_ops *ops;
    void *impl;
};
struct am_table_iter;
struct am_table_ops {
    /* The schema lives as long as the table. */
    const struct am_schema *(*schema)(void *impl);
    /* Rows in all, or UINT64_MAX when not known before reading. */
    uint64_t (*n_rows)(void *impl);
    /* Starts at row 0. The columns wanted: indices into the schema, or NULL for all. */
    enum am_rc (*open)(void *impl, const size_t *columns, size_t n_columns,
                       struct am_table_iter **out, struct am_err *err);
    /* *out = NULL at the end. The batch lives until the next call. */
    enum am_rc (*next)(struct am_table_iter *it, const struct am_batch **out, struct am_err *err);
    void (*close)(struct am_table_iter *it); /* NULL is fine */
    void (*free)(void *impl);                /* the table itself */
};

#endif
