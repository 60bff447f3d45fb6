/* Row work of the exact solvers for the "ref" table; see pass_body.h. */
#define VL 2
#define NAME "ref"
#define TABLE am_pass_ref
#include "learn/pass_body.h"
