"""What bench/search.sh's tasks need, as one JSON file: tables of two real tuning tasks (cross-validated scores of
scikit-learn models on its own data, by a grid that both sides interpolate alike), and for every task its optimum,
the median of random points and the value that counts as 1 % regret between the two.
  search_tables.py OUT.json
"""
import itertools
import json
import os
import sys
import warnings

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import SVC

import search_tasks


def svc():
    """1 - accuracy of SVC(C, gamma) on 600 digits, 3 folds; log-spaced grid 29 x 29."""
    x, y = load_digits(return_X_y=True)
    pick = np.random.default_rng(0).permutation(len(y))[:600]
    x, y = x[pick], y[pick]
    folds = list(StratifiedKFold(3, shuffle=True, random_state=0).split(x, y))
    c, gamma = np.logspace(-2, 3, 29), np.logspace(-6, 0, 29)
    table = [[1 - np.mean([SVC(C=a, gamma=g).fit(x[i], y[i]).score(x[j], y[j]) for i, j in folds]) for g in gamma] for a in c]
    return {"shape": [29, 29], "values": np.ravel(table).tolist()}


def boosting():
    """Log loss of gradient boosting on breast cancer, 3 folds: rate (13, log) x trees (30) x depth (6) x features (3)
    x rows a tree sees (2)."""
    x, y = load_breast_cancer(return_X_y=True)
    folds = list(StratifiedKFold(3, shuffle=True, random_state=0).split(x, y))
    rates = np.logspace(np.log10(0.005), np.log10(0.5), 13)
    shape = [len(rates), 30, 6, 3, 2]
    table = np.zeros(shape)
    for (r, rate), depth, (f, features), (s, rows) in itertools.product(
            enumerate(rates), range(1, 7), enumerate(["sqrt", 0.3, 1.0]), enumerate([0.5, 1.0])):
        for i, j in folds:
            m = GradientBoostingClassifier(learning_rate=rate, n_estimators=300, max_depth=depth, max_features=features,
                                           subsample=rows, random_state=0).fit(x[i], y[i])
            for k, p in enumerate(m.staged_predict_proba(x[j])):
                if (k + 1) % 10 == 0:
                    table[r, k // 10, depth - 1, f, s] += log_loss(y[j], p) / len(folds)
    return {"shape": shape, "values": np.ravel(table).tolist()}


def main(out):
    warnings.filterwarnings("ignore")
    tables = {}
    if os.path.exists(out):
        with open(out) as f:
            tables = json.load(f)["tables"]
    for name, make in (("svc", svc), ("boosting", boosting)):
        if name not in tables:
            tables[name] = make()
    tasks = {}
    for name, task in search_tasks.tasks(tables).items():
        values = [task.at(u) for u in np.random.default_rng(1).random((4000, task.d))]
        best = task.best if task.best is not None else task.search_best()
        median = float(np.median(values))
        tasks[name] = {"best": best, "median": median, "target": best + 0.01 * (median - best)}
    with open(out, "w") as f:
        json.dump({"tables": tables, "tasks": tasks}, f)
    print(json.dumps(tasks, indent=1))


main(sys.argv[1])
