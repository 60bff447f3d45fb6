"""MLP 784-128-10 training step beside PyTorch and Keras; rounds alternate within one run, ratios are of medians.

python3 bench/mlp_peers.py PROGRAM [--rounds N] [--threads N] peer=python ...
  PROGRAM        bench/mlp, built
  peer=python    "torch=/usr/bin/python3", "keras=..."; a name may be followed by :label
Each peer is this same file, started with `--serve KIND THREADS` by that interpreter; protocol as in bench/mlp.c.
"""
import os
import statistics
import subprocess
import sys
import time


def serve_torch(threads):
    import torch
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    data, labels = torch.randn(8192, 784), torch.randint(0, 10, (8192,))

    def run(batch, steps):
        model = torch.nn.Sequential(torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
        opt = torch.optim.Adam(model.parameters(), lr=0.001)
        loss_of = torch.nn.CrossEntropyLoss()
        x, y = data[:batch], labels[:batch]

        def step():
            opt.zero_grad()
            loss_of(model(x), y).backward()
            opt.step()
        for _ in range(20):
            step()
        began = time.perf_counter()
        for _ in range(steps):
            step()
        return (time.perf_counter() - began) / steps
    return run, torch.__version__


def serve_keras(threads):
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
    import numpy as np
    import tensorflow as tf
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    import keras
    rng = np.random.default_rng(1)
    data = tf.constant(rng.standard_normal((8192, 784), dtype=np.float32))
    labels = tf.constant(rng.integers(0, 10, 8192).astype(np.int32))

    def run(batch, steps):
        model = keras.Sequential([keras.Input((784,)), keras.layers.Dense(128, activation="relu"),
                                  keras.layers.Dense(10)])
        model.compile(optimizer=keras.optimizers.Adam(0.001),
                      loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        x, y = data[:batch], labels[:batch]
        for _ in range(20):
            model.train_on_batch(x, y)
        began = time.perf_counter()
        for _ in range(steps):
            model.train_on_batch(x, y)
        return (time.perf_counter() - began) / steps
    return run, keras.__version__ + "/tf " + tf.__version__


def serve(kind, threads):
    run, version = {"torch": serve_torch, "keras": serve_keras}[kind](threads)
    print(version, flush=True)
    for line in sys.stdin:
        _, batch, steps = line.split()
        print(run(int(batch), int(steps)), flush=True)


class Peer:
    def __init__(self, name, command):
        env = dict(os.environ, CUDA_VISIBLE_DEVICES="")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        self.name = name
        self.version = self.process.stdout.readline().strip()

    def time(self, what, batch, steps):
        self.process.stdin.write("%s %d %d\n" % (what, batch, steps))
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def main():
    args = sys.argv[1:]
    program, rounds, threads, peers = args.pop(0), 15, "1", []
    while args:
        a = args.pop(0)
        if a == "--rounds":
            rounds = int(args.pop(0))
        elif a == "--threads":
            threads = args.pop(0)
        else:
            kind, python = a.split("=", 1)
            peers.append(Peer(kind, [python, os.path.abspath(__file__), "--serve", kind, threads]))
    ours = Peer("aimass", [program, threads])
    for batch in (32, 128):
        steps = {"aimass": 1000, "torch": 200, "keras": 60}
        times = {}
        for _ in range(rounds):
            for p in [ours] + peers:
                key = (p.name, p.version)
                times.setdefault(key, []).append(p.time("step", batch, steps[p.name]))
            times.setdefault(("aimass", "whole loop"), []).append(ours.time("loop", batch, 1000))
        base = statistics.median(times[("aimass", ours.version)])
        print("batch %d, %s thread(s), %d alternating rounds" % (batch, threads, rounds))
        for (name, version), t in times.items():
            m = statistics.median(t)
            print("  %-8s %-22s %9.1f us a step  %6.2fx ours" % (name, version, m * 1e6, m / base))


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        serve(sys.argv[2], int(sys.argv[3]))
    else:
        main()
