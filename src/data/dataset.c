/* Import: one pass over the source, as the engine reads it, feeds hash, profile and the Parquet
 * file; then types are inferred and everything is synced.
 *
 * Types sniffed from the first rows may be too narrow for later ones: the engine's error then names
 * column and cell, and the pass is repeated with a wider type where that is no loss (a text among
 * booleans), or refused with file and line where it would be (text in a column of numbers). */
#include "data/dataset.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/num.h"
#include "data/cache.h"
#include "data/parquet.h"
#include "data/rowhash.h"
#include "data/stored.h"

#define WIDEN_MAX 16
#define EXACT_INTEGERS 9007199254740992.0 /* 2^53 */

struct plan_column {
    enum am_stored_type stored; /* what the engine takes the source's cells for */
    enum am_col_type read;      /* for hash and profile */
    bool raw; /* the text itself is kept in the dataset: cells may be no values of `read` */
    bool declared, lenient;
    bool kept_text;        /* numbers kept as text on purpose */
    bool aside;            /* says where the row came from */
    enum am_col_type type; /* when declared */
    const char *why;       /* NULL = declared in the recipe */
};

struct import {
    const struct am_tables *tables;
    const struct am_import_options *o;
    struct am_arena *a;
    struct am_source *source;
    const struct am_tables_info *info;
    struct plan_column *plan;         /* owned [n] */
    struct am_tables_column *columns; /* owned [2 n]: as read, then the raw ones */
    size_t n, n_raw, n_text;
    struct am_column_desc *desc;    /* owned [n] as read */
    struct am_column_desc *written; /* owned [n] as stored in Parquet */
    struct am_column *out;          /* owned [n] */
    struct am_schema schema, written_schema;
    struct am_profile *profile; /* owned */
    struct am_cache *cache;     /* owned; NULL = not wanted, or more than fits */
    uint64_t n_rows, n_bytes;
    bool few_nulls;  /* only an empty cell is taken for missing, until a cell says otherwise */
    char part[4096]; /* empty: nothing is written, only inspected */
    char part_hash[AM_SHA256_HEX];
};

static bool named(const struct am_str *names, size_t n, struct am_str name)
{
    for (size_t i = 0; i < n; i++)
        if (am_str_eq(names[i], name))
            return true;
    return false;
}

static enum am_rc fail_unknown(const struct import *im, struct am_str name, const char *key,
                               struct am_err *err)
{
    const char **names = am_alloc_array(im->n + 1, sizeof *names);
    for (size_t i = 0; names && i < im->n; i++)
        names[i] = im->info->columns[i].name.ptr;
    const char *near = names ? am_str_nearest(name, names, im->n) : NULL;
    enum am_rc rc = am_fail(err, AM_EUSAGE, "%s names \"%.*s\", which is not a column of the data",
                            key, AM_FMT(name));
    if (near)
        am_hint(err, "Did you mean \"%s\"?", near);
    am_free(names);
    return rc;
}

static bool has_column(const struct import *im, struct am_str name)
{
    for (size_t i = 0; i < im->n; i++)
        if (am_str_eq(im->info->columns[i].name, name))
            return true;
    return false;
}

static enum am_col_type type_of_stored(enum am_stored_type t)
{
    switch (t) {
    case AM_STORED_DOUBLE:
    case AM_STORED_INT:
        return AM_COL_NUMBER;
    case AM_STORED_BOOL:
        return AM_COL_BOOLEAN;
    case AM_STORED_DATE:
        return AM_COL_DATE;
    default:
        return AM_COL_TEXT;
    }
}

/* What a column written with this type is stored as. */
static enum am_stored_type stored_of(enum am_col_type t)
{
    switch (t) {
    case AM_COL_NUMBER:
        return AM_STORED_DOUBLE;
    case AM_COL_BOOLEAN:
        return AM_STORED_BOOL;
    case AM_COL_DATE:
        return AM_STORED_DATE;
    case AM_COL_IMAGE:
    case AM_COL_AUDIO:
    case AM_COL_VIDEO:
        return AM_STORED_BLOB;
    default:
        return AM_STORED_TEXT;
    }
}

