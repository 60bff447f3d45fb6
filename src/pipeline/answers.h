/* Predictions as CSV or JSON rows: which outputs, their columns, one row at a time.
 *
 * Knows neither where rows come from nor where the text goes. A struct am_answers borrows all it
 * points to. One thread a buffer. */
#ifndef AM_PIPELINE_ANSWERS_H
#define AM_PIPELINE_ANSWERS_H

#include "model/model.h"

struct am_answers {
    const struct am_model_info *info;
    const struct am_node *const *labels; /* [n_classes] as JSON */
    unsigned outputs;                    /* bits 1 << enum am_output */
};

/* "embedding,anomaly_score" as a mask; NULL = what the task answers with usually. AM_EUSAGE: the
 * model has no such output. */
enum am_rc am_answers_choose(const struct am_model_info *info, const char *names, unsigned *out,
                             struct am_err *err) AM_MUST_CHECK;
/* enum am_wanted_output of the mask. */
unsigned am_answers_wanted(unsigned outputs);

/* s: the table's schema; its columns behind the inputs are ids and come first. */
void am_answers_csv_header(const struct am_answers *a, const struct am_schema *s,
                           struct am_buf *out);
void am_answers_csv_row(const struct am_answers *a, const struct am_batch *b,
                        const struct am_prediction *p, size_t row, struct am_buf *out);
/* One object, without a line end. */
void am_answers_json_row(const struct am_answers *a, const struct am_schema *s,
                         const struct am_batch *b, const struct am_prediction *p, size_t row,
                         struct am_buf *out);

#endif
