/* How a CSV file is written, found out from its first bytes: delimiter, header or not, names.
 *
 * Pure: bytes in, dialect out; nothing is read. The table engine is then told, so that a ragged or
 * odd file gets an error with a line instead of another guess. Any thread. */
#ifndef AM_DATA_CSV_DIALECT_H
#define AM_DATA_CSV_DIALECT_H

#include "base/arena.h"
#include "data/tables.h"

enum am_csv_head { AM_CSV_HEAD_CUT, AM_CSV_HEAD_WHOLE }; /* whether the bytes are the whole file */

struct am_csv_dialect {
    char delimiter, quote;
    bool has_header;
    struct am_str *names; /* [n_names] in the arena: the header's, or column_1 ... */
    size_t n_names;
};

/* AM_EBUSY: the first record is not complete within these bytes: come back with more. Else
 * AM_EINVAL or AM_ELIMIT with a remedy; `label` names the file in messages. head: UTF-8 without
 * byte order mark. */
enum am_rc am_csv_sniff(struct am_str head, enum am_csv_head whole, const struct am_csv_options *o,
                        struct am_str label, struct am_arena *a, struct am_csv_dialect *out,
                        struct am_err *err) AM_MUST_CHECK;

/* Counts lines and records over blocks of a file: the line on which record `wanted` (from 0, names
 * and blank lines not counted) begins. */
struct csv_lines {
    char quote;
    uint64_t wanted, record, line; /* set wanted; the rest 0 */
    bool skip_first;               /* the next record holds names */
    bool quoted, inside;           /* state */
    bool found;                    /* line is that of the wanted record */
};
void csv_lines_feed(struct csv_lines *c, const char *p, size_t n);

#endif
