#!/usr/bin/env bash
# k nearest neighbours beside scikit-learn: the same rows (float32), k = 5, the same threads, alternating. Goal: at least its speed.
# Up to 15 columns scikit-learn searches a tree, above it compares all rows, as we always do.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${BUILD:-build} threads=${THREADS:-1} python=${PYTHON:-/usr/bin/python3}
ninja -C "$build" bench/knn >/dev/null
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OMP_NUM_THREADS=$threads OPENBLAS_NUM_THREADS=$threads
for shape in "20000 8" "20000 32" "50000 64" "20000 300"; do
    read -r rows columns <<<"$shape"
    echo "== $rows rows (a tenth asks), $columns columns, k = 5, $threads threads"
    "$python" bench/knn_peer.py make "$work/x.f32" "$rows" "$columns"
    for _ in 1 2; do
        "$python" bench/knn_peer.py fit "$work/x.f32" "$columns" 5 "$threads"
        "$build/bench/knn" "$work/x.f32" "$columns" 5 "$threads"
    done
done
