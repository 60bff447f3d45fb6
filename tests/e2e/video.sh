#!/usr/bin/env bash
# Videos from class folders to answers: clips made by ffmpeg whose class is the direction in which a square moves, so that
# the mean over frames cannot tell what lstm over frames can; the import report; predictions on the command line and over
# HTTP as a raw body, base64, BYTES and TF Serving's b64, all the same; what bad files get.
#   video.sh AIMASS FILES   (FILES: the conformance suite's)
. "$(dirname "$0")/lib.sh"
files=$(cd "$OLDPWD" && realpath "$2")
clips() { # class, sign of the motion
    mkdir -p "clips/$1"
    ffmpeg -nostdin -loglevel error -y -f lavfi -i "nullsrc=s=32x32:r=10:d=64,format=gray,geq=lum='if(
        between(mod(X-(mod(floor(N/16)*13,32)$2(2+mod(floor(N/16),2))*mod(N,16))+320,32),0,5+mod(floor(N/16),4))*
        between(Y,mod(floor(N/16)*7,22),mod(floor(N/16)*7,22)+7),230,20)'" -c:v libx264 -crf 20 -pix_fmt yuv420p -g 16 \
        -keyint_min 16 -sc_threshold 0 -f segment -segment_time 1.6 -reset_timestamps 1 "clips/$1/%02d.mp4"
}
if ! command -v ffmpeg >/dev/null; then
    echo "ffmpeg is not installed"
    exit 77
fi
check "clips" eval 'clips left - && clips right +'
same "forty of each" "40 40" "$(ls clips/left | wc -l) $(ls clips/right | wc -l)"
mv clips/right/39.mp4 held.mp4
: >clips/left/zero.mp4
head -c 900 clips/left/01.mp4 >clips/left/cut.mp4
cp "$files/audio.mp4" "$files/huge.mp4" clips/right/
printf '#EXTM3U\nfile:///etc/hostname\n' >clips/left/list.mp4

recipe() { # name, model
    cat >"$1.yaml" <<R
version: 1
name: $1
data: {source: clips, target: label, split: {test: 0.25, validation: 0, by: stratified, seed: 42}}
features: {video: {frames: 8, size: [16, 16], channels: 1}}
model: {type: cnn, filters: [8, 16], dense: [], $2}
train: {epochs: 60, batch_size: 8, learning_rate: 0.003, augment: {shift: 0.15}}
register: {alias: champion}
R
}
recipe mean "frames: mean"
recipe order "frames: lstm, frame_units: 32"
json plan order.yaml
has '[.network.layers[] | select(.type == "conv")][0].output == "[8B,16,16,8]"' \
    '[.network.layers[] | select(.type == "lstm")][0].output == "[B,8,32]"'
json profile clips
has '.files.files == 84' '.files.n_bad == 5'
for reason in zero.mp4:empty cut.mp4:truncated audio.mp4:'no video' huge.mp4:8192 list.mp4:playlist; do
    has "[.files.bad[] | select(.file | endswith(\"${reason%%:*}\"))][0].reason | test(\"${reason#*:}\")"
done
json train mean.yaml
json train order.yaml
json model show mean@champion
mean=$(get '.metrics["test.accuracy"]')
json model show order@champion
order=$(get '.metrics["test.accuracy"]')
echo "test accuracy: mean over frames $mean, lstm over frames $order"
check "lstm over frames tells the direction" jq -ne "$order >= 0.9"
check "the mean over frames does not" jq -ne "$mean <= 0.75"
good verify order@1

# the command line: a clip that no model saw, a folder, a table of paths
json predict order held.mp4
has '.predictions[0].label == "right"' '.predictions | length == 1'
want=$(jq -c '[.predictions[0] | del(.file)]' "$out")
am predict order clips
same "some files are bad" 1 "$rc"
same "the good ones are predicted" 80 "$(wc -l <"$out")"
check "the cut one is named" grep -q 'cut.mp4: .*truncated' "$err"
bad 1 'truncated' '' predict order clips/left/cut.mp4
bad 1 'empty' '' predict order clips/left/zero.mp4
printf 'video,customer\nheld.mp4,7\nclips/left/02.mp4,8\n' >list.csv
good predict order list.csv
same "two rows of a CSV of paths" 3 "$(wc -l <"$out")"

# over HTTP: the same answer in every form
serve
ask() { curl -s -m 30 "$@"; }
model=$url/api/v1/models/order
same "a raw body" "$want" \
    "$(ask -H 'Content-Type: video/mp4' --data-binary @held.mp4 "$model/predict" | jq -c .predictions)"
base64 -w0 held.mp4 >held.b64
printf '{"rows":[{"video":"%s"}]}' "$(cat held.b64)" >rows.json
same "base64" "$want" "$(ask -d @rows.json "$model/predict" | jq -c .predictions)"
printf '{"instances":[{"b64":"%s"}]}' "$(cat held.b64)" >tfs.json
same "TF Serving" right "$(ask -d @tfs.json "$url/v1/models/order:predict" | jq -r '.predictions[0].label')"
v2() { ask "$@" "$url/v2/models/order/infer" | jq -c '.outputs[0].data'; }
p=$(jq -c '[.[0].probability | .[]]' <<<"$want")
printf '{"inputs":[{"name":"video","shape":[1],"datatype":"BYTES","data":["%s"]}]}' "$(cat held.b64)" >v2.json
same "V2 bytes in JSON" "$p" "$(v2 -d @v2.json)"
n=$(stat -c %s held.mp4)
head=$(printf '{"inputs":[{"name":"video","shape":[1],"datatype":"BYTES","parameters":{"binary_data_size":%d}}]}' $((n + 4)))
{ printf '%s' "$head"; python3 -c 'import struct,sys; sys.stdout.buffer.write(struct.pack("<I", int(sys.argv[1])))' "$n"
  cat held.mp4; } >v2.bin
same "V2 bytes in binary" "$p" \
    "$(v2 -H "Inference-Header-Content-Length: ${#head}" -H 'Content-Type: application/octet-stream' --data-binary @v2.bin)"
status() { ask -o /dev/null -w '%{http_code}' -H "Content-Type: $1" --data-binary "$2" "$model/predict"; }
same "a cut clip" 400 "$(status video/mp4 @clips/left/cut.mp4)"
same "an empty body" 400 "$(status video/mp4 '')"
same "a picture's type" 400 "$(status image/png @held.mp4)"
same "sound only" 400 "$(status video/mp4 "@$files/audio.mp4")"
same "too large" 413 "$(status video/mp4 "@$files/huge.mp4")"
same "a playlist" 400 "$(status video/mp4 @clips/left/list.mp4)"
check "with the verdict" jq -e '.detail | test("video")' \
    <(ask -H 'Content-Type: video/mp4' --data-binary @clips/left/cut.mp4 "$model/predict")
check "the columns are told" jq -e '.list[0].columns == [{"name":"video","type":"video"}]' <(ask "$model")
finish
