/* From the engine's words to ours: the engine's CSV and JSON messages run over a dozen lines of
 * options that a user of ours cannot set; this cuts out file, line, column and cell and says what
 * to do. */
#include "driver_int.h"

#include <libintl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The text between `before` and the first `after` behind it; NULL ptr when absent. */
static struct am_str between(const char *text, const char *before, const char *after)
{
    const char *p = strstr(text, before);
    if (!p)
        return (struct am_str){NULL, 0};
    p += strlen(before);
    const char *end = strstr(p, after);
    return (struct am_str){p, end ? (size_t)(end - p) : strlen(p)};
}

#define SHORT(s) (int)((s).len > 80 ? 80 : (s).len), ((s).ptr ? (s).ptr : "")

static struct am_str label_of(const struct am_tables_source *src, struct am_str path)
{
    for (size_t i = 0; src && src->labels && i < src->n_paths; i++)
        if (src->paths[i].len == path.len && memcmp(src->paths[i].ptr, path.ptr, path.len) == 0)
            return src->labels[i];
    return path;
}

static enum am_rc fail_conversion(const struct duck *d, struct am_str file, long long line,
                                  const char *text, struct am_bad_cell *bad, struct am_err *err)
{
    struct am_str column = between(text, "Error when converting column \"", "\"");
    struct am_str cell = between(text, "Could not convert string \"", "\" to ");
    struct am_str type = between(text, "\" to '", "'");
    if (bad) {
        snprintf(bad->column, sizeof bad->column, "%.*s",
                 (int)(column.len > 255 ? 255 : column.len), column.ptr ? column.ptr : "");
        snprintf(bad->cell, sizeof bad->cell, "%.*s", (int)(cell.len > 127 ? 127 : cell.len),
                 cell.ptr ? cell.ptr : "");
    }
    const char *what = "number";
    if (type.len >= 4 && (memcmp(type.ptr, "DATE", 4) == 0 || memcmp(type.ptr, "TIME", 4) == 0))
        what = "date";
    else if (type.len >= 4 && memcmp(type.ptr, "BOOL", 4) == 0)
        what = "boolean";
    else if (type.len >= 6 && memcmp(type.ptr, "BIGINT", 6) == 0)
        what = "whole number";
    enum am_rc rc =
        DUCK_FAIL(d, err, AM_EINVAL, "%.*s line %lld: \"%.*s\" in column \"%.*s\" is not a %s",
                  SHORT(file), line, SHORT(cell), SHORT(column), what);
    d->host->hint(err,
                  "Correct the cell, or say data.types: {%.*s: category}, or count such cells as "
                  "missing with "
                  "data.clean.columns: {%.*s: {invalid: missing}}.",
                  SHORT(column), SHORT(column));
    return rc;
}

static enum am_rc fail_csv(const struct duck *d, const struct am_tables_source *src,
                           const char *text, struct am_bad_cell *bad, struct am_err *err)
{
    struct am_str file = label_of(src, between(text, "file = ", "\n"));
    struct am_str line_text = between(text, "CSV Error on Line: ", "\n");
    long long line = strtoll(line_text.ptr, NULL, 10);
    if (strstr(text, "Error when converting column"))
        return fail_conversion(d, file, line, text, bad, err);
    enum am_rc rc;
    struct am_str want = between(text, "Expected Number of Columns: ", " ");
    if (want.ptr) {
        struct am_str found = between(text, " Found: ", "\n");
        rc = DUCK_FAIL(d, err, AM_EINVAL, "%.*s line %lld has %.*s cells where the header has %.*s",
                       SHORT(file), line, SHORT(found), SHORT(want));
        d->host->hint(
            err,
            "Correct the line: every line needs as many cells as the header; put cells that hold "
            "the delimiter in quotes.");
        return rc;
    }
    if (strstr(text, "Invalid unicode")) {
        rc = DUCK_FAIL(d, err, AM_EINVAL, "%.*s line %lld is not valid UTF-8", SHORT(file), line);
        d->host->hint(err,
                      "Say how the file is encoded: data.encoding: utf-16, gb18030 or latin-1.");
        return rc;
    }
    if (strstr(text, "unterminated quote") || strstr(text, "quote should be followed")) {
        rc = DUCK_FAIL(d, err, AM_EINVAL,
                       "%.*s line %lld: a quote is opened and not closed properly", SHORT(file),
                       line);
        d->host->hint(
            err,
            "Close the quote, double a quote inside quotes, or say another quote character with "
            "data.csv.quote.");
        return rc;
    }
    if (strstr(text, "Maximum line size")) {
        rc = DUCK_FAIL(d, err, AM_ELIMIT, "%.*s line %lld is longer than 2000000 bytes",
                       SHORT(file), line);
        d->host->hint(
            err,
            "Look for a quote that is not closed near that line; a cell may have at most 1 MiB.");
        return rc;
    }
    struct am_str why = between(text, "\n", "\nPossible");
    struct am_str after = between(why.ptr ? why.ptr : text, "\n", "\n");
    rc = DUCK_FAIL(d, err, AM_EINVAL, "%.*s line %lld: %.*s", SHORT(file), line,
                   SHORT(after.len ? after : why));
    d->host->hint(err, "Correct the line, or say how the file is written with data.csv.");
    return rc;
}

