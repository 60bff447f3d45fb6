"""The example tables as arrays, for the scripts of goldens: features and a number or class indices."""
import csv

import numpy as np


def load(name):
    with open("examples/%s.csv" % name) as f:
        rows = list(csv.reader(f))[1:]
    x = np.array([[float(v) for v in r[:-1]] for r in rows])
    labels = [r[-1] for r in rows]
    if name == "diabetes":
        return x, np.array([float(v) for v in labels])
    names = sorted(set(labels))
    return x, np.array([names.index(v) for v in labels])


def scaled(x, rows=None):
    """Standard scaling by the given rows, rounded to float32 as our features are."""
    base = x if rows is None else x[rows]
    sd = base.std(axis=0)
    sd[sd == 0] = 1
    return ((x - base.mean(axis=0)) / sd).astype(np.float32).astype(np.float64)
