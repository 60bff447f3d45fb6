"""Writes the data sets of examples/ from scikit-learn's own copies (BSD-3; see examples/README.md).

Run: python3 tests/golden/example_data.py examples
"""
import csv
import sys
from pathlib import Path

from sklearn import datasets

out = Path(sys.argv[1])


def text(v):
    return repr(float(v)) if float(v) != int(v) else str(int(v))


def write(name, header, rows):
    with open(out / name, "w", newline="") as f:
        w = csv.writer(f, lineterminator="\n")
        w.writerow(header)
        w.writerows(rows)


bc = datasets.load_breast_cancer()
names = []
for n in bc.feature_names:  # "mean radius" -> radius_mean, as the original data set spells it
    kind, rest = n.split(" ", 1) if n.split(" ")[0] in ("mean", "worst") else ("se", n.replace(" error", ""))
    names.append(rest.replace(" ", "_") + "_" + kind)
write("breast_cancer.csv", names + ["diagnosis"],
      [[text(v) for v in x] + [bc.target_names[y]] for x, y in zip(bc.data, bc.target)])

db = datasets.load_diabetes(scaled=False)
write("diabetes.csv", list(db.feature_names) + ["progression"],
      [[text(v) for v in x] + [text(y)] for x, y in zip(db.data, db.target)])

wine = datasets.load_wine()
write("wine.csv", [n.replace("/", "_") for n in wine.feature_names] + ["cultivar"],
      [[text(v) for v in x] + ["cultivar_%d" % (y + 1)] for x, y in zip(wine.data, wine.target)])

iris = datasets.load_iris()
write("iris.csv", ["sepal_length", "sepal_width", "petal_length", "petal_width", "species"],
      [[text(v) for v in x] + [iris.target_names[y]] for x, y in zip(iris.data, iris.target)])
write("two_columns.csv", ["flower", "petal_width", "petal_length", "sepal_width", "sepal_length", "species"],
      [["f%03d" % i, text(x[3]), text(x[2]), text(x[1]), text(x[0]), iris.target_names[y]]
       for i, (x, y) in enumerate(zip(iris.data, iris.target)) if y > 0])
