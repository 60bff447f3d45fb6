#!/bin/sh
# CNN training step (conv32 - pool - conv64 - pool - 128 - 10 on 28x28, batch 64) beside PyTorch and Keras. Environment:
#   AIMASS_BUILD         build folder (default build)
#   AIMASS_BENCH_PYTHON  interpreter that has the newest torch, tensorflow and keras (left out when unset)
#   AIMASS_BENCH_THREADS list of thread counts (default "1 2")
# Debian's PyTorch is measured when /usr/bin/python3 has it. GPUs are hidden from all.
set -eu
cd "$(dirname "$0")/.."
build=${AIMASS_BUILD:-build}
ninja -C "$build" bench/cnn >/dev/null
set --
/usr/bin/python3 -c 'import torch' 2>/dev/null && set -- "$@" torch=/usr/bin/python3
if [ -n "${AIMASS_BENCH_PYTHON:-}" ]; then
    set -- "$@" "torch=$AIMASS_BENCH_PYTHON" "keras=$AIMASS_BENCH_PYTHON"
fi
for threads in ${AIMASS_BENCH_THREADS:-1 2}; do
    python3 bench/cnn_peers.py "$build/bench/cnn" --threads "$threads" "$@"
done
