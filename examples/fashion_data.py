"""Fashion-MNIST as the Keras programs beside it read it: the IDX files of Debian's dataset-fashion-mnist, or of the
folder given as argument; pixels / 255."""
import gzip
import sys
from pathlib import Path

import numpy as np

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/datasets/fashion-mnist")


def idx(name):
    with gzip.open(folder / name) as f:
        data = f.read()
    shape = np.frombuffer(data, ">u4", data[3], 4)
    return np.frombuffer(data, np.uint8, -1, 4 + 4 * data[3]).reshape(shape)


x_train, y_train = idx("train-images-idx3-ubyte.gz") / np.float32(255), idx("train-labels-idx1-ubyte.gz")
x_test, y_test = idx("t10k-images-idx3-ubyte.gz") / np.float32(255), idx("t10k-labels-idx1-ubyte.gz")
