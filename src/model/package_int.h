/* What the reader and the writer of packages share: the records of the archive, byte by byte, and
 * CRC-32.
 *
 * The functions that lay out bytes exist once: the writer writes with them, the reader compares
 * with them. Only for package.c and package_write.c. No state; any thread. */
#ifndef AM_MODEL_PACKAGE_INT_H
#define AM_MODEL_PACKAGE_INT_H

#include "model/package.h"

#define AM_PACKAGE_FORMAT "aimass-package"
#define AM_PACKAGE_VERSION 1

#define AM_ZIP_LOCAL_MAGIC 0x04034b50u
#define AM_ZIP_CENTRAL_MAGIC 0x02014b50u
#define AM_ZIP_END64_MAGIC 0x06064b50u
#define AM_ZIP_LOCATOR_MAGIC 0x07064b50u
#define AM_ZIP_END_MAGIC 0x06054b50u
#define AM_ZIP_VERSION 45    /* 4.5: ZIP64 */
#define AM_ZIP_MADE_BY 0x32d /* Unix, 4.5 */
#define AM_ZIP_DATE 0x21     /* 1980-01-01: equal content has equal bytes */
#define AM_ZIP_MODE (0100644u << 16)
#define AM_ZIP_PAD_ID 0xd935 /* the alignment field that Android's zipalign registered */
#define AM_ZIP_ALIGN 64
#define AM_ZIP_LOCAL_BYTES 30
#define AM_ZIP_LOCAL64_BYTES 20
#define AM_ZIP_PAD_MIN 6
#define AM_ZIP_CENTRAL_BYTES 46
#define AM_ZIP_CENTRAL64_BYTES 28
#define AM_ZIP_END_BYTES (56 + 20 + 22)
#define AM_ZIP_NAME_MAX 32
#define AM_ZIP_TAIL_MAX                                                                            \
    (AM_PARTS * (AM_ZIP_CENTRAL_BYTES + AM_ZIP_CENTRAL64_BYTES + AM_ZIP_NAME_MAX) +                \
     AM_ZIP_END_BYTES)
#define AM_ZIP_HEAD_MAX                                                                            \
    (AM_ZIP_LOCAL_BYTES + AM_ZIP_NAME_MAX + AM_ZIP_LOCAL64_BYTES + AM_ZIP_PAD_MIN + AM_ZIP_ALIGN)

static inline uint16_t am_le16(const unsigned char *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint32_t am_le32(const unsigned char *p)
{
    return (uint32_t)am_le16(p) | (uint32_t)am_le16(p + 2) << 16;
}
static inline uint64_t am_le64(const unsigned char *p)
{
    return (uint64_t)am_le32(p) | (uint64_t)am_le32(p + 4) << 32;
}

struct am_zip_entry {
    const char *name;
    uint32_t crc;
    uint64_t size;
    uint64_t offset; /* of its local header */
};
struct am_zip_tail {
    struct am_zip_entry parts[AM_PARTS];
    size_t n_parts;
    uint64_t cd_offset;
};
/* Local header, name and extra field of the entry at e->offset; returns their bytes. */
size_t am_zip_head(const struct am_zip_entry *e, unsigned char out[AM_ZIP_HEAD_MAX]);
/* Central directory and the three end records; returns their bytes. */
size_t am_zip_tail(const struct am_zip_tail *t, unsigned char out[AM_ZIP_TAIL_MAX]);

struct am_crc_table {
    uint32_t t[8][256];
};
void am_crc_init(struct am_crc_table *table);
uint32_t am_crc(const struct am_crc_table *table, const void *p,
                size_t n); /* ISO 3309, as in ZIP */

/* am_json_parse whose syntax errors are AM_ECORRUPT: nobody typed these documents. */
enum am_rc am_package_json(struct am_str text, const char *what, struct am_arena *a,
                           struct am_node **out, struct am_err *err) AM_MUST_CHECK;

size_t am_part_limit(enum am_package_part part); /* bytes */
size_t am_package_limit(void);

#endif
