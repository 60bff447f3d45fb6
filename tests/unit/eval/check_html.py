#!/usr/bin/env python3
"""Parses made-up reports: tags balance, nothing is loaded or run, every coordinate is a number, and
hostile texts come back as text."""
import re
import subprocess
import sys
from html.parser import HTMLParser

VOID = {"meta", "br", "img", "line", "rect", "circle", "polyline"}
ALLOWED = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "span", "b", "br", "div", "table",
           "tr", "th", "td", "pre", "svg", "text", "line", "rect", "circle", "polyline"}
COORDINATES = {"x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "width", "height"}
HOSTILE = "<script>alert('x')</script>\"'><img src=http://example.com/a onerror=b>&amp;\ufffd"


class Checker(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.bad, self.text, self.plots, self.coordinates = [], [], [], 0, 0

    def handle_starttag(self, tag, attrs):
        if tag not in ALLOWED:
            self.bad.append(f"<{tag}>")
        self.plots += tag == "svg"
        for key, value in attrs:
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
                elif not -50 <= float(v) <= 500:
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


def check(kind, plots):
    html = subprocess.run([sys.argv[1], kind], stdout=subprocess.PIPE, check=True).stdout.decode("utf-8")
    c = Checker()
    c.feed(html)
    c.close()
    assert not c.bad, f"{kind}: {c.bad[:5]}"
    assert not c.open, f"{kind}: left open {c.open}"
    assert c.plots == plots, f"{kind}: {c.plots} plots, not {plots}"
    assert c.coordinates >= 100 * plots, f"{kind}: {c.coordinates} coordinates"
    low = html.lower()
    for word in ("<script", "<link", "@import", "url(", "<iframe", "<img"):
        if not (kind == "hostile" and word in HOSTILE):
            assert word not in low, f"{kind}: {word}"
    assert not re.search(r"\b-?(nan|inf)\b", low), f"{kind}: a figure is no number"
    if kind == "hostile":
        assert "".join(c.text).count(HOSTILE) >= 20, "hostile text is not shown as it is"
    else:
        assert "http:" not in low and "https:" not in low, kind
    return html


check("binary", 4)
check("multiclass", 4)
check("regression", 3)
check("hostile", 4)
assert "<h2>" not in check("empty", 0), "an empty report has sections"
print("5 reports are sound")
