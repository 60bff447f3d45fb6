/* Loaded model versions: found by name, version or alias; loaded beside the old one; swapped by
 * reference count; run inline or through a bounded queue; counted.
 *
 * Knows neither HTTP nor where packages lie: a source (serve/source.h) lists and loads. Event loops
 * never block here: find, predict and submit take no lock on the usual way and allocate nothing
 * after warm-up. Every event loop uses its own slot number (0 .. n_slots-1) in all calls. */
#ifndef AM_SERVE_SERVE_H
#define AM_SERVE_SERVE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/tree.h"
#include "tensor/frame.h"
#include "tensor/task.h"
#include "tensor/tensor.h"

struct am_serve;
struct am_served; /* one loaded version; reference-counted, immutable but for its counters */

/* What a face must know of a version; lives as long as the reference to it. */
struct am_serve_info {
    struct am_str model;
    int64_t version;
    struct am_str version_text; /* "3" */
    uint64_t uid;               /* never the same for two loads */
    enum am_task task;
    struct am_schema inputs;  /* columns that a request brings, in order */
    bool all_numbers;         /* every input is a number or a boolean */
    bool has_media;           /* an input is a picture or a sound: never on an event loop */
    bool plain_names;         /* no name of an input needs an escape in JSON */
    const struct am_str *ids; /* [n_ids] id columns: accepted in rows, not used */
    size_t n_ids;
    struct am_str target; /* name of the predicted column; may be empty (rows are learned) */
    const struct am_str *classes; /* [n_classes] labels; binary: the second is the positive */
    const struct am_str *quoted;  /* [n_classes] the labels as JSON text */
    size_t n_classes;             /* 0 without classes */
    double threshold;             /* binary, anomaly */
    bool densities; /* clustering: `value` is a log density, `embedding` are memberships */
    /* anomaly, embedding and clustering, as in model.h: */
    size_t n_embedding, n_restored;
    struct am_dims restored_shape;
    const struct am_str *restored; /* [n_restored] columns; NULL = pixels, or a sound's channels */
};

/* Answers of n_rows rows. The caller owns the arrays and keeps them between calls. */
struct am_serve_result {
    size_t n_rows, n_classes;
    float *probability; /* [n_rows, n_classes] classification */
    int32_t *label;     /* [n_rows] class index, classification; 1 = an anomaly; cluster */
    double *value;      /* [n_rows] regression; the anomaly score; clustering: as am_answer */
    unsigned wanted;    /* the caller's, before predicting: enum am_serve_wanted */
    float *embedding;   /* [n_rows, n_embedding] when wanted */
    double *restored;   /* [n_rows, n_restored] when wanted */
    size_t cap_probability, cap_label, cap_value, cap_embedding, cap_restored;
    uint64_t compute_ns;
};
/* Answers that are made only when they are asked for; the values of enum am_wanted_output. */
enum am_serve_wanted { AM_SERVE_EMBEDDING = 1, AM_SERVE_RESTORED = 2 };
enum am_rc am_serve_result_reserve(struct am_serve_result *r, size_t n_rows, size_t n_classes,
                                   struct am_err *err) AM_MUST_CHECK;
/* The same for a model, with what its task and `wanted` ask for. */
enum am_rc am_serve_result_fit(struct am_serve_result *r, size_t n_rows,
                               const struct am_serve_info *info, struct am_err *err) AM_MUST_CHECK;
void am_serve_result_clear(struct am_serve_result *r);

/* ---- the catalogue: an immutable picture of what there is ---- */

enum am_version_state { AM_VERSION_KNOWN, AM_VERSION_READY, AM_VERSION_FAILED };

struct am_catalog_version {
    int64_t number;
    enum am_version_state state;
    struct am_str why;            /* FAILED: the reason */
    struct am_str package;        /* hash */
    struct am_served *served;     /* READY; the catalogue holds a reference */
    const struct am_node *detail; /* VERSION of registry.h */
    int64_t failed_us;            /* mono, of the failure */
};
struct am_catalog_alias {
    struct am_str name;
    size_t version; /* index of its version */
    size_t
        serving; /* index of the version that answers (the old one until the new one is loaded) */
};
struct am_catalog_model {
    struct am_str name;
    struct am_catalog_version *versions; /* ascending by number */
    size_t n_versions;
    struct am_catalog_alias *aliases;
    size_t n_aliases;
    size_t serving;               /* index of the version that answers the bare name */
    const struct am_node *detail; /* MODEL of registry.h */
};
struct am_catalog {
    struct am_catalog_model *models; /* sorted by name */
    size_t n_models;
    uint64_t generation;
};

/* ---- life ---- */

struct am_serve_source;
struct am_serve_options {
    unsigned n_slots;    /* event loops, at least 1 */
    unsigned n_workers;  /* threads for slow predictions; 0 = 1 */
    unsigned poll_ms;    /* how often the source is asked for changes; 0 = 250 */
    unsigned max_loaded; /* versions kept in memory; 0 = 64 */
    unsigned max_queued; /* requests waiting for workers; 0 = 1024 */
    unsigned inline_us;  /* highest measured p99 that still runs on the loop; 0 = 100 */
    /* Called on any thread when the catalogue changed: wake the loops, which call am_serve_sync. */
    void (*changed)(void *ctx);
    void *ctx;
};
/* Starts the loader and the workers. The source is taken over, also on failure. */
enum am_rc am_serve_new(const struct am_serve_options *o, struct am_serve_source *source,
                        struct am_serve **out, struct am_err *err) AM_MUST_CHECK;
