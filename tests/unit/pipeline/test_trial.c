/* The evaluator of candidates: what it predicts for rows out of their folds (a baseline's answer is
 * the mean of the rows that trained it, so that leaks would show in every digit), folds of every
 * kind, the cache of features, what happens to candidates that fail, are pruned, canceled or late,
 * and memory that runs out. */
#include "tests/unit/data/support.h"

#include "base/clock.h"
#include "feature/target.h"
#include "pipeline/train_int.h"
#include "pipeline/trial.h"
#include "tests/support/faults.h"

#define N 40

static struct am_err err;
static double x[N], group[N], when[N], y[N];

#define OK(call)                                                                                   \
    do {                                                                                           \
        am_err_clear(&err);                                                                        \
        if ((call) != AM_OK)                                                                       \
            fail_msg("%s: %s", #call, err.message);                                                \
    } while (0)

struct made {
    struct am_arena *a;
    struct am_column_desc descs[4];
    struct am_column columns[4];
    struct memory_table memory;
    struct am_schema schema;
    struct am_progress progress;
    struct am_pipeline pl;
    struct am_prepared p;
};

static void fit_target(struct made *m)
{
    const struct am_target_config c = {
        .name = AM_STR("y"), .type = AM_COL_NUMBER, .want = AM_TARGET_REGRESSION};
    struct am_target_fit *f = NULL;
    OK(am_target_fit_new(&c, &f, &err));
    OK(am_target_fit_update(f, &m->columns[3], N, &err));
    OK(am_target_fit_finish(f, &m->p.target, &err));
    am_target_fit_free(f);
}

static void make(struct made *m, const char *recipe)
{
    static const char *const names[] = {"x", "group", "when", "y"};
    const double *const values[] = {x, group, when, y};
    *m = (struct made){.a = am_arena_new(0)};
    for (size_t i = 0; i < N; i++) {
        x[i] = (double)(i * 7 % 13);
        group[i] = (double)(i / 4);
        when[i] = (double)(N - i); /* the last row is the earliest */
        y[i] = 3 * x[i] + (double)(i % 5);
    }
    for (size_t i = 0; i < 4; i++) {
        m->descs[i] = (struct am_column_desc){am_str(names[i]), AM_COL_NUMBER};
        m->columns[i] = (struct am_column){.type = AM_COL_NUMBER, .number = values[i]};
    }
    m->schema = (struct am_schema){m->descs, 4};
    m->memory = (struct memory_table){m->schema, m->columns, N, 7};
    m->pl = (struct am_pipeline){
        .memory_limit_bytes = 1 << 20, .scratch = scratch, .progress = &m->progress};
    m->p = (struct am_prepared){.pl = &m->pl,
                                .arena = m->a,
                                .schema = &m->schema,
                                .raw = {&memory_ops, &m->memory},
                                .table = {&memory_ops, &m->memory},
                                .n_rows = N,
                                .split = {.by = AM_SPLIT_RANDOM, .seed = 7},
                                .target_column = 3,
                                .weight_column = SIZE_MAX};
    m->p.parts = am_calloc(N, 1);
    for (size_t i = 0; i < N; i++)
        m->p.parts[i] = i % 8 == 7 ? AM_ROW_TEST : i % 4 == 3 ? AM_ROW_VALIDATION : AM_ROW_TRAIN;
    am_split_count(m->p.parts, N, &m->p.counts);
    OK(am_recipe_load(m->a, am_str(recipe), "test", NULL, 0, &m->p.recipe, &err));
    OK(am_clean_new(NULL, &m->schema, AM_STR("y"), NULL, 0, &m->p.clean, &err));
    m->p.columns = am_arena_array(m->a, 4, sizeof *m->p.columns);
    m->p.n_columns = 3;
    for (size_t i = 0; i < 3; i++)
        m->p.columns[i] = i;
    fit_target(m);
}

static void unmake(struct made *m)
{
    am_clean_free(m->p.clean);
    am_target_free(m->p.target);
    am_free(m->p.parts);
    am_arena_free(m->a);
}

#define ALL (AM_PART_BIT(AM_ROW_TRAIN) | AM_PART_BIT(AM_ROW_VALIDATION) | AM_PART_BIT(AM_ROW_TEST))
#define RECIPE(more) "data: {source: x.csv, target: y}\n" more

static void make_folds(struct made *m, const char *node, struct am_folds *out)
{
    struct am_folds_spec spec;
    struct am_node *n;
    OK(am_yaml_parse(m->a, am_str(node), "folds", &n, &err));
    OK(am_folds_spec_from_node(&m->p, n, "evaluate.folds", ALL, &spec, &err));
    OK(am_folds_make(&m->p, &spec, NULL, out, &err));
}

/* The mean of y over the rows that train when fold i of f is measured. */
static double mean_of(const struct am_folds *f, size_t i)
{
    uint8_t side[N];
    double sum = 0, n = 0;
    am_folds_side(f, i, side);
    for (size_t k = 0; k < N; k++)
        if (side[k] == AM_ROW_TRAIN)
            sum += y[k], n++;
    return sum / n;
}

static void check_baseline(struct made *m, const char *folds, size_t n_pairs, size_t n_rows)
{
    const struct am_str rmse = AM_STR("rmse");
    struct am_folds f;
    struct am_trials *t = NULL;
    struct am_trial_result r;
    const struct am_trial_spec spec = {.predictions = true, .latency = true};
    make_folds(m, folds, &f);
    const struct am_trials_options o = {.folds = &f, .metrics = &rmse, .n_metrics = 1};
    assert_int_equal(am_folds_count(&f), n_pairs);
    OK(am_trials_new(&m->p, &o, &t, &err));
    OK(am_trial_run(t, &spec, &r, &err));
    assert_string_equal(r.why, "");
    assert_int_equal(r.status, AM_TRIAL_OK);
    assert_int_equal(r.n_folds, n_pairs);
    assert_int_equal(r.rows.n, n_rows);
    assert_true(r.latency_us > 0 && r.size_bytes > 0);
    double sum = 0;
    for (size_t i = 0; i < n_pairs; i++) {
        uint8_t side[N];
        double square = 0, n = 0, mean = mean_of(&f, i);
        am_folds_side(&f, i, side);
        for (size_t k = 0; k < N; k++)
            if (side[k] == AM_ROW_TEST)
                square += (y[k] - mean) * (y[k] - mean), n++;
        if (fabs(r.metrics[i] - sqrt(square / n)) > 1e-4)
            fail_msg("%s, pair %zu: %g, not %g", folds, i, r.metrics[i], sqrt(square / n));
        sum += r.metrics[i];
    }
    assert_true(fabs(r.mean[0] - sum / (double)n_pairs) < 1e-9);
    for (size_t i = 0; i < r.rows.n; i++) {
        double expect = 0, times = 0;
        assert_true(i == 0 || r.rows.row[i] > r.rows.row[i - 1]);
        assert_true(r.rows.truth[i] == y[r.rows.row[i]]);
        for (size_t k = 0; k < n_pairs; k++) {
            uint8_t side[N];
            am_folds_side(&f, k, side);
            if (side[r.rows.row[i]] == AM_ROW_TEST)
                expect += mean_of(&f, k), times++;
        }
        assert_true(fabs((double)r.rows.pred[i] - expect / times) < 1e-4);
    }
    am_trial_result_clear(&r);
    am_trials_free(t);
    am_folds_clear(&f);
}

static void out_of_fold(void **state)
{
    struct made m;
    (void)state;
    make(&m, RECIPE("model: {type: baseline}"));
    check_baseline(&m, "5", 5, N);
    check_baseline(&m, "{n: 4, by: random, seed: 3}", 4, N);
    check_baseline(&m, "{n: 3, repeats: 3}", 9, N);
    check_baseline(&m, "{n: 5, group: group}", 5, N);
    check_baseline(&m, "{n: 4, by: time, time: when}", 3, N - N / 4);
    check_baseline(&m, "0", 1, 5); /* the validation rows, from the training rows alone */
    unmake(&m);
}

static void kinds_of_folds(void **state)
{
    struct made m;
    struct am_folds f;
    uint8_t side[N];
    (void)state;
    make(&m, RECIPE(""));
    make_folds(&m, "{n: 5, group: group}", &f);
    for (size_t i = 1; i < N; i++)
        if (group[i] == group[i - 1])
            assert_int_equal(f.of[i], f.of[i - 1]);
    am_folds_clear(&f);
    make_folds(&m, "{n: 4, time: when}", &f);
    for (size_t k = 0; k < 3; k++) { /* only the past trains */
        am_folds_side(&f, k, side);
        for (size_t i = 0; i < N; i++)
            for (size_t j = 0; j < N; j++)
                if (side[i] == AM_ROW_TRAIN && side[j] == AM_ROW_TEST)
                    assert_true(when[i] < when[j]);
    }
    am_folds_clear(&f);
    make_folds(&m, "{n: 2, repeats: 2}", &f);
    assert_true(memcmp(f.of, f.of + N, N * sizeof *f.of) != 0);
    am_folds_clear(&f);
    unmake(&m);
}

static void bad_folds(void **state)
{
    static const struct {
        const char *node, *message;
        enum am_rc rc;
    } bad[] = {{"1", "asks for 1 folds", AM_EUSAGE},
               {"{n: 3, repeats: 0}", "0 times over", AM_EUSAGE},
               {"{n: 3, by: group}", "no column is named", AM_EUSAGE},
               {"{n: 3, by: random, group: group}", "drawn by random", AM_EUSAGE},
               {"{n: 3, by: stratified}", "has no classes", AM_EUSAGE},
               {"{n: 3, time: when, repeats: 2}", "the same each time", AM_EUSAGE},
               {"{n: 41}", "41 folds cannot be made of 40 rows", AM_EINVAL},
               {"{n: 11, group: group}", "10 groups", AM_EINVAL}};
    struct made m;
    (void)state;
    make(&m, RECIPE(""));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct am_folds_spec spec;
        struct am_folds f;
        struct am_node *n;
        OK(am_yaml_parse(m.a, am_str(bad[i].node), "folds", &n, &err));
        enum am_rc rc = am_folds_spec_from_node(&m.p, n, "evaluate.folds", ALL, &spec, &err);
        if (rc == AM_OK)
            rc = am_folds_make(&m.p, &spec, NULL, &f, &err);
        assert_int_equal(rc, bad[i].rc);
        if (!strstr(err.message, bad[i].message) || !err.hint[0])
            fail_msg("%s: %s (%s)", bad[i].node, err.message, err.hint);
    }
    unmake(&m);
}

