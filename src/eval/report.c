/* Turns the report tree into one HTML file; see report.h for the tree.
 *
 * Not a template engine: each section is a function that prints itself when its keys are there.
 * Texts from data are printed by am_html_field() or am_html_text() only, which escape. Memory that
 * is out sticks in the buffer. Pure; any thread. */
#include <math.h>
#include <stdio.h>

#include "base/alloc.h"
#include "eval/html_int.h"

#define CLASSES_SHOWN 30
#define COLUMNS_SHOWN 200
#define SELECTION_SHOWN 100
#define IMPORTANCE_SHOWN 30
#define MISTAKES_SHOWN 48
#define FILES_SHOWN 100

/* The rows that the plots and tables are of. */
static const char *held_out(const struct am_node *r)
{
    const struct am_node *rows = am_node_get(r, "rows");
    return rows && am_node_i64(rows, "test", 0) == 0 ? am_tr("validation") : am_tr("test");
}

/* ---- head ---- */

static void fact(struct am_buf *o, const struct am_node *r, const char *key, const char *label)
{
    struct am_str s = am_node_str(r, key, "");
    if (s.len == 0)
        return;
    am_buf_printf(o, "<span class='mute'>%s</span> <b>", am_tr(label));
    am_html_text(o, s);
    am_buf_cstr(o, "</b> &emsp;");
}

static void count(struct am_buf *o, const struct am_node *m, const char *key, const char *label)
{
    int64_t n;
    if (am_node_as_i64(am_node_get(m, key), &n) && n >= 0)
        am_buf_printf(o, "<span class='mute'>%s</span> %lld &emsp;", am_tr(label), (long long)n);
}

static void head(struct am_buf *o, const struct am_node *r)
{
    const struct am_node *rows = am_node_get(r, "rows");
    am_html_begin(o, am_node_str(r, "title", ""));
    am_buf_cstr(o, "<p>");
    fact(o, r, "task", "task");
    fact(o, r, "learner", "learner");
    fact(o, r, "target", "target");
    fact(o, r, "model", "model");
    am_buf_cstr(o, "<br>");
    count(o, rows, "train", "training rows");
    count(o, rows, "validation", "validation rows");
    count(o, rows, "test", "test rows");
    count(o, rows, "dropped", "dropped rows");
    count(o, r, "features", "features");
    count(o, r, "parameters", "parameters");
    am_buf_cstr(o, "<br>");
    fact(o, r, "created", "created");
    fact(o, r, "run", "run");
    fact(o, r, "dataset", "dataset");
    am_buf_cstr(o, "</p>\n");
}

/* ---- figures ---- */

static void interval(struct am_buf *o, const struct am_node *band)
{
    am_buf_cstr(o, "<td>");
    if (band) {
        am_html_number(o, am_node_get(band, "low"));
        am_buf_cstr(o, " &hellip; ");
        am_html_number(o, am_node_get(band, "high"));
    }
    am_buf_cstr(o, "</td>");
}

static void metrics(struct am_buf *o, const struct am_node *r)
{
    static const char *const parts[] = {"train", "validation", "test", "baseline"};
    static const char *const names[] = {AM_N("training"), AM_N("validation"), AM_N("test"),
                                        AM_N("baseline")};
    const struct am_node *m = am_node_get(r, "metrics"), *ci = am_node_get(r, "intervals");
    const struct am_node *all = NULL;
    for (size_t k = 0; k < 4; k++) {
        const struct am_node *p = am_node_get(m, parts[k]);
        if (p && p->kind == AM_NODE_MAP && (!all || p->map.n > all->map.n))
            all = p;
    }
    if (!all)
        return;
    am_html_heading(o, "How good is it?");
    am_buf_printf(o, "<div class='wide'><table><tr><th>%s</th>", am_tr("metric"));
    for (size_t k = 0; k < 4; k++)
        if (am_node_get(m, parts[k]))
            am_buf_printf(o, "<th>%s</th>", am_tr(names[k]));
    if (ci)
        am_buf_printf(o, "<th>%s (%s)</th>", am_tr(/* xgettext:no-c-format */ "95 % interval"),
                      held_out(r));
    am_buf_cstr(o, "</tr>\n");
    for (size_t i = 0; i < all->map.n; i++) {
        struct am_str key = all->map.pairs[i].key;
        am_buf_cstr(o, "<tr><td>");
        am_html_text(o, key);
        am_buf_cstr(o, "</td>");
        for (size_t k = 0; k < 4; k++) {
            const struct am_node *p = am_node_get(m, parts[k]);
            if (!p)
                continue;
            am_buf_cstr(o, "<td>");
            am_html_number(o, am_node_get_str(p, key));
            am_buf_cstr(o, "</td>");
        }
        if (ci)
            interval(o, am_node_get_str(ci, key));
        am_buf_cstr(o, "</tr>\n");
    }
    am_buf_cstr(o, "</table></div>\n");
    if (am_node_get(m, "baseline"))
        am_buf_printf(
            o, "<p class='mute'>%s</p>\n",
            am_tr("The baseline always guesses the most frequent class, or the mean. Test "
                  "rows were seen by nothing that was fitted."));
}

