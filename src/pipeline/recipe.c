/* Loads a recipe: parse, apply --set, check every key against the table, fill defaults, check the
 * rules between fields. Not here: the table (recipe_table.c), the rules (recipe_rules.c), what
 * needs the data. Everything lives in the caller's arena; one thread at a time. */
#include "pipeline/recipe_int.h"

#include <stdio.h>

#include "base/limits.h"
#include "learn/learn.h"
#include "tensor/task.h"

#define AM_RECOMMEND_NAMES 65536 /* users, items: the most that features count */

struct check {
    struct am_arena *arena;
    const struct am_recipe_origin *origin;
    struct am_err *err;
};

void am_recipe_where(const struct am_node *n, const struct am_recipe_origin *origin, char *out,
                     size_t cap)
{
    if (n && n->line)
        snprintf(out, cap, am_tr("%s, line %u, column %u"), origin->what, n->line, n->column);
    else if (n && n->column && n->column <= origin->n_sets)
        snprintf(out, cap, "--set %.*s", AM_FMT(origin->sets[n->column - 1].path));
    else
        snprintf(out, cap, "%s", origin->what ? origin->what : am_tr("recipe"));
}

static void print_path(const struct am_recipe_path *p, char *out, size_t cap)
{
    size_t at = 0;
    out[0] = 0;
    for (size_t i = 0; i < p->n && at < cap; i++) {
        int k = snprintf(out + at, cap - at, "%s%.*s", i ? "." : "", AM_FMT(p->seg[i]));
        at += k > 0 ? (size_t)k : 0;
    }
}

bool am_recipe_match(const char *row_path, const struct am_recipe_path *p, bool *wild)
{
    const char *s = row_path;
    *wild = false;
    for (size_t i = 0; i < p->n; i++) {
        size_t n = strcspn(s, ".");
        if (n == 1 && *s == '*')
            *wild = true;
        else if (!am_str_eq((struct am_str){s, n}, p->seg[i]))
            return false;
        s += n;
        if (*s == '.')
            s++;
        else if (i + 1 < p->n)
            return false;
    }
    return *s == 0;
}

const struct am_recipe_key *am_recipe_find(const struct am_recipe_path *p)
{
    const struct am_recipe_key *rows, *best = NULL;
    size_t n = am_recipe_table(&rows);
    for (size_t i = 0; i < n; i++) {
        bool wild;
        if (am_recipe_match(rows[i].path, p, &wild)) {
            if (!wild)
                return &rows[i];
            if (!best)
                best = &rows[i];
        }
    }
    return best;
}

/* The last segment of a row that is a child of `parent`, or NULL. */
static const char *child_name(const struct am_recipe_key *row, const struct am_recipe_path *parent)
{
    const char *last = strrchr(row->path, '.');
    size_t n = last ? (size_t)(last - row->path) : 0;
    char head[256];
    bool wild;
    if (parent->n == 0)
        return last ? NULL : row->path;
    if (!last || n >= sizeof head)
        return NULL;
    memcpy(head, row->path, n);
    head[n] = 0;
    return am_recipe_match(head, parent, &wild) ? last + 1 : NULL;
}

static enum am_rc unknown_key(struct check *c, const struct am_recipe_path *parent,
                              const struct am_pair *pair)
{
    const struct am_recipe_key *rows;
    size_t n = am_recipe_table(&rows), k = 0;
    const char *names[256];
    char where[256], head[256];
    struct am_node at =
        pair->line ? (struct am_node){.line = pair->line, .column = pair->column} : *pair->value;
    for (size_t i = 0; i < n && k < 256; i++) {
        const char *name = child_name(&rows[i], parent);
        if (name && *name != '*')
            names[k++] = name;
    }
    am_recipe_where(&at, c->origin, where, sizeof where);
    print_path(parent, head, sizeof head);
    am_fail(c->err, AM_EUSAGE, "%s: unknown key \"%.*s\"%s%s%s", where, AM_FMT(pair->key),
            parent->n ? am_tr(" in \"") : "", head, parent->n ? "\"" : "");
    const char *near = am_str_nearest(pair->key, names, k);
    if (near) {
        am_hint(c->err, "Did you mean \"%s\"?", near);
    } else {
        struct am_buf list;
        am_buf_init(&list, AM_ERR_HINT_BYTES / 2);
        for (size_t i = 0; i < k; i++)
            am_buf_printf(&list, "%s%s", i ? ", " : "", names[i]);
        am_hint(c->err, "Known keys here: %.*s.", AM_FMT(am_buf_view(&list)));
        am_buf_clear(&list);
    }
    return AM_EUSAGE;
}

