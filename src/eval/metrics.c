/* The metric table and its functions. Definitions follow scikit-learn (sklearn.metrics 1.2), so
 * that figures can be compared; a metric without meaning on the rows is NaN there and here.
 * Precision, recall and F1 are of the positive class for two classes and the macro mean for more.
 * Pure; any thread. */
#include "eval/clusters.h"
#include "eval/eval_int.h"
#include "eval/ranking.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"

/* What several metrics need, made at first use. */
struct work {
    const struct am_eval_input *in;
    double *confusion; /* [C][C] weights, truth in rows; owned */
    struct am_err *err;
    enum am_rc rc;
};

typedef double metric_fn(struct work *w);

size_t am_eval_label(const struct am_eval_input *in, size_t row)
{
    if (in->task == AM_TASK_BINARY)
        return (double)in->pred[row] >= in->threshold; /* in double, as serving does */
    size_t best = 0;
    const float *p = in->pred + row * in->n_classes;
    for (size_t k = 1; k < in->n_classes; k++)
        if (p[k] > p[best])
            best = k;
    return best;
}

void am_confusion(const struct am_eval_input *in, uint64_t *counts)
{
    size_t c = in->n_classes;
    memset(counts, 0, c * c * sizeof *counts);
    for (size_t i = 0; i < in->n_rows; i++)
        if (in->truth[i] >= 0 && in->truth[i] < (double)c)
            counts[(size_t)in->truth[i] * c + am_eval_label(in, i)]++;
}

static const double *confusion(struct work *w)
{
    size_t c = w->in->n_classes;
    if (!w->confusion) {
        w->confusion = am_calloc(c * c, sizeof(double));
        if (!w->confusion) {
            w->rc = am_fail_nomem(w->err, c * c * sizeof(double));
            return NULL;
        }
        for (size_t i = 0; i < w->in->n_rows; i++)
            w->confusion[(size_t)w->in->truth[i] * c + am_eval_label(w->in, i)] +=
                am_eval_weight(w->in, i);
    }
    return w->confusion;
}

struct cell { /* of one class against the rest */
    double tp, fp, fn, support;
};

static struct cell cell_of(const double *m, size_t c, size_t k)
{
    struct cell r = {m[k * c + k], 0, 0, 0};
    for (size_t j = 0; j < c; j++) {
        r.support += m[k * c + j];
        if (j != k) {
            r.fp += m[j * c + k];
            r.fn += m[k * c + j];
        }
    }
    return r;
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : 0.0;
}
static double cell_precision(struct cell k)
{
    return ratio(k.tp, k.tp + k.fp);
}
static double cell_recall(struct cell k)
{
    return ratio(k.tp, k.tp + k.fn);
}
static double cell_f1(struct cell k)
{
    return ratio(2 * k.tp, 2 * k.tp + k.fp + k.fn);
}

enum average { MACRO, MICRO, WEIGHTED, NATURAL };

static double averaged(struct work *w, double (*of)(struct cell), enum average how)
{
    const double *m = confusion(w);
    size_t c = w->in->n_classes;
    double sum = 0, weight = 0;
    struct cell all = {0, 0, 0, 0};
    if (!m)
        return NAN;
    if (how == NATURAL && w->in->task == AM_TASK_BINARY)
        return of(cell_of(m, c, 1));
    for (size_t k = 0; k < c; k++) {
        struct cell x = cell_of(m, c, k);
        bool seen =
            x.support > 0 || x.fp > 0; /* classes absent from truth and prediction do not count */
        double v = how == WEIGHTED ? x.support : seen ? 1.0 : 0.0;
        sum += v * of(x);
        weight += v;
        all.tp += x.tp;
        all.fp += x.fp;
        all.fn += x.fn;
    }
    if (how == MICRO)
        return of(all);
    return weight > 0 ? sum / weight : NAN;
}

