/* Commands about keys and signatures: key new, list, trust, rm; model sign, verify-signature. */
#include "cli/cli.h"

static void show_key(struct am_cli *c, const struct am_node *r)
{
    struct am_str secret = am_node_str(r, "secret", "");
    (void)c;
    am_say(am_tr("key     %.*s\n"), AM_FMT(am_node_str(r, "key", "")));
    am_say(am_tr("public  %.*s  (hand this out)\n"), AM_FMT(am_node_str(r, "public", "")));
    if (secret.len)
        am_say(am_tr("secret  %.*s  (keep this to yourself)\n"), AM_FMT(secret));
}

enum am_exit am_cmd_key_new(struct am_cli *c)
{
    struct am_node *r;
    if (am_cli_open(c) != AM_OK ||
        am_platform_key_new(c->platform, c->arena, c->args[0], &r, &c->err) != AM_OK)
        return am_cli_fail(c);
    return am_cli_done(c, r, show_key);
}

enum am_exit am_cmd_key_trust(struct am_cli *c)
{
    struct am_node *r;
    if (am_cli_open(c) != AM_OK ||
        am_platform_key_trust(c->platform, c->arena, c->args[0], c->args[1], &r, &c->err) != AM_OK)
        return am_cli_fail(c);
    return am_cli_done(c, r, show_key);
}

static void show_keys(struct am_cli *c, const struct am_node *r)
{
    static const char *const headers[] = {AM_N("name"), AM_N("signs"), AM_N("key")};
    const struct am_node *rows = am_node_get(r, "keys");
    struct am_grid *g = am_grid_new(headers, 3);
    (void)c;
    for (size_t i = 0; rows && i < rows->list.n; i++)
        for (size_t k = 0; k < 3; k++)
            am_grid_node(g, am_node_get(rows->list.items[i], headers[k]));
    am_grid_print(g);
}

enum am_exit am_cmd_key_list(struct am_cli *c)
{
    struct am_node *r;
    if (am_cli_open(c) != AM_OK || am_platform_keys(c->platform, c->arena, &r, &c->err) != AM_OK)
        return am_cli_fail(c);
    return am_cli_done(c, r, show_keys);
}

static void show_removed(struct am_cli *c, const struct am_node *r)
{
    (void)c;
    am_say(am_tr("Removed key %.*s.\n"), AM_FMT(am_node_str(r, "removed", "")));
}

enum am_exit am_cmd_key_rm(struct am_cli *c)
{
    struct am_node *r;
    if (am_cli_open(c) != AM_OK ||
        am_platform_key_rm(c->platform, c->arena, c->args[0], &r, &c->err) != AM_OK)
        return am_cli_fail(c);
    return am_cli_done(c, r, show_removed);
}

static void show_signature(struct am_cli *c, const struct am_node *r)
{
    const struct am_node *s = am_node_get(r, "signature");
    struct am_str model = am_node_str(r, "model", "");
    (void)c;
    if (model.len)
        am_say(am_tr("%.*s@%lld is signed by %.*s (%.16s…)\n"), AM_FMT(model),
               (long long)am_node_i64(r, "version", 0), AM_FMT(am_node_str(s, "signer", "?")),
               am_node_str(s, "key", "").ptr);
    else
        am_say(am_tr("%.*s is signed by %.*s (%.16s…)\n"), AM_FMT(am_node_str(r, "path", "")),
               AM_FMT(am_node_str(s, "signer", "?")), am_node_str(s, "key", "").ptr);
}

enum am_exit am_cmd_model_sign(struct am_cli *c)
{
    const char *key = am_cli_value(c, "--key");
    struct am_node *r;
    if (!key) {
        am_fail(&c->err, AM_EUSAGE, "aimass model sign needs --key NAME");
        am_hint(&c->err, "`aimass key list` lists the keys, `aimass key new NAME` makes one.");
        return am_cli_fail(c);
    }
    if (am_cli_open(c) != AM_OK ||
        am_platform_model_sign(c->platform, c->arena, c->args[0], key, &r, &c->err) != AM_OK)
        return am_cli_fail(c);
    return am_cli_done(c, r, show_signature);
}

enum am_exit am_cmd_model_verify_signature(struct am_cli *c)
{
    struct am_node *r;
    if (am_cli_open(c) != AM_OK ||
        am_platform_model_signature(c->platform, c->arena, c->args[0], &r, &c->err) != AM_OK)
        return am_cli_fail(c);
    return am_cli_done(c, r, show_signature);
}
