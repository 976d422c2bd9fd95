"""`dapt doctor --remote`: reads what a DVC remote holds, compares it with dvc.lock object by object, and repairs it from the
cache. `dvc push` trusts the names of the objects: it says "up to date" over a damaged one.

DVC stores the bytes of each file under their MD5, and for each folder a list of its files under the list's MD5 and `.dir`.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from dvc.config import ConfigError
from dvc.exceptions import DvcException
from dvc.fs import RemoteMissingDepsError
from dvc.repo import Repo

from dapt.core.config import instead
from dapt.telling.errors import UserError, short
from dapt.telling.progress import Progress

Store = Any  # the objects of a remote or of the cache, as DVC opens them
FOLDER = ".dir"
BLOCK = 1 << 20  # bytes that are read at a time
AT_ONCE = 4  # objects that are read at the same time
SHOWN = 20  # lines per kind of problem; --json has them all


class State(StrEnum):
    INTACT = "intact"
    MISSING = "missing"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class Object:
    """A hash that dvc.lock names, and the outputs, or files in them, that have these bytes."""

    hash: str
    paths: tuple[str, ...]

    def __str__(self) -> str:
        more = f" and {len(self.paths) - 1} more" * (len(self.paths) > 1)
        return f"{self.paths[0]}{more}{' (the list of its files)' * self.hash.endswith(FOLDER)}, {self.hash}"


@dataclass
class Found:
    """What a remote holds of the objects that dvc.lock names."""

    remote: str
    address: str
    objects: int = 0
    missing: list[Object] = field(default_factory=list)
    damaged: list[Object] = field(default_factory=list)
    repaired: list[Object] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)  # folders of which neither the remote nor the cache has the list

    def wrong(self) -> list[Object]:
        return [each for each in self.missing + self.damaged if each not in self.repaired]

    def empty(self) -> bool:
        return len(self.missing) == self.objects > 0

    def problems(self) -> list[str]:
        found = []
        if self.empty():
            return [
                f"the remote {self.remote} has none of the {self.objects} objects at {self.address}; mount it, correct its "
                "address (`dvc remote list`), or fill it with `dvc push`"
            ]
        if wrong := self.wrong():
            found.append(
                f"{len(wrong)} of {self.objects} objects on the remote {self.remote} are missing or damaged; run `dapt doctor "
                f"--remote {self.remote} --repair` in a clone whose cache has them, such as the one that made them"
            )
        if self.unknown:
            found.append(
                f"the files of {', '.join(self.unknown)} could not be checked, because neither the remote nor the cache of "
                "this clone has the list of them"
            )
        return found


def outputs(repo: Repo, remote: str) -> dict[str, str]:
    """The path and the hash of each output in dvc.lock that `dvc push` uploads to this remote."""
    try:
        every = repo.index.outs
    except DvcException as error:
        raise UserError(
            f"DVC cannot read dvc.yaml or dvc.lock: {short(error)}; correct the file, or restore it with git"
        ) from error
    uploaded = [out for out in every if out.use_cache and out.can_push and out.remote in (None, remote)]
    return {str(out): out.hash_info.value for out in uploaded if out.hash_info}  # none if it has not been made yet


def state(store: Store, hash: str) -> State:
    """Read an object as a stream, and compare its bytes with its name."""
    read = hashlib.md5(usedforsecurity=False)
    try:
        with store.fs.open(store.oid_to_path(hash), "rb") as file:
            while block := file.read(BLOCK):
                read.update(block)
    except FileNotFoundError:
        return State.MISSING
    return State.INTACT if read.hexdigest() == hash.removesuffix(FOLDER) else State.DAMAGED


def listed(store: Store, hash: str) -> dict[str, str] | None:
    """The files of a folder and their hashes, as its list in a store says; None if the store has no intact list."""
    try:
        with store.fs.open(store.oid_to_path(hash), "rb") as file:
            text = file.read()
    except FileNotFoundError:
        return None
    if hashlib.md5(text, usedforsecurity=False).hexdigest() != hash.removesuffix(FOLDER):
        return None
    return {entry["relpath"]: entry["md5"] for entry in json.loads(text)}


def check(remote: Store, cache: Store, outs: dict[str, str], found: Found) -> None:
    """Add to `found` what the remote lacks. An object that several outputs share is read once."""
    named = dict(outs)
    for path, hash in outs.items():
        if hash.endswith(FOLDER):
            files = next((files for store in (remote, cache) if (files := listed(store, hash)) is not None), None)
            if files is None:
                found.unknown.append(path)
            named |= {f"{path}/{name}": each for name, each in (files or {}).items()}
    paths: dict[str, list[str]] = {}
    for path in sorted(named):
        paths.setdefault(named[path], []).append(path)
    found.objects = len(paths)
    progress = Progress(f"reading {found.remote}", len(paths), unit="objects")
    with ThreadPoolExecutor(AT_ONCE) as pool, closing(progress):
        for hash, seen in zip(paths, pool.map(lambda hash: state(remote, hash), paths)):
            progress.advance(1)
            if seen is not State.INTACT:
                getattr(found, seen.value).append(Object(hash, tuple(paths[hash])))


def repair(remote: Store, cache: Store, found: Found) -> None:
    """Upload each missing or damaged object of which the cache has an intact copy, and read it again."""
    for each in found.wrong():
        if state(cache, each.hash) is not State.INTACT:
            continue
        if each in found.damaged:
            remote.delete(each.hash)
        remote.add(cache.oid_to_path(each.hash), cache.fs, each.hash, check_exists=False, verify=False)
        if state(remote, each.hash) is State.INTACT:
            found.repaired.append(each)


def opened() -> Repo:
    try:
        return Repo()
    except ConfigError as error:
        raise UserError(
            f"DVC cannot read .dvc/config or .dvc/config.local: {short(error)}; correct the file"
        ) from error


def chosen(repo: Repo, name: str | None) -> str:
    """The remote of this name, or the default remote."""
    names = list(repo.config["remote"])
    name = name or repo.config["core"].get("remote")
    if not name:
        raise UserError(
            "DVC has no default remote; name one (`dapt doctor --remote NAME`), or add one with `dvc remote add -d NAME ADDRESS`"
        )
    if name not in names:
        known = f"choose one of: {', '.join(names)}" if names else "add it with `dvc remote add NAME ADDRESS`"
        raise UserError(f"DVC has no remote {name!r}{instead(name, names, known)}")
    return name


@contextmanager
def told(name: str) -> Iterator[None]:
    """What can go wrong with a remote, in one line."""
    try:
        yield
    except (ImportError, RemoteMissingDepsError) as error:
        raise UserError(
            f"the remote {name} needs a package that is not installed ({short(error)}); for ssh and S3 run pip install -r "
            "requirements-remotes.txt"
        ) from error
    except ConfigError as error:
        raise UserError(f"the remote {name} cannot be compared with dvc.lock: {short(error)}") from error
    except UserError:
        raise
    except Exception as error:  # depends on the client of the remote's kind
        raise UserError(
            f"the remote {name} cannot be read or written ({short(error)}); check its address (`dvc remote list`), your "
            "credentials and the network"
        ) from error


def lines(kind: str, objects: Iterable[Object]) -> Iterator[str]:
    """A line per object, of a long list its beginning.

    >>> list(lines("missing", [Object("0f" * 16, ("models/base/config.json", "models/biomed/config.json"))]))
    ['missing: models/base/config.json and 1 more, 0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f']
    """
    every = list(objects)
    yield from (f"{kind}: {each}" for each in every[:SHOWN])
    if len(every) > SHOWN:
        yield f"{kind}: {len(every) - SHOWN} more (`--json` lists them all)"


def show(found: Found, as_json: bool) -> None:
    problems = found.problems()
    if as_json:
        figures: dict[str, Any] = asdict(found) | {"problems": problems}
        print(json.dumps(figures, indent=1))
        return
    print(f"remote: {found.remote} ({found.address})")
    print(
        f"objects: {found.objects} of dvc.lock, {len(found.missing)} missing, {len(found.damaged)} damaged"
        + f", {len(found.repaired)} repaired" * bool(found.repaired)
    )
    for kind in ("missing", "damaged", "repaired"):
        for line in lines(kind, getattr(found, kind)):
            print(line)
    for problem in problems:
        print(f"problem: {problem}")
    if not problems:
        print("no problems")


def run(name: str | None, repairing: bool, as_json: bool) -> None:
    with closing(opened()) as repo:
        name = chosen(repo, name)
        outs = outputs(repo, name)
        with told(name):
            remote = repo.cloud.get_remote_odb(name, "dapt doctor --remote")
            found = Found(name, remote.fs.unstrip_protocol(remote.path).removesuffix("/files/md5"))
            check(remote, repo.cache.local, outs, found)
        try:
            if repairing and not found.empty():  # an empty folder may be one that is not mounted
                with told(name):
                    repair(remote, repo.cache.local, found)
        finally:
            show(found, as_json)
    if repairing and found.empty():
        raise UserError(f"the remote {name} has no object to repair; fill it with `dvc push`, or correct its address")
    if repairing and (left := found.wrong()):
        raise UserError(
            f"{len(left)} objects could not be repaired, because the cache of this clone has no intact copy; repair them in a "
            "clone that has one, or make the files again with dvc repro"
        )
