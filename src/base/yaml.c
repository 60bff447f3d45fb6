/* YAML in, through libyaml's events: one document; anchors, aliases, tags, merge and duplicate keys refused
 * with line and column; an explicit stack, so depth is bounded. Scalars stay text. */
#include <stdio.h>
#include <yaml.h>

#include "base/limits.h"
#include "base/tree.h"

struct reader {
    struct am_arena *a;
    const char *what;
    struct am_err *err;
    yaml_parser_t parser;
    struct am_node *stack[AM_LIMIT_JSON_DEPTH];
    struct am_str keys[AM_LIMIT_JSON_DEPTH]; /* waiting for its value; ptr NULL = none */
    uint32_t key_line[AM_LIMIT_JSON_DEPTH], key_column[AM_LIMIT_JSON_DEPTH];
    size_t depth, n_keys;
    struct am_node *root;
};

static enum am_rc at_mark(struct reader *r, yaml_mark_t m, const char *why, const char *hint)
{
    am_fail(r->err, AM_EINVAL, "%s, line %zu, column %zu: %s", r->what, m.line + 1, m.column + 1, am_tr(why));
    if (hint)
        am_hint(r->err, "%s", am_tr(hint));
    return AM_EINVAL;
}

/* Put a finished or opened node where it belongs. */
static enum am_rc place(struct reader *r, struct am_node *n, yaml_mark_t m)
{
    AM_TRY(am_arena_check(r->a, r->err));
    n->line = (uint32_t)m.line + 1;
    n->column = (uint32_t)m.column + 1;
    if (r->depth == 0) {
        r->root = n;
        return AM_OK;
    }
    struct am_node *top = r->stack[r->depth - 1];
    if (top->kind == AM_NODE_LIST) {
        am_node_push(r->a, top, n);
        return am_arena_check(r->a, r->err);
    }
    struct am_str *key = &r->keys[r->depth - 1];
    if (!key->ptr) {
        if (n->kind != AM_NODE_TEXT)
            return at_mark(r, m, "a key must be text", NULL);
        if (am_str_is(n->text, "<<") && n->plain)
            return at_mark(r, m, "merge keys are not allowed", "Write the keys out.");
        if (am_node_get_str(top, n->text)) {
            am_fail(r->err, AM_EINVAL, "%s, line %zu, column %zu: key \"%.*s\" stands twice", r->what,
                    m.line + 1, m.column + 1, AM_FMT(n->text));
            am_hint(r->err, "Keep one of them.");
            return AM_EINVAL;
        }
        if (++r->n_keys > AM_LIMIT_JSON_KEYS)
            return at_mark(r, m, "too many keys", NULL);
        *key = n->text;
        r->key_line[r->depth - 1] = n->line;
        r->key_column[r->depth - 1] = n->column;
        return AM_OK;
    }
    am_node_set_str(r->a, top, *key, n);
    AM_TRY(am_arena_check(r->a, r->err));
    struct am_pair *p = &top->map.pairs[top->map.n - 1];
    p->line = r->key_line[r->depth - 1];
    p->column = r->key_column[r->depth - 1];
    key->ptr = NULL;
    return AM_OK;
}

static enum am_rc open_node(struct reader *r, struct am_node *n, yaml_mark_t m)
{
    if (r->depth == AM_LIMIT_JSON_DEPTH) {
        am_fail(r->err, AM_ELIMIT, "%s, line %zu, column %zu: nested more than %d deep", r->what, m.line + 1,
                m.column + 1, AM_LIMIT_JSON_DEPTH);
        return AM_ELIMIT;
    }
    if (r->depth && r->stack[r->depth - 1]->kind == AM_NODE_MAP && !r->keys[r->depth - 1].ptr)
        return at_mark(r, m, "a key must be text", NULL);
    AM_TRY(place(r, n, m));
    r->keys[r->depth].ptr = NULL;
    r->stack[r->depth++] = n;
    return AM_OK;
}

