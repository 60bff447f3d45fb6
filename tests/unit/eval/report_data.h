/* Report trees with made-up figures, through the same calls as pipeline/: a usual one for two
 * classes, one for a number, one whose every text is hostile, an empty one. */
#ifndef AM_TESTS_EVAL_REPORT_DATA_H
#define AM_TESTS_EVAL_REPORT_DATA_H

#include <math.h>
#include <stdio.h>

#include "base/rng.h"
#include "eval/eval.h"
#include "eval/pictures.h"
#include "eval/report.h"

#define HOSTILE "<script>alert('x')</script>\"'><img src=http://example.com/a onerror=b>&amp;\x01"

enum { MADE_ROWS = 300, MADE_CLASSES = 4 };

static inline void made_rows(enum am_task task, double *truth, float *pred)
{
    struct am_rng r;
    size_t c = task == AM_TASK_MULTICLASS ? MADE_CLASSES : 1;
    am_rng_init(&r, 11, AM_RNG_USER);
    for (size_t i = 0; i < MADE_ROWS; i++) {
        double z = 0, e[MADE_CLASSES];
        truth[i] = task == AM_TASK_REGRESSION ? 180000 + 60000 * am_rng_normal(&r)
                                              : (double)am_rng_below(&r, c == 1 ? 2 : c);
        for (size_t k = 0; k < c; k++)
            z += e[k] = exp(2 * (truth[i] == (double)k) + am_rng_normal(&r));
        for (size_t k = 0; k < c; k++)
            pred[i * c + k] = (float)(e[k] / z);
        if (task == AM_TASK_BINARY)
            pred[i] = (float)(1 / (1 + exp(2 - 4 * truth[i] - 1.5 * am_rng_normal(&r))));
        else if (task == AM_TASK_REGRESSION)
            pred[i] = (float)(truth[i] + 15000 * am_rng_normal(&r));
    }
}

static inline void add_figures(struct am_node *m, const struct am_eval_input *in,
                               struct am_arena *a)
{
    struct am_node *metrics = am_new_map(a), *part, *bands, *list;
    struct am_str names[8];
    const char *const *d = am_metrics_default(in->task);
    struct am_bootstrap_options o = {.seed = 1, .n_resamples = 200, .level = 0.95};
    size_t n = 0;
    uint64_t counts[MADE_CLASSES * MADE_CLASSES];
    while (d[n]) {
        names[n] = am_str(d[n]);
        n++;
    }
    if (am_metrics_node(in, names, n, NULL, a, &part, NULL) != AM_OK ||
        am_bootstrap(in, names, n, &o, a, &bands, NULL) != AM_OK)
        return;
    am_node_set(a, metrics, "train", part);
    am_node_set(a, metrics, "test", part);
    am_node_set(a, m, "metrics", metrics);
    am_node_set(a, m, "intervals", bands);
    am_node_set(a, m, "predictions", am_prediction_summary(in, a));
    if (in->task == AM_TASK_REGRESSION) {
        am_node_set(a, m, "residuals", am_residuals(in, 300, a));
        return;
    }
    am_node_set(a, m, "roc", am_curve_roc(in, 200, a));
    am_node_set(a, m, "pr", am_curve_pr(in, 200, a));
    am_node_set(a, m, "calibration", am_curve_calibration(in, 10, a));
    am_confusion(in, counts);
    list = am_new_list(a);
    for (size_t i = 0; i < in->n_classes; i++) {
        struct am_node *row = am_new_list(a);
        for (size_t j = 0; j < in->n_classes; j++)
            am_node_push(a, row, am_new_i64(a, (int64_t)counts[i * in->n_classes + j]));
        am_node_push(a, list, row);
    }
    am_node_set(a, m, "confusion", list);
}

