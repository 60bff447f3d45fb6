/* The inner loops of distances for the "avx512" table; see distance_body.h. */
#define NAME "avx512"
#define TABLE am_distance_table_avx512
#include "nn/ops/distance_body.h"
