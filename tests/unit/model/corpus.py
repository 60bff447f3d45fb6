"""Writes tests/fuzz/corpus/package/ from a package that the probe makes: the package itself, each of its
parts in the form that fuzz_package.c takes, and a few tensor files.    corpus.py PROBE"""
import os
import struct
import subprocess
import sys
import tempfile

root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
out = os.path.join(root, "fuzz", "corpus", "package")
os.makedirs(out, exist_ok=True)


def save(name, data):
    with open(os.path.join(out, name), "wb") as f:
        f.write(data)


def parts_of(data):
    at = 0
    while data[at:at + 4] == b"PK\3\4":
        n_name, n_extra = struct.unpack_from("<HH", data, at + 26)
        body = at + 30 + n_name + n_extra
        size = struct.unpack_from("<Q", data, at + 30 + n_name + 4)[0]
        yield data[body:body + size]
        at = body + size


def as_parts(parts):
    return b"".join(bytes([i]) + struct.pack("<I", len(p))[:3] + p for i, p in enumerate(parts))


with tempfile.TemporaryDirectory() as d:
    for kind in ("tiny", "value"):
        path = os.path.join(d, kind)
        subprocess.run([sys.argv[1], kind, path], check=True)
        data = open(path, "rb").read()
        parts = list(parts_of(data))[:8]
        if kind == "tiny":
            save("package-tiny", data)
            save("package-half", data[:len(data) // 2])
            save("weights.safetensors", parts[2])
        save("parts-" + kind, as_parts(parts))
        if kind == "tiny":
            for i in range(8):
                broken = list(parts)
                broken[i] = parts[i][:len(parts[i]) // 2]
                save("parts-half-%d" % i, as_parts(broken))
for name in ("f32_2x3.npy", "f64_5_version2.npy", "foreign.safetensors", "objects.npy"):
    with open(os.path.join(root, "golden", "tensor_files", name), "rb") as f:
        save(name, f.read())
