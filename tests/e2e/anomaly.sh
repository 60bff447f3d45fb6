#!/usr/bin/env bash
# Recipes without a target, from the recipe to the served answer: the sensor readings of examples/, rows that nobody
# labelled, pictures; the threshold, chosen outputs by command line and over HTTP, what each contradiction says.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

sensors=$EXAMPLES/sensor_anomaly.yaml

echo "== plan"
json plan "$sensors"
has '.task == "anomaly"' '.features == 3' '.split.dropped > 0' \
    '[.columns[] | select(.role == "feature") | .name] == ["indoor", "humidity", "temperature"]' \
    '.columns[] | select(.name == "label") | .role == "label"' '.recipe.evaluate | has("threshold") | not' \
    '[.network.layers[].name] | index("code") != null'

echo "== train, report, registry"
json train "$sensors"
has '.metrics.test.roc_auc >= 0.9' '.metrics.test.recall >= 0.7' '.metrics.test.precision >= 0.5' \
    '.metrics.test.reconstruction_error < .metrics.baseline.reconstruction_error' \
    '.metrics.train.roc_auc == null' '.aliases == ["champion"]' \
    '.metrics.validation.flagged_share >= 0.003 and .metrics.validation.flagged_share < 0.004' \
    '.rows.dropped > 100'
report=$(get .report)
for words in 'Anomaly scores' 'Learning curve' 'ROC curve' 'Confusion matrix' 'Which columns come back badly'; do
    check "report: $words" grep -q "$words" "$report"
done
json train "$sensors" --set model.encoder=[2] --set train.epochs=1
has '.aliases == []' '.alias_kept | test("roc_auc")'
am train "$sensors" --set evaluate.accept='roc_auc >= 0.9999'
same "the gate refuses" 1 "$rc"
json verify sensor-anomaly@champion
has '.equal and .promise == "bits"'
json model show sensor-anomaly@champion
has '[.. | objects | select(.task? == "anomaly")] | length >= 1'

echo "== new rows"
printf 'reading,mote_id,indoor,humidity,temperature\n1,1,0,43.8,30.2\n2,1,0,90,55\n3,1,1,,20\n' >rows.csv
good predict sensor-anomaly@champion rows.csv
same "the header" anomaly_score,is_anomaly "$(head -n 1 "$out")"
same "the verdicts" "false true" "$(tail -n +2 "$out" | head -n 2 | cut -d, -f2 | tr '\n' ' ' | sed 's/ $//')"
good predict sensor-anomaly@champion rows.csv --output embedding,reconstruction
same "chosen columns" embedding_1,reconstruction_indoor,reconstruction_humidity,reconstruction_temperature "$(head -n 1 "$out")"
check "the second row comes back as something else" awk -F, 'NR == 2 && ($3 < 40 || $3 > 50) {bad=1} END {exit bad}' "$out"
good predict sensor-anomaly@champion rows.csv --output reconstruction --format json
check "by column" jq -es 'length == 3 and (.[0].reconstruction | keys == ["humidity", "indoor", "temperature"])' "$out"
bad 2 'no output "label"' 'anomaly_score' predict sensor-anomaly@champion rows.csv --output label
bad 2 'no output ""' 'anomaly_score' predict sensor-anomaly@champion rows.csv --output ''
json evaluate sensor-anomaly@champion rows.csv
has '.rows == 3' '.metrics | keys == ["flagged_share", "reconstruction_error"]'
json evaluate sensor-anomaly@champion "$EXAMPLES/sensor_anomaly.csv.gz"
has '.rows == 18760' '.metrics.roc_auc > 0.9' '.metrics.recall > 0.7'

echo "== nobody labelled anything; a category among the inputs; folds; other splits"
python3 - <<'P'
import random
r = random.Random(7)
with open("plain.csv", "w") as f:
    f.write("id,day,load,heat,kind,place\n")
    for i in range(900):
        u = r.gauss(0, 1)
        f.write(f"{i},2026-{1 + i // 90:02}-{1 + i % 28:02},{u * 3 + 10 + r.gauss(0, .1):.3f},{-u + r.gauss(0, .1):.3f},"
                f"{'hot' if u > 0 else 'cold'},p{i % 30}\n")
P
cat >plain.yaml <<'Y'
name: plain
data: {source: plain.csv, id: [id]}
features: {drop: [day, place]}
model: {type: autoencoder, encoder: [8], code: 1, activation: tanh, contamination: 0.02}
train: {epochs: 40, learning_rate: 0.01}
evaluate: {folds: 3}
Y
json train plain.yaml
has '.metrics.test | keys == ["flagged_share", "reconstruction_error"]' \
    '.metrics.test.reconstruction_error < 0.5 * .metrics.baseline.reconstruction_error' \
    '.folds.each | length == 3' '.metrics.validation.flagged_share >= 0.02'
for split in '{by: group, group: place}' '{by: time, time: day}' '{by: hash}' '{test: 0}'; do
    json train plain.yaml --set evaluate.folds=0 --set train.epochs=1 --set "data.split=$split"
    has '.metrics.train.reconstruction_error > 0'
