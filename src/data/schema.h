/* Schemas: what type a column has and why, inferred from its values; schema.json and back.
 *
 * Rules, first hit wins: declared in the recipe; at most one distinct value -> category; two
 * conventional booleans -> boolean; dates -> date; distinct values under half of the rows and not
 * numbers, or at most 20 consecutive integers -> category; all numbers -> number; 5 words or more
 * on average, or mostly distinct
 * -> text; else category. Pure functions over a finished profile; results live in the caller's
 * arena. */
#ifndef AM_DATA_SCHEMA_H
#define AM_DATA_SCHEMA_H

#include "base/tree.h"
#include "data/profile.h"
#include "data/tables.h"

#define AM_INFER_CONSECUTIVE_INTEGERS 20
#define AM_INFER_TEXT_WORDS 5.0

struct am_declared_type {
    struct am_str name;
    enum am_col_type type;
};

struct am_inferred {
    enum am_col_type type;
    struct am_str why; /* in the arena or static: "2 distinct values, 0 and 1" */
};
enum am_rc am_infer_type(const struct am_column_profile *p, struct am_arena *a,
                         struct am_inferred *out, struct am_err *err) AM_MUST_CHECK;

struct am_schema_column {
    struct am_str name;
    enum am_col_type type;
    enum am_stored_type stored;
    struct am_str why;
    bool aside; /* says where the row came from (file, split): no feature, not compared */
};
struct am_dataset_schema {
    struct am_schema_column *columns; /* [n], in the arena */
    size_t n;
    uint64_t n_rows;
    struct am_str hash; /* of the dataset, hex */
};
struct am_node *am_dataset_schema_to_node(const struct am_dataset_schema *s, struct am_arena *a);
enum am_rc am_dataset_schema_from_node(const struct am_node *n, struct am_arena *a,
                                       struct am_dataset_schema *out,
                                       struct am_err *err) AM_MUST_CHECK;
/* Names and types only, all in the arena; NULL when memory is out. */
const struct am_schema *am_schema_of(const struct am_dataset_schema *s, struct am_arena *a);

#endif