static double m_precision(struct work *w)
{
    return averaged(w, cell_precision, NATURAL);
}
static double m_recall(struct work *w)
{
    return averaged(w, cell_recall, NATURAL);
}
static double m_f1(struct work *w)
{
    return averaged(w, cell_f1, NATURAL);
}
static double m_precision_macro(struct work *w)
{
    return averaged(w, cell_precision, MACRO);
}
static double m_recall_macro(struct work *w)
{
    return averaged(w, cell_recall, MACRO);
}
static double m_f1_macro(struct work *w)
{
    return averaged(w, cell_f1, MACRO);
}
static double m_precision_micro(struct work *w)
{
    return averaged(w, cell_precision, MICRO);
}
static double m_recall_micro(struct work *w)
{
    return averaged(w, cell_recall, MICRO);
}
static double m_f1_micro(struct work *w)
{
    return averaged(w, cell_f1, MICRO);
}
static double m_precision_weighted(struct work *w)
{
    return averaged(w, cell_precision, WEIGHTED);
}
static double m_recall_weighted(struct work *w)
{
    return averaged(w, cell_recall, WEIGHTED);
}
static double m_f1_weighted(struct work *w)
{
    return averaged(w, cell_f1, WEIGHTED);
}

static double m_accuracy(struct work *w)
{
    const double *m = confusion(w);
    size_t c = w->in->n_classes;
    double hit = 0, all = 0;
    for (size_t i = 0; m && i < c * c; i++) {
        all += m[i];
        hit += i % (c + 1) == 0 ? m[i] : 0;
    }
    return all > 0 ? hit / all : NAN;
}

static double m_balanced_accuracy(struct work *w)
{
    const double *m = confusion(w);
    size_t c = w->in->n_classes, n = 0;
    double sum = 0;
    for (size_t k = 0; m && k < c; k++) {
        struct cell x = cell_of(m, c, k);
        if (x.support > 0) {
            sum += x.tp / x.support;
            n++;
        }
    }
    return n ? sum / (double)n : NAN;
}

static double m_mcc(struct work *w) /* Gorodkin 2004 */
{
    const double *m = confusion(w);
    size_t c = w->in->n_classes;
    double hit = 0, all = 0, pt = 0, pp = 0, tt = 0;
    if (!m)
        return NAN;
    for (size_t k = 0; k < c; k++) {
        struct cell x = cell_of(m, c, k);
        double p = x.tp + x.fp, t = x.support;
        hit += x.tp;
        all += t;
        pt += p * t;
        pp += p * p;
        tt += t * t;
    }
    double d = sqrt((all * all - pp) * (all * all - tt));
    return d > 0 ? (hit * all - pt) / d : 0.0;
}

static double p_of(const struct am_eval_input *in, size_t row, size_t k)
{
    if (in->task == AM_TASK_BINARY)
        return k ? (double)in->pred[row] : 1.0 - (double)in->pred[row];
    return (double)in->pred[row * in->n_classes + k];
}

static double mean_of(const struct am_eval_input *in,
                      double (*f)(const struct am_eval_input *, size_t))
{
    struct am_sum s = {0, 0}, v = {0, 0};
    for (size_t i = 0; i < in->n_rows; i++) {
        am_sum_add(&s, am_eval_weight(in, i) * f(in, i));
        am_sum_add(&v, am_eval_weight(in, i));
    }
    return am_sum_value(&v) > 0 ? am_sum_value(&s) / am_sum_value(&v) : NAN;
}

#define LOG_LOSS_EPS ((double)FLT_EPSILON) /* predictions are float */

static double clipped(double p)
{
    return p < LOG_LOSS_EPS ? LOG_LOSS_EPS : p > 1 - LOG_LOSS_EPS ? 1 - LOG_LOSS_EPS : p;
}

static double row_log_loss(const struct am_eval_input *in, size_t i)
{
    double all = 0;
    for (size_t k = 0; k < in->n_classes; k++)
        all += clipped(p_of(in, i, k));
    return -log(clipped(p_of(in, i, (size_t)in->truth[i])) / all);
}
static double m_log_loss(struct work *w)
{
    return mean_of(w->in, row_log_loss);
}

static double row_brier(const struct am_eval_input *in, size_t i)
{
    double s = 0;
    if (in->task == AM_TASK_BINARY)
        return ((double)in->pred[i] - in->truth[i]) * ((double)in->pred[i] - in->truth[i]);
    for (size_t k = 0; k < in->n_classes; k++) {
        double d = p_of(in, i, k) - (in->truth[i] == (double)k);
        s += d * d;
    }
    return s;
}
static double m_brier(struct work *w)
{
    return mean_of(w->in, row_brier);
}

