#!/usr/bin/env bash
# Every row of tests/acceptance/*.tsv names tests that exist in this build, have run and passed: one that is
# missing, failed or was skipped fails this check.
#   tests/checks/acceptance.sh BUILD_DIR [STEPS]     after `meson test` of the whole build
# Columns: what the issue names <TAB> tests, by commas <TAB> the command by which a user meets it. A test is the
# name of a meson test, or step:NAME of scripts/test, bench:FILE, soak:WORD. STEPS: the lines `ok NAME` and
# `FAIL NAME` of the steps that scripts/test ran; with it a step must have passed, without it only exist.
set -euo pipefail
cd "$(dirname "$0")/../.."
log=$1/meson-logs/testlog.json
steps=${2:-}
bad=0
n=0
complain() {
    echo "$*"
    bad=1
}
[ -s "$log" ] || { echo "no $log: run meson test first"; exit 1; }
results=$(jq -r '.result + " " + (.name | sub("^.* / "; ""))' "$log")
check() { # row, test
    case "$2" in
    step:*)
        grep -qF "step \"${2#step:}\" " scripts/test || complain "$1: scripts/test has no step ${2#step:}"
        [ -z "$steps" ] || grep -qxF "ok ${2#step:}" "$steps" || complain "$1: step ${2#step:} did not pass"
        ;;
    bench:*) [ -s "bench/${2#bench:}" ] || complain "$1: there is no bench/${2#bench:}" ;;
    soak:*) grep -qF "${2#soak:}" scripts/soak || complain "$1: scripts/soak has no ${2#soak:}" ;;
    *)
        local got
        got=$(awk -v t="$2" '{ r = $1; sub(/^[^ ]* /, ""); if ($0 == t) print r }' <<<"$results" | sort -u | tr '\n' ' ')
        [ "$got" = "OK " ] || complain "$1: test $2: ${got:-it is not in this build}"
        ;;
    esac
}
for table in tests/acceptance/*.tsv; do
    rows=0
    while IFS= read -r row || [ -n "$row" ]; do
        case "$row" in "" | \#*) continue ;; esac
        rows=$((rows + 1))
        if [ "$(tr -cd '\t' <<<"$row" | wc -c)" -ne 2 ]; then
            complain "$table: not three columns: $row"
            continue
        fi
        IFS=$'\t' read -r what tests command <<<"$row"
        if [ -z "$what" ] || [ -z "$tests" ] || [ -z "$command" ]; then
            complain "$table: an empty column: $row"
            continue
        fi
        IFS=, read -ra each <<<"$tests"
        for t in "${each[@]}"; do check "$what" "$t"; done
    done <"$table"
    [ $rows -gt 0 ] || complain "$table has no row"
    n=$((n + rows))
done
echo "$n rows"
exit $bad
