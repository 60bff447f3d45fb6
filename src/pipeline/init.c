/* Looking before training: the starter recipe, the profile of a source, and the plan of a recipe.
 */
#include <math.h>
#include <stdio.h>

#include "nn/train_plan.h"
#include "pipeline/train_int.h"

#define SPARSE_FLOATS 1024 /* what a sparse row counts as */
#define NAMES_MAX 2000     /* of features that `plan` lists */

/* ---- profile ---- */

static enum am_rc inspect(struct am_pipeline *pl, struct am_arena *a, const char *source,
                          const char *target, struct am_dataset_info *info, struct am_err *err)
{
    struct am_tables *tables;
    struct am_str spec = am_str(source);
    struct am_import_options o = {
        .source = {.specs = &spec, .n_specs = 1, .temp_dir = am_registry_scratch(pl->registry)},
        .target = {NULL, 0},
        .progress = pl->progress};
    AM_TRY(pl->tables(pl->tables_ctx, &tables, err));
    if (target)
        o.target = am_str(target);
    memset(info, 0, sizeof *info);
    AM_TRY(am_dataset_inspect(tables, a, &o, info, err));
    size_t k;
    return target ? am_target_column(am_schema_of(&info->schema, a), am_str(target), &k, err)
                  : AM_OK;
}

/* `likely`: where it stands when the profile has the schema's order; looking for each of 65,536
 * columns from the first on takes minutes. */
static struct am_node *column_of(const struct am_node *profile, struct am_str name, size_t likely)
{
    const struct am_node *list = am_node_get(profile, "columns");
    if (list && likely < list->list.n &&
        am_str_eq(am_node_str(list->list.items[likely], "name", ""), name))
        return list->list.items[likely];
    for (size_t i = 0; list && i < list->list.n; i++)
        if (am_str_eq(am_node_str(list->list.items[i], "name", ""), name))
            return list->list.items[i];
    return NULL;
}

/* Without those about where rows come from: nobody would train on a file's name. */
static struct am_node *warnings_of(const struct am_dataset_info *info, struct am_arena *a)
{
    const struct am_node *all = am_node_get(info->profile, "warnings");
    struct am_node *out = am_new_list(a);
    for (size_t i = 0; all && i < all->list.n; i++) {
        struct am_str column = am_node_str(all->list.items[i], "column", "");
        bool aside = false;
        for (size_t k = 0; k < info->schema.n && !aside; k++)
            aside =
                info->schema.columns[k].aside && am_str_eq(info->schema.columns[k].name, column);
        if (!aside)
            am_node_push(a, out, all->list.items[i]);
    }
    return out;
}

enum am_rc am_pipeline_profile(struct am_pipeline *pl, struct am_arena *a, const char *source,
                               const char *target, struct am_node **out, struct am_err *err)
{
    struct am_dataset_info info;
    struct am_node *columns = am_new_list(a);
    AM_TRY(inspect(pl, a, source, target, &info, err));
    *out = am_new_map(a);
    am_node_set(a, *out, "source", am_node_get(info.report, "source"));
    am_node_set(a, *out, "rows", am_new_i64(a, (int64_t)info.schema.n_rows));
    am_node_set(a, *out, "hash", am_new_str(a, info.hash));
    for (size_t i = 0; i < info.schema.n; i++) {
        struct am_node *c = column_of(info.profile, info.schema.columns[i].name, i);
        if (!c)
            c = am_new_map(a);
        am_node_set(a, c, "name", am_new_str(a, info.schema.columns[i].name));
        am_node_set(a, c, "type", am_new_cstr(a, am_col_type_name(info.schema.columns[i].type)));
        am_node_set(a, c, "why", am_new_str(a, info.schema.columns[i].why));
        am_node_push(a, columns, c);
    }
    am_node_set(a, *out, "columns", columns);
    am_node_set(a, *out, "warnings", warnings_of(&info, a));
    if (am_node_get(info.report, "import"))
        am_node_set(a, *out, "files", am_node_get(info.report, "import"));
    return am_arena_check(a, err);
}

