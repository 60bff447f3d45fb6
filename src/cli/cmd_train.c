/* Commands that make and measure models: train, run, resume, evaluate, verify. */
#include <math.h>

#include "base/num.h"
#include "cli/cli.h"

static void show_number(const struct am_node *v)
{
    double d;
    if (am_node_as_f64(v, &d) && isfinite(d))
        am_say("  %10.4f", d);
    else
        am_say("  %10s", "-");
}

static void show_metrics(const struct am_node *r)
{
    static const char *const parts[] = {"train", "validation", "test", "baseline"};
    static const char *const names[] = {AM_N("training"), AM_N("validation"), AM_N("test"),
                                        AM_N("baseline")};
    const struct am_node *m = am_node_get(r, "metrics"), *bands = am_node_get(r, "intervals"),
                         *rows = NULL;
    for (size_t k = 0; k < 4; k++)
        if (!rows && am_node_get(m, parts[k]))
            rows = am_node_get(m, parts[k]);
    am_say_field(am_str(am_tr("metric")), 20, AM_SIDE_LEFT);
    for (size_t k = 0; k < 4; k++) {
        am_say("  ");
        am_say_field(am_str(am_tr(names[k])), 10, AM_SIDE_RIGHT);
    }
    am_say("  %s\n", am_tr(/* xgettext:no-c-format */ "95 % interval"));
    for (size_t i = 0; rows && i < rows->map.n; i++) {
        struct am_str key = rows->map.pairs[i].key;
        const struct am_node *b = am_node_get_str(bands, key);
        am_say_field(key, 20, AM_SIDE_LEFT);
        for (size_t k = 0; k < 4; k++)
            show_number(am_node_get_str(am_node_get(m, parts[k]), key));
        if (b)
            am_say("  %.4f .. %.4f", am_node_f64(b, "low", NAN), am_node_f64(b, "high", NAN));
        am_say("\n");
    }
}

/* What the search found, in a line. */
static void show_search(const struct am_node *r)
{
    const struct am_node *study = am_node_get(r, "study"), *best = am_node_get(study, "best"),
                         *goals = am_node_get(study, "objectives");
    struct am_str run = am_node_str(r, "run", ""), goal = AM_STR("");
    if (!best)
        return;
    if (goals && goals->list.n)
        goal = am_node_str(goals->list.items[0], "name", "");
    am_say(
        am_tr("\nsearch   %lld trials, the best is trial %lld with %.*s %.4f; aimass study %.12s"),
        (long long)am_node_i64(study, "trials", 0), (long long)am_node_i64(best, "trial", 0),
        AM_FMT(goal), am_node_f64(best, "objective", NAN), run.ptr);
}

static void show_trained(struct am_cli *c, const struct am_node *r)
{
    const struct am_node *advice = am_node_get(r, "advice"), *aliases = am_node_get(r, "aliases");
    const struct am_node *folds = am_node_get(am_node_get(r, "folds"), "metrics");
    struct am_str kept = am_node_str(r, "alias_kept", "");
    am_say_import(c, am_node_get(r, "files"));
    show_metrics(r);
    for (size_t i = 0; folds && i < folds->map.n; i++) {
        const struct am_node *v = folds->map.pairs[i].value;
        am_say_field(am_str(i ? "" : am_tr("over folds")), 11, AM_SIDE_LEFT);
        am_say_field(folds->map.pairs[i].key, 18, AM_SIDE_LEFT);
        am_say(" %.4f +- %.4f\n", am_node_f64(v, "mean", NAN), am_node_f64(v, "deviation", NAN));
    }
    am_say("\n");
    for (size_t i = 0; advice && i < advice->list.n; i++)
        am_say("! %.*s\n  %.*s\n", AM_FMT(am_node_str(advice->list.items[i], "text", "")),
               AM_FMT(am_node_str(advice->list.items[i], "remedy", "")));
    am_say(am_tr("\nmodel    %.*s version %lld"), AM_FMT(am_node_str(r, "model", "")),
           (long long)am_node_i64(r, "version", 0));
    for (size_t i = 0; aliases && i < aliases->list.n; i++) {
        struct am_str s;
        if (am_node_as_str(aliases->list.items[i], &s))
            am_say(" @%.*s", AM_FMT(s));
    }
    if (kept.len)
        am_say(am_tr("  (alias kept where it was: %.*s)"), AM_FMT(kept));
    show_search(r);
    am_say(am_tr("\nrun      %.*s (%.1f s)\ndata     %.*s\nreport   %.*s\npackage  %.*s\n"),
           AM_FMT(am_node_str(r, "run", "")), am_node_f64(r, "seconds", 0),
           AM_FMT(am_node_str(r, "dataset", "")), AM_FMT(am_node_str(r, "report", "")),
           AM_FMT(am_node_str(r, "package", "")));
    struct am_str model = am_node_str(r, "model", "");
    if (model.len && am_node_i64(r, "version", 0))
        am_say(am_tr("next     aimass predict %.*s DATA; aimass explain %.*s DATA; aimass serve\n"),
               AM_FMT(model), AM_FMT(model));
}

