"""Archives that nobody honest makes, and what stock tools say to the honest one.

    hostile.py PROBE

Makes a package with the probe, reads it with zipfile, unzip, libzip and its ziptool (each where it is
installed; zipfile always is), then makes some seventy hostile files from it and lets the probe open
them: each must be refused with a typed code and a message. Standard library only."""
import binascii
import ctypes
import ctypes.util
import io
import os
import pickle
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile

ORDER = ["manifest.json", "graph.json", "weights.safetensors", "features.json", "recipe.yaml", "metrics.json",
         "card.md", "sample.json", "signature"]


def locals_of(data):
    """offset of local header, of data, size, name of every entry"""
    out, at = [], 0
    while data[at:at + 4] == b"PK\3\4":
        n_name, n_extra = struct.unpack_from("<HH", data, at + 26)
        body = at + 30 + n_name + n_extra
        size = struct.unpack_from("<Q", data, at + 30 + n_name + 4)[0]
        out.append((at, body, size, data[at + 30:at + 30 + n_name].decode()))
        at = body + size
    return out, at


def put(data, at, fmt, *values):
    data = bytearray(data)
    struct.pack_into("<" + fmt, data, at, *values)
    return bytes(data)


def stock_tools(path, data):
    with zipfile.ZipFile(path) as z:
        assert z.testzip() is None
        assert z.namelist() == ORDER, z.namelist()
        assert all(i.compress_type == 0 and i.date_time[0] == 1980 for i in z.infolist())
        entries, _ = locals_of(data)
        for at, body, size, name in entries:
            assert body % 64 == 0
            assert z.read(name) == data[body:body + size]
            assert z.getinfo(name).header_offset == at
        weights = z.read("weights.safetensors")
        n = struct.unpack("<Q", weights[:8])[0]
        assert (8 + n) % 64 == 0
    tools = ["zipfile"]
    if shutil.which("unzip"):
        out = subprocess.run(["unzip", "-t", path], capture_output=True, text=True)
        assert out.returncode == 0, out.stdout + out.stderr
        assert "No errors detected" in out.stdout
        tools.append("unzip")
    if shutil.which("ziptool"):
        for at, body, size, part in entries:
            out = subprocess.run(["ziptool", "-c", path, "cat", str(ORDER.index(part))], capture_output=True)
            assert out.returncode == 0, out.stderr
            assert out.stdout == data[body:body + size], part
        tools.append("ziptool")
    name = ctypes.util.find_library("zip")
    if name:
        lib = ctypes.CDLL(name)
        lib.zip_open.restype = ctypes.c_void_p
        lib.zip_get_num_entries.argtypes = [ctypes.c_void_p, ctypes.c_int]
        lib.zip_get_num_entries.restype = ctypes.c_int64
        lib.zip_fopen.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
        lib.zip_fopen.restype = ctypes.c_void_p
        lib.zip_fread.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint64]
        lib.zip_fread.restype = ctypes.c_int64
        lib.zip_fclose.argtypes = [ctypes.c_void_p]
        lib.zip_discard.argtypes = [ctypes.c_void_p]
        error = ctypes.c_int()
        z = lib.zip_open(path.encode(), 4, ctypes.byref(error))  # ZIP_CHECKCONS
        assert z, error.value
        assert lib.zip_get_num_entries(z, 0) == len(ORDER)
        for at, body, size, part in entries:
            f = lib.zip_fopen(z, part.encode(), 0)
            buf = ctypes.create_string_buffer(size + 1)
            assert lib.zip_fread(f, buf, size + 1) == size
            assert buf.raw[:size] == data[body:body + size]
            lib.zip_fclose(f)
        lib.zip_discard(z)
        tools.append("libzip")
    return tools


