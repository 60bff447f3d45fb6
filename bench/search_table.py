"""The table of bench/search.sh: medians of trials to 1 % regret, the ratio of geometric means (ours to the better of
Optuna's TPE and GP) and its 95 % upper bound by bootstrap over the seeds of both sides.
  search_table.py WORK TASK[,TASK...]
"""
import json
import sys

import numpy as np

work, tasks = sys.argv[1], sys.argv[2].split(",")
with open(work + "/peers.json") as f:
    peers = json.load(f)
rng = np.random.default_rng(0)


def geometric(v):
    return np.exp(np.log(v).mean(-1))


print("| task | ours (auto) | Optuna GP | Optuna TPE | random | ratio to the better | 95 % upper | CPU ms of the slowest ask |")
print("| --- | --- | --- | --- | --- | --- | --- | --- |")
for task in tasks:
    with open(f"{work}/ours.{task}") as f:
        counts, slowest = f.read().split("  slowest ask of 100:")
    ours = np.array([int(v) for v in counts.split()[2:]], float)
    runs = {k: np.array(v[:len(ours)], float) for k, v in peers[task].items()}
    better = min(("gp", "tpe"), key=lambda k: geometric(runs[k]))
    pick = rng.integers(0, len(ours), (2, 20000, len(ours)))
    ratios = geometric(ours[pick[0]]) / geometric(runs[better][pick[1]])
    cells = []
    for v in (ours, runs["gp"], runs["tpe"], runs["random"]):
        median, missed = np.median(v), int((v > 100).sum())
        cells.append((f"{median:g}" if median <= 100 else "> 100") + (f" ({missed} of {len(v)} missed)" if missed else ""))
    print(f"| {task} | {' | '.join(cells)} | {geometric(ours) / geometric(runs[better]):.2f} ({better}) | "
          f"{np.quantile(ratios, 0.95):.2f} | {slowest.strip()} |")
