#!/usr/bin/env bash
# oneDNN's kernels as a person meets them: train.kernels in recipe, profile and verify; the same bits from the command
# line and the server, also when the choice fell on the library; what a machine without the library says.
#   kernels.sh AIMASS
. "$(dirname "$0")/lib.sh"
cat >"$W/make.py" <<'P'
import os, struct, zlib

def png(path, side, pixel):
    rows = b"".join(b"\0" + bytes(pixel(x, y) for x in range(side)) for y in range(side))
    chunk = lambda t, d: struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d))
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
                + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))

for name, stripes in (("across", lambda x, y: y), ("down", lambda x, y: x)):
    os.makedirs("pics/" + name)
    for i in range(40):
        png(f"pics/{name}/{i}.png", 24,
            lambda x, y: (150 if stripes(x, y) // 4 % 2 else 0) + (x * 37 + y * 11 + i * 53) % 70)
P
check "pictures" python3 "$W/make.py"
recipe() { # name, kernels
    cat >"$1.yaml" <<R
version: 1
name: $1
data: {source: pics, target: label}
model: {type: cnn, filters: [16, 32], kernel: 3, pool: 2, dense: [16]}
train: {epochs: 2, batch_size: 16, kernels: $2}
R
}
recipe ours own
recipe theirs dnnl
recipe again dnnl

# training: another profile, other bits, the same bits again
json train ours.yaml
json train theirs.yaml
json train again.yaml --threads 1
differs "weights of both" "$(weights ours@1)" "$(weights theirs@1)"
same "weights again, with one thread" "$(weights theirs@1)" "$(weights again@1)"
manifest() { unzip -p "$W/.w.aim" manifest.json | jq -r .numerics.profile; }
weights ours@1 >/dev/null
ours=$(manifest)
weights theirs@1 >/dev/null
theirs=$(manifest)
check "our profile names no library" [ "${ours#*oneDNN}" = "$ours" ]
check "theirs is ours and the library" [ "${theirs#"$ours" + oneDNN }" != "$theirs" ]
json verify theirs@1
has '.promise == "bits"' '.equal' ".profile.then == \"$theirs\"" ".profile.now == \"$theirs\""
json verify ours@1
has '.equal' ".profile.now == \"$ours\""

# answering: one choice a shape, kept in the workspace, for the command line and the server
export AIMASS_DNNL=auto
json predict ours pics/down/3.png
check "choices are kept" grep -q "$(printf '\t')kind 1 x 12x12x16 " "$AIMASS_WORKSPACE/kernel-choices"
n=$(grep -c . "$AIMASS_WORKSPACE/kernel-choices")
sed -i 's/own$/library/' "$AIMASS_WORKSPACE/kernel-choices"
json predict ours pics/down/3.png
library=$(jq -c '.predictions[0].probability' "$out")
same "nothing was measured again" "$n" "$(grep -c . "$AIMASS_WORKSPACE/kernel-choices")"
serve
same "the server's bits" "$library" "$(curl -s -m 20 -H 'Content-Type: image/png' --data-binary @pics/down/3.png \
    "$url/api/v1/models/ours/predict" | jq -c '.predictions[0].probability')"
export AIMASS_DNNL=on
json predict ours pics/down/3.png
same "on is the library" "$library" "$(jq -c '.predictions[0].probability' "$out")"
export AIMASS_DNNL=off
json predict ours pics/down/3.png
check "off is close" jq -ne "[$library, $(jq -c '.predictions[0].probability' "$out")] | (.[0].down - .[1].down) | fabs < 1e-4"
unset AIMASS_DNNL
json doctor
check "the doctor names the version" jq -e '.checks[] | select(.name | test("oneDNN")) | .ok and (.found | test("^oneDNN"))' "$out"

# a machine without the module
mkdir -p lone/drivers
cp "$AIMASS" lone/aimass
for d in "$(dirname "$AIMASS")"/drivers/*/; do
    [ "$(basename "$d")" = kernels-dnnl ] || ln -s "$(realpath "$d")" lone/drivers/
done
AIMASS=$W/lone/aimass
bad 1 'train\.kernels: dnnl: .*kernels-dnnl.* not installed' 'libdnnl2' train theirs.yaml
bad 1 'train\.kernels: dnnl' 'libdnnl2' verify theirs@1
good predict theirs pics/down/3.png
good train ours.yaml
AIMASS_DNNL=on bad 1 'kernels-dnnl' 'libdnnl2' predict ours pics/down/3.png
am doctor --json
check "nor a fault of the doctor's" jq -e '.checks[] | select(.name | test("oneDNN")) | .ok and (.found | test("own kernels"))' "$out"
# other CPUs: each table trains the same recipe to nearly the same loss and answers
echo "== a machine without AVX-512, without AVX2"
for k in avx2 ref; do
    AIMASS_KERNELS=$k "$AIMASS" train ours.yaml --set "name=by-$k" --json >"$out" 2>"$err"
    same "trains with $k" 0 $?
    has '.metrics.test.accuracy >= 0.9'
    AIMASS_KERNELS=$k "$AIMASS" predict "by-$k" pics --json >"$out" 2>"$err"
    same "and answers" 0 $?
done
finish
