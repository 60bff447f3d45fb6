/* The registry: datasets, experiments, runs, checkpoints, models, versions, aliases, tags of one
 * workspace.
 *
 * Rows live in store/records.h, bytes in store/blobs.h; this is the only module that knows both. It
 * stores and finds; it does not train, open packages or judge metrics. Answers are am_node trees in
 * the caller's arena, in the shapes documented here (the CLI and the API print them unchanged).
 * Acknowledged = durable: a call that returns AM_OK has its blobs synced and its rows committed. A
 * registry may be used by any thread, and the workspace by several processes at once; it must not
 * be used after fork(). Refs: "NAME", "NAME@3", "NAME@alias" (aliases are never all digits); runs
 * by id or unique prefix (>= 6). */
#ifndef AM_REGISTRY_REGISTRY_H
#define AM_REGISTRY_REGISTRY_H

#include <stdbool.h>

#include "base/sha256.h"
#include "base/tree.h"

struct am_registry;
struct am_registry_lock;
struct am_run; /* a run that this process executes */

/* ---- workspace ---- */

struct am_registry_options {
    const char *workspace; /* directory; made (0700) when absent; NFS and the like are refused */
    const char *project;   /* NULL = "default" */
    const char *owner;     /* who writes; NULL = the login name, else "uid-N" */
};

/* Opens or makes the workspace; migrates an older one after a backup. AM_EUNSUPPORTED: the
 * workspace was written by a newer program, or lies on a network file system; AM_ECORRUPT: not a
 * records file. */
enum am_rc am_registry_open(const struct am_registry_options *o, struct am_registry **out,
                            struct am_err *err) AM_MUST_CHECK;
void am_registry_close(struct am_registry *r); /* NULL is fine; close runs first */

const char *am_registry_dir(const struct am_registry *r); /* the workspace; until close */
/* A directory of this process for temporary files, on the blobs' file system; removed at close,
 * swept by the next open after a crash. */
const char *am_registry_scratch(const struct am_registry *r);
/* Grows whenever a model, version, alias or tag of one changed, in any process. Cheap (no
 * transaction, no disk): poll it. 0 is never returned on success. */
enum am_rc am_registry_generation(struct am_registry *r, uint64_t *out,
                                  struct am_err *err) AM_MUST_CHECK;

/* Roles that one process at a time may hold (flock; freed by the kernel when it dies). */
enum am_registry_role {
    AM_ROLE_SERVE,
    AM_ROLE_SCHEDULE,
    AM_ROLE_GC,
    AM_ROLE_MIGRATE,
    AM_ROLE_BACKUP
};
/* AM_EBUSY when another process (or this one) has it. */
enum am_rc am_registry_role_take(struct am_registry *r, enum am_registry_role role,
                                 struct am_registry_lock **out, struct am_err *err) AM_MUST_CHECK;
void am_registry_role_drop(struct am_registry_lock *l); /* NULL is fine */

/* ---- lists ---- */

/* filter: comparisons joined by `and` over
 *     metrics.KEY  params.KEY  tags.KEY  attributes.NAME (or just NAME)
 * KEY may hold dots; quote it with "…" or `…` when it holds anything outside [A-Za-z0-9_.-/].
 * Operators = != > >= < <= LIKE ILIKE IN (…) (NOT LIKE, NOT ILIKE, NOT IN); text in '…' ('' is a
 * quote), numbers plain. LIKE's % and _ as in SQL, ILIKE ignores ASCII case. Errors are AM_EUSAGE
 * with the position. order_by: "attributes.started desc", "metrics.test.accuracy", several by
 * commas; NaN and absent last. attributes of runs: run name experiment state started ended seconds
 * dataset seed git_commit profile owner parent error; of models: model created updated versions
 * latest aliases owner; of versions: model version created run dataset task package bytes owner; of
 * datasets: dataset name version rows bytes created source owner; of experiments: experiment
 * created runs owner. started/ended/created/updated compare with '2026-11-21' or
 * '2026-11-21T13:00:00Z'.
 */
