"""scikit-learn's forests on the rows of bench/forest.c: one line of JSON. Same arguments."""
import json
import sys
import time

import numpy as np
from sklearn.ensemble import (AdaBoostClassifier, ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier,
                              RandomForestRegressor)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

learner, n, f, trees, classes, threads = sys.argv[1], *map(int, sys.argv[2:7])


def hashed(i, j):
    mask = np.uint64(0xFFFFFFFF)
    h = (i * np.uint64(2654435761) + np.uint64(j * 40503 + 12345)) & mask
    h = (h ^ (h >> np.uint64(15))) * np.uint64(2246822519) & mask
    h = (h ^ (h >> np.uint64(13))) * np.uint64(3266489917) & mask
    return h ^ (h >> np.uint64(16))


rows = np.arange(n, dtype=np.uint64)


def value(j):
    h = hashed(rows, j)
    return ((h >> np.uint64(28)) / 16.0 if j % 3 == 2 else (h >> np.uint64(8)) / 16777216.0).astype(np.float32)


x = np.ascontiguousarray(np.column_stack([value(j) for j in range(f)]))
s = x[:, 0] + x[:, 1] * x[:, 2 % f] + np.where(x[:, 3 % f] > 0.6, 0.7, 0) + value(1000) / 2
y = np.minimum((s / 2.5 * classes).astype(int), classes - 1) if classes else s
kinds = {"random_forest": (RandomForestClassifier, RandomForestRegressor),
         "extra_trees": (ExtraTreesClassifier, ExtraTreesRegressor),
         "decision_tree": (DecisionTreeClassifier, DecisionTreeRegressor)}
keys = {} if learner == "decision_tree" else {"n_estimators": trees, "n_jobs": threads}
if learner == "random_forest":
    keys["oob_score"] = True  # as ours always does
model = kinds[learner][classes == 0](random_state=1, **keys)
start = time.perf_counter()
model.fit(x, y)
seconds = time.perf_counter() - start
leaves = model.get_n_leaves() if learner == "decision_tree" else sum(t.get_n_leaves() for t in model.estimators_)
print(json.dumps({"seconds": round(seconds, 3), "leaves": int(leaves), "oob": round(getattr(model, "oob_score_", 0), 4)}))
