/* Predict: rows of a file or of stdin in, or pictures and sounds, predictions out, in the same
 * format. With --json the one object on stdout holds the predictions. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fs.h"
#include "cli/cli.h"

#define STDIN_BYTES ((size_t)1 << 32)

static enum am_rc to_stdout(void *ctx, const char *bytes, size_t n, struct am_err *err)
{
    (void)ctx;
    if (fwrite(bytes, 1, n, stdout) != n)
        return am_fail_errno(err, errno, "cannot write the predictions");
    return AM_OK;
}

static enum am_rc to_buffer(void *ctx, const char *bytes, size_t n, struct am_err *err)
{
    am_buf_add(ctx, bytes, n);
    return am_buf_check(ctx, err);
}

enum am_rc am_read_stdin(struct am_buf *b, struct am_err *err)
{
    for (;;) {
        char *p = am_buf_reserve(b, 65536);
        if (!p)
            return am_buf_check(b, err);
        ssize_t n = read(STDIN_FILENO, p, 65536);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return am_fail_errno(err, errno, "cannot read stdin");
        if (n == 0)
            return AM_OK;
        am_buf_commit(b, (size_t)n);
    }
}

static void show_nothing(struct am_cli *c, const struct am_node *r)
{
    (void)c;
    (void)r;
}

/* CSV as text, JSON as a tree. */
static void add_output(struct am_cli *c, struct am_node *r, struct am_buf *out)
{
    struct am_node *n;
    if (out->len && (out->ptr[0] == '[' || out->ptr[0] == '{') &&
        am_json_parse(c->arena, am_buf_view(out), "output", &n, NULL) == AM_OK)
        am_node_set(c->arena, r, "predictions", n);
    else
        am_node_set(c->arena, r, "output", am_new_str(c->arena, am_buf_view(out)));
}

enum am_exit am_cmd_predict(struct am_cli *c)
{
    const char *format = am_cli_value(c, "--format");
    struct am_predict_request q = {.model = c->args[0],
                                   .outputs = am_cli_value(c, "--output"),
                                   .write = to_stdout,
                                   .otherwise = c->json ? AM_FORMAT_JSON : AM_FORMAT_CSV};
    struct am_buf in, out;
    struct am_node *r;
    enum am_exit e;
    am_buf_init(&in, STDIN_BYTES);
    am_buf_init(&out, STDIN_BYTES);
    if (format && strcmp(format, "csv") != 0 && strcmp(format, "json") != 0) {
        am_fail(&c->err, AM_EUSAGE, "--format %s is neither csv nor json", format);
        am_hint(&c->err, "Leave it out to answer in the format of the input.");
        return am_cli_fail(c);
    }
    if (strcmp(c->args[1], "-") == 0 && c->n_args > 2) {
        am_fail(&c->err, AM_EUSAGE, "%s: too many arguments", c->command->name);
        return am_cli_fail(c);
    }
    if (format)
        q.format = strcmp(format, "csv") == 0 ? AM_FORMAT_CSV : AM_FORMAT_JSON;
    if (c->json) {
        q.write = to_buffer;
        q.ctx = &out;
    }
    enum am_rc rc = am_cli_open(c);
    if (strcmp(c->args[1], "-") == 0) {
        if (rc == AM_OK)
            rc = am_read_stdin(&in, &c->err);
        q.bytes = am_buf_view(&in);
    } else {
        q.sources = c->args + 1;
        q.n_sources = (size_t)c->n_args - 1;
    }
    if (rc == AM_OK)
        rc = am_platform_predict(c->platform, c->arena, &q, &r, &c->err);
    if (rc == AM_OK && c->json)
        add_output(c, r, &out);
    e = rc == AM_OK ? am_cli_done(c, r, show_nothing) : am_cli_fail(c);
    if (rc == AM_OK && am_node_get(r, "files") &&
        am_say_bad_files(c, am_node_get(r, "files")) > 0 && e == AM_EXIT_DONE)
        e = AM_EXIT_FAILED; /* the others were predicted */
    am_buf_clear(&in);
    am_buf_clear(&out);
    return e;
}
