/* Fitting the target: which task, which classes, in one pass. Not linked by libaimass.
 *
 * Distinct values are counted up to AM_LIMIT_CLASSES (numbers and booleans by the 8 bytes of the
 * double); beyond that a number target can only be regression. One thread; the result depends on
 * the rows alone. */
#include <float.h>
#include <math.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/num.h"
#include "feature/stats.h"
#include "feature/target_int.h"

#define AUTO_CLASSES 20
#define AUTO_ROWS 20 /* rows for each class of a number target */

struct am_target_fit {
    struct am_target_config config;
    struct am_arena *arena; /* owned */
    struct am_counts counts;
    struct am_moments moments;
    uint64_t n_rows, n_missing;
    bool too_many; /* distinct numbers: counting stopped */
    bool whole;    /* all numbers are whole */
    struct am_str why;
};

enum am_rc am_target_column(const struct am_schema *s, struct am_str name, size_t *out,
                            struct am_err *err)
{
    *out = am_schema_find(s, name);
    if (*out != SIZE_MAX)
        return AM_OK;
    enum am_rc rc = am_fail(err, AM_EUSAGE, "no target column \"%.*s\" in the data", AM_FMT(name));
    unsigned least = (unsigned)(name.len / 3 + 2);
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < s->n; i++) {
        unsigned d = am_str_distance(name, s->columns[i].name);
        if (d < least) {
            least = d;
            best = i;
        }
    }
    if (best != SIZE_MAX)
        am_hint(err, "Did you mean \"%.*s\"?", AM_FMT(s->columns[best].name));
    else
        am_hint(err, "Name one of the data's columns in data.target.");
    return rc;
}

static bool is_number(enum am_col_type t)
{
    return t == AM_COL_NUMBER || t == AM_COL_BOOLEAN;
}

enum am_rc am_target_fit_new(const struct am_target_config *config, struct am_target_fit **out,
                             struct am_err *err)
{
    if (config->type == AM_COL_DATE ||
        (config->want == AM_TARGET_REGRESSION && !is_number(config->type))) {
        enum am_rc rc =
            am_fail(err, AM_EUSAGE, "target \"%.*s\" of type %s cannot be predicted as %s",
                    AM_FMT(config->name), am_col_type_name(config->type),
                    config->type == AM_COL_DATE ? am_tr("a class or a number") : "a number");
        am_hint(err, "Choose another target, or another type in data.types.");
        return rc;
    }
    if (config->want == AM_TARGET_LABELS &&
        (config->separator.len == 0 || config->separator.len > 8)) {
        am_fail(err, AM_EUSAGE, "data.labels.separator has %zu bytes, it needs 1 to 8",
                config->separator.len);
        am_hint(err, "Name what stands between two labels of a cell, such as \";\".");
        return AM_EUSAGE;
    }
    if (config->want == AM_TARGET_LABELS && !am_col_is_string(config->type)) {
        am_fail(err, AM_EUSAGE, "target \"%.*s\" of type %s holds no texts of several labels",
                AM_FMT(config->name), am_col_type_name(config->type));
        am_hint(err, "Name a column of texts such as \"red;round\", or leave data.labels out.");
        return AM_EUSAGE;
    }
    if (config->want == AM_TARGET_REGRESSION && config->positive.ptr)
        return am_fail(err, AM_EUSAGE, "data.positive names a class, but the task is regression");
    struct am_target_fit *f = am_calloc(1, sizeof *f);
    if (f == NULL)
        return am_fail_nomem(err, sizeof *f);
    f->config = *config;
    f->whole = true;
    f->arena = am_arena_new(0);
    am_moments_init(&f->moments);
    enum am_rc rc = f->arena ? am_counts_init(&f->counts, err) : am_fail_nomem(err, 0);
    if (rc == AM_OK) {
        f->config.name = am_arena_str(f->arena, config->name);
        f->config.separator = am_arena_str(f->arena, config->separator);
        if (config->positive.ptr)
            f->config.positive = am_arena_str(f->arena, config->positive);
        rc = am_arena_check(f->arena, err);
    }
    if (rc != AM_OK) {
        am_target_fit_free(f);
        return rc;
    }
    *out = f;
    return AM_OK;
}

