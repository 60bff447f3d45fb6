/* Every command of platform.h with memory, files and SQLite's files failing at the n-th call.
 *
 * Each try works on a fresh copy of a prepared workspace, opens the platform, runs one command with
 * one fault and closes. Afterwards: the error is set and sane, the workspace opens, no row lacks
 * its bytes, and datasets, models and (for all but the commands that train) runs are what they were
 * before or what the whole command makes of them. jansson, SQLite, libcrypto and ICU allocate
 * through am_alloc here. Files: every n. Memory: every n up
 * to FIRST, then a fixed number of tries spread by a prime stride; AM_TEST_EVERY=1 in the
 * environment takes every n. */
#include "fault/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/platform.h"
#include "support/hook_crypto.h"
#include "support/hook_icu.h"
#include "unit/store/failing_vfs.h"

static char workspace[300], full[300], package[300], latin[300], interrupted[64], finished[64];

/* ---- copies of a workspace ---- */

static const char *copy_from, *copy_to;

static int copy_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    char to[PATH_MAX], piece[65536];
    ssize_t n = 0;
    (void)at;
    (void)snprintf(to, sizeof to, "%s%s", copy_to, path + strlen(copy_from));
    if (kind == FTW_D)
        return mkdir(to, 0700);
    int in = open(path, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_EXCL, st->st_mode & 0777);
    while (in >= 0 && out >= 0 && (n = read(in, piece, sizeof piece)) > 0)
        if (write(out, piece, (size_t)n) != n)
            return -1;
    return in >= 0 && out >= 0 && n == 0 && close(in) == 0 && close(out) == 0 ? 0 : -1;
}

/* template "" = no workspace yet */
static void fresh_workspace(const char *template)
{
    OK(am_fs_remove_tree(workspace, &err));
    if (!*template)
        return;
    copy_from = template;
    copy_to = workspace;
    assert_int_equal(nftw(template, copy_one, 16, FTW_PHYS), 0);
}

/* ---- the commands ---- */

static struct am_platform *open_platform(struct am_progress *progress, struct am_err *e,
                                         enum am_rc *rc)
{
    struct am_platform *p = NULL;
    const struct am_platform_options o = {.workspace = workspace,
                                          .n_threads = 1,
                                          .memory_limit_bytes = (uint64_t)256 << 20,
                                          .progress = progress};
    *rc = am_platform_open(&o, &p, e);
    return p;
}

struct call {
    struct am_platform *p;
    struct am_arena *a;
    struct am_node *out;
    struct am_err *err;
};
#define C c->p, c->a
#define R &c->out, c->err

static enum am_rc train_text(struct call *c, const char *text)
{
    const struct am_recipe_ref r = {.text = am_str(text)};
    return am_platform_train(C, &r, R);
}
static enum am_rc do_train(struct call *c)
{
    char text[1024];
    fixture_recipe(text, sizeof text);
    return train_text(c, text);
}
/* A recipe that learns rows: labels that only measure, a threshold, the report's own sections. */
static enum am_rc do_train_rows(struct call *c)
{
    char text[1024];
    (void)snprintf(text, sizeof text,
                   "version: 1\nname: rows\n"
                   "data: {source: %s, target: y, task: anomaly, train_on: normal, id: [id], "
                   "split: {test: 0.2, validation: 0.2}}\n"
                   "model: {encoder: [3], code: 1}\ntrain: {epochs: 1}\n"
                   "evaluate: {bootstrap: 0, importance: false}\n",
                   csv);
    return train_text(c, text);
}
static enum am_rc do_plan(struct call *c)
{
    char text[1024];
    fixture_recipe(text, sizeof text);
    const struct am_recipe_ref r = {.text = am_str(text)};
    return am_platform_plan(C, &r, R);
}
/* ICU converts; it does not detect, since its detector frees what it never set when memory is out
 * (ICU 72, ~CharsetDetector): child.sh looks at that from outside. */
