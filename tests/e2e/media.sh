#!/usr/bin/env bash
# Pictures through every face with one model: a package with a picture as its only input is imported,
# predicts PNG files, a folder, an archive and a CSV of paths on the command line, and answers the same
# over HTTP as a raw body, base64, TF Serving's b64, BYTES and a tensor of pixels. What bad files get.
#   media.sh AIMASS PICTURE.aim
. "$(dirname "$0")/lib.sh"
package=$(realpath "$2" 2>/dev/null || true)
[ -s "$package" ] || package=$OLDPWD/$2

# pictures DIR: 3 good ones of their own sizes and kinds, from the standard library alone
cat >"$W/make.py" <<'P'
import struct, sys, zlib

def png(path, w, h, kind, level, depth=8):
    n = {0: 1, 2: 3, 6: 4}[kind]
    row = lambda y: bytes([0]) + bytes((level + 7 * x + 3 * y + c * 40) % 256 for x in range(w) for c in range(n))
    if depth == 16:
        row = lambda y: bytes([0]) + bytes((level + x) % 256 for x in range(w * n * 2))
    chunk = lambda t, d: struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d))
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, kind, 0, 0, 0))
                + chunk(b"IDAT", zlib.compress(b"".join(row(y) for y in range(h)))) + chunk(b"IEND", b""))

def raw(path, w, h, n, level):
    with open(path, "wb") as f:
        f.write(b"AMIM\x01" + bytes([n, 0, 0]) + struct.pack("<II", w, h)
                + bytes((level + 7 * x + 3 * y + c * 40) % 256 for y in range(h) for x in range(w) for c in range(n)))

d = sys.argv[1]
png(d + "/a.png", 6, 5, 2, 10)
png(d + "/b.png", 40, 30, 6, 90)
png(d + "/c.png", 9, 9, 0, 200)
raw(sys.argv[2], 6, 5, 3, 10)
P
mkdir pics
check "pictures" python3 "$W/make.py" pics same.raw

json model import "$package" --name eye
has '.model == "eye"' '.version == 1'
json model show eye@1

# the server: the raw form needs no decoder
serve
same "ready" 200 "$(curl -s -o /dev/null -w '%{http_code}' "$url/healthz")"
ask() { curl -s -m 20 "$@"; }
model=$url/api/v1/models/eye
ask -H 'Content-Type: application/octet-stream' --data-binary @same.raw "$model/predict" >raw.json
check "a label and three probabilities" jq -e \
    '.predictions | length == 1 and (.[0].label | test("^class[0-2]$")) and (.[0].probability | length == 3)' raw.json
want=$(jq -c .predictions raw.json)
b64=$(base64 -w0 same.raw)
same "base64" "$want" "$(ask -d "{\"rows\":[{\"col0\":\"$b64\"}]}" "$model/predict" | jq -c .predictions)"
same "a batch" "$(jq -c '[.predictions[0], .predictions[0]]' raw.json)" \
    "$(ask -d "{\"rows\":[[\"$b64\"],{\"col0\":{\"b64\":\"$b64\"}}]}" "$model/predict" | jq -c .predictions)"
label=$(jq -r '.predictions[0].label' raw.json)
same "TF Serving" "$label" \
    "$(ask -d "{\"instances\":[{\"b64\":\"$b64\"}]}" "$url/v1/models/eye:predict" | jq -r '.predictions[0].label')"
same "TF Serving classify" 3 \
    "$(ask -d "{\"examples\":[{\"col0\":{\"b64\":\"$b64\"}}]}" "$url/v1/models/eye:classify" | jq '.results[0] | length')"
pixels=$(tail -c +17 same.raw | od -An -v -tu1 | tr -s ' \n' ',' | sed 's/^,//; s/,$//')
v2() { ask -d "$1" "$url/v2/models/eye/infer" | jq -c '.outputs[0].data'; }
probabilities=$(jq -c '[.predictions[0].probability | .[]]' raw.json)
same "V2 bytes" "$probabilities" \
    "$(v2 "{\"inputs\":[{\"name\":\"col0\",\"shape\":[1],\"datatype\":\"BYTES\",\"data\":[\"$b64\"]}]}")"
same "V2 pixels" "$probabilities" \
    "$(v2 "{\"inputs\":[{\"name\":\"col0\",\"shape\":[1,5,6,3],\"datatype\":\"UINT8\",\"data\":[$pixels]}]}")"
status() { ask -o /dev/null -w '%{http_code}' -H "Content-Type: $1" --data-binary "$2" "$model/predict"; }
head -c 60 same.raw >cut.raw
same "a cut file" 400 "$(status application/octet-stream @cut.raw)"
same "an empty body" 400 "$(status image/png '')"
same "a sound" 400 "$(status audio/wav @same.raw)"
check "the columns are told" jq -e '.list[0].columns == [{"name":"col0","type":"image"}]' <(ask "$model")

# with the decoder: files
am predict eye pics/a.png
if grep -q 'no decoder\|images-vips' "$err"; then
    echo "the decoder of pictures is not built: files are not tried"
    finish
fi
good predict eye pics/a.png
same "a header and a row" "file,prediction,probability_class0,probability_class1,probability_class2" "$(head -n 1 "$out")"
check "the file's name and a label" grep -Eq '^"?(pics/)?a\.png"?,class[0-2],' "$out"
same "as over HTTP" "$label" "$(sed -n '2s/.*,\(class[0-2]\),.*/\1/p' "$out")"
same "a PNG over HTTP" "$want" \
    "$(ask -H 'Content-Type: image/png' --data-binary @pics/a.png "$model/predict" | jq -c .predictions)"
same "a PNG in base64" "$want" \
    "$(ask -d "{\"rows\":[{\"col0\":\"$(base64 -w0 pics/a.png)\"}]}" "$model/predict" | jq -c .predictions)"
json predict eye pics/a.png pics/b.png pics/c.png
has '.predictions | length == 3' '.rows == 3' '.files.n_bad == 0'
json predict eye pics
has '.predictions | length == 3'
printf 'col0,customer\npics/a.png,7\npics/c.png,8\n' >list.csv
good predict eye list.csv
same "two rows of a CSV of paths" 3 "$(wc -l <"$out")"

# bad files: named with a verdict, the others are predicted
head -c 60 pics/a.png >pics/cut.png
: >pics/empty.png
am predict eye pics
same "not all was predicted" 1 "$rc"
same "the good ones were" 4 "$(wc -l <"$out")"
check "the cut one is named" grep -q 'cut.png: ' "$err"
check "the empty one is named" grep -q 'empty.png: ' "$err"
bad 1 'cut\.png' '' predict eye pics/cut.png
same "400 over HTTP" 400 "$(status image/png @pics/cut.png)"
check "with the verdict" jq -e '.detail | test("col0")' \
    <(ask -H 'Content-Type: image/png' --data-binary @pics/cut.png "$model/predict")
same "no picture" 400 "$(status image/png 'this is text, no picture at all')"
finish
