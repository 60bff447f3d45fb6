/* Measures a trained model on its parts and builds the report tree. */
#include "pipeline/recommender.h"
#include "pipeline/train_int.h"

#include <math.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "eval/advice.h"

static const char *const part_names[] = {"train", "validation", "test"};

static enum am_rc measure_part(struct am_training *t, const struct am_scored *s, const char *name,
                               struct am_err *err)
{
    struct am_node *m;
    const struct am_node *composite = am_node_path(t->p.recipe.resolved, "evaluate.composite");
    if (s->in.n_rows == 0)
        return AM_OK;
    AM_TRY(am_metrics_node(&s->in, t->metric_names, t->n_metrics, composite, t->p.arena, &m, err));
    am_node_set(t->p.arena, t->metrics, name, m);
    return AM_OK;
}

/* A model's own threshold: the recipe's, or where rows are learned that of its own scores. */
static enum am_rc threshold_of(const struct am_training *t, const struct am_learned *l, double *out,
                               struct am_err *err)
{
    enum am_task task = am_target_task(t->p.target);
    struct am_scored s[2] = {0};
    enum am_rc rc;
    *out = t->threshold;
    if (task != AM_TASK_ANOMALY)
        return AM_OK;
    AM_GO(rc, am_score(l, task, 0, t->rows[AM_ROW_VALIDATION].data, t->p.pl->pool, &s[0], err));
    if (s[0].in.n_rows == 0)
        AM_GO(rc, am_score(l, task, 0, t->rows[AM_ROW_TRAIN].data, t->p.pl->pool, &s[1], err));
    rc = am_training_anomaly_threshold(t, &s[0], &s[1], out, err);
out:
    am_scored_clear(&s[0]);
    am_scored_clear(&s[1]);
    return rc;
}

static enum am_rc baseline(struct am_training *t, const struct am_train_data *on,
                           struct am_err *err)
{
    struct am_arena *a = t->p.arena;
    struct am_learn_task task;
    struct am_learned base = {0};
    struct am_scored s = {0};
    struct am_node *model = am_new_map(a);
    if (am_target_task(t->p.target) == AM_TASK_ANOMALY &&
        am_graph_find_output(t->learned.graph, "reconstruction") == AM_VALUE_NONE)
        return AM_OK; /* its scores are no distances: there is nothing to compare with */
    am_node_set(a, model, "type", am_new_cstr(a, "baseline"));
    AM_TRY(am_arena_check(a, err));
    AM_TRY(am_training_task(t, &task, err));
    task.model = model;
    task.derived = NULL;
    task.validation = NULL;
    enum am_rc rc = am_learner_fit(&task, &base, a, err);
    if (rc == AM_OK)
        rc = am_score(&base, task.task, task.n_classes, on, t->p.pl->pool, &s, err);
    if (rc == AM_OK)
        rc = threshold_of(t, &base, &s.in.threshold, err);
    if (rc == AM_OK)
        rc = measure_part(t, &s, "baseline", err);
    am_scored_clear(&s);
    am_learned_clear(&base);
    return rc;
}

static enum am_rc choose_threshold(struct am_training *t, const struct am_scored *validation,
                                   struct am_err *err)
{
    struct am_str metric =
        am_node_str(am_node_path(t->p.recipe.resolved, "evaluate.threshold"), "maximize", "");
    double value;
    if (metric.len == 0 || validation->in.n_rows == 0)
        return AM_OK;
    return am_threshold_choose(&validation->in, metric, &t->threshold, &value, err);
}

/* ---- the report ---- */

static struct am_node *class_names(const struct am_training *t)
{
    struct am_node *list = am_new_list(t->p.arena);
    for (size_t i = 0; i < am_target_n_classes(t->p.target); i++)
        am_node_push(t->p.arena, list, am_new_str(t->p.arena, am_target_class(t->p.target, i)));
    return list;
}

