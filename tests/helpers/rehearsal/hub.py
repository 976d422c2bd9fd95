"""The stand-ins in a folder, and the repositories of the hub that serves them.

A file lies at FOLDER/hub/REPOSITORY/PATH, where data sets are below `datasets` as on the hub; what the user brings is in
FOLDER/local, and what all of them were built to contain in FOLDER/record.json.
"""

import json
import sys
import time
from pathlib import Path

from dapt.core.config import Params
from hub import Repository
from rehearsal.models import write_models
from rehearsal.sources import stand_ins
from rehearsal.text import embedded

BRANCH = "0123456789abcdef0123456789abcdef01234567"  # the commit that a branch in the settings points to


def make(params: Params, folder: Path, scale: float = 1.0, small: bool = False) -> dict[str, dict[str, int]]:
    """Write all stand-ins into an empty or new folder, and return their record. `small`: models of 2 layers of 128."""
    started = time.monotonic()

    def told(place: str) -> None:
        print(f"{time.monotonic() - started:5.1f} s: {place}", file=sys.stderr)

    record = {}
    for one in stand_ins(embedded(params), scale):
        for name, content in one.files.items():
            path = folder / one.place / name if one.place == "local" else folder / "hub" / one.place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        record[one.place] = one.record
        told(one.place)
    record |= write_models(params, folder / "hub", small)
    told("models")
    (folder / "record.json").write_text(json.dumps(record, indent=2) + "\n")
    return record


def repositories(params: Params, folder: Path) -> dict[str, Repository]:
    """The hub's repositories, at the revisions that the profile `full` and its model name."""
    profile = params.profiles["full"]
    origins = [source for sources in profile.corpora.values() for source in sources]
    origins += [params.bases[name] for name in (profile.model.base, profile.model.donor) if name]
    found = {}
    for place in (origin.hub for origin in origins if origin.hub):
        name = place.repo if place.type == "model" else f"datasets/{place.repo}"
        files = {path.relative_to(folder / "hub" / name).as_posix(): path for path in _files(folder / "hub" / name)}
        revision = place.revision or "main"
        commit = revision.ljust(40, "0") if place.pinned else BRANCH
        found[name] = Repository(files, commit, ("main", revision))
    return found


def troubles(repositories: dict[str, Repository]) -> tuple[set[str], dict[str, list[tuple[int, dict]]]]:
    """What goes wrong once in a rehearsal, as Hub's `cut` and `refused`: connections end half-way, requests are too many, a
    server fails."""
    files = sorted(file for repository in repositories.values() for file in repository.files)
    large = [file for file in files if file.endswith((".bin", ".parquet"))]
    wait = (429, {"Retry-After": 1})
    return {large[0], large[-1]}, {f"hub/{large[1]}": [wait, wait], f"store/{large[2]}": [wait, (503, {})]}


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
