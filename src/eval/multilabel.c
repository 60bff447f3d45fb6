/* Metrics of several labels, after scikit-learn: a row's truth is a number whose bit i says whether
 * it has label i; predictions are one probability a label. Pure; any thread. */
#include <math.h>

#include "base/alloc.h"
#include "eval/eval_int.h"

static bool has(double truth, size_t label)
{
    return (uint32_t)truth >> label & 1;
}

struct am_eval_input am_eval_label_input(const struct am_eval_input *in, size_t label,
                                         double *truth, float *pred)
{
    struct am_eval_input one = *in;
    one.task = AM_TASK_BINARY;
    one.n_classes = 2;
    one.truth = truth;
    one.pred = pred;
    for (size_t i = 0; i < in->n_rows; i++) {
        truth[i] = has(in->truth[i], label);
        pred[i] = in->pred[i * in->n_classes + label];
    }
    return one;
}

/* ---- of rows ---- */

static double row_subset(const struct am_eval_input *in, size_t i)
{
    for (size_t l = 0; l < in->n_classes; l++)
        if (has(in->truth[i], l) != ((double)in->pred[i * in->n_classes + l] >= in->threshold))
            return 0;
    return 1;
}

static double row_hamming(const struct am_eval_input *in, size_t i)
{
    double wrong = 0;
    for (size_t l = 0; l < in->n_classes; l++)
        wrong += has(in->truth[i], l) != ((double)in->pred[i * in->n_classes + l] >= in->threshold);
    return wrong / (double)in->n_classes;
}

static double row_ranking(const struct am_eval_input *in, size_t i)
{
    const float *p = in->pred + i * in->n_classes;
    double sum = 0, labels = 0;
    for (size_t l = 0; l < in->n_classes; l++) {
        double all = 0, own = 0;
        if (!has(in->truth[i], l))
            continue;
        for (size_t k = 0; k < in->n_classes; k++)
            if (p[k] >= p[l]) {
                all++;
                own += has(in->truth[i], k);
            }
        sum += own / all;
        labels++;
    }
    return labels > 0 ? sum / labels : 1;
}

static double over_rows(const struct am_eval_input *in,
                        double (*of)(const struct am_eval_input *, size_t))
{
    struct am_sum sum = {0, 0}, weight = {0, 0};
    for (size_t i = 0; i < in->n_rows; i++) {
        am_sum_add(&sum, am_eval_weight(in, i) * of(in, i));
        am_sum_add(&weight, am_eval_weight(in, i));
    }
    return am_sum_value(&sum) / am_sum_value(&weight);
}

/* ---- of all decisions ---- */

static double micro(const struct am_eval_input *in, struct am_str name)
{
    double tp = 0, fp = 0, fn = 0;
    for (size_t i = 0; i < in->n_rows; i++)
        for (size_t l = 0; l < in->n_classes; l++) {
            const bool yes = (double)in->pred[i * in->n_classes + l] >= in->threshold,
                       is = has(in->truth[i], l);
            const double w = am_eval_weight(in, i);
            tp += yes && is ? w : 0;
            fp += yes && !is ? w : 0;
            fn += !yes && is ? w : 0;
        }
    const double top = am_str_is(name, "f1_micro") ? 2 * tp : tp;
    const double all = am_str_is(name, "f1_micro")          ? 2 * tp + fp + fn
                       : am_str_is(name, "precision_micro") ? tp + fp
                                                            : tp + fn;
    return all > 0 ? top / all : 0;
}

/* ---- means over the labels ---- */

/* `of` of each label as two classes; labels for which it is undefined are left out. */
static enum am_rc over_labels(const struct am_eval_input *in, const char *of, double *out,
                              struct am_err *err)
{
    double *truth = am_alloc_array(in->n_rows, sizeof *truth), sum = 0, n = 0;
    float *pred = am_alloc_array(in->n_rows, sizeof *pred);
    enum am_rc rc =
        truth && pred ? AM_OK : am_fail_nomem(err, in->n_rows * (sizeof *truth + sizeof *pred));
    for (size_t l = 0; l < in->n_classes && rc == AM_OK; l++) {
        const struct am_eval_input one = am_eval_label_input(in, l, truth, pred);
        double v;
        rc = am_metric(&one, am_str(of), &v, err);
        if (rc == AM_OK && isfinite(v)) {
            sum += v;
            n++;
        }
    }
    am_free(truth);
    am_free(pred);
    *out = n > 0 ? sum / n : (double)NAN;
    return rc;
}

enum am_rc am_multilabel_metric(const struct am_eval_input *in, struct am_str name, double *out,
                                struct am_err *err)
{
    static const struct {
        const char *name, *of;
    } means[] = {{"precision_macro", "precision"},
                 {"recall_macro", "recall"},
                 {"f1_macro", "f1"},
                 {"log_loss", "log_loss"},
                 {"roc_auc", "roc_auc"}};
    for (size_t i = 0; i < sizeof means / sizeof means[0]; i++)
        if (am_str_is(name, means[i].name))
            return over_labels(in, means[i].of, out, err);
    *out = am_str_is(name, "subset_accuracy")    ? over_rows(in, row_subset)
           : am_str_is(name, "hamming_loss")     ? over_rows(in, row_hamming)
           : am_str_is(name, "label_ranking_ap") ? over_rows(in, row_ranking)
                                                 : micro(in, name);
    return AM_OK;
}

enum am_rc am_labels_table(const struct am_eval_input *in, const struct am_str *names,
                           struct am_arena *a, struct am_node **out, struct am_err *err)
{
    static const char *const metrics[] = {"precision", "recall", "f1", "roc_auc",
                                          "average_precision"};
    double *truth = am_alloc_array(in->n_rows + 1, sizeof *truth);
    float *pred = am_alloc_array(in->n_rows + 1, sizeof *pred);
    enum am_rc rc =
        truth && pred ? AM_OK : am_fail_nomem(err, in->n_rows * (sizeof *truth + sizeof *pred));
    *out = am_new_list(a);
    for (size_t l = 0; l < in->n_classes && rc == AM_OK; l++) {
        const struct am_eval_input one = am_eval_label_input(in, l, truth, pred);
        struct am_node *m = am_new_map(a);
        int64_t rows = 0;
        for (size_t i = 0; i < in->n_rows; i++)
            rows += truth[i] > 0;
        am_node_set(a, m, "label", am_new_str(a, names[l]));
        am_node_set(a, m, "rows", am_new_i64(a, rows));
        for (size_t k = 0; k < sizeof metrics / sizeof metrics[0] && rc == AM_OK; k++) {
            double v = (double)NAN;
            rc = am_metric(&one, am_str(metrics[k]), &v, err);
            am_node_set(a, m, metrics[k], isfinite(v) ? am_new_f64(a, v) : am_new_null(a));
        }
        am_node_push(a, *out, m);
    }
    am_free(truth);
    am_free(pred);
    return rc == AM_OK ? am_arena_check(a, err) : rc;
}
