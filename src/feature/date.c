/* Parts of a date: proleptic Gregorian calendar, UTC, from microseconds since 1970 (any int64 is
 * valid).
 *
 * Civil days after Howard Hinnant, "chrono-compatible low-level date algorithms". No time zones, no
 * locale, no state; any thread. */
#include <math.h>

#include "base/num.h"
#include "feature/features_int.h"

#define US_DAY INT64_C(86400000000)
#define US_HOUR INT64_C(3600000000)

struct civil {
    int64_t year;
    unsigned month, day; /* 1-based */
};

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static struct civil civil_from_days(int64_t days)
{
    int64_t z = days + 719468;
    int64_t era = floor_div(z, 146097);
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    struct civil c;
    c.day = (unsigned)(doy - (153 * mp + 2) / 5 + 1);
    c.month = (unsigned)(mp < 10 ? mp + 3 : mp - 9);
    c.year = yoe + era * 400 + (c.month <= 2);
    return c;
}

static int64_t days_from_civil(int64_t y, unsigned m, unsigned d)
{
    y -= m <= 2;
    int64_t era = floor_div(y, 400);
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (m > 2 ? (int64_t)m - 3 : (int64_t)m + 9) + 2) / 5 + (int64_t)d - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

double am_fpart_value(enum am_fpart part, int64_t us)
{
    int64_t days = floor_div(us, US_DAY);
    switch (part) {
    case AM_FP_DAYS:
        return (double)us / (double)US_DAY;
    case AM_FP_YEAR:
        return (double)civil_from_days(days).year;
    case AM_FP_MONTH:
        return (double)civil_from_days(days).month;
    case AM_FP_DAY:
        return (double)civil_from_days(days).day;
    case AM_FP_WEEKDAY: { /* Monday = 0; 1970-01-01 was a Thursday */
        int64_t w = (days + 3) % 7;
        return (double)(w < 0 ? w + 7 : w);
    }
    default:
        return (double)((us - days * US_DAY) / US_HOUR);
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

/* n digits at *p, moved on; false when there are fewer */
static bool digits(struct am_str *s, unsigned n, unsigned *out)
{
    if (s->len < n)
        return false;
    unsigned v = 0;
    for (unsigned i = 0; i < n; i++) {
        char ch = s->ptr[i];
        if (ch < '0' || ch > '9')
            return false;
        v = v * 10 + (unsigned)(ch - '0');
    }
    s->ptr += n;
    s->len -= n;
    *out = v;
    return true;
}

static bool skip(struct am_str *s, char ch)
{
    if (s->len == 0 || s->ptr[0] != ch)
        return false;
    s->ptr++;
    s->len--;
    return true;
}

static bool parse_time(struct am_str *s, int64_t *us)
{
    unsigned h = 0, m = 0, sec = 0, digit = 0;
    if (!digits(s, 2, &h) || !skip(s, ':') || !digits(s, 2, &m) || h > 23 || m > 59)
        return false;
    if (skip(s, ':') && (!digits(s, 2, &sec) || sec > 59))
        return false;
    *us = ((int64_t)h * 3600 + (int64_t)m * 60 + sec) * 1000000;
    if (skip(s, '.')) {
        int64_t unit = 100000;
        if (!digits(s, 1, &digit))
            return false;
        do {
            *us += (int64_t)digit * unit;
            unit /= 10;
        } while (digits(s, 1, &digit));
    }
    return true;
}

bool am_fdate_parse(struct am_str s, int64_t *us)
{
    static const unsigned char month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    unsigned y, m, d;
    if (!digits(&s, 4, &y) || !skip(&s, '-') || !digits(&s, 2, &m) || !skip(&s, '-') ||
        !digits(&s, 2, &d) || m < 1 || m > 12 || d < 1)
        return false;
    bool leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
    if (d > month_days[m - 1] + (unsigned)(m == 2 && leap))
        return false;
    int64_t time = 0;
    if ((skip(&s, 'T') || skip(&s, ' ')) && !parse_time(&s, &time))
        return false;
    skip(&s, 'Z');
    *us = days_from_civil(y, m, d) * US_DAY + time;
    return s.len == 0;
}
