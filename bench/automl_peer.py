"""What bench/automl.sh needs from Python: data sets, scikit-learn's default models, AutoGluon, H2O, scores.

    automl_peer.py make DIR REAL_DIR        six pairs NAME.train.csv, NAME.test.csv (target: the last column)
    automl_peer.py defaults TRAIN TEST      log loss of each default scikit-learn classifier, best first (JSON)
    automl_peer.py autogluon TRAIN TEST BUDGET_S
    automl_peer.py h2o TRAIN TEST BUDGET_S
    automl_peer.py score TEST PREDICTIONS   log loss of `aimass predict`'s CSV

The generated sets have a known structure: `census` bends and interactions over mixed columns (examples/adult_like.py), `clusters`
scikit-learn's make_classification with wrong labels, `rules` a few and-or rules over categories and numbers. The real ones come
from Debian's r-cran-kernlab (spambase), r-cran-modeldata (churn), r-cran-mlbench (pima) as CSV in REAL_DIR; without it they are
left out. The best default model is chosen by its loss on the test rows: the hardest opponent among them.
"""
import csv
import gzip
import json
import math
import os
import random
import sys
import time
import warnings

warnings.filterwarnings("ignore")


def write(path, header, rows):
    with open(path, "w", newline="") as f:
        w = csv.writer(f, lineterminator="\n")
        w.writerow(header)
        w.writerows(rows)


