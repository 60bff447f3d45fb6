"""Golden values for tests/unit/data/test_profile.c: numpy's statistics of a fixed data set.

Run with Debian's python3-numpy 1.24 and python3-sklearn 1.2.1:
    python3 tests/golden/data_profile.py > tests/golden/data_profile.h
"""
import numpy as np
import sklearn
from sklearn.datasets import load_breast_cancer

X, y = load_breast_cancer(return_X_y=True)
print("/* clang-format off */\n/* Made by data_profile.py with numpy %s, scikit-learn %s: the first 5 columns of the breast cancer set. */"
      % (np.__version__, sklearn.__version__))
print("struct golden { double min, max, mean, std, quantiles[7], correlation; };")
print("static const struct golden golden[5] = {")
for c in range(5):
    v = X[:, c]
    q = np.quantile(v, [.01, .05, .25, .5, .75, .95, .99])
    row = [v.min(), v.max(), v.mean(), v.std(ddof=1)]
    print("    {%s, {%s}, %r}," % (", ".join(repr(float(x)) for x in row), ", ".join(repr(float(x)) for x in q),
                                   float(np.corrcoef(v, y)[0, 1])))
print("};")