static void mean_and_deviation(struct am_buf *o, const struct am_node *m)
{
    am_html_number(o, am_node_get(m, "mean"));
    am_buf_cstr(o, " &plusmn; ");
    am_html_number(o, am_node_get(m, "deviation"));
}

#define FOLDS_SHOWN 20

static void folds(struct am_buf *o, const struct am_node *r)
{
    const struct am_node *f = am_node_get(r, "folds"), *m = am_node_get(f, "metrics");
    const struct am_node *each = am_html_items(f, "each");
    if (!m || m->kind != AM_NODE_MAP)
        return;
    am_html_heading(o, "Cross-validation");
    size_t n = each ? each->list.n : 0, shown = n < FOLDS_SHOWN ? n : FOLDS_SHOWN;
    am_buf_printf(o, "<div class='wide'><table><tr><th>%s</th><th>%s (%zu %s)</th>",
                  am_tr("metric"), am_tr("mean &plusmn; deviation"), n, am_tr("folds"));
    for (size_t k = 0; k < shown; k++)
        am_buf_printf(o, "<th>%zu</th>", k + 1);
    am_buf_cstr(o, "</tr>\n");
    for (size_t i = 0; i < m->map.n; i++) {
        am_buf_cstr(o, "<tr><td>");
        am_html_text(o, m->map.pairs[i].key);
        am_buf_cstr(o, "</td><td>");
        mean_and_deviation(o, m->map.pairs[i].value);
        am_buf_cstr(o, "</td>");
        for (size_t k = 0; k < shown; k++) {
            am_buf_cstr(o, "<td>");
            am_html_number(o, am_node_get_str(each->list.items[k], m->map.pairs[i].key));
            am_buf_cstr(o, "</td>");
        }
        am_buf_cstr(o, "</tr>\n");
    }
    am_buf_cstr(o, "</table></div>\n");
    if (am_html_items(f, "nested"))
        am_buf_printf(o, "<p class='mute'>%s</p>\n",
                      am_tr("Each fold measures settings that were searched for in its own "
                            "training rows."));
}

static void summary(struct am_buf *o, const struct am_node *r)
{
    static const char *const keys[] = {AM_N("mean"), AM_N("median"), AM_N("mode"),
                                       AM_N("variance")};
    const struct am_node *m = am_node_get(r, "predictions"), *t = am_node_get(r, "threshold");
    if (!m)
        return;
    am_buf_printf(o, "<p class='mute'>%s (%s): ", am_tr("Predictions"), held_out(r));
    for (size_t i = 0; i < 4; i++) {
        am_buf_printf(o, "%s%s ", i ? ", " : "", am_tr(keys[i]));
        am_html_number(o, am_node_get(m, keys[i]));
    }
    if (am_node_get(r, "classes"))
        am_buf_printf(o, " %s", am_tr("(classes counted from 0)"));
    if (t) {
        am_buf_printf(o, "; %s ", am_tr("decision threshold"));
        am_html_number(o, t);
    }
    am_buf_cstr(o, "</p>\n");
}

