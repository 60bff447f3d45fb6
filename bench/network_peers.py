"""Networks beside PyTorch, Keras and ONNX Runtime: a training step (Adam) or a prediction; rounds alternate within one run, ratios are of medians.

python3 bench/network_peers.py PROGRAM NAME [--rounds N] [--threads N] [--cpu] peer=python ...
  PROGRAM        bench/network, built
  NAME           mlp, cnn, lstm, resnet18
  --cpu          CPU time of the processes instead of elapsed time: for a busy machine, one thread only
  peer=python    "torch=/usr/bin/python3", "keras=...", "onnx=...": the interpreter that has it
Each peer is this same file, started with `--serve KIND NAME THREADS` by that interpreter; protocol as in bench/network.c.
Also printed: the bytes by which each process's peak grew over its first steps.
"""
import os
import statistics
import subprocess
import sys
import tempfile
import time

MODELS = {  # recipe's model, shape of a row, classes, rows in memory, what is timed, batches, runs of ours and of a peer
    "mlp": ("{type: mlp, layers: [128]}", (784,), 10, 8192, "step", (32, 128), 1000, 200),
    "cnn": ("{type: cnn, filters: [32, 64], dense: [128]}", (28, 28, 1), 10, 1024, "step", (64,), 20, 10),
    "lstm": ("{type: lstm, units: 128, depth: 2}", (32, 128), 10, 512, "step", (32,), 40, 40),
    "resnet18": ("{type: resnet18}", (224, 224, 3), 1000, 8, "infer", (1, 8), 8, 8),
}


def peak():
    import resource
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def timed(run_once, warm, runs):
    for _ in range(warm):
        run_once()
    began = time.perf_counter()
    for _ in range(runs):
        run_once()
    return (time.perf_counter() - began) / max(runs, 1)


def torch_model(name):
    import torch
    from torch import nn
    if name == "mlp":
        return nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    if name == "cnn":
        return nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(),
            nn.MaxPool2d(2), nn.Flatten(), nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, 10))

    class Lstm(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm, self.out = nn.LSTM(128, 128, num_layers=2, batch_first=True), nn.Linear(128, 10)

        def forward(self, x):
            return self.out(self.lstm(x)[1][0][1])

    class Block(nn.Module):
        def __init__(self, c, n, stride):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(c, n, 3, stride, 1, bias=False), nn.BatchNorm2d(n)
            self.conv2, self.bn2 = nn.Conv2d(n, n, 3, 1, 1, bias=False), nn.BatchNorm2d(n)
            self.down = None if stride == 1 and c == n else nn.Sequential(nn.Conv2d(c, n, 1, stride, bias=False), nn.BatchNorm2d(n))

        def forward(self, x):
            y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
            return torch.relu(y + (x if self.down is None else self.down(x)))

    if name == "lstm":
        return Lstm()
    blocks, c = [], 64
    for n, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        blocks += [Block(c, n, stride), Block(n, n, 1)]
        c = n
    return nn.Sequential(nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1), *blocks,
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))


def torch_rows(name, n):
    import torch
    torch.manual_seed(1)
    shape = MODELS[name][1]
    return torch.randn(n, *((shape[2], shape[0], shape[1]) if len(shape) == 3 else shape))


def serve_torch(name, threads):
    import torch
    torch.set_num_threads(threads)
    data, labels = torch_rows(name, MODELS[name][3]), torch.randint(0, MODELS[name][2], (MODELS[name][3],))

    def step(batch, runs):
        model, loss_of = torch_model(name), torch.nn.CrossEntropyLoss()
        opt = torch.optim.Adam(model.parameters(), lr=0.001)
        x, y = data[:batch], labels[:batch]

        def once():
            opt.zero_grad()
            loss_of(model(x), y).backward()
            opt.step()
        return timed(once, 5, runs)

    def infer(batch, runs):
        model, x = torch_model(name).eval(), data[:batch]
        with torch.inference_mode():
            return timed(lambda: model(x), 3, runs)
    return {"step": step, "infer": infer}, torch.__version__


