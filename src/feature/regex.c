/* Parsing into a small program, and the walk; see regex.h. */
#include "feature/regex.h"

#include <string.h>

#include "base/alloc.h"
#include "feature/chars.h"

#define DEPTH_MAX 32
#define REPEAT_MAX 255
#define RANGES_MAX 64 /* of one class */
#define NO_END UINT32_MAX

enum kind { CHAR, ANY, CLASS, SPLIT, BEGIN, END, WORD, NOT_WORD, MATCH };

struct range {
    uint32_t first, last;
};

struct set {
    struct range ranges[RANGES_MAX];
    unsigned n;
    bool word, digit, space, not_word, not_digit, not_space, negated;
};

struct state {
    enum kind kind;
    uint32_t c;    /* CHAR */
    uint32_t a, b; /* next; SPLIT: a is tried first */
    const struct set *set;
};

struct am_regex {
    struct state *states;
    uint32_t n, start;
    bool fold;
    bool first[256]; /* bytes that a match can begin with */
    bool empty;      /* or with nothing */
};

struct parser {
    const char *p, *end, *begin;
    struct am_arena *arena;
    struct am_regex *re;
    unsigned depth;
    struct am_err *err;
};

static enum am_rc wrong(const struct parser *q, const char *what)
{
    return am_fail(q->err, AM_EUSAGE, "regular expression: %s at byte %zu", am_tr(what),
                   (size_t)(q->p - q->begin));
}

static enum am_rc emit(struct parser *q, struct state s, uint32_t *out)
{
    if (q->re->n == AM_REGEX_MAX_STATES)
        return am_fail(q->err, AM_ELIMIT, "regular expression: over %d states",
                       AM_REGEX_MAX_STATES);
    q->re->states[q->re->n] = s;
    *out = q->re->n++;
    return AM_OK;
}

/* A piece of program between parsing and joining: its way out is the state `out`'s a, which always
 * is an empty SPLIT to itself until then. */
struct piece {
    uint32_t in, out;
};

static enum am_rc hole(struct parser *q, uint32_t *out)
{
    return emit(q, (struct state){.kind = SPLIT, .a = NO_END, .b = NO_END}, out);
}

static enum am_rc alternatives(struct parser *q, struct piece *out);

static bool escape_class(char c, struct set *k)
{
    switch (c) {
    case 'd':
        k->digit = true;
        return true;
    case 'w':
        k->word = true;
        return true;
    case 's':
        k->space = true;
        return true;
    case 'D':
        k->not_digit = true;
        return true;
    case 'W':
        k->not_word = true;
        return true;
    case 'S':
        k->not_space = true;
        return true;
    default:
        return false;
    }
}

static uint32_t escape_char(uint32_t c)
{
    return c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c == 'f' ? '\f' : c;
}

static uint32_t take(struct parser *q)
{
    size_t n;
    const uint32_t c = am_char_next(q->p, q->end, &n);
    q->p += n;
    return c;
}

static enum am_rc class_member(struct parser *q, struct set *k)
{
    uint32_t c = take(q), last;
    if (c == '\\') {
        if (q->p == q->end)
            return wrong(q, "nothing after the backslash");
        if (escape_class(*q->p, k)) {
            q->p++;
            return AM_OK;
        }
        c = escape_char(take(q));
    }
    last = c;
    if (q->end - q->p >= 2 && q->p[0] == '-' && q->p[1] != ']') {
        q->p++;
        last = take(q);
        if (last == '\\' && q->p < q->end)
            last = escape_char(take(q));
    }
    if (last < c)
        return wrong(q, "a range that runs backwards");
    if (k->n == RANGES_MAX)
        return wrong(q, "too many ranges in a class");
    k->ranges[k->n++] = (struct range){c, last};
    return AM_OK;
}

