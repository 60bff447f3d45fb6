/* `aimass refit` and `aimass distil`: one model in place of an ensemble, and what it loses.
 *
 * Both write the recipe of the model's own run with another `model:` (and `train.distil`) and train
 * it by the ordinary path over the same dataset with the same split, as NAME-single; the report
 * compares both on the same test rows. One thread. */
#include <math.h>

#include "base/alloc.h"
#include "pipeline/automl.h"
#include "pipeline/automl_int.h"
#include "pipeline/open_model.h"

struct parent {
    struct am_str name;
    int64_t version;
    struct am_str dataset;         /* hash */
    struct am_node *recipe;        /* resolved; arena */
    const struct am_node *metrics; /* of its deciding part; arena; NULL = none */
    struct am_str run;
    struct am_str ref; /* NAME@VERSION */
};

static enum am_rc find_parent(struct am_pipeline *pl, struct am_arena *a, const char *model,
                              struct parent *out, struct am_err *err)
{
    struct am_opened m = {0};
    struct am_node *run;
    enum am_rc rc;
    AM_TRY(am_open_model(pl, a, model, 0, &m, err));
    const struct am_node *lineage = am_node_get(am_model_manifest(m.model), "lineage");
    out->run = am_arena_str(a, am_node_str(lineage, "run", ""));
    out->name = am_arena_str(a, m.name);
    out->version = m.version;
    out->ref = am_arena_printf(a, "%.*s@%lld", AM_FMT(m.name), (long long)m.version);
    AM_GO(rc, am_arena_check(a, err));
    if (out->run.len == 0) {
        am_fail(err, AM_ENOTFOUND,
                "\"%s\" does not say which run made it, so it cannot be trained "
                "again as one model",
                model);
        rc = AM_ENOTFOUND;
        goto out;
    }
    AM_GO(rc, am_registry_run_get(pl->registry, a, out->run.ptr, &run, err));
    out->dataset = am_node_str(run, "dataset", "");
    AM_GO(rc, am_yaml_parse(a, am_node_str(run, "recipe", ""), "recipe", &out->recipe, err));
    static const char *const parts[] = {"test", "validation", "train"};
    for (size_t i = 0; i < 3 && !out->metrics; i++)
        out->metrics = am_node_get(am_model_metrics(m.model), parts[i]);
    if (out->metrics)
        out->metrics = am_node_copy(a, out->metrics);
out:
    am_model_put(m.model);
    return rc;
}

/* ---- which model ---- */

/* Losses of the members from the run's report; NULL = it has none. */
static enum am_rc member_losses(struct am_pipeline *pl, struct am_arena *a, const struct parent *p,
                                struct am_node **out, struct am_err *err)
{
    struct am_buf b;
    struct am_node *report;
    am_buf_init(&b, (size_t)1 << 26);
    enum am_rc rc =
        am_registry_file_read(pl->registry, AM_KIND_RUN, p->run.ptr, "report.json", &b, err);
    if (rc == AM_OK)
        rc = am_json_parse(a, am_arena_str(a, am_buf_view(&b)), "report.json", &report, err);
    if (rc == AM_OK)
        *out = am_node_path(report, "training.members");
    am_buf_clear(&b);
    return rc;
}

/* The member with the largest weight, or where weights say nothing the lowest loss. */
static enum am_rc best_member(struct am_pipeline *pl, struct am_arena *a, const struct parent *p,
                              struct am_node **out, struct am_err *err)
{
    const struct am_node *members = am_node_path(p->recipe, "model.members");
    struct am_node *losses = NULL;
    size_t best = 0;
    double top = -INFINITY;
    if (!members || members->kind != AM_NODE_LIST || members->list.n == 0) {
        am_fail(err, AM_EUSAGE, "model \"%.*s\" is no ensemble", AM_FMT(p->ref));
        am_hint(err,
                "`aimass refit` makes one model of an ensemble; `aimass distil MODEL --type T` "
                "teaches a small model from any other one.");
        return AM_EUSAGE;
    }
    AM_TRY(member_losses(pl, a, p, &losses, err));
    for (size_t i = 0; i < members->list.n; i++) {
        const struct am_node *one = losses && i < losses->list.n ? losses->list.items[i] : NULL;
        const double loss = am_node_f64(one, "loss", NAN);
        const double score = !isnan(loss) ? -loss
                                          : am_node_f64(members->list.items[i], "weight",
                                                        am_node_f64(one, "weight", 0));
        if (score > top) {
            top = score;
            best = i;
        }
    }
    *out = am_new_map(a);
    for (size_t i = 0; i < members->list.items[best]->map.n; i++) {
        const struct am_pair *q = &members->list.items[best]->map.pairs[i];
        if (!am_str_is(q->key, "weight"))
            am_node_set_str(a, *out, q->key, q->value);
    }
    return am_arena_check(a, err);
}

