/* Turns the report tree into one HTML file; see report.h for the tree. */
#include "eval/report.h"

#include <math.h>
#include <stdio.h>

#include "base/alloc.h"

static const char style[] =
    ":root{color-scheme:light dark;--fg:#1e293b;--bg:#fff;--mute:#64748b;--line:#e2e8f0;--soft:#f8fafc}"
    "@media(prefers-color-scheme:dark){:root{--fg:#e2e8f0;--bg:#0f172a;--mute:#94a3b8;--line:#334155;--soft:#1e293b}}"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1080px;margin:0 auto;padding:24px;color:var(--fg);"
    "background:var(--bg)}h1{font-size:24px;margin:0}h2{font-size:18px;margin:32px 0 8px;border-bottom:1px solid "
    "var(--line)}table{border-collapse:collapse;margin:8px 0}th,td{padding:4px 12px;border-bottom:1px solid "
    "var(--line);text-align:right}th:first-child,td:first-child{text-align:left}th{font-weight:600;color:var(--mute)}"
    ".plots{display:flex;flex-wrap:wrap;gap:12px}.plots svg{width:360px;max-width:100%;background:var(--soft);"
    "border-radius:8px}.grid{stroke:var(--line)}.diagonal{stroke:var(--mute);stroke-dasharray:4}"
    ".tick{font-size:10px;fill:var(--mute)}.label{font-size:11px;fill:var(--mute)}.title{font-size:13px;fill:var(--fg);"
    "font-weight:600}.mute{color:var(--mute)}.advice{border-left:4px solid #d97706;padding:4px 12px;margin:8px 0;"
    "background:var(--soft)}.good{border-color:#16a34a}pre{background:var(--soft);padding:12px;overflow:auto}"
    ".bar{display:inline-block;height:10px;background:#2563eb;border-radius:2px}.hit{background:#16a34a33}";

static void text(struct am_buf *o, const struct am_node *m, const char *key)
{
    am_html_text(o, am_node_str(m, key, ""));
}

static void number(struct am_buf *o, const struct am_node *n)
{
    double v;
    if (am_node_as_f64(n, &v) && isfinite(v))
        am_buf_printf(o, fabs(v) >= 1e6 || (v != 0 && fabs(v) < 1e-3) ? "%.4g" : "%.4f", v);
    else
        am_buf_cstr(o, "&ndash;");
}

static void heading(struct am_buf *o, const char *s) { am_buf_printf(o, "<h2>%s</h2>\n", am_tr(s)); }

static void head(struct am_buf *o, const struct am_node *r)
{
    const struct am_node *rows = am_node_get(r, "rows");
    am_buf_printf(o, "<!doctype html>\n<html lang='%s'><head><meta charset='utf-8'><meta name='viewport' "
                     "content='width=device-width,initial-scale=1'><title>", am_tr("en"));
    text(o, r, "title");
    am_buf_printf(o, "</title><style>%s</style></head><body>\n<h1>", style);
    text(o, r, "title");
    am_buf_cstr(o, "</h1><p class='mute'>");
    am_buf_printf(o, "%s <b>", am_tr("Task:"));
    text(o, r, "task");
    am_buf_printf(o, "</b> &middot; %s <b>", am_tr("learner:"));
    text(o, r, "learner");
    am_buf_printf(o, "</b> &middot; %s <b>", am_tr("target:"));
    text(o, r, "target");
    am_buf_printf(o, "</b> &middot; %s ", am_tr("run"));
    text(o, r, "run");
    am_buf_cstr(o, " &middot; ");
    text(o, r, "created");
    am_buf_printf(o, "<br>%s %lld, %s %lld, %s %lld &middot; %lld %s &middot; %lld %s</p>\n",
                  am_tr("rows: training"), (long long)am_node_i64(rows, "train", 0), am_tr("validation"),
                  (long long)am_node_i64(rows, "validation", 0), am_tr("test"),
                  (long long)am_node_i64(rows, "test", 0), (long long)am_node_i64(r, "features", 0),
                  am_tr("features"), (long long)am_node_i64(r, "parameters", 0), am_tr("parameters"));
}

