#!/usr/bin/env bash
# Fashion-MNIST from the IDX files to a test accuracy, whole processes, ours and Keras alternating with the same
# architecture and settings: examples/fashion_mnist, fashion_mlp and fashion_cnn. ROUNDS (default 1) of each.
#   AIMASS               the program (default build/aimass)
#   AIMASS_BENCH_PYTHON  interpreter with Keras and TensorFlow
set -euo pipefail
cd "$(dirname "$0")/.."
aimass=${AIMASS:-$PWD/build/aimass}
python=${AIMASS_BENCH_PYTHON:?name an interpreter that has keras and tensorflow}
[ -e /usr/share/datasets/fashion-mnist ] || { echo "install dataset-fashion-mnist first"; exit 1; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export CUDA_VISIBLE_DEVICES=-1 TF_CPP_MIN_LOG_LEVEL=3
now() { date +%s.%N; }
median() { printf '%s\n' "$@" | sort -g | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
for example in ${EXAMPLES:-fashion_mnist fashion_mlp fashion_cnn}; do
    ours=() peers=()
    for i in $(seq "${ROUNDS:-1}"); do
        t=$(now)
        AIMASS_WORKSPACE=$tmp/ws$i "$aimass" train "examples/$example.yaml" --json >"$tmp/ours.json"
        ours+=("$(echo "$(now) - $t" | bc -l)")
        rm -rf "$tmp/ws$i"
        t=$(now)
        "$python" "examples/$example.py" >"$tmp/peer.txt" 2>/dev/null
        peers+=("$(echo "$(now) - $t" | bc -l)")
    done
    a=$(median "${ours[@]}") b=$(median "${peers[@]}")
    echo "$example"
    echo "  ours:  $a s, test accuracy $(jq .metrics.test.accuracy "$tmp/ours.json")"
    echo "  peer:  $b s, $(tail -n 1 "$tmp/peer.txt")"
    echo "  ratio: $(echo "scale=2; $b / $a" | bc -l)x (goal 2x)"
done