/* ---- init ---- */

static bool warned(const struct am_node *profile, struct am_str column, const char *kind)
{
    const struct am_node *w = am_node_get(profile, "warnings");
    for (size_t i = 0; w && i < w->list.n; i++)
        if (am_str_eq(am_node_str(w->list.items[i], "column", ""), column) &&
            am_str_is(am_node_str(w->list.items[i], "kind", ""), kind))
            return true;
    return false;
}

static void put_list(struct am_buf *b, const struct am_node *list)
{
    am_node_to_json(list, AM_JSON_COMPACT, b);
}

/* The one column of files, when the others are its class and where the files come from. */
static const struct am_schema_column *only_media(const struct am_dataset_info *info,
                                                 const char *target)
{
    const struct am_schema_column *found = NULL;
    for (size_t i = 0; i < info->schema.n; i++) {
        const struct am_schema_column *c = &info->schema.columns[i];
        if (c->aside || am_str_is(c->name, target))
            continue;
        if (found || !am_col_is_media(c->type))
            return NULL;
        found = c;
    }
    return found;
}

#define STARTER_SIDE 128 /* larger pictures are brought down to this */

/* A small network of convolutions: what its kind of data is worth to begin with. */
static void starter_network(const struct am_dataset_info *info, const struct am_schema_column *c,
                            struct am_buf *b)
{
    const struct am_node *column = column_of(info->profile, c->name, 0);
    double side = fmax(am_node_f64(am_node_get(column, "width"), "max", 0),
                       am_node_f64(am_node_get(column, "height"), "max", 0));
    const bool many = info->schema.n_rows >= 10000;
    if (c->type == AM_COL_IMAGE && side > STARTER_SIDE) {
        am_buf_cstr(b, "features:\n  ");
        am_json_quote(b, c->name);
        am_buf_printf(b, ": {size: [%d, %d]}\n", STARTER_SIDE, STARTER_SIDE);
    }
    am_buf_cstr(b, c->type == AM_COL_VIDEO
                       ? "model: {type: cnn, filters: [16, 32], dense: [64], dropout: 0.3, "
                         "frames: lstm}\n"
                       : "model: {type: cnn, filters: [32, 64], dense: [128], dropout: 0.3}\n");
    am_buf_printf(b, "train: {epochs: %d, batch_size: %d, early_stopping: {patience: %d}}\n",
                  many ? 10 : 40, many ? 64 : 16, many ? 3 : 8);
}

static bool has_split(const struct am_dataset_info *info)
{
    for (size_t i = 0; i < info->schema.n; i++)
        if (info->schema.columns[i].aside && am_str_is(info->schema.columns[i].name, "split"))
            return true;
    return false;
}

static void starter_columns(struct am_arena *a, const struct am_dataset_info *info,
                            const char *target, struct am_node *ids, struct am_node *drop)
{
    for (size_t i = 0; i < info->schema.n; i++) {
        struct am_str c = info->schema.columns[i].name;
        if (am_str_is(c, target) || info->schema.columns[i].aside)
            continue;
        if (warned(info->profile, c, "id"))
            am_node_push(a, ids, am_new_str(a, c));
        else if (warned(info->profile, c, "constant") || warned(info->profile, c, "leak"))
            am_node_push(a, drop, am_new_str(a, c));
    }
}

