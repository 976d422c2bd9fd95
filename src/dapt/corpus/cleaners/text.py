"""The user's own text: .txt (a document is a line, or the whole file), CSV, TSV, JSON lists, JSON lines and Parquet.

Files are plain or compressed as .gz or .zst; a source is a file or a folder of files. A domain of the user's own needs no
other cleaner, nor does a task whose rows are in a table.
"""

import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from dapt.core.paths import below
from dapt.core.rows import scalar_name, text_id
from dapt.corpus.asked import NOT_SAID, SIDES, Columns, asked
from dapt.corpus.records import Record
from dapt.corpus.tables import FORMATS, file_format, named, rows, text_file
from dapt.telling.errors import UserError


def read(
    files: list[Path],
    column: str = "text",
    group: str = "",
    whole: bool = False,
    documents: str = "line",
    label: str = "",
    split: str = "",
    question: str = "",
    options: str = "",
    answer: str = "",
    first: int = NOT_SAID,
) -> Iterator[Record]:
    """`column` of a table contains the text, and its column `group` names the document to which a row belongs (without it,
    each row is a group of its own; so is a row whose group is missing, which is counted among the repairs as `no group`).
    `whole`: a .txt is one document. `documents`: in a .txt each `line` is a document, or, as in BERT's own data, the lines
    up to a `blank-line`.

    For a task: the columns `label`; `question` and `answer`; or `question`, `options` (several columns, separated by commas,
    or one of lists) and `answer` (an option's text, a letter, or its number, where `first` is that of the first option); and
    `split`, the side of the row, without which the name of the file tells it (train, validation or test). The text is then
    the question with its options or its answer, and rows with the same question are one group.
    """
    if documents not in ("line", "blank-line"):
        raise UserError(f"option documents is {documents!r}, but must be line or blank-line")
    columns = Columns(label, split, question, tuple(filter(None, options.split(","))), answer, first)
    for path, name in _named(files):
        if file_format(path) == ".txt" and (columns.names() or question):
            raise UserError(f"{path.name}: a .txt file has no columns; provide the rows of a task as a table")
        if file_format(path) == ".txt":
            yield from _documents(path, name, whole, documents == "blank-line")
        elif whole:
            raise UserError(f"{path.name}: option whole is for .txt files only; remove it")
        else:
            yield from _table(path, name, question or column, group, columns)


def _named(files: list[Path]) -> Iterator[tuple[Path, str]]:
    """Files, those of folders in sorted order, each with the name with which its groups begin; hidden files are skipped."""
    for path, name in zip(files, below([file.as_posix() for file in files]), strict=True):
        if not path.is_dir():
            yield path, name
            continue
        inside = sorted((file.relative_to(path) for file in path.rglob("*") if file.is_file()), key=Path.as_posix)
        seen = [file for file in inside if not any(part.startswith(".") for part in file.parts)]
        if strange := [file.as_posix() for file in seen if file_format(file) not in (".txt", *FORMATS)]:
            print(
                f"{path}: {len(strange)} of {len(seen)} files have no known text format and are left out: "
                f"{', '.join(strange[:5])}{', …' if len(strange) > 5 else ''}",
                file=sys.stderr,
            )
        for file in seen:
            if file_format(file) in (".txt", *FORMATS):
                yield path / file, (Path(name) / file if len(files) > 1 else file).as_posix()


def _documents(path: Path, name: str, whole: bool, blank_line: bool) -> Iterator[Record]:
    with text_file(path) as file:
        if whole:
            yield Record(file.read(), f"text:{name}")
            return
        parts = _paragraphs(file) if blank_line else file
        for number, part in enumerate(parts, 1):
            yield Record(part, f"text:{name}:{number}")


def _paragraphs(lines: Iterable[str]) -> Iterator[str]:
    """The lines between blank lines, joined."""
    for full, together in groupby(lines, lambda line: bool(line.strip())):
        if full:
            yield " ".join(together)


def _table(path: Path, name: str, column: str, group: str, columns: Columns) -> Iterator[Record]:
    others = dict.fromkeys((*columns.names(), *filter(None, [group])))
    is_task = columns.label or columns.question
    side = SIDES.get(named(path, *SIDES) or "") if is_task and not columns.split else None
    for number, row in enumerate(rows(path, (column,), tuple(others)), 1):
        text, source = row.get(column), scalar_name(row.get(group))
        place = f"text:{name}:{number}" if source is None else f"text:{source}"
        if not isinstance(text, str):
            yield Record("", place, drop="not text")
            continue
        alone = ("no group",) if group and source is None else ()
        found = asked(row, columns, f"{path.name} row {number}")
        found.split = found.split or side
        if columns.question:
            place = place if source else f"text:{text_id(text)}"
            more = found.fields.get("options") or [found.fields.get("answer")]
            text = " ".join(str(part) for part in (text, *more))
        yield Record(text, place, found.label, found.split, found.fields, found.lacks, alone)
