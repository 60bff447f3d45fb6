#!/usr/bin/env bash
# Trees and what is made of them, from the recipe to the served answer: random forests (command line, server and
# libaimass agree to the last digit), boosting, bagging, missing values, isolation forests as anomaly detectors,
# and what the contradictions say.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
ROWS=$(cd "$OLDPWD" && realpath "$2")
cp "$EXAMPLES"/breast_cancer.csv "$EXAMPLES"/diabetes.csv "$EXAMPLES"/wine.csv .
fast=(--set evaluate.bootstrap=0 --set evaluate.importance=false)

echo "== a forest: command line, server, libaimass"
json run wine.csv --target cultivar --set 'model={type: random_forest, trees: 40}' --set name=forest "${fast[@]}"
has '.metrics.test.accuracy > 0.9' '.metrics.test.log_loss < 0.4'
json verify forest@1
has '.equal and .promise == "bits"'
head -n 9 wine.csv | cut -d, -f1-13 >rows.csv
good predict forest@1 rows.csv --output probability
check "three probabilities a row" awk -F, 'NR > 1 && NF != 3 {bad=1} END {exit bad}' "$out"
tail -n +2 "$out" >cli.csv
"$AIMASS" model export forest@1 forest.aim >/dev/null
tail -n +2 rows.csv | tr ',' ' ' | "$ROWS" forest.aim 13 >library.csv
same "libaimass answers as the command line" "$(cat cli.csv)" "$(cat library.csv)"
serve
post() { curl -s -m 20 "$url$1" -H 'Content-Type: application/json' -d "$2" >"$out"; }
names=$(head -n 1 rows.csv)
body=$(tail -n +2 rows.csv | jq -Rc --arg names "$names" \
    '[($names | split(",")), (split(",") | map(tonumber))] | transpose | map({(.[0]): .[1]}) | add' | jq -sc '{rows: .}')
post /api/v1/models/forest/predict "$body"
jq -r '.predictions[].probability | to_entries | map(.value) | @csv' "$out" >http.csv
same "the server answers as the command line" "$(cat cli.csv)" "$(cat http.csv)"
kill "$server"; wait "$server"

json run breast_cancer.csv --target diagnosis --set 'model={type: random_forest, trees: 30}' --set name=ranked
report=$(get .report)
check "what splits gained by column" grep -q "the share of what splits by it gained" "$report"
echo "== the others, and numbers"
for spec in '{type: decision_tree, max_depth: 4}' '{type: extra_trees, trees: 20}' '{type: ada_boost, trees: 20}' \
    '{type: bagging, n: 3, of: {type: logistic}}' '{type: bagging, n: 3}'; do
    json run breast_cancer.csv --target diagnosis --set "model=$spec" --set name=one "${fast[@]}"
    has '.metrics.test.accuracy > 0.88'
    json verify one
    has .equal
done
for spec in '{type: random_forest, trees: 30, criterion: absolute, max_depth: 6}' '{type: ada_boost}' \
    '{type: bagging, n: 4, of: {type: random_forest, trees: 5}}'; do
    json run diabetes.csv --target progression --set "model=$spec" --set name=number "${fast[@]}"
    has '.metrics.test.r2 > 0.2'
done
good predict number diabetes.csv
check "one number a row" awk 'NR > 1 && !($1 > 0) {bad=1} END {exit bad}' "$out"

echo "== missing values stay missing"
awk -F, -v OFS=, 'NR > 1 && NR % 4 == 0 {$3 = ""} {print}' diabetes.csv >holes.csv
json run holes.csv --target progression --set 'model={type: random_forest, trees: 30}' --set name=holes \
    --set 'features={bmi: {impute: none}}' "${fast[@]}"
has '.metrics.test.r2 > 0.1'
good predict holes holes.csv
check "no answer is missing" awk 'NR > 1 && !($1 > 0) {bad=1} END {exit bad}' "$out"

echo "== isolation"
json train "$EXAMPLES/sensor_anomaly.yaml" --set 'model={type: isolation_forest}' --set name=alone "${fast[@]}"
has '.metrics.test.roc_auc > 0.8'
report=$(get .report)
check "the report shows the scores" grep -q 'Anomaly scores' "$report"
printf 'reading,mote_id,indoor,humidity,temperature\n1,1,0,43.8,30.2\n2,1,0,90,55\n' >new.csv
good predict alone new.csv
same "the header" anomaly_score,is_anomaly "$(head -n 1 "$out")"
check "the strange row scores higher" awk -F, 'NR == 2 {a=$1} NR == 3 {b=$1} END {exit !(b > a && a > 0 && b < 1)}' "$out"
bad 2 'no output "reconstruction"' 'anomaly_score' predict alone new.csv --output reconstruction

echo "== memory"
python3 -c '
import random
r = random.Random(1)
print("a,b,c,d,e,f,y")
for i in range(100000): print(",".join("%.4f" % r.random() for _ in range(6)), r.randrange(2), sep=",")' >big.csv
am run big.csv --target y --set 'model={type: random_forest, trees: 5}' --memory 16m --threads 1 "${fast[@]}"
same "refused while training" 1 "$rc"
check "with what it takes" grep -Eq 'random_forest over 60000 rows of 6 features needs 10 MB, but 8 MB are allowed' "$err"
check "and a way out" grep -q gradient_boosting "$err"
good run big.csv --target y --set 'model={type: random_forest, trees: 2, max_depth: 4}' --memory 64m --threads 1 "${fast[@]}"

echo "== contradictions"
bad 2 'criterion' 'squared' run diabetes.csv --target progression --set 'model={type: random_forest, criterion: gini}'
bad 2 'does not fit this task' 'reconstruction_error' run wine.csv --target cultivar --set 'model={type: isolation_forest}'
bad 2 'linear' '.' run wine.csv --target cultivar --set 'model={type: bagging, of: {type: linear}}'
bad 2 'max_samples' 'bootstrap' run wine.csv --target cultivar --set 'model={type: extra_trees, max_samples: 0.5}'
bad 2 'unknown key "tress"' 'trees' run wine.csv --target cultivar --set 'model={type: random_forest, tress: 5}'
finish
