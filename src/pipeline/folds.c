/* Folds: the specification read from the recipe, the assignment made of it, the two sides of a
 * fold. Pure functions of specification, seed and rows. */
#include "pipeline/folds.h"

#include <string.h>

#include "base/alloc.h"
#include "pipeline/recipe_int.h"

struct drawing { /* what a map of folds says */
    const char *key, *where;
    struct am_str by, group, time;
};

/* The words of it among themselves and against the target. */
static enum am_rc check_words(const struct drawing *d, bool classes, struct am_err *err)
{
    bool group = am_str_is(d->by, "group"), time = am_str_is(d->by, "time");
    if ((group && !d->group.len) || (time && !d->time.len)) {
        am_fail(err, AM_EUSAGE, "%s: %s.by is %.*s, but no column is named", d->where, d->key,
                AM_FMT(d->by));
        am_hint(err, "Write %s: {n: 5, by: %.*s, %.*s: COLUMN}.", d->key, AM_FMT(d->by),
                AM_FMT(d->by));
        return AM_EUSAGE;
    }
    if ((d->group.len && !group) || (d->time.len && !time)) {
        am_fail(err, AM_EUSAGE, "%s: %s names a column, but its rows are drawn by %.*s", d->where,
                d->key, AM_FMT(d->by));
        am_hint(err, "Leave the column out, or write by: %s.", d->group.len ? "group" : "time");
        return AM_EUSAGE;
    }
    if (am_str_is(d->by, "stratified") && !classes) {
        am_fail(err, AM_EUSAGE, "%s: %s.by is stratified, but the target has no classes", d->where,
                d->key);
        am_hint(err, "Write by: random.");
        return AM_EUSAGE;
    }
    return AM_OK;
}

/* As data.split draws, where that says how. */
static void spec_auto(const struct am_prepared *p, bool classes, struct am_split_spec *out)
{
    if (out->by != AM_SPLIT_HASH && out->by != AM_SPLIT_GIVEN)
        return;
    out->by = classes ? AM_SPLIT_STRATIFIED : AM_SPLIT_RANDOM;
    if (classes)
        out->column = p->schema->columns[p->target_column].name;
}

static enum am_rc spec_by(const struct am_prepared *p, const struct am_node *map, const char *key,
                          struct am_split_spec *out, struct am_err *err)
{
    char where[256];
    struct drawing d = {key, where, am_node_str(map, "by", "auto"), am_node_str(map, "group", ""),
                        am_node_str(map, "time", "")};
    bool classes = am_task_has_classes(am_target_task(p->target));
    am_recipe_where(map, &p->recipe.origin, where, sizeof where);
    if (am_str_is(d.by, "auto") && (d.group.len || d.time.len))
        d.by = d.group.len ? AM_STR("group") : AM_STR("time");
    AM_TRY(check_words(&d, classes, err));
    if (am_str_is(d.by, "auto")) {
        spec_auto(p, classes, out);
        return AM_OK;
    }
    out->by = am_str_is(d.by, "random")       ? AM_SPLIT_RANDOM
              : am_str_is(d.by, "stratified") ? AM_SPLIT_STRATIFIED
              : am_str_is(d.by, "group")      ? AM_SPLIT_GROUP
                                              : AM_SPLIT_TIME;
    out->column = d.group.len ? d.group : d.time;
    if (out->by == AM_SPLIT_STRATIFIED)
        out->column = p->schema->columns[p->target_column].name;
    return AM_OK;
}

enum am_rc am_folds_spec_from_node(const struct am_prepared *p, const struct am_node *node,
                                   const char *key, unsigned parts, struct am_folds_spec *out,
                                   struct am_err *err)
{
    int64_t n = 0;
    char where[256];
    *out = (struct am_folds_spec){.n_repeats = 1, .split = p->split, .parts = parts};
    if (!node || am_node_is_null(node))
        return AM_OK;
    if (!am_node_as_i64(node, &n))
        n = am_node_i64(node, "n", 5);
    int64_t repeats = am_node_i64(node, "repeats", 1), seed;
    am_recipe_where(node, &p->recipe.origin, where, sizeof where);
    if (n == 1 || n < 0 || n > AM_FOLDS_MAX || repeats < 1 || repeats > AM_FOLDS_MAX) {
        am_fail(err, AM_EUSAGE, "%s: %s asks for %lld folds, %lld times over", where, key,
                (long long)n, (long long)repeats);
        am_hint(err, "Use 2 to %d folds, or 0 for none, and 1 to %d repeats.", AM_FOLDS_MAX,
                AM_FOLDS_MAX);
        return AM_EUSAGE;
    }
    out->n = (unsigned)n;
    out->n_repeats = (unsigned)repeats;
    if (am_node_as_i64(am_node_get(node, "seed"), &seed))
        out->split.seed = (uint64_t)seed;
    AM_TRY(spec_by(p, node->kind == AM_NODE_MAP ? node : NULL, key, &out->split, err));
    if (out->split.by == AM_SPLIT_TIME && repeats > 1) {
        am_fail(err, AM_EUSAGE, "%s: %s repeats folds by time, which are the same each time", where,
                key);
        am_hint(err, "Leave repeats out.");
        return AM_EUSAGE;
    }
    return AM_OK;
}

