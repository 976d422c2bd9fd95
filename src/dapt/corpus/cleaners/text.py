"""Text of one's own: .txt (a line is a document, or the whole file), CSV, TSV, JSON lists, JSON lines and Parquet.

Each plain or packed as .gz or .zst; a file, or a folder of them. A domain of one's own needs nothing more, nor does a task
whose rows are those of a table.
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
    """`column` of a table holds the text, its column `group` names the document that a row is a part of (without it each
    row is its own; so is a row whose group is missing, which is counted among the repairs as `no group`); `whole`: a
    .txt is one document; `documents`: in a .txt each `line` is one, or, as BERT's own data has it, the lines up to a
    `blank-line`.

    Of a task: the columns `label`; `question` and `answer`; or `question`, `options` (several columns, with commas, or one of
    lists) and `answer` (an option's text, a letter, or its number, the first one's being `first`); and `split`, the row's
    side, without which the name of a file says it (train, validation or test). A question with its options, or with its answer, is the text then, and its rows are one group.
    """
    if documents not in ("line", "blank-line"):
        raise UserError(f"option documents is {documents!r}; it must be line or blank-line")
    columns = Columns(label, split, question, tuple(filter(None, options.split(","))), answer, first)
    for path, name in _named(files):
        if file_format(path) == ".txt" and (columns.names() or question):
            raise UserError(f"{path.name}: a .txt has no columns; give a task's rows as a table")
        if file_format(path) == ".txt":
            yield from _documents(path, name, whole, documents == "blank-line")
        elif whole:
            raise UserError(f"{path.name}: option whole is for .txt files; leave it out")
        else:
            yield from _table(path, name, question or column, group, columns)


def _named(files: list[Path]) -> Iterator[tuple[Path, str]]:
    """Files, those of folders in sorted order, each with the name that its groups begin with; hidden ones are none."""
    for path, name in zip(files, below([file.as_posix() for file in files]), strict=True):
        if not path.is_dir():
            yield path, name
            continue
        inside = sorted((file.relative_to(path) for file in path.rglob("*") if file.is_file()), key=Path.as_posix)
        seen = [file for file in inside if not any(part.startswith(".") for part in file.parts)]
        if strange := [file.as_posix() for file in seen if file_format(file) not in (".txt", *FORMATS)]:
            print(
                f"{path}: {len(strange)} of {len(seen)} files hold no text that is read here and are left out: "
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
    """Lines joined, up to each blank one."""
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
