#!/usr/bin/env bash
# CSV (1 M rows x 20 numbers) to a trained, evaluated, packaged and registered logistic model, against pandas +
# scikit-learn to a trained and scored one: whole processes, alternating, median of ROUNDS (default 5).
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${ROUNDS:-5}
aimass=${AIMASS:-$PWD/build/aimass}
python=${AIMASS_BENCH_PYTHON:-/usr/bin/python3}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
"$python" - "$tmp/big.csv" <<'P'
import sys
import numpy as np
import pandas as pd
r = np.random.default_rng(0)
x = r.normal(size=(1_000_000, 20))
y = (x @ r.normal(size=20) + r.logistic(size=1_000_000) > 0).astype(int)
frame = pd.DataFrame(np.round(x, 6), columns=[f"x{i}" for i in range(20)])
frame["y"] = y
frame.to_csv(sys.argv[1], index=False)
P
cat >"$tmp/r.yaml" <<Y
data: {source: $tmp/big.csv, target: y, split: {test: 0.2, validation: 0, by: random}}
model: {type: logistic}
evaluate: {metrics: [accuracy, roc_auc], bootstrap: 0, importance: false}
Y
now() { date +%s.%N; }
ours=() peers=()
for i in $(seq "$rounds"); do
    t=$(now)
    AIMASS_WORKSPACE=$tmp/ws$i "$aimass" train "$tmp/r.yaml" --json >"$tmp/ours.json"
    ours+=("$(echo "$(now) - $t" | bc -l)")
    rm -rf "$tmp/ws$i"
    t=$(now)
    "$python" bench/csv_peer.py "$tmp/big.csv" >"$tmp/peer.txt"
    peers+=("$(echo "$(now) - $t" | bc -l)")
done
median() { printf '%s\n' "$@" | sort -g | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
a=$(median "${ours[@]}") b=$(median "${peers[@]}")
echo "ours:  $a s   $(jq -c .metrics.test "$tmp/ours.json")"
echo "peer:  $b s   $(cat "$tmp/peer.txt")  ($("$python" -c 'import sklearn, pandas; print("scikit-learn", sklearn.__version__, "pandas", pandas.__version__)'))"
echo "ratio: $(echo "scale=2; $b / $a" | bc -l)x (goal 3x)"