static enum am_rc do_plan_latin(struct call *c)
{
    char text[1024];
    (void)snprintf(text, sizeof text,
                   "version: 1\nname: tiny\n"
                   "data: {source: %s, target: y, encoding: latin-1, "
                   "split: {test: 0.2, validation: 0}}\n"
                   "model: {type: logistic}\n",
                   latin);
    const struct am_recipe_ref r = {.text = am_str(text)};
    return am_platform_plan(C, &r, R);
}
static enum am_rc do_init(struct call *c)
{
    return am_platform_init(C, csv, "y", NULL, R);
}
static enum am_rc do_profile(struct call *c)
{
    return am_platform_profile(C, csv, "y", R);
}
static enum am_rc do_evaluate(struct call *c)
{
    return am_platform_evaluate(C, "tiny@champion", csv, R);
}
static enum am_rc swallow(void *ctx, const char *bytes, size_t n, struct am_err *e)
{
    (void)ctx;
    (void)bytes;
    (void)n;
    (void)e;
    return AM_OK;
}
static enum am_rc do_predict_file(struct call *c)
{
    const char *const sources[] = {csv};
    const struct am_predict_request r = {
        .model = "tiny", .sources = sources, .n_sources = 1, .write = swallow};
    return am_platform_predict(C, &r, R);
}
static enum am_rc do_predict_json(struct call *c)
{
    const struct am_predict_request r = {
        .model = "tiny@1", .bytes = AM_STR_INIT("[{\"a\": 1.5, \"b\": 2.25}]"), .write = swallow};
    return am_platform_predict(C, &r, R);
}
static enum am_rc do_explain(struct call *c)
{
    char page[400];
    (void)snprintf(page, sizeof page, "%s/page.html", base);
    const struct am_explain_request r = {.model = "tiny", .source = csv, .row = 7, .page = page};
    return am_platform_explain(C, &r, R);
}
static enum am_rc do_verify(struct call *c)
{
    return am_platform_verify(C, "tiny@1", R);
}
static enum am_rc do_resume(struct call *c)
{
    return am_platform_resume(C, interrupted, R);
}
static enum am_rc do_export(struct call *c)
{
    char path[400];
    (void)snprintf(path, sizeof path, "%s/exported.aim", base);
    return am_platform_model_export(C, "tiny@champion", path, R);
}
static enum am_rc do_import(struct call *c)
{
    return am_platform_model_import(C, package, "other", R);
}
static enum am_rc do_alias_set(struct call *c)
{
    return am_platform_model_alias(C, "tiny@2", "champion", AM_ALIAS_SET, R);
}
static enum am_rc do_alias_remove(struct call *c)
{
    return am_platform_model_alias(C, "tiny", "champion", AM_ALIAS_REMOVE, R);
}
static enum am_rc do_alias_undo(struct call *c)
{
    return am_platform_model_alias(C, "tiny", "champion", AM_ALIAS_UNDO, R);
}
static enum am_rc do_tag(struct call *c)
{
    return am_platform_model_tag(C, "tiny@2", "k", "v", R);
}
static enum am_rc do_rm_version(struct call *c)
{
    return am_platform_rm(C, "tiny@2", R);
}
static enum am_rc do_rm_run(struct call *c)
{
    return am_platform_rm(C, interrupted, R);
}
static enum am_rc do_gc(struct call *c)
{
    return am_platform_gc(C, AM_GC_REAL, R);
}
static enum am_rc do_lists(struct call *c)
{
    const struct am_list_options o = {.filter = "metrics.test.accuracy > 0",
                                      .order_by = "started desc"};
    const char *const both[] = {finished, interrupted};
    AM_TRY(am_platform_runs(C, &o, R));
    AM_TRY(am_platform_models(C, NULL, R));
    AM_TRY(am_platform_datasets(C, NULL, R));
    AM_TRY(am_platform_run_show(C, finished, R));
    AM_TRY(am_platform_model_show(C, "tiny@1", R));
    return am_platform_compare(C, both, 2, R);
}

/* MAY_KEEP_DATASET: a plan takes the dataset back that it imported; where that fails, too, a whole
 * dataset stays and the log says so. */
