/* The report's section of a search: what was found, how it went (history, parallel coordinates, one
 * plot for each setting), which settings matter, the front of several objectives, and every trial
 * with its status. Reads the "study" of a report (pipeline/tune.c); prints nothing without it.
 * Texts are escaped, numbers that are not finite left out. Pure; any thread. */
#include <math.h>
#include <stdio.h>

#include "base/alloc.h"
#include "eval/html_int.h"

#define TRIALS_SHOWN 300
#define SLICES_SHOWN 24
#define LINES_SHOWN 400

struct points {
    double *x, *y; /* owned, both together [2 * cap] */
    size_t n;
};

static bool points_new(struct am_buf *o, struct points *p, size_t cap)
{
    *p = (struct points){.x = am_alloc_array(2 * cap + 2, sizeof(double))};
    if (!p->x) {
        o->failed = o->failed == AM_OK ? AM_ENOMEM : o->failed;
        return false;
    }
    p->y = p->x + cap + 1;
    return true;
}

static void add(struct points *p, double x, double y)
{
    p->x[p->n] = x;
    p->y[p->n++] = y;
}

static double at(const struct am_node *list, size_t i)
{
    double v;
    if (!list || list->kind != AM_NODE_LIST || i >= list->list.n ||
        !am_node_as_f64(list->list.items[i], &v))
        return NAN;
    return v;
}

static double objective(const struct am_node *trial, size_t i)
{
    return at(am_node_get(trial, "objectives"), i);
}

static const char *goal_name(const struct am_node *study, size_t i, char out[128])
{
    const struct am_node *goals = am_html_items(study, "objectives");
    struct am_str s = {"", 0};
    if (goals && i < goals->list.n)
        s = am_node_str(goals->list.items[i], "name", "");
    (void)snprintf(out, 128, "%.*s", AM_FMT(s));
    return out;
}

static bool maximizes(const struct am_node *study)
{
    const struct am_node *goals = am_html_items(study, "objectives");
    return goals && am_str_is(am_node_str(goals->list.items[0], "direction", ""), "maximize");
}

/* ---- how it went ---- */

static void history(struct am_buf *o, const struct am_node *study, const struct am_node *trials)
{
    struct points all, best;
    char name[128];
    double b = NAN;
    bool up = maximizes(study);
    if (!points_new(o, &all, trials->list.n))
        return;
    if (!points_new(o, &best, trials->list.n)) {
        am_free(all.x);
        return;
    }
    for (size_t i = 0; i < trials->list.n; i++) {
        const struct am_node *t = trials->list.items[i];
        double v = objective(t, 0), n = (double)am_node_i64(t, "number", 0);
        if (isnan(v))
            continue;
        add(&all, n, v);
        if (am_node_f64(t, "violation", 0) <= 0 && (isnan(b) || (up ? v > b : v < b)))
            b = v;
        if (!isnan(b))
            add(&best, n, b);
    }
    const struct am_svg_series s[] = {
        {.x = all.x, .y = all.y, .n = all.n, .kind = AM_SVG_DOTS, .name = am_tr("trial")},
        {.x = best.x, .y = best.y, .n = best.n, .kind = AM_SVG_LINE, .name = am_tr("best so far")}};
    if (all.n)
        am_svg_draw(&(struct am_svg_plot){.title = am_tr("History of the search"),
                                          .x_label = am_tr("trial"),
                                          .y_label = goal_name(study, 0, name),
                                          .series = s,
                                          .n_series = 2},
                    o);
    am_free(all.x);
    am_free(best.x);
}

/* The value of a dimension, for the axis: the choice's number, the logarithm where it is one. */
static double place(const struct am_node *param, const struct am_node *trial, size_t i)
{
    double u = at(am_node_get(trial, "unit"), i), low = am_node_f64(param, "low", NAN),
           high = am_node_f64(param, "high", NAN);
    const struct am_node *choices = am_html_items(param, "choices");
    if (choices)
        return isnan(u) ? NAN
                        : fmin(floor(u * (double)choices->list.n), (double)choices->list.n - 1);
    if (am_str_is(am_node_str(param, "kind", ""), "int") && !am_node_bool(param, "log", false))
        return fmin(low + floor(u * (high - low + 1)), high); /* places are the middles of cells */
    if (am_node_bool(param, "log", false))
        return log10(low) + u * (log10(high) - log10(low));
    return low + u * (high - low);
}

