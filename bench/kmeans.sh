#!/usr/bin/env bash
# k-means beside scikit-learn: one start, the same rows (float32) and stopping rule, two threads each, alternating.
# Goal: at least its speed. Iterations differ with the start, so the time of an iteration stands beside the whole.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${BUILD:-build} threads=${THREADS:-2} python=${PYTHON:-/usr/bin/python3}
ninja -C "$build" bench/kmeans >/dev/null
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OMP_NUM_THREADS=$threads OPENBLAS_NUM_THREADS=$threads
for shape in "200000 20 16" "100000 64 100" "500000 8 10"; do
    read -r rows columns clusters <<<"$shape"
    echo "== $rows rows, $columns columns, $clusters clusters, $threads threads"
    "$python" bench/kmeans_peer.py make "$work/x.f32" "$rows" "$columns" "$clusters"
    for _ in 1 2; do
        "$python" bench/kmeans_peer.py fit "$work/x.f32" "$columns" "$clusters" 2
        "$build/bench/kmeans" "$work/x.f32" "$columns" "$clusters" "$threads" 2
    done
done
