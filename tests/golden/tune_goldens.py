#!/usr/bin/env python3
"""Goldens of src/tune: Sobol's points from SciPy, log expected improvement from mpmath with 60 digits, a Gaussian
process written plainly with numpy, hypervolumes by inclusion and exclusion; writes tune_goldens.h beside this file.

Run with Debian 12's python3 (SciPy 1.10.1, numpy 1.24.2, mpmath 1.2.1).
"""
import itertools
import os

import mpmath as mp
import numpy as np
from scipy.stats import qmc

mp.mp.dps = 60
out = ["/* Made by tune_goldens.py (SciPy 1.10.1, numpy 1.24.2, mpmath 1.2.1); see there. */", "#include <stdint.h>", ""]


def array(name, kind, values, shape, per_line=4):
    text = [str(v) for v in values]
    lines = [", ".join(text[i:i + per_line]) + "," for i in range(0, len(text), per_line)]
    out.append(f"static const {kind} {name}{shape} = {{")
    out.extend("    " + line for line in lines)
    out.append("};")


sobol = qmc.Sobol(24, scramble=False, bits=32).random(64)
pick = [1, 2, 3, 5, 8, 13, 21, 34, 55, 63]
array("golden_sobol_index", "uint32_t", pick, f"[{len(pick)}]", 10)
array("golden_sobol", "uint32_t", [f"0x{int(v * 2**32):08x}u" for v in sobol[pick].ravel()], f"[{len(pick) * 24}]", 8)

rows = []
for mean, sd, f0 in [(0, 1, 0), (1.5, .3, 1), (-2, .5, 0), (.2, .1, -.29), (.2, .1, -.31), (3, .1, 0), (0, .04, -1.01), (5, .01, 0),
                     (1, 1e-4, 0), (1, 1e-6, -1), (2, 1e-9, 0), (.7, 2, .1)]:
    z = (mp.mpf(f0) - mp.mpf(mean)) / mp.mpf(sd)
    ei = mp.npdf(z) + z * mp.ncdf(z)
    slope = mp.ncdf(z) / ei
    rows += [mean, sd, f0, mp.nstr(mp.log(ei) + mp.log(mp.mpf(sd)), 17), mp.nstr(-slope / mp.mpf(sd), 17),
             mp.nstr((1 - slope * z) / mp.mpf(sd), 17)]
array("golden_log_ei", "double", rows, f"[{len(rows)}] /* mean, sd, f0, value, by mean, by sd */", 6)

rng = np.random.default_rng(5)
n, d = 12, 3
x = np.round(rng.random((n, d)), 6)
x[:, 2] = rng.integers(0, 3, n)  # unordered
y = np.round(np.sin(5 * x[:, 0]) + x[:, 1] ** 2 + .3 * x[:, 2], 6)
p = np.array([1.1, -.4, .3, .2, -4.])
theta, s2, noise = np.exp(p[:3]), np.exp(p[3]), np.exp(p[4]) + 1e-6


def kernel(a, b):
    r2 = np.zeros((len(a), len(b)))
    for i in range(d):
        e = a[:, None, i] - b[None, :, i]
        r2 += theta[i] * ((e != 0) if i == 2 else e * e)
    r = np.sqrt(5 * r2)
    return s2 * (1 + r + 5 / 3 * r2) * np.exp(-r)


c = kernel(x, x) + noise * np.eye(n)
loss = .5 * y @ np.linalg.solve(c, y) + .5 * np.linalg.slogdet(c)[1]
loss += (.4 / theta + .1 * theta).sum() - (np.log(s2) - s2) - (.1 * np.log(noise) - 30 * noise)
q = np.round(rng.random((9, d)), 6)
q[:, 2] = rng.integers(0, 3, 9)
k = kernel(x, q)
mean = k.T @ np.linalg.solve(c, y)
var = s2 - np.einsum("ij,ij->j", k, np.linalg.solve(c, k))
array("golden_gp_x", "double", x.ravel().tolist(), f"[{n * d}]", 6)
array("golden_gp_y", "double", y.tolist(), f"[{n}]", 6)
array("golden_gp_p", "double", p.tolist(), "[5]", 5)
array("golden_gp_loss", "double", [repr(float(loss))], "[1]")
array("golden_gp_at", "double", q.ravel().tolist(), f"[{9 * d}]", 6)
array("golden_gp_mean", "double", mean.tolist(), "[9]", 3)
array("golden_gp_variance", "double", var.tolist(), "[9]", 3)

for m in (2, 3, 4):
    f = np.round(rng.random((8, m)), 3)
    total = 0.0
    for r in range(1, 9):
        for s in itertools.combinations(range(8), r):
            total += (-1) ** (r + 1) * np.prod(1.1 - f[list(s)].max(0))
    array(f"golden_points{m}", "double", f.ravel().tolist(), f"[{8 * m}]", 8)
    array(f"golden_volume{m}", "double", [repr(float(total))], "[1]")

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "tune_goldens.h"), "w") as file:
    file.write("\n".join(out) + "\n")
