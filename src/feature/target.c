/* The target applied: labels to class indices or values, and its file form. Fitting is
 * target_fit.c.
 *
 * Immutable after am_target_build(); any thread. */
#include "feature/target_int.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/num.h"

struct am_str am_target_label(enum am_col_type type, double v, char *buf)
{
    if (type == AM_COL_BOOLEAN)
        return v > 0.5 ? AM_STR("true") : AM_STR("false");
    return (struct am_str){buf, am_print_double(v + 0.0, buf)};
}

enum am_rc am_target_new(struct am_str name, enum am_col_type type, enum am_task task,
                         size_t n_classes, struct am_target **out, struct am_err *err)
{
    struct am_arena *a = am_arena_new(0);
    if (a == NULL)
        return am_fail_nomem(err, sizeof(struct am_target));
    struct am_target *t = am_arena_zalloc(a, sizeof *t);
    enum am_rc rc = am_arena_check(a, err);
    if (rc == AM_OK) {
        *t = (struct am_target){.arena = a, .type = type, .task = task, .n_classes = n_classes};
        am_map_init(&t->map);
        t->name = am_arena_str(a, name);
        t->classes = am_arena_array(a, n_classes + 1, sizeof *t->classes);
        t->rows = am_arena_array(a, n_classes + 1, sizeof *t->rows);
        t->numbers = am_arena_array(a, n_classes + 1, sizeof *t->numbers);
        rc = am_arena_check(a, err);
    }
    if (rc != AM_OK) {
        am_arena_free(a);
        return rc;
    }
    *out = t;
    return AM_OK;
}

void am_target_free(struct am_target *t)
{
    if (t == NULL)
        return;
    am_map_clear(&t->map);
    am_arena_free(t->arena);
}

static enum am_rc corrupt(const struct am_target *t, struct am_str label, struct am_err *err)
{
    return am_fail(err, AM_ECORRUPT, "target \"%.*s\": bad or repeated class \"%.*s\"",
                   AM_FMT(t->name), AM_FMT(label));
}

static enum am_rc number_of(const struct am_target *t, struct am_str label, double *v,
                            struct am_err *err)
{
    if (t->type == AM_COL_BOOLEAN && (am_str_is(label, "true") || am_str_is(label, "false")))
        *v = am_str_is(label, "true") ? 1 : 0;
    else if (t->type == AM_COL_BOOLEAN || !am_parse_double(label, AM_NUM_FINITE, v))
        return corrupt(t, label, err);
    return AM_OK;
}

static int by_value(const void *a, const void *b)
{
    const struct am_target_number *x = a, *y = b;
    return (x->value > y->value) - (x->value < y->value);
}

enum am_rc am_target_build(struct am_target *t, struct am_err *err)
{
    bool numbers = t->type == AM_COL_NUMBER || t->type == AM_COL_BOOLEAN;
    for (size_t i = 0; i < t->n_classes; i++) {
        if (am_map_get(&t->map, t->classes[i]))
            return corrupt(t, t->classes[i], err);
        AM_TRY(am_map_put(&t->map, t->classes[i], i, err));
        t->numbers[i].class_index = (uint32_t)i;
        if (numbers)
            AM_TRY(number_of(t, t->classes[i], &t->numbers[i].value, err));
    }
    if (!numbers)
        return AM_OK;
    qsort(t->numbers, t->n_classes, sizeof *t->numbers, by_value);
    for (size_t i = 1; i < t->n_classes; i++) {
        if (t->numbers[i].value == t->numbers[i - 1].value)
            return corrupt(t, t->classes[t->numbers[i].class_index], err);
    }
    return AM_OK;
}

/* ---- reading it ---- */

enum am_task am_target_task(const struct am_target *t)
{
    return t->task;
}
struct am_str am_target_name(const struct am_target *t)
{
    return t->name;
}
enum am_col_type am_target_type(const struct am_target *t)
{
    return t->type;
}
size_t am_target_n_classes(const struct am_target *t)
{
    return t->n_classes;
}
struct am_str am_target_class(const struct am_target *t, size_t i)
{
    return t->classes[i];
}
uint64_t am_target_class_rows(const struct am_target *t, size_t i)
{
    return t->rows[i];
}
double am_target_mean(const struct am_target *t)
{
    return t->mean;
}
double am_target_deviation(const struct am_target *t)
{
    return t->deviation;
}

