#!/usr/bin/python3
"""Goldens of training: statistics of batch norm for given weights by torch.optim.swa_utils.update_bn, and the loss of
mixed targets (mixup) with its gradients by cross_entropy over probabilities, in float64. Inputs are the formula of
network_goldens.py, rounded to float32; tests/unit/nn/test_train_goldens.c repeats it.

Usage: train_goldens.py > tests/unit/nn/train_goldens.json
Made with PyTorch 1.13.0a0 of Debian 12."""
import json
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.swa_utils import update_bn

from network_goldens import draw

torch.set_default_dtype(torch.float64)


def f32(shape, seed, scale=1.0, shift=0.0):
    u = draw(int(np.prod(shape)), seed) * scale + shift
    return torch.tensor(u.astype(np.float32).astype(np.float64).reshape(shape))


class Net(nn.Module):
    """Convolution, norm, dense, norm, dense over pictures [6,5,2]; weights lie as ours."""

    def __init__(self):
        super().__init__()
        self.n1, self.n2 = nn.BatchNorm2d(3), nn.BatchNorm1d(6)
        self.cw, self.cb = f32((18, 3), 0), f32((3,), 1)
        self.dw, self.db = f32((90, 6), 6), f32((6,), 7)
        for i, n in ((2, self.n1), (8, self.n2)):
            with torch.no_grad():
                n.weight.copy_(f32((n.num_features,), i, 1, 1))
                n.bias.copy_(f32((n.num_features,), i + 1))
                n.running_mean.copy_(f32((n.num_features,), i + 2))
                n.running_var.copy_(f32((n.num_features,), i + 3, 1, 1))

    def forward(self, x):
        x = x.reshape(-1, 6, 5, 2).permute(0, 3, 1, 2)
        w = self.cw.reshape(3, 3, 2, 3).permute(3, 2, 0, 1)
        y = torch.relu(self.n1(F.conv2d(x, w, self.cb, padding=1)))
        return self.n2(y.permute(0, 2, 3, 1).flatten(1) @ self.dw + self.db)


def bn():
    m, x = Net(), f32((40, 60), 20, 4)
    with torch.no_grad():
        update_bn([x[i : i + 16] for i in range(0, 40, 16)], m)
    return {k: v.tolist() for k, v in m.state_dict().items() if "running" in k}


def mixed(smoothing, weighted):
    x, w, b = f32((6, 5), 30, 4), f32((5, 4), 31, 2), f32((4,), 32)
    w.requires_grad_(), b.requires_grad_()
    first, other = torch.tensor([0, 1, 2, 3, 1, 2]), torch.tensor([3, 1, 0, 2, 2, 1])
    share = torch.tensor([0.25, 0.5, 0.0, 0.125, 1.0, 0.375])
    weight = f32((6,), 33, 1, 1) if weighted else torch.ones(6)
    q = (1 - share)[:, None] * F.one_hot(first, 4) + share[:, None] * F.one_hot(other, 4)
    loss = (weight * F.cross_entropy(x @ w + b, q, reduction="none", label_smoothing=smoothing)).sum() / weight.sum()
    loss.backward()
    return {"smoothing": smoothing, "weighted": weighted, "loss": loss.item(), "weight": w.grad.flatten().tolist(),
            "bias": b.grad.tolist()}


json.dump({"update_bn": bn(), "mixed": [mixed(0.0, False), mixed(0.1, True)]}, sys.stdout, indent=1)
print()
