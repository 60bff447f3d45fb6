/* Pictures and sounds as datasets: every form of source, every kind of bad file, what the report
 * says, order and hash whatever the threads, memory that fails, splits that follow the files. */
#include "support.h"

#include <stdatomic.h>
#include <sys/stat.h>
#include <zlib.h>

#include "base/limits.h"
#include "base/pool.h"
#include "data/media_rows.h"
#include "tensor/media.h"
#include "tensor/ports_abi.h"

static struct am_arena *arena;
static struct am_dataset_info info;
static struct am_err err;
static char dir[128];

/* A decoder for tests: "FAKE w h frames body"; the body must be ten bytes for `decode` to like it.
 */
static atomic_int n_decoded;

static enum am_rc fake_probe(struct am_str b, struct am_image_info *out, struct am_err *e)
{
    unsigned w, h, frames;
    char text[64] = {0};
    memcpy(text, b.ptr, b.len < 63 ? b.len : 63);
    if (sscanf(text, "FAKE %u %u %u", &w, &h, &frames) != 3)
        return am_fail(e, AM_EINVAL, "not a picture of a kind that is read");
    *out = (struct am_image_info){
        .width = w, .height = h, .channels = 3, .format = "fake", .n_frames = frames};
    return AM_OK;
}

static enum am_rc fake_decode(struct am_str b, struct am_image *out, struct am_err *e)
{
    struct am_image_info i;
    AM_TRY(fake_probe(b, &i, e));
    atomic_fetch_add(&n_decoded, 1);
    if (b.ptr[b.len - 1] != '!')
        return am_fail(e, AM_EINVAL, "the picture is truncated");
    uint8_t *pixels = am_calloc((size_t)i.width * i.height, 3);
    if (!pixels)
        return am_fail_nomem(e, (uint64_t)i.width * i.height * 3);
    *out = (struct am_image){i.width, i.height, 3, pixels};
    return AM_OK;
}
static enum am_rc fake_start(const struct am_host *host, struct am_err *e)
{
    (void)host;
    (void)e;
    return AM_OK;
}
static const char *fake_version(void)
{
    return "fake 1";
}
static const struct am_images_ops fake_images = {.abi = AM_PORTS_ABI,
                                                 .size = sizeof fake_images,
                                                 .name = "fake",
                                                 .start = fake_start,
                                                 .probe = fake_probe,
                                                 .decode = fake_decode,
                                                 .version = fake_version};
static enum am_rc fake_loader(void *ctx, const struct am_images_ops **out, struct am_err *e)
{
    (void)ctx;
    (void)e;
    *out = &fake_images;
    return AM_OK;
}

static int setup(void **state)
{
    (void)state;
    arena = am_arena_new(0);
    am_err_clear(&err);
    info = (struct am_dataset_info){0};
    am_media_set_loader(&(struct am_media_loader){.images = fake_loader});
    atomic_store(&n_decoded, 0);
    return arena ? 0 : -1;
}
static int teardown(void **state)
{
    (void)state;
    if (info.rows.ops)
        info.rows.ops->free(info.rows.impl);
    am_media_set_loader(NULL);
    am_arena_free(arena);
    return 0;
}

/* ---- making files ---- */

static char root[256];
static void new_root(void)
{
    snprintf(root, sizeof root, "%s/folder-%u", scratch, n_made++);
    assert_int_equal(mkdir(root, 0755), 0);
}

static void put(const char *name, const void *bytes, size_t n)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')) != NULL; *p++ = '/') {
        *p = '\0';
        (void)mkdir(path, 0755);
    }
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}
static void put_text(const char *name, const char *text)
{
    put(name, text, strlen(text));
}

static size_t raw_image(unsigned char *out, unsigned w, unsigned h, unsigned char value)
{
    am_image_raw_header(w, h, 1, out);
    memset(out + AM_MEDIA_RAW_BYTES, value, (size_t)w * h);
    return AM_MEDIA_RAW_BYTES + (size_t)w * h;
}
static void put_raw(const char *name, unsigned w, unsigned h, unsigned char value)
{
    unsigned char bytes[4096];
    put(name, bytes, raw_image(bytes, w, h, value));
}

static enum am_rc import_root(struct am_import_options *o)
{
    return import_spec(root, o, arena, &info, dir, &err);
}

static const struct am_node *import_node(void)
{
    return am_node_get(info.report, "import");
}
static void expect_bad(const char *file, const char *reason)
{
    const struct am_node *bad = am_node_get(import_node(), "bad");
    assert_non_null(bad);
    for (size_t i = 0; i < bad->list.n; i++) {
        struct am_str name = am_node_str(bad->list.items[i], "file", "");
        struct am_str why = am_node_str(bad->list.items[i], "reason", "");
        if (!am_str_is(name, file))
            continue;
        if (!strstr(why.ptr, reason))
            fail_msg("%s: \"%s\", expected \"%s\"", file, why.ptr, reason);
        return;
    }
    fail_msg("\"%s\" is not among the bad files", file);
}
static void expect_note(const char *kind)
{
    const struct am_node *notes = am_node_get(import_node(), "notes");
    for (size_t i = 0; notes && i < notes->list.n; i++)
        if (am_str_is(am_node_str(notes->list.items[i], "kind", ""), kind))
            return;
    fail_msg("there is no note \"%s\"", kind);
}
static const struct am_node *column_profile(const char *name)
{
    const struct am_node *columns = am_node_get(info.profile, "columns");
    for (size_t i = 0; i < columns->list.n; i++)
        if (am_str_is(am_node_str(columns->list.items[i], "name", ""), name))
            return columns->list.items[i];
    fail_msg("no column \"%s\"", name);
    return NULL;
}

