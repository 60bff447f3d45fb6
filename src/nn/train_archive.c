/* Reads zip archives for train_weights.c: the central directory, then each member that is asked
 * for. Every offset is checked against the file before it is used. */
#include "nn/train_archive.h"

#include <zlib.h>

#include "base/limits.h"

#define END_BYTES 22   /* end of the central directory, without its comment */
#define ENTRY_BYTES 46 /* of the central directory, without name, extra, comment */
#define LOCAL_BYTES 30 /* the header before a member's bytes */
#define MEMBERS_MAX 65534
#define NEEDS_ZIP64 UINT32_C(0xFFFFFFFF)

static uint32_t u16(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t u32(const unsigned char *p)
{
    return u16(p) | u16(p + 2) << 16;
}

static enum am_rc bad_zip(const char *why, struct am_err *err)
{
    return am_fail(err, AM_ECORRUPT, "the archive is damaged: %s", am_tr(why));
}

bool am_archive_is(struct am_str file)
{
    return file.len >= 4 && memcmp(file.ptr, "PK\3\4", 4) == 0;
}

static const unsigned char *find_end(const unsigned char *b, size_t n)
{
    size_t from = n > END_BYTES + 65535 ? n - END_BYTES - 65535 : 0;
    for (size_t at = n < END_BYTES ? 0 : n - END_BYTES + 1; at-- > from;)
        if (memcmp(b + at, "PK\5\6", 4) == 0)
            return b + at;
    return NULL;
}

static enum am_rc read_entry(struct am_str file, const unsigned char *entry, struct am_member *m,
                             struct am_err *err)
{
    const unsigned char *b = (const unsigned char *)file.ptr;
    const uint64_t local = u32(entry + 42), packed = u32(entry + 20);
    const uint32_t method = u16(entry + 10);
    uint64_t data;
    m->n_bytes = u32(entry + 24);
    m->crc = u32(entry + 16);
    m->deflated = method == 8;
    if (local == NEEDS_ZIP64 || packed == NEEDS_ZIP64 || m->n_bytes == NEEDS_ZIP64) {
        am_fail(err, AM_EUNSUPPORTED, "member \"%.*s\" of the archive has 4 GiB or more",
                AM_FMT(m->name));
        am_hint(err, "Write the weights as safetensors.");
        return AM_EUNSUPPORTED;
    }
    if ((method != 0 && method != 8) || (u16(entry + 8) & 1))
        return am_fail(err, AM_EUNSUPPORTED,
                       "member \"%.*s\" of the archive is encrypted, or packed by method %u",
                       AM_FMT(m->name), (unsigned)method);
    if (method == 0 && packed != m->n_bytes)
        return bad_zip(AM_N("two sizes of a member differ"), err);
    if (local + LOCAL_BYTES > file.len || memcmp(b + local, "PK\3\4", 4) != 0)
        return bad_zip(AM_N("a member lies outside of it"), err);
    data = local + LOCAL_BYTES + u16(b + local + 26) + u16(b + local + 28);
    if (data > file.len || packed > file.len - data)
        return bad_zip(AM_N("a member lies outside of it"), err);
    m->packed = (struct am_str){file.ptr + data, (size_t)packed};
    return AM_OK;
}

enum am_rc am_archive_open(struct am_str file, struct am_arena *a, struct am_archive *out,
                           struct am_err *err)
{
    const unsigned char *b = (const unsigned char *)file.ptr, *end = find_end(b, file.len);
    uint64_t at;
    size_t n;
    *out = (struct am_archive){.unpacked_max = (uint64_t)file.len * AM_LIMIT_ARCHIVE_RATIO};
    if (out->unpacked_max < AM_LIMIT_ARCHIVE_RATIO_FREE)
        out->unpacked_max = AM_LIMIT_ARCHIVE_RATIO_FREE;
    if (!end)
        return bad_zip(AM_N("it has no directory"), err);
    n = u16(end + 10);
    at = u32(end + 16);
    if (n > MEMBERS_MAX)
        return am_fail(err, AM_EUNSUPPORTED, "the archive has too many members");
    out->members = am_arena_array(a, n + 1, sizeof *out->members);
    AM_TRY(am_arena_check(a, err));
    for (out->n = 0; out->n < n; out->n++) {
        struct am_member *m = &out->members[out->n];
        if (at + ENTRY_BYTES > file.len || memcmp(b + at, "PK\1\2", 4) != 0)
            return bad_zip(AM_N("its directory is cut off"), err);
        m->name = (struct am_str){file.ptr + at + ENTRY_BYTES, u16(b + at + 28)};
        if (m->name.len > file.len - at - ENTRY_BYTES)
            return bad_zip(AM_N("its directory is cut off"), err);
        AM_TRY(read_entry(file, b + at, m, err));
        at += ENTRY_BYTES + m->name.len + u16(b + at + 30) + u16(b + at + 32);
    }
    return AM_OK;
}

/* zlib wants its input without const and counts in 32 bits, which the sizes here fit. */
static bool inflate_all(struct am_str packed, unsigned char *out, size_t n)
{
    union {
        const char *in;
        unsigned char *zlib;
    } u = {.in = packed.ptr};
    z_stream z = {.next_in = u.zlib, .avail_in = (uInt)packed.len, .next_out = out};
    z.avail_out = (uInt)n;
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return false;
    int rc = inflate(&z, Z_FINISH);
    bool whole = rc == Z_STREAM_END && z.avail_out == 0 && z.avail_in == 0;
    (void)inflateEnd(&z);
    return whole;
}

enum am_rc am_archive_read(struct am_archive *z, const struct am_member *m, struct am_arena *a,
                           struct am_str *out, struct am_err *err)
{
    *out = m->packed;
    if (m->deflated) {
        z->unpacked += m->n_bytes;
        if (z->unpacked > z->unpacked_max) {
            am_fail(err, AM_ELIMIT, "the archive unpacks to more than %llu bytes",
                    (unsigned long long)z->unpacked_max);
            am_hint(err, "At most %d times its size is unpacked.", AM_LIMIT_ARCHIVE_RATIO);
            return AM_ELIMIT;
        }
        unsigned char *bytes = am_arena_alloc(a, (size_t)m->n_bytes + 1);
        AM_TRY(am_arena_check(a, err));
        if (!inflate_all(m->packed, bytes, (size_t)m->n_bytes))
            return am_fail(err, AM_ECORRUPT, "member \"%.*s\" of the archive cannot be unpacked",
                           AM_FMT(m->name));
        *out = (struct am_str){(const char *)bytes, (size_t)m->n_bytes};
    }
    if (crc32_z(0, (const unsigned char *)out->ptr, out->len) != m->crc)
        return am_fail(err, AM_ECORRUPT, "member \"%.*s\" of the archive is damaged",
                       AM_FMT(m->name));
    return AM_OK;
}

const struct am_member *am_archive_find(const struct am_archive *z, struct am_str name)
{
    for (size_t i = 0; i < z->n; i++)
        if (am_str_eq(z->members[i].name, name))
            return &z->members[i];
    return NULL;
}
