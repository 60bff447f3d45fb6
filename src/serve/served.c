/* One loaded version: its predictors per slot, its counters, and what it takes to predict n rows.
 *
 * Latency is kept per row count (powers of two) in log-spaced bins; the 99th percentile is taken
 * every 64 runs and old runs fade by halving. */
#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/limits.h"
#include "serve/serve_int.h"

#define WARM_RUNS 24
#define WARM_NS 3000000ull /* for one row count */
#define WARM_ROWS 256

#define GROW(field, cap, n)                                                                        \
    if ((n) > r->cap) {                                                                            \
        void *p = am_alloc_array((n), sizeof *r->field);                                           \
        if (!p)                                                                                    \
            return am_fail_nomem(err, (n) * sizeof *r->field);                                     \
        am_free(r->field);                                                                         \
        r->field = p;                                                                              \
        r->cap = (n);                                                                              \
    }

enum am_rc am_serve_result_reserve(struct am_serve_result *r, size_t n_rows, size_t n_classes,
                                   struct am_err *err)
{
    size_t cells;
    r->n_rows = n_rows;
    r->n_classes = n_classes;
    if (!am_mul_size(&cells, n_rows, n_classes ? n_classes : 1))
        return am_fail(err, AM_ELIMIT, "%zu rows of %zu classes are too many", n_rows, n_classes);
    if (n_classes) {
        GROW(probability, cap_probability, cells)
        GROW(label, cap_label, n_rows)
    }
    GROW(value, cap_value, n_rows)
    return AM_OK;
}

enum am_rc am_serve_result_fit(struct am_serve_result *r, size_t n_rows,
                               const struct am_serve_info *info, struct am_err *err)
{
    size_t cells;
    AM_TRY(am_serve_result_reserve(r, n_rows, info->n_classes, err));
    if (am_task_own_labels(info->task))
        GROW(label, cap_label, n_rows)
    size_t width = (r->wanted & AM_SERVE_EMBEDDING ? info->n_embedding : 0) +
                   (r->wanted & AM_SERVE_RESTORED ? info->n_restored : 0);
    if (!am_mul_size(&cells, n_rows, width) || cells > AM_LIMIT_PREDICT_CELLS)
        return am_fail(err, AM_ELIMIT,
                       "%zu answers of %zu numbers are too many, at most %zu allowed", n_rows,
                       width, AM_LIMIT_PREDICT_CELLS);
    if (r->wanted & AM_SERVE_EMBEDDING)
        GROW(embedding, cap_embedding, n_rows * info->n_embedding)
    if (r->wanted & AM_SERVE_RESTORED)
        GROW(restored, cap_restored, n_rows * info->n_restored)
    return AM_OK;
}
#undef GROW

void am_serve_result_clear(struct am_serve_result *r)
{
    am_free(r->probability);
    am_free(r->label);
    am_free(r->value);
    am_free(r->embedding);
    am_free(r->restored);
    *r = (struct am_serve_result){0};
}

/* ---- life ---- */

static _Atomic uint64_t uids = 1;

static void served_free(struct am_served *v)
{
    for (size_t i = 0; v->slots && i < v->n_slots; i++)
        if (v->slots[i].state)
            v->model.ops->state_free(v->model.impl, v->slots[i].state);
    if (v->model.ops)
        v->model.ops->free(v->model.impl);
    am_free(v->slots);
    am_free(v->name);
    am_free(v->package);
    am_free(v->quoted);
    am_buf_clear(&v->quoted_text);
    am_free(v);
}

struct am_served *am_served_ref(struct am_served *v)
{
    atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
    return v;
}

void am_served_unref(struct am_served *v)
{
    if (v && atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) == 1)
        served_free(v);
}

const struct am_serve_info *am_served_info(const struct am_served *v)
{
    return &v->info;
}
double am_served_load_seconds(const struct am_served *v)
{
    return v->load_seconds;
}

