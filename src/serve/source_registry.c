/* The registry in this process as a source, and the model object behind a served version. */
#include <stdio.h>

#include "base/alloc.h"
#include "base/map.h"
#include "model/model.h"
#include "registry/registry.h"
#include "serve/source_int.h"

#define PAGE 10000

_Static_assert((int)AM_SERVE_EMBEDDING == (int)AM_WANT_EMBEDDING &&
                   (int)AM_SERVE_RESTORED == (int)AM_WANT_RESTORED,
               "the same outputs");

/* ---- the model ---- */

struct model_impl {
    struct am_model *model;    /* a reference */
    struct am_arena *sample;   /* the repeated sample; NULL = none */
    struct am_column *columns; /* in it */
};

static void model_free(void *impl)
{
    struct model_impl *m = impl;
    am_arena_free(m->sample);
    am_model_put(m->model);
    am_free(m);
}

static enum am_rc model_state_new(void *impl, void **out, struct am_err *err)
{
    struct model_impl *m = impl;
    struct am_predictor *p = NULL;
    AM_TRY(am_predictor_new(m->model, NULL, &p, err));
    *out = p;
    return AM_OK;
}

static enum am_rc model_recommend(void *impl, unsigned what, struct am_str name, size_t n,
                                  struct am_buf *out, struct am_err *err)
{
    return am_model_recommend(((struct model_impl *)impl)->model, (enum am_recommend)what, name, n,
                              out, err);
}

static void model_state_free(void *impl, void *state)
{
    (void)impl;
    am_predictor_free(state);
}

static enum am_rc model_predict(void *impl, void *state, const struct am_batch *batch,
                                struct am_serve_result *r, struct am_err *err)
{
    const struct am_model_info *info = am_model_info(((struct model_impl *)impl)->model);
    struct am_answer answer = {.value = r->value};
    if (r->n_classes)
        answer = (struct am_answer){.probability = r->probability, .label = r->label};
    if (am_task_own_labels(info->task))
        answer.label = r->label;
    if (r->wanted & AM_SERVE_EMBEDDING)
        answer.embedding = r->embedding;
    if (r->wanted & AM_SERVE_RESTORED)
        answer.restored = r->restored;
    return am_predict(state, batch, &answer, err);
}

static size_t cell_bytes(enum am_col_type t)
{
    return am_col_is_string(t) ? sizeof(struct am_str) : 8;
}

/* The stored sample's rows, repeated. */
static enum am_rc model_sample(void *impl, size_t n_rows, struct am_batch *out, struct am_err *err)
{
    struct model_impl *m = impl;
    const struct am_batch *rows = am_model_sample(m->model);
    am_arena_free(m->sample);
    m->sample = NULL;
    *out = (struct am_batch){0};
    if (n_rows == 0 || !rows || rows->n_rows == 0)
        return AM_OK;
    m->sample = am_arena_new(0);
    if (!m->sample)
        return am_fail_nomem(err, 4096);
    struct am_column *columns = am_arena_array(m->sample, rows->n_columns + 1, sizeof *columns);
    for (size_t c = 0; columns && c < rows->n_columns; c++) {
        size_t cell = cell_bytes(rows->columns[c].type);
        char *cells = am_arena_aligned(m->sample, 64, cell * n_rows);
        const char *from = (const char *)rows->columns[c].number;
        columns[c].type = rows->columns[c].type;
        columns[c].number = (const double *)(const void *)cells;
        for (size_t i = 0; cells && i < n_rows; i++)
            memcpy(cells + i * cell, from + i % rows->n_rows * cell, cell);
    }
    AM_TRY(am_arena_check(m->sample, err));
    *out = (struct am_batch){.n_rows = n_rows, .n_columns = rows->n_columns, .columns = columns};
    return AM_OK;
}

static const struct am_serve_model_ops model_ops = {.state_new = model_state_new,
                                                    .state_free = model_state_free,
                                                    .predict = model_predict,
                                                    .sample = model_sample,
                                                    .recommend = model_recommend,
                                                    .free = model_free};

