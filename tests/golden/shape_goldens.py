"""Goldens of pooling, resizing, moving and normalising pictures and sequences: forward, loss and every gradient from
PyTorch in float64, in the form of nn_goldens.json.

Run: /usr/bin/python3 tests/golden/shape_goldens.py > tests/unit/nn/shape_goldens.json
(Debian 12: python3-torch 1.13.1.) Only torch does the arithmetic, in its own order of dimensions; rows are [H,W,C]
here. Sizes are 1, primes and what leaves remainders; inputs and parameters are multiples of 1/32. `y_infer` and
`loss_infer` are there where inference differs from training (batch norm)."""

import json
import sys

import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(20261123)


def f32(*shape, scale=1.0):
    return torch.tensor(np.round(rng.standard_normal(shape) * scale * 32) / 32)


def flat(t):
    """Eight digits: inputs are multiples of 1/32 and thus exact."""
    return [int(v) if v == int(v) else float("%.8g" % v) for v in t.detach().numpy().ravel()]


def nchw(v):
    return v.movedim(-1, 1)


def nhwc(v):
    return v.movedim(1, -1)


class Net:
    """x [rows, n], reshaped, through a linear layer over the last dimension (so that gradients have somewhere to
    go), then the layers under test; the output is flattened."""

    def __init__(self, rows, dims, width=None, x=None, w=None):
        n = int(np.prod(dims))
        self.rows, self.nodes, self.params, self.stored, self.running = rows, [], {}, {}, {}
        self.infer = None
        self.x = f32(rows, n) if x is None else x.reshape(rows, n)
        self.last = self.node("input", None, [-1, n], name="x")
        self.value = self.x
        if len(dims) > 1:
            self.reshape(dims)
        if width:
            self.linear(width, w)

    def node(self, op, inputs, dims, **attrs):
        n = {"op": op, "dims": dims}
        if inputs is not None:
            n["in"] = inputs
        n.update(attrs)
        self.nodes.append(n)
        return len(self.nodes) - 1

    def put(self, op, value, params=(), infer=None, **attrs):
        """The next layer: its value in training and, where it differs, in inference."""
        self.last = self.node(op, [self.last] + list(params), [-1] + list(value.shape[1:]), **attrs)
        if infer is None and self.infer is not None:
            raise ValueError("batch norm must come last")
        self.value, self.infer = value, infer
        return self

    def param(self, name, value, stored=None, state=False):
        self.params[name] = value.clone().requires_grad_(not state)
        self.stored[name] = value if stored is None else stored
        return self.node("param", None, list(value.shape), name=name, decay=False, frozen=state, state=state)

    def linear(self, n, w=None, name="w"):
        w = f32(self.value.shape[-1], n) if w is None else w
        p = self.param(name, w)
        return self.put("linear", self.value @ self.params[name], [p])

    def reshape(self, dims):
        at = {"d%d" % i: 0 for i in range(7)}
        at.update({"d%d" % i: d for i, d in enumerate(dims)})
        infer = None if self.infer is None else self.infer.reshape(self.rows, *dims)
        return self.put("reshape", self.value.reshape(self.rows, *dims), infer=infer, rank=len(dims), **at)

    def act(self, act):
        fn = {"relu": F.relu, "tanh": torch.tanh, "gelu": F.gelu, "sigmoid": torch.sigmoid}[act]
        return self.put("act", fn(self.value), act=act, alpha=1.0)

    def pool(self, kind, kernel, stride, padding, skip_pad=False):
        v = self.value
        one = v.dim() == 3
        k, s, p = (kernel[1:], stride[1:], padding[1:]) if one else (kernel, stride, padding)
        if kind == "max":
            y = (F.max_pool1d if one else F.max_pool2d)(nchw(v), k, s, p)
        else:
            y = (F.avg_pool1d if one else F.avg_pool2d)(nchw(v), k, s, p, False, not skip_pad)
        extra = {} if kind == "max" else {"skip_pad": int(skip_pad)}
        return self.put("max_pool" if kind == "max" else "average_pool", nhwc(y), kernel_h=kernel[0],
                        kernel_w=kernel[1], stride_h=stride[0], stride_w=stride[1], padding_h=padding[0],
                        padding_w=padding[1], **extra)

    def global_pool(self, kind):
        v = self.value.flatten(1, -2)
        return self.put("global_%s_pool" % kind, v.max(1)[0] if kind == "max" else v.mean(1))

    def upsample(self, kind, h, w):
        v = nchw(self.value)
        if v.dim() == 3:
            y = F.interpolate(v[:, :, None], (1, w), mode=kind,
                              **({"align_corners": False} if kind == "bilinear" else {}))[:, :, 0]
        else:
            y = F.interpolate(v, (h, w), mode=kind, **({"align_corners": False} if kind == "bilinear" else {}))
        return self.put("upsample_" + kind, nhwc(y), h=h, w=w)

    def permute(self, order):
        at = {"from%d" % i: 0 for i in range(7)}
        at.update({"from%d" % i: o for i, o in enumerate(order)})
        return self.put("permute", self.value.permute(0, *[o + 1 for o in order]), **at)

    def lists(self, op, value, a, b, na, nb):
        at = {"%s%d" % (k, i): 0 for k in (na, nb) for i in range(7)}
        at.update({"%s%d" % (na, i): v for i, v in enumerate(a)})
        at.update({"%s%d" % (nb, i): v for i, v in enumerate(b)})
        return self.put(op, value, **at)

    def slice(self, first, count):
        index = (slice(None),) + tuple(slice(f, f + n) for f, n in zip(first, count))
        return self.lists("slice", self.value[index], first, count, "first", "n")

    def pad(self, before, after):
        sides = [s for b, a in reversed(list(zip(before, after))) for s in (b, a)]
        return self.lists("pad", F.pad(self.value, sides), before, after, "before", "after")

    def group_norm(self, groups, eps=1e-5, name="gn"):
        c = self.value.shape[-1]
        w, b = self.param(name + ".weight", f32(c) + 1), self.param(name + ".bias", f32(c))
        y = nhwc(F.group_norm(nchw(self.value), groups, self.params[name + ".weight"], self.params[name + ".bias"], eps))
        return self.put("group_norm", y, [w, b], groups=groups, eps=eps)

    def layer_norm(self, eps=1e-5, name="ln"):
        c = self.value.shape[-1]
        w, b = self.param(name + ".weight", f32(c) + 1), self.param(name + ".bias", f32(c))
        y = F.layer_norm(self.value, (c,), self.params[name + ".weight"], self.params[name + ".bias"], eps)
        return self.put("layer_norm", y, [w, b], eps=eps)

    def batch_norm(self, momentum=0.1, eps=1e-5, name="bn2d"):
        """torch.nn.BatchNorm2d itself, one training call, and one call in evaluation mode before it."""
        c = self.value.shape[-1]
        names = [name + s for s in (".weight", ".bias", ".running_mean", ".running_var")]
        ids = [self.param(names[0], f32(c) + 1), self.param(names[1], f32(c)),
               self.param(names[2], f32(c), state=True), self.param(names[3], f32(c).abs() + 0.5, state=True)]
        m = torch.nn.BatchNorm2d(c, eps=eps, momentum=momentum)
        del m.weight, m.bias  # replaced by the golden's own leaves
        m.weight, m.bias = self.params[names[0]], self.params[names[1]]
        m.running_mean.copy_(self.params[names[2]])
        m.running_var.copy_(self.params[names[3]])
        v = nchw(self.value) if self.value.dim() == 4 else nchw(self.value)[:, :, None]
        shape = nchw(self.value).shape
        m.eval()
        infer = nhwc(m(v).reshape(shape))
        m.train()
        y = nhwc(m(v).reshape(shape))
        self.running = {names[2]: m.running_mean, names[3]: m.running_var}
        return self.put("batch_norm", y, ids, infer=infer, eps=eps, momentum=momentum)

    def tokens(self, n, width, name="emb"):
        """Row 0 is zeros in torch; the stored table has numbers there, which must not show."""
        t = f32(n, width)
        zeroed = t.clone()
        zeroed[0] = 0
        p = self.param(name, zeroed, stored=t)
        return self.put("tokens", F.embedding(self.value.long(), self.params[name], padding_idx=0), [p])

    def softmax(self):
        return self.put("softmax", F.softmax(self.value, -1))

    def fork_concat(self, width, first, n):
        """concat of the value, of columns of it and of another linear layer of it"""
        at, v = self.last, self.value
        self.linear(width, name="w2")
        a, va = self.last, self.value
        self.last, self.value = at, v
        self.put("columns", v[..., first:first + n], first=first, n=n)
        y = torch.cat([va, v, self.value], -1)
        self.last = self.node("concat", [a, at, self.last], [-1] + list(y.shape[1:]))
        self.value = y
        return self

    def case(self, name):
        if self.value.dim() > 2:
            self.reshape([int(np.prod(self.value.shape[1:]))])
        target = f32(*self.value.shape)
        loss = F.mse_loss(self.value, target)
        trained = {k: p for k, p in self.params.items() if p.requires_grad}
        grads = torch.autograd.grad(loss, list(trained.values()))
        expect = {"y": flat(self.value), "loss": float(loss), "grads": {k: flat(g) for k, g in zip(trained, grads)},
                  "running": {k: flat(v) for k, v in self.running.items()}}
        if self.infer is not None:
            expect["y_infer"] = flat(self.infer)
            expect["loss_infer"] = float(F.mse_loss(self.infer, target))
        return {"name": name, "rows": self.rows,
                "graph": {"version": 1, "nodes": self.nodes, "outputs": {"y": self.last}}, "loss": {"kind": "mse"},
                "params": {k: flat(p) for k, p in self.stored.items()}, "x": flat(self.x), "target": flat(target),
                "weight": None, "expect": expect}


