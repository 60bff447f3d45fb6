"""Answers of scikit-learn for tests/unit/learn/test_forest.c: trees, forests, boosting, isolation.

Independent implementation: scikit-learn 1.2.1 (Debian 12). Run from the repository's root:
    OMP_NUM_THREADS=1 /usr/bin/python3 tests/golden/forest_goldens.py tests/unit/learn/forest_goldens.json

Exact cases learn from rows made by a formula that C repeats (no two splits of a node gain the same), so
splits, leaves and predictions of new rows must be equal; "tied" trees, fully grown, only on the rows learned. Fold scores are on the sets and folds of learn_goldens.py.
"""
import json
import sys
import warnings

import numpy as np
import sklearn
from sklearn.ensemble import (AdaBoostClassifier, AdaBoostRegressor, BaggingClassifier, BaggingRegressor,
                              ExtraTreesClassifier, ExtraTreesRegressor, IsolationForest, RandomForestClassifier,
                              RandomForestRegressor)
from sklearn.metrics import roc_auc_score
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from learn_data import load

warnings.filterwarnings("ignore")
N, F = 400, 6


def hashed(i, j):
    """Whole numbers 0..65535 from (i, j); exact in float32."""
    h = (i * 2654435761 + j * 40503 + 12345) & 0xFFFFFFFF
    h = (h ^ (h >> 15)) * 2246822519 & 0xFFFFFFFF
    h = (h ^ (h >> 13)) * 3266489917 & 0xFFFFFFFF
    return (h ^ (h >> 16)) & 0xFFFF


