/* A small table with every column type and missing cells, made from counters; and its features,
 * every transform at least once. Shared by the tests of feature/. */
#ifndef AM_TESTS_FEATURE_TABLE_H
#define AM_TESTS_FEATURE_TABLE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/rng.h"
#include "feature/fit.h"

#define ROWS 2500
#define COLUMNS 13

static struct am_err err;

#define OK(call)                                                                                   \
    do {                                                                                           \
        if ((call) != AM_OK)                                                                       \
            fail_msg("%s: %s (%s)", #call, err.message, err.hint);                                 \
    } while (0)

static const struct am_column_desc table_columns[COLUMNS] = {
    {AM_STR_INIT("std"), AM_COL_NUMBER},     {AM_STR_INIT("minmax"), AM_COL_NUMBER},
    {AM_STR_INIT("robust"), AM_COL_NUMBER},  {AM_STR_INIT("log"), AM_COL_NUMBER},
    {AM_STR_INIT("rank"), AM_COL_NUMBER},    {AM_STR_INIT("flag"), AM_COL_BOOLEAN},
    {AM_STR_INIT("color"), AM_COL_CATEGORY}, {AM_STR_INIT("size"), AM_COL_CATEGORY},
    {AM_STR_INIT("town"), AM_COL_CATEGORY},  {AM_STR_INIT("code"), AM_COL_CATEGORY},
    {AM_STR_INIT("note"), AM_COL_TEXT},      {AM_STR_INIT("day"), AM_COL_DATE},
    {AM_STR_INIT("mode"), AM_COL_NUMBER},
};
static const struct am_schema table_schema = {table_columns, COLUMNS};

static const char table_spec[] = "minmax: {scale: min-max, impute: median}\n"
                                 "robust: {scale: robust, indicator: true}\n"
                                 "log: {scale: log, unit: {from: kg, to: g}}\n"
                                 "rank: {scale: quantile, quantiles: 100, impute: {constant: 3}}\n"
                                 "color: {max_categories: 4}\n"
                                 "size: {encode: ordinal, impute: mode}\n"
                                 "town: {encode: target}\n"
                                 "code: {encode: hash, buckets: 16, impute: {constant: none}}\n"
                                 "note: {buckets: 8, indicator: true}\n"
                                 "day: {parts: [year, month, days, hour], impute: median}\n"
                                 "mode: {impute: mode}\n";

struct table {
    double numbers[7][ROWS];
    struct am_str texts[5][ROWS];
    int64_t dates[ROWS];
    double y[ROWS];
    struct am_column columns[COLUMNS];
    char pool[ROWS * 5][24];
};

static uint64_t draw(uint64_t row, uint64_t column)
{
    uint32_t r[4];
    am_rng_block(99, AM_RNG_USER + column, row, r);
    return (uint64_t)r[0] << 32 | r[1];
}

static void table_text(struct table *t, size_t k, size_t row, uint64_t r)
{
    char *s = t->pool[row * 5 + k];
    int n = k == 4 ? snprintf(s, 24, "Word%u, w%u %s", (unsigned)(r % 5), (unsigned)(r % 7),
                              r % 3 ? "\xE4\xB8\xAD\xE6\x96\x87" : "x")
                   : snprintf(s, 24, "v%u", (unsigned)((r % 97) * (r % 89) % (k == 3 ? 300 : 9)));
    t->texts[k][row] = r % 11 == 0 ? (struct am_str){NULL, 0} : (struct am_str){s, (size_t)n};
}

static inline void table_init(struct table *t)
{
    size_t n_number = 0, n_text = 0;
    for (size_t i = 0; i < ROWS; i++) {
        for (size_t k = 0; k < 7; k++) {
            uint64_t r = draw(i, k);
            double v = ldexp((double)(r >> 11), -53) * 40 - 13;
            v = k == 3             ? v * v * v
                : k == 5           ? (double)(r % 3 == 0)
                : k == 6 || k == 4 ? floor(v)
                                   : v;
            t->numbers[k][i] = r % 13 == 0             ? (double)NAN
                               : k == 0 && r % 50 == 1 ? (double)INFINITY
                                                       : v;
        }
        for (size_t k = 0; k < 5; k++)
            table_text(t, k, i, draw(i, 20 + k));
        uint64_t r = draw(i, 30);
        t->dates[i] =
            r % 17 == 0 ? AM_DATE_MISSING : (int64_t)(r % 4000000000000000) - 1000000000000000;
        t->y[i] = (double)(draw(i, 31) % 1000) / 7;
    }
    for (size_t c = 0; c < COLUMNS; c++) {
        t->columns[c].type = table_columns[c].type;
        if (t->columns[c].type == AM_COL_DATE)
            t->columns[c].date = t->dates;
        else if (t->columns[c].type == AM_COL_NUMBER || t->columns[c].type == AM_COL_BOOLEAN)
            t->columns[c].number = t->numbers[n_number++];
        else
            t->columns[c].text = t->texts[n_text++];
    }
}

/* Rows [first, first + n) as a batch; columns: [COLUMNS] scratch. */
static inline struct am_batch table_slice(const struct table *t, size_t first, size_t n,
                                          struct am_column *columns)
{
    for (size_t c = 0; c < COLUMNS; c++) {
        columns[c] = t->columns[c];
        if (columns[c].type == AM_COL_DATE)
            columns[c].date += first;
        else if (columns[c].type == AM_COL_NUMBER || columns[c].type == AM_COL_BOOLEAN)
            columns[c].number += first;
        else
            columns[c].text += first;
    }
    return (struct am_batch){
        .n_rows = n, .n_columns = COLUMNS, .columns = columns, .first_row = first};
}

static struct am_node *spec_of(struct am_arena *a, const char *yaml)
{
    struct am_node *n = NULL;
    OK(am_yaml_parse(a, am_str(yaml), "spec", &n, &err));
    return n;
}

#endif
