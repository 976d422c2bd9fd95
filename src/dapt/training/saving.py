"""Writes, hashes and flushes checkpoints in a thread while the training continues.

The training pauses only while its tensors are copied into buffers, which are reused for the next checkpoint; they take as much
memory as the weights and AdamW's two moments.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from pathlib import Path

import torch

from dapt.training import resume


class Saver:
    """Writes the checkpoints of a run, one at a time. As a context manager it waits for the last one on exit."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.thread = ThreadPoolExecutor(1)
        self.written: Future[int] | None = None  # yields the step once its checkpoint is complete
        self.copies: dict[str, torch.Tensor] = {}

    def save(self, step: int, tensors: dict[str, torch.Tensor], facts: dict) -> None:
        """Start writing a checkpoint of these tensors and facts as they are now; the previous one must be complete."""
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
        """The step of the current checkpoint when it is complete, returned once; None if it is not complete (unless `wait`) or
        if there is none. Raises the error if it could not be written."""
        if self.written is None or not (wait or self.written.done()):
            return None
        written, self.written = self.written, None
        return written.result()

    def __enter__(self) -> "Saver":
        return self

    def __exit__(self, *_: object) -> None:
        self.thread.shutdown()
