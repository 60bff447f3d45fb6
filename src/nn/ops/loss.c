/* The loss of a batch and its gradient, one op each; both report loss and weight sum to the run, so
 * a training plan needs the gradient only. Rows are added in order in double. Fitting library. */
#include "nn/loss.h"

#include <math.h>

#include "nn/ops/train_ops.h"

static enum am_rc loss_infer_any(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    const struct am_dims *y = am_in_dims(g, n, 0), *t = am_in_dims(g, n, 1);
    if (y->rank != 2 || t->rank != 2 || !am_dims_batched(y) || !am_dims_batched(t))
        return am_op_fail(g, n, err, "prediction and target must be matrices [B,n]");
    const int64_t classes = n->attr.i[3] ? 3 : 1; /* columns of a target that is a class */
    if (n->attr.i[0] == AM_LOSS_CATEGORICAL ? t->d[1] != classes || y->d[1] < 2
                                            : t->d[1] != y->d[1])
        return am_op_fail(g, n, err, "the columns of target and prediction do not fit this loss");
    return AM_OK;
}

static enum am_rc loss_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    AM_TRY(loss_infer_any(g, n, err));
    n->dims = am_dims1(1);
    return AM_OK;
}

static enum am_rc loss_grad_infer(const struct am_graph *g, struct am_gnode *n, struct am_err *err)
{
    AM_TRY(loss_infer_any(g, n, err));
    n->dims = *am_in_dims(g, n, 0);
    return AM_OK;
}

/* Losses that are sums over elements, without kernels of their own: value and slope of one. */
static double element(const struct am_step *s, double y, double t, double *slope)
{
    const double f = (double)s->attr.f[0], d = y - t;
    switch ((enum am_loss_kind)s->attr.i[0]) {
    case AM_LOSS_MSE:
        *slope = 2 * d;
        return d * d;
    case AM_LOSS_MAE:
        *slope = d > 0 ? 1 : d < 0 ? -1 : 0;
        return fabs(d);
    case AM_LOSS_HUBER:
        *slope = d > f ? f : d < -f ? -f : d;
        return fabs(d) <= f ? 0.5 * d * d : f * (fabs(d) - 0.5 * f);
    case AM_LOSS_HINGE: { /* the two classes' losses by their shares */
        const double one = f - y, other = f + y;
        *slope = (one > 0 ? -t : 0) + (other > 0 ? 1 - t : 0);
        return (one > 0 ? t * one : 0) + (other > 0 ? (1 - t) * other : 0);
    }
    default: { /* BINARY of probabilities; logarithms cut at -100 as PyTorch */
        const double q = t * (1 - f) + 0.5 * f;
        const double a = fmax(log(y), -100), b = fmax(log1p(-y), -100);
        *slope = (y - q) / fmax(y * (1 - y), 1e-12);
        return -(q * a + (1 - q) * b);
    }
    }
}

/* Cross-entropy of probabilities, when "y" is not a softmax. target [1], or mixed [3]. */
static double class_loss(const struct am_step *s, const float *y, const float *target,
                         const float *cw, size_t n, float *slope)
{
    const double f = (double)s->attr.f[0], share = s->attr.i[3] ? (double)target[2] : 0;
    const size_t class = (size_t)target[0], other = s->attr.i[3] ? (size_t)target[1] : class;
    double loss = 0;
    for (size_t j = 0; j < n; j++) {
        const double hit = (j == class ? 1 - share : 0) + (j == other ? share : 0);
        const double t = (cw ? (double)cw[j] : 1) * (f / (double)n + hit * (1 - f));
        const double p = fmax((double)y[j], 1e-30);
        loss -= t * log(p);
        if (slope)
            slope[j] = (float)(-t / p);
    }
    return loss;
}

/* Cross-entropy is linear in its target: what mixing changes is told by two logits. The rows' first
 * classes, one behind the other, stand in first. */
static void mix(const struct am_step *s, const float *y, const float *t, size_t rows, size_t cols,
                float *loss, float *dy)
{
    for (size_t i = 0; i < rows; i++, t += 3, y += cols) {
        const size_t a = (size_t)t[0], b = (size_t)t[1];
        const float k = t[2] * (1.0f - s->attr.f[0]);
        if (a == b || k == 0.0f)
            continue;
        loss[i] += k * (y[a] - y[b]);
        if (dy) {
            dy[i * cols + a] += k;
            dy[i * cols + b] -= k;
        }
    }
}

/* Losses of elements (CATEGORICAL: of rows) into loss, unweighted slopes into dy (NULL = not
 * wanted). */
