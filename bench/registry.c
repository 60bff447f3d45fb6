/* Lists of a large registry: makes N finished runs through the registry's own calls (with params,
 * metrics and a tag each, as a training does), or takes those that are there, and times the calls
 * behind `aimass runs`.
 *
 *     registry WORKSPACE N
 *
 * Prints one line a list: rows, milliseconds (the best of five). Not a test: nothing is asserted.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "registry/registry.h"

static void check(enum am_rc rc, const struct am_err *err)
{
    if (rc == AM_OK)
        return;
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

static void add_run(struct am_registry *r, struct am_arena *a, int i)
{
    static const char *const keys[] = {"train.accuracy",  "train.loss",    "validation.accuracy",
                                       "validation.loss", "test.accuracy", "test.precision",
                                       "test.recall",     "test.roc_auc",  "baseline.accuracy"};
    struct am_metric_point points[sizeof keys / sizeof *keys];
    struct am_err err = {0};
    struct am_run *run = NULL;
    struct am_node *params = am_new_map(a), *tags = am_new_map(a);
    char key[32];
    uint64_t seed = (uint64_t)i;
    for (int k = 0; k < 40; k++) {
        (void)snprintf(key, sizeof key, "section%d.key%d", k / 8, k);
        am_node_set(a, params, am_arena_printf(a, "%s", key).ptr, am_new_i64(a, k * i));
    }
    am_node_set(a, tags, "team", am_new_cstr(a, i % 2 ? "a" : "b"));
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
        points[k] =
            (struct am_metric_point){keys[k], 1, (double)((i * 7919 + (int)k) % 10007) / 1e4};
    const struct am_run_spec spec = {.name = i % 3 ? "alpha" : "beta",
                                     .recipe = "version: 1\n",
                                     .seed = &seed,
                                     .params = params,
                                     .tags = tags};
    check(am_run_start(r, &spec, &run, &err), &err);
    check(am_run_metrics(run, points, sizeof keys / sizeof *keys, &err), &err);
    check(am_run_finish(run, AM_RUN_FINISHED, NULL, &err), &err);
    am_run_close(run);
}

static void measure(struct am_registry *r, const char *what, const struct am_registry_list *l)
{
    double best = 1e99;
    int64_t total = 0;
    size_t n = 0;
    for (int k = 0; k < 5; k++) {
        struct am_arena *a = am_arena_new(0);
        struct am_err err = {0};
        struct am_node *out = NULL;
        uint64_t begin = am_mono_ns();
        check(am_registry_runs(r, a, l, &out, &err), &err);
        double ms = (double)(am_mono_ns() - begin) / 1e6;
        best = ms < best ? ms : best;
        total = am_node_i64(out, "total", 0);
        n = am_node_get(out, "runs")->list.n;
        am_arena_free(a);
    }
    printf("%-32s %6zu of %lld rows  %8.2f ms\n", what, n, (long long)total, best);
}

int main(int argc, char **argv)
{
    struct am_err err = {0};
    struct am_registry *r = NULL;
    if (argc != 3) {
        fprintf(stderr, "usage: %s WORKSPACE N\n", argv[0]);
        return 2;
    }
    const struct am_registry_options o = {.workspace = argv[1]};
    check(am_registry_open(&o, &r, &err), &err);
    struct am_arena *a = am_arena_new(0);
    struct am_node *out = NULL;
    check(am_registry_runs(r, a, NULL, &out, &err), &err);
    for (int i = (int)am_node_i64(out, "total", 0); i < atol(argv[2]); i++) {
        am_arena_reset(a);
        add_run(r, a, i);
    }
    am_arena_free(a);
    measure(r, "newest 100", &(const struct am_registry_list){.limit = 100});
    measure(
        r, "best 100",
        &(const struct am_registry_list){.limit = 100, .order_by = "metrics.test.accuracy desc"});
    measure(
        r, "filtered 100",
        &(const struct am_registry_list){
            .limit = 100, .filter = "metrics.test.accuracy > 0.9 and params.section0.key1 = '7'"});
    measure(r, "all", &(const struct am_registry_list){.limit = 10000});
    am_registry_close(r);
    return 0;
}
