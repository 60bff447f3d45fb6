/* Search spaces: the recipe's words become dimensions, conditions become parents.
 *
 * Not the unit cube (unit.c). The space owns a copy of the words, so names and choices live as long
 * as it does. */
#include <math.h>
#include <stdio.h>

#include "base/num.h"
#include "tune/tune_int.h"

enum { WHERE_CHARS = 48 };

struct reading {
    struct am_tune_space *s;
    const struct am_node **when; /* [TUNE_DIMS_MAX] the condition of each dimension, or NULL */
    struct am_err *err;
};

static const char *where(uint32_t line, uint32_t column, char out[WHERE_CHARS])
{
    out[0] = 0;
    if (line)
        (void)snprintf(out, WHERE_CHARS, "line %u, column %u: ", line, column);
    return out;
}

struct at {
    uint32_t line, column;
    const char *path;
};
#define AT(node, path_) ((struct at){(node)->line, (node)->column, (path_)})

static enum am_rc wrong(struct reading *r, struct at at, const char *fmt, ...) AM_PRINTF(3, 4);
static enum am_rc wrong(struct reading *r, struct at at, const char *fmt, ...)
{
    char text[512], place[WHERE_CHARS];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, am_tr(fmt), ap);
    va_end(ap);
    return am_fail(r->err, AM_EUSAGE, "%stune.over: %s: %s", where(at.line, at.column, place),
                   at.path, text);
}

static enum am_rc add(struct reading *r, const struct tune_dim *d, const struct am_node *when)
{
    struct am_tune_space *s = r->s;
    if (s->n == TUNE_DIMS_MAX)
        return am_fail(r->err, AM_ELIMIT, "tune.over has more than %d dimensions", TUNE_DIMS_MAX);
    s->dims[s->n] = *d;
    r->when[s->n++] = when;
    return AM_OK;
}

/* ---- ranges ---- */

static const char *const range_words[] = {"float", "log", "int", "log_int", "choice", "list"};
enum { WORD_FLOAT, WORD_LOG, WORD_INT, WORD_LOG_INT, WORD_CHOICE, WORD_LIST, N_WORDS };

static enum am_rc two_numbers(struct reading *r, const struct am_node *v, const char *path,
                              const char *word, double out[2])
{
    if (v->kind != AM_NODE_LIST || v->list.n != 2 || !am_node_as_f64(v->list.items[0], &out[0]) ||
        !am_node_as_f64(v->list.items[1], &out[1]) || !isfinite(out[0]) || !isfinite(out[1]))
        return wrong(r, AT(v, path), "%s needs two numbers, the lowest and the highest", word);
    if (out[0] > out[1])
        return wrong(r, AT(v, path), "the range is reversed: %g is more than %g", out[0], out[1]);
    if (out[0] == out[1])
        return wrong(r, AT(v, path), "the range holds %g only, so there is nothing to search",
                     out[0]);
    return AM_OK;
}

static enum am_rc count_levels(struct reading *r, const struct am_node *v, struct tune_dim *d)
{
    double n;
    struct am_tune_param *p = &d->p;
    if (p->kind == AM_TUNE_FLOAT && p->step == 0)
        return AM_OK;
    n = floor((p->high - p->low) / p->step * (1 + 1e-12)) + 1;
    if (n > TUNE_LEVELS_MAX)
        return wrong(r, AT(v, p->path), "has more than %d values; use float or log",
                     TUNE_LEVELS_MAX);
    if (n < 2)
        return wrong(r, AT(v, p->path), "step %g leaves one value only", p->step);
    d->n_levels = (uint32_t)n;
    p->high = p->low + p->step * (n - 1);
    return AM_OK;
}