static enum am_rc confusion_node(struct am_training *t, const struct am_scored *s,
                                 struct am_node **out, struct am_err *err)
{
    size_t c = s->in.n_classes;
    struct am_arena *a = t->p.arena;
    uint64_t *counts = am_arena_array(a, c * c + 1, sizeof *counts);
    AM_TRY(am_arena_check(a, err));
    am_confusion(&s->in, counts);
    *out = am_new_list(a);
    for (size_t i = 0; i < c; i++) {
        struct am_node *row = am_new_list(a);
        for (size_t j = 0; j < c; j++)
            am_node_push(a, row, am_new_i64(a, (int64_t)counts[i * c + j]));
        am_node_push(a, *out, row);
    }
    return AM_OK;
}

/* What was used: columns, types and reasons. */
static struct am_node *used_columns(const struct am_training *t)
{
    struct am_arena *a = t->p.arena;
    struct am_node *list = am_new_list(a);
    for (size_t i = 0; i < t->p.n_columns; i++) {
        const struct am_schema_column *c = &t->p.dataset_schema.columns[t->p.columns[i]];
        struct am_node *m = am_new_map(a);
        am_node_set(a, m, "name", am_new_str(a, c->name));
        am_node_set(a, m, "type", am_new_cstr(a, am_col_type_name(c->type)));
        am_node_set(a, m, "why", am_new_str(a, c->why));
        am_node_push(a, list, m);
    }
    return list;
}

static struct am_node *report_head(struct am_training *t)
{
    struct am_arena *a = t->p.arena;
    struct am_node *r = am_new_map(a), *rows = am_new_map(a), *info = t->learned.info;
    char now[24];
    am_time_iso(am_wall_us(), now);
    am_node_set(a, r, "title", am_new_str(a, t->p.name));
    am_node_set(a, r, "task", am_new_cstr(a, am_task_name(am_target_task(t->p.target))));
    am_node_set(a, r, "target", am_new_str(a, am_target_name(t->p.target)));
    am_node_set(a, r, "learner", am_new_str(a, am_node_str(info, "learner", "")));
    am_node_set(a, r, "run", t->run ? am_new_cstr(a, am_run_id(t->run)) : am_new_null(a));
    am_node_set(a, r, "created", am_new_cstr(a, now));
    am_node_set(a, r, "dataset", am_new_str(a, t->p.dataset));
    for (size_t i = 0; i < 3; i++)
        am_node_set(a, rows, part_names[i], am_new_i64(a, (int64_t)t->p.counts.n[i]));
    am_node_set(a, rows, "dropped", am_new_i64(a, (int64_t)t->p.counts.n[AM_ROW_DROPPED]));
    am_node_set(a, r, "rows", rows);
    am_node_set(a, r, "features", am_new_i64(a, (int64_t)am_features_width(t->fitted.features)));
    am_node_set(a, r, "parameters", am_new_i64(a, (int64_t)t->learned.params->n_values));
    am_node_set(a, r, "metrics", t->metrics);
    am_node_set(a, r, "columns", used_columns(t));
    am_node_set(a, r, "cleaning", am_clean_report(t->p.clean, a));
    am_node_set(a, r, "training", info ? info : am_new_null(a));
    am_node_set(a, r, "history", t->history);
    return r;
}

/* The first of the recipe's metrics that has a direction. */
static struct am_str main_metric(const struct am_training *t)
{
    for (size_t i = 0; i < t->n_metrics; i++) {
        const struct am_metric_info *m = am_metric_find(t->metric_names[i]);
        if (m && m->better != AM_METRIC_NEITHER)
            return t->metric_names[i];
    }
    return am_str(am_metrics_default(am_target_task(t->p.target))[0]);
}

/* What splits by a column's features gained, as a share of all, beside what shuffling it costs:
 * learners of trees say it by feature (info.importance). */