void am_target_fit_free(struct am_target_fit *f)
{
    if (f == NULL)
        return;
    am_counts_clear(&f->counts);
    am_arena_free(f->arena);
    am_free(f);
}

static enum am_rc many_classes(const struct am_target_fit *f, struct am_err *err)
{
    enum am_rc rc = am_fail(err, AM_EINVAL, "target \"%.*s\" has over %d classes",
                            AM_FMT(f->config.name), AM_LIMIT_CLASSES);
    if (f->config.type == AM_COL_NUMBER)
        am_hint(err, "Set `data: {task: regression}`, or choose another target.");
    else
        am_hint(err, "Choose another target: this one looks like an id or free text.");
    return rc;
}

static enum am_rc count(struct am_target_fit *f, struct am_str key, struct am_err *err)
{
    size_t index;
    if (f->counts.map.n >= AM_LIMIT_CLASSES && am_map_get(&f->counts.map, key) == NULL) {
        if (!is_number(f->config.type) || f->config.want == AM_TARGET_CLASSIFICATION)
            return many_classes(f, err);
        f->too_many = true;
        return AM_OK;
    }
    return am_counts_add(&f->counts, key, 1, &index, err);
}

static enum am_rc count_set(struct am_target_fit *f, struct am_str cell, struct am_err *err)
{
    struct am_str label;
    while (am_target_next_label(f->config.separator, &cell, &label)) {
        AM_TRY(count(f, label, err));
        if (f->counts.map.n <= AM_LIMIT_LABELS)
            continue;
        am_fail(err, AM_ELIMIT, "target \"%.*s\" has over %d labels", AM_FMT(f->config.name),
                AM_LIMIT_LABELS);
        am_hint(err, "Keep the most frequent ones, or predict them by several models.");
        return AM_ELIMIT;
    }
    return AM_OK;
}

enum am_rc am_target_fit_update(struct am_target_fit *f, const struct am_column *c, size_t n_rows,
                                struct am_err *err)
{
    if (c->type != f->config.type)
        return am_fail(err, AM_EINVAL, "target \"%.*s\" is of type %s, %s expected",
                       AM_FMT(f->config.name), am_col_type_name(c->type),
                       am_col_type_name(f->config.type));
    bool numbers = is_number(c->type);
    f->n_rows += n_rows;
    for (size_t i = 0; i < n_rows; i++) {
        if (numbers ? !isfinite(c->number[i]) : c->text[i].ptr == NULL) {
            f->n_missing++;
            continue;
        }
        if (f->config.want == AM_TARGET_LABELS) {
            AM_TRY(count_set(f, c->text[i], err));
            continue;
        }
        if (!numbers) {
            AM_TRY(count(f, c->text[i], err));
            continue;
        }
        double v = c->number[i] + 0.0; /* one zero */
        am_moments_add(&f->moments, v);
        f->whole = f->whole && v == floor(v);
        if (!f->too_many && f->config.want != AM_TARGET_REGRESSION)
            AM_TRY(count(f, (struct am_str){(const char *)&v, sizeof v}, err));
    }
    return AM_OK;
}

uint64_t am_target_fit_n_missing(const struct am_target_fit *f)
{
    return f->n_missing;
}
struct am_str am_target_fit_why(const struct am_target_fit *f)
{
    return f->why;
}

/* ---- finish ---- */

