#!/usr/bin/env bash
# A search keeps its word: it improves over the defaults, is the same for any number of workers, goes on
# after kill -9 with the same trials, survives trials and workers that die, holds its budget, refuses spaces
# that are none before the first row, and folds around it measure the whole search. Cross-validation keeps
# what was predicted for rows that the model had not seen, and a training that diverges is set back.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

export AIMASS_LOG=${AIMASS_LOG:-error}
cp "$EXAMPLES"/breast_cancer.csv "$EXAMPLES"/wine.csv "$EXAMPLES"/diabetes.csv .
fast=(--set evaluate.bootstrap=0 --set evaluate.importance=false)
train() { json train "$@" "${fast[@]}"; }
# what a study is, without its times
trials_of() { "$AIMASS" study "$1" --json | jq -c '.trials | sort_by(.number) | map([.number, .status, .values, .metrics.log_loss.mean, .why])'; }

cat >search.yaml <<'END'
data: {source: breast_cancer.csv, target: diagnosis}
model: {type: mlp, layers: [8]}
train: {epochs: 6, learning_rate: 0.0003}
evaluate: {metrics: [log_loss, roc_auc]}
tune:
  objective: log_loss
  trials: 10
  folds: 3
  over:
    train.learning_rate: {log: [1e-4, 1e-1]}
    model.layers: {list: {int: [4, 16]}, length: [1, 2]}
    model.activation: [relu, tanh]
END

echo "== better than the defaults, the same for 1, 2 and 3 workers"
sed '/^tune:/,$d' search.yaml >plain.yaml
train plain.yaml
plain=$(get .metrics.test.log_loss)
for n in 1 2 3; do
    train search.yaml --set tune.workers=$n --set name=w$n
    study[n]=$(trials_of "$(get .run)")
    best[n]=$(get '.study.best')
    bits[n]=$(weights w$n)
done
run=$(get .run)
has '.study.trials == 10' '.study.ended == "complete"' ".metrics.test.log_loss < $plain" '.study.best.trial > 0'
same "2 workers: the same trials" "${study[1]}" "${study[2]}"
same "3 workers: the same trials" "${study[1]}" "${study[3]}"
same "the same best" "${best[1]}" "${best[3]}"
same "the same bits" "${bits[1]}" "${bits[3]}"
json study "$run"
has '.trials[0].values."train.learning_rate" == 0.0003' '.trials[0].values."model.layers" == [8]' \
    '(.trials | length) == 10' '[.trials[].metrics.log_loss.each | length] | all(. == 3)' \
    '([.importance[].share] | add) > 0.99' '.best.objective == ([.trials[].metrics.log_loss.mean] | min)' \
    '[.trials[] | .latency_us > 0 and .size_bytes > 100 and .parameters > 10] | all'
good study "$run"
check "the trials are shown" grep -q "model.activation=tanh" "$out"
json run-show "$run"
has '.recipe | test("tune:") | not' '.recipe_given | test("tune:")' '.params."train.learning_rate" != "0.0003"'
good verify w3
html=$(ls "$AIMASS_WORKSPACE"/reports/w3-*.html)
for words in "Search for settings" "History of the search" "Trials over all settings" "log10 train.learning_rate" "fANOVA"; do
    check "the report says: $words" grep -q "$words" "$html"
done
for search in random sobol tpe genetic cmaes nsga2 bayesian; do
    train search.yaml --set tune.search=$search --set tune.trials=5 --set name=$search --set tune.workers=2 \
        --set 'tune.over={train.learning_rate: {log: [1e-3, 1e-1]}, model.dropout: {float: [0, 0.4], step: 0.2}}' --set train.epochs=2
    has '.study.trials == 5'
done
train search.yaml --set tune.search=grid --set name=grid --set train.epochs=2 \
    --set 'tune.over={train.learning_rate: [0.001, 0.01, 0.1], model.activation: [relu, tanh]}'
has '.study.trials == 6'

