/* Places in the unit cube and what they stand for: levels, values, conditions, enumeration.
 *
 * Ranges of whole numbers and choices are cut into equal bins, a value is the middle of its bin;
 * logarithmic ones are equal in the logarithm. Pure functions of the space; any thread. */
#include <math.h>
#include <stdio.h>

#include "base/num.h"
#include "tune/tune_int.h"

bool am_tune_is_hamming(const struct tune_dim *d)
{
    return d->p.kind == AM_TUNE_CHOICE || d->p.kind == AM_TUNE_BOOL;
}

static double clip(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x; /* NaN stays */
}

/* The ends of the logarithmic scale: half a step beyond for whole numbers. */
static void log_ends(const struct tune_dim *d, double out[2])
{
    double half = d->p.kind == AM_TUNE_INT ? 0.5 : 0;
    out[0] = log(d->p.low - half);
    out[1] = log(d->p.high + half);
}

uint32_t am_tune_level(const struct tune_dim *d, double unit)
{
    double n = d->n_levels, k;
    if (d->p.log) {
        double end[2];
        log_ends(d, end);
        k = round(exp(end[0] + unit * (end[1] - end[0]))) - d->p.low;
    } else {
        k = floor(unit * n);
    }
    return (uint32_t)clip(isnan(k) ? 0 : k, 0, n - 1);
}

double am_tune_level_unit(const struct tune_dim *d, uint32_t level)
{
    if (d->p.log) {
        double end[2];
        log_ends(d, end);
        return (log(d->p.low + level) - end[0]) / (end[1] - end[0]);
    }
    return (level + 0.5) / d->n_levels;
}

/* To 12 digits: 0.001 stays 0.001 on its way through the logarithm, and values read well. */
static double tidy(double v)
{
    char text[32];
    double out = v;
    int n = snprintf(text, sizeof text, "%.12g", v);
    if (n > 0 && (size_t)n < sizeof text)
        (void)am_parse_double((struct am_str){text, (size_t)n}, AM_NUM_FINITE, &out);
    return out;
}

double am_tune_value(const struct tune_dim *d, double unit)
{
    double v;
    if (d->p.kind == AM_TUNE_INT)
        return d->p.low + d->p.step * am_tune_level(d, unit);
    if (d->n_levels) {
        v = d->p.low + d->p.step * am_tune_level(d, unit);
    } else if (d->p.log) {
        double end[2];
        log_ends(d, end);
        v = exp(end[0] + unit * (end[1] - end[0]));
    } else {
        v = d->p.low + unit * (d->p.high - d->p.low);
    }
    return clip(tidy(v), d->p.low, d->p.high);
}

double am_tune_unit(const struct tune_dim *d, double value)
{
    double v = clip(value, d->p.low, d->p.high);
    if (d->p.log) {
        double end[2];
        log_ends(d, end);
        return clip((log(v) - end[0]) / (end[1] - end[0]), 0, 1);
    }
    if (d->n_levels)
        return am_tune_level_unit(
            d, (uint32_t)clip(round((v - d->p.low) / d->p.step), 0, d->n_levels - 1.0));
    return clip((v - d->p.low) / (d->p.high - d->p.low), 0, 1);
}

bool am_tune_active(const struct am_tune_space *s, size_t dim, const double *unit)
{
    const struct tune_dim *d = &s->dims[dim], *parent;
    uint32_t level;
    if (d->when == TUNE_ALWAYS)
        return true;
    if (isnan(unit[d->p.parent]))
        return false;
    parent = &s->dims[d->p.parent];
    level = am_tune_level(parent, unit[d->p.parent]);
    if (d->when == TUNE_AT_LEAST)
        return level >= d->when_levels[0];
    for (size_t i = 0; i < d->n_when; i++)
        if (d->when_levels[i] == level)
            return true;
    return false;
}

void am_tune_snap(const struct am_tune_space *s, double *unit)
{
    for (size_t k = 0; k < s->n; k++) {
        size_t i = s->order[k];
        const struct tune_dim *d = &s->dims[i];
        if (!am_tune_active(s, i, unit)) {
            unit[i] = NAN;
            continue;
        }
        unit[i] = isnan(unit[i]) ? 0.5 : clip(unit[i], 0, 1);
        if (d->n_levels)
            unit[i] = am_tune_level_unit(d, am_tune_level(d, unit[i]));
    }
}

bool am_tune_same(const struct am_tune_space *s, const double *a, const double *b)
{
    for (size_t i = 0; i < s->n; i++)
        if (!(a[i] == b[i] || (isnan(a[i]) && isnan(b[i]))))
            return false;
    return true;
}

static struct am_node *value_node(const struct tune_dim *d, double unit, struct am_arena *a)
{
    if (am_tune_is_hamming(d))
        return (struct am_node *)(uintptr_t)d->p.choices[am_tune_level(d, unit)];
    if (d->p.kind == AM_TUNE_INT)
        return am_new_i64(a, (int64_t)am_tune_value(d, unit));
    return am_new_f64(a, am_tune_value(d, unit));
}

struct am_node *am_tune_values(const struct am_tune_space *s, const double *unit,
                               struct am_arena *a)
{
    struct am_node *map = am_new_map(a), *list = NULL;
    for (size_t i = 0; i < s->n; i++) {
        const struct tune_dim *d = &s->dims[i];
        int32_t at = d->p.list_position;
        if (isnan(unit[i]))
            continue;
        if (at == -2) {
            am_node_set(a, map, d->p.path, value_node(d, unit[i], a));
            continue;
        }
        /* the first dimension of a list that is on opens it: its length, or place 0 */
        if (at == -1 || (at == 0 && (i == 0 || s->dims[i - 1].p.path != d->p.path))) {
            list = am_new_list(a);
            am_node_set(a, map, d->p.path, list);
        }
        if (at >= 0)
            am_node_push(a, list, value_node(d, unit[i], a));
    }
    return map;
}