static enum am_rc class_of_brackets(struct parser *q, struct piece *out)
{
    struct set *k = am_arena_zalloc(q->arena, sizeof *k);
    uint32_t s = 0;
    if (!k)
        return am_arena_check(q->arena, q->err);
    if (q->p < q->end && *q->p == '^') {
        k->negated = true;
        q->p++;
    }
    bool first = true;
    while (q->p < q->end && (*q->p != ']' || first)) {
        AM_TRY(class_member(q, k));
        first = false;
    }
    if (q->p == q->end)
        return wrong(q, "no ] ends the class");
    q->p++;
    AM_TRY(emit(q, (struct state){.kind = CLASS, .set = k}, &s));
    AM_TRY(hole(q, &out->out));
    q->re->states[s].a = out->out;
    out->in = s;
    return AM_OK;
}

static enum am_rc one(struct parser *q, struct state s, struct piece *out)
{
    uint32_t at = 0;
    AM_TRY(emit(q, s, &at));
    AM_TRY(hole(q, &out->out));
    q->re->states[at].a = out->out;
    out->in = at;
    return AM_OK;
}

static enum am_rc escaped(struct parser *q, struct piece *out)
{
    struct set *k;
    if (q->p == q->end)
        return wrong(q, "nothing after the backslash");
    if (*q->p == 'b' || *q->p == 'B')
        return one(q, (struct state){.kind = *q->p++ == 'b' ? WORD : NOT_WORD}, out);
    if (*q->p >= '0' && *q->p <= '9')
        return wrong(q, "groups cannot be referred to");
    k = am_arena_zalloc(q->arena, sizeof *k);
    if (!k)
        return am_arena_check(q->arena, q->err);
    if (escape_class(*q->p, k)) {
        q->p++;
        return one(q, (struct state){.kind = CLASS, .set = k}, out);
    }
    return one(q, (struct state){.kind = CHAR, .c = escape_char(take(q))}, out);
}

static enum am_rc group(struct parser *q, struct piece *out)
{
    if (q->end - q->p >= 2 && q->p[0] == '?' && q->p[1] == ':')
        q->p += 2;
    else if (q->p < q->end && *q->p == '?')
        return wrong(q, "this kind of group is not known");
    if (++q->depth > DEPTH_MAX)
        return wrong(q, "groups lie too deep");
    AM_TRY(alternatives(q, out));
    q->depth--;
    if (q->p == q->end || *q->p != ')')
        return wrong(q, "no ) ends the group");
    q->p++;
    return AM_OK;
}

static enum am_rc atom(struct parser *q, struct piece *out)
{
    const char c = *q->p;
    switch (c) {
    case '(':
        q->p++;
        return group(q, out);
    case '[':
        q->p++;
        return class_of_brackets(q, out);
    case '\\':
        q->p++;
        return escaped(q, out);
    case '.':
        q->p++;
        return one(q, (struct state){.kind = ANY}, out);
    case '^':
        q->p++;
        return one(q, (struct state){.kind = BEGIN}, out);
    case '$':
        q->p++;
        return one(q, (struct state){.kind = END}, out);
    case '*':
    case '+':
    case '?':
    case '{':
        return wrong(q, "nothing to repeat");
    default:
        return one(q, (struct state){.kind = CHAR, .c = take(q)}, out);
    }
}

static bool number(struct parser *q, unsigned *out)
{
    const char *from = q->p;
    *out = 0;
    while (q->p < q->end && *q->p >= '0' && *q->p <= '9' && *out <= REPEAT_MAX)
        *out = *out * 10 + (unsigned)(*q->p++ - '0');
    return q->p > from && *out <= REPEAT_MAX;
}

/* {m}, {m,}, {m,n}; most 0 = no end */
static enum am_rc braces(struct parser *q, unsigned *least, unsigned *most)
{
    if (!number(q, least))
        return wrong(q, "a repetition is a number up to 255");
    *most = *least;
    if (q->p < q->end && *q->p == ',') {
        q->p++;
        *most = 0;
        if (q->p < q->end && *q->p != '}' && (!number(q, most) || *most < *least || *most == 0))
            return wrong(q, "a repetition is a number up to 255");
    } else if (*most == 0) {
        return wrong(q, "a repetition of 0 times");
    }
    if (q->p == q->end || *q->p != '}')
        return wrong(q, "no } ends the repetition");
    q->p++;
    return AM_OK;
}

