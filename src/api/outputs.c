/* What a model answers with: names, datatypes and shapes of its outputs, which of them a request
 * wants, and their JSON in the native protocol.
 *
 * One table for all protocols, so that a name means the same everywhere; V2 says "probabilities"
 * where the native answer has "probability" by class. Any thread; a call's mask belongs to it. */
#include <stdio.h>

#include "api/api_int.h"

#define BIT(o) (1u << (o))
#define CODES (BIT(AM_OUTPUT_EMBEDDING) | BIT(AM_OUTPUT_DISTANCES) | BIT(AM_OUTPUT_MEMBERSHIPS))

unsigned am_outputs_of(const struct am_serve_info *info)
{
    return am_task_outputs(info->task, info->densities) &
           ~(info->n_restored ? 0u : BIT(AM_OUTPUT_RESTORED));
}

unsigned am_outputs_default(const struct am_serve_info *info)
{
    return am_task_usual_outputs(info->task, info->densities);
}

bool am_output_find(const struct am_serve_info *info, struct am_str name, enum am_output *out)
{
    for (unsigned o = 0; o < AM_N_OUTPUTS; o++)
        if ((am_outputs_of(info) & BIT(o)) && am_str_is(name, am_output_name((enum am_output)o))) {
            *out = (enum am_output)o;
            return true;
        }
    return false;
}

const char *am_output_datatype(enum am_output o)
{
    static const char *const types[AM_N_OUTPUTS] = {"FP64", "FP32", "BYTES", "FP64", "BOOL",
                                                    "FP32", "FP64", "INT32", "FP64", "FP32",
                                                    "FP64", "FP32", "BYTES"};
    return types[o];
}

/* Without the rows; rank 0 = one a row, written [rows]. */
struct am_dims am_output_dims(const struct am_serve_info *info, enum am_output o)
{
    switch (o) {
    case AM_OUTPUT_PROBABILITIES:
        return am_dims1((int64_t)info->n_classes);
    case AM_OUTPUT_EMBEDDING:
    case AM_OUTPUT_DISTANCES:
    case AM_OUTPUT_MEMBERSHIPS:
        return am_dims1((int64_t)info->n_embedding);
    case AM_OUTPUT_RESTORED:
        return info->restored_shape;
    case AM_OUTPUT_LABEL:
    case AM_OUTPUT_LABELS:
    case AM_OUTPUT_FLAG:
    case AM_OUTPUT_CLUSTER:
        return (struct am_dims){0};
    default:
        return am_dims1(1);
    }
}

void am_outputs_want(struct am_call *call, unsigned mask)
{
    call->outputs = mask;
    call->result.wanted = (mask & CODES ? AM_SERVE_EMBEDDING : 0u) |
                          (mask & BIT(AM_OUTPUT_RESTORED) ? AM_SERVE_RESTORED : 0u);
}

static const char *native_name(enum am_output o)
{
    return o == AM_OUTPUT_PROBABILITIES ? "probability" : am_output_name(o);
}

enum am_rc am_output_native(const struct am_serve_info *info, struct am_str name, unsigned *mask,
                            struct am_err *err)
{
    char list[200];
    size_t at = 0;
    for (unsigned o = 0; o < AM_N_OUTPUTS; o++) {
        if (!(am_outputs_of(info) & BIT(o)))
            continue;
        if (am_str_is(name, native_name((enum am_output)o))) {
            *mask |= BIT(o);
            return AM_OK;
        }
        int n = snprintf(list + at, sizeof list - at, "%s%s", at ? ", " : "",
                         native_name((enum am_output)o));
        at += n > 0 ? (size_t)n : 0;
    }
    (void)am_fail(err, AM_EINVAL, "model \"%.*s\" has no output \"%.*s\"", AM_FMT(info->model),
                  (int)(name.len > 100 ? 100 : name.len), name.ptr);
    am_hint(err, "Its outputs are: %s.", list);
    return AM_EINVAL;
}

enum am_rc am_outputs_query(struct am_call *call, struct am_err *err)
{
    const struct am_serve_info *info = am_served_info(call->served);
    struct am_str q = call->rq->query, key = AM_STR("outputs=");
    unsigned mask = 0;
    if (!q.ptr || !am_str_starts(q, key))
        return AM_OK;
    for (size_t at = key.len; at <= q.len;) {
        const char *comma = memchr(q.ptr + at, ',', q.len - at);
        size_t end = comma ? (size_t)(comma - q.ptr) : q.len;
        AM_TRY(am_output_native(info, (struct am_str){q.ptr + at, end - at}, &mask, err));
        at = end + 1;
    }
    am_outputs_want(call, mask);
    return AM_OK;
}

/* ---- native JSON ---- */

static void print_floats(struct am_buf *b, const float *v, size_t n)
{
    am_buf_char(b, '[');
    for (size_t i = 0; i < n; i++) {
        if (i)
            am_buf_char(b, ',');
        am_print_f32(b, v[i]);
    }
    am_buf_char(b, ']');
}

