/* The public C interface of include/aimass.h over model.h: names, codes and memory of the outside
 * world on one side, ours on the other.
 *
 * Not a second implementation: every answer comes from predict.c. A predictor here keeps its
 * answers and its column buffers, so a repeated call allocates nothing. Threads as aimass.h says.
 */
#include "aimass.h"

#include <math.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/date.h"
#include "base/num.h"
#include "model/model_int.h"
#include "tensor/media.h"

struct aimass_model {
    atomic_uint n_refs;
    struct am_model *model;
    struct am_arena *arena; /* owned: the texts below */
    const char *describe, *card;
    const char **inputs, **classes; /* NUL-terminated names */
};

struct aimass_predictor {
    struct aimass_model *model; /* holds a reference */
    struct am_predictor *p;
    struct am_prediction out;
    struct am_column *columns; /* [n_inputs] */
    void **cells;              /* [n_inputs] owned buffers behind columns */
    size_t *caps;              /* [n_inputs] rows that they hold */
};

/* ---- codes ---- */

static aimass_status status_of(enum am_rc rc)
{
    switch (rc) {
    case AM_OK:
        return AIMASS_OK;
    case AM_ENOTFOUND:
        return AIMASS_NOT_FOUND;
    case AM_ECORRUPT:
        return AIMASS_CORRUPT;
    case AM_ELIMIT:
        return AIMASS_LIMIT;
    case AM_EPERM:
        return AIMASS_PERMISSION;
    case AM_EUNSUPPORTED:
        return AIMASS_UNSUPPORTED;
    case AM_ENOMEM:
        return AIMASS_OUT_OF_MEMORY;
    case AM_EIO:
    case AM_ENOSPC:
        return AIMASS_IO;
    case AM_EINVAL:
    case AM_EUSAGE:
        return AIMASS_INVALID;
    default:
        return AIMASS_INTERNAL;
    }
}

static void copy_text(char *to, size_t cap, const char *from)
{
    size_t n = strlen(from);
    n = n < cap ? n : cap - 1;
    memcpy(to, from, n);
    to[n] = 0;
}

static aimass_status report(enum am_rc rc, const struct am_err *from, aimass_error *to)
{
    if (rc != AM_OK && to) {
        to->status = status_of(rc);
        copy_text(to->message, sizeof to->message, from->message);
        copy_text(to->hint, sizeof to->hint, from->hint);
    }
    return status_of(rc);
}

const char *aimass_version(void)
{
    return AIMASS_VERSION;
}
int aimass_abi_version(void)
{
    return AIMASS_ABI_VERSION;
}

/* ---- loading ---- */

static const char **names_new(struct am_arena *a, size_t n)
{
    return am_arena_array(a, n + 1, sizeof(const char *));
}

static enum am_rc fill_texts(struct aimass_model *m, struct am_err *err)
{
    const struct am_model_info *info = am_model_info(m->model);
    struct am_buf json;
    enum am_rc rc;
    am_buf_init(&json, AM_LIMIT_JSON_BYTES);
    am_node_to_json(am_model_describe(m->model, m->arena), AM_JSON_PRETTY, &json);
    AM_GO(rc, am_buf_check(&json, err));
    m->describe = am_arena_str(m->arena, am_buf_view(&json)).ptr;
    m->card = am_arena_str(m->arena, am_model_card(m->model)).ptr;
    m->inputs = names_new(m->arena, info->inputs->n);
    m->classes = names_new(m->arena, info->n_classes);
    AM_GO(rc, am_arena_check(m->arena, err));
    for (size_t i = 0; i < info->inputs->n; i++)
        m->inputs[i] = am_arena_str(m->arena, info->inputs->columns[i].name).ptr;
    for (size_t i = 0; i < info->n_classes; i++)
        m->classes[i] = am_arena_str(m->arena, info->classes[i]).ptr;
    rc = am_arena_check(m->arena, err);
out:
    am_buf_clear(&json);
    return rc;
}

