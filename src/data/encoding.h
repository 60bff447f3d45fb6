/* Text encodings: detection from the first bytes, and rewriting a file as UTF-8. Inside of data/.
 */
#ifndef AM_DATA_ENCODING_H
#define AM_DATA_ENCODING_H

#include "base/str.h"
#include "data/source.h"

enum encoding_found { /* what ICU's converters are named after */
                      ENCODING_UTF8,
                      ENCODING_UTF16LE,
                      ENCODING_UTF16BE,
                      ENCODING_GB18030,
                      ENCODING_LATIN1, /* read as windows-1252, its superset */
};
const char *encoding_found_name(enum encoding_found e);

/* asked AM_ENC_AUTO: byte order mark, then zero bytes, then UTF-8 if valid, then ICU's detector
 * between GB18030 and Latin-1. */
enum am_rc encoding_detect(struct am_str head, enum am_encoding asked, enum encoding_found *out,
                           struct am_err *err) AM_MUST_CHECK;
/* Up to max bytes of the file's beginning, unpacked when it is gzip. *whole: nothing follows. */
enum am_rc encoding_read_head(const char *path, struct am_str label, size_t max, struct am_buf *out,
                              bool *whole, bool *gzip, struct am_err *err) AM_MUST_CHECK;
/* Bytes in memory to UTF-8, without byte order mark; a character cut off at the end is dropped. */
enum am_rc encoding_convert_head(struct am_str head, enum encoding_found from, struct am_buf *out,
                                 struct am_err *err) AM_MUST_CHECK;
/* The whole file, unpacked, as UTF-8 without byte order mark into fd. */
enum am_rc encoding_convert_file(const char *path, struct am_str label, enum encoding_found from,
                                 int fd, struct am_err *err) AM_MUST_CHECK;

#endif
