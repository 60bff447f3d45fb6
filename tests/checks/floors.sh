#!/usr/bin/env bash
# A folder of src/ includes only from floors strictly below its own (docs/TOUR.md); a driver only its
# interface header and base; the core never names a driver. Prints each breach; exit 1 when there is one.
set -euo pipefail
cd "$(dirname "$0")/../.."
declare -A floor=([base]=0 [tensor]=1 [store]=1 [data]=2 [feature]=2 [nn]=2 [eval]=2 [tune]=2 [learn]=3
    [model]=4 [registry]=5 [compress]=5 [jobs]=6 [monitor]=6 [pipeline]=7 [serve]=7 [cluster]=8
    [federate]=8 [platform]=9 [api]=10 [cli]=10)
# What a driver's port is, and what that port itself is made of.
declare -A port=([tables]='data/tables.h' [images]='tensor/media.h' [sounds]='tensor/media.h' [video]='tensor/media.h' [kernels]='tensor/kernel_port.h' [weights]='tensor/weights.h' [svm]='learn/svm.h' [trees]='learn/trees.h')
# The one place where the two faces meet: `aimass serve` starts the server of api/.
faces_meet='src/cli/cmd_system.c:api/api.h'
bad=0
breach() {
    echo "$1"
    bad=1
}

while IFS=: read -r file line text; do
    own=$(cut -d/ -f2 <<<"$file")
    inc=$(sed -n 's/.*#include "\([^"]*\)".*/\1/p' <<<"$text")
    dir=${inc%%/*}
    if [ "$dir" = "$inc" ]; then
        # what the build makes, and include/aimass.h, have no folder
        case "$inc" in aimass.h) continue ;; esac
        breach "$file:$line: \"$inc\" is included without its folder"
    elif [ "$dir" = "$own" ] || [ "$file:$inc" = "$faces_meet" ]; then
        continue
    elif [ -z "${floor[$own]:-}" ] || [ -z "${floor[$dir]:-}" ]; then
        breach "$file:$line: no floor is known for $own -> $dir"
    elif [ "${floor[$dir]}" -ge "${floor[$own]}" ]; then
        breach "$file:$line: $own (floor ${floor[$own]}) includes $dir (floor ${floor[$dir]})"
    elif [ "${floor[$own]}" -eq 10 ] && ! grep -qE '^(platform|tensor|base)$' <<<"$dir"; then
        breach "$file:$line: a face includes only platform, tensor and base, not $dir"
    fi
done < <(grep -rnE '^ *# *include *"' src --include='*.c' --include='*.h' --include='*.inc')

while IFS=: read -r file line text; do
    driver=$(cut -d/ -f2 <<<"$file")
    inc=$(sed -n 's/.*#include "\([^"]*\)".*/\1/p' <<<"$text")
    case "$inc" in
    base/* | "${port[${driver%%-*}]:-none}" | *_abi.h) ;;
    tensor/frame.h) [ "${driver%%-*}" = tables ] || breach "$file:$line: a driver includes $inc" ;; # tables.h is made of it
    *) [ -e "drivers/$driver/$inc" ] || breach "$file:$line: a driver includes only its port and base, not $inc" ;;
    esac
done < <(grep -rnE '^ *# *include *"' drivers --include='*.c' --include='*.h' --include='*.inc')

for d in drivers/*/; do
    d=$(basename "$d")
    engine=${d#*-}
    if grep -rniE "\"[^\"]*${d}|#include.*${engine}" src --include='*.c' --include='*.h' | grep -v '^src/platform/'; then
        breach "src/ names the driver $d outside src/platform, which loads it"
    fi
done
exit $bad
