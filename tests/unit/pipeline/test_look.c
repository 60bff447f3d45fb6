/* Looking at a network whose answer hangs on one known pixel: both maps are red there and grey
 * elsewhere, for a picture and for a sound (turned: time goes right, low bands are at the bottom);
 * layers and filters are drawn; every allocation may fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "base/base64.h"
#include "nn/layers_conv.h"
#include "nn/layers_shape.h"
#include "pipeline/look.h"
#include "tests/support/faults.h"

#define SIDE 8
#define ROW 2
#define COLUMN 5

static struct am_err err;

#define OK(call)                                                                                   \
    do {                                                                                           \
        am_err_clear(&err);                                                                        \
        if ((call) != AM_OK)                                                                       \
            fail_msg("%s: %s", #call, err.message);                                                \
    } while (0)

struct made {
    struct am_graph *g;
    struct am_params *params;
    struct am_arena *a;
    float x[SIDE * SIDE];
    struct am_look l;
};

/* softmax of {0, 4 relu(x[ROW, COLUMN])}; rank 3: a picture, 2: a sound of 8 steps and 8 bands */
static void make(struct made *m, unsigned rank)
{
    const struct am_conv_options conv = {.kernel = {3, 3}, .same = true, .act = AM_ACT_RELU};
    const struct am_dense_options dense = {.act = AM_ACT_SOFTMAX};
    const int64_t dims[3] = {SIDE, SIDE, 1};
    OK(am_graph_new(&m->g, &err));
    am_value v = am_graph_input(m->g, "x", am_dims2(AM_DIM_BATCH, SIDE * SIDE));
    v = am_layer_reshape(m->g, v, dims, rank, "in");
    v = rank == 3 ? am_layer_conv2d(m->g, v, 1, &conv, "conv")
                  : am_layer_conv1d(m->g, v, SIDE, &conv, "conv");
    v = am_layer_dense(m->g, am_layer_flatten(m->g, v, "flat"), 2, &dense, "out");
    am_graph_output(m->g, "y", v);
    OK(am_graph_check(m->g, &err));
    OK(am_params_new(m->g, &m->params, &err));
    float *w = am_param_data(m->params, 0);
    if (rank == 3)
        w[4] = 1; /* the middle of 3 x 3 */
    for (size_t c = 0; rank == 2 && c < SIDE; c++)
        w[(SIDE + c) * SIDE + c] = 1;
    am_param_data(m->params, 2)[(ROW * SIDE + COLUMN) * 2 + 1] = 4;
    for (size_t i = 0; i < SIDE * SIDE; i++)
        m->x[i] = 0.25f;
    m->x[ROW * SIDE + COLUMN] = 1;
    m->a = am_arena_new(0);
    m->l = (struct am_look){.graph = m->g,
                            .params = m->params,
                            .arena = m->a,
                            .shape = rank == 3 ? (struct am_dims){.rank = 3, .d = {SIDE, SIDE, 1}}
                                               : am_dims2(SIDE, SIDE),
                            .x = m->x,
                            .cls = 1,
                            .classes = true};
}

static void clear(struct made *m)
{
    am_arena_free(m->a);
    am_graph_free(m->g);
    am_params_free(m->params);
}

static uLong be32(const unsigned char *p)
{
    return (uLong)p[0] << 24 | (uLong)p[1] << 16 | (uLong)p[2] << 8 | p[3];
}

/* A PNG of 8 bits without filters, as eval/ writes them. */
static unsigned char *decode(struct am_str uri, size_t *width, size_t *channels)
{
    struct am_str text = {uri.ptr + 22, uri.len - 22};
    unsigned char *b = malloc(am_base64_bytes(text.len) + 1);
    size_t n;
    assert_true(am_str_starts(uri, AM_STR("data:image/png;base64,")));
    assert_true(am_base64_decode(text, AM_BASE64_STANDARD, (char *)b, &n));
    *width = be32(b + 16);
    *channels = b[25] == 2 ? 3 : 1;
    uLongf size = (uLongf)(be32(b + 20) * (*width * *channels + 1));
    unsigned char *rows = malloc(size);
    assert_int_equal(uncompress(rows, &size, b + 41, be32(b + 33)), Z_OK);
    free(b);
    return rows;
}

static struct am_str picture(const struct am_node *list, size_t i)
{
    return am_node_str(list->list.items[i], "picture", "");
}

/* How much redder than green the dot is. */
static int redness(struct am_str uri, size_t y, size_t x)
{
    size_t width, channels;
    unsigned char *rows = decode(uri, &width, &channels);
    assert_int_equal(channels, 3);
    const unsigned char *at = rows + y * (width * 3 + 1) + 1 + 3 * x;
    int red = at[0] - at[1];
    free(rows);
    return red;
}

