/* The model object: features + graph + weights + target, immutable and reference-counted; made by
 * opening a package (model.h) or written into one; predicts through a struct am_predictor per
 * thread.
 *
 * Fitting is not here (learn/), files of versions are not here (registry/). Opening is safe on
 * hostile bytes and runs the stored sample. Packed weights exist once per model, shared by all
 * predictors. Any thread may hold and share a struct am_model; a predictor belongs to one thread at
 * a time. */
#ifndef AM_MODEL_MODEL_H
#define AM_MODEL_MODEL_H

#include "model/package.h"
#include "tensor/frame.h"
#include "tensor/task.h"
#include "tensor/tensor.h"

struct am_features;
struct am_graph;
struct am_kernels;
struct am_model;
struct am_params;
struct am_predictor;
struct am_target;

enum am_model_output { /* what the graph's "y" is; the order of enum am_learned_kind */
                       AM_MODEL_VALUE,       /* [B,1]: the predicted number, or the anomaly score */
                       AM_MODEL_PROBABILITY, /* [B,1]: p of the second class, or [B,C]; clusters
                                                that are densities: [B,1] log density */
                       AM_MODEL_SCORE, /* the same shapes, in [0,1], rows sum to 1: ranks, but is no
                                          probability */
};

/* ---- opening ---- */

enum am_model_flag {
    AM_MODEL_KEEP_WEIGHTS =
        1,                /* am_model_params stays valid (compression, verify); else it is NULL */
    AM_MODEL_LIBRARY = 2, /* convolutions by a library where AIMASS_DNNL and timing say so
                             (am_plan_library_wish); else our own kernels */
};
struct am_model_options {
    struct am_package_options package;
    unsigned flags;                   /* enum am_model_flag */
    const struct am_kernels *kernels; /* NULL = the best of this CPU */
};
/* options NULL = all zero. Errors of am_package_open; AM_ECORRUPT: parts contradict each other, or
 * the sample's answer differs from the stored one; AM_EUNSUPPORTED: made by a newer format. */
enum am_rc am_model_open(const char *path, const struct am_model_options *options,
                         struct am_model **out, struct am_err *err) AM_MUST_CHECK;
enum am_rc am_model_open_bytes(struct am_str bytes, const struct am_model_options *options,
                               struct am_model **out, struct am_err *err) AM_MUST_CHECK;
struct am_model *am_model_get(struct am_model *m); /* one more reference; returns m */
void am_model_put(struct am_model *m);             /* NULL is fine */

/* ---- what it is; everything lives as long as the reference ---- */

struct am_model_info {
    struct am_str name;
    int64_t version; /* as packaged; 0 = numbered by the registry only */
    enum am_task task;
    enum am_model_output output;
    const struct am_schema *inputs; /* the columns of a batch, in order */
    bool all_numbers;         /* every input is a number or a boolean: am_predict_rows works */
    const struct am_str *ids; /* [n_ids] columns that pass through predictions, no inputs */
    size_t n_ids;
    struct am_str target; /* column; empty where rows are learned and nobody labelled them */
    const struct am_str
        *classes;     /* [n_classes] labels as text; binary: the second is the positive */
    size_t n_classes; /* 0 without classes */
    double threshold; /* binary: p >= threshold is the second class; anomaly: score >= threshold is
                         one */
    /* Anomaly and embedding, else 0: numbers of a row's embedding, and of what of the row comes
     * back in its own units (features.h); their columns [n_restored], NULL where they are pixels or
     * a sound's channels. */
    size_t n_embedding, n_restored;
    struct am_dims restored_shape;
    const struct am_str *restored;
    const char *hash; /* of the package file (hex); "" when opened as trusted */
    uint64_t n_parameters;
    size_t bytes;      /* of memory: packed weights and plans */
    bool same_profile; /* the sample ran under the numerics profile that the model was made with */
};
const struct am_model_info *am_model_info(const struct am_model *m);
const struct am_features *am_model_features(const struct am_model *m);
const struct am_target *am_model_target(const struct am_model *m);
const struct am_graph *am_model_graph(const struct am_model *m);
const struct am_params *am_model_params(const struct am_model *m); /* NULL unless KEEP_WEIGHTS */
const struct am_node *am_model_manifest(const struct am_model *m);
const struct am_node *am_model_metrics(const struct am_model *m);
struct am_str am_model_recipe(const struct am_model *m); /* resolved, YAML */
struct am_str am_model_card(const struct am_model *m);   /* Markdown */
/* The stored sample input (a few synthetic rows). */
const struct am_batch *am_model_sample(const struct am_model *m);
/* {"name", "version", "task", "output", "inputs": [{"name", "type"}], "ids", "target": {"name",
 * "type", "classes"}, "outputs": [{"name", "type", "shape", "columns"}], "threshold", "parameters",
 * "metrics", "lineage", "created", ...} in the arena. */
struct am_node *am_model_describe(const struct am_model *m, struct am_arena *a);

/* ---- predicting ---- */

/* Takes a reference of the model. pool is borrowed, NULL = this thread alone. */
struct am_pool;
enum am_rc am_predictor_new(struct am_model *m, struct am_pool *pool, struct am_predictor **out,
                            struct am_err *err) AM_MUST_CHECK;
void am_predictor_free(struct am_predictor *p); /* NULL is fine */

