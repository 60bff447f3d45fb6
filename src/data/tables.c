/* The parts of the table port that belong to the program: names of stored
 * types, the texts that mean missing. The engine itself is a driver. */
#include "data/tables.h"

const struct am_str am_csv_nulls[] = {
    AM_STR_INIT(""),     AM_STR_INIT("NA"),   AM_STR_INIT("N/A"),  AM_STR_INIT("n/a"),
    AM_STR_INIT("NaN"),  AM_STR_INIT("nan"),  AM_STR_INIT("NAN"),  AM_STR_INIT("-nan"),
    AM_STR_INIT("null"), AM_STR_INIT("NULL"), AM_STR_INIT("Null"), AM_STR_INIT("None"),
    AM_STR_INIT("none"), AM_STR_INIT("<NA>"), AM_STR_INIT("#N/A"), AM_STR_INIT("?"),
};
const size_t am_csv_n_nulls = sizeof am_csv_nulls / sizeof am_csv_nulls[0];

static const char *const names[] = {"double", "int", "bool", "text", "date", "blob", "other"};

const char *am_stored_type_name(enum am_stored_type t)
{
    return names[t];
}

bool am_stored_type_parse(struct am_str s, enum am_stored_type *out)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (am_str_is(s, names[i])) {
            *out = (enum am_stored_type)i;
            return true;
        }
    }
    return false;
}
