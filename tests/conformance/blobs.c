/* Conformance suite of store/blobs.h (see stores.h). */
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "conformance/stores.h"

#define STR_(x) #x
#define STR(x) STR_(x)
#define CHECK(c)                                                                                   \
    do {                                                                                           \
        if (!(c))                                                                                  \
            return __FILE__ ":" STR(__LINE__) ": " #c;                                             \
    } while (0)
#define PASS(f)                                                                                    \
    do {                                                                                           \
        const char *why_ = (f);                                                                    \
        if (why_)                                                                                  \
            return why_;                                                                           \
    } while (0)

/* SHA-256 of "", "abc" (FIPS 180-4 examples) */
#define HASH_EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define HASH_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static struct am_err err;

static bool is_equal(const struct am_blobs *b, const struct am_blob_id *id, const void *p, size_t n)
{
    struct am_buf buf;
    am_buf_init(&buf, (size_t)8 << 20);
    bool same = am_blob_get(b, id, &buf, &err) == AM_OK && buf.len == n &&
                (n == 0 || memcmp(buf.ptr, p, n) == 0);
    am_buf_clear(&buf);
    return same;
}

static const char *small(const struct am_blobs *b)
{
    struct am_blob_info i, j;
    struct am_blob_id none;
    CHECK(am_blob_put(b, AM_STR("abc"), &i, &err) == AM_OK);
    CHECK(strcmp(i.id.hex, HASH_ABC) == 0 && i.n_bytes == 3);
    CHECK(is_equal(b, &i.id, "abc", 3));
    CHECK(b->ops->stat(b->impl, &i.id, &j, &err) == AM_OK);
    CHECK(j.n_bytes == 3 && j.put_us > 0 && strcmp(j.id.hex, i.id.hex) == 0);
    CHECK(am_blob_put(b, AM_STR("abc"), &j, &err) == AM_OK); /* again: the same */
    CHECK(strcmp(i.id.hex, j.id.hex) == 0 && is_equal(b, &i.id, "abc", 3));
    CHECK(am_blob_put(b, AM_STR(""), &j, &err) == AM_OK);
    CHECK(strcmp(j.id.hex, HASH_EMPTY) == 0 && j.n_bytes == 0 && is_equal(b, &j.id, "", 0));
    memset(none.hex, '0', 64);
    none.hex[64] = '\0';
    CHECK(b->ops->stat(b->impl, &none, &j, &err) == AM_ENOTFOUND);
    CHECK(b->ops->remove(b->impl, &none, &err) == AM_ENOTFOUND);
    CHECK(am_blob_check(b, &none, &err) == AM_ENOTFOUND);
    CHECK(am_blob_check(b, &i.id, &err) == AM_OK);
    return NULL;
}

static const char *pieces(const struct am_blobs *b)
{
    enum { N = 3 * 1000 * 1000 + 1 };
    struct am_blob_info whole, cut;
    void *w = NULL;
    size_t n = 0;
    char part[10];
    char *p = am_alloc(N);
    CHECK(p != NULL);
    for (size_t i = 0; i < N; i++)
        p[i] = (char)(i * 2654435761U >> 13);
    CHECK(am_blob_put(b, (struct am_str){p, N}, &whole, &err) == AM_OK);
    CHECK(b->ops->put_begin(b->impl, &w, &err) == AM_OK);
    for (size_t at = 0; at < N; at += 700001)
        CHECK(b->ops->put_write(w, p + at, at + 700001 < N ? 700001 : N - at, &err) == AM_OK);
    CHECK(b->ops->put_finish(w, &cut, &err) == AM_OK);
    CHECK(strcmp(whole.id.hex, cut.id.hex) == 0 && cut.n_bytes == N);
    CHECK(is_equal(b, &cut.id, p, N));
    CHECK(b->ops->read(b->impl, &cut.id, N - 4, part, 10, &n, &err) == AM_OK && n == 4);
    CHECK(memcmp(part, p + N - 4, 4) == 0);
    CHECK(b->ops->read(b->impl, &cut.id, N + 5, part, 10, &n, &err) == AM_OK && n == 0);
    struct am_buf tight;
    am_buf_init(&tight, 1000);
    CHECK(am_blob_get(b, &cut.id, &tight, &err) == AM_ELIMIT);
    am_buf_clear(&tight);
    if (b->ops->path) {
        struct am_blob_map m;
        CHECK(am_blob_map(b, &cut.id, &m, &err) == AM_OK && m.n_bytes == N);
        CHECK(memcmp(m.ptr, p, N) == 0);
        am_blob_unmap(&m);
    }
    am_free(p);
    return NULL;
}

