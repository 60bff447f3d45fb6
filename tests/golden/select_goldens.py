#!/usr/bin/python3
"""Goldens of the filters of feature selection: scikit-learn on columns made by formula.py.

Usage: select_goldens.py > tests/unit/feature/select_goldens.json
Made with scikit-learn 1.2.1 and numpy of Debian 12. Its mutual information adds a noise of 1e-10 deviations, which
parts equal numbers only; the columns here have none."""
import json

import numpy as np
from sklearn.feature_selection import chi2, f_classif, f_regression, mutual_info_classif, mutual_info_regression
from sklearn.metrics import mutual_info_score

from formula import draw

N = 90


def codes(u, k):
    return np.floor((u + 0.5) * k).clip(0, k - 1).astype(int)


value = draw(N, 1) * 4
classes = codes(draw(N, 2), 3)
numbers = [value * 0.5 + draw(N, 3), classes + draw(N, 4), draw(N, 5) * 100, value**2]
cats = [codes(draw(N, 6), 4), (classes + codes(draw(N, 7), 2)) % 3, codes(value / 4, 5)]
x = np.array(numbers).T
onehot = [np.eye(c.max() + 1)[c] for c in cats]
cut = lambda v: np.searchsorted(np.unique([np.sort(v)[b * N // 10] for b in range(1, 10)]), v, side="right")
bits = lambda a, b: mutual_info_score(a, b) / np.log(2)


def ratio(v, g):
    between = sum((g == k).sum() * (v[g == k].mean() - v.mean()) ** 2 for k in np.unique(g))
    return float(np.sqrt(between / ((v - v.mean()) ** 2).sum()))


out = {
    "number_class": {
        "variance": [float(c.var()) for c in numbers],
        "correlation": [ratio(c, classes) for c in numbers],
        "anova": list(f_classif(x, classes)[0]),
        "chi2": list(chi2(x - np.minimum(x.min(0), 0), classes)[0]),
        "information_gain": [bits(cut(c), classes) for c in numbers],
        "mutual_information": list(mutual_info_classif(x, classes, random_state=0)),
    },
    "number_number": {
        "correlation": [abs(float(np.corrcoef(c, value)[0, 1])) for c in numbers],
        "anova": list(f_regression(x, value)[0]),
        "information_gain": [bits(cut(c), cut(value)) for c in numbers],
        "mutual_information": list(mutual_info_regression(x, value, random_state=0)),
    },
    "category_class": {
        "variance": [float(o.var(0).sum()) for o in onehot],
        "correlation": [max(ratio(o[:, k], classes) for k in range(o.shape[1])) for o in onehot],
        "anova": [float(f_classif(o, classes)[0].max()) for o in onehot],
        "chi2": [float(chi2(o, classes)[0].sum()) for o in onehot],
        "information_gain": [bits(c, classes) for c in cats],
        "mutual_information": [mutual_info_score(c, classes) for c in cats],
    },
    "category_number": {
        "correlation": [ratio(value, c) for c in cats],
        "anova": [float(f_classif(value[:, None], c)[0][0]) for c in cats],
        "information_gain": [bits(c, cut(value)) for c in cats],
        "mutual_information": [float(mutual_info_regression(c[:, None], value, discrete_features=True, random_state=0)[0]) for c in cats],
    },
}
print(json.dumps(out, indent=1))
