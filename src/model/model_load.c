/* From an open package to a model: each part is read by the module that owns its format, then the
 * parts are checked against each other, plans are built and the stored sample is run.
 *
 * Shapes of weights are compared before the parameter block is allocated, and what a session needs
 * before it is made: a file cannot ask for more memory than its own size explains. The package is
 * closed at the end; nothing of its bytes is kept but texts and trees. Any thread. */
#include <float.h>
#include <stdio.h>

#include "base/alloc.h"
#include "model/model_int.h"
#include "model/package_int.h"
#include "nn/layers.h"
#include "tensor/kernels.h"
#include "tensor/safetensors.h"

struct loader {
    struct am_model *m;
    const struct am_package *package;
    const struct am_model_options *options;
    struct am_arena *scratch; /* trees that nobody keeps */
};

static enum am_rc parse_part(struct loader *l, enum am_package_part part, struct am_arena *a,
                             struct am_node **out, struct am_err *err)
{
    return am_package_json(am_package_part(l->package, part), am_package_part_name(part), a, out,
                           err);
}

/* Errors of a part's reader, as those of a package: whatever is wrong in a file is corruption, but
 * for what the caller can act on. */
static enum am_rc in_part(enum am_rc rc, enum am_package_part part, struct am_err *err)
{
    if (rc == AM_OK)
        return rc;
    am_context(err, "%s", am_package_part_name(part));
    if (rc != AM_EINVAL && rc != AM_EUSAGE)
        return rc;
    if (err)
        err->rc = AM_ECORRUPT;
    return AM_ECORRUPT;
}

/* ---- manifest ---- */

static enum am_rc copy_text(struct am_arena *a, struct am_str s, struct am_str *out,
                            struct am_err *err)
{
    *out = am_arena_str(a, s);
    return am_arena_check(a, err);
}

static enum am_rc read_ids(struct am_model *m, const struct am_node *ids, struct am_err *err)
{
    struct am_str *list;
    if (!ids || ids->kind != AM_NODE_LIST || ids->list.n > AM_LIMIT_CSV_COLUMNS)
        return am_fail(err, AM_ECORRUPT, "\"ids\" is no list of names");
    list = am_arena_array(m->arena, ids->list.n ? ids->list.n : 1, sizeof *list);
    AM_TRY(am_arena_check(m->arena, err));
    for (size_t i = 0; i < ids->list.n; i++)
        if (!am_node_as_str(ids->list.items[i], &list[i])) /* the tree lives in the same arena */
            return am_fail(err, AM_ECORRUPT, "\"ids\" is no list of names");
    m->info.ids = list;
    m->info.n_ids = ids->list.n;
    return AM_OK;
}

static enum am_rc read_manifest(struct am_model *m, struct am_err *err)
{
    const struct am_node *n = m->manifest;
    struct am_str output = am_node_str(n, "output", "");
    struct am_model_info *i = &m->info;
    int version_ok = am_node_as_i64(am_node_get(n, "version"), &i->version);
    AM_TRY(am_target_from_node(am_node_get(n, "target"), &m->target, err));
    i->name = am_node_str(n, "name", "");
    i->task = am_target_task(m->target);
    if (!am_name_valid(i->name) || !version_ok || i->version < 0)
        return am_fail(err, AM_ECORRUPT, "\"name\" or \"version\" is missing or bad");
    if (!am_str_is(am_node_str(n, "task", ""), am_task_name(i->task)))
        return am_fail(err, AM_ECORRUPT, "\"task\" is not that of the target");
    for (i->output = AM_MODEL_VALUE; !am_str_is(output, am_model_output_name(i->output));
         i->output++)
        if (i->output == AM_MODEL_SCORE)
            return am_fail(err, AM_ECORRUPT, "\"output\" is none of value, probability, score");
    i->threshold = am_node_f64(n, "threshold", 0.5);
    if (!(i->threshold >= 0 && i->threshold <= (am_task_is_own(i->task) ? DBL_MAX : 1)))
        return am_fail(err, AM_ECORRUPT, "\"threshold\" is out of range");
    return read_ids(m, am_node_get(n, "ids"), err);
}

