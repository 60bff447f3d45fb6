"""Goldens of the engine: forward, loss and every gradient of small graphs, from PyTorch in float64.

Run: /usr/bin/python3 tests/golden/nn_goldens.py > tests/unit/nn/nn_goldens.json
(Debian 12: python3-torch 1.13.1.) Only torch does the arithmetic; graphs are written in the form of graph.json.
Inputs and parameters are rounded to float32 first, so both sides start from the same numbers. Linear weights are
stored [in, out]."""

import json
import sys

import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(20261121)


def f32(*shape, scale=1.0):
    return torch.tensor((rng.standard_normal(shape) * scale).astype(np.float32).astype(np.float64))


def flat(t):
    return [float(np.float32(v)) if float(np.float32(v)) == float(v) else float("%.10g" % v)
            for v in t.detach().numpy().ravel()]


class Builder:
    """Builds a graph.json and computes the same thing with torch."""

    def __init__(self, rows, cols, x=None):
        self.rows, self.nodes, self.params, self.values = rows, [], {}, []
        self.running = {}
        self.x_data = f32(rows, cols) if x is None else x
        self.x = self.add("input", [], [-1, cols], self.x_data, name="x")

    def add(self, op, inputs, dims, value, **attrs):
        node = {"op": op, "dims": dims}
        if inputs:
            node["in"] = inputs
        node.update(attrs)
        self.nodes.append(node)
        self.values.append(value)
        return len(self.nodes) - 1

    def param(self, name, value, state=False):
        value = value.clone().requires_grad_(not state)
        self.params[name] = value
        return self.add("param", [], list(value.shape), value, name=name, state=state, frozen=state)

    def batched(self, value):
        return [-1] + list(value.shape[1:])

    def dense(self, x, n, name, bias=True):
        k = self.values[x].shape[1]
        w = self.param(name + ".weight", f32(k, n, scale=0.7))
        b = self.param(name + ".bias", f32(n, scale=0.3)) if bias else None
        v = self.values[x] @ self.values[w]
        if bias:
            v = v + self.values[b]
        return self.add("linear", [x, w, b], self.batched(v), v, name=name)

    def act(self, x, act, alpha=0.0):
        v = self.values[x]
        fn = {"relu": F.relu, "leaky_relu": lambda t: F.leaky_relu(t, alpha), "elu": lambda t: F.elu(t, alpha),
              "gelu": F.gelu, "gelu_tanh": lambda t: F.gelu(t, approximate="tanh"), "silu": F.silu,
              "sigmoid": torch.sigmoid, "tanh": torch.tanh}[act]
        return self.add("act", [x], self.batched(v), fn(v), act=act, alpha=alpha)

    def softmax(self, x):
        return self.add("softmax", [x], self.batched(self.values[x]), F.softmax(self.values[x], 1))

    def batch_norm(self, x, name, momentum=0.1, eps=1e-5):
        v = self.values[x]
        n = v.shape[1]
        w, b = self.param(name + ".weight", f32(n) + 1), self.param(name + ".bias", f32(n))
        mean, var = f32(n), f32(n).abs() + 0.5
        m = self.param(name + ".running_mean", mean, state=True)
        s = self.param(name + ".running_var", var, state=True)
        m2, s2 = mean.clone(), var.clone()
        y = F.batch_norm(v, m2, s2, self.values[w], self.values[b], True, momentum, eps)
        self.running[name + ".running_mean"], self.running[name + ".running_var"] = m2, s2
        return self.add("batch_norm", [x, w, b, m, s], self.batched(v), y, eps=eps, momentum=momentum)

    def layer_norm(self, x, name, eps=1e-5):
        v = self.values[x]
        n = v.shape[1]
        w, b = self.param(name + ".weight", f32(n) + 1), self.param(name + ".bias", f32(n))
        y = F.layer_norm(v, (n,), self.values[w], self.values[b], eps)
        return self.add("layer_norm", [x, w, b], self.batched(v), y, eps=eps)

    def embedding(self, ids, n, width, name):
        t = self.param(name + ".weight", f32(n, width))
        v = F.embedding(self.values[ids].long(), self.values[t]).reshape(self.rows, -1)
        return self.add("embedding", [ids, t], self.batched(v), v)

    def columns(self, x, first, n):
        v = self.values[x][:, first:first + n]
        return self.add("columns", [x], self.batched(v), v, first=first, n=n)

    def concat(self, parts):
        v = torch.cat([self.values[p] for p in parts], 1)
        return self.add("concat", parts, self.batched(v), v)

    def pair(self, op, a, b):
        v = self.values[a] + self.values[b] if op == "add" else self.values[a] * self.values[b]
        return self.add(op, [a, b], self.batched(v), v)

    def scale(self, x, factor, shift):
        v = self.values[x] * factor + shift
        return self.add("scale", [x], self.batched(v), v, factor=factor, shift=shift)

    def case(self, name, y, spec, target, weight=None):
        prediction = self.values[y]
        loss = loss_of(prediction, target, weight, spec)
        trained = {k: p for k, p in self.params.items() if p.requires_grad}
        grads = torch.autograd.grad(loss, list(trained.values()), allow_unused=True)
        return {
            "name": name, "rows": self.rows,
            "graph": {"version": 1, "nodes": self.nodes, "outputs": {"y": y}},
            "loss": spec, "params": {k: flat(p) for k, p in self.params.items()},
            "x": flat(self.x_data), "target": flat(target),
            "weight": flat(weight) if weight is not None else None,
            "expect": {"y": flat(prediction), "loss": float(loss),
                       "grads": {k: flat(g) for k, g in zip(trained, grads) if g is not None},
                       "running": {k: flat(v) for k, v in self.running.items()}},
        }


