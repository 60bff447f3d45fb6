/* The table of families and the rules of advice; see portfolio.h. The settings were chosen on
 * generated data and scikit-learn's shipped sets, not on the sets of bench/automl.sh. */
#include "pipeline/portfolio.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "learn/learn.h"
#include "pipeline/train_int.h"

#define LIST(...)                                                                                  \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

struct rule {
    struct am_family family;
    int rank; /* in general */
    uint64_t min_rows, max_rows;
    size_t max_features;
    bool classes_only; /* numbers are for another family */
    const char *good;  /* why it suits */
    const char *big;   /* why not beyond max_rows or max_features */
};

static const struct rule rules[] = {
    {{"gradient_boosting",
      LIST("{type: gradient_boosting, trees: 150, depth: 4, learning_rate: 0.08}",
           "{type: gradient_boosting, trees: 250, depth: 3, learning_rate: 0.05, subsample: 0.8, "
           "column_sample: 0.7}",
           "{type: gradient_boosting, trees: 120, depth: 6, learning_rate: 0.05, subsample: 0.8, "
           "column_sample: 0.7, min_child_weight: 5}"),
      "{model.trees: {log_int: [40, 500]}, model.depth: {int: [2, 8]}, model.learning_rate: {log: "
      "[0.02, 0.3]}, model.subsample: {float: [0.5, 1]}, model.column_sample: {float: [0.4, 1]}, "
      "model.min_child_weight: {log: [0.5, 20]}, model.lambda: {log: [0.1, 20]}}"},
     2,
     100,
     20000000,
     20000,
     false,
     AM_N("finds bends and interactions by itself; strong on most tables"),
     ""},
    {{"logistic", LIST("{type: logistic}", "{type: logistic, c: 0.05}"),
      "{model.c: {log: [0.0001, 100]}}"},
     0,
     1,
     UINT64_MAX,
     SIZE_MAX,
     true,
     AM_N("quick, calibrated, easy to explain; the one to beat"),
     ""},
    {{"linear",
      LIST("{type: linear}", "{type: linear, penalty: l2, alpha: 1}",
           "{type: linear, penalty: l1, alpha: 0.1}"),
      "{model.penalty: [l1, l2], model.alpha: {log: [0.0001, 100]}}"},
     0,
     1,
     UINT64_MAX,
     5000,
     false,
     AM_N("quick, easy to explain; the one to beat"),
     AM_N("its exact solver's time grows with the square of the features")},
    {{"extra_trees",
      LIST("{type: extra_trees, trees: 100, min_samples_leaf: 2}",
           "{type: extra_trees, trees: 100}"),
      "{model.trees: {log_int: [50, 200]}, model.min_samples_leaf: {log_int: [1, 20]}, "
      "model.max_features: {float: [0.1, 1]}}"},
     4,
     50,
     500000,
     5000,
     false,
     AM_N("robust without tuning; errs elsewhere than boosting, so both together gain"),
     AM_N("its trees grow with the rows: slow to train and large to serve")},
    {{"random_forest",
      LIST("{type: random_forest, trees: 100, min_samples_leaf: 2}",
           "{type: random_forest, trees: 100}"),
      "{model.trees: {log_int: [50, 200]}, model.min_samples_leaf: {log_int: [1, 20]}, "
      "model.max_features: {float: [0.1, 1]}}"},
     3,
     50,
     500000,
     5000,
     false,
     AM_N("robust without tuning"),
     AM_N("its trees grow with the rows: slow to train and large to serve")},
    {{"mlp",
      LIST("{type: mlp, layers: [64, 32], activation: relu, dropout: 0.1}",
           "{type: mlp, layers: [128], activation: relu, dropout: 0.3}"),
      "{model.layers: {list: {log_int: [16, 256]}, length: [1, 3]}, model.dropout: {float: [0, "
      "0.5]}}"},
     6,
     300,
     2000000,
     20000,
     false,
     AM_N("smooth functions of many numbers; gains in an ensemble with trees"),
     ""},
    {{"svm", LIST("{type: svm}", "{type: svm, c: 10}"), "{model.c: {log: [0.05, 200]}}"},
     7,
     30,
     3000,
     2000,
     true,
     AM_N("strong on few rows with smooth borders"),
     AM_N("its time grows with the square of the rows; linear_svm or gradient_boosting instead")},
    {{"knn", LIST("{type: knn, neighbors: 15, votes: distance}"),
      "{model.neighbors: {log_int: [3, 100]}, model.votes: [uniform, distance]}"},
     8,
     20,
     20000,
     100,
     false,
     AM_N("local patterns in few features; gains in an ensemble"),
     AM_N("every answer looks at all rows and features: slow to predict")},
    {{"lda", LIST("{type: lda}"), NULL},
     5,
     30,
     1000000,
     500,
     true,
     AM_N("quick; best where classes are bells of one shape"),
     AM_N("its time grows with the square of the features")},
    {{"naive_bayes", LIST("{type: naive_bayes}"), "{model.var_smoothing: {log: [1e-10, 0.1]}}"},
     9,
     10,
     UINT64_MAX,
     100000,
     true,
     AM_N("the quickest; fair on very few rows, seldom calibrated"),
     ""},
    {{"decision_tree", LIST("{type: decision_tree, max_depth: 5}"),
      "{model.max_depth: {int: [2, 10]}}"},
     10,
     20,
     5000000,
     20000,
     false,
     AM_N("can be read by a person; seldom the best"),
     ""},
    {{"linear_svm", LIST("{type: linear_svm}"), "{model.c: {log: [0.001, 100]}}"},
     11,
     50,
     5000000,
     SIZE_MAX,
     true,
     AM_N("wide and sparse rows, such as texts"),
     ""},
    {{"ada_boost", LIST("{type: ada_boost}"), NULL},
     12,
     50,
     50000,
     500,
     false,
     AM_N("clean data with few columns; dislikes wrong labels"),
     AM_N("gradient_boosting does the same faster")},
};
#define N_RULES (sizeof rules / sizeof rules[0])

