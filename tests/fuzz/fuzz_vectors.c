/* Any bytes as a file of word vectors, as a model of parts of speech and as a regular expression
 * over themselves. Never a crash, never without an end. */
#include "base/alloc.h"
#include "feature/clean.h"
#include "feature/tagger.h"
#include "feature/vectors.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void read_vectors(struct am_str bytes)
{
    struct am_vector_file f;
    bool more = true;
    if (am_vector_file_open(&f, bytes, NULL) == AM_OK) {
        float *row = am_alloc(f.dimensions * sizeof *row);
        struct am_str word;
        for (size_t i = 0; row && more && i < 1000; i++)
            if (am_vector_file_next(&f, &word, row, &more, NULL) != AM_OK)
                break;
        am_free(row);
    }
    am_vector_file_close(&f);
}

static void tag(struct am_str bytes, struct am_arena *a)
{
    const struct am_tagger *t;
    struct am_tagger_scratch *s = NULL;
    struct am_str tokens[64], rest = bytes;
    const char *tags[64];
    size_t n = 0;
    if (am_tagger_load(bytes, a, &t, NULL) != AM_OK)
        return;
    while (n < 64 && am_tagger_token(&rest, &tokens[n]))
        n++;
    if (am_tagger_scratch_new(&s, NULL) == AM_OK &&
        am_tagger_tag(t, s, tokens, n, tags, NULL) == AM_OK)
        for (size_t i = 0; i < n; i++)
            if (!tags[i][0])
                __builtin_trap();
    am_tagger_scratch_free(s);
}

static void clean(struct am_str bytes, struct am_arena *a)
{
    const struct am_regex *re;
    struct am_regex_scratch s = {0};
    struct am_buf out;
    uint64_t budget = 1000000;
    am_buf_init(&out, 1 << 22);
    am_clean_html(bytes, &out);
    am_clean_width(bytes, &out);
    am_clean_lower(bytes, &out);
    const struct am_str pattern = {bytes.ptr, bytes.len < 200 ? bytes.len : 200};
    if (am_regex_new(pattern, a, &re, NULL) == AM_OK &&
        am_clean_rule(re, (struct am_str){"-", 1}, &s, bytes, &budget, &out, NULL) != AM_OK)
        __builtin_trap();
    am_regex_scratch_clear(&s);
    am_buf_clear(&out);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    const struct am_str bytes = {(const char *)data, size};
    struct am_arena *a = am_arena_new((size_t)64 << 20);
    if (!a || size > 1 << 16) {
        am_arena_free(a);
        return 0;
    }
    read_vectors(bytes);
    tag(bytes, a);
    clean(bytes, a);
    am_arena_free(a);
    return 0;
}
