/* The cursor of ubj.h. */
#include "ubj.h"

#include <string.h>

#define DEPTH_MAX 32

static unsigned char take(struct ubj *u)
{
    if (u->failed || u->p == u->end) {
        u->failed = true;
        return 0;
    }
    return *u->p++;
}

static uint64_t big_endian(const unsigned char *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

static size_t width_of(char kind)
{
    switch (kind) {
    case 'i':
    case 'U':
        return 1;
    case 'I':
        return 2;
    case 'l':
    case 'd':
        return 4;
    case 'L':
    case 'D':
        return 8;
    default:
        return 0;
    }
}

static const unsigned char *bytes(struct ubj *u, uint64_t n)
{
    if (u->failed || n > (uint64_t)(u->end - u->p)) {
        u->failed = true;
        return NULL;
    }
    const unsigned char *p = u->p;
    u->p += n;
    return p;
}

/* A length: an integer with its kind in front. */
static uint64_t length(struct ubj *u)
{
    const char kind = (char)take(u);
    const size_t n = kind == 'd' || kind == 'D' ? 0 : width_of(kind);
    const unsigned char *p = n ? bytes(u, n) : NULL;
    const uint64_t v = p ? big_endian(p, n) : 0;
    if (!p || v > (uint64_t)(u->end - u->p))
        u->failed = true;
    return u->failed ? 0 : v;
}

static struct ubj_text text_of(struct ubj *u)
{
    const uint64_t n = length(u);
    const unsigned char *p = bytes(u, n);
    return (struct ubj_text){p ? (const char *)p : "", p ? (size_t)n : 0};
}

void ubj_object(struct ubj *u)
{
    if (take(u) != '{')
        u->failed = true;
}

bool ubj_key(struct ubj *u, struct ubj_text *key)
{
    *key = (struct ubj_text){"", 0};
    if (!u->failed && u->p < u->end && *u->p == '}') {
        u->p++;
        return false;
    }
    *key = text_of(u);
    return !u->failed;
}

bool ubj_is(struct ubj_text t, const char *s)
{
    return t.len == strlen(s) && memcmp(t.ptr, s, t.len) == 0;
}

size_t ubj_list(struct ubj *u)
{
    const int open = take(u), counted = take(u);
    if (open != '[' || counted != '#')
        u->failed = true;
    return u->failed ? 0 : (size_t)length(u);
}

struct ubj_array ubj_array(struct ubj *u)
{
    struct ubj_array a = {0};
    const int open = take(u), typed = take(u);
    if (open != '[' || typed != '$')
        u->failed = true;
    a.kind = (char)take(u);
    if (take(u) != '#')
        u->failed = true;
    const uint64_t n = length(u);
    const size_t width = width_of(a.kind);
    if (width == 0 || n > UINT64_MAX / 8)
        u->failed = true;
    a.data = u->failed ? NULL : bytes(u, n * width);
    a.n = a.data ? (size_t)n : 0;
    return a;
}

struct ubj_text ubj_text(struct ubj *u)
{
    if (take(u) != 'S')
        u->failed = true;
    return text_of(u);
}

static void skip(struct ubj *u, unsigned depth)
{
    struct ubj_text key;
    if (depth > DEPTH_MAX || u->failed || u->p == u->end) {
        u->failed = true;
        return;
    }
    const char kind = (char)*u->p;
    if (kind == '{') {
        ubj_object(u);
        while (ubj_key(u, &key))
            skip(u, depth + 1);
    } else if (kind == '[' && u->end - u->p > 1 && u->p[1] == '$') {
        (void)ubj_array(u);
    } else if (kind == '[') {
        for (size_t n = ubj_list(u); n > 0 && !u->failed; n--)
            skip(u, depth + 1);
    } else if (kind == 'S') {
        (void)ubj_text(u);
    } else {
        u->p++;
        if (kind != 'T' && kind != 'F' && kind != 'Z' && !bytes(u, width_of(kind)))
            u->failed = true;
        if (width_of(kind) == 0 && kind != 'T' && kind != 'F' && kind != 'Z')
            u->failed = true;
    }
}

void ubj_skip(struct ubj *u)
{
    skip(u, 0);
}

double ubj_number(const struct ubj_array *a, size_t i)
{
    const size_t width = width_of(a->kind);
    const uint64_t v = big_endian(a->data + i * width, width);
    float f;
    double d;
    uint32_t small = (uint32_t)v;
    switch (a->kind) {
    case 'd':
        memcpy(&f, &small, sizeof f);
        return (double)f;
    case 'D':
        memcpy(&d, &v, sizeof d);
        return d;
    case 'l':
        return (double)(int32_t)small;
    case 'L':
        return (double)(int64_t)v;
    case 'I':
        return (double)(int16_t)(uint16_t)v;
    case 'i':
        return (double)(int8_t)(uint8_t)v;
    default:
        return (double)v;
    }
}