static struct am_str starter(struct am_arena *a, const char *source, const char *target,
                             const char *name, enum am_task task,
                             const struct am_dataset_info *info)
{
    struct am_node *ids = am_new_list(a), *drop = am_new_list(a);
    const struct am_schema_column *media = only_media(info, target);
    struct am_buf b;
    bool classes = task != AM_TASK_REGRESSION;
    am_buf_init(&b, 1 << 22);
    if (!media)
        starter_columns(a, info, target, ids, drop);
    am_buf_printf(&b, "version: 1\nname: %s\ndata:\n  source: ", name);
    am_json_quote(&b, am_str(source));
    am_buf_cstr(&b, "\n  target: ");
    am_json_quote(&b, am_str(target));
    if (ids->list.n) {
        am_buf_cstr(&b, "\n  id: ");
        put_list(&b, ids);
    }
    if (has_split(info))
        am_buf_cstr(&b, "\n  split: {by: given, validation: {share: 0.1, of: train, take: "
                        "random}, seed: 42}\n");
    else
        am_buf_printf(&b, "\n  split: {test: 0.2, validation: 0.2, by: %s, seed: 42}\n",
                      classes ? "stratified" : "random");
    if (drop->list.n) {
        am_buf_cstr(&b, "features:\n  drop: ");
        put_list(&b, drop);
        am_buf_cstr(&b, "   # constant, or too good to be true\n");
    }
    if (media)
        starter_network(info, media, &b);
    else
        am_buf_printf(&b, "model: {type: %s}\n", classes ? "logistic" : "linear");
    am_buf_printf(&b, "evaluate: {metrics: [%s]}\nregister: {alias: champion}\n",
                  task == AM_TASK_BINARY       ? "accuracy, precision, recall, roc_auc"
                  : task == AM_TASK_MULTICLASS ? "accuracy, f1, log_loss"
                                               : "r2, rmse, mae");
    struct am_str text = am_arena_str(a, am_buf_view(&b));
    am_buf_clear(&b);
    return text;
}

static enum am_task guess_task(const struct am_dataset_info *info, const char *target)
{
    const struct am_node *c = column_of(info->profile, am_str(target), 0);
    int64_t distinct = am_node_i64(c, "distinct", 0);
    for (size_t i = 0; i < info->schema.n; i++)
        if (am_str_is(info->schema.columns[i].name, target) &&
            info->schema.columns[i].type == AM_COL_NUMBER && distinct > 2)
            return AM_TASK_REGRESSION;
    return distinct > 2 ? AM_TASK_MULTICLASS : AM_TASK_BINARY;
}

/* ---- starters of models that learn rows ---- */

/* The one column of files among others that are no features; NULL = none or several. */
static const struct am_schema_column *sole_media(const struct am_dataset_info *info)
{
    const struct am_schema_column *found = NULL;
    for (size_t i = 0; i < info->schema.n; i++) {
        const struct am_schema_column *c = &info->schema.columns[i];
        if (c->aside || !am_col_is_media(c->type))
            continue;
        if (found)
            return NULL;
        found = c;
    }
    return found;
}

/* A quarter of the columns is a code that must leave something out. */
static void starter_rows(struct am_buf *b, size_t n_columns)
{
    size_t code = n_columns / 4 < 1 ? 1 : n_columns / 4 > 16 ? 16 : n_columns / 4;
    size_t wide = code * 8 < 16 ? 16 : code * 8;
    am_buf_printf(b, "model: {type: autoencoder, encoder: [%zu], code: %zu, activation: tanh", wide,
                  code);
}

