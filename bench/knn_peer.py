"""scikit-learn's k-NN for bench/knn.sh: make FILE ROWS COLUMNS | fit FILE COLUMNS K THREADS"""
import sys
import time

import numpy as np

if sys.argv[1] == "make":
    rows, columns = int(sys.argv[3]), int(sys.argv[4])
    r = np.random.default_rng(5)
    x = r.normal(size=(rows, columns)).astype(np.float32)
    y = (x[:, :3].sum(axis=1) + 0.5 * r.normal(size=rows) > 0).astype(np.float32)
    np.column_stack([x, y]).astype(np.float32).tofile(sys.argv[2])
else:
    from sklearn.neighbors import KNeighborsClassifier

    columns, k, threads = int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
    a = np.fromfile(sys.argv[2], dtype=np.float32).reshape(-1, columns + 1)
    kept = len(a) - len(a) // 10
    x, y = a[:, :-1], a[:, -1].astype(int)
    m = KNeighborsClassifier(k, n_jobs=threads).fit(np.ascontiguousarray(x[:kept]), y[:kept])
    t = time.perf_counter()
    p = m.predict(np.ascontiguousarray(x[kept:]))
    t = time.perf_counter() - t
    print("scikit-learn  %.3f s, %.0f rows/s, %.4f right (%s)" % (t, len(p) / t, (p == y[kept:]).mean(), m._fit_method))
