/* AI Mass, embedded: load one .aim file and predict, from C or C++. Link with -laimass.
 *
 * The library holds no trainer, no server, no data base and starts no thread; it needs libc, libm,
 * jansson and libcrypto only.
 *
 *   aimass_error err;
 *   aimass_model *model;
 *   aimass_predictor *p;
 *   aimass_answer a;
 *   double row[] = {2.3, 4.5};
 *   if (aimass_load("model.aim", &model, &err) || aimass_predictor_new(model, &p, &err) ||
 *       aimass_predict_row(p, row, 2, &a, &err))
 *       fprintf(stderr, "%s\n", err.message);
 *
 * Threads: a model is immutable and may be used by any number of threads; a predictor belongs to
 * one thread at a time; aimass_retain and aimass_free may be called by any thread. Errors: every
 * function that can fail returns an aimass_status, 0 = done, and fills *err when err is not NULL.
 * Nothing is printed, nothing exits, no global changes; loading a hostile file is safe. Stability:
 * structs only grow at their end and functions are only added within one AIMASS_ABI_VERSION. */
#ifndef AIMASS_H
#define AIMASS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define AIMASS_ABI_VERSION 1

#if defined(__GNUC__)
#define AIMASS_API __attribute__((visibility("default")))
#else
#define AIMASS_API
#endif

typedef enum aimass_status {
    AIMASS_OK = 0,
    AIMASS_INVALID = 1,     /* wrong argument, column, type or value */
    AIMASS_NOT_FOUND = 2,   /* no such file */
    AIMASS_CORRUPT = 3,     /* the file is damaged, or no .aim file */
    AIMASS_LIMIT = 4,       /* over a limit */
    AIMASS_PERMISSION = 5,  /* not readable, or signed by nobody who is trusted */
    AIMASS_UNSUPPORTED = 6, /* made by a newer version */
    AIMASS_OUT_OF_MEMORY = 7,
    AIMASS_IO = 8,
    AIMASS_INTERNAL = 9
} aimass_status;

typedef struct aimass_error {
    aimass_status status;
    char message[768]; /* what and why; lower case, no full stop */
    char hint[512];    /* what to do; may be empty */
} aimass_error;

typedef struct aimass_model aimass_model;
typedef struct aimass_predictor aimass_predictor;

/* "0.1.0" of the library; AIMASS_ABI_VERSION of the library. */
AIMASS_API const char *aimass_version(void);
AIMASS_API int aimass_abi_version(void);

/* ---- loading ---- */

AIMASS_API aimass_status aimass_load(const char *path, aimass_model **out, aimass_error *err);
/* The bytes of an .aim file; they may be freed afterwards. */
AIMASS_API aimass_status aimass_load_bytes(const void *bytes, size_t n_bytes, aimass_model **out,
                                           aimass_error *err);
/* Only when signed by one of n_keys trusted keys (Ed25519, 32 bytes each). */
AIMASS_API aimass_status aimass_load_signed(const char *path, const unsigned char (*keys)[32],
                                            size_t n_keys, aimass_model **out, aimass_error *err);
AIMASS_API aimass_model *aimass_retain(aimass_model *m); /* one more reference; returns m */
AIMASS_API void aimass_free(aimass_model *m);            /* one reference less; NULL is fine */

/* ---- describing; texts are UTF-8 and live as long as the model ---- */

/* All that is known, as one JSON object: name, task, inputs, target, metrics, lineage. */
AIMASS_API const char *aimass_describe(const aimass_model *m);
AIMASS_API const char *aimass_card(const aimass_model *m); /* Markdown */

typedef enum aimass_type {
    AIMASS_NUMBER = 0,
    AIMASS_BOOLEAN = 1,  /* given as 0 and 1 */
    AIMASS_CATEGORY = 2, /* given as text */
    AIMASS_TEXT = 3,
    AIMASS_DATE =
        4, /* given as text ("2026-11-21", "2026-11-21 13:17:04") or as seconds since 1970 UTC */
    AIMASS_IMAGE = 5, /* given as bytes, see aimass_predict_media */
    AIMASS_AUDIO = 6,
    AIMASS_VIDEO = 7
} aimass_type;

AIMASS_API size_t aimass_n_inputs(const aimass_model *m);
AIMASS_API const char *aimass_input_name(const aimass_model *m, size_t i); /* NULL past the end */
AIMASS_API aimass_type aimass_input_type(const aimass_model *m, size_t i); /* i < n_inputs */
AIMASS_API size_t aimass_n_classes(const aimass_model *m); /* 0 = regression, anomaly, embedding */
AIMASS_API const char *aimass_class_name(const aimass_model *m, size_t i); /* NULL past the end */
/* Two classes: p >= it is class 1. Anomaly: a score >= it is one. */
AIMASS_API double aimass_threshold(const aimass_model *m);