static bool is_text_type(enum am_col_type t)
{
    return t == AM_COL_TEXT || t == AM_COL_CATEGORY;
}

/* How a column is read whose type is declared. */
static void plan_declared(struct plan_column *p, enum am_col_type type, bool csv)
{
    p->declared = true;
    p->type = type;
    p->why = NULL;
    switch (type) {
    case AM_COL_NUMBER:
        if (p->lenient && csv)
            p->stored = AM_STORED_TEXT;
        else if (!p->lenient && (p->stored == AM_STORED_TEXT || p->stored == AM_STORED_DATE))
            p->stored = AM_STORED_DOUBLE;
        break;
    case AM_COL_DATE:
        p->stored = AM_STORED_DATE;
        break;
    default:
        p->stored = csv ? AM_STORED_TEXT : p->stored;
        break;
    }
    p->read = is_text_type(type) ? AM_COL_TEXT : type;
    p->raw = p->stored == AM_STORED_TEXT && !is_text_type(type) && !am_col_is_media(type);
}

/* What the source itself knows: classes are categories, names and parts are no features. */
static void plan_media(const struct import *im, size_t i, struct plan_column *p)
{
    enum am_media_role role = am_source_role(im->source, i);
    if (role == AM_MEDIA_ROLE_NONE)
        return;
    struct am_str name = im->info->columns[i].name;
    p->declared = true;
    p->aside = role == AM_MEDIA_ROLE_ASIDE;
    p->why = AM_N("where the file comes from");
    p->type = am_str_is(name, "file") ? AM_COL_TEXT : AM_COL_CATEGORY;
    if (role == AM_MEDIA_ROLE_CLASS)
        p->why = AM_N("the class of the file");
    if (role == AM_MEDIA_ROLE_MEDIA) {
        p->type = am_str_is(name, "audio")   ? AM_COL_AUDIO
                  : am_str_is(name, "video") ? AM_COL_VIDEO
                                             : AM_COL_IMAGE;
        p->why = AM_N("what the files hold");
    }
    p->read = is_text_type(p->type) ? AM_COL_TEXT : p->type;
}

static enum am_rc check_media(const struct import *im, size_t i, struct am_err *err)
{
    const struct plan_column *p = &im->plan[i];
    struct am_str name = im->info->columns[i].name;
    enum am_rc rc;
    if (p->stored == AM_STORED_BLOB && !(p->declared && am_col_is_media(p->type))) {
        rc = am_fail(err, AM_EUNSUPPORTED, "column \"%.*s\" holds bytes of an unknown kind",
                     AM_FMT(name));
        am_hint(err, "Say data.types: {%.*s: image}, audio or video, or leave the column out.",
                AM_FMT(name));
        return rc;
    }
    if (!p->declared || !am_col_is_media(p->type) || p->stored == AM_STORED_BLOB ||
        p->stored == AM_STORED_TEXT)
        return AM_OK;
    rc = am_fail(err, AM_EINVAL, "column \"%.*s\" is of type %s, but holds no file names",
                 AM_FMT(name), am_col_type_name(p->type));
    am_hint(err, "Give the files' names, relative to the table's file.");
    return rc;
}