enum { MAY_ADD_RUN = 1, NEW_WORKSPACE = 2, MAY_KEEP_DATASET = 4 };
static const struct op {
    const char *name;
    enum am_rc (*call)(struct call *c);
    int how;
    long tries; /* of memory, beyond the first ones */
} ops[] = {
    {"train", do_train, MAY_ADD_RUN | NEW_WORKSPACE, 150},
    {"train rows", do_train_rows, MAY_ADD_RUN | NEW_WORKSPACE, 60},
    {"plan", do_plan, 0, 50},
    {"plan latin-1", do_plan_latin, MAY_KEEP_DATASET, 50},
    {"init", do_init, 0, 50},
    {"profile", do_profile, 0, 50},
    {"evaluate", do_evaluate, 0, 100},
    {"predict file", do_predict_file, 0, 100},
    {"predict json", do_predict_json, 0, 100},
    {"explain", do_explain, 0, 100},
    {"verify", do_verify, MAY_ADD_RUN, 100},
    {"resume", do_resume, MAY_ADD_RUN, 150},
    {"export", do_export, 0, 200},
    {"import", do_import, 0, 200},
    {"alias set", do_alias_set, 0, 200},
    {"alias remove", do_alias_remove, 0, 200},
    {"alias undo", do_alias_undo, 0, 200},
    {"tag", do_tag, 0, 200},
    {"rm version", do_rm_version, 0, 200},
    {"rm run", do_rm_run, 0, 200},
    {"gc", do_gc, 0, 200},
    {"lists", do_lists, 0, 200},
};

/* ---- states that differ in times and numbers alone are the same ---- */

static void blank(char *text)
{
    char *to = text;
    for (const char *p = text; *p;) {
        size_t hex = strspn(p, "0123456789abcdef"), digits = strspn(p, "0123456789.");
        if (hex >= 32) {
            if (to - text > 1 && to[-1] == '/') /* a blob: its folder is the hash's beginning */
                for (to--; to > text && to[-1] != '/';)
                    to--;
            *to++ = 'H';
            p += hex;
        } else if (digits) {
            *to++ = '#';
            p += digits;
        } else {
            *to++ = *p++;
        }
    }
    *to = '\0';
}

static void read_state(struct state *s)
{
    const struct am_registry_options o = {.workspace = workspace};
    struct am_registry *r = NULL;
    size_t n_bad = 0;
    OK(am_registry_open(&o, &r, &err));
    OK(state_read(r, s, &err));
    OK(state_scrub(r, &n_bad, &err));
    am_registry_close(r);
    assert_int_equal(n_bad, 0);
    for (int i = 0; i < STATE_N; i++)
        blank(s->text[i]);
}

/* ---- one try ---- */

enum fault { NONE, MEMORY, FILES, RECORDS };
static const char *const fault_names[] = {"no fault", "allocation", "file call", "SQLite call"};

static void arm(enum fault f, long n)
{
    am_alloc_fail_nth(f == MEMORY ? n : 0, false);
    am_fs_fail_nth(f == FILES ? n : 0, n % 2 ? EIO : ENOSPC, false);
    fail_vfs(f == RECORDS ? n : 0);
}

static long tripped(enum fault f)
{
    return f == MEMORY    ? am_alloc_hook_hits()
           : f == FILES   ? am_fs_hook_hits()
           : f == RECORDS ? atomic_load(&fail_hits)
                          : 0;
}

static void blank(char *text);

/* What the command answered, without times and numbers; the answer of one try, then of the next. */
static char answer[1 << 20];

static void keep_answer(const struct am_node *out)
{
    struct am_buf b;
    am_buf_init(&b, sizeof answer - 1);
    am_node_to_json(out, AM_JSON_COMPACT, &b);
    assert_int_equal(am_buf_check(&b, &err), AM_OK);
    memcpy(answer, b.ptr, b.len);
    answer[b.len] = '\0';
    am_buf_clear(&b);
    blank(answer);
    char *place = strstr(answer, "\"report\":\""), *end = place ? strchr(place + 10, '"') : NULL;
    if (end) /* the copy in reports/, or the artefact where that cannot be written */
        memmove(place, end, strlen(end) + 1);
}

/* Opens, runs, closes. *hits = faults given out. */
static enum am_rc one_try(const struct op *op, enum fault f, long n, struct am_err *e, long *hits)
{
    enum am_rc rc;
    fresh_workspace(op->how & NEW_WORKSPACE ? "" : full);
    struct am_arena *a = am_arena_new(0);
    assert_non_null(a);
    am_err_clear(e);
    arm(f, n);
    struct call c = {.a = a, .err = e};
    c.p = open_platform(NULL, e, &rc);
    if (c.p)
        rc = op->call(&c);
    *hits = tripped(f);
    arm(NONE, 0);
    if (rc == AM_OK)
        keep_answer(c.out);
    am_platform_close(c.p);
    am_arena_free(a);
    return rc;
}

static bool same(const struct state *x, const struct state *y, int i)
{
    return strcmp(x->text[i], y->text[i]) == 0;
}