struct am_registry_list {
    const char *filter;   /* NULL = all */
    const char *order_by; /* NULL = newest first */
    int64_t limit;        /* 0 = 100; at most 10000 */
    int64_t offset;
};

/* ---- files of datasets, runs and versions ---- */

struct am_registry_file {
    const char *name; /* "part-0000.parquet", "report.html", "plots/roc.svg": relative, no "..", no
                         leading '/' */
    const char *path; /* read from here, or NULL: */
    struct am_str bytes;
    const char *media;  /* "text/html"; NULL = unknown */
    bool take;          /* the file at path is given away: moved where it can be, gone afterwards */
    const char *sha256; /* with take: hex hash taken while the file was written; NULL = read it */
};

enum am_registry_kind {
    AM_KIND_DATASET,
    AM_KIND_RUN,
    AM_KIND_MODEL,
    AM_KIND_VERSION,
    AM_KIND_EXPERIMENT
};

/* Path of a stored file (immutable, local; valid while it is referenced) into the arena. kind
 * DATASET, RUN or VERSION (name NULL: the package). */
enum am_rc am_registry_file_path(struct am_registry *r, struct am_arena *a,
                                 enum am_registry_kind kind, const char *ref, const char *name,
                                 const char **out, struct am_err *err) AM_MUST_CHECK;
/* Whole file, its hash checked (AM_ECORRUPT). */
enum am_rc am_registry_file_read(struct am_registry *r, enum am_registry_kind kind, const char *ref,
                                 const char *name, struct am_buf *out,
                                 struct am_err *err) AM_MUST_CHECK;

/* ---- datasets ---- */

struct am_dataset_spec {
    const char *name;   /* am_name_valid */
    const char *hash;   /* 64 hex: of the canonical content, the dataset's identity */
    const char *source; /* as the person wrote it; may be NULL */
    uint64_t n_rows;
    const struct am_node *schema;  /* map or list; may be NULL */
    const struct am_node *profile; /* may be NULL */
    const struct am_registry_file *files;
    size_t n_files;
};

/* DATASET = {dataset: hash, name, version, rows, bytes, created, source, owner, tags: {}}
 * and with _get: schema, profile, files: [{name, blob, bytes, media, path}], runs: [id…] */

/* The same name and hash again answers the version that exists (new: false in the answer). ->
 * DATASET + {new: bool} */
enum am_rc am_registry_dataset_add(struct am_registry *r, struct am_arena *a,
                                   const struct am_dataset_spec *spec, struct am_node **out,
                                   struct am_err *err) AM_MUST_CHECK;
/* Takes back what am_registry_dataset_add just made (new: true), as if it had not been added: the
 * number is given to the next one. ref: NAME@3. AM_ECONFLICT when something refers to it by now. */
enum am_rc am_registry_dataset_withdraw(struct am_registry *r, struct am_arena *a, const char *ref,
                                        struct am_err *err) AM_MUST_CHECK;
/* ref: NAME (newest), NAME@3, or the hash or >= 8 digits of it. -> DATASET */
enum am_rc am_registry_dataset_get(struct am_registry *r, struct am_arena *a, const char *ref,
                                   struct am_node **out, struct am_err *err) AM_MUST_CHECK;
/* -> {datasets: [DATASET], total} */
enum am_rc am_registry_datasets(struct am_registry *r, struct am_arena *a,
                                const struct am_registry_list *l, struct am_node **out,
                                struct am_err *err) AM_MUST_CHECK;

/* ---- runs ---- */

/* RUN = {run, name, experiment, state, started, ended|null, seconds|null, dataset|null, seed|null,
 *   git_commit|null, profile|null, parent|null, owner, error|null, params: {key: text},
 *   metrics: {"test.accuracy": last value}, tags: {}}
 * and with _get: recipe (resolved, text), recipe_given (text), environment: {…},
 *   history: {"train.loss": [{step, value, time}]}, artefacts: [{name, blob, bytes, media, path}],
 *   checkpoints: [{step, bytes, created}], log: text (its last 256 KiB), versions: [{model,
 * version}] state: running | finished | failed | canceled | interrupted (its process is gone; can
 * be resumed). */

