/* recommend and similar: lists of a recommender in the terminal. */
#include "base/num.h"
#include "cli/cli.h"

static bool count(struct am_cli *c, uint64_t *out)
{
    const char *s = am_cli_value(c, "--count");
    *out = 10;
    if (!s || (am_parse_u64(am_str(s), 1000, out) && *out >= 1))
        return true;
    am_fail(&c->err, AM_EUSAGE, "--count needs a whole number from 1 to 1000, not \"%s\"", s);
    return false;
}

static void show_list(struct am_cli *c, const struct am_node *r)
{
    (void)c;
    const bool items = am_node_get(r, "items") != NULL;
    const struct am_node *list = am_node_get(r, items ? "items" : "users");
    const char *const headers[] = {items ? AM_N("item") : AM_N("user"), AM_N("score")};
    struct am_str note = am_node_str(r, "note", "");
    if (note.len)
        am_say("%.*s\n", AM_FMT(note));
    struct am_grid *g = am_grid_new(headers, 2);
    for (size_t i = 0; list && i < list->list.n; i++) {
        am_grid_node(g, am_node_get(list->list.items[i], items ? "item" : "user"));
        am_grid_node(g, am_node_get(list->list.items[i], "score"));
    }
    am_grid_print(g);
}

static enum am_exit run(struct am_cli *c, unsigned what, const char *name)
{
    struct am_node *r = NULL;
    uint64_t n;
    if (!count(c, &n))
        return am_cli_fail(c);
    if (am_cli_open(c) != AM_OK || am_platform_recommend(c->platform, c->arena, c->args[0], what,
                                                         name, (size_t)n, &r, &c->err) != AM_OK)
        return am_cli_fail(c);
    return am_cli_done(c, r, show_list);
}

enum am_exit am_cmd_recommend(struct am_cli *c)
{
    const char *user = am_cli_value(c, "--user");
    if (user)
        return run(c, 0, user);
    am_fail(&c->err, AM_EUSAGE, "recommend needs --user");
    am_hint(&c->err, "An unknown user gets what is popular.");
    return am_cli_fail(c);
}

enum am_exit am_cmd_similar(struct am_cli *c)
{
    const char *item = am_cli_value(c, "--item"), *user = am_cli_value(c, "--user");
    if (!item == !user) {
        am_fail(&c->err, AM_EUSAGE, "similar needs one of --item and --user");
        return am_cli_fail(c);
    }
    return run(c, item ? 1 : 2, item ? item : user);
}
