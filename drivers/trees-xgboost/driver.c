/* The driver trees-xgboost: the port of learn/trees.h over XGBoost's C API.
 *
 * XGBoost bins the rows through its iterators (a byte a number in memory, or pages in a folder) and
 * grows histogram trees on gradients that come from outside; nothing else of it is used. It gets
 * numbers of ours, no foreign bytes; its model comes back as Universal Binary JSON (ubj.h) and is
 * read strictly all the same (model.c). A booster belongs to one thread at a time; its own threads
 * are OpenMP's. */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xgboost/c_api.h>

#include "driver_int.h"
#include "tensor/ports_abi.h"

const struct am_host *host;

struct reading { /* what an iterator of XGBoost is handed */
    const struct am_boost_rows *rows;
    DMatrixHandle proxy;
    uint64_t at; /* the next row */
    enum am_rc rc;
    struct am_err *err;
};

enum am_rc fail_library(struct am_err *err, const char *doing)
{
    const char *why = XGBGetLastError();
    /* the first line tells; a trace follows */
    return fail_at(err, AM_EIO, "XGBoost cannot %s: %.*s", doing, (int)strcspn(why, "\n"), why);
}

static void reset(DataIterHandle handle)
{
    struct reading *r = handle;
    r->at = 0;
}

static int set_batch(struct reading *r, const float *x, const struct am_csr *s, size_t n)
{
    char data[160], cols[160], start[160];
    if (!r->rows->sparse) {
        (void)snprintf(data, sizeof data,
                       "{\"data\":[%" PRIuPTR ",true],\"shape\":[%zu,%zu],\"typestr\":\"<f4\","
                       "\"version\":3}",
                       (uintptr_t)x, n, r->rows->n_features);
        return XGProxyDMatrixSetDataDense(r->proxy, data);
    }
    const uint64_t entries = s->start[n];
    (void)snprintf(start, sizeof start,
                   "{\"data\":[%" PRIuPTR
                   ",true],\"shape\":[%zu],\"typestr\":\"<u8\",\"version\":3}",
                   (uintptr_t)s->start, n + 1);
    (void)snprintf(cols, sizeof cols,
                   "{\"data\":[%" PRIuPTR ",true],\"shape\":[%" PRIu64
                   "],\"typestr\":\"<u4\",\"version\":3}",
                   (uintptr_t)s->cols, entries);
    (void)snprintf(data, sizeof data,
                   "{\"data\":[%" PRIuPTR ",true],\"shape\":[%" PRIu64
                   "],\"typestr\":\"<f4\",\"version\":3}",
                   (uintptr_t)s->vals, entries);
    return XGProxyDMatrixSetDataCSR(r->proxy, start, cols, data, r->rows->n_features);
}

/* 1 = here is a batch; 0 = the end, also after an error, which the caller asks for. */
static int next(DataIterHandle handle)
{
    struct reading *r = handle;
    const float *x = NULL;
    struct am_csr sparse = {0};
    size_t n = 0;
    if (r->rc != AM_OK || r->at >= r->rows->n_rows)
        return 0;
    r->rc = r->rows->batch(r->rows->ctx, r->at, &x, &sparse, &n, r->err);
    if (r->rc == AM_OK && (n < 1 || n > r->rows->n_rows - r->at))
        r->rc = fail_at(r->err, AM_EINVAL, "a batch of %zu rows where %" PRIu64 " are left", n,
                        r->rows->n_rows - r->at);
    if (r->rc == AM_OK && set_batch(r, x, &sparse, n) != 0)
        r->rc = fail_library(r->err, "take rows");
    if (r->rc != AM_OK)
        return 0;
    r->at += n;
    return 1;
}

