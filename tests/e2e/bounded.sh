#!/usr/bin/env bash
# Pictures several times the memory: 690 MB of them, whose features (330 MB) do not fit either, are imported, read
# back, trained on, measured and predicted under a data limit of the memory flag and 200 MB (measured: 133 MB
# resident). The same without the limit gives the same
# weights. A Parquet file of others with the pictures in it is read by the table engine: 210 MB. A sanitizer's shadow
# and redzones are no data of the program: under one, only that it works is looked at.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
cat >"$W/make.py" <<'P'
import os, struct, sys
n, w, h = 3000, 320, 240
for k in "ab":
    os.makedirs(f"{sys.argv[1]}/{k}")
some = os.urandom(1 << 22)
for i in range(n):
    at = (i * 7919) % (len(some) - w * h * 3)
    pixels = bytearray(some[at:at + w * h * 3])
    if i % 2:  # class b is darker in its upper half
        pixels[:w * h] = bytes(w * h)
    with open(f"{sys.argv[1]}/{'ab'[i % 2]}/{i:05d}", "wb") as f:
        f.write(b"AMIM\x01\x03\0\0" + struct.pack("<II", w, h) + pixels)
P
check "pictures" python3 make.py pics
check "they are that large" [ "$(du -sm pics | cut -f1)" -gt 650 ]
cat >big.yaml <<'Y'
version: 1
name: big
data: {source: pics, target: label}
features: {image: {size: 96}}
model: {type: cnn, filters: [4], pool: 4, dense: []}
train: {epochs: 1}
evaluate: {bootstrap: 0}
Y
limit=$(((16 + 200) << 20))
data=$limit
if sanitized; then
    data=0 limit=$((4 << 30))
else
    hungry "the data limit"
fi
last="train big.yaml --memory 16m"
bounded "$AIMASS" train big.yaml --memory 16m --json
same "trains within the flag and 200 MB: $(cat "$err")" 0 "$rc"
check "resident memory, too: $(cat "$err")" [ "$(peak)" -le $((limit >> 10)) ]
has '.rows == {train: 1800, validation: 600, test: 600, dropped: 0}' '.metrics.test.accuracy >= 0.95'
echo "   training: $(cat "$err")"
small=$(weights big)
last="predict big pics"
bounded "$AIMASS" predict big pics --memory 16m
same "predicts within it: $(cat "$err")" 0 "$rc"
same "every picture" 3001 "$(wc -l <"$out")"
echo "   prediction: $(cat "$err")"
check "and leaves no spill behind" [ "$(find "$AIMASS_WORKSPACE/tmp" -type f | wc -l)" = 0 ]
echo "== somebody's Parquet with pictures in it"
find "$AIMASS_WORKSPACE/blobs" -size +600M -exec ln -s {} "$W/foreign.parquet" \;
data=0 # the engine reserves more than it touches
last="train foreign.parquet"
bounded "$AIMASS" train big.yaml --memory 16m --json --set name=foreign --set data.source="$W/foreign.parquet" --set 'data.types={image: image}'
same "trains: $(cat "$err")" 0 "$rc"
check "resident memory under half of the pictures: $(cat "$err")" [ "$(peak)" -le $(((limit + (110 << 20)) >> 10)) ]
has '.rows == {train: 1800, validation: 600, test: 600, dropped: 0}'
echo "   training: $(cat "$err")"

json train big.yaml --memory 2g --set name=wide
same "the same weights with all of it in memory" "$small" "$(weights wide)"
finish