/* Texts are `text` when it is given. */
static inline void add_texts(struct am_node *m, size_t n_classes, const char *text,
                             struct am_arena *a)
{
    static const char *const keys[] = {"title",   "learner", "target", "run",
                                       "dataset", "created", "recipe", "importance_metric"};
    static const char *const usual[] = {"breast-cancer",
                                        "mlp",
                                        "diagnosis",
                                        "7f3a91c2d0",
                                        "9c1e77ab",
                                        "2026-05-04T10:11:12Z",
                                        "data:\n  source: breast_cancer.csv\n  target: diagnosis\n",
                                        "roc_auc"};
    static const char *const classes[] = {
        "benign", "malignant", "a class with a very long name indeed", "\xe8\x89\xaf\xe6\x80\xa7"};
    static const char *const columns[] = {"worst_radius", "mean_texture", "id_like", "area_error"};
    struct am_node *list = am_new_list(a), *imp = am_new_list(a), *advice = am_new_list(a),
                   *used = am_new_list(a);
    for (size_t i = 0; i < 8; i++)
        am_node_set(a, m, keys[i], am_new_cstr(a, text ? text : usual[i]));
    for (size_t i = 0; i < n_classes; i++)
        am_node_push(a, list, am_new_cstr(a, text ? text : classes[i]));
    for (size_t i = 0; i < 4; i++) {
        struct am_node *one = am_new_map(a), *col = am_new_map(a);
        am_node_set(a, one, "column", am_new_cstr(a, text ? text : columns[i]));
        am_node_set(a, one, "mean", am_new_f64(a, 0.12 / (double)(i * i + 1) - 0.02));
        am_node_set(a, one, "deviation", am_new_f64(a, 0.004));
        am_node_push(a, imp, one);
        am_node_set(a, col, "name", am_new_cstr(a, text ? text : columns[i]));
        am_node_set(a, col, "type", am_new_cstr(a, "number"));
        am_node_set(a, col, "why", am_new_cstr(a, text ? text : "every value reads as a number"));
        am_node_push(a, used, col);
    }
    struct am_node *piece = am_new_map(a);
    am_node_set(a, piece, "kind", am_new_cstr(a, "overfit"));
    am_node_set(a, piece, "text",
                am_new_cstr(a, text ? text
                                    : "accuracy is 1 on the training rows "
                                      "but 0.91 on rows the model never saw"));
    am_node_set(a, piece, "remedy",
                am_new_cstr(a, text ? text : "Try more rows or a smaller model."));
    am_node_push(a, advice, piece);
    if (n_classes)
        am_node_set(a, m, "classes", list);
    am_node_set(a, m, "importance", imp);
    am_node_set(a, m, "advice", advice);
    am_node_set(a, m, "columns", used);
}

/* Pictures of a model that never was; hostile: texts where pictures are expected. */
static inline void add_pictures(struct am_node *m, const struct am_eval_input *in, const char *text,
                                struct am_arena *a)
{
    float x[12 * 9 * 3], heat[12 * 9], w[9 * 3 * 8];
    struct am_floats f = {12, 9, 3, x};
    struct am_node *list = am_new_list(a), *layer = am_new_map(a), *one = am_new_map(a);
    struct am_node *import = am_new_map(a), *bad = am_new_list(a), *file = am_new_map(a);
    struct am_str uri = am_str(text);
    size_t rows[6], n = am_worst_mistakes(in, 6, rows);
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        x[i] = (float)sin((double)i);
    for (size_t i = 0; i < sizeof heat / sizeof *heat; i++)
        heat[i] = (float)i - 50;
    for (size_t i = 0; i < sizeof w / sizeof *w; i++)
        w[i] = (float)cos((double)i * 3);
    for (size_t i = 0; i < n; i++) {
        if (!text && am_picture_of_floats(&f, 8, a, &uri, NULL) != AM_OK)
            return;
        am_node_push(a, list, am_mistake_node(in, rows[i], am_node_get(m, "classes"), uri, a));
    }
    am_node_set(a, m, "mistakes", list);
    if (!text && am_picture_heat(&f, heat, 0, a, &uri, NULL) != AM_OK)
        return;
    list = am_new_list(a);
    am_node_push(a, list, am_mistake_node(in, 0, am_node_get(m, "classes"), uri, a));
    am_node_set(a, m, "saliency", list);
    if (!text && am_picture_filters(w, 3, 3, 3, 8, 6, a, &uri, NULL) != AM_OK)
        return;
    am_node_set(a, layer, "layer", am_new_cstr(a, text ? text : "conv1 3 x 3 x 3"));
    am_node_set(a, layer, "picture", am_new_str(a, uri));
    list = am_new_list(a);
    am_node_push(a, list, layer);
    am_node_set(a, m, "filters", list);
    if (!text && am_picture_maps(&f, 2, a, &uri, NULL) != AM_OK)
        return;
    am_node_set(a, one, "layer", am_new_cstr(a, text ? text : "conv1"));
    am_node_set(a, one, "picture", am_new_str(a, uri));
    list = am_new_list(a);
    am_node_push(a, list, one);
    am_node_set(a, m, "activations", list);
    am_node_set(a, file, "file", am_new_cstr(a, text ? text : "cats/7.png"));
    am_node_set(a, file, "reason", am_new_cstr(a, text ? text : "the file is empty"));
    am_node_push(a, bad, file);
    am_node_set(a, import, "files", am_new_i64(a, 301));
    am_node_set(a, import, "bad", bad);
    am_node_set(a, m, "import", import);
}

