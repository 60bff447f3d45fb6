/* card.md: what a person should know of a model, filled in from what the package holds.
 *
 * Markdown that any viewer shows; texts that come from data (column names, labels) are escaped, so
 * a column cannot put markup or links into the page. The buffer's failure sticks; the caller checks
 * it. Any thread. */
#include "base/num.h"
#include "model/model_int.h"

#define LIST_MAX 200 /* rows of a table; the rest is counted */

/* One line, every character that Markdown or HTML could take for itself escaped. */
static void put_text(struct am_buf *b, struct am_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if ((unsigned char)c < 32 || c == 127)
            am_buf_char(b, ' ');
        else if (c == '<')
            am_buf_cstr(b, "&lt;");
        else if (c == '&')
            am_buf_cstr(b, "&amp;");
        else {
            if (strchr("\\`*_{}[]()#+!|~>", c))
                am_buf_char(b, '\\');
            am_buf_char(b, c);
        }
    }
}

static void put_number(struct am_buf *b, double v)
{
    char text[AM_DOUBLE_CHARS];
    (void)am_print_double(v, text);
    am_buf_cstr(b, text);
}

static void put_short(struct am_buf *b, double v)
{
    am_buf_printf(b, "%.4g", v);
}

/* A model that learns rows. */
static void put_clusters(const struct am_model_spec *s, struct am_buf *b)
{
    am_buf_printf(b, "## What it answers\n\n%s\n\n",
                  s->output == AM_MODEL_PROBABILITY
                      ? "Which cluster a row belongs to, counted from 0, how probable each is, and "
                        "the log density of the row."
                      : "Which cluster a row belongs to, counted from 0 (-1: none, noise), and its "
                        "distance to each, in scaled features.");
}

static void put_own(const struct am_model_spec *s, struct am_buf *b)
{
    bool anomaly = am_target_task(s->target) == AM_TASK_ANOMALY;
    am_buf_printf(b, "## What it answers\n\n%s",
                  anomaly
                      ? "How unlike the training rows a row is: its anomaly score, the mean "
                        "squared distance of the row to what the model gives back, in scaled "
                        "features."
                      : "The few numbers that a row is reduced to (its embedding); on demand also "
                        "its anomaly score and the row as it comes back.");
    if (anomaly) {
        am_buf_cstr(b, " A row is an anomaly from a score of ");
        put_number(b, s->threshold);
        am_buf_cstr(b, " on.");
    }
    am_buf_cstr(b, "\n\n");
    if (am_target_name(s->target).len == 0)
        return;
    am_buf_cstr(b, "Column **");
    put_text(b, am_target_name(s->target));
    am_buf_printf(b,
                  "** labels rows for measuring and is no input: %llu normal, %llu anomalous.\n\n",
                  (unsigned long long)am_target_label_rows(s->target, 0),
                  (unsigned long long)am_target_label_rows(s->target, 1));
}

static void put_prediction(const struct am_model_spec *s, struct am_buf *b)
{
    size_t n = am_target_n_classes(s->target);
    if (am_target_task(s->target) == AM_TASK_CLUSTERING) {
        put_clusters(s, b);
        return;
    }
    if (am_target_task(s->target) == AM_TASK_RECOMMENDATION) {
        am_buf_cstr(b, "## What it answers\n\nHow much a user wants an item, and lists: what a "
                       "user wants most and has not chosen, what is alike.\n\n");
        return;
    }
    if (am_task_is_own(am_target_task(s->target))) {
        put_own(s, b);
        return;
    }
    am_buf_cstr(b, "## What it predicts\n\n");
    am_buf_cstr(b, "Column **");
    put_text(b, am_target_name(s->target));
    if (n == 0) {
        am_buf_cstr(b, "**: a number. In the training rows its mean was ");
        put_short(b, am_target_mean(s->target));
        am_buf_cstr(b, ", its standard deviation ");
        put_short(b, am_target_deviation(s->target));
        am_buf_cstr(b, ".\n\n");
        return;
    }
    am_buf_printf(
        b, "**: one of %zu classes, with %s.\n\n| class | training rows |\n| --- | ---: |\n", n,
        s->output == AM_MODEL_SCORE ? "a score that ranks but is no probability"
                                    : "its probability");
    for (size_t i = 0; i < n && i < LIST_MAX; i++) {
        am_buf_cstr(b, "| ");
        put_text(b, am_target_class(s->target, i));
        am_buf_printf(b, " | %llu |\n", (unsigned long long)am_target_class_rows(s->target, i));
    }
    if (n > LIST_MAX)
        am_buf_printf(b, "| and %zu more | |\n", n - LIST_MAX);
    if (n == 2) {
        am_buf_cstr(b, "\nThe answer is **");
        put_text(b, am_target_class(s->target, 1));
        am_buf_cstr(b, "** from a probability of ");
        put_number(b, s->threshold);
        am_buf_cstr(b, " on.\n");
    }
    am_buf_char(b, '\n');
}

