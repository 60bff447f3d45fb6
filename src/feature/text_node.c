/* The settings of a text column in features.json, and back from a tree that nobody trusts:
 *
 *   {"html", "lower", "fold", "rules": [..], "split", "min_length", "stop_words": [..], "stem",
 *    "stem_print", "ngrams": [a, b], "tags", "keep_tags": [..], "tagger": base64, "idf", "smooth",
 *    "sublinear", "binary", "norm", "rows", "buckets", "terms": [..], "df": [..], "icu",
 *    "dimensions", "words": [base64 of float32, ..], "ngram_buckets", "subwords": [a, b],
 *    "bucket_vectors": [base64, ..]}
 *
 * Ranges are checked by am_ftext_build. */
#include "feature/text_int.h"

#include <math.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/limits.h"
#include "feature/segment.h"
#include "feature/tagger.h"

#define CHUNK_FLOATS ((size_t)1 << 20) /* of one base64 text */

static const char *const norms[AM_TEXT_N_NORMS] = {"none", "l1", "l2"};

const char *am_text_norm_name(enum am_text_norm n)
{
    return norms[n];
}

bool am_text_norm_parse(struct am_str s, enum am_text_norm *out)
{
    for (unsigned i = 0; i < AM_TEXT_N_NORMS; i++)
        if (am_str_is(s, norms[i])) {
            *out = (enum am_text_norm)i;
            return true;
        }
    return false;
}

/* ---- writing ---- */

static void put_texts(struct am_arena *a, struct am_node *m, const char *key,
                      const struct am_str *v, size_t n)
{
    struct am_node *list = am_new_list(a);
    for (size_t i = 0; i < n; i++)
        am_node_push(a, list, am_new_str(a, v[i]));
    if (n)
        am_node_set(a, m, key, list);
}

static void put_flag(struct am_arena *a, struct am_node *m, const char *key, bool v)
{
    if (v)
        am_node_set(a, m, key, am_new_bool(a, true));
}

static void put_count(struct am_arena *a, struct am_node *m, const char *key, uint64_t v)
{
    am_node_set(a, m, key, am_new_i64(a, (int64_t)v));
}

static void put_pair(struct am_arena *a, struct am_node *m, const char *key, uint32_t from,
                     uint32_t to)
{
    struct am_node *list = am_new_list(a);
    am_node_push(a, list, am_new_i64(a, from));
    am_node_push(a, list, am_new_i64(a, to));
    am_node_set(a, m, key, list);
}

static struct am_node *base64_node(struct am_arena *a, const void *bytes, size_t n)
{
    char *text = am_arena_alloc(a, am_base64_chars(n) + 1);
    if (!text)
        return NULL;
    am_base64_write(bytes, n, text);
    return am_new_str(a, (struct am_str){text, am_base64_chars(n)});
}

static void put_floats(struct am_arena *a, struct am_node *m, const char *key, const float *v,
                       size_t n)
{
    struct am_node *list = am_new_list(a);
    for (size_t at = 0; at < n; at += CHUNK_FLOATS) {
        const size_t k = n - at < CHUNK_FLOATS ? n - at : CHUNK_FLOATS;
        am_node_push(a, list, base64_node(a, v + at, k * sizeof *v));
    }
    am_node_set(a, m, key, list);
}

static void put_config(const struct am_text_config *k, struct am_arena *a, struct am_node *m)
{
    put_flag(a, m, "html", k->html);
    put_flag(a, m, "lower", k->lower);
    am_node_set(a, m, "fold", am_new_cstr(a, am_text_fold_name(k->fold)));
    put_texts(a, m, "rules", k->rules, k->n_rules);
    am_node_set(a, m, "split", am_new_cstr(a, am_text_split_name(k->split)));
    if (k->split == AM_TEXT_SEGMENTS)
        put_count(a, m, "icu", am_segments_version());
    put_count(a, m, "min_length", k->min_length);
    put_texts(a, m, "stop_words", k->stops, k->n_stops);
    if (k->stem.ptr) {
        am_node_set(a, m, "stem", am_new_str(a, k->stem));
        put_count(a, m, "stem_print", k->stem_print);
    }
    put_pair(a, m, "ngrams", k->ngrams[0], k->ngrams[1]);
    if (k->tags == AM_TEXT_TAGS_NONE)
        return;
    am_node_set(a, m, "tags", am_new_cstr(a, am_text_tags_name(k->tags)));
    put_texts(a, m, "keep_tags", k->keep, k->n_keep);
    const struct am_str bytes = am_tagger_bytes(k->tagger);
    am_node_set(a, m, "tagger", base64_node(a, bytes.ptr, bytes.len));
}

