#!/usr/bin/env python3
"""Texts to a fitted linear classifier the scikit-learn way: pandas reads the CSV, TfidfVectorizer and
LogisticRegression (L-BFGS, or SGDClassifier) learn the training rows, the test rows are scored.

  tfidf_peer.py make N FILE      N documents with two classes: words after Zipf, about 200 a document, and of
                                 each class some words are more frequent (synthetic: nothing to download)
  tfidf_peer.py run FILE [sgd]   prints "seconds accuracy" of what a training does, imports not counted
"""
import sys
import time

import numpy as np


def make(n, path):
    rng = np.random.default_rng(7)
    n_words, letters = 60000, "etaoinshrdlucmfwypvbgkqjxz"
    p = np.array([1 / (i + 2) ** 0.5 for i in range(len(letters))])
    lengths = rng.integers(2, 11, n_words)
    words = list(dict.fromkeys(
        "".join(rng.choice(list(letters), k, p=p / p.sum())) for k in lengths))
    base = 1 / (np.arange(len(words)) + 2.7) ** 1.05
    probabilities = []
    for _ in range(2):
        own = base.copy()
        own[rng.choice(np.arange(200, len(words)), 600, replace=False)] *= 3
        probabilities.append(np.cumsum(own / own.sum()))
    with open(path, "w", encoding="utf-8") as f:
        f.write("label,text\n")
        for _ in range(n):
            c = int(rng.random() < 0.5)
            k = int(rng.lognormal(5.1, 0.6)) + 5
            at = np.searchsorted(probabilities[c], rng.random(k))
            f.write("%s,%s.\n" % ("ab"[c], " ".join(words[min(i, len(words) - 1)] for i in at)))


def run(path, kind):
    import pandas
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression, SGDClassifier
    from sklearn.model_selection import train_test_split

    begin = time.perf_counter()
    d = pandas.read_csv(path)
    x, x_test, y, y_test = train_test_split(d.text, d.label, test_size=0.2, random_state=1, stratify=d.label)
    v = TfidfVectorizer(sublinear_tf=True)
    m = LogisticRegression(C=1) if kind != "sgd" else SGDClassifier(loss="log_loss", random_state=1)
    m.fit(v.fit_transform(x), y)
    accuracy = m.score(v.transform(x_test), y_test)
    print("%.3f %.4f" % (time.perf_counter() - begin, accuracy))


if sys.argv[1] == "make":
    make(int(sys.argv[2]), sys.argv[3])
else:
    run(sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else "lr")
