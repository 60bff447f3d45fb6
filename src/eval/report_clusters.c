/* The report's section of clusters: how their number was chosen, sizes, silhouettes, a picture in
 * two dimensions, and the profile: each column in each cluster beside the whole. And of components:
 * how much of the variance each explains.
 *
 * Prints nothing where the report has no such key. Texts are escaped. Pure; any thread. */
#include <math.h>
#include <stdio.h>

#include "base/alloc.h"
#include "eval/html_int.h"

#define SERIES_MAX 12
#define POINTS_MAX 1100
#define CLUSTERS_SHOWN 12 /* columns of the profile */

static size_t numbers(const struct am_node *list, double *out, size_t cap)
{
    size_t n = list && list->kind == AM_NODE_LIST ? list->list.n : 0;
    n = n < cap ? n : cap;
    for (size_t i = 0; i < n; i++)
        if (!am_node_as_f64(list->list.items[i], &out[i]))
            out[i] = NAN;
    return n;
}

static void name_of(const struct am_node *m, char *out, size_t cap)
{
    const int64_t c = am_node_i64(m, "cluster", -1);
    if (c < 0)
        (void)snprintf(out, cap, "%s", am_tr("noise"));
    else
        (void)snprintf(out, cap, "%lld", (long long)c);
}

/* ---- the choice of how many ---- */

static void curve_of(struct am_buf *o, const struct am_node *search, const char *key,
                     const char *title)
{
    double x[64], y[64];
    size_t n = 0;
    for (size_t i = 0; i < search->list.n && n < 64; i++) {
        x[n] = (double)am_node_i64(search->list.items[i], "clusters", 0);
        if (am_node_as_f64(am_node_get(search->list.items[i], key), &y[n]))
            n++;
    }
    if (n < 2)
        return;
    const struct am_svg_series s = {.x = x, .y = y, .n = n, .kind = AM_SVG_LINE};
    am_svg_draw(&(struct am_svg_plot){.title = am_tr(title),
                                      .x_label = am_tr("clusters"),
                                      .y_label = am_tr(key),
                                      .series = &s,
                                      .n_series = 1},
                o);
}

static void choice(struct am_buf *o, const struct am_node *c)
{
    const struct am_node *search = am_html_items(c, "search");
    if (!search)
        return;
    am_html_heading(o, "How many clusters?");
    am_buf_printf(o, "<p class='mute'>%s <b>%lld</b>",
                  am_str_is(am_node_str(c, "chosen_by", ""), "bic")
                      ? am_tr("The least Bayesian information criterion is that of")
                      : am_tr("The best silhouette is that of"),
                  (long long)am_node_i64(c, "count", 0));
    if (am_node_get(c, "elbow"))
        am_buf_printf(o, "; %s <b>%lld</b>", am_tr("the inertia bends most at (elbow)"),
                      (long long)am_node_i64(c, "elbow", 0));
    am_buf_cstr(o, ".</p>\n<div class='plots'>\n");
    curve_of(o, search, "inertia", AM_N("Elbow"));
    curve_of(o, search, "silhouette", AM_N("Silhouette by number of clusters"));
    curve_of(o, search, "bic", AM_N("Bayesian information criterion"));
    am_buf_cstr(o, "</div>\n");
}

/* ---- sizes ---- */

static void size_table(struct am_buf *o, const struct am_node *c)
{
    const struct am_node *list = am_html_items(c, "sizes");
    if (!list)
        return;
    am_html_heading(o, "Clusters");
    am_buf_printf(o, "<table>\n<tr><th>%s</th><th>%s</th><th>%s</th><th>%s</th></tr>\n",
                  am_tr("cluster"), am_tr("rows"), am_tr("share"), am_tr("silhouette"));
    for (size_t i = 0; i < list->list.n; i++) {
        static const char *const keys[] = {"cluster", "rows", "share", "silhouette"};
        am_buf_cstr(o, "<tr>");
        for (size_t k = 0; k < 4; k++) {
            am_buf_cstr(o, "<td>");
            am_html_number(o, am_node_get(list->list.items[i], keys[k]));
            am_buf_cstr(o, "</td>");
        }
        am_buf_cstr(o, "</tr>\n");
    }
    am_buf_cstr(o, "</table>\n");
    if (am_node_i64(c, "noise", 0) > 0)
        am_buf_printf(o, "<p>%s %lld</p>\n", am_tr("Rows in no cluster (noise):"),
                      (long long)am_node_i64(c, "noise", 0));
}

/* ---- curves and dots ---- */

struct drawing {
    double x[POINTS_MAX], y[POINTS_MAX];
    char names[SERIES_MAX][24];
    struct am_svg_series series[SERIES_MAX];
    size_t n, n_series;
};

