/* The recorder and the replay of disk.h.
 *
 * Record = a list of changes, each with the numbers of the files and the bytes it wrote. Replay
 * applies them to two worlds: live (what programs saw) and durable (what the disk promised).
 * Folders are known by path; the product never renames one, which is asserted. Everything is
 * behind one mutex while recording. Memory is given back by the end of the process. */
#include "support/disk.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define N_FDS 4096
#define PATH_CAP 4096

enum kind { MAKE, FOLDER, WRITE, CUT, SYNC, SYNC_DIR, RENAME, LINK, UNLINK, MARK };
static const char *const kind_names[] = {"create",    "mkdir",  "write", "truncate", "fsync",
                                         "fsync dir", "rename", "link",  "unlink",   "mark"};

struct change {
    enum kind kind;
    int file; /* number; of MARK the step */
    size_t at, n;
    char *bytes;        /* of WRITE */
    char *path, *path2; /* relative to the root */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool recording;
static char root[PATH_CAP];
static struct change *changes;
static size_t n_changes, cap_changes;

/* ---- recording ---- */

struct name { /* a path and the file behind it; file < 0 = folder */
    char *path;
    int file;
};
struct names {
    struct name *ptr;
    size_t n, cap;
};
static struct names known; /* live names while recording */
static int n_files;
static struct {
    bool used;
    int file; /* -1 = folder */
    char *path;
} fds[N_FDS];

static void *grown(void *p, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return p;
    *cap = *cap ? 2 * *cap : 64;
    p = realloc(p, *cap * size);
    if (!p)
        abort();
    return p;
}

static char *copy_of(const char *s)
{
    char *p = strdup(s);
    if (!p)
        abort();
    return p;
}

static struct name *find(const struct names *v, const char *path)
{
    for (size_t i = 0; i < v->n; i++)
        if (strcmp(v->ptr[i].path, path) == 0)
            return &v->ptr[i];
    return NULL;
}

static void drop_name(struct names *v, const char *path)
{
    struct name *e = find(v, path);
    if (!e)
        return;
    free(e->path);
    *e = v->ptr[--v->n];
}

static void put_name(struct names *v, const char *path, int file)
{
    struct name *e = find(v, path);
    if (e) {
        e->file = file;
        return;
    }
    v->ptr = grown(v->ptr, v->n, &v->cap, sizeof *v->ptr);
    v->ptr[v->n++] = (struct name){copy_of(path), file};
}

/* The path below the root, "" for the root itself; NULL = elsewhere. */
static const char *below(const char *path)
{
    size_t n = strlen(root);
    if (!recording || n == 0 || strncmp(path, root, n) != 0)
        return NULL;
    if (path[n] == '\0')
        return path + n;
    return path[n] == '/' ? path + n + 1 : NULL;
}

static struct change *add(enum kind kind, int file, const char *path, const char *path2)
{
    changes = grown(changes, n_changes, &cap_changes, sizeof *changes);
    struct change *c = &changes[n_changes++];
    *c = (struct change){.kind = kind, .file = file};
    c->path = path ? copy_of(path) : NULL;
    c->path2 = path2 ? copy_of(path2) : NULL;
    return c;
}

void disk_record(const char *path)
{
    (void)snprintf(root, sizeof root, "%s", path);
    recording = true;
}

void disk_stop(void)
{
    pthread_mutex_lock(&lock);
    recording = false;
    pthread_mutex_unlock(&lock);
}

void disk_mark(int step)
{
    pthread_mutex_lock(&lock);
    add(MARK, step, NULL, NULL);
    pthread_mutex_unlock(&lock);
}

size_t disk_n_changes(void)
{
    return n_changes;
}

static void remember_fd(int fd, int flags, const char *path)
{
    if (fd >= N_FDS)
        abort();
    struct name *e = find(&known, path);
    int file = e ? e->file : -1;
    if (!e && *path) {
        file = n_files++;
        put_name(&known, path, file);
        add(MAKE, file, path, NULL);
    } else if (e && file >= 0 && (flags & O_TRUNC)) {
        add(CUT, file, NULL, NULL);
    }
    free(fds[fd].path);
    fds[fd].used = true;
    fds[fd].file = file;
    fds[fd].path = copy_of(path);
}

static int do_open(int at, const char *path, int flags, mode_t mode)
{
    pthread_mutex_lock(&lock);
    int fd = (int)syscall(SYS_openat, at, path, flags, mode);
    const char *rel = at == AT_FDCWD || path[0] == '/' ? below(path) : NULL;
    if (fd >= 0 && rel)
        remember_fd(fd, flags, rel);
    pthread_mutex_unlock(&lock);
    return fd;
}

static mode_t mode_of(int flags, va_list ap)
{
    return flags & (O_CREAT | __O_TMPFILE) ? (mode_t)va_arg(ap, unsigned) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    mode_t mode = mode_of(flags, ap);
    va_end(ap);
    return do_open(AT_FDCWD, path, flags, mode);
}
int open64(const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    mode_t mode = mode_of(flags, ap);
    va_end(ap);
    return do_open(AT_FDCWD, path, flags, mode);
}
int openat(int at, const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    mode_t mode = mode_of(flags, ap);
    va_end(ap);
    return do_open(at, path, flags, mode);
}
int openat64(int at, const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    mode_t mode = mode_of(flags, ap);
    va_end(ap);
    return do_open(at, path, flags, mode);
}

int close(int fd)
{
    pthread_mutex_lock(&lock);
    if (fd >= 0 && fd < N_FDS)
        fds[fd].used = false;
    int rc = (int)syscall(SYS_close, fd);
    pthread_mutex_unlock(&lock);
    return rc;
}

static int file_of(int fd)
{
    return recording && fd >= 0 && fd < N_FDS && fds[fd].used ? fds[fd].file : -1;
}

static void wrote(int fd, const void *p, size_t n, off_t at)
{
    int file = file_of(fd);
    if (file < 0 || n == 0)
        return;
    struct change *c = add(WRITE, file, fds[fd].path, NULL);
    c->bytes = malloc(n);
    if (!c->bytes)
        abort();
    memcpy(c->bytes, p, n);
    c->at = (size_t)at;
    c->n = n;
}

ssize_t write(int fd, const void *p, size_t n)
{
    if (!recording)
        return syscall(SYS_write, fd, p, n);
    pthread_mutex_lock(&lock);
    ssize_t k = syscall(SYS_write, fd, p, n);
    if (k > 0 && file_of(fd) >= 0)
        wrote(fd, p, (size_t)k, lseek(fd, 0, SEEK_CUR) - k);
    pthread_mutex_unlock(&lock);
    return k;
}
static ssize_t do_pwrite(int fd, const void *p, size_t n, off_t at)
{
    if (!recording)
        return syscall(SYS_pwrite64, fd, p, n, at);
    pthread_mutex_lock(&lock);
    ssize_t k = syscall(SYS_pwrite64, fd, p, n, at);
    if (k > 0)
        wrote(fd, p, (size_t)k, at);
    pthread_mutex_unlock(&lock);
    return k;
}
ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    return do_pwrite(fd, p, n, at);
}
ssize_t pwrite64(int fd, const void *p, size_t n, off_t at)
{
    return do_pwrite(fd, p, n, at);
}
ssize_t writev(int fd, const struct iovec *v, int n)
{
    ssize_t all = 0;
    for (int i = 0; i < n; i++) {
        ssize_t k = v[i].iov_len ? write(fd, v[i].iov_base, v[i].iov_len) : 0;
        if (k < 0)
            return all ? all : k;
        all += k;
        if ((size_t)k < v[i].iov_len)
            break;
    }
    return all;
}

