#!/usr/bin/python3
"""Goldens of the dense autoencoder: PyTorch in float64, weights by the formula of network_goldens.py.

Usage: autoencoder_goldens.py > tests/unit/learn/autoencoder_goldens.json
Made with PyTorch 1.13.0a0 and numpy of Debian 12."""
import json

import numpy as np
import torch
from torch import nn

from formula import draw, seed_of

torch.set_default_dtype(torch.float64)


class Autoencoder(nn.Module):
    def __init__(self, width, hidden, code, act):
        super().__init__()
        sizes = [width] + hidden
        self.act = act
        for i in range(len(hidden)):
            setattr(self, f"encoder{i + 1}", nn.Linear(sizes[i], sizes[i + 1]))
        self.code = nn.Linear(sizes[-1], code)
        back = [code] + hidden[::-1]
        for i in range(len(hidden)):
            setattr(self, f"decoder{i + 1}", nn.Linear(back[i], back[i + 1]))
        self.output = nn.Linear(back[-1], width)
        self.n = len(hidden)

    def forward(self, x):
        for i in range(self.n):
            x = self.act(getattr(self, f"encoder{i + 1}")(x))
        code = x = self.code(x)
        for i in range(self.n):
            x = self.act(getattr(self, f"decoder{i + 1}")(x))
        return code, self.output(x)


cases = []
for name, width, hidden, code, act in (("tanh", 5, [6], 2, torch.tanh), ("relu", 12, [9, 7], 3, torch.relu),
                                       ("linear", 4, [], 1, lambda x: x)):
    model = Autoencoder(width, hidden, code, act).eval()
    for key, t in model.named_parameters():
        u = draw(t.numel(), seed_of(key))
        with torch.no_grad():
            if t.dim() == 2:
                t.copy_(torch.tensor(u.reshape(t.shape[1], t.shape[0]) * np.sqrt(24.0 / t.shape[1])).T)
            else:
                t.copy_(torch.tensor(0.2 * u))
    x = torch.tensor(draw(8 * width, 77).reshape(8, width) * 4)
    with torch.no_grad():
        z, back = model(x)
    score = ((x - back) ** 2).mean(dim=1)
    activation = "none" if name == "linear" else name
    cases.append({"name": name, "model": f"{{type: autoencoder, encoder: {hidden}, code: {code}, "
                                         f"activation: {activation}}}",
                  "x": x.flatten().tolist(), "score": score.tolist(), "code": z.flatten().tolist(),
                  "reconstruction": back.flatten().tolist(), "width": width})
print(json.dumps({"torch": torch.__version__, "cases": cases}))
