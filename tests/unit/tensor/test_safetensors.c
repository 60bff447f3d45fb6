/* safetensors: what numpy's bytes say, what we write, and everything that must be refused. The
 * golden file's bytes are made by the reference library's rules in tests/golden/tensor_files.py. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "tensor/safetensors.h"
#include "tests/support/faults.h"

/* A file from a header and n data bytes (0, 1, 2, ..). */
static void make(struct am_buf *b, const char *header, size_t n)
{
    uint64_t len = strlen(header);
    am_buf_reset(b);
    am_buf_add(b, &len, 8);
    am_buf_cstr(b, header);
    for (size_t i = 0; i < n; i++)
        am_buf_char(b, (char)i);
}

static enum am_rc parse(const char *p, size_t n, struct am_err *err)
{
    struct am_arena *a = am_arena_new(0);
    struct am_safetensors s;
    enum am_rc rc = a ? am_safetensors_parse(a, (struct am_str){p, n}, AM_ST_FINITE, &s, err)
                      : am_fail_nomem(err, 1);
    am_arena_free(a);
    return rc;
}

#define E(name, dtype, shape, b, e)                                                                \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"data_offsets\":[" #b "," #e "]" \
    "}"

static const struct {
    enum am_rc want;
    size_t n;
    const char *header;
} cases[] = {
    {AM_OK, 0, "{}"},
    {AM_OK, 0, "{}      "},
    {AM_OK, 4, "{" E("a", "F32", "1", 0, 4) "}"},
    {AM_OK, 4, "{" E("a", "F32", "", 0, 4) "}"}, /* a single number */
    {AM_OK, 0, "{" E("a", "F32", "0,9", 0, 0) "}"},
    {AM_OK, 8, "{" E("b", "U8", "4", 4, 8) "," E("a", "F32", "1", 0, 4) "}"}, /* any order */
    {AM_OK, 4, "{\"__metadata__\":{\"k\":\"v\"}," E("a", "I32", "1", 0, 4) "}"},
    {AM_OK, 1, "{" E("__pad.0", "U8", "1", 0, 1) "}"},
    {AM_ECORRUPT, 0, ""},
    {AM_ECORRUPT, 0, " {}"},
    {AM_ECORRUPT, 0, "{"},
    {AM_ECORRUPT, 0, "[]"},
    {AM_ECORRUPT, 0, "{}{}"},
    {AM_ECORRUPT, 8, "{" E("a", "F32", "1", 0, 4) "," E("a", "F32", "1", 4, 8) "}"}, /* twice */
    {AM_ECORRUPT, 5, "{" E("a", "F32", "1", 0, 4) "}"}, /* bytes behind */
    {AM_ECORRUPT, 3, "{" E("a", "F32", "1", 0, 4) "}"}, /* past the end */
    {AM_ECORRUPT, 8, "{" E("a", "F32", "1", 4, 8) "}"}, /* hole in front */
    {AM_ECORRUPT, 9, "{" E("a", "F32", "1", 0, 4) "," E("b", "F32", "1", 5, 9) "}"}, /* hole */
    {AM_ECORRUPT, 6, "{" E("a", "F32", "1", 0, 4) "," E("b", "F32", "1", 2, 6) "}"}, /* overlap */
    {AM_ECORRUPT, 4,
     "{" E("a", "F32", "1", 0, 4) "," E("b", "F32", "1", 0, 4) "}"}, /* the same bytes */
    {AM_ECORRUPT, 4, "{" E("a", "F32", "2", 0, 4) "}"},
    {AM_ECORRUPT, 4, "{" E("a", "F32", "1", 4, 0) "}"},
    {AM_ECORRUPT, 4, "{" E("a", "F32", "1", -4, 0) "}"},
    {AM_ECORRUPT, 4, "{" E("a", "F32", "-1", 0, 4) "}"},
    {AM_ECORRUPT, 4, "{" E("a", "F32", "1.0", 0, 4) "}"},
    {AM_ECORRUPT, 4, "{" E("a", "F32", "1", 0, 4.0) "}"},
    {AM_ECORRUPT, 4, "{" E("a", "F32", "\"1\"", 0, 4) "}"},
    {AM_ELIMIT, 0, "{" E("a", "F32", "4611686018427387904,4", 0, 0) "}"},  /* 2^62 * 4 wraps to 0 */
    {AM_ELIMIT, 0, "{" E("a", "F32", "4398046511105,4194304", 0, 0) "}"},  /* (2^42 + 1) * 2^22 */
    {AM_ELIMIT, 0, "{" E("a", "F32", "0,4611686018427387904", 0, 0) "}"},  /* a 0 hides nothing */
    {AM_ELIMIT, 4, "{" E("a", "F32", "1,1,1,1,1,1,1,1,1", 0, 4) "}"},      /* rank 9 */
    {AM_ECORRUPT, 4, "{" E("a", "F32", "18446744073709551616", 0, 4) "}"}, /* no int64 */
    {AM_EUNSUPPORTED, 4, "{" E("a", "F8_E4M3", "4", 0, 4) "}"},
    {AM_EUNSUPPORTED, 4, "{" E("a", "f32", "1", 0, 4) "}"},
    {AM_ECORRUPT, 4, "{" E("", "F32", "1", 0, 4) "}"},
    {AM_ECORRUPT, 4, "{" E("a\\u0000b", "F32", "1", 0, 4) "}"},
    {AM_ECORRUPT, 4, "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}"},
    {AM_ECORRUPT, 4, "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":1}}"},
    {AM_ECORRUPT, 4, "{\"a\":{\"dtype\":1,\"shape\":[1],\"data_offsets\":[0,4]}}"},
    {AM_ECORRUPT, 4, "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,2,4]}}"},
    {AM_ECORRUPT, 4, "{\"a\":[]}"},
    {AM_ECORRUPT, 0, "{\"__metadata__\":{\"k\":1}}"},
    {AM_ECORRUPT, 0, "{\"__metadata__\":[]}"},
    {AM_ECORRUPT, 4, "{" E("a", "BOOL", "4", 0, 4) "}"}, /* bytes 2 and 3 */
    {AM_OK, 2, "{" E("a", "BOOL", "2", 0, 2) "}"},
    {AM_ECORRUPT, 4, "{" E("__pad.0", "U8", "4", 0, 4) "}"}, /* not zero */
    {AM_ECORRUPT, 4, "{" E("__pad.0", "F32", "1", 0, 4) "}"},
};

