/* Texts to numbers: counts, TF-IDF as scikit-learn computes it, hashed terms (MurmurHash3 and
 * signs, as its HashingVectorizer), means of word vectors. See text_int.h. */
#include "feature/text_int.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/vec.h"

/* ---- build ---- */

static enum am_rc make_weights(const struct am_fcol *c, struct am_ftext *t, struct am_arena *a,
                               struct am_err *err)
{
    const double n = (double)t->n_docs + (t->smooth ? 1 : 0);
    if (!t->idf)
        return AM_OK;
    if (!t->df)
        return am_fail(err, AM_ECORRUPT, "features: column \"%.*s\" has no counts of its terms",
                       AM_FMT(c->in.name));
    double *w = am_arena_array(a, c->n_categories + 1, sizeof *w);
    AM_TRY(am_arena_check(a, err));
    for (size_t i = 0; i < c->n_categories; i++) {
        if (t->df[i] < 1 || t->df[i] > t->n_docs)
            return am_fail(err, AM_ECORRUPT,
                           "features: column \"%.*s\": a term of %u among %llu rows",
                           AM_FMT(c->in.name), t->df[i], (unsigned long long)t->n_docs);
        w[i] = log(n / ((double)t->df[i] + (t->smooth ? 1 : 0))) + 1;
    }
    t->weights = w;
    return AM_OK;
}

static enum am_rc check_vectors(const struct am_fcol *c, struct am_err *err)
{
    const struct am_vectors *v = &c->text->vectors;
    if (c->kind != AM_F_VECTORS)
        return AM_OK;
    if (v->dimensions < 1 || v->dimensions > AM_LIMIT_VECTOR_DIMENSIONS ||
        v->n_words != c->n_categories || (v->n_words && !v->words) ||
        (v->n_buckets && (!v->buckets || v->from < 1 || v->to < v->from || v->to > 16)) ||
        (v->n_words + v->n_buckets) > AM_LIMIT_VECTOR_MODEL_FLOATS / v->dimensions)
        return am_fail(err, AM_ECORRUPT, "features: column \"%.*s\" has no proper word vectors",
                       AM_FMT(c->in.name));
    for (size_t i = 0; i < v->n_words * v->dimensions; i++)
        if (!isfinite(v->words[i]))
            return am_fail(err, AM_ECORRUPT, "features: column \"%.*s\": a vector is not finite",
                           AM_FMT(c->in.name));
    for (size_t i = 0; i < v->n_buckets * v->dimensions; i++)
        if (!isfinite(v->buckets[i]))
            return am_fail(err, AM_ECORRUPT, "features: column \"%.*s\": a vector is not finite",
                           AM_FMT(c->in.name));
    return AM_OK;
}

enum am_rc am_ftext_build(struct am_fcol *c, struct am_arena *a, struct am_err *err)
{
    struct am_ftext *t = c->text;
    if (!t)
        return am_fail(err, AM_ECORRUPT, "features: column \"%.*s\" has no settings of its text",
                       AM_FMT(c->in.name));
    if (c->kind == AM_F_HASHING && (c->buckets < 2 || c->buckets > AM_F_MAX_HASHED))
        return am_fail(err, AM_ECORRUPT,
                       "features: column \"%.*s\" has %zu buckets, 2 to %zu allowed",
                       AM_FMT(c->in.name), c->buckets, AM_F_MAX_HASHED);
    const enum am_rc rc = am_text_config_build(&t->config, a, err);
    if (rc != AM_OK) {
        am_context(err, "column \"%.*s\"", AM_FMT(c->in.name));
        return rc == AM_EUSAGE ? AM_ECORRUPT : rc;
    }
    AM_TRY(check_vectors(c, err));
    for (size_t i = 0; i < c->n_categories; i++) {
        uint32_t at;
        bool added;
        AM_TRY(am_termset_add(&t->set, c->categories[i], &at, &added, err));
        if (!added)
            return am_fail(err, AM_ECORRUPT,
                           "features: column \"%.*s\": term \"%.*s\" stands twice",
                           AM_FMT(c->in.name), AM_FMT(c->categories[i]));
    }
    return make_weights(c, t, a, err);
}

void am_ftext_clear(struct am_ftext *t)
{
    if (!t)
        return;
    am_text_config_clear(&t->config);
    am_termset_clear(&t->set);
}

size_t am_ftext_outputs(const struct am_fcol *c)
{
    return c->kind == AM_F_HASHING   ? c->buckets
           : c->kind == AM_F_VECTORS ? c->text->vectors.dimensions
                                     : c->n_categories;
}

struct am_str am_ftext_output_name(struct am_arena *a, const struct am_fcol *c, size_t j)
{
    if (c->kind == AM_F_COUNT || c->kind == AM_F_TFIDF)
        return am_arena_printf(a, "%.*s=%.*s", AM_FMT(c->in.name), AM_FMT(c->categories[j]));
    if (c->kind == AM_F_HASHING)
        return c->in.name;
    return am_arena_printf(a, "%.*s.%zu", AM_FMT(c->in.name), j);
}