static void join(struct parser *q, struct piece *all, const struct piece *next)
{
    q->re->states[all->out].a = next->in;
    all->out = next->out;
}

/* May be passed over; lazy: is so first. */
static enum am_rc optional(struct parser *q, struct piece *x, bool lazy, bool again)
{
    uint32_t s = 0, out = 0;
    AM_TRY(hole(q, &out));
    AM_TRY(emit(q,
                lazy ? (struct state){.kind = SPLIT, .a = out, .b = x->in}
                     : (struct state){.kind = SPLIT, .a = x->in, .b = out},
                &s));
    q->re->states[x->out].a = again ? s : out;
    *x = (struct piece){s, out};
    return AM_OK;
}

/* The atom that begins at `from`, once more. */
static enum am_rc once_more(struct parser *q, const char *from, struct piece *out)
{
    const char *back = q->p;
    q->p = from;
    AM_TRY(atom(q, out));
    q->p = back;
    return AM_OK;
}

static enum am_rc repeated(struct parser *q, const char *from, struct piece *x)
{
    unsigned least = 1, most = 1;
    bool lazy = false;
    if (q->p == q->end || !strchr("*+?{", *q->p))
        return AM_OK;
    const char c = *q->p++;
    if (c == '{')
        AM_TRY(braces(q, &least, &most));
    else
        least = c == '+', most = c == '?';
    if (q->p < q->end && *q->p == '?') {
        lazy = true;
        q->p++;
    }
    const char *back = q->p;
    struct piece all = *x, next = {0, 0};
    if (least == 0)
        AM_TRY(optional(q, &all, lazy, most == 0));
    for (unsigned i = 1; i < least; i++) {
        AM_TRY(once_more(q, from, &next));
        join(q, &all, &next);
    }
    if (most == 0 && least > 0) {
        AM_TRY(once_more(q, from, &next));
        AM_TRY(optional(q, &next, lazy, true));
        join(q, &all, &next);
    }
    for (unsigned i = least > 1 ? least : 1; i < most; i++) {
        AM_TRY(once_more(q, from, &next));
        AM_TRY(optional(q, &next, lazy, false));
        join(q, &all, &next);
    }
    q->p = back;
    *x = all;
    return AM_OK;
}

static enum am_rc sequence(struct parser *q, struct piece *out)
{
    AM_TRY(hole(q, &out->in));
    out->out = out->in;
    while (q->p < q->end && *q->p != '|' && *q->p != ')') {
        const char *from = q->p;
        struct piece x = {0, 0};
        AM_TRY(atom(q, &x));
        AM_TRY(repeated(q, from, &x));
        if (q->p < q->end && strchr("*+?{", *q->p))
            return wrong(q, "a repetition is repeated");
        join(q, out, &x);
    }
    return AM_OK;
}

static enum am_rc alternatives(struct parser *q, struct piece *out)
{
    AM_TRY(sequence(q, out));
    while (q->p < q->end && *q->p == '|') {
        struct piece x = {0, 0};
        uint32_t s = 0, end = 0;
        q->p++;
        AM_TRY(sequence(q, &x));
        AM_TRY(hole(q, &end));
        AM_TRY(emit(q, (struct state){.kind = SPLIT, .a = out->in, .b = x.in}, &s));
        q->re->states[out->out].a = end;
        q->re->states[x.out].a = end;
        *out = (struct piece){s, end};
    }
    return AM_OK;
}

/* ---- which bytes can begin a match ---- */

static void first_of_char(struct am_regex *re, uint32_t c)
{
    char b[4];
    (void)am_char_put(c, b);
    re->first[(unsigned char)b[0]] = true;
}

