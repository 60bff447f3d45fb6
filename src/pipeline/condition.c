/* Conditions on metrics; see condition.h for the grammar. No recursion, no allocation. */
#include "pipeline/condition.h"

#include <stdio.h>

#include "base/num.h"

struct scan {
    struct am_str text;
    size_t at;
};

static void skip_space(struct scan *s)
{
    while (s->at < s->text.len && (s->text.ptr[s->at] == ' ' || s->text.ptr[s->at] == '\t'))
        s->at++;
}

static enum am_rc bad(const struct scan *s, const char *want, struct am_err *err)
{
    am_fail(err, AM_EUSAGE, "condition \"%.*s\": %s expected at position %zu", AM_FMT(s->text),
            am_tr(want), s->at + 1);
    am_hint(err, "Write for example `roc_auc >= 0.95` or `f1 > champion.f1 and log_loss < 0.3`.");
    return AM_EUSAGE;
}

static bool word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '@';
}

static struct am_str word(struct scan *s)
{
    size_t from = s->at;
    while (s->at < s->text.len && word_char(s->text.ptr[s->at]))
        s->at++;
    return (struct am_str){s->text.ptr + from, s->at - from};
}

static bool number(struct scan *s, double *out)
{
    size_t from = s->at, n = 0;
    while (from + n < s->text.len &&
           (word_char(s->text.ptr[from + n]) ||
            ((s->text.ptr[from + n] == '-' || s->text.ptr[from + n] == '+') &&
             (n == 0 || (s->text.ptr[from + n - 1] | 32) == 'e'))))
        n++;
    if (!am_parse_double((struct am_str){s->text.ptr + from, n}, AM_NUM_FINITE, out))
        return false;
    s->at += n;
    return true;
}

static enum am_rc side(struct scan *s, struct am_condition_side *out, struct am_err *err)
{
    *out = (struct am_condition_side){{"", 0}, {"", 0}, 0.0};
    skip_space(s);
    if (number(s, &out->number))
        return AM_OK;
    struct am_str w = word(s);
    if (w.len == 0 || (w.ptr[0] >= '0' && w.ptr[0] <= '9'))
        return bad(s, "a metric or a number", err);
    const char *dot = memchr(w.ptr, '.', w.len);
    if (dot) {
        out->alias = (struct am_str){w.ptr, (size_t)(dot - w.ptr)};
        out->metric = (struct am_str){dot + 1, w.len - out->alias.len - 1};
    } else {
        out->metric = w;
    }
    if (out->metric.len == 0)
        return bad(s, "a metric", err);
    skip_space(s);
    if (s->at < s->text.len && (s->text.ptr[s->at] == '+' || s->text.ptr[s->at] == '-')) {
        double sign = s->text.ptr[s->at++] == '-' ? -1.0 : 1.0;
        skip_space(s);
        if (!number(s, &out->number))
            return bad(s, "a number", err);
        out->number *= sign;
    }
    return AM_OK;
}

static bool operator_of(struct scan *s, enum am_condition_op *out)
{
    static const struct {
        const char *text;
        enum am_condition_op op;
    } ops[] = {{">=", AM_COND_GE}, {"<=", AM_COND_LE}, {"==", AM_COND_EQ},
               {">", AM_COND_GT},  {"<", AM_COND_LT},  {"=", AM_COND_EQ}};
    skip_space(s);
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        struct am_str rest = {s->text.ptr + s->at, s->text.len - s->at};
        if (am_str_starts(rest, am_str(ops[i].text))) {
            s->at += strlen(ops[i].text);
            *out = ops[i].op;
            return true;
        }
    }
    return false;
}

enum am_rc am_condition_parse(struct am_str text, struct am_condition *out, struct am_err *err)
{
    struct scan s = {text, 0};
    out->n = 0;
    for (;;) {
        struct am_condition_term *t = &out->terms[out->n];
        AM_TRY(side(&s, &t->left, err));
        if (!operator_of(&s, &t->op))
            return bad(&s, "one of >= > <= < =", err);
        AM_TRY(side(&s, &t->right, err));
        out->n++;
        skip_space(&s);
        if (s.at == text.len)
            return AM_OK;
        struct am_str w = word(&s);
        if (!am_str_is(w, "and"))
            return bad(&s, "\"and\" or the end", err);
        if (out->n == AM_CONDITION_TERMS)
            return am_fail(err, AM_EUSAGE, "condition has more than %d terms", AM_CONDITION_TERMS);
    }
}

bool am_condition_needs_alias(const struct am_condition *c)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->terms[i].left.alias.len || c->terms[i].right.alias.len)
            return true;
    return false;
}

struct lookup {
    const struct am_node *own;
    const struct am_node *(*alias_metrics)(void *ctx, struct am_str alias);
    void *ctx;
};

/* *known = false: the alias does not exist. */
static enum am_rc value_of(const struct lookup *l, const struct am_condition_side *s, double *out,
                           bool *known, struct am_err *err)
{
    const struct am_node *metrics = l->own, *v;
    double x;
    *known = true;
    *out = s->number;
    if (s->metric.len == 0)
        return AM_OK;
    if (s->alias.len) {
        metrics = l->alias_metrics ? l->alias_metrics(l->ctx, s->alias) : NULL;
        if (!metrics) {
            *known = false;
            return AM_OK;
        }
    }
    v = am_node_get_str(metrics, s->metric);
    if (!am_node_as_f64(v, &x)) {
        am_fail(err, AM_EUSAGE, "metric \"%.*s\" of the condition is not measured",
                AM_FMT(s->metric));
        am_hint(err, "Add it to evaluate.metrics.");
        return AM_EUSAGE;
    }
    *out = x + s->number;
    return AM_OK;
}

enum am_rc am_condition_holds(const struct am_condition *c, const struct am_node *own,
                              const struct am_node *(*alias_metrics)(void *ctx,
                                                                     struct am_str alias),
                              void *ctx, bool *holds, char *why, size_t why_cap, struct am_err *err)
{
    static const char *const names[] = {">=", ">", "<=", "<", "="};
    struct lookup l = {own, alias_metrics, ctx};
    *holds = true;
    for (size_t i = 0; i < c->n; i++) {
        const struct am_condition_term *t = &c->terms[i];
        double x, y;
        bool known_x, known_y, ok;
        AM_TRY(value_of(&l, &t->left, &x, &known_x, err));
        AM_TRY(value_of(&l, &t->right, &y, &known_y, err));
        if (!known_x || !known_y)
            continue;
        ok = t->op == AM_COND_GE   ? x >= y
             : t->op == AM_COND_GT ? x > y
             : t->op == AM_COND_LE ? x <= y
             : t->op == AM_COND_LT ? x < y
                                   : x == y;
        if (!ok) {
            *holds = false;
            if (why_cap)
                snprintf(why, why_cap, "%.*s%s%.*s = %.6g, %s %s %.6g", AM_FMT(t->left.alias),
                         t->left.alias.len ? "." : "", AM_FMT(t->left.metric), x, am_tr("wanted"),
                         names[t->op], y);
            return AM_OK;
        }
    }
    return AM_OK;
}
