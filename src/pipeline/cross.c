/* Cross-validation of a recipe: its own settings measured on the folds of `evaluate.folds`, the
 * table of folds, and the out-of-fold predictions as an artefact of the run. With `tune` the folds
 * are around the whole search (tune.c); what is shown and kept is made here for both. */
#include <math.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/num.h"
#include "pipeline/train_int.h"
#include "pipeline/trial.h"

/* ---- the table ---- */

static struct am_node *fold_values(struct am_training *t, const double *values)
{
    struct am_node *m = am_new_map(t->p.arena);
    for (size_t i = 0; i < t->n_metrics; i++)
        am_node_set_str(t->p.arena, m, t->metric_names[i], am_new_f64(t->p.arena, values[i]));
    return m;
}

enum am_rc am_training_fold_table(struct am_training *t, const struct am_folds *f,
                                  const struct am_trial_result *r, struct am_err *err)
{
    struct am_arena *a = t->p.arena;
    struct am_node *out = am_new_map(a), *each = am_new_list(a), *metrics = am_new_map(a);
    for (size_t k = 0; k < r->n_folds; k++)
        am_node_push(a, each, fold_values(t, r->metrics + k * r->n_metrics));
    for (size_t m = 0; m < t->n_metrics; m++) {
        struct am_node *one = am_new_map(a);
        am_node_set(a, one, "mean", am_new_f64(a, r->mean[m]));
        am_node_set(a, one, "deviation", am_new_f64(a, r->deviation[m]));
        am_node_set_str(a, metrics, t->metric_names[m], one);
    }
    am_node_set(a, out, "n", am_new_i64(a, (int64_t)f->spec.n));
    am_node_set(a, out, "by", am_new_cstr(a, am_folds_by_name(f)));
    if (f->spec.n_repeats > 1)
        am_node_set(a, out, "repeats", am_new_i64(a, (int64_t)f->spec.n_repeats));
    am_node_set(a, out, "each", each);
    am_node_set(a, out, "metrics", metrics);
    t->folds = out;
    return am_arena_check(a, err);
}

/* ---- the predictions ---- */

static void csv_text(struct am_buf *b, struct am_str s)
{
    bool quote = s.len == 0;
    for (size_t i = 0; i < s.len; i++)
        quote = quote || s.ptr[i] == ',' || s.ptr[i] == '"' || s.ptr[i] == '\n' || s.ptr[i] == '\r';
    if (!quote) {
        am_buf_add(b, s.ptr, s.len);
        return;
    }
    am_buf_char(b, '"');
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '"')
            am_buf_char(b, '"');
        am_buf_char(b, s.ptr[i]);
    }
    am_buf_char(b, '"');
}

static void csv_number(struct am_buf *b, double v)
{
    char text[AM_DOUBLE_CHARS];
    if (!isnan(v))
        am_buf_add(b, text, am_print_double(v, text));
}

static void header(const struct am_training *t, size_t n_out, struct am_buf *b)
{
    const struct am_target *target = t->p.target;
    bool classes = am_task_has_classes(am_target_task(target));
    am_buf_cstr(b, "row");
    if (t->p.target_column != SIZE_MAX) {
        am_buf_char(b, ',');
        csv_text(b, am_target_name(target));
    }
    for (size_t k = 0; classes && k < (n_out == 1 ? 2 : n_out); k++) {
        struct am_str name =
            am_arena_printf(t->p.arena, "probability_%.*s", AM_FMT(am_target_class(target, k)));
        am_buf_char(b, ',');
        csv_text(b, name);
    }
    am_buf_cstr(b, classes ? "\n" : ",prediction\n");
}

static void truth_cell(const struct am_training *t, double v, struct am_buf *b)
{
    if (isnan(v))
        return;
    if (am_task_has_classes(am_target_task(t->p.target)))
        csv_text(b, am_target_class(t->p.target, (size_t)v));
    else
        csv_number(b, v);
}

static void line(const struct am_training *t, const struct am_trial_rows *r, size_t i,
                 struct am_buf *b)
{
    const float *p = r->pred + i * r->n_out;
    am_buf_printf(b, "%llu", (unsigned long long)r->row[i] + 1);
    if (t->p.target_column != SIZE_MAX) {
        am_buf_char(b, ',');
        truth_cell(t, r->truth[i], b);
    }
    if (am_task_has_classes(am_target_task(t->p.target)) && r->n_out == 1) {
        am_buf_char(b, ',');
        csv_number(b, 1 - (double)p[0]);
    }
    for (size_t k = 0; k < r->n_out; k++) {
        am_buf_char(b, ',');
        csv_number(b, (double)p[k]);
    }
    am_buf_char(b, '\n');
}