/* ---- a row ---- */

struct am_ftext_scratch {
    struct am_terms *terms;
    AM_VEC(uint32_t) ids; /* of the row's terms: index, or bucket * 2 + (sign < 0) */
    AM_VEC(uint32_t) sorted;
    AM_VEC(double) sum; /* of vectors */
    struct am_csr_buf row;
    const struct am_fcol *c; /* the column in hand */
    double mass;             /* weight of the vectors in sum */
};

enum am_rc am_ftext_scratch_new(struct am_ftext_scratch **out, struct am_err *err)
{
    struct am_ftext_scratch *s = am_calloc(1, sizeof *s);
    if (!s)
        return am_fail_nomem(err, sizeof *s);
    const enum am_rc rc = am_terms_new(&s->terms, err);
    if (rc != AM_OK)
        am_free(s);
    else
        *out = s;
    return rc;
}

void am_ftext_scratch_free(void *p)
{
    struct am_ftext_scratch *s = p;
    if (!s)
        return;
    am_terms_free(s->terms);
    am_vec_clear(&s->ids);
    am_vec_clear(&s->sorted);
    am_vec_clear(&s->sum);
    am_csr_clear(&s->row);
    am_free(s);
}

/* MurmurHash3 x86 32 (Appleby), seed 0 */
static uint32_t murmur(struct am_str s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    uint32_t h = 0, k;
    size_t n = s.len;
    for (; n >= 4; n -= 4, p += 4) {
        k = ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24) *
            0xCC9E2D51u;
        h ^= (k << 15 | k >> 17) * 0x1B873593u;
        h = (h << 13 | h >> 19) * 5 + 0xE6546B64u;
    }
    k = 0;
    for (size_t i = n; i-- > 0;)
        k = k << 8 | p[i];
    k *= 0xCC9E2D51u;
    h ^= n ? (k << 15 | k >> 17) * 0x1B873593u : 0;
    h ^= (uint32_t)s.len;
    h = (h ^ h >> 16) * 0x85EBCA6Bu;
    h = (h ^ h >> 13) * 0xC2B2AE35u;
    return h ^ h >> 16;
}

static enum am_rc push_id(struct am_ftext_scratch *s, uint32_t id, struct am_err *err)
{
    return am_vec_push(&s->ids, id) ? AM_OK : am_fail_nomem(err, sizeof id);
}

static enum am_rc on_term(void *ctx, struct am_str term, struct am_err *err)
{
    struct am_ftext_scratch *s = ctx;
    const uint32_t at = am_termset_find(&s->c->text->set, term);
    return at != AM_TERMSET_NONE ? push_id(s, at, err) : AM_OK;
}

static enum am_rc on_hashed(void *ctx, struct am_str term, struct am_err *err)
{
    struct am_ftext_scratch *s = ctx;
    const uint32_t h = murmur(term), n = (uint32_t)s->c->buckets;
    const bool negative = (h >> 31) != 0;
    /* abs of a signed number; that of the least one is itself, which numpy takes modulo, too */
    const uint32_t size = h == 0x80000000u ? (0x7FFFFFFFu - (n - 1)) % n : (negative ? -h : h) % n;
    return push_id(s, size * 2 + negative, err);
}

/* Ascending: two passes of 11 bits, or by hand where there are few. */
static enum am_rc sort_ids(struct am_ftext_scratch *s, struct am_err *err)
{
    const size_t n = s->ids.len;
    uint32_t *a = s->ids.ptr, *b;
    if (n <= 40) {
        for (size_t i = 1; i < n; i++) {
            const uint32_t v = a[i];
            size_t k = i;
            for (; k > 0 && a[k - 1] > v; k--)
                a[k] = a[k - 1];
            a[k] = v;
        }
        return AM_OK;
    }
    if (!am_vec_reserve(&s->sorted, n))
        return am_fail_nomem(err, n * sizeof *a);
    b = s->sorted.ptr;
    for (unsigned shift = 0; shift < 22; shift += 11) {
        uint32_t count[2048] = {0}, at = 0;
        for (size_t i = 0; i < n; i++)
            count[a[i] >> shift & 2047]++;
        for (size_t i = 0; i < 2048; i++) {
            const uint32_t c = count[i];
            count[i] = at;
            at += c;
        }
        for (size_t i = 0; i < n; i++)
            b[count[a[i] >> shift & 2047]++] = a[i];
        uint32_t *t = a;
        a = b, b = t;
    }
    return AM_OK; /* two passes: back in ids */
}

static float clip(double v)
{
    return (float)fmin(fmax(v, -(double)FLT_MAX), (double)FLT_MAX);
}