/* Takes the reference of model, also on failure. */
static enum am_rc wrap(struct am_model *model, aimass_model **out, struct am_err *err)
{
    struct aimass_model *m = am_calloc(1, sizeof *m);
    enum am_rc rc;
    if (!m) {
        am_model_put(model);
        return am_fail_nomem(err, sizeof *m);
    }
    atomic_init(&m->n_refs, 1);
    m->model = model;
    m->arena = am_arena_new(0);
    rc = m->arena ? fill_texts(m, err) : am_fail_nomem(err, sizeof *m);
    if (rc != AM_OK) {
        aimass_free(m);
        return rc;
    }
    *out = m;
    return AM_OK;
}

aimass_status aimass_load(const char *path, aimass_model **out, aimass_error *err)
{
    struct am_model *model;
    struct am_err e;
    enum am_rc rc = am_model_open(path, NULL, &model, &e);
    if (rc == AM_OK)
        rc = wrap(model, out, &e);
    return report(rc, &e, err);
}

aimass_status aimass_load_bytes(const void *bytes, size_t n_bytes, aimass_model **out,
                                aimass_error *err)
{
    struct am_model *model;
    struct am_err e;
    enum am_rc rc = am_model_open_bytes((struct am_str){bytes, n_bytes}, NULL, &model, &e);
    if (rc == AM_OK)
        rc = wrap(model, out, &e);
    return report(rc, &e, err);
}

aimass_status aimass_load_signed(const char *path, const unsigned char (*keys)[32], size_t n_keys,
                                 aimass_model **out, aimass_error *err)
{
    struct am_model_options o = {.package = {.policy = AM_SIGNATURE_REQUIRED, .n_trusted = n_keys}};
    struct am_public_key *trusted = am_alloc_array(n_keys ? n_keys : 1, sizeof *trusted);
    struct am_model *model;
    struct am_err e;
    enum am_rc rc;
    if (!trusted)
        return report(am_fail_nomem(&e, n_keys * sizeof *trusted), &e, err);
    for (size_t i = 0; i < n_keys; i++)
        memcpy(trusted[i].bytes, keys[i], sizeof trusted[i].bytes);
    o.package.trusted = trusted;
    rc = am_model_open(path, &o, &model, &e);
    am_free(trusted);
    if (rc == AM_OK)
        rc = wrap(model, out, &e);
    return report(rc, &e, err);
}

aimass_model *aimass_retain(aimass_model *m)
{
    atomic_fetch_add_explicit(&m->n_refs, 1, memory_order_relaxed);
    return m;
}

void aimass_free(aimass_model *m)
{
    if (!m || atomic_fetch_sub_explicit(&m->n_refs, 1, memory_order_acq_rel) != 1)
        return;
    am_model_put(m->model);
    am_arena_free(m->arena);
    am_free(m);
}

/* ---- describing ---- */

_Static_assert((int)AIMASS_NUMBER == (int)AM_COL_NUMBER &&
                   (int)AIMASS_BOOLEAN == (int)AM_COL_BOOLEAN &&
                   (int)AIMASS_CATEGORY == (int)AM_COL_CATEGORY &&
                   (int)AIMASS_TEXT == (int)AM_COL_TEXT && (int)AIMASS_DATE == (int)AM_COL_DATE &&
                   (int)AIMASS_IMAGE == (int)AM_COL_IMAGE &&
                   (int)AIMASS_AUDIO == (int)AM_COL_AUDIO &&
                   (int)AIMASS_VIDEO == (int)AM_COL_VIDEO && AIMASS_RAW_BYTES == AM_MEDIA_RAW_BYTES,
               "the public types are ours");

const char *aimass_describe(const aimass_model *m)
{
    return m->describe;
}
const char *aimass_card(const aimass_model *m)
{
    return m->card;
}
size_t aimass_n_inputs(const aimass_model *m)
{
    return am_model_info(m->model)->inputs->n;
}
size_t aimass_n_classes(const aimass_model *m)
{
    return am_model_info(m->model)->n_classes;
}
size_t aimass_n_embedding(const aimass_model *m)
{
    return am_model_info(m->model)->n_embedding;
}
double aimass_threshold(const aimass_model *m)
{
    return am_model_info(m->model)->threshold;
}

const char *aimass_input_name(const aimass_model *m, size_t i)
{
    return i < aimass_n_inputs(m) ? m->inputs[i] : NULL;
}

aimass_type aimass_input_type(const aimass_model *m, size_t i)
{
    return i < aimass_n_inputs(m) ? (aimass_type)am_model_info(m->model)->inputs->columns[i].type
                                  : AIMASS_NUMBER;
}