static bool in_choices(const char *choices, struct am_str s)
{
    for (const char *p = choices; p && *p;) {
        size_t n = strcspn(p, "|");
        if (am_str_eq((struct am_str){p, n}, s))
            return true;
        p += n + (p[n] == '|');
    }
    return false;
}

static bool list_of(const struct am_node *n, unsigned kind)
{
    if (n->kind != AM_NODE_LIST)
        return false;
    for (size_t i = 0; i < n->list.n; i++) {
        struct am_str s;
        int64_t k;
        if (kind == AM_KEY_TEXTS) { /* [0.1, 0.2] is a list of texts where texts are asked */
            if (n->list.items[i]->kind == AM_NODE_LIST || n->list.items[i]->kind == AM_NODE_MAP)
                return false;
        } else if (kind == AM_KEY_INTS && !am_node_as_i64(n->list.items[i], &k)) {
            return false;
        }
        (void)s;
    }
    return true;
}

static bool type_ok(const struct am_recipe_key *row, const struct am_node *v)
{
    int64_t i;
    double d;
    bool b;
    struct am_str s;
    if ((row->types & AM_KEY_BOOL) && am_node_as_bool(v, &b))
        return true;
    if ((row->types & AM_KEY_INT) && am_node_as_i64(v, &i))
        return true;
    if ((row->types & AM_KEY_NUMBER) && am_node_as_f64(v, &d))
        return true;
    if ((row->types & AM_KEY_ENUM) && am_node_as_str(v, &s) && in_choices(row->choices, s))
        return true;
    if ((row->types & AM_KEY_TEXT) && am_node_as_str(v, &s))
        return true;
    if ((row->types & AM_KEY_TEXTS) && list_of(v, AM_KEY_TEXTS))
        return true;
    if ((row->types & AM_KEY_INTS) && list_of(v, AM_KEY_INTS))
        return true;
    if ((row->types & AM_KEY_MAPS) && v->kind == AM_NODE_LIST)
        return true;
    if ((row->types & AM_KEY_NULL) && am_node_is_null(v))
        return true;
    return (row->types & AM_KEY_MAP) && v->kind == AM_NODE_MAP;
}

static const char *node_text(const struct am_node *v, char *tmp, size_t cap)
{
    struct am_buf b;
    am_buf_init(&b, 4096);
    am_node_to_json(v, AM_JSON_COMPACT, &b);
    snprintf(tmp, cap, "%.*s", AM_FMT(am_buf_view(&b)));
    am_buf_clear(&b);
    return tmp;
}

static void want_text(const struct am_recipe_key *row, char *out, size_t cap)
{
    static const struct {
        unsigned bit;
        const char *name;
    } names[] = {{AM_KEY_BOOL, AM_N("true or false")},
                 {AM_KEY_INT, AM_N("a whole number")},
                 {AM_KEY_NUMBER, AM_N("a number")},
                 {AM_KEY_TEXT, AM_N("text")},
                 {AM_KEY_TEXTS, AM_N("a list of text")},
                 {AM_KEY_INTS, AM_N("a list of whole numbers")},
                 {AM_KEY_MAP, AM_N("a map")},
                 {AM_KEY_MAPS, AM_N("a list of maps")},
                 {AM_KEY_NULL, AM_N("null")}};
    size_t at = 0;
    out[0] = 0;
    if (row->types & AM_KEY_ENUM)
        at = (size_t)snprintf(out, cap, am_tr("one of %s"), row->choices);
    for (size_t i = 0; i < sizeof names / sizeof names[0] && at < cap; i++)
        if (row->types & names[i].bit)
            at += (size_t)snprintf(out + at, cap - at, "%s%s", at ? am_tr(" or ") : "",
                                   am_tr(names[i].name));
}

static enum am_rc check_value(struct check *c, const struct am_recipe_key *row,
                              const struct am_recipe_path *p, const struct am_node *v)
{
    char where[256], head[256], want[512], got[96];
    double d;
    am_recipe_where(v, c->origin, where, sizeof where);
    print_path(p, head, sizeof head);
    if (!type_ok(row, v)) {
        want_text(row, want, sizeof want);
        am_fail(c->err, AM_EUSAGE, "%s: \"%s\" must be %s, but is %s", where, head, want,
                node_text(v, got, sizeof got));
        am_hint(c->err, "%s", am_tr(row->doc));
        return AM_EUSAGE;
    }
    if (row->min < row->max && (row->types & (AM_KEY_INT | AM_KEY_NUMBER)) &&
        am_node_as_f64(v, &d) && !(d >= row->min && d <= row->max)) {
        am_fail(c->err, AM_EUSAGE, "%s: \"%s\" is %g, but must lie between %g and %g", where, head,
                d, row->min, row->max);
        am_hint(c->err, "%s", am_tr(row->doc));
        return AM_EUSAGE;
    }
    return AM_OK;
}

