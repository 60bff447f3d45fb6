#!/usr/bin/env bash
# Which columns and rows a model learns from: features.select by every method, near-duplicates of texts, pictures
# and keys, classes of equal size; each through training, report, package and prediction.
. "$(dirname "$0")/lib.sh"

inputs() { unzip -p "$("$AIMASS" model show "$1@1" --json | jq -r .path)" manifest.json | jq -c '[.inputs[].name]'; }

# ---- columns: two of noise, one constant ----
awk -F, 'BEGIN { srand(1) } NR == 1 { print "noise1,noise2,same," $0; next } { print rand() "," rand() ",1," $0 }' \
    "$EXAMPLES/breast_cancer.csv" >cancer.csv
for by in variance correlation anova chi2 information_gain mutual_information l1 recursive permutation; do
    cat >select.yaml <<Y
name: by-${by//_/-}
data: {source: cancer.csv, target: diagnosis}
features: {select: {by: $by, keep: 6}}
model: {type: logistic}
evaluate: {importance: false, bootstrap: 0}
Y
    json train select.yaml
    has '.metrics.test.accuracy > 0.85'
    names=$(inputs "by-${by//_/-}")
    same "$by keeps six columns, the package asks for no others" 6 "$(jq length <<<"$names")"
    [ $by = variance ] || same "$by leaves noise out" 0 "$(jq 'map(select(test("noise|same"))) | length' <<<"$names")"
done
json plan select.yaml
has '.selection.n_kept == 6' '.selection.columns | length == 33' '[.columns[] | select(.role == "feature")] | length == 6'
json train select.yaml --set features.select='{by: variance}' --set name=all
same "a constant column goes" 32 "$(inputs all | jq length)"
json train select.yaml --set features.select='{by: anova, share: 0.5}' --set evaluate.folds=3 --set name=half
same "half of 33" 17 "$(inputs half | jq length)"
cut -d, -f4- cancer.csv | head -n 3 >new.csv
json predict by-anova new.csv
bad 2 'features.select says more than one' 'Leave one' train select.yaml --set features.select.share=0.5
bad 2 'select.by" must be one of' 'Filters' train select.yaml --set features.select.by=chi3
bad 2 'chi2 compares with classes, but the task is regression' 'anova' plan "$EXAMPLES/diabetes.yaml" --set features.select='{by: chi2}'

# ---- near-duplicates ----
awk 'BEGIN { srand(2); print "text,kind"
    split("river mountain bridge window letter garden silver market engine paper morning shadow harbour winter village", w, " ")
    for (i = 0; i < 120; i++) { t = ""; for (k = 0; k < 25; k++) t = t w[int(rand() * 15) + 1] " "
        print t "number " i "," (i % 2 ? "odd" : "even")
        if (i % 4 == 0) print t "NUMBER  " i " again," (i % 2 ? "odd" : "even") } }' >texts.csv
cat >near.yaml <<'Y'
name: near
data: {source: texts.csv, target: kind, types: {text: text}, split: {by: random, seed: 3}, near_duplicates: {similarity: 0.8, action: keep}}
model: {type: logistic}
evaluate: {bootstrap: 0, importance: false}
Y
json plan near.yaml
has '.near_duplicates.by == "minhash"' '.near_duplicates.groups == 30' '.near_duplicates.rows == 60' '.near_duplicates.leaks > 0' \
    '.near_duplicates.pairs | length == 20 and all(.rows[1] == .rows[0] + 1 and .similarity >= 0.8)' '.split.dropped == 0'
json plan near.yaml --set data.near_duplicates.action=group
has '.near_duplicates.moved == .near_duplicates.leaks' '.near_duplicates.moved > 0' '.split.dropped == 0'
json plan near.yaml --set data.near_duplicates.action=drop
has '.split.dropped == 30' '.near_duplicates.leaks == 0'
json train near.yaml --set data.near_duplicates.action=drop
bad 1 'nearly equal to rows of another' 'group or drop' train near.yaml --set data.split.leaks=error
printf 'name,city,y\n' >keys.csv
for i in $(seq 40); do printf 'Ann %s,Rome,%s\nann  %s,ROME,%s\n' "$i" $((i % 2)) "$i" $((i % 2)); done >>keys.csv
cat >keys.yaml <<'Y'
name: keys
data: {source: keys.csv, target: y, types: {name: category, city: category}, near_duplicates: {by: key, columns: [name, city], action: drop}}
model: {type: baseline}
evaluate: {bootstrap: 0, importance: false}
Y
json plan keys.yaml
has '.near_duplicates.groups == 40' '.split.dropped == 40'
bad 2 'names column "town"' 'name, city, y' plan keys.yaml --set data.near_duplicates.columns='[town]'
bad 2 'finds no column to compare' 'Name them' plan "$EXAMPLES/diabetes.yaml" --set data.near_duplicates='{by: minhash}'
# a picture and the same one a little lighter, among others
mkdir -p pictures/a pictures/b
python3 - <<'P'
import random, struct, zlib
random.seed(4)
chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
for i in range(24):
    base = [[random.randrange(40, 200) for _ in range(12)] for _ in range(12)]
    for copy in range(2 if i < 6 else 1):
        lines = b"".join(bytes([0] + [v + 9 * copy for v in row]) for row in base)
        with open(f"pictures/{'ab'[i % 2]}/{i}-{copy}.png", "wb") as f:
            f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 12, 12, 8, 0, 0, 0, 0))
                    + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b""))
P
cat >pictures.yaml <<'Y'
name: pictures
data: {source: pictures, target: label, near_duplicates: {by: phash, action: drop}}
model: {type: baseline}
evaluate: {bootstrap: 0, importance: false}
Y
json plan pictures.yaml
has '.near_duplicates.groups == 6' '.near_duplicates.by == "phash"' '.split.dropped == 6'

# ---- classes of equal size ----
awk 'BEGIN { srand(5); print "a,b,c,rare"
    for (i = 0; i < 600; i++) { r = i % 12 == 0; print rand() + r * 0.4 "," rand() + r * 0.4 "," (rand() < 0.5 ? "x" : "y") "," (r ? "yes" : "no") } }' >rare.csv
cat >rare.yaml <<'Y'
name: rare
data: {source: rare.csv, target: rare, split: {seed: 6}}
model: {type: logistic}
evaluate: {metrics: [recall, accuracy], bootstrap: 0, importance: false, folds: 3}
Y
json train rare.yaml
plain=$(get .metrics.test.recall) baseline=$(get '.metrics.baseline | tojson')
for how in over under smote '{type: smote, ratio: 0.5, neighbors: 3}'; do
    json train rare.yaml --set train.balance="$how"
    check "$how finds more of the rare class than $plain" jq -e ".metrics.test.recall >= $plain + 0.1" "$out"
    same "the test rows and the baseline are the same" "$baseline" "$(get '.metrics.baseline | tojson')"
done
bad 2 'balance makes classes of equal size' 'Leave it out' train "$EXAMPLES/diabetes.yaml" --set train.balance=over
bad 2 'balance' '.' train rare.yaml --set train.balance=more
finish
