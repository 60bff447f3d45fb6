/* Shared by the files of api/ only: the server, its loops, one call from request to answer, the
 * route table and the protocols.
 *
 * Each struct am_loop belongs to one thread; a call belongs to its loop, and while its job or its
 * wish runs, to that thread until it comes back through the loop's `done` stack. */
#ifndef AM_API_API_INT_H
#define AM_API_API_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "api/api.h"
#include "api/columns.h"
#include "api/http_conn.h"
#include "api/json_scan.h"
#include "base/base64.h"
#include "platform/serving.h"

#define AM_API_MAX_LOOPS 16
#define AM_API_VERSION "0.1.0"
#define AM_API_IP_BUCKETS 65536

struct am_call;
struct am_route;
struct am_server;

/* ---- protocols: how rows come and how answers go ---- */

/* A V2 output that was asked for. */
struct am_wanted {
    enum am_output output;
    bool binary, binary_set;
    unsigned classification; /* k of "classification": k, 0 = none */
};

struct am_protocol {
    const char *name;
    /* The request's body into call->columns; call->served is set. */
    enum am_rc (*parse)(struct am_call *call, struct am_err *err);
    /* call->result into call->body; sets call->type and call->extra when they differ. */
    enum am_rc (*print)(struct am_call *call, struct am_err *err);
};
extern const struct am_protocol am_protocol_native;    /* /api/v1 */
extern const struct am_protocol am_protocol_v2;        /* Open Inference Protocol */
extern const struct am_protocol am_protocol_predict;   /* TF Serving :predict */
extern const struct am_protocol am_protocol_classify;  /* TF Serving :classify */
extern const struct am_protocol am_protocol_recommend; /* lists of a recommender */
extern const struct am_protocol am_protocol_regress;   /* TF Serving :regress */

/* ---- a call ---- */

enum am_error_style { AM_STYLE_ERROR, AM_STYLE_PROBLEM };

struct am_call {
    struct am_call *next; /* free list or done stack */
    struct am_loop *loop;
    struct am_conn *conn;  /* NULL: answered or gone */
    struct am_request *rq; /* the connection's; valid while conn is set */
    const struct am_route *route;
    struct am_str model, selector; /* decoded, in names[] */
    struct am_str param;           /* a further path parameter */
    char names[3 * 160];
    char request_id[72];
    uint64_t deadline_ns;
    struct am_served *served; /* borrowed while inline, a reference when deferred */
    bool holds_served, parked, wanted_again;
    struct am_columns columns;
    struct am_serve_result result;
    struct am_serve_job job;
    struct am_serve_want want;
    struct am_call *prev_parked, *next_parked;
    struct am_err err;
    /* what a protocol keeps between parse and print */
    struct am_str id; /* V2; in the body */
    struct am_wanted wanted[AM_N_OUTPUTS];
    size_t n_wanted;
    unsigned outputs; /* bits 1 << enum am_output: what the answer holds */
    bool binary_default, column_form;
    bool printed; /* a worker made the answer */
    /* the answer */
    struct am_buf body, binary;
    struct am_buf pixels; /* cells made of a tensor of pixels */
    const char *type;
    char extra[128];
    size_t extra_len;
};

/* ---- routes ---- */

typedef void (*am_handler)(struct am_call *call);

struct am_route {
    enum am_method method;
    const char *pattern;    /* "/v2/models/{model}/versions/{version}/infer" */
    const char *permission; /* what login will ask for: "predict", "read", "metrics", "health" */
    size_t max_body;        /* bytes; 0 = no body is read */
    const char *request, *response; /* names of schemas in openapi.c; NULL = none */
    const char *summary;
    enum am_error_style style;
    am_handler handler;
    const struct am_protocol *protocol; /* of predictions */
};
extern const struct am_route am_routes[];
extern const size_t am_n_routes;

/* Fills route and parameters; AM_ENOTFOUND, AM_EUNSUPPORTED (the method; `allow` lists the others),
 * AM_EINVAL (a malformed name). */
enum am_rc am_route_find(struct am_call *call, struct am_str method_name, enum am_method method,
                         struct am_str path, struct am_buf *allow,
                         struct am_err *err) AM_MUST_CHECK;

