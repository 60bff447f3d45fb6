/* Commands that look at data and recipes: init, profile, plan, datasets, schema. */
#include <stdio.h>

#include "base/fs.h"
#include "cli/cli.h"

static void show_warnings(const struct am_node *list)
{
    for (size_t i = 0; list && i < list->list.n; i++) {
        struct am_str column = am_node_str(list->list.items[i], "column", "");
        am_say("! %.*s%s%.*s\n", AM_FMT(column), column.len ? ": " : "",
               AM_FMT(am_node_str(list->list.items[i], "text", "")));
    }
}

static void show_columns(const struct am_node *list)
{
    static const char *const headers[] = {AM_N("column"), AM_N("type"), AM_N("why")};
    struct am_grid *g = am_grid_new(headers, 3);
    for (size_t i = 0; list && i < list->list.n; i++)
        for (size_t k = 0; k < 3; k++)
            am_grid_text(g, am_node_str(list->list.items[i], k == 0 ? "name" : headers[k], ""));
    am_grid_print(g);
}

static void show_init(struct am_cli *c, const struct am_node *r)
{
    const char *to = am_cli_value(c, "--output");
    if (to && strcmp(to, "-") == 0) {
        am_say("%.*s", (int)am_node_str(r, "recipe", "").len, am_node_str(r, "recipe", "").ptr);
        return;
    }
    show_columns(am_node_get(r, "columns"));
    show_warnings(am_node_get(r, "warnings"));
    am_say(am_tr("Wrote %.*s. Next: aimass train %.*s\n"), AM_FMT(am_node_str(r, "file", "")),
           AM_FMT(am_node_str(r, "file", "")));
}

enum am_exit am_cmd_init(struct am_cli *c)
{
    const char *target = am_cli_value(c, "--target"), *to = am_cli_value(c, "--output");
    struct am_node *r;
    if (am_cli_open(c) != AM_OK ||
        am_platform_init(c->platform, c->arena, c->args[0], target, am_cli_value(c, "--task"), &r,
                         &c->err) != AM_OK)
        return am_cli_fail(c);
    struct am_str text = am_node_str(r, "recipe", "");
    if (!to)
        to = am_arena_printf(c->arena, "%.*s.yaml", AM_FMT(am_node_str(r, "name", "model"))).ptr;
    if (to && strcmp(to, "-") != 0) {
        if (am_fs_exists(to)) {
            am_fail(&c->err, AM_EEXIST, "\"%s\" exists", to);
            am_hint(&c->err, "Remove it, or choose another place with --output FILE.");
            return am_cli_fail(c);
        }
        if (am_fs_write_file(to, text.ptr, text.len, &c->err) != AM_OK)
            return am_cli_fail(c);
        am_node_set(c->arena, r, "file", am_new_cstr(c->arena, to));
    }
    return am_cli_done(c, r, show_init);
}

/* The spread of dates is told in days. */
static void show_cell(struct am_grid *g, const struct am_node *column, const char *key)
{
    double days;
    char text[40];
    if (strcmp(key, "std") == 0 && am_node_as_f64(am_node_get(column, "std_days"), &days)) {
        snprintf(text, sizeof text, am_tr("%.4g days"), days);
        am_grid_text(g, am_str(text));
    } else {
        am_grid_node(g, am_node_get(column, key));
    }
}

static void show_profile(struct am_cli *c, const struct am_node *r)
{
    static const char *const headers[] = {AM_N("column"),   AM_N("type"), AM_N("missing"),
                                          AM_N("distinct"), AM_N("min"),  AM_N("mean"),
                                          AM_N("max"),      AM_N("std"),  AM_N("why")};
    static const char *const keys[] = {"name", "type", "missing", "distinct", "min",
                                       "mean", "max",  "std",     "why"};
    const struct am_node *list = am_node_get(r, "columns");
    struct am_grid *g = am_grid_new(headers, 9);
    am_say_import(c, am_node_get(r, "files"));
    am_say(am_tr("%lld rows\n\n"), (long long)am_node_i64(r, "rows", 0));
    for (size_t i = 0; list && i < list->list.n; i++)
        for (size_t k = 0; k < 9; k++)
            show_cell(g, list->list.items[i], keys[k]);
    am_grid_print(g);
    am_say("\n");
    show_warnings(am_node_get(r, "warnings"));
}

enum am_exit am_cmd_profile(struct am_cli *c)
{
    struct am_node *r;
    if (am_cli_open(c) != AM_OK ||
        am_platform_profile(c->platform, c->arena, c->args[0], am_cli_value(c, "--target"), &r,
                            &c->err) != AM_OK)
        return am_cli_fail(c);
    return am_cli_done(c, r, show_profile);
}

