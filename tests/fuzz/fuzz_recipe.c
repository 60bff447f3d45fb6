/* Any bytes as a recipe: checked, resolved, printed again; never a crash. */
#include "pipeline/recipe.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct am_arena *a = am_arena_new((size_t)64 << 20);
    struct am_recipe r;
    struct am_err err;
    struct am_buf out;
    am_buf_init(&out, (size_t)16 << 20);
    if (a && am_recipe_load(a, (struct am_str){(const char *)data, size}, "fuzz", NULL, 0, &r,
                            &err) == AM_OK)
        am_node_to_yaml(r.resolved, &out);
    am_buf_clear(&out);
    am_arena_free(a);
    return 0;
}
