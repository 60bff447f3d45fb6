/* Column types by name, and columns by name. Everything else of a table is data in frame.h.
 *
 * No state, no allocation; any thread. */
#include "tensor/frame.h"

static const char *const type_names[] = {
    [AM_COL_NUMBER] = "number", [AM_COL_BOOLEAN] = "boolean", [AM_COL_CATEGORY] = "category",
    [AM_COL_TEXT] = "text",     [AM_COL_DATE] = "date",       [AM_COL_IMAGE] = "image",
    [AM_COL_AUDIO] = "audio",   [AM_COL_VIDEO] = "video",
};
#define N_TYPES (sizeof type_names / sizeof type_names[0])

const char *am_col_type_name(enum am_col_type t)
{
    return (unsigned)t < N_TYPES ? type_names[t] : "unknown";
}

bool am_col_type_parse(struct am_str s, enum am_col_type *out)
{
    for (unsigned i = 0; i < N_TYPES; i++) {
        if (am_str_is(s, type_names[i])) {
            *out = (enum am_col_type)i;
            return true;
        }
    }
    return false;
}

size_t am_schema_find(const struct am_schema *s, struct am_str name)
{
    for (size_t i = 0; i < s->n; i++) {
        if (am_str_eq(s->columns[i].name, name))
            return i;
    }
    return SIZE_MAX;
}
