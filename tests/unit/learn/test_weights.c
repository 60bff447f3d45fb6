/* Weights of other programs: what Keras and PyTorch predict with theirs, we predict, too; names by
 * a map; files that lie, lack or are packed. Goldens: tests/golden/keras_weights.py,
 * weights_goldens.py. */
#include "tests/unit/learn/learn_test.h"

#include "base/alloc.h"
#include "nn/train_weights.h"
#include "platform/modules.h"
#include "tensor/safetensors.h"
#include "tests/support/formula.h"

static const char *keras_dir, *pytorch_dir;
static struct am_err err;

static struct am_buf file(const char *dir, const char *name)
{
    char path[512];
    struct am_buf b;
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    am_buf_init(&b, (size_t)1 << 28);
    if (am_fs_read_file(path, &b, &err) != AM_OK)
        fail_msg("%s: %s", path, err.message);
    return b;
}

static struct am_node *goldens(struct am_arena *a, const char *dir)
{
    struct am_node *n;
    struct am_buf b = file(dir, "goldens.json");
    assert_int_equal(am_json_parse(a, am_buf_view(&b), "goldens", &n, NULL), AM_OK);
    am_buf_clear(&b);
    return n;
}

/* ---- a network and its rows ---- */

struct net {
    const char *name, *model;
    struct am_dims shape;
    size_t n_tokens;
    uint32_t seed; /* of the input */
    const struct am_weights_name *map;
    size_t n_map;
};

static const struct am_weights_name dense_map[] = {{AM_STR_INIT("hidden"), AM_STR_INIT("dense")},
                                                   {AM_STR_INIT("output"), AM_STR_INIT("dense_1")}};

static const struct net keras_nets[] = {
    {.name = "cnn",
     .model = "{type: graph, layers: ["
              "{name: c1, type: conv2d, filters: 4, kernel: [3, 2], activation: relu},"
              "{name: n1, type: batch_norm, epsilon: 0.001},"
              "{name: dw, type: depthwise_conv2d, multiplier: 2},"
              "{type: max_pool},"
              "{name: c2, type: conv2d, filters: 6, stride: 2, bias: false},"
              "{name: n2, type: batch_norm, epsilon: 0.001},"
              "{type: activation},"
              "{name: up, type: conv2d_transposed, filters: 3, stride: 2},"
              "{type: flatten},"
              "{name: out, type: dense, units: 4, activation: softmax}]}",
     .shape = {3, {8, 9, 3}},
     .seed = 9},
    {.name = "recurrent",
     .model = "{type: graph, layers: ["
              "{name: c, type: conv1d, filters: 5, activation: relu},"
              "{name: both, type: lstm, units: 4, bidirectional: true, sequences: true},"
              "{name: deep, type: lstm, units: 6, layers: 2, sequences: true},"
              "{name: gates, type: gru, units: 5, sequences: true},"
              "{name: norm, type: layer_norm},"
              "{name: plain, type: rnn, units: 4},"
              "{name: out, type: dense, units: 4, activation: softmax}]}",
     .shape = {2, {7, 3}},
     .seed = 10},
    {.name = "dense",
     .model = "{type: graph, layers: ["
              "{name: table, type: embedding, width: 3},"
              "{type: flatten},"
              "{name: inside, type: dense, units: 10, activation: tanh},"
              "{name: flat, type: batch_norm, epsilon: 0.001},"
              "{name: hidden, type: dense, units: 8, activation: relu}]}",
     .shape = {1, {4}},
     .n_tokens = 9,
     .seed = 11,
     .map = dense_map,
     .n_map = 2},
};

struct made {
    struct am_arena *arena;
    struct am_learn_task task;
    struct am_graph *g;
    struct am_params *p;
};

static void make(struct made *m, const struct net *n, enum am_task task, size_t n_classes)
{
    m->arena = am_arena_new(0);
    m->task = (struct am_learn_task){.task = task,
                                     .n_classes = n_classes,
                                     .n_features = 1,
                                     .shape = n->shape,
                                     .n_tokens = n->n_tokens,
                                     .model = parse_yaml(m->arena, n->model)};
    for (unsigned i = 0; i < n->shape.rank; i++)
        m->task.n_features *= (size_t)n->shape.d[i];
    if (am_learner_graph(&m->task, &m->g, &err) != AM_OK)
        fail_msg("%s: %s / %s", n->name, err.message, err.hint);
    assert_int_equal(am_params_new(m->g, &m->p, NULL), AM_OK);
    am_params_init(m->p, 5);
}

