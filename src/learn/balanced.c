/* Repeats and omissions are a subset of the base; SMOTE (Chawla et al. 2002, and its SMOTE-NC for
 * categories) adds rows in RAM behind it. See balanced.h. */
#include "learn/balanced.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/progress.h"
#include "base/rng.h"
#include "feature/features.h"

#define CLASS_ROWS 5000 /* neighbours are looked for among at most so many rows of a class */
#define MADE_BYTES ((size_t)1 << 30)

struct am_balanced {
    struct am_train_data data;
    const struct am_train_data *picked; /* owned subset of the base */
    float *x;                           /* owned [n_made, n_features] */
    float *y;                           /* owned [n_made] */
    uint64_t n_made;
};

struct am_balance_spec am_balance_spec_of(const struct am_node *train_spec)
{
    static const char *const names[] = {"none", "over", "under", "smote"};
    const struct am_node *n = am_node_get(train_spec, "balance"), *type = n;
    struct am_balance_spec s = {AM_BALANCE_NONE, 1, 5};
    struct am_str name;
    if (n && n->kind == AM_NODE_MAP) {
        type = am_node_get(n, "type");
        (void)am_node_as_f64(am_node_get(n, "ratio"), &s.ratio);
        s.n_neighbors = (size_t)am_node_i64(n, "neighbors", 5);
        s.type = AM_BALANCE_OVER;
    }
    for (unsigned i = 0; type && am_node_as_str(type, &name) && i < 4; i++)
        if (am_str_is(name, names[i]))
            s.type = (enum am_balance)i;
    return s;
}

/* ---- rows behind the base's ---- */

/* Runs of picked and made rows in turn. what: 0 as they are, 1 of an epoch. */
static enum am_rc gather_runs(const struct am_balanced *b, bool of_epoch, uint64_t epoch,
                              const uint64_t *rows, size_t n, float *x, float *y, float *w,
                              struct am_err *err)
{
    const struct am_train_data *p = b->picked;
    const size_t f = b->data.n_features, wide = of_epoch && p->mixes ? 3 : 1;
    for (size_t at = 0, end; at < n; at = end) {
        const bool made = rows[at] >= p->n_rows;
        end = at + 1;
        while (end < n && (rows[end] >= p->n_rows) == made)
            end++;
        float *to = x ? x + at * f : NULL, *target = y ? y + at * wide : NULL;
        if (!made && of_epoch)
            AM_TRY(p->gather_at(p->self, epoch, rows + at, end - at, to, target, w ? w + at : NULL,
                                err));
        else if (!made)
            AM_TRY(p->gather(p->self, rows + at, end - at, to, target, w ? w + at : NULL, err));
        for (size_t i = at; made && i < end; i++) {
            const uint64_t r = rows[i] - p->n_rows;
            if (x)
                memcpy(x + i * f, b->x + r * f, f * sizeof *x);
            for (size_t k = 0; y && k < wide; k++)
                y[i * wide + k] = k < 2 ? b->y[r] : 0; /* mixed with itself */
            if (w)
                w[i] = 1;
        }
    }
    return AM_OK;
}

static enum am_rc gather(void *self, const uint64_t *rows, size_t n, float *x, float *y, float *w,
                         struct am_err *err)
{
    return gather_runs(self, false, 0, rows, n, x, y, w, err);
}

static enum am_rc gather_at(void *self, uint64_t epoch, const uint64_t *rows, size_t n, float *x,
                            float *y, float *w, struct am_err *err)
{
    return gather_runs(self, true, epoch, rows, n, x, y, w, err);
}

/* ---- making ---- */

struct classes {
    uint64_t *rows;  /* owned [n_rows]: those of class 0, of class 1, ... */
    uint64_t *begin; /* owned [n + 1] */
    size_t n;
};

static void classes_clear(struct classes *c)
{
    am_free(c->rows);
    am_free(c->begin);
}

static uint64_t size_of(const struct classes *c, size_t k)
{
    return c->begin[k + 1] - c->begin[k];
}

