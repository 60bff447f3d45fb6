/* Families of models: which suit given data and why, what to try of each first, what to tune.
 *
 * A static table and pure functions over facts of the data. Names and keys are those of learners;
 * a family whose learner is not in this build is not in the lists. */
#ifndef AM_PIPELINE_PORTFOLIO_H
#define AM_PIPELINE_PORTFOLIO_H

#include "pipeline/cost.h"
#include "pipeline/prepare.h"

struct am_facts { /* of the training rows and the columns used */
    enum am_task task;
    uint64_t n_rows;
    size_t n_columns, n_features; /* columns of the table; numbers of a row after features */
    size_t n_numbers, n_categories, n_texts, n_media;
    size_t n_classes;
    double rarest;   /* share of the rarest class; NaN without classes */
    double missing;  /* share of missing cells */
    double sparsity; /* share of zeros among the first rows' features */
};
/* Of prepared data; fits the features once. */
enum am_rc am_facts_of(const struct am_prepared *p, struct am_facts *out,
                       struct am_err *err) AM_MUST_CHECK;

struct am_family {
    const char *name;             /* `model.type` */
    const char *const *portfolio; /* `model:` maps as YAML, the defaults first; ends with NULL */
    const char *space;            /* of tune.over as YAML; NULL = nothing to tune */
};
struct am_family_advice {
    const struct am_family *family;
    bool suits;
    int rank;        /* among those that suit: smaller is tried earlier */
    const char *why; /* static, for am_tr */
};
/* Every family of this build that takes the task, those that suit first, in the order to try. out:
 * [am_families_max()]; returns how many. */
size_t am_families_advise(const struct am_facts *f, struct am_family_advice *out);
size_t am_families_max(void);

#endif
