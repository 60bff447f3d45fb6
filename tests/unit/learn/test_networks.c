/* The networks over pictures, sequences and tokens: topologies against PyTorch, weights by name,
 * lists of layers and their errors, the autoencoder, the layer table, bits and resume. */
#include "tests/unit/learn/learn_test.h"

#include "base/rng.h"
#include "learn/layers.h"
#include "nn/describe.h"
#include "nn/train_weights.h"
#include "tests/support/formula.h"

static const char *goldens_path, *weights_path;

/* ---- rows made here ---- */

struct data {
    struct am_matrix *m;
    struct am_dims shape;
    size_t n_tokens;
};

static struct am_dims dims3(int64_t a, int64_t b, int64_t c)
{
    return (struct am_dims){3, {a, b, c}};
}

/* Pictures [h,w,c]: class 1 is bright in its right half, class 0 in its left one. */
static struct data pictures(size_t n, int64_t h, int64_t w, int64_t c)
{
    struct data d = {.shape = dims3(h, w, c)};
    struct am_rng r;
    size_t f = (size_t)(h * w * c);
    float *x = am_alloc_array(f, sizeof *x);
    am_rng_init(&r, 3, AM_RNG_USER);
    assert_int_equal(am_matrix_new(f, 1, NULL, &d.m, NULL), AM_OK);
    for (size_t i = 0; i < n; i++) {
        float y = (float)(i % 2);
        for (size_t k = 0; k < f; k++) {
            bool right = (int64_t)k / c % w >= (w + 1) / 2;
            x[k] = (float)am_rng_normal(&r) * 0.5f + (right == (y > 0) ? 1.0f : 0.0f);
        }
        assert_int_equal(am_matrix_append(d.m, 1, x, &y, NULL, NULL), AM_OK);
    }
    assert_int_equal(am_matrix_finish(d.m, NULL), AM_OK);
    am_free(x);
    return d;
}

/* Videos [t,8,8,1]: a bright column moves to the right in class 1, to the left in class 0; the
 * frames of both are alike. */
static struct data videos(size_t n, int64_t t)
{
    struct data d = {.shape = {4, {t, 8, 8, 1}}};
    struct am_rng r;
    float *x = am_alloc_array((size_t)t * 64, sizeof *x);
    am_rng_init(&r, 5, AM_RNG_USER);
    assert_int_equal(am_matrix_new((size_t)t * 64, 1, NULL, &d.m, NULL), AM_OK);
    for (size_t i = 0; i < n; i++) {
        float y = (float)(i % 2);
        int64_t at = (int64_t)am_rng_below(&r, 8);
        for (int64_t f = 0; f<t; f++, at += y> 0 ? 1 : 7)
            for (int64_t k = 0; k < 64; k++)
                x[f * 64 + k] = (float)am_rng_normal(&r) * 0.2f + (k % 8 == at % 8 ? 1.0f : 0.0f);
        assert_int_equal(am_matrix_append(d.m, 1, x, &y, NULL, NULL), AM_OK);
    }
    assert_int_equal(am_matrix_finish(d.m, NULL), AM_OK);
    am_free(x);
    return d;
}

/* Tokens: class 1 where id 5 comes before id 6; rows of different lengths. */
static struct data tokens(size_t n, size_t t)
{
    struct data d = {.shape = am_dims1((int64_t)t), .n_tokens = 10};
    struct am_rng r;
    float x[64];
    am_rng_init(&r, 4, AM_RNG_USER);
    assert_int_equal(am_matrix_new(t, 1, NULL, &d.m, NULL), AM_OK);
    for (size_t i = 0; i < n; i++) {
        size_t len = 4 + am_rng_below(&r, (uint32_t)t - 3), a = am_rng_below(&r, (uint32_t)len / 2);
        size_t b = len / 2 + am_rng_below(&r, (uint32_t)(len - len / 2));
        float y = (float)(i % 2);
        for (size_t k = 0; k < t; k++)
            x[k] = k < len ? (float)(1 + am_rng_below(&r, 4)) : 0;
        x[a] = y > 0 ? 5 : 6;
        x[b] = y > 0 ? 6 : 5;
        assert_int_equal(am_matrix_append(d.m, 1, x, &y, NULL, NULL), AM_OK);
    }
    assert_int_equal(am_matrix_finish(d.m, NULL), AM_OK);
    return d;
}

static struct am_learn_task task_for(struct am_arena *a, const struct data *d, const char *model,
                                     const char *train)
{
    struct am_learn_task t = {.task = AM_TASK_BINARY,
                              .n_classes = 2,
                              .shape = d->shape,
                              .n_tokens = d->n_tokens,
                              .model = parse_yaml(a, model),
                              .train_spec = parse_yaml(a, train),
                              .seed = 42};
    t.n_features = 1;
    for (unsigned i = 0; i < d->shape.rank; i++)
        t.n_features *= (size_t)d->shape.d[i];
    t.train = d->m ? am_matrix_data(d->m) : NULL;
    return t;
}

