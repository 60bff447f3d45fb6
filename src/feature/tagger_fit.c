/* The averaged perceptron: weights move when a guess is wrong; what is kept is their mean over all
 * steps, which is added up lazily. Words that (nearly) always have one tag are not learned but
 * looked up. */
#include "feature/tagger_fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/rng.h"
#include "base/vec.h"

#define START 255
#define MAX_TAGS 254
#define WORD_COUNT 20    /* of a word that is looked up, at least */
#define WORD_SHARE 0.985 /* of its most frequent tag */
#define KEPT 0.35f       /* smaller means of weights are left out */

struct entry {
    uint8_t tag;
    float weight;
    uint32_t stamp;
    double total;
};

struct row {
    uint32_t hash;
    AM_VEC(struct entry) entries;
};

struct token {
    struct am_str text; /* in the arena */
    uint8_t tag;
};

struct am_tagger_fit {
    struct am_arena *arena;
    AM_VEC(struct token) tokens;
    AM_VEC(size_t) ends; /* of sentences */
    AM_VEC(struct am_str) tags;
    AM_VEC(struct row) rows;
    uint32_t *slots; /* owned: row + 1 by hash */
    size_t n_slots;
    uint32_t step;
    struct am_map words; /* looked up: text -> tag */
    AM_VEC(struct am_tagger_word) sentence;
    float scores[256];
};

enum am_rc am_tagger_fit_new(struct am_tagger_fit **out, struct am_err *err)
{
    struct am_tagger_fit *f = am_calloc(1, sizeof *f);
    if (!f)
        return am_fail_nomem(err, sizeof *f);
    am_map_init(&f->words);
    f->n_slots = (size_t)1 << 16;
    f->arena = am_arena_new(0);
    f->slots = am_calloc(f->n_slots, sizeof *f->slots);
    if (!f->arena || !f->slots) {
        am_tagger_fit_free(f);
        return am_fail_nomem(err, f->n_slots * sizeof *f->slots);
    }
    *out = f;
    return AM_OK;
}

void am_tagger_fit_free(struct am_tagger_fit *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->rows.len; i++)
        am_vec_clear(&f->rows.ptr[i].entries);
    am_vec_clear(&f->rows);
    am_vec_clear(&f->tokens);
    am_vec_clear(&f->ends);
    am_vec_clear(&f->tags);
    am_vec_clear(&f->sentence);
    am_map_clear(&f->words);
    am_free(f->slots);
    am_arena_free(f->arena);
    am_free(f);
}

static enum am_rc tag_of(struct am_tagger_fit *f, struct am_str name, uint8_t *out,
                         struct am_err *err)
{
    size_t i = 0;
    while (i < f->tags.len && !am_str_eq(f->tags.ptr[i], name))
        i++;
    *out = (uint8_t)i;
    if (i < f->tags.len)
        return AM_OK;
    if (i == MAX_TAGS || name.len < 1 || name.len > 15)
        return am_fail(err, AM_ELIMIT, "tag \"%.*s\": at most %d tags of 1 to 15 characters",
                       AM_FMT(name), MAX_TAGS);
    const struct am_str own = am_arena_str(f->arena, name);
    return own.ptr && am_vec_push(&f->tags, own) ? AM_OK : am_fail_nomem(err, name.len);
}

enum am_rc am_tagger_fit_add(struct am_tagger_fit *f, const struct am_str *tokens,
                             const struct am_str *tags, size_t n, struct am_err *err)
{
    for (size_t i = 0; i < n; i++) {
        struct token t = {.text = am_arena_str(f->arena, tokens[i])};
        AM_TRY(tag_of(f, tags[i], &t.tag, err));
        if (!t.text.ptr || !am_vec_push(&f->tokens, t))
            return am_fail_nomem(err, sizeof t);
    }
    const size_t end = f->tokens.len;
    return n == 0 || am_vec_push(&f->ends, end) ? AM_OK : am_fail_nomem(err, sizeof end);
}

/* ---- weights ---- */

static enum am_rc grow_slots(struct am_tagger_fit *f, struct am_err *err)
{
    const size_t n = f->n_slots * 2;
    uint32_t *slots = am_calloc(n, sizeof *slots);
    if (!slots)
        return am_fail_nomem(err, n * sizeof *slots);
    for (size_t i = 0; i < f->rows.len; i++) {
        size_t at = f->rows.ptr[i].hash & (n - 1);
        while (slots[at])
            at = (at + 1) & (n - 1);
        slots[at] = (uint32_t)i + 1;
    }
    am_free(f->slots);
    f->slots = slots;
    f->n_slots = n;
    return AM_OK;
}

static struct row *find(const struct am_tagger_fit *f, uint32_t hash, size_t *slot)
{
    size_t at = hash & (f->n_slots - 1);
    for (; f->slots[at]; at = (at + 1) & (f->n_slots - 1))
        if (f->rows.ptr[f->slots[at] - 1].hash == hash)
            return &f->rows.ptr[f->slots[at] - 1];
    *slot = at;
    return NULL;
}

