/* The study command: the trials of a run, one in a row. */
#include <math.h>

#include "base/num.h"
#include "cli/cli.h"

static struct am_str values_text(struct am_cli *c, const struct am_node *trial)
{
    const struct am_node *v = am_node_get(trial, "values");
    struct am_buf b, one;
    am_buf_init(&b, 4096);
    am_buf_init(&one, 1024);
    for (size_t i = 0; v && i < v->map.n; i++) {
        struct am_str s;
        double d;
        am_buf_reset(&one);
        if (v->map.pairs[i].value->kind == AM_NODE_REAL &&
            am_node_as_f64(v->map.pairs[i].value, &d))
            am_buf_printf(&one, "%.4g", d);
        else if (am_node_as_str(v->map.pairs[i].value, &s))
            am_buf_str(&one, s);
        else
            am_node_to_json(v->map.pairs[i].value, AM_JSON_COMPACT, &one);
        am_buf_printf(&b, "%s%.*s=%.*s", i ? " " : "", AM_FMT(v->map.pairs[i].key),
                      AM_FMT(am_buf_view(&one)));
    }
    struct am_str s = am_arena_str(c->arena, am_buf_view(&b));
    am_buf_clear(&b);
    am_buf_clear(&one);
    return s;
}

static void number_cell(struct am_grid *g, double v)
{
    const struct am_node n = {.kind = AM_NODE_REAL, .real = v};
    if (isnan(v))
        am_grid_text(g, am_str("-"));
    else
        am_grid_node(g, &n);
}

/* A metric's mean, or a figure of the trial itself. */
static void objective_cell(struct am_grid *g, const struct am_node *trial, struct am_str name)
{
    const struct am_node *m = am_node_get_str(am_node_get(trial, "metrics"), name);
    double v = NAN;
    if (m)
        v = am_node_f64(m, "mean", NAN);
    else if (!am_node_as_f64(am_node_get_str(trial, name), &v))
        v = NAN;
    number_cell(g, v);
}

#define OBJECTIVES 8

static void show_trials(struct am_cli *c, const struct am_node *trials,
                        const struct am_node *objectives)
{
    const char *headers[OBJECTIVES + 5] = {AM_N("trial"), AM_N("status")};
    struct am_str names[OBJECTIVES];
    size_t n = 0, k = 2;
    for (size_t i = 0; objectives && i < objectives->list.n && n < OBJECTIVES; i++)
        names[n++] = am_node_str(objectives->list.items[i], "name", "");
    for (size_t i = 0; i < n; i++)
        headers[k++] = am_arena_str(c->arena, names[i]).ptr;
    headers[k++] = AM_N("seconds");
    headers[k++] = AM_N("settings");
    headers[k++] = AM_N("why");
    struct am_grid *g = am_grid_new(headers, k);
    for (size_t i = 0; trials && i < trials->list.n; i++) {
        const struct am_node *t = trials->list.items[i];
        am_grid_node(g, am_node_get(t, "number"));
        am_grid_text(g, am_node_str(t, "status", ""));
        for (size_t m = 0; m < n; m++)
            objective_cell(g, t, names[m]);
        number_cell(g, am_node_f64(t, "seconds", NAN));
        am_grid_text(g, values_text(c, t));
        am_grid_text(g, am_node_str(t, "why", ""));
    }
    am_grid_print(g);
}

/* A running study says no objectives yet: the first metric of its trials stands for them. */
static const struct am_node *objectives_of(struct am_cli *c, const struct am_node *r)
{
    const struct am_node *o = am_node_get(r, "objectives"), *trials = am_node_get(r, "trials");
    struct am_node *list = am_new_list(c->arena), *m = am_new_map(c->arena);
    if (o)
        return o;
    for (size_t i = 0; trials && i < trials->list.n; i++) {
        const struct am_node *metrics = am_node_get(trials->list.items[i], "metrics");
        if (!metrics || metrics->map.n == 0)
            continue;
        am_node_set(c->arena, m, "name", am_new_str(c->arena, metrics->map.pairs[0].key));
        am_node_push(c->arena, list, m);
        break;
    }
    return list;
}

static void show_study(struct am_cli *c, const struct am_node *r)
{
    const struct am_node *best = am_node_get(r, "best"), *important = am_node_get(r, "importance"),
                         *around = am_node_get(r, "nested"), *goals = objectives_of(c, r);
    am_say(am_tr("run %.12s  %.*s  %.*s\n\n"), am_node_str(r, "run", "").ptr,
           AM_FMT(am_node_str(r, "name", "")), AM_FMT(am_node_str(r, "state", "")));
    show_trials(c, am_node_get(r, "trials"), goals);
    for (size_t i = 0; around && i < around->list.n; i++) {
        am_say(am_tr("\naround fold %lld\n"),
               (long long)am_node_i64(around->list.items[i], "fold", 0));
        show_trials(c, am_node_get(around->list.items[i], "trials"), goals);
    }
    if (best)
        am_say(am_tr("\nbest: trial %lld\n"), (long long)am_node_i64(best, "trial", 0));
    for (size_t i = 0; important && i < important->list.n; i++) {
        am_say_field(am_str(i ? "" : am_tr("matters")), 10, AM_SIDE_LEFT);
        am_say_field(am_node_str(important->list.items[i], "name", ""), 28, AM_SIDE_LEFT);
        am_say(" %.3f\n", am_node_f64(important->list.items[i], "share", NAN));
    }
}

enum am_exit am_cmd_study(struct am_cli *c)
{
    struct am_node *r;
    if (am_cli_open(c) != AM_OK ||
        am_platform_study(c->platform, c->arena, c->args[0], &r, &c->err) != AM_OK)
        return am_cli_fail(c);
    return am_cli_done(c, r, show_study);
}