static void put_vectors(const struct am_vectors *v, struct am_arena *a, struct am_node *m)
{
    put_count(a, m, "dimensions", v->dimensions);
    put_floats(a, m, "words", v->words, v->n_words * v->dimensions);
    if (!v->n_buckets)
        return;
    put_count(a, m, "ngram_buckets", v->n_buckets);
    put_pair(a, m, "subwords", v->from, v->to);
    put_floats(a, m, "bucket_vectors", v->buckets, v->n_buckets * v->dimensions);
}

void am_ftext_to_node(const struct am_fcol *c, struct am_arena *a, struct am_node *m)
{
    const struct am_ftext *t = c->text;
    put_config(&t->config, a, m);
    put_flag(a, m, "idf", t->idf);
    put_flag(a, m, "smooth", t->smooth);
    put_flag(a, m, "sublinear", t->sublinear);
    put_flag(a, m, "binary", t->binary);
    am_node_set(a, m, "norm", am_new_cstr(a, am_text_norm_name(t->norm)));
    put_count(a, m, "rows", t->n_docs);
    if (c->kind == AM_F_HASHING) {
        put_count(a, m, "buckets", c->buckets);
        return;
    }
    struct am_node *terms = am_new_list(a), *df = am_new_list(a);
    for (size_t i = 0; i < c->n_categories; i++) {
        am_node_push(a, terms, am_new_str(a, c->categories[i]));
        if (t->idf)
            am_node_push(a, df, am_new_i64(a, t->df[i]));
    }
    am_node_set(a, m, "terms", terms);
    if (t->idf)
        am_node_set(a, m, "df", df);
    if (c->kind == AM_F_VECTORS)
        put_vectors(&t->vectors, a, m);
}

/* ---- reading ---- */

struct reader {
    const struct am_fcol *c;
    const struct am_node *m;
    struct am_arena *a;
    struct am_err *err;
};

static enum am_rc wrong(const struct reader *r, const char *key)
{
    return am_fail(r->err, AM_ECORRUPT, "features: column \"%.*s\": \"%s\" is not what it must be",
                   AM_FMT(r->c->in.name), key);
}

static enum am_rc get_flag(const struct reader *r, const char *key, bool *out)
{
    const struct am_node *v = am_node_get(r->m, key);
    *out = false;
    return v == NULL || am_node_as_bool(v, out) ? AM_OK : wrong(r, key);
}

static enum am_rc get_count(const struct reader *r, const char *key, int64_t most, int64_t *out)
{
    const struct am_node *v = am_node_get(r->m, key);
    *out = 0;
    if (v == NULL)
        return AM_OK;
    return am_node_as_i64(v, out) && *out >= 0 && *out <= most ? AM_OK : wrong(r, key);
}

static enum am_rc get_texts(const struct reader *r, const char *key, size_t most,
                            const struct am_str **out, size_t *n)
{
    const struct am_node *list = am_node_get(r->m, key);
    *n = 0;
    if (list == NULL)
        return AM_OK;
    if (list->kind != AM_NODE_LIST || list->list.n > most)
        return wrong(r, key);
    struct am_str *v = am_arena_array(r->a, list->list.n + 1, sizeof *v);
    AM_TRY(am_arena_check(r->a, r->err));
    for (size_t i = 0; i < list->list.n; i++) {
        struct am_str s;
        if (!am_node_as_str(list->list.items[i], &s))
            return wrong(r, key);
        v[i] = am_arena_str(r->a, s);
        if (!v[i].ptr)
            return am_arena_check(r->a, r->err);
    }
    *out = v;
    *n = list->list.n;
    return AM_OK;
}

