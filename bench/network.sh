#!/bin/sh
# Networks beside PyTorch, Keras and ONNX Runtime (bench/network_peers.py): mlp, cnn, lstm (training step) and
# resnet18 (prediction), or those named. Environment:
#   AIMASS_BUILD         build folder (default build)
#   AIMASS_BENCH_PYTHON  interpreter that has the newest torch, keras and onnxruntime (left out when unset)
#   AIMASS_BENCH_THREADS list of thread counts (default "1 2")
# Debian's PyTorch is measured when /usr/bin/python3 has it; it also writes the ONNX file. GPUs are hidden from all.
set -eu
cd "$(dirname "$0")/.."
build=${AIMASS_BUILD:-build}
ninja -C "$build" bench/network >/dev/null
[ $# -gt 0 ] || set -- mlp cnn lstm resnet18
new=${AIMASS_BENCH_PYTHON:-}
for name in "$@"; do
    peers=
    ! /usr/bin/python3 -c 'import torch' 2>/dev/null || peers="torch=/usr/bin/python3"
    case $name in
    mlp | cnn) peers="$peers ${new:+torch=$new keras=$new}" ;;
    lstm) peers="$peers ${new:+torch=$new}" ;;
    *) peers="$peers ${new:+torch=$new onnx=$new}" ;;
    esac
    for threads in ${AIMASS_BENCH_THREADS:-1 2}; do
        # shellcheck disable=SC2086 # a list
        python3 bench/network_peers.py "$build/bench/network" "$name" --threads "$threads" $peers
    done
done
