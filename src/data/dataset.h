/* Datasets: immutable versions of imported data: Parquet + schema.json + profile.json in one
 * folder, addressed by a hash of the canonical column values in order (not of file bytes).
 *
 * Import reads the source once: hash, profile, Parquet and, where they fit, the rows in memory come
 * from that pass; then types are inferred and stored with their reasons. Cleaning and splitting are
 * not here: they are the recipe's. Nothing is left in out_dir on failure. Bad input gets one error
 * with file line and remedy. */
#ifndef AM_DATA_DATASET_H
#define AM_DATA_DATASET_H

#include "base/progress.h"
#include "base/sha256.h"
#include "data/schema.h"
#include "data/source.h"
#include "tensor/frame.h"

struct am_import_options {
    struct am_source_options source;
    const struct am_declared_type *types; /* [n_types] the recipe's data.types */
    size_t n_types;
    const struct am_str *lenient; /* columns whose invalid cells are not an error (clean: invalid:
                                     missing|drop); such cells read as +infinity afterwards */
    size_t n_lenient;
    struct am_str target;         /* for the profile's correlations and warnings; NULL ptr = none */
    struct am_progress *progress; /* NULL = nobody watches */
    uint64_t cache_bytes;         /* rows that fit are kept for info->rows; 0 = never */
};

struct am_dataset_info {             /* everything in the caller's arena */
    struct am_dataset_schema schema; /* names, types, why, rows, hash */
    struct am_node *report;  /* {source: {..}, rows, columns: [{name, type, stored, why}], files:
                                am_source_media_to_node (where there are any)} */
    struct am_node *profile; /* am_profile_to_node */
    struct am_str hash;      /* hex, 64 */
    uint64_t n_bytes;        /* of the Parquet part */
    char part_hash[AM_SHA256_HEX]; /* SHA-256 of its bytes, taken while they were written */
    struct am_table rows; /* owned by the caller: what am_dataset_open would read, in memory.
                             ops NULL = more than cache_bytes, or nothing was written */
};

/* out_dir must not exist; afterwards it holds part-0000.parquet, schema.json, profile.json, all
 * synced. */
enum am_rc am_dataset_import(const struct am_tables *tables, struct am_arena *a,
                             const struct am_import_options *o, const char *out_dir,
                             struct am_dataset_info *info, struct am_err *err) AM_MUST_CHECK;

/* The same reading and checking without writing a dataset: for `profile` of a file. */
enum am_rc am_dataset_inspect(const struct am_tables *tables, struct am_arena *a,
                              const struct am_import_options *o, struct am_dataset_info *info,
                              struct am_err *err) AM_MUST_CHECK;

struct am_dataset_files {
    const struct am_str *parts; /* [n_parts] Parquet files, in order */
    size_t n_parts;
    const struct am_dataset_schema *schema; /* borrowed: must outlive the table */
};
/* A re-readable table of the dataset with the schema's types. ops->free frees it. Files stay where
 * they are for the table's life. */
enum am_rc am_dataset_open(const struct am_tables *tables, const struct am_dataset_files *f,
                           struct am_table *out, struct am_err *err) AM_MUST_CHECK;
/* dir as am_dataset_import made it; the schema goes into the arena. */
enum am_rc am_dataset_open_dir(const struct am_tables *tables, struct am_arena *a, const char *dir,
                               struct am_dataset_schema *schema, struct am_table *out,
                               struct am_err *err) AM_MUST_CHECK;
/* Reads everything again and compares with schema->hash: AM_ECORRUPT when it differs. */
enum am_rc am_dataset_check(const struct am_tables *tables, const struct am_dataset_files *f,
                            struct am_err *err) AM_MUST_CHECK;

#endif
