/* Where versions come from: lists what there is and loads one. Two of them: the registry in this
 * process, and the registry in a loader process of its own (for a server that gave up root).
 *
 * All calls come from the loader's thread, one at a time, and may block. */
#ifndef AM_SERVE_SOURCE_H
#define AM_SERVE_SOURCE_H

#include "serve/serve.h"

struct am_serve_model_ops {
    /* What one thread needs to predict; made at its first use. */
    enum am_rc (*state_new)(void *impl, void **out, struct am_err *err);
    void (*state_free)(void *impl, void *state);
    /* r is reserved for batch->n_rows. Thread-safe over different states. */
    enum am_rc (*predict)(void *impl, void *state, const struct am_batch *batch,
                          struct am_serve_result *r, struct am_err *err);
    /* Rows to warm up and measure with, valid until the next call; n_rows <= the wish; 0 lets go of
     * them. */
    enum am_rc (*sample)(void *impl, size_t n_rows, struct am_batch *out, struct am_err *err);
    /* As am_model_recommend; NULL = this model recommends nothing. Thread-safe. */
    enum am_rc (*recommend)(void *impl, unsigned what, struct am_str name, size_t n,
                            struct am_buf *out, struct am_err *err);
    void (*free)(void *impl);
};
struct am_serve_model {
    const struct am_serve_model_ops *ops;
    void *impl;                /* owned */
    struct am_serve_info info; /* borrowed from impl; model and version are set by serve */
};

struct am_serve_source_ops {
    /* Grows when anything changed; cheap. */
    enum am_rc (*generation)(void *impl, uint64_t *out, struct am_err *err);
    /* -> list of MODEL (registry.h), each with list: [VERSION] */
    enum am_rc (*catalog)(void *impl, struct am_arena *a, struct am_node **out, struct am_err *err);
    enum am_rc (*load)(void *impl, const char *model, int64_t version, struct am_serve_model *out,
                       struct am_err *err);
    void (*free)(void *impl);
};
struct am_serve_source {
    const struct am_serve_source_ops *ops;
    void *impl; /* owned */
};

struct am_registry;
/* The registry in this process; it is taken over (closed at free), also on failure. */
enum am_rc am_source_registry(struct am_registry *r, struct am_serve_source *out,
                              struct am_err *err) AM_MUST_CHECK;

/* The same answers over a socket: am_source_serve runs in the process that may read the workspace
 * (until the peer closes), am_source_remote in the one that must not. Only lists, numbers and
 * read-only package descriptors cross: packages are parsed on the far side. */
enum am_rc am_source_remote(int socket, struct am_serve_source *out,
                            struct am_err *err) AM_MUST_CHECK;
enum am_rc am_source_serve(struct am_registry *r, int socket, struct am_err *err) AM_MUST_CHECK;
/* Answer the first question with an error: the registry could not be opened. */
bool am_source_send_error(int socket, const struct am_err *err);

#endif
