/* The parent's side of trial workers: starts them, hands out tasks, hears reports and results, and
 * buries those that die. */
#include "pipeline/farm.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/pool.h"
#include "pipeline/wire.h"
#include "registry/registry.h"

#define WORKER_FD 3
#define SHARE_OF_WORKERS 2 /* of the memory limit: the parent keeps the other part */

extern char **environ;

struct worker {
    pid_t pid; /* 0 = none */
    int fd;
    bool busy, spoke; /* spoke: it has prepared the data */
    uint64_t id;      /* of its task */
    struct am_buf in; /* what has come of the next frame */
    char scratch[4200];
};

struct am_farm {
    const struct am_prepared *p; /* borrowed */
    struct am_arena *arena;      /* owned */
    struct am_node *job;         /* without scratch */
    struct worker workers[AM_FARM_WORKERS_MAX];
    unsigned n;
    unsigned n_started;
    size_t n_metrics;
};

/* ---- the job ---- */

static enum am_rc dataset_node(struct am_farm *f, struct am_node **out, struct am_err *err)
{
    struct am_arena *a = f->arena;
    struct am_node *d;
    AM_TRY(am_registry_dataset_get(f->p->pl->registry, a, f->p->hash.ptr, &d, err));
    *out = am_new_map(a);
    am_node_set(a, *out, "dataset", am_node_get(d, "dataset"));
    am_node_set(a, *out, "name", am_node_get(d, "name"));
    am_node_set(a, *out, "version", am_node_get(d, "version"));
    am_node_set(a, *out, "files", am_node_get(d, "files"));
    am_node_set(a, *out, "profile", am_node_get(d, "profile"));
    am_node_set(a, *out, "schema", am_dataset_schema_to_node(&f->p->dataset_schema, a));
    return am_arena_check(a, err);
}

static enum am_rc make_job(struct am_farm *f, const struct am_farm_options *o, struct am_err *err)
{
    struct am_arena *a = f->arena;
    struct am_node *job = am_new_map(a), *metrics = am_new_list(a), *dataset;
    unsigned threads = o->n_threads / o->n_workers;
    uint64_t memory = f->p->pl->memory_limit_bytes / SHARE_OF_WORKERS / o->n_workers;
    struct am_buf yaml;
    AM_TRY(dataset_node(f, &dataset, err));
    am_buf_init(&yaml, 1 << 22);
    am_node_to_yaml(f->p->recipe.given, &yaml);
    am_node_set(a, job, "recipe", am_new_str(a, am_buf_view(&yaml)));
    enum am_rc rc = am_buf_check(&yaml, err);
    am_buf_clear(&yaml);
    AM_TRY(rc);
    for (size_t i = 0; i < o->n_metrics; i++)
        am_node_push(a, metrics, am_new_str(a, o->metrics[i]));
    am_node_set(a, job, "name", am_new_str(a, f->p->name));
    am_node_set(a, job, "base_dir", am_new_cstr(a, f->p->base_dir));
    am_node_set(a, job, "foreign", am_new_bool(a, f->p->foreign));
    am_node_set(a, job, "dataset", dataset);
    am_node_set(a, job, "metrics", metrics);
    am_node_set(a, job, "weights", am_new_cstr(a, o->weights_path));
    am_node_set(a, job, "threads", am_new_i64(a, threads ? threads : 1));
    am_node_set(a, job, "memory", am_new_i64(a, (int64_t)memory));
    am_node_set(a, job, "rows", am_new_i64(a, (int64_t)f->p->n_rows));
    char hash[AM_SHA256_HEX];
    unsigned char sum[AM_SHA256_BYTES];
    AM_TRY(am_sha256(f->p->parts, (size_t)f->p->n_rows, sum, err));
    am_sha256_hex(sum, hash);
    am_node_set(a, job, "parts", am_new_cstr(a, hash));
    f->job = job;
    return am_arena_check(a, err);
}