#define ECE_BINS 15

static double
m_ece(struct work *w) /* Guo et al. 2017: confidence of the predicted class, 15 equal bins */
{
    const struct am_eval_input *in = w->in;
    double conf[ECE_BINS] = {0}, hit[ECE_BINS] = {0}, n[ECE_BINS] = {0}, all = 0, s = 0;
    for (size_t i = 0; i < in->n_rows; i++) {
        size_t k = in->task == AM_TASK_BINARY ? in->pred[i] >= 0.5f : am_eval_label(in, i);
        double p = p_of(in, i, k), v = am_eval_weight(in, i);
        size_t b = p >= 1 ? ECE_BINS - 1 : p <= 0 ? 0 : (size_t)(p * ECE_BINS);
        conf[b] += v * p;
        hit[b] += v * (in->truth[i] == (double)k);
        n[b] += v;
        all += v;
    }
    for (size_t b = 0; b < ECE_BINS; b++)
        s += fabs(hit[b] - conf[b]);
    return all > 0 ? s / all : NAN;
}

/* BINARY: of the positive class; MULTICLASS: macro mean of one against the rest. */
static double ranked_mean(struct work *w, double (*of)(const struct am_ranked *))
{
    size_t from = w->in->task == AM_TASK_BINARY ? 1 : 0, c = w->in->n_classes, n = 0;
    double sum = 0;
    for (size_t k = from; k < c; k++) {
        struct am_ranked r;
        w->rc = am_rank(w->in, k, &r, w->err);
        if (w->rc != AM_OK)
            return NAN;
        double v = of(&r);
        am_ranked_clear(&r);
        if (!isnan(v)) {
            sum += v;
            n++;
        }
    }
    return n ? sum / (double)n : NAN;
}
static double m_roc_auc(struct work *w)
{
    return ranked_mean(w, am_ranked_auc);
}
static double m_average_precision(struct work *w)
{
    return ranked_mean(w, am_ranked_ap);
}

static double row_square(const struct am_eval_input *in, size_t i)
{
    double d = (double)in->pred[i] - in->truth[i];
    return d * d;
}
static double row_abs(const struct am_eval_input *in, size_t i)
{
    return fabs((double)in->pred[i] - in->truth[i]);
}
static double row_mape(const struct am_eval_input *in, size_t i)
{
    return row_abs(in, i) / fmax(fabs(in->truth[i]), DBL_EPSILON);
}
static double row_truth(const struct am_eval_input *in, size_t i)
{
    return in->truth[i];
}
static double m_mse(struct work *w)
{
    return mean_of(w->in, row_square);
}
static double m_rmse(struct work *w)
{
    return sqrt(m_mse(w));
}
static double m_mae(struct work *w)
{
    return mean_of(w->in, row_abs);
}
static double m_mape(struct work *w)
{
    return mean_of(w->in, row_mape);
}

static double m_r2(struct work *w)
{
    const struct am_eval_input *in = w->in;
    double mean = mean_of(in, row_truth);
    struct am_sum a = {0, 0}, b = {0, 0};
    for (size_t i = 0; i < in->n_rows; i++) {
        double v = am_eval_weight(in, i), d = in->truth[i] - mean;
        am_sum_add(&a, v * row_square(in, i));
        am_sum_add(&b, v * d * d);
    }
    if (am_sum_value(&b) <= 0)
        return NAN;
    return 1.0 - am_sum_value(&a) / am_sum_value(&b);
}

struct weighted {
    double value, weight;
};

static int by_value(const void *x, const void *y)
{
    double a = ((const struct weighted *)x)->value, b = ((const struct weighted *)y)->value;
    return (a > b) - (a < b);
}

/* By rising value, all weights equal; false = out of memory. */
static bool sort_values(struct weighted *v, size_t n)
{
    const uint64_t sign = (uint64_t)1 << 63;
    uint64_t *keys = am_alloc_array(n ? n : 1, sizeof *keys);
    for (size_t i = 0; keys && i < n; i++) {
        double x = v[i].value + 0.0; /* one zero */
        memcpy(&keys[i], &x, sizeof x);
        keys[i] = keys[i] & sign ? ~keys[i] : keys[i] | sign;
    }
    bool ok = keys && am_sort_keys(keys, n, 0);
    for (size_t i = 0; ok && i < n; i++) {
        uint64_t bits = keys[i] & sign ? keys[i] & ~sign : ~keys[i];
        memcpy(&v[i].value, &bits, sizeof bits);
    }
    am_free(keys);
    return ok;
}

