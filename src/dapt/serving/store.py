"""The available models by name, and those in memory: loaded on first use, within a memory limit."""

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from dapt.serving.engine import Chooser, Encoder, Refused, kind_of, load
from dapt.telling.errors import UserError

WEIGHTS = "model.safetensors"


def found(folder: Path) -> dict[str, Path]:
    """The models in a folder, by their names; fine-tuned ones as TASK/MODEL."""
    encoders = {path.parent.name: path.parent for path in sorted(folder.glob(f"*/{WEIGHTS}"))}
    tuned = sorted((folder / "tasks").glob(f"*/*/{WEIGHTS}"))
    return encoders | {f"{path.parents[1].name}/{path.parent.name}": path.parent for path in tuned}


class Gone(Refused):
    """The requested model does not exist."""


def stamp(path: Path) -> tuple[int, int, int]:
    """A value that changes when a file is replaced."""
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


@dataclass(frozen=True)
class Kept:
    """A model in memory, and the weight file that it was read from."""

    model: Encoder | Chooser
    weights: Path
    stamp: tuple[int, int, int]

    def is_current(self) -> bool:
        try:
            return stamp(self.weights) == self.stamp
        except OSError:
            return False


class Store:
    """Must be used by one thread at a time, except `names`."""

    def __init__(self, folder: Path, most_bytes: int):
        self.folder, self.most_bytes = folder, most_bytes
        self.loaded: OrderedDict[str, Kept] = OrderedDict()  # the most recently used one is last

    def names(self) -> dict[str, str]:
        """Each model's kind. A model that disappears in the meantime is omitted."""
        kinds = {}
        for name, path in found(self.folder).items():
            try:
                kinds[name] = kind_of(path)
            except (OSError, UserError):
                continue
        return kinds

    def get(self, name: str) -> Encoder | Chooser:
        """A model, reloaded if it has changed on disk; the least recently used models are unloaded to make room."""
        kept = self.loaded.get(name)
        if kept is None or not kept.is_current():
            self.loaded.pop(name, None)
            kept = self.loaded[name] = self._load(name)
        self.loaded.move_to_end(name)
        return kept.model

    def _load(self, name: str) -> Kept:
        folders = found(self.folder)
        if name not in folders:
            raise Gone(f"there is no model {name!r}; choose one of: {', '.join(folders) or 'none'}")
        weights = folders[name] / WEIGHTS
        try:
            now = stamp(weights)
            self._make_room(now[1])
            return Kept(load(folders[name]), weights, now)
        except Refused:
            raise
        except (OSError, UserError) as error:
            raise Gone(f"the model {name!r} cannot be loaded: {error}") from error

    def _make_room(self, size: int) -> None:
        if size > self.most_bytes:
            raise Refused(
                f"the model has {size:,} bytes, more than the limit of {self.most_bytes:,}; "
                "start dapt serve with a larger --memory"
            )
        while sum(kept.model.bytes for kept in self.loaded.values()) + size > self.most_bytes:
            self.loaded.popitem(last=False)