static enum am_rc check_inputs(const struct am_model *m, struct am_err *err)
{
    const struct am_node *inputs = am_node_get(m->manifest, "inputs");
    const struct am_schema *s = am_features_schema(m->features);
    if (!inputs || inputs->kind != AM_NODE_LIST || inputs->list.n != s->n)
        return am_fail(err, AM_ECORRUPT, "\"inputs\" are not those of features.json");
    for (size_t i = 0; i < s->n; i++) {
        const struct am_node *e = inputs->list.items[i];
        if (!am_str_eq(am_node_str(e, "name", ""), s->columns[i].name) ||
            !am_str_is(am_node_str(e, "type", ""), am_col_type_name(s->columns[i].type)))
            return am_fail(err, AM_ECORRUPT,
                           "\"inputs\" are not those of features.json, from number %zu on", i);
    }
    return AM_OK;
}

/* ---- weights ---- */

static enum am_rc check_weight(const struct am_gnode *node, const struct am_st_tensor *t,
                               struct am_err *err)
{
    bool same;
    if (!t)
        return am_fail(err, AM_ECORRUPT, "tensor \"%.*s\" is missing", AM_FMT(node->name));
    same = t->dtype == AM_F32 && t->rank == node->dims.rank;
    for (unsigned i = 0; same && i < t->rank; i++)
        same = t->dims[i] == (uint64_t)node->dims.d[i];
    if (!same)
        return am_fail(err, AM_ECORRUPT,
                       "tensor \"%.*s\" has not the type and shape that the graph says",
                       AM_FMT(node->name));
    return AM_OK;
}

/* Tensors are stored in the graph's order; they are looked for there first. */
static const struct am_st_tensor *weight_of(const struct am_safetensors *s, size_t k,
                                            struct am_str name)
{
    if (k < s->n && am_str_eq(s->tensors[k].name, name))
        return &s->tensors[k];
    return am_safetensors_find(s, name);
}

static enum am_rc read_weights(struct loader *l, struct am_err *err)
{
    struct am_model *m = l->m;
    struct am_safetensors s;
    size_t n = am_graph_n_params(m->graph);
    AM_TRY(am_safetensors_parse(l->scratch, am_package_part(l->package, AM_PART_WEIGHTS),
                                AM_ST_FINITE, &s, err));
    if (s.n != n)
        return am_fail(err, AM_ECORRUPT, "%zu tensors, the graph has %zu parameters", s.n, n);
    for (size_t k = 0; k < n; k++) {
        const struct am_gnode *node = am_graph_node(m->graph, am_graph_param_value(m->graph, k));
        AM_TRY(check_weight(node, weight_of(&s, k, node->name), err));
    }
    AM_TRY(am_params_new(m->graph, &m->params, err));
    for (size_t k = 0; k < n; k++) {
        const struct am_st_tensor *t = weight_of(&s, k, m->params->table[k].name);
        memcpy(am_param_data(m->params, k), t->data, t->n_bytes);
    }
    m->info.n_parameters = m->params->n_values;
    return AM_OK;
}

/* ---- plans ---- */

/* One run gives all that may be asked for: [y | code | reconstruction], the last only of models
 * whose rows come back; of clusters [y | code | cluster]. */
static enum am_rc join_outputs(struct am_model *m, struct am_err *err)
{
    const am_value parts[3] = {am_graph_find_output(m->graph, "y"),
                               am_graph_find_output(m->graph, "code"),
                               am_graph_find_output(m->graph, am_model_third_output(m->info.task))};
    m->info.n_embedding = am_dims_cols(&am_graph_node(m->graph, parts[1])->dims);
    if (am_graph_find_output(m->graph, AM_MODEL_ALL_OUTPUTS) != AM_VALUE_NONE)
        return am_fail(err, AM_EINVAL, "output \"%s\" is not for files", AM_MODEL_ALL_OUTPUTS);
    am_graph_output(m->graph, AM_MODEL_ALL_OUTPUTS,
                    am_layer_concat(m->graph, parts, parts[2] == AM_VALUE_NONE ? 2 : 3));
    return am_graph_check(m->graph, err);
}