def parts(name, out, header, rows):
    """A fifth of each class is tested; the target is the last column."""
    r = random.Random(0)
    test = set()
    for label in sorted({x[-1] for x in rows}):
        mine = [i for i, x in enumerate(rows) if x[-1] == label]
        r.shuffle(mine)
        test.update(mine[:len(mine) // 5])
    write(os.path.join(out, name + ".train.csv"), header, [x for i, x in enumerate(rows) if i not in test])
    write(os.path.join(out, name + ".test.csv"), header, [x for i, x in enumerate(rows) if i in test])


def census(n):
    """The structure of examples/adult_like.py with other numbers."""
    r = random.Random(77)
    jobs = ["j%d" % i for i in range(10)]
    regions = ["r%02d" % i for i in range(20)]
    pay = {j: r.gauss(0, 0.6) for j in jobs}
    offset = {g: r.gauss(0, 0.6) for g in regions}
    rows = []
    for _ in range(n):
        age, edu, hours = r.gauss(39, 13), min(16, max(1, int(r.gauss(10, 2.6)))), max(1, r.gauss(41, 11))
        married, job, region = r.choice(["yes", "no", "was"]), r.choice(jobs), r.choice(regions)
        capital = math.exp(r.gauss(8, 1)) if r.random() < 0.1 else 0
        z = -1.4 - ((age - 47) / 14) ** 2 + pay[job] + offset[region] + 0.4 * (edu - 10) * (1.5 if married == "yes" else 0.4)
        z += (1.2 if job in jobs[:3] else 0.1) * max(0, hours - 42) / 8 + (2.4 if capital > 4000 else 0)
        z += 1.0 if (edu > 12) != (hours < 36) else 0
        y = "high" if r.random() < 1 / (1 + math.exp(-1.2 * z)) else "low"
        rows.append(["%.1f" % age if r.random() > 0.04 else "", edu, married, job, "%.1f" % hours, "%.0f" % capital, region,
                     "%.3f" % r.gauss(0, 1), y])
    return ["age", "education", "married", "job", "hours", "capital", "region", "noise", "income"], rows


def clusters(n):
    from sklearn.datasets import make_classification
    x, y = make_classification(n, 25, n_informative=10, n_redundant=5, flip_y=.08, class_sep=.8, n_clusters_per_class=4, random_state=1)
    return ["x%d" % i for i in range(25)] + ["y"], [["%.4f" % v for v in a] + ["c%d" % b] for a, b in zip(x, y)]


def rules(n):
    """Three classes by rules over categories and numbers, a tenth of the labels wrong."""
    r = random.Random(9)
    rows = []
    for _ in range(n):
        a, b, c = r.choice("pqrst"), r.choice("uvwx"), r.choice("yz")
        u, v, w = r.random(), r.random(), r.gauss(0, 1)
        if a in "pq" and u > 0.6 or b == "u" and w > 0.5:
            k = 0
        elif c == "y" and u * v > 0.25 or w * w > 2.5:
            k = 1
        else:
            k = 2
        if r.random() < 0.1:
            k = r.randrange(3)
        rows.append([a, b, c, "%.4f" % u, "%.4f" % v, "%.4f" % w, "%.4f" % r.random(), "k%d" % k])
    return ["a", "b", "c", "u", "v", "w", "noise", "class"], rows


def real(path, target):
    with gzip.open(path, "rt", newline="") as f:
        table = list(csv.reader(f))
    k = table[0].index(target)
    return [x for i, x in enumerate(table[0]) if i != k] + [target], [
        ["" if v == "NA" else v for i, v in enumerate(x) if i != k] + [x[k]] for x in table[1:]]


def make(out, folder):
    os.makedirs(out, exist_ok=True)
    for name, made in (("census", census(6000)), ("clusters", clusters(3000)), ("rules", rules(4000))):
        parts(name, out, *made)
    for name, file, target in (("spambase", "kernlab_spambase", "type"), ("churn", "modeldata_mlc_churn", "churn"),
                               ("pima", "mlbench_PimaIndiansDiabetes2", "diabetes")):
        path = os.path.join(folder, file + ".csv.gz")
        if folder and os.path.exists(path):
            parts(name, out, *real(path, target))
        else:
            print("left out: %s (%s is not there)" % (name, path), file=sys.stderr)


def frames(train, test):
    import pandas as pd
    a, b = pd.read_csv(train), pd.read_csv(test)
    return a.iloc[:, :-1], a.iloc[:, -1].astype(str), b.iloc[:, :-1], b.iloc[:, -1].astype(str)


def loss(y, p, names):
    """p [n, classes] in the order of names."""
    total = 0.0
    for label, row in zip(y, p):
        total -= math.log(min(1 - 1e-15, max(1e-15, row[names.index(label)] / sum(row))))
    return total / len(y)


def timed(call, repeats=3):
    best = math.inf
    for _ in range(repeats):
        t = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - t)
    return best


def defaults(train, test):
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.ensemble import (AdaBoostClassifier, BaggingClassifier, ExtraTreesClassifier, GradientBoostingClassifier,
                                  HistGradientBoostingClassifier, RandomForestClassifier)
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler
    from sklearn.svm import SVC
    from sklearn.tree import DecisionTreeClassifier
    x, y, xs, ys = frames(train, test)
    out = []
    for model in (LogisticRegression(max_iter=1000), RandomForestClassifier(random_state=0), ExtraTreesClassifier(random_state=0),
                  HistGradientBoostingClassifier(random_state=0), GradientBoostingClassifier(random_state=0),
                  KNeighborsClassifier(), GaussianNB(), SVC(probability=True, random_state=0), MLPClassifier(random_state=0),
                  LinearDiscriminantAnalysis(), AdaBoostClassifier(random_state=0), BaggingClassifier(random_state=0),
                  DecisionTreeClassifier(random_state=0)):
        prep = make_column_transformer(
            (make_pipeline(SimpleImputer(), StandardScaler()), make_column_selector(dtype_exclude=object)),
            (OneHotEncoder(handle_unknown="ignore", sparse_output=False), make_column_selector(dtype_include=object)))
        p = make_pipeline(prep, model)
        p.fit(x, y)
        names = list(model.classes_)
        out.append({"model": type(model).__name__, "log_loss": loss(ys, p.predict_proba(xs).tolist(), names),
                    "predict_s": timed(lambda: p.predict_proba(xs)), "row_s": timed(lambda: p.predict_proba(xs.iloc[:1]), 20)})
    out.sort(key=lambda m: m["log_loss"])
    print(json.dumps(out))


def autogluon(train, test, budget):
    import tempfile

    import pandas as pd
    from autogluon.tabular import TabularPredictor
    x, y, xs, ys = frames(train, test)
    frame = pd.concat([x, y.rename("target_")], axis=1)
    with tempfile.TemporaryDirectory() as d:
        start = time.perf_counter()
        p = TabularPredictor("target_", path=d, eval_metric="log_loss", verbosity=0).fit(frame, time_limit=budget, presets="best_quality",
                                                                                         dynamic_stacking=False)
        spent = time.perf_counter() - start
        p.persist()
        q = p.predict_proba(xs)
        print(json.dumps({"log_loss": loss(ys, q.values.tolist(), [str(c) for c in q.columns]), "seconds": spent,
                          "predict_s": timed(lambda: p.predict_proba(xs)), "row_s": timed(lambda: p.predict_proba(xs.iloc[:1]), 5)}))


def h2o(train, test, budget):
    import h2o as server
    from h2o.automl import H2OAutoML
    server.init(nthreads=-1, verbose=False)
    server.no_progress()
    try:
        a, b = server.import_file(train), server.import_file(test)
        target = a.columns[-1]
        a[target], b[target] = a[target].asfactor(), b[target].asfactor()
        start = time.perf_counter()
        m = H2OAutoML(max_runtime_secs=int(budget), sort_metric="logloss", seed=1)
        m.train(y=target, training_frame=a)
        spent = time.perf_counter() - start
        q = m.leader.predict(b).as_data_frame()
        names = [c for c in q.columns if c != "predict"]
        labels = [str(v) for v in b[target].as_data_frame().iloc[:, 0]]
        one = b[0, :]
        print(json.dumps({"log_loss": loss(labels, q[names].values.tolist(), names), "seconds": spent, "model": m.leader.model_id,
                          "predict_s": timed(lambda: m.leader.predict(b)), "row_s": timed(lambda: m.leader.predict(one), 5)}))
    finally:
        server.cluster().shutdown()


def score(test, predictions):
    with open(test, newline="") as f:
        y = [r[-1] for r in csv.reader(f)][1:]
    with open(predictions, newline="") as f:
        table = list(csv.DictReader(f))
    names = sorted(set(y))
    p = []
    if set(names) == {"no", "yes"} and "probability_true" in table[0]:
        y, names = ["true" if v == "yes" else "false" for v in y], ["false", "true"]
    for row in table:
        p.append([float(row["probability_" + n]) for n in names])
    print(json.dumps({"log_loss": loss(y, p, names)}))


if __name__ == "__main__":
    mode, args = sys.argv[1], sys.argv[2:]
    if mode in ("autogluon", "h2o"):
        args[2] = float(args[2])
    {"make": make, "defaults": defaults, "autogluon": autogluon, "h2o": h2o, "score": score}[mode](*args)
