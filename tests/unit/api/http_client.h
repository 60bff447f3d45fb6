/* A raw HTTP client for tests: exactly the bytes that the test says, and answers cut by
 * Content-Length. Header only; blocking sockets with a generous receive time limit, so that a hang
 * fails the test. */
#ifndef AM_TESTS_HTTP_CLIENT_H
#define AM_TESTS_HTTP_CLIENT_H

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

struct answer {
    int status; /* 0 = the connection was closed without an answer */
    char head[4096];
    char *body; /* malloced, NUL-terminated */
    size_t n;
    int closed; /* the peer closed after it */
};

struct client {
    int fd;
    char buf[65536];
    size_t n; /* bytes not consumed */
};

static inline int client_open(struct client *c, int port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    struct timeval tv = {20, 0};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->n = 0;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&in, sizeof in) != 0)
        return -1;
    return setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
}

static inline void client_close(struct client *c)
{
    close(c->fd);
}

static inline int client_send(struct client *c, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t k = send(c->fd, p, n, MSG_NOSIGNAL);
        if (k <= 0)
            return -1;
        p += k;
        n -= (size_t)k;
    }
    return 0;
}

static inline int client_fill(struct client *c)
{
    ssize_t k = recv(c->fd, c->buf + c->n, sizeof c->buf - c->n, 0);
    if (k <= 0)
        return -1;
    c->n += (size_t)k;
    return 0;
}

static inline const char *header_value(const char *head, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = strchr(head, '\n'); p; p = strchr(p, '\n')) {
        p++;
        if (strncasecmp(p, name, n) == 0 && p[n] == ':')
            return p + n + 1 + strspn(p + n + 1, " ");
    }
    return NULL;
}

/* The next answer (100 Continue counts as one). no_body: of HEAD. */
static inline struct answer client_answer(struct client *c, int no_body)
{
    struct answer a = {0};
    char *end;
    while (!(end = memmem(c->buf, c->n, "\r\n\r\n", 4)))
        if (client_fill(c) != 0) {
            a.closed = 1;
            a.body = calloc(1, 1);
            return a;
        }
    size_t head = (size_t)(end - c->buf) + 4;
    size_t keep = head < sizeof a.head ? head : sizeof a.head - 1;
    memcpy(a.head, c->buf, keep);
    a.head[keep] = 0;
    a.status = (int)strtol(a.head + 9, NULL, 10);
    const char *length = header_value(a.head, "Content-Length");
    a.n = length && !no_body ? strtoul(length, NULL, 10) : 0;
    a.body = malloc(a.n + 1);
    c->n -= head;
    memmove(c->buf, c->buf + head, c->n);
    for (size_t got = 0; got < a.n;) {
        if (c->n == 0 && client_fill(c) != 0) {
            a.closed = 1;
            break;
        }
        size_t k = c->n < a.n - got ? c->n : a.n - got;
        memcpy(a.body + got, c->buf, k);
        c->n -= k;
        memmove(c->buf, c->buf + k, c->n);
        got += k;
    }
    a.body[a.n] = 0;
    return a;
}

static inline void answer_free(struct answer *a)
{
    free(a->body);
}

/* Has the peer closed (reads the end)? */
static inline int client_closed(struct client *c)
{
    char byte;
    return c->n == 0 && recv(c->fd, &byte, 1, 0) <= 0;
}

#endif