size_t am_target_n_normal(const struct am_target *t)
{
    return t->n_normal;
}
struct am_str am_target_normal(const struct am_target *t, size_t i)
{
    return t->normal[i];
}
uint64_t am_target_label_rows(const struct am_target *t, unsigned anomalous)
{
    return t->label_rows[anomalous];
}

size_t am_target_find(const struct am_target *t, struct am_str label)
{
    const uint64_t *at = am_map_get(&t->map, label);
    return at ? (size_t)*at : SIZE_MAX;
}

/* SIZE_MAX when v is no class */
static size_t find_number(const struct am_target *t, double v)
{
    size_t lo = 0, hi = t->n_classes;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (t->numbers[mid].value < v)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < t->n_classes && t->numbers[lo].value == v ? t->numbers[lo].class_index : SIZE_MAX;
}

static enum am_rc unseen(const struct am_target *t, struct am_str label, uint64_t row,
                         struct am_err *err)
{
    enum am_rc rc =
        am_fail(err, AM_EINVAL,
                "target \"%.*s\": row %llu has the class \"%.*s\", which training did not see",
                AM_FMT(t->name), (unsigned long long)row + 1, AM_FMT(label));
    am_hint(err, "Remove such rows, or train again with rows of this class.");
    return rc;
}

/* Any label counts, also one that training did not see. Anomalies: is it none of the normal ones;
 * clusters: its place in the list, new ones behind it. */
static void encode_labels(const struct am_target *t, const struct am_column *c, size_t n_rows,
                          double *out)
{
    bool numbers = t->type == AM_COL_NUMBER || t->type == AM_COL_BOOLEAN;
    char buf[AM_DOUBLE_CHARS];
    for (size_t i = 0; i < n_rows; i++) {
        bool missing = numbers ? !isfinite(c->number[i]) : c->text[i].ptr == NULL;
        out[i] = (double)NAN;
        if (missing)
            continue;
        struct am_str label = numbers ? am_target_label(t->type, c->number[i], buf) : c->text[i];
        bool clusters = t->task == AM_TASK_CLUSTERING;
        out[i] = clusters ? (double)t->n_normal : 1;
        for (size_t k = 0; k < t->n_normal; k++)
            if (am_str_eq(label, t->normal[k]))
                out[i] = clusters ? (double)k : 0;
    }
}

bool am_target_next_label(struct am_str separator, struct am_str *rest, struct am_str *out)
{
    while (rest->len > 0 && separator.len > 0) {
        size_t end = 0;
        while (end + separator.len <= rest->len &&
               memcmp(rest->ptr + end, separator.ptr, separator.len) != 0)
            end++;
        const bool last = end + separator.len > rest->len;
        *out = (struct am_str){rest->ptr, last ? rest->len : end};
        const size_t taken = last ? rest->len : end + separator.len;
        *rest = (struct am_str){rest->ptr + taken, rest->len - taken};
        *out = am_str_trim(*out);
        if (out->len > 0)
            return true;
    }
    return false;
}

/* The set of a row's labels, bit by bit; a missing cell is a row without any. */
static enum am_rc encode_set(const struct am_target *t, const struct am_column *c, size_t n_rows,
                             uint64_t first_row, double *out, struct am_err *err)
{
    for (size_t i = 0; i < n_rows; i++) {
        struct am_str rest = c->text[i], label;
        uint32_t set = 0;
        while (rest.ptr && am_target_next_label(t->separator, &rest, &label)) {
            const size_t k = am_target_find(t, label);
            if (k == SIZE_MAX)
                return unseen(t, label, first_row + i, err);
            set |= (uint32_t)1 << k;
        }
        out[i] = (double)set;
    }
    return AM_OK;
}