static void unmake(struct made *m)
{
    am_params_free(m->p);
    am_graph_free(m->g);
    am_arena_free(m->arena);
}

static void check_rows(const struct made *m, const float *x, size_t rows,
                       const struct am_node *want, const char *what)
{
    struct am_plan_options o = {.mode = AM_PLAN_INFER, .bucket_rows = rows};
    struct am_plan *plan;
    struct am_session *s;
    float y[64];
    assert_int_equal(am_plan_build(m->g, m->p, &o, &plan, NULL), AM_OK);
    assert_int_equal(am_session_new(plan, NULL, &s, NULL), AM_OK);
    assert_int_equal(am_plan_n_outputs(plan) * rows, want->list.n);
    assert_int_equal(am_session_run(s, rows, x, y, NULL), AM_OK);
    for (size_t i = 0; i < want->list.n; i++) {
        double v = 0;
        assert_true(am_node_as_f64(want->list.items[i], &v));
        if (!(fabs(v - (double)y[i]) < 1e-5))
            fail_msg("%s: y[%zu] is %.8g, not %.8g", what, i, (double)y[i], v);
    }
    am_session_free(s);
    am_plan_put(plan);
}

static void predicts(const struct made *m, const struct net *n, const struct am_node *want,
                     const char *what)
{
    float x[2 * 512];
    for (size_t i = 0; i < 2 * m->task.n_features; i++) {
        double v = 4 * draw(i, n->seed);
        x[i] = (float)(n->n_tokens ? 1 + floor(fabs(v) * 3.9) : v);
    }
    check_rows(m, x, 2, want, what);
}

/* ---- Keras ---- */

static void keras_file(const struct net *n, const struct am_node *want, const char *ending)
{
    struct am_weights_options o = {.map = n->map, .n_map = n->n_map};
    struct am_weights_report r;
    struct made m;
    char name[64];
    (void)snprintf(name, sizeof name, "%s%s", n->name, ending);
    struct am_buf b = file(keras_dir, name);
    make(&m, n, AM_TASK_MULTICLASS, 4);
    if (am_weights_load(m.g, m.p, am_buf_view(&b), &o, m.arena, &r, &err) != AM_OK)
        fail_msg("%s: %s / %s", name, err.message, err.hint);
    assert_int_equal(r.layout, AM_WEIGHTS_KERAS);
    if (r.n_missing || r.n_unused)
        fail_msg("%s: %zu missing (%.*s), %zu unused (%.*s)", name, r.n_missing,
                 AM_FMT(r.n_missing ? r.missing[0] : AM_STR("")), r.n_unused,
                 AM_FMT(r.n_unused ? r.unused[0] : AM_STR("")));
    assert_int_equal(r.n_matched, m.p->n_params);
    predicts(&m, n, am_node_get(want, "y"), name);
    am_buf_clear(&b);
    unmake(&m);
}

static void test_keras(void **state)
{
    struct am_arena *a = am_arena_new(0);
    struct am_node *g = goldens(a, keras_dir);
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const struct am_node *want = am_node_get(g, keras_nets[i].name);
        if (i < 2) /* the third: below */
            keras_file(&keras_nets[i], want, ".weights.h5");
        keras_file(&keras_nets[i], want, ".keras");
        keras_file(&keras_nets[i], want, ".h5");
        keras_file(&keras_nets[i], want, "_keras2.h5");
    }
    am_arena_free(a);
}

static enum am_rc load(struct made *m, const char *dir, const char *name,
                       const struct am_weights_options *o, struct am_weights_report *r)
{
    struct am_buf b = file(dir, name);
    enum am_rc rc = am_weights_load(m->g, m->p, am_buf_view(&b), o, m->arena, r, &err);
    am_buf_clear(&b);
    return rc;
}

static void refused(struct made *m, const char *name, const struct am_weights_options *o,
                    enum am_rc want, const char *why, const char *hint)
{
    struct am_weights_report r;
    float before = m->p->data[0];
    enum am_rc rc = load(m, keras_dir, name, o, &r);
    if (rc != want || !strstr(err.message, why) || !strstr(err.hint, hint))
        fail_msg("%s: \"%s\" / \"%s\" wanted, got %d: %s / %s", name, why, hint, (int)rc,
                 rc == AM_OK ? "loaded" : err.message, rc == AM_OK ? "" : err.hint);
    assert_true(before == m->p->data[0]);
}

