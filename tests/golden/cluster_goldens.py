#!/usr/bin/python3
"""Writes tests/unit/learn/cluster_goldens.json: clusters, densities, components and their measures as
scikit-learn 1.2.1 (Debian python3-sklearn) has them, and a recommender by plain numpy. Run by hand:

    python3 tests/golden/cluster_goldens.py > tests/unit/learn/cluster_goldens.json
"""
import json
import warnings

import numpy as np
import sklearn
from sklearn import metrics
from sklearn.cluster import DBSCAN, KMeans
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.mixture import GaussianMixture

warnings.filterwarnings("ignore")
rng = np.random.RandomState(5)


def f32(x):
    """Numbers that float32 and short text hold alike."""
    return np.round(np.asarray(x), 3).astype(np.float32)


def out(x):
    return json.loads(json.dumps(np.asarray(x, dtype=float).round(10).tolist()))


def blobs():
    centers = np.array([[0, 0, 0], [4, 1, -2], [-3, 5, 2]], float)
    which = rng.randint(0, 3, 150)
    scale = np.array([0.6, 1.0, 0.8])[which][:, None]
    x = f32(centers[which] + rng.randn(150, 3) * scale * np.array([1, 0.5, 1.5]) +
            0.4 * rng.randn(150, 1))
    labels = which.copy()
    labels[::17] = (labels[::17] + 1) % 3
    return x, labels


def moons():
    a = rng.rand(90) * np.pi
    b = rng.rand(90) * np.pi
    x = np.r_[np.c_[np.cos(a), np.sin(a)], np.c_[1 - np.cos(b), 0.5 - np.sin(b)],
              rng.rand(20, 2) * 5 - 2]
    return f32(x + rng.randn(*x.shape) * 0.05)


def kmeans(x, labels):
    m = KMeans(3, n_init=10, tol=0, random_state=0).fit(x.astype(float))
    order = np.argsort(m.cluster_centers_[:, 0])
    p = m.labels_
    return {"centers": out(m.cluster_centers_[order]), "inertia": m.inertia_,
            "clusters": p.tolist(),
            "silhouette": metrics.silhouette_score(x.astype(float), p),
            "davies_bouldin": metrics.davies_bouldin_score(x.astype(float), p),
            "calinski_harabasz": metrics.calinski_harabasz_score(x.astype(float), p),
            "adjusted_rand": metrics.adjusted_rand_score(labels, p),
            "nmi": metrics.normalized_mutual_info_score(labels, p)}


def mixtures(x, probes):
    all = {}
    for kind in ["full", "tied", "diag", "spherical"]:
        m = GaussianMixture(3, covariance_type=kind, tol=1e-9, max_iter=5000, n_init=5,
                            random_state=0).fit(x.astype(float))
        order = np.argsort(m.means_[:, 0])
        all[kind] = {"means": out(m.means_[order]), "weights": out(m.weights_[order]),
                     "log": m.score(x.astype(float)), "bic": m.bic(x.astype(float)),
                     "probes": out(m.predict_proba(probes.astype(float))[:, order]),
                     "log_density": out(m.score_samples(probes.astype(float)))}
    return all


def dbscan(x):
    m = DBSCAN(eps=0.25, min_samples=5).fit(x.astype(float))
    return {"eps": 0.25, "min_points": 5, "core": m.core_sample_indices_.tolist(),
            "labels": m.labels_.tolist()}


def signed(v):
    """The number of largest magnitude is positive."""
    return v * np.sign(v[np.arange(len(v)), np.abs(v).argmax(1)])[:, None]