static void metrics(struct am_buf *o, const struct am_node *r)
{
    static const char *const parts[] = {"train", "validation", "test", "baseline"};
    static const char *const names[] = {"training", "validation", "test", "baseline"};
    const struct am_node *m = am_node_get(r, "metrics"), *ci = am_node_get(r, "intervals"), *all = NULL;
    for (size_t k = 0; k < 4; k++) {
        const struct am_node *p = am_node_get(m, parts[k]);
        if (p && p->kind == AM_NODE_MAP && (!all || p->map.n > all->map.n))
            all = p;
    }
    if (!all)
        return;
    heading(o, "How good is it?");
    am_buf_printf(o, "<table><tr><th>%s</th>", am_tr("metric"));
    for (size_t k = 0; k < 4; k++)
        am_buf_printf(o, "<th>%s</th>", am_tr(names[k]));
    am_buf_printf(o, "<th>%s</th></tr>\n", am_tr("95 % interval (test)"));
    for (size_t i = 0; i < all->map.n; i++) {
        struct am_str key = all->map.pairs[i].key;
        const struct am_node *band = am_node_get_str(ci, key);
        am_buf_cstr(o, "<tr><td>");
        am_html_text(o, key);
        am_buf_cstr(o, "</td>");
        for (size_t k = 0; k < 4; k++) {
            am_buf_cstr(o, "<td>");
            number(o, am_node_get_str(am_node_get(m, parts[k]), key));
            am_buf_cstr(o, "</td>");
        }
        am_buf_cstr(o, "<td>");
        if (band) {
            number(o, am_node_get(band, "low"));
            am_buf_cstr(o, " &hellip; ");
            number(o, am_node_get(band, "high"));
        }
        am_buf_cstr(o, "</td></tr>\n");
    }
    am_buf_printf(o, "</table><p class='mute'>%s</p>\n",
                  am_tr("The baseline always guesses the most frequent class, or the mean. Test rows were seen by "
                        "nothing that was fitted."));
}

static void advice(struct am_buf *o, const struct am_node *r)
{
    const struct am_node *list = am_node_get(r, "advice");
    if (!list)
        return;
    heading(o, "Advice");
    for (size_t i = 0; i < list->list.n; i++) {
        am_buf_cstr(o, "<div class='advice'><b>");
        text(o, list->list.items[i], "text");
        am_buf_cstr(o, "</b><br>");
        text(o, list->list.items[i], "remedy");
        am_buf_cstr(o, "</div>\n");
    }
    if (list->list.n == 0)
        am_buf_printf(o, "<div class='advice good'>%s</div>\n", am_tr("Nothing stands out."));
}

static void confusion(struct am_buf *o, const struct am_node *r)
{
    const struct am_node *c = am_node_get(r, "confusion"), *names = am_node_get(r, "classes");
    struct am_str s;
    if (!c || !names || c->list.n > 30)
        return;
    heading(o, "Confusion matrix (test rows)");
    am_buf_printf(o, "<table><tr><th>%s</th>", am_tr("truth \\ predicted"));
    for (size_t j = 0; j < names->list.n; j++) {
        am_buf_cstr(o, "<th>");
        if (am_node_as_str(names->list.items[j], &s))
            am_html_text(o, s);
        am_buf_cstr(o, "</th>");
    }
    am_buf_cstr(o, "</tr>\n");
    for (size_t i = 0; i < c->list.n; i++) {
        am_buf_cstr(o, "<tr><td>");
        if (i < names->list.n && am_node_as_str(names->list.items[i], &s))
            am_html_text(o, s);
        am_buf_cstr(o, "</td>");
        for (size_t j = 0; j < c->list.items[i]->list.n; j++) {
            int64_t n = 0;
            (void)am_node_as_i64(c->list.items[i]->list.items[j], &n);
            am_buf_printf(o, "<td%s>%lld</td>", i == j ? " class='hit'" : "", (long long)n);
        }
        am_buf_cstr(o, "</tr>\n");
    }
    am_buf_cstr(o, "</table>\n");
}

