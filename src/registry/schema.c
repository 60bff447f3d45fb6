/* The tables of the registry: data for store/records.h.
 *
 * Bytes are referred to by `file` rows only (kind dataset, run, checkpoint or version), so that
 * garbage collection looks in one place. tag, metric_last and file hang on (kind, ref): ref is the
 * run's or version's id, the model's or experiment's name, the dataset's row id. Changes: add
 * tables or columns with `since` = the new version, and raise AM_REGISTRY_SCHEMA_VERSION. */
#include "registry/registry_int.h"

#define N(a) (sizeof(a) / sizeof *(a))
#define TEXT(n)                                                                                    \
    {                                                                                              \
        n, AM_COL_TEXT, false, 0                                                                   \
    }
#define TEXT_REQ(n)                                                                                \
    {                                                                                              \
        n, AM_COL_TEXT, true, 0                                                                    \
    }
#define INT(n)                                                                                     \
    {                                                                                              \
        n, AM_COL_INT, false, 0                                                                    \
    }
#define INT_REQ(n)                                                                                 \
    {                                                                                              \
        n, AM_COL_INT, true, 0                                                                     \
    }
#define REAL(n)                                                                                    \
    {                                                                                              \
        n, AM_COL_REAL, false, 0                                                                   \
    }

static const struct am_records_column experiment[] = {TEXT_REQ("name")};
static const struct am_records_column run[] = {
    TEXT_REQ("id"),        TEXT_REQ("name"),     TEXT_REQ("experiment"), TEXT_REQ("state"),
    INT_REQ("started_us"), INT("ended_us"),      REAL("seconds"),        TEXT("dataset"),
    INT("seed"),           TEXT("commit_id"),    TEXT("profile"),        TEXT("parent"),
    TEXT("recipe"),        TEXT("recipe_given"), TEXT("environment"),    TEXT("error"),
};
static const struct am_records_column param[] = {TEXT_REQ("run"), TEXT_REQ("key"),
                                                 TEXT_REQ("value"), REAL("number")};
static const struct am_records_column metric[] = {TEXT_REQ("run"), TEXT_REQ("key"), INT_REQ("step"),
                                                  INT_REQ("at_us"), REAL("value")};
static const struct am_records_column metric_last[] = {
    TEXT_REQ("kind"), TEXT_REQ("ref"), TEXT_REQ("key"), REAL("value"), INT("step"), INT("at_us"),
};
static const struct am_records_column run_log[] = {TEXT_REQ("run"), TEXT_REQ("text")};
/* body: what a trial of the run's search tried and gave; JSON of the pipeline's */
static const struct am_records_column trial[] = {TEXT_REQ("run"), INT_REQ("study"),
                                                 INT_REQ("number"), TEXT_REQ("body")};
static const struct am_records_column tag[] = {TEXT_REQ("kind"), TEXT_REQ("ref"), TEXT_REQ("key"),
                                               TEXT_REQ("value")};
static const struct am_records_column file[] = {
    TEXT_REQ("kind"), TEXT_REQ("ref"), TEXT_REQ("name"), TEXT_REQ("blob"),
    INT_REQ("bytes"), TEXT("media"),   INT("step"),
};
static const struct am_records_column dataset_name[] = {TEXT_REQ("name"), INT_REQ("last_version")};
static const struct am_records_column dataset[] = {
    TEXT_REQ("id"),   TEXT_REQ("name"), INT_REQ("number"), TEXT_REQ("hash"), INT_REQ("n_rows"),
    INT_REQ("bytes"), TEXT("source"),   TEXT("schema"),    TEXT("profile"),
};
static const struct am_records_column model[] = {TEXT_REQ("name"), INT_REQ("last_version")};
static const struct am_records_column version[] = {
    TEXT_REQ("id"), TEXT_REQ("model"), INT_REQ("number"), TEXT_REQ("package"), INT_REQ("bytes"),
    TEXT("run"),    TEXT("dataset"),   TEXT("task"),      TEXT("lineage"),     TEXT("manifest"),
};
static const struct am_records_column alias[] = {TEXT_REQ("id"), TEXT_REQ("model"),
                                                 TEXT_REQ("name"), INT_REQ("version")};
