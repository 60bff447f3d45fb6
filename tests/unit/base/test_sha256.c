/* SHA-256: the answers of FIPS 180-4 and NIST, pieces of any size, reuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/alloc.h"
#include "base/sha256.h"
#include "tests/support/faults.h"
#include "tests/support/hook_crypto.h"

static void known_answers(void **state)
{
    (void)state;
    static const struct {
        const char *text, *hex;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned char h[AM_SHA256_BYTES];
        char hex[AM_SHA256_HEX];
        assert_int_equal(am_sha256(cases[i].text, strlen(cases[i].text), h, NULL), AM_OK);
        am_sha256_hex(h, hex);
        assert_string_equal(hex, cases[i].hex);
    }
    unsigned char h[AM_SHA256_BYTES];
    assert_int_equal(am_sha256(NULL, 0, h, NULL), AM_OK);
    assert_int_equal(h[0], 0xe3);
}

static void pieces_give_the_same(void **state)
{
    (void)state;
    struct am_sha256 *s;
    unsigned char h[AM_SHA256_BYTES];
    char hex[AM_SHA256_HEX], piece[997];
    memset(piece, 'a', sizeof piece);
    assert_int_equal(am_sha256_new(&s, NULL), AM_OK);
    for (int round = 0; round < 2; round++) { /* a million times 'a'; then it starts over */
        size_t left = 1000000;
        while (left) {
            size_t n = left < sizeof piece ? left : sizeof piece;
            am_sha256_add(s, piece, n);
            am_sha256_add(s, NULL, 0);
            left -= n;
        }
        am_sha256_end(s, h);
        am_sha256_hex(h, hex);
        assert_string_equal(hex,
                            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    }
    am_sha256_free(s);
    am_sha256_free(NULL);
    AM_OOM_LOOP(am_sha256_new(&s, NULL), am_sha256_free(s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(pieces_give_the_same),
    };
    if (!hook_crypto())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
