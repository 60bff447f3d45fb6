/* `aimass advise DATA --target T`: which model families suit, what they would cost on this machine,
 * what to mend in the data first. Reads and prepares the data as a run would, trains nothing but
 * the calibration of the cost model, registers nothing. One thread. */
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "pipeline/automl.h"
#include "pipeline/automl_int.h"
#include "pipeline/cost_int.h"
#include "pipeline/portfolio.h"

#define CALIBRATION_S 30
#define FOLDS 5

static void note(struct am_arena *a, struct am_node *list, const char *kind, struct am_str text,
                 const char *remedy)
{
    struct am_node *m = am_new_map(a);
    am_node_set(a, m, "kind", am_new_cstr(a, kind));
    am_node_set(a, m, "text", am_new_str(a, text));
    am_node_set(a, m, "remedy", am_new_cstr(a, remedy));
    am_node_push(a, list, m);
}

/* What the data itself says before any model: few rows, imbalance, gaps, zeros, copies. */
static void notes_of_facts(const struct am_prepared *p, const struct am_facts *f,
                           struct am_node *list)
{
    struct am_arena *a = p->arena;
    if (f->n_rows < 200)
        note(a, list, "few_rows",
             am_arena_printf(a,
                             am_tr("%llu training rows: differences between models are mostly "
                                   "chance"),
                             (unsigned long long)f->n_rows),
             am_tr("Bring more rows, or stay with logistic or linear."));
    if (f->n_features > f->n_rows)
        note(a, list, "wide",
             am_arena_printf(a, am_tr("%zu features of %llu rows: models can learn rows by heart"),
                             f->n_features, (unsigned long long)f->n_rows),
             am_tr("Select features, or use a strong penalty."));
    if (f->rarest < 0.1)
        note(a, list, "imbalance",
             am_arena_printf(a, am_tr("the rarest class has %.2g of the rows"), f->rarest),
             am_tr("Judge by log_loss, pr_auc or f1 rather than accuracy; train.class_weights: "
                   "balanced, or a threshold of your own."));
    if (f->missing > 0.05)
        note(a, list, "missing",
             am_arena_printf(a, am_tr("%.2g of the cells are missing"), f->missing),
             am_tr("They are filled and marked; ask why they are missing."));
    if (f->sparsity > 0.8)
        note(a, list, "sparse",
             am_arena_printf(a, am_tr("%.2g of the features are zero"), f->sparsity),
             am_tr("Straight lines and naive_bayes are at home here."));
    if (p->counts.n_leaks > 0)
        note(a, list, "leak",
             am_arena_printf(a,
                             am_tr("%llu rows stand in two parts alike; they were kept on one "
                                   "side"),
                             (unsigned long long)p->counts.n_leaks),
             am_tr("data.clean.duplicates: drop removes them."));
}

static struct am_node *families(struct am_arena *a, const struct am_facts *f,
                                const struct am_family_advice *list, size_t n,
                                const struct am_costs *costs, double *run_s)
{
    struct am_node *out = am_new_list(a);
    const struct am_cost_size size = {(double)f->n_rows, (double)f->n_features,
                                      f->n_classes > 2 ? (double)f->n_classes : 1};
    *run_s = 0;
    for (size_t i = 0; i < n; i++) {
        struct am_node *m = am_new_map(a);
        struct am_cost c;
        am_node_set(a, m, "family", am_new_cstr(a, list[i].family->name));
        am_node_set(a, m, "suits", am_new_bool(a, list[i].suits));
        am_node_set(a, m, "why", am_new_cstr(a, am_tr(list[i].why)));
        if (am_costs_predict(costs, list[i].family->name, &size, &c)) {
            am_node_set(a, m, "fit_seconds", am_new_f64(a, c.fit_s));
            am_node_set(a, m, "latency_us", am_new_f64(a, c.latency_us));
            am_node_set(a, m, "model_bytes", am_new_f64(a, c.model_bytes));
            am_node_set(a, m, "memory_bytes", am_new_f64(a, c.memory_bytes));
            am_node_set(a, m, "measured", am_new_i64(a, (int64_t)c.n_seen));
            if (list[i].suits)
                *run_s += FOLDS * c.fit_s;
        }
        am_node_push(a, out, m);
    }
    return out;
}

static struct am_node *portfolio(struct am_arena *a, const struct am_family_advice *list, size_t n)
{
    struct am_node *out = am_new_list(a);
    for (size_t k = 0; k < 3; k++)
        for (size_t i = 0; i < n; i++) {
            size_t has = 0;
            while (has <= k && list[i].family->portfolio[has])
                has++;
            if (!list[i].suits || has <= k)
                continue;
            struct am_node *m = am_new_map(a);
            am_node_set(a, m, "name",
                        am_new_str(a, am_arena_printf(a, "%s-%zu", list[i].family->name, k + 1)));
            am_node_set(a, m, "model", am_new_cstr(a, list[i].family->portfolio[k]));
            am_node_push(a, out, m);
        }
    return out;
}

