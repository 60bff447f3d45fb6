/* Distances: builders of the ops that compare a row with rows that the model keeps.
 *
 * distance and kernel give [B, k] of k centers, a parameter "NAME.centers" [k, n] (k-means,
 * Gaussian mixtures, kernel machines); neighbours answers from the training rows themselves (k-NN).
 * Results of a row depend on that row only. Errors stick in the graph (graph.h). The numeric core
 * for training code is ops/distance.h. One thread. */
#ifndef AM_NN_LAYERS_DISTANCE_H
#define AM_NN_LAYERS_DISTANCE_H

#include <stdbool.h>

#include "nn/graph.h"

enum am_distance {                      /* stored as attribute "metric" */
                   AM_DISTANCE_SQUARED, /* sum (x - c)^2 */
                   AM_DISTANCE_EUCLIDEAN,
                   AM_DISTANCE_MANHATTAN,
                   AM_DISTANCE_COSINE, /* 1 - x.c / (|x| |c|); 1 where one of them is all zero */
                   AM_N_DISTANCES
};
/* x [B, n] -> [B, n_centers]: to each center; never below 0, relative error about 1e-5 at most. */
am_value am_layer_distance(struct am_graph *g, am_value x, int64_t n_centers,
                           enum am_distance metric, const char *name);

enum am_similarity {                        /* stored as attribute "kind" */
                     AM_SIMILARITY_RBF,     /* exp(-gamma |x - c|^2) */
                     AM_SIMILARITY_POLY,    /* (gamma x.c + coef0)^degree */
                     AM_SIMILARITY_SIGMOID, /* tanh(gamma x.c + coef0) */
                     AM_N_SIMILARITIES
};
struct am_similarity_options {
    enum am_similarity kind;
    float gamma, coef0;
    int degree; /* 1..32 */
};
/* x [B, n] -> [B, n_centers]: the kernel of x and each center. */
am_value am_layer_similarity(struct am_graph *g, am_value x, int64_t n_centers,
                             const struct am_similarity_options *o, const char *name);

struct am_neighbours_options {
    int64_t n_rows;          /* kept rows */
    int64_t k;               /* neighbours asked, 1..n_rows, at most 1024 */
    enum am_distance metric; /* EUCLIDEAN, MANHATTAN, COSINE */
    bool by_distance;  /* votes count 1 / distance; rows at distance 0 alone where there are */
    int64_t n_classes; /* 0: values, the output is [B, 1]; else shares [B, n_classes] */
};
/* The k nearest of the rows kept in "NAME.rows" [n_rows, n]; of equals the one that comes first.
 * "NAME.values" [n_rows, 2]: value or class of each, and its row weight (weights multiply votes).
 */
am_value am_layer_neighbours(struct am_graph *g, am_value x, const struct am_neighbours_options *o,
                             const char *name);

/* x [B, n] -> [B, n_means]: bias - 1/2 sum precision (x - mean)^2; parameters "NAME.means" and
 * "NAME.precisions" [n_means, n], "NAME.bias" [n_means]. */
am_value am_layer_gauss(struct am_graph *g, am_value x, int64_t n_means, const char *name);

/* pairs [B, k (k - 1) / 2], p of class a against class b for a < b in the order (0,1), (0,2), ..
 * -> [B, k] probabilities of 2..256 classes (Wu, Lin and Weng 2004). */
am_value am_layer_couple(struct am_graph *g, am_value pairs, int64_t n_classes);

#endif
