/* Fitting of text columns with terms: which terms, in how many rows; vectors of words.
 *
 * One pass in the rows' order by the column's one thread. Memory is bounded by the limits of terms
 * and of their bytes; a column with more is refused, with `encode: hashing` as the remedy. */
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "feature/fit_int.h"
#include "feature/tagger.h"
#include "feature/text_spec.h"

#define STREAM_MAX ((size_t)1 << 28) /* words of training texts that vectors are learned from */

struct am_ftext_fit {
    struct am_terms *terms;
    struct am_arena *names; /* owned: the terms' bytes */
    struct am_termset map;  /* term -> index */
    AM_VEC(struct am_str) keys;
    AM_VEC(uint32_t) df;     /* rows with it */
    AM_VEC(uint32_t) last;   /* the last of them, from 1 */
    AM_VEC(uint64_t) tf;     /* in all */
    AM_VEC(uint32_t) stream; /* vectors: the texts' words, UINT32_MAX between texts */
    uint32_t row;
    bool needs_stream;
    struct am_buf file; /* of loaded vectors */
};

void am_ffit_text_free(struct am_ftext_fit *t)
{
    if (!t)
        return;
    am_terms_free(t->terms);
    am_termset_clear(&t->map);
    am_vec_clear(&t->keys);
    am_arena_free(t->names);
    am_vec_clear(&t->df);
    am_vec_clear(&t->last);
    am_vec_clear(&t->tf);
    am_vec_clear(&t->stream);
    am_buf_clear(&t->file);
    am_free(t);
}

static enum am_rc read_file(const struct am_features_fit *fit, const struct am_ffit_col *c,
                            const char *key, struct am_str path, struct am_buf *out,
                            struct am_err *err)
{
    if (!fit->read_file) {
        am_fail(err, AM_EPERM, "a recipe that was sent cannot name a file: features.%.*s.%s",
                AM_FMT(c->name), key);
        am_hint(err, "Run it with `aimass train` on this machine, or leave the file out.");
        return AM_EPERM;
    }
    const enum am_rc rc = fit->read_file(fit->read_ctx, path, out, err);
    if (rc != AM_OK)
        am_context(err, "features.%.*s.%s", AM_FMT(c->name), key);
    return rc;
}

static enum am_rc load_tagger(struct am_features_fit *fit, struct am_ffit_col *c,
                              struct am_err *err)
{
    struct am_buf b;
    if (!c->spec.text->tagger_file.ptr || c->spec.text->text.config.tags == AM_TEXT_TAGS_NONE)
        return AM_OK;
    am_buf_init(&b, AM_TAGGER_MAX_BYTES);
    enum am_rc rc = read_file(fit, c, "tagger", c->spec.text->tagger_file, &b, err);
    if (rc == AM_OK)
        rc = am_tagger_load(am_buf_view(&b), fit->arena, &c->spec.text->text.config.tagger, err);
    am_buf_clear(&b);
    return rc;
}

enum am_rc am_ffit_text_init(struct am_features_fit *fit, struct am_ffit_col *c, struct am_err *err)
{
    struct am_ftext_spec *s = c->spec.text;
    struct am_ftext_fit *t = am_calloc(1, sizeof *t);
    if (!t)
        return am_fail_nomem(err, sizeof *t);
    c->text = t;
    am_buf_init(&t->file, AM_LIMIT_VECTOR_BYTES);
    t->names = am_arena_new(AM_LIMIT_TEXT_TERM_BYTES);
    if (!t->names)
        return am_fail_nomem(err, 1);
    AM_TRY(load_tagger(fit, c, err));
    AM_TRY(am_terms_new(&t->terms, err));
    const enum am_rc rc = am_text_config_build(&s->text.config, fit->arena, err);
    if (rc != AM_OK) {
        am_context(err, "features.%.*s", AM_FMT(c->name));
        return rc;
    }
    t->needs_stream = c->spec.kind == AM_F_VECTORS && !s->vectors_file.ptr;
    if (s->vectors_file.ptr)
        AM_TRY(read_file(fit, c, "vectors", s->vectors_file, &t->file, err));
    return AM_OK;
}