static enum am_rc add_gains(struct am_training *t, struct am_node *list, struct am_err *err)
{
    const struct am_features *f = t->fitted.features;
    const struct am_node *gains = am_node_get(t->learned.info, "importance");
    const size_t width = am_features_width(f), n = am_features_n_inputs(f);
    double *sums = am_arena_array(t->p.arena, n + 1, sizeof *sums), v;
    AM_TRY(am_arena_check(t->p.arena, err));
    if (!gains || gains->kind != AM_NODE_LIST || gains->list.n != width)
        return AM_OK;
    for (size_t k = 0; k < n; k++)
        sums[k] = 0;
    for (size_t j = 0; j < width; j++)
        if (am_features_output_input(f, j) < n && am_node_as_f64(gains->list.items[j], &v))
            sums[am_features_output_input(f, j)] += v;
    for (size_t i = 0; i < list->list.n; i++)
        for (size_t k = 0; k < n; k++)
            if (am_str_eq(am_node_str(list->list.items[i], "column", ""),
                          am_features_input(f, k)->name))
                am_node_set(t->p.arena, list->list.items[i], "split_gain",
                            am_new_f64(t->p.arena, sums[k]));
    return am_arena_check(t->p.arena, err);
}

#define IMPORTANCE_ROWS 2000

static enum am_rc importance(struct am_training *t, const struct am_train_data *on,
                             struct am_node *r, struct am_err *err)
{
    struct am_node *list;
    bool wanted = am_node_bool(am_node_get(t->p.recipe.resolved, "evaluate"), "importance", true);
    enum am_task task = am_target_task(t->p.target);
    if (!wanted || task == AM_TASK_CLUSTERING || task == AM_TASK_RECOMMENDATION ||
        am_features_n_inputs(t->fitted.features) < 2)
        return AM_OK;
    AM_TRY(am_score_importance(&t->learned, t->fitted.features, am_target_task(t->p.target),
                               am_target_n_classes(t->p.target), on, main_metric(t), t->threshold,
                               t->seed, IMPORTANCE_ROWS, t->p.pl->pool, t->p.arena, &list, err));
    AM_TRY(add_gains(t, list, err));
    am_node_set(t->p.arena, r, "importance", list);
    am_node_set(t->p.arena, r, "importance_metric", am_new_str(t->p.arena, main_metric(t)));
    return AM_OK;
}

static double metric_of(const struct am_training *t, const char *part, struct am_str name)
{
    double v;
    return am_node_as_f64(am_node_get_str(am_node_get(t->metrics, part), name), &v) ? v : NAN;
}

static enum am_rc advise(struct am_training *t, struct am_node *r, struct am_err *err)
{
    struct am_arena *a = t->p.arena;
    struct am_str name = main_metric(t);
    const struct am_node *imp = am_node_get(r, "importance"),
                         *band = am_node_get_str(t->intervals, name);
    size_t c = am_target_n_classes(t->p.target);
    uint64_t *rows = am_arena_array(a, c + 1, sizeof *rows);
    const char **names = am_arena_array(a, c + 1, sizeof *names);
    const char *held = t->p.counts.n[AM_ROW_TEST] ? "test" : "validation";
    AM_TRY(am_arena_check(a, err));
    for (size_t i = 0; i < c; i++) {
        rows[i] = am_target_class_rows(t->p.target, i);
        names[i] = am_arena_str(a, am_target_class(t->p.target, i)).ptr;
    }
    struct am_advice_facts f = {.task = am_target_task(t->p.target),
                                .n_train = t->p.counts.n[AM_ROW_TRAIN],
                                .n_features = am_features_width(t->fitted.features),
                                .one_input = am_features_n_inputs(t->fitted.features) == 1 &&
                                             am_features_width(t->fitted.features) > 1,
                                .class_rows = rows,
                                .class_names = names,
                                .n_classes = c,
                                .metric = am_arena_str(a, name).ptr,
                                .train = metric_of(t, "train", name),
                                .held_out = metric_of(t, held, name),
                                .baseline = metric_of(t, "baseline", name),
                                .deviation = NAN};
    if (f.task == AM_TASK_CLUSTERING) /* a part's own figure, nothing that is predicted */
        f.train = f.held_out = (double)NAN;
    if (t->p.split.leaks == AM_LEAKS_WARN)
        f.n_leaks = t->p.counts.n_leaks;
    if (t->p.near && t->p.near->action == AM_NEAR_KEEP)
        f.n_leaks += t->p.near->n_leaks;
    if (band)
        f.deviation = (am_node_f64(band, "high", NAN) - am_node_f64(band, "low", NAN)) / 3.92;
    if (imp && imp->list.n > 1 &&
        !am_task_is_own(f.task)) { /* of a single column it says nothing that it decides all */
        f.top_column = am_arena_str(a, am_node_str(imp->list.items[0], "column", "")).ptr;
        f.top_drop = am_node_f64(imp->list.items[0], "mean", 0);
        f.second_drop = am_node_f64(imp->list.items[1], "mean", 0);
    }
    t->advice = am_advice(&f, a);
    am_node_set(a, r, "advice", t->advice);
    return am_arena_check(a, err);
}

