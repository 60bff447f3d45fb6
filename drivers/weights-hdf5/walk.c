/* The child's side: walks an HDF5 file in memory with libhdf5 and writes what it finds as records.
 *
 * Runs in a process of its own without files, network or threads (driver.c), so nothing here calls
 * the host, allocates from it or prints. The file leads nowhere: no soft, external or user-defined
 * links, no external or virtual storage; filters are deflate and shuffle; an array is read after
 * its size was checked against the file; depth and number of objects are bounded, so that hard
 * links in circles end. */
#include <hdf5.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/limits.h"
#include "records.h"

#define NAME_BYTES 256
#define WHOLE_CHUNK                                                                                \
    ((uint64_t)1 << 20) /* a chunk may be larger than its array by so many bytes                   \
                         */

struct walk {
    int fd;
    uint64_t n_objects, bytes, bytes_max; /* of arrays, as they lie in memory of their own type */
    char path[PATH_BYTES], named[PATH_BYTES];
    size_t n_path, n_named;
    unsigned depth;
    bool ended; /* the last record is written */
};

/* ---- records ---- */

/* false when the parent has gone */
static bool put(const struct walk *w, const void *bytes, size_t n)
{
    const char *p = bytes;
    while (n > 0) {
        ssize_t k = write(w->fd, p, n);
        if (k <= 0)
            return false;
        p += k;
        n -= (size_t)k;
    }
    return true;
}

static bool put_record(const struct walk *w, struct record *r, const float *values)
{
    r->n_path = (uint32_t)w->n_path;
    r->n_named = (uint32_t)w->n_named;
    return put(w, r, sizeof *r) && put(w, w->path, w->n_path) && put(w, w->named, w->n_named) &&
           put(w, values, (size_t)r->n * sizeof *values);
}

/* Ends the walk; always false. */
static bool stop(struct walk *w, enum kind why, uint64_t detail)
{
    struct record r = {.kind = why, .detail = detail};
    if (!w->ended)
        (void)put_record(w, &r, NULL);
    w->ended = true;
    return false;
}

/* ---- the file in memory: the library borrows the bytes instead of copying them ---- */

static void *image_malloc(size_t n, H5FD_file_image_op_t op, void *bytes)
{
    (void)n;
    (void)op;
    return bytes;
}

static void *image_memcpy(void *to, const void *from, size_t n, H5FD_file_image_op_t op,
                          void *bytes)
{
    (void)n;
    (void)op;
    return to == bytes && from == bytes ? to : NULL;
}

static void *image_realloc(void *p, size_t n, H5FD_file_image_op_t op, void *bytes)
{
    (void)p;
    (void)n;
    (void)op;
    (void)bytes;
    return NULL; /* nothing grows a file that is only read */
}

static herr_t image_free(void *p, H5FD_file_image_op_t op, void *bytes)
{
    (void)p;
    (void)op;
    (void)bytes;
    return 0;
}

static void *udata_copy(void *bytes)
{
    return bytes;
}

static herr_t udata_free(void *bytes)
{
    (void)bytes;
    return 0;
}

/* The bytes without const: read-only access never writes them. */
static void *borrowed(struct am_str file)
{
    union {
        const char *in;
        void *out;
    } u = {.in = file.ptr};
    return u.out;
}

static hid_t open_bytes(struct am_str file)
{
    H5FD_file_image_callbacks_t c = {.image_malloc = image_malloc,
                                     .image_memcpy = image_memcpy,
                                     .image_realloc = image_realloc,
                                     .image_free = image_free,
                                     .udata_copy = udata_copy,
                                     .udata_free = udata_free,
                                     .udata = borrowed(file)};
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), out = H5I_INVALID_HID;
    if (access < 0)
        return H5I_INVALID_HID;
    if (H5Pset_fapl_core(access, (size_t)1 << 16, false) >= 0 &&
        H5Pset_file_image_callbacks(access, &c) >= 0 &&
        H5Pset_file_image(access, c.udata, file.len) >= 0)
        out = H5Fopen("weights", H5F_ACC_RDONLY, access);
    (void)H5Pclose(access);
    return out;
}

/* ---- names ---- */

/* The text attribute "name" of an object; "" when there is none. */
static void own_name(hid_t object, char out[NAME_BYTES])
{
    hid_t a, type = H5I_INVALID_HID, space = H5I_INVALID_HID;
    out[0] = 0;
    if (H5Aexists(object, "name") <= 0 || (a = H5Aopen(object, "name", H5P_DEFAULT)) < 0)
        return;
    type = H5Aget_type(a);
    space = H5Aget_space(a);
    if (type >= 0 && space >= 0 && H5Tget_class(type) == H5T_STRING &&
        H5Sget_simple_extent_npoints(space) == 1) {
        char *text = NULL;
        if (H5Tis_variable_str(type) > 0) {
            if (H5Aread(a, type, &text) >= 0 && text)
                (void)snprintf(out, NAME_BYTES, "%s", text);
            (void)H5free_memory(text);
        } else if (H5Tget_size(type) < NAME_BYTES) {
            memset(out, 0, NAME_BYTES);
            if (H5Aread(a, type, out) < 0)
                out[0] = 0;
        }
    }
    (void)H5Sclose(space);
    (void)H5Tclose(type);
    (void)H5Aclose(a);
}

