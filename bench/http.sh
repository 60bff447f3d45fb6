#!/usr/bin/env bash
# HTTP prediction of the breast-cancer model, one row a request over keep-alive: aimass beside FastAPI +
# scikit-learn, MLflow's scoring server and MLServer, and beside a bare libuv server that moves the same
# bytes. The servers take turns in one run; figures are ratios of the medians of the rounds.
#
#   bench/http.sh BUILD_DIR [ROUNDS] [SECONDS]
#   PEERS_PYTHON=/path/to/venv/bin/python   has fastapi uvicorn scikit-learn mlflow mlserver mlserver-sklearn;
#                                           without it the peers are left out, and the script says so
# Needs wrk, curl, jq. Server and client share the machine: with 2 or more cores the server gets core 0 and
# wrk core 1. Peers run as their documentation shows, with one worker, the core being one too.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$(realpath "${1:?build directory}")
rounds=${2:-3}
seconds=${3:-3}
aimass=$build/aimass
work=$(mktemp -d)
export AIMASS_WORKSPACE=$work/ws
pids=()
stop_all() {
    for p in "${pids[@]}"; do kill -- "-$p" 2>/dev/null || kill "$p" 2>/dev/null || true; done
    rm -rf "$work"
}
trap stop_all EXIT
if [ "$(nproc)" -ge 2 ]; then on0=(taskset -c 0) on1=(taskset -c 1); else on0=() on1=(); fi