static void advice(struct am_buf *o, const struct am_node *r)
{
    const struct am_node *list = am_node_get(r, "advice");
    if (!list || list->kind != AM_NODE_LIST)
        return;
    am_html_heading(o, "Advice");
    for (size_t i = 0; i < list->list.n; i++) {
        am_buf_cstr(o, "<div class='advice'><b>");
        am_html_field(o, list->list.items[i], "text");
        am_buf_cstr(o, "</b><br>");
        am_html_field(o, list->list.items[i], "remedy");
        am_buf_cstr(o, "</div>\n");
    }
    if (list->list.n == 0)
        am_buf_printf(o, "<div class='advice good'>%s</div>\n", am_tr("Nothing stands out."));
}

static void confusion_row(struct am_buf *o, const struct am_node *row, size_t i)
{
    if (!row || row->kind != AM_NODE_LIST)
        return;
    for (size_t j = 0; j < row->list.n; j++) {
        int64_t n = 0;
        (void)am_node_as_i64(row->list.items[j], &n);
        am_buf_printf(o, "<td%s>%lld</td>",
                      i == j ? " class='hit'"
                      : n    ? " class='miss'"
                             : "",
                      (long long)n);
    }
}

static void confusion(struct am_buf *o, const struct am_node *r)
{
    const struct am_node *c = am_html_items(r, "confusion"), *names = am_html_items(r, "classes");
    if (!c || !names)
        return;
    am_buf_printf(o, "<h2>%s (%s)</h2>\n", am_tr("Confusion matrix"), held_out(r));
    if (c->list.n > CLASSES_SHOWN) {
        am_buf_printf(o, "<p class='mute'>%zu %s</p>\n", c->list.n,
                      am_tr("classes are too many for a table; report.json has it."));
        return;
    }
    am_buf_printf(o, "<div class='wide'><table><tr><th>%s</th>", am_tr("truth \\ predicted"));
    for (size_t j = 0; j < names->list.n; j++) {
        am_buf_cstr(o, "<th>");
        am_html_node(o, names->list.items[j]);
        am_buf_cstr(o, "</th>");
    }
    am_buf_cstr(o, "</tr>\n");
    for (size_t i = 0; i < c->list.n; i++) {
        am_buf_cstr(o, "<tr><td>");
        if (i < names->list.n)
            am_html_node(o, names->list.items[i]);
        am_buf_cstr(o, "</td>");
        confusion_row(o, c->list.items[i], i);
        am_buf_cstr(o, "</tr>\n");
    }
    am_buf_cstr(o, "</table></div>\n");
}

/* ---- plots ---- */

#define SERIES 12
#define NAME_BYTES 128
#define NAME_COLUMNS 13 /* leaves room for the area in the legend */

struct drawing {
    struct am_svg_series series[SERIES];
    char names[SERIES][NAME_BYTES];
    double *owned[2 * SERIES];
    size_t n, n_owned;
};

/* NULL and a failed buffer when memory is out. The caller frees. */
static double *doubles(struct am_buf *o, const struct am_node *list, size_t *n)
{
    *n = list && list->kind == AM_NODE_LIST ? list->list.n : 0;
    double *v = am_alloc_array(*n + 1, sizeof *v);
    if (!v) {
        *n = 0;
        o->failed = o->failed == AM_OK ? AM_ENOMEM : o->failed;
        return NULL;
    }
    for (size_t i = 0; i < *n; i++)
        if (!am_node_as_f64(list->list.items[i], &v[i]))
            v[i] = NAN;
    return v;
}