/* A map among a learner's keys (model.of): the learner checks what is in it. */
static bool learner_map(const struct am_recipe_path *p)
{
    return p->n == 2 && am_str_is(p->seg[0], "model");
}

static enum am_rc check_map(struct check *c, const struct am_recipe_path *parent,
                            const struct am_node *map)
{
    for (size_t i = 0; i < map->map.n; i++) {
        const struct am_pair *pair = &map->map.pairs[i];
        struct am_recipe_path p = *parent;
        const struct am_recipe_key *row = NULL;
        if (p.n < AM_RECIPE_SEGMENTS) {
            p.seg[p.n++] = pair->key;
            row = am_recipe_find(&p);
        }
        if (!row)
            return unknown_key(c, parent, pair);
        AM_TRY(check_value(c, row, &p, pair->value));
        if (pair->value->kind == AM_NODE_MAP && !learner_map(&p))
            AM_TRY(check_map(c, &p, pair->value));
    }
    return AM_OK;
}

/* ---- --set ---- */

/* Lines and columns inside the flag's value tell nobody anything: the flag does. */
static void mark_set(struct am_node *n, uint32_t number)
{
    n->line = 0;
    n->column = number;
    for (size_t i = 0; n->kind == AM_NODE_LIST && i < n->list.n; i++)
        mark_set(n->list.items[i], number);
    for (size_t i = 0; n->kind == AM_NODE_MAP && i < n->map.n; i++) {
        n->map.pairs[i].line = 0;
        mark_set(n->map.pairs[i].value, number);
    }
}

static enum am_rc apply_set(struct check *c, struct am_node *root, const struct am_recipe_set *set)
{
    struct am_node *at = root, *value;
    struct am_str rest = set->path;
    char what[200];
    snprintf(what, sizeof what, "--set %.*s", AM_FMT(set->path));
    AM_TRY(am_yaml_parse(c->arena, set->value, what, &value, c->err));
    mark_set(value, (uint32_t)(set - c->origin->sets) + 1);
    for (;;) {
        const char *dot = rest.len ? memchr(rest.ptr, '.', rest.len) : NULL;
        struct am_str seg = {rest.ptr, dot ? (size_t)(dot - rest.ptr) : rest.len};
        if (seg.len == 0) {
            am_fail(c->err, AM_EUSAGE, "cannot set \"%.*s\": the path has an empty part",
                    AM_FMT(set->path));
            am_hint(c->err, "Write --set a.b=value, for example --set train.epochs=5.");
            return AM_EUSAGE;
        }
        if (!dot) {
            am_node_set_str(c->arena, at, seg, value);
            return am_arena_check(c->arena, c->err);
        }
        struct am_node *next = am_node_get_str(at, seg);
        if (!next || next->kind != AM_NODE_MAP) {
            next = am_new_map(c->arena);
            am_node_set_str(c->arena, at, seg, next);
            AM_TRY(am_arena_check(c->arena, c->err));
            next->column = value->column;
        }
        at = next;
        rest = (struct am_str){dot + 1, rest.len - seg.len - 1};
    }
}

/* ---- defaults ---- */

static enum am_rc fill_map(struct check *c, const struct am_recipe_path *parent,
                           struct am_node *map)
{
    const struct am_recipe_key *rows;
    size_t n = am_recipe_table(&rows);
    bool in_model = parent->n == 1 && am_str_is(parent->seg[0], "model");
    for (size_t i = 0; i < n && !in_model; i++) {
        const char *name = rows[i].otherwise ? child_name(&rows[i], parent) : NULL;
        struct am_node *v;
        if (!name || *name == '*' || am_node_get(map, name))
            continue;
        AM_TRY(am_yaml_parse(c->arena, am_str(rows[i].otherwise), "default", &v, c->err));
        v->line = v->column = 0;
        am_node_set(c->arena, map, name, v);
    }
    for (size_t i = 0; i < map->map.n; i++) {
        struct am_recipe_path p = *parent;
        if (map->map.pairs[i].value->kind != AM_NODE_MAP || p.n == AM_RECIPE_SEGMENTS)
            continue;
        p.seg[p.n++] = map->map.pairs[i].key;
        AM_TRY(fill_map(c, &p, map->map.pairs[i].value));
    }
    return am_arena_check(c->arena, c->err);
}

