#!/usr/bin/env python3
"""Weights as Keras writes them, and what Keras predicts with them: a CNN, a recurrent net and a dense net, each as
.weights.h5 and .keras (Keras 3) and as whole .h5 and weights-only .h5 (the format of Keras 2, written by Keras's
own legacy module; one file also under the names that Keras 2 gave its variables, "dense/kernel:0").

Usage: keras_weights.py tests/unit/learn/keras tests/conformance/weights/files
Made with Keras 3.15.1 on PyTorch 2.15.0, h5py 3.14.0. Inputs are a formula that test_weights.c repeats."""
import json
import os
import sys

os.environ.setdefault("KERAS_BACKEND", "torch")
import h5py
import keras
import numpy as np
from keras import layers
from keras.src.legacy.saving import legacy_h5_format

from formula import draw


def cnn():
    return keras.Sequential(
        [
            keras.Input((8, 9, 3)),
            layers.Conv2D(4, (3, 2), padding="same", activation="relu", name="c1"),
            layers.BatchNormalization(name="n1"),
            layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", name="dw"),
            layers.MaxPooling2D(2),
            layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False, name="c2"),
            layers.BatchNormalization(name="n2"),
            layers.ReLU(),
            layers.Conv2DTranspose(3, 3, strides=2, padding="same", name="up"),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(4, activation="softmax", name="out"),
        ],
        name="pictures",
    )


def recurrent():
    return keras.Sequential(
        [
            keras.Input((7, 3)),
            layers.Conv1D(5, 3, padding="same", activation="relu", name="c"),
            layers.Bidirectional(layers.LSTM(4, return_sequences=True), name="both"),
            layers.LSTM(6, return_sequences=True, name="deep"),
            layers.LSTM(6, return_sequences=True, name="deep_1"),
            layers.GRU(5, return_sequences=True, name="gates"),
            layers.LayerNormalization(name="norm", epsilon=1e-5),
            layers.SimpleRNN(4, name="plain"),
            layers.Dense(4, activation="softmax", name="out"),
        ],
        name="sequences",
    )


def dense():
    """Default names of layers, a table of vectors, a model inside the model."""
    inner = keras.Sequential([keras.Input((12,)), layers.Dense(10, activation="tanh", name="inside")], name="inner")
    x = keras.Input((4,))
    y = layers.Flatten()(layers.Embedding(9, 3, name="table")(x))
    y = layers.BatchNormalization(name="flat", scale=False)(inner(y))
    y = layers.Dense(8, activation="relu")(y)
    return keras.Model(x, layers.Dense(4, activation="softmax")(y), name="rows")


def fill(model, seed):
    scale = 2.0 if model.name == "sequences" else 1.0
    for i, v in enumerate(model.weights):
        u = draw(int(np.prod(v.shape)), seed + i).reshape(v.shape)
        name = v.name
        v.assign(1 + u if name in ("gamma", "moving_variance") else u * (0.4 if name in ("beta", "moving_mean") else scale))


def as_keras2(source, target):
    """The same weights under the names of Keras 2."""
    with h5py.File(source) as f, h5py.File(target, "w") as g:
        for layer in f:
            names = []

            def copy(path, d):
                if isinstance(d, h5py.Dataset):
                    parts = path.split("/")
                    parts = [p for p in parts[:-1] if p not in ("pictures", "sequences", "rows")] + [parts[-1] + ":0"]
                    names.append("/".join(parts))
                    g.create_dataset(layer + "/" + names[-1], data=d[()])

            g.require_group(layer)
            f[layer].visititems(copy)
            g[layer].attrs["weight_names"] = [n.encode() for n in names]
        g.attrs["layer_names"] = [n.encode() for n in f]
        g.attrs["keras_version"] = b"2.15.0"


def hostile(where):
    """What the reader refuses, and a packed array that it reads."""
    ones = np.ones((40, 50), np.float32)

    def file(name):
        return h5py.File(os.path.join(where, name), "w")

    with file("packed.h5") as f:
        f.create_dataset("d/d/kernel:0", data=np.arange(2000, dtype=np.float64).reshape(40, 50), compression="gzip",
                         shuffle=True)
        f.create_dataset("d/d/bias:0", data=ones[0].astype(np.float16))
        f.create_dataset("d/d/count:0", data=np.arange(3))
    with file("bad_external_link.h5") as f:
        f["d"] = h5py.ExternalLink("/etc/passwd", "/x")
    with file("bad_soft_link.h5") as f:
        f.create_dataset("a", data=ones)
        f["d"] = h5py.SoftLink("/a")
    with file("bad_external_data.h5") as f:
        f.create_dataset("d", (100,), np.float32, external=[("/etc/passwd", 0, 400)])
    with file("bad_virtual.h5") as f:
        layout = h5py.VirtualLayout((5,), np.float32)
        layout[:] = h5py.VirtualSource("other.h5", "d", (5,))
        f.create_virtual_dataset("d", layout)
    with file("bad_filter.h5") as f:
        f.create_dataset("d", data=ones, compression="lzf")
    with file("bad_huge.h5") as f:  # claims 4 TB, stores nothing
        f.create_dataset("d", (1 << 20, 1 << 20), np.float32, chunks=(1 << 10, 1 << 10))
    with file("bad_sparse.h5") as f:
        f.create_dataset("d", (1 << 20,), np.float32)
    with file("bad_chunk.h5") as f:
        f.create_dataset("d", data=ones, chunks=(1 << 11, 1 << 11), maxshape=(None, None), compression="gzip")
    with file("bad_circle.h5") as f:
        f.create_group("a")["again"] = f["/"]
        f["a"]["more"] = f["/"]
    with file("bad_deep.h5") as f:
        f.create_dataset("/".join("g" * 40), data=ones)


def main(where, files):
    out = {}
    for seed, (name, make) in enumerate((("cnn", cnn), ("recurrent", recurrent), ("dense", dense))):
        keras.utils.clear_session(free_memory=False)
        keras.utils.set_random_seed(1)
        m = make()
        m.compile("adam", "categorical_crossentropy")
        fill(m, 100 * (seed + 1))
        shape = (2,) + m.input_shape[1:]
        x = 4 * draw(int(np.prod(shape)), 9 + seed).reshape(shape)
        if name == "dense":
            x = 1 + np.floor(np.abs(x) * 3.9)  # 0 is padding, whose vector is 0 with us
        out[name] = {"x": shape, "y": m.predict(x.astype(np.float32), verbose=0).astype(float).flatten().tolist()}
        m.save_weights(os.path.join(where, name + ".weights.h5"))
        m.save(os.path.join(where, name + ".keras"))
        m.save(os.path.join(where, name + ".h5"))
        plain = os.path.join(where, name + "_weights.h5")
        with h5py.File(plain, "w") as f:
            legacy_h5_format.save_weights_to_hdf5_group(f, m)
        as_keras2(plain, os.path.join(where, name + "_keras2.h5"))
        os.remove(plain)
    old = keras.Sequential([keras.Input((7, 3)), layers.GRU(4, reset_after=False, name="g")], name="old")
    old.save_weights(os.path.join(where, "old_gru.weights.h5"))
    hostile(files)
    with open(os.path.join(where, "goldens.json"), "w") as f:
        json.dump(out, f, indent=1)
        f.write("\n")


main(sys.argv[1], sys.argv[2])