echo "== killed with -9, resumed: the same trials, the same best"
slow=(--set tune.trials=14 --set train.epochs=40 --set tune.workers=2 "${fast[@]}")
json train search.yaml --set name=whole "${slow[@]}"
whole=$(trials_of "$(get .run)") whole_best=$(get .study.best) whole_bits=$(weights whole)
"$AIMASS" train search.yaml --set name=cut "${slow[@]}" --json >/dev/null 2>&1 &
pid=$!
started+=("$pid")
until run=$("$AIMASS" runs --filter "name = 'cut'" --json 2>/dev/null | jq -er '.runs[0].run') &&
    [ "$("$AIMASS" study "$run" --json 2>/dev/null | jq '.trials | length')" -ge 4 ] 2>/dev/null; do
    kill -0 "$pid" 2>/dev/null || break
done
kill -9 "$pid"
wait "$pid" 2>/dev/null
same "it was running" interrupted "$("$AIMASS" run-show "$run" --json | jq -r .state)"
done_before=$("$AIMASS" study "$run" --json | jq '.trials | length')
check "some trials are kept, not all ($done_before)" [ "$done_before" -ge 4 ] && [ "$done_before" -lt 14 ]
json resume "$run"
same "the same trials as without the kill" "$whole" "$(trials_of "$run")"
same "the same best" "$whole_best" "$(get .study.best)"
same "the same bits" "$whole_bits" "$(weights cut)"
check "no worker is left" bash -c "! pgrep -f '[t]rial-worker $pid'"

echo "== Ctrl-C picks the best so far"
"$AIMASS" train search.yaml --set name=stopped --set tune.trials=2000 --set train.epochs=40 "${fast[@]}" --json >stopped.json 2>stopped.err &
pid=$!
started+=("$pid")
until run=$("$AIMASS" runs --filter "name = 'stopped'" --json 2>/dev/null | jq -er '.runs[0].run') &&
    [ "$("$AIMASS" study "$run" --json 2>/dev/null | jq '[.trials[]? | select(.status == "ok")] | length')" -ge 3 ] 2>/dev/null; do
    kill -0 "$pid" 2>/dev/null || break
done
kill -INT "$pid"
wait "$pid"
same "it ends well" 0 "$?"
same "and says so" stopped "$(jq -r .study.ended stopped.json)"
json models --filter "model = 'stopped'"
has '.total == 1'

echo "== failing trials and a killed worker"
train search.yaml --set name=failing --set tune.search=grid --set train.recover=false --set tune.workers=1 \
    --set 'tune.over={train.learning_rate: [0.01, 1000]}' --set train.optimizer=sgd --set train.loss=mse --set tune.trials=9 \
    --set data.target=area_mean --set data.task=regression --set 'evaluate.metrics=[rmse]' --set tune.objective=rmse
json study "$(get .run)"
has '[.trials[] | select(.status == "failed")] | length >= 1' '[.trials[] | select(.status == "failed") | .why | test("diverged")] | all' \
    '[.trials[] | select(.status == "ok")] | length >= 1'
"$AIMASS" train search.yaml --set name=murder --set tune.workers=1 --set tune.trials=6 --set train.epochs=400 "${fast[@]}" --json >murder.json 2>murder.err &
pid=$!
started+=("$pid")
until worker=$(pgrep -f "trial-worker $pid"); do kill -0 "$pid" 2>/dev/null || break; done
kill -9 "$worker"
wait "$pid"
same "the study goes on" 0 "$?"
json study "$(jq -r .run murder.json)"
has '[.trials[] | select(.status == "failed") | .why | test("signal 9")] == [true]' '[.trials[] | select(.status == "ok")] | length == 5'

echo "== budgets"
train search.yaml --set name=budget --set tune.budget=2s --set tune.workers=2 --set tune.trials=100000 --set train.epochs=20
has '.study.ended == "budget"' '.study.seconds < 4' '.study.trials > 1'
am train search.yaml --set name=none --set tune.budget=0.05 --set train.epochs=100000 --set 'train.batch_size=1' "${fast[@]}"
same "too small for one trial" 1 "$rc"
check "says so" grep -q "budget of 0.05 s was over before the first trial ended" "$err"
check "and what to do" grep -q "Raise tune.budget" "$err"

