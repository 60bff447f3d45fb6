/* Reading the keys of text columns with terms; see text_spec.h. */
#include "feature/text_spec.h"

#include <math.h>

#include "base/limits.h"
#include "feature/fit.h"

struct reader {
    const struct am_node *own, *common;
    struct am_str column;
    struct am_arena *a;
    struct am_err *err;
};

static const struct am_node *get(const struct reader *r, const char *key)
{
    const struct am_node *v = am_node_get(r->own, key);
    v = v ? v : am_node_get(r->common, key);
    return v && am_node_is_null(v) ? NULL : v;
}

static enum am_rc refuse(const struct reader *r, const struct am_node *at, const char *key,
                         const char *what)
{
    if (at != NULL && at->line > 0)
        return am_fail(r->err, AM_EUSAGE, "line %u, column %u: features.%.*s.%s: %s", at->line,
                       at->column, AM_FMT(r->column), key, am_tr(what));
    return am_fail(r->err, AM_EUSAGE, "features.%.*s.%s: %s", AM_FMT(r->column), key, am_tr(what));
}

static enum am_rc get_bool(const struct reader *r, const char *key, bool usual, bool *out)
{
    const struct am_node *v = get(r, key);
    *out = usual;
    return !v || am_node_as_bool(v, out) ? AM_OK : refuse(r, v, key, "not true or false");
}

static enum am_rc get_count(const struct reader *r, const char *key, int64_t min, int64_t max,
                            int64_t usual, int64_t *out)
{
    const struct am_node *v = get(r, key);
    *out = usual;
    if (!v)
        return AM_OK;
    if (!am_node_as_i64(v, out))
        return refuse(r, v, key, "not a whole number");
    if (*out < min || *out > max)
        return am_fail(r->err, AM_EUSAGE, "features.%.*s.%s: %lld is not from %lld to %lld",
                       AM_FMT(r->column), key, (long long)*out, (long long)min, (long long)max);
    return AM_OK;
}

static enum am_rc get_number(const struct reader *r, const char *key, double min, double max,
                             double usual, double *out)
{
    const struct am_node *v = get(r, key);
    *out = usual;
    if (!v)
        return AM_OK;
    if (!am_node_as_f64(v, out) || !isfinite(*out))
        return refuse(r, v, key, "not a finite number");
    if (*out < min || *out > max)
        return am_fail(r->err, AM_EUSAGE, "features.%.*s.%s: %g is not from %g to %g",
                       AM_FMT(r->column), key, *out, min, max);
    return AM_OK;
}

static enum am_rc own_text(const struct reader *r, const struct am_node *v, const char *key,
                           struct am_str *out)
{
    struct am_str s;
    if (!am_node_as_str(v, &s))
        return refuse(r, v, key, "not a text");
    *out = am_arena_str(r->a, s);
    return out->ptr ? AM_OK : am_arena_check(r->a, r->err);
}

static enum am_rc get_text(const struct reader *r, const char *key, struct am_str *out)
{
    const struct am_node *v = get(r, key);
    *out = (struct am_str){NULL, 0};
    return v ? own_text(r, v, key, out) : AM_OK;
}

static enum am_rc get_texts(const struct reader *r, const char *key, size_t most,
                            const struct am_str **out, size_t *n)
{
    const struct am_node *v = get(r, key);
    *n = 0;
    if (!v)
        return AM_OK;
    if (v->kind != AM_NODE_LIST || v->list.n > most)
        return refuse(r, v, key, "not a list of texts, or too long a one");
    struct am_str *list = am_arena_array(r->a, v->list.n + 1, sizeof *list);
    AM_TRY(am_arena_check(r->a, r->err));
    for (size_t i = 0; i < v->list.n; i++)
        AM_TRY(own_text(r, v->list.items[i], key, &list[i]));
    *out = list;
    *n = v->list.n;
    return AM_OK;
}

/* One number or [from, to]. */
static enum am_rc get_pair(const struct reader *r, const char *key, uint32_t most,
                           uint32_t usual_from, uint32_t usual_to, uint32_t *from, uint32_t *to)
{
    const struct am_node *v = get(r, key);
    int64_t n[2] = {usual_from, usual_to};
    if (v && am_node_as_i64(v, &n[0]))
        n[1] = n[0];
    else if (v &&
             !(v->kind == AM_NODE_LIST && v->list.n == 2 &&
               am_node_as_i64(v->list.items[0], &n[0]) && am_node_as_i64(v->list.items[1], &n[1])))
        return refuse(r, v, key, "not a number or [from, to]");
    if (n[0] < 0 || n[1] < n[0] || n[1] > most)
        return refuse(r, v, key, "not a range that goes up, or too long a one");
    *from = (uint32_t)n[0];
    *to = (uint32_t)n[1];
    return AM_OK;
}

