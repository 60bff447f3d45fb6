/* Type inference over a finished column profile; every answer says why. */
#include "data/schema.h"

static enum am_rc found(struct am_inferred *out, enum am_col_type type, struct am_str why,
                        struct am_err *err)
{
    if (!why.ptr)
        return am_fail_nomem(err, 64);
    *out = (struct am_inferred){type, why};
    return AM_OK;
}

enum am_rc am_infer_type(const struct am_column_profile *p, struct am_arena *a,
                         struct am_inferred *out, struct am_err *err)
{
    uint64_t n = p->n_rows - p->n_missing;
    unsigned long long k = p->n_distinct;
    bool text = p->type == AM_COL_TEXT || p->type == AM_COL_CATEGORY;
    if (am_col_is_media(p->type))
        return found(out, p->type, am_str(am_tr("what the files hold")), err);
    if (p->type == AM_COL_DATE)
        return found(out, AM_COL_DATE, am_str(am_tr("every value is a date")), err);
    if (p->type == AM_COL_BOOLEAN)
        return found(out, AM_COL_BOOLEAN, am_str(am_tr("true and false")), err);
    if (n == 0)
        return found(out, AM_COL_CATEGORY, am_str(am_tr("no values")), err);
    if (k <= 1)
        return found(out, AM_COL_CATEGORY, am_str(am_tr("one distinct value")), err);
    if (p->two_booleans)
        return found(out, AM_COL_BOOLEAN,
                     am_arena_printf(a, am_tr("two values, %.*s and %.*s"), AM_FMT(p->top[0].text),
                                     AM_FMT(p->top[1].text)),
                     err);
    if (!text) {
        if (p->consecutive_integers && k <= AM_INFER_CONSECUTIVE_INTEGERS && k * 2 < n)
            return found(out, AM_COL_CATEGORY,
                         am_arena_printf(a, am_tr("%llu consecutive integers"), k), err);
        return found(out, AM_COL_NUMBER, am_str(am_tr("every value is a number")), err);
    }
    if (p->mean_words >= AM_INFER_TEXT_WORDS)
        return found(out, AM_COL_TEXT,
                     am_arena_printf(a, am_tr("%.1f words on average"), p->mean_words), err);
    if (k * 2 < n)
        return found(out, AM_COL_CATEGORY, am_arena_printf(a, am_tr("%llu distinct texts"), k),
                     err);
    if (p->mean_words >= 2 || k > 1000)
        return found(
            out, AM_COL_TEXT,
            am_arena_printf(a, am_tr("%llu distinct texts in %llu rows"), k, (unsigned long long)n),
            err);
    return found(out, AM_COL_CATEGORY, am_arena_printf(a, am_tr("%llu distinct short texts"), k),
                 err);
}