struct seen {
    size_t n, prune_at;
    bool cancel;
    atomic_bool flag;
    double last;
};

static enum am_rc report(void *ctx, uint64_t step, double value, bool *prune, struct am_err *e)
{
    struct seen *s = ctx;
    (void)e;
    s->n++;
    s->last = value;
    *prune = step == s->prune_at;
    if (s->cancel)
        atomic_store(&s->flag, true);
    return AM_OK;
}

static void run_one(struct am_trials *t, const char *path, const char *value, struct seen *s,
                    struct am_trial_result *r)
{
    const struct am_recipe_set set = {am_str(path), am_str(value)};
    const struct am_trial_spec spec = {
        .sets = &set, .n_sets = path[0] ? 1 : 0, .report = s ? report : NULL, .ctx = s};
    OK(am_trial_run(t, &spec, r, &err));
}

static void candidates_that_end_early(void **state)
{
    static const struct {
        const char *path, *value, *why;
    } bad[] = {{"model.type", "linaer", "linaer"},
               {"model.alpha", "-1", "model.alpha"},
               {"train.learning_rat", "1", "learning_rat"},
               {"data.split.test", "0.1", "no setting that candidates can differ in"},
               {"train.weights", "x.npz", "no setting"},
               {"train.threads", "2", "no setting"},
               {"features.nowhere.scale", "standard", "nowhere"}};
    struct made m;
    struct am_folds f;
    struct am_trials *t = NULL;
    struct am_trial_result r;
    (void)state;
    make(&m, RECIPE("model: {type: linear}\nevaluate: {metrics: [r2, rmse]}"));
    make_folds(&m, "5", &f);
    const struct am_trials_options o = {.folds = &f};
    OK(am_trials_new(&m.p, &o, &t, &err));
    assert_int_equal(am_trials_n_metrics(t), 2);
    assert_true(am_trials_higher(t, 0) && !am_trials_higher(t, 1));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        run_one(t, bad[i].path, bad[i].value, NULL, &r);
        assert_int_equal(r.status, AM_TRIAL_FAILED);
        if (!strstr(r.why, bad[i].why))
            fail_msg("%s: %s", bad[i].path, r.why);
        am_trial_result_clear(&r);
        const struct am_recipe_set set = {am_str(bad[i].path), am_str(bad[i].value)};
        assert_int_not_equal(am_trial_check(t, &set, 1, &err), AM_OK);
    }
    struct seen s = {.prune_at = 2};
    run_one(t, "", "", &s, &r);
    assert_int_equal(r.status, AM_TRIAL_PRUNED);
    assert_int_equal(r.n_folds, 2);
    assert_true(s.last == r.mean[0]);
    am_trial_result_clear(&r);
    s = (struct seen){.cancel = true};
    m.progress.cancel = &s.flag;
    am_trials_free(t);
    OK(am_trials_new(&m.p, &o, &t, &err));
    run_one(t, "", "", &s, &r);
    assert_int_equal(r.status, AM_TRIAL_CANCELED);
    assert_int_equal(r.n_folds, 1);
    am_trial_result_clear(&r);
    atomic_store(&s.flag, false);
    const struct am_trial_spec late = {.deadline_ns = 1};
    OK(am_trial_run(t, &late, &r, &err));
    assert_int_equal(r.status, AM_TRIAL_CANCELED);
    am_trial_result_clear(&r);
    am_trials_free(t);
    am_folds_clear(&f);
    unmake(&m);
}