size_t am_families_max(void)
{
    return N_RULES;
}

static int adjusted(const struct rule *r, const struct am_facts *f)
{
    const bool linear = r->rank == 0 || am_str_is(am_str(r->family.name), "linear_svm");
    int rank = r->rank;
    if (f->sparsity > 0.9 || f->n_features > 2000) /* texts and the like: straight lines first */
        rank += linear ? -10 : 0;
    if (f->n_rows < 300 &&
        (am_str_is(am_str(r->family.name), "lda") || am_str_is(am_str(r->family.name), "svm")))
        rank -= 4; /* few rows: few parameters */
    return rank;
}

static const char *refused(const struct rule *r, const struct am_facts *f)
{
    if (f->n_media)
        return AM_N("rows are pictures, sounds or texts as they are: networks of their own kind");
    if (f->n_rows < r->min_rows)
        return AM_N("too few rows for it");
    if (f->n_rows > r->max_rows || f->n_features > r->max_features)
        return r->big[0] ? r->big : AM_N("too many rows or features for it");
    return NULL;
}

static int by_rank(const void *x, const void *y)
{
    const struct am_family_advice *a = x, *b = y;
    if (a->suits != b->suits)
        return a->suits ? -1 : 1;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    return (a->family > b->family) - (a->family < b->family);
}

size_t am_families_advise(const struct am_facts *f, struct am_family_advice *out)
{
    size_t n = 0;
    for (size_t i = 0; i < N_RULES; i++) {
        const struct rule *r = &rules[i];
        const struct am_learner_ops *ops = am_learner_find(am_str(r->family.name));
        if (!ops || !(ops->tasks & 1u << f->task))
            continue;
        const char *why = r->classes_only && f->task == AM_TASK_REGRESSION
                              ? AM_N("for classes rather than numbers")
                              : refused(r, f);
        out[n++] = (struct am_family_advice){.family = &r->family,
                                             .suits = !why,
                                             .rank = adjusted(r, f),
                                             .why = why ? why : r->good};
    }
    qsort(out, n, sizeof *out, by_rank);
    return n;
}

/* ---- facts ---- */

