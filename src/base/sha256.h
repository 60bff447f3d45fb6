/* SHA-256 (FIPS 180-4) through libcrypto. One context belongs to one thread. */
#ifndef AM_BASE_SHA256_H
#define AM_BASE_SHA256_H

#include <stddef.h>

#include "base/err.h"

#define AM_SHA256_BYTES 32
#define AM_SHA256_HEX 65 /* with NUL */

struct am_sha256; /* opaque */

enum am_rc am_sha256_new(struct am_sha256 **out, struct am_err *err) AM_MUST_CHECK;
void am_sha256_free(struct am_sha256 *s);
void am_sha256_add(struct am_sha256 *s, const void *p, size_t n);
void am_sha256_end(struct am_sha256 *s, unsigned char out[AM_SHA256_BYTES]); /* then starts over */
/* One shot. */
enum am_rc am_sha256(const void *p, size_t n, unsigned char out[AM_SHA256_BYTES],
                     struct am_err *err) AM_MUST_CHECK;
void am_sha256_hex(const unsigned char hash[AM_SHA256_BYTES], char out[AM_SHA256_HEX]);

#endif