#define CURVE_POINTS 200

static enum am_rc labels_table(struct am_training *t, const struct am_scored *s, struct am_node *r,
                               struct am_err *err)
{
    struct am_arena *a = t->p.arena;
    struct am_node *table;
    struct am_str *names = am_arena_array(a, s->in.n_classes + 1, sizeof *names);
    AM_TRY(am_arena_check(a, err));
    for (size_t i = 0; i < s->in.n_classes; i++)
        names[i] = am_target_class(t->p.target, i);
    AM_TRY(am_labels_table(&s->in, names, a, &table, err));
    am_node_set(a, r, "labels", table);
    return AM_OK;
}

static enum am_rc plots(struct am_training *t, const struct am_scored *s, struct am_node *r,
                        struct am_err *err)
{
    struct am_arena *a = t->p.arena;
    struct am_node *c;
    if (am_task_target_optional(s->in.task))
        return AM_OK;
    if (s->in.task == AM_TASK_MULTILABEL)
        return labels_table(t, s, r, err);
    am_node_set(a, r, "predictions", am_prediction_summary(&s->in, a));
    if (s->in.task == AM_TASK_REGRESSION) {
        am_node_set(a, r, "residuals", am_residuals(&s->in, 1000, a));
        return AM_OK;
    }
    am_node_set(a, r, "classes", class_names(t));
    AM_TRY(confusion_node(t, s, &c, err));
    am_node_set(a, r, "confusion", c);
    am_node_set(a, r, "roc", am_curve_roc(&s->in, CURVE_POINTS, a));
    am_node_set(a, r, "pr", am_curve_pr(&s->in, CURVE_POINTS, a));
    if (!s->in.scores)
        am_node_set(a, r, "calibration", am_curve_calibration(&s->in, 10, a));
    if (s->in.task == AM_TASK_BINARY)
        am_node_set(a, r, "threshold", am_new_f64(a, t->threshold));
    return AM_OK;
}

static size_t list_length(const struct am_training *t)
{
    const int64_t k = am_node_i64(am_node_get(t->p.recipe.resolved, "model"), "top", 10);
    return k > 0 ? (size_t)k : 10;
}

static enum am_rc build_report(struct am_training *t, const struct am_scored *held,
                               const struct am_train_data *rows, struct am_err *err)
{
    struct am_arena *a = t->p.arena;
    struct am_node *r = report_head(t);
    struct am_buf yaml;
    AM_TRY(plots(t, held, r, err));
    if (held->in.task == AM_TASK_RECOMMENDATION)
        AM_TRY(am_training_recommender_report(t, held, list_length(t), r, err));
    else if (held->in.task == AM_TASK_CLUSTERING)
        AM_TRY(am_training_clusters_report(t, held, r, err));
    else if (am_task_is_own(held->in.task))
        AM_TRY(am_training_anomaly_report(t, held, rows, r, err));
    am_node_set(a, r, "intervals", t->intervals);
    if (t->p.near)
        am_node_set(a, r, "near_duplicates", am_near_to_node(t->p.near, a));
    if (t->fitted.selection.by)
        am_node_set(a, r, "selection", am_selection_to_node(&t->p, &t->fitted.selection, a));
    if (t->folds)
        am_node_set(a, r, "folds", t->folds);
    if (t->study)
        am_node_set(a, r, "study", t->study);
    if (rows)
        AM_TRY(importance(t, rows, r, err));
    AM_TRY(am_training_pictures(t, held, rows, r, err));
    if (t->p.import_report && am_node_get(t->p.import_report, "import"))
        am_node_set(a, r, "import", am_node_get(t->p.import_report, "import"));
    AM_TRY(advise(t, r, err));
    for (size_t i = 0; t->extra && i < t->extra->map.n; i++)
        am_node_set_str(a, r, t->extra->map.pairs[i].key, t->extra->map.pairs[i].value);
    am_buf_init(&yaml, 1 << 22);
    am_node_to_yaml(t->p.recipe.resolved, &yaml);
    am_node_set(a, r, "recipe", am_new_str(a, am_buf_view(&yaml)));
    am_buf_clear(&yaml);
    t->report = r;
    return am_arena_check(a, err);
}

