#!/usr/bin/env bash
# The quick start, as a new user runs it, in a workspace of its own: it must end well and answer with a
# diagnosis.
set -euo pipefail
cd "$(dirname "$0")/../.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
AIMASS_WORKSPACE=$tmp/ws AIMASS_PORT=0 scripts/quickstart --once | tee "$tmp/out"
grep -q '"label"' "$tmp/out"
grep -qE 'http://127\.0\.0\.1:[0-9]+' "$tmp/out"
