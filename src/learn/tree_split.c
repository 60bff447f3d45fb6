/* The best split of a node by one feature: the samples' codes are counted where few of them can
 * occur, sorted where many, then one pass from the lowest to the highest moves samples from the
 * right to the left. Missing values stand behind all others; a second pass begins with them on the
 * left. Allocates nothing; works in the scratch of its thread. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "learn/tree_int.h"

/* scikit-learn's: values that differ by less are not told apart */
#define FEATURE_STEP 1e-7
#define EPSILON DBL_EPSILON

/* ---- sorting by code ---- */

static void insertion_sort(uint64_t *key, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        const uint64_t v = key[i];
        size_t at = i;
        for (; at > 0 && key[at - 1] > v; at--)
            key[at] = key[at - 1];
        key[at] = v;
    }
}

static inline __attribute__((always_inline)) void sort_pass(const uint64_t *from, uint64_t *to,
                                                            size_t n, unsigned shift, unsigned bits)
{
    uint32_t count[2048];
    uint32_t at = 0;
    const size_t mask = ((size_t)1 << bits) - 1;
    memset(count, 0, (mask + 1) * sizeof *count);
    for (size_t i = 0; i < n; i++)
        count[from[i] >> shift & mask]++;
    for (size_t b = 0; b <= mask; b++) {
        const uint32_t c = count[b];
        count[b] = at;
        at += c;
    }
    for (size_t i = 0; i < n; i++)
        to[count[from[i] >> shift & mask]++] = from[i];
}

void am_tree_sort(uint64_t *key, uint64_t *other, size_t n, uint64_t range)
{
    const unsigned bits = range > 1 ? 64 - (unsigned)__builtin_clzll(range - 1) : 0;
    uint64_t *from = key, *to = other;
    if (n <= 32) {
        insertion_sort(key, n);
        return;
    }
    const unsigned digit = n < 1500 ? 8 : 11;
    for (unsigned done = 0; done < bits; done += digit) {
        uint64_t *swap = from;
        if (digit == 8)
            sort_pass(from, to, n, 32 + done, 8);
        else
            sort_pass(from, to, n, 32 + done, 11);
        from = to;
        to = swap;
    }
    if (from != key)
        memcpy(key, from, n * sizeof *key);
}

/* ---- the node's samples as codes ---- */

struct scan {
    const struct am_tree_search *n;
    const struct am_tree_column *c;
    struct am_tree_scratch *s;
    struct am_tree_split *best;
    uint32_t lowest; /* code; local codes count from it */
    uint32_t span;   /* local codes of values are 0..span-1, missing is span */
    size_t n_missing;
    bool missing_left; /* in the running pass */
    uint32_t cut;      /* random: local code 0 is code <= cut, 1 the rest */
    bool drawn;        /* random */
    double threshold;  /* random */
    /* the two sides */
    size_t n_left, n_right;
    double w_left, w_right, left, right; /* left, right: sum of squares of counts, of x log x, or of
                                            y */
};

#define GATHER(type)                                                                               \
    do {                                                                                           \
        const type *codes = sc->c->codes;                                                          \
        for (size_t i = 0; sc->c->missing && i < n; i++) {                                         \
            const uint32_t k = codes[s[i].row];                                                    \
            const bool there = k != missing;                                                       \
            out[i] = k;                                                                            \
            least = k < least ? k : least;                                                         \
            most = there && k > most ? k : most;                                                   \
            n_missing += !there;                                                                   \
        }                                                                                          \
        for (size_t i = 0; !sc->c->missing && i < n; i++) {                                        \
            const uint32_t k = codes[s[i].row];                                                    \
            out[i] = k;                                                                            \
            least = k < least ? k : least;                                                         \
            most = k > most ? k : most;                                                            \
        }                                                                                          \
    } while (0)

/* Codes of the samples to scratch; false: one value only. */
static bool gather(struct scan *sc)
{
    const struct am_tree_sample *s = sc->n->samples;
    const size_t n = sc->n->stats.n;
    const uint32_t missing = sc->c->n_values;
    uint32_t *out = sc->s->codes, least = UINT32_MAX, most = 0;
    size_t n_missing = 0;
    if (sc->c->width == 1)
        GATHER(uint8_t);
    else if (sc->c->width == 2)
        GATHER(uint16_t);
    else
        GATHER(uint32_t);
    sc->n_missing = n_missing;
    sc->lowest = least;
    if (n_missing == n)
        return false;
    sc->span = most - least + 1;
    return n_missing > 0 ||
           (sc->c->cut ? most > least
                       : (double)sc->c->low[most] > (double)sc->c->low[least] + FEATURE_STEP);
}

