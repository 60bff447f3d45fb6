/* The steps of a recipe: look at data, plan, train, resume, evaluate, predict, verify.
 *
 * Each step takes what platform/ wired (registry, tables, pool) and answers a tree in the caller's
 * arena, in the shapes that platform.h documents. Steps hold no state between calls; one step at a
 * time on one struct am_pipeline. Not here: names of drivers, printing, HTTP. */
#ifndef AM_PIPELINE_PIPELINE_H
#define AM_PIPELINE_PIPELINE_H

#include "base/progress.h"
#include "base/tree.h"

struct am_pool;
struct am_registry;
struct am_tables;

struct am_pipeline {
    struct am_registry *registry;
    struct am_pool *pool;         /* NULL = one thread */
    uint64_t memory_limit_bytes;  /* of data held in RAM; beyond it rows go to files */
    struct am_progress *progress; /* NULL = nobody watches */
    /* The table engine, opened at first use; the pointer lives as long as the pipeline. */
    enum am_rc (*tables)(void *ctx, struct am_tables **out, struct am_err *err);
    void *tables_ctx;
    /* Of a worker, which never opens the records (registry NULL): the dataset as
     * am_registry_dataset_get shows it, and a directory for temporary files. */
    const struct am_node *dataset;
    const char *scratch;
};
/* Where temporary files go; as long as registry or scratch live. */
const char *am_pipeline_scratch(const struct am_pipeline *p);

/* A recipe as text; `base_dir` is where relative sources start (the recipe's folder). */
struct am_recipe_source {
    struct am_str text;
    const char *what;        /* for messages */
    const char *base_dir;    /* NULL = the working directory */
    const char *const *sets; /* [n_sets] "a.b=c" */
    size_t n_sets;
    bool foreign; /* somebody else sent it: it may name no file of this machine (train.weights) */
};

/* task: "anomaly" or "embedding", then target may be NULL; or NULL. */
enum am_rc am_pipeline_init(struct am_pipeline *p, struct am_arena *a, const char *source,
                            const char *target, const char *task, struct am_node **out,
                            struct am_err *err) AM_MUST_CHECK;
enum am_rc am_pipeline_profile(struct am_pipeline *p, struct am_arena *a, const char *source,
                               const char *target, struct am_node **out,
                               struct am_err *err) AM_MUST_CHECK;
enum am_rc am_pipeline_plan(struct am_pipeline *p, struct am_arena *a,
                            const struct am_recipe_source *r, struct am_node **out,
                            struct am_err *err) AM_MUST_CHECK;
enum am_rc am_pipeline_train(struct am_pipeline *p, struct am_arena *a,
                             const struct am_recipe_source *r, struct am_node **out,
                             struct am_err *err) AM_MUST_CHECK;
/* The learning-rate range test (learn.h); 0 = its own defaults. */
struct am_pipeline_rate_job {
    double lowest, highest;
    size_t n_steps;
    const char *page; /* HTML file to write; NULL = none */
};
enum am_rc am_pipeline_find_rate(struct am_pipeline *p, struct am_arena *a,
                                 const struct am_recipe_source *r,
                                 const struct am_pipeline_rate_job *job, struct am_node **out,
                                 struct am_err *err) AM_MUST_CHECK;
enum am_rc am_pipeline_resume(struct am_pipeline *p, struct am_arena *a, const char *run,
                              struct am_node **out, struct am_err *err) AM_MUST_CHECK;
/* The run's search: as its report has it, or the trials so far. AM_ENOTFOUND: it has none. */
enum am_rc am_pipeline_study(struct am_pipeline *p, struct am_arena *a, const char *run,
                             struct am_node **out, struct am_err *err) AM_MUST_CHECK;
enum am_rc am_pipeline_evaluate(struct am_pipeline *p, struct am_arena *a, const char *model,
                                const char *source, struct am_node **out,
                                struct am_err *err) AM_MUST_CHECK;
enum am_rc am_pipeline_verify(struct am_pipeline *p, struct am_arena *a, const char *model,
                              struct am_node **out, struct am_err *err) AM_MUST_CHECK;

enum am_pipeline_format { AM_PIPELINE_AUTO, AM_PIPELINE_CSV, AM_PIPELINE_JSON };
struct am_pipeline_predict_job {
    const char *model;
    const char *const *sources; /* [n_sources] files, globs or folders; 0 = bytes */
    size_t n_sources;
    struct am_str bytes;
    enum am_pipeline_format format;
    enum am_pipeline_format otherwise; /* AUTO, and the input is neither CSV nor JSON */
    const char *outputs; /* names with commas between; NULL = what the task answers with usually */
    enum am_rc (*write)(void *ctx, const char *bytes, size_t n, struct am_err *err);
    void *ctx;
};
enum am_rc am_pipeline_predict(struct am_pipeline *p, struct am_arena *a,
                               const struct am_pipeline_predict_job *r, struct am_node **out,
                               struct am_err *err) AM_MUST_CHECK;

/* As am_platform_recommend. */
enum am_rc am_pipeline_recommend(struct am_pipeline *pl, struct am_arena *a, const char *model,
                                 unsigned what, const char *name, size_t n, struct am_node **out,
                                 struct am_err *err) AM_MUST_CHECK;

struct am_pipeline_explain_job {
    const char *model;
    const char *source;     /* file, folder or archive; NULL = bytes */
    struct am_str bytes;    /* CSV or JSON */
    uint64_t row;           /* from 1; 0 = the first */
    const char *class_name; /* NULL = the predicted one */
    const char *page;       /* an HTML file to write; NULL = none */
};
enum am_rc am_pipeline_explain(struct am_pipeline *p, struct am_arena *a,
                               const struct am_pipeline_explain_job *r, struct am_node **out,
                               struct am_err *err) AM_MUST_CHECK;

#endif
