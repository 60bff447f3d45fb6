/* The reader of `train.augment`: keys against a table, values against types and ranges. */
#include "feature/augment_keys.h"

#include <string.h>

#include "base/num.h"

#define NAMES_MAX 32

/* The place of a choice in "a|b|c"; false when it is none. */
static bool choice(const char *choices, struct am_str s, double *out)
{
    unsigned place = 0;
    for (const char *p = choices; *p; place++) {
        size_t n = strcspn(p, "|");
        if (am_str_eq(s, (struct am_str){p, n})) {
            *out = place;
            return true;
        }
        p += n + (p[n] == '|');
    }
    return false;
}

static double default_of(const struct am_feature_key *k)
{
    double v = 0;
    if (k->types == AM_FEATURE_KEY_ENUM)
        (void)choice(k->choices, am_str(k->otherwise), &v);
    else
        (void)am_parse_double(am_str(k->otherwise), AM_NUM_FINITE, &v);
    return v;
}

static enum am_rc unknown_key(const struct am_pair *p, const struct am_augment_table *t,
                              struct am_err *err)
{
    const char *names[NAMES_MAX];
    size_t n = t->n < NAMES_MAX ? t->n : NAMES_MAX;
    for (size_t i = 0; i < n; i++)
        names[i] = t->keys[i].name;
    enum am_rc rc =
        am_fail(err, AM_EUSAGE, "line %u, column %u: train.augment: unknown key \"%.*s\" for %s",
                p->line, p->column, AM_FMT(p->key), am_tr(t->what));
    const char *near = am_str_nearest(p->key, names, n);
    if (near)
        am_hint(err, "Did you mean \"%s\"?", near);
    return rc;
}

/* "none|horizontal" -> "none, horizontal" */
static enum am_rc no_choice(const struct am_pair *p, const struct am_feature_key *k,
                            struct am_err *err)
{
    char list[200];
    size_t n = 0;
    for (const char *c = k->choices; *c && n + 3 < sizeof list; c++) {
        list[n++] = *c == '|' ? ',' : *c;
        if (*c == '|')
            list[n++] = ' ';
    }
    list[n] = 0;
    return am_fail(err, AM_EUSAGE, "line %u, column %u: train.augment.%s: not one of %s", p->line,
                   p->column, k->name, list);
}

static enum am_rc read_key(const struct am_pair *p, const struct am_augment_table *t,
                           double *values, struct am_err *err)
{
    const struct am_feature_key *k = t->keys;
    struct am_str s;
    int64_t whole;
    double v;
    while (k < t->keys + t->n && !am_str_is(p->key, k->name))
        k++;
    if (k == t->keys + t->n)
        return unknown_key(p, t, err);
    if (am_node_is_null(p->value))
        return AM_OK;
    if (k->types == AM_FEATURE_KEY_ENUM) {
        if (!am_node_as_str(p->value, &s) || !choice(k->choices, s, &v))
            return no_choice(p, k, err);
    } else if (!am_node_as_f64(p->value, &v) || !(v >= k->min && v <= k->max) ||
               (k->types == AM_FEATURE_KEY_INT && !am_node_as_i64(p->value, &whole))) {
        return am_fail(err, AM_EUSAGE,
                       "line %u, column %u: train.augment.%s: not a number from %g to %g", p->line,
                       p->column, k->name, k->min, k->max);
    }
    values[k - t->keys] = v;
    return AM_OK;
}

enum am_rc am_augment_keys_read(const struct am_node *spec, const struct am_augment_table *t,
                                double *values, struct am_err *err)
{
    for (size_t i = 0; i < t->n; i++)
        values[i] = default_of(&t->keys[i]);
    if (spec == NULL || am_node_is_null(spec))
        return AM_OK;
    if (spec->kind != AM_NODE_MAP)
        return am_fail(err, AM_EUSAGE, "line %u, column %u: train.augment: not a map of settings",
                       spec->line, spec->column);
    for (size_t i = 0; i < spec->map.n; i++)
        AM_TRY(read_key(&spec->map.pairs[i], t, values, err));
    return AM_OK;
}
