/* Small fitted models for the tests of model/: features and target fitted on generated rows, a
 * random network. Not trained: packages do not care. */
#ifndef AM_TESTS_MODEL_FIXTURE_H
#define AM_TESTS_MODEL_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/num.h"
#include "base/rng.h"
#include "feature/features.h"
#include "feature/fit.h"
#include "feature/target.h"
#include "model/model.h"
#include "nn/layers.h"
#include "nn/layers_shape.h"
#include "nn/params.h"
#include "support/faults.h"
#include "tensor/media.h"

#define FIXTURE_ROWS 60

#define must(call)                                                                                 \
    do {                                                                                           \
        enum am_rc must_rc_ = (call);                                                              \
        if (must_rc_ != AM_OK)                                                                     \
            fail_msg("%s: %s (%s)", #call, err.message, am_rc_name(must_rc_));                     \
    } while (0)

static inline void assert_near(double a, double b, double bound)
{
    if (!(a - b <= bound && b - a <= bound))
        fail_msg("%.9g is not %.9g", a, b);
}

enum fixture_kind {
    FIXTURE_BINARY,
    FIXTURE_MIXED,
    FIXTURE_REGRESSION,
    FIXTURE_PICTURE, /* one picture, three classes */
    FIXTURE_MEDIA    /* a number, a picture, a sound; regression */
};

struct fixture {
    struct am_arena *arena;
    struct am_features *features;
    struct am_target *target;
    struct am_graph *graph;
    struct am_params *params;
    struct am_batch batch; /* FIXTURE_ROWS rows in input order */
    struct am_model_spec spec;
};

static struct am_str fixture_text(struct am_arena *a, const char *prefix, size_t i)
{
    return am_arena_printf(a, "%s%zu", prefix, i);
}

/* Raw forms: a picture of 6 x 5 in three colours, a tenth of a second of sound, four frames. */
static struct am_str fixture_media(struct am_arena *a, enum am_col_type type, uint64_t seed)
{
    struct am_rng r;
    size_t n = type == AM_COL_IMAGE ? 6 * 5 * 3 : type == AM_COL_VIDEO ? 4 * 6 * 5 * 3 : 1600;
    unsigned char *p = am_arena_array(a, AM_MEDIA_RAW_BYTES + n, 1);
    if (type == AM_COL_IMAGE)
        am_image_raw_header(6, 5, 3, p);
    else if (type == AM_COL_VIDEO)
        am_video_raw_header(4, 6, 5, 3, p);
    else
        am_sound_raw_header(8000, 1, 800, p);
    am_rng_init(&r, seed, AM_RNG_USER);
    for (size_t i = 0; i < n; i++)
        p[AM_MEDIA_RAW_BYTES + i] = (unsigned char)am_rng_below(&r, 256);
    return (struct am_str){(const char *)p, AM_MEDIA_RAW_BYTES + n};
}

/* Cell (row, column) of a column of that type. */
static void fixture_column(struct am_arena *a, enum am_col_type type, uint64_t seed,
                           struct am_column *c)
{
    struct am_rng r;
    double *number = am_arena_array(a, FIXTURE_ROWS, sizeof *number);
    struct am_str *text = am_arena_array(a, FIXTURE_ROWS, sizeof *text);
    int64_t *date = am_arena_array(a, FIXTURE_ROWS, sizeof *date);
    am_rng_init(&r, seed, AM_RNG_USER);
    for (size_t i = 0; i < FIXTURE_ROWS; i++) {
        double u = am_rng_unit(&r);
        number[i] = type == AM_COL_BOOLEAN ? (u < 0.5) : 10 * u + (double)seed;
        text[i] =
            am_col_is_media(type)
                ? fixture_media(a, type, seed * 1000 + i)
                : fixture_text(a, type == AM_COL_TEXT ? "some words " : "kind", (size_t)(u * 4));
        date[i] = (int64_t)(u * 1e15);
    }
    c->type = type;
    if (type == AM_COL_DATE)
        c->date = date;
    else if (am_col_is_string(type))
        c->text = text;
    else
        c->number = number;
}

static void fixture_features(struct fixture *f, size_t n, const enum am_col_type *types,
                             enum am_task task, size_t n_classes)
{
    struct am_column_desc *desc = am_arena_array(f->arena, n, sizeof *desc);
    struct am_column *columns = am_arena_array(f->arena, n, sizeof *columns);
    struct am_schema schema = {desc, n};
    struct am_features_fit *fit;
    struct am_features_config config = {
        .schema = &schema, .task = task, .n_classes = n_classes, .seed = 1};
    struct am_err err;
    for (size_t i = 0; i < n; i++) {
        desc[i] = (struct am_column_desc){fixture_text(f->arena, "col", i), types[i]};
        fixture_column(f->arena, types[i], i + 1, &columns[i]);
    }
    f->batch = (struct am_batch){.n_rows = FIXTURE_ROWS, .n_columns = n, .columns = columns};
    must(am_features_fit_new(&config, &fit, &err));
    must(am_features_fit_update(fit, &f->batch, NULL, NULL, &err));
    must(am_features_fit_finish(fit, &f->features, &err));
    am_features_fit_free(fit);
}

static void fixture_target(struct fixture *f, size_t n_classes)
{
    struct am_target_config config = {.name = AM_STR("answer"),
                                      .type = n_classes ? AM_COL_CATEGORY : AM_COL_NUMBER,
                                      .want = n_classes ? AM_TARGET_CLASSIFICATION
                                                        : AM_TARGET_REGRESSION};
    struct am_str labels[FIXTURE_ROWS];
    double values[FIXTURE_ROWS];
    struct am_column c = {.type = config.type};
    struct am_target_fit *fit;
    struct am_err err;
    for (size_t i = 0; i < FIXTURE_ROWS; i++) {
        labels[i] = n_classes ? fixture_text(f->arena, "class", i % n_classes) : AM_STR("");
        values[i] = (double)(i * i);
    }
    if (n_classes)
        c.text = labels;
    else
        c.number = values;
    must(am_target_fit_new(&config, &fit, &err));
    must(am_target_fit_update(fit, &c, FIXTURE_ROWS, &err));
    must(am_target_fit_finish(fit, &f->target, &err));
    am_target_fit_free(fit);
}

/* hidden may be empty: {0} */
static void fixture_graph(struct fixture *f, const int64_t *hidden, size_t n_hidden, size_t n_out,
                          enum am_act last)
{
    struct am_dense_options relu = {
        .act = AM_ACT_RELU, .bias = AM_BIAS_YES, .init = AM_INIT_HE_UNIFORM};
    struct am_dense_options out = {
        .act = last, .bias = AM_BIAS_YES, .init = AM_INIT_GLOROT_UNIFORM};
    struct am_err err;
    am_value v;
    char name[16];
    must(am_graph_new(&f->graph, &err));
    v = am_graph_input(f->graph, "x",
                       am_dims2(AM_DIM_BATCH, (int64_t)am_features_width(f->features)));
    for (size_t i = 0; i < n_hidden; i++) {
        snprintf(name, sizeof name, "fc%zu", i + 1);
        v = am_layer_dense(f->graph, v, hidden[i], &relu, name);
    }
    v = am_layer_dense(f->graph, v, (int64_t)n_out, &out, "out");
    am_graph_output(f->graph, "y", v);
    must(am_graph_check(f->graph, &err));
    must(am_params_new(f->graph, &f->params, &err));
    am_params_init(f->params, 7);
}

static void fixture_init(struct fixture *f, enum fixture_kind kind, size_t n_numbers)
{
    static const enum am_col_type mixed[] = {AM_COL_NUMBER, AM_COL_BOOLEAN, AM_COL_CATEGORY,
                                             AM_COL_TEXT, AM_COL_DATE};
    static const enum am_col_type media[] = {AM_COL_IMAGE, AM_COL_NUMBER, AM_COL_IMAGE,
                                             AM_COL_AUDIO, AM_COL_VIDEO};
    enum am_col_type numbers[64];
    static const int64_t hidden[] = {16, 8};
    static const struct am_str ids[] = {AM_STR_INIT("patient")};
    static const enum am_task tasks[] = {AM_TASK_BINARY, AM_TASK_MULTICLASS, AM_TASK_REGRESSION,
                                         AM_TASK_MULTICLASS, AM_TASK_REGRESSION};
    static const size_t classes[] = {2, 3, 0, 3, 0};
    static const enum am_act acts[] = {AM_ACT_SIGMOID, AM_ACT_SOFTMAX, AM_ACT_NONE, AM_ACT_SOFTMAX,
                                       AM_ACT_NONE};
    memset(f, 0, sizeof *f);
    f->arena = am_arena_new(0);
    for (size_t i = 0; i < n_numbers; i++)
        numbers[i] = AM_COL_NUMBER;
    const enum am_col_type *types[] = {numbers, mixed, numbers, media, media + 1};
    const size_t n[] = {n_numbers, 5, n_numbers, 1, 4};
    fixture_features(f, n[kind], types[kind], tasks[kind], classes[kind]);
    fixture_target(f, classes[kind]);
    fixture_graph(f, hidden, 2, classes[kind] == 3 ? 3 : 1, acts[kind]);
    f->spec =
        (struct am_model_spec){.name = AM_STR("small"),
                               .version = 3,
                               .features = f->features,
                               .target = f->target,
                               .graph = f->graph,
                               .params = f->params,
                               .output = classes[kind] == 0 ? AM_MODEL_VALUE : AM_MODEL_PROBABILITY,
                               .threshold = 0.5,
                               .ids = ids,
                               .n_ids = 1,
                               .recipe = AM_STR("version: 1\nname: small\n"),
                               .dataset_hash = AM_STR("abc"),
                               .n_rows = FIXTURE_ROWS,
                               .seed = 42};
}

/* Rows learned instead of a target: three numbers of code, and a label column when there is one. */
static inline void fixture_own(struct fixture *f, enum am_task task, bool labels)
{
    struct am_dense_options o = {.act = AM_ACT_NONE, .init = AM_INIT_GLOROT_UNIFORM};
    const int64_t width = (int64_t)am_features_width(f->features), column[2] = {width, 1};
    struct am_target *classes = f->target;
    struct am_err err;
    am_value x, code, back, d;
    must(am_target_own(task, labels ? classes : NULL, NULL, 0, &f->target, &err));
    am_target_free(classes);
    am_params_free(f->params);
    am_graph_free(f->graph);
    must(am_graph_new(&f->graph, &err));
    x = am_graph_input(f->graph, "x", am_dims2(AM_DIM_BATCH, width));
    code = am_layer_dense(f->graph, x, 3, &o, "code");
    back = am_layer_dense(f->graph, code, width, &o, "output");
    d = am_layer_add(f->graph, back, am_layer_scale(f->graph, x, -1, 0));
    d = am_layer_reshape(f->graph, am_layer_mul(f->graph, d, d), column, 2, "score");
    am_graph_output(f->graph, "y", am_layer_global_pool(f->graph, d, AM_POOLING_AVERAGE, "score"));
    am_graph_output(f->graph, "reconstruction", back);
    am_graph_output(f->graph, "code", code);
    must(am_graph_check(f->graph, &err));
    must(am_params_new(f->graph, &f->params, &err));
    am_params_init(f->params, 7);
    f->spec.graph = f->graph;
    f->spec.params = f->params;
    f->spec.target = f->target;
    f->spec.output = AM_MODEL_VALUE;
    f->spec.threshold = 0.75;
}

/* Without the hidden layers. */
static inline void fixture_shrink(struct fixture *f)
{
    enum am_act acts[] = {AM_ACT_NONE, AM_ACT_NONE, AM_ACT_SIGMOID, AM_ACT_SOFTMAX};
    size_t n = am_target_n_classes(f->target);
    am_params_free(f->params);
    am_graph_free(f->graph);
    fixture_graph(f, NULL, 0, n > 2 ? n : 1, acts[n]);
    f->spec.graph = f->graph;
    f->spec.params = f->params;
}

static void fixture_clear(struct fixture *f)
{
    am_params_free(f->params);
    am_graph_free(f->graph);
    am_target_free(f->target);
    am_features_free(f->features);
    am_arena_free(f->arena);
}

/* A directory of its own under the build's working directory's TMPDIR; removed by fixture_dir_free.
 */
static inline char *fixture_dir(void)
{
    const char *base = getenv("TMPDIR");
    char *path = malloc(4096);
    snprintf(path, 4096, "%s/aimass-model-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(path));
    return path;
}
static inline void fixture_dir_free(char *path)
{
    struct am_err err;
    must(am_fs_remove_tree(path, &err));
    free(path);
}

#endif