const char *aimass_class_name(const aimass_model *m, size_t i)
{
    return i < aimass_n_classes(m) ? m->classes[i] : NULL;
}

/* ---- predicting ---- */

aimass_status aimass_predictor_new(aimass_model *m, aimass_predictor **out, aimass_error *err)
{
    struct aimass_predictor *p = am_calloc(1, sizeof *p);
    size_t n = aimass_n_inputs(m) + 1;
    struct am_err e;
    enum am_rc rc;
    if (!p)
        return report(am_fail_nomem(&e, sizeof *p), &e, err);
    p->model = aimass_retain(m);
    p->out.wanted = AM_WANT_EMBEDDING; /* of what has one */
    p->columns = am_calloc(n, sizeof *p->columns);
    p->cells = am_calloc(n, sizeof *p->cells);
    p->caps = am_calloc(n, sizeof *p->caps);
    rc = p->columns && p->cells && p->caps ? am_predictor_new(m->model, NULL, &p->p, &e)
                                           : am_fail_nomem(&e, n * sizeof *p->columns);
    if (rc != AM_OK)
        aimass_predictor_free(p);
    else
        *out = p;
    return report(rc, &e, err);
}

void aimass_predictor_free(aimass_predictor *p)
{
    if (!p)
        return;
    for (size_t i = 0; p->cells && i < aimass_n_inputs(p->model); i++)
        am_free(p->cells[i]);
    am_free(p->cells);
    am_free(p->columns);
    am_free(p->caps);
    am_prediction_clear(&p->out);
    am_predictor_free(p->p);
    aimass_free(p->model);
    am_free(p);
}

static bool has_labels(const struct aimass_predictor *p)
{
    const struct am_model_info *info = am_model_info(p->model->model);
    return info->n_classes > 0 || am_task_own_labels(info->task);
}

const float *aimass_embedding(const aimass_predictor *p)
{
    return p->out.wanted & AM_WANT_EMBEDDING ? p->out.embedding : NULL;
}

static void show(const struct aimass_predictor *p, aimass_answer *out)
{
    const struct am_prediction *o = &p->out;
    *out = (aimass_answer){.n_rows = o->n_rows,
                           .n_classes = o->n_classes,
                           .probability = o->n_classes ? o->probability : NULL,
                           .label = has_labels(p) ? o->label : NULL,
                           .value = o->value};
}

aimass_status aimass_predict_rows(aimass_predictor *p, const double *values, size_t n_rows,
                                  size_t n_columns, aimass_answer *out, aimass_error *err)
{
    size_t want = aimass_n_inputs(p->model);
    struct am_err e;
    enum am_rc rc;
    if (n_columns != want)
        rc = am_fail(&e, AM_EINVAL, "%zu values a row given, the model has %zu inputs", n_columns,
                     want);
    else
        rc = am_prediction_reserve(&p->out, n_rows, aimass_n_classes(p->model), &e);
    if (rc == AM_OK)
        rc = am_prediction_wanted(&p->out, am_model_info(p->model->model), n_rows, &e);
    if (rc == AM_OK)
        rc = am_predict_rows(
            p->p, values, n_rows,
            &(struct am_answer){.probability = p->out.probability,
                                .label = has_labels(p) ? p->out.label : NULL,
                                .value = p->out.value,
                                .embedding = p->out.wanted ? p->out.embedding : NULL},
            &e);
    if (rc == AM_OK)
        show(p, out);
    return report(rc, &e, err);
}

aimass_status aimass_predict_row(aimass_predictor *p, const double *values, size_t n_values,
                                 aimass_answer *out, aimass_error *err)
{
    return aimass_predict_rows(p, values, 1, n_values, out, err);
}

/* ---- columns by name ---- */

static enum am_rc reserve_cells(struct aimass_predictor *p, size_t i, size_t n_rows, size_t size,
                                struct am_err *err)
{
    if (p->cells[i] && n_rows <= p->caps[i])
        return AM_OK;
    am_free(p->cells[i]);
    p->cells[i] = am_alloc_array(n_rows ? n_rows : 1, size);
    p->caps[i] = p->cells[i] ? n_rows : 0;
    return p->cells[i] ? AM_OK : am_fail_nomem(err, n_rows * size);
}