static void test_keras_refused(void **state)
{
    const struct net *dense = &keras_nets[2];
    struct am_weights_options o = {.map = dense_map, .n_map = 2};
    struct am_weights_name other[2] = {dense_map[0], dense_map[1]};
    struct am_weights_report r;
    struct made m;
    (void)state;
    make(&m, dense, AM_TASK_MULTICLASS, 4);
    /* scale is off, and weights alone do not say so */
    refused(&m, "dense.weights.h5", &o, AM_EUNSUPPORTED,
            "layer \"flat\" of the file has 3 variables", "model.save(FILE.keras)");
    o.skip = &(struct am_str)AM_STR_INIT("flat"), o.n_skip = 1;
    assert_int_equal(load(&m, keras_dir, "dense.weights.h5", &o, &r), AM_OK);
    assert_int_equal(r.n_skipped, 4);
    o.n_skip = 0;
    /* names of the map that are nowhere */
    other[1].theirs = AM_STR("dense_7");
    o.map = other;
    refused(&m, "dense.h5", &o, AM_EUSAGE, "the file has no layer \"dense_7\"", "\"dense\"");
    other[1] = (struct am_weights_name){AM_STR("outptu"), AM_STR("dense_1")};
    refused(&m, "dense.h5", &o, AM_EUSAGE, "the model has no layer \"outptu\"", "aimass plan");
    /* the wrong layer: shapes and names of both */
    other[1] = (struct am_weights_name){AM_STR("output"), AM_STR("inside")};
    refused(&m, "dense.h5", &o, AM_EUSAGE,
            "has the shape [12,10], which does not fit \"output.weight\" of the model, [8,4]",
            "train.weights.skip");
    other[1].theirs = AM_STR("table");
    refused(&m, "dense.h5", &o, AM_EUSAGE, "layer \"table\" of the file has no kernel", "type");
    other[1].theirs = AM_STR("inner/inside"); /* by its path: found, of another shape */
    refused(&m, "dense.keras", &o, AM_EUSAGE, "does not fit \"output.weight\"", "");
    /* no name in common */
    o.n_map = 0;
    unmake(&m);
    make(&m, &keras_nets[0], AM_TASK_MULTICLASS, 4);
    refused(&m, "dense.keras", &o, AM_EUSAGE, "none of the", "train.weights.map");
    unmake(&m);
    struct net gru = {.name = "gru",
                      .model = "{type: graph, layers: [{name: g, type: gru, units: 4}]}",
                      .shape = {2, {7, 3}}};
    make(&m, &gru, AM_TASK_MULTICLASS, 4);
    refused(&m, "old_gru.weights.h5", &o, AM_EUNSUPPORTED, "reset_after=False", "reset_after=True");
    unmake(&m);
}

/* A wrong kernel of the right size is no kernel. */
static void test_keras_window(void **state)
{
    struct net n = keras_nets[0];
    struct am_weights_options o = {.layout = AM_WEIGHTS_KERAS};
    struct made m;
    (void)state;
    n.model = "{type: graph, layers: [{name: c1, type: conv2d, filters: 4, kernel: [2, 3]}]}";
    make(&m, &n, AM_TASK_MULTICLASS, 4);
    refused(&m, "cnn.keras", &o, AM_EUSAGE, "has the shape [3,2,3,4]", "");
    unmake(&m);
}

/* As the recipe says it, through the learner. */
static void test_recipe(void **state)
{
    struct made m;
    struct am_learned l;
    struct am_matrix *rows;
    (void)state;
    make(&m, &keras_nets[2], AM_TASK_MULTICLASS, 4);
    assert_int_equal(am_matrix_new(4, 1, NULL, &rows, NULL), AM_OK);
    for (size_t i = 0; i < 20; i++) {
        const float x[4] = {(float)(1 + i % 8), 2, 3, 4}, y = (float)(i % 4);
        assert_int_equal(am_matrix_append(rows, 1, x, &y, NULL, NULL), AM_OK);
    }
    assert_int_equal(am_matrix_finish(rows, NULL), AM_OK);
    m.task.train = am_matrix_data(rows);
    char text[1024];
    (void)snprintf(text, sizeof text,
                   "{epochs: 1, learning_rate: 1e-12, weights: {file: '%s/dense.keras', map: "
                   "{hidden: dense, output.weight: dense_1, output.bias: "
                   "layers/dense_1/vars/1}}}",
                   keras_dir);
    m.task.train_spec = parse_yaml(m.arena, text);
    if (am_learner_fit(&m.task, &l, m.arena, &err) != AM_OK)
        fail_msg("%s / %s", err.message, err.hint);
    const struct am_node *w = am_node_get(l.info, "weights");
    assert_true(am_str_is(am_node_str(w, "layout", ""), "keras"));
    assert_int_equal(am_node_i64(w, "matched", 0), 11);
    assert_int_equal(am_node_get(w, "missing")->list.n, 0);
    assert_int_equal(am_node_get(w, "unused")->list.n, 0);
    am_learned_clear(&l);
    m.task.train_spec = parse_yaml(m.arena, "{weights: {file: x, map: {hidden: [1]}}}");
    assert_int_equal(am_learner_fit(&m.task, &l, m.arena, &err), AM_EUSAGE);
    assert_non_null(strstr(err.message, "\"hidden\" stands for no name"));
    am_matrix_free(rows);
    unmake(&m);
}

