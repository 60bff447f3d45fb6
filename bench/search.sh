#!/usr/bin/env bash
# Hyper-parameter search: trials to 1 % regret (censored at 100), 20 seeds, against Optuna's TPE and GP samplers and
# random search, on Branin, Hartmann-6, a mixed 5-D function and two tuned scikit-learn models (tables that both
# sides read). Prints the table of RESULTS.md; counts do not depend on the machine's load.
#   bench/search.sh [TASK,TASK...]         needs AIMASS_BENCH_PYTHON with optuna, torch, scikit-learn
set -euo pipefail
cd "$(dirname "$0")/.."
python=${AIMASS_BENCH_PYTHON:-/usr/bin/python3}
build=${BUILD:-build}
seeds=${SEEDS:-20}
tasks=${1:-branin,hartmann6,mixed,svc,boosting}
work=${SEARCH_WORK:-$(mktemp -d)} # SEARCH_WORK=DIR keeps the tables and the peers' runs for the next time
mkdir -p "$work"
ninja -C "$build" bench/search >/dev/null
[ -e "$work/tables.json" ] || "$python" bench/search_tables.py "$work/tables.json" >"$work/tables.log"
"$build/bench/search" "$work/tables.json" --values >"$work/ours.values"
(cd bench && "$python" search_peers.py "$work/tables.json" --values) >"$work/peers.values"
# the same functions on both sides, to 9 digits
paste -d ' ' "$work/ours.values" "$work/peers.values" | awk '
    $1 != $3 || ($2 - $4) ^ 2 > 1e-18 * (1 + $2 * $2) { print "differs: " $0; bad = 1 }
    END { exit bad }'
for task in ${tasks//,/ }; do
    "$build/bench/search" "$work/tables.json" auto "$task" "$seeds" >"$work/ours.$task"
    (cd bench && "$python" search_peers.py "$work/tables.json" "$work/peers.json" random,tpe,gp "$task" "$seeds") >>"$work/peers.log"
done
"$python" bench/search_table.py "$work" "$tasks"
