"""Shows progress: a bar on a terminal, lines at intervals in a log. Timings are not written to any output."""

import sys
import time
from collections.abc import Callable

from tqdm import tqdm

EVERY = 10.0  # seconds between two lines in a log


class Progress:
    """Counts units of work (tokens) over steps; shows units per second, the remaining time, and other given values."""

    def __init__(
        self,
        name: str,
        steps: int,
        start: int = 0,
        unit: str = "tokens",
        shown: bool = True,
        tell: Callable[..., None] | None = None,
    ):
        self.name, self.steps, self.step, self.unit, self.shown = name, steps, start, unit, shown
        self.tell = tell  # called with an event `step` whenever a log would get a line
        self.first, self.done, self.begin = start, 0, time.monotonic()
        self.last = self.begin
        self.bar = (
            tqdm(total=steps, initial=start, desc=name, file=sys.stderr) if shown and sys.stderr.isatty() else None
        )

    def advance(self, units: int, **figures: float) -> None:
        self.step += 1
        self.done += units
        if not self.shown:
            return
        now = time.monotonic()
        speed = self.done / max(now - self.begin, 1e-9)
        text = ", ".join([f"{speed:,.0f} {self.unit}/s", *(f"{name} {value:.3f}" for name, value in figures.items())])
        if self.bar is not None:
            self.bar.set_postfix_str(text, refresh=False)
            self.bar.update()
        if now - self.last >= EVERY or self.step == self.steps:
            self.last = now
            left = (now - self.begin) / (self.step - self.first) * (self.steps - self.step)
            if self.bar is None:
                print(
                    f"{self.name}: step {self.step}/{self.steps}, {text}, {left:.0f} s left",
                    file=sys.stderr,
                    flush=True,
                )
            if self.tell:
                self.tell(
                    "step",
                    step=self.step,
                    steps=self.steps,
                    **{f"{self.unit}_per_second": round(speed)},
                    **figures,
                    seconds_left=round(left),
                )

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
