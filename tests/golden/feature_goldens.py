#!/usr/bin/env python3
"""Goldens of src/feature from scikit-learn and numpy; writes feature_goldens.json beside this file.

Run with Debian 12's python3 (scikit-learn 1.2.1, numpy 1.24.2). What scikit-learn 1.2 lacks (target
encoding, Philox folds, date parts) is written here from the formulas, in float64, two passes.
"""
import datetime as dt
import json
import math
import os

import numpy as np
import sklearn
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (FunctionTransformer, MinMaxScaler, OneHotEncoder, OrdinalEncoder,
                                   QuantileTransformer, RobustScaler, StandardScaler)

rng = np.random.default_rng(7)
cases = []


def col(v):
    return np.asarray(v, dtype=np.float64).reshape(-1, 1)


def cells(v):
    return [None if x is None or (isinstance(x, float) and math.isnan(x)) else x for x in v]


def case(name, kind, train, predict, spec, expect_train, expect_predict, names, **more):
    cases.append({"name": name, "type": kind, "train": cells(train), "predict": cells(predict), "spec": spec,
                  "expect_train": np.asarray(expect_train, dtype=np.float64).tolist(),
                  "expect_predict": np.asarray(expect_predict, dtype=np.float64).tolist(),
                  "names": names, **more})


def number(name, train, predict, spec, pipe):
    a, b = col(train), col(predict)
    pipe.fit(a)
    case(name, "number", [float(x) for x in a[:, 0]], [float(x) for x in b[:, 0]], spec, pipe.transform(a),
         pipe.transform(b), ["x"])


def holes(v, share=0.15):
    v = np.array(v, dtype=np.float64)
    v[rng.random(len(v)) < share] = np.nan
    return v


nan = float("nan")
n = 301
norm = holes(rng.normal(50, 12, n))
skew = holes(np.exp(rng.normal(0, 2, n)))
ties = holes(np.floor(rng.exponential(3, n)))
far = rng.normal(0, 1, n) + 1e9
probe = [nan, -3.5, 0.0, 1.0, 2.0, 44.25, 1e6]
signed_log = FunctionTransformer(lambda x: np.sign(x) * np.log1p(np.abs(x)))
mean, median = SimpleImputer(strategy="mean"), SimpleImputer(strategy="median")
mode = SimpleImputer(strategy="most_frequent")

number("standard", norm, probe, {}, make_pipeline(mean, StandardScaler()))
number("standard median", skew, probe, {"impute": "median"}, make_pipeline(median, StandardScaler()))
number("standard mode", ties, probe, {"impute": "mode"}, make_pipeline(mode, StandardScaler()))
number("standard far from zero", far, [1e9, 1e9 + 2], {}, make_pipeline(mean, StandardScaler()))
number("min-max", norm, probe, {"scale": "min-max", "impute": "median"}, make_pipeline(median, MinMaxScaler()))
number("robust", skew, probe, {"scale": "robust"}, make_pipeline(mean, RobustScaler()))
number("log", skew - 3, probe, {"scale": "log"}, make_pipeline(mean, signed_log, StandardScaler()))
number("none constant", norm, probe, {"scale": "none", "impute": {"constant": -1.5}},
       SimpleImputer(strategy="constant", fill_value=-1.5))
number("constant column", np.full(20, 3.25), [3.25, nan], {}, make_pipeline(mean, StandardScaler()))
number("quantile", norm, probe, {"scale": "quantile", "quantiles": 25},
       make_pipeline(mean, QuantileTransformer(n_quantiles=25, subsample=10**9)))
number("quantile ties", ties, probe, {"scale": "quantile", "quantiles": 40, "impute": "median"},
       make_pipeline(median, QuantileTransformer(n_quantiles=40, subsample=10**9)))
number("fahrenheit", norm, [32.0, 212.0, -40.0], {"scale": "none", "unit": {"from": "F", "to": "C"}},
       make_pipeline(mean, FunctionTransformer(lambda f: (f - 32) / 1.8)))
number("glucose", norm, [90.0, 180.0], {"unit": {"from": "mg/dl", "to": "mmol/l", "factor": 0.0555}},
       make_pipeline(mean, FunctionTransformer(lambda g: g * 0.0555), StandardScaler()))

flags = holes(rng.integers(0, 2, 41).astype(float))
mode.fit(col(flags))
case("boolean", "boolean", list(flags), [nan, 0.0, 1.0], {}, mode.transform(col(flags)),
     mode.transform(col([nan, 0.0, 1.0])), ["x"])
