/* .npy: numpy's own files, our bytes against numpy's, and everything that must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "tensor/npy.h"
#include "tests/support/faults.h"

static void read_file(const char *name, struct am_buf *b)
{
    char path[4096];
    struct am_err err;
    am_buf_init(b, 1 << 20);
    snprintf(path, sizeof path, "%s/%s", AM_TEST_FILES, name);
    if (am_fs_read_file(path, b, &err) != AM_OK)
        fail_msg("%s: %s", path, err.message);
}

static const struct {
    const char *name;
    enum am_dtype dtype;
    unsigned rank;
    uint64_t dims[3];
    size_t n_bytes;
} files[] = {
    {"f32_2x3.npy", AM_F32, 2, {2, 3}, 24},     {"f64_5.npy", AM_F64, 1, {5}, 40},
    {"i64_scalar.npy", AM_I64, 0, {0}, 8},      {"f32_empty.npy", AM_F32, 3, {2, 0, 4}, 0},
    {"f64_5_version2.npy", AM_F64, 1, {5}, 40},
};

/* Read what numpy wrote; write it again: the same bytes (version 1). */
static void test_numpy(void **state)
{
    struct am_err err;
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct am_buf in, out;
        struct am_npy a;
        read_file(files[i].name, &in);
        am_buf_init(&out, 1 << 20);
        if (am_npy_parse(am_buf_view(&in), &a, &err) != AM_OK)
            fail_msg("%s: %s", files[i].name, err.message);
        assert_int_equal(a.dtype, files[i].dtype);
        assert_int_equal(a.rank, files[i].rank);
        for (unsigned d = 0; d < a.rank; d++)
            assert_int_equal(a.dims[d], files[i].dims[d]);
        assert_int_equal(a.n_bytes, files[i].n_bytes);
        for (size_t e = 0; e * 4 < a.n_bytes && a.dtype == AM_F32; e++) {
            float v;
            memcpy(&v, (const char *)a.data + 4 * e, 4);
            assert_true(v == (float)e * 0.5f - 1);
        }
        assert_int_equal(am_npy_write(&a, &out, &err), AM_OK);
        if (in.ptr[6] == 1) {
            assert_int_equal(in.len, out.len);
            assert_memory_equal(in.ptr, out.ptr, in.len);
        }
        am_buf_clear(&in);
        am_buf_clear(&out);
    }
}

static void test_numpy_refused(void **state)
{
    static const char *const names[] = {"fortran.npy", "big_endian.npy", "objects.npy",
                                        "records.npy", "f16.npy",        "version3.npy"};
    struct am_err err;
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct am_buf in;
        struct am_npy a;
        read_file(names[i], &in);
        enum am_rc rc = am_npy_parse(am_buf_view(&in), &a, &err);
        if (rc != AM_EUNSUPPORTED)
            fail_msg("%s: %s", names[i], am_rc_name(rc));
        am_buf_clear(&in);
    }
}

static enum am_rc parse_header(const char *header, size_t n_data, struct am_npy *a,
                               struct am_err *err)
{
    struct am_buf b;
    size_t n = strlen(header);
    enum am_rc rc;
    am_buf_init(&b, 1 << 20);
    am_buf_add(&b, "\x93NUMPY\x01\x00", 8);
    am_buf_char(&b, (char)(n & 255));
    am_buf_char(&b, (char)(n >> 8));
    am_buf_cstr(&b, header);
    for (size_t i = 0; i < n_data; i++)
        am_buf_char(&b, 0);
    rc = am_npy_parse(am_buf_view(&b), a, err);
    am_buf_clear(&b);
    return rc;
}