static void silhouettes(struct am_buf *o, const struct am_node *c, struct drawing *d)
{
    const struct am_node *list = am_html_items(c, "silhouettes");
    double at = 0;
    d->n = d->n_series = 0;
    for (size_t i = 0; list && i < list->list.n && d->n_series < SERIES_MAX; i++) {
        const size_t n = numbers(am_node_get(list->list.items[i], "values"), d->y + d->n,
                                 (POINTS_MAX - d->n) / 2);
        if (n < 2)
            continue;
        for (size_t k = 0; k < n; k++)
            d->x[d->n + k] = at++;
        at += 5;
        name_of(list->list.items[i], d->names[d->n_series], sizeof d->names[0]);
        d->series[d->n_series] = (struct am_svg_series){.x = d->x + d->n,
                                                        .y = d->y + d->n,
                                                        .n = n,
                                                        .kind = AM_SVG_LINE,
                                                        .name = d->names[d->n_series]};
        d->n_series++;
        d->n += n;
    }
    if (d->n_series)
        am_svg_draw(&(struct am_svg_plot){.title = am_tr("Silhouettes"),
                                          .x_label = am_tr("rows, by cluster"),
                                          .y_label = am_tr("silhouette"),
                                          .series = d->series,
                                          .n_series = d->n_series},
                    o);
}

static void dots(struct am_buf *o, const struct am_node *c, struct drawing *d)
{
    const struct am_node *s = am_node_get(c, "scatter"), *list = am_html_items(s, "points");
    char x_label[80], y_label[80];
    d->n = d->n_series = 0;
    for (size_t i = 0; list && i < list->list.n && d->n_series < SERIES_MAX; i++) {
        const struct am_node *m = list->list.items[i];
        size_t n = numbers(am_node_get(m, "x"), d->x + d->n, POINTS_MAX - d->n);
        n = numbers(am_node_get(m, "y"), d->y + d->n, n);
        if (n == 0)
            continue;
        name_of(m, d->names[d->n_series], sizeof d->names[0]);
        d->series[d->n_series] = (struct am_svg_series){.x = d->x + d->n,
                                                        .y = d->y + d->n,
                                                        .n = n,
                                                        .kind = AM_SVG_DOTS,
                                                        .name = d->names[d->n_series]};
        d->n_series++;
        d->n += n;
    }
    if (!d->n_series)
        return;
    (void)snprintf(x_label, sizeof x_label, "%s 1 (%.3g)", am_tr("component"),
                   am_node_f64(s, "x_share", 0));
    (void)snprintf(y_label, sizeof y_label, "%s 2 (%.3g)", am_tr("component"),
                   am_node_f64(s, "y_share", 0));
    am_svg_draw(&(struct am_svg_plot){.title = am_tr("Rows in two dimensions"),
                                      .x_label = x_label,
                                      .y_label = y_label,
                                      .series = d->series,
                                      .n_series = d->n_series},
                o);
}

/* ---- profile ---- */

/* A mean that lies half a deviation from the whole's, or another top value, stands out. */
static void cell(struct am_buf *o, const struct am_node *v, const struct am_node *all)
{
    double mean, whole, deviation = am_node_f64(all, "deviation", 0);
    bool out;
    if (am_node_get(v, "top")) {
        out = !am_str_eq(am_node_str(v, "top", ""), am_node_str(all, "top", ""));
        am_buf_cstr(o, out ? "<td><b>" : "<td>");
        am_html_field(o, v, "top");
        am_buf_cstr(o, out ? "</b> <span class='mute'>" : " <span class='mute'>");
        am_html_number(o, am_node_get(v, "share"));
        am_buf_cstr(o, "</span></td>");
        return;
    }
    out = am_node_as_f64(am_node_get(v, "mean"), &mean) &&
          am_node_as_f64(am_node_get(all, "mean"), &whole) && deviation > 0 &&
          fabs(mean - whole) >= deviation / 2;
    am_buf_cstr(o, out ? "<td><b>" : "<td>");
    am_html_number(o, am_node_get(v, "mean"));
    am_buf_cstr(o, out ? "</b></td>" : "</td>");
}

static void profile(struct am_buf *o, const struct am_node *c)
{
    const struct am_node *list = am_html_items(c, "profile");
    if (!list)
        return;
    am_html_heading(o, "What is special about each cluster?");
    am_buf_printf(o, "<p class='mute'>%s</p>\n<table>\n<tr><th>%s</th><th>%s</th>",
                  am_tr("Mean of numbers, most frequent value of categories with its share; bold "
                        "is half a deviation or more from the whole, or another value."),
                  am_tr("column"), am_tr("all"));
    const struct am_node *first = am_node_get(list->list.items[0], "clusters");
    const size_t n = first && first->kind == AM_NODE_LIST ? first->list.n : 0;
    for (size_t k = 0; k < n && k < CLUSTERS_SHOWN; k++)
        am_buf_printf(o, "<th>%zu</th>", k);
    am_buf_cstr(o, "</tr>\n");
    for (size_t i = 0; i < list->list.n; i++) {
        const struct am_node *m = list->list.items[i], *v = am_html_items(m, "clusters"),
                             *all = am_node_get(m, "all");
        am_buf_cstr(o, "<tr><td>");
        am_html_field(o, m, "column");
        am_buf_cstr(o, "</td>");
        cell(o, all, all);
        for (size_t k = 0; v && k < v->list.n && k < CLUSTERS_SHOWN; k++)
            cell(o, v->list.items[k], all);
        am_buf_cstr(o, "</tr>\n");
    }
    am_buf_cstr(o, "</table>\n");
}

