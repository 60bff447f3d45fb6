#!/usr/bin/env bash
# Judgement: a run that compares, tunes and combines beats every single default model and says why; it is
# repeatable by trials and keeps a budget; ensembles by hand; advice; one model in place of an ensemble; what
# bad input gets.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

cp "$EXAMPLES"/adult_like.csv "$EXAMPLES"/diabetes.csv "$EXAMPLES"/wine.csv .
fast=(--set evaluate.bootstrap=0 --set evaluate.importance=false)

echo "== the main job"
json run adult_like.csv --target income --trials 12 "${fast[@]}"
has '.leaderboard | length > 8' '[.leaderboard[] | select(.chosen)] | length >= 1' '.search.metric == "log_loss"' \
    '.search.trials <= 12' '.search.loss <= .search.best_single' '.search.why | length > 20' \
    '[.leaderboard[] | select(.status == "ok" and .family != "ensemble")] | all(.deviation >= 0)' \
    '[.leaderboard[] | select(.status == "ok")] | all(.fit_seconds >= 0 and .latency_us > 0 and .bytes > 0)' \
    '.recipe | test("model")' '.metrics.validation == null'
auto=$(get .metrics.test.log_loss)
report=$(get .report)
board=$(jq -c '[.leaderboard[] | [.name, .loss]]' "$out")
first=$(weights adult_like)
check "the report shows the leaderboard" grep -q "Which models were compared" "$report"
check "and why" grep -q "out of fold" "$report"
for type in logistic decision_tree random_forest extra_trees knn naive_bayes lda mlp gradient_boosting; do
    json run adult_like.csv --target income --set "model={type: $type}" --set "name=one-$type" --set data.split.validation=0 \
        --set 'evaluate.metrics=[log_loss]' "${fast[@]}"
    single=$(get .metrics.test.log_loss)
    check "better than $type at its defaults ($auto, $single)" awk -v a="$auto" -v b="$single" 'BEGIN { exit !(a < b) }'
done

echo "== the same again"
json run adult_like.csv --target income --trials 12 --threads 1 "${fast[@]}"
same "the same leaderboard" "$board" "$(jq -c '[.leaderboard[] | [.name, .loss]]' "$out")"
same "the same weights" "$first" "$(weights adult_like)"
json verify adult_like@1
has '.equal' '.promise == "bits"'

echo "== a budget"
json run adult_like.csv --target income --budget 6s --set name=timed "${fast[@]}"
has '.search.budget_seconds == 6' '.search.finished >= 1' '.seconds < 2 * .search.budget_seconds' '.version == 1'
json predict timed adult_like.csv
am run adult_like.csv --target income --budget 0.05s
same "a budget too small" 2 "$rc"
check "says what it needs" grep -q "budget of 0.05 s" "$err"
check "registers nothing" test "$("$AIMASS" models --json | jq '[.models[] | select(.model == "timed")] | .[0].versions // 1')" = 1
am run adult_like.csv --target income --budget soon
same "no time" 2 "$rc"
am run adult_like.csv --target income --trials 0
same "no trials" 2 "$rc"
am run adult_like.csv --target income --trials 2 --set model.type=mlp
same "a model and a search" 2 "$rc"
check "say so" grep -q "what is searched" "$err"
am run adult_like.csv --trials 2
same "no target" 2 "$rc"
am run hand.yaml --budget 5s
same "a recipe and a search" 2 "$rc"
json run adult_like.csv --target income --trials 8 --latency-us 1.5 --set name=quick "${fast[@]}"
has '[.leaderboard[] | select(.chosen and .family == "ensemble")] | all(.latency_us <= 1.5)'

echo "== numbers, many classes"
json run diabetes.csv --target "$(head -1 diabetes.csv | tr ',' '\n' | tail -1 | tr -d '\r')" --trials 5 "${fast[@]}"
has '.search.metric == "mse"' '.metrics.test.rmse < .metrics.baseline.rmse'
json run wine.csv --target "$(head -1 wine.csv | tr ',' '\n' | tail -1 | tr -d '\r')" --trials 5 "${fast[@]}"
has '.metrics.test.log_loss < 0.3'

echo "== one model in place of many"
json refit adult_like
has '.model == "adult_like-single"' '.lost.log_loss | .parent > 0 and .now > 0' '.parent == "adult_like@2"'
json distil adult_like --type mlp
has '.lost.log_loss.difference | type == "number"' '.version == 2'
check "the report says what is lost" grep -q "What is lost" "$(get .report)"
json verify adult_like-single@2
has '.equal'
am refit adult_like-single
same "no ensemble" 2 "$rc"
am distil nobody
check "no such teacher" test "$rc" != 0
am distil adult_like --alpha 2
same "no share" 2 "$rc"

echo "== an ensemble by hand"
cat >hand.yaml <<YAML
name: hand
data: {source: adult_like.csv, target: income, split: {test: 0.2, validation: 0, seed: 42}}
features: {occupation: {encode: target}, region: {encode: target}}
model:
  type: ensemble
  combine: stack
  folds: 3
  leak_check: always
  members: [{type: logistic}, {type: decision_tree, max_depth: 4}, {type: naive_bayes}]
evaluate: {metrics: [log_loss]}
YAML
json train hand.yaml "${fast[@]}"
json run-show "$(get .run)"
cp "$(jq -r '.artefacts[] | select(.name == "report.json") | .path // empty' "$out")" r.json 2>/dev/null
json verify hand@1
has '.equal'
for way in mean soft_vote hard_vote weighted greedy; do
    json train hand.yaml --set model.combine=$way --set model.leak_check=auto "${fast[@]}"
done
json predict hand adult_like.csv
am train hand.yaml --set 'model.members=[{type: logstic}]'
same "a member that is unknown" 2 "$rc"
am train hand.yaml --set 'model.members=[{type: linear}]'
same "a member that cannot take the task" 2 "$rc"
check "is named" grep -q "member 1 (linear)" "$err"

echo "== advice"
json advise adult_like.csv --target income
has '.task == "binary"' '[.families[] | select(.suits)] | length >= 6' \
    '[.families[] | select(.suits)] | all(.fit_seconds > 0 and .latency_us > 0 and .memory_bytes > 0 and (.why | length > 5))' \
    '.portfolio[0].model | test("type")' '.classes | length == 2'
check "the calibration is kept" test -s "$AIMASS_WORKSPACE/costs"
am advise adult_like.csv
same "advice without a target" 2 "$rc"
finish