x = np.array([[hashed(i, j) for j in range(F)] for i in range(N)], dtype=np.float32)
fresh = np.array([[hashed(i + 1000, j) for j in range(F)] for i in range(N)], dtype=np.float32)
noise = np.array([hashed(i, 99) for i in range(N)], dtype=float)
number = np.round(x[:, 0] / 256 + np.where(x[:, 1] > 30000, 100, 0) + noise / 1024).astype(np.float32)
binary = (x[:, 0] + x[:, 2] + 3 * noise > 163840).astype(int)
classes = np.clip((x[:, 1] + 2 * noise) // 50000, 0, 3).astype(int)
weights = (1 + (np.arange(N) * 7 % 5)) / 2.0


def short(values):
    return [float("%.9g" % v) for v in np.asarray(values, dtype=float).ravel()]


cases = []


def tree_case(name, target, model, spec, w=None, train=""):
    y = {"number": number, "binary": binary, "classes": classes}[target]
    runs = []
    for state in range(4):  # features are tried in another order: ties would be broken in another way
        model.set_params(random_state=state).fit(x, y, sample_weight=weights if w else None)
        out = [model.predict(v) if target == "number" else model.predict_proba(v) for v in (x, fresh)]
        runs.append([v[:, 1] if target == "binary" else v for v in out] + [model.feature_importances_])
    if not all(np.allclose(runs[0][0], r[0]) for r in runs):
        sys.exit("%s: splits of equal gain; choose other keys" % name)
    tied = any(not np.allclose(runs[0][k], r[k]) for r in runs for k in (1, 2))
    cases.append({"name": name, "target": target, "model": spec, "weights": bool(w), "train": train,
                  "leaves": int(model.get_n_leaves()), "depth": 0 if tied else int(model.get_depth()),
                  "y": short(runs[0][0][::5]), "fresh": [] if tied else short(runs[0][1][::5]),
                  "importance": [] if tied else short(runs[0][2])})
    print(name, "tied" if tied else "", file=sys.stderr)


C, R = DecisionTreeClassifier, DecisionTreeRegressor
tree_case("gini", "binary", C(), "{type: decision_tree}")
tree_case("gini-depth", "binary", C(max_depth=4), "{type: decision_tree, max_depth: 4}")
tree_case("gini-weighted", "binary", C(max_depth=5, min_samples_leaf=8),
          "{type: decision_tree, max_depth: 5, min_samples_leaf: 8}", w=True)
tree_case("gini-balanced", "binary", C(max_depth=4, class_weight="balanced"),
          "{type: decision_tree, max_depth: 4}", train="{class_weights: balanced}")
tree_case("gini-classes", "classes", C(min_samples_leaf=25), "{type: decision_tree, min_samples_leaf: 25}")
tree_case("entropy-classes", "classes", C(criterion="entropy", min_samples_split=60, min_samples_leaf=9),
          "{type: decision_tree, criterion: entropy, min_samples_split: 60, min_samples_leaf: 9}")
tree_case("log-loss", "binary", C(criterion="log_loss", max_depth=4),
          "{type: decision_tree, criterion: log_loss, max_depth: 4}")
tree_case("leaves", "classes", C(max_leaf_nodes=9), "{type: decision_tree, max_leaves: 9}")
tree_case("decrease", "binary", C(min_impurity_decrease=0.006, min_samples_leaf=8),
          "{type: decision_tree, min_impurity_decrease: 0.006, min_samples_leaf: 8}")
tree_case("pruned", "classes", C(ccp_alpha=0.006, min_samples_leaf=10),
          "{type: decision_tree, ccp_alpha: 0.006, min_samples_leaf: 10}")
tree_case("squared", "number", R(max_depth=6), "{type: decision_tree, max_depth: 6}")
tree_case("squared-leaves", "number", R(max_leaf_nodes=12, min_samples_leaf=3),
          "{type: decision_tree, max_leaves: 12, min_samples_leaf: 3}")
tree_case("squared-weighted", "number", R(max_depth=5), "{type: decision_tree, max_depth: 5}", w=True)
tree_case("squared-pruned", "number", R(ccp_alpha=20), "{type: decision_tree, ccp_alpha: 20}")
tree_case("absolute", "number", R(criterion="absolute_error", max_depth=4),
          "{type: decision_tree, criterion: absolute, max_depth: 4}")
tree_case("absolute-weighted", "number", R(criterion="absolute_error", max_depth=3),
          "{type: decision_tree, criterion: absolute, max_depth: 3}", w=True)
tree_case("poisson", "number", R(criterion="poisson", max_depth=4),
          "{type: decision_tree, criterion: poisson, max_depth: 4}")

boosted = []


def boost_case(name, target, model, spec):
    y = {"binary": binary, "classes": classes}[target]
    model.fit(x, y)
    out = model.predict_proba(x)
    boosted.append({"name": name, "target": target, "model": spec, "trees": len(model.estimators_),
                    "weights": short(model.estimator_weights_), "errors": short(model.estimator_errors_),
                    "y": short((out[:, 1] if target == "binary" else out)[::5])})


def stump(depth):
    return DecisionTreeClassifier(max_depth=depth, random_state=0)


boost_case("samme", "binary", AdaBoostClassifier(stump(1), n_estimators=20, algorithm="SAMME", random_state=0),
           "{type: ada_boost, trees: 20, max_depth: 1}")
boost_case("samme-classes", "classes",
           AdaBoostClassifier(stump(3), n_estimators=15, learning_rate=0.7, algorithm="SAMME", random_state=0),
           "{type: ada_boost, trees: 15, max_depth: 3, learning_rate: 0.7}")

# ---- folds ----
goldens = json.load(open("tests/unit/learn/learn_goldens.json"))
models = {
    "tree": (DecisionTreeClassifier, DecisionTreeRegressor, {"min_samples_leaf": 5}),
    "random_forest": (RandomForestClassifier, RandomForestRegressor, {}),
    "extra_trees": (ExtraTreesClassifier, ExtraTreesRegressor, {}),
    "ada_boost": (lambda **k: AdaBoostClassifier(stump(2), algorithm="SAMME", **k),
                  lambda **k: AdaBoostRegressor(**k), {}),
    "bagging": (BaggingClassifier, BaggingRegressor, {}),
}
folds = []
if len(sys.argv) > 2:  # the fold scores of an older file, which take a minute
    folds = json.load(open(sys.argv[2]))["folds"]
    goldens["cross_validation"] = []
for entry in goldens["cross_validation"]:
    data = entry["data"]
    fx, fy = load(data)
    scores = {}
    for name, (classifier, regressor, keys) in models.items():
        got = []
        for assignment in entry["folds"]:
            part = np.array([int(c) for c in assignment])
            for k in range(10):
                m = (regressor if data == "diabetes" else classifier)(random_state=k, **keys) \
                    if name != "bagging" else (regressor if data == "diabetes" else classifier)(random_state=k)
                got.append(m.fit(fx[part != k], fy[part != k]).score(fx[part == k], fy[part == k]))
        scores[name] = short(got)
        print(data, name, np.mean(got), np.std(got), file=sys.stderr)
    folds.append({"data": data, "scores": scores})

# ---- isolation: rows around 0, outliers on a ring; ranks and area ----
rng = np.random.RandomState(7)
inliers = rng.normal(0, 1, (450, 4)) @ np.diag([1, 2, 0.5, 1])
ring = rng.normal(0, 1, (50, 4))
ring = ring / np.linalg.norm(ring, axis=1, keepdims=True) * rng.uniform(3, 7, (50, 1))
rows = np.vstack([inliers, ring]).astype(np.float32)
truth = np.r_[np.zeros(450), np.ones(50)]
areas, scores = [], []
for seed in range(20):
    forest = IsolationForest(random_state=seed).fit(rows)
    s = -forest.score_samples(rows)
    scores.append(s)
    areas.append(roc_auc_score(truth, s))
print("isolation", np.mean(areas), np.std(areas), np.corrcoef(scores[0], scores[1])[0, 1], file=sys.stderr)

with open(sys.argv[1], "w") as f:
    json.dump({"scikit_learn": sklearn.__version__, "cases": cases, "boosted": boosted, "folds": folds,
               "isolation": {"x": [float("%.6g" % v) for v in rows.ravel()], "areas": short(areas),
                             "mean_score": short(np.mean(scores, axis=0))}}, f, separators=(",", ":"))
    f.write("\n")
