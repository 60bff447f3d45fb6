/* Catalogues: built from the registry's tree, copied when a version is loaded or failed, never
 * changed once published. Each holds references to its loaded versions. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/num.h"
#include "serve/serve_int.h"

void am_catalog_unref(struct am_catalog_box *c)
{
    if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    for (size_t i = 0; i < c->c.n_models; i++)
        for (size_t k = 0; k < c->c.models[i].n_versions; k++)
            am_served_unref(c->c.models[i].versions[k].served);
    am_arena_free(c->arena);
}

const struct am_catalog_model *am_catalog_find(const struct am_catalog *c, struct am_str model)
{
    size_t low = 0, high = c->n_models;
    while (low < high) {
        size_t mid = (low + high) / 2;
        int d = am_str_cmp(model, c->models[mid].name);
        if (d == 0)
            return &c->models[mid];
        if (d < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

static size_t find_version(const struct am_catalog_model *m, int64_t number)
{
    for (size_t i = 0; i < m->n_versions; i++)
        if (m->versions[i].number == number)
            return i;
    return SIZE_MAX;
}

static const struct am_catalog_alias *find_alias(const struct am_catalog_model *m,
                                                 struct am_str name)
{
    for (size_t i = 0; i < m->n_aliases; i++)
        if (am_str_eq(m->aliases[i].name, name))
            return &m->aliases[i];
    return NULL;
}

static bool is_number(struct am_str s, int64_t *out)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    return am_parse_i64(s, out);
}

/* serving: of a bare name and of an alias, the version that answers now, not the one it points to.
 */
static size_t select_index(const struct am_catalog_model *m, struct am_str selector, bool serving)
{
    int64_t number;
    if (m->n_versions == 0)
        return SIZE_MAX;
    if (selector.len == 0)
        return serving ? m->serving : m->n_versions - 1;
    if (is_number(selector, &number))
        return find_version(m, number);
    const struct am_catalog_alias *a = find_alias(m, selector);
    return a ? (serving ? a->serving : a->version) : SIZE_MAX;
}

const struct am_catalog_version *am_catalog_select(const struct am_catalog_model *m,
                                                   struct am_str selector)
{
    size_t i = select_index(m, selector, true);
    return i == SIZE_MAX ? NULL : &m->versions[i];
}

/* ---- building ---- */