static void check_after(const struct op *op, enum fault f, long n, enum am_rc rc,
                        const struct am_err *e, const struct state *before,
                        const struct state *after)
{
    static const char *const parts[] = {"datasets", "models", "runs"};
    struct state now = {{NULL, NULL, NULL}};
    if (rc != AM_OK && (e->rc != rc || !e->message[0] || rc == AM_EINTERNAL))
        fail_msg("%s, %s %ld: %s without a proper error: \"%s\"", op->name, fault_names[f], n,
                 am_rc_name(rc), e->message);
    if (f == MEMORY && rc != AM_OK && rc != AM_ENOMEM)
        fail_msg("%s, %s %ld: %s: %s", op->name, fault_names[f], n, am_rc_name(rc), e->message);
    read_state(&now);
    for (int i = 0; i < STATE_N; i++) {
        if (same(&now, after, i) || (rc != AM_OK && same(&now, before, i)) ||
            (i == STATE_RUNS && rc != AM_OK && (op->how & MAY_ADD_RUN)) ||
            (i == STATE_DATASETS && (op->how & MAY_KEEP_DATASET)))
            continue;
        fail_msg("%s, %s %ld (%s: %s): %s are half done:\n%s\nbefore:\n%s\nafter:\n%s", op->name,
                 fault_names[f], n, am_rc_name(rc), e->message, parts[i], now.text[i],
                 before->text[i], after->text[i]);
    }
    state_clear(&now);
}

/* ---- the loops ---- */

/* Allocations that fail one by one; then the stride. A sanitizer's run is ten times as slow, and
 * looks for leaks and stray writes: fewer tries find them. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FIRST 20
#define SLOWER 5
#else
#define FIRST 120
#define SLOWER 1
#endif

static bool is_prime(long n)
{
    for (long d = 2; d * d <= n; d++)
        if (n % d == 0)
            return false;
    return n > 1;
}

static long stride_of(long calls, long tries)
{
    long s = calls > FIRST && !getenv("AM_TEST_EVERY") ? (calls - FIRST) * SLOWER / tries + 1 : 1;
    while (s > 1 && !is_prime(s))
        s++;
    return s;
}

static void loop(const struct op *op, enum fault f, const struct state *before,
                 const struct state *after, const char *clean)
{
    struct am_err e;
    long hits = 0, n_tries = 0, n_failed = 0, stride = 1;
    if (f == MEMORY) {
        assert_int_equal(one_try(op, f, LONG_MAX, &e, &hits), AM_OK);
        stride = stride_of(am_alloc_hook_calls(), op->tries);
    }
    for (long n = 1;; n += f == MEMORY && n >= FIRST ? stride : 1) {
        enum am_rc rc = one_try(op, f, n, &e, &hits);
        check_after(op, f, n, rc, &e, before, after);
        if (rc == AM_OK && strcmp(answer, clean) != 0) {
            size_t at = 0;
            while (answer[at] == clean[at])
                at++;
            at = at > 60 ? at - 60 : 0;
            fail_msg("%s, %s %ld: succeeded with another answer:\n%.300s\nthan\n%.300s", op->name,
                     fault_names[f], n, answer + at, clean + at);
        }
        n_tries++;
        n_failed += rc != AM_OK;
        if (hits == 0) {
            assert_int_equal(rc, AM_OK);
            break;
        }
    }
    if (getenv("AM_TEST_VERBOSE"))
        print_message("%-14s %-11s %5ld tries, %5ld failed, stride %ld\n", op->name, fault_names[f],
                      n_tries, n_failed, stride);
    assert_true(n_failed > 0);
}

static void test_op(void **state)
{
    const struct op *op = *state;
    struct state before = {{NULL, NULL, NULL}}, after = {{NULL, NULL, NULL}};
    struct am_err e;
    long hits;
    fresh_workspace(op->how & NEW_WORKSPACE ? "" : full);
    read_state(&before);
    enum am_rc rc = one_try(op, NONE, 0, &e, &hits);
    if (rc != AM_OK)
        fail_msg("%s: %s: %s", op->name, am_rc_name(rc), e.message);
    read_state(&after);
    char *clean = am_strndup(answer, strlen(answer));
    assert_non_null(clean);
    for (enum fault f = MEMORY; f <= RECORDS; f++)
        loop(op, f, &before, &after, clean);
    am_free(clean);
    state_clear(&before);
    state_clear(&after);
}

/* ---- the prepared workspace: two versions, a finished and an interrupted run, a lost blob ---- */

