/* Forward, loss and every gradient against PyTorch in float64 (tests/golden/nn_goldens.py),
 * norm-wise 1e-5, for every kernel table that this CPU runs. */
#include "nn_test.h"

#include "base/fs.h"

static const char *golden_path;

struct golden {
    struct am_arena *arena;
    struct am_node *cases;
};

static int load(void **state)
{
    static struct golden g;
    struct am_buf b;
    struct am_node *top;
    g.arena = am_arena_new(0);
    am_buf_init(&b, (size_t)16 << 20);
    MUST(am_fs_read_file(golden_path, &b, err));
    MUST(am_json_parse(g.arena, am_buf_view(&b), "goldens", &top, err));
    g.cases = am_node_get(top, "cases");
    am_buf_clear(&b);
    *state = &g;
    return 0;
}

static int unload(void **state)
{
    am_arena_free(((struct golden *)*state)->arena);
    return 0;
}

/* A list of numbers; NULL for null. */
static float *numbers(const struct am_node *list, size_t *n)
{
    *n = 0;
    if (!list || list->kind != AM_NODE_LIST)
        return NULL;
    float *p = floats(list->list.n);
    for (size_t i = 0; i < list->list.n; i++) {
        double v;
        assert_true(am_node_as_f64(list->list.items[i], &v));
        p[i] = (float)v;
    }
    *n = list->list.n;
    return p;
}

static bool close_to(const char *name, const char *what, const float *got, const float *want,
                     size_t n, double floor_norm)
{
    const double d = distance(got, want, n), limit = 1e-5 * (norm_of(want, n) + floor_norm);
    if (d <= limit)
        return true;
    print_error("%s: %s is off by %g, %g allowed\n", name, what, d, limit);
    return false;
}

struct run {
    struct am_graph *g;
    struct am_params *p;
    struct am_loss_spec spec;
    float *class_weights, *x, *target, *weight, *grads, *y;
    size_t rows;
};

static void set_up(struct run *r, const struct am_node *c)
{
    size_t n;
    memset(r, 0, sizeof *r);
    MUST(am_graph_from_node(am_node_get(c, "graph"), &r->g, err));
    MUST(am_params_new(r->g, &r->p, err));
    for (size_t k = 0; k < r->p->n_params; k++) {
        float *v = numbers(am_node_get_str(am_node_get(c, "params"), r->p->table[k].name), &n);
        assert_int_equal(n, r->p->table[k].n);
        memcpy(am_param_data(r->p, k), v, n * sizeof(float));
        am_free(v);
    }
    const struct am_node *loss = am_node_get(c, "loss");
    assert_true(am_loss_parse(am_node_str(loss, "kind", ""), &r->spec.kind));
    r->spec.label_smoothing = (float)am_node_f64(loss, "smoothing", 0);
    r->spec.delta = (float)am_node_f64(loss, "delta", 1);
    r->spec.margin = (float)am_node_f64(loss, "margin", 1);
    r->class_weights = numbers(am_node_get(loss, "class_weights"), &r->spec.n_class_weights);
    r->spec.class_weights = r->class_weights;
    r->rows = (size_t)am_node_i64(c, "rows", 0);
    r->x = numbers(am_node_get(c, "x"), &n);
    r->target = numbers(am_node_get(c, "target"), &n);
    r->weight = numbers(am_node_get(c, "weight"), &n);
    MUST(am_params_twin(r->p, &r->grads, err));
}

static void tear_down(struct run *r)
{
    am_free(r->x);
    am_free(r->target);
    am_free(r->weight);
    am_free(r->grads);
    am_free(r->y);
    am_free(r->class_weights);
    am_params_free(r->p);
    am_graph_free(r->g);
}

