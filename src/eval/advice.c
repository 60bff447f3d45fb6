/* The rules of written advice. Each has a data set in tests/unit/eval where it fires and one where
 * it must not. Thresholds are rules of thumb and stand here by name. The texts name columns and
 * classes as they are: a face escapes them. Pure; any thread. */
#include "eval/advice.h"

#include <math.h>

#define FEW_ROWS_PER_FEATURE 10 /* Harrell's ten rows a column */
#define FEW_ROWS 100
#define FEW_ROWS_OF_ONE 500 /* pictures, sounds, texts */
#define IMBALANCE_SHARE 0.2 /* rarest class over an even share: 10 % of two classes */
#define OVERFIT_GAP 0.08    /* of a metric in [0, 1], or of the baseline's distance for errors */
#define GAIN_SMALL 0.1      /* of the baseline's distance to perfect */
#define LEAK_SCORE 0.999
#define LEAK_SHARE 0.9 /* of the two largest drops */
#define LEAK_DROP 0.05 /* of the metric, or of the baseline for errors */

static void say(struct am_arena *a, struct am_node *list, const char *kind, struct am_str text,
                const char *remedy)
{
    struct am_node *m = am_new_map(a);
    am_node_set(a, m, "kind", am_new_cstr(a, kind));
    am_node_set(a, m, "text", am_new_str(a, text));
    am_node_set(a, m, "remedy", am_new_cstr(a, am_tr(remedy)));
    am_node_push(a, list, m);
}

/* How far the figure is from perfect: 1 - v, or the error itself. */
static double distance(enum am_metric_better better, double v)
{
    return better == AM_METRIC_LOWER ? v : 1.0 - v;
}

static void rule_fit(const struct am_advice_facts *f, enum am_metric_better better,
                     struct am_arena *a, struct am_node *list)
{
    double train = distance(better, f->train), held = distance(better, f->held_out),
           base = distance(better, f->baseline);
    double scale = 1.0;
    if (better ==
        AM_METRIC_LOWER) /* errors have a unit: the baseline's, else the larger of the two */
        scale = base > 0 ? base : fmax(train, held);
    double noise = isnan(f->deviation) ? 0 : 2 * f->deviation;
    if (held - train > OVERFIT_GAP * scale && held - train > noise)
        say(a, list, "overfit",
            am_arena_printf(
                a, am_tr("%s is %.3g on the training rows but %.3g on rows the model never saw"),
                f->metric, f->train, f->held_out),
            f->one_input ? AM_N("The model learned the rows by heart: try more rows, "
                                "train.augment, more dropout, a smaller model, or early stopping.")
                         : AM_N("The model learned the rows by heart: try more rows, fewer "
                                "columns, more dropout or l2, a smaller model, or early "
                                "stopping."));
    if (base > 0 && (base - train) / base < GAIN_SMALL)
        say(a, list, "underfit",
            am_arena_printf(
                a, am_tr("%s is %.3g even on the training rows; always guessing gives %.3g"),
                f->metric, f->train, f->baseline),
            "The model found little: try better columns, a larger model, more epochs or a higher "
            "learning rate.");
}

static void rule_imbalance(const struct am_advice_facts *f, struct am_arena *a,
                           struct am_node *list)
{
    uint64_t all = 0, least = UINT64_MAX;
    size_t k = 0;
    for (size_t i = 0; i < f->n_classes; i++) {
        all += f->class_rows[i];
        if (f->class_rows[i] < least) {
            least = f->class_rows[i];
            k = i;
        }
    }
    if (f->n_classes < 2 || all == 0)
        return;
    double even = (double)all / (double)f->n_classes;
    if ((double)least < IMBALANCE_SHARE * even)
        say(a, list, "imbalance",
            am_arena_printf(a, am_tr("class \"%s\" has %llu of %llu training rows"),
                            f->class_names[k], (unsigned long long)least, (unsigned long long)all),
            "Accuracy says little here: watch f1, average_precision or mcc, and try "
            "train.class_weights: "
            "balanced or a chosen threshold.");
}

static void rule_leak(const struct am_advice_facts *f, enum am_metric_better better,
                      struct am_arena *a, struct am_node *list)
{
    if (f->n_leaks)
        say(a, list, "leak",
            am_arena_printf(a, am_tr("%llu rows stand both in training and in test"),
                            (unsigned long long)f->n_leaks),
            "The figures are too good: use data.split.leaks: group, or drop duplicates.");
    double scale = better == AM_METRIC_LOWER ? f->baseline : 1.0;
    bool perfect = distance(better, f->held_out) <= (1 - LEAK_SCORE) * scale;
    bool alone = f->top_drop > LEAK_DROP * scale &&
                 f->top_drop >= LEAK_SHARE * (f->top_drop + fmax(0.0, f->second_drop));
    if (better != AM_METRIC_NEITHER && f->top_column && perfect && alone)
        say(a, list, "leak",
            am_arena_printf(a, am_tr("column \"%s\" alone decides almost every row"),
                            f->top_column),
            "Is it known before the target is? If not, put it into features.drop.");
}

static void rule_few_rows(const struct am_advice_facts *f, struct am_arena *a, struct am_node *list)
{
    if (f->one_input && f->n_train < FEW_ROWS_OF_ONE)
        say(a, list, "few_rows",
            am_arena_printf(a, am_tr("%llu training rows"), (unsigned long long)f->n_train),
            "Figures are uncertain: look at the intervals, gather more rows, and try "
            "train.augment.");
    if (f->one_input)
        return;
    if (f->n_train < FEW_ROWS || f->n_train < FEW_ROWS_PER_FEATURE * (uint64_t)f->n_features)
        say(a, list, "few_rows",
            am_arena_printf(a, am_tr("%llu training rows for %zu columns"),
                            (unsigned long long)f->n_train, f->n_features),
            "Figures are uncertain: look at the intervals, gather more rows, or use fewer "
            "columns.");
}

struct am_node *am_advice(const struct am_advice_facts *f, struct am_arena *a)
{
    struct am_node *list = am_new_list(a);
    const struct am_metric_info *m = f->metric ? am_metric_find(am_str(f->metric)) : NULL;
    enum am_metric_better better = m ? m->better : AM_METRIC_NEITHER;
    if (better != AM_METRIC_NEITHER)
        rule_fit(f, better, a, list);
    if (am_task_has_classes(f->task))
        rule_imbalance(f, a, list);
    rule_leak(f, better, a, list);
    rule_few_rows(f, a, list);
    return list;
}