static enum am_rc read_range(struct reading *r, const struct am_node *spec, int word,
                             struct tune_dim *d)
{
    const struct am_node *v = am_node_get(spec, range_words[word]);
    const struct am_node *step = am_node_get(spec, "step");
    struct am_tune_param *p = &d->p;
    double at[2] = {0, 0};
    AM_TRY(two_numbers(r, v, p->path, range_words[word], at));
    p->log = word == WORD_LOG || word == WORD_LOG_INT;
    p->kind = word == WORD_INT || word == WORD_LOG_INT ? AM_TUNE_INT : AM_TUNE_FLOAT;
    p->low = at[0];
    p->high = at[1];
    if (p->log && at[0] <= 0)
        return wrong(r, AT(v, p->path), "the logarithm of %g does not exist; %s starts above zero",
                     at[0], range_words[word]);
    if (p->kind == AM_TUNE_INT) {
        if (at[0] != floor(at[0]) || at[1] != floor(at[1]) || fabs(at[0]) > 0x1p53 ||
            fabs(at[1]) > 0x1p53)
            return wrong(r, AT(v, p->path), "%s needs whole numbers, not %g to %g",
                         range_words[word], at[0], at[1]);
        p->step = 1;
    }
    if (step) {
        if (p->log)
            return wrong(r, AT(step, p->path), "%s takes no step", range_words[word]);
        if (!am_node_as_f64(step, &p->step) || !(p->step > 0) || !isfinite(p->step) ||
            (p->kind == AM_TUNE_INT && p->step != floor(p->step)))
            return wrong(r, AT(step, p->path),
                         "step is not a number above zero (a whole one for int)");
    }
    return count_levels(r, v, d);
}

bool am_tune_same_node(const struct am_node *a, const struct am_node *b, int depth)
{
    double x, y;
    struct am_str s, u;
    bool p, q;
    if (am_node_as_f64(a, &x) && am_node_as_f64(b, &y))
        return x == y;
    if (am_node_as_bool(a, &p) && am_node_as_bool(b, &q))
        return p == q;
    if (am_node_as_str(a, &s) && am_node_as_str(b, &u))
        return am_str_eq(s, u);
    if (a->kind == AM_NODE_LIST && b->kind == AM_NODE_LIST && a->list.n == b->list.n && depth < 8) {
        for (size_t i = 0; i < a->list.n; i++)
            if (!am_tune_same_node(a->list.items[i], b->list.items[i], depth + 1))
                return false;
        return true;
    }
    if (a->kind == AM_NODE_MAP && b->kind == AM_NODE_MAP && a->map.n == b->map.n && depth < 8) {
        for (size_t i = 0; i < a->map.n; i++) {
            const struct am_node *other = am_node_get_str(b, a->map.pairs[i].key);
            if (!other || !am_tune_same_node(a->map.pairs[i].value, other, depth + 1))
                return false;
        }
        return true;
    }
    return am_node_is_null(a) && am_node_is_null(b);
}

static enum am_rc read_choice(struct reading *r, const struct am_node *v, struct tune_dim *d)
{
    bool b;
    if (v->kind != AM_NODE_LIST)
        return wrong(r, AT(v, d->p.path), "choice is not a list of values");
    if (v->list.n == 0)
        return wrong(r, AT(v, d->p.path), "the list of values is empty");
    if (v->list.n == 1)
        return wrong(r, AT(v, d->p.path), "has one value only, so there is nothing to search");
    for (size_t i = 0; i < v->list.n; i++)
        for (size_t k = 0; k < i; k++)
            if (am_tune_same_node(v->list.items[i], v->list.items[k], 0))
                return wrong(r, AT(v->list.items[i], d->p.path),
                             "value %zu is the same as value %zu", i + 1, k + 1);
    d->p.kind = v->list.n == 2 && am_node_as_bool(v->list.items[0], &b) &&
                        am_node_as_bool(v->list.items[1], &b)
                    ? AM_TUNE_BOOL
                    : AM_TUNE_CHOICE;
    d->p.choices = (const struct am_node *const *)v->list.items;
    d->p.n_choices = v->list.n;
    d->n_levels = (uint32_t)v->list.n;
    return AM_OK;
}

/* ---- the words of one path ---- */

static const char *const all_words[] = {"float", "log",  "int",    "log_int", "choice",
                                        "list",  "step", "length", "when"};
enum { N_ALL_WORDS = sizeof all_words / sizeof *all_words };

