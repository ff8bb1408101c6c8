"""The log lines that docs/troubleshooting.md quotes are lines that the code can write.

A user searches the page for the line in front of them, so a text that has changed in
the code must not stay there. Each block marked `log` is compared with the texts of
src/ and layer/bootstrap, whose placeholders stand for anything.
"""

import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "troubleshooting.md"
# What a line begins with, before the text itself; a message may nest: type, act, cause.
HEAD = re.compile(r"lambda-adapter (?:bootstrap|ERROR|WARN|INFO|FATAL):? ")
PLACEHOLDER = re.compile(r"\\?\{[^{}]*\\?\}|\\?\$\{?[\w#?-]+\\?\}?")


def quoted():
    blocks = re.findall(r"(?ms)^```log\n(.*?)^```$", PAGE.read_text())
    return [line for block in blocks for line in block.splitlines()]


def texts():
    """Every string of the sources with at least two words, as a pattern."""
    found = set()
    for path in sorted((ROOT / "src").rglob("*.rs")):
        source = path.read_text().split("#[cfg(test)]")[0]
        source = re.sub(r"\\\n\s*", "", source)
        found |= set(re.findall(r'"((?:[^"\\]|\\.)*)"', source))
    script = (ROOT / "layer" / "bootstrap").read_text()
    for text in re.findall(r'fail \d+ "((?:[^"\\]|\\.)*)"', script):
        found.add(text.replace("\\`", "`"))
    patterns = []
    for text in found:
        fixed = PLACEHOLDER.sub("", text)
        if len(re.findall(r"[A-Za-z]{2,}", fixed)) >= 2:
            parts = [re.escape(part) for part in PLACEHOLDER.split(text)]
            last = r"\S*" if parts[-1] == "" else ""
            patterns.append(re.compile(".*?".join(parts) + last))
    return patterns


def unexplained(line, patterns):
    """The words of a line that no text of the sources covers."""
    text = HEAD.sub("", line, count=1)
    covered = [False] * len(text)
    for pattern in patterns:
        for match in pattern.finditer(text):
            for index in range(*match.span()):
                covered[index] = True
    return "".join(char if not seen else " " for char, seen in zip(text, covered)).split()


class LogLines(unittest.TestCase):
    # Written by others: the type of a failure, and the kernel's words for an error.
    FOREIGN = re.compile(r"Function\.\w+:?|Connection|refused|reset|by|peer|\(os|error|\d+\)|:")

    def test_every_quoted_line_is_one_that_the_code_writes(self):
        patterns = texts()
        lines = quoted()
        self.assertGreater(len(lines), 20)
        for line in lines:
            with self.subTest(line):
                self.assertRegex(line, HEAD)
                words = unexplained(line, patterns)
                self.assertEqual([word for word in words if not self.FOREIGN.fullmatch(word)], [])

    def test_a_line_that_the_code_does_not_write_is_noticed(self):
        left = unexplained("lambda-adapter WARN the app is nearly ready after 3 ms", texts())
        self.assertIn("nearly", left)


if __name__ == "__main__":
    unittest.main()