/* What values of a code do not exceed. */
static inline double high_of(const struct am_tree_column *c, uint32_t code)
{
    return c->cut ? c->cut[code] : (double)c->low[code];
}

/* One threshold between the node's least and largest value; codes become 0, 1 and missing 2. */
static void draw(struct scan *sc, double uniform)
{
    const struct am_tree_column *c = sc->c;
    const uint32_t top = sc->lowest + sc->span - 1;
    const double low = (double)c->low[sc->lowest], high = (double)c->high[top];
    double t = low + uniform * (high - low);
    uint32_t lo = sc->lowest, hi = top; /* the largest code whose values are <= t */
    if (!(t < high))
        t = low;
    uint32_t step = 1, guess = lo + (uint32_t)(uniform * (double)(hi - lo));
    if (hi - lo > 16 && high_of(c, guess) <= t) { /* from where it is if values lie evenly */
        for (lo = guess; hi - lo > step && high_of(c, lo + step) <= t; step *= 2)
            lo += step;
        hi = hi - lo > step ? lo + step : hi;
    } else if (hi - lo > 16) {
        for (hi = guess; hi - lo > step && high_of(c, hi - step) > t; step *= 2)
            hi -= step;
        lo = hi - lo > step ? hi - step : lo;
    }
    while (hi - lo > 1) {
        const uint32_t mid = lo + (hi - lo) / 2;
        if (high_of(c, mid) <= t)
            lo = mid;
        else
            hi = mid;
    }
    sc->cut = lo;
    sc->drawn = true;
    sc->threshold = c->cut && lo < top ? c->cut[lo] : t;
    if (sc->n_missing == 0 && sc->n->o->criterion != AM_TREE_ABSOLUTE)
        return; /* pass_drawn takes the codes as they are */
    for (size_t i = 0; i < sc->n->stats.n; i++) {
        uint32_t *k = &sc->s->codes[i];
        *k = *k == c->n_values ? 2 : *k > lo;
    }
    sc->lowest = 0;
    sc->span = 2;
}

static uint32_t local_code(const struct scan *sc, uint32_t code)
{
    const uint32_t missing = sc->drawn ? 2 : sc->c->n_values;
    return code == missing ? sc->span : code - sc->lowest;
}

static double threshold_between(const struct scan *sc, uint32_t a, uint32_t b)
{
    const struct am_tree_column *c = sc->c;
    if (c->cut)
        return c->cut[a];
    const double low = (double)c->low[a], high = (double)c->low[b],
                 t = low / 2 + high / 2; /* as scikit-learn's */
    return t == high ? low : t;
}

/* A gain for the boundary between local codes a and b, a < b. */
static void offer(struct scan *sc, double gain, uint32_t a, uint32_t b)
{
    struct am_tree_split *best = sc->best;
    if (!(gain > best->gain))
        return;
    best->found = true;
    best->gain = gain;
    best->missing_left = sc->missing_left;
    if (b == sc->span) { /* values left, missing right */
        best->code = sc->c->n_values ? sc->c->n_values - 1 : 0;
        best->threshold = (double)INFINITY;
    } else if (sc->drawn) {
        best->code = sc->cut;
        best->threshold = sc->threshold;
    } else {
        best->code = sc->lowest + a;
        best->threshold = threshold_between(sc, sc->lowest + a, sc->lowest + b);
    }
}

/* May the samples be split here at all? */
static inline bool may_split(const struct scan *sc, uint32_t a, uint32_t b)
{
    if (sc->n_left < sc->n->o->min_leaf || sc->n_right < sc->n->o->min_leaf)
        return false;
    if (b == sc->span || sc->drawn || sc->c->cut)
        return true;
    return (double)sc->c->low[sc->lowest + b] > (double)sc->c->low[sc->lowest + a] + FEATURE_STEP;
}

/* ---- sums of the two sides ---- */

enum kind { GINI, ENTROPY, SQUARED, POISSON };

static inline double xlogx(const struct am_tree_data *d, double x)
{
    if (x < (double)d->n_xlogx && x >= 0) {
        const size_t i = (size_t)x;
        if ((double)i == x)
            return d->xlogx[i];
    }
    return x > 0 ? x * log(x) : 0;
}

