#!/usr/bin/env bash
# Rows from everywhere give the same model: formats, encodings, compression, globs, SQL, dataset names; dates,
# booleans, categories, missing and unseen values; cleaning, splits; and an input far larger than the memory.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

awk 'BEGIN { srand(7); print "id,when,flag,city,x,z,grp,y"
    for (i = 0; i < 400; i++) { x = rand(); c = int(rand() * 4)
        printf "%d,2024-%02d-%02d,%s,%s,%.4f,%s,g%d,%s\n", i, 1 + int(i / 40), 1 + i % 28, (i % 3 ? "true" : "false"),
            substr("ABCD", c + 1, 1), x, (i % 10 == 0 ? "" : int(rand() * 1000) / 10), i % 20,
            (x + (c == 2) * 0.5 + rand() * 0.2 > 0.7 ? "yes" : "no") } }' >base.csv
cat >base.yaml <<'YAML'
version: 1
name: base
data: {source: base.csv, target: y, id: [id]}
features: {drop: [grp]}
model: {type: logistic}
evaluate: {bootstrap: 0, importance: false}
YAML
json train base.yaml
has '.metrics.test.accuracy > 0.85'
reference=$(weights base)

echo "== the same model from every form"
from() { # WHAT SOURCE SETS...
    local what=$1 source=$2
    shift 2
    good train base.yaml --set "data.source=$source" --set name=form "$@"
    same "weights from $what" "$reference" "$(weights form)"
}
tr , ';' <base.csv >semicolon.csv
tr , '\t' <base.csv >tab.tsv
tr , '|' <base.csv >pipe.txt
gzip -kc base.csv >base.csv.gz
sed 's/$/\r/' base.csv >crlf.csv
awk -F, -v OFS=, '{ for (i = 1; i <= NF; i++) $i = "\"" $i "\""; print }' base.csv >quoted.csv
jq -Rcn '[inputs | split(",")] | .[0] as $h | .[1:][] | [$h, .] | transpose | map({(.[0]): (.[1] | if . == "" then null else (tonumber? // .) end)}) | add' base.csv >base.jsonl
mkdir parts && head -n 201 base.csv >parts/a.csv && { head -n 1 base.csv; tail -n 200 base.csv; } >parts/b.csv
sed 1d base.csv >bare.csv
for f in $(find "$AIMASS_WORKSPACE/blobs" -type f); do
    [ "$(head -c 4 "$f" | tr -d '\0')" = PAR1 ] && cp "$f" base.parquet && break
done
from semicolons semicolon.csv
from tabs tab.tsv
from bars pipe.txt --set 'data.csv.delimiter="|"'
from gzip base.csv.gz
from 'CR LF' crlf.csv
from 'quoted cells' quoted.csv
from 'JSON Lines' base.jsonl
from 'a glob' 'parts/*.csv'
from 'a list' '[parts/a.csv, parts/b.csv]'
from Parquet base.parquet
from SQL "SELECT * FROM 'base.csv'"
from 'SQL over Parquet' "SELECT * FROM 'base.parquet' ORDER BY id"
from 'a dataset' base
from 'a dataset version' base@1
from 'rows without names' bare.csv --set data.csv.header=false --set data.target=column_8 --set 'data.id=[column_1]' \
    --set 'features={drop: [column_7]}'
from 'rows without names, found out' bare.csv --set data.target=column_8 --set 'data.id=[column_1]' --set 'features={drop: [column_7]}'
json profile base.csv
has '[.columns[].type] == ["number", "date", "boolean", "category", "number", "number", "category", "boolean"]' \
    '.columns[5].missing == 40' '.columns[1] | .min == "2024-01-01" and .max == "2024-10-28" and (.mean | test("^2024-0[56]-..T..:..:..Z$"))' \
    '.columns[1] | .std_days > 80 and .std_days < 95 and .quantiles.p1 < .quantiles.p99 and (.top[0].value | test("^2024-..-..$"))'
good profile base.csv
check "dates are printed as dates" grep -Eq '^when +date .*2024-01-01 .*2024-10-28 +[0-9.]+ days' "$out"
good plan base.yaml --set "data.source=SELECT * FROM 'base.csv' WHERE x > 0.5"
json plan base.yaml --set "data.source=SELECT * FROM 'base.csv' WHERE id < 100" --set 'data.split.leaks=ignore'
has '[.split[]] | add == 100'