static enum am_rc move_weight(struct am_tagger_fit *f, uint32_t hash, unsigned tag, float by,
                              struct am_err *err)
{
    size_t slot = 0;
    struct row *r = find(f, hash, &slot);
    if (!r) {
        const struct row new = {.hash = hash};
        if (!am_vec_push(&f->rows, new))
            return am_fail_nomem(err, sizeof new);
        f->slots[slot] = (uint32_t)f->rows.len;
        if (f->rows.len * 2 > f->n_slots)
            AM_TRY(grow_slots(f, err));
        r = &f->rows.ptr[f->rows.len - 1];
    }
    for (size_t i = 0; i < r->entries.len; i++) {
        struct entry *e = &r->entries.ptr[i];
        if (e->tag != tag)
            continue;
        e->total += (double)e->weight * (f->step - e->stamp);
        e->stamp = f->step;
        e->weight += by;
        return AM_OK;
    }
    const struct entry e = {.tag = (uint8_t)tag, .weight = by, .stamp = f->step};
    return am_vec_push(&r->entries, e) ? AM_OK : am_fail_nomem(err, sizeof e);
}

static unsigned guess(struct am_tagger_fit *f, const uint32_t features[AM_TAGGER_FEATURES])
{
    unsigned best = 0;
    size_t slot;
    memset(f->scores, 0, f->tags.len * sizeof *f->scores);
    for (size_t k = 0; k < AM_TAGGER_FEATURES; k++) {
        const struct row *r = find(f, features[k], &slot);
        for (size_t i = 0; r && i < r->entries.len; i++)
            f->scores[r->entries.ptr[i].tag] += r->entries.ptr[i].weight;
    }
    for (unsigned k = 1; k < f->tags.len; k++)
        if (f->scores[k] > f->scores[best])
            best = k;
    return best;
}

static enum am_rc learn_sentence(struct am_tagger_fit *f, size_t begin, size_t end,
                                 struct am_err *err)
{
    unsigned prev = START, before = START;
    if (!am_vec_reserve(&f->sentence, end - begin))
        return am_fail_nomem(err, end - begin);
    for (size_t i = begin; i < end; i++)
        am_tagger_word(f->tokens.ptr[i].text, i == begin, &f->sentence.ptr[i - begin]);
    for (size_t i = begin; i < end; i++) {
        const unsigned truth = f->tokens.ptr[i].tag;
        const uint64_t *known = am_map_get(&f->words, f->tokens.ptr[i].text);
        unsigned tag = known ? (unsigned)*known : 0;
        if (!known) {
            uint32_t features[AM_TAGGER_FEATURES];
            am_tagger_features(f->sentence.ptr, end - begin, i - begin, prev, before, features);
            tag = guess(f, features);
            f->step++;
            for (size_t k = 0; tag != truth && k < AM_TAGGER_FEATURES; k++) {
                AM_TRY(move_weight(f, features[k], truth, 1, err));
                AM_TRY(move_weight(f, features[k], tag, -1, err));
            }
        }
        before = prev;
        prev = tag; /* its own guess, as when it is used */
    }
    return AM_OK;
}

/* ---- words of one tag ---- */

struct counted {
    struct am_str text;
    uint8_t tag;
    uint64_t n;
};

static int by_text_and_tag(const void *pa, const void *pb)
{
    const struct counted *a = pa, *b = pb;
    const int c = am_str_cmp(a->text, b->text);
    return c ? c : (a->tag > b->tag) - (a->tag < b->tag);
}

static enum am_rc find_words(struct am_tagger_fit *f, struct am_err *err)
{
    const size_t n = f->tokens.len;
    struct counted *all = am_alloc_array(n + 1, sizeof *all);
    enum am_rc rc = AM_OK;
    if (!all)
        return am_fail_nomem(err, n * sizeof *all);
    for (size_t i = 0; i < n; i++)
        all[i] = (struct counted){f->tokens.ptr[i].text, f->tokens.ptr[i].tag, 1};
    qsort(all, n, sizeof *all, by_text_and_tag);
    for (size_t i = 0, j; i < n; i = j) {
        size_t best = 0;
        uint8_t tag = 0;
        for (j = i; j < n && am_str_eq(all[j].text, all[i].text);) {
            size_t k = j;
            while (k < n && am_str_eq(all[k].text, all[i].text) && all[k].tag == all[j].tag)
                k++;
            if (k - j > best)
                best = k - j, tag = all[j].tag;
            j = k;
        }
        if (j - i >= WORD_COUNT && (double)best >= WORD_SHARE * (double)(j - i))
            AM_GO(rc, am_map_put(&f->words, all[i].text, tag, err));
    }
out:
    am_free(all);
    return rc;
}

/* ---- the model's bytes ---- */

static void put_u32(struct am_buf *b, uint32_t v)
{
    const unsigned char c[4] = {(unsigned char)v, (unsigned char)(v >> 8), (unsigned char)(v >> 16),
                                (unsigned char)(v >> 24)};
    am_buf_add(b, c, 4);
}

