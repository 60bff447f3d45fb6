/* The inner loops of distances for the "avx2" table; see distance_body.h. */
#define NAME "avx2"
#define TABLE am_distance_table_avx2
#include "nn/ops/distance_body.h"