/* The name that a group gives itself, or its variables: a name that holds a slash is none. */
static void name_of_group(hid_t group, char out[NAME_BYTES])
{
    own_name(group, out);
    if (!out[0] && H5Lexists(group, "vars", H5P_DEFAULT) > 0) {
        H5L_info_t link;
        hid_t vars = H5I_INVALID_HID;
        if (H5Lget_info(group, "vars", &link, H5P_DEFAULT) >= 0 && link.type == H5L_TYPE_HARD)
            vars = H5Oopen(group, "vars", H5P_DEFAULT);
        if (vars >= 0) {
            if (H5Iget_type(vars) == H5I_GROUP)
                own_name(vars, out);
            (void)H5Oclose(vars);
        }
    }
    if (strchr(out, '/'))
        out[0] = 0;
}

static bool append(char *path, size_t *n, const char *name)
{
    int k = snprintf(path + *n, PATH_BYTES - *n, "%s%s", *n ? "/" : "", name);
    if (k < 0 || (size_t)k >= PATH_BYTES - *n)
        return false;
    *n += (size_t)k;
    return true;
}

/* ---- arrays ---- */

struct array {
    hid_t data, type, space, how;
    struct record head;
    uint64_t bytes;
};

static void array_close(struct array *a)
{
    if (a->how >= 0)
        (void)H5Pclose(a->how);
    if (a->space >= 0)
        (void)H5Sclose(a->space);
    if (a->type >= 0)
        (void)H5Tclose(a->type);
}

static bool read_shape(struct walk *w, struct array *a)
{
    hsize_t dims[H5S_MAX_RANK];
    int rank = H5Sget_simple_extent_ndims(a->space);
    if (rank < 0 || H5Sget_simple_extent_dims(a->space, dims, NULL) != rank)
        return stop(w, IS_DAMAGED, 0);
    if (rank > AM_LIMIT_TENSOR_RANK)
        return stop(w, IS_RANK, (uint64_t)rank);
    a->head.kind = IS_ARRAY;
    a->head.rank = (uint32_t)rank;
    a->head.n = 1;
    for (int i = 0; i < rank; i++) {
        a->head.dims[i] = dims[i];
        if (__builtin_mul_overflow(a->head.n, dims[i], &a->head.n) || a->head.n > w->bytes_max)
            return stop(w, IS_TOO_LARGE, w->bytes_max);
    }
    a->bytes = a->head.n * (H5Tget_size(a->type) > sizeof(float) ? 8 : sizeof(float));
    if (a->bytes > w->bytes_max - w->bytes)
        return stop(w, IS_TOO_LARGE, w->bytes_max);
    return true;
}

static bool check_filters(struct walk *w, const struct array *a)
{
    int n = H5Pget_nfilters(a->how);
    for (int i = 0; i < n; i++) {
        unsigned flags, config;
        size_t n_values = 0;
        H5Z_filter_t f =
            H5Pget_filter2(a->how, (unsigned)i, &flags, &n_values, NULL, 0, NULL, &config);
        if (f != H5Z_FILTER_DEFLATE && f != H5Z_FILTER_SHUFFLE)
            return stop(w, f < 0 ? IS_DAMAGED : IS_FILTER, (uint64_t)f);
    }
    return n < 0 ? stop(w, IS_DAMAGED, 0) : true;
}

/* A chunk is unpacked whole, whatever part of it the array fills. */
static bool check_chunk(struct walk *w, const struct array *a)
{
    hsize_t dims[H5S_MAX_RANK];
    uint64_t bytes = H5Tget_size(a->type);
    int rank = H5Pget_chunk(a->how, H5S_MAX_RANK, dims);
    if (rank < 0 || (unsigned)rank != a->head.rank)
        return stop(w, IS_DAMAGED, 0);
    for (int i = 0; i < rank; i++)
        if (__builtin_mul_overflow(bytes, dims[i], &bytes))
            return stop(w, IS_DAMAGED, 0);
    return bytes <= a->bytes * 2 + WHOLE_CHUNK ? true : stop(w, IS_DAMAGED, 0);
}

/* Everything before a byte of the array is read. */
static bool check_storage(struct walk *w, const struct array *a)
{
    H5D_layout_t layout = H5Pget_layout(a->how);
    uint64_t stored, own = a->head.n * H5Tget_size(a->type);
    if (layout != H5D_COMPACT && layout != H5D_CONTIGUOUS && layout != H5D_CHUNKED)
        return stop(w, layout == H5D_VIRTUAL ? IS_ELSEWHERE : IS_DAMAGED, 0);
    if (H5Pget_external_count(a->how) != 0)
        return stop(w, IS_ELSEWHERE, 0);
    if (layout == H5D_CHUNKED && (!check_filters(w, a) || !check_chunk(w, a)))
        return false;
    stored = H5Dget_storage_size(a->data);
    if (a->head.n > 0 && (stored == 0 || (layout != H5D_CHUNKED && stored < own)))
        return stop(w, IS_DAMAGED, 0); /* it would be filled with zeros */
    return true;
}

