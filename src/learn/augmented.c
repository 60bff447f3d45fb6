/* The rows of an epoch: gathered, changed in place one by one, blended with partners (mixup).
 *
 * A partner comes from the base as it is, unchanged. Work memory: a list of free blocks under a
 * lock, as many as threads ever read at once. */
#include "learn/augmented.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "feature/augment.h"
#include "feature/augment_rows.h"
#include "feature/augment_seq.h"

struct block {
    struct block *next;
    float x[]; /* [2, n_features]: scratch, partner */
};

enum kind { PICTURE, SOUND, TOKENS, TABLE };

struct am_augmented {
    struct am_train_data data;
    const struct am_train_data *base;
    enum kind kind;
    struct am_augment picture;
    struct am_augment_shape picture_shape;
    struct am_augment_seq seq;
    struct am_augment_seq_shape seq_shape;
    struct am_augment_rows rows;
    struct am_augment_layout *layout; /* owned, of a table */
    uint64_t seed;
    bool classes;
    pthread_mutex_t lock; /* of the list below */
    struct block *free;
};

static struct block *take(struct am_augmented *a, struct am_err *err)
{
    pthread_mutex_lock(&a->lock);
    struct block *b = a->free;
    if (b)
        a->free = b->next;
    pthread_mutex_unlock(&a->lock);
    size_t n = sizeof *b + 2 * a->data.n_features * sizeof(float);
    if (!b && (b = am_alloc(n)) == NULL)
        am_fail_nomem(err, n);
    return b;
}

static void give_back(struct am_augmented *a, struct block *b)
{
    pthread_mutex_lock(&a->lock);
    b->next = a->free;
    a->free = b;
    pthread_mutex_unlock(&a->lock);
}

/* A table's row, with another one that lends its categories. */
static enum am_rc change_row(const struct am_augmented *a, uint64_t epoch, uint64_t row, float *x,
                             float *partner, struct am_err *err)
{
    if (a->rows.swap > 0) {
        const uint64_t other = am_augment_partner(a->seed, epoch, row, a->data.n_rows);
        AM_TRY(a->base->gather(a->base->self, &other, 1, partner, NULL, NULL, err));
    }
    am_augment_row(&a->rows, a->layout, a->seed, epoch, row, x, partner);
    return AM_OK;
}

static void change(const struct am_augmented *a, uint64_t epoch, uint64_t row, float *x,
                   float *scratch)
{
    if (a->kind == PICTURE)
        am_augment_picture(&a->picture, &a->picture_shape, a->seed, epoch, row, x, scratch);
    else if (a->kind == SOUND)
        am_augment_sound(&a->seq, a->seed, epoch, row, a->seq_shape.n_frames,
                         a->seq_shape.n_channels, x, scratch);
    else
        am_augment_tokens(&a->seq, a->seed, epoch, row, a->seq_shape.n_frames, x);
}

/* A row with its partner; any of x, y, w may be NULL. Classes: y [3] is filled from `class`. */
static enum am_rc blend(const struct am_augmented *a, uint64_t epoch, uint64_t row, float class,
                        float *x, float *y, float *w, float *partner, struct am_err *err)
{
    const struct am_train_data *b = a->base;
    struct am_augment_mix m;
    float other_y[16], other_w, own_w;
    am_augment_mix_of(&a->picture, a->seed, epoch, row, a->data.n_rows, &m);
    AM_TRY(b->gather(b->self, &m.partner, 1, x ? partner : NULL, other_y, &other_w, err));
    if (w)
        own_w = *w;
    else
        AM_TRY(b->gather(b->self, &row, 1, NULL, NULL, &own_w, err));
    if (x)
        am_augment_mix(&m, a->data.n_features, x, partner);
    if (y && !a->classes)
        am_augment_mix(&m, a->data.n_targets, y, other_y);
    const double share = m.share * (double)other_w, all = (1 - m.share) * (double)own_w + share;
    if (y && a->classes) {
        y[0] = class;
        y[1] = other_y[0];
        y[2] = all > 0 ? (float)(share / all) : 0;
    }
    if (w)
        *w = (float)all;
    return AM_OK;
}

static enum am_rc gather_at(void *self, uint64_t epoch, const uint64_t *rows, size_t n, float *x,
                            float *y, float *w, struct am_err *err)
{
    struct am_augmented *a = self;
    const size_t width = a->data.n_features, n_targets = a->data.mixes ? 3 : a->data.n_targets;
    const bool mix = a->kind == PICTURE && a->picture.mixup > 0;
    /* classes to be widened to three numbers wait in the last third */
    float *first = y && a->data.mixes ? y + 2 * n : y;
    AM_TRY(a->base->gather(a->base->self, rows, n, x, first, w, err));
    if (!x && !mix)
        return AM_OK;
    struct block *b = take(a, err);
    if (!b)
        return AM_ENOMEM;
    enum am_rc rc = AM_OK;
    for (size_t i = 0; i < n && rc == AM_OK; i++) {
        float *row = x ? x + i * width : NULL;
        if (row && a->kind == TABLE)
            rc = change_row(a, epoch, rows[i], row, b->x, err);
        else if (row)
            change(a, epoch, rows[i], row, b->x);
        if (mix)
            rc = blend(a, epoch, rows[i], first ? first[i] : 0, row, y ? y + i * n_targets : NULL,
                       w ? w + i : NULL, b->x + width, err);
    }
    give_back(a, b);
    return rc;
}

static enum am_rc gather(void *self, const uint64_t *rows, size_t n, float *x, float *y, float *w,
                         struct am_err *err)
{
    const struct am_augmented *a = self;
    return a->base->gather(a->base->self, rows, n, x, y, w, err);
}

