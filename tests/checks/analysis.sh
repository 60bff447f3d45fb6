#!/usr/bin/env bash
# cppcheck and a set of clang-tidy checks over the product; a finding fails.
#   tests/checks/analysis.sh BUILD_DIR (a clang build, for its compile_commands.json)
set -euo pipefail
cd "$(dirname "$0")/../.."
cppcheck --quiet --std=c11 --language=c --enable=warning,portability --inline-suppr --error-exitcode=1 -j 2 \
    --suppress=missingIncludeSystem --suppress=unknownMacro --suppress=normalCheckLevelMaxBranches \
    -D_GNU_SOURCE -Isrc -Iinclude src drivers
checks='-*,bugprone-sizeof-expression,bugprone-signal-handler,bugprone-not-null-terminated-result,bugprone-posix-return'
checks+=',bugprone-suspicious-memset-usage,bugprone-suspicious-string-compare,bugprone-infinite-loop'
checks+=',bugprone-too-small-loop-variable,bugprone-implicit-widening-of-multiplication-result'
checks+=',cert-err34-c,cert-env33-c,cert-pos44-c,cert-sig30-c,cert-msc30-c,misc-redundant-expression,android-cloexec-open'
find src drivers -name '*.c' ! -name '*_avx*' | xargs -P 2 -n 6 clang-tidy-14 -p "$1" --quiet --warnings-as-errors='*' --checks="$checks"
