"""Answers of scikit-learn for tests/unit/learn/test_svm.c: neighbours, naive Bayes, discriminants and support vector
machines on rows they were not trained on, and fold scores on the folds of learn_goldens.json.

Independent implementation: scikit-learn 1.2.1 (Debian 12). Run from the repository's root:
    OMP_NUM_THREADS=1 /usr/bin/python3 tests/golden/svm_goldens.py tests/unit/learn/svm_goldens.json
"""
import json
import sys
import warnings

import numpy as np
import sklearn
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.naive_bayes import BernoulliNB, GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR, NuSVC, NuSVR

from learn_data import load, scaled

warnings.filterwarnings("ignore")


def short(values):
    return [float("%.7g" % v) for v in np.asarray(values, dtype=float).ravel()]


def sigmoid(f):
    return 1 / (1 + np.exp(-f))


def coupled(r, k):
    """Wu, Lin and Weng (2004), second method, by its linear system."""
    out = []
    for row in r:
        p = np.zeros((k, k))
        pairs = iter(row)
        for a in range(k):
            for b in range(a + 1, k):
                p[a, b] = next(pairs)
                p[b, a] = 1 - p[a, b]
        q = np.zeros((k + 1, k + 1))
        for a in range(k):
            for b in range(k):
                q[a, b] = sum(p[j, a] ** 2 for j in range(k) if j != a) if a == b else -p[b, a] * p[a, b]
        q[k, :k] = q[:k, k] = 1
        out.append(np.linalg.solve(q, np.append(np.zeros(k), 1))[:k])
    return np.array(out)


cases = []


def case(name, data, model, spec, how="proba", weights=None, shift=False):
    """Trained on rows whose number is no multiple of 4, asked about the others."""
    x, y = load(data)
    x = scaled(x)
    if shift:  # counts: nothing below 0
        x = np.round(3 * (x - x.min(axis=0))).astype(np.float32).astype(np.float64)
    test = np.arange(len(y)) % 4 == 0
    w = (1 + np.arange(len(y)) * 7 % 5) / 2.0
    target = y.astype(float)
    if how in ("svr",):
        m, s = target[~test].mean(), target[~test].std()
        if weights:
            m = np.average(target[~test], weights=w[~test])
            s = np.sqrt(np.average((target[~test] - m) ** 2, weights=w[~test]))
        target = (target - m) / s
    t = target if data == "diabetes" else y
    if weights:
        model.fit(x[~test], t[~test], sample_weight=w[~test])
    else:
        model.fit(x[~test], t[~test])
    if how == "proba":
        out = model.predict_proba(x[test])
        if out.shape[1] == 2:
            out = out[:, 1]
    elif how == "value":
        out = model.predict(x[test])
    elif how == "svr":
        out = model.predict(x[test]) * s + m
    elif how == "sigmoid":
        out = sigmoid(model.decision_function(x[test]))
    elif how == "softmax":
        f = np.exp(model.decision_function(x[test]))
        out = f / f.sum(axis=1, keepdims=True)
    elif how == "couple":
        out = coupled(sigmoid(model.decision_function(x[test])), len(set(y)))
    cases.append({"name": name, "data": data, "model": spec, "weights": bool(weights), "shift": shift,
                  "y": short(out)})


KC, KR = KNeighborsClassifier, KNeighborsRegressor
case("knn", "iris", KC(), "{type: knn}")
case("knn-1", "wine", KC(1), "{type: knn, neighbors: 1}")
case("knn-distance", "breast_cancer", KC(9, weights="distance"), "{type: knn, neighbors: 9, votes: distance}")
case("knn-manhattan", "wine", KC(7, metric="manhattan"), "{type: knn, neighbors: 7, metric: manhattan}")
case("knn-cosine", "wine", KC(7, metric="cosine", weights="distance", algorithm="brute"),
     "{type: knn, neighbors: 7, metric: cosine, votes: distance}")
case("knn-number", "diabetes", KR(), "{type: knn}", how="value")
case("knn-number-distance", "diabetes", KR(12, weights="distance", metric="manhattan"),
     "{type: knn, neighbors: 12, votes: distance, metric: manhattan}", how="value")
case("gaussian", "iris", GaussianNB(), "{type: naive_bayes}")
case("gaussian-two", "breast_cancer", GaussianNB(priors=[.5, .5]), "{type: naive_bayes, priors: uniform}")
case("gaussian-weighted", "wine", GaussianNB(var_smoothing=0), "{type: naive_bayes, var_smoothing: 0}", weights=True)
case("multinomial", "wine", MultinomialNB(), "{type: naive_bayes, kind: multinomial}", shift=True)
case("multinomial-weighted", "breast_cancer", MultinomialNB(alpha=.3), "{type: naive_bayes, kind: multinomial, alpha: 0.3}",
     shift=True, weights=True)
case("bernoulli", "breast_cancer", BernoulliNB(), "{type: naive_bayes, kind: bernoulli}")
case("bernoulli-weighted", "iris", BernoulliNB(alpha=2, binarize=.25, fit_prior=False),
     "{type: naive_bayes, kind: bernoulli, alpha: 2, binarize: 0.25, priors: uniform}", weights=True)
