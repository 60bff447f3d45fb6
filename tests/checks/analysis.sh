#!/usr/bin/env bash
# cppcheck and a set of clang-tidy checks over the product; a finding fails. What is suppressed says why
# beside the line.
#   tests/checks/analysis.sh BUILD_DIR (a clang build, for its compile_commands.json)
set -euo pipefail
cd "$(dirname "$0")/../.."
bad=0
cppcheck --quiet --std=c11 --language=c --enable=warning,portability --inline-suppr --error-exitcode=1 -j 2 \
    --suppress=missingIncludeSystem --suppress=unknownMacro --suppress=normalCheckLevelMaxBranches \
    -D_GNU_SOURCE -Isrc -Iinclude src drivers examples/c || bad=1
checks='-*,bugprone-sizeof-expression,bugprone-signal-handler,bugprone-not-null-terminated-result,bugprone-posix-return'
checks+=',bugprone-suspicious-memset-usage,bugprone-suspicious-string-compare,bugprone-infinite-loop'
checks+=',bugprone-too-small-loop-variable,bugprone-implicit-widening-of-multiplication-result'
checks+=',bugprone-bool-pointer-implicit-conversion,bugprone-macro-repeated-side-effects,bugprone-misplaced-widening-cast'
checks+=',bugprone-suspicious-memory-comparison,bugprone-suspicious-semicolon,bugprone-terminating-continue'
checks+=',cert-err34-c,cert-env33-c,cert-flp30-c,cert-fio38-c,cert-pos44-c,cert-sig30-c,cert-msc30-c'
checks+=',misc-redundant-expression,android-cloexec-open,android-cloexec-socket,android-cloexec-dup'
find src drivers -name '*.c' ! -name '*_avx*' -print0 | xargs -0 -P 2 -n 6 \
    clang-tidy-14 -p "$1" --quiet --warnings-as-errors='*' --checks="$checks" 2>/dev/null || bad=1
exit $bad