static const struct am_records_column alias_event[] = {
    TEXT_REQ("id"),     TEXT_REQ("alias"), TEXT_REQ("model"), TEXT_REQ("name"),
    TEXT_REQ("action"), INT("before"),     INT("after"),      INT_REQ("undone"),
};
static const struct am_records_column idempotency[] = {TEXT_REQ("key"), TEXT_REQ("request"),
                                                       TEXT_REQ("kind"), TEXT_REQ("ref")};
static const struct am_records_column garbage[] = {TEXT_REQ("blob"), INT_REQ("since_us")};

#define TABLE(t, u, nu, i, ni)                                                                     \
    {                                                                                              \
        .name = #t, .columns = t, .n_columns = N(t), .unique = u, .n_unique = nu, .indexes = i,    \
        .n_indexes = ni                                                                            \
    }

static const char *const by_name[] = {"name"};
static const char *const by_id[] = {"id"};
static const char *const by_key[] = {"key"};
static const char *const by_blob[] = {"blob"};
static const char *const by_run[] = {"run"};
static const char *const run_indexes[] = {"experiment", "state", "dataset", "parent"};
static const char *const param_keys[] = {"run,key"};
static const char *const metric_keys[] = {"run,key,step,at_us"};
static const char *const trial_keys[] = {"run,study,number"};
static const char *const ref_keys[] = {"kind,ref,key"};
static const char *const file_keys[] = {"kind,ref,name"};
static const char *const dataset_keys[] = {"id", "name,number", "name,hash"};
static const char *const dataset_indexes[] = {"hash"};
static const char *const version_keys[] = {"id", "model,number"};
static const char *const version_indexes[] = {"run", "dataset"};
static const char *const by_model[] = {"model"};
static const char *const by_alias[] = {"alias"};

static const struct am_records_table tables[] = {
    TABLE(experiment, by_name, 1, NULL, 0),
    TABLE(run, by_id, 1, run_indexes, N(run_indexes)),
    TABLE(param, param_keys, 1, NULL, 0),
    TABLE(metric, metric_keys, 1, NULL, 0),
    TABLE(metric_last, ref_keys, 1, NULL, 0),
    TABLE(run_log, NULL, 0, by_run, 1),
    TABLE(tag, ref_keys, 1, NULL, 0),
    TABLE(file, file_keys, 1, by_blob, 1),
    TABLE(dataset_name, by_name, 1, NULL, 0),
    TABLE(dataset, dataset_keys, N(dataset_keys), dataset_indexes, 1),
    TABLE(model, by_name, 1, NULL, 0),
    TABLE(version, version_keys, N(version_keys), version_indexes, N(version_indexes)),
    TABLE(alias, by_id, 1, by_model, 1),
    TABLE(alias_event, by_id, 1, by_alias, 1),
    TABLE(idempotency, by_key, 1, NULL, 0),
    TABLE(garbage, by_blob, 1, NULL, 0),
    {.name = "trial",
     .columns = trial,
     .n_columns = N(trial),
     .unique = trial_keys,
     .n_unique = 1,
     .since = 2},
};

const struct am_records_schema am_registry_schema = {tables, N(tables), AM_REGISTRY_SCHEMA_VERSION};

/* ---- what filters may name ---- */

static const struct am_computed of_model[] = {
    {AM_AGGREGATE_COUNT, "version", NULL, "model", "name"},
    {AM_AGGREGATE_MAX, "version", "number", "model", "name"},
    {AM_AGGREGATE_COUNT, "alias", NULL, "model", "name"},
};
static const struct am_computed of_experiment[] = {
    {AM_AGGREGATE_COUNT, "run", NULL, "experiment", "name"},
};
/* A model whose versions were all removed keeps its row, for its history and its next number, but
 * is in no list. */
static const struct am_cond has_versions = {
    .kind = AM_COND_EXISTS, .table = "version", .inner = "model", .outer = "name"};