static enum am_rc make_matrix(struct am_booster *b, const struct am_boost_config *c,
                              const struct am_boost_rows *rows, unsigned i, struct am_err *err)
{
    struct reading r = {.rows = rows, .err = err};
    const char *missing = rows->sparse ? "0.0" : "NaN";
    char config[PATH_BYTES + 128];
    int bad;
    if (XGProxyDMatrixCreate(&r.proxy) != 0)
        return fail_library(err, "make a matrix");
    b->n_rows[i] = rows->n_rows;
    if (b->folder[0]) {
        (void)snprintf(config, sizeof config,
                       "{\"missing\":%s,\"nthread\":%u,\"cache_prefix\":\"%s/pages%u\"}", missing,
                       c->n_threads, b->folder, i);
        bad = XGDMatrixCreateFromCallback(&r, r.proxy, reset, next, config, &b->matrix[i]);
    } else {
        (void)snprintf(config, sizeof config, "{\"missing\":%s,\"nthread\":%u,\"max_bin\":%u}",
                       missing, c->n_threads, c->bins);
        bad = XGQuantileDMatrixCreateFromCallback(&r, r.proxy, i ? b->matrix[0] : NULL, reset, next,
                                                  config, &b->matrix[i]);
    }
    if (r.rc == AM_OK && bad != 0)
        r.rc = fail_library(err, "bin the rows");
    if (bad != 0)
        b->matrix[i] = NULL;
    (void)XGDMatrixFree(r.proxy);
    return r.rc;
}

/* ---- settings ---- */

static enum am_rc set(struct am_booster *b, const char *name, const char *value, struct am_err *err)
{
    return XGBoosterSetParam(b->booster, name, value) == 0 ? AM_OK : fail_library(err, "be set up");
}

static enum am_rc set_number(struct am_booster *b, const char *name, double value,
                             struct am_err *err)
{
    char text[32];
    text[host->print_double(value, text)] = 0;
    return set(b, name, text, err);
}

static enum am_rc set_monotone(struct am_booster *b, const int8_t *m, size_t n, struct am_err *err)
{
    if (!m)
        return AM_OK;
    char *text = host->alloc(3 * n + 3), *p = text;
    if (!text)
        return host->fail_nomem(err, 3 * n + 3, __FILE__, __LINE__);
    *p++ = '(';
    for (size_t j = 0; j < n; j++)
        p += snprintf(p, 4, "%s%d", j ? "," : "", m[j] > 0 ? 1 : m[j] < 0 ? -1 : 0);
    memcpy(p, ")", 2);
    enum am_rc rc = set(b, "monotone_constraints", text, err);
    host->free(text);
    return rc;
}

static enum am_rc set_all(struct am_booster *b, const struct am_boost_config *c, size_t n_features,
                          struct am_err *err)
{
    static const char *const fixed[][2] = {{"booster", "gbtree"},
                                           {"tree_method", "hist"},
                                           {"base_score", "0"},
                                           {"disable_default_eval_metric", "1"},
                                           {"verbosity", "1"}};
    const struct {
        const char *name;
        double value;
    } numbers[] = {{"nthread", c->n_threads},
                   {"seed", (double)(c->seed & 0x7fffffff)},
                   {"max_depth", c->depth},
                   {"max_leaves", c->leaves},
                   {"max_bin", c->bins},
                   {"eta", c->learning_rate},
                   {"lambda", c->lambda},
                   {"alpha", c->alpha},
                   {"gamma", c->gamma},
                   {"min_child_weight", c->min_child_weight},
                   {"colsample_bytree", c->column_sample}};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        AM_TRY(set(b, fixed[i][0], fixed[i][1], err));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        AM_TRY(set_number(b, numbers[i].name, numbers[i].value, err));
    AM_TRY(set(b, "grow_policy", c->leaves ? "lossguide" : "depthwise", err));
    /* the objective names the shape of the margins alone: gradients come from outside */
    AM_TRY(set(b, "objective", c->n_outputs > 1 ? "multi:softprob" : "reg:squarederror", err));
    if (c->n_outputs > 1)
        AM_TRY(set_number(b, "num_class", (double)c->n_outputs, err));
    return set_monotone(b, c->monotone, n_features, err);
}

/* ---- the folder of pages ---- */

static enum am_rc make_folder(struct am_booster *b, const char *dir, struct am_err *err)
{
    const int n = snprintf(b->folder, sizeof b->folder, "%s/aimass-trees-XXXXXX", dir);
    if (n < 0 || (size_t)n >= sizeof b->folder || strpbrk(dir, "\"\\:"))
        return b->folder[0] = 0, fail_at(err, AM_EINVAL, "pages cannot lie in \"%s\"", dir);
    if (!mkdtemp(b->folder))
        return b->folder[0] = 0, fail_at(err, AM_EIO, "cannot make a folder in \"%s\"", dir);
    return AM_OK;
}

