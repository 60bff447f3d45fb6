/* Growth of the typed vector. Doubles, so pushing n elements costs O(n). */
#include "base/vec.h"

#include <stdint.h>

bool am_vec_grow_raw(void **ptr, size_t *cap, size_t n, size_t size)
{
    size_t want = *cap < 8 ? 8 : *cap;
    while (want < n) {
        if (want > SIZE_MAX / 2)
            return false;
        want *= 2;
    }
    void *grown = am_realloc_array(*ptr, want, size);
    if (!grown)
        return false;
    *ptr = grown;
    *cap = want;
    return true;
}
