"""The direction in which something moves, from 8 frames of each clip, in Keras: what motion.yaml says."""
import sys
from pathlib import Path

import cv2
import numpy as np
from keras import layers, losses, models, utils

folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "motion")
FRAMES, SIDE = 8, 16


def clip(path):
    """[8, 16, 16, 1]: frames spread evenly over the clip, grey, 0 to 1."""
    video, frames = cv2.VideoCapture(str(path)), []
    while True:
        ok, frame = video.read()
        if not ok:
            break
        grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
        frames.append(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA) / np.float32(255))
    at = [int((i + 0.5) * len(frames) / FRAMES) for i in range(FRAMES)]
    return np.stack([frames[i] for i in at])[..., None]


utils.set_random_seed(42)
files = sorted(folder.glob("*/*.mp4"))
x, y = np.stack([clip(f) for f in files]), np.array([f.parent.name == "right" for f in files], np.float32)
order = np.random.default_rng(42).permutation(len(x))
train, test = order[len(x) // 4:], order[:len(x) // 4]

model = models.Sequential([
    layers.Input((FRAMES, SIDE, SIDE, 1)),
    layers.TimeDistributed(layers.Conv2D(8, 3, padding="same", activation="relu")),
    layers.TimeDistributed(layers.MaxPooling2D()),
    layers.TimeDistributed(layers.Conv2D(16, 3, padding="same", activation="relu")),
    layers.TimeDistributed(layers.MaxPooling2D()),
    layers.TimeDistributed(layers.Flatten()),
    layers.LSTM(32),
    layers.Dense(1),
])
model.compile(optimizer="adam", loss=losses.BinaryCrossentropy(from_logits=True), metrics=["accuracy"])
model.fit(x[train], y[train], epochs=60, batch_size=8, verbose=0)
loss, accuracy = model.evaluate(x[test], y[test], verbose=0)
print("test accuracy", accuracy)