/* A search over four settings with two goals: trials of every status, one without a place. */
static inline void add_study(struct am_node *m, const char *text, struct am_arena *a)
{
    static const char *const kinds[] = {"float", "int", "choice", "bool"};
    static const char *const states[] = {"ok", "ok", "failed", "pruned", "canceled"};
    struct am_node *s = am_new_map(a), *goals = am_new_list(a), *params = am_new_list(a),
                   *trials = am_new_list(a), *front = am_new_list(a), *imp = am_new_list(a),
                   *best = am_new_map(a);
    for (size_t i = 0; i < 2; i++) {
        struct am_node *g = am_new_map(a);
        am_node_set(a, g, "name", am_new_cstr(a, text ? text : i ? "latency_us" : "log_loss"));
        am_node_set(a, g, "direction", am_new_cstr(a, "minimize"));
        am_node_push(a, goals, g);
    }
    for (size_t i = 0; i < 4; i++) {
        struct am_node *p = am_new_map(a), *choices = am_new_list(a), *share = am_new_map(a);
        am_node_set(a, p, "name", am_new_cstr(a, text ? text : "train.learning_rate_of_something"));
        am_node_set(a, p, "kind", am_new_cstr(a, kinds[i]));
        am_node_set(a, p, "log", am_new_bool(a, i == 0));
        am_node_set(a, p, "low", am_new_f64(a, i == 0 && text ? -1 : 1e-4));
        am_node_set(a, p, "high", am_new_f64(a, 8));
        am_node_push(a, choices, am_new_cstr(a, text ? text : "relu"));
        am_node_push(a, choices, am_new_cstr(a, text ? text : "tanh"));
        if (i >= 2)
            am_node_set(a, p, "choices", choices);
        am_node_push(a, params, p);
        am_node_set(a, share, "name", am_new_cstr(a, text ? text : "train.learning_rate"));
        am_node_set(a, share, "share", am_new_f64(a, 0.25));
        am_node_push(a, imp, share);
    }
    for (int n = 0; n < 20; n++) {
        struct am_node *t = am_new_map(a), *unit = am_new_list(a), *o = am_new_list(a),
                       *v = am_new_map(a);
        for (int i = 0; i < 4; i++)
            am_node_push(a, unit, am_new_f64(a, n == 3 && i == 1 ? NAN : (n * 7 + i) % 20 / 20.0));
        am_node_push(a, o, am_new_f64(a, n == 5 ? INFINITY : 0.1 + n % 7));
        am_node_push(a, o, am_new_f64(a, 100.0 - n));
        am_node_set(a, v, "train.learning_rate", am_new_f64(a, 0.01 * n));
        am_node_set(a, v, "model.activation", am_new_cstr(a, text ? text : "relu"));
        am_node_set(a, v, "model.layers", goals);
        am_node_set(a, t, "number", am_new_i64(a, n));
        am_node_set(a, t, "status", am_new_cstr(a, text ? text : states[n % 5]));
        am_node_set(a, t, "why", am_new_cstr(a, text ? text : n % 5 == 2 ? "diverged" : ""));
        am_node_set(a, t, "unit", unit);
        am_node_set(a, t, "values", v);
        if (n % 5 < 2)
            am_node_set(a, t, "objectives", o);
        am_node_set(a, t, "seconds", am_new_f64(a, 1.5));
        am_node_push(a, trials, t);
    }
    am_node_push(a, front, am_new_i64(a, 0));
    am_node_push(a, front, am_new_i64(a, 16));
    am_node_set(a, best, "trial", am_new_i64(a, 0));
    am_node_set(a, best, "values", am_node_get(trials->list.items[0], "values"));
    am_node_set(a, s, "objectives", goals);
    am_node_set(a, s, "search", am_new_cstr(a, text ? text : "bayesian"));
    am_node_set(a, s, "ended", am_new_cstr(a, "budget"));
    am_node_set(a, s, "seconds", am_new_f64(a, 12));
    am_node_set(a, s, "params", params);
    am_node_set(a, s, "trials", trials);
    am_node_set(a, s, "pareto", front);
    am_node_set(a, s, "best", best);
    am_node_set(a, s, "importance", imp);
    am_node_set(a, m, "study", s);
}

