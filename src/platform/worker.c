/* The program as a trial worker (pipeline/farm.h): its own pool and tables, no workspace, no
 * records. Ends with the program that started it. */
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/num.h"
#include "base/pool.h"
#include "pipeline/farm.h"
#include "platform/platform_int.h"

#define WORKER_FD 3

struct own_tables {
    struct am_tables tables;
    const char *program, *scratch;
    unsigned n_threads;
    uint64_t memory_limit_bytes;
};

#define LEAST_MEMORY ((uint64_t)64 << 20)

static enum am_rc tables_of(void *ctx, struct am_tables **out, struct am_err *err)
{
    struct own_tables *o = ctx;
    uint64_t half = o->memory_limit_bytes / 2;
    struct am_tables_config c = {.memory_limit_bytes = half > LEAST_MEMORY ? half : LEAST_MEMORY,
                                 .n_threads = o->n_threads,
                                 .temp_dir = o->scratch,
                                 .access = AM_TABLES_FILES};
    if (!o->tables.ops)
        AM_TRY(am_tables_open(o->program, &c, &o->tables, err));
    *out = &o->tables;
    return AM_OK;
}

static enum am_rc work(const char *program, struct am_arena *a, struct own_tables *own,
                       struct am_pool **pool, struct am_err *err)
{
    struct am_worker_start start;
    AM_TRY(am_worker_begin(WORKER_FD, a, &start, err));
    AM_TRY(am_pool_new(start.n_threads, pool, err));
    *own = (struct own_tables){.program = program,
                               .scratch = start.scratch,
                               .n_threads = start.n_threads,
                               .memory_limit_bytes = start.memory_limit_bytes};
    struct am_pipeline pl = {.pool = *pool,
                             .memory_limit_bytes = start.memory_limit_bytes,
                             .tables = tables_of,
                             .tables_ctx = own};
    return am_worker_run(WORKER_FD, &pl, a, &start, err);
}

bool am_platform_is_worker(int argc, char **argv)
{
    return argc == 3 && strcmp(argv[1], AM_FARM_COMMAND) == 0;
}

int am_platform_worker(char **argv)
{
    struct am_err err = {0};
    struct own_tables own = {.program = NULL};
    struct am_pool *pool = NULL;
    int64_t parent;
    /* killed with the program; it may be gone already */
    if (!am_parse_i64(am_str(argv[2]), &parent) || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 ||
        getppid() != parent)
        return 1;
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
    am_platform_modules(NULL);
    struct am_arena *a = am_arena_new(0);
    if (!a)
        return 1;
    enum am_rc rc = work(NULL, a, &own, &pool, &err);
    if (rc != AM_OK)
        am_log_err(AM_LOG_ERROR, "worker", &err);
    am_tables_close(&own.tables);
    am_pool_free(pool);
    am_arena_free(a);
    return rc == AM_OK ? 0 : 1;
}
