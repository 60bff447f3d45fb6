"""Goldens of frames as rows of their own (split_frames, join_frames): forward, loss and every gradient from PyTorch in
float64, in the form of shape_goldens.json.

Run: /usr/bin/python3 tests/golden/frames_goldens.py > tests/unit/nn/frames_goldens.json
(Debian 12: python3-torch 1.13.1.) Frames are folded into torch's batch by reshape, as everybody does it there; batch
norm then takes its statistics over all frames of the batch."""

import contextlib
import io
import json
import os
import sys

import torch
import torch.nn.functional as F

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
with contextlib.redirect_stdout(io.StringIO()):
    import shape_goldens
from shape_goldens import Net, f32, nchw, nhwc


class Video(Net):
    fold = 1

    def node(self, op, inputs, dims, **attrs):
        if inputs is not None and dims[0] == -1:
            dims = [-self.fold] + dims[1:]
        return super().node(op, inputs, dims, **attrs)

    def reshape(self, dims):
        rows, self.rows = self.rows, self.rows * self.fold
        super().reshape(dims)
        self.rows = rows
        return self

    def split(self):
        v, self.fold = self.value, self.value.shape[1]
        return self.put("split_frames", v.reshape(-1, *v.shape[2:]))

    def join(self):
        shape, self.fold = (self.rows, self.fold, *self.value.shape[1:]), 1
        infer = None if self.infer is None else self.infer.reshape(shape)
        return self.put("join_frames", self.value.reshape(shape), infer=infer)

    def conv(self, n, kernel, name="c"):
        c = self.value.shape[-1]
        w = self.param(name + ".weight", f32(kernel * kernel * c, n, scale=0.6))
        b = self.param(name + ".bias", f32(n, scale=0.3))
        weight = self.params[name + ".weight"].reshape(kernel, kernel, c, n).permute(3, 2, 0, 1)
        y = F.conv2d(nchw(self.value), weight, self.params[name + ".bias"], padding=kernel // 2)
        p = kernel // 2
        return self.put("conv", nhwc(y), [w, b], kernel_height=kernel, kernel_width=kernel, stride_height=1,
                        stride_width=1, pad_top=p, pad_left=p, pad_bottom=p, pad_right=p, dilation_height=1,
                        dilation_width=1, groups=1)


def cases():
    out = []
    for i, (rows, dims, width) in enumerate([(2, (3, 5, 4, 2), 7), (1, (1, 3, 2, 1), 2), (3, (7, 2, 2, 3), 5), (5, (2, 1, 3, 2), 3),
                                             (1, (9, 2, 1, 1), 2)]):
        out.append(Video(rows, dims, width).split().act("tanh").join().case("split and join %d" % i))
        out.append(Video(rows, dims, width).split().global_pool("average").join().global_pool("max")
                   .case("mean of each frame, maximum over time %d" % i))
        out.append(Video(rows, dims, width).split().group_norm(1).reshape((dims[1] * dims[2] * width,))
                   .linear(3, name="fc").join().case("frames through a dense layer %d" % i))
    out.append(Video(2, (3, 4, 6, 2), 3).split().conv(5, 3).act("relu").pool("max", (2, 2), (2, 2), (0, 0))
               .conv(4, 3, name="c2").global_pool("average").join().global_pool("average").linear(3, name="fc")
               .case("convolutions over frames, mean over time"))
    out.append(Video(3, (4, 2, 3), 6).split().batch_norm().join().case("batch norm over frames"))
    return out


json.dump({"torch": torch.__version__, "cases": cases()}, sys.stdout, separators=(",", ":"))
print()
