/* Answers as text; see answers.h. The columns of CSV: ids, then "prediction" (the value or the
 * label), "probability_CLASS", "anomaly_score", "is_anomaly", "embedding_1",
 * "reconstruction_COLUMN" (of pixels "reconstruction_1"), "cluster", "distance" or "log_density",
 * "distance_0" or "membership_0". */
#include "pipeline/answers.h"

#include <stdio.h>

#include "base/num.h"

#define BIT(o) (1u << (o))
#define CODES (BIT(AM_OUTPUT_EMBEDDING) | BIT(AM_OUTPUT_DISTANCES) | BIT(AM_OUTPUT_MEMBERSHIPS))
#define PLACES (BIT(AM_OUTPUT_DISTANCE) | BIT(AM_OUTPUT_LOG_DENSITY))

static unsigned available(const struct am_model_info *info)
{
    return am_task_outputs(info->task, info->output == AM_MODEL_PROBABILITY) &
           ~(info->n_restored ? 0u : BIT(AM_OUTPUT_RESTORED));
}

static const char *name_of(enum am_output o)
{
    return o == AM_OUTPUT_PROBABILITIES ? "probability" : am_output_name(o);
}

static enum am_rc choose_one(const struct am_model_info *info, struct am_str name, unsigned *out,
                             struct am_err *err)
{
    char list[200] = "";
    size_t at = 0;
    for (unsigned o = 0; o < AM_N_OUTPUTS; o++) {
        if (!(available(info) & BIT(o)))
            continue;
        if (am_str_is(name, name_of((enum am_output)o))) {
            *out |= BIT(o);
            return AM_OK;
        }
        int n = snprintf(list + at, sizeof list - at, "%s%s", at ? ", " : "",
                         name_of((enum am_output)o));
        at += n > 0 ? (size_t)n : 0;
    }
    am_fail(err, AM_EUSAGE, "model \"%.*s\" has no output \"%.*s\"", AM_FMT(info->name),
            AM_FMT(name));
    am_hint(err, "Its outputs are: %s.", list);
    return AM_EUSAGE;
}

enum am_rc am_answers_choose(const struct am_model_info *info, const char *names, unsigned *out,
                             struct am_err *err)
{
    *out = 0;
    if (!names) {
        *out = am_task_usual_outputs(info->task, info->output == AM_MODEL_PROBABILITY);
        return AM_OK;
    }
    for (const char *p = names;; p++) {
        size_t n = strcspn(p, ",");
        AM_TRY(choose_one(info, (struct am_str){p, n}, out, err));
        p += n;
        if (*p == 0)
            return AM_OK;
    }
}

unsigned am_answers_wanted(unsigned outputs)
{
    return (outputs & CODES ? AM_WANT_EMBEDDING : 0u) |
           (outputs & BIT(AM_OUTPUT_RESTORED) ? AM_WANT_RESTORED : 0u);
}

static void put_double(struct am_buf *b, double v)
{
    char text[AM_DOUBLE_CHARS];
    am_buf_add(b, text, am_print_double(v, text));
}

static void put_float(struct am_buf *b, float v)
{
    char text[AM_DOUBLE_CHARS];
    am_buf_add(b, text, am_print_float(v, text));
}

/* ---- CSV ---- */

static void csv_cell(struct am_buf *b, struct am_str s)
{
    bool quote = false;
    for (size_t i = 0; i < s.len; i++)
        quote = quote || s.ptr[i] == ',' || s.ptr[i] == '"' || s.ptr[i] == '\n' || s.ptr[i] == '\r';
    if (!quote) {
        am_buf_add(b, s.ptr, s.len);
        return;
    }
    am_buf_char(b, '"');
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '"')
            am_buf_char(b, '"');
        am_buf_char(b, s.ptr[i]);
    }
    am_buf_char(b, '"');
}

struct line { /* of cells with commas between */
    struct am_buf *b;
    bool begun;
};

static void next(struct line *l)
{
    if (l->begun)
        am_buf_char(l->b, ',');
    l->begun = true;
}

/* PREFIX_NAME, or PREFIX_3 without a name. */
static void csv_name(struct line *l, const char *prefix, const struct am_str *name, size_t number)
{
    struct am_buf text;
    next(l);
    am_buf_init(&text, 1 << 16);
    if (name)
        am_buf_printf(&text, "%s_%.*s", prefix, AM_FMT(*name));
    else
        am_buf_printf(&text, "%s_%zu", prefix, number);
    csv_cell(l->b, am_buf_view(&text));
    am_buf_clear(&text);
}

/* Clusters are counted from 0. */
static void csv_code(struct line *l, unsigned outputs, size_t k)
{
    if (outputs & BIT(AM_OUTPUT_EMBEDDING))
        csv_name(l, "embedding", NULL, k + 1);
    else
        csv_name(l, outputs & BIT(AM_OUTPUT_DISTANCES) ? "distance" : "membership", NULL, k);
}