static enum am_rc find_word(struct reading *r, const struct am_node *spec, const char *path,
                            int *word)
{
    *word = -1;
    for (size_t i = 0; i < spec->map.n; i++) {
        const struct am_pair *p = &spec->map.pairs[i];
        const char *near = am_str_nearest(p->key, all_words, N_ALL_WORDS);
        bool known = false;
        for (int k = 0; k < N_ALL_WORDS; k++)
            known |= am_str_is(p->key, all_words[k]);
        if (!known) {
            enum am_rc rc = wrong(r, AT(p, path), "unknown word \"%.*s\"", AM_FMT(p->key));
            if (near)
                (void)am_hint(r->err, "Did you mean \"%s\"?", near);
            return rc;
        }
        for (int k = 0; k < N_WORDS; k++)
            if (am_str_is(p->key, range_words[k])) {
                if (*word >= 0)
                    return wrong(r, AT(spec, path), "has %s and %s; one is enough",
                                 range_words[*word], range_words[k]);
                *word = k;
            }
    }
    if (*word < 0)
        return wrong(r, AT(spec, path),
                     "says no values; use one of float, log, int, log_int, choice, list");
    if (am_node_get(spec, "length") && *word != WORD_LIST)
        return wrong(r, AT(spec, path), "length goes with list, not with %s", range_words[*word]);
    if (am_node_get(spec, "step") && (*word == WORD_CHOICE || *word == WORD_LIST))
        return wrong(r, AT(spec, path), "step does not go with %s", range_words[*word]);
    return AM_OK;
}

/* spec is a list of choices or a map with one range word that is not "list". */
static enum am_rc read_plain(struct reading *r, const struct am_node *spec, struct tune_dim *d)
{
    int word = -1;
    if (spec->kind == AM_NODE_LIST)
        return read_choice(r, spec, d);
    if (spec->kind != AM_NODE_MAP)
        return wrong(r, AT(spec, d->p.path),
                     "is neither a list of values nor a map such as {log: [1e-4, 1e-1]}");
    AM_TRY(find_word(r, spec, d->p.path, &word));
    if (word == WORD_LIST)
        return wrong(r, AT(spec, d->p.path), "a list within a list is not searched");
    if (word == WORD_CHOICE)
        return read_choice(r, am_node_get(spec, "choice"), d);
    return read_range(r, spec, word, d);
}

static enum am_rc read_length(struct reading *r, const struct am_node *spec, const char *path,
                              uint32_t out[2])
{
    const struct am_node *v = am_node_get(spec, "length");
    int64_t lo = 0, hi = 0;
    if (!v)
        return wrong(r, AT(spec, path), "list says no length");
    if (am_node_as_i64(v, &lo))
        hi = lo;
    else if (v->kind != AM_NODE_LIST || v->list.n != 2 || !am_node_as_i64(v->list.items[0], &lo) ||
             !am_node_as_i64(v->list.items[1], &hi))
        return wrong(r, AT(v, path), "length is neither a whole number nor two of them");
    if (lo > hi)
        return wrong(r, AT(v, path), "the range is reversed: %lld is more than %lld", (long long)lo,
                     (long long)hi);
    if (lo < 0 || hi < 1 || hi > TUNE_DIMS_MAX / 2)
        return wrong(r, AT(v, path), "length is within 0 and %d", TUNE_DIMS_MAX / 2);
    out[0] = (uint32_t)lo;
    out[1] = (uint32_t)hi;
    return AM_OK;
}

/* A list is its length (unless fixed) and a dimension for each place, on when the length says so.
 */
static enum am_rc read_list(struct reading *r, const struct am_node *spec, struct tune_dim base,
                            const struct am_node *when)
{
    struct am_arena *a = r->s->arena;
    struct tune_dim d = base, place = base;
    uint32_t length[2] = {0, 0};
    int32_t parent = -1;
    AM_TRY(read_length(r, spec, base.p.path, length));
    if (length[0] < length[1]) {
        d.p.name = am_arena_printf(a, "%s.length", base.p.path).ptr;
        d.p.kind = AM_TUNE_INT;
        d.p.low = length[0];
        d.p.high = length[1];
        d.p.step = 1;
        d.p.list_position = -1;
        d.n_levels = length[1] - length[0] + 1;
        parent = (int32_t)r->s->n;
        AM_TRY(add(r, &d, when));
    }
    AM_TRY(read_plain(r, am_node_get(spec, "list"), &place));
    for (uint32_t i = 0; i < length[1]; i++) {
        uint32_t *level = am_arena_array(a, 1, sizeof *level);
        d = place;
        d.p.name = am_arena_printf(a, "%s.%u", base.p.path, i).ptr;
        d.p.list_position = (int32_t)i;
        if (parent >= 0 && level) {
            *level = i < length[0] ? 0 : i + 1 - length[0];
            d.when = TUNE_AT_LEAST;
            d.p.parent = parent;
            d.when_levels = level;
            d.n_when = 1;
            AM_TRY(add(r, &d, NULL));
        } else {
            AM_TRY(add(r, &d, when));
        }
    }
    return AM_OK;
}

