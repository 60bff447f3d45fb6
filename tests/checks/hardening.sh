#!/usr/bin/env bash
# What the linker made of the program, the library and the drivers: full RELRO, no executable stack, no text
# relocations, stack protector, fortified calls; the program is position-independent.
#   tests/checks/hardening.sh BUILD_DIR (without sanitizers)
set -euo pipefail
cd "$(dirname "$0")/../.."
bad=0
n=0
complain() {
    echo "$1"
    bad=1
}
for f in "$1/aimass" "$1"/src/model/libaimass.so.*.*.* "$1"/drivers/*/*.so; do
    [ -d "$f" ] && continue
    [ -e "$f" ] || { complain "$f is not there"; continue; }
    [ -L "$f" ] && continue # DuckDB's own library
    n=$((n + 1))
    segments=$(readelf -lW "$f")
    dynamic=$(readelf -dW "$f")
    header=$(readelf -hW "$f")
    symbols=$(readelf -W --dyn-syms "$f")
    grep -q 'GNU_RELRO' <<<"$segments" || complain "$f: no RELRO"
    grep -qE '\(FLAGS(_1)?\).*(BIND_NOW|NOW)' <<<"$dynamic" || complain "$f: not bound at start"
    grep -qE 'GNU_STACK .* RW +0x' <<<"$segments" || complain "$f: executable stack"
    grep -qE 'LOAD .* RWE ' <<<"$segments" && complain "$f: a segment is writable and executable"
    grep -q 'TEXTREL' <<<"$dynamic" && complain "$f: text relocations"
    grep -qE '\((RPATH|RUNPATH)\)' <<<"$dynamic" && [ "$f" != "$1/aimass" ] && complain "$f: a library has a run path"
    grep -qE 'Type: +DYN' <<<"$header" || complain "$f: not position-independent"
    grep -q '__stack_chk_fail@' <<<"$symbols" || complain "$f: no stack protector"
done
grep -q '(FLAGS_1).*PIE' <<<"$(readelf -dW "$1/aimass")" || complain "$1/aimass: not a PIE"
grep -qE '__[a-z]+_chk@' <<<"$(readelf -W --dyn-syms "$1/aimass")" || complain "$1/aimass: no fortified calls"
[ "$n" -ge 3 ] || complain "only $n files looked at"
exit $bad
