#!/usr/bin/env bash
# Every header of src/, drivers/ and include/ compiles alone, twice, with the project's warnings as errors.
# Not a header but a body, compiled by each file that defines its parameters: *_body.h.
set -euo pipefail
cd "$(dirname "$0")/../.."
bad=0
flags=(-std=c17 -D_GNU_SOURCE -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wconversion -Wundef
    -Wcast-qual -Wformat=2 -Werror -Isrc -Iinclude -fsyntax-only -x c -)
while read -r h; do
    extra=()
    case "$h" in
    *_body.h) continue ;;
    src/tensor/vec.h | src/tensor/seq_vec.h | src/tensor/kern_pool.h) extra=(-mavx2 -mfma) ;; # of the kernels built with these flags
    include/*) extra=(-Wpedantic) ;;
    esac
    printf '#include "%s"\n#include "%s"\n' "$PWD/$h" "$PWD/$h" | "${CC:-gcc}" "${extra[@]}" "${flags[@]}" ||
        { echo "does not compile alone: $h"; bad=1; }
done < <(find src include drivers -name '*.h' | sort)
exit $bad
