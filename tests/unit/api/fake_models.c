/* See fake_models.h. */
#include "fake_models.h"

#include <math.h>

#include "base/alloc.h"
#include "tensor/media.h"

enum fake_kind { HALF, MIXED, PLANE, SLOW, SIEVE, VECTORS, PICTURE, CARD, CLIP };

struct fake_model {
    struct fake *fake;
    enum fake_kind kind;
    int64_t version;
    double cells[5][256];
    struct am_str texts[256], nothing[256];
    unsigned char dot[AM_MEDIA_RAW_BYTES + 1];
    struct am_column columns[5];
};

static const struct am_column_desc one_column[] = {{AM_STR_INIT("x"), AM_COL_NUMBER}};
static const struct am_column_desc two_columns[] = {{AM_STR_INIT("a"), AM_COL_NUMBER},
                                                    {AM_STR_INIT("b"), AM_COL_NUMBER}};
static const struct am_column_desc mixed_columns[] = {{AM_STR_INIT("amount"), AM_COL_NUMBER},
                                                      {AM_STR_INIT("member"), AM_COL_BOOLEAN},
                                                      {AM_STR_INIT("city"), AM_COL_CATEGORY},
                                                      {AM_STR_INIT("note"), AM_COL_TEXT},
                                                      {AM_STR_INIT("since"), AM_COL_DATE}};
static const struct am_column_desc picture_columns[] = {{AM_STR_INIT("photo"), AM_COL_IMAGE}};
static const struct am_column_desc card_columns[] = {{AM_STR_INIT("price"), AM_COL_NUMBER},
                                                     {AM_STR_INIT("photo"), AM_COL_IMAGE},
                                                     {AM_STR_INIT("voice"), AM_COL_AUDIO}};
static const struct am_column_desc clip_columns[] = {{AM_STR_INIT("film"), AM_COL_VIDEO}};
static const struct am_str light_classes[] = {AM_STR_INIT("dark"), AM_STR_INIT("bright")};
static const struct am_str two_classes[] = {AM_STR_INIT("no"), AM_STR_INIT("yes")};
static const struct am_str three_classes[] = {AM_STR_INIT("red"), AM_STR_INIT("gr\"een"),
                                              AM_STR_INIT("blue")};
static const struct am_str sieve_restored[] = {AM_STR_INIT("a"), AM_STR_INIT("b\"")};
static const struct am_str ids[] = {AM_STR_INIT("customer")};

static enum am_rc state_new(void *impl, void **out, struct am_err *err)
{
    (void)impl;
    *out = am_alloc(16);
    return *out ? AM_OK : am_fail_nomem(err, 16);
}

static void state_free(void *impl, void *state)
{
    (void)impl;
    am_free(state);
}

/* p(yes); a missing amount counts 0, each other given cell adds what a test can see. */
static double mixed_score(const struct am_batch *b, size_t row)
{
    double x = am_cell_missing(&b->columns[0], row) ? 0 : b->columns[0].number[row];
    if (!am_cell_missing(&b->columns[1], row))
        x += 10 * b->columns[1].number[row];
    if (!am_cell_missing(&b->columns[2], row))
        x += 100.0 * (double)b->columns[2].text[row].len;
    if (!am_cell_missing(&b->columns[3], row))
        x += 1000.0 * (double)b->columns[3].text[row].len;
    if (!am_cell_missing(&b->columns[4], row))
        x += (double)(b->columns[4].date[row] / 86400000000) * 1e6;
    return x;
}

/* The mean of the pixels, 0 for a missing picture. */
static enum am_rc brightness(const struct am_column *c, size_t row, double *out, struct am_err *err)
{
    struct am_image i;
    uint64_t sum = 0;
    *out = 0;
    if (am_cell_missing(c, row))
        return AM_OK;
    AM_TRY(am_image_decode(c->text[row], &i, err));
    size_t n = (size_t)i.width * i.height * i.channels;
    for (size_t k = 0; k < n; k++)
        sum += i.pixels[k];
    *out = (double)sum / (double)n;
    am_image_clear(&i);
    return AM_OK;
}