/* ---- PyTorch ---- */

static const struct net pytorch_cnn = {
    .name = "cnn",
    .model = "{type: graph, layers: ["
             "{name: c1, type: conv2d, filters: 4, kernel: [3, 2], padding: [1, 0], activation: "
             "relu},"
             "{name: dw, type: conv2d, filters: 8, groups: 4},"
             "{type: max_pool},"
             "{type: flatten},"
             "{name: n1, type: batch_norm},"
             "{name: d1, type: dense, units: 10, activation: relu},"
             "{name: d2, type: dense, units: 24},"
             "{name: n2, type: batch_norm},"
             "{type: activation},"
             "{type: reshape, shape: [3, 4, 2]},"
             "{name: up, type: conv2d_transposed, filters: 5, stride: 2, padding: 1, "
             "output_padding: 1},"
             "{type: activation},"
             "{type: flatten}]}",
    .shape = {3, {8, 9, 3}},
    .seed = 11};
static const struct net pytorch_mlp = {
    .name = "mlp", .model = "{type: mlp, layers: [6]}", .shape = {3, {4, 5, 3}}, .seed = 12};

static void test_pytorch(void **state)
{
    struct am_weights_options o = {.layout = AM_WEIGHTS_PYTORCH};
    struct am_weights_report r;
    struct made m;
    struct am_arena *a = am_arena_new(0);
    struct am_node *g = goldens(a, pytorch_dir);
    (void)state;
    make(&m, &pytorch_cnn, AM_TASK_MULTICLASS, 4);
    if (load(&m, pytorch_dir, "cnn.safetensors", &o, &r) != AM_OK)
        fail_msg("%s / %s", err.message, err.hint);
    assert_int_equal(r.n_matched, m.p->n_params);
    assert_int_equal(r.n_unused, 2); /* num_batches_tracked */
    predicts(&m, &pytorch_cnn, am_node_get(g, "cnn"), "cnn");
    unmake(&m);
    /* the pixels of an MLP's input, out of a compressed archive */
    make(&m, &pytorch_mlp, AM_TASK_MULTICLASS, 4);
    o.input_places = 20;
    if (load(&m, pytorch_dir, "mlp.npz", &o, &r) != AM_OK)
        fail_msg("%s / %s", err.message, err.hint);
    assert_int_equal(r.n_matched, m.p->n_params);
    predicts(&m, &pytorch_mlp, am_node_get(g, "mlp"), "mlp");
    unmake(&m);
    am_arena_free(a);
}

