/* What a model predicts. Shared by targets, learners, metrics and packages. */
#ifndef AM_TENSOR_TASK_H
#define AM_TENSOR_TASK_H

enum am_task {
    AM_TASK_REGRESSION, /* one number */
    AM_TASK_BINARY,     /* two classes; the second one is the positive */
    AM_TASK_MULTICLASS, /* three or more classes */
};

#endif
