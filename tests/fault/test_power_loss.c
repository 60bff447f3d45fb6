/* Power loss at every change of the disk: what was acknowledged is there, what was not is there
 * wholly or not at all.
 *
 * A workspace lives through every storing call (dataset, run, checkpoints, package, alias, tag,
 * removal, collection, and a whole training through the table engine) while support/disk.c records
 * what reaches the disk. Then the workspace is built again as a disk could hold it after each
 * change, in five ways, and opened: nothing is repaired by hand. Runs of images that are equal are
 * looked at once. */
#include "fault/fixture.h"

#include "platform/platform.h"
#include "support/disk.h"

static char workspace[300], image[300];

/* ---- the life ---- */

struct life {
    struct am_registry *r;
    struct am_run *run;
    struct am_arena *a;
    struct am_node *out;
};

static enum am_rc do_open(struct life *l)
{
    const struct am_registry_options o = {.workspace = workspace, .owner = "ann"};
    return am_registry_open(&o, &l->r, &err);
}

static enum am_rc do_train(struct life *l)
{
    char text[1024];
    fixture_recipe(text, sizeof text);
    const struct am_platform_options o = {
        .workspace = workspace, .n_threads = 1, .memory_limit_bytes = (uint64_t)256 << 20};
    const struct am_recipe_ref recipe = {.text = am_str(text)};
    struct am_platform *p = NULL;
    am_registry_close(l->r);
    l->r = NULL;
    AM_TRY(am_platform_open(&o, &p, &err));
    enum am_rc rc = am_platform_train(p, l->a, &recipe, &l->out, &err);
    am_platform_close(p);
    return rc == AM_OK ? do_open(l) : rc;
}

#define HASH "3333333333333333333333333333333333333333333333333333333333333333"

static enum am_rc do_dataset(struct life *l)
{
    const struct am_registry_file files[] = {
        {.name = "part-0000.parquet", .bytes = AM_STR_INIT("PAR1")},
        {.name = "schema.json", .bytes = AM_STR_INIT("{}")}};
    const struct am_dataset_spec spec = {
        .name = "rows", .hash = HASH, .n_rows = 3, .files = files, .n_files = 2};
    return am_registry_dataset_add(l->r, l->a, &spec, &l->out, &err);
}

static enum am_rc do_run(struct life *l)
{
    const struct am_run_spec spec = {.name = "second", .recipe = "version: 1\n", .dataset = HASH};
    return am_run_start(l->r, &spec, &l->run, &err);
}

static enum am_rc do_metrics(struct life *l)
{
    const struct am_metric_point p[] = {{"train.loss", 1, 0.5}, {"train.loss", 2, 0.25}};
    AM_TRY(am_run_metrics(l->run, p, 2, &err));
    return am_run_flush(l->run, &err);
}

static enum am_rc do_artefact(struct life *l)
{
    const struct am_registry_file f = {.name = "report.html", .bytes = AM_STR_INIT("<p>")};
    return am_run_artefact(l->run, &f, &err);
}

static enum am_rc checkpoint(struct life *l, int64_t step)
{
    char bytes[5000];
    memset(bytes, (int)step, sizeof bytes);
    return am_run_checkpoint(l->run, step, bytes, sizeof bytes, 2, &err);
}
static enum am_rc do_checkpoint_1(struct life *l)
{
    return checkpoint(l, 1);
}
static enum am_rc do_checkpoint_2(struct life *l)
{
    return checkpoint(l, 2);
}
static enum am_rc do_checkpoint_3(struct life *l)
{
    return checkpoint(l, 3);
}
static enum am_rc do_finish(struct life *l)
{
    return am_run_finish(l->run, AM_RUN_CANCELED, NULL, &err);
}

static enum am_rc do_version(struct life *l)
{
    const struct am_version_spec spec = {
        .model = "tiny", .package = pkg, .dataset = HASH, .alias = "next"};
    return am_registry_version_add(l->r, l->a, &spec, &l->out, &err);
}
static enum am_rc do_move(struct life *l)
{
    return am_registry_alias_set(l->r, l->a, "tiny@2", "champion", &l->out, &err);
}
static enum am_rc do_undo(struct life *l)
{
    return am_registry_alias_undo(l->r, l->a, "tiny", "champion", &l->out, &err);
}
static enum am_rc do_unalias(struct life *l)
{
    return am_registry_alias_remove(l->r, l->a, "tiny", "next", &l->out, &err);
}
static enum am_rc do_tag(struct life *l)
{
    return am_registry_tag(l->r, l->a, AM_KIND_MODEL, "tiny", "k", "v", &l->out, &err);
}
static enum am_rc do_rm_version(struct life *l)
{
    return am_registry_rm(l->r, l->a, "tiny@2", &l->out, &err);
}
static enum am_rc do_gc(struct life *l)
{
    return am_registry_gc(l->r, l->a, 0, AM_REGISTRY_GC_REAL, &l->out, &err);
}