static int do_truncate(int fd, off_t n)
{
    pthread_mutex_lock(&lock);
    int rc = (int)syscall(SYS_ftruncate, fd, n);
    if (rc == 0 && file_of(fd) >= 0)
        add(CUT, file_of(fd), fds[fd].path, NULL)->n = (size_t)n;
    pthread_mutex_unlock(&lock);
    return rc;
}
int ftruncate(int fd, off_t n)
{
    return do_truncate(fd, n);
}
int ftruncate64(int fd, off_t n)
{
    return do_truncate(fd, n);
}

static int do_sync(int fd)
{
    if (fcntl(fd, F_GETFD) < 0)
        return -1;
    pthread_mutex_lock(&lock);
    if (recording && fd < N_FDS && fds[fd].used)
        add(fds[fd].file < 0 ? SYNC_DIR : SYNC, fds[fd].file, fds[fd].path, NULL);
    pthread_mutex_unlock(&lock);
    return 0;
}
int fsync(int fd)
{
    return do_sync(fd);
}
int fdatasync(int fd)
{
    return do_sync(fd);
}

int rename(const char *from, const char *to)
{
    pthread_mutex_lock(&lock);
    const char *a = below(from), *b = below(to);
    struct name *e = a ? find(&known, a) : NULL;
    int rc = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    if (rc == 0 && (a || b)) {
        assert(a && b && e && e->file >= 0); /* a file, from here to here */
        int file = e->file;
        drop_name(&known, a);
        put_name(&known, b, file);
        add(RENAME, file, a, b);
    }
    pthread_mutex_unlock(&lock);
    return rc;
}
int link(const char *from, const char *to)
{
    pthread_mutex_lock(&lock);
    const char *a = below(from), *b = below(to);
    struct name *e = a ? find(&known, a) : NULL;
    int rc = (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
    if (rc == 0 && b) {
        assert(e);
        int file = e->file;
        put_name(&known, b, file);
        add(LINK, file, a, b);
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

static int gone(const char *path, int flags)
{
    pthread_mutex_lock(&lock);
    const char *a = below(path);
    int rc = (int)syscall(SYS_unlinkat, AT_FDCWD, path, flags);
    if (rc == 0 && a) {
        drop_name(&known, a);
        add(UNLINK, -1, a, NULL);
    }
    pthread_mutex_unlock(&lock);
    return rc;
}
int unlink(const char *path)
{
    return gone(path, 0);
}
int rmdir(const char *path)
{
    return gone(path, AT_REMOVEDIR);
}
int remove(const char *path)
{
    int rc = gone(path, 0);
    return rc != 0 && errno == EISDIR ? gone(path, AT_REMOVEDIR) : rc;
}
int mkdir(const char *path, mode_t mode)
{
    pthread_mutex_lock(&lock);
    const char *a = below(path);
    int rc = (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    if (rc == 0 && a && *a) {
        put_name(&known, a, -1);
        add(FOLDER, -1, a, NULL);
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

/* ---- replay ---- */

struct bytes {
    char *p;
    size_t n, cap;
};
struct file {
    struct bytes live, durable;
};
static struct names live, durable;
static struct file *files;
static size_t n_replayed, cap_files;
static int newest_mark;

static void fit(struct bytes *b, size_t n)
{
    if (n > b->cap) {
        b->cap = 2 * n;
        b->p = realloc(b->p, b->cap);
        if (!b->p)
            abort();
    }
    if (n > b->n)
        memset(b->p + b->n, 0, n - b->n);
}

static void sync_names(const char *dir)
{
    size_t n = strlen(dir);
#define IN_DIR(path)                                                                               \
    ((n == 0 || (strncmp((path), dir, n) == 0 && (path)[n] == '/')) &&                             \
     !strchr((path) + n + (n > 0), '/'))
    for (size_t i = 0; i < durable.n;)
        if (IN_DIR(durable.ptr[i].path) && !find(&live, durable.ptr[i].path))
            drop_name(&durable, durable.ptr[i].path);
        else
            i++;
    for (size_t i = 0; i < live.n; i++)
        if (IN_DIR(live.ptr[i].path))
            put_name(&durable, live.ptr[i].path, live.ptr[i].file);
}

static void apply(const struct change *c)
{
    struct file *f = NULL;
    if (c->kind != MARK && c->file >= 0) {
        while ((size_t)c->file >= cap_files) {
            size_t old = cap_files;
            files = grown(files, cap_files, &cap_files, sizeof *files);
            memset(files + old, 0, (cap_files - old) * sizeof *files);
        }
        f = &files[c->file];
    }
    switch (c->kind) {
    case MAKE:
    case FOLDER:
        put_name(&live, c->path, c->file);
        break;
    case WRITE:
        fit(&f->live, c->at + c->n);
        memcpy(f->live.p + c->at, c->bytes, c->n);
        if (f->live.n < c->at + c->n)
            f->live.n = c->at + c->n;
        break;
    case CUT:
        fit(&f->live, c->n);
        f->live.n = c->n;
        break;
    case SYNC:
        fit(&f->durable, f->live.n);
        if (f->live.n)
            memcpy(f->durable.p, f->live.p, f->live.n);
        f->durable.n = f->live.n;
        break;
    case SYNC_DIR:
        sync_names(c->path);
        break;
    case RENAME:
        drop_name(&live, c->path);
        put_name(&live, c->path2, c->file);
        break;
    case LINK:
        put_name(&live, c->path2, c->file);
        break;
    case UNLINK:
        drop_name(&live, c->path);
        break;
    default:
        newest_mark = c->file;
        break;
    }
}

void disk_replay_to(size_t n, int *step)
{
    while (n_replayed < n && n_replayed < n_changes)
        apply(&changes[n_replayed++]);
    *step = newest_mark;
}

static const struct names *names_of(enum disk_image kind)
{
    return kind == DISK_SYNCED || kind == DISK_NAMES_LOST ? &durable : &live;
}

/* The bytes of a file in an image; *half gets how many of them remain of a torn write. */
static const struct bytes *bytes_of(enum disk_image kind, int file, size_t *n)
{
    const struct bytes *b =
        kind == DISK_SYNCED || kind == DISK_BYTES_LOST ? &files[file].durable : &files[file].live;
    const struct change *last = n_replayed ? &changes[n_replayed - 1] : NULL;
    *n = b->n;
    if (kind == DISK_TORN && last->file == file && last->at + last->n == b->n)
        *n = last->at + last->n / 2;
    return b;
}

static bool is_map(const char *path)
{
    size_t n = strlen(path);
    return n > 4 && strcmp(path + n - 4, "-shm") == 0;
}

/* Are all folders above it in the image? */
static bool reachable(const struct names *v, const char *path)
{
    char up[PATH_CAP];
    (void)snprintf(up, sizeof up, "%s", path);
    for (char *slash = strrchr(up, '/'); slash; slash = strrchr(up, '/')) {
        *slash = '\0';
        if (!find(v, up))
            return false;
    }
    return true;
}

static uint64_t mixed(uint64_t h, const void *p, size_t n)
{
    const unsigned char *s = p;
    for (; n >= 8; n -= 8, s += 8) {
        uint64_t w;
        memcpy(&w, s, 8);
        h = (h ^ w) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    for (; n > 0; n--, s++)
        h = (h ^ *s) * 0x100000001b3u;
    return h;
}

unsigned long long disk_image_hash(enum disk_image kind, const char *skip)
{
    const struct names *v = names_of(kind);
    const struct change *last = n_replayed ? &changes[n_replayed - 1] : NULL;
    uint64_t sum = 1;
    if (kind == DISK_TORN && (!last || last->kind != WRITE || last->n < 2))
        return 0;
    for (size_t i = 0; i < v->n; i++) {
        const struct name *e = &v->ptr[i];
        size_t n;
        if (is_map(e->path) || strncmp(e->path, skip, strlen(skip)) == 0 || !reachable(v, e->path))
            continue;
        uint64_t h = mixed(99, e->path, strlen(e->path));
        if (e->file >= 0) {
            const struct bytes *b = bytes_of(kind, e->file, &n);
            h = mixed(h + n, b->p, n);
        }
        sum += h; /* the order of names does not count */
    }
    return sum ? sum : 1;
}

static bool write_one(enum disk_image kind, const struct name *e, const char *to)
{
    char path[2 * PATH_CAP];
    size_t n, at = 0;
    (void)snprintf(path, sizeof path, "%s/%s", to, e->path);
    if (e->file < 0)
        return mkdir(path, 0700) == 0;
    const struct bytes *b = bytes_of(kind, e->file, &n);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    while (fd >= 0 && at < n) {
        ssize_t k = write(fd, b->p + at, n - at);
        if (k <= 0)
            break;
        at += (size_t)k;
    }
    return fd >= 0 && close(fd) == 0 && at == n;
}

static int by_path(const void *a, const void *b)
{
    const struct name *x = a, *y = b;
    return strcmp(x->path, y->path);
}

bool disk_image_write(enum disk_image kind, const char *to)
{
    struct names *v = kind == DISK_SYNCED || kind == DISK_NAMES_LOST ? &durable : &live;
    if (v->n)
        qsort(v->ptr, v->n, sizeof *v->ptr, by_path); /* a folder before what is in it */
    for (size_t i = 0; i < v->n; i++)
        if (!is_map(v->ptr[i].path) && reachable(v, v->ptr[i].path) &&
            !write_one(kind, &v->ptr[i], to))
            return false;
    return true;
}

const char *disk_change_text(size_t n, char *out, size_t cap)
{
    const struct change *c = &changes[n - 1];
    (void)snprintf(out, cap, "%s %s%s%s [%zu bytes at %zu]", kind_names[c->kind],
                   c->path ? c->path : "", c->path2 ? " -> " : "", c->path2 ? c->path2 : "", c->n,
                   c->at);
    return out;
}

/* ---- the record against the folder ---- */

static bool same_bytes(const char *path, const struct bytes *b)
{
    char piece[65536];
    size_t at = 0;
    ssize_t k = 0;
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return false;
    while ((k = read(fd, piece, sizeof piece)) > 0) {
        if (at + (size_t)k > b->n || memcmp(piece, b->p + at, (size_t)k) != 0)
            break;
        at += (size_t)k;
    }
    close(fd);
    return k == 0 && at == b->n;
}

static size_t count_below(const char *dir)
{
    size_t n = 0;
    DIR *d = opendir(dir);
    for (const struct dirent *e; d && (e = readdir(d));) {
        char path[2 * PATH_CAP];
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (!is_map(path))
            n++;
        if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
            n += count_below(path);
    }
    if (d)
        closedir(d);
    return n;
}

const char *disk_check(void)
{
    static char path[2 * PATH_CAP];
    size_t n = 0;
    for (size_t i = 0; i < live.n; i++) {
        struct stat st;
        if (is_map(live.ptr[i].path))
            continue;
        n++;
        (void)snprintf(path, sizeof path, "%s/%s", root, live.ptr[i].path);
        if (lstat(path, &st) != 0 || S_ISDIR(st.st_mode) != (live.ptr[i].file < 0) ||
            (live.ptr[i].file >= 0 && !same_bytes(path, &files[live.ptr[i].file].live)))
            return path;
    }
    if (count_below(root) != n) {
        (void)snprintf(path, sizeof path, "%s: %zu names on disk, %zu in the record", root,
                       count_below(root), n);
        return path;
    }
    return NULL;
}
