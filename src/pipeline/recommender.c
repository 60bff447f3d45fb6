/* Recommenders: what training measures of them (rankings of held-out items beside what is popular,
 * ratings beside the mean), groups of users in the report, and lists of a finished model.
 *
 * "recommender" of the report: {users, items, interactions, density, k, ranked_users, mean: {rmse,
 * mae}, popular: [{item, score}], groups: [{group, users, items: [{item, score}]}]}. One thread. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "eval/ranking.h"
#include "learn/kmeans.h"
#include "nn/recommend.h"
#include "pipeline/open_model.h"
#include "pipeline/recommender.h"

#define USERS_MAX 20000 /* ranked, taken evenly: each takes a pass over the items */
#define GROUPS 6
#define TOP 5

struct held { /* the held-out choices */
    uint32_t *user, *item;
    float *rating;
    size_t n;
};

static void held_clear(struct held *h)
{
    am_free(h->user);
    am_free(h->item);
    am_free(h->rating);
}

/* Those of users and items that training knew; of ratings only those of at least the mean. */
static enum am_rc read_held(const struct am_train_data *d, const struct am_recommender *r,
                            size_t user_feature, struct held *h, struct am_err *err)
{
    uint64_t rows[256];
    float x[512], y[256];
    const size_t all = (size_t)d->n_rows;
    h->user = am_alloc_array(all + 1, sizeof *h->user);
    h->item = am_alloc_array(all + 1, sizeof *h->item);
    h->rating = am_alloc_array(all + 1, sizeof *h->rating);
    if (!h->user || !h->item || !h->rating)
        return am_fail_nomem(err, all * sizeof *h->user);
    for (size_t at = 0; at < all; at += 256) {
        const size_t k = all - at < 256 ? all - at : 256;
        for (size_t i = 0; i < k; i++)
            rows[i] = at + i;
        AM_TRY(d->gather(d->self, rows, k, x, y, NULL, err));
        for (size_t i = 0; i < k; i++) {
            const float u = x[2 * i + user_feature], v = x[2 * i + 1 - user_feature];
            if (!(u >= 0 && u < (float)r->n_users) || !(v >= 0 && v < (float)r->n_items) ||
                ((r->mean < 0 || r->mean > 0) && !(y[i] >= r->mean)))
                continue;
            h->user[h->n] = (uint32_t)u;
            h->item[h->n] = (uint32_t)v;
            h->rating[h->n++] = y[i];
        }
    }
    return AM_OK;
}

/* Rows of each user, in the order of the rows: a counting sort. */
static enum am_rc by_user(const struct held *h, size_t n_users, size_t **start, uint32_t **items,
                          struct am_err *err)
{
    *start = am_calloc(n_users + 2, sizeof **start);
    *items = am_alloc_array(h->n + 1, sizeof **items);
    if (!*start || !*items)
        return am_fail_nomem(err, (n_users + h->n) * sizeof **start);
    for (size_t i = 0; i < h->n; i++)
        (*start)[h->user[i] + 2]++;
    for (size_t u = 0; u < n_users; u++)
        (*start)[u + 2] += (*start)[u + 1];
    for (size_t i = 0; i < h->n; i++)
        (*items)[(*start)[h->user[i] + 1]++] = h->item[i];
    return AM_OK;
}

struct places { /* of one user's items; scratch */
    float *scores;
    uint8_t *marks; /* 1 seen in training, 2 held out */
    size_t *found;
};

