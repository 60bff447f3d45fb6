/* Reading .aim files: every field of every record is compared with the one value that it may have
 * (package.h; docs/PACKAGE.md). Writing is in package_write.c.
 *
 * The file is walked once from its first byte: each local header must lie where the part before
 * ends, and what follows the last part must be byte for byte the directory that the writer would
 * make. Sizes are compared with limits and with the bytes that remain before they are used. Any
 * thread. */
#include "model/package.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/limits.h"
#include "model/package_int.h"

struct am_package {
    unsigned char *bytes; /* owned: allocated, or mapped */
    size_t n_bytes;
    bool mapped;
    struct am_str parts[AM_PARTS]; /* borrowed from bytes */
    uint32_t crc[AM_PARTS];        /* as the local headers say */
    uint64_t offset[AM_PARTS];     /* of the local headers */
    struct am_arena *arena;        /* owned: the manifest's tree */
    const struct am_node *manifest;
    bool is_signed;
    struct am_public_key signer;
    char hash[AM_SHA256_HEX];
};

const char *am_package_part_name(enum am_package_part part)
{
    static const char *const names[AM_PARTS] = {
        "manifest.json", "graph.json", "weights.safetensors", "features.json", "recipe.yaml",
        "metrics.json",  "card.md",    "sample.json",         "signature",
    };
    return names[part];
}

size_t am_part_limit(enum am_package_part part)
{
    switch (part) {
    case AM_PART_WEIGHTS:
        return AM_LIMIT_TENSOR_BYTES + AM_LIMIT_MODEL_HEADER_BYTES;
    case AM_PART_GRAPH:
    case AM_PART_FEATURES:
        return AM_LIMIT_JSON_BYTES;
    case AM_PART_RECIPE:
    case AM_PART_CARD:
        return AM_LIMIT_RECIPE_BYTES;
    case AM_PART_SIGNATURE:
        return AM_SIGNATURE_BYTES;
    default:
        return AM_LIMIT_MODEL_HEADER_BYTES;
    }
}

size_t am_package_limit(void)
{
    size_t n = 0;
    for (int i = 0; i < AM_PARTS; i++)
        n += am_part_limit((enum am_package_part)i) + 512; /* headers of a part take less */
    return n;
}

/* ---- local headers ---- */

static const char *printable(struct am_str name, char out[65])
{
    size_t n = name.len < 64 ? name.len : 64;
    for (size_t i = 0; i < n; i++)
        out[i] = name.ptr[i] >= 32 && name.ptr[i] < 127 ? name.ptr[i] : '?';
    out[n] = 0;
    return out;
}

static enum am_rc bad_name(const struct am_package *p, struct am_str name, struct am_err *err)
{
    char text[65];
    for (int i = 0; i < AM_PARTS; i++)
        if (am_str_is(name, am_package_part_name((enum am_package_part)i)))
            return am_fail(err, AM_ECORRUPT,
                           "package: \"%s\" is there twice or another part is missing",
                           am_package_part_name((enum am_package_part)i));
    (void)p;
    return am_fail(err, AM_ECORRUPT, "package: \"%s\" is no name of a part", printable(name, text));
}

/* The fixed fields, each with the complaint when it differs. */
static enum am_rc check_fixed(const unsigned char *h, size_t at, struct am_err *err)
{
    static const struct {
        unsigned char offset, size;
        uint32_t want;
        const char *what;
    } fields[] = {
        {4, 2, AM_ZIP_VERSION, "version"},  {6, 2, 0, "flags (encryption, descriptors)"},
        {8, 2, 0, "compression method"},    {10, 2, 0, "time"},
        {12, 2, AM_ZIP_DATE, "date"},       {18, 4, UINT32_MAX, "32-bit compressed size"},
        {22, 4, UINT32_MAX, "32-bit size"},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        uint32_t v =
            fields[i].size == 2 ? am_le16(h + fields[i].offset) : am_le32(h + fields[i].offset);
        if (v != fields[i].want)
            return am_fail(err, AM_ECORRUPT, "package: %s at byte %zu is %u, only %u is allowed",
                           fields[i].what, at + fields[i].offset, v, fields[i].want);
    }
    return AM_OK;
}

