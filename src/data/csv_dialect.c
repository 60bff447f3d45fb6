/* CSV dialects. A record ends at a line end outside quotes; the delimiter is the candidate whose
 * count per record is steadiest over the first records; a first record holds names unless its own
 * cells are numbers and nothing speaks for names. */
#include "data/csv_dialect.h"

#include "base/limits.h"
#include "base/map.h"
#include "base/num.h"

#define RECORDS 64

struct cursor {
    const char *p, *end;
    char quote;
};

/* One record without its line end; false when the bytes end inside quotes or (cut) inside the
 * record. */
static bool next_record(struct cursor *c, enum am_csv_head whole, struct am_str *out)
{
    const char *start = c->p;
    bool quoted = false;
    for (; c->p < c->end; c->p++) {
        if (*c->p == c->quote)
            quoted = !quoted;
        else if (!quoted && (*c->p == '\n' || *c->p == '\r'))
            break;
    }
    if (c->p == c->end && whole == AM_CSV_HEAD_CUT)
        return false;
    *out = (struct am_str){start, (size_t)(c->p - start)};
    if (c->p < c->end && *c->p == '\r')
        c->p++;
    if (c->p < c->end && *c->p == '\n' &&
        (c->p == start || c->p[-1] == '\r' || c->p == out->ptr + out->len))
        c->p++;
    return true;
}

static size_t count_of(struct am_str record, char delimiter, char quote)
{
    size_t n = 0;
    bool quoted = false;
    for (size_t i = 0; i < record.len; i++) {
        if (record.ptr[i] == quote)
            quoted = !quoted;
        n += !quoted && record.ptr[i] == delimiter;
    }
    return n;
}

static char sniff_delimiter(const struct am_str *records, size_t n, char quote)
{
    static const char candidates[] = {',', ';', '\t', '|'};
    char best = ',';
    size_t best_same = 0, best_count = 0;
    for (size_t k = 0; k < sizeof candidates; k++) {
        size_t count = count_of(records[0], candidates[k], quote), same = 0;
        if (count == 0)
            continue;
        for (size_t i = 0; i < n; i++)
            same += count_of(records[i], candidates[k], quote) == count;
        if (same > best_same || (same == best_same && count > best_count)) {
            best = candidates[k];
            best_same = same;
            best_count = count;
        }
    }
    return best;
}

/* The next cell, unquoted into the arena; *quoted tells whether it was. */
static bool next_cell(struct cursor *c, char delimiter, struct am_arena *a, struct am_str *out,
                      bool *quoted)
{
    const char *start = c->p;
    bool inside = false;
    for (; c->p < c->end && (inside || *c->p != delimiter); c->p++)
        if (*c->p == c->quote)
            inside = !inside;
    struct am_str raw = am_str_trim((struct am_str){start, (size_t)(c->p - start)});
    *quoted = raw.len >= 2 && raw.ptr[0] == c->quote && raw.ptr[raw.len - 1] == c->quote;
    if (c->p < c->end)
        c->p++;
    if (!*quoted) {
        *out = am_arena_str(a, raw);
        return out->ptr != NULL;
    }
    char *text = am_arena_alloc(a, raw.len + 1);
    if (!text)
        return false;
    size_t n = 0;
    for (size_t i = 1; i + 1 < raw.len; i++) {
        text[n++] = raw.ptr[i];
        if (raw.ptr[i] == c->quote && i + 2 < raw.len && raw.ptr[i + 1] == c->quote)
            i++;
    }
    text[n] = '\0';
    *out = am_str_trim((struct am_str){text, n});
    return true;
}

struct cells {
    struct am_str *text;
    bool *number;
    size_t n;
};

static enum am_rc split_cells(struct am_str record, char delimiter, char quote, struct am_str label,
                              struct am_arena *a, struct cells *out, struct am_err *err)
{
    out->n = count_of(record, delimiter, quote) + 1;
    if (out->n > AM_LIMIT_CSV_COLUMNS) {
        enum am_rc rc = am_fail(err, AM_ELIMIT, "\"%.*s\" has %zu columns, at most %d are allowed",
                                AM_FMT(label), out->n, AM_LIMIT_CSV_COLUMNS);
        am_hint(err, "Keep fewer columns, for example with a SELECT over the file as data.source.");
        return rc;
    }
    out->text = am_arena_array(a, out->n, sizeof *out->text);
    out->number = am_arena_array(a, out->n, sizeof *out->number);
    if (!out->text || !out->number)
        return am_fail_nomem(err, out->n * sizeof *out->text);
    struct cursor c = {record.ptr, record.ptr + record.len, quote};
    for (size_t i = 0; i < out->n; i++) {
        bool quoted;
        double value;
        if (!next_cell(&c, delimiter, a, &out->text[i], &quoted))
            return am_fail_nomem(err, record.len);
        out->number[i] = !quoted && am_parse_double(out->text[i], AM_NUM_SPECIAL, &value);
    }
    return AM_OK;
}

static bool has_names(const struct cells *first, const struct cells *second)
{
    bool any_number = false;
    for (size_t i = 0; i < first->n; i++)
        any_number |= first->number[i];
    if (!any_number)
        return true;
    for (size_t i = 0; second && i < first->n && i < second->n; i++)
        if (!first->number[i] && first->text[i].len && second->number[i])
            return true;
    return false;
}

