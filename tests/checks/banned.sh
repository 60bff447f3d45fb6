#!/usr/bin/env bash
# Calls that no file of the product makes, in the source (grep) and in the objects (nm BUILD).
#   tests/checks/banned.sh [BUILD_DIR]
set -euo pipefail
cd "$(dirname "$0")/../.."
names='strcpy|strcat|sprintf|vsprintf|gets|strncpy|strncat|strtok|atoi|atol|atof|sscanf|rand|srand|system|popen|alloca|tmpnam|mktemp|setjmp|longjmp'
bad=0
if grep -rnE "(^|[^A-Za-z0-9_>.])($names) *\(" src drivers include --include='*.c' --include='*.h'; then
    echo "banned calls in the source"; bad=1
fi
if grep -rnE '(^|[^A-Za-z0-9_>.])(malloc|calloc|realloc|free) *\(' src drivers --include='*.c' --include='*.h' |
    grep -vE '^src/base/alloc\.c:'; then
    echo "allocation outside src/base/alloc.c"; bad=1
fi
if [ -n "${1:-}" ]; then
    while read -r lib; do
        if nm -u "$lib" 2>/dev/null | grep -E " ($names)(@|$)"; then
            echo "banned symbols in $lib"; bad=1
        fi
    done < <(find "$1/src" -name '*.a')
fi
exit $bad