static void looks(unsigned rank, size_t y, size_t x)
{
    struct made m;
    struct am_node *list;
    make(&m, rank);
    OK(am_look_saliency(&m.l, &list, &err));
    assert_int_equal(list->list.n, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_true(redness(picture(list, i), y, x) > 200);
        for (size_t k = 0; k < SIDE; k++)
            if (k != x)
                assert_int_equal(redness(picture(list, i), y, k), 0);
    }
    OK(am_look_activations(&m.l, &list, &err));
    assert_int_equal(list->list.n, 1);
    assert_true(am_str_is(am_node_str(list->list.items[0], "layer", ""), "conv"));
    OK(am_look_filters(&m.l, &list, &err));
    assert_int_equal(list->list.n, rank == 3);
    OK(am_look_input(&m.l, &list, &err));
    size_t width, channels;
    unsigned char *rows = decode(picture(list, 0), &width, &channels);
    assert_true(width == SIDE && channels == 1);
    for (size_t i = 0; i < SIDE * SIDE; i++)
        assert_int_equal(rows[i / SIDE * (SIDE + 1) + 1 + i % SIDE], i == y * SIDE + x ? 255 : 0);
    free(rows);
    clear(&m);
}

static void one_pixel(void **state)
{
    (void)state;
    looks(3, ROW, COLUMN);
    looks(2, SIDE - 1 - COLUMN, ROW); /* step ROW, band COLUMN */
}

/* Frame 2 of 3 decides; the same network, its row seen as a video of 3 frames of 2 x 2. */
static void frames_of_a_video(void **state)
{
    (void)state;
    const struct am_dense_options dense = {.act = AM_ACT_SIGMOID};
    struct made m = {.a = am_arena_new(0)};
    struct am_node *list;
    OK(am_graph_new(&m.g, &err));
    am_value v = am_graph_input(m.g, "x", am_dims2(AM_DIM_BATCH, 12));
    am_graph_output(m.g, "y", am_layer_dense(m.g, v, 1, &dense, "out"));
    OK(am_params_new(m.g, &m.params, &err));
    for (size_t i = 4; i < 8; i++)
        am_param_data(m.params, 0)[i] = 1;
    for (size_t i = 0; i < 12; i++)
        m.x[i] = i / 4 == 1 ? 1 : 0;
    m.l = (struct am_look){.graph = m.g,
                           .params = m.params,
                           .arena = m.a,
                           .shape = {.rank = 4, .d = {3, 2, 2, 1}},
                           .x = m.x,
                           .cls = 1,
                           .classes = true};
    OK(am_look_frames(&m.l, &list, &err));
    assert_int_equal(list->list.n, 3);
    for (size_t i = 0; i < 3; i++) { /* sigmoid(4) less sigmoid(4 / 3) */
        double effect = am_node_f64(list->list.items[i], "effect", 9);
        double want = i == 1 ? 0.9820137900 - 0.7914 : 0;
        assert_int_equal(am_node_i64(list->list.items[i], "frame", 0), i + 1);
        assert_true(effect > want - 1e-3 && effect < want + 1e-3);
        assert_true(picture(list, i).len > 0);
    }
    AM_OOM_LOOP((am_arena_reset(m.a), am_look_frames(&m.l, &list, &err)), (void)0);
    clear(&m);
}

static void what_is_drawn(void **state)
{
    (void)state;
    const struct am_dims picture_dims = {.rank = 3, .d = {8, 8, 3}}, sound = am_dims2(60, 40),
                         wave = am_dims2(16000, 1), ids = am_dims1(50);
    assert_true(am_look_drawable(&picture_dims, 0) && am_look_drawable(&sound, 0));
    assert_false(am_look_drawable(&wave, 0) || am_look_drawable(&ids, 100));
}

static void memory_that_fails(void **state)
{
    (void)state;
    struct made m;
    struct am_node *list;
    make(&m, 3);
    /* a failure sticks in the arena: each try begins with an empty one */
    AM_OOM_LOOP((am_arena_reset(m.a), am_look_saliency(&m.l, &list, &err)), (void)0);
    AM_OOM_LOOP((am_arena_reset(m.a), am_look_activations(&m.l, &list, &err)), (void)0);
    AM_OOM_LOOP((am_arena_reset(m.a), am_look_filters(&m.l, &list, &err)), (void)0);
    clear(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_pixel), cmocka_unit_test(frames_of_a_video),
        cmocka_unit_test(what_is_drawn), cmocka_unit_test(memory_that_fails)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
