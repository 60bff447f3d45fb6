/* ICU's word iterator behind segment.h, its functions looked up by their versioned names. */
#include "feature/segment.h"

#include <dlfcn.h>
#include <pthread.h>
#include <unicode/ubrk.h>
#include <unicode/utext.h>
#include <unicode/uversion.h>

#define TEXT_OF(x) #x
#define NAME_OF(x) TEXT_OF(x) /* of what ICU's headers make of a function's name */

static struct {
    __typeof__(&ubrk_open) open;
    __typeof__(&ubrk_close) close;
    __typeof__(&ubrk_setUText) set;
    __typeof__(&ubrk_next) next;
    __typeof__(&utext_openUTF8) text;
    __typeof__(&utext_close) text_close;
    bool there;
} icu;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t cutters; /* of each thread: UBreakIterator */

static void close_cutter(void *p)
{
    icu.close(p);
}

static void look_up(void)
{
    void *lib = dlopen("libicuuc.so." U_ICU_VERSION_SHORT, RTLD_NOW | RTLD_LOCAL);
    if (!lib)
        return;
    const struct {
        const char *name;
        void *at;
    } wanted[] = {{NAME_OF(ubrk_open), &icu.open},      {NAME_OF(ubrk_close), &icu.close},
                  {NAME_OF(ubrk_setUText), &icu.set},   {NAME_OF(ubrk_next), &icu.next},
                  {NAME_OF(utext_openUTF8), &icu.text}, {NAME_OF(utext_close), &icu.text_close}};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        void *found = dlsym(lib, wanted[i].name);
        if (!found)
            return;
        *(void **)wanted[i].at = found;
    }
    icu.there = pthread_key_create(&cutters, close_cutter) == 0;
}

enum am_rc am_segments_open(struct am_err *err)
{
    (void)pthread_once(&once, look_up);
    if (icu.there)
        return AM_OK;
    (void)am_fail(err, AM_EUNSUPPORTED, "ICU %s is not there, which cuts texts into words",
                  U_ICU_VERSION_SHORT);
    am_hint(err, "Install the Debian package libicu%s, or use `encode: tokens`.",
            U_ICU_VERSION_SHORT);
    return AM_EUNSUPPORTED;
}

unsigned am_segments_version(void)
{
    return U_ICU_VERSION_MAJOR_NUM;
}

static UBreakIterator *cutter(void)
{
    UErrorCode e = U_ZERO_ERROR;
    (void)pthread_once(&once, look_up);
    if (!icu.there)
        return NULL;
    UBreakIterator *c = pthread_getspecific(cutters);
    if (c)
        return c;
    c = icu.open(UBRK_WORD, "", NULL, 0, &e); /* the root locale: whatever the machine speaks */
    if (!c || U_FAILURE(e) || pthread_setspecific(cutters, c) != 0) {
        if (c)
            icu.close(c);
        return NULL;
    }
    return c;
}

bool am_segments_start(struct am_str text)
{
    UErrorCode e = U_ZERO_ERROR;
    UText view = UTEXT_INITIALIZER;
    UBreakIterator *c = cutter();
    if (!c)
        return false;
    (void)icu.text(&view, text.ptr ? text.ptr : "", (int64_t)text.len, &e);
    if (U_SUCCESS(e)) {
        icu.set(c, &view, &e); /* a shallow copy: the bytes stay the caller's */
        (void)icu.text_close(&view);
    }
    return U_SUCCESS(e);
}

size_t am_segments_next(void)
{
    const int32_t at = icu.next(pthread_getspecific(cutters));
    return at > 0 ? (size_t)at : 0;
}
