#!/usr/bin/env bash
# A folder of src/ includes only from floors strictly below its own (docs/TOUR.md); a driver only its
# interface header and base; the core never names a driver. Prints each breach; exit 1 when there is one.
set -euo pipefail
cd "$(dirname "$0")/../.."
declare -A floor=([base]=0 [tensor]=1 [store]=1 [data]=2 [feature]=2 [nn]=2 [eval]=2 [tune]=2 [learn]=3
    [model]=4 [registry]=5 [compress]=5 [jobs]=6 [monitor]=6 [pipeline]=7 [serve]=7 [cluster]=8
    [federate]=8 [platform]=9 [api]=10 [cli]=10)
bad=0
while IFS=: read -r file line text; do
    own=$(cut -d/ -f2 <<<"$file")
    dir=$(sed -n 's/.*#include "\([a-z0-9_-]*\)\/.*/\1/p' <<<"$text")
    [ -z "$dir" ] || [ "$dir" = "$own" ] && continue
    if [ -z "${floor[$own]:-}" ] || [ -z "${floor[$dir]:-}" ]; then
        echo "$file:$line: no floor is known for $own -> $dir"; bad=1
    elif [ "${floor[$dir]}" -ge "${floor[$own]}" ]; then
        echo "$file:$line: $own (floor ${floor[$own]}) includes $dir (floor ${floor[$dir]})"; bad=1
    elif [ "${floor[$own]}" -eq 10 ] && ! grep -qE '^(platform|tensor|base)$' <<<"$dir"; then
        echo "$file:$line: a face includes only platform, tensor and base, not $dir"; bad=1
    fi
done < <(grep -rnE '^#include "' src --include='*.c' --include='*.h' --include='*.inc')
exit $bad
