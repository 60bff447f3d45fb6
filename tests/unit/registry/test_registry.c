/* registry/: every noun through its life, refusals, filters, removal and collection, two processes,
 * crash, faults, and stores that lose acknowledgements, refuse or truncate. */
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "conformance/stores.h"
#include "registry/registry_int.h"
#include "support/faults.h"

#define H1 "1111111111111111111111111111111111111111111111111111111111111111"
#define H2 "2222222222222222222222222222222222222222222222222222222222222222"

static struct am_err err;
static char base[256], dir[300], pkg[300];
static struct am_registry *reg;
static struct am_arena *a;
static struct am_node *out;

#define OK(call)                                                                                   \
    do {                                                                                           \
        enum am_rc ok_rc_ = (call);                                                                \
        if (ok_rc_ != AM_OK)                                                                       \
            fail_msg("%s: %s: %s", #call, am_rc_name(ok_rc_), err.message);                        \
    } while (0)
#define FAILS(rc, call) assert_int_equal((call), (rc))

static void open_registry(void)
{
    const struct am_registry_options o = {.workspace = dir, .owner = "ann"};
    OK(am_registry_open(&o, &reg, &err));
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(base, sizeof base, "%s/am-registry-XXXXXX", am_test_dir());
    if (!mkdtemp(base))
        return -1;
    (void)snprintf(dir, sizeof dir, "%s/ws", base);
    (void)snprintf(pkg, sizeof pkg, "%s/m.aim", base);
    a = am_arena_new(0);
    am_misbehave(AM_BEHAVE, 0);
    open_registry();
    return am_fs_write_file(pkg, "package one", 11, &err) == AM_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    am_registry_close(reg);
    reg = NULL;
    am_arena_free(a);
    return am_fs_remove_tree(base, NULL) == AM_OK ? 0 : -1;
}

static int64_t num(const char *path)
{
    int64_t v = -1;
    assert_true(am_node_as_i64(am_node_path(out, path), &v));
    return v;
}
static const char *str(const char *path)
{
    struct am_str s;
    if (!am_node_as_str(am_node_path(out, path), &s))
        return "(none)";
    return s.ptr;
}
static const struct am_node *at(const char *list, size_t i)
{
    const struct am_node *l = am_node_path(out, list);
    assert_non_null(l);
    assert_true(i < l->list.n);
    return l->list.items[i];
}
static size_t len(const char *list)
{
    return am_node_path(out, list)->list.n;
}
static struct am_node *json(const char *text)
{
    struct am_node *n = NULL;
    OK(am_json_parse(a, am_str(text), "test", &n, &err));
    return n;
}

static void add_dataset(const char *name, const char *hash)
{
    const struct am_registry_file files[] = {
        {.name = "part-0000.parquet", .bytes = AM_STR_INIT("PAR1")},
        {.name = "stats/schema.json", .bytes = AM_STR_INIT("{}"), .media = "application/json"}};
    const struct am_dataset_spec spec = {.name = name,
                                         .hash = hash,
                                         .source = "x.csv",
                                         .n_rows = 569,
                                         .schema = json("[{\"name\":\"a\"}]"),
                                         .files = files,
                                         .n_files = 2};
    OK(am_registry_dataset_add(reg, a, &spec, &out, &err));
}

static struct am_run *start_run(const char *name, const char *params)
{
    static const uint64_t seed = 42;
    struct am_run *run = NULL;
    const struct am_run_spec spec = {.name = name,
                                     .recipe = "version: 1\n",
                                     .git_commit = "abc",
                                     .seed = &seed,
                                     .environment = json("{\"cpu\": \"x\"}"),
                                     .params = json(params),
                                     .tags = json("{\"team\": \"red\"}")};
    OK(am_run_start(reg, &spec, &run, &err));
    return run;
}

static int64_t add_version(const char *model, const char *content, const char *alias)
{
    OK(am_fs_write_file(pkg, content, strlen(content), &err));
    const struct am_version_spec spec = {.model = model,
                                         .package = pkg,
                                         .alias = alias,
                                         .task = "binary",
                                         .metrics = json("{\"test\": {\"accuracy\": 0.9}}"),
                                         .lineage = json("{\"seed\": 42}")};
    OK(am_registry_version_add(reg, a, &spec, &out, &err));
    return num("version");
}

/* ---- workspace ---- */

static void test_workspace(void **state)
{
    (void)state;
    struct stat st;
    char path[400];
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_true(am_fs_exists(am_registry_scratch(reg)));
    (void)snprintf(path, sizeof path, "%s", am_registry_scratch(reg));
    struct am_registry_lock *l = NULL, *m = NULL;
    OK(am_registry_role_take(reg, AM_ROLE_SERVE, &l, &err));
    FAILS(AM_EBUSY, am_registry_role_take(reg, AM_ROLE_SERVE, &m, &err));
    OK(am_registry_role_take(reg, AM_ROLE_SCHEDULE, &m, &err));
    am_registry_role_drop(m);
    am_registry_role_drop(l);
    OK(am_registry_role_take(reg, AM_ROLE_SERVE, &l, &err));
    am_registry_role_drop(l);
    am_registry_close(reg);
    reg = NULL;
    assert_false(am_fs_exists(path)); /* scratch went */
    /* lost records are a loss, not a new workspace */
    (void)snprintf(path, sizeof path, "%s/records.db", dir);
    assert_int_equal(unlink(path), 0);
    const struct am_registry_options o = {.workspace = dir};
    FAILS(AM_ECORRUPT, am_registry_open(&o, &reg, &err));
    assert_null(reg);
}

static void test_scratch_of_the_dead(void **state)
{
    (void)state;
    int p[2], status;
    char path[400];
    assert_int_equal(pipe(p), 0);
    am_registry_close(reg);
    reg = NULL;
    pid_t pid = fork();
    if (pid == 0) {
        open_registry();
        (void)!write(p[1], am_registry_scratch(reg), strlen(am_registry_scratch(reg)) + 1);
        _exit(0); /* as a crash: without close */
    }
    assert_true(read(p[0], path, sizeof path) > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(am_fs_exists(path));
    open_registry();
    assert_false(am_fs_exists(path));
}

/* ---- datasets ---- */

static void test_datasets(void **state)
{
    (void)state;
    add_dataset("iris", H1);
    assert_true(am_node_bool(out, "new", false));
    assert_int_equal(num("version"), 1);
    add_dataset("iris", H1); /* the same again */
    assert_false(am_node_bool(out, "new", true));
    assert_int_equal(num("version"), 1);
    add_dataset("iris", H2);
    assert_int_equal(num("version"), 2);
    OK(am_registry_dataset_get(reg, a, "iris", &out, &err));
    assert_string_equal(str("dataset"), H2);
    assert_int_equal(num("rows"), 569);
    assert_int_equal(num("bytes"), 6);
    assert_int_equal(len("files"), 2);
    assert_true(am_fs_exists(am_node_str(at("files", 0), "path", "").ptr));
    assert_int_equal(len("schema"), 1);
    OK(am_registry_dataset_get(reg, a, "iris@1", &out, &err));
    assert_string_equal(str("dataset"), H1);
    OK(am_registry_dataset_get(reg, a, "11111111", &out, &err));
    assert_string_equal(str("dataset"), H1);
    FAILS(AM_ENOTFOUND, am_registry_dataset_get(reg, a, "iris@3", &out, &err));
    FAILS(AM_ENOTFOUND, am_registry_dataset_get(reg, a, "wine", &out, &err));
    FAILS(AM_EUSAGE, am_registry_dataset_get(reg, a, "iris@x", &out, &err));
    FAILS(AM_EUSAGE, am_registry_dataset_get(reg, a, "../x", &out, &err));
    OK(am_registry_datasets(reg, a, NULL, &out, &err));
    assert_int_equal(num("total"), 2);
    assert_string_equal(am_node_str(at("datasets", 0), "dataset", "").ptr, H2); /* newest first */
    const char *path = NULL;
    OK(am_registry_file_path(reg, a, AM_KIND_DATASET, "iris@1", "stats/schema.json", &path, &err));
    FAILS(AM_ENOTFOUND, am_registry_file_path(reg, a, AM_KIND_DATASET, "iris", "no", &path, &err));
}

static void test_bad_names(void **state)
{
    (void)state;
    static const char *const names[] = {"../up", "/abs", "a//b", "a/./b", "", "x\n", "a/.."};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct am_registry_file f = {.name = names[i], .bytes = AM_STR_INIT("x")};
        const struct am_dataset_spec spec = {.name = "d", .hash = H1, .files = &f, .n_files = 1};
        FAILS(AM_EINVAL, am_registry_dataset_add(reg, a, &spec, &out, &err));
    }
    const struct am_dataset_spec name = {.name = "-d", .hash = H1};
    FAILS(AM_EINVAL, am_registry_dataset_add(reg, a, &name, &out, &err));
    const struct am_dataset_spec hash = {.name = "d", .hash = "12"};
    FAILS(AM_EINVAL, am_registry_dataset_add(reg, a, &hash, &out, &err));
    const struct am_version_spec alias = {.model = "m", .package = pkg, .alias = "12"};
    FAILS(AM_EINVAL, am_registry_version_add(reg, a, &alias, &out, &err));
    const struct am_run_spec run = {.name = "a b"};
    struct am_run *r = NULL;
    FAILS(AM_EINVAL, am_run_start(reg, &run, &r, &err));
}

/* ---- runs ---- */

static void test_run_life(void **state)
{
    (void)state;
    add_dataset("iris", H1);
    struct am_run *run =
        start_run("first", "{\"train\": {\"lr\": 0.001, \"layers\": [16, 8]}, \"on\": true}");
    const char *id = am_arena_str(a, am_str(am_run_id(run))).ptr;
    const struct am_run_spec later = {.dataset = H1, .params = json("{\"rows\": 569}")};
    OK(am_run_update(run, &later, &err));
    const struct am_run_spec clash = {.params = json("{\"rows\": 570}")};
    FAILS(AM_ECONFLICT, am_run_update(run, &clash, &err));
    const struct am_run_spec nothing = {.dataset = H2};
    FAILS(AM_ENOTFOUND, am_run_update(run, &nothing, &err));
    const struct am_metric_point points[] = {{"train.loss", 1, 0.9},
                                             {"train.loss", 2, 0.5},
                                             {"train.loss", 3, NAN},
                                             {"test.accuracy", 3, 0.97}};
    OK(am_run_metrics(run, points, 4, &err));
    am_run_log(run, "epoch 1", 7);
    am_run_log(run, "epoch 2\n", 8);
    const struct am_registry_file report = {
        .name = "report.html", .bytes = AM_STR_INIT("<p>"), .media = "text/html"};
    OK(am_run_artefact(run, &report, &err));
    for (int64_t step = 1; step <= 4; step++) {
        char text[16];
        (void)snprintf(text, sizeof text, "weights %d", (int)step);
        OK(am_run_checkpoint(run, step, text, strlen(text), 2, &err));
    }
    OK(am_registry_run_get(reg, a, id, &out, &err));
    assert_string_equal(str("state"), "running");
    OK(am_run_finish(run, AM_RUN_FINISHED, NULL, &err));
    am_run_close(run);

    char prefix[8];
    (void)snprintf(prefix, sizeof prefix, "%.7s", id);
    OK(am_registry_run_get(reg, a, prefix, &out, &err));
    assert_string_equal(str("run"), id);
    assert_string_equal(str("state"), "finished");
    assert_string_equal(str("experiment"), "first");
    assert_string_equal(str("dataset"), H1);
    assert_int_equal(num("seed"), 42);
    const struct am_node *p = am_node_get(out, "params");
    assert_string_equal(am_node_str(p, "train.lr", "").ptr, "0.001");
    assert_string_equal(am_node_str(p, "train.layers", "").ptr, "[16,8]");
    assert_string_equal(am_node_str(p, "on", "").ptr, "true");
    const struct am_node *m = am_node_get(out, "metrics");
    assert_true(am_node_f64(m, "test.accuracy", 0) == 0.97);
    assert_true(am_node_is_null(am_node_get(m, "train.loss"))); /* NaN was the last */
    const struct am_node *h = am_node_get(am_node_get(out, "history"), "train.loss");
    assert_int_equal(h->list.n, 3);
    assert_true(am_node_f64(h->list.items[1], "value", 0) == 0.5);
    assert_string_equal(str("log"), "epoch 1\nepoch 2\n");
    assert_string_equal(str("tags.team"), "red");
    assert_string_equal(str("environment.cpu"), "x");
    assert_int_equal(len("artefacts"), 1);
    assert_int_equal(len("checkpoints"), 2); /* two kept */
    assert_int_equal(am_node_i64(at("checkpoints", 0), "step", 0), 3);
    struct am_buf b;
    int64_t step = 0;
    am_buf_init(&b, 1000);
    OK(am_registry_checkpoint_read(reg, id, &step, &b, &err));
    assert_int_equal(step, 4);
    assert_true(am_str_is(am_buf_view(&b), "weights 4"));
    am_buf_clear(&b);
    OK(am_registry_file_read(reg, AM_KIND_RUN, id, "report.html", &b, &err));
    assert_true(am_str_is(am_buf_view(&b), "<p>"));
    am_buf_clear(&b);
    FAILS(AM_ECONFLICT, am_run_resume(reg, id, 0, &run, &err)); /* finished */
    FAILS(AM_EUSAGE, am_registry_run_get(reg, a, "xyz", &out, &err));
    FAILS(AM_ENOTFOUND, am_registry_run_get(reg, a, "00000000ffff", &out, &err));
    OK(am_registry_experiments(reg, a, NULL, &out, &err));
    assert_int_equal(am_node_i64(at("experiments", 0), "runs", 0), 1);
}

static void test_trials(void **state)
{
    (void)state;
    struct am_run *run = start_run("search", "{}");
    const char *id = am_arena_str(a, am_str(am_run_id(run))).ptr;
    OK(am_registry_trials(reg, a, id, &out, &err));
    assert_int_equal(out->list.n, 0);
    OK(am_run_trial(run, 1, 0, json("{\"x\": 0.1}"), &err));
    OK(am_run_trial(run, 0, 10, json("{\"x\": 10}"), &err));
    OK(am_run_trial(run, 0, 9, json("{\"x\": 9}"), &err));
    OK(am_run_trial(run, 0, 9, json("{\"x\": 0.30000000000000004}"), &err)); /* replaces */
    OK(am_registry_trials(reg, a, id, &out, &err));
    assert_int_equal(out->list.n, 3);
    const int64_t order[][2] = {{0, 9}, {0, 10}, {1, 0}};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(am_node_i64(out->list.items[i], "study", -1), order[i][0]);
        assert_int_equal(am_node_i64(out->list.items[i], "number", -1), order[i][1]);
    }
    const struct am_node *body = am_node_get(out->list.items[0], "body");
    assert_true(am_node_f64(body, "x", 0) == 0.1 + 0.2); /* every bit comes back */
    OK(am_run_finish(run, AM_RUN_FINISHED, NULL, &err));
    FAILS(AM_ECONFLICT, am_run_trial(run, 0, 11, json("{}"), &err)); /* it has ended */
    am_run_close(run);
    OK(am_registry_rm(reg, a, id, &out, &err));
    FAILS(AM_ENOTFOUND, am_registry_trials(reg, a, id, &out, &err));
}