/* The class labels as JSON text, once for all answers. */
static enum am_rc quote_classes(struct am_served *v, struct am_err *err)
{
    size_t n = v->info.n_classes, begin = 0;
    am_buf_init(&v->quoted_text, (size_t)1 << 30);
    v->quoted = am_alloc_array(n + 1, sizeof *v->quoted);
    if (!v->quoted)
        return am_fail_nomem(err, n * sizeof *v->quoted);
    for (size_t i = 0; i < n; i++) {
        begin = v->quoted_text.len;
        am_json_quote(&v->quoted_text, v->info.classes[i]);
        v->quoted[i] = (struct am_str){NULL, v->quoted_text.len - begin};
    }
    AM_TRY(am_buf_check(&v->quoted_text, err));
    begin = 0;
    for (size_t i = 0; i < n; i++) {
        v->quoted[i].ptr = v->quoted_text.ptr + begin;
        begin += v->quoted[i].len;
    }
    v->info.quoted = v->quoted;
    return AM_OK;
}

static bool plain_names(const struct am_schema *s)
{
    for (size_t i = 0; i < s->n; i++)
        for (size_t k = 0; k < s->columns[i].name.len; k++) {
            unsigned char c = (unsigned char)s->columns[i].name.ptr[k];
            if (c < 0x20 || c == '"' || c == '\\')
                return false;
        }
    return true;
}

static bool has_media(const struct am_schema *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (am_col_is_media(s->columns[i].type))
            return true;
    return false;
}

/* Takes m over, also on failure. */
enum am_rc am_served_new(const struct am_serve *s, const char *model, int64_t version,
                         struct am_str package, struct am_serve_model *m, struct am_served **out,
                         struct am_err *err)
{
    struct am_served *v = am_calloc(1, sizeof *v);
    if (!v) {
        m->ops->free(m->impl);
        return am_fail_nomem(err, sizeof *v);
    }
    atomic_init(&v->refs, 1);
    v->model = *m;
    v->info = m->info;
    v->n_slots = s->n_slots;
    v->name = am_strndup(model, strlen(model));
    v->package = am_strndup(package.ptr ? package.ptr : "", package.len);
    size_t bytes = sizeof *v->slots * v->n_slots;
    v->slots = am_alloc_aligned(64, bytes);
    if (v->slots)
        memset(v->slots, 0, bytes);
    if (!v->name || !v->package || !v->slots) {
        served_free(v);
        return am_fail_nomem(err, bytes);
    }
    if (quote_classes(v, err) != AM_OK) {
        served_free(v);
        return AM_ENOMEM;
    }
    (void)snprintf(v->version, sizeof v->version, "%lld", (long long)version);
    v->info.model = am_str(v->name);
    v->info.version = version;
    v->info.plain_names = plain_names(&v->info.inputs);
    v->info.has_media = has_media(&v->info.inputs);
    v->info.uid = atomic_fetch_add(&uids, 1);
    v->info.version_text = am_str(v->version);
    *out = v;
    return AM_OK;
}

/* ---- latency ---- */

static unsigned row_bucket(size_t n_rows)
{
    unsigned k = n_rows <= 1 ? 0 : 64u - (unsigned)__builtin_clzll((uint64_t)n_rows - 1);
    return k < AM_SERVE_ROW_BUCKETS ? k : AM_SERVE_ROW_BUCKETS - 1;
}

/* Four bins for each doubling, from 256 ns. */
static unsigned latency_bin(uint64_t ns)
{
    if (ns < 256)
        return 0;
    unsigned e = 63u - (unsigned)__builtin_clzll(ns);
    unsigned k = (e - 8) * 4 + (unsigned)(ns >> (e - 2) & 3);
    return k < AM_SERVE_LATENCY_BINS ? k : AM_SERVE_LATENCY_BINS - 1;
}

static uint64_t bin_upper_ns(unsigned k)
{
    if (k == AM_SERVE_LATENCY_BINS - 1)
        return UINT64_MAX / 4;
    unsigned e = k / 4 + 8, q = k % 4;
    return ((uint64_t)(5 + q)) << (e - 2);
}