static enum am_rc build_plans(struct loader *l, struct am_err *err)
{
    struct am_model *m = l->m;
    struct am_plan_options o = {
        .mode = AM_PLAN_INFER, .bucket_rows = 1, .kernels = l->options->kernels, .share = NULL};
    size_t row;
    if ((l->options->flags & AM_MODEL_LIBRARY) && !o.kernels)
        o.library = am_plan_library_wish();
    if (am_task_is_own(m->info.task)) {
        AM_TRY(join_outputs(m, err));
        o.output = AM_MODEL_ALL_OUTPUTS;
    }
    m->n_y = am_dims_cols(&am_graph_node(m->graph, am_graph_find_output(m->graph, "y"))->dims);
    m->sparse = o.sparse_x = am_model_sparse(m->features, m->graph);
    AM_TRY(am_plan_build(m->graph, m->params, &o, &m->one, err));
    row = am_plan_session_bytes(m->one);
    if (!m->sparse && am_features_sparse(m->features))
        row += am_plan_n_inputs(m->one) * sizeof(float); /* sparse rows made dense */
    if (row > AM_MODEL_SESSION_BYTES)
        return am_fail(err, AM_ELIMIT, "one prediction needs %zu bytes, at most %zu allowed", row,
                       AM_MODEL_SESSION_BYTES);
    m->width = am_plan_n_inputs(m->one);
    m->n_outputs = am_plan_n_outputs(m->one);
    m->bucket_rows = AM_MODEL_BUCKET_ROWS;
    while (m->bucket_rows > 1 && row > AM_MODEL_BUCKET_BYTES / m->bucket_rows)
        m->bucket_rows /= 2;
    m->info.bytes = am_plan_peak_bytes(m->one);
    if (m->bucket_rows == 1)
        return AM_OK;
    o.bucket_rows = m->bucket_rows;
    o.share = m->one;
    return am_plan_build(m->graph, m->params, &o, &m->many, err);
}

/* ---- all of it ---- */

static enum am_rc load_sample(struct loader *l, struct am_err *err)
{
    struct am_model *m = l->m;
    struct am_node *n;
    struct am_str profile;
    AM_TRY(parse_part(l, AM_PART_SAMPLE, m->arena, &n, err));
    AM_TRY(
        am_model_sample_from_node(n, m->features, m->n_y, m->arena, &m->sample, &m->expected, err));
    profile = am_node_str(n, "profile", ""); /* NUL-terminated: tree texts are */
    return am_sample_check(m, profile.ptr, err);
}

static enum am_rc load_texts(struct loader *l, struct am_err *err)
{
    struct am_model *m = l->m;
    struct am_node *metrics;
    const char *hash = am_package_hash(l->package);
    AM_TRY(parse_part(l, AM_PART_METRICS, m->arena, &metrics, err));
    if (metrics->kind != AM_NODE_MAP)
        return am_fail(err, AM_ECORRUPT, "metrics.json is no map");
    m->metrics = metrics;
    AM_TRY(copy_text(m->arena, am_package_part(l->package, AM_PART_RECIPE), &m->recipe, err));
    AM_TRY(copy_text(m->arena, am_package_part(l->package, AM_PART_CARD), &m->card, err));
    if (!am_utf8_valid(m->recipe) || !am_utf8_valid(m->card))
        return am_fail(err, AM_ECORRUPT, "recipe.yaml or card.md is not UTF-8");
    m->info.hash = am_arena_str(m->arena, am_str(hash)).ptr;
    return am_arena_check(m->arena, err);
}

/* What of a row comes back, and its columns' names. */
static enum am_rc fill_restored(struct am_model *m, struct am_err *err)
{
    struct am_model_info *i = &m->info;
    struct am_str *names;
    if (!am_task_is_own(i->task) || i->task == AM_TASK_CLUSTERING ||
        m->n_outputs == 1 + i->n_embedding) /* rows do not come back */
        return AM_OK;
    i->n_restored = am_features_n_restored(m->features, &i->restored_shape);
    if (!am_features_restored_columns(m->features))
        return AM_OK;
    names = am_arena_array(m->arena, i->n_restored + 1, sizeof *names);
    AM_TRY(am_arena_check(m->arena, err));
    for (size_t k = 0; k < i->n_restored; k++)
        names[k] = am_features_input(m->features, am_features_restored_input(m->features, k))->name;
    i->restored = names;
    return AM_OK;
}