static struct am_str starter_own(struct am_arena *a, const char *source, const char *target,
                                 const char *name, enum am_task task,
                                 const struct am_dataset_info *info)
{
    struct am_node *ids = am_new_list(a), *drop = am_new_list(a);
    const struct am_schema_column *media = sole_media(info);
    struct am_buf b;
    am_buf_init(&b, 1 << 22);
    if (!media)
        starter_columns(a, info, target ? target : "", ids, drop);
    am_buf_printf(&b, "version: 1\nname: %s\ndata:\n  source: ", name);
    am_json_quote(&b, am_str(source));
    am_buf_printf(&b, "\n  task: %s", am_task_name(task));
    if (target) {
        am_buf_cstr(&b, "\n  target: ");
        am_json_quote(&b, am_str(target));
        am_buf_cstr(&b, "   # labels: measured with, never learned");
    }
    if (ids->list.n) {
        am_buf_cstr(&b, "\n  id: ");
        put_list(&b, ids);
    }
    am_buf_cstr(&b, "\n  split: {test: 0.2, validation: 0.2, seed: 42}\n");
    if (media && !target) {
        am_node_push(a, drop, am_new_str(a, media->name));
        am_buf_cstr(&b, "features:\n  only: ");
        put_list(&b, drop);
        am_buf_char(&b, '\n');
    } else if (drop->list.n) {
        am_buf_cstr(&b, "features:\n  drop: ");
        put_list(&b, drop);
        am_buf_cstr(&b, "   # constant\n");
    }
    if (task == AM_TASK_CLUSTERING)
        am_buf_cstr(&b, "model: {type: kmeans, clusters: auto");
    else if (media)
        am_buf_cstr(&b, "model: {type: autoencoder, code: 16");
    else
        starter_rows(&b, info->schema.n - ids->list.n - drop->list.n - (target != NULL));
    am_buf_cstr(&b, task == AM_TASK_ANOMALY ? ", contamination: 0.01}\n" : "}\n");
    if (task != AM_TASK_CLUSTERING)
        am_buf_cstr(&b, "train: {epochs: 50, early_stopping: {patience: 5}}\n");
    am_buf_cstr(&b, "register: {alias: champion}\n");
    struct am_str text = am_arena_str(a, am_buf_view(&b));
    am_buf_clear(&b);
    return text;
}

static enum am_rc own_task(const char *name, enum am_task *out, struct am_err *err)
{
    if (am_task_parse(am_str(name), out) && am_task_is_own(*out))
        return AM_OK;
    am_fail(err, AM_EUSAGE, "--task %s is none of anomaly, embedding and clustering", name);
    am_hint(err, "Leave it out where a column is to be predicted: --target says which.");
    return AM_EUSAGE;
}

/* Nobody named one: files in class folders have theirs. */
static enum am_rc find_target(const struct am_dataset_info *info, const char *source,
                              const char **out, struct am_err *err)
{
    static const char label[] = "label";
    for (size_t i = 0; i < info->schema.n; i++)
        if (am_str_is(info->schema.columns[i].name, label) && only_media(info, label)) {
            *out = label;
            return AM_OK;
        }
    if (only_media(info, "")) {
        am_fail(err, AM_EUSAGE, "the files of \"%s\" have no classes", source);
        am_hint(err,
                "Put the files of each class into a folder of its own, as %s/cat/1.png, or say "
                "with data.pattern what their names tell. Without classes there is --task "
                "anomaly or embedding.",
                source);
        return AM_EUSAGE;
    }
    am_fail(err, AM_EUSAGE, "which column of \"%s\" is to be predicted?", source);
    am_hint(err,
            "Name it with --target COLUMN; `aimass profile %s` lists the columns. Without a "
            "target there is --task anomaly or embedding.",
            source);
    return AM_EUSAGE;
}

enum am_rc am_pipeline_init(struct am_pipeline *pl, struct am_arena *a, const char *source,
                            const char *target, const char *task_name, struct am_node **out,
                            struct am_err *err)
{
    struct am_dataset_info info;
    enum am_task task = AM_TASK_REGRESSION;
    const char *slash = strrchr(source, '/');
    char name[AM_LIMIT_NAME_BYTES];
    size_t n = 0;
    if (task_name)
        AM_TRY(own_task(task_name, &task, err));
    AM_TRY(inspect(pl, a, source, target, &info, err));
    if (!target && !task_name)
        AM_TRY(find_target(&info, source, &target, err));
    for (const char *p = slash ? slash + 1 : source; *p && *p != '.' && n + 1 < sizeof name; p++)
        if (am_name_valid((struct am_str){p, 1}))
            name[n++] = *p;
        else if (n)
            name[n++] = '-';
    name[n] = 0;
    if (!task_name)
        task = guess_task(&info, target);
    *out = am_new_map(a);
    am_node_set(a, *out, "recipe",
                am_new_str(a, (task_name ? starter_own : starter)(
                                  a, source, target, n ? name : "model", task, &info)));
    am_node_set(a, *out, "task", am_new_cstr(a, am_task_name(task)));
    am_node_set(a, *out, "target", target ? am_new_cstr(a, target) : am_new_null(a));
    am_node_set(a, *out, "name", am_new_cstr(a, n ? name : "model"));
    am_node_set(a, *out, "columns", am_node_get(info.report, "columns"));
    am_node_set(a, *out, "warnings", warnings_of(&info, a));
    return am_arena_check(a, err);
}