static enum am_rc scalar(struct reader *r, const yaml_event_t *e)
{
    struct am_str s = {(const char *)e->data.scalar.value, e->data.scalar.length};
    struct am_node *n;
    if (e->data.scalar.anchor)
        return at_mark(r, e->start_mark, "anchors are not allowed", "Write the value out.");
    if (e->data.scalar.tag)
        return at_mark(r, e->start_mark, "tags are not allowed", "Types come from the key, not from a tag.");
    if (s.len > AM_LIMIT_JSON_STRING_BYTES)
        return at_mark(r, e->start_mark, "a text is too long", NULL);
    n = am_new_str(r->a, s);
    AM_TRY(am_arena_check(r->a, r->err));
    n->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return place(r, n, e->start_mark);
}

static enum am_rc handle(struct reader *r, const yaml_event_t *e, bool *end)
{
    switch (e->type) {
    case YAML_ALIAS_EVENT:
        return at_mark(r, e->start_mark, "aliases are not allowed", "Write the value out.");
    case YAML_SCALAR_EVENT:
        return scalar(r, e);
    case YAML_SEQUENCE_START_EVENT:
        if (e->data.sequence_start.anchor || e->data.sequence_start.tag)
            return at_mark(r, e->start_mark, "anchors and tags are not allowed", "Write the value out.");
        return open_node(r, am_new_list(r->a), e->start_mark);
    case YAML_MAPPING_START_EVENT:
        if (e->data.mapping_start.anchor || e->data.mapping_start.tag)
            return at_mark(r, e->start_mark, "anchors and tags are not allowed", "Write the value out.");
        return open_node(r, am_new_map(r->a), e->start_mark);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        r->depth--;
        return AM_OK;
    case YAML_DOCUMENT_START_EVENT:
        if (r->root)
            return at_mark(r, e->start_mark, "a second document begins", "One file holds one document.");
        return AM_OK;
    case YAML_STREAM_END_EVENT:
        *end = true;
        return AM_OK;
    default:
        return AM_OK;
    }
}

static enum am_rc parser_error(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR)
        return am_fail_nomem(r->err, 0);
    if (p->error == YAML_READER_ERROR) {
        am_fail(r->err, AM_EINVAL, "%s is not UTF-8 text: %s at byte %zu", r->what,
                p->problem ? p->problem : "?", p->problem_offset);
        return AM_EINVAL;
    }
    am_fail(r->err, AM_EINVAL, "%s, line %zu, column %zu: not valid YAML: %s", r->what,
            p->problem_mark.line + 1, p->problem_mark.column + 1, p->problem ? p->problem : "?");
    return AM_EINVAL;
}

/* libyaml recurses nowhere, but keeps every open bracket: bound them before it sees the text. */
static enum am_rc check_flow_depth(struct am_str text, const char *what, struct am_err *err)
{
    size_t run = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        run = c == '[' || c == '{' ? run + 1 : c == ']' || c == '}' || c == '\n' ? 0 : run;
        if (run > 4 * AM_LIMIT_JSON_DEPTH)
            return am_fail(err, AM_ELIMIT, "%s: nested more than %d deep", what, AM_LIMIT_JSON_DEPTH);
    }
    return AM_OK;
}

enum am_rc am_yaml_parse(struct am_arena *a, struct am_str text, const char *what, struct am_node **out,
                         struct am_err *err)
{
    struct reader r = {.a = a, .what = what, .err = err};
    enum am_rc rc = AM_OK;
    bool end = false;
    AM_TRY(check_flow_depth(text, what, err));
    if (!yaml_parser_initialize(&r.parser))
        return am_fail_nomem(err, sizeof r.parser);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)(text.ptr ? text.ptr : ""), text.len);
    while (!end && rc == AM_OK) {
        yaml_event_t e;
        if (!yaml_parser_parse(&r.parser, &e)) {
            rc = parser_error(&r);
            break;
        }
        rc = handle(&r, &e, &end);
        yaml_event_delete(&e);
    }
    yaml_parser_delete(&r.parser);
    if (rc == AM_OK && !r.root) {
        r.root = am_new_null(a);
        rc = am_arena_check(a, err);
    }
    if (rc == AM_OK)
        *out = r.root;
    return rc;
}