enum am_rc am_farm_new(const struct am_prepared *p, const struct am_farm_options *o,
                       struct am_farm **out, struct am_err *err)
{
    struct am_farm *f = am_calloc(1, sizeof *f);
    enum am_rc rc;
    if (!f)
        return am_fail_nomem(err, sizeof *f);
    f->p = p;
    f->n = o->n_workers < 1                     ? 1
           : o->n_workers > AM_FARM_WORKERS_MAX ? AM_FARM_WORKERS_MAX
                                                : o->n_workers;
    f->n_metrics = o->n_metrics;
    for (unsigned i = 0; i < f->n; i++) {
        f->workers[i].fd = -1;
        am_buf_init(&f->workers[i].in, (size_t)1 << 37);
    }
    f->arena = am_arena_new(0);
    if (!f->arena)
        AM_GO(rc, am_fail_nomem(err, sizeof(void *)));
    rc = make_job(f, o, err);
out:
    if (rc == AM_OK)
        *out = f;
    else
        am_farm_free(f);
    return rc;
}

/* ---- a worker's life ---- */

/* Kills it if need be, and says how it ended. */
static void bury(struct worker *w, char *why, size_t cap)
{
    int status = 0;
    pid_t gone = 0;
    if (cap)
        why[0] = 0;
    if (w->pid) {
        if (cap == 0) /* nobody wants to know: it is in the way */
            (void)kill(w->pid, SIGKILL);
        do
            gone = waitpid(w->pid, &status, 0);
        while (gone < 0 && errno == EINTR);
    }
    if (cap && gone > 0 && WIFSIGNALED(status))
        snprintf(why, cap, am_tr("its process was ended by signal %d (%s)"), WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else if (cap)
        snprintf(why, cap, am_tr("its process ended with code %d"),
                 gone > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    if (w->fd >= 0)
        close(w->fd);
    am_buf_clear(&w->in);
    am_buf_init(&w->in, (size_t)1 << 37);
    if (w->scratch[0] && am_fs_exists(w->scratch))
        if (am_fs_remove_tree(w->scratch, NULL) != AM_OK)
            am_log(AM_LOG_WARN, "farm", "cannot remove %s", w->scratch);
    w->pid = 0;
    w->fd = -1;
    w->busy = w->spoke = false;
    w->scratch[0] = 0;
}

void am_farm_free(struct am_farm *f)
{
    if (!f)
        return;
    for (unsigned i = 0; i < f->n; i++) {
        bury(&f->workers[i], NULL, 0);
        am_buf_clear(&f->workers[i].in);
    }
    am_arena_free(f->arena);
    am_free(f);
}

/* In a process group of its own: Ctrl-C is for the program that it works for. */
static enum am_rc spawn(struct worker *w, int theirs, struct am_err *err)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    char parent[24];
    sigset_t none;
    (void)snprintf(parent, sizeof parent, "%lld", (long long)getpid());
    char name[] = "aimass", command[] = AM_FARM_COMMAND;
    char *argv[] = {name, command, parent, NULL};
    sigemptyset(&none);
    int e = posix_spawn_file_actions_init(&files);
    if (e)
        return am_fail_errno(err, e, "cannot start a trial worker");
    e = posix_spawnattr_init(&attr);
    if (e == 0) {
        e = posix_spawn_file_actions_adddup2(&files, theirs, WORKER_FD);
        if (e == 0)
            e = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
        if (e == 0)
            e = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
        if (e == 0)
            e = posix_spawnattr_setpgroup(&attr, 0);
        if (e == 0)
            e = posix_spawnattr_setsigmask(&attr, &none);
        if (e == 0)
            e = posix_spawn(&w->pid, "/proc/self/exe", &files, &attr, argv, environ);
        (void)posix_spawnattr_destroy(&attr);
    }
    (void)posix_spawn_file_actions_destroy(&files);
    if (e) {
        w->pid = 0;
        return am_fail_errno(err, e, "cannot start a trial worker");
    }
    return AM_OK;
}

static enum am_rc start_worker(struct am_farm *f, struct worker *w, struct am_err *err)
{
    int pair[2];
    struct am_node *scratch;
    enum am_rc rc;
    if (snprintf(w->scratch, sizeof w->scratch, "%s/worker-%u", am_pipeline_scratch(f->p->pl),
                 f->n_started++) >= (int)sizeof w->scratch)
        return am_fail(err, AM_ELIMIT, "the workspace's path is too long");
    AM_TRY(am_fs_mkdirs(w->scratch, err));
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return am_fail_errno(err, errno, "cannot make a socket for a trial worker");
    w->fd = pair[0];
    rc = spawn(w, pair[1], err);
    close(pair[1]);
    scratch = am_new_cstr(f->arena, w->scratch);
    am_node_set(f->arena, f->job, "scratch", scratch);
    if (rc == AM_OK)
        rc = am_arena_check(f->arena, err);
    if (rc == AM_OK)
        rc = am_wire_send(w->fd, f->job, NULL, 0, err);
    if (rc != AM_OK)
        bury(w, NULL, 0);
    return rc;
}

size_t am_farm_n_idle(const struct am_farm *f)
{
    size_t n = 0;
    for (unsigned i = 0; i < f->n; i++)
        n += !f->workers[i].busy;
    return n;
}

static struct am_node *task_node(struct am_arena *a, const struct am_farm_task *t)
{
    struct am_node *m = am_new_map(a), *sets = am_new_map(a);
    for (size_t i = 0; i < t->n_sets; i++)
        am_node_set_str(a, sets, t->sets[i].path, am_new_str(a, t->sets[i].value));
    am_node_set(a, m, "folds", am_new_i64(a, (int64_t)t->folds));
    am_node_set(a, m, "outer", am_new_i64(a, (int64_t)t->outer));
    am_node_set(a, m, "sets", sets);
    am_node_set(a, m, "watch", am_new_i64(a, (int64_t)t->watch));
    am_node_set(a, m, "reports", am_new_bool(a, t->reports));
    am_node_set(a, m, "predictions", am_new_bool(a, t->predictions));
    return m;
}

enum am_rc am_farm_start(struct am_farm *f, const struct am_farm_task *task, struct am_err *err)
{
    struct worker *w = NULL;
    for (unsigned i = 0; i < f->n; i++) /* one that stands ready before one that must start */
        if (!f->workers[i].busy && (!w || (f->workers[i].pid && !w->pid)))
            w = &f->workers[i];
    if (!w)
        return am_fail(err, AM_EBUSY, "all trial workers are busy");
    struct am_arena *a = am_arena_new(0);
    if (!a)
        return am_fail_nomem(err, sizeof(void *));
    struct am_node *m = task_node(a, task);
    enum am_rc rc = am_arena_check(a, err);
    if (rc == AM_OK && w->pid && am_wire_send(w->fd, m, NULL, 0, NULL) != AM_OK)
        bury(w, NULL, 0); /* it died while it stood idle */
    else if (rc == AM_OK && w->pid)
        goto out;
    if (rc == AM_OK)
        rc = start_worker(f, w, err);
    if (rc == AM_OK)
        rc = am_wire_send(w->fd, m, NULL, 0, err);
out:
    am_arena_free(a);
    w->busy = rc == AM_OK;
    w->id = task->id;
    return rc;
}

/* ---- what comes ---- */

static double number(const struct am_node *m, const char *key)
{
    return am_node_f64(m, key, (double)NAN);
}

/* [n_folds, n_metrics] metrics, their means and deviations, then the predictions. */
static enum am_rc take_arrays(struct am_farm *f, const struct am_node *m, struct am_str bytes,
                              struct am_trial_result *r, struct am_err *err)
{
    size_t n_metrics = f->n_metrics, numbers, cells = 0, floats = 0;
    r->n_folds = (size_t)am_node_i64(m, "n_folds", 0);
    r->rows.n = (size_t)am_node_i64(m, "n", 0);
    r->rows.n_out = (size_t)am_node_i64(m, "n_out", 0);
    r->n_metrics = n_metrics;
    bool fits = r->n_folds <= (size_t)AM_FOLDS_MAX * AM_FOLDS_MAX &&
                am_mul_size(&numbers, (r->n_folds + 2) * n_metrics, sizeof(double)) &&
                am_mul_size(&cells, r->rows.n, r->rows.n_out) &&
                am_mul_size(&floats, cells, sizeof(float)) && bytes.len >= numbers &&
                bytes.len - numbers == floats;
    if (!fits)
        return am_fail(err, AM_ECORRUPT, "a trial worker sent what is no result");
    r->metrics = am_alloc_array(r->n_folds * n_metrics + 1, sizeof(double));
    r->mean = am_alloc_array(n_metrics + 1, sizeof(double));
    r->deviation = am_alloc_array(n_metrics + 1, sizeof(double));
    if (cells)
        r->rows.pred = am_alloc_array(cells, sizeof(float));
    if (!r->metrics || !r->mean || !r->deviation || (cells && !r->rows.pred))
        return am_fail_nomem(err, bytes.len);
    const char *at = bytes.ptr;
    size_t all = r->n_folds * n_metrics * sizeof(double), one = n_metrics * sizeof(double);
    memcpy(r->metrics, at, all);
    memcpy(r->mean, at + all, one);
    memcpy(r->deviation, at + all + one, one);
    if (cells)
        memcpy(r->rows.pred, at + all + 2 * one, floats);
    return AM_OK;
}

static enum am_rc take_result(struct am_farm *f, const struct am_node *m, struct am_str payload,
                              struct am_trial_result *r, struct am_err *err)
{
    struct am_str why = am_node_str(m, "why", "");
    int64_t status = am_node_i64(m, "status", -1);
    *r = (struct am_trial_result){.latency_us = number(m, "latency_us")};
    if (status < AM_TRIAL_OK || status > AM_TRIAL_CANCELED)
        return am_fail(err, AM_ECORRUPT, "a trial worker sent what is no result");
    r->status = (enum am_trial_status)status;
    r->rc = (enum am_rc)am_node_i64(m, "rc", AM_EINTERNAL);
    snprintf(r->why, sizeof r->why, "%.*s", AM_FMT(why));
    r->fit_seconds = number(m, "fit_seconds");
    r->size_bytes = (uint64_t)am_node_i64(m, "size_bytes", 0);
    r->n_parameters = (uint64_t)am_node_i64(m, "parameters", 0);
    enum am_rc rc = take_arrays(f, m, payload, r, err);
    if (rc != AM_OK)
        am_trial_result_clear(r);
    return rc;
}

/* A failure before the first task would be one of every task: it ends the search. */
static enum am_rc take_refusal(const struct am_node *m, struct am_err *err)
{
    struct am_str text = am_node_str(m, "refused", ""), hint = am_node_str(m, "hint", "");
    enum am_rc rc = (enum am_rc)am_node_i64(m, "rc", AM_EINTERNAL);
    rc = am_fail(err, rc == AM_OK ? AM_EINTERNAL : rc, "%.*s", AM_FMT(text));
    if (hint.len)
        am_hint(err, "%.*s", AM_FMT(hint));
    am_context(err, "a trial worker cannot start");
    return rc;
}

static enum am_rc take_frame(struct am_farm *f, struct worker *w, struct am_str text,
                             struct am_str payload, struct am_farm_event *out, struct am_err *err)
{
    struct am_arena *a = am_arena_new(0);
    struct am_node *m;
    enum am_rc rc =
        a ? am_json_parse(a, text, "trial worker", &m, err) : am_fail_nomem(err, sizeof(void *));
    if (rc == AM_OK && am_node_get(m, "refused")) {
        rc = take_refusal(m, err);
    } else if (rc == AM_OK && am_node_get(m, "ready")) {
        w->spoke = true;
    } else if (rc == AM_OK && am_node_get(m, "step")) {
        *out = (struct am_farm_event){.what = AM_FARM_REPORT,
                                      .id = w->id,
                                      .step = (uint64_t)am_node_i64(m, "step", 0),
                                      .value = number(m, "value")};
    } else if (rc == AM_OK) {
        out->what = AM_FARM_RESULT;
        out->id = w->id;
        rc = take_result(f, m, payload, &out->result, err);
        w->busy = rc != AM_OK;
    }
    am_arena_free(a);
    return rc;
}

static void died(struct worker *w, struct am_farm_event *out)
{
    struct am_trial_result *r = &out->result;
    out->what = w->busy ? AM_FARM_RESULT : AM_FARM_NOTHING;
    out->id = w->id;
    *r = (struct am_trial_result){
        .status = AM_TRIAL_FAILED, .rc = AM_EINTERNAL, .latency_us = (double)NAN};
    bury(w, r->why, sizeof r->why);
}

static enum am_rc hear(struct am_farm *f, struct worker *w, struct am_farm_event *out,
                       struct am_err *err)
{
    struct am_str text, payload;
    bool whole = false;
    enum am_rc rc = am_wire_take(w->fd, &w->in, &whole, &text, &payload, err);
    if (rc == AM_EIO || rc == AM_ECORRUPT) {
        if (rc == AM_ECORRUPT)
            (void)kill(w->pid, SIGKILL);
        died(w, out);
        return AM_OK;
    }
    if (rc != AM_OK || !whole)
        return rc;
    rc = take_frame(f, w, text, payload, out, err);
    am_wire_taken(&w->in);
    return rc;
}

enum am_rc am_farm_wait(struct am_farm *f, int timeout_ms, struct am_farm_event *out,
                        struct am_err *err)
{
    struct pollfd fds[AM_FARM_WORKERS_MAX];
    unsigned of[AM_FARM_WORKERS_MAX], n = 0;
    *out = (struct am_farm_event){.what = AM_FARM_NOTHING};
    for (unsigned i = 0; i < f->n; i++) { /* a frame that came with the one before */
        if (f->workers[i].pid && f->workers[i].in.len)
            AM_TRY(hear(f, &f->workers[i], out, err));
        if (out->what != AM_FARM_NOTHING)
            return AM_OK;
    }
    for (unsigned i = 0; i < f->n; i++)
        if (f->workers[i].pid) {
            of[n] = i;
            fds[n++] = (struct pollfd){.fd = f->workers[i].fd, .events = POLLIN};
        }
    int k = poll(fds, n, timeout_ms);
    if (k < 0 && errno != EINTR)
        return am_fail_errno(err, errno, "cannot wait for trial workers");
    for (unsigned i = 0; k > 0 && i < n && out->what == AM_FARM_NOTHING; i++)
        if (fds[i].revents)
            AM_TRY(hear(f, &f->workers[of[i]], out, err));
    return AM_OK;
}

static struct worker *of_task(struct am_farm *f, uint64_t id)
{
    for (unsigned i = 0; i < f->n; i++)
        if (f->workers[i].busy && f->workers[i].id == id)
            return &f->workers[i];
    return NULL;
}

enum am_rc am_farm_answer(struct am_farm *f, uint64_t id, enum am_farm_answer answer,
                          struct am_err *err)
{
    struct worker *w = of_task(f, id);
    struct am_node prune = {.kind = AM_NODE_BOOL, .boolean = answer == AM_FARM_PRUNE};
    struct am_pair pair = {.key = AM_STR("prune"), .value = &prune};
    const struct am_node m = {.kind = AM_NODE_MAP, .map = {&pair, 1, 1}};
    if (!w)
        return am_fail(err, AM_ENOTFOUND, "no trial worker has task %llu", (unsigned long long)id);
    enum am_rc rc = am_wire_send(w->fd, &m, NULL, 0, err);
    return rc == AM_EIO ? AM_OK : rc; /* one that died meanwhile is told by the next wait */
}

void am_farm_cut(struct am_farm *f, uint64_t id)
{
    struct worker *w = of_task(f, id);
    if (w)
        bury(w, NULL, 0);
}
