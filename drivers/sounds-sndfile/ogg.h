/* The three headers of an Ogg Vorbis stream, read once by libvorbis itself before libsndfile sees
 * the file.
 *
 * libsndfile 1.2.0 forgets about 6 KB whenever libvorbis refuses a header; here the same calls
 * refuse it with everything freed, so that a server that is sent damaged files does not grow. Not a
 * decoder. Any thread. */
#ifndef AM_SOUNDS_SNDFILE_OGG_H
#define AM_SOUNDS_SNDFILE_OGG_H

#include <stdbool.h>

#include "base/str.h"

/* false: the headers of a Vorbis stream are damaged, or another stream begins among them. True for
 * whatever is no Vorbis. */
bool ogg_headers_good(struct am_str bytes);

#endif
