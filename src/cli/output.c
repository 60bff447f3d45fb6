/* What the commands print: errors, JSON, tables, the progress bar. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "base/alloc.h"
#include "base/num.h"
#include "base/vec.h"
#include "cli/cli.h"

static void print_tree(const struct am_node *n)
{
    struct am_buf b;
    am_buf_init(&b, (size_t)1 << 30);
    am_node_to_json(n, AM_JSON_PRETTY, &b);
    am_buf_char(&b, '\n');
    fwrite(b.ptr, 1, b.len, stdout);
    am_buf_clear(&b);
}

/* The result is there only when it has left the process. */
static enum am_exit flushed(enum am_exit code)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "%s", am_tr("aimass: cannot write the output\n"));
        return AM_EXIT_FAILED;
    }
    return code;
}

enum am_exit am_cli_fail(struct am_cli *c)
{
    enum am_exit code = c->err.rc == AM_EUSAGE ? AM_EXIT_USAGE : AM_EXIT_FAILED;
    if (c->json) {
        struct am_node *m = am_new_map(c->arena), *e = am_new_map(c->arena);
        am_node_set(c->arena, e, "code", am_new_cstr(c->arena, am_rc_name(c->err.rc)));
        am_node_set(c->arena, e, "message", am_new_cstr(c->arena, c->err.message));
        am_node_set(c->arena, e, "hint", am_new_cstr(c->arena, c->err.hint));
        am_node_set(c->arena, m, "error", e);
        print_tree(m);
        return flushed(code);
    }
    fflush(stdout);
    fprintf(stderr, "aimass: %s\n", c->err.message);
    if (c->err.hint[0])
        fprintf(stderr, "  %s\n", c->err.hint);
    return code;
}

enum am_exit am_cli_done(struct am_cli *c, const struct am_node *result,
                         void (*human)(struct am_cli *c, const struct am_node *result))
{
    if (c->json)
        print_tree(result);
    else
        human(c, result);
    return flushed(AM_EXIT_DONE);
}

void am_say(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
}

/* ---- tables ---- */

#define GRID_COLUMNS 12

struct am_grid {
    const char *headers[GRID_COLUMNS];
    size_t n, at, width[GRID_COLUMNS];
    bool right[GRID_COLUMNS];
    AM_VEC(char *) cells;
};

/* Display columns of UTF-8 text. */
static size_t columns_of(const char *s)
{
    size_t w = 0;
    mbstate_t st = {0};
    while (*s) {
        wchar_t ch;
        size_t k = mbrtowc(&ch, s, MB_CUR_MAX, &st);
        if (k == 0 || k > MB_CUR_MAX) {
            s++;
            w++;
            memset(&st, 0, sizeof st);
            continue;
        }
        int cw = wcwidth(ch);
        w += cw > 0 ? (size_t)cw : 0;
        s += k;
    }
    return w;
}

struct am_grid *am_grid_new(const char *const *headers, size_t n)
{
    struct am_grid *g = am_xalloc(sizeof *g);
    memset(g, 0, sizeof *g);
    g->n = n;
    for (size_t i = 0; i < n; i++) {
        g->headers[i] = am_tr(headers[i]);
        g->width[i] = columns_of(g->headers[i]);
    }
    return g;
}

static void add_cell(struct am_grid *g, char *text, bool number)
{
    size_t w = columns_of(text), k = g->at++ % g->n;
    if (w > g->width[k])
        g->width[k] = w;
    if (number)
        g->right[k] = true;
    if (!am_vec_push(&g->cells, text))
        abort();
}

void am_grid_text(struct am_grid *g, struct am_str s)
{
    char *t = am_xalloc(s.len + 1);
    for (size_t i = 0; i < s.len;
         i++) /* a cell stays on its line and sends nothing to the terminal */
        t[i] = (unsigned char)s.ptr[i] < 32 || s.ptr[i] == 127 ? ' ' : s.ptr[i];
    t[s.len] = 0;
    add_cell(g, t, false);
}

void am_grid_node(struct am_grid *g, const struct am_node *v)
{
    struct am_str s;
    double d;
    char text[64];
    if (am_node_as_str(v, &s)) {
        am_grid_text(g, s);
        return;
    }
    if (v && v->kind == AM_NODE_BOOL)
        snprintf(text, sizeof text, "%s", v->boolean ? am_tr("yes") : am_tr("no"));
    else if (v && v->kind == AM_NODE_INT)
        snprintf(text, sizeof text, "%lld", (long long)v->integer);
    else if (am_node_as_f64(v, &d) && isfinite(d))
        snprintf(text, sizeof text, "%.6g", d);
    else
        snprintf(text, sizeof text, "-");
    add_cell(g, am_strndup(text, strlen(text)), true);
}