echo "== several goals, constraints, pruning"
train search.yaml --set name=goals --set tune.search=nsga2 --set 'tune.objective=[log_loss, {metric: parameters, direction: minimize}]' \
    --set 'tune.constraints=parameters <= 400' --set tune.trials=12
json study "$(get .run)"
has '(.pareto | length) >= 1' '.objectives[1].name == "parameters"' '.best.trial as $b | .trials[] | select(.number == $b) | .parameters <= 400'
am train search.yaml --set tune.trials=3 --set 'tune.constraints=accuracy >= 1.5' "${fast[@]}"
same "constraints that none keeps to" 1 "$rc"
check "says so" grep -q "none of 3 trials keeps to tune.constraints" "$err"
check "and which is nearest" grep -Eq "Trial [0-9]+ comes nearest" "$err"
train search.yaml --set name=pruned --set tune.pruner=median --set tune.folds=0 --set tune.trials=25 --set train.epochs=12 --set tune.search=random
json study "$(get .run)"
has '[.trials[] | select(.status == "pruned")] | length >= 1'
first=$(trials_of "$(get .run)")
train search.yaml --set name=pruned --set tune.pruner=median --set tune.folds=0 --set tune.trials=25 --set train.epochs=12 --set tune.search=random --set tune.workers=1
same "pruning does not depend on the workers" "$first" "$(trials_of "$(get .run)")"

train search.yaml --set name=halving --set tune.pruner=halving --set tune.folds=0 --set tune.trials=30 --set train.epochs=27 --set tune.search=random
json study "$(get .run)"
has '[.trials[] | select(.status == "pruned")] | length >= 15' '[.trials[] | select(.origin == "promoted")] | length >= 3'

echo "== spaces that are none"
over() { bad 2 "$1" "$2" train search.yaml --set "tune.over=$3"; }
over "tune.over" "Say what" '{}'
over "tune.over.*learning_rate" "." '{train.learning_rate: {log: [0.1, 0.001]}}'
over "tune.over" "." '{train.learning_rate: {log: [0, 0.1]}}'
over "tune.over.*unknown key \"learning_rat\"" "learning_rate" '{train.learning_rat: {log: [0.001, 0.1]}}'
over "tune.over" "." '{train.learning_rate: {logg: [0.001, 0.1]}}'
over "tune.over.*must be one of" "." '{train.optimizer: [adam, adamm]}'
over "tune.over.*must lie between" "." '{model.dropout: {float: [0, 4]}}'
over "no setting that candidates can differ in" "features, model and train" '{data.split.test: {float: [0.1, 0.3]}}'
over "for type \"mlp\"" "." '{model.c: {log: [0.1, 1]}}'
bad 2 "tune.objective.*rok_auc" "roc_auc" train search.yaml --set tune.objective=rok_auc
bad 2 "tune.budget" "90s, 5m" train search.yaml --set tune.budget=soon
bad 2 "tune.constraints.*NAME <= NUMBER" "latency_us" train search.yaml --set 'tune.constraints=accuracy > champion.accuracy'
bad 2 "unknown key \"trails\"" "trials" train search.yaml --set tune.trails=5
bad 2 "folds.*more|asks for 1 folds" "2 to" train search.yaml --set tune.folds=1

echo "== folds: out-of-fold predictions"
cat >folds.yaml <<'END'
data: {source: wine.csv, target: cultivar}
model: {type: logistic}
evaluate: {metrics: [accuracy, log_loss], folds: {n: 4, repeats: 2}}
END
sed -i "s/cultivar/$(head -1 wine.csv | tr -d '\r"' | tr ',' '\n' | grep -iE '^(cultivar|class|target|wine)' | head -1)/" folds.yaml
train folds.yaml
run=$(get .run)
has '.folds.n == 4' '.folds.repeats == 2' '.folds.by == "stratified"' '.folds.each | length == 8' \
    '.folds.metrics.accuracy.mean as $m | ([.folds.each[].accuracy] | add / 8) - $m | fabs < 1e-12'