static uint64_t percentile99(const struct am_latency *l)
{
    uint32_t above = l->n / 100, seen = 0;
    for (unsigned k = AM_SERVE_LATENCY_BINS; k-- > 0;) {
        seen += l->bins[k];
        if (seen > above)
            return bin_upper_ns(k);
    }
    return bin_upper_ns(0);
}

static void measure(struct am_served *v, struct am_served_slot *slot, size_t n_rows, uint64_t ns)
{
    unsigned k = row_bucket(n_rows);
    struct am_latency *l = &slot->latency[k];
    l->bins[latency_bin(ns)]++;
    l->n++;
    if (l->n % 64 != 0)
        return;
    atomic_store_explicit(&v->p99_ns[k], percentile99(l), memory_order_relaxed);
    if (l->n >= 4096) {
        l->n = 0;
        for (unsigned i = 0; i < AM_SERVE_LATENCY_BINS; i++)
            l->n += l->bins[i] /= 2;
        l->n -= l->n % 64;
    }
}

uint64_t am_served_p99_ns(const struct am_served *v, size_t n_rows)
{
    return atomic_load_explicit(&v->p99_ns[row_bucket(n_rows)], memory_order_relaxed);
}

/* Not measured at that count: from the next smaller one that was, in proportion. */
uint64_t am_served_estimate_ns(const struct am_served *v, size_t n_rows)
{
    unsigned k = row_bucket(n_rows);
    for (unsigned i = k + 1; i-- > 0;) {
        uint64_t p99 = atomic_load_explicit(&v->p99_ns[i], memory_order_relaxed);
        if (p99)
            return p99 > UINT64_MAX >> 32 ? p99 : p99 << (k - i);
    }
    return 0;
}

bool am_serve_inline(const struct am_serve *s, const struct am_served *v, size_t n_rows)
{
    uint64_t ns = am_served_estimate_ns(v, n_rows);
    if (v->info.has_media) /* the time says nothing: the next picture may be a large one */
        return false;
    return ns != 0 && ns <= (uint64_t)s->options.inline_us * 1000;
}

/* ---- predicting ---- */

enum am_rc am_served_run(struct am_served *v, unsigned slot_index, const struct am_batch *batch,
                         struct am_serve_result *r, struct am_err *err)
{
    struct am_served_slot *slot = &v->slots[slot_index];
    if (!slot->state)
        AM_TRY(v->model.ops->state_new(v->model.impl, &slot->state, err));
    AM_TRY(am_serve_result_fit(r, batch->n_rows, &v->info, err));
    uint64_t before = am_mono_ns();
    enum am_rc rc = v->model.ops->predict(v->model.impl, slot->state, batch, r, err);
    r->compute_ns = am_mono_ns() - before;
    if (rc == AM_OK) {
        measure(v, slot, batch->n_rows, r->compute_ns);
        uint64_t runs = atomic_load_explicit(&slot->runs, memory_order_relaxed);
        atomic_store_explicit(&slot->runs, runs + 1, memory_order_relaxed);
    }
    return rc;
}

enum am_rc am_serve_predict(struct am_serve *s, unsigned slot, struct am_served *v,
                            const struct am_batch *batch, struct am_serve_result *r,
                            struct am_err *err)
{
    (void)s;
    return am_served_run(v, slot, batch, r, err);
}

enum am_rc am_served_recommend(struct am_served *v, enum am_serve_list what, struct am_str name,
                               size_t n, struct am_buf *out, struct am_err *err)
{
    if (v->model.ops->recommend)
        return v->model.ops->recommend(v->model.impl, what, name, n, out, err);
    return am_fail(err, AM_EINVAL, "model \"%.*s\" recommends nothing", AM_FMT(v->info.model));
}

