"""CNN training step (conv32 - pool - conv64 - pool - 128 - 10 on 28x28, Adam) beside PyTorch and Keras; rounds alternate within one run, ratios are of medians.

python3 bench/cnn_peers.py PROGRAM [--rounds N] [--threads N] peer=python ...
  PROGRAM        bench/cnn, built
  peer=python    "torch=/usr/bin/python3", "keras=..."; a name may be followed by :label
Each peer is this same file, started with `--serve KIND THREADS` by that interpreter; protocol as in bench/cnn.c.
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
    data, labels = torch.randn(1024, 1, 28, 28), torch.randint(0, 10, (1024,))

    def run(batch, steps):
        model = torch.nn.Sequential(
            torch.nn.Conv2d(1, 32, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
            torch.nn.Conv2d(32, 64, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
            torch.nn.Flatten(), torch.nn.Linear(3136, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
        opt = torch.optim.Adam(model.parameters(), lr=0.001)
        loss_of = torch.nn.CrossEntropyLoss()
        x, y = data[:batch], labels[:batch]

        def step():
            opt.zero_grad()
            loss_of(model(x), y).backward()
            opt.step()
        for _ in range(5):
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
    data = tf.constant(rng.standard_normal((1024, 28, 28, 1), dtype=np.float32))
    labels = tf.constant(rng.integers(0, 10, 1024).astype(np.int32))

    def run(batch, steps):
        layer = keras.layers
        model = keras.Sequential([
            keras.Input((28, 28, 1)), layer.Conv2D(32, 3, padding="same", activation="relu"), layer.MaxPool2D(),
            layer.Conv2D(64, 3, padding="same", activation="relu"), layer.MaxPool2D(), layer.Flatten(),
            layer.Dense(128, activation="relu"), layer.Dense(10)])
        model.compile(optimizer=keras.optimizers.Adam(0.001),
                      loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        x, y = data[:batch], labels[:batch]
        for _ in range(5):
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
        what, batch, steps = line.split()
        if what == "memory":  # of the process: the growth of its peak over a step
            import resource
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            run(int(batch), 1)
            print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024, flush=True)
        else:
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
    for batch in (64,):
        steps = {"aimass": 10, "torch": 10, "keras": 10}
        times = {}
        memory = {(q.name, q.version): q.time("memory", batch, 1) for q in [ours] + peers}
        for _ in range(rounds):
            for p in [ours] + peers:
                key = (p.name, p.version)
                times.setdefault(key, []).append(p.time("step", batch, steps[p.name]))
            times.setdefault(("aimass", "whole loop"), []).append(ours.time("loop", batch, 16))
        base = statistics.median(times[("aimass", ours.version)])
        print("batch %d, %s thread(s), %d alternating rounds" % (batch, threads, rounds))
        for (name, version), t in times.items():
            m = statistics.median(t)
            mib = "  %.1f MiB" % (memory[(name, version)] / 2**20) if (name, version) in memory else ""
            print("  %-8s %-22s %9.1f us a step  %6.2fx ours%s" % (name, version, m * 1e6, m / base, mib))


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        serve(sys.argv[2], int(sys.argv[3]))
    else:
        main()