/* A network over one fold reports its epochs: the loss on the rows that are measured. */
static void epochs_are_reported(void **state)
{
    struct made m;
    struct am_folds f;
    struct am_trials *t = NULL;
    struct am_trial_result r;
    struct seen s = {0};
    (void)state;
    make(&m, RECIPE("model: {type: mlp, layers: [4]}\ntrain: {epochs: 6}\n"
                    "evaluate: {metrics: [r2]}"));
    make_folds(&m, "0", &f);
    const struct am_trials_options o = {.folds = &f};
    OK(am_trials_new(&m.p, &o, &t, &err));
    run_one(t, "", "", &s, &r);
    assert_int_equal(r.status, AM_TRIAL_OK);
    assert_int_equal(s.n, 6);
    assert_true(s.last < 0); /* more is better: the loss with a minus */
    am_trial_result_clear(&r);
    s = (struct seen){.prune_at = 3};
    run_one(t, "train.learning_rate", "0.01", &s, &r);
    assert_int_equal(r.status, AM_TRIAL_PRUNED);
    assert_int_equal(s.n, 3);
    am_trial_result_clear(&r);
    am_trials_free(t);
    am_folds_clear(&f);
    unmake(&m);
}

static void features_are_fitted_once(void **state)
{
    static const struct {
        const char *path, *value;
        uint64_t fitted, reused;
    } steps[] = {{"", "", 4, 0},
                 {"model.alpha", "0.5", 4, 4},
                 {"train.epochs", "3", 4, 8},
                 {"features.x.scale", "min-max", 8, 8},
                 {"features.x.scale", "min-max", 8, 12},
                 {"train.seed", "9", 12, 12},
                 {"features.drop", "[group]", 16, 12}};
    struct made m;
    struct am_folds f;
    struct am_trials *t = NULL;
    struct am_trial_result r;
    double first = 0;
    (void)state;
    make(&m, RECIPE("model: {type: linear}\nevaluate: {metrics: [rmse]}"));
    make_folds(&m, "4", &f);
    struct am_trials_options o = {.folds = &f};
    OK(am_trials_new(&m.p, &o, &t, &err));
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        run_one(t, steps[i].path, steps[i].value, NULL, &r);
        assert_string_equal(r.why, "");
        assert_int_equal(am_trials_counts(t).n_fitted, steps[i].fitted);
        assert_int_equal(am_trials_counts(t).n_reused, steps[i].reused);
        if (i == 0)
            first = r.mean[0];
        am_trial_result_clear(&r);
    }
    am_trials_free(t);
    o.memory_bytes = 8; /* rows go to files: the same numbers */
    OK(am_trials_new(&m.p, &o, &t, &err));
    for (size_t i = 0; i < 3; i++) {
        run_one(t, "", "", NULL, &r);
        assert_true(r.mean[0] == first);
        am_trial_result_clear(&r);
    }
    assert_true(am_trials_counts(t).cached_bytes <= 8);
    am_trials_free(t);
    am_folds_clear(&f);
    unmake(&m);
}