static enum am_rc classes_of(const struct am_learn_task *t, struct classes *c, struct am_err *err)
{
    const uint64_t n = t->train->n_rows;
    float *y = am_alloc_array((size_t)n, sizeof *y);
    enum am_rc rc = AM_OK;
    c->n = t->n_classes;
    c->rows = am_alloc_array((size_t)n, sizeof *c->rows);
    c->begin = am_calloc(c->n + 2, sizeof *c->begin);
    if (!y || !c->rows || !c->begin) {
        rc = am_fail_nomem(err, n * sizeof *c->rows);
        goto out;
    }
    for (uint64_t i = 0; i < n; i++)
        c->rows[i] = i;
    AM_GO(rc, t->train->gather(t->train->self, c->rows, (size_t)n, NULL, y, NULL, err));
    for (uint64_t i = 0; i < n; i++)
        c->begin[(size_t)y[i] + 2]++;
    for (size_t k = 2; k < c->n + 2; k++)
        c->begin[k] += c->begin[k - 1];
    for (uint64_t i = 0; i < n; i++)
        c->rows[c->begin[(size_t)y[i] + 1]++] = i;
out:
    am_free(y);
    return rc;
}

/* How many rows a class shall have. */
static uint64_t wanted(const struct classes *c, const struct am_balance_spec *s, size_t k)
{
    uint64_t most = 0, least = UINT64_MAX;
    for (size_t i = 0; i < c->n; i++) {
        const uint64_t n = size_of(c, i);
        most = n > most ? n : most;
        least = n > 0 && n < least ? n : least;
    }
    const uint64_t have = size_of(c, k);
    const double up = round((double)most * s->ratio), down = round((double)least / s->ratio);
    if (have == 0 || s->type == AM_BALANCE_NONE)
        return have;
    if (s->type == AM_BALANCE_UNDER)
        return (double)have > down ? (uint64_t)down : have;
    return (double)have < up ? (uint64_t)up : have;
}

