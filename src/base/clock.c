/* Time behind a table. */
#include "base/clock.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>

static uint64_t real_mono(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int64_t real_wall(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static const struct am_clock_ops real_clock = {real_mono, real_wall};
static _Atomic(const struct am_clock_ops *) current = &real_clock;

uint64_t am_mono_ns(void) { return atomic_load_explicit(&current, memory_order_relaxed)->mono_ns(); }
int64_t am_wall_us(void) { return atomic_load_explicit(&current, memory_order_relaxed)->wall_us(); }
void am_clock_set(const struct am_clock_ops *ops) { atomic_store(&current, ops ? ops : &real_clock); }

void am_time_iso(int64_t wall_us, char out[24])
{
    time_t s = (time_t)(wall_us / 1000000 - (wall_us % 1000000 < 0));
    struct tm tm;
    if (!gmtime_r(&s, &tm) || strftime(out, 24, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        snprintf(out, 24, "?");
}
