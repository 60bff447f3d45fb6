/* The command find-rate: the learning-rate range test of a recipe. */
#include <math.h>

#include "base/num.h"
#include "cli/cli.h"

#define ROWS 20 /* of the table; the page and --json have all */

static bool number(struct am_cli *c, const char *flag, double *out)
{
    const char *s = am_cli_value(c, flag);
    if (!s || (am_parse_double(am_str(s), AM_NUM_FINITE, out) && *out > 0))
        return true;
    am_fail(&c->err, AM_EUSAGE, "%s needs a number above 0, not \"%s\"", flag, s);
    return false;
}

/* The loss as a bar between the curve's lowest and highest. */
static struct am_str bar(struct am_cli *c, const struct am_node *losses, size_t i)
{
    static const char full[] = "##############################";
    double low = INFINITY, high = -INFINITY, v = 0;
    for (size_t k = 0; k < losses->list.n; k++) {
        (void)am_node_as_f64(losses->list.items[k], &v);
        low = fmin(low, v);
        high = fmax(high, v);
    }
    (void)am_node_as_f64(losses->list.items[i], &v);
    double share = high > low ? (v - low) / (high - low) : 0;
    return am_arena_str(c->arena, (struct am_str){full, (size_t)(share * (sizeof full - 1))});
}

static void show_rates(struct am_cli *c, const struct am_node *r)
{
    static const char *const headers[] = {AM_N("learning rate"), AM_N("loss"), ""};
    const struct am_node *rates = am_node_get(r, "rates"), *losses = am_node_get(r, "losses");
    const size_t n = rates && losses ? rates->list.n : 0,
                 step = n > ROWS ? (n + ROWS - 1) / ROWS : 1;
    struct am_str page = am_node_str(r, "page", "");
    struct am_grid *g = am_grid_new(headers, 3);
    double v;
    for (size_t i = 0; i < n; i += step) {
        (void)am_node_as_f64(rates->list.items[i], &v);
        am_grid_text(g, am_arena_printf(c->arena, "%.2e", v));
        am_grid_node(g, losses->list.items[i]);
        am_grid_text(g, bar(c, losses, i));
    }
    am_grid_print(g);
    if (am_node_as_f64(am_node_get(r, "suggestion"), &v))
        am_say(am_tr("\nsuggested learning rate  %.3g (the recipe has %.3g)\n"), v,
               am_node_f64(r, "learning_rate", NAN));
    else
        am_say("\n%s\n", am_tr("The loss falls at none of these rates."));
    if (page.len)
        am_say(am_tr("curve    %.*s\n"), AM_FMT(page));
}

enum am_exit am_cmd_find_rate(struct am_cli *c)
{
    const struct am_recipe_ref ref = {.path = c->args[0], .sets = c->many, .n_sets = c->n_many};
    struct am_find_rate_request q = {.page = am_cli_value(c, "--output")};
    const char *steps = am_cli_value(c, "--steps");
    uint64_t n = 0;
    struct am_node *r;
    if (!q.page && !c->json)
        q.page = "find-rate.html";
    if (q.page && strcmp(q.page, "-") == 0)
        q.page = NULL;
    if (!number(c, "--from", &q.lowest) || !number(c, "--to", &q.highest))
        return am_cli_fail(c);
    if (steps && (!am_parse_u64(am_str(steps), 1000, &n) || n < 2)) {
        am_fail(&c->err, AM_EUSAGE, "--steps needs a number from 2 to 1000, not \"%s\"", steps);
        return am_cli_fail(c);
    }
    q.n_steps = (size_t)n;
    if (am_cli_open(c) != AM_OK ||
        am_platform_find_rate(c->platform, c->arena, &ref, &q, &r, &c->err) != AM_OK)
        return am_cli_fail(c);
    return am_cli_done(c, r, show_rates);
}