/* Numbers of the base's rows that stay or come again, class by class, then in the base's order. */
static int by_row(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static enum am_rc pick(const struct am_learn_task *t, const struct classes *c,
                       const struct am_balance_spec *s, struct am_balanced *b, struct am_err *err)
{
    uint64_t n = 0, at = 0, *rows;
    for (size_t k = 0; k < c->n; k++)
        n += s->type == AM_BALANCE_SMOTE ? size_of(c, k) : wanted(c, s, k);
    rows = am_alloc_array((size_t)n + 1, sizeof *rows);
    if (!rows)
        return am_fail_nomem(err, n * sizeof *rows);
    for (size_t k = 0; k < c->n; k++) {
        const uint64_t have = size_of(c, k);
        const uint64_t want = s->type == AM_BALANCE_SMOTE ? have : wanted(c, s, k);
        uint64_t *own = c->rows + c->begin[k];
        struct am_rng r;
        am_rng_init(&r, t->seed, AM_RNG_BALANCE + (k << 16));
        for (uint64_t i = 0; want < have && i < want; i++) { /* the first of a shuffle */
            const uint64_t j = i + am_rng_below(&r, have - i), swap = own[i];
            own[i] = own[j];
            own[j] = swap;
        }
        for (uint64_t i = 0; i < want; i++)
            rows[at++] = own[i < have ? i : am_rng_below(&r, have)];
    }
    qsort(rows, (size_t)n, sizeof *rows, by_row);
    const enum am_rc rc = am_train_subset_new(t->train, rows, (size_t)n, &b->picked, err);
    am_free(rows);
    return rc;
}

/* The rows of one class that neighbours are looked for among. */
struct cloud {
    const struct am_learn_task *task;
    float *x; /* owned [n, f] */
    size_t n, f, k;
    size_t *near; /* owned [k] of the row at hand */
    double *far;  /* owned [k] their distances, ascending */
};

static void find_near(struct cloud *c, size_t row)
{
    size_t have = 0;
    for (size_t i = 0; i < c->n; i++) {
        double d = 0;
        if (i == row)
            continue;
        for (size_t j = 0; j < c->f; j++) {
            const double e = (double)c->x[i * c->f + j] - (double)c->x[row * c->f + j];
            d += e * e;
        }
        if (have == c->k && d >= c->far[have - 1])
            continue;
        size_t place = have < c->k ? have++ : have - 1;
        for (; place > 0 && c->far[place - 1] > d; place--) {
            c->far[place] = c->far[place - 1];
            c->near[place] = c->near[place - 1];
        }
        c->far[place] = d;
        c->near[place] = i;
    }
    c->k = have < c->k ? have : c->k;
}

static bool is_number(const struct am_features *f, size_t output)
{
    const struct am_feature_input *in =
        f ? am_features_input(f, am_features_output_input(f, output)) : NULL;
    return !in || in->type == AM_COL_NUMBER || in->type == AM_COL_DATE;
}

/* Outputs [begin, end) of a category: what most of the neighbours have. */
static void vote(const struct cloud *c, size_t begin, size_t end, float *to)
{
    size_t best = 0, votes = 0;
    const size_t bytes = (end - begin) * sizeof *to;
    for (size_t i = 0; i < c->k; i++) {
        size_t same = 0;
        for (size_t j = 0; j < c->k; j++)
            same += memcmp(c->x + c->near[i] * c->f + begin, c->x + c->near[j] * c->f + begin,
                           bytes) == 0;
        if (same > votes) {
            votes = same;
            best = i;
        }
    }
    memcpy(to + begin, c->x + c->near[best] * c->f + begin, bytes);
}

static void make_row(struct cloud *c, struct am_rng *r, float *to)
{
    const struct am_features *f = c->task->features;
    const size_t row = (size_t)am_rng_below(r, c->n);
    find_near(c, row);
    const float *a = c->x + row * c->f, *b = c->x + c->near[am_rng_below(r, c->k)] * c->f;
    const double gap = am_rng_unit(r);
    for (size_t j = 0, end; j < c->f; j = end) {
        end = j + 1;
        if (is_number(f, j)) {
            to[j] = (float)((double)a[j] + gap * ((double)b[j] - (double)a[j]));
            continue;
        }
        while (end < c->f && am_features_output_input(f, end) == am_features_output_input(f, j))
            end++;
        vote(c, j, end, to);
    }
}

static enum am_rc make_class(const struct am_learn_task *t, const struct classes *c, size_t k,
                             const struct am_balance_spec *s, uint64_t n, float *x,
                             struct am_err *err)
{
    const uint64_t have = size_of(c, k);
    struct cloud cloud = {.task = t, .f = t->n_features, .k = s->n_neighbors};
    const size_t step = (size_t)((have + CLASS_ROWS - 1) / CLASS_ROWS);
    uint64_t *rows = am_alloc_array(CLASS_ROWS, sizeof *rows);
    struct am_rng r;
    enum am_rc rc = AM_OK;
    cloud.x =
        am_alloc_array(have < CLASS_ROWS ? (size_t)have : CLASS_ROWS, cloud.f * sizeof *cloud.x);
    cloud.near = am_alloc_array(cloud.k, sizeof *cloud.near);
    cloud.far = am_alloc_array(cloud.k, sizeof *cloud.far);
    if (!rows || !cloud.x || !cloud.near || !cloud.far) {
        rc = am_fail_nomem(err, CLASS_ROWS * cloud.f * sizeof *cloud.x);
        goto out;
    }
    for (uint64_t i = 0; i < have; i += step)
        rows[cloud.n++] = c->rows[c->begin[k] + i];
    AM_GO(rc, t->train->gather(t->train->self, rows, cloud.n, cloud.x, NULL, NULL, err));
    am_rng_init(&r, t->seed, AM_RNG_BALANCE + (k << 16));
    for (uint64_t i = 0; i < n; i++) {
        cloud.k = s->n_neighbors;
        make_row(&cloud, &r, x + i * cloud.f);
        if (i % 1024 == 0 && am_progress_canceled(t->hooks.progress))
            AM_GO(rc, am_fail(err, AM_ECANCELED, "canceled while classes were balanced"));
    }
out:
    am_free(rows);
    am_free(cloud.x);
    am_free(cloud.near);
    am_free(cloud.far);
    return rc;
}

static enum am_rc make(const struct am_learn_task *t, const struct classes *c,
                       const struct am_balance_spec *s, struct am_balanced *b, struct am_err *err)
{
    uint64_t n = 0;
    size_t bytes;
    for (size_t k = 0; k < c->n; k++) {
        if (wanted(c, s, k) > size_of(c, k) && size_of(c, k) < 2) {
            am_fail(err, AM_EINVAL, "class %zu has one training row: smote makes rows between two",
                    k);
            am_hint(err, "Give more rows of it, or use train.balance: over.");
            return AM_EINVAL;
        }
        n += wanted(c, s, k) - size_of(c, k);
    }
    if (!am_mul_size(&bytes, (size_t)n, (t->n_features + 1) * sizeof(float)) ||
        bytes > MADE_BYTES) {
        am_fail(err, AM_ELIMIT, "smote would make %llu rows of %zu features, over %zu MB",
                (unsigned long long)n, t->n_features, MADE_BYTES >> 20);
        am_hint(err, "Use train.balance: over, or a ratio below 1.");
        return AM_ELIMIT;
    }
    b->x = am_alloc_array((size_t)n + 1, t->n_features * sizeof *b->x);
    b->y = am_alloc_array((size_t)n + 1, sizeof *b->y);
    if (!b->x || !b->y)
        return am_fail_nomem(err, bytes);
    for (size_t k = 0; k < c->n; k++) {
        const uint64_t more = wanted(c, s, k) - size_of(c, k);
        if (more > 0)
            AM_TRY(make_class(t, c, k, s, more, b->x + b->n_made * t->n_features, err));
        for (uint64_t i = 0; i < more; i++)
            b->y[b->n_made++] = (float)k;
    }
    return AM_OK;
}

enum am_rc am_balanced_check(const struct am_learn_task *t, struct am_err *err)
{
    const struct am_balance_spec s = am_balance_spec_of(t->train_spec);
    if (s.type == AM_BALANCE_NONE)
        return AM_OK;
    if (!am_task_has_classes(t->task)) {
        am_fail(err, AM_EUSAGE, "train.balance makes classes of equal size, but the task is %s",
                am_task_name(t->task));
        am_hint(err, "Leave it out.");
        return AM_EUSAGE;
    }
    if (s.type != AM_BALANCE_SMOTE)
        return AM_OK;
    if (t->n_tokens == 0 && t->shape.rank <= 1 && !(t->train && t->train->gather_sparse))
        return AM_OK;
    am_fail(err, AM_EUSAGE,
            "train.balance: smote makes rows between rows; texts, pictures and sounds have none");
    am_hint(err, "Use train.balance: over or under, or train.class_weights: balanced.");
    return AM_EUSAGE;
}

enum am_rc am_balanced_new(const struct am_learn_task *task, struct am_balanced **out,
                           struct am_err *err)
{
    const struct am_balance_spec s = am_balance_spec_of(task->train_spec);
    struct classes c = {0};
    enum am_rc rc;
    *out = NULL;
    if (s.type == AM_BALANCE_NONE)
        return AM_OK;
    AM_TRY(am_balanced_check(task, err));
    struct am_balanced *b = am_calloc(1, sizeof *b);
    if (!b)
        return am_fail_nomem(err, sizeof *b);
    AM_GO(rc, classes_of(task, &c, err));
    AM_GO(rc, pick(task, &c, &s, b, err));
    if (s.type == AM_BALANCE_SMOTE)
        AM_GO(rc, make(task, &c, &s, b, err));
    b->data = *b->picked;
    if (b->n_made > 0)
        b->data = (struct am_train_data){.n_rows = b->picked->n_rows + b->n_made,
                                         .n_features = b->picked->n_features,
                                         .n_targets = b->picked->n_targets,
                                         .self = b,
                                         .gather = gather,
                                         .gather_at = b->picked->gather_at ? gather_at : NULL,
                                         .mixes = b->picked->mixes,
                                         .in_ram = b->picked->in_ram};
    *out = b;
out:
    classes_clear(&c);
    if (rc != AM_OK)
        am_balanced_free(b);
    return rc;
}

const struct am_train_data *am_balanced_data(const struct am_balanced *b)
{
    return &b->data;
}

void am_balanced_free(struct am_balanced *b)
{
    if (!b)
        return;
    am_train_subset_free(b->picked);
    am_free(b->x);
    am_free(b->y);
    am_free(b);
}