/* The extra field: ZIP64 sizes and the padding that aligns the data. */
static enum am_rc check_extra(const unsigned char *x, size_t n_extra, size_t data_at,
                              uint64_t *size, struct am_err *err)
{
    size_t pad = n_extra - AM_ZIP_LOCAL64_BYTES;
    if (n_extra < AM_ZIP_LOCAL64_BYTES + AM_ZIP_PAD_MIN ||
        n_extra >= AM_ZIP_LOCAL64_BYTES + AM_ZIP_PAD_MIN + AM_ZIP_ALIGN ||
        data_at % AM_ZIP_ALIGN != 0)
        return am_fail(err, AM_ECORRUPT, "package: the data at byte %zu is not aligned to %d",
                       data_at, AM_ZIP_ALIGN);
    if (am_le16(x) != 1 || am_le16(x + 2) != 16 || am_le64(x + 4) != am_le64(x + 12))
        return am_fail(err, AM_ECORRUPT,
                       "package: the 64-bit sizes before byte %zu are missing or differ", data_at);
    *size = am_le64(x + 4);
    x += AM_ZIP_LOCAL64_BYTES;
    if (am_le16(x) != AM_ZIP_PAD_ID || am_le16(x + 2) != pad - 4 || am_le16(x + 4) != AM_ZIP_ALIGN)
        return am_fail(err, AM_ECORRUPT,
                       "package: the padding before byte %zu is not as it must be", data_at);
    for (size_t i = AM_ZIP_PAD_MIN; i < pad; i++)
        if (x[i] != 0)
            return am_fail(err, AM_ECORRUPT, "package: the padding before byte %zu is not zero",
                           data_at);
    return AM_OK;
}

/* The part whose header is at *at; moves *at behind its data. */
static enum am_rc read_part(struct am_package *p, enum am_package_part part, size_t *at,
                            struct am_err *err)
{
    const unsigned char *h = p->bytes + *at;
    size_t left = p->n_bytes - *at, n_name, n_extra, head;
    struct am_str name;
    uint64_t size = 0;
    if (left < AM_ZIP_LOCAL_BYTES)
        return am_fail(err, AM_ECORRUPT,
                       "package: the file ends in the header of \"%s\" at byte %zu",
                       am_package_part_name(part), *at);
    if (am_le32(h) != AM_ZIP_LOCAL_MAGIC)
        return am_fail(err, AM_ECORRUPT,
                       "package: part \"%s\" is missing, or its header at byte %zu is bad",
                       am_package_part_name(part), *at);
    AM_TRY(check_fixed(h, *at, err));
    n_name = am_le16(h + 26);
    n_extra = am_le16(h + 28);
    head = AM_ZIP_LOCAL_BYTES + n_name + n_extra;
    if (head > left)
        return am_fail(err, AM_ECORRUPT,
                       "package: the file ends in the header of \"%s\" at byte %zu",
                       am_package_part_name(part), *at);
    name = (struct am_str){(const char *)h + AM_ZIP_LOCAL_BYTES, n_name};
    if (!am_str_is(name, am_package_part_name(part)))
        return bad_name(p, name, err);
    AM_TRY(check_extra(h + AM_ZIP_LOCAL_BYTES + n_name, n_extra, *at + head, &size, err));
    if (size > am_part_limit(part))
        return am_fail(err, AM_ELIMIT, "package: \"%s\" has %llu bytes, at most %zu allowed",
                       am_package_part_name(part), (unsigned long long)size, am_part_limit(part));
    if (size > left - head)
        return am_fail(err, AM_ECORRUPT, "package: \"%s\" has %llu bytes, but %zu are left",
                       am_package_part_name(part), (unsigned long long)size, left - head);
    p->parts[part] = (struct am_str){(const char *)h + head, (size_t)size};
    p->crc[part] = am_le32(h + 14);
    p->offset[part] = *at;
    *at += head + (size_t)size;
    return AM_OK;
}

