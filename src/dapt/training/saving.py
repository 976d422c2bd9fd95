"""Checkpoints that are written, hashed and flushed in a thread, while the training goes on.

The training stands still only while its tensors are copied into memory of their own, which is kept from one checkpoint to the
next: the weights and AdamW's two moments once more.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from pathlib import Path

import torch

from dapt.training import resume


class Saver:
    """Writes the checkpoints of a run, one at a time. A block of it ends when the last one is whole."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.thread = ThreadPoolExecutor(1)
        self.written: Future[int] | None = None  # the step, once its checkpoint is whole
        self.copies: dict[str, torch.Tensor] = {}

    def save(self, step: int, tensors: dict[str, torch.Tensor], facts: dict) -> None:
        """Begin a checkpoint of these tensors and facts as they are now; the one before must have been waited for."""
        for name, value in tensors.items():
            if name not in self.copies:
                self.copies[name] = torch.empty_like(value, device="cpu", pin_memory=value.is_cuda)
            self.copies[name].copy_(value, non_blocking=True)
        if any(value.is_cuda for value in tensors.values()):
            torch.cuda.synchronize()
        self.written = self.thread.submit(self._write, step, {name: copy(value) for name, value in facts.items()})

    def _write(self, step: int, facts: dict) -> int:
        resume.save(self.folder, step, self.copies, facts)
        return step

    def whole(self, wait: bool = False) -> int | None:
        """The step of the checkpoint under way, once, when it is whole; None before that, unless it is waited for, and
        where there is none. Why it could not be written is raised here."""
        if self.written is None or not (wait or self.written.done()):
            return None
        written, self.written = self.written, None
        return written.result()

    def __enter__(self) -> "Saver":
        return self

    def __exit__(self, *_: object) -> None:
        self.thread.shutdown()
