/* Commands of judgement: run with a budget, advise, refit, distil. */
#include <math.h>
#include <stdio.h>

#include "base/num.h"
#include "cli/cli.h"

#define BOARD_ROWS 12

/* Seconds, microseconds and bytes as a person reads them. */
static void seconds_cell(struct am_grid *g, const struct am_node *v)
{
    char text[48];
    double s;
    if (!am_node_as_f64(v, &s)) {
        am_grid_text(g, AM_STR("-"));
        return;
    }
    (void)snprintf(text, sizeof text, "%.*f s", s < 0.0995 ? 3 : s < 99.5 ? 1 : 0, s);
    am_grid_text(g, am_str(text));
}

static void latency_cell(struct am_grid *g, const struct am_node *v)
{
    char text[48];
    double us;
    if (!am_node_as_f64(v, &us)) {
        am_grid_text(g, AM_STR("-"));
        return;
    }
    (void)snprintf(text, sizeof text, "%.*f us", us < 10 ? 1 : 0, us);
    am_grid_text(g, am_str(text));
}

static void bytes_cell(struct am_grid *g, const struct am_node *v)
{
    char text[48];
    double b;
    if (!am_node_as_f64(v, &b)) {
        am_grid_text(g, AM_STR("-"));
        return;
    }
    (void)snprintf(text, sizeof text, b < 1e6 ? "%.1f KB" : "%.1f MB", b < 1e6 ? b / 1e3 : b / 1e6);
    am_grid_text(g, am_str(text));
}

static void number_cell(struct am_grid *g, const struct am_node *v)
{
    char text[48];
    double d;
    if (!am_node_as_f64(v, &d)) {
        am_grid_text(g, AM_STR("-"));
        return;
    }
    (void)snprintf(text, sizeof text, "%.4f", d);
    am_grid_text(g, am_str(text));
}

static void show_board(const struct am_node *list)
{
    static const char *const headers[] = {
        AM_N("model"),   "",           AM_N("loss"), AM_N("deviation"), AM_N("training"),
        AM_N("one row"), AM_N("size"), AM_N("state")};
    struct am_grid *g = am_grid_new(headers, 8);
    size_t shown = 0;
    for (size_t i = 0; list && i < list->list.n; i++) {
        const struct am_node *m = list->list.items[i];
        const bool chosen = am_node_bool(m, "chosen", false);
        const bool ok = am_str_is(am_node_str(m, "status", ""), "ok");
        if (shown >= BOARD_ROWS && !chosen)
            continue;
        shown++;
        am_grid_text(g, am_node_str(m, "name", ""));
        am_grid_text(g, am_str(chosen ? "*" : ""));
        number_cell(g, am_node_get(m, "loss"));
        number_cell(g, am_node_get(m, "deviation"));
        seconds_cell(g, ok ? am_node_get(m, "fit_seconds") : NULL);
        latency_cell(g, ok ? am_node_get(m, "latency_us") : NULL);
        bytes_cell(g, ok ? am_node_get(m, "bytes") : NULL);
        am_grid_text(g, am_node_str(m, ok ? "origin" : "status", ""));
    }
    am_grid_print(g);
    if (list && list->list.n > shown)
        am_say(am_tr("... and %zu more in the report\n"), list->list.n - shown);
}

static void show_auto(struct am_cli *c, const struct am_node *r)
{
    const struct am_node *s = am_node_get(r, "search"), *skipped = am_node_get(s, "skipped");
    show_board(am_node_get(r, "leaderboard"));
    am_say(am_tr("\nchosen   %.*s\n"), AM_FMT(am_node_str(s, "why", "")));
    for (size_t i = 0; skipped && i < skipped->list.n; i++)
        am_say(am_tr("left out %.*s: %.*s\n"),
               AM_FMT(am_node_str(skipped->list.items[i], "family", "")),
               AM_FMT(am_node_str(skipped->list.items[i], "reason", "")));
    am_say("\n");
    am_show_trained(c, r);
}

enum am_exit am_cmd_auto(struct am_cli *c)
{
    struct am_auto_request q = {.source = c->args[0],
                                .target = am_cli_value(c, "--target"),
                                .budget = am_cli_value(c, "--budget"),
                                .sets = c->many,
                                .n_sets = c->n_many};
    const char *trials = am_cli_value(c, "--trials"), *latency = am_cli_value(c, "--latency-us");
    struct am_node *r;
    int64_t n;
    double us;
    const struct am_str data = am_str(q.source);
    if (am_str_ends(data, AM_STR(".yaml")) || am_str_ends(data, AM_STR(".yml"))) {
        am_fail(&c->err, AM_EUSAGE, "--budget and --trials search over data, not over a recipe");
        am_hint(&c->err, "Give the data file, or write `tune: {budget: 5m, over: ...}` into the "
                         "recipe.");
        return am_cli_fail(c);
    }
    if (!q.target) {
        am_fail(&c->err, AM_EUSAGE, "which column is to be predicted?");
        am_hint(&c->err, "Name it with --target COLUMN; `aimass profile DATA` lists the columns.");
        return am_cli_fail(c);
    }
    if (trials) {
        if (!am_parse_i64(am_str(trials), &n) || n < 1 || n > 400) {
            am_fail(&c->err, AM_EUSAGE, "--trials \"%s\" is no number from 1 to 400", trials);
            return am_cli_fail(c);
        }
        q.n_trials = (uint64_t)n;
    }
    if (latency) {
        if (!am_parse_double(am_str(latency), AM_NUM_FINITE, &us) || !(us > 0)) {
            am_fail(&c->err, AM_EUSAGE, "--latency-us \"%s\" is no positive number", latency);
            return am_cli_fail(c);
        }
        q.latency_us = us;
    }
    if (am_cli_open(c) != AM_OK ||
        am_platform_auto(c->platform, c->arena, &q, &r, &c->err) != AM_OK)
        return am_cli_fail(c);
    return am_cli_done(c, r, show_auto);
}

