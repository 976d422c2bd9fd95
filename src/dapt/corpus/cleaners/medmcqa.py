"""MedMCQA (Pal et al. 2022): questions of Indian medical entrance exams, four options each, from the hub or as raw
JSON lines; a question with its explanation is a row, and its subject is the label.

The right option, `cop`, is counted from 0 on the hub (Parquet) and from 1 in the raw files (JSON lines); it is -1 or missing
in the test file, whose answers were never published. For converted files, option `first` tells how options are counted. A 0
if they are counted from 1, or a 4 if they are counted from 0, is refused, because all other answers would be off by one. The
validation file, `validation` or `dev`, is the test side of the task here, and rows of the test file have neither an answer
nor a split.
"""

from collections.abc import Iterator
from pathlib import Path

from dapt.core.rows import scalar_name, text_id
from dapt.corpus.records import Record, original_text
from dapt.corpus.tables import file_format, named, rows
from dapt.telling.errors import UserError

LABELLED = True
MINIMUM = 49  # the original project's rule: 50 characters or more
OPTIONS = ("opa", "opb", "opc", "opd")
LETTERS, NUMBERS = "abcd", ("0", "1", "2", "3", "4")
BY_FORMAT = -1
SPLITS = {"train": "train", "validation": "test", "dev": "test"}


def read(files: list[Path], first: int = BY_FORMAT) -> Iterator[Record]:
    """Read the validation file first: of a question in two files, the test row is kept. `first`: number of the first option."""
    if first not in (BY_FORMAT, 0, 1):
        raise UserError(f"option first is {first}, but must be 0 or 1")
    sides = [(path, named(path, "test", *SPLITS)) for path in files]
    for path, side in sorted(sides, key=lambda pair: SPLITS.get(pair[1] or "") != "test"):
        numbered = first if first != BY_FORMAT else 0 if file_format(path) == ".parquet" else 1
        answers = () if side == "test" else ("cop",)
        columns = ("question", "subject_name"), (*OPTIONS, *answers), ("exp", "topic_name")
        for number, row in enumerate(rows(path, *columns), 1):
            yield _record(row, _answer(row.get("cop"), numbered, f"{path} row {number}") if answers else None, side)


def _answer(cop: object, first: int, where: str) -> int | None:
    """The index of the right option, counted from 0; in the file it is a number of any type or a letter. None if neither."""
    name = (scalar_name(cop) or "").strip().lower().removesuffix(".0")
    if len(name) == 1 and name in LETTERS:
        return LETTERS.index(name)
    if name not in NUMBERS:
        return None
    if (place := int(name) - first) in range(len(OPTIONS)):
        return place
    raise UserError(
        f"{where}: the right option, cop, is {cop!r}, but options are numbered from {first} to {first + len(OPTIONS) - 1} in "
        "such a file; set options: {first: 0} or {first: 1} in the profile, whichever fits the file"
    )


def _record(row: dict, answer: int | None, side: str | None) -> Record:
    question = row.get("question")
    if not isinstance(question, str):
        return Record("", "medmcqa:", drop="not text")
    explanation, subject, topic = (_string(row, name) for name in ("exp", "subject_name", "topic_name"))
    options = [scalar_name(row.get(name)) for name in OPTIONS]
    choice = None not in options
    fields = {
        "question": question,
        "options": options if choice else None,
        "answer": answer if choice else None,
        "explanation": explanation,
        "subject": subject,
        "topic": topic,
    }
    fields = {name: value for name, value in fields.items() if value is not None}
    return Record(
        ("question", "explanation"),
        f"medmcqa:{text_id(question)}",
        label=subject or "Medical",
        split=SPLITS.get(side or ""),
        fields=fields,
        original=original_text(f"{question} {explanation or ''}", 50),
    )


def _string(row: dict, name: str) -> str | None:
    """A non-empty text, or None; exports write a missing one as null or as an empty text."""
    value = scalar_name(row.get(name))
    return value if value and value.strip() else None