/* f of every row with its weight, by rising value; NULL = out of memory. The caller frees. */
static struct weighted *sorted_of(struct work *w, double (*f)(const struct am_eval_input *, size_t))
{
    size_t n = w->in->n_rows;
    struct weighted *v = am_alloc_array(n, sizeof *v);
    if (!v) {
        w->rc = am_fail_nomem(w->err, n * sizeof *v);
        return NULL;
    }
    for (size_t i = 0; i < n; i++)
        v[i] = (struct weighted){f(w->in, i), am_eval_weight(w->in, i)};
    if (w->in->weight)
        qsort(v, n, sizeof *v, by_value);
    else if (!sort_values(v, n)) {
        am_free(v);
        w->rc = am_fail_nomem(w->err, n * sizeof(uint64_t));
        return NULL;
    }
    return v;
}

/* The lower weighted median (scikit-learn's) with weights, else the mean of the two in the middle.
 */
static double median_of(struct work *w, double (*f)(const struct am_eval_input *, size_t))
{
    size_t n = w->in->n_rows, k = 0;
    struct weighted *v = sorted_of(w, f);
    double m, all = 0, below = 0;
    if (!v)
        return NAN;
    m = n % 2 ? v[n / 2].value : (v[n / 2 - 1].value + v[n / 2].value) / 2;
    for (size_t i = 0; i < n; i++)
        all += v[i].weight;
    for (; w->in->weight && k < n; k++) {
        below += v[k].weight;
        if (below > 0 && below >= all / 2)
            break;
    }
    if (w->in->weight)
        m = k < n ? v[k].value : NAN;
    am_free(v);
    return m;
}
static double m_median_ae(struct work *w)
{
    return median_of(w, row_abs);
}

/* Classes: of the predicted class's index; numbers: of the value. */
static double row_prediction(const struct am_eval_input *in, size_t i)
{
    return am_task_has_classes(in->task) ? (double)am_eval_label(in, i) : (double)in->pred[i];
}
static double m_prediction_mean(struct work *w)
{
    return mean_of(w->in, row_prediction);
}
static double m_prediction_median(struct work *w)
{
    return median_of(w, row_prediction);
}
static double m_prediction_variance(struct work *w)
{
    double mean = mean_of(w->in, row_prediction);
    struct am_sum s = {0, 0}, n = {0, 0};
    for (size_t i = 0; i < w->in->n_rows; i++) {
        double d = row_prediction(w->in, i) - mean;
        am_sum_add(&s, am_eval_weight(w->in, i) * d * d);
        am_sum_add(&n, am_eval_weight(w->in, i));
    }
    return am_sum_value(&n) > 0 ? am_sum_value(&s) / am_sum_value(&n) : NAN;
}
/* Anomaly scores and what they are measured by where nobody labelled rows. */
static double row_flagged(const struct am_eval_input *in, size_t i)
{
    return (double)in->pred[i] >= in->threshold;
}
static double m_flagged_share(struct work *w)
{
    return mean_of(w->in, row_flagged);
}
static double m_prediction_mode(struct work *w)
{
    size_t n = w->in->n_rows;
    struct weighted *v = sorted_of(w, row_prediction);
    double best = NAN, most = 0;
    if (!v)
        return NAN;
    for (size_t i = 0, j; i < n; i = j) {
        double weight = 0;
        for (j = i; j < n && v[j].value <= v[i].value; j++)
            weight += v[j].weight;
        if (weight > most) { /* the smallest of equally frequent ones stays */
            most = weight;
            best = v[i].value;
        }
    }
    am_free(v);
    return best;
}

/* ---- clusters (clusters.c) and rankings (ranking.c) ---- */

static double m_silhouette(struct work *w)
{
    double v = NAN;
    w->rc = am_silhouette(w->in, NULL, &v, w->err);
    return v;
}

static double m_davies_bouldin(struct work *w)
{
    double v = NAN;
    w->rc = am_davies_bouldin(w->in, &v, w->err);
    return v;
}

