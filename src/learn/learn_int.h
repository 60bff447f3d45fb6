/* Shared by the learners only: reading their keys, the linear model's graph, the neural path. */
#ifndef AM_LEARN_LEARN_INT_H
#define AM_LEARN_LEARN_INT_H

#include "learn/learn.h"
#include "nn/layers.h"

extern const struct am_learner_ops am_learner_ensemble;
extern const struct am_learner_ops am_learner_decision_tree, am_learner_random_forest,
    am_learner_extra_trees, am_learner_isolation_forest, am_learner_ada_boost, am_learner_bagging;
extern const struct am_learner_ops am_learner_kmeans, am_learner_gaussian_mixture,
    am_learner_dbscan, am_learner_pca, am_learner_svd, am_learner_matrix_factorization;
extern const struct am_learner_ops am_learner_baseline, am_learner_linear, am_learner_logistic,
    am_learner_perceptron, am_learner_mlp, am_learner_cnn, am_learner_rnn, am_learner_lstm,
    am_learner_gru, am_learner_resnet18, am_learner_resnet50, am_learner_mobilenet_v2,
    am_learner_autoencoder, am_learner_graph_of_layers, am_learner_gradient_boosting;
extern const struct am_learner_ops am_learner_knn, am_learner_naive_bayes, am_learner_lda,
    am_learner_svm, am_learner_linear_svm;

/* Values of `model:` keys with the learner's defaults; the spec was checked before. */
double am_key_number(const struct am_learn_task *t, const struct am_learner_ops *ops,
                     const char *name);
struct am_str am_key_text(const struct am_learn_task *t, const struct am_learner_ops *ops,
                          const char *name);
bool am_key_bool(const struct am_learn_task *t, const struct am_learner_ops *ops, const char *name);
/* "line 3, column 5: " of a key under model, or "" */
#define AM_WHERE_CHARS 48
const char *am_key_where(const struct am_node *n, char out[AM_WHERE_CHARS]);
/* Was the key given? */
bool am_key_given(const struct am_learn_task *t, const char *name);

enum am_penalty { AM_PENALTY_NONE, AM_PENALTY_L2, AM_PENALTY_L1, AM_PENALTY_ELASTIC_NET };
/* The share of L1 in the penalty: 0 for l2, 1 for l1, l1_ratio for elastic_net. */
enum am_penalty am_key_penalty(const struct am_learn_task *t, const struct am_learner_ops *ops,
                               double *l1_ratio);
enum am_rc am_check_penalty(const struct am_learn_task *t, const char *strength,
                            struct am_err *err) AM_MUST_CHECK;

/* Several labels by learners that know two classes: one model a label, merged into one graph
 * (labels.c). */
bool am_learn_label_by_label(const struct am_learner_ops *ops, enum am_task task);
/* The task of one of the labels, without its rows. */
struct am_learn_task am_learn_one_label(const struct am_learn_task *t);
enum am_rc am_learn_labels(const struct am_learn_task *t, const struct am_learner_ops *ops,
                           struct am_learned *out, struct am_arena *a,
                           struct am_err *err) AM_MUST_CHECK;

/* Columns of y: 1 for numbers and two classes, else the number of classes. */
size_t am_learn_n_outputs(const struct am_learn_task *t);
/* Weights per class as the loss uses them: the task's, or "balanced" of train.class_weights counted
 * from the rows; all 1 otherwise. out [n_classes]. */
enum am_rc am_learn_class_weights(const struct am_learn_task *t, double *out,
                                  struct am_err *err) AM_MUST_CHECK;
/* Counts (by weight) per class and in all; checks that targets are class indices. counts
 * [n_classes]; classes without a row are AM_EINVAL. */
enum am_rc am_learn_count(const struct am_learn_task *t, double *counts,
                          struct am_err *err) AM_MUST_CHECK;

/* x -> dense -> activation of the task, named "linear"; coef [n_outputs, n_features + 1] (bias
 * last). */
enum am_rc am_learn_linear_model(const struct am_learn_task *t, const double *coef,
                                 struct am_learned *out, struct am_err *err) AM_MUST_CHECK;

enum am_network_head {
    AM_HEAD_DENSE, /* a dense layer of as many units as the task has outputs */
    AM_HEAD_NONE,  /* the last layer has them already: its activation only */
    AM_HEAD_AUTO,  /* none where the last layer is a row of that width, else dense */
};
/* Outputs of a model that gives rows back: "y" [B,1], the anomaly score, is the mean squared
 * distance of x and back, both [B,n]; beside it lie "reconstruction" and "code" (AM_VALUE_NONE =
 * none). */
void am_learn_give_back(struct am_graph *g, am_value x, am_value back, am_value code);

enum am_network_goal {
    AM_GOAL_PREDICT,     /* the target */
    AM_GOAL_RECONSTRUCT, /* the features: the last layer gives them back; layer "code" is what is
                            known of a row */
};

/* The neural path: what `mlp`, `perceptron`, the stochastic solvers and all lists of layers share.
 */
struct am_network_spec {
    const struct am_node *list; /* of layers (layers.h), instead of what follows up to residual */
    const char *head_name;      /* of the dense layer; NULL = "output" */
    enum am_network_head head;
    enum am_network_goal goal;
    size_t embedding; /* without a list: width of a token's vector, when rows are tokens */

    size_t layers[64];
    size_t n_layers;
    enum am_act activation;
    float alpha;
    float dropout;
    enum am_init init;
    bool batch_norm, layer_norm, residual;
    enum am_loss_kind loss;
    bool loss_given;  /* else by task */
    double margin;    /* of hinge */
    double l1, l2;    /* added to train.l1 and train.l2 */
    const char *name; /* of the learner, for info */
};
enum am_rc am_network_fit(const struct am_learn_task *t, const struct am_network_spec *spec,
                          struct am_learned *out, struct am_arena *a,
                          struct am_err *err) AM_MUST_CHECK;
enum am_rc am_network_graph(const struct am_learn_task *t, const struct am_network_spec *spec,
                            struct am_graph **out, struct am_err *err) AM_MUST_CHECK;
/* What train.weights, train.freeze and train.learning_rates say, done to initialised parameters and
 * the training graph; the weights' report goes into info (may be NULL). */
enum am_rc am_learn_prepare(const struct am_learn_task *t, struct am_graph *graph,
                            struct am_params *params, struct am_arena *a, struct am_node *info,
                            struct am_err *err) AM_MUST_CHECK;
/* Info that all learners give. */
void am_learn_info(const struct am_learn_task *t, struct am_learned *l, struct am_arena *a,
                   const char *learner, const char *solver);

#define AM_KEY(name, types, choices, min, max, otherwise, doc)                                     \
    {                                                                                              \
        name, types, choices, min, max, otherwise, doc                                             \
    }

#endif
