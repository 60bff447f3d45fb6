/* Commands about the program itself: serve, doctor, help, completion. */
#include <stdio.h>
#include <unistd.h>

#include "api/api.h"
#include "base/num.h"
#include "cli/cli.h"

/* ---- serve ---- */

static void ready(void *ctx, const char *url, int port, int admin_port)
{
    const struct am_cli *c = ctx;
    (void)admin_port;
    if (c->json)
        printf("{\"url\": \"%s\", \"port\": %d, \"pid\": %ld}\n", url, port, (long)getpid());
    else
        printf(
            am_tr(
                "Serving at %s (loopback only: login comes later, so nobody else can reach it)\n"),
            url);
    fflush(stdout);
}

enum am_exit am_cmd_serve(struct am_cli *c)
{
    const char *port = am_cli_value(c, "--port"), *threads = am_cli_value(c, "--threads");
    struct am_api_options o = {.host = am_cli_value(c, "--host"),
                               .port = -1,
                               .user = am_cli_value(c, "--user"),
                               .ready = ready,
                               .ctx = c};
    uint64_t n;
    if (port) {
        if (!am_parse_u64(am_str(port), 65535, &n)) {
            am_fail(&c->err, AM_EUSAGE, "--port %s is not a number from 0 to 65535", port);
            am_hint(&c->err, "0 takes any free port.");
            return am_cli_fail(c);
        }
        o.port = (int)n;
    }
    if (threads && am_parse_u64(am_str(threads), 16, &n))
        o.n_loops = o.n_workers = (unsigned)n;
    if (am_cli_open(c) != AM_OK)
        return am_cli_fail(c);
    o.workspace = am_platform_workspace(c->platform);
    am_platform_hold(c->platform);
    if (am_api_serve(&o, &c->err) != AM_OK)
        return am_cli_fail(c);
    return AM_EXIT_DONE;
}

/* ---- doctor ---- */

static void show_doctor(struct am_cli *c, const struct am_node *r)
{
    const struct am_node *list = am_node_get(r, "checks");
    (void)c;
    for (size_t i = 0; list && i < list->list.n; i++) {
        const struct am_node *k = list->list.items[i];
        bool ok = am_node_bool(k, "ok", false);
        am_say_field(am_str(ok ? "ok" : am_tr("MISSING")), 9, AM_SIDE_LEFT);
        am_say_field(am_node_str(k, "name", ""), 23, AM_SIDE_LEFT);
        am_say("%.*s\n", AM_FMT(am_node_str(k, "found", "")));
        if (!ok)
            am_say("         %.*s\n", AM_FMT(am_node_str(k, "remedy", "")));
    }
}

enum am_exit am_cmd_doctor(struct am_cli *c)
{
    struct am_node *r;
    if (am_cli_open(c) != AM_OK || am_platform_doctor(c->platform, c->arena, &r, &c->err) != AM_OK)
        return am_cli_fail(c);
    enum am_exit e = am_cli_done(c, r, show_doctor);
    return e == AM_EXIT_DONE && !am_node_bool(r, "ok", false) ? AM_EXIT_FAILED : e;
}

/* ---- help ---- */

static void show_flags(const struct am_flag *f, size_t n)
{
    for (size_t i = 0; i < n && f[i].name; i++) {
        char left[64];
        snprintf(left, sizeof left, "%s%s%s", f[i].name, f[i].argument ? " " : "",
                 f[i].argument ? f[i].argument : "");
        am_say("  %-28s %s\n", left, am_tr(f[i].doc));
    }
}

static void show_command(const struct am_command *k)
{
    am_say(am_tr("usage: aimass %s %s\n\n%s\n"), k->name, k->usage, am_tr(k->doc));
    if (k->flags[0].name)
        am_say("\n");
    show_flags(k->flags, 8);
    am_say(am_tr("\nEvery command:\n"));
    show_flags(am_global_flags, 99);
}

