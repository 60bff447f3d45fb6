/* Graphs: shape errors that name node and shapes, graph.json there and back, hostile graph.json,
 * and every public call with the n-th allocation failing. */
#include "nn_test.h"

#include "tests/support/faults.h"

#include "nn/ops/op.h"

static am_value dense(struct am_graph *g, am_value x, int64_t n, enum am_act act, const char *name)
{
    const struct am_dense_options o = {.act = act, .init = AM_INIT_GLOROT_UNIFORM};
    return am_layer_dense(g, x, n, &o, name);
}

/* Every storable op once. */
static enum am_rc build_big(struct am_graph **out, struct am_err *err)
{
    struct am_graph *g;
    *out = NULL;
    AM_TRY(am_graph_new(&g, err));
    am_value x = am_graph_input(g, "x", am_dims2(AM_DIM_BATCH, 6));
    am_value h = dense(g, x, 6, AM_ACT_GELU, "a");
    h = am_layer_dropout(g, am_layer_batch_norm(g, h, 1e-5f, 0.1f, "bn"), 0.25f);
    h = am_layer_layer_norm(g, am_layer_add(g, h, x), 1e-5f, "ln");
    h = am_layer_mul(g, h, am_layer_scale(g, h, 0.5f, -1.0f));
    const am_value parts[2] = {h, am_layer_embedding(g, am_layer_columns(g, x, 5, 1), 9, 4, "emb")};
    h = am_layer_activation(g, am_layer_concat(g, parts, 2), AM_ACT_LEAKY_RELU, 0.1f);
    am_graph_output(g, "y",
                    am_layer_activation(g, dense(g, h, 3, AM_ACT_NONE, "out"), AM_ACT_SOFTMAX, 0));
    const enum am_rc rc = am_graph_check(g, err);
    if (rc != AM_OK) {
        am_graph_free(g);
        return rc;
    }
    *out = g;
    return AM_OK;
}

/* The error of a graph after one wrong call. */
static void expect_error(struct am_graph *g, const char *part1, const char *part2)
{
    struct am_err e;
    assert_int_not_equal(am_graph_check(g, &e), AM_OK);
    if (!strstr(e.message, part1) || !strstr(e.message, part2)) {
        print_error("\"%s\" lacks \"%s\" or \"%s\"\n", e.message, part1, part2);
        fail();
    }
    am_graph_free(g);
}

static struct am_graph *fresh(am_value *x, int64_t cols)
{
    struct am_graph *g;
    MUST(am_graph_new(&g, err));
    *x = am_graph_input(g, "x", am_dims2(AM_DIM_BATCH, cols));
    return g;
}

static am_value weight(struct am_graph *g, const char *name, struct am_dims d)
{
    const struct am_param_spec spec = {AM_INIT_ONES, 0, 0};
    return am_graph_param(g, name, d, &spec);
}