/* ---- predicting ---- */

/* Keeps a reference of the model. */
AIMASS_API aimass_status aimass_predictor_new(aimass_model *m, aimass_predictor **out,
                                              aimass_error *err);
AIMASS_API void aimass_predictor_free(aimass_predictor *p); /* NULL is fine */

typedef struct aimass_answer { /* arrays belong to the predictor and live until its next call */
    size_t n_rows, n_classes;
    const float *probability; /* [n_rows, n_classes]; NULL without classes */
    const int32_t *label;     /* [n_rows] index of the class; anomaly: 1 = it is one, 0 = it is not;
                                 clusters: which, -1 = none; NULL for regression and embedding */
    const double *value;      /* [n_rows] regression: the number; classes: probability of the label;
                                 anomaly and embedding: the anomaly score; clusters: the distance
                                 to the nearest, or the log density of the row */
} aimass_answer;

/* One row of all inputs in order, when every input is a number or boolean; NaN = missing. About a
 * microsecond for a small network, and no allocation from the second call on. */
AIMASS_API aimass_status aimass_predict_row(aimass_predictor *p, const double *values,
                                            size_t n_values, aimass_answer *out, aimass_error *err);
/* values: [n_rows, n_columns] row by row; n_columns must be aimass_n_inputs(). */
AIMASS_API aimass_status aimass_predict_rows(aimass_predictor *p, const double *values,
                                             size_t n_rows, size_t n_columns, aimass_answer *out,
                                             aimass_error *err);

/* Models of anomalies and embeddings: what each row of the last call was reduced to, of clusters
 * the distance to, or the probability of, each; [n_rows, aimass_n_embedding()]; NULL for other
 * models. Belongs to the predictor and lives until its next call. */
AIMASS_API size_t aimass_n_embedding(const aimass_model *m); /* 0 for other models */
AIMASS_API const float *aimass_embedding(const aimass_predictor *p);

typedef struct aimass_column {
    const char *name;
    const double *numbers;    /* [n_rows], NaN = missing; or NULL */
    const char *const *texts; /* [n_rows], NULL = missing; or NULL. Numbers as text are read. */
} aimass_column;
/* Columns by name, in any order; columns that are no inputs are ignored, a missing one is an error.
 * Each has numbers or texts. */
AIMASS_API aimass_status aimass_predict_columns(aimass_predictor *p, const aimass_column *columns,
                                                size_t n_columns, size_t n_rows, aimass_answer *out,
                                                aimass_error *err);

/* ---- pictures, sounds, videos ---- */

/* The library decodes no files (PNG, WAV, ...): a cell is AIMASS_RAW_BYTES of header and then the
 * pixels, 8 bits each, sRGB, [height, width, channels], channels 1, 3 or 4; or the samples, signed
 * 16 bits, little-endian, [frames, channels]; or the pixels of a video's frames, 25 a second,
 * [frames, height, width, channels], at most 65535 frames, channels 1 or 3. These write the header:
 */
#define AIMASS_RAW_BYTES 16
AIMASS_API void aimass_image_header(uint32_t width, uint32_t height, uint32_t channels,
                                    unsigned char out[AIMASS_RAW_BYTES]);
AIMASS_API void aimass_audio_header(uint32_t sample_rate, uint32_t channels, uint32_t n_frames,
                                    unsigned char out[AIMASS_RAW_BYTES]);
AIMASS_API void aimass_video_header(uint32_t n_frames, uint32_t width, uint32_t height,
                                    uint32_t channels, unsigned char out[AIMASS_RAW_BYTES]);

typedef struct aimass_media {
    const char *name;         /* of an input of type AIMASS_IMAGE, AIMASS_AUDIO or AIMASS_VIDEO */
    const void *const *bytes; /* [n_rows], NULL = missing; borrowed for the call */
    const size_t *n_bytes;    /* [n_rows] header included */
} aimass_media;
/* As aimass_predict_columns for models with such inputs: they come in `media`, all others in
 * `columns` (NULL when there are none). */
AIMASS_API aimass_status aimass_predict_media(aimass_predictor *p, const aimass_media *media,
                                              size_t n_media, const aimass_column *columns,
                                              size_t n_columns, size_t n_rows, aimass_answer *out,
                                              aimass_error *err);

#ifdef __cplusplus
}
#endif

#endif