static void find_first(struct am_regex *re, uint32_t at, bool *seen)
{
    /* depth is bounded by the number of states: each is entered once */
    while (at != NO_END && !seen[at]) {
        const struct state *s = &re->states[at];
        seen[at] = true;
        switch (s->kind) {
        case CHAR:
            first_of_char(re, s->c);
            if (re->fold && s->c < 0x80) {
                first_of_char(re, am_char_lower(s->c));
                if (s->c >= 'a' && s->c <= 'z')
                    first_of_char(re, s->c - 32);
            } else if (re->fold) {
                memset(re->first + 0x80, true, 0x80);
            }
            return;
        case ANY:
        case CLASS:
            memset(re->first, true, sizeof re->first);
            return;
        case MATCH:
            re->empty = true;
            return;
        case SPLIT:
            find_first(re, s->b, seen);
            break;
        default:
            break;
        }
        at = s->a;
    }
}

enum am_rc am_regex_new(struct am_str pattern, struct am_arena *a, const struct am_regex **out,
                        struct am_err *err)
{
    bool seen[AM_REGEX_MAX_STATES] = {false};
    struct am_regex *re = am_arena_zalloc(a, sizeof *re);
    struct parser q = {.p = pattern.ptr,
                       .begin = pattern.ptr,
                       .end = pattern.ptr + pattern.len,
                       .arena = a,
                       .re = re,
                       .err = err};
    struct piece all = {0, 0};
    uint32_t match = 0;
    if (re)
        re->states = am_arena_array(a, AM_REGEX_MAX_STATES, sizeof *re->states);
    AM_TRY(am_arena_check(a, err));
    if (pattern.len >= 4 && memcmp(pattern.ptr, "(?i)", 4) == 0) {
        re->fold = true;
        q.p += 4;
    }
    if (q.p == q.end)
        return wrong(&q, "it is empty");
    AM_TRY(alternatives(&q, &all));
    if (q.p < q.end)
        return wrong(&q, "a ) without its (");
    AM_TRY(emit(&q, (struct state){.kind = MATCH}, &match));
    re->states[all.out].a = match;
    re->start = all.in;
    find_first(re, re->start, seen);
    *out = re;
    return AM_OK;
}

/* ---- the walk ---- */

struct thread {
    uint32_t at;
    size_t begin;
};

struct walk {
    const struct am_regex *re;
    struct am_str text;
    struct thread *now, *next;
    size_t *mark;    /* [n] the round that a state was entered in, plus 1 */
    uint32_t *stack; /* [n + 1] */
    size_t n_next;
    uint64_t work;
};

void am_regex_scratch_clear(struct am_regex_scratch *s)
{
    am_free(s->memory);
    *s = (struct am_regex_scratch){0};
}

static bool is_word_at(const struct walk *w, size_t at, bool before)
{
    size_t n;
    if (before) {
        if (at == 0)
            return false;
        do
            at--;
        while (at > 0 && ((unsigned char)w->text.ptr[at] & 0xC0) == 0x80);
    }
    if (at >= w->text.len)
        return false;
    return am_char_is_word(am_char_next(w->text.ptr + at, w->text.ptr + w->text.len, &n));
}

static bool holds(const struct walk *w, enum kind k, size_t at)
{
    if (k == BEGIN)
        return at == 0;
    if (k == END)
        return at == w->text.len;
    return (is_word_at(w, at, true) != is_word_at(w, at, false)) == (k == WORD);
}

/* Follows what takes no character, in order of priority. */
static void enter(struct walk *w, uint32_t at, size_t pos, size_t begin)
{
    size_t depth = 0;
    w->stack[depth++] = at;
    while (depth > 0) {
        at = w->stack[--depth];
        while (at != NO_END && w->mark[at] != pos + 1) {
            const struct state *s = &w->re->states[at];
            w->mark[at] = pos + 1;
            w->work++;
            if (s->kind == SPLIT) {
                if (s->b != NO_END && w->mark[s->b] != pos + 1)
                    w->stack[depth++] = s->b;
                at = s->a;
            } else if (s->kind >= BEGIN && s->kind <= NOT_WORD) {
                if (!holds(w, s->kind, pos))
                    break;
                at = s->a;
            } else {
                w->next[w->n_next++] = (struct thread){at, begin};
                break;
            }
        }
    }
}