static enum am_rc make_plan(struct import *im, struct am_err *err)
{
    const struct am_import_options *o = im->o;
    bool csv = am_source_tables(im->source)->format == AM_TABLES_CSV;
    im->n = im->info->n_columns;
    im->plan = am_calloc(im->n + 1, sizeof *im->plan);
    im->columns = am_calloc(2 * im->n + 1, sizeof *im->columns);
    im->desc = am_calloc(im->n + 1, sizeof *im->desc);
    im->written = am_calloc(im->n + 1, sizeof *im->written);
    im->out = am_calloc(im->n + 1, sizeof *im->out);
    if (!im->plan || !im->columns || !im->desc || !im->written || !im->out)
        return am_fail_nomem(err, (im->n + 1) * sizeof *im->columns);
    for (size_t i = 0; i < o->n_types; i++)
        if (!has_column(im, o->types[i].name))
            return fail_unknown(im, o->types[i].name, "data.types", err);
    for (size_t i = 0; i < o->n_lenient; i++)
        if (!has_column(im, o->lenient[i]))
            return fail_unknown(im, o->lenient[i], "data.clean.columns", err);
    for (size_t i = 0; i < im->n; i++) {
        struct plan_column *p = &im->plan[i];
        struct am_str name = im->info->columns[i].name;
        p->stored = im->info->columns[i].stored;
        if (csv && p->stored == AM_STORED_INT)
            p->stored =
                AM_STORED_DOUBLE; /* the engine would round 2.5 in a later row to a whole number */
        p->read = type_of_stored(p->stored);
        p->lenient = named(o->lenient, o->n_lenient, name);
        plan_media(im, i, p);
        for (size_t k = 0; k < o->n_types; k++)
            if (am_str_eq(o->types[k].name, name))
                plan_declared(p, o->types[k].type, csv);
        AM_TRY(check_media(im, i, err));
        if (p->lenient && !p->declared && p->stored != AM_STORED_BOOL &&
            p->stored != AM_STORED_DATE)
            plan_declared(p, AM_COL_NUMBER, csv);
    }
    return AM_OK;
}

static void fill_columns(struct import *im)
{
    im->n_raw = im->n_text = 0;
    for (size_t i = 0; i < im->n; i++) {
        const struct plan_column *p = &im->plan[i];
        im->n_text += p->stored == AM_STORED_TEXT;
        struct am_str name = im->info->columns[i].name;
        im->columns[i] =
            (struct am_tables_column){.name = name, .stored = p->stored, .type = p->read};
        im->desc[i] = (struct am_column_desc){name, p->read};
        im->written[i] = (struct am_column_desc){name, p->raw ? AM_COL_TEXT : p->read};
        if (p->raw)
            im->columns[im->n + im->n_raw++] =
                (struct am_tables_column){.name = name, .stored = p->stored, .type = AM_COL_TEXT};
    }
    im->few_nulls &= im->n_text == 0;
    im->schema = (struct am_schema){im->desc, im->n};
    im->written_schema = (struct am_schema){im->written, im->n};
}

/* Whether the import should be repeated with a wider type for the cell that did not fit. */
static bool widen(struct import *im, const struct am_bad_cell *bad)
{
    const struct am_csv_options *csv = &am_source_tables(im->source)->csv;
    if (im->few_nulls && named(csv->nulls, csv->n_nulls, am_str(bad->cell))) {
        im->few_nulls = false;
        return true;
    }
    for (size_t i = 0; bad->column[0] && i < im->n; i++) {
        struct plan_column *p = &im->plan[i];
        if (!am_str_is(im->info->columns[i].name, bad->column) || p->declared)
            continue;
        if (p->stored == AM_STORED_BOOL || p->stored == AM_STORED_DATE)
            p->stored = AM_STORED_TEXT;
        else
            return false;
        p->read = type_of_stored(p->stored);
        return true;
    }
    return false;
}

/* What of a batch goes into the file: a raw column's text in place of its value. */
static const struct am_column *columns_out(struct import *im, const struct am_batch *b)
{
    if (im->n_raw == 0)
        return b->columns;
    size_t raw = im->n;
    for (size_t i = 0; i < im->n; i++)
        im->out[i] = b->columns[im->plan[i].raw ? raw++ : i];
    return im->out;
}

struct scan {
    struct am_table table;
    struct am_table_iter *it;
    struct value_hash *hash;
    struct am_parquet *file;
};

/* What is made of a batch: each is a thread's work, and none knows of the others. */
enum made { MADE_PROFILE, MADE_HASH, MADE_FILE, MADE_CACHE, N_MADE };

struct making {
    struct import *im;
    struct scan *s;
    const struct am_batch *b;
    struct am_batch values; /* without the raw columns */
    enum am_rc rc[N_MADE];
    struct am_err err[N_MADE];
};