/* `parts`: calls that are several acknowledged ones inside (a training logs, then publishes): runs
 * may be seen at any point between; datasets and models may not. */
enum grain { WHOLE, PARTS };
static const struct {
    const char *name;
    enum am_rc (*call)(struct life *l);
    enum grain runs;
} steps[] = {
    {"open", do_open, WHOLE},
    {"dataset", do_dataset, WHOLE},
    {"train", do_train, PARTS},
    {"run", do_run, WHOLE},
    {"metrics", do_metrics, WHOLE},
    {"artefact", do_artefact, WHOLE},
    {"checkpoint 1", do_checkpoint_1, WHOLE},
    {"checkpoint 2", do_checkpoint_2, WHOLE},
    {"checkpoint 3", do_checkpoint_3, WHOLE},
    {"version", do_version, WHOLE},
    {"alias move", do_move, WHOLE},
    {"alias undo", do_undo, WHOLE},
    {"alias remove", do_unalias, WHOLE},
    {"tag", do_tag, WHOLE},
    {"rm", do_rm_version, WHOLE},
    {"gc", do_gc, WHOLE},
    {"finish", do_finish, WHOLE},
};
#define N_STEPS (sizeof steps / sizeof *steps)

static struct state after[N_STEPS + 1]; /* [0] = nothing yet */
static char run_id[64];

/* The state, and the newest checkpoint of the run with its bytes. */
static enum am_rc look(struct am_registry *r, struct state *s, int64_t *step)
{
    struct am_buf b;
    am_buf_init(&b, (size_t)1 << 20);
    *step = 0;
    enum am_rc rc = state_read(r, s, &err);
    if (rc == AM_OK && run_id[0]) {
        rc = am_registry_checkpoint_read(r, run_id, step, &b, &err);
        if (rc == AM_OK && (b.len != 5000 || b.ptr[0] != (char)*step || b.ptr[4999] != b.ptr[0]))
            rc = am_fail(&err, AM_ECORRUPT, "checkpoint %lld has other bytes", (long long)*step);
        if (rc == AM_ENOTFOUND)
            rc = AM_OK;
    }
    am_buf_clear(&b);
    return rc;
}

static int64_t checkpoint_after[N_STEPS + 1];

static void live(void)
{
    struct life l = {.a = am_arena_new(0)};
    assert_non_null(l.a);
    disk_record(workspace);
    for (size_t i = 0; i < N_STEPS; i++) {
        disk_mark(-(int)i - 1);
        if (steps[i].call(&l) != AM_OK)
            fail_msg("%s: %s", steps[i].name, err.message);
        disk_mark((int)i + 1);
        if (steps[i].call == do_run)
            (void)snprintf(run_id, sizeof run_id, "%s", am_run_id(l.run));
        if (look(l.r, &after[i + 1], &checkpoint_after[i + 1]) != AM_OK)
            fail_msg("after %s: %s", steps[i].name, err.message);
    }
    am_run_close(l.run);
    am_registry_close(l.r);
    disk_stop();
    am_arena_free(l.a);
}

/* ---- after the power came back ---- */

static const char *const kinds[DISK_N_IMAGES] = {[DISK_SYNCED] = "un-synced data and names dropped",
                                                 [DISK_NAMES_LOST] = "un-synced names dropped",
                                                 [DISK_BYTES_LOST] =
                                                     "un-synced bytes lost, names kept",
                                                 [DISK_ALL_WRITTEN] = "process killed",
                                                 [DISK_TORN] = "last write torn"};

static bool same(const struct state *x, const struct state *y, int i)
{
    const char *none = "";
    return strcmp(x->text[i] ? x->text[i] : none, y->text[i] ? y->text[i] : none) == 0;
}

