#!/usr/bin/env python3
"""Goldens of src/feature's sounds from numpy; writes sound_goldens.json beside this file.

Run with Debian 12's python3 (numpy 1.24.2). Transforms are numpy.fft's; mel bands, DCT, Butterworth
sections and resampling are written here from their definitions (Slaney 1998, Oppenheim and Schafer,
Smith 2002), each in another way than in C: dense matrices, poles from the analogue prototype,
the sinc without a table.
"""
import json
import os

import numpy as np

rng = np.random.default_rng(11)


def rounded(x, digits=7):
    return [float(f"%.{digits}g" % v) for v in np.asarray(x, dtype=np.float64).ravel()]


# ---- Fourier ----
ffts = []
for n in [1, 2, 3, 4, 5, 8, 12, 17, 30, 64, 100, 127, 441]:
    x = rng.integers(-1000, 1000, n)
    y = np.fft.rfft(x)
    ffts.append({"x": x.tolist(), "re": rounded(y.real, 12), "im": rounded(y.imag, 12)})


# ---- log-mel and MFCC, as librosa 0.10 defines them ----
def hz_of(mel):
    mel = np.asarray(mel, dtype=np.float64)
    return np.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((mel - 15) / 27))


def mel_of(hz):
    return hz * 3 / 200 if hz < 1000 else 15 + 27 * np.log(hz / 1000) / np.log(6.4)


def bank(rate, n_fft, n_mels, low, high):
    edges = hz_of(np.linspace(mel_of(low), mel_of(high), n_mels + 2))
    bins = np.fft.rfftfreq(n_fft, 1 / rate)
    w = np.array([np.interp(bins, edges[m:m + 3], [0, 1, 0], left=0, right=0) for m in range(n_mels)])
    return w * (2 / (edges[2:] - edges[:-2]))[:, None]


def logmel(x, rate, n_fft, hop, n_mels, low=0, high=0):
    padded = np.concatenate([np.zeros(n_fft // 2), x, np.zeros(n_fft)])
    window = np.hanning(n_fft + 1)[:-1]
    frames = np.stack([padded[t * hop:t * hop + n_fft] * window for t in range(1 + len(x) // hop)])
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    mel = power @ bank(rate, n_fft, n_mels, low, high or rate / 2).T
    db = 10 * np.log10(np.maximum(mel, 1e-10))
    return np.maximum(db, db.max() - 80)


def mfcc(db, n):
    m = db.shape[1]
    basis = np.cos(np.pi / m * np.outer(np.arange(n), np.arange(m) + 0.5)) * np.sqrt(2 / m)
    basis[0] /= np.sqrt(2)
    return db @ basis.T


def samples(n, rate):
    t = np.arange(n) / rate
    chirp = 0.4 * np.sin(2 * np.pi * (200 + 1500 * t / t[-1]) * t) + 0.1 * np.sin(2 * np.pi * 2700 * t)
    x = chirp * np.minimum(1, 20 * t) + rng.normal(0, 0.01, n)
    return np.round(np.clip(x, -1, 1) * 32767).astype(int)


raw = samples(1500, 8000)
x = raw / 32768
mels = []
for name, n_fft, hop, n_mels, low, high, n_mfcc in [("usual", 256, 80, 20, 0, 0, 0), ("odd length", 200, 90, 13, 0, 0, 0),
                                                   ("band", 256, 100, 12, 300, 3000, 0),
                                                   ("mfcc", 256, 80, 20, 0, 0, 9)]:
    y = logmel(x, 8000, n_fft, hop, n_mels, low, high)
    if n_mfcc:
        y = mfcc(y, n_mfcc)
    mels.append({"name": name, "n_fft": n_fft, "hop": hop, "n_mels": n_mels, "low_hz": low, "high_hz": high,
                 "n_mfcc": n_mfcc, "out": [rounded(r) for r in y]})
silence = logmel(np.zeros(400), 8000, 256, 80, 8)


# ---- Butterworth, order 4: poles of the prototype, bilinear transform, then the difference equation ----
def butter(x, rate, hz, high):
    w = 2 * rate * np.tan(np.pi * hz / rate)
    p = np.exp(1j * np.pi * (2 * np.arange(1, 5) + 3) / 8)
    p = w / p if high else w * p
    z = (2 * rate + p) / (2 * rate - p)
    a = np.poly(z).real
    b = np.poly([1] * 4 if high else [-1] * 4).real
    at = -1 if high else 1
    b *= np.polyval(a, at) / np.polyval(b, at)
    y = np.zeros(len(x))
    for i in range(len(x)):
        y[i] = sum(b[k] * x[i - k] for k in range(5) if i >= k) - sum(a[k] * y[i - k] for k in range(1, 5) if i >= k)
    return y


filters = [{"low_hz": lo, "high_hz": hi,
            "out": rounded((lambda v: butter(v, 8000, hi, False) if hi else v)(butter(x[:300], 8000, lo, True) if lo else x[:300]), 9)}
           for lo, hi in [(300, 0), (0, 1000), (200, 3400)]]


# ---- resampling: the same kernel, evaluated exactly ----
def resample(x, rate, to):
    scale = min(1, to / rate)
    out = []
    for j in range(-(-len(x) * to // rate)):
        d = (np.arange(len(x)) - j * rate / to) * scale
        w = np.where(np.abs(d) < 32, np.i0(12 * np.sqrt(np.maximum(0, 1 - (d / 32) ** 2))) / np.i0(12.0), 0)
        out.append(np.sum(x * 0.945 * np.sinc(0.945 * d) * w) * scale)
    return np.array(out)


resampled = [{"from": a, "to": b, "out": rounded(resample(x[:n], a, b), 9)}
             for a, b, n in [(8000, 16000, 150), (16000, 8000, 300), (44100, 16000, 400), (11025, 8000, 260), (8000, 8000, 40)]]


# ---- gate and voice bounds ----
def energies(v, length, hop):
    return np.array([np.mean(v[i:i + length] ** 2) for i in range(0, len(v), hop)])


quiet = np.concatenate([np.zeros(333), 0.001 * np.sin(np.arange(500)), 0.5 * np.sin(0.3 * np.arange(700)),
                        0.001 * np.sin(np.arange(410)), 0.3 * np.sin(0.2 * np.arange(201))])
quiet = np.round(quiet * 32767) / 32768
e = energies(quiet, 80, 80)
g = (e >= e.max() * 10 ** (-30 / 10)).astype(float)
centres = np.arange(len(g)) * 80 + 39.5
gated = quiet * np.interp(np.arange(len(quiet)), centres, g)
e = energies(quiet, 200, 80)
loud = np.nonzero(e >= e.max() * 10 ** (-30 / 10))[0]
voice = [int(loud[0] * 80), int(min(len(quiet), loud[-1] * 80 + 200))]

here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(here, "sound_goldens.json"), "w") as f:
    json.dump({"numpy": np.__version__, "ffts": ffts, "rate": 8000, "samples": raw.tolist(), "mels": mels,
               "silence": rounded(silence[0]), "filters": filters, "resampled": resampled,
               "quiet": [int(round(v * 32768)) for v in quiet], "gated": rounded(gated, 9), "voice": voice}, f,
              separators=(",", ":"))
    f.write("\n")