enum am_rc am_target_encode(const struct am_target *t, const struct am_column *c, size_t n_rows,
                            uint64_t first_row, double *out, struct am_err *err)
{
    if (c->type != t->type)
        return am_fail(err, AM_EINVAL, "target \"%.*s\" is of type %s, the model was trained on %s",
                       AM_FMT(t->name), am_col_type_name(c->type), am_col_type_name(t->type));
    bool numbers = t->type == AM_COL_NUMBER || t->type == AM_COL_BOOLEAN;
    char buf[AM_DOUBLE_CHARS];
    if (t->task == AM_TASK_MULTILABEL)
        return encode_set(t, c, n_rows, first_row, out, err);
    if (am_task_is_own(t->task)) {
        encode_labels(t, c, n_rows, out);
        return AM_OK;
    }
    for (size_t i = 0; i < n_rows; i++) {
        bool missing = numbers ? !isfinite(c->number[i]) : c->text[i].ptr == NULL;
        out[i] = (double)NAN;
        if (missing)
            continue;
        if (t->task == AM_TASK_REGRESSION || t->task == AM_TASK_RECOMMENDATION) {
            out[i] = c->number[i];
            continue;
        }
        size_t k = numbers ? find_number(t, c->number[i]) : am_target_find(t, c->text[i]);
        if (k == SIZE_MAX)
            return unseen(t, numbers ? am_target_label(t->type, c->number[i], buf) : c->text[i],
                          first_row + i, err);
        out[i] = (double)k;
    }
    return AM_OK;
}

struct am_node *am_target_label_node(const struct am_target *t, size_t i, struct am_arena *a)
{
    double v;
    struct am_str label = t->classes[i];
    if (t->type == AM_COL_BOOLEAN)
        return am_new_bool(a, am_str_is(label, "true"));
    if (t->type != AM_COL_NUMBER || !am_parse_double(label, AM_NUM_FINITE, &v))
        return am_new_str(a, label);
    if (v == floor(v) && fabs(v) < 9e15)
        return am_new_i64(a, (int64_t)v);
    return am_new_f64(a, v);
}

/* ---- file form ---- */

struct am_node *am_target_to_node(const struct am_target *t, struct am_arena *a)
{
    struct am_node *m = am_new_map(a);
    am_node_set(a, m, "name", am_new_str(a, t->name));
    am_node_set(a, m, "type", am_new_cstr(a, am_col_type_name(t->type)));
    am_node_set(a, m, "task", am_new_cstr(a, am_task_name(t->task)));
    if (t->task == AM_TASK_REGRESSION || t->task == AM_TASK_RECOMMENDATION) {
        if (t->name.len == 0)
            am_node_set(a, m, "name", am_new_null(a));
        am_node_set(a, m, "mean", am_new_f64(a, t->mean));
        am_node_set(a, m, "deviation", am_new_f64(a, t->deviation));
        return m;
    }
    struct am_node *classes = am_new_list(a), *rows = am_new_list(a);
    if (am_task_is_own(t->task)) {
        if (t->name.len == 0)
            am_node_set(a, m, "name", am_new_null(a));
        for (size_t i = 0; i < t->n_normal; i++)
            am_node_push(a, classes, am_new_str(a, t->normal[i]));
        for (unsigned i = 0; i < 2; i++)
            am_node_push(a, rows, am_new_i64(a, (int64_t)t->label_rows[i]));
        am_node_set(a, m, "normal", classes);
        am_node_set(a, m, "rows", rows);
        return m;
    }
    for (size_t i = 0; i < t->n_classes; i++) {
        am_node_push(a, classes, am_new_str(a, t->classes[i]));
        am_node_push(a, rows, am_new_i64(a, (int64_t)t->rows[i]));
    }
    am_node_set(a, m, "classes", classes);
    am_node_set(a, m, "rows", rows);
    if (t->task == AM_TASK_MULTILABEL)
        am_node_set(a, m, "separator", am_new_str(a, t->separator));
    return m;
}

static enum am_rc bad(const char *what, struct am_err *err)
{
    return am_fail(err, AM_ECORRUPT, "target: %s", am_tr(what));
}

static enum am_rc read_classes(struct am_target *t, const struct am_node *classes,
                               const struct am_node *rows, struct am_err *err)
{
    for (size_t i = 0; i < t->n_classes; i++) {
        struct am_str label;
        int64_t n = 0;
        if (!am_node_as_str(classes->list.items[i], &label))
            return bad("a class is not a text", err);
        if (rows && (!am_node_as_i64(rows->list.items[i], &n) || n < 0))
            return bad("the rows of a class are not a count", err);
        t->classes[i] = am_arena_str(t->arena, label);
        t->rows[i] = (uint64_t)n;
    }
    AM_TRY(am_arena_check(t->arena, err));
    return am_target_build(t, err);
}

