"""The tutorial that everyone knows, in Keras: what fashion_mnist.yaml says.

Reads the IDX files of Debian's dataset-fashion-mnist, or of the folder given: pixels / 255, Flatten, Dense 128 relu,
Dense 10, sparse categorical cross-entropy from logits, Adam, 10 epochs, one line of test accuracy at the end.
"""
import gzip
import sys
from pathlib import Path

import numpy as np
from keras import layers, losses, models, utils

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/datasets/fashion-mnist")


def idx(name):
    with gzip.open(folder / name) as f:
        data = f.read()
    shape = np.frombuffer(data, ">u4", data[3], 4)
    return np.frombuffer(data, np.uint8, -1, 4 + 4 * data[3]).reshape(shape)


utils.set_random_seed(42)
x_train, y_train = idx("train-images-idx3-ubyte.gz") / np.float32(255), idx("train-labels-idx1-ubyte.gz")
x_test, y_test = idx("t10k-images-idx3-ubyte.gz") / np.float32(255), idx("t10k-labels-idx1-ubyte.gz")

model = models.Sequential([
    layers.Input((28, 28)),
    layers.Flatten(),
    layers.Dense(128, activation="relu"),
    layers.Dense(10),
])
model.compile(optimizer="adam", loss=losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
model.fit(x_train, y_train, epochs=10, validation_split=0.1, verbose=0)
loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
print("test accuracy", accuracy)
