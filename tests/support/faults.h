/* Loops that fail the n-th allocation or the n-th I/O of a call, until the call completes without a
 * failure. The call must then have failed cleanly every time: a code, no crash, no leak (ASan
 * sees). */
#ifndef AM_TESTS_FAULTS_H
#define AM_TESTS_FAULTS_H

#include "base/alloc.h"
#include "base/err.h"
#include "base/fs.h"

#include <errno.h>

/* One try with the n-th call of a kind failing: arms, runs, reads what was given out, disarms. */
#define AM_FAULT_TRY(arm, hits, disarm, call, rc_out, hits_out)                                    \
    do {                                                                                           \
        arm;                                                                                       \
        (rc_out) = (call);                                                                         \
        (hits_out) = hits();                                                                       \
        disarm;                                                                                    \
    } while (0)

/* call: an expression of enum am_rc; undo: a statement run after every success (frees what was
 * made). A call may survive a failure that it can do without (then it must be really complete). */
#define AM_OOM_LOOP(call, undo)                                                                    \
    do {                                                                                           \
        for (long fault_n_ = 1, fault_hits_ = 1; fault_hits_ > 0; fault_n_++) {                    \
            enum am_rc fault_rc_;                                                                  \
            AM_FAULT_TRY(am_alloc_fail_nth(fault_n_, false), am_alloc_hook_hits,                   \
                         am_alloc_fail_nth(0, false), call, fault_rc_, fault_hits_);               \
            if (fault_rc_ == AM_OK) {                                                              \
                undo;                                                                              \
            } else {                                                                               \
                assert_int_equal(fault_rc_, AM_ENOMEM);                                            \
                assert_int_not_equal(fault_hits_, 0);                                              \
            }                                                                                      \
        }                                                                                          \
    } while (0)

/* The same for files: every failure must give an error code and leave nothing half done;
 * `after_failure` is a statement that checks that. */
#define AM_IO_LOOP(call, undo, after_failure)                                                      \
    do {                                                                                           \
        static const int fault_errs_[] = {EIO, ENOSPC};                                            \
        for (unsigned fault_e_ = 0; fault_e_ < 2; fault_e_++)                                      \
            for (long fault_n_ = 1, fault_hits_ = 1; fault_hits_ > 0; fault_n_++) {                \
                enum am_rc fault_rc_;                                                              \
                AM_FAULT_TRY(am_fs_fail_nth(fault_n_, fault_errs_[fault_e_], false),               \
                             am_fs_hook_hits, am_fs_fail_nth(0, 0, false), call, fault_rc_,        \
                             fault_hits_);                                                         \
                if (fault_rc_ == AM_OK) {                                                          \
                    undo;                                                                          \
                } else {                                                                           \
                    assert_int_not_equal(fault_hits_, 0);                                          \
                    after_failure;                                                                 \
                }                                                                                  \
            }                                                                                      \
    } while (0)

#endif
