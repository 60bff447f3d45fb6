/* Writing a model: makes each part of the package from the fitted objects, answers the synthetic
 * sample with them, writes the card, and hands all parts to package_write.c.
 *
 * Nothing here looks at training rows: what is stored comes from fitted statistics and from the
 * spec. Equal specs give equal bytes. Any thread. */
#include <math.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fs.h"
#include "model/model_int.h"
#include "tensor/kernels.h"
#include "tensor/safetensors.h"

/* ---- manifest ---- */

static void put_str(struct am_arena *a, struct am_node *m, const char *key, struct am_str v)
{
    am_node_set(a, m, key, v.len ? am_new_str(a, v) : am_new_null(a));
}

static struct am_node *inputs_node(const struct am_features *f, struct am_arena *a)
{
    const struct am_schema *s = am_features_schema(f);
    struct am_node *list = am_new_list(a);
    for (size_t i = 0; i < s->n; i++) {
        struct am_node *e = am_new_map(a);
        am_node_set(a, e, "name", am_new_str(a, s->columns[i].name));
        am_node_set(a, e, "type", am_new_cstr(a, am_col_type_name(s->columns[i].type)));
        am_node_push(a, list, e);
    }
    return list;
}

static enum am_rc lineage_node(const struct am_model_spec *s, struct am_arena *a,
                               struct am_node **out, struct am_err *err)
{
    struct am_node *l = am_new_map(a), *d = am_new_map(a);
    unsigned char hash[AM_SHA256_BYTES];
    char hex[AM_SHA256_HEX];
    AM_TRY(am_sha256(s->recipe.ptr ? s->recipe.ptr : "", s->recipe.len, hash, err));
    am_sha256_hex(hash, hex);
    put_str(a, d, "name", s->dataset_name);
    put_str(a, d, "hash", s->dataset_hash);
    am_node_set(a, d, "rows", am_new_i64(a, (int64_t)s->n_rows));
    am_node_set(a, l, "dataset", d);
    am_node_set(a, l, "recipe_sha256", am_new_cstr(a, hex));
    /* JSON numbers of most readers end at 2^53: a seed above is a text */
    am_node_set(a, l, "seed",
                s->seed <= UINT64_C(1) << 53
                    ? am_new_i64(a, (int64_t)s->seed)
                    : am_new_str(a, am_arena_printf(a, "%llu", (unsigned long long)s->seed)));
    put_str(a, l, "parent", s->parent);
    put_str(a, l, "run", s->run);
    put_str(a, l, "git_commit", s->git_commit);
    *out = l;
    return am_arena_check(a, err);
}

static struct am_node *host_node(const struct am_model_spec *s, struct am_arena *a)
{
    struct am_node *h = am_new_map(a);
    am_node_set(a, h, "byte_order", am_new_cstr(a, "little"));
    am_node_set(a, h, "weight_bytes", am_new_i64(a, (int64_t)am_params_bytes(s->params)));
    am_node_set(a, h, "needs",
                am_new_list(a)); /* instruction sets, devices: none, kernels are chosen */
    return h;
}