static void fill(const struct am_run *r, const struct am_step *s, size_t rows, size_t cols,
                 float *loss, float *dy)
{
    const float *y = am_arg_ptr(r, &s->in[0]), *t = am_arg_ptr(r, &s->in[1]),
                *cw = am_arg_ptr(r, &s->in[3]);
    const bool logits = s->attr.i[1] == 1;
    if (s->attr.i[0] == AM_LOSS_CATEGORICAL && logits && s->attr.i[3]) {
        float *first = loss + rows;
        for (size_t i = 0; i < rows; i++)
            first[i] = t[3 * i];
        r->tkern->softmax_xent(y, first, cw, s->attr.f[0], loss, dy, rows, cols);
        mix(s, y, t, rows, cols, loss, dy);
    } else if (s->attr.i[0] == AM_LOSS_CATEGORICAL && logits) {
        r->tkern->softmax_xent(y, t, cw, s->attr.f[0], loss, dy, rows, cols);
    } else if (s->attr.i[0] == AM_LOSS_CATEGORICAL) {
        for (size_t i = 0; i < rows; i++)
            loss[i] = (float)class_loss(s, y + i * cols, t + i * (s->attr.i[3] ? 3 : 1), cw, cols,
                                        dy ? dy + i * cols : NULL);
    } else if (s->attr.i[0] == AM_LOSS_BINARY && logits) {
        r->tkern->sigmoid_xent(y, t, s->attr.f[0], loss, dy, rows * cols);
    } else {
        for (size_t e = 0; e < rows * cols; e++) {
            double slope;
            loss[e] = (float)element(s, (double)y[e], (double)t[e], &slope);
            if (dy)
                dy[e] = (float)slope;
        }
    }
}

/* The class weight of one element's target; a class index, or for BINARY between the two. */
static double class_weight(const struct am_step *s, const float *cw, float target)
{
    if (!cw)
        return 1;
    if (s->attr.i[0] == AM_LOSS_CATEGORICAL)
        return (double)cw[(size_t)target];
    return (double)target * (double)cw[1] + (1 - (double)target) * (double)cw[0];
}

/* Weighted sums over all elements, rows in order. loss[] is replaced by each element's factor. */
static void weigh(const struct am_run *r, const struct am_step *s, size_t rows, size_t per_row,
                  float *loss, double *total, double *mass)
{
    const float *t = am_arg_ptr(r, &s->in[1]), *w = am_arg_ptr(r, &s->in[2]),
                *cw = am_arg_ptr(r, &s->in[3]);
    const bool inside =
        s->attr.i[0] == AM_LOSS_CATEGORICAL; /* class weights are in the loss already */
    const double share = 1 / (double)per_row;
    *total = *mass = 0;
    for (size_t i = 0; i < rows; i++) {
        const double row = (w ? (double)w[i] : 1) * share;
        for (size_t j = 0; j < per_row; j++) {
            const size_t e = i * per_row + j;
            const double c = row * class_weight(s, cw, t[e]);
            const double f = inside ? row : c;
            *total += f * (double)loss[e];
            *mass += c;
            loss[e] = (float)f;
        }
    }
}

static void loss_pass(const struct am_run *r, const struct am_step *s, float *dy)
{
    const size_t rows = am_arg_rows(r, &s->in[0]), cols = s->in[0].cols;
    const size_t per_row = s->attr.i[0] == AM_LOSS_CATEGORICAL ? 1 : cols;
    float *loss = am_scratch(r, s);
    double total, mass;
    fill(r, s, rows, cols, loss, dy);
    weigh(r, s, rows, per_row, loss, &total, &mass);
    *r->loss = mass > 0 ? total / mass : 0;
    *r->weight_sum = mass;
    if (!dy)
        return;
    const double inv = r->mass > 0 ? 1 / r->mass : mass > 0 ? 1 / mass : 0;
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++)
            dy[i * cols + j] *= (float)((double)loss[per_row == 1 ? i : i * cols + j] * inv);
}

static void loss_run(const struct am_run *r, const struct am_step *s)
{
    loss_pass(r, s, NULL);
    *am_arg_ptr(r, &s->out) = (float)*r->loss;
}

static void loss_grad_run(const struct am_run *r, const struct am_step *s)
{
    loss_pass(r, s, am_arg_ptr(r, &s->out));
}

static size_t loss_scratch(const struct am_graph *g, const struct am_gnode *n, size_t rows)
{
    const bool classes = n->attr.i[0] == AM_LOSS_CATEGORICAL;
    return rows * (n->attr.i[3] ? 2 : classes ? 1 : am_dims_cols(am_in_dims(g, n, 0)));
}

static double loss_flops(const struct am_graph *g, const struct am_gnode *n)
{
    return 20.0 * (double)am_dims_count(am_in_dims(g, n, 0));
}

/* attr.i[2] is the number of classes, 0 unless CATEGORICAL: then nothing is checked. */
const struct am_op am_op_loss = {.name = "loss",
                                 .min_in = 2,
                                 .max_in = 4,
                                 .flags = AM_OP_CLASS_TARGET,
                                 .infer = loss_infer,
                                 .run = loss_run,
                                 .flops = loss_flops,
                                 .scratch = loss_scratch};
const struct am_op am_op_loss_grad = {.name = "loss_grad",
                                      .min_in = 2,
                                      .max_in = 4,
                                      .flags = AM_OP_CLASS_TARGET,
                                      .infer = loss_grad_infer,
                                      .run = loss_grad_run,
                                      .flops = loss_flops,
                                      .scratch = loss_scratch};
