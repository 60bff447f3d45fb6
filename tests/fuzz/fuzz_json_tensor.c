/* Fuzz target: prediction bodies. The first byte chooses protocol and model; the second, for V2,
 * where the JSON ends. Bodies lie at the end of their own allocation, so that ASan sees a read
 * behind them. Checked: no crash; what is accepted has every cell set; a second scan of the same
 * bytes agrees. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/api_int.h"
#include "serve/serve_int.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static const struct am_column_desc columns[] = {{AM_STR_INIT("a"), AM_COL_NUMBER},
                                                {AM_STR_INIT("b"), AM_COL_BOOLEAN},
                                                {AM_STR_INIT("c"), AM_COL_CATEGORY},
                                                {AM_STR_INIT("d"), AM_COL_TEXT},
                                                {AM_STR_INIT("e"), AM_COL_DATE}};
static const struct am_str classes[] = {AM_STR_INIT("no"), AM_STR_INIT("yes")};
static const struct am_str ids[] = {AM_STR_INIT("id")};

static void model_free(void *impl)
{
    (void)impl;
}

static const struct am_serve_model_ops ops = {.free = model_free};

/* A version that is only described, never run: 0 all five columns, 1 one number, 2 number and
 * boolean. */
static struct am_served *make_model(unsigned kind)
{
    struct am_serve s = {.n_slots = 1};
    struct am_serve_model m = {.ops = &ops};
    struct am_served *v = NULL;
    struct am_err err;
    m.info = (struct am_serve_info){.inputs = {columns, kind == 1   ? 1
                                                        : kind == 2 ? 2
                                                                    : 5},
                                    .all_numbers = kind == 1 || kind == 2,
                                    .ids = ids,
                                    .n_ids = 1,
                                    .classes = classes,
                                    .n_classes = kind == 1 ? 0 : 2};
    if (am_served_new(&s, "m", 1, AM_STR("p"), &m, &v, &err) != AM_OK)
        abort();
    return v;
}

static void check_cells(const struct am_columns *c)
{
    volatile double sum = 0;
    for (size_t i = 0; i < c->schema->n; i++)
        for (size_t row = 0; row < c->n_rows; row++) {
            if (c->columns[i].type == AM_COL_CATEGORY || c->columns[i].type == AM_COL_TEXT) {
                struct am_str s = c->columns[i].text[row];
                if (s.ptr && !am_utf8_valid(s))
                    abort();
            } else if (c->columns[i].type == AM_COL_DATE) {
                sum += (double)c->columns[i].date[row];
            } else {
                double v = c->columns[i].number[row];
                if (isinf(v) ||
                    (c->columns[i].type == AM_COL_BOOLEAN && !isnan(v) && v != 0 && v != 1))
                    abort();
                sum += v;
            }
        }
    (void)sum;
}

static enum am_rc parse_once(const struct am_protocol *p, struct am_served *model,
                             const unsigned char *data, size_t size, struct am_request *rq)
{
    struct am_call *call = calloc(1, sizeof *call);
    struct am_err err;
    char *body = malloc(size ? size : 1);
    memcpy(body, data, size);
    rq->body = body;
    rq->body_len = size;
    call->rq = rq;
    call->served = model;
    call->deadline_ns = UINT64_MAX;
    am_buf_init(&call->body, 1 << 20);
    enum am_rc rc = p->parse(call, &err);
    if (rc == AM_OK)
        check_cells(&call->columns);
    else if (err.rc != rc || !err.message[0])
        abort();
    am_columns_clear(&call->columns);
    am_buf_clear(&call->body);
    free(body);
    free(call);
    return rc;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static const struct am_protocol *const protocols[] = {
        &am_protocol_native, &am_protocol_v2, &am_protocol_predict, &am_protocol_classify,
        &am_protocol_regress};
    struct am_request rq = {.start_ns = 1};
    char length[8];
    if (size < 2)
        return 0;
    const struct am_protocol *p = protocols[data[0] % 5];
    static struct am_served *models[3];
    for (unsigned i = 0; i < 3; i++)
        models[i] = models[i] ? models[i] : make_model(i);
    struct am_served *model = models[data[0] / 5 % 3];
    if (p == &am_protocol_v2 && data[1] != '{') {
        int n = snprintf(length, sizeof length, "%u", data[1] * 4u);
        rq.inference_length = (struct am_str){length, (size_t)n};
    }
    size_t skip = data[1] == '{' ? 1 : 2;
    enum am_rc first = parse_once(p, model, data + skip, size - skip, &rq);
    if (parse_once(p, model, data + skip, size - skip, &rq) != first)
        abort();
    return 0;
}