/* One more version: the next command works. */
static enum am_rc next_command(struct am_registry *r)
{
    struct am_arena *a = am_arena_new(0);
    struct am_node *out = NULL;
    struct am_version_ref ref;
    const struct am_version_spec spec = {.model = "later", .package = pkg, .alias = "now"};
    assert_non_null(a);
    enum am_rc rc = am_registry_version_add(r, a, &spec, &out, &err);
    if (rc == AM_OK)
        rc = am_registry_resolve(r, "later@now", &ref, &err);
    am_arena_free(a);
    return rc;
}

/* What is wrong with the registry of an image after mark; NULL = nothing. */
static const char *wrong(struct am_registry *r, int mark)
{
    static const char *const parts[] = {"datasets", "models", "runs"};
    struct state now = {{NULL, NULL, NULL}};
    size_t done = (size_t)(mark < 0 ? -mark - 1 : mark), n_bad = 0;
    int64_t step = 0;
    const char *what = NULL;
    if (look(r, &now, &step) != AM_OK || state_scrub(r, &n_bad, &err) != AM_OK) {
        state_clear(&now);
        return err.message;
    }
    if (n_bad)
        what = "a row without its bytes";
    for (int i = 0; i < STATE_N && !what; i++) {
        bool ok = done == 0 || same(&now, &after[done], i);
        if (!ok && mark < 0)
            ok = same(&now, &after[done + 1], i) || (i == STATE_RUNS && steps[done].runs == PARTS);
        if (!ok) {
            what = parts[i];
            print_error("found:  %s\nbefore: %s\nafter:  %s\n", now.text[i],
                        after[done].text[i] ? after[done].text[i] : "",
                        mark < 0 ? after[done + 1].text[i] : "");
        }
    }
    if (!what && done && step != checkpoint_after[done] &&
        (mark > 0 || step != checkpoint_after[done + 1]))
        what = "checkpoint";
    state_clear(&now);
    if (!what && next_command(r) != AM_OK)
        what = err.message;
    return what;
}

static void look_at_image(enum disk_image kind, size_t n, int mark)
{
    const struct am_registry_options o = {.workspace = image, .owner = "ann"};
    struct am_registry *r = NULL;
    char text[600];
    OK(am_fs_remove_tree(image, &err));
    OK(am_fs_mkdirs(image, &err));
    assert_true(disk_image_write(kind, image));
    enum am_rc rc = am_registry_open(&o, &r, &err);
    const char *what = rc == AM_OK ? wrong(r, mark) : err.message;
    if (what)
        fail_msg("change %zu (%s), %s, step \"%s\" %s: %s", n,
                 disk_change_text(n, text, sizeof text), kinds[kind],
                 steps[(mark < 0 ? -mark : mark) - 1].name, mark < 0 ? "begun" : "done", what);
    am_registry_close(r);
}

static void test_power_loss(void **state)
{
    (void)state;
    unsigned long long seen[DISK_N_IMAGES][2] = {{0}};
    size_t n_images = 0;
    fixture_make("power");
    (void)snprintf(workspace, sizeof workspace, "%s/ws", base);
    (void)snprintf(image, sizeof image, "%s/image", base);
    OK(am_fs_mkdirs(workspace, &err));
    live();
    for (size_t n = 1; n <= disk_n_changes(); n++) {
        int mark = 0;
        unsigned long long hashes[DISK_N_IMAGES];
        disk_replay_to(n, &mark);
        for (unsigned k = 0; k < DISK_N_IMAGES; k++) {
            bool old = false;
            hashes[k] = disk_image_hash((enum disk_image)k, "tmp/");
            /* equal to an image of the same kind before, or to another kind's now, under the same
             * mark: seen */
            old = hashes[k] == 0 || (seen[k][0] == hashes[k] && (int)seen[k][1] == mark);
            for (unsigned j = 0; j < k && !old; j++)
                old = hashes[j] == hashes[k];
            if (old)
                continue;
            seen[k][0] = hashes[k];
            seen[k][1] = (unsigned long long)mark;
            look_at_image((enum disk_image)k, n, mark);
            n_images++;
        }
    }
    const char *differs = disk_check();
    if (differs)
        fail_msg("the record misses something: %s", differs);
    print_message("%zu changes, %zu images\n", disk_n_changes(), n_images);
    assert_true(disk_n_changes() > 300);
    assert_true(n_images > 300);
    for (size_t i = 0; i <= N_STEPS; i++)
        state_clear(&after[i]);
    fixture_drop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
