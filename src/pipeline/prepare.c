/* The phases of prepare.h: dataset, rows, features. Every statistic that enters a model comes from
 * the training rows, in dataset order; classes of the target from all kept rows, so that a test row
 * never holds a label without a name. One thread. */
#include "pipeline/prepare.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/log.h"
#include "data/cache.h"
#include "pipeline/recipe_int.h"
#include "registry/registry.h"

/* Every phase reads the rows again: from memory where they fit into this part of it. */
#define CACHE_SHARE 8

const char *am_pipeline_scratch(const struct am_pipeline *p)
{
    return p->scratch ? p->scratch : am_registry_scratch(p->registry);
}

/* ---- dataset ---- */

static enum am_rc texts_of(struct am_arena *a, const struct am_node *n, struct am_str **out,
                           size_t *n_out, struct am_err *err)
{
    struct am_str s;
    *out = NULL;
    *n_out = 0;
    if (!n || am_node_is_null(n))
        return AM_OK;
    size_t k = n->kind == AM_NODE_LIST ? n->list.n : 1;
    struct am_str *list = am_arena_array(a, k + 1, sizeof *list);
    AM_TRY(am_arena_check(a, err));
    for (size_t i = 0; i < k; i++)
        if (am_node_as_str(n->kind == AM_NODE_LIST ? n->list.items[i] : n, &s))
            list[(*n_out)++] = s;
    *out = list;
    return AM_OK;
}

