#!/usr/bin/env bash
# Beginning with weights of other programs, and finding a learning rate: a Keras file beside the recipe, used from
# another folder; the run keeps what it read, so that verify works after the file is gone; find-rate.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
KERAS=$2

mkdir -p project elsewhere
cp "$EXAMPLES/iris.csv" project/
cp "$KERAS/dense.keras" project/start.keras
cat >project/recipe.yaml <<'YAML'
name: tuned
data: {source: iris.csv, target: species, split: {validation: 0}}
model:
  type: graph
  layers:
    - {name: inside, type: dense, units: 12}
    - {name: hidden, type: dense, units: 10, activation: tanh}
train:
  epochs: 3
  learning_rate: 0.01
  weights: {file: start.keras, map: {hidden: inside}, skip: [inside, output]}
evaluate: {bootstrap: 0, importance: false}
YAML

echo "== weights of Keras, relative to the recipe"
cd elsewhere
json train ../project/recipe.yaml
has '.model == "tuned"'
run=$(jq -r .run "$out")
json run-show "$run"
has '[.artefacts[].name] | index("weights") != null' '.params["train.weights.file"] == "start.keras"' \
    '.params["train.weights.layout"] == "auto"'
kept=$(jq -r '.artefacts[] | select(.name == "weights") | .path' "$out")
check "the run keeps the bytes" cmp -s "$kept" ../project/start.keras
rm ../project/start.keras
json verify tuned@1
has '.equal' '.promise == "bits"'

echo "== what is wrong is said before training"
am train ../project/recipe.yaml
same "a missing file" 1 "$rc"
check "with the line and the path" grep -q 'line 11.*there is no file "../project/start.keras"' "$err"
cp "$KERAS/dense.weights.h5" ../project/start.keras
am train ../project/recipe.yaml --set train.weights.map.hidden=nowhere
same "a name that is nowhere" 2 "$rc"
check "and what there is" grep -q '"inner/inside"' "$err"
am train ../project/recipe.yaml --set 'train.weights.skip=[inside]' --set train.weights.map.output=dense_1
same "a shape that does not fit" 2 "$rc"
check "names layer and shapes" grep -q '"output.weight" of the model, \[10,3\]' "$err"
head -c 3000 "$KERAS/dense.weights.h5" >../project/start.keras
am train ../project/recipe.yaml
same "a damaged file" 1 "$rc"
check "is damaged" grep -q 'HDF5 file is damaged' "$err"
json runs
has '.runs[0].state == "failed"' '.runs[0].error | test("damaged")'

echo "== find-rate"
cp "$KERAS/dense.h5" ../project/start.keras
good find-rate ../project/recipe.yaml --set 'train.weights.skip=[inside,output]'
check "a table" grep -q '^1.00e-07 ' "$out"
check "a suggestion" grep -q '^suggested learning rate' "$out"
check "a page with the curve" grep -q '<polyline' find-rate.html
good find-rate ../project/recipe.yaml --steps 30 --output -
check "no page" [ "$(ls)" = find-rate.html ]
json find-rate ../project/recipe.yaml --steps 40 --from 1e-5 --to 0.5 --output rates.html
has '.rates | length <= 40 and .[0] == 1e-5' '(.rates | length) == (.losses | length)' '.suggestion > 1e-5' \
    '.learning_rate == 0.01' '.page == "rates.html"'
check "the page" test -s rates.html
cp "$out" first.json
json find-rate ../project/recipe.yaml --steps 40 --from 1e-5 --to 0.5 --threads 1
check "the same for any number of threads" [ "$(jq -c .losses first.json)" = "$(jq -c .losses "$out")" ]
echo 'data: {source: iris.csv, target: species}' >../project/plain.yaml
am find-rate ../project/plain.yaml
same "a model without steps" 1 "$rc"
check "says so" grep -q 'not trained step by step' "$err"
am find-rate ../project/recipe.yaml --from 1 --to 0.1
same "no range" 2 "$rc"
am find-rate ../project/recipe.yaml --steps 0
same "no steps" 2 "$rc"
finish