static bool view(void *self, uint64_t first, const float **x, const float **y, const float **w,
                 uint64_t *n)
{
    const struct am_augmented *a = self;
    return a->base->view(a->base->self, first, x, y, w, n);
}

static enum am_rc unsuited(const struct am_node *spec, struct am_err *err)
{
    enum am_rc rc = am_fail(err, AM_EUSAGE,
                            "line %u, column %u: train.augment: the model's input must be one "
                            "picture, video, sound or text of tokens, or a table's columns",
                            spec->line, spec->column);
    am_hint(err, "Remove it, or name one such column in features.only.");
    return rc;
}

static bool is_off(const struct am_node *spec)
{
    return spec == NULL || am_node_is_null(spec) || (spec->kind == AM_NODE_MAP && spec->map.n == 0);
}

enum am_rc am_augmented_check(const struct am_node *spec, const struct am_schema *inputs,
                              struct am_err *err)
{
    struct am_augment picture;
    struct am_augment_seq seq;
    struct am_augment_rows rows;
    bool any;
    if (is_off(spec))
        return AM_OK;
    if (inputs->n != 1)
        return am_augment_rows_read(spec, &rows, &any, err);
    switch (inputs->columns[0].type) {
    case AM_COL_IMAGE:
    case AM_COL_VIDEO:
        return am_augment_read(spec, &picture, &any, err);
    case AM_COL_AUDIO:
        return am_augment_seq_read(spec, AM_AUGMENT_SOUND, &seq, &any, err);
    case AM_COL_TEXT:
        return am_augment_seq_read(spec, AM_AUGMENT_TOKENS, &seq, &any, err);
    case AM_COL_NUMBER:
    case AM_COL_BOOLEAN:
    case AM_COL_CATEGORY:
    case AM_COL_DATE:
        return am_augment_rows_read(spec, &rows, &any, err);
    default:
        return unsuited(spec, err);
    }
}

#define LAYOUT_ROWS 4096 /* looked at for means and deviations */

/* Means and deviations of a table's features, from rows spread evenly over the base. */
static enum am_rc make_layout(struct am_augmented *a, const struct am_features *f,
                              struct am_err *err)
{
    const struct am_train_data *b = a->base;
    const uint64_t stride = b->n_rows / LAYOUT_ROWS + 1;
    const size_t n = (size_t)((b->n_rows + stride - 1) / stride);
    uint64_t *rows = am_alloc_array(n + 1, sizeof *rows);
    float *x = am_alloc_array(n + 1, b->n_features * sizeof *x);
    enum am_rc rc = rows && x && n ? AM_OK : am_fail_nomem(err, n * b->n_features * sizeof *x);
    for (size_t i = 0; i < n && rc == AM_OK; i++)
        rows[i] = i * stride;
    if (rc == AM_OK)
        rc = b->gather(b->self, rows, n, x, NULL, NULL, err);
    if (rc == AM_OK)
        rc = am_augment_layout_new(f, x, n, &a->layout, err);
    am_free(rows);
    am_free(x);
    return rc;
}

static enum am_rc read_spec(const struct am_node *spec, const struct am_features *f,
                            struct am_augmented *a, bool *any, struct am_err *err)
{
    if (am_augment_shape_of(f, &a->picture_shape)) {
        a->kind = PICTURE;
        return am_augment_read(spec, &a->picture, any, err);
    }
    if (!am_augment_seq_shape_of(f, &a->seq_shape)) {
        a->kind = TABLE;
        return am_augment_rows_read(spec, &a->rows, any, err);
    }
    a->kind = a->seq_shape.kind == AM_AUGMENT_SOUND ? SOUND : TOKENS;
    return am_augment_seq_read(spec, a->seq_shape.kind, &a->seq, any, err);
}

enum am_rc am_augmented_new(const struct am_node *spec, const struct am_features *f,
                            const struct am_train_data *base, bool classes, uint64_t seed,
                            struct am_augmented **out, struct am_err *err)
{
    struct am_augmented a = {.base = base, .classes = classes, .seed = seed};
    bool any = false;
    *out = NULL;
    if (is_off(spec))
        return AM_OK;
    AM_TRY(read_spec(spec, f, &a, &any, err));
    if (!any)
        return AM_OK;
    if (base->n_features != am_features_width(f) || base->n_targets > 16)
        return am_fail(err, AM_EINVAL, "rows of %zu features and %zu targets, %zu expected",
                       base->n_features, base->n_targets, am_features_width(f));
    if (a.kind == TABLE)
        AM_TRY(make_layout(&a, f, err));
    struct am_augmented *own = am_alloc(sizeof *own);
    if (!own) {
        am_augment_layout_free(a.layout);
        return am_fail_nomem(err, sizeof *own);
    }
    *own = a;
    pthread_mutex_init(&own->lock, NULL);
    own->data =
        (struct am_train_data){.n_rows = base->n_rows,
                               .n_features = base->n_features,
                               .n_targets = base->n_targets,
                               .self = own,
                               .gather = gather,
                               .view = base->view ? view : NULL,
                               .gather_at = gather_at,
                               .mixes = classes && a.kind == PICTURE && a.picture.mixup > 0};
    *out = own;
    return AM_OK;
}

const struct am_train_data *am_augmented_data(const struct am_augmented *a)
{
    return &a->data;
}

void am_augmented_free(struct am_augmented *a)
{
    if (!a)
        return;
    while (a->free) {
        struct block *next = a->free->next;
        am_free(a->free);
        a->free = next;
    }
    pthread_mutex_destroy(&a->lock);
    am_augment_layout_free(a->layout);
    am_free(a);
}
