/* Near-duplicates: rows that say almost the same, found before the split and told after it.
 *
 * `data.near_duplicates` compares texts by MinHash (Broder 1997: the share of 4-letter pieces that
 * two texts have in common, estimated from 128 hashes; candidates by 32 bands of 4), pictures by
 * difference hash (64 bits: which of two neighbouring pixels of 9 x 8 is lighter), tables by key
 * columns (letters' case and spaces do not count). Rows that are near form groups, through others
 * too. A struct am_near belongs to the prepared rows. One thread. */
#ifndef AM_PIPELINE_NEAR_H
#define AM_PIPELINE_NEAR_H

#include <stddef.h>

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct am_prepared;
struct am_node;
struct am_arena;

enum am_near_action {
    AM_NEAR_KEEP,  /* only told */
    AM_NEAR_DROP,  /* the first of a group stays */
    AM_NEAR_GROUP, /* all of a group go where its first row went: parts and folds */
};

#define AM_NEAR_SHOWN 20
struct am_near {
    const char *by; /* "minhash", "phash", "key"; static */
    enum am_near_action action;
    double similarity;
    uint64_t *first; /* owned [n_rows]: the first row of its group; itself where it has none */
    uint64_t n_rows, n_groups, n_in_groups;
    uint64_t n_dropped, n_moved;
    uint64_t n_leaks; /* rows in another part than the first of their group, before any was moved */
    struct {
        uint64_t a, b;
        double similarity;
    } shown[AM_NEAR_SHOWN]; /* [n_shown] the first pairs found */
    size_t n_shown;
};

/* After cleaning, before the split: finds groups, drops rows. p->near stays NULL when the recipe
 * says nothing. AM_EUSAGE: no column to compare; AM_ELIMIT: more rows than memory allows. */
enum am_rc am_near_find(struct am_prepared *p, struct am_err *err) AM_MUST_CHECK;
/* After the split: counts leaks, moves rows. AM_EINVAL when data.split.leaks is error. */
enum am_rc am_near_apply(struct am_prepared *p, struct am_err *err) AM_MUST_CHECK;
/* Rows of a group get the fold of its first row that has one. of [n_rows], none = not in a fold. */
void am_near_fold(const struct am_near *n, uint16_t *of, uint16_t none);
/* {by, similarity, action, groups, rows, dropped, moved, leaks, pairs: [{rows: [a, b],
 * similarity}]}; rows count from 1. */
struct am_node *am_near_to_node(const struct am_near *n, struct am_arena *a);
void am_near_free(struct am_near *n); /* NULL is fine */

#endif
