/* A ring of blocks between one caller and one thread. The lock guards first, n, ended, stop and rc;
 * the block being filled belongs to the caller, a full one to the thread until it is counted out.
 */
#include "data/behind.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"

#define BLOCKS 4
#define BLOCK_BYTES ((size_t)1 << 20)

struct behind {
    int fd;
    char *blocks;              /* owned [BLOCKS][BLOCK_BYTES] */
    size_t sizes[BLOCKS];      /* of the full ones */
    size_t filling, used;      /* caller's: block and bytes in it */
    unsigned first, n;         /* full ones */
    bool ended, stop;          /* nothing follows; give up */
    bool direct, never_direct; /* the thread's: O_DIRECT is set; does not work here */
    bool started, joined;      /* caller's */
    enum am_rc rc;             /* the thread's first error */
    struct am_err err;         /* its text */
    struct am_sha256 *sha;     /* the thread's until joined */
    uint64_t n_bytes;          /* the thread's until joined */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t has_room, has_block;
};

/* Whole blocks go past the page cache where the file system can: nobody reads them soon, and the
 * copy, the pages and their write-back cost several times the transfer. */
static void set_direct(struct behind *b, bool on)
{
    int flags = fcntl(b->fd, F_GETFL);
    if (on != b->direct && flags >= 0 &&
        fcntl(b->fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) == 0)
        b->direct = on;
}

static enum am_rc write_block(struct behind *b, const char *p, size_t n)
{
    am_sha256_add(b->sha, p, n);
    if (!b->never_direct)
        set_direct(b, n == BLOCK_BYTES);
    enum am_rc rc = am_fs_write_all(b->fd, p, n, &b->err);
    if (rc != AM_OK && b->direct && b->n_bytes == 0) { /* taken by fcntl, refused by write */
        b->never_direct = true;
        set_direct(b, false);
        am_err_clear(&b->err);
        rc = lseek(b->fd, 0, SEEK_SET) == 0
                 ? am_fs_write_all(b->fd, p, n, &b->err)
                 : am_fail_errno(&b->err, errno, "cannot write a file of the dataset");
    }
    b->n_bytes += n;
    return rc;
}

static enum am_rc close_synced(struct behind *b)
{
    if (am_fs()->fsync(b->fd) != 0)
        return am_fail_errno(&b->err, errno, "cannot sync a file of the dataset");
    int fd = b->fd;
    b->fd = -1;
    return am_fs()->close(fd) == 0
               ? AM_OK
               : am_fail_errno(&b->err, errno, "cannot close a file of the dataset");
}

static void *write_all(void *arg)
{
    struct behind *b = arg;
    enum am_rc rc = AM_OK;
    pthread_mutex_lock(&b->lock);
    while (rc == AM_OK && !b->stop) {
        if (b->n == 0 && b->ended)
            break;
        if (b->n == 0) {
            pthread_cond_wait(&b->has_block, &b->lock);
            continue;
        }
        unsigned at = b->first;
        pthread_mutex_unlock(&b->lock);
        rc = write_block(b, b->blocks + at * BLOCK_BYTES, b->sizes[at]);
        pthread_mutex_lock(&b->lock);
        b->first = (b->first + 1) % BLOCKS;
        b->n--;
        pthread_cond_signal(&b->has_room);
    }
    bool finish = rc == AM_OK && !b->stop;
    pthread_mutex_unlock(&b->lock);
    if (finish)
        rc = close_synced(b);
    pthread_mutex_lock(&b->lock);
    b->rc = rc;
    pthread_cond_signal(&b->has_room);
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

static void join(struct behind *b)
{
    if (b->started && !b->joined)
        pthread_join(b->thread, NULL);
    b->joined = true;
}

void behind_free(struct behind *b)
{
    if (!b)
        return;
    pthread_mutex_lock(&b->lock);
    b->stop = true;
    pthread_cond_signal(&b->has_block);
    pthread_mutex_unlock(&b->lock);
    join(b);
    if (b->fd >= 0)
        (void)am_fs()->close(b->fd);
    pthread_cond_destroy(&b->has_room);
    pthread_cond_destroy(&b->has_block);
    pthread_mutex_destroy(&b->lock);
    am_sha256_free(b->sha);
    am_free(b->blocks);
    am_free(b);
}

enum am_rc behind_new(const char *path, struct behind **out, struct am_err *err)
{
    enum am_rc rc = AM_OK;
    *out = NULL;
    struct behind *b = am_calloc(1, sizeof *b);
    if (!b)
        return am_fail_nomem(err, sizeof *b);
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->has_room, NULL);
    pthread_cond_init(&b->has_block, NULL);
    b->fd = am_fs()->open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (b->fd < 0)
        AM_GO(rc, am_fail_errno(err, errno, "cannot create \"%s\"", path));
    b->blocks = am_alloc_aligned(4096, BLOCKS * BLOCK_BYTES);
    if (!b->blocks)
        AM_GO(rc, am_fail_nomem(err, BLOCKS * BLOCK_BYTES));
    AM_GO(rc, am_sha256_new(&b->sha, err));
    b->started = pthread_create(&b->thread, NULL, write_all, b) == 0;
    if (!b->started)
        AM_GO(rc, am_fail(err, AM_EBUSY, "cannot start a thread to write with"));
    *out = b;
    return AM_OK;
out:
    behind_free(b);
    return rc;
}

/* Gives the block being filled to the thread and waits for a free one. */
static enum am_rc hand_over(struct behind *b, struct am_err *err)
{
    enum am_rc rc;
    pthread_mutex_lock(&b->lock);
    b->sizes[b->filling] = b->used;
    b->n++;
    pthread_cond_signal(&b->has_block);
    while (b->n == BLOCKS && b->rc == AM_OK)
        pthread_cond_wait(&b->has_room, &b->lock);
    rc = b->rc;
    pthread_mutex_unlock(&b->lock);
    b->filling = (b->filling + 1) % BLOCKS;
    b->used = 0;
    if (rc != AM_OK && err)
        *err = b->err;
    return rc;
}

enum am_rc behind_put(struct behind *b, const void *p, size_t n, struct am_err *err)
{
    for (const char *from = p; n > 0;) {
        size_t room = BLOCK_BYTES - b->used, k = n < room ? n : room;
        memcpy(b->blocks + b->filling * BLOCK_BYTES + b->used, from, k);
        b->used += k;
        from += k;
        n -= k;
        if (b->used == BLOCK_BYTES)
            AM_TRY(hand_over(b, err));
    }
    return AM_OK;
}

void behind_end(struct behind *b)
{
    struct am_err err = {0};
    if (b->used)
        (void)!hand_over(b, &err); /* behind_finish tells */
    pthread_mutex_lock(&b->lock);
    b->ended = true;
    pthread_cond_signal(&b->has_block);
    pthread_mutex_unlock(&b->lock);
}

enum am_rc behind_finish(struct behind *b, uint64_t *n_bytes, char hex[AM_SHA256_HEX],
                         struct am_err *err)
{
    unsigned char digest[AM_SHA256_BYTES];
    if (!b->ended)
        behind_end(b);
    join(b);
    if (b->rc != AM_OK) {
        if (err)
            *err = b->err;
        return b->rc;
    }
    am_sha256_end(b->sha, digest);
    am_sha256_hex(digest, hex);
    *n_bytes = b->n_bytes;
    return AM_OK;
}
