/* Keys and signatures: WORKSPACE/keys holds NAME.pem (secret, mode 0600) and NAME.pub (public,
 * PEM).
 *
 * Every public key there is pinned: packages signed by it are accepted, and once there is one,
 * packages signed by any other key are refused at import. Signing gives a registered version a
 * package of the same parts with one entry more; nothing else about the version changes. Not here:
 * the format (model/sign.h), the check of a package (model/package.h). One thread. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "model/package.h"
#include "platform/platform_int.h"

#define KEYS_MAX 256

/* WORKSPACE/keys/NAMEsuffix */
static enum am_rc key_path(struct am_platform *p, struct am_arena *a, const char *name,
                           const char *suffix, const char **out, struct am_err *err)
{
    struct am_registry *r;
    if (!am_name_valid(am_str(name))) {
        am_fail(err, AM_EUSAGE, "\"%.160s\" is not a name of a key", name);
        am_hint(err, "Use 1 to 128 letters, digits, dots, dashes and underscores, not starting "
                     "with a dot or dash.");
        return AM_EUSAGE;
    }
    AM_TRY(am_platform_registry(p, &r, err));
    const char *dir = am_arena_printf(a, "%s/keys", am_registry_dir(r)).ptr;
    *out = am_arena_printf(a, "%s/keys/%s%s", am_registry_dir(r), name, suffix).ptr;
    AM_TRY(am_arena_check(a, err));
    AM_TRY(am_fs_mkdirs(dir, err));
    if (chmod(dir, 0700) != 0)
        return am_fail_errno(err, errno, "cannot protect \"%s\"", dir);
    return AM_OK;
}