static inline __attribute__((always_inline)) void move_class(struct scan *sc, enum kind kind,
                                                             size_t k, double w)
{
    double *l = &sc->s->left[k], *r = &sc->s->right[k];
    if (kind == GINI) {
        sc->left += w * (2 * *l + w);
        sc->right -= w * (2 * *r - w);
    } else {
        sc->left -= xlogx(sc->n->data, *l);
        sc->right -= xlogx(sc->n->data, *r);
    }
    *l += w;
    *r -= w;
    if (kind == ENTROPY) {
        sc->left += xlogx(sc->n->data, *l);
        sc->right += xlogx(sc->n->data, *r);
    }
    sc->w_left += w;
    sc->w_right -= w;
}

static inline __attribute__((always_inline)) void move_number(struct scan *sc, double w, double wy)
{
    sc->left += wy;
    sc->w_left += w;
    sc->right = sc->n->stats.sum - sc->left;
    sc->w_right = sc->n->stats.weight - sc->w_left;
}

/* What the two sides have in common is left out, as scikit-learn's proxies do. */
static inline __attribute__((always_inline)) double gain_of(const struct scan *sc, enum kind kind)
{
    if (kind == ENTROPY)
        return sc->left - xlogx(sc->n->data, sc->w_left) + sc->right -
               xlogx(sc->n->data, sc->w_right);
    if (kind == GINI)
        return sc->left / sc->w_left + sc->right / sc->w_right;
    if (kind == SQUARED)
        return sc->left * sc->left / sc->w_left + sc->right * sc->right / sc->w_right;
    if (sc->left <= EPSILON || sc->right <= EPSILON)
        return -(double)INFINITY;
    return sc->left * log(sc->left / sc->w_left) + sc->right * log(sc->right / sc->w_right);
}

static void start(struct scan *sc, enum kind kind)
{
    const struct am_tree_stats *st = &sc->n->stats;
    const size_t k = sc->n->data->n_classes;
    sc->n_left = 0;
    sc->n_right = st->n;
    sc->w_left = 0;
    sc->w_right = st->weight;
    sc->left = 0;
    sc->right = st->sum;
    if (k == 0)
        return;
    sc->right = 0;
    for (size_t i = 0; i < k; i++) {
        sc->s->left[i] = 0;
        sc->s->right[i] = st->counts[i];
        sc->right +=
            kind == GINI ? st->counts[i] * st->counts[i] : xlogx(sc->n->data, st->counts[i]);
    }
}

/* ---- samples sorted by code ---- */

static void sort_samples(struct scan *sc)
{
    const size_t n = sc->n->stats.n;
    for (size_t i = 0; i < n; i++)
        sc->s->key[i] = (uint64_t)local_code(sc, sc->s->codes[i]) << 32 | i;
    am_tree_sort(sc->s->key, sc->s->other, n, (uint64_t)sc->span + 1);
}

static inline __attribute__((always_inline)) void move_sample(struct scan *sc, enum kind kind,
                                                              const struct am_tree_sample *s)
{
    if (kind <= ENTROPY)
        move_class(sc, kind, (size_t)s->y, s->w);
    else
        move_number(sc, s->w, s->w * (double)s->y);
    sc->n_left++;
    sc->n_right--;
}

static inline __attribute__((always_inline)) void pass_sorted(struct scan *sc, enum kind kind)
{
    const uint64_t *key = sc->s->key;
    const struct am_tree_sample *s = sc->n->samples;
    const size_t n = sc->n->stats.n, values = n - sc->n_missing;
    start(sc, kind);
    for (size_t i = values; sc->missing_left && i < n; i++)
        move_sample(sc, kind, &s[(uint32_t)key[i]]);
    const size_t end = sc->missing_left ? values : n;
    move_sample(sc, kind, &s[(uint32_t)key[0]]);
    for (size_t i = 1; i < end; i++) {
        const uint32_t a = (uint32_t)(key[i - 1] >> 32), b = (uint32_t)(key[i] >> 32);
        if (a != b && may_split(sc, a, b))
            offer(sc, gain_of(sc, kind), a, b);
        move_sample(sc, kind, &s[(uint32_t)key[i]]);
    }
}

/* ---- samples counted by code ---- */

