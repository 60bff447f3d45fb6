/* Sources: spec -> files -> text that the table engine can take. One struct owns the arena with all
 * names and the temporary files; every check of this file runs before the engine sees a byte. */
#include "data/source.h"

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/vec.h"
#include "data/csv_dialect.h"
#include "data/csv_numbers.h"
#include "data/encoding.h"
#include "data/media_load.h"

#define HEAD_BYTES ((size_t)256 << 10)

struct am_source {
    const struct am_tables *tables; /* borrowed */
    struct am_pool *pool;           /* borrowed */
    struct am_arena *arena;         /* owned: names, labels, dialect */
    struct am_tables_source source;
    struct am_tables_info *info; /* owned through the driver; in the arena when `media` is set */
    struct media_source *media;  /* in the arena; NULL = a table */
    struct media_report report;  /* owned; has an arena when media columns are read */
    struct am_str folder;        /* where the names of a table's media files start */
    AM_VEC(struct am_str) paths;
    AM_VEC(struct am_str) labels;
    AM_VEC(const char *) temps; /* files to remove */
    enum encoding_found encoding;
    struct am_csv_dialect dialect;
};

bool am_encoding_parse(struct am_str s, enum am_encoding *out)
{
    static const struct {
        const char *name;
        enum am_encoding e;
    } names[] = {{"auto", AM_ENC_AUTO},    {"utf-8", AM_ENC_UTF8},      {"utf8", AM_ENC_UTF8},
                 {"utf-16", AM_ENC_UTF16}, {"gb18030", AM_ENC_GB18030}, {"latin-1", AM_ENC_LATIN1}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (am_str_is(s, names[i].name)) {
            *out = names[i].e;
            return true;
        }
    return false;
}

const char *am_encoding_name(enum am_encoding e)
{
    static const char *const names[] = {"auto", "utf-8", "utf-16", "gb18030", "latin-1"};
    return names[e];
}

static bool starts_word(struct am_str s, const char *word)
{
    size_t n = strlen(word);
    if (s.len <= n)
        return false;
    for (size_t i = 0; i < n; i++)
        if ((s.ptr[i] | 32) != word[i])
            return false;
    char after = s.ptr[n];
    return after == ' ' || after == '\n' || after == '\t' || after == '\r' || after == '(' ||
           after == '*';
}

/* The last extension, that of compression left out: ".csv" of "a.csv.gz". */
static struct am_str extension(struct am_str name)
{
    if (am_str_ends(name, AM_STR(".gz")))
        name.len -= 3;
    for (size_t i = name.len; i > 0; i--) {
        if (name.ptr[i - 1] == '/')
            break;
        if (name.ptr[i - 1] == '.')
            return (struct am_str){name.ptr + i - 1, name.len - i + 1};
    }
    return (struct am_str){"", 0};
}

static bool format_of(struct am_str path, enum am_tables_format *out)
{
    static const struct {
        const char *extension;
        enum am_tables_format format;
    } known[] = {{".csv", AM_TABLES_CSV},          {".tsv", AM_TABLES_CSV},
                 {".tab", AM_TABLES_CSV},          {".txt", AM_TABLES_CSV},
                 {".data", AM_TABLES_CSV},         {".json", AM_TABLES_JSON_LINES},
                 {".jsonl", AM_TABLES_JSON_LINES}, {".ndjson", AM_TABLES_JSON_LINES},
                 {".parquet", AM_TABLES_PARQUET},  {".pq", AM_TABLES_PARQUET}};
    struct am_str e = extension(path);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        size_t n = strlen(known[i].extension);
        if (e.len != n)
            continue;
        size_t same = 0;
        while (same < n &&
               (e.ptr[same] == '.' ? '.' : e.ptr[same] | 32) == known[i].extension[same])
            same++;
        if (same == n) {
            *out = known[i].format;
            return true;
        }
    }
    return false;
}

