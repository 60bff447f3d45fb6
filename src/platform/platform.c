/* Opens and closes the platform and wires the pipeline: registry at first need, pool at first need,
 * the table engine (a module) at first table. The only place that names a driver. One thread at a
 * time. */
#include "platform/platform_int.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/num.h"
#include "base/pool.h"
#include "learn/learn.h"
#include "pipeline/recipe.h"
#include "platform/modules.h"

/* The smaller of the cgroup's and the machine's memory, 70 % of it. */
static uint64_t default_memory_limit(void)
{
    static const char *const files[] = {"/sys/fs/cgroup/memory.max",
                                        "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t all = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : (uint64_t)1 << 31;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct am_buf b;
        uint64_t v;
        am_buf_init(&b, 64);
        if (am_fs_read_file(files[i], &b, NULL) == AM_OK &&
            am_parse_u64(am_str_trim(am_buf_view(&b)), UINT64_MAX, &v) && v < all)
            all = v;
        am_buf_clear(&b);
    }
    return all / 10 * 7;
}

static enum am_rc workspace_path(const char *asked, char **out, struct am_err *err)
{
    struct am_buf b;
    struct passwd pw, *found = NULL;
    char names[1024];
    const char *home = getenv("HOME");
    am_buf_init(&b, 4000);
    if (!asked || !*asked)
        asked = getenv("AIMASS_WORKSPACE");
    if (asked && *asked) {
        am_buf_cstr(&b, asked);
    } else {
        if ((!home || !*home) && getpwuid_r(getuid(), &pw, names, sizeof names, &found) == 0 &&
            found)
            home = found->pw_dir;
        am_buf_printf(&b, "%s/.aimass", home && *home ? home : ".");
    }
    enum am_rc rc = am_buf_check(&b, err);
    if (rc == AM_OK && !(*out = am_strndup(b.ptr, b.len)))
        rc = am_fail_nomem(err, b.len);
    am_buf_clear(&b);
    return rc;
}

void am_platform_modules(const char *program)
{
    am_modules_set_media(program);
    am_modules_set_kernels(program);
    am_modules_set_weights(program);
    am_modules_set_trees(program);
    am_modules_set_svm(program);
}

enum am_rc am_platform_open(const struct am_platform_options *o, struct am_platform **out,
                            struct am_err *err)
{
    struct am_platform *p = am_calloc(1, sizeof *p);
    if (!p)
        return am_fail_nomem(err, sizeof *p);
    p->options = *o;
    am_platform_modules(o->program);
    p->memory_limit_bytes = o->memory_limit_bytes ? o->memory_limit_bytes : default_memory_limit();
    enum am_rc rc = workspace_path(o->workspace, &p->workspace, err);
    if (rc != AM_OK) {
        am_platform_close(p);
        return rc;
    }
    (void)am_platform_keep_choices(p->workspace);
    *out = p;
    return AM_OK;
}

void am_platform_close(struct am_platform *p)
{
    if (!p)
        return;
    am_tables_close(&p->tables);
    am_registry_close(p->registry);
    am_pool_free(p->pool);
    am_free(p->workspace);
    am_free(p);
}

const char *am_platform_workspace(const struct am_platform *p)
{
    return p->workspace;
}

enum am_rc am_platform_registry(struct am_platform *p, struct am_registry **out, struct am_err *err)
{
    struct am_registry_options o = {.workspace = p->workspace};
    if (!p->registry)
        AM_TRY(am_registry_open(&o, &p->registry, err));
    *out = p->registry;
    return AM_OK;
}

/* What a thread of the table engine needs to read rows of usual width; less only makes it fail. */
#define TABLES_MEMORY ((uint64_t)32 << 20)

enum am_rc am_platform_tables(void *ctx, struct am_tables **out, struct am_err *err)
{
    struct am_platform *p = ctx;
    struct am_registry *r;
    if (!p->tables.ops) {
        AM_TRY(am_platform_registry(p, &r, err));
        uint64_t half = p->memory_limit_bytes / 2,
                 memory = half > TABLES_MEMORY ? half : TABLES_MEMORY;
        uint64_t most = memory / TABLES_MEMORY, wanted = p->options.n_threads;
        if (wanted == 0 && most < (uint64_t)sysconf(_SC_NPROCESSORS_ONLN))
            wanted = most;
        struct am_tables_config c = {.memory_limit_bytes = memory,
                                     .n_threads =
                                         (unsigned)(wanted < most ? wanted : most), /* 0 = all */
                                     .temp_dir = am_registry_scratch(r),
                                     .access = AM_TABLES_FILES};
        AM_TRY(am_tables_open(p->options.program, &c, &p->tables, err));
    }
    *out = &p->tables;
    return AM_OK;
}

enum am_rc am_platform_pipeline(struct am_platform *p, struct am_pipeline *out, struct am_err *err)
{
    struct am_registry *r;
    AM_TRY(am_platform_registry(p, &r, err));
    if (!p->pool)
        AM_TRY(am_pool_new(p->options.n_threads, &p->pool, err));
    *out = (struct am_pipeline){.registry = r,
                                .pool = p->pool,
                                .memory_limit_bytes = p->memory_limit_bytes,
                                .progress = p->options.progress,
                                .tables = am_platform_tables,
                                .tables_ctx = p};
    return AM_OK;
}

enum am_rc am_platform_schema(struct am_arena *a, struct am_node **out, struct am_err *err)
{
    *out = am_recipe_schema(a);
    return am_arena_check(a, err);
}

void am_platform_learners_markdown(struct am_buf *out)
{
    am_learners_markdown(out);
}

void am_platform_recipe_markdown(struct am_buf *out)
{
    am_recipe_markdown(out);
}