static enum am_rc whole_life(struct made *m)
{
    struct am_folds f = {0};
    struct am_trials *t = NULL;
    struct am_trial_result r = {0};
    const struct am_recipe_set set = {AM_STR("model.alpha"), AM_STR("0.1")};
    const struct am_trial_spec spec = {
        .sets = &set, .n_sets = 1, .predictions = true, .latency = true};
    const struct am_folds_spec fs = {.n = 2, .n_repeats = 1, .split = m->p.split, .parts = ALL};
    enum am_rc rc;
    AM_GO(rc, am_folds_make(&m->p, &fs, NULL, &f, &err));
    AM_GO(rc, am_trials_new(&m->p, &(struct am_trials_options){.folds = &f}, &t, &err));
    AM_GO(rc, am_trial_run(t, &spec, &r, &err));
    if (r.status == AM_TRIAL_FAILED)
        rc = r.rc;
out:
    am_trial_result_clear(&r);
    am_trials_free(t);
    am_folds_clear(&f);
    return rc;
}

static void memory_runs_out(void **state)
{
    struct made m;
    (void)state;
    make(&m, RECIPE("model: {type: linear}\nevaluate: {metrics: [rmse]}"));
    OK(whole_life(&m));
    AM_OOM_LOOP(whole_life(&m), (void)0);
    OK(whole_life(&m));
    unmake(&m);
}

