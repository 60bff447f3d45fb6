/* Arguments against the table of commands: unknown names get the nearest known one. */
#include <stdio.h>
#include <stdlib.h>

#include "base/num.h"
#include "cli/cli.h"

static const struct am_command *find_command(const char *first, const char *second, int *used)
{
    char two[64];
    snprintf(two, sizeof two, "%s %s", first, second ? second : "");
    for (size_t i = 0; i < am_n_commands; i++) {
        *used = 2;
        if (second && strcmp(am_commands[i].name, two) == 0)
            return &am_commands[i];
        *used = 1;
        if (strcmp(am_commands[i].name, first) == 0)
            return &am_commands[i];
    }
    return NULL;
}

/* "key new, key list" for "key"; empty when no command begins so. */
static void list_group(const char *name, char *out, size_t cap)
{
    size_t n = strlen(name), at = 0;
    out[0] = 0;
    for (size_t i = 0; i < am_n_commands && at < cap; i++)
        if (strncmp(am_commands[i].name, name, n) == 0 && am_commands[i].name[n] == ' ')
            at += (size_t)snprintf(out + at, cap - at, "%s%s", at ? ", " : "", am_commands[i].name);
}

static enum am_exit unknown_command(struct am_cli *c, const char *name)
{
    char group[300];
    const char *names[64] = {0}, *near;
    size_t n = 0;
    for (size_t i = 0; i < am_n_commands && n < 64; i++)
        names[n++] = am_commands[i].name;
    near = am_str_nearest(am_str(name), names, n);
    am_fail(&c->err, AM_EUSAGE, "there is no command \"%s\"", name);
    list_group(name, group, sizeof group);
    if (group[0])
        am_hint(&c->err, "There are: %s.", group);
    else if (near)
        am_hint(&c->err, "Did you mean \"%s\"?", near);
    else
        am_hint(&c->err, "`aimass help` lists them.");
    return am_cli_fail(c);
}

static const struct am_flag *find_flag(const struct am_command *cmd, struct am_str name)
{
    for (const struct am_flag *f = cmd->flags; f < cmd->flags + 8 && f->name; f++)
        if (am_str_is(name, f->name))
            return f;
    for (const struct am_flag *f = am_global_flags; f->name; f++)
        if (am_str_is(name, f->name))
            return f;
    return NULL;
}

static enum am_exit bad_flag(struct am_cli *c, struct am_str name)
{
    const struct am_command *cmd = c->command;
    const char *names[32], *near;
    size_t n = 0;
    for (const struct am_flag *f = cmd->flags; f < cmd->flags + 8 && f->name; f++)
        names[n++] = f->name;
    for (const struct am_flag *f = am_global_flags; f->name; f++)
        names[n++] = f->name;
    near = am_str_nearest(name, names, n);
    am_fail(&c->err, AM_EUSAGE, "%s: there is no option \"%.*s\"", cmd->name, AM_FMT(name));
    if (near)
        am_hint(&c->err, "Did you mean \"%s\"?", near);
    else
        am_hint(&c->err, "`aimass help %s` lists them.", cmd->name);
    return am_cli_fail(c);
}

static enum am_exit take_flag(struct am_cli *c, int argc, char **argv, int *i)
{
    const char *text = argv[*i], *eq = strchr(text, '=');
    struct am_str name = {text, eq ? (size_t)(eq - text) : strlen(text)};
    const struct am_flag *f = find_flag(c->command, name);
    const char *value = eq ? eq + 1 : NULL;
    if (!f)
        return bad_flag(c, name);
    if (f->kind == AM_FLAG_SWITCH && value) {
        am_fail(&c->err, AM_EUSAGE, "%s: %s takes no value", c->command->name, f->name);
        return am_cli_fail(c);
    }
    if (f->kind != AM_FLAG_SWITCH && !value) {
        if (*i + 1 >= argc) {
            am_fail(&c->err, AM_EUSAGE, "%s: %s needs a value: %s", c->command->name, f->name,
                    f->argument);
            return am_cli_fail(c);
        }
        value = argv[++*i];
    }
    if (f->kind == AM_FLAG_MANY ? c->n_many == AM_CLI_ARGS : c->n_given == AM_CLI_FLAGS) {
        am_fail(&c->err, AM_EUSAGE, "%s: too many options", c->command->name);
        return am_cli_fail(c);
    }
    if (f->kind == AM_FLAG_MANY) {
        c->many[c->n_many++] = value;
    } else {
        c->given[c->n_given] = f;
        c->values[c->n_given++] = value;
    }
    return AM_EXIT_DONE;
}

