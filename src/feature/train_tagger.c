/* Trains the tagger on sentences of "word/tag" tokens, one a line, as the Brown corpus has them;
 * every tenth file is held out and measured. Run by scripts/train-tagger; no part of aimass.
 *
 *   train-tagger OUT FILE...
 *
 * Tags are simplified: what stands behind - (-hl, -tl, -nc) and + is left off, * stays. One thread.
 */
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/vec.h"
#include "feature/tagger_fit.h"

#define FILE_BYTES ((size_t)16 << 20)

struct sentence {
    AM_VEC(struct am_str) tokens;
    AM_VEC(struct am_str) tags;
};

struct score {
    uint64_t right, all;
};

static struct am_str base_tag(struct am_str tag)
{
    if (tag.len > 3 && memcmp(tag.ptr, "fw-", 3) == 0)
        tag.len = 2;
    for (size_t i = 1; i < tag.len; i++)
        if ((tag.ptr[i] == '-' && tag.ptr[0] != '-') || tag.ptr[i] == '+')
            tag.len = i;
    tag.len = tag.len < 15 ? tag.len : 15;
    return tag;
}

/* The quotes of the corpus are `` and ''. */
static struct am_str plain(struct am_str token)
{
    if (am_str_is(token, "``") || am_str_is(token, "''"))
        return am_str("\"");
    return token;
}

static bool read_line(struct am_str line, struct sentence *s)
{
    s->tokens.len = s->tags.len = 0;
    for (size_t i = 0; i < line.len;) {
        size_t from, slash = SIZE_MAX;
        while (i < line.len && (line.ptr[i] == ' ' || line.ptr[i] == '\t' || line.ptr[i] == '\r'))
            i++;
        for (from = i;
             i < line.len && line.ptr[i] != ' ' && line.ptr[i] != '\t' && line.ptr[i] != '\r'; i++)
            if (line.ptr[i] == '/')
                slash = i;
        if (slash == SIZE_MAX || slash == from || slash + 1 == i)
            continue;
        const struct am_str token = plain((struct am_str){line.ptr + from, slash - from});
        const struct am_str tag = base_tag((struct am_str){line.ptr + slash + 1, i - slash - 1});
        if (!am_vec_push(&s->tokens, token) || !am_vec_push(&s->tags, tag))
            return false;
    }
    return true;
}

typedef enum am_rc sentence_fn(void *ctx, const struct sentence *s, struct am_err *err);

static enum am_rc each_sentence(const char *path, sentence_fn *fn, void *ctx, struct am_err *err)
{
    struct am_buf b;
    struct sentence s = {0};
    enum am_rc rc;
    am_buf_init(&b, FILE_BYTES);
    AM_GO(rc, am_fs_read_file(path, &b, err));
    for (size_t i = 0; i < b.len;) {
        const size_t from = i;
        while (i < b.len && b.ptr[i] != '\n')
            i++;
        if (!read_line((struct am_str){b.ptr + from, i - from}, &s))
            AM_GO(rc, am_fail_nomem(err, 1));
        if (s.tokens.len > 0)
            AM_GO(rc, fn(ctx, &s, err));
        i++;
    }
out:
    am_vec_clear(&s.tokens);
    am_vec_clear(&s.tags);
    am_buf_clear(&b);
    return rc;
}

static enum am_rc learn(void *ctx, const struct sentence *s, struct am_err *err)
{
    return am_tagger_fit_add(ctx, s->tokens.ptr, s->tags.ptr, s->tokens.len, err);
}

struct measuring {
    const struct am_tagger *tagger;
    struct am_tagger_scratch *scratch;
    struct score score;
};

static enum am_rc measure(void *ctx, const struct sentence *s, struct am_err *err)
{
    struct measuring *m = ctx;
    const char *tags[2000];
    const size_t n = s->tokens.len < 2000 ? s->tokens.len : 2000;
    AM_TRY(am_tagger_tag(m->tagger, m->scratch, s->tokens.ptr, n, tags, err));
    for (size_t i = 0; i < n; i++)
        m->score.right += am_str_is(s->tags.ptr[i], tags[i]);
    m->score.all += n;
    return AM_OK;
}

static enum am_rc train(int argc, char **argv, struct am_err *err)
{
    struct am_tagger_fit *fit = NULL;
    struct am_arena *a = am_arena_new(0);
    struct measuring m = {0};
    struct am_buf out;
    enum am_rc rc;
    am_buf_init(&out, AM_TAGGER_MAX_BYTES);
    if (!a)
        AM_GO(rc, am_fail_nomem(err, 1));
    AM_GO(rc, am_tagger_fit_new(&fit, err));
    for (int i = 2; i < argc; i++)
        if (i % 10 != 0)
            AM_GO(rc, each_sentence(argv[i], learn, fit, err));
    AM_GO(rc, am_tagger_fit_finish(fit, 6, 42, &out, err));
    AM_GO(rc, am_tagger_load(am_buf_view(&out), a, &m.tagger, err));
    AM_GO(rc, am_tagger_scratch_new(&m.scratch, err));
    for (int i = 10; i < argc; i += 10)
        AM_GO(rc, each_sentence(argv[i], measure, &m, err));
    AM_GO(rc, am_fs_write_file(argv[1], out.ptr, out.len, err));
    printf("%zu tags, %zu bytes; of %llu words in held-out files %.4f have the right tag\n",
           am_tagger_n_tags(m.tagger), out.len, (unsigned long long)m.score.all,
           m.score.all ? (double)m.score.right / (double)m.score.all : 0);
out:
    am_tagger_scratch_free(m.scratch);
    am_tagger_fit_free(fit);
    am_buf_clear(&out);
    am_arena_free(a);
    return rc;
}

int main(int argc, char **argv)
{
    struct am_err err;
    am_err_clear(&err);
    if (argc < 3) {
        fprintf(stderr, "train-tagger OUT FILE...\n");
        return 2;
    }
    if (train(argc, argv, &err) == AM_OK)
        return 0;
    fprintf(stderr, "train-tagger: %s\n", err.message);
    return 1;
}