/* All cells of the dataset's column as one text each. */
static struct am_str cells[4096];
static size_t read_column(const char *name)
{
    struct am_dataset_schema schema;
    struct am_table t;
    struct am_table_iter *it;
    size_t n = 0;
    assert_int_equal(am_dataset_open_dir(&tables, arena, dir, &schema, &t, &err), AM_OK);
    size_t c = am_schema_find(t.ops->schema(t.impl), am_str(name));
    assert_true(c != SIZE_MAX);
    assert_int_equal(t.ops->open(t.impl, &c, 1, &it, &err), AM_OK);
    for (const struct am_batch *b;;) {
        if (t.ops->next(it, &b, &err) != AM_OK)
            fail_msg("%s", err.message);
        if (!b)
            break;
        for (size_t i = 0; i < b->n_rows && n < 4096; i++)
            cells[n++] = b->columns[0].text[i].ptr ? am_arena_str(arena, b->columns[0].text[i])
                                                   : (struct am_str){NULL, 0};
    }
    t.ops->close(it);
    t.ops->free(t.impl);
    return n;
}

#define EXPECT_OK(call)                                                                            \
    do {                                                                                           \
        if ((call) != AM_OK)                                                                       \
            fail_msg("%s (%s)", err.message, err.hint);                                            \
    } while (0)

/* ---- folders ---- */

static void test_class_folders(void **state)
{
    (void)state;
    struct am_import_options o = {.cache_bytes = 1 << 20};
    new_root();
    put_raw("cat/a.png", 2, 3, 1);
    put_raw("cat/b.png", 2, 3, 2);
    put_raw("dog/deep/c.png", 4, 3, 3);
    put_raw("dog/d", 2, 3, 1); /* known by its bytes */
    put_text("cat/.hidden", "x");
    put_text("README.md", "words");
    put_text("dog/notes.txt", "words");
    put("dog/empty.png", "", 0);
    EXPECT_OK(import_root(&o));
    assert_int_equal(info.schema.n, 3);
    assert_int_equal(info.schema.n_rows, 4);
    assert_true(am_str_is(info.schema.columns[0].name, "image"));
    assert_int_equal(info.schema.columns[0].type, AM_COL_IMAGE);
    assert_int_equal(info.schema.columns[0].stored, AM_STORED_BLOB);
    assert_int_equal(info.schema.columns[1].type, AM_COL_CATEGORY);
    assert_true(info.schema.columns[2].aside && !info.schema.columns[1].aside);
    assert_int_equal(am_node_i64(import_node(), "files", 0), 7);
    assert_int_equal(am_node_i64(import_node(), "n_bad", 0), 3);
    expect_bad("README.md", "neither");
    expect_bad("dog/notes.txt", "neither");
    expect_bad("dog/empty.png", "empty");
    expect_note("sizes");
    assert_int_equal(read_column("label"), 4);
    assert_true(am_str_is(cells[0], "cat") && am_str_is(cells[3], "dog"));
    assert_int_equal(read_column("file"), 4);
    assert_true(am_str_is(cells[0], "cat/a.png") && am_str_is(cells[2], "dog/d") &&
                am_str_is(cells[3], "dog/deep/c.png"));
    assert_int_equal(read_column("image"), 4);
    assert_int_equal(cells[0].len, AM_MEDIA_RAW_BYTES + 6);
    assert_int_equal(cells[1].ptr[AM_MEDIA_RAW_BYTES], 2);
    /* the profile reads headers */
    const struct am_node *p = column_profile("image");
    assert_int_equal(am_node_i64(am_node_get(p, "formats"), "raw", 0), 4);
    assert_true(am_node_f64(am_node_get(p, "width"), "max", 0) == 4);
    assert_int_equal(am_node_i64(p, "distinct", 0), 3);
    /* rows in memory are those of the file, and the hash holds */
    assert_non_null(info.rows.ops);
    assert_int_equal(info.rows.ops->n_rows(info.rows.impl), 4);
    struct am_str part = am_arena_printf(arena, "%s/part-0000.parquet", dir);
    struct am_dataset_files f = {&part, 1, &info.schema};
    EXPECT_OK(am_dataset_check(&tables, &f, &err));
}

static void test_split_folders(void **state)
{
    (void)state;
    struct am_import_options o = {0};
    new_root();
    put_raw("train/cat/a.png", 2, 2, 1);
    put_raw("train/dog/b.png", 2, 2, 2);
    put_raw("test/cat/c.png", 2, 2, 3);
    put_raw("val/dog/d.png", 2, 2, 4);
    EXPECT_OK(import_root(&o));
    assert_int_equal(info.schema.n, 4);
    assert_int_equal(read_column("split"), 4);
    assert_true(am_str_is(cells[0], "test") && am_str_is(cells[1], "train") &&
                am_str_is(cells[3], "validation"));
    assert_int_equal(read_column("label"), 4);
    assert_true(am_str_is(cells[0], "cat") && am_str_is(cells[3], "dog"));
}