static void count_columns(const struct am_prepared *p, struct am_facts *f)
{
    const struct am_node *columns = am_node_get(p->profile, "columns");
    double missing = 0;
    for (size_t i = 0; i < p->n_columns; i++) {
        const size_t k = p->columns[i];
        const enum am_col_type t = p->schema->columns[k].type;
        f->n_numbers += t == AM_COL_NUMBER || t == AM_COL_BOOLEAN || t == AM_COL_DATE;
        f->n_categories += t == AM_COL_CATEGORY;
        f->n_texts += t == AM_COL_TEXT;
        f->n_media += am_col_is_media(t);
        for (size_t c = 0; columns && c < columns->list.n; c++) {
            const size_t at = c ? c - 1 : k; /* where it stands when the orders agree */
            const struct am_node *one = at < columns->list.n ? columns->list.items[at] : NULL;
            if (!am_str_eq(am_node_str(one, "name", ""), p->schema->columns[k].name))
                continue;
            missing += (double)am_node_i64(one, "missing", 0) / (double)(p->n_rows ? p->n_rows : 1);
            break;
        }
    }
    f->missing = p->n_columns ? missing / (double)p->n_columns : 0;
}

#define LOOKED_AT 256 /* rows whose zeros are counted */

static enum am_rc count_zeros(const struct am_prepared *p, const struct am_table *view,
                              const struct am_fitted *fitted, double *out, struct am_err *err)
{
    const size_t width = am_features_width(fitted->features);
    size_t *columns = am_arena_array(p->arena, fitted->n_columns + 1, sizeof *columns);
    struct am_table_iter *it = NULL;
    const struct am_batch *b;
    float *x = NULL;
    enum am_rc rc;
    AM_TRY(am_arena_check(p->arena, err));
    AM_GO(rc,
          view->ops->open(view->impl, columns, am_fitted_columns(p, fitted, columns), &it, err));
    AM_GO(rc, view->ops->next(it, &b, err));
    const size_t n = b ? (b->n_rows < LOOKED_AT ? b->n_rows : LOOKED_AT) : 0;
    size_t zeros = 0;
    *out = 0;
    if (n == 0 || width > 100000)
        goto out;
    x = am_alloc_array(n, width * sizeof *x);
    if (!x)
        AM_GO(rc, am_fail_nomem(err, n * width * sizeof *x));
    const struct am_batch in = {n, fitted->n_columns, b->columns, b->first_row};
    AM_GO(rc, am_features_apply(fitted->features, &in, x, err));
    for (size_t i = 0; i < n * width; i++)
        zeros += x[i] == 0;
    *out = (double)zeros / (double)(n * width);
out:
    view->ops->close(it);
    am_free(x);
    return rc;
}

enum am_rc am_facts_of(const struct am_prepared *p, struct am_facts *out, struct am_err *err)
{
    struct am_table view = {NULL, NULL};
    struct am_fitted fitted = {0};
    const size_t c = am_target_n_classes(p->target);
    enum am_rc rc;
    *out = (struct am_facts){.task = am_target_task(p->target),
                             .n_rows = p->counts.n[AM_ROW_TRAIN],
                             .n_columns = p->n_columns,
                             .n_classes = c,
                             .rarest = (double)NAN};
    count_columns(p, out);
    double all = 0;
    for (size_t i = 0; i < c; i++)
        all += (double)am_target_class_rows(p->target, i);
    for (size_t i = 0; i < c && all > 0; i++)
        out->rarest = fmin(i ? out->rarest : 1, (double)am_target_class_rows(p->target, i) / all);
    AM_TRY(am_rows_view(&p->table, p->parts, p->n_rows, AM_PART_BIT(AM_ROW_TRAIN), p->pl->pool,
                        &view, err));
    AM_GO(rc, am_fit_features(p, &view, &fitted, err));
    out->n_features = am_features_width(fitted.features);
    rc = out->n_media ? AM_OK : count_zeros(p, &view, &fitted, &out->sparsity, err);
out:
    am_fitted_clear(&fitted);
    view.ops->free(view.impl);
    return rc;
}
