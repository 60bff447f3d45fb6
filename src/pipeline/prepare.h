/* From a recipe to rows that a learner can read: dataset, cleaning, split, target, features.
 *
 * The phases are apart because `plan` stops after the features, `evaluate` enters with a finished
 * model, and cross-validation fits features again per fold. A struct am_prepared owns all it points
 * to unless a field says otherwise; am_prepared_clear frees it in any state. One thread. */
#ifndef AM_PIPELINE_PREPARE_H
#define AM_PIPELINE_PREPARE_H

#include "data/clean.h"
#include "data/dataset.h"
#include "data/split.h"
#include "feature/fit.h"
#include "feature/target.h"
#include "pipeline/near.h"
#include "pipeline/pipeline.h"
#include "pipeline/recipe.h"
#include "pipeline/select.h"

struct am_prepared {
    struct am_pipeline *pl; /* borrowed */
    struct am_arena *arena; /* borrowed: nodes, names */
    struct am_recipe recipe;
    struct am_str name; /* of the model */

    struct am_tables *tables; /* borrowed from the platform */
    struct am_str hash;       /* of the dataset, hex */
    struct am_str dataset;    /* NAME@VERSION */
    struct am_dataset_schema dataset_schema;
    const struct am_schema *schema;
    struct am_dataset_files files;
    struct am_node *import_report; /* types and reasons */
    struct am_node *profile;
    bool fresh;            /* this import registered the dataset */
    bool keep;             /* somebody refers to it now: am_prepared_clear leaves it registered */
    struct am_table raw;   /* as imported */
    struct am_table table; /* cleaned; ops NULL until am_prepare_rows */

    struct am_str *ids; /* [n_ids]; last data.weight, if there is one */
    size_t n_ids;
    size_t weight_column; /* data.weight in the schema; SIZE_MAX = all rows count 1 */
    struct am_clean *clean;
    uint8_t *parts; /* [n_rows] enum am_row_part */
    uint64_t n_rows;
    struct am_split_spec split;
    struct am_split_counts counts;
    struct am_near *near; /* owned; of data.near_duplicates, NULL = not asked for */
    struct am_target *target;
    size_t target_column; /* SIZE_MAX: rows are learned and nobody labelled them */
    struct am_str task_why;
    const char *base_dir; /* of files that the recipe names; in the arena, NULL = none */
    bool foreign;         /* somebody else's recipe: it may name no file */
    size_t *columns;      /* [n_columns] feature inputs in the schema */
    size_t n_columns;
};

/* The columns to read: inputs, then the target when there is one. out [n_columns + 1]; how many. */
size_t am_prepared_columns(const struct am_prepared *p, size_t *out);
/* Targets of a batch of these columns: as am_target_encode, NaN where there is no target. */
enum am_rc am_prepared_targets(const struct am_prepared *p, const struct am_batch *b, double *out,
                               struct am_err *err) AM_MUST_CHECK;
/* Where the source's rows come from; NULL hash = import the recipe's source. */
enum am_rc am_prepare_data(struct am_prepared *p, struct am_pipeline *pl, struct am_arena *a,
                           const struct am_recipe_source *src, const char *dataset_hash,
                           struct am_err *err) AM_MUST_CHECK;
/* Sample, clean, target, split, column selection. */
enum am_rc am_prepare_rows(struct am_prepared *p, struct am_err *err) AM_MUST_CHECK;
void am_prepared_clear(struct am_prepared *p);

/* Features fitted on the rows of one view of p->table (columns: inputs, then the target). */
struct am_fitted {
    struct am_features_fit *fit;
    struct am_features *features;
    struct am_selection selection; /* of features.select */
    const size_t *columns;         /* [n_columns] of the schema: what the features are made of */
    size_t n_columns;
};
/* The columns that rows of these features are read from: inputs, then the weight, then the target,
 * where there are such. out [n_columns + 2]; how many. */
size_t am_fitted_columns(const struct am_prepared *p, const struct am_fitted *f, size_t *out);
/* Row weights of such a batch into w [n_rows], all 1 without data.weight; they were checked. */
void am_fitted_weights(const struct am_prepared *p, const struct am_fitted *f,
                       const struct am_batch *b, float *w);
/* Features of these columns [n]: borrowed for the life of *out. */
enum am_rc am_fit_columns(const struct am_prepared *p, const struct am_table *t,
                          const size_t *columns, size_t n, struct am_fitted *out,
                          struct am_err *err) AM_MUST_CHECK;
/* t: a view whose rows are the training rows. Columns are selected first where the recipe says so.
 */
enum am_rc am_fit_features(const struct am_prepared *p, const struct am_table *t,
                           struct am_fitted *out, struct am_err *err) AM_MUST_CHECK;
void am_fitted_clear(struct am_fitted *f);

/* Import a source into the registry, or find the dataset of that name. Fills hash, dataset,
 * dataset_schema, files, raw, profile, import_report of p. */
enum am_rc am_prepare_dataset(struct am_prepared *p, const struct am_node *data,
                              struct am_str target, const char *base_dir, const char *dataset_hash,
                              struct am_err *err) AM_MUST_CHECK;

#endif
