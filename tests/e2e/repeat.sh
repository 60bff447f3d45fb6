#!/usr/bin/env bash
# Training keeps its word: the same bits for every thread count and every repetition, early stopping that
# restores the best, folds, the gate with its retries, conditional aliases, class weights, composites, and
# every learner with every optimiser and schedule on the tasks that are its own.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

cp "$EXAMPLES"/*.csv "$EXAMPLES"/*.yaml .
fast=(--set evaluate.bootstrap=0 --set evaluate.importance=false)
train() { json train "$@" "${fast[@]}"; }

echo "== the same bits"
for recipe in breast_cancer wine diabetes; do
    for k in 1 2 3; do
        train $recipe.yaml --threads $k --set "name=$recipe-$k" --set train.epochs=12
        [ $k = 1 ] && metrics=$(jq -c .metrics "$out")
        same "$recipe: figures with $k threads" "$metrics" "$(jq -c .metrics "$out")"
    done
    same "$recipe: 1 and 2 threads" "$(weights $recipe-1)" "$(weights $recipe-2)"
    same "$recipe: 1 and 3 threads" "$(weights $recipe-1)" "$(weights $recipe-3)"
    train $recipe.yaml --set "name=$recipe-1" --set train.epochs=12
    same "$recipe: a second run" "$(weights $recipe-1@1)" "$(weights $recipe-1@2)"
done
train breast_cancer.yaml --threads 3 --set train.epochs=12 --set name=other --set train.seed=43
differs "another seed" "$(weights breast_cancer-1)" "$(weights other)"
train breast_cancer.yaml --set train.epochs=12 --set name=threads --set train.threads=3
same "threads of the recipe" "$(weights breast_cancer-1)" "$(weights threads)"

echo "== early stopping restores the best"
train breast_cancer.yaml --set name=early --set train.epochs=400 --set train.learning_rate=0.02 \
    --set 'train.early_stopping={patience: 5}'
json run-show "$(get .run)"
epochs=$(get '.history."validation.loss" | length')
best=$(get '.history."validation.loss" | to_entries | min_by(.value.value) | .key + 1')
check "it stopped ($epochs epochs)" [ "$epochs" -lt 400 ]
same "five epochs after the best" "$((best + 5))" "$epochs"
train breast_cancer.yaml --set name=exactly --set "train.epochs=$best" --set train.learning_rate=0.02
same "with the weights of that epoch" "$(weights exactly)" "$(weights early)"

echo "== folds"
train wine.yaml --set evaluate.folds=5
has '.folds.metrics.accuracy.mean > 0.9' '.folds.metrics.accuracy.deviation >= 0 and .folds.metrics.accuracy.deviation < 0.2' \
    '.folds | tostring | test("5")'

echo "== the gate"
am train breast_cancer.yaml --set name=gate --set 'evaluate.accept=roc_auc >= 1.1' "${fast[@]}" --json
same "a refused model fails the run" 1 "$rc"
has '.error | (.message | test("accept")) and (.hint | test("evaluate.retry"))'
json runs --filter "name = 'gate'"
has '.total == 1' '.runs[0] | .state == "failed" and (.error | test("roc_auc"))'
json models --filter "model = 'gate'"
has '.total == 0'
train breast_cancer.yaml --set name=retry --set train.epochs=1 --set train.learning_rate=0.000001 \
    --set 'evaluate.accept=roc_auc >= 0.97' --set 'evaluate.retry={train.epochs: [2, 40], train.learning_rate: [0.000001, 0.01]}'
has '.version == 1' '.refused_runs | length == 2' '.metrics.test.roc_auc >= 0.97'
json runs --filter "name = 'retry'" --order "started asc"
has '.total == 3' '[.runs[].state] == ["failed", "failed", "finished"]' '.runs[1].parent == .runs[0].run'
am train breast_cancer.yaml --set name=hopeless --set train.epochs=1 --set 'evaluate.accept=roc_auc >= 1.1' \
    --set 'evaluate.retry={train.epochs: [2]}' "${fast[@]}"
same "used-up retries fail" 1 "$rc"

echo "== the alias moves only for the better"
train breast_cancer.yaml --set name=champ
train breast_cancer.yaml --set name=champ --set train.epochs=1 --set 'register.if=roc_auc > champion.roc_auc'
has '.version == 2' '.aliases == []' '.alias_kept | test("roc_auc")'
json model show champ@champion
has '.version == 1'
train breast_cancer.yaml --set name=champ --set 'register.if=roc_auc >= champion.roc_auc' --set 'register.tags={why: better}'
has '.version == 3' '.aliases == ["champion"]'
json model show champ@champion
has '.version == 3' '.tags.why == "better"'

echo "== class weights, composite metrics, positive class"
awk -F, 'NR == 1 || $NF != "malignant" || ++n <= 25' breast_cancer.csv >rare.csv
train breast_cancer.yaml --set name=plain --set data.source=rare.csv --set train.epochs=6
recall=$(get '.metrics.train.recall')
train breast_cancer.yaml --set name=weighted --set data.source=rare.csv --set train.epochs=6 --set train.class_weights=balanced
check "balanced weights raise recall of the rare class" jq -en "$(get '.metrics.train.recall') > $recall"
train breast_cancer.yaml --set name=named --set data.source=rare.csv --set train.epochs=6 \
    --set 'train.class_weights={malignant: 10, benign: 1}'
check "named weights too" jq -en "$(get '.metrics.train.recall') > $recall"
train breast_cancer.yaml --set 'evaluate.composite={mine: 0.7 * accuracy + 0.3 * roc_auc}' --set 'evaluate.accept=mine >= 0.9'
has '(.metrics.test | .mine - (0.7 * .accuracy + 0.3 * .roc_auc) | fabs) < 1e-9'
train breast_cancer.yaml --set data.positive=benign --set name=benign
has '.metrics.test.accuracy >= 0.95' '.metrics.baseline.recall == 1'

echo "== every learner on its tasks"
m() { train "$@" --set name=learner; }
for spec in '{type: logistic}' '{type: logistic, penalty: l1}' '{type: logistic, penalty: elastic_net}' '{type: logistic, penalty: none}' \
    '{type: logistic, solver: stochastic}' '{type: perceptron}' '{type: mlp, layers: []}' '{type: mlp, layers: [8], batch_norm: true}' \
    '{type: mlp, layers: [8, 8], layer_norm: true, residual: true, activation: gelu}'; do
    m breast_cancer.yaml --set "model=$spec"
    has '.metrics.test.accuracy >= 0.9'
    m wine.yaml --set "model=$spec" --set train.learning_rate=0.02
    has '.metrics.test.accuracy >= 0.8'
done
for spec in '{type: linear}' '{type: linear, penalty: l2}' '{type: linear, penalty: l1, alpha: 0.1}' \
    '{type: linear, penalty: elastic_net, alpha: 0.1}' '{type: linear, solver: stochastic}' '{type: mlp, layers: [16]}'; do
    m diabetes.yaml --set "model=$spec" --set train.epochs=40 --set train.learning_rate=0.01
    has '.metrics.test.r2 >= 0.38'
done
for spec in baseline; do
    m breast_cancer.yaml --set "model={type: $spec}"
    has '.metrics.test == .metrics.baseline'
    m diabetes.yaml --set "model={type: $spec}" --set 'evaluate.accept=r2 <= 0.1'
    has '.metrics.test == .metrics.baseline'
done
bad 2 'logistic.*regression' 'linear' train diabetes.yaml --set 'model={type: logistic}'
bad 2 'linear.*classification' 'logistic' train wine.yaml --set 'model={type: linear}'
bad 2 'perceptron.*regression' 'linear' train diabetes.yaml --set 'model={type: perceptron}'

echo "== every optimiser and schedule"
for o in sgd momentum nesterov adagrad rmsprop adam adamw; do
    m breast_cancer.yaml --set train.optimizer=$o --set train.learning_rate=0.02 --set train.epochs=25
    has '.metrics.test.accuracy >= 0.9'
done
declare -A seen=()
for s in constant '{type: step, step: 3}' '{type: exponential, factor: 0.9}' cosine '{type: plateau, patience: 0}' \
    '{type: cosine, warmup: 3}'; do
    m breast_cancer.yaml --set "train.schedule=$s" --set train.learning_rate=0.01 --set train.epochs=12
    has '.metrics.test.accuracy >= 0.85'
    json run-show "$(get .run)"
    seen[$(get '[.history."train.learning_rate"[].value] | tostring')]=1
done
check "schedules differ" [ "${#seen[@]}" -ge 5 ]
for s in clip_norm=0.5 clip_value=0.1 l1=0.001 l2=0.01 weight_decay=0.01 label_smoothing=0.1 shuffle=false batch_size=1000; do
    m breast_cancer.yaml --set "train.$s" --set train.epochs=12 --set train.learning_rate=0.01
    has '.metrics.test.accuracy >= 0.85'
    differs "train.$s has an effect" "$(weights breast_cancer-1)" "$(weights learner)"
done
for l in mse mae huber; do
    m diabetes.yaml --set 'model={type: mlp, layers: [16]}' --set train.loss=$l --set train.epochs=30 --set train.learning_rate=0.02 --set 'evaluate.accept=r2 > 0'
    has '.metrics.test.r2 >= 0.3'
done
m breast_cancer.yaml --set train.loss=hinge --set evaluate.metrics='[accuracy]'
has '.metrics.test.accuracy >= 0.9'
finish