static float *run_graph(const struct am_graph *g, const struct am_params *p, const float *x,
                        size_t rows, size_t *n_out)
{
    struct am_plan_options o = {.mode = AM_PLAN_INFER, .bucket_rows = rows};
    struct am_plan *plan;
    struct am_session *s;
    float *y;
    assert_int_equal(am_plan_build(g, p, &o, &plan, NULL), AM_OK);
    assert_int_equal(am_session_new(plan, NULL, &s, NULL), AM_OK);
    *n_out = am_plan_n_outputs(plan);
    y = am_alloc_array(rows * *n_out, sizeof *y);
    assert_int_equal(am_session_run(s, rows, x, y, NULL), AM_OK);
    am_session_free(s);
    am_plan_put(plan);
    return y;
}

static double accuracy(const struct am_learned *l, const struct data *d)
{
    const struct am_train_data *t = am_matrix_data(d->m);
    size_t n = (size_t)t->n_rows, k, right = 0;
    float *x = am_alloc_array(n * t->n_features, sizeof *x), *y = am_alloc_array(n, sizeof *y);
    uint64_t *rows = am_alloc_array(n, sizeof *rows);
    float *p;
    for (size_t i = 0; i < n; i++)
        rows[i] = i;
    assert_int_equal(t->gather(t->self, rows, n, x, y, NULL, NULL), AM_OK);
    p = run_graph(l->graph, l->params, x, n, &k);
    assert_int_equal(k, 1);
    for (size_t i = 0; i < n; i++)
        right += (p[i] > 0.5f) == (y[i] > 0.5f);
    am_free(p);
    am_free(x);
    am_free(y);
    am_free(rows);
    return (double)right / (double)n;
}

/* ---- topologies ---- */

static bool ends(struct am_str s, const char *tail)
{
    size_t n = strlen(tail);
    return s.len >= n && memcmp(s.ptr + s.len - n, tail, n) == 0;
}

/* The formula of network_goldens.py. */
static void fill(struct am_params *p)
{
    for (size_t k = 0; k < p->n_params; k++) {
        const struct am_param *e = &p->table[k];
        const uint32_t seed = seed_of(e->name);
        for (size_t i = 0; i < e->n; i++) {
            double u = draw(i, seed);
            if (e->dims.rank == 2)
                u *= sqrt(24.0 / (double)e->dims.d[0]);
            else if (ends(e->name, "running_var"))
                u += 1;
            else if (ends(e->name, "weight"))
                u = 1 + 0.4 * u;
            else
                u *= 0.2;
            am_param_data(p, k)[i] = (float)u;
        }
    }
}

static size_t trained(const struct am_graph *g)
{
    struct am_arena *a = am_arena_new(0);
    const struct am_graph_row *rows;
    size_t n, sum = 0;
    assert_int_equal(am_graph_describe(g, a, &rows, &n, NULL), AM_OK);
    for (size_t i = 0; i < n; i++)
        sum += rows[i].n_trained;
    am_arena_free(a);
    return sum;
}

static void check_network(const struct am_node *goldens, const char *golden, const char *type,
                          int64_t size, int64_t count_size)
{
    struct am_arena *a = am_arena_new(0);
    char model[64];
    struct data d = {.shape = dims3(count_size, count_size, 3)};
    struct am_learn_task t;
    struct am_graph *g;
    struct am_params *p;
    size_t n = (size_t)(size * size * 3), k;
    float *x = am_alloc_array(n, sizeof *x), *y;
    double want, got;
    struct am_err err;
    (void)snprintf(model, sizeof model, "{type: %s}", type);
    t = task_for(a, &d, model, "");
    t.task = AM_TASK_MULTICLASS, t.n_classes = 1000;
    if (am_learner_graph(&t, &g, &err) != AM_OK)
        fail_msg("%s: %s", type, err.message);
    assert_int_equal(trained(g), am_node_i64(am_node_get(goldens, "parameters"), golden, 0));
    am_graph_free(g);
    d.shape = dims3(size, size, 3);
    t = task_for(a, &d, model, "");
    t.task = AM_TASK_REGRESSION, t.n_classes = 0;
    assert_int_equal(am_learner_graph(&t, &g, NULL), AM_OK);
    assert_int_equal(am_params_new(g, &p, NULL), AM_OK);
    fill(p);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(4 * draw(i, 7));
    y = run_graph(g, p, x, 1, &k);
    want = am_node_f64(goldens, golden, 0);
    got = (double)y[0];
    if (!(fabs(got - want) < 1e-4 * fabs(want) + 1e-5))
        fail_msg("%s: %g, but PyTorch has %g", golden, got, want);
    am_free(y);
    am_free(x);
    am_params_free(p);
    am_graph_free(g);
    am_arena_free(a);
}

static struct am_node *read_goldens(struct am_arena *a)
{
    struct am_buf b;
    struct am_node *n;
    am_buf_init(&b, 1 << 20);
    assert_int_equal(am_fs_read_file(goldens_path, &b, NULL), AM_OK);
    assert_int_equal(am_json_parse(a, am_buf_view(&b), "goldens", &n, NULL), AM_OK);
    am_buf_clear(&b);
    return n;
}

