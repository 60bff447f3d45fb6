/* Members of a zip archive in memory, stored or deflated: what .npz and .keras files are.
 *
 * A reader of other programs' archives: the central directory is what counts, sizes and CRC-32 are
 * checked, encrypted and ZIP64 members refused, and nothing is unpacked beyond what the limits
 * allow. Packages of models have a stricter reader of their own (model/package.h). Fitting library.
 * Any thread. */
#ifndef AM_NN_TRAIN_ARCHIVE_H
#define AM_NN_TRAIN_ARCHIVE_H

#include "base/arena.h"

struct am_member {
    struct am_str name;   /* borrowed from the file */
    struct am_str packed; /* its bytes as they lie there */
    uint64_t n_bytes;     /* unpacked */
    uint32_t crc;
    bool deflated;
};
struct am_archive {
    struct am_member *members; /* in the arena, [n] */
    size_t n;
    uint64_t unpacked, unpacked_max; /* of all members together */
};

/* Do the bytes begin as a zip archive? */
bool am_archive_is(struct am_str file);
/* AM_ECORRUPT, AM_EUNSUPPORTED. The file is borrowed for as long as out is used. */
enum am_rc am_archive_open(struct am_str file, struct am_arena *a, struct am_archive *out,
                           struct am_err *err) AM_MUST_CHECK;
/* The member's bytes: borrowed from the file, or unpacked into the arena. AM_ELIMIT when all that
 * was unpacked is over 200 times the file (or 64 MiB). */
enum am_rc am_archive_read(struct am_archive *z, const struct am_member *m, struct am_arena *a,
                           struct am_str *out, struct am_err *err) AM_MUST_CHECK;
/* The member of that name, or NULL. */
const struct am_member *am_archive_find(const struct am_archive *z, struct am_str name);

#endif
