/* libstemmer behind terms.h, looked up at run time: libaimass needs it only for models that stem.
 * Its stems change with its versions, so a model keeps what it made of some words. A stemmer
 * belongs to one thread at a time. */
#include "feature/terms.h"

#include <dlfcn.h>
#include <pthread.h>

#include "base/alloc.h"

struct sb_stemmer; /* the library's */

static struct {
    struct sb_stemmer *(*open)(const char *algorithm, const char *encoding);
    void (*close)(struct sb_stemmer *s);
    const unsigned char *(*stem)(struct sb_stemmer *s, const unsigned char *word, int size);
    int (*length)(struct sb_stemmer *s);
    bool there;
} lib;
static pthread_once_t once = PTHREAD_ONCE_INIT;

struct am_stemmer {
    struct sb_stemmer *s; /* owned */
};

static void look_up(void)
{
    void *so = dlopen("libstemmer.so.0d", RTLD_NOW | RTLD_LOCAL);
    if (!so)
        return;
    const struct {
        const char *name;
        void *at;
    } wanted[] = {{"sb_stemmer_new", &lib.open},
                  {"sb_stemmer_delete", &lib.close},
                  {"sb_stemmer_stem", &lib.stem},
                  {"sb_stemmer_length", &lib.length}};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        void *found = dlsym(so, wanted[i].name);
        if (!found)
            return;
        *(void **)wanted[i].at = found;
    }
    lib.there = true;
}

enum am_rc am_stemmer_new(struct am_str language, struct am_stemmer **out, struct am_err *err)
{
    char name[32];
    struct am_stemmer *s;
    (void)pthread_once(&once, look_up);
    if (!lib.there) {
        (void)am_fail(err, AM_EUNSUPPORTED, "libstemmer is not there, which stems words");
        am_hint(err, "Install the Debian package libstemmer0d, or leave `stem` out.");
        return AM_EUNSUPPORTED;
    }
    if (language.len >= sizeof name)
        return am_fail(err, AM_EUNSUPPORTED, "libstemmer knows no language \"%.*s\"",
                       AM_FMT(language));
    memcpy(name, language.ptr, language.len);
    name[language.len] = 0;
    s = am_calloc(1, sizeof *s);
    if (!s)
        return am_fail_nomem(err, sizeof *s);
    s->s = lib.open(name, "UTF_8");
    if (!s->s) {
        am_free(s);
        return am_fail(err, AM_EUNSUPPORTED, "libstemmer knows no language \"%s\"", name);
    }
    *out = s;
    return AM_OK;
}

void am_stemmer_free(struct am_stemmer *s)
{
    if (!s)
        return;
    lib.close(s->s);
    am_free(s);
}

struct am_str am_stemmer_stem(struct am_stemmer *s, struct am_str word)
{
    const unsigned char *p = lib.stem(s->s, (const unsigned char *)word.ptr, (int)word.len);
    const int n = lib.length(s->s);
    return p && n > 0 ? (struct am_str){(const char *)p, (size_t)n} : word;
}

enum am_rc am_stemmer_print(struct am_str language, uint64_t *out, struct am_err *err)
{
    static const char *const words[] = {
        "generously",      "running",    "happiness",   "dying",          "skies",
        "universities",    "relational", "abilities",   "feststellungen", "aufeinander",
        "continuellement", "chevaux",    "hablaremos",  "corriendo",      "amministrazione",
        "quickly",         "early",      "organization"};
    struct am_stemmer *s;
    AM_TRY(am_stemmer_new(language, &s, err));
    uint64_t h = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        const struct am_str stem = am_stemmer_stem(s, am_str(words[i]));
        for (size_t k = 0; k <= stem.len; k++)
            h = (h ^ (k < stem.len ? (unsigned char)stem.ptr[k] : 0x100u)) *
                UINT64_C(1099511628211);
    }
    am_stemmer_free(s);
    *out = h >> 12; /* 52 bits: exact as a JSON number */
    return AM_OK;
}