static void test_topologies(void **state)
{
    struct am_arena *a = am_arena_new(0);
    struct am_node *g = read_goldens(a);
    (void)state;
    check_network(g, "resnet18", "resnet18", 64, 224);
    check_network(g, "resnet18_small", "resnet18", 32, 32);
    check_network(g, "resnet50", "resnet50", 64, 224);
    check_network(g, "mobilenet_v2", "mobilenet_v2", 64, 224);
    am_arena_free(a);
}

/* ---- weights ---- */

static const char small_net[] =
    "{type: graph, layers: ["
    "{name: c1, type: conv1d, filters: 6, activation: relu},"
    "{name: r, type: lstm, units: 5, bidirectional: true, sequences: true},"
    "{name: p, type: global_average_pool}]}";

static void small_task(struct am_arena *a, struct am_learn_task *t)
{
    struct data d = {.shape = am_dims2(7, 3)};
    *t = task_for(a, &d, small_net, "");
    t->task = AM_TASK_MULTICLASS, t->n_classes = 4;
}

static void test_pytorch_weights(void **state)
{
    struct am_arena *a = am_arena_new(0);
    struct am_node *goldens = read_goldens(a), *want = am_node_get(goldens, "small");
    struct am_weights_options o = {.layout = AM_WEIGHTS_PYTORCH};
    struct am_weights_report r;
    struct am_learn_task t;
    struct am_graph *g;
    struct am_params *p;
    struct am_buf file;
    struct am_err err;
    float x[42], *y, before;
    size_t n;
    (void)state;
    small_task(a, &t);
    assert_int_equal(am_learner_graph(&t, &g, NULL), AM_OK);
    assert_int_equal(am_params_new(g, &p, NULL), AM_OK);
    am_buf_init(&file, 1 << 20);
    assert_int_equal(am_fs_read_file(weights_path, &file, NULL), AM_OK);
    if (am_weights_load(g, p, am_buf_view(&file), &o, a, &r, &err) != AM_OK)
        fail_msg("%s / %s", err.message, err.hint);
    assert_true(r.n_matched == p->n_params && r.n_missing == 0 && r.n_unused == 0);
    for (size_t i = 0; i < 42; i++)
        x[i] = (float)(4 * draw(i, 9));
    y = run_graph(g, p, x, 2, &n);
    assert_int_equal(n, 4);
    for (size_t i = 0; i < 8; i++) {
        double v = 0;
        assert_true(am_node_as_f64(want->list.items[i], &v));
        assert_true(fabs(v - (double)y[i]) < 1e-5);
    }
    am_free(y);
    /* our layout: shapes are refused by name, and nothing has changed */
    o.layout = AM_WEIGHTS_OURS;
    before = p->data[0];
    assert_int_equal(am_weights_load(g, p, am_buf_view(&file), &o, a, &r, &err), AM_EUSAGE);
    assert_non_null(strstr(err.message, "\"c1.weight\" has the shape [6,3,3]"));
    assert_non_null(strstr(err.message, "[9,6]"));
    assert_true(before == p->data[0]);
    /* cut and damaged files: an error each time */
    o.layout = AM_WEIGHTS_PYTORCH;
    for (size_t cut = 0; cut < file.len; cut += 37)
        assert_int_not_equal(am_weights_load(g, p, (struct am_str){file.ptr, cut}, &o, a, &r, NULL),
                             AM_OK);
    am_buf_clear(&file);
    am_params_free(p);
    am_graph_free(g);
    am_arena_free(a);
}

static enum am_rc read_weights(void *ctx, struct am_str path, struct am_buf *out,
                               struct am_err *err)
{
    (void)ctx;
    if (!am_str_is(path, "w.npz"))
        return am_fail(err, AM_ENOTFOUND, "no file \"%.*s\"", AM_FMT(path));
    return am_fs_read_file(weights_path, out, err);
}

static void test_fine_tuning(void **state)
{
    struct am_arena *a = am_arena_new(0);
    struct am_learn_task t;
    struct am_learned l;
    struct am_rng r;
    struct data d = {.shape = am_dims2(7, 3)};
    const struct am_node *w;
    struct am_err err;
    (void)state;
    am_rng_init(&r, 3, AM_RNG_USER);
    assert_int_equal(am_matrix_new(21, 1, NULL, &d.m, NULL), AM_OK);
    for (size_t i = 0; i < 60; i++) {
        float x[21], y = (float)(i % 3);
        for (size_t k = 0; k < 21; k++)
            x[k] = (float)am_rng_normal(&r) + (k % 3 == i % 3);
        assert_int_equal(am_matrix_append(d.m, 1, x, &y, NULL, NULL), AM_OK);
    }
    assert_int_equal(am_matrix_finish(d.m, NULL), AM_OK);
    t = task_for(a, &d, small_net,
                 "{epochs: 3, weights: {file: w.npz, layout: pytorch, skip: output}, freeze: [c1, "
                 "'r.*_reverse'], learning_rates: {'r*': 0.1}}");
    t.task = AM_TASK_MULTICLASS, t.n_classes = 3;
    t.read_file = read_weights;
    if (am_learner_fit(&t, &l, a, &err) != AM_OK)
        fail_msg("%s / %s", err.message, err.hint);
    w = am_node_get(l.info, "weights");
    assert_int_equal(am_node_i64(w, "matched", 0), 10);
    assert_int_equal(am_node_i64(w, "skipped", 0), 2);
    am_learned_clear(&l);
    /* another number of outputs: the file's head does not fit */
    t.train_spec = parse_yaml(a, "{weights: {file: w.npz, layout: pytorch}}");
    assert_int_equal(am_learner_fit(&t, &l, a, &err), AM_EUSAGE);
    assert_non_null(strstr(err.message, "output.weight"));
    assert_non_null(strstr(err.hint, "train.weights.skip"));
    t.train_spec = parse_yaml(a, "{weights: other.npz}");
    assert_int_equal(am_learner_fit(&t, &l, a, &err), AM_ENOTFOUND);
    t.train_spec = parse_yaml(a, "{freeze: [nothing]}");
    assert_int_equal(am_learner_fit(&t, &l, a, &err), AM_EUSAGE);
    am_matrix_free(d.m);
    am_arena_free(a);
}