static void count_samples(struct scan *sc)
{
    const size_t n = sc->n->stats.n, k = sc->n->data->n_classes, slots = (size_t)sc->span + 1;
    const struct am_tree_sample *s = sc->n->samples;
    double *sums = sc->s->slots;
    uint32_t *count = sc->s->slot_n;
    memset(sums, 0, slots * (k ? k : 2) * sizeof *sums);
    memset(count, 0, slots * sizeof *count);
    for (size_t i = 0; i < n; i++) {
        const size_t b = local_code(sc, sc->s->codes[i]);
        count[b]++;
        if (k) {
            sums[b * k + (size_t)s[i].y] += s[i].w;
        } else {
            sums[2 * b] += s[i].w;
            sums[2 * b + 1] += s[i].w * (double)s[i].y;
        }
    }
}

static inline __attribute__((always_inline)) void move_slot(struct scan *sc, enum kind kind,
                                                            size_t b)
{
    const size_t k = sc->n->data->n_classes;
    const double *sums = sc->s->slots;
    if (kind <= ENTROPY) {
        for (size_t i = 0; i < k; i++)
            if (sums[b * k + i] != 0)
                move_class(sc, kind, i, sums[b * k + i]);
    } else {
        move_number(sc, sums[2 * b], sums[2 * b + 1]);
    }
    sc->n_left += sc->s->slot_n[b];
    sc->n_right -= sc->s->slot_n[b];
}

static inline __attribute__((always_inline)) void pass_counted(struct scan *sc, enum kind kind)
{
    const uint32_t end = sc->span + !sc->missing_left;
    uint32_t a = UINT32_MAX;
    start(sc, kind);
    if (sc->missing_left && sc->n_missing)
        move_slot(sc, kind, sc->span);
    for (uint32_t b = 0; b < end; b++) {
        if (sc->s->slot_n[b] == 0)
            continue;
        if (a != UINT32_MAX && may_split(sc, a, b))
            offer(sc, gain_of(sc, kind), a, b);
        move_slot(sc, kind, b);
        a = b;
    }
}

/* One random threshold and nothing missing: no order is needed. */
static inline __attribute__((always_inline)) void pass_drawn(struct scan *sc, enum kind kind)
{
    const size_t n = sc->n->stats.n, k = sc->n->data->n_classes;
    const struct am_tree_sample *s = sc->n->samples;
    const uint32_t *codes = sc->s->codes, cut = sc->cut;
    double *left = sc->s->left, w = 0, wy = 0;
    size_t n_left = 0;
    memset(left, 0, k * sizeof *left);
    for (size_t i = 0; i < n; i++) {
        const bool is_left = codes[i] <= cut;
        const double part = is_left ? s[i].w : 0;
        n_left += is_left;
        w += part;
        if (kind <= ENTROPY)
            left[(size_t)s[i].y] += part;
        else
            wy += part * (double)s[i].y;
    }
    sc->n_left = n_left;
    sc->n_right = n - n_left;
    sc->w_left = w;
    sc->w_right = sc->n->stats.weight - w;
    sc->left = wy;
    sc->right = sc->n->stats.sum - wy;
    for (size_t i = 0; kind <= ENTROPY && i < k; i++) {
        const double l = left[i], r = sc->n->stats.counts[i] - l;
        sc->left += kind == GINI ? l * l : xlogx(sc->n->data, l);
        sc->right += kind == GINI ? r * r : xlogx(sc->n->data, r);
    }
    if (may_split(sc, 0, 1))
        offer(sc, gain_of(sc, kind), 0, 1);
}

static inline __attribute__((always_inline)) void passes(struct scan *sc, enum kind kind)
{
    if (sc->drawn && sc->n_missing == 0) {
        pass_drawn(sc, kind);
        return;
    }
    const size_t n = sc->n->stats.n, k = sc->n->data->n_classes,
                 room = ((size_t)sc->span + 1) * (k ? k : 2);
    const bool counted = room <= 2 * n + 16;
    if (counted)
        count_samples(sc);
    else
        sort_samples(sc);
    for (int left = 0, sides = sc->n_missing > 0 ? 2 : 1; left < sides; left++) {
        sc->missing_left = left;
        if (counted)
            pass_counted(sc, kind);
        else
            pass_sorted(sc, kind);
    }
}

/* ---- absolute errors: two Fenwick trees over the ranks of y ---- */