static inline struct am_node *made_report(enum am_task task, const char *text, struct am_arena *a)
{
    static double truth[MADE_ROWS];
    static float pred[MADE_ROWS * MADE_CLASSES];
    size_t c = task == AM_TASK_REGRESSION ? 0 : task == AM_TASK_BINARY ? 2 : MADE_CLASSES;
    struct am_eval_input in = {.task = task,
                               .n_rows = MADE_ROWS,
                               .n_classes = c,
                               .truth = truth,
                               .pred = pred,
                               .threshold = 0.5};
    struct am_node *m = am_new_map(a), *rows = am_new_map(a), *h = am_new_map(a),
                   *epoch = am_new_list(a), *train = am_new_list(a), *valid = am_new_list(a);
    made_rows(task, truth, pred);
    add_texts(m, c, text, a);
    am_node_set(a, m, "task", am_new_cstr(a, "binary"));
    am_node_set(a, rows, "train", am_new_i64(a, 900));
    am_node_set(a, rows, "test", am_new_i64(a, MADE_ROWS));
    am_node_set(a, m, "rows", rows);
    am_node_set(a, m, "features", am_new_i64(a, 30));
    am_node_set(a, m, "parameters", am_new_i64(a, 2113));
    if (task == AM_TASK_BINARY)
        am_node_set(a, m, "threshold", am_new_f64(a, 0.5));
    for (int i = 1; i <= 40; i++) {
        am_node_push(a, epoch, am_new_i64(a, i));
        am_node_push(a, train, am_new_f64(a, 0.05 + 0.6 * exp(-i / 8.0)));
        am_node_push(a, valid, am_new_f64(a, i == 7 ? NAN : 0.12 + 0.5 * exp(-i / 7.0)));
    }
    am_node_set(a, h, "epoch", epoch);
    am_node_set(a, h, "train_loss", train);
    am_node_set(a, h, "validation_loss", valid);
    am_node_set(a, m, "history", h);
    add_figures(m, &in, a);
    if (task == AM_TASK_BINARY || text)
        add_study(m, text, a);
    if (task == AM_TASK_MULTICLASS)
        add_pictures(m, &in, text, a);
    return m;
}

static inline struct am_node *made_part(const char *key, const char *value, double effect,
                                        struct am_arena *a)
{
    struct am_node *m = am_new_map(a);
    am_node_set(a, m, key, am_new_cstr(a, value));
    am_node_set(a, m, "value", am_new_cstr(a, value));
    am_node_set(a, m, "effect", am_new_f64(a, effect));
    return m;
}

/* One prediction explained with everything that a page can hold: no model has all of it. */
static inline struct am_node *made_explanation(const char *text, struct am_arena *a)
{
    static const char *const keys[] = {"title", "model", "file", "explained"};
    float x[12 * 9 * 3], heat[12 * 9];
    struct am_floats f = {12, 9, 3, x};
    struct am_node *m = made_report(AM_TASK_MULTICLASS, text, a), *e = am_new_map(a),
                   *answer = am_new_map(a), *list = am_new_list(a), *words = am_new_list(a),
                   *columns = am_new_list(a), *in = am_new_map(a), *all = am_new_map(a);
    struct am_str uri = am_str(text);
    for (size_t i = 0; i < 4; i++)
        am_node_set(a, e, keys[i], am_new_cstr(a, text ? text : "cats"));
    am_node_set(a, answer, "label", am_new_cstr(a, text ? text : "cats"));
    am_node_set(a, answer, "probability", am_new_f64(a, 0.75));
    am_node_set(a, e, "prediction", answer);
    am_node_push(a, list, answer);
    am_node_set(a, e, "classes", list);
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        x[i] = (float)sin((double)i);
    for (size_t i = 0; i < sizeof heat / sizeof *heat; i++)
        heat[i] = (float)i - 50;
    if (!text && am_picture_heat(&f, heat, 0, a, &uri, NULL) != AM_OK)
        return e;
    am_node_set(a, in, "picture", am_new_str(a, uri));
    am_node_set(a, in, "method", am_new_cstr(a, "gradient"));
    list = am_new_list(a);
    am_node_push(a, list, in);
    am_node_set(a, e, "input", list);
    am_node_set(a, e, "saliency", list);
    am_node_set(a, e, "filters", am_node_copy(a, am_node_get(m, "filters")));
    am_node_set(a, e, "activations", am_node_copy(a, am_node_get(m, "activations")));
    for (int i = -3; i <= 3; i++) {
        double effect = i == 3 ? NAN : i * 0.11;
        am_node_push(a, words, made_part("text", text ? text : " a word", effect, a));
        am_node_push(a, columns, made_part("column", text ? text : "petal_width", effect, a));
    }
    am_node_set(a, all, "column", am_new_cstr(a, text ? text : "review"));
    am_node_set(a, all, "words", words);
    list = am_new_list(a);
    am_node_push(a, list, all);
    am_node_set(a, e, "words", list);
    am_node_set(a, e, "columns", columns);
    return e;
}

#endif