void am_answers_csv_header(const struct am_answers *a, const struct am_schema *s,
                           struct am_buf *out)
{
    const struct am_model_info *info = a->info;
    struct line l = {out, false};
    for (size_t i = info->inputs->n; i < s->n; i++) {
        next(&l);
        csv_cell(out, s->columns[i].name);
    }
    if (a->outputs & (BIT(AM_OUTPUT_VALUE) | BIT(AM_OUTPUT_LABEL) | BIT(AM_OUTPUT_LABELS))) {
        next(&l);
        am_buf_cstr(out, "prediction");
    }
    for (size_t k = 0; a->outputs & BIT(AM_OUTPUT_PROBABILITIES) && k < info->n_classes; k++)
        csv_name(&l, "probability", &info->classes[k], 0);
    for (unsigned o = AM_OUTPUT_SCORE; o <= AM_OUTPUT_FLAG; o++)
        if (a->outputs & BIT(o)) {
            next(&l);
            am_buf_cstr(out, am_output_name((enum am_output)o));
        }
    for (unsigned o = AM_OUTPUT_CLUSTER; o <= AM_OUTPUT_LOG_DENSITY; o++)
        if (a->outputs & (BIT(AM_OUTPUT_CLUSTER) | PLACES) & BIT(o)) {
            next(&l);
            am_buf_cstr(out, am_output_name((enum am_output)o));
        }
    for (size_t k = 0; a->outputs & CODES && k < info->n_embedding; k++)
        csv_code(&l, a->outputs, k);
    for (size_t k = 0; a->outputs & BIT(AM_OUTPUT_RESTORED) && k < info->n_restored; k++)
        csv_name(&l, "reconstruction", info->restored ? &info->restored[k] : NULL, k + 1);
    am_buf_char(out, '\n');
}

/* Several labels in one cell: "red;round". */
static void csv_set(struct am_buf *out, const struct am_model_info *info, uint32_t set)
{
    struct am_buf text;
    am_buf_init(&text, (size_t)1 << 20);
    for (size_t k = 0; k < info->n_classes && k < 32; k++)
        if (set >> k & 1) {
            if (text.len)
                am_buf_char(&text, ';');
            am_buf_str(&text, info->classes[k]);
        }
    csv_cell(out, am_buf_view(&text));
    am_buf_clear(&text);
}

void am_answers_csv_row(const struct am_answers *a, const struct am_batch *b,
                        const struct am_prediction *p, size_t row, struct am_buf *out)
{
    const struct am_model_info *info = a->info;
    size_t c = info->n_classes, e = info->n_embedding, r = info->n_restored;
    struct line l = {out, false};
    for (size_t k = info->inputs->n; k < b->n_columns; k++) {
        next(&l);
        csv_cell(out, b->columns[k].text[row]);
    }
    if (a->outputs & (BIT(AM_OUTPUT_VALUE) | BIT(AM_OUTPUT_SCORE))) {
        next(&l);
        put_double(out, p->value[row]);
    }
    if (a->outputs & BIT(AM_OUTPUT_LABEL)) {
        next(&l);
        csv_cell(out, info->classes[p->label[row]]);
    }
    if (a->outputs & BIT(AM_OUTPUT_LABELS)) {
        next(&l);
        csv_set(out, info, (uint32_t)p->label[row]);
    }
    for (size_t k = 0; a->outputs & BIT(AM_OUTPUT_PROBABILITIES) && k < c; k++) {
        next(&l);
        put_float(out, p->probability[row * c + k]);
    }
    if (a->outputs & BIT(AM_OUTPUT_FLAG)) {
        next(&l);
        am_buf_cstr(out, p->label[row] ? "true" : "false");
    }
    if (a->outputs & BIT(AM_OUTPUT_CLUSTER)) {
        next(&l);
        am_buf_printf(out, "%d", (int)p->label[row]);
    }
    if (a->outputs & PLACES) {
        next(&l);
        put_double(out, p->value[row]);
    }
    for (size_t k = 0; a->outputs & CODES && k < e; k++) {
        next(&l);
        put_float(out, p->embedding[row * e + k]);
    }
    for (size_t k = 0; a->outputs & BIT(AM_OUTPUT_RESTORED) && k < r; k++) {
        next(&l);
        put_double(out, p->restored[row * r + k]);
    }
    am_buf_char(out, '\n');
}

/* ---- JSON ---- */

static void key(struct line *l, const char *name)
{
    next(l);
    am_json_quote(l->b, am_str(name));
    am_buf_char(l->b, ':');
}

static void json_ids(struct line *l, const struct am_answers *a, const struct am_schema *s,
                     const struct am_batch *b, size_t row)
{
    for (size_t k = a->info->inputs->n; k < b->n_columns; k++) {
        next(l);
        am_json_quote(l->b, s->columns[k].name);
        am_buf_char(l->b, ':');
        if (b->columns[k].text[row].ptr)
            am_json_quote(l->b, b->columns[k].text[row]);
        else
            am_buf_cstr(l->b, "null");
    }
}