static int by_number(const void *a, const void *b)
{
    const struct am_catalog_version *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

static int by_name(const void *a, const void *b)
{
    const struct am_catalog_model *x = a, *y = b;
    return am_str_cmp(x->name, y->name);
}

static void build_versions(struct am_arena *a, struct am_catalog_model *m,
                           const struct am_node *list)
{
    size_t n = list && list->kind == AM_NODE_LIST ? list->list.n : 0;
    m->versions = am_arena_array(a, n + 1, sizeof *m->versions);
    for (size_t i = 0; m->versions && i < n; i++) {
        const struct am_node *v = list->list.items[i];
        m->versions[m->n_versions++] =
            (struct am_catalog_version){.number = am_node_i64(v, "version", 0),
                                        .package = am_node_str(v, "package", ""),
                                        .detail = v};
    }
    if (m->versions)
        qsort(m->versions, m->n_versions, sizeof *m->versions, by_number);
    m->serving = m->n_versions ? m->n_versions - 1 : 0;
}

static void build_aliases(struct am_arena *a, struct am_catalog_model *m, const struct am_node *map)
{
    size_t n = map && map->kind == AM_NODE_MAP ? map->map.n : 0;
    m->aliases = am_arena_array(a, n + 1, sizeof *m->aliases);
    for (size_t i = 0; m->aliases && i < n; i++) {
        int64_t number;
        size_t at =
            am_node_as_i64(map->map.pairs[i].value, &number) ? find_version(m, number) : SIZE_MAX;
        if (at != SIZE_MAX)
            m->aliases[m->n_aliases++] = (struct am_catalog_alias){map->map.pairs[i].key, at, at};
    }
}

/* A version that the old catalogue had loaded stays loaded. */
static void keep_loaded(struct am_catalog_model *m, const struct am_catalog_model *before)
{
    for (size_t i = 0; before && i < m->n_versions; i++) {
        struct am_catalog_version *v = &m->versions[i];
        size_t k = find_version(before, v->number);
        if (k == SIZE_MAX || !am_str_eq(before->versions[k].package, v->package))
            continue;
        const struct am_catalog_version *o = &before->versions[k];
        v->state = o->state;
        v->failed_us = o->failed_us;
        if (o->served)
            v->served = am_served_ref(o->served);
    }
}

struct am_catalog_box *am_catalog_build(struct am_arena *a, const struct am_node *models,
                                        const struct am_catalog_box *old, uint64_t generation,
                                        struct am_err *err)
{
    size_t n = models && models->kind == AM_NODE_LIST ? models->list.n : 0;
    struct am_catalog_box *box = am_arena_zalloc(a, sizeof *box);
    struct am_catalog_model *m = am_arena_array(a, n + 1, sizeof *m);
    for (size_t i = 0; m && i < n; i++) {
        const struct am_node *node = models->list.items[i];
        m[i].name = am_node_str(node, "model", "");
        m[i].detail = node;
        build_versions(a, &m[i], am_node_get(node, "list"));
        build_aliases(a, &m[i], am_node_get(node, "aliases"));
    }
    if (am_arena_check(a, err) != AM_OK || !box || !m) {
        am_arena_free(a);
        return NULL;
    }
    qsort(m, n, sizeof *m, by_name);
    atomic_init(&box->refs, 1);
    box->arena = a;
    box->c = (struct am_catalog){.models = m, .n_models = n, .generation = generation};
    for (size_t i = 0; i < n; i++)
        if (old) {
            const struct am_catalog_model *before = am_catalog_find(&old->c, m[i].name);
            keep_loaded(&m[i], before);
            for (size_t k = 0; before && k < m[i].n_versions; k++) {
                size_t o = find_version(before, m[i].versions[k].number);
                if (m[i].versions[k].state == AM_VERSION_FAILED && o != SIZE_MAX)
                    m[i].versions[k].why = am_arena_str(a, before->versions[o].why);
            }
        }
    am_catalog_settle(box, old);
    return box;
}

/* A deep copy of the arrays; names and details are copied too, so that arenas do not chain. */
struct am_catalog_box *am_catalog_copy(const struct am_catalog_box *old, struct am_err *err)
{
    struct am_arena *a = am_arena_new(0);
    if (!a) {
        (void)am_fail_nomem(err, 4096);
        return NULL;
    }
    struct am_node *models = am_new_list(a);
    for (size_t i = 0; i < old->c.n_models; i++)
        am_node_push(a, models, am_node_copy(a, old->c.models[i].detail));
    return am_catalog_build(a, models, old, old->c.generation, err);
}

static size_t serving_now(const struct am_catalog_model *m, size_t wanted,
                          const struct am_catalog_model *before, size_t previous)
{
    if (m->versions[wanted].served || !before || previous == SIZE_MAX)
        return wanted;
    /* until the new one is loaded, the one that answered so far goes on */
    size_t k = find_version(m, before->versions[previous].number);
    return k != SIZE_MAX && m->versions[k].served ? k : wanted;
}

void am_catalog_settle(struct am_catalog_box *c, const struct am_catalog_box *old)
{
    for (size_t i = 0; i < c->c.n_models; i++) {
        struct am_catalog_model *m = &c->c.models[i];
        const struct am_catalog_model *before = old ? am_catalog_find(&old->c, m->name) : NULL;
        if (before && before->n_versions == 0)
            before = NULL;
        if (m->n_versions == 0)
            continue;
        m->serving = serving_now(m, m->n_versions - 1, before, before ? before->serving : SIZE_MAX);
        for (size_t k = 0; k < m->n_aliases; k++) {
            struct am_catalog_alias *alias = &m->aliases[k];
            const struct am_catalog_alias *o = before ? find_alias(before, alias->name) : NULL;
            alias->serving = serving_now(m, alias->version, before, o ? o->serving : SIZE_MAX);
        }
    }
}
