/* Noise of tables; see augment_rows.h. The draws of a column come in one order, whatever is
 * switched on. */
#include "feature/augment_rows.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "feature/augment_keys.h"

#define NUMBER AM_FEATURE_KEY_NUMBER
static const struct am_feature_key keys[] = {
    {"noise", NUMBER, NULL, 0, 10, "0",
     "Tables: deviation of normal noise on numbers, in deviations of the feature."},
    {"drop", NUMBER, NULL, 0, 0.9, "0", "Tables: chance of a column to become its mean."},
    {"swap", NUMBER, NULL, 0, 1, "0", "Tables: chance of a category to become another row's."},
};
#undef NUMBER
#define N_KEYS (sizeof keys / sizeof keys[0])

const struct am_feature_key *am_augment_rows_keys(size_t *n)
{
    *n = N_KEYS;
    return keys;
}

enum am_rc am_augment_rows_read(const struct am_node *spec, struct am_augment_rows *out, bool *any,
                                struct am_err *err)
{
    static const struct am_augment_table table = {keys, N_KEYS, AM_N("tables")};
    double v[N_KEYS];
    AM_TRY(am_augment_keys_read(spec, &table, v, err));
    *out = (struct am_augment_rows){v[0], v[1], v[2]};
    *any = v[0] > 0 || v[1] > 0 || v[2] > 0;
    return AM_OK;
}

struct span { /* outputs of a column */
    size_t first, n;
    bool number; /* the first output is one, the others say whether it was missing */
};

struct am_augment_layout {
    size_t n, width;
    struct span *spans;      /* owned [n] */
    float *mean, *deviation; /* owned [width]; deviation behind mean */
};

void am_augment_layout_free(struct am_augment_layout *l)
{
    if (!l)
        return;
    am_free(l->spans);
    am_free(l->mean);
    am_free(l);
}

static void measure(struct am_augment_layout *l, const float *x, size_t n)
{
    for (size_t j = 0; j < l->width; j++) {
        double sum = 0, squares = 0;
        for (size_t i = 0; i < n; i++)
            sum += (double)x[i * l->width + j];
        const double mean = sum / (double)n;
        for (size_t i = 0; i < n; i++)
            squares += ((double)x[i * l->width + j] - mean) * ((double)x[i * l->width + j] - mean);
        l->mean[j] = (float)mean;
        l->deviation[j] = (float)sqrt(squares / (double)n);
    }
}

enum am_rc am_augment_layout_new(const struct am_features *f, const float *x, size_t n,
                                 struct am_augment_layout **out, struct am_err *err)
{
    const size_t n_inputs = am_features_n_inputs(f), width = am_features_width(f);
    *out = NULL;
    for (size_t i = 0; i < n_inputs; i++)
        if (am_col_is_media(am_features_input(f, i)->type)) {
            am_fail(err, AM_EUSAGE,
                    "train.augment: column \"%.*s\" of a table is a picture, a sound or a video",
                    AM_FMT(am_features_input(f, i)->name));
            am_hint(err, "Name one such column alone in features.only, or remove train.augment.");
            return AM_EUSAGE;
        }
    struct am_augment_layout *l = am_calloc(1, sizeof *l);
    if (!l)
        return am_fail_nomem(err, sizeof *l);
    l->n = n_inputs;
    l->width = width;
    l->spans = am_alloc_array(n_inputs + 1, sizeof *l->spans);
    l->mean = am_alloc_array(2 * width + 1, sizeof *l->mean);
    if (!l->spans || !l->mean) {
        am_augment_layout_free(l);
        return am_fail_nomem(err, 2 * width * sizeof *l->mean);
    }
    l->deviation = l->mean + width;
    for (size_t i = 0; i < n_inputs; i++) {
        const struct am_feature_input *in = am_features_input(f, i);
        l->spans[i] = (struct span){in->first_output, in->n_outputs, in->type == AM_COL_NUMBER};
    }
    measure(l, x, n);
    *out = l;
    return AM_OK;
}

uint64_t am_augment_partner(uint64_t seed, uint64_t epoch, uint64_t row, uint64_t n_rows)
{
    struct am_rng r;
    am_augment_rng(&r, seed, epoch, row);
    return am_rng_below(&r, n_rows);
}

void am_augment_row(const struct am_augment_rows *a, const struct am_augment_layout *l,
                    uint64_t seed, uint64_t epoch, uint64_t row, float *x, const float *partner)
{
    struct am_rng r;
    am_augment_rng(&r, seed, epoch, row);
    r.counter += 1u << 16; /* behind the partner's draws */
    for (size_t i = 0; i < l->n; i++) {
        const struct span *s = &l->spans[i];
        const double noise = am_rng_normal(&r), drop = am_rng_unit(&r), swap = am_rng_unit(&r);
        if (s->n == 0)
            continue;
        if (s->number)
            x[s->first] += (float)(a->noise * noise * (double)l->deviation[s->first]);
        else if (swap < a->swap)
            memcpy(x + s->first, partner + s->first, s->n * sizeof *x);
        if (drop < a->drop)
            memcpy(x + s->first, l->mean + s->first, s->n * sizeof *x);
    }
}