static enum am_rc get_pair(const struct reader *r, const char *key, uint32_t *from, uint32_t *to)
{
    const struct am_node *list = am_node_get(r->m, key);
    int64_t a, b;
    if (!list || list->kind != AM_NODE_LIST || list->list.n != 2 ||
        !am_node_as_i64(list->list.items[0], &a) || !am_node_as_i64(list->list.items[1], &b) ||
        a < 0 || b < 0 || a > 1000 || b > 1000)
        return wrong(r, key);
    *from = (uint32_t)a;
    *to = (uint32_t)b;
    return AM_OK;
}

/* n floats out of a list of base64 texts */
static enum am_rc get_floats(const struct reader *r, const char *key, size_t n, const float **out)
{
    const struct am_node *list = am_node_get(r->m, key);
    if (!list || list->kind != AM_NODE_LIST || n > AM_LIMIT_VECTOR_MODEL_FLOATS)
        return wrong(r, key);
    float *v = am_arena_array(r->a, n + CHUNK_FLOATS, sizeof *v);
    AM_TRY(am_arena_check(r->a, r->err));
    size_t at = 0;
    for (size_t i = 0; i < list->list.n; i++) {
        struct am_str s;
        size_t bytes;
        if (!am_node_as_str(list->list.items[i], &s) || at > n ||
            am_base64_bytes(s.len) > (n - at + 1) * sizeof *v ||
            !am_base64_decode(s, AM_BASE64_STANDARD, (char *)(v + at), &bytes) ||
            bytes % sizeof *v != 0)
            return wrong(r, key);
        at += bytes / sizeof *v;
    }
    if (at != n)
        return wrong(r, key);
    *out = v;
    return AM_OK;
}

static enum am_rc get_tagger(const struct reader *r, struct am_text_config *k)
{
    struct am_str s;
    size_t n;
    enum am_rc rc;
    if (!am_node_as_str(am_node_get(r->m, "tagger"), &s) ||
        am_base64_bytes(s.len) > AM_TAGGER_MAX_BYTES)
        return wrong(r, "tagger");
    char *bytes = am_alloc(am_base64_bytes(s.len) + 1);
    if (!bytes)
        return am_fail_nomem(r->err, s.len);
    if (!am_base64_decode(s, AM_BASE64_STANDARD, bytes, &n))
        rc = wrong(r, "tagger");
    else
        rc = am_tagger_load((struct am_str){bytes, n}, r->a, &k->tagger, r->err);
    am_free(bytes);
    return rc;
}

/* With other dictionaries the same text would be cut otherwise. */
static enum am_rc check_icu(const struct reader *r)
{
    int64_t icu;
    AM_TRY(get_count(r, "icu", 1000, &icu));
    AM_TRY(am_segments_open(r->err));
    if ((unsigned)icu == am_segments_version())
        return AM_OK;
    (void)am_fail(r->err, AM_EUNSUPPORTED,
                  "column \"%.*s\" was cut into words by ICU %u; here is ICU %u, which may cut "
                  "otherwise",
                  AM_FMT(r->c->in.name), (unsigned)icu, am_segments_version());
    am_hint(r->err, "Train the model again on this machine, or use `split: tokens`.");
    return AM_EUNSUPPORTED;
}

static enum am_rc get_config(const struct reader *r, struct am_text_config *k)
{
    int64_t n;
    struct am_str s;
    AM_TRY(get_flag(r, "html", &k->html));
    AM_TRY(get_flag(r, "lower", &k->lower));
    if (!am_text_fold_parse(am_node_str(r->m, "fold", ""), &k->fold))
        return wrong(r, "fold");
    if (!am_text_split_parse(am_node_str(r->m, "split", ""), &k->split))
        return wrong(r, "split");
    if (k->split == AM_TEXT_SEGMENTS)
        AM_TRY(check_icu(r));
    AM_TRY(get_texts(r, "rules", AM_LIMIT_TEXT_RULES, &k->rules, &k->n_rules));
    AM_TRY(get_count(r, "min_length", 1000, &n));
    k->min_length = (uint32_t)n;
    AM_TRY(get_texts(r, "stop_words", 100000, &k->stops, &k->n_stops));
    if (am_node_as_str(am_node_get(r->m, "stem"), &s)) {
        k->stem = am_arena_str(r->a, s);
        AM_TRY(get_count(r, "stem_print", INT64_C(1) << 53, &n));
        k->stem_print = n ? (uint64_t)n : 1;
    }
    AM_TRY(get_pair(r, "ngrams", &k->ngrams[0], &k->ngrams[1]));
    if (!am_node_get(r->m, "tags"))
        return am_arena_check(r->a, r->err);
    if (!am_text_tags_parse(am_node_str(r->m, "tags", ""), &k->tags))
        return wrong(r, "tags");
    AM_TRY(get_texts(r, "keep_tags", 300, &k->keep, &k->n_keep));
    return k->tags == AM_TEXT_TAGS_NONE ? AM_OK : get_tagger(r, k);
}

