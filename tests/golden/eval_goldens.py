#!/usr/bin/env python3
"""Goldens of src/eval from scikit-learn and numpy; writes eval_goldens.json beside this file.

Run with Debian 12's python3 (scikit-learn 1.2.1, numpy 1.24.2). Predictions are float32 values computed
in float64, as our code does; log_loss gets float32's eps, which eps="auto" means for float32 input. What
scikit-learn lacks (ECE, Brier for more classes, modes) is written here in numpy.
"""
import json
import os
import warnings

import numpy as np
from sklearn import metrics as m
from sklearn.utils.stats import _weighted_percentile

warnings.filterwarnings("ignore")
rng = np.random.default_rng(20)
EPS = float(np.finfo(np.float32).eps)
cases = []


def median(v, w):
    return float(np.median(v)) if w is None else float(_weighted_percentile(np.asarray(v), w))


def summary(v, w):
    mean = np.average(v, weights=w)
    values = np.unique(v)
    rows = [np.sum(v == x) if w is None else np.sum(w[v == x]) for x in values]
    return {"prediction_mean": mean, "prediction_median": median(v, w),
            "prediction_mode": values[int(np.argmax(rows))],
            "prediction_variance": np.average((v - mean) ** 2, weights=w)}


def ece(y, conf, label, w):
    w = np.ones(len(y)) if w is None else w
    bins = np.minimum((conf * 15).astype(int), 14)
    return sum(abs(np.sum((w * (label == y))[bins == b]) - np.sum((w * conf)[bins == b]))
               for b in range(15)) / np.sum(w)


def averages(y, label, w):
    out = {}
    for how in ("macro", "micro", "weighted"):
        kw = {"average": how, "sample_weight": w, "zero_division": 0}
        out[f"precision_{how}"] = m.precision_score(y, label, **kw)
        out[f"recall_{how}"] = m.recall_score(y, label, **kw)
        out[f"f1_{how}"] = m.f1_score(y, label, **kw)
    return out


def shared(y, label, w):
    return {"accuracy": m.accuracy_score(y, label, sample_weight=w),
            "balanced_accuracy": m.balanced_accuracy_score(y, label, sample_weight=w),
            "mcc": m.matthews_corrcoef(y, label, sample_weight=w),
            **averages(y, label, w), **summary(label.astype(float), w)}


def add(name, task, y, p, w, expect, **more):
    clean = {k: None if v is None or np.isnan(v) else float(v) for k, v in expect.items()}
    cases.append({"name": name, "task": task, "truth": [float(v) for v in y],
                  "pred": [float(v) for v in np.ravel(p)], "weight": None if w is None else [float(v) for v in w],
                  "expect": clean, **more})


def binary(name, y, p, w=None, threshold=0.5):
    p = np.asarray(p, dtype=np.float32).astype(np.float64)
    y = np.asarray(y)
    label = (p >= threshold).astype(int)
    kw = {"sample_weight": w, "zero_division": 0}
    two = len(np.unique(y)) == 2
    guess = (p >= 0.5).astype(int)
    e = {**shared(y, label, w), "precision": m.precision_score(y, label, **kw),
         "recall": m.recall_score(y, label, **kw), "f1": m.f1_score(y, label, **kw),
         "log_loss": m.log_loss(y, p, eps=EPS, sample_weight=w, labels=[0, 1]),
         "brier": np.average((y - p) ** 2, weights=w), "ece": ece(y, np.where(guess, p, 1 - p), guess, w),
         "roc_auc": m.roc_auc_score(y, p, sample_weight=w) if two else None,
         "average_precision": m.average_precision_score(y, p, sample_weight=w) if y.any() else None}
    add(name, "binary", y, p, w, e, n_classes=2, threshold=threshold)


def multi(name, y, p, w=None):
    p = np.asarray(p, dtype=np.float32).astype(np.float64)
    y = np.asarray(y)
    c = p.shape[1]
    label = p.argmax(axis=1)
    one = np.eye(c)[y]
    seen = [k for k in range(c) if 0 < one[:, k].sum() < len(y)]
    positive = [k for k in range(c) if one[:, k].any()]
    auc = [m.roc_auc_score(one[:, k], p[:, k], sample_weight=w) for k in seen]
    ap = [m.average_precision_score(one[:, k], p[:, k], sample_weight=w) for k in positive]
    e = shared(y, label, w)
    e.update({k: e[f"{k}_macro"] for k in ("precision", "recall", "f1")})
    e.update({"log_loss": m.log_loss(y, p, eps=EPS, sample_weight=w, labels=range(c)),
              "brier": np.average(((p - one) ** 2).sum(axis=1), weights=w),
              "ece": ece(y, p.max(axis=1), label, w),
              "roc_auc": np.mean(auc) if auc else None, "average_precision": np.mean(ap)})
    if len(seen) == c and np.allclose(p.sum(axis=1), 1, atol=1e-6):  # its own macro mean, where it accepts the rows
        assert abs(m.roc_auc_score(y, p, multi_class="ovr", sample_weight=w) - e["roc_auc"]) < 1e-12
    add(name, "multiclass", y, p, w, e, n_classes=c)