static void json_probability(struct am_buf *out, const struct am_model_info *info, const float *p)
{
    struct line l = {out, false};
    am_buf_char(out, '{');
    for (size_t k = 0; k < info->n_classes; k++) {
        next(&l);
        am_json_quote(out, info->classes[k]);
        am_buf_char(out, ':');
        put_float(out, p[k]);
    }
    am_buf_char(out, '}');
}

static void json_embedding(struct am_buf *out, const float *v, size_t n)
{
    struct line l = {out, false};
    am_buf_char(out, '[');
    for (size_t k = 0; k < n; k++) {
        next(&l);
        put_float(out, v[k]);
    }
    am_buf_char(out, ']');
}

/* By column, or as lists nested like the shape. */
static void json_restored(struct am_buf *out, const struct am_model_info *info, const double *v)
{
    const struct am_dims *d = &info->restored_shape;
    struct line l = {out, false};
    if (info->restored)
        am_buf_char(out, '{');
    for (size_t i = 0; i < info->n_restored; i++) {
        size_t step = 1;
        next(&l);
        if (info->restored) {
            am_json_quote(out, info->restored[i]);
            am_buf_char(out, ':');
        }
        for (unsigned k = d->rank;
             !info->restored && k-- > 0 && i % (step *= (size_t)d->d[k]) == 0;)
            am_buf_char(out, '[');
        put_double(out, v[i]);
        step = 1;
        for (unsigned k = d->rank;
             !info->restored && k-- > 0 && (i + 1) % (step *= (size_t)d->d[k]) == 0;)
            am_buf_char(out, ']');
    }
    if (info->restored)
        am_buf_char(out, '}');
}

static void json_set(const struct am_answers *a, uint32_t set, struct am_buf *out)
{
    bool first = true;
    am_buf_char(out, '[');
    for (size_t k = 0; k < a->info->n_classes && k < 32; k++) {
        if (!(set >> k & 1))
            continue;
        if (!first)
            am_buf_char(out, ',');
        first = false;
        am_node_to_json(a->labels[k], AM_JSON_COMPACT, out);
    }
    am_buf_char(out, ']');
}

static void json_output(const struct am_answers *a, const struct am_prediction *p, enum am_output o,
                        size_t row, struct am_buf *out)
{
    const struct am_model_info *info = a->info;
    switch (o) {
    case AM_OUTPUT_LABEL:
        am_node_to_json(a->labels[p->label[row]], AM_JSON_COMPACT, out);
        break;
    case AM_OUTPUT_LABELS:
        json_set(a, (uint32_t)p->label[row], out);
        break;
    case AM_OUTPUT_PROBABILITIES:
        json_probability(out, info, p->probability + row * info->n_classes);
        break;
    case AM_OUTPUT_FLAG:
        am_buf_cstr(out, p->label[row] ? "true" : "false");
        break;
    case AM_OUTPUT_CLUSTER:
        am_buf_printf(out, "%d", (int)p->label[row]);
        break;
    case AM_OUTPUT_EMBEDDING:
    case AM_OUTPUT_DISTANCES:
    case AM_OUTPUT_MEMBERSHIPS:
        json_embedding(out, p->embedding + row * info->n_embedding, info->n_embedding);
        break;
    case AM_OUTPUT_RESTORED:
        json_restored(out, info, p->restored + row * info->n_restored);
        break;
    default:
        put_double(out, p->value[row]);
    }
}

void am_answers_json_row(const struct am_answers *a, const struct am_schema *s,
                         const struct am_batch *b, const struct am_prediction *p, size_t row,
                         struct am_buf *out)
{
    static const enum am_output order[AM_N_OUTPUTS] = {
        AM_OUTPUT_VALUE,    AM_OUTPUT_LABEL,     AM_OUTPUT_PROBABILITIES, AM_OUTPUT_SCORE,
        AM_OUTPUT_FLAG,     AM_OUTPUT_EMBEDDING, AM_OUTPUT_RESTORED,      AM_OUTPUT_CLUSTER,
        AM_OUTPUT_DISTANCE, AM_OUTPUT_DISTANCES, AM_OUTPUT_LOG_DENSITY,   AM_OUTPUT_MEMBERSHIPS,
        AM_OUTPUT_LABELS};
    struct line l = {out, false};
    am_buf_char(out, '{');
    json_ids(&l, a, s, b, row);
    for (size_t k = 0; k < AM_N_OUTPUTS; k++) {
        if (!(a->outputs & BIT(order[k])))
            continue;
        key(&l, name_of(order[k]));
        json_output(a, p, order[k], row, out);
    }
    am_buf_char(out, '}');
}
