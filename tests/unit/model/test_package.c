/* The .aim file: every truncation, a flipped bit in every byte, parts that are damaged under right
 * checksums, signatures and their policy. Hand-made archives are in hostile.py. */
#include "fixture.h"

#include <math.h>

#include "tensor/safetensors.h"

/* The smallest model: one input, one weight. */
static void tiny(struct fixture *f, const struct am_secret_key *key, struct am_buf *out)
{
    struct am_err err;
    fixture_init(f, FIXTURE_BINARY, 1);
    fixture_shrink(f);
    f->spec.sign_with = key;
    am_buf_init(out, SIZE_MAX);
    must(am_model_to_bytes(&f->spec, out, &err));
}

static enum am_rc open_exact(const char *bytes, size_t n, struct am_err *err)
{
    struct am_model *m = NULL;
    enum am_rc rc = am_model_open_bytes((struct am_str){bytes, n}, NULL, &m, err);
    am_model_put(m);
    return rc;
}

static bool typed(enum am_rc rc)
{
    return rc == AM_ECORRUPT || rc == AM_ELIMIT || rc == AM_EUNSUPPORTED;
}

static void test_truncated(void **state)
{
    struct fixture f;
    struct am_buf b;
    struct am_err err;
    (void)state;
    tiny(&f, NULL, &b);
    must(open_exact(b.ptr, b.len, &err));
    for (size_t n = 0; n < b.len; n++) {
        char *copy = test_malloc(n + 1); /* exact, so that ASan sees one byte too many */
        memcpy(copy, b.ptr, n);
        err.message[0] = 0;
        assert_int_equal(open_exact(copy, n, &err), AM_ECORRUPT);
        assert_true(err.message[0] != 0);
        test_free(copy);
    }
    am_buf_char(&b, 0);
    assert_int_equal(open_exact(b.ptr, b.len, &err), AM_ECORRUPT);
    assert_non_null(strstr(err.message, "1 bytes follow the end"));
    am_buf_clear(&b);
    fixture_clear(&f);
}

static void test_flipped(void **state)
{
    struct fixture f;
    struct am_secret_key key;
    struct am_buf b;
    struct am_err err;
    (void)state;
    must(am_secret_key_new(&key, &err));
    tiny(&f, &key, &b);
    must(open_exact(b.ptr, b.len, &err));
    for (size_t i = 0; i < b.len; i++) {
        b.ptr[i] = (char)(b.ptr[i] ^ 1 << i % 8);
        enum am_rc rc = open_exact(b.ptr, b.len, &err);
        if (!typed(rc))
            fail_msg("bit %zu of byte %zu: %s", i % 8, i, am_rc_name(rc));
        b.ptr[i] = (char)(b.ptr[i] ^ 1 << i % 8);
    }
    must(open_exact(b.ptr, b.len, &err));
    am_buf_clear(&b);
    fixture_clear(&f);
}

/* Damage under right checksums: whoever makes a file can make its checksums. Any answer but a
 * crash, a leak or a code that blames the caller's machine. */
static void mutate_part(const struct am_package *p, enum am_package_part part, struct am_rng *r,
                        long *n_ok)
{
    struct am_package_content c = {.manifest = am_package_manifest(p)};
    struct am_str old = am_package_part(p, part);
    char *bytes = test_malloc(old.len + 1);
    struct am_buf b;
    struct am_err err;
    am_buf_init(&b, SIZE_MAX);
    for (int i = 1; i < AM_PART_SIGNATURE; i++)
        c.parts[i] = am_package_part(p, (enum am_package_part)i);
    for (size_t i = 0; i < old.len; i++) {
        memcpy(bytes, old.ptr, old.len);
        bytes[i] = (char)(bytes[i] ^ 1 << am_rng_below(r, 8));
        c.parts[part] = (struct am_str){bytes, am_rng_below(r, 8) ? old.len : i};
        am_buf_reset(&b);
        must(am_package_build(&c, &b, &err));
        enum am_rc rc = open_exact(b.ptr, b.len, &err);
        *n_ok += rc == AM_OK;
        if (rc != AM_OK && !typed(rc))
            fail_msg("%s, byte %zu: %s %s", am_package_part_name(part), i, am_rc_name(rc),
                     err.message);
    }
    am_buf_clear(&b);
    test_free(bytes);
}

static void mutate_all(struct fixture *f, struct am_buf *b)
{
    struct am_package *p;
    struct am_rng r;
    struct am_err err;
    long n_ok = 0;
    am_rng_init(&r, 5, AM_RNG_USER);
    must(am_package_open_bytes(am_buf_view(b), NULL, &p, &err));
    for (int part = 1; part < AM_PART_SIGNATURE; part++)
        if (am_package_part(p, (enum am_package_part)part).len < 20000)
            mutate_part(p, (enum am_package_part)part, &r, &n_ok);
    assert_true(n_ok > 0); /* a flip in the card changes nothing that counts */
    am_package_close(p);
    am_buf_clear(b);
    fixture_clear(f);
}

