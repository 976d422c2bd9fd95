"""Events of a run for other programs: one JSON object per line, appended to a file. People see sentences with the same facts.

Each line has `time` (seconds since 1970), `event`, `stage` and `name`, under Slurm also `job` and `node`, and the facts of the
event. A training writes

- started: parameters, windows, window, steps, epochs, batch, precision, processes, device;
- resumed, checkpoint: step, the number of saved steps;
- step: step, steps, loss, tokens_per_second, seconds_left; every ten seconds, and at the last step;
- valid: step, loss on the validation set;
- left: step, steps: it was asked to stop, and has saved;
- done: model_sha256; failed: message.

Other stages write started, done and failed. The launcher adds planned, launched, begun (pid), turn, queued (job), waits (job, why, start),
away (no controller answers), allocated (job, node), restarted (restarts, after, ended, step) and ended (code).
"""

import errno
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dapt.telling.errors import UserError

SENTENCES = {
    "started": "{name}: {parameters:,} parameters, {windows:,} windows of {window} tokens, {steps} steps of {batch} "
    "({epochs:,.2f} epochs), {precision} on {processes} × {device}",
    "resumed": "resumed at step {step}",
    "valid": "{name}: step {step}, loss on valid {loss:.4f}",
    "left": "{name}: stopped as requested, saved at step {step} of {steps}; run the same command again to continue there",
}


class Events:
    """The events of one run of a stage."""

    def __init__(self, path: Path | None, stage: str, name: str):
        """If `path` is None, nothing is written or printed, as in all processes of a training except the first."""
        self.path, self.about = path, {"stage": stage, "name": name}
        if job := os.environ.get("SLURM_JOB_ID"):
            self.about |= {"job": job, "node": os.environ.get("SLURMD_NODENAME") or socket.gethostname()}
        self.listeners: list[Callable[[dict], None]] = []

    def tell(self, event: str, **facts: object) -> None:
        """Write the event, pass it on to the listeners, and print its sentence if it has one."""
        if self.path is None:
            return
        record = {"time": round(time.time(), 3), "event": event} | self.about | facts
        append(self.path, record)
        for listener in self.listeners:
            listener(record)
        if event in SENTENCES and facts:
            print(SENTENCES[event].format(**record), flush=True)

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Write an event `failed` if the block raises an exception; on a full disk, the exception alone."""
        try:
            yield
        except Exception as error:
            with suppress(UserError):
                about = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
                self.tell("failed", message=f"{about}{error}")
            raise


def append(path: Path, record: dict) -> None:
    """Append one line in a single write, since several processes may write to the same file; on NFS only a lock makes a node
    see where the file ends. A full disk may cut the line off, which raises a UserError; the next one starts anew."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab+", buffering=0) as file:
        with suppress(OSError):  # a file system without locks
            file.seek(0)
            os.lockf(file.fileno(), os.F_LOCK, 0)
        file.seek(0, os.SEEK_END)
        cut_off = file.tell() and os.pread(file.fileno(), 1, file.tell() - 1) != b"\n"
        line = b"\n" * bool(cut_off) + (json.dumps(record, ensure_ascii=False) + "\n").encode()
        try:
            why = "" if file.write(line) == len(line) else os.strerror(errno.ENOSPC)
        except OSError as error:
            why = error.strerror or str(error)
    if why:
        raise UserError(f"cannot write {path}: {why}; free disk space there, then run again")


def read(path: Path, start: int = 0) -> list[dict]:
    """The events in the file from byte `start` on. An incomplete last line is left for the next read; one that was cut off by
    a full disk is skipped."""
    if not path.exists():
        return []
    with open(path, "rb") as file:
        file.seek(start)
        lines = file.read().split(b"\n")[:-1]
    found = []
    for line in lines:
        with suppress(ValueError):
            found.append(json.loads(line))
    return found


def size(path: Path) -> int:
    """Size of the file in bytes, at which the next event will start."""
    return path.stat().st_size if path.exists() else 0
