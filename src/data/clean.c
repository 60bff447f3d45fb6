/* Cleaning rules: read from the recipe's data.clean, checked against the schema, reported
 * afterwards. */
#include "data/clean.h"

#include <math.h>

#include "base/alloc.h"
#include "data/clean_int.h"

void am_clean_free(struct am_clean *c)
{
    if (!c)
        return;
    struct am_arena *a = c->arena;
    am_arena_free(a); /* c lives in it */
}

static enum am_rc fail_rule(const struct am_node *at, const struct clean_rule *r, const char *what,
                            const char *hint, struct am_err *err)
{
    enum am_rc rc = am_fail(err, AM_EUSAGE, "line %u column %u: data.clean.columns.%.*s: %s",
                            at->line, at->column, AM_FMT(r->name), am_tr(what));
    am_hint(err, "%s", am_tr(hint));
    return rc;
}

static enum am_rc read_constant(struct am_clean *c, const struct am_node *n, struct clean_rule *r,
                                struct am_err *err)
{
    const struct am_node *v = am_node_get(n, "constant");
    bool truth;
    r->missing = MISSING_CONSTANT;
    r->has_fill = true;
    if (r->type == AM_COL_NUMBER && am_node_as_f64(v, &r->fill) && isfinite(r->fill))
        return AM_OK;
    if (r->type == AM_COL_BOOLEAN && am_node_as_bool(v, &truth)) {
        r->fill = truth;
        return AM_OK;
    }
    if (clean_is_text(r->type) && am_node_as_str(v, &r->fill_text)) {
        r->fill_text = am_arena_str(c->arena, r->fill_text);
        return r->fill_text.ptr ? AM_OK : am_fail_nomem(err, 1);
    }
    return fail_rule(
        n, r, "the constant is not of the column's type",
        "Give a number for a number column, true or false for a boolean one, text for a category.",
        err);
}

static enum am_rc read_missing(struct am_clean *c, const struct am_node *n, struct clean_rule *r,
                               struct am_err *err)
{
    static const char *const words[] = {"keep", "drop", "mean", "median", "mode", "forward"};
    struct am_str word;
    if (!n)
        return AM_OK;
    if (n->kind == AM_NODE_MAP)
        AM_TRY(read_constant(c, n, r, err));
    else if (am_node_as_str(n, &word))
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
            if (am_str_is(word, words[i]))
                r->missing = (enum clean_missing)i;
    if (r->is_target && r->missing > MISSING_DROP)
        return fail_rule(n, r, "a target is never filled",
                         "Rows without a target are dropped; take the rule away.", err);
    if ((r->missing == MISSING_MEAN || r->missing == MISSING_MEDIAN) && r->type != AM_COL_NUMBER)
        return fail_rule(n, r, "only numbers have a mean or a median",
                         "Fill with mode, forward or a constant, or drop.", err);
    if (r->type == AM_COL_DATE && (r->missing == MISSING_MODE || r->missing == MISSING_CONSTANT))
        return fail_rule(n, r, "a date is not filled so", "Fill with forward, or drop.", err);
    return AM_OK;
}

static enum am_rc read_rule(struct am_clean *c, const struct am_node *n, struct clean_rule *r,
                            struct am_err *err)
{
    AM_TRY(read_missing(c, am_node_get(n, "missing"), r, err));
    if (am_col_is_media(r->type) &&
        (r->missing > MISSING_DROP || !am_str_is(am_node_str(n, "invalid", "error"), "error")))
        return fail_rule(n, r, "pictures and sounds are not repaired",
                         "Files that cannot be read are left out by the import; say missing: drop "
                         "for rows without one.",
                         err);
    struct am_str invalid = am_node_str(n, "invalid", "error");
    r->invalid = am_str_is(invalid, "missing") ? INVALID_MISSING
                 : am_str_is(invalid, "drop")  ? INVALID_DROP
                                               : INVALID_ERROR;
    r->min = am_node_f64(n, "min", NAN);
    r->max = am_node_f64(n, "max", NAN);
    const struct am_node *outliers = am_node_get(n, "outliers");
    bool number_rule =
        !isnan(r->min) || !isnan(r->max) || (outliers && outliers->kind == AM_NODE_MAP);
    if (number_rule && r->type != AM_COL_NUMBER)
        return fail_rule(n, r, "min, max and outliers are for numbers",
                         "Take the rule away, or say data.types: number.", err);
    if (r->min > r->max)
        return fail_rule(n, r, "min is larger than max", "Swap them.", err);
    if (!outliers || outliers->kind != AM_NODE_MAP)
        return AM_OK;
    if (r->is_target)
        return fail_rule(n, r, "a target's outliers are not treated",
                         "Use min and max, or a where rule.", err);
    bool sigma = am_str_is(am_node_str(outliers, "by", "iqr"), "sigma");
    r->outliers = sigma ? OUTLIERS_SIGMA : OUTLIERS_IQR;
    r->limit = am_node_f64(outliers, "limit", sigma ? 3 : 1.5);
    struct am_str action = am_node_str(outliers, "action", "drop");
    r->action = am_str_is(action, "clip")      ? OUTLIER_CLIP
                : am_str_is(action, "missing") ? OUTLIER_MISSING
                                               : OUTLIER_DROP;
    return AM_OK;
}

