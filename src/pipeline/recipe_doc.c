/* What is generated from the recipe's table: the JSON Schema (draft 2020-12) that editors complete
 * with, and the Markdown of docs/RECIPE.md. Nothing here checks a recipe. */
#include "pipeline/recipe_int.h"

static void set_type(struct am_arena *a, struct am_node *types, const char *name)
{
    am_node_push(a, types, am_new_cstr(a, name));
}

static struct am_node *array_of(struct am_arena *a, const char *type)
{
    struct am_node *s = am_new_map(a), *item = am_new_map(a);
    am_node_set(a, s, "type", am_new_cstr(a, "array"));
    am_node_set(a, item, "type", am_new_cstr(a, type));
    am_node_set(a, s, "items", item);
    return s;
}

static void set_scalar(struct am_arena *a, struct am_node *any, const struct am_recipe_key *row)
{
    struct am_node *s = am_new_map(a), *types = am_new_list(a);
    unsigned scalar = AM_KEY_BOOL | AM_KEY_INT | AM_KEY_NUMBER | AM_KEY_TEXT | AM_KEY_NULL;
    if (!(row->types & scalar))
        return;
    if (row->types & AM_KEY_BOOL)
        set_type(a, types, "boolean");
    if (row->types & AM_KEY_NUMBER)
        set_type(a, types, "number");
    else if (row->types & AM_KEY_INT)
        set_type(a, types, "integer");
    if (row->types & AM_KEY_TEXT)
        set_type(a, types, "string");
    if (row->types & AM_KEY_NULL)
        set_type(a, types, "null");
    am_node_set(a, s, "type", types);
    if (row->min < row->max) {
        am_node_set(a, s, "minimum", am_new_f64(a, row->min));
        am_node_set(a, s, "maximum", am_new_f64(a, row->max));
    }
    am_node_push(a, any, s);
}

static void set_choices(struct am_arena *a, struct am_node *any, const char *choices)
{
    struct am_node *s = am_new_map(a), *list = am_new_list(a);
    for (const char *p = choices; *p;) {
        size_t n = strcspn(p, "|");
        am_node_push(a, list, am_new_str(a, (struct am_str){p, n}));
        p += n + (p[n] == '|');
    }
    am_node_set(a, s, "enum", list);
    am_node_push(a, any, s);
}

/* The schema node of one row, made at first need under its parent. */
static struct am_node *place(struct am_arena *a, struct am_node *root, const char *path)
{
    struct am_node *at = root;
    for (const char *p = path; at && *p;) {
        size_t n = strcspn(p, ".");
        struct am_node *box, *next;
        if (n == 1 && *p == '*') {
            next = am_node_get(at, "additionalProperties");
            if (!next || next->kind != AM_NODE_MAP) {
                next = am_new_map(a);
                am_node_set(a, at, "additionalProperties", next);
            }
        } else {
            if (!am_node_get(at, "properties")) {
                am_node_set(a, at, "properties", am_new_map(a));
                if (!am_node_get(at, "additionalProperties"))
                    am_node_set(a, at, "additionalProperties", am_new_bool(a, false));
            }
            box = am_node_get(at, "properties");
            next = am_node_get_str(box, (struct am_str){p, n});
            if (!next) {
                next = am_new_map(a);
                am_node_set_str(a, box, (struct am_str){p, n}, next);
            }
        }
        at = next;
        p += n + (p[n] == '.');
    }
    return at;
}

struct am_node *am_recipe_schema(struct am_arena *a)
{
    const struct am_recipe_key *rows;
    size_t n = am_recipe_table(&rows);
    struct am_node *root = am_new_map(a), *required = am_new_list(a);
    am_node_set(a, root, "$schema", am_new_cstr(a, "https://json-schema.org/draft/2020-12/schema"));
    am_node_set(a, root, "title", am_new_cstr(a, "AI Mass recipe"));
    am_node_set(a, root, "type", am_new_cstr(a, "object"));
    for (size_t i = 0; i < n; i++) {
        struct am_node *s = place(a, root, rows[i].path), *any = am_new_list(a);
        am_node_set(a, s, "description", am_new_cstr(a, rows[i].doc));
        if (rows[i].types == AM_KEY_MAP)
            continue; /* properties of an object are enough */
        set_scalar(a, any, &rows[i]);
        if (rows[i].types & AM_KEY_ENUM)
            set_choices(a, any, rows[i].choices);
        if (rows[i].types & AM_KEY_TEXTS)
            am_node_push(a, any, array_of(a, "string"));
        if (rows[i].types & AM_KEY_INTS)
            am_node_push(a, any, array_of(a, "integer"));
        if (rows[i].types & AM_KEY_MAPS)
            am_node_push(a, any, array_of(a, "object"));
        if (rows[i].types & AM_KEY_MAP) {
            struct am_node *m = am_new_map(a);
            am_node_set(a, m, "type", am_new_cstr(a, "object"));
            am_node_push(a, any, m);
        }
        am_node_set(a, s, "anyOf", any);
        if (rows[i].otherwise)
            am_node_set(a, s, "default", am_new_cstr(a, rows[i].otherwise));
    }
    am_node_push(a, required, am_new_cstr(a, "data"));
    am_node_set(a, root, "required", required);
    return root;
}

void am_recipe_markdown(struct am_buf *out)
{
    const struct am_recipe_key *rows;
    size_t n = am_recipe_table(&rows);
    am_buf_cstr(out, "| key | value | default | meaning |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < n; i++) {
        static const struct {
            unsigned bit;
            const char *name;
        } names[] = {{AM_KEY_BOOL, "boolean"},
                     {AM_KEY_INT, "integer"},
                     {AM_KEY_NUMBER, "number"},
                     {AM_KEY_TEXT, "text"},
                     {AM_KEY_TEXTS, "list of text"},
                     {AM_KEY_INTS, "list of integers"},
                     {AM_KEY_MAP, "map"},
                     {AM_KEY_MAPS, "list of maps"},
                     {AM_KEY_NULL, "null"}};
        const char *sep = "";
        am_buf_printf(out, "| `%s` | ", rows[i].path);
        for (const char *p = rows[i].choices; p && *p;) {
            size_t k = strcspn(p, "|");
            am_buf_printf(out, "%s`%.*s`", sep, (int)k, p);
            sep = ", ";
            p += k + (p[k] == '|');
        }
        for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
            if (rows[i].types & names[k].bit) {
                am_buf_printf(out, "%s%s", sep, names[k].name);
                sep = ", ";
            }
        if (rows[i].min < rows[i].max)
            am_buf_printf(out, " %g..%g", rows[i].min, rows[i].max);
        if (rows[i].otherwise)
            am_buf_printf(out, " | `%s` | %s |\n", rows[i].otherwise, rows[i].doc);
        else
            am_buf_printf(out, " |  | %s |\n", rows[i].doc);
    }
}