static void slice(struct am_buf *o, const struct am_node *study, const struct am_node *trials,
                  const struct am_node *param, size_t i)
{
    struct points p;
    char label[160], name[128];
    bool log = am_node_bool(param, "log", false), choice = am_html_items(param, "choices") != NULL;
    struct am_str path = am_node_str(param, "name", "");
    if (!points_new(o, &p, trials->list.n))
        return;
    for (size_t k = 0; k < trials->list.n; k++) {
        double x = place(param, trials->list.items[k], i), y = objective(trials->list.items[k], 0);
        if (isfinite(x) && isfinite(y))
            add(&p, x, y);
    }
    (void)snprintf(label, sizeof label, "%s%.*s", log ? "log10 " : "", AM_FMT(path));
    const struct am_svg_series s = {.x = p.x, .y = p.y, .n = p.n, .kind = AM_SVG_DOTS};
    if (p.n)
        am_svg_draw(
            &(struct am_svg_plot){.title = label,
                                  .x_label = choice ? am_tr("choice, from 0") : am_tr("value"),
                                  .y_label = goal_name(study, 0, name),
                                  .series = &s,
                                  .n_series = 1},
            o);
    am_free(p.x);
}

static void front(struct am_buf *o, const struct am_node *study, const struct am_node *trials)
{
    const struct am_node *list = am_html_items(study, "pareto");
    struct points all, best;
    char x[128], y[128];
    if (!list || !points_new(o, &all, trials->list.n))
        return;
    if (!points_new(o, &best, trials->list.n)) {
        am_free(all.x);
        return;
    }
    for (size_t i = 0; i < trials->list.n; i++) {
        const struct am_node *t = trials->list.items[i];
        bool in = false;
        for (size_t k = 0; k < list->list.n && !in; k++)
            in = at(list, k) == (double)am_node_i64(t, "number", 0);
        double vx = objective(t, 1), vy = objective(t, 0);
        if (isfinite(vx) && isfinite(vy))
            add(in ? &best : &all, vx, vy);
    }
    const struct am_svg_series s[] = {
        {.x = all.x, .y = all.y, .n = all.n, .kind = AM_SVG_DOTS, .name = am_tr("dominated")},
        {.x = best.x, .y = best.y, .n = best.n, .kind = AM_SVG_DOTS, .name = am_tr("front")}};
    am_svg_draw(&(struct am_svg_plot){.title = am_tr("What can be had together (Pareto front)"),
                                      .x_label = goal_name(study, 1, x),
                                      .y_label = goal_name(study, 0, y),
                                      .series = s,
                                      .n_series = 2},
                o);
    am_free(all.x);
    am_free(best.x);
}

/* ---- parallel coordinates: an axis for each setting, the last one is the objective ---- */

#define PC_W 1080.0
#define PC_H 300.0
#define PC_TOP 34.0
#define PC_BOTTOM 26.0
#define PC_SIDE 60.0
#define AXES_SHOWN 16

static double axis_x(size_t i, size_t n)
{
    return PC_SIDE + (n > 1 ? (PC_W - 2 * PC_SIDE) * (double)i / (double)(n - 1) : 0);
}

static double axis_y(double u)
{
    return PC_H - PC_BOTTOM - fmin(fmax(u, 0), 1) * (PC_H - PC_TOP - PC_BOTTOM);
}

static void end_label(struct am_buf *o, double x, double y, const struct am_node *param,
                      const char *key)
{
    const struct am_node *choices = am_html_items(param, "choices");
    am_buf_printf(o, "<text x='%.1f' y='%.1f' class='tick' text-anchor='middle'>", x, y);
    if (choices)
        am_html_node(o, choices->list.items[key[0] == 'l' ? 0 : choices->list.n - 1]);
    else
        am_buf_printf(o, "%.4g", am_node_f64(param, key, 0));
    am_buf_cstr(o, "</text>");
}

static void axes(struct am_buf *o, const struct am_node *params, size_t n)
{
    for (size_t i = 0; i <= n; i++) {
        double x = axis_x(i, n + 1);
        am_buf_printf(o, "<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' class='grid'/>", x, PC_TOP,
                      x, PC_H - PC_BOTTOM);
        if (i == n)
            continue;
        am_buf_printf(o, "<text x='%.1f' y='12' class='label' text-anchor='middle'>", x);
        struct am_str name = am_node_str(params->list.items[i], "name", "");
        if (name.len > 22) /* the end says more than the beginning */
            am_buf_cstr(o, "&hellip;");
        size_t from = name.len > 22 ? name.len - 22 : 0;
        while (from > 0 && from < name.len && ((unsigned char)name.ptr[from] & 0xc0) == 0x80)
            from++;
        am_html_text(o, (struct am_str){name.ptr + from, name.len - from});
        am_buf_cstr(o, "</text>");
        end_label(o, x, 27, params->list.items[i], "high");
        end_label(o, x, PC_H - 10, params->list.items[i], "low");
    }
}