static void test_mutated_tiny(void **state)
{
    struct fixture f;
    struct am_buf b;
    (void)state;
    tiny(&f, NULL, &b);
    mutate_all(&f, &b);
}

static void test_mutated_mixed(void **state)
{
    struct fixture f;
    struct am_buf b;
    struct am_err err;
    (void)state;
    fixture_init(&f, FIXTURE_MIXED, 0);
    fixture_shrink(&f);
    am_buf_init(&b, SIZE_MAX);
    must(am_model_to_bytes(&f.spec, &b, &err));
    mutate_all(&f, &b);
}

/* ---- the manifest ---- */

static enum am_rc open_manifest(const struct am_package *p, struct am_arena *a, const char *key,
                                struct am_node *value, struct am_err *err)
{
    struct am_package_content c = {0};
    struct am_node *m = am_node_copy(a, am_package_manifest(p));
    struct am_buf b;
    enum am_rc rc;
    am_node_set(a, m, key, value);
    c.manifest = m;
    for (int i = 1; i < AM_PART_SIGNATURE; i++)
        c.parts[i] = am_package_part(p, (enum am_package_part)i);
    am_buf_init(&b, SIZE_MAX);
    assert_int_equal(am_package_build(&c, &b, err), AM_OK);
    rc = open_exact(b.ptr, b.len, err);
    am_buf_clear(&b);
    return rc;
}

static void test_manifest_lies(void **state)
{
    struct fixture f;
    struct am_package *p;
    struct am_arena *a = am_arena_new(0);
    struct am_buf b;
    struct am_err err;
    (void)state;
    tiny(&f, NULL, &b);
    must(am_package_open_bytes(am_buf_view(&b), NULL, &p, &err));
    must(open_manifest(p, a, "extra", am_new_i64(a, 1), &err));
    assert_int_equal(open_manifest(p, a, "name", am_new_cstr(a, "../x"), &err), AM_ECORRUPT);
    assert_int_equal(open_manifest(p, a, "version", am_new_i64(a, -1), &err), AM_ECORRUPT);
    assert_int_equal(open_manifest(p, a, "task", am_new_cstr(a, "regression"), &err), AM_ECORRUPT);
    assert_int_equal(open_manifest(p, a, "output", am_new_cstr(a, "value"), &err), AM_ECORRUPT);
    assert_int_equal(open_manifest(p, a, "threshold", am_new_f64(a, 2), &err), AM_ECORRUPT);
    assert_int_equal(open_manifest(p, a, "ids", am_new_i64(a, 2), &err), AM_ECORRUPT);
    assert_int_equal(open_manifest(p, a, "inputs", am_new_list(a), &err), AM_ECORRUPT);
    struct am_node *inputs = am_new_list(a), *input = am_new_map(a);
    am_node_set(a, input, "name", am_new_cstr(a, "other"));
    am_node_set(a, input, "type", am_new_cstr(a, "number"));
    am_node_push(a, inputs, input);
    assert_int_equal(open_manifest(p, a, "inputs", inputs, &err), AM_ECORRUPT);
    assert_non_null(strstr(err.message, "inputs"));
    assert_int_equal(open_manifest(p, a, "target", am_new_null(a), &err), AM_ECORRUPT);
    assert_int_equal(open_manifest(p, a, "format", am_new_cstr(a, "other"), &err), AM_ECORRUPT);
    assert_int_equal(open_manifest(p, a, "format_version", am_new_i64(a, 2), &err),
                     AM_EUNSUPPORTED);
    assert_true(err.hint[0] != 0);
    am_package_close(p);
    am_buf_clear(&b);
    am_arena_free(a);
    fixture_clear(&f);
}

/* Tensors that the graph does not know, have another shape, or are missing. */
static enum am_rc open_weights(const struct am_package *p, const struct am_st_tensor *t, size_t n,
                               struct am_err *err)
{
    struct am_package_content c = {.manifest = am_package_manifest(p)};
    struct am_buf w, b;
    enum am_rc rc;
    am_buf_init(&w, SIZE_MAX);
    am_buf_init(&b, SIZE_MAX);
    for (int i = 1; i < AM_PART_SIGNATURE; i++)
        c.parts[i] = am_package_part(p, (enum am_package_part)i);
    assert_int_equal(am_safetensors_write(t, n, NULL, AM_ST_ANY_FLOAT, &w, err), AM_OK);
    c.parts[AM_PART_WEIGHTS] = am_buf_view(&w);
    assert_int_equal(am_package_build(&c, &b, err), AM_OK);
    rc = open_exact(b.ptr, b.len, err);
    am_buf_clear(&w);
    am_buf_clear(&b);
    return rc;
}

