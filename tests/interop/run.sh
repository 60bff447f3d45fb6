#!/usr/bin/env bash
# Stock clients against `aimass serve`. usage: run.sh AIMASS BUILD_DIR [pytest arguments]
# The clients live in a virtual environment in the build folder, made once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
AIMASS=$(realpath "$1")
venv=$(realpath "$2")/interop-venv
shift 2
if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv/requirements.txt"
fi
export AIMASS
exec "$venv/bin/python" -m pytest -q -p no:cacheprovider "$here" "$@"
