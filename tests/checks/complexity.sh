#!/usr/bin/env bash
# No function of the product has a modified McCabe complexity over 25 (pmccabe).
set -euo pipefail
cd "$(dirname "$0")/../.."
find src drivers include examples bench \( -name '*.c' -o -name '*_body.h' -o -name '*.inc' \) -print0 | xargs -0 pmccabe |
    awk '$1 > 25 { print $6 ": " $7 " has complexity " $1; bad = 1 } END { if (NR < 1000) { print "only " NR " functions seen"; bad = 1 } exit bad }'
