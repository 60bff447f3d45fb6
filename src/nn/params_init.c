/* Initial values of parameters. Fitting library; any thread. */
#include "nn/params.h"

#include <math.h>

#include "base/rng.h"

static double fan_scale(double gain, double fans)
{
    return sqrt(gain / (fans > 0 ? fans : 1));
}

static double draw(struct am_rng *r, const struct am_param *p)
{
    const double in = (double)p->dims.d[0], out = (double)p->dims.d[p->dims.rank - 1];
    switch (p->init) {
    case AM_INIT_ONES:
        return 1;
    case AM_INIT_GLOROT_UNIFORM:
        return (2 * am_rng_unit(r) - 1) * fan_scale(6, in + out);
    case AM_INIT_GLOROT_NORMAL:
        return am_rng_normal(r) * fan_scale(2, in + out);
    case AM_INIT_HE_UNIFORM:
        return (2 * am_rng_unit(r) - 1) * fan_scale(6, in);
    case AM_INIT_HE_NORMAL:
        return am_rng_normal(r) * fan_scale(2, in);
    case AM_INIT_NORMAL:
        return am_rng_normal(r) * (double)p->scale;
    case AM_INIT_UNIFORM:
        return (2 * am_rng_unit(r) - 1) * (double)p->scale;
    default:
        return 0;
    }
}

void am_params_init(struct am_params *p, uint64_t seed)
{
    for (size_t k = 0; k < p->n_params; k++) {
        struct am_rng r;
        float *w = am_param_data(p, k);
        am_rng_init(&r, seed, AM_RNG_INIT | (uint64_t)k << 32);
        for (size_t i = 0; i < p->table[k].n; i++)
            w[i] = (float)draw(&r, &p->table[k]);
    }
}