static void shape_errors(void **state)
{
    (void)state;
    am_value x;
    struct am_graph *g = fresh(&x, 30);
    am_value in[3] = {x, weight(g, "w", am_dims2(31, 16))};
    assert_true(am_graph_add(g, &am_op_linear, in, 2, NULL, "fc1") == AM_VALUE_NONE);
    expect_error(g, "node 2 (linear \"fc1\")", "[B,30] [31,16]");
    g = fresh(&x, 30);
    in[0] = x, in[1] = weight(g, "w", am_dims2(30, 16)), in[2] = weight(g, "b", am_dims1(15));
    (void)am_graph_add(g, &am_op_linear, in, 3, NULL, NULL);
    expect_error(g, "[15]", "bias");
    g = fresh(&x, 4);
    in[0] = x, in[1] = weight(g, "w", am_dims1(4));
    (void)am_graph_add(g, &am_op_linear, in, 2, NULL, NULL);
    expect_error(g, "[B,4] [4]", "matrix");
    g = fresh(&x, 4);
    (void)am_layer_add(g, x, am_layer_columns(g, x, 0, 3));
    expect_error(g, "[B,4] [B,3]", "same shape");
    g = fresh(&x, 4);
    (void)am_layer_columns(g, x, 2, 3);
    expect_error(g, "[B,4]", "outside");
    g = fresh(&x, 4);
    (void)am_layer_columns(g, x, INT64_MAX, 3);
    expect_error(g, "[B,4]", "outside");
    g = fresh(&x, 4);
    (void)am_layer_dropout(g, x, 1.0f);
    expect_error(g, "dropout", "below 1");
    g = fresh(&x, 4);
    (void)am_layer_dropout(g, x, NAN);
    expect_error(g, "dropout", "below 1");
    g = fresh(&x, 4);
    am_value norm[5] = {x, weight(g, "a", am_dims1(4)), weight(g, "b", am_dims1(5))};
    const struct am_attr eps = {.f = {1e-5f}};
    (void)am_graph_add(g, &am_op_layer_norm, norm, 3, &eps, NULL);
    expect_error(g, "[B,4] [4] [5]", "column");
    g = fresh(&x, 4);
    norm[0] = x, norm[1] = weight(g, "a", am_dims1(4)), norm[2] = weight(g, "b", am_dims1(4));
    (void)am_graph_add(g, &am_op_layer_norm, norm, 3, NULL, NULL);
    expect_error(g, "layer_norm", "eps");
    g = fresh(&x, 4);
    (void)am_graph_add(g, &am_op_softmax, (am_value[]){77}, 1, NULL, NULL);
    expect_error(g, "softmax", "node 77");
    g = fresh(&x, 4);
    (void)am_graph_add(g, &am_op_add, &x, 1, NULL, NULL);
    expect_error(g, "1 inputs", "2 to 2");
    g = fresh(&x, 4);
    (void)weight(g, "w", am_dims1(4));
    (void)weight(g, "w", am_dims1(5));
    expect_error(g, "two of the graph's params", "\"w\"");
    g = fresh(&x, 4);
    (void)weight(g, "w", am_dims2(AM_DIM_BATCH, 4));
    expect_error(g, "\"w\"", "batch");
    g = fresh(&x, 4);
    (void)weight(g, "w", am_dims2((int64_t)1 << 40, (int64_t)1 << 40));
    expect_error(g, "\"w\"", "larger than");
    g = fresh(&x, 4);
    (void)weight(g, "w", am_dims1(0));
    expect_error(g, "\"w\"", "at least 1");
    g = fresh(&x, 4);
    (void)dense(g, x, 0, AM_ACT_NONE, "fc");
    expect_error(g, "\"fc\"", "unit");
    g = fresh(&x, 4);
    am_graph_output(g, "y", 99);
    expect_error(g, "\"y\"", "99");
}

/* After the first error everything else is silent and harmless. */
static void errors_stick(void **state)
{
    (void)state;
    am_value x;
    struct am_graph *g = fresh(&x, 4);
    am_value bad = am_layer_columns(g, x, 9, 9);
    assert_true(bad == AM_VALUE_NONE);
    bad = dense(g, am_layer_batch_norm(g, am_layer_add(g, bad, x), 1, 1, "n"), 3, AM_ACT_SOFTMAX,
                "d");
    const am_value parts[2] = {bad, x};
    assert_true(am_layer_concat(g, parts, 2) == AM_VALUE_NONE);
    am_graph_output(g, "y", bad);
    expect_error(g, "columns", "[B,4]");
}

static void plan_errors(void **state)
{
    (void)state;
    am_value x;
    struct am_graph *g = fresh(&x, 4);
    struct am_params *p;
    struct am_plan *plan;
    struct am_err e;
    struct am_plan_options o = {.mode = AM_PLAN_INFER, .bucket_rows = 4};
    MUST(am_params_new(g, &p, err));
    assert_int_equal(am_plan_build(g, p, &o, &plan, &e), AM_EINVAL);
    assert_non_null(strstr(e.message, "\"y\""));
    am_graph_output(g, "y", x);
    assert_int_equal(am_plan_build(g, p, &o, &plan, &e), AM_EINVAL);
    assert_non_null(strstr(e.message, "itself"));
    am_graph_output(g, "y", am_layer_activation(g, x, AM_ACT_TANH, 0));
    o.bucket_rows = 0;
    assert_int_equal(am_plan_build(g, p, &o, &plan, &e), AM_EINVAL);
    o.bucket_rows = (size_t)1 << 60;
    assert_int_equal(am_plan_build(g, p, &o, &plan, &e), AM_OK); /* y and x lie with the caller */
    am_plan_put(plan);
    am_graph_output(g, "y", dense(g, dense(g, x, 3, AM_ACT_NONE, "a"), 3, AM_ACT_NONE, "b"));
    assert_int_equal(am_plan_build(g, p, &o, &plan, &e),
                     AM_EINVAL); /* params of the smaller graph */
    am_params_free(p);
    MUST(am_params_new(g, &p, err));
    assert_int_equal(am_plan_build(g, p, &o, &plan, &e), AM_ELIMIT);
    am_params_free(p);
    am_graph_free(g);
}