static void make_one(void *ctx, size_t begin, size_t end)
{
    struct making *m = ctx;
    struct import *im = m->im;
    for (size_t i = begin; i < end; i++) {
        struct am_err *err = &m->err[i];
        m->rc[i] = AM_OK;
        if (i == MADE_PROFILE)
            m->rc[i] = am_profile_update(im->profile, &m->values, err);
        else if (i == MADE_HASH)
            m->rc[i] = value_hash_update(m->s->hash, &m->values, err);
        else if (i == MADE_FILE && m->s->file)
            m->rc[i] = am_parquet_write(m->s->file, columns_out(im, m->b), m->b->n_rows, err);
        else if (i == MADE_CACHE && im->cache && am_cache_add(im->cache, &m->values) != AM_OK) {
            am_cache_free(im->cache);
            im->cache = NULL;
        }
    }
}

static enum am_rc make_all(struct making *m, struct am_err *err)
{
    am_pool_for(m->im->o->source.pool, N_MADE, 1, make_one, m);
    for (size_t i = 0; i < N_MADE; i++)
        if (m->rc[i] != AM_OK) {
            if (err)
                *err = m->err[i];
            return m->rc[i];
        }
    return AM_OK;
}

static enum am_rc scan_rows(struct import *im, struct scan *s, struct am_err *err)
{
    struct making m = {.im = im, .s = s};
    for (const struct am_batch *b;;) {
        AM_TRY(s->table.ops->next(s->it, &b, err));
        if (!b)
            return AM_OK;
        m.b = b;
        m.values = *b;
        m.values.n_columns = im->n;
        AM_TRY(make_all(&m, err));
        im->n_rows += b->n_rows;
        am_progress_step(im->o->progress, im->n_rows, 0, im->n_rows, NAN);
        if (am_progress_canceled(im->o->progress))
            return am_fail(err, AM_ECANCELED, "the import was canceled");
    }
}

/* The one pass over the source: hash, profile and file. */
static enum am_rc scan_source(struct import *im, struct am_bad_cell *bad, struct am_str *hash,
                              struct am_err *err)
{
    struct scan s = {0};
    enum am_rc rc = AM_OK;
    const struct am_profile_options po = {.target = im->o->target};
    /* every text that means missing costs time at every cell; in a file of numbers alone each but
     * the empty one would be refused, and then the pass is repeated with all of them */
    const struct am_str empty = AM_STR("");
    struct am_tables_source source = *am_source_tables(im->source);
    if (im->few_nulls) {
        source.csv.nulls = &empty;
        source.csv.n_nulls = 1;
    }
    struct am_tables_read read = {.source = &source,
                                  .info = im->info,
                                  .columns = im->columns,
                                  .n_columns = im->n + im->n_raw,
                                  .n_rows = UINT64_MAX,
                                  .bad = bad};
    am_profile_free(im->profile);
    im->profile = NULL;
    am_cache_free(im->cache);
    im->cache = NULL;
    im->n_rows = 0;
    if (im->part[0] && im->o->cache_bytes)
        AM_GO(rc, am_cache_new(&im->schema, im->o->cache_bytes, &im->cache, err));
    AM_GO(rc, am_profile_new(&im->schema, &po, &im->profile, err));
    AM_GO(rc, value_hash_new(im->n, &s.hash, err));
    if (im->part[0])
        AM_GO(rc, am_parquet_new(im->part, &im->written_schema, &s.file, err));
    AM_GO(rc, am_source_scan(im->source, &read, AM_SOURCE_BAD_LEFT_OUT, &s.table, err));
    AM_GO(rc, s.table.ops->open(s.table.impl, NULL, 0, &s.it, err));
    AM_GO(rc, scan_rows(im, &s, err));
    if (s.file)
        AM_GO(rc, am_parquet_end(s.file, err));
    AM_GO(rc, am_profile_finish(im->profile, err));
    AM_GO(rc, value_hash_finish(s.hash, &im->schema, im->a, hash, err));
    if (s.file)
        rc = am_parquet_finish(s.file, &im->n_bytes, im->part_hash, err);
out:
    value_hash_free(s.hash);
    am_parquet_free(s.file);
    if (s.table.ops) {
        s.table.ops->close(s.it);
        s.table.ops->free(s.table.impl);
    }
    return rc;
}