static bool choose_classes(struct am_target_fit *f)
{
    size_t n = f->counts.map.n;
    uint64_t rows = f->n_rows - f->n_missing;
    const char *name = am_col_type_name(f->config.type);
    if (f->config.want != AM_TARGET_AUTO) {
        f->why = am_arena_printf(f->arena, "%s", am_tr("the recipe says so"));
        return f->config.want != AM_TARGET_REGRESSION;
    }
    if (f->config.type != AM_COL_NUMBER) {
        f->why = am_arena_printf(f->arena, am_tr("the target is of type %s"), name);
        return true;
    }
    bool few = n <= AUTO_CLASSES && n * AUTO_ROWS <= rows;
    if (f->whole && !f->too_many && (n == 2 || few)) {
        f->why = am_arena_printf(f->arena,
                                 am_tr("the target has %zu distinct whole numbers in %llu rows"), n,
                                 (unsigned long long)rows);
        return true;
    }
    f->why = f->too_many || n > AUTO_CLASSES
                 ? am_arena_printf(f->arena,
                                   am_tr("the target is a number with over %d distinct values"),
                                   AUTO_CLASSES)
             : f->whole
                 ? am_arena_printf(f->arena,
                                   am_tr("the target has %zu distinct numbers in only %llu rows"),
                                   n, (unsigned long long)rows)
                 : am_arena_printf(f->arena, "%s", am_tr("the target has numbers with fractions"));
    return false;
}

static enum am_rc constant(const struct am_target_fit *f, struct am_str value, struct am_err *err)
{
    enum am_rc rc = am_fail(err, AM_EINVAL, "target \"%.*s\" is constant: every row is \"%.*s\"",
                            AM_FMT(f->config.name), AM_FMT(value));
    am_hint(err,
            "Choose another target, or give rows with other values: there is nothing to predict.");
    return rc;
}

static enum am_rc finish_regression(struct am_target_fit *f, struct am_target **out,
                                    struct am_err *err)
{
    char buf[AM_DOUBLE_CHARS];
    am_moments_flush(&f->moments);
    if (f->config.positive.ptr)
        return am_fail(err, AM_EUSAGE,
                       "data.positive names a class, but the task is regression: %.*s",
                       AM_FMT(f->why));
    if (f->moments.min == f->moments.max)
        return constant(f, am_target_label(AM_COL_NUMBER, f->moments.min, buf), err);
    double deviation = sqrt(am_moments_variance(&f->moments));
    if (!isfinite(deviation) || !isfinite(f->moments.mean))
        return am_fail(err, AM_EINVAL, "target \"%.*s\" has values too large to average",
                       AM_FMT(f->config.name));
    AM_TRY(am_target_new(f->config.name, f->config.type, AM_TASK_REGRESSION, 0, out, err));
    (*out)->mean = f->moments.mean;
    (*out)->deviation = deviation > 0 ? deviation : DBL_MIN;
    return AM_OK;
}

static enum am_rc check_classes(const struct am_target_fit *f, const struct am_label *labels,
                                size_t n, struct am_err *err)
{
    uint64_t least = f->config.min_class_rows ? f->config.min_class_rows : 2;
    if (n == 1)
        return constant(f, labels[0].text, err);
    if (n > AM_LIMIT_CLASSES || f->too_many)
        return many_classes(f, err);
    for (size_t i = 0; i < n; i++) {
        if (labels[i].count >= least)
            continue;
        enum am_rc rc =
            am_fail(err, AM_EINVAL, "target \"%.*s\": class \"%.*s\" has %llu row, %llu needed",
                    AM_FMT(f->config.name), AM_FMT(labels[i].text),
                    (unsigned long long)labels[i].count, (unsigned long long)least);
        am_hint(err, "Add rows of this class, or remove it with data.clean.where%s.",
                f->config.type == AM_COL_NUMBER ? am_tr("; or set `data: {task: regression}`")
                                                : "");
        return rc;
    }
    return AM_OK;
}

