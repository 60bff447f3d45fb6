/* Steps that go over the pool by pictures or rows: the chunks depend on the shape only, and a short
 * step stays on its thread. Holds no state; any thread. */
#include "base/pool.h"
#include "nn/ops/op.h"

/* Floats of work in a chunk; below twice as many waking a thread costs more than it brings. */
#define CHUNK_FLOATS ((size_t)1 << 15)

struct split {
    const struct am_run *r;
    const struct am_step *s;
    am_run_part *part;
};

static void chunk(void *ctx, size_t begin, size_t end)
{
    const struct split *c = ctx;
    c->part(c->r, c->s, begin, end);
}

void am_run_split(const struct am_run *r, const struct am_step *s, size_t n, size_t floats_each,
                  am_run_part *part)
{
    struct split c = {r, s, part};
    const size_t grain = floats_each >= CHUNK_FLOATS ? 1 : CHUNK_FLOATS / (floats_each + 1) + 1;
    if (n == 0)
        return;
    if (!r->pool || n <= grain || n * floats_each < 2 * CHUNK_FLOATS)
        part(r, s, 0, n);
    else
        am_pool_for(r->pool, n, grain, chunk, &c);
}