/* ---- update ---- */

static enum am_rc too_many(struct am_err *err)
{
    am_fail(err, AM_ELIMIT, "over %zu different terms", (size_t)AM_LIMIT_TEXT_TERMS);
    am_hint(err, "Use `encode: hashing`, which keeps no list, or shorter n-grams.");
    return AM_ELIMIT;
}

static enum am_rc new_term(struct am_ftext_fit *t, struct am_str term, struct am_err *err)
{
    if (t->map.n >= AM_LIMIT_TEXT_TERMS)
        return too_many(err);
    const struct am_str own = am_arena_str(t->names, term);
    if (!own.ptr) {
        const enum am_rc rc = am_arena_check(t->names, err);
        return rc == AM_ELIMIT ? too_many(err) : rc;
    }
    uint32_t at;
    bool added;
    AM_TRY(am_termset_add(&t->map, own, &at, &added, err));
    return am_vec_push(&t->keys, own) && am_vec_push(&t->df, 1) && am_vec_push(&t->last, t->row) &&
                   am_vec_push(&t->tf, 1)
               ? AM_OK
               : am_fail_nomem(err, 16);
}

static enum am_rc on_term(void *ctx, struct am_str term, struct am_err *err)
{
    struct am_ftext_fit *t = ctx;
    uint32_t i = am_termset_find(&t->map, term);
    if (i == AM_TERMSET_NONE) {
        i = t->map.n;
        AM_TRY(new_term(t, term, err));
    } else {
        t->tf.ptr[i]++;
        if (t->last.ptr[i] != t->row) {
            t->last.ptr[i] = t->row;
            t->df.ptr[i]++;
        }
    }
    if (t->needs_stream && t->stream.len < STREAM_MAX && !am_vec_push(&t->stream, i))
        return am_fail_nomem(err, sizeof i);
    return AM_OK;
}

enum am_rc am_ffit_text_update(struct am_features_fit *fit, struct am_ffit_col *c,
                               const struct am_str *cells, size_t n_rows, struct am_err *err)
{
    struct am_ftext_fit *t = c->text;
    (void)fit;
    for (size_t i = 0; i < n_rows; i++) {
        if (t->row == UINT32_MAX)
            return am_fail(err, AM_ELIMIT, "over %u texts in one column", UINT32_MAX);
        t->row++;
        if (cells[i].ptr == NULL)
            c->n_missing++;
        if (c->spec.kind == AM_F_HASHING)
            continue;
        const enum am_rc rc =
            am_terms_each(t->terms, &c->spec.text->text.config, cells[i], on_term, t, err);
        if (rc != AM_OK) {
            am_context(err, "column \"%.*s\"", AM_FMT(c->name));
            return rc;
        }
        if (t->needs_stream && !am_vec_push(&t->stream, UINT32_MAX))
            return am_fail_nomem(err, sizeof(uint32_t));
    }
    return AM_OK;
}

/* ---- finish ---- */

struct picked {
    struct am_str term;
    uint32_t df, index;
    uint64_t tf;
};

static int by_frequency(const void *pa, const void *pb)
{
    const struct picked *a = pa, *b = pb;
    if (a->tf != b->tf)
        return a->tf > b->tf ? -1 : 1;
    return am_str_cmp(a->term, b->term);
}

static int by_term(const void *pa, const void *pb)
{
    const struct picked *a = pa, *b = pb;
    return am_str_cmp(a->term, b->term);
}

