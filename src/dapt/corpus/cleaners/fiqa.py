"""Questions and answers on finance (llamafactory/fiqa, in the form of instructions): each question is a row.

The label is that of the original project: the first 100 characters of the answer; the whole answer is kept as a field. If a
file is named train or test, this is the split of its rows; test rows come first, so that of a question in both files the test
row is kept.
"""

from collections.abc import Iterator
from pathlib import Path

from dapt.core.rows import text_id
from dapt.corpus.records import Record, original_text
from dapt.corpus.tables import named, rows

LABELLED = True
MINIMUM = 29  # the original project's rule: 30 characters or more
LABEL, LEAST = 100, 10  # characters of a label


def read(files: list[Path]) -> Iterator[Record]:
    splits = [(path, named(path, "test", "train")) for path in files]
    for path, split in sorted(splits, key=lambda pair: pair[1] != "test"):
        for row in rows(path, ("instruction", "input", "output")):
            yield _record(row, split)


def _record(row: dict, split: str | None) -> Record:
    instruction, question, answer = (row.get(name) for name in ("instruction", "input", "output"))
    question = "" if question is None else question
    if not (isinstance(instruction, str) and isinstance(question, str) and isinstance(answer, str)):
        return Record("", "fiqa:", drop="not text")
    text = f"{instruction} {question}".strip()
    question = question if question.strip() else instruction
    label = answer.strip()[:LABEL]
    short = len(label) < LEAST
    return Record(
        text,
        f"fiqa:{text_id(question)}",
        label=label,
        split=split,
        drop="short answer" if short else None,
        fields={"question": question, "answer": answer},
        original=None if short else original_text(text, 30),
    )