void am_say_field(struct am_str s, size_t width, enum am_side side)
{
    char *text = am_strndup(s.ptr, s.len);
    size_t w = columns_of(text), pad = width > w ? width - w : 0;
    if (side == AM_SIDE_RIGHT)
        printf("%*s", (int)pad, "");
    fputs(text, stdout);
    if (side == AM_SIDE_LEFT)
        printf("%*s", (int)pad, "");
    am_free(text);
}

static void put_padded(const char *s, size_t width, bool right, bool last)
{
    size_t w = columns_of(s), pad = width > w ? width - w : 0;
    if (right)
        printf("%*s", (int)pad, "");
    fputs(s, stdout);
    if (!right && !last)
        printf("%*s", (int)pad, "");
    fputs(last ? "\n" : "  ", stdout);
}

void am_grid_print(struct am_grid *g)
{
    for (size_t i = 0; i < g->n; i++)
        put_padded(g->headers[i], g->width[i], g->right[i], i + 1 == g->n);
    for (size_t i = 0; i < g->cells.len; i++) {
        put_padded(g->cells.ptr[i], g->width[i % g->n], g->right[i % g->n], i % g->n + 1 == g->n);
        am_free(g->cells.ptr[i]);
    }
    am_vec_clear(&g->cells);
    am_free(g);
}

/* ---- progress ---- */

static void print_duration(char *out, size_t cap, double s)
{
    if (s < 100)
        snprintf(out, cap, "%.0f s", s);
    else if (s < 6000)
        snprintf(out, cap, "%.0f min", s / 60);
    else
        snprintf(out, cap, "%.1f h", s / 3600);
}

static void show(void *ctx, const struct am_progress_event *ev)
{
    char bar[21], left[32] = "", rate[48] = "", loss[48] = "";
    unsigned n = ev->total ? (unsigned)(20 * ev->done / ev->total) : 0;
    (void)ctx;
    if (ev->finished) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
        return;
    }
    for (unsigned i = 0; i < 20; i++)
        bar[i] = i < n ? '#' : '.';
    bar[20] = 0;
    if (!isnan(ev->left_s)) {
        char t[24];
        print_duration(t, sizeof t, ev->left_s);
        snprintf(left, sizeof left, am_tr("  %s left"), t);
    }
    if (!isnan(ev->rows_per_s))
        snprintf(rate, sizeof rate, am_tr("  %.0f rows/s"), ev->rows_per_s);
    if (!isnan(ev->loss))
        snprintf(loss, sizeof loss,
                 strcmp(ev->phase, "tune") == 0 ? am_tr("  best so far %.4f")
                                                : am_tr("  loss %.4f"),
                 ev->loss);
    if (strcmp(ev->phase, "tune") == 0)
        rate[0] = 0;
    fprintf(stderr, "\r\033[K%s [%s] %llu", am_tr(ev->phase), bar, (unsigned long long)ev->done);
    if (ev->total)
        fprintf(stderr, "/%llu", (unsigned long long)ev->total);
    fprintf(stderr, "%s%s%s", rate, loss, left);
    fflush(stderr);
}

void am_progress_bar_init(struct am_cli *c)
{
    if (!c->quiet && isatty(STDERR_FILENO))
        c->progress.sink = show;
}

/* ---- files that could not be read ---- */

#define BAD_FILES_SHOWN 20

/* Names come from archives of anybody: nothing that a terminal would obey. */
static void say_plain(struct am_str s)
{
    for (size_t i = 0; i < s.len; i++)
        fputc((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f ? '?' : s.ptr[i], stderr);
}

int64_t am_say_bad_files(const struct am_cli *c, const struct am_node *files)
{
    const struct am_node *bad = am_node_get(files, "bad");
    int64_t n = am_node_i64(files, "n_bad", 0);
    size_t listed = bad && bad->kind == AM_NODE_LIST ? bad->list.n : 0;
    if (c->quiet)
        return n;
    if (n > 0)
        fprintf(stderr, am_tr("%lld of %lld files could not be read:\n"), (long long)n,
                (long long)am_node_i64(files, "files", 0));
    for (size_t i = 0; i < listed && i < BAD_FILES_SHOWN; i++) {
        fputs("  ", stderr);
        say_plain(am_node_str(bad->list.items[i], "file", ""));
        fputs(": ", stderr);
        say_plain(am_node_str(bad->list.items[i], "reason", ""));
        fputc('\n', stderr);
    }
    if (n > BAD_FILES_SHOWN)
        fprintf(stderr, am_tr("  and %lld more\n"), (long long)(n - BAD_FILES_SHOWN));
    return n;
}

void am_say_import(const struct am_cli *c, const struct am_node *files)
{
    const struct am_node *notes = am_node_get(files, "notes");
    (void)am_say_bad_files(c, files);
    for (size_t i = 0; !c->quiet && notes && notes->kind == AM_NODE_LIST && i < notes->list.n; i++)
        fprintf(stderr, "%.*s\n", AM_FMT(am_node_str(notes->list.items[i], "text", "")));
}