#define FLUSH_BYTES ((size_t)1 << 20)

static enum am_rc write_lines(const struct am_training *t, const struct am_trial_rows *r, int fd,
                              struct am_buf *b, struct am_err *err)
{
    header(t, r->n_out, b);
    for (size_t i = 0; i <= r->n; i++) {
        if (i < r->n)
            line(t, r, i, b);
        if (b->len < FLUSH_BYTES && i < r->n)
            continue;
        AM_TRY(am_buf_check(b, err));
        AM_TRY(am_fs_write_all(fd, b->ptr, b->len, err));
        am_buf_reset(b);
    }
    return AM_OK;
}

enum am_rc am_training_keep_predictions(struct am_training *t, const struct am_trial_rows *rows,
                                        struct am_err *err)
{
    char path[4400];
    int fd = -1;
    struct am_buf b;
    enum am_rc rc;
    if (!t->run || rows->n == 0)
        return AM_OK;
    am_buf_init(&b, FLUSH_BYTES * 4);
    AM_GO(rc, am_fs_temp(am_pipeline_scratch(t->p.pl), "oof", path, sizeof path, &fd, err));
    rc = write_lines(t, rows, fd, &b, err);
    am_fs()->close(fd);
    struct am_registry_file f = {
        .name = "out_of_fold.csv", .path = path, .media = "text/csv", .take = true};
    if (rc == AM_OK)
        rc = am_run_artefact(t->run, &f, err);
    if (rc != AM_OK)
        am_fs()->unlink(path);
out:
    am_buf_clear(&b);
    return rc;
}

/* ---- the recipe's own folds ---- */

#define ALL_ROWS                                                                                   \
    (AM_PART_BIT(AM_ROW_TRAIN) | AM_PART_BIT(AM_ROW_VALIDATION) | AM_PART_BIT(AM_ROW_TEST))

enum am_rc am_training_fold_spec(const struct am_training *t, struct am_folds_spec *out,
                                 struct am_err *err)
{
    return am_folds_spec_from_node(&t->p, am_node_path(t->p.recipe.resolved, "evaluate.folds"),
                                   "evaluate.folds", ALL_ROWS, out, err);
}

struct watch {
    struct am_progress *progress;
    size_t n;
};

static enum am_rc fold_done(void *ctx, uint64_t step, double value, bool *prune, struct am_err *err)
{
    struct watch *w = ctx;
    (void)value, (void)prune, (void)err;
    am_progress_step(w->progress, step, w->n, step, (double)NAN);
    return AM_OK;
}

enum am_rc am_training_folds(struct am_training *t, struct am_err *err)
{
    struct am_folds_spec spec;
    struct am_folds folds = {0};
    struct am_trials *trials = NULL;
    struct am_trial_result r = {0};
    enum am_rc rc;
    AM_TRY(am_training_fold_spec(t, &spec, err));
    if (spec.n < 2)
        return AM_OK;
    AM_TRY(am_folds_make(&t->p, &spec, NULL, &folds, err));
    struct am_trials_options o = {.folds = &folds,
                                  .metrics = t->metric_names,
                                  .n_metrics = t->n_metrics,
                                  .weights_path = t->weights_path,
                                  .memory_bytes = t->p.pl->memory_limit_bytes / 8};
    struct watch w = {t->p.pl->progress, am_folds_count(&folds)};
    const struct am_trial_spec s = {
        .predictions = true, .report = fold_done, .ctx = &w, .watch = 0};
    AM_GO(rc, am_trials_new(&t->p, &o, &trials, err));
    am_progress_begin(t->p.pl->progress, "folds", w.n);
    AM_GO(rc, am_trial_run(trials, &s, &r, err));
    am_progress_end(t->p.pl->progress);
    if (r.status != AM_TRIAL_OK) {
        rc = am_fail(err, r.rc, "%s",
                     r.why[0] ? r.why : am_tr("canceled while folds were measured"));
        if (r.why[0])
            am_context(err, "evaluate.folds");
        goto out;
    }
    AM_GO(rc, am_training_fold_table(t, &folds, &r, err));
    rc = am_training_keep_predictions(t, &r.rows, err);
out:
    am_trial_result_clear(&r);
    am_trials_free(trials);
    am_folds_clear(&folds);
    return rc;
}