/* ---- the directory ---- */

static enum am_rc check_tail(const struct am_package *p, size_t at, struct am_err *err)
{
    unsigned char want[AM_ZIP_TAIL_MAX];
    struct am_zip_tail t = {.cd_offset = at};
    size_t n, left = p->n_bytes - at;
    for (int i = 0; i < AM_PARTS; i++)
        if (p->parts[i].ptr)
            t.parts[t.n_parts++] =
                (struct am_zip_entry){am_package_part_name((enum am_package_part)i), p->crc[i],
                                      p->parts[i].len, p->offset[i]};
    n = am_zip_tail(&t, want);
    for (size_t i = 0; i < n && i < left; i++)
        if (p->bytes[at + i] != want[i])
            return am_fail(
                err, AM_ECORRUPT,
                "package: byte %zu of the central directory is %u, the parts before say %u", at + i,
                p->bytes[at + i], want[i]);
    if (left < n)
        return am_fail(err, AM_ECORRUPT,
                       "package: the file ends in its directory, %zu bytes are missing", n - left);
    if (left > n)
        return am_fail(err, AM_ECORRUPT, "package: %zu bytes follow the end", left - n);
    return AM_OK;
}

static enum am_rc check_crcs(const struct am_package *p, struct am_err *err)
{
    struct am_crc_table table;
    am_crc_init(&table);
    for (int i = 0; i < AM_PARTS; i++)
        if (p->parts[i].ptr && am_crc(&table, p->parts[i].ptr, p->parts[i].len) != p->crc[i])
            return am_fail(err, AM_ECORRUPT,
                           "package: checksum of \"%s\" differs: the file is damaged",
                           am_package_part_name((enum am_package_part)i));
    return AM_OK;
}

static enum am_rc read_parts(struct am_package *p, struct am_err *err)
{
    size_t at = 0;
    if (p->n_bytes < 4 || am_le32(p->bytes) != AM_ZIP_LOCAL_MAGIC) {
        am_fail(err, AM_ECORRUPT, "package: this is no .aim file (%zu bytes)", p->n_bytes);
        am_hint(
            err,
            "An .aim file is what \"aimass train\" or \"aimass model export\" writes; other kinds "
            "of model files are not read.");
        return AM_ECORRUPT;
    }
    for (int i = 0; i < AM_PART_SIGNATURE; i++)
        AM_TRY(read_part(p, (enum am_package_part)i, &at, err));
    if (p->n_bytes - at >= 4 && am_le32(p->bytes + at) == AM_ZIP_LOCAL_MAGIC)
        AM_TRY(read_part(p, AM_PART_SIGNATURE, &at, err));
    return check_tail(p, at, err);
}

/* ---- the manifest's list of parts, and the signature ---- */

static enum am_rc check_entry(const struct am_package *p, enum am_package_part part,
                              const struct am_node *e, unsigned flags, struct am_err *err)
{
    unsigned char hash[AM_SHA256_BYTES];
    char hex[AM_SHA256_HEX];
    struct am_str want;
    int64_t bytes;
    const char *name = am_package_part_name(part);
    if (!e || e->kind != AM_NODE_MAP || e->map.n != 2 ||
        !am_node_as_str(am_node_get(e, "sha256"), &want) ||
        !am_node_as_i64(am_node_get(e, "bytes"), &bytes))
        return am_fail(err, AM_ECORRUPT, "manifest.json: no hash and size of \"%s\"", name);
    if (bytes < 0 || (uint64_t)bytes != p->parts[part].len)
        return am_fail(err, AM_ECORRUPT, "manifest.json: \"%s\" has %lld bytes, the file has %zu",
                       name, (long long)bytes, p->parts[part].len);
    if (flags & AM_PACKAGE_TRUSTED)
        return AM_OK;
    AM_TRY(am_sha256(p->parts[part].ptr, p->parts[part].len, hash, err));
    am_sha256_hex(hash, hex);
    if (!am_str_is(want, hex))
        return am_fail(err, AM_ECORRUPT, "package: SHA-256 of \"%s\" differs from the manifest's",
                       name);
    return AM_OK;
}

