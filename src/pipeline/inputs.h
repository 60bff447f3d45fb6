/* The rows that a person gives to a finished model, as a table of the model's columns: a file, a
 * glob, a folder or an archive of pictures or sounds, or bytes of CSV or JSON. One thread. */
#ifndef AM_PIPELINE_INPUTS_H
#define AM_PIPELINE_INPUTS_H

#include "data/source.h"
#include "model/model.h"
#include "pipeline/pipeline.h"

struct am_inputs {
    struct am_source *src;
    struct am_table table; /* the model's inputs, then id columns or the file's name as text */
    bool media;            /* pictures or sounds: every row is a file */
    bool list;             /* the bytes were one JSON list */
    char path[4500];       /* of bytes written to a file; "" = none */
    struct am_buf file;
};
struct am_inputs_wanted {
    const struct am_model_info *info;
    const char *const *sources; /* [n_sources]; 0 = the bytes */
    size_t n_sources;
    struct am_str bytes;
    bool json; /* what the bytes are */
};
/* am_inputs_close() also after a failure. */
enum am_rc am_inputs_open(struct am_pipeline *pl, struct am_arena *a,
                          const struct am_inputs_wanted *w, struct am_inputs *in,
                          struct am_err *err) AM_MUST_CHECK;
void am_inputs_close(struct am_inputs *in);
/* Messages about the file that stands for bytes say "input". */
void am_inputs_name(const struct am_inputs *in, struct am_err *err);
/* The verdict about the first bad file as an error; for inputs in which no row was left. */
enum am_rc am_inputs_first_bad(const struct am_node *files, struct am_err *err);

#endif