static enum am_rc resolve(struct check *c, const struct am_node *given, struct am_node **out)
{
    static const char *const groups[][2] = {
        {NULL, "data"},  {"data", "split"},  {NULL, "features"}, {NULL, "model"},
        {NULL, "train"}, {NULL, "evaluate"}, {NULL, "register"}};
    struct am_recipe_path root = {.n = 0};
    struct am_node *copy = am_node_copy(c->arena, given);
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        struct am_node *at = groups[i][0] ? am_node_get(copy, groups[i][0]) : copy;
        if (!am_node_get(at, groups[i][1]))
            am_node_set(c->arena, at, groups[i][1], am_new_map(c->arena));
    }
    AM_TRY(am_arena_check(c->arena, c->err));
    AM_TRY(fill_map(c, &root, copy));
    *out = copy;
    return AM_OK;
}

bool am_recipe_learns_rows(const struct am_node *resolved)
{
    enum am_task task;
    return am_task_parse(am_node_str(am_node_get(resolved, "data"), "task", ""), &task) &&
           am_task_target_optional(task);
}

static void remove_default(struct am_node *map, const char *key)
{
    for (size_t i = 0; i < map->map.n; i++) {
        const struct am_pair *p = &map->map.pairs[i];
        if (!am_str_is(p->key, key) || p->value->line || p->value->column)
            continue;
        memmove(&map->map.pairs[i], &map->map.pairs[i + 1],
                (map->map.n - i - 1) * sizeof map->map.pairs[i]);
        map->map.n--;
        return;
    }
}

/* The task of a learner that has but one kind: autoencoder anomaly, kmeans clustering; NULL = it
 * learns a target. */
static const char *task_of(struct am_str type)
{
    const struct am_learner_ops *l = am_learner_find(type);
    for (unsigned t = 0; l && t < AM_N_TASKS; t++)
        if (l->tasks & 1u << t)
            return am_task_target_optional((enum am_task)t) ? am_task_name((enum am_task)t) : NULL;
    return NULL;
}

static struct am_node *map_in(struct check *c, struct am_node *at, struct am_str key)
{
    struct am_node *m = am_node_get_str(at, key);
    if (!m || m->kind != AM_NODE_MAP) {
        m = am_new_map(c->arena);
        am_node_set_str(c->arena, at, key, m);
    }
    return m;
}

/* User and item are names, also where they look like numbers, and the only features: each name its
 * number. */
static enum am_rc settle_pairs(struct check *c, struct am_node *root)
{
    static const char *const sides[] = {"user", "item"};
    struct am_arena *a = c->arena;
    struct am_node *data = am_node_get(root, "data"), *only = am_new_list(a),
                   *features = map_in(c, root, AM_STR("features"));
    for (size_t i = 0; i < 2; i++) {
        struct am_str name = am_node_str(data, sides[i], "");
        if (name.len == 0)
            return AM_OK; /* the rules say so */
        struct am_node *types = map_in(c, data, AM_STR("types")), *f = map_in(c, features, name);
        if (!am_node_get_str(types, name))
            am_node_set_str(a, types, name, am_new_cstr(a, "category"));
        am_node_push(a, only, am_new_str(a, name));
        am_node_set(a, f, "encode", am_new_cstr(a, "ordinal"));
        am_node_set(a, f, "scale", am_new_cstr(a, "none"));
        am_node_set(a, f, "max_categories", am_new_i64(a, AM_RECOMMEND_NAMES));
        am_node_set(a, f, "min_count", am_new_i64(a, 1));
    }
    am_node_set(a, features, "only", only);
    return am_arena_check(a, c->err);
}

