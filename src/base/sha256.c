/* SHA-256 through libcrypto's EVP. libcrypto allocates for itself; its failures come out as
 * AM_ENOMEM when a context is made. Adding to a made context cannot fail, which is asserted. */
#include "base/sha256.h"

#include <assert.h>
#include <openssl/evp.h>

#include "base/alloc.h"

struct am_sha256 {
    EVP_MD_CTX *ctx; /* owned */
};

static void start(struct am_sha256 *s)
{
    int ok = EVP_DigestInit_ex(s->ctx, NULL, NULL);
    assert(ok == 1);
    (void)ok;
}

enum am_rc am_sha256_new(struct am_sha256 **out, struct am_err *err)
{
    struct am_sha256 *s = am_calloc(1, sizeof *s);
    if (!s)
        return am_fail_nomem(err, sizeof *s);
    s->ctx = EVP_MD_CTX_new();
    if (!s->ctx || EVP_DigestInit_ex(s->ctx, EVP_sha256(), NULL) != 1) {
        am_sha256_free(s);
        return am_fail(err, AM_ENOMEM, "libcrypto cannot start a sha-256 hash");
    }
    *out = s;
    return AM_OK;
}

void am_sha256_free(struct am_sha256 *s)
{
    if (!s)
        return;
    EVP_MD_CTX_free(s->ctx);
    am_free(s);
}

void am_sha256_add(struct am_sha256 *s, const void *p, size_t n)
{
    int ok = n == 0 ? 1 : EVP_DigestUpdate(s->ctx, p, n);
    assert(ok == 1);
    (void)ok;
}

void am_sha256_end(struct am_sha256 *s, unsigned char out[AM_SHA256_BYTES])
{
    int ok = EVP_DigestFinal_ex(s->ctx, out, NULL);
    assert(ok == 1);
    (void)ok;
    start(s);
}

enum am_rc am_sha256(const void *p, size_t n, unsigned char out[AM_SHA256_BYTES],
                     struct am_err *err)
{
    if (EVP_Digest(n ? p : "", n, out, NULL, EVP_sha256(), NULL) != 1)
        return am_fail(err, AM_ENOMEM, "libcrypto cannot hash %zu bytes", n);
    return AM_OK;
}

void am_sha256_hex(const unsigned char hash[AM_SHA256_BYTES], char out[AM_SHA256_HEX])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < AM_SHA256_BYTES; i++) {
        out[2 * i] = digits[hash[i] >> 4];
        out[2 * i + 1] = digits[hash[i] & 15];
    }
    out[AM_SHA256_HEX - 1] = '\0';
}
