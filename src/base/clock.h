/* Time behind a table, so that tests can stand still. Monotonic for measuring and deadlines, wall
 * for records only (ids and order never come from it). Any thread. */
#ifndef AM_BASE_CLOCK_H
#define AM_BASE_CLOCK_H

#include <stdint.h>

struct am_clock_ops {
    uint64_t (*mono_ns)(void);
    int64_t (*wall_us)(void); /* since 1970-01-01 UTC */
};

uint64_t am_mono_ns(void);
int64_t am_wall_us(void);
/* Replace the clock (tests); NULL restores the real one. */
void am_clock_set(const struct am_clock_ops *ops);
/* "2026-11-21T13:17:04Z" into out[21] */
void am_time_iso(int64_t wall_us, char out[24]);

#endif