/* handlers */
void am_handle_predict(struct am_call *call);
void am_handle_v2_server(struct am_call *call);
void am_handle_live(struct am_call *call);
void am_handle_ready(struct am_call *call);
void am_handle_v2_model(struct am_call *call);
void am_handle_v2_model_ready(struct am_call *call);
void am_handle_v2_stats(struct am_call *call);
void am_handle_v2_index(struct am_call *call);
void am_handle_tfs_status(struct am_call *call);
void am_handle_tfs_metadata(struct am_call *call);
void am_handle_models(struct am_call *call);
void am_handle_model(struct am_call *call);
void am_handle_metrics(struct am_call *call);
void am_handle_tfs_metrics(struct am_call *call);
void am_handle_healthz(struct am_call *call);
void am_handle_openapi(struct am_call *call);

/* The model of the path in the catalogue; NULL and err when it is not there (then am_call_want). */
const struct am_catalog_model *am_call_model(struct am_call *call, struct am_err *err);
/* The loaded version of the path; NULL: the call was answered or waits for the loader. */
struct am_served *am_call_served(struct am_call *call);
/* It was not found: let the loader look again, then run the handler again; fails with err when it
 * did. */
void am_call_want(struct am_call *call, const struct am_err *err);

/* ---- answering ---- */

void am_call_reply(struct am_call *call, int status); /* body, type, extra of the call */
void am_call_fail(struct am_call *call, const struct am_err *err);
void am_call_fail_status(struct am_call *call, int status, const struct am_err *err);
int am_api_status(const struct am_err *err);
void am_call_extra(struct am_call *call, const char *fmt, ...) AM_PRINTF(2, 3);

/* A call comes back from a worker or the loader, on its loop. */
void am_call_resume(struct am_call *call);
void am_call_gone(void *loop, struct am_conn *c); /* am_http.gone */
void am_calls_expire(struct am_loop *l);          /* every tick */

/* ---- rows in JSON (rows.c) ---- */

/* One value for the cell; lists of one value are opened when `unwrap`. */
enum am_unwrap { AM_CELL_PLAIN, AM_CELL_UNWRAP };
bool am_js_cell(struct am_js *js, struct am_columns *c, size_t column, size_t row,
                enum am_unwrap unwrap);
/* {"b64": text}, decoded in place. */
bool am_js_bytes(struct am_js *js, enum am_base64 alphabet, struct am_str *out);
/* Fails: the cell wants something else than k; always false. */
bool am_js_wrong_kind(struct am_js *js, const struct am_columns *c, size_t column, size_t row,
                      enum am_js_kind k);
/* {"column": value, …} into row c->n_rows. */
bool am_js_row_object(struct am_js *js, const struct am_serve_info *info, struct am_columns *c,
                      enum am_unwrap unwrap);
/* [value, …] in input order into row c->n_rows. */
bool am_js_row_list(struct am_js *js, const struct am_serve_info *info, struct am_columns *c);
/* A new row. */
bool am_js_row_next(struct am_js *js, struct am_columns *c);
/* The nearest column name as a hint for an unknown one. */
void am_hint_columns(struct am_err *err, const struct am_serve_info *info, struct am_str name);

/* ---- pictures and sounds (media.c) ---- */

/* Is the one thing that a row needs a picture or a sound? */
bool am_media_only(const struct am_serve_info *info);
/* Is a picture as lists of pixels next? Nothing is consumed. */
bool am_pixel_lists_next(const struct am_js *js, enum am_col_type type);
/* [height][width] or [height][width][1, 3 or 4], 0 to 255, made the raw form where the text stood.
 */
bool am_pixel_lists(struct am_js *js, const struct am_columns *c, size_t column, size_t row,
                    struct am_str *out);
/* Base64 text, {"b64": text}, or of a picture lists of pixels, into the cell. */
bool am_media_cell(struct am_js *js, struct am_columns *c, size_t column, size_t row);
/* Is {"b64": ...} next, and may it stand for the row itself? Nothing is consumed. */
bool am_media_bare(struct am_js *js, const struct am_serve_info *info);
/* Is the body itself a file, by its content type and the model? */
bool am_media_is_body(const struct am_request *rq, const struct am_serve_info *info);
/* The body as the one row. */
enum am_rc am_media_body(struct am_call *call, struct am_err *err) AM_MUST_CHECK;
/* Looks at every cell's header: AM_EINVAL with row, column and verdict; AM_ELIMIT over what one
 * request may decode. Decoders run here: never on an event loop. */