static void test_cases(void **state)
{
    struct am_buf b;
    struct am_err err;
    (void)state;
    am_buf_init(&b, 1 << 20);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        make(&b, cases[i].header, cases[i].n);
        enum am_rc rc = parse(b.ptr, b.len, &err);
        if (rc != cases[i].want)
            fail_msg("case %zu %s: %s, %s wanted (%s)", i, cases[i].header, am_rc_name(rc),
                     am_rc_name(cases[i].want), rc ? err.message : "");
    }
    am_buf_clear(&b);
}

static void test_sizes(void **state)
{
    uint64_t n = UINT64_MAX;
    char big[64] = {0};
    struct am_err err;
    (void)state;
    memcpy(big, &n, 8);
    assert_int_equal(parse(big, 64, &err), AM_ELIMIT);
    n = 57;
    memcpy(big, &n, 8);
    assert_int_equal(parse(big, 64, &err), AM_ECORRUPT);
    assert_int_equal(parse(big, 7, &err), AM_ECORRUPT);
    assert_int_equal(parse("", 0, &err), AM_ECORRUPT);
}

/* Three tensors, one of 5 bytes, so that padding is needed. */
static const float weights[6] = {1, -2, 3.5f, 0, 1e-30f, 6};
static const double scalar = -0.125;
static const unsigned char bytes[5] = {1, 2, 3, 4, 5};