/* scikit-learn's cut-offs: shares are of all rows, compared as they are. */
static size_t pick(const struct am_ffit_col *c, const struct am_ftext_fit *t, struct picked *out)
{
    const struct am_ftext_spec *s = c->spec.text;
    const double rows = (double)t->row, least = s->min_df < 1 ? s->min_df * rows : s->min_df,
                 most = s->max_df <= 1 ? s->max_df * rows : s->max_df;
    const uint64_t count = c->spec.kind == AM_F_VECTORS ? s->vectors.min_count : 0;
    size_t n = 0;
    for (size_t i = 0; i < t->map.n; i++) {
        const double df = (double)t->df.ptr[i];
        if (df >= least && df <= most && t->tf.ptr[i] >= count)
            out[n++] = (struct picked){t->keys.ptr[i], t->df.ptr[i], (uint32_t)i, t->tf.ptr[i]};
    }
    size_t limit = s->max_features ? s->max_features : AM_LIMIT_FEATURES - 65536;
    if (c->spec.kind == AM_F_VECTORS) {
        const size_t fit = AM_LIMIT_VECTOR_MODEL_FLOATS / s->vectors.dimensions;
        const size_t words = fit > s->vectors.n_buckets ? fit - s->vectors.n_buckets : 0;
        limit = words < limit ? words : limit;
    }
    if (n > limit) {
        qsort(out, n, sizeof *out, by_frequency);
        n = limit;
    }
    qsort(out, n, sizeof *out, by_term);
    return n;
}

static enum am_rc keep_terms(const struct picked *p, size_t n, struct am_arena *a,
                             struct am_fcol *out, struct am_err *err)
{
    struct am_str *terms = am_arena_array(a, n + 1, sizeof *terms);
    uint32_t *df = am_arena_array(a, n + 1, sizeof *df);
    AM_TRY(am_arena_check(a, err));
    for (size_t i = 0; i < n; i++) {
        terms[i] = am_arena_str(a, p[i].term);
        df[i] = p[i].df;
    }
    out->categories = terms;
    out->n_categories = n;
    out->text->df = df;
    return am_arena_check(a, err);
}

/* Settings live as long as the features. */
static struct am_str *copy_texts(struct am_arena *a, const struct am_str *v, size_t n)
{
    struct am_str *out = am_arena_array(a, n + 1, sizeof *out);
    for (size_t i = 0; out && i < n; i++)
        out[i] = am_arena_str(a, v[i]);
    return out;
}

static enum am_rc copy_settings(const struct am_ftext_spec *s, struct am_arena *a,
                                struct am_fcol *out, struct am_err *err)
{
    struct am_ftext *t = am_arena_alloc(a, sizeof *t);
    AM_TRY(am_arena_check(a, err));
    *t = s->text;
    struct am_text_config *k = &t->config;
    am_map_init(&k->stop_map);
    k->compiled = NULL;
    k->rules = copy_texts(a, k->rules, k->n_rules);
    k->stops = copy_texts(a, k->stops, k->n_stops);
    k->keep = copy_texts(a, k->keep, k->n_keep);
    if (k->stem.ptr)
        k->stem = am_arena_str(a, k->stem);
    out->text = t;
    AM_TRY(am_arena_check(a, err));
    return k->tagger ? am_tagger_load(am_tagger_bytes(k->tagger), a, &k->tagger, err) : AM_OK;
}

static enum am_rc learn_vectors(struct am_features_fit *fit, struct am_ffit_col *c,
                                const struct picked *p, size_t n, struct am_arena *a,
                                struct am_fcol *out, struct am_err *err)
{
    struct am_ftext_fit *t = c->text;
    uint32_t *place = am_alloc_array((size_t)t->map.n + 1, sizeof *place);
    uint64_t *counts = am_alloc_array(n + 1, sizeof *counts);
    size_t kept = 0;
    enum am_rc rc;
    if (!place || !counts)
        AM_GO(rc, am_fail_nomem(err, t->map.n * sizeof *place));
    memset(place, 0xFF, t->map.n * sizeof *place);
    for (size_t i = 0; i < n; i++) {
        place[p[i].index] = (uint32_t)i;
        counts[i] = p[i].tf;
    }
    for (size_t i = 0; i < t->stream.len; i++) {
        const uint32_t at = t->stream.ptr[i];
        if (at == UINT32_MAX || place[at] != UINT32_MAX)
            t->stream.ptr[kept++] = at == UINT32_MAX ? at : place[at];
    }
    rc = am_vectors_train(&c->spec.text->vectors, out->categories, counts, n, t->stream.ptr, kept,
                          fit->seed, a, &out->text->vectors, err);
out:
    am_free(place);
    am_free(counts);
    return rc;
}

