/* Which parameters a training touches and how fast: patterns over their names. Fitting library;
 * called before training, on the thread that owns graph and block. */
#include "nn/train.h"

#include <math.h>

#include "nn/graph_int.h"

/* `*` any run of characters, `?` one; a star remembered at a time is enough. */
static bool matches(struct am_str pattern, struct am_str name)
{
    size_t p = 0, s = 0, star = SIZE_MAX, mark = 0;
    while (s < name.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = p++;
            mark = s;
        } else if (p < pattern.len && (pattern.ptr[p] == '?' || pattern.ptr[p] == name.ptr[s])) {
            p++;
            s++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            s = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*')
        p++;
    return p == pattern.len;
}

bool am_train_names(struct am_str pattern, struct am_str name)
{
    if (matches(pattern, name))
        return true;
    for (size_t i = name.len; i-- > 0;)
        if (name.ptr[i] == '.' && matches(pattern, (struct am_str){name.ptr, i}))
            return true;
    return false;
}

size_t am_train_match(const struct am_params *params, struct am_str pattern)
{
    size_t n = 0;
    for (size_t k = 0; k < params->n_params; k++)
        n += am_train_names(pattern, params->table[k].name);
    return n;
}

static enum am_rc nothing_named(const struct am_params *p, struct am_str pattern,
                                struct am_err *err)
{
    struct am_buf list;
    am_fail(err, AM_EUSAGE, "\"%.*s\" names no parameter of the model", AM_FMT(pattern));
    am_buf_init(&list, AM_ERR_HINT_BYTES / 2);
    for (size_t k = 0; k < p->n_params && k < 6; k++)
        am_buf_printf(&list, "%s%.*s", k ? ", " : "", AM_FMT(p->table[k].name));
    am_hint(err, "Its parameters are: %.*s%s.", AM_FMT(am_buf_view(&list)),
            p->n_params > 6 ? ", ..." : "");
    am_buf_clear(&list);
    return AM_EUSAGE;
}

enum am_rc am_train_freeze(struct am_graph *graph, struct am_params *params, struct am_str pattern,
                           struct am_err *err)
{
    if (am_train_match(params, pattern) == 0)
        return nothing_named(params, pattern, err);
    for (size_t k = 0; k < params->n_params; k++)
        if (am_train_names(pattern, params->table[k].name)) {
            params->table[k].flags |= AM_PARAM_FROZEN;
            graph->params.ptr[k].spec.flags |= AM_PARAM_FROZEN;
        }
    return AM_OK;
}

enum am_rc am_train_rate(struct am_params *params, struct am_str pattern, double factor,
                         struct am_err *err)
{
    if (!(factor >= 0 && isfinite(factor)))
        return am_fail(err, AM_EUSAGE, "the learning rate's factor of \"%.*s\" is %g",
                       AM_FMT(pattern), factor);
    if (am_train_match(params, pattern) == 0)
        return nothing_named(params, pattern, err);
    for (size_t k = 0; k < params->n_params; k++)
        if (am_train_names(pattern, params->table[k].name))
            params->table[k].rate = (float)factor;
    return AM_OK;
}
