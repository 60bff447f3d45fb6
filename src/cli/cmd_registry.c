/* Commands over what is stored: runs, compare, datasets, models, aliases, tags, export, import, rm,
 * gc. */
#include <math.h>

#include "base/num.h"
#include "cli/cli.h"

static enum am_rc list_options(struct am_cli *c, struct am_list_options *o)
{
    const char *limit = am_cli_value(c, "--limit"), *offset = am_cli_value(c, "--offset");
    *o = (struct am_list_options){.filter = am_cli_value(c, "--filter"),
                                  .order_by = am_cli_value(c, "--order")};
    if ((limit && (!am_parse_i64(am_str(limit), &o->limit) || o->limit < 1)) ||
        (offset && (!am_parse_i64(am_str(offset), &o->offset) || o->offset < 0))) {
        am_fail(&c->err, AM_EUSAGE, "--limit and --offset take whole numbers");
        am_hint(&c->err, "For example --limit 20 --offset 40.");
        return AM_EUSAGE;
    }
    return AM_OK;
}

static enum am_exit list(struct am_cli *c,
                         enum am_rc (*get)(struct am_platform *, struct am_arena *,
                                           const struct am_list_options *, struct am_node **,
                                           struct am_err *),
                         void (*show)(struct am_cli *, const struct am_node *))
{
    struct am_list_options o;
    struct am_node *r;
    if (list_options(c, &o) != AM_OK || am_cli_open(c) != AM_OK ||
        get(c->platform, c->arena, &o, &r, &c->err) != AM_OK)
        return am_cli_fail(c);
    return am_cli_done(c, r, show);
}

/* Says that there is more, and how to see it. */
static void show_rest(struct am_cli *c, const struct am_node *r, const struct am_node *rows)
{
    struct am_list_options o;
    long long n = rows ? (long long)rows->list.n : 0, total = am_node_i64(r, "total", 0);
    if (list_options(c, &o) == AM_OK && n > 0 && o.offset + n < total)
        am_say(am_tr("%lld of %lld; more with --offset %lld\n"), n, total, (long long)o.offset + n);
}

/* Rows of `key` in columns; a header "a/b" reads b of a. */
static void show_rows(struct am_cli *c, const struct am_node *r, const char *key,
                      const char *const *headers, const char *const *keys, size_t n)
{
    const struct am_node *rows = am_node_get(r, key);
    struct am_grid *g = am_grid_new(headers, n);
    for (size_t i = 0; rows && i < rows->list.n; i++)
        for (size_t k = 0; k < n; k++)
            am_grid_node(g, am_node_get(rows->list.items[i], keys[k]));
    am_grid_print(g);
    show_rest(c, r, rows);
}

/* The first test metric as "name value", so that a list says how good a run is. */
static void show_runs(struct am_cli *c, const struct am_node *r)
{
    static const char *const headers[] = {AM_N("run"),     AM_N("name"),    AM_N("state"),
                                          AM_N("started"), AM_N("seconds"), AM_N("test")};
    const struct am_node *rows = am_node_get(r, "runs");
    struct am_grid *g = am_grid_new(headers, 6);
    for (size_t i = 0; rows && i < rows->list.n; i++) {
        const struct am_node *run = rows->list.items[i], *m = am_node_get(run, "metrics");
        struct am_str id = am_node_str(run, "run", ""), best = {"-", 1};
        am_grid_text(g, (struct am_str){id.ptr, id.len < 12 ? id.len : 12});
        for (size_t k = 1; k < 5; k++)
            am_grid_node(g, am_node_get(run, headers[k]));
        for (size_t k = 0; m && k < m->map.n; k++) {
            double v;
            if (am_str_starts(m->map.pairs[k].key, AM_STR("test.")) &&
                am_node_as_f64(m->map.pairs[k].value, &v)) {
                best = am_arena_printf(c->arena, "%.*s %.4f", AM_FMT(m->map.pairs[k].key), v);
                best.ptr += 5, best.len -= 5;
                break;
            }
        }
        am_grid_text(g, best);
    }
    am_grid_print(g);
    show_rest(c, r, rows);
}

enum am_exit am_cmd_runs(struct am_cli *c)
{
    return list(c, am_platform_runs, show_runs);
}

static void show_datasets(struct am_cli *c, const struct am_node *r)
{
    static const char *const keys[] = {AM_N("name"),  AM_N("version"), AM_N("rows"),
                                       AM_N("bytes"), AM_N("created"), AM_N("source")};
    show_rows(c, r, "datasets", keys, keys, 6);
}

enum am_exit am_cmd_datasets(struct am_cli *c)
{
    return list(c, am_platform_datasets, show_datasets);
}

static void show_models(struct am_cli *c, const struct am_node *r)
{
    static const char *const headers[] = {AM_N("model"), AM_N("versions"), AM_N("latest"),
                                          AM_N("updated"), AM_N("aliases")};
    const struct am_node *rows = am_node_get(r, "models");
    struct am_grid *g = am_grid_new(headers, 5);
    for (size_t i = 0; rows && i < rows->list.n; i++) {
        const struct am_node *aliases = am_node_get(rows->list.items[i], "aliases");
        struct am_str text = {"", 0};
        for (size_t k = 0; k < 4; k++)
            am_grid_node(g, am_node_get(rows->list.items[i], headers[k]));
        for (size_t k = 0; aliases && k < aliases->map.n; k++) {
            int64_t v = 0;
            (void)am_node_as_i64(aliases->map.pairs[k].value, &v);
            text = am_arena_printf(c->arena, "%.*s%s%.*s=%lld", AM_FMT(text), k ? " " : "",
                                   AM_FMT(aliases->map.pairs[k].key), (long long)v);
        }
        am_grid_text(g, text);
    }
    am_grid_print(g);
    show_rest(c, r, rows);
}