static struct am_node *classes(const struct am_prepared *p)
{
    struct am_node *list = am_new_list(p->arena);
    double all = 0;
    for (size_t i = 0; i < am_target_n_classes(p->target); i++)
        all += (double)am_target_class_rows(p->target, i);
    for (size_t i = 0; i < am_target_n_classes(p->target); i++) {
        struct am_node *m = am_new_map(p->arena);
        am_node_set(p->arena, m, "name", am_new_str(p->arena, am_target_class(p->target, i)));
        am_node_set(p->arena, m, "share",
                    am_new_f64(p->arena, (double)am_target_class_rows(p->target, i) / all));
        am_node_push(p->arena, list, m);
    }
    return list;
}

static struct am_node *answer(const struct am_prepared *p, const struct am_facts *f,
                              const struct am_costs *costs, struct am_node *quality)
{
    struct am_arena *a = p->arena;
    struct am_node *out = am_new_map(a);
    struct am_family_advice list[32];
    const size_t n = am_families_advise(f, list);
    double run_s;
    am_node_set(a, out, "rows", am_new_i64(a, (int64_t)p->n_rows));
    am_node_set(a, out, "training_rows", am_new_i64(a, (int64_t)f->n_rows));
    am_node_set(a, out, "columns", am_new_i64(a, (int64_t)f->n_columns));
    am_node_set(a, out, "features", am_new_i64(a, (int64_t)f->n_features));
    am_node_set(a, out, "numbers", am_new_i64(a, (int64_t)f->n_numbers));
    am_node_set(a, out, "categories", am_new_i64(a, (int64_t)f->n_categories));
    am_node_set(a, out, "texts", am_new_i64(a, (int64_t)f->n_texts));
    am_node_set(a, out, "missing", am_new_f64(a, f->missing));
    am_node_set(a, out, "sparsity", am_new_f64(a, f->sparsity));
    am_node_set(a, out, "task", am_new_cstr(a, am_task_name(f->task)));
    am_node_set(a, out, "classes", classes(p));
    am_node_set(a, out, "quality", quality);
    am_node_set(a, out, "families", families(a, f, list, n, costs, &run_s));
    am_node_set(a, out, "portfolio", portfolio(a, list, n));
    am_node_set(a, out, "run_seconds", am_new_f64(a, run_s));
    return out;
}

enum am_rc am_pipeline_advise(struct am_pipeline *pl, struct am_arena *a, const char *source,
                              const char *target, struct am_node **out, struct am_err *err)
{
    struct am_prepared p = {0};
    struct am_costs *costs = NULL;
    struct am_facts facts;
    struct am_node *start, *quality = am_new_list(a);
    enum am_rc rc;
    AM_TRY(am_pipeline_init(pl, a, source, target, NULL, &start, err));
    const struct am_node *warnings = am_node_get(start, "warnings");
    const struct am_recipe_source src = {.text = am_node_str(start, "recipe", ""),
                                         .what = am_tr("recipe")};
    AM_GO(rc, am_prepare_data(&p, pl, a, &src, NULL, err));
    AM_GO(rc, am_prepare_rows(&p, err));
    AM_GO(rc, am_facts_of(&p, &facts, err));
    AM_GO(rc, am_costs_open(am_registry_dir(pl->registry), &costs, err));
    AM_GO(rc, am_costs_calibrate(costs, pl, am_mono_ns() + CALIBRATION_S * 1000000000ull, err));
    notes_of_facts(&p, &facts, quality);
    for (size_t i = 0; warnings && i < warnings->list.n; i++) {
        const struct am_node *w = warnings->list.items[i];
        note(a, quality, am_arena_str(a, am_node_str(w, "kind", "")).ptr,
             am_node_str(w, "text", ""), "");
        am_node_set(a, quality->list.items[quality->list.n - 1], "column",
                    am_new_str(a, am_node_str(w, "column", "")));
    }
    *out = answer(&p, &facts, costs, quality);
    rc = am_arena_check(a, err);
out:
    am_costs_free(costs);
    am_prepared_clear(&p);
    return rc;
}

void am_training_note_cost(const struct am_training *t, double seconds)
{
    const struct am_node *model = am_node_get(t->p.recipe.given, "model");
    const struct am_str type = am_node_str(model, "type", "");
    struct am_err ignored;
    struct am_costs *costs;
    if (!t->run || type.len == 0 || model->map.n != 1) /* other settings, other times */
        return;
    if (am_costs_open(am_registry_dir(t->p.pl->registry), &costs, &ignored) != AM_OK)
        return;
    const size_t c = am_target_n_classes(t->p.target),
                 width = am_features_width(t->fitted.features);
    const struct am_cost_size size = {(double)t->p.counts.n[AM_ROW_TRAIN], (double)width,
                                      c > 2 ? (double)c : 1};
    const struct am_cost seen = {.fit_s = seconds,
                                 .latency_us = am_cost_latency(&t->learned, width),
                                 .model_bytes = (double)am_params_bytes(t->learned.params)};
    am_costs_add(costs, am_arena_str(t->p.arena, type).ptr, &size, &seen);
    am_costs_free(costs);
}
