/* Composite metrics: a small expression of numbers and metric names with + - * / and parentheses. A
 * precedence-climbing parser with an explicit stack, so depth is bounded and nothing recurses. What
 * a name is worth comes from the caller's function. Pure; any thread. */
#include "eval/eval_int.h"

#include <math.h>

#include "base/num.h"

#define DEPTH 16
/* A level holds at most "(", "-" and "*" that wait; the outermost has no "(". */
#define STACK (3 * (DEPTH + 1))

struct parser {
    struct am_str text;
    size_t at;
    am_metric_value_fn *value;
    void *ctx;
    struct am_err *err;
    double values[STACK + 1];
    char ops[STACK];
    size_t n_values, n_ops, depth;
};

static enum am_rc bad(const struct parser *p, const char *want)
{
    am_fail(p->err, AM_EUSAGE, "composite metric \"%.*s\": %s expected at position %zu",
            AM_FMT(p->text), am_tr(want), p->at + 1);
    am_hint(p->err, "Write for example `0.7 * f1 + 0.3 * roc_auc`.");
    return AM_EUSAGE;
}

static int level(char op)
{
    return op == '*' || op == '/' ? 2 : op == '+' || op == '-' ? 1 : 0;
}

static void reduce(struct parser *p)
{
    double b = p->values[--p->n_values], *a = &p->values[p->n_values - 1];
    switch (p->ops[--p->n_ops]) {
    case '+':
        *a += b;
        break;
    case '-':
        *a -= b;
        break;
    case '*':
        *a *= b;
        break;
    default:
        *a = b != 0 ? *a / b : NAN;
    }
}

static char peek(struct parser *p)
{
    while (p->at < p->text.len && (p->text.ptr[p->at] == ' ' || p->text.ptr[p->at] == '\t' ||
                                   p->text.ptr[p->at] == '\n' || p->text.ptr[p->at] == '\r'))
        p->at++;
    return p->at < p->text.len ? p->text.ptr[p->at] : 0;
}

static bool in_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.';
}

static enum am_rc operand(struct parser *p)
{
    size_t from = p->at, n = 0;
    double v;
    while (from + n < p->text.len &&
           (in_word(p->text.ptr[from + n]) ||
            (n && (p->text.ptr[from + n] == '-' || p->text.ptr[from + n] == '+') &&
             (p->text.ptr[from + n - 1] | 32) == 'e' && p->text.ptr[from] <= '9')))
        n++;
    struct am_str w = {p->text.ptr + from, n};
    if (n == 0)
        return bad(p, "a metric or a number");
    if (!am_parse_double(w, AM_NUM_FINITE, &v)) {
        enum am_rc rc = p->value(p->ctx, w, &v, p->err);
        if (rc == AM_EUSAGE)
            am_context(p->err, "composite metric \"%.*s\", position %zu", AM_FMT(p->text),
                       from + 1);
        if (rc != AM_OK)
            return rc;
    }
    p->at += n;
    p->values[p->n_values++] = v;
    return AM_OK;
}

/* After an operand: closing parentheses, then an operator or the end. *more = another operand
 * follows. */
static enum am_rc after_operand(struct parser *p, bool *more)
{
    char c;
    while ((c = peek(p)) == ')') {
        while (p->n_ops && p->ops[p->n_ops - 1] != '(')
            reduce(p);
        if (!p->n_ops)
            return bad(p, "an operator or the end");
        p->n_ops--;
        p->depth--;
        p->at++;
    }
    *more = c != 0;
    if (!*more)
        return AM_OK;
    if (!level(c))
        return bad(p, "an operator or the end");
    while (p->n_ops && level(p->ops[p->n_ops - 1]) >= level(c))
        reduce(p);
    p->ops[p->n_ops++] = c;
    p->at++;
    return AM_OK;
}

/* Opening parentheses, and a sign where a term begins: -x is 0 - x. */
static enum am_rc before_operand(struct parser *p)
{
    for (;;) {
        char c = peek(p);
        if (c == '(') {
            if (p->depth == DEPTH)
                return bad(p, "fewer parentheses");
            p->depth++;
        } else if (c == '-' && (p->n_ops == 0 ? p->n_values == 0 : p->ops[p->n_ops - 1] == '(')) {
            p->values[p->n_values++] = 0;
        } else {
            return AM_OK;
        }
        p->ops[p->n_ops++] = c;
        p->at++;
    }
}

enum am_rc am_composite(struct am_str expression, am_metric_value_fn *value, void *ctx, double *out,
                        struct am_err *err)
{
    struct parser p = {.text = expression, .value = value, .ctx = ctx, .err = err};
    bool more = true;
    while (more) {
        AM_TRY(before_operand(&p));
        AM_TRY(operand(&p));
        AM_TRY(after_operand(&p, &more));
    }
    if (p.depth)
        return bad(&p, "a closing parenthesis");
    while (p.n_ops)
        reduce(&p);
    *out = p.values[0];
    return AM_OK;
}

static enum am_rc name_only(void *ctx, struct am_str name, double *out, struct am_err *err)
{
    float pred[2] = {0, 1};
    double truth[2] = {0, 1};
    struct am_eval_input in = {.task = *(const enum am_task *)ctx,
                               .n_rows = 0,
                               .n_classes = 2,
                               .truth = truth,
                               .pred = pred,
                               .threshold = 0.5};
    *out = 1.0;
    double ignored;
    return am_metric(&in, name, &ignored, err);
}

enum am_rc am_composite_check(struct am_str expression, enum am_task task, struct am_err *err)
{
    double v;
    return am_composite(expression, name_only, &task, &v, err);
}