/* ---- learning ---- */

static void learns(const struct data *d, const char *model, const char *train, double at_least)
{
    struct am_arena *a = am_arena_new(0);
    struct am_learn_task t = task_for(a, d, model, train);
    struct am_learned l;
    struct am_err err;
    double got;
    if (am_learner_fit(&t, &l, a, &err) != AM_OK)
        fail_msg("%s: %s / %s", model, err.message, err.hint);
    got = accuracy(&l, d);
    if (got < at_least)
        fail_msg("%s: accuracy %g, not %g", model, got, at_least);
    am_learned_clear(&l);
    am_arena_free(a);
}

static void test_learn_pictures(void **state)
{
    struct data d = pictures(120, 8, 8, 1);
    (void)state;
    learns(&d, "{type: cnn, filters: [4, 8], dense: [16]}", "{epochs: 6, learning_rate: 0.01}",
           0.97);
    learns(&d,
           "{type: cnn, filters: [4], convolutions: 2, batch_norm: true, global_pool: none, "
           "pool_kind: average, dropout: 0.1}",
           "{epochs: 6, learning_rate: 0.01, accumulate: 2, average: ema}", 0.9);
    learns(&d, "{type: gru, units: 12, pooling: mean}", "{epochs: 8, learning_rate: 0.02}", 0.97);
    learns(&d, "{type: mlp, layers: [16]}", "{epochs: 6, learning_rate: 0.01}", 0.97);
    learns(&d, "{type: resnet18}", "{epochs: 1, batch_size: 60}", 0);
    am_matrix_free(d.m);
}

static void test_learn_tokens(void **state)
{
    struct data d = tokens(300, 12);
    (void)state;
    learns(&d, "{type: lstm, units: 16, embedding: 8}",
           "{epochs: 30, learning_rate: 0.02, batch_size: 16}", 0.97);
    learns(&d,
           "{type: gru, units: 12, embedding: 8, bidirectional: true, pooling: max, dense: [8]}",
           "{epochs: 25, learning_rate: 0.02, batch_size: 16}", 0.97);
    learns(&d, "{type: rnn, units: 16, embedding: 8, pooling: attention, depth: 2, dropout: 0.1}",
           "{epochs: 1}", 0);
    learns(&d, "{type: cnn, filters: [16], kernel: 9, pool: 1, global_pool: max, embedding: 8}",
           "{epochs: 30, learning_rate: 0.01}", 0.9);
    learns(&d, "{type: mlp, layers: [8], embedding: 4}", "{epochs: 2}", 0);
    am_matrix_free(d.m);
}

#define ONE_EPOCH "{epochs: 1, batch_size: 60}"

static void test_learn_videos(void **state)
{
    struct data d = videos(120, 6);
    (void)state;
    learns(&d, "{type: cnn, filters: [4, 8], dense: [], frames: lstm, frame_units: 12}",
           "{epochs: 20, learning_rate: 0.01}", 0.97);
    learns(&d,
           "{type: cnn, filters: [8], dense: [8], frames: gru, frame_units: 12, batch_norm: true}",
           "{epochs: 20, learning_rate: 0.01}", 0.97);
    learns(&d, "{type: cnn, filters: [4], global_pool: max, frames: max, dropout: 0.1}", ONE_EPOCH,
           0);
    learns(&d, "{type: cnn, filters: [4], frames: attention, convolutions: 2}", ONE_EPOCH, 0);
    learns(&d, "{type: resnet18}", ONE_EPOCH, 0);
    learns(&d, "{type: mobilenet_v2, width: 0.25, frames: gru}", ONE_EPOCH, 0);
    learns(&d, "{type: lstm, units: 12}", "{epochs: 30, learning_rate: 0.02}", 0.97);
    learns(&d, "{type: mlp, layers: [8]}", ONE_EPOCH, 0);
    learns(&d,
           "{type: graph, layers: [{type: split_frames}, {type: conv2d, filters: 4, activation: "
           "relu}, {type: max_pool}, {type: flatten}, {type: dense, units: 8}, {type: "
           "join_frames}, {type: lstm, units: 12}]}",
           "{epochs: 20, learning_rate: 0.01}", 0.97);
    am_matrix_free(d.m);
}