static enum am_rc make_manifest(const struct am_model_spec *s, struct am_arena *a,
                                struct am_node **out, struct am_err *err)
{
    struct am_node *m = am_new_map(a), *ids = am_new_list(a), *numerics = am_new_map(a);
    struct am_node *libraries = s->libraries ? am_node_copy(a, s->libraries) : am_new_map(a),
                   *lineage;
    char when[24];
    AM_TRY(lineage_node(s, a, &lineage, err));
    for (size_t i = 0; i < s->n_ids; i++)
        am_node_push(a, ids, am_new_str(a, s->ids[i]));
    am_node_set(a, numerics, "profile",
                am_new_cstr(a, s->profile ? s->profile : am_numerics_profile()));
    am_node_set(a, libraries, "aimass", am_new_cstr(a, AIMASS_VERSION));
    am_node_set(a, m, "name", am_new_str(a, s->name));
    am_node_set(a, m, "version", am_new_i64(a, s->version));
    am_node_set(a, m, "task", am_new_cstr(a, am_task_name(am_target_task(s->target))));
    am_node_set(a, m, "output", am_new_cstr(a, am_model_output_name(s->output)));
    am_node_set(a, m, "inputs", inputs_node(s->features, a));
    am_node_set(a, m, "ids", ids);
    am_node_set(a, m, "target", am_target_to_node(s->target, a));
    am_node_set(a, m, "outputs",
                am_model_outputs_node(s->graph, s->features, s->target, s->output, a));
    if (am_target_task(s->target) == AM_TASK_BINARY || am_target_task(s->target) == AM_TASK_ANOMALY)
        am_node_set(a, m, "threshold", am_new_f64(a, s->threshold));
    am_node_set(a, m, "parameters", am_new_i64(a, (int64_t)s->params->n_values));
    am_node_set(a, m, "numerics", numerics);
    am_node_set(a, m, "libraries", libraries);
    am_node_set(a, m, "host", host_node(s, a));
    am_node_set(a, m, "lineage", lineage);
    if (s->created_us) {
        am_time_iso(s->created_us, when);
        am_node_set(a, m, "created", am_new_cstr(a, when));
    }
    *out = m;
    return am_arena_check(a, err);
}

/* ---- weights ---- */

static enum am_rc write_weights(const struct am_model_spec *s, struct am_arena *a,
                                struct am_buf *out, struct am_err *err)
{
    const struct am_params *p = s->params;
    struct am_st_tensor *t = am_arena_array(a, p->n_params ? p->n_params : 1, sizeof *t);
    AM_TRY(am_arena_check(a, err));
    for (size_t k = 0; k < p->n_params; k++) {
        t[k] = (struct am_st_tensor){.name = p->table[k].name,
                                     .dtype = AM_F32,
                                     .rank = p->table[k].dims.rank,
                                     .data = am_param_data(p, k),
                                     .n_bytes = p->table[k].n * sizeof(float)};
        for (unsigned i = 0; i < t[k].rank; i++)
            t[k].dims[i] = (uint64_t)p->table[k].dims.d[i];
    }
    return am_safetensors_write(t, p->n_params, NULL, AM_ST_FINITE, out, err);
}

/* ---- sample ---- */

/* Pictures and sounds of the first n rows, in bytes. */
static size_t media_bytes(const struct am_batch *b, size_t n)
{
    size_t sum = 0;
    for (size_t c = 0; c < b->n_columns; c++)
        for (size_t i = 0; am_col_is_media(b->columns[c].type) && i < n; i++)
            sum += b->columns[c].text[i].len;
    return sum;
}

/* Row 1 of a sample is all missing; a recipe that refuses unseen categories refuses that row too,
 * then the sample is its first row. */
static enum am_rc sample_input(const struct am_model_spec *s, struct am_arena *a,
                               struct am_batch *batch, float **x, struct am_err *err)
{
    size_t width = am_features_width(s->features);
    *x = am_arena_array(a, AM_MODEL_SAMPLE_ROWS, width * sizeof **x);
    AM_TRY(am_arena_check(a, err));
    AM_TRY(
        am_features_sample(s->features, AM_MODEL_SAMPLE_SEED, AM_MODEL_SAMPLE_ROWS, a, batch, err));
    while (batch->n_rows > 1 && media_bytes(batch, batch->n_rows) > AM_MODEL_SAMPLE_BYTES)
        batch->n_rows--;
    if (am_features_apply(s->features, batch, *x, NULL) == AM_OK)
        return AM_OK;
    batch->n_rows = 1;
    return am_features_apply(s->features, batch, *x, err);
}

