/* Sources that are no tables: folders and archives of pictures, sounds or videos, IDX pairs, CIFAR
 * batches. Inside of data/.
 *
 * A form (folder, archive, ...) gives rows in a fixed order; each row is one picture, sound or
 * video with its class, name and part. Files are not decoded here: media_load.h does that. What
 * cannot become a row is told to the report, and the rows go on. A source lives in the arena it was
 * opened with. One thread. */
#ifndef AM_DATA_MEDIA_ROWS_H
#define AM_DATA_MEDIA_ROWS_H

#include "base/arena.h"
#include "base/map.h"
#include "base/vec.h"
#include "data/tables.h"

enum media_kind { MEDIA_NONE, MEDIA_IMAGE, MEDIA_AUDIO, MEDIA_VIDEO, MEDIA_KINDS };
/* By the name's ending; MEDIA_NONE = not known. */
enum media_kind media_kind_of_name(struct am_str name);
/* By the first bytes (16 are enough). */
enum media_kind media_kind_of_head(struct am_str head);

#define MEDIA_LISTED 1000 /* files named in a report; all are counted */
struct media_bad {
    struct am_str file, reason; /* in the report's arena */
};
struct media_report {
    struct am_arena *arena; /* owned */
    AM_VEC(struct media_bad) bad;
    struct am_map labels; /* class -> good rows; keys in the arena */
    uint64_t n_good, n_bad, n_animated, n_unfit;
    struct am_str animated;   /* the first one */
    struct am_str unfit;      /* the first file that does not fit the pattern */
    uint32_t low[2], high[2]; /* of widths and heights; high 0 = none seen */
    uint32_t low_rate, high_rate;
};
enum am_rc media_report_init(struct media_report *r, struct am_err *err) AM_MUST_CHECK;
void media_report_reset(struct media_report *r);
void media_report_clear(struct media_report *r);
enum am_rc media_report_bad(struct media_report *r, struct am_str file, struct am_str reason,
                            struct am_err *err) AM_MUST_CHECK;
/* A file that is no row since the pattern does not fit it. */
enum am_rc media_report_unfit(struct media_report *r, struct am_str file,
                              struct am_err *err) AM_MUST_CHECK;
/* {files, n_bad, bad: [{file, reason}], notes: [{kind, text}]} */
struct am_node;
struct am_node *media_report_to_node(const struct media_report *r, struct am_arena *a);

#define MEDIA_FIELDS 8 /* columns that a pattern may name */
enum media_cell {
    CELL_MEDIA,
    CELL_LABEL,
    CELL_FILE,
    CELL_SPLIT,
    CELL_COARSE,
    CELL_FIELD, /* the first one of a pattern */
    MEDIA_CELLS = CELL_FIELD + MEDIA_FIELDS
};

struct media_rows {                    /* a batch in the making */
    struct am_arena *arena;            /* owned: the cells; reset with every batch */
    struct am_str *cells[MEDIA_CELLS]; /* owned [cap] */
    size_t n, cap;
};

struct media_source;
struct media_pattern;
struct media_form {
    const char *name; /* for printing */
    bool entries;     /* impl begins with a struct media_entries */
    enum am_rc (*start)(const struct media_source *s, void **state, struct am_err *err);
    /* Fills rows (empty on entry); none added = the end. */
    enum am_rc (*fill)(void *state, struct media_rows *rows, struct media_report *report,
                       struct am_err *err);
    void (*stop)(void *state); /* NULL is fine */
};
struct media_source {
    const struct media_form *form;
    const void *impl; /* the form's, in the arena */
    enum media_kind kind;
    bool has[MEDIA_CELLS];
    bool paths; /* media cells are names of files below `root`, not their bytes */
    struct am_str root;
    const struct media_pattern *pattern; /* in the arena; NULL = class folders */
};

/* Whether these files (or one folder) are no table, and if so opened. labels: the names in
 * messages.
 */
enum am_rc media_source_open(const struct am_str *paths, const struct am_str *labels, size_t n,
                             struct am_arena *a, struct media_source **out,
                             struct am_err *err) AM_MUST_CHECK;
/* "image", "audio" or "video", then label, file, split, coarse: those that the source has. */
const char *media_column_name(const struct media_source *s, enum media_cell c);
/* Takes columns from the files' names in place of class folders: {column} and * in `text` stand for
 * characters without a slash. s NULL or without files of its own: AM_EUSAGE. */
enum am_rc media_pattern_apply(struct media_source *s, struct am_str text, struct am_arena *a,
                               struct am_err *err) AM_MUST_CHECK;
/* fields: views into name, of the pattern's columns. */
bool media_pattern_fits(const struct media_pattern *p, struct am_str name,
                        struct am_str fields[MEDIA_FIELDS]);
struct am_str media_pattern_name(const struct media_pattern *p, size_t field);
/* A table of the source's columns in the order of enum media_cell. s and report are borrowed. */
enum am_rc media_rows_table(const struct media_source *s, struct media_report *report,
                            struct am_table *out, struct am_err *err) AM_MUST_CHECK;

/* ---- shared by the forms ---- */

#define MEDIA_BATCH_ROWS 1024
#define MEDIA_BATCH_BYTES ((size_t)16 << 20)

struct media_entry {              /* a file of a folder or archive */
    struct am_str name;           /* below the root */
    const char *reason;           /* why it cannot be a row; NULL = none so far */
    uint32_t label_at, label_len; /* in name; length 0 = none */
    uint8_t kind, split;          /* enum media_kind; index into the words of splits, 0 = none */
};
struct media_entries {
    struct media_entry *items; /* in the arena */
    size_t n;
    bool has_label, has_split;
    enum media_kind kind; /* of most entries */
};
enum media_strip { MEDIA_STRIP_NOT, MEDIA_STRIP_COMMON };
/* Classes and parts from the folders that entries lie in; MEDIA_STRIP_COMMON: not the one folder
 * that holds everything. */
void media_layout(struct media_entries *e, enum media_strip strip);
const char *media_split_name(unsigned split); /* "train" "validation" "test"; 1..3 */
/* Adds the row but its media cell, or tells the report; *added says which. */
enum am_rc media_entry_row(const struct media_source *s, const struct media_entries *e, size_t i,
                           struct media_rows *rows, struct media_report *report, bool *added,
                           struct am_err *err) AM_MUST_CHECK;
bool media_name_ignored(struct am_str base_name); /* .DS_Store, Thumbs.db, ... */

/* The forms; *out = NULL when the files are not of the form. */
enum am_rc media_folder_open(struct am_str path, struct am_str label, struct am_arena *a,
                             struct media_source **out, struct am_err *err) AM_MUST_CHECK;
enum am_rc media_list_open(const struct am_str *paths, const struct am_str *labels, size_t n,
                           struct am_arena *a, struct media_source **out,
                           struct am_err *err) AM_MUST_CHECK;
bool media_is_archive(struct am_str name);
enum am_rc media_archive_open(struct am_str path, struct am_str label, struct am_arena *a,
                              struct media_source **out, struct am_err *err) AM_MUST_CHECK;
bool media_is_idx(struct am_str name);
enum am_rc media_idx_open(const struct am_str *paths, size_t n, struct am_arena *a,
                          struct media_source **out, struct am_err *err) AM_MUST_CHECK;
bool media_is_cifar(struct am_str name);
enum am_rc media_cifar_open(const struct am_str *paths, size_t n, struct am_arena *a,
                            struct media_source **out, struct am_err *err) AM_MUST_CHECK;

#endif