/* Scans, again with wider types where a cell asks for it and nothing is lost. */
static enum am_rc scan_widening(struct import *im, struct am_str *hash, struct am_err *err)
{
    for (int round = 0;; round++) {
        struct am_bad_cell bad = {{0}, {0}};
        fill_columns(im);
        enum am_rc rc = scan_source(im, &bad, hash, err);
        if (rc != AM_EINVAL || round == WIDEN_MAX || !widen(im, &bad))
            return rc;
        am_err_clear(err);
        if (im->part[0] && am_fs()->unlink(im->part) != 0)
            return am_fail_errno(err, errno, "cannot remove \"%s\"", im->part);
    }
}

/* "FILE line N", or "row N" where lines mean nothing. */
static struct am_str place_of(const struct import *im, uint64_t row)
{
    struct am_str where = am_source_place(im->source, row, im->a);
    return where.ptr ? where : AM_STR("a row");
}

static enum am_rc fail_infinite(const struct import *im, size_t i, struct am_err *err)
{
    const struct am_column_profile *c = am_profile_column(im->profile, i);
    struct am_str where = place_of(im, c->first_infinite_row);
    const struct plan_column *p = &im->plan[i];
    enum am_rc rc;
    if (p->declared && p->type == AM_COL_BOOLEAN)
        rc = am_fail(err, AM_EINVAL, "%.*s: column \"%.*s\" holds a value that is not a boolean",
                     AM_FMT(where), AM_FMT(c->name));
    else
        rc = am_fail(err, AM_EINVAL, "%.*s: column \"%.*s\" is infinite (%llu cells)",
                     AM_FMT(where), AM_FMT(c->name), (unsigned long long)c->n_infinite);
    am_hint(err,
            "Correct the cell, or count such cells as missing with data.clean.columns: {%.*s: "
            "{invalid: missing}}.",
            AM_FMT(c->name));
    return rc;
}

static enum am_rc check_values(const struct import *im, struct am_err *err)
{
    if (im->n_rows == 0) {
        enum am_rc rc = am_fail(err, AM_EINVAL, "the data has no rows");
        am_hint(err, "Give at least one row under the column names.");
        return rc;
    }
    for (size_t i = 0; i < im->n; i++) {
        const struct am_column_profile *c = am_profile_column(im->profile, i);
        if (c->n_infinite && !im->plan[i].lenient)
            return fail_infinite(im, i, err);
        if (im->plan[i].lenient && c->n_infinite * 2 > c->n_rows - c->n_missing) {
            enum am_rc rc =
                am_fail(err, AM_EINVAL,
                        "column \"%.*s\" is not a column of numbers: %llu of %llu cells are none",
                        AM_FMT(c->name), (unsigned long long)c->n_infinite,
                        (unsigned long long)(c->n_rows - c->n_missing));
            am_hint(err,
                    "Take away data.clean.columns.%.*s.invalid, or say its type with data.types.",
                    AM_FMT(c->name));
            return rc;
        }
        if (c->max_bytes > AM_LIMIT_CSV_CELL_BYTES && !am_col_is_media(c->type)) {
            struct am_str where = place_of(im, c->max_bytes_row);
            enum am_rc rc =
                am_fail(err, AM_ELIMIT,
                        "%.*s: a cell of column \"%.*s\" has %llu bytes, at most %zu are allowed",
                        AM_FMT(where), AM_FMT(c->name), (unsigned long long)c->max_bytes,
                        AM_LIMIT_CSV_CELL_BYTES);
            am_hint(err, "Shorten the cell, or look for a quote that is not closed.");
            return rc;
        }
    }
    return AM_OK;
}

/* Columns that must be stored otherwise, seen only now: whole numbers beyond 2^53 (kept as text, so
 * that no digit is lost), and texts that are nearly all numbers (read as numbers, so that the error
 * names the cell). */
