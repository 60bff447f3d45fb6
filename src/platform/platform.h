/* The in-process API that every face uses: cli/ and api/ include this (and serving.h beside it),
 * tensor/ and base/, nothing else of the product.
 *
 * A command takes plain arguments and returns a tree in the caller's arena; the tree is what
 * `--json` prints and what the HTTP API answers. Nothing here prints. Long commands report through
 * the progress object and stop at a set cancel flag (training then writes a checkpoint). One
 * platform per process; its commands may be called from one thread at a time, serving from many. */
#ifndef AM_PLATFORM_PLATFORM_H
#define AM_PLATFORM_PLATFORM_H

#include "base/progress.h"
#include "base/tree.h"

struct am_platform;

struct am_platform_options {
    const char *workspace;        /* directory; NULL = $AIMASS_WORKSPACE or ~/.aimass */
    const char *program;          /* argv[0], to find the install folder; NULL = /proc/self/exe */
    unsigned n_threads;           /* 0 = all cores */
    uint64_t memory_limit_bytes;  /* 0 = 70 % of the machine or cgroup */
    struct am_progress *progress; /* borrowed; NULL = nobody watches */
};

/* Opens nothing heavy: the records at first need, DuckDB at first table. */
enum am_rc am_platform_open(const struct am_platform_options *o, struct am_platform **out,
                            struct am_err *err) AM_MUST_CHECK;
void am_platform_close(struct am_platform *p);
const char *am_platform_workspace(const struct am_platform *p); /* until close */
/* Before a server gives up root: opens what of the workspace it still uses then (kernel-choices).
 */
void am_platform_hold(struct am_platform *p);

/* A recipe: a file, or text with a name for messages; `sets` are "a.b=c" strings. */
struct am_recipe_ref {
    const char *path; /* NULL when text is given */
    struct am_str text;
    const char *const *sets; /* [n_sets] */
    size_t n_sets;
    bool foreign; /* text that somebody else sent (an HTTP body): train.weights is refused */
};

/* Starter recipe. target NULL: the class of pictures, sounds or videos in class folders, else
 * AM_EUSAGE; with task "anomaly" or "embedding" (else NULL) there need not be one. -> {recipe:
 * text, task, target, columns: [{name, type, why}], warnings: [text]}
 */
enum am_rc am_platform_init(struct am_platform *p, struct am_arena *a, const char *source,
                            const char *target, const char *task, struct am_node **out,
                            struct am_err *err) AM_MUST_CHECK;
/* -> {source, rows, columns: [{name, type, why, count, missing, …}], warnings: […]}; target may be
 * NULL */
enum am_rc am_platform_profile(struct am_platform *p, struct am_arena *a, const char *source,
                               const char *target, struct am_node **out,
                               struct am_err *err) AM_MUST_CHECK;
/* -> {recipe: resolved tree, yaml: text, task, columns: […], split: {train, validation, test,
 * dropped}, features: n, parameters: n, memory_bytes: n, layers: [{…}]} */
enum am_rc am_platform_plan(struct am_platform *p, struct am_arena *a,
                            const struct am_recipe_ref *r, struct am_node **out,
                            struct am_err *err) AM_MUST_CHECK;
/* -> {run, model, version, package, metrics: {train, validation, test, baseline}, intervals,
 * advice, report: path of the HTML, dataset, seconds} */
enum am_rc am_platform_train(struct am_platform *p, struct am_arena *a,
                             const struct am_recipe_ref *r, struct am_node **out,
                             struct am_err *err) AM_MUST_CHECK;
struct am_find_rate_request {
    double lowest, highest; /* learning rates; 0 = 1e-7 and 1 */
    size_t n_steps;         /* 0 = 100, at most 1000 */
    const char *page;       /* an HTML file to write with the curve; NULL = none */
};
/* The learning-rate range test: one short training whose rate rises from step to step; nothing is
 * kept. -> {name, dataset, rates: [..], losses: [..] (smoothed), suggestion|null, learning_rate:
 * the recipe's, page|null}. AM_EUNSUPPORTED: a model that is not trained step by step */
enum am_rc am_platform_find_rate(struct am_platform *p, struct am_arena *a,
                                 const struct am_recipe_ref *r,
                                 const struct am_find_rate_request *q, struct am_node **out,
                                 struct am_err *err) AM_MUST_CHECK;
