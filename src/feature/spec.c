/* Reading what the recipe says of a column: the table of keys, the defaults by column type, and the
 * refusal of settings that do not suit their column. Static table; any thread. */
#include "feature/spec.h"

#include <math.h>

#include "base/date.h"
#include "base/limits.h"
#include "base/num.h"
#include "feature/fit.h"
#include "feature/text_spec.h"

#define MAX_ORDER 10000
#define MAX_SIDE 4096 /* of pictures */

#define BOOLEAN AM_FEATURE_KEY_BOOL
#define INT AM_FEATURE_KEY_INT
#define NUM AM_FEATURE_KEY_NUMBER
#define TEXT AM_FEATURE_KEY_TEXT
#define ENUM AM_FEATURE_KEY_ENUM
#define TEXTS AM_FEATURE_KEY_TEXTS
#define INTS AM_FEATURE_KEY_INTS
#define MAP AM_FEATURE_KEY_MAP

static const struct am_feature_key keys[] = {
    {"type", ENUM, "number|boolean|category|text|date|image|audio|video", 0, 0, NULL,
     "Type of the column, as in data.types."},
    {"impute", ENUM | MAP, "mean|median|mode|category|none", 0, 0, NULL,
     "What stands for a missing value: number and date mean, boolean mode, category a category of "
     "its own; none, for numbers: it stays missing, for learners that take that."},
    {"impute.constant", TEXT | NUM | BOOLEAN, NULL, 0, 0, NULL,
     "This value (in the unit that `unit` converts to; a date as 2026-11-21)."},
    {"indicator", BOOLEAN, NULL, 0, 0, "false",
     "One more output that is 1 where the value is missing."},
    {"scale", ENUM, "standard|min-max|robust|log|quantile|none", 0, 0, NULL,
     "Scaling: standard for numbers, ordinal and target codes and dates, none for booleans; log is "
     "sign(x) log(1 + |x|), then standard."},
    {"quantiles", INT, NULL, 2, 10000, "1000", "Reference points of quantile scaling."},
    {"encode", ENUM,
     "onehot|ordinal|hash|target|words|count|tfidf|hashing|vectors|chars|tokens|segments|pixels|"
     "histogram|logmel|mfcc|waveform",
     0, 0, NULL,
     "Encoding of categories (onehot), texts (words: hashed word counts; count, tfidf: counts of "
     "terms, sparse; hashing: the same without a list of terms; vectors: the mean of word vectors; "
     "chars, tokens, segments: "
     "ids of characters or words in order, for sequence models; segments are cut by ICU, Chinese, "
     "Japanese and Thai by its dictionaries), pictures (pixels; histogram: of the "
     "colours and of the light) and sounds (logmel; mfcc; waveform: the samples)."},
    {"max_categories", INT, NULL, 1, 65536, "100",
     "onehot: the most frequent ones kept; the rest is (other)."},
    {"min_count", INT, NULL, 1, 1e9, NULL,
     "onehot: rarer categories go to (other), 1; chars, tokens, segments: rarer ones are "
     "unknown, 2; vectors: rarer words have no vector of their own, 5."},
    {"unseen", ENUM, "other|error", 0, 0, "other",
     "A category that training did not see: (other) or zeros, or an error at prediction."},
    {"order", TEXTS, NULL, 0, 0, NULL,
     "ordinal: the categories from low to high; the default is their sorted order."},
    {"buckets", INT, NULL, 2, 1048576, NULL,
     "hash: outputs, 32; words: outputs, 256, at most 65536 each; hashing: outputs, 1048576."},
    {"smoothing", NUM, NULL, 0, 1e9, "10",
     "target: rows of the overall mean that each category starts with."},
    {"folds", INT, NULL, 2, 100, "5", "target: folds for the out-of-fold values of training rows."},
    {"unit", MAP, NULL, 0, 0, NULL, "Conversion before all else: to = from * factor + offset."},
    {"unit.from", TEXT, NULL, 0, 0, NULL, "Unit in the data, for example mg/dL."},
    {"unit.to", TEXT, NULL, 0, 0, NULL, "Unit that the model sees, for example mmol/L."},
    {"unit.factor", NUM, NULL, 0, 0, NULL, "Factor; looked up for common units when not said."},
    {"unit.offset", NUM, NULL, 0, 0, NULL,
     "Offset; looked up for common units when not said, else 0."},
    {"parts", TEXTS, NULL, 0, 0, NULL,
     "date: some of days, year, month, day, weekday, hour; the default is all but days, and hour "
     "only where there is one."},
    {"cyclic", BOOLEAN, NULL, 0, 0, "true", "date: month, day, weekday and hour as sin and cos."},
    {"size", INT | INTS, NULL, 1, 4096, NULL,
     "image, video: [height, width], or one number for both; the default is the size of the "
     "training "
     "pictures when all are equal and at most 512 x 512 (videos: 64 x 64), else their mean height "
     "and width, at most 224 (videos: 64) each."},
    {"channels", INT, NULL, 1, 3, NULL,
     "image, video: 1 (grey) or 3 (colour); the default is 1 when all training pictures are grey, "
     "and 3 for videos."},
    {"frames", INT, NULL, 1, 1024, "8", "video: pictures that are taken of each video."},
    {"fps", NUM, NULL, 0, 240, "0",
     "video: pictures a second that are taken, from the beginning on; the last one again where the "
     "video is shorter. 0: spread evenly over the video."},
    {"resize", ENUM, "stretch|crop|pad", 0, 0, "stretch",
     "image, video: to the size whatever the ratio of the sides, or with the ratio kept the middle "
     "cut "
     "out or black at both ends."},
    {"normalize", ENUM, "unit|standard|imagenet|own|none", 0, 0, NULL,
     "image, video: x/255; mean 0 and deviation 1 of each channel over the training pictures; the "
     "constants of ImageNet; or 0 to 255. audio: standard (of each band over the training rows, "
     "the default of logmel and mfcc), own (of each band over the sound itself, which takes away "
     "level and microphone), none."},
    {"bins", INT, NULL, 2, 256, "16", "histogram: bins of each colour and of the light."},
    {"length", INT, NULL, 1, 65536, NULL,
     "chars, tokens, segments: ids a row, the rest is cut off; the default is what 95 in 100 "
     "training rows "
     "fit in, at most 512."},
    {"vocabulary", INT, NULL, 1, 1e6, "20000",
     "chars, tokens, segments: the most frequent ones kept."},
    {"lower", BOOLEAN, NULL, 0, 0, NULL,
     "tokens, segments, count, tfidf, hashing, vectors (true), chars (false): to lower case "
     "first."},
    {"html", BOOLEAN, NULL, 0, 0, "false",
     "Terms: tags, scripts and comments are taken out, character references resolved."},
    {"fold", ENUM, "none|width|nfkc", 0, 0, "none",
     "Terms: full-width letters and half-width kana to the usual ones, or Unicode's form NFKC (by "
     "ICU)."},
    {"rules", TEXTS, NULL, 0, 0, NULL,
     "Terms: cleaning rules \"PATTERN => REPLACEMENT\" in order, before lower case; regular "
     "expressions whose work is bounded (no references to groups)."},
    {"split", ENUM, "words|tokens|segments|chars|char_wb", 0, 0, "words",
     "Terms: words as scikit-learn cuts them; tokens after UAX 29 (ideographs one by one); "
     "segments "
     "by ICU, by dictionary in Chinese; n-grams of characters, also within words."},
    {"min_length", INT, NULL, 1, 64, NULL,
     "Terms: shorter words are left out; words 2, tokens and segments 1."},
    {"stop_words", TEXT | TEXTS, NULL, 0, 0, NULL,
     "Terms: words that are left out: en, zh, de, fr, es or a list."},
    {"stem", TEXT, NULL, 0, 0, NULL,
     "Terms: language whose Snowball stemmer makes stems of words, for example english "
     "(libstemmer)."},
    {"ngrams", INT | INTS, NULL, 1, 20, "1", "Terms: how many words or characters, [from, to]."},
    {"min_df", NUM, NULL, 0, 1e9, "1",
     "Terms of fewer rows are left out; below 1 a share of the rows."},
    {"max_df", NUM, NULL, 0, 1e9, "1",
     "Terms of more rows are left out; up to 1 a share of the rows."},
    {"max_features", INT, NULL, 1, 1048576, NULL, "Terms kept, the most frequent ones."},
    {"sublinear", BOOLEAN, NULL, 0, 0, "false", "Terms: 1 + ln(count) instead of the count."},
    {"idf", BOOLEAN, NULL, 0, 0, "true",
     "tfidf: rare terms weigh more, ln((1 + rows) / (1 + rows with it)) + 1; vectors: so do rare "
     "words."},
    {"smooth", BOOLEAN, NULL, 0, 0, "true", "tfidf: the two 1s in the fraction."},
    {"binary", BOOLEAN, NULL, 0, 0, "false", "Terms: 1 for any count."},
    {"norm", ENUM, "l2|l1|none", 0, 0, NULL,
     "Terms: length of a row: tfidf and hashing l2, count and vectors none."},
    {"tags", ENUM, "none|append|keep|counts", 0, 0, "none",
     "Terms: parts of speech: joined to the words (run_vb), only words of keep_tags, or the tags "
     "themselves."},
    {"keep_tags", TEXTS, NULL, 0, 0, NULL, "tags: beginnings of the tags that are kept."},
    {"tagger", TEXT, NULL, 0, 0, NULL, "tags: file of a tagger made by scripts/train-tagger."},
    {"vectors", TEXT, NULL, 0, 0, NULL,
     "vectors: file of word vectors (.vec, .bin of word2vec or fastText) instead of training "
     "them."},
    {"dimensions", INT, NULL, 1, 2000, "100", "vectors: numbers of a word."},
    {"window", INT, NULL, 1, 100, "5", "vectors: words at both sides that are learned from."},
    {"epochs", INT, NULL, 1, 10000, "5", "vectors: passes over the texts."},
    {"negatives", INT, NULL, 1, 100, "5", "vectors: random words against each one."},
    {"subwords", INT | INTS, NULL, 0, 16, "[3, 6]",
     "vectors: n-grams of characters that words share, [from, to]; unseen words get theirs; 0: "
     "none."},
    {"ngram_buckets", INT, NULL, 1, 2097152, "20000", "vectors: n-grams are hashed to so many."},
    {"rate", NUM, NULL, 1e-6, 10, "0.05", "vectors: learning rate at the start."},
    {"sample", NUM, NULL, 0, 1, "1e-4",
     "vectors: words of a greater share are passed over at random; 0: never."},
    {"sample_rate", INT, NULL, 1000, 192000, "16000", "audio: samples a second after resampling."},
    {"seconds", NUM, NULL, 0.01, 3600, NULL,
     "audio: length that sounds are cut or filled to; the default is what 95 in 100 training "
     "rows fit in, at most 30."},
    {"n_mels", INT, NULL, 1, 512, "40", "logmel, mfcc: bands of the mel scale."},
    {"n_fft", INT, NULL, 16, 16384, NULL,
     "logmel, mfcc: samples of a frame; the default is 32 milliseconds."},
    {"hop", INT, NULL, 1, 16384, NULL,
     "logmel, mfcc: samples from frame to frame; the default is 10 milliseconds."},
    {"n_mfcc", INT, NULL, 1, 512, "13", "mfcc: coefficients."},
    {"low_hz", NUM, NULL, 0, 96000, "0", "audio: lower frequencies are filtered out."},
    {"high_hz", NUM, NULL, 0, 96000, "0",
     "audio: higher frequencies are filtered out; 0 is half the sample rate."},
    {"gate_db", NUM, NULL, 0, 200, "0",
     "audio: noise gate: what is this far below the loudest becomes silence; 0 is off."},
    {"trim_db", NUM, NULL, 0, 200, "0",
     "audio: beginning and end are cut while this far below the loudest; 0 is off."},
    {"range_db", NUM, NULL, 1, 200, "80",
     "logmel, mfcc: what lies further below the loudest counts as this far. 30 to 40 hides the "
     "noise "
     "of different microphones, which a model of few voices would learn."},
};