static void test_weights_lie(void **state)
{
    struct fixture f;
    struct am_package *p;
    struct am_arena *a = am_arena_new(0);
    struct am_safetensors s;
    struct am_st_tensor t[3];
    struct am_buf b;
    struct am_err err;
    float nan = NAN;
    (void)state;
    tiny(&f, NULL, &b);
    must(am_package_open_bytes(am_buf_view(&b), NULL, &p, &err));
    must(am_safetensors_parse(a, am_package_part(p, AM_PART_WEIGHTS), AM_ST_FINITE, &s, &err));
    assert_int_equal(s.n, 2);
    t[0] = s.tensors[0];
    t[1] = s.tensors[1];
    must(open_weights(p, t, 2, &err));
    t[0] = s.tensors[1];
    t[1] = s.tensors[0];
    must(open_weights(p, t, 2, &err)); /* found by name */
    t[2] = s.tensors[0];
    t[2].name = AM_STR("more");
    assert_int_equal(open_weights(p, t, 3, &err), AM_ECORRUPT);
    assert_int_equal(open_weights(p, t, 1, &err), AM_ECORRUPT);
    t[0].name = AM_STR("other");
    assert_int_equal(open_weights(p, t, 2, &err), AM_ECORRUPT);
    t[0] = s.tensors[1];
    t[0].rank = 0;
    assert_int_equal(open_weights(p, t, 2, &err), AM_ECORRUPT);
    float two[2] = {1, 2};
    t[0] = s.tensors[1];
    t[0].dims[0] *= 2;
    t[0].data = two;
    t[0].n_bytes = sizeof two;
    assert_int_equal(open_weights(p, t, 2, &err), AM_ECORRUPT);
    assert_non_null(strstr(err.message, "type and shape"));
    t[0] = s.tensors[1];
    t[0].dtype = AM_I32;
    assert_int_equal(open_weights(p, t, 2, &err), AM_ECORRUPT);
    t[0] = s.tensors[1];
    t[0].data = &nan;
    assert_int_equal(open_weights(p, t, 2, &err), AM_ECORRUPT);
    am_package_close(p);
    am_buf_clear(&b);
    am_arena_free(a);
    fixture_clear(&f);
}

/* ---- signatures ---- */

static enum am_rc open_signed(const struct am_buf *b, const struct am_public_key *trusted, size_t n,
                              enum am_signature_policy policy, struct am_err *err)
{
    struct am_model_options o = {.package = {.trusted = trusted, .n_trusted = n, .policy = policy}};
    struct am_model *m = NULL;
    enum am_rc rc = am_model_open_bytes(am_buf_view(b), &o, &m, err);
    am_model_put(m);
    return rc;
}

static void test_signatures(void **state)
{
    struct fixture f, g;
    struct am_secret_key key, other, loaded;
    struct am_public_key pub;
    struct am_buf is, isnt;
    struct am_err err;
    char *dir = fixture_dir(), secret[4200], public[4200];
    (void)state;
    snprintf(secret, sizeof secret, "%s/secret.pem", dir);
    snprintf(public, sizeof public, "%s/public.pem", dir);
    must(am_secret_key_new(&key, &err));
    must(am_secret_key_new(&other, &err));
    must(am_secret_key_save(&key, secret, &err));
    must(am_public_key_save(&key.public_key, public, &err));
    assert_int_equal(am_secret_key_save(&key, secret, &err), AM_EEXIST);
    must(am_secret_key_load(secret, &loaded, &err));
    assert_memory_equal(&key, &loaded, sizeof key);
    must(am_public_key_load(public, &pub, &err));
    assert_memory_equal(&pub, &key.public_key, sizeof pub);
    assert_int_equal(am_public_key_load(secret, &pub, &err), AM_EINVAL);
    assert_int_equal(am_secret_key_load(public, &loaded, &err), AM_EINVAL);

    tiny(&f, &key, &is);
    tiny(&g, NULL, &isnt);
    must(open_signed(&is, NULL, 0, AM_SIGNATURE_OPTIONAL, &err));
    must(open_signed(&is, &key.public_key, 1, AM_SIGNATURE_REQUIRED, &err));
    assert_int_equal(open_signed(&is, &other.public_key, 1, AM_SIGNATURE_REQUIRED, &err), AM_EPERM);
    assert_int_equal(open_signed(&is, &other.public_key, 1, AM_SIGNATURE_OPTIONAL, &err), AM_EPERM);
    assert_int_equal(open_signed(&is, NULL, 0, AM_SIGNATURE_REQUIRED, &err), AM_EPERM);
    must(open_signed(&isnt, &key.public_key, 1, AM_SIGNATURE_OPTIONAL, &err));
    assert_int_equal(open_signed(&isnt, &key.public_key, 1, AM_SIGNATURE_REQUIRED, &err), AM_EPERM);
    am_buf_clear(&is);
    am_buf_clear(&isnt);
    fixture_clear(&g);
    fixture_clear(&f);
    fixture_dir_free(dir);
}

