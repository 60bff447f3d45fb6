/* What ensembles need beyond arithmetic: logits of probabilities, and votes. Both work on [B, n].
 *
 * log_odds: attr.i[0] = 0: log p; 1: log p - log(1 - p); p is kept attr.f[0] away from 0 and 1
 * before (NaN becomes that too). vote: 1 at the first largest column and 0 elsewhere; with a single
 * column 1 where it is at least attr.f[0]. Element by element, so a row's bits are its own. */
#include "nn/layers_combine.h"

#include <math.h>

#include "nn/ops/op.h"

static enum am_rc log_odds_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    if (!(n->attr.f[0] > 0 && n->attr.f[0] < 0.5f))
        return am_op_fail(g, n, err, "the clip must lie between 0 and 0.5");
    if (n->attr.i[0] != 0 && n->attr.i[0] != 1)
        return am_op_fail(g, n, err, "odds is 0 or 1");
    n->dims = *am_in_dims(g, n, 0);
    return AM_OK;
}

static void log_odds_part(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    const float *x = am_arg_ptr(r, &s->in[0]);
    float *y = am_arg_ptr(r, &s->out);
    const float low = s->attr.f[0], high = 1 - low;
    for (size_t i = begin; i < end; i++) {
        const float p = x[i] > low ? (x[i] < high ? x[i] : high) : low;
        y[i] = s->attr.i[0] ? logf(p) - logf(1 - p) : logf(p);
    }
}

static void log_odds_run(const struct am_run *r, const struct am_step *s)
{
    am_run_elements(r, s, log_odds_part);
}

static enum am_rc vote_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const struct am_dims *d = am_in_dims(g, n, 0);
    if (d->rank != 2)
        return am_op_fail(g, n, err, "a vote needs rows and columns");
    if (!(n->attr.f[0] >= 0 && n->attr.f[0] <= 1))
        return am_op_fail(g, n, err, "the threshold must lie between 0 and 1");
    n->dims = *d;
    return AM_OK;
}

static void vote_part(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    const size_t c = s->out.cols;
    const float *x = am_arg_ptr(r, &s->in[0]);
    float *y = am_arg_ptr(r, &s->out);
    for (size_t i = begin; i < end; i++) {
        size_t best = 0;
        for (size_t k = 1; k < c; k++)
            best = x[i * c + k] > x[i * c + best] ? k : best;
        const bool yes = c > 1 || x[i * c] >= s->attr.f[0];
        for (size_t k = 0; k < c; k++)
            y[i * c + k] = k == best && yes ? 1.0f : 0.0f;
    }
}

static void vote_run(const struct am_run *r, const struct am_step *s)
{
    am_run_rows(r, s, vote_part);
}

static const struct am_attr_desc log_odds_attrs[] = {
    {"clip", AM_ATTR_F, 0, 0, 0.5}, {"odds", AM_ATTR_I, 0, 0, 1}, {NULL, 0, 0, 0, 0}};
const struct am_op am_op_log_odds = {.name = "log_odds",
                                     .min_in = 1,
                                     .max_in = 1,
                                     .attrs = log_odds_attrs,
                                     .infer = log_odds_infer,
                                     .run = log_odds_run};
static const struct am_attr_desc vote_attrs[] = {{"threshold", AM_ATTR_F, 0, 0, 1},
                                                 {NULL, 0, 0, 0, 0}};
const struct am_op am_op_vote = {.name = "vote",
                                 .min_in = 1,
                                 .max_in = 1,
                                 .attrs = vote_attrs,
                                 .infer = vote_infer,
                                 .run = vote_run};

am_value am_layer_log_odds(struct am_graph *g, am_value x, enum am_odds odds, float clip)
{
    struct am_attr a = {.f = {clip}, .i = {odds}};
    return am_graph_add(g, &am_op_log_odds, &x, 1, &a, NULL);
}

am_value am_layer_vote(struct am_graph *g, am_value x, float threshold)
{
    struct am_attr a = {.f = {threshold}};
    return am_graph_add(g, &am_op_vote, &x, 1, &a, NULL);
}