static void loss_errors(void **state)
{
    (void)state;
    static const float two[2] = {1, 2};
    const struct {
        struct am_loss_spec spec;
        const char *part;
    } wrong[] = {
        {{.kind = AM_LOSS_CATEGORICAL, .label_smoothing = 1.0f}, "label smoothing is 1"},
        {{.kind = AM_LOSS_MSE, .label_smoothing = 0.5f}, "mse"},
        {{.kind = AM_LOSS_HUBER}, "delta"},
        {{.kind = AM_LOSS_HINGE, .margin = -1}, "margin"},
        {{.kind = AM_LOSS_CATEGORICAL, .class_weights = two, .n_class_weights = 2},
         "3 class weights"},
        {{.kind = (enum am_loss_kind)99}, "99"},
    };
    am_value x;
    struct am_graph *g = fresh(&x, 4);
    struct am_params *p;
    struct am_plan *plan;
    struct am_err e;
    am_graph_output(g, "y", dense(g, x, 3, AM_ACT_SOFTMAX, "a"));
    MUST(am_params_new(g, &p, err));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(am_train_plan_build(g, p, &wrong[i].spec, 4, &plan, &e), AM_EINVAL);
        assert_non_null(strstr(e.message, wrong[i].part));
    }
    am_params_free(p);
    am_graph_free(g);
}

static void to_text(const struct am_graph *g, struct am_buf *out)
{
    struct am_arena *a = am_arena_new(0);
    struct am_node *n;
    MUST(am_graph_to_node(g, a, &n, err));
    am_buf_init(out, 1 << 20);
    am_node_to_json(n, AM_JSON_COMPACT, out);
    am_arena_free(a);
}

static enum am_rc from_text(struct am_str text, struct am_graph **g, struct am_err *err)
{
    struct am_arena *a = am_arena_new(0);
    struct am_node *n;
    *g = NULL;
    if (!a)
        return am_fail_nomem(err, 1);
    enum am_rc rc = am_json_parse(a, text, "graph", &n, err);
    if (rc == AM_OK)
        rc = am_graph_from_node(n, g, err);
    am_arena_free(a);
    return rc;
}

static void json_round_trip(void **state)
{
    (void)state;
    struct am_graph *g, *h;
    struct am_buf a, b;
    MUST(build_big(&g, err));
    to_text(g, &a);
    MUST(from_text(am_buf_view(&a), &h, err));
    to_text(h, &b);
    assert_true(am_str_eq(am_buf_view(&a), am_buf_view(&b)));
    struct am_params *p, *q;
    MUST(am_params_new(g, &p, err));
    MUST(am_params_new(h, &q, err));
    assert_int_equal(p->n_floats, q->n_floats);
    for (size_t k = 0; k < p->n_params; k++)
        assert_int_equal(p->table[k].flags, q->table[k].flags);
    am_params_free(p);
    am_params_free(q);
    am_graph_free(g);
    am_graph_free(h);
    am_buf_clear(&a);
    am_buf_clear(&b);
}

#define X "{\"op\":\"input\",\"dims\":[-1,4],\"name\":\"x\"}"
#define W(D) "{\"op\":\"param\",\"dims\":" D ",\"name\":\"w\"}"
#define G(NODES, OUT) "{\"version\":1,\"nodes\":[" NODES "],\"outputs\":{" OUT "}}"

