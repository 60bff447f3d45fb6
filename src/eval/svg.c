/* Small plots as inline SVG: axes with round ticks, lines, dots, bars, a legend below.
 *
 * Colours are classes s0..s11 of the report's style sheet, so that dark pages get their own. Values
 * that are not finite are left out: every coordinate that is printed is a number. Pure; any thread.
 */
#include <math.h>

#include "eval/report.h"

#define W 360.0
#define H 260.0
#define LEFT 56.0
#define RIGHT 14.0
#define TOP 28.0
#define BOTTOM 40.0
#define SERIES_MAX 12
#define TICKS_MAX 12
#define LEGEND_ROW 15.0
#define LEGEND_COLUMNS 25 /* what half a plot's width holds */

void am_html_text(struct am_buf *out, struct am_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        switch (c) {
        case '&':
            am_buf_cstr(out, "&amp;");
            break;
        case '<':
            am_buf_cstr(out, "&lt;");
            break;
        case '>':
            am_buf_cstr(out, "&gt;");
            break;
        case '"':
            am_buf_cstr(out, "&quot;");
            break;
        case '\'':
            am_buf_cstr(out, "&#39;");
            break;
        default:
            if (c < ' ' && c != '\n' && c != '\t')
                am_buf_cstr(out, "&#xfffd;"); /* no control character is text in HTML */
            else
                am_buf_char(out, (char)c);
        }
    }
}

struct axes {
    double x0, x1, y0, y1;
};

/* Small enough that no span overflows. */
static bool drawable(double v)
{
    return fabs(v) <= 1e300;
}

static bool point_drawable(const struct am_svg_series *s, size_t i)
{
    return drawable(s->x[i]) && drawable(s->y[i]);
}

/* A range in which steps of a tenth still change a double. */
static void widen(double *low, double *high)
{
    if (!(*low <= *high)) {
        *low = 0;
        *high = 1;
    }
    double size = fmax(fabs(*low), fabs(*high));
    if (*high - *low <= size * 1e-9 || *high - *low < 1e-300) {
        double pad = size > 1e-290 ? size / 2 : 0.5;
        *low -= pad;
        *high += pad;
    }
}

static double bar_span(const struct am_svg_series *s)
{
    return s->n > 1 ? s->x[1] - s->x[0] : 1;
}

static void range_of(const struct am_svg_series *s, struct axes *a)
{
    bool bars = s->kind == AM_SVG_BARS;
    for (size_t i = 0; i < s->n; i++) {
        if (!point_drawable(s, i))
            continue;
        a->x0 = fmin(a->x0, s->x[i]);
        a->x1 = fmax(a->x1, s->x[i] + (bars ? bar_span(s) : 0));
        a->y0 = fmin(a->y0, bars ? fmin(0, s->y[i]) : s->y[i]);
        a->y1 = fmax(a->y1, s->y[i]);
    }
}

static struct axes ranges(const struct am_svg_plot *p)
{
    struct axes a = {INFINITY, -INFINITY, INFINITY, -INFINITY};
    for (size_t i = 0; i < p->n_series && i < SERIES_MAX; i++)
        range_of(&p->series[i], &a);
    if (p->x_min < p->x_max) {
        a.x0 = p->x_min;
        a.x1 = p->x_max;
    }
    if (p->y_min < p->y_max) {
        a.y0 = p->y_min;
        a.y1 = p->y_max;
    }
    widen(&a.x0, &a.x1);
    widen(&a.y0, &a.y1);
    if (p->n_series && p->series[0].kind == AM_SVG_DOTS) { /* no dot on the frame */
        double dx = (a.x1 - a.x0) * 0.03, dy = (a.y1 - a.y0) * 0.03;
        a = (struct axes){a.x0 - dx, a.x1 + dx, a.y0 - dy, a.y1 + dy};
    }
    return a;
}

static double px(const struct axes *a, double x)
{
    return LEFT + (x - a->x0) / (a->x1 - a->x0) * (W - LEFT - RIGHT);
}
static double py(const struct axes *a, double y)
{
    return H - BOTTOM - (y - a->y0) / (a->y1 - a->y0) * (H - TOP - BOTTOM);
}

static double round_step(double span)
{
    double raw = span / 4, mag = pow(10, floor(log10(raw))), f = raw / mag;
    return (f < 1.5 ? 1 : f < 3.5 ? 2 : f < 7.5 ? 5 : 10) * mag;
}

/* The k-th tick at or above low, exact zero included; NaN past high. */
static double tick(double low, double high, double step, int k)
{
    double v = (ceil(low / step - 1e-9) + k) * step;
    return v > high + step * 1e-9 ? NAN : fabs(v) < step * 1e-9 ? 0 : v;
}