echo "== encodings"
cat >words.csv <<'CSV'
ville,v,y
café,1,a
naïve,2,b
Zürich,3,a
CSV
for i in $(seq 40); do printf 'café,%d,a\nZürich,%d,b\n' $i $((i * 7 % 40)); done >>words.csv
sed 's/café/北京市的春天/; s/Zürich/上海市浦东新区/; s/naïve/广州市/; s/ville/城市名称/' words.csv >han.csv
profile() { json profile "$@"; jq -c '.columns | map(del(.why))' "$out"; }
latin=$(profile words.csv) han=$(profile han.csv)
check "the text itself" grep -q '北京市的春天' <<<"$han"
iconv -f UTF-8 -t LATIN1 words.csv >latin.csv
{ printf '\xff\xfe'; iconv -f UTF-8 -t UTF-16LE han.csv; } >utf16le.csv
{ printf '\xfe\xff'; iconv -f UTF-8 -t UTF-16BE han.csv; } >utf16be.csv
{ printf '\xef\xbb\xbf'; cat han.csv; } >bom.csv
iconv -f UTF-8 -t GB18030 han.csv >gb.csv
same Latin-1 "$latin" "$(profile latin.csv)"
same UTF-16LE "$han" "$(profile utf16le.csv)"
same UTF-16BE "$han" "$(profile utf16be.csv)"
same "UTF-8 with a mark" "$han" "$(profile bom.csv)"
same GB18030 "$han" "$(profile gb.csv)"
printf 'version: 1\nname: words\ndata: {source: latin.csv, target: y, encoding: latin-1, split: {test: 0, validation: 0}}\nmodel: {type: logistic}\n' >words.yaml
good train words.yaml
good predict words words.csv
good predict words latin.csv

echo "== unseen and missing values at prediction"
cat >odd.csv <<'CSV'
id,when,flag,city,x,z
one,2024-03-01,true,A,0.9,50
two,2024-03-01,true,ATLANTIS,0.9,50
three,,,,,
CSV
good predict base odd.csv
same "every row gets an answer" "id one two three" "$(cut -d, -f1 "$out" | tr '\n' ' ' | sed 's/ $//')"
check "all are probabilities" awk -F, 'NR > 1 && ($3 < 0 || $3 > 1 || $3 == "") { bad = 1 } END { exit bad }' "$out"
differs "an unseen city is not city A" "$(sed -n 2p "$out" | cut -d, -f3)" "$(sed -n 3p "$out" | cut -d, -f3)"

echo "== cleaning"
count() { # WANTED CLEAN
    json plan base.yaml --set "data.clean=$2" --set data.split.leaks=ignore
    same "rows kept by $2" "$1" "$(get '[.split | .train, .validation, .test] | add')"
}
count "$(awk -F, 'NR > 1 && $5 > 0.5' base.csv | wc -l)" '{where: "x > 0.5"}'
count "$(awk -F, 'NR > 1 && $5 > 0.5 && $4 != "A"' base.csv | wc -l)" "{where: ['x > 0.5', \"city <> 'A'\"]}"
count 360 '{missing: drop}'
count 400 '{missing: keep}'
count 360 '{columns: {z: {missing: drop}}}'
for how in mean median mode forward '{constant: 7}'; do
    count 400 "{columns: {z: {missing: $how}}}"
done
count "$(awk -F, 'NR > 1 && !($6 != "" && $6 > 50)' base.csv | wc -l)" '{columns: {z: {max: 50, invalid: drop}}}'
count "$(awk -F, 'NR > 1 && !($6 != "" && $6 < 20)' base.csv | wc -l)" '{columns: {z: {min: 20, invalid: drop}}}'
count 400 '{columns: {z: {max: 50, invalid: missing}}}'
json plan base.yaml --set 'data.clean={columns: {x: {outliers: {by: sigma, limit: 1, action: drop}}}}'
has '.split.dropped > 20' '.split.test == 80'
json plan base.yaml --set 'data.clean={columns: {x: {outliers: {by: sigma, limit: 1, action: clip}}}}'
has '.split.dropped == 0'
{ cat base.csv; sed -n 2,11p base.csv; } >twice.csv
json plan base.yaml --set data.source=twice.csv --set data.clean.duplicates=drop
has '[.split | .train, .validation, .test] | add == 400' '.split.dropped == 10'
json plan base.yaml --set data.sample.rows=100
has '[.split | .train, .validation, .test] | add == 100'
json plan base.yaml --set data.sample.share=0.25
has '[.split | .train, .validation, .test] | add | . >= 60 and . <= 140'
good train base.yaml --set 'data.clean={where: "x > 0.2", columns: {z: {missing: median}}}' --set name=clean
good predict clean base.csv
same "predict cleans no rows away" 401 "$(wc -l <"$out")"

echo "== splits"
split() { json plan base.yaml --set "data.split=$1" && jq -c '.split' "$out" >.split; }
for by in random stratified hash; do
    split "{by: $by, test: 0.25, validation: 0.25, leaks: ignore}"
    check "$by: shares" jq -e '[.test, .validation | . >= 75 and . <= 125] | all' .split
    check "$by: nothing is lost" jq -e '.train + .validation + .test == 400' .split
done
split '{by: group, group: grp}'
check "groups of 20 stay whole" jq -e 'all(.train, .validation, .test; . % 20 == 0) and .test > 0 and .validation > 0' .split
split '{by: time, time: when}'
check "time" jq -e '.train + .validation + .test == 400 and .test >= 60' .split
for seed in 1 2; do
    for k in 1 2; do
        good train base.yaml --set data.split.seed=$seed --set "name=s$seed$k"
    done