/* Where answers go; borrowed; any pointer may be NULL when not wanted. */
struct am_answer {
    float *probability; /* [n_rows, n_classes] classification */
    int32_t *label;     /* [n_rows] class index, classification; 1 = an anomaly, 0 = none; the
                           cluster, -1 = in none */
    double *value;      /* [n_rows] regression: the number; classification: p of the label; anomaly
                           and embedding: the anomaly score; clustering: the distance to the
                           nearest cluster, or the log density (output PROBABILITY) */
    float *embedding;   /* [n_rows, n_embedding]; clustering: distances to, or probabilities of,
                           each cluster */
    double *restored;   /* [n_rows, n_restored] the row as the model gives it back */
};
/* batch: the inputs' columns in order and of their types. After one call of that size nothing is
 * allocated. AM_EINVAL: wrong columns; the model's output is not finite (naming the row). A row's
 * bits depend on nothing but the row. */
enum am_rc am_predict(struct am_predictor *p, const struct am_batch *batch,
                      const struct am_answer *out, struct am_err *err) AM_MUST_CHECK;
/* x: [n_rows, n_inputs], NaN = missing; only when info.all_numbers (else AM_EINVAL). The fastest
 * way for one row; the same bits as am_predict. */
enum am_rc am_predict_rows(struct am_predictor *p, const double *x, size_t n_rows,
                           const struct am_answer *out, struct am_err *err) AM_MUST_CHECK;

enum am_wanted_output { AM_WANT_EMBEDDING = 1, AM_WANT_RESTORED = 2 };
/* The same with arrays that grow: `struct am_prediction out = {0};` */
struct am_prediction {
    unsigned wanted; /* the caller's: enum am_wanted_output, of what the model has */
    size_t n_rows, n_classes;
    float *probability; /* owned, [n_rows, n_classes] */
    int32_t *label;     /* owned, [n_rows]; also of anomalies */
    double *value;      /* owned, [n_rows] */
    float *embedding;   /* owned, [n_rows, n_embedding] when wanted */
    double *restored;   /* owned, [n_rows, n_restored] when wanted */
    size_t cap_rows, cap_cells, cap_embedding, cap_restored;
};
void am_prediction_clear(struct am_prediction *p);
enum am_rc am_prediction_reserve(struct am_prediction *p, size_t n_rows, size_t n_classes,
                                 struct am_err *err) AM_MUST_CHECK;
enum am_rc am_model_predict(struct am_predictor *p, const struct am_batch *batch,
                            struct am_prediction *out, struct am_err *err) AM_MUST_CHECK;

/* ---- recommending ---- */

enum am_recommend { AM_RECOMMEND_ITEMS, AM_SIMILAR_ITEMS, AM_SIMILAR_USERS };
/* Appends {"user" | "item": name, "known": bool, "note"?, "items" | "users": [{"item" | "user",
 * "score"}]} as JSON: for a user the n items that it has not chosen in training and wants most; an
 * unknown user gets what is popular ("known": false, with a note). Or the n items (users) most like
 * the named one, by the cosine of their factors. AM_EINVAL: the model is no recommender, n is not
 * 1..1000; AM_ENOTFOUND: an unknown item, or user of SIMILAR_USERS. Any thread. */
enum am_rc am_model_recommend(const struct am_model *m, enum am_recommend what, struct am_str name,
                              size_t n, struct am_buf *out, struct am_err *err) AM_MUST_CHECK;

/* ---- writing ---- */

struct am_model_spec {  /* all borrowed for the call */
    struct am_str name; /* am_name_valid */
    int64_t version;    /* 0 = the registry gives the number */
    const struct am_features *features;
    const struct am_target *target;
    const struct am_graph *graph;   /* of the applying ops only: input "x", output "y"; anomaly and
                                       embedding: "code" and "reconstruction", too; clustering:
                                       "code" and "cluster" */
    const struct am_params *params; /* of that graph, all finite */
    enum am_model_output output;
    double threshold;         /* binary: in [0, 1]; anomaly: a score, finite, >= 0 */
    const struct am_str *ids; /* [n_ids] */
    size_t n_ids;
    struct am_str recipe;          /* resolved, YAML */
    const struct am_node *metrics; /* map; {"test": {...}, "train": {...}, ...}; NULL = {} */
    struct am_str description;     /* a paragraph for the card; may be empty */
    /* lineage; texts may be empty */
    struct am_str dataset_hash, dataset_name, parent /* MODEL@VERSION */, run, git_commit;
    const char *profile; /* numerics of the training; NULL = am_numerics_profile() */
    uint64_t n_rows;     /* trained on */
    uint64_t seed;
    int64_t created_us; /* wall clock; 0 = left out, so that equal models have equal bytes */
    const struct am_node *libraries;       /* map of texts, library: version; NULL = {} */
    const struct am_secret_key *sign_with; /* NULL = unsigned */
};
/* Makes sample and card, then the package; atomic and durable. AM_EINVAL: parts do not fit each
 * other, weights or sample answers are not finite. Nothing is left at path on failure. */
enum am_rc am_model_write(const struct am_model_spec *spec, const char *path,
                          struct am_err *err) AM_MUST_CHECK;
/* The same bytes; out must be empty. */
enum am_rc am_model_to_bytes(const struct am_model_spec *spec, struct am_buf *out,
                             struct am_err *err) AM_MUST_CHECK;

#endif
