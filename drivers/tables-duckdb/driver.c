/* The driver tables-duckdb: the table port of data/tables.h over DuckDB, held `:memory:`, with
 * memory, threads and temporary folder set, no extension loading, and its configuration locked.
 *
 * The module exports am_module. Handles are used by one thread at a time; DuckDB's own threads read
 * files and decode. No C++ exception crosses DuckDB's C interface. */
#include "driver_int.h"
#include "tensor/ports_abi.h"

#include <stdio.h>
#include <string.h>

static void duck_close(void *impl)
{
    struct duck *d = impl;
    if (!d)
        return;
    if (d->connection)
        d->api->duckdb_disconnect(&d->connection);
    if (d->db)
        d->api->duckdb_close(&d->db);
    d->host->free(d);
}

static bool set_options(const struct duck *d, const struct am_tables_config *c,
                        duckdb_config config)
{
    char memory[40], threads[20];
    snprintf(memory, sizeof memory, "%lluKiB", (unsigned long long)(c->memory_limit_bytes >> 10));
    snprintf(threads, sizeof threads, "%u", c->n_threads);
    const char *options[][2] = {
        {"temp_directory", c->temp_dir ? c->temp_dir : ""},
        {"autoinstall_known_extensions", "false"},
        {"autoload_known_extensions", "false"},
        {"allow_community_extensions", "false"},
        {"allow_persistent_secrets", "false"},
        {"preserve_insertion_order", "true"},
        {"memory_limit", c->memory_limit_bytes ? memory : NULL},
        {"threads", c->n_threads ? threads : NULL},
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (options[i][1] &&
            d->api->duckdb_set_config(config, options[i][0], options[i][1]) != DUCKDB_SUCCESS)
            return false;
    return true;
}

static enum am_rc run(const struct duck *d, const char *sql, struct am_err *err)
{
    duckdb_result r;
    memset(&r, 0, sizeof r);
    enum am_rc rc = AM_OK;
    if (d->api->duckdb_query(d->connection, sql, &r) != DUCKDB_SUCCESS)
        rc = duck_fail(d, NULL, d->api->duckdb_result_error(&r), err);
    d->api->duckdb_destroy_result(&r);
    return rc;
}

/* After opening: the order matters, each step takes away what the next would need. */
static enum am_rc lock_down(const struct duck *d, const struct am_tables_config *c,
                            struct am_err *err)
{
    struct sql s;
    sql_init(&s, d->host);
    sql_text(&s, "SET allowed_configs=['file_search_path','streaming_buffer_size'];");
    if (c->access == AM_TABLES_LISTED) {
        sql_text(&s, "SET allowed_directories=[");
        for (size_t i = 0; i < c->n_allowed_dirs; i++) {
            if (i)
                sql_text(&s, ",");
            sql_literal(&s, (struct am_str){c->allowed_dirs[i], strlen(c->allowed_dirs[i])});
        }
        sql_text(&s, "]; SET enable_external_access=false;");
    }
    sql_text(&s, "SET lock_configuration=true");
    enum am_rc rc = sql_check(&s, err);
    if (rc == AM_OK)
        rc = run(d, s.ptr, err);
    sql_clear(&s);
    return rc;
}

/* A sixteenth of the memory, 16 MB at most. */
static size_t ahead_bytes(const struct am_tables_config *c)
{
    uint64_t part = c->memory_limit_bytes / 16, most = (uint64_t)16 << 20;
    return (size_t)(c->memory_limit_bytes && part < most ? part : most);
}

static enum am_rc duck_open(const struct am_host *host, const struct am_tables_config *c,
                            void **out, struct am_err *err)
{
    *out = NULL;
    const struct duckdb_api *api = NULL;
    if (host->size != sizeof *host)
        return AM_ECONFLICT;
    AM_TRY(duckdb_api_open(host, &api, err));
    struct duck *d = host->alloc(sizeof *d);
    if (!d)
        return host->fail_nomem(err, sizeof *d, __FILE__, __LINE__);
    *d = (struct duck){.host = host, .api = api, .ahead_bytes = ahead_bytes(c)};
    snprintf(d->version, sizeof d->version, "DuckDB %s", api->duckdb_library_version());
    duckdb_config config = NULL;
    char *message = NULL;
    enum am_rc rc = AM_OK;
    if (api->duckdb_create_config(&config) != DUCKDB_SUCCESS || !set_options(d, c, config)) {
        rc = DUCK_FAIL(d, err, AM_EINVAL, "the table engine refuses its configuration");
        goto out;
    }
    if (api->duckdb_open_ext(NULL, &d->db, config, &message) != DUCKDB_SUCCESS) {
        rc = DUCK_FAIL(d, err, AM_EINVAL, "cannot start the table engine: %.300s",
                       message ? message : "");
        host->hint(err, "Check the memory limit and the number of threads.");
        goto out;
    }
    if (api->duckdb_connect(d->db, &d->connection) != DUCKDB_SUCCESS) {
        rc = DUCK_FAIL(d, err, AM_EINTERNAL, "cannot connect to the table engine");
        goto out;
    }
    AM_GO(rc, lock_down(d, c, err));
    *out = d;
    d = NULL;
out:
    if (message)
        api->duckdb_free(message);
    api->duckdb_destroy_config(&config);
    duck_close(d);
    return rc;
}

static const char *duck_version(void *impl)
{
    return ((const struct duck *)impl)->version;
}

static const struct am_tables_ops ops = {.abi = AM_PORTS_ABI,
                                         .size = sizeof ops,
                                         .name = "tables-duckdb",
                                         .open = duck_open,
                                         .close = duck_close,
                                         .describe = duck_describe,
                                         .forget = duck_forget,
                                         .read = duck_read,
                                         .version = duck_version};

extern const struct am_tables_ops *const am_module;
__attribute__((visibility("default"))) const struct am_tables_ops *const am_module = &ops;
