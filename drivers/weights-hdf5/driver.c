/* The driver weights-hdf5: the port of tensor/weights.h over libhdf5.
 *
 * Bytes come from anybody, and libhdf5 can be made to write where it should not by a damaged file.
 * So each file is read by a child of its own, forked for it, that has no files, no network, little
 * time and only the system calls that memory and one pipe need; what it says is checked like any
 * stranger's word. The library itself is started once in the parent and never sees a file there.
 * One file at a time (the lock). */
#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"
#include "records.h"
#include "tensor/ports_abi.h"

static const struct am_host *host;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the library, and of forking */

#define fail_at(err, rc, ...) host->fail((err), (rc), __FILE__, __LINE__, __VA_ARGS__)

/* ---- the child ---- */

#define PIPE_FD 3
#define SECONDS 30             /* of the processor, and one more for each .. */
#define BYTES_A_SECOND 5000000 /* .. so many bytes of the file */

#if defined(__x86_64__)
#define OWN_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCH AUDIT_ARCH_AARCH64
#endif

#define ALLOW(name)                                                                                \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (name), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* Memory, the pipe, the end. Everything else is refused, so that a library that tries goes on. */
static void lock_in(void)
{
#ifdef OWN_ARCH
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCH, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(SYS_write),
        ALLOW(SYS_mmap),
        ALLOW(SYS_munmap),
        ALLOW(SYS_mremap),
        ALLOW(SYS_mprotect),
        ALLOW(SYS_madvise),
        ALLOW(SYS_brk),
        ALLOW(SYS_futex),
        ALLOW(SYS_clock_gettime),
        ALLOW(SYS_rt_sigprocmask),
        ALLOW(SYS_rt_sigaction),
        ALLOW(SYS_rt_sigreturn),
        ALLOW(SYS_sigaltstack),
        ALLOW(SYS_getpid),
        ALLOW(SYS_gettid),
        ALLOW(SYS_tgkill),
        ALLOW(SYS_exit),
        ALLOW(SYS_exit_group),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    };
    const struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
        (void)prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
#endif
}

static void limit(int what, uint64_t most)
{
    const struct rlimit r = {.rlim_cur = most, .rlim_max = most};
    (void)setrlimit((__rlimit_resource_t)what, &r);
}

/* Never returns. Only async-signal-safe calls before the walk: other threads of the parent may hold
 * locks. */
static void child(struct am_str file, int fd)
{
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGPIPE, SIGXCPU};
    for (size_t i = 0; i < sizeof crashes / sizeof *crashes; i++)
        (void)signal(crashes[i], SIG_DFL); /* a crash is the parent's to tell */
    if (dup2(fd, PIPE_FD) != PIPE_FD)
        _exit(1);
    (void)close(0);
    (void)close(1);
    (void)syscall(SYS_close_range, PIPE_FD + 1, ~0u, 0);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_CPU, SECONDS + file.len / BYTES_A_SECOND);
    lock_in();
    walk_file(file, PIPE_FD);
    _exit(0);
}

/* ---- the parent ---- */

struct reading {
    const struct am_weights_sink *sink;
    struct am_err *err;
    int fd;
    uint64_t bytes, bytes_max, n_arrays;
    char path[PATH_BYTES], named[PATH_BYTES];
};

