#!/usr/bin/env python3
"""Terms, counts, TF-IDF and hashed terms of a few texts as scikit-learn makes them, and the coefficients of a
logistic regression and a ridge on the sparse rows: tests/unit/feature/text_goldens.json.
Run with Debian's python3-sklearn 1.2.1."""
import json
import os

import numpy as np
import sklearn
from sklearn.feature_extraction.text import (CountVectorizer, HashingVectorizer, TfidfVectorizer)

texts = [
    "The quick brown fox jumps over the lazy dog. The DOG sleeps; the fox does not!",
    "A fox, a dog and 3 cats: x_1, x-2, don't stop_words 42 times",
    "",
    "Über die Brücke über den Fluß — ÉCOLE élève Αλήθεια Привет мир",
    "床前明月光，疑是地上霜。舉頭望明月，低頭思故鄉。",
    "quick   quick\tquick\n\nbrown  brown fox the the the the",
    "cafe\u0301 naïve co-operate e-mail user@example.com http://x.org/a?b=c²",
]
cases = [
    ("count", "{encode: count}", CountVectorizer()),
    ("binary", "{encode: count, binary: true, ngrams: [1, 2], lower: false}",
     CountVectorizer(binary=True, ngram_range=(1, 2), lowercase=False)),
    ("df", "{encode: count, min_df: 2, max_df: 0.7}", CountVectorizer(min_df=2, max_df=0.7)),
    ("stop", "{encode: count, stop_words: en, ngrams: [2, 3]}",
     CountVectorizer(stop_words="english", ngram_range=(2, 3))),
    ("limited", "{encode: count, max_features: 3}", CountVectorizer(max_features=3)),
    ("chars", "{encode: count, split: chars, ngrams: [1, 3]}",
     CountVectorizer(analyzer="char", ngram_range=(1, 3))),
    ("char_wb", "{encode: count, split: char_wb, ngrams: [2, 4]}",
     CountVectorizer(analyzer="char_wb", ngram_range=(2, 4))),
    ("tfidf", "{encode: tfidf}", TfidfVectorizer()),
    ("sublinear", "{encode: tfidf, sublinear: true, norm: l1, ngrams: [1, 2]}",
     TfidfVectorizer(sublinear_tf=True, norm="l1", ngram_range=(1, 2))),
    ("rough", "{encode: tfidf, smooth: false, norm: none}", TfidfVectorizer(smooth_idf=False, norm=None)),
    ("no_idf", "{encode: tfidf, idf: false}", TfidfVectorizer(use_idf=False)),
    ("hashing", "{encode: hashing, buckets: 64}", HashingVectorizer(n_features=64)),
    ("hashing_ngrams", "{encode: hashing, buckets: 1048576, ngrams: [1, 2], norm: none}",
     HashingVectorizer(n_features=1 << 20, ngram_range=(1, 2), norm=None)),
]
out = {"sklearn": sklearn.__version__, "texts": texts, "cases": []}
for name, spec, v in cases:
    x = v.fit_transform(texts).tocsr()
    x.sum_duplicates()
    rows = []
    for i in range(x.shape[0]):
        e = sorted((int(c), round(float(w), 9)) for c, w in zip(x[i].indices, x[i].data) if w != 0)
        rows.append([[c for c, _ in e], [w for _, w in e]])
    case = {"name": name, "spec": spec, "width": x.shape[1], "rows": rows}
    if hasattr(v, "vocabulary_"):
        case["terms"] = sorted(v.vocabulary_, key=lambda t: t.encode())
    out["cases"].append(case)
here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(here, "../unit/feature/text_goldens.json"), "w", encoding="utf-8") as f:
    json.dump(out, f, ensure_ascii=True, separators=(",", ":"))
    f.write("\n")
