/* Dates as microseconds since 1970; see date.h. Hot: prediction requests parse a cell at a time. */
#include "base/date.h"

#include <stdio.h>

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

struct am_civil am_civil_of_days(int64_t days)
{
    int64_t z = days + 719468;
    int64_t era = floor_div(z, 146097);
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    struct am_civil c;
    c.day = (unsigned)(doy - (153 * mp + 2) / 5 + 1);
    c.month = (unsigned)(mp < 10 ? mp + 3 : mp - 9);
    c.year = yoe + era * 400 + (c.month <= 2);
    return c;
}

int64_t am_days_of_civil(int64_t year, unsigned month, unsigned day)
{
    int64_t y = year - (month <= 2);
    int64_t era = floor_div(y, 400);
    int64_t yoe = y - era * 400;
    int64_t doy =
        (153 * (month > 2 ? (int64_t)month - 3 : (int64_t)month + 9) + 2) / 5 + (int64_t)day - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

struct cursor {
    const char *p, *end;
};

static bool digits(struct cursor *c, int n, unsigned *out)
{
    unsigned v = 0;
    if (c->end - c->p < n)
        return false;
    for (int i = 0; i < n; i++, c->p++) {
        if (*c->p < '0' || *c->p > '9')
            return false;
        v = v * 10 + (unsigned)(*c->p - '0');
    }
    *out = v;
    return true;
}

static bool take(struct cursor *c, char ch)
{
    if (c->p == c->end || *c->p != ch)
        return false;
    c->p++;
    return true;
}

static bool take_day(struct cursor *c, int64_t *days)
{
    static const unsigned char lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    unsigned y, m, d;
    if (!digits(c, 4, &y) || !take(c, '-') || !digits(c, 2, &m) || !take(c, '-') ||
        !digits(c, 2, &d))
        return false;
    bool leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
    if (m < 1 || m > 12 || d < 1 || d > lengths[m - 1] + (unsigned)(m == 2 && leap))
        return false;
    *days = am_days_of_civil(y, m, d);
    return true;
}

static bool take_time(struct cursor *c, int64_t *us)
{
    unsigned h, m, s = 0;
    int64_t fraction = 0;
    if (!digits(c, 2, &h) || !take(c, ':') || !digits(c, 2, &m))
        return false;
    if (take(c, ':')) {
        if (!digits(c, 2, &s))
            return false;
        if (take(c, '.')) {
            int64_t unit = 100000;
            const char *begin = c->p;
            for (; c->p < c->end && *c->p >= '0' && *c->p <= '9'; c->p++, unit /= 10)
                fraction += unit * (*c->p - '0');
            if (c->p == begin)
                return false;
        }
    }
    if (h > 23 || m > 59 || s > 59)
        return false;
    *us = ((h * INT64_C(60) + m) * 60 + s) * 1000000 + fraction;
    return true;
}

static bool take_zone(struct cursor *c, int64_t *us)
{
    unsigned h, m;
    int sign;
    *us = 0;
    if (c->p == c->end || take(c, 'Z'))
        return true;
    if (take(c, '+'))
        sign = 1;
    else if (take(c, '-'))
        sign = -1;
    else
        return false;
    if (!digits(c, 2, &h) || (take(c, ':'), !digits(c, 2, &m)) || h > 14 || m > 59)
        return false;
    *us = sign * (h * INT64_C(60) + m) * 60000000;
    return true;
}

bool am_date_parse(struct am_str s, int64_t *us)
{
    if (!s.ptr)
        return false;
    struct cursor c = {s.ptr, s.ptr + s.len};
    int64_t days, time = 0, zone = 0;
    if (!take_day(&c, &days))
        return false;
    if (c.p != c.end && ((!take(&c, 'T') && !take(&c, ' ')) || !take_time(&c, &time) ||
                         !take_zone(&c, &zone) || c.p != c.end))
        return false;
    *us = days * AM_US_PER_DAY + time - zone;
    return true;
}

void am_date_print(int64_t us, char out[AM_DATE_CHARS])
{
    int64_t days = floor_div(us, AM_US_PER_DAY);
    struct am_civil c = am_civil_of_days(days);
    /* modular, as days * AM_US_PER_DAY may lie below INT64_MIN */
    int64_t rest = (int64_t)((uint64_t)us - (uint64_t)days * (uint64_t)AM_US_PER_DAY);
    int sec = (int)(rest / 1000000), part = (int)(rest % 1000000);
    const char *form = c.year < 0 || c.year > 9999 ? "%+05lld-%02u-%02u" : "%04lld-%02u-%02u";
    int n = snprintf(out, AM_DATE_CHARS, form, (long long)c.year, c.month, c.day);
    if (rest == 0)
        return;
    n += snprintf(out + n, AM_DATE_CHARS - (size_t)n, "T%02d:%02d:%02d", sec / 3600, sec / 60 % 60,
                  sec % 60);
    if (part) {
        n += snprintf(out + n, AM_DATE_CHARS - (size_t)n, ".%06d", part);
        while (out[n - 1] == '0')
            n--;
    }
    out[n] = 'Z';
    out[n + 1] = 0;
}