/* Continue an interrupted run from its checkpoint; the same tree. */
enum am_rc am_platform_resume(struct am_platform *p, struct am_arena *a, const char *run,
                              struct am_node **out, struct am_err *err) AM_MUST_CHECK;
/* The search of a run (`tune`): as in its report, or the trials so far. -> {run, name, state,
 * objectives, trials: [{number, status, values, why, metrics, seconds, ..}], best, importance,
 * nested: [{fold, trials}], ..} */
enum am_rc am_platform_study(struct am_platform *p, struct am_arena *a, const char *run,
                             struct am_node **out, struct am_err *err) AM_MUST_CHECK;
/* Was the program started by itself, to run trials? Then am_platform_worker is all that main does;
 * the exit code. */
bool am_platform_is_worker(int argc, char **argv);
int am_platform_worker(char **argv);
/* MODEL[@VERSION|@alias] on new data that has the target. -> {model, version, rows, metrics, …} */
enum am_rc am_platform_evaluate(struct am_platform *p, struct am_arena *a, const char *model,
                                const char *source, struct am_node **out,
                                struct am_err *err) AM_MUST_CHECK;

enum am_data_format { AM_FORMAT_AUTO, AM_FORMAT_CSV, AM_FORMAT_JSON };
struct am_predict_request {
    const char *model;             /* MODEL[@VERSION|@alias] or a path that ends in .aim */
    const char *const *sources;    /* [n_sources] files, globs, folders of pictures or sounds */
    size_t n_sources;              /* 0 = the bytes below */
    struct am_str bytes;           /* CSV with header, JSON list of objects, JSON Lines */
    enum am_data_format format;    /* of the output too; AUTO: as the input is */
    enum am_data_format otherwise; /* AUTO and pictures or sounds: CSV (AUTO, too) or JSON */
    const char *outputs; /* "embedding,anomaly_score"; NULL = what the model usually answers with */
    enum am_rc (*write)(void *ctx, const char *bytes, size_t n,
                        struct am_err *err); /* output chunks */
    void *ctx;
};
/* Streams; id columns pass through. Pictures and sounds as sources: a row each, with its file's
 * name and without the class; what cannot be read is left out and told, an error when nothing is
 * left.
 * -> {model, version, rows, files: {files, n_bad, bad: [{file, reason}], notes} for these} */
enum am_rc am_platform_predict(struct am_platform *p, struct am_arena *a,
                               const struct am_predict_request *r, struct am_node **out,
                               struct am_err *err) AM_MUST_CHECK;
/* Lists of a recommender. what: 0 = items for the user NAME, 1 = items like the item NAME, 2 =
 * users like the user NAME; n: 1..1000. -> {model, version, user | item, known, note, items |
 * users: [{item | user, score}]}; a user that training never saw gets what is popular, known is
 * false and the note says so. AM_ENOTFOUND: no such item, or user of 2; AM_EINVAL: the model
 * recommends nothing. */
enum am_rc am_platform_recommend(struct am_platform *p, struct am_arena *a, const char *model,
                                 unsigned what, const char *name, size_t n, struct am_node **out,
                                 struct am_err *err) AM_MUST_CHECK;
struct am_explain_request {
    const char *model;      /* MODEL[@VERSION|@alias] or a path that ends in .aim */
    const char *source;     /* a picture, a sound, a folder or archive of them, CSV, JSON; NULL = */
    struct am_str bytes;    /* these bytes of CSV or JSON */
    uint64_t row;           /* of the source, from 1; 0 = the first */
    const char *class_name; /* which class to explain; NULL = the predicted one */
    const char *page;       /* an HTML file to write, whole in itself; NULL = none */
};
/* Why a model answers what it answers to one row. An effect is what the probability (or the value)
 * loses without the part. -> {model, version, file, row, kind: image|audio|text|table, prediction:
 * {label, probability} | {value}, explained, classes: [{label, probability}], words: [{column,
 * words: [{text, effect}]}], columns: [{column, value, effect}], and for pictures and sounds, each
 * with PNGs as "data:" texts: input, saliency: [{method, picture}], filters, activations: [{layer,
 * shape, picture}]; page: its path} */
enum am_rc am_platform_explain(struct am_platform *p, struct am_arena *a,
                               const struct am_explain_request *r, struct am_node **out,
                               struct am_err *err) AM_MUST_CHECK;
