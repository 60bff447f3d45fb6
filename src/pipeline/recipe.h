/* The recipe: its table of keys, the checker, the resolver and the JSON Schema made from the same
 * table.
 *
 * A recipe is a YAML (or JSON) document; am_recipe_load checks it key by key (unknown keys get the
 * nearest name, line and column), applies `--set` values, checks rules between fields, and fills
 * every default, so that the resolved tree says all. It knows nothing of the data:
 * am_recipe_check_columns does that once the schema is known. Owns nothing but its arena's nodes;
 * one thread at a time. */
#ifndef AM_PIPELINE_RECIPE_H
#define AM_PIPELINE_RECIPE_H

#include "base/tree.h"
#include "tensor/frame.h"

enum am_key_type { /* bits: a key may allow several */
                   AM_KEY_BOOL = 1,
                   AM_KEY_INT = 2,
                   AM_KEY_NUMBER = 4,
                   AM_KEY_TEXT = 8,
                   AM_KEY_ENUM = 16,  /* one of `choices` */
                   AM_KEY_TEXTS = 32, /* list of text */
                   AM_KEY_INTS = 64,  /* list of integers */
                   AM_KEY_MAP = 128,  /* the rows below it name its keys */
                   AM_KEY_NULL = 256,
                   AM_KEY_MAPS = 512, /* list of maps, checked by whom it is for */
};

struct am_recipe_key {
    const char *path;      /* "train.learning_rate"; a `*` segment stands for any name */
    unsigned types;        /* enum am_key_type bits */
    const char *choices;   /* "a|b|c" for AM_KEY_ENUM, else NULL */
    double min, max;       /* of numbers; equal = no bound */
    const char *otherwise; /* default as YAML text; NULL = none */
    const char *doc;       /* one sentence */
};

/* A key set from outside the file: "train.epochs=5". */
struct am_recipe_set {
    struct am_str path;
    struct am_str value; /* YAML text */
};

/* Where keys come from, for messages: the document and the flags; borrowed by the recipe. */
struct am_recipe_origin {
    const char *what;
    const struct am_recipe_set *sets;
    size_t n_sets;
};

struct am_recipe {
    struct am_recipe_origin origin;
    struct am_node *given;    /* what the file and --set said */
    struct am_node *resolved; /* with every default */
};

/* All rows: the general ones, then `features.*` and `model` (per type). n rows at *out, static. */
size_t am_recipe_table(const struct am_recipe_key **out);
/* The recipe's JSON Schema (draft 2020-12) as a tree. */
struct am_node *am_recipe_schema(struct am_arena *a);
/* The table as a Markdown table, for docs/RECIPE.md. */
void am_recipe_markdown(struct am_buf *out);

/* `what` names the document in messages. AM_EUSAGE with line and column on every error, or with the
 * flag when the value came from a set. `what` and `sets` live as long as the recipe is used. */
enum am_rc am_recipe_load(struct am_arena *a, struct am_str text, const char *what,
                          const struct am_recipe_set *sets, size_t n_sets, struct am_recipe *out,
                          struct am_err *err) AM_MUST_CHECK;
/* The recipe with settings over what its document and flags said, checked and resolved anew: a
 * candidate. `sets` and base's nodes live as long as the candidate is used. */
enum am_rc am_recipe_with(struct am_arena *a, const struct am_recipe *base,
                          const struct am_recipe_set *sets, size_t n_sets, struct am_recipe *out,
                          struct am_err *err) AM_MUST_CHECK;
/* Is there such a path, and does the value fit its type and range? Nothing else of the recipe is
 * looked at. AM_EUSAGE with the nearest known name. */
enum am_rc am_recipe_check_setting(struct am_arena *a, const struct am_recipe *r,
                                   const struct am_recipe_set *set,
                                   struct am_err *err) AM_MUST_CHECK;
/* Is data.task of the resolved recipe anomaly or embedding, so that there need not be a target? */
bool am_recipe_learns_rows(const struct am_node *resolved);
/* Names in the recipe against the data's own columns: target, ids, types, features, split columns.
 */
enum am_rc am_recipe_check_columns(const struct am_recipe *r, const struct am_schema *schema,
                                   struct am_err *err) AM_MUST_CHECK;

#endif
