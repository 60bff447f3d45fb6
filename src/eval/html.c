/* What the pages have in common; see html_int.h. */
#include "eval/html_int.h"

#include <math.h>

#define LAYERS_SHOWN 32

static const char style[] =
    ":root{color-scheme:light "
    "dark;--fg:#1e293b;--bg:#fff;--mute:#5b6778;--line:#dbe2ea;--soft:#f5f7fa;"
    "--good:#15803d;--warn:#d97706;--hit:#16a34a2e;--miss:#dc262629;--c0:#2563eb;--c1:#dc2626;--c2:"
    "#16a34a;"
    "--c3:#d97706;--c4:#7c3aed;--c5:#0891b2;--c6:#be185d;--c7:#4d7c0f;--c8:#475569;--c9:#92400e;"
    "--c10:#0f766e;--c11:#c026d3}\n"
    "@media(prefers-color-scheme:dark){:root{--fg:#e2e8f0;--bg:#0f172a;--mute:#9aa8bb;--line:#"
    "334155;"
    "--soft:#1b2638;--good:#4ade80;--warn:#fbbf24;--hit:#22c55e40;--miss:#f8717140;--c0:#60a5fa;--"
    "c1:#f87171;"
    "--c2:#4ade80;--c3:#fbbf24;--c4:#a78bfa;--c5:#22d3ee;--c6:#f472b6;--c7:#a3e635;--c8:#cbd5e1;--"
    "c9:#fb923c;"
    "--c10:#2dd4bf;--c11:#e879f9}}\n"
    "*{box-sizing:border-box}body{font:15px/1.5 system-ui,sans-serif;max-width:1160px;margin:0 "
    "auto;"
    "padding:24px;color:var(--fg);background:var(--bg);overflow-wrap:anywhere}\n"
    "h1{font-size:24px;margin:0}h2{font-size:18px;margin:32px 0 8px;padding-bottom:2px;"
    "border-bottom:1px solid var(--line)}.wide{overflow-x:auto}.wide td,.wide "
    "th{white-space:nowrap}\n"
    "table{border-collapse:collapse;margin:8px "
    "0;font-variant-numeric:tabular-nums}th,td{padding:4px 12px;"
    "border-bottom:1px solid var(--line);text-align:right;overflow-wrap:normal}th:first-child,"
    "td:first-child,.texts td,.texts th{text-align:left}th{font-weight:600;color:var(--mute)}\n"
    ".plots{display:flex;flex-wrap:wrap;gap:12px;align-items:flex-start}.plots svg{flex:1 1 320px;"
    "max-width:364px;background:var(--soft);border-radius:8px}.grid{stroke:var(--line)}"
    ".diagonal{stroke:var(--mute);stroke-dasharray:4}.tick{font-size:10px;fill:var(--mute)}"
    ".label{font-size:11px;fill:var(--mute)}.title{font-size:13px;fill:var(--fg);font-weight:600}\n"
    ".line{fill:none;stroke:currentColor;stroke-width:1.6}.fill{fill:currentColor}"
    ".dot{fill:currentColor;fill-opacity:.5}.s0{color:var(--c0)}.s1{color:var(--c1)}.s2{color:var(-"
    "-c2)}"
    ".s3{color:var(--c3)}.s4{color:var(--c4)}.s5{color:var(--c5)}.s6{color:var(--c6)}.s7{color:var("
    "--c7)}"
    ".s8{color:var(--c8)}.s9{color:var(--c9)}.s10{color:var(--c10)}.s11{color:var(--c11)}\n"
    ".mute{color:var(--mute)}.advice{border-left:4px solid var(--warn);padding:6px 12px;margin:8px "
    "0;"
    "background:var(--soft);border-radius:0 6px 6px 0}.good{border-color:var(--good)}"
    "pre{background:var(--soft);padding:12px;overflow:auto;border-radius:8px;font-size:13px;line-"
    "height:1.45}"
    ".bar{display:inline-block;height:10px;background:var(--c0);border-radius:2px}"
    ".hit{background:var(--hit)}.miss{background:var(--miss)}\n"
    ".now{font-size:17px}.words{line-height:2;white-space:pre-wrap;background:var(--soft);padding:"
    "12px;"
    "border-radius:8px}.words span{border-radius:3px}.shown img{width:224px}.layer "
    "img{min-width:192px}"
    ".against{background:var(--c1)}.left{text-align:left!important}\n"
    ".cards{display:flex;flex-wrap:wrap;gap:12px}.card{width:128px;font-size:13px;line-height:1.3}"
    "img{image-rendering:pixelated;max-width:100%}.card img{width:128px;border-radius:6px}";

