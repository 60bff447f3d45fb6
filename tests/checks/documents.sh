#!/usr/bin/env bash
# The documents exist, docs/RECIPE.md is what the program prints, docs/LIMITS.md what the header says.
#   tests/checks/documents.sh BUILD_DIR
set -euo pipefail
cd "$(dirname "$0")/../.."
bad=0
for f in README.md README.zh-CN.md CONTRIBUTING.md LICENSE docs/TOUR.md docs/RECIPE.md docs/PACKAGE.md docs/API.md docs/LIMITS.md \
    examples/README.md bench/RESULTS.md CHANGELOG.md; do
    [ -s "$f" ] || { echo "missing: $f"; bad=1; }
done
"$1/aimass" schema --learners | diff -q - <(sed -n '/^| `model.type` | binary/,/^| `baseline` |/p' docs/LEARNERS.md) >/dev/null ||
    { echo "the matrix of docs/LEARNERS.md is not what 'aimass schema --learners' prints: run scripts/docs-update"; bad=1; }
"$1/aimass" schema --markdown | diff -q - <(sed -n '/^| key/,$p' docs/RECIPE.md) >/dev/null ||
    { echo "docs/RECIPE.md is not what 'aimass schema --markdown' prints: run scripts/docs-update"; bad=1; }
scripts/docs-update --limits | diff -q - docs/LIMITS.md >/dev/null || { echo "docs/LIMITS.md is old: run scripts/docs-update"; bad=1; }
for f in $(grep -ohE '\]\(([a-zA-Z0-9_./-]+)\)' README.md README.zh-CN.md | tr -d '()]'); do
    [ -e "$f" ] || { echo "README names $f, which is not there"; bad=1; }
done
for d in src/*/; do [ -s "$d/README.md" ] || { echo "no README in $d"; bad=1; }; done
exit $bad
