/* What the commands of the program share: arguments, output, exit codes.
 *
 * A command is a row in commands.c: its name, its options, its usage line, its function. Commands
 * print through this header only: results to stdout (one JSON object with --json), everything else
 * to stderr. The CLI is the one place where running out of memory may end the process. One thread.
 */
#ifndef AM_CLI_CLI_H
#define AM_CLI_CLI_H

#include "platform/platform.h"

enum am_exit { AM_EXIT_DONE = 0, AM_EXIT_FAILED = 1, AM_EXIT_USAGE = 2 };

enum am_flag_kind { AM_FLAG_SWITCH, AM_FLAG_VALUE, AM_FLAG_MANY };

struct am_flag {
    const char *name; /* "--target" */
    enum am_flag_kind kind;
    const char *argument; /* "COLUMN"; NULL for a switch */
    const char *doc;
};

#define AM_CLI_FLAGS 16
#define AM_CLI_ARGS 1024

struct am_cli;
struct am_command {
    const char *name;       /* "train", "model show" */
    const char *usage;      /* "RECIPE" */
    const char *doc;        /* one sentence */
    int min_args, max_args; /* -1 = any number */
    enum am_exit (*run)(struct am_cli *c);
    struct am_flag flags[8]; /* ends with a NULL name */
};
extern const struct am_command am_commands[];
extern const size_t am_n_commands;
/* Flags that every command takes. */
extern const struct am_flag am_global_flags[];

struct am_cli {
    const struct am_command *command;
    const char *program; /* argv[0] */
    const char *args[AM_CLI_ARGS];
    int n_args;
    const struct am_flag *given[AM_CLI_FLAGS]; /* in order */
    const char *values[AM_CLI_FLAGS];
    const char *many[AM_CLI_ARGS]; /* values of AM_FLAG_MANY, in order */
    size_t n_many;
    int n_given;
    bool json, quiet;
    bool done; /* --version: nothing is left to do */
    struct am_arena *arena;
    struct am_platform *platform; /* opened by am_cli_open */
    struct am_progress progress;
    struct am_err err;
};

/* Fills the command's arguments; prints what is wrong (as JSON with --json) and returns
 * AM_EXIT_USAGE. */
enum am_exit am_cli_parse(struct am_cli *c, int argc, char **argv);
const char *am_cli_value(const struct am_cli *c, const char *flag); /* NULL = not given */
bool am_cli_has(const struct am_cli *c, const char *flag);
/* Opens the platform with the global flags. */
enum am_rc am_cli_open(struct am_cli *c);

/* Ends of a command: print the error (as JSON with --json) and say the exit code; */
enum am_exit am_cli_fail(struct am_cli *c);
/* print the tree as JSON when asked, else call human(). */
enum am_exit am_cli_done(struct am_cli *c, const struct am_node *result,
                         void (*human)(struct am_cli *c, const struct am_node *result));

/* Plain text on stdout. */
void am_say(const char *fmt, ...) AM_PRINTF(1, 2);
/* Text in a field of so many display columns (Chinese characters take two); longer text is not cut.
 */
enum am_side { AM_SIDE_LEFT, AM_SIDE_RIGHT };
void am_say_field(struct am_str s, size_t width, enum am_side side);
/* A table: rows are lists of text; numbers are set right. Widths are display columns of the
 * terminal. */
struct am_grid;
struct am_grid *am_grid_new(const char *const *headers, size_t n);
void am_grid_text(struct am_grid *g, struct am_str s);
void am_grid_node(struct am_grid *g, const struct am_node *v); /* number, text, bool or null */
void am_grid_print(struct am_grid *g);                         /* and frees */

/* {files, n_bad, bad: [{file, reason}], notes: [{kind, text}]}: the files that could not be read,
 * to stderr; nothing when all is well, NULL or --quiet. Returns how many were bad. */
int64_t am_say_bad_files(const struct am_cli *c, const struct am_node *files);
/* The same, and the notes. */
void am_say_import(const struct am_cli *c, const struct am_node *files);

/* Progress to stderr: a bar on a terminal, nothing in a pipe or with --quiet. */
void am_progress_bar_init(struct am_cli *c);

/* All of stdin. */
enum am_rc am_read_stdin(struct am_buf *b, struct am_err *err);

/* What train, run and resume print: metrics, advice, where the model is. */
void am_show_trained(struct am_cli *c, const struct am_node *r);

/* The commands, one file each. */
enum am_exit am_cmd_init(struct am_cli *c);
enum am_exit am_cmd_profile(struct am_cli *c);
enum am_exit am_cmd_plan(struct am_cli *c);
enum am_exit am_cmd_train(struct am_cli *c);
enum am_exit am_cmd_find_rate(struct am_cli *c);
enum am_exit am_cmd_study(struct am_cli *c);
enum am_exit am_cmd_resume(struct am_cli *c);
enum am_exit am_cmd_run(struct am_cli *c);
enum am_exit am_cmd_auto(struct am_cli *c); /* run with --budget or --trials */
enum am_exit am_cmd_advise(struct am_cli *c);
enum am_exit am_cmd_refit(struct am_cli *c);
enum am_exit am_cmd_distil(struct am_cli *c);
enum am_exit am_cmd_evaluate(struct am_cli *c);
enum am_exit am_cmd_predict(struct am_cli *c);
enum am_exit am_cmd_explain(struct am_cli *c);
enum am_exit am_cmd_recommend(struct am_cli *c);
enum am_exit am_cmd_similar(struct am_cli *c);
enum am_exit am_cmd_runs(struct am_cli *c);
enum am_exit am_cmd_run_show(struct am_cli *c);
enum am_exit am_cmd_compare(struct am_cli *c);
enum am_exit am_cmd_models(struct am_cli *c);
enum am_exit am_cmd_model_show(struct am_cli *c);
enum am_exit am_cmd_model_alias(struct am_cli *c);
enum am_exit am_cmd_model_tag(struct am_cli *c);
enum am_exit am_cmd_model_export(struct am_cli *c);
enum am_exit am_cmd_model_import(struct am_cli *c);
enum am_exit am_cmd_model_sign(struct am_cli *c);
enum am_exit am_cmd_model_verify_signature(struct am_cli *c);
enum am_exit am_cmd_key_new(struct am_cli *c);
enum am_exit am_cmd_key_list(struct am_cli *c);
enum am_exit am_cmd_key_trust(struct am_cli *c);
enum am_exit am_cmd_key_rm(struct am_cli *c);
enum am_exit am_cmd_verify(struct am_cli *c);
enum am_exit am_cmd_datasets(struct am_cli *c);
enum am_exit am_cmd_rm(struct am_cli *c);
enum am_exit am_cmd_gc(struct am_cli *c);
enum am_exit am_cmd_serve(struct am_cli *c);
enum am_exit am_cmd_doctor(struct am_cli *c);
enum am_exit am_cmd_schema(struct am_cli *c);
enum am_exit am_cmd_completion(struct am_cli *c);
enum am_exit am_cmd_help(struct am_cli *c);

#endif