static const char *key_hex(struct am_arena *a, const struct am_public_key *k)
{
    char hex[65];
    for (size_t i = 0; i < 32; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", k->bytes[i]);
    return am_arena_printf(a, "%s", hex).ptr;
}

static struct am_node *key_node(struct am_arena *a, const char *name, const struct am_public_key *k,
                                const char *public_path, const char *secret_path)
{
    struct am_node *m = am_new_map(a);
    am_node_set(a, m, "name", am_new_cstr(a, name));
    am_node_set(a, m, "key", am_new_cstr(a, key_hex(a, k)));
    am_node_set(a, m, "signs", am_new_bool(a, am_fs_exists(secret_path)));
    am_node_set(a, m, "public", am_new_cstr(a, public_path));
    return m;
}

enum am_rc am_platform_key_new(struct am_platform *p, struct am_arena *a, const char *name,
                               struct am_node **out, struct am_err *err)
{
    struct am_secret_key k;
    const char *secret, *public;
    AM_TRY(key_path(p, a, name, ".pem", &secret, err));
    AM_TRY(key_path(p, a, name, ".pub", &public, err));
    if (am_fs_exists(secret) || am_fs_exists(public)) {
        am_fail(err, AM_EEXIST, "there is a key \"%s\" already", name);
        am_hint(err, "Choose another name, or remove it: aimass key rm %s", name);
        return AM_EEXIST;
    }
    AM_TRY(am_secret_key_new(&k, err));
    enum am_rc rc = am_secret_key_save(&k, secret, err);
    if (rc == AM_OK) {
        rc = am_public_key_save(&k.public_key, public, err);
        if (rc != AM_OK)
            (void)am_fs()->unlink(secret);
    }
    if (rc == AM_OK) {
        *out = key_node(a, name, &k.public_key, public, secret);
        am_node_set(a, *out, "secret", am_new_cstr(a, secret));
        rc = am_arena_check(a, err);
    }
    am_secret_key_clear(&k);
    return rc;
}

/* ---- the pinned keys ---- */

struct pinned {
    struct am_platform *p;
    struct am_arena *a;
    struct am_public_key *keys; /* [n] in the arena */
    const char **names;
    struct am_node *list;
    size_t n;
};

static enum am_rc pin(void *ctx, const char *file, struct am_err *err)
{
    struct pinned *t = ctx;
    const char *public, *secret;
    struct am_str s = am_str(file);
    if (!am_str_ends(s, AM_STR(".pub")))
        return AM_OK;
    if (t->n == KEYS_MAX)
        return am_fail(err, AM_ELIMIT, "more than %d keys in this workspace", KEYS_MAX);
    const char *name = am_arena_str(t->a, (struct am_str){s.ptr, s.len - 4}).ptr;
    AM_TRY(am_arena_check(t->a, err));
    AM_TRY(key_path(t->p, t->a, name, ".pub", &public, err));
    AM_TRY(key_path(t->p, t->a, name, ".pem", &secret, err));
    AM_TRY(am_public_key_load(public, &t->keys[t->n], err));
    t->names[t->n] = name;
    am_node_push(t->a, t->list, key_node(t->a, name, &t->keys[t->n], public, secret));
    t->n++;
    return am_arena_check(t->a, err);
}

static enum am_rc read_pinned(struct am_platform *p, struct am_arena *a, struct pinned *out,
                              struct am_err *err)
{
    struct am_registry *r;
    AM_TRY(am_platform_registry(p, &r, err));
    const char *dir = am_arena_printf(a, "%s/keys", am_registry_dir(r)).ptr;
    *out = (struct pinned){.p = p, .a = a, .list = am_new_list(a)};
    out->keys = am_arena_array(a, KEYS_MAX, sizeof *out->keys);
    out->names = am_arena_array(a, KEYS_MAX, sizeof(char *));
    AM_TRY(am_arena_check(a, err));
    return am_fs_exists(dir) ? am_fs_list(dir, pin, out, err) : AM_OK;
}

enum am_rc am_platform_keys(struct am_platform *p, struct am_arena *a, struct am_node **out,
                            struct am_err *err)
{
    struct pinned t;
    AM_TRY(read_pinned(p, a, &t, err));
    *out = am_new_map(a);
    am_node_set(a, *out, "keys", t.list);
    am_node_set(a, *out, "total", am_new_i64(a, (int64_t)t.n));
    return am_arena_check(a, err);
}

enum am_rc am_platform_key_trust(struct am_platform *p, struct am_arena *a, const char *name,
                                 const char *file, struct am_node **out, struct am_err *err)
{
    struct am_public_key k;
    const char *secret, *public;
    AM_TRY(key_path(p, a, name, ".pem", &secret, err));
    AM_TRY(key_path(p, a, name, ".pub", &public, err));
    if (am_fs_exists(public)) {
        am_fail(err, AM_EEXIST, "there is a key \"%s\" already", name);
        am_hint(err, "Choose another name, or remove it: aimass key rm %s", name);
        return AM_EEXIST;
    }
    enum am_rc rc = am_public_key_load(file, &k, err);
    if (rc != AM_OK && err && !err->hint[0])
        am_hint(err, "Give the public file that `aimass key new` named to the signer.");
    AM_TRY(rc);
    AM_TRY(am_public_key_save(&k, public, err));
    *out = key_node(a, name, &k, public, secret);
    return am_arena_check(a, err);
}

static enum am_rc no_key(const char *name, struct am_err *err)
{
    am_fail(err, AM_ENOTFOUND, "there is no key \"%s\"", name);
    am_hint(err, "`aimass key list` lists them, `aimass key new NAME` makes one.");
    return AM_ENOTFOUND;
}

enum am_rc am_platform_key_rm(struct am_platform *p, struct am_arena *a, const char *name,
                              struct am_node **out, struct am_err *err)
{
    const char *secret, *public;
    AM_TRY(key_path(p, a, name, ".pem", &secret, err));
    AM_TRY(key_path(p, a, name, ".pub", &public, err));
    bool signs = am_fs_exists(secret);
    if (!signs && !am_fs_exists(public))
        return no_key(name, err);
    if ((signs && am_fs()->unlink(secret) != 0) ||
        (am_fs_exists(public) && am_fs()->unlink(public) != 0))
        return am_fail_errno(err, errno, "cannot remove key \"%s\"", name);
    *out = am_new_map(a);
    am_node_set(a, *out, "removed", am_new_cstr(a, name));
    am_node_set(a, *out, "kind", am_new_cstr(a, "key"));
    return am_arena_check(a, err);
}

/* ---- signatures ---- */

/* {key, signer: name|null, trusted} or null */
static struct am_node *signature_node(struct am_arena *a, const struct pinned *t,
                                      const struct am_public_key *k)
{
    if (!k)
        return am_new_null(a);
    const char *name = NULL;
    for (size_t i = 0; i < t->n && !name; i++)
        if (memcmp(t->keys[i].bytes, k->bytes, sizeof k->bytes) == 0)
            name = t->names[i];
    struct am_node *m = am_new_map(a);
    am_node_set(a, m, "key", am_new_cstr(a, key_hex(a, k)));
    am_node_set(a, m, "signer", am_new_cstr(a, name));
    am_node_set(a, m, "trusted", am_new_bool(a, name != NULL));
    return m;
}

enum am_rc am_platform_signature_of(struct am_platform *p, struct am_arena *a, const char *path,
                                    struct am_node **out, struct am_err *err)
{
    struct am_package *pkg = NULL;
    struct pinned t;
    AM_TRY(read_pinned(p, a, &t, err));
    enum am_rc rc = am_package_open(path, NULL, &pkg, err);
    if (rc != AM_OK && err && !err->hint[0])
        am_hint(err, "Take the package again from where it was made: `aimass model export MODEL "
                     "FILE`.");
    AM_TRY(rc);
    *out = signature_node(a, &t, am_package_signer(pkg));
    am_package_close(pkg);
    return am_arena_check(a, err);
}

enum am_rc am_platform_trust(struct am_platform *p, struct am_arena *a,
                             enum am_signature_policy policy, struct am_package_options *out,
                             struct am_err *err)
{
    struct pinned t;
    AM_TRY(read_pinned(p, a, &t, err));
    *out = (struct am_package_options){.trusted = t.keys, .n_trusted = t.n, .policy = policy};
    return AM_OK;
}

static enum am_rc write_signed(const char *from, const struct am_secret_key *k, const char *to,
                               struct am_err *err)
{
    struct am_package *pkg = NULL;
    AM_TRY(am_package_open(from, NULL, &pkg, err));
    struct am_package_content c = {.manifest = am_package_manifest(pkg), .sign_with = k};
    for (int i = 0; i < AM_PARTS; i++)
        c.parts[i] = am_package_part(pkg, (enum am_package_part)i);
    enum am_rc rc = am_package_write(&c, to, err);
    am_package_close(pkg);
    return rc;
}

enum am_rc am_platform_model_sign(struct am_platform *p, struct am_arena *a, const char *ref,
                                  const char *key, struct am_node **out, struct am_err *err)
{
    struct am_secret_key k;
    struct am_version_ref v;
    struct am_registry *r;
    struct am_node *signature;
    const char *secret;
    AM_TRY(am_platform_registry(p, &r, err));
    AM_TRY(am_registry_resolve(r, ref, &v, err));
    AM_TRY(key_path(p, a, key, ".pem", &secret, err));
    if (!am_fs_exists(secret))
        return no_key(key, err);
    const char *to = am_arena_printf(a, "%s/signed.aim", am_registry_scratch(r)).ptr;
    const char *exact = am_arena_printf(a, "%s@%lld", v.model, (long long)v.version).ptr;
    AM_TRY(am_arena_check(a, err));
    AM_TRY(am_secret_key_load(secret, &k, err));
    enum am_rc rc = write_signed(v.path, &k, to, err);
    am_secret_key_clear(&k);
    AM_TRY(rc);
    rc = am_registry_version_repack(r, a, exact, v.package, to, out, err);
    (void)am_fs()->unlink(to);
    AM_TRY(rc);
    AM_TRY(am_registry_resolve(r, exact, &v, err));
    AM_TRY(am_platform_signature_of(p, a, v.path, &signature, err));
    am_node_set(a, *out, "signature", signature);
    return am_arena_check(a, err);
}

enum am_rc am_platform_model_signature(struct am_platform *p, struct am_arena *a, const char *ref,
                                       struct am_node **out, struct am_err *err)
{
    struct am_version_ref v;
    struct am_registry *r;
    struct am_node *s;
    bool file = am_str_ends(am_str(ref), AM_STR(".aim"));
    AM_TRY(am_platform_registry(p, &r, err));
    if (!file)
        AM_TRY(am_registry_resolve(r, ref, &v, err));
    AM_TRY(am_platform_signature_of(p, a, file ? ref : v.path, &s, err));
    if (am_node_is_null(s)) {
        am_fail(err, AM_EPERM, "\"%s\" is not signed", ref);
        am_hint(err, "Sign it: aimass model sign MODEL@VERSION --key NAME");
        return AM_EPERM;
    }
    if (!am_node_bool(s, "trusted", false)) {
        am_fail(err, AM_EPERM, "\"%s\" is signed by a key that is not trusted here: %.16s…", ref,
                am_node_str(s, "key", "").ptr);
        am_hint(err, "If you know whose key it is: aimass key trust NAME PUBLIC.pub");
        return AM_EPERM;
    }
    *out = am_new_map(a);
    if (file) {
        am_node_set(a, *out, "path", am_new_cstr(a, ref));
    } else {
        am_node_set(a, *out, "model", am_new_cstr(a, v.model));
        am_node_set(a, *out, "version", am_new_i64(a, v.version));
    }
    am_node_set(a, *out, "signature", s);
    return am_arena_check(a, err);
}
