#!/usr/bin/env bash
# What bad input gets: one clear error with the remedy, the right exit code or a 4xx, nothing half-written,
# and the next good command works. Each item of the list is a case of its own; then a full disk, a killed
# process and Ctrl-C.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

n_good=0
after_bad() { # the next good command works
    local before=$out
    out=$W/.good.out
    "$AIMASS" predict good small.csv >"$out" 2>&1 || fail "the next good command must work"
    n_good=$((n_good + 1))
    out=$before
}

awk 'BEGIN { print "a,b,y"; for (i = 0; i < 100; i++) printf "%.2f,%.2f,%s\n", (i * 37 % 100) / 100, (i * 53 % 97) / 97, ((i * 37 % 100) + (i * 53 % 97) > 98) ? "p" : "q" }' >good.csv
head -n 4 good.csv | cut -d, -f1,2 >small.csv
cat >good.yaml <<'YAML'
version: 1
name: good
data: {source: good.csv, target: y}
model: {type: logistic}
evaluate: {bootstrap: 0, importance: false}
YAML
good train good.yaml
data() { # CODE MESSAGE HINT FILE SETS...
    local code=$1 message=$2 hint=$3 file=$4
    shift 4
    bad "$code" "$message" "$hint" train good.yaml --set "data.source=$file" "$@"
}

echo "== files"
data 1 'missing.csv.*not exist' 'name' missing.csv
bad 1 'nothere.yaml' 'init' train nothere.yaml
data 1 'folder' 'glob' "$W"
data 1 '"nosuch"' 'datasets' nosuch
: >empty.csv
data 1 'empty.csv.*empty' 'line of column names' empty.csv
head -n 1 good.csv >header.csv
data 1 'header.csv.*no rows' 'rows' header.csv
{ cat good.csv; printf '1,2\n'; } >short.csv
data 1 'short.csv line 102 has 2 cells.* 3' 'Correct the line' short.csv
{ head -n 50 good.csv; printf '1,2,p,4\n'; tail -n 50 good.csv; } >long.csv
data 1 'long.csv line 51 has 4 cells.* 3' 'Correct the line' long.csv
{ head -n 50 good.csv; printf '1,2,"p\n'; tail -n 50 good.csv; } >quote.csv
data 1 'quote.csv' '.' quote.csv
head -c 5000 /dev/zero >zeros.csv
data 1 'zeros.csv.*not text' 'encoding|CSV' zeros.csv
{ cat good.csv; printf '0.5,0.5,\xff\xfe\xfd\n'; } >bytes.csv
data 1 'bytes.csv.*UTF-8' 'encoding' bytes.csv --set data.encoding=utf-8
awk 'BEGIN { for (i = 0; i < 65536; i++) printf "c%d,", i; print "y"; for (r = 0; r < 3; r++) { for (i = 0; i < 65536; i++) printf "1,"; print r } }' >wide.csv
data 1 '65537 columns.*65536' 'SELECT|fewer' wide.csv
{ cat good.csv; printf '0.5,0.5,'; head -c 1100000 /dev/zero | tr '\0' x; printf '\n'; } >cell.csv
data 1 'cell.csv' '.' cell.csv
sed '1s/.*/a,a,y/' good.csv >names.csv
data 1 'names.csv.*same name "a"' 'own name' names.csv
head -c 500 /dev/urandom | gzip -c | head -c 300 >broken.csv.gz
data 1 'broken.csv.gz' '.' broken.csv.gz

echo "== target"
bad 2 'target.*"why"' '"y"' train good.yaml --set data.target=why
bad 2 '"data.target" must be text, but is null' 'predict' train good.yaml --set data.target=
printf 'version: 1\ndata: {source: good.csv}\n' >aimless.yaml
bad 2 'aimless.yaml.*no column to predict' 'target: COLUMN' train aimless.yaml
sed 's/,q$/,p/' good.csv >constant.csv
data 1 '"y" is constant.*"p"' 'another target' constant.csv
sed '2,$s/,[pq]$/,/' good.csv >nothing.csv
data 1 '"y" is missing in every row' 'another target' nothing.csv
{ cat good.csv; printf '0.5,0.5,r\n'; } >single.csv
data 1 'class "r" has 1 row' 'Add rows|clean' single.csv