static atomic_bool cancel;

static void stop_in_training(void *ctx, const struct am_progress_event *ev)
{
    (void)ctx;
    if (strcmp(ev->phase, "train") == 0)
        atomic_store(&cancel, true);
}

static void keep_run(const struct am_node *runs, const char *state, char out[64])
{
    const struct am_node *list = am_node_get(runs, "runs");
    for (size_t i = 0; i < list->list.n; i++)
        if (am_str_is(am_node_str(list->list.items[i], "state", ""), state))
            (void)snprintf(out, 64, "%.*s", AM_FMT(am_node_str(list->list.items[i], "run", "")));
}

static int prepare(void **state)
{
    struct am_progress progress = {.sink = stop_in_training, .cancel = &cancel};
    char text[1024];
    enum am_rc rc;
    (void)state;
    fixture_make("platform");
    assert_int_equal(chdir(base),
                     0); /* in no git folder: a commit that cannot be read is no error */
    (void)snprintf(workspace, sizeof workspace, "%s/ws", base);
    (void)snprintf(full, sizeof full, "%s/full", base);
    (void)snprintf(package, sizeof package, "%s/tiny.aim", base);
    (void)snprintf(latin, sizeof latin, "%s/latin.csv", base);
    struct am_buf rows;
    am_buf_init(&rows, 4096);
    am_buf_cstr(&rows, "name,x,y\n");
    for (int i = 0; i < 20; i++)
        am_buf_printf(&rows, "%s,%d,%s\n", i % 3 ? "M\xfcller" : "Ren\xe9", i * 7 % 20,
                      i * 7 % 20 > 9 ? "p" : "q");
    OK(am_fs_write_file(latin, rows.ptr, rows.len, &err));
    am_buf_clear(&rows);
    struct call c = {.a = am_arena_new(0), .err = &err};
    c.p = open_platform(NULL, &err, &rc);
    OK(rc);
    OK(do_train(&c));
    failing_vfs_install();
    OK(am_platform_model_export(c.p, c.a, "tiny@1", package, &c.out, &err));
    OK(am_platform_model_import(c.p, c.a, package, "tiny", &c.out, &err));
    OK(am_platform_model_alias(c.p, c.a, "tiny@2", "champion", AM_ALIAS_SET, &c.out, &err));
    OK(am_platform_model_alias(c.p, c.a, "tiny@1", "champion", AM_ALIAS_SET, &c.out, &err));
    OK(am_platform_model_import(c.p, c.a, package, "lost", &c.out, &err));
    OK(am_platform_rm(c.p, c.a, "lost", &c.out, &err));
    am_platform_close(c.p);
    c.p = open_platform(&progress, &err, &rc);
    OK(rc);
    (void)snprintf(text, sizeof text,
                   "version: 1\nname: slow\n"
                   "data: {source: %s, target: y, id: [id], split: {test: 0.2, validation: 0}}\n"
                   "model: {type: mlp, layers: [3]}\ntrain: {epochs: 4, batch_size: 8}\n"
                   "evaluate: {metrics: [accuracy], bootstrap: 0, importance: false}\n",
                   csv);
    assert_int_equal(train_text(&c, text), AM_ECANCELED);
    OK(am_platform_runs(c.p, c.a, NULL, &c.out, &err));
    keep_run(c.out, "canceled", interrupted);
    keep_run(c.out, "finished", finished);
    assert_true(interrupted[0] && finished[0]);
    am_platform_close(c.p);
    am_arena_free(c.a);
    return rename(workspace, full);
}

static int drop(void **state)
{
    (void)state;
    fixture_drop();
    return 0;
}

int main(int argc, char **argv)
{
    struct CMUnitTest tests[sizeof ops / sizeof *ops] = {{0}};
    size_t n = 0;
    if (!hook_crypto() || !hook_icu())
        return 1;
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (argc < 2 || strcmp(argv[1], ops[i].name) == 0) {
            union {
                const struct op *in;
                void *out;
            } op = {&ops[i]};
            tests[n++] = (struct CMUnitTest){ops[i].name, test_op, NULL, NULL, op.out};
        }
    return _cmocka_run_group_tests("platform", tests, n, prepare, drop);
}
