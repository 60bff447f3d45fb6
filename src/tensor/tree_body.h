/* The walk of trees in plain C, four trees side by side so that their loads overlap; built as the
 * reference table and, for AVX2's instruction set, as that one (its gathers are no faster than
 * loads one by one). The file that includes this names the table: TREE_TABLE, TREE_NAME. */
#include "tensor/tree_kernels.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define SIDE 4   /* trees walked at once */
#define LEVELS 8 /* steps between two looks whether all are at leaves */

static inline uint32_t step(const struct am_tree_node *nodes, const float *x, uint32_t i,
                            uint32_t bits, uint32_t mask, uint32_t whole)
{
    const uint32_t w = nodes[i].where;
    return (w >> bits) + (x[(w & mask) >> whole] >= nodes[i].threshold ? 1u : 0u);
}

static void walk(const struct am_tree_set *s, const struct am_tree_group *g, const float *x,
                 float *out /* [AM_TREE_LANES] */)
{
    const struct am_tree_node *nodes = s->nodes + g->first;
    const uint32_t bits = s->feature_bits, mask = (1u << bits) - 1, whole = s->whole ? 1 : 0;
    for (size_t lane = 0; lane < AM_TREE_LANES; lane += SIDE) {
        uint32_t a = g->root[lane], b = g->root[lane + 1], c = g->root[lane + 2],
                 d = g->root[lane + 3];
        for (uint32_t left = g->n_levels; left > 0;) {
            const uint32_t n = left < LEVELS ? left : LEVELS, was[SIDE] = {a, b, c, d};
            for (uint32_t k = 0; k < n; k++) {
                a = step(nodes, x, a, bits, mask, whole);
                b = step(nodes, x, b, bits, mask, whole);
                c = step(nodes, x, c, bits, mask, whole);
                d = step(nodes, x, d, bits, mask, whole);
            }
            left = a == was[0] && b == was[1] && c == was[2] && d == was[3] ? 0 : left - n;
        }
        out[lane] = nodes[a].threshold;
        out[lane + 1] = nodes[b].threshold;
        out[lane + 2] = nodes[c].threshold;
        out[lane + 3] = nodes[d].threshold;
    }
}

static void sum(const struct am_tree_set *s, size_t g0, size_t g1, const float *x, size_t x_row,
                size_t n_rows, size_t period, float *acc)
{
    float v[AM_TREE_LANES];
    for (size_t r = 0; r < n_rows; r++)
        for (size_t g = g0; g < g1; g++) {
            float *to = acc + (r * period + g % period) * AM_TREE_LANES;
            walk(s, &s->groups[g], x + r * x_row, v);
            for (size_t i = 0; i < AM_TREE_LANES; i++)
                to[i] += v[i];
        }
}

static void leaves(const struct am_tree_set *s, size_t g0, size_t g1, const float *x, size_t x_row,
                   size_t n_rows, float *out)
{
    for (size_t r = 0; r < n_rows; r++)
        for (size_t g = g0; g < g1; g++)
            walk(s, &s->groups[g], x + r * x_row, out + (r * (g1 - g0) + g - g0) * AM_TREE_LANES);
}

static void spread(const float *x, size_t n, int whole, float *out)
{
    for (size_t j = 0; j < n; j++) {
        const float cut = x[j] > FLT_MAX ? FLT_MAX : x[j] < -FLT_MAX ? -FLT_MAX : x[j];
        if (whole) {
            out[j] = cut;
            continue;
        }
        out[2 * j] = isnan(cut) ? -INFINITY : cut;
        out[2 * j + 1] = isnan(cut) ? INFINITY : cut;
    }
    out[whole ? n : 2 * n] = -INFINITY;
}

static int any_missing(const float *x, size_t n)
{
    int any = 0;
    for (size_t j = 0; j < n; j++)
        any |= isnan(x[j]) != 0;
    return any;
}

const struct am_tree_kernels TREE_TABLE = {
    .name = TREE_NAME, .sum = sum, .leaves = leaves, .spread = spread, .any_missing = any_missing};
