/* Profiles in one pass: counters and sums in row order, distinct values, and a sample of rows that
 * is the same however the rows were cut into batches or shards (a row is taken by a random key of
 * its number; the smallest keys stay). */
#include "data/profile.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/num.h"
#include "base/rng.h"
#include "data/profile_int.h"
#include "data/rowhash.h"
#include "tensor/media.h"

#define SAMPLE_BYTES ((size_t)64 << 20) /* of all columns together */

static const double quantile_at[AM_PROFILE_QUANTILES] = {.01, .05, .25, .5, .75, .95, .99};

void am_profile_free(struct am_profile *p)
{
    if (!p)
        return;
    for (size_t i = 0; p->columns && i < p->schema->n; i++) {
        distinct_clear(&p->columns[i].distinct);
        am_free(p->columns[i].sample);
    }
    am_free(p->columns);
    am_free(p->keys);
    am_free(p->rows);
    am_free(p->scratch);
    am_free(p);
}

enum am_rc am_profile_new(const struct am_schema *schema, const struct am_profile_options *o,
                          struct am_profile **out, struct am_err *err)
{
    *out = NULL;
    enum am_rc rc = AM_OK;
    struct am_profile *p = am_calloc(1, sizeof *p);
    if (!p)
        return am_fail_nomem(err, sizeof *p);
    p->schema = schema;
    p->seed = o->seed;
    p->target = o->target.ptr ? am_schema_find(schema, o->target) : SIZE_MAX;
    size_t room = SAMPLE_BYTES / (2 * sizeof(double)) / (schema->n + 3);
    p->keep = o->n_sample_rows ? (size_t)o->n_sample_rows : AM_PROFILE_SAMPLE;
    if (p->keep > room)
        p->keep = room < 256 ? 256 : room;
    p->threshold = UINT64_MAX;
    p->columns = am_calloc(schema->n + 1, sizeof *p->columns);
    if (!p->columns) {
        rc = am_fail_nomem(err, (schema->n + 1) * sizeof *p->columns);
        goto out;
    }
    for (size_t i = 0; i < schema->n; i++) {
        struct profile_state *c = &p->columns[i];
        c->pub = (struct am_column_profile){.name = schema->columns[i].name,
                                            .type = schema->columns[i].type,
                                            .first_infinite_row = UINT64_MAX,
                                            .first_not_numeric = UINT64_MAX,
                                            .min = NAN,
                                            .max = NAN,
                                            .mean = NAN,
                                            .std = NAN,
                                            .all_integers = true,
                                            .target_correlation = NAN};
        AM_GO(rc, distinct_init(&c->distinct, AM_PROFILE_DISTINCT, err));
    }
    *out = p;
    p = NULL;
out:
    am_profile_free(p);
    return rc;
}

/* Room for n sampled rows, at most 2 * keep. */
static enum am_rc reserve(struct am_profile *p, size_t n, struct am_err *err)
{
    if (n <= p->cap)
        return AM_OK;
    size_t cap = n < 1024 ? 1024 : n * 2;
    if (cap > p->keep * 2)
        cap = p->keep * 2;
    uint64_t *keys = am_realloc_array(p->keys, cap, sizeof *keys);
    if (keys)
        p->keys = keys;
    uint64_t *rows = am_realloc_array(p->rows, cap, sizeof *rows);
    if (rows)
        p->rows = rows;
    double *scratch = am_realloc_array(p->scratch, 2 * cap, sizeof *scratch);
    if (scratch)
        p->scratch = scratch;
    bool ok = keys && rows && scratch;
    for (size_t i = 0; ok && i < p->schema->n; i++) {
        double *sample = am_realloc_array(p->columns[i].sample, cap, sizeof *sample);
        ok = sample != NULL;
        if (ok)
            p->columns[i].sample = sample;
    }
    if (!ok)
        return am_fail_nomem(err, cap * sizeof *scratch);
    p->cap = cap;
    return AM_OK;
}