static void test_bad_files(void **state)
{
    (void)state;
    struct am_import_options o = {0};
    char link[512], text[64];
    new_root();
    for (int i = 0; i < 12; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s/%d.png", i % 2 ? "a" : "b", i);
        put_raw(name, 3, 3, (unsigned char)i);
    }
    put_text("a/good.jpg", "FAKE 5 4 1 body!");
    put_text("a/moving.gif", "FAKE 5 4 7 body!");
    put_text("a/cut.jpg", "FAKE 5 4 1 bod");
    put_text("a/text.jpg", "hello");
    put_text("a/huge.jpg", "FAKE 60000 60000 1 body!");
    put_text("a/sound.wav", "RIFF....WAVE");
    put_raw("loose.png", 2, 2, 1);
    put_raw("single/one.png", 3, 3, 1);
    snprintf(link, sizeof link, "%s/b/away.png", root);
    assert_int_equal(symlink("/nonexistent/x.png", link), 0);
    put("b/short.png", "AMIM\1\1\0\0\4\0\0\0\4\0\0\0..", 18);
    EXPECT_OK(import_root(&o));
    assert_int_equal(info.schema.n_rows, 15);
    assert_int_equal(am_node_i64(import_node(), "n_bad", 0), 7);
    expect_bad("a/cut.jpg", "truncated");
    expect_bad("a/text.jpg", "not a picture");
    snprintf(text, sizeof text, "%zu", AM_LIMIT_IMAGE_PIXELS);
    expect_bad("a/huge.jpg", text);
    expect_bad("a/sound.wav", "a sound among pictures");
    expect_bad("loose.png", "no class folder");
    expect_bad("b/away.png", "leads nowhere");
    expect_bad("b/short.png", "16 were expected");
    expect_note("animated");
    expect_note("sizes");
    expect_note("one_file");
    assert_int_equal(atomic_load(&n_decoded), 3); /* the huge one never was */
}

static void put_film(const char *name, unsigned n, unsigned char value, size_t cut)
{
    unsigned char bytes[AM_MEDIA_RAW_BYTES + 600];
    am_video_raw_header(n, 4, 3, 1, bytes);
    memset(bytes + AM_MEDIA_RAW_BYTES, value, (size_t)n * 12);
    put(name, bytes, AM_MEDIA_RAW_BYTES + (size_t)n * 12 - cut);
}

static void test_videos(void **state)
{
    (void)state;
    struct am_import_options o = {0};
    new_root();
    put_film("up/a.mp4", 5, 1, 0);
    put_film("up/b.MOV", 3, 2, 0);
    put_film("down/c", 9, 3, 0); /* known by its bytes */
    put_film("down/d.webm", 3, 4, 0);
    put_film("down/cut.avi", 3, 4, 1);
    put("down/empty.mkv", "", 0);
    put_raw("down/still.png", 3, 3, 1);
    put_text("up/words.txt", "words");
    EXPECT_OK(import_root(&o));
    assert_int_equal(info.schema.n_rows, 4);
    assert_true(am_str_is(info.schema.columns[0].name, "video"));
    assert_int_equal(info.schema.columns[0].type, AM_COL_VIDEO);
    assert_int_equal(info.schema.columns[0].stored, AM_STORED_BLOB);
    assert_int_equal(am_node_i64(import_node(), "n_bad", 0), 4);
    expect_bad("down/cut.avi", "35 bytes of pixels, 36 were expected");
    expect_bad("down/empty.mkv", "empty");
    expect_bad("down/still.png", "a picture among videos");
    expect_bad("up/words.txt", "neither");
    assert_int_equal(read_column("video"), 4);
    assert_int_equal(cells[0].len, AM_MEDIA_RAW_BYTES + 9 * 12);
    const struct am_node *profile = column_profile("video");
    assert_int_equal(am_node_i64(am_node_get(profile, "formats"), "raw", 0), 4);
    assert_true(am_node_f64(am_node_get(profile, "frames"), "max", 0) == 9);
    assert_true(am_node_f64(am_node_get(profile, "width"), "min", 0) == 4);
}

static void test_kinds(void **state)
{
    (void)state;
    static const struct {
        struct am_str head;
        enum media_kind kind;
    } heads[] = {
        {AM_STR_INIT("\0\0\0\x18"
                     "ftypisom"),
         MEDIA_VIDEO},
        {AM_STR_INIT("\0\0\0\x18"
                     "ftypheic"),
         MEDIA_NONE},
        {AM_STR_INIT("\0\0\0\x18"
                     "ftypM4A "),
         MEDIA_NONE},
        {AM_STR_INIT("RIFF\0\0\0\0AVI LIST"), MEDIA_VIDEO},
        {AM_STR_INIT("RIFF\0\0\0\0WAVEfmt "), MEDIA_AUDIO},
        {AM_STR_INIT("\x1A\x45\xDF\xA3...."), MEDIA_VIDEO},
        {AM_STR_INIT("\0\0\x01\xBA...."), MEDIA_VIDEO},
        {AM_STR_INIT("FLV\x01"), MEDIA_VIDEO},
        {AM_STR_INIT("#EXTM3U\n"), MEDIA_NONE},
    };
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
        assert_int_equal(media_kind_of_head(heads[i].head), heads[i].kind);
    assert_int_equal(media_kind_of_name(AM_STR("a/b.Mp4")), MEDIA_VIDEO);
    assert_int_equal(media_kind_of_name(AM_STR("mp4")), MEDIA_NONE);
    assert_int_equal(media_kind_of_name(AM_STR("list.m3u8")), MEDIA_NONE);
}

static void test_more_bad_than_good(void **state)
{
    (void)state;
    struct am_import_options o = {0};
    new_root();
    put_raw("a/1.png", 2, 2, 1);
    put_text("a/2.png", "no");
    put_text("b/3.png", "no");
    assert_int_equal(import_root(&o), AM_EINVAL);
    assert_non_null(strstr(err.message, "2 of 3 files cannot be used; the first is \"a/2.png\""));
    assert_non_null(strstr(err.hint, "Repair"));
    assert_false(am_fs_exists(dir));
    new_root();
    put_text("a/notes.txt", "no");
    assert_int_equal(import_root(&o), AM_EINVAL);
    assert_non_null(strstr(err.message, "without pictures, sounds or videos"));
}