enum am_source_kind am_source_kind(struct am_str spec)
{
    enum am_tables_format format;
    spec = am_str_trim(spec);
    if (starts_word(spec, "select") || starts_word(spec, "with") || starts_word(spec, "from"))
        return AM_SOURCE_SQL;
    for (size_t i = 0; i < spec.len; i++)
        if (strchr("/*?[", spec.ptr[i]))
            return AM_SOURCE_FILES;
    if (format_of(spec, &format) || media_is_archive(spec) || media_is_idx(spec) ||
        media_is_cifar(spec) || media_kind_of_name(spec) != MEDIA_NONE)
        return AM_SOURCE_FILES;
    char path[4096];
    if (spec.len == 0 || spec.len >= sizeof path)
        return AM_SOURCE_NAME;
    memcpy(path, spec.ptr, spec.len);
    path[spec.len] = '\0';
    return am_fs_exists(path) ? AM_SOURCE_FILES : AM_SOURCE_NAME;
}

void am_source_close(struct am_source *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->temps.len; i++)
        (void)am_fs()->unlink(s->temps.ptr[i]);
    if (s->info && !s->media)
        s->tables->ops->forget(s->tables->impl, s->info);
    media_report_clear(&s->report);
    am_vec_clear(&s->temps);
    am_vec_clear(&s->paths);
    am_vec_clear(&s->labels);
    am_arena_free(s->arena);
    am_free(s);
}

static enum am_rc add_file(struct am_source *s, const char *path, struct am_str label,
                           struct am_err *err)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        if (errno != ENOENT)
            return am_fail_errno(err, errno, "cannot open \"%.*s\"", AM_FMT(label));
        enum am_rc rc = am_fail(err, AM_ENOTFOUND, "file \"%.*s\" does not exist", AM_FMT(label));
        am_hint(err, "Check the name; relative names start from the recipe's folder, or from the "
                     "working folder on the command line.");
        return rc;
    }
    if (access(path, R_OK) != 0)
        return am_fail_errno(err, errno, "cannot open \"%.*s\"", AM_FMT(label));
    bool media = media_kind_of_name(label) != MEDIA_NONE; /* gets a verdict of its own */
    if (S_ISREG(st.st_mode) && st.st_size == 0 && !media) {
        enum am_rc rc = am_fail(err, AM_EINVAL, "\"%.*s\" is empty", AM_FMT(label));
        am_hint(err, "Give a file with a line of column names and at least one row.");
        return rc;
    }
    struct am_str kept = am_arena_str(s->arena, am_str(path)), name = am_arena_str(s->arena, label);
    if (!kept.ptr || !name.ptr || !am_vec_push(&s->paths, kept) || !am_vec_push(&s->labels, name))
        return am_fail_nomem(err, sizeof kept);
    return AM_OK;
}

static enum am_rc add_glob(struct am_source *s, const char *path, struct am_str spec,
                           size_t base_len, struct am_err *err)
{
    glob_t found;
    int failed = glob(path, GLOB_ERR, NULL, &found); /* sorted */
    if (failed == GLOB_NOSPACE)
        return am_fail_nomem(err, strlen(path));
    if (failed) {
        enum am_rc rc = am_fail(err, AM_ENOTFOUND, "no file matches \"%.*s\"", AM_FMT(spec));
        am_hint(err, "Check the pattern; relative names start from the recipe's folder, or from "
                     "the working folder on the command line.");
        return rc;
    }
    enum am_rc rc = AM_OK;
    for (size_t i = 0; rc == AM_OK && i < found.gl_pathc; i++)
        rc = add_file(s, found.gl_pathv[i], am_str(found.gl_pathv[i] + base_len), err);
    globfree(&found);
    return rc;
}

static enum am_rc add_spec(struct am_source *s, struct am_str spec, const char *base_dir,
                           struct am_err *err)
{
    spec = am_str_trim(spec);
    bool pattern = false;
    for (size_t i = 0; i < spec.len; i++)
        pattern |= strchr("*?[", spec.ptr[i]) != NULL;
    if (spec.len == 0)
        return am_fail(err, AM_EUSAGE, "the data source is empty");
    bool relative = base_dir && spec.ptr[0] != '/';
    struct am_str path = relative ? am_arena_printf(s->arena, "%s/%.*s", base_dir, AM_FMT(spec))
                                  : am_arena_str(s->arena, spec);
    if (!path.ptr)
        return am_fail_nomem(err, spec.len);
    if (pattern && access(path.ptr, F_OK) != 0)
        return add_glob(s, path.ptr, spec, relative ? strlen(base_dir) + 1 : 0, err);
    return add_file(s, path.ptr, spec, err);
}