static enum am_rc read_path(struct reading *r, const struct am_pair *pair)
{
    const struct am_node *spec = pair->value;
    struct am_str path = am_arena_str(r->s->arena, pair->key);
    struct tune_dim d = {.p = {.path = path.ptr,
                               .name = path.ptr,
                               .parent = -1,
                               .list_position = -2,
                               .line = pair->line,
                               .column = pair->column}};
    int word = -1;
    const struct am_node *when = NULL;
    AM_TRY(am_arena_check(r->s->arena, r->err));
    if (path.len == 0)
        return wrong(r, AT(pair, "\"\""), "a path has no name");
    if (spec->kind == AM_NODE_MAP) {
        if (spec->map.n == 0)
            return wrong(r, AT(spec, path.ptr), "is empty");
        when = am_node_get(spec, "when");
        AM_TRY(find_word(r, spec, path.ptr, &word));
        if (word == WORD_LIST)
            return read_list(r, spec, d, when);
    }
    AM_TRY(read_plain(r, spec, &d));
    return add(r, &d, when);
}

/* ---- conditions ---- */

static enum am_rc find_parent(struct reading *r, const struct am_node *when, const char *path,
                              int32_t *out)
{
    const char *names[TUNE_DIMS_MAX], *near;
    struct am_tune_space *s = r->s;
    enum am_rc rc;
    if (when->kind != AM_NODE_MAP || when->map.n != 1)
        return wrong(r, AT(when, path), "when is not a map of one path to its values");
    for (size_t i = 0; i < s->n; i++) {
        names[i] = s->dims[i].p.path;
        if (am_str_is(when->map.pairs[0].key, names[i]) && s->dims[i].p.list_position == -2) {
            *out = (int32_t)i;
            return AM_OK;
        }
    }
    near = am_str_nearest(when->map.pairs[0].key, names, s->n);
    rc = wrong(r, AT(&when->map.pairs[0], path), "when names \"%.*s\", which is not searched",
               AM_FMT(when->map.pairs[0].key));
    if (near)
        (void)am_hint(r->err, "Did you mean \"%s\"?", near);
    return rc;
}

static bool level_of(const struct tune_dim *d, const struct am_node *v, uint32_t *level)
{
    double x;
    if (d->p.kind == AM_TUNE_CHOICE || d->p.kind == AM_TUNE_BOOL) {
        for (size_t i = 0; i < d->p.n_choices; i++)
            if (am_tune_same_node(d->p.choices[i], v, 0)) {
                *level = (uint32_t)i;
                return true;
            }
        return false;
    }
    if (!am_node_as_f64(v, &x) || x < d->p.low || x > d->p.high)
        return false;
    *level = am_tune_level(d, am_tune_unit(d, x));
    return am_tune_value(d, am_tune_level_unit(d, *level)) == x;
}

