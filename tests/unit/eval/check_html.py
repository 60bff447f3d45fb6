#!/usr/bin/env python3
"""Parses made-up reports: tags balance, nothing is loaded or run, every coordinate is a number, and
hostile texts come back as text."""
import base64
import re
import struct
import subprocess
import sys
import zlib
from html.parser import HTMLParser

VOID = {"meta", "br", "img", "line", "rect", "circle", "polyline"}
ALLOWED = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "span", "b", "br", "div", "table",
           "tr", "th", "td", "pre", "img", "svg", "text", "line", "rect", "circle", "polyline"}
COORDINATES = {"x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "width", "height"}
HOSTILE = "<script>alert('x')</script>\"'><img src=http://example.com/a onerror=b>&amp;\ufffd"


def is_png(uri):
    """A whole PNG inside of the page: chunks with their sums, and as many bytes as its size says."""
    prefix = "data:image/png;base64,"
    assert uri.startswith(prefix), uri[:80]
    b = base64.b64decode(uri[len(prefix):], validate=True)
    assert b[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(b):
        n = int.from_bytes(b[at:at + 4], "big")
        name, data = b[at + 4:at + 8], b[at + 8:at + 8 + n]
        assert zlib.crc32(name + data) == int.from_bytes(b[at + 8 + n:at + 12 + n], "big"), name
        chunks[name] = data
        at += 12 + n
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, depth, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert depth == 8 and len(zlib.decompress(chunks[b"IDAT"])) == height * (1 + width * {0: 1, 2: 3, 6: 4}[colour])
    return 1


class Checker(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.bad, self.text, self.plots, self.coordinates = [], [], [], 0, 0
        self.pictures = 0

    def handle_starttag(self, tag, attrs):
        if tag not in ALLOWED:
            self.bad.append(f"<{tag}>")
        self.plots += tag == "svg"
        for key, value in attrs:
            if tag == "img" and key == "src":
                self.pictures += is_png(value)
                continue
            if key.startswith("on") or key in ("src", "href", "xlink:href"):
                self.bad.append(f"{tag} {key}={value}")
            numbers = []
            if key in COORDINATES and tag != "meta":
                numbers = [value]
            elif key in ("points", "viewbox"):
                numbers = re.split("[ ,]", value)
            self.coordinates += len(numbers)
            for v in numbers:
                if not re.fullmatch(r"-?\d+(\.\d+)?", v):
                    self.bad.append(f"{tag} {key}: {v}")
                elif not -50 <= float(v) <= 1100:
                    self.bad.append(f"{tag} {key}: {v} is outside the plot")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag in VOID or not self.open or self.open.pop() != tag:
            self.bad.append(f"</{tag}> is out of place")

    def handle_data(self, data):
        self.text.append(data)


def check(kind, plots, pictures=0):
    html = subprocess.run([sys.argv[1], kind], stdout=subprocess.PIPE, check=True).stdout.decode("utf-8")
    c = Checker()
    c.feed(html)
    c.close()
    assert not c.bad, f"{kind}: {c.bad[:5]}"
    assert not c.open, f"{kind}: left open {c.open}"
    assert c.plots == plots, f"{kind}: {c.plots} plots, not {plots}"
    assert c.coordinates >= 90 * plots, f"{kind}: {c.coordinates} coordinates"
    assert c.pictures == pictures, f"{kind}: {c.pictures} pictures, not {pictures}"
    low = html.lower()
    for word in ("<script", "<link", "@import", "url(", "<iframe"):
        if not ("hostile" in kind and word in HOSTILE):
            assert word not in low, f"{kind}: {word}"
    assert not re.search(r"\b-?(nan|inf)\b", low), f"{kind}: a figure is no number"
    if "hostile" in kind:
        assert "".join(c.text).count(HOSTILE) >= 20, "hostile text is not shown as it is"
    else:
        assert "http:" not in low and "https:" not in low, kind
    return html


check("binary", 11)
check("multiclass", 4, 9)
check("regression", 3)
check("hostile", 10)
page = check("explained", 0, 4)
for text in ("rgba(220,38,38,0.50)", "rgba(37,99,235,0.75)", "bar against", "predicted <b>cats", "(SmoothGrad)"):
    assert text in page, text
check("explained_hostile", 0)
assert "<h2>" not in check("empty", 0), "an empty report has sections"
print("5 reports and 2 explanations are sound")
