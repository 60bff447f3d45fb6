/* A fitted text column: counts, TF-IDF, hashed terms, word vectors. Shared by the files of feature/
 * only. Built once (am_ftext_build), then immutable; memory of the features' arena but for maps. */
#ifndef AM_FEATURE_TEXT_INT_H
#define AM_FEATURE_TEXT_INT_H

#include "feature/features_int.h"
#include "feature/terms.h"
#include "feature/termset.h"
#include "feature/vectors.h"
#include "tensor/sparse.h"

#define AM_F_MAX_HASHED ((size_t)1 << 20)

enum am_text_norm { AM_TEXT_NORM_NONE, AM_TEXT_NORM_L1, AM_TEXT_NORM_L2, AM_TEXT_N_NORMS };

struct am_ftext {
    struct am_text_config config;
    bool idf, smooth, sublinear, binary;
    enum am_text_norm norm;
    uint64_t n_docs;    /* training rows */
    const uint32_t *df; /* [n_categories of the column] rows with the term; NULL without idf */
    struct am_vectors vectors;
    /* made by am_ftext_build */
    const double *weights; /* [n_categories] idf; NULL = all 1 */
    struct am_termset set; /* owned: am_ftext_clear; the column's terms */
};

/* Checks, compiles, makes weights. AM_ECORRUPT and AM_ELIMIT for what is wrong. */
enum am_rc am_ftext_build(struct am_fcol *c, struct am_arena *a, struct am_err *err) AM_MUST_CHECK;
void am_ftext_clear(struct am_ftext *t);
size_t am_ftext_outputs(const struct am_fcol *c);
struct am_str am_ftext_output_name(struct am_arena *a, const struct am_fcol *c, size_t j);

/* What one thread keeps from row to row. */
struct am_ftext_scratch;
enum am_rc am_ftext_scratch_new(struct am_ftext_scratch **out, struct am_err *err) AM_MUST_CHECK;
void am_ftext_scratch_free(void *s); /* NULL is fine */
/* count, tfidf, hashing: the row's entries are appended to out's arrays, columns moved by `base`;
 * the row is not ended. */
enum am_rc am_ftext_row(const struct am_fcol *c, struct am_ftext_scratch *s, struct am_str text,
                        size_t base, struct am_csr_buf *out, struct am_err *err) AM_MUST_CHECK;
/* Any kind, dense: out [am_ftext_outputs] */
enum am_rc am_ftext_row_dense(const struct am_fcol *c, struct am_ftext_scratch *s,
                              struct am_str text, float *out, struct am_err *err) AM_MUST_CHECK;

/* sparse_apply.c: as am_features_apply_sparse; hook (may be NULL) may change what a dense column
 * of a row became. */
typedef void am_fsparse_hook(void *ctx, size_t column, size_t row, float *values);
enum am_rc am_features_apply_sparse_with(const struct am_features *f, const struct am_batch *in,
                                         am_fsparse_hook *hook, void *ctx, struct am_csr_buf *out,
                                         struct am_err *err) AM_MUST_CHECK;

/* text_node.c */
const char *am_text_norm_name(enum am_text_norm n);
bool am_text_norm_parse(struct am_str s, enum am_text_norm *out);
void am_ftext_to_node(const struct am_fcol *c, struct am_arena *a, struct am_node *m);
enum am_rc am_ftext_from_node(struct am_fcol *c, const struct am_node *m, struct am_arena *a,
                              struct am_err *err) AM_MUST_CHECK;

static inline bool am_fkind_is_sparse(enum am_fkind k)
{
    return k == AM_F_COUNT || k == AM_F_TFIDF || k == AM_F_HASHING;
}
static inline bool am_fkind_is_terms(enum am_fkind k)
{
    return am_fkind_is_sparse(k) || k == AM_F_VECTORS;
}

#endif