static bool replan(struct import *im)
{
    bool again = false;
    for (size_t i = 0; i < im->n; i++) {
        const struct am_column_profile *c = am_profile_column(im->profile, i);
        struct plan_column *p = &im->plan[i];
        uint64_t n = c->n_rows - c->n_missing;
        bool csv = am_source_tables(im->source)->format == AM_TABLES_CSV;
        if (!p->declared && im->info->columns[i].stored == AM_STORED_INT &&
            p->read == AM_COL_NUMBER && (c->max > EXACT_INTEGERS || c->min < -EXACT_INTEGERS)) {
            p->stored = AM_STORED_TEXT;
            p->read = AM_COL_TEXT;
            again = p->kept_text = true;
        } else if (csv && p->stored == AM_STORED_TEXT && !p->declared && !p->kept_text && n >= 4 &&
                   (c->n_numeric * 10 >= n * 9 || (c->n_distinct_not_numeric == 1 &&
                                                   c->n_numeric * 2 >= n && c->n_distinct > 3))) {
            p->stored = AM_STORED_DOUBLE;
            p->read = AM_COL_NUMBER;
            again = true;
        }
    }
    return again;
}

static enum am_rc fill_info(struct import *im, struct am_dataset_info *info, struct am_err *err)
{
    struct am_arena *a = im->a;
    struct am_dataset_schema *s = &info->schema;
    enum am_col_type *types = am_arena_array(a, im->n + 1, sizeof *types);
    s->columns = am_arena_array(a, im->n + 1, sizeof *s->columns);
    if (!types || !s->columns)
        return am_fail_nomem(err, im->n * sizeof *s->columns);
    s->n = im->n;
    s->n_rows = im->n_rows;
    s->hash = info->hash;
    struct am_node *columns = am_new_list(a);
    for (size_t i = 0; i < im->n; i++) {
        const char *why = im->plan[i].why ? im->plan[i].why : AM_N("declared in the recipe");
        struct am_inferred found = {im->plan[i].type, am_str(am_tr(why))};
        if (!im->plan[i].declared)
            AM_TRY(am_infer_type(am_profile_column(im->profile, i), a, &found, err));
        s->columns[i] = (struct am_schema_column){.name = am_arena_str(a, im->desc[i].name),
                                                  .type = types[i] = found.type,
                                                  .stored = stored_of(im->written[i].type),
                                                  .why = found.why,
                                                  .aside = im->plan[i].aside};
        struct am_node *c = am_new_map(a);
        am_node_set(a, c, "name", am_new_str(a, im->desc[i].name));
        am_node_set(a, c, "type", am_new_cstr(a, am_col_type_name(found.type)));
        am_node_set(a, c, "stored", am_new_cstr(a, am_stored_type_name(s->columns[i].stored)));
        am_node_set(a, c, "why", am_new_str(a, found.why));
        am_node_push(a, columns, c);
    }
    info->report = am_new_map(a);
    am_node_set(a, info->report, "source", am_source_to_node(im->source, a));
    am_node_set(a, info->report, "rows", am_new_i64(a, (int64_t)im->n_rows));
    am_node_set(a, info->report, "columns", columns);
    struct am_node *files = am_source_media_to_node(im->source, a);
    if (files)
        am_node_set(a, info->report, "import", files);
    info->profile = am_profile_to_node(im->profile, types, a);
    return am_arena_check(a, err);
}

static enum am_rc write_node(const struct am_node *n, const char *dir, const char *name,
                             struct am_err *err)
{
    char path[4200];
    struct am_buf text;
    am_buf_init(&text, AM_LIMIT_ARENA_BYTES);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    am_node_to_json(n, AM_JSON_PRETTY, &text);
    am_buf_char(&text, '\n');
    enum am_rc rc = am_buf_check(&text, err);
    if (rc == AM_OK)
        rc = am_fs_write_file(path, text.ptr, text.len, err);
    am_buf_clear(&text);
    return rc;
}

static enum am_rc check_target(const struct import *im, struct am_err *err)
{
    if (im->o->target.ptr && !has_column(im, im->o->target))
        return fail_unknown(im, im->o->target, "data.target", err);
    return AM_OK;
}