static double m_calinski_harabasz(struct work *w)
{
    double v = NAN;
    w->rc = am_calinski_harabasz(w->in, &v, w->err);
    return v;
}

static double m_clusters(struct work *w)
{
    double v = NAN;
    w->rc = am_clusters_used(w->in, &v, w->err);
    return v;
}

static double m_noise_share(struct work *w)
{
    double noise = 0, all = 0;
    for (size_t i = 0; i < w->in->n_rows; i++) {
        noise += w->in->pred[i] < 0 ? am_eval_weight(w->in, i) : 0;
        all += am_eval_weight(w->in, i);
    }
    return noise / all;
}

static double m_adjusted_rand(struct work *w)
{
    double v = NAN, other;
    w->rc = am_label_agreement(w->in, &v, &other, w->err);
    return v;
}

static double m_nmi(struct work *w)
{
    double v = NAN, other;
    w->rc = am_label_agreement(w->in, &other, &v, w->err);
    return v;
}

#define RANKING(name)                                                                              \
    static double m_##name(struct work *w)                                                         \
    {                                                                                              \
        return w->in->ranking ? w->in->ranking->name : (double)NAN;                                \
    }
RANKING(hit_rate)
RANKING(precision_at_k)
RANKING(recall_at_k)
RANKING(ndcg_at_k)
RANKING(map_at_k)
RANKING(mrr)
RANKING(ranking_auc)

/* Never called: am_metric asks multilabel.c. */
static double m_labels(struct work *w)
{
    (void)w;
    return NAN;
}

#define REG (1u << AM_TASK_REGRESSION)
#define BIN (1u << AM_TASK_BINARY)
#define CLS (BIN | 1u << AM_TASK_MULTICLASS)
#define ANO (1u << AM_TASK_ANOMALY)
#define OWN (ANO | 1u << AM_TASK_EMBEDDING)
#define CLU (1u << AM_TASK_CLUSTERING)
#define REC (1u << AM_TASK_RECOMMENDATION)
#define LAB (1u << AM_TASK_MULTILABEL)
#define UP AM_METRIC_HIGHER
#define DOWN AM_METRIC_LOWER