/* One format for all files: by name, else by the first bytes. */
static enum am_rc find_format(struct am_source *s, struct am_err *err)
{
    for (size_t i = 0; i < s->paths.len; i++) {
        enum am_tables_format f = AM_TABLES_CSV;
        if (!format_of(s->paths.ptr[i], &f)) {
            struct am_buf head;
            bool whole, gzip;
            am_buf_init(&head, 4096);
            enum am_rc rc = encoding_read_head(s->paths.ptr[i].ptr, s->labels.ptr[i], 512, &head,
                                               &whole, &gzip, err);
            struct am_str text = am_str_trim(am_buf_view(&head));
            if (am_str_starts(text, AM_STR("PAR1")))
                f = AM_TABLES_PARQUET;
            else if (text.len && (text.ptr[0] == '{' || text.ptr[0] == '['))
                f = AM_TABLES_JSON_LINES;
            am_buf_clear(&head);
            AM_TRY(rc);
        }
        if (i > 0 && f != s->source.format) {
            enum am_rc rc =
                am_fail(err, AM_EINVAL, "\"%.*s\" and \"%.*s\" are files of different kinds",
                        AM_FMT(s->labels.ptr[0]), AM_FMT(s->labels.ptr[i]));
            am_hint(err, "Give files of one kind; a SELECT can join different ones.");
            return rc;
        }
        s->source.format = f;
    }
    return AM_OK;
}

/* Rewrites file i as plain UTF-8. */
static enum am_rc rewrite(struct am_source *s, size_t i, enum encoding_found e,
                          const char *temp_dir, struct am_err *err)
{
    char path[4096];
    int fd = -1;
    if (!temp_dir)
        return am_fail(err, AM_EINVAL,
                       "\"%.*s\" is %s and there is no temporary folder to convert it in",
                       AM_FMT(s->labels.ptr[i]), encoding_found_name(e));
    AM_TRY(am_fs_temp(temp_dir, "source", path, sizeof path, &fd, err));
    struct am_str kept = am_arena_str(s->arena, am_str(path));
    enum am_rc rc = AM_OK;
    if (!kept.ptr || !am_vec_push(&s->temps, kept.ptr)) {
        (void)am_fs()->unlink(path);
        rc = am_fail_nomem(err, sizeof kept);
    }
    if (rc == AM_OK)
        rc = encoding_convert_file(s->paths.ptr[i].ptr, s->labels.ptr[i], e, fd, err);
    if (am_fs()->close(fd) != 0 && rc == AM_OK)
        rc = am_fail_errno(err, errno, "cannot write \"%s\"", path);
    s->paths.ptr[i] = kept;
    return rc;
}

static enum am_rc check_same_names(const struct am_source *s, size_t i,
                                   const struct am_csv_dialect *d, struct am_err *err)
{
    size_t n = d->n_names < s->dialect.n_names ? d->n_names : s->dialect.n_names;
    size_t at = 0;
    while (at < n && am_str_eq(d->names[at], s->dialect.names[at]))
        at++;
    if (at == n && d->n_names == s->dialect.n_names && d->has_header == s->dialect.has_header)
        return AM_OK;
    enum am_rc rc =
        am_fail(err, AM_EINVAL, "\"%.*s\" and \"%.*s\" differ in column %zu: \"%.*s\" and \"%.*s\"",
                AM_FMT(s->labels.ptr[0]), AM_FMT(s->labels.ptr[i]), at + 1,
                AM_FMT(at < s->dialect.n_names ? s->dialect.names[at] : AM_STR("")),
                AM_FMT(at < d->n_names ? d->names[at] : AM_STR("")));
    am_hint(err, "Files read together need the same columns in the same order.");
    return rc;
}

