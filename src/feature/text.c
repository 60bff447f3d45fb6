/* Words of a text as signed hashed counts of unit length (Weinberger et al. 2009, "Feature
 * hashing").
 *
 * A word is a run of letters and digits, ASCII letters in lower case; other scripts as they are.
 * Chinese, Japanese and Korean are written without spaces: there each character and each pair of
 * neighbours is a word. Invalid UTF-8 is taken byte by byte. No dictionary, no allocation; any
 * thread. */
#include <math.h>

#include "feature/features_int.h"

#define WORD_BYTES 64 /* longer words are hashed by their first 64 bytes */

/* bytes of the character at p (n left), 1 for anything invalid */
static size_t char_bytes(const unsigned char *p, size_t n)
{
    size_t want = p[0] < 0xC2 ? 1 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : p[0] < 0xF5 ? 4 : 1;
    if (want > n)
        return 1;
    for (size_t i = 1; i < want; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 1;
    }
    return want;
}

/* U+2E80..U+9FFF, U+AC00..U+D7FF, U+F900..U+FAFF, U+20000.. but not the punctuation U+3000..U+303F
 */
static bool is_cjk(const unsigned char *p, size_t n)
{
    if (n == 4)
        return p[0] == 0xF0 && p[1] >= 0xA0;
    if (n != 3)
        return false;
    unsigned u = ((unsigned)(p[0] & 0x0F) << 12) | ((unsigned)(p[1] & 0x3F) << 6) | (p[2] & 0x3Fu);
    return (u >= 0x2E80 && u <= 0x9FFF && !(u >= 0x3000 && u <= 0x303F)) ||
           (u >= 0xAC00 && u <= 0xD7FF) || (u >= 0xF900 && u <= 0xFAFF);
}

/* general punctuation and symbols U+00A0..U+00BF, U+2000..U+206F, U+3000..U+303F, U+FF00..U+FF0F */
static bool is_mark(const unsigned char *p, size_t n)
{
    if (n == 2)
        return p[0] == 0xC2;
    return n == 3 &&
           ((p[0] == 0xE2 && (p[1] == 0x80 || p[1] == 0x81)) || (p[0] == 0xE3 && p[1] == 0x80) ||
            (p[0] == 0xEF && p[1] == 0xBC && p[2] < 0x90));
}

static bool is_word_char(const unsigned char *p, size_t n)
{
    if (n > 1)
        return !is_mark(p, n);
    return (p[0] >= '0' && p[0] <= '9') || ((p[0] | 0x20) >= 'a' && (p[0] | 0x20) <= 'z');
}

static void add(struct am_str word, size_t buckets, float *out)
{
    uint64_t h = am_str_hash(word);
    float sign = h >> 63 ? -1.0f : 1.0f;
    out[(uint32_t)h % buckets] += sign;
}

struct word {
    char bytes[WORD_BYTES];
    size_t n;
};

static void flush(struct word *w, size_t buckets, float *out)
{
    if (w->n > 0)
        add((struct am_str){w->bytes, w->n}, buckets, out);
    w->n = 0;
}

static void count_words(struct am_str text, size_t buckets, float *out)
{
    const unsigned char *p = (const unsigned char *)text.ptr;
    size_t last_cjk = SIZE_MAX; /* start of the CJK character just before i */
    struct word w = {.n = 0};
    for (size_t i = 0; i < text.len;) {
        size_t n = char_bytes(p + i, text.len - i);
        if (is_cjk(p + i, n)) {
            flush(&w, buckets, out);
            add((struct am_str){text.ptr + i, n}, buckets, out);
            if (last_cjk != SIZE_MAX)
                add((struct am_str){text.ptr + last_cjk, i + n - last_cjk}, buckets, out);
            last_cjk = i;
        } else {
            last_cjk = SIZE_MAX;
            if (!is_word_char(p + i, n)) {
                flush(&w, buckets, out);
            } else {
                for (size_t k = 0; k < n && w.n < WORD_BYTES; k++) {
                    unsigned char ch = p[i + k];
                    w.bytes[w.n++] = (char)(ch >= 'A' && ch <= 'Z' ? ch | 0x20 : ch);
                }
            }
        }
        i += n;
    }
    flush(&w, buckets, out);
}

void am_fwords(struct am_str text, size_t buckets, float *out)
{
    memset(out, 0, buckets * sizeof *out);
    if (text.ptr == NULL)
        return;
    count_words(text, buckets, out);
    double sum = 0;
    for (size_t i = 0; i < buckets; i++)
        sum += (double)out[i] * (double)out[i];
    if (sum > 0) {
        double mul = 1 / sqrt(sum);
        for (size_t i = 0; i < buckets; i++)
            out[i] = (float)((double)out[i] * mul);
    }
}