static size_t n_left;
static enum am_rc count_left(void *ctx, const char *name, struct am_err *e)
{
    (void)ctx, (void)e;
    n_left += strncmp(name, "oof", 3) == 0;
    return AM_OK;
}

/* Whole or not at all, whichever write fails, and no file is left behind. */
static void predictions_are_kept(void **state)
{
    struct made m;
    struct am_folds f;
    struct am_trials *t = NULL;
    struct am_trial_result r;
    struct am_registry *reg = NULL;
    struct am_buf text;
    char dir[96];
    (void)state;
    make(&m, RECIPE("model: {type: baseline}\nevaluate: {metrics: [rmse]}"));
    make_folds(&m, "4", &f);
    OK(am_trials_new(&m.p, &(struct am_trials_options){.folds = &f}, &t, &err));
    OK(am_trial_run(t, &(struct am_trial_spec){.predictions = true}, &r, &err));
    snprintf(dir, sizeof dir, "%s/ws", scratch);
    OK(am_registry_open(&(struct am_registry_options){.workspace = dir}, &reg, &err));
    struct am_training training = {.p = m.p};
    OK(am_run_start(reg, &(struct am_run_spec){.name = "kept"}, &training.run, &err));
    AM_IO_LOOP(am_training_keep_predictions(&training, &r.rows, &err), (void)0, (void)0);
    OK(am_training_keep_predictions(&training, &r.rows, &err));
    OK(am_fs_list(scratch, count_left, NULL, &err));
    assert_int_equal(n_left, 0);
    am_buf_init(&text, 1 << 20);
    OK(am_registry_file_read(reg, AM_KIND_RUN, am_run_id(training.run), "out_of_fold.csv", &text,
                             &err));
    assert_true(am_str_starts(am_buf_view(&text), AM_STR("row,y,prediction\n1,0,")));
    size_t lines = 0;
    for (size_t i = 0; i < text.len; i++)
        lines += text.ptr[i] == '\n';
    assert_int_equal(lines, N + 1);
    am_buf_clear(&text);
    am_run_close(training.run);
    am_registry_close(reg);
    am_trial_result_clear(&r);
    am_trials_free(t);
    am_folds_clear(&f);
    unmake(&m);
}

static int folder(void **state)
{
    (void)state;
    snprintf(scratch, sizeof scratch, "/tmp/am-trial-test.XXXXXX");
    return mkdtemp(scratch) ? 0 : -1;
}

static int no_folder(void **state)
{
    (void)state;
    return am_fs_remove_tree(scratch, NULL) == AM_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(out_of_fold),         cmocka_unit_test(kinds_of_folds),
        cmocka_unit_test(bad_folds),           cmocka_unit_test(candidates_that_end_early),
        cmocka_unit_test(epochs_are_reported), cmocka_unit_test(features_are_fitted_once),
        cmocka_unit_test(memory_runs_out),     cmocka_unit_test(predictions_are_kept),
    };
    return cmocka_run_group_tests(tests, folder, no_folder);
}
