/* Row work of the exact solvers for the "avx2" table; see pass_body.h. */
#define VL 4
#define NAME "avx2"
#define TABLE am_pass_avx2
#include "learn/pass_body.h"