/* Encoding and dialect of CSV file i; the first file's dialect holds for all. */
static enum am_rc examine(struct am_source *s, size_t i, const struct am_source_options *o,
                          struct am_err *err)
{
    struct am_buf raw, text;
    am_buf_init(&raw, AM_LIMIT_CSV_LINE_BYTES * 2);
    am_buf_init(&text, AM_LIMIT_CSV_LINE_BYTES * 8);
    enum am_rc rc = AM_OK;
    struct am_csv_dialect d;
    struct am_csv_options csv = i == 0 ? o->csv : s->source.csv;
    if (i == 0 && !csv.delimiter && am_str_is(extension(s->paths.ptr[0]), ".tsv"))
        csv.delimiter = '\t';
    for (size_t max = HEAD_BYTES;; max *= 8) {
        bool whole, gzip;
        enum encoding_found e;
        am_buf_reset(&raw);
        am_buf_reset(&text);
        AM_GO(rc, encoding_read_head(s->paths.ptr[i].ptr, s->labels.ptr[i], max, &raw, &whole,
                                     &gzip, err));
        AM_GO(rc, encoding_detect(am_buf_view(&raw), o->encoding, &e, err));
        rc = encoding_convert_head(am_buf_view(&raw), e, &text, err);
        if (rc != AM_OK) {
            am_context(err, "\"%.*s\"", AM_FMT(s->labels.ptr[i]));
            goto out;
        }
        if (text.len == 0 && whole) { /* an empty archive, or nothing but a mark */
            rc = am_fail(err, AM_EINVAL, "\"%.*s\" is empty", AM_FMT(s->labels.ptr[i]));
            am_hint(err, "Give a file with a line of column names and at least one row.");
            goto out;
        }
        rc = am_csv_sniff(am_buf_view(&text), whole ? AM_CSV_HEAD_WHOLE : AM_CSV_HEAD_CUT, &csv,
                          s->labels.ptr[i], s->arena, &d, err);
        if (rc == AM_EBUSY && max < AM_LIMIT_CSV_LINE_BYTES) {
            am_err_clear(err);
            continue;
        }
        if (rc == AM_EBUSY) {
            rc = am_fail(err, AM_ELIMIT, "the first line of \"%.*s\" is longer than %zu bytes",
                         AM_FMT(s->labels.ptr[i]), AM_LIMIT_CSV_LINE_BYTES);
            am_hint(err, "Check that it is a CSV file and that its first quote is closed.");
        }
        if (rc != AM_OK)
            goto out;
        s->encoding = e;
        if (e != ENCODING_UTF8 || (gzip && !am_str_ends(s->paths.ptr[i], AM_STR(".gz"))))
            AM_GO(rc, rewrite(s, i, e, o->temp_dir, err));
        break;
    }
    if (i > 0) {
        AM_GO(rc, check_same_names(s, i, &d, err));
    } else {
        s->dialect = d;
        s->source.csv.delimiter = d.delimiter;
        s->source.csv.quote = d.quote;
        s->source.csv.header = d.has_header ? AM_CSV_HEADER_YES : AM_CSV_HEADER_NO;
        s->source.csv.names = d.names;
        s->source.csv.n_names = d.n_names;
    }
out:
    am_buf_clear(&raw);
    am_buf_clear(&text);
    return rc;
}

static enum am_rc copy_nulls(struct am_source *s, const struct am_csv_options *o,
                             struct am_err *err)
{
    const struct am_str *from = o->nulls ? o->nulls : am_csv_nulls;
    size_t n = o->nulls ? o->n_nulls : am_csv_n_nulls;
    struct am_str *to = am_arena_array(s->arena, n + 1, sizeof *to);
    if (!to)
        return am_fail_nomem(err, (n + 1) * sizeof *to);
    for (size_t i = 0; i < n; i++)
        to[i] = am_arena_str(s->arena, from[i]);
    to[n] = (struct am_str){"", 0}; /* an empty cell is missing, whatever else is */
    s->source.csv.nulls = to;
    s->source.csv.n_nulls = n + 1;
    return am_arena_check(s->arena, err);
}

/* The columns of a source that is no table. */
static enum am_rc media_info(struct am_source *s, struct am_err *err)
{
    struct am_tables_info *info = am_arena_zalloc(s->arena, sizeof *info);
    struct am_tables_column_info *columns = am_arena_array(s->arena, MEDIA_CELLS, sizeof *columns);
    if (!info || !columns)
        return am_fail_nomem(err, sizeof *info);
    for (enum media_cell c = CELL_MEDIA; c < MEDIA_CELLS; c++) {
        if (!s->media->has[c])
            continue;
        columns[info->n_columns++] = (struct am_tables_column_info){
            .name = am_str(media_column_name(s->media, c)),
            .stored = c == CELL_MEDIA ? AM_STORED_BLOB : AM_STORED_TEXT,
            .engine_type = am_str(c == CELL_MEDIA ? "BLOB" : "VARCHAR")};
    }
    info->columns = columns;
    s->info = info;
    s->source.format = AM_TABLES_PARQUET; /* nothing of it is sniffed */
    return AM_OK;
}