static void test_no_decoder(void **state)
{
    (void)state;
    struct am_import_options o = {0};
    new_root();
    put_raw("a/1.png", 2, 2, 1);
    put_text("a/2.png", "FAKE 5 4 1 body!");
    am_media_set_loader(NULL);
    assert_int_equal(import_root(&o), AM_EMISSING);
    assert_non_null(strstr(err.hint, "libvips"));
    assert_false(am_fs_exists(dir));
}

/* Order, hash and verdicts are the same for any number of threads. */
static void test_threads(void **state)
{
    (void)state;
    struct am_str hash[2];
    new_root();
    for (int i = 0; i < 300; i++) {
        char name[64], text[64];
        snprintf(name, sizeof name, "%c/%03d.jpg", 'a' + i % 3, i);
        snprintf(text, sizeof text, "FAKE %d 4 1 %d%s", 2 + i % 5, i, i % 50 ? "!" : "");
        put_text(name, text);
    }
    for (unsigned t = 0; t < 2; t++) {
        struct am_pool *pool = NULL;
        struct am_import_options o = {0};
        if (t)
            EXPECT_OK(am_pool_new(4, &pool, &err));
        o.source.pool = pool;
        EXPECT_OK(import_root(&o));
        am_pool_free(pool);
        hash[t] = info.hash;
        assert_int_equal(info.schema.n_rows, 294);
        const struct am_node *bad = am_node_get(import_node(), "bad");
        assert_int_equal(bad->list.n, 6);
        assert_true(am_str_is(am_node_str(bad->list.items[0], "file", ""), "a/000.jpg"));
    }
    assert_true(am_str_eq(hash[0], hash[1]));
}

/* ---- tables that name files ---- */

static void test_table_of_paths(void **state)
{
    (void)state;
    struct am_declared_type type = {AM_STR("picture"), AM_COL_IMAGE};
    struct am_import_options o = {.types = &type, .n_types = 1};
    char csv[600];
    new_root();
    put_raw("img/1.png", 2, 2, 1);
    put_raw("img/2.png", 2, 2, 2);
    put_text("table.csv", "id,picture,price\n1,img/1.png,2.5\n2,img/2.png,3\n3,img/none.png,4\n"
                          "4,,5\n5,img/1.png,oops\n");
    snprintf(csv, sizeof csv, "%s/table.csv", root);
    /* a bad cell elsewhere is still an error that names its line */
    put_text("table.csv", "id,picture,price\n1,img/1.png,2.5\n2,img/2.png,3\n3,img/none.png,4\n"
                          "4,,5\n");
    EXPECT_OK(import_spec(csv, &o, arena, &info, dir, &err));
    assert_int_equal(info.schema.n_rows, 3);
    expect_bad("img/none.png", "does not exist");
    assert_int_equal(read_column("picture"), 3);
    assert_int_equal(cells[1].ptr[AM_MEDIA_RAW_BYTES], 2);
    assert_null(cells[2].ptr);
    /* prediction refuses what import leaves out */
    struct am_source *s;
    struct am_str spec = am_str(csv);
    struct am_source_options so = {.specs = &spec, .n_specs = 1, .temp_dir = scratch};
    struct am_column_desc want = {AM_STR("picture"), AM_COL_IMAGE};
    struct am_schema schema = {&want, 1};
    struct am_table t;
    struct am_table_iter *it;
    const struct am_batch *b;
    EXPECT_OK(am_source_open(&tables, &so, &s, &err));
    EXPECT_OK(am_source_read(&tables, s, &schema, NULL, 0, &t, &err));
    EXPECT_OK(t.ops->open(t.impl, NULL, 0, &it, &err));
    assert_int_equal(t.ops->next(it, &b, &err), AM_ENOTFOUND);
    assert_non_null(strstr(err.message, "img/none.png"));
    t.ops->close(it);
    t.ops->free(t.impl);
    am_source_close(s);
}

static void test_files_one_by_one(void **state)
{
    (void)state;
    struct am_import_options o = {0};
    char glob[600];
    new_root();
    put_raw("x/1.png", 2, 2, 1);
    put_raw("x/2.png", 2, 2, 2);
    snprintf(glob, sizeof glob, "%s/x/*.png", root);
    EXPECT_OK(import_spec(glob, &o, arena, &info, dir, &err));
    assert_int_equal(info.schema.n, 2);
    assert_int_equal(info.schema.n_rows, 2);
}

/* ---- names that say something ---- */

static enum am_rc import_pattern(const char *pattern)
{
    struct am_import_options o = {.source.pattern = am_str(pattern)};
    return import_root(&o);
}

static void expect_cells(const char *column, const char *const *want)
{
    size_t n = read_column(column);
    for (size_t i = 0; i < n; i++)
        if (!am_str_is(cells[i], want[i]))
            fail_msg("%s %zu: \"%.*s\", expected \"%s\"", column, i, AM_FMT(cells[i]), want[i]);
    assert_null(want[n]);
}