/* All requests must be answered before. NULL is fine. */
void am_serve_free(struct am_serve *s);
/* Has the catalogue been read, and every default version been loaded or failed? Any thread. */
bool am_serve_ready(const struct am_serve *s);
bool am_serve_alive(const struct am_serve *s); /* the source still answers */

/* ---- from an event loop ---- */

/* Let go of an older catalogue of this slot. */
void am_serve_sync(struct am_serve *s, unsigned slot);
/* The newest catalogue; valid until this slot's next am_serve_find, _sync or _catalog. */
const struct am_catalog *am_serve_catalog(struct am_serve *s, unsigned slot);
/* selector: empty = the model's newest version, digits = that version, else an alias. *out is
 * borrowed until this slot's next call of am_serve_find or _sync. AM_EBUSY: not loaded now or not
 * known yet; am_serve_want asks for it. */
enum am_rc am_serve_find(struct am_serve *s, unsigned slot, struct am_str model,
                         struct am_str selector, struct am_served **out,
                         struct am_err *err) AM_MUST_CHECK;
const struct am_catalog_model *am_catalog_find(const struct am_catalog *c, struct am_str model);
/* NULL when there is none; the version that `selector` names, loaded or not. */
const struct am_catalog_version *am_catalog_select(const struct am_catalog_model *m,
                                                   struct am_str selector);

/* Ask the loader for a model's version, looking at the source again when it is unknown. The caller
 * owns the struct until `done` ran (on the loader's thread, exactly once when this returns AM_OK).
 */
struct am_serve_want {
    struct am_serve_want *next;
    struct am_str model, selector; /* borrowed until done */
    void (*done)(struct am_serve_want *w);
    enum am_rc rc; /* AM_OK: find it again */
    struct am_err err;
};
enum am_rc am_serve_want(struct am_serve *s, struct am_serve_want *w,
                         struct am_err *err) AM_MUST_CHECK;

struct am_served *am_served_ref(struct am_served *v);
void am_served_unref(struct am_served *v);
const struct am_serve_info *am_served_info(const struct am_served *v);

/* Lists of a recommender as JSON (model.h: am_model_recommend, whose numbers `what` has). */
enum am_serve_list { AM_SERVE_RECOMMEND_ITEMS, AM_SERVE_SIMILAR_ITEMS, AM_SERVE_SIMILAR_USERS };
enum am_rc am_served_recommend(struct am_served *v, enum am_serve_list what, struct am_str name,
                               size_t n, struct am_buf *out, struct am_err *err) AM_MUST_CHECK;

/* May n_rows run here and now? By the p99 measured at that row count. */
bool am_serve_inline(const struct am_serve *s, const struct am_served *v, size_t n_rows);
/* batch: the inputs' columns in order. Grows r as needed. Any slot, its own thread only. */
enum am_rc am_serve_predict(struct am_serve *s, unsigned slot, struct am_served *v,
                            const struct am_batch *batch, struct am_serve_result *r,
                            struct am_err *err) AM_MUST_CHECK;

/* For workers: a batch to predict, or with `work` anything else that a version is needed for (never
 * joined with others; it sets rc and err itself). The caller owns the struct and what it points to
 * until `done` ran (on a worker). */
struct am_serve_job {
    struct am_serve_job *next;
    struct am_served *served; /* a reference that the caller holds */
    const struct am_batch *batch;
    struct am_serve_result *result;
    uint64_t deadline_ns; /* am_mono_ns; 0 = none */
    void (*done)(struct am_serve_job *job);
    void (*work)(struct am_serve_job *job, unsigned slot); /* NULL = predict `batch` */
    enum am_rc rc;
    struct am_err err;
    uint64_t queued_ns, queue_ns; /* when, how long */
    uint64_t cost_ns;             /* estimated; given by the caller with `work` */
};
/* AM_EBUSY: the queue is full, or the work before it takes longer than the deadline leaves. */
enum am_rc am_serve_submit(struct am_serve *s, struct am_serve_job *job,
                           struct am_err *err) AM_MUST_CHECK;

/* ---- counters ---- */

#define AM_SERVE_BUCKETS 24 /* 5 us * 1.8^k, the last one open */
enum am_serve_outcome {
    AM_SERVED_OK,
    AM_SERVED_REJECTED, /* queue full, over the deadline */
    AM_SERVED_CANCELED,
    AM_SERVED_BACKEND, /* the model failed */
    AM_SERVED_OTHER    /* bad input */
};
#define AM_SERVE_OUTCOMES 5

struct am_serve_counts {
    uint64_t requests[AM_SERVE_OUTCOMES];
    uint64_t rows, runs; /* rows answered, executions */
    uint64_t request_ns, queue_ns, compute_ns;
    uint64_t bucket[AM_SERVE_BUCKETS]; /* request durations of AM_SERVED_OK */
    int64_t last_us;                   /* wall, of the last request */
};
uint64_t am_serve_bucket_ns(unsigned k); /* upper edge; UINT64_MAX for the last */
/* One answered request, on its loop's slot. */
struct am_serve_times {
    uint64_t now_ns, request_ns, queue_ns, compute_ns;
};
void am_serve_count(struct am_served *v, unsigned slot, enum am_serve_outcome outcome, size_t rows,
                    const struct am_serve_times *t);
void am_served_counts(const struct am_served *v, struct am_serve_counts *out);
double am_served_load_seconds(const struct am_served *v);
uint64_t am_served_p99_ns(const struct am_served *v, size_t n_rows); /* 0 = not measured */
size_t am_serve_queued(const struct am_serve *s);

#endif