static int by_hash(const void *pa, const void *pb)
{
    const struct row *a = pa, *b = pb;
    return (a->hash > b->hash) - (a->hash < b->hash);
}

/* Means take the place of the weights; rows of none are dropped; returns the greatest. */
static float average(struct am_tagger_fit *f)
{
    float most = 0;
    size_t n = 0;
    for (size_t i = 0; i < f->rows.len; i++) {
        struct row *r = &f->rows.ptr[i];
        size_t kept = 0;
        for (size_t k = 0; k < r->entries.len; k++) {
            struct entry e = r->entries.ptr[k];
            e.total += (double)e.weight * (f->step - e.stamp);
            e.weight = (float)(e.total / (f->step ? f->step : 1));
            if (fabsf(e.weight) < KEPT)
                continue;
            most = fmaxf(most, fabsf(e.weight));
            r->entries.ptr[kept++] = e;
        }
        r->entries.len = kept;
        if (kept == 0)
            am_vec_clear(&r->entries);
        else
            f->rows.ptr[n++] = *r;
    }
    f->rows.len = n;
    qsort(f->rows.ptr, n, sizeof *f->rows.ptr, by_hash);
    return most;
}

static void put_model(const struct am_tagger_fit *f, float scale, struct am_buf *out)
{
    uint32_t n_entries = 0, bits;
    for (size_t i = 0; i < f->rows.len; i++)
        n_entries += (uint32_t)f->rows.ptr[i].entries.len;
    am_buf_cstr(out, "AMTAGGR1");
    put_u32(out, (uint32_t)f->tags.len);
    put_u32(out, (uint32_t)f->rows.len);
    put_u32(out, n_entries);
    put_u32(out, (uint32_t)f->words.n);
    memcpy(&bits, &scale, sizeof bits);
    put_u32(out, bits);
    put_u32(out, 0);
    for (size_t i = 0; i < f->tags.len; i++) {
        char name[16] = {0};
        memcpy(name, f->tags.ptr[i].ptr, f->tags.ptr[i].len);
        am_buf_add(out, name, sizeof name);
    }
    n_entries = 0;
    for (size_t i = 0; i < f->rows.len; i++) {
        put_u32(out, f->rows.ptr[i].hash);
        put_u32(out, n_entries);
        n_entries += (uint32_t)f->rows.ptr[i].entries.len;
    }
    for (size_t i = 0; i < f->rows.len; i++)
        for (size_t k = 0; k < f->rows.ptr[i].entries.len; k++) {
            const struct entry *e = &f->rows.ptr[i].entries.ptr[k];
            const int16_t v = (int16_t)lrintf(e->weight / scale);
            put_u32(out, e->tag | (uint32_t)(uint16_t)v << 16);
        }
}

static int by_first(const void *pa, const void *pb)
{
    const uint32_t *a = pa, *b = pb;
    return (*a > *b) - (*a < *b);
}

static enum am_rc put_words(const struct am_tagger_fit *f, struct am_buf *out, struct am_err *err)
{
    const size_t n = f->words.n;
    uint32_t(*pairs)[2] = am_alloc_array(n + 1, sizeof *pairs);
    if (!pairs)
        return am_fail_nomem(err, n * sizeof *pairs);
    for (size_t i = 0; i < n; i++) {
        pairs[i][0] = am_tagger_word_hash(f->words.entries[i].key);
        pairs[i][1] = (uint32_t)f->words.entries[i].value;
    }
    qsort(pairs, n, sizeof *pairs, by_first);
    for (size_t i = 0; i < n; i++) {
        put_u32(out, pairs[i][0]);
        put_u32(out, pairs[i][1]);
    }
    am_free(pairs);
    return am_buf_check(out, err);
}

enum am_rc am_tagger_fit_finish(struct am_tagger_fit *f, unsigned epochs, uint64_t seed,
                                struct am_buf *out, struct am_err *err)
{
    const size_t n = f->ends.len;
    uint32_t *order = am_alloc_array(n + 1, sizeof *order);
    struct am_rng rng;
    enum am_rc rc;
    if (!order)
        return am_fail_nomem(err, n * sizeof *order);
    if (n == 0)
        AM_GO(rc, am_fail(err, AM_EINVAL, "there is no tagged sentence"));
    AM_GO(rc, find_words(f, err));
    am_rng_init(&rng, seed, AM_RNG_SHUFFLE);
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    for (unsigned e = 0; e < epochs; e++) {
        for (size_t i = n; i > 1; i--) {
            const size_t k = (size_t)am_rng_below(&rng, i);
            const uint32_t t = order[i - 1];
            order[i - 1] = order[k];
            order[k] = t;
        }
        for (size_t i = 0; i < n; i++) {
            const size_t at = order[i];
            AM_GO(rc, learn_sentence(f, at ? f->ends.ptr[at - 1] : 0, f->ends.ptr[at], err));
        }
    }
    const float most = average(f);
    put_model(f, most > 0 ? most / 32000 : 1, out);
    rc = put_words(f, out, err);
out:
    am_free(order);
    return rc;
}