/* The positive class of two is the second. */
static enum am_rc place_positive(const struct am_target_fit *f, struct am_label *labels, size_t n,
                                 struct am_err *err)
{
    struct am_str positive = f->config.positive;
    double v;
    char buf[AM_DOUBLE_CHARS];
    if (positive.ptr == NULL)
        return AM_OK;
    if (f->config.type == AM_COL_NUMBER && am_parse_double(positive, AM_NUM_FINITE, &v))
        positive = am_target_label(AM_COL_NUMBER, v, buf);
    if (n != 2)
        return am_fail(err, AM_EUSAGE, "data.positive is for two classes, target \"%.*s\" has %zu",
                       AM_FMT(f->config.name), n);
    if (am_str_eq(labels[1].text, positive))
        return AM_OK;
    if (!am_str_eq(labels[0].text, positive)) {
        enum am_rc rc =
            am_fail(err, AM_EUSAGE, "data.positive \"%.*s\" is no class of target \"%.*s\"",
                    AM_FMT(positive), AM_FMT(f->config.name));
        am_hint(err, "The classes are \"%.*s\" and \"%.*s\".", AM_FMT(labels[0].text),
                AM_FMT(labels[1].text));
        return rc;
    }
    struct am_label first = labels[0];
    labels[0] = labels[1];
    labels[1] = first;
    return AM_OK;
}

static enum am_rc finish_classes(struct am_target_fit *f, struct am_label *labels,
                                 struct am_target **out, struct am_err *err)
{
    size_t n = f->counts.map.n;
    for (size_t i = 0; i < n; i++) {
        struct am_str key = f->counts.map.entries[i].key;
        if (is_number(f->config.type)) {
            char buf[AM_DOUBLE_CHARS];
            double v;
            memcpy(&v, key.ptr, sizeof v);
            key = am_arena_str(f->arena, am_target_label(f->config.type, v, buf));
        }
        labels[i] = (struct am_label){.text = key, .count = f->counts.n.ptr[i]};
    }
    AM_TRY(am_arena_check(f->arena, err));
    am_labels_sort(labels, n);
    const bool sets = f->config.want == AM_TARGET_LABELS;
    if (sets && n < 2) {
        am_fail(err, AM_EINVAL, "target \"%.*s\" has %zu labels, several are at least 2",
                AM_FMT(f->config.name), n);
        am_hint(err, "Check data.labels.separator, or leave data.labels out.");
        return AM_EINVAL;
    }
    if (!sets)
        AM_TRY(check_classes(f, labels, n, err));
    AM_TRY(place_positive(f, labels, n, err));
    struct am_target *t = NULL;
    AM_TRY(am_target_new(f->config.name, f->config.type,
                         sets     ? AM_TASK_MULTILABEL
                         : n == 2 ? AM_TASK_BINARY
                                  : AM_TASK_MULTICLASS,
                         n, &t, err));
    t->separator = am_arena_str(t->arena, f->config.separator);
    for (size_t i = 0; i < n; i++) {
        t->classes[i] = am_arena_str(t->arena, labels[i].text);
        t->rows[i] = labels[i].count;
    }
    enum am_rc rc = am_arena_check(t->arena, err);
    if (rc == AM_OK)
        rc = am_target_build(t, err);
    if (rc != AM_OK) {
        am_target_free(t);
        return rc;
    }
    *out = t;
    return AM_OK;
}

enum am_rc am_target_fit_finish(struct am_target_fit *f, struct am_target **out, struct am_err *err)
{
    if (f->n_rows == f->n_missing) {
        enum am_rc rc =
            f->n_rows == 0
                ? am_fail(err, AM_EINVAL, "target \"%.*s\": no row", AM_FMT(f->config.name))
                : am_fail(err, AM_EINVAL, "target \"%.*s\" is missing in all %llu rows",
                          AM_FMT(f->config.name), (unsigned long long)f->n_rows);
        am_hint(err, "Give rows with a known target.");
        return rc;
    }
    bool classes = choose_classes(f);
    if (f->why.ptr == NULL)
        return am_arena_check(f->arena, err);
    if (!classes)
        return finish_regression(f, out, err);
    struct am_label *labels = am_alloc_array(f->counts.map.n + 1, sizeof *labels);
    if (labels == NULL)
        return am_fail_nomem(err, f->counts.map.n * sizeof *labels);
    enum am_rc rc = finish_classes(f, labels, out, err);
    am_free(labels);
    return rc;
}