def loss_of(y, target, weight, spec):
    """Row losses by torch, then the weighted mean; class weights as torch's own (checked against it)."""
    kind, smoothing = spec["kind"], spec.get("smoothing", 0.0)
    cw = torch.tensor(spec["class_weights"]) if "class_weights" in spec else None
    w = weight[:, 0] if weight is not None else torch.ones(len(y))
    if kind == "categorical_crossentropy":
        t = target[:, 0].long()
        rows = F.cross_entropy(torch.log(y), t, weight=cw, label_smoothing=smoothing, reduction="none")
        mass = w * (cw[t] if cw is not None else 1.0)
        if weight is None:
            whole = F.cross_entropy(torch.log(y), t, weight=cw, label_smoothing=smoothing)
            assert abs(float(whole - (w * rows).sum() / mass.sum())) < 1e-12
        return (w * rows).sum() / mass.sum()
    if kind == "binary_crossentropy":
        t = target * (1 - smoothing) + smoothing / 2
        each = F.binary_cross_entropy(y, t, reduction="none")
        c = target * cw[1] + (1 - target) * cw[0] if cw is not None else torch.ones_like(target)
        return ((w[:, None] * c * each).sum()) / (w[:, None] * c).sum()
    each = {"mse": lambda: F.mse_loss(y, target, reduction="none"),
            "mae": lambda: F.l1_loss(y, target, reduction="none"),
            "huber": lambda: F.huber_loss(y, target, reduction="none", delta=spec.get("delta", 1.0)),
            "hinge": lambda: F.relu(spec.get("margin", 1.0) - (2 * target - 1) * y)}[kind]()
    return (w * each.mean(1)).sum() / w.sum()


def classes(rows, n):
    return torch.tensor(rng.integers(0, n, (rows, 1)).astype(np.float64))


def weights(rows):
    return torch.tensor(rng.integers(1, 9, (rows, 1)).astype(np.float64) / 4)


