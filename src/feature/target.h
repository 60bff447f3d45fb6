/* The target: which task, which classes in which order, and the way between labels and numbers.
 *
 * Classes are ordered: numbers by value, booleans false before true, else by bytes (numbers when
 * every label reads as one). For two classes the second is the positive one, unless the recipe
 * names another: then that one is put second. struct am_target is immutable; any thread. Fitting
 * (am_target_fit_*) is one thread's and not linked by libaimass. */
#ifndef AM_FEATURE_TARGET_H
#define AM_FEATURE_TARGET_H

#include "base/tree.h"
#include "tensor/frame.h"
#include "tensor/task.h"

struct am_target;

/* A model that learns rows instead of a target (anomaly, embedding) has one all the same: n_classes
 * is 0, and the name is that of the label column that its answers are measured with, or empty. */

void am_target_free(struct am_target *t); /* NULL is fine */

enum am_task am_target_task(const struct am_target *t);
struct am_str am_target_name(const struct am_target *t); /* of the column; may be empty (above) */
enum am_col_type am_target_type(const struct am_target *t);
size_t am_target_n_classes(const struct am_target *t); /* 0 without classes */
/* anomaly, embedding: labels that are normal, any other is an anomaly; 0 = there are no labels. */
size_t am_target_n_normal(const struct am_target *t);
struct am_str am_target_normal(const struct am_target *t, size_t i); /* lives as long as t */
/* Rows labelled normal (0) and anomalous (1), when it was made. */
uint64_t am_target_label_rows(const struct am_target *t, unsigned anomalous);
/* Label of class i as text ("M", "1", "true"); lives as long as t. */
struct am_str am_target_class(const struct am_target *t, size_t i);
/* Training rows of class i. */
uint64_t am_target_class_rows(const struct am_target *t, size_t i);
/* Index of a label, SIZE_MAX when it is no class. */
size_t am_target_find(const struct am_target *t, struct am_str label);
/* Of the training rows; regression only (else 0). deviation is the population one, never 0. */
double am_target_mean(const struct am_target *t);
double am_target_deviation(const struct am_target *t);

/* out: [n_rows] class index, value, a set of labels (bit i = class i; a missing cell is the empty
 * set), or 0 for a normal and 1 for another label; NaN = missing
 * (infinite values too). AM_EINVAL: the type differs from the fitted one, or a class that training
 * did not see. first_row is used in messages. */
enum am_rc am_target_encode(const struct am_target *t, const struct am_column *c, size_t n_rows,
                            uint64_t first_row, double *out, struct am_err *err) AM_MUST_CHECK;
/* The label as it goes into an answer: number, boolean or text node (of class i). */
struct am_node *am_target_label_node(const struct am_target *t, size_t i, struct am_arena *a);

/* {"name","type","task","classes":[..],"rows":[..]} or {"name","type","task","mean","deviation"} or
 * {"name" (null: no labels),"type","task","normal":[..],"rows":[normal, anomalous]} */
struct am_node *am_target_to_node(const struct am_target *t, struct am_arena *a);
enum am_rc am_target_from_node(const struct am_node *n, struct am_target **out,
                               struct am_err *err) AM_MUST_CHECK;

/* ---- fitting (target_fit.c, in am_feature_fit) ---- */

/* The target of a model that learns rows. classes: the fitted labels (am_target_fit_finish), NULL =
 * no label column; borrowed. normal: [n_normal] labels; none = the one of most rows, the first of
 * equals. AM_EUSAGE: a normal label that no row has, or that all labels are normal. */
enum am_rc am_target_own(enum am_task task, const struct am_target *classes,
                         const struct am_str *normal, size_t n_normal, struct am_target **out,
                         struct am_err *err) AM_MUST_CHECK;

enum am_target_want {
    AM_TARGET_AUTO,
    AM_TARGET_CLASSIFICATION,
    AM_TARGET_REGRESSION,
    AM_TARGET_LABELS /* cells of several labels */
};

struct am_target_fit;

struct am_target_config {
    struct am_str name;
    enum am_col_type type;
    /* AUTO: text, categories and booleans are classes; numbers are classes when all are whole and
     * there are two of them, or at most 20 and at most one for each 20 rows. */
    enum am_target_want want;
    struct am_str positive;  /* {NULL,0} = the second */
    struct am_str separator; /* of LABELS */
    uint64_t min_class_rows; /* fewer rows of a class are an error; 0 = 2 */
};

/* Index of the target in the schema. AM_EUSAGE with the nearest name when it is not there. */
enum am_rc am_target_column(const struct am_schema *s, struct am_str name, size_t *out,
                            struct am_err *err) AM_MUST_CHECK;
/* AM_EUSAGE: date or text that cannot be a regression target, positive with regression. */
enum am_rc am_target_fit_new(const struct am_target_config *config, struct am_target_fit **out,
                             struct am_err *err) AM_MUST_CHECK;
void am_target_fit_free(struct am_target_fit *f);
enum am_rc am_target_fit_update(struct am_target_fit *f, const struct am_column *c, size_t n_rows,
                                struct am_err *err) AM_MUST_CHECK;
/* AM_EINVAL with remedy: no rows, all missing, constant, a class with too few rows, too many
 * classes, no such positive. */
enum am_rc am_target_fit_finish(struct am_target_fit *f, struct am_target **out,
                                struct am_err *err) AM_MUST_CHECK;
/* Rows whose target was missing (they cannot be trained on). */
uint64_t am_target_fit_n_missing(const struct am_target_fit *f);
/* One sentence: why this task was chosen. Valid after finish; lives as long as f. */
struct am_str am_target_fit_why(const struct am_target_fit *f);

#endif