enum am_rc am_media_check(const struct am_columns *c, struct am_err *err) AM_MUST_CHECK;

/* ---- outputs (outputs.c): masks are bits 1 << enum am_output ---- */

unsigned am_outputs_of(const struct am_serve_info *info);      /* that the model has */
unsigned am_outputs_default(const struct am_serve_info *info); /* when a request names none */
const char *am_output_datatype(enum am_output o);              /* "FP32" */
/* What of one row it is, without the rows; rank 0: one value, written [rows]. */
struct am_dims am_output_dims(const struct am_serve_info *info, enum am_output o);
bool am_output_find(const struct am_serve_info *info, struct am_str name, enum am_output *out);
/* Adds the output of a native name to the mask. AM_EINVAL: the model has none of that name. */
enum am_rc am_output_native(const struct am_serve_info *info, struct am_str name, unsigned *mask,
                            struct am_err *err) AM_MUST_CHECK;
/* The call answers with these; set before predicting. */
void am_outputs_want(struct am_call *call, unsigned mask);
/* ?outputs=a,b of the request, when it is there. */
enum am_rc am_outputs_query(struct am_call *call, struct am_err *err) AM_MUST_CHECK;
/* One row's value of an output as JSON; {"label": ..} of all that the call wants. */
void am_output_print(struct am_buf *b, const struct am_serve_info *info,
                     const struct am_serve_result *r, enum am_output o, size_t row);
void am_outputs_print_row(struct am_buf *b, const struct am_call *call, size_t row);

void am_print_number(struct am_buf *b, double v);
void am_print_f32(struct am_buf *b, float v);
void am_print_u64(struct am_buf *b, uint64_t v);
/* The class label as JSON text. */
void am_print_label(struct am_buf *b, const struct am_serve_info *info, int32_t label);

/* ---- the server ---- */

struct am_loop {
    struct am_server *server;
    unsigned slot;
    uv_loop_t uv;
    uv_tcp_t listeners[2];
    unsigned n_listeners;
    uv_async_t wake;
    uv_timer_t tick;
    uv_check_t check;
    pthread_t thread;
    bool started, stopping, closing;
    struct am_http http;
    struct am_call *free_calls;
    struct am_call *parked;
    size_t n_parked, n_open_calls;
    _Atomic(struct am_call *) done; /* pushed by workers and the loader */
    uint64_t inline_ns;             /* spent in this wake-up */
    uint64_t n_ids;
    _Atomic uint64_t busy_since_ns; /* 0 = waiting */
    _Atomic uint64_t max_busy_ns;
    uint64_t drain_until_ns;
};

struct am_server {
    struct am_api_options options;
    struct am_http_limits limits;
    struct am_serve *serve; /* borrowed from serve_owner */
    void *serve_owner;
    void (*end_serve)(void *owner); /* called before the loops are freed; NULL = nothing to do */
    struct am_loop *loops;          /* [n_loops + 1]; the last one is the control loop */
    unsigned n_loops;
    int fds[AM_API_MAX_LOOPS + 1][2];
    int port, admin_port;
    char url[96];
    _Atomic bool draining, hurry;
    unsigned n_threads;
    _Atomic bool live; /* the loops may be woken */
    uv_signal_t on_term, on_int;
    struct am_buf openapi;
    uint64_t started_ns;
    _Atomic uint16_t *by_ip; /* [AM_API_IP_BUCKETS] */
};

/* am_api_serve in steps, for tests: sockets, threads, end. */
enum am_rc am_server_bind(struct am_server *s, const struct am_api_options *o,
                          const struct am_http_limits *limits, struct am_err *err) AM_MUST_CHECK;
enum am_rc am_server_start(struct am_server *s, struct am_serve *serve,
                           struct am_err *err) AM_MUST_CHECK;
unsigned am_api_cpus(void);              /* that this process may use, at least 1 */
void am_server_changed(void *server);    /* for am_serve_options.changed */
void am_server_run(struct am_server *s); /* until stopped; on the calling thread */
void am_server_clear(struct am_server *s);

/* Route a request (for fuzzing and tests; the loops do this). */
void am_server_handle(void *loop, struct am_conn *c, struct am_request *rq);
bool am_host_allowed(const struct am_server *s, struct am_str host);
bool am_origin_allowed(struct am_str origin, struct am_str host);

#endif
