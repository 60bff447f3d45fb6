/* Cleaning as the recipe's data.clean declares it: rows dropped, values repaired, all of it
 * counted.
 *
 * Order: am_clean_rows (where, invalid, min/max, rows with missing values, exact duplicates) marks
 * rows as dropped before the split; am_clean_fit (after the split) takes outlier bounds and fill
 * values from the training rows only, in row order, and drops outlier rows from the training part
 * only; am_clean_view repairs values of every row. Fill values are told (am_clean_fills), because
 * prediction must fill alike. The target is never filled or clipped: rows without a target are
 * dropped. One thread at a time. */
#ifndef AM_DATA_CLEAN_H
#define AM_DATA_CLEAN_H

#include "base/tree.h"
#include "data/dataset.h"

struct am_clean;
/* spec: the resolved data.clean map or NULL (then only missing targets are dropped and infinite
 * numbers refused). Unknown columns and rules that do not fit a type: AM_EUSAGE with line and
 * column. `ignore`: id columns, not compared for duplicates and never cleaned. The schema must
 * outlive it. */
enum am_rc am_clean_new(const struct am_node *spec, const struct am_schema *schema,
                        struct am_str target, const struct am_str *ignore, size_t n_ignore,
                        struct am_clean **out, struct am_err *err) AM_MUST_CHECK;
void am_clean_free(struct am_clean *c);
/* Columns whose invalid cells the import must let through: for am_import_options.lenient. From the
 * recipe alone (no schema yet). */
enum am_rc am_clean_lenient(const struct am_node *spec, struct am_arena *a,
                            const struct am_str **out, size_t *n, struct am_err *err) AM_MUST_CHECK;
/* parts: [n_rows]; rows to drop become AM_ROW_DROPPED, others are untouched. `files` is the dataset
 * behind t: the `where` predicates run in the table engine over its stored values. */
enum am_rc am_clean_rows(struct am_clean *c, const struct am_tables *tables,
                         const struct am_dataset_files *files, const struct am_table *t,
                         uint8_t *parts, uint64_t n_rows, struct am_err *err) AM_MUST_CHECK;
enum am_rc am_clean_fit(struct am_clean *c, const struct am_table *t, uint8_t *parts,
                        uint64_t n_rows, struct am_err *err) AM_MUST_CHECK;
/* The repaired table, all rows, same schema and order; t and c are borrowed. After am_clean_fit. */
enum am_rc am_clean_view(const struct am_clean *c, const struct am_table *t, struct am_table *out,
                         struct am_err *err) AM_MUST_CHECK;
/* {where, target_missing, invalid, missing, duplicates, outliers, rows_before, rows_after,
 *  columns: {NAME: {invalid, filled, fill, clipped, outliers, low, high}}} */
struct am_node *am_clean_report(const struct am_clean *c, struct am_arena *a);
/* {NAME: value}: what missing cells of a column are filled with (not for forward). */
struct am_node *am_clean_fills(const struct am_clean *c, struct am_arena *a);

#endif
