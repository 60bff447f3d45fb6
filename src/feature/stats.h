/* Streaming statistics of one column: moments, quantiles, counts. For fitting only.
 *
 * Each depends on the sequence of values alone, so cutting the stream into batches changes no bit.
 * One thread at a time each. */
#ifndef AM_FEATURE_STATS_H
#define AM_FEATURE_STATS_H

#include "base/arena.h"
#include "base/map.h"
#include "base/vec.h"

/* ---- moments: blocks of 128 values, two passes each, merged in order (Chan, Golub, LeVeque 1979)
 * ---- */

#define AM_MOMENTS_BLOCK 128

struct am_moments {
    uint64_t n; /* of the merged blocks; am_moments_end() merges the rest */
    double mean, m2, min, max;
    uint32_t n_held;
    double held[AM_MOMENTS_BLOCK];
};

void am_moments_init(struct am_moments *m);
void am_moments_flush(struct am_moments *m);
static inline void am_moments_add(struct am_moments *m, double v) /* finite */
{
    m->held[m->n_held++] = v;
    if (m->n_held == AM_MOMENTS_BLOCK)
        am_moments_flush(m);
}
/* `count` times the same value at once, merged like a block. */
void am_moments_repeat(struct am_moments *m, double v, uint64_t count);
double am_moments_variance(const struct am_moments *m); /* population; after am_moments_flush */
/* Is the deviation only rounding (scikit-learn's rule), or the range empty? */
bool am_moments_constant(const struct am_moments *m);

/* ---- quantiles: exact up to `kept` values, then a deterministic mergeable sketch ----
 *
 * Level h holds values that stand for 2^h each. When a level holds `kept` values it is sorted and
 * every second one moves up, beginning at the first and the second in turn (Munro and Paterson
 * 1980; the deterministic form of KLL). A compaction of level h moves a rank by at most 2^h, and
 * there are n / (kept 2^h) of them: the rank error is at most n log2(n / kept) / kept. */

#define AM_QUANTILE_LEVELS 48

struct am_quantile_level {
    double *values; /* owned, [kept] */
    size_t n, cap;
    bool second; /* the next compaction begins at the second value */
};
struct am_quantile {
    size_t kept; /* even */
    uint64_t n;
    double min, max;
    size_t n_levels;
    struct am_quantile_level levels[AM_QUANTILE_LEVELS];
    double *sorted;      /* owned, after am_quantile_end */
    uint64_t *rank_ends; /* owned: rows up to and including sorted[i] */
    size_t n_sorted;
    double lowest, highest; /* extras included */
};

void am_quantile_init(struct am_quantile *q, size_t kept);
void am_quantile_clear(struct am_quantile *q);
enum am_rc am_quantile_add(struct am_quantile *q, double v, struct am_err *err) AM_MUST_CHECK;
/* Adds what b saw (same kept; b is not ended). The result depends on the order of merges only. */
enum am_rc am_quantile_merge(struct am_quantile *q, const struct am_quantile *b,
                             struct am_err *err) AM_MUST_CHECK;
/* Ends the stream; extra_count more rows of value `extra` are counted in. Also callable again with
 * other extras. */
enum am_rc am_quantile_end(struct am_quantile *q, double extra, uint64_t extra_count,
                           struct am_err *err) AM_MUST_CHECK;
/* p in [0, 1]; linear between neighbours (numpy's default). After am_quantile_end with at least one
 * row. */
double am_quantile_at(const struct am_quantile *q, double p);

/* ---- counts of distinct values ---- */

#define AM_COUNTS_FIRST 2 /* of two classes no row asks the map */
struct am_counts {
    struct am_arena *arena;               /* owned, holds the keys */
    struct am_map map;                    /* key -> index */
    AM_VEC(uint64_t) n;                   /* [map.n] */
    struct am_str first[AM_COUNTS_FIRST]; /* the first keys, in the arena */
};
enum am_rc am_counts_init(struct am_counts *c, struct am_err *err) AM_MUST_CHECK;
void am_counts_clear(struct am_counts *c);
/* *index = the key's place; ELIMIT over AM_LIMIT_CATEGORIES keys. */
enum am_rc am_counts_add(struct am_counts *c, struct am_str key, uint64_t times, size_t *index,
                         struct am_err *err) AM_MUST_CHECK;

/* ---- order of labels ---- */

struct am_label {
    struct am_str text;
    double number; /* set by am_labels_sort when all read as numbers */
    uint64_t count;
    size_t index; /* the caller's */
};
/* Numbers by value when every label reads as a finite number, else by bytes. */
void am_labels_sort(struct am_label *labels, size_t n);

#endif
