/* The state of fitting, shared by fit.c and fit_category.c only. */
#ifndef AM_FEATURE_FIT_INT_H
#define AM_FEATURE_FIT_INT_H

#include "base/vec.h"
#include "feature/fit.h"
#include "feature/spec.h"
#include "feature/stats.h"

struct am_ffit_col {
    struct am_fspec spec;
    struct am_str name;
    enum am_col_type type;
    uint64_t n_missing, n_infinite, n_ones;
    /* number: [0] values, [1] of their logs (scale log); date: [0] microseconds, [1 + i] of part i
     */
    struct am_moments *moments; /* owned; NULL = none */
    size_t n_moments;
    struct am_quantile *quantile;     /* owned; NULL = not needed */
    struct am_counts *counts;         /* owned; NULL = not needed */
    struct am_fimage_fit image;       /* of pictures */
    const struct am_sound_plan *plan; /* of sounds; in the fit's arena */
    struct am_ftext_fit *text;        /* owned; of texts with terms */
    bool has_time;                    /* a date that is not midnight */
    /* target encoding: row 0 is missing, row 1 + i category i of counts; [row, fold] and [row,
     * fold, k] */
    AM_VEC(uint64_t) target_n;
    AM_VEC(double) target_sum;
    const float *oof; /* [folds, n_categories + 2, n_values], in the fit's arena; after finish */
};

struct am_features_fit {
    struct am_arena *arena;   /* owned: names, settings, notes, out-of-fold tables */
    struct am_ffit_col *cols; /* owned, [n] */
    size_t n;
    uint64_t seed, n_rows;
    size_t n_values; /* of a target-encoded category: 1, or the classes of a multi-class target */
    enum am_task task;
    struct am_pool *pool; /* borrowed */
    bool needs_target, finished;
    enum am_rc (*read_file)(void *ctx, struct am_str path, struct am_buf *out, struct am_err *err);
    void *read_ctx;
    AM_VEC(struct am_str) notes;
};

/* A fact for the person who trains; the text goes to the arena. */
enum am_rc am_ffit_note(struct am_features_fit *fit, struct am_err *err, const char *fmt, ...)
    AM_PRINTF(3, 4) AM_MUST_CHECK;
/* Fold of a row, from its id alone. */
unsigned am_ffit_fold(uint64_t seed, uint64_t row, size_t folds);
/* shift and mul of standard or min-max scaling from ended moments; constant = 0, 0. */
void am_ffit_affine(enum am_fscale scale, const struct am_moments *m, double *shift, double *mul);

/* image_fit.c; not inside the pool: it spreads the rows. */
enum am_rc am_ffit_image_update(struct am_features_fit *fit, struct am_ffit_col *c,
                                const struct am_str *cells, size_t n_rows, uint64_t first_row,
                                struct am_err *err) AM_MUST_CHECK;
enum am_rc am_ffit_image_finish(struct am_features_fit *fit, struct am_ffit_col *c,
                                struct am_fcol *out, struct am_err *err) AM_MUST_CHECK;

/* fit_seq.c; the update of sounds not inside the pool: it spreads the rows */
enum am_rc am_ffit_sound_init(struct am_features_fit *fit, struct am_ffit_col *c,
                              struct am_err *err) AM_MUST_CHECK;
enum am_rc am_ffit_sound_update(struct am_features_fit *fit, struct am_ffit_col *c,
                                const struct am_str *cells, size_t n_rows, uint64_t first_row,
                                struct am_err *err) AM_MUST_CHECK;
enum am_rc am_ffit_sound_finish(struct am_features_fit *fit, struct am_ffit_col *c,
                                struct am_arena *a, struct am_fcol *out,
                                struct am_err *err) AM_MUST_CHECK;
enum am_rc am_ffit_tokens_update(struct am_ffit_col *c, const struct am_str *cells, size_t n_rows,
                                 struct am_err *err) AM_MUST_CHECK;
enum am_rc am_ffit_tokens_finish(struct am_features_fit *fit, struct am_ffit_col *c,
                                 struct am_arena *a, struct am_fcol *out,
                                 struct am_err *err) AM_MUST_CHECK;

/* fit_category.c */
enum am_rc am_ffit_category_update(const struct am_features_fit *fit, struct am_ffit_col *col,
                                   const struct am_str *cells, size_t n_rows, const double *y,
                                   const uint64_t *rows, uint64_t first_row,
                                   struct am_err *err) AM_MUST_CHECK;
enum am_rc am_ffit_category_finish(struct am_features_fit *fit, struct am_ffit_col *col,
                                   struct am_arena *a, struct am_fcol *out,
                                   struct am_err *err) AM_MUST_CHECK;

#endif