/* ---- values to places ---- */

static double place_of(const struct tune_dim *d, const struct am_node *v)
{
    double x;
    if (!am_tune_is_hamming(d))
        return am_node_as_f64(v, &x) && !isnan(x) ? am_tune_unit(d, x) : 0.5;
    for (uint32_t i = 0; i < d->n_levels; i++)
        if (am_tune_same_node(d->p.choices[i], v, 0))
            return am_tune_level_unit(d, i);
    return am_tune_level_unit(d, 0);
}

void am_tune_place(const struct am_tune_space *s, const struct am_node *values, double *unit)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct tune_dim *d = &s->dims[i];
        const struct am_node *v = am_node_get(values, d->p.path);
        int32_t at = d->p.list_position;
        unit[i] = am_tune_is_hamming(d) ? am_tune_level_unit(d, 0) : 0.5;
        if (!v)
            continue;
        if (at == -2)
            unit[i] = place_of(d, v);
        else if (v->kind == AM_NODE_LIST && at == -1)
            unit[i] = am_tune_unit(d, (double)v->list.n);
        else if (v->kind == AM_NODE_LIST && (size_t)at < v->list.n)
            unit[i] = place_of(d, v->list.items[at]);
    }
    am_tune_snap(s, unit);
}

/* ---- enumeration ---- */

enum { TUNE_GRID_WHOLE = 20 }; /* ranges of at most so many levels are never cut */

static uint32_t grid_levels(const struct tune_dim *d, uint32_t cut)
{
    if (d->n_levels &&
        (cut == 0 || am_tune_is_hamming(d) || d->n_levels <= TUNE_GRID_WHOLE || d->n_levels <= cut))
        return d->n_levels;
    return cut; /* 0 = endless */
}

static double grid_unit(const struct tune_dim *d, uint32_t n, uint32_t k)
{
    if (n == d->n_levels)
        return am_tune_level_unit(d, k);
    double u = n > 1 ? (double)k / (n - 1.0) : 0.5;
    return d->n_levels ? am_tune_level_unit(d, am_tune_level(d, u)) : u;
}

/* Points below one level of a dimension: the product over the children that it switches on. */
static double below(const struct am_tune_space *s, size_t dim, double unit, const double *points)
{
    double product = 1, at[TUNE_DIMS_MAX];
    at[dim] = unit;
    for (size_t c = 0; c < s->n; c++)
        if (s->dims[c].p.parent == (int32_t)dim && am_tune_active(s, c, at))
            product *= points[c];
    return product;
}

static bool is_parent(const struct am_tune_space *s, size_t dim)
{
    for (size_t c = 0; c < s->n; c++)
        if (s->dims[c].p.parent == (int32_t)dim)
            return true;
    return false;
}

static double count_points(const struct am_tune_space *s, uint32_t cut, double *points)
{
    double all = 1;
    for (size_t k = s->n; k-- > 0;) {
        size_t i = s->order[k];
        const struct tune_dim *d = &s->dims[i];
        uint32_t n = grid_levels(d, cut);
        points[i] = 0;
        if (n == 0)
            points[i] = INFINITY;
        else if (!is_parent(s, i))
            points[i] = n;
        else
            for (uint32_t l = 0; l < n; l++)
                points[i] += below(s, i, grid_unit(d, n, l), points);
        if (d->p.parent < 0)
            all *= points[i];
    }
    return all;
}

double am_tune_n_points(const struct am_tune_space *s, uint32_t cut)
{
    double points[TUNE_DIMS_MAX];
    return count_points(s, cut, points);
}

/* Cuts an index in mixed radix among the dimensions of a parent (-1: the roots) that are on. */
static void deal(const struct am_tune_space *s, int32_t parent, double index, const double *points,
                 const double *unit, double *sub)
{
    for (size_t i = s->n; i-- > 0;)
        if (s->dims[i].p.parent == parent && am_tune_active(s, i, unit)) {
            double q = floor(index / points[i]);
            sub[i] = index - q * points[i];
            index = q;
        }
}

bool am_tune_nth_point(const struct am_tune_space *s, uint32_t cut, double index, double *unit)
{
    double points[TUNE_DIMS_MAX], sub[TUNE_DIMS_MAX];
    if (!(index < count_points(s, cut, points)))
        return false;
    deal(s, -1, index, points, unit, sub);
    for (size_t k = 0; k < s->n; k++) {
        size_t i = s->order[k];
        const struct tune_dim *d = &s->dims[i];
        uint32_t n = grid_levels(d, cut), level = 0;
        if (!am_tune_active(s, i, unit)) {
            unit[i] = NAN;
            continue;
        }
        if (!is_parent(s, i)) {
            unit[i] = grid_unit(d, n, (uint32_t)sub[i]);
            continue;
        }
        for (double here; level + 1 < n; level++) {
            here = below(s, i, grid_unit(d, n, level), points);
            if (sub[i] < here)
                break;
            sub[i] -= here;
        }
        unit[i] = grid_unit(d, n, level);
        deal(s, (int32_t)i, sub[i], points, unit, sub);
    }
    return true;
}
