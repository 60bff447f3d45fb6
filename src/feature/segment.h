/* Words as ICU cuts them: by dictionary where a language writes no spaces (Chinese, Japanese,
 * Thai), by UAX 29 elsewhere.
 *
 * ICU is found at run time, at the first text; libaimass needs it only for models that use it. Its
 * dictionaries change with its major version, so a model keeps that number and is refused with
 * another: the same text would give other ids. Every thread has a cutter of its own and cuts one
 * text at a time with it. */
#ifndef AM_FEATURE_SEGMENT_H
#define AM_FEATURE_SEGMENT_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

/* AM_EUNSUPPORTED, naming the package, when ICU is not there. */
enum am_rc am_segments_open(struct am_err *err) AM_MUST_CHECK;
/* ICU's major version; after am_segments_open. */
unsigned am_segments_version(void);

/* The calling thread starts on text, which must stay until its end. false: no memory, or no ICU. */
bool am_segments_start(struct am_str text);
/* Where the next segment ends, in bytes from the text's start; 0 after the last. */
size_t am_segments_next(void);

#endif