done
same "the same seed, the same rows" "$(weights s11)" "$(weights s12)"
differs "another seed, other rows" "$(weights s11)" "$(weights s21)"
am train base.yaml --set data.source=twice.csv --set data.split.leaks=error --set data.split.by=random --set data.id=[]
same "a leak is refused when asked" 1 "$rc"
good train base.yaml --set data.source=twice.csv --set data.split.leaks=group --set data.id=[] --set name=grouped

echo "== prediction fills as cleaning did"
awk 'BEGIN { srand(3); print "a,c,y"; for (i = 0; i < 300; i++) { v = i % 5 == 0 ? "" : int(rand() * rand() * 100); k = i % 7 == 0 ? "" : (i % 2 ? "u" : "w")
    print v "," k "," (rand() > 0.5 ? "p" : "q") } }' >gaps.csv
printf 'version: 1\nname: gaps\ndata: {source: gaps.csv, target: y, clean: {columns: {a: {missing: median}, c: {missing: {constant: zz}}}}}\nmodel: {type: logistic}\n' >gaps.yaml
good train gaps.yaml
fill=$(unzip -p "$("$AIMASS" model show gaps@1 --json | jq -r .path)" features.json | jq -r '.columns[0].fill')
same "a missing value counts as the median of the training rows" \
    "$(printf 'a,c\n%s,zz\n' "$fill" | "$AIMASS" predict gaps -)" "$(printf 'a,c\n,\n' | "$AIMASS" predict gaps -)"
check "and that is not the mean" [ "$(unzip -p "$("$AIMASS" model show gaps@1 --json | jq -r .path)" features.json | jq '.columns[0].fill == .columns[0].shift')" = false ]

echo "== an input ten times the memory"
{
    printf 'y'; for i in $(seq 19); do printf ',c%d' "$i"; done; echo
    openssl enc -aes-128-ctr -pass pass:rows -nosalt -pbkdf2 </dev/zero 2>/dev/null | head -c 58000000 |
        od -An -v -tu2 -w40 | sed 's/^ *//; s/  */,/g'
} >big.csv
check "it is that large" [ "$(stat -c %s big.csv)" -gt $((160 << 20)) ]
printf 'version: 1\nname: big\ndata: {source: big.csv, target: y}\nmodel: {type: linear}\nevaluate: {bootstrap: 0, importance: false}\n' >big.yaml
last="train big.yaml --memory 16m"
# Two proofs that memory is bounded, not only measured: a limit on the data segment, and a cgroup that kills what goes
# over it. Both are the flag + 256 MB. A sanitizer's shadow memory is no data of the program: there the data limit is
# left out.
limit=$(((16 + 256) << 20))
group_up() { # a fresh memory cgroup with the limit, v2 or v1; its path in $group
    local g
    if [ -w /sys/fs/cgroup/cgroup.procs ] && grep -qw memory /sys/fs/cgroup/cgroup.subtree_control 2>/dev/null; then
        g=/sys/fs/cgroup/aimass-e2e.$$
        mkdir "$g" 2>/dev/null && echo "$limit" >"$g/memory.max" 2>/dev/null && { [ ! -e "$g/memory.swap.max" ] || echo 0 >"$g/memory.swap.max"; } && group=$g && return
    fi
    g=/sys/fs/cgroup/memory/aimass-e2e.$$
    [ -d /sys/fs/cgroup/memory ] && mkdir "$g" 2>/dev/null && echo "$limit" >"$g/memory.limit_in_bytes" 2>/dev/null && group=$g
}
group_down() {
    local g
    for g in /sys/fs/cgroup/aimass-e2e.$$ /sys/fs/cgroup/memory/aimass-e2e.$$; do [ ! -d "$g" ] || rmdir "$g"; done
}
trap 'cleanup; group_down' EXIT
if group_up; then
    hungry "the cgroup"
    bounded "$AIMASS" train big.yaml --memory 16m --json
    same "trains in a cgroup of the flag and 256 MB: $(cat "$err")" 0 "$rc"
    has '[.rows[]] | add == 1450000'
    group=
    group_down
else
    echo "   (no memory cgroup can be made here: the data limit alone)"
fi
if sanitized; then
    bounded "$AIMASS" train big.yaml --memory 16m --json
    check "peak within the flag and 256 MB: $(cat "$err")" [ "$(peak)" -le $((limit >> 10)) ]
else
    data=$limit
    hungry "the data limit"
    bounded "$AIMASS" train big.yaml --memory 16m --json
    check "and resident memory stays within it, too: $(cat "$err")" [ "$(peak)" -le $((limit >> 10)) ]
fi
same "trains within the flag and 256 MB: $(cat "$err")" 0 "$rc"
has '[.rows[]] | add == 1450000'
check "and leaves no spill behind" [ "$(find "$AIMASS_WORKSPACE/tmp" -type f | wc -l)" = 0 ]
finish
