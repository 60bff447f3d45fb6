/* N-grams of words and files of vectors; see vectors.h. */
#include "feature/vectors.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/num.h"

#define WORD_BYTES 1000 /* of a word in a file */
#define FASTTEXT_MAGIC 793712314

enum { VEC, WORD2VEC, FASTTEXT };

static bool begins_char(char c)
{
    return ((unsigned char)c & 0xC0) != 0x80;
}

size_t am_vectors_ngrams(struct am_str word, uint32_t from, uint32_t to, size_t n_buckets,
                         uint32_t out[AM_VECTORS_MAX_NGRAMS])
{
    char w[WORD_BYTES + 2];
    size_t n = 0, len = word.len < WORD_BYTES ? word.len : WORD_BYTES;
    w[0] = '<';
    memcpy(w + 1, word.ptr, len);
    w[len + 1] = '>';
    len += 2;
    for (size_t i = 0; i < len; i++) {
        uint32_t h = 2166136261u, chars = 0;
        if (!begins_char(w[i]))
            continue;
        for (size_t k = i; k < len && chars < to;) {
            do { /* bytes are signed there */
                const uint32_t b = (unsigned char)w[k++];
                h = (h ^ (b < 0x80 ? b : b | 0xFFFFFF00u)) * 16777619u;
            } while (k < len && !begins_char(w[k]));
            chars++;
            if (chars < from || (chars == 1 && (i == 0 || k == len)))
                continue;
            if (n == AM_VECTORS_MAX_NGRAMS)
                return n;
            out[n++] = (uint32_t)(h % n_buckets);
        }
    }
    return n;
}

bool am_vectors_add_unseen(const struct am_vectors *v, struct am_str word, double weight,
                           double *sum)
{
    uint32_t grams[AM_VECTORS_MAX_NGRAMS];
    const size_t n =
        v->n_buckets ? am_vectors_ngrams(word, v->from, v->to, v->n_buckets, grams) : 0;
    for (size_t k = 0; k < n; k++) {
        const float *row = v->buckets + (size_t)grams[k] * v->dimensions;
        for (size_t i = 0; i < v->dimensions; i++)
            sum[i] += weight * (double)row[i] / (double)n;
    }
    return n > 0;
}

/* ---- files ---- */

static enum am_rc corrupt(struct am_err *err, const char *what)
{
    return am_fail(err, AM_ECORRUPT, "file of word vectors: %s", am_tr(what));
}

static int64_t integer_at(const struct am_vector_file *f, size_t at, size_t bytes)
{
    uint64_t v = 0;
    for (size_t i = bytes; i-- > 0;)
        v = v << 8 | (unsigned char)f->bytes.ptr[at + i];
    return bytes == 4 ? (int64_t)(int32_t)(uint32_t)v : (int64_t)v;
}

static bool left(const struct am_vector_file *f, size_t n)
{
    return f->bytes.len - f->at >= n;
}

static enum am_rc check_size(struct am_vector_file *f, uint64_t n, uint64_t dimensions,
                             struct am_err *err)
{
    if (dimensions < 1 || dimensions > AM_LIMIT_VECTOR_DIMENSIONS || n < 1 ||
        n > f->bytes.len / dimensions)
        return corrupt(err, "its head does not fit its length");
    f->n = n;
    f->dimensions = (size_t)dimensions;
    return AM_OK;
}

/* The end of a NUL-terminated word with count and kind behind it. */
static bool skip_entry(const struct am_vector_file *f, size_t *at)
{
    const char *end = memchr(f->bytes.ptr + *at, 0, f->bytes.len - *at);
    if (!end || (size_t)(end - f->bytes.ptr) - *at > WORD_BYTES)
        return false;
    *at = (size_t)(end - f->bytes.ptr) + 10;
    return *at <= f->bytes.len;
}

