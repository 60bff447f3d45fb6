/* Lists of a recommender by names, as JSON; see model.h. The numbers come from nn/recommend.h,
 * names are the categories of the two inputs. */
#include "nn/recommend.h"

#include "base/alloc.h"
#include "feature/features.h"
#include "model/model_int.h"

#define LIST_MAX 1000

struct naming { /* of one side */
    const struct am_str *names;
    size_t n;
};

static struct naming names_of(const struct am_model *m, size_t input)
{
    struct naming s = {NULL, 0};
    s.names = am_features_categories(m->features, input, &s.n);
    return s;
}

/* A number behind the names: what was folded, or missing. */
static struct am_str name_of(const struct naming *s, size_t i)
{
    return i < s->n ? s->names[i] : AM_STR("(other)");
}

static void put_list(struct am_buf *out, const char *key, const struct naming *names,
                     const float *v, const size_t *top, size_t n)
{
    am_buf_printf(out, ",\"%ss\":[", key);
    for (size_t i = 0; i < n; i++) {
        am_buf_printf(out, "%s{\"%s\":", i ? "," : "", key);
        am_json_quote(out, name_of(names, top[i]));
        am_buf_printf(out, ",\"score\":%.7g}", (double)v[top[i]]);
    }
    am_buf_cstr(out, "]}");
}

static enum am_rc unknown(const struct am_model *m, const char *what, struct am_str name,
                          struct am_err *err)
{
    am_fail(err, AM_ENOTFOUND, "model \"%.*s\" has never seen the %s \"%.*s\"",
            AM_FMT(m->info.name), am_tr(what), (int)(name.len > 100 ? 100 : name.len), name.ptr);
    am_hint(err, "Names are compared as they are written in the training data.");
    return AM_ENOTFOUND;
}

struct listing {
    struct am_recommender r;
    struct naming users, items;
    size_t user_input;
    float *v;       /* owned [n_users or n_items] */
    uint8_t *marks; /* owned, the same */
};

static enum am_rc list_items(const struct am_model *m, struct listing *l, struct am_str name,
                             size_t n, struct am_buf *out, struct am_err *err)
{
    size_t top[LIST_MAX], user = am_features_category(m->features, l->user_input, name);
    const bool known = user < l->r.n_users;
    (void)err;
    am_recommender_scores(&l->r, known ? user : AM_NOBODY, l->v);
    if (known)
        am_recommender_seen(&l->r, user, l->marks);
    for (size_t i = l->items.n; i < l->r.n_items; i++)
        l->marks[i] = 1; /* has no name */
    n = am_recommender_top(l->v, l->r.n_items, l->marks, n, top);
    am_buf_cstr(out, "{\"user\":");
    am_json_quote(out, name);
    am_buf_cstr(out, known ? ",\"known\":true" : ",\"known\":false,\"note\":");
    if (!known)
        am_json_quote(out, am_str(am_tr("training never saw this user: the list is what is "
                                        "popular")));
    put_list(out, "item", &l->items, l->v, top, n);
    return AM_OK;
}

static enum am_rc list_alike(const struct am_model *m, struct listing *l, bool items,
                             struct am_str name, size_t n, struct am_buf *out, struct am_err *err)
{
    const struct naming *names = items ? &l->items : &l->users;
    const size_t input = items ? 1 - l->user_input : l->user_input,
                 all = items ? l->r.n_items : l->r.n_users,
                 at = am_features_category(m->features, input, name);
    size_t top[LIST_MAX];
    const char *key = items ? "item" : "user";
    if (at >= all)
        return unknown(m, items ? AM_N("item") : AM_N("user"), name, err);
    if (items)
        am_recommender_like_item(&l->r, at, l->v);
    else
        am_recommender_like_user(&l->r, at, l->v);
    l->marks[at] = 1;
    for (size_t i = names->n; i < all; i++)
        l->marks[i] = 1;
    n = am_recommender_top(l->v, all, l->marks, n, top);
    am_buf_printf(out, "{\"%s\":", key);
    am_json_quote(out, name);
    am_buf_cstr(out, ",\"known\":true");
    put_list(out, key, names, l->v, top, n);
    return AM_OK;
}

enum am_rc am_model_recommend(const struct am_model *m, enum am_recommend what, struct am_str name,
                              size_t n, struct am_buf *out, struct am_err *err)
{
    struct listing l = {0};
    enum am_rc rc;
    if (m->info.task != AM_TASK_RECOMMENDATION || !m->params ||
        !am_recommender_of(m->params, &l.r)) {
        am_fail(err, AM_EINVAL, "model \"%.*s\" recommends nothing: its task is %s",
                AM_FMT(m->info.name), am_task_name(m->info.task));
        am_hint(err, "Train one with data.task: recommendation, data.user and data.item.");
        return AM_EINVAL;
    }
    if (n < 1 || n > LIST_MAX)
        return am_fail(err, AM_EINVAL, "a list of %zu is not from 1 to %d", n, LIST_MAX);
    l.user_input = am_recommender_user_feature(m->graph);
    l.users = names_of(m, l.user_input);
    l.items = names_of(m, 1 - l.user_input);
    const size_t most = l.r.n_users > l.r.n_items ? l.r.n_users : l.r.n_items;
    l.v = am_alloc_array(most, sizeof *l.v);
    l.marks = am_calloc(most, 1);
    if (!l.v || !l.marks)
        rc = am_fail_nomem(err, most * sizeof *l.v);
    else if (what == AM_RECOMMEND_ITEMS)
        rc = list_items(m, &l, name, n, out, err);
    else
        rc = list_alike(m, &l, what == AM_SIMILAR_ITEMS, name, n, out, err);
    am_free(l.v);
    am_free(l.marks);
    return rc == AM_OK ? am_buf_check(out, err) : rc;
}
