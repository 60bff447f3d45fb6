"""Answers for tests/unit/learn/test_combine.c: greedy selection as reference/compression-and-search words it (numpy), stacking by
scikit-learn's LogisticRegression and Ridge, non-negative least squares by scipy, a log-opinion pool by scipy's BFGS; and the
generator of "out-of-fold stack beats the best single model, which beats the in-sample stack".

Independent implementation: scikit-learn 1.2.1, scipy 1.10.1 (Debian 12). Run from the repository's root:
    OMP_NUM_THREADS=1 /usr/bin/python3 tests/golden/combine_goldens.py tests/unit/learn/combine_goldens.json
"""
import json
import sys
import warnings

import numpy as np
from scipy.optimize import minimize, nnls
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression, Ridge

warnings.filterwarnings("ignore")
CLIP = 1e-6
rng = np.random.RandomState(7)


def short(v):
    return [float("%.9g" % x) for x in np.asarray(v, dtype=float).ravel()]


def binary(n, m):
    """Members of different skill; float32 probabilities, as ours are."""
    t = rng.normal(size=n)
    y = (rng.uniform(size=n) < 1 / (1 + np.exp(-2 * t))).astype(int)
    pred = [1 / (1 + np.exp(-(a * t + b * rng.normal(size=n)))) for a, b in zip(np.linspace(0.5, 2.5, m), np.linspace(1.5, 0.4, m))]
    return y, np.clip(np.array(pred), 0.002, 0.998).astype(np.float32)


def multi(n, m, c):
    t = rng.normal(size=(n, c))
    y = np.array([rng.choice(c, p=np.exp(r) / np.exp(r).sum()) for r in 1.5 * t])
    pred = []
    for k in range(m):
        z = (0.6 + 0.5 * k) * t + (1.2 - 0.3 * k) * rng.normal(size=(n, c))
        e = np.exp(z - z.max(1, keepdims=True))
        pred.append(e / e.sum(1, keepdims=True))
    return y, np.array(pred).astype(np.float32)


def numbers(n, m):
    t = rng.normal(size=n)
    y = (3 * t + 10).astype(np.float32)
    return y, np.array([10 + 3 * t + (0.5 + k) * rng.normal(size=n) + 0.3 * k for k in range(m)]).astype(np.float32)


def loss(y, p, task):
    p = np.asarray(p, dtype=float)
    if task == "numbers":
        return float(np.mean((p - y) ** 2))
    q = np.where(y == 1, p, 1 - p) if p.ndim == 1 else p[np.arange(len(y)), y]
    return float(-np.mean(np.log(np.clip(q, CLIP, 1 - CLIP))))


def greedy(pred, y, task, rounds):
    total, order, path, used = np.zeros_like(pred[0], dtype=float), [], [], set()
    for i in range(rounds):
        sc = np.round([loss(y, (total + p) / (i + 1), task) for p in pred.astype(float)], 6)
        ties = np.flatnonzero(sc == sc.min())
        j = ([k for k in ties if k in used] or list(ties))[0]
        order.append(j)
        used.add(j)
        total += pred[j]
        path.append(round(loss(y, total / (i + 1), task), 6))
    k = int(np.argmin(path)) + 1
    return np.bincount(order[:k], minlength=len(pred)) / k


def logit(p):
    p = np.clip(p.astype(float), CLIP, 1 - CLIP)
    return np.log(p / (1 - p))


def pool(pred, y, c):
    z = np.log(np.clip(pred.astype(float), CLIP, 1 - CLIP))  # [m, n, k]
    m, n, k = z.shape

    def f(x):
        s = np.einsum("m,mnk->nk", x[:m], z) + x[m:]
        s = s - s.max(1, keepdims=True)
        return c * np.sum(np.log(np.exp(s).sum(1)) - s[np.arange(n), y]) + 0.5 * np.sum(x[:m] ** 2)

    x = minimize(f, np.r_[np.ones(m) / m, np.zeros(k)], method="BFGS", options={"gtol": 1e-7}).x
    s = np.einsum("m,mnk->nk", x[:m], z) + x[m:]
    e = np.exp(s - s.max(1, keepdims=True))
    return x[:m], e / e.sum(1, keepdims=True)


def main():
    out = {}
    y, p = binary(120, 5)
    lr = LogisticRegression(C=0.1, tol=1e-10, max_iter=10000).fit(np.column_stack([logit(q) for q in p]), y)
    w, _ = nnls(p.T.astype(float), y.astype(float))
    em = minimize(lambda a: loss(y, np.exp(a) / np.exp(a).sum() @ p.astype(float), "binary"), np.zeros(5), method="BFGS",
                  options={"gtol": 1e-9}).x
    out["binary"] = {"y": short(y), "pred": short(p), "greedy": short(greedy(p, y, "binary", 40)),
                     "losses": short([loss(y, q, "binary") for q in p]), "logistic": short(np.r_[lr.coef_[0], lr.intercept_]),
                     "nnls": short(w), "weights": short(np.exp(em) / np.exp(em).sum())}
    y, p = multi(90, 4, 3)
    a, q = pool(p, y, 0.1)
    out["multi"] = {"y": short(y), "pred": short(p), "greedy": short(greedy(p, y, "multi", 40)), "factors": short(a), "pooled": short(q)}
    y, p = numbers(100, 4)
    sd = y.astype(float).std()
    r = Ridge(alpha=1.0, tol=1e-12).fit(p.T.astype(float) / sd, y.astype(float) / sd)
    w, _ = nnls(p.T.astype(float), y.astype(float))
    out["numbers"] = {"y": short(y), "pred": short(p), "greedy": short(greedy(p, y, "numbers", 40)),
                      "ridge": short(np.r_[r.coef_, r.intercept_ * sd]), "nnls": short(w)}
    hard = [(3, 6), (8, 20), (12, 12)]
    out["systems"] = []
    for n, rows in hard:
        a, b = rng.normal(size=(rows, n)), rng.normal(size=rows)
        out["systems"].append({"a": short(a), "b": short(b), "n": n, "x": short(nnls(a, b)[0])})
    x, y = make_classification(1400, 12, n_informative=6, n_redundant=3, flip_y=.08, class_sep=.8, n_clusters_per_class=3, random_state=3)
    out["rows"] = {"f": 12, "train": 500, "x": [float("%.4g" % v) for v in x.ravel()], "y": [int(v) for v in y]}
    with open(sys.argv[1], "w") as f:
        json.dump(out, f, separators=(",", ":"))
        f.write("\n")


main()