static bool check_train(struct run *r, const struct am_node *c, const struct am_kernels *kern,
                        size_t spare)
{
    struct am_plan *plan;
    struct am_session *s;
    const char *name = am_node_str(c, "name", "").ptr;
    const struct am_node *want = am_node_get(c, "expect");
    float *before = floats(r->p->n_floats);
    memcpy(before, r->p->data, am_params_bytes(r->p));
    MUST(am_train_plan_build_with(r->g, r->p, &r->spec, r->rows + spare, kern, &plan, err));
    MUST(am_session_new(plan, NULL, &s, err));
    struct am_session_io io = {.n_rows = r->rows,
                               .x = r->x,
                               .target = r->target,
                               .weight = r->weight,
                               .params = r->p->data,
                               .grads = r->grads};
    MUST(am_session_run_io(s, &io, err));
    const double loss = am_node_f64(want, "loss", NAN);
    bool ok = fabs(io.loss - loss) <= 1e-5 * fabs(loss) + 1e-9;
    if (!ok)
        print_error("%s: loss %.9g, not %.9g\n", name, io.loss, loss);
    double all = 0;
    const struct am_node *grads = am_node_get(want, "grads");
    for (size_t i = 0; i < grads->map.n; i++) {
        size_t n;
        float *e = numbers(grads->map.pairs[i].value, &n);
        all = fmax(all, norm_of(e, n));
        am_free(e);
    }
    for (size_t i = 0; i < grads->map.n; i++) {
        size_t n;
        float *e = numbers(grads->map.pairs[i].value, &n);
        const struct am_param *p = am_params_find(r->p, grads->map.pairs[i].key);
        /* a bias before batch norm has the gradient 0: only rounding is left of it */
        ok &= close_to(name, p->name.ptr, r->grads + p->offset, e, n, 0.02 * all);
        am_free(e);
    }
    const struct am_node *running = am_node_get(want, "running");
    for (size_t i = 0; i < running->map.n; i++) {
        size_t n;
        float *e = numbers(running->map.pairs[i].value, &n);
        const struct am_param *p = am_params_find(r->p, running->map.pairs[i].key);
        ok &= close_to(name, p->name.ptr, r->p->data + p->offset, e, n, 0);
        am_free(e);
    }
    memcpy(r->p->data, before, am_params_bytes(r->p));
    am_free(before);
    am_session_free(s);
    am_plan_put(plan);
    return ok;
}

/* Prediction by both kinds of plan; batch norm differs there from training, so goldens with one
 * either have a y_infer or are left out. */
static bool check_forward(struct run *r, const struct am_node *c, const struct am_kernels *kern)
{
    struct am_plan *infer, *eval;
    struct am_session *s;
    const char *name = am_node_str(c, "name", "").ptr;
    size_t n;
    const struct am_node *e = am_node_get(c, "expect");
    const bool differs = am_node_get(e, "y_infer") != NULL;
    float *want = numbers(am_node_get(e, differs ? "y_infer" : "y"), &n), *got = floats(n);
    const struct am_plan_options o = {
        .mode = AM_PLAN_INFER, .bucket_rows = r->rows, .kernels = kern};
    MUST(am_plan_build(r->g, r->p, &o, &infer, err));
    MUST(am_session_new(infer, NULL, &s, err));
    assert_int_equal(am_plan_n_outputs(infer) * r->rows, n);
    MUST(am_session_run(s, r->rows, r->x, got, err));
    bool ok = close_to(name, "y of inference", got, want, n, 0);
    am_session_free(s);
    MUST(am_eval_plan_build_with(r->g, r->p, &r->spec, r->rows + 3, kern, &eval, err));
    MUST(am_session_new(eval, NULL, &s, err));
    struct am_session_io io = {.n_rows = r->rows,
                               .x = r->x,
                               .target = r->target,
                               .weight = r->weight,
                               .params = r->p->data,
                               .y = got};
    memset(got, 0, n * sizeof(float));
    MUST(am_session_run_io(s, &io, err));
    ok &= close_to(name, "y of evaluation", got, want, n, 0);
    const double loss = am_node_f64(e, differs ? "loss_infer" : "loss", NAN);
    ok &= fabs(io.loss - loss) <= 1e-5 * fabs(loss) + 1e-9;
    am_session_free(s);
    am_plan_put(infer);
    am_plan_put(eval);
    am_free(got);
    am_free(want);
    return ok;
}

static void goldens(void **state)
{
    const struct golden *g = *state;
    bool ok = true;
    assert_true(g->cases->list.n >= 15);
    for (size_t t = 0; t < 3; t++) {
        const struct am_kernels *kern = am_kernels_find(all_tables[t]);
        for (size_t i = 0; kern && i < g->cases->list.n; i++) {
            struct run r;
            set_up(&r, g->cases->list.items[i]);
            bool one = check_train(&r, g->cases->list.items[i], kern, 0);
            one &= check_train(&r, g->cases->list.items[i], kern, 5);
            if (!am_params_find(r.p, AM_STR("bn1.weight")))
                one &= check_forward(&r, g->cases->list.items[i], kern);
            if (!one)
                print_error("  (kernels %s)\n", kern->name);
            ok &= one;
            tear_down(&r);
        }
    }
    assert_true(ok);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(goldens, load, unload)};
    golden_path = argc > 1 ? argv[1] : "nn_goldens.json";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
