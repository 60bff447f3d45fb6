#!/usr/bin/env bash
# Texts as terms, sparse from the file to the answer: TF-IDF of n-grams and a logistic model from examples/, the same
# answers by command line, HTTP and libaimass; hashing; word vectors, trained and read from a file; what is refused.
# terms.sh AIMASS PREDICT
predict=$(realpath "$2")
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
authors() { # NAME FEATURES MODEL
    printf 'version: 1\nname: %s\ndata: {source: %s, target: author, types: {line: text}, split: {test: 0.2, validation: 0.1}}\nfeatures: {line: %s}\nmodel: %s\n' \
        "$1" "$EXAMPLES/two_authors.tsv" "$2" "$3" >"$1.yaml"
}

echo "== TF-IDF of n-grams"
am plan "$EXAMPLES/two_authors_terms.yaml" --json
has '.features > 5000'
json train "$EXAMPLES/two_authors_terms.yaml"
has '.metrics.test.accuracy >= 0.8' '.metrics.baseline.accuracy < 0.6'
echo "   accuracy $(get .metrics.test.accuracy)"
package=$("$AIMASS" model show two-authors-terms@1 --json | jq -r .path)
unzip -p "$package" features.json >features.json
check "terms and their counts are in the package" jq -e '.columns[0] | .kind == "tfidf" and (.terms | length) == (.df | length)' features.json

echo "== the same answers everywhere"
{ printf 'line\n'; sed -n '2,40p' "$EXAMPLES/two_authors.tsv" | cut -f2; printf 'zzzz qqqq\n'; } >few.tsv
good predict two-authors-terms few.tsv
tail -n +2 "$out" >cli.txt
serve
jq -Rn '{rows: [inputs | select(. != "line") | {line: .}]}' few.tsv >rows.json
curl -sS -m 20 -d @rows.json "$url/api/v1/models/two-authors-terms/predict" >"$out"
same "an answer for each text" 40 "$(jq '.predictions | length' "$out")"
jq -r '.predictions[] | "\(.label) \(.probability | to_entries | map(.value) | join(" "))"' "$out" >http.txt
tail -n +2 few.tsv | while IFS= read -r line; do "$predict" "$package" "line=$line" | tr "\n" " "; echo; done >c.txt
same "libaimass answers each" 40 "$(grep -c . c.txt)"
python3 - cli.txt http.txt c.txt <<'P' || fail "the three faces answer differently"
import struct, sys
f32 = lambda v: struct.unpack("f", struct.pack("f", float(v)))[0]
cli, http, c = ([line.replace(",", " ").split() for line in open(p, encoding="utf-8")] for p in sys.argv[1:])
assert len(cli) == len(http) == len(c) == 40
for a, b, d in zip(cli, http, c):
    assert a == b and len(b) == 3, (a, b)  # the same digits
    assert b[0] == d[0] and ["%.6f" % f32(v) for v in b[1:]] == [d[2], d[4]], (b, d)
P
checks=$((checks + 1))

echo "== without a list of terms; a hidden layer on sparse rows"
authors hashed '{encode: hashing, ngrams: [1, 2], buckets: 262144}' '{type: logistic, c: 10}'
json train hashed.yaml
has '.metrics.test.accuracy >= 0.75'
authors deep '{encode: tfidf, max_features: 3000}' '{type: mlp, layers: [16]}'
json train deep.yaml --set 'train={epochs: 3}'
has '.metrics.test.accuracy >= 0.7'
good verify deep@1

echo "== word vectors"
authors vectors '{encode: vectors, dimensions: 32, epochs: 30, min_count: 2, subwords: 0, sample: 0.001}' '{type: logistic, c: 100}'
json train vectors.yaml
has '.metrics.test.accuracy >= 0.7'
printf '3 2\nthou 1 0\nwhale 0 1\nship 0 1\n' >tiny.vec
authors loaded '{encode: vectors, vectors: tiny.vec, norm: l2}' '{type: logistic}'
json train loaded.yaml
has '.metrics.test.accuracy >= 0.5'
printf '3 2\nthou 1 0\nwhale 0\n' >bad.vec
am train loaded.yaml --set features.line.vectors=bad.vec
same "a file of vectors that is cut off" 1 "$([ "$rc" -ne 0 ] && grep -c 'word vectors' "$err")"
am train loaded.yaml --set features.line.vectors=none.vec
check "a file that is not there" grep -q 'none.vec' "$err"

echo "== what is refused"
am train hashed.yaml --set 'features.line.rules=["(a => b"]'
check "a rule that is no regular expression" grep -q 'regular expression' "$err"
am train hashed.yaml --set model.type=decision_tree --set name=dense
check "a learner of dense rows is named" grep -q 'decision_tree' "$err"
finish
