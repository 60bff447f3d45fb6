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
    size_t unit, end; /* part sees multiples of unit, up to end */
};

static void chunk(void *ctx, size_t begin, size_t end)
{
    const struct split *c = ctx;
    const size_t last = end * c->unit;
    c->part(c->r, c->s, begin * c->unit, last < c->end ? last : c->end);
}

/* n units of floats_each floats of work */
static void split(struct split *c, size_t n, size_t floats_each)
{
    const size_t grain = floats_each >= CHUNK_FLOATS ? 1 : CHUNK_FLOATS / (floats_each + 1) + 1;
    if (n == 0)
        return;
    if (!c->r->pool || n <= grain || n * floats_each < 2 * CHUNK_FLOATS)
        c->part(c->r, c->s, 0, c->end);
    else
        am_pool_for(c->r->pool, n, grain, chunk, c);
}

void am_run_split(const struct am_run *r, const struct am_step *s, size_t n, size_t floats_each,
                  am_run_part *part)
{
    struct split c = {r, s, part, 1, n};
    split(&c, n, floats_each);
}

void am_run_elements(const struct am_run *r, const struct am_step *s, am_run_part *part)
{
    struct split c = {r, s, part, 4096, am_arg_count(r, &s->out)};
    split(&c, (c.end + 4095) / 4096, 4096);
}

void am_run_rows(const struct am_run *r, const struct am_step *s, am_run_part *part)
{
    am_run_split(r, s, am_arg_rows(r, &s->out), s->out.cols, part);
}

void am_run_columns(const struct am_run *r, const struct am_step *s, const struct am_arg *x,
                    am_run_part *part)
{
    struct split c = {r, s, part, 16, x->cols};
    split(&c, (x->cols + 15) / 16, 16 * am_arg_rows(r, x));
}