enum am_rc am_package_json(struct am_str text, const char *what, struct am_arena *a,
                           struct am_node **out, struct am_err *err)
{
    enum am_rc rc = am_json_parse(a, text, what, out, err);
    if (rc != AM_EINVAL && rc != AM_EUSAGE)
        return rc;
    if (err)
        err->rc = AM_ECORRUPT;
    return AM_ECORRUPT;
}

static enum am_rc check_manifest(struct am_package *p, unsigned flags, struct am_err *err)
{
    const struct am_node *entries;
    struct am_node *root;
    int64_t version;
    AM_TRY(am_package_json(p->parts[AM_PART_MANIFEST], "manifest.json", p->arena, &root, err));
    if (!am_str_is(am_node_str(root, "format", ""), AM_PACKAGE_FORMAT) ||
        !am_node_as_i64(am_node_get(root, "format_version"), &version))
        return am_fail(err, AM_ECORRUPT, "manifest.json: it does not say \"format\": \"%s\"",
                       AM_PACKAGE_FORMAT);
    if (version != AM_PACKAGE_VERSION) {
        am_fail(err, AM_EUNSUPPORTED, "package: format version %lld, this program reads %d",
                (long long)version, AM_PACKAGE_VERSION);
        am_hint(err, "Use the version of AI Mass that made the file, or a newer one.");
        return AM_EUNSUPPORTED;
    }
    entries = am_node_get(root, "entries");
    if (!entries || entries->kind != AM_NODE_MAP || entries->map.n != AM_PART_SIGNATURE - 1)
        return am_fail(err, AM_ECORRUPT, "manifest.json: \"entries\" does not list the parts");
    for (int i = AM_PART_MANIFEST + 1; i < AM_PART_SIGNATURE; i++)
        AM_TRY(check_entry(p, (enum am_package_part)i,
                           am_node_get(entries, am_package_part_name((enum am_package_part)i)),
                           flags, err));
    p->manifest = root;
    return am_arena_check(p->arena, err);
}

static enum am_rc check_signature(struct am_package *p, const struct am_package_options *o,
                                  struct am_err *err)
{
    if (p->parts[AM_PART_SIGNATURE].ptr) {
        AM_TRY(am_sign_verify(p->parts[AM_PART_SIGNATURE], p->parts[AM_PART_MANIFEST], &p->signer,
                              err));
        p->is_signed = true;
        for (size_t i = 0; i < o->n_trusted; i++)
            if (memcmp(o->trusted[i].bytes, p->signer.bytes, sizeof p->signer.bytes) == 0)
                return AM_OK;
        if (o->n_trusted == 0 && o->policy == AM_SIGNATURE_OPTIONAL)
            return AM_OK;
        am_fail(err, AM_EPERM, "package: signed by a key that is not trusted here");
    } else {
        if (o->policy == AM_SIGNATURE_OPTIONAL)
            return AM_OK;
        am_fail(err, AM_EPERM, "package: it is not signed, and the policy demands a signature");
    }
    am_hint(err,
            "Add the signer's public key to the trusted keys, or have the package signed by one.");
    return AM_EPERM;
}

/* ---- opening ---- */

static enum am_rc package_check(struct am_package *p, const struct am_package_options *o,
                                struct am_err *err)
{
    unsigned char hash[AM_SHA256_BYTES];
    p->arena = am_arena_new(0);
    if (!p->arena)
        return am_fail_nomem(err, sizeof *p);
    AM_TRY(read_parts(p, err));
    if (!(o->flags & AM_PACKAGE_TRUSTED)) {
        AM_TRY(check_crcs(p, err));
        AM_TRY(am_sha256(p->bytes, p->n_bytes, hash, err));
        am_sha256_hex(hash, p->hash);
    }
    AM_TRY(check_manifest(p, o->flags, err));
    return check_signature(p, o, err);
}

