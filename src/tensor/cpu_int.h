/* What cpu.c shares with its training twin: whether this CPU runs the table of that name. Any
 * thread. */
#ifndef AM_TENSOR_CPU_INT_H
#define AM_TENSOR_CPU_INT_H

#include <stdbool.h>

#include "tensor/kernels.h"

bool am_cpu_runs(const char *table);

#endif
