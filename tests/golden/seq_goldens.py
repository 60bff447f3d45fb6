"""Goldens of sequence layers: forward, loss and every gradient from PyTorch in float64, in the form of nn_goldens.json.

Run: /usr/bin/python3 tests/golden/seq_goldens.py > tests/unit/nn/seq_goldens.json
(Debian 12: python3-torch 1.13.1.) Only torch does the arithmetic: torch.nn.RNN, LSTM and GRU on packed sequences
(rows of length 0, which cannot be packed, give zeros). x is [B, T*C + 1], its last column the row's length. Shapes
are drawn from small numbers and primes; everything is rounded to float32 first."""

import json
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(20261123)


def f32(*shape, scale=1.0):
    return torch.tensor((rng.standard_normal(shape) * scale).astype(np.float32).astype(np.float64))


def flat(t, digits=9):
    return [float("%.*g" % (digits, v)) for v in t.detach().numpy().ravel()]


class Net:
    def __init__(self, rows, t, c, lengths):
        """lengths: "all" (none given), "random" (0..T), "bounds" (0, T and beyond)."""
        self.nodes, self.values, self.params, self.rows, self.t = [], [], {}, rows, t
        if lengths == "bounds":
            given = np.array([0, t, t + 3, -2, 1])[np.arange(rows) % 5]
        else:
            given = rng.integers(0, t + 1, rows)
        self.len = np.clip(given, 0, t) if lengths != "all" else np.full(rows, t)
        self.mask = torch.tensor((np.arange(t)[None] < self.len[:, None]).astype(np.float64))[:, :, None]
        self.x = torch.cat([f32(rows, t * c), torch.tensor(given.astype(np.float64))[:, None]], 1)
        n = t * c
        self.add("input", None, self.x, name="x")
        self.add("columns", [0], self.x[:, :n], first=0, n=n)
        self.lengths = self.add("columns", [0], self.x[:, n:], first=n, n=1) if lengths != "all" else None
        self.seq = self.reshape(1, self.x[:, :n].reshape(rows, t, c))

    def add(self, op, inputs, value, dims=None, **attrs):
        node = {"op": op, "dims": dims or [-1] + list(value.shape[1:])}
        if inputs is not None:
            node["in"] = inputs
        node.update(attrs)
        self.nodes.append(node)
        self.values.append(value)
        return len(self.nodes) - 1

    def reshape(self, x, value):
        dims = list(value.shape[1:])
        at = {"d%d" % i: d for i, d in enumerate(dims + [0] * (7 - len(dims)))}
        return self.add("reshape", [x], value, rank=len(dims), **at)

    def param(self, name, tensor, transpose=False):
        """tensor: torch's, a leaf; stored transposed where it is a weight."""
        self.params[name] = (tensor, transpose)
        shape = list(tensor.shape)
        return self.add("param", None, tensor, dims=shape[::-1] if transpose else shape, name=name, decay=False,
                        frozen=False, state=False)

    def steps_of(self, x, run):
        """run on the rows that have steps, packed; zeros elsewhere."""
        some = np.flatnonzero(self.len > 0)
        if len(some) == 0:
            return None
        packed = pack_padded_sequence(x[some], torch.tensor(self.len[some]), batch_first=True, enforce_sorted=False)
        y = pad_packed_sequence(run(packed)[0], batch_first=True, total_length=self.t)[0]
        return torch.zeros(self.rows, self.t, y.shape[2]).index_copy(0, torch.tensor(some), y)

    def recurrent(self, kind, h, layers=1, directions=("",), act="tanh", name="net"):
        """Steps of the last layer; directions: "" and "_reverse"."""
        x = self.seq
        width = self.values[x].shape[2]
        two = len(directions) == 2
        make = {"rnn": lambda: torch.nn.RNN(width, h, layers, nonlinearity=act, batch_first=True, bidirectional=two),
                "lstm": lambda: torch.nn.LSTM(width, h, layers, batch_first=True, bidirectional=two),
                "gru": lambda: torch.nn.GRU(width, h, layers, batch_first=True, bidirectional=two)}[kind]
        net = make()
        for p in net.parameters():
            p.data = f32(*p.shape, scale=0.7 / np.sqrt(h))
        value = self.values[x]
        if directions == ("_reverse",):  # torch has it only beside the forward one
            value = self.flip(value)
        steps = self.steps_of(value, net)
        if directions == ("_reverse",):
            steps = self.flip(steps)
        for k in range(layers):
            parts = []
            for d in directions:
                own = "_l%d%s" % (k, d if two else "")
                p = {w: self.param("%s.%s_l%d%s" % (name, w, k, d), getattr(net, w + own), w[0] == "w")
                     for w in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
                gates = getattr(net, "bias_ih" + own).shape[0]
                pre = self.add("linear", [x, p["weight_ih"], p["bias_ih"]], torch.empty(0, self.t, gates))
                attrs = dict(act=act) if kind == "rnn" else {}
                parts.append(self.add(kind, [pre, p["weight_hh"], p["bias_hh"], self.lengths],
                                      torch.empty(0, self.t, h), reverse=int(d != ""), **attrs))
            x = parts[0] if not two else self.add("concat", parts, torch.empty(0, self.t, 2 * h))
        self.values[x] = steps
        return x

    def flip(self, x):
        out = x.clone()
        for b, n in enumerate(self.len):
            out[b, :n] = x[b, :n].flip(0)
        return out

    def reverse(self, x):
        return self.add("seq_reverse", [x, self.lengths], self.flip(self.values[x]))

    def pool(self, x, kind):
        v, n = self.values[x], torch.tensor(self.len)
        some = (n > 0).double()[:, None]
        if kind == 0:
            y = (v * self.mask).sum(1) / n.clamp(min=1)[:, None]
        elif kind == 1:
            y = v.masked_fill(self.mask == 0, -np.inf).max(1)[0]
            y = torch.where(some > 0, y, torch.zeros_like(y))
        elif kind == 2:
            y = v[torch.arange(self.rows), (n - 1).clamp(min=0)] * some
        else:
            y = v[:, 0] * some
        return self.add("seq_pool", [x, self.lengths], y, pool=kind)

    def attention(self, x, units):
        v = self.values[x]
        w, b = f32(units, v.shape[2]).requires_grad_(), f32(units).requires_grad_()
        q = f32(1, units).requires_grad_()
        p = [self.param("att.weight", w, True), self.param("att.bias", b), self.param("att.query", q, True)]
        hidden = torch.tanh(F.linear(v, w, b))
        lin = self.add("linear", [x, p[0], p[1]], hidden)
        act = self.add("act", [lin], hidden, act="tanh", alpha=0.0)
        scores = F.linear(hidden, q)
        s = self.add("linear", [act, p[2]], scores)
        share = torch.softmax(scores.masked_fill(self.mask == 0, -1e300), 1) * self.mask
        return self.add("seq_attend", [x, s, self.lengths], (share * v).sum(1))

    def case(self, name, last):
        v = self.values[last]
        if v.dim() == 3:
            n = v.shape[1] * v.shape[2]
            last = self.reshape(last, v.reshape(self.rows, n))
            v = self.values[last]
        w, b = f32(2, v.shape[1], scale=0.5).requires_grad_(), f32(2).requires_grad_()
        p = [self.param("out.weight", w, True), self.param("out.bias", b)]
        y = F.linear(v, w, b)
        last = self.add("linear", [last] + p, y)
        target = f32(self.rows, 2)
        loss = ((y - target) ** 2).mean()
        grads = torch.autograd.grad(loss, [t for t, _ in self.params.values()], allow_unused=True)
        turned = {k: (g if g is not None else torch.zeros_like(t)) for (k, (t, _)), g in zip(self.params.items(), grads)}
        turned = {k: g.T if self.params[k][1] else g for k, g in turned.items()}
        return {"name": name, "rows": self.rows,
                "graph": {"version": 1, "nodes": self.nodes, "outputs": {"y": last}},
                "loss": {"kind": "mse"},
                "params": {k: flat(t.T if turn else t) for k, (t, turn) in self.params.items()},
                "x": flat(self.x), "target": flat(target), "weight": None,
                "expect": {"y": flat(y, 8), "loss": float(loss), "grads": {k: flat(g, 7) for k, g in turned.items()},
                           "running": {}}}


def cases():
    out = []
    shapes = [(1, 1, 1, 1, "all"), (5, 7, 3, 5, "random"), (7, 3, 2, 17, "bounds"), (2, 11, 5, 1, "random")]
    for kind, act in [("rnn", "tanh"), ("rnn", "relu"), ("lstm", "tanh"), ("gru", "tanh")]:
        for rows, t, c, h, lengths in shapes:
            for directions in ((("",), ("_reverse",)) if h != 17 and rows != 1 else (("",),)):
                n = Net(rows, t, c, lengths)
                out.append(n.case("%s %s %s %dx%dx%d -> %d" % (kind, act, directions, rows, t, c, h),
                                  n.recurrent(kind, h, 1, directions, act)))
        n = Net(3, 5, 2, "all")
        out.append(n.case(kind + " two layers, both directions", n.recurrent(kind, 3, 2, ("", "_reverse"), act)))
        n = Net(5, 4, 2, "bounds")
        y = n.recurrent(kind, 3, 2, ("", "_reverse"), act)
        out.append(n.case(kind + " two layers, both directions, lengths", y))
        n = Net(6, 5, 3, "random")
        out.append(n.case(kind + " last state", n.pool(n.recurrent(kind, 4, 2, ("",), act), 2)))
    n = Net(67, 3, 2, "random")
    out.append(n.case("lstm, 67 rows", n.pool(n.recurrent("lstm", 3), 2)))
    n = Net(3, 2, 2, "all")
    out.append(n.case("lstm of 35 units, backwards", n.pool(n.recurrent("lstm", 35, 1, ("_reverse",)), 3)))
    for kind in range(4):
        for rows, t, c, lengths in [(1, 1, 1, "all"), (5, 6, 3, "bounds"), (4, 5, 17, "random"), (3, 4, 2, "all")]:
            n = Net(rows, t, c, lengths)
            out.append(n.case("pool %d" % kind, n.pool(n.recurrent("rnn", c), kind)))
    for rows, t, c, lengths in [(1, 1, 1, "all"), (5, 6, 3, "bounds"), (4, 5, 17, "random"), (3, 4, 2, "all")]:
        n = Net(rows, t, c, lengths)
        out.append(n.case("attention", n.attention(n.recurrent("rnn", c), 7)))
        n = Net(rows, t, c, lengths)
        out.append(n.case("reverse", n.reverse(n.recurrent("rnn", c))))
    return out


json.dump({"torch": torch.__version__, "cases": cases()}, sys.stdout, separators=(",", ":"))
print()