/* The mean over time of what single frames say cannot tell the direction. */
static void test_order_matters(void **state)
{
    struct data d = videos(400, 6);
    struct am_arena *a = am_arena_new(0);
    struct am_learn_task t =
        task_for(a, &d, "{type: cnn, filters: [4, 8], dense: [], frames: mean}",
                 "{epochs: 5, learning_rate: 0.01}");
    struct am_learned l;
    (void)state;
    assert_int_equal(am_learner_fit(&t, &l, a, NULL), AM_OK);
    assert_true(accuracy(&l, &d) < 0.7);
    am_learned_clear(&l);
    am_arena_free(a);
    am_matrix_free(d.m);
}

/* ---- bits and resume ---- */

struct place {
    struct am_buf bytes;
    uint64_t stop_at;
};

static enum am_rc keep(void *ctx, const void *bytes, size_t n, struct am_err *err)
{
    struct place *k = ctx;
    am_buf_reset(&k->bytes);
    am_buf_add(&k->bytes, bytes, n);
    return am_buf_check(&k->bytes, err);
}

static enum am_rc give(void *ctx, struct am_buf *out, struct am_err *err)
{
    struct place *k = ctx;
    am_buf_add(out, k->bytes.ptr, k->bytes.len);
    return am_buf_check(out, err);
}

static enum am_rc stop(void *ctx, const struct am_train_epoch *e, struct am_err *err)
{
    struct place *k = ctx;
    return e->epoch == k->stop_at ? am_fail(err, AM_ECANCELED, "stopped") : AM_OK;
}

static void same_bits(const struct data *d, const char *model)
{
    struct am_arena *a = am_arena_new(0);
    struct am_learn_task t = task_for(a, d, model, "{epochs: 3, batch_size: 20}");
    struct place k = {.stop_at = 2};
    struct am_learned first, l;
    assert_int_equal(am_learner_fit(&t, &first, a, NULL), AM_OK);
    for (unsigned threads = 2; threads <= 3; threads++) {
        assert_int_equal(am_pool_new(threads, &t.pool, NULL), AM_OK);
        assert_int_equal(am_learner_fit(&t, &l, a, NULL), AM_OK);
        assert_memory_equal(first.params->data, l.params->data, am_params_bytes(l.params));
        am_learned_clear(&l);
        am_pool_free(t.pool);
    }
    am_buf_init(&k.bytes, 1 << 24);
    t.hooks = (struct am_train_hooks){
        .ctx = &k, .on_epoch = stop, .checkpoint_save = keep, .checkpoint_load = give};
    assert_int_equal(am_pool_new(2, &t.pool, NULL), AM_OK);
    assert_int_equal(am_learner_fit(&t, &l, a, NULL), AM_ECANCELED);
    k.stop_at = 0;
    assert_int_equal(am_learner_fit(&t, &l, a, NULL), AM_OK);
    assert_true(l.training.resumed);
    assert_memory_equal(first.params->data, l.params->data, am_params_bytes(l.params));
    am_learned_clear(&l);
    am_pool_free(t.pool);
    t.pool = NULL;
    t.hooks = (struct am_train_hooks){.ctx = NULL};
    t.seed++; /* the comparison can fail */
    assert_int_equal(am_learner_fit(&t, &l, a, NULL), AM_OK);
    assert_memory_not_equal(first.params->data, l.params->data, am_params_bytes(l.params));
    am_learned_clear(&l);
    am_learned_clear(&first);
    am_buf_clear(&k.bytes);
    am_arena_free(a);
}

static void test_bits(void **state)
{
    struct data p = pictures(90, 16, 16, 2), w = tokens(90, 10), v = videos(90, 5);
    (void)state;
    same_bits(&p, "{type: cnn, filters: [8, 16], batch_norm: true, dropout: 0.2}");
    same_bits(&w, "{type: lstm, units: 24, bidirectional: true, embedding: 16, dropout: 0.1, "
                  "pooling: mean}");
    same_bits(&v, "{type: cnn, filters: [8], batch_norm: true, dropout: 0.2, frames: lstm}");
    am_matrix_free(v.m);
    am_matrix_free(p.m);
    am_matrix_free(w.m);
}

/* ---- autoencoder ---- */

