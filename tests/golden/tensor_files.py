"""Writes tests/golden/tensor_files/: .npy files by numpy itself, and a safetensors file by the rules of
the format's own document (header of 8-byte length + JSON, no padding tensors). Made with numpy 1.24.2."""
import json
import os
import struct
import sys

import numpy as np

out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tensor_files")
os.makedirs(out, exist_ok=True)


def save(name, array, version=None):
    with open(os.path.join(out, name), "wb") as f:
        np.lib.format.write_array(f, array, version=version or (1, 0))


save("f32_2x3.npy", (np.arange(6, dtype="<f4") * 0.5 - 1).reshape(2, 3))
save("f64_5.npy", np.arange(5, dtype="<f8"))
save("f64_5_version2.npy", np.arange(5, dtype="<f8"), (2, 0))
save("i64_scalar.npy", np.array(-7, dtype="<i8"))
save("f32_empty.npy", np.zeros((2, 0, 4), dtype="<f4"))
save("fortran.npy", np.asfortranarray(np.ones((2, 3), dtype="<f4")))
save("big_endian.npy", np.arange(3, dtype=">f4"))
save("objects.npy", np.array([1, "a"], dtype=object))
save("records.npy", np.zeros(2, dtype=[("a", "<f4"), ("b", "<i8")]))
save("f16.npy", np.zeros(2, dtype="<f2"))
save("version3.npy", np.zeros(2, dtype="<f4"), (3, 0))

tensors = {
    "scalar": np.array(-0.125, dtype="<f8"),
    "fc1.weight": np.array([[1, -2, 3.5], [0, 1e-30, 6]], dtype="<f4"),
    'a "quoted" name': np.array([1, 2, 3, 4, 5], dtype="u1"),
}
names = {"<f8": "F64", "<f4": "F32", "|u1": "U8"}
header, at = {"__metadata__": {"format": "pt"}}, 0
for name, t in tensors.items():
    header[name] = {"dtype": names[t.dtype.str], "shape": list(t.shape), "data_offsets": [at, at + t.nbytes]}
    at += t.nbytes
text = json.dumps(header).encode()
with open(os.path.join(out, "foreign.safetensors"), "wb") as f:
    f.write(struct.pack("<Q", len(text)) + text + b"".join(t.tobytes() for t in tensors.values()))
print("numpy", np.__version__, "python", sys.version.split()[0])
