"""English financial news (lukecarlate/english_finance_news): the column `newscontents`.

One row in six contains UTF-8 that was read as cp949; see dapt.corpus.mojibake. The meaning of the column `label` is not
documented, so it is not used.
"""

from collections.abc import Iterator
from pathlib import Path

from dapt.core.rows import text_id
from dapt.corpus.mojibake import mended
from dapt.corpus.records import Record, original_text
from dapt.corpus.tables import rows

MINIMUM = 30


def read(files: list[Path]) -> Iterator[Record]:
    for path in files:
        for row in rows(path, ("newscontents",)):
            raw = row.get("newscontents")
            if not isinstance(raw, str):
                yield Record("", "finance_news:", drop="not text")
                continue
            text = mended(raw)
            yield Record(
                text or "",
                f"finance_news:{text_id(text or raw)}",
                original=original_text(raw, 31),
                drop="mojibake" if text is None else None,
                repaired=() if text == raw else ("cp949",),
            )