static void test_pattern(void **state)
{
    (void)state;
    new_root();
    put_raw("0_ann_1.png", 2, 2, 1);
    put_raw("0_bob_12.png", 2, 2, 2);
    put_raw("sub/7_ann_x_y.png", 2, 2, 3);
    put_raw("loose.png", 2, 2, 4);
    put_raw("0__1.png", 2, 2, 5); /* nobody */
    put_text("0_bob_2.png", "no picture");
    put_text("sub/notes_about_it.txt", "words");
    EXPECT_OK(import_pattern("{digit}_{speaker}_*.png"));
    assert_int_equal(info.schema.n, 4);
    assert_int_equal(info.schema.n_rows, 3);
    for (size_t i = 1; i < 4; i++) /* the target is one of them; no other is a feature */
        assert_true(info.schema.columns[i].aside);
    assert_int_equal(info.schema.columns[3].type, AM_COL_CATEGORY);
    expect_cells("file",
                 (const char *const[]){"0_ann_1.png", "0_bob_12.png", "sub/7_ann_x_y.png", NULL});
    expect_cells("digit", (const char *const[]){"0", "0", "7", NULL});
    expect_cells("speaker", (const char *const[]){"ann", "bob", "ann", NULL});
    assert_int_equal(am_node_i64(import_node(), "n_bad", 0),
                     1); /* what does not fit is no bad file */
    expect_bad("0_bob_2.png", "not a picture");
    expect_note("pattern");
    /* the pattern says what folders mean, and as few characters as fit */
    new_root();
    put_raw("en_US_f/one/cat-1.png", 2, 2, 1);
    put_raw("more/fr_CA_f/two/a-b-2.png", 2, 2, 2);
    put_raw("two/c-2.png", 2, 2, 2);
    EXPECT_OK(import_pattern("{language}_*/{topic}/{word}-{take}.png"));
    assert_int_equal(info.schema.n, 6);
    expect_cells("language", (const char *const[]){"en", "fr", NULL});
    expect_cells("topic", (const char *const[]){"one", "two", NULL});
    expect_cells("word", (const char *const[]){"cat", "a", NULL});
    expect_cells("take", (const char *const[]){"1", "b-2", NULL});
    EXPECT_OK(import_pattern("{name}.png"));
    expect_cells("name", (const char *const[]){"cat-1", "a-b-2", "c-2", NULL});
    assert_int_equal(import_pattern("{name}.jpg"), AM_EINVAL);
    assert_non_null(strstr(err.message, "fits data.pattern"));
    assert_non_null(strstr(err.hint, "en_US_f/one/cat-1.png"));
}

static void test_pattern_refused(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *why;
    } bad[] = {{"*.png", "names no column"},
               {"{a}{b}.png", "nothing stands between"},
               {"{a}*.png", "nothing stands"},
               {"*{a}.png", "nothing stands"},
               {"{a.png", "not closed"},
               {"a}.png", "not opened"},
               {"{a/b}.png", "not closed"},
               {"{}.png", "1 to 64"},
               {"{a}_{a}.png", "named twice"},
               {"{image}.png", "columns already"},
               {"{a}_{b}_{c}_{d}_{e}_{f}_{g}_{h}_{i}", "more than 8"},
               {"{x}*_*_*_*_*_*_*_*_*_*_*_*_*_*_*_*_*_*", "nothing stands"},
               {"{x}_*_*_*_*_*_*_*_*_*_*_*_*_*_*_*_*_*_*", "more than 16"}};
    char csv[600];
    new_root();
    put_raw("a_b.png", 2, 2, 1);
    put_text("table.csv", "x,y\n1,2\n2,3\n");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(import_pattern(bad[i].pattern), AM_EUSAGE);
        if (!strstr(err.message, bad[i].why))
            fail_msg("%s: \"%s\", expected \"%s\"", bad[i].pattern, err.message, bad[i].why);
    }
    struct am_import_options o = {.source.pattern = AM_STR("{a}_*.csv")};
    snprintf(csv, sizeof csv, "%s/table.csv", root);
    assert_int_equal(import_spec(csv, &o, arena, &info, dir, &err), AM_EUSAGE);
    assert_non_null(strstr(err.message, "files of pictures, sounds or videos"));
}

/* ---- archives ---- */

struct packed {
    unsigned char bytes[1 << 16];
    size_t n, central_at, n_central;
    unsigned char central[8192];
};
static struct packed pack;

static void put32(unsigned char *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (unsigned char)(v >> 8 * i);
}

/* One stored entry of a zip. mode 0 = a plain file. */
static void zip_add(const char *name, const void *bytes, size_t n, unsigned mode)
{
    unsigned char h[30] = {'P', 'K', 3, 4, 20}, c[46] = {'P', 'K', 1, 2, 20, 3, 20};
    size_t len = strlen(name);
    uint32_t crc = (uint32_t)crc32(0, bytes, (unsigned)n);
    put32(h + 14, crc);
    put32(h + 18, (uint32_t)n);
    put32(h + 22, (uint32_t)n);
    h[26] = (unsigned char)len;
    put32(c + 16, crc);
    put32(c + 20, (uint32_t)n);
    put32(c + 24, (uint32_t)n);
    c[28] = (unsigned char)len;
    put32(c + 38, (mode ? mode : 0100644u) << 16);
    put32(c + 42, (uint32_t)pack.n);
    memcpy(pack.bytes + pack.n, h, 30);
    memcpy(pack.bytes + pack.n + 30, name, len);
    memcpy(pack.bytes + pack.n + 30 + len, bytes, n);
    pack.n += 30 + len + n;
    memcpy(pack.central + pack.central_at, c, 46);
    memcpy(pack.central + pack.central_at + 46, name, len);
    pack.central_at += 46 + len;
    pack.n_central++;
}
static void zip_end(void)
{
    unsigned char e[22] = {'P', 'K', 5, 6};
    e[8] = e[10] = (unsigned char)pack.n_central;
    put32(e + 12, (uint32_t)pack.central_at);
    put32(e + 16, (uint32_t)pack.n);
    memcpy(pack.bytes + pack.n, pack.central, pack.central_at);
    memcpy(pack.bytes + pack.n + pack.central_at, e, 22);
    pack.n += pack.central_at + 22;
}

