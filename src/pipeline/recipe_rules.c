/* Rules between the fields of a recipe, and the recipe's names against the data's columns. Every
 * rule is one clear AM_EUSAGE with the place and the remedy, before the first row is trained. Pure
 * functions. */
#include "pipeline/recipe_int.h"

#include <stdio.h>

#include "base/alloc.h"
#include "learn/learn.h"

struct rules {
    const struct am_node *root;
    const struct am_recipe_origin *origin;
    struct am_err *err;
};

static const char *where_of(const struct rules *r, const char *path, char *out, size_t cap)
{
    am_recipe_where(am_node_path(r->root, path), r->origin, out, cap);
    return out;
}

static enum am_rc contradiction(const struct rules *r, const char *path, const char *what,
                                const char *hint)
{
    char where[256];
    am_fail(r->err, AM_EUSAGE, "%s: %s", where_of(r, path, where, sizeof where), am_tr(what));
    am_hint(r->err, "%s", am_tr(hint));
    return AM_EUSAGE;
}

static double validation_share(const struct am_node *root)
{
    const struct am_node *v = am_node_path(root, "data.split.validation");
    double share = 0.0;
    if (v && v->kind == AM_NODE_MAP)
        share = am_node_f64(v, "share", 0.2);
    else
        am_node_as_f64(v, &share);
    return share;
}

static enum am_rc check_split(const struct rules *r)
{
    const struct am_node *split = am_node_path(r->root, "data.split");
    const struct am_node *v = am_node_get(split, "validation");
    struct am_str by = am_node_str(split, "by", "auto");
    double test = am_node_f64(split, "test", 0.2), val = validation_share(r->root);
    bool of_all = !v || v->kind != AM_NODE_MAP || am_str_is(am_node_str(v, "of", "all"), "all");
    if (of_all && test + val >= 0.99)
        return contradiction(
            r, "data.split.test", "test and validation leave no rows for training",
            "Lower data.split.test or data.split.validation; their sum must stay under 0.99.");
    if (am_str_is(by, "group") != (am_node_get(split, "group") != NULL))
        return contradiction(r, "data.split.by",
                             "\"by: group\" and \"group: COLUMN\" need each other",
                             "Give both, or neither.");
    if (am_str_is(by, "time") != (am_node_get(split, "time") != NULL))
        return contradiction(r, "data.split.by",
                             "\"by: time\" and \"time: COLUMN\" need each other",
                             "Give both, or neither.");
    if (am_node_get(split, "hash") && !am_str_is(by, "hash"))
        return contradiction(r, "data.split.hash", "\"hash\" is given but \"by\" is not hash",
                             "Write `by: hash`, or leave `hash` out.");
    if (am_node_path(r->root, "data.sample.rows") && am_node_path(r->root, "data.sample.share"))
        return contradiction(r, "data.sample.rows", "both sample.rows and sample.share are given",
                             "Give one of them.");
    return AM_OK;
}

static bool truthy_map(const struct am_node *n)
{
    bool b;
    return n && (n->kind == AM_NODE_MAP || (am_node_as_bool(n, &b) && b));
}

static bool listed(const struct am_node *list, struct am_str name)
{
    struct am_str s;
    for (size_t i = 0; list && list->kind == AM_NODE_LIST && i < list->list.n; i++)
        if (am_node_as_str(list->list.items[i], &s) && am_str_eq(s, name))
            return true;
    return false;
}

static enum am_rc check_roles(const struct rules *r)
{
    struct am_str target = am_node_str(am_node_get(r->root, "data"), "target", "");
    const struct am_node *only = am_node_path(r->root, "features.only");
    const struct am_node *drop = am_node_path(r->root, "features.drop");
    if (target.len && listed(am_node_path(r->root, "data.id"), target))
        return contradiction(r, "data.id", "the target is also an id column",
                             "A column is either predicted or passed through.");
    if (target.len && listed(only, target))
        return contradiction(r, "features.only", "the target is also a feature",
                             "Take the target out of features.only.");
    if (only && only->kind == AM_NODE_LIST && only->list.n == 0)
        return contradiction(r, "features.only",
                             "features.only is empty, so there is nothing to learn from",
                             "Name at least one column, or leave features.only out.");
    for (size_t i = 0; only && drop && only->kind == AM_NODE_LIST && i < only->list.n; i++) {
        struct am_str s;
        if (am_node_as_str(only->list.items[i], &s) && listed(drop, s))
            return contradiction(r, "features.drop",
                                 "a column stands in features.only and in features.drop",
                                 "Take it out of one of them.");
    }
    return AM_OK;
}

/* ---- missing values that stay ---- */

