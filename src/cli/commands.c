/* The table of commands. Help, completion and the parser read it. */
#include "cli/cli.h"

#define SET {"--set", AM_FLAG_MANY, "PATH=VALUE", "Set a recipe key, for example train.epochs=5."}
#define TARGET {"--target", AM_FLAG_VALUE, "COLUMN", "The column to predict."}
#define LIST                                                                                       \
    {"--filter", AM_FLAG_VALUE, "EXPR", "For example \"metrics.test.accuracy > 0.9 and tags.team = 'a'\"."}, \
    {"--order", AM_FLAG_VALUE, "KEYS", "For example \"metrics.test.accuracy desc\"."},             \
    {"--limit", AM_FLAG_VALUE, "N", "At most this many; the default is 100."},                     \
    {"--offset", AM_FLAG_VALUE, "N", "Skip this many."}

const struct am_flag am_global_flags[] = {
    {"--json", AM_FLAG_SWITCH, NULL, "Print exactly one JSON object on stdout."},
    {"--workspace", AM_FLAG_VALUE, "DIR", "Where everything is kept; default $AIMASS_WORKSPACE or ~/.aimass."},
    {"--threads", AM_FLAG_VALUE, "N", "Threads; the default is all cores. Never changes a result."},
    {"--memory", AM_FLAG_VALUE, "SIZE", "Memory for data, for example 512m; larger inputs go to disk."},
    {"--quiet", AM_FLAG_SWITCH, NULL, "No progress."},
    {"--help", AM_FLAG_SWITCH, NULL, "Say what the command takes."},
    {NULL, AM_FLAG_SWITCH, NULL, NULL}};

const struct am_command am_commands[] = {
    {"run", "DATA", "From data to a registered model in one line.", 1, 1, am_cmd_run, {TARGET, SET}},
    {"init", "DATA", "Write a starter recipe for a data file.", 1, 1, am_cmd_init,
     {TARGET, {"--output", AM_FLAG_VALUE, "FILE", "Where to write; the default is NAME.yaml, - is stdout."}}},
    {"profile", "DATA", "What is in the data: types, values, warnings.", 1, 1, am_cmd_profile, {TARGET}},
    {"plan", "RECIPE", "Everything a training would do, without doing it.", 1, 1, am_cmd_plan, {SET}},
    {"train", "RECIPE", "Train, evaluate, package and register a model.", 1, 1, am_cmd_train, {SET}},
    {"resume", "RUN", "Continue an interrupted training.", 1, 1, am_cmd_resume, {{NULL}}},
    {"evaluate", "MODEL[@VERSION|@ALIAS] DATA", "Measure a model on new rows.", 2, 2, am_cmd_evaluate, {{NULL}}},
    {"predict", "MODEL[@VERSION|@ALIAS] DATA|-", "Predict rows of a file or of stdin.", 2, 2, am_cmd_predict,
     {{"--format", AM_FLAG_VALUE, "csv|json", "Of input and output; the default is what the input is."}}},
    {"verify", "MODEL@VERSION", "Train again from the record and compare the bits.", 1, 1, am_cmd_verify, {{NULL}}},
    {"runs", "", "List runs.", 0, 0, am_cmd_runs, {LIST}},
    {"run-show", "RUN", "One run with params, metrics, artefacts and log.", 1, 1, am_cmd_run_show, {{NULL}}},
    {"compare", "RUN RUN...", "Runs side by side: what differs.", 2, AM_CLI_ARGS, am_cmd_compare, {{NULL}}},
    {"datasets", "", "List datasets.", 0, 0, am_cmd_datasets, {LIST}},
    {"models", "", "List models.", 0, 0, am_cmd_models, {LIST}},
    {"model show", "MODEL[@VERSION|@ALIAS]", "A model or a version with everything known.", 1, 1,
     am_cmd_model_show, {{NULL}}},
    {"model alias", "MODEL[@VERSION] ALIAS", "Point an alias at a version.", 2, 2, am_cmd_model_alias,
     {{"--remove", AM_FLAG_SWITCH, NULL, "Remove the alias instead."},
      {"--undo", AM_FLAG_SWITCH, NULL, "Go back to where it pointed before."}}},
    {"model tag", "MODEL[@VERSION] KEY [VALUE]", "Set a tag, or remove it without a value.", 2, 3,
     am_cmd_model_tag, {{NULL}}},
    {"model export", "MODEL[@VERSION|@ALIAS] FILE", "Copy the package to a file.", 2, 2, am_cmd_model_export,
     {{NULL}}},
    {"model import", "FILE", "Register a package as a new version.", 1, 1, am_cmd_model_import,
     {{"--name", AM_FLAG_VALUE, "NAME", "Name of the model; the default is the package's own."}}},
    {"serve", "", "Answer predictions over HTTP.", 0, 0, am_cmd_serve,
     {{"--port", AM_FLAG_VALUE, "PORT", "The default is 8080; 0 takes any free port."},
      {"--host", AM_FLAG_VALUE, "ADDRESS", "A loopback address."},
      {"--user", AM_FLAG_VALUE, "USER", "Whom to become when started as root; the default is nobody."}}},
    {"rm", "RUN|MODEL[@VERSION]|DATASET", "Remove a record that nothing refers to.", 1, 1, am_cmd_rm, {{NULL}}},
    {"gc", "", "Free the bytes that no record names.", 0, 0, am_cmd_gc,
     {{"--dry-run", AM_FLAG_SWITCH, NULL, "Say what would go."}}},
    {"doctor", "", "What is installed, what is missing and how to get it.", 0, 0, am_cmd_doctor, {{NULL}}},
    {"schema", "", "The JSON Schema of recipes.", 0, 0, am_cmd_schema,
     {{"--markdown", AM_FLAG_SWITCH, NULL, "The keys as a Markdown table instead."}}},
    {"completion", "bash|zsh|fish", "Print a completion script for a shell.", 1, 1, am_cmd_completion, {{NULL}}},
    {"help", "[COMMAND]", "Say what a command takes.", 0, 2, am_cmd_help, {{NULL}}},
};
const size_t am_n_commands = sizeof am_commands / sizeof am_commands[0];
