/* libcrypto's allocations through am_alloc, so that the fail-n-th loops reach them. Called first in
 * main: libcrypto refuses the change once it has allocated. Only for test programs; the product
 * leaves libcrypto its own memory, since other users of the library may be in the same process. */
#ifndef AM_TESTS_HOOK_CRYPTO_H
#define AM_TESTS_HOOK_CRYPTO_H

#include <openssl/crypto.h>
#include <stdbool.h>

#include "base/alloc.h"

static void *hook_crypto_alloc(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return am_alloc(n);
}
static void hook_crypto_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    am_free(p);
}
static void *hook_crypto_realloc(void *p, size_t n, const char *file, int line)
{
    if (n == 0) {
        hook_crypto_free(p, file, line);
        return NULL;
    }
    return am_realloc_array(p, n, 1);
}

static inline bool hook_crypto(void)
{
    return CRYPTO_set_mem_functions(hook_crypto_alloc, hook_crypto_realloc, hook_crypto_free) == 1;
}

#endif
