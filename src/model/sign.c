/* Ed25519 through libcrypto, and its key files in PEM (sign.h).
 *
 * Keys are made from 32 raw bytes for each use, so no libcrypto object outlives a call. Secrets are
 * cleared after use. The library's own error queue is emptied: our messages say what went wrong.
 * Any thread. */
#include "model/sign.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

#include "base/alloc.h"
#include "base/fs.h"

#define PEM_MAX_BYTES 4096

static const unsigned char magic[8] = {'A', 'M', 'S', 'I', 'G', 0, 0, 1};

static enum am_rc crypto_fail(struct am_err *err, const char *what)
{
    ERR_clear_error();
    return am_fail(err, AM_ENOMEM, "%s: libcrypto failed", what);
}

static EVP_PKEY *secret_pkey(const struct am_secret_key *k)
{
    return EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, k->seed, sizeof k->seed);
}

static enum am_rc fill_public(EVP_PKEY *pkey, struct am_public_key *out, struct am_err *err)
{
    size_t n = sizeof out->bytes;
    if (EVP_PKEY_get_raw_public_key(pkey, out->bytes, &n) != 1 || n != sizeof out->bytes)
        return crypto_fail(err, "public key");
    return AM_OK;
}

enum am_rc am_secret_key_new(struct am_secret_key *out, struct am_err *err)
{
    EVP_PKEY *pkey = NULL;
    enum am_rc rc;
    if (RAND_priv_bytes(out->seed, sizeof out->seed) != 1)
        return crypto_fail(err, "random bytes");
    pkey = secret_pkey(out);
    rc = pkey ? fill_public(pkey, &out->public_key, err) : crypto_fail(err, "secret key");
    EVP_PKEY_free(pkey);
    if (rc != AM_OK)
        am_secret_key_clear(out);
    return rc;
}

void am_secret_key_clear(struct am_secret_key *k)
{
    OPENSSL_cleanse(k, sizeof *k);
}

/* ---- key files ---- */

enum key_half { SECRET_HALF, PUBLIC_HALF };

static enum am_rc save_pem(EVP_PKEY *pkey, enum key_half half, const char *path, struct am_err *err)
{
    BIO *bio = BIO_new(BIO_s_secmem());
    char *text = NULL;
    long n = 0;
    int fd = -1, ok;
    enum am_rc rc = AM_OK;
    if (!bio)
        return crypto_fail(err, "key file");
    ok = half == SECRET_HALF ? PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL)
                             : PEM_write_bio_PUBKEY(bio, pkey);
    if (ok == 1)
        n = BIO_get_mem_data(bio, &text);
    if (ok != 1 || n <= 0) {
        rc = crypto_fail(err, "key file");
        goto out;
    }
    fd = am_fs()->open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                       half == SECRET_HALF ? 0600 : 0644);
    if (fd < 0) {
        rc = errno == EEXIST ? am_fail(err, AM_EEXIST, "key file \"%s\" exists already", path)
                             : am_fail_errno(err, errno, "cannot make key file \"%s\"", path);
        goto out;
    }
    rc = am_fs_write_all(fd, text, (size_t)n, err);
    if (rc == AM_OK && am_fs()->fsync(fd) != 0)
        rc = am_fail_errno(err, errno, "cannot sync key file \"%s\"", path);
    if (am_fs()->close(fd) != 0 && rc == AM_OK)
        rc = am_fail_errno(err, errno, "cannot close key file \"%s\"", path);
    if (rc != AM_OK)
        (void)am_fs()->unlink(path);
out:
    BIO_free(bio);
    return rc;
}

static enum am_rc load_pem(const char *path, enum key_half half, EVP_PKEY **out, struct am_err *err)
{
    struct am_buf text;
    BIO *bio = NULL;
    EVP_PKEY *pkey = NULL;
    enum am_rc rc;
    am_buf_init(&text, PEM_MAX_BYTES);
    AM_GO(rc, am_fs_read_file(path, &text, err));
    bio = BIO_new_mem_buf(text.ptr ? text.ptr : "", (int)text.len);
    if (!bio) {
        rc = crypto_fail(err, "key file");
        goto out;
    }
    /* "" as password: an encrypted file fails instead of asking a terminal */
    pkey = half == SECRET_HALF ? PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)(uintptr_t) "")
                               : PEM_read_bio_PUBKEY(bio, NULL, NULL, (void *)(uintptr_t) "");
    if (!pkey || EVP_PKEY_get_id(pkey) != EVP_PKEY_ED25519) {
        ERR_clear_error();
        EVP_PKEY_free(pkey);
        rc = am_fail(err, AM_EINVAL, "\"%s\" holds no Ed25519 %s key", path,
                     half == SECRET_HALF ? "secret" : "public");
        am_hint(
            err,
            "Key files are PEM without password, as openssl genpkey -algorithm ed25519 writes.");
        goto out;
    }
    *out = pkey;
