/* Turns the explanation of one prediction into one HTML file; see report.h for the tree. Prints
 * only what is there; every text is escaped. Pure; any thread. */
#include <math.h>

#include "eval/html_int.h"

#define CLASSES_SHOWN 10
#define COLUMNS_SHOWN 100
#define BAR_PIXELS 200

static void bar(struct am_buf *o, double share, const char *kind)
{
    am_buf_printf(o, "<span class='bar%s' style='width:%.0fpx'></span>", kind,
                  isfinite(share) && share > 0 ? BAR_PIXELS * fmin(share, 1) : 0);
}

static void fact(struct am_buf *o, const char *label, const struct am_node *n)
{
    if (!n || am_node_is_null(n))
        return;
    am_buf_printf(o, "<span class='mute'>%s</span> ", am_tr(label));
    am_html_node(o, n);
    am_buf_cstr(o, " &emsp;");
}

static void answer(struct am_buf *o, const struct am_node *e)
{
    const struct am_node *p = am_node_get(e, "prediction"), *label = am_node_get(p, "label");
    am_buf_printf(o, "<p class='now'>%s <b>", am_tr("predicted"));
    if (label) {
        am_html_node(o, label);
        am_buf_cstr(o, "</b> <span class='mute'>(");
        am_html_number(o, am_node_get(p, "probability"));
        am_buf_cstr(o, ")</span>");
    } else {
        am_html_number(o, am_node_get(p, "value"));
        am_buf_cstr(o, "</b>");
    }
    am_buf_cstr(o, "</p>\n");
}

static void classes(struct am_buf *o, const struct am_node *e)
{
    const struct am_node *list = am_html_items(e, "classes");
    if (!list)
        return;
    am_buf_cstr(o, "<div class='wide'><table>\n");
    for (size_t i = 0; i < list->list.n && i < CLASSES_SHOWN; i++) {
        const struct am_node *m = list->list.items[i];
        am_buf_cstr(o, "<tr><td>");
        am_html_node(o, am_node_get(m, "label"));
        am_buf_cstr(o, "</td><td>");
        am_html_number(o, am_node_get(m, "probability"));
        am_buf_cstr(o, "</td><td class='left'>");
        bar(o, am_node_f64(m, "probability", 0), "");
        am_buf_cstr(o, "</td></tr>\n");
    }
    am_buf_cstr(o, "</table></div>\n");
}

/* The input and what in it counts, side by side. */
static void looks(struct am_buf *o, const struct am_node *e)
{
    const struct am_node *in = am_html_items(e, "input"), *list = am_html_items(e, "saliency");
    if (!in)
        return;
    am_html_heading(o, "What the model looks at");
    if (list)
        am_html_saliency_words(o);
    am_buf_cstr(o, "<div class='cards shown'>\n");
    for (size_t i = 0; i < in->list.n; i++) {
        am_buf_cstr(o, "<div>");
        am_html_image(o, in->list.items[i], AM_N("input"));
        am_buf_printf(o, "<br><span class='mute'>%s</span></div>\n", am_tr("as the model gets it"));
    }
    for (size_t i = 0; list && i < list->list.n; i++) {
        am_buf_cstr(o, "<div>");
        am_html_image(o, list->list.items[i], AM_N("picture"));
        am_buf_cstr(o, "<br><span class='mute'>");
        am_html_method(o, list->list.items[i]);
        am_buf_cstr(o, "</span></div>\n");
    }
    am_buf_cstr(o, "</div>\n");
}

/* Pictures of a video and what the answer loses without each. */
static void frames(struct am_buf *o, const struct am_node *e)
{
    const struct am_node *list = am_html_items(e, "frames");
    if (!list)
        return;
    am_html_heading(o, "Which frames matter?");
    am_buf_printf(o, "<p class='mute'>%s</p>\n<div class='cards'>\n",
                  am_tr("Each frame is covered once; the figure is what the answer loses."));
    for (size_t i = 0; i < list->list.n; i++) {
        const struct am_node *m = list->list.items[i];
        am_buf_cstr(o, "<div class='card'>");
        am_html_image(o, m, AM_N("picture"));
        am_buf_cstr(o, "<br><b>");
        am_html_number(o, am_node_get(m, "effect"));
        am_buf_printf(o, "</b> <span class='mute'>%s ", am_tr("frame"));
        am_html_node(o, am_node_get(m, "frame"));
        am_buf_cstr(o, "</span></div>\n");
    }
    am_buf_cstr(o, "</div>\n");
}

