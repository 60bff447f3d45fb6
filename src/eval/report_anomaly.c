/* The report's sections of models that learn rows: the histogram of anomaly scores with the
 * threshold, how many rows reach it, and the columns that come back worst.
 *
 * Prints nothing where the report has no "scores". Texts are escaped. Pure; any thread. */
#include <math.h>

#include "base/alloc.h"
#include "eval/html_int.h"

#define COLUMNS_SHOWN 30
#define BINS_SHOWN 200

static size_t heights(const struct am_node *list, double *out)
{
    size_t n = list && list->kind == AM_NODE_LIST ? list->list.n : 0;
    n = n < BINS_SHOWN ? n : BINS_SHOWN;
    for (size_t i = 0; i < n; i++)
        if (!am_node_as_f64(list->list.items[i], &out[i]))
            out[i] = 0;
    return n;
}

/* The share of rows in a bin on a root scale: a few anomalies stay visible beside many normal rows.
 */
static void histogram(struct am_buf *o, const struct am_node *s, const struct am_node *threshold)
{
    double x[BINS_SHOWN], all[BINS_SHOWN], bad[BINS_SHOWN], line_x[2], line_y[2] = {0, 0}, v;
    size_t n = heights(am_node_get(s, "n"), all), k = 0;
    bool labels = heights(am_node_get(s, "anomalous"), bad) == n;
    struct am_svg_series series[3];
    double low = am_node_f64(s, "low", 0), width = am_node_f64(s, "width", 1);
    for (size_t i = 0; i < n; i++) {
        x[i] = low + (double)i * width;
        all[i] = sqrt(all[i]);
        bad[i] = labels ? sqrt(bad[i]) : 0;
        line_y[1] = fmax(line_y[1], all[i]);
    }
    series[k++] = (struct am_svg_series){
        .x = x, .y = all, .n = n, .kind = AM_SVG_BARS, .name = am_tr("all rows")};
    if (labels)
        series[k++] = (struct am_svg_series){
            .x = x, .y = bad, .n = n, .kind = AM_SVG_BARS, .name = am_tr("labelled as anomalies")};
    if (am_node_as_f64(threshold, &v)) {
        line_x[0] = line_x[1] = v;
        series[k++] = (struct am_svg_series){
            .x = line_x, .y = line_y, .n = 2, .kind = AM_SVG_LINE, .name = am_tr("threshold")};
    }
    am_buf_cstr(o, "<div class='plots'>\n");
    am_svg_draw(&(struct am_svg_plot){.title = am_tr("Anomaly scores"),
                                      .x_label = am_tr("anomaly score"),
                                      .y_label = am_tr("square root of the rows"),
                                      .series = series,
                                      .n_series = k},
                o);
    am_buf_cstr(o, "</div>\n");
}

static void words(struct am_buf *o, const struct am_node *r)
{
    const struct am_node *t = am_node_get(r, "threshold");
    am_buf_printf(o, "<p class='mute'>%s ",
                  am_tr("The anomaly score of a row is the mean squared distance to what the model "
                        "gives back, in scaled features."));
    if (t) {
        am_buf_printf(o, "%s <b>", am_tr("A row is an anomaly from this score on:"));
        am_html_number(o, t);
        am_buf_printf(o, "</b> (%s ", am_tr("the share of the validation rows that reach it:"));
        am_html_number(o, am_node_get(r, "contamination"));
        am_buf_cstr(o, "). ");
    }
    am_buf_printf(o, "%s %lld.</p>\n", am_tr("Rows beyond the last bar, which holds them too:"),
                  (long long)am_node_i64(am_node_get(r, "scores"), "above", 0));
}

static void columns(struct am_buf *o, const struct am_node *r)
{
    const struct am_node *list = am_html_items(r, "column_errors");
    double top = 0;
    if (!list)
        return;
    am_html_heading(o, "Which columns come back badly?");
    am_buf_printf(
        o, "<p class='mute'>%s</p><table>\n",
        am_tr("Mean squared error of each column's numbers, in scaled features: near 1 it "
              "is no better than the mean."));
    for (size_t i = 0; i < list->list.n; i++)
        top = fmax(top, am_node_f64(list->list.items[i], "error", 0));
    for (size_t i = 0; i < list->list.n && i < COLUMNS_SHOWN; i++) {
        double v = am_node_f64(list->list.items[i], "error", 0);
        am_buf_cstr(o, "<tr><td>");
        am_html_field(o, list->list.items[i], "column");
        am_buf_cstr(o, "</td><td>");
        am_html_number(o, am_node_get(list->list.items[i], "error"));
        am_buf_printf(o,
                      "</td><td style='text-align:left'><span class='bar' "
                      "style='width:%.0fpx'></span></td></tr>\n",
                      isfinite(top) && v > 0 ? 200 * v / top : 0);
    }
    am_buf_cstr(o, "</table>\n");
}

/* Each picture over what came back of it. */
static void pictures(struct am_buf *o, const struct am_node *r)
{
    const struct am_node *list = am_html_items(r, "reconstructions");
    if (!list)
        return;
    am_html_heading(o, "The pictures that come back worst");
    am_buf_printf(o, "<p class='mute'>%s</p>\n<div class='cards'>\n",
                  am_tr("Above the picture as the model reads it, below what it gives back; the "
                        "largest anomaly scores first."));
    for (size_t i = 0; i < list->list.n && i < COLUMNS_SHOWN; i++) {
        const struct am_node *m = list->list.items[i];
        am_buf_cstr(o, "<div class='card'>");
        am_html_image(o, m, AM_N("picture"));
        am_buf_cstr(o, "<br>");
        am_html_image(o, am_node_get(m, "back"), AM_N("what came back"));
        am_buf_cstr(o, "<br><b>");
        am_html_number(o, am_node_get(m, "score"));
        am_buf_printf(o, "</b> <span class='mute'>%s %lld</span></div>\n", am_tr("row"),
                      (long long)am_node_i64(m, "row", 0));
    }
    am_buf_cstr(o, "</div>\n");
}

void am_html_anomaly(struct am_buf *o, const struct am_node *r)
{
    const struct am_node *s = am_node_get(r, "scores");
    if (!s || s->kind != AM_NODE_MAP)
        return;
    am_html_heading(o, "How unlike the training rows are they?");
    words(o, r);
    histogram(o, s, am_node_get(r, "threshold"));
    pictures(o, r);
    columns(o, r);
}