static enum am_rc open_files(struct am_source *s, const struct am_source_options *o,
                             struct am_err *err)
{
    for (size_t i = 0; i < o->n_specs; i++)
        AM_TRY(add_spec(s, o->specs[i], o->base_dir, err));
    AM_TRY(media_source_open(s->paths.ptr, s->labels.ptr, s->paths.len, s->arena, &s->media, err));
    if (o->pattern.ptr)
        AM_TRY(media_pattern_apply(s->media, o->pattern, s->arena, err));
    if (s->media)
        return media_info(s, err);
    struct am_str first = s->paths.ptr[0]; /* it may be rewritten elsewhere */
    while (first.len > 0 && first.ptr[first.len - 1] != '/')
        first.len--;
    s->folder = first.len ? first : AM_STR(".");
    AM_TRY(find_format(s, err));
    if (s->source.format == AM_TABLES_CSV) {
        AM_TRY(copy_nulls(s, &o->csv, err));
        for (size_t i = 0; i < s->paths.len; i++)
            AM_TRY(examine(s, i, o, err));
    }
    s->source.paths = s->paths.ptr;
    s->source.labels = s->labels.ptr;
    s->source.n_paths = s->paths.len;
    return AM_OK;
}

static enum am_rc open_sql(struct am_source *s, const struct am_source_options *o,
                           struct am_err *err)
{
    struct am_str sql = am_str_trim(o->specs[0]);
    while (sql.len && (sql.ptr[sql.len - 1] == ';' || sql.ptr[sql.len - 1] == ' ' ||
                       sql.ptr[sql.len - 1] == '\n'))
        sql.len--;
    s->source.format = AM_TABLES_SQL;
    s->source.sql = am_arena_str(s->arena, sql);
    if (o->base_dir)
        s->source.base_dir = am_arena_str(s->arena, am_str(o->base_dir));
    s->folder = o->base_dir ? s->source.base_dir : AM_STR(".");
    return am_arena_check(s->arena, err);
}

static enum am_rc check_info(const struct am_source *s, struct am_err *err)
{
    if (s->info->n_columns > AM_LIMIT_CSV_COLUMNS) {
        enum am_rc rc = am_fail(err, AM_ELIMIT, "the data has %zu columns, at most %d are allowed",
                                s->info->n_columns, AM_LIMIT_CSV_COLUMNS);
        am_hint(err, "Keep fewer columns, for example with a SELECT over the file as data.source.");
        return rc;
    }
    for (size_t i = 0; i < s->info->n_columns; i++) {
        const struct am_tables_column_info *c = &s->info->columns[i];
        if (c->stored != AM_STORED_OTHER)
            continue;
        enum am_rc rc =
            am_fail(err, AM_EUNSUPPORTED, "column \"%.*s\" holds %.*s%s, not single values",
                    AM_FMT(c->name), (int)(c->engine_type.len < 40 ? c->engine_type.len : 40),
                    c->engine_type.ptr, c->engine_type.len > 40 ? "..." : "");
        am_hint(err,
                "Take out what you need with a SELECT as data.source, or leave the column out.");
        return rc;
    }
    return AM_OK;
}