static const struct am_metric_info infos[] = {
    {"accuracy", CLS | ANO, UP, false, "Share of rows with the right class."},
    {"balanced_accuracy", CLS | ANO, UP, false, "Mean recall of the classes."},
    {"precision", CLS | ANO, UP, false,
     "Share of the predicted positives that are right; macro mean for more classes."},
    {"recall", CLS | ANO, UP, false,
     "Share of the true positives that are found; macro mean for more classes."},
    {"f1", CLS | ANO, UP, false,
     "Harmonic mean of precision and recall; macro mean for more classes."},
    {"precision_macro", CLS | LAB, UP, false, "Mean precision of the classes."},
    {"recall_macro", CLS | LAB, UP, false, "Mean recall of the classes."},
    {"f1_macro", CLS | LAB, UP, false, "Mean F1 of the classes."},
    {"precision_micro", CLS | LAB, UP, false, "Precision over all decisions."},
    {"recall_micro", CLS | LAB, UP, false, "Recall over all decisions."},
    {"f1_micro", CLS | LAB, UP, false, "F1 over all decisions."},
    {"precision_weighted", CLS, UP, false, "Precision of the classes weighted by their rows."},
    {"recall_weighted", CLS, UP, false, "Recall of the classes weighted by their rows."},
    {"f1_weighted", CLS, UP, false, "F1 of the classes weighted by their rows."},
    {"mcc", CLS | ANO, UP, false, "Matthews correlation between truth and prediction."},
    {"log_loss", CLS | LAB, DOWN, true,
     "Mean negative log of the true class's probability; of several labels the mean of each's."},
    {"brier", CLS, DOWN, true, "Mean squared distance of probability and truth."},
    {"ece", CLS, DOWN, true, "Expected calibration error over 15 bins of confidence."},
    {"roc_auc", CLS | ANO | LAB, UP, false,
     "Area under the ROC curve; macro mean of one against the rest for more classes, or of the "
     "labels."},
    {"average_precision", CLS | ANO, UP, false,
     "Area under the precision-recall steps; macro mean for more classes."},
    {"mse", REG | REC, DOWN, false, "Mean squared error."},
    {"rmse", REG | REC, DOWN, false, "Root of the mean squared error."},
    {"mae", REG | REC, DOWN, false, "Mean absolute error."},
    {"median_ae", REG, DOWN, false, "Median absolute error."},
    {"r2", REG, UP, false, "Share of the variance explained."},
    {"mape", REG, DOWN, false, "Mean absolute error as a fraction of the truth."},
    {"reconstruction_error", OWN, DOWN, false,
     "Mean squared distance of a row to what came back, in scaled features: the mean anomaly "
     "score; of isolation_forest, whose rows do not come back, the mean of its scores."},
    {"flagged_share", ANO, AM_METRIC_NEITHER, false,
     "Share of the rows whose anomaly score reaches the threshold."},
    {"prediction_mean", REG | CLS | OWN, AM_METRIC_NEITHER, false, "Mean of the predictions."},
    {"prediction_median", REG | CLS | OWN, AM_METRIC_NEITHER, false, "Median of the predictions."},
    {"prediction_mode", REG | CLS | OWN, AM_METRIC_NEITHER, false, "Most frequent prediction."},
    {"prediction_variance", REG | CLS | OWN, AM_METRIC_NEITHER, false,
     "Variance of the predictions."},
    {"silhouette", CLU, UP, false,
     "Mean over rows of how much nearer its own cluster is than the next one, -1 to 1."},
    {"davies_bouldin", CLU, DOWN, false,
     "Mean over clusters of the worst ratio of widths to the distance of their means."},
    {"calinski_harabasz", CLU, UP, false,
     "Variance between the clusters over variance inside, each by its degrees of freedom."},
    {"clusters", CLU, AM_METRIC_NEITHER, false, "Clusters that have a row, without noise."},
    {"noise_share", CLU, AM_METRIC_NEITHER, false, "Share of the rows that are in no cluster."},
    {"adjusted_rand", CLU, UP, false,
     "Agreement of the clusters with the labels over pairs of rows, 0 by chance, 1 = the same."},
    {"nmi", CLU, UP, false,
     "Mutual information of clusters and labels over the mean of their entropies, 0 to 1."},
    {"hit_rate", REC, UP, false, "Share of users with a held-out item among their first k."},
    {"precision_at_k", REC, UP, false, "Share of the first k that are held-out items, by user."},
    {"recall_at_k", REC, UP, false,
     "Share of a user's held-out items among the first k (of k, when there are more)."},
    {"ndcg_at_k", REC, UP, false,
     "Held-out items among the first k, each by 1 / log2(place + 1), over the best possible sum."},
    {"map_at_k", REC, UP, false, "Mean over users of the average precision of the first k."},
    {"mrr", REC, UP, false, "Mean over users of 1 / place of the first held-out item."},
    {"ranking_auc", REC, UP, false,
     "Share of pairs of a held-out and an unseen item that are in order, by user."},
    {"subset_accuracy", LAB, UP, false, "Share of rows whose labels are all right."},
    {"hamming_loss", LAB, DOWN, false, "Share of labels of rows that are wrong."},
    {"label_ranking_ap", LAB, UP, false,
     "Mean over a row's labels of the share of its labels among those ranked as high."},
};
static metric_fn *const functions[] = {m_accuracy,
                                       m_balanced_accuracy,
                                       m_precision,
                                       m_recall,
                                       m_f1,
                                       m_precision_macro,
                                       m_recall_macro,
                                       m_f1_macro,
                                       m_precision_micro,
                                       m_recall_micro,
                                       m_f1_micro,
                                       m_precision_weighted,
                                       m_recall_weighted,
                                       m_f1_weighted,
                                       m_mcc,
                                       m_log_loss,
                                       m_brier,
                                       m_ece,
                                       m_roc_auc,
                                       m_average_precision,
                                       m_mse,
                                       m_rmse,
                                       m_mae,
                                       m_median_ae,
                                       m_r2,
                                       m_mape,
                                       m_prediction_mean,
                                       m_flagged_share,
                                       m_prediction_mean,
                                       m_prediction_median,
                                       m_prediction_mode,
                                       m_prediction_variance,
                                       m_silhouette,
                                       m_davies_bouldin,
                                       m_calinski_harabasz,
                                       m_clusters,
                                       m_noise_share,
                                       m_adjusted_rand,
                                       m_nmi,
                                       m_hit_rate,
                                       m_precision_at_k,
                                       m_recall_at_k,
                                       m_ndcg_at_k,
                                       m_map_at_k,
                                       m_mrr,
                                       m_ranking_auc,
                                       m_labels, /* multilabel.c */
                                       m_labels,
                                       m_labels};
