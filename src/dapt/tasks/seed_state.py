"""What a fine-tuning has done so far, on disk (training.resume), so that a stopped one continues with what is left.

Each seed has a folder of checkpoints, numbered by the epochs that are done. One is written behind an epoch where a minute
of work would be lost, and one when the seed is finished; then its weights are no longer needed, but for the first seed's.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from dapt.training import resume

SAVE_AFTER = 60.0  # seconds of work

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Seeds:
    """The states of a fine-tuning's seeds, in its folder; `tell` is told how many epochs are saved."""

    folder: Path
    tell: Callable[..., None]

    def of(self, seed: int) -> "SeedState":
        return SeedState(self, seed)

    def saved(self) -> int:
        """Epochs that need not be trained again, of all seeds."""
        newest = (resume.newest(folder) for folder in self.folder.glob("seed-*"))
        return sum(int(name.removeprefix("step-")) for name in newest if name)


class SeedState:
    def __init__(self, seeds: Seeds, seed: int):
        self.seeds, self.folder, self.began = seeds, seeds.folder / f"seed-{seed}", time.monotonic()

    def latest(self) -> tuple[Tensors, dict, int] | None:
        """Tensors, facts and epochs done, of the newest checkpoint that is whole."""
        return resume.latest(self.folder)

    def epoch_done(self, epochs: int, state: Callable[[], tuple[Tensors, dict]]) -> None:
        """Save what `state` gives, where more than a minute's work is not saved."""
        if time.monotonic() - self.began >= SAVE_AFTER:
            self._save(epochs, *state(), resume.KEPT)

    def finish(self, epochs: int, tensors: Tensors, facts: dict) -> tuple[Tensors, dict]:
        """Save what is still needed of a seed that is done, and give it back; `epochs` is more than any before."""
        self._save(epochs, tensors, facts | {"finished": True}, 1)
        return tensors, facts

    def finished(self) -> tuple[Tensors, dict] | None:
        """What `finish` saved."""
        tensors, facts, _ = self.latest() or ({}, {}, 0)
        return (tensors, facts) if facts.get("finished") else None

    def _save(self, epochs: int, tensors: Tensors, facts: dict, kept: int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        resume.save(self.folder, epochs, tensors, facts, kept)
        self.began = time.monotonic()
        self.seeds.tell("checkpoint", step=self.seeds.saved())
