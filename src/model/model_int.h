/* What a model is inside; shared by the files of model/ only.
 *
 * Built by model_load.c in one go and never changed afterwards but for the reference count. Owns
 * all it points to, unless said otherwise. */
#ifndef AM_MODEL_MODEL_INT_H
#define AM_MODEL_MODEL_INT_H

#include <stdatomic.h>

#include "feature/features.h"
#include "feature/target.h"
#include "model/model.h"
#include "nn/graph.h"
#include "nn/params.h"
#include "nn/plan.h"
#include "nn/session.h"

#define AM_MODEL_SAMPLE_ROWS 4
#define AM_MODEL_BUCKET_ROWS 128                 /* rows of one run of a batch */
#define AM_MODEL_BUCKET_BYTES ((size_t)64 << 20) /* of a session; above it the bucket is halved */
#define AM_MODEL_SAMPLE_BYTES ((size_t)8 << 20)  /* of pictures and sounds in the sample */
#define AM_MODEL_SESSION_BYTES ((size_t)1 << 30) /* of a session of one row: refused above */
#define AM_MODEL_TOLERANCE_SAME 1e-6             /* same numerics profile */
#define AM_MODEL_TOLERANCE_OTHER 1e-4            /* another one */
#define AM_MODEL_SAMPLE_SEED UINT64_C(0x61696d617373) /* "aimass" */

struct am_model {
    atomic_uint n_refs;
    struct am_arena *arena; /* owned: trees, texts, sample */
    struct am_model_info info;
    struct am_features *features;
    struct am_target *target;
    struct am_graph *graph;
    struct am_params *params; /* NULL unless kept */
    struct am_plan *one;      /* bucket of one row */
    struct am_plan *many;     /* bucket of bucket_rows; the same packed weights */
    size_t bucket_rows;
    size_t width, n_outputs; /* of x and what a run gives */
    size_t n_y;              /* of y, which comes first in what a run gives */
    bool sparse;             /* rows go to the plans as sparse ones */
    const struct am_node *manifest, *metrics;
    struct am_str recipe, card;
    struct am_batch sample;
    const float *expected; /* [sample.n_rows, n_y] */
};

const char *am_model_output_name(enum am_model_output o);
/* Are rows of these features best read sparse, and can this graph do so? */
bool am_model_sparse(const struct am_features *f, const struct am_graph *g);

/* Graph, features and target fit each other: x is [B, width], y is [B, 1] or [B, n_classes]; of a
 * model that learns rows there are also "code" [B, k] and "reconstruction" [B, width]. */
enum am_rc am_model_check_shapes(const struct am_graph *g, const struct am_features *f,
                                 const struct am_target *t, enum am_model_output output,
                                 struct am_err *err) AM_MUST_CHECK;

/* The output of the plans of a model that learns rows: y, code and reconstruction side by side. */
#define AM_MODEL_ALL_OUTPUTS "all"
/* What a model answers with: [{name, type: number|boolean|label|vector, shape: [..], columns?}]. */
struct am_node *am_model_outputs_node(const struct am_graph *g, const struct am_features *f,
                                      const struct am_target *t, enum am_model_output output,
                                      struct am_arena *a);
const char *am_model_third_output(enum am_task task);

/* ---- model_sample.c ---- */
struct am_node *am_model_sample_to_node(const struct am_batch *batch, const float *expected,
                                        size_t n_outputs, const char *profile, struct am_arena *a);
/* AM_ECORRUPT when it is not of the features' inputs. batch and expected live in a. */
enum am_rc am_model_sample_from_node(const struct am_node *n, const struct am_features *f,
                                     size_t n_outputs, struct am_arena *a, struct am_batch *batch,
                                     const float **expected, struct am_err *err) AM_MUST_CHECK;
/* Runs the sample and compares; sets info.same_profile. */
enum am_rc am_sample_check(struct am_model *m, const char *profile,
                           struct am_err *err) AM_MUST_CHECK;

/* ---- predict.c ---- */
/* The graph's raw y of a batch, [n_rows, n_outputs]. */
enum am_rc am_predict_raw(struct am_predictor *p, const struct am_batch *batch, float *y,
                          struct am_err *err) AM_MUST_CHECK;
/* Room for what `wanted` asks for, of what the model has. */
enum am_rc am_prediction_wanted(struct am_prediction *p, const struct am_model_info *i,
                                size_t n_rows, struct am_err *err) AM_MUST_CHECK;
/* A predictor without a reference, for the model's own check while it is loaded. */
enum am_rc am_predictor_make(const struct am_model *m, struct am_pool *pool,
                             struct am_predictor **out, struct am_err *err) AM_MUST_CHECK;

/* ---- card.c ---- */
void am_card_write(const struct am_model_spec *spec, const struct am_node *manifest,
                   struct am_buf *out);

#endif
