/* Skip-gram with negative sampling; see vectors_fit.h. Rows are padded to eight floats; sums run in
 * eight lanes, so their order is fixed. */
#include "feature/vectors_fit.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "base/vec.h"

#define TABLE ((size_t)1 << 20) /* of words to draw from */
#define SIGMOID 2048
#define SIGMOID_MOST 8.0f
#define POWER 0.5 /* of the counts, as fastText has it */

typedef float lanes __attribute__((vector_size(32), aligned(32)));

struct trainer {
    const struct am_vectors_config *c;
    size_t n_words, width; /* floats of a row */
    float *in, *out;       /* owned: [n_words + n_buckets, width], [n_words, width] */
    float *hidden, *grad;  /* owned, [width] */
    uint32_t *table;       /* owned, [TABLE] */
    float *keep;           /* owned, [n_words] chance that a word is looked at */
    uint32_t *rows;        /* owned: rows of each word, itself first */
    size_t *first;         /* owned, [n_words + 1] into rows */
    float sigmoid[SIGMOID + 1];
    struct am_rng rng;
};

static float dot(const float *a, const float *b, size_t n)
{
    lanes s = {0};
    for (size_t i = 0; i < n; i += 8)
        s += *(const lanes *)(a + i) * *(const lanes *)(b + i);
    return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}

static void axpy(float f, const float *a, float *b, size_t n)
{
    for (size_t i = 0; i < n; i += 8)
        *(lanes *)(b + i) += f * *(const lanes *)(a + i);
}

static float unit(struct trainer *t)
{
    return (float)am_rng_unit(&t->rng);
}

static float sigmoid(const struct trainer *t, float x)
{
    if (x >= SIGMOID_MOST)
        return 1;
    if (x <= -SIGMOID_MOST)
        return 0;
    return t->sigmoid[(size_t)((x + SIGMOID_MOST) * (SIGMOID / (2 * SIGMOID_MOST)))];
}

static enum am_rc find_rows(struct trainer *t, const struct am_str *words, struct am_err *err)
{
    const struct am_vectors_config *c = t->c;
    AM_VEC(uint32_t) all = {0};
    enum am_rc rc = AM_OK;
    t->first = am_alloc_array(t->n_words + 1, sizeof *t->first);
    if (!t->first)
        return am_fail_nomem(err, t->n_words * sizeof *t->first);
    for (size_t i = 0; i < t->n_words; i++) {
        uint32_t grams[AM_VECTORS_MAX_NGRAMS];
        const size_t n =
            c->n_buckets ? am_vectors_ngrams(words[i], c->from, c->to, c->n_buckets, grams) : 0;
        t->first[i] = all.len;
        if (!am_vec_reserve(&all, all.len + n + 1))
            AM_GO(rc, am_fail_nomem(err, n * sizeof *all.ptr));
        all.ptr[all.len++] = (uint32_t)i;
        for (size_t k = 0; k < n; k++)
            all.ptr[all.len++] = (uint32_t)t->n_words + grams[k];
    }
    t->first[t->n_words] = all.len;
    t->rows = all.ptr;
out:
    if (rc != AM_OK)
        am_vec_clear(&all);
    return rc;
}

static enum am_rc prepare(struct trainer *t, const struct am_str *words, const uint64_t *counts,
                          uint64_t seed, struct am_err *err)
{
    const struct am_vectors_config *c = t->c;
    const size_t rows = t->n_words + c->n_buckets, bytes = t->width * sizeof(float);
    double sum = 0, total = 0, at = 0;
    t->in = am_alloc_aligned(64, rows * bytes + 64);
    t->out = am_alloc_aligned(64, t->n_words * bytes + 64);
    t->hidden = am_alloc_aligned(64, bytes);
    t->grad = am_alloc_aligned(64, bytes);
    t->table = am_alloc_array(TABLE, sizeof *t->table);
    t->keep = am_alloc_array(t->n_words + 1, sizeof *t->keep);
    if (!t->in || !t->out || !t->hidden || !t->grad || !t->table || !t->keep)
        return am_fail_nomem(err, rows * bytes);
    am_rng_init(&t->rng, seed, AM_RNG_INIT);
    memset(t->in, 0, rows * bytes);
    memset(t->out, 0, t->n_words * bytes);
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < c->dimensions; i++)
            t->in[r * t->width + i] = (2 * unit(t) - 1) / (float)c->dimensions;
    for (size_t i = 0; i < t->n_words; i++) {
        sum += pow((double)counts[i], POWER);
        total += (double)counts[i];
    }
    for (size_t i = 0, k = 0; i < t->n_words; i++) {
        const double share = (double)counts[i] / total;
        t->keep[i] = c->sample > 0 ? (float)(sqrt(c->sample / share) + c->sample / share) : 1;
        at += pow((double)counts[i], POWER) / sum;
        const size_t end = i + 1 == t->n_words ? TABLE : (size_t)(at * (double)TABLE);
        for (; k < end && k < TABLE; k++)
            t->table[k] = (uint32_t)i;
    }
    for (size_t i = 0; i <= SIGMOID; i++)
        t->sigmoid[i] = (float)(1 / (1 + exp(-((double)i * 2 * (double)SIGMOID_MOST / SIGMOID -
                                               (double)SIGMOID_MOST))));
    return find_rows(t, words, err);
}