/* ---- cleaning and cutting ---- */

static bool only_ascii_letters(struct am_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < 'a' || s.ptr[i] > 'z')
            return false;
    return s.len > 0;
}

/* A language whose list we have, or words. */
static enum am_rc read_stops(const struct reader *r, struct am_text_config *k)
{
    const struct am_node *v = get(r, "stop_words");
    struct am_str language;
    size_t n;
    if (!v || v->kind == AM_NODE_LIST)
        return get_texts(r, "stop_words", 100000, &k->stops, &k->n_stops);
    if (!am_node_as_str(v, &language))
        return refuse(r, v, "stop_words", "not a language or a list of words");
    if (am_str_is(language, "none"))
        return AM_OK;
    const char *const *words = am_stop_words(language, &n);
    if (!words)
        return refuse(r, v, "stop_words", "no list of this language: en, zh, de, fr, es, or none");
    struct am_str *list = am_arena_array(r->a, n, sizeof *list);
    AM_TRY(am_arena_check(r->a, r->err));
    for (size_t i = 0; i < n; i++)
        list[i] = am_str(words[i]);
    k->stops = list;
    k->n_stops = n;
    return AM_OK;
}

static enum am_rc read_stem(const struct reader *r, struct am_text_config *k)
{
    AM_TRY(get_text(r, "stem", &k->stem));
    if (k->stem.ptr && am_str_is(k->stem, "none"))
        k->stem = (struct am_str){NULL, 0};
    if (k->stem.ptr && !(only_ascii_letters(k->stem) && k->stem.len < 30))
        return refuse(r, get(r, "stem"), "stem", "not a language such as english");
    return AM_OK;
}

static enum am_rc read_tags(const struct reader *r, struct am_ftext_spec *s)
{
    struct am_text_config *k = &s->text.config;
    const struct am_node *v = get(r, "tags");
    struct am_str name;
    if (v && (!am_node_as_str(v, &name) || !am_text_tags_parse(name, &k->tags)))
        return refuse(r, v, "tags", "not one of none, append, keep, counts");
    AM_TRY(get_texts(r, "keep_tags", 255, &k->keep, &k->n_keep));
    AM_TRY(get_text(r, "tagger", &s->tagger_file));
    if (k->tags == AM_TEXT_TAGS_NONE)
        return AM_OK;
    if (!s->tagger_file.ptr) {
        (void)refuse(r, v, "tags", "needs `tagger: FILE`");
        am_hint(r->err, "Make one with scripts/train-tagger.");
        return AM_EUSAGE;
    }
    return AM_OK;
}

static enum am_rc read_config(const struct reader *r, struct am_ftext_spec *s)
{
    struct am_text_config *k = &s->text.config;
    const struct am_node *v;
    struct am_str name;
    int64_t n;
    AM_TRY(get_bool(r, "html", false, &k->html));
    AM_TRY(get_bool(r, "lower", true, &k->lower));
    v = get(r, "fold");
    if (v && (!am_node_as_str(v, &name) || !am_text_fold_parse(name, &k->fold)))
        return refuse(r, v, "fold", "not one of none, width, nfkc");
    v = get(r, "split");
    if (v && (!am_node_as_str(v, &name) || !am_text_split_parse(name, &k->split)))
        return refuse(r, v, "split", "not one of words, tokens, segments, chars, char_wb");
    AM_TRY(get_texts(r, "rules", AM_LIMIT_TEXT_RULES, &k->rules, &k->n_rules));
    AM_TRY(get_count(r, "min_length", 1, 64, k->split == AM_TEXT_WORDS ? 2 : 1, &n));
    k->min_length = (uint32_t)n;
    AM_TRY(read_stops(r, k));
    AM_TRY(read_stem(r, k));
    AM_TRY(get_pair(r, "ngrams", 20, 1, 1, &k->ngrams[0], &k->ngrams[1]));
    if (k->ngrams[0] < 1)
        return refuse(r, get(r, "ngrams"), "ngrams", "n-grams have at least one part");
    return read_tags(r, s);
}