#undef BOOLEAN
#undef INT
#undef NUM
#undef TEXT
#undef ENUM
#undef TEXTS
#undef INTS
#undef MAP

const struct am_feature_key *am_feature_keys(size_t *n)
{
    *n = sizeof keys / sizeof keys[0];
    return keys;
}

/* Which keys suit which type; the encodings' own keys are checked in check_encoding_keys(). */
static bool key_suits(const char *key, enum am_col_type t)
{
    static const struct {
        const char *key;
        unsigned types; /* bits of 1 << am_col_type */
    } suits[] = {
        {"type", 255},      {"indicator", 31},  {"impute", 31},        {"scale", 31},
        {"quantiles", 3},   {"unit", 1},        {"encode", 236},       {"max_categories", 12},
        {"min_count", 12},  {"unseen", 12},     {"order", 12},         {"buckets", 12},
        {"smoothing", 12},  {"folds", 12},      {"parts", 16},         {"cyclic", 16},
        {"frames", 128},    {"fps", 128},       {"size", 160},         {"channels", 160},
        {"resize", 160},    {"normalize", 224}, {"bins", 32},          {"length", 12},
        {"vocabulary", 12}, {"lower", 12},      {"sample_rate", 64},   {"seconds", 64},
        {"n_mels", 64},     {"n_fft", 64},      {"hop", 64},           {"n_mfcc", 64},
        {"low_hz", 64},     {"high_hz", 64},    {"gate_db", 64},       {"trim_db", 64},
        {"range_db", 64},   {"html", 12},       {"fold", 12},          {"rules", 12},
        {"split", 12},      {"min_length", 12}, {"stop_words", 12},    {"stem", 12},
        {"ngrams", 12},     {"min_df", 12},     {"max_df", 12},        {"max_features", 12},
        {"sublinear", 12},  {"idf", 12},        {"smooth", 12},        {"binary", 12},
        {"norm", 12},       {"tags", 12},       {"keep_tags", 12},     {"tagger", 12},
        {"vectors", 12},    {"dimensions", 12}, {"window", 12},        {"epochs", 12},
        {"negatives", 12},  {"subwords", 12},   {"ngram_buckets", 12}, {"rate", 12},
        {"sample", 12},
    };
    for (size_t i = 0; i < sizeof suits / sizeof suits[0]; i++) {
        if (strcmp(key, suits[i].key) == 0)
            return suits[i].types >> (unsigned)t & 1;
    }
    return false;
}