/* What nobody can know is said, not guessed. */
static void test_pytorch_refused(void **state)
{
    struct net n = pytorch_cnn;
    struct am_weights_options o = {.layout = AM_WEIGHTS_PYTORCH};
    struct am_weights_name map = {AM_STR_INIT("d9"), AM_STR_INIT("d1")};
    struct am_weights_report r;
    struct made m;
    (void)state;
    n.model = "{type: graph, layers: [{name: f, type: flatten},"
              "{name: p, type: global_average_pool, input: x},"
              "{name: j, type: concat, input: [f, p]}, {name: d1, type: dense, units: 10}]}";
    n.shape = (struct am_dims){3, {5, 5, 5}};
    make(&m, &n, AM_TASK_MULTICLASS, 4);
    o.map = &map;
    assert_int_equal(load(&m, pytorch_dir, "cnn.safetensors", &o, &r), AM_EUSAGE);
    assert_non_null(strstr(err.message, "\"d1.weight\" has the shape [10,128]"));
    unmake(&m);
    n.shape = (struct am_dims){3, {6, 7, 3}};
    n.model = "{type: graph, layers: [{name: f, type: flatten},"
              "{name: p, type: dense, units: 2, input: f},"
              "{name: j, type: concat, input: [f, p]}, {name: d1, type: dense, units: 10}]}";
    make(&m, &n, AM_TASK_MULTICLASS, 4);
    assert_int_equal(load(&m, pytorch_dir, "cnn.safetensors", &o, &r), AM_EUNSUPPORTED);
    assert_non_null(strstr(err.message, "order in PyTorch is not known"));
    /* names by a map */
    o.n_map = 1;
    assert_int_equal(load(&m, pytorch_dir, "cnn.safetensors", &o, &r), AM_EUSAGE);
    assert_non_null(strstr(err.message, "the model has no layer \"d9\""));
    map.ours = AM_STR("p");
    map.theirs = AM_STR("nothing");
    assert_int_equal(load(&m, pytorch_dir, "cnn.safetensors", &o, &r), AM_EUSAGE);
    assert_non_null(strstr(err.message, "the file has no tensor \"nothing.weight\""));
    unmake(&m);
}

/* A state_dict of PyTorch's names and shapes, in its order, as safetensors.torch writes it. */
static void write_state(const struct am_node *list, struct am_buf *out)
{
    struct am_arena *a = am_arena_new((size_t)1 << 30);
    struct am_st_tensor *t = am_arena_array(a, list->list.n, sizeof *t);
    for (size_t i = 0; i < list->list.n; i++) {
        const struct am_node *shape = list->list.items[i]->list.items[1];
        double scale = 0.2, shift = 0;
        size_t n = 1, fan;
        assert_true(am_node_as_str(list->list.items[i]->list.items[0], &t[i].name));
        t[i].rank = (unsigned)shape->list.n;
        for (unsigned k = 0; k < t[i].rank; k++) {
            int64_t d = 0;
            assert_true(am_node_as_i64(shape->list.items[k], &d));
            t[i].dims[k] = (uint64_t)d;
            n *= (size_t)d;
        }
        if (t[i].rank == 0) { /* num_batches_tracked */
            int64_t *v = am_arena_array(a, 1, sizeof *v);
            *v = 7;
            t[i].dtype = AM_I64, t[i].data = v, t[i].n_bytes = sizeof *v;
            continue;
        }
        float *v = am_arena_array(a, n, sizeof *v);
        assert_non_null(v);
        fan = n / (size_t)t[i].dims[0];
        if (t[i].rank > 1)
            scale = sqrt(24.0 / (double)fan);
        else if (am_str_ends(t[i].name, AM_STR("running_var")))
            scale = 1, shift = 1;
        else if (am_str_ends(t[i].name, AM_STR("weight")))
            scale = 0.4, shift = 1;
        for (size_t k = 0; k < n; k++)
            v[k] = (float)(shift + scale * draw(k, seed_of(t[i].name)));
        t[i].dtype = AM_F32, t[i].data = v, t[i].n_bytes = n * sizeof *v;
    }
    assert_int_equal(am_safetensors_write(t, list->list.n, NULL, AM_ST_FINITE, out, NULL), AM_OK);
    am_arena_free(a);
}

static void test_resnet18(void **state)
{
    static const struct net net = {
        .name = "resnet18", .model = "{type: resnet18}", .shape = {3, {64, 64, 3}}};
    struct am_weights_options o = {.layout = AM_WEIGHTS_PYTORCH};
    struct am_weights_report r;
    struct am_plan_options po = {.mode = AM_PLAN_INFER, .bucket_rows = 1};
    struct am_arena *a = am_arena_new(0);
    struct am_node *g = goldens(a, pytorch_dir);
    struct am_plan *plan;
    struct am_session *s;
    struct am_buf b;
    struct made m;
    float y, *x = am_alloc_array(64 * 64 * 3, sizeof *x);
    double want = am_node_f64(g, "resnet18", 0);
    (void)state;
    make(&m, &net, AM_TASK_REGRESSION, 0);
    am_buf_init(&b, (size_t)1 << 28);
    write_state(am_node_get(g, "resnet18_state"), &b);
    if (am_weights_load(m.g, m.p, am_buf_view(&b), &o, m.arena, &r, &err) != AM_OK)
        fail_msg("%s / %s", err.message, err.hint);
    assert_int_equal(r.n_matched, m.p->n_params);
    assert_int_equal(r.n_missing, 0);
    assert_int_equal(r.n_unused, 20); /* num_batches_tracked */
    for (size_t i = 0; i < 64 * 64 * 3; i++)
        x[i] = (float)(4 * draw(i, 7));
    assert_int_equal(am_plan_build(m.g, m.p, &po, &plan, NULL), AM_OK);
    assert_int_equal(am_session_new(plan, NULL, &s, NULL), AM_OK);
    assert_int_equal(am_session_run(s, 1, x, &y, NULL), AM_OK);
    if (!(fabs((double)y - want) < 1e-4 * fabs(want)))
        fail_msg("%g, but PyTorch has %g", (double)y, want);
    am_session_free(s);
    am_plan_put(plan);
    am_free(x);
    am_buf_clear(&b);
    unmake(&m);
    am_arena_free(a);
}

