#!/usr/bin/env bash
# Every header of src/ and include/ compiles alone with the project's warnings as errors.
set -euo pipefail
cd "$(dirname "$0")/../.."
bad=0
while read -r h; do
    "${CC:-gcc}" -std=c17 -D_GNU_SOURCE -Wall -Wextra -Wshadow -Wstrict-prototypes -Wconversion -Werror \
        -Isrc -Iinclude -fsyntax-only -x c "$h" || { echo "does not compile alone: $h"; bad=1; }
done < <(find src include drivers -name '*.h' 2>/dev/null | sort)
exit $bad
