/* Reading Universal Binary JSON as XGBoost writes a model: a cursor over bytes that only walks
 * forward. Not a general reader: kinds that XGBoost does not write are refused.
 *
 * Borrowed bytes; every length is checked against what is left. One thread. */
#ifndef DRIVERS_TREES_XGBOOST_UBJ_H
#define DRIVERS_TREES_XGBOOST_UBJ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ubj {
    const unsigned char *p, *end;
    bool failed; /* sticks; everything gives nothing then */
};

struct ubj_text {
    const char *ptr;
    size_t len;
};

/* A typed array: kind d (float), l (int32), L (int64), U (uint8); big endian. */
struct ubj_array {
    char kind;
    size_t n;
    const unsigned char *data;
};

/* The cursor stands at a value: into an object. */
void ubj_object(struct ubj *u);
/* The next key of the object that the cursor is in; false at its end (which is passed) or on
 * failure. */
bool ubj_key(struct ubj *u, struct ubj_text *key);
bool ubj_is(struct ubj_text t, const char *s);
/* The number of elements of an untyped array; the cursor stands at the first. */
size_t ubj_list(struct ubj *u);
struct ubj_array ubj_array(struct ubj *u);
struct ubj_text ubj_text(struct ubj *u);
void ubj_skip(struct ubj *u); /* any value */

/* Element i < n; of any kind as a number. */
double ubj_number(const struct ubj_array *a, size_t i);

#endif