done
json train plain.yaml --set evaluate.folds=0 --set train.epochs=2 --set data.split.validation=0 --set data.split.test=0
has '.metrics.train.flagged_share >= 0.02'
good predict plain@1 plain.csv --output is_anomaly
same "ids pass through" id,is_anomaly "$(head -n 1 "$out")"

echo "== a third of the rows labelled by nobody"
awk 'BEGIN { srand(5); print "a,b,state"; for (i = 0; i < 600; i++) { u = rand() * 4 - 2; odd = i % 30 == 0
    printf "%.3f,%.3f,%s\n", u, odd ? rand() * 16 - 8 : 2 * u + rand() / 5, i % 3 == 1 ? "" : odd ? "leak" : "ok" } }' >part.csv
cat >part.yaml <<'Y'
name: part
data: {source: part.csv, target: state, task: anomaly, normal: ok, train_on: normal, clean: {missing: drop}}
model: {encoder: [8], code: 1, activation: tanh}
train: {epochs: 30, learning_rate: 0.01}
Y
json train part.yaml
has '.rows.train + .rows.validation + .rows.test + .rows.dropped == 600' '.rows.dropped > 0 and .rows.dropped <= 20' \
    '.metrics.test.reconstruction_error > 0'
json evaluate part part.csv
has '.rows == 600' '.metrics.roc_auc > 0.7'
sed 's/leak/ok/' part.csv >ok.csv
bad 1 'constant' 'only measures' train part.yaml --set data.source=ok.csv

echo "== one line, and a starter"
json run plain.csv --task anomaly --set name=oneline --set train.epochs=5
has '.metrics.test.reconstruction_error > 0' '.aliases == ["champion"]' '.recipe | test("task: anomaly")'
json init plain.csv --task embedding --output start.yaml
has '.task == "embedding"' '.target == null'
json train start.yaml --set train.epochs=2
json init "$EXAMPLES/sensor_anomaly.csv.gz" --task anomaly --target label --output labels.yaml
check "labels" grep -q 'target: "label"' labels.yaml
bad 2 '--task regression' '--target' run plain.csv --task regression
bad 2 'which column' 'anomaly or embedding' run plain.csv

echo "== embeddings"
json train plain.yaml --set data.task=embedding --set name=vectors --set model='{code: 2}' --set evaluate.folds=0
has '.metrics.test | keys == ["reconstruction_error"]'
good predict vectors plain.csv
same "what it answers" id,embedding_1,embedding_2 "$(head -n 1 "$out")"

echo "== pictures"
python3 - <<'P'
import random
import struct
from pathlib import Path
r = random.Random(3)
side, n = 12, 400
pixels, labels = bytearray(), bytearray()
for i in range(n):
    odd = i % 20 == 0  # a ring among crosses
    a, b = r.randrange(3, 9), r.randrange(3, 9)
    for y in range(side):
        for x in range(side):
            on = 9 < (x - a) ** 2 + (y - b) ** 2 < 22 if odd else x == a or y == b
            pixels.append(min(255, max(0, (220 if on else 10) + r.randrange(-8, 9))))
    labels.append(1 if odd else 0)
out = Path("crosses")
out.mkdir()
(out / "images-idx3-ubyte").write_bytes(struct.pack(">4I", 2051, n, side, side) + bytes(pixels))
(out / "labels-idx1-ubyte").write_bytes(struct.pack(">2I", 2049, n) + bytes(labels))
P
cat >crosses.yaml <<'Y'
name: crosses
data: {source: crosses, target: label, task: anomaly, normal: 0, train_on: normal}
model: {filters: [8, 16], code: 6, contamination: 0.02}
train: {epochs: 30, learning_rate: 0.01, augment: {noise: 0.02}}
Y
json train crosses.yaml
has '.metrics.test.roc_auc >= 0.9' '.metrics.test.reconstruction_error < .metrics.baseline.reconstruction_error'
check "the report shows pictures" grep -q 'The pictures that come back worst' "$(get .report)"

echo "== served"
serve
post() { curl -s -m 20 "$url$1" -H 'Content-Type: application/json' -d "$2" >"$out"; }
rows='{"indoor": false, "humidity": 43.8, "temperature": 30.2}, {"indoor": 0, "humidity": 90, "temperature": 55}'
post /api/v1/models/sensor-anomaly@champion/predict "{\"rows\": [$rows]}"
has '.predictions | length == 2' '.predictions[0].is_anomaly == false' '.predictions[1].is_anomaly == true' \
    '.predictions[1] | keys == ["anomaly_score", "is_anomaly"]'
score=$(get '.predictions[1].anomaly_score')
post /api/v1/models/sensor-anomaly@champion/predict "{\"outputs\": [\"embedding\", \"reconstruction\"], \"rows\": [$rows]}"
has '.predictions[0] | keys == ["embedding", "reconstruction"]' '.predictions[0].embedding | length == 1' \
    '.predictions[0].reconstruction.humidity | . > 40 and . < 50'