/* ---- components ---- */

static void components(struct am_buf *o, const struct am_node *training)
{
    double x[200], y[200], sum[200], total = 0;
    const size_t n = numbers(am_node_get(training, "explained_variance_ratio"), y, 200);
    if (n == 0)
        return;
    for (size_t i = 0; i < n; i++) {
        x[i] = (double)i + 1;
        total += y[i];
        sum[i] = total;
    }
    const struct am_svg_series s[2] = {
        {.x = x, .y = y, .n = n, .kind = AM_SVG_DOTS, .name = am_tr("each")},
        {.x = x, .y = sum, .n = n, .kind = AM_SVG_LINE, .name = am_tr("together")}};
    am_html_heading(o, "How much do the components keep?");
    am_buf_cstr(o, "<div class='plots'>\n");
    am_svg_draw(&(struct am_svg_plot){.title = am_tr("Share of the variance"),
                                      .x_label = am_tr("component"),
                                      .y_label = am_tr("share"),
                                      .series = s,
                                      .n_series = 2},
                o);
    am_buf_cstr(o, "</div>\n");
}

/* ---- recommenders ---- */

static void item_list(struct am_buf *o, const struct am_node *list)
{
    for (size_t i = 0; list && i < list->list.n; i++) {
        am_buf_cstr(o, i ? ", " : "");
        am_html_field(o, list->list.items[i], "item");
    }
}

static void recommender(struct am_buf *o, const struct am_node *c)
{
    static const char *const keys[] = {"users", "items", "interactions", "density"};
    const struct am_node *groups = am_html_items(c, "groups"), *mean = am_node_get(c, "mean");
    if (!c || c->kind != AM_NODE_MAP)
        return;
    am_html_heading(o, "Who wants what?");
    am_buf_cstr(o, "<table>\n");
    for (size_t i = 0; i < 4; i++) {
        am_buf_printf(o, "<tr><td>%s</td><td>", am_tr(keys[i]));
        am_html_number(o, am_node_get(c, keys[i]));
        am_buf_cstr(o, "</td></tr>\n");
    }
    am_buf_printf(o, "</table>\n<p class='mute'>%s %lld. %s",
                  am_tr("Lists leave out what a user chose in training. Length of the lists that "
                        "are measured:"),
                  (long long)am_node_i64(c, "k", 0),
                  am_tr("The baseline ranks by what is popular."));
    if (mean) {
        am_buf_printf(o, " %s ", am_tr("The mean rating alone has an RMSE of"));
        am_html_number(o, am_node_get(mean, "rmse"));
        am_buf_char(o, '.');
    }
    am_buf_printf(o, "</p>\n<p>%s <b>", am_tr("Popular:"));
    item_list(o, am_html_items(c, "popular"));
    am_buf_cstr(o, "</b></p>\n");
    if (!groups)
        return;
    am_html_heading(o, "Groups of users");
    am_buf_printf(o, "<table>\n<tr><th>%s</th><th>%s</th><th>%s</th></tr>\n", am_tr("group"),
                  am_tr("users"), am_tr("what they want most"));
    for (size_t i = 0; i < groups->list.n; i++) {
        am_buf_cstr(o, "<tr><td>");
        am_html_number(o, am_node_get(groups->list.items[i], "group"));
        am_buf_cstr(o, "</td><td>");
        am_html_number(o, am_node_get(groups->list.items[i], "users"));
        am_buf_cstr(o, "</td><td style='text-align:left'>");
        item_list(o, am_html_items(groups->list.items[i], "items"));
        am_buf_cstr(o, "</td></tr>\n");
    }
    am_buf_cstr(o, "</table>\n");
}

void am_html_clusters(struct am_buf *o, const struct am_node *r)
{
    recommender(o, am_node_get(r, "recommender"));
    const struct am_node *c = am_node_get(r, "clusters");
    components(o, am_node_get(r, "training"));
    if (!c || c->kind != AM_NODE_MAP)
        return;
    choice(o, c);
    size_table(o, c);
    struct drawing *d = am_alloc(sizeof *d);
    if (!d) {
        am_buf_cstr(o, "<!-- no memory for pictures -->");
    } else {
        am_buf_cstr(o, "<div class='plots'>\n");
        silhouettes(o, c, d);
        dots(o, c, d);
        am_buf_cstr(o, "</div>\n");
    }
    am_free(d);
    profile(o, c);
}
