"""Writes a header with the hash of interface headers: `gen_abi.py NAME OUT HEADER...` -> #define NAME 0x...

A driver and the program that opens it must have been built against the same text of these headers.
"""
import hashlib
import sys

name, out = sys.argv[1], sys.argv[2]
digest = hashlib.sha256()
for header in sys.argv[3:]:
    with open(header, "rb") as f:
        digest.update(f.read())
with open(out, "w", encoding="ascii") as f:
    f.write("/* Hash of the interface headers; made by gen_abi.py. */\n#define %s 0x%sull\n"
            % (name, digest.hexdigest()[:16]))