static void fill_info(struct am_model *m, struct am_str *classes)
{
    struct am_model_info *i = &m->info;
    i->inputs = am_features_schema(m->features);
    i->all_numbers = am_features_all_numbers(m->features);
    i->target = am_target_name(m->target);
    i->n_classes = am_target_n_classes(m->target);
    i->classes = classes;
    for (size_t k = 0; k < i->n_classes; k++)
        classes[k] = am_target_class(m->target, k);
}

static enum am_rc load_parts(struct loader *l, struct am_err *err)
{
    struct am_model *m = l->m;
    struct am_node *n;
    struct am_str *classes;
    m->manifest = am_node_copy(m->arena, am_package_manifest(l->package));
    AM_TRY(am_arena_check(m->arena, err));
    AM_TRY(in_part(read_manifest(m, err), AM_PART_MANIFEST, err));
    AM_TRY(parse_part(l, AM_PART_FEATURES, l->scratch, &n, err));
    AM_TRY(in_part(am_features_from_node(n, &m->features, err), AM_PART_FEATURES, err));
    AM_TRY(in_part(check_inputs(m, err), AM_PART_MANIFEST, err));
    classes = am_arena_array(m->arena, am_target_n_classes(m->target) + 1, sizeof *classes);
    AM_TRY(am_arena_check(m->arena, err));
    fill_info(m, classes);
    AM_TRY(parse_part(l, AM_PART_GRAPH, l->scratch, &n, err));
    AM_TRY(in_part(am_graph_from_node(n, &m->graph, err), AM_PART_GRAPH, err));
    AM_TRY(in_part(am_model_check_shapes(m->graph, m->features, m->target, m->info.output, err),
                   AM_PART_GRAPH, err));
    AM_TRY(in_part(read_weights(l, err), AM_PART_WEIGHTS, err));
    AM_TRY(in_part(build_plans(l, err), AM_PART_GRAPH, err));
    AM_TRY(fill_restored(m, err));
    AM_TRY(load_texts(l, err));
    return in_part(load_sample(l, err), AM_PART_SAMPLE, err);
}

static enum am_rc load(const struct am_package *package, const struct am_model_options *options,
                       struct am_model **out, struct am_err *err)
{
    struct loader l = {.package = package, .options = options};
    struct am_model *m = am_calloc(1, sizeof *m);
    enum am_rc rc;
    if (!m)
        return am_fail_nomem(err, sizeof *m);
    atomic_init(&m->n_refs, 1);
    l.m = m;
    m->arena = am_arena_new(0);
    l.scratch = am_arena_new(0);
    rc = m->arena && l.scratch ? load_parts(&l, err) : am_fail_nomem(err, sizeof *m);
    am_arena_free(l.scratch);
    if (rc != AM_OK) {
        am_model_put(m);
        return rc;
    }
    /* lists of a recommender are made from its parameters */
    if (!(options->flags & AM_MODEL_KEEP_WEIGHTS) && m->info.task != AM_TASK_RECOMMENDATION) {
        am_params_free(m->params);
        m->params = NULL;
    }
    *out = m;
    return AM_OK;
}

static const struct am_model_options no_options;

enum am_rc am_model_open(const char *path, const struct am_model_options *options,
                         struct am_model **out, struct am_err *err)
{
    const struct am_model_options *o = options ? options : &no_options;
    struct am_package *p;
    enum am_rc rc;
    AM_TRY(am_package_open(path, &o->package, &p, err));
    rc = load(p, o, out, err);
    am_package_close(p);
    if (rc != AM_OK)
        am_context(err, "%s", path);
    return rc;
}

enum am_rc am_model_open_bytes(struct am_str bytes, const struct am_model_options *options,
                               struct am_model **out, struct am_err *err)
{
    const struct am_model_options *o = options ? options : &no_options;
    struct am_package *p;
    enum am_rc rc;
    AM_TRY(am_package_open_bytes(bytes, &o->package, &p, err));
    rc = load(p, o, out, err);
    am_package_close(p);
    return rc;
}