/* Of a file the words that the training texts have. */
static enum am_rc load_vectors(struct am_ffit_col *c, struct picked *p, size_t *n,
                               struct am_arena *a, struct am_fcol *out, struct am_err *err)
{
    struct am_vector_file f;
    struct am_map words;
    float *all = NULL, *row = NULL;
    bool *seen = NULL, more = true;
    size_t kept = 0;
    enum am_rc rc;
    am_map_init(&words);
    AM_TRY(am_vector_file_open(&f, am_buf_view(&c->text->file), err));
    const size_t d = f.dimensions;
    const size_t room = AM_LIMIT_VECTOR_MODEL_FLOATS / d;
    if (*n > room) { /* the most frequent ones */
        qsort(p, *n, sizeof *p, by_frequency);
        *n = room;
        qsort(p, *n, sizeof *p, by_term);
    }
    for (size_t i = 0; i < *n; i++)
        AM_GO(rc, am_map_put(&words, p[i].term, i, err));
    all = am_arena_array(a, *n + 1, d * sizeof *all);
    row = am_alloc_array(d, sizeof *row);
    seen = am_calloc(*n + 1, sizeof *seen);
    if (!all || !row || !seen)
        AM_GO(rc, am_fail_nomem(err, *n * d * sizeof *all));
    while (more) {
        struct am_str word;
        AM_GO(rc, am_vector_file_next(&f, &word, row, &more, err));
        const uint64_t *at = more ? am_map_get(&words, word) : NULL;
        if (at && !seen[*at]) {
            memcpy(all + *at * d, row, d * sizeof *row);
            seen[*at] = true;
        }
    }
    for (size_t i = 0; i < *n; i++) {
        if (!seen[i])
            continue;
        memmove(all + kept * d, all + i * d, d * sizeof *all);
        p[kept++] = p[i];
    }
    *n = kept;
    out->text->vectors = (struct am_vectors){.dimensions = d, .n_words = kept, .words = all};
    rc = keep_terms(p, kept, a, out, err);
out:
    am_vector_file_close(&f);
    am_map_clear(&words);
    am_free(row);
    am_free(seen);
    return rc;
}

static enum am_rc note(struct am_features_fit *fit, const struct am_ffit_col *c,
                       const struct am_fcol *out, struct am_err *err)
{
    if (c->n_missing == fit->n_rows)
        return am_ffit_note(fit, err, "column \"%.*s\" has no value in the training rows",
                            AM_FMT(c->name));
    if (out->kind == AM_F_HASHING)
        return AM_OK;
    return am_ffit_note(fit, err, "column \"%.*s\": %zu of %zu different terms are kept",
                        AM_FMT(c->name), out->n_categories, (size_t)c->text->map.n);
}

enum am_rc am_ffit_text_finish(struct am_features_fit *fit, struct am_ffit_col *c,
                               struct am_arena *a, struct am_fcol *out, struct am_err *err)
{
    struct am_ftext_fit *t = c->text;
    AM_TRY(copy_settings(c->spec.text, a, out, err));
    out->text->n_docs = t->row;
    out->buckets = c->spec.text->buckets;
    if (out->kind == AM_F_HASHING)
        return note(fit, c, out, err);
    struct picked *p = am_alloc_array((size_t)t->map.n + 1, sizeof *p);
    if (!p)
        return am_fail_nomem(err, t->map.n * sizeof *p);
    size_t n = pick(c, t, p);
    enum am_rc rc = AM_OK;
    if (out->kind == AM_F_VECTORS && !t->needs_stream)
        rc = load_vectors(c, p, &n, a, out, err);
    else
        rc = keep_terms(p, n, a, out, err);
    if (rc == AM_OK && t->needs_stream)
        rc = learn_vectors(fit, c, p, n, a, out, err);
    am_free(p);
    return rc == AM_OK ? note(fit, c, out, err) : rc;
}