def ties(rows, dims, width):
    """Whole numbers, so that different inputs give equal maxima."""
    x = torch.tensor(rng.integers(0, 3, (rows, int(np.prod(dims)))).astype(np.float64))
    w = torch.tensor(rng.integers(0, 2, (dims[-1], width)).astype(np.float64))
    return Net(rows, dims, width, x, w)


def cases():
    out = []
    pools = [(1, (6, 6, 2), 33, (2, 2), (2, 2), (0, 0)), (2, (5, 7, 2), 17, (2, 2), (2, 2), (0, 0)),
             (2, (7, 5, 2), 3, (3, 3), (2, 2), (1, 1)), (1, (1, 1, 1), 1, (1, 1), (1, 1), (0, 0)),
             (3, (5, 7, 2), 5, (3, 2), (1, 3), (1, 0)), (1, (11, 7, 1), 2, (5, 4), (2, 3), (2, 2)),
             (2, (7, 2), 19, (1, 3), (1, 2), (0, 1)), (2, (7, 3), 8, (1, 7), (1, 7), (0, 0))]
    for i, (rows, dims, width, k, s, p) in enumerate(pools):
        out.append(Net(rows, dims, width).pool("max", k, s, p).case("max pool %d" % i))
        out.append(ties(rows, (*dims[:-1], 3), width).pool("max", k, s, p).case("max pool, ties %d" % i))
        out.append(Net(rows, dims, width).pool("average", k, s, p).case("average pool %d" % i))
        if any(p):
            out.append(Net(rows, dims, width).pool("average", k, s, p, skip_pad=True).case("average inside %d" % i))
    for i, (rows, dims, width) in enumerate([(2, (5, 3, 2), 18), (1, (1, 1, 1), 1), (2, (13, 3), 5),
                                             (2, (2, 3, 5, 2), 3), (2, (300, 1), 1)]):
        out.append(Net(rows, dims, width).global_pool("average").case("global average %d" % i))
        out.append(Net(rows, dims, width).act("tanh").global_pool("max").case("global max %d" % i))
        out.append(ties(rows, (*dims[:-1], 3), width).global_pool("max").case("global max, ties %d" % i))
    for i, (rows, dims, width, h, w) in enumerate([(1, (2, 3, 2), 17, 4, 6), (1, (1, 1, 1), 1, 1, 1),
                                                   (2, (4, 3, 2), 3, 7, 5), (1, (7, 11, 1), 2, 5, 3),
                                                   (2, (5, 3), 3, 1, 13), (1, (2, 2, 3), 2, 1, 1)]):
        for kind in ("nearest", "bilinear"):
            out.append(Net(rows, dims, width).upsample(kind, h, w).case("%s %d" % (kind, i)))
    for i, (rows, dims, width, order) in enumerate([(2, (3, 5, 2), 7, (2, 0, 1)), (3, (5, 2), 3, (1, 0)),
                                                    (1, (2, 3, 2, 3), 5, (3, 1, 0, 2)), (2, (3, 4, 2), 3, (1, 0, 2)),
                                                    (2, (7,), 3, (0,))]):
        out.append(Net(rows, dims, width).permute(order).act("tanh").case("permute %d" % i))
    for i, (rows, dims, width, first, n) in enumerate([(2, (5, 7, 2), 3, (1, 2, 0), (3, 4, 2)),
                                                       (3, (11, 2), 5, (10, 4), (1, 1)), (1, (7,), 13, (3,), (7,)),
                                                       (2, (2, 3, 2, 2), 3, (0, 1, 1, 0), (2, 1, 1, 3))]):
        out.append(Net(rows, dims, width).slice(first, n).case("slice %d" % i))
    for i, (rows, dims, width, before, after) in enumerate([(2, (3, 5, 2), 3, (1, 2, 0), (0, 3, 1)),
                                                            (3, (1, 1), 1, (2, 1), (1, 0)), (1, (7,), 2, (1,), (4,))]):
        out.append(Net(rows, dims, width).pad(before, after).act("sigmoid").case("pad %d" % i))
    for i, (rows, dims, width, groups) in enumerate([(2, (3, 5, 2), 12, 3), (2, (5, 2), 17, 1), (1, (5, 3, 2), 18, 18),
                                                     (1, (11, 13, 1), 4, 2), (3, (3,), 6, 2)]):
        out.append(Net(rows, dims, width).group_norm(groups).act("tanh").case("group norm %d" % i))
        out.append(Net(rows, dims, width).group_norm(groups, eps=1e-3).case("group norm, eps %d" % i))
    for i, (rows, dims, width, momentum) in enumerate([(2, (3, 5, 2), 17, 0.1), (2, (7, 2), 3, 0.25),
                                                       (2, (2, 3, 2), 32, 1.0), (1, (11, 13, 1), 1, 0.1)]):
        out.append(Net(rows, dims, width).batch_norm(momentum).case("batch norm 2d %d" % i))
    out.append(Net(3, (5, 3, 2), 7).batch_norm(0.0, eps=1e-3).case("batch norm 2d, momentum 0"))
    for i, (rows, steps, n, width) in enumerate([(3, 7, 5, 4), (1, 1, 2, 1), (5, 3, 11, 17)]):
        ids = torch.tensor(rng.integers(0, n, (rows, steps)).astype(np.float64))
        for b in range(rows - 1):
            ids[b, steps - b:] = 0
        out.append(Net(rows, (steps,), x=ids).tokens(n, width).linear(3).act("tanh").global_pool("average")
                   .case("tokens %d" % i))
    out.append(Net(2, (3, 5, 2), 7).fork_concat(3, 2, 4).act("gelu").case("concat and columns of pictures"))
    out.append(Net(3, (7, 2), 3).softmax().fork_concat(2, 0, 1).case("concat of sequences, softmax inside"))
    out.append(Net(2, (5, 3, 2), 4).layer_norm().act("relu").reshape((3, 5, 4)).linear(5, name="v").act("relu")
               .case("views between layers"))
    out.append(Net(2, (8, 8, 1), 5).act("relu").pool("max", (2, 2), (2, 2), (0, 0)).reshape((80,))
               .linear(7, name="fc").act("relu").case("a small classifier's body"))
    return out


json.dump({"torch": torch.__version__, "cases": cases()}, sys.stdout, separators=(",", ":"))
print()
