/* GET /api/v1/models/MODEL/recommend?user=U&n=10 and .../similar?item=I or ?user=U: lists of a
 * recommender. {"model", "version", "user" | "item", "known", "items" | "users": [..]}.
 *
 * Always on a worker: a list scores every item. Names come percent-encoded. */
#include <stdlib.h>

#include "api/api_int.h"
#include "base/num.h"

#define N_DEFAULT 10
#define NAME_MAX_BYTES 1024

struct query {
    struct am_str user, item;
    uint64_t n;
    char names[2][NAME_MAX_BYTES];
};

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool decode(struct am_str in, char *out, struct am_str *name)
{
    size_t n = 0;
    for (size_t i = 0; i < in.len; i++, n++) {
        if (n == NAME_MAX_BYTES)
            return false;
        out[n] = in.ptr[i] == '+' ? ' ' : in.ptr[i];
        if (in.ptr[i] != '%')
            continue;
        if (i + 2 >= in.len || hex(in.ptr[i + 1]) < 0 || hex(in.ptr[i + 2]) < 0)
            return false;
        out[n] = (char)(hex(in.ptr[i + 1]) * 16 + hex(in.ptr[i + 2]));
        i += 2;
    }
    *name = (struct am_str){out, n};
    return n > 0 && am_utf8_valid(*name);
}

static enum am_rc bad(struct am_str part, struct am_err *err)
{
    (void)am_fail(err, AM_EINVAL, "\"%.*s\" is no part of this query",
                  (int)(part.len > 100 ? 100 : part.len), part.ptr);
    am_hint(err, "It is ?user=NAME&n=10, for similar also ?item=NAME; names are percent-encoded.");
    return AM_EINVAL;
}

static enum am_rc read_query(struct am_str q, struct query *out, struct am_err *err)
{
    out->n = N_DEFAULT;
    for (size_t at = 0; q.ptr && at < q.len;) {
        const char *amp = memchr(q.ptr + at, '&', q.len - at);
        const size_t end = amp ? (size_t)(amp - q.ptr) : q.len;
        const struct am_str part = {q.ptr + at, end - at};
        bool ok = false;
        if (am_str_starts(part, AM_STR("user=")))
            ok = decode((struct am_str){part.ptr + 5, part.len - 5}, out->names[0], &out->user);
        else if (am_str_starts(part, AM_STR("item=")))
            ok = decode((struct am_str){part.ptr + 5, part.len - 5}, out->names[1], &out->item);
        else if (am_str_starts(part, AM_STR("n=")))
            ok = am_parse_u64((struct am_str){part.ptr + 2, part.len - 2}, 1000, &out->n) &&
                 out->n >= 1;
        if (!ok)
            return bad(part, err);
        at = end + 1;
    }
    return AM_OK;
}

static enum am_rc recommend_parse(struct am_call *call, struct am_err *err)
{
    const struct am_serve_info *info = am_served_info(call->served);
    return am_columns_begin(&call->columns, &info->inputs, info->uid, err);
}

static enum am_rc recommend_print(struct am_call *call, struct am_err *err)
{
    const struct am_serve_info *info = am_served_info(call->served);
    const bool similar = am_str_ends(am_str(call->route->pattern), AM_STR("/similar"));
    struct query q = {0};
    struct am_buf list;
    AM_TRY(read_query(call->rq->query, &q, err));
    if (!similar && (q.item.len || !q.user.len))
        return bad(AM_STR("without user=NAME"), err);
    if (similar && !q.item.len == !q.user.len)
        return bad(AM_STR("other than one of item=NAME and user=NAME"), err);
    am_buf_init(&list, 1 << 22);
    const enum am_serve_list what = !similar     ? AM_SERVE_RECOMMEND_ITEMS
                                    : q.item.len ? AM_SERVE_SIMILAR_ITEMS
                                                 : AM_SERVE_SIMILAR_USERS;
    const enum am_rc rc = am_served_recommend(call->served, what, q.item.len ? q.item : q.user,
                                              (size_t)q.n, &list, err);
    if (rc == AM_OK) {
        am_buf_str(&call->body, AM_STR("{\"model\":"));
        am_json_quote(&call->body, info->model);
        am_buf_printf(&call->body, ",\"version\":%lld,", (long long)info->version);
        am_buf_add(&call->body, list.ptr + 1, list.len - 1); /* its brace is open already */
    }
    am_buf_clear(&list);
    return rc;
}

const struct am_protocol am_protocol_recommend = {"recommend", recommend_parse, recommend_print};
