/* A model by reference (MODEL[@VERSION|@alias] or a path that ends in .aim), opened. */
#ifndef AM_PIPELINE_OPEN_MODEL_H
#define AM_PIPELINE_OPEN_MODEL_H

#include "model/model.h"
#include "pipeline/pipeline.h"

struct am_opened {
    struct am_model *model; /* one reference; am_model_put */
    struct am_str name;     /* in the arena */
    int64_t version;        /* 0 for a file */
};
enum am_rc am_open_model(struct am_pipeline *pl, struct am_arena *a, const char *ref,
                         unsigned flags, struct am_opened *out, struct am_err *err) AM_MUST_CHECK;

/* AM_EINVAL with row and column when a cell is not of the model's type: such cells read as
 * infinite. */
enum am_rc am_check_inputs(const struct am_model *m, const struct am_batch *b,
                           struct am_err *err) AM_MUST_CHECK;

#endif