ind = np.isnan(flags).astype(float)
case("boolean indicator", "boolean", list(flags), [nan, 1.0], {"indicator": True},
     np.column_stack([mode.transform(col(flags))[:, 0], ind]), [[mode.statistics_[0], 1], [1, 0]],
     ["x", "x=(missing)"])

# categories: distinct counts, so that no tie decides; é proves byte order
words = sum([[w] * k for w, k in [("red", 13), ("Blue", 9), ("green", 7), ("é", 4), ("10", 3), ("9", 1)]], [])
words = [words[i] for i in rng.permutation(len(words))]
some = [None if rng.random() < 0.2 else w for w in words]
probe_words = ["red", "Blue", "9", "violet", None, ""]


def onehot(values, cats):
    enc = OneHotEncoder(categories=[cats], handle_unknown="ignore", sparse_output=False)
    enc.fit(np.array(cats, dtype=object).reshape(-1, 1))
    return enc.transform(np.array(values, dtype=object).reshape(-1, 1))


cats = sorted(set(words), key=lambda s: s.encode())
case("onehot", "category", words, probe_words, {}, onehot(words, cats),
     onehot([w or "?" for w in probe_words], cats), ["x=" + c for c in cats])
seen = sorted({w for w in some if w is not None}, key=lambda s: s.encode())
case("onehot missing", "category", some, probe_words, {}, onehot([w or "\uffff" for w in some], seen + ["\uffff"]),
     onehot(["\uffff" if w is None else w or "?" for w in probe_words], seen + ["\uffff"]),
     ["x=" + c for c in seen] + ["x=(missing)"])
enc = OneHotEncoder(max_categories=4, handle_unknown="infrequent_if_exist", sparse_output=False)
enc.fit(np.array(words, dtype=object).reshape(-1, 1))
assert [str(s) for s in enc.get_feature_names_out(["x"])] == \
    ["x_Blue", "x_green", "x_red", "x_infrequent_sklearn"]
as_rows = np.array([w or "?" for w in probe_words], dtype=object).reshape(-1, 1)
case("onehot rare", "category", words, probe_words, {"max_categories": 3},
     enc.transform(np.array(words, dtype=object).reshape(-1, 1)), enc.transform(as_rows),
     ["x=Blue", "x=green", "x=red", "x=(other)"])
enc = OneHotEncoder(min_frequency=4, handle_unknown="infrequent_if_exist", sparse_output=False)
enc.fit(np.array(words, dtype=object).reshape(-1, 1))
case("onehot min_count", "category", words, probe_words, {"min_count": 4},
     enc.transform(np.array(words, dtype=object).reshape(-1, 1)), enc.transform(as_rows),
     ["x=Blue", "x=green", "x=red", "x=é", "x=(other)"])

enc = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, categories=[cats])
a = np.array(words, dtype=object).reshape(-1, 1)
case("ordinal", "category", words, probe_words, {"encode": "ordinal", "scale": "none"}, enc.fit_transform(a),
     enc.transform(as_rows), ["x"])
std = StandardScaler()
case("ordinal standard", "category", words, probe_words, {"encode": "ordinal"},
     std.fit_transform(enc.transform(a)), std.transform(enc.transform(as_rows)), ["x"])
digits = [str(d) for d in rng.integers(0, 13, 60)]
order = sorted(set(digits), key=float)
case("ordinal numbers", "category", digits, ["2", "10", "x"], {"encode": "ordinal", "scale": "none"},
     [[order.index(d)] for d in digits], [[order.index(d) if d in order else -1] for d in ["2", "10", "x"]], ["x"])
sizes = [["S", "M", "L"][i] for i in rng.integers(0, 3, 30)]
order = ["XS", "S", "M", "L"]
case("ordinal order", "category", sizes, ["XS", "L"], {"encode": "ordinal", "scale": "none", "order": order},
     [[order.index(s)] for s in sizes], [[0], [3]], ["x"])


# ---- out-of-fold target encoding ----

def philox(counter, stream, seed):
    """Philox4x32-10 (Salmon et al. 2011): counter and stream as four 32-bit words, seed as the key."""
    c = [counter & 0xffffffff, counter >> 32, stream & 0xffffffff, stream >> 32]
    k = [seed & 0xffffffff, seed >> 32]
    for r in range(10):
        if r:
            k = [(k[0] + 0x9E3779B9) & 0xffffffff, (k[1] + 0xBB67AE85) & 0xffffffff]
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & 0xffffffff, (p0 >> 32) ^ c[3] ^ k[1], p0 & 0xffffffff]
    return c


