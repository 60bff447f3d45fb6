#!/usr/bin/env bash
# How well does `aimass advise` know what a training takes? Tables of some sizes are generated; what advise says of
# each family is put beside what the training then took (from the workspace's own observations). Prints the ratios,
# their median and 90th percentile as factors. Environment: AIMASS_BUILD (default build).
#   bench/costs.sh [ROWSxCOLUMNS ...]      default 2000x10 10000x30 40000x15
set -euo pipefail
cd "$(dirname "$0")/.."
aimass=$(realpath "${AIMASS_BUILD:-build}/aimass")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export AIMASS_WORKSPACE=$dir/ws AIMASS_LOG=error
[ $# -gt 0 ] || set -- 2000x10 10000x30 40000x15
for size in "$@"; do
    python3 - "${size%x*}" "${size#*x}" >"$dir/t.csv" <<'PY'
import random, sys
n, f = int(sys.argv[1]), int(sys.argv[2])
r = random.Random(n)
print(",".join("x%d" % i for i in range(f)) + ",y")
for _ in range(n):
    x = [r.gauss(0, 1) for _ in range(f)]
    print(",".join("%.4f" % v for v in x) + ("," + ("a" if x[0] + x[1] * x[2] + r.gauss(0, 1) > 0 else "b")))
PY
    "$aimass" advise "$dir/t.csv" --target y --json >"$dir/advice.json"
    for family in $(jq -r '.families[] | select(.suits) | .family' "$dir/advice.json"); do
        said=$(jq -r --arg f "$family" '.families[] | select(.family == $f) | .fit_seconds' "$dir/advice.json")
        "$aimass" run "$dir/t.csv" --target y --set "model={type: $family}" --set evaluate.bootstrap=0 \
            --set evaluate.importance=false >/dev/null 2>"$dir/err" || { echo "$family: $(head -n 1 "$dir/err")"; continue; }
        took=$(awk -F'\t' -v f="$family" '$2 == f { t = $6 } END { print t }' "$dir/ws/costs")
        echo "$size $family $said $took"
    done
done | tee "$dir/all" | awk 'NF == 4 { printf "%-10s %-18s said %9.4f s  took %9.4f s  ratio %5.2f\n", $1, $2, $3, $4, $3 / $4; next } { print }'
awk 'NF == 4 && $4 > 0 { r = $3 / $4; print r < 1 ? 1 / r : r }' "$dir/all" | sort -g |
    awk '{ v[NR] = $1 } END { if (NR) printf "factor between said and took: median %.2f, 90th percentile %.2f of %d\n", v[int((NR + 1) / 2)], v[int(NR * 0.9 + 0.5)], NR }'