static void print_columns(struct am_buf *b, const struct am_serve_info *info, const double *v)
{
    am_buf_char(b, '{');
    for (size_t i = 0; i < info->n_restored; i++) {
        if (i)
            am_buf_char(b, ',');
        am_json_quote(b, info->restored[i]);
        am_buf_char(b, ':');
        am_print_number(b, v[i]);
    }
    am_buf_char(b, '}');
}

/* Lists nested as the shape is. */
static void print_nested(struct am_buf *b, const struct am_dims *d, const double *v)
{
    size_t n = am_dims_count(d);
    for (size_t i = 0; i < n; i++) {
        size_t step = 1;
        if (i)
            am_buf_char(b, ',');
        for (unsigned k = d->rank; k-- > 0 && i % (step *= (size_t)d->d[k]) == 0;)
            am_buf_char(b, '[');
        am_print_number(b, v[i]);
        step = 1;
        for (unsigned k = d->rank; k-- > 0 && (i + 1) % (step *= (size_t)d->d[k]) == 0;)
            am_buf_char(b, ']');
    }
}

static void print_probability(struct am_buf *b, const struct am_serve_info *info, const float *p)
{
    am_buf_char(b, '{');
    for (size_t i = 0; i < info->n_classes; i++) {
        if (i)
            am_buf_char(b, ',');
        am_buf_str(b, info->quoted[i]);
        am_buf_char(b, ':');
        am_print_f32(b, p[i]);
    }
    am_buf_char(b, '}');
}

static void print_set(struct am_buf *b, const struct am_serve_info *info, uint32_t set)
{
    bool first = true;
    am_buf_char(b, '[');
    for (size_t k = 0; k < info->n_classes && k < 32; k++) {
        if (!(set >> k & 1))
            continue;
        if (!first)
            am_buf_char(b, ',');
        first = false;
        am_buf_str(b, info->quoted[k]);
    }
    am_buf_char(b, ']');
}

void am_output_print(struct am_buf *b, const struct am_serve_info *info,
                     const struct am_serve_result *r, enum am_output o, size_t row)
{
    switch (o) {
    case AM_OUTPUT_VALUE:
    case AM_OUTPUT_SCORE:
    case AM_OUTPUT_DISTANCE:
    case AM_OUTPUT_LOG_DENSITY:
        am_print_number(b, r->value[row]);
        break;
    case AM_OUTPUT_PROBABILITIES:
        print_probability(b, info, r->probability + row * info->n_classes);
        break;
    case AM_OUTPUT_LABEL:
        am_print_label(b, info, r->label[row]);
        break;
    case AM_OUTPUT_LABELS:
        print_set(b, info, (uint32_t)r->label[row]);
        break;
    case AM_OUTPUT_FLAG:
        am_buf_str(b, r->label[row] ? AM_STR("true") : AM_STR("false"));
        break;
    case AM_OUTPUT_CLUSTER:
        am_buf_printf(b, "%d", (int)r->label[row]);
        break;
    case AM_OUTPUT_EMBEDDING:
    case AM_OUTPUT_DISTANCES:
    case AM_OUTPUT_MEMBERSHIPS:
        print_floats(b, r->embedding + row * info->n_embedding, info->n_embedding);
        break;
    default:
        if (info->restored)
            print_columns(b, info, r->restored + row * info->n_restored);
        else
            print_nested(b, &info->restored_shape, r->restored + row * info->n_restored);
    }
}

/* The order of a native answer: the label before its probabilities. */
static const enum am_output order[AM_N_OUTPUTS] = {
    AM_OUTPUT_VALUE,    AM_OUTPUT_LABEL,     AM_OUTPUT_PROBABILITIES, AM_OUTPUT_SCORE,
    AM_OUTPUT_FLAG,     AM_OUTPUT_EMBEDDING, AM_OUTPUT_RESTORED,      AM_OUTPUT_CLUSTER,
    AM_OUTPUT_DISTANCE, AM_OUTPUT_DISTANCES, AM_OUTPUT_LOG_DENSITY,   AM_OUTPUT_MEMBERSHIPS,
    AM_OUTPUT_LABELS};

void am_outputs_print_row(struct am_buf *b, const struct am_call *call, size_t row)
{
    const struct am_serve_info *info = am_served_info(call->served);
    bool first = true;
    for (size_t k = 0; k < AM_N_OUTPUTS; k++) {
        if (!(call->outputs & BIT(order[k])))
            continue;
        am_buf_str(b, first ? AM_STR("{\"") : AM_STR(",\""));
        first = false;
        am_buf_cstr(b, native_name(order[k]));
        am_buf_str(b, AM_STR("\":"));
        am_output_print(b, info, &call->result, order[k], row);
    }
    am_buf_str(b, first ? AM_STR("{}") : AM_STR("}"));
}
