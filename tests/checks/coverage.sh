#!/usr/bin/env bash
# Prints line and branch coverage of src/, in all and per folder, from a build with -Db_coverage=true whose
# tests have run.
#   tests/checks/coverage.sh BUILD_DIR
set -euo pipefail
cd "$(dirname "$0")/../.."
info=$1/coverage.info
lcov --quiet --capture --directory "$1" --output-file "$info.all" --rc lcov_branch_coverage=1 --ignore-errors gcov,source
lcov --quiet --extract "$info.all" "$PWD/src/*" --output-file "$info" --rc lcov_branch_coverage=1
lcov --summary "$info" --rc lcov_branch_coverage=1
awk -F: '/^SF:/ { n = split($2, p, "/src/"); split(p[n], q, "/"); d = q[1] } /^LF:/ { f[d] += $2 } /^LH:/ { h[d] += $2 }
    END { for (d in f) printf "  %-10s %5.1f %% of %d lines\n", d, 100 * h[d] / f[d], f[d] }' "$info" | sort
grep -q '^SF:' "$info"