static enum am_rc bad_cell(const aimass_column *c, size_t row, const char *what, struct am_err *err)
{
    return am_fail(err, AM_EINVAL, "column \"%s\", row %zu: \"%.64s\" is no %s", c->name, row,
                   c->texts ? c->texts[row] : "a number", what);
}

static enum am_rc read_text(const aimass_column *c, size_t n_rows, struct am_str *out,
                            struct am_err *err)
{
    if (!c->texts) {
        am_fail(err, AM_EINVAL, "column \"%s\" is given as numbers, the model needs texts",
                c->name);
        am_hint(err, "Give it as texts: the text must be spelled as in the training data.");
        return AM_EINVAL;
    }
    for (size_t i = 0; i < n_rows; i++) {
        out[i] = am_str(c->texts[i]);
        if (out[i].ptr && !am_utf8_valid(out[i]))
            return am_fail(err, AM_EINVAL, "column \"%s\", row %zu is not UTF-8", c->name, i);
    }
    return AM_OK;
}

static enum am_rc read_dates(const aimass_column *c, size_t n_rows, int64_t *out,
                             struct am_err *err)
{
    for (size_t i = 0; i < n_rows; i++) {
        out[i] = AM_DATE_MISSING;
        if (c->texts) {
            if (c->texts[i] && !am_date_parse(am_str(c->texts[i]), &out[i]))
                return bad_cell(c, i, "date", err);
        } else if (!isnan(c->numbers[i])) {
            if (!(fabs(c->numbers[i]) < 9e12)) /* of microseconds in int64 */
                return am_fail(err, AM_EINVAL,
                               "column \"%s\", row %zu: %g seconds are out of range", c->name, i,
                               c->numbers[i]);
            out[i] = (int64_t)llround(c->numbers[i] * 1e6);
        }
    }
    return AM_OK;
}

static bool read_boolean(struct am_str s, double *out)
{
    *out = am_str_is(s, "true") || am_str_is(s, "1");
    return *out > 0 || am_str_is(s, "false") || am_str_is(s, "0");
}

static enum am_rc read_numbers(const aimass_column *c, size_t n_rows, enum am_col_type type,
                               double *out, struct am_err *err)
{
    for (size_t i = 0; i < n_rows; i++) {
        struct am_str s = am_str(c->texts[i]);
        out[i] = (double)NAN;
        if (!s.ptr)
            continue;
        if (type == AM_COL_BOOLEAN ? !read_boolean(s, &out[i])
                                   : !am_parse_double(s, AM_NUM_FINITE, &out[i]))
            return bad_cell(c, i, am_col_type_name(type), err);
    }
    return AM_OK;
}

static enum am_rc read_column(struct aimass_predictor *p, size_t i, enum am_col_type type,
                              const aimass_column *c, size_t n_rows, struct am_err *err)
{
    struct am_column *col = &p->columns[i];
    size_t size =
        type == AM_COL_CATEGORY || type == AM_COL_TEXT ? sizeof(struct am_str) : sizeof(double);
    col->type = type;
    if (am_col_is_media(type)) {
        am_fail(err, AM_EINVAL, "column \"%s\" is given as numbers or texts, the model needs %s",
                c->name, am_col_type_name(type));
        am_hint(err, "Give its bytes to aimass_predict_media.");
        return AM_EINVAL;
    }
    if (!c->numbers == !c->texts)
        return am_fail(err, AM_EINVAL, "column \"%s\" needs either numbers or texts", c->name);
    if (c->numbers && (type == AM_COL_NUMBER || type == AM_COL_BOOLEAN)) {
        col->number = c->numbers;
        return AM_OK;
    }
    AM_TRY(reserve_cells(p, i, n_rows, size, err));
    switch (type) {
    case AM_COL_CATEGORY:
    case AM_COL_TEXT:
        col->text = p->cells[i];
        return read_text(c, n_rows, p->cells[i], err);
    case AM_COL_DATE:
        col->date = p->cells[i];
        return read_dates(c, n_rows, p->cells[i], err);
    default:
        col->number = p->cells[i];
        return read_numbers(c, n_rows, type, p->cells[i], err);
    }
}