static void hostile_json(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "[]",
        "{}",
        "null",
        "{\"version\":2,\"nodes\":[],\"outputs\":{}}",
        "{\"version\":1,\"nodes\":{},\"outputs\":{}}",
        "{\"version\":1,\"nodes\":[],\"outputs\":[]}",
        G("", "\"y\":0"),
        G("7", ""),
        G("{\"op\":\"input\"}", ""),
        G("{\"op\":\"exec\",\"dims\":[1]}", ""),
        G("{\"op\":\"loss\",\"dims\":[1],\"in\":[0]}", ""),
        G("{\"op\":\"input\",\"dims\":[],\"name\":\"x\"}", ""),
        G("{\"op\":\"input\",\"dims\":[1,1,1,1,1,1,1,1,1],\"name\":\"x\"}", ""),
        G("{\"op\":\"input\",\"dims\":[-1,-1],\"name\":\"x\"}", ""),
        G("{\"op\":\"input\",\"dims\":[-1,0],\"name\":\"x\"}", ""),
        G("{\"op\":\"input\",\"dims\":[-1,1.5],\"name\":\"x\"}", ""),
        G("{\"op\":\"input\",\"dims\":[-1,\"4\"],\"name\":\"x\"}", ""),
        G("{\"op\":\"input\",\"dims\":[-1,9223372036854775807],\"name\":\"x\"}", ""),
        G("{\"op\":\"input\",\"dims\":[-1,4]}", ""),
        G("{\"op\":\"input\",\"dims\":[-1,4],\"name\":7}", ""),
        G("{\"op\":\"input\",\"dims\":[-1,4],\"name\":\"a\\u0000b\"}", ""),
        G(X "," X, ""),
        G(W("[4294967296,4294967296]"), ""),
        G(W("[-1,4]"), ""),
        G(X ",{\"op\":\"softmax\",\"dims\":[-1,4],\"in\":[1]}", ""),
        G(X ",{\"op\":\"softmax\",\"dims\":[-1,4],\"in\":[-1]}", ""),
        G(X ",{\"op\":\"softmax\",\"dims\":[-1,4],\"in\":[4294967295]}", ""),
        G(X ",{\"op\":\"softmax\",\"dims\":[-1,4],\"in\":[null]}", ""),
        G(X ",{\"op\":\"softmax\",\"dims\":[-1,4],\"in\":[0,0]}", ""),
        G(X ",{\"op\":\"softmax\",\"dims\":[-1,4],\"in\":[0,0,0,0,0,0,0,0,0]}", ""),
        G(X ",{\"op\":\"softmax\",\"dims\":[-1,4]}", ""),
        G(X ",{\"op\":\"softmax\",\"dims\":[-1,5],\"in\":[0]}", ""),
        G(X ",{\"op\":\"softmax\",\"dims\":[-9223372036854775808,-9223372036854775808,-"
            "9223372036854775808,-9223372036854775808,-9223372036854775808,-9223372036854775808,-"
            "9223372036854775808,-9223372036854775808],\"in\":[0]}",
          ""),
        G(X ",{\"op\":\"act\",\"dims\":[-1,4],\"in\":[0]}", ""),
        G(X ",{\"op\":\"act\",\"dims\":[-1,4],\"in\":[0],\"act\":\"softmax\",\"alpha\":1}", ""),
        G(X ",{\"op\":\"act\",\"dims\":[-1,4],\"in\":[0],\"act\":\"relu\",\"alpha\":1e99}", ""),
        G(X ",{\"op\":\"dropout\",\"dims\":[-1,4],\"in\":[0],\"rate\":1}", ""),
        G(X ",{\"op\":\"columns\",\"dims\":[-1,4],\"in\":[0],\"first\":-1,\"n\":4}", ""),
        G(X ",{\"op\":\"columns\",\"dims\":[-1,4],\"in\":[0],\"first\":1,\"n\":4}", ""),
        G(X "," W("[4,2]") ",{\"op\":\"linear\",\"dims\":[-1,3],\"in\":[0,1]}", ""),
        G(X "," W("[5,2]") ",{\"op\":\"linear\",\"dims\":[-1,2],\"in\":[0,1]}", ""),
        G(X "," W("[5,2]") ",{\"op\":\"linear\",\"dims\":[-1,2],\"in\":[1,0]}", ""),
        G(X "," W("[4]") ",{\"op\":\"embedding\",\"dims\":[-1,4],\"in\":[0,1]}", ""),
        G(X "," W("[2,4294967296]") ",{\"op\":\"embedding\",\"dims\":[-1,4],\"in\":[0,1]}", ""),
        G(X, "\"y\":1"),
        G(X, "\"y\":-1"),
        G(X, "\"y\":0.5"),
        G(X, "\"\":0"),
        G(X, "\"a\":0,\"b\":0,\"c\":0,\"d\":0,\"e\":0,\"f\":0,\"g\":0,\"h\":0,\"i\":0,\"j\":0,"
             "\"k\":0,\"l\":0,"
             "\"m\":0,\"n\":0,\"o\":0,\"p\":0,\"q\":0"),
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct am_graph *g;
        struct am_err e;
        am_err_clear(&e);
        if (from_text(am_str(bad[i]), &g, &e) == AM_OK || e.message[0] == 0) {
            print_error("accepted: %s\n", bad[i]);
            fail();
        }
        assert_null(g);
    }
    struct am_graph *g;
    MUST(from_text(
        am_str(G(X "," W("[4,2]") ",{\"op\":\"linear\",\"dims\":[-1,2],\"in\":[0,1,null]}",
                 "\"y\":2")),
        &g, err));
    am_graph_free(g);
}