struct reader {
    const struct am_node *own, *common; /* the column's map, features.default; NULL = none */
    const struct am_column_desc *column;
    struct am_arena *arena;
    struct am_fspec *out;
    struct am_err *err;
};

static enum am_rc refuse(const struct reader *r, const struct am_node *at, const char *key,
                         const char *what)
{
    if (at != NULL && at->line > 0)
        return am_fail(r->err, AM_EUSAGE, "line %u, column %u: features.%.*s.%s: %s", at->line,
                       at->column, AM_FMT(r->column->name), key, am_tr(what));
    return am_fail(r->err, AM_EUSAGE, "features.%.*s.%s: %s", AM_FMT(r->column->name), key,
                   am_tr(what));
}

static const struct am_node *get(const struct reader *r, const char *key)
{
    const struct am_node *v = am_node_get(r->own, key);
    return v != NULL ? v : am_node_get(r->common, key);
}

/* From features.default, where settings that do not suit a column are passed over. */
static bool is_own(const struct reader *r, const char *key)
{
    return am_node_get(r->own, key) != NULL;
}

static enum am_rc read_bool(const struct reader *r, const char *key, bool usual, bool *out)
{
    const struct am_node *v = get(r, key);
    *out = usual;
    if (v != NULL && !am_node_as_bool(v, out))
        return refuse(r, v, key, "not true or false");
    return AM_OK;
}