static void test_headers(void **state)
{
    static const struct {
        enum am_rc want;
        size_t n;
        const char *header;
    } cases[] = {
        {AM_OK, 8, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n"},
        {AM_OK, 8, "{'shape':(2,1),'fortran_order':False,'descr':'<f4'}"},
        {AM_OK, 8, "{\"shape\":(2,1),\"fortran_order\":False,\"descr\":\"<f4\"}"},
        {AM_OK, 4, "{'descr': '<f4', 'fortran_order': False, 'shape': (), }\n"},
        {AM_ECORRUPT, 8, "{'descr': '<f4', 'fortran_order': False, 'shape': (2), }\n"},
        {AM_ECORRUPT, 7, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n"},
        {AM_ECORRUPT, 9, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n"},
        {AM_ECORRUPT, 8, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), } x\n"},
        {AM_ECORRUPT, 8, "{'descr': '<f4', 'fortran_order': False}\n"},
        {AM_ECORRUPT, 8,
         "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n"},
        {AM_ECORRUPT, 8, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}\n"},
        {AM_ECORRUPT, 8, "{'descr': '<f4' 'fortran_order': False, 'shape': (2,), }\n"},
        {AM_ECORRUPT, 8, "{'descr': '<f4', 'fortran_order': False, 'shape': (1 2), }\n"},
        {AM_ECORRUPT, 8, "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,), }\n"},
        {AM_ECORRUPT, 8, "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }\n"},
        {AM_ECORRUPT, 8, "{'descr': '<f4', 'fortran_order': False, 'shape': __import__('os'), }\n"},
        {AM_ECORRUPT, 8, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,"},
        {AM_ECORRUPT, 8, "{'descr': '<f4"},
        {AM_ECORRUPT, 8, "[]"},
        {AM_ECORRUPT, 8, ""},
        {AM_ELIMIT, 0,
         "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }"},
        {AM_ELIMIT, 0,
         "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4611686018427387904), }"},
        {AM_ELIMIT, 0, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }"},
        {AM_ECORRUPT, 0,
         "{'descr': '<f4', 'fortran_order': False, 'shape': (18446744073709551616,), }"},
    };
    struct am_npy a;
    struct am_err err;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum am_rc rc = parse_header(cases[i].header, cases[i].n, &a, &err);
        if (rc != cases[i].want)
            fail_msg("case %zu %s: %s (%s)", i, cases[i].header, am_rc_name(rc),
                     rc ? err.message : "");
    }
}

static void test_truncated_and_flipped(void **state)
{
    struct am_buf in;
    struct am_npy a;
    struct am_err err;
    (void)state;
    read_file("f64_5.npy", &in);
    for (size_t n = 0; n < in.len; n++) {
        char *copy = test_malloc(n + 1);
        memcpy(copy, in.ptr, n);
        assert_int_not_equal(am_npy_parse((struct am_str){copy, n}, &a, &err), AM_OK);
        test_free(copy);
    }
    for (size_t i = 0; i < 8 * in.len; i++) {
        in.ptr[i / 8] = (char)(in.ptr[i / 8] ^ 1 << i % 8);
        enum am_rc rc = am_npy_parse(am_buf_view(&in), &a, &err);
        if (i < 64)
            assert_int_not_equal(rc, AM_OK);
        in.ptr[i / 8] = (char)(in.ptr[i / 8] ^ 1 << i % 8);
    }
    am_buf_clear(&in);
}

static void test_write_refuses(void **state)
{
    double v[2] = {1, 2};
    struct am_npy a = {.dtype = AM_F64, .rank = 1, .dims = {2}, .data = v, .n_bytes = sizeof v};
    struct am_buf b;
    struct am_err err;
    (void)state;
    am_buf_init(&b, 1 << 20);
    a.dims[0] = 3;
    assert_int_equal(am_npy_write(&a, &b, &err), AM_EINVAL);
    a.dims[0] = UINT64_MAX;
    assert_int_equal(am_npy_write(&a, &b, &err), AM_EINVAL);
    a.dims[0] = 2;
    a.dtype = AM_U8;
    assert_int_equal(am_npy_write(&a, &b, &err), AM_EINVAL);
    assert_int_equal(b.len, 0);
    a.dtype = AM_F64;
    b.max = 64;
    assert_int_equal(am_npy_write(&a, &b, &err), AM_ELIMIT);
    am_buf_clear(&b);
}

static enum am_rc write_once(struct am_err *err)
{
    double v[2] = {1, 2};
    struct am_npy a = {.dtype = AM_F64, .rank = 1, .dims = {2}, .data = v, .n_bytes = sizeof v};
    struct am_buf b;
    enum am_rc rc;
    am_buf_init(&b, 1 << 20);
    rc = am_npy_write(&a, &b, err);
    if (rc == AM_OK)
        rc = am_npy_parse(am_buf_view(&b), &a, err);
    am_buf_clear(&b);
    return rc;
}

static void test_out_of_memory(void **state)
{
    struct am_err err;
    (void)state;
    AM_OOM_LOOP(write_once(&err), (void)0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numpy),         cmocka_unit_test(test_numpy_refused),
        cmocka_unit_test(test_headers),       cmocka_unit_test(test_truncated_and_flipped),
        cmocka_unit_test(test_write_refuses), cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests_name("npy", tests, NULL, NULL);
}