static enum am_rc write_three(struct am_buf *out, struct am_err *err)
{
    struct am_st_tensor t[3] = {
        {AM_STR("fc1.weight"), AM_F32, 2, {2, 3}, weights, sizeof weights},
        {AM_STR("a \"quoted\" name"), AM_U8, 1, {5}, bytes, sizeof bytes},
        {AM_STR("scalar"), AM_F64, 0, {0}, &scalar, sizeof scalar},
    };
    struct am_arena *a = am_arena_new(0);
    struct am_node *meta;
    enum am_rc rc;
    if (!a)
        return am_fail_nomem(err, 1);
    meta = am_new_map(a);
    am_node_set(a, meta, "format", am_new_cstr(a, "pt"));
    AM_GO(rc, am_arena_check(a, err));
    rc = am_safetensors_write(t, 3, meta, AM_ST_FINITE, out, err);
out:
    am_arena_free(a);
    return rc;
}

static void check_three(const struct am_safetensors *s)
{
    const struct am_st_tensor *t = am_safetensors_find(s, AM_STR("fc1.weight"));
    assert_int_equal(s->n, 3);
    assert_non_null(t);
    assert_int_equal(t->rank, 2);
    assert_int_equal(t->dims[0], 2);
    assert_int_equal(t->dims[1], 3);
    assert_memory_equal(t->data, weights, sizeof weights);
    t = am_safetensors_find(s, AM_STR("a \"quoted\" name"));
    assert_memory_equal(t->data, bytes, sizeof bytes);
    t = am_safetensors_find(s, AM_STR("scalar"));
    assert_int_equal(t->rank, 0);
    assert_memory_equal(t->data, &scalar, sizeof scalar);
    assert_null(am_safetensors_find(s, AM_STR("none")));
    assert_null(am_safetensors_find(s, AM_STR("__pad.0")));
    assert_true(am_str_is(am_node_str(s->metadata, "format", ""), "pt"));
}

static void test_round_trip(void **state)
{
    struct am_arena *a = am_arena_new(0);
    struct am_safetensors s;
    struct am_buf b;
    struct am_err err;
    (void)state;
    am_buf_init(&b, 1 << 20);
    assert_int_equal(write_three(&b, &err), AM_OK);
    assert_int_equal(am_safetensors_parse(a, am_buf_view(&b), AM_ST_FINITE, &s, &err), AM_OK);
    check_three(&s);
    for (size_t i = 0; i < s.n; i++) /* aligned in the file */
        assert_int_equal(((const char *)s.tensors[i].data - b.ptr) % AM_SAFETENSORS_ALIGN, 0);
    assert_non_null(memmem(b.ptr, b.len, "__pad.1", 7));
    am_buf_clear(&b);
    am_arena_free(a);
}

/* Bytes that tests/golden/tensor_files.py wrote by the format's own rules: header in numpy order,
 * no padding. */
static void test_foreign(void **state)
{
    struct am_arena *a = am_arena_new(0);
    struct am_safetensors s;
    struct am_buf b;
    struct am_err err;
    (void)state;
    am_buf_init(&b, 1 << 20);
    assert_int_equal(am_fs_read_file(AM_TEST_FILES "/foreign.safetensors", &b, &err), AM_OK);
    assert_int_equal(am_safetensors_parse(a, am_buf_view(&b), AM_ST_ANY_FLOAT, &s, &err), AM_OK);
    check_three(&s);
    am_buf_clear(&b);
    am_arena_free(a);
}

static void test_truncated_and_flipped(void **state)
{
    struct am_buf b;
    struct am_err err;
    uint64_t n_header;
    (void)state;
    am_buf_init(&b, 1 << 20);
    assert_int_equal(write_three(&b, &err), AM_OK);
    for (size_t n = 0; n < b.len; n++) {
        char *copy = test_malloc(n + 1);
        memcpy(copy, b.ptr, n);
        assert_int_not_equal(parse(copy, n, &err), AM_OK);
        test_free(copy);
    }
    memcpy(&n_header, b.ptr, 8);
    for (size_t i = 0; i < 8 * b.len;
         i++) { /* any answer, no crash; the sizes have no second meaning */
        b.ptr[i / 8] = (char)(b.ptr[i / 8] ^ 1 << i % 8);
        enum am_rc rc = parse(b.ptr, b.len, &err);
        if (i < 64)
            assert_int_not_equal(rc, AM_OK);
        b.ptr[i / 8] = (char)(b.ptr[i / 8] ^ 1 << i % 8);
    }
    am_buf_clear(&b);
}

