/* Dates of the proleptic Gregorian calendar as microseconds since 1970-01-01 UTC: text to number
 * and back. The one parser of the product (requests, the C API, recipes, filters).
 *
 * ISO 8601 in the forms that people and JSON write; no locales, no zone names, no leap seconds.
 * Civil days after Howard Hinnant, "chrono-compatible low-level date algorithms". No state; any
 * thread. */
#ifndef AM_BASE_DATE_H
#define AM_BASE_DATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define AM_US_PER_DAY INT64_C(86400000000)

struct am_civil {
    int64_t year;
    unsigned month, day; /* 1-based */
};

/* Days since 1970-01-01; every day that int64 microseconds can hold, and more. */
struct am_civil am_civil_of_days(int64_t days);
int64_t am_days_of_civil(int64_t year, unsigned month, unsigned day);

/* "2026-11-21", "2026-11-21T13:17", "2026-11-21 13:17:04.25", each with a time also with Z or an
 * offset
 * ("+01:00", "-0430"). Fractions beyond microseconds are cut. Years 0000 to 9999. false when it is
 * none (then *us is as it was). */
bool am_date_parse(struct am_str s, int64_t *us);

#define AM_DATE_CHARS 40
/* "2026-11-21" at midnight, else "2026-11-21T13:17:04Z", with as many digits of a second as are
 * needed. Years outside 0000 to 9999 are written with a sign. Any int64. */
void am_date_print(int64_t us, char out[AM_DATE_CHARS]);

#endif
