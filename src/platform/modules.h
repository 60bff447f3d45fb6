/* The module loader: opens a driver's shared object at first use, by absolute path, and checks that
 * it was built against the same interface header.
 *
 * A module exports one symbol, `am_module`, that points to its const ops struct, whose first fields
 * are {uint64_t abi; uint32_t size;}. Modules are never closed (their threads and destructors
 * outlive any caller). Start-up opens nothing. Any thread. */
#ifndef AM_PLATFORM_MODULES_H
#define AM_PLATFORM_MODULES_H

#include "base/host.h"
#include "data/tables.h"
#include "learn/svm.h"
#include "learn/trees.h"
#include "tensor/kernel_port.h"
#include "tensor/media.h"
#include "tensor/weights.h"

/* The table of functions for drivers; static. */
const struct am_host *am_host_table(void);

/* Looked for in DIR/, and in DIR/drivers/NAME/ and DIR/lib[/MULTIARCH]/aimass/ of DIR and the
 * folders above it, DIR being the folder of `program` (NULL = /proc/self/exe). */
struct am_module_spec {
    const char *name;   /* "tables-duckdb": the file is am_tables_duckdb.so */
    uint64_t abi;       /* that the ops must have */
    uint32_t size;      /* of the ops struct */
    const char *remedy; /* what to install when it is missing: a full sentence */
};
/* *ops points into the module. AM_EMISSING when there is no such file or it cannot be loaded;
 * AM_ECONFLICT when abi or size differ. */
enum am_rc am_module_open(const char *program, const struct am_module_spec *spec, const void **ops,
                          struct am_err *err) AM_MUST_CHECK;

/* Opens the embedded table engine ("tables-duckdb") with this configuration. */
enum am_rc am_tables_open(const char *program, const struct am_tables_config *config,
                          struct am_tables *out, struct am_err *err) AM_MUST_CHECK;
void am_tables_close(struct am_tables *t); /* empty handle is fine */

/* Pictures, sounds and videos (tensor/media.h) come from "images-vips", "sounds-sndfile" and
 * "video-ffmpeg", each opened at the first file that needs it. program: as of am_module_open,
 * borrowed for ever; before threads start. */
void am_modules_set_media(const char *program);
/* Opens and starts it now (the doctor). */
enum am_rc am_images_open(const char *program, const struct am_images_ops **out,
                          struct am_err *err) AM_MUST_CHECK;
enum am_rc am_sounds_open(const char *program, const struct am_sounds_ops **out,
                          struct am_err *err) AM_MUST_CHECK;
enum am_rc am_videos_open(const char *program, const struct am_videos_ops **out,
                          struct am_err *err) AM_MUST_CHECK;

/* Weights of Keras (tensor/weights.h) come from "weights-hdf5", opened at the first HDF5 file; as
 * above. */
void am_modules_set_weights(const char *program);
enum am_rc am_weights_open(const char *program, const struct am_weights_ops **out,
                           struct am_err *err) AM_MUST_CHECK;

/* Convolution kernels (tensor/kernel_port.h) come from "kernels-dnnl", opened when a plan first may
 * use them; as above. Holds OpenMP, which that library brings, at one thread: sets
 * OMP_NUM_THREADS=1 and OMP_WAIT_POLICY=passive in the environment. */
void am_modules_set_kernels(const char *program);
enum am_rc am_kernels_open(const char *program, const struct am_kernel_port_ops **out,
                           struct am_err *err) AM_MUST_CHECK;

/* Growing trees (learn/trees.h) comes from "trees-xgboost", opened when gradient boosting first
 * trains; as above. */
void am_modules_set_trees(const char *program);
enum am_rc am_trees_open(const char *program, const struct am_trees_ops **out,
                         struct am_err *err) AM_MUST_CHECK;

/* Support vector machines (learn/svm.h) come from "svm-liblinear" and "svm-libsvm", opened when one
 * first trains; as above. */
void am_modules_set_svm(const char *program);
enum am_rc am_svm_open(const char *program, enum am_svm_kind kind, const struct am_svm_ops **out,
                       struct am_err *err) AM_MUST_CHECK;

#endif
