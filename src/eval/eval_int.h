/* Shared by the files of eval/ only: weights, compensated sums, ranked rows.
 *
 * Not a public face. am_rank's arrays are the caller's until am_ranked_clear. Any thread. */
#ifndef AM_EVAL_EVAL_INT_H
#define AM_EVAL_EVAL_INT_H

#include "eval/eval.h"

static inline double am_eval_weight(const struct am_eval_input *in, size_t i)
{
    return in->weight ? in->weight[i] : 1.0;
}

/* Neumaier's compensated sum. */
struct am_sum {
    double s, c;
};
static inline void am_sum_add(struct am_sum *a, double x)
{
    double t = a->s + x;
    double as = a->s < 0 ? -a->s : a->s, ax = x < 0 ? -x : x;
    a->c += as >= ax ? (a->s - t) + x : (x - t) + a->s;
    a->s = t;
}
static inline double am_sum_value(const struct am_sum *a)
{
    return a->s + a->c;
}

/* The end of the run of equal scores that begins at i; always past i, a score that is not a number
 * included. */
#define AM_RANKED_TIE_END(r, i, j) ((j) < (r)->n && ((j) == (i) || (r)->score[j] == (r)->score[i]))

/* Every prediction finite, every truth finite (classes: 0..n_classes-1)? Else no figure has a
 * meaning. */
bool am_eval_finite(const struct am_eval_input *in);

/* A metric of several labels; in is finite and has rows. */
enum am_rc am_multilabel_metric(const struct am_eval_input *in, struct am_str name, double *out,
                                struct am_err *err) AM_MUST_CHECK;

/* One class against the rest, sorted by falling score. */
struct am_ranked {
    float *score;   /* [n] */
    double *weight; /* [n] */
    uint8_t *hit;   /* [n] 1 = of the class */
    size_t n;
    double positives, negatives; /* weights */
};
enum am_rc am_rank(const struct am_eval_input *in, size_t cls, struct am_ranked *out,
                   struct am_err *err) AM_MUST_CHECK;
/* Sorts by the bytes from first_byte (0 = lowest) up, rising and stable: a radix sort. false = out
 * of memory, the keys are as they were. */
bool am_sort_keys(uint64_t *keys, size_t n, unsigned first_byte);
void am_ranked_clear(struct am_ranked *r);
double am_ranked_auc(const struct am_ranked *r); /* NaN with one class */
double am_ranked_ap(const struct am_ranked *r);  /* NaN without positives */

#endif
