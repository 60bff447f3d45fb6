#!/usr/bin/env bash
# Every row of tests/acceptance/*.tsv names a test that exists in this build and has run and passed.
#   tests/checks/acceptance.sh BUILD_DIR (after `meson test`)
# Columns: what the issue names <TAB> test (a meson test name, several by commas, or `step:NAME` of
# scripts/test, or `bench:FILE`) <TAB> the command by which a user meets it.
set -euo pipefail
cd "$(dirname "$0")/../.."
log=$1/meson-logs/testlog.json
bad=0
n=0
ok=$(jq -r 'select(.result == "OK") | .name' "$log" | sed 's/.* \/ //; s/.*:[a-z]* *//' | sort -u)
while IFS=$'\t' read -r what test command rest; do
    case "$what" in "" | \#*) continue ;; esac
    n=$((n + 1))
    if [ -z "$test" ] || [ -z "$command" ] || [ -n "$rest" ]; then
        echo "row without three columns: $what"; bad=1; continue
    fi
    for t in ${test//,/ }; do
        case "$t" in
        step:*) grep -qF "\"${t#step:}\"" scripts/test || { echo "$what: scripts/test has no step ${t#step:}"; bad=1; } ;;
        bench:*) [ -e "bench/${t#bench:}" ] || { echo "$what: there is no bench/${t#bench:}"; bad=1; } ;;
        soak:*) grep -qF "${t#soak:}" scripts/soak || { echo "$what: scripts/soak has no ${t#soak:}"; bad=1; } ;;
        *) grep -qxF "$t" <<<"$ok" || { echo "$what: test $t did not run and pass"; bad=1; } ;;
        esac
    done
done < <(cat tests/acceptance/*.tsv)
echo "$n rows"
exit $bad