static int by_place(const void *a, const void *b)
{
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

static void rank_user(const struct am_recommender *r, size_t user, const uint32_t *items, size_t n,
                      bool popular, struct places *p, struct am_ranking *out)
{
    size_t held = 0, candidates = 0;
    memset(p->marks, 0, r->n_items);
    am_recommender_scores(r, popular ? AM_NOBODY : user, p->scores);
    am_recommender_seen(r, user, p->marks);
    for (size_t k = 0; k < r->n_items; k++)
        candidates += p->marks[k] == 0;
    for (size_t i = 0; i < n; i++) {
        size_t before = 0;
        const uint32_t item = items[i];
        if (p->marks[item])
            continue; /* seen, or held out twice */
        for (size_t k = 0; k < r->n_items; k++)
            before += p->marks[k] != 1 && (p->scores[k] > p->scores[item] ||
                                           (k < item && p->scores[k] == p->scores[item]));
        p->marks[item] = 2;
        p->found[held++] = before;
    }
    qsort(p->found, held, sizeof *p->found, by_place);
    am_ranking_add(out, p->found, held, candidates);
}

enum am_rc am_training_rank(const struct am_learned *l, const struct am_train_data *data, size_t k,
                            bool popular, struct am_ranking *out, struct am_err *err)
{
    struct am_recommender r;
    struct held h = {0};
    struct places p = {NULL, NULL, NULL};
    size_t *start = NULL, users = 0, step = 1;
    uint32_t *items = NULL;
    enum am_rc rc = AM_OK;
    am_ranking_init(out, k);
    if (!data || !am_recommender_of(l->params, &r))
        goto out;
    AM_GO(rc, read_held(data, &r, am_recommender_user_feature(l->graph), &h, err));
    AM_GO(rc, by_user(&h, r.n_users, &start, &items, err));
    p.scores = am_alloc_array(r.n_items, sizeof *p.scores);
    p.marks = am_alloc_array(r.n_items, 1);
    p.found = am_alloc_array(h.n + 1, sizeof *p.found);
    if (!p.scores || !p.marks || !p.found)
        AM_GO(rc, am_fail_nomem(err, r.n_items * sizeof *p.scores));
    for (size_t u = 0; u < r.n_users; u++)
        users += start[u + 1] > start[u];
    step = users > USERS_MAX ? users / USERS_MAX : 1;
    users = 0;
    for (size_t u = 0; u < r.n_users; u++)
        if (start[u + 1] > start[u] && users++ % step == 0)
            rank_user(&r, u, items + start[u], start[u + 1] - start[u], popular, &p, out);
out:
    am_ranking_finish(out);
    held_clear(&h);
    am_free(start);
    am_free(items);
    am_free(p.scores);
    am_free(p.marks);
    am_free(p.found);
    return rc;
}

/* ---- the report ---- */

static struct am_node *list_node(const struct am_training *t, size_t item_input, const float *v,
                                 const size_t *top, size_t n, struct am_arena *a)
{
    size_t n_names;
    const struct am_str *names = am_features_categories(t->fitted.features, item_input, &n_names);
    struct am_node *list = am_new_list(a);
    for (size_t i = 0; i < n; i++) {
        struct am_node *m = am_new_map(a);
        am_node_set(a, m, "item", top[i] < n_names ? am_new_str(a, names[top[i]]) : am_new_null(a));
        am_node_set(a, m, "score", am_new_f64(a, (double)v[top[i]]));
        am_node_push(a, list, m);
    }
    return list;
}

/* Users in groups by k-means over their factors; what the mean of a group wants more than all do.
 */
static enum am_rc groups(const struct am_training *t, const struct am_recommender *r,
                         size_t item_input, struct am_node *out, struct am_err *err)
{
    struct am_arena *a = t->p.arena;
    const size_t f = r->factors, k = r->n_users < (size_t)4 * GROUPS ? 0 : GROUPS;
    struct am_matrix *m = NULL;
    struct am_kmeans c = {0};
    struct am_node *list = am_new_list(a);
    float *v = NULL, zero = 0;
    uint64_t sizes[GROUPS] = {0};
    size_t top[TOP];
    enum am_rc rc = AM_OK;
    if (k == 0)
        return AM_OK;
    AM_GO(rc, am_matrix_new(f, 1, NULL, &m, err));
    for (size_t u = 0; u < r->n_users; u++)
        AM_GO(rc, am_matrix_append(m, 1, r->users + u * (f + 1), &zero, NULL, err));
    AM_GO(rc, am_matrix_finish(m, err));
    const struct am_kmeans_options o = {
        .k = k, .n_init = 3, .max_iterations = 100, .tolerance = 1e-4, .seed = t->seed};
    AM_GO(rc, am_kmeans_fit(am_matrix_data(m), &o, t->p.pl->pool, NULL, &c, err));
    v = am_alloc_array(r->n_items, sizeof *v);
    if (!v)
        AM_GO(rc, am_fail_nomem(err, r->n_items * sizeof *v));
    for (size_t u = 0; u < r->n_users; u++) {
        double least = INFINITY;
        size_t best = 0;
        for (size_t g = 0; g < c.k; g++) {
            double d = 0;
            for (size_t j = 0; j < f; j++)
                d += pow((double)r->users[u * (f + 1) + j] - (double)c.centers[g * f + j], 2);
            best = d < least ? g : best;
            least = d < least ? d : least;
        }
        sizes[best]++;
    }
    for (size_t g = 0; g < c.k; g++) {
        struct am_node *e = am_new_map(a);
        for (size_t i = 0; i < r->n_items; i++) {
            v[i] = 0;
            for (size_t j = 0; j < f; j++)
                v[i] += c.centers[g * f + j] * r->items[i * (f + 2) + j];
        }
        const size_t n = am_recommender_top(v, r->n_items, NULL, TOP, top);
        am_node_set(a, e, "group", am_new_i64(a, (int64_t)g));
        am_node_set(a, e, "users", am_new_i64(a, (int64_t)sizes[g]));
        am_node_set(a, e, "items", list_node(t, item_input, v, top, n, a));
        am_node_push(a, list, e);
    }
    am_node_set(a, out, "groups", list);
out:
    am_free(v);
    am_kmeans_clear(&c);
    am_matrix_free(m);
    return rc;
}

static void mean_rating(const struct am_training *t, const struct am_scored *s, struct am_node *out,
                        float mean)
{
    struct am_arena *a = t->p.arena;
    struct am_node *m = am_new_map(a);
    double ss = 0, sa = 0, n = 0;
    for (size_t i = 0; i < s->in.n_rows; i++) {
        const double d = s->in.truth[i] - (double)mean;
        if (isnan(d))
            continue;
        ss += d * d;
        sa += fabs(d);
        n++;
    }
    if (n == 0 || !(mean < 0 || mean > 0))
        return;
    am_node_set(a, m, "rmse", am_new_f64(a, sqrt(ss / n)));
    am_node_set(a, m, "mae", am_new_f64(a, sa / n));
    am_node_set(a, out, "mean", m);
}

enum am_rc am_training_recommender_report(struct am_training *t, const struct am_scored *s,
                                          size_t k, struct am_node *r, struct am_err *err)
{
    static const char *const keys[] = {"users", "items", "interactions", "density", "implicit"};
    struct am_arena *a = t->p.arena;
    struct am_node *out = am_new_map(a);
    struct am_recommender rec;
    size_t top[2 * TOP];
    float *v;
    if (!am_recommender_of(t->learned.params, &rec))
        return AM_OK;
    const size_t item_input = 1 - am_recommender_user_feature(t->learned.graph);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        am_node_set(a, out, keys[i], am_node_get(t->learned.info, keys[i]));
    am_node_set(a, out, "k", am_new_i64(a, (int64_t)k));
    mean_rating(t, s, out, rec.mean);
    v = am_alloc_array(rec.n_items, sizeof *v);
    if (!v)
        return am_fail_nomem(err, rec.n_items * sizeof *v);
    am_recommender_scores(&rec, AM_NOBODY, v);
    const size_t n = am_recommender_top(v, rec.n_items, NULL, (size_t)2 * TOP, top);
    am_node_set(a, out, "popular", list_node(t, item_input, v, top, n, a));
    am_free(v);
    AM_TRY(groups(t, &rec, item_input, out, err));
    am_node_set(a, r, "recommender", out);
    return am_arena_check(a, err);
}

/* ---- lists of a finished model ---- */

enum am_rc am_pipeline_recommend(struct am_pipeline *pl, struct am_arena *a, const char *model,
                                 unsigned what, const char *name, size_t n, struct am_node **out,
                                 struct am_err *err)
{
    struct am_opened m = {0};
    struct am_buf json;
    AM_TRY(am_open_model(pl, a, model, 0, &m, err));
    am_buf_init(&json, 1 << 22);
    enum am_rc rc =
        am_model_recommend(m.model, (enum am_recommend)what, am_str(name), n, &json, err);
    if (rc == AM_OK)
        rc = am_json_parse(a, am_buf_view(&json), "list", out, err);
    if (rc == AM_OK) {
        am_node_set(a, *out, "model", am_new_str(a, m.name));
        am_node_set(a, *out, "version", am_new_i64(a, m.version));
        rc = am_arena_check(a, err);
    }
    am_buf_clear(&json);
    am_model_put(m.model);
    return rc;
}