static enum am_rc fail_column(const struct am_clean *c, const struct am_pair *pair,
                              struct am_err *err)
{
    const char **names = am_alloc_array(c->schema->n + 1, sizeof *names);
    for (size_t i = 0; names && i < c->schema->n; i++)
        names[i] = c->schema->columns[i].name.ptr;
    const char *near = names ? am_str_nearest(pair->key, names, c->schema->n) : NULL;
    enum am_rc rc = am_fail(
        err, AM_EUSAGE,
        "line %u column %u: data.clean.columns names \"%.*s\", which is not a column of the data",
        pair->line, pair->column, AM_FMT(pair->key));
    if (near)
        am_hint(err, "Did you mean \"%s\"?", near);
    am_free(names);
    return rc;
}

static enum am_rc read_where(struct am_clean *c, const struct am_node *n, struct am_err *err)
{
    struct am_str one;
    if (!n || am_node_is_null(n))
        return AM_OK;
    bool list = n->kind == AM_NODE_LIST;
    size_t count = list ? n->list.n : 1;
    c->where = am_arena_array(c->arena, count + 1, sizeof *c->where);
    if (!c->where)
        return am_fail_nomem(err, count * sizeof *c->where);
    for (size_t i = 0; i < count; i++) {
        const struct am_node *at = list ? n->list.items[i] : n;
        if (!am_node_as_str(at, &one))
            return am_fail(err, AM_EUSAGE,
                           "line %u column %u: data.clean.where is not a SQL predicate", at->line,
                           at->column);
        c->where[c->n_where++] = am_arena_str(c->arena, one);
    }
    return am_arena_check(c->arena, err);
}

static enum am_rc read_spec(struct am_clean *c, const struct am_node *spec, struct am_err *err)
{
    AM_TRY(read_where(c, am_node_get(spec, "where"), err));
    c->drop_missing = am_str_is(am_node_str(spec, "missing", "keep"), "drop");
    c->drop_duplicates = am_str_is(am_node_str(spec, "duplicates", "keep"), "drop");
    const struct am_node *columns = am_node_get(spec, "columns");
    for (size_t i = 0; columns && columns->kind == AM_NODE_MAP && i < columns->map.n; i++) {
        const struct am_pair *pair = &columns->map.pairs[i];
        size_t at = am_schema_find(c->schema, pair->key);
        if (at == SIZE_MAX)
            return fail_column(c, pair, err);
        if (c->rules[at].is_ignored)
            return fail_rule(pair->value, &c->rules[at], "an id column is not cleaned",
                             "Take the rule away.", err);
        AM_TRY(read_rule(c, pair->value, &c->rules[at], err));
    }
    return AM_OK;
}

