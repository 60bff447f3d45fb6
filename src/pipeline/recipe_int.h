/* Shared by the files of the recipe only. */
#ifndef AM_PIPELINE_RECIPE_INT_H
#define AM_PIPELINE_RECIPE_INT_H

#include "pipeline/recipe.h"

#define AM_RECIPE_SEGMENTS 8

/* A dotted place in the recipe as segments, since column names may hold dots. */
struct am_recipe_path {
    struct am_str seg[AM_RECIPE_SEGMENTS];
    size_t n;
};

const struct am_recipe_key *am_recipe_general(size_t *n);
/* Does a row's path name this place? Exactly, or through `*` segments (then *wild is set). */
bool am_recipe_match(const char *row_path, const struct am_recipe_path *p, bool *wild);
/* The row of a place, exact before wildcard; NULL = unknown. */
const struct am_recipe_key *am_recipe_find(const struct am_recipe_path *p);
/* Rules between fields of a resolved recipe (recipe_rules.c). */
enum am_rc am_recipe_check_rules(const struct am_node *resolved,
                                 const struct am_recipe_origin *origin, struct am_err *err);
/* "recipe.yaml, line 3, column 5", "--set train.epochs" for what came from that flag (such nodes
 * have line 0 and the number of the set, from 1, as column), or "recipe.yaml" for a built node. */
void am_recipe_where(const struct am_node *n, const struct am_recipe_origin *origin, char *out,
                     size_t cap);

#endif