/* Exactly n bytes; false at the end of the pipe. */
static bool get(const struct reading *r, void *out, size_t n)
{
    char *p = out;
    while (n > 0) {
        ssize_t k = read(r->fd, p, n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return false;
        p += k;
        n -= (size_t)k;
    }
    return true;
}

static enum am_rc fail_damaged(const struct reading *r, const char *path)
{
    enum am_rc rc = path[0]
                        ? fail_at(r->err, AM_ECORRUPT, "the HDF5 file is damaged at \"%s\"", path)
                        : fail_at(r->err, AM_ECORRUPT, "the HDF5 file is damaged");
    host->hint(r->err, "Write the weights again, or take the file again from where it came.");
    return rc;
}

static enum am_rc fail_end(const struct reading *r, const struct record *h)
{
    enum am_rc rc;
    switch (h->kind) {
    case IS_ELSEWHERE:
        rc = fail_at(r->err, AM_EUNSUPPORTED,
                     "\"%s\" of the HDF5 file leads elsewhere; links and outside storage are not "
                     "followed",
                     r->path);
        host->hint(r->err, "Write the weights into one plain file: model.save_weights(FILE).");
        return rc;
    case IS_TOO_LARGE:
        rc = fail_at(r->err, AM_ELIMIT, "the arrays up to \"%s\" claim more than %llu bytes",
                     r->path, (unsigned long long)r->bytes_max);
        host->hint(r->err, "At most %d times the file's size is unpacked.", AM_LIMIT_ARCHIVE_RATIO);
        return rc;
    case IS_FILTER:
        rc = fail_at(r->err, AM_EUNSUPPORTED,
                     "array \"%s\" is packed with filter %llu; deflate and shuffle are read",
                     r->path, (unsigned long long)h->detail);
        host->hint(r->err, "Write the weights without compression.");
        return rc;
    case IS_TOO_DEEP:
        return fail_at(r->err, AM_ELIMIT, "the groups of the HDF5 file are more than %d deep",
                       DEPTH_MAX);
    case IS_TOO_MANY:
        return fail_at(r->err, AM_ELIMIT, "the HDF5 file has more than %d groups and arrays",
                       AM_LIMIT_WEIGHTS_ARRAYS);
    case IS_LONG_NAME:
        return fail_at(r->err, AM_ELIMIT, "a name in the HDF5 file is too long");
    case IS_RANK:
        return fail_at(r->err, AM_ELIMIT, "array \"%s\" has %llu dims, at most %d allowed", r->path,
                       (unsigned long long)h->detail, AM_LIMIT_TENSOR_RANK);
    case IS_NO_ROOM:
        return host->fail_nomem(r->err, h->detail, __FILE__, __LINE__);
    default:
        return fail_damaged(r, r->path);
    }
}

/* Names end with a NUL and hold none. */
static bool get_names(struct reading *r, const struct record *h)
{
    if (h->n_path >= PATH_BYTES || h->n_named >= PATH_BYTES || !get(r, r->path, h->n_path) ||
        !get(r, r->named, h->n_named))
        return false;
    r->path[h->n_path] = r->named[h->n_named] = 0;
    return strlen(r->path) == h->n_path && strlen(r->named) == h->n_named;
}

static bool get_values(const struct reading *r, float *values, uint64_t n)
{
    float unwanted[4096];
    if (values)
        return get(r, values, (size_t)n * sizeof *values);
    for (; n > 0; n -= n < 4096 ? n : 4096)
        if (!get(r, unwanted, (size_t)(n < 4096 ? n : 4096) * sizeof *unwanted))
            return false;
    return true;
}

static bool shape_is_sound(struct reading *r, const struct record *h)
{
    uint64_t n = 1, bytes;
    if (h->rank > AM_LIMIT_TENSOR_RANK || ++r->n_arrays > AM_LIMIT_WEIGHTS_ARRAYS)
        return false;
    for (uint32_t i = 0; i < h->rank; i++)
        if (__builtin_mul_overflow(n, h->dims[i], &n))
            return false;
    if (n != h->n || __builtin_mul_overflow(n, sizeof(float), &bytes) ||
        bytes > r->bytes_max - r->bytes)
        return false;
    r->bytes += bytes;
    return true;
}

static enum am_rc take_array(struct reading *r, const struct record *h)
{
    struct am_weights_array a = {.path = {r->path, h->n_path},
                                 .named = {r->named, h->n_named},
                                 .rank = h->rank,
                                 .n = (size_t)h->n};
    float *values = NULL;
    if (!shape_is_sound(r, h))
        return fail_damaged(r, r->path);
    memcpy(a.dims, h->dims, h->rank * sizeof *h->dims);
    enum am_rc rc = r->sink->array(r->sink->ctx, &a, &values, r->err);
    if (rc != AM_OK)
        return rc;
    return get_values(r, values, h->n) ? AM_OK : fail_damaged(r, r->path);
}

static enum am_rc read_records(struct reading *r)
{
    struct record h;
    for (;;) {
        if (!get(r, &h, sizeof h) || !get_names(r, &h))
            return fail_damaged(r, ""); /* the child is gone */
        if (h.kind == IS_END)
            return AM_OK;
        if (h.kind != IS_ARRAY)
            return fail_end(r, &h);
        enum am_rc rc = take_array(r, &h);
        if (rc != AM_OK)
            return rc;
    }
}

static enum am_rc read_in_child(struct reading *r, struct am_str file)
{
    int ends[2];
    pid_t pid;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return fail_at(r->err, AM_EIO, "cannot make a pipe for the reader of HDF5 files");
    pid = fork();
    if (pid == 0)
        child(file, ends[1]);
    (void)close(ends[1]);
    if (pid < 0) {
        (void)close(ends[0]);
        return fail_at(r->err, AM_EIO, "cannot start the reader of HDF5 files");
    }
    r->fd = ends[0];
    enum am_rc rc = read_records(r);
    (void)close(ends[0]);
    (void)kill(pid, SIGKILL); /* it may still write what nobody wants */
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    return rc;
}

/* ---- the port ---- */

static enum am_rc start(const struct am_host *h, struct am_err *err)
{
    enum am_rc rc = AM_OK;
    host = h;
    pthread_mutex_lock(&lock);
    (void)H5dont_atexit();
    if (H5open() < 0 || H5Eset_auto2(H5E_DEFAULT, NULL, NULL) < 0 || H5PLset_loading_state(0) < 0)
        rc = fail_at(err, AM_EMISSING, "libhdf5 does not start");
    pthread_mutex_unlock(&lock);
    return rc;
}

static enum am_rc read_file(struct am_str file, const struct am_weights_sink *sink,
                            struct am_err *err)
{
    static struct reading r; /* of the lock */
    pthread_mutex_lock(&lock);
    r = (struct reading){.sink = sink, .err = err, .bytes_max = most_bytes(file.len)};
    enum am_rc rc = read_in_child(&r, file);
    pthread_mutex_unlock(&lock);
    return rc;
}

static const char *version(void)
{
    static char text[32];
    unsigned major = 0, minor = 0, release = 0;
    pthread_mutex_lock(&lock);
    (void)H5get_libversion(&major, &minor, &release);
    (void)snprintf(text, sizeof text, "HDF5 %u.%u.%u", major, minor, release);
    pthread_mutex_unlock(&lock);
    return text;
}

static const struct am_weights_ops ops = {.abi = AM_PORTS_ABI,
                                          .size = sizeof ops,
                                          .name = "weights-hdf5",
                                          .start = start,
                                          .read = read_file,
                                          .version = version};

extern const struct am_weights_ops *const am_module;
__attribute__((visibility("default"))) const struct am_weights_ops *const am_module = &ops;