static bool read_array(struct walk *w, struct array *a)
{
    size_t bytes;
    float *values;
    bool ok = true;
    if (!read_shape(w, a) || !check_storage(w, a))
        return false;
    w->bytes += a->bytes;
    if (a->head.n == 0)
        return put_record(w, &a->head, NULL);
    bytes = (size_t)a->head.n * sizeof *values;
    values = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (values == MAP_FAILED)
        return stop(w, IS_NO_ROOM, bytes);
    if (H5Dread(a->data, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0)
        ok = stop(w, IS_DAMAGED, 0);
    else
        ok = put_record(w, &a->head, values);
    (void)munmap(values, bytes);
    return ok;
}

static bool visit_array(struct walk *w, hid_t data)
{
    struct array a = {.data = data, .type = H5Dget_type(data), .space = H5Dget_space(data)};
    bool ok = true;
    a.how = H5Dget_create_plist(data);
    if (a.type < 0 || a.space < 0 || a.how < 0)
        ok = stop(w, IS_DAMAGED, 0);
    else if (H5Tget_class(a.type) == H5T_FLOAT && H5Tget_size(a.type) >= 2 &&
             H5Tget_size(a.type) <= 8 && H5Sget_simple_extent_type(a.space) != H5S_NULL)
        ok = read_array(w, &a);
    array_close(&a);
    return ok;
}

/* ---- the walk ---- */

static herr_t visit(hid_t group, const char *name, const H5L_info_t *link, void *ctx);

static bool visit_group(struct walk *w, hid_t group)
{
    if (w->depth >= DEPTH_MAX)
        return stop(w, IS_TOO_DEEP, 0);
    w->depth++;
    herr_t rc = H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, visit, w);
    w->depth--;
    return rc < 0 ? stop(w, IS_DAMAGED, 0) : true;
}

static bool visit_object(struct walk *w, hid_t object, const char *name)
{
    char own[NAME_BYTES] = "";
    H5I_type_t kind = H5Iget_type(object);
    if (kind == H5I_GROUP &&
        strcmp(name, "vars") != 0) /* its name is that of the group around it */
        name_of_group(object, own);
    if (!append(w->named, &w->n_named, own[0] ? own : name))
        return stop(w, IS_LONG_NAME, 0);
    return kind == H5I_GROUP     ? visit_group(w, object)
           : kind == H5I_DATASET ? visit_array(w, object)
                                 : true; /* a stored type */
}

static bool visit_link(struct walk *w, hid_t group, const char *name, const H5L_info_t *link)
{
    if (++w->n_objects > AM_LIMIT_WEIGHTS_ARRAYS)
        return stop(w, IS_TOO_MANY, 0);
    if (!append(w->path, &w->n_path, name))
        return stop(w, IS_LONG_NAME, 0);
    if (link->type != H5L_TYPE_HARD)
        return stop(w, IS_ELSEWHERE, 0);
    hid_t object = H5Oopen(group, name, H5P_DEFAULT);
    if (object < 0)
        return stop(w, IS_DAMAGED, 0);
    bool ok = visit_object(w, object, name);
    (void)H5Oclose(object);
    return ok;
}

static herr_t visit(hid_t group, const char *name, const H5L_info_t *link, void *ctx)
{
    struct walk *w = ctx;
    size_t n_path = w->n_path, n_named = w->n_named;
    if (!visit_link(w, group, name, link))
        return -1;
    w->n_path = n_path;
    w->n_named = n_named;
    return 0;
}

uint64_t most_bytes(size_t file_bytes)
{
    uint64_t most = (uint64_t)file_bytes * AM_LIMIT_ARCHIVE_RATIO;
    most = most < AM_LIMIT_ARCHIVE_RATIO_FREE ? AM_LIMIT_ARCHIVE_RATIO_FREE : most;
    return most > AM_LIMIT_TENSOR_BYTES ? AM_LIMIT_TENSOR_BYTES : most;
}

void walk_file(struct am_str file, int fd)
{
    static struct walk w;
    w = (struct walk){.fd = fd, .bytes_max = most_bytes(file.len)};
    (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* of this thread, in a thread-safe build */
    hid_t f = open_bytes(file);
    hid_t root = f < 0 ? H5I_INVALID_HID : H5Gopen2(f, "/", H5P_DEFAULT);
    if (root < 0)
        (void)stop(&w, IS_DAMAGED, 0);
    else if (visit_group(&w, root))
        (void)stop(&w, IS_END, 0);
}
