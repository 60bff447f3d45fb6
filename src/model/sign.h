/* Ed25519 signatures (RFC 8032) over a package's manifest, through libcrypto.
 *
 * Not key management: which keys are trusted is the caller's list (pinned per project). Key files
 * are PEM as `openssl genpkey -algorithm ed25519` writes them: PKCS#8 for the secret,
 * SubjectPublicKeyInfo for the public key. The signature of a package, 104 bytes:
 *
 *   offset  size  what
 *   0       8     "AMSIG" 0 0 1
 *   8       32    public key
 *   40      64    signature over the bytes of manifest.json
 *
 * Any thread. */
#ifndef AM_MODEL_SIGN_H
#define AM_MODEL_SIGN_H

#include "base/str.h"

#define AM_SIGNATURE_BYTES 104

struct am_public_key {
    unsigned char bytes[32];
};
struct am_secret_key {
    unsigned char seed[32]; /* cleared by am_secret_key_clear */
    struct am_public_key public_key;
};

enum am_rc am_secret_key_new(struct am_secret_key *out, struct am_err *err) AM_MUST_CHECK;
void am_secret_key_clear(struct am_secret_key *k);
/* The secret file is made with mode 0600 and must not exist (AM_EEXIST). */
enum am_rc am_secret_key_save(const struct am_secret_key *k, const char *path,
                              struct am_err *err) AM_MUST_CHECK;
enum am_rc am_secret_key_load(const char *path, struct am_secret_key *out,
                              struct am_err *err) AM_MUST_CHECK;
enum am_rc am_public_key_save(const struct am_public_key *k, const char *path,
                              struct am_err *err) AM_MUST_CHECK;
enum am_rc am_public_key_load(const char *path, struct am_public_key *out,
                              struct am_err *err) AM_MUST_CHECK;

enum am_rc am_sign(const struct am_secret_key *k, struct am_str message,
                   unsigned char out[AM_SIGNATURE_BYTES], struct am_err *err) AM_MUST_CHECK;
/* AM_ECORRUPT: not a signature, or not over this message. *signer is who signed, trusted or not. */
enum am_rc am_sign_verify(struct am_str signature, struct am_str message,
                          struct am_public_key *signer, struct am_err *err) AM_MUST_CHECK;

#endif