static void check_autoencoder(const char *model, int64_t h, int64_t w, struct am_dims shape)
{
    struct am_arena *a = am_arena_new(0);
    struct data d = pictures(100, h, w, 1);
    const struct am_train_data *rows = am_matrix_data(d.m);
    struct am_learn_task t;
    struct am_learned l;
    struct am_graph *back, *code;
    struct am_err err;
    const uint64_t pick[2] = {4, 5};
    size_t f = (size_t)(h * w), n;
    float *x = am_alloc_array(3 * f, sizeof *x), *score, *y;
    d.shape = shape;
    t = task_for(a, &d, model, "{epochs: 20, learning_rate: 0.01, average: swa}");
    t.task = AM_TASK_ANOMALY;
    t.n_classes = 0;
    if (am_learner_fit(&t, &l, a, &err) != AM_OK)
        fail_msg("%s: %s / %s", model, err.message, err.hint);
    assert_int_equal(l.kind, AM_LEARNED_VALUE);
    assert_int_equal(rows->gather(rows->self, pick, 2, x, NULL, NULL, NULL), AM_OK);
    for (size_t i = 0; i < f; i++) /* the third row is like none of them */
        x[2 * f + i] = i % 2 ? 3.0f : -3.0f;
    score = run_graph(l.graph, l.params, x, 3, &n);
    assert_int_equal(n, 1);
    assert_true(score[2] > 4 * score[0] && score[2] > 4 * score[1]);
    assert_int_equal(am_learn_select_output(l.graph, "reconstruction", &back, NULL), AM_OK);
    y = run_graph(back, l.params, x, 3, &n);
    assert_int_equal(n, f);
    for (size_t r = 0; r < 3; r++) {
        double sum = 0;
        for (size_t i = 0; i < f; i++)
            sum += pow((double)x[r * f + i] - (double)y[r * f + i], 2) / (double)f;
        assert_true(fabs(sum - (double)score[r]) < 1e-4 * sum);
    }
    am_free(y);
    assert_int_equal(am_learn_select_output(l.graph, "code", &code, NULL), AM_OK);
    y = run_graph(code, l.params, x, 3, &n);
    assert_int_equal(n, 4);
    assert_int_equal(am_learn_select_output(l.graph, "label", &code, NULL), AM_ENOTFOUND);
    am_free(y);
    am_free(score);
    am_free(x);
    am_graph_free(back);
    am_graph_free(code);
    am_learned_clear(&l);
    am_matrix_free(d.m);
    am_arena_free(a);
}

static void test_autoencoder(void **state)
{
    (void)state;
    check_autoencoder("{type: autoencoder, code: 4, encoder: [16]}", 6, 6, am_dims1(36));
    check_autoencoder("{type: autoencoder, code: 4, filters: [4, 4]}", 9, 6, dims3(9, 6, 1));
}

/* ---- lists of layers ---- */

static void refused(const char *model, const char *message, const char *hint)
{
    struct am_arena *a = am_arena_new(0);
    struct data d = {.shape = dims3(8, 8, 1)};
    struct am_learn_task t = task_for(a, &d, model, "");
    struct am_graph *g = NULL;
    struct am_err err;
    enum am_rc rc = am_learner_check(&t, &err);
    if (rc == AM_OK)
        rc = am_learner_graph(&t, &g, &err);
    if (rc != AM_EUSAGE || !strstr(err.message, message) || !strstr(err.hint, hint))
        fail_msg("%s: %d: %s / %s", model, (int)rc, err.message, err.hint);
    am_arena_free(a);
}

static void test_refused(void **state)
{
    (void)state;
    refused("{type: graph}", "model.layers is missing", "conv2d");
    refused("{type: graph, layers: []}", "1 to 1000 layers", "");
    refused("{type: graph, layers: [4]}", "layer 1 is not a map", "{name: c1");
    refused("{type: graph, layers: [{name: a, type: conv, filters: 2}]}",
            "layer \"a\" has the unknown type \"conv\"", "conv");
    refused("{type: graph, layers: [{name: a}]}", "layer \"a\" has no type", "");
    refused("{type: graph, layers: [{name: a, type: conv2d}]}", "needs its key \"filters\"",
            "Channels");
    refused("{type: graph, layers: [{type: conv2d, filters: 2, kernl: 3}]}",
            "line 1, column 51: unknown key \"kernl\"", "\"kernel\"");
    refused("{type: graph, layers: [{type: conv2d, filters: 2, kernel: big}]}",
            "model.layers[0].kernel cannot be", "");
    refused("{type: graph, layers: [{name: a, type: dense, units: 2}, {name: a, type: flatten}]}",
            "layer \"a\": another layer has this name", "unique");
    refused("{type: graph, layers: [{name: x, type: dense, units: 2}]}", "has this name", "");
    refused("{type: graph, layers: [{name: conv1, type: flatten}, {type: dense, units: 3, input: "
            "conv2}]}",
            "layer 2 reads \"conv2\"", "Did you mean \"conv1\"?");
    refused("{type: graph, layers: [{type: add, input: x}]}", "has 1 inputs", "2 to 8");
    refused("{type: graph, layers: [\n  {name: f, type: flatten},\n  {name: c, type: conv2d, "
            "filters: 3}]}",
            "line 3, column 3: layer \"c\" of type \"conv2d\" cannot take [B,64]", "[B,H,W,C]");
    refused("{type: graph, layers: [{name: a, type: conv2d, filters: 3}, {name: b, type: conv2d, "
            "filters: 4, input: x}, {name: s, type: add, input: [a, b]}]}",
            "layer \"s\" of type \"add\" cannot take [B,8,8,3] [B,8,8,4]", "");
    refused("{type: graph, layers: [{name: p, type: max_pool, kernel: 9}]}",
            "layer \"p\" of type \"max_pool\" cannot take [B,8,8,1]", "");
    refused("{type: graph, layers: [{name: e, type: embedding}]}", "token ids", "");
    refused("{type: graph, head: none, layers: [{name: f, type: flatten}]}",
            "gives [B,64], but the task has 1 outputs", "");
    refused("{type: graph, layers: [{name: j, type: join_frames}]}",
            "layer \"j\" of type \"join_frames\" cannot take [B,8,8,1]", "");
    refused("{type: graph, layers: [{type: split_frames}, {name: s, type: split_frames}]}",
            "layer \"s\" of type \"split_frames\" cannot take [8B,8,1]", "");
    refused(
        "{type: graph, layers: [{type: split_frames}, {type: flatten}, {type: dense, units: 1}]}",
        "gives [8B,1], each frame alone", "");
    refused("{type: lstm, units: [3]}", "model.units cannot be [3]", "");
}