enum am_rc am_source_open(const struct am_tables *tables, const struct am_source_options *o,
                          struct am_source **out, struct am_err *err)
{
    enum am_rc rc = AM_OK;
    *out = NULL;
    struct am_source *s = am_calloc(1, sizeof *s);
    if (!s)
        return am_fail_nomem(err, sizeof *s);
    s->tables = tables;
    s->pool = o->pool;
    s->arena = am_arena_new(0);
    if (!s->arena) {
        rc = am_fail_nomem(err, sizeof *s);
        goto out;
    }
    if (o->n_specs == 0) {
        rc = am_fail(err, AM_EUSAGE, "there is no data source");
        am_hint(err, "Name a file, a glob, a dataset or a SELECT as data.source.");
        goto out;
    }
    if (o->n_specs == 1 && am_source_kind(o->specs[0]) == AM_SOURCE_SQL)
        AM_GO(rc, open_sql(s, o, err));
    else
        AM_GO(rc, open_files(s, o, err));
    if (!s->media)
        AM_GO(rc, tables->ops->describe(tables->impl, &s->source, &s->info, err));
    AM_GO(rc, check_info(s, err));
    *out = s;
    s = NULL;
out:
    am_source_close(s);
    return rc;
}

const struct am_tables_source *am_source_tables(const struct am_source *s)
{
    return &s->source;
}
const struct am_tables_info *am_source_info(const struct am_source *s)
{
    return s->info;
}

struct am_node *am_source_to_node(const struct am_source *s, struct am_arena *a)
{
    static const char *const formats[] = {"csv", "json", "parquet", "sql"};
    struct am_node *m = am_new_map(a), *files = am_new_list(a);
    am_node_set(a, m, "format",
                am_new_cstr(a, s->media ? s->media->form->name : formats[s->source.format]));
    if (s->source.format == AM_TABLES_SQL) {
        am_node_set(a, m, "sql", am_new_str(a, s->source.sql));
        return m;
    }
    for (size_t i = 0; i < s->labels.len; i++)
        am_node_push(a, files, am_new_str(a, s->labels.ptr[i]));
    am_node_set(a, m, "files", files);
    if (s->source.format == AM_TABLES_CSV) {
        am_node_set(a, m, "encoding", am_new_cstr(a, encoding_found_name(s->encoding)));
        am_node_set(a, m, "delimiter", am_new_str(a, (struct am_str){&s->dialect.delimiter, 1}));
        am_node_set(a, m, "quote", am_new_str(a, (struct am_str){&s->dialect.quote, 1}));
        am_node_set(a, m, "header", am_new_bool(a, s->dialect.has_header));
    }
    return m;
}

struct am_str am_source_place(const struct am_source *s, uint64_t row, struct am_arena *a)
{
    bool names = s->dialect.has_header;
    struct csv_lines at = {.quote = s->dialect.quote, .wanted = row};
    char block[8192];
    if (s->source.format != AM_TABLES_CSV)
        return am_arena_printf(a, am_tr("row %llu"), (unsigned long long)row + 1);
    for (size_t i = 0; i < s->paths.len; i++) {
        gzFile f = gzopen(s->paths.ptr[i].ptr, "rb");
        at.line = 1;
        at.skip_first = names;
        at.inside = at.quoted = false;
        for (int got; f && !at.found && (got = gzread(f, block, sizeof block)) > 0;)
            csv_lines_feed(&at, block, (size_t)got);
        if (f)
            gzclose(f);
        if (at.found)
            return am_arena_printf(a, am_tr("%.*s line %llu"), AM_FMT(s->labels.ptr[i]),
                                   (unsigned long long)at.line);
    }
    return am_arena_printf(a, am_tr("row %llu"), (unsigned long long)row + 1);
}

static const struct am_tables_column_info *find_column(const struct am_tables_info *info,
                                                       struct am_str name, size_t hint)
{
    for (size_t k = 0; k < info->n_columns; k++) {
        const struct am_tables_column_info *c = &info->columns[(hint + k) % info->n_columns];
        if (am_str_eq(c->name, name))
            return c;
    }
    return NULL;
}

/* ---- media ---- */

enum am_media_role am_source_role(const struct am_source *s, size_t column)
{
    for (enum media_cell c = CELL_MEDIA; s->media && c < MEDIA_CELLS; c++) {
        if (!s->media->has[c] || column-- > 0)
            continue;
        return c == CELL_MEDIA   ? AM_MEDIA_ROLE_MEDIA
               : c == CELL_LABEL ? AM_MEDIA_ROLE_CLASS
                                 : AM_MEDIA_ROLE_ASIDE;
    }
    return AM_MEDIA_ROLE_NONE;
}

struct am_node *am_source_media_to_node(const struct am_source *s, struct am_arena *a)
{
    return s->report.arena ? media_report_to_node(&s->report, a) : NULL;
}

