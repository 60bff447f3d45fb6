"""The peer of gbdt.sh: pandas reads the CSV, XGBoost trains on it as ours does, the test part is scored."""
import sys

import numpy as np
import pandas as pd
import xgboost as xgb

frame = pd.read_csv(sys.argv[1])
y = frame.pop("y").to_numpy()
r = np.random.default_rng(0).permutation(len(y))
test, train = r[: len(y) // 5], r[len(y) // 5:]
x = frame.to_numpy(dtype=np.float32)
d = xgb.DMatrix(x[train], y[train]) if sys.argv[2] == "dmatrix" else xgb.QuantileDMatrix(x[train], y[train])
model = xgb.train({"objective": "binary:logistic", "tree_method": "hist", "max_depth": 6, "eta": 0.1}, d, 100)
p, t = model.predict(xgb.DMatrix(x[test])), y[test]
order = np.argsort(p, kind="stable")
rank = np.empty(len(p))
rank[order] = np.arange(1, len(p) + 1)
n1 = t.sum()
print('{"roc_auc": %.6f}' % ((rank[t == 1].sum() - n1 * (n1 + 1) / 2) / (n1 * (len(t) - n1))))
