/* Shared by the tests of data/: one table engine for the process, a scratch folder, small files. */
#ifndef AM_TESTS_DATA_SUPPORT_H
#define AM_TESTS_DATA_SUPPORT_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "data/clean.h"
#include "data/dataset.h"
#include "data/shard.h"
#include "data/split.h"
#include "platform/modules.h"

static struct am_tables tables;
static char scratch[64];
static unsigned n_made; /* numbers files and folders */

__attribute__((unused)) static int support_setup(void **state)
{
    (void)state;
    snprintf(scratch, sizeof scratch, "/tmp/am-data-test.XXXXXX");
    if (!mkdtemp(scratch))
        return -1;
    struct am_err err;
    struct am_tables_config config = {.n_threads = 2, .temp_dir = scratch};
    if (am_tables_open(NULL, &config, &tables, &err) != AM_OK) {
        fprintf(stderr, "%s (%s)\n", err.message, err.hint);
        return -1;
    }
    return 0;
}

__attribute__((unused)) static int support_teardown(void **state)
{
    (void)state;
    am_tables_close(&tables);
    return am_fs_remove_tree(scratch, NULL) == AM_OK ? 0 : -1;
}

/* A file of these bytes; the name lives until the next 16 calls. */
__attribute__((unused)) static const char *make_file(const char *name, const void *bytes, size_t n)
{
    static char paths[16][256];
    char *path = paths[n_made++ % 16];
    snprintf(path, sizeof paths[0], "%s/%u-%s", scratch, n_made, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    return path;
}
__attribute__((unused)) static const char *make_text(const char *name, const char *text)
{
    return make_file(name, text, strlen(text));
}

/* Imports one spec into a new folder; *dir gets its name. */
__attribute__((unused)) static enum am_rc import_spec(const char *spec, struct am_import_options *o,
                                                      struct am_arena *a,
                                                      struct am_dataset_info *info, char dir[128],
                                                      struct am_err *err)
{
    struct am_str s = am_str(spec);
    o->source.specs = &s;
    o->source.n_specs = 1;
    o->source.temp_dir = scratch;
    snprintf(dir, 128, "%s/dataset-%u", scratch, n_made++);
    return am_dataset_import(&tables, a, o, dir, info, err);
}

/* A table over arrays in memory, cut into batches of `cut` rows. */
struct memory_table {
    struct am_schema schema;
    const struct am_column *columns; /* [schema.n] */
    uint64_t n_rows;
    size_t cut;
};
struct am_table_iter {
    const struct memory_table *m;
    uint64_t at;
    size_t n, pick[64];
    struct am_column columns[64];
    struct am_batch batch;
};
static const struct am_schema *memory_schema(void *impl)
{
    return &((struct memory_table *)impl)->schema;
}
static uint64_t memory_rows(void *impl)
{
    return ((struct memory_table *)impl)->n_rows;
}
static enum am_rc memory_open(void *impl, const size_t *columns, size_t n,
                              struct am_table_iter **out, struct am_err *err)
{
    struct am_table_iter *it = am_calloc(1, sizeof *it);
    if (!it)
        return am_fail_nomem(err, sizeof *it);
    it->m = impl;
    it->n = columns ? n : it->m->schema.n;
    for (size_t i = 0; i < it->n; i++)
        it->pick[i] = columns ? columns[i] : i;
    *out = it;
    return AM_OK;
}
static enum am_rc memory_next(struct am_table_iter *it, const struct am_batch **out,
                              struct am_err *err)
{
    (void)err;
    *out = NULL;
    if (it->at >= it->m->n_rows)
        return AM_OK;
    size_t left = (size_t)(it->m->n_rows - it->at);
    for (size_t i = 0; i < it->n; i++) {
        it->columns[i] = it->m->columns[it->pick[i]];
        if (it->columns[i].type == AM_COL_CATEGORY || it->columns[i].type == AM_COL_TEXT)
            it->columns[i].text += it->at;
        else if (it->columns[i].type == AM_COL_DATE)
            it->columns[i].date += it->at;
        else
            it->columns[i].number += it->at;
    }
    it->batch =
        (struct am_batch){left < it->m->cut ? left : it->m->cut, it->n, it->columns, it->at};
    it->at += it->batch.n_rows;
    *out = &it->batch;
    return AM_OK;
}
static void memory_close(struct am_table_iter *it)
{
    am_free(it);
}
static void memory_free(void *impl)
{
    (void)impl;
}
__attribute__((unused)) static const struct am_table_ops memory_ops = {
    memory_schema, memory_rows, memory_open, memory_next, memory_close, memory_free};

#endif
