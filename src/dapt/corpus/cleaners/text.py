"""Text of one's own: .txt (a line is a document, or the whole file), CSV, TSV, JSON lists, JSON lines and Parquet.

Each plain or packed as .gz or .zst; a file, or a folder of them. A domain of one's own needs nothing more.
"""

from collections.abc import Iterator
from pathlib import Path

from dapt.corpus.records import Record
from dapt.corpus.tables import file_format, rows, text_file
from dapt.telling.errors import UserError


def read(files: list[Path], column: str = "text", group: str = "", whole: bool = False) -> Iterator[Record]:
    """`column` of a table holds the text, its column `group` names the document that a row is a part of (without it
    each row is its own); `whole`: a .txt is one document.
    """
    for path, name in _named(files):
        if file_format(path) == ".txt":
            yield from _documents(path, name, whole)
        elif whole:
            raise UserError(f"{path.name}: option whole is for .txt files; leave it out")
        else:
            yield from _table(path, name, column, group)


def _named(files: list[Path]) -> Iterator[tuple[Path, str]]:
    """Files, those of folders in sorted order, each with the name that its groups begin with; hidden ones are none."""
    for path in files:
        if not path.is_dir():
            yield path, path.name
            continue
        inside = sorted((file.relative_to(path) for file in path.rglob("*") if file.is_file()), key=Path.as_posix)
        for file in inside:
            if not any(part.startswith(".") for part in file.parts):
                yield path / file, file.as_posix()


def _documents(path: Path, name: str, whole: bool) -> Iterator[Record]:
    with text_file(path) as file:
        if whole:
            yield Record(file.read(), f"text:{name}")
        else:
            for number, line in enumerate(file, 1):
                yield Record(line, f"text:{name}:{number}")


def _table(path: Path, name: str, column: str, group: str) -> Iterator[Record]:
    for number, row in enumerate(rows(path, (column,), (group,) if group else ()), 1):
        text, source = row.get(column), row.get(group)
        of_source = isinstance(source, (str, int)) and source != ""
        place = f"text:{source}" if of_source else f"text:{name}:{number}"
        yield Record(text, place) if isinstance(text, str) else Record("", place, drop="not text")
