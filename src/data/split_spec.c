/* The recipe's words for splits, samples and folds, read into specs. The recipe checker has looked
 * at types and ranges already; what it cannot know (the target's kind) is decided here. */
#include "data/split.h"

#include <math.h>

static enum am_rc read_by(const struct am_node *split, struct am_str target, bool target_is_class,
                          struct am_split_spec *out, struct am_err *err)
{
    struct am_str by = am_node_str(split, "by", "auto");
    enum am_rc rc;
    if (am_str_is(by, "auto"))
        by = target_is_class ? AM_STR("stratified") : AM_STR("random");
    if (am_str_is(by, "random")) {
        out->by = AM_SPLIT_RANDOM;
        return AM_OK;
    }
    if (am_str_is(by, "hash")) {
        out->by = AM_SPLIT_HASH;
        return AM_OK;
    }
    if (am_str_is(by, "stratified")) {
        out->by = AM_SPLIT_STRATIFIED;
        out->column = target;
        if (target.ptr && target_is_class)
            return AM_OK;
        rc = am_fail(err, AM_EUSAGE, "data.split.by: stratified needs a target of classes");
        am_hint(err, "Say by: random, or data.types: {%.*s: category}.", AM_FMT(target));
        return rc;
    }
    if (am_str_is(by, "given")) {
        out->by = AM_SPLIT_GIVEN;
        out->column = am_node_str(split, "column", "split");
        if (target_is_class)
            out->classes = target;
        return AM_OK;
    }
    bool group = am_str_is(by, "group");
    out->by = group ? AM_SPLIT_GROUP : AM_SPLIT_TIME;
    out->column = am_node_str(split, group ? "group" : "time", "");
    if (out->column.len > 0)
        return AM_OK;
    rc = am_fail(err, AM_EUSAGE, "data.split.by: %s needs data.split.%s, the column",
                 group ? "group" : "time", group ? "group" : "time");
    am_hint(err, "Name the column: data.split: {by: %s, %s: COLUMN}.", group ? "group" : "time",
            group ? "group" : "time");
    return rc;
}

/* Of a list; *n = 0 when it is none. The checker saw that it holds scalars. */
static enum am_rc read_texts(const struct am_node *list, struct am_arena *a,
                             const struct am_str **out, size_t *n, struct am_err *err)
{
    *n = 0;
    if (!list || list->kind != AM_NODE_LIST || list->list.n == 0)
        return AM_OK;
    struct am_str *texts = am_arena_array(a, list->list.n, sizeof *texts);
    if (!texts)
        return am_fail_nomem(err, list->list.n * sizeof *texts);
    for (size_t i = 0; i < list->list.n; i++)
        if (am_node_as_str(list->list.items[i], &texts[*n]))
            ++*n;
    *out = texts;
    return AM_OK;
}

static enum am_rc read_test_groups(const struct am_node *test, struct am_arena *a,
                                   struct am_split_spec *out, struct am_err *err)
{
    if (!test || test->kind != AM_NODE_LIST)
        return AM_OK;
    if (out->by != AM_SPLIT_GROUP || test->list.n == 0) {
        enum am_rc rc = am_fail(err, AM_EUSAGE, "data.split.test names groups, but the split is %s",
                                test->list.n ? am_tr("not by group") : am_tr("of none"));
        am_hint(err, "Write data.split: {by: group, group: COLUMN, test: [VALUE]}, or a share.");
        return rc;
    }
    out->test = 0; /* as many as they have */
    return read_texts(test, a, &out->test_groups, &out->n_test_groups, err);
}

enum am_rc am_split_spec_from_node(const struct am_node *split, struct am_str target,
                                   bool target_is_class, struct am_arena *a,
                                   struct am_split_spec *out, struct am_err *err)
{
    *out = (struct am_split_spec){.test = am_node_f64(split, "test", 0.2), .validation = 0.2};
    out->seed = (uint64_t)am_node_i64(split, "seed", 42);
    AM_TRY(read_by(split, target, target_is_class, out, err));
    const struct am_node *validation = am_node_get(split, "validation");
    if (validation && validation->kind == AM_NODE_MAP) {
        out->validation = am_node_f64(validation, "share", 0.2);
        if (am_str_is(am_node_str(validation, "of", "all"), "train"))
            out->validation_of = AM_SPLIT_OF_TRAIN;
        if (am_str_is(am_node_str(validation, "take", "random"), "last"))
            out->validation_take = AM_SPLIT_TAKE_LAST;
    } else if (validation) {
        out->validation = am_node_f64(split, "validation", 0.2);
    }
    if (out->by == AM_SPLIT_GIVEN)
        out->test = 0; /* as many as are given */
    struct am_str leaks = am_node_str(split, "leaks", "group");
    out->leaks = am_str_is(leaks, "error")    ? AM_LEAKS_ERROR
                 : am_str_is(leaks, "warn")   ? AM_LEAKS_WARN
                 : am_str_is(leaks, "ignore") ? AM_LEAKS_IGNORE
                                              : AM_LEAKS_GROUP;
    AM_TRY(read_test_groups(am_node_get(split, "test"), a, out, err));
    return read_texts(am_node_get(split, "hash"), a, &out->hash_columns, &out->n_hash_columns, err);
}

enum am_rc am_sample_from_node(const struct am_node *sample, uint8_t *parts, uint64_t n_rows,
                               struct am_err *err)
{
    if (!sample || sample->kind != AM_NODE_MAP)
        return AM_OK;
    uint64_t kept = 0;
    for (uint64_t i = 0; i < n_rows; i++)
        kept += parts[i] != AM_ROW_DROPPED;
    int64_t rows = am_node_i64(sample, "rows", 0);
    double share = am_node_f64(sample, "share", NAN);
    if (rows > 0 && !isnan(share)) {
        enum am_rc rc = am_fail(err, AM_EUSAGE, "data.sample says both rows and share");
        am_hint(err, "Say one of them.");
        return rc;
    }
    uint64_t keep = rows > 0        ? (uint64_t)rows
                    : !isnan(share) ? (uint64_t)llround(share * (double)kept)
                                    : kept;
    if (keep >= kept)
        return AM_OK;
    return am_sample_rows(keep, (uint64_t)am_node_i64(sample, "seed", 42), parts, n_rows, err);
}
