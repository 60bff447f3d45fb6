/* Prints a made-up report or explanation as HTML: report_main binary|multiclass|regression|hostile|
 * empty|explained|explained_hostile. For check_html.py, and for eyes. */
#include "report_data.h"

int main(int argc, char **argv)
{
    struct am_str kind = am_str(argc > 1 ? argv[1] : "binary");
    enum am_task task = am_str_is(kind, "regression") ? AM_TASK_REGRESSION
                        : am_str_is(kind, "multiclass") || am_str_is(kind, "hostile")
                            ? AM_TASK_MULTICLASS
                            : AM_TASK_BINARY;
    struct am_arena *a = am_arena_new(0);
    struct am_buf b;
    am_buf_init(&b, 1 << 24);
    if (a && am_str_starts(kind, AM_STR("explained")))
        am_explanation_html(
            made_explanation(am_str_is(kind, "explained_hostile") ? HOSTILE : NULL, a), &b);
    else if (a)
        am_report_html(am_str_is(kind, "empty")
                           ? am_new_map(a)
                           : made_report(task, am_str_is(kind, "hostile") ? HOSTILE : NULL, a),
                       &b);
    int bad = !a || am_arena_check(a, NULL) != AM_OK || am_buf_check(&b, NULL) != AM_OK ||
              fwrite(b.ptr, 1, b.len, stdout) != b.len;
    am_buf_clear(&b);
    am_arena_free(a);
    return bad;
}