static enum am_rc open_fasttext(struct am_vector_file *f, struct am_err *err)
{
    enum { ARGS = 8, DICT = ARGS + 12 * 4 + 8, ENTRIES = DICT + 12 + 16 };
    if (f->bytes.len < ENTRIES)
        return corrupt(err, "it is cut off");
    if (integer_at(f, 4, 4) != 12)
        return am_fail(err, AM_EUNSUPPORTED, "fastText's format %lld is not known, 12 is",
                       (long long)integer_at(f, 4, 4));
    const int64_t dim = integer_at(f, ARGS, 4), bucket = integer_at(f, ARGS + 8 * 4, 4);
    const int64_t size = integer_at(f, DICT, 4), words = integer_at(f, DICT + 4, 4);
    const int64_t pruned = integer_at(f, DICT + 20, 8);
    f->minn = (int32_t)integer_at(f, ARGS + 9 * 4, 4);
    f->maxn = (int32_t)integer_at(f, ARGS + 10 * 4, 4);
    if (dim < 1 || bucket < 0 || size < 1 || words < 1 || words > size || f->minn < 0 ||
        f->maxn < 0 || f->maxn > 64)
        return corrupt(err, "its head does not fit its length");
    if (pruned > 0)
        return am_fail(err, AM_EUNSUPPORTED, "a quantised fastText model has no vectors to read");
    AM_TRY(check_size(f, (uint64_t)words, (uint64_t)dim, err));
    f->words_at = f->at = ENTRIES;
    size_t at = ENTRIES;
    for (int64_t i = 0; i < size; i++)
        if (!skip_entry(f, &at))
            return corrupt(err, "it is cut off");
    if (f->bytes.len - at < 17)
        return corrupt(err, "it is cut off");
    if (f->bytes.ptr[at] != 0)
        return am_fail(err, AM_EUNSUPPORTED, "a quantised fastText model has no vectors to read");
    const int64_t rows = integer_at(f, at + 1, 8), cols = integer_at(f, at + 9, 8);
    f->matrix_at = at + 17;
    if (cols != dim || rows < words + bucket || rows > (1 << 30) ||
        (uint64_t)rows * (uint64_t)cols > (f->bytes.len - f->matrix_at) / sizeof(float))
        return corrupt(err, "its matrix does not fit its length");
    f->n_rows = (uint64_t)rows;
    f->bucket = f->maxn > 0 ? (uint64_t)bucket : 0;
    f->form = FASTTEXT;
    f->sum = am_alloc_array((size_t)dim, sizeof *f->sum);
    return f->sum ? AM_OK : am_fail_nomem(err, (size_t)dim * sizeof *f->sum);
}

static bool number_in_line(struct am_str s, size_t *at, uint64_t *out)
{
    const size_t from = *at;
    *out = 0;
    for (; *at < s.len && s.ptr[*at] >= '0' && s.ptr[*at] <= '9' && *at - from < 18; (*at)++)
        *out = *out * 10 + (unsigned)(s.ptr[*at] - '0');
    return *at > from;
}

/* Text or word2vec's binary? What stands behind the first word tells: numbers in text have bytes
 * of their own only. */
static bool is_text(const struct am_vector_file *f)
{
    size_t at = f->at, n = 0;
    while (at < f->bytes.len && f->bytes.ptr[at] != ' ')
        at++;
    for (; at < f->bytes.len && n < 64 && f->bytes.ptr[at] != '\n'; at++, n++)
        if (f->bytes.ptr[at] == 0 || !strchr("0123456789+-.eE \tnaifNAIF\r", f->bytes.ptr[at]))
            return false;
    return true;
}

enum am_rc am_vector_file_open(struct am_vector_file *f, struct am_str bytes, struct am_err *err)
{
    uint64_t n, d;
    *f = (struct am_vector_file){.bytes = bytes};
    if (bytes.len >= 8 && integer_at(f, 0, 4) == FASTTEXT_MAGIC)
        return open_fasttext(f, err);
    if (!number_in_line(bytes, &f->at, &n) || !left(f, 1) || bytes.ptr[f->at++] != ' ' ||
        !number_in_line(bytes, &f->at, &d))
        return corrupt(err, "its first line is not \"words dimensions\"");
    while (left(f, 1) && (bytes.ptr[f->at] == ' ' || bytes.ptr[f->at] == '\r'))
        f->at++;
    if (!left(f, 1) || bytes.ptr[f->at++] != '\n')
        return corrupt(err, "its first line is not \"words dimensions\"");
    AM_TRY(check_size(f, n, d, err));
    f->form = is_text(f) ? VEC : WORD2VEC;
    return AM_OK;
}

void am_vector_file_close(struct am_vector_file *f)
{
    am_free(f->sum);
    f->sum = NULL;
}