static enum am_rc read_count(const struct reader *r, const char *key, int64_t min, int64_t max,
                             int64_t usual, int64_t *out)
{
    const struct am_node *v = get(r, key);
    *out = usual;
    if (v == NULL)
        return AM_OK;
    if (!am_node_as_i64(v, out))
        return refuse(r, v, key, "not a whole number");
    if (*out < min || *out > max)
        return am_fail(r->err, AM_EUSAGE, "features.%.*s.%s: %lld is not from %lld to %lld",
                       AM_FMT(r->column->name), key, (long long)*out, (long long)min,
                       (long long)max);
    return AM_OK;
}

static enum am_rc read_number(const struct reader *r, const struct am_node *v, const char *key,
                              double *out)
{
    if (v != NULL && (!am_node_as_f64(v, out) || !isfinite(*out)))
        return refuse(r, v, key, "not a finite number");
    return AM_OK;
}

static enum am_rc own_text(const struct reader *r, const struct am_node *v, const char *key,
                           struct am_str *out)
{
    struct am_str s;
    if (!am_node_as_str(v, &s))
        return refuse(r, v, key, "not a text");
    *out = am_arena_str(r->arena, s);
    return out->ptr ? AM_OK : am_arena_check(r->arena, r->err);
}

/* ---- the parts ---- */

/* A default that a resolver filled in says nothing of the column. */
static bool is_usual(const struct am_node *v, const char *otherwise)
{
    struct am_str text;
    bool flag;
    double number, usual;
    if (otherwise == NULL)
        return false;
    if (am_node_as_str(v, &text))
        return am_str_is(text, otherwise);
    if (am_node_as_bool(v, &flag))
        return strcmp(otherwise, flag ? "true" : "false") == 0;
    return am_node_as_f64(v, &number) &&
           am_parse_double(am_str(otherwise), AM_NUM_FINITE, &usual) && number == usual;
}

static enum am_rc check_names(const struct reader *r)
{
    const char *names[sizeof keys / sizeof keys[0]];
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        names[i] = keys[i].name;
    if (r->own == NULL || r->own->kind == AM_NODE_NULL)
        return AM_OK;
    if (r->own->kind != AM_NODE_MAP)
        return am_fail(r->err, AM_EUSAGE, "features.%.*s: not a map of settings",
                       AM_FMT(r->column->name));
    for (size_t i = 0; i < r->own->map.n; i++) {
        const struct am_pair *p = &r->own->map.pairs[i];
        size_t k = 0;
        while (k < sizeof keys / sizeof keys[0] && !am_str_is(p->key, names[k]))
            k++;
        if (k == sizeof keys / sizeof keys[0]) {
            enum am_rc rc = am_fail(r->err, AM_EUSAGE,
                                    "line %u, column %u: features.%.*s: unknown key \"%.*s\"",
                                    p->line, p->column, AM_FMT(r->column->name), AM_FMT(p->key));
            const char *near = am_str_nearest(p->key, names, sizeof keys / sizeof keys[0]);
            if (near)
                am_hint(r->err, "Did you mean \"%s\"?", near);
            return rc;
        }
        bool usual = is_usual(p->value, keys[k].otherwise);
        if (!usual && p->value->line > 0 && !key_suits(names[k], r->column->type)) {
            enum am_rc rc = am_fail(
                r->err, AM_EUSAGE,
                "line %u, column %u: features.%.*s: \"%s\" does not suit a column of type %s",
                p->line, p->column, AM_FMT(r->column->name), names[k],
                am_col_type_name(r->column->type));
            am_hint(r->err, "Remove it, or say another type in data.types.");
            return rc;
        }
    }
    return AM_OK;
}

static enum am_rc read_type(const struct reader *r)
{
    const struct am_node *v = am_node_get(r->own, "type");
    enum am_col_type t;
    struct am_str s;
    if (v == NULL || am_node_is_null(v))
        return AM_OK;
    if (!am_node_as_str(v, &s) || !am_col_type_parse(s, &t))
        return refuse(r, v, "type",
                      "not one of number, boolean, category, text, date, image, audio, video");
    if (t != r->column->type) {
        enum am_rc rc = am_fail(
            r->err, AM_EUSAGE, "column \"%.*s\" is of type %s in the data, the recipe says %s",
            AM_FMT(r->column->name), am_col_type_name(r->column->type), am_col_type_name(t));
        am_hint(r->err,
                "Say `data: {types: {COLUMN: TYPE}}` so that the data is read as that type.");
        return rc;
    }
    return AM_OK;
}

