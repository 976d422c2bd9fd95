"""Rows from raw files, one at a time: CSV, TSV, JSON lists, JSON lines and Parquet, plain or compressed as .gz or .zst.

A file that is damaged, in another encoding, or lacks a required column is refused with a message of one line. A row that
is not valid (a number instead of an object, more cells than the header has) is returned empty, so that it is counted.
"""

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TextIO

from dapt.telling.errors import UserError, short

if TYPE_CHECKING:
    import pyarrow

csv.field_size_limit(1 << 30)
FORMATS = (".csv", ".tsv", ".json", ".jsonl", ".parquet")
PACKED = {".gz": "gzip", ".zst": "zstd"}
WHITE = re.compile(r"[ \t\r\n]*")
SURROGATE = re.compile("[\ud800-\udfff]")
CLOSED = re.compile(r'"(?:[^"]|"")*"')  # a quoted cell
BATCH = 1000  # rows of a Parquet file at once
CHUNK = 1 << 20  # characters of a JSON list read at a time


def file_format(path: Path) -> str:
    """The file ending that tells the format.

    >>> file_format(Path("train.JSONL.gz"))
    '.jsonl'
    """
    return Path(path.stem if path.suffix.lower() in PACKED else path.name).suffix.lower()


def named(path: Path, *words: str) -> str | None:
    """The first of `words` in a file's name or, if the name is only a number, in its folder's: the hub's Parquet branches
    name files like that.

    >>> named(Path("data/test-00000-of-00001.parquet"), "train", "test"), named(Path("latest.json"), "test")
    ('test', None)
    >>> named(Path("default/train/0000.parquet"), "train", "test")
    'train'
    """
    name = path.parent.name if path.stem.isdecimal() else path.name
    parts = re.split(r"[^a-z]+", name.lower())
    return next((word for word in words if word in parts), None)


def rows(
    path: Path, text: tuple[str, ...], others: tuple[str, ...] = (), optional: tuple[str, ...] = ()
) -> Iterator[dict]:
    """The rows of a table. It must have the columns `text`, of text, and `others`, of any type; those in `optional`
    are read if they exist. Single values are checked by the cleaner.
    """
    match file_format(path):
        case ".parquet":
            yield from _parquet_rows(path, text, others, optional)
        case ".json" | ".jsonl":
            yield from _json_rows(path, {*text, *others})
        case ".csv" | ".tsv" as form:
            style = {"delimiter": ",", "quoting": csv.QUOTE_MINIMAL}
            if form == ".tsv":
                style = {"delimiter": "\t", "quoting": _quoting(path)}
            with text_file(path) as file:
                for row in _csv_rows(file, path.name, (*text, *others), restval=None, strict=True, **style):
                    yield {} if None in row else row
        case form:
            raise UserError(
                f"{path.name}: unknown file ending {form or '(none)'}; it must be one of {', '.join(FORMATS)} (for the "
                "cleaner text also .txt), plain or with .gz or .zst; rename or convert the file"
            )


def _quoting(path: Path) -> int:
    """How a tab-separated file treats quotes, for the csv module. Programs write quotes as ordinary characters; spreadsheets
    put them around cells, which may then contain tabs and line breaks.

    Quotes are ordinary characters if a cell begins with a quote that does not close in its line and yet every line has as
    many cells as the header, so that the quote cannot enclose a line break.
    """
    with text_file(path) as file:
        lines = (line.rstrip("\r\n").split("\t") for line in file if line.strip("\r\n"))
        columns = len(next(lines, []))
        opened = even = True
        for cells in lines:
            even = even and len(cells) == columns
            opened = opened and not any(cell.startswith('"') and not CLOSED.fullmatch(cell) for cell in cells)
    return csv.QUOTE_NONE if even and not opened else csv.QUOTE_MINIMAL


def document(path: Path) -> object:
    """The one value of a JSON file."""
    with text_file(path) as file:
        return _json_value(file.read(), path.name)


def content(path: Path) -> bytes:
    """The bytes of a file, decompressed."""
    with _unpacked(path) as file:
        return file.read()


