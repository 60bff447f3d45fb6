#!/usr/bin/python3
"""Weights as PyTorch's users give them away, and what PyTorch predicts: a CNN that flattens, normalises and unflattens
pictures (safetensors, one tensor in half precision and one in bfloat16), an MLP over flattened pictures (a compressed
.npz), and ResNet-18: names and shapes of its state_dict, filled in PyTorch's own order by the formula of
network_goldens.py, which the test repeats.

Usage: weights_goldens.py DIR     (tests/unit/learn/weights)
Made with PyTorch 1.13.0a0 and numpy of Debian 12."""
import json
import os
import struct
import sys

import numpy as np
import torch
from torch import nn

from network_goldens import ResNet, draw, picture, seed_of

NAMES = {torch.float32: "F32", torch.float64: "F64", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64"}


def save_safetensors(state, path):
    header, body = {}, b""
    for name, t in state.items():
        t = t.contiguous()
        raw = t.view(torch.int16).numpy().tobytes() if t.dtype in (torch.bfloat16, torch.float16) else t.numpy().tobytes()
        header[name] = {"dtype": NAMES[t.dtype], "shape": list(t.shape), "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + body)


class Flat(nn.Module):
    """Pictures [3,8,9] to features and back to pictures [2,3,4], with everything between that counts features."""

    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(3, 4, (3, 2), padding=(1, 0))
        self.dw = nn.Conv2d(4, 8, 3, padding=1, groups=4)
        self.n1 = nn.BatchNorm1d(8 * 4 * 4)
        self.d1 = nn.Linear(8 * 4 * 4, 10)
        self.d2 = nn.Linear(10, 2 * 3 * 4)
        self.n2 = nn.BatchNorm1d(2 * 3 * 4)
        self.up = nn.ConvTranspose2d(2, 5, 3, stride=2, padding=1, output_padding=1)
        self.output = nn.Linear(5 * 6 * 8, 4)

    def forward(self, x):
        y = torch.relu(self.c1(x))
        y = nn.functional.max_pool2d(self.dw(y), 2)
        y = torch.relu(self.d1(self.n1(y.flatten(1))))
        y = torch.relu(self.n2(self.d2(y))).view(-1, 2, 3, 4)
        return self.output(torch.relu(self.up(y)).flatten(1))


def mlp():
    m = nn.Sequential()
    m.add_module("hidden1", nn.Linear(4 * 5 * 3, 6))
    m.add_module("output", nn.Linear(6, 4))
    return m


def fill_own(model):
    for name, t in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            t.fill_(7)
            continue
        u = torch.tensor(draw(t.numel(), seed_of(name)).reshape(tuple(t.shape)))
        fan = max(1, t.numel() // t.shape[0])
        t.copy_(u * np.sqrt(24.0 / fan) if t.dim() > 1 else 1 + u if name.endswith("running_var") else
                1 + 0.4 * u if name.endswith("weight") else 0.2 * u)
    return model.eval()


def main(where):
    out = {}
    with torch.no_grad():
        m = fill_own(Flat())
        state = {k: v.float() if v.dtype == torch.float64 else v for k, v in m.state_dict().items()}
        state["c1.weight"], state["d2.weight"] = state["c1.weight"].half(), state["d2.weight"].bfloat16()
        m.load_state_dict({k: v.double() if v.dtype.is_floating_point else v for k, v in state.items()})
        x = torch.tensor(4 * draw(2 * 8 * 9 * 3, 11).reshape(2, 8, 9, 3)).permute(0, 3, 1, 2)
        out["cnn"] = torch.softmax(m(x), 1).flatten().tolist()
        save_safetensors(state, os.path.join(where, "cnn.safetensors"))
        m = fill_own(mlp())
        x = torch.tensor(4 * draw(2 * 4 * 5 * 3, 12).reshape(2, 4, 5, 3)).permute(0, 3, 1, 2)
        out["mlp"] = torch.softmax(m.output(torch.relu(m.hidden1(x.flatten(1)))), 1).flatten().tolist()
        np.savez_compressed(os.path.join(where, "mlp.npz"), **{k: v.numpy() for k, v in m.state_dict().items()})
        m = fill_own(ResNet((2, 2, 2, 2), False, 1, False))
        out["resnet18"] = m(picture(64)).item()
        out["resnet18_state"] = [[k, list(v.shape)] for k, v in m.state_dict().items()]
    with open(os.path.join(where, "goldens.json"), "w") as f:
        json.dump(out, f)
        f.write("\n")


main(sys.argv[1])
