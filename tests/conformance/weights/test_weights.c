/* The conformance suite of the port for weights in HDF5 files (struct am_weights_ops of
 * tensor/weights.h): every driver must pass it. Run with the module's name as argument; today there
 * is one, weights-hdf5. The files were made by tests/golden/keras_weights.py. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/limits.h"
#include "platform/modules.h"
#include "tensor/ports_abi.h"
#include "tests/conformance/driver.h"

static const char *driver;
static const struct am_weights_ops *ops;
static struct am_err err;

static int setup(void **state)
{
    (void)state;
    ops = open_driver(driver, sizeof *ops);
    if (!ops)
        return -1;
    return ops->start(am_host_table(), &err) == AM_OK ? 0 : -1;
}

/* What a walk gives: its paths, and the values of all arrays in one row. */
struct seen {
    char text[16384];
    size_t n_arrays, n_values, fail_at;
    float values[65536];
    uint64_t dims[2];
};

static enum am_rc see(void *ctx, const struct am_weights_array *a, float **values, struct am_err *e)
{
    struct seen *s = ctx;
    size_t at = strlen(s->text);
    if (s->fail_at && s->n_arrays + 1 == s->fail_at)
        return am_fail(e, AM_EGATE, "the sink has enough");
    s->n_arrays++;
    snprintf(s->text + at, sizeof s->text - at, "%.*s=%.*s;", AM_FMT(a->path), AM_FMT(a->named));
    s->dims[0] = a->rank > 0 ? a->dims[0] : 0;
    s->dims[1] = a->rank > 1 ? a->dims[1] : 0;
    if (a->n > sizeof s->values / sizeof *s->values - s->n_values)
        return am_fail(e, AM_ELIMIT, "too much for this test");
    *values = s->values + s->n_values;
    s->n_values += a->n;
    return AM_OK;
}

static struct seen seen;
static enum am_rc walk(struct am_str bytes)
{
    const struct am_weights_sink sink = {&seen, see};
    size_t fail_at = seen.fail_at;
    memset(&seen, 0, sizeof seen);
    seen.fail_at = fail_at;
    am_err_clear(&err);
    return ops->read(bytes, &sink, &err);
}

static void test_walk(void **state)
{
    (void)state;
    struct am_buf b = file_of(KERAS, "recurrent.weights.h5");
    if (walk(am_buf_view(&b)) != AM_OK)
        fail_msg("%s", err.message);
    assert_non_null(strstr(seen.text, "layers/conv1d/vars/0=layers/c/vars/0;"));
    assert_non_null(strstr(seen.text, "layers/bidirectional/forward_layer/cell/vars/2=layers/both/"
                                      "forward_lstm/lstm_cell/vars/2;"));
    assert_null(strstr(seen.text, "seed"));
    assert_in_range(seen.n_arrays, 20, 40);
    am_buf_clear(&b);
    b = file_of(FILES, "packed.h5");
    assert_int_equal(walk(am_buf_view(&b)), AM_OK);
    /* in order of the names: bias in half precision, then the kernel; integers are passed over */
    assert_string_equal(seen.text, "d/d/bias:0=d/d/bias:0;d/d/kernel:0=d/d/kernel:0;");
    assert_int_equal(seen.n_values, 2050);
    assert_true(seen.dims[0] == 40 && seen.dims[1] == 50);
    for (size_t i = 0; i < 50; i++)
        assert_true(seen.values[i] == 1);
    for (size_t i = 0; i < 2000; i++)
        assert_true(seen.values[50 + i] == (float)i);
    seen.fail_at = 2;
    assert_int_equal(walk(am_buf_view(&b)), AM_EGATE);
    assert_string_equal(err.message, "the sink has enough");
    seen.fail_at = 0;
    am_buf_clear(&b);
    assert_non_null(strstr(ops->version(), "HDF5 1."));
}