LDA = LinearDiscriminantAnalysis
case("lda", "iris", LDA(), "{type: lda}")
case("lda-two", "breast_cancer", LDA(priors=[.5, .5]), "{type: lda, priors: uniform}")
case("lda-lsqr", "wine", LDA(solver="lsqr"), "{type: lda, solver: lsqr}")
case("lda-shrunk", "wine", LDA(solver="lsqr", shrinkage=.3), "{type: lda, solver: lsqr, shrinkage: 0.3}")
case("lda-auto", "breast_cancer", LDA(solver="lsqr", shrinkage="auto"), "{type: lda, solver: lsqr, shrinkage: auto}")
NO = ", probability: false, tolerance: 1e-9}"
T = dict(tol=1e-9, max_iter=1000000)
case("linear-squared", "breast_cancer", LinearSVC(dual=False, C=.3, **T), "{type: linear_svm, c: 0.3" + NO, how="sigmoid")
case("linear-weighted", "breast_cancer", LinearSVC(dual=False, C=.3, **T), "{type: linear_svm, c: 0.3" + NO, how="sigmoid",
     weights=True)
case("linear-hinge", "breast_cancer", LinearSVC(loss="hinge", C=.1, **T), "{type: linear_svm, loss: hinge, c: 0.1" + NO,
     how="sigmoid")
case("linear-l1", "breast_cancer", LinearSVC(penalty="l1", dual=False, C=.2, **T),
     "{type: linear_svm, penalty: l1, c: 0.2" + NO, how="sigmoid")
case("linear-rest", "wine", LinearSVC(dual=False, C=.1, fit_intercept=False, **T),
     "{type: linear_svm, c: 0.1, intercept: false" + NO, how="softmax")
case("linear-crammer", "iris", LinearSVC(multi_class="crammer_singer", C=.5, **T),
     "{type: linear_svm, multi_class: crammer_singer, c: 0.5" + NO, how="softmax")
case("linear-number", "diabetes", LinearSVR(loss="squared_epsilon_insensitive", dual=False, epsilon=.2, tol=1e-10, max_iter=100000),
     "{type: linear_svm, epsilon: 0.2, tolerance: 1e-9}", how="svr")
case("linear-number-hinge", "diabetes", LinearSVR(epsilon=.2, C=.1, **T),
     "{type: linear_svm, loss: hinge, epsilon: 0.2, c: 0.1, tolerance: 1e-9}", how="svr")
case("rbf", "breast_cancer", SVC(C=2, tol=1e-9), "{type: svm, c: 2" + NO, how="sigmoid")
case("rbf-weighted", "breast_cancer", SVC(C=.5, tol=1e-9, gamma=.05), "{type: svm, c: 0.5, gamma: 0.05" + NO, how="sigmoid",
     weights=True)
case("rbf-classes", "wine", SVC(tol=1e-9, decision_function_shape="ovo", gamma="auto"), "{type: svm, gamma: auto" + NO,
     how="couple")
case("poly-classes", "iris", SVC(tol=1e-9, kernel="poly", coef0=1, degree=2, decision_function_shape="ovo"),
     "{type: svm, kernel: poly, degree: 2, coef0: 1" + NO, how="couple")
case("sigmoid", "breast_cancer", SVC(tol=1e-9, kernel="sigmoid", gamma=.01, coef0=.5),
     "{type: svm, kernel: sigmoid, gamma: 0.01, coef0: 0.5" + NO, how="sigmoid")
case("linear-kernel", "iris", SVC(tol=1e-9, kernel="linear", decision_function_shape="ovo"), "{type: svm, kernel: linear" + NO,
     how="couple")
case("nu", "breast_cancer", NuSVC(nu=.2, tol=1e-9), "{type: svm, nu: 0.2" + NO, how="sigmoid")
case("rbf-number", "diabetes", SVR(C=3, epsilon=.3, tol=1e-9), "{type: svm, c: 3, epsilon: 0.3, tolerance: 1e-9}", how="svr")
case("nu-number", "diabetes", NuSVR(nu=.4, tol=1e-9), "{type: svm, nu: 0.4, tolerance: 1e-9}", how="svr")
case("rbf-number-weighted", "diabetes", SVR(tol=1e-9), "{type: svm, tolerance: 1e-9}", how="svr", weights=True)

models = {
    "knn": (KC(), KR()), "naive_bayes": (GaussianNB(), None), "lda": (LDA(), None),
    "linear_svm": (LinearSVC(dual=False), LinearSVR(loss="squared_epsilon_insensitive", dual=False)),
    "svm": (SVC(), SVR()),
}
with open("tests/unit/learn/learn_goldens.json") as f:
    folds = json.load(f)["cross_validation"]
scores = []
for entry in folds:
    x, y = load(entry["data"])
    all_scores = {}
    for name, (classes, numbers) in models.items():
        model = numbers if entry["data"] == "diabetes" else classes
        if model is None:
            continue
        all_scores[name] = []
        for part in entry["folds"]:
            part = np.array(list(part))
            for fold in "0123456789":
                train = part != fold
                xs = scaled(x, train)
                t = y.astype(float)
                if entry["data"] == "diabetes":
                    t = (t - t[train].mean()) / t[train].std()
                else:
                    t = y
                all_scores[name].append(model.fit(xs[train], t[train]).score(xs[~train], t[~train]))
    scores.append({"data": entry["data"], "scores": {k: short(v) for k, v in all_scores.items()}})
with open(sys.argv[1], "w") as f:
    json.dump({"scikit_learn": sklearn.__version__, "cases": cases, "cross_validation": scores}, f)
    f.write("\n")