echo "== values"
sed '51s/^[^,]*/zero/' good.csv >text.csv
data 1 'text.csv line 51: "zero" in column "a" is not a number' 'data.types|invalid' text.csv
good train good.yaml --set data.source=text.csv --set 'data.clean.columns={a: {invalid: missing}}' --set name=mended
sed '51s/^[^,]*/inf/' good.csv >inf.csv
data 1 'inf.csv line 51.*"a" is infinite' 'invalid: missing' inf.csv
sed '51s/^[^,]*/NaN/' good.csv >nan.csv
good train good.yaml --set data.source=nan.csv --set name=mended

echo "== recipe"
bad 2 '--set data.taget: unknown key "taget" in "data"' '"target"' train good.yaml --set data.taget=y
printf 'version: 1\ndata: {source: good.csv, target: y}\ntrian: {epochs: 5}\n' >typo.yaml
bad 2 'typo.yaml, line 3, column 1: unknown key "trian"' '"train"' train typo.yaml
bad 2 '"train.epochs" must be a whole number, but is "many"' '.' train good.yaml --set train.epochs=many
bad 2 '"train.epochs" is 0.*between 1' '.' train good.yaml --set train.epochs=0
bad 2 '"model.type".*logistic.*"mpl"' '.' train good.yaml --set model.type=mpl
bad 2 'group' 'both, or neither' train good.yaml --set data.split.by=group
bad 2 'test and validation leave no rows' 'under' train good.yaml --set data.split.test=0.6 --set data.split.validation=0.5
bad 2 'early stopping needs validation' 'validation' train good.yaml --set data.split.validation=0 --set train.early_stopping=true
bad 2 'target is also a feature' 'features.only' train good.yaml --set 'features.only=[a, y]'
bad 2 'features.drop' 'one of them' train good.yaml --set 'features={only: [a, b], drop: [a]}'
bad 2 'aa' '"a"' train good.yaml --set 'features.only=[aa]'
bad 2 'no_such_metric' '.' train good.yaml --set 'evaluate.metrics=[no_such_metric]'
bad 2 'condition' 'roc_auc >= 0.95' train good.yaml --set 'evaluate.accept=roc_auc is nice'
bad 2 'retry' 'accept' train good.yaml --set 'evaluate.retry={train.epochs: [5]}'
bad 2 '"version"' 'version: 1' train good.yaml --set version=2
printf 'version: 1\ndata: [\n' >syntax.yaml
bad 2 'syntax.yaml, line 3' 'Correct' train syntax.yaml
printf 'just text\n' >words.yaml
bad 2 'words.yaml is not a recipe' 'init' train words.yaml
: >none.yaml
bad 2 'none.yaml is not a recipe' 'init' train none.yaml
{ printf 'version: 1\ndata: '; head -c 1000 /dev/zero | tr '\0' '['; } >deep.yaml
bad 2 'deep.yaml.*deep' '.' train deep.yaml
printf 'a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c]\n' >bomb.yaml
bad 2 'bomb.yaml' '.' train bomb.yaml
head -c 1100000 /dev/zero | tr '\0' a >long.yaml
am train long.yaml
check "a recipe of 1 MB is refused" [ "$rc" -ge 1 ]

echo "== too few rows"
head -n 6 good.csv >few.csv
am train good.yaml --set data.source=few.csv
check "6 rows: refused ($rc)" [ "$rc" = 1 ]
check "with a remedy" [ "$(sed 1d "$err" | wc -l)" -ge 1 ]
printf 'a,b,y\n1,2,p\n2,1,q\n3,3,p\n4,4,q\n' >four.csv
data 1 'split leaves no row|class ".*" has' 'rows' four.csv
bad 1 'class|split' '.' train good.yaml --set data.split.test=0.001 --set data.source=four.csv

echo "== packages"
good model export good good.aim
size=$(stat -c %s good.aim)
for part in 0 10 $((size / 3)) $((size - 30)) $((size - 1)); do
    head -c "$part" good.aim >cut.aim
    bad 1 'cut.aim' '.' model import cut.aim
    bad 1 'cut.aim' '.' predict cut.aim small.csv