struct am_run_spec { /* NULL = unknown; only `name` must be given at the start */
    const char *name;
    const char *experiment;   /* NULL = the name; made when absent */
    const char *recipe;       /* resolved, YAML */
    const char *recipe_given; /* as the person wrote it, with --set applied */
    const char *dataset;      /* hash; must exist */
    const char *git_commit;
    const char *profile; /* numerics profile */
    const char *parent;  /* run id */
    const uint64_t *seed;
    const struct am_node *environment; /* map */
    const struct am_node *params;      /* map; nested maps become dotted keys */
    const struct am_node *tags;        /* flat map of text */
};

/* Makes the run in state running and holds its lock until close. *out is freed by am_run_close. */
enum am_rc am_run_start(struct am_registry *r, const struct am_run_spec *spec, struct am_run **out,
                        struct am_err *err) AM_MUST_CHECK;
/* Take up an interrupted, failed or canceled run again: state running. Metrics after `after_step`
 * are removed (they will be logged again); INT64_MAX keeps all. AM_ECONFLICT: it runs or has
 * finished. */
enum am_rc am_run_resume(struct am_registry *r, const char *id, int64_t after_step,
                         struct am_run **out, struct am_err *err) AM_MUST_CHECK;
/* 32 hex digits; until close. */
const char *am_run_id(const struct am_run *run);
/* Fields that became known later; those that are NULL stay. Params of existing keys must be equal
 * (AM_ECONFLICT). */
enum am_rc am_run_update(struct am_run *run, const struct am_run_spec *spec,
                         struct am_err *err) AM_MUST_CHECK;

struct am_metric_point {
    const char *key; /* "train.loss", "validation.accuracy" */
    int64_t step;
    double value; /* not finite is allowed */
};
/* Buffered: durable after am_run_flush, am_run_finish, or (on a later call) one second or 1024
 * points. */
enum am_rc am_run_metrics(struct am_run *run, const struct am_metric_point *points, size_t n,
                          struct am_err *err) AM_MUST_CHECK;
/* A log line; buffered in the same way. Never fails loudly: when the log is over its limit (4 MiB)
 * the rest is dropped and counted. Fits am_log_capture's signature: ctx = the run. Thread-safe. */
void am_run_log(void *run, const char *line, size_t n);
enum am_rc am_run_flush(struct am_run *run, struct am_err *err) AM_MUST_CHECK;
/* Durable at once. The same name again replaces. */
enum am_rc am_run_artefact(struct am_run *run, const struct am_registry_file *file,
                           struct am_err *err) AM_MUST_CHECK;
/* Durable at once, after the buffered metrics; keeps the newest `n_keep` (>= 1) of the run. */
enum am_rc am_run_checkpoint(struct am_run *run, int64_t step, const void *bytes, size_t n,
                             unsigned n_keep, struct am_err *err) AM_MUST_CHECK;

/* A trial of the run's search that ended: durable at once, the same number of the same study again
 * replaces. A run may hold several studies (one around each outer fold). */
enum am_rc am_run_trial(struct am_run *run, int64_t study, int64_t number,
                        const struct am_node *body, struct am_err *err) AM_MUST_CHECK;
/* -> [{study, number, body}], by study and number; run: id or unique prefix */
enum am_rc am_registry_trials(struct am_registry *r, struct am_arena *a, const char *run,
                              struct am_node **out, struct am_err *err) AM_MUST_CHECK;

enum am_run_state { AM_RUN_FINISHED, AM_RUN_FAILED, AM_RUN_CANCELED };
/* why: the error's message for FAILED, else NULL. Flushes. The handle still has to be closed. */
enum am_rc am_run_finish(struct am_run *run, enum am_run_state state, const char *why,
                         struct am_err *err) AM_MUST_CHECK;