static enum am_rc fail_media_type(struct am_str name, enum am_col_type is, struct am_err *err)
{
    enum am_rc rc = am_fail(err, AM_EUSAGE, "column \"%.*s\" of the source is of type %s",
                            AM_FMT(name), am_col_type_name(is));
    am_hint(err, "Take away the type declared for it.");
    return rc;
}

/* The columns wanted of a source that is no table. */
static enum am_rc media_columns(struct am_source *s, const struct am_tables_read *read,
                                struct media_load *l, struct media_load_column *columns,
                                struct am_err *err)
{
    AM_TRY(media_rows_table(s->media, &s->report, &l->inner, err));
    const struct am_schema *has = l->inner.ops->schema(l->inner.impl);
    l->inner_whole = true;
    l->file = am_schema_find(has, AM_STR("file"));
    l->label = am_schema_find(has, AM_STR("label"));
    l->root = s->media->root;
    for (size_t i = 0; i < read->n_columns; i++) {
        size_t at = am_schema_find(has, read->columns[i].name);
        if (at == SIZE_MAX)
            return am_fail(err, AM_EINTERNAL, "the source has no column \"%.*s\"",
                           AM_FMT(read->columns[i].name));
        enum am_col_type is = has->columns[at].type, want = read->columns[i].type;
        bool media = am_col_is_media(is);
        if (media ? want != is : want != AM_COL_TEXT && want != AM_COL_CATEGORY)
            return fail_media_type(read->columns[i].name, media ? is : AM_COL_CATEGORY, err);
        columns[i] = (struct media_load_column){read->columns[i].name, want,
                                                !media            ? MEDIA_AS_IS
                                                : s->media->paths ? MEDIA_FROM_PATH
                                                                  : MEDIA_FROM_BYTES,
                                                at};
    }
    return AM_OK;
}

/* The columns of a table, some of which name files. */
static enum am_rc table_columns(struct am_source *s, const struct am_tables_read *read,
                                struct media_load *l, struct media_load_column *columns,
                                struct am_err *err)
{
    struct am_tables_read texts = *read;
    struct am_tables_column *engine = am_calloc(read->n_columns + 1, sizeof *engine);
    if (!engine)
        return am_fail_nomem(err, read->n_columns * sizeof *engine);
    for (size_t i = 0; i < read->n_columns; i++) {
        const struct am_tables_column *c = &read->columns[i];
        bool media = am_col_is_media(c->type), bytes = media && c->stored == AM_STORED_BLOB;
        engine[i] = *c;
        if (media && !bytes)
            engine[i].type = AM_COL_TEXT;
        columns[i] = (struct media_load_column){c->name, c->type,
                                                !media  ? MEDIA_AS_IS
                                                : bytes ? MEDIA_FROM_BYTES
                                                        : MEDIA_FROM_PATH,
                                                i};
    }
    texts.columns = engine;
    l->root = s->folder;
    enum am_rc rc = s->tables->ops->read(s->tables->impl, &texts, &l->inner, err);
    am_free(engine);
    return rc;
}

static enum am_rc scan_table(struct am_source *s, const struct am_tables_read *read,
                             struct am_table *out, struct am_err *err)
{
    struct am_table engine;
    AM_TRY(s->tables->ops->read(s->tables->impl, read, &engine, err));
    *out = engine;
    if (!csv_numbers_fit(read))
        return AM_OK;
    const enum am_rc rc = csv_numbers_table(read, &engine, out, err);
    if (rc != AM_OK)
        engine.ops->free(engine.impl);
    return rc;
}