/* impute: none wants a learner that takes NaN; `auto` is none such. */
static enum am_rc check_missing(const struct rules *r)
{
    const struct am_node *features = am_node_get(r->root, "features");
    const struct am_str type = am_node_str(am_node_get(r->root, "model"), "type", "auto");
    const struct am_learner_ops *l = am_learner_find(type);
    if ((l && (l->flags & AM_LEARNER_MISSING)) || (!l && !am_str_is(type, "auto")) || !features ||
        features->kind != AM_NODE_MAP)
        return AM_OK;
    for (size_t i = 0; i < features->map.n; i++) {
        const struct am_pair *p = &features->map.pairs[i];
        char where[256], path[192];
        struct am_str impute = AM_STR("");
        if (!am_node_as_str(am_node_get(p->value, "impute"), &impute) || !am_str_is(impute, "none"))
            continue;
        (void)snprintf(path, sizeof path, "features.%.*s", AM_FMT(p->key));
        am_fail(r->err, AM_EUSAGE,
                "%s: values stay missing (impute: none), but model type \"%.*s\" cannot learn from "
                "missing values",
                where_of(r, path, where, sizeof where), AM_FMT(type));
        am_hint(r->err, "Remove impute: none, or use model.type gradient_boosting.");
        return AM_EUSAGE;
    }
    return AM_OK;
}

/* ---- models that learn rows ---- */

static enum am_rc check_model_type(const struct rules *r, bool own)
{
    char where[256];
    struct am_str type = am_node_str(am_node_get(r->root, "model"), "type", "auto");
    struct am_str task = am_node_str(am_node_get(r->root, "data"), "task", "auto");
    const struct am_learner_ops *l = am_learner_find(type);
    enum am_task given = AM_N_TASKS;
    unsigned targets = 0;
    if (!l)
        return AM_OK; /* am_learner_check says so, or `auto` finds one */
    for (unsigned k = 0; k < AM_N_TASKS; k++)
        targets |= am_task_target_optional((enum am_task)k) ? 0u : 1u << k;
    (void)am_task_parse(task, &given);
    const bool row = own && am_str_is(type, "baseline"); /* what others are compared with */
    if (!row && (own ? l->tasks & 1u << given : l->tasks & targets))
        return AM_OK;
    am_fail(r->err, AM_EUSAGE, "%s: data.task is %.*s, but model.type is %.*s",
            where_of(r, "model.type", where, sizeof where), AM_FMT(task), AM_FMT(type));
    if (own)
        am_hint(r->err,
                "Anomalies: autoencoder; embeddings: autoencoder, pca or svd; clusters: kmeans, "
                "dbscan or gaussian_mixture; recommendations: matrix_factorization. Or "
                "predict a target: data.task classification or regression.");
    else
        am_hint(r->err,
                "Such a model learns rows, not a target: set data.task to anomaly or embedding; "
                "clustering for kmeans, dbscan and gaussian_mixture.");
    return AM_EUSAGE;
}

static bool some_column_is(const struct am_node *features, const char *encode)
{
    for (size_t i = 0; features && features->kind == AM_NODE_MAP && i < features->map.n; i++)
        if (am_str_is(am_node_str(features->map.pairs[i].value, "encode", ""), encode))
            return true;
    return false;
}

/* Settings that speak of classes or of a target. */
static enum am_rc check_no_target(const struct rules *r)
{
    const struct am_node *weights = am_node_path(r->root, "train.class_weights");
    struct am_str none = {"", 0};
    if (am_node_path(r->root, "data.positive"))
        return contradiction(r, "data.positive",
                             "data.positive names a class, but the task has no classes",
                             "Name the normal labels with data.normal, or leave it out.");
    if (am_node_path(r->root, "evaluate.threshold"))
        return contradiction(
            r, "evaluate.threshold", "evaluate.threshold is a probability of two classes",
            "Set model.contamination: the share of rows that counts as anomalies.");
    if (weights && (!am_node_as_str(weights, &none) || !am_str_is(none, "none")))
        return contradiction(r, "train.class_weights",
                             "train.class_weights is given, but the task has no classes",
                             "Leave it out.");
    const struct am_node *features = am_node_get(r->root, "features");
    if (some_column_is(features, "tokens") || some_column_is(features, "chars") ||
        some_column_is(features, "segments"))
        return contradiction(
            r, "features",
            "encode: tokens, segments and chars make ids, which a model that learns rows cannot "
            "give back or compare",
            "Use encode: words, or another encoding that makes numbers.");
    if (some_column_is(features, "target"))
        return contradiction(r, "features", "encode: target needs a target, the task has none",
                             "Use encode: onehot, ordinal or hash.");
    return AM_OK;
}

