#!/usr/bin/env bash
# The main job with pictures: a folder with a folder of images for each class, one command, and a network of
# convolutions is trained, reported, registered and served; a PNG posted to the server comes back with label and
# probabilities. The same from the Fashion-MNIST files. Bad files among the good ones. What the network looks at.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
files=$(realpath "$HERE/../conformance/images/files")

# 30 pictures a class as PNG: a bright disc, a bright cross, stripes; colours and places at random
cat >"$W/make.py" <<'P'
import os, random, struct, sys, zlib

def png(path, w, h, n, pixel):
    chunk = lambda t, d: struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d))
    rows = b"".join(b"\0" + bytes(v for x in range(w) for v in pixel(x, y)) for y in range(h))
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, {1: 0, 3: 2}[n], 0, 0, 0))
                + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))

def shape(kind, r, side):
    x0, y0, size = r.uniform(.35, .65) * side, r.uniform(.35, .65) * side, r.uniform(.18, .28) * side
    front, back = [r.randrange(150, 256) for _ in range(3)], [r.randrange(0, 90) for _ in range(3)]
    def inside(x, y):
        if kind == "disc":
            return (x - x0) ** 2 + (y - y0) ** 2 < size * size
        if kind == "cross":
            return min(abs(x - x0), abs(y - y0)) < size / 4 and max(abs(x - x0), abs(y - y0)) < 1.4 * size
        return int(y / side * 8) % 2 == 0
    return lambda x, y: [min(255, max(0, v + r.randrange(-12, 13))) for v in (front if inside(x, y) else back)]

if sys.argv[1] == "idx":  # one picture of an IDX file as PNG: idx FILE NUMBER OUT
    import gzip
    b = gzip.open(sys.argv[2]).read()
    at = 16 + int(sys.argv[3]) * 784
    png(sys.argv[4], 28, 28, 1, lambda x, y: [b[at + 28 * y + x]])
    sys.exit()
r = random.Random(7)
for kind in ("cross", "disc", "stripes"):
    os.makedirs(f"{sys.argv[1]}/{kind}")
    for i in range(30):
        side = 32
        png(f"{sys.argv[1]}/{kind}/{i:02}.png", side, side, 3, shape(kind, r, side))
P
check "pictures" python3 "$W/make.py" shapes

am predict nothing shapes
if grep -q 'images-vips' "$err"; then
    echo "the decoder of pictures is not built: nothing is tried"
    exit 77
fi

echo "== a folder of images, one command"
json run shapes --set train.epochs=12
has '.model == "shapes"' '.version == 1' '.aliases == ["champion"]' '.files.n_bad == 0' \
    '.rows == {train: 54, validation: 18, test: 18, dropped: 0}' '.metrics.test.accuracy >= 0.8' \
    '.metrics.baseline.accuracy < 0.4' '.recipe | test("type: cnn")'
report=$(get .report)
for text in 'learner</span> <b>cnn' 'Confusion matrix' 'ROC curve' 'Precision and recall' 'stripes AUC' \
    'What the model looks at' 'gradient' 'Filters of the first layer' 'What the layers answer' 'conv2'; do
    check "the report shows: $text" grep -q "$text" "$report"
done
check "pictures lie inside of the report" grep -q 'src=.data:image/png;base64,' "$report"
check "the report loads nothing" bash -c '! grep -Eq "(src|href)=.?(http|/|file)" "$1"' _ "$report"
json model show shapes@champion
has '.task == "multiclass"' '.version == 1'
json runs
has '.runs[0].name == "shapes" and .runs[0].state == "finished"'

echo "== looking before, and the same bits"
good init shapes --output shapes.yaml
check "nothing is said about file names" bash -c '! grep -q identifier "$1"' _ "$out"
good plan shapes.yaml
for row in '^conv1 +conv +\[B,32,32,32\] +896 ' '^pool2 +max_pool +\[B,8,8,64\] ' '^output +linear +\[B,3\] +387 ' \
    '^a step takes [0-9.]+ MB'; do
    check "the plan shows: $row" grep -Eq "$row" "$out"
done
for threads in 1 2; do
    json train shapes.yaml --threads $threads --set name=bits$threads --set train.epochs=2 \
        --set 'train.augment={flip: horizontal, shift: 0.1, rotate: 10, noise: 0.05}'
done
same "the same weights with one thread and two, augmentation ahead of the steps" "$(weights bits1)" "$(weights bits2)"
json verify bits2@1
has '.equal'

echo "== a PNG posted to the server comes back with label and probabilities"
serve
model=$url/api/v1/models/shapes
ask() { curl -s -m 30 "$@"; }
for kind in cross disc stripes; do
    ask -H 'Content-Type: image/png' --data-binary "@shapes/$kind/03.png" "$model/predict" >"$W/$kind.json"
    check "$kind" jq -e --arg k "$kind" '.model == "shapes" and .version == 1 and (.predictions | length == 1)
        and .predictions[0].label == $k and (.predictions[0].probability | keys == ["cross", "disc", "stripes"])
        and ([.predictions[0].probability[]] | add - 1 | fabs) < 1e-5' "$W/$kind.json"
    jq -n --rawfile b <(base64 -w0 "shapes/$kind/03.png") '{rows: [{image: $b}]}' >"$W/body.json"
    same "$kind as base64 JSON" "$(jq -c .predictions "$W/$kind.json")" \
        "$(ask -d "@$W/body.json" "$model/predict" | jq -c .predictions)"
done
good predict shapes shapes/disc/03.png
same "as on the command line" disc "$(sed -n '2s/^[^,]*,\([^,]*\),.*/\1/p' "$out")"