/* A learner of rows has no target, and without a target rows are learned: either says both. */
static enum am_rc settle_task(struct check *c, struct am_node *root)
{
    struct am_node *data = am_node_get(root, "data"), *model = am_node_get(root, "model");
    struct am_str type = am_node_str(model, "type", "auto");
    const char *own = task_of(type);
    if (own && am_str_is(am_node_str(data, "task", "auto"), "auto"))
        am_node_set(c->arena, data, "task", am_new_cstr(c->arena, own));
    struct am_str task = am_node_str(data, "task", "");
    if (am_str_is(task, "recommendation"))
        AM_TRY(settle_pairs(c, root));
    if (!am_recipe_learns_rows(root))
        return am_arena_check(c->arena, c->err);
    if (am_str_is(type, "auto"))
        am_node_set(c->arena, model, "type",
                    am_new_cstr(c->arena, am_str_is(task, "clustering") ? "kmeans"
                                          : am_str_is(task, "recommendation")
                                              ? "matrix_factorization"
                                              : "autoencoder"));
    remove_default(am_node_get(root, "evaluate"), "threshold"); /* of two classes */
    return am_arena_check(c->arena, c->err);
}

enum am_rc am_recipe_load(struct am_arena *a, struct am_str text, const char *what,
                          const struct am_recipe_set *sets, size_t n_sets, struct am_recipe *out,
                          struct am_err *err)
{
    struct check c = {a, &out->origin, err};
    struct am_recipe_path root = {.n = 0};
    struct am_node *given;
    out->origin = (struct am_recipe_origin){what, sets, n_sets};
    if (text.len > AM_LIMIT_RECIPE_BYTES) {
        am_fail(err, AM_EUSAGE, "%s has %zu bytes, at most %zu allowed", what, text.len,
                (size_t)AM_LIMIT_RECIPE_BYTES);
        am_hint(err, "A recipe is a short text; is this the data file?");
        return AM_EUSAGE;
    }
    enum am_rc rc = am_yaml_parse(a, text, what, &given, err);
    if (rc != AM_OK) {
        if (err && rc != AM_ENOMEM)
            err->rc = AM_EUSAGE;
        if (err && rc != AM_ENOMEM && !err->hint[0])
            am_hint(err, "Correct the line; `aimass init DATA --target T --output -` shows what a "
                         "recipe looks like.");
        return rc == AM_ENOMEM ? rc : AM_EUSAGE;
    }
    if (given->kind != AM_NODE_MAP) {
        am_fail(err, AM_EUSAGE, "%s is not a recipe: it must be a map of keys", what);
        am_hint(err, "`aimass init DATA --target T` writes a starter recipe.");
        return AM_EUSAGE;
    }
    for (size_t i = 0; i < n_sets; i++)
        AM_TRY(apply_set(&c, given, &sets[i]));
    AM_TRY(check_map(&c, &root, given));
    out->given = given;
    AM_TRY(resolve(&c, given, &out->resolved));
    AM_TRY(settle_task(&c, out->resolved));
    return am_recipe_check_rules(out->resolved, &out->origin, err);
}

enum am_rc am_recipe_with(struct am_arena *a, const struct am_recipe *base,
                          const struct am_recipe_set *sets, size_t n_sets, struct am_recipe *out,
                          struct am_err *err)
{
    const struct am_recipe_origin *o = &base->origin;
    struct check c = {a, &out->origin, err};
    struct am_recipe_path root = {.n = 0};
    struct am_recipe_set *all = am_arena_array(a, o->n_sets + n_sets + 1, sizeof *all);
    AM_TRY(am_arena_check(a, err));
    for (size_t i = 0; i < o->n_sets + n_sets; i++)
        all[i] = i < o->n_sets ? o->sets[i] : sets[i - o->n_sets];
    out->origin = (struct am_recipe_origin){o->what, all, o->n_sets + n_sets};
    out->given = am_node_copy(a, base->given);
    AM_TRY(am_arena_check(a, err));
    for (size_t i = 0; i < n_sets; i++)
        AM_TRY(apply_set(&c, out->given, &all[o->n_sets + i]));
    AM_TRY(check_map(&c, &root, out->given));
    AM_TRY(resolve(&c, out->given, &out->resolved));
    AM_TRY(settle_task(&c, out->resolved));
    struct am_node *name = am_node_get(base->resolved, "name");
    if (name)
        am_node_set(a, out->resolved, "name", name);
    return am_recipe_check_rules(out->resolved, &out->origin, err);
}

enum am_rc am_recipe_check_setting(struct am_arena *a, const struct am_recipe *r,
                                   const struct am_recipe_set *set, struct am_err *err)
{
    struct am_recipe_origin o = {r->origin.what, set, 1};
    struct check c = {a, &o, err};
    struct am_recipe_path root = {.n = 0};
    struct am_node *map = am_new_map(a);
    AM_TRY(am_arena_check(a, err));
    AM_TRY(apply_set(&c, map, set));
    return check_map(&c, &root, map);
}