static void put_inputs(const struct am_model_spec *s, struct am_buf *b)
{
    const struct am_schema *in = am_features_schema(s->features);
    am_buf_printf(
        b,
        "## Inputs\n\n%zu columns, which become %zu numbers.\n\n| column | type |\n| --- | --- |\n",
        in->n, am_features_width(s->features));
    for (size_t i = 0; i < in->n && i < LIST_MAX; i++) {
        am_buf_cstr(b, "| ");
        put_text(b, in->columns[i].name);
        am_buf_printf(b, " | %s |\n", am_col_type_name(in->columns[i].type));
    }
    if (in->n > LIST_MAX)
        am_buf_printf(b, "| and %zu more | |\n", in->n - LIST_MAX);
    if (s->n_ids)
        am_buf_printf(b, "\n%zu id columns pass through and are not used.\n", s->n_ids);
    am_buf_char(b, '\n');
}

static bool is_number(const struct am_node *n)
{
    return n && (n->kind == AM_NODE_INT || n->kind == AM_NODE_REAL);
}

/* Splits that are maps become columns, metrics that are numbers rows; order of first appearance. */
static void put_metrics(const struct am_node *metrics, struct am_buf *b)
{
    const struct am_node *first = NULL;
    am_buf_cstr(b, "## How well it does\n\n");
    for (size_t i = 0; metrics && i < metrics->map.n; i++)
        if (metrics->map.pairs[i].value->kind == AM_NODE_MAP && !first)
            first = metrics->map.pairs[i].value;
    if (!first) {
        am_buf_cstr(b, "No measurements are stored.\n\n");
        return;
    }
    am_buf_cstr(b, "| metric |");
    for (size_t i = 0; i < metrics->map.n; i++)
        if (metrics->map.pairs[i].value->kind == AM_NODE_MAP) {
            am_buf_char(b, ' ');
            put_text(b, metrics->map.pairs[i].key);
            am_buf_cstr(b, " |");
        }
    am_buf_cstr(b, "\n| --- |");
    for (size_t i = 0; i < metrics->map.n; i++)
        if (metrics->map.pairs[i].value->kind == AM_NODE_MAP)
            am_buf_cstr(b, " ---: |");
    am_buf_char(b, '\n');
    for (size_t j = 0; j < first->map.n && j < LIST_MAX; j++) {
        if (!is_number(first->map.pairs[j].value))
            continue;
        am_buf_cstr(b, "| ");
        put_text(b, first->map.pairs[j].key);
        am_buf_cstr(b, " |");
        for (size_t i = 0; i < metrics->map.n; i++) {
            const struct am_node *split = metrics->map.pairs[i].value, *v;
            double d;
            if (split->kind != AM_NODE_MAP)
                continue;
            v = am_node_get_str(split, first->map.pairs[j].key);
            am_buf_char(b, ' ');
            if (is_number(v) && am_node_as_f64(v, &d))
                put_short(b, d);
            am_buf_cstr(b, " |");
        }
        am_buf_char(b, '\n');
    }
    am_buf_char(b, '\n');
}

static void put_line(struct am_buf *b, const char *what, struct am_str v)
{
    if (v.len == 0)
        return;
    am_buf_printf(b, "- %s: ", what);
    put_text(b, v);
    am_buf_char(b, '\n');
}

static void put_lineage(const struct am_model_spec *s, const struct am_node *manifest,
                        struct am_buf *b)
{
    am_buf_cstr(b, "## Where it comes from\n\n");
    put_line(b, "data set", s->dataset_name);
    put_line(b, "data set hash", s->dataset_hash);
    am_buf_printf(b, "- rows trained on: %llu\n", (unsigned long long)s->n_rows);
    am_buf_printf(b, "- parameters: %zu\n", s->params->n_values);
    am_buf_printf(b, "- seed: %llu\n", (unsigned long long)s->seed);
    put_line(b, "recipe (SHA-256)",
             am_node_str(am_node_get(manifest, "lineage"), "recipe_sha256", ""));
    put_line(b, "parent", s->parent);
    put_line(b, "run", s->run);
    put_line(b, "source of the recipe, git commit", s->git_commit);
    put_line(b, "created", am_node_str(manifest, "created", ""));
    put_line(b, "numerics profile", am_node_str(am_node_get(manifest, "numerics"), "profile", ""));
    am_buf_cstr(
        b, "- the recipe with every default spelled out is in this package as recipe.yaml\n\n");
}

static void put_limits(const struct am_model_spec *s, struct am_buf *b)
{
    am_buf_cstr(
        b,
        "## Limits\n\n"
        "- It knows what its training rows showed; rows that differ from them (other ranges, other "
        "categories) get an answer all the same.\n"
        "- Missing values are filled as in training; a category that training did not see is "
        "treated as the recipe says.\n");
    if (am_target_n_classes(s->target))
        am_buf_cstr(
            b, "- Probabilities are right on average for data like the training rows, not for one "
               "row.\n");
    am_buf_cstr(
        b, "- The package holds no row of the training data: its sample input is synthetic.\n\n");
}

void am_card_write(const struct am_model_spec *s, const struct am_node *manifest, struct am_buf *b)
{
    am_buf_cstr(b, "# ");
    put_text(b, s->name);
    if (s->version)
        am_buf_printf(b, ", version %lld", (long long)s->version);
    am_buf_cstr(b, "\n\n");
    if (s->description.len) {
        put_text(b, s->description);
        am_buf_cstr(b, "\n\n");
    }
    put_prediction(s, b);
    put_inputs(s, b);
    put_metrics(s->metrics, b);
    put_lineage(s, manifest, b);
    put_limits(s, b);
}