const struct am_node *am_training_deciding(const struct am_training *t)
{
    for (int i = 2; i >= 0; i--)
        if (am_node_get(t->metrics, part_names[i]))
            return am_node_get(t->metrics, part_names[i]);
    return NULL;
}

/* Rankings of what was held out, and as "baseline" those of what is popular. Of training rows there
 * is none: lists leave out what was chosen. */
static enum am_rc rank(struct am_training *t, struct am_scored s[3], struct am_err *err)
{
    struct am_ranking popular;
    for (unsigned i = AM_ROW_VALIDATION; i <= AM_ROW_TEST; i++) {
        AM_TRY(am_training_rank(&t->learned, t->rows[i].data, list_length(t), false, &s[i].ranking,
                                err));
        s[i].in.ranking = &s[i].ranking;
    }
    const unsigned held = s[AM_ROW_TEST].in.n_rows ? AM_ROW_TEST : AM_ROW_VALIDATION;
    AM_TRY(am_training_rank(&t->learned, t->rows[held].data, list_length(t), true, &popular, err));
    const struct am_eval_input in = {.task = AM_TASK_RECOMMENDATION,
                                     .n_rows = 1,
                                     .pred = &(float){0},
                                     .truth = &(double){(double)NAN},
                                     .ranking = &popular};
    struct am_scored base = {.in = in};
    return measure_part(t, &base, "baseline", err);
}

enum am_rc am_training_measure(struct am_training *t, struct am_err *err)
{
    enum am_task task = am_target_task(t->p.target);
    size_t c = am_target_n_classes(t->p.target);
    struct am_scored s[3] = {0};
    struct am_bootstrap_options boot = {
        .seed = t->seed,
        .level = 0.95,
        .pool = t->p.pl->pool,
        .n_resamples =
            (size_t)am_node_i64(am_node_get(t->p.recipe.resolved, "evaluate"), "bootstrap", 1000)};
    enum am_rc rc = AM_OK;
    am_progress_begin(t->p.pl->progress, "evaluate", 1);
    t->metrics = am_new_map(t->p.arena);
    for (size_t i = 0; i < 3; i++)
        AM_GO(rc, am_score(&t->learned, task, c, t->rows[i].data, t->p.pl->pool, &s[i], err));
    if (am_task_is_own(task))
        AM_GO(rc, am_training_anomaly_threshold(t, &s[AM_ROW_VALIDATION], &s[AM_ROW_TRAIN],
                                                &t->threshold, err));
    else
        AM_GO(rc, choose_threshold(t, &s[AM_ROW_VALIDATION], err));
    if (task == AM_TASK_RECOMMENDATION)
        AM_GO(rc, rank(t, s, err));
    for (size_t i = 0; i < 3; i++) {
        s[i].in.threshold = t->threshold;
        AM_GO(rc, measure_part(t, &s[i], part_names[i], err));
    }
    size_t held = s[AM_ROW_TEST].in.n_rows         ? AM_ROW_TEST
                  : s[AM_ROW_VALIDATION].in.n_rows ? AM_ROW_VALIDATION
                                                   : 0;
    const bool compared = task != AM_TASK_CLUSTERING && task != AM_TASK_RECOMMENDATION;
    if (compared)
        AM_GO(rc, baseline(t, t->rows[held].data, err));
    AM_GO(rc, am_bootstrap(&s[held].in, t->metric_names, compared ? t->n_metrics : 0, &boot,
                           t->p.arena, &t->intervals, err));
    rc = build_report(t, &s[held], t->rows[held].data, err);
out:
    for (size_t i = 0; i < 3; i++)
        am_scored_clear(&s[i]);
    am_progress_end(t->p.pl->progress);
    return rc;
}