static enum am_rc fail_json(const struct duck *d, const struct am_tables_source *src,
                            const char *text, struct am_err *err)
{
    struct am_str file = label_of(src, between(text, "in file \"", "\""));
    struct am_str line = between(text, "in line ", ":");
    struct am_str record = between(text, "record/value ", ":");
    struct am_str why = between(text, line.ptr ? "in line " : "in file ", "\n");
    const char *colon = why.ptr ? memchr(why.ptr, ':', why.len) : NULL;
    if (colon)
        why = (struct am_str){colon + 2, why.len - (size_t)(colon + 2 - why.ptr)};
    enum am_rc rc;
    if (line.ptr || !record.ptr)
        rc = DUCK_FAIL(d, err, AM_EINVAL, "%.*s line %.*s is not valid JSON: %.*s", SHORT(file),
                       SHORT(line), SHORT(why));
    else
        rc = DUCK_FAIL(d, err, AM_EINVAL, "%.*s value %.*s is not valid JSON: %.*s", SHORT(file),
                       SHORT(record), SHORT(why));
    d->host->hint(err, "Correct the file: one JSON object on each line, or one list of objects.");
    return rc;
}

/* What the engine itself says, with the file where there is only one. */
static enum am_rc say(const struct duck *d, const struct am_tables_source *src, enum am_rc rc,
                      struct am_str text, struct am_err *err)
{
    const int n = (int)(text.len > 400 ? 400 : text.len);
    if (!src || src->n_paths != 1)
        return DUCK_FAIL(d, err, rc, "the table engine says: %.*s", n, text.ptr);
    const struct am_str file = label_of(src, src->paths[0]);
    return DUCK_FAIL(d, err, rc, "%.*s: the table engine says: %.*s", SHORT(file), n, text.ptr);
}

static enum am_rc fail_engine(const struct duck *d, const struct am_tables_source *src,
                              const char *text, struct am_err *err)
{
    static const struct {
        const char *has;
        enum am_rc rc;
        const char *hint;
    } kinds[] = {
        {"Out of Memory Error", AM_ELIMIT,
         AM_N("Allow more memory, use fewer threads, or set a temporary folder to spill to.")},
        {"No space left on device", AM_ENOSPC,
         AM_N("Free space on the disk of the workspace or of the temporary folder.")},
        {"INTERRUPT", AM_ECANCELED, AM_N("Start the command again.")},
        {"Permission Error", AM_EPERM, AM_N("Read only files that this access allows.")},
        {"No files found", AM_ENOTFOUND,
         AM_N("Check the file name and the folder that it starts from.")},
        {"Parser Error", AM_EUSAGE, AM_N("Correct the SQL.")},
        {"Binder Error", AM_EUSAGE, AM_N("Correct the SQL: check names of columns and functions.")},
        {"Catalog Error", AM_EUSAGE,
         AM_N("Correct the SQL: put file names in single quotes, as FROM 'data.csv'.")},
        {"Conversion Error", AM_EINVAL,
         AM_N("Correct the value, or declare the column's type with data.types.")},
        {"IO Error", AM_EIO, AM_N("Check that the file is complete and readable.")},
        {"Invalid Input Error", AM_EINVAL, AM_N("Check that the file is what its name says.")},
    };
    struct am_str first = {text, strcspn(text, "\n")};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (!strstr(text, kinds[i].has))
            continue;
        const char *colon = strstr(text, ": ");
        if (colon && colon < text + first.len)
            first = (struct am_str){colon + 2, first.len - (size_t)(colon + 2 - text)};
        enum am_rc rc = say(d, src, kinds[i].rc, first, err);
        d->host->hint(err, "%s", dgettext("aimass", kinds[i].hint));
        return rc;
    }
    return say(d, src, AM_EINTERNAL, first, err);
}

enum am_rc duck_fail(const struct duck *d, const struct am_tables_source *src, const char *text,
                     struct am_err *err)
{
    return duck_fail_cell(d, src, text, NULL, err);
}

enum am_rc duck_fail_cell(const struct duck *d, const struct am_tables_source *src,
                          const char *text, struct am_bad_cell *bad, struct am_err *err)
{
    if (!text)
        return DUCK_FAIL(d, err, AM_EINTERNAL, "the table engine failed and gave no reason");
    if (strstr(text, "CSV Error on Line: "))
        return fail_csv(d, src, text, bad, err);
    if (strstr(text, "Malformed JSON"))
        return fail_json(d, src, text, err);
    if (strstr(text, "Error when sniffing file")) {
        struct am_str file = label_of(src, between(text, "sniffing file \"", "\""));
        enum am_rc rc =
            DUCK_FAIL(d, err, AM_EUNSUPPORTED, "%.*s: cannot find out how this CSV file is written",
                      SHORT(file));
        d->host->hint(err, "Say it with data.csv: {delimiter, quote, header}.");
        return rc;
    }
    return fail_engine(d, src, text, err);
}
