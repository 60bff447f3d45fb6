#!/usr/bin/env python3
"""Goldens of src/feature/image.c from Pillow and numpy; writes image_goldens.json beside this file.

Run with Debian 12's python3 (Pillow 9.4, numpy 1.24). Resizing is Pillow's BILINEAR in mode F (no rounding to
bytes); the pictures are made from a formula that the test repeats.
"""
import json
import os

import numpy as np
from PIL import Image, ImageOps


def picture(w, h, c, k=0):
    y, x, ch = np.mgrid[0:h, 0:w, 0:c]
    return ((x * 37 + y * 59 + ch * 83 + x * y * 7 + k * 29) % 256).astype(np.uint8)


def grey(p):
    return np.asarray(Image.fromarray(p).convert("L"))[:, :, None]


def resized(p, width, height, how):
    planes = []
    for c in range(p.shape[2]):
        f = Image.fromarray(p[:, :, c].astype(np.float32), "F")
        if how == "stretch":
            g = f.resize((width, height), Image.BILINEAR)
        elif how == "crop":
            g = ImageOps.fit(f, (width, height), Image.BILINEAR)
        else:
            scale = min(width / f.width, height / f.height)
            w, h = max(1, round(f.width * scale)), max(1, round(f.height * scale))
            g = Image.new("F", (width, height), 0)
            g.paste(f.resize((w, h), Image.BILINEAR), ((width - w) // 2, (height - h) // 2))
        planes.append(np.asarray(g))
    return np.stack(planes, 2)


def flat(a):
    return [float(f"{v:.7g}") for v in np.asarray(a, dtype=np.float64).ravel()]


cases = []
for w, h, c, width, height, how in [
        (13, 9, 1, 13, 9, "stretch"), (13, 9, 3, 7, 5, "stretch"), (13, 9, 3, 20, 15, "stretch"),
        (40, 31, 1, 6, 4, "stretch"), (1, 1, 3, 4, 3, "stretch"), (5, 40, 1, 9, 3, "stretch"),
        (30, 11, 3, 8, 8, "crop"), (11, 30, 1, 8, 6, "crop"), (9, 9, 1, 16, 16, "crop"),
        (30, 11, 3, 8, 8, "pad"), (11, 30, 1, 8, 7, "pad"), (64, 1, 1, 5, 6, "pad")]:
    cases.append({"w": w, "h": h, "c": c, "width": width, "height": height, "resize": how,
                  "expect": flat(resized(picture(w, h, c), width, height, how))})

# standard: each picture weighs the same, population deviation, of the pixels as they came
train = [picture(12, 10, 3, 0), picture(5, 4, 3, 1), picture(20, 3, 3, 2)]
means = np.mean([p.reshape(-1, 3).mean(0) for p in train], 0)
squares = np.mean([(p.reshape(-1, 3).astype(float) ** 2).mean(0) for p in train], 0)
std = np.sqrt(squares - means ** 2)
luma = [grey(p).astype(float) for p in train]
lm, lsd = np.mean([p.mean() for p in luma]), 0
lsd = np.sqrt(np.mean([(p ** 2).mean() for p in luma]) - lm ** 2)
imagenet = (picture(6, 5, 3) / 255.0 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
rgba = Image.fromarray(picture(6, 5, 4), "RGBA")
white = Image.alpha_composite(Image.new("RGBA", rgba.size, (255, 255, 255, 255)), rgba).convert("RGB")
p = picture(12, 10, 3)
bins = 8
histogram = [np.histogram(p[:, :, c], bins, (0, 256))[0] for c in range(3)]
histogram.append(np.histogram(grey(p), bins, (0, 256))[0])
out = {"resize": cases,
       "standard": flat((resized(train[0], 6, 5, "stretch") - means) / std),
       "standard_grey": flat((resized(grey(train[0]), 6, 5, "stretch") - lm) / lsd),
       "grey": flat(grey(picture(6, 5, 3))), "imagenet": flat(imagenet), "white": flat(np.asarray(white)),
       "histogram": flat(np.concatenate(histogram) * bins / 120.0)}
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "image_goldens.json"), "w") as f:
    json.dump(out, f, separators=(",", ":"))
    f.write("\n")
