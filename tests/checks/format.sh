#!/usr/bin/env bash
# clang-format decides the layout; prints the files that differ. `--fix PATH...` writes them.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ "${1:-}" = --fix ]; then
    shift
    find "$@" \( -name '*.c' -o -name '*.h' \) -print0 | xargs -0 clang-format-14 -i
    exit
fi
bad=0
while read -r f; do
    clang-format-14 "$f" | cmp -s - "$f" || { echo "clang-format would change $f"; bad=1; }
done < <(find src drivers include examples tests bench -name '*.c' -o -name '*.h' | sort)
exit $bad