static void drop_folder(struct am_booster *b)
{
    DIR *d = b->folder[0] ? opendir(b->folder) : NULL;
    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.')
            (void)unlinkat(dirfd(d), e->d_name, 0);
    (void)closedir(d);
    (void)rmdir(b->folder);
}

/* ---- the port ---- */

static void drop(struct am_booster *b)
{
    if (!b)
        return;
    if (b->booster)
        (void)XGBoosterFree(b->booster);
    for (unsigned i = 2; i-- > 0;)
        if (b->matrix[i])
            (void)XGDMatrixFree(b->matrix[i]);
    drop_folder(b);
    host->free(b);
}

static enum am_rc make_all(struct am_booster *b, const struct am_boost_config *c,
                           const struct am_boost_rows *train,
                           const struct am_boost_rows *validation, struct am_err *err)
{
    if (c->page_dir)
        AM_TRY(make_folder(b, c->page_dir, err));
    AM_TRY(make_matrix(b, c, train, 0, err));
    if (validation)
        AM_TRY(make_matrix(b, c, validation, 1, err));
    if (XGBoosterCreate(b->matrix, validation ? 2 : 1, &b->booster) != 0)
        return fail_library(err, "make a booster");
    return set_all(b, c, train->n_features, err);
}

static enum am_rc make(const struct am_boost_config *c, const struct am_boost_rows *train,
                       const struct am_boost_rows *validation, struct am_booster **out,
                       struct am_err *err)
{
    *out = NULL;
    if (c->n_outputs < 1 || c->depth < 1 || c->depth > AM_BOOST_DEPTH_MAX || c->bins < 2 ||
        c->bins > AM_BOOST_BINS_MAX || c->n_threads < 1 || train->n_rows < 1)
        return fail_at(err, AM_EINVAL, "settings of trees are out of range");
    struct am_booster *b = host->alloc(sizeof *b);
    if (!b)
        return host->fail_nomem(err, sizeof *b, __FILE__, __LINE__);
    memset(b, 0, sizeof *b);
    b->n_outputs = c->n_outputs;
    b->n_features = train->n_features;
    const enum am_rc rc = make_all(b, c, train, validation, err);
    if (rc != AM_OK) {
        drop(b);
        return rc;
    }
    *out = b;
    return AM_OK;
}

static enum am_rc margins(struct am_booster *b, bool validation, const float **out,
                          struct am_err *err)
{
    bst_ulong n = 0;
    *out = NULL;
    if (!b->matrix[validation])
        return fail_at(err, AM_EINVAL, "there are no validation rows");
    if (XGBoosterPredict(b->booster, b->matrix[validation], 1, 0, !validation, &n, out) != 0)
        return fail_library(err, "predict");
    if (n != b->n_rows[validation] * b->n_outputs)
        return fail_at(err, AM_EIO, "XGBoost gives %" PRIu64 " margins for %" PRIu64 " rows",
                       (uint64_t)n, b->n_rows[validation]);
    return AM_OK;
}

static enum am_rc grow(struct am_booster *b, float *gradient, float *hessian, struct am_err *err)
{
    if (XGBoosterBoostOneIter(b->booster, b->matrix[0], gradient, hessian,
                              (bst_ulong)(b->n_rows[0] * b->n_outputs)) != 0)
        return fail_library(err, "grow trees");
    return AM_OK;
}

static void logged(const char *line)
{
    host->log(AM_LOG_DEBUG, "xgboost", "%.*s", (int)strcspn(line, "\n"), line);
}

static enum am_rc start(const struct am_host *h, struct am_err *err)
{
    host = h;
    if (XGBRegisterLogCallback(logged) != 0)
        return fail_library(err, "start");
    return AM_OK;
}

static const char *version(void)
{
    static char text[48];
    int major = 0, minor = 0, patch = 0;
    XGBoostVersion(&major, &minor, &patch);
    (void)snprintf(text, sizeof text, "XGBoost %d.%d.%d", major, minor, patch);
    return text;
}

static const struct am_trees_ops ops = {.abi = AM_PORTS_ABI,
                                        .size = sizeof ops,
                                        .name = "trees-xgboost",
                                        .start = start,
                                        .version = version,
                                        .make = make,
                                        .drop = drop,
                                        .margins = margins,
                                        .grow = grow,
                                        .trees = model_trees};

extern const struct am_trees_ops *const am_module;
__attribute__((visibility("default"))) const struct am_trees_ops *const am_module = &ops;