enum am_exit am_cmd_models(struct am_cli *c)
{
    return list(c, am_platform_models, show_models);
}

/* Any tree as indented YAML: what is known about one thing. */
static void show_tree(struct am_cli *c, const struct am_node *r)
{
    struct am_buf b;
    (void)c;
    am_buf_init(&b, 1 << 28);
    am_node_to_yaml(r, &b);
    am_say("%.*s", (int)b.len, b.ptr ? b.ptr : "");
    am_buf_clear(&b);
}

enum am_exit am_cmd_run_show(struct am_cli *c)
{
    struct am_node *r;
    if (am_cli_open(c) != AM_OK ||
        am_platform_run_show(c->platform, c->arena, c->args[0], &r, &c->err) != AM_OK)
        return am_cli_fail(c);
    return am_cli_done(c, r, show_tree);
}

static void show_section(struct am_cli *c, const struct am_node *r, const char *key)
{
    const struct am_node *m = am_node_get(r, key), *runs = am_node_get(r, "runs");
    const char *headers[12] = {key};
    size_t n = runs->list.n < 10 ? runs->list.n : 10;
    if (!m || m->map.n == 0)
        return;
    for (size_t i = 0; i < n; i++) {
        struct am_str id = am_node_str(runs->list.items[i], "run", "");
        headers[i + 1] = am_arena_printf(c->arena, "%.12s", id.ptr).ptr;
    }
    struct am_grid *g = am_grid_new(headers, n + 1);
    for (size_t i = 0; i < m->map.n; i++) {
        am_grid_text(g, m->map.pairs[i].key);
        for (size_t k = 0; k < n; k++)
            am_grid_node(g, m->map.pairs[i].value->list.items[k]);
    }
    am_grid_print(g);
    am_say("\n");
}

static void show_compare(struct am_cli *c, const struct am_node *r)
{
    show_section(c, r, AM_N("params"));
    show_section(c, r, AM_N("metrics"));
}

enum am_exit am_cmd_compare(struct am_cli *c)
{
    struct am_node *r;
    if (am_cli_open(c) != AM_OK || am_platform_compare(c->platform, c->arena, c->args,
                                                       (size_t)c->n_args, &r, &c->err) != AM_OK)
        return am_cli_fail(c);
    return am_cli_done(c, r, show_compare);
}

enum am_exit am_cmd_model_show(struct am_cli *c)
{
    struct am_node *r;
    if (am_cli_open(c) != AM_OK ||
        am_platform_model_show(c->platform, c->arena, c->args[0], &r, &c->err) != AM_OK)
        return am_cli_fail(c);
    return am_cli_done(c, r, show_tree);
}

enum am_exit am_cmd_model_alias(struct am_cli *c)
{
    enum am_alias_action what = am_cli_has(c, "--undo")     ? AM_ALIAS_UNDO
                                : am_cli_has(c, "--remove") ? AM_ALIAS_REMOVE
                                                            : AM_ALIAS_SET;
    struct am_node *r;
    if (am_cli_open(c) != AM_OK || am_platform_model_alias(c->platform, c->arena, c->args[0],
                                                           c->args[1], what, &r, &c->err) != AM_OK)
        return am_cli_fail(c);
    return am_cli_done(c, r, show_tree);
}

enum am_exit am_cmd_model_tag(struct am_cli *c)
{
    struct am_node *r;
    if (am_cli_open(c) != AM_OK ||
        am_platform_model_tag(c->platform, c->arena, c->args[0], c->args[1],
                              c->n_args > 2 ? c->args[2] : NULL, &r, &c->err) != AM_OK)
        return am_cli_fail(c);
    return am_cli_done(c, r, show_tree);
}

enum am_exit am_cmd_model_export(struct am_cli *c)
{
    struct am_node *r;
    if (am_cli_open(c) != AM_OK || am_platform_model_export(c->platform, c->arena, c->args[0],
                                                            c->args[1], &r, &c->err) != AM_OK)
        return am_cli_fail(c);
    return am_cli_done(c, r, show_tree);
}

enum am_exit am_cmd_model_import(struct am_cli *c)
{
    const char *name = am_cli_value(c, "--name");
    struct am_node *r;
    enum am_rc rc = am_cli_open(c);
    if (rc == AM_OK && am_cli_has(c, "--signed"))
        rc = am_platform_model_import_signed(c->platform, c->arena, c->args[0], name, &r, &c->err);
    else if (rc == AM_OK)
        rc = am_platform_model_import(c->platform, c->arena, c->args[0], name, &r, &c->err);
    return rc == AM_OK ? am_cli_done(c, r, show_tree) : am_cli_fail(c);
}

enum am_exit am_cmd_rm(struct am_cli *c)
{
    struct am_node *r;
    if (am_cli_open(c) != AM_OK ||
        am_platform_rm(c->platform, c->arena, c->args[0], &r, &c->err) != AM_OK)
        return am_cli_fail(c);
    return am_cli_done(c, r, show_tree);
}

enum am_exit am_cmd_gc(struct am_cli *c)
{
    struct am_node *r;
    if (am_cli_open(c) != AM_OK ||
        am_platform_gc(c->platform, c->arena,
                       am_cli_has(c, "--dry-run") ? AM_GC_DRY_RUN : AM_GC_REAL, &r,
                       &c->err) != AM_OK)
        return am_cli_fail(c);
    return am_cli_done(c, r, show_tree);
}