/* Runs the sample until the caches are warm and p99 is known for the row counts that are quick. */
enum am_rc am_served_warm(struct am_serve *s, struct am_served *v, struct am_err *err)
{
    struct am_serve_result r = {0};
    struct am_batch batch;
    enum am_rc rc = AM_OK;
    unsigned slot = s->n_slots - 1; /* the loader's */
    const uint64_t limit = (uint64_t)s->options.inline_us * 1000;
    for (size_t n = 1; n <= WARM_ROWS && rc == AM_OK; n *= 2) {
        struct am_latency l = {0};
        uint64_t begin = am_mono_ns();
        rc = v->model.ops->sample(v->model.impl, n, &batch, err);
        if (rc != AM_OK || batch.n_rows < n)
            break;
        rc = am_served_run(v, slot, &batch, &r, err); /* the first one allocates */
        for (int i = 0; rc == AM_OK && i < WARM_RUNS; i++) {
            rc = am_served_run(v, slot, &batch, &r, err);
            l.bins[latency_bin(r.compute_ns)]++;
            l.n++;
            if (i > 3 && am_mono_ns() - begin > WARM_NS)
                break;
        }
        /* of so few runs the median says more than the worst */
        uint64_t half = 0, ns = 0;
        for (unsigned k = 0; k < AM_SERVE_LATENCY_BINS && half * 2 < l.n; k++) {
            half += l.bins[k];
            ns = bin_upper_ns(k);
        }
        atomic_store_explicit(&v->p99_ns[row_bucket(n)], ns, memory_order_relaxed);
        if (ns > limit)
            break;
    }
    am_serve_result_clear(&r);
    (void)v->model.ops->sample(v->model.impl, 0, &batch, NULL);
    atomic_store_explicit(&v->slots[slot].runs, 0, memory_order_relaxed);
    return rc;
}

/* ---- counters ---- */

/* 5 us times 1.8 each */
static const uint64_t edges[AM_SERVE_BUCKETS - 1] = {
    5000,     9000,      16200,     29160,     52488,     94478,      170061,    306110,
    550998,   991796,    1785233,   3213420,   5784156,   10411481,   18740666,  33733199,
    60719758, 109295564, 196732016, 354117630, 637411734, 1147341121, 2065214018};

uint64_t am_serve_bucket_ns(unsigned k)
{
    return k + 1 >= AM_SERVE_BUCKETS ? UINT64_MAX : edges[k];
}

static void add(_Atomic uint64_t *to, uint64_t n)
{
    uint64_t v = atomic_load_explicit(to, memory_order_relaxed);
    atomic_store_explicit(to, v + n, memory_order_relaxed);
}

void am_serve_count(struct am_served *v, unsigned slot_index, enum am_serve_outcome outcome,
                    size_t rows, const struct am_serve_times *t)
{
    struct am_served_slot *slot = &v->slots[slot_index];
    add(&slot->requests[outcome], 1);
    atomic_store_explicit(&slot->last_ns, t->now_ns, memory_order_relaxed);
    if (outcome != AM_SERVED_OK)
        return;
    unsigned k = 0;
    while (k < AM_SERVE_BUCKETS - 1 && t->request_ns > edges[k])
        k++;
    add(&slot->bucket[k], 1);
    add(&slot->rows, rows);
    add(&slot->request_ns, t->request_ns);
    add(&slot->queue_ns, t->queue_ns);
    add(&slot->compute_ns, t->compute_ns);
}

void am_served_counts(const struct am_served *v, struct am_serve_counts *out)
{
    uint64_t last_ns = 0;
    *out = (struct am_serve_counts){0};
#define SUM(field) out->field += atomic_load_explicit(&slot->field, memory_order_relaxed)
    for (size_t i = 0; i < v->n_slots; i++) {
        const struct am_served_slot *slot = &v->slots[i];
        for (unsigned k = 0; k < AM_SERVE_OUTCOMES; k++)
            SUM(requests[k]);
        for (unsigned k = 0; k < AM_SERVE_BUCKETS; k++)
            SUM(bucket[k]);
        SUM(rows);
        SUM(runs);
        SUM(request_ns);
        SUM(queue_ns);
        SUM(compute_ns);
        uint64_t last = atomic_load_explicit(&slot->last_ns, memory_order_relaxed);
        if (last > last_ns)
            last_ns = last;
    }
    if (last_ns)
        out->last_us = am_wall_us() - (int64_t)((am_mono_ns() - last_ns) / 1000);
#undef SUM
}