/* Runs of equal ids become entries at out[n..], values in double first. */
static size_t collect(const struct am_ftext_scratch *s, double *vals, uint32_t *cols)
{
    const struct am_ftext *t = s->c->text;
    const unsigned shift = s->c->kind == AM_F_HASHING;
    const uint32_t *ids = s->ids.ptr;
    size_t n = 0;
    for (size_t i = 0; i < s->ids.len;) {
        const uint32_t col = ids[i] >> shift;
        double v = 0;
        for (; i < s->ids.len && ids[i] >> shift == col; i++)
            v += shift && (ids[i] & 1) ? -1 : 1;
        if (v == 0)
            continue;
        if (t->binary)
            v = 1;
        if (t->sublinear)
            v = v > 0 ? log(v) + 1 : -(log(-v) + 1);
        if (t->weights)
            v *= t->weights[col];
        cols[n] = col;
        vals[n++] = v;
    }
    return n;
}

static void normalise(enum am_text_norm norm, double *v, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += norm == AM_TEXT_NORM_L2 ? v[i] * v[i] : fabs(v[i]);
    if (norm == AM_TEXT_NORM_L2)
        sum = sqrt(sum);
    for (size_t i = 0; norm != AM_TEXT_NORM_NONE && sum > 0 && i < n; i++)
        v[i] /= sum;
}

enum am_rc am_ftext_row(const struct am_fcol *c, struct am_ftext_scratch *s, struct am_str text,
                        size_t base, struct am_csr_buf *out, struct am_err *err)
{
    s->c = c;
    s->ids.len = 0;
    AM_TRY(am_terms_each(s->terms, &c->text->config, text,
                         c->kind == AM_F_HASHING ? on_hashed : on_term, s, err));
    AM_TRY(sort_ids(s, err));
    AM_TRY(am_csr_reserve(out, 1, s->ids.len, err));
    if (!am_vec_reserve(&s->sum, s->ids.len))
        return am_fail_nomem(err, s->ids.len * sizeof *s->sum.ptr);
    const size_t n = collect(s, s->sum.ptr, out->cols + out->n);
    normalise(c->text->norm, s->sum.ptr, n);
    for (size_t i = 0; i < n; i++) {
        out->cols[out->n] += (uint32_t)base;
        out->vals[out->n++] = clip(s->sum.ptr[i]);
    }
    return AM_OK;
}

/* ---- vectors ---- */

static enum am_rc on_word(void *ctx, struct am_str term, struct am_err *err)
{
    struct am_ftext_scratch *s = ctx;
    const struct am_ftext *t = s->c->text;
    const struct am_vectors *v = &t->vectors;
    const uint32_t at = am_termset_find(&t->set, term);
    (void)err;
    if (at == AM_TERMSET_NONE) {
        /* an unseen word weighs as one that a single row has */
        const double w = t->weights ? log((double)t->n_docs + 1) - log(2.0) + 1 : 1;
        s->mass += am_vectors_add_unseen(v, term, w, s->sum.ptr) ? w : 0;
        return AM_OK;
    }
    const double w = t->weights ? t->weights[at] : 1;
    const float *row = v->words + (size_t)at * v->dimensions;
    for (size_t i = 0; i < v->dimensions; i++)
        s->sum.ptr[i] += w * (double)row[i];
    s->mass += w;
    return AM_OK;
}

static enum am_rc mean_vector(const struct am_fcol *c, struct am_ftext_scratch *s,
                              struct am_str text, float *out, struct am_err *err)
{
    const size_t n = c->text->vectors.dimensions;
    if (!am_vec_reserve(&s->sum, n))
        return am_fail_nomem(err, n * sizeof *s->sum.ptr);
    memset(s->sum.ptr, 0, n * sizeof *s->sum.ptr);
    s->c = c;
    s->mass = 0;
    AM_TRY(am_terms_each(s->terms, &c->text->config, text, on_word, s, err));
    for (size_t i = 0; i < n; i++)
        s->sum.ptr[i] = s->mass > 0 ? s->sum.ptr[i] / s->mass : 0;
    normalise(c->text->norm, s->sum.ptr, n);
    for (size_t i = 0; i < n; i++)
        out[i] = clip(s->sum.ptr[i]);
    return AM_OK;
}

enum am_rc am_ftext_row_dense(const struct am_fcol *c, struct am_ftext_scratch *s,
                              struct am_str text, float *out, struct am_err *err)
{
    if (c->kind == AM_F_VECTORS)
        return mean_vector(c, s, text, out, err);
    const size_t n = am_ftext_outputs(c);
    memset(out, 0, n * sizeof *out);
    am_csr_reset(&s->row, n);
    AM_TRY(am_ftext_row(c, s, text, 0, &s->row, err));
    for (size_t i = 0; i < s->row.n; i++)
        out[s->row.cols[i]] = s->row.vals[i];
    return AM_OK;
}