static enum am_rc add_light(void *ctx, uint32_t i, struct am_image *frame, struct am_err *err)
{
    double *sum = ctx;
    (void)i;
    (void)err;
    *sum += frame->pixels[0];
    return AM_OK;
}

/* The mean of the first pixels of two frames. */
static enum am_rc film_brightness(struct am_str cell, double *out, struct am_err *err)
{
    const struct am_video_take two = {.n_frames = 2};
    *out = 0;
    AM_TRY(am_video_frames(cell, &two, add_light, out, err));
    *out /= 2;
    return AM_OK;
}

/* photo, film: p(bright) = mean / 256; card: price + mean + 1000 * frames of the voice */
static enum am_rc predict_media(struct fake_model *m, const struct am_batch *b,
                                struct am_serve_result *r, struct am_err *err)
{
    atomic_store(&m->fake->last_thread, pthread_self());
    for (size_t i = 0; i < b->n_rows; i++) {
        struct am_sound s = {0};
        double mean;
        if (m->kind == CLIP)
            AM_TRY(film_brightness(b->columns[0].text[i], &mean, err));
        else
            AM_TRY(brightness(&b->columns[m->kind == CARD], i, &mean, err));
        if (m->kind != CARD) {
            float p = (float)(mean / 256);
            r->probability[2 * i] = 1 - p;
            r->probability[2 * i + 1] = p;
            r->label[i] = p >= 0.5f;
            continue;
        }
        if (!am_cell_missing(&b->columns[2], i))
            AM_TRY(am_sound_decode(b->columns[2].text[i], &s, err));
        r->value[i] = b->columns[0].number[i] + mean + 1000 * (double)s.n_frames;
        am_sound_clear(&s);
    }
    return AM_OK;
}

/* score a^2 + b^2, embedding (a + b, a - b, 0.5), back come (b, a) */
static void predict_own(const struct am_batch *b, struct am_serve_result *r, bool flags)
{
    for (size_t i = 0; i < b->n_rows; i++) {
        double x = b->columns[0].number[i], y = b->columns[1].number[i];
        r->value[i] = x * x + y * y;
        if (flags)
            r->label[i] = r->value[i] >= 2;
        if (r->wanted & AM_SERVE_EMBEDDING) {
            r->embedding[3 * i] = (float)(x + y);
            r->embedding[3 * i + 1] = (float)(x - y);
            r->embedding[3 * i + 2] = 0.5f;
        }
        if (r->wanted & AM_SERVE_RESTORED) {
            r->restored[2 * i] = y;
            r->restored[2 * i + 1] = x;
        }
    }
}

static enum am_rc predict(void *impl, void *state, const struct am_batch *b,
                          struct am_serve_result *r, struct am_err *err)
{
    struct fake_model *m = impl;
    (void)state;
    if (atomic_load(&m->fake->fail_predict))
        return am_fail(err, AM_EINTERNAL, "secret detail /etc/passwd");
    if ((int)b->n_rows > atomic_load(&m->fake->n_largest))
        atomic_store(&m->fake->n_largest, (int)b->n_rows);
    if (m->kind >= PICTURE)
        return predict_media(m, b, r, err);
    if (m->kind >= SIEVE) {
        predict_own(b, r, m->kind == SIEVE);
        return AM_OK;
    }
    for (size_t i = 0; i < b->n_rows; i++) {
        if (m->kind == HALF || m->kind == SLOW) {
            r->value[i] = b->columns[0].number[i] / 2 + 3;
            if (isnan(r->value[i]))
                return am_fail(err, AM_EINVAL, "row %zu: the answer is not finite", i);
        } else if (m->kind == MIXED) {
            float p = (float)(1 / (1 + exp(-mixed_score(b, i) / 1000)));
            r->probability[2 * i] = 1 - p;
            r->probability[2 * i + 1] = p;
            r->label[i] = p >= 0.5f;
        } else {
            float a = (float)b->columns[0].number[i], c = (float)b->columns[1].number[i];
            r->probability[3 * i] = a;
            r->probability[3 * i + 1] = c;
            r->probability[3 * i + 2] = 1 - a - c;
            r->label[i] = a >= c ? 0 : 1;
        }
    }
    return AM_OK;
}