enum am_rc am_source_scan(struct am_source *s, const struct am_tables_read *read,
                          enum am_source_bad bad, struct am_table *out, struct am_err *err)
{
    bool any = s->media != NULL;
    *out = (struct am_table){0};
    for (size_t i = 0; i < read->n_columns; i++)
        any |= am_col_is_media(read->columns[i].type);
    if (!any)
        return scan_table(s, read, out, err);
    if (!s->report.arena)
        AM_TRY(media_report_init(&s->report, err));
    struct media_load_column *columns = am_calloc(read->n_columns + 1, sizeof *columns);
    if (!columns)
        return am_fail_nomem(err, read->n_columns * sizeof *columns);
    struct media_load l = {.columns = columns,
                           .n = read->n_columns,
                           .file = SIZE_MAX,
                           .label = SIZE_MAX,
                           .pool = s->pool,
                           .report = &s->report,
                           .strict = bad == AM_SOURCE_BAD_REFUSED};
    enum am_rc rc = s->media ? media_columns(s, read, &l, columns, err)
                             : table_columns(s, read, &l, columns, err);
    if (rc == AM_OK)
        rc = media_load_table(&l, out, err);
    else if (l.inner.ops)
        l.inner.ops->free(l.inner.impl);
    am_free(columns);
    return rc;
}

/* How a source's column is read for a wanted type. */
static enum am_stored_type read_as(const struct am_source *s, const struct am_tables_column_info *c,
                                   enum am_col_type wanted)
{
    if (s->source.format != AM_TABLES_CSV)
        return c->stored;
    switch (wanted) {
    case AM_COL_NUMBER:
        return c->stored == AM_STORED_BOOL ? AM_STORED_BOOL : AM_STORED_DOUBLE;
    case AM_COL_BOOLEAN:
    case AM_COL_TEXT:
        return AM_STORED_TEXT;
    case AM_COL_IMAGE:
    case AM_COL_AUDIO:
    case AM_COL_VIDEO:
        return AM_STORED_TEXT;
    case AM_COL_CATEGORY: /* numbers as categories are spelled canonically, as at import */
        return c->stored == AM_STORED_INT || c->stored == AM_STORED_DOUBLE ? c->stored
                                                                           : AM_STORED_TEXT;
    case AM_COL_DATE:
        return AM_STORED_DATE;
    }
    return c->stored;
}

static enum am_rc fail_absent(const struct am_tables_info *info, struct am_str name,
                              struct am_err *err)
{
    const char **names = am_alloc_array(info->n_columns + 1, sizeof *names);
    for (size_t i = 0; names && i < info->n_columns; i++)
        names[i] = info->columns[i].name.ptr;
    const char *near = names ? am_str_nearest(name, names, info->n_columns) : NULL;
    enum am_rc rc = am_fail(err, AM_EINVAL, "the data has no column \"%.*s\"", AM_FMT(name));
    if (near)
        am_hint(err, "Did you mean \"%s\"? Name the columns as the model was trained.", near);
    else
        am_hint(err, "Give every column that the model was trained with, under the same name.");
    am_free(names);
    return rc;
}

enum am_rc am_source_read(const struct am_tables *tables, struct am_source *s,
                          const struct am_schema *wanted, const struct am_str *pass, size_t n_pass,
                          struct am_table *out, struct am_err *err)
{
    *out = (struct am_table){0};
    struct am_tables_column *columns = am_calloc(wanted->n + n_pass + 1, sizeof *columns);
    if (!columns)
        return am_fail_nomem(err, (wanted->n + n_pass + 1) * sizeof *columns);
    enum am_rc rc = AM_OK;
    size_t n = 0;
    for (size_t i = 0; i < wanted->n; i++) {
        const struct am_tables_column_info *c = find_column(s->info, wanted->columns[i].name, i);
        if (!c) {
            rc = fail_absent(s->info, wanted->columns[i].name, err);
            goto out;
        }
        columns[n++] = (struct am_tables_column){.name = c->name,
                                                 .stored = read_as(s, c, wanted->columns[i].type),
                                                 .type = wanted->columns[i].type};
    }
    for (size_t i = 0; i < n_pass; i++) {
        const struct am_tables_column_info *c = find_column(s->info, pass[i], wanted->n + i);
        if (c)
            columns[n++] = (struct am_tables_column){
                .name = c->name,
                .stored = s->source.format == AM_TABLES_CSV ? AM_STORED_TEXT : c->stored,
                .type = AM_COL_TEXT};
    }
    struct am_tables_read read = {.source = &s->source,
                                  .info = s->info,
                                  .columns = columns,
                                  .n_columns = n,
                                  .n_rows = UINT64_MAX};
    (void)tables;
    rc = am_source_scan(s, &read, AM_SOURCE_BAD_REFUSED, out, err);
out:
    am_free(columns);
    return rc;
}
