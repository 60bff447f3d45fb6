/* Models that exist only in tests, behind the source interface of serve/: no package, no registry.
 *
 *   half   1 and 2   regression, one number: x / 2 + 3
 *   mixed  1         binary "no"/"yes": number, boolean, category, text, date; p(yes) =
 * sigmoid(number) plane  1, 2, 3   three classes over two numbers; alias champion -> 2 slow   1 as
 * half, but never measured: always through the workers
 *   picture 1        "dark"/"bright" of one picture `photo` by its mean
 *   clip   1         the same of two frames of a video `film`
 *   card   1         regression over a number, a picture and a sound
 *   sieve  1         anomalies over two numbers: a^2 + b^2 against 2; vectors: embeddings of the
 * same broken 1         cannot be loaded fake_publish adds a version; one thread at a time. */
#ifndef AM_TESTS_FAKE_MODELS_H
#define AM_TESTS_FAKE_MODELS_H

#include <pthread.h>

#include "serve/source.h"

struct fake {
    _Atomic uint64_t generation;
    _Atomic int plane_versions; /* 3 */
    _Atomic int champion;       /* 2 */
    _Atomic int bad_version;    /* of plane, cannot be loaded; 0 = none */
    _Atomic int n_loads, n_live;
    _Atomic int fail_predict;      /* the next predictions fail */
    _Atomic pthread_t last_thread; /* that predicted a picture */
    _Atomic int n_largest;         /* rows of the largest batch */
};

void fake_init(struct fake *f);
struct am_serve_source fake_source(struct fake *f);

#endif
