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

static enum am_rc sort_rows(const float *score, size_t n, size_t stride, uint32_t *order,
                            struct am_err *err)
{
    uint32_t *from = order, *to = am_alloc_array(n ? n : 1, sizeof *to), *tmp = to;
    if (!tmp)
        return am_fail_nomem(err, n * sizeof *to);
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    for (unsigned shift = 0; shift < 32; shift += 8) {
        size_t at[257] = {0};
        for (size_t i = 0; i < n; i++)
            at[((sort_key(score[from[i] * stride]) >> shift) & 255u) + 1]++;
        for (size_t k = 0; k < 256; k++)
            at[k + 1] += at[k];
        for (size_t i = 0; i < n; i++)
            to[at[(sort_key(score[from[i] * stride]) >> shift) & 255u]++] = from[i];
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    am_free(tmp); /* four passes: the result is back in `order` */
    return AM_OK;
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
