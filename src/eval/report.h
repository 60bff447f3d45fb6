/* The report as one self-contained HTML file: plain words, tables, SVG plots; no script, no outside file.
 *
 * Input is the report tree (report.json) that pipeline/ builds:
 *   {title, task, created, model, run, dataset, rows: {train, validation, test, dropped}, features,
 *    parameters, metrics: {train, validation, test, baseline: {name: value}}, intervals: {name: {value, low,
 *    high}}, folds, threshold, classes: [text], confusion: [[n]], roc, pr, calibration, residuals,
 *    history: {epoch, train_loss, validation_loss: [..]}, importance: [{column, mean, deviation}],
 *    predictions: {mean, median, mode, variance}, advice: [{kind, text, remedy}], columns: [{name, type, why}],
 *    recipe: YAML text}
 * Keys that are missing leave their section out. Every text is escaped. Pure; any thread. */
#ifndef AM_EVAL_REPORT_H
#define AM_EVAL_REPORT_H

#include "base/tree.h"

void am_report_html(const struct am_node *report, struct am_buf *out);

/* One line, scatter or step plot as inline SVG. */
struct am_svg_series {
    const double *x, *y; /* [n] */
    size_t n;
    const char *name; /* legend; NULL = none */
    enum { AM_SVG_LINE, AM_SVG_DOTS, AM_SVG_BARS } kind;
};
struct am_svg_plot {
    const char *title, *x_label, *y_label;
    double x_min, x_max, y_min, y_max; /* equal = from the data */
    int diagonal;                      /* 1 = a dashed line from corner to corner */
    const struct am_svg_series *series;
    size_t n_series; /* at most 12 */
};
void am_svg_draw(const struct am_svg_plot *p, struct am_buf *out);
/* Text for HTML: & < > " ' escaped. */
void am_html_text(struct am_buf *out, struct am_str s);

#endif