#define N_METRICS (sizeof infos / sizeof infos[0])
_Static_assert(sizeof functions / sizeof functions[0] == N_METRICS, "one function a metric");

const struct am_metric_info *am_metrics(size_t *n)
{
    *n = N_METRICS;
    return infos;
}

const struct am_metric_info *am_metric_find(struct am_str name)
{
    for (size_t i = 0; i < N_METRICS; i++)
        if (am_str_is(name, infos[i].name))
            return &infos[i];
    return NULL;
}

const char *const *am_metrics_default(enum am_task task)
{
    static const char *const binary[] = {"accuracy", "precision", "recall", "f1",
                                         "roc_auc",  "log_loss",  NULL};
    static const char *const multi[] = {"accuracy", "f1", "roc_auc", "log_loss", NULL};
    static const char *const regression[] = {"r2", "rmse", "mae", NULL};
    static const char *const anomaly[] = {"reconstruction_error", "flagged_share", NULL};
    static const char *const embedding[] = {"reconstruction_error", NULL};
    static const char *const clusters[] = {"silhouette", "davies_bouldin", "calinski_harabasz",
                                           "clusters", NULL};
    static const char *const labels[] = {"subset_accuracy",  "hamming_loss", "f1_micro", "f1_macro",
                                         "label_ranking_ap", "roc_auc",      NULL};
    static const char *const choices[] = {"hit_rate", "recall_at_k", "ndcg_at_k", "map_at_k", NULL};
    static const char *const *const all[AM_N_TASKS] = {regression, binary,   multi,   anomaly,
                                                       embedding,  clusters, choices, labels};
    return all[task];
}

const char *const *am_metrics_default_labelled(void)
{
    static const char *const names[] = {
        "roc_auc", "average_precision",    "precision",     "recall",
        "f1",      "reconstruction_error", "flagged_share", NULL};
    return names;
}

const char *const *am_metrics_default_grouped(void)
{
    static const char *const names[] = {
        "silhouette", "davies_bouldin", "calinski_harabasz", "adjusted_rand", "nmi", "clusters",
        NULL};
    return names;
}

const char *const *am_metrics_default_rated(void)
{
    static const char *const names[] = {"rmse",      "mae",      "hit_rate", "recall_at_k",
                                        "ndcg_at_k", "map_at_k", NULL};
    return names;
}

bool am_metric_needs_labels(struct am_str name)
{
    const struct am_metric_info *m = am_metric_find(name);
    if (am_str_is(name, "adjusted_rand") || am_str_is(name, "nmi"))
        return true;
    return m && (m->tasks & ANO) && (m->tasks & BIN) && m->better != AM_METRIC_NEITHER;
}

bool am_eval_finite(const struct am_eval_input *in)
{
    size_t n = in->n_rows * am_task_columns(in->task, in->n_classes);
    bool ok = true;
    for (size_t i = 0; i < n; i++)
        ok = ok && isfinite(in->pred[i]);
    for (size_t i = 0; !am_task_target_optional(in->task) && i < in->n_rows; i++)
        ok = ok && (in->task == AM_TASK_REGRESSION ? isfinite(in->truth[i])
                    : in->task == AM_TASK_MULTILABEL
                        ? in->truth[i] >= 0 && in->truth[i] < (double)(1u << in->n_classes)
                        : in->truth[i] >= 0 && in->truth[i] < (double)in->n_classes);
    return ok;
}

static enum am_rc unknown_metric(struct am_str name, struct am_err *err)
{
    const char *names[N_METRICS];
    for (size_t i = 0; i < N_METRICS; i++)
        names[i] = infos[i].name;
    const char *near = am_str_nearest(name, names, N_METRICS);
    am_fail(err, AM_EUSAGE, "there is no metric \"%.*s\"", AM_FMT(name));
    if (near)
        am_hint(err, "Did you mean \"%s\"?", near);
    else
        am_hint(err, "docs/RECIPE.md lists the metrics.");
    return AM_EUSAGE;
}