oof=$("$AIMASS" run-show "$run" --json | jq -r '.artefacts[] | select(.name == "out_of_fold.csv") | .path')
check "out-of-fold predictions are kept" test -s "$oof"
check "aligned by row, with the truth of that row, probabilities that sum to 1" python3 - "$oof" wine.csv "$(sed -n 's/.*target: \(.*\)}/\1/p' folds.yaml)" <<'END'
import csv, sys
rows = list(csv.DictReader(open(sys.argv[1])))
data = list(csv.DictReader(open(sys.argv[2])))
target = sys.argv[3]
assert [int(r["row"]) for r in rows] == list(range(1, len(data) + 1)), "rows"
good = 0
for r in rows:
    assert r[target] == data[int(r["row"]) - 1][target], r
    p = {k[len("probability_"):]: float(v) for k, v in r.items() if k.startswith("probability_")}
    assert abs(sum(p.values()) - 1) < 1e-5, p
    good += max(p, key=p.get) == r[target]
assert good / len(rows) > 0.9, good / len(rows)
END
column=$(head -1 diabetes.csv | tr -d '\r' | cut -d, -f1)
target=$(head -1 diabetes.csv | tr -d '\r' | awk -F, '{print $NF}')
cat >time.yaml <<END
data: {source: diabetes.csv, target: $target}
model: {type: linear}
evaluate: {metrics: [rmse], folds: {n: 5, by: time, time: $column}}
END
train time.yaml
has '.folds.by == "time"' '.folds.each | length == 4'
bad 2 "no column is named" "by: group, group: COLUMN" train time.yaml --set 'evaluate.folds={by: group}'
bad 2 "stratified, but the target has no classes" "by: random" train time.yaml --set 'evaluate.folds={by: stratified}'
bad 2 "evaluate.folds.*names column" "." train time.yaml --set 'evaluate.folds={by: group, group: nowhere}'

echo "== nested: folds around the search"
train search.yaml --set name=nested --set evaluate.folds=3 --set tune.trials=4 --set tune.folds=2 --set train.epochs=3
run=$(get .run)
has '.folds.nested | length == 3' '.folds.each | length == 3' '.folds.metrics.log_loss.mean > 0'
json study "$run"
has '.nested | length == 3' '[.nested[].trials | length] == [4, 4, 4]' '.trials | length == 4'
oof=$("$AIMASS" run-show "$run" --json | jq -r '.artefacts[] | select(.name == "out_of_fold.csv") | .path')
same "a prediction for every row" 570 "$(wc -l <"$oof")"

echo "== a training that diverges is set back"
cat >wild.yaml <<END
data: {source: diabetes.csv, target: $target}
model: {type: mlp, layers: [16]}
train: {optimizer: sgd, learning_rate: 3, epochs: 12, recover: {factor: 0.01}}
END
json train wild.yaml --set name=wild "${fast[@]}"
run=$(get .run)
json run-show "$run"
has '.history."train.recovered" | length >= 1' '.log | test("diverged=1")' '.metrics."test.r2" > 0'
check "the report says so" grep -q "Training diverged in epoch" "$AIMASS_WORKSPACE"/reports/wild-1.html
first=$(weights wild)
json train wild.yaml --set name=wild --threads 2 "${fast[@]}"
same "the same bits again" "$first" "$(weights wild)"
am train wild.yaml --set name=wild --set train.recover=false "${fast[@]}"
same "unless it is told not to" 1 "$rc"
check "then it is an error" grep -q "training diverged" "$err"
am train wild.yaml --set name=wild --set train.learning_rate=1000 --set 'train.recover={times: 1}' "${fast[@]}"
same "and at most so often" 1 "$rc"

json train wild.yaml --set name=flat --set train.learning_rate=0.01 --set train.epochs=60 \
    --set 'train.schedule={type: plateau, patience: 1, factor: 0.5}' "${fast[@]}"
json run-show "$(get .run)"
has '.log | test("plateau epoch=")' '.history."train.learning_rate" | map(.value) | unique | length >= 2'
check "the report says so" grep -q "lowered on a plateau" "$AIMASS_WORKSPACE"/reports/flat-1.html

finish