static enum am_rc sample(void *impl, size_t n, struct am_batch *out, struct am_err *err)
{
    struct fake_model *m = impl;
    (void)err;
    *out = (struct am_batch){0};
    if (n == 0 || n > 256 || m->kind == SLOW)
        return AM_OK;
    if (m->kind >= PICTURE) { /* one grey dot; no voice */
        if (m->kind == CLIP)
            am_video_raw_header(1, 1, 1, 1, m->dot);
        else
            am_image_raw_header(1, 1, 1, m->dot);
        for (size_t i = 0; i < n; i++) {
            m->texts[i] = (struct am_str){(const char *)m->dot, sizeof m->dot};
            m->nothing[i] = (struct am_str){NULL, 0};
        }
        bool card = m->kind == CARD;
        m->columns[0] = (struct am_column){.type = AM_COL_NUMBER, .number = m->cells[0]};
        m->columns[card] = (struct am_column){.type = m->kind == CLIP ? AM_COL_VIDEO : AM_COL_IMAGE,
                                              .text = m->texts};
        m->columns[2] = (struct am_column){.type = AM_COL_AUDIO, .text = m->nothing};
        *out = (struct am_batch){.n_rows = n, .n_columns = card ? 3 : 1, .columns = m->columns};
        return AM_OK;
    }
    for (size_t i = 0; i < 256; i++)
        m->texts[i] = AM_STR("Bonn");
    for (int c = 0; c < 5; c++) {
        m->columns[c].type = m->kind == MIXED ? mixed_columns[c].type : AM_COL_NUMBER;
        m->columns[c].number = m->cells[c];
        if (m->columns[c].type == AM_COL_CATEGORY || m->columns[c].type == AM_COL_TEXT)
            m->columns[c].text = m->texts;
    }
    *out = (struct am_batch){.n_rows = n,
                             .n_columns = m->kind == MIXED                       ? 5
                                          : m->kind == PLANE || m->kind >= SIEVE ? 2
                                                                                 : 1,
                             .columns = m->columns};
    return AM_OK;
}

static void model_free(void *impl)
{
    struct fake_model *m = impl;
    atomic_fetch_sub(&m->fake->n_live, 1);
    am_free(m);
}

static const struct am_serve_model_ops ops = {.state_new = state_new,
                                              .state_free = state_free,
                                              .predict = predict,
                                              .sample = sample,
                                              .free = model_free};

static enum am_rc generation(void *impl, uint64_t *out, struct am_err *err)
{
    struct fake *f = impl;
    (void)err;
    *out = atomic_load(&f->generation);
    return AM_OK;
}

static void add_model(struct am_arena *a, struct am_node *list, const char *name, int n_versions,
                      int champion)
{
    struct am_node *m = am_new_map(a), *versions = am_new_list(a), *aliases = am_new_map(a);
    am_node_set(a, m, "model", am_new_cstr(a, name));
    for (int i = n_versions; i >= 1; i--) {
        struct am_node *v = am_new_map(a);
        am_node_set(a, v, "model", am_new_cstr(a, name));
        am_node_set(a, v, "version", am_new_i64(a, i));
        am_node_set(a, v, "package", am_new_cstr(a, name));
        am_node_push(a, versions, v);
    }
    if (champion)
        am_node_set(a, aliases, "champion", am_new_i64(a, champion));
    am_node_set(a, m, "list", versions);
    am_node_set(a, m, "aliases", aliases);
    am_node_push(a, list, m);
}