static void add_series(struct am_buf *o, struct drawing *d, const struct am_node *x,
                       const struct am_node *y, const char *name, unsigned kind)
{
    size_t nx, ny;
    if (d->n == SERIES)
        return;
    double *vx = doubles(o, x, &nx), *vy = doubles(o, y, &ny);
    d->owned[d->n_owned++] = vx;
    d->owned[d->n_owned++] = vy;
    if (!nx || !ny)
        return;
    struct am_svg_series *s = &d->series[d->n];
    *s = (struct am_svg_series){.x = vx, .y = vy, .n = nx < ny ? nx : ny, .kind = kind};
    if (name)
        s->name = name;
    d->n++;
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

/* "name 0.991": the class cut at a whole character, then the area when there is one. */
static const char *curve_name(const struct am_node *r, const struct am_node *curve,
                              const char *area, char out[NAME_BYTES])
{
    const struct am_node *names = am_html_items(r, "classes");
    int64_t k = am_node_i64(curve, "class", -1);
    double v = area ? am_node_f64(curve, area, NAN) : NAN;
    struct am_str s = {"", 0};
    size_t n = 0, chars = 0;
    if (names && k >= 0 && (size_t)k < names->list.n)
        (void)am_node_as_str(names->list.items[k], &s);
    while (n < s.len && chars < NAME_COLUMNS) {
        size_t step = am_utf8_char(s.ptr + n, s.len - n);
        n += step ? step : 1;
        chars += step > 2 ? 2 : 1; /* Chinese is twice as wide */
    }
    if (s.len == 0 && isnan(v))
        return NULL;
    int w = snprintf(out, NAME_BYTES, "%.*s%s", (int)n, s.ptr, n < s.len ? "\xe2\x80\xa6" : "");
    if (w >= 0 && w < NAME_BYTES && !isnan(v))
        (void)snprintf(out + w, NAME_BYTES - (size_t)w, " %s %.3f", area[1] == 'u' ? "AUC" : "AP",
                       v);
    return out;
}

struct curve_plot {
    const char *key, *area; /* area NULL = none */
    struct am_svg_plot plot;
};

static void curves(struct am_buf *o, const struct am_node *r, struct curve_plot c)
{
    const struct am_node *list = am_html_items(r, c.key);
    struct drawing d = {.n = 0};
    for (size_t i = 0; list && i < list->list.n && i < SERIES; i++) {
        const struct am_node *one = list->list.items[i];
        add_series(o, &d, am_node_get(one, "x"), am_node_get(one, "y"),
                   curve_name(r, one, c.area, d.names[d.n]), AM_SVG_LINE);
    }
    c.plot.x_max = c.plot.y_max = 1;
    draw(o, &d, c.plot);
}

static void history(struct am_buf *o, const struct am_node *r)
{
    const struct am_node *h = am_node_get(r, "history"), *epoch = am_node_get(h, "epoch");
    struct drawing d = {.n = 0};
    add_series(o, &d, epoch, am_node_get(h, "train_loss"), am_tr("training"), AM_SVG_LINE);
    add_series(o, &d, epoch, am_node_get(h, "validation_loss"), am_tr("validation"), AM_SVG_LINE);
    draw(o, &d,
         (struct am_svg_plot){.title = am_tr("Learning curve"),
                              .x_label = am_tr("epoch"),
                              .y_label = am_tr("loss")});
}

/* Where training diverged and was set back. */
static void recoveries(struct am_buf *o, const struct am_node *r)
{
    const struct am_node *list = am_html_items(am_node_get(r, "history"), "recoveries");
    for (size_t i = 0; list && i < list->list.n; i++) {
        const struct am_node *m = list->list.items[i];
        am_buf_printf(o, "<p class='advice'>%s %lld: ", am_tr("Training diverged in epoch"),
                      (long long)am_node_i64(m, "epoch", 0));
        am_html_field(o, m, "why");
        am_buf_printf(o, ". %s ", am_tr("It went on from the best weights with learning rate"));
        am_html_number(o, am_node_get(m, "learning_rate"));
        am_buf_cstr(o, ".</p>\n");
    }
    list = am_html_items(am_node_get(r, "history"), "plateaus");
    for (size_t i = 0; list && i < list->list.n; i++) {
        if (i == 0)
            am_buf_printf(o, "<p class='mute'>%s ",
                          am_tr("The learning rate was lowered on a plateau (epoch: rate):"));
        else
            am_buf_cstr(o, ", ");
        am_buf_printf(o, "%lld: ", (long long)am_node_i64(list->list.items[i], "epoch", 0));
        am_html_number(o, am_node_get(list->list.items[i], "learning_rate"));
    }
    if (list)
        am_buf_cstr(o, ".</p>\n");
}

static void residuals(struct am_buf *o, const struct am_node *r)
{
    const struct am_node *m = am_node_get(r, "residuals"), *bins = am_node_get(m, "bins");
    const struct am_node *counts = am_node_get(bins, "n");
    struct drawing d = {.n = 0}, e = {.n = 0};
    if (!m)
        return;
    add_series(o, &d, am_node_get(m, "predicted"), am_node_get(m, "residual"), NULL, AM_SVG_DOTS);
    draw(o, &d,
         (struct am_svg_plot){.title = am_tr("Residuals"),
                              .x_label = am_tr("predicted"),
                              .y_label = am_tr("truth minus predicted")});
    add_series(o, &e, counts, counts, NULL, AM_SVG_BARS);
    for (size_t i = 0; e.n && i < e.series[0].n; i++) /* owned[0] is the x of the one series */
        e.owned[0][i] = am_node_f64(bins, "low", 0) + (double)i * am_node_f64(bins, "width", 1);
    draw(o, &e,
         (struct am_svg_plot){.title = am_tr("Distribution of residuals"),
                              .x_label = am_tr("truth minus predicted"),
                              .y_label = am_tr("rows")});
}

static void plots(struct am_buf *o, const struct am_node *r)
{
    if (!am_html_items(am_node_get(r, "history"), "epoch") && !am_html_items(r, "roc") &&
        !am_html_items(r, "pr") && !am_html_items(r, "calibration") && !am_node_get(r, "residuals"))
        return;
    am_html_heading(o, "Curves");
    am_buf_cstr(o, "<div class='plots'>\n");
    history(o, r);
    curves(o, r,
           (struct curve_plot){"roc",
                               "auc",
                               {.title = am_tr("ROC curve"),
                                .x_label = am_tr("false positive rate"),
                                .y_label = am_tr("true positive rate"),
                                .diagonal = 1}});
    curves(o, r,
           (struct curve_plot){"pr",
                               "ap",
                               {.title = am_tr("Precision and recall"),
                                .x_label = am_tr("recall"),
                                .y_label = am_tr("precision")}});
    curves(o, r,
           (struct curve_plot){"calibration",
                               NULL,
                               {.title = am_tr("Calibration"),
                                .x_label = am_tr("predicted probability"),
                                .y_label = am_tr("observed share"),
                                .diagonal = 1}});
    residuals(o, r);
    am_buf_cstr(o, "</div>\n");
}

/* ---- pictures ---- */

/* "9 -> 4 (0.9987)" */
static void verdict(struct am_buf *o, const struct am_node *m)
{
    am_buf_cstr(o, "<b>");
    am_html_node(o, am_node_get(m, "truth"));
    am_buf_cstr(o, "</b> &rarr; ");
    am_html_node(o, am_node_get(m, "predicted"));
    am_buf_cstr(o, " <span class='mute'>(");
    am_html_number(o, am_node_get(m, "probability"));
    am_buf_cstr(o, ")</span>");
}

static void mistakes(struct am_buf *o, const struct am_node *r)
{
    const struct am_node *list = am_html_items(r, "mistakes");
    if (!list)
        return;
    am_buf_printf(o, "<h2>%s (%s)</h2>\n<p class='mute'>%s</p>\n<div class='cards'>\n",
                  am_tr("Worst mistakes"), held_out(r),
                  am_tr("Truth, then what was predicted with which probability; the most certain "
                        "mistakes first."));
    for (size_t i = 0; i < list->list.n && i < MISTAKES_SHOWN; i++) {
        const struct am_node *m = list->list.items[i];
        am_buf_cstr(o, "<div class='card'>");
        am_html_image(o, m, AM_N("picture"));
        am_buf_cstr(o, "<br>");
        verdict(o, m);
        am_buf_cstr(o, "<br><span class='mute'>");
        if (am_node_str(m, "file", "").len)
            am_html_field(o, m, "file");
        else
            am_buf_printf(o, "%s %lld", am_tr("row"), (long long)am_node_i64(m, "row", 0));
        am_buf_cstr(o, "</span></div>\n");
    }
    am_buf_cstr(o, "</div>\n");
}

static void saliency(struct am_buf *o, const struct am_node *r)
{
    const struct am_node *list = am_html_items(r, "saliency");
    if (!list)
        return;
    am_html_heading(o, "What the model looks at");
    am_html_saliency_words(o);
    am_buf_cstr(o, "<div class='cards'>\n");
    for (size_t i = 0; i < list->list.n && i < MISTAKES_SHOWN; i++) {
        const struct am_node *m = list->list.items[i];
        am_buf_cstr(o, "<div class='card'>");
        am_html_image(o, m, AM_N("picture"));
        am_buf_cstr(o, "<br>");
        verdict(o, m);
        am_buf_cstr(o, "<br><span class='mute'>");
        am_html_method(o, m);
        am_buf_cstr(o, "</span></div>\n");
    }
    am_buf_cstr(o, "</div>\n");
}

/* import: {files, n_bad, bad: [{file, reason}], notes} */
static void bad_files(struct am_buf *o, const struct am_node *r)
{
    const struct am_node *m = am_node_get(r, "import"), *list = am_html_items(m, "bad");
    if (!list)
        return;
    am_html_heading(o, "Files that could not be read");
    am_buf_printf(o,
                  "<p class='mute'>%lld / %lld</p>\n<table class='texts'><tr><th>%s</th><th>%s"
                  "</th></tr>\n",
                  (long long)am_node_i64(m, "n_bad", (int64_t)list->list.n),
                  (long long)am_node_i64(m, "files", 0), am_tr("file"), am_tr("reason"));
    for (size_t i = 0; i < list->list.n && i < FILES_SHOWN; i++) {
        am_buf_cstr(o, "<tr><td>");
        am_html_field(o, list->list.items[i], "file");
        am_buf_cstr(o, "</td><td>");
        am_html_field(o, list->list.items[i], "reason");
        am_buf_cstr(o, "</td></tr>\n");
    }
    am_buf_cstr(o, "</table>\n");
}

/* ---- columns ---- */

static void importance(struct am_buf *o, const struct am_node *r)
{
    const struct am_node *list = am_html_items(r, "importance");
    double top = 0;
    if (!list)
        return;
    am_html_heading(o, "Which columns matter?");
    am_buf_printf(o, "<p class='mute'>%s ",
                  am_tr("What is lost when a column is shuffled, measured by"));
    am_html_field(o, r, "importance_metric");
    am_buf_cstr(o, ".");
    if (list->list.n && am_node_get(list->list.items[0], "split_gain"))
        am_buf_printf(o, " %s", am_tr("Behind the bars: the share of what splits by it gained."));
    am_buf_cstr(o, "</p><table>\n");
    for (size_t i = 0; i < list->list.n; i++)
        top = fmax(top, am_node_f64(list->list.items[i], "mean", 0));
    for (size_t i = 0; i < list->list.n && i < IMPORTANCE_SHOWN; i++) {
        double v = am_node_f64(list->list.items[i], "mean", 0);
        am_buf_cstr(o, "<tr><td>");
        am_html_field(o, list->list.items[i], "column");
        am_buf_cstr(o, "</td><td>");
        mean_and_deviation(o, list->list.items[i]);
        am_buf_printf(o,
                      "</td><td style='text-align:left'><span class='bar' "
                      "style='width:%.0fpx'></span></td>",
                      isfinite(top) && v > 0 ? 200 * v / top : 0);
        if (am_node_get(list->list.items[i], "split_gain"))
            am_buf_printf(o, "<td>%.3f</td>", am_node_f64(list->list.items[i], "split_gain", 0));
        am_buf_cstr(o, "</tr>\n");
    }
    am_buf_cstr(o, "</table>\n");
    if (list->list.n > IMPORTANCE_SHOWN)
        am_buf_printf(o, "<p class='mute'>%s %zu</p>\n", am_tr("further columns, less important:"),
                      list->list.n - IMPORTANCE_SHOWN);
}

/* near_duplicates: {by, similarity, action, groups, rows, dropped, moved, leaks, pairs} */
static void near_duplicates(struct am_buf *o, const struct am_node *r)
{
    static const char *const counts[] = {AM_N("groups"), AM_N("rows"), AM_N("leaks"), AM_N("moved"),
                                         AM_N("dropped")};
    const struct am_node *m = am_node_get(r, "near_duplicates");
    if (!m)
        return;
    am_html_heading(o, "Rows that say almost the same");
    am_buf_printf(o, "<p class='mute'>%s ", am_tr("Compared by"));
    am_html_field(o, m, "by");
    am_buf_printf(o, ", &ge; %.4g.</p><table><tr>", am_node_f64(m, "similarity", 0));
    for (size_t i = 0; i < 5; i++)
        am_buf_printf(o, "<th>%s</th>", am_tr(counts[i]));
    am_buf_cstr(o, "</tr><tr>");
    for (size_t i = 0; i < 5; i++)
        am_buf_printf(o, "<td>%lld</td>", (long long)am_node_i64(m, counts[i], 0));
    am_buf_cstr(o, "</tr></table>\n");
}

/* selection: {by, n_kept, columns: [{column, score, kept}]}, best first */
static void selection(struct am_buf *o, const struct am_node *r)
{
    const struct am_node *m = am_node_get(r, "selection"), *list = am_html_items(m, "columns");
    double top = 0;
    if (!list)
        return;
    am_html_heading(o, "Which columns were selected?");
    am_buf_printf(o, "<p class='mute'>%s ", am_tr("Scored on the training rows by"));
    am_html_field(o, m, "by");
    am_buf_printf(o, ": %lld / %zu.</p><table>\n", (long long)am_node_i64(m, "n_kept", 0),
                  list->list.n);
    for (size_t i = 0; i < list->list.n; i++)
        top = fmax(top, am_node_f64(list->list.items[i], "score", 0));
    for (size_t i = 0; i < list->list.n && i < SELECTION_SHOWN; i++) {
        const struct am_node *c = list->list.items[i];
        const double v = am_node_f64(c, "score", 0);
        am_buf_cstr(o, "<tr><td>");
        am_html_field(o, c, "column");
        am_buf_printf(o,
                      "</td><td>%.4g</td><td style='text-align:left'><span class='bar' "
                      "style='width:%.0fpx%s'></span></td><td>%s</td></tr>\n",
                      v, isfinite(top) && v > 0 && top > 0 ? 200 * v / top : 0,
                      am_node_bool(c, "kept", false) ? "" : ";opacity:.3",
                      am_node_bool(c, "kept", false) ? am_tr("kept") : am_tr("left out"));
    }
    am_buf_cstr(o, "</table>\n");
}

static void columns(struct am_buf *o, const struct am_node *r)
{
    const struct am_node *list = am_html_items(r, "columns");
    if (!list)
        return;
    am_html_heading(o, "Columns as they were understood");
    am_buf_printf(o, "<table class='texts'><tr><th>%s</th><th>%s</th><th>%s</th></tr>\n",
                  am_tr("column"), am_tr("type"), am_tr("why"));
    for (size_t i = 0; i < list->list.n && i < SELECTION_SHOWN; i++) {
        am_buf_cstr(o, "<tr><td>");
        am_html_field(o, list->list.items[i], "name");
        am_buf_cstr(o, "</td><td>");
        am_html_field(o, list->list.items[i], "type");
        am_buf_cstr(o, "</td><td>");
        am_html_field(o, list->list.items[i], "why");
        am_buf_cstr(o, "</td></tr>\n");
    }
    am_buf_cstr(o, "</table>\n");
    if (list->list.n > COLUMNS_SHOWN)
        am_buf_printf(o, "<p class='mute'>%s %zu</p>\n", am_tr("further columns:"),
                      list->list.n - COLUMNS_SHOWN);
}

static void recipe(struct am_buf *o, const struct am_node *r)
{
    if (am_node_str(r, "recipe", "").len == 0)
        return;
    am_html_heading(o, "Recipe");
    am_buf_cstr(o, "<pre>");
    am_html_field(o, r, "recipe");
    am_buf_cstr(o, "</pre>\n");
}

void am_report_html(const struct am_node *report, struct am_buf *out)
{
    head(out, report);
    metrics(out, report);
    folds(out, report);
    am_html_study(out, report);
    recoveries(out, report);
    summary(out, report);
    advice(out, report);
    plots(out, report);
    am_html_leaderboard(out, report);
    am_html_parent(out, report);
    am_html_anomaly(out, report);
    am_html_clusters(out, report);
    confusion(out, report);
    mistakes(out, report);
    saliency(out, report);
    am_html_layers(out, report, "filters", AM_N("Filters of the first layer"));
    am_html_layers(out, report, "activations", AM_N("What the layers answer to that picture"));
    near_duplicates(out, report);
    selection(out, report);
    importance(out, report);
    columns(out, report);
    bad_files(out, report);
    recipe(out, report);
    am_html_end(out);
}