/* The layers of the model: what each makes, holds and costs. */
static void show_network(const struct am_node *network)
{
    static const char *const headers[] = {AM_N("layer"), AM_N("type"), AM_N("output"),
                                          AM_N("parameters"), AM_N("operations")};
    static const char *const keys[] = {"name", "type", "output", "parameters", "flops"};
    const struct am_node *list = am_node_get(network, "layers");
    struct am_grid *g = am_grid_new(headers, 5);
    for (size_t i = 0; list && i < list->list.n; i++)
        for (size_t k = 0; k < 5; k++)
            show_cell(g, list->list.items[i], keys[k]);
    am_say("\n");
    am_grid_print(g);
    am_say(am_tr("a step takes %.1f MB, a prediction %.1f MB\n"),
           (double)am_node_i64(network, "train_bytes", 0) / 1e6,
           (double)am_node_i64(network, "predict_bytes", 0) / 1e6);
}

static void show_plan(struct am_cli *c, const struct am_node *r)
{
    const struct am_node *split = am_node_get(r, "split"), *list = am_node_get(r, "columns"),
                         *steps = am_node_get(r, "layers");
    static const char *const headers[] = {AM_N("column"), AM_N("type"), AM_N("role"), AM_N("why")};
    struct am_grid *g = am_grid_new(headers, 4);
    struct am_str yaml = am_node_str(r, "yaml", "");
    am_say_import(c, am_node_get(r, "files"));
    am_say("%.*s\n", (int)yaml.len, yaml.ptr);
    for (size_t i = 0; list && i < list->list.n; i++)
        for (size_t k = 0; k < 4; k++)
            am_grid_text(g, am_node_str(list->list.items[i], k == 0 ? "name" : headers[k], ""));
    am_grid_print(g);
    am_say(am_tr("\ntask        %.*s (%.*s)\n"), AM_FMT(am_node_str(r, "task", "")),
           AM_FMT(am_node_str(r, "task_why", "")));
    am_say(am_tr("rows        %lld training, %lld validation, %lld test, %lld dropped\n"),
           (long long)am_node_i64(split, "train", 0),
           (long long)am_node_i64(split, "validation", 0), (long long)am_node_i64(split, "test", 0),
           (long long)am_node_i64(split, "dropped", 0));
    if (!am_node_get(r, "network")) {
        am_say(am_tr("features    %lld\nmodel       known after training: its size depends on the "
                     "rows\n"),
               (long long)am_node_i64(r, "features", 0));
        return;
    }
    am_say(am_tr("features    %lld\nparameters  %lld\nmemory      %.1f MB at most for rows and "
                 "weights\nsteps       "),
           (long long)am_node_i64(r, "features", 0), (long long)am_node_i64(r, "parameters", 0),
           (double)am_node_i64(r, "memory_bytes", 0) / 1e6);
    for (size_t i = 0; steps && i < steps->list.n; i++) {
        struct am_str s;
        if (am_node_as_str(steps->list.items[i], &s))
            am_say("%s%.*s", i ? " > " : "", AM_FMT(s));
    }
    am_say("\n");
    show_network(am_node_get(r, "network"));
}

enum am_exit am_cmd_plan(struct am_cli *c)
{
    struct am_recipe_ref ref = {.path = c->args[0], .sets = c->many, .n_sets = c->n_many};
    struct am_node *r;
    if (am_cli_open(c) != AM_OK ||
        am_platform_plan(c->platform, c->arena, &ref, &r, &c->err) != AM_OK)
        return am_cli_fail(c);
    return am_cli_done(c, r, show_plan);
}

static void show_schema(struct am_cli *c, const struct am_node *r)
{
    struct am_buf b;
    (void)c;
    am_buf_init(&b, 1 << 24);
    am_node_to_json(r, AM_JSON_PRETTY, &b);
    am_say("%.*s\n", (int)b.len, b.ptr);
    am_buf_clear(&b);
}

enum am_exit am_cmd_schema(struct am_cli *c)
{
    struct am_node *r;
    const bool learners = am_cli_has(c, "--learners");
    if (learners || am_cli_has(c, "--markdown")) {
        struct am_buf b;
        am_buf_init(&b, 1 << 24);
        if (learners)
            am_platform_learners_markdown(&b);
        else
            am_platform_recipe_markdown(&b);
        fwrite(b.ptr, 1, b.len, stdout);
        am_buf_clear(&b);
        return AM_EXIT_DONE;
    }
    if (am_platform_schema(c->arena, &r, &c->err) != AM_OK)
        return am_cli_fail(c);
    return am_cli_done(c, r, show_schema);
}
