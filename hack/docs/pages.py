"""Reads the pages of the documentation with a Markdown parser: headings, links, texts, code, and the comments on blocks.

Write a comment directly before its block:

    <!-- run -->             make test-docs runs these commands
    <!-- runs: PLACE -->     something else runs these commands: a test file, or a make target
    <!-- not run: WHY -->    nothing runs these commands
    <!-- figures: PLACE -->  the source of the figures in this paragraph, list or table: a make target, a test, the code that sets
                             them, or "documented by …"; several sources are separated by "; "
"""

import pathlib
import re
import subprocess
from dataclasses import dataclass, field

from markdown_it import MarkdownIt
from mdit_py_plugins.anchors import anchors_plugin

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMMENT = re.compile(r"<!-- (run|runs|not run|figures)(?:: (.+?))? -->")


@dataclass
class Block:
    """A whole paragraph, list, table or heading (kind is "text"), or a block of code (kind is its language)."""

    kind: str
    text: str
    line: int
    comments: dict
    links: list = field(default_factory=list)
    spans: list = field(default_factory=list)

    def commands(self):
        """The commands after the prompt "$ ". A line that ends in a backslash continues on the next line."""
        return [match.replace("\\\n", " ") for match in re.findall(r"^\$ ((?:.*\\\n)*.*)$", self.text, re.M)] if self.kind == "console" else []


class Page:
    """One page. Lines count from 1."""

    def __init__(self, path, text=None):
        self.path = path
        self.text = (ROOT / path).read_text() if text is None else text
        self.blocks, self.anchors, self.sections = [], set(), []
        self._read(MarkdownIt("commonmark").enable("table").use(anchors_plugin, max_level=6).parse(self.text))

    def _read(self, tokens):
        comments, block = {}, None
        for token in tokens:
            line = (token.map or [0])[0] + 1
            if token.type == "html_block":
                comments |= dict(COMMENT.findall(token.content))
                continue
            if token.type in ("fence", "code_block"):
                kind = token.info.split()[0] if token.info.strip() else ""
                self.blocks.append(Block(kind, token.content, line, comments))
                comments = {}
            elif token.level == 0 and token.nesting >= 0:
                block = Block("text", "", line, comments)
                self.blocks.append(block)
                comments = {}
            if token.type == "heading_open":
                self.anchors.add(token.attrs["id"])
                self.sections.append((int(token.tag[1]), ""))
            if token.type == "inline":
                self._inline(token, block)

    def _inline(self, token, block):
        if self.sections and not self.sections[-1][1]:
            self.sections[-1] = (self.sections[-1][0], token.content)
        block.text += token.content + "\n"
        for child in token.children:
            if child.type in ("link_open", "image"):
                block.links.append(child.attrs.get("href") or child.attrs.get("src"))
            if child.type == "code_inline":
                block.spans.append(child.content)


def tracked():
    """All files of the tree. New files are included, ignored files are not."""
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True)
    return sorted(path for path in listed.stdout.splitlines() if (ROOT / path).exists())


def all_pages():
    return [Page(path) for path in tracked() if path.endswith(".md") and "/testdata/" not in path]


COLLECTION = "seqera_tools.crypto_rotation"


def in_the_clone(command):
    """Converts a page's command, for the installed collection and inventory.yml, to the command in a clone."""
    command = re.sub(rf"-m {re.escape(COLLECTION)}\.(\w+)", r"-M library -m \1", command)
    command = re.sub(rf"(ansible-playbook .*?){re.escape(COLLECTION)}\.(\w+)", r"\1playbooks/\2.yml", command)
    return command.replace("-i inventory.yml", "-i inventory")


def run_by(place):
    """All commands that the pages mark as run by this place, without duplicates, in the order of the pages."""
    commands = [command for page in all_pages() for block in page.blocks if block.comments.get("runs") == place for command in block.commands()]
    return list(dict.fromkeys(map(in_the_clone, commands)))