static void trial_line(struct am_buf *o, const struct am_node *trial, size_t n, double goal,
                       bool best)
{
    const struct am_node *unit = am_node_get(trial, "unit");
    am_buf_printf(o, "<polyline class='s%d line' style='opacity:%s' points='", best ? 1 : 0,
                  best ? "1" : "0.25");
    for (size_t i = 0; i < n; i++) {
        double u = at(unit, i);
        if (isfinite(u))
            am_buf_printf(o, "%.1f,%.1f ", axis_x(i, n + 1), axis_y(u));
    }
    am_buf_printf(o, "%.1f,%.1f'/>", axis_x(n, n + 1), axis_y(goal));
}

static void parallel(struct am_buf *o, const struct am_node *study, const struct am_node *trials)
{
    const struct am_node *params = am_html_items(study, "params");
    int64_t best = am_node_i64(am_node_get(study, "best"), "trial", -1);
    double low = INFINITY, high = -INFINITY;
    char name[128];
    if (!params)
        return;
    size_t n = params->list.n < AXES_SHOWN ? params->list.n : AXES_SHOWN;
    for (size_t i = 0; i < trials->list.n; i++) {
        double v = objective(trials->list.items[i], 0);
        if (isfinite(v)) {
            low = fmin(low, v);
            high = fmax(high, v);
        }
    }
    if (!(low <= high))
        return;
    am_buf_printf(o, "<div class='wide'><svg viewBox='0 0 %.0f %.0f' role='img' aria-label=\"%s\">",
                  PC_W, PC_H, am_tr("Trials over all settings"));
    axes(o, params, n);
    am_buf_printf(o, "<text x='%.1f' y='12' class='label' text-anchor='middle'>", axis_x(n, n + 1));
    am_html_text(o, am_str(goal_name(study, 0, name)));
    am_buf_printf(o,
                  "</text><text x='%.1f' y='27' class='tick' text-anchor='middle'>%.5g</text><text "
                  "x='%.1f' y='%.1f' class='tick' text-anchor='middle'>%.5g</text>",
                  axis_x(n, n + 1), high, axis_x(n, n + 1), PC_H - 10, low);
    for (size_t k = 0; k < 2; k++) /* the best one on top */
        for (size_t i = 0; i < trials->list.n && i < LINES_SHOWN; i++) {
            const struct am_node *t = trials->list.items[i];
            double v = objective(t, 0);
            bool is = am_node_i64(t, "number", -2) == best;
            if (isfinite(v) && is == (k == 1))
                trial_line(o, t, n, high > low ? (v - low) / (high - low) : 0.5, is);
        }
    am_buf_cstr(o, "</svg></div>\n");
}

/* ---- words and tables ---- */

static void words(struct am_buf *o, const struct am_node *study, const struct am_node *trials)
{
    const struct am_node *best = am_node_get(study, "best"), *v = am_node_get(best, "values");
    struct am_str ended = am_node_str(study, "ended", "complete");
    am_buf_printf(o, "<p>%s: ", am_tr("Search"));
    am_html_field(o, study, "search");
    am_buf_printf(o, ", %zu %s, %.1f s", trials->list.n, am_tr("trials"),
                  am_node_f64(study, "seconds", 0));
    if (am_str_is(ended, "budget"))
        am_buf_printf(o, " (%s)", am_tr("ended with its budget"));
    if (am_str_is(ended, "stopped"))
        am_buf_printf(o, " (%s)", am_tr("stopped by the person"));
    am_buf_printf(o, ". %s %lld:", am_tr("Best: trial"), (long long)am_node_i64(best, "trial", 0));
    for (size_t i = 0; v && v->kind == AM_NODE_MAP && i < v->map.n; i++) {
        struct am_buf text;
        am_buf_init(&text, 1 << 20);
        am_node_to_json(v->map.pairs[i].value, AM_JSON_COMPACT, &text);
        am_buf_cstr(o, i ? ", <b>" : " <b>");
        am_html_text(o, v->map.pairs[i].key);
        am_buf_cstr(o, "</b> ");
        am_html_text(o, am_buf_view(&text));
        am_buf_clear(&text);
    }
    am_buf_printf(o, ".</p><p class='mute'>%s</p>\n",
                  am_tr("Trials were measured on training and validation rows only; the test rows "
                        "chose nothing."));
}

