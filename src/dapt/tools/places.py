"""Turns a place given to `dapt add` (hub:REPOSITORY[@REVISION], a file or a folder) into an entry of the settings."""

from pathlib import Path
from typing import Any

from dapt.core.config import Hub, Origin, instead
from dapt.core.paths import LOCAL
from dapt.corpus.tables import FORMATS, file_format, named
from dapt.telling.errors import UserError
from dapt.tools.pin import pins

HUB = "hub:"
CONVERTED = "refs/convert/parquet"  # branch in which the hub converts a data set's rows to Parquet files


def of_text(place: str, part: str | None, side: str | None) -> dict[str, Any]:
    """The entry of a corpus' source, without name and licence; `part` and `side` choose among files on the hub."""
    if not place.startswith(HUB):
        folder, name = brought(Path(place))
        return {"local": {"folder": folder}, "files": [name]}
    found = hub(place, "dataset")
    files = data_files(_names(found), part, side, place)
    if not files and found.revision is None:
        found = found.model_copy(update={"revision": CONVERTED})
        files = data_files(_names(found), part, side, place)
    if not files:
        raise UserError(
            f"{place} has no files with text ({', '.join(FORMATS)}); try another revision (hub:OWNER/NAME@REVISION)"
        )
    return pinned(found, files)


def of_model(place: str) -> dict[str, Any]:
    """The entry of a base, without licence: the folder or repository with its files."""
    if not place.startswith(HUB):
        folder, name = brought(Path(place))
        return {"local": {"folder": f"{folder}/{name}"}, "files": "auto"}
    return pinned(hub(place, "model"), "auto")


def hub(place: str, kind: str) -> Hub:
    repository, _, revision = place.removeprefix(HUB).partition("@")
    try:
        return Hub.model_validate({"repo": repository, "revision": revision or None, "type": kind})
    except ValueError:
        raise UserError(f"{place} is not of the form {HUB}OWNER/NAME or {HUB}OWNER/NAME@REVISION") from None


def pinned(found: Hub, files: list[str] | str) -> dict[str, Any]:
    """The entry with the commit and the files' hashes, for which they are downloaded."""
    origin = Origin.model_validate({"hub": found.model_dump(), "files": files, "licence": ""})
    kind = {"type": found.type} if found.type == "model" else {}
    return {"hub": {"repo": found.repo, **kind, **pins(origin)}, "files": files}


def brought(place: Path) -> tuple[str, str]:
    """The parent folder and the name of a file or folder in data/local, given as an absolute path. Links on the way to
    data/local are followed, but not those inside it, since their targets may be anywhere."""
    if not place.exists():
        raise UserError(f"{place} does not exist; put the file or folder into {LOCAL} and give its path")
    for parent in place.parents:
        if LOCAL.exists() and parent.samefile(LOCAL):
            shown = LOCAL / place.relative_to(parent)
            return shown.parent.as_posix(), shown.name
    raise UserError(f"{place} is not in {LOCAL}; copy or link it there, and give that path")


def unseen(place: Path) -> bool:
    """Whether a path in data/local goes through a link to a folder, which DVC does not follow."""
    return any(part.is_symlink() and part.is_dir() for part in (place, *place.parents) if LOCAL in part.parents)


def _names(found: Hub) -> list[str]:
    from dapt.sources.hub import names  # the client is slow to import

    return names(found)


def data_files(names: list[str], part: str | None, side: str | None, where: str) -> list[str]:
    """The tables among the files of a data set, for the configuration `part` and the split `side`.

    >>> files = ["README.md", "a/train/0000.parquet", "a/test/0000.parquet", "b/train/0000.parquet"]
    >>> data_files(files, "a", "train", "x")
    ['a/train/0000.parquet']
    """
    tables = sorted(
        name for name in names if file_format(Path(name)) in FORMATS and not Path(name).name.startswith(".")
    )
    parts = {Path(name).parts[0] for name in tables if len(Path(name).parts) > 1} - {"data"}
    if part is not None and part not in parts:
        known = f"it has: {', '.join(sorted(parts)) or 'none'}"
        raise UserError(f"{where} has no configuration {part!r}{instead(part, parts, known)}")
    if part is None and len(parts) > 1:
        raise UserError(f"{where} has several configurations: {', '.join(sorted(parts))}; choose one with --config")
    chosen = [name for name in tables if part is None or Path(name).parts[0] == part]
    if side is None:
        return chosen
    if of_side := [name for name in chosen if named(Path(name), side)]:
        return of_side
    raise UserError(f"{where} has no files of the split {side!r}; its files are: {', '.join(chosen[:5])}")