def decoded(data: bytes, name: str) -> str:
    """Decode UTF-8, with or without a byte-order mark; anything else is refused with its position."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{name} is not UTF-8 (byte {error.start}); fetch it again or convert it with iconv") from error


@contextmanager
def text_file(path: Path) -> Iterator[TextIO]:
    """A file in UTF-8, with or without a byte-order mark, decompressed; line endings are left unchanged."""
    with _unpacked(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as file:
        try:
            yield file
        except UnicodeDecodeError as error:
            raise UserError(
                f"{path.name}{_undecodable(path)} is not UTF-8 ({error.reason}); fetch it again or convert it with iconv"
            ) from error


def _undecodable(path: Path) -> str:
    """Where the first bytes are that are not UTF-8, by line and by byte of the decompressed file."""
    before = 0
    with (
        _unpacked(path) as raw,
        io.TextIOWrapper(raw, encoding="latin-1", newline="\n") as file,
    ):  # one byte per character
        for number, line in enumerate(file, 1):
            try:
                line.encode("latin-1").decode("utf-8")
            except UnicodeDecodeError as error:
                return f" line {number}, byte {before + error.start:,},"
            before += len(line)
    return ""


@contextmanager
def _unpacked(path: Path) -> Iterator[IO[bytes]]:
    with open(path, "rb") as file:
        packing = PACKED.get(path.suffix.lower())
        if packing is None:
            yield file
            return
        import pyarrow as pa  # imported here, so that plain files do not wait for it

        try:
            with pa.input_stream(file, compression=packing) as stream:
                yield stream
        except OSError as error:
            if error.errno is not None:  # an error of the disk, not of the decoder
                raise
            raise UserError(f"{path.name} is not a complete {packing} file ({error}); fetch it again") from error


def _absent(name: str, missing: Iterable[str], there: Iterable) -> UserError:
    return UserError(
        f"{name} has no column {', '.join(sorted(missing))}; "
        f"its columns are: {', '.join(str(column) for column in there) or 'none'}"
    )


def _json_rows(path: Path, needed: set[str]) -> Iterator[dict]:
    """A column is missing only if no row has it, because writers may leave nulls out."""
    missing, known = needed, None
    for row in _json_values(path):
        row = row if isinstance(row, dict) else {}
        if missing:
            missing, known = missing - row.keys(), known or row
        yield row
    if missing and known is not None:
        raise _absent(path.name, missing, known)


def _json_values(path: Path) -> Iterator[object]:
    """The elements of a JSON list, the values of JSON lines, or the only object of an indented file: the first characters
    tell which, because file names do not."""
    with text_file(path) as file:
        first = file.read(1)
        while first and first.isspace():
            first = file.read(1)
        if not first:
            raise UserError(f"{path.name} is empty; fetch it again")
        if first == "[":
            yield from _elements(file, path.name)
            return
        head = first + file.readline()
        if head.strip() == "{":  # an object over several lines must be the only one
            yield _json_value(head + file.read(), f"{path.name}, which is neither a list nor one value per line,")
            return
        for number, line in enumerate(chain([head], file), 1):
            if line.strip():
                yield _json_value(line, f"{path.name} line {number}")


def _json_value(text: str, where: str) -> object:
    try:
        return sound(json.loads(text), text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where} is not valid JSON ({error}); fetch the file again or correct it there") from error


def _elements(file: TextIO, name: str) -> Iterator[object]:
    """The elements of a JSON list whose opening bracket has been read, each as soon as it is complete."""
    decode = json.JSONDecoder().raw_decode
    text, at, count = "", 0, 0
    while True:
        start = _behind_white(text, at)
        if not count and text[start : start + 1] == "]":
            text = text[start + 1 :]
            break
        try:
            value, end = decode(text, start)
            mark = _behind_white(text, end)
            if mark == len(text):
                raise ValueError("the list does not end")
            if text[mark] not in ",]":
                raise ValueError("a comma is missing between two elements")
        except (ValueError, RecursionError) as error:
            more = file.read(max(CHUNK, len(text) - start))  # as much again, or an element is parsed too often
            if not more:
                raise UserError(
                    f"{name} is not a complete JSON list ({error}, in or after element {count + 1}); "
                    "fetch it again or correct it there"
                ) from error
            text, at = text[at:] + more, 0
            continue
        count += 1
        yield sound(value, text[start:end])
        at = mark + 1
        if text[mark] == "]":
            text = text[at:]
            break
    if (text + file.read()).strip():
        raise UserError(f"{name}: there is something after its JSON list; fetch it again or correct it there")


def _behind_white(text: str, at: int) -> int:
    """Where the white space that may begin at `at` ends."""
    white = WHITE.match(text, at)
    assert white is not None  # the pattern also matches an empty string
    return white.end()


def sound(value: Any, source: str) -> Any:
    r"""A value read from `source`, with U+FFFD for each lone surrogate, which no file can contain.

    >>> sound(["\ud83d", 1], r'["\ud83d", 1]')
    ['�', 1]
    """
    if "\\ud" not in source and "\\uD" not in source:
        return value
    if isinstance(value, str):
        return SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [sound(item, source) for item in value]
    if isinstance(value, dict):
        return {sound(key, source): sound(item, source) for key, item in value.items()}
    return value


def _parquet_rows(path: Path, text: tuple, others: tuple, optional: tuple) -> Iterator[dict]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        whole = pa.BufferReader(content(path)) if path.suffix.lower() in PACKED else open(path, "rb")
        with whole as file, pq.ParquetFile(file) as table:
            schema = table.schema_arrow
            if missing := {*text, *others} - set(schema.names):
                raise _absent(path.name, missing, schema.names)
            for name in text:
                _holds_text(path.name, name, schema)
            columns = [name for name in (*text, *others, *optional) if name in schema.names]
            for number, batch in enumerate(table.iter_batches(batch_size=BATCH, columns=columns, use_threads=False)):
                yield from _python_rows(batch, f"{path.name}, in row {number * BATCH + 1} or later")
    except (pa.ArrowException, ValueError, OverflowError, OSError) as error:
        if getattr(error, "errno", None) is not None:
            raise
        raise UserError(f"{path.name} is not a complete Parquet file ({short(error)}); fetch it again") from error


def _python_rows(batch: "pyarrow.RecordBatch", where: str) -> list[dict]:
    try:
        return batch.to_pylist()
    except UnicodeDecodeError as error:
        raise UserError(
            f"{where}: a text is not UTF-8 ({error.reason} at its byte {error.start}); write the file again in UTF-8"
        ) from error


def _holds_text(file: str, name: str, schema: "pyarrow.Schema") -> None:
    from pyarrow import types

    if schema.names.count(name) > 1:
        raise UserError(f"{file} has the column {name} twice; keep one of them")
    kind = schema.field(name).type
    kind = kind.value_type if types.is_dictionary(kind) else kind
    if not (types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind) or types.is_null(kind)):
        raise UserError(f"{file}: column {name} contains {kind}, not text; use another column or convert it")


def zipped_csv(path: Path, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Rows of the only CSV file in a zip archive, with at least `columns`."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".csv")]
            if len(names) != 1:
                raise UserError(f"{path.name} contains {len(names)} CSV files instead of one; fetch it again")
            data = archive.read(names[0])
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise UserError(f"{path.name} is a damaged zip archive ({error}); delete it and fetch it again") from error
    yield from csv_rows(decoded(data, f"{path.name}/{names[0]}"), path.name, columns)


def csv_rows(text: str, name: str, columns: tuple[str, ...], **form: Any) -> Iterator[dict[str, str]]:
    """Rows of a CSV text, with at least `columns`; missing cells of a row are empty."""
    yield from _csv_rows(io.StringIO(text, newline=""), name, columns, restval="", **form)


def _csv_rows(lines: Iterable[str], name: str, columns: tuple[str, ...], **form: Any) -> Iterator[dict]:
    reader = csv.DictReader(lines, **form)
    try:
        header = reader.fieldnames = [name.strip() for name in reader.fieldnames or []]  # "id, text" has a column text
        if missing := set(columns) - set(header):
            raise _absent(name, missing, header)
        if twice := [column for column in columns if header.count(column) > 1]:
            raise UserError(f"{name} has the column {twice[0]} twice; keep one of them")
        yield from reader
    except csv.Error as error:
        raise UserError(f"{name} line {reader.reader.line_num}: {error}; fetch it again or correct it there") from error