/* Frees the handle and its lock. Without finish the run shows as interrupted. NULL is fine. */
void am_run_close(struct am_run *run);

/* The newest checkpoint whose bytes are intact. AM_ENOTFOUND when there is none. */
enum am_rc am_registry_checkpoint_read(struct am_registry *r, const char *run, int64_t *step,
                                       struct am_buf *out, struct am_err *err) AM_MUST_CHECK;
/* -> RUN with everything */
enum am_rc am_registry_run_get(struct am_registry *r, struct am_arena *a, const char *id,
                               struct am_node **out, struct am_err *err) AM_MUST_CHECK;
/* -> {runs: [RUN], total} */
enum am_rc am_registry_runs(struct am_registry *r, struct am_arena *a,
                            const struct am_registry_list *l, struct am_node **out,
                            struct am_err *err) AM_MUST_CHECK;
/* -> {experiments: [{experiment, runs, created, owner, tags}], total} */
enum am_rc am_registry_experiments(struct am_registry *r, struct am_arena *a,
                                   const struct am_registry_list *l, struct am_node **out,
                                   struct am_err *err) AM_MUST_CHECK;

/* ---- models and versions ---- */

/* A model without versions is in no list and cannot be tagged; am_registry_model_get still shows
 * its history, and its next version goes on counting. */
/* MODEL = {model, versions: n, latest: number|null, aliases: {name: number}, tags: {}, created,
 * updated, owner} and with _get: list: [VERSION], history: [{alias, action, from|null, to|null,
 * who, time}] newest first VERSION = {model, version, package: sha256, bytes, created, owner,
 * run|null, dataset|null, task|null, metrics: {key: value}, aliases: [name], tags: {}} and with
 * _get: path, lineage: {…}, manifest: {…} */

struct am_version_spec {
    const char *model;   /* made when absent */
    const char *package; /* path of a complete .aim file; copied into the blobs */
    const char *run;     /* id or NULL */
    const char *dataset; /* hash or NULL; must exist when given */
    const char *task;    /* or NULL */
    const char *alias;   /* set in the same transaction; or NULL */
    const char
        *idempotency_key; /* 1..255 bytes or NULL: the same key with the same package and model
                           * answers the version that exists; with another, AM_ECONFLICT */
    const struct am_node *metrics;  /* map; nested maps become dotted keys */
    const struct am_node *lineage;  /* map or NULL */
    const struct am_node *manifest; /* the package's, or NULL */
    const struct am_node *tags;     /* flat map of text */
};
/* Importing a package is this, too. -> VERSION + {new: bool} */
enum am_rc am_registry_version_add(struct am_registry *r, struct am_arena *a,
                                   const struct am_version_spec *spec, struct am_node **out,
                                   struct am_err *err) AM_MUST_CHECK;

/* Another package of the same version in the place of `old` (its hash): the same model with a
 * signature. AM_ECONFLICT when the version has another package by now. -> VERSION with everything
 */
enum am_rc am_registry_version_repack(struct am_registry *r, struct am_arena *a, const char *ref,
                                      const char *old, const char *path, struct am_node **out,
                                      struct am_err *err) AM_MUST_CHECK;

struct am_version_ref {
    char model[129];
    int64_t version;
    char package[AM_SHA256_HEX]; /* the blob's hash */
    char path[4096];             /* of the package: local, immutable */
};
/* The one function that understands MODEL, MODEL@3 and MODEL@champion. MODEL alone = its highest
 * version. AM_ENOTFOUND names what is missing and what there is; AM_EUSAGE for a malformed ref. */
enum am_rc am_registry_resolve(struct am_registry *r, const char *ref, struct am_version_ref *out,
                               struct am_err *err) AM_MUST_CHECK;
/* -> {models: [MODEL], total} */
enum am_rc am_registry_models(struct am_registry *r, struct am_arena *a,
                              const struct am_registry_list *l, struct am_node **out,
                              struct am_err *err) AM_MUST_CHECK;
