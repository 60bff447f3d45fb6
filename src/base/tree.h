/* Trees of values read from JSON (jansson) or YAML (libyaml), or built in memory; printed as JSON
 * or YAML.
 *
 * Every node lives in an arena and remembers line and column (1-based, 0 = built in memory). YAML
 * scalars stay text until a typed getter asks: `no` is a string where a string is asked, `1e-5` a
 * number where a number is. Builders accept failed (NULL) nodes and let the arena's failure stick:
 * check the arena once. Maps keep insertion order; lookups are linear up to 8 keys and hashed
 * above. One thread at a time; finished trees may be read by many. */
#ifndef AM_BASE_TREE_H
#define AM_BASE_TREE_H

#include "base/arena.h"

enum am_node_kind {
    AM_NODE_NULL,
    AM_NODE_BOOL,
    AM_NODE_INT,
    AM_NODE_REAL,
    AM_NODE_TEXT,
    AM_NODE_LIST,
    AM_NODE_MAP
};

struct am_node;
struct am_pair {
    struct am_str key;
    uint32_t line, column; /* of the key */
    struct am_node *value;
};
struct am_node {
    enum am_node_kind kind;
    bool plain; /* AM_NODE_TEXT: an unquoted YAML scalar, may be read as number or boolean */
    uint32_t line, column;
    union {
        bool boolean;
        int64_t integer;
        double real;
        struct am_str text;
        struct {
            struct am_node **items;
            size_t n, cap;
        } list;
        struct {
            struct am_pair *pairs;
            size_t n, cap;
        } map;
    };
};

/* Strict JSON: duplicate keys, trailing bytes, invalid UTF-8, depth over AM_LIMIT_JSON_DEPTH
 * refused with line and column in the message. `what` names the document in errors. */
enum am_rc am_json_parse(struct am_arena *a, struct am_str text, const char *what,
                         struct am_node **out, struct am_err *err) AM_MUST_CHECK;
/* YAML 1.1 subset: one document; no anchors, aliases, tags, duplicate keys, merge keys. JSON is
 * accepted. */
enum am_rc am_yaml_parse(struct am_arena *a, struct am_str text, const char *what,
                         struct am_node **out, struct am_err *err) AM_MUST_CHECK;

/* Lookups; NULL when absent, when m is NULL or not a map. */
struct am_node *am_node_get(const struct am_node *m, const char *key);
struct am_node *am_node_get_str(const struct am_node *m, struct am_str key);
/* "train.learning_rate" */
struct am_node *am_node_path(const struct am_node *m, const char *dotted);

/* Typed reads: false when the node (or NULL) is not of that type. Plain YAML text is converted:
 * booleans are true/false only; null is null, ~ or empty. */
bool am_node_is_null(const struct am_node *n);
bool am_node_as_bool(const struct am_node *n, bool *out);
bool am_node_as_i64(const struct am_node *n, int64_t *out);
bool am_node_as_f64(const struct am_node *n, double *out);
bool am_node_as_str(const struct am_node *n, struct am_str *out); /* TEXT only */
/* With a default when the key is absent or of another type (for trees that we wrote ourselves). */
double am_node_f64(const struct am_node *m, const char *key, double otherwise);
int64_t am_node_i64(const struct am_node *m, const char *key, int64_t otherwise);
bool am_node_bool(const struct am_node *m, const char *key, bool otherwise);
struct am_str am_node_str(const struct am_node *m, const char *key, const char *otherwise);

/* Builders. Keys given as C strings are borrowed when literal: am_node_set copies neither key nor
 * value; am_node_set_str copies the key into the arena. Setting an existing key replaces its value.
 */
struct am_node *am_new_null(struct am_arena *a);
struct am_node *am_new_bool(struct am_arena *a, bool v);
struct am_node *am_new_i64(struct am_arena *a, int64_t v);
struct am_node *am_new_f64(struct am_arena *a, double v);
struct am_node *am_new_str(struct am_arena *a, struct am_str v); /* copies */
struct am_node *am_new_cstr(struct am_arena *a, const char *v);  /* copies; NULL -> null */
struct am_node *am_new_list(struct am_arena *a);
struct am_node *am_new_map(struct am_arena *a);
void am_node_push(struct am_arena *a, struct am_node *list, struct am_node *v);
void am_node_set(struct am_arena *a, struct am_node *map, const char *key, struct am_node *v);
void am_node_set_str(struct am_arena *a, struct am_node *map, struct am_str key, struct am_node *v);
struct am_node *am_node_copy(struct am_arena *a, const struct am_node *n); /* deep, all into a */

enum am_json_style { AM_JSON_COMPACT, AM_JSON_PRETTY };
/* Non-finite reals print as null (JSON) so that the text is always valid. */
void am_node_to_json(const struct am_node *n, enum am_json_style style, struct am_buf *out);
void am_node_to_yaml(const struct am_node *n, struct am_buf *out);
void am_json_quote(struct am_buf *out, struct am_str s); /* with the quotes */

#endif