enum am_rc am_clean_new(const struct am_node *spec, const struct am_schema *schema,
                        struct am_str target, const struct am_str *ignore, size_t n_ignore,
                        struct am_clean **out, struct am_err *err)
{
    *out = NULL;
    struct am_arena *a = am_arena_new(0);
    if (!a)
        return am_fail_nomem(err, sizeof **out);
    enum am_rc rc = AM_OK;
    struct am_clean *c = am_arena_zalloc(a, sizeof *c);
    struct am_str *kept = am_arena_array(a, n_ignore + 1, sizeof *kept);
    struct clean_rule *rules = am_arena_array(a, schema->n + 1, sizeof *rules);
    if (!c || !kept || !rules) {
        rc = am_fail_nomem(err, schema->n * sizeof *rules);
        goto out;
    }
    for (size_t i = 0; i < n_ignore; i++)
        kept[i] = am_arena_str(a, ignore[i]);
    *c = (struct am_clean){
        .arena = a, .schema = schema, .rules = rules, .ignore = kept, .n_ignore = n_ignore};
    for (size_t i = 0; i < schema->n; i++) {
        rules[i] = (struct clean_rule){.name = schema->columns[i].name,
                                       .type = schema->columns[i].type,
                                       .min = NAN,
                                       .max = NAN,
                                       .low = NAN,
                                       .high = NAN};
        rules[i].is_target = target.ptr && am_str_eq(rules[i].name, target);
        for (size_t k = 0; k < n_ignore; k++)
            rules[i].is_ignored |= am_str_eq(rules[i].name, ignore[k]);
    }
    AM_GO(rc, am_arena_check(a, err));
    AM_GO(rc, read_spec(c, spec, err));
    *out = c;
    a = NULL;
out:
    am_arena_free(a);
    return rc;
}

enum am_rc am_clean_lenient(const struct am_node *spec, struct am_arena *a,
                            const struct am_str **out, size_t *n, struct am_err *err)
{
    const struct am_node *columns = am_node_get(spec, "columns");
    size_t count = columns && columns->kind == AM_NODE_MAP ? columns->map.n : 0;
    struct am_str *names = am_arena_array(a, count + 1, sizeof *names);
    *n = 0;
    *out = names;
    if (!names)
        return am_fail_nomem(err, count * sizeof *names);
    for (size_t i = 0; i < count; i++) {
        struct am_str invalid = am_node_str(columns->map.pairs[i].value, "invalid", "error");
        if (am_str_is(invalid, "missing") || am_str_is(invalid, "drop"))
            names[(*n)++] = columns->map.pairs[i].key;
    }
    return AM_OK;
}

static struct am_node *fill_node(const struct clean_rule *r, struct am_arena *a)
{
    if (clean_is_text(r->type))
        return am_new_str(a, r->fill_text);
    return r->type == AM_COL_BOOLEAN ? am_new_bool(a, r->fill != 0) : am_new_f64(a, r->fill);
}

struct am_node *am_clean_fills(const struct am_clean *c, struct am_arena *a)
{
    struct am_node *m = am_new_map(a);
    for (size_t i = 0; i < c->schema->n; i++)
        if (c->rules[i].has_fill)
            am_node_set_str(a, m, c->rules[i].name, fill_node(&c->rules[i], a));
    return m;
}

static void set_count(struct am_arena *a, struct am_node *m, const char *key, uint64_t n)
{
    am_node_set(a, m, key, am_new_i64(a, (int64_t)n));
}

struct am_node *am_clean_report(const struct am_clean *c, struct am_arena *a)
{
    struct am_node *m = am_new_map(a), *columns = am_new_map(a);
    set_count(a, m, "rows_before", c->rows_before);
    set_count(a, m, "rows_after", c->rows_after);
    set_count(a, m, "where", c->dropped.where);
    set_count(a, m, "target_missing", c->dropped.target_missing);
    set_count(a, m, "invalid", c->dropped.invalid);
    set_count(a, m, "missing", c->dropped.missing);
    set_count(a, m, "duplicates", c->dropped.duplicates);
    set_count(a, m, "outliers", c->dropped.outliers);
    for (size_t i = 0; i < c->schema->n; i++) {
        const struct clean_rule *r = &c->rules[i];
        if (!r->n_invalid && !r->n_filled && !r->n_outliers && !r->n_clipped && !r->has_fill &&
            r->outliers == OUTLIERS_NONE)
            continue;
        struct am_node *one = am_new_map(a);
        set_count(a, one, "invalid", r->n_invalid);
        set_count(a, one, "filled", r->n_filled);
        if (r->has_fill)
            am_node_set(a, one, "fill", fill_node(r, a));
        if (r->outliers != OUTLIERS_NONE) {
            set_count(a, one, "outliers", r->n_outliers);
            set_count(a, one, "clipped", r->n_clipped);
            am_node_set(a, one, "low", isnan(r->low) ? am_new_null(a) : am_new_f64(a, r->low));
            am_node_set(a, one, "high", isnan(r->high) ? am_new_null(a) : am_new_f64(a, r->high));
        }
        am_node_set_str(a, columns, r->name, one);
    }
    am_node_set(a, m, "columns", columns);
    return m;
}