struct seen {
    char last[AM_SHA256_HEX];
    unsigned n;
    bool sorted;
};
static enum am_rc see(void *ctx, const struct am_blob_info *info, struct am_err *e)
{
    struct seen *s = ctx;
    (void)e;
    s->sorted = s->sorted && strcmp(s->last, info->id.hex) < 0;
    memcpy(s->last, info->id.hex, sizeof s->last);
    s->n++;
    return AM_OK;
}
static enum am_rc stop(void *ctx, const struct am_blob_info *info, struct am_err *e)
{
    (void)info;
    ++*(unsigned *)ctx;
    return am_fail(e, AM_ECANCELED, "enough");
}

static const char *listing(const struct am_blobs *b)
{
    struct seen before = {.sorted = true}, after = {.sorted = true};
    struct am_blob_info i;
    unsigned n = 0;
    void *w = NULL;
    CHECK(b->ops->list(b->impl, see, &before, &err) == AM_OK);
    for (unsigned k = 0; k < 20; k++) {
        char text[16];
        CHECK(snprintf(text, sizeof text, "item %u", k) > 0);
        CHECK(am_blob_put(b, am_str(text), &i, &err) == AM_OK);
    }
    CHECK(b->ops->put_begin(b->impl, &w, &err) == AM_OK); /* an aborted put leaves nothing */
    CHECK(b->ops->put_write(w, "gone", 4, &err) == AM_OK);
    b->ops->put_abort(w);
    CHECK(b->ops->list(b->impl, see, &after, &err) == AM_OK);
    CHECK(after.n == before.n + 20 && after.sorted);
    CHECK(b->ops->list(b->impl, stop, &n, &err) == AM_ECANCELED && n == 1);
    CHECK(b->ops->remove(b->impl, &i.id, &err) == AM_OK);
    CHECK(b->ops->stat(b->impl, &i.id, &i, &err) == AM_ENOTFOUND);
    return NULL;
}

static const char *into_files(const struct am_blobs *b, const char *dir)
{
    struct am_blob_info i;
    char path[4096];
    struct am_buf buf;
    CHECK(snprintf(path, sizeof path, "%s/copy", dir) > 0);
    CHECK(am_blob_put(b, AM_STR("some bytes"), &i, &err) == AM_OK);
    CHECK(am_blob_get_file(b, &i.id, path, &err) == AM_OK);
    am_buf_init(&buf, 100);
    CHECK(am_fs_read_file(path, &buf, &err) == AM_OK && am_str_is(am_buf_view(&buf), "some bytes"));
    am_buf_clear(&buf);
    struct am_blob_info j;
    CHECK(am_blob_put_file(b, path, &j, &err) == AM_OK && strcmp(i.id.hex, j.id.hex) == 0);
    CHECK(unlink(path) == 0);
    CHECK(am_blob_put_file(b, path, &j, &err) == AM_ENOTFOUND);
    CHECK(am_fs_write_file(path, "given away", 10, &err) == AM_OK);
    CHECK(am_blob_take_file(b, path, NULL, &j, &err) == AM_OK && !am_fs_exists(path));
    CHECK(is_equal(b, &j.id, "given away", 10));
    CHECK(am_fs_write_file(path, "given away", 10, &err) == AM_OK); /* the same bytes again */
    CHECK(am_blob_take_file(b, path, NULL, &j, &err) == AM_OK && !am_fs_exists(path));
    CHECK(is_equal(b, &j.id, "given away", 10));
    CHECK(am_blob_take_file(b, path, NULL, &j, &err) != AM_OK);
    CHECK(am_fs_write_file(path, "known hash", 10, &err) == AM_OK);
    CHECK(am_blob_put(b, AM_STR("known hash"), &i, &err) == AM_OK);
    CHECK(am_blob_take_file(b, path, &i.id, &j, &err) == AM_OK && !am_fs_exists(path));
    CHECK(strcmp(i.id.hex, j.id.hex) == 0 && j.n_bytes == 10);
    CHECK(is_equal(b, &j.id, "known hash", 10));
    return NULL;
}

const char *am_conformance_blobs(const struct am_blobs_ops *ops, const char *dir)
{
    struct am_blobs b, other;
    struct am_blob_info i;
    struct am_blobs_config c = {.url = dir, .project = "p1"};
    CHECK(am_blobs_open(ops, &c, &b, &err) == AM_OK);
    const char *why = small(&b);
    if (!why)
        why = pieces(&b);
    if (!why)
        why = listing(&b);
    if (!why)
        why = into_files(&b, dir);
    am_blobs_close(&b);
    PASS(why);
    /* durable across handles, invisible to other projects */
    CHECK(am_blobs_open(ops, &c, &b, &err) == AM_OK);
    c.project = "p2";
    CHECK(am_blobs_open(ops, &c, &other, &err) == AM_OK);
    CHECK(am_blob_put(&b, AM_STR("abc"), &i, &err) == AM_OK);
    CHECK(is_equal(&b, &i.id, "abc", 3));
    CHECK(other.ops->stat(other.impl, &i.id, &i, &err) == AM_ENOTFOUND);
    am_blobs_close(&other);
    am_blobs_close(&b);
    return NULL;
}
