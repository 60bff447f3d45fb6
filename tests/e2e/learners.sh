#!/usr/bin/env bash
# Each type of model that `aimass schema --learners` lists: a small table, a package, the same answer by command line and
# over HTTP. Row weights and several labels from the recipe to the served answer, and what bad ones get.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

python3 - <<'P'
import random
r = random.Random(3)
with open("t.csv", "w") as f:
    f.write("a,b,c,w,zero,yes,kind,tags,value,user,item\n")
    for i in range(240):
        a, b, c = [r.uniform(-1, 1) for _ in range(3)]
        turned = i % 2 == 1  # rows of weight 0 say the contrary
        yes = (a > 0) != turned
        tags = [t for t, on in (("red", a > 0), ("round", b > 0.2), ("big; old", False), ("big", a * b > 0)) if on]
        f.write("%.4f,%.4f,%.4f,%d,%d,%s,%s,%s,%.4f,u%d,i%d\n" % (a, b, c, not turned, i == 239, "up" if yes else "down",
                ("x", "y", "z")[(a > 0) + (b > 0)], ";".join(tags), 3 * a - b + 2, r.randrange(20), r.randrange(15)))
P

echo "== every type"
"$AIMASS" schema --learners >matrix || fail "schema --learners"
models=()
while IFS='|' read -r _ name cells; do
    name=$(tr -d ' `' <<<"$name")
    IFS='|' read -r -a cell <<<"$cells"
    more=""
    case $name in
    model.type | ---) continue ;;
    graph) more=', layers: [{name: a, type: dense, units: 8}]' ;;
    bagging) more=', of: {type: decision_tree}, n: 3' ;;
    ensemble) more=', members: [{type: decision_tree}, {type: knn}], combine: mean' ;;
    kmeans | gaussian_mixture) more=', clusters: 3' ;;
    dbscan) more=', eps: 1' ;;
    pca | svd) more=', components: 2' ;;
    resnet18 | resnet50 | mobilenet_v2) continue ;; # pictures: e2e-pictures
    matrix_factorization) more=', factors: 4' ;;
    gradient_boosting | random_forest | extra_trees) more=', trees: 10' ;;
    esac
    # the first task that the matrix gives it
    target= task=
    for i in 0 3 4 5 6 7; do
        [[ ${cell[$i]} == *yes* ]] || continue
        case $i in
        0) target=yes ;; 3) target=value ;; 4) task=anomaly ;; 5) task=embedding ;; 6) task=clustering ;; 7) task=recommendation ;;
        esac
        break
    done
    {
        echo "name: m-$(tr _ - <<<"$name")"
        echo "data: {source: t.csv${target:+, target: $target}${task:+, task: $task}$([ "$task" = recommendation ] && echo ', user: user, item: item')}"
        [ "$task" = recommendation ] || echo "features: {only: [a, b, c]}"
        echo "model: {type: $name$more}"
        echo "train: {epochs: 3}"
        echo "evaluate: {bootstrap: 0}"
    } >"$name.yaml"
    am train "$name.yaml" --quiet
    checks=$((checks + 1))
    if [ "$rc" != 0 ]; then fail "$name does not train"; else models+=("m-$(tr _ - <<<"$name")"); fi
done <matrix
check "most types are there: ${#models[@]}" test "${#models[@]}" -ge 25

echo "== over HTTP"
serve
for m in "${models[@]}"; do
    [ "$m" = m-matrix-factorization ] && continue # asks by user and item: its own routes
    checks=$((checks + 1))
    curl -s -o answer -w '%{http_code}' "$url/api/v1/models/$m/predict" -H 'Content-Type: application/json' \
        -d '{"rows": [{"a": 0.5, "b": -0.25, "c": 0.125}]}' >code
    [ "$(cat code)" = 200 ] || { fail "$m over HTTP: $(cat code) $(head -c 200 answer)"; continue; }
    printf 'a,b,c\n0.5,-0.25,0.125\n' >row.csv
    good predict "$m" row.csv --format json
    same "$m: one answer by both ways" "$(jq -cS . "$out")" "$(jq -cS '.predictions[0] // .rows[0] // .answers[0]' answer)"