static void learn_pair(struct trainer *t, uint32_t word, uint32_t target, float rate)
{
    const uint32_t *rows = t->rows + t->first[word];
    const size_t n = t->first[word + 1] - t->first[word], w = t->width;
    memset(t->hidden, 0, w * sizeof(float));
    memset(t->grad, 0, w * sizeof(float));
    for (size_t k = 0; k < n; k++)
        axpy(1 / (float)n, t->in + rows[k] * w, t->hidden, w);
    for (size_t k = 0; k <= t->c->negatives; k++) {
        uint32_t other = target;
        if (k > 0) {
            other = t->table[am_rng_below(&t->rng, TABLE)];
            if (other == target)
                continue;
        }
        float *o = t->out + other * w;
        const float f = rate * ((k == 0 ? 1.0f : 0.0f) - sigmoid(t, dot(t->hidden, o, w)));
        axpy(f, o, t->grad, w);
        axpy(f, t->hidden, o, w);
    }
    for (size_t k = 0; k < n; k++)
        axpy(1, t->grad, t->in + rows[k] * w, w);
}

/* One text: words of it that are looked at, then each with those around it. */
static void learn_text(struct trainer *t, uint32_t *words, size_t n, float rate)
{
    const size_t window = t->c->window;
    for (size_t i = 0; i < n; i++) {
        const size_t b = 1 + (size_t)am_rng_below(&t->rng, window);
        const size_t from = i > b ? i - b : 0, to = i + b + 1 < n ? i + b + 1 : n;
        for (size_t k = from; k < to; k++)
            if (k != i)
                learn_pair(t, words[i], words[k], rate);
    }
}

static enum am_rc learn(struct trainer *t, const uint32_t *stream, size_t n, struct am_err *err)
{
    uint32_t *text = am_alloc_array(n + 1, sizeof *text);
    const double all = (double)n * (double)t->c->epochs;
    if (!text)
        return am_fail_nomem(err, n * sizeof *text);
    for (size_t e = 0; e < t->c->epochs; e++)
        for (size_t i = 0; i < n;) {
            const double done = (double)(e * n + i) / all;
            size_t k = 0;
            for (; i < n && stream[i] != UINT32_MAX && k < 1000; i++)
                if (t->keep[stream[i]] >= 1 || unit(t) < t->keep[stream[i]])
                    text[k++] = stream[i];
            i += i < n && stream[i] == UINT32_MAX;
            learn_text(t, text, k, (float)(t->c->rate * (1 - done)));
        }
    am_free(text);
    return AM_OK;
}

static enum am_rc keep_vectors(const struct trainer *t, struct am_arena *a, struct am_vectors *out,
                               struct am_err *err)
{
    const size_t d = t->c->dimensions;
    float *words = am_arena_array(a, t->n_words + 1, d * sizeof *words);
    float *buckets = am_arena_array(a, t->c->n_buckets + 1, d * sizeof *buckets);
    AM_TRY(am_arena_check(a, err));
    for (size_t i = 0; i < t->n_words; i++) {
        const size_t n = t->first[i + 1] - t->first[i];
        memset(t->hidden, 0, t->width * sizeof(float));
        for (size_t k = 0; k < n; k++)
            axpy(1 / (float)n, t->in + t->rows[t->first[i] + k] * t->width, t->hidden, t->width);
        memcpy(words + i * d, t->hidden, d * sizeof *words);
    }
    for (size_t i = 0; i < t->c->n_buckets; i++)
        memcpy(buckets + i * d, t->in + (t->n_words + i) * t->width, d * sizeof *buckets);
    for (size_t i = 0; i < t->n_words * d; i++)
        if (!isfinite(words[i])) {
            am_fail(err, AM_EINVAL, "word vectors diverged: a number is not finite");
            am_hint(err, "Lower `rate`.");
            return AM_EINVAL;
        }
    *out = (struct am_vectors){.dimensions = d,
                               .n_words = t->n_words,
                               .words = words,
                               .n_buckets = t->c->n_buckets,
                               .from = t->c->from,
                               .to = t->c->to,
                               .buckets = t->c->n_buckets ? buckets : NULL};
    return AM_OK;
}

enum am_rc am_vectors_train(const struct am_vectors_config *c, const struct am_str *words,
                            const uint64_t *counts, size_t n, const uint32_t *stream,
                            size_t n_stream, uint64_t seed, struct am_arena *a,
                            struct am_vectors *out, struct am_err *err)
{
    struct trainer t = {.c = c, .n_words = n, .width = (c->dimensions + 7) / 8 * 8};
    enum am_rc rc = AM_OK;
    if (n == 0) {
        am_fail(err, AM_EINVAL, "no word stands often enough in the training texts for a vector");
        am_hint(err, "Lower min_count, or bring more texts.");
        return AM_EINVAL;
    }
    AM_GO(rc, prepare(&t, words, counts, seed, err));
    AM_GO(rc, learn(&t, stream, n_stream, err));
    rc = keep_vectors(&t, a, out, err);
out:
    am_free(t.in);
    am_free(t.out);
    am_free(t.hidden);
    am_free(t.grad);
    am_free(t.table);
    am_free(t.keep);
    am_free(t.rows);
    am_free(t.first);
    return rc;
}