static void test_zip(void **state)
{
    (void)state;
    struct am_import_options o = {0};
    unsigned char a[64], b[64];
    size_t n = raw_image(a, 4, 4, 7);
    raw_image(b, 4, 4, 9);
    pack = (struct packed){.n = 0};
    zip_add("pets/cat/1.png", a, n, 0);
    zip_add("pets/cat/2.png", b, n, 0);
    zip_add("pets/dog/3.png", a, n, 0);
    zip_add("pets/dog/4.png", b, n, 0);
    zip_add("pets/dog/5.png", b, n, 0);
    zip_add("../evil.png", a, n, 0);
    zip_add("/abs.png", a, n, 0);
    zip_add("pets/dog/link.png", "cat/1.png", 9, 0120777);
    zip_add("pets/notes.txt", "x", 1, 0);
    zip_add("__MACOSX/pets/._1.png", "x", 1, 0);
    zip_end();
    EXPECT_OK(import_spec(make_file("pets.zip", pack.bytes, pack.n), &o, arena, &info, dir, &err));
    assert_int_equal(info.schema.n_rows, 5);
    assert_int_equal(am_node_i64(import_node(), "n_bad", 0), 4);
    expect_bad("../evil.png", "out of the archive");
    expect_bad("/abs.png", "absolute");
    expect_bad("pets/dog/link.png", "link");
    expect_bad("pets/notes.txt", "neither");
    assert_int_equal(read_column("label"), 5);
    assert_true(am_str_is(cells[0], "cat") && am_str_is(cells[4], "dog"));
    assert_int_equal(read_column("image"), 5);
    assert_int_equal(cells[1].ptr[AM_MEDIA_RAW_BYTES], 9);
    char above[256];
    snprintf(above, sizeof above, "%s/../evil.png", scratch);
    assert_false(am_fs_exists(above)); /* nothing is ever unpacked to disk */
}

/* A tar block of an entry. */
static size_t tar_head(unsigned char *to, const char *name, uint64_t n, char type)
{
    memset(to, 0, 512);
    snprintf((char *)to, 100, "%s", name);
    memcpy(to + 100, "0000644", 7);
    snprintf((char *)to + 124, 12, "%011llo", (unsigned long long)n);
    to[156] = (unsigned char)type;
    memcpy(to + 257,
           "ustar\0"
           "00",
           8);
    memset(to + 148, ' ', 8);
    unsigned sum = 0;
    for (size_t i = 0; i < 512; i++)
        sum += to[i];
    snprintf((char *)to + 148, 8, "%06o", sum);
    return 512;
}

static void test_tar_gz_and_bomb(void **state)
{
    (void)state;
    struct am_import_options o = {0};
    static unsigned char block[1 << 16];
    unsigned char image[64];
    char path[256];
    size_t n = raw_image(image, 4, 4, 7);
    for (int bomb = 0; bomb < 2; bomb++) {
        snprintf(path, sizeof path, "%s/%u.tar.gz", scratch, n_made++);
        gzFile f = gzopen(path, "wb9");
        assert_non_null(f);
        for (int i = 0; i < 4; i++) {
            char name[64];
            snprintf(name, sizeof name, "./%s/%d.png", i % 2 ? "a" : "b", i);
            memset(block, 0, 1024);
            tar_head(block, name, n, '0');
            memcpy(block + 512, image, n);
            assert_int_equal(gzwrite(f, block, 1024), 1024);
        }
        if (bomb) { /* 200 MB of nothing */
            tar_head(block, "a/bomb.png", (uint64_t)200 << 20, '0');
            assert_int_equal(gzwrite(f, block, 512), 512);
            memset(block, 0, sizeof block);
            for (int i = 0; i < 3200; i++)
                assert_int_equal(gzwrite(f, block, sizeof block), sizeof block);
        }
        memset(block, 0, 1024);
        assert_int_equal(gzwrite(f, block, 1024), 1024);
        assert_int_equal(gzclose(f), Z_OK);
        enum am_rc rc = import_spec(path, &o, arena, &info, dir, &err);
        if (bomb) {
            assert_int_equal(rc, AM_ELIMIT);
            assert_non_null(strstr(err.message, "unpacks to more than"));
            assert_false(am_fs_exists(dir));
            continue;
        }
        EXPECT_OK(rc);
        assert_int_equal(info.schema.n_rows, 4);
        assert_int_equal(read_column("label"), 4);
        assert_true(am_str_is(cells[0], "b") && am_str_is(cells[1], "a"));
        /* cut off: one error with the archive's name */
        assert_int_equal(truncate(path, 60), 0);
        assert_int_equal(import_spec(path, &o, arena, &info, dir, &err), AM_EINVAL);
        assert_non_null(strstr(err.message, "is damaged"));
    }
}

/* ---- IDX and CIFAR ---- */

static size_t idx_images(unsigned char *to, unsigned n, unsigned side)
{
    const unsigned char head[16] = {0, 0, 8, 3,
                                    0, 0, 0, (unsigned char)n,
                                    0, 0, 0, (unsigned char)side,
                                    0, 0, 0, (unsigned char)side};
    memcpy(to, head, 16);
    for (unsigned i = 0; i < n * side * side; i++)
        to[16 + i] = (unsigned char)(i * 7);
    return 16 + (size_t)n * side * side;
}
static size_t idx_labels(unsigned char *to, unsigned n)
{
    const unsigned char head[8] = {0, 0, 8, 1, 0, 0, 0, (unsigned char)n};
    memcpy(to, head, 8);
    for (unsigned i = 0; i < n; i++)
        to[8 + i] = (unsigned char)(i % 3);
    return 8 + n;
}

