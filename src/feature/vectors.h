/* Word vectors: of known words, and of unseen ones by their n-grams of characters (Bojanowski et
 * al. 2017); a text is the (weighted) mean of its words' vectors. Reading files of vectors that
 * others made. Applying; vectors_fit.h trains. */
#ifndef AM_FEATURE_VECTORS_H
#define AM_FEATURE_VECTORS_H

#include "base/map.h"

#include <stdbool.h>
#include <stdint.h>

struct am_vectors {
    size_t dimensions;  /* 0 = none */
    size_t n_words;     /* rows of `words`, in the order of the column's vocabulary */
    const float *words; /* [n_words, dimensions] */
    /* n-grams of "<word>" of from..to characters, hashed (FNV-1a as fastText does) */
    size_t n_buckets;
    uint32_t from, to;
    const float *buckets; /* [n_buckets, dimensions]; NULL = unseen words have none */
};

#define AM_VECTORS_MAX_NGRAMS 256 /* of a word; the rest of longer ones is passed over */
/* Buckets of a word's n-grams; returns how many. */
size_t am_vectors_ngrams(struct am_str word, uint32_t from, uint32_t to, size_t n_buckets,
                         uint32_t out[AM_VECTORS_MAX_NGRAMS]);
/* Adds weight times the vector of an unseen word; false: it has none. */
bool am_vectors_add_unseen(const struct am_vectors *v, struct am_str word, double weight,
                           double *sum /* [dimensions] */);

/* Goes over a file of vectors: .vec (text: "n dimensions", then a word and its numbers a line),
 * .bin of word2vec (the same head, then a word, a space and float32s) or .bin of fastText
 * (version 12: a word's row, or the mean of it and of its n-grams' rows). The bytes are borrowed,
 * mapped or read; nothing in them is trusted. */
struct am_vector_file {
    struct am_str bytes;
    size_t at;
    uint64_t n, i; /* words in it; read so far */
    size_t dimensions;
    int form;
    /* fastText */
    size_t words_at, matrix_at;
    uint64_t n_rows, bucket;
    int32_t minn, maxn;
    float *sum; /* owned */
};
enum am_rc am_vector_file_open(struct am_vector_file *f, struct am_str bytes,
                               struct am_err *err) AM_MUST_CHECK;
/* false in *more at the end; word lives as long as the bytes, vector [dimensions] is filled. */
enum am_rc am_vector_file_next(struct am_vector_file *f, struct am_str *word, float *vector,
                               bool *more, struct am_err *err) AM_MUST_CHECK;
void am_vector_file_close(struct am_vector_file *f);

#endif