/* ---- damage ---- */

static void test_damaged(void **state)
{
    static const char *const names[] = {"mlp.npz", "cnn.keras"};
    struct am_weights_options o = {.layout = AM_WEIGHTS_AUTO};
    struct am_weights_report r;
    struct made m;
    (void)state;
    make(&m, &pytorch_mlp, AM_TASK_MULTICLASS, 4);
    for (size_t k = 0; k < 2; k++) {
        struct am_buf b = file(k ? keras_dir : pytorch_dir, names[k]);
        size_t step = b.len / 300 + 1;
        for (size_t n = 0; n < b.len; n += step)
            assert_int_not_equal(
                am_weights_load(m.g, m.p, (struct am_str){b.ptr, n}, &o, m.arena, &r, &err), AM_OK);
        for (size_t n = 0; n < b.len; n += step) {
            char old = b.ptr[n];
            b.ptr[n] = (char)(old ^ 0x55);
            (void)!am_weights_load(m.g, m.p, am_buf_view(&b), &o, m.arena, &r, &err);
            b.ptr[n] = old;
        }
        am_buf_clear(&b);
    }
    /* a member whose bytes were changed: its checksum says so */
    struct am_buf b = file(pytorch_dir, "mlp.npz");
    b.ptr[120] = (char)(b.ptr[120] ^ 1);
    o.layout = AM_WEIGHTS_PYTORCH;
    assert_int_equal(am_weights_load(m.g, m.p, am_buf_view(&b), &o, m.arena, &r, &err),
                     AM_ECORRUPT);
    assert_non_null(strstr(err.message, ".npy"));
    am_buf_clear(&b);
    /* one bit of a number that lies there as it is: only the checksum knows */
    b = file(pytorch_dir, "../weights_pytorch.npz");
    b.ptr[260] = (char)(b.ptr[260] ^ 1);
    assert_int_equal(am_weights_load(m.g, m.p, am_buf_view(&b), &o, m.arena, &r, &err),
                     AM_ECORRUPT);
    assert_non_null(strstr(err.message, "is damaged"));
    am_buf_clear(&b);
    unmake(&m);
}

static struct made oom;
static struct am_buf oom_bytes;
static enum am_rc load_once(void)
{
    struct am_weights_options o = {.layout = AM_WEIGHTS_AUTO, .map = dense_map, .n_map = 2};
    struct am_weights_report r;
    struct am_arena *a = am_arena_new(0);
    if (!a)
        return AM_ENOMEM;
    enum am_rc rc = am_weights_load(oom.g, oom.p, am_buf_view(&oom_bytes), &o, a, &r, NULL);
    am_arena_free(a);
    return rc;
}

static void test_memory(void **state)
{
    (void)state;
    make(&oom, &keras_nets[2], AM_TASK_MULTICLASS, 4);
    oom_bytes = file(keras_dir, "dense.keras");
    AM_OOM_LOOP(load_once(), (void)0);
    am_buf_clear(&oom_bytes);
    unmake(&oom);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keras),        cmocka_unit_test(test_keras_refused),
        cmocka_unit_test(test_keras_window), cmocka_unit_test(test_recipe),
        cmocka_unit_test(test_pytorch),      cmocka_unit_test(test_pytorch_refused),
        cmocka_unit_test(test_resnet18),     cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_memory),
    };
    (void)load_goldens, (void)load_table, (void)scale_table, (void)matrix_of, (void)task_of;
    (void)score, (void)golden_path, (void)examples_path;
    keras_dir = argc > 1 ? argv[1] : "keras";
    pytorch_dir = argc > 2 ? argv[2] : "weights";
    am_modules_set_weights(NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
