"""The length of a training and its learning rates: pure functions."""

import math
from dataclasses import dataclass

DECAY = 0.2  # the share of the steps in which `one-minus-sqrt` decays


@dataclass(frozen=True)
class Schedule:
    """Learning rates of a training of `steps` steps: linear warm-up over `warmup` steps, then decay to 0 by `shape`.

    linear and cosine decay right after the warm-up; one-minus-sqrt stays constant and decays in the last fifth (Hägele et al.
    2024), so that the length of a run need not be fixed in advance.
    """

    steps: int
    lr: float
    warmup: int
    weight_decay: float
    clip: float
    shape: str = "linear"

    def rate(self, step: int) -> float:
        """The learning rate of step 0, 1, …; it would reach 0 in the step after the last."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        left = (self.steps - step) / max(1, self.steps - self.warmup)
        if self.shape == "cosine":
            return self.lr * (1 - math.cos(math.pi * left)) / 2
        if self.shape == "one-minus-sqrt":
            falling = max(1.0, DECAY * self.steps)
            return self.lr * (1 - math.sqrt(max(0.0, 1 - (self.steps - step) / falling)))
        return self.lr * left


def length(steps: int | None, epochs: float | None, tokens: int | None, windows: int, batch: float, text: int) -> int:
    """Number of steps of a training whose length is given as steps, epochs or tokens; the text has `text` tokens in `windows`
    windows, of which each step reads `batch`.

    >>> length(None, 2.0, None, 100, 8, 12_000), length(None, None, 24_000, 100, 8, 12_000)
    (25, 25)
    """
    if steps is not None:
        return steps
    if epochs is not None:
        return math.ceil(epochs * windows / batch)
    assert tokens is not None  # config.Train requires one of the three
    return math.ceil(tokens * windows / text / batch)
