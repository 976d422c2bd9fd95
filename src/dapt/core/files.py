"""Files that are written completely or not at all, file locks, and the project's two formats: JSON and JSON lines."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from dapt.telling.errors import UserError

POINTER = b"version https://git-lfs.github.com/spec/"


@contextmanager
def whole_file(path: Path, mode: str = "w") -> Iterator[IO]:
    """Open a temporary file beside `path` that takes its name only when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    encoding, newline = (None, None) if "b" in mode else ("utf-8", "\n")
    try:
        with open(temporary, mode, encoding=encoding, newline=newline) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if error.filename not in (None, str(temporary)):
            raise
        raise UserError(
            f"cannot write {path}: {error.strerror}; free disk space or fix the permissions there, then run again "
            "(the previous file is unchanged)"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its name, in place of an older one, when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        if path.is_dir():
            shutil.rmtree(path)
        os.replace(temporary, path)
    except OSError as error:
        if error.filename not in (None, str(temporary)):
            raise
        raise UserError(
            f"cannot write {path}: {error.strerror}; free disk space or fix the permissions there, then run again"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def lock_taken(file: IO, kind: int = fcntl.LOCK_EX) -> bool:
    """Take the file's lock if it is free. It ends with this process and those that it starts with the file as output."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_json(path: Path, value: object) -> None:
    """Indented, keys in the order given, so that two runs write the same bytes."""
    with whole_file(path) as file:
        json.dump(value, file, indent=1, ensure_ascii=False, allow_nan=False)
        file.write("\n")


def read_json(path: Path) -> dict:
    """Read one JSON file; a damaged one is refused with its name."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error}); delete it and make it again with dvc repro") from error


def numbers(path: Path) -> dict[str, dict]:
    """The contents of the JSON files in a folder, by file name without the ending."""
    return {file.stem: read_json(file) for file in sorted(path.glob("*.json"))}


def json_line(row: dict) -> str:
    return json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"


def write_lines(path: Path, rows: Iterable[dict]) -> int:
    """Write rows as JSON lines and return how many there were."""
    count = 0
    with whole_file(path) as file:
        for row in rows:
            file.write(json_line(row))
            count += 1
    return count


def read_lines(path: Path) -> Iterator[dict]:
    """Rows of a JSON-lines file, in order; a line that is not a JSON object is refused with its number."""
    with open(path, encoding="utf-8", errors="strict") as file:
        number = 0
        try:
            for number, line in enumerate(file, 1):
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise ValueError("not an object")
                yield row
        except ValueError as error:
            raise UserError(f"{path} line {number or 1}: {error}; each line must be one JSON object") from error


def refuse_pointers(folder: Path) -> None:
    """Refuse a folder of a git repository whose large files have not been fetched."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.stat().st_size < 1024 and path.read_bytes().startswith(POINTER):
            raise UserError(f"{path} is a Git LFS pointer, not the file itself; run git lfs pull in its clone")


def made_from(*inputs: Path) -> list[dict[str, str]]:
    """What a metrics file records of its inputs: path and sha256 of each, as a list, since `dvc metrics` ignores lists."""
    return [{"path": path.as_posix(), "sha256": sha256(path)} for path in inputs]


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, or of a folder's file names and contents, sorted by name."""
    if path.is_file():
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    for inner in sorted(p for p in path.rglob("*") if p.is_file()):
        digest.update(f"{inner.relative_to(path).as_posix()}\0{sha256(inner)}\n".encode())
    return digest.hexdigest()