void am_html_field(struct am_buf *o, const struct am_node *m, const char *key)
{
    am_html_text(o, am_node_str(m, key, ""));
}

void am_html_node(struct am_buf *o, const struct am_node *n)
{
    struct am_str s;
    int64_t i;
    if (am_node_as_str(n, &s))
        am_html_text(o, s);
    else if (am_node_as_i64(n, &i))
        am_buf_printf(o, "%lld", (long long)i);
    else if (n && n->kind == AM_NODE_BOOL)
        am_buf_cstr(o, n->boolean ? "true" : "false");
    else if (n && n->kind == AM_NODE_REAL)
        am_html_number(o, n);
}

/* Four decimals below 100, two above, powers of ten where neither says anything. */
void am_html_number(struct am_buf *o, const struct am_node *n)
{
    double v;
    if (!am_node_as_f64(n, &v) || !isfinite(v)) {
        am_buf_cstr(o, "&ndash;");
        return;
    }
    double size = fabs(v);
    const char *fmt = size >= 1e9 || (v != 0 && size < 1e-3) ? "%.3e"
                      : size >= 100                          ? "%.2f"
                                                             : "%.4f";
    am_buf_printf(o, fmt, v);
}

/* NULL unless the value is a list with something in it. */
const struct am_node *am_html_items(const struct am_node *m, const char *key)
{
    const struct am_node *n = am_node_get(m, key);
    return n && n->kind == AM_NODE_LIST && n->list.n ? n : NULL;
}

void am_html_heading(struct am_buf *o, const char *s)
{
    am_buf_printf(o, "<h2>%s</h2>\n", am_tr(s));
}

/* Only PNGs inside of the page; nothing is ever loaded. */
static bool is_picture(struct am_str s)
{
    struct am_str prefix = AM_STR("data:image/png;base64,");
    if (!am_str_starts(s, prefix))
        return false;
    for (size_t i = prefix.len; i < s.len; i++) {
        char c = s.ptr[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              c == '+' || c == '/' || c == '='))
            return false;
    }
    return true;
}

void am_html_image(struct am_buf *o, const struct am_node *m, const char *alt)
{
    struct am_str s = am_node_str(m, "picture", "");
    if (!is_picture(s))
        return;
    am_buf_printf(o, "<img alt='%s' src='", am_tr(alt));
    am_buf_str(o, s);
    am_buf_cstr(o, "'>");
}

void am_html_saliency_words(struct am_buf *o)
{
    am_buf_printf(
        o, "<p class='mute'>%s %s</p>\n",
        am_tr("Occlusion: squares of the picture are covered one after the other. Red: without "
              "this part the probability of the predicted class falls; blue: it rises."),
        am_tr("Gradient: the more a point's colour would change the answer, the redder; the mean "
              "over noisy copies of the picture (SmoothGrad)."));
}

void am_html_method(struct am_buf *o, const struct am_node *m)
{
    const bool gradient = am_str_is(am_node_str(m, "method", ""), "gradient");
    am_buf_cstr(o, gradient ? am_tr("gradient") : am_tr("occlusion"));
}

void am_html_layers(struct am_buf *o, const struct am_node *r, const char *key, const char *title)
{
    const struct am_node *list = am_html_items(r, key);
    if (!list)
        return;
    am_html_heading(o, title);
    for (size_t i = 0; i < list->list.n && i < LAYERS_SHOWN; i++) {
        am_buf_cstr(o, "<p class='layer'><b>");
        am_html_field(o, list->list.items[i], "layer");
        am_buf_cstr(o, "</b> <span class='mute'>");
        am_html_field(o, list->list.items[i], "shape");
        am_buf_cstr(o, "</span><br>");
        am_html_image(o, list->list.items[i], title);
        am_buf_cstr(o, "</p>\n");
    }
}

void am_html_begin(struct am_buf *o, struct am_str title)
{
    am_buf_printf(o,
                  "<!doctype html>\n<html lang='%s'><head><meta charset='utf-8'><meta "
                  "name='viewport' content='width=device-width,initial-scale=1'><title>",
                  am_tr("en"));
    am_html_text(o, title);
    am_buf_printf(o, "</title><style>%s</style></head><body>\n<h1>", style);
    am_html_text(o, title);
    am_buf_cstr(o, "</h1>\n");
}

void am_html_end(struct am_buf *o)
{
    am_buf_cstr(o, "</body></html>\n");
}
