/* The peer of bench/http.sh: a bare libuv server that parses nothing. It counts the bytes of a
 * request and answers each with a fixed text, so that it moves the same bytes as `aimass serve` and
 * does no other work.
 *
 * usage: http_echo PORT REQUEST_BYTES ANSWER_FILE [LOOPS] */
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <uv.h>

static size_t request_bytes, answer_bytes;
static char answer[65536];
static int port;

struct conn {
    uv_tcp_t tcp;
    size_t got;
};
struct loop {
    uv_loop_t uv;
    uv_tcp_t listener;
    char buf[65536];
};

static void on_closed(uv_handle_t *h)
{
    free(h->data);
}

static void on_alloc(uv_handle_t *h, size_t n, uv_buf_t *b)
{
    struct loop *l = h->loop->data;
    (void)n;
    *b = uv_buf_init(l->buf, sizeof l->buf);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
    struct conn *c = s->data;
    uv_buf_t out = uv_buf_init(answer, (unsigned)answer_bytes);
    (void)b;
    if (n < 0) {
        uv_close((uv_handle_t *)s, on_closed);
        return;
    }
    c->got += (size_t)n;
    while (c->got >= request_bytes) {
        c->got -= request_bytes;
        if (uv_try_write(s, &out, 1) != (int)answer_bytes) {
            uv_close((uv_handle_t *)s, on_closed);
            return;
        }
    }
}

static void on_connection(uv_stream_t *s, int status)
{
    struct conn *c = calloc(1, sizeof *c);
    if (status != 0 || !c)
        exit(1);
    uv_tcp_init(s->loop, &c->tcp);
    c->tcp.data = c;
    if (uv_accept(s, (uv_stream_t *)&c->tcp) != 0)
        return;
    uv_tcp_nodelay(&c->tcp, 1);
    uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

static void *run(void *arg)
{
    struct loop *l = calloc(1, sizeof *l);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    (void)arg;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (!l || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) != 0 ||
        bind(fd, (struct sockaddr *)&in, sizeof in) != 0)
        exit(1);
    uv_loop_init(&l->uv);
    l->uv.data = l;
    uv_tcp_init(&l->uv, &l->listener);
    uv_tcp_open(&l->listener, fd);
    if (uv_listen((uv_stream_t *)&l->listener, 1024, on_connection) != 0)
        exit(1);
    uv_run(&l->uv, UV_RUN_DEFAULT);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return fprintf(stderr, "usage: http_echo PORT REQUEST_BYTES ANSWER_FILE [LOOPS]\n"), 2;
    FILE *f = fopen(argv[3], "rb");
    port = (int)strtol(argv[1], NULL, 10);
    request_bytes = (size_t)strtoul(argv[2], NULL, 10);
    answer_bytes = f ? fread(answer, 1, sizeof answer, f) : 0;
    if (!request_bytes || !answer_bytes)
        return 1;
    for (long n = argc > 4 ? strtol(argv[4], NULL, 10) : 1; n > 1; n--) {
        pthread_t t;
        if (pthread_create(&t, NULL, run, NULL) != 0)
            return 1;
    }
    run(NULL);
    return 0;
}