done
for at in 0 100 $((size / 4)) $((size / 2)) $((size - 100)); do
    cp good.aim bits.aim
    byte=$(od -An -tu1 -j "$at" -N 1 bits.aim | tr -d ' ')
    # shellcheck disable=SC2059
    printf "\\x$(printf %02x $((byte ^ 0x55)))" | dd of=bits.aim bs=1 seek="$at" conv=notrunc status=none
    bad 1 'bits.aim' '.' model import bits.aim
done
bad 1 'good.csv.*no .aim' 'aimass' model import good.csv
bad 1 'absent.aim' '.' model import absent.aim
mkdir evil && (cd evil && printf x >../outside && zip -q ../evil.aim ../outside)
bad 1 'evil.aim' '.' model import evil.aim
(cd evil && ln -s /etc/passwd manifest.json && zip -qy ../link.aim manifest.json)
bad 1 'link.aim' '.' predict link.aim small.csv
(cd evil && rm manifest.json && head -c 3000000 /dev/zero >manifest.json && zip -q ../zeros.aim manifest.json)
bad 1 'zeros.aim' '.' model import zeros.aim

echo "== prediction from files"
bad 1 'no model "gone"' 'models' predict gone small.csv
bad 1 'no version 7' 'newest' predict good@7 small.csv
bad 1 'no alias "best"' 'newest' predict good@best small.csv
bad 1 'nodata.csv.*not exist' 'name' predict good nodata.csv
printf 'a\n1\n' >lack.csv
bad 1 'no column "b"' 'model was trained' predict good lack.csv
printf 'a,b\n1,x\n' >word.csv
bad 1 'word.csv line 2: "x" in column "b"' 'Correct' predict good word.csv
printf 'a,b\n1,inf\n' >infinite.csv
bad 1 'row 1: column "b"' 'Correct' predict good infinite.csv
printf '[{"a": 1, "b": "x"}]' >word.json
bad 1 'row 1: column "b"' 'Correct' predict good word.json
printf '[1, 2]' >numbers.json
bad 1 'no object' 'object' predict good numbers.json
printf '[{"a": 1, "b": 2}' >open.json
bad 1 'not valid json' 'list of objects' predict good open.json
{ printf '[{"a": '; head -c 1000 /dev/zero | tr '\0' '['; head -c 1000 /dev/zero | tr '\0' ']'; printf ', "b": 1}]'; } >deep.json
bad 1 'deep|JSON' '.' predict good deep.json
: >void.csv
bad 1 'input is empty' 'CSV' predict good - <void.csv
bad 1 'input.*line of names and no rows' 'rows' predict good - < <(printf 'a,b\n')

echo "== prediction over HTTP"
serve
http() { # STATUS REGEX PATH CURL-ARGS...
    local status=$1 regex=$2 path=$3 got
    shift 3
    last="POST $path"
    got=$(curl -sS -m 60 -o "$out" -w '%{http_code}' -H 'Content-Type: application/json' "$@" "$url$path" 2>"$err")
    same "status of $path" "$status" "$got"
    check "answer matches /$regex/" grep -Eq -- "$regex" "$out"
    check "the next request works" curl -fsS -H 'Content-Type: application/json' -d '{"rows": [{"a": 1, "b": 2}]}' "$url/api/v1/models/good/predict"
}
rows=/api/v1/models/good/predict
http 404 'gone' /api/v1/models/gone/predict -d '{"rows": [{"a": 1}]}'
http 400 'b' $rows -d '{"rows": [{"a": 1}]}'
http 400 'b' $rows -d '{"rows": [{"a": 1, "b": "x"}]}'
http 400 '.' $rows -d '{"rows": [{"a": 1, "b": [1]}]}'
http 400 '.' $rows -d '{"rows": [1]}'
http 400 '.' $rows -d '{"rows": '
http 400 '.' $rows -d ''
http 400 '.' $rows -d "{\"rows\": $(cat deep.json)}"
http 400 '.' /v1/models/good:predict -d '{"instances": [[1, 2, 3]]}'
http 400 '.' /v1/models/good:predict -d '{"instances": [["x", 2]]}'
http 400 '.' /v2/models/good/infer -d '{"inputs": [{"name": "a", "shape": [2], "datatype": "FP64", "data": [1]}]}'
http 400 '.' /v2/models/good/infer -d '{"inputs": [{"name": "a", "shape": [1], "datatype": "FP99", "data": [1]}, {"name": "b", "shape": [1], "datatype": "FP64", "data": [1]}]}'
http 400 '.' /v2/models/good/infer -d '{"inputs": [{"name": "zzz", "shape": [1], "datatype": "FP64", "data": [1]}]}'
head -c 68000000 /dev/zero | tr '\0' ' ' >body.json
http 413 '.' $rows --data-binary @body.json
http 405 '.' $rows -X DELETE
kill "$server"; wait "$server"

