# What every end-to-end test needs: the program, a workspace of its own, and checks that count.
# Sourced, never run. The program is $1 of the test, or $AIMASS. Every check prints what it saw when it
# fails, and the test goes on, so that one run tells everything; `finish` gives the exit code.
# shellcheck shell=bash
set -u
AIMASS=${1:-${AIMASS:?path of the program as first argument or in AIMASS}}
AIMASS=$(realpath "$AIMASS")
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
EXAMPLES=$(realpath "$HERE/../../examples")
W=$(mktemp -d "${TMPDIR:-/tmp}/aimass-e2e.XXXXXX")
export AIMASS_WORKSPACE=$W/ws HOME=$W LC_ALL=C.UTF-8
unset LANG LANGUAGE XDG_DATA_HOME
cd "$W" || exit 99
out=$W/.out err=$W/.err rc=0
checks=0 failures=0 started=() last=

cleanup() {
    local p
    for p in "${started[@]}"; do kill "$p" 2>/dev/null && wait "$p" 2>/dev/null; done
    cd / && rm -rf "$W"
}
trap cleanup EXIT

fail() {
    failures=$((failures + 1))
    printf 'FAIL %s\n     after: aimass %s (exit %s)\n' "$*" "$last" "$rc"
    [ -s "$out" ] && head -c 400 "$out" | tr -d '\n' | sed 's/^/     out: /; s/$/\n/'
    [ -s "$err" ] && head -c 400 "$err" | sed 's/^/     err: /'
    if [ "$failures" -ge 12 ]; then
        echo "too many failures, the rest is not tried"
        exit 1
    fi
}

# check WHAT COMMAND...: the command must succeed
check() {
    local what=$1
    shift
    checks=$((checks + 1))
    "$@" >/dev/null 2>&1 || fail "$what"
}

# same WHAT WANTED GOT
same() {
    checks=$((checks + 1))
    [ "$2" = "$3" ] || fail "$1: wanted \"$2\", got \"$3\""
}

differs() {
    checks=$((checks + 1))
    [ "$2" != "$3" ] || fail "$1: both are \"$2\""
}

# am ARGS...: the program with stdout and stderr kept and the exit code in rc
am() {
    last="$*"
    "$AIMASS" "$@" >"$out" 2>"$err"
    rc=$?
    if [ "$rc" -ge 126 ] && [ "$rc" != 130 ]; then
        fail "the program crashed"
        exit 1
    fi
}

# good ARGS...: done, and quiet
good() {
    am "$@"
    checks=$((checks + 1))
    if [ "$rc" != 0 ]; then fail "must succeed"; elif [ -s "$err" ]; then fail "must be quiet on stderr"; fi
}

one_object() { jq -es 'length == 1 and (.[0] | type == "object")' "$out"; }

# json ARGS...: as good, with --json: exactly one object on stdout
json() {
    good "$@" --json
    check "one JSON object on stdout" one_object
}

# has JQ-EXPRESSION...: true of the last output
has() {
    local e
    for e in "$@"; do check "$e" jq -es "length == 1 and (.[0] | $e)" "$out"; done
}

get() { jq -r "$1" "$out"; }

# Everything that is recorded, and what lies in the scratch folder.
state() {
    local k
    for k in runs models datasets; do
        printf '%s %s ' $k "$("$AIMASS" $k --json 2>/dev/null | jq -c '.total')"
    done
    find "$AIMASS_WORKSPACE/tmp" "$AIMASS_WORKSPACE"/blobs/*/tmp -type f 2>/dev/null | wc -l
}

# bad CODE MESSAGE-REGEX HINT-REGEX ARGS...: one error that names the thing, a remedy, nothing recorded
bad() {
    local code=$1 message=$2 hint=$3 before
    shift 3
    before=$(state)
    am "$@"
    checks=$((checks + 1))
    if [ "$rc" != "$code" ]; then
        fail "exit code $code wanted"
    elif [ "$(grep -c '^aimass' "$err")" != 1 ]; then
        fail "exactly one error wanted"
    elif ! head -n 1 "$err" | grep -Eq -- "$message"; then
        fail "message must match /$message/"
    elif ! sed 1d "$err" | grep -Eq -- "$hint"; then
        fail "remedy must match /$hint/"
    elif [ -s "$out" ]; then
        fail "an error leaves stdout empty"
    elif [ "$(wc -c <"$err")" -gt 2000 ]; then
        fail "an error is not a page"
    fi
    same "nothing recorded, no scratch left" "$before" "$(state)"
    after_bad "$@"
}
after_bad() { :; }

# weights REF: the hash of a version's weights
weights() {
    rm -f "$W/.w.aim"
    "$AIMASS" model export "$1" "$W/.w.aim" >/dev/null 2>"$err" || echo "no package of $1"
    unzip -p "$W/.w.aim" weights.safetensors 2>/dev/null | sha256sum | cut -d' ' -f1
}

# serve ARGS...: a server on a free port; its address in $url
serve() {
    last="serve $*"
    mkfifo "$W/.ready.$$.${#started[@]}"
    local pipe=$W/.ready.$$.${#started[@]}
    "$AIMASS" serve --port 0 --json "$@" >"$pipe" 2>"$err" &
    server=$!
    started+=("$server")
    read -r -t 20 line <"$pipe" || { fail "the server did not start"; return 1; }
    url=$(jq -r .url <<<"$line")
}

# bounded COMMAND...: under the limit $data on the data segment when there is one (RLIMIT_DATA counts every private
# writable page, heap and thread stacks), in the cgroup $group when there is one; the peak goes to stderr. Filling freed
# memory with a pattern (meson does) touches pages that the program never uses, ASan's quarantine keeps freed memory
# back: both are off here.
data=0 group=
bounded() {
    ASAN_OPTIONS=${ASAN_OPTIONS:-}:quarantine_size_mb=0:thread_local_quarantine_size_kb=0 env -u MALLOC_PERTURB_ \
        python3 - "$group" "$data" "$@" >"$out" 2>"$err" <<'PY'
import os, resource, subprocess, sys
group, data, command = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
def enter():
    if group:
        with open(group + "/cgroup.procs", "w") as f:
            f.write(str(os.getpid()))
    if data:
        resource.setrlimit(resource.RLIMIT_DATA, (data, data))
rc = subprocess.call(command, preexec_fn=enter)
print("peak %d kB" % resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(rc if rc >= 0 else 128 - rc)
PY
    rc=$?
}
peak() { sed -n 's/^peak \([0-9]*\) kB$/\1/p' "$err"; }
hungry() { # touches 300 MB: a limit that lets it live limits nothing
    bounded python3 -c 'b = bytearray(300 << 20); b[::4096] = b"x" * len(b[::4096])'
    differs "$1 is a limit" 0 "$rc"
}
sanitized() { grep -q -m 1 __asan_init "$AIMASS"; }

finish() {
    echo "$checks checks, $failures failures"
    [ "$failures" = 0 ] && [ "$checks" -gt 0 ]
    exit $?
}
