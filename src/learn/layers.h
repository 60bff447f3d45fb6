/* Layer types by name: the table behind `model.layers` of `type: graph`, and behind cnn, resnet18
 * and the other ready-made networks, which are lists of the same layers written by program.
 *
 * A list is what a recipe holds: maps of name, type, input and the type's own keys. Building makes
 * graph nodes; errors name line, column, layer and shapes. One thread. */
#ifndef AM_LEARN_LAYERS_H
#define AM_LEARN_LAYERS_H

#include "learn/learn.h"

struct am_layer_args;

struct am_layer_type {
    const char *name;                  /* "conv2d" */
    const char *doc;                   /* one sentence */
    unsigned min_in, max_in;           /* inputs */
    const struct am_learner_key *keys; /* besides name, type, input */
    size_t n_keys;
    am_value (*build)(struct am_layer_args *a);
    int choice; /* for builders that serve several types */
};

const struct am_layer_type *am_layer_types(size_t *n);              /* the table; static */
const struct am_layer_type *am_layer_type_find(struct am_str name); /* NULL = unknown */

/* Keys, types and ranges, names and inputs of a list; shapes are known only when it is built.
 * AM_EUSAGE. */
enum am_rc am_layers_check(const struct am_node *list, struct am_err *err) AM_MUST_CHECK;
/* Appends the layers to g. x is the model's input [B, n_features]; layers see it as the task's
 * shape, under the name "x". A layer without `input` reads the one before it. *out is the last
 * layer's value. AM_EUSAGE with line, column, layer, shapes. */
enum am_rc am_layers_build(const struct am_learn_task *t, struct am_graph *g, am_value x,
                           const struct am_node *list, am_value *out,
                           struct am_err *err) AM_MUST_CHECK;
/* The value of the layer of that name after a build, which remembers up to `cap` of them. */
struct am_layer_value {
    struct am_str name;
    am_value value;
};
/* The same, and what each layer of the list made: values [list length]. */
enum am_rc am_layers_build_all(const struct am_learn_task *t, struct am_graph *g, am_value x,
                               const struct am_node *list, struct am_layer_value *values,
                               am_value *out, struct am_err *err) AM_MUST_CHECK;

/* Writing lists. The list lives in the arena; a failure sticks there. */
struct am_layer_list {
    struct am_arena *arena;
    struct am_node *list;
};
/* Appends a layer and returns its map for am_node_set; input NULL = the one before. */
struct am_node *am_layer_append(struct am_layer_list *l, const char *type, const char *name,
                                const char *input);

#endif