static bool is_text_kind(enum am_fkind k)
{
    return k == AM_F_ONEHOT || k == AM_F_ORDINAL || k == AM_F_HASH || k == AM_F_TARGET ||
           k == AM_F_WORDS || am_fkind_is_ids(k) || am_fkind_is_terms(k);
}

/* Hashed words and ids: a missing text has none. */
static bool is_sequence(enum am_fkind k)
{
    return k == AM_F_WORDS || am_fkind_is_ids(k) || am_fkind_is_terms(k);
}

static bool is_media_encode(struct am_str name)
{
    enum am_sound_encode e;
    return am_str_is(name, "pixels") || am_str_is(name, "histogram") ||
           am_sound_encode_parse(name, &e);
}

static enum am_rc read_encode(const struct reader *r)
{
    enum am_col_type t = r->column->type;
    struct am_fspec *s = r->out;
    const struct am_node *v = get(r, "encode");
    struct am_str name;
    s->kind = t == AM_COL_DATE       ? AM_F_DATE
              : t == AM_COL_TEXT     ? AM_F_WORDS
              : t == AM_COL_CATEGORY ? AM_F_ONEHOT
                                     : AM_F_NUMBER;
    if (v == NULL || (t != AM_COL_CATEGORY && t != AM_COL_TEXT) || am_node_is_null(v))
        return AM_OK;
    enum am_fkind kind;
    bool suits = am_node_as_str(v, &name) && am_fkind_parse(name, &kind) && is_text_kind(kind);
    if (suits)
        s->kind = kind;
    else if (is_own(r, "encode") || !am_node_as_str(v, &name) || !is_media_encode(name))
        return refuse(r, v, "encode",
                      "not one of onehot, ordinal, hash, target, words, count, tfidf, hashing, "
                      "vectors, chars, tokens, segments");
    return AM_OK;
}

static enum am_rc read_scale(const struct reader *r)
{
    struct am_fspec *s = r->out;
    const struct am_node *v = get(r, "scale");
    struct am_str name;
    bool codes = s->kind == AM_F_ORDINAL || s->kind == AM_F_TARGET || s->kind == AM_F_DATE;
    bool scaled = codes || r->column->type == AM_COL_NUMBER;
    s->scale = scaled ? AM_FS_STANDARD : AM_FS_NONE;
    if (v == NULL || am_node_is_null(v) ||
        (!scaled && s->kind != AM_F_NUMBER && !is_own(r, "scale")))
        return AM_OK;
    enum am_fscale scale;
    if (!am_node_as_str(v, &name) || !am_fscale_parse(name, &scale))
        return refuse(r, v, "scale", "not one of standard, min-max, robust, log, quantile, none");
    bool suits = s->kind == AM_F_NUMBER || scale == AM_FS_NONE ||
                 (codes && (scale == AM_FS_STANDARD || scale == AM_FS_MINMAX));
    if (!suits && is_own(r, "scale"))
        return refuse(r, v, "scale",
                      codes ? "only standard, min-max and none suit codes and dates"
                            : "this encoding is not scaled");
    if (suits && (r->column->type != AM_COL_BOOLEAN || is_own(r, "scale")))
        s->scale = scale;
    return AM_OK;
}

static enum am_rc read_constant(const struct reader *r, const struct am_node *v)
{
    struct am_fspec *s = r->out;
    struct am_str text;
    const char *key = "impute.constant";
    s->impute = AM_FI_CONSTANT;
    switch (r->column->type) {
    case AM_COL_NUMBER:
        return read_number(r, v, key, &s->constant);
    case AM_COL_BOOLEAN: {
        bool b;
        if (!am_node_as_bool(v, &b))
            return refuse(r, v, key, "not true or false");
        s->constant = b ? 1 : 0;
        return AM_OK;
    }
    case AM_COL_DATE:
        if (!am_node_as_str(v, &text) || !am_date_parse(text, &s->constant_date))
            return refuse(r, v, key, "not a date such as 2026-11-21 or 2026-11-21 13:30:00");
        return AM_OK;
    default:
        return own_text(r, v, key, &s->constant_text);
    }
}

/* `impute: {constant: VALUE}` */
static enum am_rc read_impute_map(const struct reader *r, const struct am_node *v)
{
    const struct am_node *c = am_node_get(v, "constant");
    if (c == NULL || v->map.n != 1)
        return refuse(r, v, "impute", "a map here is {constant: VALUE}");
    if (is_sequence(r->out->kind))
        return is_own(r, "impute") ? refuse(r, v, "impute", "missing texts have no words") : AM_OK;
    return read_constant(r, c);
}