enum am_exit am_cmd_help(struct am_cli *c)
{
    char name[64];
    snprintf(name, sizeof name, "%s%s%s", c->n_args ? c->args[0] : "", c->n_args > 1 ? " " : "",
             c->n_args > 1 ? c->args[1] : "");
    for (size_t i = 0; i < am_n_commands && c->n_args; i++)
        if (strcmp(am_commands[i].name, name) == 0) {
            show_command(&am_commands[i]);
            return AM_EXIT_DONE;
        }
    am_say("%s", am_tr("AI Mass: from raw data to a watched prediction service, on machines that "
                       "you own.\n\n"));
    for (size_t i = 0; i < am_n_commands; i++) {
        char left[80];
        snprintf(left, sizeof left, "%s %s", am_commands[i].name, am_commands[i].usage);
        am_say("  aimass %-46s %s\n", left, am_tr(am_commands[i].doc));
    }
    am_say("%s", am_tr("\nExit codes: 0 done, 1 failed, 2 usage or recipe error.\n"
                       "Start with: aimass run DATA.csv --target COLUMN\n"));
    return c->n_args ? AM_EXIT_USAGE : AM_EXIT_DONE;
}

/* ---- completion ---- */

static void words(const char *separator)
{
    for (size_t i = 0; i < am_n_commands; i++) {
        const char *space = strchr(am_commands[i].name, ' ');
        int n = space ? (int)(space - am_commands[i].name) : (int)strlen(am_commands[i].name);
        bool seen =
            i && space && strncmp(am_commands[i].name, am_commands[i - 1].name, (size_t)n + 1) == 0;
        if (!seen)
            am_say("%s%.*s", i ? separator : "", n, am_commands[i].name);
    }
}

static void sub_words(void)
{
    for (size_t i = 0; i < am_n_commands; i++)
        if (strncmp(am_commands[i].name, "model ", 6) == 0)
            am_say("%s ", am_commands[i].name + 6);
}

static void bash_completion(void)
{
    am_say("_aimass() {\n  local cur=${COMP_WORDS[COMP_CWORD]} cmd=${COMP_WORDS[1]}\n"
           "  if [ \"$COMP_CWORD\" = 1 ]; then COMPREPLY=($(compgen -W '");
    words(" ");
    am_say(
        "' -- \"$cur\")); return; fi\n  if [ \"$cmd\" = model ] && [ \"$COMP_CWORD\" = 2 ]; then "
        "COMPREPLY=($(compgen -W '");
    sub_words();
    am_say("' -- \"$cur\")); return; fi\n  case \"$cmd\" in\n");
    for (size_t i = 0; i < am_n_commands; i++) {
        if (strchr(am_commands[i].name, ' '))
            continue;
        am_say("    %s) flags='", am_commands[i].name);
        for (const struct am_flag *f = am_commands[i].flags;
             f < am_commands[i].flags + 8 && f->name; f++)
            am_say("%s ", f->name);
        am_say("' ;;\n");
    }
    am_say(
        "    *) flags='' ;;\n  esac\n  case \"$cur\" in\n    -*) COMPREPLY=($(compgen -W \"$flags");
    for (const struct am_flag *f = am_global_flags; f->name; f++)
        am_say(" %s", f->name);
    am_say("\" -- \"$cur\")) ;;\n    *) COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n  esac\n}\n"
           "complete -o filenames -F _aimass aimass\n");
}

enum am_exit am_cmd_completion(struct am_cli *c)
{
    if (strcmp(c->args[0], "bash") == 0) {
        bash_completion();
    } else if (strcmp(c->args[0], "zsh") == 0) {
        am_say("autoload -U +X bashcompinit && bashcompinit\n");
        bash_completion();
    } else if (strcmp(c->args[0], "fish") == 0) {
        for (size_t i = 0; i < am_n_commands; i++)
            am_say("complete -c aimass -n __fish_use_subcommand -a '%s' -d '%s'\n",
                   am_commands[i].name, am_commands[i].doc);
        for (const struct am_flag *f = am_global_flags; f->name; f++)
            am_say("complete -c aimass -l %s -d '%s'\n", f->name + 2, f->doc);
    } else {
        am_fail(&c->err, AM_EUSAGE, "there is no completion for \"%s\"", c->args[0]);
        am_hint(&c->err, "bash, zsh and fish are known.");
        return am_cli_fail(c);
    }
    return AM_EXIT_DONE;
}