enum am_exit am_cli_parse(struct am_cli *c, int argc, char **argv)
{
    int i = 1, used = 1;
    bool only_args = false;
    for (int k = 1; k < argc && strcmp(argv[k], "--") != 0;
         k++) /* a usage error is an object too */
        c->json = c->json || strcmp(argv[k], "--json") == 0;
    if (argc < 2) {
        c->command = find_command("help", NULL, &used);
        return AM_EXIT_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        am_say("aimass %s\n", AIMASS_VERSION);
        c->done = true;
        return AM_EXIT_DONE;
    }
    const char *first =
        strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ? "help" : argv[1];
    c->command = find_command(first, argc > 2 ? argv[2] : NULL, &used);
    if (!c->command)
        return unknown_command(c, argv[1]);
    for (i = 1 + used; i < argc; i++) {
        if (!only_args && strcmp(argv[i], "--") == 0) {
            only_args = true;
        } else if (!only_args && argv[i][0] == '-' && argv[i][1]) {
            enum am_exit e = take_flag(c, argc, argv, &i);
            if (e != AM_EXIT_DONE)
                return e;
        } else if (c->n_args == AM_CLI_ARGS) {
            am_fail(&c->err, AM_EUSAGE, "%s: too many arguments", c->command->name);
            return am_cli_fail(c);
        } else {
            c->args[c->n_args++] = argv[i];
        }
    }
    c->json = am_cli_has(c, "--json");
    c->quiet = am_cli_has(c, "--quiet");
    if (am_cli_has(c, "--help")) {
        c->args[0] = c->command->name;
        c->n_args = 1;
        c->command = find_command("help", NULL, &used);
        return AM_EXIT_DONE;
    }
    if (c->n_args < c->command->min_args || c->n_args > c->command->max_args) {
        am_fail(&c->err, AM_EUSAGE, "%s: %d arguments given", c->command->name, c->n_args);
        am_hint(&c->err, "Usage: aimass %s %s", c->command->name, c->command->usage);
        return am_cli_fail(c);
    }
    return AM_EXIT_DONE;
}

const char *am_cli_value(const struct am_cli *c, const char *flag)
{
    for (int i = c->n_given; i-- > 0;)
        if (strcmp(c->given[i]->name, flag) == 0)
            return c->values[i];
    return NULL;
}

bool am_cli_has(const struct am_cli *c, const char *flag)
{
    for (int i = 0; i < c->n_given; i++)
        if (strcmp(c->given[i]->name, flag) == 0)
            return true;
    return false;
}

enum am_rc am_cli_open(struct am_cli *c)
{
    struct am_platform_options o = {.workspace = am_cli_value(c, "--workspace"),
                                    .progress = &c->progress};
    const char *threads = am_cli_value(c, "--threads"), *memory = am_cli_value(c, "--memory");
    uint64_t n = 0;
    if (threads && (!am_parse_u64(am_str(threads), 1024, &n) || n == 0)) {
        am_fail(&c->err, AM_EUSAGE, "--threads %s is not a number from 1 to 1024", threads);
        am_hint(&c->err, "Leave it out to use all cores; it never changes a result.");
        return AM_EUSAGE;
    }
    o.n_threads = (unsigned)n;
    if (memory && (!am_parse_bytes(am_str(memory), &o.memory_limit_bytes) ||
                   o.memory_limit_bytes < 16 << 20)) {
        am_fail(&c->err, AM_EUSAGE, "--memory %s is not a size of at least 16m", memory);
        am_hint(&c->err, "Write for example 512m or 4g.");
        return AM_EUSAGE;
    }
    am_progress_bar_init(c);
    return am_platform_open(&o, &c->platform, &c->err);
}
