/* Categories by number and numbers by category, for those who make lists of them. Applying side;
 * any thread. */
#include "feature/features_int.h"

const struct am_str *am_features_categories(const struct am_features *f, size_t i, size_t *n)
{
    *n = 0;
    if (i >= f->n || f->cols[i].n_categories == 0)
        return NULL;
    *n = f->cols[i].n_categories;
    return f->cols[i].categories;
}

size_t am_features_category(const struct am_features *f, size_t i, struct am_str name)
{
    const uint64_t *at = i < f->n ? am_map_get(&f->cols[i].map, name) : NULL;
    return at ? (size_t)*at : SIZE_MAX;
}
