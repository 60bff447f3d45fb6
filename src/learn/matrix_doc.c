/* The matrix of docs/LEARNERS.md, from the table of learners: what each can do is what its flags
 * say, and tests/unit/learn/test_matrix.c tries every cell. */
#include "learn/learn_int.h"

static const char *yes(bool b)
{
    return b ? "yes" : "–";
}

bool am_learner_takes(const struct am_learner_ops *ops, enum am_task task)
{
    return (ops->tasks & 1u << task) || am_learn_label_by_label(ops, task);
}

void am_learners_markdown(struct am_buf *out)
{
    static const enum am_task tasks[] = {
        AM_TASK_BINARY,  AM_TASK_MULTICLASS, AM_TASK_MULTILABEL, AM_TASK_REGRESSION,
        AM_TASK_ANOMALY, AM_TASK_EMBEDDING,  AM_TASK_CLUSTERING, AM_TASK_RECOMMENDATION};
    size_t n;
    const struct am_learner_ops *const *all = am_learners(&n);
    am_buf_cstr(out, "| `model.type` | binary | multi-class | several labels | number | anomaly | "
                     "embedding | clusters | recommendation | missing values | row weights | "
                     "sparse rows | HTTP |\n|");
    for (size_t i = 0; i < 13; i++)
        am_buf_cstr(out, " --- |");
    am_buf_char(out, '\n');
    for (size_t i = 0; i < n; i++) {
        const struct am_learner_ops *o = all[i];
        am_buf_printf(out, "| `%s` |", o->name);
        for (size_t t = 0; t < sizeof tasks / sizeof tasks[0]; t++)
            am_buf_printf(out, " %s |",
                          tasks[t] == AM_TASK_MULTILABEL && am_learn_label_by_label(o, tasks[t])
                              ? "a model each"
                              : yes(am_learner_takes(o, tasks[t])));
        am_buf_printf(out, " %s | %s | %s | yes |\n", yes(o->flags & AM_LEARNER_MISSING),
                      yes(!(o->flags & AM_LEARNER_NO_WEIGHTS)),
                      o->sparse ? "as they are" : "made dense");
    }
}