static void matters(struct am_buf *o, const struct am_node *study)
{
    const struct am_node *list = am_html_items(study, "importance");
    double top = 0;
    for (size_t i = 0; list && i < list->list.n; i++)
        top = fmax(top, am_node_f64(list->list.items[i], "share", 0));
    if (!(top > 0))
        return;
    am_buf_printf(o, "<p class='mute'>%s</p><table>\n",
                  am_tr("Share of each setting in the differences between trials (fANOVA):"));
    for (size_t i = 0; i < list->list.n; i++) {
        double v = am_node_f64(list->list.items[i], "share", 0);
        am_buf_cstr(o, "<tr><td>");
        am_html_field(o, list->list.items[i], "name");
        am_buf_printf(o,
                      "</td><td>%.3f</td><td style='text-align:left'><span class='bar' "
                      "style='width:%.0fpx'></span></td></tr>\n",
                      v, v > 0 ? 200 * v / top : 0);
    }
    am_buf_cstr(o, "</table>\n");
}

static void settings_cell(struct am_buf *o, const struct am_node *trial)
{
    const struct am_node *v = am_node_get(trial, "values");
    for (size_t i = 0; v && v->kind == AM_NODE_MAP && i < v->map.n; i++) {
        const struct am_node *one = v->map.pairs[i].value;
        am_buf_cstr(o, i ? ", " : "");
        am_html_text(o, v->map.pairs[i].key);
        am_buf_cstr(o, " ");
        if (one->kind == AM_NODE_LIST || one->kind == AM_NODE_MAP) {
            struct am_buf text;
            am_buf_init(&text, 1 << 20);
            am_node_to_json(one, AM_JSON_COMPACT, &text);
            am_html_text(o, am_buf_view(&text));
            am_buf_clear(&text);
        } else {
            am_html_node(o, one);
        }
    }
}

static void table(struct am_buf *o, const struct am_node *study, const struct am_node *trials)
{
    const struct am_node *goals = am_html_items(study, "objectives");
    am_buf_printf(o, "<div class='wide'><table><tr><th>%s</th><th>%s</th>", am_tr("trial"),
                  am_tr("status"));
    for (size_t i = 0; goals && i < goals->list.n; i++) {
        am_buf_cstr(o, "<th>");
        am_html_field(o, goals->list.items[i], "name");
        am_buf_cstr(o, "</th>");
    }
    am_buf_printf(
        o, "<th>%s</th><th>&micro;s</th><th class='left'>%s</th><th class='left'>%s</th></tr>\n",
        am_tr("seconds"), am_tr("settings"), am_tr("why"));
    for (size_t i = 0; i < trials->list.n && i < TRIALS_SHOWN; i++) {
        const struct am_node *t = trials->list.items[i];
        am_buf_printf(o, "<tr><td>%lld</td><td>", (long long)am_node_i64(t, "number", 0));
        am_html_text(o, am_str(am_tr(am_node_str(t, "status", "").ptr)));
        am_buf_cstr(o, "</td>");
        for (size_t k = 0; goals && k < goals->list.n; k++) {
            const struct am_node v = {.kind = AM_NODE_REAL, .real = objective(t, k)};
            am_buf_cstr(o, "<td>");
            am_html_number(o, &v);
            am_buf_cstr(o, "</td>");
        }
        am_buf_printf(o, "<td>%.2f</td><td>", am_node_f64(t, "seconds", 0));
        am_html_number(o, am_node_get(t, "latency_us"));
        am_buf_cstr(o, "</td><td class='left'>");
        settings_cell(o, t);
        am_buf_cstr(o, "</td><td class='left'>");
        am_html_field(o, t, "why");
        am_buf_cstr(o, "</td></tr>\n");
    }
    am_buf_cstr(o, "</table></div>\n");
    if (trials->list.n > TRIALS_SHOWN)
        am_buf_printf(o, "<p class='mute'>%s %zu</p>\n", am_tr("further trials:"),
                      trials->list.n - TRIALS_SHOWN);
}

void am_html_study(struct am_buf *o, const struct am_node *r)
{
    const struct am_node *study = am_node_get(r, "study"), *params,
                         *trials = am_html_items(study, "trials");
    if (!trials)
        return;
    am_html_heading(o, "Search for settings");
    words(o, study, trials);
    am_buf_cstr(o, "<div class='plots'>\n");
    history(o, study, trials);
    front(o, study, trials);
    am_buf_cstr(o, "</div>\n");
    parallel(o, study, trials);
    am_buf_cstr(o, "<div class='plots'>\n");
    params = am_html_items(study, "params");
    for (size_t i = 0; params && i < params->list.n && i < SLICES_SHOWN; i++)
        slice(o, study, trials, params->list.items[i], i);
    am_buf_cstr(o, "</div>\n");
    matters(o, study);
    table(o, study, trials);
}