static const aimass_column *find_column(const aimass_column *columns, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (columns[i].name && strcmp(columns[i].name, name) == 0)
            return &columns[i];
    return NULL;
}

static const aimass_media *find_media(const aimass_media *media, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (media[i].name && strcmp(media[i].name, name) == 0)
            return &media[i];
    return NULL;
}

/* Only the raw form: files would need decoders, which the library has not. */
static enum am_rc read_media(struct aimass_predictor *p, size_t i, enum am_col_type type,
                             const aimass_media *m, size_t n_rows, struct am_err *err)
{
    struct am_column *col = &p->columns[i];
    struct am_str *cells;
    const char *magic = type == AM_COL_IMAGE ? "AMIM" : type == AM_COL_VIDEO ? "AMVI" : "AMAU";
    AM_TRY(reserve_cells(p, i, n_rows, sizeof *cells, err));
    cells = p->cells[i];
    *col = (struct am_column){.type = type, .text = cells};
    for (size_t row = 0; row < n_rows; row++) {
        cells[row] = (struct am_str){NULL, 0};
        if (!m->bytes[row])
            continue;
        cells[row] = (struct am_str){m->bytes[row], m->n_bytes[row]};
        if (cells[row].len >= AM_MEDIA_RAW_BYTES && memcmp(cells[row].ptr, magic, 4) == 0)
            continue;
        am_fail(err, AM_EINVAL, "column \"%s\", row %zu is no %s in the raw form", m->name, row,
                am_col_type_name(type));
        am_hint(err, "Decode the file and put the header of aimass_image_header, "
                     "aimass_audio_header or aimass_video_header before the pixels or samples.");
        return AM_EINVAL;
    }
    return AM_OK;
}

static enum am_rc read_columns(struct aimass_predictor *p, const aimass_media *media,
                               size_t n_media, const aimass_column *columns, size_t n_columns,
                               size_t n_rows, struct am_err *err)
{
    const struct am_schema *s = am_model_info(p->model->model)->inputs;
    for (size_t i = 0; i < s->n; i++) {
        enum am_col_type type = s->columns[i].type;
        const aimass_media *m =
            am_col_is_media(type) ? find_media(media, n_media, p->model->inputs[i]) : NULL;
        if (m) {
            AM_TRY(read_media(p, i, type, m, n_rows, err));
            continue;
        }
        const aimass_column *c = find_column(columns, n_columns, p->model->inputs[i]);
        if (!c)
            return am_fail(err, AM_EINVAL, "column \"%s\" is missing", p->model->inputs[i]);
        AM_TRY(read_column(p, i, type, c, n_rows, err));
    }
    return AM_OK;
}

aimass_status aimass_predict_media(aimass_predictor *p, const aimass_media *media, size_t n_media,
                                   const aimass_column *columns, size_t n_columns, size_t n_rows,
                                   aimass_answer *out, aimass_error *err)
{
    struct am_batch batch = {
        .n_rows = n_rows, .n_columns = aimass_n_inputs(p->model), .columns = p->columns};
    struct am_err e;
    enum am_rc rc = read_columns(p, media, n_media, columns, n_columns, n_rows, &e);
    if (rc == AM_OK)
        rc = am_model_predict(p->p, &batch, &p->out, &e);
    if (rc == AM_OK)
        show(p, out);
    return report(rc, &e, err);
}

aimass_status aimass_predict_columns(aimass_predictor *p, const aimass_column *columns,
                                     size_t n_columns, size_t n_rows, aimass_answer *out,
                                     aimass_error *err)
{
    return aimass_predict_media(p, NULL, 0, columns, n_columns, n_rows, out, err);
}

void aimass_image_header(uint32_t width, uint32_t height, uint32_t channels,
                         unsigned char out[AIMASS_RAW_BYTES])
{
    am_image_raw_header(width, height, channels, out);
}

void aimass_audio_header(uint32_t sample_rate, uint32_t channels, uint32_t n_frames,
                         unsigned char out[AIMASS_RAW_BYTES])
{
    am_sound_raw_header(sample_rate, channels, n_frames, out);
}

void aimass_video_header(uint32_t n_frames, uint32_t width, uint32_t height, uint32_t channels,
                         unsigned char out[AIMASS_RAW_BYTES])
{
    am_video_raw_header(n_frames, width, height, channels, out);
}