static bool asks_for_folds(const struct am_node *root)
{
    const struct am_node *folds = am_node_path(root, "evaluate.folds");
    int64_t n = 0;
    return folds && (folds->kind == AM_NODE_MAP || (am_node_as_i64(folds, &n) && n > 1));
}

static enum am_rc check_labels(const struct rules *r, bool own)
{
    const char *const keys[] = {"data.normal", "data.train_on"};
    bool labels = am_node_str(am_node_get(r->root, "data"), "target", "").len > 0;
    struct am_str by = am_node_str(am_node_path(r->root, "data.split"), "by", "auto");
    for (size_t i = 0; i < 2; i++) {
        if (am_node_path(r->root, keys[i]) &&
            !am_str_is(am_node_str(am_node_get(r->root, "data"), "task", ""), "anomaly"))
            return contradiction(r, keys[i],
                                 i ? "data.train_on is given, but the task is not anomaly"
                                   : AM_N("data.normal is given, but the task is not anomaly"),
                                 "Set data.task to anomaly, or leave it out.");
        if (am_node_path(r->root, keys[i]) && !labels)
            return contradiction(r, keys[i],
                                 i ? "data.train_on needs labels, but the recipe names none"
                                   : AM_N("data.normal needs labels, but the recipe names none"),
                                 "Name the label column in data.target, or leave it out.");
    }
    if (own && !labels && am_str_is(by, "stratified"))
        return contradiction(r, "data.split.by", "a stratified split needs labels",
                             "Name the label column in data.target, or write `by: random`.");
    if (am_str_is(am_node_str(am_node_get(r->root, "data"), "train_on", "all"), "normal") &&
        asks_for_folds(r->root))
        return contradiction(r, "evaluate.folds",
                             "folds would train on the anomalies that train_on: normal leaves out",
                             "Leave evaluate.folds out, or train on all rows.");
    return AM_OK;
}

/* A recommender needs both columns, nobody else any. */
static enum am_rc check_pairs(const struct rules *r)
{
    static const char *const keys[] = {"data.user", "data.item"};
    const struct am_node *data = am_node_get(r->root, "data");
    const bool pairs = am_str_is(am_node_str(data, "task", ""), "recommendation");
    struct am_str name[2];
    for (size_t i = 0; i < 2; i++) {
        name[i] = am_node_str(data, keys[i] + 5, "");
        if (pairs && name[i].len == 0)
            return contradiction(r, "data", "a recommender needs data.user and data.item",
                                 "Name the columns that say who chose what.");
        if (!pairs && name[i].len)
            return contradiction(r, keys[i], "data.user and data.item are for recommenders only",
                                 "Set data.task to recommendation, or leave them out.");
    }
    if (pairs && am_str_eq(name[0], name[1]))
        return contradiction(r, "data.item", "data.user and data.item are the same column",
                             "Name the column of the users and that of the items.");
    return AM_OK;
}

static enum am_rc check_task(const struct rules *r)
{
    AM_TRY(check_pairs(r));
    bool own = am_recipe_learns_rows(r->root);
    AM_TRY(check_model_type(r, own));
    AM_TRY(check_missing(r));
    AM_TRY(check_labels(r, own));
    return own ? check_no_target(r) : AM_OK;
}

enum am_rc am_recipe_check_rules(const struct am_node *resolved,
                                 const struct am_recipe_origin *origin, struct am_err *err)
{
    char where[256];
    struct rules r = {resolved, origin, err};
    const struct am_node *source = am_node_path(resolved, "data.source");
    struct am_str name = am_node_str(resolved, "name", "model");
    if (!source || (source->kind == AM_NODE_LIST && source->list.n == 0))
        return contradiction(
            &r, "data", "the recipe names no data",
            "Add `data: {source: FILE}`: a file, glob, dataset name or SQL query.");
    if (!am_name_valid(name)) {
        am_fail(err, AM_EUSAGE, "%s: \"name\" is \"%.*s\", which is not a name",
                where_of(&r, "name", where, sizeof where), AM_FMT(name));
        am_hint(err, "Use 1 to 128 letters, digits, dots, dashes and underscores, not starting "
                     "with a dot or dash.");
        return AM_EUSAGE;
    }
    if (am_node_i64(resolved, "version", 1) != 1)
        return contradiction(&r, "version", "this program reads recipes of \"version\" 1 only",
                             "Update AI Mass, or write version: 1.");
    AM_TRY(check_task(&r));
    AM_TRY(check_split(&r));
    AM_TRY(check_roles(&r));
    if (truthy_map(am_node_path(resolved, "train.early_stopping")) &&
        validation_share(resolved) <= 0)
        return contradiction(&r, "train.early_stopping", "early stopping needs validation rows",
                             "Give data.split.validation a share, or leave early stopping out.");
    if (am_node_path(resolved, "evaluate.threshold.maximize") && validation_share(resolved) <= 0)
        return contradiction(&r, "evaluate.threshold", "a chosen threshold needs validation rows",
                             "Give data.split.validation a share, or set a number.");
    if (am_node_path(resolved, "evaluate.retry") && !am_node_path(resolved, "evaluate.accept"))
        return contradiction(&r, "evaluate.retry",
                             "evaluate.retry is given without evaluate.accept",
                             "Say what must be reached, for example `accept: roc_auc >= 0.95`.");
    return AM_OK;
}

