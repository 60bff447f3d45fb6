/* The registry as a source, in this process and over a socket: the same answers, errors pass whole.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "registry/registry.h"
#include "serve/source.h"

static char dir[] = "/tmp/aimass-source-XXXXXX";
static struct am_registry *registry;

static void *serve_main(void *arg)
{
    struct am_err err;
    int *fd = arg;
    if (am_source_serve(registry, *fd, &err) != AM_OK)
        fprintf(stderr, "%s\n", err.message);
    close(*fd);
    return NULL;
}

static void check(struct am_serve_source *source)
{
    struct am_err err;
    struct am_node *models = NULL;
    struct am_serve_model m;
    uint64_t a = 0, b = 0;
    struct am_arena *arena = am_arena_new(0);
    assert_int_equal(source->ops->generation(source->impl, &a, &err), AM_OK);
    assert_int_equal(source->ops->generation(source->impl, &b, &err), AM_OK);
    assert_true(a != 0 && a == b);
    assert_int_equal(source->ops->catalog(source->impl, arena, &models, &err), AM_OK);
    assert_int_equal(models->kind, AM_NODE_LIST);
    assert_int_equal(models->list.n, 0);
    assert_int_equal(source->ops->load(source->impl, "nothing", 1, &m, &err), AM_ENOTFOUND);
    assert_non_null(strstr(err.message, "nothing"));
    /* and it still answers */
    assert_int_equal(source->ops->generation(source->impl, &b, &err), AM_OK);
    assert_int_equal(a, b);
    am_arena_free(arena);
}

static void test_remote(void **state)
{
    struct am_serve_source source;
    struct am_err err;
    pthread_t thread;
    int pair[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    pthread_create(&thread, NULL, serve_main, &pair[1]);
    assert_int_equal(am_source_remote(pair[0], &source, &err), AM_OK);
    check(&source);
    source.ops->free(source.impl);
    pthread_join(thread, NULL);
}

static void test_remote_gone(void **state)
{
    struct am_serve_source source;
    struct am_err err;
    uint64_t generation;
    int pair[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(am_source_remote(pair[0], &source, &err), AM_OK);
    close(pair[1]);
    assert_int_equal(source.ops->generation(source.impl, &generation, &err), AM_EIO);
    assert_string_equal(err.message, "the loader process does not answer");
    source.ops->free(source.impl);
}

/* Bytes that are no question end the conversation with an error, never with a guess. */
static void test_nonsense_is_refused(void **state)
{
    char bytes[152], answer[4096];
    pthread_t thread;
    int pair[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    pthread_create(&thread, NULL, serve_main, &pair[1]);
    for (int kind = 0; kind < 256; kind += 51) {
        memset(bytes, kind, sizeof bytes);
        assert_int_equal(send(pair[0], bytes, sizeof bytes, MSG_NOSIGNAL), sizeof bytes);
        struct {
            uint32_t rc, has_fd;
            uint64_t n;
        } head;
        assert_int_equal(recv(pair[0], &head, sizeof head, MSG_WAITALL), sizeof head);
        assert_int_equal(head.rc, AM_EINVAL);
        assert_true(head.n > 0 && head.n < sizeof answer);
        assert_int_equal(recv(pair[0], answer, head.n, MSG_WAITALL), head.n);
    }
    shutdown(pair[0], SHUT_WR);
    pthread_join(thread, NULL);
    close(pair[0]);
}

static void test_local(void **state)
{
    struct am_serve_source source;
    struct am_err err;
    (void)state;
    assert_int_equal(am_source_registry(registry, &source, &err), AM_OK);
    check(&source);
    source.ops->free(source.impl); /* closes the registry: the last test */
    registry = NULL;
}

static int setup(void **state)
{
    struct am_registry_options o = {.workspace = dir};
    struct am_err err;
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    if (am_registry_open(&o, &registry, &err) != AM_OK)
        return fprintf(stderr, "%s\n", err.message), -1;
    return 0;
}

static int teardown(void **state)
{
    struct am_err err;
    (void)state;
    am_registry_close(registry);
    return am_fs_remove_tree(dir, &err) == AM_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_remote),
        cmocka_unit_test(test_remote_gone),
        cmocka_unit_test(test_nonsense_is_refused),
        cmocka_unit_test(test_local),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
