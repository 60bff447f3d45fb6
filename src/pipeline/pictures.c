/* Pictures in the report of a model whose rows are pictures: the worst mistakes; what of the worst
 * one its prediction hangs on, and what the layers answer to it; the filters of the first
 * convolution. Other models get none of it. One thread. */
#include "eval/pictures.h"

#include "base/alloc.h"
#include "pipeline/look.h"
#include "pipeline/train_int.h"

#define MISTAKES 12
#define SIDE 112 /* of a picture on the page, at most */

struct pictured {
    struct am_training *t;
    const struct am_scored *s;
    const struct am_train_data *rows;
    struct am_dims dims;
    struct am_floats shape; /* data NULL */
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

/* The worst mistake, or the first row when there is none, looked at from inside. */
static enum am_rc look(const struct pictured *p, size_t row, const float *x, struct am_node *r,
                       struct am_err *err)
{
    struct am_arena *a = p->t->p.arena;
    struct am_node *n;
    const struct am_look l = {.graph = p->t->learned.graph,
                              .params = p->t->learned.params,
                              .pool = p->t->p.pl->pool,
                              .arena = a,
                              .shape = p->dims,
                              .x = x,
                              .cls = am_eval_label(&p->s->in, row),
                              .classes = true,
                              .max_side = SIDE};
    AM_TRY(am_look_saliency(&l, &n, err));
    for (size_t i = 0; i < n->list.n; i++) {
        struct am_node *m = am_mistake_node(&p->s->in, row, am_node_get(r, "classes"),
                                            am_node_str(n->list.items[i], "picture", ""), a);
        am_node_set(a, m, "method", am_new_str(a, am_node_str(n->list.items[i], "method", "")));
        n->list.items[i] = m;
    }
    am_node_set(a, r, "saliency", n);
    AM_TRY(am_look_activations(&l, &n, err));
    if (n->list.n)
        am_node_set(a, r, "activations", n);
    AM_TRY(am_look_filters(&l, &n, err));
    if (n->list.n)
        am_node_set(a, r, "filters", n);
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
        .dims = d,
        .shape = {.height = (size_t)d.d[0], .width = (size_t)d.d[1], .channels = (size_t)d.d[2]}};
    float *x = am_alloc_array(rows->n_features, sizeof *x);
    enum am_rc rc = AM_OK;
    if (!x)
        return am_fail_nomem(err, rows->n_features * sizeof *x);
    n = am_worst_mistakes(&s->in, MISTAKES, worst);
    AM_GO(rc, mistakes(&p, worst, n, x, r, err));
    if (rows->n_rows > 0) {
        AM_GO(rc, row_of(&p, n ? worst[0] : 0, x, err));
        rc = look(&p, n ? worst[0] : 0, x, r, err);
    }
out:
    am_free(x);
    return rc;
}