/* ---- plots ---- */

static double *doubles(const struct am_node *list, size_t *n)
{
    *n = list && list->kind == AM_NODE_LIST ? list->list.n : 0;
    double *v = am_alloc_array(*n + 1, sizeof *v);
    if (!v)
        *n = 0;
    for (size_t i = 0; i < *n; i++)
        if (!am_node_as_f64(list->list.items[i], &v[i]))
            v[i] = NAN;
    return v;
}

#define SERIES 12

struct drawing {
    struct am_svg_series series[SERIES];
    double *owned[2 * SERIES];
    size_t n, n_owned;
};

static void add_series(struct drawing *d, const struct am_node *x, const struct am_node *y, const char *name,
                       int kind)
{
    size_t nx, ny;
    if (d->n == SERIES)
        return;
    double *vx = doubles(x, &nx), *vy = doubles(y, &ny);
    d->owned[d->n_owned++] = vx;
    d->owned[d->n_owned++] = vy;
    if (vx && vy && nx && ny)
        d->series[d->n++] = (struct am_svg_series){vx, vy, nx < ny ? nx : ny, name, kind};
}

static void draw(struct am_buf *o, struct drawing *d, struct am_svg_plot plot)
{
    plot.series = d->series;
    plot.n_series = d->n;
    if (d->n)
        am_svg_draw(&plot, o);
    for (size_t i = 0; i < d->n_owned; i++)
        am_free(d->owned[i]);
}

static const char *class_name(const struct am_node *r, const struct am_node *curve)
{
    const struct am_node *names = am_node_get(r, "classes");
    int64_t k = am_node_i64(curve, "class", -1);
    struct am_str s;
    if (!names || k < 0 || (size_t)k >= names->list.n || !am_node_as_str(names->list.items[k], &s))
        return NULL;
    return s.ptr; /* arena strings end with NUL */
}

static void curves(struct am_buf *o, const struct am_node *r, const char *key, const char *title, const char *x,
                   const char *y, int diagonal)
{
    const struct am_node *list = am_node_get(r, key);
    struct drawing d = {.n = 0};
    for (size_t i = 0; list && i < list->list.n && i < SERIES; i++)
        add_series(&d, am_node_get(list->list.items[i], "x"), am_node_get(list->list.items[i], "y"),
                   class_name(r, list->list.items[i]), AM_SVG_LINE);
    draw(o, &d, (struct am_svg_plot){.title = am_tr(title), .x_label = am_tr(x), .y_label = am_tr(y),
                                     .x_min = 0, .x_max = 1, .y_min = 0, .y_max = 1, .diagonal = diagonal});
}

static void history(struct am_buf *o, const struct am_node *r)
{
    const struct am_node *h = am_node_get(r, "history");
    struct drawing d = {.n = 0};
    add_series(&d, am_node_get(h, "epoch"), am_node_get(h, "train_loss"), am_tr("training"), AM_SVG_LINE);
    add_series(&d, am_node_get(h, "epoch"), am_node_get(h, "validation_loss"), am_tr("validation"), AM_SVG_LINE);
    draw(o, &d, (struct am_svg_plot){.title = am_tr("Learning curve"), .x_label = am_tr("epoch"),
                                     .y_label = am_tr("loss")});
}

static void residuals(struct am_buf *o, const struct am_node *r)
{
    const struct am_node *m = am_node_get(r, "residuals"), *bins = am_node_get(m, "bins");
    const struct am_node *counts = am_node_get(bins, "n");
    struct drawing d = {.n = 0}, e = {.n = 0};
    if (!m)
        return;
    add_series(&d, am_node_get(m, "predicted"), am_node_get(m, "residual"), NULL, AM_SVG_DOTS);
    draw(o, &d, (struct am_svg_plot){.title = am_tr("Residuals"), .x_label = am_tr("predicted"),
                                     .y_label = am_tr("truth minus predicted")});
    add_series(&e, counts, counts, NULL, AM_SVG_BARS);
    for (size_t i = 0; e.n && i < e.series[0].n; i++)
        e.owned[0][i] = am_node_f64(bins, "low", 0) + (double)i * am_node_f64(bins, "width", 1);
    draw(o, &e, (struct am_svg_plot){.title = am_tr("Distribution of residuals"),
                                     .x_label = am_tr("truth minus predicted"), .y_label = am_tr("rows")});
}

