/* libarchive through pointers, opened at first use: start-up pays nothing for it. Inside of data/.
 *
 * Reading only, in memory: nothing of an archive is ever unpacked to disk. Any thread may ask for
 * the table; one archive belongs to one thread. */
#ifndef AM_DATA_UNPACK_H
#define AM_DATA_UNPACK_H

#include <archive.h>
#include <archive_entry.h>

#include "base/err.h"

#define ARCHIVE_FUNCTIONS(X)                                                                       \
    X(archive_read_new)                                                                            \
    X(archive_read_free)                                                                           \
    X(archive_read_support_format_zip)                                                             \
    X(archive_read_support_format_tar)                                                             \
    X(archive_read_support_filter_gzip)                                                            \
    X(archive_read_support_filter_bzip2)                                                           \
    X(archive_read_support_filter_xz)                                                              \
    X(archive_read_support_filter_zstd)                                                            \
    X(archive_read_open_filename)                                                                  \
    X(archive_read_next_header)                                                                    \
    X(archive_read_data_block)                                                                     \
    X(archive_error_string)                                                                        \
    X(archive_errno)                                                                               \
    X(archive_entry_pathname)                                                                      \
    X(archive_entry_pathname_utf8)                                                                 \
    X(archive_entry_filetype)                                                                      \
    X(archive_entry_hardlink)                                                                      \
    X(archive_entry_is_encrypted)

struct archive_api {
#define X(name) __typeof__(&(name)) name;
    ARCHIVE_FUNCTIONS(X)
#undef X
};
/* AM_EMISSING with the package's name. */
enum am_rc archive_api_open(const struct archive_api **out, struct am_err *err) AM_MUST_CHECK;

#endif