def smoothed(rows, values, y, cell, m):
    """Smoothed mean of y over the rows whose value is `cell`."""
    prior = y[rows].mean(axis=0)
    own = [r for r in rows if values[r] == cell]
    return (y[own].sum(axis=0) + m * prior) / (len(own) + m)


def target(name, values, y, probe, spec, m, folds, task, names, **more):
    y = np.asarray(y, dtype=np.float64)
    labels = y
    if task == "multiclass":
        y = np.eye(int(y.max()) + 1)[y.astype(int)]
    else:
        y = y.reshape(-1, 1)
    seed, ids = 1234567890123, np.arange(len(values))
    fold = np.array([philox(int(i), 3, seed)[0] * folds >> 32 for i in ids])
    full = [smoothed(ids, values, y, p, m) for p in values]
    out = [smoothed(ids[fold != fold[i]], values, y, values[i], m) for i in ids]
    known = set(values)
    expect = [smoothed(ids, values, y, p, m) if p in known else y.mean(axis=0) for p in probe]
    case(name, "category", values, probe, {"encode": "target", "scale": "none", **spec}, full, expect, names,
         task=task, y=labels.tolist(), seed=seed, expect_oof=np.asarray(out).tolist(), **more)


town = [["rome", "oslo", "lima", None, "graz"][i] for i in rng.integers(0, 5, 80)]
town[17] = "once"
value = rng.normal(10, 3, 80) + np.array([len(t or "") for t in town])
target("target regression", town, value, ["rome", None, "nowhere", "once"], {}, 10, 5, "regression", ["x.target"])
target("target binary", town, (value > 14).astype(float), ["oslo", "nowhere"],
       {"smoothing": 2.5, "folds": 3}, 2.5, 3, "binary", ["x.target"])
target("target classes", town, rng.integers(0, 3, 80), ["oslo", None, "nowhere"], {}, 10, 5, "multiclass",
       ["x.target_0", "x.target_1", "x.target_2"], n_classes=3)

# ---- dates ----

epoch = dt.datetime(1970, 1, 1)


def micros(d):
    return (d - epoch) // dt.timedelta(microseconds=1)


def parts(d):
    out = [d.year]
    for v, period in ((d.month, 12), (d.day, 31), (d.weekday(), 7), (d.hour, 24)):
        out += [math.sin(2 * math.pi * v / period), math.cos(2 * math.pi * v / period)]
    return out


dates = [dt.datetime(1850, 1, 1) + dt.timedelta(seconds=int(s)) for s in rng.integers(0, 9_000_000_000, 50)]
dates += [dt.datetime(2000, 2, 29, 23, 59, 59, 999999), dt.datetime(1969, 12, 31, 23), dt.datetime(1900, 3, 1)]
late = [dt.datetime(2026, 11, 21, 13, 17), dt.datetime(1582, 10, 15)]
p = np.array([parts(d) for d in dates])
q = np.array([parts(d) for d in late])
year = StandardScaler().fit(p[:, :1])
date_names = ["x.year"] + [f"x.{w}_{f}" for w in ("month", "day", "weekday", "hour") for f in ("sin", "cos")]
case("dates", "date", [micros(d) for d in dates], [micros(d) for d in late], {},
     np.hstack([year.transform(p[:, :1]), p[:, 1:]]), np.hstack([year.transform(q[:, :1]), q[:, 1:]]), date_names)
plain = [[d.hour, d.weekday(), (d - epoch) / dt.timedelta(days=1)] for d in dates]
case("date numbers", "date", [micros(d) for d in dates], [micros(late[0])],
     {"parts": ["hour", "weekday", "days"], "cyclic": False, "scale": "none"}, plain,
     [[late[0].hour, late[0].weekday(), (late[0] - epoch) / dt.timedelta(days=1)]],
     ["x.hour", "x.weekday", "x.days"])

out = {"made_by": "feature_goldens.py", "sklearn": sklearn.__version__, "numpy": np.__version__, "cases": cases}
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "feature_goldens.json"), "w") as f:
    json.dump(out, f, ensure_ascii=False, separators=(",", ":"))
    f.write("\n")
print(len(cases), "cases")
