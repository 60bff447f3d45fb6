/* Writing .aim files: lays out the records of the archive (package_int.h) and puts them together.
 *
 * The same content gives the same bytes: no clock, no user, no order of the file system. The reader
 * compares with the functions of this file. Any thread. */
#include "base/alloc.h"
#include "base/fs.h"
#include "base/limits.h"
#include "model/package_int.h"

/* ---- CRC-32, eight bytes at a time (Kounavis and Berry 2005) ---- */

void am_crc_init(struct am_crc_table *table)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++)
            c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
        table->t[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int k = 1; k < 8; k++)
            table->t[k][i] = table->t[0][table->t[k - 1][i] & 255] ^ (table->t[k - 1][i] >> 8);
}

uint32_t am_crc(const struct am_crc_table *table, const void *p, size_t n)
{
    const unsigned char *b = p;
    const uint32_t(*t)[256] = table->t;
    uint32_t c = UINT32_MAX;
    for (; n >= 8; n -= 8, b += 8) {
        uint32_t lo = am_le32(b) ^ c, hi = am_le32(b + 4);
        c = t[7][lo & 255] ^ t[6][lo >> 8 & 255] ^ t[5][lo >> 16 & 255] ^ t[4][lo >> 24] ^
            t[3][hi & 255] ^ t[2][hi >> 8 & 255] ^ t[1][hi >> 16 & 255] ^ t[0][hi >> 24];
    }
    for (; n > 0; n--, b++)
        c = t[0][(c ^ *b) & 255] ^ (c >> 8);
    return ~c;
}

/* ---- records ---- */

static unsigned char *put(unsigned char *p, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        *p++ = (unsigned char)(v >> (8 * i));
    return p;
}

static unsigned char *put_text(unsigned char *p, const char *text)
{
    size_t n = strlen(text);
    memcpy(p, text, n); /* NOLINT(bugprone-not-null-terminated-result): a piece of a longer text */
    return p + n;
}

/* version needed .. CRC-32, the fields that both headers share */
static unsigned char *put_common(unsigned char *p, uint32_t crc)
{
    p = put(p, AM_ZIP_VERSION, 2);
    p = put(p, 0, 2); /* flags */
    p = put(p, 0, 2); /* method: stored */
    p = put(p, 0, 2); /* time */
    p = put(p, AM_ZIP_DATE, 2);
    p = put(p, crc, 4);
    return put(p, UINT64_MAX, 8); /* both 32-bit sizes: see the extra field */
}

size_t am_zip_head(const struct am_zip_entry *e, unsigned char out[AM_ZIP_HEAD_MAX])
{
    size_t n_name = strlen(e->name);
    uint64_t least =
        e->offset + AM_ZIP_LOCAL_BYTES + n_name + AM_ZIP_LOCAL64_BYTES + AM_ZIP_PAD_MIN;
    size_t pad = AM_ZIP_PAD_MIN + (size_t)((AM_ZIP_ALIGN - least % AM_ZIP_ALIGN) % AM_ZIP_ALIGN);
    unsigned char *p = put(out, AM_ZIP_LOCAL_MAGIC, 4);
    p = put_common(p, e->crc);
    p = put(p, n_name, 2);
    p = put(p, AM_ZIP_LOCAL64_BYTES + pad, 2);
    p = put_text(p, e->name);
    p = put(p, 1, 2);
    p = put(p, 16, 2);
    p = put(p, e->size, 8);
    p = put(p, e->size, 8);
    p = put(p, AM_ZIP_PAD_ID, 2);
    p = put(p, pad - 4, 2);
    p = put(p, AM_ZIP_ALIGN, 2);
    memset(p, 0, pad - AM_ZIP_PAD_MIN);
    return (size_t)(p - out) + pad - AM_ZIP_PAD_MIN;
}

static unsigned char *put_central(unsigned char *p, const struct am_zip_entry *e)
{
    p = put(p, AM_ZIP_CENTRAL_MAGIC, 4);
    p = put(p, AM_ZIP_MADE_BY, 2);
    p = put_common(p, e->crc);
    p = put(p, strlen(e->name), 2);
    p = put(p, AM_ZIP_CENTRAL64_BYTES, 2);
    p = put(p, 0, 2); /* comment */
    p = put(p, 0, 2); /* disk */
    p = put(p, 0, 2); /* internal attributes */
    p = put(p, AM_ZIP_MODE, 4);
    p = put(p, UINT32_MAX, 4); /* 32-bit offset: see the extra field */
    p = put_text(p, e->name);
    p = put(p, 1, 2);
    p = put(p, 24, 2);
    p = put(p, e->size, 8);
    p = put(p, e->size, 8);
    return put(p, e->offset, 8);
}

size_t am_zip_tail(const struct am_zip_tail *t, unsigned char out[AM_ZIP_TAIL_MAX])
{
    unsigned char *p = out;
    uint64_t cd_bytes;
    for (size_t i = 0; i < t->n_parts; i++)
        p = put_central(p, &t->parts[i]);
    cd_bytes = (uint64_t)(p - out);
    p = put(p, AM_ZIP_END64_MAGIC, 4);
    p = put(p, 44, 8); /* of this record, without its first 12 bytes */
    p = put(p, AM_ZIP_MADE_BY, 2);
    p = put(p, AM_ZIP_VERSION, 2);
    p = put(p, 0, 4); /* this disk */
    p = put(p, 0, 4); /* the directory's disk */
    p = put(p, t->n_parts, 8);
    p = put(p, t->n_parts, 8);
    p = put(p, cd_bytes, 8);
    p = put(p, t->cd_offset, 8);
    p = put(p, AM_ZIP_LOCATOR_MAGIC, 4);
    p = put(p, 0, 4);
    p = put(p, t->cd_offset + cd_bytes, 8);
    p = put(p, 1, 4); /* disks in all */
    p = put(p, AM_ZIP_END_MAGIC, 4);
    p = put(p, 0, 2);
    p = put(p, 0, 2);
    p = put(p, UINT32_MAX, 4); /* both 16-bit counts */
    p = put(p, UINT64_MAX, 8); /* 32-bit size and offset */
    p = put(p, 0, 2);          /* comment */
    return (size_t)(p - out);
}

