/* Ready-made networks: learners that write a list of layers (layers.h) from a few keys. */
#ifndef AM_LEARN_PRESETS_H
#define AM_LEARN_PRESETS_H

#include "learn/layers.h"
#include "learn/learn_int.h"

/* Appends the layers to l and sets what else of the spec differs from the default. AM_EUSAGE when
 * the task's shape is none that the network takes. */
typedef enum am_rc am_preset(const struct am_learn_task *t, const struct am_learner_ops *ops,
                             struct am_layer_list *l, struct am_network_spec *s,
                             struct am_err *err);

enum am_rc am_preset_fit(const struct am_learn_task *t, const struct am_learner_ops *ops,
                         am_preset *write, struct am_learned *out, struct am_arena *a,
                         struct am_err *err) AM_MUST_CHECK;
enum am_rc am_preset_graph(const struct am_learn_task *t, const struct am_learner_ops *ops,
                           am_preset *write, struct am_graph **out,
                           struct am_err *err) AM_MUST_CHECK;

/* The functions that a table of a learner needs. */
#define AM_PRESET(learner, write)                                                                  \
    static enum am_rc fit_##learner(const struct am_learn_task *t, struct am_learned *out,         \
                                    struct am_arena *a, struct am_err *err)                        \
    {                                                                                              \
        return am_preset_fit(t, &am_learner_##learner, write, out, a, err);                        \
    }                                                                                              \
    static enum am_rc graph_##learner(const struct am_learn_task *t, struct am_graph **out,        \
                                      struct am_err *err)                                          \
    {                                                                                              \
        return am_preset_graph(t, &am_learner_##learner, write, out, err);                         \
    }

/* Small things that their writers share. */
void am_layer_set(struct am_layer_list *l, struct am_node *n, const char *key, int64_t v);
void am_layer_set_text(struct am_layer_list *l, struct am_node *n, const char *key,
                       struct am_str v);
void am_layer_set_number(struct am_layer_list *l, struct am_node *n, const char *key, double v);
void am_layer_set_bool(struct am_layer_list *l, struct am_node *n, const char *key);
/* The numbers of a list key, or of its default "[32, 64]"; at most cap. */
size_t am_key_ints(const struct am_learn_task *t, const struct am_learner_ops *ops,
                   const char *name, int64_t *out, size_t cap);
/* Dense layers with activation and dropout; "NAME1", "NAME2", .. */
void am_preset_dense(struct am_layer_list *l, const int64_t *units, size_t n, const char *name,
                     struct am_str activation, double dropout);

/* Videos [T,H,W,C]: each frame goes through the network alone, then they become one vector. */
#define AM_KEYS_FRAMES                                                                             \
    AM_KEY("frames", AM_LEARNER_KEY_ENUM, "mean|max|attention|lstm|gru", 0, 0, "mean",             \
           "How the frames of a video become one vector; only lstm and gru see their order."),     \
        AM_KEY("frame_units", AM_LEARNER_KEY_INT, NULL, 1, 65536, "64",                            \
               "Numbers in the state of that lstm or gru.")
/* Appends a layer when rows are videos. */
void am_preset_split(struct am_layer_list *l, const struct am_learn_task *t);
/* The way back, at the end; the name of the last layer, NULL when rows are no videos. */
const char *am_preset_join(struct am_layer_list *l, const struct am_learn_task *t,
                           const struct am_learner_ops *ops);
/* Height and width of what the layers of pictures see. */
void am_preset_sides(const struct am_learn_task *t, int64_t out[2]);

#define AM_ALL_TASKS (1u << AM_TASK_REGRESSION | 1u << AM_TASK_BINARY | 1u << AM_TASK_MULTICLASS)
#define AM_NETWORK_TASKS (AM_ALL_TASKS | 1u << AM_TASK_MULTILABEL)
#define AM_OWN_TASKS (1u << AM_TASK_ANOMALY | 1u << AM_TASK_EMBEDDING)
#define AM_ACTIVATIONS "relu|leaky_relu|elu|gelu|gelu_tanh|silu|sigmoid|tanh|none"

#endif