/* ---- advise ---- */

static void show_families(const struct am_node *list)
{
    static const char *const headers[] = {AM_N("family"),  AM_N("training"), AM_N("memory"),
                                          AM_N("one row"), AM_N("size"),     AM_N("why")};
    struct am_grid *g = am_grid_new(headers, 6);
    for (size_t i = 0; list && i < list->list.n; i++) {
        const struct am_node *m = list->list.items[i];
        if (!am_node_bool(m, "suits", false))
            continue;
        am_grid_text(g, am_node_str(m, "family", ""));
        seconds_cell(g, am_node_get(m, "fit_seconds"));
        bytes_cell(g, am_node_get(m, "memory_bytes"));
        latency_cell(g, am_node_get(m, "latency_us"));
        bytes_cell(g, am_node_get(m, "model_bytes"));
        am_grid_text(g, am_node_str(m, "why", ""));
    }
    am_grid_print(g);
    for (size_t i = 0; list && i < list->list.n; i++)
        if (!am_node_bool(list->list.items[i], "suits", false))
            am_say(am_tr("not %.*s: %.*s\n"),
                   AM_FMT(am_node_str(list->list.items[i], "family", "")),
                   AM_FMT(am_node_str(list->list.items[i], "why", "")));
}

static void show_advice(struct am_cli *c, const struct am_node *r)
{
    const struct am_node *q = am_node_get(r, "quality"), *p = am_node_get(r, "portfolio");
    (void)c;
    am_say(am_tr("%lld rows, %lld columns, %lld features; task %.*s\n\n"),
           (long long)am_node_i64(r, "rows", 0), (long long)am_node_i64(r, "columns", 0),
           (long long)am_node_i64(r, "features", 0), AM_FMT(am_node_str(r, "task", "")));
    show_families(am_node_get(r, "families"));
    am_say("\n");
    for (size_t i = 0; q && i < q->list.n; i++) {
        const struct am_str column = am_node_str(q->list.items[i], "column", "");
        const struct am_str remedy = am_node_str(q->list.items[i], "remedy", "");
        am_say("! %.*s%s%.*s\n", AM_FMT(column), column.len ? ": " : "",
               AM_FMT(am_node_str(q->list.items[i], "text", "")));
        if (remedy.len)
            am_say("  %.*s\n", AM_FMT(remedy));
    }
    am_say(am_tr("\nfirst, `aimass run DATA --target T --budget 5m` tries (%.0f s in all):\n"),
           ceil(am_node_f64(r, "run_seconds", 0)));
    for (size_t i = 0; p && i < p->list.n; i++)
        am_say("  %.*s\n", AM_FMT(am_node_str(p->list.items[i], "model", "")));
}

enum am_exit am_cmd_advise(struct am_cli *c)
{
    struct am_node *r;
    if (am_cli_open(c) != AM_OK ||
        am_platform_advise(c->platform, c->arena, c->args[0], am_cli_value(c, "--target"), &r,
                           &c->err) != AM_OK)
        return am_cli_fail(c);
    return am_cli_done(c, r, show_advice);
}

/* ---- one model in place of an ensemble ---- */

static void show_single(struct am_cli *c, const struct am_node *r)
{
    static const char *const headers[] = {AM_N("metric"), AM_N("before"), AM_N("now"),
                                          AM_N("difference")};
    const struct am_node *lost = am_node_get(r, "lost");
    am_show_trained(c, r);
    am_say(am_tr("\nbeside %.*s on the same rows\n"), AM_FMT(am_node_str(r, "parent", "")));
    struct am_grid *g = am_grid_new(headers, 4);
    for (size_t i = 0; lost && i < lost->map.n; i++) {
        am_grid_text(g, lost->map.pairs[i].key);
        number_cell(g, am_node_get(lost->map.pairs[i].value, "parent"));
        number_cell(g, am_node_get(lost->map.pairs[i].value, "now"));
        number_cell(g, am_node_get(lost->map.pairs[i].value, "difference"));
    }
    am_grid_print(g);
}

static enum am_exit single(struct am_cli *c, bool distil)
{
    struct am_single_request q = {
        .model = c->args[0], .type = am_cli_value(c, "--type"), .distil = distil, .alpha = 0.7};
    const char *alpha = distil ? am_cli_value(c, "--alpha") : NULL;
    struct am_node *r;
    if (alpha && !am_parse_double(am_str(alpha), AM_NUM_FINITE, &q.alpha)) {
        am_fail(&c->err, AM_EUSAGE, "--alpha \"%s\" is no number", alpha);
        return am_cli_fail(c);
    }
    if (am_cli_open(c) != AM_OK ||
        am_platform_single(c->platform, c->arena, &q, &r, &c->err) != AM_OK)
        return am_cli_fail(c);
    return am_cli_done(c, r, show_single);
}

enum am_exit am_cmd_refit(struct am_cli *c)
{
    return single(c, false);
}

enum am_exit am_cmd_distil(struct am_cli *c)
{
    return single(c, true);
}
