/* Pictures in the report of a model whose rows are pictures: the worst mistakes, the filters of the
 * first convolution, and what of the worst mistake its prediction hangs on (by covering parts of
 * it: no gradient). Other models get none of it. One thread. */
#include "eval/pictures.h"

#include "base/alloc.h"
#include "nn/layers_conv.h"
#include "pipeline/train_int.h"

#define MISTAKES 12
#define SIDE 112 /* of a picture on the page, at most */

struct pictured {
    struct am_training *t;
    const struct am_scored *s;
    const struct am_train_data *rows;
    struct am_floats shape; /* data NULL */
    size_t looked_at;       /* class whose p is watched */
};

static enum am_rc row_of(const struct pictured *p, uint64_t row, float *x, struct am_err *err)
{
    return p->rows->gather(p->rows->self, &row, 1, x, NULL, NULL, err);
}

static enum am_rc mistakes(const struct pictured *p, const size_t *rows, size_t n, float *x,
                           struct am_node *r, struct am_err *err)
{
    struct am_arena *a = p->t->p.arena;
    struct am_node *list = am_new_list(a);
    for (size_t i = 0; i < n; i++) {
        struct am_floats f = p->shape;
        struct am_str uri;
        AM_TRY(row_of(p, rows[i], x, err));
        f.data = x;
        AM_TRY(am_picture_of_floats(&f, SIDE, a, &uri, err));
        am_node_push(a, list,
                     am_mistake_node(&p->s->in, rows[i], am_node_get(r, "classes"), uri, a));
    }
    am_node_set(a, r, "mistakes", list);
    return am_arena_check(a, err);
}

/* p of the class looked at for n covered pictures. */
static enum am_rc predict_covered(void *ctx, const float *x, size_t n, float *out,
                                  struct am_err *err)
{
    const struct pictured *p = ctx;
    size_t c = p->s->in.n_classes, wide = p->s->in.task == AM_TASK_BINARY ? 1 : c;
    float pred[32 * 64];
    if (wide > 64 || n > 32)
        return am_fail(err, AM_ELIMIT, "%zu classes, at most 64 are looked at", wide);
    AM_TRY(am_score_rows(&p->t->learned, n, p->rows->n_features, x, pred, wide, p->t->p.pl->pool,
                         err));
    for (size_t i = 0; i < n; i++)
        out[i] = wide > 1 ? pred[i * wide + p->looked_at] : p->looked_at ? pred[i] : 1 - pred[i];
    return AM_OK;
}

static enum am_rc saliency(struct pictured *p, size_t row, float *x, struct am_node *r,
                           struct am_err *err)
{
    struct am_arena *a = p->t->p.arena;
    size_t h = p->shape.height, w = p->shape.width;
    float *heat = am_alloc_array(h * w, sizeof *heat);
    struct am_occlusion o = {.x = p->shape, .predict = predict_covered, .ctx = p};
    struct am_str uri;
    enum am_rc rc = AM_OK;
    if (!heat)
        return am_fail_nomem(err, h * w * sizeof *heat);
    AM_GO(rc, row_of(p, row, x, err));
    o.x.data = x;
    p->looked_at = (size_t)am_eval_label(&p->s->in, row);
    AM_GO(rc, am_saliency_occlusion(&o, heat, err));
    AM_GO(rc, am_picture_heat(&o.x, heat, SIDE, a, &uri, err));
    struct am_node *list = am_new_list(a);
    am_node_push(a, list, am_mistake_node(&p->s->in, row, am_node_get(r, "classes"), uri, a));
    am_node_set(a, r, "saliency", list);
    rc = am_arena_check(a, err);
out:
    am_free(heat);
    return rc;
}

static enum am_rc filters(const struct am_training *t, struct am_node *r, struct am_err *err)
{
    struct am_arena *a = t->p.arena;
    struct am_conv_filters f;
    struct am_str uri;
    if (!am_layer_first_conv(t->learned.graph, &f))
        return AM_OK;
    const struct am_param *w = am_params_find(t->learned.params, f.name);
    if (!w)
        return AM_OK;
    AM_TRY(am_picture_filters(t->learned.params->data + w->offset, f.kernel_h, f.kernel_w, f.c_in,
                              f.c_out, 6, a, &uri, err));
    struct am_node *m = am_new_map(a), *list = am_new_list(a);
    am_node_set(a, m, "layer", am_new_str(a, f.name));
    am_node_set(a, m, "picture", am_new_str(a, uri));
    am_node_push(a, list, m);
    am_node_set(a, r, "filters", list);
    return am_arena_check(a, err);
}

enum am_rc am_training_pictures(struct am_training *t, const struct am_scored *s,
                                const struct am_train_data *rows, struct am_node *r,
                                struct am_err *err)
{
    size_t n_tokens, worst[MISTAKES], n;
    struct am_dims d = am_features_shape(t->fitted.features, &n_tokens);
    if (d.rank != 3 || s->in.task == AM_TASK_REGRESSION || !rows)
        return AM_OK;
    struct pictured p = {
        .t = t,
        .s = s,
        .rows = rows,
        .shape = {.height = (size_t)d.d[0], .width = (size_t)d.d[1], .channels = (size_t)d.d[2]}};
    float *x = am_alloc_array(rows->n_features, sizeof *x);
    enum am_rc rc = AM_OK;
    if (!x)
        return am_fail_nomem(err, rows->n_features * sizeof *x);
    n = am_worst_mistakes(&s->in, MISTAKES, worst);
    AM_GO(rc, mistakes(&p, worst, n, x, r, err));
    if (n && s->in.n_classes <= 64)
        AM_GO(rc, saliency(&p, worst[0], x, r, err));
    rc = filters(t, r, err);
out:
    am_free(x);
    return rc;
}