struct keyed {
    uint64_t key, row, at;
};

static int by_row(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    return x->row < y->row ? -1 : x->row > y->row;
}

static int compare_keys(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* The largest of the `keep` smallest keys: quickselect on a copy. */
static uint64_t kth_key(uint64_t *keys, size_t n, size_t k)
{
    size_t low = 0, high = n - 1;
    while (high - low > 64) {
        uint64_t pivot = keys[low + (high - low) / 2]; /* keys are random: no order is adverse */
        size_t i = low, j = high;
        while (i <= j) {
            while (keys[i] < pivot)
                i++;
            while (keys[j] > pivot)
                j--;
            if (i <= j) {
                uint64_t t = keys[i];
                keys[i++] = keys[j];
                keys[j] = t;
                if (j-- == low)
                    break;
            }
        }
        if (k <= j && j != SIZE_MAX)
            high = j;
        else if (k >= i)
            low = i;
        else
            return keys[k];
    }
    qsort(keys + low, high - low + 1, sizeof *keys, compare_keys);
    return keys[k];
}

/* Drops the rows with the largest keys, keeps the order of the others. */
static void drop_large_keys(struct am_profile *p)
{
    size_t n = 0;
    uint64_t *copy = (void *)p->scratch;
    memcpy(copy, p->keys, p->n_sample * sizeof *copy);
    p->threshold = kth_key(copy, p->n_sample, p->keep - 1);
    for (size_t i = 0; i < p->n_sample; i++) {
        if (p->keys[i] > p->threshold)
            continue;
        for (size_t c = 0; n != i && c < p->schema->n; c++)
            p->columns[c].sample[n] = p->columns[c].sample[i];
        p->keys[n] = p->keys[i];
        p->rows[n++] = p->rows[i];
    }
    p->n_sample = n;
}

/* Keep the `keep` smallest keys, in row order. */
static enum am_rc thin(struct am_profile *p, struct am_err *err)
{
    bool ordered = true;
    if (p->n_sample > p->keep)
        drop_large_keys(p);
    size_t n = p->n_sample;
    for (size_t i = 1; i < n && ordered; i++)
        ordered = p->rows[i - 1] < p->rows[i];
    if (ordered)
        return AM_OK;
    struct keyed *k = am_alloc_array(n + 1, sizeof *k); /* after a merge */
    if (!k)
        return am_fail_nomem(err, (n + 1) * sizeof *k);
    for (size_t i = 0; i < n; i++)
        k[i] = (struct keyed){p->keys[i], p->rows[i], i};
    qsort(k, n, sizeof *k, by_row);
    for (size_t i = 0; i < n; i++) {
        p->keys[i] = k[i].key;
        p->rows[i] = k[i].row;
    }
    for (size_t c = 0; c < p->schema->n; c++) {
        double *sample = p->columns[c].sample;
        for (size_t i = 0; i < n; i++)
            p->scratch[i] = sample[k[i].at];
        memcpy(sample, p->scratch, n * sizeof *sample);
    }
    am_free(k);
    return AM_OK;
}

/* Positions in the batch of the rows to sample go to `taken`; their keys and rows are stored. */
static enum am_rc choose(struct am_profile *p, const struct am_batch *b, const uint64_t *rows,
                         size_t begin, size_t *end, uint32_t *taken, size_t *n_taken,
                         struct am_err *err)
{
    *n_taken = 0;
    size_t i = begin;
    for (; i < b->n_rows && i - begin < 2048; i++) {
        uint64_t row = rows ? rows[i] : b->first_row + i;
        uint32_t r[4];
        am_rng_block(p->seed, AM_RNG_SKETCH, row, r);
        uint64_t key = (uint64_t)r[0] << 32 | r[1];
        if (key > p->threshold)
            continue;
        if (p->n_sample + *n_taken == p->keep * 2)
            break; /* full: this stretch ends here, thinning follows */
        AM_TRY(reserve(p, p->n_sample + *n_taken + 1, err));
        p->keys[p->n_sample + *n_taken] = key;
        p->rows[p->n_sample + *n_taken] = row;
        taken[(*n_taken)++] = (uint32_t)i;
    }
    *end = i;
    return AM_OK;
}

static enum am_rc update_numbers(struct profile_state *c, const double *v, size_t begin, size_t end,
                                 const uint64_t *rows, uint64_t first_row, struct am_err *err)
{
    struct am_column_profile *pub = &c->pub;
    for (size_t i = begin; i < end; i++) {
        double x = v[i];
        if (isnan(x)) {
            pub->n_missing++;
            continue;
        }
        if (isinf(x)) {
            if (pub->n_infinite++ == 0)
                pub->first_infinite_row = rows ? rows[i] : first_row + i;
            continue;
        }
        if (c->n_values++ == 0) {
            c->shift = x;
            pub->min = pub->max = x;
        }
        double d = x - c->shift;
        c->sum += d;
        c->sum2 += d * d;
        if (x < pub->min)
            pub->min = x;
        if (x > pub->max)
            pub->max = x;
        pub->n_negative += x < 0;
        pub->n_zero += x == 0;
        if (pub->all_integers)
            pub->all_integers = fabs(x) < 9007199254740992.0 && (double)(int64_t)x == x;
    }
    return distinct_add_numbers(&c->distinct, v + begin, end - begin, err);
}

static bool may_be_number(struct am_str s)
{
    char first = s.len ? s.ptr[0] : '\0';
    return (first >= '0' && first <= '9') || first == '-' || first == '+' || first == '.' ||
           first == ' ';
}

static double count_words(struct am_str s)
{
    double n = 0;
    bool inside = false;
    for (size_t i = 0; i < s.len; i++) {
        bool space = s.ptr[i] == ' ' || s.ptr[i] == '\t' || s.ptr[i] == '\n' || s.ptr[i] == '\r';
        n += !space && !inside;
        inside = !space;
    }
    return n;
}

static enum am_rc update_text(struct profile_state *c, struct am_str s, uint64_t row, size_t *index,
                              struct am_err *err)
{
    struct am_column_profile *pub = &c->pub;
    *index = SIZE_MAX;
    if (!s.ptr) {
        pub->n_missing++;
        return AM_OK;
    }
    if (s.len > pub->max_bytes) {
        pub->max_bytes = s.len;
        pub->max_bytes_row = row;
    }
    double number;
    if (may_be_number(s) && am_parse_double(am_str_trim(s), AM_NUM_FINITE, &number))
        pub->n_numeric++;
    else if (pub->first_not_numeric == UINT64_MAX)
        pub->first_not_numeric = row;
    c->n_words += count_words(s);
    return distinct_add_text(&c->distinct, s, 1, index, err);
}

static enum am_rc update_texts(struct profile_state *c, const struct am_column *col, size_t begin,
                               size_t end, const uint64_t *rows, uint64_t first_row,
                               const uint32_t *taken, size_t n_taken, double *sample,
                               struct am_err *err)
{
    size_t t = 0;
    for (size_t i = begin; i < end; i++) {
        size_t index;
        AM_TRY(update_text(c, col->text[i], rows ? rows[i] : first_row + i, &index, err));
        if (t < n_taken && taken[t] == i)
            sample[t++] = index == SIZE_MAX ? NAN : (double)index;
    }
    return AM_OK;
}

static void count_format(struct am_media_profile *m, const char *name)
{
    for (size_t i = 0; i < m->n_formats; i++)
        if (strcmp(m->formats[i].name, name) == 0) {
            m->formats[i].count++;
            return;
        }
    if (m->n_formats == AM_PROFILE_FORMATS)
        return;
    memcpy(m->formats[m->n_formats].name, name, sizeof m->formats[0].name - 1);
    m->formats[m->n_formats++].count = 1;
}

static void widen(struct am_media_profile *m, const uint32_t v[3])
{
    for (size_t i = 0; i < 3; i++) {
        if (m->n_read == 0 || v[i] < m->low[i])
            m->low[i] = v[i];
        if (v[i] > m->high[i])
            m->high[i] = v[i];
    }
}

/* What the header of one cell says. */
static void read_header(struct am_media_profile *m, enum am_col_type type, struct am_str bytes)
{
    struct am_image_info i;
    struct am_sound_info s;
    struct am_video_info v;
    if (type == AM_COL_VIDEO && am_video_probe(bytes, &v, NULL) == AM_OK) {
        widen(m, (uint32_t[3]){v.width, v.height, v.n_frames});
        count_format(m, v.format);
    } else if (type == AM_COL_IMAGE && am_image_probe(bytes, &i, NULL) == AM_OK) {
        widen(m, (uint32_t[3]){i.width, i.height, i.channels});
        m->n_animated += i.n_frames > 1;
        count_format(m, i.format);
    } else if (type == AM_COL_AUDIO && am_sound_probe(bytes, &s, NULL) == AM_OK) {
        double seconds = s.sample_rate ? (double)s.n_frames / s.sample_rate : 0;
        widen(m, (uint32_t[3]){s.sample_rate, 0, s.channels});
        if (m->n_read == 0 || seconds < m->min_seconds)
            m->min_seconds = seconds;
        if (seconds > m->max_seconds)
            m->max_seconds = seconds;
        m->seconds += seconds;
        count_format(m, s.format);
    } else {
        m->n_unread++;
        return;
    }
    m->n_read++;
}

static enum am_rc update_media(struct profile_state *c, const struct am_column *col, size_t begin,
                               size_t end, const uint64_t *rows, uint64_t first_row,
                               struct am_err *err)
{
    struct am_column_profile *pub = &c->pub;
    for (size_t i = begin; i < end; i++) {
        struct am_str s = col->text[i];
        if (!s.ptr) {
            pub->n_missing++;
            continue;
        }
        if (s.len > pub->max_bytes) {
            pub->max_bytes = s.len;
            pub->max_bytes_row = rows ? rows[i] : first_row + i;
        }
        pub->media.n_bytes += s.len;
        read_header(&pub->media, col->type, s);
        struct row_hash h = row_hash_text(s); /* in place of the bytes */
        size_t index;
        AM_TRY(distinct_add_text(&c->distinct, (struct am_str){(const char *)&h, sizeof h}, 1,
                                 &index, err));
    }
    return AM_OK;
}

static void merge_media(struct am_media_profile *a, const struct am_media_profile *b)
{
    struct am_media_profile old = *a;
    if (b->n_read) {
        widen(a, b->low);
        for (size_t i = 0; i < 3; i++)
            if (b->high[i] > a->high[i])
                a->high[i] = b->high[i];
        a->min_seconds =
            old.n_read && old.min_seconds < b->min_seconds ? old.min_seconds : b->min_seconds;
        if (b->max_seconds > a->max_seconds)
            a->max_seconds = b->max_seconds;
    }
    for (size_t i = 0; i < b->n_formats; i++) {
        count_format(a, b->formats[i].name);
        for (size_t k = 0; k < a->n_formats; k++)
            if (strcmp(a->formats[k].name, b->formats[i].name) == 0)
                a->formats[k].count += b->formats[i].count - 1;
    }
    a->n_read += b->n_read;
    a->n_unread += b->n_unread;
    a->n_animated += b->n_animated;
    a->seconds += b->seconds;
    a->n_bytes += b->n_bytes;
}

static enum am_rc update_dates(struct profile_state *c, const int64_t *v, size_t begin, size_t end,
                               struct am_err *err)
{
    for (size_t i = begin; i < end; i++) {
        double x = v[i] == AM_DATE_MISSING ? NAN : (double)v[i];
        AM_TRY(update_numbers(c, &x, 0, 1, NULL, 0, err));
    }
    return AM_OK;
}

/* Rows [begin, end) of one column. */
static enum am_rc update_column(struct am_profile *p, size_t at, const struct am_batch *b,
                                size_t begin, size_t end, const uint64_t *rows,
                                const uint32_t *taken, size_t n_taken, struct am_err *err)
{
    struct profile_state *c = &p->columns[at];
    const struct am_column *col = &b->columns[at];
    double *sample = c->sample ? c->sample + p->n_sample : NULL;
    c->pub.n_rows += end - begin;
    switch (col->type) {
    case AM_COL_CATEGORY:
    case AM_COL_TEXT:
        return update_texts(c, col, begin, end, rows, b->first_row, taken, n_taken, sample, err);
    case AM_COL_IMAGE:
    case AM_COL_AUDIO:
    case AM_COL_VIDEO:
        for (size_t t = 0; t < n_taken; t++)
            sample[t] = NAN;
        return update_media(c, col, begin, end, rows, b->first_row, err);
    case AM_COL_DATE:
        for (size_t t = 0; t < n_taken; t++)
            sample[t] = col->date[taken[t]] == AM_DATE_MISSING ? NAN : (double)col->date[taken[t]];
        return update_dates(c, col->date, begin, end, err);
    default:
        for (size_t t = 0; t < n_taken; t++)
            sample[t] = isinf(col->number[taken[t]]) ? NAN : col->number[taken[t]];
        return update_numbers(c, col->number, begin, end, rows, b->first_row, err);
    }
}

enum am_rc profile_update_at(struct am_profile *p, const struct am_batch *b, const uint64_t *rows,
                             struct am_err *err)
{
    uint32_t taken[2048];
    for (size_t begin = 0; begin < b->n_rows;) {
        size_t end, n_taken;
        AM_TRY(choose(p, b, rows, begin, &end, taken, &n_taken, err));
        for (size_t c = 0; c < p->schema->n; c++)
            AM_TRY(update_column(p, c, b, begin, end, rows, taken, n_taken, err));
        p->n_sample += n_taken;
        p->n_rows += end - begin;
        begin = end;
        if (p->n_sample == p->keep * 2)
            AM_TRY(thin(p, err));
    }
    return AM_OK;
}

enum am_rc am_profile_update(struct am_profile *p, const struct am_batch *b, struct am_err *err)
{
    return profile_update_at(p, b, NULL, err);
}

/* Chan, Golub and LeVeque 1979 */
static void merge_moments(struct profile_state *a, const struct profile_state *b)
{
    if (b->n_values == 0)
        return;
    if (a->n_values == 0) {
        a->shift = b->shift;
        a->sum = b->sum;
        a->sum2 = b->sum2;
        a->n_values = b->n_values;
        return;
    }
    double na = (double)a->n_values, nb = (double)b->n_values;
    double mean_a = a->shift + a->sum / na, mean_b = b->shift + b->sum / nb;
    double m2 = a->sum2 - a->sum * a->sum / na + b->sum2 - b->sum * b->sum / nb;
    double d = mean_b - mean_a;
    a->shift = mean_a + d * nb / (na + nb);
    a->sum = 0;
    a->sum2 = m2 + d * d * na * nb / (na + nb);
    a->n_values += b->n_values;
}

static void merge_counts(struct am_column_profile *a, const struct am_column_profile *b)
{
    a->n_rows += b->n_rows;
    a->n_missing += b->n_missing;
    a->n_infinite += b->n_infinite;
    a->n_negative += b->n_negative;
    a->n_zero += b->n_zero;
    a->n_numeric += b->n_numeric;
    a->all_integers &= b->all_integers;
    if (b->first_infinite_row < a->first_infinite_row)
        a->first_infinite_row = b->first_infinite_row;
    if (b->first_not_numeric < a->first_not_numeric)
        a->first_not_numeric = b->first_not_numeric;
    if (b->max_bytes > a->max_bytes ||
        (b->max_bytes == a->max_bytes && b->max_bytes_row < a->max_bytes_row)) {
        a->max_bytes = b->max_bytes;
        a->max_bytes_row = b->max_bytes_row;
    }
    if (isnan(a->min) || b->min < a->min)
        a->min = b->min;
    if (isnan(a->max) || b->max > a->max)
        a->max = b->max;
}

/* Where the other's n-th text is here: its sample holds numbers in its own order of appearance. */
static double text_number(const struct profile_state *into, const struct profile_state *from,
                          double index)
{
    if (isnan(index))
        return NAN;
    struct am_str key = from->distinct.texts.entries[(size_t)index].key;
    const uint64_t *value = am_map_get(&into->distinct.texts, key);
    if (!value)
        return NAN;
    return (
        double)((const struct am_map_entry *)(const void *)((const char *)value -
                                                            offsetof(struct am_map_entry, value)) -
                into->distinct.texts.entries);
}

enum am_rc am_profile_merge(struct am_profile *into, const struct am_profile *from,
                            struct am_err *err)
{
    for (size_t c = 0; c < into->schema->n; c++) {
        struct profile_state *a = &into->columns[c];
        const struct profile_state *b = &from->columns[c];
        merge_counts(&a->pub, &b->pub);
        merge_moments(a, b);
        a->n_words += b->n_words;
        merge_media(&a->pub.media, &b->pub.media);
        AM_TRY(distinct_merge(&a->distinct, &b->distinct, err));
    }
    for (size_t i = 0; i < from->n_sample; i++) {
        if (from->keys[i] > into->threshold)
            continue;
        AM_TRY(reserve(into, into->n_sample + 1, err));
        into->keys[into->n_sample] = from->keys[i];
        into->rows[into->n_sample] = from->rows[i];
        for (size_t c = 0; c < into->schema->n; c++) {
            enum am_col_type type = into->schema->columns[c].type;
            double v = from->columns[c].sample[i];
            bool text = type == AM_COL_TEXT || type == AM_COL_CATEGORY;
            into->columns[c].sample[into->n_sample] =
                text ? text_number(&into->columns[c], &from->columns[c], v) : v;
        }
        if (++into->n_sample == into->keep * 2)
            AM_TRY(thin(into, err));
    }
    into->n_rows += from->n_rows;
    return AM_OK;
}

int profile_compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

struct counted {
    struct am_str text;
    double number;
    uint64_t count;
};

static int by_count(const void *a, const void *b)
{
    const struct counted *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    if (x->text.ptr)
        return am_str_cmp(x->text, y->text);
    return x->number < y->number ? -1 : x->number > y->number;
}

static enum am_rc top_values(struct profile_state *c, struct am_err *err)
{
    struct distinct *d = &c->distinct;
    if ((d->overflow && d->texts.n == 0) || am_col_is_media(c->pub.type))
        return AM_OK; /* of pictures only hashes are kept */
    size_t n = 0;
    struct counted *all = am_alloc_array(d->n + d->texts.n + 1, sizeof *all);
    if (!d->arena)
        d->arena = am_arena_new(DISTINCT_TEXT_BYTES * 2);
    enum am_rc rc = AM_OK;
    if (!all || !d->arena) {
        rc = am_fail_nomem(err, (d->n + d->texts.n + 1) * sizeof *all);
        goto out;
    }
    for (size_t i = 0; i < d->n_slots; i++)
        if (d->numbers[i].count)
            all[n++] = (struct counted){{NULL, 0}, d->numbers[i].value, d->numbers[i].count};
    for (size_t i = 0; i < d->texts.n; i++)
        all[n++] = (struct counted){d->texts.entries[i].key, 0, d->texts.entries[i].value};
    qsort(all, n, sizeof *all, by_count);
    for (size_t i = 0; i < n && i < AM_PROFILE_TOP; i++) {
        struct am_str text = all[i].text;
        if (!text.ptr) {
            char buf[AM_DOUBLE_CHARS];
            size_t len = am_print_double(all[i].number, buf);
            text = am_arena_str(d->arena, (struct am_str){buf, len});
        }
        if (!text.ptr) {
            rc = am_fail_nomem(err, AM_DOUBLE_CHARS);
            goto out;
        }
        c->pub.top[i] = (struct am_top_value){text, all[i].count};
        c->pub.n_top = i + 1;
    }
out:
    am_free(all);
    return rc;
}

static bool conventional_boolean(struct am_str s, bool *value)
{
    static const char *const words[2][7] = {{"false", "f", "no", "n", "off", "0", "0.0"},
                                            {"true", "t", "yes", "y", "on", "1", "1.0"}};
    char low[8];
    s = am_str_trim(s);
    if (s.len == 0 || s.len >= sizeof low)
        return false;
    for (size_t i = 0; i < s.len; i++)
        low[i] = (char)(s.ptr[i] >= 'A' && s.ptr[i] <= 'Z' ? s.ptr[i] + 32 : s.ptr[i]);
    for (int v = 0; v < 2; v++)
        for (size_t w = 0; w < 7; w++)
            if (am_str_is((struct am_str){low, s.len}, words[v][w])) {
                *value = v == 1;
                return true;
            }
    return false;
}

/* Sorts n finite numbers: radix sort over 11-bit digits of keys that order as the numbers do. */
static void sort_numbers(double *v, double *scratch, size_t n)
{
    uint64_t *from = (void *)v, *to = (void *)scratch;
    size_t counts[2048];
    for (size_t i = 0; i < n; i++)
        from[i] = from[i] >> 63 ? ~from[i] : from[i] | (uint64_t)1 << 63;
    for (unsigned shift = 0; shift < 66; shift += 11) {
        memset(counts, 0, sizeof counts);
        for (size_t i = 0; i < n; i++)
            counts[from[i] >> shift & 2047]++;
        size_t sum = 0;
        for (size_t k = 0; k < 2048; k++) {
            size_t c = counts[k];
            counts[k] = sum;
            sum += c;
        }
        for (size_t i = 0; i < n; i++)
            to[counts[from[i] >> shift & 2047]++] = from[i];
        uint64_t *t = from;
        from = to;
        to = t;
    }
    for (size_t i = 0; i < n; i++) /* six passes: the numbers are back in v */
        from[i] = from[i] >> 63 ? from[i] & ~((uint64_t)1 << 63) : ~from[i];
}

/* Quantiles with linear interpolation between order statistics (Hyndman and Fan's type 7). */
static void quantiles(struct am_profile *p, struct profile_state *c)
{
    size_t n = 0;
    double *v = p->scratch;
    for (size_t i = 0; i < p->n_sample; i++)
        if (!isnan(c->sample[i]))
            v[n++] = c->sample[i];
    for (size_t q = 0; q < AM_PROFILE_QUANTILES; q++)
        c->pub.quantiles[q] = NAN;
    if (n == 0)
        return;
    sort_numbers(v, p->scratch + p->cap, n);
    for (size_t q = 0; q < AM_PROFILE_QUANTILES; q++) {
        double at = quantile_at[q] * (double)(n - 1);
        size_t low = (size_t)at;
        double next = low + 1 < n ? v[low + 1] : v[low];
        c->pub.quantiles[q] = v[low] + (at - (double)low) * (next - v[low]);
    }
    c->pub.bin_low = v[0];
    c->pub.bin_width = (v[n - 1] - v[0]) / AM_PROFILE_BINS;
    for (size_t i = 0; i < n; i++) {
        double bin = c->pub.bin_width > 0 ? (v[i] - v[0]) / c->pub.bin_width : 0;
        c->pub.bins[bin >= AM_PROFILE_BINS ? AM_PROFILE_BINS - 1 : (size_t)bin]++;
    }
    if (c->distinct.overflow &&
        p->n_sample == p->n_rows) { /* every row is in the sample: count exactly */
        c->pub.n_distinct = 1;
        for (size_t i = 1; i < n; i++)
            c->pub.n_distinct += v[i] != v[i - 1];
        c->pub.distinct_exact = true;
    }
}

static uint64_t count_not_numeric(const struct distinct *d)
{
    uint64_t n = 0;
    double v;
    for (size_t i = 0; i < d->texts.n; i++)
        n += !am_parse_double(am_str_trim(d->texts.entries[i].key), AM_NUM_FINITE, &v);
    return n;
}

static void finish_column(struct am_profile *p, struct profile_state *c)
{
    struct am_column_profile *pub = &c->pub;
    bool text = pub->type == AM_COL_TEXT || pub->type == AM_COL_CATEGORY;
    double n = (double)c->n_values;
    if (c->n_values) {
        pub->mean = c->shift + c->sum / n;
        double m2 = c->sum2 - c->sum * c->sum / n;
        pub->std = c->n_values > 1 ? sqrt((m2 > 0 ? m2 : 0) / (n - 1)) : NAN;
    }
    pub->n_distinct = distinct_count(&c->distinct);
    pub->distinct_exact = !c->distinct.overflow;
    if (text)
        pub->n_distinct_not_numeric = count_not_numeric(&c->distinct);
    if (!text)
        quantiles(p, c);
    else if (pub->n_rows > pub->n_missing)
        pub->mean_words = c->n_words / (double)(pub->n_rows - pub->n_missing);
    pub->all_integers &= !text && c->n_values > 0 && pub->n_infinite == 0;
    pub->consecutive_integers = pub->all_integers && pub->distinct_exact &&
                                pub->max - pub->min + 1 == (double)pub->n_distinct;
    bool a, b;
    pub->two_booleans = pub->distinct_exact && pub->n_distinct == 2 && pub->n_top == 2 &&
                        conventional_boolean(pub->top[0].text, &a) &&
                        conventional_boolean(pub->top[1].text, &b) && a != b;
}

enum am_rc am_profile_finish(struct am_profile *p, struct am_err *err)
{
    if (p->finished)
        return AM_OK;
    if (p->n_sample)
        AM_TRY(thin(p, err));
    for (size_t c = 0; c < p->schema->n; c++) {
        AM_TRY(top_values(&p->columns[c], err));
        finish_column(p, &p->columns[c]);
    }
    AM_TRY(profile_correlate(p, err));
    p->finished = true;
    return AM_OK;
}

uint64_t am_profile_n_rows(const struct am_profile *p)
{
    return p->n_rows;
}

const struct am_column_profile *am_profile_column(const struct am_profile *p, size_t i)
{
    return &p->columns[i].pub;
}

enum am_rc am_profile_table(const struct am_table *t, const struct am_profile_options *o,
                            struct am_profile **out, struct am_err *err)
{
    struct am_table_iter *it = NULL;
    struct am_profile *p = NULL;
    enum am_rc rc = AM_OK;
    *out = NULL;
    AM_GO(rc, am_profile_new(t->ops->schema(t->impl), o, &p, err));
    AM_GO(rc, t->ops->open(t->impl, NULL, 0, &it, err));
    for (const struct am_batch *b;;) {
        AM_GO(rc, t->ops->next(it, &b, err));
        if (!b)
            break;
        AM_GO(rc, am_profile_update(p, b, err));
    }
    AM_GO(rc, am_profile_finish(p, err));
    *out = p;
    p = NULL;
out:
    t->ops->close(it);
    am_profile_free(p);
    return rc;
}
