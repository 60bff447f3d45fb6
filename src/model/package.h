/* The .aim file: a closed set of parts in a ZIP64 archive of stored entries. docs/PACKAGE.md has
 * every byte; in short:
 *
 *   each part: local header (30) + name + ZIP64 extra (20) + padding extra, then its bytes at a
 *   multiple of 64; after the last part the central directory, the ZIP64 end record (56), its
 * locator (20) and the end record (22), and nothing more.
 *
 * One content has exactly one byte sequence: the reader accepts what the writer writes and nothing
 * else (no compression, encryption, descriptors, comments, gaps, overlaps, other names or other
 * order), so a hostile archive has no room to lie in. Knows parts, sizes and hashes, not what parts
 * mean (model.h). struct am_package is immutable; any thread. */
#ifndef AM_MODEL_PACKAGE_H
#define AM_MODEL_PACKAGE_H

#include "base/sha256.h"
#include "base/tree.h"
#include "model/sign.h"

enum am_package_part {                    /* in the order in which they lie in the file */
                       AM_PART_MANIFEST,  /* manifest.json */
                       AM_PART_GRAPH,     /* graph.json */
                       AM_PART_WEIGHTS,   /* weights.safetensors */
                       AM_PART_FEATURES,  /* features.json */
                       AM_PART_RECIPE,    /* recipe.yaml */
                       AM_PART_METRICS,   /* metrics.json */
                       AM_PART_CARD,      /* card.md */
                       AM_PART_SAMPLE,    /* sample.json */
                       AM_PART_SIGNATURE, /* signature; optional */
                       AM_PARTS
};
const char *am_package_part_name(enum am_package_part part);

struct am_package;

enum am_signature_policy {
    AM_SIGNATURE_OPTIONAL, /* a signature that is there must be right; with trusted keys, by one of
                              them */
    AM_SIGNATURE_REQUIRED, /* there must be one by a trusted key (AM_EPERM) */
};

enum am_package_flag {
    AM_PACKAGE_MAP = 1, /* map the file instead of reading it: only files of our own blob store */
    AM_PACKAGE_TRUSTED =
        2, /* skip the checksums of the parts: the caller knows inode, size and ctime to
            * be those of a file checked before. Structure is checked all the same. */
};
struct am_package_options {
    unsigned flags;                      /* enum am_package_flag */
    const struct am_public_key *trusted; /* [n_trusted] borrowed for the call */
    size_t n_trusted;
    enum am_signature_policy policy;
};

/* options NULL = all zero. AM_ENOTFOUND; AM_ECORRUPT with what and at which offset; AM_ELIMIT;
 * AM_EPERM by the signature policy. */
enum am_rc am_package_open(const char *path, const struct am_package_options *options,
                           struct am_package **out, struct am_err *err) AM_MUST_CHECK;
/* The bytes are copied. */
enum am_rc am_package_open_bytes(struct am_str bytes, const struct am_package_options *options,
                                 struct am_package **out, struct am_err *err) AM_MUST_CHECK;
void am_package_close(struct am_package *p); /* NULL is fine */

/* The part's bytes, 64-byte aligned, until close; {NULL,0} for a signature that is not there. */
struct am_str am_package_part(const struct am_package *p, enum am_package_part part);
/* manifest.json as a tree; lives until close. */
const struct am_node *am_package_manifest(const struct am_package *p);
/* SHA-256 of the whole file (hex), made at open; empty with AM_PACKAGE_TRUSTED. */
const char *am_package_hash(const struct am_package *p);
/* Who signed; NULL when unsigned. Until close. */
const struct am_public_key *am_package_signer(const struct am_package *p);

/* manifest: map without "entries", which is put in from the parts: {"graph.json": {"sha256",
 * "bytes"}}. parts[AM_PART_MANIFEST] and [AM_PART_SIGNATURE] are not read. sign_with: NULL =
 * unsigned. The same input gives the same bytes. out must be empty. */
struct am_package_content {
    const struct am_node *manifest;
    struct am_str parts[AM_PARTS];
    const struct am_secret_key *sign_with;
};
enum am_rc am_package_build(const struct am_package_content *content, struct am_buf *out,
                            struct am_err *err) AM_MUST_CHECK;
/* Atomic and durable; on failure nothing is left at path. */
enum am_rc am_package_write(const struct am_package_content *content, const char *path,
                            struct am_err *err) AM_MUST_CHECK;

#endif
