/* couple: r [B, k (k - 1) / 2], for each pair of classes a < b the probability of a against b, in
 * the order (0,1), (0,2), .. -> [B, k] probabilities of the classes. attr.i[0] = k.
 *
 * Wu, Lin and Weng (2004), second method, solved as they say, in double; rounds are bounded and
 * what is no number stays none. */
#include <math.h>

#include "nn/layers_distance.h"
#include "nn/ops/op.h"

#define CLASSES_MAX 256
#define ROUNDS 100
#define LEAST 1e-7

static enum am_rc couple_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const struct am_dims *r = am_in_dims(g, n, 0);
    const int64_t k = n->attr.i[0];
    if (k < 2 || k > CLASSES_MAX)
        return am_op_fail(g, n, err, "the number of classes must be from 2 to 256");
    if (r->rank != 2 || r->d[1] != k * (k - 1) / 2)
        return am_op_fail(g, n, err, "there must be one column for each pair of classes");
    n->dims = am_dims2(r->d[0], k);
    return AM_OK;
}

struct coupling {
    size_t k;
    double *q, *qp, *p; /* [k, k], [k], [k] */
};

static size_t scratch_row(size_t k)
{
    return (2 * (k * k + 2 * k) + 15) / 16 * 16;
}

static void set_up(struct coupling *c, const float *r)
{
    const size_t k = c->k;
    size_t pair = 0;
    for (size_t a = 0; a < k * k; a++)
        c->q[a] = 0;
    for (size_t a = 0; a < k; a++)
        for (size_t b = a + 1; b < k; b++) {
            const double p = fmin(fmax((double)r[pair++], LEAST), 1 - LEAST), o = 1 - p;
            c->q[a * k + a] += o * o;
            c->q[b * k + b] += p * p;
            c->q[a * k + b] = c->q[b * k + a] = -o * p;
        }
    for (size_t a = 0; a < k; a++)
        c->p[a] = 1 / (double)k;
}

/* One round; false when it is good enough. */
static bool improve(struct coupling *c)
{
    const size_t k = c->k;
    double pqp = 0, worst = 0;
    for (size_t a = 0; a < k; a++) {
        c->qp[a] = 0;
        for (size_t b = 0; b < k; b++)
            c->qp[a] += c->q[a * k + b] * c->p[b];
        pqp += c->p[a] * c->qp[a];
    }
    for (size_t a = 0; a < k; a++)
        worst = fmax(worst, fabs(c->qp[a] - pqp));
    if (worst < 1e-6 / (double)k)
        return false;
    for (size_t a = 0; a < k; a++) {
        const double d = (pqp - c->qp[a]) / c->q[a * k + a], s = 1 / (1 + d);
        c->p[a] += d;
        pqp = (pqp + d * (d * c->q[a * k + a] + 2 * c->qp[a])) * s * s;
        for (size_t b = 0; b < k; b++) {
            c->qp[b] = (c->qp[b] + d * c->q[a * k + b]) * s;
            c->p[b] *= s;
        }
    }
    return true;
}

static void couple_part(const struct am_run *r, const struct am_step *s, size_t begin, size_t end)
{
    const size_t k = s->out.cols;
    struct coupling c = {.k = k};
    c.q = (double *)(void *)(am_scratch(r, s) + begin * scratch_row(k));
    c.qp = c.q + k * k;
    c.p = c.qp + k;
    for (size_t i = begin; i < end; i++) {
        float *y = am_arg_ptr(r, &s->out) + i * k;
        set_up(&c, am_arg_ptr(r, &s->in[0]) + i * s->in[0].cols);
        for (size_t round = 0; round < ROUNDS + k && improve(&c);)
            round++;
        for (size_t a = 0; a < k; a++)
            y[a] = (float)c.p[a];
    }
}

static void couple_run(const struct am_run *r, const struct am_step *s)
{
    am_run_split(r, s, am_arg_rows(r, &s->out), 20 * s->out.cols * s->out.cols, couple_part);
}

static size_t couple_scratch(const struct am_graph *g, const struct am_gnode *n, size_t rows)
{
    (void)g;
    return rows * scratch_row((size_t)n->attr.i[0]);
}

static const struct am_attr_desc attrs[] = {{"classes", AM_ATTR_I, 0, 2, CLASSES_MAX},
                                            {NULL, 0, 0, 0, 0}};
const struct am_op am_op_couple = {.name = "couple",
                                   .min_in = 1,
                                   .max_in = 1,
                                   .attrs = attrs,
                                   .infer = couple_infer,
                                   .run = couple_run,
                                   .scratch = couple_scratch};

am_value am_layer_couple(struct am_graph *g, am_value pairs, int64_t n_classes)
{
    const struct am_attr attr = {.i = {n_classes}};
    return am_graph_add(g, &am_op_couple, &pairs, 1, &attr, NULL);
}