out:
    BIO_free(bio);
    if (text.ptr)
        OPENSSL_cleanse(text.ptr, text.len);
    am_buf_clear(&text);
    return rc;
}

enum am_rc am_secret_key_save(const struct am_secret_key *k, const char *path, struct am_err *err)
{
    EVP_PKEY *pkey = secret_pkey(k);
    enum am_rc rc = pkey ? save_pem(pkey, SECRET_HALF, path, err) : crypto_fail(err, "secret key");
    EVP_PKEY_free(pkey);
    return rc;
}

enum am_rc am_secret_key_load(const char *path, struct am_secret_key *out, struct am_err *err)
{
    EVP_PKEY *pkey = NULL;
    size_t n = sizeof out->seed;
    enum am_rc rc;
    AM_TRY(load_pem(path, SECRET_HALF, &pkey, err));
    if (EVP_PKEY_get_raw_private_key(pkey, out->seed, &n) != 1 || n != sizeof out->seed)
        rc = crypto_fail(err, "secret key");
    else
        rc = fill_public(pkey, &out->public_key, err);
    EVP_PKEY_free(pkey);
    if (rc != AM_OK)
        am_secret_key_clear(out);
    return rc;
}

enum am_rc am_public_key_save(const struct am_public_key *k, const char *path, struct am_err *err)
{
    EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, k->bytes, sizeof k->bytes);
    enum am_rc rc = pkey ? save_pem(pkey, PUBLIC_HALF, path, err) : crypto_fail(err, "public key");
    EVP_PKEY_free(pkey);
    return rc;
}

enum am_rc am_public_key_load(const char *path, struct am_public_key *out, struct am_err *err)
{
    EVP_PKEY *pkey = NULL;
    enum am_rc rc;
    AM_TRY(load_pem(path, PUBLIC_HALF, &pkey, err));
    rc = fill_public(pkey, out, err);
    EVP_PKEY_free(pkey);
    return rc;
}

/* ---- signatures ---- */

enum am_rc am_sign(const struct am_secret_key *k, struct am_str message,
                   unsigned char out[AM_SIGNATURE_BYTES], struct am_err *err)
{
    EVP_PKEY *pkey = secret_pkey(k);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t n = 64;
    enum am_rc rc = AM_OK;
    memcpy(out, magic, sizeof magic);
    memcpy(out + 8, k->public_key.bytes, 32);
    if (!pkey || !ctx || EVP_DigestSignInit(ctx, NULL, NULL, NULL, pkey) != 1 ||
        EVP_DigestSign(ctx, out + 40, &n, (const unsigned char *)message.ptr, message.len) != 1 ||
        n != 64)
        rc = crypto_fail(err, "signing");
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    return rc;
}

enum am_rc am_sign_verify(struct am_str signature, struct am_str message,
                          struct am_public_key *signer, struct am_err *err)
{
    const unsigned char *s = (const unsigned char *)signature.ptr;
    EVP_PKEY *pkey = NULL;
    EVP_MD_CTX *ctx = NULL;
    enum am_rc rc = AM_OK;
    if (signature.len != AM_SIGNATURE_BYTES || memcmp(s, magic, sizeof magic) != 0)
        return am_fail(err, AM_ECORRUPT, "signature: not one of ours (%zu bytes)", signature.len);
    pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, s + 8, 32);
    ctx = EVP_MD_CTX_new();
    if (!pkey || !ctx || EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) != 1)
        rc = crypto_fail(err, "verifying");
    else if (EVP_DigestVerify(ctx, s + 40, 64, (const unsigned char *)message.ptr, message.len) !=
             1)
        rc = am_fail(err, AM_ECORRUPT, "signature: it does not fit the manifest");
    else
        memcpy(signer->bytes, s + 8, 32);
    ERR_clear_error();
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    return rc;
}