def by_the_book(path):
    """the archive built again from the tables of docs/PACKAGE.md"""
    out, entries = b"", []
    with zipfile.ZipFile(path) as z:
        for name in z.namelist():
            body, n, at, p = z.read(name), len(name), len(out), 6
            while (at + 50 + n + p) % 64:
                p += 1
            head = b"PK\3\4" + struct.pack("<HHHHHI", 45, 0, 0, 0, 0x21, binascii.crc32(body)) + b"\xff" * 8
            head += struct.pack("<HH", n, 20 + p) + name.encode()
            head += struct.pack("<HHQQHHH", 1, 16, len(body), len(body), 0xd935, p - 4, 64) + bytes(p - 6)
            out += head + body
            entries.append((name.encode(), head[4:22], len(body), at))
    cd = len(out)
    for name, common, size, at in entries:
        out += b"PK\1\2" + struct.pack("<H", 0x32d) + common + b"\xff" * 4 + struct.pack("<HH", len(name), 28)
        out += struct.pack("<HHHI", 0, 0, 0, 0o100644 << 16) + b"\xff" * 4 + name
        out += struct.pack("<HHQQQ", 1, 24, size, size, at)
    end, n = len(out), len(entries)
    out += b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 0x32d, 45, 0, 0, n, n, end - cd, cd)
    out += b"PK\6\7" + struct.pack("<IQI", 0, end, 1)
    return out + b"PK\5\6" + struct.pack("<HH", 0, 0) + b"\xff" * 12 + struct.pack("<H", 0)


def rezip(data, change=lambda name, body: [(name, body)], **kw):
    """the same parts through Python's zipfile"""
    entries, _ = locals_of(data)
    out = io.BytesIO()
    import warnings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(out, "w", **kw) as z:
            for _, body, size, name in entries:
                for new_name, new_body in change(name, data[body:body + size]):
                    z.writestr(new_name, new_body)
    return out.getvalue()


def rename(data, old, new):
    assert len(old) == len(new)
    return data.replace(old, new)


def hostile(data):
    entries, cd = locals_of(data)
    end64 = data.index(b"PK\6\6", cd)
    locator, end = end64 + 56, end64 + 76
    first, second = entries[0], entries[1]
    at, body, size, name = first
    x = at + 30 + len(name)  # the extra field
    cases = {
        "empty": b"",
        "one byte": b"P",
        "zeros": bytes(1000),
        "only magic": b"PK\3\4",
        "only an end record": data[end:],
        "an empty zip": b"PK\5\6" + bytes(18),
        "trailing byte": data + b"\0",
        "trailing zip": data + data,
        "leading byte": b"\0" + data,
        "leading stub": b"#!/bin/sh\n" + data,
        "no directory": data[:cd],
        "no end": data[:end],
        "pickle": pickle.dumps({"model": [1, 2, 3]}),
        "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(500),
        "torch zip": rezip(data, lambda n, b: [("archive/data.pkl", pickle.dumps(b))] if n == ORDER[0] else []),
        "deflate": rezip(data, compression=zipfile.ZIP_DEFLATED),
        "bzip2": rezip(data, compression=zipfile.ZIP_BZIP2),
        "lzma": rezip(data, compression=zipfile.ZIP_LZMA),
        "not aligned": rezip(data),
        "method 8 claimed": put(data, at + 8, "H", 8),
        "method 99 (aes) claimed": put(data, at + 8, "H", 99),
        "encrypted": put(data, at + 6, "H", 1),
        "data descriptor": put(data, at + 6, "H", 8),
        "utf-8 flag": put(data, at + 6, "H", 0x800),
        "masked headers": put(data, at + 6, "H", 0x2000),
        "version 6.3": put(data, at + 4, "H", 63),
        "a date": put(data, at + 12, "H", 0x5721),
        "wrong crc here": put(data, at + 14, "I", 1),
        "wrong crc in both": put(put(data, at + 14, "I", 1), cd + 16, "I", 1),
        "32-bit sizes": put(data, at + 18, "II", size, size),
        "zip64 sizes differ": put(data, x + 12, "Q", size + 1),
        "zip64 size 2^64-1": put(data, x + 4, "QQ", 2**64 - 1, 2**64 - 1),
        "zip64 size 2^63": put(data, x + 4, "QQ", 2**63, 2**63),
        "size past the end": put(data, x + 4, "QQ", len(data), len(data)),
        "size one more": put(data, x + 4, "QQ", size + 1, size + 1),
        "size one less": put(data, x + 4, "QQ", size - 1, size - 1),
        "size wraps to the next header": put(data, x + 4, "QQ", 2**64 - body, 2**64 - body),
        "size 0 (overlap)": put(data, x + 4, "QQ", 0, 0),
        "swallows the next part": put(data, x + 4, "QQ", *[second[1] + second[2] - body] * 2),
        "no zip64 field": put(data, x, "H", 7),
        "zip64 field of 24": put(data, x + 2, "H", 24),
        "name of 65535": put(data, at + 26, "H", 65535),
        "extra of 65535": put(data, at + 28, "H", 65535),
        "name of 0": put(data, at + 26, "H", 0),
        "extra of 0": put(data, at + 28, "H", 0),
        "padding not zero": put(data, body - 1, "B", 1),
        "padding of other kind": put(data, x + 20, "H", 0x6375),
        "alignment 0": put(data, x + 24, "H", 0),
        "alignment 13": put(data, x + 24, "H", 13),
        "name ../": rename(data, b"graph.json", b"../../../x"),
        "absolute name": rename(data, b"graph.json", b"/etc/passw"),
        "name with NUL": rename(data, b"graph.json", b"graph\0json"),
        "name with escape": rename(data, b"graph.json", b"\x1b[31m.json"),
        "unknown name": rename(data, b"graph.json", b"model.onnx"),
        "backslash name": rename(data, b"graph.json", b"..\\..\\wins"),
        "duplicate name": rename(data, b"recipe.yaml", b"sample.json"),
        "twice the manifest": data[:second[0]] + data,
        "part missing": data[:second[0]] + data[entries[2][0]:],
        "parts swapped": data[second[0]:entries[2][0]] + data[:second[0]] + data[entries[2][0]:],
        "gap between parts": data[:second[0]] + bytes(64) + data[second[0]:],
        "gap before directory": data[:cd] + bytes(64) + data[cd:],
        "hidden part before directory": data[:cd] + data[:second[0]] + data[cd:],
        "directory twice": data[:end64] + data[cd:],
        "directory has another size": put(data, cd + 46 + len(name) + 4, "Q", size + 1),
        "directory has another offset": put(data, cd + 46 + len(name) + 20, "Q", 64),
        "directory has another name": data[:cd] + data[cd:].replace(b"graph.json", b"GRAPH.json"),
        "symlink in the directory": put(data, cd + 38, "I", 0o120777 << 16),
        "device in the directory": put(data, cd + 38, "I", 0o020666 << 16),
        "comment on a part": put(data, cd + 32, "H", 1),
        "disk 1": put(data, cd + 34, "H", 1),
        "entry count 2^64-1": put(data, end64 + 24, "QQ", 2**64 - 1, 2**64 - 1),
        "entry count 10^6": put(data, end64 + 24, "QQ", 10**6, 10**6),
        "entry count 0": put(data, end64 + 24, "QQ", 0, 0),
        "directory size 2^64-1": put(data, end64 + 40, "Q", 2**64 - 1),
        "directory offset 0": put(data, end64 + 48, "Q", 0),
        "end record of 2^64-1": put(data, end64 + 4, "Q", 2**64 - 1),
        "locator elsewhere": put(data, locator + 8, "Q", 0),
        "locator past the end": put(data, locator + 8, "Q", 2**64 - 1),
        "two disks": put(data, locator + 16, "I", 2),
        "16-bit counts": put(data, end + 8, "HH", 9, 9),
        "32-bit offset": put(data, end + 16, "I", cd),
        "comment at the end": put(data, end + 20, "H", 3) + b"hey",
        "comment length lies": put(data, end + 20, "H", 3),
    }
    return cases


