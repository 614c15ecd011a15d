"""Words of each page, and words of a sentence in its prose; generated pages are left out.

.venv/bin/python hack/docs/words.py [REVISION]      the tree as it is, or as it was at a revision of git
"""

import re
import subprocess
import sys

from pages import ROOT, Page, tracked

GENERATED = ("<!-- Made by `make ", "Release Notes\n\n**Topics**")


def git(*arguments):
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def texts(revision):
    """Every page's path and text."""
    paths = git("ls-tree", "-r", "--name-only", revision).splitlines() if revision else tracked()
    for path in paths:
        if path.endswith(".md") and "/testdata/" not in path:
            yield path, git("show", f"{revision}:{path}") if revision else (ROOT / path).read_text()


def sentences(page):
    """Of paragraphs, list items and cells, as long as they have a verb's worth of words."""
    for block in page.blocks:
        if block.kind == "text":
            for line in re.split(r"(?<=[.!?])\s+|\n", block.text):
                if len(line.split()) > 3:
                    yield len(line.split())


def main():
    total, said = 0, []
    for path, text in texts(sys.argv[1] if len(sys.argv) > 1 else ""):
        if any(mark in text for mark in GENERATED):
            continue
        words, lengths = len(text.split()), list(sentences(Page(path, text)))
        total, said = total + words, said + lengths
        print(f"{words:6} words  {sum(lengths) / max(1, len(lengths)):5.1f} a sentence, longest {max(lengths, default=0):3}  {path}")
    print(f"{total:6} words  {sum(said) / len(said):5.1f} a sentence, {sum(1 for length in said if length > 25)} of {len(said)} sentences over 25")


main()