static const struct am_attribute run_attributes[] = {
    {"run", "id", AM_ATTR_TEXT, NULL},
    {"name", "name", AM_ATTR_TEXT, NULL},
    {"experiment", "experiment", AM_ATTR_TEXT, NULL},
    {"state", "state", AM_ATTR_TEXT, NULL},
    {"started", "started_us", AM_ATTR_TIME, NULL},
    {"ended", "ended_us", AM_ATTR_TIME, NULL},
    {"seconds", "seconds", AM_ATTR_NUMBER, NULL},
    {"dataset", "dataset", AM_ATTR_TEXT, NULL},
    {"seed", "seed", AM_ATTR_NUMBER, NULL},
    {"git_commit", "commit_id", AM_ATTR_TEXT, NULL},
    {"profile", "profile", AM_ATTR_TEXT, NULL},
    {"owner", "owner", AM_ATTR_TEXT, NULL},
    {"parent", "parent", AM_ATTR_TEXT, NULL},
    {"error", "error", AM_ATTR_TEXT, NULL},
};
static const struct am_attribute model_attributes[] = {
    {"model", "name", AM_ATTR_TEXT, NULL},
    {"created", "created_us", AM_ATTR_TIME, NULL},
    {"updated", "updated_us", AM_ATTR_TIME, NULL},
    {"owner", "owner", AM_ATTR_TEXT, NULL},
    {"versions", NULL, AM_ATTR_NUMBER, &of_model[0]},
    {"latest", NULL, AM_ATTR_NUMBER, &of_model[1]},
    {"aliases", NULL, AM_ATTR_NUMBER, &of_model[2]},
};
static const struct am_attribute version_attributes[] = {
    {"model", "model", AM_ATTR_TEXT, NULL},        {"version", "number", AM_ATTR_NUMBER, NULL},
    {"created", "created_us", AM_ATTR_TIME, NULL}, {"run", "run", AM_ATTR_TEXT, NULL},
    {"dataset", "dataset", AM_ATTR_TEXT, NULL},    {"task", "task", AM_ATTR_TEXT, NULL},
    {"package", "package", AM_ATTR_TEXT, NULL},    {"bytes", "bytes", AM_ATTR_NUMBER, NULL},
    {"owner", "owner", AM_ATTR_TEXT, NULL},
};
static const struct am_attribute dataset_attributes[] = {
    {"dataset", "hash", AM_ATTR_TEXT, NULL},     {"name", "name", AM_ATTR_TEXT, NULL},
    {"version", "number", AM_ATTR_NUMBER, NULL}, {"rows", "n_rows", AM_ATTR_NUMBER, NULL},
    {"bytes", "bytes", AM_ATTR_NUMBER, NULL},    {"created", "created_us", AM_ATTR_TIME, NULL},
    {"source", "source", AM_ATTR_TEXT, NULL},    {"owner", "owner", AM_ATTR_TEXT, NULL},
};
static const struct am_attribute experiment_attributes[] = {
    {"experiment", "name", AM_ATTR_TEXT, NULL},
    {"created", "created_us", AM_ATTR_TIME, NULL},
    {"owner", "owner", AM_ATTR_TEXT, NULL},
    {"runs", NULL, AM_ATTR_NUMBER, &of_experiment[0]},
};

#define ATTRIBUTES(a) .attributes = (a), .n_attributes = N(a)

const struct am_entity am_registry_entities[] = {
    [AM_KIND_DATASET] = {"dataset", "dataset", "id", ATTRIBUTES(dataset_attributes)},
    [AM_KIND_RUN] = {"run", "run", "id", ATTRIBUTES(run_attributes), .has_params = true,
                     .has_metrics = true},
    [AM_KIND_MODEL] = {"model", "model", "name", ATTRIBUTES(model_attributes),
                       .listed = &has_versions, .computed = of_model, .n_computed = 2},
    [AM_KIND_VERSION] = {"version", "version", "id", ATTRIBUTES(version_attributes),
                         .has_metrics = true},
    [AM_KIND_EXPERIMENT] = {"experiment", "experiment", "name", ATTRIBUTES(experiment_attributes),
                            .computed = of_experiment, .n_computed = 1},
};
