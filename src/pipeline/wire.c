/* Frames over a socket; see wire.h for the layout. */
#include "pipeline/wire.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/limits.h"

#define HEAD 16
#define PAYLOAD_MAX ((uint64_t)1 << 36)
#define READ_AT_ONCE ((size_t)256 << 10)

static const char magic[4] = {'A', 'M', 'W', '1'};

static enum am_rc send_all(int fd, const void *p, size_t n, struct am_err *err)
{
    for (const char *at = p; n > 0;) {
        ssize_t k = send(fd, at, n, MSG_NOSIGNAL);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return am_fail(err, AM_EIO, "a trial worker's socket is closed");
        at += k;
        n -= (size_t)k;
    }
    return AM_OK;
}

enum am_rc am_wire_send(int fd, const struct am_node *tree, const void *payload, size_t n,
                        struct am_err *err)
{
    struct am_buf b;
    char head[HEAD];
    am_buf_init(&b, AM_LIMIT_JSON_BYTES);
    am_node_to_json(tree, AM_JSON_COMPACT, &b);
    enum am_rc rc = am_buf_check(&b, err);
    uint32_t text = (uint32_t)b.len;
    uint64_t more = n;
    memcpy(head, magic, 4);
    memcpy(head + 4, &text, 4);
    memcpy(head + 8, &more, 8);
    if (rc == AM_OK)
        rc = send_all(fd, head, HEAD, err);
    if (rc == AM_OK)
        rc = send_all(fd, b.ptr, b.len, err);
    if (rc == AM_OK)
        rc = send_all(fd, payload, n, err);
    am_buf_clear(&b);
    return rc;
}

/* Bytes of the frame at the start of in; 0 = its head is not whole. */
static enum am_rc frame_size(const struct am_buf *in, size_t *out, struct am_err *err)
{
    uint32_t text;
    uint64_t payload;
    *out = 0;
    if (in->len < HEAD)
        return AM_OK;
    memcpy(&text, in->ptr + 4, 4);
    memcpy(&payload, in->ptr + 8, 8);
    if (memcmp(in->ptr, magic, 4) != 0 || text > AM_LIMIT_JSON_BYTES || payload > PAYLOAD_MAX)
        return am_fail(err, AM_ECORRUPT, "a trial worker sent what is no message");
    *out = HEAD + (size_t)text + (size_t)payload;
    return AM_OK;
}

static enum am_rc look(const struct am_buf *in, bool *whole, struct am_str *text,
                       struct am_str *payload, struct am_err *err)
{
    size_t size;
    uint32_t n;
    AM_TRY(frame_size(in, &size, err));
    *whole = size > 0 && in->len >= size;
    if (!*whole)
        return AM_OK;
    memcpy(&n, in->ptr + 4, 4);
    *text = (struct am_str){in->ptr + HEAD, n};
    *payload = (struct am_str){in->ptr + HEAD + n, size - HEAD - n};
    return AM_OK;
}

enum am_rc am_wire_take(int fd, struct am_buf *in, bool *whole, struct am_str *text,
                        struct am_str *payload, struct am_err *err)
{
    char *bytes = am_alloc(READ_AT_ONCE);
    enum am_rc rc = bytes ? look(in, whole, text, payload, err) : am_fail_nomem(err, READ_AT_ONCE);
    while (rc == AM_OK && !*whole) {
        ssize_t k = recv(fd, bytes, READ_AT_ONCE, MSG_DONTWAIT);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0 && errno == EAGAIN)
            break;
        if (k <= 0) {
            rc = am_fail(err, AM_EIO, "a trial worker's socket is closed");
            break;
        }
        am_buf_add(in, bytes, (size_t)k);
        rc = am_buf_check(in, err);
        if (rc == AM_OK)
            rc = look(in, whole, text, payload, err);
    }
    am_free(bytes);
    return rc;
}

void am_wire_taken(struct am_buf *in)
{
    size_t size;
    if (frame_size(in, &size, NULL) != AM_OK || size == 0 || size > in->len)
        return;
    memmove(in->ptr, in->ptr + size, in->len - size);
    in->len -= size;
}

enum am_rc am_wire_receive(int fd, struct am_buf *in, struct am_str *text, struct am_str *payload,
                           struct am_err *err)
{
    for (bool whole = false;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        AM_TRY(am_wire_take(fd, in, &whole, text, payload, err));
        if (whole)
            return AM_OK;
        if (poll(&p, 1, -1) < 0 && errno != EINTR)
            return am_fail_errno(err, errno, "cannot wait for a trial worker");
    }
}