echo "== bad files among the good ones: a verdict each, the rest is trained"
cp -r shapes mixed
cp "$files/animated.gif" "$files/cmyk.jpg" "$files/grey16.png" mixed/disc/
cp "$files/huge.png" mixed/cross/
head -c 300 shapes/cross/00.png >mixed/cross/cut.png
: >mixed/cross/nothing.png
echo 'this is text' >mixed/stripes/text.png
am run mixed --json --set train.epochs=1
same "trained" 0 "$rc"
has '.files.n_bad == 4' '.files.files == 97' '.rows | .train + .validation + .test == 93' \
    '[.files.bad[].file] | sort == ["cross/cut.png", "cross/huge.png", "cross/nothing.png", "stripes/text.png"]' \
    'all(.files.bad[]; .reason | length > 10)' '[.files.notes[].kind] | contains(["animated", "sizes"])'
check "the report lists them" grep -q 'cross/nothing.png' "$(get .report)"
mkdir -p mixed/lonely && cp shapes/disc/00.png mixed/lonely/
am run mixed
check "a class with one file is named" grep -q 'lonely' "$err" "$out"
mkdir flat && cp shapes/disc/0[0-4].png flat/
bad 2 'flat.*no classes' 'folder of its own' run flat
mkdir -p single && cp -r shapes/disc single/
am run single
check "one class is nothing to tell apart" grep -q 'every row is "disc"' "$err"
for name in ../up.png /root.png a/../../up.png; do
    python3 - "$name" <<'P'
import sys, zipfile
with zipfile.ZipFile("names.zip", "w") as z:
    for kind in ("disc", "cross"):
        for i in range(5):
            z.write(f"shapes/{kind}/{i:02}.png", f"{kind}/{i:02}.png")
    z.write("shapes/disc/09.png", sys.argv[1])
P
    am run names.zip --set train.epochs=1
    check "$name is told about" grep -q 'up.png\|root.png' "$err"
    check "$name is nowhere" bash -c '! [ -e ../up.png ] && ! [ -e /root.png ] && ! [ -e up.png ]'
done
python3 -c 'import zipfile
with zipfile.ZipFile("bomb.zip", "w", zipfile.ZIP_DEFLATED) as z:
    z.writestr("disc/a.png", b"\0" * (1 << 28)); z.writestr("cross/b.png", b"\0" * (1 << 28))'
bad 1 'bomb|pictures|picture|bytes' '' run bomb.zip

echo "== why: a chosen picture"
good explain shapes shapes/cross/05.png
check "classes with probabilities" grep -Eq '^ *cross +0\.[0-9]+' "$out"
check "the page is named" grep -q '^page     explain.html$' "$out"
for text in 'predicted <b>' 'occlusion' 'gradient' 'Filters of the first layer' 'conv1' 'conv2' 'shapes/cross/05.png'; do
    check "the page shows: $text" grep -q "$text" explain.html
done
same "input, two maps, filters, two layers" 6 "$(grep -o "<img " explain.html | wc -l)"
json explain shapes shapes --row 31 --class stripes
has '.explained == "stripes"' '.row == 31' '.file == "disc/00.png"' '.kind == "image"' '(.classes | length) == 3' \
    '[.saliency[].method] == ["occlusion", "gradient"]' '[.activations[].layer] == ["conv1", "conv2"]' \
    '.activations[0].shape | test("^\\[B,[0-9]+,[0-9]+,32\\]$")' 'has("page") | not' \
    'all(.saliency[], .activations[], .filters[], .input[]; .picture | startswith("data:image/png;base64,"))'
bad 2 'no class "dics"' 'disc' explain shapes shapes/cross/05.png --class dics
bad 2 'row 91' 'from 1' explain shapes shapes --row 91
bad 1 'cut.png' '' explain shapes mixed/cross/cut.png
bad 2 '--row x' 'from 1' explain shapes shapes --row x

echo "== why: a row of a table, words of a text"
good run "$EXAMPLES/wine.csv" --target cultivar
json explain wine "$EXAMPLES/wine.csv" --row 3
has '.kind == "table"' '.columns | length == 13' '[.columns[].effect | fabs] | . == (sort | reverse)' \
    '.columns[0].column == "proline"'
printf 'text,mood\n' >mood.csv
for i in $(seq 40); do printf 'the room %s was lovely,good\nthe room %s was dirty,bad\n' "$i" "$i"; done >>mood.csv
good run mood.csv --target mood --set 'features.text={type: text}'
printf 'text\nA really dirty room\n真的 dirty 房间\n' >new.csv
json explain mood new.csv
has '.kind == "text"' '.prediction.label == "bad"' '.words[0].words | map(.text) | join("") == "A really dirty room"' \
    '.words[0].words | max_by(.effect).text | test("dirty")'
json explain mood new.csv --row 2
has '.words[0].words | map(.text) | join("") == "真的 dirty 房间"' '.words[0].words | max_by(.effect).text | test("dirty")'

echo "== the Fashion-MNIST files"
fashion=/usr/share/datasets/fashion-mnist
json run "$fashion" --set 'data.sample={rows: 4000}' --set train.epochs=2
has '.model == "fashion-mnist"' '.metrics.test.accuracy >= 0.6' '.rows.test > 300' '.aliases == ["champion"]'
check "ten classes in the confusion matrix" grep -q "<th>9</th>" "$(get .report)"
python3 "$W/make.py" idx "$fashion/t10k-images-idx3-ubyte.gz" 0 boot.png
ask -H 'Content-Type: image/png' --data-binary @boot.png "$url/api/v1/models/fashion-mnist/predict" >boot.json
check "an ankle boot (9) with ten probabilities" jq -e '.predictions[0] | (.label | tostring) == "9" and
    (.probability | length == 10)' boot.json
finish
