#!/usr/bin/env bash
# clang-format decides the layout; prints what differs.
set -euo pipefail
cd "$(dirname "$0")/../.."
find src drivers include examples tests bench \( -name '*.c' -o -name '*.h' \) -print0 |
    xargs -0 clang-format-14 --dry-run -Werror
