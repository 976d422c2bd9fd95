"""The state of a run on disk, outside DVC's outputs, so that a killed run can continue from its last checkpoint.

Each run has its own state folder, named after a hash of everything that its results depend on; so a run with changed data,
parameters or code starts over. run.json in the folder lists what went into the hash. A checkpoint is a folder step-N with
safetensors and JSON, written under a temporary name, flushed, and then renamed. The newest two are kept; one whose hash is
wrong is skipped in favour of the one before.
"""

import fcntl
import getpass
import hashlib
import json
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from dapt.core.files import lock_taken, sha256, whole_file, whole_folder, write_json
from dapt.telling.errors import UserError

KEPT = 2


def root() -> Path:
    """DAPT_STATE, or a folder per user next to the DVC cache of the main repository; a temporary experiment uses it too, since
    its own .dvc is deleted."""
    if "DAPT_STATE" in os.environ:
        return Path(os.environ["DAPT_STATE"])
    dvc = shutil.which("dvc")
    found = subprocess.run([dvc, "cache", "dir"], capture_output=True, text=True) if dvc else None
    cache = Path(found.stdout.strip()) if found and found.returncode == 0 else Path(".dvc/cache")
    return cache.parent / "tmp" / "dapt-state" / getpass.getuser()


def folder_of(domain: str, decides: dict[str, object]) -> Path:
    """The state folder of the run whose results depend on `decides`."""
    place = root()
    if "DAPT_STATE" not in os.environ:
        _make_for_user(place)
    return place / f"{domain}-{hashlib.sha256(_text(decides).encode()).hexdigest()[:16]}"


def _make_for_user(place: Path) -> None:
    """Make a user's folder, in which nobody else may write. If a group may write beside the cache, each of its users may make
    such a folder, whatever the umask of the first one, and delete only their own."""
    beside = place.parents[2]
    for folder in (place.parents[1], place.parents[0]):
        if not folder.exists():
            folder.mkdir(parents=True, exist_ok=True)
            if (mode := beside.stat().st_mode) & stat.S_IWGRP:
                folder.chmod(stat.S_IMODE(mode) | stat.S_ISVTX)
    place.mkdir(mode=0o755, exist_ok=True)


def folders(place: Path, domain: str) -> list[Path]:
    """The state folders of all runs of a domain in `place` (usually `root`)."""
    return sorted(place.glob(f"{domain}-{'[0-9a-f]' * 16}"))


def _text(decides: dict[str, object]) -> str:
    return json.dumps(decides, sort_keys=True)


@contextmanager
def locked(folder: Path, decides: dict[str, object]) -> Iterator[None]:
    """Lock the folder for this process; the lock is released when the process ends, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as file:
        if not lock_taken(file):
            raise UserError(f"another process is training in {folder}; wait for it, or stop it")
        with whole_file(folder / "run.json") as described:
            described.write(_text(decides))
        yield


def _in_use(folder: Path) -> bool:
    with open(folder / "lock", "a") as file:
        return not lock_taken(file, fcntl.LOCK_SH)


def passed_over(folder: Path, domain: str, decides: dict[str, object]) -> Iterator[str]:
    """A line for each unfinished run of this name with other settings, data or code, which is therefore not resumed."""
    for other in folders(folder.parent, domain):
        step = newest(other) or next((f"{part.name}, {newest(part)}" for part in other.glob("seed-*")), None)
        if other == folder or step is None or _in_use(other):
            continue
        theirs = json.loads((other / "run.json").read_text())
        changed = sorted(name for name in decides.keys() | theirs.keys() if decides.get(name) != theirs.get(name))
        yield (
            f"not resumed: {step} in {other}, because of a difference in {', '.join(changed)}; "
            "delete it if you no longer need it"
        )


def save(folder: Path, step: int, tensors: dict[str, torch.Tensor], facts: dict, kept: int = KEPT) -> None:
    """Write checkpoint `step` and delete all but the newest `kept`."""
    with whole_folder(folder / f"step-{step}") as temporary:
        path = temporary / "state.safetensors"
        try:
            save_file(tensors, path)
        except SafetensorError as error:
            raise UserError(
                f"cannot write a checkpoint to {folder}: {error}; free disk space there and run again"
            ) from error
        with open(path, "rb+") as file:
            os.fsync(file.fileno())
        write_json(temporary / "state.json", {"step": step, "sha256": sha256(path), "facts": facts})
    for old in _checkpoints(folder)[kept:]:
        shutil.rmtree(
            old, ignore_errors=True
        )  # NFS keeps what this process has open; then a later checkpoint deletes it


def _checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, newest first."""
    found = [path for path in folder.glob("step-*") if path.name[5:].isdigit()]
    return sorted(found, key=lambda path: -int(path.name[5:]))


def newest(folder: Path) -> str | None:
    """The name of the newest checkpoint, step-N, or None."""
    return next((path.name for path in _checkpoints(folder)), None)


def latest(folder: Path) -> tuple[dict[str, torch.Tensor], dict, int] | None:
    """Tensors, facts and step of the newest intact checkpoint, or None."""
    for path in _checkpoints(folder):
        try:
            state = json.loads((path / "state.json").read_text())
            if state["sha256"] == sha256(path / "state.safetensors"):
                return load_file(path / "state.safetensors"), state["facts"], state["step"]
        except (OSError, ValueError, KeyError, SafetensorError):
            pass
        print(f"checkpoint {path.name} is damaged and was skipped", flush=True)
    return None


def forget(folder: Path) -> None:
    """Delete the state of a run that has finished. NFS keeps the files that this process still has open, and their folder, so
    that is renamed first, and deleted by the next run that finishes."""
    os.replace(folder, mkdtemp(prefix=f".{folder.name}.", suffix=".finished", dir=folder.parent))
    for path in folder.parent.glob(".*.finished"):
        shutil.rmtree(path, ignore_errors=True)