def serve_keras(name, threads):
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import numpy as np
    import tensorflow as tf
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    import keras
    layer = keras.layers
    rng = np.random.default_rng(1)
    data = tf.constant(rng.standard_normal((MODELS[name][3], *MODELS[name][1]), dtype=np.float32))
    labels = tf.constant(rng.integers(0, 10, MODELS[name][3]).astype(np.int32))
    layers = {
        "mlp": lambda: [layer.Dense(128, activation="relu"), layer.Dense(10)],
        "cnn": lambda: [layer.Conv2D(32, 3, padding="same", activation="relu"), layer.MaxPool2D(),
                        layer.Conv2D(64, 3, padding="same", activation="relu"), layer.MaxPool2D(), layer.Flatten(),
                        layer.Dense(128, activation="relu"), layer.Dense(10)],
        "lstm": lambda: [layer.LSTM(128, return_sequences=True), layer.LSTM(128), layer.Dense(10)],
    }[name]

    def step(batch, runs):
        model = keras.Sequential([keras.Input(MODELS[name][1])] + layers())
        model.compile(optimizer=keras.optimizers.Adam(0.001), loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        x, y = data[:batch], labels[:batch]
        return timed(lambda: model.train_on_batch(x, y), 5, runs)
    return {"step": step}, keras.__version__ + "/tf " + tf.__version__


def serve_onnx(name, threads):
    import onnxruntime
    import numpy as np
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    rng = np.random.default_rng(1)
    shape = MODELS[name][1]
    data = rng.standard_normal((8, shape[2], shape[0], shape[1]), dtype=np.float32)

    def infer(batch, runs):
        session = onnxruntime.InferenceSession(os.environ["BENCH_ONNX"], options, providers=["CPUExecutionProvider"])
        x = {session.get_inputs()[0].name: data[:batch]}
        return timed(lambda: session.run(None, x), 3, runs)
    return {"infer": infer}, onnxruntime.__version__


def export(name, path):
    import torch
    torch.onnx.export(torch_model(name).eval(), torch_rows(name, 1), path, input_names=["x"], dynamic_axes={"x": {0: "n"}}, opset_version=13)


def serve(kind, name, threads):
    run, version = {"torch": serve_torch, "keras": serve_keras, "onnx": serve_onnx}[kind](name, threads)
    print(version, flush=True)
    for line in sys.stdin:
        what, batch, runs = line.split()
        if what.startswith("memory"):
            before = peak()
            run["infer" if what == "memory_infer" else "step"](int(batch), 0)
            print(peak() - before, flush=True)
        else:
            print(run[what](int(batch), int(runs)), flush=True)


class Peer:
    def __init__(self, name, command):
        env = dict(os.environ, CUDA_VISIBLE_DEVICES="")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env,
                                        stderr=subprocess.DEVNULL if name == "keras" else None)  # TensorFlow greets there
        self.name, self.version = name, self.process.stdout.readline().strip()

    def ask(self, what, batch, runs, cpu=False):
        before = self.cpu_seconds()
        self.process.stdin.write("%s %d %d\n" % (what, batch, runs))
        self.process.stdin.flush()
        elapsed = float(self.process.stdout.readline())
        return (self.cpu_seconds() - before) / runs if cpu else elapsed  # with what warms it up

    def cpu_seconds(self):
        with open("/proc/%d/stat" % self.process.pid) as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main():
    args = sys.argv[1:]
    program, name, rounds, threads, cpu, wanted, peers = args.pop(0), args.pop(0), 11, "1", False, [], []
    model, shape, classes, n_rows, what, batches, our_runs, peer_runs = MODELS[name]
    while args:
        a = args.pop(0)
        if a == "--rounds":
            rounds = int(args.pop(0))
        elif a == "--threads":
            threads = args.pop(0)
        elif a == "--cpu":
            cpu = True
        else:
            wanted.append(a.split("=", 1))
    ours = Peer("aimass", [program, threads, model, ",".join(map(str, shape)), str(classes), str(n_rows)])
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BENCH_ONNX"] = os.path.join(folder, "model.onnx")
        for kind, python in wanted:
            if kind == "onnx":
                subprocess.run(["/usr/bin/python3", "-W", "ignore", os.path.abspath(__file__), "--export", name, os.environ["BENCH_ONNX"]], check=True)
            peers.append(Peer(kind, [python, os.path.abspath(__file__), "--serve", kind, name, threads]))
        for batch in batches:
            times = {}
            memory = {p: p.ask("memory" if what == "step" else "memory_infer", batch, 0) for p in [ours] + peers}
            for _ in range(rounds):
                for p in [ours] + peers:
                    times.setdefault(p, []).append(p.ask(what, batch, our_runs if p is ours else peer_runs, cpu))
                if what == "step":
                    times.setdefault("loop", []).append(ours.ask("loop", batch, our_runs, cpu))
            base = statistics.median(times[ours])
            print("%s, %s, batch %d, %s thread(s), %d alternating rounds%s" % (name, what, batch, threads, rounds, ", CPU time" if cpu else ""))
            for p, t in times.items():
                m = statistics.median(t)
                who = ("aimass", "whole loop", "") if p == "loop" else (p.name, p.version, "  peak + %.1f MiB" % (memory[p] / 2**20))
                print("  %-8s %-22s %9.1f us  %6.2fx ours%s" % (who[0], who[1], m * 1e6, m / base, who[2]), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        serve(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    elif sys.argv[1] == "--export":
        export(sys.argv[2], sys.argv[3])
    else:
        main()