static enum am_rc labelled_metric(const struct am_eval_input *in, struct am_str name, double *out,
                                  struct am_err *err)
{
    struct am_labelled l;
    double anomalies = 0;
    AM_TRY(am_labelled_of(in, &l, err));
    for (size_t i = 0; i < l.in.n_rows; i++)
        anomalies += l.truth[i];
    enum am_rc rc = AM_OK; /* of one kind only nothing can be told apart */
    if (anomalies > 0 && anomalies < (double)l.in.n_rows)
        rc = am_metric(&l.in, name, out, err);
    am_labelled_clear(&l);
    return rc;
}

enum am_rc am_metric(const struct am_eval_input *in, struct am_str name, double *out,
                     struct am_err *err)
{
    struct work w = {.in = in, .err = err, .rc = AM_OK};
    const struct am_metric_info *m = am_metric_find(name);
    if (!m)
        return unknown_metric(name, err);
    if (!(m->tasks & (1u << in->task))) {
        am_fail(err, AM_EUSAGE, "metric \"%s\" does not fit this task", m->name);
        if (in->task == AM_TASK_CLUSTERING)
            am_hint(err, "Clusters have silhouette, davies_bouldin, calinski_harabasz and "
                         "clusters; with labels also adjusted_rand and nmi.");
        else if (in->task == AM_TASK_RECOMMENDATION)
            am_hint(err, "A recommender has hit_rate, precision_at_k, recall_at_k, ndcg_at_k, "
                         "map_at_k, mrr and ranking_auc; with ratings also rmse and mae.");
        else if (in->task == AM_TASK_MULTILABEL)
            am_hint(err, "Several labels have subset_accuracy, hamming_loss, f1_micro, f1_macro, "
                         "label_ranking_ap, roc_auc and others.");
        else if (am_task_is_own(in->task))
            am_hint(err,
                    "Such a model has reconstruction_error and flagged_share; with labels also "
                    "roc_auc, average_precision, precision, recall and others.");
        else if (m->tasks == REG)
            am_hint(err, "It is for regression; classes have accuracy, f1, roc_auc and others.");
        else if (!(m->tasks & (REG | CLS)))
            am_hint(err, "It is for data.task: %s.",
                    m->tasks & ANO   ? "anomaly"
                    : m->tasks & CLU ? "clustering"
                                     : "recommendation");
        else
            am_hint(err, "It is for classes; regression has r2, rmse, mae and others.");
        return AM_EUSAGE;
    }
    *out = NAN;
    if (in->task == AM_TASK_ANOMALY && am_metric_needs_labels(name))
        return labelled_metric(in, name, out, err);
    if (in->n_rows == 0 || (m->needs_probabilities && in->scores) || !am_eval_finite(in))
        return AM_OK;
    if (in->task == AM_TASK_MULTILABEL)
        return am_multilabel_metric(in, name, out, err);
    *out = functions[m - infos](&w);
    am_free(w.confusion);
    return w.rc;
}

struct composite_ctx {
    const struct am_eval_input *in;
};

static enum am_rc composite_value(void *ctx, struct am_str name, double *out, struct am_err *err)
{
    return am_metric(((struct composite_ctx *)ctx)->in, name, out, err);
}

enum am_rc am_metrics_node(const struct am_eval_input *in, const struct am_str *names, size_t n,
                           const struct am_node *composite, struct am_arena *a,
                           struct am_node **out, struct am_err *err)
{
    struct composite_ctx ctx = {in};
    double v;
    *out = am_new_map(a);
    for (size_t i = 0; i < n; i++) {
        AM_TRY(am_metric(in, names[i], &v, err));
        am_node_set_str(a, *out, names[i], am_new_f64(a, v));
    }
    for (size_t i = 0; composite && composite->kind == AM_NODE_MAP && i < composite->map.n; i++) {
        struct am_str text;
        if (!am_node_as_str(composite->map.pairs[i].value, &text))
            continue;
        AM_TRY(am_composite(text, composite_value, &ctx, &v, err));
        am_node_set_str(a, *out, composite->map.pairs[i].key, am_new_f64(a, v));
    }
    return am_arena_check(a, err);
}