static void test_interrupted_and_resumed(void **state)
{
    (void)state;
    int p[2];
    char id[33] = "";
    am_registry_close(reg);
    reg = NULL;
    assert_int_equal(pipe(p), 0);
    pid_t pid = fork();
    if (pid == 0) {
        open_registry();
        struct am_run *run = start_run("long", "{}");
        for (int64_t step = 1;; step++) {
            const struct am_metric_point point = {"loss", step, (double)step};
            if (am_run_metrics(run, &point, 1, &err) != AM_OK || am_run_flush(run, &err) != AM_OK)
                _exit(1);
            if (step == 5 && am_run_checkpoint(run, step, "five", 4, 1, &err) != AM_OK)
                _exit(1);
            if (step == 8)
                (void)!write(p[1], am_run_id(run), 33);
        }
    }
    assert_int_equal(read(p[0], id, 33), 33);
    open_registry();
    struct am_run *run = NULL;
    FAILS(AM_ECONFLICT, am_run_resume(reg, id, 5, &run, &err)); /* it is alive */
    FAILS(AM_ECONFLICT, am_registry_rm(reg, a, id, &out, &err));
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    OK(am_registry_run_get(reg, a, id, &out, &err));
    assert_string_equal(str("state"), "interrupted");
    assert_true(am_node_get(am_node_get(out, "history"), "loss")->list.n >= 8); /* acknowledged */
    OK(am_run_resume(reg, id, 5, &run, &err));
    const struct am_metric_point point = {"loss", 6, 60};
    OK(am_run_metrics(run, &point, 1, &err));
    OK(am_run_finish(run, AM_RUN_FAILED, "gate: accuracy 0.5 < 0.9", &err));
    am_run_close(run);
    OK(am_registry_run_get(reg, a, id, &out, &err));
    assert_string_equal(str("state"), "failed");
    assert_string_equal(str("error"), "gate: accuracy 0.5 < 0.9");
    const struct am_node *h = am_node_get(am_node_get(out, "history"), "loss");
    assert_int_equal(h->list.n, 6); /* 1..5 and the new 6 */
    assert_true(am_node_f64(h->list.items[5], "value", 0) == 60);
}

