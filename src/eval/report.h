/* The report as one self-contained HTML file: plain words, tables, SVG plots; no script, no outside
 * file. Every text is escaped. Pure; any thread.
 *
 * Input is the report tree (report.json) that pipeline/ builds; keys that are missing leave their
 * section out: title, task, learner, target, model, run, dataset, created, recipe: texts rows:
 * {train, validation, test, dropped}, features, parameters: counts metrics: {train, validation,
 * test, baseline: {name: value}}, intervals: {name: {value, low, high}} folds: {each: [{name:
 * value}], metrics: {name: {mean, deviation}}} threshold, predictions: {mean, median, mode,
 * variance} classes: [text], confusion: [[n]], roc, pr, calibration, residuals: as eval.h makes
 * them history: {epoch, train_loss, validation_loss: [..]} importance: [{column, mean, deviation}],
 * importance_metric: text advice: [{kind, text, remedy}], columns: [{name, type, why}],
 * mistakes: [{row, file, truth, predicted, probability, picture}], saliency: [{truth, predicted,
 * probability, method, picture}], filters and activations: [{layer, shape, picture}] (pictures.h
 * makes them; a picture is a PNG as "data:image/png;base64," text), import: {files, bad: [{file,
 * reason}]} */
#ifndef AM_EVAL_REPORT_H
#define AM_EVAL_REPORT_H

#include "base/tree.h"

/* Appends; am_buf_check() says whether it is whole. */
void am_report_html(const struct am_node *report, struct am_buf *out);

/* One prediction explained, as a page of its own. The tree: title, model, version, file, row, kind
 * (picture, sound, text, table), prediction: {label, probability} or {value}, explained: the class
 * that all below is about, classes: [{label, probability}], input: [{picture}], saliency: [{method,
 * picture}], frames: [{frame, picture, effect}] of a video, columns: [{column, value, without,
 * effect}], words: [{column, words: [{text, effect}]}], filters and activations as above. An effect
 * is what the probability (or the value) loses without it. */
void am_explanation_html(const struct am_node *explanation, struct am_buf *out);

/* The learning-rate range test as a page of the same kind: {name, rates: [..], losses: [..],
 * suggestion, learning_rate}. */
void am_rates_html(const struct am_node *found, struct am_buf *out);

/* One plot of lines, dots or bars as inline SVG. Values that are not finite are left out. Bars
 * stand right of x, as wide as x[1] - x[0]. Colours are classes of the report's style sheet. */
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
/* Text for HTML: & < > " ' escaped, control characters replaced. */
void am_html_text(struct am_buf *out, struct am_str s);

#endif