/* Takes the reference over, also on failure. */
enum am_rc am_serve_model_of(struct am_model *model, struct am_serve_model *out, struct am_err *err)
{
    const struct am_model_info *info = am_model_info(model);
    struct model_impl *m = am_calloc(1, sizeof *m);
    if (!m) {
        am_model_put(model);
        return am_fail_nomem(err, sizeof *m);
    }
    m->model = model;
    out->ops = &model_ops;
    out->impl = m;
    out->info = (struct am_serve_info){.task = info->task,
                                       .inputs = *info->inputs,
                                       .all_numbers = info->all_numbers,
                                       .ids = info->ids,
                                       .n_ids = info->n_ids,
                                       .target = info->target,
                                       .classes = info->classes,
                                       .n_classes = info->n_classes,
                                       .threshold = info->threshold,
                                       .densities = info->output == AM_MODEL_PROBABILITY,
                                       .n_embedding = info->n_embedding,
                                       .n_restored = info->n_restored,
                                       .restored_shape = info->restored_shape,
                                       .restored = info->restored};
    return AM_OK;
}

/* ---- lists ---- */

typedef enum am_rc (*list_call)(struct am_registry *r, struct am_arena *a,
                                const struct am_registry_list *l, struct am_node **out,
                                struct am_err *err);

/* All pages of a list call into one list. */
static enum am_rc list_all(struct am_registry *r, struct am_arena *a, list_call call,
                           const char *key, struct am_node *out, struct am_err *err)
{
    for (int64_t at = 0;; at += PAGE) {
        struct am_registry_list page = {.order_by = NULL, .limit = PAGE, .offset = at};
        struct am_node *answer = NULL;
        AM_TRY(call(r, a, &page, &answer, err));
        const struct am_node *list = am_node_get(answer, key);
        size_t n = list && list->kind == AM_NODE_LIST ? list->list.n : 0;
        for (size_t i = 0; i < n; i++)
            am_node_push(a, out, list->list.items[i]);
        if (n < PAGE)
            return am_arena_check(a, err);
    }
}

enum am_rc am_registry_catalog(struct am_registry *r, struct am_arena *a, struct am_node **out,
                               struct am_err *err)
{
    struct am_node *models = am_new_list(a), *versions = am_new_list(a);
    struct am_map by_name;
    enum am_rc rc;
    AM_TRY(am_arena_check(a, err));
    AM_TRY(list_all(r, a, am_registry_models, "models", models, err));
    AM_TRY(list_all(r, a, am_registry_versions, "versions", versions, err));
    am_map_init(&by_name);
    rc = AM_OK;
    for (size_t i = 0; i < models->list.n && rc == AM_OK; i++) {
        am_node_set(a, models->list.items[i], "list", am_new_list(a));
        rc = am_map_put(&by_name, am_node_str(models->list.items[i], "model", ""), i, err);
    }
    for (size_t i = 0; i < versions->list.n && rc == AM_OK; i++) {
        struct am_node *v = versions->list.items[i];
        uint64_t *at = am_map_get(&by_name, am_node_str(v, "model", ""));
        if (at)
            am_node_push(a, am_node_get(models->list.items[*at], "list"), v);
    }
    am_map_clear(&by_name);
    AM_TRY(rc);
    *out = models;
    return am_arena_check(a, err);
}

enum am_rc am_registry_package(struct am_registry *r, const char *model, int64_t version,
                               struct am_version_ref *out, struct am_err *err)
{
    char ref[200];
    (void)snprintf(ref, sizeof ref, "%s@%lld", model, (long long)version);
    return am_registry_resolve(r, ref, out, err);
}

/* ---- the source ---- */

static enum am_rc source_generation(void *impl, uint64_t *out, struct am_err *err)
{
    return am_registry_generation(impl, out, err);
}

static enum am_rc source_catalog(void *impl, struct am_arena *a, struct am_node **out,
                                 struct am_err *err)
{
    return am_registry_catalog(impl, a, out, err);
}

static enum am_rc source_load(void *impl, const char *model, int64_t version,
                              struct am_serve_model *out, struct am_err *err)
{
    struct am_version_ref *ref = am_alloc(sizeof *ref);
    const struct am_model_options o = {.flags = AM_MODEL_LIBRARY};
    struct am_model *m = NULL;
    if (!ref)
        return am_fail_nomem(err, sizeof *ref);
    enum am_rc rc = am_registry_package(impl, model, version, ref, err);
    if (rc == AM_OK)
        rc = am_model_open(ref->path, &o, &m, err);
    am_free(ref);
    AM_TRY(rc);
    return am_serve_model_of(m, out, err);
}

static void source_free(void *impl)
{
    am_registry_close(impl);
}

enum am_rc am_source_registry(struct am_registry *r, struct am_serve_source *out,
                              struct am_err *err)
{
    static const struct am_serve_source_ops ops = {.generation = source_generation,
                                                   .catalog = source_catalog,
                                                   .load = source_load,
                                                   .free = source_free};
    (void)err;
    *out = (struct am_serve_source){&ops, r};
    return AM_OK;
}
