"""WikiText-103, raw (Merity et al. 2016): each line is a row; paragraphs are kept, headings and blank lines dropped.

` = Title = ` begins an article, ` = = Section = = ` a part of it. The lines are tokenised: ` @-@ `, ` @,@ ` and ` @.@ `
stand for a hyphen and for the separators of a number, and punctuation is surrounded by spaces. Only unambiguous cases are
restored; a separate quotation mark may open or close a quotation, so it is left unchanged.
"""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from dapt.corpus.records import Record
from dapt.corpus.tables import rows

SEPARATOR = re.compile(r" @([-,.])@ ")
BEFORE = re.compile(r" ([,.;:!?%)\]}])(?![^\s,.;:!?%)\]}\"'])")  # punctuation after a word; not the point of `.NET`
AFTER = re.compile(r"([(\[{$£€]) ")
CLITIC = re.compile(r"(?<=\w) ('(?:s|t|d|m|re|ve|ll))\b")


def joined(line: str) -> str:
    """The original form of a tokenised line.

    >>> joined(" The game 's 1 @,@ 500 voice @-@ overs ( in Japan , 2 @.@ 5 % ) cost $ 3 : less than a .22 .")
    "The game's 1,500 voice-overs (in Japan, 2.5%) cost $3: less than a .22."
    """
    line = BEFORE.sub(r"\1", SEPARATOR.sub(r"\1", line.strip()))
    return CLITIC.sub(r"\1", AFTER.sub(r"\1", line))


def heading(line: str) -> str | None:
    """The text between the outermost equals signs of a heading; None for any other line.

    >>> heading(" = Gold dollar = "), heading(" = = Design = = "), heading("E = m c ²")
    ('Gold dollar', '= Design =', None)
    """
    line = line.strip()
    return line[2:-2] if line.startswith("= ") and line.endswith(" =") and len(line) > 4 else None


def read(files: list[Path], most: int = 0) -> Iterator[Record]:
    """At most `most` rows of each file, or all if it is 0: the first of the training files alone has 900,000."""
    for path in files:
        group = "wikitext:"
        for row in islice(rows(path, ("text",)), most or None):
            line = row.get("text")
            if not isinstance(line, str):
                yield Record("", group, drop="not text")
            elif title := heading(line):
                group = group if title.startswith("= ") else f"wikitext:{title}"
                yield Record("", group, drop="heading")
            else:
                text = joined(line)
                yield Record(text, group, repaired=("tokenised",) if text != line.strip() else ())