/* ---- lists ---- */

/* The names of the runs found, one behind the other. */
static const char *names_of(const char *filter, const char *order, int64_t limit, int64_t offset)
{
    static char names[64];
    struct am_registry_list l = {filter, order, limit, offset};
    if (am_registry_runs(reg, a, &l, &out, &err) != AM_OK)
        fail_msg("%s: %s", filter ? filter : order, err.message);
    names[0] = '\0';
    for (size_t i = 0; i < len("runs"); i++)
        (void)snprintf(names + i, sizeof names - i, "%s",
                       am_node_str(at("runs", i), "name", "").ptr);
    return names;
}

#define LIST(filter, want) assert_string_equal(names_of(filter, "name", 0, 0), want)

static void test_filters(void **state)
{
    (void)state;
    static const struct {
        const char *name, *params;
        double auc;
    } runs[] = {
        {"a", "{\"type\": \"mlp\", \"epochs\": 5, \"note\": \"it's 100%\"}", 0.90},
        {"b", "{\"type\": \"MLP\", \"epochs\": 50}", 0.95},
        {"c", "{\"type\": \"logistic\", \"epochs\": 9}", 0.80},
        {"d", "{\"type\": \"linear\"}", NAN},
    };
    for (size_t i = 0; i < 4; i++) {
        struct am_run *run = start_run(runs[i].name, runs[i].params);
        const struct am_metric_point p = {"test.roc_auc", 1, runs[i].auc};
        OK(am_run_metrics(run, &p, 1, &err));
        OK(am_run_finish(run, i == 2 ? AM_RUN_FAILED : AM_RUN_FINISHED, NULL, &err));
        if (i == 3)
            OK(am_registry_tag(reg, a, AM_KIND_RUN, am_run_id(run), "k y", "fuzzy", &out, &err));
        am_run_close(run);
    }
    LIST(NULL, "abcd");
    LIST("", "abcd");
    LIST("metrics.test.roc_auc > 0.85", "ab");
    LIST("metrics.test.roc_auc != 0.9", "bc");
    LIST("metrics.test.roc_auc >= 0.8 AND metrics.test.roc_auc <= 0.9", "ac");
    LIST("params.type = 'mlp'", "a");
    LIST("params.type ILIKE 'mlp'", "ab");
    LIST("params.type LIKE 'l%'", "cd");
    LIST("params.type NOT LIKE 'l%'", "ab");
    LIST("params.epochs < 10", "ac"); /* as numbers: "50" is not before "9" */
    LIST("params.epochs in (5, 50)", "ab");
    LIST("params.note = 'it''s 100%'", "a");
    LIST("tags.\"k y\" LIKE '%zz%'", "d");
    LIST("tags.`k y` = \"fuzzy\"", "d");
    LIST("tags.team = 'red' and attributes.state = 'failed'", "c");
    LIST("state not in ('failed') and name in ('a', 'c')", "a");
    LIST("started > '2020-01-01' and started < '2200-01-01T00:00:00Z'", "abcd");
    LIST("started < '2020-01-01'", "");
    LIST("started > '1969-12-31T23:59:59Z'", "abcd");
    LIST("seed = 42", "abcd");
    LIST("params.type = 'x'' OR 1=1 --'", "");
    assert_string_equal(names_of(NULL, "metrics.test.roc_auc desc", 0, 0), "bacd"); /* NaN last */
    assert_string_equal(names_of(NULL, "metrics.test.roc_auc", 0, 0), "cabd");
    assert_string_equal(names_of(NULL, "params.epochs desc, name", 0, 0), "bcad");
    assert_string_equal(names_of(NULL, "state desc, name desc", 2, 1), "ba");
    assert_int_equal(num("total"), 4);
    assert_string_equal(names_of(NULL, NULL, 0, 0), "dcba"); /* newest first */
}

static void expect_error(const char *filter, const char *order, const char *text)
{
    struct am_registry_list l = {.filter = filter, .order_by = order};
    assert_int_equal(am_registry_runs(reg, a, &l, &out, &err), AM_EUSAGE);
    if (!strstr(err.message, text) && !strstr(err.hint, text))
        fail_msg("%s: \"%s\" does not say \"%s\"", filter ? filter : order, err.message, text);
}

/* Seconds since 1970 of GNU date -u -d … +%s */
static void test_filter_times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t s;
    } times[] = {
        {"created > '2026-11-21'", 1795219200},
        {"created > '2024-02-29T23:59:59Z'", 1709251199},
        {"created > '2000-03-01 00:00:01'", 951868801},
        {"created > '1970-01-01'", 0},
    };
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        const struct am_cond *c = NULL;
        OK(am_filter_parse(a, am_str(times[i].text), AM_KIND_MODEL, &c, &err));
        assert_int_equal(c->kids[0]->values[0].i, times[i].s * 1000000);
    }
}

