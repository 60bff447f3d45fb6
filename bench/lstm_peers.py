"""Training step of a two-layer LSTM beside PyTorch; rounds alternate within one run, ratios are of medians.

python3 bench/lstm_peers.py PROGRAM [--rounds N] [--threads N] [--cpu] python ...
  PROGRAM  bench/lstm, built
  --cpu    CPU time of the process instead of elapsed time: for a busy machine, one thread only
  python   interpreters that have torch
Each peer is this same file, started with `--serve THREADS` by that interpreter; protocol as in bench/lstm.c.
LSTM 2 x 128 on [batch, 32, 128], dense 10 on the last state, cross-entropy, Adam.
"""
import os
import statistics
import subprocess
import sys
import time


def serve(threads):
    import torch
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    data, labels = torch.randn(256, 32, 128), torch.randint(0, 10, (256,))

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = torch.nn.LSTM(128, 128, num_layers=2, batch_first=True)
            self.out = torch.nn.Linear(128, 10)

        def forward(self, x):
            return self.out(self.lstm(x)[1][0][1])

    def run(batch, steps):
        model = Model()
        opt = torch.optim.Adam(model.parameters(), lr=0.001)
        loss_of = torch.nn.CrossEntropyLoss()
        x, y = data[:batch], labels[:batch]
        began = 0
        for i in range(steps + 5):
            if i == 5:
                began = time.perf_counter()
            opt.zero_grad()
            loss_of(model(x), y).backward()
            opt.step()
        return (time.perf_counter() - began) / steps

    print(torch.__version__, flush=True)
    for line in sys.stdin:
        _, batch, steps = line.split()
        print(run(int(batch), int(steps)), flush=True)


class Peer:
    def __init__(self, name, command):
        env = dict(os.environ, CUDA_VISIBLE_DEVICES="")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        self.name = name
        self.version = self.process.stdout.readline().strip()

    def time(self, batch, steps, cpu):
        before = self.cpu_seconds()
        self.process.stdin.write("step %d %d\n" % (batch, steps))
        self.process.stdin.flush()
        elapsed = float(self.process.stdout.readline())
        return (self.cpu_seconds() - before) / (steps + 5) if cpu else elapsed  # 5 warm it up

    def cpu_seconds(self):
        with open("/proc/%d/stat" % self.process.pid) as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main():
    args = sys.argv[1:]
    program, rounds, threads, cpu, peers = args.pop(0), 9, "1", False, []
    while args:
        a = args.pop(0)
        if a == "--rounds":
            rounds = int(args.pop(0))
        elif a == "--cpu":
            cpu = True
        elif a == "--threads":
            threads = args.pop(0)
        else:
            peers.append(Peer("torch", [a, os.path.abspath(__file__), "--serve", threads]))
    peers.insert(0, Peer("aimass", [program, threads]))
    times = {}
    for _ in range(rounds):
        for p in peers:
            times.setdefault((p.name, p.version), []).append(p.time(32, 40, cpu))
    base = statistics.median(times[("aimass", peers[0].version)])
    print("LSTM 2 x 128, 32 steps, batch 32, %s thread(s), %d alternating rounds%s"
          % (threads, rounds, ", CPU time" if cpu else ""))
    for (name, version), t in times.items():
        m = statistics.median(t)
        print("  %-8s %-22s %9.2f ms a step  %6.2fx ours" % (name, version, m * 1e3, m / base))


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        serve(int(sys.argv[2]))
    else:
        main()