static void draw_axes(const struct am_svg_plot *p, const struct axes *a, struct am_buf *out)
{
    double sx = round_step(a->x1 - a->x0), sy = round_step(a->y1 - a->y0), v;
    for (int k = 0; k < TICKS_MAX && !isnan(v = tick(a->x0, a->x1, sx, k)); k++)
        am_buf_printf(out,
                      "<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' class='grid'/><text x='%.1f' "
                      "y='%.1f' class='tick' text-anchor='middle'>%.7g</text>",
                      px(a, v), TOP, px(a, v), H - BOTTOM, px(a, v), H - BOTTOM + 14, v);
    for (int k = 0; k < TICKS_MAX && !isnan(v = tick(a->y0, a->y1, sy, k)); k++)
        am_buf_printf(out,
                      "<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' class='grid'/><text x='%.1f' "
                      "y='%.1f' class='tick' text-anchor='end'>%.7g</text>",
                      LEFT, py(a, v), W - RIGHT, py(a, v), LEFT - 5, py(a, v) + 3.5, v);
    if (p->diagonal)
        am_buf_printf(out, "<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' class='diagonal'/>",
                      px(a, a->x0), py(a, a->y0), px(a, a->x1), py(a, a->y1));
}

static void draw_line(const struct am_svg_series *s, const struct axes *a, size_t color,
                      struct am_buf *out)
{
    size_t n = 0, only = 0;
    am_buf_printf(out, "<polyline class='s%zu line' points='", color);
    for (size_t i = 0; i < s->n; i++) {
        if (!point_drawable(s, i))
            continue;
        am_buf_printf(out, "%s%.1f,%.1f", n ? " " : "", px(a, s->x[i]), py(a, s->y[i]));
        only = i;
        n++;
    }
    am_buf_cstr(out, "'/>");
    if (n == 1)
        am_buf_printf(out, "<circle cx='%.1f' cy='%.1f' r='2.5' class='s%zu fill'/>",
                      px(a, s->x[only]), py(a, s->y[only]), color);
}

static void draw_series(const struct am_svg_series *s, const struct axes *a, size_t color,
                        struct am_buf *out)
{
    if (s->kind == AM_SVG_LINE) {
        draw_line(s, a, color, out);
        return;
    }
    double width = bar_span(s) / (a->x1 - a->x0) * (W - LEFT - RIGHT) * 0.9;
    bool wide = drawable(width) && width > 0;
    for (size_t i = 0; i < s->n; i++) {
        if (!point_drawable(s, i))
            continue;
        if (s->kind == AM_SVG_DOTS)
            am_buf_printf(out, "<circle cx='%.1f' cy='%.1f' r='2' class='s%zu dot'/>",
                          px(a, s->x[i]), py(a, s->y[i]), color);
        else if (s->y[i] > a->y0)
            am_buf_printf(out,
                          "<rect x='%.1f' y='%.1f' width='%.1f' height='%.1f' class='s%zu fill'/>",
                          px(a, s->x[i]), py(a, s->y[i]), wide ? width : 1.0,
                          py(a, a->y0) - py(a, s->y[i]), color);
    }
}

/* At most about LEGEND_COLUMNS wide, an ellipsis for the rest. */
static void legend_text(const char *name, struct am_buf *out)
{
    struct am_str s = am_str(name);
    size_t at = 0, n = 0;
    while (at < s.len && n < LEGEND_COLUMNS) {
        size_t step = am_utf8_char(s.ptr + at, s.len - at);
        at += step ? step : 1;
        n += step > 2 ? 2 : 1; /* Chinese is twice as wide */
    }
    am_html_text(out, (struct am_str){s.ptr, at});
    if (at < s.len)
        am_buf_cstr(out, "&hellip;");
}

static size_t n_names(const struct am_svg_plot *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n_series && i < SERIES_MAX; i++)
        n += p->series[i].name != NULL;
    return n;
}

static void draw_legend(const struct am_svg_plot *p, struct am_buf *out)
{
    size_t at = 0;
    for (size_t i = 0; i < p->n_series && i < SERIES_MAX; i++) {
        if (!p->series[i].name)
            continue;
        double x = at % 2 ? W / 2 + 12 : 16, y = H + 10 + LEGEND_ROW * (double)(at / 2);
        at++;
        am_buf_printf(out,
                      "<rect x='%.1f' y='%.1f' width='12' height='4' class='s%zu fill'/><text "
                      "x='%.1f' y='%.1f' class='label'>",
                      x, y - 6, i, x + 18, y);
        legend_text(p->series[i].name, out);
        am_buf_cstr(out, "</text>");
    }
}

void am_svg_draw(const struct am_svg_plot *p, struct am_buf *out)
{
    struct axes a = ranges(p);
    double legend = LEGEND_ROW * (double)((n_names(p) + 1) / 2);
    am_buf_printf(out, "<svg viewBox='0 0 %.0f %.0f' role='img' aria-label=\"", W, H + legend);
    am_html_text(out, am_str(p->title));
    am_buf_printf(out, "\"><text x='%.1f' y='17' class='title'>", LEFT);
    am_html_text(out, am_str(p->title));
    am_buf_cstr(out, "</text>");
    draw_axes(p, &a, out);
    for (size_t i = 0; i < p->n_series && i < SERIES_MAX; i++)
        draw_series(&p->series[i], &a, i, out);
    draw_legend(p, out);
    am_buf_printf(out, "<text x='%.1f' y='%.1f' class='label' text-anchor='middle'>",
                  (LEFT + W - RIGHT) / 2, H - 9);
    am_html_text(out, am_str(p->x_label));
    am_buf_printf(out,
                  "</text><text transform='translate(13 %.1f) rotate(-90)' class='label' "
                  "text-anchor='middle'>",
                  (TOP + H - BOTTOM) / 2);
    am_html_text(out, am_str(p->y_label));
    am_buf_cstr(out, "</text></svg>\n");
}
