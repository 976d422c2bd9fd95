"""How long a training is and how large each of its steps: pure functions."""

import math
from dataclasses import dataclass

DECAY = 0.2  # share of the steps in which `one-minus-sqrt` falls


@dataclass(frozen=True)
class Schedule:
    """Learning rates of a training of `steps` steps: up in a line over `warmup` steps, then by `shape` down to 0.

    linear and cosine fall at once; one-minus-sqrt stays and falls in the last fifth (Hägele et al. 2024), so that a run
    can be made longer without having chosen its length before.
    """

    steps: int
    lr: float
    warmup: int
    weight_decay: float
    clip: float
    shape: str = "linear"

    def rate(self, step: int) -> float:
        """Of step 0, 1, …; 0 would be that of the step behind the last."""
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
    """Steps of a training whose length is given as one of the three; `text` tokens lie in `windows` windows, of which a step
    reads `batch`.

    >>> length(None, 2.0, None, 100, 8, 12_000), length(None, None, 24_000, 100, 8, 12_000)
    (25, 25)
    """
    if steps is not None:
        return steps
    if epochs is not None:
        return math.ceil(epochs * windows / batch)
    assert tokens is not None  # config.Train has one of the three
    return math.ceil(tokens * windows / text / batch)
