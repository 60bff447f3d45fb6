/* What was measured to be faster, kept in WORKSPACE/kernel-choices, so that every process of a
 * machine answers with the same kernels.
 *
 * A server that gives up root keeps the file open, since it cannot open it afterwards.
 * A line is CPU, shape and library, and "own" or "library", between tabs. Lines are only appended,
 * and the first one of a shape counts, so processes that measure at once agree in the end. A cache:
 * remove the file and it is measured anew. What cannot be kept is not chosen. Any thread. */
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "base/fs.h"
#include "nn/plan.h"
#include "platform/platform_int.h"

#define FILE_BYTES ((size_t)1 << 20)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the two below */
static char path[PATH_MAX];
static int held = -1; /* the file, open to read and append; -1 = opened at each use */

static void cpu_name(char out[49])
{
    memset(out, 0, 49);
#if defined(__x86_64__)
    unsigned r[3][4] = {{0}};
    for (unsigned i = 0; i < 3; i++)
        (void)__get_cpuid(0x80000002u + i, &r[i][0], &r[i][1], &r[i][2], &r[i][3]);
    memcpy(out, r, 48);
#endif
    if (!out[0])
        memcpy(out, "cpu", 4);
    for (char *p = out; *p; p++)
        if (*p == '\t' || *p == '\n')
            *p = ' ';
}

/* "CPU\tKEY\t", how a line of this shape begins; 0 when it is too long. */
static size_t line_start(const char *key, char *out, size_t cap)
{
    char cpu[49];
    cpu_name(cpu);
    const int n = snprintf(out, cap, "%s\t%s\t", cpu, key);
    return n > 0 && (size_t)n < cap ? (size_t)n : 0;
}

struct place {
    char path[PATH_MAX];
    int fd; /* -1 = not held open */
};

static void where(struct place *p)
{
    pthread_mutex_lock(&lock);
    memcpy(p->path, path, PATH_MAX);
    p->fd = held;
    pthread_mutex_unlock(&lock);
}

static bool read_file(const struct place *f, struct am_buf *b)
{
    char part[4096];
    ssize_t n;
    if (f->fd < 0)
        return am_fs_read_file(f->path, b, NULL) == AM_OK;
    for (off_t at = 0; (n = am_fs()->pread(f->fd, part, sizeof part, at)) > 0; at += n)
        am_buf_add(b, part, (size_t)n);
    return n == 0 && am_buf_check(b, NULL) == AM_OK;
}

static bool find(const struct place *file, const char *start, size_t n, bool *library)
{
    struct am_buf b;
    bool found = false;
    am_buf_init(&b, FILE_BYTES);
    if (read_file(file, &b)) {
        const struct am_str all = am_buf_view(&b);
        for (const char *p = all.ptr, *end = all.ptr + all.len, *line; p < end && !found;
             p = line + 1) {
            line = memchr(p, '\n', (size_t)(end - p));
            if (!line) /* cut off */
                break;
            const size_t len = (size_t)(line - p);
            found = len > n && memcmp(p, start, n) == 0 &&
                    ((len == n + 3 && memcmp(p + n, "own", 3) == 0) ||
                     (len == n + 7 && memcmp(p + n, "library", 7) == 0));
            *library = found ? len == n + 7 : *library;
        }
    }
    am_buf_clear(&b);
    return found;
}

static bool recall(const char *key, bool *library)
{
    struct place file;
    char line[768];
    const size_t n = line_start(key, line, sizeof line);
    where(&file);
    return n > 0 && find(&file, line, n, library);
}

static int open_file(const char *file)
{
    return am_fs()->open(file, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

static bool append(const struct place *f, const char *line, size_t n)
{
    const int fd = f->fd >= 0 ? f->fd : open_file(f->path);
    if (fd < 0)
        return false;
    const bool ok = am_fs()->write(fd, line, n) == (ssize_t)n;
    return (fd == f->fd || am_fs()->close(fd) == 0) && ok;
}

/* One write, a line of its own also after one that was cut off; then the first one counts. */
static bool keep(const char *key, bool *library)
{
    struct place file;
    char line[768] = "\n";
    const size_t n = line_start(key, line + 1, sizeof line - 16);
    where(&file);
    if (n == 0)
        return false;
    const char *word = *library ? "library\n" : "own\n";
    memcpy(line + 1 + n, word, strlen(word) + 1);
    return append(&file, line, 1 + n + strlen(word)) && find(&file, line + 1, n, library);
}

const struct am_plan_choices *am_platform_keep_choices(const char *workspace)
{
    static const struct am_plan_choices choices = {.recall = recall, .keep = keep};
    pthread_mutex_lock(&lock);
    const int n = snprintf(path, sizeof path, "%s/kernel-choices", workspace);
    if (n < 0 || (size_t)n >= sizeof path)
        path[0] = '\0';
    if (held >= 0)
        (void)am_fs()->close(held);
    held = -1;
    pthread_mutex_unlock(&lock);
    am_plan_set_choices(&choices);
    return &choices;
}

void am_platform_hold(struct am_platform *p)
{
    (void)p;
    pthread_mutex_lock(&lock);
    if (held < 0 && path[0])
        held = open_file(path);
    pthread_mutex_unlock(&lock);
}