static enum am_rc run_import(struct import *im, struct am_dataset_info *info, struct am_err *err)
{
    AM_TRY(am_source_open(im->tables, &im->o->source, &im->source, err));
    im->info = am_source_info(im->source);
    AM_TRY(make_plan(im, err));
    AM_TRY(check_target(im, err));
    im->few_nulls = true;
    for (int round = 0;; round++) {
        AM_TRY(scan_widening(im, &info->hash, err));
        if (round > 2 || !replan(im))
            break;
        if (im->part[0] && am_fs()->unlink(im->part) != 0)
            return am_fail_errno(err, errno, "cannot remove \"%s\"", im->part);
    }
    AM_TRY(check_values(im, err));
    return fill_info(im, info, err);
}

/* The rows kept in memory, if each column is kept as its inferred type wants it. */
static void give_rows(struct import *im, struct am_dataset_info *info)
{
    for (size_t i = 0; im->cache && i < im->n; i++)
        if (!am_cache_retype(im->cache, i, info->schema.columns[i].type)) {
            am_cache_free(im->cache);
            im->cache = NULL;
        }
    if (im->cache)
        am_cache_finish(im->cache, &info->rows);
    im->cache = NULL;
}

static void import_clear(struct import *im)
{
    am_cache_free(im->cache);
    am_profile_free(im->profile);
    am_source_close(im->source);
    am_free(im->plan);
    am_free(im->columns);
    am_free(im->desc);
    am_free(im->written);
    am_free(im->out);
}

enum am_rc am_dataset_import(const struct am_tables *tables, struct am_arena *a,
                             const struct am_import_options *o, const char *out_dir,
                             struct am_dataset_info *info, struct am_err *err)
{
    struct import im = {.tables = tables, .o = o, .a = a};
    *info = (struct am_dataset_info){0};
    if (am_fs_exists(out_dir))
        return am_fail(err, AM_EEXIST, "\"%s\" exists already", out_dir);
    if (snprintf(im.part, sizeof im.part, "%s/part-0000.parquet", out_dir) >= (int)sizeof im.part)
        return am_fail(err, AM_ELIMIT, "the folder's name is longer than %zu bytes",
                       sizeof im.part);
    enum am_rc rc = AM_OK;
    am_progress_begin(o->progress, "import", 0);
    AM_GO(rc, am_fs_mkdirs(out_dir, err));
    AM_GO(rc, run_import(&im, info, err));
    info->n_bytes = im.n_bytes;
    memcpy(info->part_hash, im.part_hash, sizeof info->part_hash);
    AM_GO(rc, write_node(am_dataset_schema_to_node(&info->schema, a), out_dir, "schema.json", err));
    AM_GO(rc, write_node(info->profile, out_dir, "profile.json", err));
    AM_GO(rc, am_arena_check(a, err));
    AM_GO(rc, am_fs_sync_dir(out_dir, err));
    am_progress_end(o->progress);
    give_rows(&im, info);
out:
    import_clear(&im);
    if (rc != AM_OK)
        (void)!am_fs_remove_tree(out_dir, NULL);
    return rc;
}

enum am_rc am_dataset_inspect(const struct am_tables *tables, struct am_arena *a,
                              const struct am_import_options *o, struct am_dataset_info *info,
                              struct am_err *err)
{
    struct import im = {.tables = tables, .o = o, .a = a};
    *info = (struct am_dataset_info){0};
    am_progress_begin(o->progress, "profile", 0);
    enum am_rc rc = run_import(&im, info, err);
    am_progress_end(o->progress);
    import_clear(&im);
    return rc;
}

static enum am_rc read_parts(const struct am_tables *tables, const struct am_dataset_files *f,
                             const struct am_tables_column *columns, struct am_table *out,
                             struct am_err *err)
{
    if (stored_suits(columns, f->schema->n))
        return stored_table(f->parts, f->n_parts, columns, f->schema->n, f->schema->n_rows, out,
                            err);
    struct am_tables_source source = {
        .format = AM_TABLES_PARQUET, .paths = f->parts, .n_paths = f->n_parts};
    struct am_tables_read read = {.source = &source,
                                  .columns = columns,
                                  .n_columns = f->schema->n,
                                  .n_rows = f->schema->n_rows};
    return tables->ops->read(tables->impl, &read, out, err);
}

