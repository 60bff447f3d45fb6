"""Optuna's samplers and random search on the tasks of search_tasks.py: trials to 1 % regret, censored at 100.
  search_peers.py TABLES.json OUT.json SAMPLER[,SAMPLER...] TASK[,TASK...] SEEDS
samplers: tpe, gp, random. One line per run on stdout; OUT.json: {task: {sampler: [trials by seed]}}.
  search_peers.py TABLES.json --values    prints each task's value at shared points (for the comparison with ours)
"""
import json
import os
import sys
import time
import warnings

import numpy as np

import search_tasks

LIMIT = 100


def run(task, target, sampler):
    import optuna
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=sampler)
    for n in range(1, LIMIT + 1):
        trial = study.ask()
        v = []
        for name, (kind, low, high) in task.space.items():
            if kind in ("float", "log"):
                v.append(trial.suggest_float(name, low, high, log=kind == "log"))
            elif kind == "int":
                v.append(trial.suggest_int(name, low, high))
            else:
                v.append(trial.suggest_categorical(name, list(range(low))))
        y = task.f(*v)
        study.tell(trial, y)
        if y <= target:
            return n
    return LIMIT + 1


def main():
    warnings.filterwarnings("ignore")
    with open(sys.argv[1]) as f:
        known = json.load(f)
    tasks = search_tasks.tasks(known["tables"])
    if sys.argv[2] == "--values":
        for name, task in tasks.items():
            for i in range(50):
                print(name, "%.12g" % task.at([(0.5 + i * (0.6180339887498949 + 0.1 * k)) % 1 for k in range(task.d)]))
        return
    import optuna
    try:
        import torch
        torch.set_num_threads(1)
    except ImportError:
        pass
    make = {"tpe": lambda s: optuna.samplers.TPESampler(seed=s), "gp": lambda s: optuna.samplers.GPSampler(seed=s),
            "random": lambda s: optuna.samplers.RandomSampler(seed=s)}
    out = sys.argv[2]
    done = {}
    if os.path.exists(out):
        with open(out) as f:
            done = json.load(f)
    for name in sys.argv[4].split(","):
        for sampler in sys.argv[3].split(","):
            t = time.time()
            runs = done.setdefault(name, {}).setdefault(sampler, [])
            for seed in range(len(runs), int(sys.argv[5])):
                runs.append(run(tasks[name], known["tasks"][name]["target"], make[sampler](seed)))
                with open(out, "w") as f:
                    json.dump(done, f)
            print(f"{name:10s} {sampler:7s} median {np.median(runs):5.1f}  {time.time() - t:.0f} s  {runs}", flush=True)


main()
