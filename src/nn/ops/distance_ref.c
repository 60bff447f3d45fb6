/* The inner loops of distances for the "ref" table; see distance_body.h. */
#define NAME "ref"
#define TABLE am_distance_table_ref
#include "nn/ops/distance_body.h"
