/* XGBoost's model, as it saves it in Universal Binary JSON, as trees of the port. Every array is
 * checked against the others, every child and feature against its range. */
#include <math.h>
#include <string.h>
#include <xgboost/c_api.h>

#include "driver_int.h"
#include "ubj.h"

enum { LEFT, RIGHT, FEATURE, THRESHOLD, MISSING_LEFT, GAIN, COVER, N_ARRAYS };
static const char *const array_names[N_ARRAYS] = {
    "left_children", "right_children", "split_indices", "split_conditions",
    "default_left",  "loss_changes",   "sum_hessian"};

struct numbers { /* of one tree; arrays of the largest so far */
    int32_t *feature;
    float *threshold, *value, *gain, *cover;
    uint32_t *left, *right;
    uint8_t *missing_left;
    size_t n;
    void *block; /* owned: all of them */
};

struct reader {
    const struct am_booster *b;
    enum am_rc (*sink)(void *ctx, size_t round, size_t output, const struct am_boost_tree *tree,
                       struct am_err *err);
    void *ctx;
    struct am_err *err;
    struct numbers numbers;
};

static enum am_rc fail_model(const struct reader *r, const char *why)
{
    return fail_at(r->err, AM_ECORRUPT, "XGBoost's model cannot be read: %s", why);
}

static enum am_rc room(struct reader *r, size_t n)
{
    struct numbers *k = &r->numbers;
    if (n <= k->n)
        return AM_OK;
    void *block = host->realloc_array(k->block, n, 8 * sizeof(float));
    if (!block)
        return host->fail_nomem(r->err, n * 8 * sizeof(float), __FILE__, __LINE__);
    char *p = block;
    k->block = block;
    k->n = n;
    k->feature = (int32_t *)(void *)p;
    k->threshold = (float *)(void *)(p + 4 * n);
    k->value = (float *)(void *)(p + 8 * n);
    k->gain = (float *)(void *)(p + 12 * n);
    k->cover = (float *)(void *)(p + 16 * n);
    k->left = (uint32_t *)(void *)(p + 20 * n);
    k->right = (uint32_t *)(void *)(p + 24 * n);
    k->missing_left = (uint8_t *)(p + 28 * n);
    return AM_OK;
}

static bool child_is_sound(double c, size_t n)
{
    return c >= 1 && c < (double)n;
}

static enum am_rc take_node(struct reader *r, const struct ubj_array a[N_ARRAYS], size_t i)
{
    const struct numbers *k = &r->numbers;
    const double left = ubj_number(&a[LEFT], i), right = ubj_number(&a[RIGHT], i),
                 feature = ubj_number(&a[FEATURE], i);
    const float threshold = (float)ubj_number(&a[THRESHOLD], i);
    const bool leaf = left == -1;
    if (!leaf && (!child_is_sound(left, a[LEFT].n) || !child_is_sound(right, a[LEFT].n) ||
                  !(feature >= 0 && feature < (double)r->b->n_features)))
        return fail_model(r, "a node of a tree leads out of it");
    if (!(leaf ? isfinite(threshold) : !isnan(threshold)))
        return fail_model(r, "a number of a tree is not finite");
    k->feature[i] = leaf ? -1 : (int32_t)feature;
    k->threshold[i] = k->value[i] = threshold;
    k->left[i] = leaf ? 0 : (uint32_t)left;
    k->right[i] = leaf ? 0 : (uint32_t)right;
    k->missing_left[i] = ubj_number(&a[MISSING_LEFT], i) != 0;
    k->gain[i] = (float)ubj_number(&a[GAIN], i);
    k->cover[i] = (float)ubj_number(&a[COVER], i);
    return AM_OK;
}

static enum am_rc take_tree(struct reader *r, struct ubj *u, size_t round, size_t output)
{
    struct ubj_array a[N_ARRAYS] = {{0}};
    struct ubj_text key;
    ubj_object(u);
    while (ubj_key(u, &key)) {
        size_t i = 0;
        while (i < N_ARRAYS && !ubj_is(key, array_names[i]))
            i++;
        if (i < N_ARRAYS)
            a[i] = ubj_array(u);
        else
            ubj_skip(u);
    }
    const size_t n = a[LEFT].n;
    if (u->failed || n < 1)
        return fail_model(r, "a tree is cut off");
    for (size_t i = 0; i < N_ARRAYS; i++)
        if (!a[i].data || a[i].n != n)
            return fail_model(r, "the arrays of a tree differ in length");
    AM_TRY(room(r, n));
    for (size_t i = 0; i < n; i++)
        AM_TRY(take_node(r, a, i));
    const struct numbers *k = &r->numbers;
    const struct am_boost_tree tree = {n,        k->feature, k->threshold,
                                       k->left,  k->right,   k->missing_left,
                                       k->value, k->gain,    k->cover};
    return r->sink(r->ctx, round, output, &tree, r->err);
}

/* Into the objects of that path; the cursor ends at the last one's value. */
static bool find(struct ubj *u, const char *const *path, size_t n)
{
    struct ubj_text key;
    for (size_t i = 0; i < n; i++) {
        bool found = false;
        ubj_object(u);
        while (!found && ubj_key(u, &key)) {
            found = ubj_is(key, path[i]);
            if (!found)
                ubj_skip(u);
        }
        if (!found)
            return false;
    }
    return !u->failed;
}

static enum am_rc read_model(struct reader *r, const char *bytes, size_t n)
{
    static const char *const path[] = {"learner", "gradient_booster", "model", "trees"};
    struct ubj u = {(const unsigned char *)bytes, (const unsigned char *)bytes + n, false};
    if (!find(&u, path, 4))
        return fail_model(r, "there are no trees in it");
    const size_t n_trees = ubj_list(&u);
    for (size_t t = 0; t < n_trees; t++)
        AM_TRY(take_tree(r, &u, t / r->b->n_outputs, t % r->b->n_outputs));
    return u.failed ? fail_model(r, "it is cut off") : AM_OK;
}

enum am_rc model_trees(struct am_booster *b,
                       enum am_rc (*sink)(void *ctx, size_t round, size_t output,
                                          const struct am_boost_tree *tree, struct am_err *err),
                       void *ctx, struct am_err *err)
{
    struct reader r = {.b = b, .sink = sink, .ctx = ctx, .err = err};
    const char *bytes = NULL;
    bst_ulong n = 0;
    if (XGBoosterSaveModelToBuffer(b->booster, "{\"format\":\"ubj\"}", &n, &bytes) != 0)
        return fail_library(err, "save the model");
    const enum am_rc rc = read_model(&r, bytes, (size_t)n);
    host->free(r.numbers.block);
    return rc;
}
