#!/usr/bin/python3
"""scikit-learn's side of bench/kmeans.sh: writes the rows, or fits them.

kmeans_peer.py make FILE ROWS COLUMNS CLUSTERS     blobs that overlap, float32
kmeans_peer.py fit FILE COLUMNS CLUSTERS RUNS      one start of k-means++ and Lloyd a run, float32
"""
import sys
import time

import numpy as np


def make(path, rows, columns, clusters):
    rng = np.random.default_rng(1)
    centers = rng.normal(size=(clusters, columns)) * 2
    x = centers[rng.integers(0, clusters, rows)] + rng.normal(size=(rows, columns)) * 1.5
    x.astype(np.float32).tofile(path)


def fit(path, columns, clusters, runs):
    from sklearn.cluster import KMeans
    x = np.fromfile(path, np.float32).reshape(-1, columns)
    for seed in range(runs):
        m = KMeans(clusters, n_init=1, max_iter=100, tol=1e-4, random_state=seed)
        begin = time.perf_counter()
        m.fit(x)
        s = time.perf_counter() - begin
        print(f"sklearn  {s:8.3f} s  {m.n_iter_:3d} iterations  {s / (m.n_iter_ + 1):7.4f} s an iteration"
              f"  inertia {m.inertia_:.6g}", flush=True)


if sys.argv[1] == "make":
    make(sys.argv[2], *map(int, sys.argv[3:6]))
else:
    fit(sys.argv[2], *map(int, sys.argv[3:6]))