static void test_graph_learns(void **state)
{
    struct data d = pictures(120, 8, 8, 1);
    (void)state;
    learns(&d,
           "{type: graph, layers: [{name: c1, type: conv2d, filters: 8, activation: relu, input: "
           "x}, {name: c2, type: conv2d, filters: 8}, {name: sum, type: add, input: [c1, c2]}, "
           "{type: activation}, {type: max_pool}, {type: batch_norm}, {type: dropout, rate: 0.1}, "
           "{name: p, type: global_average_pool}, {name: m, type: global_max_pool, input: sum}, "
           "{type: concat, input: [p, m]}, {type: dense, units: 8, activation: relu}]}",
           "{epochs: 1}", 0);
    /* everything that changes shapes, in one line: it builds and runs */
    learns(&d,
           "{type: graph, layers: [{type: pad, before: [1, 1, 0], after: [0, 0, 0]}, {type: slice, "
           "first: [1, 1, 0], count: [8, 8, 1]}, {type: permute, order: [1, 0, 2]}, {type: "
           "upsample}, {type: average_pool}, {type: resize, size: 10, method: bilinear}, {type: "
           "conv2d_transposed, filters: 4, stride: 2}, {type: depthwise_conv2d, stride: 2}, {type: "
           "group_norm, groups: 2}, {type: layer_norm}, {type: reshape, shape: [10, -1]}, {type: "
           "conv1d, filters: 4}, {type: reverse}, {type: rnn, units: 4, sequences: true}, {type: "
           "last_step}, {type: scale, factor: 2}]}",
           "{epochs: 1}", 0);
    /* the tutorial: Flatten, Dense 128 relu, Dense of the classes */
    learns(&d,
           "{type: graph, layers: [{type: flatten}, {type: dense, units: 128, activation: relu}, "
           "{type: dense, units: 1}]}",
           "{epochs: 5, learning_rate: 0.005}", 0.97);
    am_matrix_free(d.m);
}

/* ---- the table of plan ---- */

static void test_layer_table(void **state)
{
    struct am_arena *a = am_arena_new(0);
    struct data d = {.shape = dims3(28, 28, 1)};
    struct am_learn_task t =
        task_for(a, &d, "{type: cnn, filters: [32, 64], dense: [128]}", "{batch_size: 64}");
    struct am_node *out, *first;
    int64_t small;
    (void)state;
    t.task = AM_TASK_MULTICLASS, t.n_classes = 10;
    assert_int_equal(am_learner_layers(&t, a, &out, NULL), AM_OK);
    /* 3*3*32+32, 3*3*32*64+64, 7*7*64*128+128, 128*10+10 */
    assert_int_equal(am_node_i64(out, "parameters", 0), 320 + 18496 + 401536 + 1290);
    assert_int_equal(am_node_i64(out, "trained", 0), 320 + 18496 + 401536 + 1290);
    first = am_node_get(out, "layers")->list.items[0];
    assert_true(am_str_is(am_node_str(first, "name", ""), "conv1"));
    assert_true(am_str_is(am_node_str(first, "output", ""), "[B,28,28,32]"));
    assert_int_equal(am_node_i64(first, "parameters", 0), 320);
    assert_true(am_node_f64(first, "flops", 0) >= 2.0 * 28 * 28 * 9 * 32);
    assert_true(am_node_f64(out, "flops", 0) >=
                2.0 * (28 * 28 * 9 * 32 + 14 * 14 * 288 * 64 + 401408));
    assert_int_equal(am_node_i64(out, "batch_size", 0), 64);
    small = am_node_i64(out, "train_bytes", 0);
    assert_true(small > 4 * 421642 * 4 && am_node_i64(out, "predict_bytes", 0) > 421642 * 4);
    t.train_spec = parse_yaml(a, "{batch_size: 128}");
    assert_int_equal(am_learner_layers(&t, a, &out, NULL), AM_OK);
    assert_true(am_node_i64(out, "train_bytes", 0) > small);
    am_arena_free(a);
}