/* Every fold needs a row, or its model would be measured on nothing. */
static enum am_rc check_filled(const struct am_folds *f, const uint16_t *of, struct am_err *err)
{
    bool seen[AM_FOLDS_MAX] = {false};
    for (uint64_t i = 0; i < f->n_rows; i++)
        if (of[i] != AM_FOLD_NONE)
            seen[of[i]] = true;
    for (unsigned k = 0; k < f->spec.n; k++) {
        if (seen[k])
            continue;
        am_fail(err, AM_EINVAL, "fold %u of %u has no row", k + 1, f->spec.n);
        am_hint(err, "Use fewer folds.");
        return AM_EINVAL;
    }
    return AM_OK;
}

static enum am_rc hold_out(const struct am_prepared *p, const uint8_t *within, struct am_folds *f,
                           struct am_err *err)
{
    uint64_t n = 0;
    for (uint64_t i = 0; i < f->n_rows; i++) {
        bool held = p->parts[i] == AM_ROW_VALIDATION && (!within || within[i]);
        bool train = p->parts[i] == AM_ROW_TRAIN && (!within || within[i]);
        f->of[i] = held ? 0 : train ? 1 : AM_FOLD_NONE;
        n += held;
    }
    if (n > 0)
        return AM_OK;
    am_fail(err, AM_EINVAL, "there are no validation rows to measure candidates on");
    am_hint(err, "Give data.split.validation a share, or set tune.folds to 5.");
    return AM_EINVAL;
}

enum am_rc am_folds_make(const struct am_prepared *p, const struct am_folds_spec *spec,
                         const uint8_t *within, struct am_folds *out, struct am_err *err)
{
    size_t n = spec->n_repeats ? spec->n_repeats : 1, cells;
    uint8_t *parts = NULL;
    enum am_rc rc = AM_OK;
    *out = (struct am_folds){.spec = *spec, .n_rows = p->n_rows};
    out->spec.n_repeats = (unsigned)n;
    if (!am_mul_size(&cells, n, (size_t)p->n_rows + 1))
        return am_fail_nomem(err, p->n_rows);
    out->of = am_alloc_array(cells, sizeof *out->of);
    parts = am_alloc_array((size_t)p->n_rows + 1, 1);
    if (!out->of || !parts)
        AM_GO(rc, am_fail_nomem(err, cells * sizeof *out->of));
    if (spec->n < 2) {
        out->spec.n = 0;
        rc = hold_out(p, within, out, err);
        goto out;
    }
    for (uint64_t i = 0; i < p->n_rows; i++) {
        bool in = AM_PART_BIT(p->parts[i]) & spec->parts && (!within || within[i]);
        parts[i] = in ? AM_ROW_TRAIN : AM_ROW_DROPPED;
    }
    for (size_t r = 0; r < n; r++) {
        struct am_split_spec s = spec->split;
        uint16_t *of = out->of + r * p->n_rows;
        s.seed += r;
        AM_GO(rc, am_split_folds(&p->raw, &s, spec->n, parts, AM_PART_BIT(AM_ROW_TRAIN), of,
                                 p->n_rows, err));
        am_near_fold(p->near, of, AM_FOLD_NONE);
        AM_GO(rc, check_filled(out, of, err));
    }
out:
    am_free(parts);
    if (rc != AM_OK)
        am_folds_clear(out);
    return rc;
}

void am_folds_clear(struct am_folds *f)
{
    am_free(f->of);
    *f = (struct am_folds){0};
}

static bool by_time(const struct am_folds *f)
{
    return f->spec.n >= 2 && f->spec.split.by == AM_SPLIT_TIME;
}

size_t am_folds_count(const struct am_folds *f)
{
    if (f->spec.n < 2)
        return 1;
    return (size_t)f->spec.n_repeats * (f->spec.n - (by_time(f) ? 1u : 0u));
}

void am_folds_side(const struct am_folds *f, size_t i, uint8_t *side)
{
    bool time = by_time(f);
    size_t each = f->spec.n < 2 ? 1 : f->spec.n - (time ? 1u : 0u);
    const uint16_t *of = f->of + i / each * f->n_rows;
    size_t k = i % each + (time ? 1 : 0);
    for (uint64_t row = 0; row < f->n_rows; row++) {
        if (f->spec.n < 2)
            side[row] = of[row] == 0 ? AM_ROW_TEST : of[row] == 1 ? AM_ROW_TRAIN : AM_ROW_DROPPED;
        else if (of[row] == k)
            side[row] = AM_ROW_TEST;
        else if (of[row] == AM_FOLD_NONE || (time && of[row] > k)) /* the future trains nothing */
            side[row] = AM_ROW_DROPPED;
        else
            side[row] = AM_ROW_TRAIN;
    }
}

const char *am_folds_by_name(const struct am_folds *f)
{
    static const char *const names[] = {
        [AM_SPLIT_RANDOM] = "random", [AM_SPLIT_STRATIFIED] = "stratified",
        [AM_SPLIT_GROUP] = "group",   [AM_SPLIT_TIME] = "time",
        [AM_SPLIT_HASH] = "hash",     [AM_SPLIT_GIVEN] = "given"};
    return f->spec.n < 2 ? "validation" : names[f->spec.split.by];
}
