/* Parts of a date as numbers: year, month, day, weekday, hour, from microseconds since 1970 UTC
 * (any int64 is valid). The calendar is base/date.h. No state; any thread. */
#include "base/date.h"
#include "feature/features_int.h"

#define US_HOUR INT64_C(3600000000)

double am_fpart_value(enum am_fpart part, int64_t us)
{
    int64_t days = us / AM_US_PER_DAY - (us % AM_US_PER_DAY < 0);
    switch (part) {
    case AM_FP_DAYS:
        return (double)us / (double)AM_US_PER_DAY;
    case AM_FP_YEAR:
        return (double)am_civil_of_days(days).year;
    case AM_FP_MONTH:
        return (double)am_civil_of_days(days).month;
    case AM_FP_DAY:
        return (double)am_civil_of_days(days).day;
    case AM_FP_WEEKDAY: { /* Monday = 0; 1970-01-01 was a Thursday */
        int64_t w = (days + 3) % 7;
        return (double)(w < 0 ? w + 7 : w);
    }
    default:
        return (double)((us - days * AM_US_PER_DAY) / US_HOUR);
    }
}

double am_fpart_period(enum am_fpart part)
{
    switch (part) {
    case AM_FP_MONTH:
        return 12;
    case AM_FP_DAY:
        return 31;
    case AM_FP_WEEKDAY:
        return 7;
    case AM_FP_HOUR:
        return 24;
    default:
        return 0;
    }
}