static void test_filter_errors(void **state)
{
    (void)state;
    expect_error("metrics.x > 'a'", NULL, "character 13");
    expect_error("metrics.x", NULL, "operator");
    expect_error("metrics.x >", NULL, "value");
    expect_error("metrics.x > 1 or metrics.y > 2", NULL, "`and` only");
    expect_error("metrics.x > 1 metrics.y > 2", NULL, "character 15");
    expect_error("stat = 'x'", NULL, "Did you mean \"state\"");
    expect_error("state > 'x'", NULL, "text is compared");
    expect_error("state = 5", NULL, "text in quotes");
    expect_error("metrics.x LIKE 'a'", NULL, "LIKE");
    expect_error("metrics. > 1", NULL, "key");
    expect_error("name = 'open", NULL, "not closed");
    expect_error("started > 'yesterday'", NULL, "time");
    expect_error("started > '2026-13-01'", NULL, "time");
    expect_error("started > '2026-11-21T25:00:00'", NULL, "time");
    expect_error("started > ''", NULL, "time");
    expect_error("name in ()", NULL, "value");
    expect_error("params.x in (1, 'a')", NULL, "one list");
    expect_error("metrics.x > 1e999", NULL, "not a number");
    expect_error("metrics.x > 1 and", NULL, "name is expected");
    expect_error("; drop table run", NULL, "character 1");
    expect_error(NULL, "name sideways", "comma");
    expect_error(NULL, "nme", "\"name\"");
    char *longest = am_arena_zalloc(a, AM_LIMIT_FILTER_BYTES + 2);
    memset(longest, ' ', AM_LIMIT_FILTER_BYTES + 1);
    expect_error(longest, NULL, "bytes");
    struct am_registry_list l = {.limit = -1};
    FAILS(AM_EUSAGE, am_registry_runs(reg, a, &l, &out, &err));
    l.limit = 10001;
    FAILS(AM_EUSAGE, am_registry_runs(reg, a, &l, &out, &err));
}

/* ---- models ---- */