static void test_idx(void **state)
{
    (void)state;
    struct am_import_options o = {0};
    static unsigned char bytes[8192];
    char path[600];
    new_root();
    put("train-images-idx3-ubyte", bytes, idx_images(bytes, 20, 5));
    put("train-labels-idx1-ubyte", bytes, idx_labels(bytes, 20));
    EXPECT_OK(import_root(&o));
    assert_int_equal(info.schema.n, 3); /* one part: no column split */
    put("t10k-images-idx3-ubyte", bytes, idx_images(bytes, 6, 5));
    put("t10k-labels-idx1-ubyte", bytes, idx_labels(bytes, 6));
    EXPECT_OK(import_root(&o));
    assert_int_equal(info.schema.n, 4);
    assert_int_equal(info.schema.n_rows, 26);
    assert_int_equal(read_column("split"), 26);
    assert_true(am_str_is(cells[19], "train") && am_str_is(cells[20], "test"));
    assert_int_equal(read_column("label"), 26);
    assert_true(am_str_is(cells[4], "1"));
    assert_int_equal(read_column("image"), 26);
    struct am_image image;
    EXPECT_OK(am_image_decode(cells[1], &image, &err));
    assert_int_equal(image.width, 5);
    assert_int_equal(image.pixels[0], (unsigned char)(25 * 7));
    am_image_clear(&image);
    /* one file named: its labels stand beside it */
    snprintf(path, sizeof path, "%s/t10k-images-idx3-ubyte", root);
    EXPECT_OK(import_spec(path, &o, arena, &info, dir, &err));
    assert_int_equal(info.schema.n_rows, 6);
    /* what is not whole is refused, not cut */
    put("t10k-images-idx3-ubyte", bytes, idx_images(bytes, 6, 5) - 3);
    assert_int_equal(import_root(&o), AM_EINVAL);
    assert_non_null(strstr(err.message, "ends too early"));
    size_t n = idx_images(bytes, 6, 5);
    put("t10k-images-idx3-ubyte", bytes, n + 1);
    assert_int_equal(import_root(&o), AM_EINVAL);
    assert_non_null(strstr(err.message, "goes on behind"));
    put("t10k-images-idx3-ubyte", bytes, idx_images(bytes, 5, 5));
    assert_int_equal(import_root(&o), AM_EINVAL);
    assert_non_null(strstr(err.message, "6 labels"));
    idx_images(bytes, 6, 5);
    bytes[8] = bytes[12] = 0x7f; /* two thousand million pixels on a side */
    put("t10k-images-idx3-ubyte", bytes, n);
    assert_int_equal(import_root(&o), AM_ELIMIT);
}

static void test_cifar(void **state)
{
    (void)state;
    struct am_import_options o = {0};
    static unsigned char record[4 * 3074];
    new_root();
    for (unsigned i = 0; i < 4; i++) {
        record[i * 3073] = (unsigned char)i;
        for (unsigned k = 0; k < 3072; k++)
            record[i * 3073 + 1 + k] = (unsigned char)(k / 1024 * 50 + i);
    }
    record[3 * 3073] = 77; /* no such class */
    put("data_batch_1.bin", record, 4 * 3073);
    put("test_batch.bin", record, 2 * 3073);
    put_text("batches.meta.txt", "airplane\nautomobile\nbird\n");
    EXPECT_OK(import_root(&o));
    assert_int_equal(info.schema.n_rows, 5);
    expect_bad("data_batch_1.bin#4", "out of range");
    assert_int_equal(read_column("label"), 5);
    assert_true(am_str_is(cells[1], "automobile") && am_str_is(cells[3], "airplane"));
    assert_int_equal(read_column("image"), 5);
    assert_int_equal(cells[1].len, AM_MEDIA_RAW_BYTES + 3072);
    assert_int_equal((unsigned char)cells[1].ptr[AM_MEDIA_RAW_BYTES + 1],
                     51); /* green of pixel 0 */
    new_root();
    memset(record, 3, sizeof record);
    put("train.bin", record, 2 * 3074);
    put("test.bin", record, 3074);
    EXPECT_OK(import_root(&o));
    assert_int_equal(info.schema.n, 5);
    assert_true(info.schema.columns[4].aside);
}

/* ---- what follows the import ---- */

/* Reads a source to its end, whatever it holds; the verdict is AM_OK or one about the file. */
static uint64_t read_whatever(const char *path)
{
    struct am_arena *a = am_arena_new(0);
    struct am_str spec = am_str(path);
    struct media_source *s = NULL;
    struct media_report report;
    struct am_table t;
    struct am_table_iter *it = NULL;
    uint64_t rows = 0;
    assert_non_null(a);
    enum am_rc rc = media_source_open(&spec, &spec, 1, a, &s, &err);
    if (rc == AM_OK) {
        assert_non_null(s);
        EXPECT_OK(media_report_init(&report, &err));
        EXPECT_OK(media_rows_table(s, &report, &t, &err));
        rc = t.ops->open(t.impl, NULL, 0, &it, &err);
        for (const struct am_batch *b; rc == AM_OK;) {
            rc = t.ops->next(it, &b, &err);
            if (rc != AM_OK || !b)
                break;
            for (size_t i = 0; i < b->n_rows; i++) {
                struct am_image image;
                if (am_image_decode(b->columns[0].text[i], &image, NULL) == AM_OK)
                    am_image_clear(&image);
            }
            rows += b->n_rows;
        }
        t.ops->close(it);
        t.ops->free(t.impl);
        media_report_clear(&report);
    }
    if (rc != AM_OK && rc != AM_EINVAL && rc != AM_ELIMIT)
        fail_msg("%s: %s", am_rc_name(rc), err.message);
    am_arena_free(a);
    return rows;
}

