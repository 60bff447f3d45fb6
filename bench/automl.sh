#!/usr/bin/env bash
# `aimass run` inside a budget beside scikit-learn's best default model, AutoGluon and H2O in the same budget: log
# loss on test rows that nobody saw, and the time to predict them. Six sets: three generated, three real.
#   bench/automl.sh [census|clusters|rules|spambase|churn|pima ...]
# Environment:
#   BUDGET                seconds for each search (default 300)
#   AIMASS_BUILD          build folder (default build)
#   AIMASS_BENCH_DATA     folder with kernlab_spambase.csv.gz, modeldata_mlc_churn.csv.gz and
#                         mlbench_PimaIndiansDiabetes2.csv.gz (write.csv of Debian's r-cran-kernlab, r-cran-modeldata
#                         and r-cran-mlbench, row names off); without it these three are left out
#   AIMASS_BENCH_SKLEARN  interpreter with scikit-learn and pandas (default /usr/bin/python3)
#   AIMASS_BENCH_AUTOML   interpreter with autogluon.tabular and/or h2o; left out when unset
#   AIMASS_BENCH_OUT      folder for data, logs and results (default a temporary one)
# A peer that does not import or fails is reported with the end of its log, and its log is kept in the folder.
set -euo pipefail
cd "$(dirname "$0")/.."
budget=${BUDGET:-300}
aimass=$(realpath "${AIMASS_BUILD:-build}/aimass")
sk=${AIMASS_BENCH_SKLEARN:-/usr/bin/python3}
automl=${AIMASS_BENCH_AUTOML:-}
out=${AIMASS_BENCH_OUT:-$(mktemp -d)}
peer=$PWD/bench/automl_peer.py
mkdir -p "$out"
[ -e "$out/census.train.csv" ] || "$sk" "$peer" make "$out" "${AIMASS_BENCH_DATA:-}"
sets=("$@")
[ ${#sets[@]} -gt 0 ] || sets=(census clusters rules spambase churn pima)
export AIMASS_WORKSPACE=$out/ws AIMASS_LOG=error
now() { date +%s.%N; }
field() { "$sk" -c "import json,sys; print(json.loads(sys.stdin.read().strip().splitlines()[-1])$1)"; }
# try NAME SET: the result of an AutoML peer, or why there is none
try() {
    if "$automl" "$peer" "$1" "$out/$2.train.csv" "$out/$2.test.csv" "$budget" >"$out/$2.$1.json" 2>"$out/$2.$1.log"; then
        return 0
    fi
    tail -n 3 "$out/$2.$1.log" | sed "s/^/    $1: /"
    return 1
}
printf '%-9s %-26s %9s %12s %11s %9s\n' set model "log loss" "test rows, s" "one row, ms" "search, s"
for name in "${sets[@]}"; do
    train=$out/$name.train.csv test=$out/$name.test.csv
    [ -e "$train" ] || continue
    target=$(head -n 1 "$train" | awk -F, '{ print $NF }')
    start=$(now)
    "$aimass" run "$train" --target "$target" --budget "${budget}s" --set data.split.test=0 --set "name=$name" --json >"$out/$name.ours.json"
    seconds=$(awk -v a="$start" -v b="$(now)" 'BEGIN { print b - a }')
    start=$(now)
    "$aimass" predict "$name" "$test" >"$out/$name.ours.csv"
    predict=$(awk -v a="$start" -v b="$(now)" 'BEGIN { print b - a }')
    ours=$("$sk" "$peer" score "$test" "$out/$name.ours.csv" | field "['log_loss']")
    row=$("$sk" -c "import json, sys
print([m['latency_us'] for m in json.load(open(sys.argv[1]))['leaderboard'] if m['chosen']][0])" "$out/$name.ours.json")
    printf '%-9s %-26s %9.4f %12.3f %11.4f %9.1f\n' "$name" "aimass (program start too)" "$ours" "$predict" \
        "$(awk -v u="$row" 'BEGIN { print u / 1000 }')" "$seconds"
    "$sk" "$peer" defaults "$train" "$test" >"$out/$name.defaults.json"
    printf '%-9s %-26s %9.4f %12.3f %11.4f\n' "$name" "$(field "[0]['model']" <"$out/$name.defaults.json")" \
        "$(field "[0]['log_loss']" <"$out/$name.defaults.json")" "$(field "[0]['predict_s']" <"$out/$name.defaults.json")" \
        "$(field "[0]['row_s']*1000" <"$out/$name.defaults.json")"
    for p in autogluon h2o; do
        [ -n "$automl" ] || continue
        try $p "$name" || continue
        printf '%-9s %-26s %9.4f %12.3f %11.4f %9.1f\n' "$name" $p "$(field "['log_loss']" <"$out/$name.$p.json")" \
            "$(field "['predict_s']" <"$out/$name.$p.json")" "$(field "['row_s']*1000" <"$out/$name.$p.json")" \
            "$(field "['seconds']" <"$out/$name.$p.json")"
    done
done
echo "results and logs: $out"
