#!/usr/bin/env bash
# Serving boosted trees beside XGBoost's C predict (bench/trees.c): 100 trees of depth 6, 500 of depth 8, five classes,
# 100 features; one thread and two. Goals: one row 20x, 1,000 rows 2x.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${BUILD:-build}
ninja -C "$build" bench/trees >/dev/null
for threads in 1 2; do
    for shape in "100 6 2 20" "500 8 2 20" "100 6 5 20" "100 6 2 100"; do
        # shellcheck disable=SC2086
        "$build/bench/trees" $shape $threads
    done
done
