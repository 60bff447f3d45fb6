#!/usr/bin/python3
"""Goldens of the ready-made networks: PyTorch in float64 with torchvision's topologies and names
(ResNet: He et al. 2016; MobileNetV2: Sandler et al. 2018), written out here since torchvision is no
Debian package, with weights by a formula that tests/unit/learn/test_networks.c repeats.

Also a small network's weights as numpy.savez and torch write them, with its predictions.

Usage: network_goldens.py > tests/unit/learn/network_goldens.json (writes weights_pytorch.npz beside)
Made with PyTorch 1.13.0a0 and numpy of Debian 12."""
import json
import os
import sys

import numpy as np
import torch
from torch import nn

from formula import draw, seed_of

torch.set_default_dtype(torch.float64)


def fill(model):
    """Our layout is filled by the formula; the tensor gets it turned."""
    for name, t in list(model.named_parameters()) + list(model.named_buffers()):
        if name.endswith("num_batches_tracked"):
            continue
        u = draw(t.numel(), seed_of(name))
        with torch.no_grad():
            if t.dim() == 4:
                o, c, kh, kw = t.shape
                w = torch.tensor(u.reshape(kh, kw, c, o) * np.sqrt(24.0 / (kh * kw * c)))
                t.copy_(w.permute(3, 2, 0, 1))
            elif t.dim() == 2:
                t.copy_(torch.tensor(u.reshape(t.shape[1], t.shape[0]) * np.sqrt(24.0 / t.shape[1])).T)
            elif name.endswith("running_var"):
                t.copy_(torch.tensor(1.0 + u))
            elif name.endswith("weight"):
                t.copy_(torch.tensor(1.0 + 0.4 * u))
            else:
                t.copy_(torch.tensor(0.2 * u))
    return model.eval()


class Block(nn.Module):
    def __init__(self, c_in, c, stride, bottleneck):
        super().__init__()
        out = 4 * c if bottleneck else c
        self.bottleneck = bottleneck
        if bottleneck:
            self.conv1, self.bn1 = nn.Conv2d(c_in, c, 1, bias=False), nn.BatchNorm2d(c)
            self.conv2 = nn.Conv2d(c, c, 3, stride, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(c)
            self.conv3, self.bn3 = nn.Conv2d(c, out, 1, bias=False), nn.BatchNorm2d(out)
        else:
            self.conv1 = nn.Conv2d(c_in, c, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(c)
            self.conv2, self.bn2 = nn.Conv2d(c, c, 3, 1, 1, bias=False), nn.BatchNorm2d(c)
        self.downsample = None
        if stride != 1 or c_in != out:
            self.downsample = nn.Sequential(nn.Conv2d(c_in, out, 1, stride, bias=False),
                                            nn.BatchNorm2d(out))

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.bottleneck:
            y = self.bn3(self.conv3(torch.relu(y)))
        return torch.relu(y + (self.downsample(x) if self.downsample else x))


class ResNet(nn.Module):
    def __init__(self, blocks, bottleneck, n_classes, small):
        super().__init__()
        self.small = small
        self.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False) if small else nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        c_in = 64
        for i, n in enumerate(blocks):
            layer = []
            for k in range(n):
                layer.append(Block(c_in, 64 << i, 2 if i and k == 0 else 1, bottleneck))
                c_in = (64 << i) * (4 if bottleneck else 1)
            setattr(self, "layer%d" % (i + 1), nn.Sequential(*layer))
        self.fc = nn.Linear(c_in, n_classes)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        if not self.small:
            x = nn.functional.max_pool2d(x, 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


def conv_norm(c_in, c, k=3, stride=1, groups=1):
    return nn.Sequential(nn.Conv2d(c_in, c, k, stride, k // 2, groups=groups, bias=False),
                         nn.BatchNorm2d(c), nn.ReLU6())


class Inverted(nn.Module):
    def __init__(self, c_in, c, stride, expand):
        super().__init__()
        self.same = stride == 1 and c_in == c
        hidden = c_in * expand
        layers = [conv_norm(c_in, hidden, 1)] if expand != 1 else []
        layers += [conv_norm(hidden, hidden, 3, stride, hidden), nn.Conv2d(hidden, c, 1, bias=False),
                   nn.BatchNorm2d(c)]
        self.conv = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.conv(x) if self.same else self.conv(x)


class MobileNetV2(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        features, c_in = [conv_norm(3, 32, 3, 2)], 32
        for t, c, n, s in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
                           (6, 160, 3, 2), (6, 320, 1, 1)):
            for k in range(n):
                features.append(Inverted(c_in, c, s if k == 0 else 1, t))
                c_in = c
        features.append(conv_norm(c_in, 1280, 1))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, n_classes))

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))


class Small(nn.Module):
    """What has to be turned: convolutions, an LSTM of both directions, a linear layer."""

    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv1d(3, 6, 3, padding=1)
        self.r = nn.LSTM(6, 5, batch_first=True, bidirectional=True)
        self.output = nn.Linear(10, 4)

    def forward(self, x):  # [B, T, C]
        y = torch.relu(self.c1(x.transpose(1, 2))).transpose(1, 2)
        y, _ = self.r(y)
        return self.output(y.mean(1))


def picture(n):
    return torch.tensor(4 * draw(n * n * 3, 7).reshape(1, n, n, 3)).permute(0, 3, 1, 2)


def main():
    out = {}
    count = {}
    with torch.no_grad():
        for name, make, n in (("resnet18", lambda c: ResNet((2, 2, 2, 2), False, c, False), 64),
                              ("resnet18_small", lambda c: ResNet((2, 2, 2, 2), False, c, True), 32),
                              ("resnet50", lambda c: ResNet((3, 4, 6, 3), True, c, False), 64),
                              ("mobilenet_v2", MobileNetV2, 64)):
            count[name] = sum(p.numel() for p in make(1000).parameters())
            out[name] = fill(make(1))(picture(n)).item()
        torch.manual_seed(3)
        small = Small()
        x = torch.tensor(4 * draw(2 * 7 * 3, 9).reshape(2, 7, 3))
        out["small"] = torch.softmax(small(x), 1).flatten().tolist()
        here = os.path.join(os.path.dirname(__file__), "..", "unit", "learn", "weights_pytorch.npz")
        np.savez(here, **{k: v.numpy() for k, v in small.state_dict().items()})
    out["parameters"] = count
    json.dump(out, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
