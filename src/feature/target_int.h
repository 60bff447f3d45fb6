/* The target as fitting makes it and loading reads it. Not public. */
#ifndef AM_FEATURE_TARGET_INT_H
#define AM_FEATURE_TARGET_INT_H

#include "base/arena.h"
#include "base/map.h"
#include "feature/target.h"

struct am_target_number {
    double value;
    uint32_t class_index; /* the positive one may be out of order */
};

struct am_target {
    struct am_arena *arena; /* owned */
    struct am_str name;
    enum am_col_type type;
    enum am_task task;
    size_t n_classes;
    struct am_str *classes; /* [n_classes] labels in class order */
    uint64_t *rows;         /* [n_classes] */
    double mean, deviation;
    struct am_target_number *numbers; /* number, boolean targets: [n_classes] ascending */
    struct am_map map;                /* label -> class */
    /* anomaly and embedding: n_classes is 0, and the labels that are normal are; clustering: all
     * labels, which are numbered in this order: */
    const struct am_str *normal; /* [n_normal]; none = there is no label column */
    size_t n_normal;
    /* multilabel: classes are the labels; a cell holds any number of them, cut at this */
    struct am_str separator;
    uint64_t label_rows[2]; /* rows labelled normal, anomalous; clustering: labelled, 0 */
};

/* An empty one with arrays for n_classes. */
enum am_rc am_target_new(struct am_str name, enum am_col_type type, enum am_task task,
                         size_t n_classes, struct am_target **out,
                         struct am_err *err) AM_MUST_CHECK;
/* Checks the classes (their labels are set) and makes the lookups. AM_ECORRUPT, AM_ENOMEM. */
enum am_rc am_target_build(struct am_target *t, struct am_err *err) AM_MUST_CHECK;
/* Takes the next label off a cell of several, without spaces around it; false at the end. */
bool am_target_next_label(struct am_str separator, struct am_str *rest, struct am_str *out);
/* Label of a number target: shortest text of the double, "true" and "false" for booleans. */
struct am_str am_target_label(enum am_col_type type, double v, char *buf);

#endif