/* Archives and IDX files with bytes changed and ends cut off: an error or rows, never worse. */
static void test_damaged_bytes(void **state)
{
    (void)state;
    static unsigned char idx[600], changed[sizeof pack.bytes];
    unsigned char image[64];
    uint32_t random = 12345;
    size_t n = raw_image(image, 4, 4, 7);
    pack = (struct packed){.n = 0};
    zip_add("cat/1.png", image, n, 0);
    zip_add("dog/2.png", image, n, 0);
    zip_end();
    const struct {
        const char *name;
        const unsigned char *bytes;
        size_t n;
    } whole[] = {{"x.zip", pack.bytes, pack.n}, {"x-idx3-ubyte", idx, idx_images(idx, 12, 5)}};
    for (size_t k = 0; k < 2; k++) {
        assert_true(read_whatever(make_file(whole[k].name, whole[k].bytes, whole[k].n)) > 0);
        for (int round = 0; round < 400; round++) {
            size_t left = whole[k].n;
            memcpy(changed, whole[k].bytes, left);
            for (int change = 0; change < 3; change++) {
                random = random * 1664525u + 1013904223u;
                size_t at = (random >> 8) % (round % 2 ? left : left < 100 ? left : 100);
                changed[at] = (unsigned char)(random >> 3);
            }
            if (round % 5 == 0)
                left = (random >> 6) % left + 1;
            const char *path = make_file(whole[k].name, changed, left);
            (void)read_whatever(path);
            assert_int_equal(unlink(path), 0);
        }
    }
}

static void test_given_split_and_leaks(void **state)
{
    (void)state;
    struct am_import_options o = {.cache_bytes = 1 << 20};
    uint8_t parts[64] = {0};
    new_root();
    for (int i = 0; i < 24; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s/%s/%d.png", i < 16 ? "train" : "test", i % 2 ? "a" : "b",
                 i);
        put_raw(name, 3, 3, (unsigned char)(i == 20 ? 2 : i)); /* 20 equals 2, under another name */
    }
    EXPECT_OK(import_root(&o));
    struct am_node *recipe;
    struct am_split_spec s;
    struct am_split_counts counts;
    struct am_str aside[] = {AM_STR("file"), AM_STR("split")};
    EXPECT_OK(am_json_parse(arena, AM_STR("{\"by\": \"given\", \"validation\": 0.25}"), "split",
                            &recipe, &err));
    EXPECT_OK(am_split_spec_from_node(recipe, AM_STR("label"), true, arena, &s, &err));
    s.ignore = aside;
    s.n_ignore = 2;
    EXPECT_OK(am_split_make(&info.rows, &s, parts, 24, &counts, &err));
    assert_int_equal(counts.n[AM_ROW_TEST], 8);
    assert_int_equal(counts.n[AM_ROW_VALIDATION], 6);
    assert_int_equal(counts.n_leaks, 1);
    assert_int_equal(counts.n_moved, 0); /* a given test part stays as it was given */
    assert_int_equal(read_column("split"), 24);
    for (size_t i = 0; i < 24; i++)
        assert_int_equal(parts[i] == AM_ROW_TEST, am_str_is(cells[i], "test"));
    /* a word that is no part */
    s.column = AM_STR("label");
    memset(parts, 0, sizeof parts);
    assert_int_equal(am_split_make(&info.rows, &s, parts, 24, &counts, &err), AM_EINVAL);
    assert_non_null(strstr(err.message, "which is no part"));
}

/* Every allocation fails in turn: one error about memory or a whole dataset, nothing left behind.
 */
static void test_memory(void **state)
{
    (void)state;
    struct am_import_options o = {0};
    new_root();
    for (int i = 0; i < 6; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s/%d.png", i % 2 ? "a" : "b", i);
        put_raw(name, 3, 3, (unsigned char)i);
    }
    put_text("a/cut.jpg", "FAKE 5 4 1 bod");
    put_text("a/whole.jpg", "FAKE 5 4 1 body!");
    bool done = false;
    for (long n = 1; n < 3000 && !done; n += n < 300 ? 1 : 7) {
        struct am_arena *a = am_arena_new(0);
        assert_non_null(a);
        struct am_dataset_info got;
        am_err_clear(&err);
        am_alloc_fail_nth(n, false);
        enum am_rc rc = import_spec(root, &o, a, &got, dir, &err);
        done = am_alloc_hook_hits() == 0;
        am_alloc_fail_nth(0, false);
        if (rc != AM_OK) {
            if (rc != AM_ENOMEM)
                fail_msg("allocation %ld: %s (%s:%d)", n, err.message, err.file, err.line);
            assert_false(am_fs_exists(dir));
        } else {
            assert_int_equal(got.schema.n_rows, 7);
            assert_int_equal(am_fs_remove_tree(dir, NULL), AM_OK);
        }
        am_arena_free(a);
    }
    assert_true(done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_class_folders, setup, teardown),
        cmocka_unit_test_setup_teardown(test_split_folders, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_videos, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kinds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_more_bad_than_good, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_decoder, setup, teardown),
        cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_table_of_paths, setup, teardown),
        cmocka_unit_test_setup_teardown(test_files_one_by_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pattern, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pattern_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_zip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tar_gz_and_bomb, setup, teardown),
        cmocka_unit_test_setup_teardown(test_idx, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cifar, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_given_split_and_leaks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
    };
    return cmocka_run_group_tests_name("media", tests, support_setup, support_teardown);
}