static bool in_class(const struct set *k, uint32_t c)
{
    bool in = (k->word && am_char_is_word(c)) || (k->digit && am_char_is_digit(c)) ||
              (k->space && am_char_is_space(c)) || (k->not_word && !am_char_is_word(c)) ||
              (k->not_digit && !am_char_is_digit(c)) || (k->not_space && !am_char_is_space(c));
    for (unsigned i = 0; i < k->n && !in; i++)
        in = c >= k->ranges[i].first && c <= k->ranges[i].last;
    return in != k->negated;
}

static bool takes(const struct am_regex *re, const struct state *s, uint32_t c)
{
    if (s->kind == ANY)
        return c != '\n';
    if (s->kind == CLASS)
        return in_class(s->set, c) ||
               (re->fold && (in_class(s->set, am_char_lower(c)) ||
                             (c >= 'a' && c <= 'z' && in_class(s->set, c - 32))));
    return s->c == c || (re->fold && am_char_lower(s->c) == am_char_lower(c));
}

static bool make_room(struct am_regex_scratch *s, size_t n)
{
    const size_t bytes =
        n * (2 * sizeof(struct thread) + sizeof(size_t)) + (2 * n + 2) * sizeof(uint32_t);
    if (s->memory && s->n >= n)
        return true;
    am_free(s->memory);
    s->memory = am_alloc(bytes);
    s->n = s->memory ? n : 0;
    return s->memory != NULL;
}

bool am_regex_find(const struct am_regex *re, struct am_regex_scratch *s, struct am_str text,
                   size_t from, uint64_t *budget, size_t *begin, size_t *end, enum am_rc *rc)
{
    struct walk w = {.re = re, .text = text};
    bool found = false;
    if (!make_room(s, re->n)) {
        *rc = AM_ENOMEM;
        return false;
    }
    w.now = s->memory;
    w.next = w.now + s->n;
    w.mark = (size_t *)(void *)(w.next + s->n);
    w.stack = (uint32_t *)(void *)(w.mark + s->n);
    memset(w.mark, 0, re->n * sizeof *w.mark);
    for (size_t pos = from, n_now = 0, step;; pos += step) {
        struct thread *t;
        w.n_next = 0;
        if (n_now == 0 && found)
            break;
        if (n_now == 0 && !re->empty) /* nothing under way: on to where something can begin */
            while (pos < text.len && !re->first[(unsigned char)text.ptr[pos]])
                pos++;
        /* those under way go first; w.now holds them as entered at pos */
        if (!found) {
            memcpy(w.next, w.now, n_now * sizeof *w.now);
            w.n_next = n_now;
            enter(&w, re->start, pos, pos);
            t = w.now, w.now = w.next, w.next = t;
            n_now = w.n_next;
            w.n_next = 0;
        }
        w.work += n_now + 1;
        step = 1;
        uint32_t c = 0;
        if (pos < text.len)
            c = am_char_next(text.ptr + pos, text.ptr + text.len, &step);
        for (size_t i = 0; i < n_now; i++) {
            const struct state *k = &re->states[w.now[i].at];
            if (k->kind == MATCH) { /* what comes later has less priority */
                found = true;
                *begin = w.now[i].begin;
                *end = pos;
                break;
            }
            if (pos < text.len && takes(re, k, c))
                enter(&w, k->a, pos + step, w.now[i].begin);
        }
        t = w.now, w.now = w.next, w.next = t;
        n_now = w.n_next;
        if (pos >= text.len)
            break;
        if (w.work > *budget) {
            *budget = 0;
            return false;
        }
    }
    *budget -= w.work < *budget ? w.work : *budget;
    return found;
}
