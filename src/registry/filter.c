/* Filter and order expressions: text to condition trees. A strict parser; no database.
 *
 *     filter     := comparison { AND comparison }
 *     comparison := field op value | field [NOT] LIKE text | field [NOT] ILIKE text
 *                 | field [NOT] IN ( value { , value } )
 *     field      := metrics.KEY | params.KEY | tags.KEY | [attributes.]NAME
 *     order      := field [ASC|DESC] { , field [ASC|DESC] }
 *
 * Words are ASCII and their case does not matter, names' does. Values become bound values, never
 * text of a statement. The grammar is the one of MLflow's search calls. Everything lives in the
 * caller's arena. */
#include <math.h>

#include "base/date.h"
#include "base/num.h"
#include "registry/registry_int.h"

enum token { T_END, T_WORD, T_QUOTED, T_TEXT, T_NUMBER, T_OP, T_OPEN, T_CLOSE, T_COMMA };

struct parser {
    struct am_arena *a;
    struct am_err *err;
    const char *what; /* "filter" or "order" */
    const struct am_entity *entity;
    struct am_str text;
    size_t at; /* of the next byte */
    /* the current token */
    enum token token;
    size_t start;
    struct am_str word; /* WORD: as written; QUOTED, TEXT: without quotes; NUMBER, OP: as written */
};

enum source { S_METRIC, S_PARAM, S_TAG, S_ATTRIBUTE };
struct field {
    enum source source;
    struct am_str key; /* in the arena */
    const struct am_attribute *attribute;
    size_t start;
};

/* ---- tokens ---- */