static void test_not_finite(void **state)
{
    static const uint16_t half[2] = {0x3c00, 0xfc00}, brain[2] = {0x3f80, 0x7fc1};
    static const float f32[2] = {1, (float)INFINITY};
    static const double f64[2] = {1, (double)NAN};
    static const struct am_st_tensor tensors[] = {
        {AM_STR_INIT("t"), AM_F32, 1, {2}, f32, sizeof f32},
        {AM_STR_INIT("t"), AM_F64, 1, {2}, f64, sizeof f64},
        {AM_STR_INIT("t"), AM_F16, 1, {2}, half, sizeof half},
        {AM_STR_INIT("t"), AM_BF16, 1, {2}, brain, sizeof brain},
    };
    struct am_arena *a = am_arena_new(0);
    struct am_safetensors s;
    struct am_buf b;
    struct am_err err;
    (void)state;
    am_buf_init(&b, 1 << 20);
    for (int i = 0; i < 4; i++) {
        am_buf_reset(&b);
        assert_int_equal(am_safetensors_write(&tensors[i], 1, NULL, AM_ST_FINITE, &b, &err),
                         AM_EINVAL);
        am_buf_reset(&b);
        assert_int_equal(am_safetensors_write(&tensors[i], 1, NULL, AM_ST_ANY_FLOAT, &b, &err),
                         AM_OK);
        assert_int_equal(am_safetensors_parse(a, am_buf_view(&b), AM_ST_FINITE, &s, &err),
                         AM_ECORRUPT);
        assert_non_null(strstr(err.message, "element 1"));
        assert_int_equal(am_safetensors_parse(a, am_buf_view(&b), AM_ST_ANY_FLOAT, &s, &err),
                         AM_OK);
    }
    am_buf_clear(&b);
    am_arena_free(a);
}

static void test_write_refuses(void **state)
{
    struct am_st_tensor t[2] = {{AM_STR_INIT("a"), AM_U8, 1, {5}, bytes, 5},
                                {AM_STR_INIT("a"), AM_U8, 1, {5}, bytes, 5}};
    struct am_buf b;
    struct am_err err;
    (void)state;
    am_buf_init(&b, 1 << 20);
    assert_int_equal(am_safetensors_write(t, 2, NULL, AM_ST_FINITE, &b, &err), AM_EINVAL);
    t[0].name = AM_STR("__pad.7");
    assert_int_equal(am_safetensors_write(t, 1, NULL, AM_ST_FINITE, &b, &err), AM_EINVAL);
    t[0].name = AM_STR("\xff");
    assert_int_equal(am_safetensors_write(t, 1, NULL, AM_ST_FINITE, &b, &err), AM_EINVAL);
    t[0].name = AM_STR("b");
    t[0].dims[0] = 6;
    assert_int_equal(am_safetensors_write(t, 1, NULL, AM_ST_FINITE, &b, &err), AM_EINVAL);
    t[0].dims[0] = UINT64_MAX;
    assert_int_equal(am_safetensors_write(t, 1, NULL, AM_ST_FINITE, &b, &err), AM_EINVAL);
    assert_int_equal(b.len, 0);
    t[0].dims[0] = 5;
    b.max = 60; /* the buffer's own maximum */
    assert_int_equal(am_safetensors_write(t, 1, NULL, AM_ST_FINITE, &b, &err), AM_ELIMIT);
    am_buf_clear(&b);
}

static enum am_rc write_and_parse(struct am_err *err)
{
    struct am_buf b;
    enum am_rc rc;
    am_buf_init(&b, 1 << 20);
    rc = write_three(&b, err);
    if (rc == AM_OK)
        rc = parse(b.ptr, b.len, err);
    am_buf_clear(&b);
    return rc;
}

static void test_out_of_memory(void **state)
{
    struct am_err err;
    (void)state;
    AM_OOM_LOOP(write_and_parse(&err), (void)0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),         cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_not_finite),    cmocka_unit_test(test_truncated_and_flipped),
        cmocka_unit_test(test_write_refuses), cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests_name("safetensors", tests, NULL, NULL);
}