static const struct {
    const char *name;
    enum am_rc rc;
    const char *why;
} bad[] = {
    {"bad_external_link.h5", AM_EUNSUPPORTED, "leads elsewhere"},
    {"bad_soft_link.h5", AM_EUNSUPPORTED, "leads elsewhere"},
    {"bad_external_data.h5", AM_EUNSUPPORTED, "leads elsewhere"},
    {"bad_virtual.h5", AM_EUNSUPPORTED, "leads elsewhere"},
    {"bad_filter.h5", AM_EUNSUPPORTED, "filter 32000"},
    {"bad_huge.h5", AM_ELIMIT, "claim more than"},
    {"bad_sparse.h5", AM_ECORRUPT, "damaged"},
    {"bad_chunk.h5", AM_ECORRUPT, "damaged"},
    {"bad_circle.h5", AM_ELIMIT, "deep"},
    {"bad_deep.h5", AM_ELIMIT, "deep"},
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct am_buf b = file_of(FILES, bad[i].name);
        enum am_rc rc = walk(am_buf_view(&b));
        if (rc != bad[i].rc || !strstr(err.message, bad[i].why))
            fail_msg("%s: \"%s\" wanted, got %d: %s", bad[i].name, bad[i].why, (int)rc,
                     rc == AM_OK ? "read" : err.message);
        am_buf_clear(&b);
    }
    assert_int_equal(walk(AM_STR("\x89HDF\r\n\x1a\n and nothing else")), AM_ECORRUPT);
    assert_int_equal(walk((struct am_str){"", 0}), AM_ECORRUPT);
}

/* Cut at many places: an error each time. */
static void test_truncated(void **state)
{
    (void)state;
    struct am_buf b = file_of(KERAS, "cnn.weights.h5");
    for (size_t n = 0; n < b.len; n += n < 256 ? 5 : 211) {
        /* of its own size, so that ASan sees a read behind it */
        char *copy = am_alloc(n ? n : 1);
        assert_non_null(copy);
        memcpy(copy, b.ptr, n);
        enum am_rc rc = walk((struct am_str){copy, n});
        am_free(copy);
        if (rc == AM_OK)
            fail_msg("cut at %zu of %zu is read", n, b.len);
    }
    am_buf_clear(&b);
}

/* Single bytes changed: any verdict, no harm, and the same bytes as before afterwards. */
static void test_damaged(void **state)
{
    (void)state;
    static const char *const names[] = {"cnn.weights.h5", "cnn_keras2.h5"};
    for (size_t k = 0; k < 2; k++) {
        struct am_buf b = file_of(KERAS, names[k]);
        for (size_t n = 0; n < b.len && n < 12000; n += n < 512 ? 1 : 13) {
            char old = b.ptr[n];
            b.ptr[n] = (char)(old ^ (n % 2 ? 0xFF : 0x10));
            enum am_rc rc = walk(am_buf_view(&b));
            assert_true(rc == AM_OK || rc == AM_ECORRUPT || rc == AM_ELIMIT ||
                        rc == AM_EUNSUPPORTED);
            b.ptr[n] = old;
        }
        assert_int_equal(walk(am_buf_view(&b)), AM_OK);
        am_buf_clear(&b);
    }
}

/* The program's own way to it: nothing is opened before the first file, then it is kept. */
static void test_loader(void **state)
{
    (void)state;
    const struct am_weights_sink sink = {&seen, see};
    struct am_buf b = file_of(FILES, "packed.h5");
    memset(&seen, 0, sizeof seen);
    assert_int_equal(am_weights_walk(am_buf_view(&b), &sink, &err), AM_EMISSING);
    assert_non_null(strstr(err.hint, "libhdf5"));
    am_modules_set_weights(NULL);
    assert_int_equal(am_weights_walk(AM_STR("not HDF5"), &sink, &err), AM_EINVAL);
    assert_int_equal(am_weights_walk(am_buf_view(&b), &sink, &err), AM_OK);
    assert_int_equal(seen.n_arrays, 2);
    am_weights_set_loader(NULL);
    am_buf_clear(&b);
}

int main(int argc, char **argv)
{
    driver = argc > 1 ? argv[1] : "weights-hdf5";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_walk),      cmocka_unit_test(test_refused),
        cmocka_unit_test(test_truncated), cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_loader),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
