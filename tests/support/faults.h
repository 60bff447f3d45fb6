/* Loops that fail the n-th allocation or the n-th I/O of a call, until the call completes without a
 * failure. The call must then have failed cleanly every time: a code, no crash, no leak (ASan
 * sees). */
#ifndef AM_TESTS_FAULTS_H
#define AM_TESTS_FAULTS_H

#include "base/alloc.h"
#include "base/err.h"
#include "base/fs.h"

#include <errno.h>

/* call: an expression of enum am_rc; undo: a statement run after every success (frees what was
 * made). A call may survive a failure that it can do without (then it must be really complete). */
#define AM_OOM_LOOP(call, undo)                                                                    \
    do {                                                                                           \
        for (long oom_n_ = 1;; oom_n_++) {                                                         \
            am_alloc_fail_nth(oom_n_, false);                                                      \
            enum am_rc oom_rc_ = (call);                                                           \
            long oom_hits_ = am_alloc_hook_hits();                                                 \
            am_alloc_fail_nth(0, false);                                                           \
            if (oom_rc_ == AM_OK) {                                                                \
                undo;                                                                              \
            }                                                                                      \
            if (oom_hits_ == 0) {                                                                  \
                assert_int_equal(oom_rc_, AM_OK);                                                  \
                break;                                                                             \
            }                                                                                      \
            if (oom_rc_ != AM_OK)                                                                  \
                assert_int_equal(oom_rc_, AM_ENOMEM);                                              \
        }                                                                                          \
    } while (0)

/* The same for files: every failure must give an error code and leave nothing half done;
 * `after_failure` is a statement that checks that. */
#define AM_IO_LOOP(call, undo, after_failure)                                                      \
    do {                                                                                           \
        static const int io_errs_[] = {EIO, ENOSPC};                                               \
        for (unsigned io_e_ = 0; io_e_ < 2; io_e_++)                                               \
            for (long io_n_ = 1;; io_n_++) {                                                       \
                am_fs_fail_nth(io_n_, io_errs_[io_e_], false);                                     \
                enum am_rc io_rc_ = (call);                                                        \
                long io_hits_ = am_fs_hook_hits();                                                 \
                am_fs_fail_nth(0, 0, false);                                                       \
                if (io_rc_ == AM_OK) {                                                             \
                    undo;                                                                          \
                } else {                                                                           \
                    after_failure;                                                                 \
                }                                                                                  \
                if (io_hits_ == 0) {                                                               \
                    assert_int_equal(io_rc_, AM_OK);                                               \
                    break;                                                                         \
                }                                                                                  \
            }                                                                                      \
    } while (0)

#endif