static double largest(const struct am_node *list)
{
    double top = 0;
    for (size_t i = 0; i < list->list.n; i++) {
        double v = fabs(am_node_f64(list->list.items[i], "effect", 0));
        top = isfinite(v) && v > top ? v : top;
    }
    return top;
}

static void word(struct am_buf *o, const struct am_node *m, double top)
{
    double v = am_node_f64(m, "effect", 0), strength = top > 0 ? fabs(v) / top : 0;
    if (isfinite(strength) && strength > 0.02)
        am_buf_printf(o, "<span style='background:rgba(%s,%.2f)'>",
                      v > 0 ? "220,38,38" : "37,99,235", 0.75 * strength);
    else
        am_buf_cstr(o, "<span>");
    am_html_field(o, m, "text");
    am_buf_cstr(o, "</span>");
}

static void words(struct am_buf *o, const struct am_node *e)
{
    const struct am_node *list = am_html_items(e, "words");
    if (!list)
        return;
    am_html_heading(o, "Which words matter?");
    am_buf_printf(o, "<p class='mute'>%s</p>\n",
                  am_tr("Each word is left out once. Red: without it the probability of the "
                        "explained class falls; blue: it rises; the stronger, the more."));
    for (size_t i = 0; i < list->list.n; i++) {
        const struct am_node *m = list->list.items[i], *w = am_html_items(m, "words");
        am_buf_cstr(o, "<p><span class='mute'>");
        am_html_field(o, m, "column");
        am_buf_cstr(o, "</span></p>\n<div class='words'>");
        double top = w ? largest(w) : 0;
        for (size_t k = 0; w && k < w->list.n; k++)
            word(o, w->list.items[k], top);
        am_buf_cstr(o, "</div>\n");
    }
}

static void columns(struct am_buf *o, const struct am_node *e)
{
    const struct am_node *list = am_html_items(e, "columns");
    if (!list)
        return;
    double top = largest(list);
    am_html_heading(o, "Which columns matter?");
    am_buf_printf(
        o,
        "<p class='mute'>%s</p>\n<div class='wide'><table><tr><th>%s</th><th>%s</th><th>%s</th>"
        "<th></th></tr>\n",
        am_tr("Each column is left out once, as if its value were missing. Blue bars: the answer "
              "falls without it; red bars: it rises."),
        am_tr("column"), am_tr("value"), am_tr("effect"));
    for (size_t i = 0; i < list->list.n && i < COLUMNS_SHOWN; i++) {
        const struct am_node *m = list->list.items[i];
        double v = am_node_f64(m, "effect", 0);
        am_buf_cstr(o, "<tr><td>");
        am_html_field(o, m, "column");
        am_buf_cstr(o, "</td><td>");
        am_html_field(o, m, "value");
        am_buf_cstr(o, "</td><td>");
        am_html_number(o, am_node_get(m, "effect"));
        am_buf_cstr(o, "</td><td class='left'>");
        bar(o, top > 0 ? fabs(v) / top : 0, v < 0 ? " against" : "");
        am_buf_cstr(o, "</td></tr>\n");
    }
    am_buf_cstr(o, "</table></div>\n");
}

void am_explanation_html(const struct am_node *e, struct am_buf *out)
{
    am_html_begin(out, am_node_str(e, "title", ""));
    am_buf_cstr(out, "<p>");
    fact(out, AM_N("model"), am_node_get(e, "model"));
    fact(out, AM_N("version"), am_node_get(e, "version"));
    fact(out, AM_N("file"), am_node_get(e, "file"));
    fact(out, AM_N("row"), am_node_get(e, "row"));
    fact(out, AM_N("explained class"), am_node_get(e, "explained"));
    am_buf_cstr(out, "</p>\n");
    answer(out, e);
    classes(out, e);
    looks(out, e);
    frames(out, e);
    words(out, e);
    columns(out, e);
    am_html_layers(out, e, "filters", AM_N("Filters of the first layer"));
    am_html_layers(out, e, "activations", AM_N("What the layers answer to this input"));
    am_html_end(out);
}