echo "== full disk"
for kb in 0 8 24 64 96; do
    rm -rf tight
    last="train with files of at most $kb kB"
    (trap '' XFSZ; ulimit -f $kb; "$AIMASS" train good.yaml --workspace "$W/tight") 2>&1 >/dev/null | cat >"$err"
    rc=${PIPESTATUS[0]}
    same "exit code under $kb kB" 1 "$rc"
    check "one error" [ "$(grep -c '^aimass: ' "$err")" = 1 ]
    good train good.yaml --workspace "$W/tight"
    good predict good small.csv --workspace "$W/tight"
    good verify good@1 --workspace "$W/tight"
done
mkdir small
if mount -t tmpfs -o size=2m tmpfs small 2>/dev/null; then
    am train good.yaml --workspace "$W/small/ws"
    same "room for one" 0 "$rc"
    filled=0
    while [ "$rc" = 0 ] && [ $filled -lt 200 ]; do
        am train good.yaml --workspace "$W/small/ws" --set "train.seed=$filled"
        filled=$((filled + 1))
    done
    same "a full file system fails the run" 1 "$rc"
    check "and says that it is full" grep -Eqi 'no space|disk.*full|full' "$err"
    mount -o remount,size=16m small
    good predict good small.csv --workspace "$W/small/ws"
    good train good.yaml --workspace "$W/small/ws"
    umount small
fi

echo "== killed and interrupted"
long=(train "$EXAMPLES/breast_cancer.yaml" --set train.epochs=2000 --set train.batch_size=4
    --set train.checkpoint_every=25 --set evaluate.bootstrap=0 --set evaluate.importance=false)
good "${long[@]}" --set name=whole
reference=$(weights whole)
# stop_at SIGNAL NAME: starts the training, sends the signal once 60 epochs are stored; the run in $run
stop_at() {
    "$AIMASS" "${long[@]}" --set "name=$2" >"$out" 2>"$err" &
    local pid=$!
    started+=("$pid")
    last="${long[*]} ($1)"
    run=
    while kill -0 "$pid" 2>/dev/null; do
        run=$("$AIMASS" runs --filter "name = '$2'" --json | jq -r '.runs[0].run // empty')
        [ -n "$run" ] && [ "$("$AIMASS" run-show "$run" --json | jq '.history."train.loss" | length')" -ge 60 ] && break
    done
    kill "-$1" "$pid"
    wait "$pid" 2>/dev/null
    rc=$?
}
stop_at KILL killed
same "killed in the middle" 137 "$rc"
json models --filter "model = 'killed'"
has '.total == 0'
json resume "$run"
has '.resumed_from >= 25' '.version == 1' '.resumed_from < 2000'
same "the same bits as without the kill" "$reference" "$(weights killed)"
json run-show "$run"
has '.state == "finished"' '.history."train.loss" | map(.step) | . == [range(1; 2001)]'
stop_at INT interrupted
same "Ctrl-C ends with 1" 1 "$rc"
check "and says how to go on" grep -q "aimass resume ${run:0:12}" "$err"
json run-show "$run"
has '.state == "canceled"'
good resume "${run:0:12}"
same "the same bits as without Ctrl-C" "$reference" "$(weights interrupted)"
am resume "$run"
same "a finished run is not resumed" 1 "$rc"
json verify interrupted
has '.equal' '.promise == "bits"'
check "no scratch is left" [ "$(find "$AIMASS_WORKSPACE/tmp" -type f | wc -l)" = 0 ]
check "every case was followed by a good command ($n_good)" [ "$n_good" -ge 60 ]
finish
