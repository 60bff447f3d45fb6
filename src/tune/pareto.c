/* Several losses at once: domination, ranks, crowding, hypervolume, the knee (Deb et al. 2002).
 *
 * Plain arrays, everything to be made small. Work memory is the caller's. Any thread. */
#include <math.h>

#include "tune/tune_int.h"

static bool dominates(const double *a, const double *b, size_t m)
{
    bool better = false;
    for (size_t k = 0; k < m; k++) {
        if (a[k] > b[k])
            return false;
        better |= a[k] < b[k];
    }
    return better;
}

/* Feasible over infeasible, the smaller violation, then domination. */
static bool beats(const double *f, const double *v, size_t m, size_t i, size_t k)
{
    if (v && v[i] != v[k])
        return v[i] < v[k];
    return (!v || v[i] == 0) && dominates(f + i * m, f + k * m, m);
}

void am_tune_rank(const double *f, const double *violation, size_t n, size_t m, uint32_t *rank)
{
    size_t left = n;
    for (size_t i = 0; i < n; i++)
        rank[i] = UINT32_MAX;
    for (uint32_t r = 0; left; r++) {
        /* those of the rest that nobody of the rest beats; r marks them, so a marked one still
         * counts for the others of its round */
        for (size_t i = 0; i < n; i++) {
            bool beaten = false;
            if (rank[i] < r)
                continue;
            for (size_t k = 0; k < n && !beaten; k++)
                beaten = k != i && rank[k] >= r && beats(f, violation, m, k, i);
            if (!beaten) {
                rank[i] = r;
                left--;
            }
        }
    }
}

/* Sorts order[n] by loss k; insertion sort is fast on what the last objective left nearly sorted,
 * but not in general: heap sort. */
static void sort_by(const double *f, size_t m, size_t k, uint32_t *order, size_t n)
{
    for (size_t end = n, root = n / 2; end > 1;) {
        uint32_t top;
        size_t at;
        if (root > 0) {
            top = order[--root];
        } else {
            top = order[--end];
            order[end] = order[0];
        }
        for (at = root; 2 * at + 1 < end;) {
            size_t child = 2 * at + 1;
            const double *a;
            double x, y;
            if (child + 1 < end) {
                x = f[order[child] * m + k];
                y = f[order[child + 1] * m + k];
                child += x < y || (x == y && order[child] < order[child + 1]);
            }
            a = f + order[child] * m;
            if (a[k] < f[top * m + k] || (a[k] == f[top * m + k] && order[child] < top))
                break;
            order[at] = order[child];
            at = child;
        }
        order[at] = top;
    }
}

void am_tune_crowding(const double *f, const uint32_t *rank, size_t n, size_t m, uint32_t *order,
                      double *out)
{
    uint32_t last = 0;
    for (size_t i = 0; i < n; i++) {
        out[i] = 0;
        last = rank[i] > last ? rank[i] : last;
    }
    for (uint32_t r = 0; n && r <= last; r++) {
        size_t w = 0;
        for (size_t i = 0; i < n; i++)
            if (rank[i] == r)
                order[w++] = (uint32_t)i;
        for (size_t k = 0; k < m && w; k++) {
            double range;
            sort_by(f, m, k, order, w);
            range = f[order[w - 1] * m + k] - f[order[0] * m + k];
            out[order[0]] = out[order[w - 1]] = INFINITY;
            for (size_t i = 1; i + 1 < w && range > 0; i++)
                out[order[i]] += (f[order[i + 1] * m + k] - f[order[i - 1] * m + k]) / range;
        }
    }
}

/* WFG's recursion (While et al. 2012) over the points as they come: volume of each point alone less
 * what those behind it cover of it. work: room for the limited sets, n * m a level, m levels deep
 * at most n; two objectives need none. */
static double volume(double *p, size_t n, size_t m, const double *reference, double *work)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double own = 1, *rest = work;
        size_t kept = 0;
        for (size_t k = 0; k < m; k++)
            own *= reference[k] - p[i * m + k];
        for (size_t j = i + 1; j < n; j++) { /* those behind, no better than i anywhere */
            double *q = rest + kept * m;
            bool useless = false;
            for (size_t k = 0; k < m; k++)
                q[k] = p[j * m + k] > p[i * m + k] ? p[j * m + k] : p[i * m + k];
            for (size_t o = 0; o < kept && !useless; o++)
                useless =
                    dominates(rest + o * m, q, m) || memcmp(rest + o * m, q, m * sizeof *q) == 0;
            kept += !useless;
        }
        sum += own - (kept ? volume(rest, kept, m, reference, rest + kept * m) : 0);
    }
    return sum;
}

static double volume2(const double *p, size_t n, const double *reference, uint32_t *order)
{
    double sum = 0, edge = reference[1];
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    sort_by(p, 2, 0, order, n);
    for (size_t i = 0; i < n; i++) {
        const double *q = p + (size_t)order[i] * 2;
        if (q[1] < edge) {
            sum += (reference[0] - q[0]) * (edge - q[1]);
            edge = q[1];
        }
    }
    return sum;
}

double am_tune_volume(double *points, size_t n, size_t m, const double *reference, double *work,
                      uint32_t *order)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        bool inside = true;
        for (size_t k = 0; k < m; k++)
            inside = inside && points[i * m + k] < reference[k];
        if (inside) {
            memmove(points + kept * m, points + i * m, m * sizeof *points);
            kept++;
        }
    }
    if (m == 2)
        return volume2(points, kept, reference, order);
    return kept ? volume(points, kept, m, reference, work) : 0;
}

/* Farthest below the plane through the ends of the front, losses scaled to 0..1 each: the least
 * sum.
 */
size_t am_tune_knee(const double *f, size_t n, size_t m)
{
    double least = INFINITY;
    size_t best = 0;
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (size_t k = 0; k < m; k++) {
            double low = INFINITY, high = -INFINITY;
            for (size_t j = 0; j < n; j++) {
                low = fmin(low, f[j * m + k]);
                high = fmax(high, f[j * m + k]);
            }
            sum += high > low ? (f[i * m + k] - low) / (high - low) : 0;
        }
        if (sum < least) {
            least = sum;
            best = i;
        }
    }
    return best;
}