def components(x):
    d = x.astype(float)
    p = PCA(3, svd_solver="full").fit(d)
    s = TruncatedSVD(3, algorithm="arpack", random_state=0).fit(d)
    pv, sv = signed(p.components_), signed(s.components_)
    return {"pca": {"vectors": out(pv), "variance": out(p.explained_variance_),
                    "ratio": out(p.explained_variance_ratio_),
                    "singular": out(p.singular_values_), "codes": out((d[:4] - d.mean(0)) @ pv.T),
                    "white": out((d[:4] - d.mean(0)) @ pv.T / np.sqrt(p.explained_variance_))},
            "svd": {"vectors": out(sv), "variance": out(s.explained_variance_),
                    "ratio": out(s.explained_variance_ratio_),
                    "singular": out(s.singular_values_), "codes": out(d[:4] @ sv.T)}}


def explicit(n_users, n_items, f, lam, sweeps, triples, start_u, start_v):
    """Ratings less their mean, biases as factors beside ones (Koren et al. 2009): u' = [u, bu, 1],
    v' = [v, 1, bv]; each solve is weighted-lambda ridge: (A'A + lam n I) z = A'r (Zhou et al. 2008)."""
    mean = np.mean([r for _, _, r in triples])
    u = np.c_[start_u, np.zeros(n_users)]
    v = np.c_[start_v, np.zeros(n_items)]
    for _ in range(sweeps):
        for side in (0, 1):
            own, other = (u, v) if side == 0 else (v, u)
            for i in range(len(own)):
                rows = [t for t in triples if t[side] == i]
                if not rows:
                    own[i] = 0
                    continue
                a = np.array([np.r_[other[t[1 - side]][:f], 1] for t in rows])
                r = np.array([t[2] - mean - other[t[1 - side]][f] for t in rows])
                own[i] = np.linalg.solve(a.T @ a + lam * len(rows) * np.eye(f + 1), a.T @ r)
    pred = [mean + u[a][f] + v[b][f] + u[a][:f] @ v[b][:f] for a, b, _ in triples]
    return {"mean": mean, "users": out(u), "items": out(v), "predictions": out(pred)}


def implicit(n_users, n_items, f, lam, alpha, sweeps, triples, start_u, start_v):
    """Hu, Koren and Volinsky 2008: c = 1 + alpha r."""
    u, v = start_u.copy(), start_v.copy()
    c = np.zeros((n_users, n_items))
    for a, b, r in triples:
        c[a, b] += alpha * r
    p = (c > 0).astype(float)
    for _ in range(sweeps):
        for own, other, cc, pp in ((u, v, c, p), (v, u, c.T, p.T)):
            g = other.T @ other
            for i in range(len(own)):
                w = cc[i]
                own[i] = np.linalg.solve(g + (other.T * w) @ other + lam * np.eye(f),
                                         other.T @ ((1 + w) * pp[i]))
    return {"users": out(u), "items": out(v), "scores": out(u @ v.T)}


def recommender():
    n_users, n_items, f = 12, 9, 2
    triples = [(a, b, int(rng.randint(1, 6))) for a in range(n_users) for b in range(n_items)
               if rng.rand() < 0.5]
    su, sv = f32(rng.randn(n_users, f) * 0.1), f32(rng.randn(n_items, f) * 0.1)
    return {"triples": triples, "start_users": out(su), "start_items": out(sv), "n_users": n_users,
            "n_items": n_items, "factors": f,
            "explicit": explicit(n_users, n_items, f, 0.1, 4, triples, su.astype(float),
                                 sv.astype(float)),
            "implicit": implicit(n_users, n_items, f, 0.1, 2.0, 4, triples, su.astype(float),
                                 sv.astype(float))}


def main():
    x, labels = blobs()
    probes = f32(rng.randn(6, 3) * 3)
    wide = f32(rng.randn(60, 3) @ rng.randn(3, 6) + 0.3 * rng.randn(60, 6) + np.arange(6))
    m = moons()
    print(json.dumps({"sklearn": sklearn.__version__, "x": out(x), "labels": labels.tolist(),
                      "probes": out(probes), "moons": out(m), "wide": out(wide),
                      "kmeans": kmeans(x, labels), "mixtures": mixtures(x, probes),
                      "dbscan": dbscan(m), "components": components(wide),
                      "recommender": recommender()}))


main()
