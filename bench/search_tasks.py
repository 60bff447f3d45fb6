"""The five tasks of bench/search.sh: a space each, and the function to make small. bench/search.c has the same five;
search.sh compares both at shared points before it measures."""
import itertools
import math

import numpy as np


def branin(x, y):
    return (y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6) ** 2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


A = np.array([[10, 3, 17, 3.5, 1.7, 8], [.05, 10, 17, .1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, .05, 10, .1, 14]])
P = 1e-4 * np.array([[1312, 1696, 5569, 124, 8283, 5886], [2329, 4135, 8307, 3736, 1004, 9991],
                     [2348, 1451, 3522, 2883, 3047, 6650], [4047, 8828, 8732, 5743, 1091, 381]])
ALPHA = np.array([1, 1.2, 3, 3.2])


def hartmann6(*x):
    return -float(ALPHA @ np.exp(-(A * (np.asarray(x) - P) ** 2).sum(1)))


def mixed(rate, width, decay, kind, depth):
    """A loss as a network's: rate, width and decay in [0, 1], optimiser of four, depth 0..7."""
    r0 = [.55, .35, .7, .5][kind]
    base = [.05, .02, .06, .0][kind]
    return (base + (2.2 * (rate - r0 - .02 * (depth - 3))) ** 2 + .3 * (width - .6) ** 2 + .02 * abs(depth - 5)
            + .15 * (decay - .3) ** 2 * (1 + rate))


def interpolate(values, at):
    """Multilinear; at: place in each dimension in units of the grid."""
    low = [min(int(a), n - 2) for a, n in zip(at, values.shape)]
    total = 0.0
    for corner in itertools.product((0, 1), repeat=len(low)):
        w = 1.0
        for c, a, k in zip(corner, at, low):
            w *= (a - k) if c else 1 - (a - k)
        if w:
            total += w * float(values[tuple(k + c for k, c in zip(low, corner))])
    return total


class Task:
    """space: name -> (kind, low, high) with kind float, log, int or choice (low = number of choices)"""

    def __init__(self, space, f, best=None, search_best=None):
        self.space, self.f, self.best, self.search_best, self.d = space, f, best, search_best, len(space)

    def at(self, u):
        v = []
        for x, (kind, low, high) in zip(u, self.space.values()):
            if kind == "float":
                v.append(low + x * (high - low))
            elif kind == "log":
                v.append(math.exp(math.log(low) + x * (math.log(high) - math.log(low))))
            elif kind == "int":
                v.append(low + min(high - low, int(x * (high - low + 1))))
            else:
                v.append(min(low - 1, int(x * low)))
        return self.f(*v)


def place(v, low, high, n):
    return (math.log(v) - math.log(low)) / (math.log(high) - math.log(low)) * (n - 1)


def mixed_best():
    return min(mixed(r, .6, .3, k, d) for r in np.linspace(0, 1, 20001) for k in range(4) for d in range(8))


def tasks(tables):
    svc = np.array(tables["svc"]["values"]).reshape(tables["svc"]["shape"])
    gbm = np.array(tables["boosting"]["values"]).reshape(tables["boosting"]["shape"])
    return {
        "branin": Task({"x": ("float", -5, 10), "y": ("float", 0, 15)}, branin, 0.39788735772973816),
        "hartmann6": Task({f"x{i}": ("float", 0, 1) for i in range(6)}, hartmann6, -3.322368011391339),
        "mixed": Task({"rate": ("float", 0, 1), "width": ("float", 0, 1), "decay": ("float", 0, 1), "kind": ("choice", 4, 0),
                       "depth": ("int", 0, 7)}, mixed, search_best=mixed_best),
        "svc": Task({"c": ("log", 1e-2, 1e3), "gamma": ("log", 1e-6, 1)},
                    lambda c, g: interpolate(svc, [place(c, 1e-2, 1e3, 29), place(g, 1e-6, 1, 29)]), float(svc.min())),
        "boosting": Task({"rate": ("log", 0.005, 0.5), "trees": ("int", 1, 30), "depth": ("int", 1, 6),
                          "features": ("choice", 3, 0), "rows": ("choice", 2, 0)},
                         lambda r, t, d, f, s: interpolate(gbm[:, t - 1, d - 1, f, s], [place(r, 0.005, 0.5, 13)]),
                         float(gbm.min())),
    }