/* A name for the dataset of a source: the file's name without folder and endings. */
static struct am_str dataset_name(struct am_arena *a, struct am_str spec)
{
    struct am_buf b;
    size_t from = 0, n;
    if (am_source_kind(spec) == AM_SOURCE_SQL)
        return AM_STR("query");
    while (spec.len > 1 && spec.ptr[spec.len - 1] == '/') /* a folder */
        spec.len--;
    for (size_t i = 0; i < spec.len; i++)
        if (spec.ptr[i] == '/')
            from = i + 1;
    n = from;
    while (n < spec.len && spec.ptr[n] != '.')
        n++;
    am_buf_init(&b, AM_LIMIT_NAME_BYTES + 8);
    for (size_t i = from; i < n && b.len < 100; i++) {
        char c = spec.ptr[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-';
        if (ok && (b.len || c != '-'))
            am_buf_char(&b, c);
        else if (!ok && b.len)
            am_buf_char(&b, '_');
    }
    if (b.len == 0)
        am_buf_cstr(&b, "dataset");
    struct am_str name = am_arena_str(a, am_buf_view(&b));
    am_buf_clear(&b);
    return name;
}

/* Files and schema of a registered dataset. */
static enum am_rc open_registered(struct am_prepared *p, const char *ref, struct am_err *err)
{
    struct am_node *d, *files, *schema;
    if (p->pl->dataset)
        d = am_node_copy(p->arena, p->pl->dataset);
    else
        AM_TRY(am_registry_dataset_get(p->pl->registry, p->arena, ref, &d, err));
    p->hash = am_node_str(d, "dataset", "");
    p->dataset = am_arena_printf(p->arena, "%.*s@%lld", AM_FMT(am_node_str(d, "name", "")),
                                 (long long)am_node_i64(d, "version", 0));
    files = am_node_get(d, "files");
    schema = am_node_get(d, "schema");
    p->profile = am_node_get(d, "profile");
    AM_TRY(am_dataset_schema_from_node(schema, p->arena, &p->dataset_schema, err));
    struct am_str *parts = am_arena_array(p->arena, files ? files->list.n + 1 : 1, sizeof *parts);
    AM_TRY(am_arena_check(p->arena, err));
    p->files = (struct am_dataset_files){.parts = parts, .schema = &p->dataset_schema};
    for (size_t i = 0; files && i < files->list.n; i++)
        if (am_str_ends(am_node_str(files->list.items[i], "name", ""), AM_STR(".parquet")))
            parts[p->files.n_parts++] = am_node_str(files->list.items[i], "path", "");
    return AM_OK;
}

static enum am_rc declared_types(struct am_prepared *p, const struct am_node *types,
                                 struct am_import_options *o, struct am_err *err)
{
    size_t n = types && types->kind == AM_NODE_MAP ? types->map.n : 0;
    struct am_declared_type *list = am_arena_array(p->arena, n + 1, sizeof *list);
    AM_TRY(am_arena_check(p->arena, err));
    for (size_t i = 0; i < n; i++) {
        struct am_str s;
        list[i].name = types->map.pairs[i].key;
        if (am_node_as_str(types->map.pairs[i].value, &s))
            (void)am_col_type_parse(s, &list[i].type);
    }
    o->types = list;
    o->n_types = n;
    return AM_OK;
}

/* features.COLUMN.type declares a type as data.types.COLUMN does. */
static struct am_node *merged_types(struct am_prepared *p, const struct am_node *data)
{
    struct am_node *out = am_new_map(p->arena);
    const struct am_node *types = am_node_get(data, "types");
    const struct am_node *features =
        p->recipe.resolved ? am_node_get(p->recipe.resolved, "features") : NULL;
    for (size_t i = 0; types && i < types->map.n; i++)
        am_node_set_str(p->arena, out, types->map.pairs[i].key, types->map.pairs[i].value);
    for (size_t i = 0; features && features->kind == AM_NODE_MAP && i < features->map.n; i++) {
        struct am_node *t = am_node_get(features->map.pairs[i].value, "type");
        if (t && !am_str_is(features->map.pairs[i].key, "default"))
            am_node_set_str(p->arena, out, features->map.pairs[i].key, t);
    }
    return out;
}

static char first_char(struct am_str s)
{
    return s.len ? s.ptr[0] : 0;
}

static enum am_rc source_options(struct am_prepared *p, const struct am_node *data,
                                 const char *base_dir, struct am_source_options *o,
                                 struct am_err *err)
{
    const struct am_node *csv = am_node_get(data, "csv");
    struct am_str *specs, *nulls;
    bool header;
    AM_TRY(texts_of(p->arena, am_node_get(data, "source"), &specs, &o->n_specs, err));
    AM_TRY(texts_of(p->arena, am_node_get(csv, "null"), &nulls, &o->csv.n_nulls, err));
    o->specs = specs;
    o->base_dir = base_dir;
    o->temp_dir = am_registry_scratch(p->pl->registry);
    o->pool = p->pl->pool;
    (void)am_encoding_parse(am_node_str(data, "encoding", "auto"), &o->encoding);
    o->pattern = am_node_str(data, "pattern", NULL);
    o->csv.nulls = nulls;
    o->csv.delimiter = first_char(am_node_str(csv, "delimiter", ""));
    o->csv.quote = first_char(am_node_str(csv, "quote", ""));
    if (am_node_as_bool(am_node_get(csv, "header"), &header))
        o->csv.header = header ? AM_CSV_HEADER_YES : AM_CSV_HEADER_NO;
    return AM_OK;
}

/* The same values may have been registered with a text called a category, or the other way round:
 * what this recipe says holds. */
static void keep_types(struct am_prepared *p, const struct am_dataset_schema *now)
{
    for (size_t i = 0; i < now->n && i < p->dataset_schema.n; i++) {
        struct am_schema_column *c = &p->dataset_schema.columns[i];
        enum am_col_type type = now->columns[i].type;
        bool both = (type == AM_COL_TEXT || type == AM_COL_CATEGORY) &&
                    (c->type == AM_COL_TEXT || c->type == AM_COL_CATEGORY);
        if (both && am_str_eq(c->name, now->columns[i].name))
            c->type = type;
    }
}

static enum am_rc register_dataset(struct am_prepared *p, const char *dir, struct am_str spec,
                                   const struct am_dataset_info *info, struct am_err *err)
{
    static const char *const names[][2] = {{"part-0000.parquet", "application/vnd.apache.parquet"},
                                           {"schema.json", "application/json"},
                                           {"profile.json", "application/json"}};
    struct am_registry_file files[3];
    struct am_node *out;
    struct am_str name = dataset_name(p->arena, spec);
    for (size_t i = 0; i < 3; i++)
        files[i] = (struct am_registry_file){
            .name = names[i][0],
            .path = am_arena_printf(p->arena, "%s/%s", dir, names[i][0]).ptr,
            .media = names[i][1],
            .take = true,
            .sha256 = i == 0 ? info->part_hash : NULL};
    struct am_dataset_spec d = {.name = name.ptr,
                                .hash = info->hash.ptr,
                                .source = am_arena_str(p->arena, spec).ptr,
                                .n_rows = info->schema.n_rows,
                                .schema = am_dataset_schema_to_node(&info->schema, p->arena),
                                .profile = info->profile,
                                .files = files,
                                .n_files = 3};
    AM_TRY(am_arena_check(p->arena, err));
    p->hash = info->hash;
    AM_TRY(am_registry_dataset_add(p->pl->registry, p->arena, &d, &out, err));
    (void)am_node_as_bool(am_node_get(out, "new"), &p->fresh);
    p->dataset =
        am_arena_printf(p->arena, "%s@%lld", d.name, (long long)am_node_i64(out, "version", 0));
    AM_TRY(am_arena_check(p->arena, err));
    AM_TRY(open_registered(p, p->dataset.ptr, err));
    keep_types(p, &info->schema);
    return AM_OK;
}

static enum am_rc import_source(struct am_prepared *p, const struct am_node *data,
                                struct am_str target, const char *base_dir, struct am_err *err)
{
    struct am_import_options o = {.target = target,
                                  .progress = p->pl->progress,
                                  .cache_bytes = p->pl->memory_limit_bytes / CACHE_SHARE};
    struct am_dataset_info info = {0};
    char dir[4096];
    if (snprintf(dir, sizeof dir, "%s/import", am_registry_scratch(p->pl->registry)) >=
        (int)sizeof dir)
        return am_fail(err, AM_ELIMIT, "the workspace's path is too long");
    if (target.len == 0)
        o.target = (struct am_str){NULL, 0};
    AM_TRY(source_options(p, data, base_dir, &o.source, err));
    AM_TRY(declared_types(p, merged_types(p, data), &o, err));
    AM_TRY(am_clean_lenient(am_node_get(data, "clean"), p->arena, &o.lenient, &o.n_lenient, err));
    if (am_fs_exists(dir))
        AM_TRY(am_fs_remove_tree(dir, err));
    enum am_rc rc = am_dataset_import(p->tables, p->arena, &o, dir, &info, err);
    if (rc == AM_OK) {
        p->import_report = info.report;
        p->raw = info.rows;
        rc = register_dataset(p, dir, o.source.specs[0], &info, err);
    }
    enum am_rc gone = am_fs_exists(dir) ? am_fs_remove_tree(dir, rc == AM_OK ? err : NULL) : AM_OK;
    return rc == AM_OK ? gone : rc;
}

/* A folder or file without an ending beside the recipe, not the name of a dataset. */
static bool stands_beside(const char *base_dir, struct am_str spec)
{
    char path[4096];
    int n = base_dir ? snprintf(path, sizeof path, "%s/%.*s", base_dir, AM_FMT(spec)) : 0;
    return n > 0 && (size_t)n < sizeof path && am_fs_exists(path);
}

enum am_rc am_prepare_dataset(struct am_prepared *p, const struct am_node *data,
                              struct am_str target, const char *base_dir, const char *dataset_hash,
                              struct am_err *err)
{
    struct am_str spec;
    AM_TRY(p->pl->tables(p->pl->tables_ctx, &p->tables, err));
    if (dataset_hash) {
        AM_TRY(open_registered(p, dataset_hash, err));
    } else if (am_node_as_str(am_node_get(data, "source"), &spec) &&
               am_source_kind(spec) == AM_SOURCE_NAME && !stands_beside(base_dir, spec)) {
        struct am_str ref = am_arena_str(p->arena, spec);
        AM_TRY(am_arena_check(p->arena, err));
        enum am_rc rc = open_registered(p, ref.ptr, err);
        if (rc == AM_ENOTFOUND)
            am_hint(
                err,
                "\"%s\" is neither a file here nor a dataset; `aimass datasets` lists datasets.",
                ref.ptr);
        if (rc != AM_OK)
            return rc;
    } else {
        AM_TRY(import_source(p, data, target, base_dir, err));
    }
    p->schema = am_schema_of(&p->dataset_schema, p->arena);
    AM_TRY(am_arena_check(p->arena, err));
    p->n_rows = p->dataset_schema.n_rows;
    if (p->raw.ops)
        return AM_OK;
    bool cached;
    AM_TRY(am_dataset_open(p->tables, &p->files, &p->raw, err));
    return am_table_cache(&p->raw, p->pl->memory_limit_bytes / CACHE_SHARE, &cached, err);
}

static enum am_rc parse_sets(struct am_arena *a, const struct am_recipe_source *src,
                             struct am_recipe_set **out, struct am_err *err)
{
    struct am_recipe_set *sets = am_arena_array(a, src->n_sets + 1, sizeof *sets);
    AM_TRY(am_arena_check(a, err));
    for (size_t i = 0; i < src->n_sets; i++) {
        const char *eq = strchr(src->sets[i], '=');
        if (!eq || eq == src->sets[i]) {
            am_fail(err, AM_EUSAGE, "cannot understand --set \"%s\"", src->sets[i]);
            am_hint(err, "Write --set PATH=VALUE, for example --set train.epochs=5.");
            return AM_EUSAGE;
        }
        sets[i].path = (struct am_str){src->sets[i], (size_t)(eq - src->sets[i])};
        sets[i].value = am_str(eq + 1);
    }
    *out = sets;
    return AM_OK;
}

/* Columns that say where a row came from count as ids: no features, not compared. */
static enum am_rc add_asides(struct am_prepared *p, struct am_str target, struct am_err *err)
{
    const struct am_dataset_schema *s = &p->dataset_schema;
    struct am_str *ids = am_arena_array(p->arena, p->n_ids + s->n + 2, sizeof *ids);
    AM_TRY(am_arena_check(p->arena, err));
    if (p->n_ids)
        memcpy(ids, p->ids, p->n_ids * sizeof *ids);
    p->ids = ids;
    for (size_t i = 0; i < s->n; i++) {
        bool known = !s->columns[i].aside || am_str_eq(s->columns[i].name, target);
        for (size_t k = 0; k < p->n_ids && !known; k++)
            known = am_str_eq(ids[k], s->columns[i].name);
        if (!known)
            ids[p->n_ids++] = s->columns[i].name;
    }
    return AM_OK;
}

/* Said before cleaning would drop every row for it. */
static enum am_rc some_target(const struct am_prepared *p, struct am_str target, struct am_err *err)
{
    const struct am_node *columns = am_node_get(p->profile, "columns");
    for (size_t i = 0; columns && i < columns->list.n; i++) {
        const struct am_node *c = columns->list.items[i];
        if (!am_str_eq(am_node_str(c, "name", ""), target) ||
            (uint64_t)am_node_i64(c, "missing", 0) < p->n_rows)
            continue;
        am_fail(err, AM_EINVAL, "target \"%.*s\" is missing in every row", AM_FMT(target));
        am_hint(err, "Choose another target, or give rows that have it.");
        return AM_EINVAL;
    }
    return AM_OK;
}

/* data.weight: a column of numbers that is nothing else. It stands last among the ids, so that no
 * feature is made of it. */
static enum am_rc find_weight(struct am_prepared *p, const struct am_node *data,
                              struct am_str target, struct am_err *err)
{
    const struct am_node *given = am_node_get(data, "weight");
    struct am_str name;
    char where[256];
    p->weight_column = SIZE_MAX;
    if (!am_node_as_str(given, &name) || name.len == 0)
        return AM_OK;
    am_recipe_where(given, &p->recipe.origin, where, sizeof where);
    const size_t at = am_schema_find(p->schema, name);
    if (at == SIZE_MAX) {
        am_fail(err, AM_EUSAGE, "%s: data.weight names \"%.*s\", which is no column", where,
                AM_FMT(name));
        am_hint(err, "Name a column of the data.");
        return AM_EUSAGE;
    }
    bool taken = am_str_eq(name, target);
    for (size_t k = 0; k < p->n_ids; k++)
        taken = taken || am_str_eq(name, p->ids[k]);
    if (taken) {
        am_fail(err, AM_EUSAGE, "%s: column \"%.*s\" cannot be weight and target or id at once",
                where, AM_FMT(name));
        am_hint(err, "Name another column in data.weight, or leave it out.");
        return AM_EUSAGE;
    }
    const enum am_col_type type = p->schema->columns[at].type;
    if (type != AM_COL_NUMBER && type != AM_COL_BOOLEAN) {
        am_fail(err, AM_EUSAGE, "%s: the weight column \"%.*s\" holds %s, not numbers", where,
                AM_FMT(name), am_col_type_name(type));
        am_hint(err, "Name a column of numbers, 0 or more.");
        return AM_EUSAGE;
    }
    p->weight_column = at;
    p->ids[p->n_ids++] = name;
    return AM_OK;
}

enum am_rc am_prepare_data(struct am_prepared *p, struct am_pipeline *pl, struct am_arena *a,
                           const struct am_recipe_source *src, const char *dataset_hash,
                           struct am_err *err)
{
    struct am_recipe_set *sets;
    const struct am_node *data, *source;
    struct am_str spec = {"", 0}, target;
    memset(p, 0, sizeof *p);
    p->pl = pl;
    p->arena = a;
    AM_TRY(parse_sets(a, src, &sets, err));
    AM_TRY(am_recipe_load(a, src->text, src->what, sets, src->n_sets, &p->recipe, err));
    data = am_node_get(p->recipe.resolved, "data");
    source = am_node_get(data, "source");
    target = am_node_str(data, "target", "");
    if (target.len == 0 && !am_recipe_learns_rows(p->recipe.resolved)) {
        am_fail(err, AM_EUSAGE, "%s: the recipe names no column to predict", src->what);
        am_hint(err, "Add `target: COLUMN` under `data`; or `task: anomaly` or `task: embedding`, "
                     "which need none.");
        return AM_EUSAGE;
    }
    p->foreign = src->foreign;
    p->base_dir = src->base_dir ? am_arena_str(a, am_str(src->base_dir)).ptr : NULL;
    AM_TRY(am_prepare_dataset(p, data, target, src->base_dir, dataset_hash, err));
    if (!am_node_as_str(source, &spec) && source && source->kind == AM_NODE_LIST)
        (void)am_node_as_str(source->list.items[0], &spec);
    p->name = am_node_str(p->recipe.resolved, "name", "");
    if (p->name.len == 0) {
        p->name = dataset_name(a, spec);
        am_node_set(a, p->recipe.resolved, "name", am_new_str(a, p->name));
    }
    AM_TRY(texts_of(a, am_node_get(data, "id"), &p->ids, &p->n_ids, err));
    AM_TRY(add_asides(p, target, err));
    AM_TRY(am_recipe_check_columns(&p->recipe, p->schema, err));
    AM_TRY(find_weight(p, data, target, err));
    p->target_column = SIZE_MAX;
    if (target.len == 0)
        return AM_OK;
    AM_TRY(am_target_column(p->schema, target, &p->target_column, err));
    return some_target(p, target, err);
}

/* ---- rows ---- */

size_t am_prepared_columns(const struct am_prepared *p, size_t *out)
{
    memcpy(out, p->columns, p->n_columns * sizeof *out);
    out[p->n_columns] = p->target_column;
    return p->n_columns + (p->target_column != SIZE_MAX);
}

enum am_rc am_prepared_targets(const struct am_prepared *p, const struct am_batch *b, double *out,
                               struct am_err *err)
{
    if (p->target_column != SIZE_MAX)
        return am_target_encode(p->target, &b->columns[b->n_columns - 1], b->n_rows, b->first_row,
                                out, err);
    for (size_t i = 0; i < b->n_rows; i++)
        out[i] = (double)NAN;
    return AM_OK;
}

/* Reads y of a batch of prepared columns into *y, grown as needed. */
static enum am_rc encode_y(const struct am_prepared *p, const struct am_batch *b, double **y,
                           size_t *cap, struct am_err *err)
{
    if (b->n_rows > *cap) {
        double *q = am_realloc_array(*y, b->n_rows, sizeof *q);
        if (!q)
            return am_fail_nomem(err, b->n_rows * sizeof *q);
        *y = q;
        *cap = b->n_rows;
    }
    return am_prepared_targets(p, b, *y, err);
}

/* Does a cell of the target hold several labels? */
static bool several_labels(const struct am_node *data)
{
    const struct am_node *labels = am_node_get(data, "labels");
    const struct am_str task = am_node_str(data, "task", "auto");
    return am_str_is(task, "multilabel") ||
           (am_str_is(task, "auto") && labels && labels->kind == AM_NODE_MAP);
}

/* Classes (or mean) of the target over the rows of the mask. */
static enum am_rc fit_target(struct am_prepared *p, const struct am_table *t, unsigned mask,
                             enum am_target_want want, uint64_t min_rows, struct am_target **out,
                             struct am_err *err)
{
    const struct am_node *data = am_node_get(p->recipe.resolved, "data");
    const struct am_node *positive = am_node_get(data, "positive");
    struct am_target_config c = {.name = p->schema->columns[p->target_column].name,
                                 .type = p->schema->columns[p->target_column].type,
                                 .want = want,
                                 .separator =
                                     am_node_str(am_node_get(data, "labels"), "separator", ";"),
                                 .min_class_rows = min_rows};
    struct am_target_fit *fit = NULL;
    struct am_table view = {NULL, NULL};
    struct am_table_iter *it = NULL;
    const struct am_batch *b;
    struct am_buf text;
    enum am_rc rc;
    am_buf_init(&text, 4096);
    if (positive && !am_node_as_str(positive, &c.positive)) {
        am_node_to_json(positive, AM_JSON_COMPACT, &text);
        c.positive = am_buf_view(&text);
    }
    AM_GO(rc, am_target_fit_new(&c, &fit, err));
    AM_GO(rc, am_rows_view(t, p->parts, p->n_rows, mask, p->pl->pool, &view, err));
    AM_GO(rc, view.ops->open(view.impl, &p->target_column, 1, &it, err));
    for (;;) {
        AM_GO(rc, view.ops->next(it, &b, err));
        if (!b)
            break;
        AM_GO(rc, am_target_fit_update(fit, &b->columns[0], b->n_rows, err));
    }
    AM_GO(rc, am_target_fit_finish(fit, out, err));
    p->task_why = am_arena_str(p->arena, am_target_fit_why(fit));
out:
    if (view.ops) {
        view.ops->close(it);
        view.ops->free(view.impl);
    }
    am_target_fit_free(fit);
    am_buf_clear(&text);
    return rc;
}

#define KEPT (AM_PART_BIT(AM_ROW_TRAIN) | AM_PART_BIT(AM_ROW_VALIDATION) | AM_PART_BIT(AM_ROW_TEST))

/* ---- models that learn rows: a target is a label, and there may be none ---- */

#define STRATIFY_ROWS 5 /* of every label, or the split is random */

/* data.normal: a label or a list of them, numbers and booleans as text. */
static enum am_rc normal_labels(struct am_prepared *p, const struct am_node *n, struct am_str **out,
                                size_t *n_out, struct am_err *err)
{
    size_t k = !n ? 0 : n->kind == AM_NODE_LIST ? n->list.n : 1;
    *out = am_arena_array(p->arena, k + 1, sizeof **out);
    *n_out = k;
    AM_TRY(am_arena_check(p->arena, err));
    for (size_t i = 0; i < k; i++) {
        const struct am_node *one = n->kind == AM_NODE_LIST ? n->list.items[i] : n;
        struct am_buf text;
        if (am_node_as_str(one, &(*out)[i]))
            continue;
        am_buf_init(&text, 4096);
        am_node_to_json(one, AM_JSON_COMPACT, &text);
        (*out)[i] = am_arena_str(p->arena, am_buf_view(&text));
        am_buf_clear(&text);
    }
    return am_arena_check(p->arena, err);
}

/* *even: are there labels enough in every row to draw the parts evenly by them? */
static enum am_rc fit_labels(struct am_prepared *p, const struct am_node *data, enum am_task task,
                             bool *even, struct am_err *err)
{
    struct am_target *classes = NULL;
    struct am_str *normal;
    size_t n_normal;
    uint64_t labelled = 0, kept = 0;
    *even = false;
    AM_TRY(normal_labels(p, am_node_get(data, "normal"), &normal, &n_normal, err));
    if (p->target_column == SIZE_MAX)
        return am_target_own(task, NULL, NULL, 0, &p->target, err);
    if (task == AM_TASK_RECOMMENDATION) {
        AM_TRY(fit_target(p, &p->raw, KEPT, AM_TARGET_REGRESSION, 1, &classes, err));
        const enum am_rc done = am_target_own(task, classes, NULL, 0, &p->target, err);
        am_target_free(classes);
        return done;
    }
    enum am_rc rc = fit_target(p, &p->raw, KEPT, AM_TARGET_CLASSIFICATION, 1, &classes, err);
    if (rc == AM_EINVAL)
        am_hint(err, "Give rows labelled as normal and as anomalies, or leave data.target out: it "
                     "only measures.");
    if (rc != AM_OK)
        return rc;
    rc = am_target_own(task, classes, normal, n_normal, &p->target, err);
    *even = true;
    for (size_t i = 0; i < am_target_n_classes(classes); i++) {
        labelled += am_target_class_rows(classes, i);
        *even = *even && am_target_class_rows(classes, i) >= STRATIFY_ROWS;
    }
    for (uint64_t i = 0; i < p->n_rows; i++)
        kept += p->parts[i] != AM_ROW_DROPPED;
    *even = *even && labelled == kept;
    am_target_free(classes);
    return rc;
}

/* data.train_on: normal. Anomalies stay in the test part, where they are measured. */
static enum am_rc drop_anomalies(struct am_prepared *p, struct am_err *err)
{
    struct am_table_iter *it = NULL;
    const struct am_batch *b;
    double *y = NULL;
    size_t cap = 0;
    enum am_rc rc;
    AM_TRY(p->raw.ops->open(p->raw.impl, &p->target_column, 1, &it, err));
    for (;;) {
        AM_GO(rc, p->raw.ops->next(it, &b, err));
        if (!b)
            break;
        AM_GO(rc, encode_y(p, b, &y, &cap, err));
        for (size_t i = 0; i < b->n_rows; i++) {
            uint8_t *part = &p->parts[b->first_row + i];
            if (y[i] > 0.5 && (*part == AM_ROW_TRAIN || *part == AM_ROW_VALIDATION))
                *part = AM_ROW_DROPPED;
        }
    }
    am_split_count(p->parts, p->n_rows, &p->counts);
    if (p->counts.n[AM_ROW_TRAIN] == 0)
        rc = am_fail(err, AM_EINVAL, "no training row is labelled normal");
out:
    p->raw.ops->close(it);
    am_free(y);
    return rc;
}

static enum am_rc split_rows(struct am_prepared *p, const struct am_node *data, enum am_task task,
                             struct am_err *err)
{
    const struct am_node *split = am_node_get(data, "split");
    bool even, labels = p->target_column != SIZE_MAX;
    AM_TRY(fit_labels(p, data, task, &even, err));
    p->task_why = am_str(am_tr("the recipe says so"));
    even = even || (labels && !am_str_is(am_node_str(split, "by", "auto"), "auto"));
    struct am_str name = {NULL, 0};
    if (labels)
        name = p->schema->columns[p->target_column].name;
    AM_TRY(am_split_spec_from_node(split, name, even, p->arena, &p->split, err));
    p->split.ignore = p->ids;
    p->split.n_ignore = p->n_ids;
    p->split.pool = p->pl->pool;
    AM_TRY(am_split_make(&p->raw, &p->split, p->parts, p->n_rows, &p->counts, err));
    return am_str_is(am_node_str(data, "train_on", "all"), "normal") ? drop_anomalies(p, err)
                                                                     : AM_OK;
}

static enum am_rc make_split(struct am_prepared *p, struct am_err *err)
{
    const struct am_node *data = am_node_get(p->recipe.resolved, "data");
    struct am_str task = am_node_str(data, "task", "auto");
    enum am_task own;
    if (am_task_parse(task, &own) && am_task_target_optional(own))
        return split_rows(p, data, own, err);
    enum am_target_want want = am_str_is(task, "regression")       ? AM_TARGET_REGRESSION
                               : am_str_is(task, "classification") ? AM_TARGET_CLASSIFICATION
                               : several_labels(data)              ? AM_TARGET_LABELS
                                                                   : AM_TARGET_AUTO;
    AM_TRY(fit_target(p, &p->raw, KEPT, want, 0, &p->target, err));
    const bool number = am_target_task(p->target) == AM_TASK_REGRESSION;
    const bool classes = am_task_has_classes(am_target_task(p->target));
    AM_TRY(am_split_spec_from_node(am_node_get(data, "split"),
                                   p->schema->columns[p->target_column].name, classes, p->arena,
                                   &p->split, err));
    p->split.ignore = p->ids;
    p->split.n_ignore = p->n_ids;
    p->split.pool = p->pl->pool;
    AM_TRY(am_split_make(&p->raw, &p->split, p->parts, p->n_rows, &p->counts, err));
    if (number) { /* mean and deviation of the training rows only */
        am_target_free(p->target);
        p->target = NULL;
        AM_TRY(fit_target(p, &p->raw, AM_PART_BIT(AM_ROW_TRAIN), AM_TARGET_REGRESSION, 0,
                          &p->target, err));
    }
    return AM_OK;
}

/* A weight of every kept row, and some weight in every part. */
static enum am_rc check_weights(const struct am_prepared *p, struct am_err *err)
{
    static const char *const parts[] = {"training", "validation", "test"};
    const struct am_str name = p->schema->columns[p->weight_column].name;
    struct am_table_iter *it = NULL;
    const struct am_batch *b;
    double sum[AM_ROW_DROPPED + 1] = {0};
    enum am_rc rc;
    AM_TRY(p->raw.ops->open(p->raw.impl, &p->weight_column, 1, &it, err));
    for (;;) {
        AM_GO(rc, p->raw.ops->next(it, &b, err));
        if (!b)
            break;
        for (size_t i = 0; i < b->n_rows; i++) {
            const double w = b->columns[0].number[i];
            const uint8_t part = p->parts[b->first_row + i];
            if (part == AM_ROW_DROPPED || (w >= 0 && isfinite(w))) {
                sum[part] += w >= 0 && isfinite(w) ? w : 0;
                continue;
            }
            rc = isnan(w) ? am_fail(err, AM_EINVAL, "row %llu: the weight \"%.*s\" is missing",
                                    (unsigned long long)(b->first_row + i + 1), AM_FMT(name))
                          : am_fail(err, AM_EINVAL, "row %llu: the weight \"%.*s\" is %g",
                                    (unsigned long long)(b->first_row + i + 1), AM_FMT(name), w);
            am_hint(err, "Give every row a weight of 0 or more, or leave data.weight out.");
            goto out;
        }
    }
    for (unsigned part = AM_ROW_TRAIN; part <= AM_ROW_TEST && rc == AM_OK; part++)
        if (p->counts.n[part] && !(sum[part] > 0)) {
            rc = am_fail(err, AM_EINVAL, "the weights \"%.*s\" of all %s rows are 0", AM_FMT(name),
                         am_tr(parts[part - AM_ROW_TRAIN]));
            am_hint(err, "Give some rows a weight above 0, or leave data.weight out.");
        }
out:
    p->raw.ops->close(it);
    return rc;
}

enum am_rc am_prepare_rows(struct am_prepared *p, struct am_err *err)
{
    const struct am_node *data = am_node_get(p->recipe.resolved, "data");
    /* a row without labels is one that has none of them */
    bool own = am_recipe_learns_rows(p->recipe.resolved) || several_labels(data);
    struct am_str target = {NULL, 0}, needed, *asides;
    if (p->target_column != SIZE_MAX)
        target = p->schema->columns[p->target_column].name;
    /* rows without a label are rows all the same: cleaning leaves that column alone */
    needed = own ? (struct am_str){NULL, 0} : target;
    asides = am_arena_array(p->arena, p->n_ids + 1, sizeof *asides);
    AM_TRY(am_arena_check(p->arena, err));
    if (p->n_ids)
        memcpy(asides, p->ids, p->n_ids * sizeof *asides);
    asides[p->n_ids] = target;
    p->parts = am_calloc(p->n_rows ? p->n_rows : 1, 1);
    if (!p->parts)
        return am_fail_nomem(err, p->n_rows);
    AM_TRY(am_sample_from_node(am_node_get(data, "sample"), p->parts, p->n_rows, err));
    AM_TRY(am_clean_new(am_node_get(data, "clean"), p->schema, needed, asides,
                        p->n_ids + (own && target.ptr), &p->clean, err));
    AM_TRY(am_clean_rows(p->clean, p->tables, &p->files, &p->raw, p->parts, p->n_rows, err));
    AM_TRY(am_near_find(p, err));
    AM_TRY(make_split(p, err));
    AM_TRY(am_near_apply(p, err));
    if (p->weight_column != SIZE_MAX)
        AM_TRY(check_weights(p, err));
    AM_TRY(am_clean_fit(p->clean, &p->raw, p->parts, p->n_rows, err));
    am_split_count(p->parts, p->n_rows, &p->counts);
    AM_TRY(am_clean_view(p->clean, &p->raw, &p->table, err));
    return am_features_select(am_node_get(p->recipe.resolved, "features"), p->schema, target,
                              p->ids, p->n_ids, p->arena, &p->columns, &p->n_columns, err);
}

/* A dataset that no run came to use goes again, so that a refused recipe and a plan leave no trace.
 * In an arena of its own: the caller's may be the one that is full. */
static void forget_dataset(struct am_prepared *p)
{
    struct am_err err = {0};
    const char *ref = p->dataset.ptr ? p->dataset.ptr : p->hash.ptr;
    if (!p->fresh || p->keep || !ref)
        return;
    p->fresh = false;
    struct am_arena *a = am_arena_new(0);
    enum am_rc rc = a ? am_registry_dataset_withdraw(p->pl->registry, a, ref, &err)
                      : am_fail_nomem(&err, sizeof(void *));
    if (rc != AM_OK && rc != AM_ECONFLICT)
        am_log_err(AM_LOG_WARN, "pipeline", &err);
    am_arena_free(a);
}

void am_prepared_clear(struct am_prepared *p)
{
    forget_dataset(p);
    if (p->table.ops)
        p->table.ops->free(p->table.impl);
    if (p->raw.ops)
        p->raw.ops->free(p->raw.impl);
    am_clean_free(p->clean);
    am_target_free(p->target);
    am_free(p->parts);
    am_near_free(p->near);
    memset(p, 0, sizeof *p);
}

/* ---- features ---- */

/* Cleaning filled missing cells of every part; prediction must fill alike. A column that says its
 * own `impute`, or whose values are converted to another unit, keeps that. */
static const struct am_node *with_fills(const struct am_prepared *p, const struct am_node *features)
{
    struct am_arena *a = p->arena;
    const struct am_node *fills = am_clean_fills(p->clean, a);
    struct am_node *out = features ? am_node_copy(a, features) : am_new_map(a);
    for (size_t i = 0; fills && i < fills->map.n; i++) {
        const struct am_pair *f = &fills->map.pairs[i];
        struct am_node *own = am_node_get_str(out, f->key), *impute = am_new_map(a);
        size_t column = am_schema_find(p->schema, f->key);
        if (column == SIZE_MAX || p->schema->columns[column].type == AM_COL_DATE)
            continue; /* dates are imputed by their own mean */
        if (!own) {
            own = am_new_map(a);
            am_node_set_str(a, out, f->key, own);
        }
        if (am_node_get(own, "impute") || am_node_get(own, "unit"))
            continue;
        am_node_set(a, impute, "constant", f->value);
        am_node_set(a, own, "impute", impute);
    }
    return out;
}

size_t am_fitted_columns(const struct am_prepared *p, const struct am_fitted *f, size_t *out)
{
    for (size_t i = 0; i < f->n_columns; i++)
        out[i] = f->columns[i];
    size_t n = f->n_columns;
    if (p->weight_column != SIZE_MAX)
        out[n++] = p->weight_column;
    out[n] = p->target_column;
    return n + (p->target_column != SIZE_MAX);
}

void am_fitted_weights(const struct am_prepared *p, const struct am_fitted *f,
                       const struct am_batch *b, float *w)
{
    for (size_t i = 0; i < b->n_rows; i++)
        w[i] = p->weight_column == SIZE_MAX ? 1.0f : (float)b->columns[f->n_columns].number[i];
}

/* A file that features name: word vectors, a tagger. A relative path starts at the recipe's folder.
 */
static enum am_rc read_beside(void *ctx, struct am_str path, struct am_buf *out, struct am_err *err)
{
    const struct am_prepared *p = ctx;
    const bool whole = !p->base_dir || (path.len > 0 && path.ptr[0] == '/');
    char name[4096];
    const int n = snprintf(name, sizeof name, "%s%s%.*s", whole ? "" : p->base_dir,
                           whole ? "" : "/", AM_FMT(path));
    if (n < 0 || (size_t)n >= sizeof name || path.len == 0 || memchr(path.ptr, 0, path.len))
        return am_fail(err, AM_EUSAGE, "\"%.*s\" is no path", AM_FMT(path));
    if (!am_fs_exists(name)) {
        am_fail(err, AM_ENOTFOUND, "there is no file \"%s\"", name);
        am_hint(err, "A relative path starts at the recipe's folder.");
        return AM_ENOTFOUND;
    }
    return am_fs_read_file(name, out, err);
}

/* The features take a context that may change; this one does not. */
static void *prepared_ctx(const struct am_prepared *p)
{
    union {
        const struct am_prepared *in;
        void *out;
    } u = {.in = p};
    return u.out;
}

enum am_rc am_fit_columns(const struct am_prepared *p, const struct am_table *t,
                          const size_t *which, size_t n, struct am_fitted *out, struct am_err *err)
{
    const struct am_node *spec = with_fills(p, am_node_get(p->recipe.resolved, "features"));
    struct am_features_config c = {
        .spec = spec,
        .schema = p->schema,
        .columns = which,
        .n_columns = n,
        .task = am_target_task(p->target),
        .n_classes = am_target_n_classes(p->target),
        .seed = (uint64_t)am_node_i64(am_node_get(p->recipe.resolved, "train"), "seed", 42),
        .pool = p->pl->pool,
        .read_file = p->foreign ? NULL : read_beside,
        .read_ctx = prepared_ctx(p)};
    struct am_table_iter *it = NULL;
    const struct am_batch *b;
    size_t *columns = am_arena_array(p->arena, n + 2, sizeof *columns), cap = 0;
    double *y = NULL;
    uint64_t done = 0;
    enum am_rc rc;
    *out = (struct am_fitted){.columns = which, .n_columns = n};
    AM_TRY(am_arena_check(p->arena, err));
    size_t n_read = am_fitted_columns(p, out, columns);
    bool own = am_task_target_optional(am_target_task(p->target)) ||
               am_target_task(p->target) == AM_TASK_MULTILABEL;
    am_progress_begin(p->pl->progress, "features", p->counts.n[AM_ROW_TRAIN]);
    AM_GO(rc, am_features_fit_new(&c, &out->fit, err));
    AM_GO(rc, t->ops->open(t->impl, columns, n_read, &it, err));
    for (;;) {
        AM_GO(rc, t->ops->next(it, &b, err));
        if (!b)
            break;
        struct am_batch in = {b->n_rows, n, b->columns, b->first_row};
        if (!own)
            AM_GO(rc, encode_y(p, b, &y, &cap, err));
        AM_GO(rc, am_features_fit_update(out->fit, &in, y, NULL, err));
        done += b->n_rows;
        am_progress_step(p->pl->progress, done, p->counts.n[AM_ROW_TRAIN], done, NAN);
        if (am_progress_canceled(p->pl->progress))
            AM_GO(rc, am_fail(err, AM_ECANCELED, "canceled while features were fitted"));
    }
    AM_GO(rc, am_features_fit_finish(out->fit, &out->features, err));
    am_progress_end(p->pl->progress);
out:
    t->ops->close(it);
    am_free(y);
    if (rc != AM_OK)
        am_fitted_clear(out);
    return rc;
}

enum am_rc am_fit_features(const struct am_prepared *p, const struct am_table *t,
                           struct am_fitted *out, struct am_err *err)
{
    struct am_selection s;
    memset(out, 0, sizeof *out);
    AM_TRY(am_select_columns(p, t, &s, err));
    AM_TRY(
        am_fit_columns(p, t, s.by ? s.kept : p->columns, s.by ? s.n_kept : p->n_columns, out, err));
    out->selection = s;
    return AM_OK;
}

void am_fitted_clear(struct am_fitted *f)
{
    am_features_free(f->features);
    am_features_fit_free(f->fit);
    memset(f, 0, sizeof *f);
}
