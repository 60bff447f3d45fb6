/* Row work of the exact solvers for the "avx512" table; see pass_body.h. */
#define VL 8
#define NAME "avx512"
#define TABLE am_pass_avx512
#include "learn/pass_body.h"