static void test_find_rate(void **state)
{
    struct am_arena *a = am_arena_new(0);
    struct data d = pictures(120, 8, 8, 1);
    struct am_learn_task t = task_for(a, &d, "{type: cnn, filters: [4]}", "");
    struct am_rate_options o = {.n_steps = 60};
    struct am_node *out;
    double rate = 0;
    (void)state;
    assert_int_equal(am_learner_find_rate(&t, &o, a, &out, NULL), AM_OK);
    assert_true(am_node_as_f64(am_node_get(out, "suggestion"), &rate));
    assert_true(rate > 1e-5 && rate < 1);
    assert_true(am_node_get(out, "rates")->list.n == am_node_get(out, "losses")->list.n);
    t.model = parse_yaml(a, "{type: logistic}");
    assert_int_equal(am_learner_find_rate(&t, &o, a, &out, NULL), AM_EUNSUPPORTED);
    am_matrix_free(d.m);
    am_arena_free(a);
}

static enum am_rc build_once(struct am_learn_task *t, struct am_graph **g)
{
    return am_learner_graph(t, g, NULL);
}

static void test_memory(void **state)
{
    struct am_arena *a = am_arena_new(0);
    struct data d = {.shape = dims3(8, 8, 1)};
    struct am_learn_task t = task_for(a, &d, "{type: cnn, filters: [4]}", "");
    struct am_graph *g = NULL;
    (void)state;
    AM_OOM_LOOP(build_once(&t, &g), am_graph_free(g));
    am_arena_free(a);
}

/* ---- docs/LAYERS.md ---- */

static const char *layers_path;

static void print_key(struct am_buf *out, const struct am_learner_key *k)
{
    am_buf_printf(out, "|  | `%s` | ", k->name);
    for (const char *p = k->choices; p && *p;) {
        size_t n = strcspn(p, "|");
        am_buf_printf(out, "%s`%.*s`", p == k->choices ? "" : ", ", (int)n, p);
        p += n + (p[n] == '|');
    }
    if (k->types & AM_LEARNER_KEY_INT)
        am_buf_printf(out, "%sinteger", k->choices ? ", " : "");
    if (k->types & AM_LEARNER_KEY_NUMBER)
        am_buf_cstr(out, "number");
    if (k->types & AM_LEARNER_KEY_BOOL)
        am_buf_cstr(out, "boolean");
    if (k->types & AM_LEARNER_KEY_INTS)
        am_buf_printf(out, "%slist of integers", k->types & AM_LEARNER_KEY_INT ? ", " : "");
    if (k->min < k->max)
        am_buf_printf(out, " %g..%g", k->min, k->max);
    am_buf_printf(out, " | %s%s%s | %s |\n", k->otherwise ? "`" : "",
                  k->otherwise ? k->otherwise : "needed", k->otherwise ? "`" : "", k->doc);
}

static void print_layers(struct am_buf *out)
{
    size_t n;
    const struct am_layer_type *types = am_layer_types(&n);
    am_buf_cstr(out,
                "| type | key | value | default | meaning |\n| --- | --- | --- | --- | --- |\n");
    for (size_t i = 0; i < n; i++) {
        am_buf_printf(out, "| `%s` |  |  |  | %s", types[i].name, types[i].doc);
        if (types[i].max_in > 1)
            am_buf_printf(out, " %u to %u inputs.", types[i].min_in, types[i].max_in);
        am_buf_cstr(out, " |\n");
        for (size_t k = 0; k < types[i].n_keys; k++)
            print_key(out, &types[i].keys[k]);
    }
}

/* The manual's table is the program's: `test_learn_networks --layers` prints it. */
static void test_manual(void **state)
{
    struct am_buf want, have;
    (void)state;
    am_buf_init(&want, 1 << 20);
    am_buf_init(&have, 1 << 20);
    print_layers(&want);
    assert_int_equal(am_fs_read_file(layers_path, &have, NULL), AM_OK);
    am_buf_add(&have, "", 1);
    am_buf_add(&want, "", 1);
    assert_non_null(strstr(have.ptr, want.ptr));
    am_buf_clear(&want);
    am_buf_clear(&have);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_topologies),   cmocka_unit_test(test_pytorch_weights),
        cmocka_unit_test(test_fine_tuning),  cmocka_unit_test(test_learn_pictures),
        cmocka_unit_test(test_learn_tokens), cmocka_unit_test(test_bits),
        cmocka_unit_test(test_learn_videos), cmocka_unit_test(test_order_matters),
        cmocka_unit_test(test_autoencoder),  cmocka_unit_test(test_refused),
        cmocka_unit_test(test_graph_learns), cmocka_unit_test(test_layer_table),
        cmocka_unit_test(test_find_rate),    cmocka_unit_test(test_manual),
        cmocka_unit_test(test_memory),
    };
    (void)load_goldens, (void)load_table, (void)scale_table, (void)matrix_of, (void)task_of;
    (void)score, (void)golden_path, (void)examples_path;
    goldens_path = argc > 1 ? argv[1] : "network_goldens.json";
    weights_path = argc > 2 ? argv[2] : "weights_pytorch.npz";
    layers_path = argc > 3 ? argv[3] : "LAYERS.md";
    if (argc > 1 && strcmp(argv[1], "--layers") == 0) {
        struct am_buf b;
        am_buf_init(&b, 1 << 20);
        print_layers(&b);
        (void)fwrite(b.ptr, 1, b.len, stdout);
        am_buf_clear(&b);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