def regression(name, y, p, w=None):
    p = np.asarray(p, dtype=np.float32).astype(np.float64)
    y = np.asarray(y, dtype=np.float64)
    e = {"mse": m.mean_squared_error(y, p, sample_weight=w),
         "rmse": m.mean_squared_error(y, p, sample_weight=w, squared=False),
         "mae": m.mean_absolute_error(y, p, sample_weight=w),
         "median_ae": m.median_absolute_error(y, p, sample_weight=w),
         "mape": m.mean_absolute_percentage_error(y, p, sample_weight=w),
         "r2": m.r2_score(y, p, sample_weight=w, force_finite=False) if len(y) > 1 else None, **summary(p, w)}
    if e["r2"] is not None and not np.isfinite(e["r2"]):
        e["r2"] = None  # a constant truth has no variance to explain: undefined
    add(name, "regression", y, p, w, e, n_classes=0)


def own(name, task, y, s, w=None, threshold=0.5):
    """Anomaly scores s; y is 0, 1 or -1 (not labelled). Labels of one kind only tell nothing."""
    s = np.asarray(s, dtype=np.float32).astype(np.float64)
    y = np.asarray(y)
    e = {"reconstruction_error": np.average(s, weights=w), **summary(s, w)}
    more = {"quantiles": [[q, float(np.quantile(s, q))] for q in (0, 0.01, 0.5, 0.9, 0.99, 0.995, 1)]}
    if task == "anomaly":
        e["flagged_share"] = np.average((s >= threshold).astype(float), weights=w)
        k = y >= 0
        yk, sk, wk = y[k], s[k], None if w is None else w[k]
        label = (sk >= threshold).astype(int)
        kw = {"sample_weight": wk, "zero_division": 0}
        both = len(np.unique(yk)) == 2
        f = {"accuracy": lambda: m.accuracy_score(yk, label, sample_weight=wk),
             "balanced_accuracy": lambda: m.balanced_accuracy_score(yk, label, sample_weight=wk),
             "mcc": lambda: m.matthews_corrcoef(yk, label, sample_weight=wk),
             "precision": lambda: m.precision_score(yk, label, **kw), "recall": lambda: m.recall_score(yk, label, **kw),
             "f1": lambda: m.f1_score(yk, label, **kw), "roc_auc": lambda: m.roc_auc_score(yk, sk, sample_weight=wk),
             "average_precision": lambda: m.average_precision_score(yk, sk, sample_weight=wk)}
        e.update({name: call() if both else None for name, call in f.items()})
    add(name, task, y, s, w, e, n_classes=0, threshold=threshold, **more)


n = 157
w = rng.integers(1, 25, n) / 8  # exact sums: a weighted median at a tie is no matter of rounding
y = (rng.random(n) < 0.4).astype(int)
p = 1 / (1 + np.exp(-(2.5 * y - 1.2 + rng.normal(0, 1.3, n))))
binary("binary", y, p)
binary("binary, weights", y, p, w)
binary("binary, ties", y, np.round(p, 1), threshold=0.3)
binary("binary, ties and weights", y, np.round(p, 1), w, threshold=0.7)
binary("binary, all scores equal", y, np.full(n, 0.5))
binary("binary, certain", y, np.where(p > 0.7, 1.0, np.where(p < 0.3, 0.0, p)))
binary("binary, only negatives", np.zeros(20, int), p[:20])
binary("binary, only positives", np.ones(20, int), p[:20], w[:20])
binary("binary, nothing found", y, p * 0.1)
binary("binary, one row", [1], [0.25])

c = 4
ym = rng.choice(c, n, p=[0.5, 0.3, 0.15, 0.05])
z = rng.normal(0, 1, (n, c)) + 1.8 * np.eye(c)[ym]
pm = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
multi("multi-class", ym, pm)
multi("multi-class, weights", ym, pm, w)
multi("multi-class, ties", ym, np.round(pm, 1), w)
sub = ym != 3
multi("multi-class, a class without rows", ym[sub], pm[sub])
multi("multi-class, a class neither true nor predicted", ym[sub] % 2, np.c_[pm[sub][:, :2], pm[sub][:, 2:] * 0.0],
      w[sub])
multi("multi-class, one class only", np.full(15, 2), pm[:15])

t = rng.normal(10, 4, n)
r = t + rng.normal(0, 2, n)
regression("regression", t, r)
regression("regression, weights", t, r, w)
regression("regression, even number of rows", t[:40], r[:40])
regression("regression, weights that meet in the middle", t[:40], r[:40], np.full(40, 0.5))
regression("regression, zeros in the truth", np.where(np.arange(n) % 7 == 0, 0.0, t), r)
regression("regression, rounded", np.round(t), np.round(r), w)
regression("regression, large offset", t + 1e7, (r + 1e7))
regression("regression, constant truth", np.full(9, 3.0), r[:9])
regression("regression, one row", [2.0], [2.5])

ya = (rng.random(n) < 0.1).astype(int)
sa = rng.gamma(2, 0.5, n) + 3 * ya * rng.random(n)
own("anomaly", "anomaly", ya, sa, threshold=2.5)
own("anomaly, weights", "anomaly", ya, sa, w, threshold=1.5)
own("anomaly, half of the rows labelled", "anomaly", np.where(rng.random(n) < 0.5, ya, -1), sa, threshold=2)
own("anomaly, no labels", "anomaly", np.full(n, -1), sa, threshold=3)
own("anomaly, all normal", "anomaly", np.zeros(n, int), sa, threshold=3)
own("anomaly, ties", "anomaly", ya, np.round(sa), threshold=2)
own("embedding", "embedding", np.full(40, -1), sa[:40], w[:40])

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "eval_goldens.json"), "w") as f:
    f.write('{"sklearn": "1.2.1", "cases": [\n')
    f.write(",\n".join(json.dumps(x) for x in cases) + "\n]}\n")
