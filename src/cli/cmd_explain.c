/* Explain: the page about one prediction, and the gist of it in the terminal. */
#include <math.h>

#include "base/num.h"
#include "cli/cli.h"

#define SHOWN 8 /* words and columns in the terminal; the page has them all */

static void show_answer(const struct am_node *r)
{
    const struct am_node *p = am_node_get(r, "prediction"), *list = am_node_get(r, "classes");
    static const char *const headers[] = {AM_N("class"), AM_N("probability")};
    if (!list) {
        am_say(am_tr("value %.6g\n"), am_node_f64(p, "value", NAN));
        return;
    }
    struct am_grid *g = am_grid_new(headers, 2);
    for (size_t i = 0; i < list->list.n; i++) {
        const struct am_node *label = am_node_get(list->list.items[i], "label");
        if (label && label->kind == AM_NODE_BOOL) /* as it is written in the data */
            am_grid_text(g, am_str(label->boolean ? "true" : "false"));
        else
            am_grid_node(g, label);
        am_grid_node(g, am_node_get(list->list.items[i], "probability"));
    }
    am_grid_print(g);
}

static void show_columns(const struct am_node *r)
{
    const struct am_node *list = am_node_get(r, "columns");
    static const char *const headers[] = {AM_N("column"), AM_N("value"), AM_N("effect")};
    if (!list || list->list.n == 0)
        return;
    am_say("\n");
    struct am_grid *g = am_grid_new(headers, 3);
    for (size_t i = 0; i < list->list.n && i < SHOWN; i++) {
        am_grid_node(g, am_node_get(list->list.items[i], "column"));
        am_grid_node(g, am_node_get(list->list.items[i], "value"));
        am_grid_node(g, am_node_get(list->list.items[i], "effect"));
    }
    am_grid_print(g);
}

/* The strongest words of a text, in falling order. */
static void show_words(const struct am_node *text)
{
    const struct am_node *list = am_node_get(text, "words");
    static const char *const headers[] = {AM_N("word"), AM_N("effect")};
    double below = INFINITY;
    if (!list || list->list.n == 0)
        return;
    am_say("\n");
    struct am_grid *g = am_grid_new(headers, 2);
    for (size_t shown = 0; shown < SHOWN;) {
        double next = -1;
        for (size_t i = 0; i < list->list.n; i++) {
            double v = fabs(am_node_f64(list->list.items[i], "effect", 0));
            next = v < below && v > next ? v : next;
        }
        if (next <= 0)
            break;
        for (size_t i = 0; i < list->list.n && shown < SHOWN; i++) {
            const struct am_node *m = list->list.items[i];
            if (fabs(am_node_f64(m, "effect", 0)) != next)
                continue;
            am_grid_text(g, am_str_trim(am_node_str(m, "text", "")));
            am_grid_node(g, am_node_get(m, "effect"));
            shown++;
        }
        below = next;
    }
    am_grid_print(g);
}

static void show_explained(struct am_cli *c, const struct am_node *r)
{
    const struct am_node *texts = am_node_get(r, "words");
    (void)c;
    show_answer(r);
    for (size_t i = 0; texts && i < texts->list.n; i++)
        show_words(texts->list.items[i]);
    show_columns(r);
    am_say(am_tr("\npage     %.*s\n"), AM_FMT(am_node_str(r, "page", "")));
}

enum am_exit am_cmd_explain(struct am_cli *c)
{
    const char *row = am_cli_value(c, "--row");
    const bool piped = strcmp(c->args[1], "-") == 0;
    struct am_explain_request q = {.model = c->args[0],
                                   .source = piped ? NULL : c->args[1],
                                   .class_name = am_cli_value(c, "--class"),
                                   .page = am_cli_value(c, "--output")};
    struct am_node *r = NULL;
    struct am_buf in;
    am_buf_init(&in, (size_t)1 << 30);
    if (row && (!am_parse_u64(am_str(row), UINT64_MAX, &q.row) || q.row == 0)) {
        am_fail(&c->err, AM_EUSAGE, "--row %s is not a row's number", row);
        am_hint(&c->err, "Rows are counted from 1.");
        return am_cli_fail(c);
    }
    if (!q.page && !c->json)
        q.page = "explain.html";
    enum am_rc rc = am_cli_open(c);
    if (rc == AM_OK && piped)
        rc = am_read_stdin(&in, &c->err);
    q.bytes = am_buf_view(&in);
    if (rc == AM_OK)
        rc = am_platform_explain(c->platform, c->arena, &q, &r, &c->err);
    am_buf_clear(&in);
    return rc == AM_OK ? am_cli_done(c, r, show_explained) : am_cli_fail(c);
}
