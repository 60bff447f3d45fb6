/* Conformance suites of the storage ports, and drivers that misbehave on purpose.
 *
 * A suite takes the ops table and an empty directory, works through the public face of the port,
 * and returns NULL or the first thing that is wrong ("file:line: condition"); so it can be pointed
 * at a broken driver to prove that it notices. The wrappers sit in front of a real handle and
 * disturb chosen calls. */
#ifndef AM_TESTS_CONFORMANCE_STORES_H
#define AM_TESTS_CONFORMANCE_STORES_H

#include <stdlib.h>
#include <unistd.h>

#include "store/blobs.h"
#include "store/records.h"

const char *am_conformance_records(const struct am_records_ops *ops, const char *dir);
const char *am_conformance_blobs(const struct am_blobs_ops *ops, const char *dir);

/* Where the tests of stores put their folders: $TMPDIR, else memory when there is a place for it
 * (their thousands of syncs need no disk: a killed process loses no page), else /tmp. */
static inline const char *am_test_dir(void)
{
    const char *dir = getenv("TMPDIR");
    if (dir)
        return dir;
    return access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
}

enum am_misbehaviour {
    AM_BEHAVE,
    AM_LOST_ACK,    /* the work is done, the answer says it is not (AM_EIO) */
    AM_UNAVAILABLE, /* every call is refused (AM_EBUSY), as by a 503 */
    AM_TRUNCATE,    /* reads end early */
    AM_FLIP,        /* reads give one wrong bit */
    AM_FORGET,      /* writes are acknowledged and dropped */
};
/* What the wrappers do from now on, to the next n calls that it applies to (-1 = all). */
void am_misbehave(enum am_misbehaviour how, long n);

extern const struct am_blobs_ops am_blobs_bad;     /* over am_blobs_files */
extern const struct am_records_ops am_records_bad; /* over am_records_sqlite */

#endif