/* The best model that a budget allows: families compared, tuned, combined. budget: "5m", "90s", or
 * NULL with trials alone. -> as train, and {recipe, leaderboard: [{name, family, origin, status,
 * loss, deviation, fit_seconds, latency_us, bytes, chosen, model}], search: {metric, folds,
 * budget_seconds, trials, finished, chosen, best_single, loss, why, skipped: [{family, reason}]}}
 */
struct am_auto_request {
    const char *source, *target;
    const char *budget;
    uint64_t n_trials;       /* at most; 0 = as the budget allows */
    double latency_us;       /* one row is answered in at most this; 0 = as it comes */
    const char *const *sets; /* [n_sets] "a.b=c" */
    size_t n_sets;
};
enum am_rc am_platform_auto(struct am_platform *p, struct am_arena *a,
                            const struct am_auto_request *r, struct am_node **out,
                            struct am_err *err) AM_MUST_CHECK;
/* Which families of models suit the data and what they cost here. -> {rows, training_rows, columns,
 * features, task, classes: [{name, share}], quality: [{kind, text, remedy}], families: [{family,
 * suits, why, fit_seconds, latency_us, model_bytes, memory_bytes, measured}], portfolio: [{name,
 * model}], run_seconds} */
enum am_rc am_platform_advise(struct am_platform *p, struct am_arena *a, const char *source,
                              const char *target, struct am_node **out,
                              struct am_err *err) AM_MUST_CHECK;
/* One model in place of another (an ensemble), as MODEL-single. -> as train, and {parent, lost:
 * {metric: {parent, now, difference}}} */
struct am_single_request {
    const char *model; /* MODEL[@VERSION|@alias] */
    const char *type;  /* of the new model; NULL = the best member, or what can be taught best */
    bool distil;       /* learn from the model's answers, too */
    double alpha;      /* their share of the target */
};
enum am_rc am_platform_single(struct am_platform *p, struct am_arena *a,
                              const struct am_single_request *r, struct am_node **out,
                              struct am_err *err) AM_MUST_CHECK;
/* Retrain from the recorded recipe and dataset, compare the weight bits.
 * -> {model, version, run, promise: "bits"|"tolerance", equal: bool, max_difference, profile:
 * {then, now}} */
enum am_rc am_platform_verify(struct am_platform *p, struct am_arena *a, const char *model,
                              struct am_node **out, struct am_err *err) AM_MUST_CHECK;

struct am_list_options {
    const char *filter;   /* filter expression or NULL */
    const char *order_by; /* "metrics.test.accuracy desc" or NULL */
    int64_t limit;        /* 0 = 100 */
    int64_t offset;
};
/* -> {runs: [{run, name, experiment, state, started, seconds, params, metrics, tags, dataset, …}],
 * total} */
enum am_rc am_platform_runs(struct am_platform *p, struct am_arena *a,
                            const struct am_list_options *o, struct am_node **out,
                            struct am_err *err) AM_MUST_CHECK;
/* One run with everything: params, metrics by step, artefacts, log, environment, recipe. */
enum am_rc am_platform_run_show(struct am_platform *p, struct am_arena *a, const char *run,
                                struct am_node **out, struct am_err *err) AM_MUST_CHECK;
/* -> {runs: […], params: {key: [values]}, metrics: {…}} only what differs, and the metrics. */
enum am_rc am_platform_compare(struct am_platform *p, struct am_arena *a, const char *const *runs,
                               size_t n_runs, struct am_node **out,
                               struct am_err *err) AM_MUST_CHECK;
/* -> {datasets: [{dataset, name, version, rows, bytes, created}], total} */
enum am_rc am_platform_datasets(struct am_platform *p, struct am_arena *a,
                                const struct am_list_options *o, struct am_node **out,
                                struct am_err *err) AM_MUST_CHECK;
/* -> {models: [{model, versions, latest, aliases: {name: version}, tags, …}], total} */
enum am_rc am_platform_models(struct am_platform *p, struct am_arena *a,
                              const struct am_list_options *o, struct am_node **out,
                              struct am_err *err) AM_MUST_CHECK;
enum am_rc am_platform_model_show(struct am_platform *p, struct am_arena *a, const char *model,
                                  struct am_node **out, struct am_err *err) AM_MUST_CHECK;
/* Point an alias of MODEL@VERSION; NULL alias version = remove; "undo" goes back one step in
 * history. */
