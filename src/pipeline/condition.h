/* Conditions on metrics: `roc_auc >= 0.95`, `roc_auc >= champion.roc_auc + 0.002`, joined by `and`.
 *
 * Used by evaluate.accept and register.if. A side is a number or METRIC or ALIAS.METRIC, optionally
 * with
 * `+ number` or `- number`. Pure functions; any thread. */
#ifndef AM_PIPELINE_CONDITION_H
#define AM_PIPELINE_CONDITION_H

#include "base/tree.h"

#define AM_CONDITION_TERMS 16

struct am_condition_side {
    struct am_str alias;  /* empty = this run */
    struct am_str metric; /* empty = a plain number */
    double number;        /* the number, or what is added to the metric */
};
enum am_condition_op { AM_COND_GE, AM_COND_GT, AM_COND_LE, AM_COND_LT, AM_COND_EQ };
struct am_condition_term {
    struct am_condition_side left, right;
    enum am_condition_op op;
};
struct am_condition {
    struct am_condition_term terms[AM_CONDITION_TERMS];
    size_t n;
};

/* The slices point into text. AM_EUSAGE names the position. */
enum am_rc am_condition_parse(struct am_str text, struct am_condition *out,
                              struct am_err *err) AM_MUST_CHECK;
/* Does it hold? own: {metric: value} of this run; alias_metrics(ctx, alias) gives those of an
 * alias, or NULL when the alias does not exist (a term that needs it then holds). A metric that is
 * not there is AM_EUSAGE. `why` gets the first term that does not hold, with both values. */
enum am_rc am_condition_holds(const struct am_condition *c, const struct am_node *own,
                              const struct am_node *(*alias_metrics)(void *ctx,
                                                                     struct am_str alias),
                              void *ctx, bool *holds, char *why, size_t why_cap,
                              struct am_err *err) AM_MUST_CHECK;
bool am_condition_needs_alias(const struct am_condition *c);

#endif