static enum am_rc read_impute(const struct reader *r)
{
    static const char *const names[] = {"mean", "median", "mode", "category"};
    enum am_col_type t = r->column->type;
    bool categorical = t == AM_COL_CATEGORY || t == AM_COL_TEXT;
    struct am_fspec *s = r->out;
    const struct am_node *v = get(r, "impute");
    s->impute = categorical ? AM_FI_CATEGORY : t == AM_COL_BOOLEAN ? AM_FI_MODE : AM_FI_MEAN;
    if (v == NULL || am_node_is_null(v))
        return AM_OK;
    if (v->kind == AM_NODE_MAP)
        return read_impute_map(r, v);
    struct am_str name = AM_STR("");
    unsigned i = 0;
    if (am_node_as_str(v, &name) && am_str_is(name, "none")) {
        if (t == AM_COL_NUMBER)
            s->impute = AM_FI_NONE;
        else if (is_own(r, "impute"))
            return refuse(r, v, "impute", "only numbers can stay missing");
        return AM_OK;
    }
    if (name.len)
        while (i < 4 && !am_str_is(name, names[i]))
            i++;
    if (v->kind != AM_NODE_TEXT || i == 4)
        return refuse(r, v, "impute",
                      "not one of mean, median, mode, category, none, {constant: VALUE}");
    bool suits = categorical ? (i == AM_FI_MODE && !is_sequence(s->kind)) || i == AM_FI_CATEGORY
                             : i != AM_FI_CATEGORY;
    if (!suits && is_own(r, "impute"))
        return refuse(r, v, "impute",
                      categorical ? "categories are filled by mode, category or a constant"
                                  : "only category columns have a category for missing");
    if (suits)
        s->impute = (enum am_fimpute)i;
    return AM_OK;
}

static enum am_rc read_unit(const struct reader *r)
{
    struct am_fspec *s = r->out;
    const struct am_node *u = am_node_get(r->own, "unit");
    s->factor = 1;
    s->offset = 0;
    if (u == NULL || am_node_is_null(u))
        return AM_OK;
    if (u->kind != AM_NODE_MAP)
        return refuse(r, u, "unit", "not a map {from, to, factor, offset}");
    const struct am_node *from = am_node_get(u, "from"), *to = am_node_get(u, "to");
    const struct am_node *factor = am_node_get(u, "factor"), *offset = am_node_get(u, "offset");
    if (from)
        AM_TRY(own_text(r, from, "unit.from", &s->unit_from));
    if (to)
        AM_TRY(own_text(r, to, "unit.to", &s->unit_to));
    if (factor == NULL && offset == NULL) {
        if (from == NULL || to == NULL)
            return refuse(r, u, "unit", "needs from and to, or a factor");
        enum am_rc rc = am_funit_find(s->unit_from, s->unit_to, &s->factor, &s->offset, r->err);
        if (rc != AM_OK)
            am_context(r->err, "features.%.*s.unit", AM_FMT(r->column->name));
        return rc;
    }
    AM_TRY(read_number(r, factor, "unit.factor", &s->factor));
    AM_TRY(read_number(r, offset, "unit.offset", &s->offset));
    return s->factor != 0
               ? AM_OK
               : refuse(r, factor, "unit.factor", "a factor of 0 makes all values equal");
}

static enum am_rc read_category_keys(const struct reader *r)
{
    struct am_fspec *s = r->out;
    int64_t n;
    struct am_str unseen;
    AM_TRY(read_count(r, "max_categories", 1, 65536, 100, &n));
    s->max_categories = (size_t)n;
    bool ids = am_fkind_is_ids(s->kind);
    AM_TRY(read_count(r, "min_count", 1, 1000000000, ids ? 2 : 1, &n));
    s->min_count = (uint64_t)n;
    AM_TRY(read_count(r, "buckets", 2, AM_F_MAX_BUCKETS, s->kind == AM_F_WORDS ? 256 : 32, &n));
    s->buckets = (size_t)n;
    AM_TRY(read_count(r, "folds", 2, 100, 5, &n));
    s->folds = (size_t)n;
    s->smoothing = 10;
    AM_TRY(read_number(r, get(r, "smoothing"), "smoothing", &s->smoothing));
    if (s->smoothing < 0 || s->smoothing > 1e9)
        return refuse(r, get(r, "smoothing"), "smoothing", "not from 0 to 1e9");
    const struct am_node *v = get(r, "unseen");
    if (v != NULL && (!am_node_as_str(v, &unseen) ||
                      !(am_str_is(unseen, "other") || am_str_is(unseen, "error"))))
        return refuse(r, v, "unseen", "not one of other, error");
    s->refuse_unseen = v != NULL && am_str_is(unseen, "error");
    if (s->refuse_unseen && is_own(r, "unseen") && (s->kind == AM_F_HASH || s->kind == AM_F_WORDS))
        return refuse(r, v, "unseen", "hashing knows no unseen categories");
    if (s->refuse_unseen && is_own(r, "unseen") && ids)
        return refuse(r, v, "unseen", "unknown ones have an id of their own");
    AM_TRY(read_count(r, "length", 1, AM_TOKENS_MAX_LENGTH, 0, &n));
    s->length = (size_t)n;
    AM_TRY(read_count(r, "vocabulary", 1, AM_LIMIT_CATEGORIES, 20000, &n));
    s->vocabulary = (size_t)n;
    return read_bool(r, "lower", ids && s->kind != AM_F_CHARS, &s->lower);
}

