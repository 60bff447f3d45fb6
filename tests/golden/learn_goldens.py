"""Answers of scikit-learn for tests/unit/learn: coefficients, fold assignments and fold scores.

Independent implementation: scikit-learn 1.2.1 (Debian 12). Run from the repository's root:
    OMP_NUM_THREADS=1 /usr/bin/python3 tests/golden/learn_goldens.py tests/unit/learn/learn_goldens.json
"""
import json
import sys
import warnings

import numpy as np
import sklearn
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import RepeatedKFold, RepeatedStratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor

from learn_data import load, scaled

warnings.filterwarnings("ignore")


def short(values):
    return [float("%.9g" % v) for v in np.asarray(values, dtype=float).ravel()]


def row_weights(n):
    return (1 + (np.arange(n) * 7 % 5)) / 2.0


cases = []


def case(name, data, model, spec, train="", weights=False, extra=None, median=False):
    x, y = load(data)
    x = scaled(x)
    if extra == "dependent":  # a copy and a multiple: the least-norm answer
        x = np.column_stack([x, x[:, 2], 2 * x[:, 0]])
    if median:
        y = (y > np.median(y)).astype(int)
    w = row_weights(len(y)) if weights else None
    model.fit(x, y, sample_weight=w)
    coef = np.atleast_2d(model.coef_)
    intercept = np.atleast_1d(model.intercept_)
    cases.append({"name": name, "data": data, "model": spec, "train": train, "weights": weights,
                  "dependent": extra == "dependent", "median": median,
                  "coef": short(np.column_stack([coef, intercept]))})


def logistic(**k):
    # not lbfgs: scikit-learn's stops where the objective changes by less than 2e-9, too early for 1e-4
    k.setdefault("solver", "newton-cg")
    return LogisticRegression(tol=1e-11, max_iter=100000, **k)


case("ols", "diabetes", LinearRegression(), "{type: linear}")
case("ols-weighted", "diabetes", LinearRegression(), "{type: linear, penalty: none}", weights=True)
case("ols-dependent", "diabetes", LinearRegression(), "{type: linear}", extra="dependent")
case("ridge", "diabetes", Ridge(alpha=10, solver="cholesky"), "{type: linear, penalty: l2, alpha: 10}")
case("ridge-weighted", "diabetes", Ridge(alpha=2.5, solver="cholesky"), "{type: linear, penalty: l2, alpha: 2.5}",
     weights=True)
case("lasso", "diabetes", Lasso(alpha=2, tol=1e-14, max_iter=1000000), "{type: linear, penalty: l1, alpha: 2}")
case("elastic-net", "diabetes", ElasticNet(alpha=0.5, l1_ratio=0.7, tol=1e-14, max_iter=1000000),
     "{type: linear, penalty: elastic_net, alpha: 0.5, l1_ratio: 0.7}")
case("elastic-net-weighted", "diabetes", ElasticNet(alpha=0.5, l1_ratio=0.3, tol=1e-14, max_iter=1000000),
     "{type: linear, penalty: elastic_net, alpha: 0.5, l1_ratio: 0.3}", weights=True)
case("logistic-l2", "breast_cancer", logistic(), "{type: logistic}")
case("logistic-l2-c", "breast_cancer", logistic(C=0.05), "{type: logistic, c: 0.05, penalty: l2}")
case("logistic-none", "diabetes", logistic(penalty=None), "{type: logistic, penalty: none}", median=True)
case("logistic-weighted", "breast_cancer", logistic(), "{type: logistic}", weights=True)
case("logistic-balanced", "breast_cancer", logistic(class_weight="balanced"), "{type: logistic}",
     train="{class_weights: balanced}")
case("logistic-l1", "breast_cancer", logistic(penalty="l1", C=0.3, solver="saga", random_state=0),
     "{type: logistic, penalty: l1, c: 0.3}")
case("logistic-elastic-net", "breast_cancer",
     logistic(penalty="elasticnet", C=0.2, l1_ratio=0.4, solver="saga", random_state=0),
     "{type: logistic, penalty: elastic_net, c: 0.2, l1_ratio: 0.4}")
case("softmax-l2", "wine", logistic(), "{type: logistic}")
case("softmax-iris", "iris", logistic(C=2.5), "{type: logistic, c: 2.5}")
case("softmax-l1", "wine", logistic(penalty="l1", C=0.5, solver="saga", random_state=0),
     "{type: logistic, penalty: l1, c: 0.5}")
case("softmax-balanced", "wine", logistic(class_weight="balanced"), "{type: logistic}",
     train="{class_weights: balanced}")

folds = []


def cross_validate(data, models):
    x, y = load(data)
    regression = data == "diabetes"
    cv = (RepeatedKFold if regression else RepeatedStratifiedKFold)(n_splits=10, n_repeats=3, random_state=0)
    parts = list(cv.split(x, y))
    assignment = []
    for r in range(3):
        fold = np.zeros(len(y), dtype=int)
        for k in range(10):
            fold[parts[r * 10 + k][1]] = k
        assignment.append("".join(str(k) for k in fold))
    entry = {"data": data, "folds": assignment, "scores": {}}
    for name, make in models.items():
        entry["scores"][name] = short(
            [make().fit(scaled(x, a)[a], y[a]).score(scaled(x, a)[b], y[b]) for a, b in parts])
        print(data, name, np.mean(entry["scores"][name]), np.std(entry["scores"][name]), file=sys.stderr)
    folds.append(entry)


for name in ("breast_cancer", "iris", "wine"):
    cross_validate(name, {"logistic": lambda: LogisticRegression(max_iter=5000),
                          "mlp": lambda: MLPClassifier(max_iter=1000, random_state=0)})
cross_validate("diabetes", {"linear": LinearRegression,
                            "mlp": lambda: MLPRegressor(max_iter=2000, early_stopping=True, random_state=0)})

with open(sys.argv[1], "w") as f:
    json.dump({"scikit_learn": sklearn.__version__, "cases": cases, "cross_validation": folds}, f, indent=0)
    f.write("\n")