/* ---- plan ---- */

static struct am_node *layers(struct am_arena *a, const struct am_plan *plan)
{
    struct am_node *list = am_new_list(a);
    for (size_t i = 0; i < am_plan_n_steps(plan); i++)
        am_node_push(a, list, am_new_cstr(a, am_plan_step_name(plan, i)));
    return list;
}

/* Shape of the model without training it: one epoch's worth of nothing. */
static enum am_rc plan_model(struct am_training *t, struct am_node *out, struct am_err *err)
{
    struct am_arena *a = t->p.arena;
    struct am_learn_task task;
    struct am_graph *g = NULL;
    struct am_params *params = NULL;
    struct am_plan *plan = NULL;
    size_t bucket =
        (size_t)am_node_i64(am_node_get(t->p.recipe.resolved, "train"), "batch_size", 32);
    struct am_plan_options o = {.mode = AM_PLAN_INFER, .bucket_rows = bucket};
    enum am_rc rc;
    const struct am_learner_ops *learner;
    AM_TRY(am_training_task(t, &task, err));
    AM_TRY(am_learner_of(&task, &learner, err));
    if (learner->flags & AM_LEARNER_FROM_ROWS)
        return AM_OK; /* its size depends on the rows */
    AM_GO(rc, am_learner_graph(&task, &g, err));
    AM_GO(rc, am_params_new(g, &params, err));
    AM_GO(rc, am_plan_build(g, params, &o, &plan, err));
    size_t width = am_features_width(t->fitted.features);
    if (am_features_sparse(t->fitted.features) && width > SPARSE_FLOATS)
        width = SPARSE_FLOATS; /* a row of texts has some hundred terms */
    uint64_t rows = t->p.counts.n[AM_ROW_TRAIN] * (width + 1) * sizeof(float);
    uint64_t kept = rows < t->p.pl->memory_limit_bytes / 4 ? rows : t->p.pl->memory_limit_bytes / 4;
    am_node_set(a, out, "parameters", am_new_i64(a, (int64_t)params->n_values));
    am_node_set(a, out, "layers", layers(a, plan));
    am_node_set(
        a, out, "memory_bytes",
        am_new_i64(a, (int64_t)(kept + am_plan_peak_bytes(plan) + 4 * am_params_bytes(params))));
    am_node_set(a, out, "flops_per_row", am_new_f64(a, am_plan_flops(plan, 1)));
    struct am_node *network;
    AM_GO(rc, am_learner_layers(&task, a, &network, err));
    am_node_set(a, out, "network", network);
out:
    am_plan_put(plan);
    am_params_free(params);
    am_graph_free(g);
    return rc;
}

