/* Shared by the files of training: one training as a struct, and its phases.
 *
 * fit.c makes rows and a learned graph, measure.c measures and builds the report, publish.c
 * packages and registers, train.c runs them in order. A struct am_training owns what it points to;
 * one thread. */
#ifndef AM_PIPELINE_TRAIN_INT_H
#define AM_PIPELINE_TRAIN_INT_H

#include "learn/augmented.h"
#include "nn/matrix.h"
#include "pipeline/prepare.h"
#include "pipeline/score.h"
#include "registry/registry.h"

struct am_oof;

/* Rows ready for a learner. */
struct am_rows {
    struct am_matrix *matrix;         /* owned */
    struct am_augmented *augmented;   /* owned; NULL = train.augment says nothing */
    const struct am_train_data *data; /* NULL = no rows */
};

struct am_training {
    struct am_prepared p;
    struct am_fitted fitted;
    struct am_rows rows[3]; /* by enum am_row_part: train, validation, test */
    struct am_learned learned;
    struct am_run *run; /* NULL while planning or verifying */
    uint64_t seed;
    const char *profile; /* numerics of this training; static */
    bool resumed;
    char *weights_path; /* arena; where train.weights is read from; NULL = there is none */
    uint64_t checkpointed_ns;

    struct am_str *metric_names; /* arena */
    size_t n_metrics;
    double threshold;
    struct am_node *resumed_history; /* of the epochs before a resume; NULL = none */
    struct am_node *history;         /* {epoch, train_loss, validation_loss: [..]} */
    struct am_node *metrics;         /* {train, validation, test, baseline} */
    struct am_node *intervals, *advice, *report, *folds;
    struct am_node *extra; /* a map whose keys become the report's, too; NULL = none */
    struct am_oof *oof;    /* oof.c; NULL = nobody asked */

    struct am_tuning *tuning;            /* arena; NULL = the recipe searches nothing */
    struct am_node *study;               /* of the report; NULL = none */
    const struct am_node *stored_trials; /* of an earlier attempt of the run; NULL = none */
    bool search_done;                    /* that attempt's search had ended */
    double rate;                         /* learning rate of the last epoch; 0 = none yet */
};

/* fit.c */
enum am_rc am_training_task(const struct am_training *t, struct am_learn_task *out,
                            struct am_err *err) AM_MUST_CHECK;
/* Learner, metrics, conditions: everything that can be refused before the first row is trained. */
enum am_rc am_training_check(struct am_training *t, struct am_err *err) AM_MUST_CHECK;
/* The names of evaluate.metrics (or the task's own), checked, into t. */
enum am_rc am_training_metrics(struct am_training *t, struct am_err *err) AM_MUST_CHECK;
/* Rows [begin, begin + n) of a batch; columns [n_columns] lives as long as the slice. */
struct am_batch am_batch_slice(const struct am_batch *b, size_t begin, size_t n,
                               struct am_column *columns);
/* Features fitted on the training rows, then the rows of every part. */
enum am_rc am_training_rows(struct am_training *t, struct am_err *err) AM_MUST_CHECK;
/* {epoch: [], train_loss: [], validation_loss: []} */
struct am_node *am_training_history(struct am_training *t);
enum am_rc am_training_learn(struct am_training *t, struct am_err *err) AM_MUST_CHECK;
/* Rows of a view through features; fit NULL = not the training rows. memory 0 = in RAM. */
enum am_rc am_make_rows(const struct am_prepared *p, const struct am_table *view,
                        const struct am_fitted *f, bool training, size_t memory_bytes,
                        struct am_rows *out, struct am_err *err) AM_MUST_CHECK;
void am_rows_clear(struct am_rows *r);
void am_training_clear(struct am_training *t);

/* anomaly.c: models that learn rows. */
#define AM_CONTAMINATION 0.01 /* the default of model.contamination */
/* The score that model.contamination of the validation rows reach (of the training rows where there
 * are none); 0 where the task has no anomalies. */
enum am_rc am_training_anomaly_threshold(const struct am_training *t,
                                         const struct am_scored *validation,
                                         const struct am_scored *train, double *out,
                                         struct am_err *err) AM_MUST_CHECK;
/* "scores", "threshold", "contamination", "column_errors" of the report r, and curves where rows
 * are labelled. rows NULL = none. */
