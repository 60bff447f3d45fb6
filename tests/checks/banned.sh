#!/usr/bin/env bash
# Calls that no file of the product makes: in the source (comments and strings left out) and, given a
# build folder, in its objects.
#   tests/checks/banned.sh [BUILD_DIR]
set -euo pipefail
cd "$(dirname "$0")/../.."
names='strcpy|strcat|stpcpy|sprintf|vsprintf|gets|strncpy|strncat|strtok|strtok_r|atoi|atol|atoll|atof|sscanf|vsscanf|fscanf|scanf|rand|srand|system|popen|alloca|tmpnam|tempnam|mktemp|setjmp|longjmp|sigsetjmp|siglongjmp'
memory='malloc|calloc|realloc|reallocarray|free|aligned_alloc|posix_memalign|memalign|strdup|strndup|asprintf|vasprintf'
bad=0
call="(^|[^A-Za-z0-9_>.])"
# Stands in for what LIBLINEAR and LIBSVM call, so that their memory and random numbers are ours; a training that is
# canceled or out of memory is left by a jump, since the libraries know no other way.
guard=drivers/svm-common/guard.h
jumps='setjmp|longjmp'
while read -r f; do
    [ "$f" != $guard ] || continue
    banned=$names
    case $f in drivers/svm-*) banned=${names//|$jumps/} ;; esac
    code=$(gcc -fpreprocessed -dD -E -w "$f" | sed -E '/^#/d; s/"([^"\\]|\\.)*"//g')
    if grep -E "$call($banned) *\(" <<<"$code"; then
        echo "$f: banned call"
        bad=1
    fi
    if [ "$f" != src/base/alloc.c ] && grep -E "$call($memory) *\(" <<<"$code"; then
        echo "$f: allocation outside src/base/alloc.c"
        bad=1
    fi
done < <(find src drivers include -name '*.c' -o -name '*.h' -o -name '*.inc')
if [ -n "${1:-}" ]; then
    n=0
    while read -r object; do
        n=$((n + 1))
        # a macro or a fortified name hides nothing: __sprintf_chk, __isoc99_sscanf, _setjmp, __builtin_alloca
        banned=$names
        case $object in */drivers/svm-*) banned=${names//|$jumps/} ;; esac
        if nm -u "$object" | grep -E " U _*(isoc99_|isoc23_)?($banned)(_chk)?(@|$)"; then
            echo "$object: banned symbol"
            bad=1
        fi
        case "$object" in *alloc.c.o) continue ;; esac
        if nm -u "$object" | grep -E " U _*($memory)(_chk)?(@|$)"; then
            echo "$object: allocation outside src/base/alloc.c"
            bad=1
        fi
    done < <(find "$1/src" "$1/drivers" "$1/aimass.p" -name '*.o')
    [ "$n" -gt 100 ] || { echo "only $n objects in $1"; bad=1; }
fi
exit $bad