static enum am_rc make_sample(const struct am_model_spec *s, struct am_arena *a,
                              struct am_node **out, struct am_err *err)
{
    struct am_plan_options o = {.mode = AM_PLAN_INFER,
                                .bucket_rows = 1,
                                .sparse_x = am_model_sparse(s->features, s->graph)};
    struct am_plan *plan = NULL;
    struct am_session *session = NULL;
    struct am_batch batch;
    struct am_csr_buf sparse = {0};
    size_t n, width = am_features_width(s->features);
    float *x = NULL, *y;
    enum am_rc rc;
    AM_GO(rc, sample_input(s, a, &batch, &x, err));
    AM_GO(rc, am_plan_build(s->graph, s->params, &o, &plan, err));
    AM_GO(rc, am_session_new(plan, NULL, &session, err));
    n = am_plan_n_outputs(plan);
    y = am_arena_array(a, batch.n_rows, n * sizeof *y);
    AM_GO(rc, am_arena_check(a, err));
    am_csr_reset(&sparse, width);
    if (o.sparse_x)
        AM_GO(rc, am_features_apply_sparse(s->features, &batch, &sparse, err));
    const struct am_csr rows = am_csr_of(&sparse);
    for (size_t i = 0; i < batch.n_rows; i++) {
        const struct am_csr row = o.sparse_x ? am_csr_rows(&rows, i, 1) : rows;
        AM_GO(rc, o.sparse_x ? am_session_run_sparse(session, &row, y + i * n, err)
                             : am_session_run(session, 1, x + i * width, y + i * n, err));
    }
    for (size_t i = 0; i < batch.n_rows * n; i++)
        if (!isfinite(y[i])) {
            rc = am_fail(err, AM_EINVAL, "the model's answer to the sample is not finite");
            am_hint(err,
                    "Training diverged; try a smaller train.learning_rate or train.clip_norm.");
            goto out;
        }
    *out = am_model_sample_to_node(&batch, y, n, am_numerics_profile(), a);
    rc = am_arena_check(a, err);
out:
    am_csr_clear(&sparse);
    am_session_free(session);
    am_plan_put(plan);
    return rc;
}

/* ---- all of it ---- */

static enum am_rc check_spec(const struct am_model_spec *s, struct am_err *err)
{
    size_t n = am_graph_n_params(s->graph);
    if (!am_name_valid(s->name))
        return am_fail(err, AM_EINVAL, "\"%.*s\" is no name of a model", AM_FMT(s->name));
    bool own = am_task_is_own(am_target_task(s->target));
    if (s->version < 0 ||
        !(s->threshold >= 0 && (own ? isfinite(s->threshold) : s->threshold <= 1)))
        return am_fail(err, AM_EINVAL, "version %lld or threshold %g is out of range",
                       (long long)s->version, s->threshold);
    if (s->n_rows > INT64_MAX)
        return am_fail(err, AM_EINVAL, "too many rows");
    if (!am_utf8_valid(s->recipe) || !am_utf8_valid(s->description))
        return am_fail(err, AM_EINVAL, "recipe or description is not UTF-8");
    if (s->metrics && s->metrics->kind != AM_NODE_MAP)
        return am_fail(err, AM_EINVAL, "metrics are no map");
    AM_TRY(am_model_check_shapes(s->graph, s->features, s->target, s->output, err));
    if (s->params->n_params != n)
        return am_fail(err, AM_EINVAL, "%zu parameters, the graph has %zu", s->params->n_params, n);
    for (size_t k = 0; k < n; k++) {
        const struct am_gnode *node = am_graph_node(s->graph, am_graph_param_value(s->graph, k));
        if (!am_str_eq(node->name, s->params->table[k].name) ||
            !am_dims_eq(&node->dims, &s->params->table[k].dims))
            return am_fail(err, AM_EINVAL, "parameter \"%.*s\" is not that of the graph",
                           AM_FMT(s->params->table[k].name));
    }
    return AM_OK;
}

struct parts { /* one buffer a part, for those that are made here */
    struct am_buf graph, weights, features, metrics, card, sample;
};

