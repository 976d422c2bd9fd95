"""MedMCQA (Pal et al. 2022): questions of Indian medical entrance exams, four options each, from the hub or as raw
JSON lines; a question with its explanation is a row, its subject the label.

The right option, `cop`, is counted from 0 on the hub, from 1 in the raw files, and is -1 or missing in the test file,
whose answers were never published. So the validation file, `validation` or `dev`, is the test side of the task here,
and rows of the test file carry neither an answer nor a split.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dapt.core.rows import text_id
from dapt.corpus.records import Record, original_text
from dapt.corpus.tables import file_format, named, rows

LABELLED = True
MINIMUM = 49  # the original project's rule: 50 characters or more
OPTIONS = ("opa", "opb", "opc", "opd")
SPLITS = {"train": "train", "validation": "test", "dev": "test"}


def first_number(path: Path) -> int:
    """What the first option is called in this file: 0 or 1, told by the first `cop` that is 0 or 4."""
    for row in rows(path, (), ("cop",)):
        if row.get("cop") in (0, len(OPTIONS)):
            return 1 if row["cop"] else 0
    return 0 if file_format(path) == ".parquet" else 1


def read(files: list[Path]) -> Iterator[Record]:
    """Validation first: of a question in two files the test row stays."""
    sides = [(path, named(path, "test", *SPLITS)) for path in files]
    for path, side in sorted(sides, key=lambda pair: SPLITS.get(pair[1] or "") != "test"):
        first = 0 if side == "test" else first_number(path)
        for row in rows(path, ("question", *OPTIONS, "subject_name"), optional=("cop", "exp", "topic_name")):
            yield _record(row, first, side)


def _record(row: dict, first: int, side: str | None) -> Record:
    question = row.get("question")
    if not isinstance(question, str):
        return Record("", "medmcqa:", drop="not text")
    explanation, subject, topic = (_string(row, name) for name in ("exp", "subject_name", "topic_name"))
    options: list[Any] = [row.get(name) for name in OPTIONS]
    right: Any = row.get("cop")
    choice = all(isinstance(option, str) for option in options)
    answered = choice and side != "test" and right in range(first, first + len(OPTIONS))
    fields = {
        "question": question,
        "options": options if choice else None,
        "answer": int(right) - first if answered else None,
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
    """A text that says something; exports write a missing one as null or as nothing."""
    value = row.get(name)
    return value if isinstance(value, str) and value.strip() else None
