/* Between the table of layer types and what walks a list of layers. */
#ifndef AM_LEARN_LAYERS_INT_H
#define AM_LEARN_LAYERS_INT_H

#include "learn/layers.h"
#include "learn/learn_int.h"

struct am_layer_args {
    const struct am_learn_task *task;
    struct am_graph *g;
    const struct am_layer_type *type;
    const struct am_node *spec; /* the layer's map; checked */
    const char *name;
    am_value in[AM_GRAPH_INPUTS_MAX];
    unsigned n_in;
    /* In: how many steps of each row of in[0] count [B,1], AM_VALUE_NONE = all. A builder that
     * keeps the steps says so, and the lengths go on with its result. */
    am_value lengths;
    bool keeps_steps;
};

/* Keys of any table with its defaults. */
double am_spec_number(const struct am_node *spec, const struct am_learner_key *keys, size_t n,
                      const char *name);
struct am_str am_spec_text(const struct am_node *spec, const struct am_learner_key *keys, size_t n,
                           const char *name);
bool am_spec_bool(const struct am_node *spec, const struct am_learner_key *keys, size_t n,
                  const char *name);
bool am_spec_fits(const struct am_learner_key *k, const struct am_node *v);
/* "model.layers[2].kernel cannot be ..": what names the key. */
enum am_rc am_spec_wrong(const struct am_learner_key *k, const struct am_node *v, const char *what,
                         struct am_err *err);

#define AM_LAYER_INITS "auto|he_uniform|he_normal|glorot_uniform|glorot_normal"
enum am_init am_init_named(struct am_str s, enum am_act act);
enum am_act am_act_named(struct am_str s); /* relu6: its relu */

#endif