def cases():
    out = []
    for act, alpha in [("relu", 0.0), ("leaky_relu", 0.125), ("elu", 1.5), ("gelu", 0.0), ("gelu_tanh", 0.0),
                       ("silu", 0.0), ("sigmoid", 0.0), ("tanh", 0.0)]:
        b = Builder(7, 11)
        h = b.act(b.dense(b.x, 13, "fc1"), act, alpha)
        h = b.act(b.dense(h, 5, "fc2"), act, alpha)
        y = b.act(b.dense(h, 1, "out"), "sigmoid")
        out.append(b.case("binary " + act, y, {"kind": "binary_crossentropy"}, classes(7, 2)))
    for rows, cols, hidden, n in [(1, 1, 1, 2), (2, 3, 17, 3), (31, 29, 23, 7), (37, 40, 33, 10)]:
        b = Builder(rows, cols)
        y = b.softmax(b.dense(b.act(b.dense(b.x, hidden, "fc1"), "relu"), n, "out"))
        out.append(b.case("classes %dx%d" % (rows, cols), y, {"kind": "categorical_crossentropy"},
                          classes(rows, n)))
    b = Builder(19, 6)
    y = b.softmax(b.dense(b.x, 4, "out"))
    out.append(b.case("class weights and smoothing", y,
                      {"kind": "categorical_crossentropy", "smoothing": 0.125,
                       "class_weights": [0.5, 2.0, 1.0, 3.0]}, classes(19, 4)))
    b = Builder(19, 6)
    y = b.softmax(b.dense(b.x, 4, "out"))
    out.append(b.case("row and class weights", y,
                      {"kind": "categorical_crossentropy", "class_weights": [0.5, 2.0, 1.0, 3.0]},
                      classes(19, 4), weights(19)))
    b = Builder(23, 6)
    y = b.act(b.dense(b.x, 3, "out"), "sigmoid")
    t = torch.tensor(rng.integers(0, 2, (23, 3)).astype(np.float64))
    out.append(b.case("binary, three columns, all weights", y,
                      {"kind": "binary_crossentropy", "smoothing": 0.25, "class_weights": [0.75, 2.5]}, t,
                      weights(23)))
    for kind, extra in [("mse", {}), ("mae", {}), ("huber", {"delta": 0.75})]:
        b = Builder(13, 5)
        y = b.dense(b.act(b.dense(b.x, 8, "fc1"), "tanh"), 2, "out")
        out.append(b.case(kind, y, dict(kind=kind, **extra), f32(13, 2), weights(13)))
    b = Builder(17, 4)
    y = b.dense(b.x, 1, "out")
    out.append(b.case("hinge", y, {"kind": "hinge", "margin": 1.0}, classes(17, 2)))
    b = Builder(17, 4)
    y = b.dense(b.x, 1, "out", bias=False)
    out.append(b.case("perceptron", y, {"kind": "hinge", "margin": 0.0}, classes(17, 2), weights(17)))
    b = Builder(17, 9)
    h = b.batch_norm(b.dense(b.x, 12, "fc1"), "bn1")
    h = b.batch_norm(b.act(h, "relu"), "bn2", momentum=0.25, eps=1e-3)
    y = b.dense(h, 1, "out")
    out.append(b.case("batch norm", y, {"kind": "mse"}, f32(17, 1)))
    b = Builder(5, 7)
    h = b.layer_norm(b.x, "ln0")
    h = b.layer_norm(b.act(b.dense(h, 19, "fc1"), "gelu"), "ln1", eps=1e-3)
    y = b.dense(h, 2, "out")
    out.append(b.case("layer norm", y, {"kind": "mse"}, f32(5, 2)))
    b = Builder(11, 10)
    h = b.act(b.dense(b.x, 10, "fc1"), "silu")
    h = b.pair("add", h, b.x)
    h2 = b.pair("mul", h, b.act(b.dense(h, 10, "gate"), "sigmoid"))
    h = b.concat([h2, b.columns(h, 3, 4), b.scale(b.x, 0.5, 1.0), h2])
    y = b.softmax(b.dense(h, 3, "out"))
    out.append(b.case("residual, gate, concat", y, {"kind": "categorical_crossentropy"}, classes(11, 3)))
    ids = torch.tensor(np.stack([rng.integers(0, 5, 12), rng.integers(0, 5, 12), rng.integers(0, 3, 12)], 1)
                       .astype(np.float64))
    b = Builder(12, 4, torch.cat([ids, f32(12, 1)], 1))
    e1 = b.embedding(b.columns(b.x, 0, 2), 5, 3, "emb1")
    e2 = b.embedding(b.columns(b.x, 2, 1), 3, 2, "emb2")
    y = b.act(b.dense(b.concat([e1, e2, b.columns(b.x, 3, 1)]), 1, "out"), "sigmoid")
    out.append(b.case("embedding", y, {"kind": "binary_crossentropy"}, classes(12, 2)))
    b = Builder(6, 5)
    y = b.dense(b.softmax(b.dense(b.x, 9, "fc1")), 1, "out")
    out.append(b.case("softmax inside", y, {"kind": "mse"}, f32(6, 1)))
    b = Builder(3, 270)
    y = b.dense(b.act(b.dense(b.x, 3, "fc1"), "relu"), 1, "out")
    out.append(b.case("long rows", y, {"kind": "mse"}, f32(3, 1)))
    b = Builder(300, 2)
    y = b.dense(b.act(b.dense(b.x, 3, "fc1"), "tanh"), 1, "out")
    out.append(b.case("many rows", y, {"kind": "mse"}, f32(300, 1)))
    return out


json.dump({"torch": torch.__version__, "cases": cases()}, sys.stdout, separators=(",", ":"))
print()