/* -> {versions: [VERSION], total}, of all models */
enum am_rc am_registry_versions(struct am_registry *r, struct am_arena *a,
                                const struct am_registry_list *l, struct am_node **out,
                                struct am_err *err) AM_MUST_CHECK;
enum am_rc am_registry_model_get(struct am_registry *r, struct am_arena *a, const char *model,
                                 struct am_node **out, struct am_err *err) AM_MUST_CHECK;
enum am_rc am_registry_version_get(struct am_registry *r, struct am_arena *a, const char *ref,
                                   struct am_node **out, struct am_err *err) AM_MUST_CHECK;
/* Atomic and durable copy of the package, hash checked on the way. -> {model, version, path, bytes,
 * package} */
enum am_rc am_registry_version_export(struct am_registry *r, struct am_arena *a, const char *ref,
                                      const char *path, struct am_node **out,
                                      struct am_err *err) AM_MUST_CHECK;

/* ---- aliases and tags ---- */

/* ref names the version (MODEL, MODEL@3 or MODEL@other). All three -> {model, alias, from|null,
 * to|null} */
enum am_rc am_registry_alias_set(struct am_registry *r, struct am_arena *a, const char *ref,
                                 const char *alias, struct am_node **out,
                                 struct am_err *err) AM_MUST_CHECK;
enum am_rc am_registry_alias_remove(struct am_registry *r, struct am_arena *a, const char *model,
                                    const char *alias, struct am_node **out,
                                    struct am_err *err) AM_MUST_CHECK;
/* Back to where the alias pointed before its last move that was not undone yet; undoing the first
 * set removes it. AM_ENOTFOUND when nothing is left to undo, AM_ECONFLICT when that version is
 * gone. */
enum am_rc am_registry_alias_undo(struct am_registry *r, struct am_arena *a, const char *model,
                                  const char *alias, struct am_node **out,
                                  struct am_err *err) AM_MUST_CHECK;
/* value NULL removes. Keys: 1..250 bytes of UTF-8 without control characters; values up to 8000.
 * -> {kind, ref, tags: {}} */
enum am_rc am_registry_tag(struct am_registry *r, struct am_arena *a, enum am_registry_kind kind,
                           const char *ref, const char *key, const char *value,
                           struct am_node **out, struct am_err *err) AM_MUST_CHECK;

/* ---- removal ---- */

/* what: run id, MODEL, MODEL@VERSION, NAME[@VERSION] of a dataset or its hash (a model wins over a
 * dataset of the same name). AM_ECONFLICT says what still refers to it: a version by an alias, a
 * run by a version or while it runs, a dataset by a run or a version. Bytes go with the next gc. ->
 * {removed, kind, rows} */
enum am_rc am_registry_rm(struct am_registry *r, struct am_arena *a, const char *what,
                          struct am_node **out, struct am_err *err) AM_MUST_CHECK;
enum am_registry_gc { AM_REGISTRY_GC_REAL, AM_REGISTRY_GC_DRY_RUN };
/* Two phases: blobs without a row are noted; those noted at least grace_s seconds ago and still
 * without a row are removed (grace_s 0: at once). AM_EBUSY when another gc runs.
 * -> {mode, blobs: removed, bytes, marked: waiting, marked_bytes, kept, kept_bytes} */
enum am_rc am_registry_gc(struct am_registry *r, struct am_arena *a, int64_t grace_s,
                          enum am_registry_gc mode, struct am_node **out,
                          struct am_err *err) AM_MUST_CHECK;
/* Reads every referenced blob. -> {checked, bytes, bad: [{blob, kind, ref, name, problem}]} */
enum am_rc am_registry_scrub(struct am_registry *r, struct am_arena *a, struct am_node **out,
                             struct am_err *err) AM_MUST_CHECK;
/* Consistent copy of the records while others write. */
enum am_rc am_registry_backup_records(struct am_registry *r, const char *path,
                                      struct am_err *err) AM_MUST_CHECK;

#endif
