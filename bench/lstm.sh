#!/bin/sh
# Training step of LSTM 2 x 128, 32 steps, batch 32, beside PyTorch. Environment:
#   AIMASS_BUILD         build folder (default build)
#   AIMASS_BENCH_PYTHON  interpreter that has the newest torch (left out when unset)
#   AIMASS_BENCH_THREADS list of thread counts (default "1 2")
# Debian's PyTorch is measured when /usr/bin/python3 has it. GPUs are hidden from all.
set -eu
cd "$(dirname "$0")/.."
build=${AIMASS_BUILD:-build}
ninja -C "$build" bench/lstm >/dev/null
set --
/usr/bin/python3 -c 'import torch' 2>/dev/null && set -- "$@" /usr/bin/python3
[ -z "${AIMASS_BENCH_PYTHON:-}" ] || set -- "$@" "$AIMASS_BENCH_PYTHON"
for threads in ${AIMASS_BENCH_THREADS:-1 2}; do
    python3 bench/lstm_peers.py "$build/bench/lstm" --threads "$threads" "$@"
done