/* ---- against the data ---- */

static enum am_rc column_must_exist(const struct am_schema *schema,
                                    const struct am_recipe_origin *origin, struct am_str name,
                                    const char *key, const struct am_node *at, struct am_err *err)
{
    char where[256];
    if (am_schema_find(schema, name) != SIZE_MAX)
        return AM_OK;
    am_recipe_where(at, origin, where, sizeof where);
    size_t best = SIZE_MAX;
    unsigned best_d = 1 + (unsigned)(name.len / 3);
    for (size_t i = 0; i < schema->n; i++) {
        unsigned d = am_str_distance(name, schema->columns[i].name);
        if (d <= best_d && (best == SIZE_MAX || d < best_d)) {
            best_d = d;
            best = i;
        }
    }
    am_fail(err, AM_EUSAGE, "%s: \"%s\" names column \"%.*s\", which the data does not have", where,
            key, AM_FMT(name));
    if (best != SIZE_MAX) {
        am_hint(err, "Did you mean \"%.*s\"?", AM_FMT(schema->columns[best].name));
    } else {
        struct am_buf list;
        am_buf_init(&list, AM_ERR_HINT_BYTES / 2);
        for (size_t i = 0; i < schema->n && i < 12; i++)
            am_buf_printf(&list, "%s%.*s", i ? ", " : "", AM_FMT(schema->columns[i].name));
        am_hint(err, "Its columns are: %.*s%s.", AM_FMT(am_buf_view(&list)),
                schema->n > 12 ? ", ..." : "");
        am_buf_clear(&list);
    }
    return AM_EUSAGE;
}

static enum am_rc columns_of_list(const struct am_schema *schema,
                                  const struct am_recipe_origin *origin, const struct am_node *list,
                                  const char *key, struct am_err *err)
{
    struct am_str s;
    if (list && am_node_as_str(list, &s))
        return column_must_exist(schema, origin, s, key, list, err);
    for (size_t i = 0; list && list->kind == AM_NODE_LIST && i < list->list.n; i++)
        if (am_node_as_str(list->list.items[i], &s))
            AM_TRY(column_must_exist(schema, origin, s, key, list->list.items[i], err));
    return AM_OK;
}

static enum am_rc columns_of_keys(const struct am_schema *schema,
                                  const struct am_recipe_origin *origin, const struct am_node *map,
                                  const char *key, const char *const *reserved, struct am_err *err)
{
    for (size_t i = 0; map && map->kind == AM_NODE_MAP && i < map->map.n; i++) {
        const struct am_pair *p = &map->map.pairs[i];
        bool skip = false;
        for (size_t k = 0; reserved && reserved[k]; k++)
            skip = skip || am_str_is(p->key, reserved[k]);
        if (!skip) {
            struct am_node at =
                p->line ? (struct am_node){.line = p->line, .column = p->column} : *p->value;
            AM_TRY(column_must_exist(schema, origin, p->key, key, &at, err));
        }
    }
    return AM_OK;
}

enum am_rc am_recipe_check_columns(const struct am_recipe *r, const struct am_schema *schema,
                                   struct am_err *err)
{
    static const char *const lists[] = {"data.target",
                                        "data.id",
                                        "data.near_duplicates.columns",
                                        "features.only",
                                        "features.drop",
                                        "data.split.group",
                                        "data.split.time",
                                        "data.split.hash",
                                        "data.shards.key",
                                        "data.split.column",
                                        "evaluate.folds.group",
                                        "evaluate.folds.time",
                                        "tune.folds.group",
                                        "tune.folds.time"};
    static const char *const reserved[] = {"only", "drop", "default", "select", "derived", NULL};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        AM_TRY(columns_of_list(schema, &r->origin, am_node_path(r->resolved, lists[i]), lists[i],
                               err));
    AM_TRY(columns_of_keys(schema, &r->origin, am_node_path(r->resolved, "data.types"),
                           "data.types", NULL, err));
    AM_TRY(columns_of_keys(schema, &r->origin, am_node_path(r->resolved, "data.clean.columns"),
                           "data.clean.columns", NULL, err));
    return columns_of_keys(schema, &r->origin, am_node_get(r->resolved, "features"), "features",
                           reserved, err);
}