struct medians {
    double *w, *wy; /* [n + 1] */
    size_t n, top;  /* top: the largest power of two <= n */
    double sum_w, sum_wy;
};

static void medians_clear(struct medians *m)
{
    memset(m->w, 0, (m->n + 1) * sizeof *m->w);
    memset(m->wy, 0, (m->n + 1) * sizeof *m->wy);
    m->sum_w = m->sum_wy = 0;
}

static void medians_put(struct medians *m, size_t rank, double w, double y)
{
    for (size_t i = rank + 1; i <= m->n; i += i & (~i + 1)) {
        m->w[i] += w;
        m->wy[i] += w * y;
    }
    m->sum_w += w;
    m->sum_wy += w * y;
}

/* sum of w |y - median|; at: y by rank */
static double medians_error(const struct medians *m, const double *at)
{
    size_t pos = 0;
    double w = 0, wy = 0;
    for (size_t step = m->top; step > 0; step /= 2)
        if (pos + step <= m->n && w + m->w[pos + step] < m->sum_w / 2) {
            pos += step;
            w += m->w[pos];
            wy += m->wy[pos];
        }
    const double median = at[pos < m->n ? pos : m->n - 1];
    return (median * w - wy) + ((m->sum_wy - wy) - median * (m->sum_w - w));
}

static void pass_absolute(struct scan *sc, struct medians *m, const double *at)
{
    const size_t n = sc->n->stats.n, shift = sc->missing_left ? n - sc->n_missing : 0,
                 first = sc->missing_left ? sc->n_missing + 1 : 1;
    const uint64_t *key = sc->s->key;
    const struct am_tree_sample *s = sc->n->samples;
    double *error = sc->s->error;
    medians_clear(m);
    for (size_t p = 0; p < n; p++) { /* error[p]: of the first p */
        const size_t i = (uint32_t)key[(p + shift) % n];
        error[p] = p ? medians_error(m, at) : 0;
        medians_put(m, sc->n->rank[i], s[i].w, (double)s[i].y);
    }
    medians_clear(m);
    for (size_t p = n; p-- > 1;) {
        const size_t i = (uint32_t)key[(p + shift) % n];
        medians_put(m, sc->n->rank[i], s[i].w, (double)s[i].y);
        error[p] += medians_error(m, at);
    }
    for (size_t p = first; p < n; p++) {
        const uint32_t a = (uint32_t)(key[(p - 1 + shift) % n] >> 32),
                       b = (uint32_t)(key[(p + shift) % n] >> 32);
        sc->n_left = p;
        sc->n_right = n - p;
        if (a != b && may_split(sc, a, b))
            offer(sc, -error[p], a, b);
    }
}

static void absolute(struct scan *sc)
{
    const size_t n = sc->n->stats.n;
    struct medians m = {.n = n, .top = 1, .w = sc->s->slots, .wy = sc->s->slots + n + 1};
    double *at = sc->s->slots + 2 * (n + 1);
    while (m.top * 2 <= n)
        m.top *= 2;
    for (size_t i = 0; i < n; i++)
        at[sc->n->rank[i]] = (double)sc->n->samples[i].y;
    sort_samples(sc);
    for (int left = 0, sides = sc->n_missing > 0 ? 2 : 1; left < sides; left++) {
        sc->missing_left = left;
        pass_absolute(sc, &m, at);
    }
}

void am_tree_search_feature(const struct am_tree_search *n, uint32_t feature, double uniform,
                            struct am_tree_scratch *s, struct am_tree_split *out)
{
    struct scan sc = {.n = n, .c = &n->data->columns[feature], .s = s, .best = out};
    *out = (struct am_tree_split){.feature = feature, .gain = -(double)INFINITY};
    if (!gather(&sc)) {
        out->constant = true;
        return;
    }
    out->missing_seen = sc.n_missing > 0;
    if (n->o->splitter == AM_TREE_RANDOM && sc.span > 1)
        draw(&sc, uniform);
    switch (n->o->criterion) {
    case AM_TREE_GINI:
        passes(&sc, GINI);
        break;
    case AM_TREE_ENTROPY:
        passes(&sc, ENTROPY);
        break;
    case AM_TREE_SQUARED:
        passes(&sc, SQUARED);
        break;
    case AM_TREE_POISSON:
        passes(&sc, POISSON);
        break;
    case AM_TREE_ABSOLUTE:
        absolute(&sc);
        break;
    }
}