done

echo "== row weights"
recipe() { printf 'name: w\ndata: {source: t.csv, target: yes%s}\nfeatures: {only: [a, b]}\nmodel: {type: %s}\nevaluate: {bootstrap: 0}\n' "$1" "$2"; }
recipe ', weight: w' logistic >w.yaml
json plan w.yaml
has '.columns[] | select(.name == "w") | .role == "weight"' '.features == 2'
json train w.yaml
has '.metrics.test.accuracy > 0.9'
recipe '' logistic >plain.yaml
json train plain.yaml
has '.metrics.test.accuracy < 0.75' # half of the rows say the contrary
recipe ', weight: w' linear_svm >w.yaml
json train w.yaml
has '.metrics.test.accuracy > 0.9'
recipe ', weight: zero' logistic >w.yaml
bad 1 'weights "zero" of all .* rows are 0' 'above 0' train w.yaml
recipe ', weight: kind' logistic >w.yaml
bad 2 'holds category, not numbers' 'column of numbers' train w.yaml
recipe ', weight: a' logistic >w.yaml
bad 1 'row [0-9]+: the weight "a" is -' '0 or more' train w.yaml
recipe ', weight: yess' logistic >w.yaml
bad 2 '"yess", which is no column' 'column of the data' train w.yaml
recipe ', weight: yes' logistic >w.yaml
bad 2 'cannot be weight and target' 'another column' train w.yaml
sed '2s/,1,0,/,,0,/' t.csv >hole.csv
recipe ', weight: w' logistic | sed 's/t.csv/hole.csv/' >w.yaml
bad 1 'row 1: the weight "w" is missing' 'Give every row a weight' train w.yaml

echo "== several labels"
labels() { printf 'name: %s\ndata: {source: t.csv, target: tags, labels: {separator: ";"}}\nfeatures: {only: [a, b]}\nmodel: {type: %s}\ntrain: {epochs: 30}\nevaluate: {bootstrap: 0}\n' "$1" "$2"; }
for type in svm mlp; do
    labels "l-$type" $type >l.yaml
    json train l.yaml
    has '.metrics.test.f1_micro > 0.7' '.metrics.test.hamming_loss < 0.25' '.metrics.test | has("label_ranking_ap")'
    json evaluate l-$type t.csv
    has '.metrics.f1_macro > 0.6'
    good predict l-$type row.csv --format json
    check "labels and their probabilities" jq -e '(.labels | type == "array") and (.probability | keys == ["big", "red", "round"])' "$out"
    same "the labels are those above a half" "$(jq -c '[.probability | to_entries[] | select(.value >= 0.5) | .key]' "$out")" "$(jq -c .labels "$out")"
    good explain l-$type t.csv --row 1 --output e.html
done
kill "$server" && wait "$server" 2>/dev/null
serve
curl -s "$url/api/v1/models/l-svm/predict" -H 'Content-Type: application/json' -d '{"rows": [{"a": 0.9, "b": -0.9}, {"a": 0.9, "b": 0.9}]}' >answer
check "native" jq -e '[.. | objects | select(has("labels")) | .labels] | .[0] == ["red"] and (.[1] | sort) == ["big", "red", "round"]' answer
curl -s "$url/v2/models/l-svm/infer" -H 'Content-Type: application/json' \
    -d '{"inputs": [{"name": "a", "shape": [1], "datatype": "FP64", "data": [0.9]}, {"name": "b", "shape": [1], "datatype": "FP64", "data": [0.9]}]}' >answer
check "V2" jq -e '[.outputs[] | select(.name == "labels") | .data[0]] == ["big;red;round"]' answer
labels l mlp | sed 's/";"/""/' >l.yaml
bad 2 'separator has 0 bytes' 'between two labels' train l.yaml
labels l mlp | sed 's/target: tags/target: value/' >l.yaml
bad 2 'holds no texts of several labels' 'labels out' train l.yaml
labels l mlp | sed 's/train: {/train: {class_weights: balanced, /' >l.yaml
bad 2 'can have several labels' 'Leave it out' train l.yaml
finish
