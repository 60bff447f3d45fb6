/* Sources: from what a person writes (file, glob, list, SQL) to files that the table engine reads.
 *
 * Finds the format, expands globs, detects encodings (ICU) and rewrites what is not UTF-8 into
 * temporary files, and checks what an engine reports badly: missing and empty files, header only,
 * duplicate names, too many columns. It does not read values. A source owns its temporary files
 * until am_source_close. */
#ifndef AM_DATA_SOURCE_H
#define AM_DATA_SOURCE_H

#include "base/arena.h"
#include "base/pool.h"
#include "base/tree.h"
#include "data/tables.h"

enum am_encoding { AM_ENC_AUTO, AM_ENC_UTF8, AM_ENC_UTF16, AM_ENC_GB18030, AM_ENC_LATIN1 };
bool am_encoding_parse(struct am_str s,
                       enum am_encoding *out); /* auto utf-8 utf-16 gb18030 latin-1 */
const char *am_encoding_name(enum am_encoding e);

enum am_source_kind { AM_SOURCE_FILES, AM_SOURCE_SQL, AM_SOURCE_NAME };
/* What a spec string is: SQL when it starts with SELECT, WITH or FROM; files when it has a path
 * separator, a glob character, a known extension or exists; else a dataset's name. */
enum am_source_kind am_source_kind(struct am_str spec);

struct am_source_options {
    const struct am_str *specs; /* [n_specs] files, globs, or one SQL SELECT */
    size_t n_specs;
    const char *base_dir; /* relative paths start here; NULL = the working directory */
    const char *temp_dir; /* for rewritten files; must exist */
    enum am_encoding encoding;
    struct am_csv_options csv;
    struct am_str pattern; /* the recipe's data.pattern: what the names of media files say; NULL ptr
                              = class folders */
    struct am_pool *pool;  /* decodes pictures and sounds; NULL = one thread */
};

struct am_source; /* opaque */
/* AM_ENOTFOUND, AM_EINVAL (empty, header only, names, encoding), AM_ELIMIT; each with its remedy.
 */
enum am_rc am_source_open(const struct am_tables *tables, const struct am_source_options *o,
                          struct am_source **out, struct am_err *err) AM_MUST_CHECK;
void am_source_close(struct am_source *s); /* removes its temporary files; NULL is fine */
const struct am_tables_source *am_source_tables(const struct am_source *s); /* until close */
const struct am_tables_info *am_source_info(const struct am_source *s);     /* until close */
/* {format, files: [..], encoding, delimiter, quote, header} for printing */
struct am_node *am_source_to_node(const struct am_source *s, struct am_arena *a);
/* Pictures and sounds: a folder of class folders, an archive of them, IDX pairs, CIFAR batches, a
 * list of such files. NULL = a table. What a column of such a source is: its media column, its
 * classes, or (aside) where a row came from. */
enum am_media_role {
    AM_MEDIA_ROLE_NONE,
    AM_MEDIA_ROLE_MEDIA,
    AM_MEDIA_ROLE_CLASS,
    AM_MEDIA_ROLE_ASIDE
};
enum am_media_role am_source_role(const struct am_source *s, size_t column);
/* Reads like tables->ops->read, and columns of type image or audio with it: their cells are read
 * (a stored text is a file's name relative to the table's file), decoded once to see that they are
 * whole, and handed out as bytes. Rows with bad files are left out and told about, or with strict
 * the first one is the error. Every opening of the table begins the telling anew. */
enum am_source_bad { AM_SOURCE_BAD_LEFT_OUT, AM_SOURCE_BAD_REFUSED };
enum am_rc am_source_scan(struct am_source *s, const struct am_tables_read *read,
                          enum am_source_bad bad, struct am_table *out,
                          struct am_err *err) AM_MUST_CHECK;
/* {files, n_bad, bad: [{file, reason}], notes: [{kind, text}]} of the last pass; NULL = no media.
 * At most 1000 files are listed. kinds of notes: animated, sizes, rates, one_file. */
struct am_node *am_source_media_to_node(const struct am_source *s, struct am_arena *a);
/* Where a row (from 0) stands, for messages: "FILE line N" for CSV, else "row N"; NULL ptr when
 * memory is out. Reads the files again. */
struct am_str am_source_place(const struct am_source *s, uint64_t row, struct am_arena *a);
/* Stream a source without importing it (prediction input): columns by name with the types wanted;
 * columns of the source that are not wanted are left out. `pass` names columns also handed out as
 * TEXT, after the wanted ones (ids; those absent are skipped and told by the schema). The source
 * must outlive the table. */
enum am_rc am_source_read(const struct am_tables *tables, struct am_source *s,
                          const struct am_schema *wanted, const struct am_str *pass, size_t n_pass,
                          struct am_table *out, struct am_err *err) AM_MUST_CHECK;

#endif