free_port() { python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])'; }
now_ms() { date +%s%3N; }
# CPU time in ns of a process, its threads and its children
cpu_ns() {
    local p total=0
    for p in $1 $(pgrep -P "$1" || true) $(pgrep -P "$1" | xargs -r -n1 pgrep -P || true); do
        total=$((total + $(cat /proc/"$p"/task/*/schedstat 2>/dev/null | awk '{s+=$1} END {printf "%.0f", s}')))
    done
    echo "$total"
}
rss_mb() {
    local p total=0
    for p in $1 $(pgrep -P "$1" || true) $(pgrep -P "$1" | xargs -r -n1 pgrep -P || true); do
        total=$((total + $(awk '/VmRSS/{print $2}' /proc/"$p"/status 2>/dev/null || echo 0)))
    done
    awk "BEGIN {printf \"%.1f\", $total / 1024}"
}

# ---- the model and the request
"$aimass" train examples/breast_cancer.yaml --quiet >/dev/null
row=$(head -n 2 examples/breast_cancer.csv | awk -F, 'NR == 1 {n = NF - 1; for (i = 1; i <= n; i++) k[i] = $i}
    NR == 2 {printf "{"; for (i = 1; i <= n; i++) printf "%s\"%s\": %s", (i > 1 ? ", " : ""), k[i], $i; printf "}"}')
values=$(jq -c '[.[]]' <<<"$row")
printf '{"rows": [%s]}' "$row" >"$work/aimass.body"
printf '%s' "$row" >"$work/fastapi.body"
printf '{"dataframe_split": {"columns": %s, "data": [%s]}}' "$(jq -c keys_unsorted <<<"$row")" "$values" >"$work/mlflow.body"
printf '{"inputs": [{"name": "predict", "shape": [1, 30], "datatype": "FP64", "data": [%s]}]}' "$values" >"$work/mlserver.body"
cat >"$work/post.lua" <<'LUA'
wrk.method = "POST"
wrk.body = io.open(os.getenv("BODY_FILE")):read("*a")
wrk.headers["Content-Type"] = "application/json"
LUA

declare -A url pid start_ms
# launch NAME URL HEALTH COMMAND...: starts it and waits for the first answer
launch() {
    local name=$1 address=$2 health=$3 begin
    shift 3
    begin=$(now_ms)
    "${on0[@]}" setsid "$@" >"$work/$name.log" 2>&1 &
    pid[$name]=$!
    pids+=("$!")
    for _ in $(seq 6000); do
        curl -fsS -m 1 -o /dev/null "$health" 2>/dev/null && break
        kill -0 "${pid[$name]}" 2>/dev/null || { echo "$name did not start:" >&2; tail -n 5 "$work/$name.log" >&2; return 1; }
        sleep 0.01
    done
    start_ms[$name]=$(($(now_ms) - begin))
    url[$name]=$address
}

names=()
port=$(free_port)
launch aimass "http://127.0.0.1:$port/api/v1/models/breast-cancer/predict" "http://127.0.0.1:$port/v2/models/breast-cancer/ready" \
    "$aimass" serve --port "$port" --threads 1
names+=(aimass)

if [ -n "${PEERS_PYTHON:-}" ]; then
    "$PEERS_PYTHON" bench/http_peers.py train "$work/peer" examples/breast_cancer.csv
    bin=$(dirname "$PEERS_PYTHON")
    port=$(free_port)
    launch fastapi "http://127.0.0.1:$port/predict" "http://127.0.0.1:$port/healthz" \
        env PEER_MODEL="$work/peer/model.joblib" "$bin/uvicorn" --app-dir bench http_peers:app --host 127.0.0.1 --port "$port" \
        --log-level warning --no-access-log && names+=(fastapi)
    port=$(free_port)
    launch mlflow "http://127.0.0.1:$port/invocations" "http://127.0.0.1:$port/ping" \
        env PATH="$bin:$PATH" MLFLOW_TRACKING_URI="sqlite:///$work/mlflow.db" "$bin/mlflow" models serve -m "$work/peer/mlflow" \
        --host 127.0.0.1 --port "$port" --env-manager local --workers 1 && names+=(mlflow)
    port=$(free_port)
    http=$port grpc=$(free_port) metrics=$(free_port)
    mkdir -p "$work/mlserver"
    cp "$work/peer/model.joblib" "$work/mlserver/"
    cat >"$work/mlserver/model-settings.json" <<JSON
{"name": "bc", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": "./model.joblib"}}
JSON
    cat >"$work/mlserver/settings.json" <<JSON
{"host": "127.0.0.1", "http_port": $http, "grpc_port": $grpc, "metrics_port": $metrics, "parallel_workers": 0, "debug": false}
JSON
    launch mlserver "http://127.0.0.1:$http/v2/models/bc/infer" "http://127.0.0.1:$http/v2/models/bc/ready" \
        "$bin/mlserver" start "$work/mlserver" && names+=(mlserver)
else
    echo "PEERS_PYTHON is not set: no peers"
fi

# ---- the bare server that moves the same bytes
cc -O2 -D_GNU_SOURCE -o "$work/http_echo" bench/http_echo.c -luv -lpthread
curl -sS -i -H 'Content-Type: application/json' -d @"$work/aimass.body" "${url[aimass]}" >"$work/answer"
path=/${url[aimass]#http://*/}
port=$(free_port)
body=$(stat -c %s "$work/aimass.body")
request=$(printf 'POST %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nContent-Type: application/json\r\nContent-Length: %s\r\n\r\n' \
    "$path" "$port" "$body" | wc -c)
request=$((request + body))
"${on0[@]}" setsid "$work/http_echo" "$port" "$request" "$work/answer" &
pid[echo]=$!
pids+=("$!")
url[echo]="http://127.0.0.1:$port$path"
cp "$work/aimass.body" "$work/echo.body"
names+=(echo)

# ---- rounds
declare -A rps p99 cpu
for name in "${names[@]}"; do rps[$name]= p99[$name]= cpu[$name]=; done
run() { # name connections seconds
    BODY_FILE=$work/$1.body "${on1[@]}" wrk -t1 -c"$2" -d"$3s" --timeout 10s --latency -s "$work/post.lua" "${url[$1]}"
}
to_us() { awk '/99%/{v = $2; u = 1; if (v ~ /ms$/) u = 1000; else if (v ~ /us$/) u = 1; else if (v ~ /s$/) u = 1e6;
    sub(/[a-z]+$/, "", v); printf "%d\n", v * u}'; }
for name in "${names[@]}"; do run "$name" 16 1 >/dev/null; done
for _ in $(seq "$rounds"); do
    for name in "${names[@]}"; do
        before=$(cpu_ns "${pid[$name]}")
        out=$(run "$name" 16 "$seconds")
        after=$(cpu_ns "${pid[$name]}")
        grep -q 'Non-2xx' <<<"$out" && { echo "$name: $(grep Non-2xx <<<"$out")" >&2; exit 1; }
        n=$(awk '/requests in/{print $1}' <<<"$out")
        rps[$name]+="$(awk '/Requests\/sec/{print $2}' <<<"$out") "
        p99[$name]+="$(to_us <<<"$out") "
        cpu[$name]+="$(awk "BEGIN {printf \"%.3f\", ($after - $before) / 1000 / $n}") "
    done
done
median() { tr ' ' '\n' <<<"$*" | grep . | sort -g | awk '{v[NR] = $1} END {print (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }

printf '%-10s %12s %12s %12s %12s %10s\n' server requests/s "p99 us" "CPU us/req" "start ms" "RSS MB"
for name in "${names[@]}"; do
    printf '%-10s %12.0f %12.0f %12.2f %12s %10s\n' "$name" "$(median "${rps[$name]}")" "$(median "${p99[$name]}")" \
        "$(median "${cpu[$name]}")" "${start_ms[$name]:--}" "$(rss_mb "${pid[$name]}")"
done
echo
ratio() { awk "BEGIN {printf \"%.2f\", $1 / $2}"; }
for name in "${names[@]}"; do
    case $name in aimass | echo) continue ;; esac
    echo "aimass / $name: $(ratio "$(median "${rps[aimass]}")" "$(median "${rps[$name]}")")x requests/s, p99 $(ratio \
        "$(median "${p99[$name]}")" "$(median "${p99[aimass]}")")x lower, CPU $(ratio "$(median "${cpu[$name]}")" "$(median "${cpu[aimass]}")")x lower"
done
echo "CPU per request, aimass / bare libuv server with the same bytes: $(ratio "$(median "${cpu[aimass]}")" "$(median "${cpu[echo]}")") (goal: at most 1.67)"

# ---- start to first answer, memory with one model, both processes when started as root
kill "${pid[aimass]}"
wait "${pid[aimass]}" || true
best=999999
for _ in 1 2 3 4 5; do
    ms=$(python3 bench/http_peers.py start "$aimass" "$work/aimass.body")
    best=$(awk "BEGIN {print ($ms < $best) ? $ms : $best}")
done
echo "start of aimass serve to the first predicted answer: $best ms, best of 5 (goal: under 50)"
