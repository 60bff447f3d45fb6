#!/usr/bin/env bash
# CSV (1 M rows x 20 numbers) to a trained, evaluated, packaged and registered GBDT of 100 trees, depth 6, against
# pandas + XGBoost in Python (histogram trees, the same settings and threads) to a trained and scored one: whole
# processes, alternating, median of ROUNDS (default 3). The better of DMatrix and QuantileDMatrix counts.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${ROUNDS:-3} rows=${ROWS:-1000000}
aimass=${AIMASS:-$PWD/build/aimass}
python=${AIMASS_XGBOOST_PYTHON:-/usr/bin/python3}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
"$python" - "$tmp/big.csv" "$rows" <<'P'
import sys
import numpy as np
import pandas as pd
n = int(sys.argv[2])
r = np.random.default_rng(0)
x = r.normal(size=(n, 20))
z = x @ r.normal(size=20) + 2 * x[:, 0] * x[:, 1] + np.where(x[:, 2] > 0.5, x[:, 3], -x[:, 4]) + r.logistic(size=n)
frame = pd.DataFrame(np.round(x, 6), columns=[f"x{i}" for i in range(20)])
frame["y"] = (z > 0).astype(int)
frame.to_csv(sys.argv[1], index=False)
P
cat >"$tmp/r.yaml" <<Y
data: {source: $tmp/big.csv, target: y, split: {test: 0.2, validation: 0, by: random}}
model: {type: gradient_boosting, trees: 100, depth: 6, learning_rate: 0.1}
evaluate: {metrics: [accuracy, roc_auc], bootstrap: 0, importance: false}
Y
now() { date +%s.%N; }
ours=() dmatrix=() quantile=()
for i in $(seq "$rounds"); do
    t=$(now)
    AIMASS_WORKSPACE=$tmp/ws$i "$aimass" train "$tmp/r.yaml" --json >"$tmp/ours.json"
    ours+=("$(echo "$(now) - $t" | bc -l)")
    rm -rf "$tmp/ws$i"
    t=$(now)
    "$python" bench/gbdt_peer.py "$tmp/big.csv" dmatrix >"$tmp/peer.txt"
    dmatrix+=("$(echo "$(now) - $t" | bc -l)")
    t=$(now)
    "$python" bench/gbdt_peer.py "$tmp/big.csv" quantile >"$tmp/peer.txt"
    quantile+=("$(echo "$(now) - $t" | bc -l)")
done
median() { printf '%s\n' "$@" | sort -g | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
a=$(median "${ours[@]}") b=$(median "${dmatrix[@]}") c=$(median "${quantile[@]}")
echo "ours:  $a s   $(jq -c .metrics.test "$tmp/ours.json")"
echo "peer:  $b s with DMatrix, $c s with QuantileDMatrix   $(cat "$tmp/peer.txt")  ($("$python" -c 'import xgboost, pandas; print("XGBoost", xgboost.__version__, "pandas", pandas.__version__)'))"
echo "ratio: $(echo "scale=2; m = $b; if ($c < m) m = $c; m / $a" | bc -l)x (goal 2x)"
