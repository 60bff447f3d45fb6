/* Distinct values of a column with counts: exact up to a limit, then only an estimate of how many
 * (HyperLogLog, 4096 registers, standard error 1.6 %). Mergeable. Inside of data/; one thread. */
#ifndef AM_DATA_DISTINCT_H
#define AM_DATA_DISTINCT_H

#include "base/arena.h"
#include "base/map.h"

#define DISTINCT_REGISTERS 4096
#define DISTINCT_NUMBERS 8192 /* distinct numbers kept with counts */
#define DISTINCT_TEXT_BYTES ((size_t)32 << 20)

struct distinct_number {
    double value;
    uint64_t count; /* 0 = free slot */
};

struct distinct {
    uint8_t *registers;              /* owned [DISTINCT_REGISTERS] */
    struct distinct_number *numbers; /* owned, open addressing */
    size_t n_slots, n;
    struct am_map texts;    /* key -> count */
    struct am_arena *arena; /* owned: the keys */
    size_t limit;           /* of exact texts */
    bool overflow;          /* exact values were given up */
};

enum am_rc distinct_init(struct distinct *d, size_t limit, struct am_err *err) AM_MUST_CHECK;
void distinct_clear(struct distinct *d);
enum am_rc distinct_add_number(struct distinct *d, double v, uint64_t count,
                               struct am_err *err) AM_MUST_CHECK;
/* Every finite one of v [n], once each. */
enum am_rc distinct_add_numbers(struct distinct *d, const double *v, size_t n,
                                struct am_err *err) AM_MUST_CHECK;
/* *index = number of the value in order of appearance, SIZE_MAX when values are no longer kept */
enum am_rc distinct_add_text(struct distinct *d, struct am_str v, uint64_t count, size_t *index,
                             struct am_err *err) AM_MUST_CHECK;
enum am_rc distinct_merge(struct distinct *into, const struct distinct *from,
                          struct am_err *err) AM_MUST_CHECK;
uint64_t distinct_count(const struct distinct *d);

#endif
