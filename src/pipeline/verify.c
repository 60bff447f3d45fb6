/* Verify a version: train again from the recorded recipe and dataset, compare the weights, and say
 * which promise was proved: equal bits under the same numerics profile, or a tolerance across
 * profiles. */
#include <math.h>

#include "base/fs.h"
#include "nn/params.h"
#include "pipeline/open_model.h"
#include "pipeline/train_int.h"

#define TOLERANCE 1e-3 /* of the largest weight, across profiles */

static enum am_rc compare(const struct am_params *then, const struct am_params *now, bool *equal,
                          double *max_difference, double *scale, struct am_err *err)
{
    if (then->n_floats != now->n_floats || then->n_params != now->n_params)
        return am_fail(err, AM_ECONFLICT,
                       "the retrained model has another shape: %zu parameters, was %zu",
                       now->n_values, then->n_values);
    *equal = memcmp(then->data, now->data, am_params_bytes(then)) == 0;
    *max_difference = *scale = 0;
    for (size_t i = 0; i < then->n_floats; i++) {
        *max_difference = fmax(*max_difference, fabs((double)then->data[i] - (double)now->data[i]));
        *scale = fmax(*scale, fabs((double)then->data[i]));
    }
    return AM_OK;
}

static enum am_rc retrain(struct am_pipeline *pl, struct am_arena *a, const struct am_node *run,
                          struct am_training *t, struct am_err *err)
{
    struct am_recipe_source src = {.text = am_node_str(run, "recipe", ""),
                                   .what = am_tr("the run's recipe")};
    struct am_str dataset = am_node_str(run, "dataset", "");
    AM_TRY(am_prepare_data(&t->p, pl, a, &src, dataset.ptr, err));
    AM_TRY(am_training_weights_find(t, &src, run, err));
    t->seed = (uint64_t)am_node_i64(am_node_get(t->p.recipe.resolved, "train"), "seed", 42);
    AM_TRY(am_prepare_rows(&t->p, err));
    AM_TRY(am_training_check(t, err));
    AM_TRY(am_training_rows(t, err));
    return am_training_learn(t, err);
}

enum am_rc am_pipeline_verify(struct am_pipeline *pl, struct am_arena *a, const char *model,
                              struct am_node **out, struct am_err *err)
{
    struct am_opened m = {0};
    struct am_training *t = am_arena_zalloc(a, sizeof *t);
    struct am_node *run;
    bool equal = false;
    double difference = 0, scale = 0;
    enum am_rc rc;
    AM_TRY(am_arena_check(a, err));
    AM_TRY(am_open_model(pl, a, model, AM_MODEL_KEEP_WEIGHTS, &m, err));
    const struct am_node *lineage = am_node_get(am_model_manifest(m.model), "lineage");
    struct am_str id = am_node_str(lineage, "run", ""),
                  profile = am_node_str(am_node_get(am_model_manifest(m.model), "numerics"),
                                        "profile", "");
    if (id.len == 0) {
        am_fail(err, AM_ENOTFOUND,
                "\"%s\" does not say which run made it, so it cannot be verified", model);
        rc = AM_ENOTFOUND;
        goto out;
    }
    id = am_arena_str(a, id);
    AM_GO(rc, am_registry_run_get(pl->registry, a, id.ptr, &run, err));
    AM_GO(rc, retrain(pl, a, run, t, err));
    AM_GO(rc,
          compare(am_model_params(m.model), t->learned.params, &equal, &difference, &scale, err));
    bool same_profile = am_str_is(profile, t->profile);
    *out = am_new_map(a);
    am_node_set(a, *out, "model", am_new_str(a, m.name));
    am_node_set(a, *out, "version", am_new_i64(a, m.version));
    am_node_set(a, *out, "run", am_new_str(a, id));
    am_node_set(a, *out, "promise", am_new_cstr(a, same_profile ? "bits" : "tolerance"));
    am_node_set(a, *out, "equal", am_new_bool(a, equal));
    am_node_set(a, *out, "max_difference", am_new_f64(a, difference));
    struct am_node *profiles = am_new_map(a);
    am_node_set(a, profiles, "then", am_new_str(a, profile));
    am_node_set(a, profiles, "now", am_new_cstr(a, t->profile));
    am_node_set(a, *out, "profile", profiles);
    if (same_profile ? !equal : difference > TOLERANCE * fmax(1.0, scale))
        rc = am_fail(err, AM_ECONFLICT, "the retrained weights differ by up to %.3g (promise: %s)",
                     difference, same_profile ? "bits" : "tolerance");
    else
        rc = am_arena_check(a, err);
out:
    am_training_clear(t);
    am_model_put(m.model);
    return rc;
}
