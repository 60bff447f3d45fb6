/* Features of one column, fitted from cells. Shared by the tests of pictures and videos. */
#ifndef AM_TESTS_FEATURE_CELLS_H
#define AM_TESTS_FEATURE_CELLS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "feature/fit.h"

static struct am_err err;

#define OK(call)                                                                                   \
    do {                                                                                           \
        if ((call) != AM_OK)                                                                       \
            fail_msg("%s: %s (%s)", #call, err.message, err.hint);                                 \
    } while (0)

static struct am_batch batch_of(enum am_col_type type, struct am_column *c,
                                const struct am_str *cells, size_t n, uint64_t first)
{
    *c = (struct am_column){.type = type, .text = cells};
    return (struct am_batch){.n_rows = n, .n_columns = 1, .columns = c, .first_row = first};
}

/* With batches of `cut` rows. yaml and notes may be NULL. */
static enum am_rc fit_cells(const struct am_column_desc *column, const char *yaml,
                            const struct am_str *cells, size_t n, size_t cut, struct am_pool *pool,
                            struct am_arena *a, struct am_features **out, struct am_node **notes)
{
    const struct am_schema schema = {column, 1};
    struct am_node *spec = NULL;
    struct am_features_fit *fit = NULL;
    struct am_column c;
    *out = NULL;
    enum am_rc rc = yaml ? am_yaml_parse(a, am_str(yaml), "spec", &spec, &err) : AM_OK;
    struct am_features_config config = {.spec = spec, .schema = &schema, .pool = pool};
    if (rc == AM_OK)
        rc = am_features_fit_new(&config, &fit, &err);
    for (size_t i = 0; i < n && rc == AM_OK; i += cut) {
        struct am_batch b = batch_of(column->type, &c, cells + i, n - i < cut ? n - i : cut, i);
        rc = am_features_fit_update(fit, &b, NULL, NULL, &err);
    }
    if (rc == AM_OK)
        rc = am_features_fit_finish(fit, out, &err);
    if (rc == AM_OK && notes)
        *notes = am_features_fit_notes(fit, a);
    am_features_fit_free(fit);
    return rc;
}

#endif
