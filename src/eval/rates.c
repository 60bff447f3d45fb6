/* The learning-rate range test as a page: the curve of the loss over the rate, and what it
 * suggests. Pure; any thread. */
#include <math.h>

#include "eval/html_int.h"

#define POINTS 1000

static size_t points(const struct am_node *found, double *x, double *y)
{
    const struct am_node *rates = am_node_get(found, "rates"),
                         *losses = am_node_get(found, "losses");
    size_t n = 0;
    for (size_t i = 0; rates && losses && i < rates->list.n && i < losses->list.n && n < POINTS;
         i++) {
        double rate, loss;
        if (!am_node_as_f64(rates->list.items[i], &rate) || !(rate > 0) ||
            !am_node_as_f64(losses->list.items[i], &loss) || !isfinite(loss))
            continue;
        x[n] = log10(rate);
        y[n++] = loss;
    }
    return n;
}

/* The point of the curve that lies nearest to a rate. */
static size_t nearest(const double *x, size_t n, double rate)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (fabs(x[i] - log10(rate)) < fabs(x[best] - log10(rate)))
            best = i;
    return best;
}

static void draw(const struct am_node *found, struct am_buf *out)
{
    double x[POINTS], y[POINTS], suggestion;
    struct am_svg_series s[2] = {{.x = x, .y = y, .kind = AM_SVG_LINE}};
    struct am_svg_plot p = {.title = am_tr("Loss over the learning rate"),
                            .x_label = am_tr("learning rate, as a power of ten"),
                            .y_label = am_tr("loss, smoothed"),
                            .series = s,
                            .n_series = 1};
    s[0].n = points(found, x, y);
    s[0].name = am_tr("loss");
    if (s[0].n == 0)
        return;
    if (am_node_as_f64(am_node_get(found, "suggestion"), &suggestion) && suggestion > 0) {
        size_t i = nearest(x, s[0].n, suggestion);
        s[1] = (struct am_svg_series){
            .x = x + i, .y = y + i, .n = 1, .name = am_tr("suggested"), .kind = AM_SVG_DOTS};
        p.n_series = 2;
    }
    am_buf_cstr(out, "<div class='plots'>");
    am_svg_draw(&p, out);
    am_buf_cstr(out, "</div>\n");
}

void am_rates_html(const struct am_node *found, struct am_buf *out)
{
    double suggestion, now;
    am_html_begin(out, am_node_str(found, "name", ""));
    am_html_heading(out, AM_N("Learning-rate range test"));
    am_buf_printf(out, "<p>%s</p>\n",
                  am_tr("A short training whose learning rate rises from step to step. A good rate "
                        "is where the loss falls fastest, well before it rises."));
    draw(found, out);
    if (am_node_as_f64(am_node_get(found, "suggestion"), &suggestion))
        am_buf_printf(out, "<p>%s <b>%.3g</b></p>\n", am_tr("suggested learning rate"), suggestion);
    else
        am_buf_printf(out, "<p>%s</p>\n", am_tr("The loss falls at none of these rates."));
    if (am_node_as_f64(am_node_get(found, "learning_rate"), &now))
        am_buf_printf(out, "<p class='mute'>%s %.3g</p>\n", am_tr("the recipe's learning rate"),
                      now);
    am_html_end(out);
}
