/* Small plots as inline SVG: axes with round ticks, lines, dots, bars, a legend. */
#include <math.h>

#include "base/num.h"
#include "eval/report.h"

#define W 360.0
#define H 260.0
#define LEFT 52.0
#define RIGHT 12.0
#define TOP 28.0
#define BOTTOM 40.0

static const char *const colors[] = {"#2563eb", "#dc2626", "#16a34a", "#d97706", "#7c3aed", "#0891b2",
                                     "#be185d", "#4d7c0f", "#475569", "#b45309", "#0f766e", "#6d28d9"};

void am_html_text(struct am_buf *out, struct am_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        switch (s.ptr[i]) {
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
            am_buf_char(out, s.ptr[i]);
        }
    }
}

struct axes {
    double x0, x1, y0, y1;
};

static void widen(double *low, double *high)
{
    if (!(*low <= *high)) {
        *low = 0;
        *high = 1;
    }
    if (*low == *high) {
        *low -= 0.5;
        *high += 0.5;
    }
}

static struct axes ranges(const struct am_svg_plot *p)
{
    struct axes a = {p->x_min, p->x_max, p->y_min, p->y_max};
    bool auto_x = p->x_min == p->x_max, auto_y = p->y_min == p->y_max;
    if (auto_x)
        a.x0 = INFINITY, a.x1 = -INFINITY;
    if (auto_y)
        a.y0 = INFINITY, a.y1 = -INFINITY;
    for (size_t s = 0; s < p->n_series; s++)
        for (size_t i = 0; i < p->series[s].n; i++) {
            double x = p->series[s].x[i], y = p->series[s].y[i];
            if (auto_x && isfinite(x))
                a.x0 = fmin(a.x0, x), a.x1 = fmax(a.x1, x);
            if (auto_y && isfinite(y))
                a.y0 = fmin(a.y0, p->series[s].kind == AM_SVG_BARS ? fmin(0, y) : y), a.y1 = fmax(a.y1, y);
        }
    widen(&a.x0, &a.x1);
    widen(&a.y0, &a.y1);
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

static void draw_axes(const struct am_svg_plot *p, const struct axes *a, struct am_buf *out)
{
    double sx = round_step(a->x1 - a->x0), sy = round_step(a->y1 - a->y0);
    for (double v = ceil(a->x0 / sx) * sx; v <= a->x1 + sx * 1e-9; v += sx)
        am_buf_printf(out,
                      "<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' class='grid'/><text x='%.1f' y='%.1f' "
                      "class='tick' text-anchor='middle'>%.4g</text>",
                      px(a, v), TOP, px(a, v), H - BOTTOM, px(a, v), H - BOTTOM + 14, fabs(v) < sx * 1e-9 ? 0 : v);
    for (double v = ceil(a->y0 / sy) * sy; v <= a->y1 + sy * 1e-9; v += sy)
        am_buf_printf(out,
                      "<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' class='grid'/><text x='%.1f' y='%.1f' "
                      "class='tick' text-anchor='end'>%.4g</text>",
                      LEFT, py(a, v), W - RIGHT, py(a, v), LEFT - 4, py(a, v) + 4, fabs(v) < sy * 1e-9 ? 0 : v);
    if (p->diagonal)
        am_buf_printf(out, "<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' class='diagonal'/>", px(a, a->x0),
                      py(a, a->y0), px(a, a->x1), py(a, a->y1));
}

static void draw_series(const struct am_svg_series *s, const struct axes *a, const char *color,
                        struct am_buf *out)
{
    if (s->kind == AM_SVG_LINE) {
        am_buf_printf(out, "<polyline fill='none' stroke='%s' stroke-width='1.6' points='", color);
        for (size_t i = 0; i < s->n; i++)
            if (isfinite(s->x[i]) && isfinite(s->y[i]))
                am_buf_printf(out, "%.1f,%.1f ", px(a, s->x[i]), py(a, s->y[i]));
        am_buf_cstr(out, "'/>");
        if (s->n == 1)
            am_buf_printf(out, "<circle cx='%.1f' cy='%.1f' r='2.5' fill='%s'/>", px(a, s->x[0]),
                          py(a, s->y[0]), color);
        return;
    }
    double width = s->n > 1 ? (px(a, s->x[1]) - px(a, s->x[0])) * 0.9 : 20;
    for (size_t i = 0; i < s->n; i++) {
        if (!isfinite(s->x[i]) || !isfinite(s->y[i]))
            continue;
        if (s->kind == AM_SVG_DOTS)
            am_buf_printf(out, "<circle cx='%.1f' cy='%.1f' r='2' fill='%s' fill-opacity='.5'/>",
                          px(a, s->x[i]), py(a, s->y[i]), color);
        else
            am_buf_printf(out, "<rect x='%.1f' y='%.1f' width='%.1f' height='%.1f' fill='%s'/>",
                          px(a, s->x[i]), py(a, s->y[i]), width, fmax(0, py(a, a->y0) - py(a, s->y[i])), color);
    }
}

void am_svg_draw(const struct am_svg_plot *p, struct am_buf *out)
{
    struct axes a = ranges(p);
    double y = TOP + 8;
    am_buf_printf(out, "<svg viewBox='0 0 %.0f %.0f' role='img' aria-label=\"", W, H);
    am_html_text(out, am_str(p->title));
    am_buf_printf(out, "\"><text x='%.1f' y='16' class='title'>", LEFT);
    am_html_text(out, am_str(p->title));
    am_buf_cstr(out, "</text>");
    draw_axes(p, &a, out);
    for (size_t i = 0; i < p->n_series && i < 12; i++)
        draw_series(&p->series[i], &a, colors[i], out);
    for (size_t i = 0; i < p->n_series && i < 12; i++) {
        if (!p->series[i].name)
            continue;
        am_buf_printf(out, "<rect x='%.1f' y='%.1f' width='10' height='3' fill='%s'/><text x='%.1f' y='%.1f' class='tick'>",
                      W - 118, y, colors[i], W - 104, y + 5);
        am_html_text(out, am_str(p->series[i].name));
        am_buf_cstr(out, "</text>");
        y += 13;
    }
    am_buf_printf(out, "<text x='%.1f' y='%.1f' class='label' text-anchor='middle'>", (LEFT + W - RIGHT) / 2, H - 8);
    am_html_text(out, am_str(p->x_label));
    am_buf_printf(out, "</text><text transform='translate(12 %.1f) rotate(-90)' class='label' text-anchor='middle'>",
                  (TOP + H - BOTTOM) / 2);
    am_html_text(out, am_str(p->y_label));
    am_buf_cstr(out, "</text></svg>\n");
}