/* ---- models that learn rows ---- */

static size_t most_rows(const struct am_target *t)
{
    size_t best = 0;
    for (size_t i = 1; i < t->n_classes; i++)
        if (t->rows[i] > t->rows[best])
            best = i;
    return best;
}

/* Index of the class that a label of the recipe names ("0" of a boolean column too). */
static size_t named(const struct am_target *t, struct am_str label)
{
    char buf[AM_DOUBLE_CHARS];
    double v;
    size_t k = am_target_find(t, label);
    if (k == SIZE_MAX && is_number(t->type) && am_parse_double(label, AM_NUM_FINITE, &v))
        k = am_target_find(t, am_target_label(t->type, v, buf));
    return k;
}

static enum am_rc fill_normal(struct am_target *t, const struct am_target *classes,
                              const struct am_str *normal, size_t n_normal, struct am_err *err)
{
    struct am_str *labels = am_arena_array(t->arena, classes->n_classes + 1, sizeof *labels);
    bool *is_normal = am_arena_zalloc(t->arena, classes->n_classes + 1);
    AM_TRY(am_arena_check(t->arena, err));
    if (t->task == AM_TASK_CLUSTERING) {
        for (size_t k = 0; k < classes->n_classes; k++) {
            t->label_rows[0] += classes->rows[k];
            labels[t->n_normal++] = am_arena_str(t->arena, classes->classes[k]);
        }
        t->normal = labels;
        return am_arena_check(t->arena, err);
    }
    for (size_t i = 0; i < n_normal; i++) {
        size_t k = named(classes, normal[i]);
        if (k == SIZE_MAX) {
            am_fail(err, AM_EUSAGE, "data.normal names \"%.*s\", which no row of \"%.*s\" has",
                    AM_FMT(normal[i]), AM_FMT(classes->name));
            am_hint(err, "Its most frequent label is \"%.*s\".",
                    AM_FMT(classes->classes[most_rows(classes)]));
            return AM_EUSAGE;
        }
        is_normal[k] = true;
    }
    if (n_normal == 0)
        is_normal[most_rows(classes)] = true;
    for (size_t k = 0; k < classes->n_classes; k++) {
        t->label_rows[is_normal[k] ? 0 : 1] += classes->rows[k];
        if (is_normal[k])
            labels[t->n_normal++] = am_arena_str(t->arena, classes->classes[k]);
    }
    t->normal = labels;
    if (t->label_rows[1] == 0) {
        am_fail(err, AM_EUSAGE, "data.normal calls every row of \"%.*s\" normal",
                AM_FMT(classes->name));
        am_hint(err, "Name the normal labels only, or leave data.target out: nothing could be "
                     "measured with it.");
        return AM_EUSAGE;
    }
    return am_arena_check(t->arena, err);
}

enum am_rc am_target_own(enum am_task task, const struct am_target *classes,
                         const struct am_str *normal, size_t n_normal, struct am_target **out,
                         struct am_err *err)
{
    struct am_target *t;
    AM_TRY(am_target_new(classes ? classes->name : AM_STR(""),
                         classes ? classes->type : AM_COL_NUMBER, task, 0, &t, err));
    t->deviation = task == AM_TASK_RECOMMENDATION ? 1 : 0;
    if (classes && task == AM_TASK_RECOMMENDATION) { /* ratings */
        t->mean = classes->mean;
        t->deviation = classes->deviation;
        *out = t;
        return AM_OK;
    }
    enum am_rc rc = classes ? fill_normal(t, classes, normal, n_normal, err) : AM_OK;
    if (rc != AM_OK) {
        am_target_free(t);
        return rc;
    }
    *out = t;
    return AM_OK;
}