/* RFC 8032, section 7.1, test 2. */
static void test_rfc8032(void **state)
{
    static const unsigned char want[64] = {
        0x92, 0xa0, 0x09, 0xa9, 0xf0, 0xd4, 0xca, 0xb8, 0x72, 0x0e, 0x82, 0x0b, 0x5f,
        0x64, 0x25, 0x40, 0xa2, 0xb2, 0x7b, 0x54, 0x16, 0x50, 0x3f, 0x8f, 0xb3, 0x76,
        0x22, 0x23, 0xeb, 0xdb, 0x69, 0xda, 0x08, 0x5a, 0xc1, 0xe4, 0x3e, 0x15, 0x99,
        0x6e, 0x45, 0x8f, 0x36, 0x13, 0xd0, 0xf1, 0x1d, 0x8c, 0x38, 0x7b, 0x2e, 0xae,
        0xb4, 0x30, 0x2a, 0xee, 0xb0, 0x0d, 0x29, 0x16, 0x12, 0xbb, 0x0c, 0x00};
    struct am_secret_key k = {
        .seed = {0x4c, 0xcd, 0x08, 0x9b, 0x28, 0xff, 0x96, 0xda, 0x9d, 0xb6, 0xc3,
                 0x46, 0xec, 0x11, 0x4e, 0x0f, 0x5b, 0x8a, 0x31, 0x9f, 0x35, 0xab,
                 0xa6, 0x24, 0xda, 0x8c, 0xf6, 0xed, 0x4f, 0xb8, 0xa6, 0xfb},
        .public_key = {{0x3d, 0x40, 0x17, 0xc3, 0xe8, 0x43, 0x89, 0x5a, 0x92, 0xb7, 0x0a,
                        0xa7, 0x4d, 0x1b, 0x7e, 0xbc, 0x9c, 0x98, 0x2c, 0xcf, 0x2e, 0xc4,
                        0x96, 0x8c, 0xc0, 0xcd, 0x55, 0xf1, 0x2a, 0xf4, 0x66, 0x0c}}};
    unsigned char s[AM_SIGNATURE_BYTES];
    struct am_public_key signer;
    struct am_str message = {"\x72", 1};
    struct am_err err;
    (void)state;
    must(am_sign(&k, message, s, &err));
    assert_memory_equal(s + 40, want, sizeof want);
    must(am_sign_verify((struct am_str){(const char *)s, sizeof s}, message, &signer, &err));
    assert_memory_equal(&signer, &k.public_key, sizeof signer);
    assert_int_equal(
        am_sign_verify((struct am_str){(const char *)s, sizeof s}, AM_STR("x"), &signer, &err),
        AM_ECORRUPT);
    assert_int_equal(
        am_sign_verify((struct am_str){(const char *)s, sizeof s - 1}, message, &signer, &err),
        AM_ECORRUPT);
}

static enum am_rc keys_cycle(const char *path, struct am_err *err)
{
    struct am_secret_key k, l;
    AM_TRY(am_secret_key_new(&k, err));
    AM_TRY(am_secret_key_save(&k, path, err));
    return am_secret_key_load(path, &l, err);
}

static void test_failing_key_files(void **state)
{
    struct am_err err;
    char *dir = fixture_dir(), path[4200];
    (void)state;
    snprintf(path, sizeof path, "%s/k", dir);
    AM_IO_LOOP(keys_cycle(path, &err), must(am_fs_remove_tree(path, &err)),
               if (am_fs_exists(path)) must(am_fs_remove_tree(path, &err)));
    fixture_dir_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_truncated),         cmocka_unit_test(test_flipped),
        cmocka_unit_test(test_mutated_tiny),      cmocka_unit_test(test_mutated_mixed),
        cmocka_unit_test(test_manifest_lies),     cmocka_unit_test(test_weights_lie),
        cmocka_unit_test(test_signatures),        cmocka_unit_test(test_rfc8032),
        cmocka_unit_test(test_failing_key_files),
    };
    return cmocka_run_group_tests_name("package", tests, NULL, NULL);
}
