#!/usr/bin/env bash
# The Chinese catalogue is whole: every message of the sources stands in po/zh_CN.po with a translation, and
# every translation takes the same arguments as its message. The Chinese README shows the same commands as
# the English one. Needs gettext; changes nothing in the tree.
set -euo pipefail
cd "$(dirname "$0")/../.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bad=0
scripts/po-update --extract "$tmp/now.pot"
if ! msgfmt --check --output-file="$tmp/zh.mo" po/zh_CN.po; then
    echo "po/zh_CN.po has format errors"
    bad=1
fi
if ! msgcmp po/zh_CN.po "$tmp/now.pot"; then
    echo "po/zh_CN.po lacks messages of the sources: run scripts/po-update and translate them"
    bad=1
fi
blocks() { awk '/^```/ { inside = !inside } inside' "$1"; }
if ! diff <(blocks README.md) <(blocks README.zh-CN.md); then
    echo "the code blocks of README.zh-CN.md are not those of README.md"
    bad=1
fi
exit $bad