/* ---- weights ---- */

static enum am_rc read_weights(const struct reader *r, enum am_fkind kind, struct am_ftext_spec *s)
{
    struct am_ftext *t = &s->text;
    const struct am_node *v = get(r, "norm");
    struct am_str name;
    int64_t n;
    AM_TRY(get_bool(r, "idf", kind == AM_F_TFIDF || kind == AM_F_VECTORS, &t->idf));
    t->idf = t->idf && kind != AM_F_HASHING && kind != AM_F_COUNT;
    AM_TRY(get_bool(r, "smooth", true, &t->smooth));
    AM_TRY(get_bool(r, "sublinear", false, &t->sublinear));
    AM_TRY(get_bool(r, "binary", false, &t->binary));
    t->norm = kind == AM_F_TFIDF || kind == AM_F_HASHING ? AM_TEXT_NORM_L2 : AM_TEXT_NORM_NONE;
    if (v && (!am_node_as_str(v, &name) || !am_text_norm_parse(name, &t->norm)))
        return refuse(r, v, "norm", "not one of l2, l1, none");
    AM_TRY(get_number(r, "min_df", 0, 1e9, 1, &s->min_df));
    AM_TRY(get_number(r, "max_df", 0, 1e9, 1, &s->max_df));
    if ((s->min_df > 1 && s->min_df != floor(s->min_df)) ||
        (s->max_df > 1 && s->max_df != floor(s->max_df)))
        return refuse(r, get(r, s->max_df > 1 ? "max_df" : "min_df"),
                      s->max_df > 1 ? "max_df" : "min_df",
                      "a number of rows is whole, a share is below 1");
    AM_TRY(get_count(r, "max_features", 1, AM_LIMIT_FEATURES, 0, &n));
    s->max_features = (size_t)n;
    AM_TRY(get_count(r, "buckets", 2, (int64_t)AM_F_MAX_HASHED, (int64_t)AM_F_MAX_HASHED, &n));
    s->buckets = (size_t)n;
    return AM_OK;
}

static enum am_rc read_vectors(const struct reader *r, struct am_ftext_spec *s)
{
    struct am_vectors_config *v = &s->vectors;
    int64_t n;
    AM_TRY(get_count(r, "dimensions", 1, AM_LIMIT_VECTOR_DIMENSIONS, 100, &n));
    v->dimensions = (size_t)n;
    AM_TRY(get_count(r, "window", 1, 100, 5, &n));
    v->window = (size_t)n;
    AM_TRY(get_count(r, "epochs", 1, 10000, 5, &n));
    v->epochs = (size_t)n;
    AM_TRY(get_count(r, "negatives", 1, 100, 5, &n));
    v->negatives = (size_t)n;
    AM_TRY(get_count(r, "min_count", 1, 1000000000, 5, &n));
    v->min_count = (uint64_t)n;
    AM_TRY(get_pair(r, "subwords", 16, 3, 6, &v->from, &v->to));
    AM_TRY(get_count(r, "ngram_buckets", 1, 1 << 21, 20000, &n));
    v->n_buckets = v->to > 0 ? (size_t)n : 0;
    if (v->to > 0 && v->from < 1)
        return refuse(r, get(r, "subwords"), "subwords", "n-grams have at least one part");
    AM_TRY(get_number(r, "rate", 1e-6, 10, 0.05, &v->rate));
    AM_TRY(get_number(r, "sample", 0, 1, 1e-4, &v->sample));
    return get_text(r, "vectors", &s->vectors_file);
}

enum am_rc am_ftext_spec_read(const struct am_node *own, const struct am_node *common,
                              struct am_str column, enum am_fkind kind, struct am_arena *a,
                              struct am_ftext_spec *out, struct am_err *err)
{
    const struct reader r = {own, common, column, a, err};
    *out = (struct am_ftext_spec){.min_df = 1, .max_df = 1};
    AM_TRY(read_config(&r, out));
    AM_TRY(read_weights(&r, kind, out));
    if (kind != AM_F_VECTORS)
        return AM_OK;
    if (out->text.config.split >= AM_TEXT_CHARS || out->text.config.ngrams[1] > 1)
        return refuse(&r, get(&r, "encode"), "encode", "vectors are of words, one by one");
    return read_vectors(&r, out);
}
