/* A new file written behind the caller: a thread of its own hashes and writes, past the page cache
 * where it can, while the caller makes the next bytes; the sync at the end finds little left.
 *
 * One caller thread. Errors of the thread are told by the next put or by finish. The file is
 * durable only after behind_finish. */
#ifndef AM_DATA_BEHIND_H
#define AM_DATA_BEHIND_H

#include <stddef.h>

#include "base/err.h"
#include "base/sha256.h"

struct behind;

/* The file must not exist. */
enum am_rc behind_new(const char *path, struct behind **out, struct am_err *err) AM_MUST_CHECK;
enum am_rc behind_put(struct behind *b, const void *p, size_t n, struct am_err *err) AM_MUST_CHECK;
/* Nothing follows: the thread may sync while the caller does other work. */
void behind_end(struct behind *b);
/* Waits until the file is synced and closed; its size and SHA-256. */
enum am_rc behind_finish(struct behind *b, uint64_t *n_bytes, char hex[AM_SHA256_HEX],
                         struct am_err *err) AM_MUST_CHECK;
/* Closes; the file stays (the caller removes an unfinished one). NULL is fine. */
void behind_free(struct behind *b);

#endif