enum am_rc am_pipeline_plan(struct am_pipeline *pl, struct am_arena *a,
                            const struct am_recipe_source *src, struct am_node **out,
                            struct am_err *err)
{
    static const char *const parts[] = {"train", "validation", "test", "dropped"};
    struct am_training *t = am_arena_zalloc(a, sizeof *t);
    struct am_node *split = am_new_map(a), *columns = am_new_list(a), *names = am_new_list(a);
    struct am_table view = {NULL, NULL};
    struct am_buf yaml;
    enum am_rc rc;
    AM_TRY(am_arena_check(a, err));
    am_buf_init(&yaml, 1 << 22);
    AM_GO(rc, am_prepare_data(&t->p, pl, a, src, NULL, err));
    AM_GO(rc, am_training_weights_find(t, src, NULL, err));
    t->seed = (uint64_t)am_node_i64(am_node_get(t->p.recipe.resolved, "train"), "seed", 42);
    AM_GO(rc, am_prepare_rows(&t->p, err));
    AM_GO(rc, am_training_check(t, err));
    AM_GO(rc, am_training_tune_check(t, err));
    AM_GO(rc, am_rows_view(&t->p.table, t->p.parts, t->p.n_rows, AM_PART_BIT(AM_ROW_TRAIN),
                           t->p.pl->pool, &view, err));
    AM_GO(rc, am_fit_features(&t->p, &view, &t->fitted, err));
    *out = am_new_map(a);
    am_node_to_yaml(t->p.recipe.resolved, &yaml);
    AM_GO(rc, am_buf_check(&yaml, err));
    am_node_set(a, *out, "recipe", t->p.recipe.resolved);
    am_node_set(a, *out, "yaml", am_new_str(a, am_buf_view(&yaml)));
    am_node_set(a, *out, "dataset", am_new_str(a, t->p.dataset));
    if (t->p.import_report && am_node_get(t->p.import_report, "import"))
        am_node_set(a, *out, "files", am_node_get(t->p.import_report, "import"));
    am_node_set(a, *out, "task", am_new_cstr(a, am_task_name(am_target_task(t->p.target))));
    am_node_set(a, *out, "task_why", am_new_str(a, t->p.task_why));
    for (size_t i = 0; i < 4; i++)
        am_node_set(a, split, parts[i], am_new_i64(a, (int64_t)t->p.counts.n[i]));
    am_node_set(a, *out, "split", split);
    if (t->p.near)
        am_node_set(a, *out, "near_duplicates", am_near_to_node(t->p.near, a));
    if (t->fitted.selection.by)
        am_node_set(a, *out, "selection", am_selection_to_node(&t->p, &t->fitted.selection, a));
    for (size_t i = 0; i < t->p.dataset_schema.n; i++) {
        const struct am_schema_column *c = &t->p.dataset_schema.columns[i];
        struct am_node *m = am_new_map(a);
        bool own = am_task_is_own(am_target_task(t->p.target));
        const char *role = i != t->p.target_column ? "unused" : own ? "label" : "target";
        for (size_t k = 0; k < t->p.n_columns; k++)
            role = t->p.columns[k] == i ? "not selected" : role;
        for (size_t k = 0; k < t->fitted.n_columns; k++)
            role = t->fitted.columns[k] == i ? "feature" : role;
        for (size_t k = 0; k < t->p.n_ids; k++)
            role = am_str_eq(t->p.ids[k], c->name) ? "id" : role;
        role = i == t->p.weight_column ? "weight" : role;
        am_node_set(a, m, "name", am_new_str(a, c->name));
        am_node_set(a, m, "type", am_new_cstr(a, am_col_type_name(c->type)));
        am_node_set(a, m, "role", am_new_cstr(a, role));
        am_node_set(a, m, "why", am_new_str(a, c->why));
        am_node_push(a, columns, m);
    }
    am_node_set(a, *out, "columns", columns);
    am_node_set(a, *out, "features", am_new_i64(a, (int64_t)am_features_width(t->fitted.features)));
    for (size_t j = 0; j < am_features_width(t->fitted.features); j++) {
        struct am_str name = am_features_output_name(t->fitted.features, j);
        if (names->list.n == NAMES_MAX)
            break;
        if (j == 0 || !am_str_eq(name, am_features_output_name(t->fitted.features, j - 1)))
            am_node_push(a, names, am_new_str(a, name)); /* pixels share one */
    }
    am_node_set(a, *out, "feature_names", names);
    am_node_set(a, *out, "cleaning", am_clean_report(t->p.clean, a));
    AM_GO(rc, plan_model(t, *out, err));
    rc = am_arena_check(a, err);
out:
    if (view.ops)
        view.ops->free(view.impl);
    am_buf_clear(&yaml);
    am_training_clear(t);
    return rc;
}