static enum am_rc package_alloc(size_t n, struct am_package **out, struct am_err *err)
{
    struct am_package *p = am_calloc(1, sizeof *p);
    if (!p)
        return am_fail_nomem(err, sizeof *p);
    p->n_bytes = n;
    p->bytes = am_alloc_aligned(AM_ZIP_ALIGN, n ? n : 1);
    if (!p->bytes) {
        am_free(p);
        return am_fail_nomem(err, n);
    }
    *out = p;
    return AM_OK;
}

static enum am_rc package_map(int fd, size_t n, struct am_package **out, struct am_err *err)
{
    struct am_package *p = am_calloc(1, sizeof *p);
    void *m;
    if (!p)
        return am_fail_nomem(err, sizeof *p);
    m = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
    if (m == MAP_FAILED) {
        am_free(p);
        return am_fail_errno(err, errno, "cannot map a package of %zu bytes", n);
    }
    p->bytes = m;
    p->n_bytes = n;
    p->mapped = true;
    *out = p;
    return AM_OK;
}

static enum am_rc load_fd(int fd, unsigned flags, struct am_package **out, struct am_err *err)
{
    struct stat st;
    size_t n;
    enum am_rc rc;
    if (fstat(fd, &st) != 0)
        return am_fail_errno(err, errno, "cannot look at the package file");
    if (!S_ISREG(st.st_mode))
        return am_fail(err, AM_EINVAL, "package: this is no regular file");
    if (st.st_size < 0 || (uint64_t)st.st_size > am_package_limit())
        return am_fail(err, AM_ELIMIT, "package: %lld bytes, at most %zu allowed",
                       (long long)st.st_size, am_package_limit());
    n = (size_t)st.st_size;
    if ((flags & AM_PACKAGE_MAP) && n > 0)
        return package_map(fd, n, out, err);
    AM_TRY(package_alloc(n, out, err));
    rc = am_fs_pread_all(fd, (*out)->bytes, n, 0, err);
    if (rc != AM_OK) {
        am_package_close(*out);
        *out = NULL;
    }
    return rc;
}

enum am_rc am_package_open(const char *path, const struct am_package_options *options,
                           struct am_package **out, struct am_err *err)
{
    static const struct am_package_options none;
    const struct am_package_options *o = options ? options : &none;
    struct am_package *p = NULL;
    enum am_rc rc;
    int fd = am_fs()->open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
    if (fd < 0)
        return am_fail_errno(err, errno, "cannot open package \"%s\"", path);
    rc = load_fd(fd, o->flags, &p, err);
    (void)am_fs()->close(fd);
    if (rc == AM_OK)
        rc = package_check(p, o, err);
    if (rc != AM_OK) {
        am_package_close(p);
        am_context(err, "%s", path);
        return rc;
    }
    *out = p;
    return AM_OK;
}

enum am_rc am_package_open_bytes(struct am_str bytes, const struct am_package_options *options,
                                 struct am_package **out, struct am_err *err)
{
    static const struct am_package_options none;
    struct am_package *p = NULL;
    enum am_rc rc;
    if (bytes.len > am_package_limit())
        return am_fail(err, AM_ELIMIT, "package: %zu bytes, at most %zu allowed", bytes.len,
                       am_package_limit());
    AM_TRY(package_alloc(bytes.len, &p, err));
    if (bytes.len)
        memcpy(p->bytes, bytes.ptr, bytes.len);
    rc = package_check(p, options ? options : &none, err);
    if (rc != AM_OK) {
        am_package_close(p);
        return rc;
    }
    *out = p;
    return AM_OK;
}

void am_package_close(struct am_package *p)
{
    if (!p)
        return;
    if (p->mapped)
        (void)munmap(p->bytes, p->n_bytes);
    else
        am_free(p->bytes);
    am_arena_free(p->arena);
    am_free(p);
}

struct am_str am_package_part(const struct am_package *p, enum am_package_part part)
{
    return p->parts[part];
}
const struct am_node *am_package_manifest(const struct am_package *p)
{
    return p->manifest;
}
const char *am_package_hash(const struct am_package *p)
{
    return p->hash;
}
const struct am_public_key *am_package_signer(const struct am_package *p)
{
    return p->is_signed ? &p->signer : NULL;
}
