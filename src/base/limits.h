/* The one table of limits; quoted in docs/LIMITS.md. Sizes in bytes unless the name says otherwise.
 * Every number that bounds outside input stands here and nowhere else. */
#ifndef AM_BASE_LIMITS_H
#define AM_BASE_LIMITS_H

#define AM_LIMIT_ARENA_BYTES ((size_t)1 << 30)
#define AM_LIMIT_JSON_DEPTH 64
#define AM_LIMIT_JSON_KEYS 100000              /* of one map */
#define AM_LIMIT_JSON_VALUES ((size_t)1 << 22) /* of one document */
#define AM_LIMIT_JSON_STRING_BYTES ((size_t)16 << 20)
#define AM_LIMIT_JSON_BYTES ((size_t)64 << 20) /* metadata documents */
#define AM_LIMIT_RECIPE_BYTES ((size_t)1 << 20)
#define AM_LIMIT_HTTP_BODY_BYTES ((size_t)64 << 20)
#define AM_LIMIT_HTTP_BODIES_BYTES ((size_t)256 << 20) /* bodies in flight of one event loop */
#define AM_LIMIT_HTTP_URI_BYTES 8192
#define AM_LIMIT_HTTP_HEADER_LINE_BYTES 8192
#define AM_LIMIT_HTTP_HEADERS_BYTES 32768
#define AM_LIMIT_HTTP_HEADERS 100
#define AM_LIMIT_HTTP_CHUNKS 65536
#define AM_LIMIT_HTTP_HEADER_MS 10000
#define AM_LIMIT_HTTP_BODY_IDLE_MS 20000
#define AM_LIMIT_HTTP_KEEPALIVE_MS 60000
#define AM_LIMIT_HTTP_REQUESTS_PER_CONN 10000
#define AM_LIMIT_HTTP_CONNS_PER_IP 256
#define AM_LIMIT_HTTP_BODY_RATE 1024 /* bytes a second, after 10 s */
#define AM_LIMIT_HTTP_WRITE_IDLE_MS 20000
#define AM_LIMIT_HTTP_CHUNK_MEAN_BYTES 64 /* after the first AM_LIMIT_HTTP_CHUNKS_FREE */
#define AM_LIMIT_HTTP_CHUNKS_FREE 1024
#define AM_LIMIT_HTTP_PARKED 1024                 /* requests waiting for a model to load */
#define AM_LIMIT_PREDICT_CELLS ((size_t)1 << 24)  /* rows x columns of one request */
#define AM_LIMIT_PREDICT_MEDIA 4096               /* pictures, sounds, videos of one request */
#define AM_LIMIT_PREDICT_PIXELS ((size_t)1 << 27) /* decoded pixels and sound samples of one */
#define AM_LIMIT_PREDICT_VIDEO ((size_t)1 << 31)  /* pixels of all frames of one's videos */
#define AM_LIMIT_PREDICT_MS 30000                 /* deadline of a request */
#define AM_LIMIT_OUTPUTS 64                       /* wanted outputs of one request */
#define AM_LIMIT_TENSOR_RANK 8
#define AM_LIMIT_TENSOR_BYTES ((size_t)1 << 34)
#define AM_LIMIT_NAME_BYTES 128
#define AM_LIMIT_MODEL_HEADER_BYTES ((size_t)16 << 20)
#define AM_LIMIT_MODEL_ENTRIES 64
#define AM_LIMIT_GRAPH_NODES 65536
#define AM_LIMIT_CSV_COLUMNS 65536
#define AM_LIMIT_CSV_CELL_BYTES ((size_t)1 << 20)
#define AM_LIMIT_CSV_LINE_BYTES ((size_t)16 << 20)
#define AM_LIMIT_LABELS 24 /* that a row can have at once: bits of an exact float */
#define AM_LIMIT_CLASSES 65536
#define AM_LIMIT_CATEGORIES 1000000                /* distinct values kept for one column */
#define AM_LIMIT_FEATURES 1048576                  /* floats a row that the transforms may give */
#define AM_LIMIT_DENSIFY_BYTES ((size_t)1 << 30)   /* sparse rows made dense for a learner */
#define AM_LIMIT_TEXT_TERMS ((size_t)1 << 22)      /* distinct terms counted for one text column */
#define AM_LIMIT_TEXT_TERM_BYTES ((size_t)1 << 29) /* and their bytes */
#define AM_LIMIT_TEXT_RULES 64                     /* cleaning rules of a text column */
#define AM_LIMIT_TEXT_RULE_BYTES 1024              /* the pattern of one */
#define AM_LIMIT_VECTOR_DIMENSIONS 2000            /* of a word's vector */
#define AM_LIMIT_VECTOR_BYTES ((size_t)8 << 30)    /* a file of word vectors */
#define AM_LIMIT_VECTOR_MODEL_FLOATS ((size_t)1 << 23) /* word vectors kept with a model */
#define AM_LIMIT_FILTER_BYTES 4096 /* filter and order expressions of the registry */
#define AM_LIMIT_FILTER_TERMS 64
#define AM_LIMIT_TAG_KEY_BYTES 250 /* keys of tags, params and metrics */
#define AM_LIMIT_TAG_VALUE_BYTES 8000
#define AM_LIMIT_RUN_LOG_BYTES ((size_t)4 << 20)
#define AM_LIMIT_LIST_ROWS 10000
#define AM_LIMIT_MEDIA_FILE_BYTES ((size_t)64 << 20) /* one picture or sound, as it came */
#define AM_LIMIT_MEDIA_FILES 10000000                /* of one source */
#define AM_LIMIT_IMAGE_PIXELS ((size_t)1 << 26)      /* of one picture */
#define AM_LIMIT_IMAGE_SIDE 65535u
#define AM_LIMIT_SOUND_SAMPLES ((size_t)1 << 28) /* of one sound, all channels */
#define AM_LIMIT_SOUND_CHANNELS 8u
#define AM_LIMIT_SOUND_RATE 768000u
#define AM_LIMIT_VIDEO_PIXELS ((size_t)1 << 24)  /* of one frame */
#define AM_LIMIT_VIDEO_FRAMES 262144u            /* of one video */
#define AM_LIMIT_VIDEO_DECODED ((size_t)1 << 36) /* pixels of all frames of one video */
#define AM_LIMIT_VIDEO_STREAMS 16u
#define AM_LIMIT_VIDEO_MS 120000                 /* to decode one video */
#define AM_LIMIT_WEIGHTS_BYTES ((size_t)8 << 30) /* a file that train.weights names */
#define AM_LIMIT_WEIGHTS_ARRAYS 65536            /* groups and arrays of it */
#define AM_LIMIT_ARCHIVE_FILES 10000000
#define AM_LIMIT_ARCHIVE_BYTES ((size_t)1 << 38)       /* unpacked, of one archive */
#define AM_LIMIT_ARCHIVE_RATIO 200                     /* unpacked to packed, above the next */
#define AM_LIMIT_ARCHIVE_RATIO_FREE ((size_t)64 << 20) /* bytes unpacked before ratios count */

#endif
