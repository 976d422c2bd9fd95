"""Financial PhraseBank (Malo et al. 2014): sentences with a sentiment, in the form on the hub and in the original one.

The original zip's `Sentences_*Agree.txt` are in Latin-1, with one `sentence@label` per line; Sentences_AllAgree.txt has a
stray line `1`. Two sentences occur twice with different labels: the first one is kept.
"""

from collections.abc import Iterator
from pathlib import Path

from dapt.core.rows import scalar_name, text_id
from dapt.corpus.records import Record, original_text
from dapt.corpus.tables import content, file_format, rows

LABELLED = True
NAMES = ("negative", "neutral", "positive")  # 0, 1 and 2 on the hub, of whatever type a table has
LABELS = {name: name for name in NAMES} | {str(number): name for number, name in enumerate(NAMES)}


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Sentence and label of each line; a file that was converted to UTF-8 is read as UTF-8."""
    data = content(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    for line in text.removesuffix("\n").split(
        "\n"
    ):  # not splitlines, which also splits at control characters of Latin-1
        sentence, _, label = line.rpartition("@")
        yield (sentence, label) if sentence else (line, "")


def _pairs(path: Path) -> Iterator[tuple[object, object]]:
    if file_format(path) == ".txt":
        yield from _lines(path)
    else:
        for row in rows(path, ("sentence",), ("label",)):
            yield row.get("sentence"), row.get("label")


def read(files: list[Path]) -> Iterator[Record]:
    for path in files:
        for sentence, label in _pairs(path):
            if not isinstance(sentence, str):
                yield Record("", "phrasebank:", drop="not text")
                continue
            name = LABELS.get((scalar_name(label) or "").strip().casefold().removesuffix(".0"))
            yield Record(
                sentence,
                f"phrasebank:{text_id(sentence)}",
                label=name,
                original=name and original_text(sentence, 31),
                drop=None if name else "no label",
            )
