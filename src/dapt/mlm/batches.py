"""Batches of windows with their masks: pure functions of the text, the seed and the step."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from dapt.mlm.masks import IGNORED, mask_rows
from dapt.mlm.order import places_of_step, windows_of_step
from dapt.mlm.windows import TrainingText


@dataclass(frozen=True)
class Batch:
    """ids, segments (0: padding), positions: int64 [rows, size]; picks: the predicted columns, int64 [rows, K];
    labels: the tokens there, int64 [rows, K], IGNORED if a row has fewer than K predictions."""

    ids: np.ndarray
    segments: np.ndarray
    positions: np.ndarray
    picks: np.ndarray
    labels: np.ndarray

    def rows(self, start: int, stop: int) -> "Batch":
        return Batch(*(getattr(self, name)[start:stop] for name in self.__dataclass_fields__))

    def tensors(self, device: torch.device | str = "cpu") -> tuple[torch.Tensor, ...]:
        """The arguments of MaskedLM.forward."""
        return tuple(
            torch.from_numpy(np.ascontiguousarray(getattr(self, name))).to(device, non_blocking=True)
            for name in self.__dataclass_fields__
        )


@dataclass(frozen=True)
class Replay:
    """General text that is replayed against forgetting, and its share of the windows of a training."""

    text: TrainingText
    share: float


@dataclass(frozen=True)
class TrainingBatches:
    """The batches of a training: called with a step, counted from 0, it returns the batch of all processes together."""

    text: TrainingText
    size: int  # windows per step
    rate: float  # share of the tokens that is predicted
    seed: int
    continues: np.ndarray | None = None  # for each token of the vocabulary, if whole words are predicted
    replay: Replay | None = None

    def places(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """The places that a step reads in the order of its own windows and in that of the replayed ones."""
        return places_of_step(step, self.size, self.replay.share if self.replay else 0.0)

    def __call__(self, step: int) -> Batch:
        own, again = self.places(step)
        filled = [self.text.fill(windows_of_step(len(self.text.windows), own, self.seed))]
        if self.replay and len(again):
            general = self.replay.text
            filled.append(general.fill(windows_of_step(len(general.windows), again, self.seed)))
        ids, segments, positions, source = map(np.concatenate, zip(*filled, strict=True))
        rng = np.random.Generator(np.random.Philox(key=[self.seed + (1 << 32), step]))
        askable = (source >= 0) & self.text.special.known(ids)
        masked, picks, labels = mask_rows(ids, askable, self.rate, self.text.special, rng, self.continues)
        return Batch(masked, segments, positions, picks, labels)


def fixed_batches(
    text: TrainingText, shown: np.ndarray, predicted: np.ndarray, size: int
) -> Iterator[tuple[Batch, np.ndarray]]:
    """All windows of a text, `size` at a time, with the place of each prediction in the ids, int64 [rows, K] (-1 where
    IGNORED). `shown` has the ids that the model reads instead of the text's own, `predicted` (bool) says which it must
    predict, both over all tokens of the text."""
    tokens = np.asarray(text.tokens.ids)
    for start in range(0, len(text.windows), size):
        rows = np.arange(start, min(start + size, len(text.windows)))
        ids, segments, positions, source = text.fill(rows, shown)
        asked = (source >= 0) & predicted[source]
        most = max(1, int(asked.sum(1).max()))
        picks = np.argsort(~asked, axis=1, kind="stable")[:, :most]
        used = np.take_along_axis(asked, picks, axis=1)
        places = np.where(used, np.take_along_axis(source, picks, axis=1), -1)
        labels = np.where(used, tokens[places].astype(np.int64), IGNORED)
        yield Batch(ids, segments, positions, picks, labels), places


def valid_batches(text: TrainingText, size: int, most: int, rate: float) -> list[Batch]:
    """At most `most` windows of a validation set, spread evenly over it (packing sorts by length), under fixed masks:
    the same in every evaluation of every run."""
    count = len(text.windows)
    which = np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int))
    ids, segments, positions, source = text.fill(which)
    rng = np.random.Generator(np.random.Philox(key=[0, 0]))
    masked, picks, labels = mask_rows(ids, (source >= 0) & text.special.known(ids), rate, text.special, rng)
    whole = Batch(masked, segments, positions, picks, labels)
    return [whole.rows(start, start + size) for start in range(0, len(which), size)]