enum am_rc am_dataset_open(const struct am_tables *tables, const struct am_dataset_files *f,
                           struct am_table *out, struct am_err *err)
{
    *out = (struct am_table){0};
    const struct am_dataset_schema *s = f->schema;
    struct am_tables_column *columns = am_calloc(s->n + 1, sizeof *columns);
    if (!columns)
        return am_fail_nomem(err, (s->n + 1) * sizeof *columns);
    for (size_t i = 0; i < s->n; i++)
        columns[i] = (struct am_tables_column){
            .name = s->columns[i].name, .stored = s->columns[i].stored, .type = s->columns[i].type};
    enum am_rc rc = read_parts(tables, f, columns, out, err);
    am_free(columns);
    return rc;
}

enum am_rc am_dataset_open_dir(const struct am_tables *tables, struct am_arena *a, const char *dir,
                               struct am_dataset_schema *schema, struct am_table *out,
                               struct am_err *err)
{
    char path[4200];
    struct am_buf text;
    struct am_node *n = NULL;
    enum am_rc rc = AM_OK;
    *out = (struct am_table){0};
    am_buf_init(&text, AM_LIMIT_JSON_BYTES);
    snprintf(path, sizeof path, "%s/schema.json", dir);
    AM_GO(rc, am_fs_read_file(path, &text, err));
    AM_GO(rc, am_json_parse(a, am_buf_view(&text), "schema.json", &n, err));
    AM_GO(rc, am_dataset_schema_from_node(n, a, schema, err));
    snprintf(path, sizeof path, "%s/part-0000.parquet", dir);
    struct am_str part = am_str(path);
    struct am_dataset_files f = {.parts = &part, .n_parts = 1, .schema = schema};
    rc = am_dataset_open(tables, &f, out, err);
out:
    am_buf_clear(&text);
    return rc;
}

enum am_rc am_dataset_check(const struct am_tables *tables, const struct am_dataset_files *f,
                            struct am_err *err)
{
    const struct am_dataset_schema *s = f->schema;
    struct am_table t = {0};
    struct am_table_iter *it = NULL;
    struct value_hash *h = NULL;
    struct am_str hex;
    enum am_rc rc = AM_OK;
    struct am_arena *a = am_arena_new(0);
    struct am_tables_column *columns = am_calloc(s->n + 1, sizeof *columns);
    if (!a || !columns) {
        rc = am_fail_nomem(err, (s->n + 1) * sizeof *columns);
        goto out;
    }
    for (size_t i = 0; i < s->n; i++) {
        enum am_col_type type = type_of_stored(s->columns[i].stored);
        if ((s->columns[i].stored == AM_STORED_TEXT && !is_text_type(s->columns[i].type)) ||
            s->columns[i].stored == AM_STORED_BLOB)
            type = s->columns[i].type; /* as the import hashed it */
        columns[i] = (struct am_tables_column){
            .name = s->columns[i].name, .stored = s->columns[i].stored, .type = type};
    }
    AM_GO(rc, read_parts(tables, f, columns, &t, err));
    AM_GO(rc, value_hash_new(s->n, &h, err));
    AM_GO(rc, t.ops->open(t.impl, NULL, 0, &it, err));
    for (const struct am_batch *b;;) {
        AM_GO(rc, t.ops->next(it, &b, err));
        if (!b)
            break;
        AM_GO(rc, value_hash_update(h, b, err));
    }
    AM_GO(rc, value_hash_finish(h, t.ops->schema(t.impl), a, &hex, err));
    if (!am_str_eq(hex, s->hash)) {
        rc =
            am_fail(err, AM_ECORRUPT, "the dataset's values have hash %.12s, its schema says %.12s",
                    hex.ptr, s->hash.ptr);
        am_hint(err, "Restore the dataset from a backup, or import the source again.");
    }
out:
    value_hash_free(h);
    if (t.ops) {
        t.ops->close(it);
        t.ops->free(t.impl);
    }
    am_free(columns);
    am_arena_free(a);
    return rc;
}
