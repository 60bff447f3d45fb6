/* Why a finished model answers what it answers, for one row: the classes with their probabilities,
 * and what of the row the answer hangs on. Pictures and sounds: what counts, what the layers
 * answer; texts: words; tables: columns. One thread. */
#ifndef AM_PIPELINE_EXPLAIN_H
#define AM_PIPELINE_EXPLAIN_H

#include "base/tree.h"
#include "model/model.h"

struct am_pool;

struct am_explain_options {
    const char *class_name; /* explain this class; NULL = the predicted one */
    struct am_pool *pool;   /* NULL = this thread alone */
};
/* row: one row of the model's inputs. m must have been opened with AM_MODEL_KEEP_WEIGHTS for what
 * lies inside pictures and sounds; else that is left out. *out: the tree of eval/report.h without
 * title, model and file. AM_ENOTFOUND: no such class. */
enum am_rc am_explain_row(struct am_model *m, const struct am_batch *row,
                          const struct am_explain_options *o, struct am_arena *a,
                          struct am_node **out, struct am_err *err) AM_MUST_CHECK;

#endif