static enum am_rc read_when(struct reading *r, size_t dim, const struct am_node *when)
{
    struct am_tune_space *s = r->s;
    struct tune_dim *d = &s->dims[dim];
    const struct am_node *v;
    uint32_t *levels;
    size_t n;
    AM_TRY(find_parent(r, when, d->p.path, &d->p.parent));
    const struct tune_dim *parent = &s->dims[d->p.parent];
    v = when->map.pairs[0].value;
    if (parent->n_levels == 0)
        return wrong(r, AT(when, d->p.path), "when names %s, which is continuous", parent->p.path);
    n = v->kind == AM_NODE_LIST ? v->list.n : 1;
    if (n == 0)
        return wrong(r, AT(v, d->p.path), "the list of values of when is empty");
    levels = am_arena_array(s->arena, n, sizeof *levels);
    if (!levels)
        return am_arena_check(s->arena, r->err);
    for (size_t i = 0; i < n; i++) {
        const struct am_node *one = v->kind == AM_NODE_LIST ? v->list.items[i] : v;
        if (!level_of(parent, one, &levels[i]))
            return wrong(r, AT(one, d->p.path), "when names a value that %s does not take",
                         parent->p.path);
    }
    d->when = TUNE_ONE_OF;
    d->when_levels = levels;
    d->n_when = n;
    return AM_OK;
}

/* Parents first; a dimension whose parents never come is in a circle. */
static enum am_rc put_in_order(struct reading *r)
{
    struct am_tune_space *s = r->s;
    bool placed[TUNE_DIMS_MAX] = {false};
    size_t n = 0, before;
    do {
        before = n;
        for (size_t i = 0; i < s->n; i++)
            if (!placed[i] && (s->dims[i].p.parent < 0 || placed[s->dims[i].p.parent])) {
                placed[i] = true;
                s->order[n++] = (uint32_t)i;
            }
    } while (n > before);
    for (size_t i = 0; i < s->n; i++)
        if (!placed[i])
            return wrong(r, AT(&s->dims[i].p, s->dims[i].p.path), "its conditions go in a circle");
    return AM_OK;
}

static enum am_rc read_space(struct reading *r, const struct am_node *over)
{
    struct am_tune_space *s = r->s;
    if (!over || over->kind != AM_NODE_MAP || over->map.n == 0) {
        char place[WHERE_CHARS];
        (void)am_fail(r->err, AM_EUSAGE, "%stune.over is empty: there is nothing to search",
                      over ? where(over->line, over->column, place) : "");
        (void)am_hint(r->err, "Name settings and their values, e.g. "
                              "over: {train.learning_rate: {log: [1e-4, 1e-1]}}.");
        return AM_EUSAGE;
    }
    s->over = am_node_copy(s->arena, over);
    s->dims = am_arena_array(s->arena, TUNE_DIMS_MAX, sizeof *s->dims);
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers */
    r->when = am_arena_array(s->arena, TUNE_DIMS_MAX, sizeof *r->when);
    AM_TRY(am_arena_check(s->arena, r->err));
    for (size_t i = 0; i < s->over->map.n; i++)
        AM_TRY(read_path(r, &s->over->map.pairs[i]));
    for (size_t i = 0; i < s->n; i++)
        if (r->when[i])
            AM_TRY(read_when(r, i, r->when[i]));
    AM_TRY(put_in_order(r));
    return am_arena_check(s->arena, r->err);
}

enum am_rc am_tune_space_parse(const struct am_node *over, struct am_tune_space **out,
                               struct am_err *err)
{
    struct am_arena *a = am_arena_new(0);
    struct reading r = {.err = err};
    enum am_rc rc;
    *out = NULL;
    if (!a)
        return am_fail_nomem(err, sizeof *r.s);
    r.s = am_arena_zalloc(a, sizeof *r.s);
    if (!r.s) {
        rc = am_arena_check(a, err);
        am_arena_free(a);
        return rc;
    }
    r.s->arena = a;
    rc = read_space(&r, over);
    if (rc) {
        /* a failed arena is the first cause of whatever came of it */
        if (am_arena_check(a, NULL))
            rc = am_arena_check(a, err);
        am_arena_free(a);
        return rc;
    }
    *out = r.s;
    return AM_OK;
}

void am_tune_space_free(struct am_tune_space *s)
{
    if (s)
        am_arena_free(s->arena);
}

size_t am_tune_space_n(const struct am_tune_space *s)
{
    return s->n;
}

const struct am_tune_param *am_tune_space_param(const struct am_tune_space *s, size_t i)
{
    return i < s->n ? &s->dims[i].p : NULL;
}

double am_tune_space_points(const struct am_tune_space *s)
{
    return am_tune_n_points(s, 0);
}
