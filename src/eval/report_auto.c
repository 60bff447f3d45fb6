/* The report's parts of a search over models: the leaderboard with what was chosen and why, and the
 * comparison of a model with the one that it replaces. Pure; any thread. */
#include "eval/html_int.h"

#define SHOWN 60

static void cell_text(struct am_buf *o, const struct am_node *m, const char *key)
{
    am_buf_cstr(o, "<td>");
    am_html_field(o, m, key);
    am_buf_cstr(o, "</td>");
}

static void cell_number(struct am_buf *o, const struct am_node *m, const char *key, double factor)
{
    double v;
    am_buf_cstr(o, "<td>");
    if (am_node_as_f64(am_node_get(m, key), &v))
        am_buf_printf(o, "%.4g", v * factor);
    am_buf_cstr(o, "</td>");
}

static void board_row(struct am_buf *o, const struct am_node *m)
{
    const bool chosen = am_node_bool(m, "chosen", false);
    am_buf_cstr(o, chosen ? "<tr><td><b>" : "<tr><td>");
    am_html_field(o, m, "name");
    am_buf_cstr(o, chosen ? "</b></td>" : "</td>");
    cell_text(o, m, "origin");
    cell_number(o, m, "loss", 1);
    cell_number(o, m, "deviation", 1);
    cell_number(o, m, "fit_seconds", 1);
    cell_number(o, m, "latency_us", 1);
    cell_number(o, m, "bytes", 1e-3);
    am_buf_cstr(o, "<td>");
    am_html_field(o, m, am_node_get(m, "reason") ? "reason" : "status");
    am_buf_cstr(o, "</td><td class='mute'>");
    am_html_field(o, m, "model");
    am_buf_cstr(o, "</td></tr>\n");
}

void am_html_leaderboard(struct am_buf *o, const struct am_node *r)
{
    const struct am_node *list = am_html_items(r, "leaderboard"), *s = am_node_get(r, "search");
    const struct am_node *skipped = am_html_items(s, "skipped");
    if (!list)
        return;
    am_html_heading(o, "Which models were compared?");
    am_buf_cstr(o, "<p>");
    am_html_field(o, s, "why");
    am_buf_printf(o, "</p>\n<div class='wide'><table><tr><th>%s</th><th></th><th>%s (",
                  am_tr("model"), am_tr("loss"));
    am_html_field(o, s, "metric");
    am_buf_printf(o,
                  ")</th><th>%s</th><th>%s</th><th>%s</th><th>%s</th><th>%s</th><th>%s</th></tr>\n",
                  am_tr("deviation of the folds"), am_tr("training, s"), am_tr("one row, us"),
                  am_tr("size, KB"), am_tr("state"), am_tr("settings"));
    for (size_t i = 0; i < list->list.n && i < SHOWN; i++)
        board_row(o, list->list.items[i]);
    am_buf_cstr(o, "</table></div>\n");
    for (size_t i = 0; skipped && i < skipped->list.n; i++) {
        am_buf_printf(o, "<p class='mute'>%s <b>", am_tr("left out:"));
        am_html_field(o, skipped->list.items[i], "family");
        am_buf_cstr(o, "</b>, ");
        am_html_field(o, skipped->list.items[i], "reason");
        am_buf_cstr(o, "</p>\n");
    }
    am_buf_printf(
        o, "<p class='mute'>%s</p>\n",
        am_tr("Losses are of rows that the model had not seen: folds of the training rows. "
              "Test rows chose nothing. In bold: what the registered model is made of."));
}

void am_html_parent(struct am_buf *o, const struct am_node *r)
{
    static const char *const parts[] = {"test", "validation", "train"};
    const struct am_node *p = am_node_get(r, "parent"), *before = am_node_get(p, "metrics");
    const struct am_node *now = NULL;
    for (size_t i = 0; i < 3 && !now; i++)
        now = am_node_get(am_node_get(r, "metrics"), parts[i]);
    if (!before || !now || now->kind != AM_NODE_MAP)
        return;
    am_html_heading(o, "What is lost?");
    am_buf_printf(o, "<div class='wide'><table><tr><th>%s</th><th>", am_tr("metric"));
    am_html_field(o, p, "model");
    am_buf_printf(o, "</th><th>%s</th></tr>\n", am_tr("this model"));
    for (size_t i = 0; i < now->map.n; i++) {
        const struct am_node *was = am_node_get_str(before, now->map.pairs[i].key);
        if (!was)
            continue;
        am_buf_cstr(o, "<tr><td>");
        am_html_text(o, now->map.pairs[i].key);
        am_buf_cstr(o, "</td><td>");
        am_html_number(o, was);
        am_buf_cstr(o, "</td><td>");
        am_html_number(o, now->map.pairs[i].value);
        am_buf_cstr(o, "</td></tr>\n");
    }
    am_buf_printf(o, "</table></div>\n<p class='mute'>%s</p>\n",
                  am_tr("Both on the same rows, which neither was fitted to."));
}