void am_show_trained(struct am_cli *c, const struct am_node *r)
{
    show_trained(c, r);
}

enum am_exit am_cmd_train(struct am_cli *c)
{
    struct am_recipe_ref ref = {.path = c->args[0], .sets = c->many, .n_sets = c->n_many};
    struct am_node *r;
    if (am_cli_open(c) != AM_OK ||
        am_platform_train(c->platform, c->arena, &ref, &r, &c->err) != AM_OK)
        return am_cli_fail(c);
    return am_cli_done(c, r, show_trained);
}

enum am_exit am_cmd_resume(struct am_cli *c)
{
    struct am_node *r;
    if (am_cli_open(c) != AM_OK ||
        am_platform_resume(c->platform, c->arena, c->args[0], &r, &c->err) != AM_OK)
        return am_cli_fail(c);
    return am_cli_done(c, r, show_trained);
}

/* The starter recipe that `init` would write, trained at once; a recipe is trained as it is. */
enum am_exit am_cmd_run(struct am_cli *c)
{
    const struct am_str data = am_str(c->args[0]);
    if (am_cli_value(c, "--budget") || am_cli_value(c, "--trials"))
        return am_cmd_auto(c);
    if (am_str_ends(data, AM_STR(".yaml")) || am_str_ends(data, AM_STR(".yml")))
        return am_cmd_train(c);
    const char *target = am_cli_value(c, "--target");
    struct am_node *start, *r;
    if (am_cli_open(c) != AM_OK ||
        am_platform_init(c->platform, c->arena, c->args[0], target, am_cli_value(c, "--task"),
                         &start, &c->err) != AM_OK)
        return am_cli_fail(c);
    struct am_recipe_ref ref = {
        .text = am_node_str(start, "recipe", ""), .sets = c->many, .n_sets = c->n_many};
    if (am_platform_train(c->platform, c->arena, &ref, &r, &c->err) != AM_OK)
        return am_cli_fail(c);
    am_node_set(c->arena, r, "recipe", am_node_get(start, "recipe"));
    return am_cli_done(c, r, show_trained);
}

static void show_evaluated(struct am_cli *c, const struct am_node *r)
{
    static const char *const headers[] = {AM_N("metric"), AM_N("now"), AM_N("low"), AM_N("high"),
                                          AM_N("when trained (test)")};
    const struct am_node *m = am_node_get(r, "metrics"), *then = am_node_get(r, "trained");
    struct am_grid *g = am_grid_new(headers, 5);
    (void)c;
    am_say(am_tr("%.*s version %lld on %lld rows\n\n"), AM_FMT(am_node_str(r, "model", "")),
           (long long)am_node_i64(r, "version", 0), (long long)am_node_i64(r, "rows", 0));
    for (size_t i = 0; m && i < m->map.n; i++) {
        const struct am_node *b = am_node_get_str(am_node_get(r, "intervals"), m->map.pairs[i].key);
        am_grid_text(g, m->map.pairs[i].key);
        am_grid_node(g, m->map.pairs[i].value);
        am_grid_node(g, am_node_get(b, "low"));
        am_grid_node(g, am_node_get(b, "high"));
        am_grid_node(g, am_node_get_str(then, m->map.pairs[i].key));
    }
    am_grid_print(g);
}

enum am_exit am_cmd_evaluate(struct am_cli *c)
{
    struct am_node *r;
    if (am_cli_open(c) != AM_OK ||
        am_platform_evaluate(c->platform, c->arena, c->args[0], c->args[1], &r, &c->err) != AM_OK)
        return am_cli_fail(c);
    return am_cli_done(c, r, show_evaluated);
}

static void show_verified(struct am_cli *c, const struct am_node *r)
{
    (void)c;
    if (am_node_bool(r, "equal", false))
        am_say(
            am_tr(
                "%.*s version %lld: the retrained weights are equal bit by bit (promise: %.*s)\n"),
            AM_FMT(am_node_str(r, "model", "")), (long long)am_node_i64(r, "version", 0),
            AM_FMT(am_node_str(r, "promise", "")));
    else
        am_say(am_tr("%.*s version %lld: the retrained weights differ by at most %.3g (promise: "
                     "%.*s)\n"),
               AM_FMT(am_node_str(r, "model", "")), (long long)am_node_i64(r, "version", 0),
               am_node_f64(r, "max_difference", NAN), AM_FMT(am_node_str(r, "promise", "")));
}

enum am_exit am_cmd_verify(struct am_cli *c)
{
    struct am_node *r;
    if (am_cli_open(c) != AM_OK ||
        am_platform_verify(c->platform, c->arena, c->args[0], &r, &c->err) != AM_OK)
        return am_cli_fail(c);
    return am_cli_done(c, r, show_verified);
}
