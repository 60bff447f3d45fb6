#!/usr/bin/env bash
# Texts to a fitted linear classifier: `aimass train` (TF-IDF, logistic) beside scikit-learn's TfidfVectorizer and
# LogisticRegression, and SGDClassifier, on the same 20,000 synthetic documents, one thread each, alternating.
# Whole processes: ours reads, makes statistics of the data, features and the model, scores training and test rows,
# writes report and package and registers them; theirs ends with the accuracy of the test rows. In seconds of wall
# clock and, in brackets, of CPU. AIMASS_BENCH_PYTHON: the peers' Python.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${AIMASS_BENCH_PYTHON:-/usr/bin/python3} aimass=${AIMASS_BENCH_BINARY:-build/aimass}
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$python" bench/tfidf_peer.py make 20000 "$dir/docs.csv"
cat > "$dir/docs.yaml" <<'YAML'
version: 1
name: docs
data: {source: docs.csv, target: label, types: {text: text}, split: {test: 0.2, validation: 0, seed: 1}}
features: {text: {encode: tfidf, sublinear: true}}
model: {type: logistic, c: 1}
evaluate: {metrics: [accuracy], bootstrap: 0, importance: false}
YAML
TIMEFORMAT='%R %U %S'
took() { { time "$@" >"$dir/out" 2>"$dir/errors"; } 2>&1 | awk '{ print $1, $2 + $3 }'; }
ratio() { echo "scale=2; $1 / $2" | bc; }
for i in 1 2 3; do
    read -r ours cpu < <(took taskset -c 0 "$aimass" train "$dir/docs.yaml" --workspace "$dir/ws" --threads 1)
    score=$(awk '$1 == "accuracy" { print $4 }' "$dir/out")
    for peer in lr sgd; do
        read -r theirs their_cpu < <(took taskset -c 0 "$python" bench/tfidf_peer.py run "$dir/docs.csv" $peer)
        echo "aimass $ours s ($cpu), test accuracy $score; scikit-learn $peer $theirs s ($their_cpu), $(cut -d' ' -f2 "$dir/out"): $(ratio "$theirs" "$ours")x ($(ratio "$their_cpu" "$cpu")x)"
    done
done