static enum am_rc all_finite(const struct am_vector_file *f, const float *v, struct am_err *err)
{
    for (size_t i = 0; i < f->dimensions; i++)
        if (!isfinite(v[i]))
            return corrupt(err, "a number is not finite");
    return AM_OK;
}

/* Up to the next space. */
static enum am_rc take_word(struct am_vector_file *f, struct am_str *word, struct am_err *err)
{
    const size_t from = f->at;
    while (left(f, 1) && f->bytes.ptr[f->at] != ' ' && f->bytes.ptr[f->at] != '\n')
        f->at++;
    if (!left(f, 1) || f->bytes.ptr[f->at] != ' ' || f->at == from || f->at - from > WORD_BYTES)
        return corrupt(err, "a line without a word");
    *word = (struct am_str){f->bytes.ptr + from, f->at - from};
    f->at++;
    return AM_OK;
}

static enum am_rc next_text(struct am_vector_file *f, struct am_str *word, float *vector,
                            struct am_err *err)
{
    const char *p = f->bytes.ptr;
    AM_TRY(take_word(f, word, err));
    for (size_t i = 0; i < f->dimensions; i++) {
        double v;
        while (left(f, 1) && p[f->at] == ' ')
            f->at++;
        const size_t from = f->at;
        while (left(f, 1) && p[f->at] != ' ' && p[f->at] != '\n' && p[f->at] != '\r')
            f->at++;
        if (!am_parse_double((struct am_str){p + from, f->at - from}, AM_NUM_FINITE, &v))
            return corrupt(err, "a line with too few numbers");
        vector[i] = (float)v;
    }
    while (left(f, 1) && (p[f->at] == ' ' || p[f->at] == '\r'))
        f->at++;
    if (left(f, 1) && p[f->at] != '\n')
        return corrupt(err, "a line with too many numbers");
    f->at += left(f, 1);
    return all_finite(f, vector, err);
}

static enum am_rc next_binary(struct am_vector_file *f, struct am_str *word, float *vector,
                              struct am_err *err)
{
    while (left(f, 1) && f->bytes.ptr[f->at] == '\n')
        f->at++;
    AM_TRY(take_word(f, word, err));
    if (!left(f, f->dimensions * sizeof *vector))
        return corrupt(err, "it is cut off");
    memcpy(vector, f->bytes.ptr + f->at, f->dimensions * sizeof *vector);
    f->at += f->dimensions * sizeof *vector;
    return all_finite(f, vector, err);
}

static void add_row(const struct am_vector_file *f, uint64_t row, float *sum)
{
    const char *p = f->bytes.ptr + f->matrix_at + row * f->dimensions * sizeof(float);
    for (size_t i = 0; i < f->dimensions; i++) {
        float v;
        memcpy(&v, p + i * sizeof v, sizeof v);
        sum[i] += v;
    }
}

static enum am_rc next_fasttext(struct am_vector_file *f, struct am_str *word, float *vector,
                                struct am_err *err)
{
    uint32_t grams[AM_VECTORS_MAX_NGRAMS];
    bool label;
    size_t end;
    do { /* labels of a classifier are no words */
        end = f->at;
        if (!skip_entry(f, &end)) /* walked once already, so only past the words */
            return corrupt(err, "it has fewer words than it says");
        *word = (struct am_str){f->bytes.ptr + f->at, end - 10 - f->at};
        label = f->bytes.ptr[end - 1] != 0;
        f->at = end;
    } while (label && f->at < f->matrix_at);
    memset(vector, 0, f->dimensions * sizeof *vector);
    add_row(f, f->i, vector);
    const size_t n =
        f->bucket && !am_str_is(*word, "</s>")
            ? am_vectors_ngrams(*word, (uint32_t)f->minn, (uint32_t)f->maxn, f->bucket, grams)
            : 0;
    for (size_t k = 0; k < n; k++)
        add_row(f, f->n + grams[k], vector);
    for (size_t i = 0; i < f->dimensions; i++)
        vector[i] /= (float)(n + 1);
    return all_finite(f, vector, err);
}

enum am_rc am_vector_file_next(struct am_vector_file *f, struct am_str *word, float *vector,
                               bool *more, struct am_err *err)
{
    *more = f->i < f->n;
    if (!*more)
        return AM_OK;
    AM_TRY((f->form == VEC        ? next_text
            : f->form == WORD2VEC ? next_binary
                                  : next_fasttext)(f, word, vector, err));
    f->i++;
    return AM_OK;
}
