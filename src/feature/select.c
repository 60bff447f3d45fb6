/* Which columns of a table become features: `only`, `drop`, and never the target nor the ids.
 *
 * No data is read. Memory is the caller's arena; any thread. */
#include "feature/fit.h"

#include "base/alloc.h"

enum mark { FREE, TARGET, ID, DROPPED, TAKEN };

static enum am_rc unknown(const struct am_schema *s, const struct am_node *at, const char *key,
                          struct am_str name, struct am_err *err)
{
    enum am_rc rc =
        am_fail(err, AM_EUSAGE, "line %u, column %u: features.%s: no column \"%.*s\" in the data",
                at->line, at->column, key, AM_FMT(name));
    const struct am_column_desc *best = NULL;
    unsigned least = (unsigned)(name.len / 3 + 2);
    for (size_t i = 0; i < s->n; i++) {
        unsigned d = am_str_distance(name, s->columns[i].name);
        if (d < least) {
            least = d;
            best = &s->columns[i];
        }
    }
    if (best)
        am_hint(err, "Did you mean \"%.*s\"?", AM_FMT(best->name));
    return rc;
}

/* Each name of features.KEY: its column index goes to `each`. */
static enum am_rc names(const struct am_node *list, const char *key, const struct am_schema *s,
                        size_t *out, size_t *n_out, struct am_err *err)
{
    *n_out = 0;
    if (list == NULL || am_node_is_null(list))
        return AM_OK;
    if (list->kind != AM_NODE_LIST)
        return am_fail(err, AM_EUSAGE, "line %u, column %u: features.%s: not a list of columns",
                       list->line, list->column, key);
    for (size_t i = 0; i < list->list.n; i++) {
        struct am_str name;
        const struct am_node *item = list->list.items[i];
        if (!am_node_as_str(item, &name))
            return am_fail(err, AM_EUSAGE, "line %u, column %u: features.%s: not a column name",
                           item->line, item->column, key);
        size_t at = am_schema_find(s, name);
        if (at == SIZE_MAX)
            return unknown(s, item, key, name, err);
        for (size_t k = 0; k < *n_out; k++) {
            if (out[k] == at)
                return am_fail(err, AM_EUSAGE, "features.%s: column \"%.*s\" stands twice", key,
                               AM_FMT(name));
        }
        out[(*n_out)++] = at;
    }
    return AM_OK;
}

static enum am_rc take_only(const struct am_schema *s, enum mark *marks, const size_t *only,
                            size_t n, struct am_err *err)
{
    for (size_t i = 0; i < n; i++) {
        const char *what = marks[only[i]] == TARGET    ? am_tr("the target")
                           : marks[only[i]] == ID      ? am_tr("an id column")
                           : marks[only[i]] == DROPPED ? am_tr("in features.drop too")
                                                       : NULL;
        if (what)
            return am_fail(err, AM_EUSAGE, "features.only: column \"%.*s\" is %s",
                           AM_FMT(s->columns[only[i]].name), what);
        marks[only[i]] = TAKEN;
    }
    return AM_OK;
}

enum am_rc am_features_select(const struct am_node *features, const struct am_schema *schema,
                              struct am_str target, const struct am_str *ids, size_t n_ids,
                              struct am_arena *a, size_t **columns, size_t *n_columns,
                              struct am_err *err)
{
    enum mark *marks = am_arena_array(a, schema->n + 1, sizeof *marks);
    size_t *out = am_arena_array(a, schema->n + 1, sizeof *out), n = 0;
    if (marks == NULL || out == NULL)
        return am_arena_check(a, err);
    AM_TRY(names(am_node_get(features, "drop"), "drop", schema, out, &n, err));
    for (size_t i = 0; i < n; i++)
        marks[out[i]] = DROPPED;
    for (size_t i = 0; i < n_ids; i++) {
        size_t at = am_schema_find(schema, ids[i]);
        if (at != SIZE_MAX)
            marks[at] = ID;
    }
    size_t target_at = target.ptr ? am_schema_find(schema, target) : SIZE_MAX;
    if (target_at != SIZE_MAX)
        marks[target_at] = TARGET;
    AM_TRY(names(am_node_get(features, "only"), "only", schema, out, &n, err));
    AM_TRY(take_only(schema, marks, out, n, err));
    if (n == 0) {
        for (size_t i = 0; i < schema->n; i++) {
            if (marks[i] == FREE)
                out[n++] = i;
        }
    }
    if (n == 0) {
        enum am_rc rc = am_fail(err, AM_EUSAGE, "no feature column is left");
        am_hint(err, "Keep at least one column besides the target, the ids and features.drop.");
        return rc;
    }
    *columns = out;
    *n_columns = n;
    return AM_OK;
}