/* A learner that can be taught here: the driver of boosting may be missing. */
static struct am_node *student(struct am_arena *a, const struct am_single_job *job,
                               const struct parent *p)
{
    struct am_node *m = am_new_map(a);
    const char *type = job->type;
    struct am_err ignored;
    if (!type) {
        const bool numbers =
            !am_node_path(p->recipe, "data.task") ||
            am_str_is(am_node_str(am_node_get(p->recipe, "data"), "task", ""), "regression");
        am_node_set(a, m, "type", am_new_cstr(a, "gradient_boosting"));
        const struct am_learn_task t = {.task = numbers ? AM_TASK_REGRESSION : AM_TASK_BINARY,
                                        .n_classes = numbers ? 0 : 2,
                                        .n_features = 1,
                                        .model = m};
        type =
            am_learner_find(AM_STR("gradient_boosting")) && am_learner_check(&t, &ignored) == AM_OK
                ? "gradient_boosting"
                : "mlp";
    }
    am_node_set(a, m, "type", am_new_cstr(a, type));
    return m;
}

/* ---- what is lost ---- */

struct before {
    const struct parent *p;
};

static enum am_rc compare_with(void *ctx, struct am_training *t, struct am_err *err)
{
    const struct parent *p = ((struct before *)ctx)->p;
    struct am_node *m = am_new_map(t->p.arena);
    t->extra = am_new_map(t->p.arena);
    am_node_set(t->p.arena, m, "model", am_new_str(t->p.arena, p->ref));
    am_node_set(t->p.arena, m, "metrics",
                p->metrics ? am_node_copy(t->p.arena, p->metrics) : am_new_map(t->p.arena));
    am_node_set(t->p.arena, t->extra, "parent", m);
    return am_arena_check(t->p.arena, err);
}

static struct am_node *lost(struct am_arena *a, const struct parent *p, const struct am_node *out)
{
    static const char *const parts[] = {"test", "validation", "train"};
    struct am_node *m = am_new_map(a);
    const struct am_node *now = NULL;
    for (size_t i = 0; i < 3 && !now; i++)
        now = am_node_get(am_node_get(out, "metrics"), parts[i]);
    for (size_t i = 0; p->metrics && now && i < now->map.n; i++) {
        double before, after;
        struct am_node *one = am_new_map(a);
        if (!am_node_as_f64(am_node_get_str(p->metrics, now->map.pairs[i].key), &before) ||
            !am_node_as_f64(now->map.pairs[i].value, &after))
            continue;
        am_node_set(a, one, "parent", am_new_f64(a, before));
        am_node_set(a, one, "now", am_new_f64(a, after));
        am_node_set(a, one, "difference", am_new_f64(a, after - before));
        am_node_set_str(a, m, now->map.pairs[i].key, one);
    }
    return m;
}

static enum am_rc write_recipe(struct am_pipeline *pl, struct am_arena *a,
                               const struct am_single_job *job, const struct parent *p,
                               struct am_str *out, struct am_err *err)
{
    struct am_node *recipe = p->recipe, *model, *train = am_node_get(recipe, "train");
    struct am_buf b;
    if (job->distil || job->type)
        model = student(a, job, p);
    else
        AM_TRY(best_member(pl, a, p, &model, err));
    am_node_set(a, recipe, "model", model);
    am_node_set(a, recipe, "name",
                am_new_str(a, am_arena_printf(a, "%.*s-single", AM_FMT(p->name))));
    if (job->distil) {
        struct am_node *d = am_new_map(a);
        am_node_set(a, d, "from", am_new_str(a, p->ref));
        am_node_set(a, d, "alpha", am_new_f64(a, job->alpha));
        if (!train) {
            train = am_new_map(a);
            am_node_set(a, recipe, "train", train);
        }
        am_node_set(a, train, "distil", d);
    }
    am_buf_init(&b, 1 << 22);
    am_node_to_yaml(recipe, &b);
    *out = am_arena_str(a, am_buf_view(&b));
    am_buf_clear(&b);
    return am_arena_check(a, err);
}

enum am_rc am_pipeline_single(struct am_pipeline *pl, struct am_arena *a,
                              const struct am_single_job *job, struct am_node **out,
                              struct am_err *err)
{
    struct parent p = {0};
    struct before b = {&p};
    struct am_str text;
    if (job->distil && !(job->alpha >= 0 && job->alpha <= 1)) {
        am_fail(err, AM_EUSAGE, "--alpha %g is no share from 0 to 1", job->alpha);
        return AM_EUSAGE;
    }
    AM_TRY(find_parent(pl, a, job->model, &p, err));
    AM_TRY(write_recipe(pl, a, job, &p, &text, err));
    const struct am_recipe_source src = {.text = text, .what = am_tr("the run's recipe")};
    AM_TRY(am_training_once(pl, a, &src, p.dataset.ptr, compare_with, &b, out, err));
    am_node_set(a, *out, "parent", am_new_str(a, p.ref));
    am_node_set(a, *out, "lost", lost(a, &p, *out));
    return am_arena_check(a, err);
}