static enum am_rc read_order(const struct reader *r)
{
    struct am_fspec *s = r->out;
    const struct am_node *v = am_node_get(r->own, "order");
    if (v == NULL || am_node_is_null(v))
        return AM_OK;
    if (v->kind != AM_NODE_LIST || v->list.n == 0 || v->list.n > MAX_ORDER)
        return refuse(r, v, "order", "not a list of at most 10000 categories");
    if (s->kind != AM_F_ORDINAL)
        return refuse(r, v, "order", "needs `encode: ordinal`");
    struct am_str *order = am_arena_array(r->arena, v->list.n, sizeof *order);
    if (order == NULL)
        return am_arena_check(r->arena, r->err);
    for (size_t i = 0; i < v->list.n; i++) {
        AM_TRY(own_text(r, v->list.items[i], "order", &order[i]));
        for (size_t k = 0; k < i; k++) {
            if (am_str_eq(order[i], order[k]))
                return refuse(r, v->list.items[i], "order", "a category stands twice");
        }
    }
    s->order = order;
    s->n_order = v->list.n;
    return AM_OK;
}

static enum am_rc read_parts(const struct reader *r)
{
    struct am_fspec *s = r->out;
    const struct am_node *v = get(r, "parts");
    AM_TRY(read_bool(r, "cyclic", true, &s->cyclic));
    if (v == NULL || am_node_is_null(v)) {
        s->auto_parts = true;
        for (unsigned p = AM_FP_YEAR; p < AM_FP_N_PARTS; p++)
            s->parts[s->n_parts++] = (enum am_fpart)p;
        return AM_OK;
    }
    if (v->kind != AM_NODE_LIST || v->list.n == 0 || v->list.n > AM_FP_N_PARTS)
        return refuse(r, v, "parts", "not a list of days, year, month, day, weekday, hour");
    for (size_t i = 0; i < v->list.n; i++) {
        struct am_str name;
        enum am_fpart part;
        if (!am_node_as_str(v->list.items[i], &name) || !am_fpart_parse(name, &part))
            return refuse(r, v, "parts", "not a list of days, year, month, day, weekday, hour");
        for (size_t k = 0; k < i; k++) {
            if (s->parts[k] == part)
                return refuse(r, v, "parts", "a part stands twice");
        }
        s->parts[s->n_parts++] = part;
    }
    return AM_OK;
}

/* A number or a list of two. */
static enum am_rc read_size(const struct reader *r, struct am_fimage *f)
{
    const struct am_node *v = get(r, "size");
    int64_t side[2];
    if (v == NULL || am_node_is_null(v))
        return AM_OK;
    bool ok = am_node_as_i64(v, &side[0]);
    if (ok)
        side[1] = side[0];
    else if (v->kind == AM_NODE_LIST && v->list.n == 2)
        ok = am_node_as_i64(v->list.items[0], &side[0]) &&
             am_node_as_i64(v->list.items[1], &side[1]);
    if (!ok || side[0] < 1 || side[1] < 1 || side[0] > MAX_SIDE || side[1] > MAX_SIDE)
        return refuse(r, v, "size", "not [height, width] of 1 to 4096 pixels");
    f->height = (uint32_t)side[0];
    f->width = (uint32_t)side[1];
    return AM_OK;
}

static enum am_rc read_range(const struct reader *r, const char *key, double min, double max,
                             double *out)
{
    const struct am_node *v = get(r, key);
    AM_TRY(read_number(r, v, key, out));
    if (v == NULL || (*out >= min && *out <= max))
        return AM_OK;
    return am_fail(r->err, AM_EUSAGE, "features.%.*s.%s: %g is not from %g to %g",
                   AM_FMT(r->column->name), key, *out, min, max);
}

static enum am_rc read_video(const struct reader *r)
{
    struct am_fimage *f = &r->out->image;
    int64_t n;
    AM_TRY(read_count(r, "frames", 1, AM_F_MAX_FRAMES, 8, &n));
    f->frames = (uint32_t)n;
    if (f->channels == 0)
        f->channels = 3;
    return read_range(r, "fps", 0, AM_F_MAX_FPS, &f->fps);
}

static enum am_rc read_image(const struct reader *r)
{
    struct am_fspec *s = r->out;
    struct am_fimage *f = &s->image;
    const struct am_node *encode = get(r, "encode"), *v;
    struct am_str name;
    int64_t n;
    bool video = r->column->type == AM_COL_VIDEO;
    s->kind = video ? AM_F_VIDEO : AM_F_IMAGE;
    if (encode != NULL && !am_node_is_null(encode)) {
        bool text = am_node_as_str(encode, &name);
        if (!video && text && am_str_is(name, "histogram"))
            s->kind = AM_F_HISTOGRAM;
        else if (is_own(r, "encode") && !(text && am_str_is(name, "pixels")))
            return refuse(r, encode, "encode",
                          video ? "videos are encoded as pixels"
                                : "pictures are encoded as pixels or histogram");
    }
    AM_TRY(read_size(r, f));
    AM_TRY(read_count(r, "channels", 1, 3, 0, &n));
    if (n == 2)
        return refuse(r, get(r, "channels"), "channels", "not 1 or 3");
    f->channels = (uint32_t)n;
    v = get(r, "resize");
    if (v != NULL && (!am_node_as_str(v, &name) || !am_fresize_parse(name, &f->resize)))
        return refuse(r, v, "resize", "not one of stretch, crop, pad");
    v = get(r, "normalize");
    if (v != NULL && (!am_node_as_str(v, &name) || !am_fnormal_parse(name, &f->normal)))
        return refuse(r, v, "normalize", "not one of unit, standard, imagenet, none");
    AM_TRY(read_count(r, "bins", 2, AM_F_MAX_BINS, 16, &n));
    f->bins = (uint32_t)n;
    return video ? read_video(r) : AM_OK;
}