enum am_rc am_training_anomaly_report(struct am_training *t, const struct am_scored *s,
                                      const struct am_train_data *rows, struct am_node *r,
                                      struct am_err *err) AM_MUST_CHECK;

/* clusters.c: "clusters" of the report r: sizes, profile by column, silhouettes, the choice of
 * their number, a picture in two dimensions. */
enum am_rc am_training_clusters_report(struct am_training *t, const struct am_scored *s,
                                       struct am_node *r, struct am_err *err) AM_MUST_CHECK;

/* measure.c */
enum am_rc am_training_measure(struct am_training *t, struct am_err *err) AM_MUST_CHECK;
/* pictures.c: "mistakes", "saliency" and "filters" of the report r, when rows are pictures. */
enum am_rc am_training_pictures(struct am_training *t, const struct am_scored *s,
                                const struct am_train_data *rows, struct am_node *r,
                                struct am_err *err) AM_MUST_CHECK;
/* {metric: value} of the rows that decide: test, else validation, else train. */
const struct am_node *am_training_deciding(const struct am_training *t);

/* cross.c */
struct am_folds;
struct am_folds_spec;
struct am_trial_result;
struct am_trial_rows;
/* evaluate.folds of all kept rows; out->n = 0: none asked for. */
enum am_rc am_training_fold_spec(const struct am_training *t, struct am_folds_spec *out,
                                 struct am_err *err) AM_MUST_CHECK;
/* The recipe's own settings on its folds; nothing where the recipe asks for none. */
enum am_rc am_training_folds(struct am_training *t, struct am_err *err) AM_MUST_CHECK;
/* {n, by, repeats?, each: [{metric: value}], metrics: {metric: {mean, deviation}}} into t->folds */
enum am_rc am_training_fold_table(struct am_training *t, const struct am_folds *f,
                                  const struct am_trial_result *r,
                                  struct am_err *err) AM_MUST_CHECK;
/* out_of_fold.csv of t->run: row (from 1, of the dataset), truth, probabilities or prediction. */
enum am_rc am_training_keep_predictions(struct am_training *t, const struct am_trial_rows *rows,
                                        struct am_err *err) AM_MUST_CHECK;

/* tune.c: after am_training_check. The plan of `tune` into t->tuning, refused before the first row:
 * goals, limits, space, folds. AM_EUSAGE. */
enum am_rc am_training_tune_check(struct am_training *t, struct am_err *err) AM_MUST_CHECK;
/* Searches, then puts the best settings into t->p.recipe; t->study, and t->folds where
 * evaluate.folds are around the search. Nothing without t->tuning. AM_ETIMEDOUT: the budget was too
 * small, AM_ECANCELED, AM_EGATE: no trial keeps to the constraints. */
enum am_rc am_training_tune(struct am_training *t, struct am_err *err) AM_MUST_CHECK;

/* weights.c: after am_prepare_data. run: that is resumed or verified, whose artefact it is; NULL =
 * a new one. AM_ENOTFOUND, AM_EPERM. */
enum am_rc am_training_weights_find(struct am_training *t, const struct am_recipe_source *src,
                                    const struct am_node *run, struct am_err *err) AM_MUST_CHECK;
/* The file becomes an artefact of t->run. */
enum am_rc am_training_weights_keep(struct am_training *t, struct am_err *err) AM_MUST_CHECK;
/* As am_learn_task's read_file; ctx = weights_path. */
enum am_rc am_training_weights_read(void *path, struct am_str name, struct am_buf *out,
                                    struct am_err *err) AM_MUST_CHECK;

/* publish.c */
/* Does evaluate.accept hold? why gets the first term that does not. */
enum am_rc am_training_accepted(struct am_training *t, bool *holds, char *why, size_t cap,
                                struct am_err *err) AM_MUST_CHECK;
enum am_rc am_training_publish(struct am_training *t, struct am_node **out,
                               struct am_err *err) AM_MUST_CHECK;
/* The package of what was learned, at path. */
enum am_rc am_training_package(struct am_training *t, const char *path,
                               struct am_err *err) AM_MUST_CHECK;
/* The commit of the git folder around dir (NULL = here), without running git; "" = none. */
void am_git_commit(const char *dir, char out[65]);

#endif
