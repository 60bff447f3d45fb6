#!/usr/bin/env bash
# Training of trees and forests beside scikit-learn, on the same rows, alternating; prints the medians of N runs and
# their ratio (peer / ours: above 1 is faster). Usage: bench/forest.sh [BUILD] [N]
# PYTHON is a python with scikit-learn (Debian's python3-sklearn by default).
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build} n=${2:-3}
python=${PYTHON:-/usr/bin/python3}
ninja -C "$build" bench/forest >/dev/null
export OMP_NUM_THREADS=1
median() { sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
printf '%-15s %8s %4s %6s %8s %8s | %8s %8s %6s | %s\n' learner rows cols trees classes threads ours s-learn ratio 'out of bag'
while read -r learner rows cols trees classes threads; do
    ours=() theirs=() a='' b=''
    for ((i = 0; i < n; i++)); do
        a=$("$build/bench/forest" "$learner" "$rows" "$cols" "$trees" "$classes" "$threads")
        b=$("$python" bench/forest_peer.py "$learner" "$rows" "$cols" "$trees" "$classes" "$threads")
        ours+=("$(jq .seconds <<<"$a")") theirs+=("$(jq .seconds <<<"$b")")
    done
    o=$(printf '%s\n' "${ours[@]}" | median) t=$(printf '%s\n' "${theirs[@]}" | median)
    printf '%-15s %8s %4s %6s %8s %8s | %8s %8s %6s | %s %s\n' "$learner" "$rows" "$cols" "$trees" "$classes" "$threads" "$o" "$t" \
        "$(awk -v a="$t" -v b="$o" 'BEGIN {printf "%.2f", a / b}')" "$(jq .oob <<<"$a")" "$(jq .oob <<<"$b")"
done <<'T'
random_forest 2000 20 100 2 1
random_forest 20000 20 100 2 1
random_forest 20000 20 100 2 2
random_forest 10000 16 100 26 1
random_forest 10000 20 50 0 1
extra_trees 20000 20 100 2 1
extra_trees 10000 20 50 0 1
decision_tree 50000 20 1 2 1
decision_tree 50000 20 1 0 1
T
