/* What the recipe says of a text column with terms (encode: count, tfidf, hashing, vectors). Inside
 * of feature/, fitting only. */
#ifndef AM_FEATURE_TEXT_SPEC_H
#define AM_FEATURE_TEXT_SPEC_H

#include "base/tree.h"
#include "feature/text_int.h"
#include "feature/vectors_fit.h"

struct am_ftext_spec {
    struct am_ftext text;  /* settings; nothing fitted */
    double min_df, max_df; /* below 1 (max_df: up to 1) shares of the rows, else rows */
    size_t max_features;   /* 0 = all */
    size_t buckets;
    struct am_vectors_config vectors;
    struct am_str vectors_file, tagger_file; /* NULL ptr = none */
};

/* own, common: the column's map and features.default, NULL = none. Memory of a. AM_EUSAGE. */
enum am_rc am_ftext_spec_read(const struct am_node *own, const struct am_node *common,
                              struct am_str column, enum am_fkind kind, struct am_arena *a,
                              struct am_ftext_spec *out, struct am_err *err) AM_MUST_CHECK;

/* text_fit.c */
struct am_ftext_fit;
struct am_features_fit;
struct am_ffit_col;
enum am_rc am_ffit_text_init(struct am_features_fit *fit, struct am_ffit_col *c,
                             struct am_err *err) AM_MUST_CHECK;
void am_ffit_text_free(struct am_ftext_fit *t); /* NULL is fine */
enum am_rc am_ffit_text_update(struct am_features_fit *fit, struct am_ffit_col *c,
                               const struct am_str *cells, size_t n_rows,
                               struct am_err *err) AM_MUST_CHECK;
enum am_rc am_ffit_text_finish(struct am_features_fit *fit, struct am_ffit_col *c,
                               struct am_arena *a, struct am_fcol *out,
                               struct am_err *err) AM_MUST_CHECK;

#endif