static enum am_rc read_header(const struct am_node *n, struct am_str *name, enum am_col_type *type,
                              enum am_task *task, struct am_err *err)
{
    if (!am_task_parse(am_node_str(n, "task", ""), task))
        return bad("no known task", err);
    *name = (struct am_str){"", 0};
    if (!am_node_as_str(am_node_get(n, "name"), name) &&
        !(am_task_target_optional(*task) && am_node_is_null(am_node_get(n, "name"))))
        return bad("no name", err);
    if (!am_col_type_parse(am_node_str(n, "type", ""), type) || *type == AM_COL_DATE ||
        ((*task == AM_TASK_REGRESSION || *task == AM_TASK_RECOMMENDATION) &&
         *type != AM_COL_NUMBER && *type != AM_COL_BOOLEAN))
        return bad("no type that suits the task", err);
    return AM_OK;
}

static enum am_rc read_labels(struct am_target *t, const struct am_node *normal,
                              const struct am_node *rows, struct am_err *err)
{
    size_t n = normal && normal->kind == AM_NODE_LIST ? normal->list.n : SIZE_MAX;
    if (n > AM_LIMIT_CLASSES || (n == 0) != (t->name.len == 0))
        return bad("the normal labels are no list that suits the name", err);
    struct am_str *labels = am_arena_array(t->arena, n + 1, sizeof *labels), label;
    AM_TRY(am_arena_check(t->arena, err));
    for (size_t i = 0; i < n; i++) {
        if (!am_node_as_str(normal->list.items[i], &label))
            return bad("a normal label is not a text", err);
        labels[i] = am_arena_str(t->arena, label);
    }
    for (size_t i = 0; i < 2; i++) {
        int64_t k;
        if (!rows || rows->kind != AM_NODE_LIST || rows->list.n != 2 ||
            !am_node_as_i64(rows->list.items[i], &k) || k < 0)
            return bad("the rows of the labels are not two counts", err);
        t->label_rows[i] = (uint64_t)k;
    }
    t->normal = labels;
    t->n_normal = n;
    return am_arena_check(t->arena, err);
}

/* Are there as many classes as the task has? */
static bool classes_suit(const struct am_node *classes, enum am_task task)
{
    if (classes == NULL || classes->kind != AM_NODE_LIST || classes->list.n > AM_LIMIT_CLASSES)
        return false;
    if (task == AM_TASK_MULTILABEL)
        return classes->list.n >= 2 && classes->list.n <= AM_LIMIT_LABELS;
    return task == AM_TASK_BINARY ? classes->list.n == 2 : classes->list.n >= 3;
}

enum am_rc am_target_from_node(const struct am_node *n, struct am_target **out, struct am_err *err)
{
    struct am_str name;
    enum am_col_type type;
    enum am_task task = AM_TASK_REGRESSION;
    AM_TRY(read_header(n, &name, &type, &task, err));
    const struct am_node *classes = am_node_get(n, "classes"), *rows = am_node_get(n, "rows");
    size_t n_classes = 0;
    if (am_task_has_classes(task) || task == AM_TASK_MULTILABEL) {
        if (!classes_suit(classes, task))
            return bad("the number of classes does not suit the task", err);
        n_classes = classes->list.n;
        if (rows != NULL && (rows->kind != AM_NODE_LIST || rows->list.n != n_classes))
            return bad("rows are not a list of one a class", err);
    }
    struct am_target *t = NULL;
    AM_TRY(am_target_new(name, type, task, n_classes, &t, err));
    t->separator = am_arena_str(t->arena, am_node_str(n, "separator", ";"));
    t->mean = am_node_f64(n, "mean", 0);
    const bool number = task == AM_TASK_REGRESSION || task == AM_TASK_RECOMMENDATION;
    t->deviation = am_node_f64(n, "deviation", number ? 1 : 0);
    enum am_rc rc = AM_OK;
    if (!isfinite(t->mean) || !isfinite(t->deviation) || (number && !(t->deviation > 0)))
        rc = bad("mean or deviation is not usable", err);
    if (rc == AM_OK)
        rc = am_arena_check(t->arena, err);
    if (rc == AM_OK && task == AM_TASK_MULTILABEL &&
        (t->separator.len == 0 || t->separator.len > 8 || !am_col_is_string(type)))
        rc = bad("no separator or no texts of labels", err);
    if (rc == AM_OK)
        rc = am_task_is_own(task) ? read_labels(t, am_node_get(n, "normal"), rows, err)
                                  : read_classes(t, classes, rows, err);
    if (rc != AM_OK) {
        am_target_free(t);
        return rc;
    }
    *out = t;
    return AM_OK;
}