static void parts_init(struct parts *p)
{
    am_buf_init(&p->graph, AM_LIMIT_JSON_BYTES);
    am_buf_init(&p->weights, AM_LIMIT_TENSOR_BYTES + AM_LIMIT_MODEL_HEADER_BYTES);
    am_buf_init(&p->features, AM_LIMIT_JSON_BYTES);
    am_buf_init(&p->metrics, AM_LIMIT_MODEL_HEADER_BYTES);
    am_buf_init(&p->card, AM_LIMIT_RECIPE_BYTES);
    am_buf_init(&p->sample, AM_LIMIT_MODEL_HEADER_BYTES);
}

static void parts_clear(struct parts *p)
{
    am_buf_clear(&p->graph);
    am_buf_clear(&p->weights);
    am_buf_clear(&p->features);
    am_buf_clear(&p->metrics);
    am_buf_clear(&p->card);
    am_buf_clear(&p->sample);
}

static enum am_rc add_json(const struct am_node *n, struct am_buf *out, struct am_err *err)
{
    am_node_to_json(n, AM_JSON_PRETTY, out);
    return am_buf_check(out, err);
}

static enum am_rc make_parts(const struct am_model_spec *s, struct am_arena *a, struct parts *p,
                             struct am_node **manifest, struct am_err *err)
{
    struct am_node *n;
    AM_TRY(make_manifest(s, a, manifest, err));
    AM_TRY(am_graph_to_node(s->graph, a, &n, err));
    AM_TRY(add_json(n, &p->graph, err));
    AM_TRY(write_weights(s, a, &p->weights, err));
    n = am_features_to_node(s->features, a);
    AM_TRY(am_arena_check(a, err));
    AM_TRY(add_json(n, &p->features, err));
    AM_TRY(make_sample(s, a, &n, err));
    AM_TRY(add_json(n, &p->sample, err));
    n = s->metrics ? am_node_copy(a, s->metrics) : am_new_map(a);
    AM_TRY(am_arena_check(a, err));
    AM_TRY(add_json(n, &p->metrics, err));
    am_card_write(s, *manifest, &p->card);
    return am_buf_check(&p->card, err);
}

static enum am_rc make_package(const struct am_model_spec *s, struct am_buf *out,
                               struct am_err *err)
{
    struct am_arena *a = am_arena_new(0);
    struct am_package_content c = {.sign_with = s->sign_with};
    struct am_node *manifest;
    struct parts p;
    enum am_rc rc;
    parts_init(&p);
    if (!a)
        return am_fail_nomem(err, sizeof p);
    AM_GO(rc, make_parts(s, a, &p, &manifest, err));
    c.manifest = manifest;
    c.parts[AM_PART_GRAPH] = am_buf_view(&p.graph);
    c.parts[AM_PART_WEIGHTS] = am_buf_view(&p.weights);
    c.parts[AM_PART_FEATURES] = am_buf_view(&p.features);
    c.parts[AM_PART_RECIPE] = (struct am_str){s->recipe.ptr ? s->recipe.ptr : "", s->recipe.len};
    c.parts[AM_PART_METRICS] = am_buf_view(&p.metrics);
    c.parts[AM_PART_CARD] = am_buf_view(&p.card);
    c.parts[AM_PART_SAMPLE] = am_buf_view(&p.sample);
    rc = am_package_build(&c, out, err);
out:
    parts_clear(&p);
    am_arena_free(a);
    return rc;
}

enum am_rc am_model_to_bytes(const struct am_model_spec *spec, struct am_buf *out,
                             struct am_err *err)
{
    AM_TRY(check_spec(spec, err));
    return make_package(spec, out, err);
}

enum am_rc am_model_write(const struct am_model_spec *spec, const char *path, struct am_err *err)
{
    struct am_buf bytes;
    enum am_rc rc;
    am_buf_init(&bytes, SIZE_MAX);
    AM_GO(rc, am_model_to_bytes(spec, &bytes, err));
    rc = am_fs_write_file(path, bytes.ptr, bytes.len, err);
out:
    am_buf_clear(&bytes);
    return rc;
}
