"""Answers of XGBoost and of scikit-learn's histogram boosting for tests/unit/learn/test_boosting.c.

Independent implementations: XGBoost 1.7.4 and scikit-learn 1.2.1 (Debian 12: python3-xgboost, python3-sklearn).
Run from the repository's root:
    OMP_NUM_THREADS=1 /usr/bin/python3 tests/golden/boosting_goldens.py tests/unit/learn/boosting_goldens.json
"""
import csv
import json
import sys

import numpy as np
import sklearn
import xgboost as xgb
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.model_selection import KFold, StratifiedKFold


def load(name):
    with open("examples/%s.csv" % name) as f:
        rows = list(csv.reader(f))[1:]
    x = np.array([[float(v) for v in r[:-1]] for r in rows], dtype=np.float32)
    labels = [r[-1] for r in rows]
    if name == "diabetes":
        return x, np.array([float(v) for v in labels], dtype=np.float32)
    names = sorted(set(labels))
    return x, np.array([names.index(v) for v in labels])


def with_gaps(x):
    """Every 7th number (counted row by row) is missing."""
    x = x.copy()
    x.reshape(-1)[::7] = np.nan
    return x


def weights(n):
    return ((1 + (np.arange(n) * 7 % 5)) / 2).astype(np.float32)


CASES = [  # name, data, rounds, XGBoost's settings, gaps, row weights
    ("binary", "breast_cancer", 40, dict(max_depth=4, eta=0.1), False, False),
    ("binary, gaps", "breast_cancer", 40, dict(max_depth=4, eta=0.1), True, False),
    ("binary, weights", "breast_cancer", 30, {"max_depth": 3, "eta": 0.2, "lambda": 2.5, "gamma": 0.5}, True, True),
    ("classes", "wine", 25, {"max_depth": 3, "eta": 0.15, "alpha": 0.1}, True, False),
    ("number", "diabetes", 40, dict(max_depth=3, eta=0.1, min_child_weight=5), False, False),
    ("number, weights", "diabetes", 40, dict(max_depth=5, eta=0.1, max_bin=32, min_child_weight=4), True, True),
    ("leaves", "diabetes", 30, dict(max_depth=6, max_leaves=7, grow_policy="lossguide", eta=0.1), False, False),
    ("monotone", "diabetes", 30, dict(max_depth=4, eta=0.1, monotone_constraints="(0,0,1,1,0,0,-1,0,1,0)"), False, False),
]


def answers(case):
    name, data, rounds, settings, gaps, weighted = case
    x, y = load(data)
    x = with_gaps(x) if gaps else x
    w = weights(len(y)) if weighted else np.ones(len(y), dtype=np.float32)
    settings = dict(settings, tree_method="hist", nthread=1)
    margin = None
    if data == "diabetes":
        settings.update(objective="reg:squarederror", base_score=float(np.average(y.astype(float), weights=w)))
    elif data == "wine":
        share = np.bincount(y, weights=w) / w.sum()
        settings.update(objective="multi:softprob", num_class=3, base_score=0)
        margin = np.tile(np.log(share), (len(y), 1))
    else:
        settings.update(objective="binary:logistic", base_score=float(np.average(y, weights=w)))
    d = xgb.QuantileDMatrix(x, max_bin=settings.get("max_bin", 256))  # as ours: no weights in the bins
    d.set_info(label=y, weight=w)
    if margin is not None:
        d.set_base_margin(margin)
    model = xgb.train(settings, d, rounds)
    p = model.predict(d)
    return {"name": name, "data": data, "rounds": rounds, "gaps": gaps, "weights": weighted,
            "y": [float("%.8g" % v) for v in p[:: max(1, len(p) // 120)].ravel()],
            "every": max(1, len(p) // 120)}


def folds(data):
    x, y = load(data)
    number = data == "diabetes"
    cut = (KFold if number else StratifiedKFold)(10, shuffle=True, random_state=3)
    part, scores = [0] * len(y), []
    for k, (train, test) in enumerate(cut.split(x, y)):
        for i in test:
            part[i] = k
        model = (HistGradientBoostingRegressor if number else HistGradientBoostingClassifier)(random_state=0)
        scores.append(model.fit(x[train], y[train]).score(x[test], y[test]))
    return {"data": data, "part": "".join(map(str, part)), "scores": [float("%.6f" % s) for s in scores]}


with open(sys.argv[1], "w") as f:
    json.dump({"xgboost": xgb.__version__, "sklearn": sklearn.__version__,
               "cases": [answers(c) for c in CASES],
               "folds": [folds(d) for d in ("breast_cancer", "wine", "diabetes")]}, f, separators=(",", ":"))
    f.write("\n")