/* Lower case (ASCII): the table engine's names know no other. */
static struct am_str fold(struct am_str name, struct am_arena *a)
{
    char *low = am_arena_alloc(a, name.len + 1);
    for (size_t i = 0; low && i < name.len; i++)
        low[i] = (char)(name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? name.ptr[i] + 32 : name.ptr[i]);
    return (struct am_str){low, low ? name.len : 0};
}

static enum am_rc check_names(struct am_csv_dialect *d, struct am_str label, struct am_arena *a,
                              struct am_err *err)
{
    struct am_map seen;
    am_map_init(&seen);
    enum am_rc rc = AM_OK;
    for (size_t i = 0; i < d->n_names; i++) {
        struct am_str *name = &d->names[i];
        if (name->len == 0)
            *name = am_arena_printf(a, "column_%zu", i + 1);
        if (!name->ptr) {
            rc = am_fail_nomem(err, 32);
            goto out;
        }
        if (!am_utf8_valid(*name)) {
            rc = am_fail(err, AM_EINVAL, "\"%.*s\": the name of column %zu is not valid UTF-8",
                         AM_FMT(label), i + 1);
            am_hint(err, "Say how the file is encoded with data.encoding.");
            goto out;
        }
        struct am_str folded = fold(*name, a);
        if (!folded.ptr) {
            rc = am_fail_nomem(err, name->len);
            goto out;
        }
        const uint64_t *before = am_map_get(&seen, folded);
        if (before) {
            rc =
                am_fail(err, AM_EINVAL, "\"%.*s\": columns %zu and %zu have the same name \"%.*s\"",
                        AM_FMT(label), (size_t)*before, i + 1, AM_FMT(*name));
            am_hint(err, "Give every column its own name in the file's first line; upper and lower "
                         "case are the same.");
            goto out;
        }
        AM_GO(rc, am_map_put(&seen, folded, i + 1, err));
    }
out:
    am_map_clear(&seen);
    return rc;
}

static enum am_rc fail_empty(struct am_str label, struct am_err *err)
{
    enum am_rc rc = am_fail(err, AM_EINVAL, "\"%.*s\" is empty", AM_FMT(label));
    am_hint(err, "Give a file with a line of column names and at least one row.");
    return rc;
}

/* The first records, blank ones left out. */
static size_t first_records(struct am_str head, enum am_csv_head whole, char quote,
                            struct am_str *records)
{
    struct cursor c = {head.ptr, head.ptr + head.len, quote};
    size_t n = 0;
    while (n < RECORDS && c.p < c.end && next_record(&c, whole, &records[n]))
        n += am_str_trim(records[n]).len > 0;
    return n;
}

enum am_rc am_csv_sniff(struct am_str head, enum am_csv_head whole, const struct am_csv_options *o,
                        struct am_str label, struct am_arena *a, struct am_csv_dialect *out,
                        struct am_err *err)
{
    struct am_str records[RECORDS];
    char quote = o->quote ? o->quote : '"';
    *out = (struct am_csv_dialect){.quote = quote};
    const char *nul = head.len ? memchr(head.ptr, '\0', head.len) : NULL;
    if (nul) {
        enum am_rc rc = am_fail(err, AM_EINVAL, "\"%.*s\" is not text: byte %zu is 0",
                                AM_FMT(label), (size_t)(nul - head.ptr) + 1);
        am_hint(err, "Give a CSV file; if it is UTF-16, say data.encoding: utf-16.");
        return rc;
    }
    size_t n = first_records(head, whole, quote, records);
    if (n == 0) {
        if (whole == AM_CSV_HEAD_CUT)
            return am_fail(err, AM_EBUSY, "the first record is longer than what was read");
        return fail_empty(label, err);
    }
    out->delimiter = o->delimiter ? o->delimiter : sniff_delimiter(records, n, quote);
    struct cells first, second;
    AM_TRY(split_cells(records[0], out->delimiter, quote, label, a, &first, err));
    if (n > 1)
        AM_TRY(split_cells(records[1], out->delimiter, quote, label, a, &second, err));
    out->has_header = o->header == AM_CSV_HEADER_SNIFF ? has_names(&first, n > 1 ? &second : NULL)
                                                       : o->header == AM_CSV_HEADER_YES;
    if (out->has_header && n == 1 && whole == AM_CSV_HEAD_WHOLE) {
        enum am_rc rc =
            am_fail(err, AM_EINVAL, "\"%.*s\" has a line of names and no rows", AM_FMT(label));
        am_hint(err, "Add rows, or say data.csv: {header: false} if the first line is a row.");
        return rc;
    }
    out->names = first.text;
    out->n_names = first.n;
    for (size_t i = 0; !out->has_header && i < out->n_names; i++)
        out->names[i] = (struct am_str){"", 0};
    return check_names(out, label, a, err);
}

void csv_lines_feed(struct csv_lines *c, const char *p, size_t n)
{
    for (size_t i = 0; i < n && !c->found; i++) {
        bool end = p[i] == '\n';
        if (!c->inside && !end && p[i] != '\r') { /* a record begins */
            c->inside = true;
            if (!c->skip_first && c->record++ == c->wanted) {
                c->found = true;
                return;
            }
            c->skip_first = false;
        }
        if (p[i] == c->quote)
            c->quoted = !c->quoted;
        c->line += end;
        if (end && !c->quoted)
            c->inside = false;
    }
}
