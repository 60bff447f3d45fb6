#!/usr/bin/env bash
# Keys and signatures as people use them: make a key, sign a version, check it here and elsewhere; every kind of
# tampering is refused: a changed manifest, a signature taken away or put on another model, a stranger's key.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

cp "$EXAMPLES"/wine.{csv,yaml} .
good train wine.yaml
plain=$(weights wine)

echo "== keys"
json key new ci
has '.name == "ci"' '.signs' '.key | test("^[0-9a-f]{64}$")'
same "the secret is its owner's alone" 600 "$(stat -c %a "$(get .secret)")"
same "and so is the folder" 700 "$(stat -c %a "$AIMASS_WORKSPACE/keys")"
check "it is a key that openssl reads" openssl pkey -in "$(get .secret)" -noout
check "and so is the public one" openssl pkey -pubin -in "$(get .public)" -noout
bad 1 'there is a key "ci"' 'key rm ci' key new ci
bad 2 'not a name of a key' 'letters' key new ../evil
bad 2 'there is no command "key"' 'key new' key
good key list
check "a list for people" grep -Eq '^ci +yes +[0-9a-f]{64}$' "$out"

echo "== sign"
good model export wine unsigned.aim
bad 1 'is not signed' 'model sign' model verify-signature wine
bad 1 'is not signed' 'model sign' model verify-signature unsigned.aim
bad 2 'needs --key' 'key list' model sign wine
bad 1 'no key "nobody"' 'key new' model sign wine --key nobody
json model sign wine --key ci
has '.version == 1' '.signature | .signer == "ci" and .trusted'
json model show wine@1
has '.signature.signer == "ci"'
json model show wine
has '.versions == 1'
good model verify-signature wine@1
check "says who" grep -q '^wine@1 is signed by ci' "$out"
same "the weights are the same" "$plain" "$(weights wine)"
good predict wine wine.csv
good verify wine
good model export wine signed.aim
same "the manifest is the same" "$(unzip -p unsigned.aim manifest.json | sha256sum)" "$(unzip -p signed.aim manifest.json | sha256sum)"
json model verify-signature signed.aim
has '.path == "signed.aim"' '.signature.trusted'

echo "== elsewhere"
export AIMASS_WORKSPACE=$W/there
good model import signed.aim --name any
bad 1 'not trusted' 'key trust' model import signed.aim --name strict --signed
bad 1 'not signed' 'key list' model import unsigned.aim --name strict --signed
bad 1 'not trusted' 'key trust' model verify-signature any
json key trust ci "$W/ws/keys/ci.pub"
has '.signs == false'
good model verify-signature any
json model import signed.aim --name strict --signed
has '.signature.signer == "ci"'
bad 1 'no key "ci"' 'key new' model sign any --key ci
bad 1 'nothing.pub' 'public' key trust other nothing.pub
json key new eve
good model import unsigned.aim --name eves
good model sign eves --key eve
good model export eves eves.aim
export AIMASS_WORKSPACE=$W/ws

echo "== tampering"
bad 1 'not trusted' 'key trust' model import eves.aim --name eves
good key trust eve "$W/there/keys/eve.pub"
good model import eves.aim --name eves
good key rm eve
bad 1 'not trusted' 'key trust' model verify-signature eves
# a changed manifest, with every check sum made right again; a signature of another manifest
python3 - <<'PY'
import re, struct, zipfile, zlib
def change(source, target, part, edit):
    data = bytearray(open(source, "rb").read())
    with zipfile.ZipFile(source) as z:
        info, at = z.getinfo(part), z.start_dir
    name, extra = struct.unpack_from("<HH", data, info.header_offset + 26)
    begin = info.header_offset + 30 + name + extra
    new = edit(bytes(data[begin:begin + info.file_size]))
    assert len(new) == info.file_size and new != data[begin:begin + info.file_size]
    data[begin:begin + info.file_size] = new
    crc = struct.pack("<I", zlib.crc32(new))
    data[info.header_offset + 14:info.header_offset + 18] = crc
    while True:
        n, e, c = struct.unpack_from("<HHH", data, at + 28)
        if data[at + 46:at + 46 + n] == part.encode():
            data[at + 16:at + 20] = crc
            break
        at += 46 + n + e + c
    open(target, "wb").write(data)
change("signed.aim", "changed.aim", "manifest.json", lambda b: re.sub(rb'("n_rows"|"rows"|"seed"): (\d)', lambda m: m[1] + b": " + (b"9" if m[2] != b"9" else b"8"), b, count=1))
change("signed.aim", "forged.aim", "signature", lambda b: b[:-1] + bytes([b[-1] ^ 1]))
change("signed.aim", "weights.aim", "weights.safetensors", lambda b: b[:-1] + bytes([b[-1] ^ 1]))
PY
for f in changed forged weights; do
    bad 1 'signature: it does not fit|SHA-256 of .weights' 'model export' model import "$f.aim"
    bad 1 'signature: it does not fit|SHA-256 of .weights' 'model export' model verify-signature "$f.aim"
done
am model verify-signature changed.aim
check "a changed manifest fails by its signature" grep -qi signature "$err"
am model import unsigned.aim --signed
same "a signature taken away is missed" 1 "$rc"
finish
