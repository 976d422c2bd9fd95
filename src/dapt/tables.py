"""Rows out of raw table files; a damaged file or a missing column is refused with its name."""

import csv
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

from dapt.errors import UserError
from dapt.records import decoded

csv.field_size_limit(1 << 30)


def zipped_csv(path: Path, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Rows of the one CSV file in a zip archive, with at least `columns`."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".csv")]
            if len(names) != 1:
                raise UserError(f"{path.name} holds {len(names)} CSV files where one is expected; fetch it again")
            data = archive.read(names[0])
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise UserError(f"{path.name} is a damaged zip archive ({error}); delete it and fetch again") from error
    yield from csv_rows(decoded(data, f"{path.name}/{names[0]}"), path.name, columns)


def csv_rows(text: str, name: str, columns: tuple[str, ...], **form) -> Iterator[dict[str, str]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), restval="", **form)
    missing = [column for column in columns if column not in (reader.fieldnames or [])]
    if missing:
        raise UserError(f"{name} has no column {', '.join(missing)}; it has: {', '.join(reader.fieldnames or ['none'])}")
    try:
        yield from reader
    except csv.Error as error:
        raise UserError(f"{name} line {reader.line_num}: {error}; fetch it again") from error