static void importance(struct am_buf *o, const struct am_node *r)
{
    const struct am_node *list = am_node_get(r, "importance");
    double top = 0;
    if (!list || list->list.n == 0)
        return;
    heading(o, "Which columns matter?");
    am_buf_printf(o, "<p class='mute'>%s ", am_tr("What is lost when a column is shuffled, measured by"));
    text(o, r, "importance_metric");
    am_buf_cstr(o, ".</p><table>\n");
    top = am_node_f64(list->list.items[0], "mean", 0);
    for (size_t i = 0; i < list->list.n && i < 30; i++) {
        double v = am_node_f64(list->list.items[i], "mean", 0);
        am_buf_cstr(o, "<tr><td>");
        text(o, list->list.items[i], "column");
        am_buf_cstr(o, "</td><td>");
        number(o, am_node_get(list->list.items[i], "mean"));
        am_buf_cstr(o, " &plusmn; ");
        number(o, am_node_get(list->list.items[i], "deviation"));
        am_buf_printf(o, "</td><td style='text-align:left'><span class='bar' style='width:%.0fpx'></span></td></tr>\n",
                      top > 0 && v > 0 ? 200 * v / top : 0);
    }
    am_buf_cstr(o, "</table>\n");
}

static void columns(struct am_buf *o, const struct am_node *r)
{
    const struct am_node *list = am_node_get(r, "columns");
    if (!list)
        return;
    heading(o, "Columns as they were understood");
    am_buf_printf(o, "<table><tr><th>%s</th><th>%s</th><th>%s</th></tr>\n", am_tr("column"), am_tr("type"),
                  am_tr("why"));
    for (size_t i = 0; i < list->list.n && i < 200; i++) {
        am_buf_cstr(o, "<tr><td>");
        text(o, list->list.items[i], "name");
        am_buf_cstr(o, "</td><td>");
        text(o, list->list.items[i], "type");
        am_buf_cstr(o, "</td><td>");
        text(o, list->list.items[i], "why");
        am_buf_cstr(o, "</td></tr>\n");
    }
    am_buf_cstr(o, "</table>\n");
}

static void summary(struct am_buf *o, const struct am_node *r)
{
    static const char *const keys[] = {"mean", "median", "mode", "variance"};
    const struct am_node *m = am_node_get(r, "predictions");
    if (!m)
        return;
    am_buf_printf(o, "<p class='mute'>%s: ", am_tr("Predictions on the test rows"));
    for (size_t i = 0; i < 4; i++) {
        am_buf_printf(o, "%s%s ", i ? ", " : "", am_tr(keys[i]));
        number(o, am_node_get(m, keys[i]));
    }
    if (am_node_get(r, "threshold")) {
        am_buf_printf(o, "; %s ", am_tr("decision threshold"));
        number(o, am_node_get(r, "threshold"));
    }
    am_buf_cstr(o, "</p>\n");
}

void am_report_html(const struct am_node *report, struct am_buf *out)
{
    head(out, report);
    metrics(out, report);
    summary(out, report);
    advice(out, report);
    heading(out, "Curves");
    am_buf_cstr(out, "<div class='plots'>\n");
    history(out, report);
    curves(out, report, "roc", "ROC curve", "false positive rate", "true positive rate", 1);
    curves(out, report, "pr", "Precision and recall", "recall", "precision", 0);
    curves(out, report, "calibration", "Calibration", "predicted probability", "observed share", 1);
    residuals(out, report);
    am_buf_cstr(out, "</div>\n");
    confusion(out, report);
    importance(out, report);
    columns(out, report);
    heading(out, "Recipe");
    am_buf_cstr(out, "<pre>");
    text(out, report, "recipe");
    am_buf_cstr(out, "</pre>\n</body></html>\n");
}
