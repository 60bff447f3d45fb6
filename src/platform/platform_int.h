/* Shared by the files of platform/ only. */
#ifndef AM_PLATFORM_PLATFORM_INT_H
#define AM_PLATFORM_PLATFORM_INT_H

#include "model/package.h"
#include "pipeline/pipeline.h"
#include "platform/modules.h"
#include "platform/platform.h"
#include "registry/registry.h"

struct am_platform {
    struct am_platform_options options;
    char *workspace;              /* owned; absolute or as given */
    struct am_registry *registry; /* owned; opened at first need */
    struct am_pool *pool;         /* owned; opened at first need */
    struct am_tables tables;      /* owned; opened at first need (ops NULL before) */
    uint64_t memory_limit_bytes;
};

/* Where the drivers are found that open at first use; NULL = beside /proc/self/exe. */
void am_platform_modules(const char *program);
enum am_rc am_platform_registry(struct am_platform *p, struct am_registry **out,
                                struct am_err *err) AM_MUST_CHECK;
/* The pipeline over this platform's registry, pool and tables. */
enum am_rc am_platform_pipeline(struct am_platform *p, struct am_pipeline *out,
                                struct am_err *err) AM_MUST_CHECK;
/* {key, signer, trusted} of a package, null when it is not signed; AM_ECORRUPT when the signature
 * is wrong. */
enum am_rc am_platform_signature_of(struct am_platform *p, struct am_arena *a, const char *path,
                                    struct am_node **out, struct am_err *err) AM_MUST_CHECK;
/* The workspace's pinned keys as a package's options; keys in the arena. */
enum am_rc am_platform_trust(struct am_platform *p, struct am_arena *a,
                             enum am_signature_policy policy, struct am_package_options *out,
                             struct am_err *err) AM_MUST_CHECK;
/* The table engine; its signature is what struct am_pipeline asks for (ctx = the platform). */
enum am_rc am_platform_tables(void *ctx, struct am_tables **out, struct am_err *err) AM_MUST_CHECK;

/* kernel_choices.c: choices of kernels by timing are kept in this workspace from now on; workspace
 * is copied. Returns what it gave to the plans. */
struct am_plan_choices;
const struct am_plan_choices *am_platform_keep_choices(const char *workspace);

#endif
