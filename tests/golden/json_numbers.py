#!/usr/bin/python3
"""Numbers as JSON text and the bits that Python reads from them, for the scanner of src/api.

Usage: tests/golden/json_numbers.py > tests/unit/api/json_numbers.inc
Python's float() is correctly rounded (David Gay's algorithm), an implementation independent of ours.
"""

import random
import struct

random.seed(20261121)
texts = ["0", "-0", "1", "-1", "0.1", "1e22", "1e23", "9007199254740991", "9007199254740993", "1e-22", "1e-23",
         "123456789012345678", "1234567890123456789012", "0.000001", "2.2250738585072014e-308", "4.9e-324", "5e-324",
         "1.7976931348623157e308", "0.5e+1", "1E2", "1e-400", "3.14159265358979323846264338327950288", "100000e-5",
         "0e0", "0.0000000000000000000000000000000000000000000000001", "8.41e21", "9.5367431640625e-7"]
for _ in range(160):
    digits = random.randint(1, 19)
    text = str(random.randint(0, 10 ** digits - 1))
    if random.random() < 0.7:
        text += "." + "".join(random.choice("0123456789") for _ in range(random.randint(1, 18)))
    if random.random() < 0.4:
        text += random.choice("eE") + random.choice(["", "+", "-"]) + str(random.randint(0, 40))
    texts.append(random.choice(["", "-"]) + text)
print("/* made by tests/golden/json_numbers.py: text, bits of the double (Python's json) */")
for text in texts:
    bits = struct.unpack("<Q", struct.pack("<d", float(text)))[0]
    print('{"%s", 0x%016xull},' % (text, bits))
