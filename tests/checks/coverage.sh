#!/usr/bin/env bash
# Prints line and branch coverage of src/ from a build with -Db_coverage=true.
#   tests/checks/coverage.sh BUILD_DIR
set -euo pipefail
cd "$(dirname "$0")/../.."
info=$1/coverage.info
lcov --quiet --capture --directory "$1" --output-file "$info" --rc lcov_branch_coverage=1 --ignore-errors gcov,source 2>/dev/null
lcov --quiet --extract "$info" '*/src/*' --output-file "$info" --rc lcov_branch_coverage=1
lcov --summary "$info" --rc lcov_branch_coverage=1
