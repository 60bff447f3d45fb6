/* Rows sorted by score, one class against the rest: ROC AUC and average precision. Ties share a
 * rank, as Fawcett 2006 and scikit-learn do. The sort is a stable radix sort over the float's bits.
 * Not a public face; callers clear what am_rank made. Any thread. */
#include "eval/eval_int.h"

#include <math.h>

#include "base/alloc.h"

/* Orders floats as unsigned numbers, largest score first. */
static uint32_t sort_key(float f)
{
    union {
        float f;
        uint32_t u;
    } v = {.f = f + 0.0f}; /* -0 becomes 0: they tie */
    uint32_t k = v.u & 0x80000000u ? ~v.u : v.u | 0x80000000u;
    return ~k;
}

bool am_sort_keys(uint64_t *keys, size_t n, unsigned first_byte)
{
    uint64_t *tmp = am_alloc_array(n ? n : 1, sizeof *tmp), *from = keys, *to = tmp;
    size_t(*at)[257] = am_calloc(8, sizeof *at);
    bool ok = tmp && at;
    for (size_t i = 0; ok && i < n; i++)
        for (unsigned b = first_byte; b < 8; b++)
            at[b][((keys[i] >> 8 * b) & 255u) + 1]++;
    for (unsigned b = first_byte; ok && b < 8 && n; b++) {
        if (at[b][((keys[0] >> 8 * b) & 255u) + 1] == n)
            continue; /* the same byte everywhere */
        for (size_t k = 0; k < 256; k++)
            at[b][k + 1] += at[b][k];
        for (size_t i = 0; i < n; i++)
            to[at[b][(from[i] >> 8 * b) & 255u]++] = from[i];
        uint64_t *swap = from;
        from = to;
        to = swap;
    }
    if (ok && from != keys)
        memcpy(keys, from, n * sizeof *keys);
    am_free(tmp);
    am_free(at);
    return ok;
}

static enum am_rc sort_rows(const float *score, size_t n, size_t stride, uint32_t *order,
                            struct am_err *err)
{
    uint64_t *keys = am_alloc_array(n ? n : 1, sizeof *keys); /* score, then row */
    if (!keys)
        return am_fail_nomem(err, n * sizeof *keys);
    for (size_t i = 0; i < n; i++)
        keys[i] = (uint64_t)sort_key(score[i * stride]) << 32 | i;
    bool ok = am_sort_keys(keys, n, 4);
    for (size_t i = 0; ok && i < n; i++)
        order[i] = (uint32_t)keys[i];
    am_free(keys);
    return ok ? AM_OK : am_fail_nomem(err, n * sizeof *keys);
}

enum am_rc am_rank(const struct am_eval_input *in, size_t cls, struct am_ranked *out,
                   struct am_err *err)
{
    size_t n = in->n_rows, stride = in->task == AM_TASK_MULTICLASS ? in->n_classes : 1;
    *out = (struct am_ranked){.n = n};
    if (n > UINT32_MAX)
        return am_fail(err, AM_ELIMIT, "%zu rows to rank, at most %u allowed", n, UINT32_MAX);
    const float *score = in->pred + (in->task == AM_TASK_MULTICLASS ? cls : 0);
    uint32_t *order = am_alloc_array(n ? n : 1, sizeof *order);
    out->score = am_alloc_array(n ? n : 1, sizeof *out->score);
    out->weight = am_alloc_array(n ? n : 1, sizeof *out->weight);
    out->hit = am_alloc_array(n ? n : 1, 1);
    enum am_rc rc = AM_ENOMEM;
    if (!order || !out->score || !out->weight || !out->hit)
        rc = am_fail_nomem(err, n * 16);
    else
        rc = sort_rows(score, n, stride, order, err);
    struct am_sum p = {0, 0}, q = {0, 0};
    for (size_t i = 0; rc == AM_OK && i < n; i++) {
        size_t r = order[i];
        out->score[i] = score[r * stride];
        out->weight[i] = am_eval_weight(in, r);
        out->hit[i] = in->truth[r] == (double)cls;
        am_sum_add(out->hit[i] ? &p : &q, out->weight[i]);
    }
    out->positives = am_sum_value(&p);
    out->negatives = am_sum_value(&q);
    am_free(order);
    if (rc != AM_OK)
        am_ranked_clear(out);
    return rc;
}

void am_ranked_clear(struct am_ranked *r)
{
    am_free(r->score);
    am_free(r->weight);
    am_free(r->hit);
    *r = (struct am_ranked){0};
}

double am_ranked_auc(const struct am_ranked *r)
{
    struct am_sum area = {0, 0};
    double tp = 0;
    if (r->positives <= 0 || r->negatives <= 0)
        return NAN;
    for (size_t i = 0; i < r->n;) {
        double dp = 0, dn = 0;
        size_t j = i;
        for (; AM_RANKED_TIE_END(r, i, j); j++)
            *(r->hit[j] ? &dp : &dn) += r->weight[j];
        am_sum_add(&area, dn * (tp + dp / 2));
        tp += dp;
        i = j;
    }
    return am_sum_value(&area) / (r->positives * r->negatives);
}

double am_ranked_ap(const struct am_ranked *r)
{
    struct am_sum area = {0, 0};
    double tp = 0, all = 0;
    if (r->positives <= 0)
        return NAN;
    for (size_t i = 0; i < r->n;) {
        double dp = 0, dn = 0;
        size_t j = i;
        for (; AM_RANKED_TIE_END(r, i, j); j++)
            *(r->hit[j] ? &dp : &dn) += r->weight[j];
        tp += dp;
        all += dp + dn;
        if (all > 0)
            am_sum_add(&area, dp / r->positives * (tp / all));
        i = j;
    }
    return am_sum_value(&area);
}