embedding=$(get '.predictions[1].embedding[0]')
post '/api/v1/models/sensor-anomaly@champion/predict?outputs=is_anomaly' "{\"rows\": [$rows]}"
has '.predictions == [{"is_anomaly": false}, {"is_anomaly": true}]'
for wrong in '{"outputs": ["label"], "rows": []}' '{"outputs": [], "rows": []}' '{"outputs": [3], "rows": []}' \
    '{"outputs": "embedding", "rows": []}' '{"outputs": ["embedding"], "outputs": ["embedding"], "rows": []}'; do
    post /api/v1/models/sensor-anomaly@champion/predict "$wrong"
    has '.status == 400'
done
post '/api/v1/models/sensor-anomaly@champion/predict?outputs=emb' "{\"rows\": [$rows]}"
has '.status == 400' '.hint | test("embedding")'

matrix='{"name": "input", "shape": [2, 3], "datatype": "FP64", "data": [0, 43.8, 30.2, 0, 90, 55]}'
infer=/v2/models/sensor-anomaly/versions/champion/infer
curl -s "$url/v2/models/sensor-anomaly/versions/champion" >"$out"
has '[.outputs[] | [.name, .datatype, .shape]] == [["anomaly_score", "FP64", [-1, 1]], ["is_anomaly", "BOOL", [-1]],
    ["embedding", "FP32", [-1, 1]], ["reconstruction", "FP64", [-1, 3]]]'
post $infer "{\"inputs\": [$matrix]}"
has '[.outputs[].name] == ["anomaly_score", "is_anomaly"]' '.outputs[1].data == [false, true]' ".outputs[0].data[1] == $score"
post $infer "{\"inputs\": [$matrix], \"outputs\": [{\"name\": \"reconstruction\"}, {\"name\": \"embedding\"}]}"
has '[.outputs[] | [.name, .shape]] == [["reconstruction", [2, 3]], ["embedding", [2, 1]]]' '.outputs[0].data | length == 6' \
    ".outputs[1].data[1] == $embedding"
post $infer "{\"inputs\": [$matrix], \"outputs\": [{\"name\": \"value\"}]}"
has '.error | test("value")'
post $infer "{\"inputs\": [$matrix], \"outputs\": [{\"name\": \"embedding\", \"parameters\": {\"classification\": 1}}]}"
has '.error | test("no classes")'
curl -s -m 20 "$url$infer" -d "{\"inputs\": [$matrix], \"outputs\": [{\"name\": \"is_anomaly\",
    \"parameters\": {\"binary_data\": true}}, {\"name\": \"anomaly_score\", \"parameters\": {\"binary_data\": true}}]}" >"$out"
same "binary flags and scores behind the JSON" "0001" "$(tail -c 18 "$out" | head -c 2 | od -An -tx1 | tr -d ' \n')"
post /v1/models/sensor-anomaly/labels/champion:predict '{"instances": [[0, 43.8, 30.2], [0, 90, 55]]}'
has '[.predictions[].is_anomaly] == [false, true]'
post /v1/models/vectors:predict '{"inputs": {"load": [1, 2], "heat": [3, 4], "kind": ["hot", "cold"]}}'
has '.outputs | length == 2' '.outputs[0] | length == 2'

pixels=$(jq -nc '[range(288)]| map(. % 7 * 30)')
post /v2/models/crosses/infer "{\"inputs\": [{\"name\": \"image\", \"shape\": [2, 12, 12, 1], \"datatype\": \"UINT8\",
    \"data\": $pixels}], \"outputs\": [{\"name\": \"reconstruction\"}, {\"name\": \"embedding\"}, {\"name\": \"is_anomaly\"}]}"
has '[.outputs[] | .shape] == [[2, 12, 12, 1], [2, 6], [2]]' '.outputs[0].data | all(. >= 0 and . <= 255)' \
    '.outputs[2].data == [true, true]'
kill "$server"; wait "$server"

echo "== contradictions"
bad 2 'data.task is anomaly, but model.type is logistic' 'autoencoder' train "$sensors" --set model='{type: logistic}'
bad 2 'model.type is autoencoder' 'anomaly or embedding' train "$sensors" --set data.task=classification --set data.train_on=all
bad 2 'names no column to predict' 'task: anomaly' train plain.yaml --set model='{type: mlp}'
bad 2 'data.normal names "good"' '"0"|false' train "$sensors" --set data.normal=good
bad 2 'every row' 'normal labels only' train "$sensors" --set 'data.normal=[0, 1]'
bad 2 'compares with labels' 'data.target' train plain.yaml --set 'evaluate.metrics=[roc_auc]'
bad 2 'does not fit this task' 'reconstruction_error' train plain.yaml --set 'evaluate.metrics=[accuracy, log_loss]' \
    --set data.target=kind --set data.normal=hot
bad 2 'evaluate.threshold' 'contamination' train "$sensors" --set evaluate.threshold=0.4
bad 2 'contamination.*between 0 and 0.5' 'share of anomalies' train "$sensors" --set model.contamination=0.9
bad 2 'the target is also a feature' 'features.only' train "$sensors" --set 'features={only: [label, humidity]}'
bad 2 'train.augment is given.*logistic' 'leave train.augment out' train "$EXAMPLES/wine.yaml" --set model='{type: logistic}' \
    --set 'train.augment={noise: 0.1}'
finish
