/* Distinct values: an open-addressing table for numbers, the hash map for texts, HyperLogLog beside
 * both (Flajolet et al. 2007, with linear counting for small numbers). */
#include "data/distinct.h"

#include <math.h>

#include "base/alloc.h"

static uint64_t mix(uint64_t x) /* splitmix64's finisher */
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9ull;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

enum am_rc distinct_init(struct distinct *d, size_t limit, struct am_err *err)
{
    *d = (struct distinct){.limit = limit};
    am_map_init(&d->texts);
    d->registers = am_calloc(DISTINCT_REGISTERS, 1);
    d->n_slots = 64;
    d->numbers = am_calloc(d->n_slots, sizeof *d->numbers);
    if (!d->registers || !d->numbers)
        return am_fail_nomem(err, DISTINCT_REGISTERS);
    return AM_OK;
}

static void give_up(struct distinct *d)
{
    am_free(d->numbers);
    d->numbers = NULL;
    d->n_slots = 0;
    d->n = 0;
    d->overflow = true;
}

void distinct_clear(struct distinct *d)
{
    am_free(d->registers);
    am_free(d->numbers);
    am_map_clear(&d->texts);
    am_arena_free(d->arena);
    *d = (struct distinct){0};
}

static void note(struct distinct *d, uint64_t hash)
{
    size_t at = (size_t)(hash >> 52);
    uint8_t rank = (uint8_t)(__builtin_clzll((hash << 12) | 0x800) + 1);
    if (rank > d->registers[at])
        d->registers[at] = rank;
}

static bool grow(struct distinct *d)
{
    size_t n_slots = d->n_slots * 2;
    struct distinct_number *slots = am_calloc(n_slots, sizeof *slots);
    if (!slots)
        return false;
    for (size_t i = 0; i < d->n_slots; i++) {
        if (d->numbers[i].count == 0)
            continue;
        uint64_t bits;
        memcpy(&bits, &d->numbers[i].value, sizeof bits);
        size_t at = mix(bits) & (n_slots - 1);
        while (slots[at].count)
            at = (at + 1) & (n_slots - 1);
        slots[at] = d->numbers[i];
    }
    am_free(d->numbers);
    d->numbers = slots;
    d->n_slots = n_slots;
    return true;
}

enum am_rc distinct_add_number(struct distinct *d, double v, uint64_t count, struct am_err *err)
{
    if (v == 0)
        v = 0; /* one zero */
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    uint64_t hash = mix(bits);
    note(d, hash);
    if (d->overflow)
        return AM_OK;
    size_t at = hash & (d->n_slots - 1);
    /* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): the same bits are wanted */
    while (d->numbers[at].count && memcmp(&d->numbers[at].value, &v, sizeof v) != 0)
        at = (at + 1) & (d->n_slots - 1);
    if (d->numbers[at].count == 0) {
        if (d->n == DISTINCT_NUMBERS) {
            give_up(d);
            return AM_OK;
        }
        d->numbers[at].value = v;
        d->n++;
    }
    d->numbers[at].count += count;
    if (d->n * 2 > d->n_slots && !grow(d))
        return am_fail_nomem(err, d->n_slots * 2 * sizeof *d->numbers);
    return AM_OK;
}

enum am_rc distinct_add_numbers(struct distinct *d, const double *v, size_t n, struct am_err *err)
{
    size_t i = 0;
    for (; i < n && !d->overflow; i++)
        if (isfinite(v[i]))
            AM_TRY(distinct_add_number(d, v[i], 1, err));
    for (; i < n; i++) {
        uint64_t bits;
        double x = v[i] + 0.0; /* one zero */
        memcpy(&bits, &x, sizeof bits);
        if (isfinite(x))
            note(d, mix(bits));
    }
    return AM_OK;
}

enum am_rc distinct_add_text(struct distinct *d, struct am_str v, uint64_t count, size_t *index,
                             struct am_err *err)
{
    *index = SIZE_MAX;
    note(d, mix(am_str_hash(v)));
    uint64_t *known = am_map_get(&d->texts, v);
    if (known) {
        *known += count;
        *index = (size_t)((const struct am_map_entry *)(const void *)((const char *)known -
                                                                      offsetof(struct am_map_entry,
                                                                               value)) -
                          d->texts.entries);
        return AM_OK;
    }
    if (d->overflow)
        return AM_OK;
    if (!d->arena && !(d->arena = am_arena_new(DISTINCT_TEXT_BYTES * 2)))
        return am_fail_nomem(err, sizeof v);
    if (d->texts.n >= d->limit || am_arena_used(d->arena) + v.len > DISTINCT_TEXT_BYTES) {
        d->overflow = true; /* those known go on being counted */
        return AM_OK;
    }
    struct am_str key = am_arena_str(d->arena, v);
    if (!key.ptr)
        return am_fail_nomem(err, v.len);
    *index = d->texts.n;
    return am_map_put(&d->texts, key, count, err);
}

enum am_rc distinct_merge(struct distinct *into, const struct distinct *from, struct am_err *err)
{
    for (size_t i = 0; i < DISTINCT_REGISTERS; i++)
        if (from->registers[i] > into->registers[i])
            into->registers[i] = from->registers[i];
    for (size_t i = 0; i < from->n_slots; i++)
        if (from->numbers[i].count)
            AM_TRY(distinct_add_number(into, from->numbers[i].value, from->numbers[i].count, err));
    if (from->overflow && !into->overflow) {
        if (from->texts.n == 0)
            give_up(into);
        into->overflow = true;
    }
    size_t index;
    for (size_t i = 0; i < from->texts.n; i++)
        AM_TRY(distinct_add_text(into, from->texts.entries[i].key, from->texts.entries[i].value,
                                 &index, err));
    return AM_OK;
}

uint64_t distinct_count(const struct distinct *d)
{
    if (!d->overflow)
        return d->n + d->texts.n;
    const double m = DISTINCT_REGISTERS;
    double sum = 0;
    unsigned n_zero = 0;
    for (size_t i = 0; i < DISTINCT_REGISTERS; i++) {
        sum += ldexp(1, -d->registers[i]);
        n_zero += d->registers[i] == 0;
    }
    double estimate = 0.7213 / (1 + 1.079 / m) * m * m / sum;
    if (estimate <= 2.5 * m && n_zero)
        estimate = m * log(m / n_zero);
    return (uint64_t)llround(estimate);
}
