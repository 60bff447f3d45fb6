/* Pictures in the report of a model whose rows are pictures or sounds: the worst mistakes; what of
 * the worst one its prediction hangs on, and what the layers answer to it; the filters of the first
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
    struct am_dims shape; /* of a row */
    uint8_t part;         /* enum am_row_part of the rows */
};

static struct am_look look_at(const struct pictured *p, const float *x, size_t cls)
{
    return (struct am_look){.graph = p->t->learned.graph,
                            .params = p->t->learned.params,
                            .pool = p->t->p.pl->pool,
                            .arena = p->t->p.arena,
                            .shape = p->shape,
                            .x = x,
                            .cls = cls,
                            .classes = true,
                            .max_side = SIDE};
}

static enum am_rc row_of(const struct pictured *p, uint64_t row, float *x, struct am_err *err)
{
    return p->rows->gather(p->rows->self, &row, 1, x, NULL, NULL, err);
}

/* The files that rows of the measured part come from, where the data says so; else empty. */
static enum am_rc find_files(const struct pictured *p, const size_t *rows, size_t n,
                             struct am_str *files, struct am_err *err)
{
    const struct am_prepared *d = &p->t->p;
    const struct am_schema *s = d->table.ops->schema(d->table.impl);
    const size_t column = am_schema_find(s, AM_STR("file"));
    struct am_table_iter *it = NULL;
    const struct am_batch *b;
    size_t at = 0; /* of the part's rows */
    enum am_rc rc;
    if (column == SIZE_MAX || !am_col_is_string(s->columns[column].type))
        return AM_OK;
    AM_GO(rc, d->table.ops->open(d->table.impl, &column, 1, &it, err));
    for (;;) {
        AM_GO(rc, d->table.ops->next(it, &b, err));
        if (!b)
            break;
        for (size_t i = 0; i < b->n_rows; i++) {
            if (d->parts[b->first_row + i] != p->part)
                continue;
            for (size_t k = 0; k < n; k++)
                if (rows[k] == at && b->columns[0].text[i].ptr)
                    files[k] = am_arena_str(d->arena, b->columns[0].text[i]);
            at++;
        }
    }
    rc = am_arena_check(d->arena, err);
out:
    d->table.ops->close(it);
    return rc;
}

static enum am_rc mistakes(const struct pictured *p, const size_t *rows, size_t n, float *x,
                           struct am_node *r, struct am_err *err)
{
    struct am_arena *a = p->t->p.arena;
    struct am_node *list = am_new_list(a), *picture;
    struct am_str files[MISTAKES] = {{NULL, 0}};
    struct am_look l = look_at(p, x, 0);
    AM_TRY(find_files(p, rows, n, files, err));
    for (size_t i = 0; i < n; i++) {
        AM_TRY(row_of(p, rows[i], x, err));
        AM_TRY(am_look_input(&l, &picture, err));
        struct am_node *m = am_mistake_node(&p->s->in, rows[i], am_node_get(r, "classes"),
                                            am_node_str(picture->list.items[0], "picture", ""), a);
        if (files[i].len)
            am_node_set(a, m, "file", am_new_str(a, files[i]));
        am_node_push(a, list, m);
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
    const struct am_look l = look_at(p, x, am_eval_label(&p->s->in, row));
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
    if (!am_look_drawable(&d, n_tokens) || !am_task_has_classes(s->in.task) || !rows)
        return AM_OK;
    struct pictured p = {.t = t, .s = s, .rows = rows, .shape = d};
    for (uint8_t i = 0; i < 3; i++)
        if (t->rows[i].data == rows)
            p.part = i;
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