enum am_alias_action { AM_ALIAS_SET, AM_ALIAS_REMOVE, AM_ALIAS_UNDO };
enum am_rc am_platform_model_alias(struct am_platform *p, struct am_arena *a, const char *model,
                                   const char *alias, enum am_alias_action action,
                                   struct am_node **out, struct am_err *err) AM_MUST_CHECK;
/* value NULL removes the tag. `model` may name a version. */
enum am_rc am_platform_model_tag(struct am_platform *p, struct am_arena *a, const char *model,
                                 const char *key, const char *value, struct am_node **out,
                                 struct am_err *err) AM_MUST_CHECK;
enum am_rc am_platform_model_export(struct am_platform *p, struct am_arena *a, const char *model,
                                    const char *path, struct am_node **out,
                                    struct am_err *err) AM_MUST_CHECK;
/* name NULL = the package's own. Once a key is pinned in the workspace, a package signed by another
 * one is refused (AM_EPERM). -> VERSION + {signature} */
enum am_rc am_platform_model_import(struct am_platform *p, struct am_arena *a, const char *path,
                                    const char *name, struct am_node **out,
                                    struct am_err *err) AM_MUST_CHECK;
/* The same, and refuses a package that is not signed (AM_EPERM). */
enum am_rc am_platform_model_import_signed(struct am_platform *p, struct am_arena *a,
                                           const char *path, const char *name, struct am_node **out,
                                           struct am_err *err) AM_MUST_CHECK;
/* A fresh Ed25519 pair, the secret in a file of mode 0600, the public one pinned.
 * -> {name, key: hex, signs: true, public: path, secret: path} */
enum am_rc am_platform_key_new(struct am_platform *p, struct am_arena *a, const char *name,
                               struct am_node **out, struct am_err *err) AM_MUST_CHECK;
/* -> {keys: [{name, key, signs: has its secret here, public: path}], total} */
enum am_rc am_platform_keys(struct am_platform *p, struct am_arena *a, struct am_node **out,
                            struct am_err *err) AM_MUST_CHECK;
/* Pins a public key (PEM file) of somebody else. -> as in keys */
enum am_rc am_platform_key_trust(struct am_platform *p, struct am_arena *a, const char *name,
                                 const char *file, struct am_node **out,
                                 struct am_err *err) AM_MUST_CHECK;
/* -> {removed, kind} */
enum am_rc am_platform_key_rm(struct am_platform *p, struct am_arena *a, const char *name,
                              struct am_node **out, struct am_err *err) AM_MUST_CHECK;
/* The version's package becomes the same one with a signature. -> VERSION + {signature: {key,
 * signer, trusted}} */
enum am_rc am_platform_model_sign(struct am_platform *p, struct am_arena *a, const char *ref,
                                  const char *key, struct am_node **out,
                                  struct am_err *err) AM_MUST_CHECK;
/* A version, or a file that ends in .aim. AM_EPERM: unsigned, or by a key that is not pinned;
 * AM_ECORRUPT: the signature is wrong. -> {model, version | path, signature} */
enum am_rc am_platform_model_signature(struct am_platform *p, struct am_arena *a, const char *ref,
                                       struct am_node **out, struct am_err *err) AM_MUST_CHECK;
/* what: a run id, MODEL, MODEL@VERSION or dataset. Refuses what is still referenced and says by
 * what. */
enum am_rc am_platform_rm(struct am_platform *p, struct am_arena *a, const char *what,
                          struct am_node **out, struct am_err *err) AM_MUST_CHECK;
enum am_gc_mode { AM_GC_REAL, AM_GC_DRY_RUN };
/* -> {blobs, bytes, mode} */
enum am_rc am_platform_gc(struct am_platform *p, struct am_arena *a, enum am_gc_mode mode,
                          struct am_node **out, struct am_err *err) AM_MUST_CHECK;
/* -> {ok: bool, checks: [{name, ok, found, remedy}]} */
enum am_rc am_platform_doctor(struct am_platform *p, struct am_arena *a, struct am_node **out,
                              struct am_err *err) AM_MUST_CHECK;
/* The JSON Schema of recipes; the recipe keys as a Markdown table. */
enum am_rc am_platform_schema(struct am_arena *a, struct am_node **out,
                              struct am_err *err) AM_MUST_CHECK;
void am_platform_recipe_markdown(struct am_buf *out);
/* The matrix of docs/LEARNERS.md. */
void am_platform_learners_markdown(struct am_buf *out);

#endif
