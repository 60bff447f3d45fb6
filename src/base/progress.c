/* Thins out reports to ten a second and adds rate and time left. */
#include "base/progress.h"

#include <math.h>
#include <stddef.h>

#include "base/clock.h"

#define STEP_NS 100000000u

void am_progress_begin(struct am_progress *p, const char *phase, uint64_t total)
{
    if (!p)
        return;
    p->phase = phase;
    p->started_ns = am_mono_ns();
    p->last_ns = 0;
    if (p->sink) {
        struct am_progress_event ev = {phase, 0, total, NAN, NAN, NAN, false};
        p->sink(p->ctx, &ev);
    }
}

void am_progress_step(struct am_progress *p, uint64_t done, uint64_t total, uint64_t rows_done, double loss)
{
    if (!p || !p->sink)
        return;
    uint64_t now = am_mono_ns();
    if (now - p->last_ns < STEP_NS)
        return;
    p->last_ns = now;
    double s = (double)(now - p->started_ns) * 1e-9;
    struct am_progress_event ev = {p->phase, done, total, loss, NAN, NAN, false};
    if (s > 0) {
        ev.rows_per_s = (double)rows_done / s;
        if (done && total >= done)
            ev.left_s = s / (double)done * (double)(total - done);
    }
    p->sink(p->ctx, &ev);
}

void am_progress_end(struct am_progress *p)
{
    if (!p || !p->sink)
        return;
    struct am_progress_event ev = {p->phase, 1, 1, NAN, NAN, 0, true};
    p->sink(p->ctx, &ev);
}

bool am_progress_canceled(const struct am_progress *p)
{
    return p && p->cancel && atomic_load_explicit(p->cancel, memory_order_relaxed);
}
