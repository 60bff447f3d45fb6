#!/usr/bin/env bash
# Libraries without an allocation hook (libyaml, DuckDB with libstdc++; ICU's detector): the program runs
# in a child whose n-th allocation of that library fails, once or for ever. The end must be a clean one:
# success with the whole result, or exit 1 with one error; or, where the library itself dies, no more than
# the command is lost. After each: the workspace opens, its scratch is swept, the models are whole, and the
# next command works.
#   child.sh AIMASS FAILMALLOC.so
set -euo pipefail
ulimit -c 0 # deaths are expected here
AIMASS=$(realpath "$1")
preload=$(realpath "$2")
W=$(mktemp -d "${TMPDIR:-/tmp}/am-child-XXXXXX")
trap 'rm -rf "$W"' EXIT
cd "$W"
export AIMASS_WORKSPACE=$W/ws AIMASS_LOG=off LC_ALL=C
fail() {
    echo "FAIL: $*" >&2
    [ ! -s err ] || head -c 2000 err >&2
    exit 1
}

awk -v OFS=, 'BEGIN { print "a,b,y"; for (i = 0; i < 40; i++) print i * 37 % 100, i * 53 % 97, (i * 37 % 100 + i * 53 % 97 > 98) ? "p" : "q" }' >good.csv
awk -v OFS=, 'BEGIN { print "n,x,y"; for (i = 0; i < 40; i++) printf "M\374ller%d,%d,%s\n", i % 3, i * 37 % 100, (i * 37 % 100 > 50) ? "p" : "q" }' >latin.csv
for name in good latin; do
    cat >$name.yaml <<YAML
version: 1
name: $name
data: {source: $name.csv, target: y}
model: {type: logistic}
evaluate: {bootstrap: 0, importance: false}
YAML
done
"$AIMASS" train good.yaml >/dev/null
head -n 5 good.csv | cut -d, -f1,2 >rows.csv

versions() { "$AIMASS" models --json | jq '[.models[].versions] | add'; }
died=0
refused=0
done_=0
tries=0
one() { # LIBRARIES N COMMAND... ; N negative = for ever
    local in=$1 n=$2 before after rc=0
    shift 2
    before=$(versions)
    tries=$((tries + 1))
    if [ "$n" -lt 0 ]; then
        AM_FAIL_FOREVER=1 AM_FAIL_IN=$in AM_FAIL_NTH=$((-n)) LD_PRELOAD=$preload timeout 60 "$@" >out 2>err || rc=$?
    else
        AM_FAIL_IN=$in AM_FAIL_NTH=$n LD_PRELOAD=$preload timeout 60 "$@" >out 2>err || rc=$?
    fi
    after=$(versions) || fail "$in $n: the workspace does not open after exit $rc"
    [ -z "$(ls ws/tmp)" ] || fail "$in $n: scratch is left"
    case $rc in
    0)
        done_=$((done_ + 1))
        [ "$after" -eq $((before + 1)) ] || fail "$in $n: success without a version"
        ;;
    1 | 2)
        refused=$((refused + 1))
        [ "$(grep -c '^aimass: ' err)" -eq 1 ] || fail "$in $n: exit $rc without one error"
        [ "$after" -eq "$before" ] || [ "$after" -eq $((before + 1)) ] || fail "$in $n: $before, then $after versions"
        ;;
    134 | 135 | 136 | 139)
        died=$((died + 1))
        [ "$after" -eq "$before" ] || [ "$after" -eq $((before + 1)) ] || fail "$in $n: $before, then $after versions"
        ;;
    *) fail "$in $n: exit $rc" ;;
    esac
    if [ $((tries % 8)) -eq 0 ]; then
        "$AIMASS" predict good rows.csv >out 2>err || fail "$in $n: the next command"
    fi
}
count() { # LIBRARIES COMMAND...
    local in=$1
    shift
    AM_FAIL_COUNT=$W/count AM_FAIL_IN=$in LD_PRELOAD=$preload "$@" >/dev/null 2>&1 || fail "$in: the command without a fault"
    cat count
}
spread() { # LIBRARIES TRIES COMMAND... : the first six one by one, then evenly; every second one for ever
    local in=$1 n_tries=$2 total step n k=0
    shift 2
    total=$(count "$in" "$@")
    [ "$total" -gt "$n_tries" ] || fail "$in: only $total allocations counted"
    step=$((total / n_tries + 1))
    for n in 1 2 3 4 5 6 $(seq $((step + 1)) $step "$total"); do
        k=$((k + 1))
        if [ $((k % 2)) -eq 0 ]; then one "$in" "-$n" "$@"; else one "$in" "$n" "$@"; fi
    done
    echo "$in: $total allocations, $k tries so far $done_ done, $refused refused, $died died"
}

spread libyaml 24 "$AIMASS" train good.yaml
[ "$died" -eq 0 ] || fail "libyaml reports every failure, yet a child died"
spread libicu 6 "$AIMASS" train latin.yaml
spread libduckdb,libstdc++ 30 "$AIMASS" train good.yaml
[ "$refused" -gt 10 ] || fail "only $refused refusals"
"$AIMASS" train good.yaml >/dev/null 2>err || fail "training afterwards"
"$AIMASS" predict good rows.csv >/dev/null 2>err || fail "prediction afterwards"
echo "$tries tries: $done_ done, $refused refused with one error, $died died with the library"
