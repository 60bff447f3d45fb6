/* Shared by the two sources: the registry's answers in the form that serving wants. */
#ifndef AM_SERVE_SOURCE_INT_H
#define AM_SERVE_SOURCE_INT_H

#include "serve/source.h"

struct am_model;
struct am_version_ref;

enum am_rc am_serve_model_of(struct am_model *model, struct am_serve_model *out,
                             struct am_err *err) AM_MUST_CHECK;
enum am_rc am_registry_catalog(struct am_registry *r, struct am_arena *a, struct am_node **out,
                               struct am_err *err) AM_MUST_CHECK;
enum am_rc am_registry_package(struct am_registry *r, const char *model, int64_t version,
                               struct am_version_ref *out, struct am_err *err) AM_MUST_CHECK;

#endif
