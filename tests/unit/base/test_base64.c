/* Base64: the vectors of RFC 4648, every length, and what is no base64. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/base64.h"

static const char *const plain[] = {"", "f", "fo", "foo", "foob", "fooba", "foobar"};
static const char *const coded[] = {"", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};

static void rfc_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        struct am_buf b;
        char back[16];
        size_t n = 99;
        am_buf_init(&b, 1 << 16);
        am_base64_encode(&b, plain[i], strlen(plain[i]));
        assert_true(am_str_is(am_buf_view(&b), coded[i]));
        assert_true(am_base64_decode(am_str(coded[i]), AM_BASE64_STANDARD, back, &n));
        assert_int_equal(n, strlen(plain[i]));
        assert_memory_equal(back, plain[i], n);
        am_buf_clear(&b);
    }
}

static void every_byte_in_place(void **state)
{
    (void)state;
    unsigned char bytes[256];
    struct am_buf b;
    for (size_t i = 0; i < 256; i++)
        bytes[i] = (unsigned char)i;
    for (size_t len = 0; len <= 256; len++) {
        size_t n;
        am_buf_init(&b, 1 << 16);
        am_base64_encode(&b, bytes + (256 - len), len);
        assert_true(am_base64_decode(am_buf_view(&b), AM_BASE64_STANDARD, b.ptr ? b.ptr : "", &n));
        assert_int_equal(n, len);
        assert_true(n <= am_base64_bytes(b.len));
        if (n)
            assert_memory_equal(b.ptr, bytes + (256 - len), n);
        am_buf_clear(&b);
    }
}

static void refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"Z",          "Zg",       "Zg=",      "Zg===",  "=",
                                      "====",       "Zh==",     "Zm9=",     "Zm9v\n", "Zm 9",
                                      "Zg==Zg==",   "Zm9v====", "Zm9v=AAA", "-_-_",   "Zm9v,,,,",
                                      "\303\244AA", "Z===",     "AAAA=AAA"};
    char to[16];
    size_t n;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(am_base64_decode(am_str(bad[i]), AM_BASE64_STANDARD, to, &n));
    assert_true(am_base64_decode(AM_STR("-_-_"), AM_BASE64_EITHER, to, &n));
    assert_memory_equal(to, "\xfb\xff\xbf", 3);
    assert_true(am_base64_decode(AM_STR("+/+/"), AM_BASE64_STANDARD, to, &n));
    assert_memory_equal(to, "\xfb\xff\xbf", 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rfc_vectors),
                                       cmocka_unit_test(every_byte_in_place),
                                       cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
