"""Goldens of convolutions: forward, loss and every gradient from PyTorch in float64, in the form of nn_goldens.json.

Run: /usr/bin/python3 tests/golden/conv_goldens.py > tests/unit/nn/conv_goldens.json
(Debian 12: python3-torch 1.13.1.) Only torch does the arithmetic. Pictures are [B,H,W,C]; a weight is
[kh*kw*c_in/groups, c_out], a transposed convolution's is that of the convolution it turns round. Shapes are drawn
from small numbers and primes; everything is rounded to float32 first."""

import json
import sys

import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(20261122)


def f32(*shape, scale=1.0):
    return torch.tensor((rng.standard_normal(shape) * scale).astype(np.float32).astype(np.float64))


def flat(t):
    return [float("%.9g" % v) for v in t.detach().numpy().ravel()]


class Net:
    """One convolution and an activation between x [rows, h*w*c] and the flat output."""

    def __init__(self, rows, h, w, c, sequence=False):
        self.nodes, self.params, self.sequence = [], {}, sequence
        self.x = f32(rows, h * w * c)
        self.rows = rows
        self.node("input", None, [-1, h * w * c], name="x")
        dims = [w, c] if sequence else [h, w, c]
        self.reshape(dims)
        self.value = self.x.reshape(rows, h, w, c)

    def node(self, op, inputs, dims, **attrs):
        n = {"op": op, "dims": dims}
        if inputs is not None:
            n["in"] = inputs
        n.update(attrs)
        self.nodes.append(n)
        return len(self.nodes) - 1

    def reshape(self, dims):
        at = {"d%d" % i: 0 for i in range(7)}
        at.update({"d%d" % i: d for i, d in enumerate(dims)})
        self.last = self.node("reshape", [len(self.nodes) - 1], [-1] + dims, rank=len(dims), **at)

    def param(self, name, value):
        self.params[name] = value.clone().requires_grad_(True)
        return self.node("param", None, list(value.shape), name=name, decay=False, frozen=False, state=False)

    def conv(self, n, kernel, stride=(1, 1), before=(0, 0), after=None, dilation=(1, 1), groups=1, bias=True,
             transposed=False, more=(0, 0), name="c"):
        after = before if after is None else after
        (kh, kw), v = kernel, self.value
        c = v.shape[3]
        inner, outer = (n, c) if transposed else (c, n)
        w = f32(kh * kw * (inner // groups), outer, scale=0.6)
        ids = [self.last, self.param(name + ".weight", w), None]
        w = self.params[name + ".weight"]
        b = None
        if bias:
            ids[2] = self.param(name + ".bias", f32(n, scale=0.3))
            b = self.params[name + ".bias"]
        weight = w.reshape(kh, kw, inner // groups, outer).permute(3, 2, 0, 1)
        x = v.permute(0, 3, 1, 2)
        if transposed:
            assert tuple(before) == tuple(after)
            y = F.conv_transpose2d(x, weight, b, stride, tuple(before), tuple(more), groups, tuple(dilation))
        else:
            x = F.pad(x, (before[1], after[1], before[0], after[0]))
            y = F.conv2d(x, weight, b, stride, 0, dilation, groups)
        self.value = y.permute(0, 2, 3, 1)
        dims = list(self.value.shape[1:])
        extra = {"more_height": more[0], "more_width": more[1]} if transposed else {}
        self.last = self.node("conv_transposed" if transposed else "conv", ids,
                              [-1] + (dims[1:] if self.sequence else dims), name=name, kernel_height=kh,
                              kernel_width=kw, stride_height=stride[0], stride_width=stride[1], pad_top=before[0],
                              pad_left=before[1], pad_bottom=after[0], pad_right=after[1],
                              dilation_height=dilation[0], dilation_width=dilation[1], groups=groups, **extra)
        return self

    def act(self, act):
        fn = {"relu": F.relu, "tanh": torch.tanh, "gelu": F.gelu, "leaky_relu": lambda t: F.leaky_relu(t, 0.125)}[act]
        self.value = fn(self.value)
        dims = list(self.value.shape[1:])
        self.last = self.node("act", [self.last], [-1] + (dims[1:] if self.sequence else dims), act=act, alpha=0.125)
        return self

    def case(self, name):
        y = self.value.reshape(self.rows, -1)
        self.reshape([y.shape[1]])
        target = f32(*y.shape)
        loss = F.mse_loss(y, target)
        grads = torch.autograd.grad(loss, list(self.params.values()))
        return {"name": name, "rows": self.rows,
                "graph": {"version": 1, "nodes": self.nodes, "outputs": {"y": self.last}},
                "loss": {"kind": "mse"}, "params": {k: flat(p) for k, p in self.params.items()},
                "x": flat(self.x), "target": flat(target), "weight": None,
                "expect": {"y": flat(y), "loss": float(loss),
                           "grads": {k: flat(g) for k, g in zip(self.params, grads)}, "running": {}}}


def drawn(i):
    """A random convolution behind a 1x1 one, so that the gradient by the input is in the weights' gradients."""
    pick = lambda *a: int(rng.choice(a))
    groups = pick(1, 1, 1, 2, 3)
    c, n = groups * pick(1, 2, 3, 5), groups * pick(1, 2, 5, 7)
    transposed = i % 3 == 2
    kernel = (pick(1, 2, 3, 5), pick(1, 2, 3, 4))
    stride, dilation = (pick(1, 2, 3), pick(1, 1, 2)), (pick(1, 1, 2), pick(1, 1, 3))
    reach = [dilation[k] * (kernel[k] - 1) + 1 for k in range(2)]
    h, w = pick(1, 2, 3, 5, 7), pick(1, 3, 4, 11)
    before = [pick(0, 1, 2) for _ in range(2)]
    after = list(before) if transposed else [pick(0, 1) + b for b in before]
    more = (0, 0)
    if transposed:
        before = after = [min(before[k], (reach[k] - 1) // 2) for k in range(2)]
        more = tuple(pick(0, stride[k] - 1) if stride[k] > 1 else 0 for k in range(2))
        more = tuple(min(m, max(stride[k], dilation[k]) - 1) for k, m in enumerate(more))
    else:
        h, w = max(h, reach[0] - before[0] - after[0]), max(w, reach[1] - before[1] - after[1])
    net = Net(pick(1, 2, 3), h, w, pick(1, 2)).conv(c, (1, 1), name="a").act("tanh")
    net.conv(n, kernel, stride, before, after, dilation, groups, bool(pick(0, 1)), transposed, more, name="b")
    if pick(0, 1):
        net.act("gelu")
    return net.case("drawn %d%s: %dx%dx%d k%s s%s p%s+%s d%s g%d -> %d" % (
        i, " transposed" if transposed else "", h, w, c, kernel, stride, tuple(before), tuple(after), dilation,
        groups, n))


def cases():
    out = [drawn(i) for i in range(36)]
    out.append(Net(3, 7, 7, 1).conv(8, (3, 3), before=(1, 1), name="a").act("relu")
               .conv(5, (3, 3), (2, 2), (1, 1), name="b").act("leaky_relu").case("two layers"))
    out.append(Net(1, 1, 1, 1).conv(1, (1, 1)).case("one by one"))
    out.append(Net(2, 5, 5, 1).conv(19, (1, 1), name="a").act("tanh")
               .conv(19, (3, 3), before=(1, 1), groups=19, name="b").act("relu").case("depthwise"))
    out.append(Net(2, 6, 5, 1).conv(17, (1, 1), name="a").act("tanh")
               .conv(17, (3, 3), (2, 2), (0, 0), (1, 1), groups=17, name="b").case("depthwise, stride 2, same"))
    out.append(Net(2, 5, 4, 1).conv(33, (1, 1), name="a").act("tanh").conv(3, (3, 3), before=(1, 1), name="b")
               .case("33 channels"))
    out.append(Net(1, 3, 3, 1).conv(70, (1, 1), name="a").act("tanh").conv(2, (3, 3), before=(1, 1), name="b")
               .case("several blocks"))
    out.append(Net(1, 3, 17, 2).conv(4, (3, 3), before=(1, 1), name="a").act("tanh")
               .conv(35, (2, 2), name="b").act("tanh").case("17 columns, 35 filters"))
    out.append(Net(2, 1, 13, 3, sequence=True).conv(4, (1, 5), before=(0, 2), name="a").act("tanh")
               .conv(3, (1, 3), (1, 2), dilation=(1, 2), name="b").act("relu").case("sequence"))
    out.append(Net(2, 1, 5, 2, sequence=True).conv(3, (1, 4), (1, 2), (0, 1), transposed=True, name="a").act("tanh")
               .case("sequence transposed"))
    out.append(Net(1, 2, 2, 2).conv(3, (1, 1), (3, 3), transposed=True, more=(2, 1), name="a").act("tanh")
               .conv(2, (2, 2), name="b").case("transposed with holes"))
    return out


json.dump({"torch": torch.__version__, "cases": cases()}, sys.stdout, separators=(",", ":"))
print()