def main():
    probe = sys.argv[1]
    with tempfile.TemporaryDirectory() as d:
        good = os.path.join(d, "good.aim")
        subprocess.run([probe, "numbers", good], check=True)
        data = open(good, "rb").read()
        tools = stock_tools(good, data)
        assert by_the_book(good) == data
        cases = hostile(data)
        paths = [good]
        for i, body in enumerate(cases.values()):
            assert body != data, list(cases)[i]
            paths.append(os.path.join(d, "%d.aim" % i))
            open(paths[-1], "wb").write(body)
        out = subprocess.run([probe, "open"] + paths, capture_output=True)
        lines = out.stdout.decode().splitlines()
        assert out.returncode == 0 and len(lines) == len(paths), (out.returncode, out.stderr)
        assert lines[0].startswith("OK"), lines[0]
        bad = [(n, l) for n, l in zip(cases, lines[1:])
               if not l.startswith(("ECORRUPT ", "ELIMIT ")) or len(l) < 20 or any(ord(c) < 32 for c in l)]
        for n, l in bad:
            print("not refused well: %s: %s" % (n, l))
        if "-v" in sys.argv:
            for n, l in zip(cases, lines[1:]):
                print("%-32s %s" % (n, l.replace(d, "")))
        print("%d hostile files refused; read by %s" % (len(cases) - len(bad), ", ".join(tools)))
        return 1 if bad else 0


sys.exit(main())
