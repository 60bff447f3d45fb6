/* The two clocks behind their table. A replaced table (tests) is seen by all threads. */
#include "base/clock.h"

#include <stdatomic.h>
#include <time.h>

static uint64_t real_mono_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int64_t real_wall_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static const struct am_clock_ops real_ops = {real_mono_ns, real_wall_us};
static const struct am_clock_ops *_Atomic current = &real_ops;

uint64_t am_mono_ns(void)
{
    return atomic_load_explicit(&current, memory_order_acquire)->mono_ns();
}
int64_t am_wall_us(void)
{
    return atomic_load_explicit(&current, memory_order_acquire)->wall_us();
}

void am_clock_set(const struct am_clock_ops *ops)
{
    atomic_store(&current, ops ? ops : &real_ops);
}

void am_time_iso(int64_t wall_us, char out[24])
{
    int64_t s = wall_us / 1000000 - (wall_us % 1000000 < 0);
    time_t t = (time_t)s;
    struct tm tm;
    if (!gmtime_r(&t, &tm)) {
        out[0] = '\0';
        return;
    }
    if (strftime(out, 24, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        out[0] = '\0';
}