static enum am_rc read_u32(const struct reader *r, const char *key, int64_t min, int64_t max,
                           int64_t usual, uint32_t *out)
{
    int64_t n;
    AM_TRY(read_count(r, key, min, max, usual, &n));
    *out = (uint32_t)n;
    return AM_OK;
}

static enum am_rc read_sound_normalize(const struct reader *r)
{
    struct am_fspec *s = r->out;
    const struct am_node *v = get(r, "normalize");
    struct am_str name;
    s->normalize = s->sound.encode != AM_SOUND_WAVEFORM;
    if (v == NULL || am_node_is_null(v))
        return AM_OK;
    bool text = am_node_as_str(v, &name);
    s->sound.own = text && am_str_is(name, "own");
    if (text && (s->sound.own || am_str_is(name, "standard") || am_str_is(name, "none")))
        s->normalize = am_str_is(name, "standard");
    else if (is_own(r, "normalize"))
        return refuse(r, v, "normalize", "sounds are normalised by standard, own or none");
    return AM_OK;
}

static enum am_rc read_sound(const struct reader *r)
{
    struct am_fspec *s = r->out;
    struct am_sound_config *c = &s->sound;
    const struct am_node *v = get(r, "encode");
    struct am_str name;
    s->kind = AM_F_SOUND;
    if (v != NULL && !am_node_is_null(v)) {
        bool known = am_node_as_str(v, &name) && am_sound_encode_parse(name, &c->encode);
        if (!known && is_own(r, "encode"))
            return refuse(r, v, "encode", "sounds are encoded as logmel, mfcc or waveform");
    }
    AM_TRY(read_u32(r, "sample_rate", 1000, 192000, 16000, &c->sample_rate));
    AM_TRY(read_range(r, "seconds", 0.01, 3600, &s->seconds));
    AM_TRY(read_u32(r, "n_fft", 16, 16384, c->sample_rate * 4 / 125, &c->n_fft));
    int64_t hop = c->sample_rate / 100;
    AM_TRY(read_u32(r, "hop", 1, 16384, hop < c->n_fft ? hop : c->n_fft, &c->hop));
    AM_TRY(read_u32(r, "n_mels", 1, 512, 40, &c->n_mels));
    AM_TRY(read_u32(r, "n_mfcc", 1, 512, c->n_mels < 13 ? c->n_mels : 13, &c->n_mfcc));
    AM_TRY(read_range(r, "low_hz", 0, 96000, &c->low_hz));
    AM_TRY(read_range(r, "high_hz", 0, 96000, &c->high_hz));
    AM_TRY(read_range(r, "gate_db", 0, 200, &c->gate_db));
    AM_TRY(read_range(r, "trim_db", 0, 200, &c->trim_db));
    AM_TRY(read_range(r, "range_db", 1, 200, &c->range_db));
    return read_sound_normalize(r);
}

enum am_rc am_fspec_read(const struct am_node *features, const struct am_column_desc *column,
                         struct am_arena *a, struct am_fspec *out, struct am_err *err)
{
    struct am_str name = column->name; /* these are keys of `features:` itself */
    bool reserved = am_str_is(name, "only") || am_str_is(name, "drop") ||
                    am_str_is(name, "default") || am_str_is(name, "select") ||
                    am_str_is(name, "derived");
    struct reader r = {.own = reserved ? NULL : am_node_get_str(features, name),
                       .common = am_node_get(features, "default"),
                       .column = column,
                       .arena = a,
                       .out = out,
                       .err = err};
    int64_t n;
    *out = (struct am_fspec){.factor = 1};
    AM_TRY(check_names(&r));
    AM_TRY(read_type(&r));
    if (column->type == AM_COL_IMAGE || column->type == AM_COL_VIDEO)
        return read_image(&r);
    if (column->type == AM_COL_AUDIO)
        return read_sound(&r);
    AM_TRY(read_encode(&r));
    AM_TRY(read_scale(&r));
    AM_TRY(read_impute(&r));
    AM_TRY(read_bool(&r, "indicator", false, &out->indicator));
    AM_TRY(read_count(&r, "quantiles", 2, AM_F_MAX_QUANTILES, 1000, &n));
    out->n_quantiles = (size_t)n;
    if (column->type == AM_COL_NUMBER)
        AM_TRY(read_unit(&r));
    if (column->type == AM_COL_DATE)
        return read_parts(&r);
    if (am_fkind_is_terms(out->kind)) {
        out->text = am_arena_zalloc(a, sizeof *out->text);
        AM_TRY(am_arena_check(a, err));
        return am_ftext_spec_read(r.own, r.common, column->name, out->kind, a, out->text, err);
    }
    if (column->type == AM_COL_CATEGORY || column->type == AM_COL_TEXT) {
        AM_TRY(read_category_keys(&r));
        return read_order(&r);
    }
    return AM_OK;
}
