/* Progress: thins out the worker's reports and works out rates and the time left. No allocation. */
#include "base/progress.h"

#include <math.h>
#include <stddef.h>

#include "base/clock.h"

#define MIN_GAP_NS 100000000u

static void emit(struct am_progress *p, uint64_t now, bool finished)
{
    double seconds = now > p->started_ns ? (double)(now - p->started_ns) * 1e-9 : 0.0;
    struct am_progress_event ev = {.phase = p->phase,
                                   .done = p->done,
                                   .total = p->total,
                                   .loss = p->loss,
                                   .rows_per_s = NAN,
                                   .left_s = NAN,
                                   .finished = finished};
    if (p->rows && seconds > 0)
        ev.rows_per_s = (double)p->rows / seconds;
    if (p->total && p->done && p->done <= p->total && seconds > 0)
        ev.left_s = seconds * (double)(p->total - p->done) / (double)p->done;
    p->last_ns = now;
    p->sink(p->ctx, &ev);
}

void am_progress_begin(struct am_progress *p, const char *phase, uint64_t total)
{
    if (!p)
        return;
    p->phase = phase;
    p->started_ns = am_mono_ns();
    p->done = p->rows = 0;
    p->total = total;
    p->loss = NAN;
    if (p->sink)
        emit(p, p->started_ns, false);
}

void am_progress_step(struct am_progress *p, uint64_t done, uint64_t total, uint64_t rows_done,
                      double loss)
{
    if (!p)
        return;
    p->done = done;
    p->total = total;
    p->rows = rows_done;
    p->loss = loss;
    if (!p->sink)
        return;
    uint64_t now = am_mono_ns();
    if (now - p->last_ns >= MIN_GAP_NS)
        emit(p, now, false);
}

void am_progress_end(struct am_progress *p)
{
    if (!p || !p->phase)
        return;
    if (p->sink)
        emit(p, am_mono_ns(), true);
    p->phase = NULL;
}

bool am_progress_canceled(const struct am_progress *p)
{
    return p && p->cancel && atomic_load_explicit(p->cancel, memory_order_relaxed);
}