static void test_versions(void **state)
{
    (void)state;
    struct am_version_ref v;
    assert_int_equal(add_version("m", "package one", "champion"), 1);
    assert_int_equal(add_version("m", "package two", NULL), 2);
    OK(am_registry_resolve(reg, "m", &v, &err));
    assert_int_equal(v.version, 2);
    OK(am_registry_resolve(reg, "m@1", &v, &err));
    assert_int_equal(v.version, 1);
    OK(am_registry_resolve(reg, "m@champion", &v, &err));
    assert_int_equal(v.version, 1);
    assert_string_equal(v.model, "m");
    struct am_buf b;
    am_buf_init(&b, 100);
    OK(am_fs_read_file(v.path, &b, &err));
    assert_true(am_str_is(am_buf_view(&b), "package one"));
    am_buf_clear(&b);
    FAILS(AM_ENOTFOUND, am_registry_resolve(reg, "m@9", &v, &err));
    assert_non_null(strstr(err.hint, "newest version is 2"));
    FAILS(AM_ENOTFOUND, am_registry_resolve(reg, "m@best", &v, &err));
    FAILS(AM_ENOTFOUND, am_registry_resolve(reg, "n", &v, &err));
    static const char *const bad[] = {"",      "@1",   "m@",   "m@0",
                                      "m@1@2", "m@-1", "../m", "m@99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        FAILS(AM_EUSAGE, am_registry_resolve(reg, bad[i], &v, &err));
    OK(am_registry_version_get(reg, a, "m@champion", &out, &err));
    assert_int_equal(num("version"), 1);
    assert_int_equal(num("lineage.seed"), 42);
    assert_true(am_node_f64(am_node_get(out, "metrics"), "test.accuracy", 0) == 0.9);
    assert_int_equal(len("aliases"), 1);
    OK(am_registry_models(reg, a, NULL, &out, &err));
    assert_int_equal(am_node_i64(at("models", 0), "versions", 0), 2);
    struct am_registry_list l = {.filter = "metrics.test.accuracy > 0.8 and version = 2"};
    OK(am_registry_versions(reg, a, &l, &out, &err));
    assert_int_equal(num("total"), 1);
    const struct am_version_spec no_run = {.model = "m", .package = pkg, .run = "feed"};
    FAILS(AM_ENOTFOUND, am_registry_version_add(reg, a, &no_run, &out, &err));
    const struct am_version_spec no_data = {.model = "m", .package = pkg, .dataset = H2};
    FAILS(AM_ENOTFOUND, am_registry_version_add(reg, a, &no_data, &out, &err));
    const struct am_version_spec no_file = {.model = "m", .package = "/nonexistent"};
    FAILS(AM_ENOTFOUND, am_registry_version_add(reg, a, &no_file, &out, &err));
    /* numbers are never given twice */
    OK(am_registry_rm(reg, a, "m@2", &out, &err));
    assert_int_equal(add_version("m", "package three", NULL), 3);
}

static void test_idempotency(void **state)
{
    (void)state;
    struct am_version_spec spec = {.model = "m", .package = pkg, .idempotency_key = "once"};
    OK(am_registry_version_add(reg, a, &spec, &out, &err));
    assert_true(am_node_bool(out, "new", false));
    OK(am_registry_version_add(reg, a, &spec, &out, &err));
    assert_false(am_node_bool(out, "new", true));
    assert_int_equal(num("version"), 1);
    OK(am_fs_write_file(pkg, "other", 5, &err));
    FAILS(AM_ECONFLICT, am_registry_version_add(reg, a, &spec, &out, &err));
    spec.idempotency_key = NULL;
    OK(am_registry_version_add(reg, a, &spec, &out, &err));
    assert_int_equal(num("version"), 2);
}

static void alias_is(int64_t version)
{
    struct am_version_ref v;
    if (version == 0) {
        FAILS(AM_ENOTFOUND, am_registry_resolve(reg, "m@prod", &v, &err));
        return;
    }
    OK(am_registry_resolve(reg, "m@prod", &v, &err));
    assert_int_equal(v.version, version);
}

static void test_aliases(void **state)
{
    (void)state;
    add_version("m", "1", "prod");
    add_version("m", "2", NULL);
    add_version("m", "3", NULL);
    OK(am_registry_alias_set(reg, a, "m@2", "prod", &out, &err));
    assert_int_equal(num("from"), 1);
    assert_int_equal(num("to"), 2);
    OK(am_registry_alias_set(reg, a, "m", "prod", &out, &err));
    alias_is(3);
    OK(am_registry_alias_undo(reg, a, "m", "prod", &out, &err));
    alias_is(2);
    OK(am_registry_alias_undo(reg, a, "m", "prod", &out, &err));
    alias_is(1);
    OK(am_registry_alias_set(reg, a, "m@3", "prod", &out, &err));
    OK(am_registry_alias_undo(reg, a, "m", "prod", &out, &err)); /* only the new move */
    alias_is(1);
    OK(am_registry_alias_remove(reg, a, "m", "prod", &out, &err));
    alias_is(0);
    OK(am_registry_alias_undo(reg, a, "m", "prod", &out, &err));
    alias_is(1);
    OK(am_registry_alias_undo(reg, a, "m", "prod", &out, &err)); /* the first set */
    alias_is(0);
    FAILS(AM_ENOTFOUND, am_registry_alias_undo(reg, a, "m", "prod", &out, &err));
    FAILS(AM_ENOTFOUND, am_registry_alias_remove(reg, a, "m", "prod", &out, &err));
    FAILS(AM_EINVAL, am_registry_alias_set(reg, a, "m", "7", &out, &err));
    OK(am_registry_model_get(reg, a, "m", &out, &err));
    assert_int_equal(len("history"), 10);
    assert_string_equal(am_node_str(at("history", 9), "action", "").ptr, "set");
    assert_string_equal(am_node_str(at("history", 0), "action", "").ptr, "undo");
    assert_string_equal(am_node_str(at("history", 0), "who", "").ptr, "ann");
    /* undo to a version that is gone */
    OK(am_registry_alias_set(reg, a, "m@1", "prod", &out, &err));
    OK(am_registry_alias_set(reg, a, "m@2", "prod", &out, &err));
    OK(am_registry_rm(reg, a, "m@1", &out, &err));
    FAILS(AM_ECONFLICT, am_registry_alias_undo(reg, a, "m", "prod", &out, &err));
    alias_is(2);
}

static void test_tags(void **state)
{
    (void)state;
    char big[AM_LIMIT_TAG_VALUE_BYTES + 2];
    add_version("m", "1", NULL);
    OK(am_registry_tag(reg, a, AM_KIND_MODEL, "m", "owner team", "\xe4\xb8\xad", &out, &err));
    OK(am_registry_tag(reg, a, AM_KIND_MODEL, "m", "owner team", "blue", &out, &err));
    assert_string_equal(str("tags.owner team"), "blue");
    OK(am_registry_tag(reg, a, AM_KIND_VERSION, "m@1", "ok", "yes", &out, &err));
    OK(am_registry_version_get(reg, a, "m@1", &out, &err));
    assert_string_equal(str("tags.ok"), "yes");
    OK(am_registry_tag(reg, a, AM_KIND_MODEL, "m", "owner team", NULL, &out, &err));
    assert_int_equal(am_node_get(out, "tags")->map.n, 0);
    FAILS(AM_EINVAL, am_registry_tag(reg, a, AM_KIND_MODEL, "m", "", "x", &out, &err));
    FAILS(AM_EINVAL, am_registry_tag(reg, a, AM_KIND_MODEL, "m", "a\nb", "x", &out, &err));
    memset(big, 'b', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    FAILS(AM_EINVAL, am_registry_tag(reg, a, AM_KIND_MODEL, "m", "k", big, &out, &err));
    FAILS(AM_EINVAL, am_registry_tag(reg, a, AM_KIND_MODEL, "m", "k", "\xff", &out, &err));
    FAILS(AM_ENOTFOUND, am_registry_tag(reg, a, AM_KIND_MODEL, "n", "k", "v", &out, &err));
}

static void test_generation(void **state)
{
    (void)state;
    uint64_t g0, g1, g2;
    int status, go[2];
    am_registry_close(reg); /* fork while there is one thread only */
    reg = NULL;
    assert_int_equal(pipe(go), 0);
    pid_t pid = fork();
    if (pid == 0) { /* another process publishes when told */
        char c;
        (void)!read(go[0], &c, 1);
        open_registry();
        add_version("m", "1", NULL);
        am_registry_close(reg);
        _exit(0);
    }
    open_registry();
    OK(am_registry_generation(reg, &g0, &err));
    struct am_run *run = start_run("r", "{}"); /* a run publishes nothing */
    am_run_close(run);
    OK(am_registry_generation(reg, &g1, &err));
    assert_int_equal(g0, g1);
    assert_int_equal(write(go[1], "g", 1), 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    OK(am_registry_generation(reg, &g2, &err));
    assert_true(g2 > g1);
    add_version("m", "2", "champion");
    OK(am_registry_generation(reg, &g1, &err));
    assert_true(g1 > g2);
}

static void test_export(void **state)
{
    (void)state;
    char path[400];
    struct am_buf b;
    add_version("m", "the package", NULL);
    (void)snprintf(path, sizeof path, "%s/out.aim", base);
    OK(am_registry_version_export(reg, a, "m@1", path, &out, &err));
    am_buf_init(&b, 100);
    OK(am_fs_read_file(path, &b, &err));
    assert_true(am_str_is(am_buf_view(&b), "the package"));
    am_buf_clear(&b);
    assert_string_equal(str("path"), path);
    const struct am_version_spec again = {.model = "copy", .package = path};
    OK(am_registry_version_add(reg, a, &again, &out, &err));
    assert_string_equal(str("model"), "copy");
}

/* ---- removal ---- */

static void ordered(const char *order, const char *wanted)
{
    char got[8] = "";
    const struct am_registry_list l = {.order_by = order};
    OK(am_registry_models(reg, a, &l, &out, &err));
    for (size_t i = 0; i < len("models"); i++)
        got[i] = am_node_str(at("models", i), "model", "").ptr[0];
    assert_string_equal(got, wanted);
}

/* Every column that a list shows orders it, the computed ones, too. */
static void test_computed_orders(void **state)
{
    (void)state;
    add_version("a", "a1", "x");
    add_version("a", "a2", NULL);
    add_version("b", "b1", "x");
    add_version("b", "b2", "y");
    add_version("b", "b3", "z");
    add_version("c", "c1", NULL);
    for (int i = 0; i < 4; i++)
        add_version("c", "c2", NULL);
    for (int i = 2; i <= 5; i++) {
        char ref[8];
        (void)snprintf(ref, sizeof ref, "c@%d", i);
        if (i != 4)
            OK(am_registry_rm(reg, a, ref, &out, &err));
    }
    ordered("versions desc, model desc", "bca"); /* 3, 2, 2 */
    ordered("versions, model", "acb");
    ordered("latest desc", "cba"); /* 4, 3, 2 */
    ordered("aliases desc", "bac");
    ordered("updated desc", "cba");
    const struct am_registry_list many = {.filter = "versions > 2 and latest <= 3"};
    OK(am_registry_models(reg, a, &many, &out, &err));
    assert_int_equal(num("total"), 1);
    assert_string_equal(am_node_str(at("models", 0), "model", "").ptr, "b");
    assert_int_equal(am_node_i64(at("models", 0), "versions", 0), 3);
    assert_int_equal(am_node_i64(at("models", 0), "latest", 0), 3);
    const struct am_registry_list bad = {.order_by = "version desc"};
    FAILS(AM_EUSAGE, am_registry_models(reg, a, &bad, &out, &err));
    assert_non_null(strstr(err.hint, "Did you mean \"versions\"?"));
    assert_non_null(strstr(err.hint, "model, created, updated, owner, versions, latest, aliases, "
                                     "tags.KEY"));
    const struct am_registry_list odd = {.order_by = "qqqqqqqqqqqq"};
    FAILS(AM_EUSAGE, am_registry_runs(reg, a, &odd, &out, &err));
    assert_non_null(strstr(err.hint, "metrics.KEY, params.KEY, tags.KEY"));
}

/* A model whose versions are gone is in no list; its history and its count stay. */
static void test_model_without_versions(void **state)
{
    (void)state;
    add_version("m", "one", "prod");
    add_version("m", "two", NULL);
    add_version("n", "three", NULL);
    OK(am_registry_rm(reg, a, "m@2", &out, &err));
    OK(am_registry_alias_remove(reg, a, "m", "prod", &out, &err));
    OK(am_registry_rm(reg, a, "m@1", &out, &err));
    OK(am_registry_models(reg, a, NULL, &out, &err));
    assert_int_equal(num("total"), 1);
    assert_string_equal(am_node_str(at("models", 0), "model", "").ptr, "n");
    FAILS(AM_ENOTFOUND, am_registry_rm(reg, a, "m", &out, &err));
    FAILS(AM_ENOTFOUND, am_registry_tag(reg, a, AM_KIND_MODEL, "m", "k", "v", &out, &err));
    OK(am_registry_model_get(reg, a, "m", &out, &err));
    assert_int_equal(num("versions"), 0);
    assert_int_equal(len("history"), 2);
    assert_int_equal(add_version("m", "four", NULL), 3);
    OK(am_registry_models(reg, a, NULL, &out, &err));
    assert_int_equal(num("total"), 2);
    /* and a dataset of the name of a removed model can be removed */
    OK(am_registry_rm(reg, a, "m", &out, &err));
    add_dataset("m", H1);
    OK(am_registry_rm(reg, a, "m", &out, &err));
    assert_string_equal(str("kind"), "dataset");
}

/* What is taken back leaves no gap, what was removed does. */
static void test_withdraw(void **state)
{
    (void)state;
    add_dataset("iris", H1);
    assert_int_equal(num("version"), 1);
    OK(am_registry_dataset_withdraw(reg, a, "iris@1", &err));
    FAILS(AM_ENOTFOUND, am_registry_dataset_get(reg, a, "iris", &out, &err));
    add_dataset("iris", H1);
    assert_int_equal(num("version"), 1);
    add_dataset("iris", H2);
    assert_int_equal(num("version"), 2);
    OK(am_registry_dataset_withdraw(reg, a, "iris@1", &err)); /* not the newest: 2 stays 2 */
    add_dataset("iris", H1);
    assert_int_equal(num("version"), 3);
    OK(am_registry_rm(reg, a, "iris@3", &out, &err));
    add_dataset("iris", H1);
    assert_int_equal(num("version"), 4);
    struct am_run *run = start_run("r", "{}");
    const struct am_run_spec data = {.dataset = H1};
    OK(am_run_update(run, &data, &err));
    FAILS(AM_ECONFLICT, am_registry_dataset_withdraw(reg, a, "iris@4", &err));
    am_run_close(run);
}

static size_t n_selects;
static enum am_rc counted(void *snap, const struct am_query *q, am_row_fn row, void *ctx,
                          struct am_err *e)
{
    n_selects++;
    return am_records_sqlite.select(snap, q, row, ctx, e);
}

typedef enum am_rc (*list_fn)(struct am_registry *, struct am_arena *,
                              const struct am_registry_list *, struct am_node **, struct am_err *);

/* However long the page, a list takes the same few statements. */
static void test_statements_of_lists(void **state)
{
    static const list_fn lists[] = {am_registry_runs, am_registry_models, am_registry_versions,
                                    am_registry_datasets, am_registry_experiments};
    struct am_records_ops counting = am_records_sqlite;
    size_t few[5];
    (void)state;
    counting.select = counted;
    for (int i = 0; i < 40; i++) {
        char name[16], hash[65];
        (void)snprintf(name, sizeof name, "n%d", i);
        (void)snprintf(hash, sizeof hash, "%064d", i);
        struct am_run *run = start_run(name, "{\"k\": 1}");
        am_run_close(run);
        add_dataset(name, hash);
        add_version(name, name, "prod");
        for (size_t k = 0; (i == 2 || i == 39) && k < 5; k++) {
            reg->records.ops = &counting;
            n_selects = 0;
            OK(lists[k](reg, a, NULL, &out, &err));
            reg->records.ops = &am_records_sqlite;
            assert_int_equal(num("total"), i + 1);
            if (i == 2)
                few[k] = n_selects;
            else if (n_selects != few[k])
                fail_msg("list %zu: %zu statements for 40 rows, %zu for 3", k, n_selects, few[k]);
            assert_in_range(n_selects, 1, 6);
        }
    }
}

static void test_rm(void **state)
{
    (void)state;
    add_dataset("iris", H1);
    struct am_run *run = start_run("r", "{}");
    const char *id = am_arena_str(a, am_str(am_run_id(run))).ptr;
    const struct am_run_spec data = {.dataset = H1};
    OK(am_run_update(run, &data, &err));
    FAILS(AM_ECONFLICT, am_registry_rm(reg, a, id, &out, &err));
    assert_non_null(strstr(err.message, "running"));
    OK(am_run_finish(run, AM_RUN_FINISHED, NULL, &err));
    am_run_close(run);
    const struct am_version_spec spec = {
        .model = "m", .package = pkg, .run = id, .dataset = H1, .alias = "prod"};
    OK(am_registry_version_add(reg, a, &spec, &out, &err));
    FAILS(AM_ECONFLICT, am_registry_rm(reg, a, "iris", &out, &err));
    assert_non_null(strstr(err.message, "run"));
    FAILS(AM_ECONFLICT, am_registry_rm(reg, a, id, &out, &err));
    assert_non_null(strstr(err.message, "m@1"));
    FAILS(AM_ECONFLICT, am_registry_rm(reg, a, "m@1", &out, &err));
    assert_non_null(strstr(err.message, "prod"));
    FAILS(AM_ECONFLICT, am_registry_rm(reg, a, "m", &out, &err));
    OK(am_registry_alias_remove(reg, a, "m", "prod", &out, &err));
    OK(am_registry_rm(reg, a, "m", &out, &err));
    FAILS(AM_ENOTFOUND, am_registry_rm(reg, a, "m", &out, &err));
    OK(am_registry_rm(reg, a, id, &out, &err));
    OK(am_registry_rm(reg, a, "iris@1", &out, &err));
    FAILS(AM_ENOTFOUND, am_registry_rm(reg, a, "iris", &out, &err));
    OK(am_registry_runs(reg, a, NULL, &out, &err));
    assert_int_equal(num("total"), 0);
}

static int64_t fake_wall;
static int64_t wall_us(void)
{
    return fake_wall;
}

static void test_gc(void **state)
{
    (void)state;
    struct am_clock_ops clock = {am_mono_ns, wall_us};
    add_version("m", "kept", NULL);
    add_version("m", "dropped", NULL);
    OK(am_registry_rm(reg, a, "m@2", &out, &err));
    fake_wall = am_wall_us() + 1000000;
    am_clock_set(&clock);
    OK(am_registry_gc(reg, a, 3600, AM_REGISTRY_GC_DRY_RUN, &out, &err));
    assert_int_equal(num("blobs"), 0);
    assert_int_equal(num("marked"), 1);
    OK(am_registry_gc(reg, a, 3600, AM_REGISTRY_GC_REAL, &out, &err)); /* notes it */
    assert_int_equal(num("blobs"), 0);
    assert_int_equal(num("marked"), 1);
    assert_int_equal(num("kept"), 1);
    fake_wall += INT64_C(3599) * 1000000;
    OK(am_registry_gc(reg, a, 3600, AM_REGISTRY_GC_REAL, &out, &err)); /* still in grace */
    assert_int_equal(num("blobs"), 0);
    fake_wall += INT64_C(2) * 1000000;
    OK(am_registry_gc(reg, a, 3600, AM_REGISTRY_GC_DRY_RUN, &out, &err));
    assert_int_equal(num("blobs"), 1);
    struct am_registry_lock *publishing = NULL;
    OK(reg_lock(reg, "publish", REG_LOCK_SHARED, &publishing, &err));
    OK(am_registry_gc(reg, a, 3600, AM_REGISTRY_GC_REAL, &out, &err)); /* somebody publishes */
    assert_int_equal(num("blobs"), 0);
    reg_unlock(publishing);
    OK(am_registry_gc(reg, a, 3600, AM_REGISTRY_GC_REAL, &out, &err));
    assert_int_equal(num("blobs"), 1);
    assert_int_equal(num("bytes"), 7);
    am_clock_set(NULL);
    struct am_version_ref v;
    OK(am_registry_resolve(reg, "m@1", &v, &err));
    add_version("m", "gone at once", NULL);
    OK(am_registry_rm(reg, a, "m@3", &out, &err));
    OK(am_registry_gc(reg, a, 0, AM_REGISTRY_GC_REAL, &out, &err));
    assert_int_equal(num("blobs"), 1);
    struct am_registry_lock *role = NULL;
    OK(am_registry_role_take(reg, AM_ROLE_GC, &role, &err));
    FAILS(AM_EBUSY, am_registry_gc(reg, a, 0, AM_REGISTRY_GC_REAL, &out, &err));
    am_registry_role_drop(role);
}

/* A blob that comes into use between the survey of gc and its sweep stays. */
static enum am_rc list_then_publish(void *impl,
                                    enum am_rc (*each)(void *, const struct am_blob_info *,
                                                       struct am_err *),
                                    void *ctx, struct am_err *e)
{
    AM_TRY(am_blobs_files.list(impl, each, ctx, e));
    add_version("late", "same bytes", NULL);
    return AM_OK;
}

static void test_gc_race(void **state)
{
    (void)state;
    struct am_blobs_ops racing = am_blobs_files;
    struct am_version_ref v;
    racing.list = list_then_publish;
    add_version("m", "same bytes", NULL);
    OK(am_registry_rm(reg, a, "m", &out, &err));
    reg->blobs.ops = &racing;
    OK(am_registry_gc(reg, a, 0, AM_REGISTRY_GC_REAL, &out, &err));
    reg->blobs.ops = &am_blobs_files;
    assert_int_equal(num("blobs"), 0);
    OK(am_registry_resolve(reg, "late@1", &v, &err));
    OK(am_registry_scrub(reg, a, &out, &err));
    assert_int_equal(len("bad"), 0);
}

static void test_scrub(void **state)
{
    (void)state;
    struct am_version_ref v;
    add_version("m", "good", NULL);
    add_version("m", "soon bad", NULL);
    OK(am_registry_resolve(reg, "m@2", &v, &err));
    assert_int_equal(chmod(v.path, 0600), 0);
    OK(am_fs_write_file(v.path, "soon bAd", 8, &err));
    OK(am_registry_scrub(reg, a, &out, &err));
    assert_int_equal(num("checked"), 2);
    assert_int_equal(len("bad"), 1);
    assert_string_equal(am_node_str(at("bad", 0), "blob", "").ptr, v.package);
    char path[400];
    (void)snprintf(path, sizeof path, "%s/out.aim", base);
    FAILS(AM_ECORRUPT, am_registry_version_export(reg, a, "m@2", path, &out, &err));
    assert_false(am_fs_exists(path));
    assert_int_equal(unlink(v.path), 0);
    FAILS(AM_ECORRUPT, am_registry_resolve(reg, "m@2", &v, &err));
}

/* ---- stores that misbehave ---- */

static void test_lost_ack(void **state)
{
    (void)state;
    const struct am_version_spec spec = {.model = "m", .package = pkg, .idempotency_key = "k"};
    reg->records.ops = &am_records_bad;
    am_misbehave(AM_LOST_ACK, 1);
    FAILS(AM_EIO, am_registry_version_add(reg, a, &spec, &out, &err));
    OK(am_registry_version_add(reg, a, &spec, &out, &err)); /* the retry */
    assert_int_equal(num("version"), 1);
    assert_false(am_node_bool(out, "new", true));
    OK(am_registry_models(reg, a, NULL, &out, &err));
    assert_int_equal(am_node_i64(at("models", 0), "versions", 0), 1); /* no duplicate */
    reg->records.ops = &am_records_sqlite;
    reg->blobs.ops = &am_blobs_bad;
    am_misbehave(AM_LOST_ACK, 1);
    const struct am_version_spec other = {.model = "n", .package = pkg};
    FAILS(AM_EIO, am_registry_version_add(reg, a, &other, &out, &err));
    FAILS(AM_ENOTFOUND,
          am_registry_model_get(reg, a, "n", &out, &err)); /* no row without its bytes */
    reg->blobs.ops = &am_blobs_files;
}

static void test_unavailable_and_truncated(void **state)
{
    (void)state;
    add_version("m", "1", NULL);
    struct am_run *run = start_run("r", "{}");
    const char *id = am_run_id(run);
    OK(am_run_checkpoint(run, 1, "old one", 7, 2, &err));
    OK(am_run_checkpoint(run, 2, "new one", 7, 2, &err));
    const struct am_metric_point p = {"loss", 1, 1};
    OK(am_run_metrics(run, &p, 1, &err));
    reg->records.ops = &am_records_bad;
    am_misbehave(AM_UNAVAILABLE, -1);
    struct am_version_ref v;
    FAILS(AM_EBUSY, am_registry_resolve(reg, "m", &v, &err));
    FAILS(AM_EBUSY, am_registry_runs(reg, a, NULL, &out, &err));
    FAILS(AM_EBUSY, am_run_flush(run, &err));
    FAILS(AM_EBUSY, am_registry_alias_set(reg, a, "m", "x", &out, &err));
    am_misbehave(AM_BEHAVE, 0);
    reg->records.ops = &am_records_sqlite;
    OK(am_run_flush(run, &err)); /* nothing was lost */
    OK(am_registry_run_get(reg, a, id, &out, &err));
    assert_int_equal(am_node_get(am_node_get(out, "history"), "loss")->list.n, 1);
    /* the newest checkpoint is damaged: the one before it */
    struct am_buf b;
    int64_t step = 0;
    am_buf_init(&b, 100);
    reg->blobs.ops = &am_blobs_bad;
    am_misbehave(AM_FLIP, 1);
    OK(am_registry_checkpoint_read(reg, id, &step, &b, &err));
    assert_int_equal(step, 1);
    assert_true(am_str_is(am_buf_view(&b), "old one"));
    am_buf_clear(&b);
    am_misbehave(AM_TRUNCATE, -1);
    FAILS(AM_ECORRUPT, am_registry_checkpoint_read(reg, id, &step, &b, &err));
    am_misbehave(AM_BEHAVE, 0);
    reg->blobs.ops = &am_blobs_files;
    am_buf_clear(&b);
    am_run_close(run);
}

/* ---- faults ---- */

/* Lives in three parts: everything that stores. Names differ by call, since a failed call may have
 * done a part. */
static enum am_rc live_data(struct am_arena *mine, const char *name, const char *hash)
{
    struct am_node *o = NULL;
    const struct am_registry_file file = {.name = "f", .bytes = AM_STR_INIT("bytes")};
    const struct am_dataset_spec data = {.name = name, .hash = hash, .files = &file, .n_files = 1};
    AM_TRY(am_registry_dataset_add(reg, mine, &data, &o, &err));
    AM_TRY(am_registry_dataset_get(reg, mine, name, &o, &err));
    return am_registry_rm(reg, mine, name, &o, &err);
}

static enum am_rc live_run(struct am_arena *mine, const char *name, const char *hash)
{
    static const uint64_t seed = 1;
    char filter[64];
    struct am_run *run = NULL;
    struct am_node *o = NULL;
    enum am_rc rc = AM_OK;
    const struct am_registry_file file = {.name = "f", .bytes = AM_STR_INIT("bytes")};
    const struct am_run_spec spec = {.name = name, .seed = &seed};
    const struct am_metric_point p = {"loss", 1, 0.5};
    (void)hash;
    (void)snprintf(filter, sizeof filter, "metrics.loss > 0.1 and name = '%s'", name);
    const struct am_registry_list l = {.filter = filter, .order_by = "metrics.loss desc"};
    AM_GO(rc, am_run_start(reg, &spec, &run, &err));
    AM_GO(rc, am_run_metrics(run, &p, 1, &err));
    am_run_log(run, "line", 4);
    AM_GO(rc, am_run_artefact(run, &file, &err));
    AM_GO(rc, am_run_checkpoint(run, 1, "x", 1, 1, &err));
    AM_GO(rc, am_run_trial(run, 0, 0, &(struct am_node){.kind = AM_NODE_BOOL}, &err));
    AM_GO(rc, am_registry_trials(reg, mine, am_run_id(run), &o, &err));
    assert_int_equal(o->list.n, 1);
    AM_GO(rc, am_run_finish(run, AM_RUN_FINISHED, NULL, &err));
    AM_GO(rc, am_registry_runs(reg, mine, &l, &o, &err));
    assert_int_equal(am_node_get(o, "runs")->list.n, 1);
out:
    am_run_close(run);
    return rc;
}

static enum am_rc live_model(struct am_arena *mine, const char *name, const char *hash)
{
    struct am_node *o = NULL;
    const struct am_version_spec version = {.model = name, .package = pkg, .alias = "prod"};
    (void)hash;
    AM_TRY(am_registry_version_add(reg, mine, &version, &o, &err));
    AM_TRY(am_registry_alias_undo(reg, mine, name, "prod", &o, &err));
    AM_TRY(am_registry_tag(reg, mine, AM_KIND_MODEL, name, "k", "v", &o, &err));
    AM_TRY(am_registry_model_get(reg, mine, name, &o, &err));
    return am_registry_rm(reg, mine, name, &o, &err);
}

typedef enum am_rc (*life_fn)(struct am_arena *, const char *, const char *);

static enum am_rc live(life_fn fn, int n)
{
    char name[32], hash[65];
    struct am_arena *mine = am_arena_new(0);
    if (!mine)
        return AM_ENOMEM;
    (void)snprintf(name, sizeof name, "n%d", n);
    (void)snprintf(hash, sizeof hash, "%064x", (unsigned)n);
    enum am_rc rc = fn(mine, name, hash);
    am_arena_free(mine);
    return rc;
}

static enum am_rc open_close(void)
{
    struct am_registry *r = NULL;
    const struct am_registry_options o = {.workspace = dir, .owner = "ann"};
    AM_TRY(am_registry_open(&o, &r, &err));
    am_registry_close(r);
    return AM_OK;
}

/* Under a sanitizer the loop of thousands of lives takes minutes: there every 7th allocation fails,
 * in the ordinary build every one. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define STRIDE 7
#endif
#endif
#if !defined(STRIDE) && (defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__))
#define STRIDE 7
#elif !defined(STRIDE)
#define STRIDE 1
#endif

static void oom_loop(life_fn fn, int *n)
{
    long hits = 1;
    for (long k = 1; hits > 0; k += STRIDE) {
        am_alloc_fail_nth(k, false);
        enum am_rc rc = live(fn, (*n)++);
        hits = am_alloc_hook_hits();
        am_alloc_fail_nth(0, false);
        if (rc != AM_OK)
            assert_int_equal(rc, AM_ENOMEM);
        if (hits == 0)
            assert_int_equal(rc, AM_OK);
    }
}

static enum am_rc collect(void)
{
    struct am_node *o = NULL;
    struct am_arena *mine = am_arena_new(0);
    if (!mine)
        return AM_ENOMEM;
    enum am_rc rc = am_registry_gc(reg, mine, 0, AM_REGISTRY_GC_REAL, &o, &err);
    am_arena_free(mine);
    return rc;
}

static void test_faults(void **state)
{
    (void)state;
    int n = 1;
    AM_OOM_LOOP(open_close(), (void)0);
    AM_IO_LOOP(open_close(), (void)0, (void)0);
    static const life_fn lives[] = {live_data, live_run, live_model};
    for (size_t i = 0; i < 3; i++) {
        OK(live(lives[i], n++));
        oom_loop(lives[i], &n);
        AM_IO_LOOP(live(lives[i], n++), (void)0, (void)0);
        OK(live(lives[i], n++));
    }
    OK(am_registry_scrub(reg, a, &out, &err)); /* no row without its bytes */
    assert_int_equal(len("bad"), 0);
    AM_OOM_LOOP(collect(), (void)0);
    OK(am_registry_gc(reg, a, 0, AM_REGISTRY_GC_REAL, &out, &err));
    OK(am_registry_scrub(reg, a, &out, &err));
    assert_int_equal(len("bad"), 0);
}

/* Killed while publishing: versions are whole, numbers have no double. */
static void test_kill_publishing(void **state)
{
    (void)state;
    int64_t acked = 0;
    am_registry_close(reg);
    reg = NULL;
    for (int cycle = 0; cycle < 30; cycle++) {
        int p[2];
        int64_t v;
        assert_int_equal(pipe(p), 0);
        pid_t pid = fork();
        if (pid == 0) {
            open_registry();
            for (int i = 0;; i++) {
                char text[32];
                (void)snprintf(text, sizeof text, "%d.%d", cycle, i);
                v = add_version("m", text, "prod");
                (void)!write(p[1], &v, sizeof v);
            }
        }
        close(p[1]);
        for (int i = 0; i < 1 + cycle % 3; i++) {
            assert_int_equal(read(p[0], &v, sizeof v), sizeof v);
            acked = v;
        }
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        while (read(p[0], &v, sizeof v) == (ssize_t)sizeof v)
            acked = v;
        close(p[0]);
    }
    open_registry();
    struct am_version_ref ref;
    OK(am_registry_resolve(reg, "m@prod", &ref, &err));
    assert_true(ref.version >= acked);
    OK(am_registry_model_get(reg, a, "m", &out, &err));
    assert_int_equal(num("versions"), num("latest"));
    assert_int_equal(num("aliases.prod"), num("latest"));
    OK(am_registry_scrub(reg, a, &out, &err));
    assert_int_equal(len("bad"), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_workspace),
        T(test_scratch_of_the_dead),
        T(test_datasets),
        T(test_bad_names),
        T(test_run_life),
        T(test_trials),
        T(test_interrupted_and_resumed),
        T(test_filters),
        T(test_filter_times),
        T(test_filter_errors),
        T(test_versions),
        T(test_idempotency),
        T(test_aliases),
        T(test_tags),
        T(test_generation),
        T(test_export),
        T(test_computed_orders),
        T(test_model_without_versions),
        T(test_withdraw),
        T(test_statements_of_lists),
        T(test_rm),
        T(test_gc),
        T(test_gc_race),
        T(test_scrub),
        T(test_lost_ack),
        T(test_unavailable_and_truncated),
        T(test_faults),
        T(test_kill_publishing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
