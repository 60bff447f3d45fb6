/* Fuzz target: a CSV file's first bytes, with options, through encoding detection, conversion, the
 * dialect sniffer and the line counter. First three bytes: delimiter, quote, flags; the rest is the
 * file. */
#include "base/alloc.h"
#include "data/csv_dialect.h"
#include "data/encoding.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 3 || n > 65536)
        return 0;
    static const char delimiters[] = {0, ',', ';', '\t', '|', ' ', '\0', 'x'};
    static const char quotes[] = {0, '"', '\'', '`'};
    struct am_csv_options o = {.delimiter = delimiters[data[0] & 7],
                               .quote = quotes[data[1] & 3],
                               .header = (enum am_csv_header)(data[2] % 3)};
    enum am_csv_head whole = data[2] & 4 ? AM_CSV_HEAD_WHOLE : AM_CSV_HEAD_CUT;
    enum am_encoding asked = (enum am_encoding)((data[2] >> 3) % 5);
    struct am_str head = {(const char *)data + 3, n - 3};
    struct am_arena *a = am_arena_new(1 << 24);
    struct am_buf text;
    struct am_err err;
    enum encoding_found e;
    struct am_csv_dialect d;
    am_buf_init(&text, 1 << 20);
    if (a && encoding_detect(head, asked, &e, &err) == AM_OK &&
        encoding_convert_head(head, e, &text, &err) == AM_OK &&
        am_csv_sniff(am_buf_view(&text), whole, &o, AM_STR("fuzz"), a, &d, &err) == AM_OK) {
        struct csv_lines lines = {
            .quote = d.quote, .wanted = data[0], .line = 1, .skip_first = d.has_header};
        csv_lines_feed(&lines, text.ptr, text.len);
        if (d.n_names == 0 || (lines.found && lines.line > text.len + 1))
            __builtin_trap();
    }
    am_buf_clear(&text);
    am_arena_free(a);
    return 0;
}
