"""The progress of a fine-tuning on disk (training.resume), so that it can continue after an interruption.

Each seed has a folder of checkpoints, numbered by completed epochs. One is written after an epoch if more than a minute of
work is unsaved, and one when the seed is finished; from then on only the first seed's weights are needed.
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
    """The states of a fine-tuning's seeds, in its folder; `tell` receives an event with the number of saved epochs."""

    folder: Path
    tell: Callable[..., None]

    def of(self, seed: int) -> "SeedState":
        return SeedState(self, seed)

    def saved(self) -> int:
        """Saved epochs of all seeds, which need not be trained again."""
        newest = (resume.newest(folder) for folder in self.folder.glob("seed-*"))
        return sum(int(name.removeprefix("step-")) for name in newest if name)


class SeedState:
    def __init__(self, seeds: Seeds, seed: int):
        self.seeds, self.folder, self.began = seeds, seeds.folder / f"seed-{seed}", time.monotonic()

    def latest(self) -> tuple[Tensors, dict, int] | None:
        """Tensors, facts and completed epochs of the newest intact checkpoint."""
        return resume.latest(self.folder)

    def epoch_done(self, epochs: int, state: Callable[[], tuple[Tensors, dict]]) -> None:
        """Save what `state` returns, if more than a minute of work is unsaved."""
        if time.monotonic() - self.began >= SAVE_AFTER:
            self._save(epochs, *state(), resume.KEPT)

    def finish(self, epochs: int, tensors: Tensors, facts: dict) -> tuple[Tensors, dict]:
        """Save what is still needed of a finished seed, and return it; `epochs` must be larger than in earlier checkpoints."""
        self._save(epochs, tensors, facts | {"finished": True}, 1)
        return tensors, facts

    def finished(self) -> tuple[Tensors, dict] | None:
        """What `finish` saved, or None if the seed is not finished."""
        tensors, facts, _ = self.latest() or ({}, {}, 0)
        return (tensors, facts) if facts.get("finished") else None

    def _save(self, epochs: int, tensors: Tensors, facts: dict, kept: int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        resume.save(self.folder, epochs, tensors, facts, kept)
        self.began = time.monotonic()
        self.seeds.tell("checkpoint", step=self.seeds.saved())