static enum am_rc fail_at(struct parser *p, size_t at, const char *why)
{
    am_fail(p->err, AM_EUSAGE, "%s, character %zu: %s", am_tr(p->what), at + 1, am_tr(why));
    am_hint(p->err,
            "Write for example: metrics.test.accuracy > 0.9 and params.model.type = 'mlp'.");
    return AM_EUSAGE;
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '/' || c == '.';
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Text in quotes `q`; the quote doubled stands for itself. */
static enum am_rc scan_quoted(struct parser *p, char q)
{
    size_t from = ++p->at, n = 0;
    char *out = am_arena_alloc(p->a, p->text.len - from + 1);
    if (!out)
        return am_fail_nomem(p->err, p->text.len - from + 1);
    for (; p->at < p->text.len; p->at++) {
        char c = p->text.ptr[p->at];
        if (c == q) {
            p->at++;
            if (p->at >= p->text.len || p->text.ptr[p->at] != q) {
                p->word = (struct am_str){out, n};
                out[n] = '\0';
                return AM_OK;
            }
        }
        if (c == '\0')
            return fail_at(p, p->at, "a NUL byte");
        out[n++] = c;
    }
    return fail_at(p, p->start, "the quote is not closed");
}

static enum am_rc scan_word(struct parser *p, enum token token)
{
    size_t from = p->at;
    while (p->at < p->text.len && is_word(p->text.ptr[p->at]))
        p->at++;
    p->word = (struct am_str){p->text.ptr + from, p->at - from};
    p->token = token;
    return AM_OK;
}

static enum am_rc scan_number(struct parser *p)
{
    size_t from = p->at++;
    for (; p->at < p->text.len; p->at++) {
        char c = p->text.ptr[p->at], before = p->text.ptr[p->at - 1];
        bool sign = (c == '+' || c == '-') && (before == 'e' || before == 'E');
        if (!sign && !((c >= '0' && c <= '9') || c == '.' || c == 'e' || c == 'E'))
            break;
    }
    p->word = (struct am_str){p->text.ptr + from, p->at - from};
    p->token = T_NUMBER;
    double v;
    if (!am_parse_double(p->word, AM_NUM_FINITE, &v) ||
        (p->at < p->text.len && is_word(p->text.ptr[p->at])))
        return fail_at(p, from, "this is not a number");
    return AM_OK;
}

static enum am_rc scan_op(struct parser *p)
{
    static const char *const ops[] = {"!=", ">=", "<=", "=", ">", "<"};
    struct am_str rest = {p->text.ptr + p->at, p->text.len - p->at};
    for (size_t i = 0; i < 6; i++)
        if (am_str_starts(rest, am_str(ops[i]))) {
            p->word = am_str(ops[i]);
            p->token = T_OP;
            p->at += p->word.len;
            return AM_OK;
        }
    return fail_at(p, p->at, "this character means nothing here");
}

static enum am_rc next(struct parser *p)
{
    while (p->at < p->text.len && is_space(p->text.ptr[p->at]))
        p->at++;
    p->start = p->at;
    p->word = AM_STR("");
    if (p->at >= p->text.len) {
        p->token = T_END;
        return AM_OK;
    }
    char c = p->text.ptr[p->at];
    switch (c) {
    case '(':
    case ')':
    case ',':
        p->token = c == '(' ? T_OPEN : c == ')' ? T_CLOSE : T_COMMA;
        p->at++;
        return AM_OK;
    case '\'':
        p->token = T_TEXT;
        return scan_quoted(p, c);
    case '"':
    case '`':
        p->token = T_QUOTED;
        return scan_quoted(p, c);
    case '+':
    case '-':
        return scan_number(p);
    default:
        if (c >= '0' && c <= '9')
            return scan_number(p);
        if (is_word(c))
            return scan_word(p, T_WORD);
        return scan_op(p);
    }
}

static bool same_word(struct am_str s, const char *word)
{
    size_t n = strlen(word);
    if (s.len != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = s.ptr[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (c != word[i])
            return false;
    }
    return true;
}

static bool is_keyword(const struct parser *p, const char *word)
{
    return p->token == T_WORD && same_word(p->word, word);
}

/* ---- fields ---- */

static enum am_rc find_attribute(struct parser *p, struct field *f)
{
    const char *names[32];
    const struct am_entity *e = p->entity;
    for (size_t i = 0; i < e->n_attributes; i++) {
        names[i] = e->attributes[i].name;
        if (am_str_is(f->key, names[i])) {
            f->attribute = &e->attributes[i];
            return AM_OK;
        }
    }
    const char *near = am_str_nearest(f->key, names, e->n_attributes);
    char all[400];
    size_t at = 0;
    for (size_t i = 0; i < e->n_attributes; i++)
        at += (size_t)snprintf(all + at, sizeof all - at, "%s, ", names[i]);
    (void)snprintf(all + at, sizeof all - at, "%s%stags.KEY", e->has_metrics ? "metrics.KEY, " : "",
                   e->has_params ? "params.KEY, " : "");
    am_fail(p->err, AM_EUSAGE, "%s, character %zu: a %s has no attribute \"%.*s\"", am_tr(p->what),
            f->start + 1, e->kind, (int)(f->key.len > 64 ? 64 : f->key.len), f->key.ptr);
    if (near)
        am_hint(p->err, "Did you mean \"%s\"? There are: %s.", near, all);
    else
        am_hint(p->err, "There are: %s.", all);
    return AM_EUSAGE;
}

/* The quoted key that follows a word ending in a point, else the rest of the word itself. */
static enum am_rc take_key(struct parser *p, struct am_str rest, struct am_str *key)
{
    if (rest.len > 0) {
        *key = am_arena_str(p->a, rest);
        AM_TRY(am_arena_check(p->a, p->err));
    } else {
        if (p->at >= p->text.len || (p->text.ptr[p->at] != '"' && p->text.ptr[p->at] != '`'))
            return fail_at(p, p->at, "a key must follow the point");
        AM_TRY(next(p));
        *key = p->word;
        if (key->len == 0 || !am_utf8_valid(*key))
            return fail_at(p, p->start, "this is not a key");
    }
    if (key->len > AM_LIMIT_TAG_KEY_BYTES)
        return fail_at(p, p->start, "this key is too long");
    return next(p);
}

static enum am_rc parse_field(struct parser *p, struct field *out)
{
    static const struct {
        const char *prefix;
        enum source source;
    } prefixes[] = {
        {"metrics.", S_METRIC},
        {"params.", S_PARAM},
        {"tags.", S_TAG},
        {"attributes.", S_ATTRIBUTE},
    };
    *out = (struct field){.source = S_ATTRIBUTE, .start = p->start};
    if (p->token != T_WORD)
        return fail_at(p, p->start,
                       "a name is expected: metrics.KEY, params.KEY, tags.KEY or an attribute");
    struct am_str rest = p->word;
    for (size_t i = 0; i < 4; i++) {
        struct am_str prefix = am_str(prefixes[i].prefix);
        if (am_str_starts(p->word, prefix)) {
            out->source = prefixes[i].source;
            rest = (struct am_str){p->word.ptr + prefix.len, p->word.len - prefix.len};
            break;
        }
    }
    AM_TRY(take_key(p, rest, &out->key));
    if (out->source == S_ATTRIBUTE)
        return find_attribute(p, out);
    if (out->source == S_PARAM && !p->entity->has_params)
        return fail_at(p, out->start, "only runs have params");
    return AM_OK;
}

/* ---- values ---- */

enum want { WANT_TEXT, WANT_NUMBER, WANT_TIME, WANT_EITHER };

static enum want wanted(const struct field *f)
{
    switch (f->source) {
    case S_METRIC:
        return WANT_NUMBER;
    case S_PARAM:
        return WANT_EITHER;
    case S_TAG:
        return WANT_TEXT;
    default:
        return f->attribute->kind == AM_ATTR_TEXT     ? WANT_TEXT
               : f->attribute->kind == AM_ATTR_NUMBER ? WANT_NUMBER
                                                      : WANT_TIME;
    }
}

static enum am_rc parse_value(struct parser *p, enum want want, struct am_value *out)
{
    bool text = p->token == T_TEXT || p->token == T_QUOTED;
    int64_t us = 0, i = 0;
    double d = 0;
    if (!text && p->token != T_NUMBER)
        return fail_at(p, p->start, "a value is expected: a number or text in quotes");
    if (text && !am_utf8_valid(p->word))
        return fail_at(p, p->start, "this text is not UTF-8");
    if (want == WANT_NUMBER && text)
        return fail_at(p, p->start, "a number is expected here, without quotes");
    if (want == WANT_TEXT && !text)
        return fail_at(p, p->start, "text in quotes is expected here");
    if (want == WANT_TIME) {
        if (!text || !am_date_parse(p->word, &us))
            return fail_at(p, p->start,
                           "a time is expected here: '2026-11-21' or '2026-11-21T13:00:00Z'");
        *out = am_v_int(us);
    } else if (text) {
        *out = am_v_str(p->word);
    } else if (am_parse_i64(p->word, &i)) {
        *out = am_v_int(i);
    } else {
        (void)am_parse_double(p->word, AM_NUM_FINITE, &d);
        *out = am_v_real(d);
    }
    return next(p);
}

/* ---- comparisons ---- */

struct comparison {
    enum am_cmp op;
    bool negate;
    struct am_value *values;
    size_t n;
};

static enum am_rc parse_list(struct parser *p, enum want want, struct comparison *c)
{
    enum { MOST = 100 };
    c->values = am_arena_array(p->a, MOST, sizeof *c->values);
    if (!c->values)
        return am_fail_nomem(p->err, MOST * sizeof *c->values);
    if (p->token != T_OPEN)
        return fail_at(p, p->start, "an opening bracket is expected after IN");
    do {
        if (c->n == MOST)
            return fail_at(p, p->start, "more than 100 values");
        AM_TRY(next(p));
        AM_TRY(parse_value(p, want, &c->values[c->n]));
        if (c->n > 0 &&
            (c->values[c->n].kind == AM_VALUE_TEXT) != (c->values[0].kind == AM_VALUE_TEXT))
            return fail_at(p, p->start, "numbers and text in one list");
        c->n++;
    } while (p->token == T_COMMA);
    if (p->token != T_CLOSE)
        return fail_at(p, p->start, "a comma or a closing bracket is expected");
    return next(p);
}

static enum am_rc parse_word_op(struct parser *p, enum want want, struct comparison *c)
{
    if (is_keyword(p, "not")) {
        c->negate = true;
        AM_TRY(next(p));
    }
    if (is_keyword(p, "in")) {
        c->op = AM_CMP_IN;
        AM_TRY(next(p));
        return parse_list(p, want, c);
    }
    if (!is_keyword(p, "like") && !is_keyword(p, "ilike"))
        return fail_at(p, p->start, "an operator is expected: = != > >= < <= LIKE ILIKE IN");
    if (want == WANT_NUMBER || want == WANT_TIME)
        return fail_at(p, p->start, "LIKE and ILIKE compare text only");
    c->op = is_keyword(p, "like") ? AM_CMP_LIKE : AM_CMP_ILIKE;
    AM_TRY(next(p));
    c->n = 1;
    AM_TRY(parse_value(p, WANT_TEXT, &c->values[0]));
    if (c->values[0].text.len > 1000)
        return fail_at(p, p->start, "the pattern is too long");
    return AM_OK;
}

static enum am_rc parse_op(struct parser *p, enum want want, struct comparison *c)
{
    static const struct {
        const char *text;
        enum am_cmp op;
    } ops[] = {
        {"=", AM_CMP_EQ},  {"!=", AM_CMP_NE}, {"<", AM_CMP_LT},
        {"<=", AM_CMP_LE}, {">", AM_CMP_GT},  {">=", AM_CMP_GE},
    };
    *c = (struct comparison){.values = am_arena_array(p->a, 1, sizeof(struct am_value))};
    if (!c->values)
        return am_fail_nomem(p->err, sizeof(struct am_value));
    if (p->token != T_OP)
        return parse_word_op(p, want, c);
    size_t op_at = p->start;
    for (size_t i = 0; i < 6; i++)
        if (am_str_is(p->word, ops[i].text))
            c->op = ops[i].op;
    AM_TRY(next(p));
    c->n = 1;
    AM_TRY(parse_value(p, want, &c->values[0]));
    if (c->values[0].kind == AM_VALUE_TEXT && c->op != AM_CMP_EQ && c->op != AM_CMP_NE)
        return fail_at(p, op_at, "text is compared with = != LIKE ILIKE IN only");
    return AM_OK;
}

static struct am_cond *new_cond(struct parser *p, enum am_cond_kind kind)
{
    struct am_cond *c = am_arena_zalloc(p->a, sizeof *c);
    if (c)
        c->kind = kind;
    return c;
}

static struct am_cond *new_pair(struct parser *p, enum am_cond_kind kind, const struct am_cond *x,
                                const struct am_cond *y)
{
    struct am_cond *c = new_cond(p, kind);
    const struct am_cond **kids = am_arena_array(p->a, 2, sizeof(void *));
    if (!c || !kids)
        return NULL;
    kids[0] = x;
    kids[1] = y;
    c->kids = kids;
    c->n_kids = y ? 2 : 1;
    return c;
}

static struct am_cond *new_cmp(struct parser *p, const char *column, enum am_cmp op,
                               const struct am_value *values, size_t n)
{
    struct am_cond *c = new_cond(p, AM_COND_CMP);
    if (!c)
        return NULL;
    c->column = column;
    c->op = op;
    c->values = values;
    c->n_values = n;
    return c;
}

/* key = KEY and, for the tables that serve several kinds, kind = KIND */
static struct am_cond *key_cond(struct parser *p, const struct field *f)
{
    struct am_value *v = am_arena_array(p->a, 2, sizeof *v);
    if (!v)
        return NULL;
    v[0] = am_v_str(f->key);
    v[1] = am_v_text(p->entity->kind);
    struct am_cond *key = new_cmp(p, "key", AM_CMP_EQ, &v[0], 1);
    struct am_cond *kind = new_cmp(p, "kind", AM_CMP_EQ, &v[1], 1);
    if (!key || !kind)
        return NULL;
    return f->source == S_PARAM ? key : new_pair(p, AM_COND_AND, kind, key);
}

static const char *table_of(enum source s)
{
    return s == S_METRIC ? "metric_last" : s == S_PARAM ? "param" : "tag";
}

static const char *value_column(const struct field *f, const struct comparison *c)
{
    if (f->source == S_ATTRIBUTE)
        return f->attribute->column;
    bool number = f->source == S_PARAM && c->values[0].kind != AM_VALUE_TEXT;
    return number ? "number" : "value";
}

static enum am_rc build(struct parser *p, const struct field *f, const struct comparison *c,
                        struct am_cond **out)
{
    struct am_cond *cond = new_cmp(p, value_column(f, c), c->op, c->values, c->n);
    if (cond && f->source == S_ATTRIBUTE)
        cond->computed = f->attribute->computed;
    if (cond && c->negate)
        cond = new_pair(p, AM_COND_NOT, cond, NULL);
    if (cond && f->source != S_ATTRIBUTE) {
        struct am_cond *key = key_cond(p, f);
        cond = key ? new_pair(p, AM_COND_AND, key, cond) : NULL;
        cond = cond ? new_pair(p, AM_COND_EXISTS, cond, NULL) : NULL;
        if (cond) {
            cond->table = table_of(f->source);
            cond->inner = f->source == S_PARAM ? "run" : "ref";
            cond->outer = p->entity->id_column;
        }
    }
    if (!cond)
        return am_fail_nomem(p->err, sizeof *cond);
    *out = cond;
    return AM_OK;
}

static enum am_rc start(struct parser *p, struct am_arena *a, struct am_str text,
                        enum am_registry_kind kind, const char *what, struct am_err *err)
{
    *p = (struct parser){
        .a = a, .err = err, .what = what, .entity = &am_registry_entities[kind], .text = text};
    if (text.len > AM_LIMIT_FILTER_BYTES)
        return am_fail(err, AM_EUSAGE, "%s of %zu bytes, at most %d allowed", am_tr(what), text.len,
                       AM_LIMIT_FILTER_BYTES);
    return next(p);
}

enum am_rc am_filter_parse(struct am_arena *a, struct am_str text, enum am_registry_kind kind,
                           const struct am_cond **out, struct am_err *err)
{
    struct parser p;
    const struct am_cond **kids = NULL;
    size_t n = 0;
    *out = NULL;
    AM_TRY(start(&p, a, text, kind, "filter", err));
    if (p.token == T_END)
        return AM_OK;
    struct am_cond *all = new_cond(&p, AM_COND_AND);
    kids = am_arena_array(a, AM_LIMIT_FILTER_TERMS, sizeof(void *));
    if (!all || !kids)
        return am_fail_nomem(err, sizeof *all);
    for (;;) {
        struct field f;
        struct comparison c;
        struct am_cond *cond = NULL;
        if (n == AM_LIMIT_FILTER_TERMS)
            return fail_at(&p, p.start, "too many comparisons");
        AM_TRY(parse_field(&p, &f));
        AM_TRY(parse_op(&p, wanted(&f), &c));
        AM_TRY(build(&p, &f, &c, &cond));
        kids[n++] = cond;
        if (p.token == T_END)
            break;
        if (is_keyword(&p, "or"))
            return fail_at(&p, p.start, "comparisons are joined by `and` only");
        if (!is_keyword(&p, "and"))
            return fail_at(&p, p.start, "`and` or the end is expected");
        AM_TRY(next(&p));
    }
    all->kids = kids;
    all->n_kids = n;
    *out = all;
    return AM_OK;
}

/* A param is ordered by its number, then by its text. */
static enum am_rc parse_order(struct parser *p, struct am_order *order, size_t *n)
{
    struct field f;
    AM_TRY(parse_field(p, &f));
    struct am_order o = {0};
    if (f.source == S_ATTRIBUTE) {
        o.column = f.attribute->column;
        o.computed = f.attribute->computed;
    } else {
        o.column = "value";
        o.table = table_of(f.source);
        o.inner = f.source == S_PARAM ? "run" : "ref";
        o.outer = p->entity->id_column;
        o.where = key_cond(p, &f);
        if (!o.where)
            return am_fail_nomem(p->err, sizeof *o.where);
    }
    if (is_keyword(p, "asc") || is_keyword(p, "desc")) {
        o.descending = is_keyword(p, "desc");
        AM_TRY(next(p));
    }
    if (f.source == S_PARAM) {
        order[*n] = o;
        order[(*n)++].column = "number";
    }
    order[(*n)++] = o;
    return AM_OK;
}

enum am_rc am_order_parse(struct am_arena *a, struct am_str text, enum am_registry_kind kind,
                          struct am_order *order, size_t *n, struct am_err *err)
{
    struct parser p;
    *n = 0;
    AM_TRY(start(&p, a, text, kind, "order", err));
    if (p.token == T_END)
        return AM_OK;
    for (;;) {
        if (*n + 2 > AM_FILTER_ORDERS)
            return fail_at(&p, p.start, "too many things to order by");
        AM_TRY(parse_order(&p, order, n));
        if (p.token == T_END)
            return AM_OK;
        if (p.token != T_COMMA)
            return fail_at(&p, p.start, "a comma or the end is expected");
        AM_TRY(next(&p));
    }
}
