#!/usr/bin/env bash
# Gradient boosting from a recipe to an answer: missing values stay missing and are learned from, other learners refuse
# them; the command line, HTTP and libaimass give the same bits; three kinds of task; the doctor knows the library.
# $2: examples/c/predict
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
predict=$(cd "$OLDPWD" && realpath "$2")
# y is high where a is missing: what a filled-in mean cannot tell
awk 'BEGIN { srand(7); print "a,b,c,kind,y"; for (i = 0; i < 3000; i++) { a = rand(); b = rand(); c = rand()
    gap = rand() < 0.3; y = (gap ? 3 : 2 * a) + b * c + 0.1 * rand(); k = y > 3 ? "high" : y > 1.5 ? "mid" : "low"
    printf "%s,%.4f,%.4f,%s,%.5f\n", gap ? "" : sprintf("%.4f", a), b, c, k, y } }' >gaps.csv
recipe() { printf 'version: 1\nname: %s\ndata: {source: gaps.csv, target: %s}\nfeatures: {drop: [%s], default: {impute: none}}\n%s\n' "$@"; }

echo "== a number, gaps kept"
recipe number y kind 'model: {type: gradient_boosting, trees: 200, depth: 4}' >number.yaml
good plan number.yaml
json train number.yaml
has '.metrics.test.r2 > 0.97' '.metrics.baseline.r2 <= 0.01'
kept=$(get .metrics.test.r2)
json train number.yaml --set name=filled --set features.default.impute=mean
echo "   r2 $kept with gaps, $(get .metrics.test.r2) filled"
check "a gap tells more than a mean of its column" jq -en "$kept > $(get .metrics.test.r2)"
printf 'version: 1\ndata: {source: gaps.csv, target: y}\nfeatures: {default: {impute: none}}\nmodel: {type: linear}\n' >linear.yaml
bad 2 'model type "linear" cannot learn from missing values' 'gradient_boosting' train linear.yaml

echo "== the same bits everywhere"
head -n 40 gaps.csv >few.csv
good predict number few.csv
tail -n +2 "$out" | while IFS=, read -r v _; do printf '%.9g\n' "$v"; done >cli.txt
serve
package=$("$AIMASS" model show number@1 --json | jq -r .path)
jq -Rn '[inputs | split(",")] | .[0] as $h | {rows: [.[1:][] | {a: (.[0] | tonumber? // null), b: (.[1] | tonumber), c: (.[2] | tonumber)}]}' few.csv >rows.json
curl -sS -m 20 -d @rows.json "$url/api/v1/models/number/predict" >"$out"
jq -r '.predictions[].value' "$out" | while read -r v; do printf '%.9g\n' "$v"; done >http.txt
same "an answer a row" 39 "$(wc -l <http.txt)"
check "the command line gives HTTP's bits" cmp http.txt cli.txt
tail -n +2 few.csv | while IFS=, read -r a b c _; do "$predict" "$package" "a=$a" "b=$b" "c=$c"; done >c.txt
check "libaimass gives HTTP's bits" cmp http.txt c.txt

echo "== classes"
recipe kinds kind y 'model: {type: gradient_boosting, trees: 150}' >kinds.yaml
json train kinds.yaml
has '.metrics.test.accuracy > 0.93'
echo "   accuracy $(get .metrics.test.accuracy)"
json train kinds.yaml --set name=again
a=$("$AIMASS" model show kinds@1 --json | jq -r .path) b=$("$AIMASS" model show again@1 --json | jq -r .path)
same "the same weights twice" "$(unzip -p "$a" weights.safetensors | sha256sum)" "$(unzip -p "$b" weights.safetensors | sha256sum)"
printf 'version: 1\nname: one\ndata: {source: %s, target: income}\nmodel: {type: gradient_boosting}\n' "$EXAMPLES/adult_like.csv" >one.yaml
json train one.yaml
has '.metrics.test.roc_auc > .metrics.baseline.roc_auc + 0.2'
am doctor
check "the doctor names XGBoost" grep -q 'XGBoost 1' "$out"
finish