static enum am_rc get_df(const struct reader *r, size_t n, const uint32_t **out)
{
    const struct am_node *list = am_node_get(r->m, "df");
    if (!list || list->kind != AM_NODE_LIST || list->list.n != n)
        return wrong(r, "df");
    uint32_t *v = am_arena_array(r->a, n + 1, sizeof *v);
    AM_TRY(am_arena_check(r->a, r->err));
    for (size_t i = 0; i < n; i++) {
        int64_t k;
        if (!am_node_as_i64(list->list.items[i], &k) || k < 1 || k > UINT32_MAX)
            return wrong(r, "df");
        v[i] = (uint32_t)k;
    }
    *out = v;
    return AM_OK;
}

static enum am_rc get_vectors(const struct reader *r, size_t n_words, struct am_vectors *v)
{
    int64_t n;
    AM_TRY(get_count(r, "dimensions", AM_LIMIT_VECTOR_DIMENSIONS, &n));
    v->dimensions = (size_t)n;
    v->n_words = n_words;
    if (n < 1 || n_words > AM_LIMIT_VECTOR_MODEL_FLOATS / v->dimensions)
        return wrong(r, "dimensions");
    AM_TRY(get_floats(r, "words", n_words * v->dimensions, &v->words));
    AM_TRY(
        get_count(r, "ngram_buckets", (int64_t)(AM_LIMIT_VECTOR_MODEL_FLOATS / v->dimensions), &n));
    v->n_buckets = (size_t)n;
    if (n == 0)
        return AM_OK;
    AM_TRY(get_pair(r, "subwords", &v->from, &v->to));
    return get_floats(r, "bucket_vectors", v->n_buckets * v->dimensions, &v->buckets);
}

enum am_rc am_ftext_from_node(struct am_fcol *c, const struct am_node *m, struct am_arena *a,
                              struct am_err *err)
{
    const struct reader r = {c, m, a, err};
    struct am_ftext *t = am_arena_zalloc(a, sizeof *t);
    int64_t n;
    AM_TRY(am_arena_check(a, err));
    am_map_init(&t->config.stop_map);
    c->text = t;
    AM_TRY(get_config(&r, &t->config));
    AM_TRY(get_flag(&r, "idf", &t->idf));
    AM_TRY(get_flag(&r, "smooth", &t->smooth));
    AM_TRY(get_flag(&r, "sublinear", &t->sublinear));
    AM_TRY(get_flag(&r, "binary", &t->binary));
    if (!am_text_norm_parse(am_node_str(m, "norm", ""), &t->norm))
        return wrong(&r, "norm");
    AM_TRY(get_count(&r, "rows", INT64_C(1) << 53, &n));
    t->n_docs = (uint64_t)n;
    AM_TRY(get_count(&r, "buckets", (int64_t)AM_F_MAX_HASHED, &n));
    c->buckets = (size_t)n;
    if (c->kind == AM_F_HASHING) {
        t->idf = false;
        return AM_OK;
    }
    AM_TRY(get_texts(&r, "terms", AM_LIMIT_FEATURES, &c->categories, &c->n_categories));
    if (t->idf)
        AM_TRY(get_df(&r, c->n_categories, &t->df));
    return c->kind == AM_F_VECTORS ? get_vectors(&r, c->n_categories, &t->vectors) : AM_OK;
}