static enum am_rc catalog(void *impl, struct am_arena *a, struct am_node **out, struct am_err *err)
{
    struct fake *f = impl;
    struct am_node *list = am_new_list(a);
    add_model(a, list, "slow", 1, 0);
    add_model(a, list, "half", 2, 0);
    add_model(a, list, "mixed", 1, 1);
    add_model(a, list, "plane", atomic_load(&f->plane_versions), atomic_load(&f->champion));
    add_model(a, list, "broken", 1, 0);
    add_model(a, list, "picture", 1, 0);
    add_model(a, list, "card", 1, 0);
    add_model(a, list, "clip", 1, 0);
    add_model(a, list, "sieve", 1, 0);
    add_model(a, list, "vectors", 1, 0);
    *out = list;
    return am_arena_check(a, err);
}

static enum am_rc load(void *impl, const char *name, int64_t version, struct am_serve_model *out,
                       struct am_err *err)
{
    struct fake *f = impl;
    static const char *const names[] = {"half",    "mixed",   "plane", "slow", "sieve",
                                        "vectors", "picture", "card",  "clip"};
    int kind = 0;
    while (kind < 9 && strcmp(names[kind], name) != 0)
        kind++;
    if (kind == 9 || (kind == PLANE && version == atomic_load(&f->bad_version)))
        return am_fail(err, AM_ECORRUPT, "tensor \"w\" is cut off");
    struct fake_model *m = am_calloc(1, sizeof *m);
    if (!m)
        return am_fail_nomem(err, sizeof *m);
    *m = (struct fake_model){.fake = f, .kind = (enum fake_kind)kind, .version = version};
    *out = (struct am_serve_model){.ops = &ops, .impl = m};
    struct am_serve_info *i = &out->info;
    i->target = AM_STR("y");
    i->task = AM_TASK_REGRESSION;
    i->inputs = (struct am_schema){one_column, 1};
    i->all_numbers = true;
    if (kind == MIXED) {
        i->task = AM_TASK_BINARY;
        i->inputs = (struct am_schema){mixed_columns, 5};
        i->all_numbers = false;
        i->classes = two_classes;
        i->n_classes = 2;
        i->threshold = 0.5;
        i->ids = ids;
        i->n_ids = 1;
    } else if (kind == PLANE) {
        i->task = AM_TASK_MULTICLASS;
        i->inputs = (struct am_schema){two_columns, 2};
        i->classes = three_classes;
        i->n_classes = 3;
    }
    if (kind == SIEVE || kind == VECTORS) {
        i->task = kind == SIEVE ? AM_TASK_ANOMALY : AM_TASK_EMBEDDING;
        i->target = AM_STR("");
        i->inputs = (struct am_schema){two_columns, 2};
        i->threshold = 2;
        i->n_embedding = 3;
        i->n_restored = kind == SIEVE ? 2 : 0; /* of the other nothing comes back */
        i->restored_shape = am_dims1(2);
        i->restored = sieve_restored;
    }
    if (kind == PICTURE || kind == CLIP) {
        i->task = AM_TASK_BINARY;
        i->inputs = (struct am_schema){kind == CLIP ? clip_columns : picture_columns, 1};
        i->all_numbers = false;
        i->classes = light_classes;
        i->n_classes = 2;
    } else if (kind == CARD) {
        i->inputs = (struct am_schema){card_columns, 3};
        i->all_numbers = false;
    }
    atomic_fetch_add(&f->n_loads, 1);
    atomic_fetch_add(&f->n_live, 1);
    return AM_OK;
}

static void source_free(void *impl)
{
    (void)impl;
}

void fake_init(struct fake *f)
{
    memset(f, 0, sizeof *f);
    atomic_store(&f->generation, 1);
    atomic_store(&f->plane_versions, 3);
    atomic_store(&f->champion, 2);
}

struct am_serve_source fake_source(struct fake *f)
{
    static const struct am_serve_source_ops source_ops = {
        .generation = generation, .catalog = catalog, .load = load, .free = source_free};
    return (struct am_serve_source){&source_ops, f};
}
