"""Ten steps of each optimiser and the rates of each schedule by PyTorch 1.13 in float64, for tests/unit/nn.

Run from the repository's root:
    /usr/bin/python3 tests/golden/optim_goldens.py tests/unit/nn/optim_goldens.json
The loss is sum a_i (w_i - t_i)^2 / 2, so that the gradient depends on the weights.
"""
import json
import sys

import torch

torch.manual_seed(7)
torch.set_default_dtype(torch.float64)
N = 37
start, target = torch.randn(N), torch.randn(N)
slope = torch.rand(N) * 3 + 0.01


def short(t):
    return [float("%.10g" % v) for v in t]


def run(make, clip_norm=0, clip_value=0, rate=None):
    w = start.clone().requires_grad_()
    opt = make([w])
    for _ in range(10):
        opt.zero_grad()
        (slope * (w - target) ** 2 / 2).sum().backward()
        if clip_norm:
            torch.nn.utils.clip_grad_norm_([w], clip_norm)
        if clip_value:
            torch.nn.utils.clip_grad_value_([w], clip_value)
        opt.step()
    return short(w.detach())


O = torch.optim
steps = {
    "sgd": run(lambda p: O.SGD(p, lr=0.05)),
    "sgd_l2": run(lambda p: O.SGD(p, lr=0.05, weight_decay=0.1)),
    "momentum": run(lambda p: O.SGD(p, lr=0.03, momentum=0.9)),
    "nesterov": run(lambda p: O.SGD(p, lr=0.03, momentum=0.8, nesterov=True)),
    "adagrad": run(lambda p: O.Adagrad(p, lr=0.1, eps=1e-8)),
    "rmsprop": run(lambda p: O.RMSprop(p, lr=0.01, alpha=0.95)),
    "rmsprop_momentum": run(lambda p: O.RMSprop(p, lr=0.01, alpha=0.9, momentum=0.5)),
    "adam": run(lambda p: O.Adam(p, lr=0.02)),
    "adam_l2": run(lambda p: O.Adam(p, lr=0.02, betas=(0.8, 0.95), weight_decay=0.05)),
    "adamw": run(lambda p: O.AdamW(p, lr=0.02, weight_decay=0.3)),
    "clip_norm": run(lambda p: O.SGD(p, lr=0.05, momentum=0.9), clip_norm=0.7),
    "clip_value": run(lambda p: O.SGD(p, lr=0.05, momentum=0.9), clip_value=0.25),
}


def rates(make, n=12, losses=None):
    w = torch.zeros(1, requires_grad=True)
    opt = O.SGD([w], lr=0.5)
    sched = make(opt)
    out = []
    for e in range(n):
        out.append(opt.param_groups[0]["lr"])
        opt.step()
        sched.step(losses[e]) if losses else sched.step()
    return short(out)


S = O.lr_scheduler
losses = [1.0, 0.9, 0.95, 0.91, 0.9, 0.89, 0.9, 0.9, 0.9, 0.9, 0.5, 0.6]
schedules = {
    "step": rates(lambda o: S.StepLR(o, 3, gamma=0.2)),
    "exponential": rates(lambda o: S.ExponentialLR(o, 0.8)),
    "cosine": rates(lambda o: S.CosineAnnealingLR(o, 12, eta_min=0.01)),
    "plateau": rates(lambda o: S.ReduceLROnPlateau(o, factor=0.5, patience=2), losses=losses),
}
with open(sys.argv[1], "w") as f:
    json.dump({"torch": torch.__version__, "start": short(start), "target": short(target), "slope": short(slope),
               "steps": steps, "losses": losses, "schedules": schedules}, f, indent=0)
    f.write("\n")
