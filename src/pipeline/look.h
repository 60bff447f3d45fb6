/* What can be shown of a network and one input that is a picture or a spectrogram: the input, what
 * of it the answer hangs on, what the convolutions answer, the filters of the first one. For the
 * report (the worst mistake) and for the explanation of a prediction. Everything lives in the
 * arena. One thread. */
#ifndef AM_PIPELINE_LOOK_H
#define AM_PIPELINE_LOOK_H

#include "base/tree.h"
#include "nn/graph.h"
#include "nn/params.h"

struct am_pool;

struct am_look { /* all borrowed */
    const struct am_graph *graph;
    const struct am_params *params;
    struct am_pool *pool; /* NULL = this thread alone */
    struct am_arena *arena;
    struct am_dims shape; /* of a row: [H,W,C], [T,C] of a sound, [T,H,W,C] of a video */
    const float *x;       /* [product of shape] */
    size_t cls;           /* the class looked at; 0 for a value */
    bool classes;         /* y are probabilities */
    uint32_t max_side;    /* of a picture, in dots */
};

/* Is a row of this shape a picture or a spectrogram? Token ids and waveforms are not. */
bool am_look_drawable(const struct am_dims *shape, size_t n_tokens);
/* [{picture}] */
enum am_rc am_look_input(const struct am_look *l, struct am_node **out,
                         struct am_err *err) AM_MUST_CHECK;
/* Of a video, shape [T,H,W,C]: [{frame (from 1), picture, effect}], at most 16 frames spread over
 * the time; the effect is what the answer loses when all pixels of the frame have the video's mean.
 */
enum am_rc am_look_frames(const struct am_look *l, struct am_node **out,
                          struct am_err *err) AM_MUST_CHECK;
/* [{method: "occlusion", picture}, {method: "gradient", picture}]; the second is missing when no
 * gradient reaches the input. */
enum am_rc am_look_saliency(const struct am_look *l, struct am_node **out,
                            struct am_err *err) AM_MUST_CHECK;
/* [{layer, shape, picture}], at most 12 convolutions, spread over the depth; empty without. */
enum am_rc am_look_activations(const struct am_look *l, struct am_node **out,
                               struct am_err *err) AM_MUST_CHECK;
/* [{layer, shape, picture}] of the first convolution of pictures; empty without. */
enum am_rc am_look_filters(const struct am_look *l, struct am_node **out,
                           struct am_err *err) AM_MUST_CHECK;

#endif