/* Every text with one byte changed either fails cleanly or makes a graph that plans or fails
 * cleanly. */
static void mutated_json(void **state)
{
    (void)state;
    struct am_graph *g;
    struct am_buf b;
    struct am_rng r;
    am_rng_init(&r, 9, AM_RNG_USER);
    MUST(build_big(&g, err));
    to_text(g, &b);
    am_graph_free(g);
    for (int i = 0; i < 3000; i++) {
        char *at = b.ptr + am_rng_below(&r, b.len), old = *at;
        *at = (char)('!' + (int)am_rng_below(&r, 90));
        struct am_err e;
        if (from_text(am_buf_view(&b), &g, &e) == AM_OK) {
            struct am_params *p;
            struct am_plan *plan = NULL;
            const struct am_plan_options o = {.mode = AM_PLAN_INFER, .bucket_rows = 2};
            if (am_params_new(g, &p, &e) == AM_OK) {
                (void)!am_plan_build(g, p, &o, &plan, &e);
                am_plan_put(plan);
                am_params_free(p);
            }
        }
        am_graph_free(g);
        *at = old;
    }
    am_buf_clear(&b);
}

struct whole {
    struct am_graph *g, *copy;
    struct am_params *p;
    float *grads;
    struct am_plan *infer, *second, *train, *eval;
    struct am_session *s;
    struct am_arena *a;
};

static void whole_free(struct whole *w)
{
    am_session_free(w->s);
    am_plan_put(w->infer);
    am_plan_put(w->second);
    am_plan_put(w->train);
    am_plan_put(w->eval);
    am_free(w->grads);
    am_params_free(w->p);
    am_graph_free(w->g);
    am_graph_free(w->copy);
    am_arena_free(w->a);
    memset(w, 0, sizeof *w);
}

static enum am_rc whole_try(struct whole *w, struct am_err *err)
{
    static const float cw[3] = {1, 2, 3};
    const struct am_loss_spec spec = {
        .kind = AM_LOSS_CATEGORICAL, .class_weights = cw, .n_class_weights = 3};
    struct am_plan_options o = {.mode = AM_PLAN_INFER, .bucket_rows = 8};
    struct am_node *node;
    AM_TRY(build_big(&w->g, err));
    AM_TRY(am_graph_copy(w->g, &w->copy, err));
    am_graph_free(w->copy);
    w->copy = NULL;
    w->a = am_arena_new(0);
    if (!w->a)
        return am_fail_nomem(err, 1);
    AM_TRY(am_graph_to_node(w->g, w->a, &node, err));
    AM_TRY(am_graph_from_node(node, &w->copy, err));
    AM_TRY(am_params_new(w->g, &w->p, err));
    AM_TRY(am_params_twin(w->p, &w->grads, err));
    AM_TRY(am_plan_build(w->g, w->p, &o, &w->infer, err));
    o.share = w->infer;
    AM_TRY(am_plan_build(w->g, w->p, &o, &w->second, err));
    AM_TRY(am_train_plan_build(w->g, w->p, &spec, 8, &w->train, err));
    AM_TRY(am_eval_plan_build(w->g, w->p, &spec, 8, &w->eval, err));
    return am_session_new(w->train, NULL, &w->s, err);
}

static enum am_rc whole_make(struct whole *w, struct am_err *err)
{
    const enum am_rc rc = whole_try(w, err);
    if (rc != AM_OK)
        whole_free(w);
    return rc;
}

static void out_of_memory(void **state)
{
    (void)state;
    struct whole w = {0};
    struct am_err e;
    AM_OOM_LOOP(whole_make(&w, &e), whole_free(&w));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shape_errors),    cmocka_unit_test(errors_stick),
        cmocka_unit_test(plan_errors),     cmocka_unit_test(loss_errors),
        cmocka_unit_test(json_round_trip), cmocka_unit_test(hostile_json),
        cmocka_unit_test(mutated_json),    cmocka_unit_test(out_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