/* ---- the file ---- */

static enum am_rc add_entries(struct am_arena *a, const struct am_package_content *c,
                              struct am_node *manifest, struct am_err *err)
{
    struct am_node *entries = am_new_map(a);
    for (int i = AM_PART_MANIFEST + 1; i < AM_PART_SIGNATURE; i++) {
        const char *name = am_package_part_name((enum am_package_part)i);
        unsigned char hash[AM_SHA256_BYTES];
        char hex[AM_SHA256_HEX];
        struct am_node *e = am_new_map(a);
        if (!c->parts[i].ptr)
            return am_fail(err, AM_EINVAL, "package: part \"%s\" is missing", name);
        if (c->parts[i].len > am_part_limit((enum am_package_part)i))
            return am_fail(err, AM_ELIMIT, "package: \"%s\" has %zu bytes, at most %zu allowed",
                           name, c->parts[i].len, am_part_limit((enum am_package_part)i));
        AM_TRY(am_sha256(c->parts[i].ptr, c->parts[i].len, hash, err));
        am_sha256_hex(hash, hex);
        am_node_set(a, e, "sha256", am_new_cstr(a, hex));
        am_node_set(a, e, "bytes", am_new_i64(a, (int64_t)c->parts[i].len));
        am_node_set(a, entries, name, e);
    }
    am_node_set(a, manifest, "entries", entries);
    return am_arena_check(a, err);
}

static enum am_rc make_manifest(const struct am_package_content *c, struct am_buf *out,
                                struct am_err *err)
{
    struct am_arena *a = am_arena_new(0);
    struct am_node *m;
    enum am_rc rc;
    if (!a)
        return am_fail_nomem(err, sizeof *c);
    m = am_new_map(a);
    am_node_set(a, m, "format", am_new_cstr(a, AM_PACKAGE_FORMAT));
    am_node_set(a, m, "format_version", am_new_i64(a, AM_PACKAGE_VERSION));
    for (size_t i = 0; i < c->manifest->map.n; i++)
        am_node_set_str(a, m, c->manifest->map.pairs[i].key,
                        am_node_copy(a, c->manifest->map.pairs[i].value));
    AM_GO(rc, add_entries(a, c, m, err));
    am_node_to_json(m, AM_JSON_PRETTY, out);
    rc = am_buf_check(out, err);
out:
    am_arena_free(a);
    return rc;
}

static void add_parts(const struct am_str parts[AM_PARTS], struct am_buf *out)
{
    struct am_crc_table table;
    struct am_zip_tail t = {.n_parts = 0};
    unsigned char head[AM_ZIP_HEAD_MAX], tail[AM_ZIP_TAIL_MAX];
    am_crc_init(&table);
    for (int i = 0; i < AM_PARTS; i++) {
        struct am_zip_entry *e = &t.parts[t.n_parts];
        if (!parts[i].ptr)
            continue;
        *e = (struct am_zip_entry){am_package_part_name((enum am_package_part)i),
                                   am_crc(&table, parts[i].ptr, parts[i].len), parts[i].len,
                                   out->len};
        am_buf_add(out, head, am_zip_head(e, head));
        am_buf_add(out, parts[i].ptr, parts[i].len);
        t.n_parts++;
    }
    t.cd_offset = out->len;
    am_buf_add(out, tail, am_zip_tail(&t, tail));
}

enum am_rc am_package_build(const struct am_package_content *c, struct am_buf *out,
                            struct am_err *err)
{
    struct am_str parts[AM_PARTS];
    unsigned char signature[AM_SIGNATURE_BYTES];
    struct am_buf manifest;
    enum am_rc rc;
    am_buf_init(&manifest, am_part_limit(AM_PART_MANIFEST));
    if (!c->manifest || c->manifest->kind != AM_NODE_MAP)
        return am_fail(err, AM_EINVAL, "package: the manifest is no map");
    AM_GO(rc, make_manifest(c, &manifest, err));
    memcpy(parts, c->parts, sizeof parts);
    parts[AM_PART_MANIFEST] = am_buf_view(&manifest);
    parts[AM_PART_SIGNATURE] = (struct am_str){NULL, 0};
    if (c->sign_with) {
        AM_GO(rc, am_sign(c->sign_with, parts[AM_PART_MANIFEST], signature, err));
        parts[AM_PART_SIGNATURE] = (struct am_str){(const char *)signature, sizeof signature};
    }
    add_parts(parts, out);
    rc = am_buf_check(out, err);
out:
    am_buf_clear(&manifest);
    return rc;
}

enum am_rc am_package_write(const struct am_package_content *content, const char *path,
                            struct am_err *err)
{
    struct am_buf bytes;
    enum am_rc rc;
    am_buf_init(&bytes, am_package_limit());
    AM_GO(rc, am_package_build(content, &bytes, err));
    rc = am_fs_write_file(path, bytes.ptr, bytes.len, err);
out:
    am_buf_clear(&bytes);
    return rc;
}
